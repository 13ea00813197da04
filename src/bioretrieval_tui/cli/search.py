"""`search` and `similar`: search the catalogue or an index by a query or by a document."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from click.core import ParameterSource
from msgspec.structs import replace

from bioretrieval_tui.api import Index
from bioretrieval_tui.cli import options
from bioretrieval_tui.cli.lookups import catalogue, chosen_reranker, fetch_missing
from bioretrieval_tui.cli.options import option
from bioretrieval_tui.cli.streams import narrated, put_sheet, tell
from bioretrieval_tui.documents.source import STDIN
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.render.citation import Citation, hit_citations
from bioretrieval_tui.render.formats import CITED
from bioretrieval_tui.render.hits import hit_sheet
from bioretrieval_tui.search.types import (
    RERANKED,
    SCORE_MEANINGS,
    Explanation,
    Hit,
    Query,
    SearchResult,
    mode_name,
)
from bioretrieval_tui.util.formatting import plural

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.models import Encoding
    from bioretrieval_tui.cli.query_files import ManyFormat
    from bioretrieval_tui.encoding.cross_encoder import CrossEncoder
    from bioretrieval_tui.progress import Reporter
    from bioretrieval_tui.render.formats import Format
    from bioretrieval_tui.search.engine import SearchEngine

HITS, RANKED = 10, 100
"""Hits by default: of a list, of a query in a TREC run."""

_where = options.together(
    option(
        "-w --where FILTER",
        "Only documents that match, as in: year:2015.. mesh:asthma has:abstract",
        default="",
        show_default=False,
        shell_complete=options.complete_filter,
    ),
    options.device_for("Where models run: auto, cpu, cuda, cuda:N or mps."),
    options.quiet,
)


@click.command()
@click.argument("query", required=False)
@option(
    "--queries FILE",
    "Search every query of a file: a query a line, TSV, JSON lines, BEIR's queries.jsonl, TREC's"
    " topics. `search -` reads them from stdin.",
    name="source",
)
@options.index(
    "-i --index",
    "Index to search; default: the catalogue. Repeatable: one ranking of all.",
    name="names",
    multiple=True,
)
@option(
    "-k N",
    f"Number of hits; default: {HITS}, of a TREC run {RANKED}.",
    name="count",
    type=options.POSITIVE,
)
@_where
@options.search_format
@option(
    "-m --mode MODE",
    "hybrid (BM25 and dense), dense, or lexical (BM25, no model).",
    default="hybrid",
)
@option(
    "-s --sort ORDER",
    "relevance, or date: the newest of the top hits first.",
    name="order",
    default="relevance",
)
@option("--rerank", "Rerank the top hits with a cross-encoder.")
@options.reranker
@option("--why", "Explain each hit: ranks, terms, nearest sentence.")
@option("--tag NAME", "Name of the run in its last column, with -f trec.", default="bioretrieval")
@option(
    "--out FILE",
    "Write the hits of many queries to a file; a search that was stopped goes on in it.",
    type=options.FILE,
)
def search(
    query: str | None,
    source: str | None,
    names: tuple[str, ...],
    count: int | None,
    where: str,
    device: str,
    quiet: bool,
    format_: str,
    mode: str,
    order: str,
    rerank: bool,
    reranker: str,
    why: bool,
    tag: str,
    out: Path | None,
) -> None:
    """Search the catalogue or indexes.

    The catalogue is indexed at its first search. Hits of several indexes are in one ranking, a work
    that several hold once; an index that cannot be searched is left out, with a note.

    \b
    bioretrieval-tui search 'late interaction for clinical trials'
    bioretrieval-tui search 'statins and memory' -i scifact -k 20 -f json
    bioretrieval-tui search 'IL-6 blockade' -i mine -w 'year:2019.. type:review' --why
    bioretrieval-tui search 'IL-6 blockade' -i mine -i scifact -i catalogue
    bioretrieval-tui search --queries topics.xml -i mine -f trec --tag mine --out mine.trec
    """
    if query == STDIN:
        query, source = None, source or STDIN
    if (query is None) == (source is None):
        said = "both a query and --queries are given" if query else "no query is given"
        raise UsageError(said, remedy="give a query, or --queries FILE (- for stdin)")
    many: ManyFormat | None = None
    if source is not None:
        if why:
            raise UsageError("--why is for one query", remedy="leave it out")
        many = _format_of_many(format_, out)
        format_ = many
    elif out is not None or format_ == "trec":
        raise UsageError("--out and -f trec are for many queries", remedy="add --queries FILE")
    count = count or (RANKED if format_ == "trec" else HITS)
    text = "any" if query is None else query
    asked = Query(text=text, k=count, mode=mode, where=where, order=order).checked()
    dense = asked.mode != "lexical"
    chosen = chosen_reranker(reranker) if rerank else None
    queries = {}
    if source is not None:
        from bioretrieval_tui.cli.query_files import queries_of, search_many

        queries = queries_of(source)  # before a model is loaded
    with narrated(quiet) as reporter:
        if chosen is not None:
            fetch_missing(*chosen, reporter, download=False)
        with Index(*names, device=device, encodes=dense, reporter=reporter, remark=tell) as index:
            rank = None if chosen is None else _Reranker(chosen, device, reporter)
            deep = replace(asked, k=max(count, RERANKED)) if rank else asked
            if many is not None:
                search_many(index, queries, deep, many, tag=tag, out=out, rerank=rank,
                            reranker=chosen[0] if chosen else "",
                            most=count, reporter=reporter)  # fmt: skip
                return
            answer = index.result(deep)
            if rank:
                answer = replace(answer, hits=tuple(rank(asked.text, answer.hits)[:count]))
            reasons = index.federation.explain(asked, answer.hits) if why else ()
    how = f"{mode_name(mode)} search" + (f", reranked by {chosen[0]}" if chosen else "")
    _tell(how, index, answer, quiet=quiet)
    _put(answer.hits, reasons, f"Search: {query}", index.names, cast("Format", format_))


class _Reranker:
    """Sorts the hits of a query by a cross-encoder, which is loaded for the first."""

    def __init__(
        self, chosen: tuple[str, Encoding | None], device: str, reporter: Reporter
    ) -> None:
        self._chosen, self._device, self._reporter = chosen, device, reporter
        self._encoder: CrossEncoder | None = None

    def __call__(self, text: str, hits: Sequence[Hit]) -> Sequence[Hit]:
        if not hits:
            return hits
        from bioretrieval_tui.encoding.cross_encoder import load_cross_encoder
        from bioretrieval_tui.search.engine import reranked

        if self._encoder is None:
            self._encoder = load_cross_encoder(
                *self._chosen, device=self._device, reporter=self._reporter
            )
        return reranked(text, hits, self._encoder, reporter=self._reporter)


def _format_of_many(given: str, out: Path | None) -> ManyFormat:
    """The format in which the hits of many queries are written: the one that is given, else that
    of the file's name, else JSON lines."""
    source = click.get_current_context().get_parameter_source("format_")
    suffix = "" if out is None else out.suffix.casefold().lstrip(".")
    of_name = {"csv": "csv", "trec": "trec", "run": "trec"}.get(suffix, "jsonl")
    name = given if source is ParameterSource.COMMANDLINE else of_name
    if name in ("jsonl", "csv", "trec"):
        return cast("ManyFormat", name)
    said = f"the hits of many queries cannot be written as {name}"
    raise UsageError(said, remedy="formats: jsonl, csv, trec")


