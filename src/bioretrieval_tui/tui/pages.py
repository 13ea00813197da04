"""Names that moved to `tui.spans` and `render.entries`."""

from __future__ import annotations

from bioretrieval_tui.tui.markdown import inline
from bioretrieval_tui.tui.spans import LABEL, PaintedPage, status_mark
from bioretrieval_tui.tui.text import Line, Span, line

Page = PaintedPage

__all__ = ["LABEL", "Page", "fact"]


def fact(label: str, value: str, status: str = "confirmed") -> Line:
    """A label in its column and a value that wraps beside it."""
    gap = " " * max(1, LABEL - len(label))
    return line(Span(label, "dim"), gap, *inline(value), status_mark(status), hang=LABEL)
