"""`fetch`: records of PubMed, Europe PMC and arXiv, abstracts, benchmarks, the PubMed archive."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bioretrieval_tui.cli.lookups import catalogue, complete_benchmark, entry_of_type
from bioretrieval_tui.cli.narration import duration, narrated, tell
from bioretrieval_tui.cli.options import (
    FILE,
    PATH,
    POSITIVE,
    can_confirm,
    day_of,
    device_choice,
    flag,
    index_option,
    keep_offline,
    model_option,
    offline_option,
    opened,
    options,
    progress_options,
    quiet_option,
)
from bioretrieval_tui.cli.printing import put
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser, NotFoundError, UsageError
from bioretrieval_tui.util.formatting import rate, size

if TYPE_CHECKING:
    from bioretrieval_tui.online.fetch import FetchResult
    from bioretrieval_tui.online.spool import FetchRequest, SourceName

_LISTED = 10
"""Ids without a record that are listed one by one."""
_SPARE = 2**30
"""Bytes that must stay free on a disk after a large download."""


@click.group(cls=NamedGroup, no_args_is_help=False)
def fetch() -> None:
    """Fetch records by query or by ids, archives, benchmarks.

    Records go into an index (--index), a file (-o), or stdout, as lines of BEIR's JSONL. An
    interrupted fetch resumes when the same call is made again. API keys and your contact address
    are read from NCBI_API_KEY and BIORETRIEVAL_CONTACT or from config.toml; see `config`.
    """


_destination = options(
    index_option("--index", help_="Add the records to this index; it is built if it is new."),
    click.option(
        "-o",
        "--output",
        metavar="FILE",
        type=FILE,
        help="Write the records into this file, as JSONL.",
    ),
    model_option("--model", help_="Encode a new index with this model; default: the embedded one."),
    device_choice("For the index: auto, cpu, cuda, cuda:N or mps."),
    flag("--anew", help_="Discard what an interrupted fetch has kept."),
    offline_option,
    progress_options,
)
_search = options(
    click.argument("query"),
    click.option("-n", "most", type=POSITIVE, metavar="N", help="At most N; default: all."),
    click.option(
        "--since", metavar="DATE", help="Only records entered on or after DATE (YYYY-MM-DD)."
    ),
)


@fetch.command()
@_search
@_destination
def pubmed(query: str, most: int | None, since: str | None, **options: Any) -> None:
    """Fetch records of PubMed; QUERY uses PubMed's syntax.

    \b
    bioretrieval-tui fetch pubmed "sickle cell disease[mh] AND hydroxyurea" -n 2000 --index sickle
    bioretrieval-tui fetch pubmed "crispr[ti]" --since 2026-01-01 -o crispr.jsonl
    """
    _fetch_query("pubmed", query, most, since, options)


@fetch.command()
@_search
@_destination
def europepmc(query: str, most: int | None, since: str | None, **options: Any) -> None:
    """Fetch records of Europe PMC, preprints included; QUERY uses its syntax.

    \b
    bioretrieval-tui fetch europepmc 'SRC:PPR AND "dense retrieval"' --index preprints
    """
    _fetch_query("europepmc", query, most, since, options)


@fetch.command()
@_search
@_destination
def arxiv(query: str, most: int | None, since: str | None, **options: Any) -> None:
    """Fetch papers of arXiv; QUERY uses its syntax. One request every three seconds.

    \b
    bioretrieval-tui fetch arxiv "cat:cs.IR AND abs:biomedical" --index ir
    """
    _fetch_query("arxiv", query, most, since, options)


@fetch.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True))
@_destination
def ids(file: Path, **options: Any) -> None:
    """Fetch the works whose ids are in FILE (- for stdin): PMIDs, PMC ids, DOIs, arXiv ids.

    Ids may be mixed, several a line, bare or as URLs; the rest of a line after # is a comment.
    Text that is not an id, and ids that no service knows, are listed with their lines; then the
    exit code is 1, and all other records have been fetched.

    \b
    bioretrieval-tui fetch ids reading-list.txt --index reading
    """
    from bioretrieval_tui.documents.source import STDIN
    from bioretrieval_tui.online.fetch import check_destination, read_ids
    from bioretrieval_tui.online.spool import FetchRequest

    destination = _destination_of(options)
    check_destination(FetchRequest("ids", **destination))
    known, unknown = read_ids(None if str(file) == STDIN else file)
    for line, text in unknown[:_LISTED]:
        tell(f"{file}:{line}: '{text[:80]}' is not a PMID, PMC id, DOI or arXiv id")
    if len(unknown) > _LISTED:
        tell(f"{len(unknown) - _LISTED:,} more are not ids")
    if not known:
        raise UsageError(f"{file} holds no id", remedy="write PMIDs, PMC ids, DOIs or arXiv ids")
    result = _fetched(FetchRequest("ids", ids=known, **destination), options)
    for one in result.absent[:_LISTED]:
        tell(f"{file}:{one.line}: no service knows {one.kind} {one.name}")
    if len(result.absent) > _LISTED:
        tell(f"{len(result.absent) - _LISTED:,} more are not known")
    without = len(result.absent) + len(unknown)
    if without:
        raise BioRetrievalError(
            f"{without:,} of {len(known) + len(unknown):,} ids in {file} have no record",
            remedy="they are listed above; all other records have been fetched",
        )


@fetch.command()
@flag("--all", "everything", help_="Fetch abstracts again that are kept.")
@offline_option
@quiet_option
def abstracts(everything: bool, offline: bool, quiet: bool) -> None:
    """Fetch the abstracts of the catalogue's own papers, so that a search covers them.

    They are kept in your data folder and remain their publishers'. An interrupted fetch keeps
    what has arrived.
    """
    from bioretrieval_tui.online.fetch import abstracts_of, paper_ids
    from bioretrieval_tui.progress import Progress
    from bioretrieval_tui.search.catalogue_index import Abstract, keep_abstracts, kept_abstracts

    kept = {} if everything else kept_abstracts()
    wanted = {name: one for name, one in paper_ids(catalogue()).items() if name not in kept}
    day = datetime.now(UTC).date().isoformat()
    before = len(kept)
    if not wanted:
        tell(f"the abstracts of all {before} papers are here; --all fetches them again")
        return
    with opened(offline) as client, narrated(quiet) as reporter:
        try:
            for identifier, text, origin in abstracts_of(client, wanted):
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


@fetch.command()
@click.argument("name", metavar="ID", shell_complete=complete_benchmark)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=PATH,
    help="Destination; default: a folder named ID in the data folder.",
)
@offline_option
@quiet_option
def benchmark(name: str, output: Path | None, offline: bool, quiet: bool) -> None:
    """Fetch the benchmark ID, as its catalogue entry locates it, into a folder for `eval`.

    The download resumes where it broke off, is compared with its MD5 and unpacked safely. The
    folder's path is written to stdout.

    \b
    bioretrieval-tui eval "$(bioretrieval-tui fetch benchmark nfcorpus)"
    """
    from bioretrieval_tui.catalog.models import Benchmark
    from bioretrieval_tui.online.archives import fetch_benchmark, fetchable
    from bioretrieval_tui.paths import places

    found = catalogue()
    entry = entry_of_type(found, name, Benchmark)
    if entry.id not in fetchable(found):
        raise NotFoundError(
            f"the catalogue names no archive of {name}",
            remedy=f"benchmarks with an archive: {', '.join(fetchable(found))}",
        )
    folder = output if output is not None else places().data / "benchmarks" / entry.id
    if output is None and folder.is_dir():
        if not quiet:
            tell(f"{entry.id} is here already; delete the folder to fetch it again")
        put([f"{folder}\n"])
        return
    with opened(offline) as client, narrated(quiet) as reporter:
        if entry.licence and not quiet:
            tell(f"licence of {entry.id}: {entry.licence}")
        fetch_benchmark(client, entry, folder, reporter=reporter)
    put([f"{folder}\n"])


@fetch.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False))
@flag("--yes", help_="Do not ask for confirmation.")
@click.option("-n", "most", type=POSITIVE, metavar="N", help="At most N files now.")
@flag("--updates", help_="Only the daily files that follow the baseline.")
@offline_option
@quiet_option
def baseline(
    folder: Path, yes: bool, most: int | None, updates: bool, offline: bool, quiet: bool
) -> None:
    """Fetch the PubMed baseline and the daily files after it into FOLDER.

    Shows the size and asks first. Files resume where they broke off and are compared with their
    MD5; complete ones are not fetched again, so the same call brings the folder up to date.

    \b
    bioretrieval-tui fetch baseline pubmed/
    bioretrieval-tui index build pubmed pubmed/
    """
    from bioretrieval_tui.online import archives as archive

    with opened(offline) as client:
        folders = archive.FOLDERS[1:] if updates else archive.FOLDERS
        listed = archive.listed(client, folders)
        wanted = archive.missing(listed, folder)[:most]
        if not wanted:
            tell(f"all {len(listed):,} files are in {folder}")
            return
        unknown = any(one.bytes is None for one in wanted)
        total = sum(one.bytes or 0 for one in wanted)
        about = "of a size that the archive does not state" if unknown else f"about {size(total)}"
        tell(f"{len(wanted):,} of {len(listed):,} files to fetch into {folder}: {about}")
        _check_space(folder, total)
        if not yes:
            if not can_confirm():
                raise UsageError("no terminal to confirm on", remedy="add --yes to fetch the files")
            if not click.confirm("Fetch them?", default=False, err=True):
                raise InterruptedByUser("nothing was fetched")
        with narrated(quiet) as reporter:
            archive.fetch_files(client, wanted, folder, reporter=reporter)
    if not quiet:
        tell(f"{len(wanted):,} files fetched; next: bioretrieval-tui index build NAME {folder}")


def _check_space(folder: Path, needed: int) -> None:
    """Raise BioRetrievalError unless the disk can hold `needed` bytes more."""
    whole = folder.absolute()
    there = next(one for one in (whole, *whole.parents) if one.exists())
    free = shutil.disk_usage(there).free
    if free < needed + _SPARE:
        raise BioRetrievalError(
            f"{folder} has {size(free)} free, of {size(needed)} needed",
            remedy="free space, name another folder, or fetch fewer files with -n",
        )


# Shared by the verbs --------------------------------------------------------------------------


def _fetch_query(
    source: SourceName, query: str, most: int | None, since: str | None, options: dict[str, Any]
) -> None:
    from bioretrieval_tui.online.fetch import check_destination
    from bioretrieval_tui.online.spool import FetchRequest, sound_query

    query = sound_query(query)
    request = FetchRequest(
        source, query, None if since is None else day_of(since), most, **_destination_of(options)
    )
    check_destination(request)
    _fetched(request, options)


def _fetched(request: FetchRequest, options: dict[str, Any]) -> FetchResult:
    """Run a fetch with the narration that the options ask for."""
    from bioretrieval_tui.online.fetch import fetch as run
    from bioretrieval_tui.online.spool import line_of

    quiet: bool = options["quiet"]
    if options["offline"]:
        keep_offline()
    onto_stdout = request.index is None and request.output is None
    try:
        with narrated(quiet, options["progress"]) as reporter:
            result = run(
                request,
                reporter,
                (lambda _: None) if quiet else tell,
                each=(lambda one: put([line_of(one).decode()])) if onto_stdout else lambda _: None,
            )
    except BaseException as error:
        for note in getattr(error, "__notes__", ()):
            tell(note)
        raise
    if not quiet and not onto_stdout:
        came, seconds = result.records - result.resumed, result.seconds
        speed = f", in {duration(seconds)} ({rate(came / seconds)}/s)"
        tell(result.line() + (speed if result.output and came and seconds >= 1 else ""))
        if result.index is not None:
            tell(f'search it, also offline: bioretrieval-tui search "..." -i {result.index}')
    return result


def _destination_of(options: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request for the destination, from the options of a verb."""
    name, model = options["index"], options["model"]
    if model is not None:
        from bioretrieval_tui.index.registry import index_names

        if name is None:
            raise UsageError("--model is for an index", remedy="add --index NAME")
        if name in index_names():
            raise UsageError(f"the index {name} has its model already", remedy="leave --model out")
    hub, recipe = None, None
    if model is not None:
        from bioretrieval_tui.cli.model_choice import chosen_model

        hub, recipe = chosen_model(model)
    output = options["output"]
    return {
        "index": name,
        "output": None if output is None else str(output),
        "model": hub,
        "recipe": recipe,
        "device": options["device"],
        "restart": options["anew"],
    }
