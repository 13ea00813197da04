"""Read catalogue files: YAML to typed entries, with every check.

`python -m bioretrieval_tui.catalog.loader FOLDER` prints every problem of a folder. The app
starts from the compiled form of the result (`compiled`), since this takes long. A `Draft` keeps the
place of each record, so that a problem found across records (a dangling relation, a second use of
an id) names its file and line.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import yaml
from msgspec import inspect as shapes

from bioretrieval_tui.catalog import fields as table_of_fields
from bioretrieval_tui.catalog.checked_yaml import (
    EXTRA,
    Walk,
    compose,
    key_text,
    line_of,
    nearest,
    plain,
    shape_of,
    shown,
)
from bioretrieval_tui.catalog.models import (
    FORMAT_VERSION,
    LISTS,
    SECTIONS,
    Change,
    Content,
    Encoding,
    Result,
    Side,
    Source,
    Text,
)
from bioretrieval_tui.errors import CatalogueError, NotFoundError, Problem

ENTRY_FILE_KEYS = ("version", "updated", "include")


@dataclass(frozen=True, slots=True)
class YamlPlace:
    """Where a record was read."""

    file: Path
    line: int


@dataclass(slots=True)
class Draft:
    """Records under assembly. Values are plain; they become structs in `content`.

    unparsed: a file is not YAML; ids that it holds are missing, so references are not checked.
    """

    entries: dict[str, tuple[str, dict[str, Any], YamlPlace]] = dataclasses.field(
        default_factory=dict
    )
    lists: dict[str, list[tuple[dict[str, Any], YamlPlace]]] = dataclasses.field(
        default_factory=lambda: {name: [] for name in LISTS}
    )
    problems: list[Problem] = dataclasses.field(default_factory=list)
    unparsed: bool = False
    header: dict[str, Any] = dataclasses.field(default_factory=dict)

    def copy(self) -> Draft:
        """A draft that can be added to without touching this one (records are not changed)."""
        lists = {name: list(items) for name, items in self.lists.items()}
        return Draft(dict(self.entries), lists, [])


def add_file(draft: Draft, path: Path, data: bytes, *, overlay: bool, main: bool = False) -> None:
    """Add the sections of one file to `draft`; what is wrong goes to `draft.problems`.

    In an overlay an entry whose id exists already overrides the fields that it gives; an empty
    overlay holds nothing, where an empty file of the catalogue itself has lost something.
    """
    document = compose(path, data)
    if isinstance(document, Problem):
        draft.problems.append(document)
        draft.unparsed = True
        return
    if document.root is None:
        if not overlay:
            draft.problems.append(Problem(path, "is empty"))
        return
    if not isinstance(document.root, yaml.MappingNode):
        line = line_of(document.root)
        draft.problems.append(Problem(path, "expects sections such as 'models:'", line))
        return
    known = [*SECTIONS, *LISTS, *(ENTRY_FILE_KEYS if main else ())]
    seen: set[str] = set()
    for key_node, value_node in document.root.value:
        key = key_text(key_node)
        line = line_of(key_node)
        if key not in known:
            hint = nearest(key, known)
            draft.problems.append(Problem(path, f"unknown section '{shown(key)}'{hint}", line))
            continue
        if key in seen:
            draft.problems.append(Problem(path, f"section '{key}' is given twice", line))
            continue
        seen.add(key)
        if key in ENTRY_FILE_KEYS:
            if fault := _header_fault(key, value_node):
                draft.problems.append(Problem(path, fault, line_of(value_node), field=key))
            else:
                draft.header[key] = plain(value_node)
        elif not isinstance(value_node, yaml.SequenceNode):
            draft.problems.append(Problem(path, f"section '{key}' expects a list", line))
        elif key in SECTIONS:
            for item in value_node.value:
                _add_entry(draft, path, key, item, overlay)
        else:
            _add_list(draft, path, key, value_node, overlay)
    if main and "version" not in seen:
        draft.problems.append(Problem(path, "is missing", 1, field="version"))


def _header_fault(key: str, node: yaml.Node) -> str | None:
    value = plain(node)
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


def _add_entry(draft: Draft, path: Path, section: str, node: yaml.Node, overlay: bool) -> None:
    place = YamlPlace(path, line_of(node))
    if not isinstance(node, yaml.MappingNode):
        draft.problems.append(Problem(path, f"an item of '{section}' expects keys", place.line))
        return
    identifier = str(plain(node).get("id") or "")
    label = shown(identifier) or f"{section} (no id)"
    before = draft.entries.get(identifier)
    walk = Walk(path, label, draft.problems, extra_types(section))
    record = walk.record(node, SECTIONS[section], whole=not (overlay and before))
    if not identifier:
        return
    if before is None:
        draft.entries[identifier] = (section, record, place)
        return
    if not overlay or before[2].file == path:
        draft.problems.append(_used_twice(label, place, before[2]))
    elif before[0] != section:
        message = f"'{label}' is one of {before[0]}, not of {section}"
        draft.problems.append(Problem(path, message, place.line, label))
    else:
        changed = {**before[1], **record}
        if EXTRA in before[1] and EXTRA in record:
            changed[EXTRA] = {**before[1][EXTRA], **record[EXTRA]}
        draft.entries[identifier] = (section, changed, place)


def extra_types(section: str) -> dict[str, shapes.Type]:
    """Types of the fields of a section that the table of fields alone declares."""
    kinds = {"text": Text, "number": float, "bool": bool, "set": tuple[Text, ...]}
    found = table_of_fields.TABLE.declared_only(str(SECTIONS[section].__struct_config__.tag))
    return {name: shapes.type_info(kinds[kind]) for name, kind in found.items()}


def _add_list(
    draft: Draft, path: Path, section: str, node: yaml.SequenceNode, overlay: bool
) -> None:
    for number, item in enumerate(node.value, 1):
        label = f"{section}[{number}]"
        if section == "sources" and isinstance(item, yaml.MappingNode):
            label = shown(str(plain(item).get("id") or label))
        record = Walk(path, label, draft.problems).record(item, LISTS[section])
        draft.lists[section].append((record, YamlPlace(path, line_of(item))))
    if section == "sources":
        _check_sources(draft, path, overlay)


def _check_sources(draft: Draft, path: Path, overlay: bool) -> None:
    """Report ids used twice; an overlay may replace a source of another file."""
    seen: dict[str, YamlPlace] = {}
    for record, place in draft.lists["sources"]:
        identifier = record.get("id")
        if identifier is None or (overlay and place.file != path):
            continue
        before = seen.setdefault(identifier, place)
        if before is not place and place.file == path:
            draft.problems.append(_used_twice(identifier, place, before))


def _used_twice(identifier: str, place: YamlPlace, before: YamlPlace) -> Problem:
    message = f"id '{identifier}' is already used at {before.file.name}:{before.line}"
    return Problem(place.file, message, place.line, identifier, "id")


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


# Across records ------------------------------------------------------------------------------

_PLACEHOLDERS = ("query", "text", "title", "instruction", "sep")
_COMPARISONS = 50_000
"""Words compared in search of hints, at ten microseconds each: a generated file of ten thousand
entries may have a wrong id in each of them."""


class Checks:
    """All checks over one draft."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.problems: list[Problem] = []
        self._comparisons = 0
        self._results: dict[tuple[Any, ...], YamlPlace] = {}
        self.sources = {record.get("id") for record, _ in draft.lists["sources"]}
        self.sections = {i: section for i, (section, _, _) in draft.entries.items()}

    def run(self) -> list[Problem]:
        """Every problem, in the order of the records."""
        for identifier, (section, record, place) in self.draft.entries.items():
            self._entry(identifier, section, record, place)
        for number, (record, place) in enumerate(self.draft.lists["results"], 1):
            self._result(f"results[{number}]", record, place)
        return self.problems

    def _say(self, place: YamlPlace, entry: str, field: str, message: str) -> None:
        self.problems.append(Problem(place.file, message, place.line, shown(entry), field))

    def _hint(self, word: str, known: Collection[str]) -> str:
        self._comparisons += len(known)
        return nearest(word, known) if self._comparisons <= _COMPARISONS else ""

    def _refers(
        self, place: YamlPlace, entry: str, field: str, target: str, section: str | None = None
    ) -> None:
        if target not in self.sections:
            if self.draft.unparsed:
                return
            hint = self._hint(target, self.sections)
            self._say(place, entry, field, f"no entry has the id '{shown(target)}'{hint}")
        elif section and self.sections[target] != section:
            message = f"'{shown(target)}' is one of {self.sections[target]}, not of {section}"
            self._say(place, entry, field, message)

    def _sourced(self, place: YamlPlace, entry: str, field: str, source: str) -> None:
        if source not in self.sources and not self.draft.unparsed:
            hint = self._hint(source, [str(known) for known in self.sources])
            self._say(place, entry, field, f"no source has the id '{shown(source)}'{hint}")

    def _entry(self, entry: str, section: str, record: dict[str, Any], place: YamlPlace) -> None:
        for target in record.get("relations", ()):
            self._refers(place, entry, "relations", target)
            if target == entry:
                self._say(place, entry, "relations", "relates to itself")
        for source in record.get("sources", ()):
            self._sourced(place, entry, "sources", source)
        for field in ("facts", "notes"):
            for number, item in enumerate(record.get(field, ())):
                if "source" in item:
                    self._sourced(place, entry, f"{field}[{number}].source", item["source"])
        for field, target, wanted in _references(section, record):
            self._refers(place, entry, field, target, wanted)
        known = {f.encode_name for f in shape_of(SECTIONS[section]).fields} - {EXTRA}
        known |= extra_types(section).keys()
        for field in record.get("statuses", {}):
            if field not in known:
                hint = self._hint(field, known)
                self._say(place, entry, "statuses", f"unknown field '{shown(field)}'{hint}")
        labels = [str(link.get("label", "")).casefold() for link in record.get("links", ())]
        for label in sorted({label for label in labels if labels.count(label) > 1}):
            self._say(place, entry, "links", f"label '{shown(label)}' is used twice")
        if isinstance(record.get("encoding"), dict):
            self._encoding(entry, record["encoding"], place)

    def _encoding(self, entry: str, recipe: dict[str, Any], place: YamlPlace) -> None:
        known = {f.encode_name for f in shape_of(Encoding).fields}
        known |= {f"{side}.{f}" for side in ("query", "document") for f in Side.__struct_fields__}
        for field in recipe.get("unverified", ()):
            if field not in known:
                message = f"unknown field '{shown(field)}'{self._hint(field, known)}"
                self._say(place, entry, "encoding.unverified", message)
        for target in recipe.get("instructions", {}):
            self._refers(place, entry, "encoding.instructions", target, "benchmarks")
        check = recipe.get("check")
        if isinstance(check, dict) and "source" in check:
            self._sourced(place, entry, "encoding.check.source", check["source"])
        for side in ("query", "document"):
            given = recipe.get(side) or {}
            for template in (given.get("template"), *(given.get("pair") or ())):
                if template is not None and (fault := _template_fault(template)):
                    self._say(place, entry, f"encoding.{side}", fault)

    def _result(self, label: str, record: dict[str, Any], place: YamlPlace) -> None:
        for field, section in (("model", "models"), ("benchmark", "benchmarks")):
            if field in record:
                self._refers(place, label, field, record[field], section)
        if "source" in record:
            self._sourced(place, label, "source", record["source"])
        if record.get("comparable") is False and not record.get("note"):
            self._say(place, label, "note", "is missing: say why it cannot be compared")
        if not all(field in record for field in ("model", "benchmark", "source")):
            return
        key = tuple(record.get(f) for f in _RESULT_KEY)
        if other := self._results.get(key):
            message = f"the same result is at {other.file.name}:{other.line}"
            self._say(place, label, "value", message)
        self._results[key] = place


