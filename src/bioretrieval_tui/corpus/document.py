"""What a document is, and what a reader hands on: a document with the place it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Document:
    """One text that can be found.

    id: as the corpus names it, unique within an index; title and text: plain, either may be
    empty; metadata: whatever else the record held (JSON values only).
    """

    id: str
    title: str = ""
    text: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def content_hash(self) -> bytes:
        """SHA-256 (32 bytes) of title and text: equal hashes need only one encoding.

        Metadata is left out on purpose: a corrected journal name does not change a vector.
        """
        title = self.title.encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(len(title).to_bytes(8, "big"))
        digest.update(title)
        digest.update(self.text.encode("utf-8", "surrogatepass"))
        return digest.digest()


@dataclass(frozen=True, slots=True)
class Record:
    """A document with its place: `file` as the user named it, `line` counted from 1."""

    document: Document
    file: str
    line: int

    @property
    def place(self) -> str:
        """`file:line`, as messages show it."""
        return f"{self.file}:{self.line}"
