"""What every search of a service is made of: a request, batches of records, and where it stands.

A mark is all that is needed to go on after a batch, in another process if need be; what it holds
is the source's own business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

import msgspec

from bioretrieval_tui.documents.document import Document, Item, Record, Rejected
from bioretrieval_tui.errors import UsageError

SourceName = Literal["pubmed", "europepmc", "arxiv"]
LONGEST_QUERY = 20_000
"""Characters; PubMed takes long ones in the body of a request."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: a query in the service's own language, records since a day (of entry, or
    of first publication), and how many at most; None for all."""

    source: SourceName
    query: str
    since: date | None = None
    most: int | None = None


class Mark(msgspec.Struct, frozen=True):
    """Where a search stands. cursor: the source's own words; done: records that the service gave
    so far, those that were passed over included; total: how many there are, None if not known."""

    cursor: dict[str, str] = {}
    done: int = 0
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records, in the service's order, and the mark behind them."""

    documents: tuple[Document, ...]
    rejected: tuple[Rejected, ...]
    mark: Mark


def sound_query(text: str) -> str:
    """A query as services are asked it: on one line, with single spaces.

    Raises:
        UsageError: it is empty, too long, or no text.
    """
    query = " ".join(text.split())
    if not query or len(query) > LONGEST_QUERY:
        raise UsageError(
            f"a query of {len(query):,} characters cannot be asked"
            if query
            else "the query is empty",
            remedy=f"give 1 to {LONGEST_QUERY:,} characters, in quotes",
        )
    try:
        query.encode()
    except UnicodeEncodeError as error:
        # A word of the call that was no UTF-8.
        raise UsageError(
            "the query holds bytes that are no UTF-8", remedy="set the terminal to UTF-8"
        ) from error
    return query


def batch(items: Iterable[Item], mark: Mark) -> Batch:
    """The batch of what a reader gave; notices of deletion say nothing about a search."""
    documents, rejected = [], []
    for item in items:
        if isinstance(item, Record):
            documents.append(item.document)
        elif isinstance(item, Rejected):
            rejected.append(item)
    return Batch(tuple(documents), tuple(rejected), mark)


def left(request: Request, mark: Mark, page: int) -> int:
    """Records to ask for next: a page, or what is missing of what was asked for."""
    return page if request.most is None else max(0, min(page, request.most - mark.done))


def target(request: Request, total: int | None) -> int | None:
    """Records that will come in all: no more than there are, nor than are wanted."""
    if total is None or request.most is None:
        return total if request.most is None else request.most
    return min(total, request.most)


def documents_of(batches: Iterable[Batch]) -> Iterator[Document]:
    """The documents of all batches, in turn."""
    for one in batches:
        yield from one.documents
