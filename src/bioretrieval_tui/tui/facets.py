"""Facets as rows of a table, and what choosing one does to the filter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.query import Schema, parse
from bioretrieval_tui.query.ast import Any, Matches
from bioretrieval_tui.search.hits import Facet
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.table import Column


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a field, how many of the best documents have it, and what keeps those."""

    field: str
    value: str
    count: int
    clause: str


def columns(among: int) -> tuple[Column, ...]:
    """The columns of the list; it counts within the best `among` documents."""
    return (
        Column("field", "Field", 8, priority=2),
        Column("value", f"Of best {among}", 12, 1, priority=0),
        Column("count", "Hits", 4, align="right", priority=1),
    )


def values(facets: Sequence[Facet]) -> list[Value]:
    """All values, field by field."""
    return [
        Value(facet.field, value, count, clause(facet.field, value))
        for facet in facets
        for value, count in facet.counts
    ]


def clause(field: str, value: str) -> str:
    """The filter that keeps the documents with this value."""
    if field == "year":
        return f"year:{value}"
    return str(Matches(field, "=", (value,)))


def has(where: str, wanted: str) -> bool:
    """Whether a filter names this clause."""
    return _found(where, wanted) is not None


def toggled(where: str, wanted: str, schema: Schema | None) -> str:
    """The filter with this clause, or without it if it was there."""
    place = _found(where, wanted)
    if place is not None:
        return f"{where[: place[0]].rstrip()} {where[place[1] :].lstrip()}".strip()
    if not where.strip():
        return wanted
    try:
        either = schema is None or isinstance(parse(where, schema), Any)
    except FilterError:
        either = True
    return f"({where.strip()}) {wanted}" if either else f"{where.strip()} {wanted}"


def _found(where: str, wanted: str) -> tuple[int, int] | None:
    match = re.search(rf"(?<!\S){re.escape(wanted)}(?!\S)", where)
    return match.span() if match else None


class FacetRows:
    """Values as rows; the field is named once, what the filter has is marked."""

    def __init__(self, shown: Sequence[Value], where: str) -> None:
        self.shown = shown
        self.where = where

    def __len__(self) -> int:
        return len(self.shown)

    def cells(self, index: int) -> list[Span]:
        """Field, value, count."""
        value = self.shown[index]
        first = index == 0 or self.shown[index - 1].field != value.field
        taken = has(self.where, value.clause)
        return [
            Span(value.field if first else "", "dim"),
            Span(f"● {value.value}" if taken else f"  {value.value}", "ok" if taken else "text"),
            Span(f"{value.count:,}", "dim"),
        ]
