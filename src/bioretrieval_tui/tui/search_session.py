"""The state and the requests of the Search pane, without a widget.

A `SearchSession` holds the query (index, text, mode, order, filter), its answer (`HitView`) and
the progress of the request. It calls the search process and the pane that shows it, of which only
the type is imported.
At most one request runs: a newer one cancels it, and an answer to an earlier query is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from bioretrieval_tui.actions import keyed
from bioretrieval_tui.backend import protocol
from bioretrieval_tui.errors import (
    BioRetrievalError,
    FilterError,
    InterruptedByUser,
    ModelError,
    UsageError,
)
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.render.sheet import shortened
from bioretrieval_tui.search.types import (
    MODES,
    Explanation,
    Hit,
    Mode,
    Order,
    Query,
    SearchResult,
    mode_name,
)
from bioretrieval_tui.tui.facets import FacetValue, toggled_clause
from bioretrieval_tui.tui.index_session import in_keys, short_model

if TYPE_CHECKING:
    from textual.worker import Worker

    from bioretrieval_tui.catalog.catalogue import Catalogue
    from bioretrieval_tui.index.mesh_conditions import Offer
    from bioretrieval_tui.query import Schema
    from bioretrieval_tui.render.sheet import Sheet
    from bioretrieval_tui.tui.panes.search_pane import SearchPane

HITS = 100
"""Hits that a search asks for."""
SIMILAR = 25
"""Documents that a search for similar ones asks for."""
NEAR = 5
"""Similar entries of the catalogue that are listed after similar documents."""
PAUSE = 0.08
"""Seconds after the last key before a search is sent."""
FIRST_RERANKER = "medcpt-cross-encoder"
_TOKENS_A_WORD = 1.5
_LONGEST_TITLE = 48
_LONGEST_FILTER = 36
_LONGEST_NAMES = 36
_BAR = 24
_OFFERED = 5
_LAST_WORD = re.compile(r"(?:^|[\s(])-?([^\W\d_][\w-]*)$")

StatusPart = tuple[str, str]
"""A piece of the status line: text, role."""


def _progress_parts(progress: Progress) -> tuple[StatusPart, ...]:
    if progress.share is None:
        return ((progress.note or progress.stage, "dim"),)
    filled = round(progress.share * _BAR)
    return (
        (f"{progress.stage} ", "dim"), ("━" * filled, "gauge"), ("━" * (_BAR - filled), "rule"),
        (f" {progress.done} of {progress.total} {progress.unit}", "dim"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class HitView:
    """One answer and its query.

    index, also: the index that was searched, and further ones; question: the query, None where the
    hits are documents similar to `like`; where: the filter; near: similar entries of the catalogue,
    listed after the hits; before: what `back` shows again, and the row of its cursor; reranker:
    name of the model that reranked the top hits.
    """

    index: str = ""
    question: Query | None = None
    answer: SearchResult = SearchResult(())  # noqa: RUF009 - frozen
    where: str = ""
    like: Hit | None = None
    near: tuple[Hit, ...] = ()
    before: tuple[HitView, int] | None = None
    reranker: str = ""
    also: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The indexes that were searched."""
        return self.index, *self.also

    def index_of(self, hit: Hit) -> str:
        """The index that a hit is from."""
        return hit.index or self.index

    @property
    def hits(self) -> tuple[Hit, ...]:
        return (*self.answer.hits, *self.near)

    def is_near(self, at: int) -> bool:
        """Whether a row is an entry of the catalogue listed after the hits."""
        return at >= len(self.answer.hits)

    @property
    def text(self) -> str:
        """The text of the query, "" for similar documents."""
        return self.question.text if self.question else ""


NOTHING = HitView()


def installed_reranker(catalogue: Catalogue) -> tuple[str, protocol.Reranker]:
    """Name and request of the first cross-encoder of the catalogue that has a recipe, and its
    files on this machine. Reads the disk.

    Raises ModelError if there is none; the remedy says how to get the first one."""
    from bioretrieval_tui.catalog.models import Model
    from bioretrieval_tui.encoding.model_files import missing_models

    first: Model | None = None
    for entry in sorted(catalogue.of_type(Model), key=lambda one: one.id != FIRST_RERANKER):
        recipe, hub = entry.encoding, entry.weights
        if entry.role != "reranker" or not recipe or recipe.type != "cross-encoder" or not hub:
            continue
        if not missing_models(hub, recipe):
            return entry.name, protocol.Reranker(hub, recipe)
        first = first or entry
    if first is None:
        raise ModelError("the catalogue has no reranker with a recipe")
    raise ModelError(
        f"{first.name} is not on this machine",
        remedy="b in Models, then w on Reranker, fetches it with an evaluation; alone:"
        f" bioretrieval-tui doctor --model {first.id} --download",
    )


