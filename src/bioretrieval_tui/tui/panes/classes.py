"""The panes by their names; each module is imported when its pane is shown first."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from bioretrieval_tui.actions import PANES
from bioretrieval_tui.tui.panes.pane import Pane

PANE_CLASSES: dict[str, tuple[str, str]] = {
    "home": ("home", "HomePane"),
    "timeline": ("evolution", "EvolutionPane"),
    "models": ("browse", "ModelsPane"),
    "benchmarks": ("browse", "BenchmarksPane"),
    "leaderboard": ("leaderboard", "LeaderboardPane"),
    "path": ("start", "StartPane"),
    "search": ("search_pane", "SearchPane"),
    "indexes": ("index_list", "IndexesPane"),
    "qrels": ("qrels_pane", "QrelsPane"),
    "news": ("news_list", "NewsPane"),
    "found": ("found", "FoundPane"),
    "shelf": ("shelf_pane", "ShelfPane"),
}
"""(module, class) of the panes that are not a plain section of the catalogue."""
PANE_NAMES = frozenset((*PANE_CLASSES, *(name for name, _, _ in PANES)))


def pane_of(section: str) -> str:
    """The pane that lists a section of the catalogue."""
    return "leaderboard" if section == "recipes" else section


def make_pane(name: str) -> Pane:
    """A pane that was not shown yet."""
    module, class_name = PANE_CLASSES.get(name, ("browse", "BrowsePane"))
    found = getattr(import_module(f"bioretrieval_tui.tui.panes.{module}"), class_name)
    return cast(Pane, found(name))
