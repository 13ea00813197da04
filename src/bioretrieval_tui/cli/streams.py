"""What verbs write: data on stdout; messages, questions and progress on stderr.

A table is cut to the width of the terminal; all other formats are the same bytes everywhere. Text
from outside that is written to stderr passes `clean`, which takes control characters away.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

from bioretrieval_tui.cli import PROGRAM
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser, UsageError
from bioretrieval_tui.terminal.clean import clean
from bioretrieval_tui.util.formatting import percent, rate, time_left

if TYPE_CHECKING:
    # Not at once: a line about too little memory is written by what is loaded already.
    from bioretrieval_tui.progress import Progress, Reporter
    from bioretrieval_tui.render.formats import Format
    from bioretrieval_tui.render.page import Page
    from bioretrieval_tui.render.sheet import Sheet


# Data -----------------------------------------------------------------------------------------


def put(chunks: Iterable[str]) -> None:
    """Write text to stdout as it comes. Raises BioRetrievalError or BrokenPipeError."""
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

    put(render(sheet, format_, **(_terminal() if format_ == "table" else {})))


def put_page(page: Page, format_: Format) -> None:
    """Write a page as Markdown, or laid out for the terminal. Raises UsageError for LaTeX."""
    if format_ == "latex":
        raise UsageError("a page cannot be written as latex", remedy="use -f markdown or -f json")
    if format_ == "markdown":
        from bioretrieval_tui.render.page import markdown

        put(markdown(page))
        return
    from bioretrieval_tui.render.terminal_text import page_text

    look = _terminal()
    put(page_text(page, **{**look, "width": look["width"] or 80}))


def put_drawing(draw: Callable[[int, int | None, bool], Iterable[str]]) -> None:
    """Write what `draw` makes of the width, height (None if unknown) and colours of stdout."""
    from bioretrieval_tui.terminal.capabilities import here

    look, size = _terminal(), here(sys.stdout).size
    put(draw(look["width"] or 80, size[1] if size else None, look["colour"]))


def put_object(value: dict[str, object]) -> None:
    from bioretrieval_tui.render.formats import object_text

    put([object_text(value)])


def _terminal() -> dict[str, Any]:
    """How stdout can show text: its width in cells (COLUMNS, else the terminal's, 80 if unknown;
    None in a pipe: unlimited), and whether with colours and links."""
    from bioretrieval_tui.terminal.capabilities import here

    caps = here(sys.stdout)
    width = _columns(sys.stdout) if sys.stdout.isatty() else None
    with contextlib.suppress(ValueError):
        if (wanted := int(os.environ.get("COLUMNS", ""))) > 0:
            width = wanted
    return {"width": width, "colour": bool(caps.colours), "links": caps.links}


def _columns(stream: IO[str]) -> int:
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or 80
    return 80


# Messages -------------------------------------------------------------------------------------


def tell(text: str, *, name: bool = True) -> None:
    """Write a line to stderr; name: with the program's name before it."""
    _write(f"{PROGRAM}: {clean(text)}\n" if name else f"{clean(text)}\n")


