"""Catalogue entries and published results for readers and programs: pages, sheets, records.

All of it follows `catalog.fields.TABLE`. A page holds every field that has a value; a sheet has the
columns of the kind's list; a record has every field of the kind, defaults included.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct, structs

from bioretrieval_tui.catalog import fields as table
from bioretrieval_tui.catalog import models
from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.fields import EntryField
from bioretrieval_tui.catalog.models import AnyEntry
from bioretrieval_tui.render.citation import citable, cite_entry
from bioretrieval_tui.render.page import (
    Fact,
    Group,
    Inline,
    Page,
    Prose,
    Section,
    Text,
    fact,
    is_empty,
    same_address,
    text,
)
from bioretrieval_tui.render.sheet import (
    Cell,
    Column,
    ColumnOf,
    Each,
    Sheet,
    Shown,
    column,
    counted,
    linked,
    sheet_of,
    shortened,
    unverified,
)
from bioretrieval_tui.terminal.clean import safe_url
from bioretrieval_tui.util.formatting import figure, short

_SECTIONS = {str(kind.__struct_config__.tag): name for name, kind in models.SECTIONS.items()}
GRADES = {
    "A": "the authors' own code or card was read",
    "B": "third-party code was read",
    "C": "inferred",
}


# Sheets ---------------------------------------------------------------------------------------


def entry_sheet(
    entries: Sequence[AnyEntry], catalogue: Catalogue, *, kind: models.Kind | str | None = None
) -> Sheet:
    """Entries as rows, whole records and citations. entries: of one kind, or mixed; their order is
    kept; kind: the requested kind, which an empty list does not show."""
    kinds = {kind_of(entry) for entry in entries} or {kind or ""}
    only = kinds.pop() if len(kinds) == 1 else ""
    by_name = table.TABLE.by_name
    readers, data = table.TABLE.listed(only)
    trailing = (*data, by_name["url"], by_name["status"], by_name["unverified"])

    def of(row: EntryField) -> ColumnOf[AnyEntry]:
        if row.name == "summary" and not only:  # a list of all kinds is long: one line an entry
            return column_of(row), lambda entry: Shown(entry.summary, shortened(entry.summary))
        made = column_of(row, data_only=row not in readers)
        return made, lambda entry: cell(row, entry, catalogue)

    return sheet_of(
        _SECTIONS.get(only, "catalogue").capitalize(),
        [of(row) for row in (by_name["id"], *readers, *trailing)],
        entries,
        record,
        Each(cite_entry, [entry for entry in entries if citable(entry)]),
    )


def column_of(row: EntryField, *, data_only: bool = False) -> Column:
    align: Literal["left", "right"] = "right" if row.type == "number" else "left"
    return Column(row.name, row.heading or row.title, align, row.weight, row.width, data_only)


def cell(row: EntryField, entry: AnyEntry, catalogue: Catalogue) -> Cell:
    """The cell of a field in a list, marked if unverified."""
    found = row.cell(entry, catalogue)
    if found in (None, "", ()):
        return None
    made = _cell(row, entry, found, catalogue)
    if row.name in ("name", "model") and entry.links:
        made = linked(str(made), entry.links[0].url)
    if row.name == "size" and isinstance(found, int):
        row = table.TABLE.by_name["records"]
    return unverified(made) if row.status(entry) == "unverified" else made


def field_cell(row: EntryField, entry: AnyEntry, catalogue: Catalogue) -> Cell:
    """Any field as a cell: as in a list, or what its page says on one line."""
    if row.form not in _FORMS or row.form in ("count", "size", "code", "authors"):
        return cell(row, entry, catalogue)
    if row.form == "grade":
        return row.read(entry, catalogue)  # type: ignore[no-any-return]  # a letter
    found = row.read(entry, catalogue)
    values = _values(row, entry, found, catalogue, {}) if found else ()
    made = "; ".join("".join(part.text for part in one) for one in values)
    return unverified(made) if made and row.status(entry) == "unverified" else made or None


def _cell(row: EntryField, entry: AnyEntry, found: Any, catalogue: Catalogue) -> Cell:
    if row.name == "url":
        return safe_url(entry.links[0].url)
    if row.form == "size":
        encoders = entry.encoders if isinstance(entry, models.Model) else 1
        return Shown(found, short(found) if encoders == 1 else f"{encoders}x{short(found)}")
    if row.form == "count":
        return counted(found)
    if row.name == "size" and isinstance(found, int):
        return Shown(found, f"{found:,} records")
    values = [str(one) for one in (found if isinstance(found, tuple) else (found,))]
    if row.form == "names":
        return ", ".join(catalogue.names.get(one, one) for one in values)
    url = row.url(entry, values[0])
    if url:
        more = f" (+{len(values) - 1})" if len(values) > 1 else ""
        return linked(f"{values[0]}{more}", url, url if row.name == "arxiv" else " ".join(values))
    if isinstance(found, tuple):
        return ("; " if row.form in ("code", "authors") else ", ").join(values)
    return found  # type: ignore[no-any-return]  # text or number


# Records --------------------------------------------------------------------------------------


def record(value: Struct) -> dict[str, Any]:
    """The struct as a dict: `kind` first if it has one, then all fields, defaults included.
    msgspec's own conversion omits defaults. Here every record of a kind has the same keys, so that
    `select(.status == "confirmed")` finds entries whose file does not give the status."""
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
    named = dict.fromkeys(entry.sources)
    for citing in (entry.facts, results, entry.notes):
        named |= dict.fromkeys(one.source for one in citing)
    if isinstance(entry, models.Recipe) and entry.training:
        evidence = entry.training.evidence.values()
        named |= dict.fromkeys(one.partition(": ")[0] for one in evidence)
    known = [catalogue.sources[name] for name in named if name in catalogue.sources]
    return record(entry) | {
        "related": related,
        "results": list(map(record, results)),
        "references": list(map(record, known)),
    }


# Published results ----------------------------------------------------------------------------

ZERO_SHOT = {True: "yes", False: "no", None: "unknown"}


def result_sheet(
    results: Sequence[models.Result], names: Mapping[str, str], *, title: str = "Published results"
) -> Sheet:
    """Results as rows in the order given; the value is the published fraction, not rounded. names:
    display names of models and benchmarks by id."""

    def value(result: models.Result) -> Cell:
        return unverified(result.value) if result.status == "unverified" else result.value

    def comparable(result: models.Result) -> Cell:  # a column full of "yes" would hide the one "no"
        return Shown(result.comparable, "" if result.comparable else "no")

    # Narrow tables drop columns from the right, so those that qualify a result come early.
    columns = (
        column("model_id", make=lambda one: one.model, data_only=True),
        column("benchmark_id", make=lambda one: one.benchmark, data_only=True),
        column("model", make=lambda one: names.get(one.model, one.model), weight=3, min_width=12),
        column("benchmark", make=lambda one: names.get(one.benchmark, one.benchmark), weight=2,
               min_width=9),
        column("subset", min_width=5),
        column("metric", min_width=7),
        column("value", make=value, align="right"),
        column("comparable", "compare", comparable, min_width=7),
        column("zero_shot", "zero-shot", lambda one: ZERO_SHOT[one.zero_shot], min_width=9),
        column("status", min_width=10),
        column("kind", make=lambda one: Shown(one.kind, "self-reported"
               if one.kind == "self-reported" else ""), min_width=8),
        column("source", min_width=12),
        column("others", "other values", lambda one: one.others or None, align="right"),
        column("split", data_only=True),
        column("revision", data_only=True),
        column("dataset_revision", data_only=True),
        column("path", data_only=True),
        column("note", weight=3, min_width=16),
    )  # fmt: skip
    return sheet_of(title, columns, results, record)


def result_remarks(result: models.Result) -> str:
    """What limits a result, in words; "" for nothing."""
    said = {
        "not comparable": not result.comparable,
        "self-reported": result.kind == "self-reported",
        "reranked": result.reranked,
        "trained on this benchmark": result.zero_shot is False,
        "zero-shot": result.zero_shot is True,
        result.status: result.status != "confirmed",
    }
    return ", ".join(words for words, holds in said.items() if holds)


# Pages ----------------------------------------------------------------------------------------

_FIRST = 10
"""Results above everything else on a page."""
_MOST = 60
"""Results that the page of a benchmark shows in full."""
_BEST = 5
"""Best results of each part that it shows otherwise, beside those of curated models."""
_Numbers = dict[str, int]
"""Numbers of sources, in the order in which the page first names them."""


def _mark(source: str, numbers: _Numbers) -> Inline:
    """The number in brackets that follows what the source supports."""
    return Inline(f" [{numbers.setdefault(source, len(numbers) + 1)}]", "reference")


def _sources(catalogue: Catalogue, numbers: _Numbers) -> Iterator[Text]:
    """Text and address of each source, its id where it is not known."""
    for identifier in numbers:
        source = catalogue.sources.get(identifier)
        shown = source.text if source else identifier
        url = safe_url(source.url) if source and source.url else None
        yield (Inline(shown, "dim", url),)


def entry_page(entry: AnyEntry, catalogue: Catalogue, *, away: bool = False) -> Page:
    """The page of one entry. `away`: shown outside its list, so the first jump leads to it."""
    if (own := catalogue.own.get(entry.id)) is not None:
        from bioretrieval_tui.render.training_pages import own_page

        return own_page(own)
    numbers: _Numbers = {}
    for source in entry.sources:
        _mark(source, numbers)
    kind = kind_of(entry)
    byline = [text(kind if entry.status != "declared" else "listed model")]
    if entry.year:
        known = entry.statuses.get("year", "confirmed")
        byline.append(text(f"{entry.year}" + ("" if known == "confirmed" else f" ({known})")))
    summary = text(Inline(entry.summary, "prose"))
    published, more = _results(entry, catalogue, numbers)
    first: tuple[Section, ...] = (
        published,
        *(
            Group(title, tuple(_fields(entry, catalogue, title, numbers)))
            for title in ("Scores", "Recipe", "Training", "Encoding", "Licence and size")
        ),
    )
    # Among hits one reads what it is, and elsewhere what it does.
    below = not away and not all(map(is_empty, first))
    details = [
        *_fields(entry, catalogue, "Details", numbers),
        *_declared(entry, catalogue, numbers),
        *(
            Fact(claim.label, (text(Inline(claim.value, "prose"), _mark(claim.source, numbers)),),
                 claim.status)
            for claim in entry.facts
        ),
    ]  # fmt: skip
    sections: list[Section] = [
        *first,
        Prose("Summary", (summary,) if below else ()),
        Group("Details", tuple(details)),
        Group("Links", tuple(_links(entry, catalogue, numbers)), "links"),
        Group("Related", tuple(_related(entry, catalogue, away=away)), "jumps"),
        more,
        Prose("Notes", tuple(_notes(entry, numbers)), "bullets"),
        # Last: the sections above number the sources.
        Prose("Sources", tuple(_sources(catalogue, numbers)), "numbers"),
    ]
    return Page(
        entry.name,
        kind,
        (*byline, text(Inline(entry.id, "code"))),
        {"confirmed": (), "declared": ("declared, not checked",)}.get(
            entry.status, (entry.status,)
        ),
        () if below else summary,
        tuple(sections),
    )


def _links(entry: AnyEntry, catalogue: Catalogue, numbers: _Numbers) -> Iterator[Fact]:
    """Every address of the entry once, its links first. An identifier stands in the place of the
    link that has its address."""
    known: dict[str, Fact] = {}
    for one in _fields(entry, catalogue, "Links", numbers):
        for value in one.values:
            known[same_address(value[0].url or "")] = Fact(one.label, (value,), one.status)
    links: dict[str, models.Link] = {}
    for link in entry.links:
        form = same_address(link.url)
        if form not in links or (
            link.url.startswith("https:") > links[form].url.startswith("https:")
        ):
            links[form] = structs.replace(links.get(form, link), url=link.url)
    for form, link in links.items():
        # An address that is not safe to open is shown whole.
        shown = link.url.partition("://")[2].rstrip("/") if safe_url(link.url) else link.url
        yield known.pop(form, fact(link.label, Inline(shown, url=link.url)))
    yield from known.values()


def _fields(entry: AnyEntry, catalogue: Catalogue, group: str, numbers: _Numbers) -> Iterator[Fact]:
    """A fact for each field under that heading that has a value other than its default."""
    part = {"Encoding": "encoding", "Training": "training"}.get(group)
    holder: Any = getattr(entry, part, None) if part else entry
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
        values = tuple(_values(row, entry, found, catalogue, numbers))
        if isinstance(holder, models.Training) and attribute in holder.evidence:
            source, _, place = holder.evidence[attribute].partition(": ")
            values = ((*values[0], Inline(f" ({place})", "dim"), _mark(source, numbers)),)
        if values:
            # The page of a listed model says once that its facts are declared.
            status = "confirmed" if entry.status == "declared" else row.status(entry)
            yield Fact(row.title, values, status, row.form in _LINES)
    if isinstance(holder, models.Encoding):
        unread = [name for name in holder.unverified if name not in holder.__struct_fields__]
        if unread:
            yield fact("unverified", *unread)


def _declared(entry: AnyEntry, catalogue: Catalogue, numbers: _Numbers) -> Iterator[Fact]:
    """What mteb declares otherwise of a curated model."""
    declared = catalogue.declared.get(entry.id)
    if not isinstance(entry, models.Model) or declared is None or entry.status == "declared":
        return
    # Not at the top of the file: only a catalogue that has the board comes here.
    from bioretrieval_tui.catalog.listing import SOURCE, disagreements

    said = []
    for name, value in disagreements(entry, declared):
        shown = f"{value:,}" if isinstance(value, int) else str(value)
        said.append(text(f"{table.TABLE.by_name[name].title} {shown}"))
    if said:
        said[-1] = (*said[-1], _mark(SOURCE, numbers))
        yield Fact("mteb declares", tuple(said))


def _values(
    row: EntryField, entry: AnyEntry, found: Any, catalogue: Catalogue, numbers: _Numbers
) -> Iterator[Text]:
    if isinstance(found, models.Loaders):
        found = msgspec.structs.asdict(found)
    if isinstance(found, dict):
        found = tuple((name, value) for name, value in found.items() if value is not None)
    for one in found if isinstance(found, tuple) else (found,):
        if row.form in _FORMS:
            yield _FORMS[row.form](one)
        elif row.form == "names" and one in catalogue.by_id:
            other = catalogue.by_id[one]
            yield text(Inline(other.name, kind_of(other), jump=one))
        elif isinstance(one, models.CheckVector):
            starts = ", ".join(map(str, one.starts))
            shown = (Inline(f"{one.side} "), Inline(one.text, "code"), Inline(f" starts {starts}"))
            yield (*shown, _mark(one.source, numbers))
        elif row.address:
            yield (Inline(str(one), url=row.url(entry, one)),)
        elif isinstance(one, bool):
            yield text("yes" if one else "no")
        elif isinstance(one, float):
            yield text(f"{one:g}")
        else:
            yield text(Inline(str(one), "text" if row.form == "names" else "prose"))


def _subset(subset: models.Subset) -> Text:
    sizes = ((subset.queries, "queries"), (subset.documents, "documents"))
    said = [f"{size:,} {what}" for size, what in sizes if size is not None]
    said += [subset.note] if subset.note else []
    return text(subset.name + (f": {', '.join(said)}" if said else ""))


def _loader(one: tuple[str, str]) -> Text:
    name, value = one
    return text(f"{name}: ", Inline(value, url=value) if name == "zip" else Inline(value, "code"))


def _side(found: models.Side) -> Text:
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


_FORMS: dict[str, Callable[[Any], Text]] = {
    "count": lambda one: text(f"{one:,}"),
    "size": lambda one: text(short(one) + ("" if one < 1000 else f" ({one:,})")),
    "code": lambda one: text(Inline(one, "code")),
    "authors": lambda one: text("and others" if one == "others" else one),
    "splits": lambda one: text(f"{one[0]} {one[1]:,}"),
    "subsets": _subset,
    "loaders": _loader,
    "side": _side,
    "pairs": lambda one: text(f"{one[0]}: {one[1]}"),
    "grade": lambda one: text(f"{one}: {GRADES[one]}"),
}
"""By the form of a field: how one of its values is shown."""
_LINES = frozenset(("code", "subsets", "loaders", "pairs", "lines"))


def _related(entry: AnyEntry, catalogue: Catalogue, *, away: bool) -> Iterator[Fact]:
    groups: dict[str, list[AnyEntry]] = {}
    for other in ((entry,) if away else ()) + catalogue.related(entry.id):
        groups.setdefault(kind_of(other), []).append(other)
    for kind, others in groups.items():
        yield fact(kind, *(Inline(other.name, kind, jump=other.id) for other in others))


def _usual(result: models.Result, catalogue: Catalogue) -> bool:
    """Whether a result is of a whole benchmark or of a part that the catalogue names."""
    entry = catalogue.by_id.get(result.benchmark)
    if result.split is None or result.subset is None or not isinstance(entry, models.Benchmark):
        return True
    return any(part.name == result.subset for part in entry.subsets)


def _results(entry: AnyEntry, catalogue: Catalogue, numbers: _Numbers) -> tuple[Sheet, Sheet]:
    """The published results, best first on the page of a benchmark, and those behind the first ten;
    empty columns are left out. Of a benchmark with many, the best and those of curated models are
    shown; scores of other splits than the usual one are left to lists."""
    known = catalogue.results_of(entry.id)
    other = "model" if isinstance(entry, models.Benchmark) else "benchmark"
    results = [one for one in known if _usual(one, catalogue)]
    if other == "model":
        results.sort(key=lambda one: (one.subset or "", one.metric, -one.value))
        if len(results) > _MOST:
            groups: dict[tuple[str | None, str], int] = defaultdict(int)
            best = []
            for one in results:
                groups[one.subset, one.metric] += 1
                listed = one.model in catalogue.by_id and (
                    catalogue.by_id[one.model].status == "declared"
                )
                if groups[one.subset, one.metric] <= _BEST or not listed:
                    best.append(one)
            results = best

    def name(one: models.Result) -> str:
        identifier: str = getattr(one, other)
        return catalogue.names.get(identifier, identifier)

    columns = (
        column("value", make=lambda one: Shown(one.value, figure(one.value)), align="right",
               role="strong"),
        column(other, make=name, weight=3, min_width=12, role=other),
        column("subset", min_width=5),
        column("metric", min_width=7, role="faint"),
        column("remarks", make=result_remarks, weight=2, min_width=9, role="warn"),
        column("source", make=lambda one: _mark(one.source, numbers).text.strip(" []"),
               min_width=6, role="faint"),
        column("note", weight=3, min_width=16, role="faint"),
    )  # fmt: skip
    rows = [[make(one) for _, make in columns] for one in results]
    kept = [at for at in range(len(columns)) if any(row[at] not in (None, "") for row in rows)]
    shown = tuple(tuple(row[at] for at in kept) for row in rows)
    first = len(shown) if len(shown) <= _FIRST + 2 else _FIRST
    parts = (
        (shown[:first], "Published results", first < len(known), f"{first} of {len(known):,}"),
        (shown[first:], "More results", len(shown) < len(known), f"to {len(shown):,}"),
    )
    above, below = (
        Sheet(f"{title}: {part}" if cut else title, tuple(columns[at][0] for at in kept), some, ())
        for some, title, cut, part in parts
    )
    return above, below


def _notes(entry: AnyEntry, numbers: _Numbers) -> Iterator[Text]:
    for note in entry.notes:
        sign = (Inline("Correction. ", "strong"),) if note.corrects else ()
        yield (*sign, Inline(note.text, "prose"), _mark(note.source, numbers))
