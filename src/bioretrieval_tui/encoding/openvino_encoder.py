"""The CPU encoder: a model prepared for OpenVINO, loaded without torch in a fraction of a second,
and the cache folder of prepared models.

A prepared model is a folder of files with a note of what they are and their checksums. All
checksums are compared before native code reads a file. `openvino_export` prepares models.
openvino is imported within functions, without its telemetry, and always with an explicit precision.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import platform
import shutil
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from filelock import FileLock

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.checksum import remembered_sha256, sha256_of
from bioretrieval_tui.encoding.device import PriorityLock, precision, usable_cores
from bioretrieval_tui.encoding.encoder import BaseEncoder, Shape, Vectors
from bioretrieval_tui.encoding.recipe import SideInput
from bioretrieval_tui.encoding.token_batches import Batch, Ids, TextTokenizer, ahead, token_batches
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.paths import places
from bioretrieval_tui.progress import Progress, Reporter, silent

_log = logging.getLogger(__name__)

Precision = Literal["bf16", "f32"]
DTYPES: dict[Precision, str] = {"bf16": "bfloat16", "f32": "float32"}
FORMAT = 1
"""Of the note and the files; part of the key, so files of another format are never loaded."""
GRAPH = "graph.blob"
TOKENIZER = "tokenizer.json"
WORDS = "words.npy"
NOTE = "note.json"
BATCH_TOKENS = 1024
"""Tokens per batch, padding included: the fastest on two cores, and a short wait for a cancel."""
_FEW = 4
"""At most so many queries run one after the other, each on all cores."""
_MOST_STREAMS = 32
_MOST_KEPT = 8
"""Prepared models that the cache keeps; each is as large as its model."""
_CONVERTER = "openvino.tools.ovc"
_importing = threading.Lock()


# OpenVINO -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chip:
    """What decides which prepared encoder fits: OpenVINO's version, processor and precision."""

    openvino: str
    processor: str
    precision: Precision


def runtime() -> Any:
    """The module `openvino`.

    Raises:
        ImportError: it is not installed, or not for this machine.
    """
    # Importing its command-line converter sends a usage report over the network and leaves files in
    # the user's home; openvino does without it, and starts 0.1 s sooner.
    modules: dict[str, Any] = sys.modules
    with _importing:
        hidden = _CONVERTER not in modules
        if hidden:
            modules[_CONVERTER] = None
        try:
            import openvino
        finally:
            if hidden:
                del modules[_CONVERTER]
    return openvino


@functools.cache
def core() -> Any:
    """OpenVINO's entry point, one per process. Raises ImportError as `runtime` does."""
    return runtime().Core()


def chip() -> Chip | None:
    """This machine as OpenVINO sees it, with the precision to use; None if the user forces one that
    the processor does not have. Raises ImportError as `runtime` does."""
    found, forced = _quickest(), precision()
    if forced == "float32":
        return replace(found, precision="f32")
    return None if forced == "bfloat16" and found.precision != "bf16" else found


@functools.cache
def _quickest() -> Chip:
    # bf16 is twice as fast where the processor has it, at a cosine of 0.9999; int8 would be faster
    # still, but is not exact enough.
    flags = ""  # the instruction sets: the processor's name alone says too little
    with (
        contextlib.suppress(OSError),
        Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as lines,
    ):
        line = next((line for line in lines if line.startswith(("flags", "Features"))), "")
        flags = line.partition(":")[2].strip()
    can = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    name = f"{core().get_property('CPU', 'FULL_DEVICE_NAME')} {platform.machine()} {flags}"
    return Chip(str(runtime().__version__), name, "bf16" if "BF16" in can else "f32")


def settings(kind: Precision, *, queries: bool) -> dict[str, Any]:
    """OpenVINO's settings to compile a model.

    For queries all cores share one text, each thread pinned to its core, which saves a fifth of the
    time of such short work. For documents each core has a batch of its own, which wastes less time
    waiting than sharing does; pinning would let two long builds compete for one core while another
    is idle.
    """
    return {
        # Without this OpenVINO computes in bf16 where it can, even for a float32 model.
        "INFERENCE_PRECISION_HINT": kind,
        "NUM_STREAMS": 1 if queries else min(usable_cores(), _MOST_STREAMS),
        "INFERENCE_NUM_THREADS": usable_cores(),
        "ENABLE_CPU_PINNING": queries,
    }


