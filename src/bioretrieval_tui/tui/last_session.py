"""What the app showed when it ended, for its next start: pane, filters, orders, rows, queries."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from bioretrieval_tui.errors import BioRetrievalError

if TYPE_CHECKING:
    from bioretrieval_tui.settings import SettingsStore
    from bioretrieval_tui.tui.app import BioRetrievalApp

SETTING = "session"
PaneState = dict[str, str]
"""What `Pane.state` tells and `Pane.restore` reads."""
_NOT_KEPT = frozenset(("found", "qrels"))
"""Panes whose contents go with the session."""
KEPT_EVERY = 5.0
"""Seconds after which a change is kept: a terminal that is closed asks no one."""


class _Kept(msgspec.Struct, frozen=True):
    pane: str = "home"
    panes: dict[str, PaneState] = {}


class LastSession:
    """The state of the panes of the last session, until each is shown again. fresh: it is
    forgotten, and the new one is kept."""

    def __init__(self, settings: SettingsStore, *, fresh: bool = False) -> None:
        self._settings = settings
        self._kept = _Kept()
        if not fresh and settings.path.exists():
            with contextlib.suppress(BioRetrievalError, msgspec.DecodeError, UnicodeEncodeError):
                text = settings.setting(SETTING) or "{}"
                self._kept = msgspec.json.decode(text.encode(), type=_Kept)
        self._left = dict(self._kept.panes)

    def first_pane(self, known: frozenset[str]) -> str:
        """The pane to begin with."""
        return self._kept.pane if self._kept.pane in known - _NOT_KEPT else "home"

    def take(self, pane: str) -> PaneState:
        """The state of a pane that is shown for the first time, {} if there is none."""
        return self._left.pop(pane, {})

    def keep(self, app: BioRetrievalApp) -> None:
        """Keep what is shown now, if it has changed."""
        panes = {one.pane_name: one.state() for one in app.panes() if one.is_mounted}
        kept = _Kept(app.current, {**self._left, **{n: s for n, s in panes.items() if s}})
        if kept == self._kept or not panes:
            return
        with contextlib.suppress(BioRetrievalError, UnicodeEncodeError):
            self._settings.set_setting(SETTING, msgspec.json.encode(kept).decode())
            self._kept = kept
