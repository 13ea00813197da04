"""Convert a model for OpenVINO, once, and compare it with sentence-transformers before its use.

torch, sentence-transformers and openvino are imported within functions, and only where a model is
not in the cache.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.device import PRECISION_VARIABLE, limit_threads, precision
from bioretrieval_tui.encoding.encoder import Shape, Vectors, unit_length
from bioretrieval_tui.encoding.model_files import ModelFiles, ModelSource
from bioretrieval_tui.encoding.openvino_encoder import (
    GRAPH,
    TOKENIZER,
    WORDS,
    Chip,
    OpenVinoEncoder,
    Precision,
    Prepared,
    PreparedKey,
    PreparedNote,
    alone,
    checksums,
    chip,
    core,
    find,
    runtime,
    settings,
    store,
)
from bioretrieval_tui.encoding.recipe import SideInput, recipe_hash, side_recipe
from bioretrieval_tui.encoding.token_batches import encodable
from bioretrieval_tui.encoding.torch_modules import load_modules, shape_of, takes_types
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Progress, Reporter

_log = logging.getLogger(__name__)

STAGE = "preparing the query encoder"
_STEPS = 3
LEAST_COSINE: dict[Precision, float] = {"bf16": 0.999, "f32": 0.999999}
"""Lowest cosine to sentence-transformers in float32, of each of PARITY_TEXTS."""
_LENGTH_TOLERANCE: dict[Precision, float] = {"bf16": 2e-2, "f32": 1e-4}
"""Tolerated share by which a vector's length may differ: dot products rank by it."""

_LONG = (
    "Participants with type 2 diabetes were assigned at random to metformin or placebo and"
    " followed for two years; glycated haemoglobin, body weight and renal function were measured"
    " every three months, and adverse events were recorded by assessors who did not know the"
    " treatment. "
)
PARITY_TEXTS = (
    "",
    "p53",
    "aspirin",
    "Does smoking cause lung cancer?",
    "BRCA1 and BRCA2 mutations raise the risk of ovarian cancer.",
    "interleukin-6 (IL-6), TNF-\u03b1 and IFN-\u03b3 in 12.5% of samples; P < 0.001 [95% CI]",
    "\u00c9tude de la maladie de Beh\u00e7et chez l'adulte",
    (
        "Heart failure with preserved ejection fraction is common in older adults, and few"
        " treatments have been shown to lengthen life. We reviewed trials of four classes of drug."
    ),
    (
        "MicroRNA-21 is expressed in tumour tissue. Its knock-down slowed growth of the cells in"
        " culture and in mice, which suggests that it could serve as a target."
    ),
    "x" * 300,
    _LONG,
    _LONG * 3,
    _LONG * 40,
)
"""Texts for the comparison with sentence-transformers: sentences, the empty text, one word,
symbols, accents, and more tokens than any model takes."""


class ConversionRefused(Exception):
    """OpenVINO cannot run the model, or not exactly enough; the message says why."""


