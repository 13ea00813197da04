"""Checks across records: relations that lead nowhere, figures without a known source, marks on
fields that do not exist. Runs on plain records, after the types are known to be right."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from bioretrieval_tui.catalog.assembly import Draft, Place
from bioretrieval_tui.catalog.entries import SECTIONS, Encoding
from bioretrieval_tui.catalog.typing_checks import nearest, shape_of, shown
from bioretrieval_tui.errors import Problem

_PLACEHOLDERS = ("query", "text", "title", "instruction", "sep")
_COMPARISONS = 50_000
"""Words compared in search of hints. One costs ten microseconds, and a generated file of ten
thousand entries may have a wrong id in each of them."""


class Checks:
    """All checks over one draft."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.problems: list[Problem] = []
        self._comparisons = 0
        self.sources = {record.get("id") for record, _ in draft.lists["sources"]}
        self.sections = {i: section for i, (section, _, _) in draft.entries.items()}

    def run(self) -> list[Problem]:
        """Every problem, in the order of the records."""
        for identifier, (section, record, place) in self.draft.entries.items():
            self._entry(identifier, section, record, place)
        seen: dict[tuple[Any, ...], Place] = {}
        for number, (record, place) in enumerate(self.draft.lists["results"], 1):
            self._result(f"results[{number}]", record, place, seen)
        return self.problems

    def _say(self, place: Place, entry: str, field: str, message: str) -> None:
        self.problems.append(Problem(place.file, message, place.line, shown(entry), field))

    def _hint(self, word: str, known: Collection[str]) -> str:
        self._comparisons += len(known)
        return nearest(word, known) if self._comparisons <= _COMPARISONS else ""

    def _refers(
        self, place: Place, entry: str, field: str, target: str, section: str | None = None
    ) -> None:
        if target not in self.sections:
            hint = self._hint(target, self.sections)
            self._say(place, entry, field, f"no entry has the id '{shown(target)}'{hint}")
        elif section and self.sections[target] != section:
            message = f"'{shown(target)}' is one of {self.sections[target]}, not of {section}"
            self._say(place, entry, field, message)

    def _sourced(self, place: Place, entry: str, field: str, source: str) -> None:
        if source not in self.sources:
            hint = self._hint(source, [str(known) for known in self.sources])
            self._say(place, entry, field, f"no source has the id '{shown(source)}'{hint}")

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
                hint = self._hint(field, known)
                self._say(place, entry, "statuses", f"unknown field '{shown(field)}'{hint}")

    def _labels(self, entry: str, record: dict[str, Any], place: Place) -> None:
        labels = [str(link.get("label", "")).casefold() for link in record.get("links", ())]
        for label in sorted({label for label in labels if labels.count(label) > 1}):
            self._say(place, entry, "links", f"label '{shown(label)}' is used twice")

    def _encoding(self, entry: str, recipe: dict[str, Any], place: Place) -> None:
        known = {f.encode_name for f in shape_of(Encoding).fields}
        known |= {f"{side}.{f}" for side in ("query", "document") for f in _SIDE_FIELDS}
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
        if not all(field in record for field in ("model", "benchmark", "source")):
            return
        key = tuple(record.get(f) for f in _RESULT_KEY)
        if key in seen:
            other = seen[key]
            message = f"the same figure stands at {other.file.name}:{other.line}"
            self._say(place, label, "value", message)
        seen[key] = place


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
