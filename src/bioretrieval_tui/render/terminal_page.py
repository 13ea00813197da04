"""A Markdown page laid out for a terminal. Imports rich, so it is imported within functions."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Heading, Markdown, TableElement
from rich.style import Style
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from bioretrieval_tui.render.sheet import Column
from bioretrieval_tui.render.terminal_table import (
    GAP,
    cut,
    fit,
    rich_console,
    without_link_numbers,
)

WIDEST = 100
"""Longer lines are hard to read, however wide the terminal."""

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
    console = rich_console(
        out, max(1, min(width, WIDEST)), colour=colour, styled=colour or links, theme=_THEME
    )
    console.print(_Page(page, hyperlinks=links))
    for line in without_link_numbers(out.getvalue()).split("\n")[:-1]:
        yield line.rstrip() + "\n"


class _LeftHeading(Heading):
    LEVEL_ALIGN = dict.fromkeys(Heading.LEVEL_ALIGN, "left")


class _NarrowTable(TableElement):
    """A line a row, cut to the width; numbers are not cut, last columns are left out first."""

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
    kept = cell.copy()
    kept.truncate(width, overflow="ellipsis")
    return kept


class _Page(Markdown):
    elements = {  # noqa: RUF012 - as rich declares it
        **Markdown.elements,
        "heading_open": _LeftHeading,
        "table_open": _NarrowTable,
    }
