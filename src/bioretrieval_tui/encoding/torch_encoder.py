"""The torch encoder: for accelerators, and for the CPU where OpenVINO cannot be used.

Each device has a worker with a copy of the model and a token budget. Where the model allows it,
texts are packed one after another into a single row, each attending to itself alone: padding costs
as much as text, and accelerators have a kernel for rows of unlike length. Which models pass their
arguments through to such a kernel is poorly documented, so packing is compared with padding first.

torch, transformers and sentence_transformers are imported within functions.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.encoding.device import PriorityLock, limit_threads, pick, precision
from bioretrieval_tui.encoding.encoder import BaseEncoder, Shape, Vectors, unit_length
from bioretrieval_tui.encoding.model_files import ModelFiles
from bioretrieval_tui.encoding.recipe import SideInput
from bioretrieval_tui.encoding.token_batches import Batch, TextTokenizer, ahead, token_batches
from bioretrieval_tui.encoding.torch_modules import end_token, load_modules, shape_of, takes_types
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Progress, Reporter, silent

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

PACKED = "bioretrieval_packed"
BUDGETS = {"cpu": 2048, "cuda": 32_768, "mps": 8192}
"""Tokens per batch, padding included. Small on the CPU: larger batches only add padding and delay a
cancel. On CUDA large enough to fill a large card, and halved when memory runs out."""
_LEAST = 64
_FEW = 4
"""At most so many queries run on one thread. Ten words gain nothing from more, and on a busy
machine every layer waits for the slowest thread: measured, 1 s rather than 0.1 s."""
_OFFSETS = ("roberta", "xlm-roberta", "camembert")
"""Models that count positions from the number after the padding's."""
_FIRST_WORD = 5
"""The padding id of every model is below this one, and every vocabulary has ids above."""
_ENOUGH = {"float32": 0.999999, "bfloat16": 0.999, "float16": 0.999}
"""Lowest cosine of packed to padded vectors."""


class OutOfDeviceMemory(Exception):
    """The device could not hold the batch."""


@contextlib.contextmanager
def device_memory() -> Iterator[None]:
    """Raise what torch raises when memory runs out as OutOfDeviceMemory."""
    import torch

    try:
        yield
    except RuntimeError as error:
        # torch.OutOfMemoryError is a RuntimeError; Apple's backend has no class of its own for it.
        if not isinstance(error, torch.OutOfMemoryError) and "out of memory" not in str(error):
            raise
        raise OutOfDeviceMemory(str(error)) from error


# One device -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Launched:
    """A batch being computed; `done` is an event of the device, or None."""

    batch: Batch
    vectors: torch.Tensor
    done: Any


