"""What watches brought, as parts of a sheet, as files, and the list of the watches themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bioretrieval_tui.errors import BioRetrievalError

if TYPE_CHECKING:
    from bioretrieval_tui.online.watches import News, Watch, Watched
    from bioretrieval_tui.online.watching import Outcome
    from bioretrieval_tui.render.news import Part
    from bioretrieval_tui.render.sheet import Sheet


def part_of(one: Watch, items: Sequence[News], note: str | None) -> Part:
    """The news of one watch, for a sheet or a digest."""
    from bioretrieval_tui.render.news import Part

    return Part(one.name, one.query, one.source, items, note)


def note_of(outcome: Outcome) -> str | None:
    """What a reader of a run's news must know of it, or None."""
    if outcome.failed is not None:
        return f"This run did not come to its end: {outcome.failed.line()}"
    return "There is more; the next run takes it." if outcome.more else None


def write_files(
    parts: Sequence[Part], told: int, digest_file: Path | None, jsonl_file: Path | None
) -> None:
    """The digest and the lines, where there is news. Raises BioRetrievalError."""
    if not told:
        return
    from bioretrieval_tui.paths import write_atomically
    from bioretrieval_tui.render.news import digest, news_lines

    shown = [part for part in parts if part.items or part.note]
    day = datetime.now(UTC).date().isoformat()
    try:
        if digest_file is not None:
            write_atomically(digest_file, "".join(digest(shown, day=day)).encode("utf-8"))
        if jsonl_file is not None:
            with jsonl_file.open("a", encoding="utf-8") as out:
                out.writelines(news_lines(shown))
    except OSError as error:
        raise BioRetrievalError(
            f"{error.filename or digest_file or jsonl_file} cannot be written: {error.strerror}",
            remedy="the news is kept: see bioretrieval-tui watch news",
        ) from error


def watch_sheet(found: Sequence[Watched]) -> Sheet:
    """The watches, a row each."""
    from bioretrieval_tui.render.sheet import Column, Sheet

    return Sheet(
        title="Watches",
        columns=(
            Column("name", "name", weight=2, min_width=8),
            Column("query", "query", weight=4, min_width=16),
            Column("source", "source", min_width=6),
            Column("index", "index", min_width=5),
            Column("unread", "unread", "right"),
            Column("news", "news", "right"),
            Column("asked", "last run", min_width=10),
            Column("note", "note", weight=2, min_width=8),
            Column("since", "since", data_only=True),
        ),
        rows=tuple(
            (
                one.watch.name,
                one.watch.query,
                one.watch.source,
                one.watch.index,
                one.unread,
                len(one.news),
                one.asked,
                one.note,
                one.watch.since,
            )
            for one in found
        ),
        records=tuple(
            {
                "name": one.watch.name,
                "query": one.watch.query,
                "source": one.watch.source,
                "index": one.watch.index,
                "since": one.watch.since,
                "added": one.watch.added,
                "asked": one.asked,
                "unread": one.unread,
                "news": len(one.news),
                "note": one.note,
            }
            for one in found
        ),
    )
