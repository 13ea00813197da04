"""The manifest: what an index is, and the checks that come before any of its files is opened.

hnswlib answers from an altered file, or crashes, without an error; so the manifest has the size and
SHA-256 of every file, and a checksum of itself. numpy is not imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import tokenize
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, NamedTuple

import msgspec

from bioretrieval_tui.catalog.models import Encoding, Similarity
from bioretrieval_tui.documents.checksum import remembered_sha256, sha256_of
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import IndexFault, NotFoundError
from bioretrieval_tui.index import layout

FORMAT = 5
IN_STORE = 6
"""The format of an index whose documents and vectors are in a store."""
SEARCHABLE = (4, FORMAT, IN_STORE)
"""Format 4 had one graph of all vectors, in which deleted documents were marked."""
READABLE = (2, 3, *SEARCHABLE)
"""Formats 2 and 3 had another text index and other metadata. Their documents and vectors are read
as they are, so that compacting migrates them without encoding."""
UNREADABLE = (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError)
"""What reading a file may raise; numpy reads the header of a damaged .npy with Python's parser."""
REBUILD = "build the index again: bioretrieval-tui index build {} FILE..."
COMPACT = "run: bioretrieval-tui index compact {}"
"""The remedy where only derived files are damaged."""
ANY_REVISION = "any"
"""The revision of imported vectors: it is not known, so any may encode the queries, and documents
that are added later."""
_MOST_BYTES = 16 * 2**20

_PARTS = {
    "documents": "documents", "vectors": "vectors", "passages": "vectors", "graph": "graphs",
    "text": "text index", "metadata": "metadata",
}  # fmt: skip
"""Parts of an index by the beginnings of the names of their files or folders."""

IdKind = Literal["pmid"]
"""What the ids of a corpus are, if each has a web page of its own."""
_Token = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{12}\Z")]


class _Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of the manifest."""


class FileFacts(_Facts, frozen=True):
    """Size in bytes and hex SHA-256 of one file of the index."""

    bytes: int
    sha256: str


class InputFacts(_Facts, frozen=True):
    """One input file: its path, bytes, hex SHA-256, and how many documents it gave."""

    path: str
    bytes: int
    sha256: str
    documents: int
    format: str


class SegmentFacts(_Facts, frozen=True):
    """One segment: its folder, and its rows of documents; vectors: its rows of vectors, None where
    each document has one."""

    id: _Token
    rows: int
    vectors: int | None = None


class TextFacts(_Facts, frozen=True, kw_only=True):
    """What the manifest says of the text index. analyser: how text was split into terms; engine:
    how they are stored, None before format 4; labels: rows, with deleted ones; documents: without.
    The others are of older formats."""

    analyser: str
    labels: int
    documents: int
    terms: int | None = None
    postings: int | None = None
    title_length: float | None = None
    text_length: float | None = None
    engine: str | None = None


class FieldFacts(_Facts, frozen=True, kw_only=True):
    """One field: how many documents have a value of it. The others are of format 3."""

    name: str
    values: int | None = None
    postings: int | None = None
    documents: int


class MetadataFacts(_Facts, frozen=True, kw_only=True):
    """What the manifest says of the metadata.

    version: how values were read and folded; labels: rows, with deleted ones; fields: in order of
    their names; dated: documents whose year is known; left_out: keys of the corpus that have too
    many values to be fields; full: whether there were more keys than are read.
    """

    version: str
    labels: int
    fields: tuple[FieldFacts, ...]
    dated: int
    left_out: tuple[str, ...] = ()
    full: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that some document has, which a filter may name, sorted."""
        found = [one.name for one in self.fields if one.documents]
        return tuple(sorted([*found, "year"] if self.dated else found))


class GraphSettings(_Facts, frozen=True, kw_only=True):
    """How the HNSW graphs were built, and the `ef` they are searched with. recall: recall@10
    against exact search among the vectors of the same graph with that `ef`, on `sampled` documents,
    of the worst graph; None where nothing was measured. parts: rows of each graph, in order of the
    vectors; none before format 5. The defaults are those of manifests that leave them out, which
    were built so; `NEW_GRAPHS` has those of today."""

    m: Annotated[int, msgspec.Meta(ge=2, le=1_000)] = 16
    ef_construction: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 200
    ef: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 200
    seed: int = 100
    recall: float | None = None
    sampled: int = 0
    parts: tuple[Annotated[int, msgspec.Meta(ge=1)], ...] = ()


NEW_GRAPHS = GraphSettings(m=24, ef_construction=64)
"""More links that are found with less search: as good, in two fifths of the time."""


class GraphPart(NamedTuple):
    """A graph: its file, as `Manifest.files` names it, and which rows of vectors it holds."""

    path: str
    first: int
    rows: int


