"""A home of its own for every test; the shipped catalogue and the small one that never changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from driving import Programs
from fetched import world as world
from fixed_catalogue import fixed_catalogue
from scripted import Desk, ScriptedClient
from snapshots import Snapshots
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

from bioretrieval_tui.catalog import compiled
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.terminal import desktop
from worker_stand_in import WorkerStandIn

_OUTSIDE = (
    "BROWSER", "COLORTERM", "DISPLAY", "FORCE_COLOR", "NO_COLOR", "SSH_CLIENT", "SSH_CONNECTION",
    "SSH_TTY", "STY", "TMUX", "WAYLAND_DISPLAY",
)  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything that the app keeps is kept here, and nothing around it shines through."""
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in _OUTSIDE:
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: exports without a folder of their own land here."""
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """The catalogue of this checkout, as a start of the program loads it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIORETRIEVAL_HOME", str(tmp_path_factory.mktemp("catalogue")))
        return compiled.load().catalogue


@pytest.fixture(scope="session")
def small() -> Catalogue:
    """A handful of entries a kind, some of them hostile."""
    return fixed_catalogue()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """The only programs that there are, with all the time that they need."""
    found = Programs(tmp_path / "programs")
    monkeypatch.setenv("PATH", str(found.folder))
    # On a machine under load a shell may need more than the 200 ms that a reader may be kept.
    for function in (desktop.copy, desktop.open_url):
        monkeypatch.setitem(function.__kwdefaults__, "budget", 30.0)
    return found


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Desk:
    """No search process is started: one would load torch in every test that shows Search."""
    desk = Desk()
    client = type("Client", (ScriptedClient,), {"desk": desk})
    monkeypatch.setattr("bioretrieval_tui.backend.client.SearchClient", client)
    # A recorded app is not headless: it would start the real one when it is idle.
    monkeypatch.setattr("bioretrieval_tui.tui.app.IDLE", 3600.0)
    desk.fetches = "world" in request.fixturenames  # they reach the test's own service
    monkeypatch.setattr("bioretrieval_tui.backend.client.run_job", desk.work)
    WorkerStandIn(desk.work, monkeypatch)
    return desk


@pytest.fixture(scope="session", autouse=True)
def _style_sheets_are_parsed_once() -> Iterator[None]:
    """Textual parses the same style sheets again for every app; here once a process."""
    parsed: dict[Any, list[RuleSet]] = {}
    parse = Stylesheet._parse_rules

    def remembered(self: Stylesheet, css: str, **how: Any) -> list[RuleSet]:
        key = (css, *how.values(), *self._variables.items())
        if key not in parsed:
            parsed[key] = parse(self, css, **how)
        return parsed[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", remembered)
        yield


@pytest.fixture
def snap_compare(request: pytest.FixtureRequest) -> Snapshots:
    """Compare a screen with its snapshot."""
    return Snapshots(request.node)
