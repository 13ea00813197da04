"""Plain .npy arrays of an index: written row after row, mapped when they are read.

A header of one size whatever the count of rows, so that a file can grow, and so that there is
one right header for a file of each size: a cut or altered one is seen at the first look.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.errors import IndexFault

_HEADER = 128


def open_array(
    path: Path, kind: str, columns: int | None, *, what: str, remedy: str
) -> NDArray[Any]:
    """The array of `path`, mapped, or made where there is nothing to map.

    kind: as numpy writes a dtype ("<u4"); columns: None for one dimension; what: the part of the
    index that an error names.

    Raises:
        IndexFault: the file is missing, cut, altered or not of this kind.
    """
    dtype = np.dtype(kind)
    width = dtype.itemsize * (columns or 1)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            rows = (size - _HEADER) // width
            # There is one right header for a file of this size; a cut file has another.
            if size < _HEADER or file.read(_HEADER) != _header(kind, columns, rows):
                raise IndexFault(f"{what} is damaged: {path.name} is cut or altered", remedy=remedy)
            shape = (rows,) if columns is None else (rows, columns)
            if size != _HEADER + rows * width:
                raise IndexFault(
                    f"{what} is damaged: {path.name} has bytes too many", remedy=remedy
                )
            if rows == 0:
                return np.empty(shape, dtype)
            mapped = np.memmap(file, dtype=dtype, mode="r", offset=_HEADER, shape=shape)
    except OSError as error:
        wrong = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise IndexFault(f"{what} is damaged: {path.name} {wrong}", remedy=remedy) from error
    # A plain view: slices of np.memmap itself cost far more than the slicing.
    return np.asarray(mapped)


def _header(kind: str, columns: int | None, rows: int) -> bytes:
    """The head of an .npy file of version 1.0, padded to one size whatever the count of rows."""
    shape = f"({rows},)" if columns is None else f"({rows}, {columns})"
    facts = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    text = facts.encode("ascii").ljust(_HEADER - 11) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


class GrowingArray:
    """An .npy file that grows: rows are appended, the header is set right at the end.

    It is written beside `path`; `finish` flushes it to disk and renames it into place. Left
    through an exception, nothing stays.
    """

    def __init__(self, path: Path, kind: str, columns: int | None = None) -> None:
        self._kind, self._columns = kind, columns
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
