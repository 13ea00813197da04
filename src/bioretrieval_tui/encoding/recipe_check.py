"""Check that a local model does what its recipe in the catalogue says (`doctor --model`), in
float32, as the published check vectors were; `openvino_encoder` compares other precisions with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, NamedTuple

import numpy as np

from bioretrieval_tui.catalog.models import CheckVector, Encoding
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.cross_encoder import load_cross_encoder
from bioretrieval_tui.encoding.encoder import Encoder, Engine
from bioretrieval_tui.encoding.model_files import ModelFiles, files_of, weight_names
from bioretrieval_tui.encoding.recipe import (
    SIDES,
    ModelPart,
    SideName,
    parts_of,
    refuse_unsupported,
)
from bioretrieval_tui.encoding.static_encoder import StaticEngine
from bioretrieval_tui.encoding.torch_encoder import load_torch_engine
from bioretrieval_tui.encoding.torch_modules import stated_pooling
from bioretrieval_tui.errors import ModelError

State = Literal["ok", "note", "missing"]
TOLERANCE = 1e-3
"""Largest difference to a component of a published vector, which has four digits."""
_ABOUT = "Metformin lowered glycated haemoglobin in adults with type 2 diabetes."
_SAMPLES = [
    Document("", "Metformin in type 2 diabetes", _ABOUT),
    Document("", "Bees of the Alps", "Wild bees were counted on two hundred meadows."),
]
_COMPARE = "compare its scores with the published ones: bioretrieval-tui eval"
_FETCH_OR_CORRECT = "get its files again, or correct its encoding"


class RecipeCheck(NamedTuple):
    name: str
    state: State
    value: str
    remedy: str | None = None


def check_model(
    model: str, recipe: Encoding, *, dimension: int | None = None
) -> Iterator[RecipeCheck]:
    """The checks of `model`; faults are checks too, not errors. dimension: from the catalogue. A
    check in state `missing` prevents the use of the model."""
    try:
        if recipe.type != "cross-encoder":
            refuse_unsupported(model, recipe)
        yield from _about_recipe(recipe)
        query, document = parts_of(model, recipe)
        if recipe.type == "cross-encoder":
            yield from _about_files(document, files_of(document))
            encoder = load_cross_encoder(model, recipe, device="cpu")
            fitting, other = encoder.scores("metformin for type 2 diabetes", _SAMPLES).tolist()
            said = f"{fitting:.2f} for a relevant text, {other:.2f} for another"
            yield _judged("scores", fitting > other, said, _FETCH_OR_CORRECT, "note")
            return
        engines: dict[SideName, Engine] = {}
        for side, part in zip(SIDES, (query, document), strict=True):
            if side == "document" and part == query:
                engines[side] = engines["query"]
                continue
            files = files_of(part)
            yield from _about_files(part, files)
            engines[side] = (
                StaticEngine(part.model, files, part.recipe)
                if part.recipe.type == "static"
                else load_torch_engine(part.model, files, part.recipe, "cpu", "float32")
            )
        whole = Encoder(model, "", recipe, engines.__getitem__)
        yield from _about_vectors(whole, dimension)
        if recipe.check is not None:
            yield _published(whole, recipe.check)
    except ModelError as error:
        remedy = error.remedy or f"{_FETCH_OR_CORRECT} in your overlay"
        yield RecipeCheck(model, "missing", error.message, remedy)


def _judged(
    name: str, holds: bool, value: str, remedy: str, otherwise: State = "missing"
) -> RecipeCheck:
    return RecipeCheck(name, "ok", value) if holds else RecipeCheck(name, otherwise, value, remedy)


def _about_recipe(recipe: Encoding) -> Iterator[RecipeCheck]:
    grade = f"grade {recipe.grade}"
    if recipe.unverified:
        fields = ", ".join(recipe.unverified)
        yield RecipeCheck("recipe", "note", f"{grade}, not verified: {fields}")
    else:
        yield RecipeCheck("recipe", "ok", f"{grade}, every field has a source")
    package, _, wanted = (recipe.requires or "").partition("==")
    if wanted:
        try:
            here = version(package)
        except PackageNotFoundError:
            here = "not installed"
        if here != wanted:
            said = f"its authors require {recipe.requires}; here it is {here}"
            yield RecipeCheck("versions", "note", said, _COMPARE)


def _about_files(part: ModelPart, files: ModelFiles) -> Iterator[RecipeCheck]:
    count = len(weight_names(files.folder))
    size = sum(path.stat().st_size for path in files.folder.glob("*.safetensors")) / 1e6
    said = f"{part.model}: {count} weights, {size:,.1f} MB of safetensors"
    where = f"revision {files.revision[:19]}, in {files.folder}"
    yield RecipeCheck("files", "ok", f"{said}, {where}")
    if files.adapter is not None:
        yield RecipeCheck("adapter", "ok", f"{part.adapter}, in {files.adapter}")
    pooling, stated = part.recipe.pooling, stated_pooling(files.folder)
    if pooling is not None and stated is not None:
        where = "its own 1_Pooling/config.json says"
        same = stated == pooling
        said = f"{pooling}, as {where}" if same else f"{where} {stated}, the recipe {pooling}"
        yield _judged("pooling", same, said, "correct `pooling` in its encoding in your overlay")


def _about_vectors(encoder: Encoder, dimension: int | None) -> Iterator[RecipeCheck]:
    queries = encoder.plain_queries([one.title for one in _SAMPLES])
    documents = encoder.plain_documents(_SAMPLES)
    for side, vectors in zip(SIDES, (queries, documents), strict=True):
        width = vectors.shape[1]
        fits = dimension is None or width == dimension
        said = f"{width} for a {side}" + ("" if fits else f", the catalogue says {dimension}")
        remedy = "get the files of the model that the catalogue means, or correct the entry"
        yield _judged("dimension", fits, said, remedy)
        if np.allclose(vectors[0], vectors[1], atol=1e-4):
            said = f"two different texts have the same vector as a {side}"
            yield RecipeCheck("vectors", "missing", said, "get its files again")
    if encoder.similarity == "l2":
        scores = -((queries[:, None] - documents[None]) ** 2).sum(axis=2)
    else:
        scores = queries @ documents.T
    right = int((scores.argmax(axis=1) == np.arange(2)).sum())
    found = "each of two titles finds its own text"
    said = found if right == 2 else f"{right} of 2 titles find their own text"
    yield _judged("ranking", right == 2, said, _COMPARE, "note")


def _published(encoder: Encoder, check: CheckVector) -> RecipeCheck:
    """Compare with the first components of a vector that the authors publish."""
    if check.side == "query":
        vector = encoder.plain_queries([check.text])[0]
    else:
        vector = encoder.plain_documents([Document("", "", check.text)])[0]
    starts = np.array(check.starts, dtype=np.float32)
    found = vector[: len(starts)]
    said, published = (", ".join(f"{value:.4f}" for value in one) for one in (found, starts))
    same = len(found) == len(starts) and float(np.abs(found - starts).max()) <= TOLERANCE
    ending = "as its authors say" if same else f"not {published}"
    remedy = f"{_FETCH_OR_CORRECT} in your overlay"
    return _judged("check vector", same, f"{check.text!r} starts {said}, {ending}", remedy)
