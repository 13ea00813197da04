"""The files of the fields of an index, and of each run that goes into them: plain .npy arrays.

A value is a text of one field; it has a code, its place in the order of all values, first by the
name of its field and then by its bytes. So the values of a field are one range of codes.

    values        uint8  (B,)    UTF-8 of all values, strung together
    value_starts  int64  (V+1,)  value i: values[value_starts[i]:value_starts[i + 1]]
    forms         uint8  (C,)    UTF-8 of each value as it is compared: its forms, each after a \\n
    form_starts   int64  (V+1,)
    keys          uint64 (V,)    hash of each value as `=` compares it
    labels        uint32 (P,)    the documents of each value, ascending
    label_starts  int64  (V+1,)
    codes         uint32 (P,)    the values of each document, ascending
    code_starts   int64  (N+1,)
    dates         int32  (N, 2)  year; date as YYYYMMDD, 0 for unknown parts; -1: not known, or dead

They are read through memory maps; nothing here holds a whole file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.arrays import GrowingArray, open_array
from bioretrieval_tui.util.folding import equal_key, forms

WHAT = "the index of the fields"
MAX_CODES = 2**32 - 1

SHAPES: dict[str, tuple[str, int | None]] = {
    "values": ("|u1", None),
    "value_starts": ("<i8", None),
    "forms": ("|u1", None),
    "form_starts": ("<i8", None),
    "keys": ("<u8", None),
    "labels": ("<u4", None),
    "label_starts": ("<i8", None),
    "codes": ("<u4", None),
    "code_starts": ("<i8", None),
    "dates": ("<i4", 2),
}


@dataclass(frozen=True, slots=True)
class Arrays:
    """The arrays of one folder; see the head of this module."""

    values: NDArray[np.uint8]
    value_starts: NDArray[np.int64]
    forms: NDArray[np.uint8]
    form_starts: NDArray[np.int64]
    keys: NDArray[np.uint64]
    labels: NDArray[np.uint32]
    label_starts: NDArray[np.int64]
    codes: NDArray[np.uint32]
    code_starts: NDArray[np.int64]
    dates: NDArray[np.int32]


def open_arrays(folder: Path, *, remedy: str) -> Arrays:
    """The arrays of `folder`, mapped, checked as far as a look at their ends allows.

    What lies between the ends is for whoever reads it.

    Raises:
        IndexFault: a file is missing, cut, or does not fit its neighbours.
    """
    found = Arrays(
        **{
            name: open_array(folder / f"{name}.npy", *shape, what=WHAT, remedy=remedy)
            for name, shape in SHAPES.items()
        }
    )
    values, rows = len(found.keys), len(found.dates)
    for name, starts, count, end in (
        ("value_starts", found.value_starts, values, len(found.values)),
        ("form_starts", found.form_starts, values, len(found.forms)),
        ("label_starts", found.label_starts, values, len(found.labels)),
        ("code_starts", found.code_starts, rows, len(found.codes)),
    ):
        if len(starts) != count + 1 or starts[0] != 0 or starts[-1] != end:
            raise damaged(f"{name}.npy does not fit its neighbours", remedy)
    if len(found.codes) != len(found.labels):
        raise damaged("codes.npy does not fit labels.npy", remedy)
    return found


def damaged(problem: str, remedy: str) -> IndexFault:
    """The error of files that cannot be answered from."""
    return IndexFault(f"{WHAT} is damaged: {problem}", remedy=remedy)


def new_file(folder: Path, name: str) -> GrowingArray:
    """One of the files, to be written."""
    return GrowingArray(folder / f"{name}.npy", *SHAPES[name])


def encoded(text: str) -> bytes:
    """A value's bytes; their order is that of the values."""
    return text.encode("utf-8", "surrogatepass")


def compared(text: str) -> bytes:
    """The forms of a value, each behind a line break, which no form holds."""
    return encoded("\n".join(("", *forms(text, inner=True))))


def key_of(text: str) -> int:
    """The 64 bits that stand for a value where `=` compares it."""
    digest = hashlib.blake2b(encoded(equal_key(text)), digest_size=8).digest()
    return int.from_bytes(digest, "little")
