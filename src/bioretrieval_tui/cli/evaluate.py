"""`eval`: how well an index finds what people have judged relevant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bioretrieval_tui.cli.index import device_option, telling_options
from bioretrieval_tui.cli.lookups import complete_index, complete_model
from bioretrieval_tui.cli.narration import narrated, tell
from bioretrieval_tui.cli.printing import format_option, put, put_sheet
from bioretrieval_tui.errors import BioRetrievalError, UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.models import Encoding
    from bioretrieval_tui.evaluation.qrels import QueryView
    from bioretrieval_tui.evaluation.runner import EvaluationReport, EvaluationRequest
    from bioretrieval_tui.progress import Reporter
    from bioretrieval_tui.render.formats import Format
    from bioretrieval_tui.render.sheet import Sheet

RERANKER = "medcpt-cross-encoder"
_MODES = ("dense", "lexical", "hybrid")


@click.command("eval")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--split", metavar="NAME", help="Of qrels/NAME.tsv; default: test.")
@click.option(
    "--model",
    metavar="ID",
    shell_complete=complete_model,
    help="Catalogue id, hub id or folder; default: the embedded model.",
)
@click.option(
    "-m",
    "--mode",
    "modes",
    metavar="MODE",
    multiple=True,
    help="dense, lexical (BM25) or hybrid; repeatable; default: all three.",
)
@click.option(
    "--rerank", is_flag=True, help="Also rerank the top hybrid hits with a cross-encoder."
)
@click.option(
    "--reranker",
    metavar="ID",
    default=RERANKER,
    show_default=True,
    shell_complete=complete_model,
    help="Model for --rerank.",
)
@click.option("--download", is_flag=True, help="Download a missing model; shows its licence.")
@click.option(
    "--index",
    metavar="NAME",
    shell_complete=complete_index,
    help="Use this index instead of building one of the corpus.",
)
@device_option
@click.option(
    "-k",
    "depth",
    type=int,
    default=100,
    show_default=True,
    metavar="N",
    help="Documents a query, at least 100.",
)
@click.option("--keep-own", is_flag=True, help="Also rank the document with the query's own id.")
@click.option(
    "--run",
    "run_file",
    type=click.Path(),
    metavar="FILE",
    help="Write the rankings as TREC runs, one file a mode.",
)
@click.option(
    "--compare",
    metavar="A,B",
    help="Paired randomisation test of B against A: modes, or records of --list.",
)
@click.option(
    "--per-query",
    type=click.Path(),
    metavar="FILE",
    help="Write the scores of every query as JSON lines.",
)
@click.option("--query", metavar="ID", help="Show one query: its judged documents and their ranks.")
@click.option("--list", "listing", is_flag=True, help="List the evaluations of this machine.")
@click.option("--remove", metavar="RECORD", help="Delete one evaluation of --list.")
@telling_options
@format_option(without=("bibtex",))
def evaluate(
    folder: Path | None,
    model: str | None,
    modes: Sequence[str],
    rerank: bool,
    reranker: str,
    query: str | None,
    listing: bool,
    remove: str | None,
    quiet: bool,
    progress: str,
    format_: Format,
    **same: Any,
) -> None:
    """Evaluate a model or an index on a benchmark in BEIR's layout.

    FOLDER holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv. The corpus is indexed once.
    Published scores are shown beside, and every evaluation is kept for --list.

    \b
    bioretrieval-tui eval datasets/scifact
    bioretrieval-tui eval datasets/scifact -m lexical -m hybrid --compare lexical,hybrid
    bioretrieval-tui eval datasets/scifact --model medcpt --run medcpt.trec -f json
    bioretrieval-tui eval datasets/scifact --query 1
    """
    if listing or remove is not None:
        _records(remove, format_)
        return
    if folder is None:
        raise UsageError(
            "no benchmark is named", remedy="bioretrieval-tui eval FOLDER, or eval --list"
        )
    from bioretrieval_tui.encoding.device import check_name
    from bioretrieval_tui.evaluation.runner import RERANK, EvaluationRequest, check

    check_name(same["device"])
    wanted = (*(modes or _MODES), *((RERANK,) if rerank and RERANK not in modes else ()))
    named_model, recipe = _model(model)
    named_reranker, reranker_recipe = _reranker(reranker) if RERANK in wanted else (None, None)
    # The other options are called as the fields of the request.
    request = EvaluationRequest(
        folder=str(folder),
        modes=tuple(wanted),
        model=named_model,
        recipe=recipe,
        reranker=named_reranker,
        reranker_recipe=reranker_recipe,
        **same,
    )
    check(request)
    with narrated(quiet=quiet, json_lines=progress == "json") as reporter:
        if not request.download:
            _offer_downloads(request, reporter)
        if query is not None:
            from bioretrieval_tui.evaluation.runner import view_query

            view = view_query(request, query, reporter, tell)
        else:
            report, failed = _evaluated(request, reporter)
    if query is not None:
        _print_query(view, format_)
        return
    if not quiet:
        for line in report.notes:
            tell(line)
    _print(report, format_)
    if failed is not None:
        raise failed


def _evaluated(
    request: EvaluationRequest, reporter: Reporter
) -> tuple[EvaluationReport, BioRetrievalError | None]:
    """The report, and what could not be written of it."""
    from bioretrieval_tui.evaluation.runner import NotKeptError, evaluate_folder

    try:
        return evaluate_folder(request, reporter, tell), None
    except NotKeptError as error:
        return error.report, error


def _records(remove: str | None, format_: Format) -> None:
    from bioretrieval_tui.evaluation import records
    from bioretrieval_tui.render.evaluations import record_sheet

    if remove is not None:
        records.remove(remove)
        tell(f"removed {remove}")
        return
    kept = records.records(tell)
    put_sheet(record_sheet(kept), format_)
    if not kept:
        tell("nothing was evaluated yet; begin with: bioretrieval-tui eval FOLDER")


def _offer_downloads(request: EvaluationRequest, reporter: Reporter) -> None:
    """Ask on a terminal whether to fetch what the models lack; the benchmark is looked at first."""
    from bioretrieval_tui.cli.model_choice import fetch_missing
    from bioretrieval_tui.evaluation.benchmark import find_parts

    find_parts(Path(request.folder), request.split)
    for name, recipe in request.models():
        fetch_missing(name, recipe, reporter, download=False)


def _model(model: str | None) -> tuple[str | None, Encoding | None]:
    """Hub id and recipe of --model; None without one, so that an index keeps its own."""
    if model is None:
        return None, None
    from bioretrieval_tui.cli.model_choice import chosen_model
    from bioretrieval_tui.encoding.embedded import MODEL_ID

    found = chosen_model(model)
    return (MODEL_ID, None) if found is None else found


def _reranker(name: str) -> tuple[str, Encoding | None]:
    from bioretrieval_tui.cli.model_choice import chosen_model

    found = chosen_model(name)
    if found is None:
        raise UsageError(
            f"{name} is no cross-encoder", remedy=f"use {RERANKER}, or another reranker"
        )
    return found


def _print(report: EvaluationReport, format_: Format) -> None:
    from bioretrieval_tui.render import evaluations as evalsheets

    if format_ == "json":
        from bioretrieval_tui.render.formats import object_text

        put([object_text(evalsheets.evaluation_record(report))])
        return
    put_sheet(evalsheets.evaluation_sheet(report), format_)
    if report.comparison is None:
        return
    if format_ in ("jsonl", "csv"):  # one table a file: the comparison is told
        tell(evalsheets.comparison_line(report.comparison))
        return
    put(["\n"])
    _put_titled(evalsheets.comparison_sheet(report.comparison), format_)


def _print_query(view: QueryView, format_: Format) -> None:
    from bioretrieval_tui.render.evaluations import query_sheet
    from bioretrieval_tui.render.formats import object_text

    if format_ == "json":
        put([object_text(asdict(view))])
    else:
        _put_titled(query_sheet(view), format_)


def _put_titled(sheet: Sheet, format_: Format) -> None:
    if format_ == "table":
        from bioretrieval_tui.render.sheet import one_line

        put([f"{one_line(sheet.title)}\n\n"])
    put_sheet(sheet, format_)
