"""What a format is, and how any file becomes items: recognised, read, its faults told in place.

A reader may stumble over one record and go on; what it cannot go on from (a file that breaks
off) ends that file alone and is told like any other rejected record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from bioretrieval_tui.documents.document import Item, Place, Rejected
from bioretrieval_tui.documents.source import SourceDamaged, SourceReader


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the user said about the files: `mapping`, from our fields (`id`, `title`, `text`, or
    a metadata name) to the columns of a table."""

    mapping: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """How files are read. format: a name, or None to recognise each by its content; strict: stop
    at the first record that is rejected."""

    format: str | None = None
    options: ReadOptions = field(default_factory=ReadOptions)
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """One way of writing a corpus.

    name: as `--format` takes it; label: as people say it; suffixes: of names, without `.gz`;
    recognises: whether these first bytes (up to 64 kB, unpacked) are of this format, by content
    alone; read: the items of one source, in file order, bounded in memory. `read` may raise
    SourceDamaged where a file breaks off, and CorpusError where it cannot be trusted at all.
    """

    name: str
    label: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    read: Callable[[SourceReader, ReadOptions], Iterator[Item]]


def items(source: SourceReader, format_: Format, options: ReadOptions) -> Iterator[Item]:
    """All items of one source; where the file breaks off, the last one says so.

    Raises:
        CorpusError: the file cannot be read, or changed meanwhile.
    """
    try:
        yield from format_.read(source, options)
    except SourceDamaged as error:
        place = Place(source.name, offset=error.offset)
        yield Rejected(place, error.message, error.remedy)
