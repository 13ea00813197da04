"""Many queries: encoded in batches, each batch while the one before it is ranked.

A model reads a batch of short texts in a fraction of the time that it needs for them one by one,
and leaves the interpreter free meanwhile. So do the engines of text index and vectors, most of the
time that a query is ranked: several are ranked at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from typing import TypeVar

from bioretrieval_tui.search.federated import Federation
from bioretrieval_tui.search.hybrid import Floats
from bioretrieval_tui.search.types import Query

BATCH = 64
"""Queries that are encoded at once."""
RANKED = 2
"""Queries that are ranked at once."""

T = TypeVar("T")
Asked = tuple[str, Query]
"""A query with its id."""
Answer = Callable[[Query, Mapping[str, Floats]], T]
"""Answers a query, given its vector by the name of each index, in any thread: `Federation.search`
or `rank`."""


def answers(
    indexes: Federation, queries: Iterable[Asked], answer: Answer[T]
) -> Iterator[tuple[str, T]]:
    """The answer to each query with its id, in their order; memory holds two batches. Raises as
    `answer` and `SearchEngine.load` do."""
    left = iter(queries)
    with ExitStack() as stack:
        encoding, ranking = (ThreadPoolExecutor(threads, "queries") for threads in (1, RANKED))
        for pool in (encoding, ranking):
            stack.callback(pool.shutdown, cancel_futures=True)
        batch = list(islice(left, BATCH))
        vectors = encoding.submit(_encoded, indexes, batch)
        while batch:
            following = list(islice(left, BATCH))
            found, vectors = vectors.result(), encoding.submit(_encoded, indexes, following)
            made = ranking.map(answer, [query for _, query in batch], found)
            yield from zip([identifier for identifier, _ in batch], made, strict=True)
            batch = following


def _encoded(indexes: Federation, batch: Sequence[Asked]) -> list[dict[str, Floats]]:
    """The vectors of a batch, by the name of each index whose model is loaded."""
    found: list[dict[str, Floats]] = [{} for _ in batch]
    places = [at for at, (_, query) in enumerate(batch) if query.mode != "lexical"]
    if not places:
        return found
    texts = [batch[at][1].text for at in places]
    instruction = batch[places[0]][1].instruction
    for name, engine in indexes.engines.items():
        if engine.loaded:
            if len(batch) == BATCH:
                engine.index.vectors.load_graphs()
            vectors = engine.load().encode_queries(texts, instruction=instruction)
            for at, vector in zip(places, vectors, strict=True):
                found[at][name] = vector
    return found