@click.command()
@click.argument("document", metavar="ID")
@options.index("-i --index", "Index to search; default: the catalogue.", name="name")
@option("-k N", "Number of hits.", name="count", type=options.POSITIVE, default=HITS)
@_where
@options.cited_format
@options.index(
    "--into", "Index to search instead of the document's own; 'catalogue' is the catalogue."
)
def similar(
    document: str,
    name: str | None,
    count: int,
    where: str,
    device: str,
    quiet: bool,
    format_: Format,
    into: str | None,
) -> None:
    """Find the documents most similar to a document.

    ID names a document of the index -i, or an entry of the catalogue.

    \b
    bioretrieval-tui similar medcpt
    bioretrieval-tui similar 4983 -i scifact
    bioretrieval-tui similar 4983 -i scifact --into catalogue
    """
    with narrated(quiet) as reporter, contextlib.ExitStack() as stack:

        def opened(*names: str) -> tuple[Index, SearchEngine]:
            index = Index(*names, device=device, reporter=reporter, remark=tell)
            stack.enter_context(index)
            return index, next(iter(index.federation.engines.values()))

        index, engine = opened(name or CATALOGUE)
        if into is None or into == engine.index.manifest.name:
            answer = engine.similar(document, count, where)
        else:
            _, given = engine.found(document)
            index, engine = opened(into)
            answer = engine.like(given, count, where)
    _tell(f"similar to {document} of {name or 'catalogue'}", index, answer, quiet=quiet)
    _put(answer.hits, (), f"Similar to {document}", index.names, format_)


def _tell(how: str, index: Index, answer: SearchResult, *, quiet: bool) -> None:
    """Write the note; on a terminal also the indexes, their size, models and filtered count."""
    if answer.note:
        tell(answer.note)
    elif not answer.hits:
        tell("no document matches")
    if not quiet and sys.stderr.isatty():
        made = [one.index.manifest for one in index.federation.engines.values()]
        names = " + ".join(one.name for one in made)
        models = ", ".join(dict.fromkeys(one.model for one in made))
        kept = "" if answer.fitting is None else f", the filter keeps {answer.fitting:,}"
        held = plural(sum(one.documents for one in made), "document")
        tell(f"{how} of {names}, {held}, {models}{kept}")
        for scored in dict.fromkeys(hit.scored for hit in answer.hits if hit.scored):
            tell(f"score, {scored}: {SCORE_MEANINGS[scored]}")


def _put(
    hits: Sequence[Hit],
    reasons: Sequence[Explanation],
    title: str,
    names: Collection[str],
    format_: Format,
) -> None:
    citations: tuple[Citation, ...] = ()
    if format_ in CITED:
        citations = hit_citations(hits, catalogue() if CATALOGUE in names else None)
        if hits and not citations:
            remedy = "their records have no year and no address; use another format"
            raise BioRetrievalError("none of these documents can be cited", remedy=remedy)
    several = len(names) > 1
    sheet = hit_sheet(hits, title=title, citations=citations, reasons=reasons, several=several)
    put_sheet(sheet, format_)
