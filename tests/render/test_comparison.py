"""Entries side by side: equal and differing rows, differences, what was measured differently."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark, Content, Encoding, Model, Result, Side
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.evaluation.metrics import compare as by_query
from bioretrieval_tui.evaluation.records import FORMAT, EvaluationRecord
from bioretrieval_tui.render.comparison import (
    FACTS,
    QUERIES,
    RECIPE,
    SCORES,
    ComparedRow,
    EntryComparison,
    compare,
    comparison_sheet,
    runs_of_one_benchmark,
)
from bioretrieval_tui.render.evaluations import own_runs
from bioretrieval_tui.render.formats import CITED, FORMATS, render
from bioretrieval_tui.render.sheet import face

HOSTILE = "\x1b[31mred\u202e | **bold** \\input{x}\n<b>"
SETS = ("facts", "covid", "nutrition", "odd")


def model(identifier: str, **other: Any) -> Model:
    common: dict[str, Any] = {"role": "retriever", "summary": "A summary.", "sources": ("card",)}
    return Model(id=identifier, **({"name": identifier.title()} | common | other))


def result(name: str, benchmark: str, value: float, **other: Any) -> Result:
    return Result(model=name, benchmark=benchmark, value=value, **({"source": "card"} | other))


def made(*results: Result, models: tuple[Model, ...] = ()) -> Catalogue:
    known = {one.id: one for one in (model("able"), model("baker"), model("charlie"), *models)}
    sets = [Benchmark(id=one, name=one.title(), summary="s", sources=("card",)) for one in SETS]
    return Catalogue(Content(entries=(*known.values(), *sets), results=results, sources=()))


def compared(catalogue: Catalogue, *ids: str) -> EntryComparison:
    return compare([catalogue.by_id[one] for one in ids], catalogue)


def row(found: EntryComparison, key: str) -> ComparedRow:
    return next(one for one in found.rows if one.key == key)


def texts(found: EntryComparison, key: str) -> list[str]:
    return [face(one).text for one in row(found, key).cells]


@pytest.fixture
def scores() -> Catalogue:
    return made(
        result("able", "facts", 0.5),
        result("able", "covid", 0.6),
        result("able", "nutrition", 0.3),
        result("baker", "facts", 0.55),
        result("baker", "covid", 0.9),
        result("baker", "nutrition", 0.2),
        result("charlie", "facts", 0.5),
    )


# Scores -------------------------------------------------------------------------------------


def test_the_largest_loss_of_the_first_is_on_top(scores: Catalogue) -> None:
    found = compared(scores, "able", "baker")
    keys = [one.key for one in found.rows if one.section == SCORES]
    assert keys == ["higher", "mean_difference", "covid", "facts", "nutrition"]
    assert texts(found, "covid") == ["0.600", "0.900 +0.3000"]
    assert texts(found, "nutrition") == ["0.300", "0.200 -0.1000"]
    assert texts(found, "higher") == ["", "2 higher, 1 lower"]
    assert texts(found, "mean_difference") == ["", "+0.0833 over 3"]
    assert row(found, "covid").best == (1,)
    assert row(found, "nutrition").best == (0,)


def test_latex_has_the_best_score_in_bold_without_its_difference(scores: Catalogue) -> None:
    text = "".join(render(comparison_sheet(compared(scores, "able", "baker")), "latex"))
    assert r"0.600 & \textbf{0.900} +0.3000 &" in text


def test_a_score_of_one_alone_has_no_row_but_is_counted(scores: Catalogue) -> None:
    found = compared(scores, "able", "charlie")
    assert [one.key for one in found.rows if one.differences] == ["facts"]
    assert "only one has a score: 2 benchmarks" in found.notes
    assert row(found, "facts").equal
    assert row(found, "facts").best == ()


def test_without_a_score_of_the_first_there_is_no_difference(scores: Catalogue) -> None:
    found = compared(scores, "charlie", "able", "baker")
    assert row(found, "covid").differences == (None, None, None)
    assert texts(found, "covid") == ["", "0.600", "0.900"]
    assert not row(found, "covid").equal
    assert row(found, "covid").best == (2,)


@pytest.mark.parametrize(
    ("first", "second", "remark"),
    [
        ({}, {"kind": "self-reported"}, "self-reported: Baker"),
        ({"zero_shot": True}, {"zero_shot": False}, "trained on it: Baker"),
        ({"split": "test"}, {"split": "dev"}, "splits test, dev"),
        ({"dataset_revision": "aaaaaaa1"}, {"dataset_revision": "bbbbbbb2"},
         "dataset revisions aaaaaaa, bbbbbbb"),
        ({"status": "unverified"}, {}, "unverified: Able"),
        ({"source": "paper"}, {}, "sources paper, card"),
        ({"kind": "no-revision"}, {"kind": "run"}, "revision of the weights unknown: Able"),
        ({"split": "test"}, {}, ""),
        ({"kind": "self-reported"}, {"kind": "self-reported"}, ""),
        ({"zero_shot": False}, {"zero_shot": False}, ""),
    ],
)  # fmt: skip
def test_what_was_measured_differently_is_said(
    first: dict[str, Any], second: dict[str, Any], remark: str
) -> None:
    catalogue = made(result("able", "facts", 0.5, **first), result("baker", "facts", 0.6, **second))
    assert row(compared(catalogue, "able", "baker"), "facts").remark == remark


def test_other_measures_stand_side_by_side_without_a_difference() -> None:
    catalogue = made(result("able", "odd", 0.5), result("baker", "odd", 0.9, metric="Recall@5"))
    found = row(compared(catalogue, "able", "baker"), "odd")
    assert [face(one).text for one in found.cells] == ["0.500 nDCG@10", "0.900 Recall@5"]
    assert (found.remark, found.best) == ("other measures", ())
    assert not any(found.differences)
    assert not any("only one" in note for note in compared(catalogue, "able", "baker").notes)


def test_a_score_in_another_measure_stands_in_the_row_of_the_others() -> None:
    catalogue = made(
        result("able", "odd", 0.5),
        result("baker", "odd", 0.6),
        result("charlie", "odd", 0.9, metric="Recall@5"),
    )
    found = compared(catalogue, "able", "baker", "charlie")
    assert texts(found, "odd") == ["0.500", "0.600 +0.1000", "0.900 Recall@5"]
    assert row(found, "odd").differences == (0.0, 0.1, None)
    assert row(found, "odd").best == (1,)
    assert row(found, "odd").remark == "other measures"


# Facts and recipe ---------------------------------------------------------------------------


def test_equal_rows_are_marked_and_can_be_left_out() -> None:
    recipe = Encoding(type="bi-encoder", grade="A", pooling="cls", query=Side(max_length=64))
    other = Encoding(type="bi-encoder", grade="A", pooling="mean", query=Side(max_length=64),
                     note="A long note.")  # fmt: skip
    catalogue = made(models=(
        model("able", licence="MIT", memory=400, encoding=recipe),
        model("baker", licence="MIT", memory=2000, encoding=other),
    ))  # fmt: skip
    found = compared(catalogue, "able", "baker")
    assert (row(found, "licence").section, row(found, "licence").equal) == (FACTS, True)
    assert (texts(found, "memory"), row(found, "memory").equal) == (["400", "2,000"], False)
    assert (row(found, "pooling").section, row(found, "pooling").equal) == (RECIPE, False)
    assert texts(found, "query_max_length") == ["64", "64"]
    left = {one.key for one in found.shown(differences=True)}
    assert {"memory", "pooling"} <= left
    assert not {"licence", "query_max_length", "grade"} & left
    assert not {"summary", "note", "name", "id"} & {one.key for one in found.rows}


def test_a_missing_value_differs_from_a_known_one() -> None:
    found = compared(made(models=(model("able", licence="MIT"),)), "able", "baker")
    assert texts(found, "licence") == ["MIT", ""]
    assert not row(found, "licence").equal


def test_every_kind_can_be_compared(catalogue: Catalogue) -> None:
    for section in ("papers", "datasets", "benchmarks", "recipes", "timeline", "path"):
        found = compare(catalogue.section(section)[:6], catalogue)
        assert found.rows
        assert all(len(one.cells) == len(found.ids) for one in found.rows)


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["able"], "1 cannot be compared"),
        (["able"] * 7, "7 cannot be compared"),
        (["able", "baker", "able"], "'able' is given twice"),
        (["able", "facts"], "several kinds: able (model), facts (benchmark)"),
    ],
)
def test_what_cannot_be_compared_is_refused(ids: list[str], said: str) -> None:
    with pytest.raises(UsageError, match="^" + said.replace("(", r"\(").replace(")", r"\)")):
        compared(made(), *ids)


# Runs ---------------------------------------------------------------------------------------


def test_a_run_stands_beside_a_model() -> None:
    catalogue = made(result("able", "facts", 0.5), models=(model("able", hub=("lab/able",)),))
    record = EvaluationRecord(
        format=FORMAT, id="run-1", date="2026-03-01T10:20:30+00:00", benchmark="facts",
        catalogue="facts", split="test", mode="lexical", sha256="ab", model="lab/able",
        revision="1", recipe_hash="2", index="x", queries=5, documents=9, depth=100, hardware="h",
        metrics={"nDCG@10": 0.4}, latency_ms={"p50": 1.0, "p95": 2.0}, per_query={}, versions={},
    )  # fmt: skip
    (run,) = own_runs([record], catalogue)
    found = compare([catalogue.by_id["able"], run], catalogue)
    assert found.ids == ("able", "run-1")
    assert texts(found, "facts") == ["0.500", "0.400 -0.1000"]
    assert row(found, "facts").remark == "sources card, own"
    assert texts(found, "hardware") == ["", "h"]


def test_two_runs_of_one_benchmark_are_compared_by_query() -> None:
    catalogue = made()
    same: dict[str, Any] = {
        "format": FORMAT, "benchmark": "facts", "split": "test", "sha256": "ab", "model": "m",
        "revision": "1", "recipe_hash": "2", "index": "x", "queries": 3, "documents": 9,
        "depth": 100, "hardware": "h", "metrics": {"nDCG@10": 0.4}, "latency_ms": {},
        "versions": {},
    }  # fmt: skip
    values = {"a": {"q1": 0.2, "q2": 0.5, "q3": 0.5}, "b": {"q1": 0.9, "q2": 0.25, "q3": 0.5}}
    modes = ("lexical", "dense")
    kept = [
        EvaluationRecord(**same, id=name, date=f"2026-01-0{day}T", mode=mode, per_query=by)
        for day, ((name, by), mode) in enumerate(zip(values.items(), modes, strict=True), 1)
    ]
    runs = own_runs(kept, catalogue)
    assert runs_of_one_benchmark(runs) == ("a", "b")
    assert runs_of_one_benchmark([runs[0], catalogue.by_id["able"]]) is None
    other = replace(runs[1], record=replace(runs[1].record, sha256="cd"))
    assert runs_of_one_benchmark([runs[0], other]) is None
    found = compare(
        runs, catalogue, by_query=by_query("a", "b", tuple(values.values()), texts={"q1": HOSTILE})
    )
    assert next(one.section for one in found.rows if one.section != SCORES) == QUERIES
    assert texts(found, "p") == ["", "+0.1500, p = 1.0000"]
    assert texts(found, "wins") == ["1", "1"]
    assert texts(found, "query q1") == ["0.2000", "0.9000 +0.7000"]
    assert row(found, "query q1").best == (1,)
    assert row(found, "query q2").best == (0,)
    bars = [one for one in found.rows if one.key.startswith("histogram")]
    assert sum(face(one.cells[1]).value for one in bars) == 3
    # Nothing was measured differently: no column in a text, one in csv.
    (remark,) = (one for one in comparison_sheet(found).columns if one.key == "remark")
    assert remark.data_only


# Formats ------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", [one for one in FORMATS if one not in CITED])
def test_hostile_texts_are_harmless_in_every_format(format_: Any) -> None:
    evil = model("evil", name=HOSTILE, licence=HOSTILE)
    catalogue = made(result("evil", "facts", 0.5), result("able", "facts", 0.6), models=(evil,))
    sheet = comparison_sheet(compared(catalogue, "evil", "able"))
    text = "".join(render(sheet, format_))
    assert "\x1b" not in text
    assert "\\input{" not in text or format_ != "latex"
    if format_ == "json":
        facts = next(one for one in json.loads(text) if one["field"] == "facts")
        assert facts["values"] == {"evil": 0.5, "able": 0.6}
        assert facts["differences"] == {"evil": 0.0, "able": 0.1}
        assert facts["best"] == ["able"]
