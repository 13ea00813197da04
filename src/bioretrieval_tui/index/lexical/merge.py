"""Many sorted runs, and the index that was there before, made into one index.

The work goes by ranges of hashes small enough for memory. Labels ascend from the base to the
last run, so the postings of a term are simply strung together. Documents that died are left out
of everything, hence every statistic is what a build without them would give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.lexical.analysis import ANALYSER
from bioretrieval_tui.index.lexical.arrays import (
    DEAD,
    FILES,
    MAX_LABELS,
    ArrayFile,
    Arrays,
    open_arrays,
)
from bioretrieval_tui.index.lexical.facts import LexicalFacts

RANGE = 2_000_000
"""Postings that are merged at a time."""

_ROWS = 1_000_000
_REMEDY = "build the index again"


@dataclass(frozen=True, slots=True)
class _Source:
    """A run or the base: its arrays and the label of its first row of lengths."""

    arrays: Arrays
    first: int

    @property
    def beyond(self) -> int:
        return self.first + len(self.arrays.lengths)


@dataclass(frozen=True, slots=True)
class _Slice:
    """Postings of some neighbouring terms: `counts` of them a term."""

    terms: NDArray[np.uint64]
    counts: NDArray[np.int64]
    documents: NDArray[np.uint32]
    frequencies: NDArray[np.uint8]


def write_index(
    out: Path,
    runs: Sequence[Path],
    *,
    base: Path | None,
    dead: NDArray[np.int64],
    total: int,
    postings_at_once: int = RANGE,
) -> LexicalFacts:
    """Merge `base` (an index of this module) and `runs` into the folder `out`.

    `dead`: labels to leave out, in any order; `total`: labels in all. Labels that neither base
    nor runs have count as dead. Peak memory: one byte a label and about 40 bytes for each of
    `postings_at_once`, however long the postings of a single term are.

    Raises:
        IndexFault: the base or a run is damaged, or they overlap.
        ValueError: a label is not below `total`; the caller's defect.
        OSError: the disk is full; files of `out` that were there are replaced one by one, so
            write into a fresh folder.
    """
    if not 0 <= total <= MAX_LABELS:
        raise ValueError(f"{total} labels do not fit 32 bits")
    sources = _sources(runs, base, total)
    if len(dead) and (int(dead.min()) < 0 or int(dead.max()) >= total):
        raise ValueError(f"a dead label is not below {total}")
    alive = np.zeros(total, dtype=np.bool_)
    for source in sources:
        for start, rows in _lengths(source):
            alive[start : start + len(rows)] = rows[:, 0] != DEAD
    alive[dead] = False
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = {name: stack.enter_context(ArrayFile(out / name)) for name in FILES}
        sums = _write_lengths(files["lengths.npy"], sources, alive)
        _write_postings(files, sources, alive, postings_at_once)
        for file in files.values():
            file.finish()
    count = int(np.count_nonzero(alive))
    return LexicalFacts(
        analyser=ANALYSER,
        labels=total,
        documents=count,
        terms=files["terms.npy"].rows,
        postings=files["documents.npy"].rows,
        title_length=sums[0] / count if count else 0.0,
        text_length=sums[1] / count if count else 0.0,
    )


def _sources(runs: Sequence[Path], base: Path | None, total: int) -> list[_Source]:
    """Base and runs, opened, in order of their labels."""
    sources = [] if base is None else [_Source(open_arrays(base, remedy=_REMEDY), 0)]
    ordered = sorted(runs, key=_first_label)
    sources += [_Source(open_arrays(run, remedy=_REMEDY), _first_label(run)) for run in ordered]
    for before, after in pairwise(sources):
        if before.beyond > after.first:
            raise IndexFault(f"labels from {after.first} are indexed twice", remedy=_REMEDY)
    if sources and sources[-1].beyond > total:
        raise ValueError(f"label {sources[-1].beyond - 1} where {total} labels are announced")
    return sources


def _first_label(run: Path) -> int:
    digits = run.name.removeprefix("run-")
    if not (digits.isascii() and digits.isdigit()):
        raise IndexFault(f"{run.name} is not the name of a run", remedy=_REMEDY)
    return int(digits)


def _lengths(source: _Source) -> Iterator[tuple[int, NDArray[np.uint32]]]:
    """The lengths of a source in pieces, each with the label of its first row."""
    for row in range(0, len(source.arrays.lengths), _ROWS):
        yield source.first + row, source.arrays.lengths[row : row + _ROWS]


def _write_lengths(
    file: ArrayFile, sources: Sequence[_Source], alive: NDArray[np.bool_]
) -> tuple[int, int]:
    """Write one row a label; the sums of both columns over those alive."""
    titles = texts = 0
    for source in sources:
        _write_dead(file, source.first - file.rows)
        for start, rows in _lengths(source):
            kept = rows.copy()
            living = alive[start : start + len(rows)]
            kept[~living] = DEAD
            titles += int(rows[living, 0].sum(dtype=np.uint64))
            texts += int(rows[living, 1].sum(dtype=np.uint64))
            file.append(kept)
    _write_dead(file, len(alive) - file.rows)
    return titles, texts


def _write_dead(file: ArrayFile, count: int) -> None:
    for row in range(0, count, _ROWS):
        file.append(np.full((min(_ROWS, count - row), 2), DEAD, dtype=np.uint32))


def _write_postings(
    files: dict[str, ArrayFile],
    sources: Sequence[_Source],
    alive: NDArray[np.bool_],
    at_once: int,
) -> None:
    """Write terms, offsets, documents and frequencies, one range of hashes after another."""
    written = 0
    files["offsets.npy"].append(np.zeros(1, dtype=np.int64))
    for bounds in _ranges([source.arrays for source in sources], at_once):
        terms = _terms_between(sources, bounds)
        if len(terms) == 1:
            # One term, perhaps of every document: strung together piece by piece.
            counts = np.zeros(1, dtype=np.int64)
            for part in _pieces(sources, bounds, alive, at_once):
                files["documents.npy"].append(part.documents)
                files["frequencies.npy"].append(part.frequencies)
                counts += len(part.documents)
        else:
            merged = _merge(terms, list(_pieces(sources, bounds, alive, at_once)))
            files["documents.npy"].append(merged.documents)
            files["frequencies.npy"].append(merged.frequencies)
            counts = merged.counts
        kept = counts > 0
        files["terms.npy"].append(terms[kept])
        files["offsets.npy"].append(written + np.cumsum(counts[kept]))
        written += int(counts.sum())


_Bounds = list[tuple[int, int]]


def _ranges(sources: Sequence[Arrays], at_once: int) -> Iterator[_Bounds]:
    """For each range of hashes the places [from, to) in every source's terms, in order.

    A range has at most `at_once` postings or only one term; empty ranges are left out.
    """
    whole = [(0, len(source.terms)) for source in sources]
    pending: list[tuple[int, int, _Bounds]] = [(0, 2**64, whole)]
    while pending:
        low, high, bounds = pending.pop()
        size = sum(
            int(source.offsets[end] - source.offsets[start])
            for source, (start, end) in zip(sources, bounds, strict=True)
        )
        if size == 0:
            continue
        if size <= at_once or high - low == 1:
            yield bounds
            continue
        middle = (low + high) // 2
        cuts = [
            start + int(np.searchsorted(source.terms[start:end], np.uint64(middle)))
            for source, (start, end) in zip(sources, bounds, strict=True)
        ]
        both = list(zip(bounds, cuts, strict=True))
        pending.append((middle, high, [(cut, end) for (_, end), cut in both]))
        pending.append((low, middle, [(start, cut) for (start, _), cut in both]))


def _terms_between(sources: Sequence[_Source], bounds: _Bounds) -> NDArray[np.uint64]:
    parts = [
        source.arrays.terms[start:end] for source, (start, end) in zip(sources, bounds, strict=True)
    ]
    return np.unique(np.concatenate(parts))


def _pieces(
    sources: Sequence[_Source], bounds: _Bounds, alive: NDArray[np.bool_], at_once: int
) -> Iterator[_Slice]:
    """What is alive within `bounds`, source after source, at most `at_once` postings a piece
    where there is one term."""
    for source, (start, end) in zip(sources, bounds, strict=True):
        if start == end:
            continue
        arrays = source.arrays
        first, last = int(arrays.offsets[start]), int(arrays.offsets[end])
        step = at_once if end - start == 1 else last - first
        for place in range(first, last, step):
            until = min(last, place + step)
            documents = arrays.documents[place:until]
            if int(documents.min()) < source.first or int(documents.max()) >= source.beyond:
                raise IndexFault(
                    "the lexical index is damaged: documents.npy names labels out of range",
                    remedy=_REMEDY,
                )
            living = alive[documents]
            sizes = (
                np.diff(arrays.offsets[start : end + 1])
                if end - start > 1
                else np.array([until - place], dtype=np.int64)
            )
            owners = np.repeat(np.arange(end - start), sizes)
            counts = np.bincount(owners[living], minlength=end - start).astype(np.int64)
            yield _Slice(
                arrays.terms[start:end],
                counts,
                documents[living],
                arrays.frequencies[place:until][living],
            )


def _merge(terms: NDArray[np.uint64], parts: Sequence[_Slice]) -> _Slice:
    """The parts' postings by term, within a term in the order of the parts."""
    owners = np.searchsorted(terms, np.concatenate([part.terms for part in parts]))
    counts = np.concatenate([part.counts for part in parts])
    starts = np.cumsum(counts) - counts
    order = np.argsort(owners, kind="stable")
    sizes = counts[order]
    ends = np.cumsum(sizes)
    total = int(ends[-1])
    # Posting i of the result is posting (i - where its block begins) of that block's source.
    gather = np.arange(total) + np.repeat(starts[order] - (ends - sizes), sizes)
    documents = np.concatenate([part.documents for part in parts])[gather]
    frequencies = np.concatenate([part.frequencies for part in parts])[gather]
    summed = np.bincount(owners, weights=counts, minlength=len(terms)).astype(np.int64)
    return _Slice(terms, summed, documents, frequencies)
