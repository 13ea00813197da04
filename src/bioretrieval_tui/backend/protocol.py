"""Messages between the app and its child processes: typed, each a line of JSON.

A line holds the number of a request and then a message. The app sends requests; a child sends
events while it works on one, and last its answer or its error. Both ends import this module, and
the app's end must load neither numpy nor torch.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import ClassVar, Generic, TypeVar, cast, get_args

import msgspec

from bioretrieval_tui import errors
from bioretrieval_tui.backend import launch
from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation.metrics import Comparison
from bioretrieval_tui.evaluation.qrels import QueryRow, QueryView
from bioretrieval_tui.index.manifest import IdKind
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.index.report import Report, Verification
from bioretrieval_tui.online.spool import SERVICE_NAMES, FetchRequest, FetchResult
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.search.types import RERANKED, Explanation, Hit, Query, SearchResult
from bioretrieval_tui.training.training_request import TrainingPlan, TrainingRequest

MOST_BYTES = launch.MOST_LINE_BYTES
"""Longest line."""


# Results of jobs --------------------------------------------------------------------------------


class Built(msgspec.Struct, frozen=True, tag="built"):
    """An index was built, extended or compacted; changed: False if it already held all of that."""

    index: IndexInfo
    report: Report
    changed: bool


class ModeScores(msgspec.Struct, frozen=True):
    """The metrics of one mode, by ir-measures' names."""

    mode: str
    metrics: dict[str, float]


class EvaluationSummary(msgspec.Struct, frozen=True):
    """What the app shows of `evaluation.runner.EvaluationReport`."""

    benchmark: str
    split: str
    model: str
    queries: int
    documents: int
    runs: tuple[ModeScores, ...]
    index: str
    sha256: str
    notes: tuple[str, ...] = ()


class Evaluated(msgspec.Struct, frozen=True, tag="evaluated"):
    summary: EvaluationSummary


class Verified(msgspec.Struct, frozen=True, tag="verified"):
    verification: Verification


class Removed(msgspec.Struct, frozen=True, tag="removed"):
    """An index was deleted; its size in bytes."""

    bytes: int


class BenchmarkFetched(msgspec.Struct, frozen=True, tag="benchmark_fetched"):
    """A benchmark is in this folder."""

    folder: str


class Trained(msgspec.Struct, frozen=True, tag="trained"):
    """A model was trained; line: what that changed, in one sentence."""

    name: str
    line: str


JobResult = (
    Built | FetchResult | Evaluated | Verified | Removed | BenchmarkFetched | Trained | TrainingPlan
)


# Jobs -------------------------------------------------------------------------------------------


class _Job(msgspec.Struct, frozen=True):
    """Base of the jobs. DOING: the verb of its title; KEPT: what remains when it is stopped."""

    DOING: ClassVar[str] = ""
    KEPT: ClassVar[str] = "nothing was changed"

    @property
    def title(self) -> str:
        return f"{self.DOING} {self.target}"

    @property
    def title_within(self) -> str:
        """The title within a sentence, such as `building mine`."""
        return self.title[:1].lower() + self.title[1:]

    @property
    def kept(self) -> str:
        """What remains when it is stopped, as a sentence."""
        return f"{self.KEPT[:1].upper()}{self.KEPT[1:]}."

    @property
    def target(self) -> str:
        return str(getattr(self, "name", ""))


_VECTORS_KEPT = "vectors already made are kept for the next build"


class BuildJob(_Job, frozen=True, tag="build"):
    """Build an index; model: hub id or folder with its recipe, None for the embedded one; passages:
    see `index.build.build_index`; lexical: for BM25 alone, nothing is encoded; download: fetch
    missing model files; store: the address to which the index moves when it is built."""

    DOING = "Building"
    KEPT = _VECTORS_KEPT
    name: str
    inputs: tuple[str, ...]
    model: str | None = None
    recipe: Encoding | None = None
    replace: bool = True
    ids: IdKind | None = None
    reading: ReadSettings = ReadSettings()
    passages: bool = False
    lexical: bool = False
    download: bool = False
    store: str | None = None


