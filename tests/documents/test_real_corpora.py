"""Real corpora through reader and store, counted by other means; skipped where they are absent."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bioretrieval_tui.documents.detect import items, recognise, resolve
from bioretrieval_tui.documents.document import Document, Item, Record
from bioretrieval_tui.documents.source import ReadSettings, SourceReader
from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.documents.store_writer import StoreOutcome, StoreWriter

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def corpus_of(name: str) -> Path:
    if not (DATA / name).is_dir():
        pytest.skip(f"no corpus {name} beside this checkout")
    (path,) = resolve([DATA / name]).files
    assert path is not None
    return path


def lines_of(path: Path) -> int:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        return sum(1 for line in stream if line.strip())


def read(path: Path) -> list[Item]:
    with SourceReader(path) as source:
        format_ = recognise(source)
        assert format_.name == "beir"
        found = list(items(source, format_, ReadSettings()))
        assert source.consumed == path.stat().st_size
    return found


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("scifact", 5_183),
        ("med-1033", 1_033),
        ("evidence-inference", 4_470),
        ("ohsumed-7400", 7_400),
    ],
)
def test_a_real_corpus(tmp_path: Path, name: str, count: int) -> None:
    path = corpus_of(name)
    found = read(path)
    records = [item for item in found if isinstance(item, Record)]
    assert len(records) == len(found) == count == lines_of(path)
    kept: list[Document] = []
    with StoreWriter(tmp_path / "s.sqlite") as writer:
        for record in records:
            outcome = writer.add(record)
            assert outcome in (StoreOutcome.NEW, StoreOutcome.ALIAS)
            if outcome is StoreOutcome.NEW:
                kept.append(record.document)
        writer.finish()
    store = DocumentStore([tmp_path / "s.sqlite"])
    assert [document for batch in store.batches(512) for document in batch] == kept
    for record in records[:: count // 100]:
        found_there = store.find(record.document.id)
        assert found_there is not None
        assert found_there[1].content_hash() == record.document.content_hash()
    store.close()


def test_a_large_packed_corpus() -> None:
    path = corpus_of("pubmed-citations")
    found = read(path)
    assert len(found) == 172_406 == lines_of(path)
    assert all(isinstance(item, Record) for item in found)
