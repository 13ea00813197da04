"""The open benchmark of the search process: judgements beside stored rankings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "evaluation"))  # folders

from folders import rank_by, write_benchmark
from hashing_encoder import HashingEncoder

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.backend.client import SearchClient
from bioretrieval_tui.backend.server import LookingUp
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation.benchmark import BenchmarkFolder, read_benchmark
from bioretrieval_tui.evaluation.runner import run_mode
from bioretrieval_tui.evaluation.trec_runs import write_run
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.registry import open_index, remove_index

INDEX = "tiny"


@pytest.fixture
def benchmark(tmp_path: Path) -> BenchmarkFolder:
    return read_benchmark(write_benchmark(tmp_path / "tiny"))


@pytest.fixture
def runs(benchmark: BenchmarkFolder, tmp_path: Path) -> dict[str, str]:
    """An index of the benchmark, and what two modes rank on it."""
    settings = ReadSettings("beir", strict=True)
    build_index(INDEX, benchmark.parts.corpus, HashingEncoder, settings=settings)
    index = open_index(INDEX)
    found = {}
    for mode in ("lexical", "dense"):
        path = tmp_path / f"{mode}.trec"
        write_run(path, run_mode(rank_by(index, mode), benchmark, mode).rankings, mode)
        found[mode] = str(path)
    index.close()
    return found


def opening(
    benchmark: BenchmarkFolder, runs: dict[str, str], **other: str
) -> protocol.OpenBenchmark:
    values = {
        "folder": str(benchmark.parts.corpus[0].parent), "split": "test",
        "sha256": benchmark.sha256,
        "index": INDEX,
    } | other  # fmt: skip
    return protocol.OpenBenchmark(runs=runs, **values)


def ask(lookups: LookingUp, request: protocol.Sent) -> Any:
    return lookups(request, lambda _: None)


def test_queries_then_one_then_a_document(benchmark: BenchmarkFolder, runs: dict[str, str]) -> None:
    lookups = LookingUp()
    queries = ask(lookups, opening(benchmark, runs))
    assert [row.id for row in queries] == ["q1", "q2"]  # q3 has no judgement
    assert queries[0].judged == queries[0].relevant == 2
    assert set(queries[0].scores) == {"lexical", "dense"}
    view = ask(lookups, protocol.ViewQuery("q1"))
    assert view.text == "muscle pain"
    assert [(row.id, row.grade) for row in view.judged] == [("d1", 2), ("d4", 1)]
    # BM25 finds d1 alone: d4 says neither muscle nor pain.
    assert view.judged[0].ranks["lexical"] == 1
    assert view.judged[1].ranks["lexical"] is None
    assert view.judged[1].ranks["dense"] is not None
    assert view.scores["lexical"]["nDCG@10"] == queries[0].scores["lexical"]
    read = ask(lookups, protocol.ReadDocument("d1"))
    assert read == ("", "statins cause muscle pain")
    assert ask(lookups, protocol.ReadDocument("d99")) is None


@pytest.mark.parametrize("what", ["sha256", "index", "run"])
def test_rankings_that_are_no_longer_of_the_files_are_stale(
    benchmark: BenchmarkFolder, runs: dict[str, str], what: str
) -> None:
    other: dict[str, str] = {}
    if what == "sha256":
        other["sha256"] = "0" * 64
    elif what == "index":
        remove_index(INDEX)
    else:
        Path(runs["dense"]).unlink()
    found = ask(LookingUp(), opening(benchmark, runs, **other))
    assert found is None


def test_what_is_wrong_with_a_benchmark_is_an_error(
    benchmark: BenchmarkFolder, runs: dict[str, str]
) -> None:
    lookups = LookingUp()
    with pytest.raises(BioRetrievalError, match="no benchmark is open"):
        ask(lookups, protocol.ViewQuery("q1"))
    with pytest.raises(BioRetrievalError, match="/nowhere"):
        ask(lookups, opening(benchmark, runs, folder="/nowhere"))
    Path(runs["dense"]).write_text("q1 Q0 d1 1 0.5\n")
    with pytest.raises(BioRetrievalError, match="5 columns where 6 are due"):
        ask(lookups, opening(benchmark, runs))
    Path(runs["dense"]).write_text("q1 Q0 d1 1 0.5 x\n")
    ask(lookups, opening(benchmark, runs))
    with pytest.raises(BioRetrievalError, match="q99"):
        ask(lookups, protocol.ViewQuery("q99"))


async def test_a_benchmark_through_the_search_process(
    benchmark: BenchmarkFolder, runs: dict[str, str]
) -> None:
    client = SearchClient(device="cpu")
    try:
        rows = await client.ask(opening(benchmark, runs))
        assert rows is not None
        assert [row.id for row in rows] == ["q1", "q2"]
        assert await client.ask(opening(benchmark, runs, sha256="0" * 64)) is None
        view = await client.ask(protocol.ViewQuery("q2"))
        assert view.judged[0].title == "the p53 gene suppresses tumours"
        assert await client.ask(protocol.ReadDocument("d99")) is None
        with pytest.raises(BioRetrievalError, match="/nowhere"):
            await client.ask(opening(benchmark, runs, folder="/nowhere"))
    finally:
        await client.close()
