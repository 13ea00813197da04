"""The state and the requests of the News pane, without a widget: what the watches found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.spool import line_of as document_line
from bioretrieval_tui.online.watches import News, Watch, Watched, mark_read, watches
from bioretrieval_tui.render.news import Part


@dataclass(frozen=True, slots=True)
class WatchNews:
    """One record of one watch. note: why the last run failed, or what of the query the source did
    not find or know; None for nothing."""

    watch: Watch
    item: News
    note: str | None = None

    @property
    def part(self) -> Part:
        return Part(self.watch.name, self.watch.query, self.watch.source, (self.item,), self.note)


class NewsSession:
    """The news that is shown.

    rows: newest run first, nearest first within a run; everything: news that was read too.
    """

    def __init__(self) -> None:
        self.rows: list[WatchNews] = []
        self.everything = False

    def load(self) -> str:
        """Read the watches again; returns the first error, or ""."""
        problems: list[str] = []
        found: Sequence[Watched] = ()
        try:
            found = watches(problems.append)
        except BioRetrievalError as error:
            problems.append(error.line())
        self.rows = [
            WatchNews(one.watch, item, one.note) for one in found for item in one.news
            if self.everything or not item.read
        ]  # fmt: skip

        def place(one: WatchNews) -> tuple[str, float]:
            return one.item.found, -2.0 if one.item.score is None else one.item.score

        self.rows.sort(key=place, reverse=True)
        return problems[0] if problems else ""

    @property
    def unread(self) -> int:
        return sum(not one.item.read for one in self.rows)

    def mark(self, place: int, *, read: bool) -> bool:
        """Mark one row as read or unread; it keeps its place. False if nothing changed.

        Raises BioRetrievalError if it cannot be written."""
        one = self.rows[place]
        if one.item.read is read:
            return False
        mark_read(one.watch.name, [one.item.id], read=read)
        self.rows[place] = replace(one, item=msgspec.structs.replace(one.item, read=read))
        return True


def document_of_news(one: WatchNews) -> Document:
    """A record with the metadata that readers give."""
    item = one.item
    known = {
        "authors": list(item.authors), "journal": item.journal, "year": item.year,
        "date": item.date, "url": item.url,
        "pmid": item.id if one.watch.source == "pubmed" else None,
    }  # fmt: skip
    metadata = {name: value for name, value in known.items() if value}
    return Document(item.id, item.title, item.text, metadata)


def line_of(one: WatchNews) -> bytes:
    """A record as a line of BEIR's JSONL."""
    return document_line(document_of_news(one))
