"""`search` and `similar`: search the catalogue or an index by a query or by a document."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from bioretrieval_tui.cli import options
from bioretrieval_tui.cli.lookups import catalogue, chosen_reranker, fetch_missing
from bioretrieval_tui.cli.options import option
from bioretrieval_tui.cli.streams import narrated, put_sheet, tell
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.render.citation import Citation, hit_citations
from bioretrieval_tui.render.hits import hit_sheet
from bioretrieval_tui.search import catalogue_index
from bioretrieval_tui.search.types import (
    RERANKED,
    Explanation,
    Hit,
    Query,
    SearchResult,
    mode_name,
)

if TYPE_CHECKING:
    from bioretrieval_tui.progress import Reporter
    from bioretrieval_tui.render.formats import Format
    from bioretrieval_tui.search.engine import SearchEngine

_shared = options.together(
    option("-k N", "Number of hits.", name="count", type=options.POSITIVE, default=10),
    option(
        "-w --where FILTER",
        "Only documents that match, as in: year:2015.. mesh:asthma has:abstract",
        default="",
        show_default=False,
        shell_complete=options.complete_filter,
    ),
    options.device_for("Where models run: auto, cpu, cuda, cuda:N or mps."),
    options.quiet,
    options.cited_format,
)


@click.command()
@click.argument("query")
@options.index(
    "-i --index",
    "Index to search; default: the catalogue. Repeatable: one ranking of all.",
    name="names",
    multiple=True,
)
@_shared
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
def search(
    query: str,
    names: tuple[str, ...],
    count: int,
    where: str,
    device: str,
    quiet: bool,
    format_: Format,
    mode: str,
    order: str,
    rerank: bool,
    reranker: str,
    why: bool,
) -> None:
    """Search the catalogue or indexes.

    The catalogue is indexed at its first search. Hits of several indexes are in one ranking, a work
    that several hold once; an index that cannot be searched is left out, with a note.

    \b
    bioretrieval-tui search 'late interaction for clinical trials'
    bioretrieval-tui search 'statins and memory' -i scifact -k 20 -f json
    bioretrieval-tui search 'IL-6 blockade' -i mine -w 'year:2019.. type:review' --why
    bioretrieval-tui search 'IL-6 blockade' -i mine -i scifact -i catalogue
    """
    from bioretrieval_tui.search.federated import Federation

    dense, searched = mode != "lexical", tuple(dict.fromkeys(names)) or (CATALOGUE,)
    asked = Query(text=query, k=count, mode=mode, where=where, order=order).checked()
    chosen = chosen_reranker(reranker) if rerank else None
    how = f"{mode_name(mode)} search" + (f", reranked by {chosen[0]}" if chosen else "")
    with narrated(quiet) as reporter, contextlib.ExitStack() as stack:

        def open_one(name: str) -> SearchEngine:
            alone = dense and len(searched) == 1
            return _opened(stack, name, device, reporter, model=alone, encodes=dense)

        indexes = Federation(searched, open_one)
        if dense:
            indexes.load(reporter)
        answer = indexes.search(replace(asked, k=max(count, RERANKED)) if chosen else asked)
        hits: Sequence[Hit] = answer.hits
        if chosen is not None and hits:
            from bioretrieval_tui.encoding.cross_encoder import load_cross_encoder
            from bioretrieval_tui.search.engine import reranked

            fetch_missing(*chosen, reporter, download=False)
            encoder = load_cross_encoder(*chosen, device=device, reporter=reporter)
            hits = reranked(query, hits, encoder, reporter=reporter)[:count]
        reasons = indexes.explain(asked, hits) if why else ()
    _tell(how, list(indexes.engines.values()), answer, quiet=quiet)
    _put(hits, reasons, f"Search: {query}", searched, format_)


@click.command()
@click.argument("document", metavar="ID")
@options.index("-i --index", "Index to search; default: the catalogue.", name="name")
@_shared
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
        engine = _opened(stack, name or CATALOGUE, device, reporter, model=False)
        if into is None or into == engine.index.manifest.name:
            answer = engine.similar(document, count, where)
        else:
            _, given = engine.found(document)
            engine = _opened(stack, into, device, reporter, model=True)
            answer = engine.like(given, count, where)
    _tell(f"similar to {document} of {name or 'catalogue'}", [engine], answer, quiet=quiet)
    _put(answer.hits, (), f"Similar to {document}", [engine.index.manifest.name], format_)


def _opened(
    stack: contextlib.ExitStack,
    name: str,
    device: str,
    reporter: Reporter,
    *,
    model: bool,
    encodes: bool = True,
) -> SearchEngine:
    """Open an index until the stack ends; the catalogue's is brought up to date first, or it is
    said why it cannot be.

    model: load the model of the index now; encodes: False if only BM25 is used.
    """
    from bioretrieval_tui.search.engine import SearchEngine

    if name == CATALOGUE:
        from bioretrieval_tui.encoding.encoder_registry import load_encoder

        load = partial(load_encoder, device=device, reporter=reporter) if encodes else None
        if note := catalogue_index.index_catalogue(load, reporter).note:
            tell(note)
    engine = SearchEngine.open(name, device=device, reporter=reporter, ready=model)
    return stack.enter_context(contextlib.closing(engine))


def _tell(how: str, engines: Sequence[SearchEngine], answer: SearchResult, *, quiet: bool) -> None:
    """Write the note; on a terminal also the indexes, their size, models and filtered count."""
    if answer.note:
        tell(answer.note)
    elif not answer.hits:
        tell("no document fits")
    if not quiet and sys.stderr.isatty():
        made = [one.index.manifest for one in engines]
        names = " + ".join(one.name for one in made)
        models = ", ".join(dict.fromkeys(one.model for one in made))
        kept = "" if answer.fitting is None else f", the filter keeps {answer.fitting:,}"
        tell(f"{how} of {names}, {sum(one.documents for one in made):,} documents, {models}{kept}")


def _put(
    hits: Sequence[Hit],
    reasons: Sequence[Explanation],
    title: str,
    names: Collection[str],
    format_: Format,
) -> None:
    citations: tuple[Citation, ...] = ()
    if format_ == "bibtex":
        citations = hit_citations(hits, catalogue() if CATALOGUE in names else None)
        if hits and not citations:
            remedy = "their records have no year and no address; use another format"
            raise BioRetrievalError("none of these documents can be cited", remedy=remedy)
    several = len(names) > 1
    sheet = hit_sheet(hits, title=title, citations=citations, reasons=reasons, several=several)
    put_sheet(sheet, format_)
