"""One device of the torch encoder: a copy of the model there, its batch budget, how it runs.

torch is imported within functions.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bioretrieval_tui.encoding import packing
from bioretrieval_tui.encoding.base import Vectors, unit_length
from bioretrieval_tui.encoding.batches import Batch
from bioretrieval_tui.encoding.device import precision
from bioretrieval_tui.encoding.turns import Turns

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

BUDGETS = {"cpu": 2048, "cuda": 32_768, "mps": 8192}
"""Tokens a batch, padding counted. Small on the CPU: larger ones only add padding and wait longer
for a cancel; on CUDA enough to fill a large card, and halved where the memory says no."""
_LEAST = 64
_OFFSETS = ("roberta", "xlm-roberta", "camembert")
"""Models that count places from the number after the padding's."""
_FIRST_WORD = 5
"""No model has its padding among the ids from here on, and every vocabulary has some."""
_ENOUGH = {"float32": 0.999999, "bfloat16": 0.999, "float16": 0.999}


class OutOfDeviceMemory(Exception):
    """The device could not hold the batch."""


@dataclass(slots=True)
class Launched:
    """A batch whose vectors are on the way; `done` is an event of the device, or None."""

    batch: Batch
    vectors: torch.Tensor
    done: Any


class Lane:
    """A model on one device, in the device's best precision. One thread at a time runs it.

    modules: a SentenceTransformer in float32 on the CPU, which this lane takes over; types: whether
    the recipe lets a model that knows segments have them; dtype: stands in for the best precision.
    """

    def __init__(
        self,
        modules: Any,
        device: str,
        pad: int,
        *,
        pack: bool | None = None,
        types: bool = True,
        dtype: str | None = None,
    ) -> None:
        self.device = device
        self.dtype = dtype or best_dtype(device)
        self.budget = BUDGETS[device.partition(":")[0]]
        self.turns = Turns()
        self._pad = pad
        self._modules = modules.to(device=device, dtype=_torch_dtype(self.dtype)).eval()
        self._types = types and takes_types(modules)
        config = modules[0].model.config
        offset = config.model_type in _OFFSETS and config.pad_token_id is not None
        self._first = int(config.pad_token_id) + 1 if offset else 0
        wanted = device.startswith("cuda") if pack is None else pack
        self.packed = False
        self.packed = wanted and self._try_packing()

    def launch(self, batch: Batch) -> Launched:
        """Start a batch.

        Raises:
            OutOfDeviceMemory: nothing was computed.
        """
        import torch

        try:
            with torch.inference_mode():
                vectors = self._packed(batch) if self.packed else self._padded(batch)
                if not vectors.is_cuda:
                    return Launched(batch, vectors.cpu(), None)
                host = torch.empty(vectors.shape, dtype=vectors.dtype, pin_memory=True)
                host.copy_(vectors, non_blocking=True)
                done = torch.cuda.Event()  # type: ignore[no-untyped-call]
                done.record(torch.cuda.current_stream(vectors.device))
                return Launched(batch, host, done)
        except torch.OutOfMemoryError as error:
            raise OutOfDeviceMemory(str(error)) from error
        except RuntimeError as error:
            # Apple's backend has no error class of its own for it.
            if "out of memory" not in str(error):
                raise
            raise OutOfDeviceMemory(str(error)) from error

    def collect(self, launched: Launched) -> Vectors:
        """Wait for a batch: float32 (texts, dimension)."""
        if launched.done is not None:
            launched.done.synchronize()
        return np.array(launched.vectors.numpy(), dtype=np.float32)

    def run(self, batch: Batch) -> Vectors:
        """Encode a batch. Raises OutOfDeviceMemory as `launch` does."""
        return self.collect(self.launch(batch))

    def shrink(self, batch: Batch) -> bool:
        """Halve the budget after `batch` did not fit; False if it was a single text."""
        import torch

        longest = max(1, *map(len, batch.sequences))
        self.budget = max(_LEAST, min(self.budget, longest * len(batch.rows)) // 2)
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()
        return len(batch.rows) > 1

    def _padded(self, batch: Batch) -> torch.Tensor:
        import torch

        ids, mask = (
            packing.to_device(torch.from_numpy(array), self.device)
            for array in batch.padded(self._pad)
        )
        features: Any = {"input_ids": ids, "attention_mask": mask}
        if self._types:
            features["token_type_ids"] = packing.to_device(
                torch.from_numpy(batch.padded_types()), self.device
            )
        for part in self._modules:
            features = part(features)
        vectors: torch.Tensor = features["sentence_embedding"].float()
        return vectors

    def _packed(self, batch: Batch) -> torch.Tensor:
        return packing.encode_packed(
            self._modules, batch, self.device, first_position=self._first, types=self._types
        )

    def _try_packing(self) -> bool:
        """Switch to packing if it gives the vectors that padding gives."""
        if not packing.can_pack(self._modules):
            return False
        known = min(50, int(self._modules[0].model.config.vocab_size) - _FIRST_WORD)
        lengths = (9, 2, 33, 17, 3)
        probe = Batch(tuple(range(5)), tuple(_probe(length, known) for length in lengths))
        before: str | None = None
        try:
            expected = self.run_padded(probe)
            before = packing.use_packing(self._modules)
            self.packed = True
            found = self.run(probe)
        except (
            ImportError,
            KeyError,
            RuntimeError,
            TypeError,
            ValueError,
            AttributeError,
        ) as error:
            # Each model refuses what it does not know in its own way; padding always works.
            _log.info("texts are padded on %s: %s", self.device, error)
            found = None
        if found is not None:
            cosines = (unit_length(found) * unit_length(expected)).sum(axis=1)
            if float(cosines.min()) >= _ENOUGH[self.dtype] - 1e-6:
                return True
            _log.info("texts are padded on %s: packed ones differ", self.device)
        if before is not None:
            packing.undo_packing(self._modules, before)
        return False

    def run_padded(self, batch: Batch) -> Vectors:
        """Encode a batch with padding, whatever the lane does otherwise."""
        import torch

        with torch.inference_mode():
            return np.array(self._padded(batch).cpu().numpy(), dtype=np.float32)


def takes_types(modules: Any) -> bool:
    """Whether both tokenizer and model of a SentenceTransformer know segments."""
    # Some tokenizers offer them to every model; one that does not name them would go astray.
    known = inspect.signature(modules[0].model.forward).parameters
    return "token_type_ids" in modules.tokenizer.model_input_names and "token_type_ids" in known


def best_dtype(device: str) -> str:
    """The precision that is forced, or the one that `device` is quick and exact enough in."""
    import torch

    forced = precision()
    if forced != "auto":
        return forced  # torch emulates bfloat16 where the device does not have it
    if not device.startswith("cuda"):
        return "float32"
    with torch.cuda.device(device):
        # Without hardware for it bf16 is emulated, and slower than anything.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if native else "float16"


def pieces(batch: Batch, budget: int) -> Iterator[Batch]:
    """The batch in parts that keep to `budget`, or of one text each."""
    longest = max(1, *map(len, batch.sequences))
    if len(batch.rows) == 1 or longest * len(batch.rows) <= budget:
        yield batch
        return
    for half in batch.halves():
        yield from pieces(half, budget)


def _probe(length: int, known: int) -> list[int]:
    return [_FIRST_WORD + (7 * place) % known for place in range(length)]


def _torch_dtype(name: str) -> torch.dtype:
    import torch

    dtype: torch.dtype = getattr(torch, name)
    return dtype
