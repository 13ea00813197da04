"""The formats that are read, and which of them a file is of: told by its first bytes, by its name
only where those leave it open."""

from __future__ import annotations

import re
from pathlib import PurePath

from bioretrieval_tui.documents import (
    beir,
    europepmc,
    jats,
    medcpt,
    medline,
    medrag,
    parquet,
    pubmed_xml,
    ris,
    tables,
    wos,
)
from bioretrieval_tui.documents.reading import Format
from bioretrieval_tui.documents.source import STDIN, SourceReader
from bioretrieval_tui.documents.text import text_of_head
from bioretrieval_tui.errors import CorpusError, UsageError

FORMATS: tuple[Format, ...] = (
    parquet.FORMAT,
    pubmed_xml.FORMAT,
    jats.FORMAT,
    europepmc.FORMAT,
    medcpt.FORMAT,
    beir.FORMAT,
    medrag.FORMAT,
    medline.FORMAT,
    ris.FORMAT,
    wos.FORMAT,
    tables.CSV,
    tables.TSV,
)
"""All formats, the surest signs first."""

_PACKED = ".gz"
_TABLES = (tables.CSV, tables.TSV)
_NULS = 50
"""Every so many-th character a NUL, and a file is no text."""
_LINES_TRIED = 50
# A name is believed where every line or field stands alone, so that a file whose first records
# are broken is still read: each of them is told, and the others are kept.
_BELIEVED = {
    ".jsonl": beir.FORMAT,
    ".ndjson": beir.FORMAT,
    ".nbib": medline.FORMAT,
    ".medline": medline.FORMAT,
    ".ris": ris.FORMAT,
    ".csv": tables.CSV,
    ".tsv": tables.TSV,
}

_FOREIGN = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a zip archive (or an Office document, which is one)"),
    (b"\x1f\x8b", "packed with gzip twice"),
    (b"BZh", "packed with bzip2"),
    (b"\xfd7zXZ\x00", "packed with xz"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
)
_HTML = re.compile(
    r"\s*(?:<!--.*?-->\s*)*(?:<!doctype\s+html|<html|<head|<body)", re.IGNORECASE | re.DOTALL
)


def by_name(name: str) -> Format:
    """The format that `--format` calls `name`. Raises UsageError, which lists the names."""
    for format_ in FORMATS:
        if format_.name == name:
            return format_
    raise UsageError(f"there is no format {name!r}", remedy=f"one of: {_names()}")


def suffix_of(name: str) -> str:
    """The suffix of a file name that tells its format, in small letters, without `.gz`."""
    path = PurePath(name.lower())
    return PurePath(path.stem).suffix if path.suffix == _PACKED else path.suffix


def recognise(source: SourceReader) -> Format:
    """The format of a file that is not read yet.

    Raises:
        CorpusError: it is of none that is known; the line says what it seems to be.
    """
    head = source.head()
    suffix = "" if source.path is None else suffix_of(source.path.name)
    foreign = _foreign(head)
    if foreign is None:
        format_ = _by_content(head, suffix) or _BELIEVED.get(suffix)
        if format_ is not None:
            return format_
    raise CorpusError(
        f"{'stdin' if source.name == STDIN else source.name} is {foreign or _guess(head)},"
        f" not one of: {_names()}",
        remedy="name its format with --format if it is one of them",
    )


def _by_content(head: bytes, suffix: str) -> Format | None:
    if tables.is_pubmed_csv(head):
        return tables.CSV
    for format_ in FORMATS:
        if format_ not in _TABLES and format_.recognises(head):
            return format_
    # The first record may be broken: then one of the next tells, if the name agrees.
    likely = [f for f in FORMATS if suffix in f.suffixes and f not in _TABLES]
    rest = head
    for _ in range(_LINES_TRIED if likely else 0):
        rest = rest.partition(b"\n")[2]
        for format_ in likely:
            if rest and format_.recognises(rest):
                return format_
    fitting = [format_ for format_ in _TABLES if format_.recognises(head)]
    named = [format_ for format_ in fitting if suffix in format_.suffixes]
    return next(iter(named or fitting), None)


def _foreign(head: bytes) -> str | None:
    """What a file is that no reader takes, if its first bytes say so."""
    for mark, what in _FOREIGN:
        if head.startswith(mark):
            return what
    if head[257:262] == b"ustar":
        return "a tar archive"
    text = text_of_head(head[:4096])
    if _HTML.match(text):
        return "an HTML page"
    # One is a fault of the record that holds it, and told there.
    if text.count("\0") > len(text) // _NULS:
        return "binary data"
    return None


def _guess(head: bytes) -> str:
    text = text_of_head(head).lstrip()
    if not text:
        return "empty"
    if text.startswith("<"):
        return "XML of another kind" if text.startswith("<?xml") else "markup of another kind"
    return "JSON of another kind" if text[0] in "{[" else "text of another kind"


def _names() -> str:
    return ", ".join(format_.name for format_ in FORMATS)
