"""What own evaluations, the explorer and steps that run look like; as `test_tui_snapshots.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from driving import NOTHING, Session
from fixed_catalogue import PROSE
from own_records import record
from test_tui_qrels import ROWS
from test_tui_snapshots import NARROW, USUAL, Compare, arrived
from test_tui_steps import steps  # noqa: F401 - a fixture
from textual.pilot import Pilot

from bioretrieval_tui.backend.job_folder import JobRecord
from bioretrieval_tui.backend.protocol import EvaluateJob, EvaluationSummary, ModeScores
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.evaluation.qrels import FoundRow, QueryView
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.tui.app import BioRetrievalApp
from bioretrieval_tui.tui.panes.qrels_pane import QrelsPane, document_lines

MODES = ("lexical", "dense")
ANSWER = EvaluationSummary(
    "facts", "test", "lab/alpha", 3, 5_000,
    tuple(ModeScores(mode, {"nDCG@10": 0.5}) for mode in MODES), "eval-facts-12345678", "ab" * 32,
)  # fmt: skip
VIEW = QueryView(
    "1", "Muscle pain",
    {mode: {"nDCG@10": 0.2, "AP@100": 0.1, "R@100": 1.0, "RR@10": 0.25, "P@10": 0.1}
     for mode in MODES},
    (FoundRow("d1", 2, "Statins", {"lexical": 4, "dense": 1}),
     FoundRow("d9", 1, None, {"lexical": None, "dense": None})),
    (FoundRow("d3", None, "A document that nobody has judged yet", {"lexical": 1, "dense": None}),),
)  # fmt: skip

Act = Callable[[Session], Awaitable[None]]


def kept() -> None:
    """Records of three kinds: one far off, one near, one of files of the reader's own."""
    record(value=0.66, day=3)
    record("lexical", value=0.6, day=2)
    record(catalogue=None, benchmark="mine", sha256="ef" * 32, day=1)


async def matrix(session: Session) -> None:
    await session.press("v")


async def own_page(session: Session) -> None:
    await session.press("v", "w", "enter")


async def removing(session: Session) -> None:
    await session.press("v", "G", "d")


def explored(session: Session) -> QrelsPane:
    """As if both processes had answered."""
    pane = session.app.pane
    assert isinstance(pane, QrelsPane)
    pane.session._show(ROWS, ANSWER)
    pane.workers.cancel_group(pane, "view")
    pane.session.view = VIEW
    pane.show_view()
    return pane


async def queries(session: Session) -> None:
    explored(session)
    await session.settle()


async def documents(session: Session) -> None:
    explored(session)
    await session.settle()
    await session.press("enter")


async def document(session: Session) -> None:
    pane = explored(session)
    pane.add_class("-reading", "-document")
    pane.detail.show(document_lines(VIEW.judged[0], MODES, ("Statins", PROSE)))
    pane.detail.focus()
    await session.settle()


async def ranking(session: Session) -> None:
    jobs = session.app.jobs
    job = EvaluateJob("/data/facts", MODES, purpose="explore")
    step = Progress("encoding", 1_024, 5_000, rate=98.2, device="cpu")
    jobs._records = [JobRecord(id="1", job=job, state="running", progress=step)]
    session.app.job_session.changed()
    await session.settle()


async def nothing(session: Session) -> None:
    pass


async def runnable(session: Session) -> None:
    session.app.pane.go_to("step-model")
    await session.settle()
    if session.app.size.width < 100:
        await session.press("enter")


SCREENS: tuple[tuple[str, str, Act, tuple[int, int], str], ...] = (
    ("board", "leaderboard", matrix, USUAL, "dark"),
    ("board-narrow", "leaderboard", matrix, NARROW, "dark"),
    ("board-light", "leaderboard", matrix, USUAL, "light"),
    ("own-page", "leaderboard", own_page, USUAL, "dark"),
    ("own-page-narrow", "leaderboard", own_page, NARROW, "dark"),
    ("removing-narrow", "leaderboard", removing, NARROW, "dark"),
    ("empty", "qrels", nothing, NARROW, "dark"),
    ("queries", "qrels", queries, USUAL, "dark"),
    ("queries-narrow", "qrels", queries, NARROW, "dark"),
    ("queries-light", "qrels", queries, USUAL, "light"),
    ("documents-narrow", "qrels", documents, NARROW, "dark"),
    ("document", "qrels", document, USUAL, "dark"),
    ("document-narrow", "qrels", document, NARROW, "dark"),
    ("ranking", "qrels", ranking, USUAL, "dark"),
    ("ranking-narrow", "qrels", ranking, NARROW, "dark"),
    ("elsewhere-narrow", "papers", ranking, NARROW, "dark"),
    ("step", "path", runnable, USUAL, "dark"),
    ("step-narrow", "path", runnable, NARROW, "dark"),
)


def driven(pane: str, act: Act) -> Callable[[Pilot[Any]], Awaitable[None]]:
    async def drive(pilot: Pilot[Any]) -> None:
        session = await arrived(pilot, pane)
        await act(session)
        if pane != "qrels" and session.app.screen is session.app.screen_stack[0]:
            await session.rest()

    return drive


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No folder is found, no weights are here, and a resting cursor asks for nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))


@pytest.mark.parametrize(
    ("name", "pane", "act", "size", "theme"), SCREENS, ids=[one[0] for one in SCREENS]
)
def test_evaluations(
    name: str,
    pane: str,
    act: Act,
    size: tuple[int, int],
    theme: str,
    steps: Catalogue,  # noqa: F811
    snap_compare: Compare,
) -> None:
    kept()
    app = BioRetrievalApp(steps, capabilities=NOTHING, theme=theme)
    assert snap_compare(app, terminal_size=size, run_before=driven(pane, act))


@pytest.mark.parametrize("size", [NARROW, USUAL], ids=["narrow", "usual"])
@pytest.mark.parametrize(
    ("pane", "act"),
    [("leaderboard", matrix), ("qrels", queries), ("path", runnable)],
    ids=["board", "queries", "step"],
)
def test_without_colour(
    pane: str,
    act: Act,
    size: tuple[int, int],
    steps: Catalogue,  # noqa: F811
    snap_compare: Compare,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    kept()
    app = BioRetrievalApp(steps, capabilities=NOTHING)
    assert snap_compare(app, terminal_size=size, run_before=driven(pane, act))
