"""What the app and its search process say to each other: typed messages in length-prefixed JSON.

Four bytes of length, big-endian, then the message. Light to import: both ends do, and one of
them must load neither numpy nor torch.
"""

from __future__ import annotations

import struct
from typing import TypeVar

import msgspec

from bioretrieval_tui import errors
from bioretrieval_tui.catalog.entries import Encoding
from bioretrieval_tui.corpus.document import Document
from bioretrieval_tui.corpus.reading import ReadSettings
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.manifest import IdKind
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.index.report import Report
from bioretrieval_tui.index.verification import Verification
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.search.hits import RERANKED, Answer, Question, Why

MOST_BYTES = 256 * 2**20
_LENGTH = struct.Struct(">I")
HEADER_BYTES = _LENGTH.size


class Reranker(msgspec.Struct, frozen=True):
    """A cross-encoder that reads the best `most` hits again: hub id or folder, and its recipe."""

    model: str
    recipe: Encoding | None = None
    most: int = RERANKED


class Search(msgspec.Struct, frozen=True, tag="search"):
    """Find; a newer search of the same stream supersedes one that still waits.

    With a reranker what was found before it has read is told too, as `Partly`.
    """

    id: int
    index: str
    question: Question
    stream: str = "search"
    reranker: Reranker | None = None


class Similar(msgspec.Struct, frozen=True, tag="similar"):
    """Find what is like a document of `index`, there or in the index `into`."""

    id: int
    index: str
    document: str
    k: int = 10
    where: str = ""
    into: str | None = None
    stream: str = "search"


class Explain(msgspec.Struct, frozen=True, tag="explain"):
    """Say why documents are answers to a question."""

    id: int
    index: str
    question: Question
    documents: list[str]
    stream: str = "why"


class Build(msgspec.Struct, frozen=True, tag="build"):
    """Build an index; without `model` by the embedded one, else by `recipe`."""

    id: int
    name: str
    inputs: list[str]
    replace: bool = True
    ids: IdKind | None = None
    model: str | None = None
    recipe: Encoding | None = None
    reading: ReadSettings = ReadSettings()


class Extend(msgspec.Struct, frozen=True, tag="extend"):
    """Add files to an index."""

    id: int
    name: str
    inputs: list[str]
    reading: ReadSettings = ReadSettings()


class Compact(msgspec.Struct, frozen=True, tag="compact"):
    """Write an index anew without what is dead."""

    id: int
    name: str


class Verify(msgspec.Struct, frozen=True, tag="verify"):
    """Check every part of an index."""

    id: int
    name: str


class Remove(msgspec.Struct, frozen=True, tag="remove"):
    """Delete an index."""

    id: int
    name: str


class EnsureCatalogue(msgspec.Struct, frozen=True, tag="ensure_catalogue"):
    """Make sure that the catalogue's own index is there and up to date; vectors: False where BM25
    is all that is needed."""

    id: int
    fingerprint: str
    documents: list[Document]
    vectors: bool = True


class ListIndexes(msgspec.Struct, frozen=True, tag="list"):
    """All indexes at a glance."""

    id: int


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Stop the request `id`, wherever it is; it answers that it was interrupted."""

    id: int


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown"):
    """End as when the input closes."""


Work = Build | Extend | Compact | Verify | Remove | EnsureCatalogue
"""What takes long and is done one at a time."""
Asking = Search | Similar | Explain
"""What is answered at once; a newer one of the same stream supersedes one that waits."""
Request = Asking | Work | ListIndexes | Cancel | Shutdown


class Progressed(msgspec.Struct, frozen=True, tag="progress"):
    """A step of the request `id`."""

    id: int
    progress: Progress


class Partly(msgspec.Struct, frozen=True, tag="partly"):
    """The answer of a search so far: a reranker is reading its best hits now."""

    id: int
    answer: Answer


class Found(msgspec.Struct, frozen=True, tag="found"):
    """The answer of a search."""

    id: int
    answer: Answer


class Explained(msgspec.Struct, frozen=True, tag="explained"):
    """Why documents were found, in the order in which they were asked for."""

    id: int
    reasons: list[Why]


class Listed(msgspec.Struct, frozen=True, tag="listed"):
    """All indexes."""

    id: int
    indexes: list[IndexInfo]


class Built(msgspec.Struct, frozen=True, tag="built"):
    """An index was built, extended or compacted: as it is now, what was read, and whether
    anything changed."""

    id: int
    index: IndexInfo
    report: Report
    changed: bool


class Verified(msgspec.Struct, frozen=True, tag="verified"):
    """What `index.verify` found."""

    id: int
    verification: Verification


class Removed(msgspec.Struct, frozen=True, tag="removed"):
    """An index is gone; it took so many bytes."""

    id: int
    bytes: int


class Ensured(msgspec.Struct, frozen=True, tag="ensured"):
    """The catalogue's index is there; see `catalogue.Ensured`."""

    id: int
    documents: int
    built: bool
    note: str | None


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The request `id` raised `error`, a name in `errors.py`."""

    id: int
    error: str
    message: str
    remedy: str | None
    exit_code: int
    superseded: bool = False
    expression: str | None = None
    column: int = 0
    """Of a filter that does not parse: where."""

    def to_error(self) -> BioRetrievalError:
        """The error as it was raised, or its base where the type is not a plain one."""
        kind = getattr(errors, self.error, None)
        plain = (
            errors.UsageError,
            errors.NotFoundError,
            errors.InterruptedByUser,
            errors.CorpusError,
            errors.IndexFault,
            errors.ModelError,
        )
        if self.superseded:
            return SupersededError(self.message, remedy=self.remedy)
        if kind is errors.FilterError and self.expression is not None:
            return errors.FilterError(
                self.message, expression=self.expression, column=self.column, remedy=self.remedy
            )
        if kind in plain:
            rebuilt: BioRetrievalError = kind(self.message, remedy=self.remedy)
            return rebuilt
        return BioRetrievalError(self.message, remedy=self.remedy)


Reply = (
    Progressed | Partly | Found | Explained | Listed | Built | Verified | Removed | Ensured | Failed
)


class SupersededError(errors.InterruptedByUser):
    """A newer search of the same stream came before this one was begun."""


class ProtocolError(BioRetrievalError):
    """The other end sent what is no message."""


Message = TypeVar("Message")


def frame(message: Request | Reply) -> bytes:
    """A message as bytes, its length in front. Raises ProtocolError if it is too large."""
    data = msgspec.json.encode(message)
    if len(data) > MOST_BYTES:
        raise ProtocolError(f"a message of {len(data):,} bytes is too large")
    return _LENGTH.pack(len(data)) + data


def body_length(header: bytes) -> int:
    """Length of the message that follows `header`. Raises ProtocolError if it is too large."""
    length = int(_LENGTH.unpack(header)[0])
    if length > MOST_BYTES:
        raise ProtocolError("the search process and the app do not understand each other")
    return length


def decode_request(data: bytes) -> Request:
    """Raises ProtocolError."""
    return _decode(_requests, data)


def decode_reply(data: bytes) -> Reply:
    """Raises ProtocolError."""
    return _decode(_replies, data)


_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_replies: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def _decode(decoder: msgspec.json.Decoder[Message], data: bytes) -> Message:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"a message does not parse: {error}") from error
