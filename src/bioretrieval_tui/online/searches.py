"""The searches of PubMed, Europe PMC and arXiv, page by page, and the works of lists of ids.

A source is a function that requests the page at a cursor. PubMed gives only the first 9,999 records
of a search, kept there as a history: a longer one is split by the day on which records entered
PubMed, newest first, until every part is short enough. A history lives for some hours; where it has
expired the part is searched again, and the fetch resumes where it stood.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from bioretrieval_tui.documents.detect import items as read_items
from bioretrieval_tui.documents.document import Document, Item, Place, Record, RecordFault, Rejected
from bioretrieval_tui.documents.readers.json_corpora import EUROPEPMC
from bioretrieval_tui.documents.readers.pubmed_xml import PUBMED_XML
from bioretrieval_tui.documents.readers.xml_records import parse_record
from bioretrieval_tui.documents.source import Format, ReadSettings, SourceReader
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.services import OnlineError, no_json, refused, unexpected
from bioretrieval_tui.online.spool import (
    SERVICE_NAMES,
    FetchBatch,
    FetchRequest,
    IdKind,
    Mark,
    QueryNote,
    SourceName,
    WorkId,
)
from bioretrieval_tui.terminal.clean import clean

if TYPE_CHECKING:
    from lxml.etree import _Element

    from bioretrieval_tui.online.http import HttpClient

PUBMED_PAGE = 200
"""Records of one request: about 2 MB, and a third of a second of parsing."""
PUBMED_REACH = 9_999
"""Records of one search at most."""
_RESUMES = "try again later; the same call resumes here"
_FIRST_DAY = date(1800, 1, 1)
_DAYS = 365
"""Days of the first part of a long search."""
_SHARE = 0.8
"""How full a part should be of its reach, so that the next one does not exceed it."""
_TRIES = 3
"""Incomplete or empty responses, or expired histories, after which the fetch fails."""
_SEARCH_BYTES = 2**20
"""Bytes of the response to a search: a count, a history, and the query as understood."""
_ERROR = re.compile(rb"<ERROR>(.{0,500}?)</ERROR>", re.DOTALL)
_END = re.compile(rb"</PubmedArticleSet>\s*\Z|<PubmedArticleSet\s*/>\s*\Z")
_RECORD = re.compile(rb"<Pubmed(Book)?Article[\s>]")
_EUROPEPMC_PAGE = 200
_EUROPEPMC_SINCE = "({query}) AND (FIRST_IDATE:[{day:%Y-%m-%d} TO 3000-12-31])"
_EUROPEPMC_IDS = 40
"""Ids of one query, which travels in the address."""
_UNSAFE = re.compile(r'["\\\x00-\x20]')
_ARXIV_PAGE = 500
_ARXIV_SINCE = "({query}) AND submittedDate:[{day:%Y%m%d}0000 TO 300001010000]"
_ARXIV_REACH = 30_000
"""Papers of one search that arXiv gives at most."""
_TOTAL = re.compile(rb"<opensearch:totalResults[^>]{0,200}>\s*(\d{1,9})\s*<")
_SUMMARY = re.compile(rb"<summary[^>]{0,100}>([^<]{0,500})")
_ID = re.compile(
    r"(?:https?://[^/]+/abs/)?(\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v(\d+))?"
)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_WITHDRAWN = re.compile(r"\bwithdrawn\b", re.IGNORECASE)
_ATOM = "{http://www.w3.org/2005/Atom}"
_OWN = "{http://arxiv.org/schemas/atom}"
CHUNK = 200
"""Ids between two marks; PubMed and arXiv are asked for as many at once."""
SERVICE_OF: Mapping[IdKind, str] = {
    "pmid": "PubMed", "pmcid": "Europe PMC", "doi": "Europe PMC", "arxiv": "arXiv",
}  # fmt: skip
"""Kind of id -> the service that is asked for it, in this order."""


NoteQuery = Callable[[QueryNote], None]
"""Takes what a service says of a query."""


def batches_of(
    client: HttpClient,
    request: FetchRequest,
    mark: Mark | None = None,
    *,
    today: date | None = None,
    note: NoteQuery = lambda _: None,
) -> Iterator[FetchBatch]:
    """Yield the batches of a request after `mark`, in the order of its source (PubMed and arXiv:
    newest first); today: in UTC, the last day of entry into PubMed; note: called with what the
    service says of the query.

    Raises:
        OnlineError: a service cannot be reached, rejects the query, gives no more of it, or sends
            an unexpected response.
    """
    mark = mark or Mark()
    if request.source == "ids":
        return batches_of_ids(client, request.ids, mark)
    if request.source == "pubmed":
        # By day of entry into PubMed, since the day of publication may lie far ahead.
        return _pubmed_batches(client, request, mark, today or datetime.now(UTC).date(), note)
    return _paged_batches(client, request, mark, request.source)


def documents_of(batches: Iterable[FetchBatch]) -> Iterator[Document]:
    """Yield the documents of all batches in order."""
    for one in batches:
        yield from one.documents


# Pages --------------------------------------------------------------------------------------------


def _batch_of(items: Iterable[Item], mark: Mark) -> FetchBatch:
    """Make a batch of a reader's items; notices of deletion have no meaning in a search."""
    items = list(items)
    documents = tuple(item.document for item in items if isinstance(item, Record))
    return FetchBatch(documents, tuple(one for one in items if isinstance(one, Rejected)), mark)


