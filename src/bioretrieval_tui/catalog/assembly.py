"""Files -> records: one pass that types, a second that looks across records.

`Draft` gathers what the files hold, with the place of each record, so that a problem found
later (a dangling relation, a second use of an id) still names its file and line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bioretrieval_tui.catalog import reading
from bioretrieval_tui.catalog.entries import LISTS, SECTIONS, AnyEntry, Change, Result, Source
from bioretrieval_tui.catalog.typing_checks import Walk, nearest
from bioretrieval_tui.errors import Problem

ENTRY_FILE_KEYS = {"version", "updated", "include"}
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record was read."""

    file: Path
    line: int


@dataclass(slots=True)
class Draft:
    """Records under assembly. Values are plain; they become structs in `content`."""

    entries: dict[str, tuple[str, dict[str, Any], Place]] = field(default_factory=dict)
    lists: dict[str, list[tuple[dict[str, Any], Place]]] = field(
        default_factory=lambda: {name: [] for name in LISTS}
    )
    problems: list[Problem] = field(default_factory=list)

    def copy(self) -> Draft:
        """A draft that can be added to without touching this one (records are not changed)."""
        lists = {name: list(items) for name, items in self.lists.items()}
        return Draft(dict(self.entries), lists, [])


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A whole catalogue as typed values: the compiled form is this, as JSON."""

    entries: tuple[AnyEntry, ...]
    results: tuple[Result, ...]
    sources: tuple[Source, ...]
    changes: tuple[Change, ...] = ()
    updated: str | None = None


def add_file(draft: Draft, path: Path, data: bytes, *, overlay: bool, main: bool = False) -> None:
    """Add the sections of one file to `draft`; what is wrong goes to `draft.problems`.

    In an overlay an entry whose id exists already overrides the fields that it gives.
    """
    document = reading.compose(path, data)
    if isinstance(document, Problem):
        draft.problems.append(document)
        return
    if document.root is None:
        return
    if not isinstance(document.root, reading.Mapping):
        line = reading.line_of(document.root)
        draft.problems.append(Problem(path, "expects sections such as 'models:'", line))
        return
    known = [*SECTIONS, *LISTS, *(ENTRY_FILE_KEYS if main else ())]
    for key_node, value_node in document.root.value:
        key = str(reading.plain(key_node))
        line = reading.line_of(key_node)
        if key not in known:
            hint = nearest(key, known)
            draft.problems.append(Problem(path, f"unknown section '{key}'{hint}", line))
        elif key in ENTRY_FILE_KEYS:
            _check_header(draft, path, key, value_node)
        elif not isinstance(value_node, reading.Sequence):
            draft.problems.append(Problem(path, f"section '{key}' expects a list", line))
        elif key in SECTIONS:
            for item in value_node.value:
                _add_entry(draft, path, key, item, overlay)
        else:
            _add_list(draft, path, key, value_node)


def included(path: Path, data: bytes) -> list[str]:
    """The file names that the catalogue's entry file includes; [] if it cannot be read."""
    document = reading.compose(path, data)
    if isinstance(document, Problem) or not isinstance(document.root, reading.Mapping):
        return []
    include = reading.plain(document.root).get("include") or []
    return [str(name) for name in include] if isinstance(include, list) else []


def _check_header(draft: Draft, path: Path, key: str, node: reading.Node) -> None:
    value = reading.plain(node)
    if key == "version" and value != FORMAT_VERSION:
        message = f"format version {value} is not {FORMAT_VERSION}, the one this program reads"
        draft.problems.append(Problem(path, message, reading.line_of(node)))


def _add_entry(draft: Draft, path: Path, section: str, node: reading.Node, overlay: bool) -> None:
    place = Place(path, reading.line_of(node))
    if not isinstance(node, reading.Mapping):
        draft.problems.append(Problem(path, f"an item of '{section}' expects keys", place.line))
        return
    identifier = str(reading.plain(node).get("id") or "")
    label = identifier or f"{section} (no id)"
    before = draft.entries.get(identifier)
    walk = Walk(path, label, draft.problems)
    record = walk.record(node, SECTIONS[section], whole=not (overlay and before))
    if not identifier:
        return
    if before is None:
        draft.entries[identifier] = (section, record, place)
        return
    if not overlay:
        other = f"{before[2].file.name}:{before[2].line}"
        draft.problems.append(
            Problem(path, f"id '{identifier}' is already used at {other}", place.line, label, "id")
        )
    elif before[0] != section:
        message = f"'{identifier}' is one of {before[0]}, not of {section}"
        draft.problems.append(Problem(path, message, place.line, label))
    else:
        draft.entries[identifier] = (section, {**before[1], **record}, place)


def _add_list(draft: Draft, path: Path, section: str, node: reading.Sequence) -> None:
    for number, item in enumerate(node.value, 1):
        label = f"{section}[{number}]"
        if section == "sources" and isinstance(item, reading.Mapping):
            label = str(reading.plain(item).get("id") or label)
        record = Walk(path, label, draft.problems).record(item, LISTS[section])
        draft.lists[section].append((record, Place(path, reading.line_of(item))))


def content(draft: Draft, updated: str | None = None) -> Content:
    """The typed content of a draft that has no problems."""
    entries = tuple(
        msgspec.convert(record, SECTIONS[section]) for section, record, _ in draft.entries.values()
    )
    ordered = tuple(sorted(entries, key=lambda e: list(SECTIONS.values()).index(type(e))))
    # A later source of the same id (an overlay's) replaces the earlier one.
    sources = {record["id"]: record for record, _ in draft.lists["sources"]}
    return Content(
        entries=ordered,
        results=tuple(msgspec.convert(r, Result) for r, _ in draft.lists["results"]),
        sources=tuple(msgspec.convert(r, Source) for r in sources.values()),
        changes=tuple(msgspec.convert(r, Change) for r, _ in draft.lists["changes"]),
        updated=updated,
    )
