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
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.arrays import GrowingArray, open_array

FILES = ("terms.npy", "offsets.npy", "documents.npy", "frequencies.npy", "lengths.npy")
"""Names of the files, in the order in which they are written."""

DEAD = np.uint32(0xFFFFFFFF)
MAX_FREQUENCY = 255
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
    loaded = {
        name: open_array(folder / f"{name}.npy", *shape, what="the lexical index", remedy=remedy)
        for name, shape in _SHAPES.items()
    }
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


class ArrayFile(GrowingArray):
    """One of the files of this module, as it grows."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, *_SHAPES[path.stem])


def write_array(path: Path, chunks: Iterable[NDArray[Any]]) -> None:
    """Write one array, chunk after chunk, atomically.

    Raises:
        OSError: the disk is full or gone; `path` is untouched.
    """
    with ArrayFile(path) as file:
        for chunk in chunks:
            file.append(chunk)
        file.finish()
