"""Fields: lines of input (one with a history of queries), one of many on a line, buttons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.message import Message
from textual.widgets import Input

from bioretrieval_tui.actions import Action, in_scope
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.terminal.clean import clean
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.text import Row, Span
from bioretrieval_tui.tui.widgets.canvas import Canvas


class QueryLine(Input, inherit_bindings=False):
    """A prompt line. Posts `Cancelled` on escape; `Input.Changed` and `Submitted` as usual."""

    DEFAULT_CSS = """
    QueryLine, QueryLine:focus, QueryLine.-invalid, QueryLine.-invalid:focus {
        height: 1; border: none; padding: 0 1; background: $surface; color: $foreground;
        background-tint: $surface 0%;
    }
    QueryLine:ansi > .input--cursor {
        color: ansi_default; background: ansi_default; text-style: reverse;
    }
    QueryLine > .input--selection { color: $background; background: $primary; }
    QueryLine:ansi > .input--selection {
        color: ansi_default; background: ansi_default; text-style: reverse;
    }
    QueryLine > .input--placeholder, QueryLine > .input--suggestion { color: $foreground 70%; }
    QueryLine:ansi > .input--placeholder, QueryLine:ansi > .input--suggestion {
        color: ansi_default; text-style: dim;
    }
    """
    BINDINGS: ClassVar = bindings("editing", "line")

    SCOPES: ClassVar[tuple[str, ...]] = ("line",)
    """Scopes of the registry whose keys it takes."""
    MOST_CHARACTERS: ClassVar[int] = 20_000

    class AtLine(Message):
        """Base of the messages of a line."""

        def __init__(self, line: QueryLine, by: int = 0) -> None:
            super().__init__()
            self.line = line
            self.by = by

        @property
        def control(self) -> QueryLine:
            return self.line

    class Cancelled(AtLine):
        """Escape was pressed."""

    class Left(AtLine):
        """Down (`by` 1) or up (-1) was pressed: the list below should move."""

    class Joined(AtLine):
        """So many lines (`by`) were pasted, and are one now."""

    def __init__(self, placeholder: str, value: str = "", *, id: str | None = None) -> None:  # noqa: A002
        most = self.MOST_CHARACTERS
        super().__init__(value, placeholder, id=id, max_length=most, select_on_focus=False)
        self.cursor_blink = False

    @property
    def scopes(self) -> tuple[str, ...]:
        """Its scopes; in a dialog a plain line is a field among others."""
        return ("field",) if self.screen.is_modal and self.SCOPES == ("line",) else self.SCOPES

    @property
    def keys(self) -> list[Action]:
        """The keys of its scopes, as a footer shows them."""
        return [action for scope in self.scopes for action in in_scope(scope)]

    def resume(self) -> None:
        """Focus it with its text selected: typing replaces it, an arrow key or `end` keeps it."""
        self.focus()
        self.select_all()

    def put(self, text: str) -> None:
        """Replace the text, with the cursor at its end."""
        self.value = text
        self.cursor_position = len(text)

    def validate_value(self, value: str) -> str:
        """Clean pasted text: nothing in it may act on the terminal."""
        return clean(value)

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()  # Textual inserts the first line
        self.paste(event.text)

    def paste(self, pasted: str) -> None:
        """Insert a text whole, its lines joined. Raises UsageError if it does not fit."""
        # Terminals send the end of a line as \r.
        whole = pasted.replace("\r\n", "\n").replace("\r", "\n")
        first, *others = clean(whole, newlines=True).split("\n")
        lines = [line.strip() for line in (first, *others)] if others else [first]
        lines = list(filter(None, lines))
        text = " ".join(lines)
        start, end = sorted(self.selection)
        if len(self.value) - (end - start) + len(text) > self.MOST_CHARACTERS:
            raise UsageError(
                f"The paste has {len(text):,} characters, and the line holds"
                f" {self.MOST_CHARACTERS:,}: nothing was inserted"
            )
        self.replace(text, start, end)
        if len(lines) > 1:
            self.post_message(self.Joined(self, len(lines)))

    def action_cancel(self) -> None:
        self.post_message(self.Cancelled(self))

    def action_leave(self, by: int) -> None:
        self.post_message(self.Left(self, by))


class AskLine(QueryLine):
    """A query line whose up and down walk through earlier queries; down leaves at the newest."""

    BINDINGS: ClassVar = bindings("ask")
    SCOPES = ("ask",)

    class NoneFound(Message):
        """There is no earlier query like that."""

    MOST = 200

    def __init__(self, placeholder: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(placeholder, id=id)
        self.queries: list[str] = []
        """Earlier queries, newest first."""
        self._at = -1
        """The one that the line holds; -1 for a draft."""
        self._draft = ""

    def load(self, queries: Iterable[str]) -> None:
        """Append the queries of earlier sessions, newest first."""
        self.queries = list(dict.fromkeys([*self.queries, *queries]))[: self.MOST]

    def remember(self, query: str) -> bool:
        """Keep a query as the newest one; False if it is that already."""
        self._at = -1
        if self.queries[:1] == [query]:
            return False
        self.queries = [query, *(one for one in self.queries if one != query)][: self.MOST]
        return True

    def _watch_value(self, value: str) -> None:
        super()._watch_value(value)
        if self._at >= 0 and self.queries[self._at] != value:
            self._at = -1  # another text restarts the walk

    def action_earlier(self) -> None:
        self._recall("")

    def action_later(self) -> None:
        if self._at < 0:
            self.action_leave(1)
            return
        self._at -= 1
        self.put(self._draft if self._at < 0 else self.queries[self._at])

    def action_recall(self) -> None:
        """Put the next older query that contains the draft, ignoring case, into the line."""
        self._recall((self.value if self._at < 0 else self._draft).strip().casefold())

    def _recall(self, sought: str) -> None:
        for at, query in enumerate(self.queries[self._at + 1 :], self._at + 1):
            if query != self.value and sought in query.casefold():
                if self._at < 0:
                    self._draft = self.value
                self._at = at
                self.put(query)
                return
        self.post_message(self.NoneFound())


class Buttons(Canvas, can_focus=True):
    """Labels in a row; left and right move between them, enter or a click presses one."""

    DEFAULT_CSS = "Buttons { height: 1; }"
    BINDINGS: ClassVar = bindings("buttons")

    class Pressed(Message):
        """A button was pressed; index: its position in the row."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, *labels: str, chosen: int = 0) -> None:
        super().__init__()
        self.labels = labels
        self.chosen = chosen

    def action_choose(self, by: int) -> None:
        self.chosen = max(0, min(self.chosen + by, len(self.labels) - 1))
        self.update()

    def action_press(self) -> None:
        self.post_message(self.Pressed(self.chosen))

    def on_click(self, event: events.Click) -> None:
        start = 1
        for index, label in enumerate(self.labels):
            end = start + len(label) + 4
            if start <= event.x < end:
                self.post_message(self.Pressed(index))
            start = end + 2

    def row_spans(self) -> Sequence[Row]:
        """One line; brackets mark the chosen button without colour too."""
        row = [Span(" ")]
        for index, label in enumerate(self.labels):
            chosen = index == self.chosen and self.has_focus
            text = f"[ {label} ]" if chosen else f"  {label}  "
            row += [Span(text, "bar.active" if chosen else "button"), Span("  ")]
        return [tuple(row)]


