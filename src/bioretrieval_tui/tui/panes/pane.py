"""What every pane is: something with a scope of keys that can be shown and can take the focus."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.widget import Widget

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.tui.widgets.canvas import Canvas

if TYPE_CHECKING:
    from bioretrieval_tui.tui.app import BioRetrievalApp
    from bioretrieval_tui.tui.evaluating import Result
    from bioretrieval_tui.tui.works import Outcome

WIDE = 100
"""Columns from which list and detail stand side by side."""


class Pane(Widget):
    """Base of the panes."""

    DEFAULT_CSS = "Pane { height: 1fr; width: 1fr; layout: vertical; }"
    SCOPES: ClassVar[tuple[str, ...]] = ("everywhere",)
    """Scopes of the registry whose keys work here, most special first."""
    MORE_SCOPES: ClassVar[tuple[str, ...]] = ()
    """Scopes that work in its dialogs only: the help names them too."""
    TITLE: ClassVar[str] = ""

    def __init__(self, name: str) -> None:
        super().__init__(id=f"pane-{name}")
        self.pane_name = name

    @property
    def owner(self) -> BioRetrievalApp:
        """The app, typed."""
        return cast("BioRetrievalApp", self.app)

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue that the app shows."""
        return self.owner.catalogue

    def activate(self) -> None:
        """The pane was shown: take the focus."""

    def place(self) -> str | None:
        """What `back` should return to within this pane: an entry's id, or None."""
        return None

    def go_to(self, place: str | None) -> None:
        """Return to a place that `place` gave."""

    def works_changed(self) -> None:
        """Work on an index began, went on or ended."""

    def work_done(self, outcome: Outcome) -> None:
        """What came of it."""

    def evaluation_changed(self) -> None:
        """An evaluation began, went on or ended."""

    def evaluation_done(self, result: Result) -> None:
        """What came of it."""

    def redraw(self) -> None:
        """Draw everything anew, after a change of look."""
        for canvas in self.query(Canvas):
            canvas.repaint()
