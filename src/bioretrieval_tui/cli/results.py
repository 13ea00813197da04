"""`results`: published figures, grouped so that only like stands beside like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.catalogue import (
    catalogue,
    complete_benchmark,
    complete_model,
    entry_of_kind,
)
from bioretrieval_tui.cli.narration import tell
from bioretrieval_tui.cli.output import format_option, put_sheet

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.catalogue import Catalogue
    from bioretrieval_tui.catalog.models import Result
    from bioretrieval_tui.render.formats import Format


@click.command()
@click.option(
    "-b",
    "--benchmark",
    "benchmarks",
    metavar="ID",
    multiple=True,
    shell_complete=complete_benchmark,
    help="Only this benchmark, or the members of this suite. May be given again.",
)
@click.option(
    "-m",
    "--model",
    "models",
    metavar="ID",
    multiple=True,
    shell_complete=complete_model,
    help="Only this model. May be given again.",
)
@click.option("--zero-shot", is_flag=True, help="Only figures known to be zero-shot.")
@click.option("--own", is_flag=True, help="Also what `eval` measured on this machine.")
@format_option(without=("bibtex",))
def results(
    benchmarks: Sequence[str], models: Sequence[str], zero_shot: bool, own: bool, format_: Format
) -> None:
    """List published figures.

    Figures stand together by benchmark, measure and subset, best first; those that must not be
    compared come behind.

    \b
    bioretrieval-tui results -b nfcorpus -b scifact --zero-shot
    bioretrieval-tui results -m medcpt -f csv
    """
    from bioretrieval_tui.render.entries import result_sheet

    found = catalogue()
    wanted_models = {entry_of_kind(found, name, "models").id for name in models}
    wanted = {one for name in benchmarks for one in _with_members(found, name)}
    figures, names = list(found.results), found.names
    if own:
        more, named = _own(found)
        figures, names = [*figures, *more], {**names, **named}
    kept = [
        result
        for result in figures
        if (not models or result.model.partition("+")[0] in wanted_models)
        and (not benchmarks or result.benchmark in wanted)
        and (not zero_shot or result.zero_shot is True)
    ]
    put_sheet(result_sheet(_in_groups(kept), names), format_)
    if not kept:
        tell("no published figure fits")


def _own(found: Catalogue) -> tuple[list[Result], dict[str, str]]:
    from bioretrieval_tui.evaluation.records import records
    from bioretrieval_tui.render.evaluations import own_results

    return own_results(records(tell), found)


def _with_members(found: Catalogue, name: str) -> list[str]:
    """A benchmark and, where it is a suite, its members."""
    entry = entry_of_kind(found, name, "benchmarks")
    return [entry.id, *getattr(entry, "members", ())]


def _in_groups(found: Sequence[Result]) -> list[Result]:
    """Benchmarks in the order of their first figure; within one, measure, subset, value."""
    place: dict[str, int] = {}
    for result in found:
        place.setdefault(result.benchmark, len(place))
    return sorted(
        found,
        key=lambda r: (
            place[r.benchmark],
            r.metric,
            r.subset or "",
            not r.comparable,
            -r.value,
        ),
    )
