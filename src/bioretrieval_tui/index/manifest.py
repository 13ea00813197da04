"""The manifest: what an index is, and the checks that come before any of its files is opened.

hnswlib answers from an altered file, or crashes, without an error; so the manifest has the size and
SHA-256 of every file, and a checksum of itself. numpy is not imported.
"""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from bioretrieval_tui.catalog.models import Encoding, Similarity
from bioretrieval_tui.documents.checksum import remembered_sha256, sha256_of
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import IndexFault, NotFoundError
from bioretrieval_tui.index.layout import (
    DEAD,
    DOCUMENTS,
    GRAPH,
    MANIFEST,
    SEGMENT_FILES,
    TOKEN,
    VECTORS,
)

FORMAT = 4
READABLE = (2, 3, FORMAT)
"""Formats 2 and 3 had another text index and other metadata. Their documents and vectors are read
as they are, so that compacting migrates them without encoding."""
REBUILD = "build the index again from its corpus"
ANY_REVISION = "any"
"""The revision of imported vectors: it is not known, so any may encode the queries."""
_MOST_BYTES = 16 * 2**20

IdKind = Literal["pmid"]
"""What the ids of a corpus are, if each has a web page of its own."""


class FileFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size in bytes and hex SHA-256 of one file of the index."""

    bytes: int
    sha256: str


class InputFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input file: its path, bytes, hex SHA-256, and how many documents it gave."""

    path: str
    bytes: int
    sha256: str
    documents: int
    format: str


class SegmentFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One segment: its folder, and its rows of documents and vectors."""

    id: str
    rows: int


class TextFacts(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What the manifest says of the text index.

    analyser: how text was split into terms; engine: how they are stored, None before format 4;
    labels: rows, with deleted ones; documents: without. The others are of older formats.
    """

    analyser: str
    labels: int
    documents: int
    terms: int | None = None
    postings: int | None = None
    title_length: float | None = None
    text_length: float | None = None
    engine: str | None = None


