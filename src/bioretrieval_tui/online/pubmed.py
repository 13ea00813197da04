"""PubMed by NCBI's E-utilities: a search is kept there as a history and fetched in batches.

PubMed gives only the first 9,999 records of a search. A longer one is split by the day on which
records entered PubMed, newest first, until every part is short enough. A history lives for some
hours; where it has expired the part is searched again, and the fetch resumes where it stood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.documents.detect import items
from bioretrieval_tui.documents.document import Item
from bioretrieval_tui.documents.readers.pubmed_xml import PUBMED_XML
from bioretrieval_tui.documents.source import ReadSettings, SourceReader
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.services import OnlineError, refused, unexpected
from bioretrieval_tui.online.spool import (
    FetchBatch,
    FetchRequest,
    Mark,
    batch_of,
    expected,
    next_size,
)
from bioretrieval_tui.terminal.clean import clean

if TYPE_CHECKING:
    from bioretrieval_tui.online.http import HttpClient

SERVICE = "ncbi"
PAGE = 200
"""Records of one request: about 2 MB, and a third of a second of parsing."""
REACH = 9_999
"""Records of one search at most."""
_FIRST_DAY = date(1800, 1, 1)
_DAYS = 365
"""Days of the first part of a long search."""
_SHARE = 0.8
"""How full a part should be of `REACH`, so that the next one does not exceed it."""
_TRIES = 3
"""Incomplete responses, or expired histories, after which the fetch fails."""
_SEARCH_BYTES = 2**20
"""Bytes of the response to a search: a count, a history, and the query as understood."""
_ERROR = re.compile(rb"<ERROR>(.{0,500}?)</ERROR>", re.DOTALL)
_END = re.compile(rb"</PubmedArticleSet>\s*\Z|<PubmedArticleSet\s*/>\s*\Z")
_RECORD = re.compile(rb"<Pubmed(Book)?Article[\s>]")


@dataclass(frozen=True, slots=True)
class _Part:
    """The records that entered PubMed from `first` to `last`, kept there as a history."""

    first: date
    last: date
    count: int
    web: str
    key: str


class _ExpiredError(Exception):
    """The history has expired."""


def batches(
    client: HttpClient, request: FetchRequest, mark: Mark | None = None, *, today: date
) -> Iterator[FetchBatch]:
    """Yield the records of a search, newest first, from behind `mark` on.

    today: in UTC; records that enter later are not part of this search.

    Raises:
        OnlineError: PubMed cannot be reached, rejects the query, or sends an unexpected response.
    """
    mark = mark or Mark()
    split = _Split(client, request, request.since or _FIRST_DAY, today)
    total, offset = mark.total, 0
    part: _Part | None = None
    if mark.cursor:
        part, offset = _part_of(mark.cursor)
        split.resume(part)
    while part is not None or not split.over:
        if part is None:
            wanted = None if request.most is None else request.most - mark.done
            part, offset = split.next_part(wanted), 0
            if total is None:
                total = expected(request, split.found)
        while offset < part.count and (size := next_size(request, mark, PAGE)):
            size = min(size, part.count - offset)
            part, fetched = _fetched(client, request.query, part, offset, size)
            size = max(0, min(size, part.count - offset))
            offset += size
            mark = Mark(_cursor(part, offset), mark.done + size, total)
            yield batch_of(fetched, mark)
        if not next_size(request, mark, PAGE):
            return
        part = None


def by_ids(client: HttpClient, pmids: Sequence[str]) -> Iterator[Item]:
    """Yield the records of these PMIDs; unknown ones are left out. Raises OnlineError."""
    for start in range(0, len(pmids), PAGE):
        names = ",".join(pmids[start : start + PAGE])
        yield from _articles(client, {"db": "pubmed", "id": names, "retmode": "xml"})


class _Split:
    """Splits a search into parts within `REACH`, newest first.

    Every search counts against the rate limit, so the length of a part is estimated: a year at
    first, then from the number of records of the part before it.
    """

    def __init__(self, client: HttpClient, request: FetchRequest, first: date, last: date) -> None:
        self._client = client
        self._query = request.query
        self._first = first
        self._last = last
        self._days = _DAYS
        self._rest: int | None = None
        self.found: int | None = None
        """Records of the whole search, once it was made."""

    @property
    def over(self) -> bool:
        """Whether no day is left."""
        return self._last < self._first or self._rest == 0

    def resume(self, part: _Part) -> None:
        """Continue behind `part`."""
        self._last = part.first - timedelta(days=1)
        self._days = max(1, min(_DAYS, (part.last - part.first).days + 1))

    def next_part(self, wanted: int | None) -> _Part:
        """Search the newest part of what is left; wanted: records that suffice, None for all.

        Raises:
            OnlineError: the search fails.
        """
        reach_will_do = wanted is not None and wanted <= REACH
        if self._rest is None or self._rest <= REACH:
            part = self._searched(self._first)
            self._rest = part.count
            if self.found is None:
                self.found = part.count
            if part.count <= REACH or reach_will_do:
                return self._taken(part)
        while True:
            first = max(self._first, self._last - timedelta(days=self._days - 1))
            part = self._searched(first)
            fitting = _SHARE * REACH / max(1, part.count)
            if part.count <= REACH or first == self._last:
                self._days = max(1, int(self._days * max(0.25, min(8.0, fitting))))
                return self._taken(part)
            self._days = max(1, int(self._days * min(0.25, fitting)))

    def _searched(self, first: date) -> _Part:
        return _search(self._client, self._query, first, self._last)

    def _taken(self, part: _Part) -> _Part:
        self._last = part.first - timedelta(days=1)
        if self._rest is not None:
            self._rest = max(0, self._rest - part.count)
        # A single day may have more records than PubMed gives.
        return part if part.count <= REACH else replace(part, count=REACH)


def _search(client: HttpClient, query: str, first: date, last: date) -> _Part:
    answer = client.json(
        SERVICE,
        "/esearch.fcgi",
        params={
            "db": "pubmed",
            "term": query,
            "usehistory": "y",
            "retmode": "json",
            "retmax": "0",
            "datetype": "edat",
            "mindate": f"{first:%Y/%m/%d}",
            "maxdate": f"{last:%Y/%m/%d}",
        },
        most_bytes=_SEARCH_BYTES,
    )
    found = answer.get("esearchresult") if isinstance(answer, dict) else None
    if not isinstance(found, dict):
        raise unexpected("PubMed", "a search without a result")
    said = found.get("ERROR") or (answer.get("error") if isinstance(answer, dict) else None)
    if said:
        raise OnlineError(
            f"PubMed rejects the query: {clean(str(said))[:200]}",
            remedy="try the query on pubmed.ncbi.nlm.nih.gov",
        )
    count = _number(found.get("count"))
    web, key = found.get("webenv"), found.get("querykey")
    if count is None or (count and not (isinstance(web, str) and isinstance(key, str))):
        raise unexpected("PubMed", "a search without a count or a history")
    return _Part(first, last, count, str(web or ""), str(key or ""))


def _fetched(
    client: HttpClient, query: str, part: _Part, offset: int, size: int
) -> tuple[_Part, list[Item]]:
    """Fetch records of a part, which is searched again where its history has expired."""
    for _ in range(_TRIES):
        try:
            wanted = {
                "db": "pubmed",
                "WebEnv": part.web,
                "query_key": part.key,
                "retstart": str(offset),
                "retmax": str(size),
                "retmode": "xml",
            }
            return part, list(_articles(client, wanted))
        except _ExpiredError:
            again = _search(client, query, part.first, part.last)
            # Records may have come or gone since: the new count is what remains.
            part = replace(again, count=min(again.count, REACH))
            size = min(size, part.count - offset)
            if size <= 0:
                return part, []
    raise OnlineError(
        "the searches of PubMed expire at once",
        remedy="try again later; the same call resumes here",
    )


def _articles(client: HttpClient, params: dict[str, str]) -> Iterator[Item]:
    data, history = b"", "WebEnv" in params
    for _ in range(_TRIES):
        answer = client.get(SERVICE, "/efetch.fcgi", params=params, check=False)
        data = answer.content
        said = _ERROR.search(data[:4096])
        if history and (said or answer.status_code == 400):
            raise _ExpiredError
        if said:
            why = clean(said[1].decode("utf-8", "replace"))[:200]
            raise OnlineError(f"PubMed refuses to send records: {why}", remedy="try again later")
        if answer.status_code in (400, 401, 403):
            raise refused(client.service(SERVICE), answer.status_code)
        if answer.status_code >= 400:
            raise OnlineError(
                f"PubMed responded with status {answer.status_code} to a request for records",
                remedy="try again later; the same call resumes here",
                status=answer.status_code,
            )
        # The last few of a search may be gone; a full page without a record is a fault.
        whole = params.get("retmax") == str(PAGE)
        if _END.search(data[-200:]) and (_RECORD.search(data) or not whole):
            break
    else:
        if b"<PubmedArticleSet" not in data[:4096]:
            raise unexpected("PubMed", "records that are no PubMed XML")
        what = "sends no records of a search that has more"
        if not _END.search(data[-200:]):
            what = "broke off within its records"
        raise OnlineError(f"PubMed {what}", remedy="the same call resumes here")
    with SourceReader(None, data=data, name="PubMed") as source:
        yield from items(source, PUBMED_XML, ReadSettings())


def _cursor(part: _Part, offset: int) -> dict[str, str]:
    return {
        "first": part.first.isoformat(),
        "last": part.last.isoformat(),
        "count": str(part.count),
        "web": part.web,
        "key": part.key,
        "offset": str(offset),
    }


def _part_of(cursor: dict[str, str]) -> tuple[_Part, int]:
    try:
        part = _Part(
            date.fromisoformat(cursor["first"]),
            date.fromisoformat(cursor["last"]),
            int(cursor["count"]),
            cursor["web"],
            cursor["key"],
        )
        return part, int(cursor["offset"])
    except (KeyError, ValueError) as error:
        raise BioRetrievalError(
            "the mark of the interrupted fetch is invalid", remedy="start over with --anew"
        ) from error


def _number(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
