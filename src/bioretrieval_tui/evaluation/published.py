"""Published figures beside one's own: which benchmark of the catalogue a folder is, which of its
figures a run may be compared with, and how far off it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark as Entry
from bioretrieval_tui.catalog.models import Model, Result
from bioretrieval_tui.evaluation.metrics import MAIN

TOLERATED = 0.01
"""A figure further from the published one than this is marked."""
_SHOWN = 3
"""Best published figures for a run that has none of its own."""
_SPLIT = "test"
_LEXICAL = ("bm25-multifield", "bm25-flat", "bm25s")
"""What our BM25 is compared with; the first has title and text as fields, as ours does."""


@dataclass(frozen=True, slots=True)
class Match:
    """The catalogue's benchmark that a folder is. `fits`: queries and documents are as many as
    the catalogue says, so that figures can be compared; `note`: why not."""

    entry: Entry
    fits: bool
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """One published figure beside a run.

    model, name: the model's catalogue id and name; deviation: our value minus the published one,
    None where the figure is there for orientation only; marked: the deviation is over
    `TOLERATED`, either way.
    """

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
    """The benchmark that a folder called `name` is, by the names that the catalogue and the
    loaders have for it, else by its numbers; None where it is none of the catalogue's."""
    entries = [entry for entry in catalogue.of_type(Entry) if entry.type == "set"]
    found = next((entry for entry in entries if _plain(name) in _names(entry)), None)
    if found is None:
        same = [entry for entry in entries if _sizes(entry, split) == (queries, documents)]
        return Match(same[0], True) if len(same) == 1 else None
    if split != _SPLIT:
        return Match(found, False, f"published figures are of the split {_SPLIT}, not {split}")
    due = _sizes(found, split)
    if due == (queries, documents):
        return Match(found, True)
    counts = [f"{count:,}" if count is not None else "?" for count in due]
    return Match(
        found,
        False,
        f"{found.name} of the catalogue has {counts[0]} queries and {counts[1]} documents, this"
        f" folder {queries:,} and {documents:,}: published figures cannot be compared",
    )


def references(
    catalogue: Catalogue, match: Match | None, mode: str, model: str, value: float
) -> list[Reference]:
    """The published figures for a run, best first, those that it can be compared with alone or,
    where there is none, the best of the benchmark without a deviation.

    mode: dense is compared with the figure of `model` (a hub id), lexical with the BM25 rows;
    value: nDCG@10 of the run.
    """
    if match is None:
        return []
    known = [
        result
        for result in catalogue.results_of(match.entry.id)
        if result.benchmark == match.entry.id and result.metric == MAIN and result.subset is None
    ]
    wanted: Sequence[str] = ()
    if mode == "dense":
        wanted = [entry.id for entry in catalogue.of_type(Model) if model in hub_names(entry)]
    elif mode == "lexical":
        wanted = _LEXICAL
    own = [result for result in known if result.model in wanted and result.comparable]
    if own and match.fits:
        own.sort(key=lambda result: wanted.index(result.model))
        return [_reference(catalogue, result, value - result.value) for result in own]
    best = sorted((one for one in known if one.comparable), key=lambda one: -one.value)
    return [_reference(catalogue, result, None) for result in best[:_SHOWN]]


def _reference(catalogue: Catalogue, result: Result, deviation: float | None) -> Reference:
    return Reference(
        model=result.model,
        name=catalogue.names.get(result.model, result.model),
        metric=result.metric,
        value=result.value,
        source=result.source,
        status=result.status,
        zero_shot=result.zero_shot,
        note=result.note,
        deviation=deviation,
        # What rounds to 0.01 is 0.01.
        marked=deviation is not None and round(abs(deviation), 6) > TOLERATED,
    )


def hub_names(entry: Model) -> set[str]:
    """Everything that an index may call this model: hub ids, and what encodes either side."""
    sides = entry.encoding and (entry.encoding.document, entry.encoding.query)
    named = {side.model for side in sides or () if side is not None and side.model}
    return {*entry.hub, *named}


def _sizes(entry: Entry, split: str) -> tuple[int | None, int | None]:
    return entry.splits.get(split, entry.queries), entry.documents


def _names(entry: Entry) -> set[str]:
    loaders = entry.loaders
    named = [entry.id, entry.name, *_listed(loaders.mteb)]
    named += [path.rpartition("/")[2] for path in _listed(loaders.hub)]
    for path in _listed(loaders.ir_datasets):
        # beir/scifact/test is called scifact; nfcorpus alone is another collection.
        named += path.split("/")[1:2] if path.startswith("beir/") else ()
    if loaders.zip:
        named.append(loaders.zip.rpartition("/")[2].removesuffix(".zip"))
    return {_plain(name) for name in named if name}


def _listed(ids: str | None) -> list[str]:
    return [] if ids is None else [one.strip() for one in ids.split(",")]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
