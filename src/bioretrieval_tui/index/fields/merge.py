"""Sorted runs, and the fields of the index that was there before, made into one.

Values are merged field by field, in their order; what a value's documents are is strung together
by ranges of values small enough for memory, since labels ascend from the base to the last run.
Values that only dead documents have are left out, as are keys with too many values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.index.arrays import GrowingArray
from bioretrieval_tui.index.fields.arrays import (
    MAX_CODES,
    SHAPES,
    damaged,
    new_file,
    open_arrays,
)
from bioretrieval_tui.index.fields.facts import VERSION, FieldFacts, FieldsFacts
from bioretrieval_tui.index.fields.reading import MOST_EXTRAS, MOST_VALUES, is_extra
from bioretrieval_tui.index.fields.runs import Run, counts_of
from bioretrieval_tui.index.fields.values import RANGE, Merged, Source, ValueWriter, living

_ROWS = 50_000
REMEDY = "build the index again"


@dataclass(frozen=True, slots=True)
class Extras:
    """Which keys of new documents are fields: those that are not, and whether there were more
    keys than were looked at."""

    left_out: frozenset[str] = frozenset()
    full: bool = False


def write_fields(
    out: Path,
    runs: Sequence[Run],
    extras: Extras,
    *,
    base: tuple[Path, FieldsFacts] | None,
    dead: NDArray[np.int64],
    total: int,
) -> FieldsFacts:
    """Merge `base` (an index of this module) and `runs` into the new folder `out`.

    `dead`: labels to leave out; `total`: labels in all, each of which base or runs have. Peak
    memory: a byte a label and about 60 bytes for each of `RANGE` postings.

    Raises:
        IndexFault: the base is damaged. OSError: the disk is full.
    """
    sources = _sources(runs, base)
    if sum(len(source.arrays.dates) for source in sources) != total:
        raise damaged(f"it does not hold {total:,} documents", REMEDY)
    alive = np.ones(total, dtype=np.bool_)
    alive[dead] = False
    out.mkdir()
    try:
        names, extras = _kept(sources, extras, None if base is None else base[1], alive)
        with ExitStack() as stack:
            _open_codes(out, sources)
            files = {name: stack.enter_context(new_file(out, name)) for name in SHAPES}
            writer = ValueWriter(files)
            merged = [writer.field(name, sources, alive) for name in names]
            if files["keys"].rows > MAX_CODES:
                raise damaged("it would have too many values", REMEDY)
            for one in merged:
                _write_labels(files["labels"], one, sources, alive)
            firsts = np.array([one.first for one in merged], dtype=np.int64)
            documents = _write_codes(files, sources, alive, firsts)
            dated = _write_dates(files["dates"], sources, alive)
            for file in files.values():
                file.finish()
    except (IndexError, ValueError) as error:
        # Nothing of ours is out of range, so something of the base is.
        raise damaged("its files do not fit one another", REMEDY) from error
    finally:
        for path in out.glob("*.codes"):
            path.unlink()
    return FieldsFacts(
        version=VERSION,
        labels=total,
        fields=tuple(
            FieldFacts(one.field, one.end - one.first, one.postings, int(count))
            for one, count in zip(merged, documents, strict=True)
        ),
        dated=dated,
        left_out=tuple(sorted(extras.left_out)),
        full=extras.full,
    )


def spans_of(counts: Sequence[tuple[str, int]]) -> dict[str, tuple[int, int]]:
    """For each field the codes of its values, from and to."""
    spans = {}
    first = 0
    for name, count in counts:
        spans[name] = (first, first + count)
        first += count
    return spans


def _sources(runs: Sequence[Run], base: tuple[Path, FieldsFacts] | None) -> list[Source]:
    sources = []
    if base is not None:
        folder, facts = base
        counts = [(one.name, one.values) for one in facts.fields]
        sources.append(Source(open_arrays(folder, remedy=REMEDY), 0, spans_of(counts)))
    for run in runs:
        counts = list(counts_of(run).items())
        sources.append(Source(open_arrays(run.folder, remedy=REMEDY), run.first, spans_of(counts)))
    return sources


def _open_codes(out: Path, sources: Sequence[Source]) -> None:
    """A place on disk for what each code of a source becomes; there may be more than memory."""
    for number, source in enumerate(sources):
        count = len(source.arrays.keys)
        if count == 0:
            source.codes = np.zeros(0, dtype=np.int64)
            continue
        path = out / f"{number}.codes"
        source.codes = np.memmap(path, dtype=np.int64, mode="w+", shape=(count,))
        source.codes[:] = -1


def _kept(
    sources: Sequence[Source],
    extras: Extras,
    base: FieldsFacts | None,
    alive: NDArray[np.bool_],
) -> tuple[list[str], Extras]:
    """The names of all fields of the index, sorted, and what is left out of it for good.

    A key of which any document was not looked at cannot be a field: it would answer wrongly.
    """
    known = {name for source in sources for name in source.spans}
    own = {name for name in known if is_extra(name)}
    out = set(extras.left_out)
    full = extras.full
    if base is not None:
        out |= set(base.left_out)
        full = full or base.full
        of_base = {one.name for one in base.fields}
        if base.full:
            own &= of_base
        if extras.full:
            own &= {name for source in sources if source.first for name in source.spans}
    own -= out
    for name in sorted(own):
        found: set[bytes] = set()
        for source in sources:
            if name in source.spans and len(found) <= MOST_VALUES:
                found.update(value for value, *_ in living(source, name, alive))
        if len(found) > MOST_VALUES:
            out.add(name)
    own -= out
    if len(own) > MOST_EXTRAS:
        full = True
        own = set(sorted(own)[:MOST_EXTRAS])
    standard = {name for name in known if not is_extra(name)}
    return sorted(standard | own), Extras(frozenset(out), full)


def _write_labels(
    file: GrowingArray, one: Merged, sources: Sequence[Source], alive: NDArray[np.bool_]
) -> None:
    """The documents of all values of a field, value after value."""
    place = one.first
    for until in one.cuts:
        if until - place == 1:
            # One value, perhaps of every document: strung together piece by piece.
            for _, labels in _postings(one, sources, place, until, RANGE):
                file.append(labels[alive[labels]])
        else:
            pieces = list(_postings(one, sources, place, until, None))
            if pieces:
                codes = np.concatenate([piece[0] for piece in pieces])
                labels = np.concatenate([piece[1] for piece in pieces])
                kept = alive[labels]
                order = np.argsort(codes[kept], kind="stable")
                file.append(labels[kept][order])
        place = until


def _postings(
    one: Merged, sources: Sequence[Source], low: int, high: int, most: int | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Codes (of the index) and labels of the values from `low` to below `high`, dead ones too,
    source after source, at most `most` at a time."""
    for source in sources:
        if one.field not in source.spans:
            continue
        begin, end = source.spans[one.field]
        mine = source.codes[begin:end]
        start, stop = (begin + int(np.searchsorted(mine, bound)) for bound in (low, high))
        starts = source.arrays.label_starts[start : stop + 1]
        first, last = int(starts[0]), int(starts[-1])
        step = most or max(1, last - first)
        for at in range(first, last, step):
            until = min(last, at + step)
            labels = source.arrays.labels[at:until].astype(np.int64) + source.first
            if most is None:
                yield np.repeat(np.asarray(source.codes[start:stop]), np.diff(starts)), labels
            else:
                yield np.zeros(0, dtype=np.int64), labels


