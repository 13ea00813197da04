"""`show` and `open`: one entry, whole, and its pages."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.catalogue import catalogue, complete_id
from bioretrieval_tui.cli.narration import tell
from bioretrieval_tui.cli.output import format_option, put, put_page, put_sheet
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.catalogue import Catalogue
    from bioretrieval_tui.catalog.models import AnyEntry, Link
    from bioretrieval_tui.render.formats import Format


@click.command()
@click.argument("identifier", metavar="ID", shell_complete=complete_id)
@format_option()
def show(identifier: str, format_: Format) -> None:
    """Show one entry, whole, with its relations and figures.

    \b
    bioretrieval-tui show medcpt
    bioretrieval-tui show nfcorpus -f json | jq '.results[] | {model, value}'
    """
    found = catalogue()
    entry = found.entry(identifier)
    if format_ in ("json", "jsonl"):
        from bioretrieval_tui.render.entries import entry_record
        from bioretrieval_tui.render.formats import encoded, object_text

        record = entry_record(entry, found)
        put([object_text(record) if format_ == "json" else encoded(record) + "\n"])
    elif format_ in ("csv", "bibtex"):
        from bioretrieval_tui.render.entries import entry_sheet

        sheet = entry_sheet([entry], found)
        if format_ == "bibtex" and not sheet.citations:
            raise _not_citable(entry, found)
        put_sheet(sheet, format_)
    else:
        from bioretrieval_tui.render.entries import entry_page

        put_page(entry_page(entry, found), format_)


def _not_citable(entry: AnyEntry, found: Catalogue) -> BioRetrievalError:
    from bioretrieval_tui.catalog.models import Paper

    papers = [other.id for other in found.related(entry.id) if isinstance(other, Paper)]
    remedy = f"its papers: {', '.join(papers[:3])}" if papers else None
    return BioRetrievalError(f"'{entry.id}' is not a work to cite", remedy=remedy)


def _complete_type(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Types of links: while its option is being typed, click does not know the ID yet."""
    from typing import get_args

    from bioretrieval_tui.catalog.models import LinkType

    return [name for name in get_args(LinkType) if name.startswith(begun)]


@click.command("open")
@click.argument("identifier", metavar="ID", shell_complete=complete_id)
@click.option(
    "--link",
    "label",
    metavar="LABEL",
    shell_complete=_complete_type,
    help="Which of its links, by label or type; the first if not said.",
)
@click.option("--print", "only_print", is_flag=True, help="Write the address, open nothing.")
def open_entry(identifier: str, label: str | None, only_print: bool) -> None:
    """Open an entry's page in the browser.

    $BROWSER is honoured. Where no browser can appear before you, as over SSH, the address is
    written to stdout and sent to your terminal's clipboard.
    """
    from bioretrieval_tui.terminal.capabilities import here
    from bioretrieval_tui.terminal.clean import safe_url
    from bioretrieval_tui.terminal.opening import open_url

    entry = catalogue().entry(identifier)
    link = _chosen(entry, label)
    url = safe_url(link.url)
    if url is None:
        raise BioRetrievalError(f"the link '{link.label}' of {entry.id} is no address to open")
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
        from bioretrieval_tui.terminal.clipboard import Route, copy

        copied = copy(url, caps)
        sent = "" if copied.route is Route.DIALOG else f"; {copied.message}"
        tell(result.message + sent)


def _chosen(entry: AnyEntry, label: str | None) -> Link:
    """The link of that label, or of that type, or the first.

    Raises:
        NotFoundError: there is none; those that there are are named.
    """
    if not entry.links:
        raise NotFoundError(f"'{entry.id}' has no link")
    if label is None:
        return entry.links[0]
    wanted = label.casefold()
    for link in entry.links:
        if link.label.casefold() == wanted:
            return link
    for link in entry.links:
        if link.type == wanted or link.label.casefold().startswith(wanted):
            return link
    labels = ", ".join(f"'{link.label}'" for link in entry.links)
    raise NotFoundError(f"'{entry.id}' has no link '{label}'", remedy=f"its links: {labels}")
