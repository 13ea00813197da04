"""The files of a lexical index, and of each run that goes into one: five plain .npy arrays.

    terms         uint64 (T,)    hashes of the terms, strictly ascending
    offsets       int64  (T+1,)  postings of term i: offsets[i] to offsets[i + 1], never none
    documents     uint32 (P,)    labels, strictly ascending within a term
    frequencies   uint8  (P, 2)  times in title and text; 255 means "255 or more"
    lengths       uint32 (N, 2)  terms of title and text of each label; `DEAD` in both: none

They are read through memory maps; nothing here holds a whole file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.errors import IndexFault

FILES = ("terms.npy", "offsets.npy", "documents.npy", "frequencies.npy", "lengths.npy")
"""Names of the files, in the order in which they are written."""

DEAD = np.uint32(0xFFFFFFFF)
MAX_FREQUENCY = 255
_HEADER = 128
MAX_LABELS = 2**32 - 1

_SHAPES: dict[str, tuple[str, int | None]] = {
    "terms": ("<u8", None),
    "offsets": ("<i8", None),
    "documents": ("<u4", None),
    "frequencies": ("|u1", 2),
    "lengths": ("<u4", 2),
}


def term_hash(term: str) -> int:
    """The 64 bits that stand for a term, the same on every machine."""
    data = term.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


@dataclass(frozen=True, slots=True)
class Arrays:
    """The five arrays of one folder; see the head of this module."""

    terms: NDArray[np.uint64]
    offsets: NDArray[np.int64]
    documents: NDArray[np.uint32]
    frequencies: NDArray[np.uint8]
    lengths: NDArray[np.uint32]

    def find(self, hashed: int) -> int | None:
        """The place of a term, or None where no document has it."""
        if not len(self.terms):
            return None
        place = int(np.searchsorted(self.terms, np.uint64(hashed)))
        found = place < len(self.terms) and int(self.terms[place]) == hashed
        return place if found else None


def open_arrays(folder: Path, *, remedy: str) -> Arrays:
    """The arrays of `folder`, mapped rather than read, checked as far as one look allows.

    Looked at: types, shapes, that they agree with one another, that terms ascend and offsets
    never run backwards or out. What stands in the postings is for whoever reads them.

    Raises:
        IndexFault: a file is missing, cut, or not what it should be; `remedy` goes with it.
    """
    loaded = {name: _open(folder / f"{name}.npy", *shape, remedy) for name, shape in
              _SHAPES.items()}  # fmt: skip
    terms, offsets = loaded["terms"], loaded["offsets"]
    postings = len(loaded["documents"])
    problem = None
    if len(offsets) != len(terms) + 1 or offsets[0] != 0 or offsets[-1] != postings:
        problem = "offsets.npy does not fit its neighbours"
    elif not np.all(offsets[1:] > offsets[:-1]):
        problem = "offsets.npy runs backwards"
    elif not np.all(terms[1:] > terms[:-1]):
        problem = "terms.npy is out of order"
    elif len(loaded["frequencies"]) != postings:
        problem = "frequencies.npy does not fit documents.npy"
    elif len(loaded["lengths"]) > MAX_LABELS:
        problem = "lengths.npy has too many rows"
    if problem:
        raise IndexFault(f"the lexical index is damaged: {problem}", remedy=remedy)
    return Arrays(**loaded)


def _open(path: Path, kind: str, columns: int | None, remedy: str) -> NDArray[Any]:
    """One array: mapped, or made where there is nothing to map."""
    dtype = np.dtype(kind)
    width = dtype.itemsize * (columns or 1)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            rows = (size - _HEADER) // width
            # There is one right header for a file of this size; a cut file has another.
            if size < _HEADER or file.read(_HEADER) != _header(kind, columns, rows):
                raise IndexFault(
                    f"the lexical index is damaged: {path.name} is cut or altered", remedy=remedy
                )
            shape = (rows,) if columns is None else (rows, columns)
            if size != _HEADER + rows * width:
                raise IndexFault(
                    f"the lexical index is damaged: {path.name} has bytes too many", remedy=remedy
                )
            if rows == 0:
                return np.empty(shape, dtype)
            mapped = np.memmap(file, dtype=dtype, mode="r", offset=_HEADER, shape=shape)
    except OSError as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise IndexFault(
            f"the lexical index is damaged: {path.name} {what}", remedy=remedy
        ) from error
    # A plain view: slices of np.memmap itself cost far more than the slicing.
    return np.asarray(mapped)


def _header(kind: str, columns: int | None, rows: int) -> bytes:
    """The head of an .npy file of version 1.0, padded to one size whatever the count of rows."""
    shape = f"({rows},)" if columns is None else f"({rows}, {columns})"
    facts = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    text = facts.encode("ascii").ljust(_HEADER - 11) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


class ArrayFile:
    """An .npy file that grows: rows are appended, the header is set right at the end.

    It is written beside `path`; `finish` flushes it to disk and renames it into place. Left
    through an exception, nothing stays.
    """

    def __init__(self, path: Path) -> None:
        self._kind, self._columns = _SHAPES[path.stem]
        self._path = path
        self._beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self.rows = 0
        self._file: BinaryIO = self._beside.open("wb")
        self._file.write(_header(self._kind, self._columns, 0))

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows at the end.

        Raises:
            OSError: the disk is full or gone.
        """
        self._file.write(np.ascontiguousarray(rows, dtype=self._kind).data)
        self.rows += len(rows)

    def finish(self) -> None:
        """Set the header right, flush to disk, rename into place.

        Raises:
            OSError: the disk is full or gone; `path` is untouched.
        """
        self._file.seek(0)
        self._file.write(_header(self._kind, self._columns, self.rows))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._beside.replace(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._file.close()
        self._beside.unlink(missing_ok=True)


def write_array(path: Path, chunks: Iterable[NDArray[Any]]) -> None:
    """Write one array, chunk after chunk, atomically.

    Raises:
        OSError: the disk is full or gone; `path` is untouched.
    """
    with ArrayFile(path) as file:
        for chunk in chunks:
            file.append(chunk)
        file.finish()
