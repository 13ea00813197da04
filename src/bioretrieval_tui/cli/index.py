"""`index`: list, look at and remove indexes; `indexing` has the verbs that make them."""

from __future__ import annotations

import sys
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
    from bioretrieval_tui.render.formats import Format


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
    from bioretrieval_tui.render.indexes import index_sheet

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
    from bioretrieval_tui.render.indexes import facts_sheet, index_page, index_sheet

    found = registry.info(name)
    if format_ == "json":
        put([object_text(asdict(found))])
    elif format_ in ("table", "markdown"):
        put_sheet(facts_sheet(index_page(found)), format_)
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
