"""`watch`: questions that are asked again and again, by cron or by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bioretrieval_tui.cli.catalogue import complete_index
from bioretrieval_tui.cli.downloads import offline_option, opened, quiet_option
from bioretrieval_tui.cli.narration import narrated, tell
from bioretrieval_tui.cli.output import format_option, put_sheet
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.cli.watchsheets import note_of, part_of, watch_sheet, write_files
from bioretrieval_tui.errors import EXIT_NO_NEWS, BioRetrievalError, UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.documents.document import Document
    from bioretrieval_tui.online.door import Door
    from bioretrieval_tui.online.watches import Watch, Watched
    from bioretrieval_tui.online.watching import Outcome
    from bioretrieval_tui.progress import Reporter
    from bioretrieval_tui.render.formats import Format

_SOURCES = ("pubmed", "europepmc", "arxiv")


def _complete_watch(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    from bioretrieval_tui.online.watches import watches

    try:
        return [one.watch.name for one in watches() if one.watch.name.startswith(begun)]
    except BioRetrievalError:
        return []


@click.group(cls=NamedGroup, no_args_is_help=False)
def watch() -> None:
    """Watch the literature, and read only what is new."""


@watch.command()
@click.argument("query")
@click.option(
    "--source",
    type=click.Choice(_SOURCES),
    default="pubmed",
    show_default=True,
    help="Whom to ask; QUERY is in its own language.",
)
@click.option(
    "--index",
    "index",
    metavar="NAME",
    shell_complete=complete_index,
    help="Rank news by nearness to the documents of this index, not to QUERY; what it holds"
    " already is no news.",
)
@click.option(
    "--since", metavar="DATE", help="Where to begin, as YYYY-MM-DD; a week ago if not said."
)
def add(query: str, source: Any, index: str | None, since: str | None) -> None:
    """Watch QUERY. Nothing is asked before the first `watch run`.

    \b
    bioretrieval-tui watch add "long covid AND fatigue" --source pubmed
    bioretrieval-tui watch add "dense retrieval" --source arxiv --index mine
    """
    from bioretrieval_tui.online.watches import add_watch
    from bioretrieval_tui.online.watching import FIRST_DAYS

    today = datetime.now(UTC).date()
    first = today - FIRST_DAYS if since is None else _day(since)
    if index is not None:
        from bioretrieval_tui.index.registry import manifest_of

        manifest_of(index)
    made = add_watch(query, source, since=first.isoformat(), today=today.isoformat(), index=index)
    tell(f"watching {made.name} at {made.source}; ask with: bioretrieval-tui watch run")


@watch.command("list")
@format_option(without=("bibtex",))
def list_(format_: Format) -> None:
    """List the watches, with when they last ran and how much of their news is unread."""
    from bioretrieval_tui.online.watches import watches

    found = watches(tell)
    put_sheet(watch_sheet(found), format_)
    if not found:
        tell('there is no watch yet; make one with: bioretrieval-tui watch add "QUERY"')


@watch.command()
@click.argument("name", shell_complete=_complete_watch)
def remove(name: str) -> None:
    """Stop watching, and forget the news of this watch."""
    from bioretrieval_tui.online.watches import remove_watch

    gone = remove_watch(name)
    tell(f"removed {name}, {len(gone.news)} news with it")


@watch.command()
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=_complete_watch)
@click.option("--all", "everything", is_flag=True, help="List what was read, too.")
@click.option("--mark-read", is_flag=True, help="Mark what is listed as read.")
@format_option(without=("bibtex",))
def news(names: tuple[str, ...], everything: bool, mark_read: bool, format_: Format) -> None:
    """List unread news of the watches, newest run first; asks nothing of the network."""
    from bioretrieval_tui.online import watches
    from bioretrieval_tui.render.news import news_sheet

    chosen = _chosen(names)
    parts = [
        part_of(one.watch, [item for item in one.news if everything or not item.read], one.note)
        for one in chosen
    ]
    put_sheet(news_sheet(parts), format_)
    if mark_read:
        for one, part in zip(chosen, parts, strict=True):
            watches.mark_read(one.watch.name, [item.id for item in part.items])


@watch.command()
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=_complete_watch)
@click.option(
    "--digest",
    "digest_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the news as markdown; an older FILE is replaced, and only if there is news.",
)
@click.option(
    "--jsonl",
    "jsonl_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append the news, a record a line.",
)
@click.option(
    "-n",
    "most",
    type=click.IntRange(1, 5000),
    default=200,
    show_default=True,
    help="New records taken of a watch in one run.",
)
@offline_option
@quiet_option
@format_option(without=("bibtex",))
def run(
    names: tuple[str, ...],
    digest_file: Path | None,
    jsonl_file: Path | None,
    most: int,
    offline: bool,
    quiet: bool,
    format_: Format,
) -> None:
    """Ask the sources of all watches (or of those named) for what is new.

    News is ranked, listed, and kept until it is read. For cron: exit code 0 with news, 4 without,
    1 when a source failed; what had come then is kept, and the next run asks for the rest.

    \b
    bioretrieval-tui watch run
    0 7 * * * bioretrieval-tui watch run -q --digest ~/news.md > /dev/null
    """
    from bioretrieval_tui.online.watches import running
    from bioretrieval_tui.render.news import news_sheet

    with running(), opened(offline) as door:
        chosen = _chosen(names)
        if not chosen:
            raise UsageError(
                "there is nothing to ask for",
                remedy='make a watch: bioretrieval-tui watch add "QUERY"',
            )
        with narrated(quiet=quiet) as reporter:
            outcomes = list(_outcomes(door, chosen, most, reporter))
    parts = [part_of(one.watch, one.news, note_of(one)) for one in outcomes]
    told = sum(len(one.news) for one in outcomes)
    write_files(parts, told, digest_file, jsonl_file)
    put_sheet(news_sheet(parts), format_)
    if not quiet:
        tell(f"{told} new of {len(outcomes)} {'watch' if len(outcomes) == 1 else 'watches'}")
        for one in outcomes:
            if one.known:
                tell(
                    f"{one.watch.name}: {one.known} new are in the index {one.watch.index} already"
                )
            if one.more:
                tell(f"{one.watch.name}: there is more; the next run takes it")
    failed = [one for one in outcomes if one.failed is not None]
    for one in failed[1:]:
        tell(f"{one.watch.name}: {one.failed.line() if one.failed else ''}")
    if failed and failed[0].failed is not None:
        first = failed[0].failed
        raise BioRetrievalError(f"{failed[0].watch.name}: {first.message}", remedy=first.remedy)
    if not told:
        raise click.exceptions.Exit(EXIT_NO_NEWS)


def _outcomes(
    door: Door, chosen: Sequence[Watched], most: int, reporter: Reporter
) -> list[Outcome]:
    from bioretrieval_tui.online.sources import fetcher
    from bioretrieval_tui.online.watching import run_watch
    from bioretrieval_tui.progress import Progress

    found = []
    for number, one in enumerate(chosen):
        reporter(Progress("watching", number, len(chosen), unit="watches", note=one.watch.name))
        found.append(
            run_watch(one, fetcher(door), ranker(reporter), now=datetime.now(UTC), most=most)
        )
    return found


def ranker(reporter: Reporter) -> Callable[[Watch, Sequence[Document]], list[float | None]]:
    """What ranks the records of a watch: by its index, else by its query."""

    def rank(one: Watch, documents: Sequence[Document]) -> list[float | None]:
        from bioretrieval_tui.search.nearness import near_index, near_query

        if one.index is not None:
            return near_index(one.index, documents, reporter=reporter)
        return list(near_query(one.query, documents, reporter=reporter))

    return rank


def _chosen(names: Sequence[str]) -> list[Watched]:
    from bioretrieval_tui.online.watches import watched, watches

    return [watched(name) for name in dict.fromkeys(names)] if names else watches(tell)


def _day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is no date", remedy="write it as 2026-01-31") from error
    if found > datetime.now(UTC).date():
        raise UsageError(f"{text} is yet to come", remedy="begin today or before")
    return found
