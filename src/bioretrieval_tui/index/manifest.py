"""The manifest: what an index is, and the checks that come before any of its files is opened.

hnswlib answers from an altered file, or crashes in it, without a word; so every file has its
size and SHA-256 here, and the manifest has a checksum of itself. numpy is not imported.
"""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from bioretrieval_tui.catalog.entries import Encoding, Similarity
from bioretrieval_tui.corpus.checksum import remembered_sha256, sha256_of
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import IndexFault, NotFoundError
from bioretrieval_tui.index.fields.facts import FieldsFacts
from bioretrieval_tui.index.layout import (
    DEAD,
    DOCUMENTS,
    GRAPH,
    MANIFEST,
    SEGMENT_FILES,
    TOKEN,
    VECTORS,
)
from bioretrieval_tui.index.lexical.facts import LexicalFacts

FORMAT = 3
READABLE = (2, FORMAT)
"""Format 2 knows no fields: everything but filtering works, and compacting brings it up to date."""
REBUILD = "build the index again from its corpus"
ANY_REVISION = "any"
"""The revision of vectors that others computed: they do not say which, so any may query them."""
_MOST_BYTES = 16 * 2**20

IdKind = Literal["pmid"]
"""What the ids of a corpus are, where they are something that has a page of its own."""


class FileFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size in bytes and hex SHA-256 of one file of the index."""

    bytes: int
    sha256: str


class InputFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file that went in: where it was, its size and hex SHA-256, the documents it gave."""

    path: str
    bytes: int
    sha256: str
    documents: int
    format: str


class SegmentFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One segment: its folder, and how many rows of documents and vectors it has."""

    id: str
    rows: int


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
    """All that is known of an index.

    dtype: of the stored vectors; dimension: 0 for an index without vectors, which serves BM25
    alone: its vector and graph files are empty, and `model` is the one that may encode it later.
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
    """Documents that are alive."""
    segments: tuple[SegmentFacts, ...]
    files: dict[str, FileFacts]
    """By path within the index's folder, with `/`."""
    graph: GraphSettings
    lexical: LexicalFacts
    fields: FieldsFacts | None = None
    """None in format 2."""
    built: str
    """ISO 8601, UTC."""
    device: str
    seconds: float
    docs_per_second: float
    """Documents encoded a second, loading of the model left out; 0 where none was."""
    app: str
    """Version of the app that built it."""
    aliases: int = 0
    """Further ids of documents whose text came more than once."""
    inputs: tuple[InputFacts, ...] = ()
    ids: IdKind | None = None
    fingerprint: str | None = None
    """What the catalogue index was made from; None for other indexes."""
    checksum: str = ""
    """Hex SHA-256 of this manifest with `checksum` empty."""

    @property
    def encoded(self) -> bool:
        """Whether the documents have vectors; False for an index that serves BM25 alone."""
        return self.dimension > 0

    @property
    def rows(self) -> int:
        """Labels in all: documents that are alive, and those that are dead until compacting."""
        return sum(segment.rows for segment in self.segments)

    def path(self, name: str) -> str:
        """A file of the generation, as `files` names it."""
        return f"{self.generation}/{name}"

    def stores(self) -> list[str]:
        """The segments' document files, oldest first, as `files` names them."""
        return [f"{segment.id}/{DOCUMENTS}" for segment in self.segments]

    def matrices(self) -> list[str]:
        """The segments' vector files, oldest first, as `files` names them."""
        return [f"{segment.id}/{VECTORS}" for segment in self.segments]


class _Versioned(msgspec.Struct):
    format: int


def seal(manifest: Manifest) -> Manifest:
    """The manifest with its checksum put in, as it is to be written."""
    return msgspec.structs.replace(manifest, checksum=_checksum(manifest))


def encode_manifest(manifest: Manifest) -> bytes:
    """The bytes of `manifest.json` of a sealed manifest."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the index in `folder`, checked in itself but not against its files.

    Raises:
        NotFoundError: there is no index. IndexFault: the manifest is damaged or of another
            version.
    """
    path = folder / MANIFEST
    try:
        with path.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"there is no index {folder.name}") from error
    except OSError as error:
        raise IndexFault(f"index {folder.name} cannot be read: {error.strerror}") from error
    return _parse(folder.name, data)


def check_sizes(manifest: Manifest, folder: Path) -> None:
    """Compare the size of every file; cheap, and enough to see what is missing or cut off.

    Raises:
        FileNotFoundError: a file is gone (the caller looks whether a newer generation came).
        IndexFault: a file has another size, or cannot be looked at.
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


def check_contents(manifest: Manifest, folder: Path, *, fresh: bool = False) -> None:
    """Compare the SHA-256 of every file; from memory where a file provably has not changed.

    Raises:
        FileNotFoundError, IndexFault: as `check_sizes`.
    """
    for name in manifest.files:
        check_content(manifest, folder, name, fresh=fresh)


def check_content(manifest: Manifest, folder: Path, name: str, *, fresh: bool) -> None:
    """Compare the SHA-256 of one file; `fresh` reads it now, whatever is remembered.

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
    """The error of an index whose files are not what its manifest says."""
    return IndexFault(f"index {manifest.name} is damaged: {reason}", remedy=remedy)


def _parse(name: str, data: bytes) -> Manifest:
    damaged = IndexFault(f"index {name}: its manifest is damaged", remedy=REBUILD)
    if len(data) > _MOST_BYTES:
        raise damaged
    try:
        found = msgspec.json.decode(data, type=_Versioned).format
        if found not in READABLE:
            raise IndexFault(
                f"index {name} has format {found}, this version reads"
                f" {' and '.join(map(str, READABLE))}",
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
        and (manifest.fields is not None) == (manifest.format == FORMAT)
    )
    if not sound:
        raise damaged
    if manifest.name != name:
        raise IndexFault(
            f"the folder {name} holds the index {manifest.name}",
            remedy=f"rename the folder to {manifest.name}",
        )
    return manifest


def _sound_names(manifest: Manifest) -> bool:
    """Whether all files are named that must be, and nothing leads out of the folder."""
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
