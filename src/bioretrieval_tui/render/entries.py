"""Catalogue entries and published results for readers and programs: pages, sheets, records.

All of it follows `catalog.fields.TABLE`. A page holds every field that has a value; a sheet has the
columns of the kind's list; a record has every field of the kind, defaults included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from bioretrieval_tui.catalog import fields as table
from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.fields import EntryField, first_url
from bioretrieval_tui.catalog.models import (
    AnyEntry,
    Benchmark,
    CheckVector,
    Claim,
    Encoding,
    Kind,
    Link,
    Loaders,
    Model,
    Note,
    Result,
    Side,
    Subset,
)
from bioretrieval_tui.render.citation import citable, cite_entry
from bioretrieval_tui.render.page import Fact, Group, Inline, Page, Prose, Section, Text, fact, text
from bioretrieval_tui.render.sheet import (
    Cell,
    Column,
    Each,
    Figure,
    Linked,
    Sheet,
    Unverified,
    shortened,
)
from bioretrieval_tui.terminal.clean import safe_url
from bioretrieval_tui.util.formatting import figure, short

TITLES: dict[str, str] = {
    "paper": "Papers",
    "model": "Models",
    "dataset": "Datasets",
    "benchmark": "Benchmarks",
    "recipe": "Recipes",
    "milestone": "Timeline",
    "step": "Path",
}
GRADES = {
    "A": "the authors' own code or card was read",
    "B": "third-party code was read",
    "C": "inferred",
}


# Sheets ---------------------------------------------------------------------------------------


def entry_sheet(
    entries: Sequence[AnyEntry], catalogue: Catalogue, *, kind: Kind | str | None = None
) -> Sheet:
    """Entries as rows, whole records and citations.

    Args:
        entries: of one kind, or mixed; their order is kept.
        kind: the requested kind, which an empty list does not show.
    """
    kinds = {kind_of(entry) for entry in entries} or {kind or ""}
    only = kinds.pop() if len(kinds) == 1 else ""
    by_name = table.TABLE.by_name
    readers, data = table.TABLE.listed(only)
    trailing = (*data, by_name["url"], by_name["status"], by_name["unverified"])
    shown = (by_name["id"], *readers, *trailing)

    def row_of(entry: AnyEntry) -> tuple[Cell, ...]:
        cells = [cell(row, entry, catalogue) for row in shown]
        if not only:  # a list of all kinds is long: one line an entry
            at = shown.index(by_name["summary"])
            cells[at] = Figure(entry.summary, shortened(entry.summary))
        return tuple(cells)

    return Sheet(
        title=TITLES.get(only, "Catalogue"),
        columns=tuple(column_of(row, data_only=row not in readers) for row in shown),
        rows=Each(row_of, entries),
        records=Each(record, entries),
        citations=Each(cite_entry, [entry for entry in entries if citable(entry)]),
    )


def column_of(row: EntryField, *, data_only: bool = False) -> Column:
    """The column of a field."""
    look = row.column
    align = "right" if row.is_number else "left"
    title = look.heading or row.title
    return Column(row.name, title, align, look.weight, look.width, data_only)  # type: ignore[arg-type]


def cell(row: EntryField, entry: AnyEntry, catalogue: Catalogue) -> Cell:
    """The cell of a field in a list, marked if unverified."""
    found = row.cell(entry, catalogue)
    if found in (None, "", ()):
        return None
    made = _cell(row, entry, found, catalogue)
    if row.name in ("name", "model") and entry.links:
        made = Linked(made, entry.links[0].url)
    if row.name == "size" and isinstance(found, int):
        row = table.TABLE.by_name["records"]
    return Unverified(made) if row.status(entry) == "unverified" else made


def _cell(row: EntryField, entry: AnyEntry, found: Any, catalogue: Catalogue) -> Any:
    if row.name == "url":
        return first_url(entry)
    if row.form == "size":
        encoders = entry.encoders if isinstance(entry, Model) else 1
        return Figure(found, short(found) if encoders == 1 else f"{encoders}x{short(found)}")
    if row.form == "count":
        return Figure(found, f"{found:,}")
    if row.name == "size" and isinstance(found, int):
        return Figure(found, f"{found:,} records")
    values = found if isinstance(found, tuple) else (found,)
    if row.form == "names":
        return ", ".join(catalogue.names.get(str(one), str(one)) for one in values)
    url = row.url(entry, values[0])
    if url:
        more = f" (+{len(values) - 1})" if len(values) > 1 else ""
        data = url if row.name == "arxiv" else " ".join(map(str, values))
        return Linked(f"{values[0]}{more}", url, data=data)
    if isinstance(found, tuple):
        return ("; " if row.form == "code" else ", ").join(found)
    return found


# Records --------------------------------------------------------------------------------------


def record(value: Struct) -> dict[str, Any]:
    """The struct as a dict: `kind` first if it has one, then all fields, defaults included.

    msgspec's own conversion omits defaults. Here every record of a kind has the same keys, so that
    `select(.status == "confirmed")` finds entries whose file does not give the status.
    """
    tag = value.__struct_config__.tag
    found: dict[str, Any] = {} if tag is None else {"kind": tag}
    found |= {field: _plain(getattr(value, field)) for field in value.__struct_fields__}
    extra = found.pop("extra", None)
    if extra is not None:
        found.update({name: extra.get(name) for name in table.TABLE.declared_only(str(tag))})
    return found


_ATOMS = frozenset((str, int, float, bool, type(None)))


def _plain(value: Any) -> Any:
    if type(value) in _ATOMS:  # nearly all values of a long listing
        return value
    if isinstance(value, Struct):
        return record(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def entry_record(entry: AnyEntry, catalogue: Catalogue) -> dict[str, Any]:
    """The entry's record, then `related`, `results` and `references`."""
    related = [
        {"id": other.id, "kind": kind_of(other), "name": other.name}
        for other in catalogue.related(entry.id)
    ]
    results = catalogue.results_of(entry.id)
    citing: tuple[Claim | Result | Note, ...] = (*entry.facts, *results, *entry.notes)
    named = dict.fromkeys((*entry.sources, *(one.source for one in citing)))
    known = [catalogue.sources[name] for name in named if name in catalogue.sources]
    return record(entry) | {
        "related": related,
        "results": list(map(record, results)),
        "references": list(map(record, known)),
    }