class Manifest(_Facts, frozen=True, kw_only=True):
    """Everything about an index.

    dimension: of a vector; 0 for an index that serves BM25 alone: its vector and graph files are
    empty, and `model` is the one that may encode it later. documents: without deleted ones. files:
    by path within the index's folder, with `/`. fields: the metadata, None in format 2. built: ISO
    8601, UTC. docs_per_second: documents encoded a second, without loading the model; 0 if none
    was. app: version that built it. aliases: further ids of documents whose text occurred more than
    once. max_tokens: of a document that the model reads, None if there is no limit or it is not
    known; longer: documents that have more, None if that is not known, as before format 4 or of
    imported vectors. passages: whether those have several vectors. fingerprint: of what the app
    made it from. store, collection: the store that has the documents and vectors, and the pointer
    to them there, see `index.stores`; None where they are files. checksum: hex SHA-256 of this
    manifest with `checksum` empty.
    """

    format: int
    name: str
    generation: _Token
    model: str
    revision: str
    recipe: Encoding
    recipe_hash: str
    dimension: Annotated[int, msgspec.Meta(ge=0)]
    dtype: Literal["float16"]
    similarity: Similarity
    normalised: bool
    documents: int
    segments: tuple[SegmentFacts, ...]
    files: dict[str, FileFacts]
    graph: GraphSettings
    lexical: TextFacts
    fields: MetadataFacts | None = None
    built: str
    device: str
    seconds: float
    docs_per_second: float
    app: str
    aliases: int = 0
    max_tokens: int | None = None
    longer: int | None = None
    inputs: tuple[InputFacts, ...] = ()
    ids: IdKind | None = None
    fingerprint: str | None = None
    passages: bool = False
    store: str | None = None
    collection: str | None = None
    checksum: str = ""

    @property
    def encoded(self) -> bool:
        """Whether the documents have vectors; False for an index that serves BM25 alone."""
        return self.dimension > 0

    @property
    def known_revision(self) -> str | None:
        """The revision of the model that encodes further texts; None for any, see ANY_REVISION."""
        return None if self.revision == ANY_REVISION else self.revision

    @property
    def rows(self) -> int:
        """All labels, with those of deleted documents, which stay until compacting."""
        return sum(segment.rows for segment in self.segments)

    @property
    def vectors(self) -> int:
        """All rows of vectors."""
        return sum(segment.vectors or segment.rows for segment in self.segments)

    @property
    def outdated(self) -> str | None:
        """Why this version cannot search the index though its documents and vectors are valid;
        None if it can."""
        if self.format not in SEARCHABLE:
            return f"it has the older format {self.format}"
        if (self.lexical.analyser, self.lexical.engine) != (layout.ANALYSER, layout.ENGINE):
            return "another version has made its text index"
        if self.fields is not None and self.fields.version != layout.VALUES:
            return "another version has made its metadata"
        return None

    def path(self, name: str) -> str:
        """A file of the generation, as `files` names it."""
        return f"{self.generation}/{name}"

    @property
    def remote_text(self) -> bool:
        """Whether the store answers BM25 and filters too."""
        beside = self.path(layout.TEXT)
        return self.store is not None and not any(one.startswith(beside) for one in self.files)

    @property
    def graphs(self) -> list[GraphPart]:
        """The graphs. The vectors after the last one's are in none."""
        parts = (self.vectors,) if self.format < FORMAT and self.encoded else self.graph.parts
        ends = [*accumulate(parts)]
        return [
            GraphPart(self.path(layout.graph_file(number)), end - rows, rows)
            for number, (rows, end) in enumerate(zip(parts, ends, strict=True))
        ]

    @property
    def bytes_by_part(self) -> dict[str, int]:
        """Bytes of documents, vectors, graphs, text index and metadata; of those that there are."""
        found: dict[str, int] = {}
        for path, facts in self.files.items():
            within = path.partition("/")[2]
            part = _PARTS.get(within.partition("/")[0].partition(".")[0].partition("-")[0])
            if part and facts.bytes:
                found[part] = found.get(part, 0) + facts.bytes
        return {part: found[part] for part in dict.fromkeys(_PARTS.values()) if part in found}

    def stores(self) -> list[str]:
        """The segments' document files, oldest first; none where a store has the documents."""
        segments = () if self.store else self.segments
        return [f"{segment.id}/{layout.DOCUMENTS}" for segment in segments]

    def matrices(self) -> list[str]:
        """The segments' vector files, oldest first; none where a store has the vectors."""
        segments = () if self.store else self.segments
        return [f"{segment.id}/{layout.VECTORS}" for segment in segments]

    def passage_tables(self) -> list[str]:
        """The segments' tables of passages, oldest first; none for an index without."""
        names = [f"{segment.id}/{layout.PASSAGES}" for segment in self.segments]
        return names if self.passages else []

    def dense_files(self) -> list[str]:
        """The files that only dense search reads."""
        graphs = [part.path for part in self.graphs]
        return [*self.matrices(), *self.passage_tables(), *graphs]


