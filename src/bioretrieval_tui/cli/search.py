"""`search` and `similar`: search the catalogue or an index by a query or by a document."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.lookups import catalogue
from bioretrieval_tui.cli.narration import narrated, tell
from bioretrieval_tui.cli.options import (
    POSITIVE,
    default_option,
    device_choice,
    flag,
    index_option,
    options,
    quiet_option,
    reranker_option,
)
from bioretrieval_tui.cli.printing import format_option, put_sheet
from bioretrieval_tui.errors import BioRetrievalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bioretrieval_tui.catalog.catalogue import Catalogue
    from bioretrieval_tui.progress import Reporter
    from bioretrieval_tui.render.citation import Citation
    from bioretrieval_tui.render.formats import Format
    from bioretrieval_tui.search.engine import SearchEngine
    from bioretrieval_tui.search.types import Explanation, Hit, SearchResult

_shared = options(
    index_option("-i", "--index", "name", help_="Index to search; default: the catalogue."),
    default_option("-k", "count", type=POSITIVE, default=10, metavar="N", help_="Number of hits."),
    click.option(
        "-w",
        "--where",
        default="",
        metavar="FILTER",
        help="Only documents that match, as in: year:2015.. mesh:asthma has:abstract",
    ),
    device_choice("Where models run: auto, cpu, cuda, cuda:N or mps."),
    quiet_option,
    format_option(),
)


@click.command()
@click.argument("query")
@_shared
@default_option(
    "-m",
    "--mode",
    default="hybrid",
    metavar="MODE",
    help_="hybrid (BM25 and dense), dense, or lexical (BM25, no model).",
)
@default_option(
    "-s",
    "--sort",
    "order",
    default="relevance",
    metavar="ORDER",
    help_="relevance, or date: the newest of the top hits first.",
)
@flag("--rerank", help_="Rerank the top hits with a cross-encoder.")
@reranker_option
@flag("--why", help_="Explain each hit: ranks, terms, nearest sentence.")
def search(
    query: str,
    name: str | None,
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
    """Search the catalogue or an index.

    The catalogue is indexed at its first search.

    \b
    bioretrieval-tui search 'late interaction for clinical trials'
    bioretrieval-tui search 'statins and memory' -i scifact -k 20 -f json
    bioretrieval-tui search 'IL-6 blockade' -i mine -w 'year:2019.. type:review' --why
    """
    import msgspec

    from bioretrieval_tui.cli.model_choice import chosen_reranker
    from bioretrieval_tui.encoding.device import check_name
    from bioretrieval_tui.render.hits import mode_name
    from bioretrieval_tui.search.types import RERANKED, Query

    check_name(device)
    dense = mode != "lexical"
    asked = Query(text=query, k=count, mode=mode, where=where, order=order).checked()
    chosen = chosen_reranker(reranker) if rerank else None
    how = f"{mode_name(mode)} search" + (f", reranked by {chosen[0]}" if chosen else "")
    with (
        narrated(quiet) as reporter,
        _searched(name, device, reporter, model=dense, encodes=dense) as (engine, found, note),
    ):
        answer = engine.search(
            msgspec.structs.replace(asked, k=max(count, RERANKED) if chosen else count)
        )
        hits: Sequence[Hit] = answer.hits
        if chosen is not None and hits:
            from bioretrieval_tui.cli.model_choice import fetch_missing
            from bioretrieval_tui.encoding.cross_encoder import load_cross_encoder
            from bioretrieval_tui.search.engine import reranked

            fetch_missing(*chosen, reporter, download=False)
            encoder = load_cross_encoder(*chosen, device=device, reporter=reporter)
            hits = reranked(query, hits, encoder, reporter=reporter)[:count]
        reasons = engine.explain(asked, [hit.id for hit in hits]) if why else ()
    _tell(how, engine, answer, note, quiet=quiet)
    _put(hits, reasons, f"Search: {query}", found, format_)


@click.command()
@click.argument("document", metavar="ID")
@_shared
@index_option(
    "--into", help_="Index to search instead of the document's own; 'catalogue' is the catalogue."
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
    from bioretrieval_tui.encoding.device import check_name

    check_name(device)
    with (
        narrated(quiet) as reporter,
        _searched(name, device, reporter, model=False) as (engine, found, note),
    ):
        if into is None or into == engine.index.manifest.name:
            answer = engine.similar(document, count, where)
        else:
            _, given = engine.found(document)
            with _searched(into, device, reporter, model=True) as (engine, found, stale):
                answer = engine.like(given, count, where)
            note = note or stale
    of = f"similar to {document} of {name or 'catalogue'}"
    _tell(of, engine, answer, note, quiet=quiet)
    _put(answer.hits, (), f"Similar to {document}", found, format_)


@contextlib.contextmanager
def _searched(
    name: str | None, device: str, reporter: Reporter, *, model: bool, encodes: bool = True
) -> Iterator[tuple[SearchEngine, Catalogue | None, str | None]]:
    """Open an index, by default the catalogue's, which is brought up to date first; with the
    catalogue, and the reason why its index could not be updated.

    model: load the model of the index now; encodes: False if only BM25 is used.
    """
    from bioretrieval_tui.index.layout import CATALOGUE
    from bioretrieval_tui.search.engine import SearchEngine

    found, note = None, None
    if name in (None, CATALOGUE):
        from bioretrieval_tui.encoding.encoder_registry import load_encoder
        from bioretrieval_tui.search import catalogue_index

        found = catalogue()
        documents = catalogue_index.catalogue_documents(found)
        note = catalogue_index.ensure_catalogue_index(
            documents,
            catalogue_index.fingerprint(documents),
            (lambda: load_encoder(device=device, reporter=reporter)) if encodes else None,
            reporter,
        ).note
    engine = SearchEngine.open(name or CATALOGUE, device=device, reporter=reporter, ready=model)
    try:
        yield engine, found, note
    finally:
        engine.close()


def _tell(
    how: str, engine: SearchEngine, answer: SearchResult, note: str | None, *, quiet: bool
) -> None:
    """Write notes; on a terminal also the index, its size, its model and the filtered count."""
    for text in (note, answer.note):
        if text:
            tell(text)
    if not quiet and sys.stderr.isatty():
        manifest = engine.index.manifest
        kept = "" if answer.fitting is None else f", the filter keeps {answer.fitting:,}"
        tell(f"{how} of {manifest.name}, {manifest.documents:,} documents, {manifest.model}{kept}")


def _put(
    hits: Sequence[Hit],
    reasons: Sequence[Explanation],
    title: str,
    found: Catalogue | None,
    format_: Format,
) -> None:
    from bioretrieval_tui.render.hits import hit_citations, hit_sheet

    citations: tuple[Citation, ...] = ()
    if format_ == "bibtex":
        citations = hit_citations(hits, found)
        if hits and not citations:
            raise BioRetrievalError(
                "none of these documents can be cited",
                remedy="their records have no year and no address; use another format",
            )
    put_sheet(hit_sheet(hits, title=title, citations=citations, reasons=reasons), format_)
