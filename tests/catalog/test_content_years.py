"""Dates of the shipped catalogue agree: milestones, papers, recipes, models and their lineage."""

from __future__ import annotations

import re

from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.catalog.models import AnyEntry, Milestone, Model, Paper, Recipe
from bioretrieval_tui.render.lineage import introduced, lineage

REAL = load().catalogue


def own_paper(entry: AnyEntry) -> Paper | None:
    """The paper of an entry: of a recipe the one it names, else the first that it relates to."""
    named = entry.paper if isinstance(entry, Recipe) else None
    related = (REAL.by_id.get(one) for one in ((named,) if named else entry.relations))
    return next((one for one in related if isinstance(one, Paper)), None)


def test_years_agree_with_those_of_the_papers_or_a_note_says_why() -> None:
    milestones = REAL.of_type(Milestone)
    brought = [REAL.by_id[name] for one in milestones for name in introduced(one, REAL)]
    wrong = []
    for one in (*milestones, *REAL.of_type(Recipe), *brought):
        paper = own_paper(one)
        if paper is None or paper.year is None or paper.year == one.year:
            continue
        said = " ".join(note.text for note in (*one.notes, *paper.notes))
        # "AAAI-26" names the year too.
        if not re.search(rf"\b{paper.year}\b|-{paper.year % 100}\b", said):
            wrong.append(f"{one.id} {one.year}, {paper.id} {paper.year}")
    assert wrong == []


def test_the_day_of_release_is_of_the_year_or_unverified() -> None:
    wrong = [
        f"{one.id}: {one.year}, {one.released}"
        for one in REAL.of_type(Model)
        if one.released and one.statuses.get("released") != "unverified"
        if one.year != int(one.released[:4])
    ]
    assert wrong == []


def test_lineage_never_runs_backwards() -> None:
    made = lineage(REAL)
    wrong = [
        (one.name, made[one.parent].name)
        for one in made
        if one.parent is not None and one.year < made[one.parent].year
    ]
    assert wrong == []
