"""Reading the documents of an index: one or more segments, each an SQLite file, as one store.

A document has a label, a whole number from 0 that is also the row of its vector, and continues from
segment to segment. A segment is written once (`writer.py`) and never changed; a newer one (a
revised record, a deletion) overrides older ones.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from bioretrieval_tui.documents.document import Document, Place, Record
from bioretrieval_tui.errors import IndexFault

APPLICATION = 0x42525455  # "BRTU"
VERSION = 2

SCHEMA = """
CREATE TABLE documents (
    label INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    metadata BLOB,
    hash BLOB NOT NULL,
    file INTEGER NOT NULL,
    line INTEGER,
    dead INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX live_ids ON documents (id) WHERE dead = 0;
CREATE INDEX hashes ON documents (hash);
CREATE TABLE aliases (id TEXT PRIMARY KEY, label INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX alias_labels ON aliases (label);
CREATE TABLE gone (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE files (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
"""
"""dead: replaced or deleted within the segment itself. aliases: further ids of the same text, its
label in this segment or an older one. gone: deleted ids of older segments."""

_BY_LABELS = """
SELECT label, id, title, text, metadata FROM documents
WHERE label IN (SELECT value FROM json_each(?))
"""
_IDS = "SELECT label, id FROM documents WHERE label IN (SELECT value FROM json_each(?))"
_RECORDS = """
SELECT label, id, title, text, metadata,
    (SELECT name FROM files WHERE number = documents.file), line
FROM documents WHERE label >= ? ORDER BY label LIMIT 1024
"""
IN_FORCE = """
SELECT 0, label FROM documents WHERE id = ?1 AND dead = 0
UNION ALL SELECT 1, label FROM aliases WHERE id = ?1
UNION ALL SELECT 2, -1 FROM gone WHERE id = ?1
LIMIT 1
"""
"""What a segment knows of an id: 0 and the label that it names, 1 and that of the document of which
it is an alias, or 2 if it is deleted."""

_Kept = TypeVar("_Kept")


class StoredId(NamedTuple):
    """The document of an id: by its own id, or by an alias."""

    label: int
    alias: bool


class Segment:
    """One finished segment, read-only; usable from several threads. Raises as `DocumentStore`."""

    def __init__(self, path: Path, first: int) -> None:
        self.path = path
        self.first = first
        self._lock = threading.Lock()
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        try:
            self._db = sqlite3.connect(
                address, uri=True, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self.fault(error) from error
        try:
            names = ("application_id", "user_version")
            if [self.rows(f"PRAGMA {name}")[0][0] for name in names] != [APPLICATION, VERSION]:
                raise IndexFault(f"{path.name} is not a document store of this version")
            lowest, highest = self.rows("SELECT min(label), max(label) FROM documents")[0]
            if lowest not in (None, first):
                raise IndexFault(f"{path.name} begins at document {lowest}, not {first}")
            self.count = 0 if highest is None else int(highest) - first + 1
        except BaseException:
            self._db.close()
            raise

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(statement, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self.fault(error) from error

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def fault(self, error: Exception) -> IndexFault:
        return IndexFault(
            f"the document store {self.path.name} cannot be read: {error}",
            remedy="build the index again",
        )


class DocumentStore:
    """The documents of an index, read-only; usable from several threads.

    paths: the segments' files, oldest first. Labels include dead rows; the index keeps the list of
    those that are dead by a later segment or by deletion.

    Raises (all methods):
        IndexFault: a file is not there, is not a document store, or is damaged.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.segments: list[Segment] = []
        self.rows = 0
        """Labels are 0 to rows - 1."""
        try:
            for path in paths:
                self.segments.append(Segment(path, self.rows))
                self.rows += self.segments[-1].count
        except BaseException:
            self.close()
            raise

    def get(self, labels: Sequence[int]) -> list[Document]:
        """The documents with these labels, in the order of `labels`."""
        rows = self._by_label(_BY_LABELS, labels)
        return _in_order(labels, {row[0]: _document_of(row, one) for one, row in rows})

    def ids(self, labels: Sequence[int]) -> list[str]:
        """The ids of these labels, in the order of `labels`, without reading any text."""
        return _in_order(labels, dict(row for _, row in self._by_label(_IDS, labels)))

    def lookup(self, identifier: str) -> StoredId | None:
        """The current document of an id, by the newest segment that has the id."""
        for segment in reversed(self.segments):
            for kind, label in segment.rows(IN_FORCE, [identifier]):
                return None if kind == 2 else StoredId(label, kind == 1)
        return None

    def find(self, identifier: str) -> tuple[int, Document] | None:
        """Label and document of an id or alias, or None."""
        found = self.lookup(identifier)
        return None if found is None else (found.label, self.get([found.label])[0])

    def labels(self, identifiers: Iterable[str]) -> dict[str, int]:
        """The labels of those ids that are current."""
        found = ((identifier, self.lookup(identifier)) for identifier in identifiers)
        return {identifier: one.label for identifier, one in found if one is not None}

    def same_content(self, digest: bytes) -> list[int]:
        """Labels of all rows, dead ones too, with this content hash, newest first."""
        return self._labels("SELECT label FROM documents WHERE hash = ?", [digest])[::-1]

    def by_content(self, digests: Iterable[bytes]) -> dict[bytes, int]:
        """The label of the newest row for each stored content hash, dead rows too."""
        found = ((digest, self.same_content(digest)) for digest in digests)
        return {digest: labels[0] for digest, labels in found if labels}

    def aliases(self, label: int) -> list[str]:
        """The current aliases of a document, sorted."""
        names = {row[0] for row in self._all("SELECT id FROM aliases WHERE label = ?", [label])}
        return sorted(name for name in names if self.lookup(name) == (label, True))

    def all_aliases(self) -> Iterator[tuple[str, int]]:
        """Every current alias, with its label."""
        for name, label in self._all("SELECT id, label FROM aliases ORDER BY id"):
            if self.lookup(name) == (label, True):
                yield name, label

    def records(self, start: int = 0) -> Iterator[tuple[int, Record]]:
        """All rows from label `start` on, dead ones too, in label order, with their labels and
        places in the source files."""
        for segment in self.segments:
            end = segment.first + segment.count
            while segment.first <= start < end:
                rows = segment.rows(_RECORDS, [start])
                if not rows or [row[0] for row in rows] != list(range(start, start + len(rows))):
                    raise IndexFault(f"{segment.path.name} lacks documents after label {start}")
                for *row, file, line in rows:
                    yield row[0], Record(_document_of(row, segment), Place(file, line))
                start += len(rows)

    def batches(self, size: int, start: int = 0) -> Iterator[list[Document]]:
        """All documents from label `start` on, dead ones too, in label order, `size` each."""
        documents = (record.document for _, record in self.records(start))
        return iter(lambda: list(islice(documents, size)), [])

    def marked_dead(self) -> list[int]:
        """Labels that died within the segment that holds them, ascending."""
        return self._labels("SELECT label FROM documents WHERE dead = 1")

    def superseded(self) -> list[int]:
        """Labels of all dead rows, ascending: those whose own id has another document or none."""
        rows = self._all("SELECT label, id FROM documents ORDER BY label")
        return [label for label, name in rows if self.lookup(name) != (label, False)]

    def intact(self, label: int) -> bool:
        """Whether a row's text still has the content hash that it was stored with."""
        kept = self._all("SELECT hash FROM documents WHERE label = ?", [label])
        return [bytes(row[0]) for row in kept] == [self.get([label])[0].content_hash()]

    def check(self) -> str | None:
        """The first fault that SQLite finds in the files, or None."""
        for segment in self.segments:
            verdict = segment.rows("PRAGMA integrity_check(1)")[0][0]
            if verdict != "ok":
                return f"{segment.path.name}: {verdict}"
        return None

    def close(self) -> None:
        for segment in self.segments:
            segment.close()

    def _all(self, statement: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        for segment in self.segments:
            yield from segment.rows(statement, values)

    def _labels(self, statement: str, values: Sequence[Any] = ()) -> list[int]:
        return [int(row[0]) for row in self._all(f"{statement} ORDER BY label", values)]

    def _by_label(self, statement: str, labels: Sequence[int]) -> Iterator[tuple[Segment, Any]]:
        """The rows of labels and their segments. The labels are one JSON parameter, since builds of
        SQLite differ in how many `?` they allow."""
        for segment in self.segments:
            end = segment.first + segment.count
            inside = sorted({int(label) for label in labels if segment.first <= label < end})
            if inside:
                for row in segment.rows(statement, [msgspec.json.encode(inside).decode()]):
                    yield segment, row


def _in_order(labels: Sequence[int], found: Mapping[int, _Kept]) -> list[_Kept]:
    missing = min((int(label) for label in labels if label not in found), default=None)
    if missing is not None:
        raise IndexFault(f"the document store holds no document {missing}")
    return [found[int(label)] for label in labels]


def _document_of(row: Sequence[Any], segment: Segment) -> Document:
    _, identifier, title, text, metadata = row
    try:
        fields: Mapping[str, Any] = msgspec.json.decode(metadata) if metadata else {}
    except msgspec.DecodeError as error:
        raise segment.fault(error) from error
    return Document(identifier, title, text, fields)
