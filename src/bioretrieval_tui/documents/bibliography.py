"""What fields mean that several formats have, each written a little differently: identifiers,
dates, names. Readers hand in text as it stood in the file and get our own form of it."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bioretrieval_tui.documents.document import Document, RecordFault

_MONTHS = {name: number for number, name in enumerate(
    "jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1
)}  # fmt: skip
_YEAR = re.compile(r"(?<!\d)(1[5-9]\d\d|20\d\d)(?!\d)")
_DATE = re.compile(
    r"(\d{4})(?:[ /.-]+([A-Za-z]{3,9}\.?|\d{1,2})(?:[ /.-]+(\d{1,2}))?)?[ /]*(?:T[\d:.Z+-]*)?"
)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)")
_DOI = re.compile(r"10\.\d{4,9}/\S+")
_INITIAL = re.compile(r"[^\W\d_]")


MAX_ID_LENGTH = 512


def sound(text: str) -> str:
    """`text` as it is.

    Raises:
        RecordFault: it holds a NUL, or half of a surrogate pair.
    """
    if "\0" in text:
        raise RecordFault("the record holds a NUL character")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise RecordFault("the record holds half of a character") from error
    return text


def plain(text: str) -> str:
    """`text` on one line, for formats that wrap theirs: each run of whitespace is one blank.

    Raises:
        RecordFault: as `sound`.
    """
    return " ".join(sound(text).split())


def sound_value(value: Any) -> Any:
    """A JSON value as it is, every text within it looked at. Raises RecordFault as `sound`."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            sound(item)
        elif isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return value


def identifier(value: Any, called: str = "the id") -> str:
    """`value` (text or a whole number) as the id of a document.

    Raises:
        RecordFault: it is neither, is empty, too long, or holds a NUL.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            value = str(value)
        except ValueError as error:  # Python refuses to write thousands of digits
            raise RecordFault(f"{called} is too long a number") from error
    if not isinstance(value, str):
        raise RecordFault(f"{called} is neither text nor a whole number")
    text = plain(value)
    if not text:
        raise RecordFault(f"{called} is empty")
    if len(text) > MAX_ID_LENGTH:
        raise RecordFault(f"{called} is longer than {MAX_ID_LENGTH} characters")
    return text


def made_identifier(*parts: str) -> str:
    """An id for a record that has none: the same parts give the same id on every machine."""
    digest = hashlib.blake2b(digest_size=10)
    for part in parts:
        data = part.casefold().encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return f"made:{digest.hexdigest()}"


def dated(text: str) -> dict[str, Any]:
    """`year` (int) and `date` (ISO 8601) of a date as people write it, as exact as it is known.

    "2003 Sep 15", "1948/07//", "20071115" and "2014-05-02" are whole; of a range or a season
    ("1998 Dec-1999 Jan", "2020 Spring") the first year is taken; without a year it is empty.
    """
    text = text.strip()
    match = _COMPACT.fullmatch(text) or _DATE.fullmatch(text)
    if match is None or not _YEAR.fullmatch(match[1]):
        found = _YEAR.search(text)
        return {} if found is None else {"year": int(found[1]), "date": found[1]}
    year = int(match[1])
    month = _month(match[2])
    if month is None:
        return {"year": year, "date": f"{year}"}
    try:
        exact = datetime.date(year, month, int(match[3] or 0)).isoformat()
    except ValueError:  # no day, or none that the month has
        exact = f"{year}-{month:02}"
    return {"year": year, "date": exact}


def doi_of(text: str) -> str | None:
    """The DOI within `text` ("doi: 10.1/x", "https://doi.org/10.1/x"), or None."""
    match = _DOI.search(text)
    return match[0].rstrip(".,;") if match else None


def short_name(name: str) -> str:
    """A person as "Family I", from "Family, Given M."; what has no comma is kept as it is."""
    family, comma, given = name.partition(",")
    given = given.partition(",")[0]  # "Smith, John, Jr."
    if not comma or not given.strip():
        return name.strip().rstrip(",")
    initials = [part[0] for part in re.split(r"[\s.\-]+", given) if _INITIAL.match(part)]
    if len(given.split()) == 1 and given.strip().isupper() and len(given.strip()) <= 3:
        initials = list(given.strip())  # "Smith, JA" has initials already
    return f"{family.strip()} {''.join(initials)}".strip()


def distinct(values: Iterable[str]) -> list[str]:
    """The values that are not empty, each once, in order."""
    return list(dict.fromkeys(value for value in values if value))


def document(identity: str, title: str, text: str, metadata: dict[str, Any]) -> Document:
    """A document whose metadata lists only what the record has.

    Raises:
        RecordFault: there is neither title nor text.
    """
    if not title.strip() and not text.strip():
        raise RecordFault("the record has neither a title nor an abstract")
    held = {name: value for name, value in metadata.items() if value not in (None, "", [])}
    return Document(identity, title, text, held)


def _month(text: str | None) -> int | None:
    if text is None:
        return None
    if text.isdigit():
        return int(text) if 1 <= int(text) <= 12 else None
    return _MONTHS.get(text[:3].lower())


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