class DeviceWorker:
    """A model on one device, in the device's best precision. One thread at a time runs it.

    modules: a SentenceTransformer in float32 on the CPU, owned by this worker from then on; pack:
    whether to try packing, None for what suits the device; types: whether the recipe gives segments
    to a model that knows them; dtype: replaces the best precision.
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
        import torch

        self.device = device
        self.dtype = dtype or best_dtype(device)
        self.budget = BUDGETS[device.partition(":")[0]]
        self.lock = PriorityLock()
        self._pad = pad
        self._modules = modules.to(device=device, dtype=getattr(torch, self.dtype)).eval()
        self._types = types and takes_types(modules[0].model, modules.tokenizer)
        config = modules[0].model.config
        offset = config.model_type in _OFFSETS and config.pad_token_id is not None
        self._first = int(config.pad_token_id) + 1 if offset else 0
        self.packed = False
        if device.startswith("cuda") if pack is None else pack:
            self.packed = self._try_packing()

    def launch(self, batch: Batch) -> Launched:
        """Start a batch.

        Raises:
            OutOfDeviceMemory: nothing was computed.
        """
        import torch

        with device_memory(), torch.inference_mode():
            vectors = self._packed(batch) if self.packed else self._padded(batch)
            if not vectors.is_cuda:
                return Launched(batch, vectors.cpu(), None)
            host = torch.empty(vectors.shape, dtype=vectors.dtype, pin_memory=True)
            host.copy_(vectors, non_blocking=True)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(torch.cuda.current_stream(vectors.device))
            return Launched(batch, host, done)

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

        self.budget = max(_LEAST, min(self.budget, batch.padded_tokens) // 2)
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()
        return len(batch.rows) > 1

    def _padded(self, batch: Batch) -> torch.Tensor:
        import torch

        features: Any = {
            name: self._moved(torch.from_numpy(array))
            for name, array in batch.inputs(self._pad, types=self._types).items()
        }
        for part in self._modules:
            features = part(features)
        vectors: torch.Tensor = features["sentence_embedding"].float()
        return vectors

    def _packed(self, batch: Batch) -> torch.Tensor:
        """Like `_padded`, for a batch without empty texts packed into one row."""
        import torch

        lengths = [len(sequence) for sequence in batch.sequences]

        def row(parts: Sequence[Any], dtype: torch.dtype = torch.int64) -> torch.Tensor:
            whole = np.concatenate([np.asarray(part, dtype=np.int64) for part in parts])
            return self._moved(torch.from_numpy(whole).to(dtype))

        edges = row([[0], np.cumsum(lengths)], torch.int32)
        inputs: dict[str, Any] = {
            "input_ids": row(batch.sequences)[None],
            "position_ids": row([np.arange(length) + self._first for length in lengths])[None],
            "cu_seq_lens_q": edges,
            "max_length_q": max(lengths),
        }
        if self._types and batch.types is not None:
            inputs["token_type_ids"] = row(batch.types)[None]
        elif self._types:
            inputs["token_type_ids"] = torch.zeros_like(inputs["input_ids"])
        states = self._modules[0].model(**inputs).last_hidden_state[0].float()
        if _pooling(self._modules) == "cls":
            vectors = states[edges[:-1].long()]
        else:
            texts = row([np.repeat(np.arange(len(lengths)), lengths)])
            sums = torch.zeros(len(lengths), states.shape[1], device=states.device)
            vectors = sums.index_add_(0, texts, states) / edges.diff()[:, None]
        if len(self._modules) > 2:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        return cast("torch.Tensor", vectors)

    def _moved(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor on this device; to CUDA from pinned memory, without waiting for the copy."""
        if self.device.startswith("cuda"):
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    def _try_packing(self) -> bool:
        """Switch to packing if it gives the vectors that padding gives."""
        from sentence_transformers.sentence_transformer.modules import (
            Normalize,
            Pooling,
            Transformer,
        )
        from transformers import AttentionInterface

        kinds = [type(part) for part in self._modules]
        if kinds not in ([Transformer, Pooling], [Transformer, Pooling, Normalize]):
            return False
        if _pooling(self._modules) not in ("cls", "mean"):
            return False
        model = self._modules[0].model
        before = str(model.config._attn_implementation)
        known = min(50, int(model.config.vocab_size) - _FIRST_WORD)
        ids = [_FIRST_WORD + (7 * place) % known for place in range(33)]
        batch = Batch(tuple(range(5)), tuple(ids[:length] for length in (9, 2, 33, 17, 3)))
        try:
            expected = self.run(batch)
            AttentionInterface.register(PACKED, _attention)
            model.set_attn_implementation(PACKED)
            self.packed = True
            cosines = (unit_length(self.run(batch)) * unit_length(expected)).sum(axis=1)
            if float(cosines.min()) >= _ENOUGH[self.dtype] - 1e-6:
                return True
            reason: object = "packed vectors differ"
        except (
            ImportError,
            KeyError,
            RuntimeError,
            TypeError,
            ValueError,
            AttributeError,
        ) as error:
            # Models refuse unknown arguments with different errors; padding always works.
            reason = error
        except OutOfDeviceMemory as error:
            reason = error
        _log.info("texts are padded on %s: %s", self.device, reason)
        with contextlib.suppress(ValueError, AttributeError):  # its attention cannot be changed
            model.set_attn_implementation(before)
        return False


