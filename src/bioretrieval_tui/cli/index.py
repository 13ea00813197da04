"""`index`: build, extend, import, check, compact, list, look at and remove indexes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from bioretrieval_tui.cli.lookups import complete_index, complete_model
from bioretrieval_tui.cli.model_choice import chosen_model, whose_vectors
from bioretrieval_tui.cli.narration import duration, narrated, rate, size, tell
from bioretrieval_tui.cli.printing import format_option, put_sheet
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.documents.detect import FORMATS
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser, UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.documents.source import ReadSettings
    from bioretrieval_tui.index.build import BuildOutcome
    from bioretrieval_tui.index.report import Report
    from bioretrieval_tui.render.formats import Format


_FORMAT_NAMES = ("auto", *(each.name for each in FORMATS))
_TOLD = 5
"""Rejected records that are told on stderr; the report has them all."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


def options(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """Several options as one decorator, in the order of the help."""

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


name_argument = click.argument("name", shell_complete=complete_index)
files_argument = click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
reading_options = options(
    click.option(
        "--format",
        "reader",
        type=click.Choice(_FORMAT_NAMES),
        default="auto",
        show_default=True,
        metavar="FORMAT",
        help=f"Format of the files: {', '.join(_FORMAT_NAMES)}.",
    ),
    click.option(
        "--map",
        "mapping",
        metavar="FIELD=COLUMN,...",
        help="Which columns of a table are which fields: title=Title,text=Abstract,id=PMID.",
    ),
    click.option("--strict", is_flag=True, help="Stop at the first record that is rejected."),
    click.option(
        "--report",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write what became of every record, as JSON.",
    ),
)
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="DEVICE",
    help="auto, cpu, cuda, cuda:N, several as cuda:0,cuda:1, or mps.",
)
telling_options = options(
    click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr while it works."),
    click.option(
        "--progress",
        type=click.Choice(["auto", "json"]),
        default="auto",
        show_default=True,
        help="How progress is told on stderr; json is one object a line.",
    ),
)
ids_option = click.option(
    "--ids",
    type=click.Choice(["pmid"]),
    help="What the documents' ids are, so that hits link to their pages.",
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
        tell("there is no index yet; make one with: bioretrieval-tui index build NAME FILE...")


@index.command()
@name_argument
@format_option(without=("bibtex",))
def info(name: str, format_: Format) -> None:
    """Tell about one index, after comparing each of its files with its checksum."""
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
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str, yes: bool) -> None:
    """Remove an index. The files that it was built from stay."""
    from bioretrieval_tui.index.registry import index_names, remove_index

    if not yes and name in index_names():
        if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(f"no terminal to confirm removing {name} on", remedy="add --yes")
        if not _agreed(f"Remove the index {name}?"):
            raise InterruptedByUser(f"the index {name} stays")
    freed = remove_index(name)
    tell(f"removed {name}, {size(freed)}")


def _agreed(question: str) -> bool:
    try:
        return bool(click.confirm(question, err=True))
    except click.Abort:
        click.echo(err=True)
        raise


@contextlib.contextmanager
def reported(path: Path | None) -> Iterator[Report]:
    """The report of a build, written to `path` at the end, also when the build fails.

    Raises:
        UsageError: the folder of `path` is not there.
    """
    from bioretrieval_tui.index.report import Report
    from bioretrieval_tui.paths import write_atomically

    report = Report()
    if path is not None and not path.absolute().parent.is_dir():
        raise UsageError(f"the folder of the report {path} is not there", remedy="make it first")
    try:
        yield report
    finally:
        if path is not None:
            try:
                write_atomically(path, report.to_json())
            except OSError as error:
                tell(f"the report {path} cannot be written: {error.strerror or error}")


def tell_outcome(done: str, outcome: BuildOutcome) -> None:
    """Say what was rejected, how many documents there are now, and how long it took."""
    manifest, report = outcome.manifest, outcome.report
    for rejected in report.rejections[:_TOLD]:
        where = f":{rejected.line}" if rejected.line is not None else ""
        if rejected.line is None and rejected.offset is not None:
            where = f": byte {rejected.offset:,}"
        tell(f"rejected {rejected.file}{where}: {rejected.reason}")
    if report.rejected > _TOLD:
        tell(f"rejected {report.rejected - _TOLD:,} more; --report FILE lists them")
    if not outcome.changed:
        tell(f"nothing to do: {report.line()}; {manifest.name} is as it was")
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
    """What `--format`, `--map` and `--strict` ask for. Raises UsageError for a mapping that is
    none."""
    from bioretrieval_tui.documents.source import ReadOptions, ReadSettings

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
    return ReadSettings(None if reader == "auto" else reader, ReadOptions(columns), strict)


