"""The torch encoder: for accelerators, and for the CPU where OpenVINO cannot be used.

A device has a worker with a copy of the model and a token budget. Where the model allows it,
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
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.encoding.device import PriorityLock, limit_threads, precision
from bioretrieval_tui.encoding.encoder import Encoded, Engine, Shape, unit_length
from bioretrieval_tui.encoding.model_files import ModelFiles
from bioretrieval_tui.encoding.recipe import SideInput, padding_of
from bioretrieval_tui.encoding.token_batches import (
    Batch,
    TextTokenizer,
    Tokens,
    ahead,
    token_batches,
)
from bioretrieval_tui.encoding.torch_modules import load_modules, shape_of, takes_types
from bioretrieval_tui.errors import DeviceMemoryError, ModelError

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
_REFUSALS = (ImportError, KeyError, RuntimeError, TypeError, ValueError, AttributeError)
"""Errors with which models refuse unknown arguments."""


class OutOfDeviceMemory(RuntimeError):
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


class DeviceWorker:
    """A model on one device, in its best precision or in `dtype`. One thread at a time runs it.

    modules: a SentenceTransformer in float32 on the CPU, owned by this worker from then on; pack:
    whether to try packing, None for what suits the device; types: whether the recipe gives segments
    to a model that knows them.
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
        with device_memory():
            self._modules = modules.to(device=device, dtype=getattr(torch, self.dtype)).eval()
        self._types = types and takes_types(modules[0].model, modules.tokenizer)
        config = modules[0].model.config
        offset = config.model_type in _OFFSETS and config.pad_token_id is not None
        self._first = int(config.pad_token_id) + 1 if offset else 0
        self.packed = False
        if device.startswith("cuda") if pack is None else pack:
            self._try_packing()

    def launch(self, batch: Batch) -> Callable[[], Encoded]:
        """Start a batch; the function waits for its vectors. Raises OutOfDeviceMemory."""
        import torch

        done: Any = None
        with device_memory(), torch.inference_mode():
            vectors = self._packed(batch) if self.packed else self._padded(batch)
            if vectors.is_cuda:
                host = torch.empty(vectors.shape, dtype=vectors.dtype, pin_memory=True)
                host.copy_(vectors, non_blocking=True)
                done = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch's is untyped
                done.record(torch.cuda.current_stream(vectors.device))
            else:
                host = vectors.cpu()

        def collect() -> Encoded:
            if done is not None:
                done.synchronize()
            vectors = np.array(host.numpy(), dtype=np.float32)
            return Encoded(batch.rows, vectors, batch.tokens, longer=batch.longer)

        return collect

    def _padded(self, batch: Batch) -> torch.Tensor:
        import torch

        features: Any = {
            name: self._moved(torch.from_numpy(array))
            for name, array in batch.arrays(self._pad, types=self._types).items()
        }
        for part in self._modules:
            features = part(features)
        vectors: torch.Tensor = features["sentence_embedding"].float()
        return vectors

    def _packed(self, batch: Batch) -> torch.Tensor:
        """Like `_padded`, for a batch without empty texts packed into one row."""
        import torch

        lengths = [len(one.ids) for one in batch.inputs]

        def row(parts: Sequence[Any], dtype: torch.dtype = torch.int64) -> torch.Tensor:
            whole = np.concatenate([np.asarray(part, dtype=np.int64) for part in parts])
            return self._moved(torch.from_numpy(whole).to(dtype))

        edges = row([[0], np.cumsum(lengths)], torch.int32)
        inputs: dict[str, Any] = {
            "input_ids": row([one.ids for one in batch.inputs])[None],
            "position_ids": row([np.arange(length) + self._first for length in lengths])[None],
            "cu_seq_lens_q": edges,
            "max_length_q": max(lengths),
        }
        if self._types:
            inputs["token_type_ids"] = torch.zeros_like(inputs["input_ids"])
            segments = [one.types for one in batch.inputs if one.types is not None]
            if segments:  # of all inputs or of none
                inputs["token_type_ids"] = row(segments)[None]
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

    def _try_packing(self) -> None:
        """Switch to packing if it gives the vectors that padding gives."""
        from sentence_transformers.sentence_transformer.modules import (
            Normalize,
            Pooling,
            Transformer,
        )
        from transformers import AttentionInterface

        kinds = [type(part) for part in self._modules]
        if kinds not in ([Transformer, Pooling], [Transformer, Pooling, Normalize]):
            return
        if _pooling(self._modules) not in ("cls", "mean"):
            return
        model = self._modules[0].model
        before = str(model.config._attn_implementation)
        known = min(50, int(model.config.vocab_size) - _FIRST_WORD)
        ids = [_FIRST_WORD + (7 * place) % known for place in range(33)]
        batch = Batch(range(5), [Tokens(ids[:length]) for length in (9, 2, 33, 17, 3)])
        try:
            expected = self.launch(batch)().vectors
            AttentionInterface.register(PACKED, _attention)
            model.set_attn_implementation(PACKED)
            self.packed = True
            packed = self.launch(batch)().vectors
            cosines = (unit_length(packed) * unit_length(expected)).sum(axis=1)
            if float(cosines.min()) >= _ENOUGH[self.dtype] - 1e-6:
                return
            reason: object = "packed vectors differ"
        except _REFUSALS as error:
            reason = error
        self.packed = False
        _log.info("texts are padded on %s: %s", self.device, reason)
        with contextlib.suppress(ValueError, AttributeError):  # its attention cannot be changed
            model.set_attn_implementation(before)


