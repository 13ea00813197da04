"""Catalogue entries as a sheet: for each kind the columns that a practitioner compares by.

A `Field` says how one column is read from an entry; `FIELDS` lists them by kind. Entries of
several kinds share the few columns that all of them have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bioretrieval_tui.catalog.models import (
    AnyEntry,
    Benchmark,
    Dataset,
    Kind,
    Milestone,
    Model,
    Paper,
    Recipe,
    Step,
)
from bioretrieval_tui.render.citation import citable, cite_entry, hub_url
from bioretrieval_tui.render.records import record
from bioretrieval_tui.render.sheet import Cell, Column, Each, Figure, Linked, Sheet, Unverified
from bioretrieval_tui.render.text import shortened
from bioretrieval_tui.terminal.clean import safe_url
from bioretrieval_tui.util.formatting import short

Names = Mapping[str, str]
"""Display names by entry id."""

TITLES: dict[str, str] = {
    "paper": "Papers",
    "model": "Models",
    "dataset": "Datasets",
    "benchmark": "Benchmarks",
    "recipe": "Recipes",
    "milestone": "Timeline",
    "step": "Path",
}
_TYPES: dict[type[AnyEntry], str] = {
    Paper: "paper",
    Model: "model",
    Dataset: "dataset",
    Benchmark: "benchmark",
    Recipe: "recipe",
    Milestone: "milestone",
    Step: "step",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One column and how it is filled.

    source: the entry's field whose status decides whether the cell is marked, None for what
    cannot be right or wrong; leads: the cell that links to the entry's first link.
    """

    column: Column
    value: Callable[[Any, Names], Cell]
    source: str | None = None
    leads: bool = False


def entry_sheet(entries: Sequence[AnyEntry], names: Names, *, kind: Kind | None = None) -> Sheet:
    """Entries as rows, whole records and citations.

    Args:
        entries: of one kind, or mixed; their order is kept.
        names: display names, for the entries that these name by id.
        kind: the kind that was asked for, which an empty list does not tell.
    """
    kinds = {kind_name(entry) for entry in entries} or {kind or ""}
    only = kinds.pop() if len(kinds) == 1 else ""
    fields = (*_LEADING, *FIELDS.get(only, MIXED), *_TRAILING)
    return Sheet(
        title=TITLES.get(only, "Catalogue"),
        columns=tuple(field.column for field in fields),
        rows=Each(lambda entry: tuple(_cell(f, entry, names) for f in fields), entries),
        records=Each(record, entries),
        citations=Each(cite_entry, [entry for entry in entries if citable(entry)]),
    )


def kind_name(entry: AnyEntry) -> str:
    """The kind in the singular: paper, model, ..."""
    return _TYPES[type(entry)]


def unverified(entry: AnyEntry, field: str) -> bool:
    """Whether no source could be read for that field: its own status, else the entry's."""
    return entry.statuses.get(field, entry.status) == "unverified"


def grouped(count: int | None) -> Cell:
    """A count with its thousands parted for readers; the number itself for csv."""
    return None if count is None else Figure(count, f"{count:,}")


def parameters(count: int | None, encoders: int = 1) -> Cell:
    """Parameters of one encoder, humanised, and how many encoders there are where two."""
    if count is None:
        return None
    return Figure(count, short(count) if encoders == 1 else f"{encoders}x{short(count)}")


def _cell(field: Field, entry: AnyEntry, names: Names) -> Cell:
    cell = field.value(entry, names)
    if cell is None or cell == "" or isinstance(cell, Unverified):
        return cell
    if field.leads and entry.links and isinstance(cell, str):
        cell = Linked(cell, entry.links[0].url)
    if field.source is not None and unverified(entry, field.source):
        return Unverified(cell)
    return cell


def _own(
    key: str,
    title: str,
    *,
    weight: int = 1,
    min_width: int = 4,
    source: str | None = None,
    number: bool = False,
    data_only: bool = False,
    leads: bool = False,
) -> Field:
    """A column that shows the entry's field `source` (`key`, where not said) as it is."""
    name = source or key
    column = Column(key, title, "right" if number else "left", weight, min_width, data_only)
    return Field(column, lambda entry, _: getattr(entry, name), name, leads)


def _arxiv(paper: Paper, _: Names) -> Cell:
    if not paper.arxiv:
        return None
    url = f"https://arxiv.org/abs/{paper.arxiv}"
    return Linked(paper.arxiv, url, data=url)


def _hub(entry: Model | Dataset, _: Names) -> Cell:
    url = hub_url(entry)
    if url is None:
        return None
    more = len(entry.hub) - 1
    text = f"{entry.hub[0]} (+{more})" if more else entry.hub[0]
    return Linked(text, url, data=" ".join(entry.hub))


