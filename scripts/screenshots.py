"""Real screenshots of the app, as SVG exported by the app itself: `python scripts/screenshots.py`.

Writes `docs/screenshots/*.svg`, all of them or those named. Search needs an index named `scifact`
under BIORETRIEVAL_HOME (or the platform's folders) and is left out where there is none.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import cast

from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.paths import places
from bioretrieval_tui.tui.app import BioRetrievalApp
from bioretrieval_tui.tui.panes.search_pane import SearchPane

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "screenshots"

SHOTS: dict[str, tuple[str, tuple[int, int], str]] = {
    "home": ("dark", (110, 34), ""),
    "models": ("dark", (140, 40), "4 j j j j j"),
    "leaderboard": ("dark", (150, 34), "7 v > j j j"),
    "heat": ("light", (120, 40), "7 v m c j"),
    "evolution-light": ("light", (120, 36), "2 j j j j j j j j j j j j"),
    "lineage": ("dark", (110, 30), "2 j j j j j j v"),
    "filter": ("dark", (120, 30), "4 / r o l e : r e t r i e v e r space p a r a m s < = 5 0 0 M"),
    "search": ("dark", (140, 40), "enter"),
}
"""Theme, size and keys."""
QUERY = "vitamin D deficiency and multiple sclerosis"
KEYS = {":": "colon", "<": "less_than_sign", ">": "greater_than_sign", "=": "equals_sign",
        "/": "slash"}  # fmt: skip


async def shoot(name: str, theme: str, size: tuple[int, int], keys: str) -> None:
    app = BioRetrievalApp(load().catalogue, theme=theme, fresh=True)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(0.5)
        if name == "search":
            await app.search_in("scifact", QUERY)
            session = cast(SearchPane, app.pane).session
            while session.busy or session.view.answer.pending or not session.view.hits:
                await pilot.pause(0.2)
        for key in keys.split():
            await pilot.press(KEYS.get(key, key))
            # A digit before a motion within this time is its count.
            await pilot.pause(0.5 if key.isdigit() else 0.02)
        await pilot.pause(1.5)
        picture = app.export_screenshot(title="bioretrieval-tui")
        # Without the fonts that it would load from elsewhere.
        picture = re.sub(r",\s*url\([^;]*;", ";", picture)
        (FOLDER / f"{name}.svg").write_text(picture)


def main() -> None:
    for name in sys.argv[1:] or SHOTS:
        if name != "search" or (places().indexes / "scifact").is_dir():
            asyncio.run(shoot(name, *SHOTS[name]))


if __name__ == "__main__":
    main()