def _write_codes(
    files: dict[str, GrowingArray],
    sources: Sequence[Source],
    alive: NDArray[np.bool_],
    firsts: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The values of each document; and how many documents have a value of each field."""
    documents = np.zeros(len(firsts), dtype=np.int64)
    files["code_starts"].append(np.zeros(1, dtype=np.int64))
    written = 0
    for source in sources:
        arrays = source.arrays
        for row in range(0, len(arrays.dates), _ROWS):
            starts = arrays.code_starts[row : row + _ROWS + 1]
            rows = len(starts) - 1
            owners = np.repeat(np.arange(rows), np.diff(starts))
            codes = source.codes[arrays.codes[int(starts[0]) : int(starts[-1])]]
            kept = alive[source.first + row : source.first + row + rows][owners] & (codes >= 0)
            owners, codes = owners[kept], codes[kept]
            files["codes"].append(codes)
            counts = np.bincount(owners, minlength=rows)
            files["code_starts"].append(written + np.cumsum(counts))
            written += len(codes)
            if len(codes):
                # Codes ascend within a document, so that those of a field stand together.
                fields = np.searchsorted(firsts, codes, side="right") - 1
                begins = np.ones(len(codes), dtype=np.bool_)
                begins[1:] = (fields[1:] != fields[:-1]) | (owners[1:] != owners[:-1])
                documents += np.bincount(fields[begins], minlength=len(firsts))
    return documents


def _write_dates(file: GrowingArray, sources: Sequence[Source], alive: NDArray[np.bool_]) -> int:
    """Year and date of each document; how many have a year."""
    dated = 0
    for source in sources:
        for row in range(0, len(source.arrays.dates), _ROWS):
            dates = source.arrays.dates[row : row + _ROWS].copy()
            dates[~alive[source.first + row : source.first + row + len(dates)]] = -1
            dated += int(np.count_nonzero(dates[:, 0] >= 0))
            file.append(dates)
    return dated
