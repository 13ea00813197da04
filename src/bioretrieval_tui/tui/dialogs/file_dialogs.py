"""Dialogs that choose files: what to build or add, or which benchmark to rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from bioretrieval_tui.actions import in_scope
from bioretrieval_tui.backend.protocol import AddJob, BuildJob, Job
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation.benchmark import find_parts
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.tui.dialogs.dialog import Dialog
from bioretrieval_tui.tui.index_session import ModelChoice, name_problem, suggested_name
from bioretrieval_tui.tui.text import Span, line
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.buttons import Buttons, Stepper
from bioretrieval_tui.tui.widgets.document import Detail
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.picker import FilePicker
from bioretrieval_tui.util.formatting import plural

MODE_SETS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("lexical", "dense", "hybrid"), "BM25, dense, and both"),
    (("lexical", "dense"), "BM25 and dense"),
    (("lexical",), "BM25 only"),
    (("dense",), "dense only"),
)
"""The sets of modes to choose from, each with a note."""


class FilesDialog(Dialog[Job]):
    """Asks for files to add to an index; answers the job."""

    DEFAULT_CSS = """
    FilesDialog > Vertical { height: 90%; }
    FilesDialog Horizontal { height: 1; }
    FilesDialog .label { width: 8; }
    FilesDialog #space { height: 1; }
    """
    BINDINGS: ClassVar = [
        # Input and list have their own keys; these are for the line under them.
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, start: str, folder: Path) -> None:
        super().__init__()
        self.title_text = title
        self.start_label = start
        self.folder = folder

    def compose(self) -> ComposeResult:
        """Title, (name,) files, (model,) buttons."""
        with Vertical():
            yield HeadLine(id="title")
            yield from self.first()
            yield FilePicker(self.folder)
            yield from self.second()
            yield Buttons((self.start_label, "Cancel"))
            yield HeadLine(id="keys")

    def first(self) -> ComposeResult:
        """What stands over the files."""
        yield from ()

    def second(self) -> ComposeResult:
        """What stands under the files."""
        yield from ()

    def on_mount(self) -> None:
        """Say what this is for."""
        self.query_one("#title", HeadLine).show(
            Span(self.title_text, "strong"), Span("   tab: next field   esc: cancel", "faint")
        )
        self._hint()
        self.begin()

    def begin(self) -> None:
        """Where typing begins."""
        self.picker.line.focus()

    def _hint(self) -> None:
        actions = sorted((a for a in in_scope("files") if a.footer), key=lambda a: a.footer)
        spans: list[Span] = []
        room = max(58, min(self.app.size.width * 8 // 10, 92)) - 5
        for action in actions:
            room -= len(action.shown) + len(action.label) + 3
            if room >= 0:
                spans += [Span(action.shown, "strong"), Span(f" {action.label}  ", "faint")]
        self.query_one("#keys", HeadLine).show(*spans)

    def complain(self, text: str) -> None:
        """Say why nothing begins."""
        self.query_one("#keys", HeadLine).show(Span(text, "error"))

    @property
    def picker(self) -> FilePicker:
        """The files."""
        return self.query_one(FilePicker)

    def job(self) -> Job | None:
        """The job as it stands, or None after a complaint."""
        return None

    def start(self) -> None:
        """Answer the job, if there is nothing wrong with it."""
        job = self.job()
        if job is not None:
            self.folder = self.picker.folder
            self.dismiss(job)

    def has_files(self) -> bool:
        """Whether anything was taken; complains if not."""
        if not self.picker.selected:
            self.complain("Select files first: space selects")
            self.picker.table.focus()
        return bool(self.picker.selected)

    @on(FilePicker.Done)
    def _done(self, event: FilePicker.Done) -> None:
        event.stop()
        if event.start:
            self.start()
        else:
            self.query_one(Buttons).focus()

    @on(FilePicker.Changed)
    def _taken(self, event: FilePicker.Changed) -> None:
        event.stop()
        self._hint()
        self.suggest()

    def suggest(self) -> None:
        """Something was taken."""

    @on(Buttons.Pressed)
    def _pressed(self, event: Buttons.Pressed) -> None:
        event.stop()
        if event.index == 0:
            self.start()
        else:
            self.dismiss(None)

    @on(QueryLine.Cancelled)
    def _cancelled(self, event: QueryLine.Cancelled) -> None:
        event.stop()
        self.dismiss(None)


class AddDialog(FilesDialog):
    """Asks for files to add to the index `name`."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(f"Add files to {name}", "Add", folder)
        self.index_name = name

    def job(self) -> Job | None:
        """Files into the index."""
        return AddJob(self.index_name, self.picker.inputs) if self.has_files() else None


