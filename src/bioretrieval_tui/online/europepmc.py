"""Europe PMC by its REST search: page by page, each with the cursor of the next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from bioretrieval_tui.documents.detect import items
from bioretrieval_tui.documents.document import Item
from bioretrieval_tui.documents.readers.json_corpora import EUROPEPMC
from bioretrieval_tui.documents.source import ReadSettings, SourceReader
from bioretrieval_tui.online.services import OnlineError, unexpected
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

SERVICE = "europepmc"
NAME = "Europe PMC"
PAGE = 200
_BEGIN = "*"
_IDS = 40
"""Ids of one query, which travels in the address."""
_UNSAFE = re.compile(r'["\\\x00-\x20]')


class _Envelope(msgspec.Struct):
    """What surrounds the results, which the document reader parses."""

    hit_count: int | None = msgspec.field(name="hitCount", default=None)
    next_cursor: str | None = msgspec.field(name="nextCursorMark", default=None)
    fault: str | None = msgspec.field(name="errMsg", default=None)


def batches(
    client: HttpClient, request: FetchRequest, mark: Mark | None = None
) -> Iterator[FetchBatch]:
    """Yield the records of a search, in Europe PMC's order, from behind `mark` on.

    Raises:
        OnlineError: Europe PMC cannot be reached, rejects the query, or sends an unexpected
            response.
    """
    mark = mark or Mark()
    query = request.query
    if request.since is not None:
        query = f"({query}) AND (FIRST_IDATE:[{request.since.isoformat()} TO 3000-12-31])"
    cursor = mark.cursor.get("mark", _BEGIN)
    while size := next_size(request, mark, PAGE):
        body, envelope = _page(client, query, cursor, size)
        found = _items(body)[:size]
        total = expected(request, envelope.hit_count)
        following = envelope.next_cursor or cursor
        # The last page repeats its own cursor.
        over = following == cursor or not found
        if mark.done > (envelope.hit_count or 0) + PAGE:
            raise unexpected(NAME, "more records than it counts")
        mark = Mark({"mark": following}, mark.done + len(found), total)
        yield batch_of(found, mark)
        if over:
            return
        cursor = following


def by_ids(client: HttpClient, fields: Sequence[tuple[str, str]]) -> Iterator[Item]:
    """Yield the records of ids, each with the name of its field (DOI, PMCID); unknown ones are
    left out. Raises OnlineError."""
    sound = [(field, name) for field, name in fields if not _UNSAFE.search(name)]
    for start in range(0, len(sound), _IDS):
        part = sound[start : start + _IDS]
        query = " OR ".join(f'{field}:"{name}"' for field, name in part)
        body, _ = _page(client, query, _BEGIN, PAGE)
        yield from _items(body)


def _page(client: HttpClient, query: str, cursor: str, size: int) -> tuple[bytes, _Envelope]:
    params = {
        "query": query,
        "format": "json",
        "resultType": "core",
        "pageSize": str(size),
        "cursorMark": cursor,
    }
    body = client.get(SERVICE, "search", params=params).content
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unexpected(NAME, "no JSON of a search") from error
    if envelope.fault:
        raise OnlineError(
            f"{NAME} rejects the query: {clean(envelope.fault)[:200]}",
            remedy="try the query on europepmc.org",
        )
    if envelope.hit_count is None or b'"resultList"' not in body:
        raise unexpected(NAME, "a search without a count or a list")
    return body, envelope


def _items(body: bytes) -> list[Item]:
    with SourceReader(None, data=body, name=NAME) as source:
        return list(items(source, EUROPEPMC, ReadSettings()))
