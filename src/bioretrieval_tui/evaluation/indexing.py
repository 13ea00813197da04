"""The index of a benchmark: named by what it is made of, so that it is built once and found again.

It is an index like any other: it is listed, searched and removed with the others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from bioretrieval_tui.catalog.entries import Encoding
from bioretrieval_tui.corpus.reading import ReadOptions, ReadSettings
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import (
    load_encoder,
    load_query_encoder,
    prepare_query_encoder,
)
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import CorpusError, IndexFault, NotFoundError
from bioretrieval_tui.evaluation.benchmark import Benchmark
from bioretrieval_tui.evaluation.records import slug
from bioretrieval_tui.index.build import build_from, build_lexical
from bioretrieval_tui.index.intake import feed_files
from bioretrieval_tui.index.registry import manifest_of, open_index
from bioretrieval_tui.index.vectorise import ModelFacts, embedded_facts, facts_of
from bioretrieval_tui.progress import Reporter, silent

_PREFIX = "eval"


@dataclass(frozen=True, slots=True)
class Ensured:
    """An index for a benchmark is there; `built`: it was made now."""

    name: str
    built: bool


def ensure_index(
    benchmark: Benchmark,
    model: str = embedded.MODEL_ID,
    recipe: Encoding | None = None,
    *,
    vectors: bool = True,
    device: str = "auto",
    reporter: Reporter = silent,
) -> Ensured:
    """Make sure that there is an index over the corpus of `benchmark` by `model`.

    vectors: False where BM25 is all that is run: an index without vectors will do then, nothing
    is encoded and no model is loaded.

    One that was built from the same bytes by the same model, revision and recipe is taken; one
    that is damaged or was changed since is built again. A build that is cut short goes on where
    its vectors end.

    Raises:
        CorpusError: a line of the corpus is malformed; it is named. ModelError: the model is not
            here, or how it encodes is not known. IndexFault: the index cannot be written.
            Whatever `reporter` raises. In every case no index has changed.
    """
    facts = _facts(model, recipe, device, reporter) if vectors else _named(model, recipe)
    identity = _identity(benchmark, facts)
    name = f"{_PREFIX}-{slug(benchmark.name, 40) or 'benchmark'}-{identity[:8]}"
    if _is_there(name, identity, benchmark.corpus_sha256, vectors=vectors):
        return Ensured(name, built=False)
    feed = feed_files([benchmark.parts.corpus], ReadSettings("beir", ReadOptions(), strict=True))
    try:
        if vectors:
            outcome = build_from(
                name,
                feed,
                lambda: load_encoder(model, recipe, device=device, reporter=reporter),
                reporter=reporter,
                fingerprint=identity,
            )
        else:
            outcome = build_lexical(name, feed, facts, reporter=reporter, fingerprint=identity)
    except CorpusError as error:
        # An index of one's own may do without a record; a figure may not.
        if "--strict" not in (error.remedy or ""):
            raise
        raise CorpusError(error.message, remedy="mend the corpus") from error
    if [file.sha256 for file in outcome.manifest.inputs] != [benchmark.corpus_sha256]:
        raise CorpusError(
            f"{benchmark.parts.corpus} changed while it was read",
            remedy="try again when nothing writes to it",
        )
    if vectors:
        prepare_query_encoder(model, recipe, reporter=reporter)
    return Ensured(name, built=True)


def _facts(model: str, recipe: Encoding | None, device: str, reporter: Reporter) -> ModelFacts:
    """What the vectors of the corpus depend on."""
    if model == embedded.MODEL_ID and recipe is None:
        return embedded_facts()
    # Only its files tell the revision, and a run needs this encoder anyway.
    return facts_of(load_query_encoder(model, recipe, device=device, reporter=reporter))


def _named(model: str, recipe: Encoding | None) -> ModelFacts:
    """A model by its name alone: BM25 does not depend on its files, which need not be here."""
    facts = embedded_facts()
    if model == embedded.MODEL_ID and recipe is None:
        return facts
    recipe = recipe or facts.recipe
    return msgspec.structs.replace(
        facts, model=model, revision="", recipe=recipe, recipe_hash=recipe_hash(recipe)
    )


def _identity(benchmark: Benchmark, facts: ModelFacts) -> str:
    """Hex SHA-256 of everything that a vector of the corpus depends on."""
    parts = "\n".join((benchmark.corpus_sha256, facts.model, facts.revision, facts.recipe_hash))
    return hashlib.sha256(parts.encode("utf-8", "surrogateescape")).hexdigest()


def _is_there(name: str, identity: str, corpus: str, *, vectors: bool) -> bool:
    try:
        manifest = manifest_of(name)
        if manifest.fingerprint != identity or [f.sha256 for f in manifest.inputs] != [corpus]:
            return False
        open_index(name, vectors=vectors).close()
    except (NotFoundError, IndexFault):
        return False
    return True
