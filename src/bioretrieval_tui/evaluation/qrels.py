"""Judgements beside rankings: every query with its score, and for one query the ranks of its judged
documents and the top unjudged ones. Plain values for the app and the command line to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from bioretrieval_tui.errors import NotFoundError
from bioretrieval_tui.evaluation.metrics import MAIN, Ranking, measure
from bioretrieval_tui.util.formatting import did_you_mean

if TYPE_CHECKING:
    from bioretrieval_tui.documents.store import Documents
    from bioretrieval_tui.evaluation.benchmark import BenchmarkFolder

UNJUDGED = 10
"""Unjudged documents that are shown for a query."""

Rankings = Mapping[str, Mapping[str, Ranking]]
"""By mode (or name of a run), then by query id."""


class QueryRow(msgspec.Struct, frozen=True):
    """One query in the list. judged: documents with a judgement; relevant: with grade 1 or more;
    scores: nDCG@10 by mode."""

    id: str
    text: str
    judged: int
    relevant: int
    scores: Mapping[str, float]


class FoundRow(msgspec.Struct, frozen=True):
    """One document of a query. grade: None without a judgement; title: None where it is not in the
    corpus; ranks: from 1, by mode, None where it was not found."""

    id: str
    grade: int | None
    title: str | None
    ranks: Mapping[str, int | None]


class QueryView(msgspec.Struct, frozen=True):
    """One query in detail. scores: all measures by mode; judged: highest grade first, then by best
    rank; unjudged: by best rank in any mode."""

    id: str
    text: str
    scores: Mapping[str, Mapping[str, float]]
    judged: tuple[FoundRow, ...]
    unjudged: tuple[FoundRow, ...]


def query_rows(benchmark: BenchmarkFolder, rankings: Rankings) -> list[QueryRow]:
    """All judged queries in the order of the benchmark, with their scores."""
    measured = {
        mode: measure(benchmark.judgements, found).by_query for mode, found in rankings.items()
    }
    return [
        QueryRow(
            id=query,
            text=text,
            judged=len(benchmark.judgements[query]),
            relevant=sum(grade > 0 for grade in benchmark.judgements[query].values()),
            scores={mode: values[query][MAIN] for mode, values in measured.items()},
        )
        for query, text in benchmark.queries.items()
    ]


def query_view(
    benchmark: BenchmarkFolder,
    rankings: Rankings,
    query: str,
    store: Documents,
    *,
    most: int = UNJUDGED,
) -> QueryView:
    """One query with its judged documents and the top `most` unjudged ones; store: their titles.
    Raises NotFoundError: the split judges no query of that id; IndexFault: the store is damaged."""
    graded = judgements_of(benchmark, query)
    places = {
        mode: {name: rank for rank, (name, _) in enumerate(found.get(query, ()), start=1)}
        for mode, found in rankings.items()
    }
    best: dict[str, int] = {}
    for ranks in places.values():
        for name, rank in ranks.items():
            best[name] = min(rank, best.get(name, rank))
    judged = sorted(graded, key=lambda name: (-graded[name], best.get(name, len(best) + 1), name))
    shown = sorted(best.keys() - graded.keys(), key=lambda name: (best[name], name))[:most]
    title = titles_of(store, [*judged, *shown])

    def row(name: str) -> FoundRow:
        ranks = {mode: ranks.get(name) for mode, ranks in places.items()}
        return FoundRow(name, graded.get(name), title.get(name), ranks)

    return QueryView(
        id=query,
        text=benchmark.queries[query],
        scores={
            mode: measure({query: graded}, {query: found.get(query, ())}).metrics
            for mode, found in rankings.items()
        },
        judged=tuple(map(row, judged)),
        unjudged=tuple(map(row, shown)),
    )


def judgements_of(benchmark: BenchmarkFolder, query: str) -> Mapping[str, int]:
    """The grades of a query by document id. Raises NotFoundError: the split judges no query of that
    id."""
    if query not in benchmark.judgements:
        raise NotFoundError(
            f"the split {benchmark.parts.split} of {benchmark.parts.name} has no query {query!r}",
            remedy=did_you_mean(query, benchmark.judgements, "queries.jsonl lists the ids", most=3),
        )
    return benchmark.judgements[query]


def titles_of(store: Documents, names: Sequence[str]) -> dict[str, str]:
    """Titles by id, of the ids that an index holds; of one without a title, the start of its
    text."""
    labels = store.labels(names)
    documents = store.get(list(labels.values()))
    return {
        name: document.title or document.text[:200]
        for name, document in zip(labels, documents, strict=True)
    }
