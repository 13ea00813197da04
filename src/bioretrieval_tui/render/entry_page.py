"""One whole entry as a markdown page, and as the record that `show -f json` prints.

The page shows every field that has a value, marks what is not confirmed, and resolves sources to
numbered references at its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bioretrieval_tui.catalog.models import AnyEntry, Result, Source, Status
from bioretrieval_tui.render.details import encoding_lines, field_lines
from bioretrieval_tui.render.entries import TITLES, kind_name
from bioretrieval_tui.render.markdown import code, escape, link, table
from bioretrieval_tui.render.records import record
from bioretrieval_tui.render.results import result_sheet
from bioretrieval_tui.render.sheet import Sheet
from bioretrieval_tui.terminal.clean import safe_url


class CatalogueView(Protocol):
    """What a page asks of the catalogue; `catalog.catalogue.Catalogue` answers it."""

    @property
    def names(self) -> Mapping[str, str]:
        """Display names by entry id."""

    @property
    def sources(self) -> Mapping[str, Source]:
        """Sources by id."""

    def related(self, identifier: str) -> tuple[AnyEntry, ...]:
        """Related entries in either direction, grouped by kind."""

    def results_of(self, identifier: str) -> Sequence[Result]:
        """Published figures of a model, or of a benchmark."""


@dataclass(slots=True)
class _References:
    """Numbers for sources, in the order in which the page first names them."""

    view: CatalogueView
    order: dict[str, int]

    def mark(self, source: str) -> str:
        """The source's number in brackets, as it stands behind what it supports."""
        return f"[{self.order.setdefault(source, len(self.order) + 1)}]"

    def lines(self) -> Iterator[str]:
        """The numbered list: text and address of each source, its id where it is not known."""
        for identifier, number in self.order.items():
            source = self.view.sources.get(identifier)
            if source is None:
                yield f"{number}. {escape(identifier)}"
                continue
            url = safe_url(source.url) if source.url else None
            yield f"{number}. {link(source.text, url)}"


def entry_page(entry: AnyEntry, view: CatalogueView) -> str:
    """The page: heading, kind line, summary, then a section for all that the entry has."""
    references = _References(view, {})
    for source in entry.sources:
        references.mark(source)
    sections = [
        f"# {escape(entry.name)}",
        _kind_line(entry),
        escape(entry.summary),
        _section("Details", list(field_lines(entry, view.names))),
        _section("Facts", list(_facts(entry, references))),
        _section("Encoding", list(encoding_lines(entry, references.mark))),
        _section("Links", list(_links(entry))),
        _section("Related", list(_related(entry, view))),
        _results(entry, view, references),
        _section("Notes", list(_notes(entry, references))),
        _section("Sources", list(references.lines())),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def entry_record(entry: AnyEntry, view: CatalogueView) -> dict[str, Any]:
    """The entry's record with `related`, `results` and `references` resolved behind it."""
    found = record(entry)
    results = view.results_of(entry.id)
    found["related"] = [
        {"id": other.id, "kind": kind_name(other), "name": other.name}
        for other in view.related(entry.id)
    ]
    found["results"] = [record(result) for result in results]
    named = dict.fromkeys(
        [
            *entry.sources,
            *(fact.source for fact in entry.facts),
            *(result.source for result in results),
            *(note.source for note in entry.notes),
        ]
    )
    found["references"] = [record(view.sources[name]) for name in named if name in view.sources]
    return found


def _section(title: str, lines: list[str]) -> str:
    return "\n".join([f"## {title}", "", *lines]) if lines else ""


def _kind_line(entry: AnyEntry) -> str:
    parts = [kind_name(entry).capitalize(), code(entry.id)]
    if entry.year is not None:
        year = str(entry.year)
        parts.insert(1, year + _mark(entry.statuses.get("year", entry.status)))
    if entry.status != "confirmed":
        parts.append(f"status: {entry.status}")
    if entry.tags:
        parts.append(", ".join(escape(tag) for tag in entry.tags))
    return " · ".join(parts)


def _mark(status: Status) -> str:
    return "" if status == "confirmed" else f" ({status})"


def _facts(entry: AnyEntry, references: _References) -> Iterator[str]:
    for fact in entry.facts:
        yield (
            f"- **{escape(fact.label)}**: {escape(fact.value)}{_mark(fact.status)} "
            f"{references.mark(fact.source)}"
        )


def _links(entry: AnyEntry) -> Iterator[str]:
    for item in entry.links:
        url = safe_url(item.url)
        shown = "" if item.label.casefold() == item.type else f" ({item.type})"
        refused = "" if url else ": this address is not a plain http or https one"
        yield f"- {link(item.label, url)}{shown}{refused}"


def _related(entry: AnyEntry, view: CatalogueView) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for other in view.related(entry.id):
        line = f"{escape(other.name)} ({code(other.id)})"
        groups.setdefault(kind_name(other), []).append(line)
    for kind, title in TITLES.items():
        if kind in groups:
            yield f"- **{title}**: {', '.join(groups[kind])}"


def _results(entry: AnyEntry, view: CatalogueView, references: _References) -> str:
    """The published figures without the column of the entry itself and columns with nothing."""
    results = view.results_of(entry.id)
    if not results:
        return ""
    sheet = result_sheet(results, view.names)
    own = "model" if all(result.model == entry.id for result in results) else ""
    if not own and all(result.benchmark == entry.id for result in results):
        own = "benchmark"
    source = next(i for i, column in enumerate(sheet.columns) if column.key == "source")
    rows = [
        tuple(
            references.mark(result.source) if place == source else cell
            for place, cell in enumerate(row)
        )
        for row, result in zip(sheet.rows, results, strict=True)
    ]
    silent = {own}
    if all(result.status == "confirmed" for result in results):
        silent.add("status")
    if all(result.comparable for result in results):
        silent.add("comparable")
    kept = [
        place
        for place, column in enumerate(sheet.columns)
        if column.key not in silent and any(row[place] not in (None, "") for row in rows)
    ]
    shown = Sheet(
        title="",
        columns=tuple(sheet.columns[place] for place in kept),
        rows=tuple(tuple(row[place] for place in kept) for row in rows),
        records=(),
    )
    return "## Published results\n\n" + "".join(table(shown)).rstrip("\n")


def _notes(entry: AnyEntry, references: _References) -> Iterator[str]:
    for note in entry.notes:
        sign = "**Correction.** " if note.corrects else ""
        yield f"- {sign}{escape(note.text)} {references.mark(note.source)}"
