"""The six formats by name: which one a call means, and a sheet rendered in it.

Rendering is lazy: each format module is imported when it is first asked for and text comes in
chunks, so that a long export streams and `| head` ends it early.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.render.sheet import Sheet

Format = Literal["table", "markdown", "json", "jsonl", "csv", "bibtex"]
FORMATS: tuple[Format, ...] = get_args(Format)
ALIASES: dict[str, Format] = {"md": "markdown"}


def resolve(name: str | None, *, terminal: bool) -> Format:
    """The format of that name; with no name, table for a terminal and markdown for a pipe.

    Raises:
        UsageError: there is no such format; the remedy names the nearest, or all.
    """
    if name is None:
        return "table" if terminal else "markdown"
    wanted = name.strip().casefold()
    for known in FORMATS:
        if wanted == known:
            return known
    if wanted in ALIASES:
        return ALIASES[wanted]
    import difflib

    from bioretrieval_tui.render.text import shortened

    near = difflib.get_close_matches(wanted, [*FORMATS, *ALIASES], n=1, cutoff=0.5)
    remedy = f"did you mean {near[0]}?" if near else f"formats: {', '.join(FORMATS)}"
    raise UsageError(f"there is no format '{shortened(name, 40)}'", remedy=remedy)


def render(
    sheet: Sheet,
    format: Format,  # noqa: A002 - the word that the option and the design use
    *,
    width: int | None = None,
    colour: bool = False,
    links: bool = False,
) -> Iterator[str]:
    """The sheet as text, in chunks that each end with a newline; joined, they are the whole.

    Args:
        width: cells of the terminal that a table may take, None for as many as it needs.
        colour: a table may use the terminal's sixteen colours.
        links: a table may use OSC 8 links.

    `width`, `colour` and `links` are for table; the other formats look the same everywhere.
    """
    if format == "table":
        from bioretrieval_tui.render import table

        return table.render(sheet, width=width, colour=colour, links=links)
    if format == "markdown":
        from bioretrieval_tui.render import markdown

        return markdown.render(sheet)
    if format == "json":
        from bioretrieval_tui.render import jsontext

        return jsontext.render(sheet)
    if format == "jsonl":
        from bioretrieval_tui.render import jsonlines

        return jsonlines.render(sheet)
    if format == "csv":
        from bioretrieval_tui.render import csvtext

        return csvtext.render(sheet)
    from bioretrieval_tui.render import bibtex

    return bibtex.render(sheet)
