"""The documents of an index: one or more segments, each an SQLite file, as one store.

A document has a label, a whole number from 0 that continues from segment to segment, and is the row
of its vector where documents have one each. A segment is written once and never changed; a newer
one overrides older ones.

An index may come from others, so a segment is only read if it has the tables and indexes of a
segment and nothing else: a view or a trigger is a program. It is opened as a file that does not
change, without a journal beside it, and an interrupt ends a query that takes long.

Writing, a record with a known id replaces the earlier one; one with a known text under another id
becomes an alias of it; a deletion removes. A record that `duplicates` knows as the work of another
id is merged with it or named. Rows are never changed, only marked dead, so that the encoder, which
reads meanwhile, always finds the same text under a label.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from enum import Enum
from functools import cache
from itertools import islice, repeat
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import msgspec

from bioretrieval_tui.documents.document import Document, Place, Record
from bioretrieval_tui.documents.duplicates import Work, is_bibliographic, merged
from bioretrieval_tui.documents.identity import doi_of, is_counter, made_identifier, same_doi
from bioretrieval_tui.documents.source import Dedupe
from bioretrieval_tui.errors import IndexFault

_APPLICATION = 0x42525455  # "BRTU"
_VERSION = 3

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
_SCHEMAS = {2: _SCHEMA, _VERSION: _SCHEMA + _WORKS}
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

_BY_LABELS = """
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
_IN_FORCE = """
SELECT 0, label FROM documents WHERE id = ?1 AND dead = 0
UNION ALL SELECT 1, label FROM aliases WHERE id = ?1
UNION ALL SELECT 2, -1 FROM gone WHERE id = ?1
LIMIT 1
"""
"""What a segment knows of an id: 0 and the label that it names, 1 and that of the document of which
it is an alias, or 2 if it is deleted."""

_WITH_WORK = "SELECT label FROM works WHERE key = ? ORDER BY label DESC LIMIT 16"
READ_AT_ONCE = 4 * 2**20
"""Bytes of text that are read at once, or one document: windows follow what memory holds."""
_COMMIT_EVERY = 20_000
_CACHE_KIB = 65_536
_TEXTS = "SELECT id, title, text FROM documents WHERE label >= ? ORDER BY label LIMIT ?"
_INSERT = "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)"
_ROW = """
SELECT title, text, metadata, hash, (SELECT name FROM files WHERE number = documents.file), line
FROM documents WHERE label = ?
"""


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
        database.executescript(_SCHEMAS[version])
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
            if application != _APPLICATION or version not in _SCHEMAS:
                raise IndexFault(f"{path.name} is not a document store of this version")
            if self._reading(lambda: _schema_of(self._db)) != _expected_schema(version):
                raise IndexFault(
                    f"{path.name} holds other tables than a document store",
                    remedy="build the index again from its sources",
                )
            self.has_works = version == _VERSION
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
                return list(_at_once(rows, 3))

        return self._reading(read)

    def close(self) -> None:
        """Close the file; queries of other threads end."""
        self._closing = True
        with self._lock:
            self._db.close()

    def fault(self, error: Exception) -> IndexFault:
        what = f"the document store {self.path.name} cannot be read: {error}"
        return IndexFault(what, remedy="build the index again")


