"""Bytes at hand, read as if they were a file: for what a service answered."""

from __future__ import annotations

import hashlib

from bioretrieval_tui.documents.source import Source, SourceReader


class MemorySource(SourceReader):
    """`data` (not packed) as a source; `name` stands for the file in messages."""

    def __init__(self, data: bytes, name: str) -> None:
        # Nothing is opened, so the file's own construction is left out on purpose.
        self.path = None
        self.name = name
        self._data = data
        self._at = 0
        self._ahead = b""

    @property
    def consumed(self) -> int:
        """Bytes that were given so far."""
        return self._at

    def close(self) -> None:
        """Nothing is open."""

    def hash_rest(self) -> None:
        """Nothing is left to be read."""
        self._at = len(self._data)

    def summary(self) -> Source:
        """Name, size and checksum."""
        return Source(self.name, len(self._data), hashlib.sha256(self._data).hexdigest())

    def _read(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        self._at += len(part)
        return part
