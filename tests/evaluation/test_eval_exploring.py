"""The exploring process: judgements beside stored rankings, over pipes and in its own process."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from folders import IndexRanker, write_benchmark
from hashing_encoder import HashingEncoder

from bioretrieval_tui.documents.source import ReadOptions, ReadSettings
from bioretrieval_tui.evaluation.benchmark import Benchmark, read_benchmark
from bioretrieval_tui.evaluation.exploring import (
    Explorer,
    Fetch,
    Fetched,
    Open,
    Opened,
    Refused,
    Reply,
    View,
    Viewed,
    serve,
)
from bioretrieval_tui.evaluation.runfile import write_run
from bioretrieval_tui.evaluation.running import run_mode
from bioretrieval_tui.index.build import build_from
from bioretrieval_tui.index.intake import feed_files
from bioretrieval_tui.index.registry import open_index, remove_index

INDEX = "tiny"


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmark:
    return read_benchmark(write_benchmark(tmp_path / "tiny"))


@pytest.fixture
def runs(benchmark: Benchmark, tmp_path: Path) -> dict[str, str]:
    """An index of the benchmark, and what two modes rank on it."""
    settings = ReadSettings("beir", ReadOptions(), strict=True)
    build_from(INDEX, feed_files([benchmark.parts.corpus], settings), HashingEncoder)
    index = open_index(INDEX)
    found = {}
    for mode in ("lexical", "dense"):
        path = tmp_path / f"{mode}.trec"
        write_run(path, run_mode(IndexRanker(index), benchmark, mode).rankings, mode)
        found[mode] = str(path)
    index.close()
    return found


def opening(benchmark: Benchmark, runs: dict[str, str], **other: str) -> Open:
    values = {
        "folder": str(benchmark.parts.folder), "split": "test", "sha256": benchmark.sha256,
        "index": INDEX,
    } | other  # fmt: skip
    return Open(1, runs=runs, **values)


def test_queries_then_one_then_a_document(benchmark: Benchmark, runs: dict[str, str]) -> None:
    explorer = Explorer()
    opened = explorer.answer(opening(benchmark, runs))
    assert isinstance(opened, Opened)
    assert not opened.stale
    assert [row.id for row in opened.queries] == ["q1", "q2"]  # q3 has no judgement
    assert opened.queries[0].judged == opened.queries[0].relevant == 2
    assert set(opened.queries[0].scores) == {"lexical", "dense"}
    viewed = explorer.answer(View(2, "q1"))
    assert isinstance(viewed, Viewed)
    assert viewed.id == 2
    assert viewed.view.text == "muscle pain"
    assert [(row.id, row.grade) for row in viewed.view.judged] == [("d1", 2), ("d4", 1)]
    # Words find d1 alone: d4 says neither muscle nor pain.
    assert viewed.view.judged[0].ranks["lexical"] == 1
    assert viewed.view.judged[1].ranks["lexical"] is None
    assert viewed.view.judged[1].ranks["dense"] is not None
    assert viewed.view.scores["lexical"]["nDCG@10"] == opened.queries[0].scores["lexical"]
    fetched = explorer.answer(Fetch(3, "d1"))
    assert fetched == Fetched(3, there=True, text="statins cause muscle pain")
    assert explorer.answer(Fetch(4, "d99")) == Fetched(4, there=False)


@pytest.mark.parametrize("what", ["sha256", "index", "run"])
def test_what_is_no_longer_of_the_files_is_stale(
    benchmark: Benchmark, runs: dict[str, str], what: str
) -> None:
    other: dict[str, str] = {}
    if what == "sha256":
        other["sha256"] = "0" * 64
    elif what == "index":
        remove_index(INDEX)
    else:
        Path(runs["dense"]).unlink()
    found = Explorer().answer(opening(benchmark, runs, **other))
    assert found == Opened(1, stale=True)


def test_what_goes_wrong_is_an_answer(benchmark: Benchmark, runs: dict[str, str]) -> None:
    explorer = Explorer()
    asked_too_early = explorer.answer(View(1, "q1"))
    assert isinstance(asked_too_early, Refused)
    nowhere = explorer.answer(opening(benchmark, runs, folder="/nowhere"))
    assert isinstance(nowhere, Refused)
    assert "/nowhere" in nowhere.message
    Path(runs["dense"]).write_text("q1 Q0 d1 1 0.5\n")
    torn = explorer.answer(opening(benchmark, runs))
    assert isinstance(torn, Refused)
    assert "5 columns where 6 are due" in torn.message
    Path(runs["dense"]).write_text("q1 Q0 d1 1 0.5 x\n")
    explorer.answer(opening(benchmark, runs))
    unknown = explorer.answer(View(2, "q99"))
    assert isinstance(unknown, Refused)
    assert "q99" in unknown.message


def test_a_line_that_is_no_request_ends_it() -> None:
    replies = io.BytesIO()
    serve(io.BytesIO(b'{"type":"view","id":1,"query":"q"}\nrubbish\n{}\n'), replies)
    assert len(replies.getvalue().splitlines()) == 1


def test_it_serves_in_a_process_of_its_own(benchmark: Benchmark, runs: dict[str, str]) -> None:
    requests = [opening(benchmark, runs), View(2, "q2"), Fetch(3, "d2")]
    lines = b"".join(msgspec.json.encode(one) + b"\n" for one in requests)
    run = subprocess.run(
        [sys.executable, "-m", "bioretrieval_tui.evaluation.exploring"],
        input=lines, capture_output=True, check=True, env=dict(os.environ),
    )  # fmt: skip
    decoder = msgspec.json.Decoder(Reply)
    opened, viewed, fetched = [decoder.decode(line) for line in run.stdout.splitlines()]
    assert isinstance(opened, Opened)
    assert isinstance(viewed, Viewed)
    assert viewed.view.judged[0].title == "the p53 gene suppresses tumours"
    assert isinstance(fetched, Fetched)
    assert run.stderr == b""
