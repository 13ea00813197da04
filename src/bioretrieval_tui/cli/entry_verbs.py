"""`list`, `show` and `open`: entries of the catalogue."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import get_args

import click

from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of_section
from bioretrieval_tui.catalog.fields import field_name, filtered, ordered
from bioretrieval_tui.catalog.models import AnyEntry, Benchmark, Link, LinkType, Model, Paper
from bioretrieval_tui.cli import options
from bioretrieval_tui.cli.lookups import catalogue, kind_section, with_board
from bioretrieval_tui.cli.options import option
from bioretrieval_tui.cli.streams import put, put_object, put_page, put_sheet, tell
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError, UsageError
from bioretrieval_tui.render.entries import entry_page, entry_record, entry_sheet
from bioretrieval_tui.render.formats import CITED, Format, encoded


@click.command("list")
@click.argument("kind", required=False, shell_complete=options.complete_kind)
@option(
    "-w --where FILTER",
    'Keep entries that match: words, "a phrase", field:value, params<=500M, year:2020..2024,'
    " -word, OR, parentheses. Repeatable: all must match.",
    name="conditions",
    multiple=True,
)
@option("-s --sort FIELD", "Order by a field.", shell_complete=options.complete_field)
@option("-r --reverse", "Reverse the order.")
@option("--listed", "With the models of the public board: their facts are declared, not checked.")
@option("-n --limit LIMIT", "At most this many.", type=options.POSITIVE)
@options.cited_format
def list_entries(
    kind: str | None,
    conditions: Sequence[str],
    sort: str | None,
    reverse: bool,
    listed: bool,
    limit: int | None,
    format_: Format,
) -> None:
    """List entries of the catalogue.

    KIND is papers, models, datasets, benchmarks, recipes, timeline or path; without it, all.

    \b
    bioretrieval-tui list models -w 'params<=500M licence:mit' -s params
    bioretrieval-tui list papers -w 'hard negatives' -f bibtex > references.bib
    bioretrieval-tui list benchmarks -f json | jq -r '.[].id'
    """
    section = None if kind is None else kind_section(kind)
    sort = None if sort is None else field_name(sort)
    found = catalogue()
    if listed:
        if section not in (None, "models"):
            raise UsageError(f"--listed is for models, not for {section}", remedy="leave it out")
        found = with_board(found)
    entries: Sequence[AnyEntry] = found.entries if section is None else found.section(section)
    if listed:
        entries = (*entries, *found.listed)
    for condition in conditions:
        entries = filtered(entries, condition, found)
    if sort is not None:
        entries = ordered(entries, sort, found, reverse=reverse)
    elif reverse:
        entries = entries[::-1]
    singular = None if section is None else kind_of_section(section)
    sheet = entry_sheet(entries[:limit], found, kind=singular)
    put_sheet(sheet, format_)
    if conditions and not entries:
        tell("no entry matches the filter")
    elif format_ in CITED and not sheet.citations:
        tell("no entry here can be cited")


@click.command()
@click.argument("identifier", metavar="ID", shell_complete=options.complete_id)
@options.cited_format
def show(identifier: str, format_: Format) -> None:
    """Show one entry with its relations and results.

    \b
    bioretrieval-tui show medcpt
    bioretrieval-tui show nfcorpus -f json | jq '.results[] | {model, value}'
    """
    found, entry = _entry(identifier)
    if format_ == "json":
        put_object(entry_record(entry, found))
    elif format_ == "jsonl":
        put([encoded(entry_record(entry, found)) + "\n"])
    elif format_ in ("csv", "latex", *CITED):
        sheet = entry_sheet([entry], found)
        if format_ in CITED and not sheet.citations:
            papers = [other.id for other in found.related(entry.id) if isinstance(other, Paper)]
            remedy = f"its papers: {', '.join(papers[:3])}" if papers else None
            raise BioRetrievalError(f"'{entry.id}' cannot be cited", remedy=remedy)
        put_sheet(sheet, format_)
    else:
        page = entry_page(entry, found)
        if isinstance(entry, Model | Benchmark):
            from bioretrieval_tui.evaluation.records import records
            from bioretrieval_tui.render.evaluations import own_runs, with_runs

            page = with_runs(page, entry.id, own_runs(records(tell), found))
        from bioretrieval_tui.render.shelf_items import with_mark
        from bioretrieval_tui.shelf import kept_shelf

        put_page(with_mark(page, kept_shelf().entry(entry.id)), format_)


def _entry(identifier: str) -> tuple[Catalogue, AnyEntry]:
    """The catalogue and its entry of that id; the board is read for models and benchmarks."""
    found = catalogue()
    known = found.by_id.get(identifier) or found.by_id.get(identifier.casefold())
    if known is None or isinstance(known, Model | Benchmark):
        found = with_board(found)
    return found, found.entry(identifier)


@click.command("open")
@click.argument("identifier", metavar="ID", shell_complete=options.complete_id)
@option(
    "--link LABEL",
    "Link to open, by label or type (default: the first).",
    name="label",
    shell_complete=options.completes(lambda: get_args(LinkType)),  # the ID is not known yet
)
@option("--print", "Print the address, open nothing.", name="only_print")
def open_entry(identifier: str, label: str | None, only_print: bool) -> None:
    """Open an entry's page in the browser.

    Uses $BROWSER. Without a browser, as over SSH, the address is written to stdout and copied to
    your terminal's clipboard.
    """
    from bioretrieval_tui.terminal.capabilities import here
    from bioretrieval_tui.terminal.clean import safe_url
    from bioretrieval_tui.terminal.desktop import Route, copy, open_url

    _, entry = _entry(identifier)
    link = _chosen(entry, label)
    url = safe_url(link.url)
    if url is None:
        raise BioRetrievalError(f"the link '{link.label}' of {entry.id} is not an address")
    if only_print:
        put([url + "\n"])
        return
    caps = here(sys.stdout)
    result = open_url(url, caps)
    if result.action == "opened":
        tell(f"{result.message}: {url}")
        return
    put([url + "\n"])
    if caps.interactive:
        copied = copy(url, caps)
        sent = "" if copied.route is Route.DIALOG else f"; {copied.message}"
        tell(result.message + sent)


def _chosen(entry: AnyEntry, label: str | None) -> Link:
    """Return the link of that label or type, or the first. Raises NotFoundError with the labels."""
    if not entry.links:
        raise NotFoundError(f"'{entry.id}' has no link")
    if label is None:
        return entry.links[0]
    wanted = label.casefold()
    links = [(link, link.label.casefold()) for link in entry.links]
    exact = [link for link, name in links if name == wanted]
    for link in (*exact, *(a for a, b in links if a.type == wanted or b.startswith(wanted))):
        return link
    labels = ", ".join(f"'{link.label}'" for link in entry.links)
    raise NotFoundError(f"'{entry.id}' has no link '{label}'", remedy=f"its links: {labels}")
