"""Messages on stderr: single lines, and the progress of long work.

stdout is data. Every text is cleaned here, since errors quote input. Errors of stderr itself
(closed, a full disk) are ignored.
"""

from __future__ import annotations

import abc
import contextlib
import os
import sys
import time
from collections.abc import Iterator

from bioretrieval_tui.cli import PROGRAM
from bioretrieval_tui.progress import Progress, Reporter, silent
from bioretrieval_tui.util.formatting import rate

_EVERY = 0.1
"""Seconds between updates of the updating line."""
_EVERY_QUIET = 30.0
"""Seconds between lines in a log."""
_EVERY_JSON = 0.5
"""Seconds between JSON lines of one stage."""
_LONG = 3.0
"""Seconds from which a stage gets a line in a log."""


def tell(text: str, *, name: bool = True) -> None:
    """Write a line to stderr; name: with the program's name before it."""
    from bioretrieval_tui.terminal.clean import clean

    _write(f"{PROGRAM}: {clean(text)}\n" if name else f"{clean(text)}\n")


def _write(text: str) -> None:
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


@contextlib.contextmanager
def narrated(quiet: bool = False, progress: str = "auto") -> Iterator[Reporter]:
    """Give a reporter for long work: one updating line on a terminal, a few lines in a log,
    nothing if `quiet`; with `progress` "json" a JSON object a line.

    The updating line is erased at the end, also after an error.
    """
    if progress == "json" and sys.stderr is not None:
        yield _JsonLines()
        return
    if quiet or sys.stderr is None:
        yield silent
        return
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        line = _Updating()
        try:
            yield line
        finally:
            line.clear()
        return
    yield _Log()


def _finished(step: Progress) -> bool:
    return step.total is not None and step.done >= step.total


class _Throttled:
    """Passes on the steps that begin or end a stage, and others at most once in `every` seconds."""

    every: float

    def __init__(self) -> None:
        self._shown_at = 0.0
        self._stage = ""

    def __call__(self, step: Progress) -> None:
        now = time.monotonic()
        new = step.stage != self._stage or _finished(step)
        if new or now - self._shown_at >= self.every:
            self._stage, self._shown_at = step.stage, now
            self.show(step)

    @abc.abstractmethod
    def show(self, step: Progress) -> None:
        """Write one step."""


class _JsonLines(_Throttled):
    """One object a line: the fields of `Progress`, with `share` and `seconds_left`."""

    every = _EVERY_JSON

    def show(self, step: Progress) -> None:
        import json
        from dataclasses import asdict

        left = step.seconds_left
        values = {
            **asdict(step),
            "share": step.share,
            "seconds_left": None if left is None else round(left, 1),
        }
        for name in ("rate", "tokens_rate", "share", "input_share"):
            if values[name] is not None:
                values[name] = round(values[name], 4)
        _write(json.dumps(values) + "\n")


class _Updating(_Throttled):
    """Repaints one line of a terminal."""

    every = _EVERY

    def show(self, step: Progress) -> None:
        from bioretrieval_tui.render.terminal_text import cut

        # A line as wide as the terminal wraps on some of them and cannot be erased.
        _write(f"\r{cut(described(step), _columns() - 1)}\x1b[K")

    def clear(self) -> None:
        if self._stage:
            _write("\r\x1b[K")


class _Log:
    """A line at the end of each stage that took long, and one now and then within it."""

    def __init__(self) -> None:
        self._stage = ""
        self._began_at = self._said_at = time.monotonic()
        self._over = False

    def __call__(self, step: Progress) -> None:
        now = time.monotonic()
        if step.stage != self._stage:
            self._stage, self._began_at, self._over = step.stage, now, False
        finished = _finished(step)
        if self._over or step.total == 1:
            return
        long = now - self._began_at >= _LONG
        if (finished and long) or now - self._said_at >= _EVERY_QUIET:
            self._said_at = now
            tell(described(step))
        self._over = finished


def described(step: Progress) -> str:
    """Format a step:
    `encoding: 1,024 of 5,183 documents (19%), 98/s, 24,100 tokens/s, 42 s left, cpu`."""
    from bioretrieval_tui.terminal.clean import clean

    if step.total is None:
        counted = f"{step.done:,} {step.unit}" if step.done else ""
    else:
        counted = f"{step.done:,} of {step.total:,} {step.unit}"
    share = "" if step.share is None else f" ({int(step.share * 100)}%)"
    parts = [counted + share] if counted else []
    if step.rate:
        parts.append(f"{rate(step.rate)}/s")
    if step.tokens_rate:
        parts.append(f"{rate(step.tokens_rate)} tokens/s")
    left = step.seconds_left
    if left is not None and left >= 1:
        parts.append(f"{duration(left)} left")
    if step.total is None and step.read:
        whole = "" if step.input_share is None else f" ({int(step.input_share * 100)}%)"
        parts.append(f"{step.read:,} read{whole}")
    elif step.stage == "reading" and step.input_share:
        parts.append(f"{int(step.input_share * 100)}%")
    if step.device:
        parts.append(step.device)
    if step.note:
        parts.append(clean(step.note))
    return f"{step.stage}: {', '.join(parts)}" if parts else step.stage


def duration(seconds: float) -> str:
    """Format a duration: 8 s, 4 min, 2.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _columns() -> int:
    try:
        return max(20, os.get_terminal_size(sys.stderr.fileno()).columns)
    except (OSError, ValueError):
        return 80
