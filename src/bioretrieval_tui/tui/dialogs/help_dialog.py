"""Help: the keys of the screen, then those of all others, to search; two columns where they fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, zip_longest
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from bioretrieval_tui.actions import SCOPES, in_force, in_scope, keyed, scope_title, shown_key
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.dialogs.dialog import Dialog, title_line
from bioretrieval_tui.tui.text import Line, Row, Span, layout, line, unbroken
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.input import QueryLine

if TYPE_CHECKING:
    from bioretrieval_tui.tui.panes.pane import Pane

TWO_COLUMNS = 90
"""Cells from which the keys stand in two columns."""
_KEYS, _TERM = 15, 20
_GAP = 2
_MEANT = {
    asked: word
    for word, others in {
        "split": "resize width border layout panel", "quit": "exit", "colour": "color colors",
        "theme": "setting settings", "palette": "menu", "fetch": "download",
        "star": "bookmark favourite", "watch": "alert", "stop": "pause abort kill",
        "job": "progress", "restore": "trash", "undo": "revert", "similar": "nearest",
        "usual": "reset default", "value": "significance",
    }.items()
    for asked in others.split()
}  # fmt: skip
"""What one may look for, and the word of the help."""
_MOUSE = (
    (
        "click",
        "of the mouse: sorts by a title, presses a key of the footer, follows a link",
    ),
    ("drag", "over a page selects its text and copies it; with shift, the terminal does"),
)


class HelpDialog(Dialog[None]):
    """The keys of a screen, in these scopes, and terms with what they mean; then all other keys."""

    DEFAULT_CSS = """
    HelpDialog > Vertical { width: 96%; max-width: 150; height: 90%; }
    """
    BINDINGS: ClassVar = bindings("text", "help")

    def __init__(
        self, title: str, scopes: Sequence[str], terms: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__()
        self.heading = title
        self.scopes = sorted(dict.fromkeys(scopes), key=lambda scope: scope == "everywhere")
        self.terms = terms
        self.line = QueryLine(keyed("{help-search} searches: a key, or a word of what it does"))
        self.page = Detail(measure=200)

    @classmethod
    def of(cls, pane: Pane, typed: QueryLine | None) -> HelpDialog:
        """The help of a pane. typed: its line, where it has the focus."""
        reads = ("reading", "detail", "line") if "list" in pane.SCOPES else ()
        scopes = (*(typed.scopes if typed else ()), *pane.scopes, *pane.MORE_SCOPES, *reads)
        return cls(pane.heading, scopes, () if typed else pane.EXPLAINS)

    def compose(self) -> ComposeResult:
        title = title_line(f"Keys: {self.heading}", "{help-search}: search   {dialog-close}: close")
        yield Vertical(title, self.line, self.page)

    def on_mount(self) -> None:
        self.page.focus()

    def on_resize(self) -> None:
        self.call_after_refresh(self.fill)

    def fill(self) -> None:
        """Show the keys that the search line names."""
        width = self.page.size.width - 2
        words = meant(self.line.value)
        known = dict.fromkeys((*SCOPES, *(action.scope for action in in_force())))
        others = [scope for scope in known if scope not in self.scopes]
        lines = [*_terms(self.terms, words)]
        lines += [line()] if lines else []
        lines += in_columns(help_blocks(self.scopes, words), width)
        if elsewhere := help_blocks(others, words):
            lines += [line(), line(Span("On other screens", "strong")), line()]
            lines += in_columns(elsewhere, width)
        if mouse := [*_terms(_MOUSE, words)]:
            lines += [line(), line(Span("Mouse", "header")), *mouse]
        self.page.show(lines or [line(keyed("No key has these words; {palette} finds entries."))])

    def action_search(self) -> None:
        self.line.focus()

    def typed(self, _: Input) -> None:
        self.fill()

    def entered(self) -> None:
        self.page.focus()

    def left(self, by: int) -> None:
        self.page.scroll_rows(by)


def meant(text: str) -> list[str]:
    """The words of a search, as the help has them."""
    return [_MEANT.get(word, word) for word in text.casefold().split()]


def help_blocks(scopes: Sequence[str], words: Sequence[str] = ()) -> list[tuple[Line, ...]]:
    """A block of lines a scope: its name, and the keys that have all of these words."""
    blocks = []
    for scope in scopes:
        found = []
        for action in in_scope(scope):
            if not action.keys:
                continue
            keys = ", ".join(shown_key(key) for key in action.keys)
            said = f"{keys} {action.label} {action.help} {scope_title(scope)}".casefold()
            if all(word in said for word in words):
                found.append(line(Span(f" {keys:<{_KEYS}} ", "ok"), action.help, hang=_KEYS + 2))
        if found:
            blocks.append((line(Span(scope_title(scope), "header")), *found))
    return blocks


def _terms(terms: Sequence[tuple[str, str]], words: Sequence[str]) -> Iterator[Line]:
    for term, meaning in terms:
        if all(word in f"{term} {meaning}".casefold() for word in words):
            text = unbroken(meaning) if "  " in meaning else meaning
            yield line(Span(f" {term:<{_TERM}}  ", "strong"), text, hang=_TERM + 3)


def in_columns(blocks: Sequence[Sequence[Line]], width: int) -> list[Line]:
    """The blocks below each other, or in two columns of about the same height."""
    if width < TWO_COLUMNS:
        found = [one for block in blocks for one in (line(), *block)]
        return found[1:]
    half = (width - _GAP) // 2
    columns = [[*layout(block, half), ()] for block in blocks]
    ends = [*accumulate(map(len, columns))]
    cut = min(range(len(ends)), key=lambda at: abs(2 * ends[at] - ends[-1]), default=0) + 1
    left: list[Row] = [row for column in columns[:cut] for row in column]
    right: list[Row] = [row for column in columns[cut:] for row in column]
    rows = []
    for one, other in zip_longest(left, right, fillvalue=()):
        gap = half + _GAP - sum(cell_len(span.text) for span in one)
        rows.append(Line((*one, Span(" " * gap), *other)))
    return rows[:-1]
