"""`fetch`: texts from PubMed, Europe PMC and arXiv, abstracts, benchmarks, the PubMed archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bioretrieval_tui.cli.archives import baseline, benchmark
from bioretrieval_tui.cli.catalogue import catalogue, complete_index, complete_model
from bioretrieval_tui.cli.fetching import Fetch, Place, bring, check_place
from bioretrieval_tui.cli.freshness import offline_option, opened, quiet_option
from bioretrieval_tui.cli.narration import narrated, tell
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.errors import BioRetrievalError, UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.online.batches import Batch, Mark, Request, SourceName
    from bioretrieval_tui.online.door import Door
    from bioretrieval_tui.online.ids import WorkId

_TOLD = 10
"""Ids that nobody knows, told one by one."""
_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group(cls=NamedGroup, no_args_is_help=False)
def fetch() -> None:
    """Fetch texts: by a query, by ids, whole archives, benchmarks.

    Records go into an index (--index), a file (-o), or stdout, as lines of BEIR's JSONL. A fetch
    that was interrupted goes on where it stood when the same call is made again. Keys and your
    address come from NCBI_API_KEY and BIORETRIEVAL_CONTACT or config.toml; see `config`.
    """


fetch.add_command(benchmark)
fetch.add_command(baseline)


def _placing(command: _Command) -> _Command:
    """Where records go, and how it is told."""
    options = (
        click.option(
            "--index",
            metavar="NAME",
            shell_complete=complete_index,
            help="Put them into this index, which is built if it is not there.",
        ),
        click.option(
            "-o",
            "--output",
            metavar="FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Write them into this file, as JSONL.",
        ),
        click.option(
            "--model",
            metavar="ID",
            shell_complete=complete_model,
            help="Encode a new index with this model; the embedded one if not said.",
        ),
        click.option(
            "--device",
            default="auto",
            show_default=True,
            metavar="DEVICE",
            help="For the index: auto, cpu, cuda, cuda:N or mps.",
        ),
        click.option("--anew", is_flag=True, help="Forget what an interrupted fetch had brought."),
        offline_option,
        quiet_option,
        click.option(
            "--progress",
            type=click.Choice(["auto", "json"]),
            default="auto",
            show_default=True,
            help="How progress is told on stderr; json is one object a line.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _searching(command: _Command) -> _Command:
    """What is asked for."""
    options = (
        click.argument("query"),
        click.option(
            "-n",
            "most",
            type=click.IntRange(min=1),
            metavar="N",
            help="At most N; all if not said.",
        ),
        click.option(
            "--since",
            metavar="DATE",
            help="Only what came in on or after this day, such as 2026-01-31.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@fetch.command()
@_searching
@_placing
def pubmed(query: str, most: int | None, since: str | None, **options: Any) -> None:
    """Fetch records of PubMed by a query in PubMed's own language.

    \b
    bioretrieval-tui fetch pubmed "sickle cell disease[mh] AND hydroxyurea" -n 2000 --index sickle
    bioretrieval-tui fetch pubmed "crispr[ti]" --since 2026-01-01 -o crispr.jsonl
    """
    _search("pubmed", query, most, since, options)


@fetch.command()
@_searching
@_placing
def europepmc(query: str, most: int | None, since: str | None, **options: Any) -> None:
    """Fetch records of Europe PMC, preprints among them, by a query in its own language.

    \b
    bioretrieval-tui fetch europepmc 'SRC:PPR AND "dense retrieval"' --index preprints
    """
    _search("europepmc", query, most, since, options)


@fetch.command()
@_searching
@_placing
def arxiv(query: str, most: int | None, since: str | None, **options: Any) -> None:
    """Fetch papers of arXiv by a query in its own language; one request in three seconds.

    \b
    bioretrieval-tui fetch arxiv "cat:cs.IR AND abs:biomedical" --index ir
    """
    _search("arxiv", query, most, since, options)


@fetch.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True))
@_placing
def ids(file: Path, **options: Any) -> None:
    """Fetch the works whose ids FILE (or - for stdin) holds: PMIDs, PMC ids, DOIs, arXiv ids.

    Ids may be mixed, several a line, bare or as addresses; what stands after a # is passed over.
    What is no id is told with its line, and so is an id that no service knows; exit code 1 then,
    with everything else in its place.

    \b
    bioretrieval-tui fetch ids reading-list.txt --index reading
    """
    from bioretrieval_tui.documents.source import STDIN
    from bioretrieval_tui.online.ids import batches, names_of, read_ids, services_of

    place, offline = _place(options)
    check_place(place)
    found = read_ids(None if str(file) == STDIN else file)
    for line, text in found.unknown[:_TOLD]:
        tell(f"{file}:{line}: '{text[:80]}' is no PMID, PMC id, DOI or arXiv id")
    if len(found.unknown) > _TOLD:
        tell(f"{len(found.unknown) - _TOLD:,} more are none")
    if not found.ids:
        raise UsageError(f"{file} holds no id", remedy="write PMIDs, PMC ids, DOIs or arXiv ids")
    answered: set[tuple[str, str]] = set()
    with opened(offline) as door:
        bring(
            door,
            Fetch(
                services_of(found.ids),
                "ids " + " ".join(f"{one.kind}:{one.name}" for one in found.ids),
                lambda mark: batches(door, found.ids, mark),
                BioRetrievalError(
                    f"no service knows any of the {len(found.ids):,} ids of {file}",
                    remedy="check them",
                ),
            ),
            place,
            hear=lambda document: answered.update(names_of(document)),
        )
    absent = [one for one in found.ids if (one.kind, one.name.casefold()) not in answered]
    _tell_absent(file, absent)
    if absent or found.unknown:
        asked = len(found.ids) + len(found.unknown)
        raise BioRetrievalError(
            f"{len(absent) + len(found.unknown):,} of {asked:,} ids in {file} brought no record",
            remedy="they are named above; all others have been fetched",
        )


@fetch.command()
@click.option("--all", "everything", is_flag=True, help="Fetch those again that are kept already.")
@offline_option
@quiet_option
def abstracts(everything: bool, offline: bool, quiet: bool) -> None:
    """Fetch the abstracts of the catalogue's own papers, so that searching it searches them.

    They are kept in your data folder, and are their publishers'. What came is kept if it ends
    early.
    """
    from bioretrieval_tui.online.papers import abstracts_of, papers_with_ids
    from bioretrieval_tui.progress import Progress
    from bioretrieval_tui.search.entries import Abstract, keep_abstracts, kept_abstracts

    kept = {} if everything else kept_abstracts()
    wanted = [one for one in papers_with_ids(catalogue()) if one.id not in kept]
    day = datetime.now(UTC).date().isoformat()
    before = len(kept)
    if not wanted:
        tell(f"the abstracts of all {before} papers are here; --all fetches them again")
        return
    with opened(offline) as door, narrated(quiet=quiet) as reporter:
        try:
            for identifier, text, origin in abstracts_of(door, wanted):
                kept[identifier] = Abstract(text, origin, day)
                reporter(Progress("fetching", len(kept) - before, len(wanted), unit="abstracts"))
        finally:
            if len(kept) > before:
                keep_abstracts({**kept_abstracts(), **kept})
    if not quiet:
        tell(f"{len(kept) - before} abstracts of {len(wanted)} papers; the catalogue searches them")
    if len(kept) == before:
        raise BioRetrievalError(
            f"no service has an abstract of the {len(wanted)} papers", remedy="try again later"
        )


# Shared by the verbs --------------------------------------------------------------------------


def _search(
    source: SourceName, query: str, most: int | None, since: str | None, options: dict[str, Any]
) -> None:
    from bioretrieval_tui.online.batches import Request, sound_query
    from bioretrieval_tui.online.spool import asked_as

    query = sound_query(query)
    place, offline = _place(options)
    check_place(place)
    request = Request(source, query, _day(since), most)
    name = {"pubmed": "PubMed", "europepmc": "Europe PMC", "arxiv": "arXiv"}[source]
    nothing = BioRetrievalError(
        f"{name} has nothing for '{query[:100]}'" + (f" since {since}" if since else ""),
        remedy="try the query on its website" + (", or an earlier day" if since else ""),
    )
    with opened(offline) as door:
        bring(
            door,
            Fetch(
                name,
                asked_as(request),
                lambda mark: _batches(door, request, mark),
                nothing,
                "pmid" if source == "pubmed" else None,
            ),
            place,
        )


def _batches(door: Door, request: Request, mark: Mark) -> Iterator[Batch]:
    from bioretrieval_tui.online import arxiv, europepmc, pubmed

    if request.source == "pubmed":
        return pubmed.batches(door, request, mark, today=datetime.now(UTC).date())
    if request.source == "europepmc":
        return europepmc.batches(door, request, mark)
    return arxiv.batches(door, request, mark)


def _place(options: dict[str, Any]) -> tuple[Place, bool]:
    place = Place(
        index=options["index"],
        output=options["output"],
        model=options["model"],
        device=options["device"],
        anew=options["anew"],
        quiet=options["quiet"],
        json_progress=options["progress"] == "json",
    )
    return place, options["offline"]


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is no date", remedy="write it as 2026-01-31") from error


def _tell_absent(file: Path, absent: Sequence[WorkId]) -> None:
    for one in absent[:_TOLD]:
        tell(f"{file}:{one.line}: no service knows {one.kind} {one.name}")
    if len(absent) > _TOLD:
        tell(f"{len(absent) - _TOLD:,} more are not known")