# Published results ----------------------------------------------------------------------------

ZERO_SHOT = {True: "yes", False: "no", None: "unknown"}

# Narrow tables drop columns from the right, so those that qualify a result come early.
_RESULT_COLUMNS = (
    Column("model_id", "model id", data_only=True),
    Column("benchmark_id", "benchmark id", data_only=True),
    Column("model", "model", weight=3, min_width=12),
    Column("benchmark", "benchmark", weight=2, min_width=9),
    Column("subset", "subset", min_width=5),
    Column("metric", "metric", min_width=7),
    Column("value", "value", "right"),
    Column("comparable", "compare", min_width=7),
    Column("zero_shot", "zero-shot", min_width=9),
    Column("status", "status", min_width=10),
    Column("source", "source", min_width=12),
    Column("note", "note", weight=3, min_width=16),
)


def result_sheet(
    results: Sequence[Result], names: Mapping[str, str], *, title: str = "Published results"
) -> Sheet:
    """Results as rows in the order given; the value is the published fraction, not rounded.

    Args:
        names: display names of models and benchmarks by id.
    """

    def row(result: Result) -> tuple[Cell, ...]:
        unread = result.status == "unverified"
        return (
            result.model,
            result.benchmark,
            names.get(result.model, result.model),
            names.get(result.benchmark, result.benchmark),
            result.subset,
            result.metric,
            Unverified(result.value) if unread else result.value,
            # A column full of "yes" would hide the one "no".
            Figure(result.comparable, "" if result.comparable else "no"),
            ZERO_SHOT[result.zero_shot],
            result.status,
            result.source,
            result.note,
        )

    return Sheet(
        title=title,
        columns=_RESULT_COLUMNS,
        rows=Each(row, results),
        records=Each(record, results),
    )


def result_remarks(result: Result) -> str:
    """What limits a result, in words; "" for nothing."""
    said = {
        "not comparable": not result.comparable,
        "trained on this benchmark": result.zero_shot is False,
        "zero-shot": result.zero_shot is True,
        result.status: result.status != "confirmed",
    }
    return ", ".join(words for words, holds in said.items() if holds)


# Pages ----------------------------------------------------------------------------------------


