"""What the app looks like: every pane at every size, in every theme, and the states between.

All on the small catalogue that never changes. `make snapshots TESTS=tests/tui` writes them anew;
read the difference before a commit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from driving import NOTHING, Session
from textual.pilot import Pilot

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.tui.app import BioRetrievalApp

NARROW, USUAL, LARGE = (80, 24), (120, 40), (200, 60)
EVIL = ("j",) * 4
"""From the first paper to the hostile one; the one before it has a wide name."""
PANES = ("home", "timeline", "papers", "models", "datasets", "benchmarks", "leaderboard", "path")


@dataclass(frozen=True, slots=True)
class State:
    """A pane, the keys pressed in it (then `typed`, letter by letter), size and theme."""

    name: str
    pane: str
    keys: tuple[str, ...] = ()
    typed: str = ""
    then: tuple[str, ...] = ()
    size: tuple[int, int] = USUAL
    theme: str = "dark"


STATES = (
    *(State(f"{pane}-narrow", pane, size=NARROW) for pane in PANES),
    *(State(f"{pane}-usual", pane) for pane in PANES),
    *(State(f"{pane}-large", pane, size=LARGE) for pane in PANES),
    *(State(f"{pane}-light", pane, theme="light") for pane in ("home", "models", "leaderboard")),
    *(State(f"{pane}-terminal", pane, theme="terminal") for pane in ("home", "papers", "path")),
    State("timeline-kin", "timeline", ("j",)),
    State("timeline-light", "timeline", ("j",), theme="light"),
    State("timeline-filtered", "timeline", ("slash",), "year>=2021", ("enter",)),
    State("timeline-low", "timeline", size=(80, 15)),
    State("lineage", "timeline", ("v", "j")),
    State("lineage-narrow", "timeline", ("v",), size=NARROW),
    State("lineage-reading", "timeline", ("v", "j", "enter")),
    State("lineage-filtered", "timeline", ("v", "slash"), "beta", ("enter",)),
    State("models-300x100", "models", size=(300, 100)),
    State("small-window", "models", size=(50, 12)),
    State("reading-narrow", "models", ("j", "enter"), size=NARROW),
    State("reading-narrow-scrolled", "models", ("j", "enter", "G"), size=NARROW),
    State("reading-usual", "models", ("j", "enter", "ctrl+d")),
    State("hostile-paper", "papers", EVIL),
    State("hostile-paper-narrow", "papers", (*EVIL, "enter"), size=NARROW),
    State("hostile-paper-terminal", "papers", EVIL, theme="terminal"),
    State("wide-paper", "papers", EVIL[1:], size=USUAL),
    State("last-rows", "papers", ("G",), size=NARROW),
    State("filter-open", "models", ("slash",)),
    State("filter-typed", "models", ("slash",), "alpha"),
    State("filter-kept", "models", ("slash",), "alpha", ("enter",)),
    State("filter-wrong-field", "models", ("slash",), "paramz>=3"),
    State("filter-no-match", "models", ("slash",), "zzzzqqqq"),
    State("filter-narrow", "papers", ("slash",), "year>=2020", size=NARROW),
    State("filter-light", "papers", ("slash",), "alpha", theme="light"),
    State("sorted", "models", (">", "s")),
    State("sorted-reversed", "models", (">", "s", "s")),
    State("marked", "models", ("space", "space"), size=NARROW),
    State("compared", "models", ("space", "space", "space", "equals_sign")),
    State(
        "compared-narrow", "models", ("space", "space", "j", "space", "equals_sign"), size=NARROW
    ),
    State(
        "compared-folded", "benchmarks", ("space", "space", "equals_sign", "f", "j"), size=NARROW
    ),
    State("links-letter", "papers", ("l",)),
    State("relations-letter", "papers", ("r",)),
    State("relations-letter-narrow", "papers", ("r",), size=NARROW),
    State("no-link", "timeline", ("G", "o")),
    State("help-list", "models", ("question_mark",)),
    State("help-home", "home", ("question_mark",), size=NARROW),
    State("help-leaderboard", "leaderboard", ("question_mark",)),
    State("help-search", "search", ("escape", "question_mark")),
    State("help-light", "path", ("question_mark",), theme="light"),
    State("palette", "home", ("ctrl+p",)),
    State("palette-typed", "home", ("ctrl+p",), "alpha"),
    State("palette-none", "home", ("ctrl+p",), "zzzzqqqq", size=NARROW),
    State("export", "papers", ("e",)),
    State("export-narrow", "leaderboard", ("v", "e"), size=NARROW),
    State("export-bad-ending", "papers", ("e", "end"), "x", ("enter",)),
    State("matrix", "leaderboard", ("v",)),
    State("matrix-narrow", "leaderboard", ("v",), size=NARROW),
    State("matrix-large", "leaderboard", ("v",), size=LARGE),
    State("matrix-sideways", "leaderboard", ("v", *(">",) * 9), size=NARROW),
    State("matrix-sorted", "leaderboard", ("v", ">", ">", "s")),
    State("matrix-reversed", "leaderboard", ("v", ">", ">", "s", "s")),
    State("matrix-zero-shot", "leaderboard", ("v", "Z")),
    State("matrix-filtered", "leaderboard", ("v", "slash"), "alpha", ("enter",)),
    State("matrix-terminal", "leaderboard", ("v",), theme="terminal"),
    State("matrix-light", "leaderboard", ("v",), theme="light"),
    State("steps-done", "path", ("space", "j", "x")),
    State("steps-done-narrow", "path", ("space",), size=NARROW),
    State("address-shown", "papers", ("o",)),
    State("address-shown-light", "papers", ("o",), size=NARROW, theme="light"),
    State("text-shown", "papers", ("Y",)),
    State("theme-chosen", "papers", ("t", "down")),
    State("nothing-to-go-back-to", "papers", ("backspace",)),
)

Compare = Callable[..., bool]


def test_overwrite_question(small: Catalogue, folder: Path, snap_compare: Compare) -> None:
    (folder / "bioretrieval-papers.md").write_text("years of work")

    async def drive(pilot: Pilot[Any]) -> None:
        session = await arrived(pilot, "papers")
        await session.press("e", "enter")

    app = BioRetrievalApp(small, capabilities=NOTHING)
    assert snap_compare(app, terminal_size=NARROW, run_before=drive)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_screen(state: State, small: Catalogue, snap_compare: Compare) -> None:
    async def drive(pilot: Pilot[Any]) -> None:
        session = await arrived(pilot, state.pane)
        await session.press(*state.keys)
        await session.type(state.typed)
        await session.press(*state.then)
        if session.app.screen is session.app.screen_stack[0]:
            await session.rest()

    app = BioRetrievalApp(small, capabilities=NOTHING, theme=state.theme)
    assert snap_compare(app, terminal_size=state.size, run_before=drive)


async def arrived(pilot: Pilot[Any], pane: str) -> Session:
    """A session on a pane."""
    session = Session(pilot)
    await session.settle()
    await session.app.show_pane(pane)
    await session.settle()
    return session


@pytest.mark.parametrize("pane", ["home", "models", "leaderboard", "timeline"])
def test_without_colour(
    pane: str, small: Catalogue, snap_compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def drive(pilot: Pilot[Any]) -> None:
        await (await arrived(pilot, pane)).rest()

    assert snap_compare(
        BioRetrievalApp(small, capabilities=NOTHING), terminal_size=USUAL, run_before=drive
    )


def test_a_broken_overlay_is_told(small: Catalogue, snap_compare: Compare) -> None:
    problems = ("catalog.d/mine.yaml:3: alpha: unknown key 'nmae'", "and another")
    app = BioRetrievalApp(small, capabilities=NOTHING, problems=problems)
    assert snap_compare(app, terminal_size=NARROW)
