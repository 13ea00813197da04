"""Writes the documents of an index: a segment, an SQLite file, on top of older ones.

Writing, a record with a known id replaces the earlier one; one with a known text under another id
becomes an alias of it; a deletion removes. A record that `duplicates` knows as the work of another
id is merged with it or named. Rows are never changed, only marked dead, so that the encoder, which
reads meanwhile, always finds the same text under a label.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec
from msgspec.structs import replace

from bioretrieval_tui.documents.document import Document, Record
from bioretrieval_tui.documents.duplicates import Work, is_bibliographic, merged
from bioretrieval_tui.documents.identity import is_counter, made_identifier, same_doi
from bioretrieval_tui.documents.source import Dedupe
from bioretrieval_tui.documents.store import (
    APPLICATION,
    BY_LABELS,
    IN_FORCE,
    SCHEMAS,
    VERSION,
    WITH_WORK,
    DocumentStore,
    StoredId,
    at_once,
)

_COMMIT_EVERY = 20_000
_CACHE_KIB = 65_536
_TEXTS = "SELECT id, title, text FROM documents WHERE label >= ? ORDER BY label LIMIT ?"
_FIELDS = """
SELECT dead, id, text, metadata FROM documents WHERE label >= ? ORDER BY label LIMIT ?
"""
_INSERT = "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)"
_ROW = """
SELECT title, text, metadata, hash, (SELECT name FROM files WHERE number = documents.file), line
FROM documents WHERE label = ?
"""


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
            f" PRAGMA cache_size=-{_CACHE_KIB}; PRAGMA application_id={APPLICATION};"
            f" PRAGMA user_version={VERSION}; {SCHEMAS[VERSION]} BEGIN;"
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

    @property
    def size(self) -> int:
        """Bytes of the file, with what is not written to it yet."""
        with self._lock:
            (pages,), (each,) = (
                self._db.execute(f"PRAGMA {name}").fetchone()
                for name in ("page_count", "page_size")
            )
            return int(pages * each)

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

    def knows(self, identifier: str) -> bool:
        """Whether an id or alias is in force."""
        with self._lock:
            return self._lookup(identifier) is not None

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
            return [Document(*row) for row in at_once(rows, 2)]

    def fields(self, start: int, size: int) -> list[tuple[str, bool, bytes] | None]:
        """Id, whether there is a text, and metadata in JSON of `size` documents from label `start`
        (of this segment) on; None for dead ones."""
        with self._lock, contextlib.closing(self._db.execute(_FIELDS, (start, size))) as rows:
            return [
                None if dead else (name, bool(text.strip()), metadata or b"{}")
                for dead, name, text, metadata in rows
            ]

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
            own = [int(row[0]) for row in self._db.execute(WITH_WORK, (key,))]
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
            for kind, label in self._db.execute(IN_FORCE, (identifier,)):
                return None if kind == 2 else StoredId(label, kind == 1)
        return self._base.lookup(identifier)

    def _document(self, label: int) -> Document:
        """A row of any segment as a document."""
        if label < self.first:
            return self._base.get([label])[0]
        rows = self._db.execute(BY_LABELS, (f"[{label}]",)).fetchall()
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
