"""arXiv by its API: Atom feeds, one request in three seconds, newest first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.online.answers import arxiv_document, arxiv_records
from bioretrieval_tui.online.door import Door
from bioretrieval_tui.online.faults import OnlineError, has_changed
from bioretrieval_tui.online.spool import FetchBatch, FetchRequest, Mark, expected, next_size
from bioretrieval_tui.terminal.clean import clean

SERVICE = "arxiv"
NAME = "arXiv"
PAGE = 500
REACH = 30_000
"""Papers of one search that arXiv gives at most."""
_IDS = 100
_EMPTY_TRIES = 3
"""arXiv now and then answers a page in the middle with nothing at all."""
_TOTAL = re.compile(rb"<opensearch:totalResults[^>]{0,200}>\s*(\d{1,9})\s*<")
_ERROR = re.compile(rb"arxiv\.org/api/errors")
_SUMMARY = re.compile(rb"<summary[^>]{0,100}>([^<]{0,500})")


def batches(door: Door, request: FetchRequest, mark: Mark | None = None) -> Iterator[FetchBatch]:
    """The papers of a search, newest first; from behind `mark` on, if there is one.

    Raises:
        OnlineError: arXiv cannot be reached, does not take the query, gives no more of it, or
            answers in a form that is not known.
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
                remedy="narrow the query, or say --since, and fetch in parts",
            )
        documents, found = _page(door, query, start, size)
        total = expected(request, found)
        start += len(documents)
        mark = Mark({"start": str(start)}, mark.done + len(documents), total)
        yield FetchBatch(tuple(documents), (), mark)
        if not documents or start >= found:
            return


def by_ids(door: Door, ids: Sequence[str]) -> Iterator[Document]:
    """The papers of these arXiv ids (without versions); those that arXiv has not are left out.
    Raises OnlineError."""
    for begin in range(0, len(ids), _IDS):
        part = ids[begin : begin + _IDS]
        params = {"id_list": ",".join(part), "max_results": str(len(part))}
        yield from _documents(door.get(SERVICE, "query", params=params).body)


def _page(door: Door, query: str, start: int, size: int) -> tuple[list[Document], int]:
    """The papers from `start` on, and how many there are in all."""
    params = {
        "search_query": query,
        "sortBy": "submittedDate",
        "sortOrder": "descending",
        "start": str(start),
        "max_results": str(size),
    }
    documents: list[Document] = []
    found = 0
    for _ in range(_EMPTY_TRIES):
        answer = door.get(SERVICE, "query", params=params, check=False)
        body = answer.body
        if _ERROR.search(body):
            said = _SUMMARY.search(body)
            why = clean(said[1].decode("utf-8", "replace"))[:200] if said else "it says no more"
            raise OnlineError(
                f"{NAME} does not take the query: {' '.join(why.split())}",
                remedy="see info.arxiv.org/help/api/user-manual for how queries are written",
            )
        if answer.status >= 400:
            raise OnlineError(f"{NAME} answers {answer.status}", remedy="try again later")
        documents = _documents(body)
        total = _TOTAL.search(body)
        if total is None:
            raise has_changed(NAME, "a feed without a count")
        found = int(total[1])
        if documents or start >= found:
            return documents, found
    raise OnlineError(
        f"{NAME} gives nothing of a page that it counts",
        remedy="try again later; the same call goes on from here",
    )


def _documents(body: bytes) -> list[Document]:
    return [arxiv_document(record) for record in arxiv_records(body).values()]
