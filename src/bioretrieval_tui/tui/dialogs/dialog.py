"""Dialogs: their frame, a page of lines, a question, a file to export to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from textual import on
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.events import DescendantFocus
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Input

from bioretrieval_tui.actions import key_of, keyed
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.spans import addresses
from bioretrieval_tui.tui.text import Line, Row, Span, layout, line
from bioretrieval_tui.tui.themes import DARK
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.canvas import Canvas, Detail
from bioretrieval_tui.tui.widgets.input import Buttons, QueryLine
from bioretrieval_tui.tui.widgets.table import VirtualTable
from bioretrieval_tui.util.formatting import plural

if TYPE_CHECKING:
    from bioretrieval_tui.render.sheet import Sheet

ResultT = TypeVar("ResultT")


class DimmedScreen:
    """A screen in one style, which costs few bytes and works without colours."""

    def __init__(self, screen: Screen[object], style: Style) -> None:
        self.screen = screen
        self.style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.screen._compositor, options):
            yield segment if segment.control else Segment(segment.text, self.style)


class Dialog(ModalScreen[ResultT], inherit_bindings=False):
    """A framed box in the middle; escape and its last button close it without an answer.

    A dialog composes a `Vertical` of its widgets. Up, down and enter lead from field to field;
    `typed`, `entered` and `pressed` say what else happens. `note` is a line for notes and errors.
    """

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > Vertical {
        width: 80%; min-width: 58; max-width: 92; height: auto; max-height: 90%;
        border: round $primary; background: $background; padding: 0 1;
    }
    Dialog.-slim > Vertical { width: 100%; min-width: 0; }
    Dialog.-low > Vertical, Dialog.-flat > Vertical {
        height: 100%; max-height: 100%; border: none;
        overflow-y: auto; scrollbar-size: 0 0;
    }
    Dialog Horizontal { height: 1; }
    Dialog .label { width: 8; }
    Dialog Detail { height: 1fr; }
    """
    # Pages and lines of input have their own.
    BINDINGS: ClassVar = [Binding("ctrl+c", "app.quit", show=False), *bindings("dialog")]

    def __init__(self) -> None:
        super().__init__()
        self.note = HeadLine()
        self.dims = True
        """Whether the screen behind is dimmed."""
        self._at_fault: Widget | None = None

    def render(self) -> RenderableType:
        """The screen behind, dimmed."""
        found = super().render()
        if self.dims and isinstance(found, BackgroundScreen):
            return DimmedScreen(found.screen, getattr(self.app, "look", DARK).style("behind"))
        return found

    def dismiss(self, result: ResultT | None = None) -> AwaitComplete:
        """Answer, once: another key or click may come before the dialog is gone."""
        return super().dismiss(result) if self.is_active else AwaitComplete()

    def hint(self, focused: Widget | None) -> None:
        """Show the keys of what has the focus now; called when a cursor moved, too."""

    @on(VirtualTable.Moved)
    def _at_another_row(self) -> None:
        if self._at_fault is None:
            self.hint(self.focused)

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

    def action_move(self, by: int) -> None:
        """Move the cursor of the list that has the focus; elsewhere go to the next field."""
        if isinstance(self.focused, VirtualTable):
            self.focused.move_to(self.focused.cursor + by)
        else:
            self.left(by)

    def action_edge(self, to: int) -> None:
        if isinstance(self.focused, VirtualTable):
            self.focused.move_to(0 if to < 0 else len(self.focused.rows) - 1)

    def action_to_row(self, number: int) -> None:
        if isinstance(self.focused, VirtualTable):
            self.focused.move_to(number - 1)

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

    @on(QueryLine.Joined)
    def _joined(self, event: QueryLine.Joined) -> None:
        self.note.show(Span(f"Pasted {event.by} lines as one", "warn"))

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
        width = self.app.size.width
        return (width if width < 60 else max(58, min(width * 8 // 10, 92))) - 4


def title_line(text: str, hint: str) -> HeadLine:
    """The title of a dialog, and its keys, which the hint has as `keyed` takes them."""
    return HeadLine(Span(text, "strong"), Span(f"   {keyed(hint)}", "faint"))


class FieldLabel(Canvas):
    """The label of a field, marked while that has the focus."""

    def __init__(self, label: str, field: Widget) -> None:
        super().__init__(classes="label")
        self.label = label
        self.field = field

    def on_mount(self) -> None:
        self.watch(self.field, "has_focus", self.update, init=False)

    def row_spans(self) -> Sequence[Row]:
        focused = self.field.has_focus
        mark = Span("▸" if focused else " ", "ok")
        return [(mark, Span(self.label, "strong" if focused else "dim"))]


def labelled(label: str, widget: Widget, id: str | None = None) -> Horizontal:  # noqa: A002
    """A field behind its label."""
    return Horizontal(FieldLabel(label, widget), widget, id=id)


class PageDialog(Dialog[None]):
    """A page of lines. fitted: the box is as high as a short page."""

    DEFAULT_CSS = "PageDialog > Vertical { height: 90%; }"
    BINDINGS: ClassVar = bindings("text")

    def __init__(self, lines: list[Line], *, fitted: bool = False) -> None:
        super().__init__()
        self.lines = lines
        self.fitted = fitted

        self.page = Detail(lines=lines, measure=120)
        self.box = Vertical(self.page)

    def compose(self) -> ComposeResult:
        yield self.box

    def on_mount(self) -> None:
        # Its widgets are named here, not looked for: a dialog may be closed before it is composed.
        if self.fitted:
            rows = len(layout(self.lines, self.inner_width - 2)) + 2
            self.box.styles.height = min(rows, self.app.size.height * 9 // 10)
        self.page.focus()


def text_lines(title: str, text: str, note: str = "") -> list[Line]:
    """The page of a raw text, complete, to select with the terminal."""
    lines = [line(Span(title, "strong"))]
    if note:
        lines.append(line(Span(note, "dim")))
    lines += [line(), *(line(*addresses(part)) for part in text.splitlines()), line()]
    return [*lines, line(Span(keyed("{dialog-close}: close; shift and drag selects"), "faint"))]


class Confirm(Dialog[bool]):
    """Yes (True), no (None), and with `stop` a third answer (False); the focus starts on what
    changes nothing: no, or with `stop` yes."""

    BINDINGS: ClassVar = bindings("question")

    def __init__(self, question: str, then: str, yes: str, no: str, *, stop: str = "") -> None:
        super().__init__()
        lines = [line(Span(question, "strong")), line(Span(then, "dim"))]
        self.page = Detail(lines=lines, measure=120)
        self.page.can_focus = False
        labels = [("yes", yes), *([("third-answer", stop)] if stop else []), ("no", no)]
        shown = (f"{key_of(action)} {label}".strip() for action, label in labels)
        self.buttons = Buttons(*shown, chosen=0 if stop else 1)

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

    DEFAULT_CSS = "ExportDialog > Vertical { height: 8; }"

    def __init__(
        self,
        make: Callable[[], Sheet],
        suggestion: str,
        count: int,
        *,
        write: Callable[[Path], Path] | None = None,
        extensions: str = ".md .csv .json .jsonl .bib .ris .csl.json .xml .tex .txt",
        cites: bool = True,
    ) -> None:
        """write: used in place of `write_export`, with the extensions that it knows; cites: the
        sheet has a bibliography."""
        super().__init__()
        self.write = write or (lambda path: write_export(path, make()))
        cited = " .bib .ris .csl.json .xml"
        self.extensions = extensions if cites else extensions.replace(cited, "")
        self.count = count
        self.file = QueryLine("file name", suggestion)
        self.page = Detail(measure=120)
        self.page.can_focus = False
        self.confirmed: str | None = None
        """The name of an existing file that the next enter replaces."""

    def compose(self) -> ComposeResult:
        title = title_line(
            f"Export {plural(self.count, 'row')} to a file",
            "{next-field}: write   {close-field}: cancel",
        )
        yield Vertical(title, self.file, self.page)

    def on_mount(self) -> None:
        """Typing begins before the extension."""
        name = self.file.value
        self.file.cursor_position = len(name) - len(Path(name).suffix)
        self.file.focus()
        self._explain()

    def _explain(self, problem: str = "") -> None:
        lines = [line(Span(f"The extension sets the format: {self.extensions}", "dim"))]
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
            self._explain(f"{path} exists: {key_of('next-field')} again to replace it")
            return
        try:
            self.dismiss(self.write(path))
        except BioRetrievalError as error:
            self._explain(error.line())


def write_export(path: Path, sheet: Sheet) -> Path:
    """Write a `Sheet` to `path`, all or nothing.

    Raises UsageError if no format has its extension, BioRetrievalError if it cannot be written."""
    from bioretrieval_tui.render.formats import CITED, format_of, render, save_text

    chosen = format_of(path)
    text = "".join(render(sheet, chosen))
    if not text.strip() or (chosen in CITED and not sheet.citations):
        raise BioRetrievalError(f"nothing here can be written as {chosen}")
    return save_text(path, text)
