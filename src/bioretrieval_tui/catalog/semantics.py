"""Checks across records: relations that lead nowhere, figures without a known source, marks on
fields that do not exist. Runs on plain records, after the types are known to be right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bioretrieval_tui.catalog.assembly import Draft, Place
from bioretrieval_tui.catalog.entries import SECTIONS, Encoding
from bioretrieval_tui.catalog.typing_checks import nearest, shape_of
from bioretrieval_tui.errors import Problem

_PLACEHOLDERS = ("query", "text", "title", "instruction", "sep")


class Checks:
    """All checks over one draft; problems of the records in `only` are reported (None: all)."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.problems: list[Problem] = []
        self.sources = {record.get("id") for record, _ in draft.lists["sources"]}
        self.sections = {i: section for i, (section, _, _) in draft.entries.items()}

    def run(self) -> list[Problem]:
        """Every problem, in the order of the records."""
        for identifier, (section, record, place) in self.draft.entries.items():
            self._entry(identifier, section, record, place)
        seen: dict[tuple[Any, ...], Place] = {}
        for number, (record, place) in enumerate(self.draft.lists["results"], 1):
            self._result(f"results[{number}]", record, place, seen)
        self._double_sources()
        return self.problems

    def _say(self, place: Place, entry: str, field: str, message: str) -> None:
        self.problems.append(Problem(place.file, message, place.line, entry, field))

    def _refers(
        self, place: Place, entry: str, field: str, target: str, section: str | None = None
    ) -> None:
        if target not in self.sections:
            hint = nearest(target, list(self.sections))
            self._say(place, entry, field, f"no entry has the id '{target}'{hint}")
        elif section and self.sections[target] != section:
            message = f"'{target}' is one of {self.sections[target]}, not of {section}"
            self._say(place, entry, field, message)

    def _sourced(self, place: Place, entry: str, field: str, source: str) -> None:
        if source not in self.sources:
            hint = nearest(source, [str(s) for s in self.sources])
            self._say(place, entry, field, f"no source has the id '{source}'{hint}")

    def _entry(self, entry: str, section: str, record: dict[str, Any], place: Place) -> None:
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
        self._statuses(entry, section, record, place)
        self._labels(entry, record, place)
        if isinstance(record.get("encoding"), dict):
            self._encoding(entry, record["encoding"], place)

    def _statuses(self, entry: str, section: str, record: dict[str, Any], place: Place) -> None:
        known = {f.encode_name for f in shape_of(SECTIONS[section]).fields}
        for field in record.get("statuses", {}):
            if field not in known:
                hint = nearest(field, list(known))
                self._say(place, entry, "statuses", f"unknown field '{field}'{hint}")

    def _labels(self, entry: str, record: dict[str, Any], place: Place) -> None:
        labels = [str(link.get("label", "")).casefold() for link in record.get("links", ())]
        for label in sorted({label for label in labels if labels.count(label) > 1}):
            self._say(place, entry, "links", f"label '{label}' is used twice")

    def _encoding(self, entry: str, recipe: dict[str, Any], place: Place) -> None:
        known = {f.encode_name for f in shape_of(Encoding).fields}
        known |= {f"{side}.{f}" for side in ("query", "document") for f in _SIDE_FIELDS}
        for field in recipe.get("unverified", ()):
            if field not in known:
                hint = nearest(field, list(known))
                self._say(place, entry, "encoding.unverified", f"unknown field '{field}'{hint}")
        for target in recipe.get("instructions", {}):
            self._refers(place, entry, "encoding.instructions", target, "benchmarks")
        check = recipe.get("check")
        if isinstance(check, dict) and "source" in check:
            self._sourced(place, entry, "encoding.check.source", check["source"])
        for side in ("query", "document"):
            for template in _templates(recipe.get(side) or {}):
                fault = template_fault(template)
                if fault:
                    self._say(place, entry, f"encoding.{side}", fault)

    def _result(
        self,
        label: str,
        record: dict[str, Any],
        place: Place,
        seen: dict[tuple[Any, ...], Place],
    ) -> None:
        for field, section in (("model", "models"), ("benchmark", "benchmarks")):
            if field in record:
                self._refers(place, label, field, record[field], section)
        if "source" in record:
            self._sourced(place, label, "source", record["source"])
        if record.get("comparable") is False and not record.get("note"):
            self._say(place, label, "note", "is missing: say why it cannot be compared")
        key = tuple(record.get(f) for f in _RESULT_KEY)
        if key in seen:
            other = seen[key]
            message = f"the same figure stands at {other.file.name}:{other.line}"
            self._say(place, label, "value", message)
        seen[key] = place

    def _double_sources(self) -> None:
        seen: dict[str, Place] = {}
        for record, place in self.draft.lists["sources"]:
            identifier = str(record.get("id"))
            before = seen.setdefault(identifier, place)
            if before is not place and before.file == place.file:
                self._say(place, identifier, "id", f"is already used at line {before.line}")


_RESULT_KEY = ("model", "benchmark", "subset", "metric", "source", "note")
_SIDE_FIELDS = ("model", "template", "pair", "max_length", "adapter")


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


def _templates(side: dict[str, Any]) -> Iterator[str]:
    if side.get("template") is not None:
        yield side["template"]
    yield from side.get("pair") or ()


def template_fault(template: str) -> str | None:
    """What is wrong with a text template, or None."""
    import string

    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        return f"template '{template}' does not parse: {error}"
    for name in fields:
        if name not in _PLACEHOLDERS:
            known = ", ".join("{" + p + "}" for p in _PLACEHOLDERS)
            return f"template '{template}' has a field '{{{name}}}' that is not one of {known}"
    return None