class BuildDialog(FilesDialog):
    """Asks for a name, files and a model."""

    def __init__(
        self,
        infos: Sequence[IndexInfo],
        models: Sequence[ModelChoice],
        folder: Path,
        name: str = "",
    ) -> None:
        super().__init__("Build an index", "Build", folder)
        self.infos = {info.name: info for info in infos}
        self.models = tuple(models)
        self.given = name
        self.suggested = ""
        """The name that we put there: it may be replaced by another suggestion."""

    def first(self) -> ComposeResult:
        """The name, and what is to be said of it."""
        with Horizontal():
            yield HeadLine(id="name-label", classes="label")
            yield QueryLine("a name such as asthma-2024", id="name")
        yield HeadLine(id="name-note")

    def second(self) -> ComposeResult:
        """The model."""
        with Horizontal():
            yield HeadLine(id="model-label", classes="label")
            yield Stepper([(one.label, one.note) for one in self.models])

    def begin(self) -> None:
        """With the name."""
        self.query_one("#name-label", HeadLine).show(Span("Name", "dim"))
        self.query_one("#model-label", HeadLine).show(Span("Model", "dim"))
        self.name_line.value = self.given
        self.name_line.cursor_position = len(self.given)
        self._note()
        self.name_line.focus()

    @property
    def name_line(self) -> QueryLine:
        """The line for the name."""
        return self.query_one("#name", QueryLine)

    def problem(self) -> str | None:
        """What is wrong with the name, or None."""
        return name_problem(self.name_line.value.strip())

    def _note(self) -> None:
        name = self.name_line.value.strip()
        note = self.query_one("#name-note", HeadLine)
        problem = self.problem()
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

    def suggest(self) -> None:
        """A name after the first file, while none was typed."""
        if self.name_line.value not in ("", self.suggested):
            return
        first = next(iter(self.picker.selected), None)
        self.suggested = suggested_name(first.name) if first else ""
        self.name_line.value = self.suggested

    def job(self) -> Job | None:
        """Build, by the chosen model."""
        problem = self.problem()
        if problem:
            self.complain(problem if self.name_line.value.strip() else "Name it first")
            self.name_line.focus()
            return None
        if not self.has_files():
            return None
        model = self.models[self.query_one(Stepper).chosen]
        name = self.name_line.value.strip()
        return BuildJob(name, self.picker.inputs, model.model, model.recipe)


@dataclass(frozen=True, slots=True)
class ChosenBenchmark:
    """A benchmark folder; by which modes and model (None: the embedded one), where that was
    asked."""

    folder: Path
    modes: tuple[str, ...] = MODE_SETS[0][0]
    model: str | None = None


def check_benchmark(folder: Path) -> None:
    """Raises NotFoundError or BioRetrievalError where `folder` is no benchmark."""
    find_parts(folder)


class BenchmarkDialog(Dialog[ChosenBenchmark]):
    """Asks for a folder in BEIR's form.

    models: None where only the folder is asked for; check: raises what is wrong with a folder.
    """

    DEFAULT_CSS = """
    BenchmarkDialog > Vertical { height: 90%; }
    BenchmarkDialog Horizontal { height: 1; }
    BenchmarkDialog .label { width: 8; }
    BenchmarkDialog #note { height: 3; }
    """
    BINDINGS: ClassVar = [
        # Input and list have their own keys; these are for the lines under them.
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]

    def __init__(
        self,
        title: str,
        start: str,
        folder: Path,
        models: Sequence[ModelChoice] | None,
        check: Callable[[Path], None] = check_benchmark,
    ) -> None:
        super().__init__()
        self.title_text = title
        self.start_label = start
        self.folder = folder
        self.models = tuple(models or ())
        self.check = check

    def compose(self) -> ComposeResult:
        """Title, folder, (modes, model,) buttons."""
        with Vertical():
            yield HeadLine(id="title")
            yield HeadLine(id="shape")
            yield FilePicker(self.folder)
            if self.models:
                with Horizontal():
                    yield HeadLine(id="modes-label", classes="label")
                    yield Stepper([(", ".join(modes), note) for modes, note in MODE_SETS])
                with Horizontal():
                    yield HeadLine(id="model-label", classes="label")
                    yield Stepper([(one.label, one.note) for one in self.models])
            yield Buttons((self.start_label, "Cancel"))
            yield Detail("note", measure=120)

    def on_mount(self) -> None:
        """Say what is wanted; keys go to the folders."""
        self.query_one("#title", HeadLine).show(
            Span(self.title_text, "strong"), Span("   tab: next field   esc: cancel", "faint")
        )
        self.query_one("#shape", HeadLine).show(
            Span("Go into a folder with corpus.jsonl and qrels/; ", "dim"),
            Span("b", "strong"), Span(": use this folder", "dim"),
        )  # fmt: skip
        if self.models:
            self.query_one("#modes-label", HeadLine).show(Span("Modes", "dim"))
            self.query_one("#model-label", HeadLine).show(Span("Model", "dim"))
        self.query_one("#note", Detail).can_focus = False
        self.picker.table.focus()

    @property
    def picker(self) -> FilePicker:
        """The folders."""
        return self.query_one(FilePicker)

    def chosen_folder(self) -> Path:
        """What was taken, or the folder that is shown; a file stands for its folder."""
        taken = next(iter(self.picker.selected.values()), None)
        if taken is None:
            return self.picker.folder
        return taken.path if taken.folder else taken.path.parent

    def start(self) -> None:
        """Answer, if the folder is what it should be."""
        folder = self.chosen_folder()
        try:
            self.check(folder)
        except BioRetrievalError as error:
            self.query_one("#note", Detail).show([line(Span(error.line(), "error"))])
            self.picker.table.focus()
            return
        if not self.models:
            self.dismiss(ChosenBenchmark(folder))
            return
        modes, model = self.query(Stepper)
        self.dismiss(
            ChosenBenchmark(folder, MODE_SETS[modes.chosen][0], self.models[model.chosen].model)
        )

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

    @on(QueryLine.Cancelled)
    def _cancelled(self, event: QueryLine.Cancelled) -> None:
        event.stop()
        self.dismiss(None)
