"""The page beside a list (or alone), with the keys that scroll it."""

from __future__ import annotations

from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.widgets.document import DocumentView


class Detail(DocumentView):
    """The page beside the list; scrolls by its own keys when it has the focus."""

    BINDINGS = bindings("detail")

    def action_scroll_lines(self, by: int) -> None:
        """j, k."""
        self.scroll_by(by)

    def action_scroll_half(self, by: int) -> None:
        """ctrl+d, ctrl+u."""
        self.scroll_by(by * max(1, self.size.height // 2))

    def action_scroll_edge(self, to: int) -> None:
        """g, G."""
        self.scroll_by(to * 1_000_000)
