"""The manifest: what an index is, and the checks that come before any of its files is opened.

hnswlib answers from an altered file, or crashes in it, without a word; so every file has its
size and SHA-256 here, and the manifest has a checksum of itself. numpy is not imported.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Literal

import msgspec

from bioretrieval_tui.catalog.entries import Encoding, Similarity
from bioretrieval_tui.corpus.checksum import remembered_sha256, sha256_of
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import IndexFault, NotFoundError
from bioretrieval_tui.index.layout import FILES, GENERATION, GRAPH, MANIFEST

FORMAT = 1
REBUILD = "build the index again from its corpus"
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


class GraphSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """How the HNSW graph was built, and the `ef` it is searched with."""

    m: int = 16
    ef_construction: int = 200
    ef: int = 200
    seed: int = 100


class Manifest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """All that is known of an index. `dtype` is that of the stored vectors."""

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
    files: dict[str, FileFacts]
    graph: GraphSettings
    built: str
    """ISO 8601, UTC."""
    device: str
    seconds: float
    docs_per_second: float
    """Documents encoded a second, loading of the model left out."""
    app: str
    """Version of the app that built it."""
    inputs: tuple[InputFacts, ...] = ()
    ids: IdKind | None = None
    fingerprint: str | None = None
    """What the catalogue index was made from; None for other indexes."""
    checksum: str = ""
    """Hex SHA-256 of this manifest with `checksum` empty."""


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
        FileNotFoundError: the generation is gone (the caller looks whether a newer one came).
        IndexFault: a file has another size, or cannot be looked at.
    """
    for name in FILES:
        try:
            size = (folder / manifest.generation / name).stat().st_size
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _fault(manifest, f"{name} cannot be read: {error.strerror}") from error
        if size != manifest.files[name].bytes:
            raise _fault(manifest, f"{name} has {size:,} bytes, not {manifest.files[name].bytes:,}")


def check_contents(manifest: Manifest, folder: Path, *, fresh: bool = False) -> None:
    """Compare the SHA-256 of every file; from memory where a file provably has not changed.

    Raises:
        FileNotFoundError, IndexFault: as `check_sizes`.
    """
    for name in FILES:
        check_content(manifest, folder, name, fresh=fresh)


def check_content(manifest: Manifest, folder: Path, name: str, *, fresh: bool) -> None:
    """Compare the SHA-256 of one file; `fresh` reads it now, whatever is remembered.

    Raises:
        FileNotFoundError, IndexFault: as `check_sizes`.
    """
    path = folder / manifest.generation / name
    try:
        found = sha256_of(path) if fresh else remembered_sha256(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _fault(manifest, f"{name} cannot be read: {error.strerror}") from error
    if found != manifest.files[name].sha256:
        raise _fault(manifest, f"{name} was altered since it was built")


_GRAPH_HEADER = struct.Struct("@6N i I")
"""hnswlib 0.8: offset of level 0, capacity, count, bytes an element, offset of the label, offset
of the vector, highest level, entry point; native sizes and byte order, as it writes them."""


def check_graph_header(manifest: Manifest, folder: Path) -> None:
    """Compare the graph file's own header with the manifest.

    hnswlib reads a file of another dimension as if it were right, and follows an entry point
    that lies outside the graph into unmapped memory.

    Raises:
        IndexFault: count, dimension or entry point do not fit.
    """
    with (folder / manifest.generation / GRAPH).open("rb") as stream:
        data = stream.read(_GRAPH_HEADER.size)
    if len(data) < _GRAPH_HEADER.size:
        raise _fault(manifest, f"{GRAPH} is cut off")
    _, _, count, _, label_at, vector_at, _, entry = _GRAPH_HEADER.unpack(data)
    if (label_at - vector_at) != 4 * manifest.dimension:
        raise _fault(manifest, f"{GRAPH} holds vectors of another dimension")
    if count != manifest.documents or entry >= count:
        raise _fault(manifest, f"{GRAPH} does not hold {manifest.documents:,} documents")


def _parse(name: str, data: bytes) -> Manifest:
    damaged = IndexFault(f"index {name}: its manifest is damaged", remedy=REBUILD)
    if len(data) > _MOST_BYTES:
        raise damaged
    try:
        found = msgspec.json.decode(data, type=_Versioned).format
        if found != FORMAT:
            raise IndexFault(
                f"index {name} has format {found}, this version reads {FORMAT}",
                remedy="use the version that built it, or build it again",
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise damaged from error
    sound = (
        manifest.checksum == _checksum(manifest)
        and manifest.recipe_hash == recipe_hash(manifest.recipe)
        and GENERATION.fullmatch(manifest.generation)
        and set(manifest.files) == set(FILES)
        and manifest.dtype == "float32"
        and manifest.dimension > 0
        and manifest.documents > 0
    )
    if not sound:
        raise damaged
    if manifest.name != name:
        raise IndexFault(
            f"the folder {name} holds the index {manifest.name}",
            remedy=f"rename the folder to {manifest.name}",
        )
    return manifest


def _checksum(manifest: Manifest) -> str:
    bare = msgspec.structs.replace(manifest, checksum="")
    return hashlib.sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()


def _fault(manifest: Manifest, reason: str) -> IndexFault:
    return IndexFault(f"index {manifest.name} is damaged: {reason}", remedy=REBUILD)
