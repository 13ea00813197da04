"""Unpadded encoding: texts one after another in a single row, each attending to itself alone.

Padding costs as much as text, and an accelerator has a kernel for rows of unlike length. Which
models pass their arguments through to such a kernel is not documented well enough to believe, so
whoever uses this compares it with the padded way first. torch and transformers are imported
within functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bioretrieval_tui.encoding.batches import Batch

if TYPE_CHECKING:
    import torch

NAME = "bioretrieval_packed"
_POOLINGS = ("cls", "mean")


def can_pack(modules: Any) -> bool:
    """Whether `modules` are of a kind that `encode_packed` can stand in for."""
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    kinds = [type(part) for part in modules]
    if kinds not in ([Transformer, Pooling], [Transformer, Pooling, Normalize]):
        return False
    return _pooling(modules) in _POOLINGS


def use_packing(modules: Any) -> str:
    """Have the transformer attend through `_attention`; returns what it used before.

    Raises:
        ValueError, AttributeError: the model has no exchangeable attention.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _attention)
    model = modules[0].model
    before = str(model.config._attn_implementation)
    model.set_attn_implementation(NAME)
    return before


def undo_packing(modules: Any, before: str) -> None:
    """Let the transformer attend as it did before `use_packing`."""
    modules[0].model.set_attn_implementation(before)


def encode_packed(
    modules: Any, batch: Batch, device: str, *, first_position: int, types: bool
) -> torch.Tensor:
    """Vectors of a batch without empty texts: float32 (texts, dimension) on `device`.

    first_position: the number of a text's first place; types: whether the model takes token types.
    """
    import torch

    lengths = [len(sequence) for sequence in batch.sequences]
    ids = np.concatenate([np.asarray(sequence, dtype=np.int64) for sequence in batch.sequences])
    places = np.concatenate([np.arange(length, dtype=np.int64) for length in lengths])
    bounds = np.concatenate([[0], np.cumsum(lengths)])

    def there(array: Any, dtype: torch.dtype) -> torch.Tensor:
        return to_device(torch.from_numpy(array).to(dtype), device)

    edges = there(bounds, torch.int32)
    inputs: dict[str, Any] = {
        "input_ids": there(ids, torch.int64)[None],
        "position_ids": there(places + first_position, torch.int64)[None],
        "cu_seq_lens_q": edges,
        "max_length_q": max(lengths),
    }
    if types and batch.types is not None:
        segments = np.concatenate([np.asarray(one, dtype=np.int64) for one in batch.types])
        inputs["token_type_ids"] = there(segments, torch.int64)[None]
    elif types:
        inputs["token_type_ids"] = torch.zeros_like(inputs["input_ids"])
    states = modules[0].model(**inputs).last_hidden_state[0].float()
    if _pooling(modules) == "cls":
        vectors = states[edges[:-1].long()]
    else:
        rows = there(np.repeat(np.arange(len(lengths)), lengths), torch.int64)
        sums = torch.zeros(len(lengths), states.shape[1], device=states.device)
        vectors = sums.index_add_(0, rows, states) / edges.diff()[:, None]
    if len(modules) > 2:
        vectors = torch.nn.functional.normalize(vectors, dim=1)
    packed: torch.Tensor = vectors
    return packed


def to_device(tensor: torch.Tensor, device: str) -> torch.Tensor:
    """The tensor on `device`; to CUDA from pinned memory, so that nobody waits for the copy."""
    if device.startswith("cuda"):
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _pooling(modules: Any) -> str:
    mode = modules[1].pooling_mode
    return mode if isinstance(mode, str) else "+".join(mode)


def _attention(
    _module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention within each text of the row.

    Shapes: (1, heads, tokens, width) in, (1, tokens, heads, width) out.
    On CUDA by the kernel for unlike lengths; elsewhere text by text, which is how this is tested.
    """
    import torch

    edges, longest = kwargs["cu_seq_lens_q"], kwargs["max_length_q"]
    if attention_mask is not None or len(query) != 1:
        raise ValueError("texts in one row have no mask")
    q, k, v = (each[0].transpose(0, 1) for each in (query, key, value))
    if query.is_cuda:
        from torch.nn.attention.varlen import varlen_attn

        out = varlen_attn(
            q.contiguous(),
            k.contiguous(),
            v.contiguous(),
            edges,
            edges,
            longest,
            longest,
            scale=scaling,
        )
        whole = cast("torch.Tensor", out)
        return whole[None], None
    parts = [
        torch.nn.functional.scaled_dot_product_attention(
            query[:, :, start:end], key[:, :, start:end], value[:, :, start:end], scale=scaling
        )
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    return torch.cat(parts, dim=2).transpose(1, 2), None
