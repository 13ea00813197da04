"""A step of training in parts, where memory is too short for all of its pairs at once.

The batch stays what it is, and so do steps, order and gradients: the contrastive loss goes over to
cached gradients (GradCache, arXiv 2101.06983), the mean of a loss over single pairs is added up
part by part. In contrastive training a smaller batch would be another, easier task.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from bioretrieval_tui.errors import ModelError


class ShortOfMemoryError(ModelError):
    """A step did not fit. rows: that were computed at once."""

    def __init__(self, rows: int) -> None:
        super().__init__(
            f"{rows} pairs at once do not fit into memory", remedy="set a smaller document_length"
        )
        self.rows = rows

    def __reduce__(self) -> tuple[Any, ...]:
        return ShortOfMemoryError, (self.rows,)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it is what torch raises when memory runs out."""
    from accelerate.utils.memory import should_reduce_batch_size

    return isinstance(error, RuntimeError) and bool(should_reduce_batch_size(error))


def halved(rows: int) -> int:
    """Half as many rows at once. Raises ModelError: it was one."""
    if rows < 2:
        raise ModelError(
            "a single pair does not fit into memory",
            remedy="--set document_length=128, --set lora=yes, or a smaller base",
        )
    return rows // 2


def in_parts(trainer: Any, most: int | None, tell: Callable[[str], None], *, alone: bool) -> Any:
    """A subclass of `trainer` (of sentence-transformers) that computes a step in parts of at most
    `most` rows, and of half as many as often as memory runs out, which it tells.

    Of an instance `at_once` are the rows of a part, None while steps are whole. alone: no other
    process waits for this one within a step; otherwise it raises ShortOfMemoryError, as a step that
    several share can only be begun again by all. Raises ModelError: a single pair does not fit."""
    from accelerate.utils.memory import clear_device_cache

    class PartedTrainer(trainer):  # type: ignore[misc]  # untyped there
        loss: Any
        at_once = most
        _share = 1.0

        def training_step(self, model: Any, inputs: dict[str, Any], *given: Any) -> Any:
            while True:
                rows = _rows(inputs)
                try:
                    return self._step(model, dict(inputs), rows, *given)
                except RuntimeError as error:
                    if not is_out_of_memory(error):
                        raise
                # Here the error, and with it what the step had computed, is gone.
                tried = min(self.at_once or rows, rows)
                if not alone:
                    raise ShortOfMemoryError(tried)
                self.at_once = halved(tried)
                model.zero_grad(set_to_none=True)
                clear_device_cache(garbage_collection=True)
                tell(f"memory is short: {self.at_once} pairs are computed at a time")

        def _step(self, model: Any, inputs: dict[str, Any], rows: int, *given: Any) -> Any:
            most = self.at_once
            if most is None or rows <= most:
                return super().training_step(model, inputs, *given)
            if type(self.loss).__name__ == _IN_BATCH:
                self.loss = _cached(self.loss)
            if type(self.loss).__name__ == _CACHED:
                self.loss.mini_batch_size = most
                return super().training_step(model, inputs, *given)
            total = 0.0
            try:
                for start in range(0, rows, most):
                    part = {name: _part(one, start, most, rows) for name, one in inputs.items()}
                    self._share = min(most, rows - start) / rows
                    total += super().training_step(model, part, *given)
            finally:
                self._share = 1.0
            return total

        def compute_loss(self, *given: Any, **how: Any) -> Any:
            found = super().compute_loss(*given, **how)
            return found if self._share == 1 else found * self._share

    return PartedTrainer


_IN_BATCH = "MultipleNegativesRankingLoss"
_CACHED = f"Cached{_IN_BATCH}"


def _cached(loss: Any) -> Any:
    """The same loss, of bi-encoders or of cross-encoders, with cached gradients."""
    beside = importlib.import_module(type(loss).__module__.rpartition(".")[0])
    names = ("scale", "similarity_fct", "gather_across_devices", "num_negatives", "activation_fn")
    how = {name: getattr(loss, name) for name in names if hasattr(loss, name)}
    return getattr(beside, _CACHED)(loss.model, **how)


def _rows(inputs: dict[str, Any]) -> int:
    """Rows of a batch; each of its columns is a tensor or a list of so many."""
    return next(len(one) for one in inputs.values() if _is_column(one))


def _is_column(value: Any) -> bool:
    return isinstance(value, list) or getattr(value, "ndim", 0) > 0


def _part(value: Any, start: int, most: int, rows: int) -> Any:
    whole = not _is_column(value) or len(value) != rows
    return value if whole else value[start : start + most]
