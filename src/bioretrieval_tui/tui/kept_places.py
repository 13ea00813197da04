"""What letters stand for: places kept in this session, and saved searches and filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bioretrieval_tui.actions import key_of
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.tui.panes.classes import PANE_NAMES

if TYPE_CHECKING:
    from bioretrieval_tui.shelf import SavedSearch
    from bioretrieval_tui.tui.app import BioRetrievalApp


class KeptPlaces:
    """Keeps panes and rows under letters, and shows them and the saved searches again."""

    def __init__(self, app: BioRetrievalApp) -> None:
        self._app = app
        self._places: dict[str, tuple[str, str | None]] = {}
        """Pane and row by letter."""

    def keep_place(self) -> None:
        """Keep the pane and the row under the cursor under a letter that is asked for."""
        self._app.key_queue.ask("A letter keeps this place", self._keep_place)

    def _keep_place(self, letter: str) -> None:
        self._places[letter] = self._app.current, self._app.pane.place()
        self._app.say(f"Kept under {letter}")

    def go_to_place(self) -> None:
        """Go to what the next letter stands for."""
        letters = {*self._places, *(search.letter for search in self._app.shelf.saved)}
        kept = " ".join(sorted(letters)) or "none is kept yet"
        self._app.key_queue.ask(f"A letter goes to its place: {kept}", self._go_to_place)

    async def _go_to_place(self, letter: str) -> None:
        """Go to what was kept under a letter, else to the search that is saved under it; the key
        itself, twice, goes back."""
        app = self._app
        saved = next((one for one in app.shelf.saved if one.letter == letter), None)
        if letter == key_of("return-to-place"):
            await app.action_back()
        elif letter in self._places:
            app.remember()
            await app.arrive(*self._places[letter])
        elif saved is not None:
            await self.open_saved(saved)
        else:
            raise UsageError(f"No place is kept under {letter}")

    def keep_search(self) -> None:
        """Save what the pane searches or filters by, under a letter that is asked for. Raises
        UsageError: it does neither."""
        from bioretrieval_tui.shelf import SavedSearch
        from bioretrieval_tui.tui.dialogs.note_dialog import LetterDialog

        app = self._app
        if len(app.screen_stack) > 1:
            return  # a field of a dialog
        state, name = app.pane.state(), app.current
        state.pop("place", None)
        if not (state.get("query") or state.get("filter")):
            raise UsageError("Type a query or a filter first")

        async def chosen(letter: str | None) -> None:
            if letter is not None:
                await app.shelf.keep(SavedSearch(letter, name, state))
                app.say(f"Saved: {key_of('saved')}{letter} shows it again")

        app.push_screen(LetterDialog("Save it under", app.shelf.saved, known=False), chosen)

    def choose(self) -> None:
        """Ask for one of the saved searches."""
        from bioretrieval_tui.tui.dialogs.note_dialog import LetterDialog

        saved = self._app.shelf.saved

        async def chosen(letter: str | None) -> None:
            for search in saved:
                if search.letter == letter:
                    await self.open_saved(search)

        self._app.push_screen(LetterDialog("Saved searches", saved, known=True), chosen)

    async def open_saved(self, search: SavedSearch) -> None:
        """Show a saved search or filter again. Raises UsageError: its pane is gone."""
        if search.pane not in PANE_NAMES:
            raise UsageError("The pane of this search is gone")
        self._app.remember()
        pane = await self._app.show_pane(search.pane)
        pane.recall(search.state)
