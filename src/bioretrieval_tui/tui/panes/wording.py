"""The Search pane's query line: typing, leaving it, and earlier queries."""

from __future__ import annotations

import contextlib
from functools import partial

from textual import on
from textual.widgets import Input

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.tui.asked import NOTHING
from bioretrieval_tui.tui.panes.following import WHY_PAUSE
from bioretrieval_tui.tui.panes.narrowing import NarrowingPane
from bioretrieval_tui.tui.widgets.ask_line import AskLine
from bioretrieval_tui.tui.widgets.query_line import QueryLine


class WordingPane(NarrowingPane):
    """Base of the Search pane: what is typed, and what was typed before."""

    @property
    def line(self) -> AskLine:
        """The query line."""
        return self.query_one("#query", AskLine)

    def action_query(self) -> None:
        """Type a query."""
        self.remove_class("-reading")
        self.line.focus()
        self.line.cursor_position = len(self.line.value)

    @on(Input.Changed, "#query")
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value == self.query_text:
            return
        self.query_text = event.value
        self.no_wait()
        if not event.value.strip():
            self.stop()
            self.show_view(NOTHING)
            return
        self.send_soon()

    @on(Input.Submitted, "#query")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._wait or (self.view is NOTHING and not self.under_way):
            # Without waiting for the pause; or again, after escape.
            self.send()
        self._left_line()

    @on(QueryLine.Left, "#query")
    def _left(self, event: QueryLine.Left) -> None:
        event.stop()
        self._left_line()
        if self.list_of_hits.cursor:
            self.action_move(event.by)

    @on(QueryLine.Cancelled, "#query")
    def _cancelled(self, event: QueryLine.Cancelled) -> None:
        """Escape: stop what is under way; the query stays."""
        event.stop()
        self.stop()
        self.tell()
        self._left_line()

    @on(AskLine.NoneFound)
    def _none_found(self, event: AskLine.NoneFound) -> None:
        event.stop()
        self.owner.say("No earlier query is like that")

    def _left_line(self) -> None:
        self.list_of_hits.focus()
        self.ask_why(WHY_PAUSE)
        query = self.query_text.strip()
        if query and self.line.earlier.add(query):
            self.run_worker(partial(self._keep_query, query), thread=True, group="history")

    def _keep_query(self, query: str) -> None:
        try:
            self.owner.library.keep_query(query)
        except BioRetrievalError as error:
            self.app.call_from_thread(self.owner.say, error.line(), "error")

    def load_queries(self) -> None:
        """Fetch earlier queries, in a thread. A library that cannot be read is told of when a
        query is to be kept in it: nobody asked for it yet."""
        with contextlib.suppress(BioRetrievalError):
            queries = self.owner.library.queries()
            self.app.call_from_thread(self.line.earlier.load, queries)