# The cache folder ------------------------------------------------------------------------------


class PreparedKey(msgspec.Struct, frozen=True):
    """Everything that decides whether a prepared encoder may be used."""

    model: str
    revision: str
    recipe: str
    openvino: str
    processor: str
    precision: Precision
    format: int = FORMAT

    @property
    def name(self) -> str:
        """The folder's name."""
        canonical = msgspec.json.encode(self, order="deterministic")
        return hashlib.sha256(canonical).hexdigest()[:32]


class PreparedNote(msgspec.Struct, frozen=True):
    """What the folder holds.

    files: SHA-256 by name; worst: the lowest cosine to sentence-transformers when it was prepared;
    refused: why the conversion failed and the folder is empty, or None.
    """

    key: PreparedKey
    files: dict[str, str] = {}
    dimension: int = 0
    query_length: int = 0
    document_length: int = 0
    separator: str = ""
    pad: int = 0
    worst: float = 0.0
    refused: str | None = None

    @property
    def shape(self) -> Shape:
        """The shape of its encoder."""
        return Shape(self.dimension, self.query_length, self.document_length, self.separator)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A folder whose files all match its note, or a refusal without files."""

    folder: Path
    note: PreparedNote


def find(key: PreparedKey) -> Prepared | None:
    """The prepared encoder of `key`, or None where there is no undamaged one."""
    folder = _root() / key.name
    try:
        digest, _, data = (folder / NOTE).read_bytes().partition(b"\n")
        if digest != hashlib.sha256(data).hexdigest().encode():
            return None
        note = msgspec.json.decode(data, type=PreparedNote)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    if note.key != key:
        return None
    try:
        for name, expected in note.files.items():
            if remembered_sha256(folder / name) != expected:
                _log.info("the prepared encoder %s is damaged in %s", folder, name)
                return None
    except OSError as error:
        _log.info("the prepared encoder %s cannot be read: %s", folder, error)
        return None
    return Prepared(folder, note)


@contextlib.contextmanager
def alone(key: PreparedKey) -> Iterator[None]:
    """Hold the lock of `key` for writing; others, in this process or another, wait.

    Raises:
        OSError: the cache folder cannot be written.
    """
    _root().mkdir(parents=True, exist_ok=True)
    with FileLock(_root() / f"{key.name}.lock"):
        # The lock is ours, so the process that left these behind has ended.
        for left in _root().glob(f".{key.name}.*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def store(key: PreparedKey, make: Callable[[Path], PreparedNote]) -> Prepared:
    """Make the encoder of `key` in a temporary folder and move it into the cache; call in `alone`.

    make: writes the files into the given folder and returns their note.

    Raises:
        OSError: the disk is full or the folder cannot be written. Also what `make` raises.
    """
    target = _root() / key.name
    beside = _root() / f".{key.name}.{os.getpid()}"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        note = make(beside)
        data = msgspec.json.encode(note)
        # The note has a checksum too: a flipped byte in a length or a padding id would give wrong
        # vectors as surely as one in the weights.
        with (beside / NOTE).open("wb") as stream:
            stream.write(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
            stream.flush()
            os.fsync(stream.fileno())
        # A folder already there is damaged, and cannot be replaced while it has files.
        shutil.rmtree(target, ignore_errors=True)
        beside.rename(target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    # Remove the folders prepared longest ago; a process that has one open keeps its mapped files.
    with contextlib.suppress(OSError):  # another process may remove one at the same time
        kept = [one for one in _root().glob("[!.]*") if one.is_dir()]
        for folder in sorted(kept, key=lambda one: one.stat().st_mtime_ns)[:-_MOST_KEPT]:
            shutil.rmtree(folder, ignore_errors=True)
    return Prepared(target, note)


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of each file in `folder`, flushed to disk first. Raises OSError."""
    sums = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        sums[path.name] = sha256_of(path)
    return sums


def _root() -> Path:
    return places().cache / "encoders"


# The encoder ------------------------------------------------------------------------------------


