"""The state and the requests of the Search pane, without a widget.

A `SearchSession` holds the query (index, text, mode, order, filter), its answer (`HitView`) and
the progress of the request. It calls the search process and the pane that shows it (`SearchFace`).
At most one search runs: a newer one cancels it, and an answer to an earlier query is dropped.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from bioretrieval_tui.backend.protocol import (
    EnsureCatalogue,
    Explain,
    ListIndexes,
    Reranker,
    Search,
    Similar,
)
from bioretrieval_tui.errors import BioRetrievalError, FilterError, InterruptedByUser, ModelError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.index.metadata_fields import schema_of
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.query import Schema, UnfinishedFilterError, parse
from bioretrieval_tui.query.ast import Any as AnyOf
from bioretrieval_tui.query.ast import Matches
from bioretrieval_tui.render.hits import mode_name
from bioretrieval_tui.render.sheet import shortened
from bioretrieval_tui.search.types import MODES, Explanation, Hit, Mode, Order, Query, SearchResult

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.catalogue import Catalogue
    from bioretrieval_tui.index.registry import IndexInfo
    from bioretrieval_tui.render.sheet import Sheet
    from bioretrieval_tui.search.catalogue_index import Ensured
    from bioretrieval_tui.tui.panes.pane import PaneContext

HITS = 100
"""Hits that a search asks for."""
SIMILAR = 25
"""Documents that a search for similar ones asks for."""
NEAR = 5
"""Similar entries of the catalogue that are listed after similar documents."""
PAUSE = 0.08
"""Seconds after the last key before a search is sent."""
FIRST_RERANKER = "medcpt-cross-encoder"
_LONGEST_TITLE = 48
_LONGEST_FILTER = 36
_BAR = 24
_LAST_WORD = re.compile(r"(?:^|[\s(])-?([^\W\d_][\w-]*)$")

StatusPart = tuple[str, str]
"""A piece of the status line: text, role."""


class Running(Protocol):
    """Work that was started."""

    @property
    def is_running(self) -> bool: ...
    def cancel(self) -> None: ...


class Stoppable(Protocol):
    """A timer."""

    def stop(self) -> None: ...


class SearchFace(Protocol):
    """What a session needs of the pane that shows it; `SearchPane` describes the methods."""

    @property
    def owner(self) -> PaneContext: ...
    @property
    def cursor(self) -> int: ...
    def in_background(
        self, group: str, work: Callable[..., Coroutine[Any, Any, None]], *args: Any
    ) -> Running: ...
    def set_timer(self, delay: float, callback: Callable[[], None]) -> Stoppable: ...
    def head(self) -> None: ...
    def show_hits(self, cursor: int = 0) -> None: ...
    def show_reason(self, document: str) -> None: ...
    def opened_similar(self, document: str) -> None: ...


@dataclass(frozen=True, slots=True)
class HitView:
    """One answer and its query.

    index: the index that was searched.
    question: the query, None where the hits are documents similar to `like`.
    where: the filter.
    near: similar entries of the catalogue, listed after the hits.
    reranker: name of the model that reranked the top hits.
    """

    index: str = ""
    question: Query | None = None
    answer: SearchResult = SearchResult(())  # noqa: RUF009 - frozen
    where: str = ""
    like: Hit | None = None
    near: tuple[Hit, ...] = ()
    reranker: str = ""

    @property
    def hits(self) -> tuple[Hit, ...]:
        """All rows of the list."""
        return (*self.answer.hits, *self.near)

    def is_near(self, at: int) -> bool:
        """Whether a row is an entry of the catalogue listed after the hits."""
        return at >= len(self.answer.hits)

    @property
    def text(self) -> str:
        """The text of the query, "" for similar documents."""
        return self.question.text if self.question else ""


NOTHING = HitView()


# Facets ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One value of a field, its count among the top hits, and the filter clause that keeps it."""

    field: str
    value: str
    count: int
    clause: str


