"""`fetch` and `watch`: records of services, once or repeatedly; abstracts, benchmarks, archives."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bioretrieval_tui.catalog.models import Benchmark
from bioretrieval_tui.cli import options
from bioretrieval_tui.cli.lookups import catalogue, chosen_model, http_client
from bioretrieval_tui.cli.options import option
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.cli.streams import confirm, duration, narrated, put, put_sheet, tell
from bioretrieval_tui.documents.mesh import CONDITIONS as MESH_CONDITIONS
from bioretrieval_tui.documents.source import STDIN
from bioretrieval_tui.errors import EXIT_NO_NEWS, BioRetrievalError, NotFoundError, UsageError
from bioretrieval_tui.index import registry
from bioretrieval_tui.online import archives, spool, watches
from bioretrieval_tui.online import fetch as fetching
from bioretrieval_tui.online.ids import paper_ids, read_ids
from bioretrieval_tui.paths import SPARE, free_space, write_atomically
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.render.formats import Format, json_lines
from bioretrieval_tui.render.news import Part, news_sheet
from bioretrieval_tui.render.news import digest as news_digest
from bioretrieval_tui.render.sheet import Column, record_sheet
from bioretrieval_tui.search import catalogue_index
from bioretrieval_tui.util.formatting import rate, size

if TYPE_CHECKING:
    from bioretrieval_tui.documents.document import Document

_LISTED = 10
"""Ids without a record that are listed one by one."""


@click.group(cls=NamedGroup, no_args_is_help=False)
def fetch() -> None:
    """Fetch records by query or by ids, archives, benchmarks, MeSH.

    Records go into an index (--index), a file (-o), or stdout, as lines of BEIR's JSONL. An
    interrupted fetch resumes when the same call is made again. API keys and your contact address
    are read from NCBI_API_KEY and BIORETRIEVAL_CONTACT or from config.toml; see `config`.
    """


_destination = options.together(
    options.index("--index", "Add the records to this index; it is built if it is new."),
    option(
        "-o --output FILE",
        "Write the records into this file, as JSONL.",
        type=click.Path(dir_okay=False),
    ),
    options.model("--model", "Encode a new index with this model; default: the embedded one."),
    options.device_for("For the index: auto, cpu, cuda, cuda:N or mps."),
    option("--anew", "Discard what an interrupted fetch has kept.", name="restart"),
    options.offline,
    options.progress,
)


_search = options.together(
    click.argument("query"),
    option("-n N", "At most N; default: all.", name="most", type=options.POSITIVE),
    options.since("Only records entered on or after DATE (YYYY-MM-DD)."),
    options.background,
    _destination,
)


def _fetch(
    source: Any, query: str, *, background: bool, quiet: bool, progress: str, **fields: Any
) -> None:
    request = _request(source, query=spool.sound_query(query), **fields)
    if not background:
        _fetched(request, quiet, progress)
        return
    if request.index is None:
        raise UsageError("--background fetches into an index", remedy="add --index NAME")
    from bioretrieval_tui.backend.protocol import FetchJob
    from bioretrieval_tui.cli.job_verbs import submit

    submit(FetchJob(request), request.device)


_SERVICES = {
    "pubmed": """Fetch records of PubMed; QUERY uses PubMed's syntax.

    \b
    bioretrieval-tui fetch pubmed "sickle cell disease[mh] AND hydroxyurea" -n 2000 --index sickle
    bioretrieval-tui fetch pubmed "crispr[ti]" --since 2026-01-01 -o crispr.jsonl
    """,
    "europepmc": """Fetch records of Europe PMC, preprints included; QUERY uses its syntax.

    \b
    bioretrieval-tui fetch europepmc 'SRC:PPR AND "dense retrieval"' --index preprints
    """,
    "arxiv": """Fetch papers of arXiv; QUERY uses its syntax. One request every three seconds.

    \b
    bioretrieval-tui fetch arxiv "cat:cs.IR AND abs:biomedical" --index ir
    """,
}
"""Verbs that search a service, with their help."""
for _source, _help in _SERVICES.items():
    fetch.command(_source, help=_help)(_search(partial(_fetch, _source)))


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
    known, unknown = read_ids(None if str(file) == STDIN else file)
    for line, text in unknown[:_LISTED]:
        tell(f"{file}:{line}: '{text[:80]}' is not a PMID, PMC id, DOI or arXiv id")
    if len(unknown) > _LISTED:
        tell(f"{len(unknown) - _LISTED:,} more are not ids")
    if not known:
        raise UsageError(f"{file} holds no id", remedy="write PMIDs, PMC ids, DOIs or arXiv ids")
    result = _fetched(_request("ids", ids=known, **fields), quiet, progress)
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
@option("--all", "Fetch abstracts again that are kept.", name="everything")
@options.offline
@options.quiet
def abstracts(everything: bool, quiet: bool) -> None:
    """Fetch the abstracts of the catalogue's own papers, so that a search covers them.

    They are kept in your data folder and remain their publishers'. An interrupted fetch keeps
    what has arrived.
    """
    kept = {} if everything else catalogue_index.kept_abstracts()
    papers = paper_ids(catalogue()).items()
    wanted = {name: one for name, one in papers if name not in kept}
    day = datetime.now(UTC).date().isoformat()
    before = len(kept)
    if not wanted:
        tell(f"the abstracts of all {before} papers are here; --all fetches them again")
        return
    with http_client() as client, narrated(quiet) as reporter:
        try:
            for identifier, text, origin in fetching.abstracts_of(client, wanted):
                kept[identifier] = catalogue_index.Abstract(text, origin, day)
                reporter(Progress("fetching", len(kept) - before, len(wanted), unit="abstracts"))
        finally:
            if len(kept) > before:
                catalogue_index.keep_abstracts(kept)
    if not quiet:
        tell(f"{len(kept) - before} abstracts of {len(wanted)} papers; the catalogue searches them")
    if len(kept) == before:
        raise BioRetrievalError(
            f"no service has an abstract of the {len(wanted)} papers", remedy="try again later"
        )


@fetch.command()
@click.argument("name", metavar="ID", shell_complete=options.complete_benchmark)
@option(
    "-o --output FOLDER",
    "Destination; default: a folder named ID in the data folder.",
    type=options.PATH,
)
@options.offline
@options.quiet
def benchmark(name: str, output: Path | None, quiet: bool) -> None:
    """Fetch the benchmark ID, as its catalogue entry locates it, into a folder for `eval`.

    The download resumes where it broke off, is compared with its MD5 and unpacked safely. The
    folder's path is written to stdout.

    \b
    bioretrieval-tui eval "$(bioretrieval-tui fetch benchmark nfcorpus)"
    """
    found = catalogue()
    entry = found.entry_of(name, Benchmark)
    if entry.id not in archives.fetchable(found):
        remedy = f"benchmarks with an archive: {', '.join(archives.fetchable(found))}"
        raise NotFoundError(f"the catalogue names no archive of {name}", remedy=remedy)
    folder = output or archives.benchmark_folder(entry.id)
    if output is None and folder.is_dir():
        if not quiet:
            tell(f"{entry.id} is here already; delete the folder to fetch it again")
    else:
        with http_client() as client, narrated(quiet) as reporter:
            if entry.licence and not quiet:
                tell(f"licence of {entry.id}: {entry.licence}")
            archives.fetch_benchmark(client, entry, folder, reporter=reporter)
    put([f"{folder}\n"])


@fetch.command()
@option("--year YEAR", "Edition; default: the newest.", type=click.IntRange(2000, 2100))
@options.offline
@options.quiet
def mesh(year: int | None, quiet: bool) -> None:
    """Fetch the headings of MeSH, so that filters find narrower headings and synonyms.

    Then `mesh:cancer` also finds documents with the heading Neoplasms or one below it, while
    `mesh="Neoplasms"` stays exact; shells complete headings after `-w mesh:`. About 20 MB from the
    U.S. National Library of Medicine, of which the headings, their places in the tree and their
    other names are kept. A new edition comes each year.

    \b
    bioretrieval-tui fetch mesh
    bioretrieval-tui search "pain crises" -i sickle -w 'mesh:"anemia, hemolytic"'
    """
    today = datetime.now(UTC).date()
    # The edition of a year appears late in the year before.
    years = [year] if year else [today.year, today.year - 1]
    with http_client() as client, narrated(quiet) as reporter:
        found = archives.fetch_mesh(client, years, today.isoformat(), reporter=reporter)
    if not quiet:
        tell(f"{len(found):,} headings of {found.source}, fetched {found.day}")
        tell(f"courtesy of the U.S. National Library of Medicine; terms: {MESH_CONDITIONS}")


@fetch.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False))
@option("--yes", "Do not ask for confirmation.")
@option("-n N", "At most N files now.", name="most", type=options.POSITIVE)
@option("--updates", "Only the daily files that follow the baseline.")
@options.offline
@options.quiet
def baseline(folder: Path, yes: bool, most: int | None, updates: bool, quiet: bool) -> None:
    """Fetch the PubMed baseline and the daily files after it into FOLDER.

    Shows the size and asks first. Files resume where they broke off and are compared with their
    MD5; complete ones are not fetched again, so the same call brings the folder up to date.

    \b
    bioretrieval-tui fetch baseline pubmed/
    bioretrieval-tui index build pubmed pubmed/
    """
    with http_client() as client:
        folders = archives.FOLDERS[1:] if updates else archives.FOLDERS
        listed = archives.listed(client, folders)
        wanted = archives.missing(listed, folder)[:most]
        if not wanted:
            tell(f"all {len(listed):,} files are in {folder}")
            return
        unknown = any(one.bytes is None for one in wanted)
        total = sum(one.bytes or 0 for one in wanted)
        about = "of a size that the archive does not state" if unknown else f"about {size(total)}"
        tell(f"{len(wanted):,} of {len(listed):,} files to fetch into {folder}: {about}")
        free = free_space(folder)
        if free < total + SPARE:
            raise BioRetrievalError(
                f"{folder} has {size(free)} free, of {size(total)} needed",
                remedy="free space, name another folder, or fetch fewer files with -n",
            )
        if not yes:
            remedy, declined = "add --yes to fetch the files", "nothing was fetched"
            confirm("Fetch them?", remedy=remedy, declined=declined)
        with narrated(quiet) as reporter:
            archives.fetch_files(client, wanted, folder, reporter=reporter)
    if not quiet:
        tell(f"{len(wanted):,} files fetched; next: bioretrieval-tui index build NAME {folder}")


# Shared by the verbs --------------------------------------------------------------------------


def _request(source: Any, *, model: str | None, **fields: Any) -> spool.FetchRequest:
    """A request with a possible destination; the options have the names of its fields."""
    hub, recipe, name = None, None, fields["index"]
    if model is not None:
        if name is None:
            raise UsageError("--model is for an index", remedy="add --index NAME")
        if name in registry.index_names():
            raise UsageError(f"the index {name} has its model already", remedy="leave --model out")
        hub, recipe = chosen_model(model)
    request = spool.FetchRequest(source, model=hub, recipe=recipe, **fields)
    fetching.check_destination(request)
    return request


def _fetched(request: spool.FetchRequest, quiet: bool, progress: str) -> spool.FetchResult:
    onto_stdout = request.index is None and request.output is None

    def each(one: Document) -> None:
        if onto_stdout:
            put([spool.line_of(one).decode()])

    remark = (lambda _: None) if quiet else tell
    cautions: list[str] = []

    def warn(caution: str) -> None:
        cautions.append(caution)
        tell(caution)

    try:
        with narrated(quiet, progress) as reporter:
            result = fetching.fetch(request, reporter, remark, warn=warn, each=each)
    except BaseException as error:
        for note in getattr(error, "__notes__", ()):
            if note not in cautions:
                tell(note)
        raise
    if not quiet and not onto_stdout:
        came, seconds = result.records - result.resumed, result.seconds
        speed = f", in {duration(seconds)} ({rate(came / seconds)}/s)"
        tell(result.line() + (speed if result.output and came and seconds >= 1 else ""))
        if result.index is not None:
            tell(f'search it, also offline: bioretrieval-tui search "..." -i {result.index}')
    return result


# Watches --------------------------------------------------------------------------------------


_complete_watch = options.completes(lambda: (one.watch.name for one in watches.watches()))
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
@options.index(
    "--index",
    "Rank news by similarity to the documents of this index instead of QUERY, and leave out"
    " those that it holds already.",
)
@options.since("First day, as YYYY-MM-DD; default: a week ago.")
def add(query: str, source: Any, index: str | None, since: date | None) -> None:
    """Watch QUERY. The network is not used before the first `watch run`.

    \b
    bioretrieval-tui watch add "long covid AND fatigue" --source pubmed
    bioretrieval-tui watch add "dense retrieval" --source arxiv --index mine
    """
    today = datetime.now(UTC).date()
    first = since or today - watches.FIRST_DAYS
    if first > today:
        raise UsageError(f"{since} is in the future", remedy="start today or before")
    if index is not None:
        registry.manifest_of(index)
    made = watches.add_watch(
        query, source, since=first.isoformat(), today=today.isoformat(), index=index
    )
    tell(f"watching {made.name} at {made.source}; fetch news with: bioretrieval-tui watch run")


@watch.command("list")
@options.format_
def list_(format_: Format) -> None:
    """List the watches, with their last run and the number of unread news."""
    found = watches.watches(tell)
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
    stated = ("name", "query", "source", "index", "since", "added")
    records = [
        {name: getattr(one.watch, name) for name in stated}
        | {"asked": one.asked, "unread": one.unread, "news": len(one.news), "note": one.note}
        for one in found
    ]
    put_sheet(record_sheet("Watches", columns, records), format_)
    if not found:
        tell('there is no watch yet; create one with: bioretrieval-tui watch add "QUERY"')


@watch.command()
@click.argument("name", shell_complete=_complete_watch)
def remove(name: str) -> None:
    """Delete a watch with its news."""
    gone = watches.remove_watch(name)
    tell(f"removed {name} with {len(gone.news)} news")


@watch.command()
@names_argument
@option("--all", "List read news too.", name="everything")
@option("--mark-read", "Mark the listed news as read.")
@options.format_
def news(names: tuple[str, ...], everything: bool, mark_read: bool, format_: Format) -> None:
    """List unread news of the watches, newest run first, without the network."""
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
    type=options.FILE,
)
@option("--jsonl FILE", "Append the news to FILE, a record a line.", type=options.FILE)
@option(
    "-n",
    "New records of a watch in one run, at most.",
    name="most",
    type=click.IntRange(1, 5000),
    default=200,
)
@options.offline
@options.quiet
@options.format_
def run(
    names: tuple[str, ...],
    digest: Path | None,
    jsonl: Path | None,
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
    runs: list[watches.WatchRun] = []
    with watches.running(), http_client() as client:
        chosen = _chosen(names)
        if not chosen:
            remedy = 'create one: bioretrieval-tui watch add "QUERY"'
            raise UsageError("there is no watch to run", remedy=remedy)
        with narrated(quiet) as reporter:

            def rank(one: watches.Watch, documents: Sequence[Document]) -> Sequence[float | None]:
                from bioretrieval_tui.search.engine import near_index, near_query

                if one.index is not None:
                    return near_index(one.index, documents, reporter=reporter)
                return near_query(one.query, documents, reporter=reporter)

            source, now = watches.record_source(client), datetime.now(UTC)
            for number, one in enumerate(chosen):
                name = one.watch.name
                reporter(Progress("watching", number, len(chosen), unit="watches", note=name))
                runs.append(watches.run_watch(one, source, rank, now=now, most=most))
    parts = []
    for done in runs:
        notes = [f"{done.caution}."] if done.caution else []
        if done.failed is not None:
            notes.append(f"This run is incomplete: {done.failed.line()}")
        elif done.more:
            notes.append("There is more; the next run fetches it.")
        parts.append(_part(done.watch, done.news, " ".join(notes) or None))
    found = sum(len(done.news) for done in runs)
    if found:
        _write_files(parts, digest, jsonl)
    put_sheet(news_sheet(parts), format_)
    said = [f"{found} new in {len(runs)} {'watch' if len(runs) == 1 else 'watches'}"]
    for done in runs:
        name = done.watch.name
        if done.known:
            said.append(f"{name}: {done.known} new are in the index {done.watch.index} already")
        if done.more:
            said.append(f"{name}: there is more; the next run fetches it")
        if done.caution:
            said.append(f"{name}: {done.caution}")
    failed = [(one.watch.name, one.failed) for one in runs if one.failed is not None]
    for line in (*(() if quiet else said), *(f"{a}: {b.line()}" for a, b in failed[1:])):
        tell(line)
    if failed:
        name, error = failed[0]
        raise BioRetrievalError(f"{name}: {error.message}", remedy=error.remedy)
    if not found:
        raise click.exceptions.Exit(EXIT_NO_NEWS)


def _chosen(names: Sequence[str]) -> list[watches.Watched]:
    named = [watches.watched(name) for name in dict.fromkeys(names)]
    return named or watches.watches(tell)


def _part(one: watches.Watch, items: Sequence[watches.News], note: str | None) -> Part:
    return Part(one.name, one.query, one.source, items, note)


def _write_files(parts: Sequence[Part], digest: Path | None, jsonl: Path | None) -> None:
    shown = [part for part in parts if part.items or part.note]
    day = datetime.now(UTC).date().isoformat()
    try:
        if digest is not None:
            write_atomically(digest, "".join(news_digest(shown, day=day)).encode("utf-8"))
        if jsonl is not None:
            with jsonl.open("a", encoding="utf-8") as out:
                out.writelines(json_lines(news_sheet(shown)))
    except OSError as error:
        raise BioRetrievalError(
            f"{error.filename or digest or jsonl} cannot be written: {error.strerror}",
            remedy="the news is kept: see bioretrieval-tui watch news",
        ) from error