class DocumentStore:
    """The documents of an index, read-only; usable from several threads.

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
        return [_document_of(row, one) for one, row in self._by_label(_BY_LABELS, labels)]

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
            for kind, label in segment.rows(_IN_FORCE, [identifier]):
                if not isinstance(label, int):  # in a damaged file
                    raise segment.fault(TypeError(f"{identifier!r} has no label"))
                return None if kind == 2 else StoredId(label, kind == 1)
        return None

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
        while some := [one for _, one in _at_once(islice(documents, size), 0)]:
            yield some

    def with_work(self, key: int) -> list[int]:
        """Labels of rows, dead ones too, under a key of `duplicates`, newest first."""
        rows = (
            row
            for segment in reversed(self.segments)
            if segment.has_works
            for row in segment.rows(_WITH_WORK, [key])
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


def _at_once(rows: Iterable[Any], text: int) -> Iterator[Any]:
    """The first of `rows`, until the texts in their column `text` fill what is read at once."""
    left = READ_AT_ONCE
    for row in rows:
        yield row
        left -= sys.getsizeof(row[text])
        if left <= 0:
            return


class StoreOutcome(Enum):
    """What the store did with a record. SAME: it, or a newer version, is stored already; ALIAS: its
    text is stored under another id, of which its own is now an alias; MERGED: it is the work of
    another id, whose document has now what both had."""

    NEW = "new"
    SAME = "same"
    ALIAS = "alias"
    REPLACED = "replaced"
    MERGED = "merged"


class Twin(NamedTuple):
    """The id of a stored document of the same work, and why it is the same."""

    id: str
    why: str


class _Sieve:
    """Tells most of what is not stored without a query: most records are new."""

    def __init__(self) -> None:
        self._marks = bytearray(2**24)

    def add(self, value: str | bytes | int) -> None:
        self._marks[hash(value) % len(self._marks)] = 1

    def __contains__(self, value: str | bytes | int) -> bool:
        """Whether it may have been added."""
        return self._marks[hash(value) % len(self._marks)] == 1


class StoreWriter:
    """Writes a new segment at `path`, on top of `base` if given; a context manager.

    dead: labels of `base` that are dead already; next: the label of the next row, below which all
    can be read; died: labels, also of older segments, that died meanwhile; changes: 0 if there is
    nothing new; aliases: those added, less those removed; joins_twins: whether an id with the text
    of another id becomes an alias of it; dedupe: what is done with records of the same work;
    keeps_works: whether keys for that are stored, also for later additions; twin: the stored
    document of the same work as the record that was added last, or None.

    The file is valid only after `finish()`, so it is written without a journal on disk and without
    flushes. `add` and `delete` are for one thread; `read` may be called from another. All raise
    sqlite3.Error if the disk is full or the file cannot be written.
    """

    def __init__(
        self, path: Path, base: DocumentStore | None = None, dead: frozenset[int] = frozenset()
    ) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript(
            "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;"
            f" PRAGMA cache_size=-{_CACHE_KIB}; PRAGMA application_id={_APPLICATION};"
            f" PRAGMA user_version={_VERSION}; {_SCHEMAS[_VERSION]} BEGIN;"
        )
        self._base = base or DocumentStore([])
        self._base_dead = dead
        self.first = self._base.rows
        self.next = self.first
        self.died: set[int] = set()
        self.changes = 0
        self.aliases = 0
        self.joins_twins = True
        self.dedupe: Dedupe = "off"
        self.keeps_works = False
        self.twin: Twin | None = None
        self._files: dict[str, int] = {}
        self._stored = _Sieve()
        """The ids, aliases, content hashes and works' keys of this segment."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def rows(self) -> int:
        return self.next - self.first

    def add(self, record: Record) -> StoreOutcome:
        """Store one record. Raises ValueError if it holds half a surrogate pair."""
        try:
            with self._lock:
                return self._add(record)
        except UnicodeEncodeError as error:
            raise ValueError("the record holds half a surrogate pair") from error

    def delete(self, identifier: str) -> bool:
        """Remove an id; False if it is not stored."""
        with self._lock:
            known = self._lookup(identifier)
            if known is not None:
                self._forget(identifier, known)
            return known is not None

    def name(self, identifier: str, label: int) -> None:
        """Make an id that is not known yet an alias of a document of this segment."""
        with self._lock:
            self._alias([identifier], label)
            self.changes += 1
            self.aliases += 1

    def read(self, start: int, size: int) -> list[Document]:
        """Up to `size` documents from label `start` (of this segment) on, dead ones too; fewer
        where their texts are long."""
        with self._lock, contextlib.closing(self._db.execute(_TEXTS, (start, size))) as rows:
            return [Document(*row) for row in _at_once(rows, 2)]

    def finish(self) -> None:
        """Complete the file."""
        with self._lock:
            self._db.execute("COMMIT")
        self.close()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # All below: the lock is held.

    def _add(self, record: Record) -> StoreOutcome:
        document, place = record.document, record.place
        at = (place.file, place.line if place.line is not None else place.offset)
        self.twin = None
        work, digest = Work(document), document.content_hash()
        # Sorted keys, so that equal metadata are equal bytes.
        encoded = msgspec.json.encode(document.metadata, order="deterministic")
        metadata = encoded if document.metadata else None
        known, held = self._lookup(document.id), None
        same = self._holds(known, digest, metadata)
        if known is not None and not same:
            held = self._document(known.label)
            by_doi = same_doi(str(document.metadata.get("doi"))) == document.id
            numbered = (
                is_counter(document.id)
                and is_bibliographic(document)
                and document.metadata.get("pmid") != document.id
                and self._row(known.label)[4] != at[0]
            )
            if (by_doi or numbered) and not known.alias and not work.is_like(Work(held)):
                # A DOI of a supplement or of a whole book stands on many works, and the numbers of
                # one table are other works in another.
                made = made_identifier(document.metadata, document.title, document.text)
                document, known = replace(document, id=made), self._lookup(made)
                same = self._holds(known, digest, metadata)
                held = None if known is None or same else self._document(known.label)
        if known is not None and held is not None:
            if not known.alias and _is_older(document, held):
                return StoreOutcome.SAME
            why, file = work.same_as(Work(held)), self._row(known.label)[4]
            sources = self.dedupe == "merge" and file != at[0] and not _is_revision(document, held)
            # What was merged once, or comes from another source, is merged with it.
            if why and (sources or known.alias or self._names_of(known.label)):
                return self._merge(document, known.label, at, why)
            if is_bibliographic(document) and held.text.strip() and not document.text.strip():
                return self._merge(document, known.label, at, why or "same id")
        elif known is None and self.joins_twins and document.text.strip():
            # Equal titles without a text ("Editorial") may be different papers.
            twin = self._twin(document, digest)
            if twin is not None and is_bibliographic(document):
                self._merge(document, twin, at, "same text")
                self.twin = None
                return StoreOutcome.ALIAS
            if twin is not None:
                self.name(document.id, twin)
                return StoreOutcome.ALIAS
        keys = list(work.keys()) if self.keeps_works else []
        if self.dedupe == "merge" or (self.dedupe == "report" and not same):
            found = self._same_work(work, keys, known)
            if found is not None and self.dedupe == "merge":
                return self._merge(document, found[0], at, found[1], known)
        if same:
            return StoreOutcome.SAME
        if known is not None:
            self._forget(document.id, known)
        content = (document.title, document.text, metadata, digest)
        self._insert(document.id, *content, *at, keys=keys)
        return StoreOutcome.NEW if known is None else StoreOutcome.REPLACED

    def _holds(self, known: StoredId | None, digest: bytes, metadata: bytes | None) -> bool:
        """Whether an id has this content already; the metadata of an alias are not stored."""
        if known is None:
            return False
        _, _, had, kept, *_ = self._row(known.label)
        return bool(kept == digest and (known.alias or had == metadata))

    def _same_work(
        self, work: Work, keys: Iterable[int], known: StoredId | None
    ) -> tuple[int, str] | None:
        """Label and reason of a living document of the same work, besides that of the work's own
        id; it also becomes `twin`."""
        for key in keys:
            if not self.first and key not in self._stored:
                continue
            own = [int(row[0]) for row in self._db.execute(_WITH_WORK, (key,))]
            for label in (*own, *self._base.with_work(key)):
                if known is not None and label == known.label:
                    continue
                held = self._document(label)
                if self._lookup(held.id) != (label, False):
                    continue
                if why := work.same_as(Work(held)):
                    self.twin = Twin(held.id, why)
                    return label, why
        return None

    def _merge(
        self,
        document: Document,
        label: int,
        at: tuple[str, int | None],
        why: str,
        known: StoredId | None = None,
    ) -> StoreOutcome:
        """Put what a document of this label and another one of the same work have together in its
        place. The id is the better one by the rule of `identity`, the others are aliases. known:
        the other one's own row, if it is stored already."""
        held = self._document(label)
        both = merged(held, document)
        names, aliases = {*self._names_of(label), held.id, document.id}, len(self._names_of(label))
        if known is not None and known.alias:
            aliases += 1  # of another document, until now
        elif known is not None:
            stored = self._names_of(known.label)
            names, aliases = {*names, *stored}, aliases + len(stored)
            self._bury(document.id, known.label)
        elif both == held and self._lookup(document.id) is not None:
            return StoreOutcome.SAME
        self.twin = Twin(held.id, why)
        metadata = msgspec.json.encode(both.metadata, order="deterministic")
        self._bury(held.id, label)
        content = (both.title, both.text, metadata, both.content_hash())
        self._insert(both.id, *content, *at, keys=Work(both).keys() if self.keeps_works else ())
        self._db.execute("DELETE FROM aliases WHERE id = ?", (both.id,))
        names.discard(both.id)
        self._alias(names, self.next - 1)
        self.aliases += len(names) - aliases
        return StoreOutcome.MERGED

    def _lookup(self, identifier: str) -> StoredId | None:
        if identifier in self._stored:
            for kind, label in self._db.execute(_IN_FORCE, (identifier,)):
                return None if kind == 2 else StoredId(label, kind == 1)
        return self._base.lookup(identifier)

    def _document(self, label: int) -> Document:
        """A row of any segment as a document."""
        if label < self.first:
            return self._base.get([label])[0]
        rows = self._db.execute(_BY_LABELS, (f"[{label}]",)).fetchall()
        _, identifier, title, text, metadata = rows[0]
        return Document(identifier, title, text, msgspec.json.decode(metadata or b"{}"))

    def _row(self, label: int) -> tuple[Any, ...]:
        """Title, text, metadata, content hash, file and line of a row of any segment."""
        if label >= self.first:
            rows = self._db.execute(_ROW, (label,)).fetchall()
        else:
            rows = [row for segment in self._base.segments for row in segment.rows(_ROW, [label])]
        return tuple(rows[0])

    def _twin(self, document: Document, digest: bytes) -> int | None:
        """The label of a living document with the same text, unless it is of another work."""
        live = "SELECT label FROM documents WHERE hash = ? AND dead = 0"
        found = self._db.execute(live, (digest,)) if digest in self._stored else ()
        own = [int(label) for (label,) in found]
        dead = (self._base_dead, self.died)
        older = self._base.same_content(digest)
        for label in (*own, *(one for one in older if not any(one in each for each in dead))):
            if not is_bibliographic(document):
                return label
            held, work = Work(self._document(label)), Work(document)
            if held.kind == work.kind and not held.contradicts(work):
                return label
        return None

    def _insert(self, identifier: str, *content: Any, keys: Iterable[int] = ()) -> None:
        """Add a row of title, text, metadata, content hash, file and line, and its works' keys."""
        *values, file, at = content
        name = file.encode("utf-8", "replace").decode()
        if name not in self._files:
            self._files[name] = len(self._files)
            self._db.execute("INSERT INTO files VALUES (?, ?)", (self._files[name], name))
        self._db.execute(_INSERT, (self.next, identifier, *values, self._files[name], at))
        self._appear(identifier)
        self._stored.add(values[-1])
        rows = [(key, self.next) for key in keys]
        self._db.executemany("INSERT OR IGNORE INTO works VALUES (?, ?)", rows)
        for key, _ in rows:
            self._stored.add(key)
        self.next += 1
        self.changes += 1
        if self.rows % _COMMIT_EVERY == 0:
            # Bounds the journal that SQLite keeps in memory.
            self._db.execute("COMMIT")
            self._db.execute("BEGIN")

    def _alias(self, identifiers: Iterable[str], label: int) -> None:
        for identifier in identifiers:
            self._db.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?)", (identifier, label))
            self._appear(identifier)

    def _appear(self, identifier: str) -> None:
        if identifier in self._stored:
            self._db.execute("DELETE FROM gone WHERE id = ?", (identifier,))
        self._stored.add(identifier)

    def _forget(self, identifier: str, known: StoredId) -> None:
        """Remove an id or alias; a document without its id is dead, unless it has an alias, which
        then becomes its id."""
        self.changes += 1
        if known.alias:
            self._db.execute("DELETE FROM aliases WHERE id = ?", (identifier,))
            self._hide(identifier)
            self.aliases -= 1
            return
        heirs = self._names_of(known.label)
        self._bury(identifier, known.label)
        if heirs:
            heir, *others = heirs
            self._db.execute("DELETE FROM aliases WHERE id = ?", (heir,))
            self.aliases -= 1
            keys = Work(self._document(known.label)).keys() if self.keeps_works else ()
            self._insert(heir, *self._row(known.label), keys=keys)
            self._alias(others, self.next - 1)

    def _names_of(self, label: int) -> list[str]:
        """The aliases in force of a label, sorted."""
        rows = self._db.execute("SELECT id FROM aliases WHERE label = ?", (label,))
        named = {row[0] for row in rows} | set(self._base.aliases(label))
        return sorted(name for name in named if self._lookup(name) == (label, True))

    def _bury(self, identifier: str, label: int) -> None:
        """Mark a row dead, and take its id from it."""
        if label >= self.first:
            self._db.execute("UPDATE documents SET dead = 1 WHERE label = ?", (label,))
        self._hide(identifier)
        self.died.add(label)

    def _hide(self, identifier: str) -> None:
        if self._base.lookup(identifier) is not None:
            self._db.execute("INSERT OR IGNORE INTO gone VALUES (?)", (identifier,))
            self._stored.add(identifier)


def _is_older(document: Document, held: Document) -> bool:
    """Whether a record is of an older version or revision of its PMID than the stored one."""
    states = [
        (one.metadata.get("pmid_version", 1), str(one.metadata.get("revised") or ""))
        for one in (document, held)
    ]
    versions = [version if isinstance(version, int) else 1 for version, _ in states]
    if versions[0] != versions[1]:
        return versions[0] < versions[1]
    return _is_revision(document, held) and states[0][1] < states[1][1]


def _is_revision(document: Document, held: Document) -> bool:
    """Whether both are states of one record of a database, of which the later one stands."""
    return bool(document.metadata.get("revised") and held.metadata.get("revised"))