class SearchSession:
    """The query and its hits.

    also: indexes that are searched besides the app's.
    text: the query line; before: query, lists and row before it was edited, None if it was not.
    filter: the filter in force; problem: the error of the filter as typed; offered: the headings
        of MeSH that the condition at its end may mean.
    beside: BM25 and dense are searched, a list each.
    view, right: what the lists show; on_right: the right list is in use.
    infos: the indexes by name.
    state: what the search is doing, for the status line.
    loading: how far the model of the index is loaded, while BM25 stands in for it.
    reasons: explanations of hits of the list in use, by `Hit.key`.
    """

    def __init__(self, face: SearchPane) -> None:
        self.face, self.owner = face, face.owner
        self.text = ""
        self.also: tuple[str, ...] = ()
        self.before: tuple[str, HitView, HitView, int] | None = None
        self.mode: Mode = "hybrid"
        self.order: Order = "relevance"
        self.filter = ""
        self.problem: FilterError | None = None
        self.offered: tuple[Offer, ...] = ()
        self.beside = False
        self.view: HitView = NOTHING
        self.right: HitView = NOTHING
        self.on_right = False
        self.infos: dict[str, IndexInfo] = {}
        self.state: tuple[StatusPart, ...] = ()
        self.loading: tuple[StatusPart, ...] = ()
        self._loaded: dict[str, str | None] = {}
        """Indexes whose model was asked for: None until it is loaded, then "", or why it is not."""
        self.reasons: dict[tuple[str, str], Explanation] = {}
        self._request: Worker[None] | None = None
        self._pausing = False
        """The request waits for its pause: it is not sent yet."""

    # What is shown -----------------------------------------------------------------------

    @property
    def two_lists(self) -> bool:
        return self.right is not NOTHING

    @property
    def shown(self) -> HitView:
        return self.right if self.on_right and self.two_lists else self.view

    @property
    def names(self) -> tuple[str, ...]:
        """The indexes that are searched."""
        return self.owner.index, *self.also

    @property
    def schema(self) -> Schema | None:
        """The fields that a filter may name, those of all indexes; None while unknown."""
        from bioretrieval_tui.index.metadata_fields import schema_of

        infos = [self.infos.get(name) for name in self.names]
        known = [one.fields for one in infos if one is not None and one.fields is not None]
        return schema_of(chain.from_iterable(known)) if len(known) == len(infos) else None

    def show(self, view: HitView, right: HitView = NOTHING, cursor: int = 0) -> None:
        self.view, self.right = view, right
        self.on_right = self.on_right and self.two_lists
        self.reasons.clear()
        self.state = ()
        self.face.show_hits(cursor)

    def tell(self, *parts: StatusPart) -> None:
        self.state = parts
        self.face.head()

    def tell_progress(self, progress: Progress) -> None:
        self.tell(*_progress_parts(progress))

    def status(self) -> list[StatusPart]:
        """The status line: index, mode, hits, progress; headings while a filter is typed."""
        if self.offered:
            parts: list[StatusPart] = [("MeSH", "strong")]
            for one in self.offered:
                synonym = f"{one.term}: " if one.is_synonym else ""
                places = " ".join(one.heading.trees[:1]) + (
                    "\u2026" if one.heading.trees[1:] else ""
                )
                parts += [
                    (f"   {synonym}", "dim"),
                    (one.heading.name, "ok"),
                    (f" {places}", "faint"),
                ]
            return parts
        if self.problem is not None:
            wrong = type(self.problem) is FilterError  # else it is only incomplete
            return [(self.problem.line(), "error" if wrong else "dim")]
        parts = [
            ("Search", "strong"),
            (f"  {shortened(' + '.join(self.names), _LONGEST_NAMES)}", "ok"),
        ]
        infos = [self.infos[name] for name in self.names if name in self.infos]
        encoded = [one for one in infos if one.dimension != 0] or infos
        model = ", ".join(dict.fromkeys(short_model(one.model) for one in encoded))
        view, answer, question = self.view, self.view.answer, self.view.question
        if self.state:
            return [*parts, ("   ", "text"), *self.state]
        if view is NOTHING:
            mode = "BM25 | dense" if self.beside else mode_name(self.mode)
            parts += [(f"  {mode}", "dim"), (f"  {model}", "faint")]
            return [*parts, (f"  filter {self.filter}", "ok")] if self.filter else parts
        if self.two_lists:
            left, right = ({hit.key for hit in one.answer.hits} for one in (view, self.right))
            both = f"  {len(left & right)} of {max(len(left), len(right))} in both"
            parts += [("  BM25 | dense", "strong"), (both, "dim")]
        else:
            if view.like is not None:
                title = view.like.title or view.like.text or view.like.id
                parts += [("  similar to: ", "dim"), (shortened(title, _LONGEST_TITLE), "strong")]
            elif question is not None:
                parts.append((f"  {mode_name(question.mode)}", "strong"))
            parts.append((f"  {self._counted(view)}", "dim"))
            parts += [(f" + {len(view.near)} of the catalogue", "dim")] if view.near else []
        # Before what may be left out at the end of a narrow line.
        note = answer.note or self.right.answer.note
        parts += [(f"  {note}", "warn")] if note else []
        if answer.fitting is not None:
            where = shortened(view.where, _LONGEST_FILTER)
            parts += [("  filter ", "dim"), (where, "ok"), (f" keeps {answer.fitting:,}", "dim")]
        if question is not None and question.order == "date" and not self.two_lists:
            parts.append(("  newest first", "dim"))
        parts += [(f"  reranked by {view.reranker}", "model")] if view.reranker else []
        if answer.pending:
            return [*parts, *self._pending()]
        with_model = not self.two_lists and not (question and question.mode == "lexical")
        return [*parts, (f"  {model}", "faint")] if model and with_model else parts

    def _pending(self) -> list[StatusPart]:
        """Why BM25 answered alone: the model is being loaded, or cannot be."""
        problems = [self._loaded.get(name) for name in self.names]
        if all(problems):
            infos = [self.infos.get(name) for name in self.names]
            if bare := [one.name for one in infos if one and one.dimension == 0]:
                which = f"{' and '.join(bare)} without vectors" if self.also else "no vectors"
                return [(f"  {which}: V in Indexes adds them", "dim")]
            return [(f"  BM25 only: {problems[0]}", "warn")]
        return [(f"  {mode_name(self.mode)} follows: ", "dim"),
                *(self.loading or (("loading the model", "dim"),))]  # fmt: skip

    def _counted(self, view: HitView) -> str:
        answer, count = view.answer, len(view.answer.hits)
        if count < HITS:
            return "1 hit" if count == 1 else f"{count} hits"
        names = [name for name in view.names if name not in answer.left_out]
        infos = [self.infos[name] for name in names if name in self.infos]
        known = sum(one.documents or 0 for one in infos) if answer.fitting is None else 0
        return f"top {count} of {known:,}" if known else f"top {count}"

    def prepare(self) -> None:
        """Load the models of the indexes in the background, unless only BM25 is searched."""
        if self.mode == "lexical" and not self.beside:
            return
        if any(name not in self._loaded for name in self.names):
            names = [name for name in self.names if self._loaded.get(name) is None]
            self._loaded |= dict.fromkeys(names)
            self.face.in_background("load", self._load, names)

    async def _load(self, names: Sequence[str]) -> None:
        """Load the models of indexes; then search again where BM25 stood in for them."""

        def tell(progress: Progress) -> None:
            if name in self.names:
                self.loading = _progress_parts(progress)
                self.face.head()

        for name in names:
            self._loaded[name] = None
            try:
                await self.owner.client.ask(protocol.Load(name), tell)
                self._loaded[name] = ""
            except asyncio.CancelledError:
                for one in names:  # for other indexes
                    if self._loaded.get(one) is None:
                        self._loaded.pop(one, None)
                raise
            except InterruptedByUser:
                self._loaded.pop(name, None)
            except BioRetrievalError as error:
                self._loaded[name] = error.line()
        self.loading = ()
        if self.view.answer.pending and self._tried(self.names):
            self.send()
        self.face.head()

    def _tried(self, names: Sequence[str]) -> bool:
        """Whether the models of all these indexes were tried, and one at least is loaded."""
        found = [self._loaded.get(name) for name in names]
        return "" in found and None not in found

    def forget(self, name: str) -> None:
        """Forget that the model of an index was loaded, since the index has changed."""
        self._loaded.pop(name, None)

    async def learn(self) -> None:
        """Read model, fields and number of documents of each index."""
        self.infos = {
            info.name: info for info in await self.owner.client.ask(protocol.ListIndexes())
        }
        self.face.head()

    async def choices(self) -> list[IndexInfo]:
        """The indexes that can be searched: of those that evaluations made only the current ones.
        Raises UsageError if there is only the catalogue."""
        await self.learn()
        known = {CATALOGUE: IndexInfo(CATALOGUE)} | self.infos
        found = [
            one
            for one in known.values()
            if one.name in self.names or (one.status == "ok" and not one.cached)
        ]
        if len(found) == 1:
            raise UsageError(keyed("No index of your own yet: press {go-indexes} to build one"))
        return found

    def state_of(self, name: str) -> str:
        """Whether the model of an index is loaded, as it is shown; "" if it was not asked for."""
        info = self.infos.get(name)
        if name not in self._loaded or (info and info.dimension == 0):  # it is in the column before
            return ""
        found = self._loaded[name]
        return "loading" if found is None else found or "loaded"

    def search_in(self, name: str, *also: str) -> None:
        """Search another index, or several, for what the query line holds."""
        self.owner.index, self.also = name, also
        self.show(NOTHING)
        try:
            self._check(self.filter)
        except FilterError as problem:
            # Another index may not have the fields that the filter names.
            self.filter = ""
            self.owner.say(f"The filter was removed: {problem.message}")
        self.problem = None
        self.prepare()
        self.send()
        if not self.infos.keys() >= {name, *also}:
            self.face.in_background("learn", self.learn)

    # Searching ---------------------------------------------------------------------------

    def type(self, text: str) -> None:
        """Take the text of the query line: search after a pause, or empty the list."""
        if text == self.text:
            return
        if self.before is None:
            self.before = (self.text, self.view, self.right, self.face.cursor)
        self.text = text
        if text.strip():
            self.send(PAUSE)
        else:
            self.stop()
            self.show(NOTHING)

    def take_back(self, text: str, view: HitView, right: HitView, cursor: int) -> None:
        """Show again what was shown before the query was edited."""
        self.text = text
        self.show(view, right, cursor)
        if view is NOTHING or (view.question and view.text != text):
            self.send()

    def unread(self, text: str) -> str:
        """What to say of a text that is longer than the model reads, estimated by its words."""
        info = self.infos.get(self.owner.index)
        most = info.max_tokens if info and (self.mode != "lexical" or self.beside) else None
        if not info or not most or len(text.split()) * _TOKENS_A_WORD <= most:
            return ""
        return f"; {short_model(info.model)} reads only the first {most} tokens of it"

    def accept(self) -> None:
        """Send without waiting for the pause, or again after escape."""
        if self._pausing or (self.view is NOTHING and not self.busy):
            self.send()

    def next_mode(self) -> None:
        self.mode = MODES[(MODES.index(self.mode) + 1) % len(MODES)]
        self.beside = False
        self.prepare()
        self.send()
        self.face.head()

    def next_order(self) -> None:
        self.order = "relevance" if self.order == "date" else "date"
        self.send()
        self.face.head()
        if not self.text.strip():
            self.owner.say("Newest first" if self.order == "date" else "Best first")

    def send(self, after: float | None = None) -> None:
        """Search for the query after a pause in seconds, and cancel an older request."""
        if not self.text.strip():
            self.face.head()
        else:
            self._begin(self._search, self._question(), after)
            self._pausing = after is not None

    def _begin(self, work: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        self._pausing = False
        self._request = self.face.in_background("search", work, *args)

    @property
    def busy(self) -> bool:
        """A request has no answer yet, or waits for its pause."""
        return self._pausing or bool(self._request and self._request.is_running)

    def stop(self) -> None:
        self._pausing = False
        if self._request:
            self._request.cancel()
        self.tell()

    def _question(self) -> Query:
        return Query(text=self.text, k=HITS, mode=self.mode, where=self.filter, order=self.order)

    def _current(self, question: Query, names: tuple[str, ...]) -> bool:
        return question.text == self.text and names == self.names

    async def _search(self, question: Query, after: float | None) -> None:
        """Search, for BM25 and dense one after the other where two lists are shown."""
        await asyncio.sleep(after or 0)
        self._pausing = False
        names, views = self.names, []
        beside = (("lexical", "left"), ("dense", "right"))
        self.tell(("searching", "dim"))
        try:
            for mode, stream in beside if self.beside else ((question.mode, "search"),):
                asked = msgspec.structs.replace(question, mode=mode)
                request = protocol.Search(
                    names[0], asked, stream, waits=self.beside, also=names[1:]
                )
                answer = await self.owner.client.ask(request, self.tell_progress)
                if answer.pending:
                    if self._tried(names):  # the search process has closed one of them since
                        for name in names:
                            self.forget(name)
                    self.prepare()
                    asked = msgspec.structs.replace(question, mode="lexical")
                views.append(HitView(names[0], asked, answer, asked.where, also=names[1:]))
        except InterruptedByUser:
            return
        except BioRetrievalError as error:
            if self._current(question, names):
                self.show(NOTHING)
                said = in_keys(error, "{mode} changes the mode, {vectors} in Indexes adds them")
                self.tell((said.line(), "error"))
            return
        if self._current(question, names):
            replaced = self.view.answer.pending and self.view.text == question.text
            cursor = self._place_in(views[0]) if replaced else 0
            self.show(views[0], views[1] if len(views) > 1 else NOTHING, cursor)
            if not self.infos.keys() >= {*names}:  # the first search made it
                self.face.in_background("learn", self.learn)

    def _place_in(self, view: HitView) -> int:
        """The row of the hit under the cursor in another answer; 0 if it is the first or absent."""
        shown, cursor = self.view.hits, self.face.cursor
        if not 0 < cursor < len(shown):
            return 0
        return next((n for n, hit in enumerate(view.hits) if hit.key == shown[cursor].key), 0)

    # The filter --------------------------------------------------------------------------

    def filter_by(self, text: str, *, whole: bool = False) -> None:
        """Filter by the typed text; `whole`: it was accepted, and is not the start of a name.

        A text that does not parse sets `problem`, which the status line shows, and the last valid
        filter stays. Raises UsageError for one that was accepted.
        """
        if whole or not text:
            self.offered = ()
        last = _LAST_WORD.search(text)
        # The start of a field's name is not a word to search for.
        begun = not whole and last and self.schema is not None and self.schema.begun(last[1])
        try:
            self._check(text)
            self.problem = None
        except FilterError as problem:
            self.problem = problem
        if self.problem or begun:
            if self._pausing:
                self.stop()
        elif text.strip() != self.filter or (whole and self._pausing):
            self.filter = text.strip()
            self.send(None if whole else PAUSE)
        if self.problem and whole:
            raise UsageError("The filter is not in force: it is explained above the hits")

    async def offer(self, text: str) -> str | None:
        """What the filter line may go on with: a heading of MeSH or a synonym. The first few are in
        the status line, with their places in the tree."""
        from bioretrieval_tui.index.mesh_conditions import offers

        found: list[Offer] = []
        with contextlib.suppress(BioRetrievalError):  # the filter itself reports a damaged file
            found = await asyncio.to_thread(offers, text, _OFFERED)
        if text != self.face.filter_line.value:
            return None
        self.offered = tuple(found)
        self.face.head()
        begun = (one.text for one in found if one.text.casefold().startswith(text.casefold()))
        return next((text + whole[len(text) :] for whole in begun), None)

    @property
    def widened(self) -> list[str]:
        """The fields of the facets that count values as if the filter did not name the field."""
        where, schema = self.view.where, self.schema
        if not where.strip() or schema is None:
            return []
        from bioretrieval_tui.query import ast, parse

        node = parse(where, schema)
        fields = [facet.field for facet in self.view.answer.facets]
        return [field for field in fields if ast.without_field(node, field) is not node]

    def toggle_facet(self, value: FacetValue) -> None:
        self.filter = toggled_clause(self.filter, value.clause, self.schema)
        self.send()

    def _check(self, where: str) -> None:
        if where.strip() and self.schema is not None:
            from bioretrieval_tui.query import parse

            parse(where, self.schema)

    # Rerank, similar documents, reasons --------------------------------------------------

    def rerank(self) -> None:
        if self.view.question is None or not self.view.hits:
            raise UsageError("There are no hits to rerank")
        self.beside = False
        question = msgspec.structs.replace(self._question(), order="relevance")
        self._begin(self._rerank, question)

    async def _rerank(self, question: Query) -> None:
        names = self.names
        view = HitView(names[0], question, where=question.where, also=names[1:])

        def before(answer: SearchResult) -> None:
            if self._current(question, names) and answer.hits != self.view.answer.hits:
                state = self.state
                self.show(replace(view, answer=answer))
                self.tell(*state)

        self.tell(("looking for a reranker", "dim"))
        try:
            name, reranker = await asyncio.to_thread(installed_reranker, self.owner.catalogue)
            self.tell((keyed("reranking the top hits, {clear} cancels"), "dim"))
            answer = await self.owner.client.ask(
                protocol.Search(names[0], question, reranker=reranker, also=names[1:]),
                self.tell_progress,
                before,
            )
        except InterruptedByUser:
            self.tell()
            return
        except BioRetrievalError as error:
            # The hits stay. The remedy has its own line, which fits a narrow window.
            error = in_keys(error, "{vectors} in Indexes adds them")
            self.tell((error.message, "error"))
            if error.remedy:
                self.owner.say(error.remedy, "error")
            return
        if self._current(question, names):
            self.show(replace(view, answer=answer, reranker=name))

    def find_similar(self, hit: Hit, *, near: bool) -> None:
        """Look for documents similar to a hit; `near`: it is an entry listed after the hits."""
        self._begin(self._similar, hit, CATALOGUE if near else self.shown.index_of(hit))

    async def _similar(self, hit: Hit, index: str) -> None:
        self.tell(("looking for similar documents", "dim"))
        client = self.owner.client
        where = self.filter if index in self.names else ""
        near: tuple[Hit, ...] = ()
        try:
            answer = await client.ask(protocol.Similar(index, hit.id, SIMILAR, where))
        except BioRetrievalError as error:
            self.tell()
            raise in_keys(error, "{vectors} in Indexes adds them") from error
        if index != CATALOGUE and self._loaded.get(CATALOGUE) == "":
            with contextlib.suppress(BioRetrievalError):  # the documents are shown without them
                found = await client.ask(
                    protocol.Similar(index, hit.id, NEAR, into=CATALOGUE, stream="near")
                )
                near = found.hits
        before = (self.shown, self.face.cursor)
        self.beside = False
        self.show(HitView(index, None, answer, where, hit, near, before))
        self.face.opened_similar(hit.id)

    def back(self) -> Hit | None:
        """Show again what was shown before; returns the hit whose similar documents were shown."""
        like = self.view.like
        if self.view.before is not None:
            view, cursor = self.view.before
            self.show(view, cursor=cursor)
        return like

    def explain(self, hit: Hit, after: float = 0.0) -> None:
        """Request the explanation of a hit after a pause, if it has none yet and can have one."""
        if self.view.question is not None and hit.key not in self.reasons:
            self.face.in_background("why", self._explain, hit, self.view, self.view.question, after)

    async def _explain(self, hit: Hit, view: HitView, question: Query, after: float) -> None:
        await asyncio.sleep(after)
        # Comparing sentences takes ten times as long as a search: the next one would wait for it.
        if self.face.typing or self.view is not view:
            return
        # Explain both halves, except where no model was used and none should load.
        if question.mode != "lexical" or self.beside:
            question = msgspec.structs.replace(question, mode="hybrid")
        told: list[Explanation] = []
        with contextlib.suppress(BioRetrievalError):  # the page is shown without it
            told = await self.owner.client.ask(
                protocol.Explain(view.index_of(hit), question, [hit.id])
            )
        if self.view is view and told:
            self.reasons[hit.key] = told[0]
            self.face.show_reason(hit)

    def sheet(self) -> Sheet:
        """The hits of the list in use in their order, without the entries after them."""
        from bioretrieval_tui.render.citation import hit_citations
        from bioretrieval_tui.render.hits import hit_sheet

        view = self.shown
        title = f"Search: {view.text}" if view.question else "Search"
        if view.like is not None:
            title = f"Similar to {view.like.title or view.like.id}"
        hits = list(view.answer.hits)
        catalogue = self.owner.catalogue if CATALOGUE in view.names else None
        cited = hit_citations(hits, catalogue)
        return hit_sheet(hits, title=title, citations=cited, several=bool(view.also))
