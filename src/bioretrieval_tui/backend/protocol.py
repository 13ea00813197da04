"""Messages between the app and its child processes: typed, as length-prefixed JSON.

A frame is four bytes of length (big-endian) and then the message. Short requests go
to the search process; a `Job` runs in a process of its own. Both ends import this module, and the
app's end must load neither numpy nor torch.
"""

from __future__ import annotations

import functools
import struct
from pathlib import Path
from typing import ClassVar, TypeVar, cast

import msgspec

from bioretrieval_tui import errors
from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.manifest import IdKind
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.index.report import Report, Verification
from bioretrieval_tui.online.spool import SERVICE_NAMES, FetchRequest
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.search.types import RERANKED, Query, SearchResult

MOST_BYTES = 256 * 2**20
_LENGTH = struct.Struct(">I")
HEADER_BYTES = _LENGTH.size


# Requests that the search process answers ------------------------------------------------------


class Reranker(msgspec.Struct, frozen=True):
    """A cross-encoder that reads the top `most` hits: hub id or folder, and its recipe."""

    model: str
    recipe: Encoding | None = None
    most: int = RERANKED


class Search(msgspec.Struct, frozen=True, tag="search"):
    """Search an index; a newer search of the same stream supersedes one that still waits.

    With a reranker, the hits before reranking are sent first, as `Partial`.
    """

    index: str
    question: Query
    stream: str = "search"
    reranker: Reranker | None = None


class Similar(msgspec.Struct, frozen=True, tag="similar"):
    """Search for documents like one of `index`, in that index or in the index `into`."""

    index: str
    document: str
    k: int = 10
    where: str = ""
    into: str | None = None
    stream: str = "search"


class Explain(msgspec.Struct, frozen=True, tag="explain"):
    """Explain why documents match a query."""

    index: str
    question: Query
    documents: list[str]
    stream: str = "why"


class ListIndexes(msgspec.Struct, frozen=True, tag="list"):
    """List all indexes at a glance."""


class EnsureCatalogue(msgspec.Struct, frozen=True, tag="ensure_catalogue"):
    """Build the catalogue's own index unless it exists and is up to date.

    vectors: False where BM25 is enough.
    """

    fingerprint: str
    documents: list[Document]
    vectors: bool = True


class OpenBenchmark(msgspec.Struct, frozen=True, tag="open_benchmark"):
    """Open a benchmark with stored rankings, for `ViewQuery` and `ReadDocument`.

    runs: TREC run file by mode; index: the index that was ranked; sha256: of the benchmark when
    it was ranked.
    """

    folder: str
    split: str
    sha256: str
    index: str
    runs: dict[str, str]


class ViewQuery(msgspec.Struct, frozen=True, tag="view_query"):
    """Show one query of the open benchmark with its documents."""

    query: str


class ReadDocument(msgspec.Struct, frozen=True, tag="read_document"):
    """Read one document of the open benchmark's corpus."""

    document: str


# Jobs -------------------------------------------------------------------------------------------


class _Job(msgspec.Struct, frozen=True):
    """Base of the jobs. DOING: the verb of its title; KEPT: what remains when it is stopped."""

    DOING: ClassVar[str] = ""
    KEPT: ClassVar[str] = "nothing was changed"

    @property
    def title(self) -> str:
        """The job in a few words, such as `Building mine`."""
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
        """The name of the index, or of what else the job works on."""
        return str(getattr(self, "name", ""))


_VECTORS_KEPT = "vectors already made are kept, and the next build resumes from there"


class BuildJob(_Job, frozen=True, tag="build"):
    """Build an index; model: hub id or folder with its recipe, None for the embedded one."""

    DOING = "Building"
    KEPT = _VECTORS_KEPT
    name: str
    inputs: tuple[str, ...]
    model: str | None = None
    recipe: Encoding | None = None
    replace: bool = True
    ids: IdKind | None = None
    reading: ReadSettings = ReadSettings()


