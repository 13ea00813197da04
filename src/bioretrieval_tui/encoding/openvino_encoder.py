"""The CPU encoder: a model converted for OpenVINO once, compared with sentence-transformers before
its use, kept in a cache folder, and loaded without torch in a fraction of a second.

A prepared model is a folder of files with a note of what they are and their checksums. All
checksums are compared before native code reads a file. openvino is imported within functions,
without its telemetry, and always with an explicit precision; torch and sentence-transformers are
imported only where a model is not in the cache.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import logging
import os
import platform
import shutil
import sys
import threading
import warnings
from collections import deque
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from filelock import FileLock

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.checksum import remembered_sha256, sha256_of
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.bert_graph import mean_pooled_bert
from bioretrieval_tui.encoding.device import (
    PRECISION_VARIABLE,
    PriorityLock,
    limit_threads,
    precision,
    usable_cores,
)
from bioretrieval_tui.encoding.encoder import Encoded, Encoder, Engine, Shape, Vectors, unit_length
from bioretrieval_tui.encoding.model_files import ModelFiles, files_of
from bioretrieval_tui.encoding.recipe import (
    ModelPart,
    Padding,
    SideInput,
    padding_of,
    recipe_hash,
    side_recipe,
)
from bioretrieval_tui.encoding.shipped_vectors import shipped
from bioretrieval_tui.encoding.token_batches import (
    Batch,
    Ids,
    TextTokenizer,
    ahead,
    encodable,
    read_tokenizer,
    token_batches,
)
from bioretrieval_tui.encoding.torch_modules import load_modules, shape_of, takes_types
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.memory import memory_fault
from bioretrieval_tui.paths import places
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.util.npy_files import load_npy

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


class Chip(NamedTuple):
    """What decides which prepared encoder fits: OpenVINO's version, processor and precision."""

    openvino: str
    processor: str
    precision: Precision


def runtime() -> Any:
    """The module `openvino`. Raises ImportError where it is not installed for this machine."""
    # Importing its command-line converter sends a usage report over the network and leaves files in
    # the user's home; openvino does without it, and starts 0.1 s sooner.
    modules: dict[str, Any] = sys.modules
    with _importing:
        hidden = modules.setdefault(_CONVERTER, None) is None
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
        return found._replace(precision="f32")
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
    """OpenVINO's settings to compile a model. For queries all cores share one text, each thread
    pinned to its core, which saves a fifth of such short work. For documents each core has a batch
    of its own, which wastes less time waiting than sharing does; pinning would let two long builds
    compete for one core while another is idle."""
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
    def folder(self) -> Path:
        canonical = msgspec.json.encode(self, order="deterministic")
        return places().cache / "encoders" / hashlib.sha256(canonical).hexdigest()[:32]


class PreparedNote(msgspec.Struct, frozen=True):
    """What the folder holds. files: SHA-256 by name; worst: the lowest cosine to
    sentence-transformers when it was prepared; refused: why the conversion failed and the folder is
    empty, or None."""

    key: PreparedKey
    files: dict[str, str] = {}
    dimension: int = 0
    query_length: int = 0
    document_length: int = 0
    separator: str = ""
    pad: int = 0
    padding: Padding | None = None
    worst: float = 0.0
    refused: str | None = None


def find(key: PreparedKey) -> PreparedNote | None:
    """The note of the prepared encoder of `key`, or None where there is no undamaged one."""
    try:
        digest, _, data = (key.folder / NOTE).read_bytes().partition(b"\n")
        note = msgspec.json.decode(data, type=PreparedNote)
        if (
            note.key == key
            and digest == hashlib.sha256(data).hexdigest().encode()
            and all(remembered_sha256(key.folder / name) == one for name, one in note.files.items())
        ):
            return note
    except FileNotFoundError:
        pass
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        _log.info("the prepared encoder %s cannot be read: %s", key.folder, error)
    return None


# The encoder ------------------------------------------------------------------------------------


