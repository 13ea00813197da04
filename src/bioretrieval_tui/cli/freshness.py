"""`catalog`: what the network says of the catalogue, and new entries from there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.catalogue import catalogue, complete_id
from bioretrieval_tui.cli.downloads import offline_option, opened, quiet_option
from bioretrieval_tui.cli.narration import narrated, tell
from bioretrieval_tui.cli.output import format_option, put, put_sheet
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.errors import BioRetrievalError, UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.catalogue import Catalogue
    from bioretrieval_tui.render.formats import Format


@click.group(cls=NamedGroup, no_args_is_help=False)
def catalog() -> None:
    """Refresh the catalogue, check its links, add entries.

    Nothing of the catalogue is ever changed by what the network says: differences are shown, and
    new entries go into an overlay of your own.
    """


ids_argument = click.argument("ids", metavar="[ID]...", nargs=-1, shell_complete=complete_id)


@catalog.command()
@ids_argument
@click.option("--all", "everything", is_flag=True, help="List everything that is known.")
@click.option("--changes", is_flag=True, help="List what changed, newest first.")
@click.option("--last", is_flag=True, help="Ask nothing: show what the last refresh found.")
@offline_option
@quiet_option
@format_option(without=("bibtex",))
def refresh(
    ids: tuple[str, ...],
    everything: bool,
    changes: bool,
    last: bool,
    offline: bool,
    quiet: bool,
    format_: Format,
) -> None:
    """Ask the model hub and arXiv about every model, data set and paper (or those named).

    Downloads, likes, last change, licence, gating, new names and new versions are kept with their
    days, beside the catalogue. Lists where the catalogue says something else.

    \b
    bioretrieval-tui catalog refresh
    bioretrieval-tui catalog refresh --last --all -f csv
    """
    if everything and changes:
        raise UsageError("--all and --changes are two lists", remedy="ask for one of them")
    from bioretrieval_tui.cli.freshsheets import change_sheet, difference_sheet, subject_sheet
    from bioretrieval_tui.online.differences import differences, subjects_of
    from bioretrieval_tui.online.fresh import load_freshness

    found = catalogue()
    only = _named(found, ids)
    failures: tuple[str, ...] = ()
    if last:
        known = load_freshness()
        if known.refreshed is None:
            tell("nothing is known yet; ask with: bioretrieval-tui catalog refresh")
    else:
        failures = _refreshed(found, only, quiet, offline)
        known = load_freshness()
    subjects = subjects_of(found, only)
    differing = differences(found, known, only)
    if everything:
        entries = {
            f"{where}:{name}": [entry.id for entry in named]
            for (where, name), named in subjects.items()
        }
        put_sheet(
            subject_sheet(
                [known.subjects[key] for key in entries if key in known.subjects], entries
            ),
            format_,
        )
    elif changes:
        put_sheet(change_sheet(known.changes), format_)
    else:
        put_sheet(difference_sheet(differing), format_)
    if known.refreshed and not quiet:
        tell(f"{_counted(len(differing), 'difference')}, as of {known.refreshed}")
    if failures:
        for line in failures[1:]:
            tell(line)
        raise BioRetrievalError(failures[0])


def _refreshed(
    found: Catalogue, only: frozenset[str], quiet: bool, offline: bool
) -> tuple[str, ...]:
    """Ask, keep what came (however it ended), tell what changed; returns the failures."""
    from bioretrieval_tui.online.differences import subjects_of
    from bioretrieval_tui.online.fresh import load_freshness, save_freshness
    from bioretrieval_tui.online.refresh import Asking

    now = datetime.now(UTC)
    subjects = list(subjects_of(found, only))
    with opened(offline) as door:
        asking = Asking(door, load_freshness(), day=now.date().isoformat())
        try:
            with narrated(quiet=quiet) as reporter:
                asking.ask(subjects, reporter)
        finally:
            outcome = asking.outcome(now.isoformat(timespec="seconds"))
            if asking.found:
                save_freshness(outcome.freshness)
    if not quiet:
        for change in outcome.changes:
            tell(change.line())
        tell(
            f"asked about {len(subjects)}, {outcome.asked} answered for,"
            f" {_counted(len(outcome.changes), 'change')}"
        )
    return outcome.failures


@catalog.command("check-links")
@ids_argument
@click.option("--all", "everything", is_flag=True, help="List the links that are well, too.")
@offline_option
@quiet_option
@format_option(without=("bibtex",))
def check_links(
    ids: tuple[str, ...], everything: bool, offline: bool, quiet: bool, format_: Format
) -> None:
    """Ask for every link of the catalogue (or of the entries named), and list what to fix.

    Exit code 1 when a link is dead. A server that lets no programs in is unclear, not dead.

    \b
    bioretrieval-tui catalog check-links
    bioretrieval-tui catalog check-links --all -f csv > links.csv
    """
    from bioretrieval_tui.cli.freshsheets import link_sheet
    from bioretrieval_tui.online import linkcheck
    from bioretrieval_tui.online.reaching import reacher

    found_entries = catalogue()
    links = linkcheck.links_of(found_entries, _named(found_entries, ids))
    with opened(offline) as door, narrated(quiet=quiet) as reporter:
        found = linkcheck.check_links(links, reacher(door), reporter=reporter)
    rank = {"dead": 0, "moved": 1, "unclear": 2, "ok": 3}
    shown = [one for one in found if everything or one.verdict != "ok"]
    put_sheet(link_sheet(sorted(shown, key=lambda one: rank[one.verdict])), format_)
    counts = {name: sum(one.verdict == name for one in found) for name in rank}
    if not quiet:
        tell(
            f"{len(found)} links: " + ", ".join(f"{counts[name]} {name}" for name in reversed(rank))
        )
    if counts["dead"]:
        raise BioRetrievalError(
            f"{counts['dead']} of {_counted(len(found), 'link')} dead",
            remedy="what to do stands in the table",
        )


def _named(found: Catalogue, ids: tuple[str, ...]) -> frozenset[str]:
    """The ids as the catalogue has them. Raises NotFoundError for one that it has not."""
    return frozenset(found.entry(one).id for one in ids)


@catalog.command()
@click.argument("work", metavar="REFERENCE")
@click.option("--yes", is_flag=True, help="Keep the draft as it is; open no editor.")
@click.option("--print", "only_print", is_flag=True, help="Write the draft, keep nothing.")
@offline_option
def add(work: str, yes: bool, only_print: bool, offline: bool) -> None:
    """Add an entry for arxiv:ID, hub:ORG/NAME, hub:datasets/ORG/NAME or pmid:ID.

    A draft is made from what its page says and opened in $VISUAL or $EDITOR. What you save is
    checked as the catalogue is, and kept as an overlay.

    \b
    bioretrieval-tui catalog add arxiv:2310.12345
    bioretrieval-tui catalog add hub:ncbi/MedCPT-Query-Encoder --print
    """
    from bioretrieval_tui.cli.drafting import edited, kept
    from bioretrieval_tui.online.additions import held, reference
    from bioretrieval_tui.online.describing import described

    what = reference(work)
    found = catalogue()
    own = held(found, what)
    if own is not None:
        raise UsageError(
            f"the catalogue has {what} already: {own.id}",
            remedy=f"see: bioretrieval-tui show {own.id}",
        )
    with opened(offline) as door:
        draft = described(door, what, found, day=datetime.now(UTC).date().isoformat())
    if only_print:
        put([draft.text])
        return
    path = kept(draft, draft.text.encode("utf-8")) if yes else edited(draft)
    if path is None:
        tell("nothing is added")
        return
    tell(f"added {draft.id}: {path}")


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
