"""`eval`: measure how well an index finds the documents judged relevant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from bioretrieval_tui.cli.narration import narrated, tell
from bioretrieval_tui.cli.options import (
    PATH,
    default_option,
    device_option,
    download_option,
    flag,
    index_option,
    model_option,
    progress_options,
    reranker_option,
)
from bioretrieval_tui.cli.printing import format_option, put, put_sheet
from bioretrieval_tui.errors import UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.evaluation.qrels import QueryView
    from bioretrieval_tui.evaluation.runner import EvaluationReport
    from bioretrieval_tui.render.formats import Format
    from bioretrieval_tui.render.sheet import Sheet

_MODES = ("dense", "lexical", "hybrid")


@click.command("eval")
@click.argument("folder", required=False, type=PATH)
@click.option("--split", metavar="NAME", help="Of qrels/NAME.tsv; default: test.")
@model_option("--model", help_="Catalogue id, hub id or folder; default: the embedded model.")
@click.option(
    "-m",
    "--mode",
    "modes",
    metavar="MODE",
    multiple=True,
    help="dense, lexical (BM25) or hybrid; repeatable; default: all three.",
)
@flag("--rerank", help_="Also rerank the top hybrid hits with a cross-encoder.")
@reranker_option
@download_option
@index_option("--index", help_="Use this index instead of building one of the corpus.")
@device_option
@default_option(
    "-k",
    "depth",
    type=int,
    default=100,
    metavar="N",
    help_="Documents a query, at least 100.",
)
@flag("--keep-own", help_="Also rank the document with the query's own id.")
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
@flag("--list", "listing", help_="List the evaluations of this machine.")
@click.option("--remove", metavar="RECORD", help="Delete one evaluation of --list.")
@progress_options
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
    Published scores are listed beside, and every evaluation is kept for --list.

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
    from bioretrieval_tui.cli.model_choice import chosen_model, chosen_reranker, fetch_missing
    from bioretrieval_tui.encoding.device import check_name
    from bioretrieval_tui.evaluation.benchmark import find_parts
    from bioretrieval_tui.evaluation.runner import (
        RERANK,
        EvaluationRequest,
        NotKeptError,
        check,
        evaluate_folder,
        view_query,
    )

    check_name(same["device"])
    wanted = (*(modes or _MODES), *((RERANK,) if rerank and RERANK not in modes else ()))
    # Without --model an index keeps its own.
    named_model, recipe = (None, None) if model is None else chosen_model(model)
    named_reranker, reranker_recipe = (
        chosen_reranker(reranker, lenient=True) if RERANK in wanted else (None, None)
    )
    # The other options have the names of the request's fields.
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
    failed = None
    with narrated(quiet, progress) as reporter:
        if not request.download:
            find_parts(Path(request.folder), request.split)
            for name, needed in request.models():
                fetch_missing(name, needed, reporter, download=False)
        if query is not None:
            view = view_query(request, query, reporter, tell)
        else:
            try:
                report = evaluate_folder(request, reporter, tell)
            except NotKeptError as error:
                report, failed = error.report, error
    if query is not None:
        _print_query(view, format_)
        return
    for line in () if quiet else report.notes:
        tell(line)
    _print(report, format_)
    if failed is not None:
        raise failed


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
        tell("there is no evaluation yet; start with: bioretrieval-tui eval FOLDER")


def _print(report: EvaluationReport, format_: Format) -> None:
    from bioretrieval_tui.render.evaluations import (
        comparison_line,
        comparison_sheet,
        evaluation_record,
        evaluation_sheet,
    )

    if format_ == "json":
        from bioretrieval_tui.render.formats import object_text

        put([object_text(evaluation_record(report))])
        return
    put_sheet(evaluation_sheet(report), format_)
    if report.comparison is None:
        return
    if format_ in ("jsonl", "csv"):  # one table a file
        tell(comparison_line(report.comparison))
        return
    put(["\n"])
    _put_titled(comparison_sheet(report.comparison), format_)


def _print_query(view: QueryView, format_: Format) -> None:
    from bioretrieval_tui.render.evaluations import query_sheet
    from bioretrieval_tui.render.formats import object_text

    if format_ == "json":
        put([object_text(msgspec.to_builtins(view))])
    else:
        _put_titled(query_sheet(view), format_)


def _put_titled(sheet: Sheet, format_: Format) -> None:
    if format_ == "table":
        from bioretrieval_tui.render.sheet import one_line

        put([f"{one_line(sheet.title)}\n\n"])
    put_sheet(sheet, format_)
