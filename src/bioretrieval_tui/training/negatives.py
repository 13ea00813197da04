"""Hard negatives: documents that a search finds for a query and that do not answer it.

They are mined with any search of an index: BM25, dense or hybrid, by the index's own model. What
may be an unjudged answer is kept out by four guards: the positives of the query in all examples,
other copies of them, a window of ranks, and a margin below the score of the positive (the
`TopK-PercPos` of NV-Retriever, Moreira et al. 2024, section 4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.duplicates import Work, is_bibliographic
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import places, save_file
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.search import batch
from bioretrieval_tui.search.federated import Federation
from bioretrieval_tui.search.types import Query
from bioretrieval_tui.training.examples import Example, text_of
from bioretrieval_tui.training.hyperparameters import RunSettings
from bioretrieval_tui.util.folding import equal_key

_FOLDER = "negatives"


class Mined(msgspec.Struct, frozen=True):
    """Examples with their negatives. found: of how many queries; lacking: examples without any;
    kept_out: documents that a guard kept out, by the guard."""

    examples: tuple[Example, ...]
    found: int
    lacking: int
    kept_out: dict[str, int]

    def line(self) -> str:
        """The outcome in one sentence."""
        out = ", ".join(f"{count:,} {why}" for why, count in self.kept_out.items() if count)
        lacking = f"; {self.lacking:,} examples have none" if self.lacking else ""
        return f"hard negatives for {self.found:,} queries{lacking}; kept out: {out or 'none'}"


def mine(
    examples: Sequence[Example], index: Federation, settings: RunSettings, reporter: Reporter
) -> Mined:
    """The examples with `negatives_each` documents of the index as negatives; those that an example
    has already come first. Without `negatives_margin` no score keeps a document out. The rankings
    are kept, so that the next run searches nothing. Raises as searching does."""
    each, last = settings.negatives_each or 1, settings.negatives_last or 50
    first, margin = settings.negatives_first or 1, settings.negatives_margin
    by_query: dict[str, list[Example]] = {}
    for one in examples:
        by_query.setdefault(one.query, []).append(one)
    most = max(len(group) for group in by_query.values())
    rankings = _ranked(list(by_query), index, settings, last + most, reporter)
    documents = next(iter(index.engines.values())).index.documents
    kept_out = {"positives": 0, "copies of a positive": 0, "ranks": 0, "scores": 0}
    found: list[Example] = []
    lacking = 0
    for query, group in by_query.items():
        ids = {one.positive.id for one in group}
        texts = {equal_key(text_of(one.positive)) for one in group}
        works = [Work(one.positive) for one in group if is_bibliographic(one.positive)]
        scores = [score for name, score in rankings[query] if name in ids]
        guarded = margin is not None and scores and scores[-1] > 0
        highest = scores[-1] * (1 - (margin or 0.0)) if guarded else None
        candidates: list[str] = []
        rank = 0
        for name, score in rankings[query]:
            if name in ids:
                kept_out["positives"] += 1
                continue
            rank += 1
            if not first <= rank <= last:
                kept_out["ranks"] += rank < first
            elif highest is not None and score > highest:
                kept_out["scores"] += 1
            else:
                candidates.append(name)
        labels = documents.labels(candidates)
        chosen: list[Document] = []
        for name in candidates:
            if len(chosen) == each:
                break
            (document,) = documents.get([labels[name]])
            same = equal_key(text_of(document)) in texts
            if not same and works and is_bibliographic(document):
                same = any(Work(document).same_as(work) for work in works)
            if same:
                kept_out["copies of a positive"] += 1
            else:
                chosen.append(document)
        for one in group:
            all_ = (*one.negatives, *chosen)[: max(each, len(one.negatives))]
            if one.scores and one.negatives:  # what is mined has none
                all_ = one.negatives
            lacking += not all_
            found.append(one._replace(negatives=all_))
    return Mined(tuple(found), len(by_query), lacking, kept_out)


Ranked = dict[str, list[tuple[str, float]]]


def _ranked(
    queries: Sequence[str],
    index: Federation,
    settings: RunSettings,
    depth: int,
    reporter: Reporter,
) -> Ranked:
    """The best documents of each query, from the cache where they are kept."""
    mode = settings.negatives_by or "dense"
    made = [engine.index.manifest for engine in index.engines.values()]
    facts = [[one.name, one.built, one.documents, one.recipe_hash, one.revision] for one in made]
    key = hashlib.sha256(msgspec.json.encode([queries, mode, depth, facts])).hexdigest()
    path = places().cache / _FOLDER / f"{key[:32]}.json"
    if (kept := _kept(path)) is not None and kept.keys() >= set(queries):
        return kept
    if mode != "lexical":
        index.load(reporter)
    asked = [(text, Query(text=text, mode=mode, k=depth)) for text in queries]
    found: Ranked = {}
    for query, ranking in batch.answers(index, asked, index.rank):
        found[query] = list(ranking)
        reporter(Progress("mining negatives", len(found), len(queries), unit="queries"))
    save_file(path, msgspec.json.encode(found), "the mined negatives")
    return found


def _kept(path: Path) -> Ranked | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ranked)
    except (OSError, msgspec.DecodeError, BioRetrievalError):
        return None
