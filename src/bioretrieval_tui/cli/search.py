"""`search`: a query over the catalogue or an index, in this process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.catalogue import catalogue, complete_index
from bioretrieval_tui.cli.narration import narrated, tell
from bioretrieval_tui.cli.output import format_option, put_sheet
from bioretrieval_tui.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bioretrieval_tui.catalog.view import Catalogue
    from bioretrieval_tui.export.citation import Citation
    from bioretrieval_tui.export.formats import Format
    from bioretrieval_tui.progress import Reporter
    from bioretrieval_tui.search.hits import Hit


@click.command()
@click.argument("query")
@click.option(
    "-i",
    "--index",
    "name",
    metavar="NAME",
    shell_complete=complete_index,
    help="The index to search; the catalogue's own if not said.",
)
@click.option(
    "-k",
    "count",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="How many to find.",
)
@click.option(
    "-m", "--mode", default="dense", show_default=True, metavar="MODE", help="dense, by meaning."
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="DEVICE",
    help="Where the query is encoded: auto, cpu, cuda, cuda:N or mps.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr while it works.")
@format_option()
def search(
    query: str, name: str | None, count: int, mode: str, device: str, quiet: bool, format_: Format
) -> None:
    """Search the catalogue or an index by meaning.

    The catalogue's own index is built when it is first needed.

    \b
    bioretrieval-tui search 'late interaction for clinical trials'
    bioretrieval-tui search 'statins and memory' -i scifact -k 20 -f json
    """
    from bioretrieval_tui.encoding.device import check_name
    from bioretrieval_tui.index.layout import CATALOGUE

    check_name(device)
    name = name or CATALOGUE
    if format_ == "bibtex" and name != CATALOGUE:
        raise UsageError(
            f"hits of the index {name} are not known as works to cite",
            remedy="formats: table, markdown, json, jsonl, csv",
        )
    from bioretrieval_tui.search.engine import check_query, search_index

    check_query(query, count, mode)
    found = catalogue() if name == CATALOGUE else None
    with narrated(quiet=quiet) as reporter:
        note = None if found is None else _ensure(found, device, reporter)
        hits = search_index(name, query, count, mode, device, reporter)
    if note:
        tell(note)
    if not quiet and sys.stderr.isatty():
        tell(_stated(name, mode))

    from bioretrieval_tui.export.hits import hit_sheet

    citations = () if found is None or format_ != "bibtex" else _citations(found, hits)
    put_sheet(hit_sheet(hits, title=f"Search: {query}", citations=citations), format_)


def _ensure(found: Catalogue, device: str, reporter: Reporter) -> str | None:
    """See that the catalogue's index is there; why it is out of date, where it had to stay so."""
    from bioretrieval_tui.encoding.encoder import load_encoder
    from bioretrieval_tui.search.catalogue import ensure_catalogue_index
    from bioretrieval_tui.search.entries import catalogue_documents, fingerprint

    documents = catalogue_documents(found)
    return ensure_catalogue_index(
        documents,
        fingerprint(documents),
        lambda: load_encoder(device=device, reporter=reporter),
        reporter,
    ).note


def _stated(name: str, mode: str) -> str:
    """What answered: mode, index, size, model."""
    from bioretrieval_tui.index.registry import manifest_of

    manifest = manifest_of(name)
    return f"{mode} search of {name}, {manifest.documents:,} documents, {manifest.model}"


def _citations(found: Catalogue, hits: Sequence[Hit]) -> tuple[Citation, ...]:
    from bioretrieval_tui.export.citation import citable, cite_entry

    entries = [found.by_id[hit.id] for hit in hits if hit.id in found.by_id]
    return tuple(cite_entry(entry) for entry in entries if citable(entry))