class VectorsJob(_Job, frozen=True, tag="vectors"):
    """Encode the documents of an index that has no vectors, or those of another model; model,
    recipe, download: as of BuildJob, None for the model that the index names."""

    DOING = "Adding vectors to"
    KEPT = _VECTORS_KEPT
    name: str
    model: str | None = None
    recipe: Encoding | None = None
    passages: bool = False
    download: bool = False


class AddJob(_Job, frozen=True, tag="add"):
    DOING = "Adding to"
    KEPT = _VECTORS_KEPT
    name: str
    inputs: tuple[str, ...]
    reading: ReadSettings = ReadSettings()


class FetchJob(_Job, frozen=True, tag="fetch"):
    """Fetch records into the index that the request names; without one, preview them as `Came`."""

    DOING = "Fetching into"
    KEPT = "records that have arrived are kept, and the same fetch resumes from there"
    request: FetchRequest

    @property
    def title(self) -> str:
        return f"{self.DOING if self.request.index else 'Searching'} {self.target}"

    @property
    def target(self) -> str:
        """The name of the index, else of the service."""
        source = self.request.source
        return self.request.index or ("ids" if source == "ids" else SERVICE_NAMES[source])


class FetchBenchmarkJob(_Job, frozen=True, tag="fetch_benchmark"):
    """Fetch the archive of a benchmark, an id of the catalogue, into the data folder."""

    DOING = "Fetching the"
    KEPT = "what has arrived is kept, and the same fetch resumes from there"
    name: str

    @property
    def target(self) -> str:
        """Not the name alone, which an index may have."""
        return f"benchmark {self.name}"


class VerifyJob(_Job, frozen=True, tag="verify"):
    DOING = "Verifying"
    name: str


class CompactJob(_Job, frozen=True, tag="compact"):
    """Rewrite an index without deleted and replaced documents."""

    DOING = "Compacting"
    name: str


class RemoveJob(_Job, frozen=True, tag="remove"):
    DOING = "Removing"
    name: str


class ImportJob(_Job, frozen=True, tag="import"):
    """Build an index from vectors that were computed elsewhere; see `index.build`.

    vectors: matrices (.npy); ids: the ids of their rows, a file for each; documents: the texts;
    model, recipe, dimension: what made the vectors.
    """

    DOING = "Importing vectors into"
    name: str
    vectors: tuple[str, ...]
    ids: tuple[str, ...]
    documents: tuple[str, ...]
    model: str
    recipe: Encoding
    dimension: int | None = None
    reading: ReadSettings = ReadSettings()


class MedcptJob(_Job, frozen=True, tag="medcpt"):
    """Put NCBI's MedCPT vectors of PubMed into an index; see `online.medcpt_chunks`.

    numbers: of the chunks; folder: of their files, None for the spool; most: bytes to be fetched,
    about; model, recipe: of MedCPT.
    """

    DOING = "Building"
    KEPT = "chunks that are in the index stay, and the same build goes on with the next"
    name: str
    numbers: tuple[int, ...]
    folder: str | None
    most: int
    model: str
    recipe: Encoding
    reading: ReadSettings = ReadSettings()


class ParquetJob(_Job, frozen=True, tag="parquet"):
    """Build an index from its export: files, or folders of them; see `index.parquet_import`."""

    DOING = "Importing"
    name: str
    inputs: tuple[str, ...]


class EvaluateJob(_Job, frozen=True, tag="evaluate"):
    """Evaluate a model on a benchmark; see `evaluation.runner.EvaluationRequest`.

    model, reranker: hub id or folder, with its recipe; None for the embedded one; download: fetch
    what they lack; run_file: where the rankings go; index: an existing one to use; score, names:
    run files made elsewhere, and what they are called; purpose: what it is for, such as a step's
    id: evaluations of one purpose are stopped together.
    """

    DOING = "Evaluating"
    KEPT = "vectors already made are kept; the results come when it is run again"
    folder: str
    modes: tuple[str, ...]
    model: str | None = None
    recipe: Encoding | None = None
    split: str | None = None
    download: bool = False
    reranker: str | None = None
    reranker_recipe: Encoding | None = None
    run_file: str | None = None
    index: str | None = None
    score: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    purpose: str = ""

    @property
    def target(self) -> str:
        return Path(self.folder).name or self.folder


