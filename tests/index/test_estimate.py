"""What a build says it will take, and what it refuses."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hashing_encoder import HashingEncoder
from index_help import feeding, held, record, tree, whole

from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index import build, estimate
from bioretrieval_tui.index.build import add_to_index, build_index
from bioretrieval_tui.index.estimate import BuildEstimate, estimated
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.registry import folder_bytes
from bioretrieval_tui.index.vector_cache import Vectoriser, embedded_facts
from bioretrieval_tui.paths import SPARE
from bioretrieval_tui.progress import Progress


def test_all_of_pubmed_by_a_model_of_384_dimensions() -> None:
    found = estimated(
        rows=200_000, share=200_000 / 36_000_000, done=1_000, seconds=10, stored=400_000_000,
        dimension=384,
    )  # fmt: skip
    assert found.documents == 36_000_000
    assert found.seconds == pytest.approx(36_000 * 10, rel=1e-3)
    assert found.held == 36_000_000 * (4 * 384 + 8 * 24 + 24)
    assert found.plain == pytest.approx(36_000_000 * 2_000 * 1.3, rel=1e-6)
    assert found.disk == pytest.approx(found.plain + found.held + 36e6 * (4 * 384 + 37), rel=1e-6)


def test_an_index_for_bm25_holds_nothing_in_memory() -> None:
    found = estimated(rows=10, share=0.1, done=5, seconds=1, stored=10_000, dimension=0)
    assert (found.documents, found.seconds, found.held) == (100, 19.0, 0)
    assert found.disk == found.plain
    assert "memory" not in found.line


def test_memory_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = BuildEstimate(36_000_000, 7_200, 10**11, 10**10, 6 * 10**10)
    monkeypatch.setattr(estimate, "available_memory", lambda: 2 * 10**10)
    assert found.line == (
        "about 36M documents, 2 h 0 min left, 100 GB of disk, 60.0 GB of memory"
        " to search by the graphs (available here: 20.0 GB; --lexical takes little, and so does"
        " --store lance+file:FOLDER once it is built)"
    )
    monkeypatch.setattr(estimate, "available_memory", lambda: None)
    assert "available" not in found.line


@pytest.mark.parametrize(("written", "fits"), [(0, False), (599, False), (600, True)])
def test_only_what_is_not_written_yet_must_fit(
    written: int, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "free_space", lambda _: SPARE + 400)
    found = BuildEstimate(10, 1, 1_000, 300, 500)
    if fits:
        found.require_space(tmp_path / "demo", written)
    else:
        with pytest.raises(IndexFault, match="the index demo needs") as caught:
            found.require_space(tmp_path / "demo", written)
        assert "BM25 alone (--lexical) takes 300 B" in caught.value.line()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "AFTER", 0.0)
    monkeypatch.setattr(build, "WINDOW", 100)


def texts(count: int, first: int = 0) -> list[object]:
    chance = random.Random(first)
    return [
        record(f"d{n}", " ".join(f"word{chance.randrange(5_000)}" for _ in range(120)))
        for n in range(first, first + count)
    ]


@pytest.mark.usefixtures("at_once")
def test_a_build_says_once_about_what_it_takes() -> None:
    steps: list[Progress] = []
    build_index("demo", feeding(texts(2_000)), HashingEncoder, reporter=steps.append)
    (said,) = [one.note for one in steps if one.is_estimate]
    assert said is not None
    assert said.startswith("about 2K documents, ")
    match = re.search(r"([\d.]+) ([kM])B of disk", said)
    assert match is not None
    reckoned = float(match[1]) * {"k": 1e3, "M": 1e6}[match[2]]
    # Of so few documents the files are mostly their beginnings.
    assert 0.4 < folder_bytes(index_folder("demo")) / reckoned < 1.6


@pytest.mark.usefixtures("at_once")
def test_what_does_not_fit_is_refused_and_nothing_lost(
    built: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(estimate, "free_space", lambda _: 0)
        with pytest.raises(IndexFault, match="its disk has 0 B free"):
            build_index("demo", feeding(texts(300)), HashingEncoder)
        with pytest.raises(IndexFault, match="its disk has 0 B free"):
            add_to_index("demo", feeding(texts(300)), lambda *_, **__: HashingEncoder())
        plain, rows = Vectoriser(embedded_facts()), Vectoriser.rows

        def slowly(*given: Any) -> Any:
            time.sleep(0.1)  # all is read meanwhile, so that the share of it is known
            return rows(*given)

        patch.setattr(Vectoriser, "rows", slowly)
        with pytest.raises(IndexFault) as caught:
            build_index("other", feeding(texts(300)), plain)
        assert "--lexical" not in caught.value.line()
    assert tree(pools=False) == whole(built)
    report = build_index("demo", feeding(texts(300)), HashingEncoder).report
    assert report.encoded in (100, 200)  # those of the windows before were kept
    assert len(held("demo")) == 300
