"""Hands on the keyboard of an app without a terminal, and eyes on its screen.

`Session.press` is quicker than the pilot's own: it waits until every queue is empty, not until
the processor is idle, so that nothing here depends on how busy the machine is.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any, cast

from rich.segment import Segment
from textual import events
from textual.drivers.headless_driver import HeadlessDriver
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widget import Widget
from textual.worker import Worker, WorkerCancelled, WorkerFailed

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.paths import Places, places
from bioretrieval_tui.terminal.capabilities import Capabilities, detect
from bioretrieval_tui.tui.app import BioRetrievalApp
from bioretrieval_tui.tui.entry_session import EntrySession
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.input import QueryLine

OVER_SSH = detect({"TERM": "xterm-256color", "SSH_CONNECTION": "1", "LANG": "C.UTF-8"})
NOTHING = detect({"TERM": "xterm-256color", "LANG": "C.UTF-8"}, platform="linux")
"""Neither a desktop nor SSH: nothing is opened and no clipboard is found."""
DESKTOP = detect({"TERM": "xterm-256color", "LANG": "C.UTF-8", "DISPLAY": ":0"}, platform="linux")

_OWN_PACE = ("load", "search", "why", "work")
"""Groups of workers that wait for the search process; `settle` leaves them alone."""


def make_app(
    catalogue: Catalogue, *, capabilities: Capabilities = NOTHING, **other: Any
) -> BioRetrievalApp:
    """The app as `main` makes it, on a terminal that the test chooses."""
    return BioRetrievalApp(catalogue, capabilities=capabilities, **other)


class Recorder(HeadlessDriver):
    """A terminal that writes down what it is sent."""

    def __init__(self, *words: Any, **settings: Any) -> None:
        super().__init__(*words, **settings)
        self.written: list[str] = []

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.written.append(data)


class Session:
    """A running app."""

    def __init__(self, pilot: Pilot[Any]) -> None:
        self.pilot = pilot
        self.app = cast(BioRetrievalApp, pilot.app)
        self.faults_expected = False
        """Exceptions in panes are the subject of the test."""

    # Hands -------------------------------------------------------------------------------

    async def press(self, *keys: str) -> None:
        """Press keys by Textual's names for them, and let each take its effect."""
        for key in keys:
            self._post(key)
            await self.settle()

    async def type(self, text: str) -> None:
        """Type a text, its keys in one bunch as they arrive over SSH."""
        for character in text:
            self._post(character)
        await self.settle()

    def _post(self, key: str) -> None:
        character = key if len(key) == 1 else _CHARACTERS.get(key)
        self.app.post_message(events.Key(_NAMES.get(key, key), character))

    async def settle(self) -> None:
        """Wait until every message is handled and every short worker has ended."""
        busy = True
        while busy:
            await self._drain()
            under_way = self._under_way()
            if under_way:
                # One that another of its group has displaced is cancelled, as it should be; the
                # app shows the error of one that failed.
                with contextlib.suppress(WorkerCancelled, WorkerFailed):
                    await self.app.workers.wait_for_complete(under_way)
            if self.app._exit:
                return
            # Behind everything that is being handled now; paints what has changed.
            await self.pilot.pause(0)
            busy = await self._drain() or bool(under_way) or bool(self._under_way())

    def _under_way(self) -> list[Worker[Any]]:
        short = (worker for worker in self.app.workers if worker.group not in _OWN_PACE)
        return [worker for worker in short if not worker.is_finished]

    async def _drain(self) -> bool:
        """Let the app run until no queue holds anything; whether one did."""
        nodes = [self.app, *self.app.screen.walk_children(with_self=True)]
        busy, quiet = False, 0
        while quiet < 3:
            if self.app._exception:
                raise self.app._exception
            if self.app.faults and not self.faults_expected:
                raise self.app.faults[0]
            if self.app._exit:
                return False
            await asyncio.sleep(0)
            if any(node.message_queue_size for node in nodes):
                busy, quiet = True, 0
            elif self.app.key_queue:
                await asyncio.sleep(0.005)  # a key waits for the one before it
                busy, quiet = True, 0
            else:
                quiet += 1
        return busy

    async def until(self, ready: Callable[[], object], seconds: float = 30) -> None:
        """Wait for something that takes its own time (a timer, another process)."""
        async with asyncio.timeout(seconds):
            while not ready():
                await asyncio.sleep(0.01)
                await self.settle()

    async def resize(self, width: int, height: int) -> None:
        """The window gets another size."""
        await self.pilot.resize_terminal(width, height)
        await self.settle()

    async def rest(self) -> None:
        """As if the cursor had rested: the page beside the list is shown whole, no timer runs."""
        pane = self.app.pane
        if isinstance(pane, Pane) and pane.has_class("-list"):
            pane._settle()
        await self.settle()

    # Eyes --------------------------------------------------------------------------------

    def strips(self) -> list[Strip]:
        """The rows of the screen."""
        return [Strip(s) for s in self.app.screen._compositor.render_strips()]

    @property
    def rows(self) -> list[str]:
        """The rows of the screen as text."""
        return [row.text for row in self.strips()]

    @property
    def text(self) -> str:
        """The screen as text."""
        return "\n".join(self.rows)

    @property
    def words(self) -> str:
        """The screen as words with one space between them, without the frames of dialogs: for texts
        that wrap."""
        return " ".join(re.sub(r"[│┃▌]", " ", self.text).split())

    def links(self) -> set[str]:
        """The addresses that cells of the screen lead to."""
        return {
            segment.style.link
            for row in self.strips()
            for segment in row
            if segment.style and segment.style.link
        }

    @property
    def browse(self) -> Pane:
        """The pane that is shown, a list of entries."""
        assert self.app.pane.section
        return self.app.pane

    @property
    def entries(self) -> EntrySession:
        """Its entries as they are filtered and sorted."""
        return self.app.pane.entry_list

    @property
    def at(self) -> str | None:
        """The id of the entry under the cursor."""
        return self.app.pane.place()

    @property
    def ids(self) -> list[str]:
        """The ids of the rows that are shown."""
        return [entry.id for entry in self.entries.shown]

    @property
    def said(self) -> str:
        """The message in the status line, or ""."""
        return self.app.status.message

    @property
    def head(self) -> str:
        """The line over the list; its parts may have no-break spaces."""
        spans = self.app.pane.query_one(HeadLine).spans
        return "".join(span.text for span in spans).replace("\xa0", " ")

    @property
    def line(self) -> QueryLine:
        """The query line of the pane that is shown, or of the dialog over it."""
        screen = self.app.screen
        place: Widget = screen if screen is not self.app.screen_stack[0] else self.app.pane
        return place.query_one(QueryLine)

    @property
    def focused(self) -> Widget | None:
        """The widget that has the focus."""
        return self.app.screen.focused

    def copied(self) -> list[str]:
        """The texts that were sent to the terminal's clipboard (needs a `Recorder`)."""
        driver = self.app._driver
        assert isinstance(driver, Recorder)
        found = re.findall(r"\x1b\]52;c;([^\x07]*)\x07", "".join(driver.written))
        return [base64.b64decode(text).decode() for text in found]