def facet_values(answer: SearchResult) -> list[FacetValue]:
    """All values, field by field."""

    def clause(field: str, value: str) -> str:
        return f"year:{value}" if field == "year" else str(Matches(field, "=", (value,)))

    return [
        FacetValue(facet.field, value, count, clause(facet.field, value))
        for facet in answer.facets
        for value, count in facet.counts
    ]


def _find_clause(where: str, clause: str) -> re.Match[str] | None:
    return re.search(rf"(?<!\S){re.escape(clause)}(?!\S)", where)


def has_clause(where: str, clause: str) -> bool:
    """Whether a filter contains this clause."""
    return _find_clause(where, clause) is not None


def toggled_clause(where: str, clause: str, schema: Schema | None) -> str:
    """The filter with this clause, or without it if it was there."""
    found = _find_clause(where, clause)
    if found is not None:
        return f"{where[: found.start()].rstrip()} {where[found.end() :].lstrip()}".strip()
    if not where.strip():
        return clause
    try:
        either = schema is None or isinstance(parse(where, schema), AnyOf)
    except FilterError:
        either = True
    return f"({where.strip()}) {clause}" if either else f"{where.strip()} {clause}"


# Rerankers ------------------------------------------------------------------------------------


def installed_reranker(catalogue: Catalogue) -> tuple[str, Reranker]:
    """Name and request of the first cross-encoder of the catalogue that has a recipe, and its
    files on this machine. Reads the disk.

    Raises:
        ModelError: there is none; the remedy says how to get the first one.
    """
    from bioretrieval_tui.catalog.models import Model
    from bioretrieval_tui.encoding.model_files import missing_models

    first: Model | None = None
    for entry in sorted(catalogue.of_type(Model), key=lambda one: one.id != FIRST_RERANKER):
        recipe = entry.encoding
        if entry.role != "reranker" or recipe is None or recipe.type != "cross-encoder":
            continue
        hub = entry.weights
        if hub is None:
            continue
        if not missing_models(hub, recipe):
            return entry.name, Reranker(hub, recipe)
        first = first or entry
    if first is None:
        raise ModelError("the catalogue has no reranker with a recipe")
    raise ModelError(
        f"{first.name} is not on this machine",
        remedy=f"download it: bioretrieval-tui doctor --model {first.id} --download",
    )


# The session ----------------------------------------------------------------------------------


