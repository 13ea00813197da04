"""Dialogs that choose files: what to build or add, or which benchmark to rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Input

from bioretrieval_tui.actions import in_scope
from bioretrieval_tui.backend.protocol import AddJob, BuildJob, Job
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation.benchmark import find_parts
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.tui.dialogs.dialog import FIELD_KEYS, Dialog
from bioretrieval_tui.tui.index_session import ModelChoice, name_problem, suggested_name
from bioretrieval_tui.tui.text import Span, line
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.buttons import Buttons, Stepper
from bioretrieval_tui.tui.widgets.detail import Detail
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.picker import FilePicker
from bioretrieval_tui.util.formatting import plural

AnswerT = TypeVar("AnswerT")
MODE_SETS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("lexical", "dense", "hybrid"), "BM25, dense, and both"),
    (("lexical", "dense"), "BM25 and dense"),
    (("lexical",), "BM25 only"),
    (("dense",), "dense only"),
)
"""The sets of modes to choose from, each with a note."""


class PickerDialog(Dialog[AnswerT]):
    """A title, lines above a file picker, lines below it, and two buttons."""

    DEFAULT_CSS = """
    PickerDialog > Vertical { height: 90%; }
    PickerDialog Horizontal { height: 1; }
    PickerDialog .label { width: 8; }
    """
    BINDINGS: ClassVar = FIELD_KEYS

    def __init__(self, title: str, start: str, folder: Path) -> None:
        super().__init__()
        self.title_text = title
        self.start_label = start
        self.folder = folder

    def compose(self) -> ComposeResult:
        """Title, lines, files, lines, buttons, note."""
        with Vertical():
            yield HeadLine(id="title")
            yield from self.above()
            yield FilePicker(self.folder)
            yield from self.below()
            yield Buttons((self.start_label, "Cancel"))
            yield self.note()

    def above(self) -> ComposeResult:
        """The lines above the files."""
        yield from ()

    def below(self) -> ComposeResult:
        """The lines below the files."""
        yield from ()

    def note(self) -> Widget:
        """The widget for notes and errors."""
        return HeadLine(id="keys")

    def on_mount(self) -> None:
        """Show the title."""
        self.query_one("#title", HeadLine).show(
            Span(self.title_text, "strong"), Span("   tab: next field   esc: cancel", "faint")
        )
        self.hint()

    def label(self, name: str, text: str) -> None:
        """Fill in a label."""
        self.query_one(f"#{name}-label", HeadLine).show(Span(text, "dim"))

    @property
    def picker(self) -> FilePicker:
        """The files."""
        return self.query_one(FilePicker)

    def hint(self) -> None:
        """Show the keys of the files, as many as fit."""
        actions = sorted((a for a in in_scope("files") if a.footer), key=lambda a: a.footer)
        spans: list[Span] = []
        space = self.inner_width - 1
        for action in actions:
            space -= len(action.shown) + len(action.label) + 3
            if space >= 0:
                spans += [Span(action.shown, "strong"), Span(f" {action.label}  ", "faint")]
        self.query_one("#keys", HeadLine).show(*spans)

    def complain(self, text: str) -> None:
        """Show what is wrong."""
        self.query_one("#keys", HeadLine).show(Span(text, "error"))

    def has_files(self) -> bool:
        """Whether anything is selected; shows an error if not."""
        if not self.picker.selected:
            self.complain("Select files first: space selects")
            self.picker.table.focus()
        return bool(self.picker.selected)

    def start(self) -> None:
        """Close with the answer, unless something is wrong."""
        answer = self.answer()
        if answer is not None:
            self.folder = self.picker.folder
            self.dismiss(answer)

    def answer(self) -> AnswerT | None:
        """The answer as it stands, or None after an error was shown."""
        return None

    @on(FilePicker.Changed)
    def _selected(self, event: FilePicker.Changed) -> None:
        event.stop()
        self.hint()

    @on(FilePicker.Done)
    def _done(self, event: FilePicker.Done) -> None:
        event.stop()
        if event.start:
            self.start()
        else:
            self.query_one(Buttons).focus()

    @on(Buttons.Pressed)
    def _pressed(self, event: Buttons.Pressed) -> None:
        event.stop()
        if event.index == 0:
            self.start()
        else:
            self.dismiss(None)


class AddDialog(PickerDialog[Job]):
    """Asks for files to add to the index `name`; answers the job."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(f"Add files to {name}", "Add", folder)
        self.index_name = name

    def on_mount(self) -> None:
        """Typing begins in the path."""
        super().on_mount()
        self.picker.line.focus()

    def answer(self) -> Job | None:
        """The selected files as a job."""
        return AddJob(self.index_name, self.picker.inputs) if self.has_files() else None