@index.command()
@name_argument
@files_argument
@click.option(
    "--model",
    metavar="ID",
    shell_complete=complete_model,
    help="Encode with this model of the catalogue (its id or hub id); the embedded one if not"
    " said.",
)
@click.option("--download", is_flag=True, help="Fetch what the model lacks; its licence is told.")
@device_option
@reading_options
@ids_option
@telling_options
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

    FILE is a file of any format that --format lists, packed with gzip or not, a folder of such
    files, a glob, or - for stdin; what a file is written in is seen from its content. An index of
    that name answers until the new one is complete. A build that is cut short goes on where its
    vectors end when it is started again, and what was encoded once is not encoded again.

    \b
    bioretrieval-tui index build mine pubmed26n0001.xml.gz
    bioretrieval-tui index build scifact datasets/scifact
    bioretrieval-tui index build notes export.csv --map title=Title,text=Abstract,id=PMID
    """
    from bioretrieval_tui.encoding.device import check_name

    check_name(device)
    settings = settings_of(reader, mapping, strict)
    chosen = chosen_model(model)
    from bioretrieval_tui.cli.model_choice import fetch_missing
    from bioretrieval_tui.encoding.embedded import MODEL_ID
    from bioretrieval_tui.encoding.encoder_registry import load_encoder, prepare_query_encoder
    from bioretrieval_tui.index.build import build_index

    hub, recipe = chosen if chosen is not None else (MODEL_ID, None)
    with (
        narrated(quiet=quiet, json_lines=progress == "json") as reporter,
        reported(report) as counts,
    ):
        if chosen is not None:
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
@telling_options
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

    New records come in, changed ones replace what had their id, and deletions that a file names
    are followed. Only what is new or changed is encoded. The index answers as it was until the
    addition is complete.
    """
    from bioretrieval_tui.encoding.device import check_name

    check_name(device)
    settings = settings_of(reader, mapping, strict)
    from bioretrieval_tui.index.build import add_to_index, encoder_factory_of

    with (
        narrated(quiet=quiet, json_lines=progress == "json") as reporter,
        reported(report) as counts,
    ):
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
    type=click.Path(path_type=Path),
    help="A matrix of vectors (.npy), one row a document; give it again for more chunks.",
)
@click.option(
    "--ids",
    "rows",
    multiple=True,
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The ids of its rows, as a JSON list or one a line; one for each --vectors.",
)
@click.option(
    "--documents",
    multiple=True,
    required=True,
    metavar="FILE",
    help="The documents, in any format that `index build` reads.",
)
@click.option(
    "--model",
    required=True,
    metavar="ID",
    shell_complete=complete_model,
    help="The model of the catalogue that made the vectors.",
)
@reading_options
@telling_options
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
    """Build the index NAME from vectors that others have computed.

    NCBI publishes those of MedCPT for all of PubMed; nothing is encoded here and no card is
    needed.

    \b
    bioretrieval-tui index import-vectors pubmed36 --model medcpt \\
      --vectors embeds_chunk_36.npy --ids pmids_chunk_36.json --documents pubmed_chunk_36.json
    """
    settings = settings_of(reader, mapping, strict)
    hub, recipe, dimension = whose_vectors(model)
    from bioretrieval_tui.index import importing

    with (
        narrated(quiet=quiet, json_lines=progress == "json") as reporter,
        reported(report) as counts,
    ):
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
@telling_options
@format_option(without=("bibtex",))
def verify(name: str, quiet: bool, progress: str, format_: Format) -> None:
    """Check every part of the index NAME, and say how to mend what is wrong.

    Checksums of all files, counts that must agree, the vectors, and how many of the truly nearest
    documents the graph finds. The exit code is 1 if anything is wrong.
    """
    from dataclasses import asdict

    from bioretrieval_tui.index.verify import verify_index
    from bioretrieval_tui.render.sheet import Column, Sheet

    with narrated(quiet=quiet, json_lines=progress == "json") as reporter:
        found = verify_index(name, reporter)
    put_sheet(
        Sheet(
            title=f"Index {name}",
            columns=(
                Column("what", "part", min_width=9),
                Column("ok", "state", min_width=5),
                Column("found", "found", weight=3),
                Column("remedy", "remedy", weight=2),
            ),
            rows=tuple(
                (check.what, "ok" if check.ok else "fault", check.found, check.remedy)
                for check in found.checks
            ),
            records=tuple(asdict(check) for check in found.checks),
        ),
        format_,
    )
    if not found.ok:
        faults = [check for check in found.checks if not check.ok]
        first = f"{faults[0].what}: {faults[0].found}"
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise BioRetrievalError(f"index {name}: {first}{more}", remedy=faults[0].remedy)


@index.command()
@name_argument
@telling_options
def compact(name: str, quiet: bool, progress: str) -> None:
    """Write the index NAME anew without what was replaced or deleted.

    Nothing is encoded. The graph and the lexical index are made again, which also mends an index
    in which only they are damaged.
    """
    from bioretrieval_tui.index.build import compact_index
    from bioretrieval_tui.index.registry import glance

    before = glance(name).bytes
    with narrated(quiet=quiet, json_lines=progress == "json") as reporter:
        outcome = compact_index(name, reporter=reporter)
    if not quiet:
        after = glance(name).bytes
        manifest = outcome.manifest
        tell(
            f"compacted {name}: {manifest.documents:,} documents in"
            f" {duration(manifest.seconds)}, {size(before)} before, {size(after)} now"
        )
