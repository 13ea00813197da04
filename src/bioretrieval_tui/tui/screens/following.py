"""What follows an answer in the Search pane: reading the best again, more like one, and why."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual.timer import Timer

from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.search.hits import Answer, Hit, Question, Why
from bioretrieval_tui.tui.asked import HITS, View
from bioretrieval_tui.tui.screens.asking import AskingPane
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.query_line import QueryLine

if TYPE_CHECKING:
    from bioretrieval_tui.search.protocol import Reranker

LIKE = 25
"""Documents like one that are asked for."""
NEAR = 5
"""Entries of the catalogue that stand behind the documents like one."""
WHY_PAUSE = 0.3
"""Seconds after which a hit that an answer brought is asked about."""


class FollowingPane(AskingPane):
    """Base of the Search pane: asks more about what was answered."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._whys: dict[str, Why] = {}
        self._why_wait: Timer | None = None

    # Rereading and likeness --------------------------------------------------------------

    def read_again(self) -> None:
        """Have a cross-encoder read the best hits again."""
        question = Question(
            text=self.query_text, k=HITS, mode=self.mode, where=self.where, order="relevance"
        )
        self._searching = self.in_background("search", self._reread, question)

    async def _reread(self, question: Question) -> None:
        from bioretrieval_tui.tui.rereading import reranker_here

        index = self.index
        self.tell(Span("looking for a reranker", "dim"))
        try:
            name, reranker = await asyncio.to_thread(reranker_here, self.catalogue)
            answer = await self._reading(question, index, reranker)
        except InterruptedByUser:
            self.tell()
            return
        except BioRetrievalError as error:
            # The hits of before stay: only their new order did not come. What to do about it
            # stands in a line of its own, which a narrow window shows whole.
            self.tell(Span(error.message, "error"))
            if error.remedy:
                self.owner.say(error.remedy, "error")
            return
        if self._asked(question, index):
            self.show_view(View(index, question, answer, question.where, reader=name))

    async def _reading(self, question: Question, index: str, reranker: Reranker) -> Answer:
        self.tell(Span("reading the best again, esc stops", "dim"))

        def before(answer: Answer) -> None:
            if self._asked(question, index) and answer.hits != self.view.answer.hits:
                state = self.state
                self.show_view(View(index, question, answer, question.where))
                self.tell(*state)

        return await self.client.search(
            question, index=index, reranker=reranker, on_progress=self.tell_progress, on_part=before
        )

    def look_for_similar(self, hit: Hit, index: str) -> None:
        """Show what is like a hit."""
        self.no_wait()
        self._searching = self.in_background("search", self._similar, hit, index)

    async def _similar(self, hit: Hit, index: str) -> None:
        self.tell(Span("looking for what is like it", "dim"))
        where = self.where if index == self.index else ""
        near: tuple[Hit, ...] = ()
        try:
            if index == CATALOGUE and self.with_vectors is False:
                self.with_vectors = (await self.ensure_catalogue(vectors=True)).documents > 0
            answer = await self.client.similar(hit.id, index=index, k=LIKE, where=where)
        except InterruptedByUser:
            return
        except BioRetrievalError as error:
            self.tell()
            self.owner.say(error.line(), "error")
            return
        if index != CATALOGUE and self.ready and self.with_vectors:
            try:
                found = await self.client.similar(
                    hit.id, index=index, k=NEAR, into=CATALOGUE, stream="near"
                )
                near = found.hits
            except BioRetrievalError:
                near = ()  # the documents are what was asked for
        self.show_like(View(index, None, answer, where, hit, near))

    def show_like(self, view: View) -> None:
        """Show documents that are like a hit, with a way back."""
        raise NotImplementedError

    # Why ---------------------------------------------------------------------------------

    def why_of(self, hit: Hit) -> Why | None:
        """Why it was found, where that was asked."""
        return self._whys.get(hit.id)

    def forget_whys(self) -> None:
        """Other hits are shown, or hits of another question."""
        self._whys.clear()
        self.ask_why(WHY_PAUSE)

    @property
    def typing(self) -> bool:
        """A query or a filter is being typed."""
        return isinstance(self.app.focused, QueryLine)

    def ask_why(self, after: float = 0.0) -> None:
        """Ask why the hit under the cursor was found, unless the cursor moves on before.

        Not while one types: comparing its sentences takes ten times as long as a search, and the
        next one would have to wait for it.
        """
        if self._why_wait:
            self._why_wait.stop()
            self._why_wait = None
        hit, view = self.hit, self.view
        if hit is None or view.question is None or hit.id in self._whys:
            return
        if after:
            self._why_wait = self.set_timer(after, self.ask_why)
            return
        if self.typing:
            return
        self.in_background("why", self._why, hit, view)

    async def _why(self, hit: Hit, view: View) -> None:
        from msgspec.structs import replace

        question = view.question
        if question is None:
            return
        # Both halves are worth knowing, except where no model was asked and none should load.
        if question.mode != "lexical" or self.beside:
            question = replace(question, mode="hybrid")
        try:
            told = await self.client.why(question, [hit.id], index=view.index)
        except BioRetrievalError:
            return  # the page is whole without it
        if self.view is view and told:
            self._whys[hit.id] = told[0]
            if self.hit is not None and self.hit.id == hit.id:
                self.show_page_again()

    def show_page_again(self) -> None:
        """The page of the same hit, of which more is known now: it stays where it was read."""
        self.page = self.make_page()
        self.detail.show(self.page.lines, keep_place=True)
