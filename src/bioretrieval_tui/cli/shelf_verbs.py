"""`shelf`: star, tag and annotate entries and documents; list, export and import them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.cli import options
from bioretrieval_tui.cli.lookups import catalogue, with_board
from bioretrieval_tui.cli.options import option
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.cli.streams import put_sheet, tell
from bioretrieval_tui.errors import NotFoundError, UsageError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.render.shelf_items import (
    document_mark,
    entry_mark,
    read_shelf,
    save_shelf,
    shelf_sheet,
)
from bioretrieval_tui.shelf import (
    STATUSES,
    Change,
    Shelf,
    ShelfMark,
    ShelfStore,
    shelf_path,
    status_of,
)
from bioretrieval_tui.util.formatting import plural

if TYPE_CHECKING:
    from bioretrieval_tui.render.formats import Format

_TITLES = {"pmid": ("PMID {}", "https://pubmed.ncbi.nlm.nih.gov/{}/"),
           "doi": ("{}", "https://doi.org/{}")}  # fmt: skip


@click.group(cls=NamedGroup, no_args_is_help=False)
def shelf() -> None:
    """Star, tag and annotate entries and documents; export them.

    ID is an entry of the catalogue, pmid:N, doi:D, or INDEX/ID of a document. What is noted is kept
    by PMID, DOI or content: in every index that has the document.
    """


_where = option(
    "-w --where FILTER",
    "Only what matches, as in: is:starred status:reading tag:x note:word kind:model. Repeatable:"
    " all must match.",
    name="conditions",
    multiple=True,
)
_id = click.argument("identifier", metavar="ID", shell_complete=options.complete_id)
_ids = click.argument(
    "identifiers", metavar="ID...", nargs=-1, required=True, shell_complete=options.complete_id
)


@shelf.command("list")
@_where
@options.cited_format
def list_(conditions: Sequence[str], format_: Format) -> None:
    """List what is on the shelf, newest change first.

    \b
    bioretrieval-tui shelf list -w 'is:starred status:to-read'
    bioretrieval-tui shelf list -w tag:review -f bibtex > review.bib
    """
    marks = _kept(conditions, about=format_ not in ("table", "markdown", "csv", "latex"))
    put_sheet(shelf_sheet(marks, catalogue()), format_)
    if not marks:
        tell("nothing on the shelf matches" if conditions else "the shelf is empty")


@shelf.command()
@_ids
def star(identifiers: Sequence[str]) -> None:
    """Star entries or documents.

    \b
    bioretrieval-tui shelf star medcpt pmid:17606479 mine/4983
    """
    _change(identifiers, lambda mark: replace(mark, starred=True), "starred")


@shelf.command()
@_ids
def unstar(identifiers: Sequence[str]) -> None:
    """Take the star from entries or documents."""
    _change(identifiers, lambda mark: replace(mark, starred=False), "not starred")


@shelf.command()
@_id
@click.argument("tags", metavar="TAG...", nargs=-1, required=True)
@option("--remove", "Remove these tags.")
def tag(identifier: str, tags: tuple[str, ...], remove: bool) -> None:
    """Tag an entry or a document."""

    def change(mark: ShelfMark) -> ShelfMark:
        gone = {one.casefold() for one in tags} if remove else ()
        left = [one for one in mark.tags if one.casefold() not in gone]
        return replace(mark, tags=(*left, *(() if remove else tags)))

    _change([identifier], change, "")


@shelf.command()
@_id
@click.argument("words", metavar="[TEXT]...", nargs=-1)
def note(identifier: str, words: tuple[str, ...]) -> None:
    """Write the note of an entry or a document; without TEXT in $EDITOR.

    An empty TEXT removes the note.
    """
    (thing,) = _things([identifier])
    text = " ".join(words)
    if not words:
        from bioretrieval_tui.terminal.editor import edited_note

        known = Shelf(_store().marks()).find(thing.keys)
        text = edited_note(known.note if known else "", "write it behind the ID")
    _change([identifier], lambda mark: replace(mark, note=text), "")


@shelf.command()
@_id
@click.argument(
    "state", metavar="STATUS", shell_complete=options.completes(lambda: ("to-read", *STATUSES[1:]))
)
def status(identifier: str, state: str) -> None:
    """Set the reading status: to-read, reading, read, or none."""
    wanted = status_of(state)
    _change([identifier], lambda mark: replace(mark, status=wanted), "")


@shelf.command("export")
@click.argument("file", type=options.FILE)
@_where
def export_(file: Path, conditions: Sequence[str]) -> None:
    """Write the shelf to a file; the extension sets the format.

    .json can be imported again, .md is a reading list, .bib and others are citations.
    """
    marks = _kept(conditions, about=True)
    tell(f"wrote {plural(len(marks), 'item')} to {save_shelf(file, marks, catalogue())}")


@shelf.command("import")
@click.argument("file", type=options.FILE)
@option("--status STATUS", "Of works that are new: to-read, reading, read.", default="to-read")
def import_(file: Path, status: str) -> None:
    """Put what a file holds on the shelf: an exported shelf (JSON), BibTeX, RIS, CSL JSON and more.

    Of what is on the shelf already, stars and tags are joined, and the newer status and note kept.
    """
    wanted = status_of(status)
    if not wanted:
        raise UsageError("works without a status are not kept", remedy="use to-read")
    store = _store()
    changes = store.change(read_shelf(file, Shelf(store.marks()), wanted, tell))
    new = sum(not before.kept for before, _ in changes)
    tell(f"{plural(len(changes), 'item')} of {file}, {new:,} new on the shelf")


# The store and its things -----------------------------------------------------------------------


def _store() -> ShelfStore:
    return ShelfStore(shelf_path(), tell)


def _kept(conditions: Iterable[str], *, about: bool) -> list[ShelfMark]:
    from bioretrieval_tui.index.shelf_conditions import shelf_filter

    marks = _store().marks(about=about)
    for condition in conditions:
        marks = [marks[at] for at in shelf_filter(marks).apply(condition)]
    return marks


def _change(identifiers: Sequence[str], change: Change, said: str) -> None:
    """Change things of these ids, all or none, and tell what is noted of each."""
    things = _things(identifiers)
    for _, after in _store().change([(thing, change) for thing in things]):
        noted = [*filter(None, ("starred" if after.starred else "", after.status, *after.tags))]
        noted += ["with a note"] if after.note else []
        tell(f"{after.entry or after.key}: {', '.join(noted) or said or 'not on the shelf'}")


def _things(identifiers: Iterable[str]) -> list[ShelfMark]:
    """What the ids name, as things to mark. Raises NotFoundError."""
    from bioretrieval_tui.documents.identity import identifiers_of
    from bioretrieval_tui.index.registry import index_names

    known, names = Shelf(_store().marks()), index_names()
    read: list[Catalogue] = []

    def entry(identifier: str) -> ShelfMark:
        if not read:
            read.append(catalogue())
            if identifier not in read[0].by_id:
                read[0] = with_board(read[0])
        return entry_mark(read[0].entry(identifier))

    def thing(identifier: str) -> ShelfMark:
        index, _, document = identifier.partition("/")
        if held := known.find([identifier, f"entry:{identifier}"]):
            return held
        if index in names and document:
            return entry(document) if index == CATALOGUE else _document(index, document)
        for kind, value in identifiers_of(identifier).items():
            if kind in _TITLES:
                title, url = (part.format(value) for part in _TITLES[kind])
                return known.find([f"{kind}:{value}"]) or ShelfMark(
                    keys=(f"{kind}:{value}",), title=title, url=url
                )
        return entry(identifier)

    return list(map(thing, dict.fromkeys(identifiers)))


def _document(index: str, identifier: str) -> ShelfMark:
    from bioretrieval_tui.index.registry import open_index

    opened = open_index(index, vectors=False)
    try:
        found = opened.documents.find(identifier)
    finally:
        opened.close()
    if found is None:
        raise NotFoundError(f"index {index} has no document '{identifier}'")
    return document_mark(found[1])
