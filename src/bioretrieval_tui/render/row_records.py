"""The fields of a row of the app, by name: for templates of `--select` and the user's commands."""

from __future__ import annotations

from typing import Any

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.fields import TABLE
from bioretrieval_tui.catalog.models import SECTIONS, AnyEntry
from bioretrieval_tui.search.types import Hit

Chosen = AnyEntry | Hit | str
"""An entry, a document, or a name (of an index, of a run)."""
OF_NAME = frozenset(("id", "name", "title"))
_OF_ENTRY = frozenset(("kind", "title", "link", "url", "related", "results", "references"))
METADATA = "metadata."
"""Stands before the name of any other field of a document."""


def fields_of(pane: str) -> frozenset[str]:
    """The fields that rows of a pane may have; of "everywhere", those of any."""
    if pane in ("found", "news"):
        hit = Hit(1, "", "", "", None, None, 0.0, index=" ")
        return frozenset((*_record_of_hit(hit), "link"))
    if pane in ("everywhere", "home", "search", "shelf"):
        every = fields_of("found").union(*map(fields_of, SECTIONS))
        return every | OF_NAME
    if pane == "indexes":
        return OF_NAME
    if pane == "leaderboard":
        return fields_of("models") | fields_of("recipes")
    struct = SECTIONS[pane]
    declared = TABLE.declared_only(str(struct.__struct_config__.tag))
    return _OF_ENTRY.union(struct.__struct_fields__, declared) - {"extra"}


def record_of(thing: Chosen, catalogue: Catalogue) -> dict[str, Any]:
    """The fields of a row."""
    if isinstance(thing, str):
        return dict.fromkeys(OF_NAME, thing)
    if isinstance(thing, Hit):
        own = {f"{METADATA}{name}": value for name, value in thing.metadata.items()}
        return {**own, **thing.metadata, **_record_of_hit(thing), "link": thing.url}
    from bioretrieval_tui.render.entries import entry_record

    record, link = entry_record(thing, catalogue), link_of(thing)
    return {**record, "title": record.get("title") or thing.name, "link": link, "url": link}


def _record_of_hit(hit: Hit) -> dict[str, Any]:
    from bioretrieval_tui.render.hits import hit_sheet

    return next(iter(hit_sheet([hit]).records))


def link_of(thing: Chosen) -> str | None:
    """The first address of a row."""
    if isinstance(thing, str):
        return None
    if isinstance(thing, Hit):
        return thing.url
    return next((link.url for link in thing.links), None)


def text_of(value: Any) -> str:
    """A field as text; several values with semicolons."""
    if isinstance(value, list | tuple):
        return "; ".join(map(text_of, value))
    if isinstance(value, dict):
        return "; ".join(f"{name} {text_of(one)}" for name, one in value.items())
    return "" if value is None else str(value)
