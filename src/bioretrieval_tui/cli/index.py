"""`index`: build, list, look at and remove indexes over the user's own texts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from bioretrieval_tui.cli.catalogue import complete_index, complete_model
from bioretrieval_tui.cli.narration import duration, narrated, rate, tell
from bioretrieval_tui.cli.output import format_option, put_sheet
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.errors import InterruptedByUser, ModelError, NotFoundError, UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.entries import Encoding
    from bioretrieval_tui.export.formats import Format
    from bioretrieval_tui.export.sheet import Cell, Sheet
    from bioretrieval_tui.index.registry import IndexInfo


@click.group(cls=NamedGroup, no_args_is_help=False)
def index() -> None:
    """Build, list and remove indexes over your own texts."""


@index.command()
@click.argument("name", shell_complete=complete_index)
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
@click.option(
    "--model",
    metavar="ID",
    shell_complete=complete_model,
    help="Encode with this model of the catalogue (its id or hub id); the embedded one if not"
    " said.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="DEVICE",
    help="auto, cpu, cuda, cuda:N or mps.",
)
@click.option(
    "--format",
    "reader",
    type=click.Choice(["auto", "beir"]),
    default="auto",
    show_default=True,
    help="How the files are written.",
)
@click.option(
    "--ids",
    type=click.Choice(["pmid"]),
    help="What the documents' ids are, so that hits link to their pages.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr while it works.")
def build(
    name: str,
    files: Sequence[Path],
    model: str | None,
    device: str,
    reader: str,  # noqa: ARG001 - one reader so far, and it knows its files
    ids: Literal["pmid"] | None,
    quiet: bool,
) -> None:
    """Build the index NAME over corpus files.

    FILE is a BEIR corpus (.jsonl or .jsonl.gz, one record a line with _id, title and text) or a
    folder that holds corpus.jsonl. An index of that name answers until the new one is complete,
    and stays if it does not get there.

    \b
    bioretrieval-tui index build scifact datasets/scifact
    bioretrieval-tui index build mine abstracts.jsonl.gz --ids pmid
    """
    from bioretrieval_tui.encoding.device import check_name

    check_name(device)
    chosen = _chosen_model(model)
    from bioretrieval_tui.encoding.encoder import load_encoder
    from bioretrieval_tui.index.build import build_index

    with narrated(quiet=quiet) as reporter:
        manifest = build_index(
            name,
            list(files),
            lambda: (
                load_encoder(device=device, reporter=reporter)
                if chosen is None
                else load_encoder(chosen[0], chosen[1], device=device, reporter=reporter)
            ),
            reporter=reporter,
            ids=ids,
        )
    if not quiet:
        tell(
            f"built {name}: {manifest.documents:,} documents in {duration(manifest.seconds)},"
            f" {rate(manifest.docs_per_second)} documents/s on {manifest.device}"
        )


def _chosen_model(model: str | None) -> tuple[str, Encoding | None] | None:
    """Hub id or folder, and recipe, of a model given by catalogue id, hub id or folder.

    None stands for the embedded model, whose recipe is its own.

    Raises:
        NotFoundError: there is no such model. ModelError: how it encodes is not known.
    """
    from bioretrieval_tui.encoding.embedded import MODEL_ID

    if model is None or model == MODEL_ID:
        return None
    from bioretrieval_tui.catalog.entries import Model
    from bioretrieval_tui.cli.catalogue import catalogue, entry_of_kind

    found = catalogue()
    entry = next((one for one in found.of_type(Model) if model in one.hub), None)
    if entry is None and model not in found.by_id and Path(model).expanduser().is_dir():
        return model, None
    if entry is None:
        named = entry_of_kind(found, model, "models")
        if not isinstance(named, Model):
            raise NotFoundError(f"'{model}' is no model")
        entry = named
    if MODEL_ID in entry.hub:
        return None
    sides = entry.encoding and (entry.encoding.document or entry.encoding.query)
    hub = (sides.model if sides else None) or next(iter(entry.hub), None)
    if entry.encoding is None or hub is None:
        raise ModelError(
            f"how '{entry.id}' encodes is not known", remedy="leave --model out, or add its recipe"
        )
    return hub, entry.encoding


@index.command("list")
@format_option(without=("bibtex",))
def list_(format_: Format) -> None:
    """List the indexes of this machine."""
    from bioretrieval_tui.index.registry import list_indexes

    found = list_indexes()
    put_sheet(index_sheet(found), format_)
    if not found:
        tell("there is no index yet; make one with: bioretrieval-tui index build NAME FILE...")


@index.command()
@click.argument("name", shell_complete=complete_index)
@format_option(without=("bibtex",))
def info(name: str, format_: Format) -> None:
    """Tell about one index, after comparing each of its files with its checksum."""
    from bioretrieval_tui.cli.output import put
    from bioretrieval_tui.export.jsontext import object_text
    from bioretrieval_tui.index import registry

    found = registry.info(name)
    if format_ == "json":
        put([object_text(asdict(found))])
    elif format_ in ("table", "markdown"):
        put_sheet(_facts(found), format_)
    else:
        put_sheet(index_sheet([found]), format_)


@index.command()
@click.argument("name", shell_complete=complete_index)
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(name: str, yes: bool) -> None:
    """Remove an index. The files that it was built from stay."""
    from bioretrieval_tui.index.registry import index_names, remove_index

    if not yes and name in index_names():
        if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(
                f"whether to remove the index {name} cannot be asked here", remedy="add --yes"
            )
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


def index_sheet(found: Sequence[IndexInfo]) -> Sheet:
    """Indexes as rows."""
    from bioretrieval_tui.export.sheet import Column, Sheet

    return Sheet(
        title="Indexes",
        columns=(
            Column("name", "name", weight=2, min_width=8),
            Column("documents", "documents", "right"),
            Column("model", "model", weight=2, min_width=12),
            Column("dimension", "dim", "right"),
            Column("bytes", "size", "right"),
            Column("built", "built", min_width=10),
            Column("status", "status", weight=3, min_width=6),
            Column("dtype", "dtype", data_only=True),
            Column("device", "device", data_only=True),
            Column("docs_per_second", "docs/s", data_only=True),
        ),
        rows=tuple(_row(one) for one in found),
        records=tuple(asdict(one) for one in found),
    )


def _row(one: IndexInfo) -> tuple[Cell, ...]:
    from bioretrieval_tui.export.entries import grouped
    from bioretrieval_tui.export.sheet import Figure

    return (
        one.name,
        grouped(one.documents),
        one.model,
        one.dimension,
        Figure(one.bytes, size(one.bytes)),
        one.built,
        one.status,
        one.dtype,
        one.device,
        one.docs_per_second,
    )


def _facts(one: IndexInfo) -> Sheet:
    """One index as names and values."""
    from bioretrieval_tui.export.sheet import Column, Sheet

    shown = asdict(one)
    shown["documents"] = None if one.documents is None else f"{one.documents:,}"
    shown["bytes"] = size(one.bytes)
    return Sheet(
        title=f"Index {one.name}",
        columns=(Column("field", "field", min_width=15), Column("value", "value", weight=4)),
        rows=tuple((key.replace("_", " "), value) for key, value in shown.items()),
        records=(),
    )


def size(count: int) -> str:
    """Bytes as one says them: 512 B, 8.1 MB, 1.7 GB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
