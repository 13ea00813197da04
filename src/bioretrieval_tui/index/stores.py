"""Stores: engines outside this process that hold the documents and vectors of an index.

An index in a store is an ordinary one in the list of indexes: its manifest stands in its folder and
names the store. Its text index and metadata stay beside the manifest, so that BM25, filters and
facets are those of any index, or the store answers for them too (`Manifest.remote_text`).

A store has collections of documents, written once and in order of their labels, and pointers to
them, which are switched when a collection is complete. Every engine is reached by `Store`, which is
all that the rest of the package knows of one.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from bioretrieval_tui.documents.document import Document, Place, Record
from bioretrieval_tui.errors import IndexFault, UsageError
from bioretrieval_tui.index.vector_matrix import Labels, Vector, Vectors
from bioretrieval_tui.progress import Reporter

EXAMPLES = "milvus+http://localhost:19530, milvus+file:PATH.db or lance+file:FOLDER"
"""Addresses, as remedies name them."""
TOKEN = "BIORETRIEVAL_MILVUS_TOKEN"  # noqa: S105
"""The variable of the environment with a credential: a token, or user:password."""

_ADDRESS = re.compile(r"(?P<engine>[a-z]+)\+(?P<scheme>[a-z0-9]+):(?P<place>.*)", re.DOTALL)
_OBJECTS = ("s3", "gs", "az")
"""Schemes of object stores, which LanceDB reaches with the credentials of their own variables."""
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_METADATA = msgspec.json.Decoder(dict[str, Any])


class StoreFault(IndexFault):
    """A store that is down, refuses, is full, or holds something else than expected."""


class SilentFault(StoreFault):
    """A store that does not answer: the same call may succeed later."""


class AbsentFault(StoreFault):
    """A store does not have what it was asked for."""


class StoreAddress(msgspec.Struct, frozen=True):
    """Where a store is. place: a URL without credentials, or the absolute path of a file or folder;
    database: of a server, "" for its default."""

    engine: Literal["milvus", "lance"]
    place: str
    database: str = ""

    @property
    def local(self) -> bool:
        """Whether the store is a file or folder, which this process opens itself."""
        return "://" not in self.place

    @property
    def exclusive(self) -> bool:
        """Whether one process at a time has the store open."""
        return self.local and self.engine == "milvus"

    def __str__(self) -> str:
        if self.local:
            return f"{self.engine}+file:{self.place}"
        return f"{self.engine}+{self.place}" + (f"/{self.database}" if self.database else "")


def is_address(text: str) -> bool:
    """Whether a text names a store, rather than a folder."""
    found = _ADDRESS.fullmatch(text)
    return found is not None and not Path(text).exists()


def parse_address(text: str) -> StoreAddress:
    """The address `milvus+http://HOST:PORT[/DATABASE]`, `milvus+https://...`,
    `milvus+file:PATH.db`, `lance+file:FOLDER`, or `lance+s3://BUCKET/PATH`, also of `gs` and `az`.
    Raises UsageError for another one, for credentials within it, and for a host that would be
    reached without TLS."""
    found = _ADDRESS.fullmatch(text.strip())
    if found is None or found["engine"] not in ("milvus", "lance"):
        raise UsageError(f"{text!r} is not the address of a store", remedy=f"write {EXAMPLES}")
    engine: Literal["milvus", "lance"] = "milvus" if found["engine"] == "milvus" else "lance"
    scheme, place = found["scheme"], found["place"]
    if scheme == "file":
        if not place.strip("/"):
            raise UsageError(f"{text!r} names no file", remedy=f"write {EXAMPLES}")
        if engine == "milvus" and not place.endswith(".db"):
            said = f"the file of Milvus Lite must end in .db, and {place!r} does not"
            raise UsageError(said, remedy=f"write milvus+file:{place.rstrip('/')}.db")
        return StoreAddress(engine, str(Path(os.path.abspath(place))))  # noqa: PTH100
    if engine == "lance" and scheme in _OBJECTS:
        return StoreAddress(engine, _objects(scheme, place))
    if engine == "lance" or scheme not in ("http", "https"):
        raise UsageError(f"{engine} has no address of {scheme}:", remedy=f"write {EXAMPLES}")
    try:
        parts = urlsplit(f"{scheme}:{place}")
        host, port = parts.hostname, parts.port or 19530
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}", remedy=f"write {EXAMPLES}") from error
    if parts.username or parts.password:
        said = "a credential must not stand in an address, which is shown and stored"
        raise UsageError(said, remedy=f"set {TOKEN} to it")
    database = parts.path.strip("/")
    if not host or parts.query or parts.fragment or "/" in database:
        raise UsageError(f"{text!r} is not the address of a server", remedy=f"write {EXAMPLES}")
    if scheme == "http" and host not in _LOOPBACK:
        said = f"http sends documents and the credential to {host} without encryption"
        raise UsageError(said, remedy=f"write milvus+https://{parts.netloc}, or use an SSH tunnel")
    shown = f"[{host}]" if ":" in host else host
    return StoreAddress("milvus", f"{scheme}://{shown}:{port}", database)


def _objects(scheme: str, place: str) -> str:
    """The URL of a path in an object store."""
    parts = urlsplit(f"{scheme}:{place}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        said = "a credential must not stand in an address, which is shown and stored"
        raise UsageError(said, remedy="set the variables of the object store, as AWS_ACCESS_KEY_ID")
    path = parts.path.strip("/")
    if not parts.netloc or not path or {"", ".", ".."} & {*path.split("/")}:
        said = f"{scheme}:{place} names no bucket and path"
        raise UsageError(said, remedy=f"write lance+{scheme}://BUCKET/PATH")
    return f"{scheme}://{parts.netloc}/{path}"


class StoredRow(msgspec.Struct, frozen=True):
    """A document as stores keep it. metadata: a JSON object; digest: its content hash, hex;
    source, line: where it came from; aliases: its further ids. Where the store answers BM25 and
    filters, terms: those of the text index; sought: values of fields, see `milvus_text`; date:
    YYYYMMDD, -1 if unknown."""

    label: int
    id: str
    title: str
    text: str
    metadata: str
    digest: str
    source: str = ""
    line: int = -1
    aliases: tuple[str, ...] = ()
    terms: str | None = None
    sought: str = ""
    date: int = -1

    @classmethod
    def of(
        cls, label: int, record: Record, aliases: Sequence[str] = (), *, text: bool = False
    ) -> StoredRow:
        """The row of a record; text: with what BM25 and filters need. What UTF-8 cannot hold
        becomes question marks."""
        document, place = record.document, record.place
        known = dict(document.metadata)
        row = cls(
            label=label,
            id=_encodable(document.id),
            title=_encodable(document.title),
            text=_encodable(document.text),
            metadata=_encodable(msgspec.json.encode(known).decode()) if known else "",
            digest=document.content_hash().hex(),
            source=_encodable(place.file),
            line=-1 if place.line is None else place.line,
            aliases=tuple(aliases),
        )
        if not text:
            return row
        from bioretrieval_tui.index.milvus_text import searchable

        terms, sought, date = searchable(document)
        return msgspec.structs.replace(row, terms=terms, sought=sought, date=date)

    def document(self) -> Document:
        """The document. Raises IndexFault if its metadata is no JSON object."""
        try:
            known = _METADATA.decode(self.metadata) if self.metadata else {}
        except (msgspec.DecodeError, RecursionError) as error:
            said = f"the store holds no valid document {self.label}"
            raise StoreFault(said, remedy="copy the index there again") from error
        return Document(self.id, self.title, self.text, known)

    def record(self) -> Record:
        """The document with its place."""
        line = None if self.line < 0 else self.line
        return Record(self.document(), Place(self.source, line))


class Store(ABC):
    """One engine at one address, open. Every method raises StoreFault where the engine is down,
    refuses or is full; one that takes long has a time limit. Labels ascend within a collection."""

    address: StoreAddress
    version: str

    @abstractmethod
    def close(self) -> None:
        """Close the connection, or the file."""

    # Collections ------------------------------------------------------------------------------

    @abstractmethod
    def collections(self) -> list[str]:
        """The names of all collections."""

    @property
    def takes_text(self) -> bool:
        """Whether the engine answers BM25 and filters as well as files here do."""
        return False

    @abstractmethod
    def create(self, collection: str, dimension: int, *, text: bool = False) -> None:
        """Create an empty collection for vectors of this dimension; text: also for BM25 and
        filters, see `takes_text`."""

    @abstractmethod
    def drop(self, collection: str) -> None:
        """Delete a collection, if there is one."""

    @abstractmethod
    def facts(self, collection: str) -> dict[str, str]:
        """What `describe` has noted."""

    @abstractmethod
    def describe(self, collection: str, facts: dict[str, str]) -> None:
        """Note facts of a collection."""

    @abstractmethod
    def pointed(self, pointer: str) -> str | None:
        """The collection that a pointer names, None if there is no such pointer."""

    @abstractmethod
    def point(self, pointer: str, collection: str) -> None:
        """Let a pointer name another collection, in one step."""

    # Writing ----------------------------------------------------------------------------------

    @abstractmethod
    def insert(self, collection: str, rows: Sequence[StoredRow], vectors: Vectors) -> None:
        """Add documents, with the vectors float32 (n, dimension)."""

    @abstractmethod
    def count(self, collection: str, last: int | None = None) -> int:
        """How many rows there are, exactly; up to the label `last`, which is counted too."""

    @abstractmethod
    def cut(self, collection: str, first: int) -> None:
        """Delete the rows from label `first` on."""

    @abstractmethod
    def finish(self, collection: str, reporter: Reporter) -> None:
        """Make the rows durable and the vectors searchable; returns when the index is built."""

    # Reading ----------------------------------------------------------------------------------

    @abstractmethod
    def load(self, collection: str) -> None:
        """Make a collection ready for everything below, if it is not."""

    @abstractmethod
    def documents(self, collection: str, labels: Sequence[int]) -> Iterator[StoredRow]:
        """The rows of these labels, as far as there are any, in any order."""

    @abstractmethod
    def between(self, collection: str, first: int, end: int) -> Iterator[StoredRow]:
        """The rows from label `first` to below `end`, in any order."""

    @abstractmethod
    def ids(self, collection: str, labels: Sequence[int]) -> dict[int, str]:
        """The ids of these labels."""

    @abstractmethod
    def vectors(self, collection: str, labels: Sequence[int]) -> dict[int, Vector]:
        """The vectors of these labels."""

    @abstractmethod
    def named(self, collection: str, ids: Sequence[str]) -> dict[str, int]:
        """The labels of these ids, as far as there are any."""

    @abstractmethod
    def aliased(self, collection: str, ids: Sequence[str]) -> dict[str, int]:
        """The labels of the documents that have these further ids."""

    @abstractmethod
    def with_digest(self, collection: str, digest: str) -> list[int]:
        """The labels of the rows with this content hash."""

    @abstractmethod
    def aliases(self, collection: str) -> Iterator[tuple[int, tuple[str, ...]]]:
        """The labels of the rows that have further ids, with those."""

    @abstractmethod
    def nearest(
        self, collection: str, query: Vector, k: int, *, ef: int, allowed: Any = None
    ) -> tuple[Labels, Vector]:
        """Labels and inner products of the nearest documents, best first, by the engine's index:
        there may be fewer than `k`. allowed: labels, or a filter of the engine."""


def connect(address: StoreAddress, *, made: bool = False) -> Store:
    """Open a store. made: whether it has been made before, so that its file or folder has to be
    there. Raises StoreFault if it is not or does not answer, and BioRetrievalError if the package
    of its engine is not installed."""
    if made and address.local and not os.path.lexists(address.place):
        said = f"{address} is missing"
        raise StoreFault(said, remedy="connect its disk, or copy the index there again")
    if address.engine == "lance":
        from bioretrieval_tui.index.lance import LanceStore

        return LanceStore(address)
    from bioretrieval_tui.index.milvus import MilvusStore

    return MilvusStore(address)


def batched(labels: Iterable[int], size: int) -> Iterator[list[int]]:
    """The labels, `size` at a time."""
    some: list[int] = []
    for label in labels:
        some.append(int(label))
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
