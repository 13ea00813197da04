"""Whether a model that is here does what its recipe in the catalogue says: `doctor --model`.

Everything is computed in float32, as the published check vectors were; how close a processor's
quicker way comes is compared where that is prepared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bioretrieval_tui.catalog.models import CheckVector, Encoding
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.cross_encoder import load_cross_encoder
from bioretrieval_tui.encoding.encoder import BaseEncoder
from bioretrieval_tui.encoding.model_files import ModelFiles, source_of, weight_names
from bioretrieval_tui.encoding.recipe import ModelPart, SideName, parts_of, refuse_unsupported
from bioretrieval_tui.encoding.torch_modules import said_pooling
from bioretrieval_tui.errors import ModelError

TOLERANCE = 1e-3
"""How far a component may be from a published one, which is given in four digits."""
_SIDES: tuple[SideName, SideName] = ("query", "document")
_SAMPLE = Document(
    "",
    "Metformin in type 2 diabetes",
    "Metformin lowered glycated haemoglobin in adults with type 2 diabetes.",
)
_OTHER = Document("", "Bees of the Alps", "Wild bees were counted on two hundred meadows.")


@dataclass(frozen=True, slots=True)
class RecipeCheck:
    """One thing looked at: what it is, how it is, what was found, what to do."""

    name: str
    state: Literal["ok", "note", "missing"]
    value: str
    remedy: str | None = None


def check_model(
    model: str, recipe: Encoding, *, dimension: int | None = None
) -> Iterator[RecipeCheck]:
    """What is right and what is wrong with `model`, one line each; raises nothing for a user.

    dimension: what the catalogue says. A `missing` check is one that keeps the model from use.
    """
    try:
        yield from _checks(model, recipe, dimension)
    except ModelError as error:
        remedy = error.remedy or "get its files again, or correct its encoding in your overlay"
        yield RecipeCheck(model, "missing", error.message, remedy)


def _checks(model: str, recipe: Encoding, dimension: int | None) -> Iterator[RecipeCheck]:
    reranks = recipe.type == "cross-encoder"
    if not reranks:
        refuse_unsupported(model, recipe)
    if recipe.unverified:
        fields = ", ".join(recipe.unverified)
        yield RecipeCheck("recipe", "note", f"grade {recipe.grade}, not verified: {fields}")
    else:
        yield RecipeCheck("recipe", "ok", f"grade {recipe.grade}, every field has a source")
    yield from _version(recipe.requires)
    query, document = parts_of(model, recipe)
    if reranks:
        yield from _files(document, source_of(document, None).files())
        yield from _reranking(model, recipe)
        return
    found: dict[SideName, BaseEncoder] = {}
    for side, part in zip(_SIDES, (query, document), strict=True):
        if side == "document" and part == query:
            found[side] = found["query"]
            continue
        files = source_of(part, None).files()
        yield from _files(part, files)
        yield from _pooling(part, files)
        found[side] = _loaded(part, files)
    yield from _vectors(found, dimension)
    if recipe.check is not None:
        yield _published(found[recipe.check.side], recipe.check)


def _version(requires: str | None) -> Iterator[RecipeCheck]:
    name, _, wanted = (requires or "").partition("==")
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        here = version(name)
    except PackageNotFoundError:
        here = "not installed"
    if here != wanted:
        yield RecipeCheck(
            "versions", "note", f"its authors insist on {requires}; here it is {here}",
            "compare its scores with the published ones: bioretrieval-tui eval",
        )  # fmt: skip


def _files(part: ModelPart, files: ModelFiles) -> Iterator[RecipeCheck]:
    names = weight_names(files.folder)
    size = sum(path.stat().st_size for path in files.folder.glob("*.safetensors"))
    yield RecipeCheck(
        "files",
        "ok",
        f"{part.model}: {len(names)} weights, {size / 1e6:,.1f} MB of safetensors,"
        f" revision {files.revision[:19]}, in {files.folder}",
    )
    if files.adapter is not None:
        yield RecipeCheck("adapter", "ok", f"{part.adapter}, in {files.adapter}")


def _pooling(part: ModelPart, files: ModelFiles) -> Iterator[RecipeCheck]:
    """Whether the authors' own file, where there is one, pools as the recipe does."""
    said = said_pooling(files.folder)
    if said is None or part.recipe.pooling is None:
        return
    if said == part.recipe.pooling:
        yield RecipeCheck("pooling", "ok", f"{said}, as its own 1_Pooling/config.json says")
    else:
        yield RecipeCheck(
            "pooling", "missing",
            f"its own 1_Pooling/config.json says {said}, the recipe {part.recipe.pooling}",
            "correct `pooling` in its encoding in your overlay",
        )  # fmt: skip


