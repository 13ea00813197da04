"""arXiv by its API: Atom feeds, one request every three seconds, newest papers first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bioretrieval_tui.documents.document import Document, Place, Record, RecordFault
from bioretrieval_tui.documents.readers.xml_records import RecordParser
from bioretrieval_tui.online.services import OnlineError, unexpected
from bioretrieval_tui.online.spool import FetchBatch, FetchRequest, Mark, Page, page_batches
from bioretrieval_tui.terminal.clean import clean

if TYPE_CHECKING:
    from lxml.etree import _Element

    from bioretrieval_tui.online.http import HttpClient

NAME = "arXiv"
PAGE = 500
REACH = 30_000
"""Papers of one search that arXiv gives at most."""
_IDS = 100
_EMPTY_ATTEMPTS = 3
"""arXiv now and then sends an empty page in the middle of a search."""
_TOTAL = re.compile(rb"<opensearch:totalResults[^>]{0,200}>\s*(\d{1,9})\s*<")
_SUMMARY = re.compile(rb"<summary[^>]{0,100}>([^<]{0,500})")
_ID = re.compile(
    r"(?:https?://[^/]+/abs/)?(\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v(\d+))?"
)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_WITHDRAWN = re.compile(r"\bwithdrawn\b", re.IGNORECASE)
_ATOM = "{http://www.w3.org/2005/Atom}"
_OWN = "{http://arxiv.org/schemas/atom}"


@dataclass(frozen=True, slots=True)
class ArxivRecord:
    """One paper. document: its id is the arXiv id, without version; facts: version, updated (ISO
    8601 day), title, doi and whether it is withdrawn, None where not stated."""

    document: Document
    facts: Mapping[str, str | int | bool | None]


def batches(
    client: HttpClient, request: FetchRequest, mark: Mark | None = None
) -> Iterator[FetchBatch]:
    """Yield the papers of a search, newest first, from behind `mark` on.

    Raises:
        OnlineError: arXiv cannot be reached, rejects the query, gives no more of it, or sends an
            unexpected response.
    """
    query = request.query
    if request.since is not None:
        query = f"({query}) AND submittedDate:[{request.since:%Y%m%d}0000 TO 300001010000]"

    def page(cursor: str, size: int) -> Page:
        start = int(cursor)
        if start >= REACH:
            raise OnlineError(
                f"{NAME} gives no more than {REACH:,} papers of one search",
                remedy="narrow the query, or fetch in parts with --since",
            )
        items, found = _page(client, query, start, size)
        start += len(items)
        return Page(items, found, str(start), last=not items or start >= found)

    return page_batches(request, mark, PAGE, page, field="start", first="0")


def by_ids(client: HttpClient, ids: Sequence[str]) -> dict[str, ArxivRecord]:
    """Return the papers with these arXiv ids (without versions), by id; unknown ones are left out.

    Raises:
        OnlineError: arXiv fails. BioRetrievalError: it sends no such feed.
    """
    found: dict[str, ArxivRecord] = {}
    for begin in range(0, len(ids), _IDS):
        part = ids[begin : begin + _IDS]
        params = {"id_list": ",".join(part), "max_results": str(len(part))}
        found |= arxiv_records(client.get("arxiv", "query", params=params).content)
    return found


def arxiv_records(data: bytes) -> dict[str, ArxivRecord]:
    """Parse an Atom feed of arXiv's API; the papers by id.

    Raises:
        BioRetrievalError: it is no such feed.
    """
    try:
        root = RecordParser()(data)
    except RecordFault as error:
        raise unexpected(NAME, str(error)) from error
    if root.tag != f"{_ATOM}feed":
        raise unexpected(NAME, "not an Atom feed")
    records = map(_record, root.iterfind(f"{_ATOM}entry"))
    return {record.document.id: record for record in records if record is not None}


def _page(client: HttpClient, query: str, start: int, size: int) -> tuple[list[Record], int]:
    """The papers from `start` on, and how many there are in all."""
    params = {
        "search_query": query,
        "sortBy": "submittedDate",
        "sortOrder": "descending",
        "start": str(start),
        "max_results": str(size),
    }
    for _ in range(_EMPTY_ATTEMPTS):
        response = client.get("arxiv", "query", params=params, check=False)
        body = response.content
        if b"arxiv.org/api/errors" in body:
            summary = _SUMMARY.search(body)
            why = summary[1].decode("utf-8", "replace") if summary else "no reason given"
            raise OnlineError(
                f"{NAME} rejects the query: {' '.join(clean(why)[:200].split())}",
                remedy="see info.arxiv.org/help/api/user-manual for the query syntax",
            )
        if response.status_code >= 400:
            raise OnlineError(
                f"{NAME} responded with status {response.status_code}", remedy="try again later"
            )
        items = [Record(one.document, Place(NAME)) for one in arxiv_records(body).values()]
        total = _TOTAL.search(body)
        if total is None:
            raise unexpected(NAME, "a feed without a count")
        if items or start >= int(total[1]):
            return items, int(total[1])
    raise OnlineError(
        f"{NAME} sends an empty page of a search that has more papers",
        remedy="try again later; the same call resumes here",
    )


def _record(entry: _Element) -> ArxivRecord | None:
    """One entry of a feed; None for an error, which arXiv reports as an entry too."""

    def text(tag: str, longest: int = 500) -> str:
        return _text(entry.find(tag), longest)

    named, title = _ID.fullmatch(text(f"{_ATOM}id", 200)), text(f"{_ATOM}title")
    if named is None or not title:
        return None
    published, updated = (
        found[0] if (found := _DAY.match(text(f"{_ATOM}{tag}", 40))) else None
        for tag in ("published", "updated")
    )
    authors = [_text(one.find(f"{_ATOM}name"), 100) for one in entry.iterfind(f"{_ATOM}author")]
    doi = text(f"{_OWN}doi", 200) or None
    metadata = {
        "authors": [name for name in authors[:500] if name],
        "arxiv": named[1],
        "url": f"https://arxiv.org/abs/{named[1]}",
        "keywords": [
            _line(one.get("term") or "", 40) for one in entry.iterfind(f"{_ATOM}category")
        ][:20],
        "year": int(published[:4]) if published else None,
        "date": published,
        "doi": doi,
        "journal": text(f"{_OWN}journal_ref") or None,
    }
    facts = {
        "version": int(named[2][:4]) if named[2] else 1,
        "updated": updated,
        "title": title,
        "doi": doi,
        "withdrawn": True if _WITHDRAWN.search(text(f"{_OWN}comment")) else None,
    }
    stated = {name: value for name, value in metadata.items() if value is not None}
    return ArxivRecord(Document(named[1], title, text(f"{_ATOM}summary", 20_000), stated), facts)


def _text(element: _Element | None, longest: int) -> str:
    return "" if element is None else _line("".join(map(str, element.itertext())), longest)


def _line(text: str, longest: int) -> str:
    """`text` with single spaces, cut."""
    return " ".join(text[: 4 * longest].split())[:longest]
