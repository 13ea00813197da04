"""Read catalogue files: YAML to typed entries, with every check.

`python -m bioretrieval_tui.catalog.loader FOLDER` prints every problem of a folder, and with
`--schema` writes the JSON Schema of its files. The app starts from the compiled form of the result
(`compiled`), since this takes long.

`typed_yaml` reads the files and compares them with the types. A `Draft` keeps the place of each
record, so that a problem found across records (a dangling relation, a second use of
an id) names its file and line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import msgspec
import yaml
from msgspec import inspect as shapes

from bioretrieval_tui.catalog import fields as table_of_fields
from bioretrieval_tui.catalog import models
from bioretrieval_tui.catalog.models import LISTS, SECTIONS, Content
from bioretrieval_tui.catalog.typed_yaml import (
    EXTRA,
    Walk,
    compose,
    line_of,
    nearest,
    plain,
    shape_of,
    shown,
)
from bioretrieval_tui.errors import CatalogueError, NotFoundError, Problem

MAIN = "catalog.yaml"
SCHEMA_FILE = "catalog.schema.json"
"""For editors: the output of `--schema`."""

Files: TypeAlias = Mapping[Path, bytes]
"""YAML files by path, in reading order."""

# Sections of a file ---------------------------------------------------------------------------


class Header(msgspec.Struct):
    """What only the entry file has."""

    version: Annotated[Literal[1], msgspec.Meta(description="the version that this program reads")]
    updated: Annotated[str, msgspec.Meta(description="day of the last change")] | None = None
    include: tuple[str, ...] = ()


class YamlPlace(NamedTuple):
    """Where a record was read."""

    file: Path
    line: int


Record = dict[str, Any]


class Draft(msgspec.Struct):
    """Records under assembly. Values are plain; they become structs in `content`. entries: section,
    values and place by id; unparsed: a file is not YAML; ids that it holds are missing, so
    references are not checked."""

    entries: dict[str, tuple[str, Record, YamlPlace]] = {}
    lists: dict[str, list[tuple[Record, YamlPlace]]] = msgspec.field(
        default_factory=lambda: {name: [] for name in LISTS}
    )
    problems: list[Problem] = []
    unparsed: bool = False
    header: Record = {}

    def copy(self) -> Draft:
        """A draft that can be added to without touching this one (records are not changed)."""
        lists = {name: list(items) for name, items in self.lists.items()}
        return Draft(dict(self.entries), lists, [])


def add_file(draft: Draft, path: Path, data: bytes, *, overlay: bool, main: bool = False) -> None:
    """Add the sections of one file to `draft`; what is wrong goes to `draft.problems`. In an
    overlay an entry whose id exists already overrides the fields that it gives; an empty overlay
    holds nothing, where an empty file of the catalogue itself has lost something."""
    walk = Walk(path, None, draft.problems)
    root = compose(path, data)
    if isinstance(root, Problem):
        draft.problems.append(root)
        draft.unparsed = True
    elif root is None:
        draft.problems += [] if overlay else [Problem(path, "is empty")]
    elif not isinstance(root, yaml.MappingNode):
        walk.say(root, "", "expects sections such as 'models:'")
    else:
        header = Header.__struct_fields__ if main else ()
        given = []
        for key, _, key_node, node in walk.pairs(root, "", [*SECTIONS, *LISTS, *header], "section"):
            if key in header:
                given.append((key_node, node))
            elif not isinstance(node, yaml.SequenceNode):
                walk.say(key_node, "", f"section '{key}' expects a list")
            elif key in SECTIONS:
                for item in node.value:
                    _add_entry(draft, path, key, item, overlay)
            else:
                _add_list(draft, path, key, node, overlay)
        if main:
            first = yaml.MappingNode("", given, root.start_mark)
            before = len(draft.problems)
            header_values = walk.record(first, Header)
            draft.header = header_values if len(draft.problems) == before else {}


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
    if before is None:
        if identifier:
            draft.entries[identifier] = (section, record, place)
    elif not overlay or before[2].file == path:
        draft.problems.append(_used_twice(label, place, before[2]))
    elif before[0] != section:
        walk.say(node, "", f"'{label}' is one of {before[0]}, not of {section}")
    else:
        changed = {**before[1], **record}
        if EXTRA in before[1] and EXTRA in record:
            changed[EXTRA] = {**before[1][EXTRA], **record[EXTRA]}
        draft.entries[identifier] = (section, changed, place)


def extra_types(section: str) -> dict[str, shapes.Type]:
    """Types of the fields of a section that the table of fields alone declares."""
    kinds = {
        "text": models.Text,
        "number": float,
        "bool": bool,
        "set": tuple[models.Text, ...],
        "date": models.Day,
    }
    found = table_of_fields.TABLE.declared_only(str(SECTIONS[section].__struct_config__.tag))
    return {name: shapes.type_info(kinds[kind]) for name, kind in found.items()}


def _add_list(
    draft: Draft, path: Path, section: str, node: yaml.SequenceNode, overlay: bool
) -> None:
    """Add the records of a section; a source's id is used once, but an overlay may replace one of
    another file."""
    seen = {record.get("id"): place for record, place in draft.lists[section]}
    if overlay:
        seen = {name: place for name, place in seen.items() if place.file == path}
    for number, item in enumerate(node.value, 1):
        place = YamlPlace(path, line_of(item))
        label = f"{section}[{number}]"
        if section == "sources" and isinstance(item, yaml.MappingNode):
            label = shown(str(plain(item).get("id") or label))
        record = Walk(path, label, draft.problems).record(item, LISTS[section])
        draft.lists[section].append((record, place))
        if "id" in record and seen.setdefault(record["id"], place) is not place:
            draft.problems.append(_used_twice(record["id"], place, seen[record["id"]]))


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
        results=tuple(msgspec.convert(r, models.Result) for r, _ in draft.lists["results"]),
        sources=tuple(msgspec.convert(r, models.Source) for r in sources.values()),
        changes=tuple(msgspec.convert(r, models.Change) for r, _ in draft.lists["changes"]),
        updated=updated,
    )


# Across records ------------------------------------------------------------------------------

_PLACEHOLDERS = ("query", "text", "title", "instruction", "sep")
_COMPARISONS = 50_000
"""Words compared in search of hints, at ten microseconds each: a generated file of ten thousand
entries may have a wrong id in each of them."""
_RESULT_KEY = ("model", "benchmark", "subset", "metric", "source", "note")
_REFERENCES = {
    "recipes": (("model", "models"), ("paper", "papers")),
    "models": (("trained_on", "benchmarks"),),
    "results": (("model", "models"), ("benchmark", "benchmarks")),
}
"""By section: fields other than `relations` that name entries, and the section they must be in."""

Faults = Iterator[tuple[str, str]]
"""The field and the message of each fault of a record."""


class Checks:
    """All checks over one draft."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self._comparisons = 0
        self._results: dict[tuple[Any, ...], YamlPlace] = {}
        self._hubs: dict[str, tuple[str, int]] = {}
        self.sources = {record.get("id") for record, _ in draft.lists["sources"]}
        self.sections = {i: section for i, (section, _, _) in draft.entries.items()}

    def run(self) -> list[Problem]:
        """Every problem, in the order of the records."""
        problems: list[Problem] = []

        def report(label: str, place: YamlPlace, faults: Faults) -> None:
            for field, message in faults:
                problems.append(Problem(place.file, message, place.line, shown(label), field))

        for identifier, (section, record, place) in self.draft.entries.items():
            report(identifier, place, self._entry(identifier, section, record))
        for number, (record, place) in enumerate(self.draft.lists["results"], 1):
            report(f"results[{number}]", place, self._result(record, place))
        return problems

    def _hint(self, word: str, known: Collection[str]) -> str:
        self._comparisons += len(known)
        return nearest(word, known) if self._comparisons <= _COMPARISONS else ""

    def _refers(self, field: str, target: str, section: str = "") -> Faults:
        found = self.sections.get(target)
        if found is None and not self.draft.unparsed:
            hint = self._hint(target, self.sections)
            yield field, f"no entry has the id '{shown(target)}'{hint}"
        elif found and section and found != section:
            yield field, f"'{shown(target)}' is one of {found}, not of {section}"

    def _sourced(self, field: str, record: Any) -> Faults:
        source = record.get("source") if isinstance(record, dict) else None
        if source is not None and source not in self.sources and not self.draft.unparsed:
            hint = self._hint(source, [str(known) for known in self.sources])
            yield field, f"no source has the id '{shown(source)}'{hint}"

    def _named(self, section: str, record: Record) -> Faults:
        for field, wanted in _REFERENCES.get(section, ()):
            targets = record.get(field) or ()
            for target in (targets,) if isinstance(targets, str) else targets:
                yield from self._refers(field, target, wanted)

    def _unknown(self, field: str, names: Collection[str], known: set[str]) -> Faults:
        for name in names:
            if name not in known:
                yield field, f"unknown field '{shown(name)}'{self._hint(name, known)}"

    def _entry(self, entry: str, section: str, record: Record) -> Faults:
        for target in record.get("relations", ()):
            yield from self._refers("relations", target)
            if target == entry:
                yield "relations", "relates to itself"
        for source in record.get("sources", ()):
            yield from self._sourced("sources", {"source": source})
        for field in ("facts", "notes"):
            for number, item in enumerate(record.get(field, ())):
                yield from self._sourced(f"{field}[{number}].source", item)
        yield from self._named(section, record)
        known = {f.encode_name for f in shape_of(SECTIONS[section]).fields} - {EXTRA}
        yield from self._unknown(
            "statuses", record.get("statuses", {}), known | extra_types(section).keys()
        )
        labels = [str(link.get("label", "")).casefold() for link in record.get("links", ())]
        for label in sorted({label for label in labels if labels.count(label) > 1}):
            yield "links", f"label '{shown(label)}' is used twice"
        if isinstance(record.get("encoding"), dict):
            yield from self._encoding(record["encoding"])
        if isinstance(record.get("training"), dict):
            yield from self._training(record["training"])
        if section == "models":
            yield from self._hub(entry, record)

    def _hub(self, entry: str, record: Record) -> Faults:
        """A hub id belongs to one model; only adapters share the repository below them."""
        names = [
            str(name).casefold() for name in (*record.get("hub", ()), *record.get("aliases", ()))
        ]
        for name in dict.fromkeys(names):
            first = self._hubs.setdefault(name, (entry, len(names)))
            if first[0] != entry and 1 in (len(names), first[1]):
                place = self.draft.entries[first[0]][2]
                where = f"{place.file.name}:{place.line}"
                yield "hub", f"'{shown(name)}' is the model of '{first[0]}' too, at {where}"

    def _encoding(self, recipe: Record) -> Faults:
        known = {f.encode_name for f in shape_of(models.Encoding).fields}
        known |= {
            f"{side}.{f}" for side in ("query", "document") for f in models.Side.__struct_fields__
        }
        yield from self._unknown("encoding.unverified", recipe.get("unverified", ()), known)
        for target in recipe.get("instructions", {}):
            yield from self._refers("encoding.instructions", target, "benchmarks")
        yield from self._sourced("encoding.check.source", recipe.get("check"))
        for side in ("query", "document"):
            given = recipe.get(side) or {}
            for template in (given.get("template"), *(given.get("pair") or ())):
                if template is not None and (fault := _template_fault(template)):
                    yield f"encoding.{side}", fault

    def _training(self, training: Record) -> Faults:
        """Each value says where it was read, and what cannot simply be run says why."""
        known = set(models.TrainingSettings.__struct_fields__)
        evidence = training.get("evidence", {})
        yield from self._unknown("training.evidence", evidence, known)
        for name, value in training.items():
            if name in known and value is not None and name not in evidence:
                yield f"training.evidence.{name}", "is missing: say where it was read"
        for name, text in evidence.items():
            source, _, place = text.partition(": ")
            if not place.strip():
                yield f"training.evidence.{name}", "expects a source and a place (card: Training)"
            else:
                yield from self._sourced(f"training.evidence.{name}", {"source": source})
        if training.get("runnable") in ("needs", "no") and not training.get("because"):
            yield "training.because", "is missing: say what has to be brought, or why not"

    def _result(self, record: Record, place: YamlPlace) -> Faults:
        yield from self._named("results", record)
        yield from self._sourced("source", record)
        value, metric = record.get("value", 0.0), record.get("metric", "nDCG@10")
        if isinstance(value, float) and value < 0 and metric not in models.SIGNED:
            yield "value", f"{value} is out of the range of {shown(str(metric))} (0 to 1)"
        if record.get("comparable") is False and not record.get("note"):
            yield "note", "is missing: say why it cannot be compared"
        if all(field in record for field in ("model", "benchmark", "source")):
            key = tuple(record.get(f) for f in _RESULT_KEY)
            other = self._results.setdefault(key, place)
            if other is not place:
                yield "value", f"the same result is at {other.file.name}:{other.line}"


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


