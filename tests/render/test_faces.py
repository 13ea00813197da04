"""Hits and evaluations show the same (label, value) pairs in the app and on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Content
from bioretrieval_tui.evaluation.metrics import MEASURES
from bioretrieval_tui.evaluation.records import FORMAT, GIVEN, EvaluationRecord
from bioretrieval_tui.render.evaluations import own_results, own_runs, record_sheet, run_page
from bioretrieval_tui.render.hits import hit_page, hit_sheet
from bioretrieval_tui.render.page import Page, markdown
from bioretrieval_tui.render.sheet import Sheet, face
from bioretrieval_tui.render.terminal_text import page_text
from bioretrieval_tui.search.types import SCORE_MEANINGS, Explanation, Hit, Scores, mode_name
from bioretrieval_tui.tui.spans import LABEL, paint

EMPTY = Catalogue(Content(entries=(), results=(), sources=()))
TEXT = "Vitamin D is often low. Adults with low vitamin D fell ill more often. Nobody knew why."
SENTENCE = "Adults with low vitamin D fell ill more often."
AT = TEXT.index(SENTENCE)
HITS = (
    Hit(1, "4983", "Vitamin D", TEXT, 2011, "https://example.org/1", 3.8, Scores(0.81234, 14.25)),
    Hit(2, "5836", "", TEXT, None, None, 0.5, Scores(dense=0.5)),
    Hit(3, "7001", "Bone", "Bone.", 2019, None, 0.25, Scores(lexical=2.0, rerank=0.91)),
)
REASONS = (
    Explanation("4983", Scores(0.81, 14.2), (("vitamin", 0.75), ("low", 0.25)), 1, 2,
        (AT, AT + len(SENTENCE)), 0.73),
    Explanation("5836", Scores(0.5, 1.25), (), 2, None),
    Explanation("7001", Scores(0.1, 2.0), tuple((f"term{n}", 0.1) for n in range(10)), None, 1),
)  # fmt: skip


def painted(page: Page) -> set[tuple[str, str]]:
    """The (label, value) pairs as the app paints them; a value of several lines has no label after
    the first."""
    pairs, label = set(), ""
    for item in paint(page).lines:
        texts = [span.text for span in item.spans if span.role != "gauge"]
        if item.hang >= LABEL and len(texts) > 1:
            label = texts[0].strip() or label
            pairs.add((label, "".join(texts[1:]).strip()))
        elif texts[:1] == ["rank "]:  # the line of scores: label, value, gap
            pairs |= set(zip(map(str.strip, texts[::3]), texts[1::3], strict=True))
    return pairs


def shown(sheet: Sheet) -> Iterator[set[tuple[str, str]]]:
    """The (title, text) pairs of each row, empty cells left out."""
    for row in sheet.rows:
        cells = zip(sheet.columns, map(face, row), strict=True)
        yield {(column.title, one.text) for column, one in cells if one.text}


@pytest.mark.parametrize("at", range(len(HITS)))
def test_a_hit_has_the_same_facts_in_both_faces(at: int) -> None:
    page = hit_page(HITS[at], REASONS[at])
    assert painted(page) >= set(page.pairs()) - {("page", "https://example.org/1")}
    pairs = dict(next(shown(hit_sheet([HITS[at]], reasons=[REASONS[at]]))))
    values: dict[str, list[str]] = {}
    for label, value in page.pairs():
        values.setdefault(label, []).append(value)
    # The list has rank and score in columns, and everything else in `why`.
    assert values.pop(f"{HITS[at].scored}:") == [SCORE_MEANINGS[HITS[at].scored]]
    for label in ("rank", "score"):
        assert values.pop(label) == [pairs[label]]
    values.pop("page", None)
    assert pairs["why"] == "; ".join(f"{label} {', '.join(of)}" for label, of in values.items())


def test_a_retracted_work_says_so_first_in_list_and_page() -> None:
    known = {
        "types": ["Journal Article", "Retracted Publication"],
        "corrections": ["Retraction in PMID 5: J Pond. 2020"],
        "trials": ["NCT00000419"],
        "mesh": [f"Heading {n}" for n in range(14)],
        "publisher": "Marsh",
    }
    hit = msgspec.structs.replace(HITS[2], metadata=known)
    assert dict(next(shown(hit_sheet([hit]))))["title"] == "RETRACTED: Bone"
    assert next(iter(hit_sheet([hit]).records))["title"] == "Bone"
    page = hit_page(hit)
    assert page.badges == ("RETRACTED",)
    pairs = list(page.pairs())
    assert pairs[0] == ("corrections", "Retraction in PMID 5: J Pond. 2020")
    assert {("trials", "NCT00000419"), ("publisher", "Marsh"), ("MeSH", "2 more")} <= set(pairs)
    assert pairs[0] in painted(page)
    said = msgspec.structs.replace(hit, title="[Retracted] Bone")
    assert dict(next(shown(hit_sheet([said]))))["title"] == "[Retracted] Bone"
    assert hit_page(HITS[2]).badges == ()


def test_headings_that_hold_commas_stay_apart() -> None:
    known = {"mesh": ["Diagnosis, Differential", "Epidural Abscess"]}
    page = hit_page(msgspec.structs.replace(HITS[2], metadata=known))
    said = "Diagnosis, Differential; Epidural Abscess"
    assert ("MeSH", said) in painted(page)
    assert f"**MeSH**: {said}\n" in "".join(markdown(page))
    assert said in "".join(page_text(page, width=100, colour=False, links=False))


def test_bm25_and_dense_have_one_name() -> None:
    labels = [label for label, _ in hit_page(HITS[0], REASONS[0]).pairs()]
    told = ["rank", "score", "dense", "BM25", "hybrid:"]
    assert labels == [*told, "terms", "terms", "nearest", "page"]
    assert {"dense", "BM25", "reranker"} <= {column.title for column in hit_sheet(HITS).columns}


def record(mode: str = "dense", day: int = 1, **other: Any) -> EvaluationRecord:
    values: dict[str, Any] = {
        "benchmark": "facts", "split": "test", "sha256": "ab" * 32, "model": "lab/alpha",
        "revision": "0123abc", "recipe_hash": "cd" * 8, "index": "eval-facts", "queries": 50,
        "documents": 5_000, "depth": 100, "hardware": "A processor",
        "metrics": dict.fromkeys(MEASURES, 0.5), "per_query": {},
        "latency_ms": {"p50": 12.34, "p95": 45.0}, "versions": {"bioretrieval-tui": "0.1.0"},
    } | other  # fmt: skip
    date = f"2026-03-{day:02}T10:20:30+00:00"
    return EvaluationRecord(
        format=FORMAT, id=f"{mode}-{day}", date=date, mode=mode, catalogue=None, **values
    )


@pytest.mark.parametrize(
    "made",
    [
        record(),
        record("lexical"),
        record("hybrid", instruction="Find: ", keep_own=True),
        record("rerank", reranker="lab/cross", latency_ms={}),
        record(GIVEN, keep_own=True),
    ],
    ids=["dense", "lexical", "hybrid", "rerank", "run"],
)
def test_a_run_has_the_same_facts_in_both_faces(made: EvaluationRecord) -> None:
    (run,) = own_runs([made], EMPTY)
    page = run_page(run)
    assert painted(page) == set(page.pairs()) == next(shown(record_sheet([made])))
    assert ("mode", mode_name(made.mode)) in set(page.pairs())
    kept = "ranked like the others" if made.keep_own else "left out"
    own = "as in the run file" if made.mode == GIVEN else kept
    assert ("own documents", own) in set(page.pairs())


@pytest.mark.parametrize(
    "difference",
    [
        {"sha256": "ef" * 32}, {"split": "train"}, {"model": "lab/beta"}, {"revision": "other"},
        {"recipe_hash": "other"}, {"reranker": "lab/other"}, {"instruction": "Find: "},
        {"keep_own": True},
    ],
    ids=lambda one: next(iter(one)),
)  # fmt: skip
def test_both_faces_group_runs_by_the_same_facts(difference: dict[str, Any]) -> None:
    kept = [record(day=3), record(day=2, **difference), record(day=1)]
    runs = own_runs(kept, EMPTY)
    assert [run.record.id for run in runs] == ["dense-3", "dense-2"]
    assert [one.id for one in runs[0].earlier] == ["dense-1"]
    rows, names = own_results(runs)
    assert [row.note for row in rows] == ["dense-3, 2026-03-03", "dense-2, 2026-03-02"]
    assert {names[row.model] for row in rows} == {run.name for run in runs}
    assert names[rows[0].benchmark] == "facts (own)"


def test_hits_of_several_indexes_name_them() -> None:
    hit = msgspec.structs.replace(HITS[0], index="mine", also=("scifact", "catalogue"))
    sheet = hit_sheet([hit], several=True)
    assert dict(next(shown(sheet)))["index"] == "mine, scifact, catalogue"
    record = next(iter(sheet.records))
    assert (record["index"], record["also"]) == ("mine", ["scifact", "catalogue"])
    page = hit_page(hit)
    assert ("index", "mine, scifact, catalogue") in page.pairs()
    assert ("index", "mine, scifact, catalogue") in painted(page)
    assert "index" not in dict(hit_page(HITS[0]).pairs())
    # Two documents of one id are not confused.
    other = msgspec.structs.replace(hit, index="scifact")
    reasons = [REASONS[0], msgspec.structs.replace(REASONS[1], id=hit.id)]
    first, second = (
        dict(pairs)["why"] for pairs in shown(hit_sheet([hit, other], reasons=reasons))
    )
    assert first != second


@pytest.mark.parametrize(
    ("scores", "by_ranks", "scored"),
    [
        (Scores(0.8, 14.2), False, "hybrid"),
        (Scores(0.8, 14.2), True, "fused ranks"),
        (Scores(dense=0.8), False, "dense"),
        (Scores(lexical=2.0), False, "BM25"),
        (Scores(0.8, 14.2, 0.9), True, "reranker"),
        (Scores(), False, ""),
    ],
)
def test_the_page_of_a_hit_says_what_its_score_is(
    scores: Scores, by_ranks: bool, scored: str
) -> None:
    hit = msgspec.structs.replace(HITS[0], scores=scores, by_ranks=by_ranks)
    assert hit.scored == scored
    told = dict(hit_page(hit).pairs())
    assert told.get(f"{scored}:") == SCORE_MEANINGS.get(scored)
