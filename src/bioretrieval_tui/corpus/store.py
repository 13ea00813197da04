"""The documents of an index in one SQLite file; a document's label is its row and its vector's.

Labels count from 0 without gaps in the order of arrival, so row i of the vectors belongs to
label i. Written once, as a stream, by `StoreWriter`; read by `DocumentStore` afterwards.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import msgspec

from bioretrieval_tui.corpus.document import Document, Record
from bioretrieval_tui.errors import CorpusError, IndexFault

_APPLICATION = 0x42525455  # "BRTU"
_VERSION = 1
_COMMIT_EVERY = 20_000

_SCHEMA = """
CREATE TABLE documents (
    label INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    metadata BLOB,
    hash BLOB NOT NULL,
    file INTEGER NOT NULL,
    line INTEGER NOT NULL
);
CREATE TABLE files (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
"""

# A list of any length goes in as one JSON parameter: builds of SQLite differ in how many `?`
# they take.
_BY_LABELS = """
SELECT label, id, title, text, metadata FROM documents
WHERE label IN (SELECT value FROM json_each(?))
"""
_BY_ID = "SELECT label, id, title, text, metadata FROM documents WHERE id = ?"
_LABELS = "SELECT id, label FROM documents WHERE id IN (SELECT value FROM json_each(?))"
_FROM = """
SELECT label, id, title, text, metadata FROM documents
WHERE label >= ? ORDER BY label LIMIT ?
"""


class StoreWriter:
    """Writes a new store at `path`; use as a context manager.

    The file is complete once `finish()` returned. Without it the file is worthless, which is
    why it is written with neither journal on disk nor flushes: its folder is thrown away then.

    Raises (all methods):
        sqlite3.Error: the disk is full or the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=MEMORY")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute(f"PRAGMA application_id={_APPLICATION}")
        self._db.execute(f"PRAGMA user_version={_VERSION}")
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN")
        self._count = 0
        self._files: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def count(self) -> int:
        """Documents so far; the label that the next one gets."""
        return self._count

    def add(self, record: Record) -> int:
        """Append one document and return its label.

        Raises:
            CorpusError: the id was given before; the message names both places.
        """
        document = record.document
        metadata = msgspec.json.encode(document.metadata) if document.metadata else None
        row = (
            self._count,
            document.id,
            document.title,
            document.text,
            metadata,
            document.content_hash(),
            self._file_number(record.file),
            record.line,
        )
        try:
            self._db.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        except sqlite3.IntegrityError as error:
            raise self._duplicate(record) from error
        except UnicodeEncodeError as error:
            raise CorpusError(
                f"{record.place}: the record holds half a surrogate pair, which is no text"
            ) from error
        self._count += 1
        if self._count % _COMMIT_EVERY == 0:
            # Bounds the journal that SQLite keeps in memory.
            self._db.execute("COMMIT")
            self._db.execute("BEGIN")
        return self._count - 1

    def finish(self) -> int:
        """Complete the file and return the number of documents."""
        self._db.execute("COMMIT")
        self.close()
        return self._count

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        self._db.close()

    def _file_number(self, name: str) -> int:
        number = self._files.get(name)
        if number is None:
            number = self._files[name] = len(self._files)
            shown = name.encode("utf-8", "replace").decode()
            self._db.execute("INSERT INTO files VALUES (?, ?)", (number, shown))
        return number

    def _duplicate(self, record: Record) -> CorpusError:
        earlier = self._db.execute(
            "SELECT name, line FROM documents JOIN files ON files.number = documents.file"
            " WHERE id = ?",
            (record.document.id,),
        ).fetchone()
        first = f"{earlier[0]}:{earlier[1]}" if earlier else "an earlier place"
        return CorpusError(
            f"{record.place}: the id {record.document.id!r} was given before at {first}",
            remedy="remove one of the two",
        )


class DocumentStore:
    """The documents of a finished store, read-only; usable from several threads.

    Raises (all methods):
        IndexFault: the file is not there, is no store of ours, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        try:
            self._db = sqlite3.connect(
                address, uri=True, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self._fault(error) from error
        try:
            application = self._rows("PRAGMA application_id")[0][0]
            version = self._rows("PRAGMA user_version")[0][0]
            if (application, version) != (_APPLICATION, _VERSION):
                raise IndexFault(f"{path.name} is not a document store of this version")
            self._count = int(self._rows("SELECT count(*) FROM documents")[0][0])
        except BaseException:
            self._db.close()
            raise

    @property
    def count(self) -> int:
        """How many documents there are; their labels are 0 to count - 1."""
        return self._count

    def get(self, labels: Sequence[int]) -> list[Document]:
        """The documents with these labels, in the order of `labels`."""
        wanted = [int(label) for label in labels]
        rows = self._rows(_BY_LABELS, [_json(wanted)])
        found = {row[0]: self._document(row) for row in rows}
        missing = next((label for label in wanted if label not in found), None)
        if missing is not None:
            raise IndexFault(f"{self.path.name} holds no document {missing}")
        return [found[label] for label in wanted]

    def find(self, identifier: str) -> tuple[int, Document] | None:
        """Label and document of an id, or None."""
        rows = self._rows(_BY_ID, [identifier])
        return (rows[0][0], self._document(rows[0])) if rows else None

    def labels(self, identifiers: Iterable[str]) -> dict[str, int]:
        """The labels of those ids that are here."""
        return dict(self._rows(_LABELS, [_json(list(identifiers))]))

    def batches(self, size: int, start: int = 0) -> Iterator[list[Document]]:
        """All documents from label `start` on, in label order, `size` at a time."""
        while start < self._count:
            rows = self._rows(_FROM, (start, size))
            if not rows or [row[0] for row in rows] != list(range(start, start + len(rows))):
                raise IndexFault(f"{self.path.name} lacks documents after label {start}")
            yield [self._document(row) for row in rows]
            start += len(rows)

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        with self._lock:
            self._db.close()

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(statement, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._fault(error) from error

    def _document(self, row: Sequence[Any]) -> Document:
        _, identifier, title, text, metadata = row
        try:
            fields: Mapping[str, Any] = msgspec.json.decode(metadata) if metadata else {}
        except msgspec.DecodeError as error:
            raise self._fault(error) from error
        return Document(identifier, title, text, fields)

    def _fault(self, error: Exception) -> IndexFault:
        return IndexFault(
            f"the document store {self.path.name} cannot be read: {error}",
            remedy="build the index again",
        )


def _json(values: list[int] | list[str]) -> str:
    return msgspec.json.encode(values).decode()
