"""Search: type, and what is near in meaning appears; the work is done by the search process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Input
from textual.worker import Worker

from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.highlight import words
from bioretrieval_tui.tui.hits import COLUMNS, HitRows, hit_page, marked_spans
from bioretrieval_tui.tui.markdown import inline
from bioretrieval_tui.tui.pages import Page, entry_page
from bioretrieval_tui.tui.screens.listing import ListPane
from bioretrieval_tui.tui.text import Span, line
from bioretrieval_tui.tui.widgets.detail import Detail
from bioretrieval_tui.tui.widgets.headline import HeadLine
from bioretrieval_tui.tui.widgets.query_line import QueryLine
from bioretrieval_tui.tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.entries import AnyEntry
    from bioretrieval_tui.export.citation import Citation
    from bioretrieval_tui.search.client import SearchClient
    from bioretrieval_tui.search.hits import Hit
    from bioretrieval_tui.tui.works import Outcome

PAUSE = 0.12
"""Seconds after the last key before a search is sent."""
HITS = 100


class SearchPane(ListPane):
    """A query line, hits, and the reader."""

    BINDINGS = bindings("search")
    SCOPES: ClassVar[tuple[str, ...]] = ("search", "list", "everywhere")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.query_text = ""
        self.hits: Sequence[Hit] = ()
        self.state: tuple[Span, ...] = ()
        self.ready = False
        """The catalogue's index is there and the model is loading or loaded."""
        self._wait: Timer | None = None
        self._searching: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        """The line is always there; hits and reader under it."""
        yield QueryLine("search by meaning: type a question, a claim, a topic")
        yield HeadLine()
        with Horizontal():
            yield VirtualTable(COLUMNS, empty="Hits appear here as you type.")
            yield Detail(rule=True)

    def on_mount(self) -> None:
        """Make the catalogue's index in the background, on this first need."""
        self.head()
        self.run_worker(self._prepare(), group="prepare", exclusive=True)

    def activate(self) -> None:
        """The query line takes the focus; the list if there are hits to return to."""
        if self.has_class("-reading"):
            self.detail.focus()
        elif self.hits:
            self.table.focus()
        else:
            self.line.focus()

    @property
    def line(self) -> QueryLine:
        """The query line."""
        return self.query_one(QueryLine)

    @property
    def client(self) -> SearchClient:
        """The search process, which all panes share."""
        return self.owner.client

    @property
    def index(self) -> str:
        """The index that is searched; the Indexes pane may choose it too."""
        return self.owner.index

    @index.setter
    def index(self, name: str) -> None:
        self.owner.index = name

    def on_unmount(self) -> None:
        """What still waits for an answer must not write into a screen that is gone."""
        self.workers.cancel_node(self)

    # Indexes -----------------------------------------------------------------------------

    async def _prepare(self) -> None:
        from bioretrieval_tui.search.entries import catalogue_documents, fingerprint

        documents = catalogue_documents(self.catalogue)
        busy = self.owner.works.current
        waits = f"The catalogue waits: {busy.doing.lower()}" if busy else ""
        self._state(Span(waits or "Starting the search process", "dim"))
        try:
            ensured = await self.client.ensure_catalogue(
                documents, fingerprint(documents), on_progress=self._progress
            )
        except BioRetrievalError as error:
            self._state(Span(error.line(), "error"))
            return
        self.ready = True
        self._state(*([Span(ensured.note, "warn")] if ensured.note else []))
        if self.query_text.strip():
            self._send()
        else:
            # Loads the model while the reader still thinks of a query.
            self._searching = self.run_worker(self._warm(), group="search", exclusive=True)

    async def _warm(self) -> None:
        try:
            await self.client.search("warm", index=CATALOGUE, k=1)
        except BioRetrievalError:
            return  # the reader's own query will say what is wrong

    def _progress(self, progress: Progress) -> None:
        share = progress.share
        if share is None:
            self._state(Span(progress.note or progress.stage, "dim"))
            return
        filled = round(share * 24)
        self._state(
            Span(f"{progress.stage} ", "dim"), Span("━" * filled, "gauge"),
            Span("━" * (24 - filled), "rule"),
            Span(f" {progress.done} of {progress.total} {progress.unit}", "dim"),
        )  # fmt: skip

    async def action_next_index(self) -> None:
        """Search the next index."""
        try:
            known = [info.name for info in await self.client.list_indexes()
                     if info.status == "ok"]  # fmt: skip
        except BioRetrievalError as error:
            self.owner.say(error.line(), "error")
            return
        names = [CATALOGUE, *(name for name in known if name != CATALOGUE)]
        if len(names) == 1:
            self.owner.say("No index of your own yet: 0 leads to where one is built")
            return
        at = names.index(self.index) if self.index in names else -1
        self.search_in(names[(at + 1) % len(names)])

    def search_in(self, name: str) -> None:
        """Search another index: what stands in the line is asked there."""
        self.index = name
        self._show([])
        self._send()

    def work_done(self, outcome: Outcome) -> None:
        """An index that is gone is searched no longer. Hits of one that has changed stay: they
        must not move under a reader's eyes."""
        if outcome.done and outcome.job.verb == "remove" and outcome.job.name == self.index:
            self.search_in(CATALOGUE)

    # Searching ---------------------------------------------------------------------------

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value == self.query_text:
            return
        self.query_text = event.value
        if self._wait:
            self._wait.stop()
        if not event.value.strip():
            self._stop()
            self._show([])
            return
        self._wait = self.set_timer(PAUSE, self._send)

    def _stop(self) -> None:
        if self._wait:
            self._wait.stop()
            self._wait = None
        if self._searching and self._searching.is_running:
            self._searching.cancel()

    def _send(self) -> None:
        """Search for what stands in the line; an older search that still runs is dropped."""
        if self._wait:
            self._wait.stop()
            self._wait = None
        if not self.query_text.strip():
            self.head()
            return
        if not self.ready and self.index == CATALOGUE:
            return  # sent when the index is there
        self._searching = self.run_worker(
            self._search(self.query_text, self.index), group="search", exclusive=True
        )

    async def _search(self, query: str, index: str) -> None:
        self._state(Span("searching", "dim"))
        try:
            hits = await self.client.search(query, index=index, k=HITS)
        except InterruptedByUser:
            return
        except asyncio.CancelledError:
            raise
        except BioRetrievalError as error:
            if query == self.query_text:
                self._show([])
                self._state(Span(error.line(), "error"))
            return
        if query == self.query_text and index == self.index:
            self._show(hits)

    def _show(self, hits: Sequence[Hit]) -> None:
        self.hits = hits
        self.table.show(HitRows(hits, words(self.query_text)), 0)
        self._state()
        self.show_page()

    def _state(self, *spans: Span) -> None:
        """What the search is doing, at the end of the head line."""
        self.state = spans
        self.head()

    def head(self) -> None:
        """Index, number of hits, state."""
        spans = [Span("Search", "strong"), Span(f"  {self.index}", "ok")]
        if self.letters:
            spans.append(Span(f"   {self.letters}: type its letter, esc to stop", "warn"))
        elif self.state:
            spans += [Span("   "), *self.state]
        elif self.hits:
            spans.append(Span(f"   best {len(self.hits)}, dense, all-MiniLM-L6-v2", "dim"))
        self.query_one(HeadLine).show(*spans)

    # Keys --------------------------------------------------------------------------------

    @property
    def hit(self) -> Hit | None:
        """The hit under the cursor."""
        at = self.table.cursor
        return self.hits[at] if 0 <= at < len(self.hits) else None

    def make_page(self) -> Page:
        """A document's text; an entry's page for hits of the catalogue."""
        hit = self.hit
        if hit is None:
            return Page(())
        wanted = words(self.query_text)
        entry = self.catalogue.by_id.get(hit.id) if self.index == CATALOGUE else None
        if entry is None:
            return hit_page(hit, wanted)
        page = entry_page(entry, self.catalogue, away=True)
        lines = list(page.lines)
        lines[3] = line(*marked_spans(inline(entry.summary), wanted))
        return replace(page, lines=tuple(lines))

    def place(self) -> str | None:
        """Where `back` returns to."""
        return self.hit.id if self.hit else None

    def go_to(self, place: str | None) -> None:
        """Put the cursor back on a hit."""
        for i, hit in enumerate(self.hits):
            if hit.id == place:
                self.table.move_to(i)

    def action_query(self) -> None:
        """Type a query."""
        self.remove_class("-reading")
        self.line.focus()
        self.line.cursor_position = len(self.line.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        under_way = self._searching is not None and self._searching.is_running
        if self._wait or not (self.hits or under_way):
            # Without waiting for the pause; or again, after escape.
            self._send()
        self.table.focus()

    @on(QueryLine.Left)
    def _left(self, event: QueryLine.Left) -> None:
        event.stop()
        self.table.focus()
        if event.by > 0 and self.table.cursor:
            self.action_move(event.by)

    @on(QueryLine.Cancelled)
    def _cancelled(self, event: QueryLine.Cancelled) -> None:
        """Escape: stop what is under way; the query stays."""
        event.stop()
        self._stop()
        self._state()
        self.table.focus()

    def action_clear(self) -> None:
        """Out of a mode or the reader; then stop the search."""
        if not self.leave():
            self._stop()
            self._state()

    def action_relations(self) -> None:
        """Related entries, for hits of the catalogue."""
        if self.index != CATALOGUE or self.hit is None:
            self.owner.say("Documents of an index have no relations yet")
            return
        super().action_relations()

    def action_export(self) -> None:
        """Write the hits to a file."""
        from bioretrieval_tui.export.hits import hit_sheet

        hits, title = list(self.hits), f"Search: {self.query_text}"
        entries = self._entries()
        self.owner.export_sheet(
            lambda: hit_sheet(hits, title=title, citations=_citations(entries)),
            f"search-{self.index}",
            len(hits),
        )

    def _entries(self) -> list[AnyEntry]:
        """The entries among the hits: works to cite."""
        if self.index != CATALOGUE:
            return []
        by_id = self.catalogue.by_id
        return [by_id[hit.id] for hit in self.hits if hit.id in by_id]


def _citations(entries: Sequence[AnyEntry]) -> tuple[Citation, ...]:
    from bioretrieval_tui.export.citation import citable, cite_entry

    return tuple(cite_entry(entry) for entry in entries if citable(entry))
