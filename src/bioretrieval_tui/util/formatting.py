"""Counts and values as readers write them: 353.8M parameters, 1,523,878 documents, .7240."""

from __future__ import annotations


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
