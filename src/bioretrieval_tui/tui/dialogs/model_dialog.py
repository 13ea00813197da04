"""Choosing a model: those on this machine first, others after a fetch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from bioretrieval_tui.actions import key_of
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.dialogs.dialog import Confirm, Dialog, title_line
from bioretrieval_tui.tui.index_session import ModelChoice
from bioretrieval_tui.tui.text import Row, Span
from bioretrieval_tui.tui.widgets.canvas import Canvas
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable

COLUMNS = (
    TableColumn("name", "Model", 24, 2, priority=0),
    TableColumn("here", "Here", 4, priority=1),
    TableColumn("hub", "On the hub", 20, 2, priority=2),
)


class ModelDialog(Dialog[ModelChoice]):
    """Type, choose, enter; a model that is not here is fetched first, after a question.

    later: it is not used now, and need not be here.
    """

    DEFAULT_CSS = "ModelDialog > Vertical { height: 80%; }"

    def __init__(
        self, choices: Sequence[ModelChoice], chosen: ModelChoice, *, later: bool = False
    ) -> None:
        super().__init__()
        self.choices = choices
        self.later = later
        self.shown = list(choices)
        self.here = frozenset({chosen.label})
        """Labels of the models that are on this machine, as far as it is known."""
        self.line = QueryLine("part of a name")
        self.table = VirtualTable(COLUMNS, chooses=True, empty="No model has this name.")
        self.table.cursor = self.shown.index(chosen) if chosen in self.shown else 0
        self.note.at_least = 4  # a remedy is shown whole

    def compose(self) -> ComposeResult:
        title = title_line("Model", "{next-field}: choose   {close-field}: cancel")
        yield Vertical(title, self.line, self.table, self.note)

    def on_mount(self) -> None:
        self.line.focus()
        self.run_worker(self._look())

    async def _look(self) -> None:
        """Sort by what is here; reading the disk takes longer than a key may."""
        choices = self.choices
        found = await asyncio.to_thread(lambda: [one.label for one in choices if not one.missing()])
        self.here = frozenset(found)
        self.choices = sorted(choices, key=lambda one: one.label not in self.here)
        self._fill()

    def _fill(self) -> None:
        before, words = self.table.at_cursor(self.shown), self.line.value.casefold().split()
        self.shown = [
            one for one in self.choices
            if all(word in f"{one.label} {one.model}".casefold() for word in words)
        ]  # fmt: skip
        at = next((n for n, one in enumerate(self.shown) if one is before), 0)
        self.table.show(ListRows(self.shown, self._cells), at)
        self._tell()

    def _cells(self, one: ModelChoice) -> list[Span]:
        here = Span("yes", "ok") if one.label in self.here else Span("")
        return [Span(one.label, "model.strong"), here, Span(one.model or one.note, "dim")]

    @on(VirtualTable.Moved)
    def _tell(self) -> None:
        """Say whether the model is here, else how it gets here, whole."""
        one = self.table.at_cursor(self.shown)
        lacks = f"Not on this machine ({one.facts or 'its licence is not known'}): " if one else ""
        if one is None:
            self.note.show()
        elif one.label in self.here:
            self.note.show(Span("It is on this machine.", "ok"))
        elif self.later:
            self.note.show(Span(f"{lacks}not needed yet", "dim"))
        else:
            lacks += f"{key_of('next-field')} fetches it after a question, or: "
            self.note.show(Span(lacks, "warn"), Span(one.note))

    def typed(self, field: Input) -> None:  # noqa: ARG002 - there is one
        self._fill()

    def left(self, by: int) -> None:
        self.table.move_to(self.table.cursor + by)

    @on(VirtualTable.Chosen)
    def entered(self) -> None:
        one = self.table.at_cursor(self.shown)
        if one is not None:
            self.run_worker(self._choose(one), group="choose", exclusive=True)

    async def _choose(self, one: ModelChoice) -> None:
        from bioretrieval_tui.encoding.model_files import plan_download

        self.note.show(Span("Asking the hub for size and licence", "dim"))
        try:
            missing = () if self.later else await asyncio.to_thread(one.missing)
            plans = [await asyncio.to_thread(plan_download, name) for name in missing]
        except BioRetrievalError as error:
            self.note.show(Span(f"{error.line()}; or choose a model that is here", "error"))
            return
        if not plans:
            self.dismiss(one)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.dismiss(replace(one, download=True))
            else:
                self._tell()

        said = "; ".join(plan.line() for plan in plans)
        question = Confirm(f"Fetch {one.label} before it is used?", said, "Fetch", "Cancel")
        self.app.push_screen(question, answered)


class ModelLine(Canvas, can_focus=True):
    """The chosen model on one line; enter, space, an arrow or a click opens the list of models."""

    DEFAULT_CSS = "ModelLine { height: 1; }"
    BINDINGS: ClassVar = bindings("model-choice")

    class Switched(Message):
        """Another model was chosen."""

    def __init__(self, choices: Sequence[ModelChoice]) -> None:
        super().__init__()
        self.choices = choices
        self.chosen = choices[0] if choices else ModelChoice("")
        self.later = False
        """It is not used now: nothing is encoded."""

    def action_choose(self) -> None:
        dialog = ModelDialog(self.choices, self.chosen, later=self.later)
        self.app.push_screen(dialog, self._take)

    def _take(self, choice: ModelChoice | None) -> None:
        if choice is not None and choice != self.chosen:
            self.chosen = choice
            self.post_message(self.Switched())
        self.update()

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.action_choose()

    def row_spans(self) -> Sequence[Row]:
        one, role = self.chosen, "cursor" if self.has_focus else "strong"
        state = "is fetched first" if one.download else one.note if one.model is None else ""
        state = "not needed yet" if self.later else state
        return [(Span(one.label, role), Span(f"  {state}", "dim"))]
