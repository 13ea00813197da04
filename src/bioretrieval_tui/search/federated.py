"""Several indexes searched by one query, and one ranking of their hits.

What is comparable across indexes depends on the mode. BM25 scores are compared as they are (inverse
document frequencies are those of each index), and so are similarities by one model. A hybrid score
is relative to its index, so that both halves are standardised again, over the hits of all indexes,
and added: CombSUM (Fox and Shaw, "Combination of Multiple Searches", TREC-2, 1994). Between indexes
of different models only ranks remain: each model gives one ranking of its indexes, and reciprocal
rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009) adds 1 / (60 + rank) over these rankings.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import fsum
from statistics import fmean, pstdev

from msgspec.structs import replace

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.duplicates import Work
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser
from bioretrieval_tui.index.metadata_fields import YEAR, when
from bioretrieval_tui.progress import Reporter, silent
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.types import Explanation, Facet, Hit, Query, SearchResult
from bioretrieval_tui.util.folding import fold

_RANK_CONSTANT = 60


class Federation:
    """The open indexes of one search. An index that fails is left out, with a note in the result;
    the error of the first is raised if all fail.

    engines: by name, in the order in which they were named; failed: why the others are left out.
    """

    def __init__(self, names: Iterable[str], open_one: Callable[[str], SearchEngine]) -> None:
        self.engines: dict[str, SearchEngine] = {}
        self.failed: dict[str, BioRetrievalError] = {}
        for name in dict.fromkeys(names):
            with self._leaving_out(name):
                self.engines[name] = open_one(name)
        self.several = len(self.engines) + len(self.failed) > 1
        self._check(self.engines)

    @contextlib.contextmanager
    def _leaving_out(self, name: str) -> Iterator[None]:
        try:
            yield
        except InterruptedByUser:
            raise
        except BioRetrievalError as error:
            self.failed[name] = error

    def _check(self, answered: Mapping[str, object]) -> None:
        if not answered:
            raise next(iter(self.failed.values()))

    @property
    def ready(self) -> bool:
        """Whether all models are loaded; of several indexes, whether none remains to be tried."""
        return all(
            one.loaded or (self.several and one.fault is not None) for one in self.engines.values()
        )

    def load(self, reporter: Reporter = silent) -> None:
        """Load the models. Of several indexes, one whose model does not load answers by BM25; of a
        single one the error is raised."""
        for engine in self.engines.values():
            try:
                engine.load(reporter)
            except BioRetrievalError:
                if not self.several or engine.fault is None:
                    raise

    def search(self, query: Query) -> SearchResult:
        """The hits of all indexes in one ranking; of a single one as it gives them. Raises as
        `SearchEngine.search` does where all fail."""
        if not self.several:
            (engine,) = self.engines.values()
            return engine.search(query)
        results: dict[str, SearchResult] = {}
        notes: list[str] = []
        models: dict[str, object] = {}
        for name, engine in self.engines.items():
            fault = engine.fault if query.mode != "lexical" else None
            if fault is not None and query.mode == "dense":
                self.failed[name] = fault
                continue
            mode = "lexical" if fault is not None else query.mode
            with self._leaving_out(name):
                results[name] = engine.search(replace(query, mode=mode, order="relevance"))
                made = engine.index.manifest
                model = made.model, made.revision, made.recipe_hash
                models[name] = None if mode == "lexical" else model
                if fault is not None:
                    notes.append(f"{name} by BM25 alone: {fault.message}")
        self._check(results)
        mode = query.mode if any(models.values()) else "lexical"
        found = merged(results, query.k, mode, models, order=query.order)
        notes += [f"{name} is left out: {error.line()}" for name, error in self.failed.items()]
        return replace(found, note="; ".join(filter(None, (found.note, *notes))) or None)

    def explain(self, query: Query, hits: Sequence[Hit]) -> list[Explanation]:
        """Why hits were found, each by its own index, in their order."""
        reasons: dict[tuple[str, str], Explanation] = {}
        for name, engine in self.engines.items():
            ids = [hit.id for hit in hits if hit.index == name or not self.several]
            index = name if self.several else ""
            reasons |= {(index, one.id): one for one in (engine.explain(query, ids) if ids else ())}
        return [reasons[hit.key] for hit in hits]


def merged(
    results: Mapping[str, SearchResult],
    k: int,
    mode: str,
    models: Mapping[str, object],
    *,
    order: str = "relevance",
) -> SearchResult:
    """The best `k` hits of one query in the results of indexes, which are sorted by relevance.

    Ties are broken by rank, then by the order of the indexes; documents that the query names come
    first. A work that several indexes hold is
    one hit, the best one, which names the others. A single index gives its own ranking.
    models: by name, what scored the hits of an index; order: of the best `k`, as of `Query`.
    Counts of facets are summed over what each index counted, a work once for each index with it.
    """
    places = {name: place for place, name in enumerate(results)}
    scores = _scores(results, mode, models)
    named = {hit.key for hit in _hits(results) if hit.rank <= results[hit.index].named}
    scores |= dict.fromkeys(named, max(scores.values(), default=0.0))

    def placed(hit: Hit) -> tuple[bool, float, int, int]:
        return hit.key not in named, -scores[hit.key], hit.rank, places[hit.index]

    works = [sorted(work, key=placed) for work in _works(results)]
    if mode != "lexical" and len(set(models.values())) > 1:
        for work in works:
            by_model = {models[hit.index]: scores[hit.key] for hit in reversed(work)}
            scores[work[0].key] = fsum(by_model.values())
    ranking = sorted(works, key=lambda work: placed(work[0]))[:k]
    if order == "date":
        ranking.sort(key=lambda work: when(_document(work[0]))[1], reverse=True)
    fitting = [one.fitting for one in results.values() if one.fitting is not None]
    notes: dict[str, list[str]] = {}
    for name, one in results.items():
        notes.setdefault(one.note or "", []).append(name)
    return SearchResult(
        hits=tuple(
            replace(
                best, rank=rank, score=scores[best.key],
                also=tuple(sorted((hit.index for hit in others), key=places.__getitem__)),
            )
            for rank, (best, *others) in enumerate(ranking, start=1)
        ),
        fitting=sum(fitting) if fitting else None,
        facets=_facets(results.values()),
        among=sum(one.among for one in results.values()),
        named=sum(work[0].key in named for work in ranking),
        note="; ".join(
            note if len(names) == len(results) else f"{', '.join(names)}: {note}"
            for note, names in notes.items()
            if note
        ) or None,
    )  # fmt: skip


def _hits(results: Mapping[str, SearchResult]) -> list[Hit]:
    return [replace(hit, index=name) for name, one in results.items() for hit in one.hits]


def _scores(
    results: Mapping[str, SearchResult], mode: str, models: Mapping[str, object]
) -> dict[tuple[str, str], float]:
    """The score of each hit, comparable across the indexes, by index and id."""
    if mode == "lexical":
        return {hit.key: hit.score for hit in _hits(results)}
    scores: dict[tuple[str, str], float] = {}
    for model in dict.fromkeys(models.values()):
        group = {name: one for name, one in results.items() if models[name] == model}
        hits = _hits(group)
        found = [hit.score for hit in hits]
        if mode == "hybrid" and len(group) > 1:
            dense = _standardised([hit.scores.dense or 0.0 for hit in hits])
            lexical = _standardised([hit.scores.lexical or 0.0 for hit in hits])
            found = [sum(pair) for pair in zip(dense, lexical, strict=True)]
        if len(group) < len(results):
            ranking = sorted(range(len(hits)), key=lambda at: (-found[at], hits[at].rank))
            for rank, at in enumerate(ranking, start=1):
                found[at] = 1 / (_RANK_CONSTANT + rank)
        scores |= {hit.key: score for hit, score in zip(hits, found, strict=True)}
    return scores


def _standardised(scores: Sequence[float]) -> list[float]:
    """In standard deviations above the mean; zeros where the scores do not vary."""
    if len(set(scores)) < 2:
        return [0.0] * len(scores)
    mean, spread = fmean(scores), pstdev(scores)
    return [(score - mean) / spread for score in scores]


def _document(hit: Hit) -> Document:
    return Document(hit.id, hit.title, hit.text, dict(hit.metadata))


def _works(results: Mapping[str, SearchResult]) -> list[list[Hit]]:
    """The hits by work, at most one of an index. Ids count only with equal titles: corpora that
    number their documents have equal ids."""
    groups: list[list[tuple[Hit, Work]]] = []
    known: dict[object, list[int]] = {}
    for hit in _hits(results):
        work = Work(_document(hit))
        keys: list[object] = [*work.keys(), (work.title, hit.id), (work.title, fold(hit.text))]
        met = dict.fromkeys(place for key in keys for place in known.get(key, ()))
        at = next((place for place in met if _holds(groups[place], hit, work)), len(groups))
        if at == len(groups):
            groups.append([])
        groups[at].append((hit, work))
        for key in keys:
            known.setdefault(key, []).append(at)
    return [[hit for hit, _ in group] for group in groups]


def _holds(group: Sequence[tuple[Hit, Work]], hit: Hit, work: Work) -> bool:
    """Whether a hit is the work of these hits of other indexes."""
    if any(other.index == hit.index for other, _ in group):
        return False
    return any(_same(hit, work, *other) for other in group)


def _same(hit: Hit, work: Work, other: Hit, other_work: Work) -> bool:
    if work.same_as(other_work):
        return True
    named = bool(work.title) and hit.id == other.id
    texts = fold(hit.text), fold(other.text)
    alike = named or (texts[0] == texts[1] and bool(work.title or texts[0].strip()))
    return alike and work.title == other_work.title and not work.contradicts(other_work)


def _facets(results: Iterable[SearchResult]) -> tuple[Facet, ...]:
    """Facets with summed counts, as many values as the longest of them has, sorted as in one index:
    the most frequent first, years newest first."""
    counts: dict[str, Counter[str]] = {}
    longest: dict[str, int] = {}
    for facet in (facet for one in results for facet in one.facets):
        counts.setdefault(facet.field, Counter()).update(dict(facet.counts))
        longest[facet.field] = max(longest.get(facet.field, 0), len(facet.counts))
    return tuple(
        Facet(
            field,
            tuple(
                sorted(values.items(), key=lambda one: int(one[0]), reverse=True)
                if field == YEAR.name
                else sorted(values.items(), key=lambda one: (-one[1], one[0]))
            )[: longest[field]],
        )
        for field, values in counts.items()
    )
