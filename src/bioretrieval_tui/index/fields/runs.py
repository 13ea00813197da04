"""Values on their way to an index: gathered in memory up to a budget, then one sorted run.

A run is a folder with the arrays of `arrays.py`, its labels counted from that of its first row,
and `fields.json`, which says how many values each field has.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.index.fields.arrays import SHAPES, compared, encoded, key_of, new_file
from bioretrieval_tui.index.fields.reading import (
    MOST_EXTRAS,
    MOST_VALUES,
    is_extra,
    pairs,
    when,
)

BUDGET = 64 * 2**20
"""Bytes that a run takes up in memory, about, before it goes to disk."""

COUNTS = "fields.json"
_POSTING_BYTES = 60  # 4 in the buffer; owner, code, key, sorted keys and order while written
_VALUE_BYTES = 600  # a text and its number; its bytes and forms while the run is written


@dataclass(frozen=True, slots=True)
class Run:
    """A run on disk: its folder and the label of its first row."""

    folder: Path
    first: int


class RunWriter:
    """Takes documents in order of their labels and leaves sorted runs in `folder`."""

    def __init__(self, folder: Path, first: int, *, budget: int = BUDGET) -> None:
        """`first`: the label of the first row; `folder` is made."""
        self._folder = folder
        self._budget = budget
        self._first = first
        self._extras: set[str] = set()
        self.left_out: set[str] = set()
        """Keys with too many values to be fields."""
        self.full = False
        """Whether there were more keys than are looked at."""
        self._runs: list[Run] = []
        self._clear()
        folder.mkdir(parents=True)

    def _clear(self) -> None:
        self._fields: dict[str, dict[str, int]] = {}
        self._values = 0
        self._codes = array("I")
        self._counts = array("I")
        self._dates = array("i")
        self._used = 0

    def add(self, document: Document | None) -> None:
        """The next row; None for one that is dead.

        Raises:
            OSError: a run was due and could not be written.
        """
        before = len(self._codes)
        if document is None:
            self._dates.extend((-1, -1))
        else:
            self._dates.extend(when(document))
            for field, text in pairs(document):
                code = self._code(field, text)
                if code is not None:
                    self._codes.append(code)
        self._counts.append(len(self._codes) - before)
        self._used += (len(self._codes) - before) * _POSTING_BYTES
        if self._used >= self._budget:
            self._flush()

    def finish(self) -> list[Run]:
        """Write what is left; all runs in order of their labels. Raises OSError."""
        if self._counts:
            self._flush()
        return self._runs

    def _code(self, field: str, text: str) -> int | None:
        """The number of a value within this run, in the order of coming; None: left out."""
        values = self._fields.get(field)
        if values is None:
            if is_extra(field):
                if field in self.left_out:
                    return None
                if field not in self._extras:
                    if len(self._extras) == MOST_EXTRAS:
                        self.full = True
                        return None
                    self._extras.add(field)
            values = self._fields[field] = {}
        code = values.get(text)
        if code is None:
            if len(values) >= MOST_VALUES and is_extra(field):
                self.left_out.add(field)
                # Its codes stay in the buffer until the run is written, and go then.
                del self._fields[field]
                return None
            code = values[text] = self._values
            self._values += 1
            self._used += _VALUE_BYTES + 2 * len(text)
        return code

    def _flush(self) -> None:
        folder = self._folder / f"run-{self._first:010d}"
        folder.mkdir()
        names = sorted(name for name, values in self._fields.items() if values)
        ranks = np.full(self._values, -1, dtype=np.int64)
        total = 0
        parts: dict[str, list[bytes]] = {"values": [], "forms": []}
        keys: list[int] = []
        for name in names:
            values = self._fields[name]
            for text in sorted(values, key=encoded):
                ranks[values[text]] = total
                total += 1
                parts["values"].append(encoded(text))
                parts["forms"].append(compared(text))
                keys.append(key_of(text))
        rows = len(self._counts)
        counts = np.frombuffer(self._counts, dtype=np.uint32)
        codes = ranks[np.frombuffer(self._codes, dtype=np.uint32)]
        owners = np.repeat(np.arange(rows, dtype=np.int64), counts)
        # One integer a posting, so that one sort orders all and shows what came twice.
        joined = np.unique((owners * max(1, total) + codes)[codes >= 0])
        owners, codes = joined // max(1, total), joined % max(1, total)
        order = np.argsort(codes, kind="stable")
        arrays: dict[str, NDArray[Any]] = {
            "keys": np.array(keys, dtype=np.uint64),
            "codes": codes,
            "code_starts": np.searchsorted(owners, np.arange(rows + 1)),
            "labels": owners[order],
            "label_starts": np.searchsorted(codes[order], np.arange(total + 1)),
            "dates": np.frombuffer(self._dates, dtype=np.int32).reshape(-1, 2),
        }
        for name, start in (("values", "value_starts"), ("forms", "form_starts")):
            sizes = np.fromiter(map(len, parts[name]), np.int64, total)
            arrays[name] = np.frombuffer(b"".join(parts[name]), dtype=np.uint8)
            arrays[start] = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
        for name in SHAPES:
            with new_file(folder, name) as file:
                file.append(arrays[name])
                file.finish()
        sizes_of = {name: len(self._fields[name]) for name in names}
        (folder / COUNTS).write_bytes(msgspec.json.encode(sizes_of))
        self._runs.append(Run(folder, self._first))
        self._first += rows
        self._clear()


def counts_of(run: Run) -> dict[str, int]:
    """Distinct values of each field of a run, in the order of their names."""
    return msgspec.json.decode((run.folder / COUNTS).read_bytes(), type=dict[str, int])
