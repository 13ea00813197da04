"""Vectors of the embedded model that ship with the catalogue: those of its entries, so that the
first search encodes nothing, and those of the texts by which a prepared encoder is checked.

`data/vectors.bin`, written by `make vectors`: a line of JSON (`_VectorsHeader`), then content
hashes (16 bytes each), float16 vectors, a byte each for whether the text is longer than the model
reads, and the float32 vectors of sentence-transformers for the check: queries, then documents.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.compiled import data_folder
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import Vectors
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import ModelError

FILE = "vectors.bin"
FORMAT = 1
_HASH = 16
_log = logging.getLogger(__name__)

Halves = npt.NDArray[np.float16]


class _VectorsHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What the vectors are of. weights: SHA-256 of model.safetensors; rows: catalogue documents;
    checks: texts of the check; sha256: of all bytes after this line."""

    model: str = embedded.MODEL_ID
    revision: str = embedded.REVISION
    recipe: str = recipe_hash(embedded.RECIPE)
    weights: str = embedded.CHECKSUMS["model.safetensors"]
    dimension: int = embedded.DIMENSION
    format: int = FORMAT
    rows: int = 0
    checks: int = 0
    sha256: str = ""


class ShippedVectors(msgspec.Struct, frozen=True):
    """places: rows by content hash; vectors: float16 (rows, dimension); longer: whether a text has
    more tokens than the model reads; queries, documents: float32 (checks, dimension)."""

    places: dict[bytes, int]
    vectors: Halves
    longer: npt.NDArray[np.bool_]
    queries: Vectors
    documents: Vectors

    def find(self, digests: Sequence[bytes]) -> dict[bytes, tuple[Halves, bool | None]]:
        """The vector of each known content hash, float16 (dimension,), and whether the text is
        longer than the model reads."""
        rows = {one: self.places[one] for one in digests if one in self.places}
        return {one: (self.vectors[row], bool(self.longer[row])) for one, row in rows.items()}


def encode_shipped(
    digests: Sequence[bytes], vectors: Halves, longer: Sequence[bool], checks: Sequence[Vectors]
) -> bytes:
    """The bytes of the file."""
    flags = np.array(longer, dtype=np.bool_)
    parts = (np.frombuffer(b"".join(digests), np.uint8), vectors.astype("<f2"), flags)
    data = b"".join(one.tobytes() for one in (*parts, *(one.astype("<f4") for one in checks)))
    head = _VectorsHeader(
        rows=len(digests), checks=len(checks[0]), sha256=hashlib.sha256(data).hexdigest()
    )
    return msgspec.json.encode(head) + b"\n" + data


def read_shipped(path: Path | None = None) -> ShippedVectors:
    """Read and check the file. Raises ModelError: it is missing, damaged, or of another model."""
    path = path or data_folder() / FILE
    remedy = "reinstall bioretrieval-tui; until then the vectors are computed here"
    try:
        line, _, data = path.read_bytes().partition(b"\n")
        head = msgspec.json.decode(line, type=_VectorsHeader)
    except OSError as error:
        said = f"{path} cannot be read: {error.strerror}"
        raise ModelError(said, remedy=remedy) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not a file of vectors: {error}", remedy=remedy) from error
    wanted = _VectorsHeader(rows=head.rows, checks=head.checks, sha256=head.sha256)
    if head != wanted:
        said = f"{path} holds vectors of {head.model} by another revision or recipe"
        raise ModelError(said, remedy=remedy)
    width = head.dimension
    sizes = [
        head.rows * _HASH, head.rows * width * 2, head.rows,
        head.checks * width * 4, head.checks * width * 4,
    ]  # fmt: skip
    if len(data) != sum(sizes) or hashlib.sha256(data).hexdigest() != head.sha256:
        raise ModelError(f"{path} is damaged: its checksum differs", remedy=remedy)
    ends = np.cumsum(sizes).tolist()
    hashes, halves, longer, queries, documents = (
        data[end - size : end] for end, size in zip(ends, sizes, strict=True)
    )
    return ShippedVectors(
        {hashes[at * _HASH : (at + 1) * _HASH]: at for at in range(head.rows)},
        np.frombuffer(halves, "<f2").reshape(head.rows, width),
        np.frombuffer(longer, np.bool_),
        np.frombuffer(queries, "<f4").reshape(head.checks, width),
        np.frombuffer(documents, "<f4").reshape(head.checks, width),
    )


@functools.cache
def shipped() -> ShippedVectors | None:
    """The shipped vectors, None where the file is missing or damaged; the log says why."""
    try:
        return read_shipped()
    except ModelError as error:
        _log.warning("%s", error.message)
        return None
