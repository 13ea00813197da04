"""Dialogs: the keys of a pane, text to copy by hand, a question, a file to export to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from bioretrieval_tui.actions import SCOPES, in_scope, shown_key
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.paths import write_atomically
from bioretrieval_tui.tui.spans import addresses
from bioretrieval_tui.tui.text import Line, Span, layout, line
from bioretrieval_tui.tui.widgets.buttons import Buttons
from bioretrieval_tui.tui.widgets.detail import Detail
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.util.formatting import plural

if TYPE_CHECKING:
    from bioretrieval_tui.render.sheet import Sheet

ResultT = TypeVar("ResultT")
FIELD_KEYS: list[BindingType] = [
    Binding("up", "app.focus_previous", show=False),
    Binding("down", "app.focus_next", show=False),
]
"""Keys of dialogs with fields; lists and lines of input have their own."""


class Dialog(ModalScreen[ResultT]):
    """A framed box in the middle; escape closes it without an answer."""

    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background; }
    Dialog > Vertical {
        width: 80%; min-width: 58; max-width: 92; height: auto; max-height: 90%;
        border: round $primary; background: $background; padding: 0 1;
    }
    Dialog Detail { height: 1fr; }
    """
    BINDINGS: ClassVar = [
        Binding("escape", "close", show=False),
        Binding("ctrl+c", "app.quit", show=False),
    ]

    def action_close(self) -> None:
        """Close without an answer."""
        self.dismiss(None)

    @on(QueryLine.Cancelled)
    def _cancelled(self, event: QueryLine.Cancelled) -> None:
        event.stop()
        self.dismiss(None)

    @property
    def inner_width(self) -> int:
        """Cells inside of the frame, as the style sheet sizes it."""
        return max(58, min(self.app.size.width * 8 // 10, 92)) - 4


class PageDialog(Dialog[None]):
    """A dialog that is a page of lines."""

    DEFAULT_CSS = "PageDialog > Vertical { height: 90%; }"
    BINDINGS: ClassVar = [
        Binding("q,enter,question_mark,f1", "close", show=False),
    ]

    def __init__(self, lines: list[Line]) -> None:
        super().__init__()
        self.lines = lines

    def compose(self) -> ComposeResult:
        """The page."""
        with Vertical():
            yield Detail(measure=120)

    def on_mount(self) -> None:
        """Fill the page."""
        detail = self.query_one(Detail)
        detail.show(self.lines)
        detail.focus()


class HelpDialog(PageDialog):
    """The keys of a pane, from the registry of actions."""

    def __init__(self, title: str, scopes: tuple[str, ...]) -> None:
        super().__init__(help_lines(title, scopes))


def help_lines(title: str, scopes: tuple[str, ...]) -> list[Line]:
    """The page of the keys that work in these scopes."""
    lines = [line(Span(f"Keys: {title}", "strong"), Span("   esc: close", "faint"))]
    shown = dict.fromkeys((*scopes, "detail", "line"))
    for scope in sorted(shown, key=lambda s: s == "everywhere"):
        lines += [line(), line(Span(SCOPES[scope], "header"))]
        for action in in_scope(scope):
            keys = ", ".join(shown_key(key) for key in action.keys)
            lines.append(line(Span(f" {keys:<21} ", "ok"), action.help, hang=23))
    return lines


class TextDialog(PageDialog):
    """Raw text, complete, to select with the terminal."""

    def __init__(self, title: str, text: str, note: str = "") -> None:
        lines = [line(Span(title, "strong"))]
        if note:
            lines.append(line(Span(note, "dim")))
        lines.append(line())
        lines += [line(*addresses(part)) for part in text.splitlines()]
        lines += [line(), line(Span("esc: close; shift and drag selects", "faint"))]
        super().__init__(lines)

    def on_mount(self) -> None:
        """Make the box as high as the text; a longer text scrolls."""
        rows = layout(self.lines, self.inner_width - 2)
        self.query_one(Vertical).styles.height = min(len(rows) + 2, self.app.size.height * 9 // 10)
        super().on_mount()


class Confirm(Dialog[bool]):
    """Yes or no; the focus starts on no."""

    DEFAULT_CSS = """
    Confirm > Vertical { height: auto; }
    Confirm Detail { height: 4; }
    """
    BINDINGS: ClassVar = [
        Binding("y", "answer(True)", show=False),
        Binding("n", "answer(False)", show=False),
    ]

    def __init__(self, question: str, then: str, yes: str, no: str) -> None:
        super().__init__()
        self.lines = [line(Span(question, "strong")), line(Span(then, "dim"))]
        self.labels = (f"y {yes}", f"n {no}")

    def compose(self) -> ComposeResult:
        """The question, its consequence, two buttons."""
        with Vertical():
            yield Detail(measure=120)
            yield Buttons(self.labels, chosen=1)

    def on_mount(self) -> None:
        """Make the box as high as the question."""
        detail = self.query_one(Detail)
        detail.can_focus = False
        detail.styles.height = len(layout(self.lines, self.inner_width - 2)) + 1
        detail.show(self.lines)
        self.query_one(Buttons).focus()

    def action_answer(self, answer: bool) -> None:
        """y, n."""
        self.dismiss(answer)

    @on(Buttons.Pressed)
    def _pressed(self, event: Buttons.Pressed) -> None:
        event.stop()
        self.dismiss(event.index == 0)


class ExportDialog(Dialog[Path]):
    """Asks for a file name and writes the sheet; an existing file needs a second enter."""

    DEFAULT_CSS = """
    ExportDialog > Vertical { height: 10; }
    """

    def __init__(self, make: Callable[[], Sheet], suggestion: str, count: int) -> None:
        super().__init__()
        self.make = make
        self.suggestion = suggestion
        self.count = count
        self.confirmed: str | None = None

    def compose(self) -> ComposeResult:
        """A page that explains, a line to type in."""
        with Vertical():
            yield QueryLine("file name")
            yield Detail(measure=120)

    def on_mount(self) -> None:
        """Suggest a name."""
        name_line = self.query_one(QueryLine)
        name_line.value = self.suggestion
        name_line.cursor_position = len(self.suggestion) - len(Path(self.suggestion).suffix)
        name_line.focus()
        self._explain()

    def _explain(self, problem: str = "") -> None:
        lines = [
            line(Span(f"Export {plural(self.count, 'row')} to a file", "strong")),
            line(Span("The extension sets the format: .md .csv .json .jsonl .bib .txt", "dim")),
            line(Span("enter: write, esc: cancel", "dim")),
        ]
        if problem:
            lines.append(line(Span(problem, "error")))
        self.query_one(Detail).show(lines)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.confirmed not in (None, event.value):
            self.confirmed = None
            self._explain()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        path = Path(event.value.strip()).expanduser()
        if not event.value.strip():
            self._explain("Type a file name")
            return
        if path.exists() and self.confirmed != event.value:
            self.confirmed = event.value
            self._explain(f"{path} exists: enter again to replace it")
            return
        try:
            self.dismiss(write_export(path, self.make()))
        except BioRetrievalError as error:
            self._explain(error.line())


EXPORT_FORMATS = {
    ".md": "markdown", ".markdown": "markdown", ".csv": "csv", ".json": "json",
    ".jsonl": "jsonl", ".bib": "bibtex", ".txt": "table",
}  # fmt: skip


def write_export(path: Path, sheet: Sheet) -> Path:
    """Write a `Sheet` to `path`, all or nothing.

    Raises:
        UsageError: no format has this extension.
        BioRetrievalError: the file cannot be written; nothing was changed.
    """
    format_name = EXPORT_FORMATS.get(path.suffix.casefold())
    if format_name is None:
        known = " ".join(EXPORT_FORMATS)
        raise UsageError(f"no format has the extension '{path.suffix or path.name}'",
                         remedy=f"use one of {known}")  # fmt: skip
    from bioretrieval_tui.render.formats import render

    text = "".join(render(sheet, format_name))  # type: ignore[arg-type]
    if not text.strip():
        raise BioRetrievalError(f"nothing here has a {format_name} form")
    if path.is_dir():
        raise BioRetrievalError(f"{path} is a folder", remedy="name a file in it")
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise BioRetrievalError(f"cannot write {path}: {error.strerror}") from error
    return path
