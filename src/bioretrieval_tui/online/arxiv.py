"""arXiv by its API: Atom feeds, one request every three seconds, newest papers first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.documents.document import Document, RecordFault
from bioretrieval_tui.documents.readers.xml_records import parse_record
from bioretrieval_tui.online.services import OnlineError, unexpected
from bioretrieval_tui.online.spool import FetchBatch, FetchRequest, Mark, expected, next_size
from bioretrieval_tui.terminal.clean import clean

if TYPE_CHECKING:
    from lxml.etree import _Element

    from bioretrieval_tui.online.http import HttpClient

SERVICE = "arxiv"
NAME = "arXiv"
PAGE = 500
REACH = 30_000
"""Papers of one search that arXiv gives at most."""
_IDS = 100
_EMPTY_ATTEMPTS = 3
"""arXiv now and then sends an empty page in the middle of a search."""
_TOTAL = re.compile(rb"<opensearch:totalResults[^>]{0,200}>\s*(\d{1,9})\s*<")
_ERROR = re.compile(rb"arxiv\.org/api/errors")
_SUMMARY = re.compile(rb"<summary[^>]{0,100}>([^<]{0,500})")
_ID = re.compile(
    r"(?:https?://[^/]+/abs/)?(\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v(\d+))?"
)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_ATOM = "{http://www.w3.org/2005/Atom}"
_OWN = "{http://arxiv.org/schemas/atom}"
_LONGEST = 500
"""Characters kept of a field, the abstract apart."""


@dataclass(frozen=True, slots=True)
class ArxivRecord:
    """One paper as arXiv describes it. id: without version; published, updated: ISO 8601 days."""

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

    def document(self) -> Document:
        """The paper as a document; its id is the arXiv id."""
        metadata: dict[str, Any] = {
            "authors": list(self.authors),
            "arxiv": self.id,
            "url": f"https://arxiv.org/abs/{self.id}",
            "keywords": list(self.categories),
        }
        if self.published:
            metadata |= {"year": int(self.published[:4]), "date": self.published}
        stated = {"doi": self.doi, "journal": self.journal}
        metadata |= {name: value for name, value in stated.items() if value}
        return Document(self.id, self.title, self.abstract, metadata)


def batches(
    client: HttpClient, request: FetchRequest, mark: Mark | None = None
) -> Iterator[FetchBatch]:
    """Yield the papers of a search, newest first, from behind `mark` on.

    Raises:
        OnlineError: arXiv cannot be reached, rejects the query, gives no more of it, or sends an
            unexpected response.
    """
    mark = mark or Mark()
    query = request.query
    if request.since is not None:
        query = f"({query}) AND submittedDate:[{request.since:%Y%m%d}0000 TO 300001010000]"
    start = int(mark.cursor.get("start", "0"))
    while size := next_size(request, mark, PAGE):
        if start >= REACH:
            raise OnlineError(
                f"{NAME} gives no more than {REACH:,} papers of one search",
                remedy="narrow the query, or fetch in parts with --since",
            )
        documents, found = _page(client, query, start, size)
        start += len(documents)
        mark = Mark({"start": str(start)}, mark.done + len(documents), expected(request, found))
        yield FetchBatch(tuple(documents), (), mark)
        if not documents or start >= found:
            return


def by_ids(client: HttpClient, ids: Sequence[str]) -> dict[str, ArxivRecord]:
    """Return the papers with these arXiv ids (without versions), by id; unknown ones are left out.

    Raises:
        OnlineError: arXiv fails. BioRetrievalError: it sends no such feed.
    """
    found: dict[str, ArxivRecord] = {}
    for begin in range(0, len(ids), _IDS):
        part = ids[begin : begin + _IDS]
        params = {"id_list": ",".join(part), "max_results": str(len(part))}
        found |= arxiv_records(client.get(SERVICE, "query", params=params).content)
    return found


def arxiv_records(data: bytes) -> dict[str, ArxivRecord]:
    """Parse an Atom feed of arXiv's API; the papers by id.

    Raises:
        BioRetrievalError: it is no such feed.
    """
    try:
        root = parse_record(data)
    except RecordFault as error:
        raise unexpected(NAME, str(error)) from error
    if root.tag != f"{_ATOM}feed":
        raise unexpected(NAME, "not an Atom feed")
    records = map(_record, root.iterfind(f"{_ATOM}entry"))
    return {record.id: record for record in records if record is not None}


def _page(client: HttpClient, query: str, start: int, size: int) -> tuple[list[Document], int]:
    """The papers from `start` on, and how many there are in all."""
    params = {
        "search_query": query,
        "sortBy": "submittedDate",
        "sortOrder": "descending",
        "start": str(start),
        "max_results": str(size),
    }
    for _ in range(_EMPTY_ATTEMPTS):
        response = client.get(SERVICE, "query", params=params, check=False)
        body = response.content
        if _ERROR.search(body):
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
        documents = [record.document() for record in arxiv_records(body).values()]
        total = _TOTAL.search(body)
        if total is None:
            raise unexpected(NAME, "a feed without a count")
        found = int(total[1])
        if documents or start >= found:
            return documents, found
    raise OnlineError(
        f"{NAME} sends an empty page of a search that has more papers",
        remedy="try again later; the same call resumes here",
    )


def _record(entry: _Element) -> ArxivRecord | None:
    """One entry of a feed; None for an error, which arXiv reports as an entry too."""

    def text(tag: str, longest: int = _LONGEST) -> str:
        return _inner(entry, tag, longest)

    named = _ID.fullmatch(text(f"{_ATOM}id", 200))
    title = text(f"{_ATOM}title")
    if named is None or not title:
        return None
    authors = [_inner(author, f"{_ATOM}name", 100) for author in entry.iterfind(f"{_ATOM}author")]
    categories = list(entry.iterfind(f"{_ATOM}category"))[:20]
    return ArxivRecord(
        id=named[1],
        version=int(named[2][:4]) if named[2] else 1,
        title=title,
        abstract=text(f"{_ATOM}summary", 20_000),
        authors=tuple(filter(None, authors[:500])),
        published=_day(text(f"{_ATOM}published", 40)),
        updated=_day(text(f"{_ATOM}updated", 40)),
        doi=text(f"{_OWN}doi", 200) or None,
        comment=text(f"{_OWN}comment") or None,
        journal=text(f"{_OWN}journal_ref") or None,
        categories=tuple(_line(one.get("term") or "", 40) for one in categories),
    )


def _inner(element: _Element, tag: str, longest: int) -> str:
    found = element.find(tag)
    return "" if found is None else _line("".join(map(str, found.itertext())), longest)


def _line(text: str, longest: int) -> str:
    """`text` with single spaces, cut."""
    return " ".join(text[: 4 * longest].split())[:longest]


def _day(text: str) -> str | None:
    found = _DAY.match(text)
    return found[0] if found else None
