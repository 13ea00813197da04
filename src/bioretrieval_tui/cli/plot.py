"""`plot`: figures of the catalogue and of the user's runs, in the terminal or as a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import click
from click.core import ParameterSource

from bioretrieval_tui.catalog.fields import filtered
from bioretrieval_tui.catalog.matrix import MatrixView, ScoreTable
from bioretrieval_tui.catalog.models import AnyEntry, Model
from bioretrieval_tui.cli import options
from bioretrieval_tui.cli.lookups import catalogue, with_board
from bioretrieval_tui.cli.options import option
from bioretrieval_tui.cli.streams import put_drawing, put_sheet, tell
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.render.catalogue_figures import FigureWish, make_figure
from bioretrieval_tui.render.figures import AXES, KINDS, Figure, figure_sheet
from bioretrieval_tui.render.formats import Format
from bioretrieval_tui.util.formatting import did_you_mean


@click.command()
@click.argument("kind", shell_complete=options.completes(lambda: KINDS))
@click.argument("model", metavar="[MODEL]", required=False, shell_complete=options.complete_model)
@option(
    "-b --benchmark ID",
    "Benchmark, subset as curev1:fr, or the members of a suite; several: their mean, a line each in"
    " history. Repeatable (default: NFCorpus, SciFact, SCIDOCS, TREC-COVID; in a profile: all).",
    name="benchmarks",
    multiple=True,
    shell_complete=options.complete_benchmark,
)
@option(
    "--against FIELD",
    "The x axis of pareto.",
    type=click.Choice(list(AXES)),
    default="params",
)
@options.which_scores
@option(
    "-o --output FILE",
    "Write .svg, .png, .txt, .md, .csv, .json, .jsonl or .tex.",
    type=options.PATH,
)
@options.format_
@click.pass_context
def plot(
    context: click.Context,
    kind: str,
    model: str | None,
    benchmarks: Sequence[str],
    against: str,
    conditions: Sequence[str],
    zero_shot: bool,
    measured: bool,
    output: Path | None,
    format_: Format,
) -> None:
    """Plot quality, history, a model's ranks, the timeline, your runs.

    \b
    pareto         scores against parameters, dimension, release date or memory; Pareto front
    history        the best score of each benchmark over time
    profile MODEL  the rank of a model in each benchmark
    timeline       the milestones of the field, and which models were trained from which
    runs           your runs (`eval`): quality against documents encoded a second

    Drawn with characters on a terminal; the data as a table in a pipe, or with -f.

    \b
    bioretrieval-tui plot pareto -b scifact --against memory
    bioretrieval-tui plot history -b nfcorpus -b trec-covid -o history.svg
    bioretrieval-tui plot profile medcpt -f csv
    bioretrieval-tui plot timeline -o evolution.png
    """
    if kind not in KINDS:
        remedy = did_you_mean(kind.casefold(), KINDS, f"kinds: {', '.join(KINDS)}", cutoff=0.5)
        raise UsageError(f"there is no kind of plot '{kind}'", remedy=remedy)
    if (kind == "profile") != (model is not None):
        if model is None:
            raise UsageError("profile needs a model", remedy="as in: plot profile medcpt")
        raise UsageError(f"{kind} takes no model", remedy="filter models with -w")
    if output is not None:
        from bioretrieval_tui.render.picture_files import check_extension

        check_extension(output)  # before any work
    asked = context.get_parameter_source("format_") is not ParameterSource.DEFAULT
    if output is not None and asked:
        raise UsageError("-f and -o exclude each other", remedy="the extension sets the format")
    view = MatrixView(columns=tuple(benchmarks), zero_shot=zero_shot, measured=measured)
    figure = _figure(kind, model, view, against, conditions)
    if output is not None:
        from bioretrieval_tui.render.picture_files import write_figure

        tell(f"wrote {write_figure(output, figure)}")
    elif asked or not sys.stdout.isatty():
        put_sheet(figure_sheet(figure), format_)
        for note in figure.notes:
            tell(note)
    else:
        put_drawing(partial(_drawn, figure.drawn))


def _figure(
    kind: str,
    model: str | None,
    view: MatrixView,
    against: str,
    conditions: Sequence[str],
) -> Figure:
    found = catalogue()
    if kind not in ("runs", "timeline"):
        found = with_board(found)
    models: Sequence[AnyEntry] = found.models
    for condition in conditions:
        models = filtered(models, condition, found)
    wish = FigureWish(
        kind=kind,  # type: ignore[arg-type]  # checked by the caller
        against=against,
        view=view,
        model=found.entry_of(model, Model).id if model else None,
        models={one.id for one in models} if conditions else None,
    )
    if kind != "runs":
        return make_figure(ScoreTable(found), wish)
    from bioretrieval_tui.evaluation.records import records

    return make_figure(ScoreTable(found), wish, records(tell))


def _drawn(figure: Figure, width: int, height: int | None, colour: bool) -> Iterator[str]:
    """A figure drawn with characters, its fronts in words below."""
    from bioretrieval_tui.render.plot_text import draw, fitting_height, front_lines, text_of
    from bioretrieval_tui.render.sheet import one_line
    from bioretrieval_tui.render.terminal_text import paragraph

    below = [line for part in front_lines(figure) for line in paragraph(part, width)]
    # Not higher than is readable at this width; the next prompt takes a row too.
    rows = max(16, min((height or 24) - len(below) - 2, width // 2))
    yield from paragraph(one_line(figure.title), width)
    yield from text_of(draw(figure, width, fitting_height(figure, rows)), colour=colour)
    yield from below
