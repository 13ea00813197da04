"""Watches: queries that are repeated, with their news; one file a watch.

A file holds the watch, the ids that it has seen and its news, and is replaced as a whole. A run
asks for some more days than have passed, since records enter every index late, and skips ids that
it has seen.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bioretrieval_tui.documents.bibliography import document_date, document_url, document_year
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError, UsageError
from bioretrieval_tui.online.spool import FetchRequest, QueryNote, SourceName, sound_query
from bioretrieval_tui.paths import file_errors, locked, places, private, save_file

if TYPE_CHECKING:
    from bioretrieval_tui.online.http import HttpClient

FORMAT = 1
MOST_NEWS = 2_000
"""News kept a watch; the oldest that were read are dropped first."""
MOST_NEW = 200
"""New records taken in one run."""
OVERLAP = timedelta(days=7)
"""How far before the last run a source is asked: PubMed dates records before they can be found,
and arXiv announces on Tuesday what was submitted on Friday."""
FORGOTTEN = timedelta(days=120)
"""How long seen ids are remembered: no source dates a record back so far."""
FIRST_DAYS = timedelta(days=7)
"""How far the first run looks back by default."""
_LONGEST = 5_000
"""Characters kept of an abstract."""
_MOST_BYTES = 64 * 2**20
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SUFFIX = ".json"


class Watch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A query that is repeated. index: news are ranked by nearness to its documents, else to the
    query; since: the first day (ISO 8601) that is asked for; added: day of its creation."""

    name: str
    query: str
    source: SourceName
    since: str
    added: str
    index: str | None = None


