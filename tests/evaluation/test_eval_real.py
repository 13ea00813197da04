"""Words alone on real collections: no model takes part, so the figures are exact and quick.

The collections are not part of the project; where they are absent, so are these tests.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import rank_by
from hashing_encoder import HashingEncoder

from bioretrieval_tui.evaluation.benchmark import read_benchmark
from bioretrieval_tui.evaluation.metrics import measure
from bioretrieval_tui.evaluation.runner import aliases_of, run_mode
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.registry import open_index

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.parametrize(
    ("name", "queries", "documents", "expected"),
    [("med-1033", 30, 1_033, 0.6956), ("scifact", 300, 5_183, 0.7022)],
)
def test_lexical_scores_of_a_real_benchmark(
    name: str, queries: int, documents: int, expected: float
) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"{name} is not here")
    benchmark = read_benchmark(DATA / name)
    build_index("real", benchmark.parts.corpus, HashingEncoder)
    index = open_index("real")
    assert index.manifest.documents + index.manifest.aliases == documents
    assert len(benchmark.queries) == queries
    run = run_mode(
        rank_by(index, "lexical"), benchmark, "lexical", aliases=aliases_of(index.documents)
    )
    index.close()
    assert measure(benchmark.judgements, run.rankings).metrics["nDCG@10"] == pytest.approx(
        expected, abs=0.002
    )
