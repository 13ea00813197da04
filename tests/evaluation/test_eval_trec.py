"""TREC run files: what is written, that trec_eval would read the same, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.errors import BioRetrievalError, CorpusError, NotFoundError
from bioretrieval_tui.evaluation.trec_runs import in_order, read_run, run_paths, write_run

LETTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Zs"))
NAMES = st.text(LETTERS, min_size=1, max_size=8)


def test_the_lines_are_those_of_trec(tmp_path: Path) -> None:
    path = tmp_path / "out.trec"
    write_run(path, {"q1": (("d1", 0.5), ("d2", 0.25)), "q2": ()}, "mine")
    assert path.read_text() == "q1 Q0 d1 1 0.5 mine\nq1 Q0 d2 2 0.25 mine\n"


@given(
    st.dictionaries(
        NAMES, st.dictionaries(NAMES, st.floats(-1e6, 1e6, width=32), min_size=1), max_size=3
    )
)
def test_a_run_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, scores: dict[str, dict[str, float]]
) -> None:
    path = tmp_path_factory.mktemp("run") / "out.trec"
    rankings = {query: in_order(list(found.items()), {}) for query, found in scores.items()}
    write_run(path, rankings, "mine")
    assert read_run(path) == rankings


def test_ir_measures_gives_the_same_scores_for_the_file(tmp_path: Path) -> None:
    import ir_measures

    from bioretrieval_tui.evaluation.metrics import measure

    draws = np.random.default_rng(2)
    names = [f"d{n}" for n in range(60)]
    judgements = {
        f"q{q}": {n: int(g) for n, g in zip(names, draws.integers(0, 3, 60), strict=True)}
        for q in range(8)
    }
    rankings = {}
    for query in judgements:
        scored = zip(names, draws.normal(size=60).tolist(), strict=True)
        rankings[query] = in_order(list(scored), {})
    path = tmp_path / "out.trec"
    write_run(path, rankings, "mine")
    ours = measure(judgements, rankings).metrics
    measures = [ir_measures.parse_measure(name) for name in ours]
    read = list(ir_measures.read_trec_run(str(path)))
    theirs = ir_measures.calc_aggregate(measures, judgements, read)
    assert {str(name): value for name, value in theirs.items()} == pytest.approx(ours)


def test_an_id_with_white_space_is_refused_and_the_file_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.trec"
    path.write_text("before")
    for rankings in ({"q 1": (("d", 1.0),)}, {"q": (("d\t1", 1.0),)}):
        with pytest.raises(BioRetrievalError, match="cannot be in a TREC run file"):
            write_run(path, rankings, "mine")
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["out.trec"]


def test_several_modes_have_a_file_each(tmp_path: Path) -> None:
    path = tmp_path / "out.trec"
    assert run_paths(path, ["dense"]) == {"dense": path}
    assert run_paths(path, ["dense", "lexical"]) == {
        "dense": tmp_path / "out.dense.trec",
        "lexical": tmp_path / "out.lexical.trec",
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("q Q0 d 1 0.5\n", ":1: 5 columns where 6 are due"),
        ("\nq Q0 d 1 high x\n", ":2: the score 'high' is no number"),
        ("q Q0 d 1 nan x\n", ":1: the score 'nan' is no number"),
        ("q Q0 d 1 2 x\nq Q0 d 2 1 x\n", ":2: d is ranked twice"),
        ("q Q0 \udc80 1 2 x\n", ":1: not UTF-8"),
    ],
)
def test_bad_lines_are_refused(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "in.trec"
    path.write_bytes(line.encode("utf-8", "surrogateescape"))
    with pytest.raises(CorpusError) as caught:
        read_run(path)
    assert said in caught.value.message
    with pytest.raises(NotFoundError):
        read_run(tmp_path / "nowhere")
