"""`eval`: measure how well an index finds the documents judged relevant."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from bioretrieval_tui.backend.protocol import EvaluateJob
from bioretrieval_tui.catalog.models import Benchmark
from bioretrieval_tui.cli import options
from bioretrieval_tui.cli.job_verbs import submit
from bioretrieval_tui.cli.lookups import (
    catalogue,
    chosen_model,
    chosen_reranker,
    fetch_missing,
)
from bioretrieval_tui.cli.options import option
from bioretrieval_tui.cli.streams import narrated, put, put_object, put_sheet, tell
from bioretrieval_tui.errors import NotFoundError, UsageError
from bioretrieval_tui.evaluation import records
from bioretrieval_tui.render import evaluations
from bioretrieval_tui.render.sheet import Sheet, one_line
from bioretrieval_tui.util.formatting import plural

if TYPE_CHECKING:
    from bioretrieval_tui.evaluation.metrics import Comparison
    from bioretrieval_tui.evaluation.runner import EvaluationReport, EvaluationRequest
    from bioretrieval_tui.render.formats import Format


@click.command("eval")
@click.argument("folder", required=False, type=click.Path())
@option("--split NAME", "Of qrels/NAME.tsv; default: test.")
@options.model("--model", "Catalogue id, hub id or folder; default: the embedded model.")
@option(
    "-m --mode MODE",
    "dense, lexical (BM25) or hybrid; repeatable; default: all three.",
    name="modes",
    multiple=True,
)
@option("--rerank", "Also rerank the top hybrid hits with a cross-encoder.")
@options.reranker
@options.download
@options.index("--index", "Use this index instead of building one of the corpus.")
@options.device
@option("-k N", "Documents a query, at least 100.", name="depth", type=int, default=100)
@option("--keep-own", "Also rank the document with the query's own id.")
@option("--score RUN", "Score a TREC run file made elsewhere; repeatable.", multiple=True)
@option(
    "--name TEXT", "Name of the run of --score; default: its file's.", name="names", multiple=True
)
@option("--run FILE", "Write the rankings as TREC runs, one file a mode.", name="run_file")
@option("--compare A,B", "Paired randomisation test of B against A: modes, runs, or records.")
@option("--per-query FILE", "Write the scores of every query as JSON lines.")
@option("--query ID", "Show one query: its judged documents and their ranks.")
@option(
    "--list", "List the evaluations of this machine, of repeated ones the newest.", name="listing"
)
@option("--all", "With --list: repeated evaluations too.", name="every")
@option("--remove RECORD", "Delete one evaluation of --list.")
@options.background
@options.progress
@options.format_
def evaluate(
    folder: str | None,
    model: str | None,
    modes: tuple[str, ...],
    rerank: bool,
    reranker: str,
    query: str | None,
    listing: bool,
    every: bool,
    remove: str | None,
    background: bool,
    quiet: bool,
    progress: str,
    format_: Format,
    **same: Any,
) -> None:
    """Evaluate a model or an index on a benchmark.

    FOLDER holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv (BEIR), the same as Parquet (the
    model hub), or a corpus with TREC's topics and qrels. The corpus is indexed once. Published
    scores are listed beside, and every evaluation is kept for --list. Two records of --list are
    compared without FOLDER.

    \b
    bioretrieval-tui eval datasets/scifact
    bioretrieval-tui eval datasets/scifact -m lexical -m hybrid --compare lexical,hybrid
    bioretrieval-tui eval datasets/scifact --model medcpt --run medcpt.trec -f json
    bioretrieval-tui eval datasets/scifact -m lexical --score my.trec --compare lexical,my.trec
    bioretrieval-tui eval datasets/scifact --query 1
    """
    if listing or remove is not None:
        _records(remove, format_, every=every)
        return
    if every:
        raise UsageError("--all is for --list", remedy="eval --list --all")
    if folder is None and same["compare"] is not None:
        from bioretrieval_tui.evaluation.runner import compare_records, sides

        _print_comparison(compare_records(*sides(same["compare"])), format_)
        return
    if folder is None:
        remedy = "bioretrieval-tui eval FOLDER, or eval --list"
        raise UsageError("no benchmark is named", remedy=remedy)
    if not Path(folder).exists() and (where := _elsewhere(folder)):
        raise NotFoundError(f"the benchmark {folder} is not there", remedy=where)
    from bioretrieval_tui.encoding.model_files import require_models
    from bioretrieval_tui.evaluation import runner
    from bioretrieval_tui.evaluation.benchmark import find_parts

    modes = tuple("lexical" if one.casefold() == "bm25" else one for one in modes)
    wanted = modes or (() if same["score"] else runner.DEFAULT_MODES)
    if rerank and runner.RERANK not in wanted:
        wanted = (*wanted, runner.RERANK)
    # Without --model an index keeps its own.
    hub, recipe = (None, None) if model is None else chosen_model(model)
    ranker, ranker_recipe = (None, None)
    if runner.RERANK in wanted:
        ranker, ranker_recipe = chosen_reranker(reranker, lenient=True)
    if model is not None and set(wanted) <= {"lexical"}:
        tell(f"--model {model} is not used: BM25 needs no model")
        hub, recipe = None, None
    request = runner.EvaluationRequest(
        folder=folder,
        modes=wanted,
        model=hub,
        recipe=recipe,
        reranker=ranker,
        reranker_recipe=ranker_recipe,
        **same,  # the other options have the names of the request's fields
    )
    runner.check(request)
    failed = None
    with narrated(quiet, progress) as reporter:
        if not request.download:
            find_parts(Path(request.folder), request.split)
            for name, needed in request.models():
                fetch_missing(name, needed, reporter, download=False)
        if background:
            for name, needed in () if request.download else request.models():
                require_models(name, needed)  # now, not once its turn comes
            submit(_job_of(request, query), request.device)
            return
        if query is not None:
            view = runner.view_query(request, query, reporter, tell)
        else:
            try:
                report = runner.evaluate_folder(request, reporter, tell)
            except runner.NotKeptError as error:
                report, failed = error.report, error
    if query is not None and format_ == "json":
        put_object(msgspec.to_builtins(view))
        return
    if query is not None:
        _put_titled(evaluations.query_sheet(view), format_)
        return
    for line in () if quiet else report.notes:
        tell(line)
    _print(report, format_)
    if failed is not None:
        raise failed


def _elsewhere(name: str) -> str:
    """The call that evaluates what `name` names: a folder of earlier runs, or a benchmark that can
    be fetched; "" for neither."""
    for one in records.records():
        if one.benchmark == name and one.folder and Path(one.folder).is_dir():
            return f"bioretrieval-tui eval {shlex.quote(one.folder)}"
    entry = catalogue().by_id.get(name.casefold())
    if isinstance(entry, Benchmark) and entry.loaders.zip:
        return f'bioretrieval-tui eval "$(bioretrieval-tui fetch benchmark {entry.id})"'
    return ""


def _job_of(request: EvaluationRequest, query: str | None) -> EvaluateJob:
    """The job of a request. Raises UsageError for options that a job has not."""
    facts = msgspec.structs.asdict(request)
    same = {name: facts.pop(name) for name in EvaluateJob.__struct_fields__ if name in facts}
    usual = type(request)(folder=request.folder, modes=request.modes)
    others = [name for name in facts if name != "device" and facts[name] != getattr(usual, name)]
    if others or query is not None:
        said = "a job in the background keeps a plain evaluation"
        remedy = "leave out --query, --compare, --per-query, --name, -k and --keep-own"
        raise UsageError(said, remedy=remedy)
    return EvaluateJob(**same)


def _records(remove: str | None, format_: Format, *, every: bool) -> None:
    if remove is not None:
        records.remove(remove)
        tell(f"removed {remove}")
        return
    kept = records.records(tell)
    shown = kept if every else [newest for newest, *_ in records.by_kind(kept)]
    put_sheet(evaluations.record_sheet(shown), format_)
    if (earlier := len(kept) - len(shown)) and format_ in ("table", "markdown"):
        tell(f"{plural(earlier, 'earlier run')} of the same kind: --list --all shows all")
    if not kept:
        tell("there is no evaluation yet; start with: bioretrieval-tui eval FOLDER")


def _print(report: EvaluationReport, format_: Format) -> None:
    if format_ == "json":
        put_object(evaluations.evaluation_record(report))
        return
    put_sheet(evaluations.evaluation_sheet(report), format_)
    if report.comparison is None:
        return
    if format_ in ("jsonl", "csv"):  # one table a file
        tell(evaluations.comparison_line(report.comparison))
        return
    put(["\n"])
    _put_compared(report.comparison, format_)


def _print_comparison(found: Comparison, format_: Format) -> None:
    if format_ == "json":
        put_object(evaluations.comparison_record(found))
    elif format_ in ("jsonl", "csv"):
        tell(evaluations.comparison_line(found))
        put_sheet(evaluations.comparison_sheet(found, whole=True), format_)
    else:
        _put_compared(found, format_)


def _put_compared(found: Comparison, format_: Format) -> None:
    _put_titled(evaluations.comparison_sheet(found), format_)
    put(["\n"])
    _put_titled(evaluations.histogram_sheet(found), format_)


def _put_titled(sheet: Sheet, format_: Format) -> None:
    if format_ == "table":
        put([f"{one_line(sheet.title)}\n\n"])
    put_sheet(sheet, format_)
