"""The values of fields among the top hits, and their conditions in a filter."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.search.types import SearchResult

if TYPE_CHECKING:
    from bioretrieval_tui.query import Schema


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One value of a field, and its count among the top hits."""

    field: str
    value: str
    count: int

    @property
    def clause(self) -> str:
        if self.field == "year":
            return f"year:{self.value}"
        from bioretrieval_tui.query.ast import Matches

        return str(Matches(self.field, "=", (self.value,)))


def facet_values(answer: SearchResult) -> list[FacetValue]:
    return [FacetValue(facet.field, *one) for facet in answer.facets for one in facet.counts]


_VALUES = r'(?P<values>(?:"(?:[^"\\]|\\.)*"|[^\s,"()]+)(?:,(?:"(?:[^"\\]|\\.)*"|[^\s,"()]+))*)'
_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s,"()]+')


def _condition(where: str, clause: str) -> tuple[re.Match[str] | None, str]:
    """The condition of a filter on the field of a clause such as `mesh=asthma`, by the same
    operator; and the value of the clause, as it is written."""
    start = re.match(r"[\w-]+[:=]", clause)
    head = start[0] if start else clause
    found = re.search(rf"(?<![\S]){re.escape(head)}{_VALUES}(?!\S)", where)
    return found, clause[len(head) :]


def clause_in(where: str, clause: str) -> bool:
    """Whether a filter admits the value of a clause, alone or among others of its field."""
    found, value = _condition(where, clause)
    return found is not None and value in _VALUE.findall(found["values"])


def toggled_clause(where: str, clause: str, schema: Schema | None) -> str:
    """The filter with the value of this clause, or without it if it was there. Values of one field
    are alternatives: `year:2019` and 2020 give `year:2019,2020`."""
    from bioretrieval_tui.query import ast, parse

    where = where.strip()
    found, value = _condition(where, clause)
    if found is not None:
        values = _VALUE.findall(found["values"])
        left = [one for one in values if one != value] if value in values else [*values, value]
        start, end = found.span("values")
        if left:
            return f"{where[:start]}{','.join(left)}{where[end:]}"
        return f"{where[: found.start()].rstrip()} {where[found.end() :].lstrip()}".strip()
    either = True
    with contextlib.suppress(FilterError):
        either = schema is None or isinstance(parse(where, schema), ast.Any)
    return f"({where}) {clause}" if where and either else f"{where} {clause}".strip()
