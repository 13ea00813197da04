"""Sheets of what the network said of the catalogue: figures, changes, differences, links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.render.sheet import Cell, Column, Figure, Linked, Sheet

if TYPE_CHECKING:
    from bioretrieval_tui.online.differences import Difference
    from bioretrieval_tui.online.fresh import Change, Subject
    from bioretrieval_tui.online.linkcheck import Checked


def difference_sheet(found: Sequence[Difference]) -> Sheet:
    """Where catalogue and network disagree, a row a field."""
    return Sheet(
        title="Differences from the catalogue",
        columns=(
            Column("entry", "entry", weight=2, min_width=10),
            Column("field", "field", min_width=7),
            Column("catalogue", "catalogue says", weight=3, min_width=14),
            Column("found", "found", weight=3, min_width=14),
            Column("date", "since", min_width=10),
            Column("subject", "where", weight=2, min_width=12),
            Column("severe", "severe", data_only=True),
        ),
        rows=tuple(
            (one.entry, one.field, one.catalogue, one.found, one.date, one.subject, one.severe)
            for one in found
        ),
        records=tuple(asdict(one) for one in found),
    )


def change_sheet(found: Sequence[Change]) -> Sheet:
    """What changed, newest first, a row a fact."""
    return Sheet(
        title="Changes",
        columns=(
            Column("date", "date", min_width=10),
            Column("where", "where", min_width=5),
            Column("name", "name", weight=3, min_width=12),
            Column("field", "field", min_width=7),
            Column("before", "before", weight=2, min_width=8),
            Column("after", "after", weight=2, min_width=8),
        ),
        rows=tuple(
            (one.date, one.where, one.name, one.field, one.before, one.after) for one in found
        ),
        records=tuple(
            {
                "date": one.date,
                "where": one.where,
                "name": one.name,
                "field": one.field,
                "before": one.before,
                "after": one.after,
            }
            for one in found
        ),
    )


def subject_sheet(found: Sequence[Subject], entries: Mapping[str, Sequence[str]]) -> Sheet:
    """Everything that is known of each subject; `entries`: subject's key -> ids that name it."""
    return Sheet(
        title="The catalogue on the network",
        columns=(
            Column("name", "name", weight=4, min_width=16),
            Column("entries", "entry", weight=2, min_width=10),
            Column("state", "state", min_width=6),
            Column("changed", "last change", min_width=10),
            Column("downloads", "downloads", "right"),
            Column("likes", "likes", "right"),
            Column("licence", "licence", min_width=7),
            Column("gated", "gated", min_width=5),
            Column("version", "version", "right"),
            Column("asked", "asked", min_width=10),
            Column("where", "where", data_only=True),
            Column("now", "now", data_only=True),
        ),
        rows=tuple(_subject_row(one, entries.get(one.key, ())) for one in found),
        records=tuple(_subject_record(one, entries.get(one.key, ())) for one in found),
    )


def _subject_row(one: Subject, entries: Sequence[str]) -> tuple[Cell, ...]:
    facts = {name: fact.value for name, fact in one.facts.items()}
    state = f"now {one.now}" if one.state == "renamed" and one.now else one.state
    return (
        one.name,
        ", ".join(entries),
        Figure(one.state, state),
        facts.get("changed") or facts.get("updated"),
        _counted(facts.get("downloads")),
        _counted(facts.get("likes")),
        facts.get("licence"),
        facts.get("gated"),
        facts.get("version"),
        one.asked,
        one.where,
        one.now,
    )


def _counted(value: Cell) -> Cell:
    return Figure(value, f"{value:,}") if isinstance(value, int) else None


def _subject_record(one: Subject, entries: Sequence[str]) -> dict[str, Any]:
    return {
        "where": one.where,
        "name": one.name,
        "entries": list(entries),
        "state": one.state,
        "now": one.now,
        "asked": one.asked,
        "facts": {
            name: {"value": fact.value, "date": fact.date} for name, fact in one.facts.items()
        },
    }


def link_sheet(found: Sequence[Checked]) -> Sheet:
    """Links with what to do, a row an address."""
    return Sheet(
        title="Links",
        columns=(
            Column("verdict", "verdict", min_width=7),
            Column("status", "status", "right"),
            Column("url", "address", weight=4, min_width=24),
            Column("where", "where", weight=2, min_width=12),
            Column("advice", "what to do", weight=4, min_width=20),
            Column("final", "final", data_only=True),
        ),
        rows=tuple(_link_row(one) for one in found),
        records=tuple(_link_record(one) for one in found),
    )


def _link_row(one: Checked) -> tuple[Cell, ...]:
    places = [f"{use.entry} ({use.label})" for use in one.link.uses]
    more = f" and {len(places) - 2} more" if len(places) > 2 else ""
    return (
        one.verdict,
        one.status,
        Linked(one.link.url, one.link.url),
        Figure("; ".join(places), "; ".join(places[:2]) + more),
        one.advice,
        one.final,
    )


def _link_record(one: Checked) -> dict[str, Any]:
    return {
        "url": one.link.url,
        "verdict": one.verdict,
        "status": one.status,
        "final": one.final,
        "advice": one.advice,
        "uses": [asdict(use) for use in one.link.uses],
    }
