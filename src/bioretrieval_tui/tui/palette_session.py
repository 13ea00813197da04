"""What the palette and the choice of a theme offer, and what a choice does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from textual._callback import invoke

from bioretrieval_tui.actions import PANE_OF_SCOPE, Action, in_force
from bioretrieval_tui.catalog.models import Entry
from bioretrieval_tui.errors import UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.tui.app import BioRetrievalApp
    from bioretrieval_tui.tui.dialogs.palette import Choice, PaletteChoice


class PaletteSession:
    """Opens the palette of an app, and the list of its themes."""

    def __init__(self, app: BioRetrievalApp) -> None:
        self._app = app

    def open_palette(self) -> None:
        """Offer the actions, indexes, themes and entries."""
        from bioretrieval_tui.tui.dialogs.palette import Palette, PaletteChoice

        app, here = self._app, self._app.pane.scopes
        offered = [action for action in in_force() if action.palette]
        working = {action.id: action for action in app.working_actions()}
        actions = [working.get(action.id, action) for action in offered if action.scope in here]
        more = [a for a in offered if a.scope not in here and a.scope in PANE_OF_SCOPE]
        choices = [
            PaletteChoice(f"index {name}", f"Search {name}", "Search in this index",
                          partial(app.search_in, name))
            for name in app.index_names()
        ]  # fmt: skip
        choices += self._looks(self._keep_look)
        entries = (*app.catalogue.entries, *app.catalogue.listed)
        dialog = Palette([*actions, *more, *choices], entries, here, working)
        app.push_screen(dialog, self.chosen)

    async def chosen(self, choice: Choice | None) -> None:
        """Do what was chosen; an action of another pane is run there."""
        app = self._app
        if isinstance(choice, Action):
            if choice.scope not in app.pane.scopes:
                await app.action_go(PANE_OF_SCOPE[choice.scope])
            target = app if choice.scope == "everywhere" else app.pane
            # A new pane has a size only after the refresh.
            app.call_after_refresh(app.run_action, choice.name, target)
        elif isinstance(choice, Entry):
            app.jump(choice.id)
        elif choice is not None:
            await invoke(choice.act)

    def choose_look(self) -> None:
        """Offer the themes, each shown while the cursor is on it. Raises UsageError: without
        colours they have no effect."""
        from bioretrieval_tui.tui.dialogs.palette import Palette

        app = self._app
        if app.no_color:
            raise UsageError("NO_COLOR is set: themes have no effect")
        before = app.look.name

        def kept(choice: Choice | None) -> None:
            if choice is None:
                app.use_look(before)
            else:
                self._keep_look(choice.id)

        themes, at = self._looks(app.use_look), list(app.looks).index(before)
        app.push_screen(Palette(themes, (), (), (), preview=True, at=at), kept)

    def _looks(self, act: Callable[[str], None]) -> list[PaletteChoice]:
        from bioretrieval_tui.tui.dialogs.palette import PaletteChoice

        said = "NO_COLOR is set: no effect" if self._app.no_color else "Use this theme"
        names = self._app.looks
        return [PaletteChoice(name, f"Theme: {name}", said, partial(act, name)) for name in names]

    def _keep_look(self, name: str) -> None:
        if self._app.no_color:
            raise UsageError("NO_COLOR is set: themes have no effect")
        self._app.use_look(name)
        self._app.say(f"Theme: {name}")
        self._app.settings.set_setting("theme", name)
