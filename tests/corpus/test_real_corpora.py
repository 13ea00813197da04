"""Real corpora through reader and store, counted by other means; skipped where they are absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from bioretrieval_tui.corpus.beir import read_beir
from bioretrieval_tui.corpus.source import SourceReader, resolve
from bioretrieval_tui.corpus.store import DocumentStore, StoreWriter

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def lines_of(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(1 for line in stream if line.strip())


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ("scifact", 5_183),
        ("med-1033", 1_033),
        ("evidence-inference", 4_470),
        ("ohsumed-7400", 7_400),
    ],
)
def test_a_real_corpus(tmp_path: Path, given: str, count: int) -> None:
    if not (DATA / given).is_dir():
        pytest.skip(f"no corpus {given} beside this checkout")
    (path,) = resolve([DATA / given])
    with SourceReader(path) as source, StoreWriter(tmp_path / "s.sqlite") as writer:
        for record in read_beir(source):
            writer.add(record)
        assert writer.finish() == count == lines_of(path)
        assert source.summary(count).bytes == path.stat().st_size
    with SourceReader(path) as source:
        documents = [record.document for record in read_beir(source)]
    stored = [d for batch in DocumentStore(tmp_path / "s.sqlite").batches(512) for d in batch]
    assert stored == documents