class SearchSession:
    """The query and its hits.

    text: the query line.
    where: the filter in force; problem: the error of the filter as typed.
    beside: BM25 and dense are searched, a list each.
    view, right: what the lists show; on_right: the right list is in use.
    infos: the indexes by name; ready: the catalogue is indexed.
    state: what the search is doing, for the status line.
    reasons: explanations of hits of the list in use, by document id.
    """

    def __init__(self, face: SearchFace) -> None:
        self.face = face
        self.text = ""
        self.mode: Mode = "hybrid"
        self.order: Order = "relevance"
        self.where = ""
        self.problem: FilterError | None = None
        self.beside = False
        self.view: HitView = NOTHING
        self.right: HitView = NOTHING
        self.on_right = False
        self.infos: dict[str, IndexInfo] = {}
        self.state: tuple[StatusPart, ...] = ()
        self.ready = False
        self._with_vectors: bool | None = None
        """Whether the catalogue is being indexed with vectors, or was; None before that."""
        self.reasons: dict[str, Explanation] = {}
        self._former: list[tuple[HitView, int]] = []
        self._pause: Stoppable | None = None
        self._running: Running | None = None

    @property
    def owner(self) -> PaneContext:
        """The app, which panes share."""
        return self.face.owner

    # What is shown -----------------------------------------------------------------------

    @property
    def two_lists(self) -> bool:
        """Two lists are shown."""
        return self.right is not NOTHING

    @property
    def shown(self) -> HitView:
        """What the list in use shows."""
        return self.right if self.on_right and self.two_lists else self.view

    @property
    def model(self) -> str:
        """Name of the model of the index that is searched, "" while unknown."""
        info = self.infos.get(self.owner.index)
        return (info.model or "").rstrip("/").rpartition("/")[2] if info else ""

    @property
    def schema(self) -> Schema | None:
        """The fields that a filter may name; None while unknown."""
        info = self.infos.get(self.owner.index)
        return schema_of(info.fields) if info and info.fields is not None else None

    @property
    def similar_open(self) -> bool:
        """Similar documents are shown; `back` leaves them."""
        return bool(self._former)

    def show(self, view: HitView, right: HitView = NOTHING, cursor: int = 0) -> None:
        """Show one list or two."""
        if view.like is None:
            self._former.clear()
        self.view, self.right = view, right
        self.on_right = self.on_right and self.two_lists
        self.reasons.clear()
        self.state = ()
        self.face.show_hits(cursor)

    def tell(self, *parts: StatusPart) -> None:
        """Show what the search is doing, at the end of the status line."""
        self.state = parts
        self.face.head()

    def tell_progress(self, progress: Progress) -> None:
        """Show the progress of the search process."""
        share = progress.share
        if share is None:
            self.tell((progress.note or progress.stage, "dim"))
            return
        filled = round(share * _BAR)
        self.tell(
            (f"{progress.stage} ", "dim"), ("━" * filled, "gauge"), ("━" * (_BAR - filled), "rule"),
            (f" {progress.done} of {progress.total} {progress.unit}", "dim"),
        )  # fmt: skip

    def status(self) -> list[StatusPart]:
        """The status line: index, mode, hits, progress."""
        if self.problem is not None:
            unfinished = isinstance(self.problem, UnfinishedFilterError)
            return [(self.problem.line(), "dim" if unfinished else "error")]
        parts = [("Search", "strong"), (f"  {self.owner.index}", "ok")]
        if self.state:
            return [*parts, ("   ", "text"), *self.state]
        if self.two_lists:
            return [*parts, *self._two_described()]
        if self.view is not NOTHING:
            return [*parts, *self._one_described()]
        parts += [(f"  {'BM25 | dense' if self.beside else mode_name(self.mode)}", "dim")]
        parts += [(f"  {self.model}", "faint")]
        return [*parts, (f"  filter {self.where}", "ok")] if self.where else parts

    def _one_described(self) -> Iterator[StatusPart]:
        view, answer = self.view, self.view.answer
        question = view.question
        if view.like is not None:
            title = view.like.title or view.like.text or view.like.id
            yield "  similar to: ", "dim"
            yield shortened(title, _LONGEST_TITLE), "strong"
        elif question is not None:
            yield f"  {mode_name(question.mode)}", "strong"
        yield f"  {self._counted(answer)}", "dim"
        if view.near:
            yield f" + {len(view.near)} of the catalogue", "dim"
        yield from _filtered(view)
        if question is not None and question.order == "date":
            yield "  newest first", "dim"
        if view.reranker:
            yield f"  reranked by {view.reranker}", "model"
        if answer.note:
            yield f"  {answer.note}", "warn"
        if self.model and not (question and question.mode == "lexical"):
            yield f"  {self.model}", "faint"

    def _counted(self, answer: SearchResult) -> str:
        count = len(answer.hits)
        if count < HITS:
            return f"{count} hit" if count == 1 else f"{count} hits"
        info = self.infos.get(self.view.index)
        known = info.documents if info and answer.fitting is None else None
        return f"top {count} of {known:,}" if known else f"top {count}"

    def _two_described(self) -> Iterator[StatusPart]:
        left, right = self.view.answer.hits, self.right.answer.hits
        both = {hit.id for hit in left} & {hit.id for hit in right}
        yield "  BM25 | dense", "strong"
        yield f"  {len(both)} of {max(len(left), len(right))} in both", "dim"
        yield from _filtered(self.view)
        if self.view.answer.note:
            yield f"  {self.view.answer.note}", "warn"

    # Indexes -----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Index the catalogue, once, as the mode needs it: BM25 needs neither vectors nor model."""
        vectors = self.mode != "lexical" or self.beside
        if self._with_vectors is not None and (
            vectors == self._with_vectors or (self.ready and not vectors)
        ):
            return
        self._with_vectors, self.ready = vectors, False
        self.face.in_background("prepare", self._prepare, vectors)

    async def _prepare(self, vectors: bool) -> None:
        """Index the catalogue unless it is, then send the query typed meanwhile."""
        self.tell(("Starting the search process", "dim"))
        try:
            ensured = await self._ensure_catalogue(vectors=vectors)
        except BioRetrievalError as error:
            self.tell((error.line(), "error"))
            return
        self.ready = True
        self.tell(*([(ensured.note, "warn")] if ensured.note else []))
        await self.learn()
        if self.text.strip():
            self.send()
        elif vectors:
            self._running = self.face.in_background("search", self._warm_up)

    async def _ensure_catalogue(self, *, vectors: bool) -> Ensured:
        from bioretrieval_tui.search.catalogue_index import catalogue_documents, fingerprint

        documents = catalogue_documents(self.owner.catalogue)
        return await self.owner.client.ask(
            EnsureCatalogue(fingerprint(documents), documents, vectors), self.tell_progress
        )

    async def _warm_up(self) -> None:
        """Load the model before the first query is typed."""
        try:
            await self.owner.client.ask(Search(CATALOGUE, Query(text="warm", k=1)))
        except BioRetrievalError:
            return  # the first query reports it

    async def learn(self) -> None:
        """Read model, fields and number of documents of each index."""
        try:
            self.infos = {info.name: info for info in await self.owner.client.ask(ListIndexes())}
        except BioRetrievalError:
            return  # a search reports it
        self.face.head()

    async def next_index(self) -> str | None:
        """Name of the index to search next, None where there is no other."""
        try:
            self.infos = {info.name: info for info in await self.owner.client.ask(ListIndexes())}
        except BioRetrievalError as error:
            self.owner.say(error.line(), "error")
            return None
        known = [info.name for info in self.infos.values() if info.status == "ok"]
        names = [CATALOGUE, *(name for name in known if name != CATALOGUE)]
        if len(names) == 1:
            self.owner.say("No index of your own yet: press 0 to build one")
            return None
        now = self.owner.index
        return names[((names.index(now) if now in names else -1) + 1) % len(names)]

    def search_in(self, name: str) -> None:
        """Search another index for what the query line holds."""
        self.owner.index = name
        self.show(NOTHING)
        try:
            self._check(self.where)
        except FilterError as problem:
            # Another index may not have the fields that the filter names.
            self.where = ""
            self.owner.say(f"The filter was removed: {problem.message}")
        self.problem = None
        self.send()
        if name not in self.infos:
            self.face.in_background("learn", self.learn)

    # Searching ---------------------------------------------------------------------------

    def type(self, text: str) -> None:
        """Take the text of the query line: search after a pause, or empty the list."""
        if text == self.text:
            return
        self.text = text
        self.no_pause()
        if text.strip():
            self._send_soon()
        else:
            self.stop()
            self.show(NOTHING)

    def accept(self) -> None:
        """Send without waiting for the pause, or again after escape."""
        if self._pause or (self.view is NOTHING and not self.under_way):
            self.send()

    def next_mode(self) -> None:
        """Search by the next of hybrid, dense, BM25."""
        self.mode = MODES[(MODES.index(self.mode) + 1) % len(MODES)]
        self.beside = False
        self.prepare()
        self.send()
        self.face.head()

    def next_order(self) -> None:
        """Sort by relevance or by date."""
        self.order = "relevance" if self.order == "date" else "date"
        self.send()
        self.face.head()
        if not self.text.strip():
            self.owner.say("Newest first" if self.order == "date" else "Best first")

    def send(self) -> None:
        """Search for the query; an older search that still runs is cancelled."""
        self.no_pause()
        if not self.text.strip():
            self.face.head()
            return
        if not self.ready and self.owner.index == CATALOGUE:
            return  # sent when the catalogue is indexed
        search = self._search_two if self.beside else self._search_one
        self._running = self.face.in_background("search", search, self._question())

    def _send_soon(self) -> None:
        self.no_pause()
        self._pause = self.face.set_timer(PAUSE, self.send)

    def no_pause(self) -> None:
        """Send nothing when the pause ends."""
        if self._pause:
            self._pause.stop()
            self._pause = None

    @property
    def under_way(self) -> bool:
        """A request has no answer yet."""
        return self._running is not None and self._running.is_running

    @property
    def busy(self) -> bool:
        """A request has no answer yet, or is about to be sent."""
        return self.under_way or self._pause is not None

    def stop(self) -> None:
        """Cancel the request that runs or is about to be sent."""
        self.no_pause()
        if self._running and self._running.is_running:
            self._running.cancel()
        self.tell()

    def _question(self) -> Query:
        return Query(text=self.text, k=HITS, mode=self.mode, where=self.where, order=self.order)

    def _current(self, question: Query, index: str) -> bool:
        """Whether this is still the query."""
        return question.text == self.text and index == self.owner.index

    async def _search_one(self, question: Query) -> None:
        index = self.owner.index
        self.tell(("searching", "dim"))
        try:
            answer = await self.owner.client.ask(Search(index, question))
        except InterruptedByUser:
            return
        except BioRetrievalError as error:
            self._fail(question, index, error)
            return
        if self._current(question, index):
            self.show(HitView(index, question, answer, question.where))

    async def _search_two(self, question: Query) -> None:
        index = self.owner.index
        views = []
        self.tell(("searching", "dim"))
        try:
            for mode, stream in (("lexical", "left"), ("dense", "right")):
                asked = msgspec.structs.replace(question, mode=mode)
                answer = await self.owner.client.ask(Search(index, asked, stream))
                views.append(HitView(index, asked, answer, asked.where))
        except InterruptedByUser:
            return
        except BioRetrievalError as error:
            self._fail(question, index, error)
            return
        if self._current(question, index):
            self.show(views[0], views[1])

    def _fail(self, question: Query, index: str, error: BioRetrievalError) -> None:
        if self._current(question, index):
            self.show(NOTHING)
            self.tell((error.line(), "error"))

    # The filter --------------------------------------------------------------------------

    def filter_by(self, where: str, *, whole: bool = False) -> None:
        """Filter by the typed text; `whole`: it was accepted, and is not the start of a name."""
        try:
            self._check(where)
        except FilterError as problem:
            # Incomplete: show where, and keep the last valid filter.
            self.problem = problem
            self.no_pause()
            self.face.head()
            return
        self.problem = None
        last = _LAST_WORD.search(where)
        if not whole and last and self.schema is not None and self.schema.begun(last[1]):
            self.no_pause()  # it ends in the start of a field's name: `ye` is not searched for
        elif where.strip() != self.where:
            self.where = where.strip()
            self._send_soon()
        self.face.head()

    def accept_filter(self, where: str) -> bool:
        """Filter by the typed text now; False if it is wrong, which is reported."""
        self.filter_by(where, whole=True)
        if self.problem:
            self.owner.say(self.problem.line(), "error")
            return False
        if self._pause:
            self.send()
        return True

    def lift_filter(self) -> None:
        """Remove the filter."""
        removed, self.where = self.where, ""
        self.problem = None
        if removed:
            self.send()

    def toggle_facet(self, value: FacetValue) -> None:
        """Add a value to the filter, or remove it."""
        self.where = toggled_clause(self.where, value.clause, self.schema)
        self.send()

    def _check(self, where: str) -> None:
        schema = self.schema
        if schema is not None and where.strip():
            parse(where, schema)

    # Rerank, similar documents, reasons --------------------------------------------------

    def rerank(self) -> None:
        """Rerank the top hits with a cross-encoder."""
        if self.view.question is None or not self.view.hits:
            self.owner.say("There are no hits to rerank")
            return
        self.beside = False
        question = msgspec.structs.replace(self._question(), order="relevance")
        self._running = self.face.in_background("search", self._rerank, question)

    async def _rerank(self, question: Query) -> None:
        index = self.owner.index

        def before(answer: SearchResult) -> None:
            """Show the hits before they are reranked."""
            if self._current(question, index) and answer.hits != self.view.answer.hits:
                state = self.state
                self.show(HitView(index, question, answer, question.where))
                self.tell(*state)

        self.tell(("looking for a reranker", "dim"))
        try:
            name, reranker = await asyncio.to_thread(installed_reranker, self.owner.catalogue)
            self.tell(("reranking the top hits, esc cancels", "dim"))
            answer = await self.owner.client.ask(
                Search(index, question, reranker=reranker), self.tell_progress, before
            )
        except InterruptedByUser:
            self.tell()
            return
        except BioRetrievalError as error:
            # The hits stay. The remedy has its own line, which fits a narrow window.
            self.tell((error.message, "error"))
            if error.remedy:
                self.owner.say(error.remedy, "error")
            return
        if self._current(question, index):
            self.show(HitView(index, question, answer, question.where, reranker=name))

    def find_similar(self, hit: Hit, *, near: bool) -> None:
        """Look for documents similar to a hit; `near`: it is an entry listed after the hits."""
        self.no_pause()
        index = CATALOGUE if near else self.shown.index
        self._running = self.face.in_background("search", self._similar, hit, index)

    async def _similar(self, hit: Hit, index: str) -> None:
        self.tell(("looking for similar documents", "dim"))
        client = self.owner.client
        where = self.where if index == self.owner.index else ""
        near: tuple[Hit, ...] = ()
        try:
            if index == CATALOGUE and self._with_vectors is False:
                await self._ensure_catalogue(vectors=True)
                self._with_vectors = True
            answer = await client.ask(Similar(index, hit.id, SIMILAR, where))
        except InterruptedByUser:
            return
        except BioRetrievalError as error:
            self.tell()
            self.owner.say(error.line(), "error")
            return
        if index != CATALOGUE and self.ready and self._with_vectors:
            try:
                found = await client.ask(
                    Similar(index, hit.id, NEAR, into=CATALOGUE, stream="near")
                )
                near = found.hits
            except BioRetrievalError:
                near = ()  # the documents are shown without them
        former = [*self._former, (self.shown, self.face.cursor)]
        self.beside = False
        self.show(HitView(index, None, answer, where, hit, near))
        self._former = former
        self.face.opened_similar(hit.id)

    def back(self) -> Hit | None:
        """Show again what was shown before.

        Returns:
            The hit whose similar documents were shown.
        """
        like = self.view.like
        (view, cursor), former = self._former[-1], self._former[:-1]
        self.show(view, cursor=cursor)
        self._former = former
        return like

    def explainable(self, hit: Hit) -> bool:
        """Whether a hit has no explanation yet, and can have one."""
        return self.view.question is not None and hit.id not in self.reasons

    def explain(self, hit: Hit) -> None:
        """Request the explanation of a hit."""
        if self.view.question is not None:
            self.face.in_background("why", self._explain, hit, self.view, self.view.question)

    async def _explain(self, hit: Hit, view: HitView, question: Query) -> None:
        # Explain both halves, except where no model was used and none should load.
        if question.mode != "lexical" or self.beside:
            question = msgspec.structs.replace(question, mode="hybrid")
        try:
            told = await self.owner.client.ask(Explain(view.index, question, [hit.id]))
        except BioRetrievalError:
            return  # the page is shown without it
        if self.view is view and told:
            self.reasons[hit.id] = told[0]
            self.face.show_reason(hit.id)

    # Export ------------------------------------------------------------------------------

    def sheet(self) -> Sheet:
        """The hits of the list in use in their order, without the entries after them."""
        from bioretrieval_tui.render.citation import hit_citations
        from bioretrieval_tui.render.hits import hit_sheet

        view = self.shown
        title = f"Search: {view.text}" if view.question else "Search"
        if view.like is not None:
            title = f"Similar to {view.like.title or view.like.id}"
        hits = list(view.answer.hits)
        catalogue = self.owner.catalogue if view.index == CATALOGUE else None
        return hit_sheet(hits, title=title, citations=hit_citations(hits, catalogue))


def _filtered(view: HitView) -> Iterator[StatusPart]:
    """The filter, and how many documents pass it."""
    if view.answer.fitting is not None:
        yield "  filter ", "dim"
        yield shortened(view.where, _LONGEST_FILTER), "ok"
        yield f" keeps {view.answer.fitting:,}", "dim"
