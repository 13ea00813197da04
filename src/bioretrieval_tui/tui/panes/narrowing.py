"""The Search pane's filter: its line, what is wrong with it, and the facets that add to it."""

from __future__ import annotations

import re

from textual import on
from textual.widgets import Input

from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.index.metadata_fields import schema_of
from bioretrieval_tui.query import Schema, UnfinishedFilterError, parse
from bioretrieval_tui.tui import facets
from bioretrieval_tui.tui.panes.following import WHY_PAUSE, FollowingPane
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.query_line import QueryLine
from bioretrieval_tui.tui.widgets.table import VirtualTable

_LAST_WORD = re.compile(r"(?:^|[\s(])-?([^\W\d_][\w-]*)$")
ROOMY = 140
"""Columns from which hits, facets and page stand side by side."""


class NarrowingPane(FollowingPane):
    """Base of the Search pane: what keeps some documents and leaves others out."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.problem: FilterError | None = None
        """What is wrong with the filter as it stands in its line."""

    @property
    def filter_line(self) -> QueryLine:
        """The line of the filter."""
        return self.query_one("#filter", QueryLine)

    @property
    def facet_list(self) -> VirtualTable:
        """The list of facets."""
        return self.query_one("#facets", VirtualTable)

    @property
    def list_of_hits(self) -> VirtualTable:
        """The list of hits that is in use."""
        raise NotImplementedError

    @property
    def schema(self) -> Schema | None:
        """What a filter may name; None where that is not known (yet)."""
        info = self.infos.get(self.index)
        return schema_of(info.fields) if info and info.fields is not None else None

    def on_resize(self) -> None:
        """Facets beside the page when there is room."""
        self.set_class(self.size.width >= ROOMY, "-roomy")

    # The filter --------------------------------------------------------------------------

    def action_narrow(self) -> None:
        """Open the line of the filter."""
        self.remove_class("-reading")
        self.add_class("-narrowing")
        line = self.filter_line
        line.value = self.where
        line.cursor_position = len(self.where)
        line.focus()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.has_class("-narrowing"):
            self._filter_by(event.value)

    def _filter_by(self, where: str, *, whole: bool = False) -> None:
        try:
            self._check(where)
        except FilterError as problem:
            # Half-typed: say where, and keep what was last right.
            self.problem = problem
            self.no_wait()
            self.head()
            return
        self.problem = None
        if not whole and self._may_go_on(where):
            self.no_wait()
        elif where.strip() != self.where:
            self.where = where.strip()
            self.send_soon()
        self.head()

    def _may_go_on(self, where: str) -> bool:
        """Whether it ends in what may become the name of a field: nobody means the word `ye`."""
        last = _LAST_WORD.search(where)
        return last is not None and self.schema is not None and self.schema.begun(last[1])

    def _check(self, where: str) -> None:
        schema = self.schema
        if schema is not None and where.strip():
            parse(where, schema)

    def problem_span(self) -> Span:
        """What is wrong with the filter; what is only half-typed is no mistake yet."""
        if self.problem is None:
            return Span("")
        unfinished = isinstance(self.problem, UnfinishedFilterError)
        return Span(self.problem.line(), "dim" if unfinished else "error")

    @on(Input.Submitted, "#filter")
    def _filter_accepted(self, event: Input.Submitted) -> None:
        event.stop()
        self._filter_by(event.value, whole=True)
        if self.problem:
            self.owner.say(self.problem.line(), "error")
            return
        if self._wait:
            self.send()
        self._close_line()

    @on(QueryLine.Left, "#filter")
    def _filter_left(self, event: QueryLine.Left) -> None:
        event.stop()
        self.list_of_hits.move_to(self.list_of_hits.cursor + event.by)

    @on(QueryLine.Cancelled, "#filter")
    def _filter_cancelled(self, event: QueryLine.Cancelled) -> None:
        event.stop()
        self.lift_filter()

    def lift_filter(self) -> None:
        """Search all documents again."""
        lifted, self.where = self.where, ""
        self._close_line()
        if lifted:
            self.send()

    def lift_if_unfit(self) -> None:
        """Another index may not have the fields that the filter names."""
        try:
            self._check(self.where)
        except FilterError as problem:
            self.where = ""
            self.owner.say(f"The filter was lifted: {problem.message}")
        self._close_line()

    def _close_line(self) -> None:
        had_focus = self.filter_line.has_focus
        self.problem = None
        self.remove_class("-narrowing")
        self.head()
        if had_focus:
            self.list_of_hits.focus()
            self.ask_why(WHY_PAUSE)

    # Facets ------------------------------------------------------------------------------

    def action_facets(self) -> None:
        """Open the facets, or close them."""
        if self.has_class("-facets"):
            self.close_facets()
            return
        if self.has_class("-beside"):
            self.owner.say("Facets are of one list: v leaves the other")
            return
        if not self.view.answer.facets:
            self.owner.say("These hits have no years, journals or headings to choose from")
            return
        self.remove_class("-reading")
        self.add_class("-facets")
        self.fill_facets()
        self.facet_list.focus()

    def close_facets(self) -> None:
        """Give their room back."""
        had_focus = self.facet_list.has_focus
        self.remove_class("-facets")
        if had_focus:
            self.list_of_hits.focus()

    def fill_facets(self) -> None:
        """Show those of the hits; the cursor stays on its value."""
        if not self.has_class("-facets"):
            return
        table, answer = self.facet_list, self.view.answer
        rows = table.rows
        before = rows.shown[table.cursor] if isinstance(rows, facets.FacetRows) and rows else None
        shown = facets.values(answer.facets)
        at = table.cursor
        if before is not None:
            same = [n for n, one in enumerate(shown) if one.clause == before.clause]
            at = same[0] if same else at
        if rows.__class__ is not facets.FacetRows or shown:
            table.set_columns(facets.columns(answer.among))
        table.show(facets.FacetRows(shown, self.where), at)
        table.repaint()

    def take_facet(self) -> None:
        """Add the value under the cursor to the filter, or take it out."""
        rows, at = self.facet_list.rows, self.facet_list.cursor
        if not isinstance(rows, facets.FacetRows) or not 0 <= at < len(rows):
            return
        self.where = facets.toggled(self.where, rows.shown[at].clause, self.schema)
        if self.has_class("-narrowing"):
            self.filter_line.value = self.where
        self.send()

    @on(VirtualTable.Moved, "#facets")
    def _facet_moved(self, event: VirtualTable.Moved) -> None:
        """Another value is no other hit: the page stays."""
        event.stop()
        event.prevent_default()