class FieldFacts(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One field: how many documents have a value of it. The others are of format 3."""

    name: str
    values: int | None = None
    postings: int | None = None
    documents: int


class MetadataFacts(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
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


class GraphSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """How the HNSW graph was built, and the `ef` it is searched with.

    recall: recall@10 against exact search, measured with that `ef` when the graph was built, on
    `sampled` documents; None where nothing was measured.
    """

    m: int = 16
    ef_construction: int = 200
    ef: int = 200
    seed: int = 100
    recall: float | None = None
    sampled: int = 0


class Manifest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Everything about an index.

    dimension: of a vector; 0 for an index without vectors, which serves BM25 alone: its vector
    and graph files are empty, and `model` is the one that may encode it later. dtype: of the
    stored vectors. documents: without deleted ones. files: by path within the index's folder, with
    `/`. fields: the metadata, None in format 2. built: ISO 8601, UTC. docs_per_second: documents
    encoded a second, without the time to load the model; 0 if none was. app: version that built
    it. aliases: further ids of documents whose text occurred more than once. fingerprint: of the
    catalogue that the catalogue index was made from. checksum: hex SHA-256 of this manifest with
    `checksum` empty.
    """

    format: int
    name: str
    generation: str
    model: str
    revision: str
    recipe: Encoding
    recipe_hash: str
    dimension: int
    dtype: str
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
    inputs: tuple[InputFacts, ...] = ()
    ids: IdKind | None = None
    fingerprint: str | None = None
    checksum: str = ""

    @property
    def encoded(self) -> bool:
        """Whether the documents have vectors; False for an index that serves BM25 alone."""
        return self.dimension > 0

    @property
    def rows(self) -> int:
        """All labels, with those of deleted documents, which stay until compacting."""
        return sum(segment.rows for segment in self.segments)

    @property
    def outdated(self) -> str | None:
        """Why this version cannot search the index though its documents and vectors are valid;
        None if it can."""
        return f"it has the older format {self.format}" if self.format != FORMAT else None

    def path(self, name: str) -> str:
        """A file of the generation, as `files` names it."""
        return f"{self.generation}/{name}"

    def stores(self) -> list[str]:
        """The segments' document files, oldest first, as `files` names them."""
        return [f"{segment.id}/{DOCUMENTS}" for segment in self.segments]

    def matrices(self) -> list[str]:
        """The segments' vector files, oldest first, as `files` names them."""
        return [f"{segment.id}/{VECTORS}" for segment in self.segments]

    def dense_files(self) -> list[str]:
        """The files that only dense search reads, as `files` names them."""
        return [*self.matrices(), self.path(GRAPH)]


class _ManifestFormat(msgspec.Struct):
    format: int


def seal(manifest: Manifest) -> Manifest:
    """The manifest with its checksum, as it is written."""
    return msgspec.structs.replace(manifest, checksum=_checksum(manifest))


def encode_manifest(manifest: Manifest) -> bytes:
    """The bytes of `manifest.json` of a sealed manifest."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the index in `folder`, without checking its files.

    Raises:
        NotFoundError: there is no index. IndexFault: the manifest is damaged or of another
            version.
    """
    try:
        with (folder / MANIFEST).open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"there is no index {folder.name}") from error
    except OSError as error:
        raise IndexFault(f"index {folder.name} cannot be read: {error.strerror}") from error
    name = folder.name
    damaged = IndexFault(f"index {name}: its manifest is damaged", remedy=REBUILD)
    if len(data) > _MOST_BYTES:
        raise damaged
    try:
        found = msgspec.json.decode(data, type=_ManifestFormat).format
        if found not in READABLE:
            raise IndexFault(
                f"index {name} has format {found}, this version reads {READABLE[0]} to {FORMAT}",
                remedy="use the version that built it, or build it again",
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise damaged from error
    sound = (
        manifest.checksum == _checksum(manifest)
        and manifest.recipe_hash == recipe_hash(manifest.recipe)
        and _sound_names(manifest)
        and manifest.dtype == "float16"
        and manifest.dimension >= 0
        and (manifest.encoded or not any(manifest.files[one].bytes for one in manifest.matrices()))
        and 0 < manifest.documents <= manifest.rows
        and (manifest.fields is not None) == (manifest.format > 2)
    )
    if not sound:
        raise damaged
    if manifest.name != name:
        raise IndexFault(
            f"the folder {name} holds the index {manifest.name}",
            remedy=f"rename the folder to {manifest.name}",
        )
    return manifest


def check_sizes(manifest: Manifest, folder: Path) -> None:
    """Compare the size of every file; cheap, and enough to see what is missing or cut off.

    Raises:
        FileNotFoundError: a file is missing, maybe because a newer generation replaced it.
        IndexFault: a file has another size, or cannot be read.
    """
    for name, facts in manifest.files.items():
        try:
            size = (folder / name).stat().st_size
        except FileNotFoundError:
            raise
        except OSError as error:
            raise fault(manifest, f"{name} cannot be read: {error.strerror}") from error
        if size != facts.bytes:
            raise fault(
                manifest, f"{PurePosixPath(name).name} has {size:,} bytes, not {facts.bytes:,}"
            )


def check_content(manifest: Manifest, folder: Path, name: str, *, fresh: bool) -> None:
    """Compare the SHA-256 of one file; `fresh` reads it even if its checksum is remembered.

    Raises:
        FileNotFoundError, IndexFault: as `check_sizes`.
    """
    path = folder / name
    try:
        found = sha256_of(path) if fresh else remembered_sha256(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise fault(manifest, f"{path.name} cannot be read: {error.strerror}") from error
    if found != manifest.files[name].sha256:
        raise fault(manifest, f"{path.name} was altered since it was built")


def fault(manifest: Manifest, reason: str, remedy: str = REBUILD) -> IndexFault:
    """The error of an index whose files do not fit its manifest."""
    return IndexFault(f"index {manifest.name} is damaged: {reason}", remedy=remedy)


def _sound_names(manifest: Manifest) -> bool:
    """Whether all required files are named, and no path leads out of the folder."""
    tokens = [manifest.generation, *(segment.id for segment in manifest.segments)]
    needed = {f"{segment.id}/{file}" for segment in manifest.segments for file in SEGMENT_FILES}
    needed |= {manifest.path(GRAPH), manifest.path(DEAD)}
    inside = all(
        name.partition("/")[0] in tokens and ".." not in PurePosixPath(name).parts
        for name in manifest.files
    )
    return (
        all(TOKEN.fullmatch(token) for token in tokens) and inside and needed <= set(manifest.files)
    )


def _checksum(manifest: Manifest) -> str:
    bare = msgspec.structs.replace(manifest, checksum="")
    return hashlib.sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()