class _References:
    """Numbers of sources, in the order in which the page first names them."""

    def __init__(self, catalogue: Catalogue, first: Sequence[str]) -> None:
        self.catalogue = catalogue
        self.order = {source: number for number, source in enumerate(dict.fromkeys(first), 1)}

    def mark(self, source: str) -> Inline:
        """The number in brackets that follows what the source supports."""
        return Inline(f" [{self.order.setdefault(source, len(self.order) + 1)}]", "reference")

    def paragraphs(self) -> Iterator[Text]:
        """Text and address of each source, its id where it is not known."""
        for identifier in self.order:
            source = self.catalogue.sources.get(identifier)
            shown = source.text if source else identifier
            url = safe_url(source.url) if source and source.url else None
            yield (Inline(shown, "dim", url),)


def entry_page(entry: AnyEntry, catalogue: Catalogue, *, away: bool = False) -> Page:
    """The page of one entry. `away`: shown outside its list, so the first jump leads to it."""
    references = _References(catalogue, entry.sources)
    kind = kind_of(entry)
    byline = [text(kind)]
    if entry.year:
        known = entry.statuses.get("year", "confirmed")
        byline.append(text(f"{entry.year}" + ("" if known == "confirmed" else f" ({known})")))
    details = [
        *_fields(entry, catalogue, "Details", references),
        *(
            Fact(claim.label, (text(Inline(claim.value, "prose"), references.mark(claim.source)),),
                 claim.status)
            for claim in entry.facts
        ),
    ]  # fmt: skip
    sections: list[Section] = [
        Group("Details", tuple(details)),
        Group("Links", tuple(map(_link, entry.links)), "links"),
        Group("Related", tuple(_related(entry, catalogue, away=away)), "jumps"),
        _results(entry, catalogue, references),
        Group("Encoding", tuple(_fields(entry, catalogue, "Encoding", references))),
        Prose("Notes", tuple(_notes(entry, references)), "bullets"),
    ]
    # Last: the sections above number the sources.
    sections.append(Prose("Sources", tuple(references.paragraphs()), "numbers"))
    return Page(
        entry.name,
        kind,
        (*byline, text(Inline(entry.id, "code"))),
        () if entry.status == "confirmed" else (entry.status,),
        text(Inline(entry.summary, "prose")),
        tuple(sections),
    )


def _fields(
    entry: AnyEntry, catalogue: Catalogue, group: str, references: _References
) -> Iterator[Fact]:
    """A fact for each field under that heading that has a value other than its default."""
    encoding = getattr(entry, "encoding", None)
    holder: Any = encoding if group == "Encoding" else entry
    if holder is None:
        return
    defaults = {field.name: field.default for field in msgspec.structs.fields(type(holder))}
    for row in table.TABLE.of(kind_of(entry)):
        found = row.read(entry, catalogue) if row.group == group else None
        attribute = (row.path or row.name).rpartition(".")[2]
        if found in (None, "", (), {}) or found == defaults.get(attribute):
            continue
        if row.name == "title" and found == entry.name:
            continue
        values, listed = _values(row, entry, found, catalogue, references)
        if values:
            yield Fact(row.title, values, row.status(entry), listed)
    if isinstance(holder, Encoding):
        unread = [name for name in holder.unverified if name not in holder.__struct_fields__]
        if unread:
            yield fact("unverified", *unread)


def _values(
    row: EntryField, entry: AnyEntry, found: Any, catalogue: Catalogue, references: _References
) -> tuple[tuple[Text, ...], bool]:
    """The values of a field, and whether they are listed one a line."""
    items = found if isinstance(found, tuple) else (found,)
    special = _FORMS.get(row.form)
    if special is not None:
        return tuple(special(found, catalogue)), row.form in _LINES
    if row.form == "vector" and isinstance(found, CheckVector):
        starts = ", ".join(str(number) for number in found.starts)
        shown = (Inline(f"{found.side} "), Inline(found.text, "code"), Inline(f" starts {starts}"))
        return ((*shown, references.mark(found.source)),), False
    if row.address:
        return tuple((Inline(str(i), url=row.url(entry, i)),) for i in items), False
    if isinstance(found, bool):
        return (text("yes" if found else "no"),), False
    return tuple(text(Inline(str(item), "prose")) for item in items), row.form in _LINES


def _size(found: int) -> str:
    size = short(found)
    return size if size == str(found) else f"{size} ({found:,})"


def _name(one: str, catalogue: Catalogue) -> str | Inline:
    other = catalogue.by_id.get(one)
    return one if other is None else Inline(other.name, kind_of(other), jump=one)


def _each(found: str | tuple[str, ...]) -> tuple[str, ...]:
    return (found,) if isinstance(found, str) else found


