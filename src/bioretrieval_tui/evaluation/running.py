"""One mode over all queries of a benchmark: rankings and how long each took."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import numpy as np

from bioretrieval_tui.evaluation.benchmark import Benchmark
from bioretrieval_tui.evaluation.measures import DEPTH, Ranking
from bioretrieval_tui.progress import Progress, Reporter, silent

if TYPE_CHECKING:
    from bioretrieval_tui.documents.store import DocumentStore

_WARM = 3
"""Queries that are run once more before, and not timed: the first pays for what is mapped."""


class Ranker(Protocol):
    """What is evaluated: something that ranks documents for a query."""

    def rank(
        self, query: str, k: int, mode: str, *, instruction: str | None = None
    ) -> Sequence[tuple[str, float]]:
        """(document id, score), best first, at most `k`."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds a query, of one after the other, warm: the median and the 95th percentile."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Run:
    """What one mode answered. rankings: by query id, every judged query; latency: of a query from
    its text to its ranking; own: queries whose own document was left out."""

    mode: str
    rankings: Mapping[str, Ranking]
    latency: Latency
    own: int = 0


def run_mode(
    ranker: Ranker,
    benchmark: Benchmark,
    mode: str,
    *,
    depth: int = DEPTH,
    aliases: Mapping[str, Sequence[str]] | None = None,
    keep_own: bool = False,
    instruction: str | None = None,
    reporter: Reporter = silent,
) -> Run:
    """Run every query of `benchmark` through `ranker`, one after the other.

    depth: documents a query; aliases: see `aliases_of`; keep_own: do not leave out the document
    that has the query's own id; instruction: for this benchmark, or None for the model's own.

    Raises whatever the ranker or `reporter` raises.
    """
    total = len(benchmark.queries)
    for text in islice(benchmark.queries.values(), _WARM):
        ranker.rank(text, depth + 1, mode, instruction=instruction)
    rankings: dict[str, Ranking] = {}
    seconds: list[float] = []
    own = 0
    for done, (query, text) in enumerate(benchmark.queries.items()):
        reporter(Progress("running", done, total, unit="queries", note=mode))
        started = time.perf_counter()
        # One more than asked for, in place of the query's own document.
        given = ranker.rank(text, depth + 1, mode, instruction=instruction)
        seconds.append(time.perf_counter() - started)
        ranking = in_order(given, aliases or {})
        if not keep_own and query not in benchmark.judgements[query]:
            others = tuple(one for one in ranking if one[0] != query)
            own += len(others) < len(ranking)
            ranking = others
        rankings[query] = ranking[:depth]
    reporter(Progress("running", total, total, unit="queries", note=mode))
    p50, p95 = np.percentile(np.array(seconds) * 1000, (50, 95)).tolist()
    return Run(mode, rankings, Latency(round(p50, 3), round(p95, 3)), own)


def in_order(
    given: Sequence[tuple[str, float]], aliases: Mapping[str, Sequence[str]]
) -> tuple[tuple[str, float], ...]:
    """A ranking as trec_eval would read it, with every id once.

    The ids of one text get one score, as if each had been compared by itself. trec_eval keeps
    scores in single precision and sorts equal ones by id, downwards; so it is done here before
    anything is measured, and a run file gives the same figures everywhere.
    """
    score_of: dict[str, float] = {}
    for name, score in given:
        for one in (name, *aliases.get(name, ())):
            score_of.setdefault(one, float(np.float32(score)))
    names = sorted(score_of, reverse=True)
    names.sort(key=score_of.__getitem__, reverse=True)
    return tuple((name, score_of[name]) for name in names)


def aliases_of(store: DocumentStore) -> dict[str, tuple[str, ...]]:
    """For each document that has them, the other ids of its text.

    Raises:
        IndexFault: the store is damaged.
    """
    by_label: dict[int, list[str]] = {}
    for name, label in store.all_aliases():
        by_label.setdefault(label, []).append(name)
    labels = list(by_label)
    return {
        name: tuple(by_label[label]) for label, name in zip(labels, store.ids(labels), strict=True)
    }
