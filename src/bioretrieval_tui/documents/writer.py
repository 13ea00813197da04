"""Writing one segment of a document store from a stream of records.

A record with a known id replaces the earlier one; one with a known text under another id becomes
an alias of it; a deletion removes. Rows are never changed, only marked dead, so that the encoder,
which reads meanwhile, always finds the same text under a label.
"""

from __future__ import annotations

import sqlite3
import threading
from enum import Enum
from pathlib import Path
from typing import Any, Self

import msgspec

from bioretrieval_tui.documents.document import Document, Record
from bioretrieval_tui.documents.store import (
    APPLICATION,
    IN_FORCE,
    SCHEMA,
    VERSION,
    DocumentStore,
    StoredId,
)

_COMMIT_EVERY = 20_000
_CACHE_KIB = 65_536
_INSERT = "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)"
_ROW = """
SELECT title, text, metadata, hash, (SELECT name FROM files WHERE number = documents.file), line
FROM documents WHERE label = ?
"""


class StoreOutcome(Enum):
    """What the store did with a record. SAME: it is stored already; ALIAS: its text is stored under
    another id, of which its own is now an alias."""

    NEW = "new"
    SAME = "same"
    ALIAS = "alias"
    REPLACED = "replaced"


class StoreWriter:
    """Writes a new segment at `path`, on top of `base` if given; a context manager.

    dead: labels of `base` that are dead already; next: the label of the next row, below which all
    can be read; died: labels, also of older segments, that died meanwhile; changes: 0 if there is
    nothing new; aliases: those added, less those removed; joins_twins: whether an id with the text
    of another id becomes an alias of it.

    The file is valid only after `finish()`, so it is written without a journal on disk and without
    flushes. `add` and `delete` are for one thread; `read` may be called from another. All raise
    sqlite3.Error if the disk is full or the file cannot be written.
    """

    def __init__(
        self, path: Path, base: DocumentStore | None = None, dead: frozenset[int] = frozenset()
    ) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.executescript(
            "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;"
            f" PRAGMA cache_size=-{_CACHE_KIB}; PRAGMA application_id={APPLICATION};"
            f" PRAGMA user_version={VERSION}; {SCHEMA} BEGIN;"
        )
        self._base = base or DocumentStore([])
        self._base_dead = dead
        self.first = self._base.rows
        self.next = self.first
        self.died: set[int] = set()
        self.changes = 0
        self.aliases = 0
        self.joins_twins = True
        self._files: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def rows(self) -> int:
        """Rows of this segment, dead ones too."""
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
            self._name(identifier, label)

    def read(self, start: int, size: int) -> list[Document]:
        """Up to `size` documents from label `start` (of this segment) on, dead ones too."""
        with self._lock:
            rows = self._db.execute(
                "SELECT id, title, text FROM documents WHERE label >= ? ORDER BY label LIMIT ?",
                (start, size),
            ).fetchall()
        return [Document(*row) for row in rows]

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
        digest = document.content_hash()
        # Sorted keys, so that equal metadata are equal bytes.
        encoded = msgspec.json.encode(document.metadata, order="deterministic")
        metadata = encoded if document.metadata else None
        known = self._lookup(document.id)
        if known is not None:
            _, _, held, kept, *_ = self._row(known.label)
            # The metadata of an alias are not stored.
            if kept == digest and (known.alias or held == metadata):
                return StoreOutcome.SAME
            self._forget(document.id, known)
        elif self.joins_twins and document.text.strip():
            # Equal titles without a text ("Editorial") may be different papers.
            twin = self._twin(digest)
            if twin is not None:
                self._name(document.id, twin)
                return StoreOutcome.ALIAS
        at = place.line if place.line is not None else place.offset
        content = (document.title, document.text, metadata, digest)
        self._insert(document.id, *content, place.file, at)
        return StoreOutcome.NEW if known is None else StoreOutcome.REPLACED

    def _lookup(self, identifier: str) -> StoredId | None:
        for kind, label in self._db.execute(IN_FORCE, (identifier,)):
            return None if kind == 2 else StoredId(label, kind == 1)
        return self._base.lookup(identifier)

    def _row(self, label: int) -> tuple[Any, ...]:
        """Title, text, metadata, content hash, file and line of a row of any segment."""
        if label >= self.first:
            rows = self._db.execute(_ROW, (label,)).fetchall()
        else:
            rows = [row for segment in self._base.segments for row in segment.rows(_ROW, [label])]
        return tuple(rows[0])

    def _twin(self, digest: bytes) -> int | None:
        """A live document with this content."""
        live = "SELECT label FROM documents WHERE hash = ? AND dead = 0"
        for (label,) in self._db.execute(live, (digest,)):
            return int(label)
        older = self._base.same_content(digest)
        dead = (self._base_dead, self.died)
        return next((label for label in older if not any(label in one for one in dead)), None)

    def _name(self, identifier: str, label: int) -> None:
        self._db.execute("INSERT INTO aliases VALUES (?, ?)", (identifier, label))
        self._db.execute("DELETE FROM gone WHERE id = ?", (identifier,))
        self.changes += 1
        self.aliases += 1

    def _insert(self, identifier: str, *content: Any) -> None:
        """Add a row of title, text, metadata, content hash, file and line."""
        *values, file, at = content
        name = file.encode("utf-8", "replace").decode()
        if name not in self._files:
            self._files[name] = len(self._files)
            self._db.execute("INSERT INTO files VALUES (?, ?)", (self._files[name], name))
        self._db.execute(_INSERT, (self.next, identifier, *values, self._files[name], at))
        self._db.execute("DELETE FROM gone WHERE id = ?", (identifier,))
        self.next += 1
        self.changes += 1
        if self.rows % _COMMIT_EVERY == 0:
            # Bounds the journal that SQLite keeps in memory.
            self._db.execute("COMMIT")
            self._db.execute("BEGIN")

    def _forget(self, identifier: str, known: StoredId) -> None:
        """Remove an id or alias; a document without its id is dead, unless it has an alias, which
        then becomes its id."""
        self.changes += 1
        if known.alias:
            self._db.execute("DELETE FROM aliases WHERE id = ?", (identifier,))
            self._hide(identifier)
            self.aliases -= 1
            return
        heirs = self._aliases(known.label)
        if known.label >= self.first:
            self._db.execute("UPDATE documents SET dead = 1 WHERE label = ?", (known.label,))
        self._hide(identifier)
        self.died.add(known.label)
        if heirs:
            heir, *others = heirs
            self._db.execute("DELETE FROM aliases WHERE id = ?", (heir,))
            self.aliases -= 1
            self._insert(heir, *self._row(known.label))
            self._db.executemany(
                "INSERT OR REPLACE INTO aliases VALUES (?, ?)",
                [(name, self.next - 1) for name in others],
            )

    def _hide(self, identifier: str) -> None:
        if self._base.lookup(identifier) is not None:
            self._db.execute("INSERT OR IGNORE INTO gone VALUES (?)", (identifier,))

    def _aliases(self, label: int) -> list[str]:
        rows = self._db.execute("SELECT id FROM aliases WHERE label = ?", (label,))
        named = {row[0] for row in rows} | set(self._base.aliases(label))
        return sorted(name for name in named if self._lookup(name) == (label, True))
