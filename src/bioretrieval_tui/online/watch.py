"""A watch, its news and its memory, as they are written down."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bioretrieval_tui.online.spool import SourceName

FORMAT = 1
MOST_NEWS = 2_000
"""News kept a watch; older ones that were read go first."""


class Watch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A question to a source.

    name: names the file; index: whose documents news are compared with, None for the query itself;
    since: the day (ISO 8601) from which on records are asked for at first; added: that day.
    """

    name: str
    query: str
    source: SourceName
    since: str
    added: str
    index: str | None = None


class News(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record that was new to a watch.

    score: its nearness, a cosine unless the index says otherwise, None where it could not be
    compared; found: the time of the run, ISO 8601, UTC; date: of publication, as exact as known.
    """

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
    """A watch with its memory.

    asked: the time (ISO 8601, UTC) of the last run that came to its end; seen: id -> the day on
    which it first came; news: newest run first, nearest first within a run; note: why the last
    run failed.
    """

    watch: Watch
    format: int = FORMAT
    asked: str | None = None
    seen: dict[str, str] = {}
    news: tuple[News, ...] = ()
    note: str | None = None

    @property
    def unread(self) -> int:
        """News that nobody has looked at."""
        return sum(1 for one in self.news if not one.read)


def bounded(news: Sequence[News]) -> tuple[News, ...]:
    """At most `MOST_NEWS`: the oldest that were read go first, then the oldest."""
    surplus = len(news) - MOST_NEWS
    if surplus <= 0:
        return tuple(news)
    places = sorted(range(len(news)), key=lambda place: (not news[place].read, -place))
    gone = set(places[:surplus])
    return tuple(one for place, one in enumerate(news) if place not in gone)