class TrainJob(_Job, frozen=True, tag="train"):
    """Train a model; finish: with the weights that did best so far; plan: only tell what it would
    do, measured on some steps; download: fetch what the base lacks."""

    DOING = "Training the"
    KEPT = "its last step is kept: it resumes there, or is finished with the best weights so far"
    request: TrainingRequest
    finish: bool = False
    plan: bool = False
    download: bool = False

    @property
    def target(self) -> str:
        """Not the name alone, which an index may have."""
        return f"model {self.request.name}"


Job = (
    BuildJob | AddJob | VectorsJob | FetchJob | VerifyJob | CompactJob | RemoveJob | ImportJob
    | ParquetJob | MedcptJob | EvaluateJob | FetchBenchmarkJob | TrainJob
)  # fmt: skip
ReadJob = BuildJob | AddJob | ImportJob | MedcptJob
"""Jobs that read documents into an index."""
FillJob = ReadJob | ParquetJob | VectorsJob
"""Jobs that put documents or vectors into an index."""
MAKES_INDEX = (BuildJob, FetchJob, ImportJob, ParquetJob, MedcptJob)
"""Jobs whose index need not exist yet."""


# Requests ---------------------------------------------------------------------------------------

AnswerT = TypeVar("AnswerT")


class Request(msgspec.Struct, Generic[AnswerT], frozen=True):
    """Base of the requests; the parameter is the type of the answer."""


class Reranker(msgspec.Struct, frozen=True):
    """A cross-encoder that reads the top `most` hits: hub id or folder, and its recipe."""

    model: str
    recipe: Encoding | None = None
    most: int = RERANKED


class Search(Request[SearchResult], frozen=True, tag="search"):
    """Search an index; with a reranker, the hits before reranking are sent first, as `Partial`.

    Until the model of the index is loaded BM25 answers alone, see `SearchResult.pending`, unless
    waits: wait for the model. The catalogue's index is brought up to date by its first search.
    also: further indexes, see `search.federated`.
    """

    index: str
    question: Query
    stream: str = "search"
    reranker: Reranker | None = None
    waits: bool = False
    also: tuple[str, ...] = ()


class Similar(Request[SearchResult], frozen=True, tag="similar"):
    """Search for documents like one of `index`, in that index or in the index `into`."""

    index: str
    document: str
    k: int = 10
    where: str = ""
    into: str | None = None
    stream: str = "search"


class Explain(Request[list[Explanation]], frozen=True, tag="explain"):
    """Explain why documents match a query; ids that the index lacks are left out."""

    index: str
    question: Query
    documents: list[str]
    stream: str = "why"


class Load(Request[None], frozen=True, tag="load"):
    """Load the model and the vectors of an index; searches are answered meanwhile."""

    index: str


class ListIndexes(Request[list[IndexInfo]], frozen=True, tag="list"):
    """List all indexes at a glance; stores: also ask the stores of those that are in one, which may
    take seconds."""

    stores: bool = False


class OpenBenchmark(Request[list[QueryRow] | None], frozen=True, tag="open_benchmark"):
    """Open a benchmark with stored rankings, for `ViewQuery` and `ReadDocument`.

    The answer has its judged queries; None if the rankings no longer belong to it. runs: TREC run
    file by mode; index: the index that was ranked; sha256: of the benchmark when it was ranked.
    """

    folder: str
    split: str
    sha256: str
    index: str
    runs: dict[str, str]


class Named(msgspec.Struct, frozen=True):
    """The documents that identifiers name, without scores, and those that name none."""

    hits: tuple[Hit, ...]
    missing: tuple[str, ...]


class FindNamed(Request[Named], frozen=True, tag="find_named"):
    """Find documents by their ids, PMIDs, DOIs or numbers of trials in all indexes."""

    identifiers: tuple[str, ...]


class ViewQuery(Request[QueryView], frozen=True, tag="view_query"):
    """Show one query of the open benchmark with its documents."""

    query: str


class ReadDocument(Request[tuple[str, str] | None], frozen=True, tag="read_document"):
    """Read title and text of a document of the open benchmark; None if its corpus lacks it."""

    document: str


class CompareRuns(Request[Comparison], frozen=True, tag="compare_runs"):
    """Compare two evaluations query by query, by the ids of their records."""

    first: str
    second: str


