"""Choosing a benchmark folder, and by which modes and model it is ranked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation.layout import find_parts
from bioretrieval_tui.tui.indexing import ModelChoice
from bioretrieval_tui.tui.panes.dialogs import Dialog
from bioretrieval_tui.tui.text import Span, line
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.choices import Buttons, Stepper
from bioretrieval_tui.tui.widgets.document import Detail
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.picker import FilePicker

MODES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("lexical", "dense", "hybrid"), "words, meaning, and both"),
    (("lexical", "dense"), "words and meaning"),
    (("lexical",), "words alone"),
    (("dense",), "meaning alone"),
)
"""What can be asked for, and a note."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A benchmark folder; by which modes and model (None: the embedded one), where that was
    asked."""

    folder: Path
    modes: tuple[str, ...] = MODES[0][0]
    model: str | None = None


def check_benchmark(folder: Path) -> None:
    """Raises NotFoundError or BioRetrievalError where `folder` is no benchmark."""
    find_parts(folder)


class BenchmarkDialog(Dialog[Chosen]):
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
                    yield Stepper([(", ".join(modes), note) for modes, note in MODES])
                with Horizontal():
                    yield HeadLine(id="model-label", classes="label")
                    yield Stepper([(one.label, one.note) for one in self.models])
            yield Buttons((self.start_label, "Leave"))
            yield Detail("note", measure=120)

    def on_mount(self) -> None:
        """Say what is wanted; keys go to the folders."""
        self.query_one("#title", HeadLine).show(
            Span(self.title_text, "strong"), Span("   tab goes on, esc leaves", "faint")
        )
        self.query_one("#shape", HeadLine).show(
            Span("Go into a folder with corpus.jsonl and qrels/; ", "dim"),
            Span("b", "strong"), Span(" takes it", "dim"),
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
        taken = next(iter(self.picker.taken.values()), None)
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
            self.dismiss(Chosen(folder))
            return
        modes, model = self.query(Stepper)
        self.dismiss(Chosen(folder, MODES[modes.chosen][0], self.models[model.chosen].model))

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
