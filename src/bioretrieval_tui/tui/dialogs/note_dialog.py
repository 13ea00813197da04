"""What is noted of a thing: reading status, tags, note. And the letter of a saved search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from msgspec.structs import replace
from textual import events
from textual.app import ComposeResult, SuspendNotSupported
from textual.containers import Vertical

from bioretrieval_tui.actions import keyed
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.render.sheet import shortened
from bioretrieval_tui.shelf import MOST_CHARACTERS, STATUSES, SavedSearch, ShelfMark, tags_of
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.dialogs.dialog import Dialog, labelled, title_line
from bioretrieval_tui.tui.text import Line, Span, line
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.input import Buttons, QueryLine, Stepper

LINE_END = "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}"
"""Stands for a line end of the note, which is on one line here."""
_CHOICES = ("none", *STATUSES)
_LONGEST_TITLE = 50


class NoteLine(QueryLine):
    """The note on one line, with a key that opens it in the editor."""

    MOST_CHARACTERS = MOST_CHARACTERS
    BINDINGS: ClassVar = bindings("note-line")


class NoteDialog(Dialog[ShelfMark]):
    """Answers the mark with another status, other tags and another note."""

    DEFAULT_CSS = "NoteDialog > Vertical { height: 10; }"
    BINDINGS: ClassVar = bindings("note-dialog", "note-line")

    def __init__(self, mark: ShelfMark) -> None:
        super().__init__()
        self.mark = mark
        shown = [(one, "") for one in _CHOICES]
        self.status = Stepper(shown, _CHOICES.index(mark.status or "none"))
        self.tags = QueryLine("tags, with commas between", ", ".join(mark.tags))
        self.text = NoteLine(
            keyed("note; {note-edit} opens it in $EDITOR"), mark.note.replace("\n", LINE_END)
        )

    def compose(self) -> ComposeResult:
        keys = "{note-save}: save  {next-part}: next  {note-edit}: editor  {dialog-close}: cancel"
        yield Vertical(
            title_line(shortened(self.mark.title, _LONGEST_TITLE) or self.mark.key, ""),
            HeadLine(Span(keyed(keys), "faint")),
            labelled("Status", self.status),
            labelled("Tags", self.tags),
            labelled("Note", self.text),
            HeadLine(),
            Buttons("Save", "Cancel"),
            self.note,
        )

    def on_mount(self) -> None:
        self.text.focus()

    def entered(self) -> None:
        self.action_accept()

    def pressed(self, _: int) -> None:
        self.action_accept()

    def action_accept(self) -> None:
        status = _CHOICES[self.status.chosen]
        try:
            tags = tags_of(self.tags.value.split(","))
        except BioRetrievalError as error:
            self.complain(error.line(), self.tags)
            return
        note = self.text.value.replace(LINE_END, "\n")
        self.dismiss(
            replace(self.mark, status="" if status == "none" else status, tags=tags, note=note)
        )

    def action_edit(self) -> None:
        """Open the note in the editor; one that fails leaves it as it is."""
        from bioretrieval_tui.terminal.editor import edited_note

        note = self.text.value.replace(LINE_END, "\n")
        try:
            with self.app.suspend():
                made = edited_note(note, "type the note here")
        except SuspendNotSupported:
            self.complain("This terminal cannot be given to an editor: type here", self.text)
        except BioRetrievalError as error:
            self.complain(error.line(), self.text)
        else:
            self.text.put(made.replace("\n", LINE_END))
            self.text.focus()


class LetterDialog(Dialog[str]):
    """Answers a letter: under which to save a search, or of a saved one (`known` only)."""

    DEFAULT_CSS = "LetterDialog > Vertical { height: auto; }"

    def __init__(self, title: str, saved: Sequence[SavedSearch], *, known: bool) -> None:
        super().__init__()
        self.saved = {one.letter: one for one in saved}
        self.known = known
        self.head = title_line(title, "a letter or digit; {dialog-close}: cancel")
        self.page = Detail(lines=self._lines(), measure=200)

    def _lines(self) -> list[Line]:
        lines = []
        for one in self.saved.values():
            pane, what = saved_words(one)
            lines.append(line(Span(f" {one.letter}  ", "ok"), Span(f"{pane}  ", "dim"), what))
        return lines or [line(Span("Nothing is saved yet.", "faint"))]

    def compose(self) -> ComposeResult:
        yield Vertical(self.head, self.page, self.note)

    def on_mount(self) -> None:
        self.page.styles.height = min(len(self.page.lines), self.app.size.height * 7 // 10)
        self.page.focus()

    def on_key(self, event: events.Key) -> None:
        letter = event.character or ""
        if not (letter.isalnum() and len(letter) == 1):
            return
        event.stop()
        event.prevent_default()
        if self.known and letter not in self.saved:
            self.note.show(Span(f"Nothing is saved under {letter}", "error"))
        else:
            self.dismiss(letter)


def saved_words(search: SavedSearch) -> tuple[str, str]:
    """The title of the pane of a saved search, and the search in words."""
    from bioretrieval_tui.actions import MORE_PANES, PANES

    titles = {pane: title for pane, title, _ in PANES}
    titles |= {pane: title for pane, _, title in MORE_PANES}
    state = search.state
    names = ", ".join(state.get("indexes", "").split("\n"))
    parts = (state.get("query"), f"in {names}" if names else "",
             f"filter {state['filter']}" if state.get("filter") else "",
             f"by {state['sort']}" if state.get("sort") else "")  # fmt: skip
    return titles.get(search.pane, search.pane), "  ".join(filter(None, parts))
