"""The encoder of accelerators, and of the CPU where OpenVINO does not do: one or more lanes.

torch and sentence_transformers are imported within functions.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.encoding.base import BaseEncoder, Shape, Vectors
from bioretrieval_tui.encoding.batches import Batch, Tokenise, ahead, token_batches
from bioretrieval_tui.encoding.device import limit_threads, pick
from bioretrieval_tui.encoding.modules import end_token, load_modules, shape_of
from bioretrieval_tui.encoding.recipe import SideInput
from bioretrieval_tui.encoding.sources import ModelFiles
from bioretrieval_tui.encoding.tokenising import TextTokenizer, Tokens, encodable, ended
from bioretrieval_tui.encoding.torch_lane import Lane, Launched, OutOfDeviceMemory, pieces
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Progress, Reporter, silent

_FEW = 4
"""So few queries run on one thread. Ten words gain nothing from more, and on a busy machine
every layer would wait for the slowest thread's turn: seen, 1 s rather than 0.1 s."""

MakeLane = Callable[[str], Lane]
TokeniserOfLength = Callable[[int], Tokenise]


def load_torch_encoder(
    model_id: str,
    files: ModelFiles,
    recipe: Encoding,
    device: str = "auto",
    *,
    dtype: str | None = None,
) -> TorchEncoder:
    """The encoder of the model in `files` on `device`, which may be several with commas.

    dtype: in which it computes; None for what suits each device.

    Raises:
        ModelError: the recipe asks for something not supported, or the files do not load.
    """
    devices = pick(device).split(",")
    limit_threads()
    first = load_modules(model_id, files.folder, recipe, "cpu", adapter=files.adapter)
    shape = shape_of(model_id, first, recipe)
    pad = int(first.tokenizer.pad_token_id or 0)
    tokenise = _tokeniser(first.tokenizer, pad, end_token(model_id, first.tokenizer, recipe))
    spare = [first]

    def make(name: str) -> Lane:
        modules = (
            spare.pop()
            if spare
            else load_modules(model_id, files.folder, recipe, "cpu", adapter=files.adapter)
        )
        try:
            return Lane(modules, name, pad, types=recipe.token_type_ids is not False, dtype=dtype)
        except OutOfDeviceMemory as error:
            raise ModelError(
                f"{name} has too little memory for {model_id}", remedy="use --device cpu"
            ) from error

    return TorchEncoder(
        model_id, files.revision, recipe, shape, tokenise=tokenise, devices=devices, make=make
    )


@dataclass(frozen=True, slots=True)
class _Done:
    """What a lane hands over: vectors of a batch, or what happened; a note for the user."""

    batch: Batch | None = None
    vectors: Vectors | None = None
    error: BaseException | None = None
    note: str | None = None


