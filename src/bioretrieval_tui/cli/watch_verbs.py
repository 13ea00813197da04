"""`watch`: queries that are repeated, by cron or by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bioretrieval_tui.cli.options import (
    FILE,
    completes,
    format_option,
    index_option,
    offline_option,
    option,
    quiet_option,
    since_choice,
)
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.cli.streams import narrated, put_sheet, tell
from bioretrieval_tui.errors import EXIT_NO_NEWS, BioRetrievalError, UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.documents.document import Document
    from bioretrieval_tui.online.watches import News, Watch, Watched, WatchRun
    from bioretrieval_tui.render.formats import Format
    from bioretrieval_tui.render.news import Part
    from bioretrieval_tui.render.sheet import Sheet


def _watch_names() -> list[str]:
    from bioretrieval_tui.online.watches import watches

    return [one.watch.name for one in watches()]


_complete_watch = completes(_watch_names)
names_argument = click.argument(
    "names", metavar="[NAME]...", nargs=-1, shell_complete=_complete_watch
)


@click.group(cls=NamedGroup, no_args_is_help=False)
def watch() -> None:
    """Watch the literature, and read only what is new."""


@watch.command()
@click.argument("query")
@option(
    "--source",
    "Source; QUERY uses the source's syntax.",
    type=click.Choice(("pubmed", "europepmc", "arxiv")),
    default="pubmed",
)
@index_option(
    "--index",
    "Rank news by similarity to the documents of this index instead of QUERY, and leave out"
    " those that it holds already.",
)
@since_choice("First day, as YYYY-MM-DD; default: a week ago.")
def add(query: str, source: Any, index: str | None, since: date | None) -> None:
    """Watch QUERY. The network is not used before the first `watch run`.

    \b
    bioretrieval-tui watch add "long covid AND fatigue" --source pubmed
    bioretrieval-tui watch add "dense retrieval" --source arxiv --index mine
    """
    from bioretrieval_tui.online.watches import FIRST_DAYS, add_watch

    today = datetime.now(UTC).date()
    first = since or today - FIRST_DAYS
    if first > today:
        raise UsageError(f"{since} is in the future", remedy="start today or before")
    if index is not None:
        from bioretrieval_tui.index.registry import manifest_of

        manifest_of(index)
    made = add_watch(query, source, since=first.isoformat(), today=today.isoformat(), index=index)
    tell(f"watching {made.name} at {made.source}; fetch news with: bioretrieval-tui watch run")


@watch.command("list")
@format_option
def list_(format_: Format) -> None:
    """List the watches, with their last run and the number of unread news."""
    from bioretrieval_tui.online.watches import watches

    found = watches(tell)
    put_sheet(_watch_sheet(found), format_)
    if not found:
        tell('there is no watch yet; create one with: bioretrieval-tui watch add "QUERY"')


@watch.command()
@click.argument("name", shell_complete=_complete_watch)
def remove(name: str) -> None:
    """Delete a watch with its news."""
    from bioretrieval_tui.online.watches import remove_watch

    gone = remove_watch(name)
    tell(f"removed {name} with {len(gone.news)} news")


@watch.command()
@names_argument
@option("--all", "List read news too.", name="everything")
@option("--mark-read", "Mark the listed news as read.")
@format_option
def news(names: tuple[str, ...], everything: bool, mark_read: bool, format_: Format) -> None:
    """List unread news of the watches, newest run first, without the network."""
    from bioretrieval_tui.online import watches
    from bioretrieval_tui.render.news import news_sheet

    parts = [
        _part(one.watch, [item for item in one.news if everything or not item.read], one.note)
        for one in _chosen(names)
    ]
    put_sheet(news_sheet(parts), format_)
    if mark_read:
        for part in parts:
            watches.mark_read(part.watch, [item.id for item in part.items])


@watch.command()
@names_argument
@option(
    "--digest FILE",
    "Write the news as markdown; FILE is replaced only if there is news.",
    name="digest_file",
    type=FILE,
)
@option("--jsonl FILE", "Append the news to FILE, a record a line.", name="jsonl_file", type=FILE)
@option(
    "-n",
    "New records of a watch in one run, at most.",
    name="most",
    type=click.IntRange(1, 5000),
    default=200,
)
@offline_option
@quiet_option
@format_option
def run(
    names: tuple[str, ...],
    digest_file: Path | None,
    jsonl_file: Path | None,
    most: int,
    quiet: bool,
    format_: Format,
) -> None:
    """Fetch what is new for all watches (or those NAMEd).

    News is ranked, listed, and kept until it is read. For cron: exit code 0 with news, 4 without,
    1 if a source failed; its records up to then are kept, and the next run resumes.

    \b
    bioretrieval-tui watch run
    0 7 * * * bioretrieval-tui watch run -q --digest ~/news.md > /dev/null
    """
    from bioretrieval_tui.online.http import HttpClient
    from bioretrieval_tui.online.watches import record_source, run_watch, running
    from bioretrieval_tui.progress import Progress
    from bioretrieval_tui.render.news import news_sheet

    runs: list[WatchRun] = []
    with running(), HttpClient() as client:
        chosen = _chosen(names)
        if not chosen:
            raise UsageError(
                "there is no watch to run",
                remedy='create one: bioretrieval-tui watch add "QUERY"',
            )
        with narrated(quiet) as reporter:

            def rank(one: Watch, documents: Sequence[Document]) -> Sequence[float | None]:
                from bioretrieval_tui.search.engine import near_index, near_query

                if one.index is not None:
                    return near_index(one.index, documents, reporter=reporter)
                return near_query(one.query, documents, reporter=reporter)

            source, now = record_source(client), datetime.now(UTC)
            for number, one in enumerate(chosen):
                name = one.watch.name
                reporter(Progress("watching", number, len(chosen), unit="watches", note=name))
                runs.append(run_watch(one, source, rank, now=now, most=most))
    parts = [_part(one.watch, one.news, _note_of(one)) for one in runs]
    found = sum(len(one.news) for one in runs)
    if found:
        _write_files(parts, digest_file, jsonl_file)
    put_sheet(news_sheet(parts), format_)
    said = [f"{found} new in {len(runs)} {'watch' if len(runs) == 1 else 'watches'}"]
    for done in runs:
        name = done.watch.name
        if done.known:
            said.append(f"{name}: {done.known} new are in the index {done.watch.index} already")
        if done.more:
            said.append(f"{name}: there is more; the next run fetches it")
    failed = [(one.watch.name, one.failed) for one in runs if one.failed is not None]
    for line in (*(() if quiet else said), *(f"{a}: {b.line()}" for a, b in failed[1:])):
        tell(line)
    if failed:
        name, error = failed[0]
        raise BioRetrievalError(f"{name}: {error.message}", remedy=error.remedy)
    if not found:
        raise click.exceptions.Exit(EXIT_NO_NEWS)


def _chosen(names: Sequence[str]) -> list[Watched]:
    from bioretrieval_tui.online.watches import watched, watches

    return [watched(name) for name in dict.fromkeys(names)] if names else watches(tell)


def _part(one: Watch, items: Sequence[News], note: str | None) -> Part:
    from bioretrieval_tui.render.news import Part

    return Part(one.name, one.query, one.source, items, note)


def _note_of(one: WatchRun) -> str | None:
    """What a reader of a run's news must know of the run, or None."""
    if one.failed is not None:
        return f"This run is incomplete: {one.failed.line()}"
    return "There is more; the next run fetches it." if one.more else None


def _write_files(parts: Sequence[Part], digest_file: Path | None, jsonl_file: Path | None) -> None:
    """Write the digest and the lines. Raises BioRetrievalError."""
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


_STATED = ("name", "query", "source", "index", "since", "added")


def _watch_sheet(found: Sequence[Watched]) -> Sheet:
    """Make a sheet of the watches, a row each."""
    from bioretrieval_tui.render.sheet import Column, record_sheet

    columns = (
        Column("name", "name", weight=2, min_width=8),
        Column("query", "query", weight=4, min_width=16),
        Column("source", "source", min_width=6),
        Column("index", "index", min_width=5),
        Column("unread", "unread", "right"),
        Column("news", "news", "right"),
        Column("asked", "last run", min_width=10),
        Column("note", "note", weight=2, min_width=8),
        Column("since", "since", data_only=True),
    )
    records = []
    for one in found:
        watch, counts = one.watch, {"unread": one.unread, "news": len(one.news)}
        stated = {name: getattr(watch, name) for name in _STATED}
        records.append({**stated, "asked": one.asked, **counts, "note": one.note})
    return record_sheet("Watches", columns, records)
