"""The documents of an index: one or more segments, each an SQLite file, as one store.

A document has a label, a whole number from 0 that continues from segment to segment, and is the row
of its vector where documents have one each. A segment is written once and never changed; a newer
one overrides older ones.

An index may come from others, so a segment is only read if it has the tables and indexes of a
segment and nothing else: a view or a trigger is a program. It is opened as a file that does not
change, without a journal beside it, and an interrupt ends a query that takes long.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice, repeat
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from bioretrieval_tui.documents.document import Document, Place, Record
from bioretrieval_tui.documents.identity import doi_of, same_doi
from bioretrieval_tui.errors import IndexFault

APPLICATION = 0x42525455  # "BRTU"
VERSION = 3

_SCHEMA = """
CREATE TABLE documents (
    label INTEGER PRIMARY KEY, id TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL,
    metadata BLOB, hash BLOB NOT NULL, file INTEGER NOT NULL, line INTEGER,
    dead INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX live_ids ON documents (id) WHERE dead = 0;
CREATE INDEX hashes ON documents (hash);
CREATE TABLE aliases (id TEXT PRIMARY KEY, label INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX alias_labels ON aliases (label);
CREATE TABLE gone (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE files (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
"""
_WORKS = """
CREATE TABLE works (key INTEGER NOT NULL, label INTEGER NOT NULL, PRIMARY KEY (key, label))
    WITHOUT ROWID;
"""
SCHEMAS = {2: _SCHEMA, VERSION: _SCHEMA + _WORKS}
"""By `user_version`. works: the keys under which records of one work meet, since version 3.
dead: replaced or deleted within the segment itself. aliases: further ids of the same text, its
label in this segment or an older one. gone: deleted ids of older segments."""

_LIMITS = {
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 10_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 50,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
}
_STEPS = 100_000
"""Instructions of SQLite, some milliseconds, after which an interrupt is heeded."""
_SYMBOL = re.compile(r"\w+|[^\w\s]")

BY_LABELS = """
SELECT label, id, title, text, metadata FROM documents
WHERE label IN (SELECT value FROM json_each(?))
"""
_ENDS = "SELECT (SELECT min(label) FROM documents), (SELECT max(label) FROM documents)"
"""In one SELECT, SQLite would read all rows."""
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

WITH_WORK = "SELECT label FROM works WHERE key = ? ORDER BY label DESC LIMIT 16"
READ_AT_ONCE = 4 * 2**20
"""Bytes of text that are read at once, or one document: windows follow what memory holds."""


_METADATA = msgspec.json.Decoder(dict[str, Any])


class StoredId(NamedTuple):
    """The document of an id: by its own id, or by an alias."""

    label: int
    alias: bool


def _schema_of(database: sqlite3.Connection) -> list[tuple[str, ...]]:
    """What a database holds, with its definitions as symbols, as their blanks have changed."""
    rows = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 100")
    found = (tuple(map(str, row)) for row in rows)
    return sorted((*names, *_SYMBOL.findall(sql)) for *names, sql in found)


@cache
def _expected_schema(version: int) -> list[tuple[str, ...]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.executescript(SCHEMAS[version])
        return _schema_of(database)


class Segment:
    """One finished segment, read-only; usable from several threads. Raises as `DocumentStore`."""

    def __init__(self, path: Path, first: int) -> None:
        self.path = path
        self.first = first
        self._lock = threading.Lock()
        self._closing = False
        address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
        try:
            self._db = sqlite3.connect(
                address, uri=True, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self.fault(error) from error
        try:
            for limit, most in _LIMITS.items():
                self._db.setlimit(limit, most)
            # In the call, Python sees whether there was an interrupt; SQLite then ends the query.
            self._db.set_progress_handler(lambda: self._closing, _STEPS)
            for name in ("trusted_schema=OFF", "query_only=ON", "cell_size_check=ON"):
                self.rows(f"PRAGMA {name}")
            names = ("application_id", "user_version")
            application, version = (self.rows(f"PRAGMA {name}")[0][0] for name in names)
            if application != APPLICATION or version not in SCHEMAS:
                raise IndexFault(f"{path.name} is not a document store of this version")
            if self._reading(lambda: _schema_of(self._db)) != _expected_schema(version):
                raise IndexFault(
                    f"{path.name} holds other tables than a document store",
                    remedy="build the index again from its sources",
                )
            self.has_works = version == VERSION
            lowest, highest = self.rows(_ENDS)[0]
            if lowest not in (None, first):
                raise IndexFault(f"{path.name} begins at document {lowest}, not {first}")
            self.count = 0 if highest is None else int(highest) - first + 1
        except BaseException:
            self._db.close()
            raise

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._reading(lambda: self._db.execute(statement, values).fetchall())

    def _reading(self, read: Callable[[], list[Any]]) -> list[Any]:
        try:
            with self._lock:
                return read()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            stopped = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
            if stopped and threading.current_thread() is threading.main_thread():
                raise KeyboardInterrupt from error  # SQLite has hidden it
            raise self.fault(error) from error

    def page(self, start: int) -> list[Any]:
        """The rows of `_RECORDS` from label `start` on, as many as are read at once."""

        def read() -> list[Any]:
            with contextlib.closing(self._db.execute(_RECORDS, [start])) as rows:
                return list(at_once(rows, 3))

        return self._reading(read)

    def close(self) -> None:
        """Close the file; queries of other threads end."""
        self._closing = True
        with self._lock:
            self._db.close()

    def fault(self, error: Exception) -> IndexFault:
        what = f"the document store {self.path.name} cannot be read: {error}"
        return IndexFault(what, remedy="build the index again")


class Documents(ABC):
    """The documents of an index, read-only; usable from several threads. All methods raise
    IndexFault where they cannot be read.

    rows: labels are 0 to rows - 1, with those of documents that were deleted or replaced.
    """

    rows: int

    @property
    def knows_works(self) -> bool:
        """Whether its documents were stored with their keys of `duplicates`."""
        return False

    @abstractmethod
    def get(self, labels: Sequence[int]) -> list[Document]:
        """The documents with these labels, in the order of `labels`."""

    @abstractmethod
    def ids(self, labels: Sequence[int]) -> list[str]:
        """The ids of these labels, in the order of `labels`, without reading any text."""

    @abstractmethod
    def lookup(self, identifier: str) -> StoredId | None:
        """The current document of an id or alias."""

    @abstractmethod
    def same_content(self, digest: bytes) -> list[int]:
        """Labels of all rows with this content hash, newest first."""

    @abstractmethod
    def all_aliases(self) -> Iterator[tuple[str, int]]:
        """Every current alias, with its label."""

    @abstractmethod
    def records(self, start: int = 0) -> Iterator[tuple[int, Record]]:
        """All rows from label `start` on, in label order, with their labels and places in the
        source files."""

    @abstractmethod
    def close(self) -> None:
        """Close the files, or the connection."""

    def find(self, identifier: str) -> tuple[int, Document] | None:
        """Label and document of an id or alias, also of a DOI as it is written, or None."""
        found = self.lookup(identifier)
        if found is None and (doi := doi_of(identifier)):
            found = self.lookup(same_doi(doi))
        return None if found is None else (found.label, self.get([found.label])[0])

    def labels(self, identifiers: Iterable[str]) -> dict[str, int]:
        """The labels of those ids that are current."""
        found = ((identifier, self.lookup(identifier)) for identifier in identifiers)
        return {identifier: one.label for identifier, one in found if one is not None}


class DocumentStore(Documents):
    """The documents of an index in files: its segments.

    paths: the segments' files, oldest first. Labels include dead rows; the index keeps the list of
    those that are dead by a later segment or by deletion. All methods raise IndexFault if a file is
    not there, is not a document store, or is damaged.
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
        return [_document_of(row, one) for one, row in self._by_label(BY_LABELS, labels)]

    def ids(self, labels: Sequence[int]) -> list[str]:
        """The ids of these labels, in the order of `labels`, without reading any text."""
        try:
            found = [row[1] for _, row in self._by_label(_IDS, labels)]
            return msgspec.convert(found, list[str])
        except msgspec.ValidationError as error:
            raise IndexFault(f"the ids of the document store cannot be read: {error}") from error

    def lookup(self, identifier: str) -> StoredId | None:
        """The current document of an id, by the newest segment that has the id."""
        for segment in reversed(self.segments):
            for kind, label in segment.rows(IN_FORCE, [identifier]):
                if not isinstance(label, int):  # in a damaged file
                    raise segment.fault(TypeError(f"{identifier!r} has no label"))
                return None if kind == 2 else StoredId(label, kind == 1)
        return None

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
        for segment, row in self._rows(start):
            yield row[0], Record(_document_of(row, segment), Place(*row[5:]))

    def _rows(self, start: int) -> Iterator[tuple[Segment, Any]]:
        for segment in self.segments:
            end = segment.first + segment.count
            while segment.first <= start < end:
                rows = segment.page(start)
                if not rows or [row[0] for row in rows] != list(range(start, start + len(rows))):
                    raise IndexFault(f"{segment.path.name} lacks documents after label {start}")
                yield from zip(repeat(segment), rows, strict=False)
                start += len(rows)

    def batches(self, size: int, start: int = 0) -> Iterator[list[Document]]:
        """All documents from label `start` on, dead ones too, in label order, `size` each, fewer
        where their texts are long."""
        documents = ((row[3], _document_of(row, segment)) for segment, row in self._rows(start))
        while some := [one for _, one in at_once(islice(documents, size), 0)]:
            yield some

    def with_work(self, key: int) -> list[int]:
        """Labels of rows, dead ones too, under a key of `duplicates`, newest first."""
        rows = (
            row
            for segment in reversed(self.segments)
            if segment.has_works
            for row in segment.rows(WITH_WORK, [key])
        )
        return [int(row[0]) for row in rows]

    @property
    def knows_works(self) -> bool:
        """Whether its documents were stored with their keys of `duplicates`."""
        return any(
            one.has_works and one.rows("SELECT 1 FROM works LIMIT 1") for one in self.segments
        )

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
        return [row[0] for row in kept] == [self.get([label])[0].content_hash()]

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

    def _by_label(self, statement: str, labels: Sequence[int]) -> list[tuple[Segment, Any]]:
        """The rows of labels, in their order, and their segments. The labels are one JSON
        parameter, since builds of SQLite differ in how many `?` they allow."""
        found: dict[int, tuple[Segment, Any]] = {}
        for segment in self.segments:
            end = segment.first + segment.count
            inside = sorted({int(label) for label in labels if segment.first <= label < end})
            if inside:
                rows = segment.rows(statement, [msgspec.json.encode(inside).decode()])
                found.update((row[0], (segment, row)) for row in rows)
        missing = min((int(label) for label in labels if label not in found), default=None)
        if missing is not None:
            raise IndexFault(f"the document store holds no document {missing}")
        return [found[int(label)] for label in labels]


def _document_of(row: Sequence[Any], segment: Segment) -> Document:
    # In a damaged file SQLite finds bytes or numbers where text was stored.
    _, identifier, title, text, metadata, *_ = row
    try:
        if not type(identifier) is type(title) is type(text) is str:
            raise TypeError("a document holds other values than texts")
        fields = _METADATA.decode(metadata) if metadata else {}
    except (ValueError, TypeError, RecursionError) as error:
        raise segment.fault(error) from error
    return Document(identifier, title, text, fields)


def at_once(rows: Iterable[Any], text: int) -> Iterator[Any]:
    """The first of `rows`, until the texts in their column `text` fill what is read at once."""
    left = READ_AT_ONCE
    for row in rows:
        yield row
        left -= sys.getsizeof(row[text])
        if left <= 0:
            return