def _next_size(request: FetchRequest, mark: Mark, page: int) -> int:
    """The number of records to request next: a page, or what is still missing of `most`."""
    return page if request.most is None else max(0, min(page, request.most - mark.done))


def _expected(request: FetchRequest, total: int | None) -> int | None:
    """The number of records that the fetch will give: those of the service, at most `most`."""
    return min((one for one in (total, request.most) if one is not None), default=None)


def _read(data: bytes, name: str, format_: Format) -> list[Item]:
    with SourceReader(None, data=data, name=name) as source:
        return list(read_items(source, format_, ReadSettings()))


class _SearchPage(NamedTuple):
    """Records of one request. found: how many the search has in all; following: the cursor of the
    next page; last: there is none."""

    items: Sequence[Item]
    found: int
    following: str
    last: bool


class _Source(NamedTuple):
    """A search by pages of `size` records. since: the query from a day on; field: of the cursor in
    a mark; first: the cursor of the first page; page: requests the page of a query at a cursor,
    with a number of records."""

    size: int
    since: str
    field: str
    first: str
    page: Callable[[HttpClient, str, str, int], _SearchPage]


def _paged_batches(
    client: HttpClient, request: FetchRequest, mark: Mark, name: SourceName
) -> Iterator[FetchBatch]:
    query, (size, since, field, first, page_at) = request.query, _SOURCES[name]
    if request.since is not None:
        query = since.format(query=query, day=request.since)
    while wanted := _next_size(request, mark, size):
        page = page_at(client, query, mark.cursor.get(field, first), wanted)
        if mark.done > page.found + size:
            raise unexpected(SERVICE_NAMES[name], "more records than it counts")
        done, total = mark.done + len(page.items), _expected(request, page.found)
        mark = Mark({field: page.following}, done, total, page.found)
        yield _batch_of(page.items, mark)
        if page.last:
            return


# PubMed -------------------------------------------------------------------------------------------


class _Part(msgspec.Struct, frozen=True):
    """The records that entered PubMed from `first` to `last`, kept there as a history; offset: of
    the next one. The cursor of a mark is its fields as texts."""

    first: date
    last: date
    count: int
    web: str
    key: str
    offset: int = 0


def _pubmed_batches(
    client: HttpClient, request: FetchRequest, mark: Mark, today: date, note: NoteQuery
) -> Iterator[FetchBatch]:
    total, found = mark.total, mark.found
    for part, rest in _parts(client, request, mark, today, note):
        if total is None:
            total, found = _expected(request, rest), rest
        while part.offset < part.count and (size := _next_size(request, mark, PUBMED_PAGE)):
            wanted = min(size, part.count - part.offset)
            part, items = _pubmed_records(client, request.query, part, wanted)
            size = max(0, min(wanted, part.count - part.offset))
            part = msgspec.structs.replace(part, offset=part.offset + size)
            cursor = {name: str(one) for name, one in msgspec.structs.asdict(part).items()}
            mark = Mark(cursor, mark.done + size, total, found)
            yield _batch_of(items, mark)
        if not _next_size(request, mark, PUBMED_PAGE):
            return