class BuildDialog(PickerDialog[Job]):
    """Asks for a name, files and a model; answers the job."""

    def __init__(
        self,
        infos: Sequence[IndexInfo],
        models: Sequence[ModelChoice],
        folder: Path,
        name: str = "",
    ) -> None:
        super().__init__("Build an index", "Build", folder)
        self.index_name = name
        self.infos = {info.name: info for info in infos}
        self.models = tuple(models)
        self.suggested = ""
        """The suggested name, which another suggestion may replace."""

    def above(self) -> ComposeResult:
        """The name, and a note about it."""
        with Horizontal():
            yield HeadLine(id="name-label", classes="label")
            yield QueryLine("a name such as asthma-2024", id="name")
        yield HeadLine(id="name-note")

    def below(self) -> ComposeResult:
        """The model."""
        with Horizontal():
            yield HeadLine(id="model-label", classes="label")
            yield Stepper([(one.label, one.note) for one in self.models])

    def on_mount(self) -> None:
        """Typing begins in the name."""
        super().on_mount()
        self.label("name", "Name")
        self.label("model", "Model")
        self.name_line.value = self.index_name
        self.name_line.cursor_position = len(self.index_name)
        self._note()
        self.name_line.focus()

    @property
    def name_line(self) -> QueryLine:
        """The line for the name."""
        return self.query_one("#name", QueryLine)

    def _note(self) -> None:
        name = self.name_line.value.strip()
        note = self.query_one("#name-note", HeadLine)
        problem = name_problem(name)
        known = self.infos.get(name)
        if not name:
            note.show(
                Span("a-z, 0-9, '-', '_' and '.'; suggested from the selected files", "faint")
            )
        elif problem:
            note.show(Span(problem, "error"))
        elif known is None:
            note.show(Span("a new index", "faint"))
        elif known.status.startswith("unfinished"):
            note.show(Span("resumes the interrupted build", "ok"))
        else:
            what = plural(known.documents, "document") if known.documents is not None else "damaged"
            note.show(Span(f"replaces {name} ({what}) once it is complete", "warn"))

    @on(Input.Changed, "#name")
    def _named(self, event: Input.Changed) -> None:
        event.stop()
        self._note()

    @on(Input.Submitted, "#name")
    def _name_given(self, event: Input.Submitted) -> None:
        event.stop()
        self.picker.line.focus()

    @on(QueryLine.Left)
    def _left(self, event: QueryLine.Left) -> None:
        event.stop()
        (self.picker.line if event.by > 0 else self.name_line).focus()

    @on(FilePicker.Changed)
    def _suggest(self) -> None:
        """Suggest a name after the first file, unless one was typed."""
        if self.name_line.value not in ("", self.suggested):
            return
        first = next(iter(self.picker.selected), None)
        self.suggested = suggested_name(first.name) if first else ""
        self.name_line.value = self.suggested

    def answer(self) -> Job | None:
        """A build with the chosen model."""
        name = self.name_line.value.strip()
        problem = name_problem(name) if name else "Name it first"
        if problem:
            self.complain(problem)
            self.name_line.focus()
            return None
        if not self.has_files():
            return None
        model = self.models[self.query_one(Stepper).chosen]
        return BuildJob(name, self.picker.inputs, model.model, model.recipe)


@dataclass(frozen=True, slots=True)
class ChosenBenchmark:
    """A benchmark folder, with modes and model (None: the embedded one) if they were asked for."""

    folder: Path
    modes: tuple[str, ...] = MODE_SETS[0][0]
    model: str | None = None


class BenchmarkDialog(PickerDialog[ChosenBenchmark]):
    """Asks for a folder in BEIR's form.

    models: None to ask only for the folder; check: raises what is wrong with a folder.
    """

    DEFAULT_CSS = "BenchmarkDialog #keys { height: 3; }"

    def __init__(
        self,
        title: str,
        start: str,
        folder: Path,
        models: Sequence[ModelChoice] | None,
        check: Callable[[Path], object] = find_parts,
    ) -> None:
        super().__init__(title, start, folder)
        self.models = tuple(models or ())
        self.check = check

    def above(self) -> ComposeResult:
        """What the folder must hold."""
        yield HeadLine(id="shape")

    def below(self) -> ComposeResult:
        """Modes and model."""
        if not self.models:
            return
        choices = (
            ("modes", [(", ".join(modes), note) for modes, note in MODE_SETS]),
            ("model", [(one.label, one.note) for one in self.models]),
        )
        for name, shown in choices:
            with Horizontal():
                yield HeadLine(id=f"{name}-label", classes="label")
                yield Stepper(shown)

    def note(self) -> Widget:
        """Three lines, for long errors."""
        note = Detail("keys", measure=120)
        note.can_focus = False
        return note

    def hint(self) -> None:
        """Show no keys: the line above the files names the one that matters."""

    def complain(self, text: str) -> None:
        """Show what is wrong."""
        self.query_one("#keys", Detail).show([line(Span(text, "error"))])

    def on_mount(self) -> None:
        """Explain what to choose; the focus starts on the folders."""
        super().on_mount()
        self.query_one("#shape", HeadLine).show(
            Span("Go into a folder with corpus.jsonl and qrels/; ", "dim"),
            Span("b", "strong"), Span(": use this folder", "dim"),
        )  # fmt: skip
        if self.models:
            self.label("modes", "Modes")
            self.label("model", "Model")
        self.picker.table.focus()

    def answer(self) -> ChosenBenchmark | None:
        """The selected folder or the one that is shown; a file stands for its folder."""
        picked = next(iter(self.picker.selected.values()), None)
        folder = self.picker.folder
        if picked is not None:
            folder = picked.path if picked.folder else picked.path.parent
        try:
            self.check(folder)
        except BioRetrievalError as error:
            self.complain(error.line())
            self.picker.table.focus()
            return None
        chosen = ChosenBenchmark(folder)
        if self.models:
            modes, model = (stepper.chosen for stepper in self.query(Stepper))
            chosen = replace(chosen, modes=MODE_SETS[modes][0], model=self.models[model].model)
        return chosen
