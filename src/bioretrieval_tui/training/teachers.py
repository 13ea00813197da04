"""Teachers: scores of the positive and the negatives of each example, for a student to learn.

A teacher is the search of an index (hybrid, dense or lexical) or a model: a bi-encoder or a
cross-encoder. Its scores are kept, a file for some hundred examples, so that another run asks
nothing and a run that was killed asks for the rest.

What a student learns is the difference between the teacher's scores of two documents for one query:
the margin (Hofstaetter et al. 2020, arXiv 2010.02666), or the distribution over the documents of a
query (Lin, Yang and Lin 2020, arXiv 2010.11386). Both papers leave the teacher's scale as it is,
since their students compare by inner products of any size. A cosine cannot follow margins of ten,
and a search counts in standard deviations, BM25 in sums. So all scores of a run are multiplied by
one factor, by which the teacher's margins are as large as the base's own, as root mean square over
some examples. Normalising within a query, as fusion does, would lose what is to be learnt: of one
positive and one negative any two scores become 1 and 0.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bioretrieval_tui.catalog.models import Encoding, TrainingSettings
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.encoder_registry import load_encoder, recipe_of
from bioretrieval_tui.encoding.model_files import files_of
from bioretrieval_tui.encoding.recipe import (
    ModelPart,
    parts_of,
    recipe_hash,
    recipe_of_folder,
    reranking_recipe,
)
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.paths import places, save_file
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.search import batch
from bioretrieval_tui.search.federated import Federation
from bioretrieval_tui.search.hybrid import Floats
from bioretrieval_tui.search.types import Query
from bioretrieval_tui.training.examples import Example

SEARCHES = ("hybrid", "dense", "lexical")
"""Teachers that are the search of the index that negatives are mined from."""
DISTILLED = ("margin-mse", "kl")
"""Losses that need the scores of a teacher."""
_FOLDER = "teachers"
_BLOCK = 256
"""Examples whose scores are kept in one file."""
_MEASURED = 64
"""Examples by which the factor of the scores is found."""

Rows = list[list[float]]
"""Scores of examples: of the positive, then of each negative."""


class Teacher(NamedTuple):
    """What gives scores. name: for people; facts: all on which its scores depend beside the texts;
    score: of some examples, loading what it needs at the first call."""

    name: str
    facts: Sequence[Any]
    score: Callable[[Sequence[Example], Reporter], Rows]


class Taught(NamedTuple):
    """Examples with scores; scores: how many; asked: how many of them were not known."""

    examples: list[Example]
    teacher: str
    scores: int
    asked: int

    def line(self) -> str:
        """What was done, in one sentence."""
        known = "" if self.asked == self.scores else f", {self.scores - self.asked:,} of them known"
        return f"{self.scores:,} scores by {self.teacher}{known}"


def has_scores(one: Example) -> bool:
    """Whether an example has a score for each of its documents."""
    return bool(one.scores) and len(one.scores) == 1 + len(one.negatives)


def check_teacher(
    settings: TrainingSettings,
    model: str,
    encoding: Encoding | None,
    examples: Sequence[Example],
    index: str,
) -> None:
    """Refuse a loss that lacks scores, before any work. model, encoding: of a teacher that is a
    model, "" for none. Raises UsageError: no teacher is named and the examples have no scores, or
    the named search has no index; ModelError: the teacher's files are not here, or it gives no
    scores."""
    if settings.loss not in DISTILLED or all(one.scores for one in examples):
        return
    if settings.teacher is None:
        said = f"the loss {settings.loss} needs the scores of a teacher, which these pairs lack"
        remedy = "--set teacher=hybrid, or the name of a model; or pairs with a list of scores"
        raise UsageError(said, remedy=remedy)
    if settings.teacher in SEARCHES and not index:
        said = f"the teacher {settings.teacher} is the search of an index, and pairs of a file"
        remedy = "name a model as teacher, or give scores in the file"
        raise UsageError(f"{said} have none", remedy=remedy)
    if settings.teacher not in SEARCHES:
        model_teacher(model, encoding, "cpu", settings.teacher)


def search_teacher(index: Federation, mode: str) -> Teacher:
    """The search of one index. It scores the documents as the index holds them, also where a pair
    shows a part of one."""
    ((name, engine),) = index.engines.items()
    made = engine.index.manifest
    facts = [mode, name, made.built, made.documents, made.recipe_hash, made.revision]

    def score(examples: Sequence[Example], reporter: Reporter) -> Rows:
        if mode != "lexical":
            index.load(reporter)
        wanted: dict[str, dict[str, None]] = {}
        for one in examples:
            ids = dict.fromkeys(document.id for document in (one.positive, *one.negatives))
            wanted.setdefault(one.query, {}).update(ids)

        def of(query: Query, vectors: Mapping[str, Floats]) -> dict[str, float]:
            return engine.scores_of(query, list(wanted[query.text]), vectors.get(name))

        asked = [(text, Query(text=text, mode=mode)) for text in wanted]
        found = dict(batch.answers(index, asked, of))
        return [[found[one.query][document.id] for document in (one.positive, *one.negatives)]
                for one in examples]  # fmt: skip

    return Teacher(f"{mode} search of {name}", facts, score)


def model_teacher(model: str, encoding: Encoding | None, device: str, name: str) -> Teacher:
    """A model as teacher: cosine or inner product of a bi-encoder, raw logits of a cross-encoder.
    It reads the texts of the pairs. model, encoding: hub id or folder, and recipe; name: for
    people. Raises ModelError: its files are not here, or it gives no scores."""
    recipe = encoding or recipe_of_folder(Path(model).expanduser())
    if recipe is not None and recipe.type == "cross-encoder":
        return _cross_encoder(model, recipe, device, name)
    recipe = recipe_of(model, encoding)
    query, document = parts_of(model, recipe)
    revisions = [files_of(query).revision, files_of(document).revision]

    def score(examples: Sequence[Example], reporter: Reporter) -> Rows:
        encoder = load_encoder(model, recipe, device=device, reporter=reporter)
        texts = {one.query: None for one in examples}
        documents: dict[tuple[str, str], Document] = {}
        for each in (document for one in examples for document in (one.positive, *one.negatives)):
            documents.setdefault((each.title, each.text), each)
        queries = dict(zip(texts, encoder.encode_queries(list(texts)), strict=True))
        vectors = encoder.encode_documents(list(documents.values()))
        at = dict(zip(documents, vectors, strict=True))
        return [[float(queries[one.query] @ at[each.title, each.text])
                 for each in (one.positive, *one.negatives)] for one in examples]  # fmt: skip

    return Teacher(name, [model, revisions, recipe_hash(recipe)], score)


def _cross_encoder(model: str, recipe: Encoding, device: str, name: str) -> Teacher:
    from bioretrieval_tui.encoding.cross_encoder import load_cross_encoder

    reranking_recipe(model, recipe)
    revision = files_of(ModelPart(model, None, recipe)).revision

    def score(examples: Sequence[Example], reporter: Reporter) -> Rows:
        encoder = load_cross_encoder(model, recipe, device=device, reporter=reporter)
        pairs = [(one.query, document) for one in examples
                 for document in (one.positive, *one.negatives)]  # fmt: skip
        left = iter(encoder.pair_scores(pairs).tolist())
        return [[next(left) for _ in range(1 + len(one.negatives))] for one in examples]

    return Teacher(name, [model, revision, recipe_hash(recipe)], score)


def teach(examples: Sequence[Example], teacher: Teacher, reporter: Reporter) -> Taught:
    """The examples with the teacher's scores, from the cache where they are kept. Raises as loading
    the teacher and searching do, and what `reporter` raises."""
    found: list[Example] = []
    count = asked = 0
    for start in range(0, len(examples), _BLOCK):
        block = examples[start : start + _BLOCK]
        sizes = [1 + len(one.negatives) for one in block]
        path = _place(block, teacher)
        rows = _kept(path)
        if rows is None or [len(row) for row in rows] != sizes:
            rows = teacher.score(block, reporter)
            save_file(path, msgspec.json.encode(rows), "the scores of the teacher")
            asked += sum(sizes)
        count += sum(sizes)
        found += [one._replace(scores=tuple(row)) for one, row in zip(block, rows, strict=True)]
        reporter(Progress("asking the teacher", len(found), len(examples), unit="examples"))
    return Taught(found, teacher.name, count, asked)


def _place(examples: Sequence[Example], teacher: Teacher) -> Path:
    """The file for these examples' scores, named by a hash of teacher and texts."""
    texts = [
        [one.query, *([each.id, each.title, each.text] for each in (one.positive, *one.negatives))]
        for one in examples
    ]
    key = hashlib.sha256(msgspec.json.encode([teacher.facts, texts])).hexdigest()
    return places().cache / _FOLDER / f"{key[:32]}.json"


