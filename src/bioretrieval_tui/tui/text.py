"""Spans, lines and their wrapping, without widgets.

All text of the catalogue, of files and of indexes becomes strips for the terminal here, and is
cleaned here, and nowhere else in the app.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from bioretrieval_tui.terminal.clean import clean, safe_url
from bioretrieval_tui.tui.themes import Look
from bioretrieval_tui.util.formatting import sparkline


class Span(msgspec.Struct, frozen=True):
    """A run of text in one role; `url` makes it a link, `jump` is the id of the entry it names."""

    text: str
    role: str = "text"
    url: str | None = None
    jump: str = ""


class Line(msgspec.Struct, frozen=True):
    """A paragraph before wrapping: `indent` cells before the first row, `hang` before others."""

    spans: tuple[Span, ...] = ()
    indent: int = 0
    hang: int = 0


def line(*parts: Span | str, indent: int = 0, hang: int | None = None) -> Line:
    """A `Line` of spans; plain strings are text."""
    spans = tuple(part if isinstance(part, Span) else Span(part) for part in parts)
    return Line(spans, indent, indent if hang is None else hang)


Row = tuple[Span, ...]
_YEAR_WIDTH = 4


def unbroken(text: str, between: str = "  ") -> str:
    """The text with no-break spaces within its parts, such as a sign with its meaning."""
    return between.join(part.replace(" ", "\xa0") for part in text.split(between))


def _words(text: str, width: int) -> Iterator[str]:
    """Words and the spaces between them; what no-break spaces join is one word if it fits."""
    for word in re.findall(r"[^\S\xa0]+|[\S\xa0]+", text):
        if "\xa0" in word and cell_len(word) > width:
            yield from re.findall(r"\s+|\S+", word)
        else:
            yield word.replace("\xa0", " ")


def wrap(item: Line, width: int) -> list[Row]:
    """The rows of one line at `width` cells: broken at spaces, long words cut."""
    rows: list[Row] = []
    current: list[Span] = []
    space = max(1, width - item.indent)
    used = 0
    pad = item.indent

    def finish() -> None:
        nonlocal current, used, pad, space
        rows.append((Span(" " * pad), *current) if pad else tuple(current))
        current, used, pad = [], 0, item.hang
        space = max(1, width - item.hang)

    for span in item.spans:
        for word in _words(clean(span.text), space):
            size = cell_len(word)
            if used + size > space and used:
                if word.isspace():
                    continue
                finish()
            while size > space:
                head = set_cell_size(word, space)
                current.append(Span(head, span.role, span.url, span.jump))
                word = word[len(head.rstrip()) :] if not head.isspace() else ""
                size = cell_len(word)
                finish()
            # A row does not begin with the spaces at which the one before it ended.
            if word and (used or not rows or not word.isspace()):
                current.append(Span(word, span.role, span.url, span.jump))
                used += size
    finish()
    return rows


def layout(lines: Iterable[Line], width: int) -> list[Row]:
    """All rows of a page at `width` cells."""
    return [row for item in lines for row in wrap(item, width)]


def strip(row: Iterable[Span], width: int, look: Look, *, under: str | None = None) -> Strip:
    """One row as a strip of exactly `width` cells.

    under: role of a cursor, whose background and attributes the whole row takes.
    """
    base = look.style("text")
    over = look.style(under) if under else None
    segments: list[Segment] = []
    used = 0
    for span in row:
        text = clean(span.text)
        size = cell_len(text)
        if used + size > width:
            text = set_cell_size(text, max(0, width - used))
            size = width - used
        if not text:
            continue
        style = _style(look, span, over)
        if segments and segments[-1].style == style:
            segments[-1] = Segment(segments[-1].text + text, style)
        else:
            segments.append(Segment(text, style))
        used += size
        if used >= width:
            break
    if used < width:
        segments.append(Segment(" " * (width - used), base + over if over else base))
    return Strip(segments, width)


def _style(look: Look, span: Span, over: Style | None) -> Style:
    style = look.style(span.role)
    if over is not None:
        # The cursor sets the background; the span keeps its colour unless the cursor reverses.
        color, dim = (over.color, False) if over.reverse else (None, None)
        style += Style(
            color=color, bgcolor=over.bgcolor, bold=over.bold, dim=dim, reverse=over.reverse
        )
        if over.underline:
            style += Style(underline=True)
    return _linked(style, span.url) if span.url else style


@lru_cache(maxsize=2048)
def _linked(style: Style, url: str) -> Style:
    """`style` as an OSC 8 link, if the address is safe to open.

    Cached, because Rich gives each new link style a random id, and equal rows would differ.
    """
    safe = safe_url(url)
    return style + Style(link=safe) if safe else style


def cells(row: Iterable[Span]) -> int:
    """The width of a row."""
    return sum(cell_len(clean(span.text)) for span in row)


def clipped(row: Row, width: int) -> Row:
    """The spans that fit into `width` cells; the last one is cut with an ellipsis."""
    out, left = [], width
    for span in row:
        text = clean(span.text)
        size = cell_len(text)
        out.append(Span(fit(text, min(size, left)), span.role, span.url))
        left -= size
        if left <= 0:
            break
    return tuple(out)


def fit(text: str, width: int, align: str = "left") -> str:
    """`text` in exactly `width` cells, with an ellipsis where it is cut."""
    text = clean(text)
    size = cell_len(text)
    if size > width:
        return set_cell_size(text, width - 1) + "…" if width > 1 else set_cell_size(text, width)
    pad = " " * (width - size)
    return pad + text if align == "right" else text + pad


def publications(years: Iterable[int | None], width: int) -> Row:
    """How many publications each year has: bars from the first year to the last, then the numbers,
    or the largest one where they are too many. Empty without a year."""
    counts = Counter(filter(None, years))
    if not counts:
        return ()
    first, last = min(counts), max(counts)
    numbers = [counts[year] for year in range(first, last + 1)]
    top = max(counts, key=lambda year: (counts[year], year))
    forms = (" ".join(map(str, numbers)), f"most in {top}: {counts[top]}", f"max {counts[top]}")
    free = width - 2 * (_YEAR_WIDTH + 1) - 2
    said = next((form for form in forms if len(numbers) + len(form) <= free), forms[-1])
    bars = sparkline(numbers, free - len(said))
    ends = (Span(f"{first} ", "dim"), Span(f" {last}  ", "dim"))
    return ends[0], Span(bars, "gauge"), ends[1], Span(said, "dim")
