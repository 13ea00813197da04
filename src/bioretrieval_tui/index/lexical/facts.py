"""What a manifest says of a lexical index; light to import, unlike the index itself."""

from __future__ import annotations

import msgspec


class LexicalFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a manifest says of a lexical index.

    labels: rows of lengths, dead ones too; documents: those alive; title_length and text_length:
    terms of a document that is alive, on average.
    """

    analyser: str
    labels: int
    documents: int
    terms: int
    postings: int
    title_length: float
    text_length: float
