"""Documents, and the items of readers: documents, deletions and rejected records, each with its
place in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec


class Document(msgspec.Struct, frozen=True):
    """One searchable text.

    id: that of the corpus, unique within an index; title and text: plain, either may be empty;
    metadata: the other fields (JSON values only). Readers use these names: `authors` (list,
    "Family I"), `journal`, `year` (int), `date` (ISO 8601, as exact as known), `doi`, `pmid`,
    `pmcid`, `url`, `language` (list), `types` (list, publication types), `mesh` and `mesh_major`
    (lists of headings), `keywords` (list), `vernacular_title`, `volume`, `issue`, `pages`;
    `trials` (list of registration numbers), `mesh_qualifiers` (list, "Heading/qualifier"),
    `supplementary` (list of MeSH supplementary concepts), `substances` (list), `affiliations`
    (list), `corrections` (list, "Retraction in PMID 123: Source"), `references` (list of the works
    that it cites, each by its PMID, else its DOI), `pmid_version` (int, from 2),
    `revised` (ISO 8601, when the database last changed the record);
    of books and reports `editors` (list, "Family I"), `book` (the title of the book of a chapter),
    `publisher`, `place`, `school`, `isbn`.
    """

    id: str
    title: str = ""
    text: str = ""
    metadata: Mapping[str, Any] = {}

    def content_hash(self) -> bytes:
        """BLAKE2b (16 bytes) of title and text: equal hashes need only one encoding. Without the
        metadata, since a corrected journal name does not change a vector."""
        title = self.title.encode("utf-8", "surrogatepass")
        text = self.text.encode("utf-8", "surrogatepass")
        content = len(title).to_bytes(8, "big") + title + text
        return hashlib.blake2b(content, digest_size=16).digest()


class Place(msgspec.Struct, frozen=True):
    """A place in an input: `file` as the user named it, and, depending on the format, a `line` (of
    Parquet a row) from 1 or an `offset` in bytes of the decompressed file, in UTF-8, from 0."""

    file: str
    line: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        if self.line is not None:
            return f"{self.file}:{self.line}"
        return self.file if self.offset is None else f"{self.file}: byte {self.offset:,}"


class Record(msgspec.Struct, frozen=True):
    document: Document
    place: Place


class Deleted(msgspec.Struct, frozen=True):
    """A notice that the document with this id is deleted."""

    id: str
    place: Place


class Rejected(msgspec.Struct, frozen=True):
    """A record that is left out: its place, the reason, and a remedy (or None)."""

    place: Place
    reason: str
    remedy: str | None = None

    def __str__(self) -> str:
        text = f"{self.place}: {self.reason}"
        return text if self.remedy is None else f"{text}; {self.remedy}"


class Skipped(msgspec.Struct, frozen=True):
    """What was passed over and is no record: a file of a folder, a line above a table's header."""

    place: Place
    reason: str


Item = Record | Deleted | Rejected | Skipped
"""An item of a reader, in file order. A broken record is `Rejected` and loses no other."""


class RecordFault(Exception):
    """A fault of one record: the reason, and a remedy (or None)."""

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
