"""When a document was published, from its metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bioretrieval_tui.documents.fields import dated

_YEAR = re.compile(r"\b(1[5-9]\d\d|20\d\d)\b")
_DATES = ("date", "pubdate", "publication_date")


def document_year(metadata: Mapping[str, Any]) -> int | None:
    """The year of publication, from a year or the first year within a date; or None."""
    for key in ("year", *_DATES):
        value = metadata.get(key)
        if isinstance(value, int | str) and not isinstance(value, bool):
            found = _YEAR.search(str(value))
            if found:
                return int(found.group())
    return None


def document_date(metadata: Mapping[str, Any]) -> str | None:
    """The date of publication in ISO 8601, as exact as it is known; or None.

    It begins with `document_year`: a date of another year (that of the first version online, say)
    is passed over.
    """
    year = document_year(metadata)
    if year is None:
        return None
    for key in _DATES:
        value = metadata.get(key)
        if isinstance(value, int | str) and not isinstance(value, bool):
            found = dated(str(value)).get("date", "")
            if found.startswith(str(year)):
                return str(found)
    return str(year)