class OpenVinoEngine(Engine):
    """A prepared model, in `folder` or in the cache. Raises ModelError where OpenVINO does not load
    the files."""

    def __init__(self, note: PreparedNote, folder: Path | None = None) -> None:
        self._precision = note.key.precision
        shape = Shape(note.dimension, note.query_length, note.document_length, note.separator)
        super().__init__(note.key.revision, shape, dtype=DTYPES[self._precision])
        self._folder = folder = folder or note.key.folder
        tokenizer = read_tokenizer(folder / TOKENIZER)
        self.tokenizer: TextTokenizer = TextTokenizer(tokenizer, note.pad, padding=note.padding)
        try:
            # Copy-on-write, since OpenVINO requires writable memory and never writes. It reads from
            # this map as long as it runs without holding a reference: the encoder must.
            self._graph = np.memmap(folder / GRAPH, dtype=np.uint8, mode="c")
            self._words = load_npy(folder / WORDS, mapped=True) if WORDS in note.files else None
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise ModelError(f"{folder} cannot be read: {error}") from error
        self._lock = PriorityLock()
        self._compiling = threading.Lock()
        self._compiled: dict[str, Any] = {}
        queries = self._model("queries")
        self._inputs = frozenset(one.get_any_name() for one in queries.inputs)
        self._request = queries.create_infer_request()

    def encoded(
        self, inputs: Sequence[SideInput], max_length: int, *, urgent: bool
    ) -> Generator[Encoded]:
        if urgent and len(inputs) <= _FEW:
            for row, tokens in enumerate(self.tokenizer.tokens(inputs, max_length)):
                feed = self._feed(Batch([row], [tokens]))
                # The request holds the tensors of one query at a time.
                with self._lock.take(urgent=True):
                    self._request.infer(feed, share_inputs=True)
                    vectors = np.array(self._request.get_output_tensor(0).data)
                yield Encoded([row], vectors, len(tokens.ids))
            return
        # One more batch is in progress than there are streams.
        model = self._model("documents")
        streams = int(model.get_property("NUM_STREAMS"))
        idle = [model.create_infer_request() for _ in range(streams + 1)]
        running: deque[tuple[Any, Batch]] = deque()
        batches = ahead(
            (batch, self._feed(batch))
            for batch in token_batches(
                inputs, lambda some: self.tokenizer.tokens(some, max_length), lambda: BATCH_TOKENS
            )
        )

        def collected() -> Encoded:
            request, batch = running.popleft()
            request.wait()
            idle.append(request)
            vectors = np.array(request.get_output_tensor(0).data)
            return Encoded(batch.rows, vectors, batch.tokens, longer=batch.longer)

        with contextlib.closing(batches):
            try:
                for batch, feed in batches:
                    if not idle:
                        yield collected()
                    # No batch starts while a query runs.
                    with self._lock.take(urgent=urgent):
                        request = idle.pop()
                        request.start_async(feed, share_inputs=True)
                        running.append((request, batch))
                while running:
                    yield collected()
            finally:
                # The arrays must outlive the requests that use them.
                for request, _ in running:
                    with contextlib.suppress(RuntimeError):  # its vectors are discarded
                        request.wait()

    def _feed(self, batch: Batch) -> dict[str, Ids | Vectors]:
        arrays = batch.arrays(self.tokenizer.pad, types="token_type_ids" in self._inputs)
        feed: dict[str, Ids | Vectors] = {**arrays}
        if self._words is not None:
            feed["words"] = np.take(self._words, arrays["input_ids"], axis=0)
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


# Converting and comparing ----------------------------------------------------------------------

STAGE = "preparing the query encoder"
_STEPS = 3
LEAST_COSINE: dict[Precision, float] = {"bf16": 0.999, "f32": 0.999999}
"""Lowest cosine to sentence-transformers in float32, of each of PARITY_TEXTS."""
_LENGTH_TOLERANCE: dict[Precision, float] = {"bf16": 2e-2, "f32": 1e-4}
"""Tolerated share by which a vector's length may differ: dot products rank by it."""