def read_folder(folder: Path) -> Files:
    """The YAML files of a catalogue folder, its entry file first. Raises NotFoundError: there is no
    `catalog.yaml`; CatalogueError: a file cannot be read."""
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
    """Validate a catalogue. Raises CatalogueError: with every problem of every file."""
    draft = Draft()
    (main, main_data), *rest = files.items()
    add_file(draft, main, main_data, overlay=False, main=True)
    by_name = {path.name: (path, data) for path, data in rest}
    # If the entry file has faults, the other files are checked nevertheless.
    wanted = draft.header.get("include", list(by_name) if draft.problems else [])
    for name in dict.fromkeys((*wanted, *by_name)):
        if name in wanted and name in by_name:
            add_file(draft, *by_name[name], overlay=False)
            continue
        message = f"does not include '{shown(name)}', which is there"
        if name in wanted:
            message = f"includes '{shown(name)}', which is not there"
        draft.problems.append(Problem(main, message, field="include"))
    problems = draft.problems + Checks(draft).run()
    if problems:
        order = {path: number for number, path in enumerate(files)}
        raise CatalogueError(sorted(problems, key=lambda p: (order[Path(p.file)], p.line or 0)))
    return draft, content(draft, draft.header.get("updated"))


def apply_overlays(draft: Draft, base: Content, files: Files) -> tuple[Content, list[Problem]]:
    """The catalogue with every valid overlay; the problems of the others. Overlays are applied in
    their order. One with any problem is left out whole."""
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


