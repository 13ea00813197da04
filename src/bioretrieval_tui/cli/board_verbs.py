"""`results` and `compare`: published results, and entries side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import click
from msgspec import structs

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.fields import filtered
from bioretrieval_tui.catalog.matrix import FACTS, RANKINGS, MatrixRow, MatrixView, ScoreTable
from bioretrieval_tui.catalog.models import AnyEntry, Benchmark, Model, Recipe, Result
from bioretrieval_tui.cli import options
from bioretrieval_tui.cli.lookups import catalogue, with_board
from bioretrieval_tui.cli.options import option
from bioretrieval_tui.cli.streams import put_sheet, tell
from bioretrieval_tui.errors import NotFoundError, UsageError
from bioretrieval_tui.render.comparison import (
    Compared,
    check_count,
    compare,
    comparison_sheet,
    runs_of_one_benchmark,
)
from bioretrieval_tui.render.entries import result_sheet
from bioretrieval_tui.render.formats import Format
from bioretrieval_tui.render.rankings import (
    LEGEND,
    hidden_words,
    matrix_sheet,
    missing_words,
    ranked_by,
)

if TYPE_CHECKING:
    from bioretrieval_tui.render.evaluations import OwnRun


@click.command()
@option(
    "-b --benchmark ID",
    "Only this benchmark, or the members of this suite; also a folder of your runs. Repeatable.",
    name="benchmarks",
    multiple=True,
    shell_complete=options.complete_benchmark,
)
@options.model("-m --model", "Only this model. Repeatable.", name="models", multiple=True)
@options.which_scores
@option("--own", "Include your own runs (`eval`).")
@option("--wide", "A row a model, a column a benchmark, ranked.")
@option(
    "--columns ID,ID...",
    "With --wide: these benchmarks, in this order; curev1:fr is a subset. They rank.",
)
@option(
    "--rank WAY",
    f"With --wide: {', '.join(RANKINGS)}.",
    name="ranking",
    type=click.Choice(RANKINGS),
    default="mean",
)
@option("--complete", "With --wide: only models with a result in each column that ranks.")
@option(
    "-s --sort COLUMN",
    f"With --wide: rank, model, results, {', '.join(FACTS)} or a column.",
    default="rank",
)
@option("-r --reverse", "With --wide: worst first.")
@option("-n --limit LIMIT", "At most this many rows.", type=options.POSITIVE)
@options.ranked_format
def results(
    benchmarks: Sequence[str],
    models: Sequence[str],
    conditions: Sequence[str],
    zero_shot: bool,
    measured: bool,
    own: bool,
    wide: bool,
    columns: str | None,
    ranking: str,
    complete: bool,
    sort: str,
    reverse: bool,
    limit: int | None,
    format_: Format,
) -> None:
    """List published results, or rank models by them.

    The list is grouped by benchmark, measure and subset, best first; results that are not
    comparable come last. --wide ranks models over the columns: by the mean of their scores, by
    their mean rank, or by Borda count (points for each model that scores lower; a missing score
    earns none).

    \b
    bioretrieval-tui results -b nfcorpus -b scifact --zero-shot
    bioretrieval-tui results --columns curev1:fr -w 'params<=150M licence:apache' -n 5
    bioretrieval-tui results --columns nfcorpus,scifact -m medcpt -m bge-m3 -f latex
    """
    if columns is not None and not columns.strip(" ,"):
        raise UsageError(
            "--columns names no benchmark", remedy="as in: --columns nfcorpus,curev1:fr"
        )
    wide = wide or columns is not None
    if benchmarks and columns:
        raise UsageError("-b and --columns exclude each other", remedy="use one of them")
    if not wide and (complete or reverse or ranking != "mean" or sort != "rank"):
        raise UsageError("--rank, --complete, -s and -r are for --wide", remedy="add --wide")
    found = catalogue()
    asked = tuple(columns.split(",")) if columns else tuple(benchmarks)
    runs = _own_runs(found, asked, every=own)
    own_names = {run.axis.benchmark for run in runs if run.is_own}
    wanted: set[str] = set()
    subsets: dict[str, set[str]] = defaultdict(set)
    for name in benchmarks:
        written, _, part = name.partition(":")
        benchmark = written.strip().casefold()
        if benchmark in own_names:
            wanted.add(benchmark)
        else:
            suite = found.entry_of(written, Benchmark)
            benchmark = suite.id
            wanted |= {suite.id, *suite.members}
        if part:
            subsets[benchmark].add(part.casefold())
    # The filter may ask for facts that depend on all scores.
    found = with_board(found, None if conditions or wide else wanted or None)
    kept = _models(found, models, conditions)
    words = () if models else conditions
    if wide:
        view = MatrixView(
            columns=asked,
            ranking=next(one for one in RANKINGS if one == ranking),
            complete=complete,
            zero_shot=zero_shot,
            measured=measured,
            sort=sort,
            reverse=reverse,
        )
        _put_matrix(found, view, kept, words, runs, limit, format_)
        return
    scores, names = [one for one in found.results if _is_asked(one, kept)], found.names
    if runs:
        from bioretrieval_tui.render.evaluations import own_results

        more, named = own_results(run for run in runs if run.fits(kept, *words))
        scores, names = [*scores, *more], {**names, **named}
    shown = [
        result
        for result in scores
        if (not benchmarks or result.benchmark in wanted)
        and (
            result.benchmark not in subsets
            or (result.subset or "").casefold() in subsets[result.benchmark]
        )
        and (not zero_shot or result.zero_shot is True)
        and (not measured or result.kind != "self-reported")
    ]
    # By benchmark in the order of first results, then measure, subset, comparability and score.
    place = {name: at for at, name in enumerate(dict.fromkeys(one.benchmark for one in shown))}
    shown.sort(
        key=lambda r: (place[r.benchmark], r.metric, r.subset or "", not r.comparable, -r.value)
    )
    put_sheet(result_sheet(shown[:limit], names), format_)
    if not shown:
        tell("no published result matches")


def _own_runs(found: Catalogue, asked: Sequence[str], *, every: bool) -> list[OwnRun]:
    """The runs of the user: every one, or those on the benchmarks of their own that are asked
    for."""
    names = {one.partition(":")[0].strip().casefold() for one in asked}
    if not every and all(one in found.by_id for one in names):
        return []
    from bioretrieval_tui.evaluation.records import records
    from bioretrieval_tui.render.evaluations import own_runs

    runs = own_runs(records(tell), found)
    return [run for run in runs if every or (run.is_own and run.axis.benchmark in names)]


def _models(
    found: Catalogue, models: Sequence[str], conditions: Sequence[str]
) -> Collection[str] | None:
    """Ids of the models that are asked for, None for all."""
    if not models and not conditions:
        return None
    named = [found.entry_of(name, Model) for name in models]
    entries: Sequence[AnyEntry] = named or found.models
    for condition in conditions:
        entries = filtered(entries, condition, found)
    return [entry.id for entry in entries]


def _is_asked(result: Result, models: Collection[str] | None) -> bool:
    """Whether a result is of one of these models; None is all."""
    return models is None or result.model.partition("+")[0] in models


def _put_matrix(
    found: Catalogue,
    view: MatrixView,
    models: Collection[str] | None,
    words: Sequence[str],
    runs: Sequence[OwnRun],
    limit: int | None,
    format_: Format,
) -> None:
    table, own = ScoreTable(found), list[MatrixRow]()
    if runs:
        from bioretrieval_tui.render.evaluations import own_titles

        table.add_own(own_titles(runs))
    names = ("rank", "model", "results", *FACTS)
    if view.sort not in names:
        try:
            (key,) = table.columns([view.sort])
        except (UsageError, ValueError) as error:
            remedy = f"use {', '.join(names)} or one column"
            raise UsageError(f"it cannot be sorted by '{view.sort}'", remedy=remedy) from error
        view = structs.replace(view, sort=key)
    matrix = table.matrix(view, models)
    for run in runs:
        if run.fits(models, *words) and (run.zero_shot or not view.zero_shot):
            own.append(MatrixRow(run.result.model, run.figures, own=run.name))
    if view.columns:
        own = [row for row in own if row.figures.keys() & set(matrix.axes)]
    put_sheet(matrix_sheet(matrix, table, limit=limit, own=own), format_)
    if not (matrix.rows or own):
        tell("no published result matches")
    if format_ in ("table", "markdown"):
        told = (ranked_by(matrix, table), missing_words(matrix), hidden_words(matrix), LEGEND)
        for line in told:
            if line:
                tell(line)


@click.command("compare")
@click.argument(
    "identifiers", metavar="ID ID...", nargs=-1, required=True, shell_complete=options.complete_id
)
@option("--differences", "Without the rows in which all are equal.")
@options.ranked_format
def compare_entries(identifiers: Sequence[str], differences: bool, format_: Format) -> None:
    """Compare two to six entries side by side.

    ID is an entry, the hub id of a model, or one of your runs (see eval --list), which may stand
    beside models; all are of one kind. Scores come first: those that at least two have, with the
    difference to the first ID, whose largest losses are at the top. Then facts and recipe. Two runs
    of one benchmark are compared query by query too.

    \b
    bioretrieval-tui compare medcpt bge-base-en-v1-5 BAAI/bge-m3 --differences
    bioretrieval-tui compare nfcorpus scifact -f csv
    bioretrieval-tui compare medcpt bmretriever-410m -f json | jq '.[] | select(.best != [])'
    """
    check_count(len(identifiers))
    found = catalogue()
    entries = [found.by_id.get(one.casefold()) for one in identifiers]
    if not all(entries) or any(isinstance(one, Model | Recipe) for one in entries):
        found = with_board(found)
    things = [_compared(found, one) for one in identifiers]
    by_query = None
    if runs := runs_of_one_benchmark(things):
        from bioretrieval_tui.evaluation.runner import compare_records

        by_query = compare_records(*runs)
    compared = compare(things, found, by_query=by_query)
    put_sheet(comparison_sheet(compared, differences=differences), format_)
    if format_ in ("table", "markdown"):
        for line in compared.notes:
            tell(line)


def _compared(found: Catalogue, identifier: str) -> Compared:
    """The entry of an id, or the run."""
    try:
        return found.entry(identifier)
    except NotFoundError:
        from bioretrieval_tui.evaluation.records import records
        from bioretrieval_tui.render.evaluations import own_runs

        for run in own_runs(records(tell), found):
            if identifier in (run.record.id, *(one.id for one in run.earlier)):
                return run
        raise
