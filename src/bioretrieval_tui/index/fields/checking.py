"""Whether the fields of an index say what its documents say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.index.fields.reading import is_extra, pairs, when
from bioretrieval_tui.query.ast import Has, Matches

if TYPE_CHECKING:
    from bioretrieval_tui.index.fields.opened import FieldIndex

_SAMPLED = 100
"""Documents that are compared, spread over all that are alive."""
_LOOKED_UP = ("id", "journal", "mesh", "date")
"""Fields by whose value a sampled document must be found again."""
_PROBED = 10
"""Documents of the sample that are looked up by their values."""


def check_fields(index: FieldIndex, store: DocumentStore, dead: NDArray[np.int64]) -> str | None:
    """What is wrong with the fields, or None.

    Values and dates of a sample of documents are compared with the documents; some are looked up
    by what they hold; and for every field the documents that have it are counted.

    Raises:
        IndexFault: the files are damaged.
    """
    alive = np.setdiff1d(np.arange(store.rows, dtype=np.int64), dead, assume_unique=True)
    step = max(1, len(alive) // _SAMPLED)
    labels = alive[::step]
    facts = index.facts
    names = {one.name for one in facts.fields}
    for number, (label, document) in enumerate(
        zip(labels.tolist(), store.get(labels.tolist()), strict=True)
    ):
        due = {pair for pair in pairs(document) if pair[0] in names}
        if set(index.values_of(label)) != due:
            return f"document {label} has other values than the index says"
        if not index.intact(label):
            return f"values of document {label} are not compared by what they say"
        missing = {name for name, _ in pairs(document) if not is_extra(name)} - names
        if missing:
            return f"document {label} has a field that the index lacks: {min(missing)}"
        if (int(index.years[label]), int(index.dates(labels[number : number + 1])[0])) != when(
            document
        ):
            return f"document {label} has another date than the index says"
        if number < _PROBED:
            for name, text in sorted(due):
                if name in _LOOKED_UP and label not in index.select(Matches(name, "=", (text,))):
                    return f"document {label} is not found by its {name}"
    for one in facts.fields:
        count = len(index.select(Has(one.name)))
        if count != one.documents:
            return f"{count:,} documents have {one.name}, not {one.documents:,}"
    dated = len(index.select(Has("year")))
    return None if dated == facts.dated else f"{dated:,} documents have a year, not {facts.dated:,}"
