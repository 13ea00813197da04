"""Output on stdout: sheets in the six formats, pages, and plain text.

A table is cut to the width of the terminal; all other formats are the same bytes everywhere.
"""

from __future__ import annotations

import contextlib
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
    """`-f FORMAT`, passed to the command as `format_`; without: formats that the verb lacks.

    Raises (when parsed):
        UsageError: the format does not exist, or not for this verb.
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
    """Write a sheet; a table in the width and colours of the terminal."""
    from bioretrieval_tui.render.formats import render

    if format_ != "table":
        put(render(sheet, format_))
        return
    from bioretrieval_tui.terminal.capabilities import here

    caps = here(sys.stdout)
    put(render(sheet, "table", width=width(), colour=bool(caps.colours), links=caps.links))


def put_page(page: Page, format_: Format) -> None:
    """Write a page as Markdown, or laid out for the terminal."""
    if format_ == "markdown":
        from bioretrieval_tui.render.page import markdown

        put(markdown(page))
        return
    from bioretrieval_tui.render.terminal_text import page_text
    from bioretrieval_tui.terminal.capabilities import here

    caps = here(sys.stdout)
    put(page_text(page, width=width() or 80, colour=bool(caps.colours), links=caps.links))


def width() -> int | None:
    """Cells of a line: COLUMNS, else the terminal's (80 if unknown); None in a pipe: unlimited."""
    with contextlib.suppress(ValueError):
        if (wanted := int(os.environ.get("COLUMNS", ""))) > 0:
            return wanted
    if not sys.stdout.isatty():
        return None
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    return 80
