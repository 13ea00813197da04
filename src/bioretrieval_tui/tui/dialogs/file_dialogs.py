"""Dialogs that choose files: what to build or add, or which benchmark to rank."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input

from bioretrieval_tui.actions import Action, in_scope, key_of, keyed
from bioretrieval_tui.backend.protocol import AddJob, BuildJob, Job
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation.benchmark import find_parts
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.search.types import mode_name
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.dialogs.dialog import Dialog, labelled, title_line
from bioretrieval_tui.tui.dialogs.model_dialog import ModelLine
from bioretrieval_tui.tui.index_session import UNFINISHED, ModelChoice, name_problem, unused_name
from bioretrieval_tui.tui.text import Span, cells
from bioretrieval_tui.tui.widgets.bars import HeadLine, hints
from bioretrieval_tui.tui.widgets.input import Buttons, QueryLine, Stepper
from bioretrieval_tui.tui.widgets.picker import FilePicker
from bioretrieval_tui.util.formatting import plural

MODE_SETS: tuple[tuple[str, ...], ...] = (
    ("lexical", "dense", "hybrid"), ("lexical", "dense"), ("lexical",), ("dense",)
)  # fmt: skip
"""The sets of modes to choose from."""
ENCODE = (
    ("BM25 and dense", "each text is encoded now"),
    ("BM25 only", "encode later: {vectors} in Indexes"),
)
"""What a build is for: (label, note)."""
_HINT = "{dialog-close}: cancel"


def key_hints(focused: Widget | None, picker: FilePicker, start: str) -> list[Span]:
    """The keys of what has the focus; in a path tab completes, and leads on elsewhere. start: what
    enter does once files are selected."""
    keys: Sequence[Action] = ()
    sides: tuple[str, ...] = ()
    labels = {"start": start, "next-field": start, "into": "Open" if picker.opens else "Select",
              "begin": start}  # fmt: skip
    if isinstance(focused, ModelLine):
        keys = in_scope("model-choice")
        labels["choose-model"] = f"Choose from {plural(len(focused.choices), 'model')}"
    elif isinstance(focused, QueryLine):
        keys = focused.keys
    elif isinstance(focused, Buttons):
        keys, sides = in_scope("buttons"), ("previous-button", "next-button")
    elif isinstance(focused, Stepper):
        keys, sides = in_scope("begin"), ("previous-choice", "next-choice")
    elif focused is picker.table:
        keys = in_scope("files")
    if picker.starts:
        labels["into"] = labels["open-path"] = start
    shown = sorted(
        (a for a in keys if a.footer and a.id not in sides), key=lambda action: action.footer
    )
    shown = [replace(action, label=labels.get(action.id, action.label)) for action in shown]
    width = picker.size.width - 1
    leads_on = (one for one in in_scope("dialog") if one.id == "next-part")
    more = [] if isinstance(focused, QueryLine) else hints([*leads_on], width, "strong", "faint")
    if sides:
        both = " ".join(map(key_of, sides))
        more = [Span(both, "strong"), Span(" Choose  ", "faint"), *more]
    return [*hints(shown, width - cells(more), "strong", "faint"), *more]


class FilesDialog(Dialog[Job]):
    """Asks for files to add to the index `adding`, or to build one from; answers the job.

    infos: the existing indexes; models, name: what a build offers and suggests; made: names of
    indexes that jobs make. The files are all that must be chosen: enter begins with them.
    """

    DEFAULT_CSS = "FilesDialog > Vertical { height: 90%; }"
    BINDINGS: ClassVar = bindings("begin")

    def __init__(
        self,
        folder: Path,
        *,
        recent: Sequence[Path] = (),
        adding: str = "",
        infos: Sequence[IndexInfo] = (),
        models: Sequence[ModelChoice] = (),
        name: str = "",
        made: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.adding = adding
        self.infos = {info.name: info for info in infos}
        self.made = made
        self.models = models
        self.suggested = ""
        """The suggested name, which another suggestion may replace."""
        self.into = QueryLine("a name such as asthma-2024", name)
        self.into.select_on_focus = True
        self.into_note = HeadLine()
        self.picker = FilePicker(folder, recent)
        self.encode = Stepper([(label, keyed(note)) for label, note in ENCODE])
        self.model = ModelLine(models)

    def compose(self) -> ComposeResult:
        if self.adding:
            title = title_line(f"Add files to {self.adding}", _HINT)
            yield Vertical(title, self.picker, Buttons("Add", "Cancel"), self.note)
            return
        yield Vertical(
            title_line("Build an index", _HINT),
            self.picker,
            labelled("Name", self.into),
            self.into_note,
            labelled("Search", self.encode),
            labelled("Model", self.model),
            Buttons("Build", "Cancel"),
            self.note,
        )

    def on_mount(self) -> None:
        self.picker.line.focus()
        self.typed(self.into)

    def hint(self, focused: Widget | None) -> None:
        self.note.show(*key_hints(focused, self.picker, "Add" if self.adding else "Build"))

    @on(Stepper.Changed)
    def _encoding(self) -> None:
        self.model.later = bool(self.encode.chosen)
        self.model.update()

    def typed(self, field: Input) -> None:
        """Say what will happen to the index that is named."""
        name = field.value.strip()
        known = self.infos.get(name)
        if not name:
            text = "a-z, 0-9, '-', '_' and '.'; suggested from the files"
            note = Span(text, "faint")
        elif problem := name_problem(name):
            note = Span(problem, "error")
        elif name in self.made:
            note = Span(f"a job makes {name} now; it is replaced after that", "warn")
        elif known is None:
            note = Span("a new index", "faint")
        elif _resumes(known):
            note = Span("resumes the interrupted build", "ok")
        else:
            what = plural(known.documents, "document") if known.documents is not None else "damaged"
            note = Span(f"replaces {name} ({what}) once it is complete", "warn")
        self.into_note.show(note)

    @on(FilePicker.SelectionChanged)
    def _selected(self) -> None:
        """Suggest a name after the first file, unless one was typed."""
        self.hint(self.focused)
        if not self.adding and self.into.value in ("", self.suggested):
            first = next(iter(self.picker.selected), None)
            taken = {name for name, info in self.infos.items() if not _resumes(info)}
            self.suggested = unused_name(first, taken | {*self.made}) if first else ""
            self.into.value = self.suggested

    def entered(self) -> None:
        self.pressed(0)

    def action_begin(self) -> None:
        self.pressed(0)

    def pressed(self, _: int) -> None:
        name = self.adding or self.into.value.strip()
        problem = None if self.adding else name_problem(name) if name else "Name it first"
        inputs = self.picker.inputs
        if not inputs:
            self.complain(keyed("Select files first: {take} selects"), self.picker.table)
        elif problem:
            self.complain(problem, self.into)
        elif self.adding:
            self.dismiss(AddJob(name, inputs))
        else:
            model, later = self.model.chosen, self.model.later
            fetches = model.download and not later
            how = name, inputs, model.model, model.recipe
            self.dismiss(BuildJob(*how, lexical=later, download=fetches))


def _resumes(info: IndexInfo) -> bool:
    """Whether a build under the name of this index resumes one."""
    return info.status.startswith(UNFINISHED)


def mode_stepper() -> Stepper:
    return Stepper([(", ".join(map(mode_name, modes)), "") for modes in MODE_SETS])


@dataclass(frozen=True, slots=True)
class ChosenBenchmark:
    """A benchmark folder, with modes and model (None: the embedded one; download: it is fetched
    first) if they were asked for."""

    folder: Path
    modes: tuple[str, ...] = MODE_SETS[0]
    model: str | None = None
    download: bool = False


class BenchmarkDialog(Dialog[ChosenBenchmark]):
    """Asks for a folder in BEIR's form; the focus starts on the folders.

    models: none to ask only for the folder; check: raises what is wrong with a folder.
    """

    DEFAULT_CSS = "BenchmarkDialog > Vertical { height: 90%; }"
    BINDINGS: ClassVar = bindings("begin")

    def __init__(
        self,
        heading: str,
        start: str,
        folder: Path,
        models: Sequence[ModelChoice] = (),
        check: Callable[[Path], object] = find_parts,
        recent: Sequence[Path] = (),
    ) -> None:
        super().__init__()
        self.heading = heading
        self.start = start
        self.models = models
        self.check = check
        self.picker = FilePicker(folder, recent)
        self.modes = mode_stepper()
        self.model = ModelLine(models)
        self.note.at_least = 4  # for long errors

    def compose(self) -> ComposeResult:
        fields = [labelled("Modes", self.modes), labelled("Model", self.model)]
        yield Vertical(
            title_line(self.heading, _HINT),
            HeadLine(Span("Choose or open a folder with corpus.jsonl and qrels/", "dim")),
            self.picker,
            *(fields if self.models else ()),
            Buttons(self.start, "Cancel"),
            self.note,
        )  # fmt: skip

    def on_mount(self) -> None:
        self.picker.table.focus()

    def hint(self, focused: Widget | None) -> None:
        self.note.show(*key_hints(focused, self.picker, self.start))

    def action_begin(self) -> None:
        self.pressed(0)

    def pressed(self, _: int) -> None:
        """Answer the selected folder or the one that is shown; a file stands for its folder."""
        picked = next(iter(self.picker.selected.values()), None)
        folder = self.picker.folder
        if picked is not None:
            folder = picked.path if picked.folder else picked.path.parent
        try:
            self.check(folder)
        except BioRetrievalError as error:
            self.complain(error.line(), self.picker.table)
            return
        if self.models:
            modes, model = MODE_SETS[self.modes.chosen], self.model.chosen
            self.dismiss(ChosenBenchmark(folder, modes, model.model, model.download))
        else:
            self.dismiss(ChosenBenchmark(folder))
