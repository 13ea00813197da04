"""From the columns of a table to the fields of documents: which column is which field, by their
names or as the user maps them. For CSV, TSV and Parquet alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bioretrieval_tui.documents import bibliography as fields
from bioretrieval_tui.documents.bibliography import sound, sound_value
from bioretrieval_tui.documents.document import Document, RecordFault
from bioretrieval_tui.errors import CorpusError

_TEXTS = ("journal", "doi", "pmid", "pmcid", "url", "vernacular_title", "volume", "issue", "pages")
_LISTS = ("authors", "language", "types", "mesh", "mesh_major", "keywords")
FIELDS = ("id", "title", "text", "year", "date", *_TEXTS, *_LISTS)
_IDS = ("id", "pmid", "doi")
_SHOWN = 12

# What PubMed's own export calls its columns, beside those that are called as ours.
_PUBMED = {
    "title": "Title",
    "authors": "Authors",
    "journal": "Journal/Book",
    "year": "Publication Year",
}
_PUBMED_HEADER = ("PMID", "Title", "Authors", "Citation")
_CITATION = re.compile(r";\s*([^\s;:()]+)?(?:\(([^()]*)\))?(?::\s*([^\s;:]+?))?\.(?:\s|$)")


def is_pubmed(columns: Sequence[str]) -> bool:
    """Whether these are the columns of PubMed's own CSV export."""
    return tuple(columns[: len(_PUBMED_HEADER)]) == _PUBMED_HEADER


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column holds which field.

    fields: from our names to positions; others: names and positions of the columns that go into
    the metadata as they are; pubmed: whether the table is PubMed's own export.
    """

    fields: Mapping[str, int]
    others: Mapping[str, int]
    pubmed: bool

    def document(self, row: Sequence[Any]) -> Document:
        """The document of one row, of texts or of JSON values.

        Raises:
            RecordFault: it has no id, or neither title nor text, or a NUL.
        """
        values = {name: row[at] for name, at in self.fields.items()}
        identity = next((values[name] for name in _IDS if values.get(name) not in (None, "")), "")
        title, text = _text(values.get("title")), _text(values.get("text"))
        metadata: dict[str, Any] = {
            name: sound_value(row[at]) for name, at in self.others.items() if row[at] != ""
        }
        if self.pubmed:
            metadata |= _citation(_text(metadata.pop("Citation", "")))
            values["authors"] = _text(values.get("authors")).rstrip(".").split(", ")
        if "date" in values:
            metadata |= fields.dated(_text(values["date"]))
        if "year" in values:
            year = fields.dated(_text(values["year"]))
            if metadata.get("year") != year.get("year"):
                metadata |= year
        for name, value in values.items():
            if name in _LISTS:
                metadata[name] = _list(value)
            elif name not in FIELDS:
                metadata[name] = sound_value(value)
            elif name in _TEXTS:
                metadata[name] = _text(value).strip()
        if "doi" in values:
            metadata["doi"] = fields.doi_of(_text(values["doi"])) or metadata["doi"]
        return fields.document(fields.identifier(identity), title, text, metadata)


def columns_of(names: Sequence[str], mapping: Mapping[str, str], file: str) -> Columns:
    """Which column is which field: `mapping` (field to column) first, then columns that are
    called like our fields, whatever their case.

    Raises:
        CorpusError: a mapped column is not there or there twice, or none holds the id or any
            text; the message lists the columns.
    """
    found: dict[str, int] = {}
    pubmed = is_pubmed(names)
    for field, column in {**(_PUBMED if pubmed else {}), **mapping}.items():
        at = [number for number, name in enumerate(names) if name == column]
        if not at:
            at = [n for n, name in enumerate(names) if name.casefold() == column.casefold()]
        if len(at) != 1 and (at or field in mapping):
            what = "is there twice" if at else "is not there"
            raise CorpusError(
                f"{file}: the column {column!r} for `{field}` {what}; its columns are"
                f" {_listed(names)}",
                remedy=f"--map {field}=COLUMN",
            )
        if at:
            found[field] = at[0]
    taken = set(found.values())
    for number, name in enumerate(names):
        field = name.strip().casefold()
        if field in FIELDS and field not in found and number not in taken:
            found[field] = number
    taken = set(found.values())
    for needed, kinds in (("id", _IDS), ("title", ("title", "text"))):
        if not any(kind in found for kind in kinds):
            raise CorpusError(
                f"{file}: no column holds {' or '.join(f'`{kind}`' for kind in kinds)};"
                f" its columns are {_listed(names)}",
                remedy=f"--map {needed}=COLUMN",
            )
    others = {
        name: number
        for number, name in enumerate(names)
        if number not in taken and name.strip() and name not in found
    }
    return Columns(found, others, pubmed)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return sound(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(int(value)) if value == value // 1 else str(value)
    raise RecordFault("a column that should hold text holds something else")


def _list(value: Any) -> list[str]:
    if isinstance(value, str):
        return fields.distinct(part.strip() for part in sound(value).split(";"))
    given = value if isinstance(value, list) else [value]
    return fields.distinct(_text(part).strip() for part in given)


def _citation(text: str) -> dict[str, str | None]:
    """Volume, issue and pages of "J Foo. 2020 Jan 5;12(3):1-5. doi: 10.1/x."."""
    match = _CITATION.search(text)
    if match is None:
        return {}
    return {"volume": match[1], "issue": match[2], "pages": match[3]}


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