def _subset(subset: Subset) -> str:
    sizes = ((subset.queries, "queries"), (subset.documents, "documents"))
    said = [f"{size:,} {what}" for size, what in sizes if size is not None]
    said += [subset.note] if subset.note else []
    return subset.name + (f": {', '.join(said)}" if said else "")


def _loaders(found: Loaders) -> Iterator[Text]:
    for name in found.__struct_fields__:
        value = getattr(found, name)
        if value:
            shown = Inline(value, url=value) if name == "zip" else Inline(value, "code")
            yield text(f"{name}: ", shown)


def _side(found: Side) -> Text:
    said: list[tuple[Inline, ...]] = []
    named = (("", found.model), ("adapter ", found.adapter), ("template ", found.template))
    for words, value in named:
        if value:
            said.append((Inline(words), Inline(value.replace("\n", "\\n"), "code")))
    if found.pair:
        first, second = (Inline(part.replace("\n", "\\n"), "code") for part in found.pair)
        said.append((Inline("pair "), first, Inline(" and "), second))
    if found.max_length is not None:
        said.append((Inline(f"at most {found.max_length:,} tokens"),))
    parts = [part for one in said for part in (Inline(", "), *one) if part.text]
    return tuple(parts[1:])


_FORMS: dict[str, Callable[[Any, Catalogue], Iterable[Text]]] = {
    "count": lambda found, _: [text(f"{found:,}")],
    "size": lambda found, _: [text(_size(found))],
    "names": lambda found, catalogue: [text(_name(one, catalogue)) for one in _each(found)],
    "code": lambda found, _: [text(Inline(one, "code")) for one in _each(found)],
    "authors": lambda found, _: [text("and others" if a == "others" else a) for a in found],
    "splits": lambda found, _: [text(f"{name} {size:,}") for name, size in found.items()],
    "subsets": lambda found, _: [text(_subset(one)) for one in found],
    "loaders": lambda found, _: _loaders(found),
    "side": lambda found, _: [_side(found)],
    "pairs": lambda found, _: [text(f"{name}: {value}") for name, value in found.items()],
    "grade": lambda found, _: [text(f"{found}: {GRADES[found]}")],
}
_LINES = frozenset(("code", "subsets", "loaders", "pairs", "lines"))


def _link(item: Link) -> Fact:
    shown = item.url.partition("://")[2].rstrip("/") if safe_url(item.url) else item.url
    return fact(item.label, Inline(shown, url=item.url))


def _related(entry: AnyEntry, catalogue: Catalogue, *, away: bool) -> Iterator[Fact]:
    groups: dict[str, list[AnyEntry]] = {}
    for other in ((entry,) if away else ()) + catalogue.related(entry.id):
        groups.setdefault(kind_of(other), []).append(other)
    for kind, others in groups.items():
        yield fact(kind, *(Inline(other.name, kind, jump=other.id) for other in others))


def _results(entry: AnyEntry, catalogue: Catalogue, references: _References) -> Sheet:
    """The published results, best first on the page of a benchmark; empty columns are left out."""
    results = catalogue.results_of(entry.id)
    other = "model" if isinstance(entry, Benchmark) else "benchmark"
    if other == "model":
        results = sorted(results, key=lambda one: (one.subset or "", one.metric, -one.value))
    columns = (
        Column("value", "value", "right", role="strong"),
        Column(other, other, weight=3, min_width=12, role=other),
        Column("subset", "subset", min_width=5),
        Column("metric", "metric", min_width=7, role="faint"),
        Column("remarks", "remarks", weight=2, min_width=9, role="warn"),
        Column("source", "source", min_width=6, role="faint"),
        Column("note", "note", weight=3, min_width=16, role="faint"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            Figure(one.value, figure(one.value)),
            catalogue.names.get(getattr(one, other), getattr(one, other)),
            one.subset,
            one.metric,
            result_remarks(one),
            references.mark(one.source).text.strip(" []"),
            one.note,
        )
        for one in results
    ]
    kept = [at for at in range(len(columns)) if any(row[at] not in (None, "") for row in rows)]
    return Sheet(
        "Published results",
        tuple(columns[at] for at in kept),
        tuple(tuple(row[at] for at in kept) for row in rows),
        (),
    )


def _notes(entry: AnyEntry, references: _References) -> Iterator[Text]:
    for note in entry.notes:
        sign = (Inline("Correction. ", "strong"),) if note.corrects else ()
        yield (*sign, Inline(note.text, "prose"), references.mark(note.source))
