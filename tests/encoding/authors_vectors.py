"""What a model's authors do, written with transformers alone: the other side of the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Authors:
    """How vectors come about. inputs: texts, or pairs of segments; pooling: cls, mean (over real
    tokens), mean-all (over padding too), last, pooler; end: appended to every input."""

    folder: Path
    inputs: tuple[tuple[str, ...], ...]
    max_length: int
    pooling: str
    normalise: bool = False
    end: bool = False
    left: bool = False
    full: bool = False
    types: bool = True
    masked: bool = True
    adapter: Path | None = None

    def but(self, **changes: Any) -> Authors:
        """The same with something done otherwise: a trap."""
        return replace(self, **changes)

    def vectors(self) -> np.ndarray:
        """float32 (inputs, dimension), all inputs in one padded batch."""
        import torch

        tokenizer, model = loaded(self.folder)
        # As the authors call it, with a list: a lone pair whose second text is empty would be
        # taken for a single text.
        given = [list(one) if len(one) > 1 else one[0] for one in self.inputs]
        batch = tokenizer(given, truncation=True, max_length=self.max_length - self.end)
        rows = [list(ids) + [tokenizer.eos_token_id] * self.end for ids in batch["input_ids"]]
        kinds = batch.get("token_type_ids") or [[0] * len(ids) for ids in rows]
        width = self.max_length if self.full else max(map(len, rows))
        pad = tokenizer.pad_token_id
        pad = tokenizer.eos_token_id if pad is None else pad

        def filled(values: Sequence[list[int]], filler: int) -> torch.Tensor:
            blanks = [[filler] * (width - len(one)) for one in values]
            both = zip(values, blanks, strict=True)
            return torch.tensor([b + v if self.left else v + b for v, b in both])

        inputs = {
            "input_ids": filled(rows, pad),
            "attention_mask": filled([[1] * len(one) for one in rows], 0),
        }
        if self.types and model.config.model_type == "bert":
            inputs["token_type_ids"] = filled(kinds, 0)
        if not self.masked:
            inputs = {"input_ids": inputs["input_ids"]}
        with torch.no_grad():
            if self.adapter is not None:
                states = _adapted(model, inputs, self.adapter)
                return states[:, 0].numpy()
            found = model(**inputs)
            vectors = self._pooled(found, inputs.get("attention_mask"))
            if self.normalise:
                vectors = torch.nn.functional.normalize(vectors, dim=1)
        return vectors.numpy()

    def _pooled(self, found: Any, mask: Any) -> Any:
        import torch

        states = found.last_hidden_state
        if self.pooling == "pooler":
            return found.pooler_output
        if self.pooling == "cls":
            return states[:, 0]
        if self.pooling == "mean-all":
            return states.mean(dim=1)
        if self.pooling == "mean":
            weights = mask[:, :, None].float()
            return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)
        last = torch.stack([torch.nonzero(row).max() for row in mask])
        return states[torch.arange(len(states)), last]


@cache
def loaded(folder: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    return tokenizer, AutoModel.from_pretrained(str(folder), dtype=torch.float32).eval()


def _adapted(model: Any, inputs: dict[str, Any], adapter: Path) -> Any:
    """The hidden states of a BERT, layer by layer, with a bottleneck behind each."""
    import torch
    from safetensors.torch import load_file

    tensors = load_file(adapter / "adapter.safetensors")
    hidden = model.embeddings(input_ids=inputs["input_ids"])
    mask = (1.0 - inputs["attention_mask"][:, None, None, :].float()) * -1e9
    for number, layer in enumerate(model.encoder.layer):
        part = {
            name.partition(".adapters.")[2].partition(".")[2]: tensor
            for name, tensor in tensors.items()
            if f".layer.{number}." in name
        }
        attended = layer.attention(hidden, mask)[0]
        dense = layer.output.dense(layer.intermediate(attended))
        norm = layer.output.LayerNorm
        down = (
            norm(dense + attended) @ part["adapter_down.0.weight"].T + part["adapter_down.0.bias"]
        )
        up = torch.relu(down) @ part["adapter_up.weight"].T + part["adapter_up.bias"]
        hidden = norm(dense + up + attended)
    return hidden
