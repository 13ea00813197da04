"""`catalog`: refresh what is known of entries online, check links, add entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from bioretrieval_tui.catalog.compiled import data_folder
from bioretrieval_tui.catalog.models import AnyEntry
from bioretrieval_tui.cli import options
from bioretrieval_tui.cli.lookups import catalogue, http_client
from bioretrieval_tui.cli.options import option
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.cli.streams import asked, can_confirm, narrated, put, put_sheet, tell
from bioretrieval_tui.errors import BioRetrievalError, CatalogueError, Problem, UsageError
from bioretrieval_tui.online import drafts, freshness, linkcheck
from bioretrieval_tui.paths import locked, places, private, save_file
from bioretrieval_tui.render.sheet import Column, Sheet, Shown, counted, linked, record_sheet
from bioretrieval_tui.terminal.editor import edited
from bioretrieval_tui.util.formatting import plural

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.catalogue import Catalogue
    from bioretrieval_tui.render.formats import Format


@click.group(cls=NamedGroup, no_args_is_help=False)
def catalog() -> None:
    """Refresh the catalogue, check its links, add entries.

    The network never changes the catalogue: differences are listed, and new entries become an
    overlay of yours.
    """


ids_argument = click.argument(
    "ids", metavar="[ID]...", nargs=-1, shell_complete=options.complete_id
)


@catalog.command()
@ids_argument
@option("--all", "List everything that is known.", name="everything")
@option("--changes", "List what changed, newest first.")
@option("--last", "Show the last refresh, without the network.")
@options.offline
@options.quiet
@options.format_
def refresh(
    ids: tuple[str, ...], everything: bool, changes: bool, last: bool, quiet: bool, format_: Format
) -> None:
    """Ask the model hub and arXiv about all models, data sets and papers (or those of ID).

    Downloads, likes, last change, licence, gating, new names and new versions are kept with their
    dates, beside the catalogue. Lists where the catalogue differs.

    \b
    bioretrieval-tui catalog refresh
    bioretrieval-tui catalog refresh --last --all -f csv
    """
    if everything and changes:
        raise UsageError("--all and --changes are two lists", remedy="choose one of them")
    found = catalogue()
    only = _known_ids(found, ids)
    failures = () if last else _refreshed(found, only, quiet)
    known = freshness.load_freshness()
    if last and known.refreshed is None:
        tell("nothing is known yet; run: bioretrieval-tui catalog refresh")
    differing = freshness.differences(found, known, only)
    if everything:
        sheet = _subject_sheet(known.subjects, freshness.subjects_of(found, only))
    elif changes:
        records = [msgspec.structs.asdict(one) for one in known.changes]
        sheet = record_sheet("Changes", _CHANGE_COLUMNS, records)
    else:
        records = [asdict(one) for one in differing]
        sheet = record_sheet("Differences from the catalogue", _DIFFERENCE_COLUMNS, records)
    put_sheet(sheet, format_)
    if known.refreshed and not quiet:
        tell(f"{plural(len(differing), 'difference')}, as of {known.refreshed}")
    for line in failures[1:]:
        tell(line)
    if failures:
        raise BioRetrievalError(failures[0])


def _refreshed(found: Catalogue, only: frozenset[str], quiet: bool) -> Sequence[str]:
    """Refresh, save the results even after an error, and return the failures."""
    now = datetime.now(UTC)
    subjects = list(freshness.subjects_of(found, only))
    described: list[freshness.Subject] = []
    with http_client() as client:
        try:
            with narrated(quiet) as reporter:
                day, known = now.date().isoformat(), freshness.load_freshness().subjects
                failures = freshness.refresh(
                    client, known, subjects, described, day=day, reporter=reporter
                )
        finally:
            changes = freshness.keep_subjects(described, now.isoformat(timespec="seconds"))
    if not quiet:
        for change in changes:
            tell(change.line())
        counts = f"{len(subjects)}, {len(described)} described, {plural(len(changes), 'change')}"
        tell(f"asked about {counts}")
    return failures


@catalog.command("check-links")
@ids_argument
@option("--all", "List working links too.", name="everything")
@options.offline
@options.quiet
@options.format_
def check_links(ids: tuple[str, ...], everything: bool, quiet: bool, format_: Format) -> None:
    """Request every link of the catalogue (or of the entries ID), and list what to fix.

    Exit code 1 if a link is dead. A server that rejects programs is unclear, not dead.

    \b
    bioretrieval-tui catalog check-links
    bioretrieval-tui catalog check-links --all -f csv > links.csv
    """
    entries = catalogue()
    links = linkcheck.links_of(entries, _known_ids(entries, ids))
    with http_client() as client, narrated(quiet) as reporter:
        found = linkcheck.check_links(links, linkcheck.reacher(client), reporter=reporter)
    verdicts = ("dead", "moved", "unclear", "ok")
    shown = [one for one in found if everything or one.verdict != "ok"]
    shown.sort(key=lambda one: verdicts.index(one.verdict))
    rows, records = [], []
    for one in shown:
        uses = [f"{use.entry} ({use.label})" for use in links[one.url]]
        more = f" and {len(uses) - 2} more" if len(uses) > 2 else ""
        where = Shown("; ".join(uses), "; ".join(uses[:2]) + more)
        link = linked(one.url, one.url)
        rows.append((one.verdict, one.status, link, where, one.advice, one.final))
        records.append(asdict(one) | {"uses": [use._asdict() for use in links[one.url]]})
    put_sheet(Sheet("Links", _LINK_COLUMNS, rows, records), format_)
    counts = {name: sum(one.verdict == name for one in found) for name in reversed(verdicts)}
    if not quiet:
        tell(f"{len(found)} links: " + ", ".join(f"{n} {name}" for name, n in counts.items()))
    if counts["dead"]:
        raise BioRetrievalError(
            f"{counts['dead']} of {plural(len(found), 'link')} dead",
            remedy="the table has a remedy for each",
        )


@catalog.command()
@click.argument("work", metavar="REFERENCE")
@option("--yes", "Save the draft as it is, without an editor.")
@option("--print", "Write the draft to stdout only.", name="only_print")
@options.offline
def add(work: str, yes: bool, only_print: bool) -> None:
    """Add an entry for arxiv:ID, hub:ORG/NAME, hub:datasets/ORG/NAME or pmid:ID.

    A draft is made from the work's page and opened in $VISUAL or $EDITOR. The saved text is
    checked like the catalogue, and becomes an overlay.

    \b
    bioretrieval-tui catalog add arxiv:2310.12345
    bioretrieval-tui catalog add hub:ncbi/MedCPT-Query-Encoder --print
    """
    what = drafts.reference(work)
    found = catalogue()
    own = drafts.held(found, what)
    if own is not None:
        remedy = f"see: bioretrieval-tui show {own.id}"
        raise UsageError(f"the catalogue has {what} already: {own.id}", remedy=remedy)
    with http_client() as client:
        draft = drafts.draft_of(client, what, found, day=datetime.now(UTC).date().isoformat())
    if only_print:
        put([draft.text])
        return
    path = _saved(draft, draft.text.encode("utf-8")) if yes else _edited(draft)
    tell("nothing was added" if path is None else f"added {draft.id}: {path}")


def _known_ids(found: Catalogue, ids: tuple[str, ...]) -> frozenset[str]:
    """The ids as the catalogue writes them. Raises NotFoundError for an unknown one."""
    return frozenset(found.entry(one).id for one in ids)


# Drafts in an editor ------------------------------------------------------------------------------


def _edited(draft: drafts.EntryDraft) -> Path | None:
    """Open the draft until it is valid or given up; return its overlay, None if it was emptied.

    Raises CatalogueError where the saved text is invalid and was given up; it is kept.
    """
    text = draft.text.encode()
    while True:
        text = edited(text, ".yaml", what="the draft", kept="nothing was added",
                      otherwise="add --yes to save it as it is")  # fmt: skip
        lines = (line.strip() for line in text.splitlines())
        if not any(line and not line.startswith(b"#") for line in lines):
            return None
        try:
            return _saved(draft, text)
        except CatalogueError as error:
            if can_confirm():
                for problem in error.problems:
                    tell(str(problem))
                if asked("Correct it?", default=True):
                    continue
            kept = places().state / "drafts" / f"{draft.id}.yaml"
            save_file(kept, text, "the draft", opener=private)
            said = "your text is kept here; nothing was added to the catalogue"
            raise CatalogueError([*error.problems, Problem(kept, said)]) from None


def _saved(draft: drafts.EntryDraft, text: bytes) -> Path:
    """Check `text` and save it as the draft's overlay. Raises CatalogueError with every problem."""
    folder = places().overlays
    path = folder / f"{draft.id}.yaml"
    overlays = {
        other: other.read_bytes()
        for other in sorted(folder.glob("*.y*ml"))
        if other.is_file() and not other.name.startswith(".")
    }
    problems = drafts.checked(text, path, data_folder(), overlays)
    if problems:
        raise CatalogueError(problems)
    with locked(folder / ".writing.lock", "the entry cannot be saved", "another one is saved"):
        if path.exists():
            remedy = "edit that, or move it away"
            raise BioRetrievalError(f"there is an overlay {path} already", remedy=remedy)
        save_file(path, text, "the entry")
    return path


