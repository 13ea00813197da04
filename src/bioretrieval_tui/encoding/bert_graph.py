"""A BERT model as an OpenVINO graph, built from its safetensors file without torch.

The layers are those of Devlin et al. 2019 (post-norm, learned positions, erf GELU), with mean
pooling over the attention mask as in Sentence-BERT (Reimers and Gurevych 2019). Building takes a
few hundredths of a second where torch and transformers take seconds to import.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bioretrieval_tui.encoding.encoder import Vectors

_LOWEST = -1.0e4
"""Added to the attention score of a padding token, whose share softmax makes 0. Lower values
overflow in bfloat16."""
_LEAST_COUNT = 1e-9
"""Divisor of the mean of a text without tokens, as in sentence-transformers."""


def read_weights(path: Path) -> dict[str, Vectors]:
    """The float32 tensors of a safetensors file, mapped. Raises OSError, ValueError, KeyError:
    it is not such a file."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    size = int.from_bytes(data[:8].tobytes(), "little")
    header: dict[str, dict[str, Any]] = json.loads(data[8 : 8 + size].tobytes())
    found = {}
    for name, facts in header.items():
        if facts.get("dtype") == "F32":
            first, end = (8 + size + offset for offset in facts["data_offsets"])
            found[name] = data[first:end].view("<f4").reshape(facts["shape"])
    return found


def mean_pooled_bert(openvino: Any, folder: Path) -> tuple[Any, Vectors]:
    """The graph and the table of word vectors (ids, width) of the BERT model in `folder`.

    Inputs: `attention_mask`, int64 (texts, tokens), and `words`, float32 (texts, tokens, width),
    the rows of the table for the token ids; every token has segment 0. Output: float32 (texts,
    width), not scaled to length 1. Raises OSError, ValueError, KeyError where a file or a weight
    is missing.
    """
    settings = json.loads((folder / "config.json").read_bytes())
    weights = read_weights(folder / "model.safetensors")
    ops, number = openvino.opset13, np.int64
    heads = int(settings["num_attention_heads"])
    width = int(settings["hidden_size"])
    epsilon = float(settings["layer_norm_eps"])

    def axes(*values: int) -> Any:
        return ops.constant(np.array(values, dtype=number))

    def weight(name: str) -> Any:
        return ops.constant(np.ascontiguousarray(weights[name]))

    def linear(values: Any, name: str) -> Any:
        product = ops.matmul(values, weight(f"{name}.weight"), False, True)
        return ops.add(product, weight(f"{name}.bias"))

    def layer_norm(values: Any, name: str) -> Any:
        normed = ops.mvn(values, axes(-1), True, epsilon, "inside_sqrt")
        return ops.add(ops.multiply(normed, weight(f"{name}.weight")), weight(f"{name}.bias"))

    def split(values: Any) -> Any:
        parts = ops.reshape(values, axes(0, 0, heads, width // heads), True)
        return ops.transpose(parts, axes(0, 2, 1, 3))

    mask = ops.parameter([-1, -1], openvino.Type.i64, name="attention_mask")
    words = ops.parameter([-1, -1, width], openvino.Type.f32, name="words")
    zero = ops.constant(number(0))
    length = ops.gather(ops.shape_of(mask, "i64"), ops.constant(number(1)), zero)
    places = ops.range(zero, length, ops.constant(number(1)), "i64")
    positions = ops.gather(weight("embeddings.position_embeddings.weight"), places, zero)
    segment = ops.constant(weights["embeddings.token_type_embeddings.weight"][:1].copy())
    hidden = layer_norm(ops.add(ops.add(words, positions), segment), "embeddings.LayerNorm")
    read = ops.convert(mask, "f32")
    unread = ops.subtract(ops.constant(np.float32(1)), ops.unsqueeze(read, axes(1, 2)))
    bias = ops.multiply(unread, ops.constant(np.float32(_LOWEST)))
    for number_of_layer in range(int(settings["num_hidden_layers"])):
        layer = f"encoder.layer.{number_of_layer}"
        inner = f"{layer}.attention.self"
        parts = (split(linear(hidden, f"{inner}.{one}")) for one in ("query", "key", "value"))
        attended = ops.transpose(ops.scaled_dot_product_attention(*parts, bias), axes(0, 2, 1, 3))
        joined = ops.reshape(attended, axes(0, 0, width), True)
        mixed = ops.add(linear(joined, f"{layer}.attention.output.dense"), hidden)
        hidden = layer_norm(mixed, f"{layer}.attention.output.LayerNorm")
        wide = ops.gelu(linear(hidden, f"{layer}.intermediate.dense"), "erf")
        hidden = layer_norm(
            ops.add(linear(wide, f"{layer}.output.dense"), hidden), f"{layer}.output.LayerNorm"
        )
    counted = ops.unsqueeze(read, axes(2))
    total = ops.reduce_sum(ops.multiply(hidden, counted), axes(1))
    count = ops.maximum(ops.reduce_sum(counted, axes(1)), ops.constant(np.float32(_LEAST_COUNT)))
    model = openvino.Model([ops.divide(total, count)], [mask, words], "bert")
    for name, node in (("attention_mask", mask), ("words", words)):
        node.output(0).get_tensor().set_names({name})
    return model, np.array(weights["embeddings.word_embeddings.weight"])