def _parts(
    client: HttpClient, request: FetchRequest, mark: Mark, today: date, note: NoteQuery
) -> Iterator[tuple[_Part, int | None]]:
    """Yield the parts of a search within `PUBMED_REACH`, newest first, each with the number of
    records from it on, None if not known.

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
        whole = rest is None or rest <= PUBMED_REACH
        first = start if whole else max(start, last - timedelta(days=days - 1))
        part, said = _pubmed_search(client, request.query, first, last)
        if rest is None:
            note(said)
        if rest is None or whole:
            rest = part.count
        enough = request.most is not None and request.most - done <= PUBMED_REACH
        fits = part.count <= PUBMED_REACH or first == last or enough
        if not whole:
            fitting = min(8.0 if fits else 0.25, _SHARE * PUBMED_REACH / max(1, part.count))
            days = max(1, int(days * fitting))
        if fits:
            # A single day may have more records than PubMed gives.
            yield msgspec.structs.replace(part, count=min(part.count, PUBMED_REACH)), rest
            last, done, rest = first - timedelta(days=1), done + part.count, rest - part.count


def _pubmed_search(
    client: HttpClient, query: str, first: date, last: date
) -> tuple[_Part, QueryNote]:
    params = {"db": "pubmed", "term": query, "usehistory": "y", "retmode": "json", "retmax": "0"}
    params |= {"datetype": "edat", "mindate": f"{first:%Y/%m/%d}", "maxdate": f"{last:%Y/%m/%d}"}
    response = client.get("ncbi", "/esearch.fcgi", params=params, most_bytes=_SEARCH_BYTES)
    try:
        answer = response.json()
    except (ValueError, RecursionError) as error:
        raise no_json("PubMed") from error
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
    part = _Part(first, last, int(counted[0]), str(web or ""), str(key or ""))
    return part, _pubmed_note(found)


_NOT_FOUND = ("phrasesnotfound", "quotedphrasesnotfound")
_TOLD = "no items found."
"""A message without news: the count says the same."""
_DAYS_OF_SEARCH = re.compile(r"(?: AND )?\(?\d{4}[/\d]*:\d{4}[/\d]*\[[\w ]*Date[\w -]*\]\)?$")
_MOST_SAID = 400


def _pubmed_note(found: Mapping[str, Any]) -> QueryNote:
    """What `errorlist`, `warninglist` and `querytranslation` say of the query."""
    said: dict[str, list[str]] = {}
    for name in ("errorlist", "warninglist"):
        of_kind = found.get(name)
        for key, values in of_kind.items() if isinstance(of_kind, dict) else ():
            texts = values if isinstance(values, list) else [values]
            lines = (_line(clean(one), _MOST_SAID) for one in texts if isinstance(one, str))
            said.setdefault(key, []).extend(
                one for one in lines if one.casefold() not in ("", _TOLD)
            )
    absent = [one for name in _NOT_FOUND for one in said.pop(name, ())]
    unknown = [f"[{one.strip('[]')}]" for one in said.pop("fieldsnotfound", ())]
    parts = [f"did not find {_enumerated(map(_quoted, absent))}"] if absent else []
    if unknown:
        fields = "field" if len(set(unknown)) == 1 else "fields"
        parts.append(f"does not know the {fields} {_enumerated(unknown)}")
    parts = [", ".join(parts) + ": the records may be others than meant"] if parts else []
    if ignored := said.pop("phrasesignored", ()):
        parts.append(f"ignored {_enumerated(map(_quoted, ignored))}")
    parts += (f"says: {one}" for other in said.values() for one in other)
    caution = f"PubMed {'; '.join(parts)}" if parts else ""
    reading = found.get("querytranslation")
    reading = _line(clean(reading), 4 * _MOST_SAID) if isinstance(reading, str) else ""
    reading = _DAYS_OF_SEARCH.sub("", reading)
    if len(reading) > _MOST_SAID:
        reading = f"{reading[:_MOST_SAID]}..."
    return QueryNote(caution, reading)


def _quoted(phrase: str) -> str:
    return phrase if phrase.startswith('"') else f'"{phrase}"'


def _enumerated(texts: Iterable[str]) -> str:
    """Texts, each once, as part of a sentence."""
    *most, last = dict.fromkeys(texts)
    return " and ".join(filter(None, (", ".join(most), last)))


def _pubmed_records(
    client: HttpClient, query: str, part: _Part, size: int
) -> tuple[_Part, list[Item]]:
    """Fetch records of a part, which is searched again where its history has expired."""
    for _ in range(_TRIES):
        wanted = {"db": "pubmed", "WebEnv": part.web, "query_key": part.key, "retmode": "xml"}
        wanted |= {"retstart": str(part.offset), "retmax": str(size)}
        items = _pubmed_articles(client, wanted)
        if items is not None:
            return part, items
        again, _ = _pubmed_search(client, query, part.first, part.last)
        # Records may have come or gone since: the new count is what remains.
        part = msgspec.structs.replace(
            again, count=min(again.count, PUBMED_REACH), offset=part.offset
        )
        size = min(size, part.count - part.offset)
        if size <= 0:
            return part, []
    raise OnlineError("the searches of PubMed expire at once", remedy=_RESUMES)


def _pubmed_articles(client: HttpClient, params: dict[str, Any]) -> list[Item] | None:
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
            what = f"PubMed responded with status {status} to a request for records"
            raise OnlineError(what, remedy=_RESUMES, status=status)
        ended = _END.search(data[-200:])
        # The last few of a search may be gone; a full page without a record is a fault.
        if ended and (_RECORD.search(data) or params.get("retmax") != str(PUBMED_PAGE)):
            return _read(data, "PubMed", PUBMED_XML)
    if b"<PubmedArticleSet" not in data[:4096]:
        raise unexpected("PubMed", "records that are no PubMed XML")
    what = "sends no records of a search that has more" if ended else "broke off within its records"
    raise OnlineError(f"PubMed {what}", remedy="the same call resumes here")


# Europe PMC ---------------------------------------------------------------------------------------


class _Envelope(msgspec.Struct):
    """What surrounds the results, which the document reader parses."""

    hit_count: int | None = msgspec.field(name="hitCount", default=None)
    next_cursor: str | None = msgspec.field(name="nextCursorMark", default=None)
    fault: str | None = msgspec.field(name="errMsg", default=None)


def _europepmc_page(client: HttpClient, query: str, cursor: str, size: int) -> _SearchPage:
    params = {"query": query, "format": "json", "resultType": "core"}
    params |= {"pageSize": str(size), "cursorMark": cursor}
    body = client.get("europepmc", "search", params=params).content
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unexpected("Europe PMC", "no JSON of a search") from error
    if envelope.fault:
        raise OnlineError(
            f"Europe PMC rejects the query: {clean(envelope.fault)[:200]}",
            remedy="try the query on europepmc.org",
        )
    if envelope.hit_count is None or b'"resultList"' not in body:
        raise unexpected("Europe PMC", "a search without a count or a list")
    items = _read(body, "Europe PMC", EUROPEPMC)[:size]
    # The last page repeats its own cursor.
    following = envelope.next_cursor or cursor
    return _SearchPage(items, envelope.hit_count, following, last=following == cursor or not items)


# arXiv --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ArxivRecord:
    """One paper. document: its id is the arXiv id, without version; facts: version, updated (ISO
    8601 day), title, doi and whether it is withdrawn, None where not stated."""

    document: Document
    facts: Mapping[str, str | int | bool | None]


def arxiv_by_ids(client: HttpClient, ids: Sequence[str]) -> dict[str, ArxivRecord]:
    """Return the papers with these arXiv ids (without versions, at most `CHUNK`), by id; unknown
    ones are left out. Raises OnlineError."""
    params = {"id_list": ",".join(ids), "max_results": str(len(ids))}
    return arxiv_records(client.get("arxiv", "query", params=params).content)


def arxiv_records(data: bytes) -> dict[str, ArxivRecord]:
    """Parse an Atom feed of arXiv's API; the papers by id. Raises OnlineError if it is none."""
    try:
        root = parse_record(data)
    except RecordFault as error:
        raise unexpected("arXiv", str(error)) from error
    if root.tag != f"{_ATOM}feed":
        raise unexpected("arXiv", "not an Atom feed")
    records = map(_record, root.iterfind(f"{_ATOM}entry"))
    return {record.document.id: record for record in records if record is not None}


