"""The reader's shelf in the app, without a widget: read and changed in threads, listed, undone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import FilterError, UsageError
from bioretrieval_tui.render.sheet import shortened
from bioretrieval_tui.shelf import (
    STATUSES,
    Change,
    SavedSearch,
    Shelf,
    ShelfMark,
    ShelfStore,
    noted_as,
    shelf_path,
)
from bioretrieval_tui.util.formatting import plural

if TYPE_CHECKING:
    from bioretrieval_tui.query import Filter
    from bioretrieval_tui.search.types import Hit
    from bioretrieval_tui.tui.app import BioRetrievalApp

_LONGEST_TITLE = 40

ShelfRow = ShelfMark | SavedSearch


class ShelfSession:
    """What is on the shelf, and the list of it.

    shelf: the marks as they were read last; saved: the saved searches by letter. shown: the rows of
    the list, saved searches first where it is not filtered; filter, problem: as of an
    `EntrySession`; sorted_by: (column, descending), None for the newest change first. changed:
    called after a change.
    """

    def __init__(self, owner: BioRetrievalApp, changed: Callable[[], None]) -> None:
        self._owner, self._changed = owner, changed
        self._lost: list[str] = []
        self.store = ShelfStore(shelf_path(), self._lost.append)
        self._version = b""
        self._lock = asyncio.Lock()
        """Held while the file is read or changed: what is read is not older than a change."""
        self.shelf = Shelf()
        self.saved: list[SavedSearch] = []
        self.shown: list[ShelfRow] = []
        self.filter = ""
        self.problem: FilterError | None = None
        self.sorted_by: tuple[str, bool] | None = None
        self._filter: Filter | None = None

    # Reading and changing ----------------------------------------------------------------

    async def read(self) -> None:
        """Read the file if it has changed: another app or a shell may have done so. Raises
        BioRetrievalError."""

        def load() -> tuple[bytes, Shelf, list[SavedSearch]] | None:
            version = self.store.version()
            if version == self._version:
                return None
            shelf = Shelf(self.store.marks())
            _ = shelf.by_key
            return version, shelf, self.store.saved()

        async with self._lock:
            found = await asyncio.to_thread(load)
            if found is not None:
                self._version, self.shelf, self.saved = found
        if found is not None:
            self._show()

    async def change(self, things: Sequence[ShelfMark], change: Change, what: str) -> None:
        """Change things; `undo` brings back what was noted of them. what: was done, in words.
        Raises BioRetrievalError."""
        pairs = await self._apply([(thing, change) for thing in things])
        if before := [one for one, after in pairs if one.noted != after.noted]:
            self._owner.undo.add(what, partial(self._put_back, before))

    async def _put_back(self, before: Sequence[ShelfMark]) -> None:
        await self._apply([(one, noted_as(one)) for one in before])

    async def _apply(
        self, changes: Sequence[tuple[ShelfMark, Change]]
    ) -> list[tuple[ShelfMark, ShelfMark]]:
        async with self._lock:
            pairs = await asyncio.to_thread(self.store.change, changes)
            known = {key for _, after in pairs for key in after.keys}
            new = [replace(after, about={}) for _, after in pairs if after.kept]
            self.shelf = Shelf([*new, *(m for m in self.shelf.marks if known.isdisjoint(m.keys))])
        self._show()
        return pairs

    async def star(self, things: Sequence[ShelfMark]) -> None:
        """Star things, or unstar them if all are starred. Raises UsageError: there is none."""
        if not things:
            raise UsageError("There is nothing to star here")
        on = not all(self.starred(thing.keys) for thing in things)
        what = things[0].title if len(things) == 1 else plural(len(things), "item")
        said = f"{what} {'starred' if on else 'unstarred'}"
        await self.change(things, lambda mark: replace(mark, starred=on), said)
        self._owner.say(said)

    def ask_for_note(self, thing: ShelfMark | None) -> None:
        """Ask for status, tags and note of a thing. Raises UsageError: there is none."""
        from bioretrieval_tui.tui.dialogs.note_dialog import NoteDialog

        if thing is None:
            raise UsageError("There is nothing to note here")
        held = self.shelf.find(thing.keys)

        async def answered(mark: ShelfMark | None) -> None:
            if mark is not None:
                what = f"note on {shortened(mark.title, _LONGEST_TITLE)} changed"
                await self.change([thing], noted_as(mark), what)

        self._owner.push_screen(NoteDialog(noted_as(held)(thing) if held else thing), answered)

    async def keep(self, search: SavedSearch) -> None:
        """Save a search under its letter. Raises BioRetrievalError."""
        before = next((one for one in self.saved if one.letter == search.letter), None)
        await asyncio.to_thread(self.store.save, search)
        if before is not None:
            what = f"saved search {search.letter} replaced"
            self._owner.undo.add(what, partial(self.keep, before))
        await self.read()

    async def forget(self, search: SavedSearch) -> None:
        """Remove a saved search."""
        await asyncio.to_thread(self.store.forget, search.letter)
        what = f"saved search {search.letter} removed"
        self._owner.undo.add(what, partial(self.keep, search))
        await self.read()

    def _show(self) -> None:
        self._filter = None
        if self._lost:
            self._owner.say(self._lost.pop(), "error")
        self._changed()

    # Looking up --------------------------------------------------------------------------

    def starred(self, keys: Sequence[str]) -> bool:
        mark = self.shelf.find(keys)
        return mark is not None and mark.starred

    def of_hit(self, hit: Hit, *, entry: bool) -> ShelfMark | None:
        """What is noted of a hit. entry: it is one of the catalogue."""
        if entry:
            return self.shelf.entry(hit.id)
        return self.of_document(Document(hit.id, hit.title, hit.text, hit.metadata))

    def of_document(self, document: Document) -> ShelfMark | None:
        """What is noted of a document."""
        if not self.shelf.marks:
            return None
        from bioretrieval_tui.documents.identity import shelf_keys

        return self.shelf.find(shelf_keys(document))

    # The list ----------------------------------------------------------------------------

    def filter_by(self, text: str, *, whole: bool = False) -> None:
        """Filter by the text of the filter line, as `EntrySession.filter_by`."""
        try:
            self._matching(text)
        except FilterError as problem:
            self.problem = problem
            if whole:
                raise
        else:
            self.filter, self.problem = text, None

    def _matching(self, text: str) -> list[ShelfMark]:
        from bioretrieval_tui.index.shelf_conditions import shelf_filter

        marks = self.shelf.marks
        if not text.strip():
            return marks
        self._filter = self._filter or shelf_filter(marks)
        return [marks[at] for at in self._filter.apply(text)]

    def fill(self) -> None:
        """Filter and sort again."""
        marks = self._matching(self.filter)
        if self.sorted_by is not None:
            key, down = self.sorted_by
            marks = sorted(marks, key=partial(_value, key), reverse=down)
        self.shown = [*(() if self.filter.strip() else self.saved), *marks]

    def sort(self, key: str) -> str:
        """Sort by a column; again: the other way; a third time: newest change first."""
        down = self.sorted_by == (key, False)
        self.sorted_by = None if self.sorted_by == (key, True) else (key, down)
        return "" if self.sorted_by is None else "descending" if down else "ascending"


def _value(key: str, mark: ShelfMark) -> tuple[bool, object]:
    """What a mark is sorted by in a column; those without come last."""
    if key == "starred":
        return False, not mark.starred
    if key == "status":
        order = (*STATUSES, "")
        return not mark.status, order.index(mark.status)
    value = " ".join(mark.tags) if key == "tags" else str(getattr(mark, key) or "")
    return not value, value.casefold()