# JSON Schema ---------------------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """The schema of one catalogue file, any sections of it, as plain JSON values."""
    sections = {**SECTIONS, **LISTS}
    _, components = msgspec.json.schema_components(
        [*sections.values(), Header], ref_template="#/$defs/{name}"
    )
    written = {"number": "number", "bool": "boolean", "set": "array"}
    for entry in SECTIONS.values():
        part = components[entry.__name__]
        # The section implies the kind; `extra` holds the fields that follow.
        del part["properties"]["kind"], part["properties"]["extra"]
        declared = table_of_fields.TABLE.declared_only(str(entry.__struct_config__.tag))
        part["properties"] |= {
            name: {"type": written.get(kind, "string")} for name, kind in declared.items()
        }
        part["required"] = [name for name in part.get("required", []) if name != "kind"]
    properties = components.pop("Header")["properties"]
    for name, part_type in sections.items():
        properties[name] = {"type": "array", "items": {"$ref": f"#/$defs/{part_type.__name__}"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bioretrieval-tui catalogue file",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": components,
    }


def main(arguments: list[str]) -> int:
    """Print every problem of the catalogue folder given, or its counts; `--schema` writes its
    schema instead."""
    names = [one for one in arguments if one != "--schema"]
    folder = Path(names[0] if names else "data")
    if names != arguments:
        text = json.dumps(schema(), indent=2, ensure_ascii=False)
        (folder / SCHEMA_FILE).write_text(f"{text}\n", encoding="utf-8")
        return 0
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
