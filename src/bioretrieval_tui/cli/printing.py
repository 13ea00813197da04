"""What the command line writes to stdout: sheets in the six formats, and plain text.

Table is for a terminal and cut to its width; everything else is the same bytes everywhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bioretrieval_tui.errors import BioRetrievalError, UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.render.formats import Format
    from bioretrieval_tui.render.page import Page
    from bioretrieval_tui.render.sheet import Sheet

Command = TypeVar("Command", bound=Callable[..., Any])


def format_option(*, without: Collection[str] = ()) -> Callable[[Command], Command]:
    """`-f FORMAT`, handed to the command as `format_`; `without`: what this verb cannot write.

    Raises (when parsed):
        UsageError: there is no such format, or not for this verb.
    """

    def resolved(_: click.Context, __: click.Parameter, name: str | None) -> Format:
        from bioretrieval_tui.render.formats import FORMATS, resolve

        found = resolve(name, terminal=sys.stdout.isatty())
        if found in without:
            offered = ", ".join(known for known in FORMATS if known not in without)
            raise UsageError(f"this cannot be written as {found}", remedy=f"formats: {offered}")
        return found

    def completed(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
        from bioretrieval_tui.render.formats import ALIASES, FORMATS

        names = [*FORMATS, *ALIASES]
        return [name for name in names if name.startswith(begun) and name not in without]

    return click.option(
        "-f",
        "--format",
        "format_",
        metavar="FORMAT",
        callback=resolved,
        shell_complete=completed,
        help="table (default on a terminal), markdown (default in a pipe; or md), json, jsonl,"
        f" csv{'' if 'bibtex' in without else ', bibtex'}.",
    )


def put(chunks: Iterable[str]) -> None:
    """Write text to stdout as it comes.

    Raises:
        BrokenPipeError: the reader has closed the pipe. BioRetrievalError: writing failed.
    """
    try:
        for chunk in chunks:
            sys.stdout.write(chunk)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise BioRetrievalError(f"the output cannot be written: {error.strerror}") from error


def put_sheet(sheet: Sheet, format_: Format) -> None:
    """Write a sheet in a format; a table as wide and as colourful as the terminal allows."""
    from bioretrieval_tui.render.formats import render

    if format_ != "table":
        put(render(sheet, format_))
        return
    from bioretrieval_tui.terminal.capabilities import here

    caps = here(sys.stdout)
    put(render(sheet, "table", width=width(), colour=bool(caps.colours), links=caps.links))


def put_page(page: Page, format_: Format) -> None:
    """Write a page as Markdown, or set for the terminal."""
    from bioretrieval_tui.render.page import markdown

    if format_ == "markdown":
        put(markdown(page))
        return
    from bioretrieval_tui.render.terminal_page import laid_out
    from bioretrieval_tui.terminal.capabilities import here

    caps = here(sys.stdout)
    whole = "".join(markdown(page))
    put(laid_out(whole, width=width() or 80, colour=bool(caps.colours), links=caps.links))


def width() -> int | None:
    """Cells of a line: COLUMNS, else the terminal's, else None for as many as are needed."""
    try:
        wanted = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        wanted = 0
    if wanted > 0:
        return wanted
    try:
        found = os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 0
    except (OSError, ValueError):
        found = 0
    if found > 0:
        return found
    return 80 if sys.stdout.isatty() else None