def _kept(path: Path) -> Rows | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Rows)
    except (OSError, msgspec.DecodeError, BioRetrievalError):
        return None


def score_factor(
    own: Callable[[Sequence[str], Sequence[str]], Any] | None, columns: Mapping[str, Sequence[Any]]
) -> float:
    """The factor by which a teacher's margins are as large as the base's own, as root mean square.

    own: the base's scores, float (n,), of n queries and n documents as texts; None for a base that
    has none yet, whose margins are to become 1; columns: of the training set, `label` holds the
    teacher's scores, positive first. Raises UsageError: the teacher scores the documents of every
    query alike."""
    labels = columns["label"][:_MEASURED]
    taught = _spread(labels)
    if not taught > 0:
        said = "the teacher gives the documents of each query one score: there is nothing to learn"
        raise UsageError(said, remedy="choose another teacher, or more negatives_each")
    if own is None:
        return 1 / taught
    names = [name for name in columns if name not in ("anchor", "label")]
    scores = [own(columns["anchor"][:_MEASURED], columns[name][:_MEASURED]) for name in names]
    mine = _spread([[float(one) for one in row] for row in zip(*scores, strict=True)])
    return mine / taught if mine > 0 else 1.0


def rescale(columns: Mapping[str, list[Any]], factor: float) -> None:
    """Multiply the scores among the columns, in place."""
    columns["label"][:] = [[factor * one for one in row] for row in columns["label"]]


def _spread(rows: Sequence[Sequence[float]]) -> float:
    """The root mean square of the first score of each row minus each of the others."""
    margins = [row[0] - other for row in rows for other in row[1:]]
    return math.sqrt(math.fsum(one * one for one in margins) / max(1, len(margins)))
