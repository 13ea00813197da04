"""Documents, and what readers yield: documents, deletions and rejected records, each with the
place that it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Document:
    """One text that can be found.

    id: as the corpus names it, unique within an index; title and text: plain, either may be
    empty; metadata: whatever else the record held (JSON values only). Readers use these names
    where a format has the field: `authors` (list, "Family I"), `journal`, `year` (int), `date`
    (ISO 8601, as exact as it is known), `doi`, `pmid`, `pmcid`, `url`, `language` (list),
    `types` (list, publication types), `mesh` and `mesh_major` (lists of headings), `keywords`
    (list), `vernacular_title`, `volume`, `issue`, `pages`.
    """

    id: str
    title: str = ""
    text: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def content_hash(self) -> bytes:
        """BLAKE2b (16 bytes) of title and text: equal hashes need only one encoding.

        Metadata is left out on purpose: a corrected journal name does not change a vector.
        """
        title = self.title.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(len(title).to_bytes(8, "big"), digest_size=16)
        digest.update(title)
        digest.update(self.text.encode("utf-8", "surrogatepass"))
        return digest.digest()


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: `file` as the user named it, then what the format can tell: a
    `line` counted from 1, an `offset` in bytes of the unpacked file from 0, or neither."""

    file: str
    line: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        if self.line is not None:
            return f"{self.file}:{self.line}"
        return self.file if self.offset is None else f"{self.file}: byte {self.offset:,}"


@dataclass(frozen=True, slots=True)
class Record:
    """A document and its place."""

    document: Document
    place: Place


@dataclass(frozen=True, slots=True)
class Deleted:
    """The corpus withdraws the document with this id."""

    id: str
    place: Place


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that is left out: where it stands, what is wrong, what to do (or None)."""

    place: Place
    reason: str
    remedy: str | None = None

    def __str__(self) -> str:
        text = f"{self.place}: {self.reason}"
        return text if self.remedy is None else f"{text}; {self.remedy}"


class RecordFault(Exception):
    """Why one record is no document: `reason`, and what to do about it (or None)."""

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


Item = Record | Deleted | Rejected
"""What a reader yields, in file order. A broken record is `Rejected` and costs no other."""


def item_of(place: Place, make: Callable[[], Document], shape: str | None = None) -> Item:
    """The record that `make` gives, rejected where it raises RecordFault; `shape` is the remedy
    of faults that have none of their own."""
    try:
        return Record(make(), place)
    except RecordFault as fault:
        return Rejected(place, fault.reason, fault.remedy or shape)
