"""Real screenshots of the app, as SVG exported by the app itself: `python scripts/screenshots.py`.

Writes `docs/screenshots/*.svg`. Search needs an index named `scifact` under BIORETRIEVAL_HOME
(or the platform's folders) and is left out where there is none.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from textual.pilot import Pilot

from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.paths import places
from bioretrieval_tui.tui.app import BioRetrievalApp

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "screenshots"

SHOTS: dict[str, tuple[str, tuple[int, int], list[str]]] = {
    "home": ("dark", (110, 34), []),
    "models": ("dark", (140, 40), ["4", "j", "j", "j", "j", "j"]),
    "leaderboard": ("dark", (150, 34), ["7", "v", "greater_than_sign", *["j"] * 3]),
    "heat": ("light", (120, 40), ["7", "v", "m", "c"]),
    "evolution-light": ("light", (120, 30), ["2", *["j"] * 12]),
    "lineage": ("dark", (110, 30), ["2", *["j"] * 6, "v"]),
    "filter": ("dark", (120, 30), ["4", "slash", *"role:retriever params<=500M"]),
}
KEYS = {":": "colon", "<": "less_than_sign", "=": "equals_sign", " ": "space"}


async def shoot(name: str, theme: str, size: tuple[int, int], keys: list[str]) -> None:
    """One screenshot."""
    loaded = load()
    app = BioRetrievalApp(loaded.catalogue, theme=theme)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        for key in keys:
            await pilot.press(KEYS.get(key, key))
        await pilot.pause(0.8)
        save(app, name)


async def shoot_search() -> None:
    """Search in a real index of SciFact, with the real model."""
    loaded = load()
    app = BioRetrievalApp(loaded.catalogue, theme="dark")
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.press("9")
        await until(pilot, lambda: bool(getattr(app.pane, "ready", False)), 300)
        pane = app.pane
        await pilot.press("escape")
        while getattr(pane, "index", "") != "scifact":
            before = getattr(pane, "index", "")
            await pilot.press("x")
            await until(pilot, lambda last=before: getattr(pane, "index", "") != last, 30)
        await pilot.press("slash")
        for letter in "vitamin D deficiency and multiple sclerosis":
            await pilot.press(KEYS.get(letter, letter))
        await until(pilot, lambda: bool(getattr(pane, "hits", ())), 120)
        await pilot.press("enter", "j", "k")
        await pilot.pause(0.8)
        save(app, "search")


async def until(pilot: Pilot[None], true: object, seconds: int) -> None:
    """Wait for something to become true."""
    for _ in range(seconds * 10):
        if callable(true) and true():
            return
        await pilot.pause(0.1)
    raise TimeoutError("it did not happen")


def save(app: BioRetrievalApp, name: str) -> None:
    """Export what is on screen, without fonts from elsewhere."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    picture = re.sub(r",\s*url\([^;]*;", ";", app.export_screenshot(title="bioretrieval-tui"))
    (FOLDER / f"{name}.svg").write_text(picture)


def main() -> None:
    """All of them, or those named."""
    wanted = sys.argv[1:] or [*SHOTS, "search"]
    for name in wanted:
        if name != "search":
            asyncio.run(shoot(name, *SHOTS[name]))
        elif (places().indexes / "scifact").is_dir():
            asyncio.run(shoot_search())


if __name__ == "__main__":
    main()
