"""What the verbs that read corpora share: their options, the report, what is told at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bioretrieval_tui.cli.narration import duration, narrated, rate, tell
from bioretrieval_tui.errors import UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.documents.source import ReadSettings
    from bioretrieval_tui.index.build import Outcome, Reading
    from bioretrieval_tui.progress import Reporter

FORMATS = (
    "auto",
    "beir",
    "pubmed-xml",
    "medline",
    "ris",
    "wos",
    "medrag",
    "jats",
    "europepmc",
    "medcpt-chunk",
    "csv",
    "tsv",
    "parquet",
)
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


files_argument = click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
reading_options = options(
    click.option(
        "--format",
        "reader",
        type=click.Choice(FORMATS),
        default="auto",
        show_default=True,
        metavar="FORMAT",
        help=f"How the files are written: {', '.join(FORMATS)}.",
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


@contextlib.contextmanager
def told(quiet: bool, progress: str) -> Iterator[Reporter]:
    """Who tells the progress on stderr, as `telling_options` say."""
    with narrated(quiet=quiet, json_lines=progress == "json") as reporter:
        yield reporter


@contextlib.contextmanager
def reported(path: Path | None) -> Iterator[Reading]:
    """What is read, written to `path` at the end, however that comes.

    Raises:
        UsageError: the folder of `path` is not there.
    """
    from bioretrieval_tui.index.build import Reading
    from bioretrieval_tui.paths import write_atomically

    reading = Reading()
    if path is not None and not path.absolute().parent.is_dir():
        raise UsageError(f"the folder of the report {path} is not there", remedy="make it first")
    try:
        yield reading
    finally:
        if path is not None:
            try:
                write_atomically(path, reading.report.to_json())
            except OSError as error:
                tell(f"the report {path} cannot be written: {error.strerror or error}")


def tell_outcome(done: str, outcome: Outcome) -> None:
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
