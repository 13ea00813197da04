"""Numbers and hints for readers: 354M parameters, 1,523,878 documents, 0.724, 8.1 MB."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

BARS = "▁▂▃▄▅▆▇█"
_UNITS = ("B", "kB", "MB", "GB", "TB")


def count(value: int | None) -> str:
    """Format with thousands separators; "" for None."""
    return "" if value is None else f"{value:,}"


def short(value: int | None) -> str:
    """Format with three significant digits: 109M, 2.51B, 171K; "" for None."""
    if value is None:
        return ""
    for limit, unit in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        # From 999.5 of the unit below, three digits round up to this one.
        if value >= limit - limit // 2000:
            scaled = value / limit
            digits = 2 if scaled < 10 else 1 if scaled < 100 else 0
            text = f"{scaled:.{digits}f}"
            return (text.rstrip("0").rstrip(".") if "." in text else text) + unit
    return str(value)


def figure(value: float) -> str:
    """Format a score with at least three decimals, and no more than were published."""
    whole, _, decimals = f"{value:.6f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<3}"


def sparkline(counts: Sequence[int], most: int) -> str:
    """Draw counts as bars in at most `most` cells, neighbours added up where they are more; blank
    for zero."""
    each = -(-len(counts) // max(1, most)) or 1
    sums = [sum(counts[at : at + each]) for at in range(0, len(counts), each)]
    top = max(sums, default=0)
    return "".join(BARS[-(-one * len(BARS) // top) - 1] if one else " " for one in sums)


def curve_line(values: Sequence[float], most: int) -> str:
    """Draw values as bars in at most `most` cells, neighbours averaged where they are more; the
    lowest value is the lowest bar."""
    from statistics import fmean

    cells = min(most, len(values))
    cuts = [len(values) * at // cells for at in range(cells + 1)] if cells else [0]
    means = [fmean(values[start:end]) for start, end in pairwise(cuts)]
    low, high = min(means, default=0.0), max(means, default=0.0)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((one - low) * scale)] for one in means)


def install_command(extra: str) -> str:
    """The command that adds an optional part to the environment in which this program runs."""
    import shlex

    python = Path(sys.executable)
    with contextlib.suppress(ValueError, OSError):
        python = python.relative_to(Path.cwd())
    return f"{shlex.quote(str(python))} -m pip install 'bioretrieval-tui[{extra}]'"


def plural(count: int, what: str) -> str:
    """Format a count with its noun: `1 file`, `1,024 files`, `2 queries`."""
    if count == 1:
        return f"1 {what}"
    many = what[:-1] + "ie" if what.endswith("y") and what[-2:-1] not in "aeiou" else what
    return f"{count:,} {many}s"


def size(count: int) -> str:
    """Format bytes with at most three digits: 512 B, 8.1 MB, 1.7 GB."""
    power = 0
    while power + 1 < len(_UNITS) and count / 1000**power >= 999.5:
        power += 1
    value = count / 1000**power
    digits = 1 if power and value < 99.5 else 0
    return f"{value:.{digits}f} {_UNITS[power]}"


def time_left(seconds: float) -> str:
    """Format a remaining time roughly: `40 s left`, `3 min left`, `2 h 10 min left`."""
    if seconds < 90:
        return f"{round(seconds)} s left"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min left"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min left" if hours < 48 else f"{round(hours / 24)} days left"


def rate(value: float) -> str:
    """Format a rate a second: 0.4, 98, 24,100."""
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def percent(share: float) -> str:
    """Format a share (0 to 1), with 100% only when complete: 0%, 43%, 99%, 100%."""
    return "100%" if share >= 1 else f"{min(99, int(share * 100))}%"


def did_you_mean(
    word: str, known: Iterable[str], otherwise: str, *, cutoff: float = 0.6, most: int = 1
) -> str:
    """The question `did you mean x?` with the nearest of `known`; `otherwise` if none is near."""
    import difflib

    near = difflib.get_close_matches(word[:80], list(known), most, cutoff)
    return f"did you mean {', '.join(near)}?" if near else otherwise
