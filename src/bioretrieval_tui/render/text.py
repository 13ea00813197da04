"""The two shapes of text that every format starts from, both cleaned of control bytes."""

from __future__ import annotations

from bioretrieval_tui.terminal.clean import clean


def one_line(text: str) -> str:
    """`text` without control bytes and with every run of white space as one space."""
    return " ".join(clean(text).split())


def shortened(text: str, length: int = 100) -> str:
    """The beginning of `text` on one line, cut between words, "…" included in `length`."""
    text = one_line(text)
    if len(text) <= length:
        return text
    head = text[: length - 1]
    # A cut within the last word drops that word, unless it is all there is.
    if not text[length - 1].isspace() and " " in head:
        head = head[: head.rindex(" ")]
    return head.rstrip(" ,;:.") + "…"
