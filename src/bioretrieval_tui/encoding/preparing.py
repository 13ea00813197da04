"""The prepared encoder of a model: from the cache, or converted, compared and put there.

torch and sentence-transformers are imported only where an encoder is not in the cache.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import openvino_export, openvino_runtime, prepared
from bioretrieval_tui.encoding.base import Shape, Vectors, unit_length
from bioretrieval_tui.encoding.device import precision
from bioretrieval_tui.encoding.openvino_encoder import OpenVinoEncoder
from bioretrieval_tui.encoding.openvino_export import ConversionRefused
from bioretrieval_tui.encoding.parity_texts import PARITY_TEXTS
from bioretrieval_tui.encoding.prepared import Key, Note, Prepared
from bioretrieval_tui.encoding.recipe import SideInput, recipe_hash, side_recipe
from bioretrieval_tui.encoding.sources import ModelFiles, Source
from bioretrieval_tui.encoding.tokenising import encodable
from bioretrieval_tui.encoding.torch_lane import takes_types
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Progress, Reporter

_log = logging.getLogger(__name__)

STAGE = "preparing the query encoder"
_STEPS = 3


def openvino_encoder(source: Source, reporter: Reporter) -> OpenVinoEncoder | None:
    """The encoder of `source` for the CPU, prepared first if the cache has none that is whole.

    None where the model is not for OpenVINO, or OpenVINO not for this machine: then the reason is
    in the log and in a note to `reporter`.

    Raises:
        ModelError: the model's files are missing, altered or of another revision.
    """
    found = ensure(source, reporter)
    if found is None:
        return None
    try:
        return OpenVinoEncoder(found, source.recipe)
    except ModelError as error:
        # Every byte is as it was when it was compared; so it is OpenVINO that does not want it.
        _tell(reporter, source.model, error.line())
        return None


def ensure(source: Source, reporter: Reporter) -> Prepared | None:
    """The prepared encoder of `source`, whole; raises and reports as `openvino_encoder` does."""
    if source.recipe.pooling == "last" or source.recipe.append is not None:
        # Such models are large and read from left to right, for which nothing is gained yet.
        source.files()
        _tell(reporter, source.model, "its last token is what is pooled")
        return None
    try:
        chip = openvino_runtime.chip()
    except (ImportError, RuntimeError) as error:
        _tell(reporter, source.model, f"OpenVINO does not run here: {error}")
        return None
    if chip is None:
        _tell(reporter, source.model, "this processor has no bfloat16, which is asked for")
        return None
    if source.revision is None:
        here = source.files()
        source = replace(source, revision=here.revision, files=lambda: here)
    try:
        found = _of_chip(chip, source, reporter)
        if found.note.refused and chip.precision == "bf16" and precision() == "auto":
            # A model that bfloat16 blurs is still quicker here than by torch.
            _log.info("%s is encoded in float32: %s", source.model, found.note.refused)
            found = _of_chip(replace(chip, precision="f32"), source, reporter)
    except OSError as error:
        reason = f"the cache folder cannot be written: {error.strerror or error}"
        _tell(reporter, source.model, reason)
        return None
    if found.note.refused is not None:
        _tell(reporter, source.model, found.note.refused)
        return None
    return found


def _of_chip(chip: openvino_runtime.Chip, source: Source, reporter: Reporter) -> Prepared:
    """The prepared encoder of `source`, whose revision is known, or the refusal of one."""
    key = Key(
        source.model,
        source.revision or "",
        recipe_hash(source.recipe),
        chip.openvino,
        chip.processor,
        chip.precision,
    )
    found = prepared.find(key)
    if found is None:
        here = source.files()
        with prepared.alone(key):
            # Another process may have prepared it while we waited.
            found = prepared.find(key) or _prepare(key, here, source.recipe, reporter)
    return found


def _tell(reporter: Reporter, model: str, reason: str) -> None:
    _log.info("%s is encoded by torch: %s", model, reason)
    reporter(Progress("loading model", 0, None, unit="models", note=f"with torch: {reason}"))


def _prepare(key: Key, files: ModelFiles, recipe: Encoding, reporter: Reporter) -> Prepared:
    """Convert, compare and store; a refusal is stored too, so that it is not tried every time."""
    from bioretrieval_tui.encoding.device import limit_threads
    from bioretrieval_tui.encoding.modules import load_modules, shape_of

    def step(done: int) -> None:
        reporter(Progress(STAGE, done, _STEPS, unit="steps", note=key.model))

    step(0)
    limit_threads()
    modules = load_modules(key.model, files.folder, recipe, "cpu", adapter=files.adapter)
    shape = shape_of(key.model, modules, recipe)
    kind: openvino_runtime.Precision = "bf16" if key.precision == "bf16" else "f32"

    def make(beside: Path) -> Note:
        step(1)
        converted = openvino_export.convert(
            modules,
            kind,
            types=recipe.token_type_ids is not False,
            pairs=any(side.pair for side in (recipe.query, recipe.document) if side is not None),
        )
        step(2)
        converted.write(beside)
        note = converted.note(key, shape, prepared.checksums(beside))
        try:
            encoder = OpenVinoEncoder(Prepared(beside, note), recipe)
            worst = _compare(encoder, modules, shape, kind)
        except (ModelError, RuntimeError) as error:
            raise ConversionRefused(str(error)) from error
        return msgspec.structs.replace(note, worst=worst)

    try:
        found = prepared.store(key, make)
    except ConversionRefused as error:
        reason = " ".join(str(error).split())
        return prepared.store(key, lambda _: Note(key=key, refused=reason))
    step(_STEPS)
    return found


def _compare(
    encoder: OpenVinoEncoder, modules: Any, shape: Shape, kind: openvino_runtime.Precision
) -> float:
    """The lowest cosine to sentence-transformers over queries, alone and many, and documents.

    Raises:
        ConversionRefused: the vectors are not the same.
    """
    texts = PARITY_TEXTS
    query, document = (side_recipe(encoder.recipe, side) for side in ("query", "document"))
    queries = [query.query(text, separator=shape.separator) for text in texts]
    documents = [Document("", "A title", text) for text in texts]
    inputs = [document.document(one, separator=shape.separator) for one in documents]
    of_queries = _reference(modules, queries, shape.query_length, encoder.recipe)
    pairs = (
        (encoder.plain_queries(texts), of_queries),
        (np.concatenate([encoder.plain_queries([text]) for text in texts]), of_queries),
        (
            encoder.plain_documents(documents),
            _reference(modules, inputs, shape.document_length, encoder.recipe),
        ),
    )
    return min(
        openvino_export.lowest_cosine(
            ours,
            unit_length(theirs) if encoder.normalised else theirs,
            kind,
            lengths=not encoder.normalised,
        )
        for ours, theirs in pairs
    )


def _reference(
    modules: Any, inputs: Sequence[SideInput], max_length: int, recipe: Encoding
) -> Vectors:
    """The vectors by torch, one input after the other, tokenised by the model's own tokenizer."""
    import torch

    vectors = []
    for one in inputs:
        first = encodable(one.first)
        # As a list of one: a lone pair whose second text is empty is taken for a single text.
        given = first if one.second is None else [first, encodable(one.second)]
        features: Any = modules.tokenizer(
            [given], truncation=True, max_length=max_length, return_tensors="pt"
        )
        features = dict(features)
        if recipe.token_type_ids is False or not takes_types(modules):
            features.pop("token_type_ids", None)
        with torch.inference_mode():
            for part in modules:
                features = part(features)
        vectors.append(features["sentence_embedding"][0].float().numpy())
    return np.stack(vectors)
