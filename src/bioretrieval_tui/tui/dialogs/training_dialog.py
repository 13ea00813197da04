"""The choice of what to train: data, recipe, base, settings; and what it would take, measured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input

from bioretrieval_tui.actions import key_of, keyed
from bioretrieval_tui.backend import protocol
from bioretrieval_tui.backend.client import run_job
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import PairKind, Recipe
from bioretrieval_tui.encoding.device import offline
from bioretrieval_tui.encoding.embedded import MODEL_ID
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.training.training_request import TrainingPlan, TrainingRequest
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.dialogs.dialog import Dialog, PageDialog, labelled, title_line
from bioretrieval_tui.tui.dialogs.model_dialog import ModelLine
from bioretrieval_tui.tui.evaluation_session import OFFLINE
from bioretrieval_tui.tui.index_session import ModelChoice
from bioretrieval_tui.tui.text import Line, Span, line
from bioretrieval_tui.tui.training_session import (
    DEFAULTS,
    EVALUATE,
    KIND_NOTES,
    WEIGHTS,
    TrainingChoice,
    TrainingFacts,
    TrainingSource,
    new_name,
    source_at,
)
from bioretrieval_tui.tui.widgets.bars import LOW, HeadLine
from bioretrieval_tui.tui.widgets.input import Buttons, QueryLine, Stepper
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable
from bioretrieval_tui.util.formatting import percent

REST = 1.5
"""Seconds without a change after which a choice is measured."""
_KEYS = (
    "{training-take} choose  {training-fetch} fetch  {training-find} find or add"
    "  {dialog-close} cancel"
)


class TrainingDialog(Dialog[protocol.TrainJob]):
    """Answers the job of what was chosen; benchmarks are fetched at once.

    read: reads what is here; begin: starts a job; recipes: those that run; models: choices of a
    base; on (an index, a benchmark's id or folder), recipe, base: are selected.
    """

    DEFAULT_CSS = """
    TrainingDialog > Vertical { height: 90%; width: 96%; max-width: 120; }
    TrainingDialog VirtualTable { height: 1fr; min-height: 3; }
    TrainingDialog .label { width: 10; }
    TrainingDialog.-short #find { display: none; }
    TrainingDialog.-short.-finding #find { display: block; }
    """
    BINDINGS: ClassVar = bindings("training")

    def __init__(
        self,
        catalogue: Catalogue,
        read: Callable[[], TrainingFacts],
        begin: Callable[[protocol.Job], bool],
        recipes: Sequence[Recipe],
        models: Sequence[ModelChoice],
        *,
        on: str = "",
        recipe: str = "",
        base: str = "",
    ) -> None:
        super().__init__()
        self.catalogue, self.read, self.begin = catalogue, read, begin
        self.recipes, self.models = recipes, models
        self.subject = on
        self.facts = TrainingFacts()
        self.shown: list[TrainingSource] = []
        self.added: list[TrainingSource] = []
        self.chosen: TrainingSource | None = None
        self.measured: dict[str, TrainingPlan] = {}
        """Plans by their request without its name."""
        mark = TableColumn("mark", "", 3, priority=0)
        columns = (mark, TableColumn("name", "Train on", 24, 1), TableColumn("note", "", 28, 2))
        self.table = VirtualTable(columns, empty="Looking at what is here")
        self.line = QueryLine("part of a name, or a path: benchmark, file of pairs or texts")
        shown = [DEFAULTS, *((one.name, (one.training and one.training.because) or one.method)
                             for one in recipes)]  # fmt: skip
        at = next((n for n, one in enumerate(recipes, 1) if one.id == recipe), 0)
        self.recipe = Stepper(shown, at)
        self.base = ModelLine(models)
        if base:
            entry = catalogue.model_of_hub(base)
            other = ModelChoice(entry.name if entry else Path(base).name, base)
            known = (one for one in models if base in (one.model or MODEL_ID, one.label))
            self.base.chosen = next(known, other)
        self.base_set = bool(base)
        """Whether the user named the base: else a recipe brings its own."""
        self.kind = Stepper([("choose what to train on", "")])
        self.weights = Stepper(WEIGHTS)
        self.evaluate = Stepper(EVALUATE)
        self.more = QueryLine("settings in place of these, such as: epochs=3 batch=64")
        self.name_line = QueryLine("a name of your own", id="name")
        self.name_line.select_on_focus = True
        self.suggested = self.caution = ""
        self.summary = HeadLine()
        self.summary.at_least = 2

    def compose(self) -> ComposeResult:
        yield Vertical(
            title_line("Train a model", _KEYS), labelled("Find", self.line, id="find"), self.table,
            labelled("Recipe", self.recipe), labelled("Base", self.base),
            labelled("Pairs", self.kind), labelled("Weights", self.weights),
            labelled("Settings", self.more), labelled("Evaluate", self.evaluate),
            labelled("Name", self.name_line), self.summary,
            Buttons("Train", "Examples", "Cancel"), self.note,
        )  # fmt: skip

    def on_mount(self) -> None:
        self.table.focus()
        self.recipe_changed()
        self.run_worker(self._read(), group="facts")

    async def _read(self) -> None:
        self.facts = await asyncio.to_thread(self.read)
        self.table.empty = "Nothing here has this name."
        found = next((one for one in self.facts.sources if self.subject in one.names), None)
        if found is None and Path(self.subject).is_absolute():
            self._add(Path(self.subject))
            return
        self._fill(found)
        if found is not None and not found.fetched:
            self.take(found)
        elif found is not None:
            self.complain(f"{found.label} is not here: {found.note}", self.table)
        elif self.subject:
            name = self.catalogue.names.get(self.subject, self.subject)
            self.complain(f"{name} gives nothing to train on here", self.table)

    # What is chosen ----------------------------------------------------------------------

    def _fill(self, at: TrainingSource | None = None) -> None:
        """Show the sources whose name or note has all words that were typed."""
        typed = self.line.value
        words = [] if _is_path(typed) else typed.casefold().split()
        self.shown = [
            one
            for one in (*self.added, *self.facts.sources)
            if all(word in f"{one.label} {one.on} {one.note}".casefold() for word in words)
        ]
        cursor = self.shown.index(at) if at in self.shown else 0
        self.table.show(ListRows(self.shown, self._cells), cursor)

    def _cells(self, one: TrainingSource) -> list[Span]:
        taken = self.chosen is not None and one.on == self.chosen.on
        mark = Span("(x)", "ok") if taken else Span("( )", "faint")
        mark = Span(" - ", "faint") if one.fetched else mark
        return [mark, Span(one.label, "dim" if one.fetched else "strong"), Span(one.note, "dim")]

    def take(self, source: TrainingSource) -> None:
        """Train on a source: offer the pairs that it gives, and a name."""
        self.chosen = source
        self._at_fault = None
        self.hint(self.focused)
        self.table.update()
        self._offer_kinds()
        self.evaluate.chosen = 0 if source.tested else 2
        self.evaluate.update()
        self._suggest()
        self.changed()

    def _offer_kinds(self) -> None:
        """The pairs of the recipe first, if the source gives them; else its note says that."""
        if self.chosen is None:
            return
        training = self._recipe.training if self._recipe else None
        wanted = training.pairs if training else None
        kinds = sorted(self.chosen.kinds, key=lambda kind: kind != wanted)
        other = f"; the recipe takes {wanted}" if wanted and wanted not in kinds else ""
        self.kind.choices = [(kind, KIND_NOTES[kind] + other) for kind in kinds]
        self.kind.chosen = 0
        self.kind.update()

    def _suggest(self) -> None:
        """Suggest a name, unless the user typed one."""
        if self.chosen is None or self.name_line.value not in ("", self.suggested):
            return
        taken = self.facts.models | self.catalogue.by_id.keys()
        self.suggested = new_name(self.chosen, self.base.chosen.label.partition(" ")[0], taken)
        self.name_line.put(self.suggested)

    @property
    def _recipe(self) -> Recipe | None:
        return self.recipes[self.recipe.chosen - 1] if self.recipe.chosen else None

    def recipe_changed(self) -> None:
        """A recipe brings its base, its pairs, and whether an adapter is trained."""
        recipe = self._recipe
        if not self.base_set:
            base = recipe.base if recipe else None
            known = (one for one in self.models if base and one.model == base)
            other = ModelChoice(base, base, note="the base of the recipe") if base else None
            self.base.chosen = next(known, other) or self.models[0]
            self.base.update()
        training = recipe.training if recipe else None
        self.weights.chosen = int(training is not None and training.lora is not None)
        self.weights.update()
        self._offer_kinds()
        self._suggest()

    @on(Stepper.Changed)
    def _stepped(self) -> None:
        if self.focused is self.recipe:
            self.recipe_changed()
        self.changed()

    @on(ModelLine.Switched)
    def _another_base(self) -> None:
        self.base_set = True
        self._suggest()
        self.changed()

    def choice(self) -> TrainingChoice | None:
        """What is chosen; None while there is nothing to train on."""
        if self.chosen is None:
            return None
        benchmarks = ((self.chosen.on,), self.facts.benchmarks, ())[self.evaluate.chosen]
        own = self.recipe.chosen and not self.base_set
        return TrainingChoice(
            self.chosen, self._kind,
            self._recipe, None if own else self.base.chosen, bool(self.weights.chosen),
            self.more.value, benchmarks, self.name_line.value.strip(),
        )  # fmt: skip

    @property
    def _kind(self) -> PairKind:
        label = self.kind.choices[self.kind.chosen][0]
        return next(kind for kind in KIND_NOTES if kind == label)

    # What it would take ------------------------------------------------------------------

    def changed(self) -> None:
        """Measure what is chosen, once nothing has changed for a while."""
        self.run_worker(self._measure(), group="work", exclusive=True)

    async def _measure(self) -> None:
        choice = self.choice()
        if choice is None:
            self.summary.show(Span(keyed("Choose what to train on: {training-take}"), "dim"))
            return
        try:
            job = choice.job(self.catalogue)
        except BioRetrievalError as error:
            self.summary.show(Span(error.line(), "error"))
            return
        key, self.caution = _key(job.request), job.request.caution
        if key in self.measured:
            self._tell(self.measured[key])
            return
        self.summary.show(Span("What this takes is measured in a moment", "dim"))
        if choice.source.fetched or job.download:
            self.summary.show(Span("Measured once everything is here", "dim"))
            return
        await asyncio.sleep(REST)
        plan = protocol.TrainJob(_unnamed(job.request), plan=True)
        try:
            found = await run_job(plan, self._hear)
        except BioRetrievalError as error:
            self.summary.show(Span(error.line(), "error"))
            return
        if isinstance(found, TrainingPlan):
            self.measured[key] = found
            self._tell(found)

    def _hear(self, event: protocol.Event) -> None:
        if isinstance(event, protocol.Progressed):
            self.summary.show(Span(_doing(event.progress), "dim"))

    def _tell(self, plan: TrainingPlan) -> None:
        skipped = "; ".join(f"{count:,} {why}" for why, count in plan.skipped.items())
        left_out = f"   left out: {skipped}" if skipped else ""
        cautious = Span(f"   {self.caution}" if self.caution else "", "warn")
        self.summary.show(Span(plan.line(), "ok"), Span(left_out, "dim"), cautious)

    @property
    def plan(self) -> TrainingPlan | None:
        """What was measured of what is chosen now."""
        choice = self.choice()
        if choice is None:
            return None
        try:
            return self.measured.get(_key(choice.job(self.catalogue).request))
        except BioRetrievalError:
            return None

    def show_examples(self) -> None:
        """Show the pairs that would be trained on."""
        plan = self.plan
        if plan is None:
            self.complain("The examples are read while it is measured: a moment", self.table)
            return
        self.app.push_screen(PageDialog(_example_lines(plan)))

    # Keys --------------------------------------------------------------------------------

    async def action_accept(self) -> None:
        choice = self.choice()
        if choice is None:
            said = keyed("Choose what to train on first: {training-take}")
            self.complain(said, self.table)
            return
        try:
            job = choice.job(self.catalogue)
            await asyncio.to_thread(check_can_train, job, choice)
        except BioRetrievalError as error:
            at_fault: Widget = self.focused or self.table
            if choice.name in error.message:
                at_fault = self.name_line
            self.complain(error.line(), at_fault)
        else:
            self.dismiss(job)

    def pressed(self, index: int) -> None:
        if index == 1:
            self.show_examples()
        else:
            self.run_worker(self.action_accept(), group="accept")

    @on(VirtualTable.Chosen)
    def action_take(self) -> None:
        one = self.table.at_cursor(self.shown)
        if one is None:
            return
        if one.fetched:
            self.complain(f"{one.label} is not here: {one.note}", self.table)
        else:
            self.take(one)

    def action_fetch(self) -> None:
        """Fetch the benchmark under the cursor now, and train on it after."""
        one = self.table.at_cursor(self.shown)
        if one is None or not one.fetched:
            self.complain(f"{one.label} is here" if one else "Nothing to fetch here", self.table)
        elif offline():
            self.complain(f"{one.label} is not here; {OFFLINE}", self.table)
        else:
            self.begin(protocol.FetchBenchmarkJob(one.fetched))
            coming = replace(one, fetched="", note="is fetched first")
            self.added.insert(0, coming)
            sources = tuple(other for other in self.facts.sources if other is not one)
            self.facts = replace(self.facts, sources=sources)
            self._fill(coming)
            self.take(coming)

    def action_find(self) -> None:
        self.add_class("-finding")
        self.line.resume()

    def action_examples(self) -> None:
        self.show_examples()

    def hint(self, focused: Widget | None) -> None:
        self.on_resize()
        one = self.table.at_cursor(self.shown) if focused is self.table else None
        said = f"{one.label}: {one.note}" if one else ""
        if isinstance(focused, Stepper):
            said = focused.choices[focused.chosen][1]
        self.note.show(Span(said, "faint"))

    def on_resize(self) -> None:
        self.set_class(self.app.size.height < LOW, "-short")

    def typed(self, field: Input) -> None:
        if field is self.line:
            self._fill()
        elif field is self.more:
            self.changed()

    def entered(self) -> None:
        """Add what a path names; from another field go on to the next."""
        typed = self.line.value.strip()
        if self.focused is not self.line:
            self.focus_next()
        elif _is_path(typed) or (typed and Path(typed).exists()):
            self._add(Path(typed).expanduser().absolute())
        else:
            self.table.focus()

    def _add(self, path: Path) -> None:
        try:
            source = source_at(path, self.catalogue)
        except (BioRetrievalError, RuntimeError) as error:
            self.complain(str(error), self.line)
            return
        self.line.put("")
        self.added = [source, *(one for one in self.added if one.on != source.on)]
        self._fill(source)
        self.take(source)
        self.table.focus()


def check_can_train(job: protocol.TrainJob, choice: TrainingChoice) -> None:
    """Raise what stands in the way of a training. Reads the disk."""
    from bioretrieval_tui.encoding.model_files import require_models
    from bioretrieval_tui.training.own_models import check_new_name, unfinished
    from bioretrieval_tui.training.training_run import require_libraries

    request = job.request
    require_libraries()
    check_new_name(request.name)
    begun = unfinished(request.name)
    if begun is not None and begun.request != request:
        remedy = f"{key_of('resume-training')} on it in Models resumes it; or choose another name"
        raise BioRetrievalError(f"{request.name} is a training with other settings", remedy=remedy)
    if choice.base is None or choice.base.model is not None:
        require_models(request.base, request.encoding) if not job.download else None


def _unnamed(request: TrainingRequest) -> TrainingRequest:
    from msgspec.structs import replace as replaced

    return replaced(request, name="plan", benchmarks=())


def _key(request: TrainingRequest) -> str:
    return repr(_unnamed(request))


def _doing(step: Progress) -> str:
    far = f" {percent(step.share)}" if step.share is not None else ""
    return f"{step.stage[:1].upper()}{step.stage[1:]}{far}"


def _example_lines(plan: TrainingPlan) -> list[Line]:
    lines = [line(Span("What it is trained on", "strong"), Span(f"   {plan.data}", "dim")), line()]
    for query, positive, negatives in plan.examples:
        lines.append(line(Span("query     ", "dim"), Span(query, "strong"), hang=10))
        lines.append(line(Span("positive  ", "dim"), Span(positive), hang=10))
        if negatives:
            lines.append(line(Span(f"          {negatives} given negatives", "faint")))
        lines.append(line())
    return lines


def _is_path(text: str) -> bool:
    return "/" in text or text.startswith(("~", "."))
