"""`eval`: how well an index finds what people have judged relevant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.catalogue import catalogue, complete_index, complete_model
from bioretrieval_tui.cli.evalfiles import compared, earlier_runs, keep
from bioretrieval_tui.cli.narration import narrated, tell
from bioretrieval_tui.cli.output import format_option, put, put_sheet
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError, UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.entries import Encoding
    from bioretrieval_tui.evaluation.evaluate import Asked, Evaluation
    from bioretrieval_tui.evaluation.significance import Comparison
    from bioretrieval_tui.export.formats import Format
    from bioretrieval_tui.progress import Reporter

RERANKER = "medcpt-cross-encoder"
_MODES = ("dense", "lexical", "hybrid")


@click.command("eval")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--split", metavar="NAME", help="Of qrels/NAME.tsv; test if not said.")
@click.option(
    "--model",
    metavar="ID",
    shell_complete=complete_model,
    help="Encode with this model (catalogue id, hub id or folder); the embedded one if not said.",
)
@click.option(
    "-m",
    "--mode",
    "modes",
    metavar="MODE",
    multiple=True,
    help="dense, lexical or hybrid; all three if not said. May be given again.",
)
@click.option("--rerank", is_flag=True, help="Also the mode rerank: a cross-encoder over hybrid.")
@click.option(
    "--reranker",
    metavar="ID",
    default=RERANKER,
    show_default=True,
    shell_complete=complete_model,
    help="The cross-encoder.",
)
@click.option("--download", is_flag=True, help="Fetch what a model lacks; its licence is told.")
@click.option(
    "--index",
    "index",
    metavar="NAME",
    shell_complete=complete_index,
    help="Take this index instead of one that is made of the corpus.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="DEVICE",
    help="auto, cpu, cuda, cuda:N or mps.",
)
@click.option(
    "-k",
    "depth",
    type=int,
    default=100,
    show_default=True,
    metavar="N",
    help="Documents a query, at least 100.",
)
@click.option("--keep-own", is_flag=True, help="Rank also the document with the query's own id.")
@click.option(
    "--run",
    "run_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what was ranked as a TREC run; several modes: one file each.",
)
@click.option(
    "--compare",
    metavar="A,B",
    help="Test whether B differs from A by chance: modes of this run, or records of --list.",
)
@click.option(
    "--per-query",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the figures of every query as JSON lines.",
)
@click.option("--query", metavar="ID", help="Only show what one query found of what was judged.")
@click.option("--list", "listing", is_flag=True, help="List what was evaluated on this machine.")
@click.option("--remove", metavar="RECORD", help="Forget one evaluation of --list.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr while it works.")
@click.option(
    "--progress",
    type=click.Choice(["auto", "json"]),
    default="auto",
    show_default=True,
    help="How progress is told on stderr; json is one object a line.",
)
@format_option(without=("bibtex",))
def evaluate(
    folder: Path | None,
    split: str | None,
    model: str | None,
    modes: Sequence[str],
    rerank: bool,
    reranker: str,
    download: bool,
    index: str | None,
    device: str,
    depth: int,
    keep_own: bool,
    run_file: Path | None,
    compare: str | None,
    per_query: Path | None,
    query: str | None,
    listing: bool,
    remove: str | None,
    quiet: bool,
    progress: str,
    format_: Format,
) -> None:
    """Measure a model, or an index, on a benchmark in BEIR's form.

    FOLDER holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv. The corpus is indexed once, under
    a name of its own; published figures stand beside, and every evaluation is kept for --list.

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

    check_name(device)
    wanted = (*(modes or _MODES), *(("rerank",) if rerank and "rerank" not in modes else ()))
    for file, what in ((run_file, "run"), (per_query, "figures by query")):
        _check_target(file, what)
    named_model, recipe = _model(model)
    named_reranker, reranker_recipe = _reranker(reranker) if "rerank" in wanted else (None, None)
    from bioretrieval_tui.evaluation.evaluate import Asked, check

    asked = Asked(
        folder=folder,
        split=split,
        modes=wanted,
        model=named_model,
        recipe=recipe,
        index=index,
        device=device,
        depth=depth,
        keep_own=keep_own,
        reranker=named_reranker,
        reranker_recipe=reranker_recipe,
    )
    check(asked)
    earlier = earlier_runs(compare, asked)
    with narrated(quiet=quiet, json_lines=progress == "json") as reporter:
        _fetch(asked, reporter, download=download)
    if query is not None:
        _show_query(asked, query, quiet, progress, format_)
        return
    from bioretrieval_tui.evaluation.evaluate import evaluate as run

    found = catalogue()
    with narrated(quiet=quiet, json_lines=progress == "json") as reporter:
        done = run(asked, found, reporter)
    comparison = compared(compare, done, earlier)
    failed: BioRetrievalError | None = None
    try:
        keep(done, comparison, run_file, per_query)
    except BioRetrievalError as error:  # a full disk must not cost the figures too
        failed = error
    if not quiet:
        for line in done.remarks():
            tell(line)
    _print(done, comparison, format_)
    if failed is not None:
        raise failed


