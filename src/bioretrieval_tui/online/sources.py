"""What a watch asks its source for: the records of a query since a day, by the searches that fetch
whole corpora, without their resumption."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from bioretrieval_tui.documents.document import Document, Record
from bioretrieval_tui.online import pubmed
from bioretrieval_tui.online.fetch import batches_of
from bioretrieval_tui.online.spool import FetchRequest, documents_of
from bioretrieval_tui.online.watch import Watch
from bioretrieval_tui.online.watching import Fetch

if TYPE_CHECKING:
    from bioretrieval_tui.online.door import Door


def fetcher(door: Door, *, now: Callable[[], datetime] | None = None) -> Fetch:
    """What gives the records of any watch through `door`; it raises OnlineError where the source
    fails or has changed its answers. now: tells the time in UTC; the real one if None."""
    clock = now or (lambda: datetime.now(UTC))

    def fetch(watch: Watch, since: date) -> Iterator[Document]:
        request = FetchRequest(watch.source, watch.query, since)
        return documents_of(batches_of(door, request, today=clock().date()))

    return fetch


def pubmed_records(door: Door, pmids: Sequence[str]) -> list[Document]:
    """The records of these PMIDs, in PubMed's order; those that it has not are left out.

    Raises:
        OnlineError: PubMed fails or answers something else.
    """
    return [item.document for item in pubmed.by_ids(door, pmids) if isinstance(item, Record)]
