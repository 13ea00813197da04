"""`fetch`: records of PubMed, Europe PMC and arXiv, abstracts, benchmarks, the PubMed archive."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import structs

from bioretrieval_tui.cli.lookups import catalogue, chosen_model, entry_of_type
from bioretrieval_tui.cli.options import (
    PATH,
    POSITIVE,
    complete_benchmark,
    device_choice,
    index_option,
    model_option,
    offline_option,
    option,
    options,
    progress_options,
    quiet_option,
    since_choice,
)
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.cli.streams import confirm, duration, narrated, put, tell
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError, UsageError
from bioretrieval_tui.util.formatting import rate, size

if TYPE_CHECKING:
    from bioretrieval_tui.online.fetch import FetchResult
    from bioretrieval_tui.online.spool import FetchRequest

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
    index_option("--index", "Add the records to this index; it is built if it is new."),
    option(
        "-o --output FILE",
        "Write the records into this file, as JSONL.",
        type=click.Path(dir_okay=False),
    ),
    model_option("--model", "Encode a new index with this model; default: the embedded one."),
    device_choice("For the index: auto, cpu, cuda, cuda:N or mps."),
    option("--anew", "Discard what an interrupted fetch has kept.", name="restart"),
    offline_option,
    progress_options,
)


_search = options(
    click.argument("query"),
    option("-n N", "At most N; default: all.", name="most", type=POSITIVE),
    since_choice("Only records entered on or after DATE (YYYY-MM-DD)."),
    _destination,
)


def _fetch(source: Any, query: str, *, quiet: bool, progress: str, **fields: Any) -> None:
    from bioretrieval_tui.online.spool import sound_query

    _fetched(_request(source, query=sound_query(query), **fields), quiet, progress)


@fetch.command()
@_search
def pubmed(**how: Any) -> None:
    """Fetch records of PubMed; QUERY uses PubMed's syntax.

    \b
    bioretrieval-tui fetch pubmed "sickle cell disease[mh] AND hydroxyurea" -n 2000 --index sickle
    bioretrieval-tui fetch pubmed "crispr[ti]" --since 2026-01-01 -o crispr.jsonl
    """
    _fetch("pubmed", **how)


@fetch.command()
@_search
def europepmc(**how: Any) -> None:
    """Fetch records of Europe PMC, preprints included; QUERY uses its syntax.

    \b
    bioretrieval-tui fetch europepmc 'SRC:PPR AND "dense retrieval"' --index preprints
    """
    _fetch("europepmc", **how)


@fetch.command()
@_search
def arxiv(**how: Any) -> None:
    """Fetch papers of arXiv; QUERY uses its syntax. One request every three seconds.

    \b
    bioretrieval-tui fetch arxiv "cat:cs.IR AND abs:biomedical" --index ir
    """
    _fetch("arxiv", **how)


@fetch.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True))
@_destination
def ids(file: Path, quiet: bool, progress: str, **fields: Any) -> None:
    """Fetch the works whose ids are in FILE (- for stdin): PMIDs, PMC ids, DOIs, arXiv ids.

    Ids may be mixed, several a line, bare or as URLs; the rest of a line after # is a comment.
    Text that is not an id, and ids that no service knows, are listed with their lines; then the
    exit code is 1, and all other records have been fetched.

    \b
    bioretrieval-tui fetch ids reading-list.txt --index reading
    """
    from bioretrieval_tui.documents.source import STDIN
    from bioretrieval_tui.online.fetch import read_ids

    request = _request("ids", **fields)
    found = read_ids(None if str(file) == STDIN else file)
    for line, text in found.unknown[:_LISTED]:
        tell(f"{file}:{line}: '{text[:80]}' is not a PMID, PMC id, DOI or arXiv id")
    if len(found.unknown) > _LISTED:
        tell(f"{len(found.unknown) - _LISTED:,} more are not ids")
    if not found.ids:
        raise UsageError(f"{file} holds no id", remedy="write PMIDs, PMC ids, DOIs or arXiv ids")
    result = _fetched(structs.replace(request, ids=found.ids), quiet, progress)
    for one in result.absent[:_LISTED]:
        tell(f"{file}:{one.line}: no service knows {one.kind} {one.name}")
    if len(result.absent) > _LISTED:
        tell(f"{len(result.absent) - _LISTED:,} more are not known")
    without = len(result.absent) + len(found.unknown)
    if without:
        raise BioRetrievalError(
            f"{without:,} of {len(found.ids) + len(found.unknown):,} ids in {file} have no record",
            remedy="they are listed above; all other records have been fetched",
        )


@fetch.command()
@option("--all", "Fetch abstracts again that are kept.", name="everything")
@offline_option
@quiet_option
def abstracts(everything: bool, quiet: bool) -> None:
    """Fetch the abstracts of the catalogue's own papers, so that a search covers them.

    They are kept in your data folder and remain their publishers'. An interrupted fetch keeps
    what has arrived.
    """
    from bioretrieval_tui.online.fetch import abstracts_of, paper_ids
    from bioretrieval_tui.online.http import HttpClient
    from bioretrieval_tui.progress import Progress
    from bioretrieval_tui.search.catalogue_index import Abstract, keep_abstracts, kept_abstracts

    kept = {} if everything else kept_abstracts()
    wanted = {name: one for name, one in paper_ids(catalogue()).items() if name not in kept}
    day = datetime.now(UTC).date().isoformat()
    before = len(kept)
    if not wanted:
        tell(f"the abstracts of all {before} papers are here; --all fetches them again")
        return
    with HttpClient() as client, narrated(quiet) as reporter:
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
@option(
    "-o --output FOLDER", "Destination; default: a folder named ID in the data folder.", type=PATH
)
@offline_option
@quiet_option
def benchmark(name: str, output: Path | None, quiet: bool) -> None:
    """Fetch the benchmark ID, as its catalogue entry locates it, into a folder for `eval`.

    The download resumes where it broke off, is compared with its MD5 and unpacked safely. The
    folder's path is written to stdout.

    \b
    bioretrieval-tui eval "$(bioretrieval-tui fetch benchmark nfcorpus)"
    """
    from bioretrieval_tui.catalog.models import Benchmark
    from bioretrieval_tui.online.archives import fetch_benchmark, fetchable
    from bioretrieval_tui.online.http import HttpClient
    from bioretrieval_tui.paths import places

    found = catalogue()
    entry = entry_of_type(found, name, Benchmark)
    if entry.id not in fetchable(found):
        raise NotFoundError(
            f"the catalogue names no archive of {name}",
            remedy=f"benchmarks with an archive: {', '.join(fetchable(found))}",
        )
    folder = output or places().data / "benchmarks" / entry.id
    said = f"licence of {entry.id}: {entry.licence}" if entry.licence else ""
    here = output is None and folder.is_dir()
    if here:
        said = f"{entry.id} is here already; delete the folder to fetch it again"
    if said and not quiet:
        tell(said)
    if not here:
        with HttpClient() as client, narrated(quiet) as reporter:
            fetch_benchmark(client, entry, folder, reporter=reporter)
    put([f"{folder}\n"])


@fetch.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False))
@option("--yes", "Do not ask for confirmation.")
@option("-n N", "At most N files now.", name="most", type=POSITIVE)
@option("--updates", "Only the daily files that follow the baseline.")
@offline_option
@quiet_option
def baseline(folder: Path, yes: bool, most: int | None, updates: bool, quiet: bool) -> None:
    """Fetch the PubMed baseline and the daily files after it into FOLDER.

    Shows the size and asks first. Files resume where they broke off and are compared with their
    MD5; complete ones are not fetched again, so the same call brings the folder up to date.

    \b
    bioretrieval-tui fetch baseline pubmed/
    bioretrieval-tui index build pubmed pubmed/
    """
    from bioretrieval_tui.online import archives as archive
    from bioretrieval_tui.online.http import HttpClient

    with HttpClient() as client:
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
            remedy, declined = "add --yes to fetch the files", "nothing was fetched"
            confirm("Fetch them?", remedy=remedy, declined=declined)
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


def _request(source: Any, *, model: str | None, **fields: Any) -> FetchRequest:
    """A request with a possible destination; the options have the names of its fields."""
    from bioretrieval_tui.index.registry import index_names
    from bioretrieval_tui.online.fetch import check_destination
    from bioretrieval_tui.online.spool import FetchRequest

    hub, recipe, name = None, None, fields["index"]
    if model is not None:
        if name is None:
            raise UsageError("--model is for an index", remedy="add --index NAME")
        if name in index_names():
            raise UsageError(f"the index {name} has its model already", remedy="leave --model out")
        hub, recipe = chosen_model(model)
    request = FetchRequest(source, model=hub, recipe=recipe, **fields)
    check_destination(request)
    return request


def _fetched(request: FetchRequest, quiet: bool, progress: str) -> FetchResult:
    """Run a fetch, and tell its outcome."""
    from bioretrieval_tui.online.fetch import fetch as run
    from bioretrieval_tui.online.spool import line_of

    onto_stdout = request.index is None and request.output is None
    try:
        with narrated(quiet, progress) as reporter:
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
