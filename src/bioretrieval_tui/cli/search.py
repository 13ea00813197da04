"""`search` and `similar`: a question, or a document, over the catalogue or an index."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bioretrieval_tui.cli.catalogue import catalogue, complete_index, complete_model
from bioretrieval_tui.cli.narration import narrated, tell
from bioretrieval_tui.cli.output import format_option, put_sheet
from bioretrieval_tui.errors import BioRetrievalError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bioretrieval_tui.catalog.entries import Encoding
    from bioretrieval_tui.catalog.view import Catalogue
    from bioretrieval_tui.encoding.encoder import CrossEncoder
    from bioretrieval_tui.export.citation import Citation
    from bioretrieval_tui.export.formats import Format
    from bioretrieval_tui.progress import Reporter
    from bioretrieval_tui.search.engine import SearchEngine
    from bioretrieval_tui.search.hits import Answer, Hit, Question, Why

RERANKER = "medcpt-cross-encoder"
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _shared(command: _Command) -> _Command:
    """The options that both verbs take."""
    for option in (
        format_option(),
        click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr while it works."),
        click.option(
            "--device",
            default="auto",
            show_default=True,
            metavar="DEVICE",
            help="Where models run: auto, cpu, cuda, cuda:N or mps.",
        ),
        click.option(
            "-w",
            "--where",
            default="",
            metavar="FILTER",
            help="Only documents that fit, as in: year:2015.. mesh:asthma has:abstract",
        ),
        click.option(
            "-k",
            "count",
            type=click.IntRange(min=1),
            default=10,
            show_default=True,
            metavar="N",
            help="How many to find.",
        ),
        click.option(
            "-i",
            "--index",
            "name",
            metavar="NAME",
            shell_complete=complete_index,
            help="The index to search; the catalogue's own if not said.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("query")
@_shared
@click.option(
    "-m",
    "--mode",
    default="hybrid",
    show_default=True,
    metavar="MODE",
    help="hybrid, by meaning and words; dense, by meaning; lexical, by words (no model).",
)
@click.option(
    "-s",
    "--sort",
    "order",
    default="relevance",
    show_default=True,
    metavar="ORDER",
    help="relevance, or date: the newest of the best first.",
)
@click.option("--rerank", is_flag=True, help="Have a cross-encoder read the best again.")
@click.option(
    "--reranker",
    default=RERANKER,
    show_default=True,
    metavar="ID",
    shell_complete=complete_model,
    help="Which one.",
)
@click.option("--why", is_flag=True, help="Say of each hit which words and which sentence.")
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
    """Search the catalogue or an index by meaning and words.

    The catalogue's own index is built when it is first needed.

    \b
    bioretrieval-tui search 'late interaction for clinical trials'
    bioretrieval-tui search 'statins and memory' -i scifact -k 20 -f json
    bioretrieval-tui search 'IL-6 blockade' -i mine -w 'year:2019.. type:review' --why
    """
    from bioretrieval_tui.encoding.device import check_name
    from bioretrieval_tui.index.layout import CATALOGUE
    from bioretrieval_tui.search.hits import RERANKED, Question

    check_name(device)
    question = Question(text=query, k=count, mode=mode, where=where, order=order).checked()
    chosen = _reranker(reranker) if rerank else None
    read = question if chosen is None else _deeper(question, RERANKED)
    name = name or CATALOGUE
    with narrated(quiet=quiet) as reporter:
        model = mode != "lexical"
        found, note = _catalogue_ready(name, device, reporter, model=model)
        engine = _opened(name, device, reporter, model=model)
        try:
            answer = engine.search(read)
            hits: Sequence[Hit] = answer.hits
            if chosen is not None and hits:
                from bioretrieval_tui.search.rerank import reranked

                encoder = _cross_encoder(*chosen, device=device, reporter=reporter)
                hits = reranked(query, hits, encoder, reporter=reporter)[:count]
            reasons = engine.why(question, [hit.id for hit in hits]) if why else ()
        finally:
            engine.close()
    _tell_notes(note, answer)
    if not quiet and sys.stderr.isatty():
        words = f"{mode} search" + (f", reranked by {chosen[0]}" if chosen else "")
        tell(_stated(words, name, answer))
    _put(hits, reasons, f"Search: {query}", found, format_)


@click.command()
@click.argument("document", metavar="ID")
@_shared
@click.option(
    "--into",
    metavar="NAME",
    shell_complete=complete_index,
    help="Look there instead of in the document's own index; 'catalogue' is the catalogue.",
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
    """Find what is most like a document.

    ID is that of a document of the index -i, or of the catalogue.

    \b
    bioretrieval-tui similar medcpt
    bioretrieval-tui similar 4983 -i scifact
    bioretrieval-tui similar 4983 -i scifact --into catalogue
    """
    from bioretrieval_tui.encoding.device import check_name
    from bioretrieval_tui.index.layout import CATALOGUE

    check_name(device)
    name = name or CATALOGUE
    target = into or name
    with narrated(quiet=quiet) as reporter:
        found, note = None, None
        for needed in {name, target}:
            made, told = _catalogue_ready(needed, device, reporter, model=True)
            found, note = made or found, told or note
        engine = _opened(name, device, reporter, model=False)
        try:
            if target == name:
                answer = engine.similar(document, count, where)
            else:
                given = engine.document_named(document)
                other = _opened(target, device, reporter, model=True)
                try:
                    answer = other.like(given, count, where)
                finally:
                    other.close()
        finally:
            engine.close()
    _tell_notes(note, answer)
    if not quiet and sys.stderr.isatty():
        tell(_stated(f"like {document} of {name}", target, answer))
    _put(answer.hits, (), f"Like {document}", found if target == CATALOGUE else None, format_)


def _deeper(question: Question, depth: int) -> Question:
    """The question, asked for as many hits as a reranker reads."""
    import msgspec

    return msgspec.structs.replace(question, k=max(question.k, depth))


def _opened(name: str, device: str, reporter: Reporter, *, model: bool) -> SearchEngine:
    from bioretrieval_tui.search.engine import SearchEngine

    return SearchEngine.open(name, device=device, reporter=reporter, ready=model)


def _catalogue_ready(
    name: str, device: str, reporter: Reporter, *, model: bool
) -> tuple[Catalogue | None, str | None]:
    """Where `name` is the catalogue: it, after its index was brought up to date, and why that
    could not be done where it had to stay as it was."""
    from bioretrieval_tui.index.layout import CATALOGUE

    if name != CATALOGUE:
        return None, None
    from bioretrieval_tui.encoding.encoder import load_encoder
    from bioretrieval_tui.search.catalogue import ensure_catalogue_index
    from bioretrieval_tui.search.entries import catalogue_documents, fingerprint

    found = catalogue()
    documents = catalogue_documents(found)
    ensured = ensure_catalogue_index(
        documents,
        fingerprint(documents),
        (lambda: load_encoder(device=device, reporter=reporter)) if model else None,
        reporter,
    )
    return found, ensured.note


def _reranker(name: str) -> tuple[str, Encoding | None]:
    """Hub id or folder, and recipe, of a cross-encoder. Raises UsageError for any other model."""
    from bioretrieval_tui.cli.models import chosen_model

    chosen = chosen_model(name)
    if chosen is None or (chosen[1] is not None and chosen[1].type != "cross-encoder"):
        raise UsageError(f"{name} is no cross-encoder", remedy=f"use {RERANKER}")
    return chosen


def _cross_encoder(
    model: str, recipe: Encoding | None, *, device: str, reporter: Reporter
) -> CrossEncoder:
    from bioretrieval_tui.cli.downloads import fetch_missing
    from bioretrieval_tui.encoding.encoder import load_cross_encoder

    fetch_missing(model, recipe, reporter, download=False)
    return load_cross_encoder(model, recipe, device=device, reporter=reporter)


def _tell_notes(note: str | None, answer: Answer) -> None:
    for text in (note, answer.note):
        if text:
            tell(text)


def _stated(what: str, name: str, answer: Answer) -> str:
    """What answered: mode, index, size, model, and how many the filter kept."""
    from bioretrieval_tui.index.registry import manifest_of

    manifest = manifest_of(name)
    kept = "" if answer.fitting is None else f", the filter keeps {answer.fitting:,}"
    return f"{what} of {name}, {manifest.documents:,} documents, {manifest.model}{kept}"


def _put(
    hits: Sequence[Hit],
    reasons: Sequence[Why],
    title: str,
    found: Catalogue | None,
    format_: Format,
) -> None:
    from bioretrieval_tui.export.hits import hit_sheet

    citations: tuple[Citation, ...] = ()
    if format_ == "bibtex":
        citations = _citations(hits, found)
        if hits and not citations:
            raise BioRetrievalError(
                "none of these documents is known as a work to cite",
                remedy="their records have no year and no address; use another format",
            )
    put_sheet(hit_sheet(hits, title=title, citations=citations, reasons=reasons), format_)


def _citations(hits: Sequence[Hit], found: Catalogue | None) -> tuple[Citation, ...]:
    if found is None:
        from bioretrieval_tui.export.hitcitation import citable_hit, cite_hit

        return tuple(cite_hit(hit) for hit in hits if citable_hit(hit))
    from bioretrieval_tui.export.citation import citable, cite_entry

    entries = [found.by_id[hit.id] for hit in hits if hit.id in found.by_id]
    return tuple(cite_entry(entry) for entry in entries if citable(entry))
