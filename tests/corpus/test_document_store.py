"""The document store: labels, duplicates, reading back, damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from bioretrieval_tui.corpus.document import Document, Record
from bioretrieval_tui.corpus.store import DocumentStore, StoreWriter
from bioretrieval_tui.errors import CorpusError, IndexFault


def write(path: Path, documents: list[Document]) -> DocumentStore:
    with StoreWriter(path) as writer:
        for number, document in enumerate(documents, start=1):
            assert writer.add(Record(document, "c.jsonl", number)) == number - 1
        assert writer.finish() == len(documents)
    return DocumentStore(path)


DOCUMENTS = [
    Document(f"d{number}", f"title {number}", "é\u2028\x1b[31m" * number, {"n": [number, None]})
    for number in range(25)
]


@pytest.fixture
def store(tmp_path: Path) -> DocumentStore:
    return write(tmp_path / "a b?#%.sqlite", DOCUMENTS)


def test_labels_are_rows(store: DocumentStore) -> None:
    assert store.count == 25
    assert store.get([7, 0, 24, 7]) == [DOCUMENTS[7], DOCUMENTS[0], DOCUMENTS[24], DOCUMENTS[7]]
    assert store.get([]) == []
    assert store.find("d3") == (3, DOCUMENTS[3])
    assert store.find("none") is None
    assert store.labels(["d3", "none", "d1"]) == {"d3": 3, "d1": 1}


@pytest.mark.parametrize("size", [1, 7, 25, 100])
def test_batches_give_all_in_order(store: DocumentStore, size: int) -> None:
    batches = list(store.batches(size))
    assert [document for batch in batches for document in batch] == DOCUMENTS
    assert max(map(len, batches)) == min(size, 25)
    assert [d.id for batch in store.batches(size, start=20) for d in batch] == [
        f"d{number}" for number in range(20, 25)
    ]


def test_many_labels_at_once(tmp_path: Path) -> None:
    documents = [Document(str(number)) for number in range(5_000)]
    store = write(tmp_path / "s.sqlite", documents)
    assert store.get(range(4_999, -1, -1)) == documents[::-1]


def test_a_label_that_is_not_there(store: DocumentStore) -> None:
    with pytest.raises(IndexFault, match="holds no document 25"):
        store.get([0, 25])


def test_a_duplicate_names_both_places(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s.sqlite") as writer:
        writer.add(Record(Document("x"), "one.jsonl", 3))
        writer.add(Record(Document("y"), "one.jsonl", 4))
        with pytest.raises(CorpusError) as caught:
            writer.add(Record(Document("x", "other"), "two.jsonl", 9))
    assert caught.value.message == ("two.jsonl:9: the id 'x' was given before at one.jsonl:3")


def test_half_a_surrogate_pair(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s.sqlite") as writer, pytest.raises(CorpusError, match="c:1"):
        writer.add(Record(Document("x", "\ud800"), "c", 1))


def test_content_hash_is_of_title_and_text() -> None:
    one = Document("a", "ti", "text", {"year": 1})
    assert one.content_hash() == Document("b", "ti", "text").content_hash()
    assert one.content_hash() != Document("a", "tit", "ext").content_hash()
    assert len(one.content_hash()) == 32


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(IndexFault):
        DocumentStore(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()
    (tmp_path / "text.sqlite").write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(IndexFault):
        DocumentStore(tmp_path / "text.sqlite")
    (tmp_path / "empty.sqlite").write_bytes(b"")
    with pytest.raises(IndexFault, match="not a document store"):
        DocumentStore(tmp_path / "empty.sqlite")


def test_a_cut_store_is_a_fault(store: DocumentStore) -> None:
    data = store.path.read_bytes()
    store.close()
    for share in (0.1, 0.5, 0.9):
        store.path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(IndexFault):  # noqa: PT012 - opening may succeed, reading must not
            damaged = DocumentStore(store.path)
            assert [d for batch in damaged.batches(5) for d in batch] == DOCUMENTS
            raise AssertionError("a cut store was read whole")
