"""`index`: list, look at and remove indexes; `indexing` has the verbs that make them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.catalogue import complete_index
from bioretrieval_tui.cli.indexing import add, build, import_vectors
from bioretrieval_tui.cli.narration import size, tell
from bioretrieval_tui.cli.output import format_option, put_sheet
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.cli.upkeep import compact, verify
from bioretrieval_tui.errors import InterruptedByUser, UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.index.registry import IndexInfo
    from bioretrieval_tui.render.formats import Format
    from bioretrieval_tui.render.sheet import Cell, Sheet


@click.group(cls=NamedGroup, no_args_is_help=False)
def index() -> None:
    """Build, extend, check and remove indexes over your own texts."""


for made in (build, add, verify, compact, import_vectors):
    index.add_command(made)


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
    from bioretrieval_tui.index import registry
    from bioretrieval_tui.render.formats import object_text

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
    from bioretrieval_tui.render.sheet import Column, Sheet

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
            Column("dead_share", "dead", data_only=True),
            Column("aliases", "aliases", data_only=True),
            Column("segments", "segments", data_only=True),
            Column("recall", "recall", data_only=True),
            Column("fields", "fields", data_only=True),
        ),
        rows=tuple(_row(one) for one in found),
        records=tuple(asdict(one) for one in found),
    )


def _row(one: IndexInfo) -> tuple[Cell, ...]:
    from bioretrieval_tui.render.entries import grouped
    from bioretrieval_tui.render.sheet import Figure

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
        one.dead_share,
        one.aliases,
        one.segments,
        one.recall,
        _named(one),
    )


def _named(one: IndexInfo) -> str | None:
    """What a filter of the index may name."""
    return None if one.fields is None else ", ".join(one.fields)


def _facts(one: IndexInfo) -> Sheet:
    """One index as names and values."""
    from bioretrieval_tui.render.sheet import Column, Sheet

    shown = asdict(one)
    shown["documents"] = None if one.documents is None else f"{one.documents:,}"
    shown["bytes"] = size(one.bytes)
    shown["fields"] = _named(one)
    shown["dead_share"] = None if one.dead_share is None else f"{one.dead_share:.1%}"
    return Sheet(
        title=f"Index {one.name}",
        columns=(Column("field", "field", min_width=15), Column("value", "value", weight=4)),
        rows=tuple((key.replace("_", " "), value) for key, value in shown.items()),
        records=(),
    )
