"""The state of a list of entries: filter, sort, the next match. No widget is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bioretrieval_tui.catalog import fields
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import SECTIONS
from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.query import UnfinishedFilterError
from bioretrieval_tui.tui.entry_session import EntrySession, paper_of


def ids(session: EntrySession) -> list[str]:
    return [entry.id for entry in session.shown]


@pytest.fixture
def papers(small: Catalogue) -> EntrySession:
    return EntrySession(small.section("papers"), small)


def test_a_filter_keeps_what_matches_until_it_is_lifted(papers: EntrySession) -> None:
    everything = ids(papers)
    papers.filter_by("alpha")
    papers.fill()
    assert ids(papers) == ["alpha-paper"]
    papers.filter_by("")
    papers.fill()
    assert ids(papers) == everything
    assert papers.last_filter == "alpha"


def test_what_does_not_parse_leaves_the_list_as_it_was(papers: EntrySession) -> None:
    papers.filter_by("alpha")
    papers.fill()
    papers.filter_by("alpha year>")
    assert isinstance(papers.problem, UnfinishedFilterError)
    with pytest.raises(FilterError):
        papers.filter_by("alpha yaer:2020", whole=True)
    assert type(papers.problem) is FilterError
    assert (papers.filter, ids(papers)) == ("alpha", ["alpha-paper"])
    papers.filter_by("beta")
    assert papers.problem is None


def test_sorting_goes_up_down_and_back(papers: EntrySession) -> None:
    given = ids(papers)
    assert [papers.sort("year") for _ in range(2)] == ["ascending", "descending"]
    papers.fill()
    years = [entry.year or 0 for entry in papers.shown]
    assert years == sorted(years, reverse=True)
    assert papers.sort("year") == ""
    papers.fill()
    assert ids(papers) == given


@pytest.mark.parametrize("section", SECTIONS)
def test_every_list_sorts_by_every_column(section: str, real: Catalogue) -> None:
    """By what the column shows, both ways; nothing is lost."""
    session = EntrySession(real.section(section), real)
    shown, _ = fields.TABLE.listed(str(SECTIONS[section].__struct_config__.tag))
    for column in shown:
        for _ in range(3):
            session.sort(column.name)
            session.fill()
            assert sorted(ids(session)) == sorted(entry.id for entry in session.entries)


def test_recipes_sort_by_the_arxiv_number_of_their_paper(real: Catalogue) -> None:
    session = EntrySession(real.section("recipes"), real)
    session.sort("paper")
    session.fill()
    papers = [getattr(entry, "paper", None) for entry in session.shown]
    numbers = [paper_of(entry, real) for entry in session.shown if paper_of(entry, real)]
    assert numbers == sorted(numbers)
    assert papers[len(numbers) :] == [None] * (len(papers) - len(numbers))


def test_the_next_match_goes_round_in_both_directions(papers: EntrySession) -> None:
    papers.filter_by("filler")
    papers.filter_by("")
    papers.fill()
    rows = ids(papers)
    first, last = rows.index("filler-01"), len(rows) - 1
    assert papers.next_match(rows, 0, 1) == first
    assert papers.next_match(rows, last, 1) == first
    assert papers.next_match(rows, 0, -1) == last
    papers.filter_by("nothingatallmatches")
    assert papers.next_match(rows, 0, 1) is None


def test_it_imports_no_textual() -> None:
    script = "import sys, bioretrieval_tui.tui.entry_session; assert 'textual' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
