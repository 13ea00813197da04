"""The filter and the order of a list of entries, without a widget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bioretrieval_tui.catalog import fields
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import AnyEntry, Model
from bioretrieval_tui.errors import FilterError

if TYPE_CHECKING:
    from bioretrieval_tui.query import Filter


def paper_of(entry: AnyEntry, catalogue: Catalogue) -> str:
    """The arXiv number of the paper of a recipe, else the paper's name; "" without a paper."""
    paper = catalogue.by_id.get(getattr(entry, "paper", None) or "")
    return (getattr(paper, "arxiv", None) or paper.name) if paper else ""


class EntrySession:
    """The entries of a list, its filter and its order.

    entries: all entries, in catalogue order.
    shown: those that the filter keeps, in the order of the list.
    filter: the filter in force; last_filter: the last one that was not empty.
    problem: the error of the typed filter, which is not in force then.
    sorted_by: (field, descending), None for catalogue order.
    """

    def __init__(self, entries: Sequence[AnyEntry], catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.entries = entries
        self.shown: list[AnyEntry] = list(entries)
        self.filter = self.last_filter = ""
        self.problem: FilterError | None = None
        self.sorted_by: tuple[str, bool] | None = None
        self._filter: Filter | None = None

    def matching(self, expression: str) -> list[AnyEntry]:
        """The entries that an expression keeps. Raises FilterError if it does not parse."""
        if not expression.strip():
            return list(self.entries)
        if self._filter is None:
            self._filter = fields.make_filter(self.entries, self.catalogue)
        return [self.entries[number] for number in self._filter.apply(expression)]

    def forget(self) -> None:
        """Read the values of the entries again at the next filter: the shelf has changed."""
        self._filter = None

    def fill(self) -> None:
        """Filter and sort again."""
        self.shown = self.matching(self.filter)
        if self.sorted_by:
            name, reverse = self.sorted_by
            self.shown = fields.ordered(self.shown, name, self.catalogue, reverse=reverse)
            if name == "paper":  # by what the column shows
                known = [one for one in self.shown if paper_of(one, self.catalogue)]
                known.sort(key=lambda one: paper_of(one, self.catalogue), reverse=reverse)
                self.shown[: len(known)] = known  # those without a paper are last already

    def filter_by(self, text: str, *, whole: bool = False) -> None:
        """Filter by the text of the filter line; `whole`: it was accepted.

        A text that does not parse sets `problem`, and the last valid filter stays. Raises
        FilterError for one that was accepted.
        """
        try:
            self.matching(text)
        except FilterError as problem:
            self.problem = problem
            if whole:
                raise
        else:
            self.filter, self.problem = text, None
            self.last_filter = text or self.last_filter

    def sort(self, name: str) -> str:
        """Sort by a field; again: the other way; a third time: catalogue order. Returns
        "ascending", "descending", or "" for catalogue order."""
        if self.sorted_by == (name, True):
            self.sorted_by = None
            return ""
        self.sorted_by = (name, self.sorted_by == (name, False))
        return "descending" if self.sorted_by[1] else "ascending"

    def next_match(self, rows: Sequence[str], at: int, by: int) -> int | None:
        """The next (or previous) of the rows, given as ids, that the last filter keeps."""
        kept = {entry.id for entry in self.matching(self.filter or self.last_filter)}
        steps = ((at + by * step) % len(rows) for step in range(1, len(rows) + 1))
        return next((row for row in steps if rows[row] in kept), None)


def is_here(entry: Model) -> bool:
    """Whether the files of a model are complete on this machine; they are looked for when asked."""
    from bioretrieval_tui.encoding.model_files import entry_is_here

    return entry_is_here(entry)
