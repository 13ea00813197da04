"""Asking the loaded catalogue: by id, by kind, by relation, by figure."""

from __future__ import annotations

import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of, section_of
from bioretrieval_tui.catalog.models import (
    SECTIONS,
    AnyEntry,
    Benchmark,
    Content,
    Milestone,
    Model,
    Paper,
    Recipe,
    Result,
    Source,
    Step,
)
from bioretrieval_tui.errors import EXIT_NOT_FOUND, NotFoundError

S = ("card",)


def model(identifier: str, **more: object) -> Model:
    return Model(
        id=identifier, name=identifier.title(), summary="S", sources=S, role="retriever", **more
    )  # type: ignore[arg-type]


def milestone(identifier: str, year: int, order: int) -> Milestone:
    return Milestone(id=identifier, name="M", summary="S", sources=S, year=year, order=order)


def step(identifier: str, number: int) -> Step:
    return Step(id=identifier, name="P", summary="S", sources=S, number=number)


ENTRIES: tuple[AnyEntry, ...] = (
    Paper(id="alpha-paper", name="Alpha", summary="S", sources=S, title="T", relations=("alpha",)),
    model("alpha", relations=("beta",), trained_on=("tests",)),
    model("beta"),
    model("lonely"),
    Benchmark(id="tests", name="Tests", summary="S", sources=S),
    Benchmark(
        id="suite", name="Suite", summary="S", sources=S, type="suite", members=("tests", "Closed")
    ),
    Recipe(
        id="train", name="R", summary="S", sources=S, model="alpha", method="m", paper="alpha-paper"
    ),
    milestone("late", 2024, 2),
    milestone("first", 2019, 1),
    milestone("middle", 2024, 1),
    step("step-2", 2),
    step("step-1", 1),
)
RESULTS = (
    Result(model="alpha", benchmark="tests", value=0.5, source="card"),
    Result(model="beta", benchmark="tests", value=0.25, source="card"),
)


@pytest.fixture(scope="module")
def small() -> Catalogue:
    return Catalogue(
        Content(entries=ENTRIES, results=RESULTS, sources=(Source(id="card", text="A card"),))
    )


def ids(entries: object) -> list[str]:
    return [entry.id for entry in entries]  # type: ignore[attr-defined]


def test_an_entry_by_its_id(small: Catalogue) -> None:
    assert small.entry("alpha").name == "Alpha"
    assert small.entry("ALPHA") is small.entry("alpha")
    assert small.names["tests"] == "Tests"
    assert small.sources["card"].text == "A card"


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("medcpt-cross", "medcpt-cross-encoder"),
        ("MedCTP", "medcpt"),
        ("bm-retriever-2b", "bmretriever-2b"),
        ("nf-corpus", "nfcorpus"),
        ("BGE base", "bge-base-en-v1-5"),
        ("trec covid", "trec-covid"),
    ],
)
def test_a_wrong_id_is_answered_with_the_nearest_three(
    catalogue: Catalogue, asked: str, first: str
) -> None:
    near = catalogue.nearest(asked)
    assert len(near) == 3
    assert len(set(near)) == 3
    assert near[0] == first
    with pytest.raises(NotFoundError) as caught:
        catalogue.entry(asked)
    assert caught.value.exit_code == EXIT_NOT_FOUND
    assert caught.value.line() == f"no entry has the id '{asked}'; nearest: {', '.join(near)}"


ODD = {"empty": "", "blank": " ", "null": "\0", "lone": "\ud800", "long": "x" * 10**6}


@pytest.mark.parametrize("asked", ODD.values(), ids=ODD.keys())
def test_no_id_is_too_odd_to_be_answered(catalogue: Catalogue, asked: str) -> None:
    with pytest.raises(NotFoundError):
        catalogue.entry(asked)


def test_an_empty_catalogue_has_nothing_near() -> None:
    empty = Catalogue(Content(entries=(), results=(), sources=()))
    with pytest.raises(NotFoundError) as caught:
        empty.entry("alpha")
    assert caught.value.remedy == "see: bioretrieval-tui list"


def test_sections_keep_their_order_and_time_and_steps_are_sorted(small: Catalogue) -> None:
    assert ids(small.section("models")) == ["alpha", "beta", "lonely"]
    assert ids(small.section("timeline")) == ["first", "middle", "late"]
    assert ids(small.section("path")) == ["step-1", "step-2"]
    assert small.section("datasets") == ()
    assert ids(small.of_type(Benchmark)) == ["tests", "suite"]


def test_every_entry_is_in_one_section(catalogue: Catalogue) -> None:
    together = [entry for name in SECTIONS for entry in catalogue.section(name)]
    assert sorted(ids(together)) == sorted(ids(catalogue.entries))
    assert {section_of(entry) for entry in catalogue.entries} == set(SECTIONS)
    assert {kind_of(entry) for entry in catalogue.section("timeline")} == {"milestone"}


def test_relations_lead_both_ways_and_typed_fields_count(small: Catalogue) -> None:
    assert ids(small.related("alpha")) == ["alpha-paper", "beta", "tests", "train"]
    assert ids(small.related("beta")) == ["alpha"]
    assert ids(small.related("alpha-paper")) == ["alpha", "train"]
    # A member without an entry of its own leads nowhere.
    assert ids(small.related("suite")) == ["tests"]
    assert ids(small.related("tests")) == ["alpha", "suite"]
    assert small.related("lonely") == ()
    assert small.related("nobody") == ()


def test_figures_of_a_model_and_of_a_benchmark(small: Catalogue) -> None:
    assert [r.value for r in small.results_of("tests")] == [0.5, 0.25]
    assert [r.value for r in small.results_of("beta")] == [0.25]
    assert small.results_of("lonely") == []
