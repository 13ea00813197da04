"""`list`: entries of the catalogue, filtered, ordered, in any format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.catalogue import (
    catalogue,
    complete_field,
    complete_kind,
    kind_section,
)
from bioretrieval_tui.cli.narration import tell
from bioretrieval_tui.cli.output import format_option, put_sheet

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.models import AnyEntry
    from bioretrieval_tui.render.formats import Format


@click.command("list")
@click.argument("kind", required=False, shell_complete=complete_kind)
@click.option(
    "-w",
    "--where",
    "conditions",
    metavar="FILTER",
    multiple=True,
    help='Keep what fits: words, "a phrase", field:value, params<=500M, year:2020..2024,'
    " -word, OR, parentheses. Given again, both must fit.",
)
@click.option(
    "-s", "--sort", metavar="FIELD", shell_complete=complete_field, help="Order by a field."
)
@click.option("-r", "--reverse", is_flag=True, help="Reverse the order.")
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="LIMIT", help="At most so many.")
@format_option()
def list_entries(
    kind: str | None,
    conditions: Sequence[str],
    sort: str | None,
    reverse: bool,
    limit: int | None,
    format_: Format,
) -> None:
    """List entries of the catalogue.

    KIND is papers, models, datasets, benchmarks, recipes, timeline or path; without it, all.

    \b
    bioretrieval-tui list models -w 'params<=500M licence:mit' -s params
    bioretrieval-tui list papers -w 'hard negatives' -f bibtex > references.bib
    bioretrieval-tui list benchmarks -f json | jq -r '.[].id'
    """
    section = None if kind is None else kind_section(kind)
    if sort is not None:
        from bioretrieval_tui.catalog.fields import field_name

        sort = field_name(sort)
    found = catalogue()
    entries: Sequence[AnyEntry] = found.entries if section is None else found.section(section)
    if conditions:
        from bioretrieval_tui.catalog.fields import filtered

        for condition in conditions:
            entries = filtered(entries, condition, found)
    if sort is not None:
        from bioretrieval_tui.catalog.fields import ordered

        entries = ordered(entries, sort, found, reverse=reverse)
    elif reverse:
        entries = entries[::-1]
    if limit is not None:
        entries = entries[:limit]

    from bioretrieval_tui.catalog.catalogue import kind_of_section
    from bioretrieval_tui.render.entries import entry_sheet

    singular = None if section is None else kind_of_section(section)
    sheet = entry_sheet(entries, found, kind=singular)
    put_sheet(sheet, format_)
    if conditions and not entries:
        tell("nothing fits the filter")
    elif format_ == "bibtex" and not sheet.citations:
        tell("nothing here is a work to cite")
