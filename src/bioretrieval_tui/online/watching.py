"""One run of a watch: what is new at its source, in the order of its nearness.

The source is asked for some days more than have gone by, since records come late into every
index, and what was seen before is passed over by its id. What had come when a run broke off is
kept; the next run asks for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import msgspec

from bioretrieval_tui.documents.bibliography import document_date, document_year
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.watch import News, Watch, Watched, bounded
from bioretrieval_tui.online.watches import save, watched, writing

OVERLAP = timedelta(days=7)
"""How far behind the last run a source is asked: PubMed gives records a date before they can be
found, and arXiv announces on Tuesday what came in on Friday."""
FORGOTTEN = timedelta(days=120)
"""After which an id that was seen is forgotten: no source dates a record back so far."""
FIRST_DAYS = timedelta(days=7)
"""How far the first run looks back, if nobody says so."""
MOST = 200
"""New records taken in one run."""
_LONGEST = 5_000
"""Characters kept of an abstract."""

Fetch = Callable[[Watch, date], Iterable[Document]]
"""Gives the records of a watch's source since a day; may raise BioRetrievalError on the way."""
Rank = Callable[[Watch, Sequence[Document]], Sequence[float | None]]
"""Gives the nearness of each document, None for one that is no news (its index holds it)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run brought.

    news: nearest first; known: new records that the watch's index holds already; more: whether
    there were more than one run takes; failed: why the run broke off, or could not compare.
    """

    watch: Watch
    news: tuple[News, ...]
    known: int = 0
    more: bool = False
    failed: BioRetrievalError | None = None


def run_watch(
    before: Watched, fetch: Fetch, rank: Rank, *, now: datetime, most: int = MOST
) -> Outcome:
    """Ask the source of a watch once, keep what is new and return it.

    now: the time in UTC; most: new records taken, the rest being left for the next run.

    Raises:
        NotFoundError: the watch was removed meanwhile. BioRetrievalError: what was found cannot be
        kept. What `fetch` and `rank` raise of that class is in the outcome instead.
    """
    now = now.astimezone(UTC)
    today = now.date().isoformat()
    fresh: dict[str, Document] = {}
    more, failed = False, None
    try:
        for document in fetch(before.watch, asked_since(before)):
            if document.id in before.seen or document.id in fresh:
                continue
            if len(fresh) >= most:
                more = True
                break
            fresh[document.id] = document
    except BioRetrievalError as error:
        failed = error
    documents = list(fresh.values())
    scores: Sequence[float | None] = [None] * len(documents)
    compared = True
    if documents:
        try:
            scores = rank(before.watch, documents)
        except BioRetrievalError as error:
            # Unranked news is worth more than none, and it would be fetched again otherwise.
            failed, compared = failed or error, False
    found = now.isoformat(timespec="seconds")
    pairs = list(zip(documents, scores, strict=True))
    news = [
        as_news(document, score, found)
        for document, score in pairs
        if score is not None or not compared
    ]
    news.sort(key=lambda one: -(one.score if one.score is not None else -2.0))
    with writing("run"):
        # Read anew: somebody may have marked news as read meanwhile.
        current = watched(before.watch.name)
        after = msgspec.structs.replace(
            current,
            # A run that did not come to its end must ask for the same days again.
            asked=current.asked if failed is not None or more else found,
            seen=_remembered({**current.seen, **dict.fromkeys(fresh, today)}, now.date()),
            news=bounded((*news, *current.news)),
            note=None if failed is None else failed.line(),
        )
        save(after)
    return Outcome(before.watch, tuple(news), len(pairs) - len(news), more, failed)


def asked_since(watched: Watched) -> date:
    """The day from which on the source is asked."""
    first = date.fromisoformat(watched.watch.since)
    if watched.asked is None:
        return first
    return max(first, datetime.fromisoformat(watched.asked).date() - OVERLAP)


def as_news(document: Document, score: float | None, found: str) -> News:
    """A record as news."""
    metadata = document.metadata
    authors = metadata.get("authors")
    journal = metadata.get("journal")
    return News(
        id=document.id,
        title=document.title or document.text[:100],
        found=found,
        text=document.text[:_LONGEST],
        url=_address(document),
        year=document_year(metadata),
        date=document_date(metadata),
        authors=tuple(map(str, authors[:20])) if isinstance(authors, list) else (),
        journal=journal if isinstance(journal, str) else None,
        score=score,
    )


def _address(document: Document) -> str | None:
    """The page of a record, as its source or its own metadata names it."""
    metadata = document.metadata
    url = metadata.get("url")
    if isinstance(url, str) and url.startswith(("https://", "http://")):
        return url
    pmid, doi = metadata.get("pmid"), metadata.get("doi")
    if isinstance(pmid, str | int) and str(pmid).isdigit():
        return f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/"
    if isinstance(doi, str) and doi.startswith("10."):
        return f"https://doi.org/{doi}"
    return None


def _remembered(seen: dict[str, str], today: date) -> dict[str, str]:
    oldest = (today - FORGOTTEN).isoformat()
    return {identifier: day for identifier, day in seen.items() if day >= oldest}
