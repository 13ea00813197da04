"""Check that a local model does what its recipe in the catalogue says: `doctor --model`.

Everything is computed in float32, as the published check vectors were; `openvino_export` compares
other precisions with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import numpy as np

from bioretrieval_tui.catalog.models import CheckVector, Encoding
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.cross_encoder import load_cross_encoder
from bioretrieval_tui.encoding.encoder import BaseEncoder
from bioretrieval_tui.encoding.model_files import ModelFiles, source_of, weight_names
from bioretrieval_tui.encoding.recipe import ModelPart, SideName, parts_of, refuse_unsupported
from bioretrieval_tui.encoding.torch_modules import stated_pooling
from bioretrieval_tui.errors import ModelError

TOLERANCE = 1e-3
"""Largest difference to a component of a published vector, which has four digits."""
_SIDES: tuple[SideName, SideName] = ("query", "document")
_SAMPLE = Document(
    "",
    "Metformin in type 2 diabetes",
    "Metformin lowered glycated haemoglobin in adults with type 2 diabetes.",
)
_OTHER = Document("", "Bees of the Alps", "Wild bees were counted on two hundred meadows.")


@dataclass(frozen=True, slots=True)
class RecipeCheck:
    """One check: its name, its state, what was found, and the remedy."""

    name: str
    state: Literal["ok", "note", "missing"]
    value: str
    remedy: str | None = None


def check_model(
    model: str, recipe: Encoding, *, dimension: int | None = None
) -> Iterator[RecipeCheck]:
    """The checks of `model`; faults are checks too, not errors.

    dimension: from the catalogue. A check in state `missing` prevents the use of the model.
    """
    try:
        yield from _checks(model, recipe, dimension)
    except ModelError as error:
        remedy = error.remedy or "get its files again, or correct its encoding in your overlay"
        yield RecipeCheck(model, "missing", error.message, remedy)


_COMPARE = "compare its scores with the published ones: bioretrieval-tui eval"
_FETCH_OR_CORRECT = "get its files again, or correct its encoding"


def _checks(model: str, recipe: Encoding, dimension: int | None) -> Iterator[RecipeCheck]:
    reranks = recipe.type == "cross-encoder"
    if not reranks:
        refuse_unsupported(model, recipe)
    if recipe.unverified:
        fields = ", ".join(recipe.unverified)
        yield RecipeCheck("recipe", "note", f"grade {recipe.grade}, not verified: {fields}")
    else:
        yield RecipeCheck("recipe", "ok", f"grade {recipe.grade}, every field has a source")
    package, _, wanted = (recipe.requires or "").partition("==")
    if wanted:
        try:
            here = version(package)
        except PackageNotFoundError:
            here = "not installed"
        if here != wanted:
            said = f"its authors require {recipe.requires}; here it is {here}"
            yield RecipeCheck("versions", "note", said, _COMPARE)
    query, document = parts_of(model, recipe)
    if reranks:
        yield from _files(document, source_of(document, None).files())
        encoder = load_cross_encoder(model, recipe, device="cpu")
        query_text = "metformin for type 2 diabetes"
        fitting, other = encoder.scores(query_text, [_SAMPLE, _OTHER]).tolist()
        said = f"{fitting:.2f} for a relevant text, {other:.2f} for another"
        if fitting > other:
            yield RecipeCheck("scores", "ok", said)
        else:
            yield RecipeCheck("scores", "note", said, _FETCH_OR_CORRECT)
        return
    found: dict[SideName, BaseEncoder] = {}
    for side, part in zip(_SIDES, (query, document), strict=True):
        if side == "document" and part == query:
            found[side] = found["query"]
            continue
        files = source_of(part, None).files()
        yield from _files(part, files)
        pooling, stated = part.recipe.pooling, stated_pooling(files.folder)
        where = "its own 1_Pooling/config.json says"
        if stated is not None and stated == pooling:
            yield RecipeCheck("pooling", "ok", f"{pooling}, as {where}")
        elif stated is not None and pooling is not None:
            said = f"{where} {stated}, the recipe {pooling}"
            remedy = "correct `pooling` in its encoding in your overlay"
            yield RecipeCheck("pooling", "missing", said, remedy)
        found[side] = _loaded(part, files)
    yield from _vectors(found, dimension)
    if recipe.check is not None:
        yield _published(found[recipe.check.side], recipe.check)


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
            said = f"{width} for a {side}, the catalogue says {dimension}"
            remedy = "get the files of the model that the catalogue means, or correct the entry"
            yield RecipeCheck("dimension", "missing", said, remedy)
        else:
            yield RecipeCheck("dimension", "ok", f"{width} for a {side}")
        if np.allclose(vectors[0], vectors[1], atol=1e-4):
            said = f"two different texts have the same vector as a {side}"
            yield RecipeCheck("vectors", "missing", said, "get its files again")
    if found["document"].similarity == "l2":
        scores = -((queries[:, None] - documents[None]) ** 2).sum(axis=2)
    else:
        scores = queries @ documents.T
    right = int((scores.argmax(axis=1) == np.arange(2)).sum())
    if right == 2:
        yield RecipeCheck("ranking", "ok", "each of two titles finds its own text")
    else:
        yield RecipeCheck("ranking", "note", f"{right} of 2 titles find their own text", _COMPARE)


def _published(encoder: BaseEncoder, check: CheckVector) -> RecipeCheck:
    if check.side == "query":
        vector = encoder.plain_queries([check.text])[0]
    else:
        vector = encoder.plain_documents([Document("", "", check.text)])[0]
    starts = np.array(check.starts, dtype=np.float32)
    found = vector[: len(starts)]
    said, published = (", ".join(f"{value:.4f}" for value in one) for one in (found, starts))
    said = f"{check.text!r} starts {said}"
    if len(found) == len(starts) and float(np.abs(found - starts).max()) <= TOLERANCE:
        return RecipeCheck("check vector", "ok", f"{said}, as its authors say")
    remedy = f"{_FETCH_OR_CORRECT} in your overlay"
    return RecipeCheck("check vector", "missing", f"{said}, not {published}", remedy)