class Stepper(Canvas, can_focus=True):
    """One of many on one line; left, right and a click step through them, and wrap around.

    choices: (label, note) of each.
    """

    DEFAULT_CSS = "Stepper { height: 1; }"
    BINDINGS: ClassVar = bindings("choice")

    class Changed(Message):
        """Another one was chosen."""

    def __init__(self, choices: Sequence[tuple[str, str]], chosen: int = 0) -> None:
        super().__init__()
        self.choices = choices
        self.chosen = chosen

    def action_step(self, by: int) -> None:
        self.chosen = (self.chosen + by) % len(self.choices)
        self.update()
        self.post_message(self.Changed())

    def on_click(self) -> None:
        self.action_step(1)

    def row_spans(self) -> Sequence[Row]:
        """The chosen one between arrows, its number, and its note."""
        label, note = self.choices[self.chosen]
        arrow, role = ("ok", "cursor") if self.has_focus else ("faint", "strong")
        number = f"  {self.chosen + 1} of {len(self.choices)}"
        shown = (Span("◀ ", arrow), Span(label, role), Span(" ▶", arrow), Span(number, "faint"))
        free = self.size.width - sum(cell_len(span.text) for span in shown) - 2
        return [(*shown, Span(f"  {note}" if cell_len(note) <= free else "", "dim"))]
