"""Which benchmark of the catalogue a folder is, and which figures stand beside a run."""

from __future__ import annotations

import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.catalog.models import Benchmark, Content, Loaders, Model, Result
from bioretrieval_tui.evaluation.published import Match, match_benchmark, references


def benchmark(name: str, **fields: object) -> Benchmark:
    return Benchmark(id=name, name=name.title(), summary="s", sources=("x",), **fields)  # type: ignore[arg-type]


def model(name: str, *hub: str) -> Model:
    return Model(id=name, name=name.upper(), summary="s", sources=("x",), role="retriever", hub=hub)


def figure(model: str, value: float, **fields: object) -> Result:
    return Result(model=model, benchmark="claims", value=value, source="paper", **fields)  # type: ignore[arg-type]


CLAIMS = benchmark(
    "claims",
    queries=300,
    documents=5_000,
    splits={"train": 800, "test": 300},
    loaders=Loaders(
        mteb="ClaimsRetrieval, Claims-PL",
        ir_datasets="beir/the-claims/test, oldclaims/test",
        hub="BeIR/claims-hub",
        zip="https://example.org/claims_zip.zip",
    ),
)
SUITE = benchmark("suite", type="suite", members=("claims",))


@pytest.fixture
def found() -> Catalogue:
    entries = (
        CLAIMS,
        benchmark("other", queries=50, documents=900),
        SUITE,
        model("mini", "org/mini"),
        model("big", "org/big"),
    )
    results = (
        figure("mini", 0.65),
        figure("big", 0.8, comparable=False),
        figure("bm25s", 0.69),
        figure("bm25-flat", 0.68),
        figure("bm25-multifield", 0.66, status="unverified"),
        figure("mini", 0.4, metric="R@100"),
        figure("mini", 0.3, subset="part"),
        figure("third", 0.7),
        figure("fourth", 0.72),
    )
    return Catalogue(
        Content(entries=entries, results=results, sources=(), changes=(), updated=None)
    )


@pytest.mark.parametrize(
    "name",
    ["claims", "Claims", "CLAIMS", "claimsretrieval", "claims-pl", "the_claims", "claims-hub",
     "claims-zip"],
)  # fmt: skip
def test_a_folder_is_known_by_any_name_of_it(found: Catalogue, name: str) -> None:
    assert match_benchmark(found, name, "test", 300, 5_000) == Match(CLAIMS, True)


@pytest.mark.parametrize("name", ["suite", "oldclaims", "test", "", "mine"])
def test_unknown_names_match_no_benchmark(found: Catalogue, name: str) -> None:
    assert match_benchmark(found, name, "test", 1, 2) is None


def test_a_folder_under_another_name_is_known_by_its_numbers(found: Catalogue) -> None:
    assert match_benchmark(found, "mine", "test", 300, 5_000) == Match(CLAIMS, True)
    assert match_benchmark(found, "mine", "test", 300, 5_001) is None


def test_other_numbers_are_not_compared(found: Catalogue) -> None:
    match = match_benchmark(found, "claims", "test", 299, 5_000)
    assert match is not None
    assert not match.fits
    assert match.note is not None
    assert "300 queries and 5,000 documents, this folder 299 and 5,000" in match.note
    beside = references(found, match, "dense", "org/mini", 0.5)
    assert all(one.deviation is None and not one.marked for one in beside)
    train = match_benchmark(found, "claims", "train", 800, 5_000)
    assert train is not None
    assert not train.fits


def test_dense_is_compared_with_its_own_model(found: Catalogue) -> None:
    match = Match(CLAIMS, True)
    (one,) = references(found, match, "dense", "org/mini", 0.6601)
    assert (one.model, one.name, one.value) == ("mini", "MINI", 0.65)
    assert one.deviation == pytest.approx(0.0101)
    assert one.marked
    for value, marked in ((0.66, False), (0.64, False), (0.6399, True), (0.65, False)):
        (one,) = references(found, match, "dense", "org/mini", value)
        assert one.marked is marked


def test_lexical_is_compared_with_every_bm25(found: Catalogue) -> None:
    beside = references(found, Match(CLAIMS, True), "lexical", "org/mini", 0.7)
    assert [one.model for one in beside] == ["bm25-multifield", "bm25-flat", "bm25s"]
    assert [one.deviation for one in beside] == pytest.approx([0.04, 0.02, 0.01])
    assert [one.marked for one in beside] == [True, True, False]
    assert beside[0].status == "unverified"


@pytest.mark.parametrize(("mode", "name"), [("hybrid", "org/mini"), ("dense", "org/unknown")])
def test_without_a_comparable_score_the_best_are_shown(
    found: Catalogue, mode: str, name: str
) -> None:
    beside = references(found, Match(CLAIMS, True), mode, name, 0.7)
    assert [one.value for one in beside] == [0.72, 0.7, 0.69]
    assert all(one.deviation is None for one in beside)


def test_scores_that_are_not_comparable_are_left_out(found: Catalogue) -> None:
    beside = references(found, Match(CLAIMS, True), "dense", "org/big", 0.7)
    assert "big" not in [one.model for one in beside]
    assert references(found, None, "dense", "org/mini", 0.7) == []


def test_scifact_of_the_shipped_catalogue() -> None:
    shipped = load().catalogue
    match = match_benchmark(shipped, "SciFact", "test", 300, 5_183)
    assert match is not None
    assert match.fits
    hub = "sentence-transformers/all-MiniLM-L6-v2"
    (one,) = references(shipped, match, "dense", hub, 0.6451)
    assert (one.value, one.deviation, one.marked) == (0.6451, 0.0, False)
    lexical = references(shipped, match, "lexical", hub, 0.7022)
    assert [one.value for one in lexical] == [0.6647, 0.6789, 0.6874]


def test_every_benchmark_of_the_catalogue_is_its_own_folder() -> None:
    """No two entries answer to one name: a folder would be taken for the wrong one."""
    shipped = load().catalogue
    for entry in shipped.of_type(Benchmark):
        if entry.type == "set":
            match = match_benchmark(shipped, entry.id, "test", 0, 0)
            assert match is not None
            assert match.entry.id == entry.id