class RunJob(Request[JobResult], frozen=True, tag="run"):
    """Run a job, in the main thread of the process."""

    job: Job


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Stop the request that has the number of this message; it fails as interrupted."""


SearchRequest = Search | Similar | Explain
"""Requests of which a newer one of the same stream supersedes one that waits."""
LookUpRequest = ListIndexes | OpenBenchmark | ViewQuery | ReadDocument | CompareRuns | FindNamed
"""Requests about stored data."""
Sent = SearchRequest | LookUpRequest | Load | RunJob | Cancel
"""What a child receives."""


# Replies ----------------------------------------------------------------------------------------


class Progressed(msgspec.Struct, frozen=True, tag="progress"):
    progress: Progress


class Remarked(msgspec.Struct, frozen=True, tag="remark"):
    """A sentence about the running job, such as which model is downloaded and its size. warns: it
    says what of a query a service did not find or know."""

    text: str
    warns: bool = False


class Came(msgspec.Struct, frozen=True, tag="came"):
    """Records that a service returned."""

    documents: list[Document]


class Partial(msgspec.Struct, frozen=True, tag="partial"):
    """The result of a search before its hits are reranked."""

    result: SearchResult


class Answered(msgspec.Struct, frozen=True, tag="answer"):
    """The answer to a request, as JSON of the type that the request has."""

    value: msgspec.Raw


class SupersededError(errors.InterruptedByUser):
    """A newer search of the same stream came before this one began."""


class ProtocolError(BioRetrievalError):
    """The other end sent something that is not a message."""


_PLAIN = {
    kind.__name__: kind
    for kind in (
        errors.UsageError, errors.NotFoundError, errors.InterruptedByUser, errors.CorpusError,
        errors.IndexFault, errors.VectorsMissing, errors.ModelError, SupersededError,
    )
}  # fmt: skip


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """A request raised `error`, the name of its nearest type in `_PLAIN`, or "".

    expression, column: where a filter does not parse; kept: what an interrupted job leaves.
    """

    error: str
    message: str
    remedy: str | None = None
    expression: str | None = None
    column: int = 0
    kept: str = ""

    @classmethod
    def of(cls, error: BioRetrievalError) -> Failed:
        names = (kind.__name__ for kind in type(error).__mro__)
        return cls(
            next((name for name in names if name in _PLAIN), ""),
            error.message,
            error.remedy,
            getattr(error, "expression", None),
            getattr(error, "column", 0),
            " ".join(getattr(error, "__notes__", ())),
        )

    def to_error(self) -> BioRetrievalError:
        """The error as it was raised, or its base where the type is not a plain one."""
        if self.expression is not None:
            return errors.FilterError(
                self.message, expression=self.expression, column=self.column, remedy=self.remedy
            )
        rebuilt = _PLAIN.get(self.error, BioRetrievalError)(self.message, remedy=self.remedy)
        if self.kept:
            rebuilt.add_note(self.kept)
        return rebuilt


Event = Progressed | Remarked | Came | Partial
"""Replies that come before the last one of a request."""
Reply = Event | Answered | Failed


# Lines ------------------------------------------------------------------------------------------

Decoded = TypeVar("Decoded")
_decoder = functools.cache(msgspec.json.Decoder)


def line_of(number: int, message: Sent | Reply) -> bytes:
    """Encode a message of the request `number`."""
    return msgspec.json.encode((number, message)) + b"\n"


def decode(data: bytes, kind: type[Decoded]) -> Decoded:
    """Decode a line as `tuple[int, Sent]` or `tuple[int, Reply]`. Raises ProtocolError."""
    try:
        return cast(Decoded, _decoder(kind).decode(data))  # type: ignore[arg-type]  # cached by kind
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"a message does not parse: {error}") from error


def answer_of(request: Request[AnswerT], reply: Answered) -> AnswerT:
    """Decode the answer to a request. Raises ProtocolError if it is of another type."""
    (base,) = type(request).__orig_bases__  # type: ignore[attr-defined]  # typeshed lacks it
    (kind,) = get_args(base)
    return cast(AnswerT, decode(bytes(reply.value), kind))
