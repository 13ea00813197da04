"""What the best documents have in common: years, journals, MeSH headings and their like."""

from __future__ import annotations

from bioretrieval_tui.index.registry import OpenIndex
from bioretrieval_tui.search.candidates import Labels
from bioretrieval_tui.search.hits import Facet

FACETS = ("year", "journal", "mesh", "type", "language")
_MOST = 12
"""Values of a facet; more would be a list to search rather than one to look at."""


def facets_of(index: OpenIndex, labels: Labels, most: int = _MOST) -> tuple[Facet, ...]:
    """The facets of these documents; a field that none of them has is left out.

    labels: int64 (n,), in any order. Raises IndexFault where the fields are damaged.
    """
    fields = index.fields
    if not len(labels):
        return ()
    known = {field.name for field in fields.schema.fields}
    found = []
    for name in FACETS:
        counts = fields.facets(labels, name, most) if name in known else []
        if counts:
            found.append(Facet(name, tuple(counts)))
    return tuple(found)
