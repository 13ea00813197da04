"""Reading many files ahead, each in a process of its own: PubMed comes in more than a thousand.

A process reads whole files and hands their items over in pickled parts, which take less memory than
objects. Files are taken in their order, so an index does not depend on how many processes read.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bioretrieval_tui.documents.detect import (
    UnknownFormatError,
    applies,
    by_name,
    items,
    recognise,
)
from bioretrieval_tui.documents.document import Item
from bioretrieval_tui.documents.source import ReadSettings, SourceReader
from bioretrieval_tui.encoding.device import usable_cores
from bioretrieval_tui.errors import CorpusError
from bioretrieval_tui.index.second_process import SecondProcess

LEAST_FILES = 4
LEAST_BYTES = 32 * 2**20
"""Of all files together: fewer are read before processes have started."""
MOST_BYTES = 256 * 2**20
"""A larger file is read where it is stored, record by record."""
_MOST_PROCESSES = 8
_PART = 1_000
"""Items in a part."""


class WholeFile(NamedTuple):
    """What a file holds. format: its name, empty if it was not recognised; parts: its items,
    pickled; fault: message, remedy, and what a file of no known format seems to be, of the error
    that ended reading."""

    format: str
    parts: list[bytes]
    bytes: int
    sha256: str
    fault: tuple[str, str | None, str | None] | None

    def items(self) -> Iterator[tuple[list[Item], float]]:
        """The items of each part, and the share of the file until its end. Raises the CorpusError
        that ended reading after the last."""
        for number, part in enumerate(self.parts, start=1):
            yield pickle.loads(part), number / len(self.parts)  # noqa: S301 - of our own process
        if self.fault is not None:
            message, remedy, seems = self.fault
            if seems is not None:
                raise UnknownFormatError(message, seems, remedy)
            raise CorpusError(message, remedy=remedy)


def read_whole(path: Path, settings: ReadSettings) -> WholeFile:
    """Read a file to its end."""
    parts: list[bytes] = []
    some: list[Item] = []
    name, fault = "", None
    with SourceReader(path, encoding=settings.encoding) as source:
        try:
            named = None if settings.format is None else by_name(settings.format)
            format_ = named if named is not None else recognise(source, settings)
            applies(format_, settings, source.name)
            name = format_.name
            for item in items(source, format_, settings):
                some.append(item)
                if len(some) == _PART:
                    parts.append(pickle.dumps(some, pickle.HIGHEST_PROTOCOL))
                    some = []
            source.hash_rest()
        except CorpusError as error:
            seems = error.seems if isinstance(error, UnknownFormatError) else None
            fault = (error.message, error.remedy, seems)
        if some:
            parts.append(pickle.dumps(some, pickle.HIGHEST_PROTOCOL))
        return WholeFile(name, parts, source.consumed, source.sha256(), fault)


class ReadAhead:
    """Reads those of `files`, paths with their bytes, that are not too large, in processes; for
    one thread."""

    def __init__(
        self,
        files: Sequence[tuple[Path, int]],
        settings: ReadSettings,
        processes: int | None = None,
    ) -> None:
        fit = [(path, size) for path, size in files if size <= MOST_BYTES]
        worth = len(fit) >= LEAST_FILES and sum(size for _, size in fit) >= LEAST_BYTES
        if processes is None:
            processes = min(_MOST_PROCESSES, usable_cores() // 2) if worth else 0
        self._settings = settings
        self._waiting = deque(path for path, _ in fit)
        self._idle = [SecondProcess() for _ in range(processes)]
        self._begun: deque[tuple[Path, SecondProcess]] = deque()

    def read(self, path: Path, look: Callable[[], None]) -> WholeFile | None:
        """The content of a file, whose turn it is; None if the caller has to read it. look: called
        now and then; may raise to end waiting."""
        while self._idle and self._waiting:
            following, process = self._waiting.popleft(), self._idle.pop()
            process.begin(read_whole, following, self._settings)
            self._begun.append((following, process))
        if not self._begun or self._begun[0][0] != path:
            return None
        process = self._begun[0][1]
        found: WholeFile = process.end(look)
        self._begun.popleft()
        self._idle.append(process)
        return found

    def close(self) -> None:
        """End all processes."""
        for process in (*self._idle, *(process for _, process in self._begun)):
            process.close()