def best_dtype(device: str) -> str:
    """The precision that the user forces, else the fastest of `device` that is exact enough."""
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
    """Attention within each text of the row: (1, heads, tokens, width) in, (1, tokens, heads,
    width) out. On CUDA by the kernel for unlike lengths; elsewhere (in the tests) text by text."""
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


# The engine -----------------------------------------------------------------------------------


class TorchEngine(Engine):
    """A model on one device.

    device: its name; make: makes the worker of a device. A batch that does not fit is halved, down
    to one input, which the CPU encodes if need be. Raises DeviceMemoryError where the device cannot
    hold the model.
    """

    def __init__(
        self,
        model_id: str,
        revision: str,
        shape: Shape,
        tokenizer: TextTokenizer,
        device: str,
        make: Callable[[str], DeviceWorker],
    ) -> None:
        self._model_id = model_id
        self.tokenizer: TextTokenizer = tokenizer
        self._make = make
        self._threads = limit_threads()
        try:
            self.worker = make(device)
        except OutOfDeviceMemory as error:
            raise DeviceMemoryError(
                f"there is too little memory for {model_id} on {device}",
                remedy="use --device cpu",
            ) from error
        self._fallback: DeviceWorker | None = None
        self._making_fallback = threading.Lock()
        super().__init__(revision, shape, device=device, dtype=self.worker.dtype)

    def encoded(
        self, inputs: Sequence[SideInput], max_length: int, *, urgent: bool
    ) -> Generator[Encoded]:
        if urgent and len(inputs) <= _FEW:
            batch = Batch(range(len(inputs)), self.tokenizer.tokens(inputs, max_length))
            with self.worker.lock.take(urgent=True), _threads(1):
                found = list(self._fitted(self.worker, batch))
            yield from found
            return
        batches = ahead(
            token_batches(
                inputs,
                lambda some: self.tokenizer.tokens(some, max_length),
                lambda: self.worker.budget,
            )
        )
        results: queue.Queue[Encoded | Future[None]] = queue.Queue()
        stopped = threading.Event()

        def work() -> None:
            with _threads(self._threads):
                for one in self._run(batches, urgent=urgent):
                    results.put(one)
                    if stopped.is_set():
                        break

        with (
            contextlib.closing(batches),
            ThreadPoolExecutor(1, thread_name_prefix="encoding") as pool,
        ):
            pool.submit(work).add_done_callback(results.put)
            try:
                while not isinstance(one := results.get(), Future):
                    yield one
                one.result()  # raises what ended the work
            finally:  # on a cancel the batch is finished
                stopped.set()

    def _run(self, batches: Iterator[Batch], *, urgent: bool) -> Iterator[Encoded]:
        """Run batches until there are none, one being computed while the one before is read."""
        worker = self.worker
        launched: deque[Callable[[], Encoded]] = deque()
        for piece in (part for batch in batches for part in batch.parts(worker.budget)):
            with worker.lock.take(urgent=urgent):
                try:
                    launched.append(worker.launch(piece))
                except OutOfDeviceMemory:
                    yield from (collect() for collect in launched)
                    launched.clear()
                    yield from self._fitted(worker, piece)
            if len(launched) > 1:
                yield launched.popleft()()
        yield from (collect() for collect in launched)

    def _fitted(
        self, worker: DeviceWorker, batch: Batch, note: str | None = None
    ) -> Iterator[Encoded]:
        """Encode a batch, in halves where it does not fit, on the CPU where one input does not."""
        import torch

        try:
            found = worker.launch(batch)()
        except OutOfDeviceMemory as error:
            worker.budget = max(_LEAST, min(worker.budget, batch.padded_tokens) // 2)
            if worker.device.startswith("cuda"):
                torch.cuda.empty_cache()
            if len(batch.rows) > 1:
                size = f"batches are reduced to {worker.budget:,} tokens"
                note = f"{worker.device} is short of memory: {size}"
                for half in batch.halves():
                    yield from self._fitted(worker, half, note)
                return
            if worker.device == "cpu":
                raise DeviceMemoryError(
                    f"there is too little memory for {self._model_id}",
                    remedy="close other programs, or use a smaller model",
                ) from error
            with self._making_fallback:
                self._fallback = self._fallback or self._make("cpu")
            note = f"{worker.device} is out of memory: the CPU encodes what does not fit"
            yield from self._fitted(self._fallback, batch, note)
            return
        yield found._replace(note=note)


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


def load_torch_engine(
    model_id: str, files: ModelFiles, recipe: Encoding, device: str, dtype: str | None = None
) -> TorchEngine:
    """The engine of the model in `files` on `device`, in `dtype` or what suits it. Raises
    ModelError where the files do not load, or the device has too little memory."""
    spare = [load_modules(model_id, files, recipe)]
    shape = shape_of(model_id, spare[0], recipe)
    end = None if recipe.append is None else spare[0].tokenizer.eos_token_id
    if recipe.append is not None and end is None:
        raise ModelError(
            f"{model_id}: its recipe appends an end token, and its tokenizer has none",
            remedy="correct `append` in the model's encoding, or get its tokenizer files again",
        )
    padding = padding_of(recipe)
    tokenizer = TextTokenizer.of(model_id, spare[0].tokenizer, end, padding)

    def make(name: str) -> DeviceWorker:
        modules = spare.pop() if spare else load_modules(model_id, files, recipe)
        types, pack = recipe.token_type_ids is not False, None if padding is None else False
        return DeviceWorker(modules, name, tokenizer.pad, pack=pack, types=types, dtype=dtype)

    return TorchEngine(model_id, files.revision, shape, tokenizer, device, make)
