"""Dialogs: their frame, a page of lines, a question, a file to export to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.events import DescendantFocus
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input

from bioretrieval_tui.actions import SCOPES, in_scope, shown_key
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.paths import write_atomically
from bioretrieval_tui.tui.spans import addresses
from bioretrieval_tui.tui.text import Line, Span, layout, line
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.input import Buttons, QueryLine
from bioretrieval_tui.util.formatting import plural

if TYPE_CHECKING:
    from bioretrieval_tui.render.sheet import Sheet

ResultT = TypeVar("ResultT")


class Dialog(ModalScreen[ResultT]):
    """A framed box in the middle; escape and its last button close it without an answer.

    A dialog composes a `Vertical` of its widgets. Up, down and enter lead from field to field;
    `typed`, `entered` and `pressed` say what else happens. `note` is a line for notes and errors.
    """

    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background; }
    Dialog > Vertical {
        width: 80%; min-width: 58; max-width: 92; height: auto; max-height: 90%;
        border: round $primary; background: $background; padding: 0 1;
    }
    Dialog Horizontal { height: 1; }
    Dialog .label { width: 8; }
    Dialog Detail { height: 1fr; }
    """
    BINDINGS: ClassVar = [
        Binding("escape", "close", show=False),
        Binding("ctrl+c", "app.quit", show=False),
        # Lists and lines of input have their own.
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.note = HeadLine()
        self._at_fault: Widget | None = None

    def hint(self, focused: Widget | None) -> None:
        """Show the keys of what has the focus now."""

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        if event.widget is not self._at_fault:  # else the complaint stays
            self._at_fault = None
            self.hint(event.widget)

    def typed(self, field: Input) -> None:
        """The text of a field has changed."""

    def entered(self) -> None:
        """Enter was pressed in a field."""
        self.focus_next()

    def pressed(self, index: int) -> None:
        """A button was pressed, but not the last one, which cancels."""

    def left(self, by: int) -> None:
        """Down (1) or up (-1) was pressed in a field."""
        if by > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def complain(self, text: str, field: Widget) -> None:
        """Show what is wrong with a field, and focus it."""
        self.note.show(Span(text, "error"))
        self._at_fault = field
        field.focus()

    @on(QueryLine.Cancelled)
    def action_close(self) -> None:
        self.dismiss(None)

    @on(QueryLine.Left)
    def _left(self, event: QueryLine.Left) -> None:
        self.left(event.by)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self.typed(event.input)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.entered()

    @on(Buttons.Pressed)
    def _pressed(self, event: Buttons.Pressed) -> None:
        if event.index == len(self.query_one(Buttons).labels) - 1:
            self.dismiss(None)
        else:
            self.pressed(event.index)

    @property
    def inner_width(self) -> int:
        """Cells inside of the frame, as the style sheet sizes it."""
        return max(58, min(self.app.size.width * 8 // 10, 92)) - 4


def title_line(text: str, hint: str) -> HeadLine:
    """The title of a dialog, and its keys."""
    return HeadLine(Span(text, "strong"), Span(f"   {hint}", "faint"))


def labelled(label: str, widget: Widget) -> Horizontal:
    """A field behind its label."""
    return Horizontal(HeadLine(Span(label, "dim"), classes="label"), widget)


class PageDialog(Dialog[None]):
    """A page of lines. fitted: the box is as high as a short page."""

    DEFAULT_CSS = "PageDialog > Vertical { height: 90%; }"
    BINDINGS: ClassVar = [Binding("q,enter,question_mark,f1", "close", show=False)]

    def __init__(self, lines: list[Line], *, fitted: bool = False) -> None:
        super().__init__()
        self.lines = lines
        self.fitted = fitted

    def compose(self) -> ComposeResult:
        yield Vertical(Detail(lines=self.lines, measure=120))

    def on_mount(self) -> None:
        if self.fitted:
            rows = len(layout(self.lines, self.inner_width - 2)) + 2
            self.query_one(Vertical).styles.height = min(rows, self.app.size.height * 9 // 10)
        self.query_one(Detail).focus()


def help_lines(
    title: str, scopes: tuple[str, ...], terms: Sequence[tuple[str, str]] = ()
) -> list[Line]:
    """The page of the keys that work in these scopes, from the registry of actions; before them
    terms with what they mean."""
    lines = [line(Span(f"Keys: {title}", "strong"), Span("   esc: close", "faint"))]
    lines += [line()] if terms else []
    lines += [line(Span(f" {term:<21} ", "strong"), meaning, hang=23) for term, meaning in terms]
    for scope in sorted(dict.fromkeys(scopes), key=lambda s: s == "everywhere"):
        lines += [line(), line(Span(SCOPES[scope], "header"))]
        for action in in_scope(scope):
            keys = ", ".join(shown_key(key) for key in action.keys)
            lines.append(line(Span(f" {keys:<21} ", "ok"), action.help, hang=23))
    return lines


def text_lines(title: str, text: str, note: str = "") -> list[Line]:
    """The page of a raw text, complete, to select with the terminal."""
    lines = [line(Span(title, "strong"))]
    if note:
        lines.append(line(Span(note, "dim")))
    lines += [line(), *(line(*addresses(part)) for part in text.splitlines()), line()]
    return [*lines, line(Span("esc: close; shift and drag selects", "faint"))]


class Confirm(Dialog[bool]):
    """Yes (True), no (None), and with `stop` a third answer (False); the focus starts on what
    changes nothing: no, or with `stop` yes."""

    BINDINGS: ClassVar = [
        Binding("y", "answer(True)", show=False),
        Binding("n", "close", show=False),
        Binding("s", "answer(False)", show=False),
    ]

    def __init__(self, question: str, then: str, yes: str, no: str, *, stop: str = "") -> None:
        super().__init__()
        lines = [line(Span(question, "strong")), line(Span(then, "dim"))]
        self.page = Detail(lines=lines, measure=120)
        self.page.can_focus = False
        labels = (f"y {yes}", *([f"s {stop}"] if stop else []), f"n {no}")
        self.buttons = Buttons(*labels, chosen=0 if stop else 1)

    def compose(self) -> ComposeResult:
        yield Vertical(self.page, self.buttons)

    def on_mount(self) -> None:
        self.page.styles.height = len(layout(self.page.lines, self.inner_width - 2)) + 1
        self.buttons.focus()

    def action_answer(self, answer: bool) -> None:
        if answer or len(self.buttons.labels) == 3:
            self.dismiss(answer)

    def pressed(self, index: int) -> None:
        self.dismiss(index == 0)


class ExportDialog(Dialog[Path]):
    """Asks for a file name and writes the sheet; an existing file needs a second enter."""

    DEFAULT_CSS = "ExportDialog > Vertical { height: 10; }"

    def __init__(
        self,
        make: Callable[[], Sheet],
        suggestion: str,
        count: int,
        *,
        write: Callable[[Path], Path] | None = None,
        extensions: str = ".md .csv .json .jsonl .bib .tex .txt",
        cites: bool = True,
    ) -> None:
        """write: used in place of `write_export`, with the extensions that it knows; cites: the
        sheet has a bibliography."""
        super().__init__()
        self.write = write or (lambda path: write_export(path, make()))
        self.extensions = extensions if cites else extensions.replace(" .bib", "")
        self.count = count
        self.file = QueryLine("file name", suggestion)
        self.page = Detail(measure=120)
        self.page.can_focus = False
        self.confirmed: str | None = None
        """The name of an existing file that the next enter replaces."""

    def compose(self) -> ComposeResult:
        yield Vertical(self.file, self.page)

    def on_mount(self) -> None:
        """Typing begins before the extension."""
        name = self.file.value
        self.file.cursor_position = len(name) - len(Path(name).suffix)
        self.file.focus()
        self._explain()

    def _explain(self, problem: str = "") -> None:
        lines = [
            line(Span(f"Export {plural(self.count, 'row')} to a file", "strong")),
            line(Span(f"The extension sets the format: {self.extensions}", "dim")),
            line(Span("enter: write, esc: cancel", "dim")),
        ]
        self.page.show([*lines, line(Span(problem, "error"))] if problem else lines)

    def typed(self, field: Input) -> None:
        if self.confirmed not in (None, field.value):
            self.confirmed = None
            self._explain()

    def entered(self) -> None:
        name = self.file.value
        path = Path(name.strip()).expanduser()
        if not name.strip():
            self._explain("Type a file name")
            return
        if path.exists() and self.confirmed != name:
            self.confirmed = name
            self._explain(f"{path} exists: enter again to replace it")
            return
        try:
            self.dismiss(self.write(path))
        except BioRetrievalError as error:
            self._explain(error.line())


EXPORT_FORMATS = {
    ".md": "markdown", ".markdown": "markdown", ".csv": "csv", ".json": "json",
    ".jsonl": "jsonl", ".bib": "bibtex", ".txt": "table", ".tex": "latex",
}  # fmt: skip


def write_export(path: Path, sheet: Sheet) -> Path:
    """Write a `Sheet` to `path`, all or nothing.

    Raises UsageError if no format has its extension, BioRetrievalError if it cannot be written."""
    format_name = EXPORT_FORMATS.get(path.suffix.casefold())
    if format_name is None:
        known = " ".join(EXPORT_FORMATS)
        raise UsageError(f"no format has the extension '{path.suffix or path.name}'",
                         remedy=f"use one of {known}")  # fmt: skip
    from bioretrieval_tui.render.formats import render

    text = "".join(render(sheet, format_name))  # type: ignore[arg-type]  # a Format
    if not text.strip():
        raise BioRetrievalError(f"nothing here has a {format_name} form")
    if path.is_dir():
        raise BioRetrievalError(f"{path} is a folder", remedy="name a file in it")
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise BioRetrievalError(f"cannot write {path}: {error.strerror}") from error
    return path
