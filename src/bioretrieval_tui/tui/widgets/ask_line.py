"""The line of Search: a line of input that knows earlier queries."""

from __future__ import annotations

from typing import ClassVar

from textual.message import Message

from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.earlier import Earlier
from bioretrieval_tui.tui.widgets.query_line import QueryLine


class AskLine(QueryLine):
    """A query line whose up and down walk through earlier queries; down leaves at the newest."""

    BINDINGS: ClassVar = bindings("ask")

    class NoneFound(Message):
        """There is no earlier query like that."""

    def __init__(self, placeholder: str, id: str | None = None) -> None:  # noqa: A002
        super().__init__(placeholder, id)
        self.earlier = Earlier()

    def _watch_value(self, value: str) -> None:
        super()._watch_value(value)
        self.earlier.typed(value)

    def action_earlier(self) -> None:
        """up."""
        self._put(self.earlier.older(self.value))

    def action_later(self) -> None:
        """down."""
        newer = self.earlier.newer()
        if newer is None:
            self.action_leave(1)
        else:
            self._put(newer)

    def action_recall(self) -> None:
        """ctrl+r."""
        self._put(self.earlier.containing(self.value))

    def _put(self, query: str | None) -> None:
        if query is None:
            self.post_message(self.NoneFound())
            return
        self.value = query
        self.cursor_position = len(query)