def _records(remove: str | None, format_: Format) -> None:
    from bioretrieval_tui.cli.evalsheets import record_sheet
    from bioretrieval_tui.evaluation import records

    if remove is not None:
        records.remove(remove)
        tell(f"removed {remove}")
        return
    kept = records.records(tell)
    put_sheet(record_sheet(kept), format_)
    if not kept:
        tell("nothing was evaluated yet; begin with: bioretrieval-tui eval FOLDER")


def _show_query(asked: Asked, query: str, quiet: bool, progress: str, format_: Format) -> None:
    from bioretrieval_tui.cli.evalsheets import query_record, query_sheet
    from bioretrieval_tui.evaluation.one_query import view_query
    from bioretrieval_tui.export.jsontext import object_text

    found = catalogue()
    with narrated(quiet=quiet, json_lines=progress == "json") as reporter:
        view = view_query(asked, query, found, reporter)
    if format_ == "json":
        put([object_text(query_record(view))])
        return
    sheet = query_sheet(view)
    if format_ == "table":
        _put_title(sheet.title)
    put_sheet(sheet, format_)


def _model(model: str | None) -> tuple[str | None, Encoding | None]:
    """Hub id and recipe of --model; None without one, so that an index keeps its own."""
    if model is None:
        return None, None
    from bioretrieval_tui.cli.models import chosen_model
    from bioretrieval_tui.encoding.embedded import MODEL_ID

    found = chosen_model(model)
    return (MODEL_ID, None) if found is None else found


def _reranker(name: str) -> tuple[str, Encoding | None]:
    from bioretrieval_tui.cli.models import chosen_model

    found = chosen_model(name)
    if found is None:
        raise UsageError(
            f"{name} is no cross-encoder", remedy=f"use {RERANKER}, or another reranker"
        )
    return found


def _fetch(asked: Asked, reporter: Reporter, *, download: bool) -> None:
    """See that the models are here, where they may be fetched; the benchmark is looked at first."""
    from bioretrieval_tui.cli.downloads import fetch_missing
    from bioretrieval_tui.encoding.embedded import MODEL_ID
    from bioretrieval_tui.evaluation.layout import find_parts

    find_parts(asked.folder, asked.split)
    pairs = [(asked.reranker, asked.reranker_recipe)]
    if asked.encodes:
        pairs.insert(0, (asked.model, asked.recipe))
    for name, recipe in pairs:
        if name is not None and name != MODEL_ID:
            fetch_missing(name, recipe, reporter, download=download)


def _check_target(path: Path | None, what: str) -> None:
    if path is None:
        return
    if not path.absolute().parent.is_dir():
        raise NotFoundError(f"the folder for the {what}, {path.parent}, is not there")
    if path.is_dir():
        raise UsageError(f"{path} is a folder", remedy=f"name a file for the {what}")


def _print(done: Evaluation, comparison: Comparison | None, format_: Format) -> None:
    from bioretrieval_tui.cli import evalsheets

    if format_ == "json":
        from bioretrieval_tui.export.jsontext import object_text

        put([object_text(evalsheets.evaluation_record(done, comparison))])
        return
    put_sheet(evalsheets.evaluation_sheet(done), format_)
    if comparison is None:
        return
    if format_ in ("jsonl", "csv"):  # one table a file: the comparison is told
        tell(evalsheets.comparison_line(comparison))
        return
    put(["\n"])
    sheet = evalsheets.comparison_sheet(comparison, done.benchmark.queries)
    if format_ == "table":
        _put_title(sheet.title)
    put_sheet(sheet, format_)


def _put_title(title: str) -> None:
    from bioretrieval_tui.export.text import one_line

    put([f"{one_line(title)}\n\n"])