def _write(text: str) -> None:
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def can_confirm() -> bool:
    """Whether a question on stderr can be answered on stdin."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def asked(question: str, *, default: bool = False) -> bool:
    """Ask on stderr. An interrupt ends the line."""
    import click

    try:
        return click.confirm(question, default=default, err=True)
    except click.Abort:
        click.echo(err=True)
        raise


def tell_notes(error: BaseException) -> None:
    """Write what is noted with an error, such as what is kept, a line each."""
    for note in getattr(error, "__notes__", ()):
        tell(note)


def confirm(question: str, *, what: str = "", remedy: str = "add --yes", declined: str) -> None:
    """Ask whether to go on. Raises UsageError without a terminal, InterruptedByUser for a no."""
    if not can_confirm():
        raise UsageError(f"no terminal to confirm{what} on", remedy=remedy)
    if not asked(question):
        raise InterruptedByUser(declined)


# Progress -------------------------------------------------------------------------------------

_EVERY = 0.1
"""Seconds between updates of the updating line."""
_EVERY_QUIET = 30.0
"""Seconds between lines in a log."""
_EVERY_JSON = 0.5
"""Seconds between JSON lines of one stage."""
_LONG = 3.0
"""Seconds from which a stage gets a line in a log."""


@contextlib.contextmanager
def narrated(quiet: bool = False, progress: str = "auto") -> Iterator[Reporter]:
    """Give a reporter for long work: one updating line on a terminal, which is erased at the end, a
    few lines in a log, nothing if `quiet`; with `progress` "json" a JSON object a line."""
    if progress == "json" and sys.stderr is not None:
        yield _Throttled(_put_json, _EVERY_JSON)
    elif quiet or sys.stderr is None:
        from bioretrieval_tui.progress import silent

        yield silent
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        line = _Throttled(_put_line, _EVERY)
        try:
            yield line
        finally:
            if line.stage:
                _write("\r\x1b[K")
    else:
        yield _Log()


class _Throttled:
    """Shows the steps that begin or end a stage, and others at most once in `every` seconds."""

    def __init__(self, show: Callable[[Progress], None], every: float) -> None:
        self._show = show
        self._every = every
        self._shown_at = 0.0
        self.stage = ""

    def __call__(self, step: Progress) -> None:
        now = time.monotonic()
        new = step.stage != self.stage or _finished(step)
        if new or now - self._shown_at >= self._every:
            self.stage, self._shown_at = step.stage, now
            self._show(step)


class _Log:
    """A line at the end of each stage that took long, and one now and then within it."""

    def __init__(self) -> None:
        self._stage = ""
        self._began_at = self._said_at = time.monotonic()
        self._over = False

    def __call__(self, step: Progress) -> None:
        if step.is_estimate:
            tell(described(step))
            return
        now = time.monotonic()
        if step.stage != self._stage:
            self._stage, self._began_at, self._over = step.stage, now, False
        if self._over or step.total == 1:
            return
        self._over = _finished(step)
        long = self._over and now - self._began_at >= _LONG
        if long or now - self._said_at >= _EVERY_QUIET:
            self._said_at = now
            tell(described(step))


def _finished(step: Progress) -> bool:
    return step.total is not None and step.done >= step.total


def _put_json(step: Progress) -> None:
    """Write a step as one object: the fields of `Progress`, with `share` and `seconds_left`."""
    import json

    from msgspec.structs import asdict

    values = {**asdict(step), "share": step.share, "seconds_left": step.seconds_left}
    for name, value in values.items():
        if isinstance(value, float):
            values[name] = round(value, 1 if name == "seconds_left" else 4)
    _write(json.dumps(values) + "\n")


def _put_line(step: Progress) -> None:
    from bioretrieval_tui.render.terminal_text import cut

    if step.is_estimate:
        _write("\r\x1b[K")
        tell(described(step))
        return
    # A line as wide as the terminal wraps on some of them and cannot be erased.
    _write(f"\r{cut(described(step), max(20, _columns(sys.stderr)) - 1)}\x1b[K")


def described(step: Progress) -> str:
    """Format a step:
    `encoding: 1,024 of 5,183 documents (19%), 98/s, 24,100 tokens/s, 42 s left, cpu`."""
    from bioretrieval_tui.search.types import mode_name  # errors need little memory

    share, read_share = (
        "" if share is None else f" ({percent(share)})" for share in (step.share, step.input_share)
    )
    counted = f"{step.done:,} {step.unit}" if step.done else ""
    if step.total is not None:
        counted = f"{step.done:,} of {step.total:,} {step.unit}{share}"
    left, read = step.seconds_left, ""
    if step.total is None and step.read:
        read = f"{step.read:,} read{read_share}"
    elif step.stage == "reading" and step.input_share:
        read = percent(step.input_share)
    parts = (
        counted,
        f"{rate(step.rate)}/s" if step.rate else "",
        f"{rate(step.tokens_rate)} tokens/s" if step.tokens_rate else "",
        time_left(left) if left is not None and left >= 1 else "",
        read,
        step.device or "",
        clean(mode_name(step.note or "")),
    )
    told = ", ".join(part for part in parts if part)
    return f"{step.stage}: {told}" if told else step.stage


def duration(seconds: float) -> str:
    """Format a duration: 8 s, 4 min, 2.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
