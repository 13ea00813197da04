"""PubMed by NCBI's E-utilities: a search is kept there as a history and fetched in batches.

PubMed gives only the first 9,999 records of a search. A longer one is split by the day on which
records entered PubMed, newest first, until every part is short enough. A history lives for some
hours; where it has expired the part is searched again, and the fetch resumes where it stood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from bioretrieval_tui.documents.document import Item
from bioretrieval_tui.documents.readers.pubmed_xml import read_pubmed_xml
from bioretrieval_tui.documents.source import MemorySource, ReadOptions
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


class _Part(msgspec.Struct, frozen=True):
    """The records that entered PubMed from `first` to `last`, kept there as a history; offset: of
    the next one. The cursor of a mark is its fields as texts."""

    first: date
    last: date
    count: int
    web: str
    key: str
    offset: int = 0


def batches(
    client: HttpClient, request: FetchRequest, mark: Mark | None = None, *, today: date
) -> Iterator[FetchBatch]:
    """Yield the records of a search, newest first, from behind `mark` on.

    today: in UTC; records that enter later are not part of this search.

    Raises:
        OnlineError: PubMed cannot be reached, rejects the query, or sends an unexpected response.
    """
    mark = mark or Mark()
    total = mark.total
    for part, found in _parts(client, request, mark, today):
        if total is None:
            total = expected(request, found)
        while part.offset < part.count and (size := next_size(request, mark, PAGE)):
            wanted = min(size, part.count - part.offset)
            part, items = _fetched(client, request.query, part, wanted)
            size = max(0, min(wanted, part.count - part.offset))
            part = msgspec.structs.replace(part, offset=part.offset + size)
            cursor = {name: str(one) for name, one in msgspec.structs.asdict(part).items()}
            mark = Mark(cursor, mark.done + size, total)
            yield batch_of(items, mark)
        if not next_size(request, mark, PAGE):
            return


def by_ids(client: HttpClient, pmids: Sequence[str]) -> Iterator[Item]:
    """Yield the records of these PMIDs; unknown ones are left out. Raises OnlineError."""
    for start in range(0, len(pmids), PAGE):
        names = ",".join(pmids[start : start + PAGE])
        yield from _articles(client, {"db": "pubmed", "id": names, "retmode": "xml"}) or ()


def _parts(
    client: HttpClient, request: FetchRequest, mark: Mark, today: date
) -> Iterator[tuple[_Part, int | None]]:
    """Yield the parts of a search within `REACH`, newest first, each with the number of records
    from it on, None if not known.

    Every search counts against the rate limit, so the length of a part is estimated: a year at
    first, then from the number of records of the part before it.
    """
    start, last, days, done = request.since or _FIRST_DAY, today, _DAYS, mark.done
    if mark.cursor:
        try:
            part = msgspec.convert(mark.cursor, _Part, strict=False)
        except msgspec.ValidationError as error:
            raise BioRetrievalError(
                "the mark of the interrupted fetch is invalid", remedy="start over with --anew"
            ) from error
        yield part, None
        last = part.first - timedelta(days=1)
        days = max(1, min(_DAYS, (part.last - part.first).days + 1))
        done += part.count - part.offset
    rest: int | None = None
    while last >= start and rest != 0:
        whole = rest is None or rest <= REACH
        first = start if whole else max(start, last - timedelta(days=days - 1))
        part = _search(client, request.query, first, last)
        if rest is None or whole:
            rest = part.count
        enough = request.most is not None and request.most - done <= REACH
        fits = part.count <= REACH or first == last or enough
        if not whole:
            fitting = min(8.0 if fits else 0.25, _SHARE * REACH / max(1, part.count))
            days = max(1, int(days * fitting))
        if fits:
            # A single day may have more records than PubMed gives.
            yield msgspec.structs.replace(part, count=min(part.count, REACH)), rest
            last, done, rest = first - timedelta(days=1), done + part.count, rest - part.count


def _search(client: HttpClient, query: str, first: date, last: date) -> _Part:
    params = {
        "db": "pubmed",
        "term": query,
        "usehistory": "y",
        "retmode": "json",
        "retmax": "0",
        "datetype": "edat",
        "mindate": f"{first:%Y/%m/%d}",
        "maxdate": f"{last:%Y/%m/%d}",
    }
    answer = client.json("ncbi", "/esearch.fcgi", params=params, most_bytes=_SEARCH_BYTES)
    found = answer.get("esearchresult") if isinstance(answer, dict) else None
    if not isinstance(found, dict):
        raise unexpected("PubMed", "a search without a result")
    said = found.get("ERROR") or answer.get("error")
    if said:
        raise OnlineError(
            f"PubMed rejects the query: {clean(str(said))[:200]}",
            remedy="try the query on pubmed.ncbi.nlm.nih.gov",
        )
    count, web, key = (found.get(name) for name in ("count", "webenv", "querykey"))
    counted = re.fullmatch(r"[0-9]{1,11}", str(count))
    if not counted or (int(counted[0]) and not (isinstance(web, str) and isinstance(key, str))):
        raise unexpected("PubMed", "a search without a count or a history")
    return _Part(first, last, int(counted[0]), str(web or ""), str(key or ""))


def _fetched(client: HttpClient, query: str, part: _Part, size: int) -> tuple[_Part, list[Item]]:
    """Fetch records of a part, which is searched again where its history has expired."""
    for _ in range(_TRIES):
        wanted = {
            "db": "pubmed",
            "WebEnv": part.web,
            "query_key": part.key,
            "retstart": str(part.offset),
            "retmax": str(size),
            "retmode": "xml",
        }
        items = _articles(client, wanted)
        if items is not None:
            return part, items
        again = _search(client, query, part.first, part.last)
        # Records may have come or gone since: the new count is what remains.
        part = msgspec.structs.replace(again, count=min(again.count, REACH), offset=part.offset)
        size = min(size, part.count - part.offset)
        if size <= 0:
            return part, []
    raise OnlineError(
        "the searches of PubMed expire at once",
        remedy="try again later; the same call resumes here",
    )


def _articles(client: HttpClient, params: dict[str, Any]) -> list[Item] | None:
    """The records of a request, None if its history has expired."""
    for _ in range(_TRIES):
        answer = client.get("ncbi", "/efetch.fcgi", params=params, check=False)
        data, status = answer.content, answer.status_code
        said = _ERROR.search(data[:4096])
        if "WebEnv" in params and (said or status == 400):
            return None
        if said:
            why = clean(said[1].decode("utf-8", "replace"))[:200]
            raise OnlineError(f"PubMed refuses to send records: {why}", remedy="try again later")
        if status in (400, 401, 403):
            raise refused(client.service("ncbi"), status)
        if status >= 400:
            raise OnlineError(
                f"PubMed responded with status {status} to a request for records",
                remedy="try again later; the same call resumes here",
                status=status,
            )
        ended = _END.search(data[-200:])
        # The last few of a search may be gone; a full page without a record is a fault.
        if ended and (_RECORD.search(data) or params.get("retmax") != str(PAGE)):
            return list(read_pubmed_xml(MemorySource(data, "PubMed"), ReadOptions()))
    if b"<PubmedArticleSet" not in data[:4096]:
        raise unexpected("PubMed", "records that are no PubMed XML")
    what = "sends no records of a search that has more" if ended else "broke off within its records"
    raise OnlineError(f"PubMed {what}", remedy="the same call resumes here")