def _size(dataset: Dataset, _: Names) -> Cell:
    if not dataset.available:
        return "never released"
    if dataset.size:
        return Unverified(dataset.size) if unverified(dataset, "size") else dataset.size
    if dataset.records is None:
        return None
    count = Figure(dataset.records, f"{dataset.records:,} records")
    return Unverified(count) if unverified(dataset, "records") else count


def _unverified_fields(entry: AnyEntry, _: Names) -> Cell:
    if entry.status == "unverified":
        kept = [name for name, status in entry.statuses.items() if status != "unverified"]
        return f"all but {' '.join(kept)}" if kept else "all"
    return " ".join(name for name, status in entry.statuses.items() if status == "unverified")


_NAME = _own("name", "name", weight=3, min_width=12, leads=True)
_YEAR = _own("year", "year", number=True)
_LEADING = (Field(Column("id", "id", data_only=True), lambda entry, _: entry.id),)
_TRAILING = (
    Field(
        Column("url", "url", data_only=True),
        lambda entry, _: safe_url(entry.links[0].url) if entry.links else None,
    ),
    Field(Column("status", "status", data_only=True), lambda entry, _: entry.status),
    Field(Column("unverified", "unverified", data_only=True), _unverified_fields),
)

MIXED: tuple[Field, ...] = (
    Field(Column("kind", "kind", min_width=9), lambda entry, _: kind_name(entry)),
    _NAME,
    _YEAR,
    Field(
        Column("summary", "summary", weight=6, min_width=20),
        lambda entry, _: Figure(entry.summary, shortened(entry.summary)),
    ),
)

FIELDS: dict[str, tuple[Field, ...]] = {
    "paper": (
        _NAME,
        _YEAR,
        _own("venue", "venue", weight=2, min_width=10),
        Field(Column("arxiv", "arXiv", min_width=10), _arxiv, "arxiv"),
        _own("title", "title", data_only=True),
        _own("doi", "DOI", data_only=True),
    ),
    "model": (
        _NAME,
        _own("role", "role", min_width=9),
        Field(
            Column("params", "params", "right"),
            lambda model, _: parameters(model.params, model.encoders),
            "params",
        ),
        _own("dimension", "dim", number=True),
        _own("max_tokens", "tokens", number=True),
        _own("licence", "licence", min_width=6),
        Field(Column("hub", "hub", weight=2, min_width=12), _hub, "hub"),
        _own("encoders", "encoders", number=True, data_only=True),
        _own("year", "year", number=True, data_only=True),
    ),
    "dataset": (
        _NAME,
        _own("use", "use", weight=2, min_width=12),
        Field(Column("size", "size", weight=2, min_width=12), _size),
        _own("licence", "licence", min_width=6),
        _own("records", "records", number=True, data_only=True),
        Field(Column("hub", "hub", data_only=True), _hub, "hub"),
    ),
    "benchmark": (
        _NAME,
        _own("task", "task", weight=2, min_width=10),
        _own("domain", "domain", weight=2, min_width=10),
        Field(
            Column("queries", "queries", "right"),
            lambda benchmark, _: grouped(benchmark.queries),
            "queries",
        ),
        Field(
            Column("documents", "docs", "right"),
            lambda benchmark, _: grouped(benchmark.documents),
            "documents",
        ),
        _own("metric", "metric", min_width=7),
        _own("type", "type", data_only=True),
    ),
    "recipe": (
        Field(
            Column("model", "model", weight=2, min_width=12),
            lambda recipe, names: names.get(recipe.model, recipe.model),
            "model",
            leads=True,
        ),
        Field(
            Column("params", "params", "right"),
            lambda recipe, _: parameters(recipe.params),
            "params",
        ),
        _own("method", "method", weight=4, min_width=14),
        _own("best", "best", weight=4, min_width=14),
        Field(
            Column("paper", "paper", weight=2, min_width=10),
            lambda recipe, names: names.get(recipe.paper, recipe.paper) if recipe.paper else None,
            "paper",
        ),
        _own("name", "name", data_only=True),
        _own("year", "year", number=True, data_only=True),
    ),
    "milestone": (
        _YEAR,
        _NAME,
        _own("summary", "summary", weight=6, min_width=20),
        _own("era", "era", data_only=True),
    ),
    "step": (
        _own("number", "step", number=True),
        _NAME,
        Field(
            Column("commands", "commands", weight=6, min_width=20),
            lambda step, _: "; ".join(step.commands),
            "commands",
        ),
        _own("expect", "expect", data_only=True),
    ),
}
