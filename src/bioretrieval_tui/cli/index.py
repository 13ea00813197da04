"""`index`: build, extend, import, export, copy, connect, check, list, show and remove indexes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click
from msgspec import structs

from bioretrieval_tui.backend.protocol import (
    AddJob,
    BuildJob,
    FillJob,
    ImportJob,
    MedcptJob,
    ParquetJob,
    ReadJob,
    VectorsJob,
)
from bioretrieval_tui.cli import index_copies, options
from bioretrieval_tui.cli.job_verbs import submit
from bioretrieval_tui.cli.lookups import (
    chosen_model,
    fetch_missing,
    http_client,
    model_of_catalogue,
)
from bioretrieval_tui.cli.options import option
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.cli.streams import (
    confirm,
    duration,
    narrated,
    put_object,
    put_sheet,
    tell,
    tell_notes,
)
from bioretrieval_tui.documents.detect import FORMATS
from bioretrieval_tui.documents.document import Place
from bioretrieval_tui.documents.source import STDIN, Dedupe, ReadSettings, text_encoding
from bioretrieval_tui.errors import BioRetrievalError, IndexFault, InterruptedByUser, UsageError
from bioretrieval_tui.index import layout, registry
from bioretrieval_tui.index.report import Pair, RejectedRecord, Report, longer_line
from bioretrieval_tui.paths import save_file
from bioretrieval_tui.render.indexes import facts_sheet, index_page, index_sheet
from bioretrieval_tui.render.sheet import Column, Sheet
from bioretrieval_tui.util.formatting import plural, rate, size

if TYPE_CHECKING:
    from bioretrieval_tui.index.build import BuildOutcome
    from bioretrieval_tui.index.manifest import Manifest
    from bioretrieval_tui.render.formats import Format


_FORMAT_NAMES = ("auto", *FORMATS)
_LISTED = 5
"""Rejected records that are listed on stderr; the report has them all."""

name_argument = click.argument("name", shell_complete=options.complete_index)
files_argument = click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path()
)
_PUBLISHED = "medcpt"
"""The model whose vectors `--from` builds from, by its id in the catalogue."""


@click.group(cls=NamedGroup, no_args_is_help=False)
def index() -> None:
    """Build, extend, check and remove indexes over your own texts."""


# Filling an index -----------------------------------------------------------------------------


_passages = option(
    "--passages",
    "Split texts that are longer than the model reads; the best passage of a document counts.",
)
_filling_options = options.together(
    option(
        "--format FORMAT",
        f"Format of the files: {', '.join(_FORMAT_NAMES)}.",
        name="reader",
        type=click.Choice(_FORMAT_NAMES),
        default="auto",
    ),
    option(
        "--map FIELD=COLUMN,...",
        "Columns of a table or keys of JSON: title=Title,text=Abstract,id=PMID. Repeatable.",
        name="mapping",
        multiple=True,
    ),
    option("--encoding NAME", "Encoding of the files, such as cp1252; default: UTF-8."),
    option("--delimiter CHARACTER", "Between the fields of a table, or tab; default: detected."),
    option("--strict", "Stop at the first rejected record."),
    option(
        "--dedupe MODE",
        "Records of one work under several ids: report them, merge them, or off.",
        type=click.Choice(get_args(Dedupe)),
        default="report",
    ),
    option("--report FILE", "Write the outcome of every record, as JSON.", type=options.FILE),
    options.background,
    options.progress,
)


def _fill(
    done: str,
    job: ReadJob,
    *,
    reader: str,
    mapping: tuple[str, ...],
    encoding: str | None,
    delimiter: str | None,
    strict: bool,
    dedupe: Dedupe,
    report: Path | None,
    **how: Any,
) -> None:
    """Run a job with the options above and tell its outcome as `done`, or submit it."""
    columns: dict[str, str] = {}
    for part in filter(str.strip, ",".join(mapping).split(",")):
        field, _, column = map(str.strip, part.partition("="))
        if not (field and column):
            remedy = "write --map title=Title,text=Abstract,id=PMID"
            raise UsageError(f"--map does not understand {part.strip()!r}", remedy=remedy)
        if columns.setdefault(field, column) != column:
            said = f"--map gives {field} two columns, {columns[field]!r} and {column!r}"
            raise UsageError(said, remedy="choose one of them")
    if encoding is not None:
        text_encoding(encoding)
    if delimiter is not None:
        delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
        if len(delimiter) != 1 or delimiter in '"\r\n\0':
            remedy = "write one character, such as ';', or tab"
            raise UsageError(f"--delimiter does not understand {delimiter!r}", remedy=remedy)
    chosen = None if reader == "auto" else reader
    reading = ReadSettings(chosen, columns, strict, encoding, delimiter, dedupe)
    _run_reported(done, structs.replace(job, reading=reading), report, **how)


def _run_reported(
    done: str,
    job: ReadJob | ParquetJob,
    report: Path | None,
    *,
    background: bool,
    **how: Any,
) -> None:
    """Run a job as `_run`, and write its report to a file."""
    if report is not None and not report.absolute().parent.is_dir():
        said = f"the folder of the report {report} is not there"
        raise UsageError(said, remedy="create it first")
    if background and (report is not None or STDIN in getattr(job, "inputs", ())):
        said = "a job in the background reads no stdin and writes no report"
        raise UsageError(said, remedy="leave out --background, or the report and -")
    counts = Report()
    try:
        _run(done, job, counts, background=background, **how)
    finally:  # also after an error
        if report is not None:
            try:
                save_file(report, counts.to_json(), f"the report {report.name}")
            except BioRetrievalError as error:
                tell(error.line())


def _run(
    done: str,
    job: FillJob,
    counts: Report,
    *,
    device: str = "auto",
    on: str | None = None,
    download: bool = False,
    background: bool,
    quiet: bool,
    progress: str,
) -> None:
    """Run a job, which fills `counts`, and tell its outcome as `done`."""
    from bioretrieval_tui.backend.server import fill_index

    needed: BuildJob | VectorsJob | Manifest | None = None
    if isinstance(job, VectorsJob) or (isinstance(job, BuildJob) and not job.lexical):
        needed = job
    if on is not None and (device != "auto" or (needed is None and isinstance(job, BuildJob))):
        said = "--on encodes on the GPUs of the cluster, else on its processors"
        raise UsageError(said, remedy="leave out --device and --lexical, or --on")
    device = on or device
    if isinstance(job, VectorsJob) and job.model is None:
        needed = registry.manifest_of(job.name)
    try:
        with narrated(quiet, progress) as reporter:
            if needed is not None and needed.model is not None:
                fetch_missing(needed.model, needed.recipe, reporter, download=download)
            if background:
                submit(job, device)
                return
            outcome = fill_index(job, device, reporter, counts)
    except KeyboardInterrupt as stop:
        kept, there = registry.kept_vectors(job.name), job.name in registry.index_names()
        state = "is as it was before" if there else "is not there yet"
        goes_on = "the same call starts again"
        if kept:
            goes_on = f"{plural(kept, 'document')} encoded so far; the same call goes on from there"
        if notes := getattr(stop, "__notes__", ()):
            raise InterruptedByUser("stopped", remedy="; ".join(notes)) from stop
        raise InterruptedByUser(f"stopped; index {job.name} {state}", remedy=goes_on) from stop
    except BioRetrievalError as error:
        tell_notes(error)
        raise
    if not quiet:
        _tell_outcome(done, outcome)


def _tell_outcome(done: str, outcome: BuildOutcome) -> None:
    """Report rejections, duplicates, the number of documents now, and the duration."""
    manifest, report = outcome.manifest, outcome.report
    for rejected in report.rejections[:_LISTED]:
        tell(f"rejected {_place(rejected)}: {rejected.reason}")
    if report.rejected > _LISTED:
        tell(f"rejected {report.rejected - _LISTED:,} more; --report FILE lists them")
    if passed_over := report.passed_over_line():
        tell(passed_over)
    for pair in report.pairs[:_LISTED]:
        tell(f"{_place(pair)}: {pair.id} is the work of {pair.same_as}: {pair.why}")
    more = report.likely + report.merged - len(report.pairs[:_LISTED])
    if more:
        tell(f"{more:,} more of such pairs; --report FILE lists them")
    if report.likely:
        tell("records of one work are kept; the same call with --dedupe merge joins them")
    if not outcome.changed:
        tell(f"nothing to do: {report.line()}; {manifest.name} is unchanged")
        return
    speed = counted = ""
    if report.encoded:
        what = "documents" if report.passages is None else "passages"
        speed = f", {rate(manifest.docs_per_second)} {what}/s on {manifest.device}"
    if report.encoded != manifest.documents and report.passages is None:
        counted = f" ({report.encoded:,} of them encoded now)"
    took = f"in {duration(manifest.seconds)}{speed}"
    tell(f"{done} {manifest.name}: {plural(manifest.documents, 'document')}{counted} {took}")
    if report.kept != report.read or report.deleted or report.without_abstract:
        tell(report.line())
    if report.without_document:
        tell(f"{plural(report.without_document, 'vector')} without a document left out")
    if (line := longer_line(report.longer, report.max_tokens, report.passages)) is not None:
        tell(line)


def _place(record: RejectedRecord | Pair) -> str:
    return str(Place(record.file, record.line, record.offset))


def _published_job(
    name: str, chunks: str | None, folder: Path | None, *, yes: bool, quiet: bool
) -> MedcptJob | None:
    """The job of `--from`, once its size is told and the user agrees to fetch what is missing; None
    if the index has all chunks. Raises as `plan_chunks`, BioRetrievalError: a disk is too small."""
    from bioretrieval_tui.online import medcpt_chunks

    layout.check_own_name(name)
    numbers = None if chunks is None else medcpt_chunks.parse_numbers(chunks)
    model, recipe, _ = model_of_catalogue(_PUBLISHED)
    plan = medcpt_chunks.plan_chunks(name, numbers, folder, http_client)
    if not plan.numbers:
        tell(f"nothing to do: the index {name} has these chunks")
        return None
    asks = plan.files and not yes
    if asks or not quiet:
        tell(plan.line())
    plan.require_space()
    if asks:
        remedy, declined = "add --yes to fetch the files", "nothing was fetched"
        confirm("Fetch them?", remedy=remedy, declined=declined)
    kept = None if folder is None else str(folder.absolute())
    return MedcptJob(name, plan.numbers, kept, plan.bytes, model, recipe)


@index.command()
@name_argument
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path())
@option(
    "--from SOURCE",
    "Instead of FILE: PubMed with the vectors of MedCPT that NCBI publishes.",
    name="source",
    type=click.Choice([_PUBLISHED]),
)
@option("--chunks NUMBERS", "Of --from, such as 0-3,7; default: all.")
@option(
    "--at FOLDER",
    "Where the files of --from are, or are fetched to and stay; default: a folder of the cache,"
    " from which they are deleted.",
    name="folder",
    type=click.Path(path_type=Path, file_okay=False),
)
@option("--yes", "Do not ask for confirmation before --from fetches.")
@options.model(
    "--model", "Encode with this model (catalogue id, hub id or folder); default: the embedded one."
)
@options.download
@options.device_or_cluster
@option(
    "--ids",
    "What the documents' ids are, so that hits link to their pages.",
    type=click.Choice(["pmid"]),
)
@_passages
@option("--lexical", "For BM25 alone: encode nothing; `index add-vectors` does it later.")
@option(
    "--store ADDRESS",
    "Move the index into a store when it is built, as `index copy --to ADDRESS` does.",
)
@_filling_options
def build(
    name: str,
    files: tuple[str, ...],
    source: str | None,
    chunks: str | None,
    folder: Path | None,
    yes: bool,
    model: str | None,
    ids: Literal["pmid"] | None,
    passages: bool,
    lexical: bool,
    store: str | None,
    **how: Any,
) -> None:
    """Build the index NAME over corpus files, or over PubMed with published vectors.

    FILE is a file in a format of --format, also compressed with gzip, a folder of such files, a
    glob, or - for stdin; auto detects the format from the content. An existing index of that name
    stays in use until the new one is complete. The same call resumes an interrupted build, and no
    text is encoded twice.

    `--from medcpt` builds from the vectors that NCBI publishes, in chunks of a million PMIDs, with
    their texts. It shows the size and asks before it fetches; nothing is encoded, and no GPU is
    needed. Each chunk is in the index before the next is fetched, and can be searched; the same
    call goes on with the next chunk, and further ones can be added later.

    \b
    bioretrieval-tui index build mine pubmed26n0001.xml.gz
    bioretrieval-tui index build scifact datasets/scifact
    bioretrieval-tui index build notes export.csv --map title=Title,text=Abstract,id=PMID
    bioretrieval-tui index build pubmed --from medcpt --chunks 34-37
    """
    if source is not None:
        reads = {"encoding": "--encoding", "delimiter": "--delimiter", "mapping": "--map"}
        given = {
            "FILE": files, "--model": model, "--passages": passages, "--lexical": lexical,
            "--store": store, "--on": how["on"], "--format": how["reader"] != "auto",
            **{said: how[one] for one, said in reads.items()},
        }  # fmt: skip
        if wrong := [said for said, value in given.items() if value]:
            what = f"--from {source} brings texts and vectors of its own"
            raise UsageError(what, remedy=f"leave out {', '.join(wrong)}")
        published = _published_job(name, chunks, folder, yes=yes, quiet=how["quiet"])
        if published is not None:
            _fill("built", published, **how)
        return
    if chunks is not None or folder is not None or yes:
        remedy = f"add --from {_PUBLISHED}, or leave them out"
        raise UsageError("--chunks, --at and --yes are of --from", remedy=remedy)
    if not files:
        said = "no corpus file is named"
        raise UsageError(said, remedy=f"name one, or add --from {_PUBLISHED}")
    if store is not None:
        from bioretrieval_tui.index.store_index import require_place
        from bioretrieval_tui.index.stores import parse_address

        if passages or lexical:
            said = "a store has one vector a document"
            raise UsageError(said, remedy="leave out --passages and --lexical, or --store")
        address = parse_address(store)
        require_place(name, address)  # before hours of encoding
        store = str(address)
    hub, recipe = (None, None) if model is None else chosen_model(model)
    job = BuildJob(
        name, files, hub, recipe, ids=ids, passages=passages, lexical=lexical, store=store
    )
    _fill("built", job, **how)


@index.command("add-vectors")
@name_argument
@options.model(
    "--model", "Encode with this model; default: the one named when the index was built."
)
@options.download
@options.device_or_cluster
@_passages
@options.background
@options.progress
def add_vectors(name: str, model: str | None, passages: bool, **how: Any) -> None:
    """Encode the documents of the index NAME, which was built with --lexical.

    BM25 goes on answering meanwhile. With --model, the vectors of an index are replaced by those of
    another model. The same call resumes an interrupted one, and no text is encoded twice.
    """
    hub, recipe = (None, None) if model is None else chosen_model(model)
    _run("encoded", VectorsJob(name, hub, recipe, passages), Report(), **how)


@index.command()
@name_argument
@files_argument
@options.device_or_cluster
@_filling_options
def add(name: str, files: tuple[str, ...], **how: Any) -> None:
    """Add corpus files to the index NAME.

    New records are added, changed ones replace those with the same id, and deletions that a file
    lists are carried out. Only new and changed records are encoded. The index stays in use as it
    was until the addition is complete.
    """
    _fill("extended", AddJob(name, files), **how)


@index.command("import-vectors")
@name_argument
@option(
    "--vectors FILE",
    "Matrix of vectors (.npy), a row a document; repeatable, for several parts.",
    multiple=True,
    required=True,
)
@option(
    "--ids FILE",
    "Ids of the rows, as a JSON list or one a line; one file for each --vectors.",
    multiple=True,
    required=True,
)
@option(
    "--documents FILE",
    "The documents, in any format that `index build` reads.",
    multiple=True,
    required=True,
)
@options.model("--model", "Model of the catalogue that made the vectors.", required=True)
@_filling_options
def import_vectors(
    name: str,
    vectors: tuple[str, ...],
    ids: tuple[str, ...],
    documents: tuple[str, ...],
    model: str,
    **how: Any,
) -> None:
    """Build the index NAME from published vectors.

    NCBI publishes those of MedCPT for all of PubMed; nothing is encoded, and no GPU is needed.

    \b
    bioretrieval-tui index import-vectors pubmed36 --model medcpt \\
      --vectors embeds_chunk_36.npy --ids pmids_chunk_36.json --documents pubmed_chunk_36.json
    """
    _fill("imported", ImportJob(name, vectors, ids, documents, *model_of_catalogue(model)), **how)


@index.command("import")
@name_argument
@files_argument
@option("--report FILE", "Write the outcome, as JSON.", type=options.FILE)
@options.background
@options.progress
def import_(name: str, files: tuple[str, ...], report: Path | None, **how: Any) -> None:
    """Build the index NAME from the Parquet of `index export`.

    FILE is a file, or a folder of them. Nothing is encoded: documents, fields and vectors are those
    of the exported index, and no model is needed here. An existing index of that name stays in use
    until the new one is complete.
    """
    _run_reported("imported", ParquetJob(name, files), report, **how)


# Indexes that exist ---------------------------------------------------------------------------


@index.command("list")
@option("--all", "Also the indexes that evaluations made.", name="every")
@options.format_
def list_(every: bool, format_: Format) -> None:
    """List the indexes of this machine."""
    found = registry.list_indexes()
    shown = [one for one in found if every or not one.cached]
    put_sheet(index_sheet(shown), format_)
    if not found:
        tell("there is no index yet; create one: bioretrieval-tui index build NAME FILE...")
    if hidden := [one for one in found if one not in shown]:
        total = size(sum(one.bytes for one in hidden))
        cleared = "--all lists them, `index clear-cache` removes them"
        tell(f"indexes of evaluations: {len(hidden)}, {total}, not listed; {cleared}")
    for name, _, taken in registry.trash():
        tell(f"in the trash of the app for a day at most: {name}, {size(taken)}")


@index.command("clear-cache")
@option("--yes", "Do not ask for confirmation.")
def clear_cache(yes: bool) -> None:
    """Remove the indexes that evaluations made, and the vectors of unfinished builds.

    Results of evaluations stay. An evaluation of the same benchmark builds its index again.
    """
    if not yes:
        question, declined = "Remove all indexes of evaluations?", "the cache stays"
        confirm(question, what=" clearing the cache", declined=declined)
    freed, busy = registry.clear_cache()
    left = f"kept, as they are in use: {', '.join(busy)}" if busy else "the cache is empty"
    tell(f"{left}; {size(freed)} freed")


@index.command()
@name_argument
@options.format_
def info(name: str, format_: Format) -> None:
    """Show one index, after comparing each of its files with its checksum.

    The exit code is 1 if a file is damaged.
    """
    found = registry.info(name)
    if format_ == "json":
        put_object(structs.asdict(found))
    elif format_ in ("table", "markdown"):
        put_sheet(facts_sheet(index_page(found)), format_)
    else:
        put_sheet(index_sheet([found]), format_)
    if found.status.startswith("damaged: "):
        remedy = f"see: bioretrieval-tui index verify {name}"
        raise BioRetrievalError(f"index {name} is {found.status}", remedy=remedy)
    if found.status.startswith(registry.OUT_OF_REACH):
        raise BioRetrievalError(f"index {name} is {found.status}")


@index.command()
@name_argument
@option("--in-store", "Of an index in a store, also delete its documents and vectors there.")
@option("--yes", "Do not ask for confirmation.")
def remove(name: str, in_store: bool, yes: bool) -> None:
    """Remove an index. Its source files stay, and what it has in a store without --in-store."""
    store = None
    if name in registry.index_names():
        with contextlib.suppress(IndexFault):
            store = registry.manifest_of(name).store
        if in_store and store is None:
            raise UsageError(f"index {name} is in no store", remedy="leave out --in-store")
        if not yes:
            kept = "" if store is None or in_store else f" What is in {store} stays."
            question, declined = f"Remove the index {name}?{kept}", f"the index {name} stays"
            confirm(question, what=f" removing {name}", declined=declined)
    if in_store:
        from bioretrieval_tui.index.store_index import delete_in_store

        delete_in_store(name)
    freed = size(registry.remove_index(name))
    there = "" if store is None else f"; what is in {store} {'is deleted' if in_store else 'stays'}"
    tell(f"removed {name}, {freed}{there}")


@index.command()
@name_argument
@options.progress
@options.format_
def verify(name: str, quiet: bool, progress: str, format_: Format) -> None:
    """Check every part of the index NAME, with a remedy for each fault.

    Checksums of all files, counts, vectors, and the recall of the HNSW graph against exact search.
    The exit code is 1 if there is a fault.
    """
    from bioretrieval_tui.index.verify import verify_index

    with narrated(quiet, progress) as reporter:
        checks = verify_index(name, reporter).checks
    columns = (
        Column("what", "part", min_width=9),
        Column("ok", "state", min_width=5),
        Column("found", "found", weight=3),
        Column("remedy", "remedy", weight=2),
    )
    rows = tuple((one.what, "ok" if one.ok else "fault", one.found, one.remedy) for one in checks)
    put_sheet(Sheet(f"Index {name}", columns, rows, tuple(map(structs.asdict, checks))), format_)
    faults = [check for check in checks if not check.ok]
    if faults:
        first = f"{faults[0].what}: {faults[0].found}"
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise BioRetrievalError(f"index {name}: {first}{more}", remedy=faults[0].remedy)


@index.command()
@name_argument
@options.progress
def compact(name: str, quiet: bool, progress: str) -> None:
    """Rewrite the index NAME without replaced and deleted documents.

    Nothing is encoded. The HNSW graph and the BM25 index are rebuilt, which also repairs an index
    in which only they are damaged.
    """
    from bioretrieval_tui.index.build import compact_index

    before = registry.info(name, deep=False).bytes
    with narrated(quiet, progress) as reporter:
        manifest = compact_index(name, reporter=reporter).manifest
    if not quiet:
        took = f"{plural(manifest.documents, 'document')} in {duration(manifest.seconds)}"
        sizes = f"{size(before)} before, {size(registry.info(name, deep=False).bytes)} now"
        tell(f"compacted {name}: {took}, {sizes}")


for _one in (index_copies.export, index_copies.copy, index_copies.connect):
    index.add_command(_one)
