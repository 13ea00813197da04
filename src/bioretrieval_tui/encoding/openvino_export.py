"""A sentence-transformers model converted to OpenVINO, once, and compared with itself.

The one place where both torch and openvino are loaded; both are imported within functions.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.encoding.base import Shape
from bioretrieval_tui.encoding.openvino_runtime import Precision, core, one_by_one, runtime
from bioretrieval_tui.encoding.prepared import Key, Note
from bioretrieval_tui.encoding.torch_lane import takes_types

_log = logging.getLogger(__name__)

GRAPH = "graph.blob"
TOKENIZER = "tokenizer.json"
WORDS = "words.npy"

LEAST_COSINE: dict[Precision, float] = {"bf16": 0.999, "f32": 0.999999}
"""To sentence-transformers in float32, for each of the texts that are tried."""
_LENGTH_TOLERANCE: dict[Precision, float] = {"bf16": 2e-2, "f32": 1e-4}
"""How far a vector's length may be off, as a share: dot products rank by it."""


class ConversionRefused(Exception):
    """The model cannot be had in OpenVINO, or not exactly enough; the message says why."""


@dataclass(frozen=True, slots=True)
class Converted:
    """graph: the compiled model as OpenVINO exports it; words: the table of word vectors, float32
    (ids, width), if it could be taken out of the graph; tokenizer: a tokenizer.json."""

    graph: bytes
    words: npt.NDArray[np.float32] | None
    tokenizer: str
    pad: int

    def write(self, folder: Path) -> None:
        """Write the files of a prepared encoder. Raises OSError."""
        (folder / GRAPH).write_bytes(self.graph)
        (folder / TOKENIZER).write_text(self.tokenizer, encoding="utf-8")
        if self.words is not None:
            np.save(folder / WORDS, self.words)

    def note(self, key: Key, shape: Shape, sums: Mapping[str, str]) -> Note:
        """The note for these files."""
        return Note(
            key=key,
            files=dict(sums),
            dimension=shape.dimension,
            query_length=shape.query_length,
            document_length=shape.document_length,
            separator=shape.separator,
            pad=self.pad,
        )


def convert(
    modules: Any, precision: Precision, *, types: bool = True, pairs: bool = False
) -> Converted:
    """Convert a SentenceTransformer: from token ids and mask to one vector a text.

    types: whether the recipe gives segments to a model that knows them; pairs: whether there are
    inputs of two segments, so that the graph must be told which token is of which.

    Raises:
        ConversionRefused: OpenVINO or the tracing of the model does not manage it.
    """
    tokenizer = getattr(modules.tokenizer, "backend_tokenizer", None)
    if tokenizer is None:
        raise ConversionRefused("its tokenizer has no fast form")
    if modules.tokenizer.pad_token_id is None:
        raise ConversionRefused("its tokenizer has no padding token")
    try:
        model = _traced(modules, types=types and takes_types(modules), pairs=pairs)
        words = _take_words_out(model)
        compiled = core().compile_model(model, "CPU", one_by_one(precision))
        graph = io.BytesIO()
        compiled.export_model(graph)
    except Exception as error:
        # Tracing runs the model's own code, and both libraries raise whatever they raise.
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
        raise ConversionRefused(f"it cannot be converted: {reason}") from error
    if words is not None and max(tokenizer.get_vocab().values(), default=0) >= len(words):
        raise ConversionRefused("its tokenizer knows more words than the model")
    return Converted(
        graph.getvalue(), words, tokenizer.to_str(), int(modules.tokenizer.pad_token_id)
    )


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

    # Two texts of unlike length, so that no size of the example looks like a constant of the model.
    ids = torch.full((2, 7), int(modules.tokenizer.pad_token_id) + 3, dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    example = {"input_ids": ids, "attention_mask": mask}
    if types and pairs:
        example["token_type_ids"] = torch.zeros_like(ids)
        example["token_type_ids"][:, 3:] = 1
    with torch.no_grad(), warnings.catch_warnings():
        # The tracer warns of every condition; whether the result is right is compared below.
        warnings.simplefilter("ignore")
        inputs = tuple(example.values())
        decoder = TorchScriptPythonDecoder(Whole().eval(), example_input=inputs)
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    for name in example:
        # The tracer leaves names of its own beside ours, and which one counts is not said.
        model.input(name).get_tensor().set_names({name})
    return model


def _take_words_out(model: Any) -> npt.NDArray[np.float32] | None:
    """Make the vectors of the words an input `words` of `model`; returns the table, if it can.

    The table is a large part of a model (half of the embedded one, two thirds of a multilingual
    one), and a query needs a dozen of its rows: mapped from a file, only those are ever read.
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
    # Only now: what is replaced hands its own names on.
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
    """The lowest cosine between rows of the same text; `lengths`: their lengths must agree too.

    Raises:
        ConversionRefused: it is under `LEAST_COSINE`, or a length is off.
    """
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    length_a, length_b = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = (a * b).sum(axis=1) / (length_a * length_b)
        off = np.abs(length_a / length_b - 1)
    # A vector of zeros, or of no numbers, has no cosine: that is the lowest.
    worst = float(np.nan_to_num(cosines, nan=-1.0).min())
    if worst < LEAST_COSINE[precision]:
        raise ConversionRefused(
            f"its vectors differ from sentence-transformers' (cosine {worst:.6f},"
            f" at least {LEAST_COSINE[precision]} is asked)"
        )
    if lengths and not bool((off <= _LENGTH_TOLERANCE[precision]).all()):
        raise ConversionRefused(f"the lengths of its vectors are off by {off.max():.1%}")
    return worst