class TorchEncoder(BaseEncoder):
    """An encoder of one model on one or several devices; see `encoder.Encoder` for the members.

    Safe to call from several threads. Documents are shared among the lanes as each gets ready for
    more; a batch that does not fit is halved, down to one text, which the CPU takes last. A
    waiting query goes before the next batch of the first lane.
    """

    def __init__(
        self,
        model_id: str,
        revision: str,
        recipe: Encoding,
        shape: Shape,
        *,
        tokenise: TokeniserOfLength,
        devices: Sequence[str],
        make: MakeLane,
    ) -> None:
        self._make = make
        self._lanes = [make(name) for name in devices]
        self._tokenise = tokenise
        self._last: Lane | None = None
        self._making_last = threading.Lock()
        self._threads = limit_threads()
        super().__init__(
            model_id,
            revision,
            recipe,
            shape,
            device=",".join(lane.device for lane in self._lanes),
            dtype=self._lanes[0].dtype,
        )

    def _encode_queries(self, inputs: Sequence[SideInput], max_length: int) -> Vectors:
        if len(inputs) > _FEW:
            return self._stream(inputs, max_length, urgent=True, progress=silent)
        vectors = np.zeros((len(inputs), self._shape.dimension), dtype=np.float32)
        if inputs:
            batch = Batch.of(range(len(inputs)), self._tokenise(max_length)(inputs))
            with self._lanes[0].turns.take(urgent=True), _threads(1):
                vectors[:] = self._run(self._lanes[0], batch, [])
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
                self._tokenise(max_length),
                lambda: min(lane.budget for lane in self._lanes),
            )
        )
        shared = _Shared(batches)
        results: queue.Queue[_Done] = queue.Queue()
        workers = [
            threading.Thread(
                target=self._work, args=(lane, shared, results, urgent), name=lane.device
            )
            for lane in self._lanes
        ]
        for worker in workers:
            worker.start()
        done, running = 0, len(workers)
        try:
            while running:
                one = results.get()
                if one.error is not None:
                    raise one.error
                if one.batch is None or one.vectors is None:
                    running -= 1
                    continue
                vectors[list(one.batch.rows)] = one.vectors
                done += len(one.batch.rows)
                if not urgent:
                    self._count(one.batch.tokens)
                progress(Progress("encoding", done, len(inputs), note=one.note))
        finally:
            # On a cancel each lane finishes the batch that it is at, and takes no other.
            shared.stop()
            for worker in workers:
                worker.join()
        return vectors

    def _work(self, lane: Lane, shared: _Shared, results: queue.Queue[_Done], urgent: bool) -> None:
        """Run batches until there are none, one under way while the one before is read."""
        notes: list[str] = []
        under_way: Launched | None = None

        def hand_over(launched: Launched) -> None:
            found = lane.collect(launched)
            note = notes.pop() if notes else None
            results.put(_Done(launched.batch, found, note=note))

        try:
            with _threads(self._threads):
                for batch in shared:
                    for piece in pieces(batch, lane.budget):
                        with lane.turns.take(urgent=urgent):
                            try:
                                launched = lane.launch(piece)
                            except OutOfDeviceMemory:
                                if under_way is not None:
                                    hand_over(under_way)
                                    under_way = None
                                vectors = self._run(lane, piece, notes)
                                note = notes.pop() if notes else None
                                results.put(_Done(piece, vectors, note=note))
                                continue
                        if under_way is not None:
                            hand_over(under_way)
                        under_way = launched
                if under_way is not None:
                    hand_over(under_way)
            results.put(_Done())
        except BaseException as error:  # noqa: BLE001
            # It belongs to the caller, on whose thread it is raised again.
            results.put(_Done(error=error))

    def _run(self, lane: Lane, batch: Batch, notes: list[str]) -> Vectors:
        """Encode a batch, in halves where it does not fit, on the CPU where one text does not."""
        try:
            return lane.run(batch)
        except OutOfDeviceMemory as error:
            if not lane.shrink(batch):
                if lane.device == "cpu":
                    raise ModelError(
                        f"there is too little memory for {self.model_id}",
                        remedy="close other programs, or use a smaller model",
                    ) from error
                notes[:] = [f"{lane.device} is out of memory: the CPU takes what does not fit"]
                return self._run(self._cpu(), batch, notes)
        if not any("out of memory" in note for note in notes):
            notes[:] = [f"{lane.device} is short of memory: batches of {lane.budget:,} tokens now"]
        halves = [self._run(lane, half, notes) for half in batch.halves()]
        return np.concatenate(halves)

    def _cpu(self) -> Lane:
        with self._making_last:
            if self._last is None:
                self._last = self._make("cpu")
            return self._last


class _Shared:
    """Batches that several lanes take from."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self._taking = threading.Lock()
        self._stopped = False

    def __iter__(self) -> Iterator[Batch]:
        while True:
            with self._taking:
                batch = None if self._stopped else next(self._batches, None)
            if batch is None:
                return
            yield batch

    def stop(self) -> None:
        """Give out no more batches and end the thread that makes them."""
        with self._taking:
            self._stopped = True
            self._batches.close()


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch use so many threads; the setting belongs to the calling thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _tokeniser(tokenizer: Any, pad: int, append: int | None = None) -> TokeniserOfLength:
    """How the model's tokenizer cuts inputs of a length into tokens; `append` ends each."""
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is not None:
        from tokenizers import Tokenizer

        ours = TextTokenizer(Tokenizer.from_str(fast.to_str()), pad, append)
        return lambda length: lambda inputs: ours.tokens(inputs, length)

    def of_length(length: int) -> Tokenise:
        def tokens(inputs: Sequence[SideInput]) -> list[Tokens]:
            given = [
                encodable(one.first)
                if one.second is None
                else [encodable(one.first), encodable(one.second)]
                for one in inputs
            ]
            made = tokenizer(given, truncation=True, max_length=length - (append is not None))
            pairs = any(one.second is not None for one in inputs)
            types = made.get("token_type_ids") if pairs else None
            found = [
                Tokens(list(ids), None if types is None else list(types[row]))
                for row, ids in enumerate(made["input_ids"])
            ]
            return found if append is None else [ended(one, append) for one in found]

        return tokens

    return of_length
