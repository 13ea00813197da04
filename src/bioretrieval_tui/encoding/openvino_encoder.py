"""The encoder of the CPU: a model prepared for OpenVINO, loaded without torch in a fraction of a
second.

Neither torch nor sentence-transformers is imported here: `preparing` does that, once a model.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.encoding import openvino_runtime as device
from bioretrieval_tui.encoding.base import BaseEncoder, Vectors
from bioretrieval_tui.encoding.batches import Batch, ahead, token_batches
from bioretrieval_tui.encoding.prepared import Prepared
from bioretrieval_tui.encoding.recipe import SideInput
from bioretrieval_tui.encoding.tokenising import TextTokenizer
from bioretrieval_tui.encoding.turns import Turns
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.progress import Progress, Reporter, silent

BATCH_TOKENS = 1024
"""Tokens a batch, padding counted: what was fastest on two cores, and little to wait for."""
_FEW = 4
"""So few queries are run one after the other, each on all cores."""


class OpenVinoEncoder(BaseEncoder):
    """A prepared encoder; `encoder.Encoder` says what its members mean.

    Safe to call from several threads. A waiting query goes before the next batch of documents.

    Raises (on construction):
        ModelError: OpenVINO does not take the files.
    """

    def __init__(self, found: Prepared, recipe: Encoding) -> None:
        note = found.note
        self._precision: device.Precision = "bf16" if note.key.precision == "bf16" else "f32"
        super().__init__(
            note.key.model,
            note.key.revision,
            recipe,
            note.shape,
            device="cpu",
            dtype=device.DTYPES[self._precision],
        )
        self._folder = found.folder
        self._tokenizer = TextTokenizer.from_file(_file(found, "tokenizer.json"), note.pad)
        try:
            # Copy-on-write maps: OpenVINO wants to be able to write and never does. It reads from
            # this map for as long as it runs, and does not keep it: the encoder must.
            self._graph = np.memmap(_file(found, "graph.blob"), dtype=np.uint8, mode="c")
            words = found.path("words.npy")
            self._words = None if words is None else np.load(words, mmap_mode="r")
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise ModelError(f"{found.folder} cannot be read: {error}") from error
        self._turns = Turns()
        self._compiling = threading.Lock()
        self._compiled: dict[str, Any] = {}
        self._asking = threading.Lock()
        queries = self._model("queries")
        self._inputs = frozenset(one.get_any_name() for one in queries.inputs)
        self._request = queries.create_infer_request()

    def _encode_queries(self, inputs: Sequence[SideInput], max_length: int) -> Vectors:
        if len(inputs) > _FEW:
            return self._stream(inputs, max_length, urgent=True)
        vectors = np.zeros((len(inputs), self._shape.dimension), dtype=np.float32)
        for row, tokens in enumerate(self._tokenizer.tokens(inputs, max_length)):
            feed = self._feed(Batch.of([row], [tokens]))
            # One request is one state, so queries of several threads go in turn.
            with self._asking, self._turns.take(urgent=True):
                self._request.infer(feed, share_inputs=True)
                vectors[row] = self._request.get_output_tensor(0).data[0]
        return vectors

    def _encode_documents(
        self, inputs: Sequence[SideInput], max_length: int, progress: Reporter
    ) -> Vectors:
        return self._stream(inputs, max_length, urgent=False, progress=progress)

    def _stream(
        self,
        inputs: Sequence[SideInput],
        max_length: int,
        *,
        urgent: bool,
        progress: Reporter = silent,
    ) -> Vectors:
        """Encode all `inputs` with as many batches under way as there are streams, and one more."""
        vectors = np.zeros((len(inputs), self._shape.dimension), dtype=np.float32)
        if not inputs:
            return vectors
        model = self._model("documents")
        streams = int(model.get_property("NUM_STREAMS"))
        idle = [model.create_infer_request() for _ in range(streams + 1)]
        running: deque[tuple[Any, Batch]] = deque()
        batches: Generator[tuple[Batch, dict[str, Any]], None, None] = ahead(
            (batch, self._feed(batch))
            for batch in token_batches(
                inputs, lambda some: self._tokenizer.tokens(some, max_length), lambda: BATCH_TOKENS
            )
        )
        done = 0

        def collect() -> None:
            nonlocal done
            request, batch = running.popleft()
            request.wait()
            vectors[list(batch.rows)] = request.get_output_tensor(0).data
            idle.append(request)
            done += len(batch.rows)
            if not urgent:
                self._count(batch.tokens)
            progress(Progress("encoding", done, len(inputs)))

        with contextlib.closing(batches):
            try:
                for batch, feed in batches:
                    if not idle:
                        collect()
                    # Who has the turn starts work; so nothing starts while a query is at it.
                    with self._turns.take(urgent=urgent):
                        request = idle.pop()
                        request.start_async(feed, share_inputs=True)
                        running.append((request, batch))
                while running:
                    collect()
            finally:
                # Nothing may run on arrays that are about to go away.
                for request, _ in running:
                    with contextlib.suppress(RuntimeError):  # its vectors are not wanted any more
                        request.wait()
        return vectors

    def _feed(self, batch: Batch) -> dict[str, npt.NDArray[Any]]:
        ids, mask = batch.padded(self._tokenizer.pad)
        feed: dict[str, npt.NDArray[Any]] = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in self._inputs:
            feed["token_type_ids"] = batch.padded_types()
        if self._words is not None:
            feed["words"] = np.take(self._words, ids, axis=0)
        return {name: array for name, array in feed.items() if name in self._inputs}

    def _model(self, use: str) -> Any:
        """The model compiled for queries or documents, at the first need of either."""
        with self._compiling:
            if use not in self._compiled:
                settings = device.one_by_one if use == "queries" else device.many
                shared = device.runtime().Tensor(self._graph, shared_memory=True)
                try:
                    self._compiled[use] = device.core().import_model(
                        shared, "CPU", settings(self._precision)
                    )
                except RuntimeError as error:
                    reason = str(error).strip().splitlines()[-1]
                    raise ModelError(f"OpenVINO does not load {self._folder}: {reason}") from error
            return self._compiled[use]


def _file(found: Prepared, name: str) -> Path:
    path = found.path(name)
    if path is None:
        raise ModelError(f"the prepared encoder {found.folder} has no {name}")
    return path
