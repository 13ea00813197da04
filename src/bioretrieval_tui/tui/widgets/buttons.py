"""Two widgets for choices: buttons in a row, and one of many on a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding
from textual.message import Message

from bioretrieval_tui.tui.text import Row, Span
from bioretrieval_tui.tui.widgets.canvas import Canvas


class Buttons(Canvas, can_focus=True):
    """Labels in a row; left and right move between them, enter or a click presses one."""

    DEFAULT_CSS = "Buttons { height: 1; }"
    BINDINGS: ClassVar = [
        Binding("left,h", "choose(-1)", show=False),
        Binding("right,l", "choose(1)", show=False),
        Binding("enter,space", "press", show=False),
    ]

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
        """A click presses a button."""
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
            row += [Span(text, "bar.active" if chosen else "bar"), Span("  ")]
        return [tuple(row)]


class Stepper(Canvas, can_focus=True):
    """One of many on one line; left, right and a click step through them, and wrap around.

    choices: (label, note) of each.
    """

    DEFAULT_CSS = "Stepper { height: 1; }"
    BINDINGS: ClassVar = [
        Binding("left,h", "step(-1)", show=False),
        Binding("right,l,space", "step(1)", show=False),
    ]

    def __init__(self, choices: Sequence[tuple[str, str]], chosen: int = 0) -> None:
        super().__init__()
        self.choices = choices
        self.chosen = chosen

    def action_step(self, by: int) -> None:
        self.chosen = (self.chosen + by) % len(self.choices)
        self.update()

    def on_click(self) -> None:
        self.action_step(1)

    def row_spans(self) -> Sequence[Row]:
        """The chosen one between arrows, its number, and its note."""
        label, note = self.choices[self.chosen]
        arrow, role = ("ok", "cursor") if self.has_focus else ("faint", "strong")
        number = f"  {self.chosen + 1} of {len(self.choices)}"
        return [(Span("◀ ", arrow), Span(label, role), Span(" ▶", arrow), Span(number, "faint"),
                 Span(f"  {note}", "dim"))]  # fmt: skip
