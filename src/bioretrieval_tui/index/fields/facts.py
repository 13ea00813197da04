"""What a manifest says of the fields of an index; light to import, unlike the fields."""

from __future__ import annotations

import msgspec

VERSION = "fields-1"
"""How values are read from documents and folded. Whatever changes there changes what stands in
an index: raise this with it."""


class FieldFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One field of texts: how many distinct values it has, how often a document has one of them,
    and how many documents have any."""

    name: str
    values: int
    postings: int
    documents: int


class FieldsFacts(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """labels: rows of the columns, dead ones too; fields: in order of their names; dated:
    documents whose year is known; left_out: keys of the corpus that have too many values to be
    fields; full: whether there were more keys than are looked at."""

    version: str
    labels: int
    fields: tuple[FieldFacts, ...]
    dated: int
    left_out: tuple[str, ...] = ()
    full: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """What a filter may name: the fields that some document has, sorted."""
        found = [one.name for one in self.fields if one.documents]
        return tuple(sorted([*found, "year"] if self.dated else found))
