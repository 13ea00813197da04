"""Get started: five steps, each with its commands, its entries and a mark that stays."""

from __future__ import annotations

from typing import ClassVar

from bioretrieval_tui.catalog.entries import AnyEntry, Step
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.screens.browse import BrowsePane
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.headline import HeadLine


class StartPane(BrowsePane):
    """The learning path."""

    BINDINGS = bindings("start")
    SCOPES: ClassVar[tuple[str, ...]] = ("start", "list", "browse", "everywhere")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.done: frozenset[str] = frozenset()

    def on_mount(self) -> None:
        """Read the marks, then fill the list."""
        try:
            self.done = self.owner.library.done()
        except BioRetrievalError as error:
            # Once the pane is shown: showing it brings back the key hints.
            self.call_after_refresh(self.owner.say, error.line(), "error")
        super().on_mount()

    def mark(self, step: AnyEntry) -> str:
        """Done or not."""
        return "[x]" if step.id in self.done else "[ ]"

    def action_done(self) -> None:
        """Mark the step as done, or not."""
        entry = self.current
        if entry is None:
            return
        now_done = entry.id not in self.done
        try:
            self.owner.library.set_done(entry.id, now_done)
        except BioRetrievalError as error:
            self.owner.say(error.line(), "error")
            return
        self.done = self.done | {entry.id} if now_done else self.done - {entry.id}
        self.table.update()
        self.head()

    def action_copy_command(self) -> None:
        """Copy the first command of the step."""
        entry = self.current
        if isinstance(entry, Step) and entry.commands:
            self.owner.copy_text(entry.commands[0], "command")
        else:
            self.owner.say("This step has no command")

    def head(self) -> None:
        super().head()
        if not self.problem and not self.letters and not self.expression:
            steps = [entry.id for entry in self.entries]
            done = sum(step in self.done for step in steps)
            self.query_one(HeadLine).show(
                Span(self.title_text, "strong"), Span(f"  {done} of {len(steps)} done", "dim")
            )
