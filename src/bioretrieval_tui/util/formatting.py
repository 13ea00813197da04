"""Counts and values as readers write them: 353.8M parameters, 1,523,878 documents, .7240."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB")


def count(value: int | None) -> str:
    """Thousands separated; nothing for None."""
    return "" if value is None else f"{value:,}"


def short(value: int | None) -> str:
    """A size in three figures: 109M, 2.51B, 171K; nothing for None."""
    if value is None:
        return ""
    for limit, unit in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        # From 999.5 of the unit below, three figures round up into this one.
        if value >= limit - limit // 2000:
            scaled = value / limit
            digits = 2 if scaled < 10 else 1 if scaled < 100 else 0
            text = f"{scaled:.{digits}f}"
            return (text.rstrip("0").rstrip(".") if "." in text else text) + unit
    return str(value)


def figure(value: float) -> str:
    """A published value: at least three decimals, never more than were published."""
    whole, _, decimals = f"{value:.6f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<3}"


def plural(count: int, what: str) -> str:
    """`1 file`, `1,024 files`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def size(count: int) -> str:
    """Bytes in three figures at most: 512 B, 8.1 MB, 1.7 GB."""
    power = 0
    while power + 1 < len(_UNITS) and count / 1000**power >= 999.5:
        power += 1
    value = count / 1000**power
    digits = 1 if power and value < 99.5 else 0
    return f"{value:.{digits}f} {_UNITS[power]}"


def time_left(seconds: float) -> str:
    """A rough time, as rough as such a guess is: `40 s left`, `3 min left`, `2 h 10 min left`."""
    if seconds < 90:
        return f"{round(seconds)} s left"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min left"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min left" if hours < 48 else f"{round(hours / 24)} days left"


def rate(value: float) -> str:
    """Something a second: 0.4, 98, 24,100."""
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def percent(share: float) -> str:
    """A share, never 100 % before it is all: 0%, 43%, 99%, 100%."""
    return "100%" if share >= 1 else f"{min(99, int(share * 100))}%"