class AddJob(_Job, frozen=True, tag="add"):
    """Add files to an index."""

    DOING = "Adding to"
    KEPT = _VECTORS_KEPT
    name: str
    inputs: tuple[str, ...]
    reading: ReadSettings = ReadSettings()


class FetchJob(_Job, frozen=True, tag="fetch"):
    """Fetch records of a service into the index that the request names."""

    DOING = "Fetching into"
    KEPT = "records that have arrived are kept, and the same fetch resumes from there"
    request: FetchRequest

    @property
    def target(self) -> str:
        """The name of the index."""
        return self.request.index or ""


class VerifyJob(_Job, frozen=True, tag="verify"):
    """Check every part of an index."""

    DOING = "Verifying"
    name: str


class CompactJob(_Job, frozen=True, tag="compact"):
    """Rewrite an index without deleted and replaced documents."""

    DOING = "Compacting"
    name: str


class RemoveJob(_Job, frozen=True, tag="remove"):
    """Delete an index."""

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


class EvaluateJob(_Job, frozen=True, tag="evaluate"):
    """Evaluate a model on a benchmark; see `evaluation.runner.EvaluationRequest`.

    model, reranker: hub id or folder, with its recipe; None for the embedded one; download: fetch
    what they lack; run_file: where the rankings go; purpose: what it is for, such as a step's id:
    evaluations of one purpose are stopped together.
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
    purpose: str = ""

    @property
    def target(self) -> str:
        """The name of the benchmark's folder."""
        return Path(self.folder).name or self.folder


class LookUpJob(_Job, frozen=True, tag="look_up"):
    """Preview records of a service; they arrive as `Came` and are not added to an index."""

    DOING = "Searching"
    request: FetchRequest

    @property
    def target(self) -> str:
        """The name of the service."""
        source = self.request.source
        return "ids" if source == "ids" else SERVICE_NAMES[source]


Job = (
    BuildJob | AddJob | FetchJob | VerifyJob | CompactJob | RemoveJob | ImportJob | EvaluateJob
    | LookUpJob
)  # fmt: skip
MAKES_INDEX = (BuildJob, FetchJob, ImportJob)
"""Jobs whose index need not exist yet."""


class RunJob(msgspec.Struct, frozen=True, tag="run"):
    """Run a job: the first request of a job process, and the only one."""

    job: Job


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Stop the request that has the id of this message; it fails as interrupted."""


SearchRequest = Search | Similar | Explain
"""Requests of which a newer one of the same stream supersedes one that waits."""
LookUpRequest = ListIndexes | EnsureCatalogue | OpenBenchmark | ViewQuery | ReadDocument
"""Requests about stored data, which have a queue of their own."""
Request = SearchRequest | LookUpRequest | RunJob | Cancel


# Replies ----------------------------------------------------------------------------------------


class Progressed(msgspec.Struct, frozen=True, tag="progress"):
    """A step of a request."""

    progress: Progress


class Remarked(msgspec.Struct, frozen=True, tag="remark"):
    """A sentence about the running job, such as which model is downloaded and its size."""

    text: str


class Came(msgspec.Struct, frozen=True, tag="came"):
    """Records that a service returned."""

    documents: list[Document]


class Partial(msgspec.Struct, frozen=True, tag="partial"):
    """The result of a search before its hits are reranked."""

    result: SearchResult


class Answered(msgspec.Struct, frozen=True, tag="answer"):
    """The answer to a request, as JSON; its type is the one that the `SearchClient` asked for."""

    value: msgspec.Raw

    @classmethod
    def of(cls, value: object) -> Answered:
        """The reply that carries a value."""
        return cls(msgspec.Raw(msgspec.json.encode(value)))


class CatalogueReady(msgspec.Struct, frozen=True):
    """The catalogue's index exists: its documents, whether it was built now, and a note."""

    documents: int
    built: bool
    note: str | None


class Built(msgspec.Struct, frozen=True, tag="built"):
    """An index was built, extended or compacted.

    index: as it is now; report: what was read; changed: False if it already held all of that.
    """

    index: IndexInfo
    report: Report
    changed: bool