def _arxiv_page(client: HttpClient, query: str, cursor: str, size: int) -> _SearchPage:
    start = int(cursor)
    if start >= _ARXIV_REACH:
        raise OnlineError(
            f"arXiv gives no more than {_ARXIV_REACH:,} papers of one search",
            remedy="narrow the query, or fetch in parts with --since",
        )
    params = {"search_query": query, "sortBy": "submittedDate", "sortOrder": "descending"}
    params |= {"start": cursor, "max_results": str(size)}
    # arXiv now and then sends an empty page in the middle of a search.
    for _ in range(_TRIES):
        response = client.get("arxiv", "query", params=params, check=False)
        body = response.content
        if b"arxiv.org/api/errors" in body:
            summary = _SUMMARY.search(body)
            why = summary[1].decode("utf-8", "replace") if summary else "no reason given"
            raise OnlineError(
                f"arXiv rejects the query: {' '.join(clean(why)[:200].split())}",
                remedy="see info.arxiv.org/help/api/user-manual for the query syntax",
            )
        if response.status_code >= 400:
            raise refused(client.service("arxiv"), response.status_code)
        items = [Record(one.document, Place("arXiv")) for one in arxiv_records(body).values()]
        total, after = _TOTAL.search(body), start + len(items)
        if total is None:
            raise unexpected("arXiv", "a feed without a count")
        if items or start >= int(total[1]):
            last = not items or after >= int(total[1])
            return _SearchPage(items, int(total[1]), str(after), last)
    raise OnlineError("arXiv sends an empty page of a search that has more papers", remedy=_RESUMES)


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
    terms = [_line(one.get("term") or "", 40) for one in entry.iterfind(f"{_ATOM}category")]
    metadata = {
        "authors": [name for name in authors[:500] if name],
        "arxiv": named[1],
        "url": f"https://arxiv.org/abs/{named[1]}",
        "keywords": terms[:20],
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


_SOURCES: Mapping[SourceName, _Source] = {
    "europepmc": _Source(_EUROPEPMC_PAGE, _EUROPEPMC_SINCE, "mark", "*", _europepmc_page),
    "arxiv": _Source(_ARXIV_PAGE, _ARXIV_SINCE, "start", "0", _arxiv_page),
}


# Works by their ids -------------------------------------------------------------------------------


def batches_of_ids(
    client: HttpClient, ids: Sequence[WorkId], mark: Mark | None = None
) -> Iterator[FetchBatch]:
    """Yield the works of `ids` after `mark`, service by service. Raises OnlineError."""
    mark = mark or Mark()
    chunks: list[Sequence[WorkId]] = []
    for service in dict.fromkeys(SERVICE_OF.values()):
        part = [one for one in ids if SERVICE_OF[one.kind] == service]
        chunks += (part[start : start + CHUNK] for start in range(0, len(part), CHUNK))
    first = int(mark.cursor.get("chunk", "0"))
    for number, chunk in enumerate(chunks[first:], start=first + 1):
        items = _asked_for(client, chunk)
        mark = Mark({"chunk": str(number)}, mark.done + len(chunk), len(ids))
        yield _batch_of(items, mark)


def services_of(ids: Sequence[WorkId]) -> str:
    """The names of the services that are asked for `ids`, as part of a sentence."""
    kinds = {one.kind for one in ids}
    return _enumerated(name for kind, name in SERVICE_OF.items() if kind in kinds)


def names_of(document: Document) -> set[tuple[str, str]]:
    """The ids of a document, as `WorkId.key` gives them."""
    fields = ((kind, document.metadata.get(kind)) for kind in SERVICE_OF)
    return {(kind, str(value).casefold()) for kind, value in fields if value}


def _asked_for(client: HttpClient, chunk: Sequence[WorkId]) -> Iterator[Item]:
    """The records of works of one service; unknown ones are left out."""
    names = [one.name for one in chunk]
    if chunk[0].kind == "pmid":
        params = {"db": "pubmed", "id": ",".join(names), "retmode": "xml"}
        yield from _pubmed_articles(client, params) or ()
        return
    if chunk[0].kind == "arxiv":
        for one in arxiv_by_ids(client, names).values():
            yield Record(one.document, Place("arXiv"))
        return
    fields = [
        f'{"DOI" if one.kind == "doi" else "PMCID"}:"{one.name}"'
        for one in chunk
        if not _UNSAFE.search(one.name)
    ]
    wanted = {one.key for one in chunk}
    for start in range(0, len(fields), _EUROPEPMC_IDS):
        query = " OR ".join(fields[start : start + _EUROPEPMC_IDS])
        for item in _europepmc_page(client, query, "*", _EUROPEPMC_PAGE).items:
            # A search for ids also finds records that only mention them.
            if not isinstance(item, Record) or names_of(item.document) & wanted:
                yield item
