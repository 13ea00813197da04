"""The index of a benchmark: found again by what it is made of, mended when it is not that."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import CORPUS, write_benchmark

from bioretrieval_tui.errors import CorpusError, InterruptedByUser, ModelError
from bioretrieval_tui.evaluation.benchmark import Benchmark, read_benchmark
from bioretrieval_tui.evaluation.runner import ensure_index
from bioretrieval_tui.index.build import compact_index
from bioretrieval_tui.index.layout import VECTORS, index_folder
from bioretrieval_tui.index.registry import index_names, manifest_of
from bioretrieval_tui.progress import Progress
from homes import share_encoders


@pytest.fixture(autouse=True)
def _prepared(home: Path) -> None:
    share_encoders(home)


def built(benchmark: Benchmark) -> tuple[str, bool]:
    """The index of a benchmark, and whether it was built now."""
    before = {name: manifest_of(name).generation for name in index_names()}
    name = ensure_index(benchmark, device="cpu")
    return name, before.get(name) != manifest_of(name).generation


def test_the_same_bytes_are_indexed_once(tmp_path: Path) -> None:
    made = read_benchmark(write_benchmark(tmp_path / "My Tiny"))
    first, new = built(made)
    assert new
    assert first.startswith("eval-my-tiny-")
    again = read_benchmark(write_benchmark(tmp_path / "elsewhere" / "My Tiny"))
    assert built(again) == (first, False)
    compact_index(first)
    assert built(made) == (first, False)
    other = read_benchmark(write_benchmark(tmp_path / "x" / "My Tiny", {**CORPUS, "d9": "new"}))
    assert built(other)[0] != first
    assert len(index_names()) == 2


def test_a_packed_corpus_is_indexed_as_it_lies(tmp_path: Path) -> None:
    made = read_benchmark(write_benchmark(tmp_path / "packed", packed=True))
    name = ensure_index(made, device="cpu")
    assert manifest_of(name).documents == len(CORPUS)
    assert [file.sha256 for file in manifest_of(name).inputs] == [made.corpus_sha256]


def test_a_damaged_index_is_built_again(tmp_path: Path) -> None:
    made = read_benchmark(write_benchmark(tmp_path / "tiny"))
    name = ensure_index(made, device="cpu")
    (vectors,) = index_folder(name).glob(f"*/{VECTORS}")
    data = bytearray(vectors.read_bytes())
    data[0] ^= 1
    vectors.write_bytes(data)
    assert ensure_index(made, vectors=False) == name  # BM25 reads no vectors
    assert built(made) == (name, True)
    assert built(made) == (name, False)


def test_what_stops_it_leaves_no_index(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "tiny")

    def stop(step: Progress) -> None:
        if step.stage == "encoding":
            raise InterruptedByUser("stopped")

    with pytest.raises(InterruptedByUser):
        ensure_index(read_benchmark(folder), device="cpu", reporter=stop)
    with pytest.raises(ModelError, match=r"is not on this machine|is not known"):
        ensure_index(read_benchmark(folder), "org/none", device="cpu")
    with (folder / "corpus.jsonl").open("a") as out:
        out.write('{"_id": 5}\n')
    with pytest.raises(CorpusError, match=r"corpus\.jsonl:5: ") as caught:
        ensure_index(read_benchmark(folder), device="cpu")
    assert "--strict" not in caught.value.line()
    assert index_names() == []