_CHARACTERS = {
    "space": " ", "enter": "\r", "escape": "\x1b", "tab": "\t", "slash": "/",
    "question_mark": "?", "greater_than_sign": ">", "less_than_sign": "<",
}  # fmt: skip
_NAMES = {
    " ": "space", "/": "slash", "?": "question_mark", ">": "greater_than_sign",
    "<": "less_than_sign", ":": "colon", "=": "equals_sign", "-": "minus", '"': "quotation_mark",
    ".": "full_stop", "(": "left_parenthesis", ")": "right_parenthesis", "_": "underscore",
    "~": "tilde", ",": "comma", "!": "exclamation_mark", "'": "apostrophe",
}  # fmt: skip


@contextlib.asynccontextmanager
async def running(
    app: BioRetrievalApp,
    size: tuple[int, int] = (120, 40),
    *,
    pane: str | None = None,
    recorded: bool = False,
) -> AsyncIterator[Session]:
    """The app, started and settled, on a pane; `recorded`: with a `Recorder` for its terminal."""
    if recorded:
        app.driver_class = Recorder
    async with app.run_test(size=size, headless=not recorded) as pilot:
        session = Session(pilot)
        await session.settle()
        if pane:
            await app.show_pane(pane)
            await session.settle()
        yield session


def home_places() -> Places:
    """The folders of the test's own home."""
    return places()


class Programs:
    """A folder of scripts that stand in for a browser or a clipboard: the whole PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir(parents=True)
        self.log = folder / "calls"
        self.log.touch()
        self.input = folder / "input"

    def add(self, name: str, then: str = "exit 0") -> None:
        """A script that writes down its words and goes on with `then`."""
        script = self.folder / name
        script.write_text(f'#!/bin/sh\nprintf "%s\\n" "${{0##*/}} $*" >>"{self.log}"\n{then}\n')
        script.chmod(0o755)

    def add_clipboard(self, name: str) -> None:
        """A script that keeps what comes in."""
        self.add(name, f'/bin/cat >"{self.input}"')

    @property
    def calls(self) -> list[str]:
        """A line for each call: the program and its words."""
        return self.log.read_text().splitlines()


def segments_of(strips: Iterable[Strip]) -> list[Segment]:
    """All segments of these rows."""
    return [segment for row in strips for segment in row]
