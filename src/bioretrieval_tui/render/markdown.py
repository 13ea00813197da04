"""Markdown: a heading and a pipe table, and the escaping of all Markdown that is written.

Text from the catalogue makes no link, no HTML, no emphasis and no new cell. Bare addresses in it
are escaped too, so that the only links are those written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from bioretrieval_tui.render.sheet import Cell, Sheet, face, one_line, readable

UNVERIFIED = " (unverified)"

_INLINE = re.compile(
    r"[\\`*\[\]<|~$]"
    # An underscore within a word is no emphasis, and hub ids are full of them.
    r"|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])"
    r"|&(?=#?\w+;)"  # an entity such as &lt;
    r"|:(?=//)"
    r"|(?<=\bwww)\.(?=\w)",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?=#?\w+;)")
_LEADING = re.compile(r"^(?:>|[#+\-=:](?!\d)|\d{1,9}(?=[.)](?:\s|$)))")
# What may not stand in a link's destination, a backslash and a pipe above all.
_IN_DESTINATION = re.compile(r'[\s()<>|\\"`{}^\[\]]')


def escape(text: str) -> str:
    """`text` on one line, with a backslash before everything that has a meaning in Markdown."""
    text = _INLINE.sub(r"\\\g<0>", one_line(text))
    return _LEADING.sub(lambda m: f"{m[0]}\\" if m[0][0].isdigit() else f"\\{m[0]}", text)


def code(text: str) -> str:
    """`text` as a code span, with a fence longer than any run of backticks in it."""
    text = one_line(text)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or not text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def link(text: str, url: str | None) -> str:
    """A link, its text escaped; the text alone where there is no address. url: an address that
    `terminal.clean.safe_url` let through."""
    if url and text == url:
        return f"<{_destination(url)}>"
    return _linked(escape(text), url)


def _linked(markup: str, url: str | None) -> str:
    return f"[{markup}]({_destination(url)})" if url and markup else markup


def _destination(url: str) -> str:
    url = _IN_DESTINATION.sub(lambda found: f"%{ord(found.group()):02X}", url)
    return _ENTITY.sub("&amp;", url)


def cell(value: Cell) -> str:
    seen = face(value)
    text = _linked(escape(seen.text), seen.url)
    if text and seen.emphasis == "best":
        text = f"**{text}**"
    text += escape(seen.mark)
    return text + UNVERIFIED if seen.unverified and text else text


def table(sheet: Sheet) -> Iterator[str]:
    """The pipe table alone, a line at a time, every line with the same number of cells."""
    places = readable(sheet)
    columns = [sheet.columns[place] for place in places]
    lines = chain(
        [[escape(column.title) for column in columns]],
        [["---:" if column.align == "right" else "---" for column in columns]],
        ([cell(row[place]) for place in places] for row in sheet.rows),
    )
    return (f"| {' | '.join(cells)} |\n" for cells in lines)


def render(sheet: Sheet) -> Iterator[str]:
    """The sheet's title as a heading, the table, the note; empty lines between them."""
    if sheet.title:
        yield f"# {escape(sheet.title)}\n\n"
    yield from table(sheet)
    if sheet.note:
        yield f"\n{escape(sheet.note)}\n"