class _ManifestFormat(msgspec.Struct):
    format: int


def seal(manifest: Manifest) -> Manifest:
    """The manifest with its checksum, as it is written."""
    return msgspec.structs.replace(manifest, checksum=_checksum(manifest))


def encode_manifest(manifest: Manifest) -> bytes:
    """The bytes of `manifest.json` of a sealed manifest."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the index in `folder`, without checking its files. Raises NotFoundError, and
    IndexFault if the manifest is damaged or of another version."""
    name = folder.name
    try:
        with (folder / layout.MANIFEST).open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"there is no index {name}") from error
    except OSError as error:
        raise IndexFault(f"index {name} cannot be read: {error.strerror}") from error
    damaged = IndexFault(f"index {name}: its manifest is damaged", remedy=REBUILD.format(name))
    try:
        found = msgspec.json.decode(data, type=_ManifestFormat).format
        if found not in READABLE:
            first, last = READABLE[0], READABLE[-1]
            raise IndexFault(
                f"index {name} has format {found}, this version reads {first} to {last}",
                remedy="use the version that built it, or build it again",
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise damaged from error
    if not (len(data) <= _MOST_BYTES and _is_sound(manifest)):
        raise damaged
    if manifest.name != name:
        raise IndexFault(
            f"the folder {name} holds the index {manifest.name}",
            remedy=f"rename the folder to {manifest.name}",
        )
    return manifest


def check_size(manifest: Manifest, folder: Path, name: str) -> None:
    """Compare the size of one file: cheap, and enough to see what is missing or cut off. Raises
    IndexFault."""
    with reading(manifest, name):
        size, expected = (folder / name).stat().st_size, manifest.files[name].bytes
    if size != expected:
        said = f"{PurePosixPath(name).name} has {size:,} bytes, not {expected:,}"
        raise fault(manifest, said, name)


def check_content(manifest: Manifest, folder: Path, name: str, *, fresh: bool = False) -> None:
    """Compare size and SHA-256 of one file; `fresh` reads it even if its checksum is remembered.
    Raises IndexFault if it is missing, altered or cannot be read."""
    check_size(manifest, folder, name)
    with reading(manifest, name):
        path = folder / name
        found = sha256_of(path) if fresh else remembered_sha256(path, within=folder)
    if found != manifest.files[name].sha256:
        raise fault(manifest, f"{PurePosixPath(name).name} was altered since it was built", name)


@contextlib.contextmanager
def reading(manifest: Manifest, name: str) -> Iterator[None]:
    """Turn the errors of reading a file of an index into an IndexFault."""
    file = PurePosixPath(name).name
    try:
        yield
    except FileNotFoundError as error:
        raise fault(manifest, f"{file} is missing", name) from error
    except UNREADABLE as error:
        reason = error.strerror if isinstance(error, OSError) else "its content is not valid"
        raise fault(manifest, f"{file} cannot be read: {reason}", name) from error


def fault(manifest: Manifest, reason: str, file: str = "") -> IndexFault:
    """The error of an index whose files do not fit its manifest; file: as `files` names it."""
    derived = file.startswith(manifest.path(""))
    remedy = (COMPACT if derived else REBUILD).format(manifest.name)
    return IndexFault(f"index {manifest.name} is damaged: {reason}", remedy=remedy)


def _is_sound(manifest: Manifest) -> bool:
    """Whether a manifest agrees with itself, names all required files, and none outside."""
    folders = {manifest.generation, *(segment.id for segment in manifest.segments)}
    needed = {manifest.path(layout.DEAD), *manifest.stores(), *manifest.dense_files()}
    if manifest.remote_text:
        needed = set()
    return (
        manifest.checksum == _checksum(manifest)
        and manifest.recipe_hash == recipe_hash(manifest.recipe)
        and needed <= set(manifest.files)
        and all(name.partition("/")[0] in folders for name in manifest.files)
        and all(".." not in PurePosixPath(name).parts for name in manifest.files)
        and (manifest.encoded or not any(manifest.files[one].bytes for one in manifest.matrices()))
        and 0 < manifest.documents <= manifest.rows
        and sum(manifest.graph.parts) <= manifest.vectors * manifest.encoded
        and (
            manifest.longer is None
            or manifest.remote_text
            or manifest.path(layout.LONGER) in manifest.files
        )
        and (manifest.fields is not None) == (manifest.format > 2)
        and (manifest.store is not None) == (manifest.format == IN_STORE)
        and (manifest.store is None) == (manifest.collection is None)
        and not (manifest.store and (manifest.passages or manifest.graph.parts))
    )


def _checksum(manifest: Manifest) -> str:
    bare = msgspec.structs.replace(manifest, checksum="")
    return hashlib.sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()
