"""What the model hub and arXiv answer, as subjects: bounded, typed, and nothing else believed.

Pure: bytes or decoded JSON in, subjects out. A field that is missing or of another type is a fact
that is not stated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.documents.document import Document, RecordFault
from bioretrieval_tui.documents.readers.xml_records import RecordParser
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.fresh import Dated, Subject, Value, Where

if TYPE_CHECKING:
    from lxml.etree import _Element

LONGEST = 500
"""Characters kept of a text that comes from outside."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}", re.ASCII)
_ARXIV = re.compile(
    r"(?:https?://[^/]+/abs/)?(\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v(\d+))?"
)
_ATOM = "{http://www.w3.org/2005/Atom}"
_OWN = "{http://arxiv.org/schemas/atom}"
_WITHDRAWN = re.compile(r"\bwithdrawn\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ArxivRecord:
    """One paper as arXiv describes it: `id` without its version; `updated`: ISO 8601 day."""

    id: str
    version: int
    title: str
    abstract: str
    authors: tuple[str, ...]
    published: str | None
    updated: str | None
    doi: str | None
    comment: str | None
    journal: str | None
    categories: tuple[str, ...]


def hub_name(text: str) -> str | None:
    """`text` if it is ORG/NAME as the hub allows it, else None."""
    return text if _HUB_NAME.fullmatch(text) and ".." not in text else None


def hub_subject(
    where: Where, name: str, answer: object, *, day: str, etag: str | None = None
) -> Subject:
    """The subject that `answer`, the decoded JSON of the hub's API, describes.

    day: ISO 8601, when it was asked.

    Raises:
        BioRetrievalError: the hub answered something that is no description of a repository.
    """
    if not isinstance(answer, Mapping) or not isinstance(answer.get("id"), str):
        raise BioRetrievalError(
            f"the model hub described {name} in a form that is not known",
            remedy="try again later; if it stays so, the hub has changed and this program is old",
        )
    now = hub_name(answer["id"])
    renamed = now is not None and now.casefold() != name.casefold()
    facts: dict[str, Value] = {
        "downloads": _number(answer.get("downloads")),
        "likes": _number(answer.get("likes")),
        "changed": _day(answer.get("lastModified")),
        "gated": _gated(answer.get("gated")),
        "licence": hub_licence(answer),
    }
    return Subject(
        where=where,
        name=name,
        state="renamed" if renamed else "there",
        now=now if renamed else None,
        facts=_dated(facts, day),
        etag=etag,
        asked=day,
    )


def removed(where: Where, name: str, *, day: str, before: Subject | None = None) -> Subject:
    """A subject that is not there any more, with what was last known of it."""
    facts = {} if before is None else before.facts
    return Subject(where=where, name=name, state="removed", facts=facts, asked=day)


def hub_licence(answer: Mapping[str, Any]) -> str | None:
    """The licence of a repository: by its card, else by its tags."""
    card = answer.get("cardData")
    if isinstance(card, Mapping):
        for field in ("license_name", "license"):
            value = card.get(field)
            if isinstance(value, list) and value:
                value = value[0]
            if isinstance(value, str) and value.strip():
                return one_line(value, 80)
    tags = answer.get("tags")
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str) and tag.startswith("license:"):
            return one_line(tag.removeprefix("license:"), 80)
    return None


def arxiv_subject(record: ArxivRecord, *, day: str) -> Subject:
    """The subject of one paper."""
    facts: dict[str, Value] = {
        "version": record.version,
        "updated": record.updated,
        "title": record.title,
        "doi": record.doi,
        "withdrawn": True if _WITHDRAWN.search(record.comment or "") else None,
    }
    return Subject(where="arxiv", name=record.id, facts=_dated(facts, day), asked=day)


def arxiv_records(data: bytes) -> dict[str, ArxivRecord]:
    """The papers of an Atom feed of arXiv's API, by id.

    Raises:
        BioRetrievalError: it is no such feed.
    """
    try:
        root = RecordParser()(data)
    except RecordFault as error:
        raise _unknown_feed(str(error)) from error
    if root.tag != f"{_ATOM}feed":
        raise _unknown_feed("it is no Atom feed")
    found: dict[str, ArxivRecord] = {}
    for entry in root.iterfind(f"{_ATOM}entry"):
        record = _arxiv_record(entry)
        if record is not None:
            found[record.id] = record
    return found


def _arxiv_record(entry: _Element) -> ArxivRecord | None:
    """One entry of a feed; None for arXiv's way to say what is wrong, which is an entry too."""
    named = _ARXIV.fullmatch(_inner(entry, f"{_ATOM}id", 200))
    title = _inner(entry, f"{_ATOM}title", LONGEST)
    if named is None or not title:
        return None
    authors = [_inner(author, f"{_ATOM}name", 100) for author in entry.iterfind(f"{_ATOM}author")]
    return ArxivRecord(
        id=named[1],
        version=int(named[2][:4]) if named[2] else 1,
        title=title,
        abstract=_inner(entry, f"{_ATOM}summary", 20_000),
        authors=tuple(filter(None, authors[:500])),
        published=_day(_inner(entry, f"{_ATOM}published", 40)),
        updated=_day(_inner(entry, f"{_ATOM}updated", 40)),
        doi=_inner(entry, f"{_OWN}doi", 200) or None,
        comment=_inner(entry, f"{_OWN}comment", LONGEST) or None,
        journal=_inner(entry, f"{_OWN}journal_ref", LONGEST) or None,
        categories=tuple(
            one_line(category.get("term") or "", 40)
            for category in list(entry.iterfind(f"{_ATOM}category"))[:20]
        ),
    )


def arxiv_document(record: ArxivRecord) -> Document:
    """A paper of arXiv as a document; its id is the arXiv id without the version."""
    metadata: dict[str, Any] = {
        "authors": list(record.authors),
        "arxiv": record.id,
        "url": f"https://arxiv.org/abs/{record.id}",
        "keywords": list(record.categories),
    }
    if record.published:
        metadata["year"] = int(record.published[:4])
        metadata["date"] = record.published
    stated = {"doi": record.doi, "journal": record.journal}
    metadata.update({name: value for name, value in stated.items() if value})
    return Document(record.id, record.title, record.abstract, metadata)


def _unknown_feed(why: str) -> BioRetrievalError:
    return BioRetrievalError(
        f"arXiv answered in a form that is not known: {why}", remedy="try again later"
    )


def one_line(text: str, longest: int = LONGEST) -> str:
    """`text` with single spaces, cut."""
    return " ".join(text[: 4 * longest].split())[:longest]


def _inner(element: _Element, tag: str, longest: int) -> str:
    found = element.find(tag)
    return "" if found is None else one_line("".join(map(str, found.itertext())), longest)


def _dated(facts: Mapping[str, Value], day: str) -> dict[str, Dated]:
    return {name: Dated(value, day) for name, value in facts.items() if value is not None}


def _number(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None


def _gated(value: object) -> bool | None:
    """The hub writes false, or how access is granted."""
    return value if isinstance(value, bool) else True if value in ("auto", "manual") else None


def _day(value: object) -> str | None:
    found = _DAY.match(value) if isinstance(value, str) else None
    return found[0] if found else None
