"""The timeline and the lineage as plain values, on small catalogues and on the shipped one."""

from __future__ import annotations

from typing import Any

import pytest

from bioretrieval_tui.catalog import fields
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.catalog.models import Content, Link, Milestone, Model, Paper
from bioretrieval_tui.render.entries import record
from bioretrieval_tui.render.lineage import Branch, lineage, timeline, trained_from

REAL = load().catalogue


def model(name: str, year: int | None = 2020, **other: Any) -> Model:
    identifier = name.casefold().replace(" ", "-")
    hub = other.pop("hub", (f"lab/{identifier}",))
    return Model(id=identifier, name=name, year=year, role="retriever", summary="A model.",
                 sources=("card",), hub=hub, **other)  # fmt: skip


def milestone(name: str, year: int | None, era: str, *relations: str) -> Milestone:
    return Milestone(id=f"m-{name.casefold().split()[0]}", name=name, year=year, order=1, era=era,
                     summary="A milestone.", sources=("card",), relations=relations)  # fmt: skip


def paper(identifier: str, year: int) -> Paper:
    return Paper(id=identifier, name=identifier, title=identifier, year=year, summary="A paper.",
                 sources=("card",))  # fmt: skip


def of(*entries: Any) -> Catalogue:
    return Catalogue(Content(entries=entries, results=(), sources=()))


def tree(branches: tuple[Branch, ...]) -> list[tuple[str, str | None]]:
    return [(one.name, None if one.parent is None else branches[one.parent].name)
            for one in branches]  # fmt: skip


def test_milestones_stand_in_their_eras_in_time_order() -> None:
    made = timeline(
        of(milestone("Late (once Later)", 2024, "dense"), milestone("Undated", None, "dense"),
           milestone("Early", 2001, "lexical"), milestone("Middle and more", 2020, "dense"))
    )  # fmt: skip
    assert [(era.name, [mark.name for mark in era.marks]) for era in made.eras] == [
        ("lexical", ["Early"]), ("dense", ["Middle", "Late"]),
    ]  # fmt: skip
    assert made.years == (2001, 2020, 2024)
    assert made.gaps == ((2001, 2020), (2020, 2024))


def test_milestones_are_kin_by_the_models_that_they_brought() -> None:
    entries = (
        paper("p-base", 2020), paper("p-heir", 2023),
        model("Base", relations=("p-base",)),
        model("Heir", 2023, base="lab/base", relations=("p-heir",)),
        milestone("Base", 2020, "encoders", "p-base", "base", "heir"),
        milestone("Heir", 2023, "dense", "p-heir", "heir"),
        # It names the model, but neither brought it nor is of its year.
        milestone("Test", 2023, "evaluation", "base", "heir"),
    )  # fmt: skip
    marks = timeline(of(*entries)).marks
    assert (marks["m-base"].bases, marks["m-base"].heirs) == ((), ("m-heir",))
    assert (marks["m-heir"].bases, marks["m-heir"].heirs) == (("m-base",), ())
    assert (marks["m-test"].bases, marks["m-test"].heirs) == ((), ())


@pytest.mark.parametrize(
    ("base", "relations", "found"),
    [
        ("lab/old", (), "Old"),
        ("lab/renamed", (), "Old"),
        ("lab/unknown", ("old",), None),
        ("copies/old_v1.1", ("old",), "Old"),
        ("Old-Base v1.0 (a mixture)", ("old",), "Old"),
        ("lab/older", ("old",), None),
        ("copies/old_v1.1", (), None),
        ("lab/new", ("old",), None),
        (None, ("old",), None),
    ],
)
def test_what_a_model_was_trained_from(
    base: str | None, relations: tuple[str, ...], found: str | None
) -> None:
    link = Link(label="model", url="https://hf.co/lab/renamed", type="model")
    old = model("Old", family="Old", links=(link,))
    new = model("New", 2023, base=base, relations=relations)
    pairs = [(one.name, other.name) for one, other in trained_from(of(old, new))]
    assert pairs == ([("New", found)] if found else [])


def test_families_form_a_tree() -> None:
    made = lineage(
        of(
            model("Late", 2023, base="lab/root-base"),
            model("Root base", 2020, family="Root"), model("Root large", 2021, family="Root"),
            model("Early", 2021, base="lab/root-large"),
            model("Leaf", 2024, base="lab/early"),
            model("Alone", 2019), model("Undated", None, base="lab/root-base"),
        )
    )  # fmt: skip
    assert tree(made) == [("Root", None), ("Early", "Root"), ("Leaf", "Early"), ("Late", "Root")]
    assert (made[0].models, made[0].year) == (("root-base", "root-large"), 2020)
    assert made[1].bases == ("Root large",)


def test_a_circle_of_bases_is_cut() -> None:
    made = lineage(of(model("One", base="lab/two"), model("Two", 2021, base="lab/one")))
    assert tree(made) == [("One", None), ("Two", "One")]


def test_a_base_that_no_source_was_read_for_is_marked() -> None:
    statuses: Any = {"base": "unverified"}
    made = lineage(
        of(model("Old"), model("Sure", base="lab/old"),
           model("Unsure", base="lab/old", statuses=statuses))
    )  # fmt: skip
    assert [(one.name, one.unverified) for one in made] == [
        ("Old", False), ("Sure", False), ("Unsure", True),
    ]  # fmt: skip


# The shipped catalogue --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        ("MedCPT", "BiomedBERT (PubMedBERT)"), ("SapBERT", "BiomedBERT (PubMedBERT)"),
        ("BioHiCL", "BGE"), ("MedEmbed", "BGE"), ("SPECTER", "SciBERT"), ("BiCA", "GTE"),
    ],
)  # fmt: skip
def test_known_lineages(child: str, parent: str) -> None:
    assert (child, parent) in tree(lineage(REAL))


def test_the_gap_of_the_timeline_is_one() -> None:
    assert timeline(REAL).gaps == ((2004, 2019),)


def test_the_list_has_what_the_timeline_shows() -> None:
    rows = {row["id"]: row for row in map(record, REAL.section("timeline"))}
    made = timeline(REAL)
    for era in made.eras:
        for mark in era.marks:
            row = rows.pop(mark.id)
            assert (row["year"], row["era"]) == (mark.year, era.name)
            assert row["name"].startswith(mark.name)
    assert rows == {}
    assert {"year", "name", "era"} <= {row.name for row in fields.TABLE.listed("milestone")[0]}


def test_pages_lead_along_the_lineage() -> None:
    made = lineage(REAL)
    for one in made:
        if one.parent is not None:
            related = {other.id for name in one.models for other in REAL.related(name)}
            assert related & {*made[one.parent].models}, one.name