class OpenVinoEncoder(BaseEncoder):
    """A prepared encoder; see `encoder.Encoder` for the members.

    Safe to call from several threads. A waiting query precedes the next batch of documents.

    Raises (on construction):
        ModelError: OpenVINO does not load the files.
    """

    def __init__(self, found: Prepared, recipe: Encoding) -> None:
        note = found.note
        self._precision = note.key.precision
        model, dtype = note.key.model, DTYPES[self._precision]
        super().__init__(model, note.key.revision, recipe, note.shape, device="cpu", dtype=dtype)
        self._folder = found.folder
        self._tokenizer = TextTokenizer.from_file(found.folder / TOKENIZER, note.pad)
        try:
            # Copy-on-write, since OpenVINO requires writable memory and never writes. It reads from
            # this map as long as it runs without holding a reference: the encoder must.
            self._graph = np.memmap(found.folder / GRAPH, dtype=np.uint8, mode="c")
            self._words = (
                np.load(found.folder / WORDS, mmap_mode="r") if WORDS in note.files else None
            )
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise ModelError(f"{found.folder} cannot be read: {error}") from error
        self._lock = PriorityLock()
        self._compiling = threading.Lock()
        self._compiled: dict[str, Any] = {}
        self._requesting = threading.Lock()
        queries = self._model("queries")
        self._inputs = frozenset(one.get_any_name() for one in queries.inputs)
        self._request = queries.create_infer_request()

    def _encode_queries(self, inputs: Sequence[SideInput], max_length: int) -> Vectors:
        if len(inputs) > _FEW:
            return self._stream(inputs, max_length, urgent=True, progress=silent)
        vectors = np.zeros((len(inputs), self._shape.dimension), dtype=np.float32)
        for row, tokens in enumerate(self._tokenizer.tokens(inputs, max_length)):
            feed = self._feed(Batch.of([row], [tokens]))
            # The request holds the tensors of one query at a time.
            with self._requesting, self._lock.take(urgent=True):
                self._request.infer(feed, share_inputs=True)
                vectors[row] = self._request.get_output_tensor(0).data[0]
        return vectors

    def _encode_documents(
        self, inputs: Sequence[SideInput], max_length: int, progress: Reporter
    ) -> Vectors:
        return self._stream(inputs, max_length, urgent=False, progress=progress)

    def _stream(
        self, inputs: Sequence[SideInput], max_length: int, *, urgent: bool, progress: Reporter
    ) -> Vectors:
        """Encode `inputs` with one more batch in progress than there are streams."""
        vectors = np.zeros((len(inputs), self._shape.dimension), dtype=np.float32)
        if not inputs:
            return vectors
        model = self._model("documents")
        streams = int(model.get_property("NUM_STREAMS"))
        idle = [model.create_infer_request() for _ in range(streams + 1)]
        running: deque[tuple[Any, Batch]] = deque()
        batches = ahead(
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
                    # No batch starts while a query runs.
                    with self._lock.take(urgent=urgent):
                        request = idle.pop()
                        request.start_async(feed, share_inputs=True)
                        running.append((request, batch))
                while running:
                    collect()
            finally:
                # The arrays must outlive the requests that use them.
                for request, _ in running:
                    with contextlib.suppress(RuntimeError):  # its vectors are discarded
                        request.wait()
        return vectors

    def _feed(self, batch: Batch) -> dict[str, Ids | Vectors]:
        inputs = batch.inputs(self._tokenizer.pad, types="token_type_ids" in self._inputs)
        feed: dict[str, Ids | Vectors] = {**inputs}
        if self._words is not None:
            feed["words"] = np.take(self._words, inputs["input_ids"], axis=0)
        return {name: array for name, array in feed.items() if name in self._inputs}

    def _model(self, use: str) -> Any:
        """The model compiled for queries or documents, when first needed."""
        with self._compiling:
            if use not in self._compiled:
                shared = runtime().Tensor(self._graph, shared_memory=True)
                try:
                    self._compiled[use] = core().import_model(
                        shared, "CPU", settings(self._precision, queries=use == "queries")
                    )
                except RuntimeError as error:
                    reason = str(error).strip().splitlines()[-1]
                    raise ModelError(f"OpenVINO does not load {self._folder}: {reason}") from error
            return self._compiled[use]
