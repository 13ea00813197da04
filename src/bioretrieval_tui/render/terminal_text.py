"""Tables and pages for a terminal: cut or wrapped to its width, with colours and OSC 8 links where
it has them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from bioretrieval_tui.render.page import Fact, Group, Page, Prose, Text, is_empty
from bioretrieval_tui.render.sheet import Column, Sheet, Shown, face, one_line, readable
from bioretrieval_tui.terminal.clean import clean, safe_url

MARK = "?"
"""Follows an unverified value."""
GAP = 2
"""Spaces between two columns."""
WIDEST = 100
"""Cells of a line of a page: longer ones are hard to read, however wide the terminal."""
_BOLD, _HEADING, _CODE, _CAUTION = "1", "1;35", "36", "33"
_STYLES = {"strong": _BOLD, "code": _CODE}


def _signs(seen: Shown) -> str:
    """What follows a value."""
    return seen.mark + (MARK if seen.unverified else "") if seen.text else ""


def _painted(text: str, style: str = "", url: str | None = None) -> str:
    text = f"\x1b[{style}m{text}\x1b[0m" if style and text else text
    return f"\x1b]8;;{url}\x1b\\{text}\x1b]8;;\x1b\\" if url and text else text


# Tables ---------------------------------------------------------------------------------------


def render(
    sheet: Sheet, *, width: int | None = None, colour: bool = False, links: bool = False
) -> Iterator[str]:
    """Heading and rows, a line each; where columns did not fit, a last line that names them. width:
    cells that a line may take, None for as many as the content needs; colour: use bold and the
    terminal's sixteen colours; links: make each cell that leads somewhere an OSC 8 link."""
    places = readable(sheet)
    columns = [sheet.columns[place] for place in places]
    titles = [one_line(column.title) for column in columns]
    rows = [[face(row[place]) for place in places] for row in sheet.rows]
    natural = [cells(title) for title in titles]
    for row in rows:
        taken = (cells(seen.text) + len(_signs(seen)) for seen in row)
        natural = list(map(max, natural, taken))
    widths = fit(columns, natural, width)

    def cell(seen: Shown, width: int) -> tuple[str, str]:
        """The text within `width`, plain and painted; a mark is never cut."""
        mark = _signs(seen) if width > 1 else ""
        text = cut(seen.text, width - len(mark))
        style = _BOLD if colour and seen.emphasis == "best" else ""
        painted = _painted(text, style, seen.url if links else None)
        return text + mark, painted + _painted(mark, _CAUTION if colour else "")

    if columns:
        heads = [cut(title, width) for title, width in zip(titles, widths, strict=False)]
        bold = _BOLD if colour or links else ""
        yield _line(columns, widths, [(head, _painted(head, bold)) for head in heads])
        if not bold:
            yield _line(columns, widths, [("-" * width, "-" * width) for width in widths])
    for row in rows if columns else ():
        yield _line(columns, widths, list(map(cell, row, widths)))
    if len(widths) < len(columns):
        missing = f"not shown at this width: {', '.join(titles[len(widths) :])}"
        yield cut(missing, max(1, width or 1)) + "\n"


def _line(
    columns: Sequence[Column], widths: Sequence[int], texts: Sequence[tuple[str, str]]
) -> str:
    padded = []
    for column, width, (text, painted) in zip(columns, widths, texts, strict=False):
        space = " " * (width - cells(text))
        padded.append(space + painted if column.align == "right" else painted + space)
    return (" " * GAP).join(padded).rstrip() + "\n"


def cells(text: str) -> int:
    """Terminal cells that `text` takes: two for wide characters, none for combining marks."""
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def _cells_of(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, width: int) -> str:
    """`text` in at most `width` cells; what is cut ends with "…"."""
    if cells(text) <= width:
        return text
    if width < 1:
        return ""
    left, end = width - 1, 0
    while (left := left - _cells_of(text[end])) >= 0:
        end += 1
    return text[:end].rstrip() + "…"