def best_dtype(device: str) -> str:
    """The precision that the user forces, else the fastest exact enough one of `device`."""
    import torch

    forced = precision()
    if forced != "auto":
        return forced  # torch emulates bfloat16 where the device does not have it
    if not device.startswith("cuda"):
        return "float32"
    with torch.cuda.device(device):
        # Emulated bf16 is slower than any other precision.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if native else "float16"


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
    On CUDA by the kernel for unlike lengths; elsewhere (in the tests) text by text.
    """
    import torch

    edges, longest = kwargs["cu_seq_lens_q"], kwargs["max_length_q"]
    if attention_mask is not None or len(query) != 1:
        raise ValueError("packed texts take no mask")
    if query.is_cuda:
        from torch.nn.attention.varlen import varlen_attn

        q, k, v = (each[0].transpose(0, 1).contiguous() for each in (query, key, value))
        out = varlen_attn(q, k, v, edges, edges, longest, longest, scale=scaling)
        return cast("torch.Tensor", out)[None], None
    parts = [
        torch.nn.functional.scaled_dot_product_attention(
            query[:, :, start:end], key[:, :, start:end], value[:, :, start:end], scale=scaling
        )
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    return torch.cat(parts, dim=2).transpose(1, 2), None


# All devices ----------------------------------------------------------------------------------


def load_torch_encoder(
    model_id: str,
    files: ModelFiles,
    recipe: Encoding,
    device: str = "auto",
    *,
    dtype: str | None = None,
) -> TorchEncoder:
    """The encoder of the model in `files` on `device`, or on several separated by commas.

    dtype: of the computation; None for what suits each device.

    Raises:
        ModelError: the recipe is not supported, or the files do not load.
    """
    devices = pick(device).split(",")
    limit_threads()

    def load() -> Any:
        return load_modules(model_id, files.folder, recipe, "cpu", adapter=files.adapter)

    spare = [load()]
    shape = shape_of(model_id, spare[0], recipe)
    end = end_token(model_id, spare[0].tokenizer, recipe)
    tokenizer = TextTokenizer.of(model_id, spare[0].tokenizer, end)

    def make(name: str) -> DeviceWorker:
        modules = spare.pop() if spare else load()
        types = recipe.token_type_ids is not False
        try:
            return DeviceWorker(modules, name, tokenizer.pad, types=types, dtype=dtype)
        except OutOfDeviceMemory as error:
            raise ModelError(
                f"{name} has too little memory for {model_id}", remedy="use --device cpu"
            ) from error

    return TorchEncoder(
        model_id, files.revision, recipe, shape, tokenizer=tokenizer, devices=devices, make=make
    )


_Encoded = tuple[Batch, Vectors, str | None]
"""A batch, its vectors, and a note for the user."""


class TorchEncoder(BaseEncoder):
    """An encoder of one model on one or several devices; see `encoder.Encoder` for the members.

    make: makes the worker of a device; the first name in `devices` encodes queries. Safe to call
    from several threads. Each worker takes the next batch of documents when it is ready; a batch
    that does not fit is halved, down to one text, which the CPU encodes if need be. A waiting query
    precedes the next batch of the first worker.
    """

    def __init__(
        self,
        model_id: str,
        revision: str,
        recipe: Encoding,
        shape: Shape,
        *,
        tokenizer: TextTokenizer,
        devices: Sequence[str],
        make: Callable[[str], DeviceWorker],
    ) -> None:
        self._make = make
        self._workers = [make(name) for name in devices]
        self._tokenizer = tokenizer
        self._fallback: DeviceWorker | None = None
        self._making_fallback = threading.Lock()
        self._threads = limit_threads()
        device = ",".join(worker.device for worker in self._workers)
        dtype = self._workers[0].dtype
        super().__init__(model_id, revision, recipe, shape, device=device, dtype=dtype)

    def _encode_queries(self, inputs: Sequence[SideInput], max_length: int) -> Vectors:
        if len(inputs) > _FEW:
            return self._stream(inputs, max_length, urgent=True, progress=silent)
        vectors = np.zeros((len(inputs), self._shape.dimension), dtype=np.float32)
        if inputs:
            batch = Batch.of(range(len(inputs)), self._tokenizer.tokens(inputs, max_length))
            with self._workers[0].lock.take(urgent=True), _threads(1):
                vectors[:] = self._run(self._workers[0], batch, [])
        return vectors

    def _encode_documents(
        self, inputs: Sequence[SideInput], max_length: int, progress: Reporter
    ) -> Vectors:
        return self._stream(inputs, max_length, urgent=False, progress=progress)

    def _stream(
        self, inputs: Sequence[SideInput], max_length: int, *, urgent: bool, progress: Reporter
    ) -> Vectors:
        vectors = np.zeros((len(inputs), self._shape.dimension), dtype=np.float32)
        if not inputs:
            return vectors
        batches = ahead(
            token_batches(
                inputs,
                lambda some: self._tokenizer.tokens(some, max_length),
                lambda: min(worker.budget for worker in self._workers),
            )
        )
        taking = threading.Lock()

        def take() -> Batch | None:
            with taking:
                return next(batches, None)

        results: queue.Queue[_Encoded | BaseException | None] = queue.Queue()
        done, running = 0, len(self._workers)
        with ThreadPoolExecutor(running, thread_name_prefix="encoding") as pool:
            for worker in self._workers:
                pool.submit(self._work, worker, iter(take, None), results, urgent)
            try:
                while running:
                    one = results.get()
                    if isinstance(one, BaseException):
                        raise one
                    if one is None:
                        running -= 1
                        continue
                    batch, encoded, note = one
                    vectors[list(batch.rows)] = encoded
                    done += len(batch.rows)
                    if not urgent:
                        self._count(batch.tokens)
                    progress(Progress("encoding", done, len(inputs), note=note))
            finally:
                # On a cancel each worker finishes its batch; a closed generator gives no other.
                with taking:
                    batches.close()
        return vectors

    def _work(
        self,
        worker: DeviceWorker,
        batches: Iterator[Batch],
        results: queue.Queue[_Encoded | BaseException | None],
        urgent: bool,
    ) -> None:
        """Run batches until there are none, one being computed while the one before is read."""
        notes: list[str] = []
        launched: Launched | None = None

        def hand_over(batch: Batch, vectors: Vectors) -> None:
            results.put((batch, vectors, notes.pop() if notes else None))

        def hand_over_launched() -> None:
            nonlocal launched
            if launched is not None:
                hand_over(launched.batch, worker.collect(launched))
            launched = None

        try:
            with _threads(self._threads):
                for piece in (part for batch in batches for part in batch.parts(worker.budget)):
                    following = None
                    with worker.lock.take(urgent=urgent):
                        try:
                            following = worker.launch(piece)
                        except OutOfDeviceMemory:
                            hand_over_launched()
                            hand_over(piece, self._run(worker, piece, notes))
                    hand_over_launched()
                    launched = following
                hand_over_launched()
            results.put(None)
        except BaseException as error:  # noqa: BLE001
            results.put(error)  # raised again on the caller's thread

    def _run(self, worker: DeviceWorker, batch: Batch, notes: list[str]) -> Vectors:
        """Encode a batch, in halves where it does not fit, on the CPU where one text does not."""
        try:
            return worker.run(batch)
        except OutOfDeviceMemory as error:
            if not worker.shrink(batch):
                if worker.device == "cpu":
                    raise ModelError(
                        f"there is too little memory for {self.model_id}",
                        remedy="close other programs, or use a smaller model",
                    ) from error
                notes[:] = [f"{worker.device} is out of memory: the CPU encodes what does not fit"]
                with self._making_fallback:
                    self._fallback = self._fallback or self._make("cpu")
                return self._run(self._fallback, batch, notes)
        if not any("out of memory" in note for note in notes):
            size = f"batches are reduced to {worker.budget:,} tokens"
            notes[:] = [f"{worker.device} is short of memory: {size}"]
        return np.concatenate([self._run(worker, half, notes) for half in batch.halves()])


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch use `number` threads; the setting belongs to the calling thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
