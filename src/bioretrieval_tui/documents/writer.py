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
from bioretrieval_tui.documents.store import APPLICATION, SCHEMA, VERSION, DocumentStore, StoredId

_COMMIT_EVERY = 20_000
_INSERT = "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)"
_CACHE_KIB = 65_536


class StoreOutcome(Enum):
    """What the store did with a record."""

    NEW = "new"
    SAME = "same"
    """The same record is stored already."""
    ALIAS = "alias"
    """The same text is stored under another id; this id is now an alias of it."""
    REPLACED = "replaced"


class StoreWriter:
    """Writes a new segment at `path`, on top of `base` if given; a context manager.

    dead: labels of `base` that are dead already. The file is valid only after `finish()`, so it is
    written without a journal on disk and without flushes. `add` and `delete` are for one thread;
    `read` may be called from another.

    Raises (all methods):
        sqlite3.Error: the disk is full or the file cannot be written.
    """

    def __init__(
        self, path: Path, base: DocumentStore | None = None, dead: frozenset[int] = frozenset()
    ) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=MEMORY")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        self._db.execute(f"PRAGMA application_id={APPLICATION}")
        self._db.execute(f"PRAGMA user_version={VERSION}")
        self._db.executescript(SCHEMA)
        self._db.execute("BEGIN")
        self._base = base
        self._base_dead = dead
        self.first = base.rows if base is not None else 0
        self.next = self.first
        """The label of the next row; all below it can be read."""
        self.died: set[int] = set()
        """Labels, of this segment and of older ones, that died while it was written."""
        self.changes = 0
        """Number of changes; 0 means that there is nothing new."""
        self.aliases = 0
        """Aliases added, less those removed."""
        self.joins_twins = True
        """Whether an id with the text of another id becomes an alias of it."""
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
            if known is None:
                return False
            self._forget(identifier, known)
            return True

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
        """Close the file; safe to call twice."""
        with self._lock:
            self._db.close()

    # All below: the lock is held.

    def _add(self, record: Record) -> StoreOutcome:
        document = record.document
        digest = document.content_hash()
        metadata = _packed(document)
        known = self._lookup(document.id)
        if known is not None and self._same(known, digest, metadata):
            return StoreOutcome.SAME
        if known is None and self.joins_twins and document.text.strip():
            # Equal titles without a text ("Editorial") may be different papers.
            twin = self._twin(digest)
            if twin is not None:
                self._name(document.id, twin)
                return StoreOutcome.ALIAS
        place = record.place
        where = (place.file, place.line if place.line is not None else place.offset)
        if known is not None:
            self._forget(document.id, known)
        self._insert(document, metadata, digest, where)
        return StoreOutcome.NEW if known is None else StoreOutcome.REPLACED

    def _lookup(self, identifier: str) -> StoredId | None:
        row = self._db.execute(
            "SELECT label FROM documents WHERE id = ? AND dead = 0", (identifier,)
        ).fetchone()
        if row is not None:
            return StoredId(row[0], alias=False)
        row = self._db.execute("SELECT label FROM aliases WHERE id = ?", (identifier,)).fetchone()
        if row is not None:
            return StoredId(row[0], alias=True)
        if self._base is None:
            return None
        gone = self._db.execute("SELECT 1 FROM gone WHERE id = ?", (identifier,)).fetchone()
        return None if gone else self._base.lookup(identifier)

    def _same(self, known: StoredId, digest: bytes, metadata: bytes | None) -> bool:
        """Whether the stored record has this content and metadata; of an alias, whose metadata is
        not stored, this content."""
        rows = self._rows("SELECT hash, metadata FROM documents WHERE label = ?", known.label)
        return any(
            bytes(kept) == digest and (known.alias or held == metadata) for kept, held in rows
        )

    def _rows(self, statement: str, label: int) -> list[Any]:
        """The rows of a label, in this segment or in the older one that holds it."""
        if label >= self.first:
            return self._db.execute(statement, (label,)).fetchall()
        older = self._base.segments if self._base is not None else ()
        return [row for segment in older for row in segment.rows(statement, [label])]

    def _twin(self, digest: bytes) -> int | None:
        """A live document with this content."""
        row = self._db.execute(
            "SELECT label FROM documents WHERE hash = ? AND dead = 0", (digest,)
        ).fetchone()
        if row is not None:
            return int(row[0])
        for label in self._base.same_content(digest) if self._base is not None else ():
            if label not in self._base_dead and label not in self.died:
                return label
        return None

    def _name(self, identifier: str, label: int) -> None:
        self._db.execute("INSERT INTO aliases VALUES (?, ?)", (identifier, label))
        self._db.execute("DELETE FROM gone WHERE id = ?", (identifier,))
        self.changes += 1
        self.aliases += 1

    def _insert(
        self,
        document: Document,
        metadata: bytes | None,
        digest: bytes,
        where: tuple[str, int | None],
    ) -> None:
        file, at = where
        values = (document.id, document.title, document.text, metadata, digest)
        self._db.execute(_INSERT, (self.next, *values, self._file_number(file), at))
        self._db.execute("DELETE FROM gone WHERE id = ?", (document.id,))
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
        if not heirs:
            return
        document, where, digest = self._row(known.label)
        heir, *others = heirs
        self._db.execute("DELETE FROM aliases WHERE id = ?", (heir,))
        self.aliases -= 1
        self._insert(
            Document(heir, document.title, document.text, document.metadata),
            _packed(document),
            digest,
            where,
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO aliases VALUES (?, ?)",
            [(name, self.next - 1) for name in others],
        )

    def _hide(self, identifier: str) -> None:
        if self._base is not None and self._base.lookup(identifier) is not None:
            self._db.execute("INSERT OR IGNORE INTO gone VALUES (?)", (identifier,))

    def _aliases(self, label: int) -> list[str]:
        named = {
            row[0] for row in self._db.execute("SELECT id FROM aliases WHERE label = ?", (label,))
        }
        if self._base is not None and label < self.first:
            named.update(self._base.aliases(label))
        return sorted(name for name in named if self._lookup(name) == StoredId(label, alias=True))

    def _row(self, label: int) -> tuple[Document, tuple[str, int | None], bytes]:
        """A row with the place that it came from and its content hash."""
        statement = (
            "SELECT id, title, text, metadata, name, line, hash FROM documents"
            " JOIN files ON files.number = documents.file WHERE label = ?"
        )
        identifier, title, text, metadata, name, line, digest = self._rows(statement, label)[0]
        fields = msgspec.json.decode(metadata) if metadata else {}
        return Document(identifier, title, text, fields), (name, line), bytes(digest)

    def _file_number(self, name: str) -> int:
        shown = name.encode("utf-8", "replace").decode()
        number = self._files.get(shown)
        if number is None:
            number = self._files[shown] = len(self._files)
            self._db.execute("INSERT INTO files VALUES (?, ?)", (number, shown))
        return number


def _packed(document: Document) -> bytes | None:
    """Encode metadata with sorted keys, so that equal metadata are equal bytes."""
    if not document.metadata:
        return None
    return msgspec.json.encode(document.metadata, order="deterministic")
