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
from itertools import chain
from math import fsum
from statistics import fmean, pstdev

from msgspec.structs import replace

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.duplicates import Work
from bioretrieval_tui.errors import (
    BioRetrievalError,
    FilterError,
    InterruptedByUser,
    VectorsMissing,
)
from bioretrieval_tui.index.metadata_fields import YEAR, pairs, schema_of, when
from bioretrieval_tui.progress import Reporter, silent
from bioretrieval_tui.query import parse
from bioretrieval_tui.search.engine import FACETS, MOST_VALUES, SearchEngine
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
            with _leaving_out(name, self.failed):
                self.engines[name] = open_one(name)
        if not self.engines:
            raise next(iter(self.failed.values()))
        self.several = len(self.engines) + len(self.failed) > 1

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
        failed = dict(self.failed)
        found = self._found(query, vectors, failed)
        if facets:
            counted = self._facets(query, vectors, found, failed)
            found = replace(found, facets=counted, among=len(found.hits))
        notes = [f"{name} is left out: {_why(error)}" for name, error in failed.items()]
        return replace(found, note=_joined([found.note, *notes]), left_out=tuple(failed))

    def _found(
        self,
        query: Query,
        vectors: Mapping[str, Floats],
        failed: dict[str, BioRetrievalError],
        without: str = "",
    ) -> SearchResult:
        """The hits of the indexes that have not failed; those that do are added to `failed`.
        without: as of `SearchEngine.search`."""
        results: dict[str, SearchResult] = {}
        models: dict[str, object] = {}
        notes: list[str | None] = []
        for name, engine in self.engines.items():
            if name in failed:
                continue
            with _leaving_out(name, failed):
                mode, made, note = query.mode, engine.index.manifest, None
                if mode != "lexical" and engine.fault is not None:
                    if mode == "dense":
                        raise engine.fault.with_traceback(None)
                    mode = "lexical"
                    note = f"{name} by BM25 alone: {_why(engine.fault, remedy=False)}"
                of_index = replace(query, mode=mode, order="relevance")
                vector = vectors.get(name)
                results[name] = engine.search(of_index, vector, facets=False, without=without)
                by = made.model, made.revision, made.recipe_hash
                models[name] = None if mode == "lexical" else by
                notes.append(note)
        if not results:
            raise self._fault(query, failed)
        mode = query.mode if any(models.values()) else "lexical"
        found = merged(results, query.k, mode, models, order=query.order)
        return replace(found, note=_joined([found.note, *notes]))

    def _fault(self, query: Query, failed: Mapping[str, BioRetrievalError]) -> BioRetrievalError:
        """Why no index answers; a filter is read again with the fields of all of them."""
        if any(isinstance(error, FilterError) for error in failed.values()):
            fields = [one.index.fields.schema.fields for one in self.engines.values()]
            try:
                parse(query.where, schema_of(one.name for one in chain.from_iterable(fields)))
            except FilterError as error:
                return error
        return next(iter(failed.values()))

    def _facets(
        self,
        query: Query,
        vectors: Mapping[str, Floats],
        found: SearchResult,
        failed: dict[str, BioRetrievalError],
    ) -> tuple[Facet, ...]:
        """The values of the hits; those of a field that the filter names are counted in the hits
        without that condition, as one index does."""
        engines = [engine for name, engine in self.engines.items() if name not in failed]
        facets = []
        for field in FACETS:
            hits = found.hits
            if any(engine.narrows(query.where, field) for engine in engines):
                hits = self._found(query, vectors, failed, field).hits
            if counts := _counts(hits, field):
                facets.append(Facet(field, tuple(counts[:MOST_VALUES])))
        return tuple(facets)

    def explain(self, query: Query, hits: Sequence[Hit]) -> list[Explanation]:
        """Why hits were found, each by its own index, in their order."""
        reasons: dict[tuple[str, str], Explanation] = {}
        for name, engine in self.engines.items():
            of = [hit for hit in hits if hit.index in ("", name)]
            told = engine.explain(query, [hit.id for hit in of])
            reasons |= {hit.key: why for hit, why in zip(of, told, strict=True)}
        return [reasons[hit.key] for hit in hits]


@contextlib.contextmanager
def _leaving_out(name: str, failed: dict[str, BioRetrievalError]) -> Iterator[None]:
    try:
        yield
    except InterruptedByUser:
        raise
    except BioRetrievalError as error:
        failed[name] = error


def _why(error: BioRetrievalError, *, remedy: bool = True) -> str:
    """Why an index is left out, in short; the remedy of a filter is of no use to the others."""
    if isinstance(error, VectorsMissing):
        return "no vectors"
    return error.line() if remedy and not isinstance(error, FilterError) else error.message


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
    single index gives its own ranking.
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
    by_ranks = mode != "lexical" and len(set(models.values())) > 1
    if by_ranks:
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
                best, rank=rank, score=scores[best.key], by_ranks=by_ranks,
                also=tuple(sorted((hit.index for hit in others), key=places.__getitem__)),
            )
            for rank, (best, *others) in enumerate(ranking, start=1)
        ),
        fitting=sum(fitting) if fitting else None,
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


def _counts(hits: Iterable[Hit], field: str) -> list[tuple[str, int]]:
    """How many of the hits have each value of a field, sorted as in one index."""
    counts: Counter[str] = Counter()
    for hit in hits:
        if field == YEAR.name:
            counts.update([] if hit.year is None else [str(hit.year)])
        else:
            counts.update({value for name, value in pairs(_document(hit)) if name == field})
    by_year = field == YEAR.name
    return sorted(counts.items(), key=lambda one: (-(int(one[0]) if by_year else one[1]), one[0]))
