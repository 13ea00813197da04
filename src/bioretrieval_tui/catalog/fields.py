"""Entries as the filter language and sorting see them: one row an entry, named fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.models import AnyEntry
from bioretrieval_tui.errors import UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.query import Filter, Row, Schema

# (name, type, aliases, what it holds); the struct's attribute has the same name unless `_value`
# says otherwise.
FIELDS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("id", "text", (), "the entry's id"),
    ("kind", "text", (), "paper, model, dataset, benchmark, recipe, milestone, step"),
    ("name", "text", (), "display name"),
    ("year", "number", (), "year of publication"),
    ("tags", "set", ("tag",), "tags"),
    ("status", "text", (), "confirmed, secondary, unverified"),
    ("summary", "text", (), "the summary's text"),
    ("added", "text", (), "day it came into the catalogue"),
    ("related", "set", ("relations",), "ids of related entries"),
    ("url", "set", ("link", "links"), "addresses of its links"),
    ("title", "text", (), "papers: full title"),
    ("authors", "set", ("author",), "papers: authors"),
    ("venue", "text", (), "papers: venue"),
    ("arxiv", "text", (), "papers: arXiv number"),
    ("doi", "text", (), "papers: DOI"),
    ("topic", "text", (), "papers: topic"),
    ("role", "text", (), "models: retriever, reranker, lexical, entity-linking, ..."),
    ("family", "text", (), "models: family"),
    ("params", "number", ("parameters",), "models, recipes: parameters"),
    ("dimension", "number", ("dim", "dims"), "models: vector dimension"),
    ("max_tokens", "number", ("tokens", "length"), "models: longest input"),
    ("architecture", "text", ("arch",), "models: architecture"),
    ("base", "text", (), "models, recipes: base checkpoint"),
    ("hub", "set", (), "models, datasets: hub ids"),
    ("licence", "text", ("license",), "licence"),
    ("gated", "bool", (), "models, datasets: behind a gate"),
    ("trained_on", "set", (), "models: benchmarks whose training data they saw"),
    ("pooling", "text", (), "models: pooling of the recipe"),
    ("similarity", "text", (), "models: similarity of the recipe"),
    ("type", "text", (), "benchmarks: set or suite"),
    ("task", "text", (), "benchmarks: task"),
    ("domain", "text", (), "benchmarks: domain"),
    ("metric", "text", (), "benchmarks: measure"),
    ("queries", "number", (), "benchmarks: number of queries"),
    ("documents", "number", ("docs",), "benchmarks: number of documents"),
    ("judgements", "number", ("qrels",), "benchmarks: number of judgements"),
    ("use", "text", (), "datasets: what they are for"),
    ("size", "text", (), "datasets: size in words"),
    ("records", "number", (), "datasets: number of records"),
    ("available", "bool", ("released",), "datasets: was it released"),
    ("model", "text", (), "recipes: the model that came out"),
    ("method", "text", (), "recipes: method"),
    ("data", "text", (), "recipes: training data"),
    ("era", "text", (), "timeline: era"),
    ("number", "number", ("step",), "path: number of the step"),
    ("results", "number", ("figures",), "models, benchmarks: published figures"),
)


@lru_cache(maxsize=1)
def schema() -> Schema:
    """The fields of the filter language for catalogue entries."""
    from bioretrieval_tui.query import Field, Schema

    return Schema([Field(name, kind, aliases, doc) for name, kind, aliases, doc in FIELDS])  # type: ignore[arg-type]


def value(entry: AnyEntry, name: str, catalogue: Catalogue) -> Any:
    """The value of a field, None where the entry has none."""
    if name == "kind":
        return kind_of(entry)
    if name == "related":
        return tuple(other.id for other in catalogue.related(entry.id))
    if name == "url":
        return tuple(link.url for link in entry.links)
    if name == "results":
        return len(catalogue.results_of(entry.id)) or None
    if name in ("pooling", "similarity"):
        encoding = getattr(entry, "encoding", None)
        return getattr(encoding, name, None)
    return getattr(entry, name, None)


class EntryValues(Mapping[str, Any]):
    """The fields of an entry that have a value, each found when it is first asked for.

    A filter asks for the fields that it names, so ten thousand rows are not spelt out for a word.
    """

    __slots__ = ("_catalogue", "_entry")

    def __init__(self, entry: AnyEntry, catalogue: Catalogue) -> None:
        self._entry = entry
        self._catalogue = catalogue

    def __getitem__(self, name: str) -> Any:
        found = value(self._entry, name, self._catalogue)
        if found is None or found == ():
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return (name for name, *_ in FIELDS if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def filter_row(entry: AnyEntry, catalogue: Catalogue) -> Row:
    """One entry as the filter's row."""
    from bioretrieval_tui.query import Row

    words = [entry.id, getattr(entry, "title", None) or "", entry.summary]
    words += getattr(entry, "hub", ())
    return Row(entry.id, entry.name, entry.tags, " ".join(words), EntryValues(entry, catalogue))


def make_filter(entries: Iterable[AnyEntry], catalogue: Catalogue) -> Filter:
    """The filter over these entries, in their order."""
    from bioretrieval_tui.query import Filter

    return Filter([filter_row(entry, catalogue) for entry in entries], schema())


def filtered(entries: Sequence[AnyEntry], expression: str, catalogue: Catalogue) -> list[AnyEntry]:
    """The entries that an expression keeps, best first where it has bare words.

    Raises:
        FilterError: the expression does not parse.
    """
    if not expression.strip():
        return list(entries)
    return [entries[i] for i in make_filter(entries, catalogue).apply(expression)]


def ordered(
    entries: Iterable[AnyEntry], field: str, catalogue: Catalogue, *, reverse: bool = False
) -> list[AnyEntry]:
    """Entries by a field, ascending; those without a value come last either way.

    Raises:
        UsageError: there is no such field; the nearest is named.
    """
    name = field_name(field)
    with_value: list[AnyEntry] = []
    without: list[AnyEntry] = []
    for entry in entries:
        (without if value(entry, name, catalogue) in (None, "", ()) else with_value).append(entry)
    with_value.sort(key=lambda e: sort_key(value(e, name, catalogue)), reverse=reverse)
    return with_value + without


def sort_key(found: object) -> tuple[int, object]:
    """Numbers by size, everything else by its folded text."""
    if isinstance(found, bool):
        return (0, int(found))
    if isinstance(found, int | float):
        return (0, found)
    text = " ".join(map(str, found)) if isinstance(found, tuple) else str(found)
    return (1, text.casefold())


def field_name(field: str) -> str:
    """The name of a field given by name or alias.

    Raises:
        UsageError: there is none; the nearest is named.
    """
    wanted = field.casefold()
    for name, _, aliases, _ in FIELDS:
        if wanted == name or wanted in aliases:
            return name
    import difflib

    known = [name for name, *_ in FIELDS]
    close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.4)
    hint = f"did you mean '{close[0]}'?" if close else f"fields: {', '.join(known)}"
    raise UsageError(f"no field is called '{field}'", remedy=hint)
