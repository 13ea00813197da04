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
from bioretrieval_tui.catalog.content import FORMAT_VERSION, Content
from bioretrieval_tui.catalog.entries import LISTS, SECTIONS, Change, Result, Source
from bioretrieval_tui.catalog.typing_checks import Walk, nearest, shown
from bioretrieval_tui.errors import Problem

ENTRY_FILE_KEYS = ("version", "updated", "include")


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


def add_file(draft: Draft, path: Path, data: bytes, *, overlay: bool, main: bool = False) -> None:
    """Add the sections of one file to `draft`; what is wrong goes to `draft.problems`.

    In an overlay an entry whose id exists already overrides the fields that it gives; an empty
    overlay holds nothing, where an empty file of the catalogue itself has lost something.
    """
    document = reading.compose(path, data)
    if isinstance(document, Problem):
        draft.problems.append(document)
        return
    if document.root is None:
        if not overlay:
            draft.problems.append(Problem(path, "is empty"))
        return
    if not isinstance(document.root, reading.Mapping):
        line = reading.line_of(document.root)
        draft.problems.append(Problem(path, "expects sections such as 'models:'", line))
        return
    known = [*SECTIONS, *LISTS, *(ENTRY_FILE_KEYS if main else ())]
    seen: set[str] = set()
    for key_node, value_node in document.root.value:
        key = reading.key_text(key_node)
        line = reading.line_of(key_node)
        if key not in known:
            hint = nearest(key, known)
            draft.problems.append(Problem(path, f"unknown section '{shown(key)}'{hint}", line))
            continue
        if key in seen:
            draft.problems.append(Problem(path, f"section '{key}' is given twice", line))
            continue
        seen.add(key)
        if key in ENTRY_FILE_KEYS:
            _check_header(draft, path, key, value_node)
        elif not isinstance(value_node, reading.Sequence):
            draft.problems.append(Problem(path, f"section '{key}' expects a list", line))
        elif key in SECTIONS:
            for item in value_node.value:
                _add_entry(draft, path, key, item, overlay)
        else:
            _add_list(draft, path, key, value_node, overlay)
    if main and "version" not in seen:
        draft.problems.append(Problem(path, "is missing", 1, field="version"))


def header(path: Path, data: bytes) -> dict[str, Any]:
    """`updated` and `include` of the catalogue's entry file, where they are what they should be."""
    document = reading.compose(path, data)
    if isinstance(document, Problem) or not isinstance(document.root, reading.Mapping):
        return {}
    nodes = {reading.key_text(key): value for key, value in document.root.value}
    return {
        key: reading.plain(nodes[key])
        for key in ENTRY_FILE_KEYS
        if key in nodes and _header_fault(key, nodes[key]) is None
    }


def _check_header(draft: Draft, path: Path, key: str, node: reading.Node) -> None:
    fault = _header_fault(key, node)
    if fault:
        draft.problems.append(Problem(path, fault, reading.line_of(node), field=key))


def _header_fault(key: str, node: reading.Node) -> str | None:
    value = reading.plain(node)
    if key == "version":
        if type(value) is int and value == FORMAT_VERSION:
            return None
        found = shown(str(value))
        return f"format version '{found}' is not {FORMAT_VERSION}, the one this program reads"
    if key == "updated":
        return None if isinstance(value, str) else "expects text (put it in quotes)"
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return None
    return "expects a list of file names"


def _add_entry(draft: Draft, path: Path, section: str, node: reading.Node, overlay: bool) -> None:
    place = Place(path, reading.line_of(node))
    if not isinstance(node, reading.Mapping):
        draft.problems.append(Problem(path, f"an item of '{section}' expects keys", place.line))
        return
    identifier = str(reading.plain(node).get("id") or "")
    label = shown(identifier) or f"{section} (no id)"
    before = draft.entries.get(identifier)
    walk = Walk(path, label, draft.problems)
    record = walk.record(node, SECTIONS[section], whole=not (overlay and before))
    if not identifier:
        return
    if before is None:
        draft.entries[identifier] = (section, record, place)
        return
    if not overlay or before[2].file == path:
        draft.problems.append(_used_twice(label, label, place, before[2]))
    elif before[0] != section:
        message = f"'{label}' is one of {before[0]}, not of {section}"
        draft.problems.append(Problem(path, message, place.line, label))
    else:
        draft.entries[identifier] = (section, {**before[1], **record}, place)


def _add_list(
    draft: Draft, path: Path, section: str, node: reading.Sequence, overlay: bool
) -> None:
    for number, item in enumerate(node.value, 1):
        label = f"{section}[{number}]"
        if section == "sources" and isinstance(item, reading.Mapping):
            label = shown(str(reading.plain(item).get("id") or label))
        record = Walk(path, label, draft.problems).record(item, LISTS[section])
        draft.lists[section].append((record, Place(path, reading.line_of(item))))
    if section == "sources":
        _check_sources(draft, path, overlay)


def _check_sources(draft: Draft, path: Path, overlay: bool) -> None:
    """Ids used twice; an overlay may give a source of another file anew."""
    seen: dict[str, Place] = {}
    for record, place in draft.lists["sources"]:
        identifier = record.get("id")
        if identifier is None or (overlay and place.file != path):
            continue
        before = seen.setdefault(identifier, place)
        if before is not place and place.file == path:
            draft.problems.append(_used_twice(identifier, identifier, place, before))


def _used_twice(identifier: str, label: str, place: Place, before: Place) -> Problem:
    other = f"{before.file.name}:{before.line}"
    message = f"id '{identifier}' is already used at {other}"
    return Problem(place.file, message, place.line, label, "id")


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
