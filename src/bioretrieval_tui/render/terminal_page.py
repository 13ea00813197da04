"""A markdown page set for a terminal. Imports rich, so it is itself imported within a function.

Everything that rich would guess from the environment is said here, so that the same page at the
same width is the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Heading, Markdown, TableElement
from rich.style import Style
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from bioretrieval_tui.render.sheet import Column
from bioretrieval_tui.render.terminal_table import GAP, cut, fit

WIDEST = 100
"""Longer lines are hard to read, however wide the terminal."""

# rich numbers its links by the clock.
_LINK_NUMBER = re.compile("\x1b]8;id=[^;\x1b]*;")
_THEME = Theme(
    {
        "markdown.h1": Style(bold=True),
        "markdown.h2": Style(bold=True, color="magenta"),
        "markdown.code": Style(color="cyan"),
        "markdown.link_url": Style(underline=True),
        "markdown.table.header": Style(bold=True),
    }
)


def laid_out(page: str, *, width: int, colour: bool, links: bool) -> Iterator[str]:
    """The page in lines of at most `width` cells (and `WIDEST`), each ending with a newline."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=max(1, min(width, WIDEST)),
        height=25,
        force_terminal=colour or links,
        force_jupyter=False,
        legacy_windows=False,
        color_system="standard" if colour or links else None,
        no_color=not colour,
        highlight=False,
        theme=_THEME,
        _environ={},
    )
    console.print(_Page(page, hyperlinks=links))
    for line in _LINK_NUMBER.sub("\x1b]8;;", out.getvalue()).split("\n")[:-1]:
        yield line.rstrip() + "\n"


class _LeftHeading(Heading):
    LEVEL_ALIGN = dict.fromkeys(Heading.LEVEL_ALIGN, "left")


class _NarrowTable(TableElement):
    """A line a row: cut where it must be, numbers never, the last columns left out first."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        head = self.header.row.cells if self.header and self.header.row else []
        rows = [[one.content for one in row.cells] for row in self.body.rows] if self.body else []
        titles = [one.content.plain for one in head]
        columns = [
            Column(title, title, "right" if one.justify == "right" else "left")
            for title, one in zip(titles, head, strict=True)
        ]
        natural = [
            max([len(title), *(row[i].cell_len for row in rows)]) for i, title in enumerate(titles)
        ]
        widths = fit(columns, natural, options.max_width)
        table = Table(box=None, pad_edge=False, padding=(0, GAP // 2), collapse_padding=False)
        for column, width in zip(columns, widths, strict=False):
            title = Text(cut(column.title, width), style="markdown.table.header")
            table.add_column(title, justify=column.align, width=width, no_wrap=True)
        for row in rows:
            table.add_row(*(_cut(cell, width) for cell, width in zip(row, widths, strict=False)))
        yield table
        if len(widths) < len(columns):
            yield Text(f"not shown at this width: {', '.join(titles[len(widths) :])}")


def _cut(cell: Text, width: int) -> Text:
    if cell.cell_len <= width:
        return cell
    kept = cell.copy()
    kept.truncate(width, overflow="ellipsis")
    return kept


class _Page(Markdown):
    elements = {  # noqa: RUF012 - as rich declares it
        **Markdown.elements,
        "heading_open": _LeftHeading,
        "table_open": _NarrowTable,
    }
