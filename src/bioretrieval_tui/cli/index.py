"""`index`: build, extend, import, check, compact, list, show and remove indexes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from bioretrieval_tui.cli.lookups import complete_index
from bioretrieval_tui.cli.narration import duration, narrated, tell
from bioretrieval_tui.cli.options import (
    FILE,
    PATH,
    can_confirm,
    default_option,
    device_option,
    download_option,
    flag,
    model_option,
    options,
    progress_options,
)
from bioretrieval_tui.cli.printing import format_option, put_sheet
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.documents.detect import FORMATS
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser, UsageError
from bioretrieval_tui.util.formatting import rate, size

if TYPE_CHECKING:
    from bioretrieval_tui.documents.source import ReadSettings
    from bioretrieval_tui.index.build import BuildOutcome
    from bioretrieval_tui.index.report import Report
    from bioretrieval_tui.render.formats import Format


_FORMAT_NAMES = ("auto", *(each.name for each in FORMATS))
_LISTED = 5
"""Rejected records that are listed on stderr; the report has them all."""

name_argument = click.argument("name", shell_complete=complete_index)
files_argument = click.argument("files", nargs=-1, required=True, metavar="FILE...", type=PATH)
reading_options = options(
    default_option(
        "--format",
        "reader",
        type=click.Choice(_FORMAT_NAMES),
        default="auto",
        metavar="FORMAT",
        help_=f"Format of the files: {', '.join(_FORMAT_NAMES)}.",
    ),
    click.option(
        "--map",
        "mapping",
        metavar="FIELD=COLUMN,...",
        help="Columns of a table for the fields: title=Title,text=Abstract,id=PMID.",
    ),
    flag("--strict", help_="Stop at the first rejected record."),
    click.option(
        "--report", type=FILE, metavar="FILE", help="Write the outcome of every record, as JSON."
    ),
)


@click.group(cls=NamedGroup, no_args_is_help=False)
def index() -> None:
    """Build, extend, check and remove indexes over your own texts."""


@index.command("list")
@format_option(without=("bibtex",))
def list_(format_: Format) -> None:
    """List the indexes of this machine."""
    from bioretrieval_tui.index.registry import list_indexes
    from bioretrieval_tui.render.indexes import index_sheet

    found = list_indexes()
    put_sheet(index_sheet(found), format_)
    if not found:
        tell("there is no index yet; create one: bioretrieval-tui index build NAME FILE...")


@index.command()
@name_argument
@format_option(without=("bibtex",))
def info(name: str, format_: Format) -> None:
    """Show one index, after comparing each of its files with its checksum."""
    from bioretrieval_tui.cli.printing import put
    from bioretrieval_tui.index import registry
    from bioretrieval_tui.render.formats import object_text
    from bioretrieval_tui.render.indexes import facts_sheet, index_page, index_sheet

    found = registry.info(name)
    if format_ == "json":
        put([object_text(asdict(found))])
    elif format_ in ("table", "markdown"):
        put_sheet(facts_sheet(index_page(found)), format_)
    else:
        put_sheet(index_sheet([found]), format_)


@index.command()
@name_argument
@flag("--yes", help_="Do not ask for confirmation.")
def remove(name: str, yes: bool) -> None:
    """Remove an index. Its source files stay."""
    from bioretrieval_tui.index.registry import index_names, remove_index

    if not yes and name in index_names():
        if not can_confirm():
            raise UsageError(f"no terminal to confirm removing {name} on", remedy="add --yes")
        try:
            agreed = click.confirm(f"Remove the index {name}?", err=True)
        except click.Abort:
            click.echo(err=True)
            raise
        if not agreed:
            raise InterruptedByUser(f"the index {name} stays")
    tell(f"removed {name}, {size(remove_index(name))}")


@contextlib.contextmanager
def reported(path: Path | None) -> Iterator[Report]:
    """Give the report of a build; write it to `path` at the end, also after an error.

    Raises:
        UsageError: the folder of `path` does not exist.
    """
    from bioretrieval_tui.index.report import Report
    from bioretrieval_tui.paths import save_file

    report = Report()
    if path is not None and not path.absolute().parent.is_dir():
        raise UsageError(f"the folder of the report {path} is not there", remedy="create it first")
    try:
        yield report
    finally:
        if path is not None:
            try:
                save_file(path, report.to_json(), f"the report {path.name}")
            except BioRetrievalError as error:
                tell(error.line())


def tell_outcome(done: str, outcome: BuildOutcome) -> None:
    """Report rejections, the number of documents now, and the duration."""
    manifest, report = outcome.manifest, outcome.report
    for rejected in report.rejections[:_LISTED]:
        where = f":{rejected.line}" if rejected.line is not None else ""
        if rejected.line is None and rejected.offset is not None:
            where = f": byte {rejected.offset:,}"
        tell(f"rejected {rejected.file}{where}: {rejected.reason}")
    if report.rejected > _LISTED:
        tell(f"rejected {report.rejected - _LISTED:,} more; --report FILE lists them")
    if not outcome.changed:
        tell(f"nothing to do: {report.line()}; {manifest.name} is unchanged")
        return
    speed = counted = ""
    if report.encoded:
        speed = f", {rate(manifest.docs_per_second)} documents/s on {manifest.device}"
    if report.encoded != manifest.documents:
        counted = f" ({report.encoded:,} of them encoded now)"
    tell(
        f"{done} {manifest.name}: {manifest.documents:,} documents{counted}"
        f" in {duration(manifest.seconds)}{speed}"
    )
    if report.kept != report.read or report.deleted or report.without_abstract:
        tell(report.line())


def settings_of(reader: str, mapping: str | None, strict: bool) -> ReadSettings:
    """Parse `--format`, `--map` and `--strict`. Raises UsageError for an invalid mapping."""
    from bioretrieval_tui.documents.source import ReadSettings

    columns: dict[str, str] = {}
    for part in (mapping or "").split(","):
        if not part.strip():
            continue
        field, equals, column = part.partition("=")
        if not (field.strip() and equals and column.strip()):
            raise UsageError(
                f"--map does not understand {part.strip()!r}",
                remedy="write --map title=Title,text=Abstract,id=PMID",
            )
        columns[field.strip()] = column.strip()
    return ReadSettings(None if reader == "auto" else reader, columns, strict)


@index.command()
@name_argument
@files_argument
@model_option(
    "--model",
    help_="Encode with this model (catalogue id, hub id or folder); default: the embedded one.",
)
@download_option
@device_option
@reading_options
@click.option(
    "--ids",
    type=click.Choice(["pmid"]),
    help="What the documents' ids are, so that hits link to their pages.",
)
@progress_options
def build(
    name: str,
    files: Sequence[Path],
    model: str | None,
    download: bool,
    device: str,
    reader: str,
    mapping: str | None,
    strict: bool,
    report: Path | None,
    ids: Literal["pmid"] | None,
    quiet: bool,
    progress: str,
) -> None:
    """Build the index NAME over corpus files.

    FILE is a file in a format of --format, also compressed with gzip, a folder of such files, a
    glob, or - for stdin; auto detects the format from the content. An existing index of that name
    stays in use until the new one is complete. The same call resumes an interrupted build, and no
    text is encoded twice.

    \b
    bioretrieval-tui index build mine pubmed26n0001.xml.gz
    bioretrieval-tui index build scifact datasets/scifact
    bioretrieval-tui index build notes export.csv --map title=Title,text=Abstract,id=PMID
    """
    from bioretrieval_tui.cli.model_choice import chosen_model, fetch_missing
    from bioretrieval_tui.encoding.device import check_name
    from bioretrieval_tui.encoding.embedded import MODEL_ID

    check_name(device)
    settings = settings_of(reader, mapping, strict)
    hub, recipe = chosen_model(model or MODEL_ID)
    from bioretrieval_tui.encoding.encoder_registry import load_encoder, prepare_query_encoder
    from bioretrieval_tui.index.build import build_index

    with narrated(quiet, progress) as reporter, reported(report) as counts:
        if hub != MODEL_ID:
            fetch_missing(hub, recipe, reporter, download=download)
        outcome = build_index(
            name,
            [str(path) for path in files],
            lambda: load_encoder(hub, recipe, device=device, reporter=reporter),
            settings=settings,
            reporter=reporter,
            ids=ids,
            report=counts,
        )
        prepare_query_encoder(hub, recipe, reporter=reporter)
    if not quiet:
        tell_outcome("built", outcome)


@index.command()
@name_argument
@files_argument
@device_option
@reading_options
@progress_options
def add(
    name: str,
    files: Sequence[Path],
    device: str,
    reader: str,
    mapping: str | None,
    strict: bool,
    report: Path | None,
    quiet: bool,
    progress: str,
) -> None:
    """Add corpus files to the index NAME.

    New records are added, changed ones replace those with the same id, and deletions that a file
    lists are carried out. Only new and changed records are encoded. The index stays in use as it
    was until the addition is complete.
    """
    from bioretrieval_tui.encoding.device import check_name

    check_name(device)
    settings = settings_of(reader, mapping, strict)
    from bioretrieval_tui.index.build import add_to_index, encoder_factory_of

    with narrated(quiet, progress) as reporter, reported(report) as counts:
        outcome = add_to_index(
            name,
            [str(path) for path in files],
            encoder_factory_of(device, reporter),
            settings=settings,
            reporter=reporter,
            report=counts,
        )
    if not quiet:
        tell_outcome("extended", outcome)


@index.command("import-vectors")
@name_argument
@click.option(
    "--vectors",
    multiple=True,
    required=True,
    metavar="FILE",
    type=PATH,
    help="Matrix of vectors (.npy), a row a document; repeatable, for several parts.",
)
@click.option(
    "--ids",
    "rows",
    multiple=True,
    required=True,
    metavar="FILE",
    type=PATH,
    help="Ids of the rows, as a JSON list or one a line; one file for each --vectors.",
)
@click.option(
    "--documents",
    multiple=True,
    required=True,
    metavar="FILE",
    help="The documents, in any format that `index build` reads.",
)
@model_option("--model", required=True, help_="Model of the catalogue that made the vectors.")
@reading_options
@progress_options
def import_vectors(
    name: str,
    vectors: Sequence[Path],
    rows: Sequence[Path],
    documents: Sequence[str],
    model: str,
    reader: str,
    mapping: str | None,
    strict: bool,
    report: Path | None,
    quiet: bool,
    progress: str,
) -> None:
    """Build the index NAME from published vectors.

    NCBI publishes those of MedCPT for all of PubMed; nothing is encoded, and no GPU is needed.

    \b
    bioretrieval-tui index import-vectors pubmed36 --model medcpt \\
      --vectors embeds_chunk_36.npy --ids pmids_chunk_36.json --documents pubmed_chunk_36.json
    """
    from bioretrieval_tui.cli.model_choice import model_of_catalogue
    from bioretrieval_tui.index import importing

    settings = settings_of(reader, mapping, strict)
    hub, recipe, dimension = model_of_catalogue(model)
    with narrated(quiet, progress) as reporter, reported(report) as counts:
        outcome = importing.import_vectors(
            name,
            vectors,
            rows,
            documents,
            hub,
            recipe,
            dimension=dimension,
            settings=settings,
            reporter=reporter,
            report=counts,
        )
    if not quiet:
        tell_outcome("imported", outcome)


@index.command()
@name_argument
@progress_options
@format_option(without=("bibtex",))
def verify(name: str, quiet: bool, progress: str, format_: Format) -> None:
    """Check every part of the index NAME, with a remedy for each fault.

    Checksums of all files, counts, vectors, and the recall of the HNSW graph against exact search.
    The exit code is 1 if there is a fault.
    """
    from bioretrieval_tui.index.verify import verify_index
    from bioretrieval_tui.render.sheet import Column, Sheet

    with narrated(quiet, progress) as reporter:
        found = verify_index(name, reporter)
    columns = (
        Column("what", "part", min_width=9),
        Column("ok", "state", min_width=5),
        Column("found", "found", weight=3),
        Column("remedy", "remedy", weight=2),
    )
    rows = tuple(
        (check.what, "ok" if check.ok else "fault", check.found, check.remedy)
        for check in found.checks
    )
    put_sheet(Sheet(f"Index {name}", columns, rows, tuple(map(asdict, found.checks))), format_)
    if not found.ok:
        faults = [check for check in found.checks if not check.ok]
        first = f"{faults[0].what}: {faults[0].found}"
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise BioRetrievalError(f"index {name}: {first}{more}", remedy=faults[0].remedy)


@index.command()
@name_argument
@progress_options
def compact(name: str, quiet: bool, progress: str) -> None:
    """Rewrite the index NAME without replaced and deleted documents.

    Nothing is encoded. The HNSW graph and the BM25 index are rebuilt, which also repairs an index
    in which only they are damaged.
    """
    from bioretrieval_tui.index.build import compact_index
    from bioretrieval_tui.index.registry import glance

    before = glance(name).bytes
    with narrated(quiet, progress) as reporter:
        outcome = compact_index(name, reporter=reporter)
    if not quiet:
        after = glance(name).bytes
        manifest = outcome.manifest
        tell(
            f"compacted {name}: {manifest.documents:,} documents in"
            f" {duration(manifest.seconds)}, {size(before)} before, {size(after)} now"
        )
