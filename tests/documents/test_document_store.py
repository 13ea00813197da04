"""Reading segments as one store: labels, batches, lookups, damage."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bioretrieval_tui.documents import store as store_module
from bioretrieval_tui.documents.document import Document, Place, Record
from bioretrieval_tui.documents.store import DocumentStore, Segment
from bioretrieval_tui.documents.store_writer import StoreWriter
from bioretrieval_tui.errors import IndexFault


def write(path: Path, documents: list[Document], base: DocumentStore | None = None) -> Path:
    with StoreWriter(path, base) as writer:
        for number, document in enumerate(documents, start=1):
            writer.add(Record(document, Place("c.jsonl", line=number)))
        writer.finish()
    return path


DOCUMENTS = [
    Document(f"d{number}", f"title {number}", "é\u2028\x1b[31m" * number, {"n": [number, None]})
    for number in range(25)
]


@pytest.fixture(params=[1, 2, 5])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> DocumentStore:
    """The same documents in one segment, in two, and in five."""
    paths: list[Path] = []
    size = -(-len(DOCUMENTS) // request.param)
    for start in range(0, len(DOCUMENTS), size):
        path = tmp_path / f"a b?#%{start}.sqlite"
        paths.append(write(path, DOCUMENTS[start : start + size], DocumentStore(paths)))
    return DocumentStore(paths)


def test_labels_are_rows(store: DocumentStore) -> None:
    assert store.rows == 25
    assert store.get([7, 0, 24, 7]) == [DOCUMENTS[7], DOCUMENTS[0], DOCUMENTS[24], DOCUMENTS[7]]
    assert store.get([]) == []
    assert store.find("d3") == (3, DOCUMENTS[3])
    assert store.find("none") is None
    assert store.labels(["d3", "none", "d24"]) == {"d3": 3, "d24": 24}


@pytest.mark.parametrize("size", [1, 7, 25, 100])
def test_batches_give_all_in_order(store: DocumentStore, size: int) -> None:
    batches = list(store.batches(size))
    assert [document for batch in batches for document in batch] == DOCUMENTS
    assert max(map(len, batches)) <= size
    for start in (0, 4, 20, 24, 25):
        ids = [d.id for batch in store.batches(size, start=start) for d in batch]
        assert ids == [f"d{number}" for number in range(start, 25)]


def test_records_know_where_they_came_from(store: DocumentStore) -> None:
    found = list(store.records())
    assert [label for label, _ in found] == list(range(25))
    assert [record.document for _, record in found] == DOCUMENTS
    assert {record.place.file for _, record in found} == {"c.jsonl"}
    assert found[0][1].place == Place("c.jsonl", line=1)


def test_many_labels_at_once(tmp_path: Path) -> None:
    documents = [Document(str(number)) for number in range(5_000)]
    store = DocumentStore([write(tmp_path / "s.sqlite", documents)])
    assert store.get(range(4_999, -1, -1)) == documents[::-1]
    assert [record.document for _, record in store.records(1)] == documents[1:]


def test_a_label_that_is_not_there(store: DocumentStore) -> None:
    for label in (25, -1):
        with pytest.raises(IndexFault, match=f"holds no document {label}"):
            store.get([0, label])


def test_usable_from_several_threads(store: DocumentStore) -> None:
    wrong: list[object] = []

    def read() -> None:
        for _ in range(30):
            found = store.get(range(25))
            if found != DOCUMENTS:
                wrong.append(found)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_content_hash_is_of_title_and_text() -> None:
    one = Document("a", "ti", "text", {"year": 1})
    assert one.content_hash() == Document("b", "ti", "text").content_hash()
    assert one.content_hash() != Document("a", "tit", "ext").content_hash()
    assert len(one.content_hash()) == 16


def test_no_segment_and_an_empty_one(tmp_path: Path) -> None:
    assert DocumentStore([]).rows == 0
    empty = write(tmp_path / "empty.sqlite", [])
    full = write(tmp_path / "full.sqlite", DOCUMENTS, DocumentStore([empty]))
    store = DocumentStore([empty, full])
    assert store.rows == 25
    assert [d for batch in store.batches(9) for d in batch] == DOCUMENTS
    assert len(list(store.records())) == 25


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(IndexFault):
        DocumentStore([tmp_path / "none.sqlite"])
    assert not (tmp_path / "none.sqlite").exists()
    (tmp_path / "text.sqlite").write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(IndexFault):
        DocumentStore([tmp_path / "text.sqlite"])
    (tmp_path / "empty.sqlite").write_bytes(b"")
    with pytest.raises(IndexFault, match="not a document store"):
        DocumentStore([tmp_path / "empty.sqlite"])


def test_segments_in_the_wrong_order(tmp_path: Path) -> None:
    one = write(tmp_path / "one.sqlite", DOCUMENTS[:5])
    two = write(tmp_path / "two.sqlite", DOCUMENTS[5:], DocumentStore([one]))
    with pytest.raises(IndexFault, match="begins at document 5, not 0"):
        DocumentStore([two, one])
    with pytest.raises(IndexFault, match="begins at document 0, not 5"):
        DocumentStore([one, one])


def test_a_row_that_is_lacking(tmp_path: Path) -> None:
    path = write(tmp_path / "s.sqlite", DOCUMENTS)
    change(path, "DELETE FROM documents WHERE label = 12")
    store = DocumentStore([path])
    with pytest.raises(IndexFault, match="holds no document 12"):
        store.get([11, 12])
    with pytest.raises(IndexFault, match="lacks documents after label"):
        list(store.batches(5))


def test_a_text_that_was_altered_does_not_fit_its_hash(tmp_path: Path) -> None:
    path = write(tmp_path / "s.sqlite", DOCUMENTS)
    change(path, "UPDATE documents SET text = text || '.' WHERE label = 3")
    store = DocumentStore([path])
    assert [label for label in range(25) if not store.intact(label)] == [3]


@pytest.mark.parametrize(
    "value", [b"\xff", b"{", b'{"a"', b'{"a": "\xff"}', b'{"a": ' + b"[" * 100_000]
)
def test_metadata_that_is_no_json(tmp_path: Path, value: bytes) -> None:
    path = write(tmp_path / "s.sqlite", DOCUMENTS)
    change(path, "UPDATE documents SET metadata = ? WHERE label = 3", value)
    store = DocumentStore([path])
    assert store.get([2]) == [DOCUMENTS[2]]
    with pytest.raises(IndexFault, match="cannot be read"):
        store.get([3])


@pytest.mark.parametrize(
    ("column", "value"),
    [("id", b"d1"), ("title", b"x"), ("text", b""), ("metadata", 7), ("metadata", b"[1]")],
)
def test_a_value_of_another_type(tmp_path: Path, column: str, value: bytes | int) -> None:
    """As SQLite reads a damaged file."""
    path = write(tmp_path / "s.sqlite", DOCUMENTS[:3])
    change(path, f"UPDATE documents SET {column} = ? WHERE label = 1", value)  # noqa: S608
    store = DocumentStore([path])
    assert store.get([0, 2]) == [DOCUMENTS[0], DOCUMENTS[2]]
    with pytest.raises(IndexFault, match=r"s\.sqlite cannot be read"):
        store.get([1])
    with pytest.raises(IndexFault, match=r"s\.sqlite cannot be read"):
        list(store.records())
    if column == "id":
        with pytest.raises(IndexFault, match="ids"):
            store.ids([0, 1])


def change(path: Path, statement: str, *values: bytes | int) -> None:
    with sqlite3.connect(path) as db:
        db.execute(statement, values)
    db.close()


def test_opening_reads_no_rows(tmp_path: Path) -> None:
    """Of a million documents that would be a gigabyte."""
    segment = Segment(write(tmp_path / "s.sqlite", DOCUMENTS), 0)
    plan = [row[3] for row in segment.rows(f"EXPLAIN QUERY PLAN {store_module._ENDS}")]
    assert [step for step in plan if step.startswith("SCAN documents")] == []
    assert sum(step.startswith("SEARCH documents") for step in plan) == 2


def test_an_alias_without_a_label(tmp_path: Path) -> None:
    path = write(tmp_path / "s.sqlite", DOCUMENTS)
    change(path, "INSERT INTO aliases VALUES ('other', ?)", b"3")
    with pytest.raises(IndexFault, match="no label"):
        DocumentStore([path]).find("other")


ENDLESS = "WITH RECURSIVE n(label) AS (SELECT 1 UNION ALL SELECT label + 1 FROM n) SELECT * FROM n"
COUNTED = ENDLESS.replace("SELECT *", "SELECT max(label)")


@pytest.mark.parametrize(
    "script",
    [
        f"DROP TABLE documents; CREATE VIEW documents AS {ENDLESS}",
        f"CREATE VIEW more AS {ENDLESS}",
        "CREATE TRIGGER one AFTER INSERT ON files BEGIN DELETE FROM documents; END",
        "CREATE TEMP TABLE none (a); ALTER TABLE documents ADD COLUMN more AS (hex(text))",
        "DROP TABLE gone; CREATE VIRTUAL TABLE gone USING fts5(id)",
        "CREATE TABLE more (id TEXT)",
        "ALTER TABLE documents RENAME COLUMN line TO place",
        "DROP INDEX hashes; CREATE INDEX hashes ON documents (hex(hash))",
        "DROP INDEX live_ids",
        "DROP TABLE aliases; CREATE TABLE aliases (id TEXT PRIMARY KEY, label INTEGER NOT NULL)",
        "ANALYZE",
    ],
)  # fmt: skip
def test_a_file_with_other_tables_is_not_read(tmp_path: Path, script: str) -> None:
    """Nothing in it is asked: the file of the first case would never answer."""
    path = write(tmp_path / "s.sqlite", DOCUMENTS)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(script)
    with pytest.raises(IndexFault) as caught:
        DocumentStore([path])
    assert "s.sqlite holds other tables than a document store" in caught.value.line()
    assert "build the index again" in caught.value.line()


def test_other_blanks_and_a_journal_make_no_difference(tmp_path: Path) -> None:
    path = write(tmp_path / "s.sqlite", DOCUMENTS)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(
            "PRAGMA writable_schema=ON;"
            "UPDATE sqlite_master SET sql = replace(sql, ', ', ',\n        ') WHERE type = 'table'"
        )
    path.with_name("s.sqlite-journal").write_bytes(b"\xd9\xd5\x05\xf9 \xa1c\xd7" + bytes(600))
    path.with_name("s.sqlite-wal").write_bytes(b"not one")
    assert DocumentStore([path]).get([7]) == [DOCUMENTS[7]]


def test_an_interrupt_ends_a_query(tmp_path: Path) -> None:
    segment = Segment(write(tmp_path / "s.sqlite", DOCUMENTS), 0)
    threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        segment.rows(COUNTED)
    assert segment.rows("SELECT 1") == [(1,)]


def test_closing_ends_the_query_of_a_thread(tmp_path: Path) -> None:
    segment = Segment(write(tmp_path / "s.sqlite", DOCUMENTS), 0)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(segment.rows, COUNTED)
        while not segment._lock.locked() and not asked.done():
            time.sleep(0.001)
        segment.close()
        with pytest.raises(IndexFault):
            asked.result(timeout=30)


def test_a_segment_is_read_only(tmp_path: Path) -> None:
    segment = Segment(write(tmp_path / "s.sqlite", DOCUMENTS), 0)
    with pytest.raises(IndexFault, match="readonly"):
        segment.rows("DELETE FROM documents")
    segment.close()
    segment.close()
    with pytest.raises(IndexFault):
        segment.rows("SELECT 1")


def test_a_cut_store_is_a_fault(tmp_path: Path) -> None:
    path = write(tmp_path / "s.sqlite", DOCUMENTS)
    data = path.read_bytes()
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(IndexFault):  # noqa: PT012 - opening may succeed, reading must not
            damaged = DocumentStore([path])
            assert [d for batch in damaged.batches(5) for d in batch] == DOCUMENTS
            raise AssertionError("a cut store was read whole")
