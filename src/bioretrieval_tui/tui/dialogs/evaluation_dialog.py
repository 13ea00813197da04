"""The choice of what to evaluate: benchmarks, what ranks, modes, a reranker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from bioretrieval_tui.actions import keyed
from bioretrieval_tui.backend.protocol import FetchBenchmarkJob, Job
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.encoding.device import offline
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.dialogs.dialog import Dialog, labelled, title_line
from bioretrieval_tui.tui.dialogs.file_dialogs import MODE_SETS, mode_stepper
from bioretrieval_tui.tui.evaluation_session import (
    Candidate,
    EvaluationPlan,
    MachineFacts,
    benchmark_at,
    check_models,
    index_ranker,
    plan_of,
    ranker_at,
)
from bioretrieval_tui.tui.step_session import is_benchmark
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import LOW, HeadLine
from bioretrieval_tui.tui.widgets.input import Buttons, QueryLine, Stepper
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable

_KEYS = (
    "{plan-run} run  {plan-take} select  {plan-fetch} fetch  {plan-find} find or add"
    "  {dialog-close} cancel"
)


class CandidateList:
    """A table of rows with a mark, and the keys of those that are selected, in their order."""

    def __init__(self, title: str) -> None:
        mark = TableColumn("mark", "", 3, priority=0)
        name, note = TableColumn("name", title, 24, 1), TableColumn("note", "", 28, 2)
        self.table = VirtualTable((mark, name, note), empty="Looking at what is here")
        self.found: list[Candidate] = []
        self.shown: list[Candidate] = []
        self.selected: list[str] = []
        self.words: Sequence[str] = ()

    @property
    def chosen(self) -> list[Candidate]:
        by_key = {one.key: one for one in self.found}
        return [by_key[key] for key in self.selected if key in by_key]

    @property
    def current(self) -> Candidate | None:
        return self.table.at_cursor(self.shown)

    def fill(self, keep: str | None = None) -> None:
        """Show the rows whose name or note has all words; the cursor stays on `keep`."""
        self.table.empty = "Nothing here has this name."
        self.shown = self.matching(self.words)
        keep = keep or (self.current.key if self.current else None)
        at = next((at for at, one in enumerate(self.shown) if one.key == keep), 0)
        self.table.show(ListRows(self.shown, self._cells), at)

    def matching(self, words: Sequence[str]) -> list[Candidate]:
        texts = ((one, f"{one.label} {one.key} {one.note}".casefold()) for one in self.found)
        return [one for one, text in texts if all(word in text for word in words)]

    def _cells(self, one: Candidate) -> list[Span]:
        mark = Span("[x]", "ok") if one.key in self.selected else Span("[ ]", "faint")
        mark = mark if one.here else Span(" - ", "faint")
        return [mark, Span(one.label, "strong" if one.here else "dim"), Span(one.note, "dim")]

    def put(self, one: Candidate) -> None:
        """Add a row at the top, or in the place of the one with its key, and select it."""
        keys = [other.key for other in self.found]
        if one.key in keys:
            self.found[keys.index(one.key)] = one
        else:
            self.found.insert(0, one)
        self.selected = [*(key for key in self.selected if key != one.key), one.key]
        self.fill(one.key)

    def toggle(self, one: Candidate) -> None:
        if one.key in self.selected:
            self.selected.remove(one.key)
        else:
            self.selected.append(one.key)
        self.table.update()


class EvaluationDialog(Dialog[EvaluationPlan]):
    """Answers the plan of what was chosen; fetches begin at once.

    read: reads what is here; begin: starts a job; benchmark, model (ids of entries, hub ids or
    paths), index: are selected.
    """

    DEFAULT_CSS = """
    EvaluationDialog > Vertical { height: 90%; width: 96%; max-width: 120; }
    EvaluationDialog VirtualTable { height: 1fr; }
    EvaluationDialog .label { width: 10; }
    EvaluationDialog.-short VirtualTable { min-height: 2; }
    EvaluationDialog.-short VirtualTable.-at { height: 5fr; }
    EvaluationDialog.-short Buttons, EvaluationDialog.-short #find { display: none; }
    EvaluationDialog.-short.-finding #find { display: block; }
    """
    BINDINGS: ClassVar = bindings("plan")

    def __init__(
        self,
        catalogue: Catalogue,
        read: Callable[[], MachineFacts],
        begin: Callable[[Job], bool],
        benchmark: str = "",
        model: str = "",
        index: str = "",
    ) -> None:
        super().__init__()
        self.catalogue, self.read, self.begin = catalogue, read, begin
        self.subject, self.index = {benchmark, model} - {""}, index
        self.facts = MachineFacts()
        self.line = QueryLine("part of a name, or a path: benchmark, model, run file")
        self.benchmarks = CandidateList("Benchmarks")
        self.rankers = CandidateList("Models, folders, run files")
        self.modes = mode_stepper()
        self.reranker = Stepper([("none", "")])
        self.summary = HeadLine()

    def compose(self) -> ComposeResult:
        yield Vertical(
            title_line("Evaluate", _KEYS), labelled("Find", self.line, id="find"),
            self.benchmarks.table,
            self.rankers.table, labelled("Modes", self.modes), labelled("Reranker", self.reranker),
            self.summary, Buttons("Evaluate", "Cancel"), self.note,
        )  # fmt: skip

    def on_mount(self) -> None:
        self.benchmarks.table.focus()
        self.run_worker(self._read(), group="facts")

    async def _read(self) -> None:
        self.facts = facts = await asyncio.to_thread(self.read)
        self.benchmarks.found, self.rankers.found = facts.benchmarks, facts.rankers
        self._offer_rerankers()
        self.benchmarks.fill()
        self.rankers.fill()
        for where in (self.benchmarks, self.rankers):
            for one in [one for one in where.found if self.subject & one.names]:
                if one.here:
                    where.put(one)
                else:
                    where.fill(one.key)
        if self.index:
            self.rankers.put(index_ranker(self.index))
        if self._absent:
            self.rankers.table.focus()  # its row says how to get it
        self._plan()
        known = {name for one in (*facts.benchmarks, *facts.rankers) for name in one.names}
        lacking = self.subject - known
        for path in [one for one in lacking if Path(one).is_absolute()]:
            with contextlib.suppress(BioRetrievalError):
                self._put(Path(path))
                lacking.remove(path)
        if lacking:
            names = ", ".join(self.catalogue.names.get(one, one) for one in sorted(lacking))
            self._refuse(f"{names} cannot be run here: no archive or recipe of it is known")

    def _offer_rerankers(self) -> None:
        found = self.facts.rerankers
        self.reranker.choices = [("none", ""), *((one.label, one.note) for one in found)]
        self.reranker.update()

    # What is chosen ----------------------------------------------------------------------

    @property
    def reranks(self) -> Candidate | None:
        at = self.reranker.chosen
        return self.facts.rerankers[at - 1] if at else None

    @property
    def _absent(self) -> str:
        """The model that was asked for, unless it is here or fetched."""
        asked = (one for one in self.rankers.found if self.subject & one.names)
        return ", ".join(one.label.partition(" (")[0] for one in asked if not one.here)

    def _planned(self) -> EvaluationPlan:
        chosen = self.benchmarks.chosen, self.rankers.chosen
        return plan_of(*chosen, MODE_SETS[self.modes.chosen], self.reranks, self.facts)

    @on(Stepper.Changed)
    def _plan(self) -> None:
        """Say what the choice makes, once the checksums are read."""
        self._explain()
        work: Callable[[], Awaitable[None]] = self._tell
        self.run_worker(work, group="plan", exclusive=True)

    @property
    def where(self) -> CandidateList | None:
        """The list with the focus."""
        both = (self.benchmarks, self.rankers)
        return next((one for one in both if one.table is self.focused), None)

    @on(VirtualTable.Moved)
    def _explain(self) -> None:
        """Show the row under the cursor whole."""
        one = self.where.current if self.where else None
        self.note.show(Span(f"{one.label}: {one.note}" if one else "", "faint"))

    def hint(self, _: object) -> None:
        self.on_resize()
        self._explain()

    def on_resize(self) -> None:
        """In a low window the list with the focus has nearly all lines."""
        self.set_class(self.app.size.height < LOW, "-short")
        for one in (self.benchmarks, self.rankers):
            one.table.set_class(self.where in (one, None), "-at")

    async def _tell(self) -> None:
        text = keyed("Select a benchmark: {plan-take}")
        if self.benchmarks.selected:
            plan = await asyncio.to_thread(self._planned)
            text = plan.line()
            if self._absent:
                alone = "" if self.rankers.selected else ": BM25 alone"
                text = f"{self._absent} is not here{alone}; {text}"
            elif not self.rankers.selected:
                text += "; BM25 alone needs no model"
        self.summary.show(Span(text, "ok" if self.benchmarks.selected else "dim"))

    async def action_accept(self) -> None:
        if not self.benchmarks.selected:
            self.complain(keyed("Select a benchmark first: {plan-take}"), self.benchmarks.table)
        elif self.reranks is not None and not self.reranks.here:
            self._refuse(self.reranks.absent)
        else:
            plan = await asyncio.to_thread(self._planned)
            try:
                for job in plan.jobs:
                    await asyncio.to_thread(check_models, job)
            except BioRetrievalError as error:
                self._refuse(error.line())
            else:
                self.dismiss(plan)

    def pressed(self, _: int) -> None:
        self.run_worker(self.action_accept(), group="accept")

    def _refuse(self, text: str) -> None:
        self.complain(text, self.focused or self.benchmarks.table)

    @on(VirtualTable.Chosen)
    def action_take(self) -> None:
        where = self.where
        one = where.current if where else None
        if where and one and one.here:
            where.toggle(one)
            self._plan()
        elif one:
            self._refuse(one.absent)

    def action_move(self, by: int) -> None:
        """Move the cursor; beyond the edges of a list, and elsewhere, go to the next field, but not
        up into the line, where k would be typed."""
        where = self.where
        inside = where and 0 <= where.table.cursor + by < len(where.shown)
        if where and (inside or abs(by) > 1):
            where.table.move_to(where.table.cursor + by)
        elif by > 0 or where is not self.benchmarks:
            self.left(by)

    def action_fetch(self) -> None:
        """Fetch the benchmark under the cursor now; a model is fetched by its evaluation."""
        where, reranks = self.where, self.focused is self.reranker
        one = self.reranks if reranks else where.current if where else None
        if one is None or one.here:
            self._refuse(f"{one.label} is here" if one else "Nothing to fetch under the cursor")
            return
        if offline():
            self._refuse(one.absent)
            return
        if reranks:
            self.facts.rerankers[self.reranker.chosen - 1] = one.fetched()
            self._offer_rerankers()
        elif where:
            if where is self.benchmarks:
                self.begin(FetchBenchmarkJob(one.key))
            where.put(one.fetched())
        self._plan()

    # The line ----------------------------------------------------------------------------

    def action_find(self) -> None:
        self.add_class("-finding")
        self.line.resume()

    def typed(self, field: Input) -> None:
        """Show the rows that a part of a name keeps, in a list where it keeps any if the other has
        none of them; a path keeps all."""
        words = [] if _is_path(field.value) else field.value.casefold().split()
        both = (self.benchmarks, self.rankers)
        having = [where for where in both if where.matching(words)] or both
        for where in both:
            where.words = words if where in having else []
            where.fill()

    def entered(self) -> None:
        """Add what a path names; from a part of a name go to the first list that has it."""
        typed = self.line.value.strip()
        if not (_is_path(typed) or (typed and Path(typed).exists())):
            both = (self.benchmarks, self.rankers)
            next((one for one in both if one.words), self.benchmarks).table.focus()
            return
        try:
            where = self._put(Path(typed).expanduser().absolute())
        except (BioRetrievalError, RuntimeError) as error:
            self.complain(str(error), self.line)
            return
        self.line.put("")
        where.table.focus()
        self._plan()

    def _put(self, path: Path) -> CandidateList:
        """Add and select what a path names. Raises BioRetrievalError: it is nothing to evaluate."""
        if is_benchmark(path):
            self.benchmarks.put(benchmark_at(path, self.catalogue))
            return self.benchmarks
        self.rankers.put(ranker_at(path))
        return self.rankers


def _is_path(text: str) -> bool:
    return "/" in text or text.startswith(("~", "."))
