"""The Search pane's end of the search process: what is asked, what came, what is being done."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.timer import Timer
from textual.worker import Worker

from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.search.hits import Hit, Mode, Order, Question
from bioretrieval_tui.tui.asked import HITS, NOTHING, View
from bioretrieval_tui.tui.indexing import short_model
from bioretrieval_tui.tui.screens.listing import ListPane
from bioretrieval_tui.tui.text import Span

if TYPE_CHECKING:
    from bioretrieval_tui.index.registry import IndexInfo
    from bioretrieval_tui.search.client import SearchClient
    from bioretrieval_tui.search.protocol import Ensured

PAUSE = 0.08
"""Seconds after the last key before a search is sent."""
_BAR = 24


class AskingPane(ListPane):
    """Base of the Search pane: asks, and keeps what was answered last."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.query_text = ""
        self.mode: Mode = "hybrid"
        self.order: Order = "relevance"
        self.where = ""
        self.beside = False
        """Two lists are asked for: words and meaning."""
        self.view: View = NOTHING
        self.right: View = NOTHING
        """What the second list shows, where there are two."""
        self.infos: dict[str, IndexInfo] = {}
        self.state: tuple[Span, ...] = ()
        self.ready = False
        """The catalogue's index is there, with what the mode needs of it."""
        self.with_vectors: bool | None = None
        """What the catalogue's index is being prepared with, or was; None before that."""
        self._wait: Timer | None = None
        self._searching: Worker[None] | None = None

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

    @property
    def model(self) -> str:
        """The model of the index that is searched, as far as that is known yet."""
        info = self.infos.get(self.index)
        return short_model(info.model) if info else ""

    @property
    def hit(self) -> Hit | None:
        """The hit under the cursor."""
        raise NotImplementedError

    def show_view(self, view: View, right: View = NOTHING, cursor: int = 0) -> None:
        """Show what came."""
        raise NotImplementedError

    # Getting ready -----------------------------------------------------------------------

    def prepare(self) -> None:
        """Make sure of what the mode needs of the catalogue's index: BM25 needs no vectors, and no
        model is loaded for it."""
        vectors = self.mode != "lexical" or self.beside
        if self.with_vectors is not None and (
            vectors == self.with_vectors or (self.ready and not vectors)
        ):
            return
        self.with_vectors, self.ready = vectors, False
        self.in_background("prepare", partial(self._prepare, vectors))

    async def _prepare(self, vectors: bool) -> None:
        """Make sure of the catalogue's index, then ask what was typed meanwhile."""
        busy = self.owner.works.current
        waits = f"The catalogue waits: {busy.doing.lower()}" if busy else ""
        self.tell(Span(waits or "Starting the search process", "dim"))
        try:
            ensured = await self.ensure_catalogue(vectors=vectors)
        except BioRetrievalError as error:
            self.tell(Span(error.line(), "error"))
            return
        self.ready = True
        self.tell(*([Span(ensured.note, "warn")] if ensured.note else []))
        await self.learn()
        if self.query_text.strip():
            self.send()
        elif vectors:
            # Loads the model while the reader still thinks of a query.
            self._searching = self.in_background("search", self._warm)

    async def ensure_catalogue(self, *, vectors: bool) -> Ensured:
        """Have the catalogue's index made or brought up to date. Raises what the client does."""
        from bioretrieval_tui.search.entries import catalogue_documents, fingerprint

        documents = catalogue_documents(self.catalogue)
        return await self.client.ensure_catalogue(
            documents, fingerprint(documents), vectors=vectors, on_progress=self.tell_progress
        )

    async def _warm(self) -> None:
        try:
            await self.client.search(Question(text="warm", k=1), index=CATALOGUE)
        except BioRetrievalError:
            return  # the reader's own query will say what is wrong

    async def learn(self) -> None:
        """What is known of the indexes: model and fields."""
        try:
            self.infos = {info.name: info for info in await self.client.list_indexes()}
        except BioRetrievalError:
            return  # a search will say what is wrong
        self.head()

    def tell(self, *spans: Span) -> None:
        """What the search is doing, at the end of the head line."""
        self.state = spans
        self.head()

    def tell_progress(self, progress: Progress) -> None:
        """A step of what the search process does."""
        share = progress.share
        if share is None:
            self.tell(Span(progress.note or progress.stage, "dim"))
            return
        filled = round(share * _BAR)
        self.tell(
            Span(f"{progress.stage} ", "dim"), Span("━" * filled, "gauge"),
            Span("━" * (_BAR - filled), "rule"),
            Span(f" {progress.done} of {progress.total} {progress.unit}", "dim"),
        )  # fmt: skip

    # Asking ------------------------------------------------------------------------------

    def send_soon(self) -> None:
        """Search once the reader pauses."""
        if self._wait:
            self._wait.stop()
        self._wait = self.set_timer(PAUSE, self.send)

    def send(self) -> None:
        """Search for what stands in the line; an older search that still runs is dropped."""
        self.no_wait()
        if not self.query_text.strip():
            self.head()
            return
        if not self.ready and self.index == CATALOGUE:
            return  # sent when the index is there
        question = Question(
            text=self.query_text, k=HITS, mode=self.mode, where=self.where, order=self.order
        )
        work = self._two if self.beside else self._one
        self._searching = self.in_background("search", work, question)

    def no_wait(self) -> None:
        """Send nothing when the pause ends."""
        if self._wait:
            self._wait.stop()
            self._wait = None

    @property
    def under_way(self) -> bool:
        """Something was asked and is not answered yet."""
        return self._searching is not None and self._searching.is_running

    def stop(self) -> None:
        """Ask no more, and drop what was asked."""
        self.no_wait()
        if self._searching and self._searching.is_running:
            self._searching.cancel()

    def _asked(self, question: Question, index: str) -> bool:
        """Whether this is still what the reader wants to know."""
        return question.text == self.query_text and index == self.index

    async def _one(self, question: Question) -> None:
        index = self.index
        self.tell(Span("searching", "dim"))
        try:
            answer = await self.client.search(question, index=index)
        except InterruptedByUser:
            return
        except BioRetrievalError as error:
            self._failed(question, index, error)
            return
        if self._asked(question, index):
            self.show_view(View(index, question, answer, question.where))

    async def _two(self, question: Question) -> None:
        """The same by words and by meaning."""
        from msgspec.structs import replace

        index = self.index
        views = []
        self.tell(Span("searching", "dim"))
        try:
            for mode, stream in (("lexical", "left"), ("dense", "right")):
                asked = replace(question, mode=mode)
                answer = await self.client.search(asked, index=index, stream=stream)
                views.append(View(index, asked, answer, asked.where))
        except InterruptedByUser:
            return
        except BioRetrievalError as error:
            self._failed(question, index, error)
            return
        if self._asked(question, index):
            self.show_view(views[0], views[1])

    def _failed(self, question: Question, index: str, error: BioRetrievalError) -> None:
        if self._asked(question, index):
            self.show_view(NOTHING)
            self.tell(Span(error.line(), "error"))