_LONG = (
    "Participants with type 2 diabetes were assigned at random to metformin or placebo and"
    " followed for two years; glycated haemoglobin, body weight and renal function were measured"
    " every three months, and adverse events were recorded by assessors who did not know the"
    " treatment. "
)
PARITY_TEXTS = (
    "",
    "p53",
    "aspirin",
    "Does smoking cause lung cancer?",
    "BRCA1 and BRCA2 mutations raise the risk of ovarian cancer.",
    "interleukin-6 (IL-6), TNF-\u03b1 and IFN-\u03b3 in 12.5% of samples; P < 0.001 [95% CI]",
    "\u00c9tude de la maladie de Beh\u00e7et chez l'adulte",
    _LONG[:150],
    "x" * 300,
    _LONG,
    _LONG * 3,
    _LONG * 40,
)
"""Texts for the comparison with sentence-transformers: sentences, the empty text, one word,
symbols, accents, and more tokens than any model takes."""
_PARITY_DOCUMENTS = [Document("", "A title", text) for text in PARITY_TEXTS]


class ConversionRefused(Exception):
    """OpenVINO cannot run the model, or not exactly enough; the message says why."""


def _build_embedded(source: Path, precision: Precision, folder: Path) -> tuple[Shape, int]:
    """Write GRAPH, TOKENIZER and WORDS of the embedded model from its files in `source`, without
    torch; its shape, and the id of the padding token. Raises ConversionRefused; OSError."""
    try:
        model, words = mean_pooled_bert(runtime(), source)
        tokenizer = read_tokenizer(source / TOKENIZER)
        _write_graph(core().compile_model(model, "CPU", settings(precision, queries=True)), folder)
    except (RuntimeError, KeyError, ValueError, ModelError) as error:
        raise ConversionRefused(f"its graph cannot be built: {error}") from error
    shutil.copyfile(source / TOKENIZER, folder / TOKENIZER)
    np.save(folder / WORDS, words)
    length = embedded.MOST_TOKENS
    return Shape(embedded.DIMENSION, length, length, "[SEP]"), tokenizer.token_to_id("[PAD]") or 0


def _write_graph(compiled: Any, folder: Path) -> None:
    graph = io.BytesIO()
    compiled.export_model(graph)
    (folder / GRAPH).write_bytes(graph.getvalue())