# Sheets -------------------------------------------------------------------------------------------

_DIFFERENCE_COLUMNS = (
    Column("entry", "entry", weight=2, min_width=10),
    Column("field", "field", min_width=7),
    Column("catalogue", "catalogue says", weight=3, min_width=14),
    Column("found", "found", weight=3, min_width=14),
    Column("date", "since", min_width=10),
    Column("subject", "where", weight=2, min_width=12),
    Column("severe", "severe", data_only=True),
)
_CHANGE_COLUMNS = (
    Column("date", "date", min_width=10),
    Column("where", "where", min_width=5),
    Column("name", "name", weight=3, min_width=12),
    Column("field", "field", min_width=7),
    Column("before", "before", weight=2, min_width=8),
    Column("after", "after", weight=2, min_width=8),
)
_SUBJECT_COLUMNS = (
    Column("name", "name", weight=4, min_width=16),
    Column("entries", "entry", weight=2, min_width=10),
    Column("state", "state", min_width=6),
    Column("changed", "last change", min_width=10),
    Column("downloads", "downloads", "right"),
    Column("likes", "likes", "right"),
    Column("licence", "licence", min_width=7),
    Column("gated", "gated", min_width=5),
    Column("version", "version", "right"),
    Column("asked", "asked", min_width=10),
    Column("where", "where", data_only=True),
    Column("now", "now", data_only=True),
)
_COUNTED = ("downloads", "likes")
_LINK_COLUMNS = (
    Column("verdict", "verdict", min_width=7),
    Column("status", "status", "right"),
    Column("url", "address", weight=4, min_width=24),
    Column("where", "where", weight=2, min_width=12),
    Column("advice", "what to do", weight=4, min_width=20),
    Column("final", "final", data_only=True),
)


def _subject_sheet(
    known: Mapping[str, freshness.Subject],
    subjects: Mapping[tuple[freshness.Where, str], Sequence[AnyEntry]],
) -> Sheet:
    """Everything that is known of each subject; subjects: with the entries that name them."""
    rows, records = [], []
    for (where, name), entries in subjects.items():
        if (one := known.get(f"{where}:{name}")) is None:
            continue
        ids = [entry.id for entry in entries]
        record = {"where": one.where, "name": one.name, "entries": ids, "state": one.state}
        facts = {name: msgspec.structs.asdict(fact) for name, fact in one.facts.items()}
        records.append(record | {"now": one.now, "asked": one.asked, "facts": facts})
        state = f"now {one.now}" if one.state == "renamed" and one.now else one.state
        changed = one.fact("changed") or one.fact("updated")
        numbers = [value if isinstance(value, int) else None for value in map(one.fact, _COUNTED)]
        stated = map(one.fact, ("licence", "gated", "version"))
        named = (one.name, ", ".join(ids), Shown(one.state, state), changed)
        rows.append((*named, *map(counted, numbers), *stated, one.asked, one.where, one.now))
    return Sheet("The catalogue on the network", _SUBJECT_COLUMNS, rows, records)
