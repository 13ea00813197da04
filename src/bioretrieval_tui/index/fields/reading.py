"""What a document's fields are: which key of its metadata counts as which field.

Keys are looked at without regard to case and separators, so that a column "Publication Type" of
somebody's table is the field `type`. A key that is no field of ours becomes one of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from bioretrieval_tui.documents.bibliography import document_date
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.query import Field, Schema

YEAR = Field("year", "number", doc="year of publication")
FIELDS = (
    Field("abstract", "bool", doc="whether there is a text beside the title"),
    Field("author", "set", ("authors",), "people, as the corpus writes them"),
    Field("date", "text", (), "date of publication, ISO 8601, as exact as it is known"),
    Field("doi", "text"),
    Field("id", "text", (), "as the corpus names the document"),
    Field("journal", "text"),
    Field("keyword", "set", ("keywords",), "the authors' own"),
    Field("language", "set", ("lang",)),
    Field("major", "set", ("mesh_major",), "MeSH headings that the document is mainly about"),
    Field("mesh", "set", ("topic",), "MeSH headings"),
    Field("pmcid", "text", ("pmc",)),
    Field("pmid", "text"),
    Field("type", "set", ("types", "pt"), "publication types"),
)
"""The fields that every corpus may have, in order of their names; `year` is a column of its own."""

MOST_VALUES = 1_000
"""Distinct values of a key that is no field of ours: one with more is no field to choose from."""
MOST_EXTRAS = 64
"""Keys that are looked at, beyond our own fields."""
MOST_CHARACTERS = 1_000
"""Of a value that count; what is longer is no name of anything."""

_OURS = {
    **{name: field.name for field in FIELDS for name in (field.name, *field.aliases)},
    "publication_type": "type",
    "publication_types": "type",
    "mesh_terms": "mesh",
    "mesh_headings": "mesh",
}
_NEVER = frozenset(
    {
        "year", "date", "pubdate", "publication_date", "abstract", "id", "title", "text", "has",
        "is", "url", "pages", "vernacular_title",
    }
)  # fmt: skip
"""Keys that are read otherwise, or that nobody filters by."""

_NAME = re.compile(r"[^\W\d_][\w-]{0,63}")
_SEPARATORS = re.compile(r"[^\w]+")
_PERSON = re.compile(r"[^\W\d].* [^\W\d_a-z]{1,4}(?: (?:Jr|Sr|2nd|3rd))?|et al")


def schema_of(names: Iterable[str]) -> Schema:
    """What a filter may name: our own fields of these names, the others as keys of the corpus."""
    ours = {field.name: field for field in (*FIELDS, YEAR)}
    return Schema(
        [ours.get(name, Field(name, "set", doc="a key of the corpus")) for name in sorted(names)]
    )


def pairs(document: Document) -> Iterator[tuple[str, str]]:
    """Field and value, once for each value, the year left out; repeats are possible."""
    yield "id", document.id
    if document.text.strip():
        yield "abstract", "yes"
    date = document_date(document.metadata)
    if date is not None:
        yield "date", date
    for key, value in document.metadata.items():
        name = field_of(key)
        if name is None:
            continue
        for text in _names(value) if name == "author" else _texts(value):
            yield name, text[:MOST_CHARACTERS]


def when(document: Document) -> tuple[int, int]:
    """Year, and date as the number YYYYMMDD with 0 for unknown parts; -1 where unknown."""
    date = document_date(document.metadata)
    if date is None:
        return -1, -1
    return int(date[:4]), int(date.replace("-", "").ljust(8, "0"))


@lru_cache(maxsize=4096)
def field_of(key: str) -> str | None:
    """The field that a key of the metadata belongs to; None for one that is not looked at."""
    name = _SEPARATORS.sub("_", key.casefold()).strip("_")
    if name in _OURS and name not in _NEVER:
        return _OURS[name]
    return None if name in _NEVER or not _NAME.fullmatch(name) else name


def is_extra(name: str) -> bool:
    """Whether a field is one of the corpus' own."""
    return name not in _STANDARD


_STANDARD = frozenset(field.name for field in FIELDS)


def _texts(value: Any) -> Iterator[str]:
    """The texts of a value, as the filter language sees them; what is nested deeper is not one."""
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, bool):
        yield "yes" if value else "no"
    elif isinstance(value, int | float):
        yield str(value)
    elif isinstance(value, list):
        for item in value:
            if not isinstance(item, list):
                yield from _texts(item)


def _names(value: Any) -> Iterator[str]:
    """People: of a list as they are, of one text cut at its semicolons, or at its commas where
    all that stands between them is "Family AB"."""
    if not isinstance(value, str):
        yield from _texts(value)
        return
    people = [part.strip() for part in value.split(";")]
    if len(people) == 1:
        parts = [part.strip() for part in value.strip().removesuffix(".").split(",")]
        if all(map(_PERSON.fullmatch, parts)):
            people = parts
    yield from filter(None, people)
