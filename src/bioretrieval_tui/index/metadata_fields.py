"""The fields of a document: which key of its metadata is which field, and its values.

Case and separators of a key are ignored, so that a column "Publication Type" of a table is the
field `type`. A key that is not one of the standard fields becomes a field of its own name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from bioretrieval_tui.documents.bibliography import document_date, is_retracted
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.index import shelf_conditions
from bioretrieval_tui.query import Field, Schema

YEAR = Field("year", "number")
FIELDS = (
    Field("abstract", "bool"),  # whether there is a text besides the title
    Field("affiliation", "set", ("affiliations",)),
    Field("author", "set", ("authors",)),
    Field("correction", "set", ("corrections",)),  # what it corrects, or what corrects it
    Field("databank", "set", ("databanks",)),  # accession numbers of sequences and structures
    Field("date", "text"),  # of publication, ISO 8601, as exact as known
    Field("doi", "text"),
    Field("editor", "set", ("editors",)),
    Field("id", "text"),
    Field("journal", "text"),
    Field("keyword", "set", ("keywords",)),  # the authors' own
    Field("language", "set", ("lang",)),
    Field("major", "set", ("mesh_major",)),  # MeSH headings that the document is mainly about
    Field("mesh", "set", ("topic",)),
    Field("pmcid", "text", ("pmc",)),
    Field("pmid", "text"),
    Field("publisher", "text"),
    Field("qualifier", "set", ("mesh_qualifiers", "subheading")),  # "Heading/qualifier"
    Field("retracted", "bool"),
    Field("substance", "set", ("substances",)),
    Field("supplementary", "set", ("scr",)),  # MeSH supplementary concepts
    Field("trial", "set", ("trials",)),  # registration numbers
    Field("type", "set", ("types", "pt")),
)
"""The standard fields, in order of their names; `year` is a column of its own."""
STANDARD = frozenset(field.name for field in FIELDS)

MOST_VALUES = 1_000
"""Distinct values of a key of the corpus: one with more is not a field."""
MOST_EXTRAS = 64
"""Keys of the corpus that are read, beyond the standard fields."""
MOST_CHARACTERS = 1_000
"""Characters of a value that are kept."""

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
        "is", "url", "pages", "pmid_version", "references", "retracted",
        "revised",
        "vernacular_title",
    }
)  # fmt: skip
"""Keys that are read in another way, or are of no use in a filter."""
_ALWAYS = ("retracted",)
"""Fields that a filter may name though no document has one: `-is:retracted` is true of all."""

_NAME = re.compile(r"[^\W\d_][\w-]{0,63}")
_SEPARATORS = re.compile(r"[^\w]+")
_PERSON = re.compile(r"[^\W\d].* [^\W\d_a-z]{1,4}(?: (?:Jr|Sr|2nd|3rd))?|et al")


def schema_of(names: Iterable[str]) -> Schema:
    """The schema of filters: the standard fields among these names, the others as corpus keys; and
    the fields of the shelf."""
    known = {field.name: field for field in (*FIELDS, YEAR, *shelf_conditions.FIELDS)}
    held = sorted({*names, *_ALWAYS, *shelf_conditions.NAMES})
    fields = [known.get(name, Field(name, "set")) for name in held]
    return Schema(fields, "`index info NAME` lists them")


def pairs(document: Document) -> Iterator[tuple[str, str]]:
    """Field and value for each value except the year, possibly repeated."""
    yield "id", document.id
    if document.text.strip():
        yield "abstract", "yes"
    date = document_date(document.metadata)
    if date is not None:
        yield "date", date
    if is_retracted(document.metadata):
        yield "retracted", "yes"
    for key, value in document.metadata.items():
        name = field_of(key)
        if name is None:
            continue
        for text in _names(value) if name == "author" else _texts(value):
            yield name, text[:MOST_CHARACTERS]


def when(document: Document) -> tuple[int, int]:
    """Year and date of a document as numbers."""
    return numbered(document_date(document.metadata))


def numbered(date: str | None) -> tuple[int, int]:
    """Year, and date as the number YYYYMMDD with 0 for unknown parts; -1 where unknown."""
    if date is None:
        return -1, -1
    return int(date[:4]), int(date.replace("-", "").ljust(8, "0"))


@lru_cache(maxsize=4096)
def field_of(key: str) -> str | None:
    """The field of a metadata key; None for a key that is not read."""
    name = _SEPARATORS.sub("_", key.casefold()).strip("_")
    if name in _OURS and name not in _NEVER:
        return _OURS[name]
    return None if name in _NEVER or not _NAME.fullmatch(name) else name


def _texts(value: Any) -> list[str]:
    """The texts of a value for filters; deeper nested values have none."""
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, int | float):
        return [str(value)]
    items = value if isinstance(value, list) else ()
    return [text for item in items if not isinstance(item, list) for text in _texts(item)]


def _names(value: Any) -> list[str]:
    """People: the items of a list; a text split at semicolons, or at commas if all parts have the
    form "Family AB"."""
    if not isinstance(value, str):
        return _texts(value)
    people = [part.strip() for part in value.split(";")]
    if len(people) == 1:
        parts = [part.strip() for part in value.strip().removesuffix(".").split(",")]
        if all(map(_PERSON.fullmatch, parts)):
            people = parts
    return list(filter(None, people))
