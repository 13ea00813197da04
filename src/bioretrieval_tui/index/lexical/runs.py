"""Postings on their way to an index: gathered in memory up to a budget, then one sorted run.

A run is a folder `run-<first label>` with the arrays of `arrays.py`, its lengths beginning at
its first label. It is renamed into place when it is whole, so what carries that name is sound.
"""

from __future__ import annotations

import os
import shutil
from array import array
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.index.lexical.analysis import chunks, terms_of
from bioretrieval_tui.index.lexical.arrays import (
    MAX_FREQUENCY,
    MAX_LABELS,
    term_hash,
    write_array,
)

BUDGET = 64 * 2**20
"""Bytes that a run takes up in memory, about, before it goes to disk."""

_TOKEN_BYTES = 20  # 4 in the buffer; a key of 8 and its sorted copy while the run is written
_TERM_BYTES = 500  # a term, its number, and the spellings that it was met in


class _Numbers(dict[str, tuple[int, ...]]):
    """The numbers, within this run, of the terms of each chunk."""

    def __init__(self) -> None:
        super().__init__()
        self.terms: dict[str, int] = {}

    def __missing__(self, chunk: str) -> tuple[int, ...]:
        terms = self.terms
        found = tuple([terms.setdefault(term, len(terms)) for term in terms_of(chunk)])
        # A chunk without end is no spelling that comes again.
        if len(chunk) <= 40:
            self[chunk] = found
        return found


class RunWriter:
    """Takes documents in order of their labels and leaves sorted runs in `folder`."""

    def __init__(self, folder: Path, *, budget: int = BUDGET) -> None:
        """`folder` is made; runs that are already there stay and are not looked at."""
        self._folder = folder
        self._budget = budget
        self._first = 0
        self._next: int | None = None
        self._written: list[Path] = []
        self._clear()
        folder.mkdir(parents=True, exist_ok=True)

    def _clear(self) -> None:
        self._numbers = _Numbers()
        self._tokens = array("i")
        self._lengths = array("I")

    def add(self, first_label: int, documents: Sequence[Document]) -> None:
        """Index `documents` under `first_label` and the labels after it.

        Raises:
            ValueError: `first_label` is not the one after the last; the caller's defect.
            OSError: a run was due and could not be written.
        """
        if self._next is not None and first_label != self._next:
            raise ValueError(f"label {first_label} where {self._next} is due")
        if first_label < 0 or first_label + len(documents) > MAX_LABELS:
            raise ValueError(f"labels from {first_label} do not fit 32 bits")
        if not self._lengths:
            self._first = first_label
        self._next = first_label
        number = self._numbers.__getitem__
        for document in documents:
            for field in (document.title, document.text):
                before = len(self._tokens)
                self._tokens.extend(chain.from_iterable(map(number, chunks(field))))
                self._lengths.append(len(self._tokens) - before)
            self._next += 1
            used = len(self._tokens) * _TOKEN_BYTES + len(self._numbers) * _TERM_BYTES
            if used >= self._budget:
                self._flush()
                number = self._numbers.__getitem__

    def finish(self) -> list[Path]:
        """Write what is left; all runs of this writer in order of their labels.

        Raises:
            OSError: the run could not be written.
        """
        if self._lengths:
            self._flush()
        return list(self._written)

    def _flush(self) -> None:
        """Write the documents so far as one run and begin the next."""
        lengths = np.frombuffer(self._lengths, dtype=np.uint32).reshape(-1, 2)
        terms, offsets, documents, frequencies = self._sorted(lengths)
        target = self._folder / f"run-{self._first:010d}"
        beside = self._folder / f".{target.name}.{os.getpid()}.tmp"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        try:
            write_array(beside / "terms.npy", [terms])
            write_array(beside / "offsets.npy", [offsets])
            write_array(beside / "documents.npy", [documents + np.uint32(self._first)])
            write_array(beside / "frequencies.npy", [frequencies])
            write_array(beside / "lengths.npy", [lengths])
            if target.exists():
                # Of an earlier attempt at the same labels.
                shutil.rmtree(target)
            beside.replace(target)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        self._written.append(target)
        self._first += len(lengths)
        self._clear()

    def _sorted(
        self, lengths: NDArray[np.uint32]
    ) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.uint32], NDArray[np.uint8]]:
        """Terms, offsets, documents (counted from 0) and frequencies of what was gathered."""
        known = self._numbers.terms
        hashes = np.fromiter((term_hash(term) for term in known), np.uint64, len(known))
        # Two terms of one hash become one term, here as in the merge.
        unique, ranks = np.unique(hashes, return_inverse=True)
        # One integer a token, so that one plain sort does it all: term, document, field.
        fields = len(lengths) * 2
        keys = ranks.astype(np.uint64)[np.frombuffer(self._tokens, dtype=np.int32)]
        keys *= np.uint64(fields)
        keys += np.repeat(np.arange(fields, dtype=np.uint64), lengths.reshape(-1))
        keys.sort()
        starts = _starts(keys)
        counts = np.diff(starts, append=len(keys))
        keys = keys[starts]
        in_text = (keys % np.uint64(2)).astype(np.intp)
        keys //= np.uint64(2)
        heads = _starts(keys)
        frequencies = np.zeros((len(heads), 2), dtype=np.uint8)
        posting = np.repeat(np.arange(len(heads)), np.diff(heads, append=len(keys)))
        frequencies[posting, in_text] = np.minimum(counts, MAX_FREQUENCY)
        keys = keys[heads]
        documents = (keys % np.uint64(max(1, len(lengths)))).astype(np.uint32)
        keys //= np.uint64(max(1, len(lengths)))
        offsets = np.searchsorted(keys, np.arange(len(unique) + 1, dtype=np.uint64))
        return unique, offsets.astype(np.int64), documents, frequencies


def _starts(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Where each run of equal keys begins."""
    if not len(keys):
        return np.zeros(0, dtype=np.int64)
    changes = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    return np.concatenate([np.zeros(1, dtype=np.int64), changes])