def _loaded(part: ModelPart, files: ModelFiles) -> BaseEncoder:
    if part.recipe.type == "static":
        from bioretrieval_tui.encoding.static_encoder import load_static_encoder

        return load_static_encoder(part.model, files, part.recipe)
    from bioretrieval_tui.encoding.torch_encoder import load_torch_encoder

    return load_torch_encoder(part.model, files, part.recipe, "cpu", dtype="float32")


def _vectors(found: dict[SideName, BaseEncoder], dimension: int | None) -> Iterator[RecipeCheck]:
    queries = found["query"].plain_queries([_SAMPLE.title, _OTHER.title])
    documents = found["document"].plain_documents([_SAMPLE, _OTHER])
    for side, vectors in zip(_SIDES, (queries, documents), strict=True):
        width = vectors.shape[1]
        if dimension is not None and width != dimension:
            yield RecipeCheck(
                "dimension", "missing", f"{width} for a {side}, the catalogue says {dimension}",
                "get the files of the model that the catalogue means, or correct the entry",
            )  # fmt: skip
        else:
            yield RecipeCheck("dimension", "ok", f"{width} for a {side}")
        if np.allclose(vectors[0], vectors[1], atol=1e-4):
            yield RecipeCheck(
                "vectors", "missing", f"two unlike texts have one vector as a {side}",
                "get its files again",
            )  # fmt: skip
    yield _ranking(found["document"], queries, documents)


def _ranking(encoder: BaseEncoder, queries: np.ndarray, documents: np.ndarray) -> RecipeCheck:
    """Whether each of two titles finds its own text, which any retriever manages."""
    if encoder.similarity == "l2":
        scores = -((queries[:, None] - documents[None]) ** 2).sum(axis=2)
    else:
        scores = queries @ documents.T
    right = int((scores.argmax(axis=1) == np.arange(len(scores))).sum())
    if right == len(scores):
        return RecipeCheck("ranking", "ok", "each of two titles finds its own text")
    return RecipeCheck(
        "ranking", "note", f"{right} of 2 titles find their own text",
        "compare its scores with the published ones: bioretrieval-tui eval",
    )  # fmt: skip


def _published(encoder: BaseEncoder, check: CheckVector) -> RecipeCheck:
    if check.side == "query":
        vector = encoder.plain_queries([check.text])[0]
    else:
        vector = encoder.plain_documents([Document("", "", check.text)])[0]
    starts = np.array(check.starts, dtype=np.float32)
    found = vector[: len(starts)]
    said = ", ".join(f"{value:.4f}" for value in found)
    if len(found) == len(starts) and float(np.abs(found - starts).max()) <= TOLERANCE:
        return RecipeCheck(
            "check vector", "ok", f"{check.text!r} starts {said}, as its authors say"
        )
    published = ", ".join(f"{value:.4f}" for value in starts)
    return RecipeCheck(
        "check vector", "missing", f"{check.text!r} starts {said}, not {published}",
        "get its files again, or correct its encoding in your overlay",
    )  # fmt: skip


def _reranking(model: str, recipe: Encoding) -> Iterator[RecipeCheck]:
    encoder = load_cross_encoder(model, recipe, device="cpu")
    fitting, other = encoder.scores("metformin for type 2 diabetes", [_SAMPLE, _OTHER]).tolist()
    said = f"{fitting:.2f} for a fitting text, {other:.2f} for another"
    if fitting > other:
        yield RecipeCheck("scores", "ok", said)
    else:
        yield RecipeCheck("scores", "note", said, "get its files again, or correct its encoding")