def fit(columns: Sequence[Column], natural: Sequence[int], width: int | None) -> list[int]:
    """Widths of the leading columns that fit; columns from the right are left out when too few.

    columns: the shown columns; natural: cells of the widest content of each, heading included;
    width: cells in all, None for no limit.

    Returns one width for each column that is kept, at least one; with the gaps they take at most
    `width`. Right-aligned columns are never narrower than their content, since a cut number is
    another number.
    """
    if width is None:
        return list(natural)
    width = max(1, width)
    widths = [
        full if column.align == "right" else min(full, column.min_width)
        for column, full in zip(columns, natural, strict=True)
    ]
    while len(widths) > 1 and sum(widths) + GAP * (len(widths) - 1) > width:
        widths.pop()
    if len(widths) == 1:
        return [min(natural[0], width)]
    # The spare cells go to the columns that can use them, in proportion to their weights.
    spare = width - sum(widths) - GAP * (len(widths) - 1)
    while open_ := [i for i, taken in enumerate(widths) if taken < natural[i] and spare > 0]:
        total = sum(max(1, columns[i].weight) for i in open_)
        given = 0
        for i in open_:
            share = max(1, spare * max(1, columns[i].weight) // total)
            share = min(share, natural[i] - widths[i], spare - given)
            widths[i] += share
            given += share
        spare -= given
    return widths


# Pages ----------------------------------------------------------------------------------------

_Run = tuple[str, str, str | None]
"""Text, its style, and the address that it leads to."""


def page_text(page: Page, *, width: int, colour: bool, links: bool) -> Iterator[str]:
    """The page in lines of at most `width` cells (and `WIDEST`); without links, addresses are
    written behind their texts."""
    width = max(1, min(width, WIDEST))

    def wrapped(runs: Iterable[_Run], lead: str = "") -> Iterator[str]:
        shown = ((text, style if colour else "", url) for text, style, url in runs)
        return _wrapped(shown, width, lead)

    yield from wrapped([(clean(page.title), _BOLD, None)])
    byline = [list(_runs(part, links)) for part in page.byline]
    byline += [[(clean(badge), "", None)] for badge in page.badges]
    for runs in (_joined(byline, " · "), list(_runs(page.summary, links))):
        yield from ("\n", *wrapped(runs)) if runs else ()
    for section in page.sections:
        if is_empty(section):
            continue
        if section.title:
            yield from ("\n", *wrapped([(clean(section.title), _HEADING, None)]))
        yield "\n"
        if isinstance(section, Group):
            for item in section.facts:
                for lead, runs in _fact(item, links):
                    yield from wrapped(runs, lead)
        elif isinstance(section, Prose):
            for number, paragraph in enumerate(section.paragraphs, 1):
                lead = {"plain": "", "bullets": " • ", "numbers": f" {number} "}[section.style]
                yield from ("\n",) if not lead and number > 1 else ()
                yield from wrapped(_runs(paragraph, links), lead)
        else:
            yield from render(section, width=width, colour=colour, links=links)


def paragraph(text: str, width: int) -> Iterator[str]:
    """`text` in lines of at most `width` cells."""
    return _wrapped([(clean(text), "", None)], max(1, width), "")


def _fact(item: Fact, links: bool) -> Iterator[tuple[str, list[_Run]]]:
    """The lines of a fact, each with its bullet."""
    label: _Run = (clean(item.label), _BOLD, None)
    mark: _Run = ("" if item.status == "confirmed" else f" ({item.status})", "", None)
    values = [list(_runs(value, links)) for value in item.values]
    if item.listed:
        yield " • ", [label, mark, (":", "", None)]
        yield from (("    • ", value) for value in values)
    else:
        yield " • ", [label, (": ", "", None), *_joined(values, item.between), mark]


def _joined(parts: Sequence[Sequence[_Run]], between: str) -> list[_Run]:
    runs: list[_Run] = []
    for part in parts:
        runs += [(between, "", None), *part] if runs else part
    return runs


def _runs(parts: Text, links: bool) -> Iterator[_Run]:
    for part in parts:
        text = clean(part.text) if part.role != "gauge" else ""
        url = safe_url(part.url) if part.url else None
        yield text, _STYLES.get(part.role, ""), url if links else None
        if part.jump:
            yield f" ({part.jump})", _CODE, None
        elif url and not links and url != text:
            yield f" ({url})", "", None


def _wrapped(runs: Iterable[_Run], width: int, lead: str) -> Iterator[str]:
    """Lines of at most `width` cells: the first after `lead`, the others indented as far."""
    space = max(1, width - cells(lead))
    line, used = "", 0
    for word in _words(runs, space):
        size = sum(cells(text) for text, _, _ in word)
        gap = " " if used else ""
        if used and used + 1 + size > space:
            yield f"{lead}{line}\n"
            lead, line, used, gap = " " * cells(lead), "", 0, ""
        line += gap + "".join(_painted(*piece) for piece in word)
        used += len(gap) + size
    yield f"{lead}{line}".rstrip() + "\n"


def _words(runs: Iterable[_Run], space: int) -> Iterator[list[_Run]]:
    """The words, of one or several runs; one of more than `space` cells comes in pieces."""
    word: list[_Run] = []
    for text, style, url in (*runs, (" ", "", None)):
        for piece in re.findall(r"\s+|\S+", text):
            if not piece.isspace():
                step = space if piece.isascii() else max(1, space // 2)
                starts = range(0, len(piece), step)
                word += [(piece[at : at + step], style, url) for at in starts]
            elif word:
                fits = sum(cells(text) for text, _, _ in word) <= space
                yield from [word] if fits else ([one] for one in word)
                word = []
