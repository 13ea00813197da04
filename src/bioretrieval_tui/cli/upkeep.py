"""`index verify` and `compact`: what checks indexes and tidies them up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.catalogue import complete_index
from bioretrieval_tui.cli.intake import telling_options, told
from bioretrieval_tui.cli.narration import duration, size, tell
from bioretrieval_tui.cli.output import format_option, put_sheet
from bioretrieval_tui.errors import BioRetrievalError

if TYPE_CHECKING:
    from bioretrieval_tui.render.formats import Format


@click.command()
@click.argument("name", shell_complete=complete_index)
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

    with told(quiet, progress) as reporter:
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


@click.command()
@click.argument("name", shell_complete=complete_index)
@telling_options
def compact(name: str, quiet: bool, progress: str) -> None:
    """Write the index NAME anew without what was replaced or deleted.

    Nothing is encoded. The graph and the lexical index are made again, which also mends an index
    in which only they are damaged.
    """
    from bioretrieval_tui.index.build import compact_index
    from bioretrieval_tui.index.registry import glance

    before = glance(name).bytes
    with told(quiet, progress) as reporter:
        outcome = compact_index(name, reporter=reporter)
    if not quiet:
        after = glance(name).bytes
        manifest = outcome.manifest
        tell(
            f"compacted {name}: {manifest.documents:,} documents in"
            f" {duration(manifest.seconds)}, {size(before)} before, {size(after)} now"
        )
