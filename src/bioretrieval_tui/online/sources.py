"""What a watch asks its source for: the records of a query since a day, newest first.

Small questions, some pages each; whole corpora come in by other ways. Answers are read by the
corpus readers, as files of the same form are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.corpus.document import Document, Record
from bioretrieval_tui.corpus.europepmc import read_europepmc
from bioretrieval_tui.corpus.memory import MemorySource
from bioretrieval_tui.corpus.reading import ReadOptions
from bioretrieval_tui.corpus.source import SourceDamaged
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online import pubmed
from bioretrieval_tui.online.answers import ArxivRecord, arxiv_records
from bioretrieval_tui.online.batches import Request, documents_of
from bioretrieval_tui.online.watches import Watch
from bioretrieval_tui.online.watching import Fetch

if TYPE_CHECKING:
    from bioretrieval_tui.online.door import Door

EUROPEPMC, ARXIV = "europepmc", "arxiv"
BATCH = 100
"""Records of a page."""


def fetcher(door: Door) -> Fetch:
    """What gives the records of any watch through `door`; it raises BioRetrievalError where the
    source fails or has changed its answers."""

    def fetch(watch: Watch, since: date) -> Iterator[Document]:
        ask = {"pubmed": _pubmed, "europepmc": _europepmc, "arxiv": _arxiv}[watch.source]
        return ask(door, watch.query, since)

    return fetch


def pubmed_records(door: Door, pmids: Sequence[str]) -> list[Document]:
    """The records of these PMIDs, in PubMed's order; those that it has not are left out.

    Raises:
        OnlineError: PubMed fails or answers something else.
    """
    return [item.document for item in pubmed.by_ids(door, pmids) if isinstance(item, Record)]


def _pubmed(door: Door, query: str, since: date) -> Iterator[Document]:
    # By the day on which a record entered PubMed: that of publication may lie far ahead.
    request = Request("pubmed", query, since)
    yield from documents_of(pubmed.batches(door, request, today=datetime.now(UTC).date()))


def _europepmc(door: Door, query: str, since: date) -> Iterator[Document]:
    cursor = "*"
    while True:
        params = {
            "query": f"({query}) AND (FIRST_IDATE:[{since.isoformat()} TO 3000-12-31])",
            "format": "json",
            "resultType": "core",
            "pageSize": str(BATCH),
            "cursorMark": cursor,
        }
        answer = door.get(EUROPEPMC, "search", params=params)
        documents = list(_documents(answer.body))
        yield from documents
        following = _cursor(answer.body)
        if not documents or following is None or following == cursor:
            return
        cursor = following


def _cursor(body: bytes) -> str | None:
    import json

    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _changed("Europe PMC") from error
    if not isinstance(found, dict) or "resultList" not in found:
        raise _changed("Europe PMC")
    following = found.get("nextCursorMark")
    return following if isinstance(following, str) and following else None


def _arxiv(door: Door, query: str, since: date) -> Iterator[Document]:
    start = 0
    while True:
        params = {
            "search_query": f"({query}) AND submittedDate:[{since:%Y%m%d}0000 TO 300001010000]",
            "sortBy": "submittedDate",
            "sortOrder": "descending",
            "start": str(start),
            "max_results": str(BATCH),
        }
        records = arxiv_records(door.get(ARXIV, "query", params=params).body)
        yield from map(arxiv_document, records.values())
        if len(records) < BATCH:
            return
        start += BATCH


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


def _documents(body: bytes) -> Iterator[Document]:
    """The documents of an answer of Europe PMC; a record that is at fault is passed over."""
    try:
        for item in read_europepmc(MemorySource(body, "Europe PMC"), ReadOptions()):
            if isinstance(item, Record):
                yield item.document
    except SourceDamaged as error:
        raise _changed("Europe PMC") from error


def _changed(name: str) -> BioRetrievalError:
    return BioRetrievalError(
        f"{name} answered in a form that is not known",
        remedy="try again later; if it stays so, this program is too old for it",
    )
