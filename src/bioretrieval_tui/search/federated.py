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
from bioretrieval_tui.search.engine import MOST_VALUES, SearchEngine
from bioretrieval_tui.search.hybrid import Floats
from bioretrieval_tui.search.types import Explanation, Facet, Hit, Query, SearchResult
from bioretrieval_tui.util.folding import fold

_RANK_CONSTANT = 60
_NONE: Mapping[str, Floats] = {}


class Federation:
    """The open indexes of one search. One that fails is left out, with a note in the result; the
    error of the first is raised if all fail.

    engines: by name, in the order in which they were named; failed: why the others are left out.
    """

    def __init__(self, names: Iterable[str], open_one: Callable[[str], SearchEngine]) -> None:
        self.engines: dict[str, SearchEngine] = {}
        self.failed: dict[str, BioRetrievalError] = {}
        for name in dict.fromkeys(names):
            with self._leaving_out(name):
                self.engines[name] = open_one(name)
        self._check(self.engines)
        self.several = len(self.engines) + len(self.failed) > 1

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
        """Whether all models are loaded; of several indexes, whether all were tried."""
        return all(one.loaded or (self.several and one.fault) for one in self.engines.values())

    def load(self, reporter: Reporter = silent) -> None:
        """Load the models. Of several indexes, one whose model does not load answers by BM25; of a
        single one the error is raised."""
        for engine in self.engines.values():
            try:
                engine.load(reporter)
            except BioRetrievalError:
                if not self.several or engine.fault is None:
                    raise

    def rank(self, query: Query, vectors: Mapping[str, Floats] = _NONE) -> list[tuple[str, float]]:
        """Ids and scores of the best `k`, best first. Parameters and errors as of `search`."""
        if self.several:
            return [(hit.id, hit.score) for hit in self.search(query, vectors, facets=False).hits]
        ((name, engine),) = self.engines.items()
        return engine.rank(query, vectors.get(name))

    def search(
        self, query: Query, vectors: Mapping[str, Floats] = _NONE, *, facets: bool = True
    ) -> SearchResult:
        """The hits of all indexes in one ranking; of a single one as it gives them. vectors: of the
        query, by the names of indexes, where they are known already; facets: whether values of
        fields are counted. Raises as `SearchEngine.search` does where all fail."""
        if not self.several:
            ((name, engine),) = self.engines.items()
            return engine.search(query, vectors.get(name), facets=facets)
        results: dict[str, SearchResult] = {}
        models: dict[str, object] = {}
        notes: list[str | None] = []
        for name, engine in self.engines.items():
            with self._leaving_out(name):
                mode, made = query.mode, engine.index.manifest
                if mode != "lexical" and engine.fault is not None:
                    if mode == "dense":
                        raise engine.fault.with_traceback(None)
                    mode = "lexical"
                    notes.append(f"{name} by BM25 alone: {engine.fault.message}")
                of_index = replace(query, mode=mode, order="relevance")
                results[name] = engine.search(of_index, vectors.get(name), facets=facets)
                by = made.model, made.revision, made.recipe_hash
                models[name] = None if mode == "lexical" else by
        self._check(results)
        mode = query.mode if any(models.values()) else "lexical"
        found = merged(results, query.k, mode, models, order=query.order)
        notes += [f"{name} is left out: {error.line()}" for name, error in self.failed.items()]
        return replace(found, note=_joined([found.note, *notes]))

    def explain(self, query: Query, hits: Sequence[Hit]) -> list[Explanation]:
        """Why hits were found, each by its own index, in their order."""
        reasons: dict[tuple[str, str], Explanation] = {}
        for name, engine in self.engines.items():
            of = [hit for hit in hits if hit.index in ("", name)]
            told = engine.explain(query, [hit.id for hit in of])
            reasons |= {hit.key: why for hit, why in zip(of, told, strict=True)}
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

    Documents that the query names come first; ties are broken by rank, then by the order of the
    indexes. A work that several indexes hold is one hit, the best one, which names the others. A
    single index gives its own ranking. Counts of facets are summed, a work once for each index.
    models: by name, what scored the hits of an index; order: of the best `k`, as of `Query`.
    """
    places = {name: place for place, name in enumerate(results)}
    hits = [replace(hit, index=name) for name, one in results.items() for hit in one.hits]
    scores = _scores(hits, mode, models)
    named = {hit.key for hit in hits if hit.rank <= results[hit.index].named}
    scores |= dict.fromkeys(named, max(scores.values(), default=0.0))

    def placed(hit: Hit) -> tuple[bool, float, int, int]:
        return hit.key not in named, -scores[hit.key], hit.rank, places[hit.index]

    works = [sorted(work, key=placed) for work in _works(hits)]
    if mode != "lexical" and len(set(models.values())) > 1:
        for work in works:
            by_model = {models[hit.index]: scores[hit.key] for hit in reversed(work)}
            scores[work[0].key] = fsum(by_model.values())
    ranking = sorted(works, key=lambda work: placed(work[0]))[:k]
    if order == "date":
        ranking.sort(key=lambda work: when(_document(work[0]))[1], reverse=True)
    fitting = [one.fitting for one in results.values() if one.fitting is not None]
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
        note=_joined(one.note for one in results.values()),
        named=sum(best.key in named for best, *_ in ranking),
    )  # fmt: skip


def _joined(notes: Iterable[str | None]) -> str | None:
    return "; ".join(dict.fromkeys(filter(None, notes))) or None


def _scores(
    hits: Sequence[Hit], mode: str, models: Mapping[str, object]
) -> dict[tuple[str, str], float]:
    """The score of each hit, comparable across the indexes."""
    if mode == "lexical":
        return {hit.key: hit.score for hit in hits}
    scores: dict[tuple[str, str], float] = {}
    for model in set(models.values()):
        group = [hit for hit in hits if models[hit.index] == model]
        found = [hit.score for hit in group]
        if mode == "hybrid" and len({hit.index for hit in group}) > 1:
            dense = _standardised([hit.scores.dense or 0.0 for hit in group])
            lexical = _standardised([hit.scores.lexical or 0.0 for hit in group])
            found = [sum(pair) for pair in zip(dense, lexical, strict=True)]
        if len(set(models.values())) > 1:
            ranking = sorted(range(len(group)), key=lambda at: (-found[at], group[at].rank))
            for rank, at in enumerate(ranking, start=1):
                found[at] = 1 / (_RANK_CONSTANT + rank)
        scores |= {hit.key: score for hit, score in zip(group, found, strict=True)}
    return scores


def _standardised(scores: Sequence[float]) -> list[float]:
    """In standard deviations above the mean; zeros where the scores do not vary."""
    if len(set(scores)) < 2:
        return [0.0] * len(scores)
    mean, spread = fmean(scores), pstdev(scores)
    return [(score - mean) / spread for score in scores]


def _document(hit: Hit) -> Document:
    return Document(hit.id, hit.title, hit.text, dict(hit.metadata))


def _works(hits: Iterable[Hit]) -> list[list[Hit]]:
    """The hits by work, at most one of an index. Equal ids and texts count only with equal titles:
    corpora that number their documents have equal ids."""
    works: list[list[tuple[Hit, Work, set[object]]]] = []
    known: dict[object, list[list[tuple[Hit, Work, set[object]]]]] = {}
    for hit in hits:
        record, text = Work(_document(hit)), fold(hit.text)
        told: set[object] = {(record.title, text)} if record.title or text.strip() else set()
        told |= {(record.title, "id", hit.id)} if record.title else set()
        keys = [*told, *record.keys()]
        near = (work for key in keys for work in known.get(key, ()))
        for work in near:
            if all(other.index != hit.index for other, *_ in work) and any(
                record.same_as(one) or (told & its and not record.contradicts(one))
                for _, one, its in work
            ):
                break
        else:
            works.append(work := [])
        work.append((hit, record, told))
        for key in keys:
            known.setdefault(key, []).append(work)
    return [[hit for hit, *_ in work] for work in works]


def _facets(results: Iterable[SearchResult]) -> tuple[Facet, ...]:
    """Facets with summed counts, sorted as in one index."""
    counts: dict[str, Counter[str]] = {}
    for facet in (facet for one in results for facet in one.facets):
        counts.setdefault(facet.field, Counter()).update(dict(facet.counts))

    def most(field: str) -> list[tuple[str, int]]:
        by_year = field == YEAR.name
        values = counts[field].items()
        return sorted(values, key=lambda one: (-(int(one[0]) if by_year else one[1]), one[0]))

    return tuple(Facet(field, tuple(most(field)[:MOST_VALUES])) for field in counts)