class Fetched(msgspec.Struct, frozen=True, tag="fetched"):
    """Records were fetched: how many distinct ones, of which service; the index's documents
    afterwards, and whether it changed. index is None for a look-up."""

    service: str
    records: int
    index: str | None = None
    documents: int | None = None
    changed: bool = False


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
    """An evaluation is finished and recorded."""

    summary: EvaluationSummary


class Verified(msgspec.Struct, frozen=True, tag="verified"):
    """The checks of an index."""

    verification: Verification


class Removed(msgspec.Struct, frozen=True, tag="removed"):
    """An index was deleted; its size in bytes."""

    bytes: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """A request raised `error`, a name in `errors.py`.

    expression, column: where a filter does not parse; kept: what an interrupted job leaves.
    """

    error: str
    message: str
    remedy: str | None = None
    superseded: bool = False
    expression: str | None = None
    column: int = 0
    kept: str = ""

    def to_error(self) -> BioRetrievalError:
        """The error as it was raised, or its base where the type is not a plain one."""
        if self.superseded:
            return SupersededError(self.message, remedy=self.remedy)
        if self.error == "FilterError" and self.expression is not None:
            return errors.FilterError(
                self.message, expression=self.expression, column=self.column, remedy=self.remedy
            )
        kind = _PLAIN.get(self.error, BioRetrievalError)
        rebuilt: BioRetrievalError = kind(self.message, remedy=self.remedy)
        if self.kept:
            rebuilt.add_note(self.kept)
        return rebuilt


JobResult = Built | Fetched | Evaluated | Verified | Removed
Event = Progressed | Remarked | Came | Partial
"""Replies that come before the last one of a request."""
Reply = Event | Answered | JobResult | Failed
_PLAIN = {
    kind.__name__: kind
    for kind in (
        errors.UsageError, errors.NotFoundError, errors.InterruptedByUser, errors.CorpusError,
        errors.IndexFault, errors.ModelError,
    )
}  # fmt: skip


class SupersededError(errors.InterruptedByUser):
    """A newer search of the same stream came before this one began."""


class ProtocolError(BioRetrievalError):
    """The other end sent something that is not a message."""


# Frames -----------------------------------------------------------------------------------------

Decoded = TypeVar("Decoded")
_decoder = functools.cache(msgspec.json.Decoder)


def frame(identifier: int, message: Request | Reply) -> bytes:
    """Encode a message of the request `identifier`. Raises ProtocolError if it is too large."""
    data = msgspec.json.encode((identifier, message))
    if len(data) > MOST_BYTES:
        raise ProtocolError(f"a message of {len(data):,} bytes is too large")
    return _LENGTH.pack(len(data)) + data


def body_length(header: bytes) -> int:
    """Length of the message that follows `header`. Raises ProtocolError if it is too large."""
    length = int(_LENGTH.unpack(header)[0])
    if length > MOST_BYTES:
        raise ProtocolError(f"a message of {length:,} bytes is too large")
    return length


def decode(data: bytes, kind: type[Decoded]) -> Decoded:
    """Decode an answer, or a message as `tuple[int, Request]` or `tuple[int, Reply]`.

    Raises:
        ProtocolError: it does not parse.
    """
    try:
        return cast(Decoded, _decoder(kind).decode(data))  # type: ignore[arg-type]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"a message does not parse: {error}") from error


def failure(error: BioRetrievalError) -> Failed:
    """An error as a reply, by the nearest type of `errors.py`."""
    public = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    return Failed(
        public.__name__,
        error.message,
        error.remedy,
        expression=getattr(error, "expression", None),
        column=getattr(error, "column", 0),
        kept=" ".join(getattr(error, "__notes__", ())),
    )


def interrupted(*, superseded: bool = False) -> Failed:
    """The reply to a request that was stopped."""
    text = "superseded by a newer search" if superseded else "interrupted"
    return Failed("InterruptedByUser", text, superseded=superseded)