def convert(
    modules: Any, precision: Precision, folder: Path, *, types: bool = True, pairs: bool = False
) -> None:
    """Convert a SentenceTransformer (token ids and mask to one vector per text) into `folder`.

    Writes GRAPH, the compiled model as OpenVINO exports it; TOKENIZER; and WORDS, the table of word
    vectors (ids, width) in float32, if it can be taken out of the graph. types: whether the recipe
    gives segments to a model that knows them; pairs: whether inputs have two segments, so that the
    graph needs the segment of each token as an input.

    Raises:
        ConversionRefused: the model cannot be traced or converted. OSError.
    """
    tokenizer = getattr(modules.tokenizer, "backend_tokenizer", None)
    if tokenizer is None:
        raise ConversionRefused("its tokenizer has no fast form")
    if modules.tokenizer.pad_token_id is None:
        raise ConversionRefused("its tokenizer has no padding token")
    try:
        known = types and takes_types(modules[0].model, modules.tokenizer)
        model = _traced(modules, types=known, pairs=pairs)
        words = _take_words_out(model)
        compiled = core().compile_model(model, "CPU", settings(precision, queries=True))
        graph = io.BytesIO()
        compiled.export_model(graph)
    except Exception as error:
        # Tracing runs the model's own code; the errors of both libraries vary.
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
        raise ConversionRefused(f"it cannot be converted: {reason}") from error
    if words is not None and max(tokenizer.get_vocab().values(), default=0) >= len(words):
        raise ConversionRefused("its tokenizer knows more words than the model")
    (folder / GRAPH).write_bytes(graph.getvalue())
    (folder / TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")
    if words is not None:
        np.save(folder / WORDS, words)


def _traced(modules: Any, *, types: bool, pairs: bool) -> Any:
    """The model as an OpenVINO graph of dynamic batch and length, its inputs named."""
    import torch

    runtime()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = torch.nn.ModuleList(modules)

        def forward(
            self,
            input_ids: torch.Tensor,
            attention_mask: torch.Tensor,
            token_type_ids: torch.Tensor | None = None,
        ) -> torch.Tensor:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            if token_type_ids is not None:
                features["token_type_ids"] = token_type_ids
            elif types:
                features["token_type_ids"] = torch.zeros_like(input_ids)
            for part in self.parts:
                features = part(features)
            return features["sentence_embedding"]

    # Two texts of unlike length, so that no size of the example is taken for a constant.
    ids = torch.full((2, 7), int(modules.tokenizer.pad_token_id) + 3, dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    example = {"input_ids": ids, "attention_mask": mask}
    if types and pairs:
        example["token_type_ids"] = torch.zeros_like(ids)
        example["token_type_ids"][:, 3:] = 1
    with torch.no_grad(), warnings.catch_warnings():
        # The tracer warns of every branch; `_compare` checks the result.
        warnings.simplefilter("ignore")
        inputs = tuple(example.values())
        decoder = TorchScriptPythonDecoder(Whole().eval(), example_input=inputs)
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    for name in example:
        # The tracer adds names of its own; only the one set here is kept.
        model.input(name).get_tensor().set_names({name})
    return model


def _take_words_out(model: Any) -> npt.NDArray[np.float32] | None:
    """Replace the table of word vectors in `model` by an input `words`; returns the table, or None.

    The table is a large part of a model (half of the embedded one, two thirds of a multilingual
    one), and a query needs a dozen of its rows: from a mapped file, only those are read.
    """
    openvino = runtime()
    ids = next(one for one in model.get_parameters() if "input_ids" in one.output(0).get_names())
    lookups = []
    for user in ids.output(0).get_target_inputs():
        node = user.get_node()
        outputs = [ids.output(0)] if node.get_type_name() == "Gather" else []
        if node.get_type_name() == "Convert":
            outputs = [node.output(0)]
        for output in outputs:
            lookups += [
                each.get_node()
                for each in output.get_target_inputs()
                if each.get_node().get_type_name() == "Gather" and each.get_index() == 1
            ]
    tables = {node.get_name(): node.input_value(0).get_node() for node in lookups}
    if len(tables) != 1:
        return None
    lookup, (table,) = lookups[0], tables.values()
    shape = table.output(0).get_partial_shape()
    if table.get_type_name() != "Constant" or shape.rank.get_length() != 2:
        return None
    rows: npt.NDArray[np.float32] = np.array(table.data, dtype=np.float32)
    words = openvino.opset13.parameter([-1, -1, rows.shape[1]], openvino.Type.f32, name="words")
    lookup.output(0).replace(words.output(0))
    # Only now, since the replaced output passes its names on.
    words.output(0).get_tensor().set_names({"words"})
    model.add_parameters([words])
    model.validate_nodes_and_infer_types()
    return rows


def lowest_cosine(
    ours: npt.NDArray[np.float32],
    theirs: npt.NDArray[np.float32],
    precision: Precision,
    *,
    lengths: bool,
) -> float:
    """The lowest cosine between corresponding rows; lengths: whether lengths must agree too.

    Raises:
        ConversionRefused: it is under `LEAST_COSINE`, or a length is off.
    """
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    length_a, length_b = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = (a * b).sum(axis=1) / (length_a * length_b)
        off = np.abs(length_a / length_b - 1)
    # A vector of zeros or with NaN has no cosine: it counts as the lowest.
    worst = float(np.nan_to_num(cosines, nan=-1.0).min())
    if worst < LEAST_COSINE[precision]:
        raise ConversionRefused(
            f"its vectors differ from sentence-transformers' (cosine {worst:.6f},"
            f" required: {LEAST_COSINE[precision]})"
        )
    if lengths and not bool((off <= _LENGTH_TOLERANCE[precision]).all()):
        raise ConversionRefused(f"the lengths of its vectors are off by {off.max():.1%}")
    return worst


def prepared_encoder(source: ModelSource, reporter: Reporter) -> OpenVinoEncoder | None:
    """The CPU encoder of `source`, prepared first if the cache has no undamaged one.

    None where OpenVINO cannot run the model or not on this machine; the reason is logged and given
    to `reporter` as a note.

    Raises:
        ModelError: the model's files are missing, altered or of another revision.
    """
    found = find_or_prepare(source, reporter)
    if found is None:
        return None
    try:
        return OpenVinoEncoder(found, source.recipe)
    except ModelError as error:
        _report_torch(reporter, source.model, error.line())
        return None


def find_or_prepare(source: ModelSource, reporter: Reporter) -> Prepared | None:
    """The prepared encoder of `source`; raises and reports as `prepared_encoder` does."""
    try:
        return _found_or_prepared(source, reporter)
    except ConversionRefused as error:
        _report_torch(reporter, source.model, str(error))
        return None


def _report_torch(reporter: Reporter, model: str, reason: str) -> None:
    _log.info("%s is encoded by torch: %s", model, reason)
    reporter(Progress("loading model", 0, None, unit="models", note=f"with torch: {reason}"))


def _found_or_prepared(source: ModelSource, reporter: Reporter) -> Prepared:
    if source.recipe.pooling == "last" or source.recipe.append is not None:
        # Such models are large decoders, for which OpenVINO has shown no gain.
        source.files()
        raise ConversionRefused("it pools the last token")
    try:
        machine = chip()
    except (ImportError, RuntimeError) as error:
        raise ConversionRefused(f"OpenVINO does not run here: {error}") from error
    if machine is None:
        asked = f"which {PRECISION_VARIABLE} asks for"
        raise ConversionRefused(f"this processor has no bfloat16, {asked}")
    if source.revision is None:
        here = source.files()
        source = replace(source, revision=here.revision, files=lambda: here)
    try:
        found = _of_chip(machine, source, reporter)
        if found.note.refused and machine.precision == "bf16" and precision() == "auto":
            # In float32 OpenVINO is still faster than torch.
            _log.info("%s is encoded in float32: %s", source.model, found.note.refused)
            found = _of_chip(replace(machine, precision="f32"), source, reporter)
    except OSError as error:
        reason = f"the cache folder cannot be written: {error.strerror or error}"
        raise ConversionRefused(reason) from error
    if found.note.refused is not None:
        raise ConversionRefused(found.note.refused)
    return found


def _of_chip(machine: Chip, source: ModelSource, reporter: Reporter) -> Prepared:
    """The prepared encoder of `source`, whose revision is known, or its refusal."""
    named = (source.model, source.revision or "", recipe_hash(source.recipe))
    key = PreparedKey(*named, machine.openvino, machine.processor, machine.precision)
    found = find(key)
    if found is None:
        here = source.files()
        with alone(key):
            # Another process may have prepared it while we waited.
            found = find(key) or _prepare(key, here, source.recipe, reporter)
    return found


def _prepare(key: PreparedKey, files: ModelFiles, recipe: Encoding, reporter: Reporter) -> Prepared:
    """Convert, compare and store; a refusal is stored too, so that it is not repeated."""

    def step(done: int) -> None:
        reporter(Progress(STAGE, done, _STEPS, unit="steps", note=key.model))

    step(0)
    limit_threads()
    modules = load_modules(key.model, files.folder, recipe, "cpu", adapter=files.adapter)
    shape = shape_of(key.model, modules, recipe)
    pairs = any(side.pair for side in (recipe.query, recipe.document) if side is not None)

    types = recipe.token_type_ids is not False

    def make(beside: Path) -> PreparedNote:
        step(1)
        convert(modules, key.precision, beside, types=types, pairs=pairs)
        step(2)
        note = PreparedNote(
            key=key,
            files=checksums(beside),
            dimension=shape.dimension,
            query_length=shape.query_length,
            document_length=shape.document_length,
            separator=shape.separator,
            pad=int(modules.tokenizer.pad_token_id),
        )
        try:
            encoder = OpenVinoEncoder(Prepared(beside, note), recipe)
            worst = _compare(encoder, modules, shape)
        except (ModelError, RuntimeError) as error:
            raise ConversionRefused(str(error)) from error
        return msgspec.structs.replace(note, worst=worst)

    try:
        found = store(key, make)
    except ConversionRefused as error:
        reason = " ".join(str(error).split())
        return store(key, lambda _: PreparedNote(key=key, refused=reason))
    step(_STEPS)
    return found


def _compare(encoder: OpenVinoEncoder, modules: Any, shape: Shape) -> float:
    """The lowest cosine to sentence-transformers: queries alone, queries together, documents.

    Raises:
        ConversionRefused: the vectors differ.
    """
    texts, recipe = PARITY_TEXTS, encoder.recipe
    query, document = (side_recipe(recipe, side) for side in ("query", "document"))
    queries = [query.query(text, separator=shape.separator) for text in texts]
    documents = [Document("", "A title", text) for text in texts]
    inputs = [document.document(one, separator=shape.separator) for one in documents]
    of_queries = _reference(modules, queries, shape.query_length, recipe)
    of_documents = _reference(modules, inputs, shape.document_length, recipe)
    pairs = (
        (encoder.plain_queries(texts), of_queries),
        (np.concatenate([encoder.plain_queries([text]) for text in texts]), of_queries),
        (encoder.plain_documents(documents), of_documents),
    )
    return min(
        lowest_cosine(
            ours,
            unit_length(theirs) if encoder.normalised else theirs,
            "bf16" if encoder.dtype == "bfloat16" else "f32",
            lengths=not encoder.normalised,
        )
        for ours, theirs in pairs
    )


def _reference(
    modules: Any, inputs: Sequence[SideInput], max_length: int, recipe: Encoding
) -> Vectors:
    """The vectors by torch, one input at a time, with the model's own tokenizer."""
    import torch

    vectors = []
    for one in inputs:
        first = encodable(one.first)
        # In a list, since a single pair whose second text is empty is taken for one text.
        given = first if one.second is None else [first, encodable(one.second)]
        features: Any = dict(
            modules.tokenizer([given], truncation=True, max_length=max_length, return_tensors="pt")
        )
        if recipe.token_type_ids is False or not takes_types(modules[0].model, modules.tokenizer):
            features.pop("token_type_ids", None)
        with torch.inference_mode():
            for part in modules:
                features = part(features)
        vectors.append(features["sentence_embedding"][0].float().numpy())
    return np.stack(vectors)
