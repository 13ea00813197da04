"""Published scores beside a run: the catalogue's benchmark that a folder is, its scores that a run
may be compared with, and the deviation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark as Entry
from bioretrieval_tui.catalog.models import Model, Result
from bioretrieval_tui.evaluation.metrics import MAIN
from bioretrieval_tui.evaluation.records import GIVEN

TOLERATED = 0.01
"""Deviation from a published score above which a run is marked."""
_SHOWN = 3
"""Best published scores shown for a run without one to compare with."""
_SPLIT = "test"
_LEXICAL = ("bm25-multifield", "bm25-flat", "bm25s")
"""Entries to compare the app's BM25 with; the first has fields for title and text, too."""
_OF_THE_RESULT = ("model", "metric", "value", "source", "status", "zero_shot", "note")
"""Fields of a reference that are copied from the catalogue's result."""


class Match(msgspec.Struct, frozen=True):
    """The catalogue's benchmark that a folder is. fits: the numbers of queries and documents are
    the catalogue's, so that scores can be compared; note: why not."""

    entry: Entry
    fits: bool
    note: str | None = None


class Reference(msgspec.Struct, frozen=True):
    """One published score beside a run. model, name: the model's catalogue id and name; deviation:
    the run's value minus the published one, None where the score is for orientation only; marked:
    its absolute value is over `TOLERATED`."""

    model: str
    name: str
    metric: str
    value: float
    source: str
    status: str
    zero_shot: bool | None
    note: str | None
    deviation: float | None = None
    marked: bool = False


def match_benchmark(
    catalogue: Catalogue, name: str, split: str, queries: int, documents: int
) -> Match | None:
    """The benchmark in the folder `name`, found by its names in the catalogue and the loaders, else
    by its numbers of queries and documents; None where the catalogue has no such one."""
    entries = [entry for entry in catalogue.of_type(Entry) if entry.type == "set"]
    found = named_benchmark(catalogue, name)
    if found is None:
        same = [entry for entry in entries if _sizes(entry, split) == (queries, documents)]
        return Match(same[0], True) if len(same) == 1 else None
    if split != _SPLIT:
        return Match(found, False, f"published scores are of the split {_SPLIT}, not {split}")
    due = _sizes(found, split)
    if due == (queries, documents):
        return Match(found, True)
    counts = [f"{count:,}" if count is not None else "?" for count in due]
    note = f"{found.name} of the catalogue has {counts[0]} queries and {counts[1]} documents, this"
    note += f" folder {queries:,} and {documents:,}: published scores cannot be compared"
    return Match(found, False, note)


def named_benchmark(catalogue: Catalogue, name: str) -> Entry | None:
    """The benchmark that has this name in the catalogue or for a loader."""
    return _by_name(catalogue).get(_plain(name))


@lru_cache(maxsize=1)  # a dialog asks for every folder
def _by_name(catalogue: Catalogue) -> dict[str, Entry]:
    entries = [entry for entry in catalogue.of_type(Entry) if entry.type == "set"]
    return {name: entry for entry in reversed(entries) for name in _names(entry)}


def references(
    catalogue: Catalogue, match: Match | None, mode: str, model: str, value: float
) -> list[Reference]:
    """The published scores that a run can be compared with or, where there is none, the best of the
    benchmark without a deviation. mode: dense, and a run that was made elsewhere, are compared with
    the scores of `model` (a hub id), lexical with those of BM25; value: nDCG@10 of the run."""
    if match is None:
        return []
    known = [
        result
        for result in catalogue.results_of(match.entry.id)
        if result.benchmark == match.entry.id and result.metric == MAIN and result.subset is None
    ]
    wanted: Sequence[str] = ()
    if mode in ("dense", GIVEN):
        wanted = [entry.id for entry in catalogue.models if model in hub_names(entry)]
    elif mode == "lexical":
        wanted = _LEXICAL
    own = [result for result in known if result.model in wanted and result.comparable]
    if own and match.fits:
        own.sort(key=lambda result: wanted.index(result.model))
        return [_reference(catalogue, result, value - result.value) for result in own]
    ranked = [one for one in known if one.comparable and one.kind != "self-reported"]
    best = sorted(ranked, key=lambda one: -one.value)
    return [_reference(catalogue, result, None) for result in best[:_SHOWN]]


def _reference(catalogue: Catalogue, result: Result, deviation: float | None) -> Reference:
    same = {name: getattr(result, name) for name in _OF_THE_RESULT}
    # Without binary noise: 0.01 itself is tolerated.
    marked = deviation is not None and round(abs(deviation), 6) > TOLERATED
    name = catalogue.names.get(result.model, result.model)
    return Reference(name=name, deviation=deviation, marked=marked, **same)


def hub_names(entry: Model) -> set[str]:
    """All names of this model in indexes: hub ids, and the models of either side."""
    sides = entry.encoding and (entry.encoding.document, entry.encoding.query)
    named = {side.model for side in sides or () if side is not None and side.model}
    return {*entry.hub, *named}


def _sizes(entry: Entry, split: str) -> tuple[int | None, int | None]:
    return entry.splits.get(split, entry.queries), entry.documents


def _names(entry: Entry) -> set[str]:
    loaders = entry.loaders
    mteb, hub, ir_datasets = (
        [one.strip() for one in (ids or "").split(",")]
        for ids in (loaders.mteb, loaders.hub, loaders.ir_datasets)
    )
    named = [entry.id, entry.name, *mteb, *(path.rpartition("/")[2] for path in hub)]
    # beir/scifact/test is named scifact; nfcorpus without beir/ is another collection.
    named += [path.split("/")[1] for path in ir_datasets if path.startswith("beir/")]
    named.append((loaders.zip or "").rpartition("/")[2].removesuffix(".zip"))
    return {_plain(name) for name in named if name}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
