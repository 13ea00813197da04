"""Every key of the registry in every pane, in random order, with and without a filter: no fault.

All keys, and some clicks and turns of the wheel, are shuffled by a seed and pressed in each pane,
through whatever opens on the way. `make faults` does so many times.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest
from driving import Session, make_app, running
from msgspec.structs import replace
from own_records import record
from scripted import FAULTY, HITS, REJECTING, SOUND, Desk, ScriptedClient, info
from textual import events

from bioretrieval_tui.actions import ACTIONS
from bioretrieval_tui.actions import PANES as NUMBERED
from bioretrieval_tui.backend import protocol
from bioretrieval_tui.backend.client import Hear
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation.qrels import FoundRow, QueryRow, QueryView
from bioretrieval_tui.online.spool import FetchRequest, FetchResult
from bioretrieval_tui.online.watches import News, Watch, Watched, save
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.search.types import Explanation, Facet, Scores, SearchResult
from bioretrieval_tui.shelf import SavedSearch, ShelfMark, ShelfStore, shelf_path
from bioretrieval_tui.tui.app import BioRetrievalApp
from bioretrieval_tui.tui.qrels_session import exploring_job, keep_rankings, with_run_file
from bioretrieval_tui.tui.widgets.input import QueryLine
from worker_stand_in import WorkerStandIn

LONG = os.environ.get("BIORETRIEVAL_FAULTS") == "long"
SEED = int(os.environ.get("BIORETRIEVAL_FAULTS_SEED") or 12)
ROUNDS = 20 if LONG else 1
SIZES = ((80, 24), (200, 60), *(((58, 12), (120, 40)) if LONG else ()))
PANES = (*(name for name, _, _ in NUMBERED), "qrels", "news", "found", "shelf")
STATES = [(pane, filtered) for filtered in (False, True) for pane in PANES]
KEYS = sorted(
    {key for action in ACTIONS for key in action.keys}
    | {"enter", "escape", "tab", "shift+tab", "backspace", "delete", "space"}
    | {"up", "down", "left", "right", "home", "end", "pageup", "pagedown", "ctrl+left"}
    | set("abcdefghijklmnopqrstuvwxyz0123456789")
)
MOUSE = ["<click>"] * 6 + ["<double>"] * 2 + ["<wheel>"] * 3 + ["<drag>"]
FILTERS = ("a", "year>=2020", "nothing-has-this", "name:(", "-term")
MODES = ("lexical", "dense", "hybrid")
SUMMARY = protocol.EvaluationSummary(
    "tiny", "test", "lab/alpha", 3, 5,
    tuple(protocol.ModeScores(mode, {"nDCG@10": 0.5}) for mode in MODES), "eval-tiny", "ab" * 32,
)  # fmt: skip
QUERIES = [
    QueryRow(str(n), f"Which drug treats condition {n}?", 2, n % 2, dict.fromkeys(MODES, n / 10))
    for n in range(9)
]


def _view(query: str) -> QueryView:
    judged = FoundRow("d1", 2, "Statins", {"lexical": 1, "dense": None, "hybrid": 3})
    unjudged = FoundRow("d9", None, None, {"lexical": None, "dense": 2, "hybrid": 1})
    scores = {mode: {"nDCG@10": 0.5, "AP@100": 0.25} for mode in MODES}
    return QueryView(query, "Which drug?", scores, (judged,), (unjudged,))


class QuickClient(ScriptedClient):
    """A search process that answers everything at once."""

    async def ask(self, request: Any, on_progress: Any = None, on_part: Any = None) -> Any:
        if on_progress:
            on_progress(Progress("encoding", 1, 3, unit="documents"))
        match request:
            case protocol.Load():
                return None
            case protocol.Search() | protocol.Similar():
                facets = (Facet("year", (("2001", 3), ("2012", 1))), Facet("mesh", (("Mice", 2),)))
                return SearchResult(HITS[:9], facets=facets, among=9)
            case protocol.Explain():
                why = Explanation("4983", Scores(dense=0.8), (("white", 1.0),), 1, 2, (0, 20), 0.7)
                return [why]
            case protocol.OpenBenchmark():
                return QUERIES
            case protocol.ViewQuery():
                return _view(request.query)
            case protocol.ReadDocument():
                return ("Statins", "A text.") if request.document == "d1" else None
        return await super().ask(request, on_progress, on_part)


async def quick_job(job: Any, hear: Hear, *, started: Any = lambda _: None) -> Any:
    """A job that succeeds, fails or lasts, by the length of what it works on."""
    started(os.getpid())
    hear(protocol.Progressed(Progress("encoding", 1, 3, unit="documents")))
    hear(protocol.Remarked("Downloads a model"))
    if isinstance(job, protocol.FetchJob) and job.request.index is None:
        papers = [Document(one.id, one.title, one.text, {"year": 2001}) for one in HITS[:9]]
        hear(protocol.Came(papers))
        return FetchResult(9, 9)
    match len(job.target) % 4, job:
        case 0, _:
            raise BioRetrievalError("the disk is full", remedy="free some space")
        case 1, protocol.VerifyJob():
            return protocol.Verified(SOUND if "m" in job.target else FAULTY)
        case ((1 | 2), protocol.EvaluateJob()):
            return protocol.Evaluated(SUMMARY)
        case ((1 | 2), protocol.BuildJob() | protocol.AddJob() | protocol.CompactJob()):
            return protocol.Built(info(job.target), REJECTING, True)
    return await asyncio.Event().wait()


class Player:
    """Presses keys, and says which when something went wrong."""

    def __init__(self, session: Session, dice: random.Random) -> None:
        self.session, self.app, self.dice = session, session.app, dice
        self.pressed: list[str] = []

    async def press(self, *keys: str) -> None:
        """Press keys in one bunch, as they arrive over SSH."""
        self.pressed = [*self.pressed[-60:], *keys]
        for key in keys:
            if key in MOUSE:
                self._point(key)
            else:
                self.session._post(key)
        try:
            await self.session._drain()
            if self.dice.random() < 0.2:
                await self.session.settle()
        except Exception as error:
            error.add_note(f"in {self.app.current}, {self.app.size} after {self.pressed}")
            raise
        assert self.app.is_running

    def _point(self, what: str) -> None:
        """Click, drag or turn the wheel somewhere."""
        width, height = self.app.size
        x, y = self.dice.randrange(width), self.dice.randrange(height)

        def event(kind: type[events.MouseEvent], at: int, button: int = 1) -> events.MouseEvent:
            return kind(None, at, y, 0, 0, button, False, False, False, at, y)

        kinds = {"<double>": [events.MouseDown, events.MouseUp] * 2,
                 "<wheel>": [self.dice.choice([events.MouseScrollDown, events.MouseScrollUp])],
                 "<drag>": [events.MouseDown, events.MouseMove, events.MouseUp],
                 "<click>": [events.MouseDown, events.MouseUp]}[what]  # fmt: skip
        for kind in kinds:
            at = min(x + 9, width - 1) if what == "<drag>" and kind is not events.MouseDown else x
            self.app.post_message(event(kind, at))

    async def back_to(self, pane: str, where: str) -> None:
        """Leave whatever is open, and show the pane with a filter, or none."""
        self.pressed.append(f"[{pane} {where}]")
        await self.session.settle()
        while len(self.app.screen_stack) > 1:
            self.app.screen.dismiss(None)
            await self.session.settle()
        await self.app.show_pane(pane)
        shown = self.app.pane
        filters = {"browse", "qrels", "search", "shelf"} & {*shown.SCOPES}
        if filters and shown.filtered.filter != where:
            await shown.action_filter()
            shown.query_one("#filter", QueryLine).put(where)
            await self.press("enter")

    async def play(self, pane: str, where: str) -> None:
        """Press all keys (half of them in the filtered list and the others without a filter, unless
        there is time); what is opened on the way is left again after a few."""
        await self.back_to(pane, where)
        deck = random.Random(f"{SEED} {pane}").sample([*KEYS, *MOUSE], len(KEYS) + len(MOUSE))
        if not LONG:
            deck = deck[bool(where) :: 2]
        self.dice.shuffle(deck)
        while deck:
            bunch = self.dice.randint(1, 8)
            await self.press(*deck[:bunch])
            del deck[:bunch]
            away = self.app.current != pane or len(self.app.screen_stack) > 1
            if away and self.dice.random() < 0.7:
                await self.back_to(pane, where)

    async def sort(self, pane: str) -> None:
        """Sort by every column of a list, both ways."""
        await self.back_to(pane, "")
        if {"browse", "qrels", "shelf"} & {*self.app.pane.SCOPES}:
            await self.press("escape", "escape", *["<"] * 12, *["s", "s", ">"] * 12, "G", "enter")


def _furnish() -> None:
    """Runs, watches with news and kept rankings, as a user has them after some weeks."""
    record("dense")
    record("lexical", 0.6, catalogue=None, day=2)
    news = tuple(
        News(id=str(n), title=f"Title {n}", found="2026-01-02T07:00:00+00:00", text="Abstract.",
             url=f"https://pubmed.ncbi.nlm.nih.gov/{n}/", date="2026-01", score=0.5, read=n > 2)
        for n in range(1, 5)
    )  # fmt: skip
    watch = Watch(
        name="owls", query="owls", source="pubmed", since="2026-01-01", added="2026-01-08"
    )
    save(Watched(watch=watch, news=news))
    shelf = ShelfStore(shelf_path())
    things = [ShelfMark(keys=(key,), title=key) for key in ("entry:medcpt", "entry:gone", "pmid:1")]
    shelf.change([(thing, lambda one: replace(one, starred=True)) for thing in things])
    shelf.save(SavedSearch("s", "search", {"query": "statins", "indexes": "gone"}))
    shelf.save(SavedSearch("m", "models", {"filter": "is:starred"}))


async def _fill(app: BioRetrievalApp, session: Session, folder: Path) -> None:
    """A benchmark in the explorer, papers in Found, a query in Search."""
    job = with_run_file(exploring_job(app.catalogue, folder, MODES), app.where)
    keep_rankings(job, SUMMARY)
    app.job_session.explore(job)
    app.found.begin(FetchRequest("pubmed", "owls", most=9))
    pane: Any = await app.show_pane("search")
    pane.line.put("white matter")
    await session.settle()
    await app.show_pane("home")
    await session.settle()


@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_every_pane_takes_every_key(
    real: Catalogue,
    scripted: Desk,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    size: tuple[int, int],
    number: int,
) -> None:
    seed = f"{SEED} {size} {number}"
    print(f"BIORETRIEVAL_FAULTS_SEED={SEED}")
    dice = random.Random(seed)
    client = type("Client", (QuickClient,), {"desk": scripted})
    monkeypatch.setattr("bioretrieval_tui.backend.client.SearchClient", client)
    monkeypatch.setattr("bioretrieval_tui.backend.client.run_job", quick_job)
    WorkerStandIn(quick_job, monkeypatch)
    monkeypatch.setattr(BioRetrievalApp, "exit", lambda *_, **__: None)
    scripted.indexes = [info("mine"), info("catalogue"), info("damaged", "fault: no manifest")]
    _furnish()
    async with running(make_app(real), size) as session:
        await _fill(session.app, session, folder)
        player = Player(session, dice)
        chosen = STATES[SIZES.index(size) :: len(SIZES)] if not LONG else STATES
        for pane, filtered in dice.sample(chosen, len(chosen)):
            await player.play(pane, dice.choice(FILTERS) if filtered else "")
            if not filtered:
                await player.sort(pane)