_RESULT_KEY = ("model", "benchmark", "subset", "metric", "source", "note")


def _references(section: str, record: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Fields other than `relations` that name an entry: (field, id, section it must be in)."""
    if section == "recipes":
        if "model" in record:
            yield "model", record["model"], "models"
        if record.get("paper"):
            yield "paper", record["paper"], "papers"
    elif section == "models":
        for target in record.get("trained_on", ()):
            yield "trained_on", target, "benchmarks"


def _template_fault(template: str) -> str | None:
    """What is wrong with a text template, or None."""
    import string

    quoted = f"'{shown(template)}'"
    try:
        fields = list(string.Formatter().parse(template))
    except ValueError as error:
        return f"template {quoted} does not parse: {error}"
    for _, name, form, conversion in fields:
        if name is None:
            continue
        if name not in _PLACEHOLDERS:
            known = ", ".join("{" + p + "}" for p in _PLACEHOLDERS)
            return f"template {quoted} has a field '{{{shown(name)}}}' that is not one of {known}"
        if form or conversion:
            return f"template {quoted} formats '{{{name}}}'; a field stands alone in its braces"
    return None


# Whole folders -------------------------------------------------------------------------------

MAIN = "catalog.yaml"


Files: TypeAlias = Mapping[Path, bytes]
"""YAML files by path, in reading order."""


def read_folder(folder: Path) -> Files:
    """The YAML files of a catalogue folder, its entry file first.

    Raises:
        NotFoundError: there is no `catalog.yaml`.
        CatalogueError: a file cannot be read.
    """
    main = folder / MAIN
    if not main.is_file():
        raise NotFoundError(f"no {MAIN} in {folder}", remedy="reinstall bioretrieval-tui")
    paths = [main, *sorted(p for p in folder.glob("*.yaml") if p.name != MAIN)]
    contents: dict[Path, bytes] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            contents[path] = path.read_bytes()
        except OSError as error:
            problems.append(Problem(path, f"cannot be read: {error.strerror}"))
    if problems:
        raise CatalogueError(problems)
    return contents


def parse(files: Files) -> tuple[Draft, Content]:
    """Validate a catalogue.

    Raises:
        CatalogueError: with every problem of every file.
    """
    draft = Draft()
    (main, main_data), *rest = files.items()
    add_file(draft, main, main_data, overlay=False, main=True)
    by_name = {path.name: (path, data) for path, data in rest}
    # If the entry file has faults, the other files are checked nevertheless.
    wanted = draft.header.get("include", list(by_name) if draft.problems else [])
    for name in wanted:
        if name in by_name:
            add_file(draft, *by_name[name], overlay=False)
        else:
            message = f"includes '{shown(name)}', which is not there"
            draft.problems.append(Problem(main, message, field="include"))
    for name in by_name:
        if name not in wanted:
            message = f"does not include '{shown(name)}', which is there"
            draft.problems.append(Problem(main, message, field="include"))
    problems = draft.problems + Checks(draft).run()
    if problems:
        order = {path: number for number, path in enumerate(files)}
        raise CatalogueError(sorted(problems, key=lambda p: (order[Path(p.file)], p.line or 0)))
    return draft, content(draft, draft.header.get("updated"))


def apply_overlays(draft: Draft, base: Content, files: Files) -> tuple[Content, list[Problem]]:
    """The catalogue with every valid overlay; the problems of the others.

    Overlays are applied in their order. One with any problem is left out whole.
    """
    problems: list[Problem] = []
    result = base
    for path, data in files.items():
        trial = draft.copy()
        add_file(trial, path, data, overlay=True)
        faults = trial.problems + Checks(trial).run()
        if faults:
            problems.extend(faults)
            continue
        draft, result = trial, content(trial, base.updated)
    return result, problems


def main(arguments: list[str]) -> int:
    """Print every problem of the catalogue folder given, or its counts."""
    folder = Path(arguments[0] if arguments else "data")
    try:
        _, whole = parse(read_folder(folder))
    except CatalogueError as error:
        print("\n".join(str(p) for p in error.problems), file=sys.stderr)
        print(f"{len(error.problems)} problems", file=sys.stderr)
        return error.exit_code
    except NotFoundError as error:
        print(error.line(), file=sys.stderr)
        return error.exit_code
    print(f"{len(whole.entries)} entries, {len(whole.results)} results: no problems")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