def convert(modules: Any, precision: Precision, folder: Path, recipe: Encoding) -> None:
    """Convert a SentenceTransformer (token ids and mask to one vector per text) into `folder`:
    GRAPH, the compiled model as OpenVINO exports it; TOKENIZER; and WORDS, the table of word
    vectors (ids, width) in float32, if it can be taken out of the graph. Raises
    ConversionRefused: the model cannot be traced or converted; OSError."""
    tokenizer = getattr(modules.tokenizer, "backend_tokenizer", None)
    if tokenizer is None:
        raise ConversionRefused("its tokenizer has no fast form")
    if modules.tokenizer.pad_token_id is None:
        raise ConversionRefused("its tokenizer has no padding token")
    known = takes_types(modules[0].model, modules.tokenizer)
    pairs = any(side.pair for side in (recipe.query, recipe.document) if side is not None)
    try:
        model = _traced(modules, types=known and recipe.token_type_ids is not False, pairs=pairs)
        words = _take_words_out(model)
        compiled = core().compile_model(model, "CPU", settings(precision, queries=True))
        _write_graph(compiled, folder)
    except Exception as error:
        # Tracing runs the model's own code; the errors of both libraries vary.
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
        raise ConversionRefused(f"it cannot be converted: {reason}") from error
    if words is not None and max(tokenizer.get_vocab().values(), default=0) >= len(words):
        raise ConversionRefused("its tokenizer knows more words than the model")
    (folder / TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")
    if words is not None:
        np.save(folder / WORDS, words)


def _traced(modules: Any, *, types: bool, pairs: bool) -> Any:
    """The model as an OpenVINO graph of dynamic batch and length, its inputs named. types: whether
    it is given segments; pairs: whether inputs have two, so that the segment of each token is an
    input of the graph."""
    import torch

    runtime()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = torch.nn.ModuleList(modules)

        def forward(
            self,
            input_ids: torch.Tensor,
            attention_mask: torch.Tensor,
            token_type_ids: torch.Tensor | None = None,
        ) -> torch.Tensor:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            if token_type_ids is not None:
                features["token_type_ids"] = token_type_ids
            elif types:
                features["token_type_ids"] = torch.zeros_like(input_ids)
            for part in self.parts:
                features = part(features)
            return features["sentence_embedding"]

    # Two texts of unlike length, so that no size of the example is taken for a constant.
    ids = torch.full((2, 7), int(modules.tokenizer.pad_token_id) + 3, dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    example = {"input_ids": ids, "attention_mask": mask}
    if types and pairs:
        example["token_type_ids"] = torch.zeros_like(ids)
        example["token_type_ids"][:, 3:] = 1
    with torch.no_grad(), warnings.catch_warnings():
        # The tracer warns of every branch; `_compare` checks the result.
        warnings.simplefilter("ignore")
        inputs, unchecked = tuple(example.values()), {"check_trace": False}
        decoder = TorchScriptPythonDecoder(
            Whole().eval(), example_input=inputs, trace_kwargs=unchecked
        )
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    for name in example:
        # The tracer adds names of its own; only the one set here is kept.
        model.input(name).get_tensor().set_names({name})
    return model


def _take_words_out(model: Any) -> Vectors | None:
    """Replace the table of word vectors in `model` by an input `words`; returns the table, or None.
    It is a large part of a model (half of the embedded one, two thirds of a multilingual one), and
    a query needs a dozen of its rows: from a mapped file, only those are read."""
    openvino = runtime()
    ids = next(one for one in model.get_parameters() if "input_ids" in one.output(0).get_names())
    users = [user.get_node() for user in ids.output(0).get_target_inputs()]
    converted = [node.output(0) for node in users if node.get_type_name() == "Convert"]
    lookups = [
        user.get_node()
        for output in (ids.output(0), *converted)
        for user in output.get_target_inputs()
        if user.get_node().get_type_name() == "Gather" and user.get_index() == 1
    ]
    tables = {node.get_name(): node.input_value(0).get_node() for node in lookups}
    if len(tables) != 1:
        return None
    lookup, (table,) = lookups[0], tables.values()
    shape = table.output(0).get_partial_shape()
    if table.get_type_name() != "Constant" or shape.rank.get_length() != 2:
        return None
    rows: Vectors = np.array(table.data, dtype=np.float32)
    words = openvino.opset13.parameter([-1, -1, rows.shape[1]], openvino.Type.f32, name="words")
    lookup.output(0).replace(words.output(0))
    # Only now, since the replaced output passes its names on.
    words.output(0).get_tensor().set_names({"words"})
    model.add_parameters([words])
    model.validate_nodes_and_infer_types()
    return rows


def lowest_cosine(ours: Vectors, theirs: Vectors, precision: Precision, *, lengths: bool) -> float:
    """The lowest cosine between corresponding rows; lengths: whether lengths must agree too. Raises
    ConversionRefused where it is under `LEAST_COSINE`, or a length is off."""
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    length_a, length_b = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = (a * b).sum(axis=1) / (length_a * length_b)
        off = np.abs(length_a / length_b - 1)
    # A vector of zeros or with NaN has no cosine: it counts as the lowest.
    worst = float(np.nan_to_num(cosines, nan=-1.0).min())
    if worst < LEAST_COSINE[precision]:
        raise ConversionRefused(
            f"its vectors differ from sentence-transformers' (cosine {worst:.6f},"
            f" required: {LEAST_COSINE[precision]})"
        )
    if lengths and not bool((off <= _LENGTH_TOLERANCE[precision]).all()):
        raise ConversionRefused(f"the lengths of its vectors are off by {off.max():.1%}")
    return worst


def references(modules: Any, shape: Shape, recipe: Encoding) -> tuple[Vectors, Vectors]:
    """The vectors of PARITY_TEXTS by sentence-transformers, float32 (texts, dimension) each: as
    queries, and as documents."""
    query, document = (side_recipe(recipe, side) for side in ("query", "document"))
    queries = [query.query(text, separator=shape.separator) for text in PARITY_TEXTS]
    documents = [document.document(one, separator=shape.separator) for one in _PARITY_DOCUMENTS]
    return (
        _reference(modules, queries, shape.query_length, recipe),
        _reference(modules, documents, shape.document_length, recipe),
    )


def _compare(encoder: Encoder, of_queries: Vectors, of_documents: Vectors) -> float:
    """The lowest cosine to `references`: queries alone, queries together, documents."""
    texts = PARITY_TEXTS
    pairs: tuple[tuple[Vectors, Vectors], ...] = (
        (encoder.plain_queries(texts), of_queries),
        (np.concatenate([encoder.plain_queries([text]) for text in texts]), of_queries),
        (encoder.plain_documents(_PARITY_DOCUMENTS), of_documents),
    )
    kind: Precision = "bf16" if encoder.dtype == "bfloat16" else "f32"
    if encoder.normalised:
        pairs = tuple((ours, unit_length(theirs)) for ours, theirs in pairs)
    return min(lowest_cosine(*pair, kind, lengths=not encoder.normalised) for pair in pairs)


def _reference(
    modules: Any, inputs: Sequence[SideInput], max_length: int, recipe: Encoding
) -> Vectors:
    """The vectors by torch, one input at a time, with the model's own tokenizer."""
    import torch

    vectors = []
    for one in inputs:
        first = encodable(one.first)
        # In a list, since a single pair whose second text is empty is taken for one text.
        given = first if one.second is None else [first, encodable(one.second)]
        padding = padding_of(recipe)
        features: Any = dict(
            modules.tokenizer(
                [given],
                truncation=True,
                max_length=max_length,
                padding="max_length" if padding else False,
                return_tensors="pt",
            )
        )
        if padding == "read":
            features["attention_mask"] = torch.ones_like(features["attention_mask"])
        if recipe.token_type_ids is False or not takes_types(modules[0].model, modules.tokenizer):
            features.pop("token_type_ids", None)
        with torch.inference_mode():
            for part in modules:
                features = part(features)
        vectors.append(features["sentence_embedding"][0].float().numpy())
    return np.stack(vectors)


# Finding or preparing it ------------------------------------------------------------------------


def find_or_prepare(
    part: ModelPart, revision: str | None, reporter: Reporter
) -> PreparedNote | None:
    """The note of one model in the cache, prepared first if there is no undamaged one; None where
    OpenVINO cannot run the model or not here: the reason is logged, and a note for `reporter`.

    revision: refuse any other, None for any. The model's files are read where the cache has none,
    or where only they tell the revision. Raises ModelError: the model's files are missing, altered
    or of another revision.
    """
    try:
        if part.recipe.pooling == "last" or part.recipe.append is not None:
            # Such models are large decoders, for which OpenVINO has shown no gain.
            files_of(part, revision)
            raise ConversionRefused("it pools the last token")
        try:
            machine = chip()
        except (ImportError, RuntimeError) as error:
            raise ConversionRefused(f"OpenVINO does not run here: {error}") from error
        if machine is None:
            asked = f"which {PRECISION_VARIABLE} asks for"
            raise ConversionRefused(f"this processor has no bfloat16, {asked}")
        if revision is None:
            known = part.model == embedded.MODEL_ID and part.adapter is None
            revision = embedded.REVISION if known else files_of(part).revision
        found = _of_chip(machine, part, revision, reporter)
        if found.refused and machine.precision == "bf16" and precision() == "auto":
            # In float32 OpenVINO is still faster than torch.
            _log.info("%s is encoded in float32: %s", part.model, found.refused)
            found = _of_chip(machine._replace(precision="f32"), part, revision, reporter)
        if found.refused is not None:
            raise ConversionRefused(found.refused)
    except OSError as error:
        reason = f"the cache folder cannot be written: {error.strerror or error}"
    except ConversionRefused as error:
        reason = str(error)
    else:
        return found
    report_torch(reporter, part.model, reason)
    return None


def report_torch(reporter: Reporter, model: str, reason: str) -> None:
    """Tell that a model is encoded by torch, and why."""
    _log.info("%s is encoded by torch: %s", model, reason)
    reporter(Progress("loading model", 0, None, unit="models", note=f"with torch: {reason}"))


def _of_chip(machine: Chip, part: ModelPart, revision: str, reporter: Reporter) -> PreparedNote:
    """The note of one model, or its refusal, which is kept and not repeated."""
    key = PreparedKey(part.model, revision, recipe_hash(part.recipe), *machine)
    found = find(key)
    if found is None:
        files = files_of(part, revision)
        key.folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(key.folder.with_suffix(".lock")):
            # Another process may have prepared it while we waited.
            found = find(key) or _prepare(key, files, part.recipe, reporter)
    return found


def _prepare(
    key: PreparedKey, files: ModelFiles, recipe: Encoding, reporter: Reporter
) -> PreparedNote:
    """Make the encoder of `key` in a temporary folder and move it into the cache."""
    beside = key.folder.with_name(f".{key.folder.name}")
    shutil.rmtree(beside, ignore_errors=True)  # of a process that was killed
    beside.mkdir()
    try:
        try:
            note = _converted(key, files, recipe, beside, reporter)
        except ConversionRefused as error:
            if memory_fault(error) is not None:
                raise  # there may be enough another time, so it is not noted
            shutil.rmtree(beside)
            beside.mkdir()
            note = PreparedNote(key=key, refused=" ".join(str(error).split()))
        data = msgspec.json.encode(note)
        # The note has a checksum too: a flipped byte in a length or a padding id would give wrong
        # vectors as surely as one in the weights.
        (beside / NOTE).write_bytes(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
        # A folder already there is damaged, and cannot be replaced while it has files.
        shutil.rmtree(key.folder, ignore_errors=True)
        beside.rename(key.folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    # Remove the folders prepared longest ago; a process that has one open keeps its mapped files.
    with contextlib.suppress(OSError):  # another process may remove one at the same time
        kept = [one for one in key.folder.parent.glob("[!.]*") if one.is_dir()]
        for folder in sorted(kept, key=lambda one: one.stat().st_mtime_ns)[:-_MOST_KEPT]:
            shutil.rmtree(folder, ignore_errors=True)
    return note


def _converted(
    key: PreparedKey, files: ModelFiles, recipe: Encoding, folder: Path, reporter: Reporter
) -> PreparedNote:
    def step(done: int) -> None:
        reporter(Progress(STAGE, done, _STEPS, unit="steps", note=key.model))

    step(0)
    known = shipped() if key.model == embedded.MODEL_ID and files.adapter is None else None
    if known is not None:
        # Seconds sooner than with torch, and checked against the same vectors.
        checks = known.queries, known.documents
        shape, pad = _build_embedded(files.folder, key.precision, folder)
        padding = None
    else:
        limit_threads()
        modules = load_modules(key.model, files, recipe)
        shape, pad = shape_of(key.model, modules, recipe), int(modules.tokenizer.pad_token_id or 0)
        step(1)
        convert(modules, key.precision, folder, recipe)
        checks, padding = references(modules, shape, recipe), padding_of(recipe)
    sums = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        sums[path.name] = sha256_of(path)
    step(2)
    note = PreparedNote(
        key=key, files=sums, pad=pad, padding=padding, **msgspec.structs.asdict(shape)
    )
    try:
        engine = OpenVinoEngine(note, folder)
        encoder = Encoder(key.model, key.revision, recipe, lambda _: engine)
        worst = _compare(encoder, *checks)
    except (ModelError, RuntimeError) as error:
        raise ConversionRefused(str(error)) from error
    step(_STEPS)
    return msgspec.structs.replace(note, worst=worst)
