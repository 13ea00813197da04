"""How a pane divides the window between list and page, and the columns of its list: both kept."""

from __future__ import annotations

from bisect import bisect_left
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from bioretrieval_tui.errors import BioRetrievalError

if TYPE_CHECKING:
    from bioretrieval_tui.settings import SettingsStore
    from bioretrieval_tui.tui.widgets.table import VirtualTable

LEAST_PAGE = 40
"""Columns that a page needs to stand beside its list."""
LEAST_TALL = 20
"""Lines of a window from which the rows of a list may have two."""
LEAST_SHARE, MOST_SHARE = 20, 80
_STEP = 5
Zoom = Literal["", "page", "list"]


class PaneLayout(Struct, omit_defaults=True):
    """The layout of a pane.

    share: percent of the width that the list has; 0: what its columns need, and the usual share.
    zoom: what is shown alone, "" for both.
    columns: fields that the list shows, () for the usual ones.
    """

    share: Annotated[int, Meta(ge=0, le=MOST_SHARE)] = 0
    zoom: Zoom = ""
    columns: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: SettingsStore, pane: str) -> PaneLayout:
        """What was kept of a pane; the default where nothing is, or nothing that can be read."""
        with suppress(BioRetrievalError, msgspec.DecodeError):
            if kept := settings.setting(f"layout {pane}"):
                return msgspec.json.decode(kept, type=cls)
        return cls()

    def keep(self, settings: SettingsStore, pane: str) -> None:
        settings.set_setting(f"layout {pane}", msgspec.json.encode(self).decode())

    def move(self, by: int, cells: int, width: int) -> None:
        """Move the border by steps; cells: of the list, which has so many of `width` now."""
        share = _STEP * (round(100 / _STEP * cells / width) + by)
        self.share = max(LEAST_SHARE, min(share, MOST_SHARE))

    def list_width(
        self, table: VirtualTable, width: int, wide: int, usual: int, *, tall: bool
    ) -> int:
        """Columns of a list beside its page; 0 where one of them is shown at a time.

        wide: columns of a window from which they stand side by side; usual: share of the list where
        the user chose none. It gets more where it would show fewer columns than alone in a slightly
        narrower window; at the usual share it has no page where that leaves too little.
        """
        if width < wide or self.zoom:
            return 0
        alone = {*table.columns_at(width - 1, tall=tall and table.titled)}
        least = bisect_left(
            range(width), True, key=lambda cells: alone <= {*table.columns_at(cells, tall=tall)}
        )
        cells = max(width * (self.share or usual) // 100, least)
        return cells if self.share or width - cells >= LEAST_PAGE else 0
