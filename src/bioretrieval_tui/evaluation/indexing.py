"""The index of a benchmark: named by what it is made of, so that it is built once and found again.

It is an index like any other: it is listed, searched and removed with the others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.source import ReadOptions, ReadSettings
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
from bioretrieval_tui.index.build import build_from
from bioretrieval_tui.index.intake import feed_files
from bioretrieval_tui.index.registry import manifest_of, open_index
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
    device: str = "auto",
    reporter: Reporter = silent,
) -> Ensured:
    """Make sure that there is an index over the corpus of `benchmark` by `model`.

    One that was built from the same bytes by the same model, revision and recipe is taken; one
    that is damaged or was changed since is built again. A build that is cut short goes on where
    its vectors end.

    Raises:
        CorpusError: a line of the corpus is malformed; it is named. ModelError: the model is not
            here, or how it encodes is not known. IndexFault: the index cannot be written.
            Whatever `reporter` raises. In every case no index has changed.
    """
    identity = _identity(benchmark, model, recipe, device, reporter)
    name = f"{_PREFIX}-{slug(benchmark.name, 40) or 'benchmark'}-{identity[:8]}"
    if _is_there(name, identity, benchmark.corpus_sha256):
        return Ensured(name, built=False)
    feed = feed_files([benchmark.parts.corpus], ReadSettings("beir", ReadOptions(), strict=True))
    try:
        outcome = build_from(
            name,
            feed,
            lambda: load_encoder(model, recipe, device=device, reporter=reporter),
            reporter=reporter,
            fingerprint=identity,
        )
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
    prepare_query_encoder(model, recipe, reporter=reporter)
    return Ensured(name, built=True)


def _identity(
    benchmark: Benchmark, model: str, recipe: Encoding | None, device: str, reporter: Reporter
) -> str:
    """Hex SHA-256 of everything that a vector of the corpus depends on."""
    if model == embedded.MODEL_ID and recipe is None:
        revision, hashed = embedded.REVISION, recipe_hash(embedded.RECIPE)
    else:
        # Only its files tell the revision, and a run needs this encoder anyway.
        encoder = load_query_encoder(model, recipe, device=device, reporter=reporter)
        revision, hashed = encoder.revision, encoder.recipe_hash
    parts = "\n".join((benchmark.corpus_sha256, model, revision, hashed))
    return hashlib.sha256(parts.encode("utf-8", "surrogateescape")).hexdigest()


def _is_there(name: str, identity: str, corpus: str) -> bool:
    try:
        manifest = manifest_of(name)
        if manifest.fingerprint != identity or [f.sha256 for f in manifest.inputs] != [corpus]:
            return False
        open_index(name).close()
    except (NotFoundError, IndexFault):
        return False
    return True
