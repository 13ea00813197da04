"""One line of input, without Textual's blinking cursor and without keys that tmux keeps."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding
from textual.message import Message
from textual.widgets import Input

from bioretrieval_tui.terminal.clean import clean
from bioretrieval_tui.tui.bindings import bindings


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
    QueryLine > .input--placeholder { color: $foreground 60%; }
    QueryLine:ansi > .input--placeholder { color: ansi_default; text-style: dim; }
    """
    BINDINGS: ClassVar = [
        Binding("left", "cursor_left", show=False),
        Binding("right", "cursor_right", show=False),
        Binding("ctrl+left", "cursor_left_word", show=False),
        Binding("ctrl+right", "cursor_right_word", show=False),
        Binding("home", "home", show=False),
        Binding("end,ctrl+e", "end", show=False),
        Binding("backspace", "delete_left", show=False),
        Binding("delete,ctrl+d", "delete_right", show=False),
        Binding("ctrl+w", "delete_left_word", show=False),
        Binding("ctrl+u", "delete_left_all", show=False),
        Binding("ctrl+k", "delete_right_all", show=False),
        Binding("down", "leave(1)", show=False),
        Binding("up", "leave(-1)", show=False),
        *bindings("line"),
    ]

    class Cancelled(Message):
        """Escape was pressed."""

        def __init__(self, line: QueryLine) -> None:
            super().__init__()
            self.line = line

        @property
        def control(self) -> QueryLine:
            return self.line

    class Left(Message):
        """Down or up was pressed: the list below should move."""

        def __init__(self, line: QueryLine, by: int) -> None:
            super().__init__()
            self.line = line
            self.by = by

        @property
        def control(self) -> QueryLine:
            return self.line

    def __init__(self, placeholder: str, id: str | None = None) -> None:  # noqa: A002
        super().__init__(placeholder=placeholder, id=id, max_length=20_000, select_on_focus=False)
        self.cursor_blink = False

    def validate_value(self, value: str) -> str:
        """What is pasted comes from anywhere: nothing in it may act on the terminal."""
        return clean(value)

    async def action_accept(self) -> None:
        """Enter."""
        await self.action_submit()

    def action_cancel(self) -> None:
        """Escape."""
        self.post_message(self.Cancelled(self))

    def action_leave(self, by: int) -> None:
        """Down, up."""
        self.post_message(self.Left(self, by))