class News(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record that was new to a watch. score: similarity to the query or to the documents of the
    index, None if not compared; found: time of the run, ISO 8601, UTC; date: of publication, as
    exact as known."""

    id: str
    title: str
    found: str
    text: str = ""
    url: str | None = None
    year: int | None = None
    date: str | None = None
    authors: tuple[str, ...] = ()
    journal: str | None = None
    score: float | None = None
    read: bool = False


class Watched(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A watch with what it has seen. asked: time (ISO 8601, UTC) of the last complete run; seen: id
    -> day of its first appearance; news: newest run first, best score first within a run; note: why
    the last run failed, or what of the query the source did not find or know."""

    watch: Watch
    format: int = FORMAT
    asked: str | None = None
    seen: dict[str, str] = {}
    news: tuple[News, ...] = ()
    note: str | None = None

    @property
    def unread(self) -> int:
        return sum(1 for one in self.news if not one.read)


def bounded(news: Sequence[News]) -> tuple[News, ...]:
    """Keep at most `MOST_NEWS`: the oldest read ones go first, then the oldest."""
    kept = sorted(range(len(news)), key=lambda place: (news[place].read, place))[:MOST_NEWS]
    return tuple(news[place] for place in sorted(kept))


# The files ----------------------------------------------------------------------------------------


def folder() -> Path:
    """The folder of the watches; it may not exist yet."""
    return places().data / "watches"


def watches(remark: Callable[[str], None] = lambda _: None) -> list[Watched]:
    """Read all watches, by name; remark: called with the reason for each that cannot be read and is
    left out. Raises BioRetrievalError if the folder cannot be read."""
    where = folder()
    with file_errors(f"the watches in {where} cannot be read"):
        paths = sorted(where.iterdir(), key=lambda path: path.stem) if where.is_dir() else []
    found = []
    for path in paths:
        if path.suffix == _SUFFIX and not path.name.startswith("."):
            try:
                found.append(_read(path))
            except BioRetrievalError as error:
                remark(error.line())
    return found


def watched(name: str) -> Watched:
    """Read a watch. Raises NotFoundError, or BioRetrievalError if it is damaged."""
    path = _path(name)
    if not path.is_file():
        raise _missing(name)
    return _read(path)


def add_watch(
    query: str, source: SourceName, *, since: str, today: str, index: str | None = None
) -> Watch:
    """Create a watch under a name made from its query. Raises UsageError if the query is invalid or
    the same watch exists, BioRetrievalError if it cannot be written."""
    query = sound_query(query)
    with _held("changed"):
        for one in (other.watch for other in watches()):
            if (one.query, one.source, one.index) == (query, source, index):
                raise UsageError(
                    f"this query is watched already as {one.name}",
                    remedy=f"to start over: bioretrieval-tui watch remove {one.name}",
                )
        base = "-".join(re.findall(r"[a-z0-9]+", query.casefold()))[:40].strip("-") or "watch"
        names = itertools.chain((base,), (f"{base}-{number}" for number in itertools.count(2)))
        name = next(one for one in names if not _path(one).exists())
        watch = Watch(name=name, query=query, source=source, since=since, added=today, index=index)
        save(Watched(watch=watch))
    return watch


def remove_watch(name: str) -> Watched:
    """Delete a watch with its news, and return them. Raises NotFoundError, BioRetrievalError."""
    with _held("changed"):
        found = watched(name)
        with file_errors(f"the watch {name} cannot be deleted"):
            _path(name).unlink()
    return found


def mark_read(name: str, ids: Collection[str] | None = None, *, read: bool = True) -> Watched:
    """Mark news of a watch as read or unread; ids: all of them if None. Raises NotFoundError,
    BioRetrievalError."""
    with _held("changed"):
        found = watched(name)
        news = tuple(
            msgspec.structs.replace(one, read=read) if ids is None or one.id in ids else one
            for one in found.news
        )
        marked = msgspec.structs.replace(found, news=news)
        if marked != found:
            save(marked)
    return marked


def save(watched: Watched) -> None:
    """Replace the file of a watch; one that cannot be written stays. Raises BioRetrievalError."""
    data = msgspec.json.encode(watched)
    save_file(_path(watched.watch.name), data, "the watch", opener=private)


def running() -> contextlib.AbstractContextManager[None]:
    """Lock the running of watches, since cron and a user could run them at the same time; raises
    BioRetrievalError then."""
    return _held("run", ".running.lock", seconds=0)


def _held(
    doing: str, name: str = ".writing.lock", *, seconds: float = 10
) -> contextlib.AbstractContextManager[None]:
    """Lock the files for a change; `doing` completes the message "cannot be ... now"."""
    busy = "another process runs or changes them"
    return locked(folder() / name, f"the watches cannot be {doing}", busy, seconds=seconds)


def _read(path: Path) -> Watched:
    with file_errors(f"the watch {path} cannot be read"), path.open("rb") as stream:
        data = stream.read(_MOST_BYTES)
    try:
        found = msgspec.json.decode(data, type=Watched)
    except (ValueError, RecursionError) as error:
        raise BioRetrievalError(
            f"the watch {path} is damaged", remedy="it is left out; delete it, or restore it"
        ) from error
    if found.format != FORMAT or found.watch.name != path.stem:
        raise BioRetrievalError(
            f"the watch {path} is of another version or was renamed",
            remedy="it is left out; rename the file back, or delete it",
        )
    return found


def _path(name: str) -> Path:
    if not _NAME.fullmatch(name) or len(name) > 80:
        raise _missing(name)
    return folder() / f"{name}{_SUFFIX}"


def _missing(name: str) -> NotFoundError:
    known = ", ".join(one.watch.name for one in watches()[:5])
    return NotFoundError(
        f"there is no watch '{name}'",
        remedy=f"watches: {known}" if known else 'create one: bioretrieval-tui watch add "QUERY"',
    )


# Running a watch ----------------------------------------------------------------------------------

RecordSource = Callable[[Watch, date, Callable[[str], None]], Iterable[Document]]
"""Gives the records of a watch since a day, and calls with what of its query the service did not
find or know; may raise BioRetrievalError after some."""
Ranker = Callable[[Watch, Sequence[Document]], Sequence[float | None]]
"""Gives the score of each document, None for one that its index holds already."""


@dataclass(frozen=True, slots=True)
class WatchRun:
    """The result of one run. news: best score first; known: new records that the watch's index
    holds already; more: whether there are more than one run takes; failed: why the run broke off,
    or could not rank; caution: what of the query the service did not find or know, or None."""

    watch: Watch
    news: tuple[News, ...]
    known: int = 0
    more: bool = False
    failed: BioRetrievalError | None = None
    caution: str | None = None


def run_watch(
    before: Watched, fetch: RecordSource, rank: Ranker, *, now: datetime, most: int = MOST_NEW
) -> WatchRun:
    """Ask the source of a watch once; save and return what is new.

    now: time in UTC; most: new records taken, the rest is left to the next run. Raises
    NotFoundError if the watch was removed meanwhile, BioRetrievalError if the news cannot be saved;
    what `fetch` and `rank` raise of that class is in the result instead.
    """
    now = now.astimezone(UTC)
    fresh: dict[str, Document] = {}
    cautions: list[str] = []
    more, failed = False, None
    try:
        since = date.fromisoformat(before.watch.since)
        if before.asked is not None:
            since = max(since, datetime.fromisoformat(before.asked).date() - OVERLAP)
        for document in fetch(before.watch, since, cautions.append):
            if document.id not in before.seen and document.id not in fresh:
                if more := len(fresh) >= most:
                    break
                fresh[document.id] = document
    except BioRetrievalError as error:
        failed = error
    documents = list(fresh.values())
    found, caution = now.isoformat(timespec="seconds"), "; ".join(cautions) or None
    try:
        scores = rank(before.watch, documents) if documents else []
        pairs = list(zip(documents, scores, strict=True))
        news = [as_news(one, score, found) for one, score in pairs if score is not None]
        news.sort(key=lambda one: -(one.score or 0.0))
    except BioRetrievalError as error:
        # Unranked news is better than none.
        news = [as_news(one, None, found) for one in documents]
        failed = failed or error
    with _held("run"):
        # Read again: news may have been marked as read meanwhile.
        current = watched(before.watch.name)
        oldest = (now.date() - FORGOTTEN).isoformat()
        seen = current.seen | dict.fromkeys(fresh, now.date().isoformat())
        after = msgspec.structs.replace(
            current,
            # An incomplete run does not advance the day.
            asked=current.asked if failed is not None or more else found,
            seen={identifier: day for identifier, day in seen.items() if day >= oldest},
            news=bounded((*news, *current.news)),
            note=caution if failed is None else failed.line(),
        )
        save(after)
    return WatchRun(before.watch, tuple(news), len(documents) - len(news), more, failed, caution)


def record_source(client: HttpClient, *, today: date | None = None) -> RecordSource:
    """Make the function that fetches the records of any watch, up to `today` (UTC)."""
    from bioretrieval_tui.online.searches import batches_of, documents_of

    def records(watch: Watch, since: date, warn: Callable[[str], None]) -> Iterator[Document]:
        def note(said: QueryNote) -> None:
            if said.caution:
                warn(said.caution)

        request = FetchRequest(watch.source, watch.query, since)
        return documents_of(batches_of(client, request, today=today, note=note))

    return records


def as_news(document: Document, score: float | None, found: str) -> News:
    """Make news of a record."""
    metadata = document.metadata
    authors, journal = metadata.get("authors"), metadata.get("journal")
    return News(
        id=document.id,
        title=document.title or document.text[:100],
        found=found,
        text=document.text[:_LONGEST],
        url=document_url(document),
        year=document_year(metadata),
        date=document_date(metadata),
        authors=tuple(map(str, authors[:20])) if isinstance(authors, list) else (),
        journal=journal if isinstance(journal, str) else None,
        score=score,
    )
