"""Sessions that are closed again, and a home for those that change nothing in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# The terminal that judges output is shared with the tests of what makes the output.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "terminal"))

from terminal import Session

Start = Callable[..., Session]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest test first: the others run beside it."""
    items.sort(key=lambda item: "two_at_once" not in item.name)


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for sessions that change nothing in it; the catalogue is compiled there once."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that nobody used before."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def start(shared_home: Path) -> Iterator[Start]:
    """Start the app (or a program) in a terminal; see `Session`. In the shared home unless told."""
    sessions: list[Session] = []

    def begin(home: Path | None = None, **how: Any) -> Session:
        sessions.append(Session(home or shared_home, **how))
        return sessions[-1]

    yield begin
    for session in sessions:
        session.close()
        print(f"exit code {session.child.returncode}, and on screen last:\n{session.screen.text}")
        for report in Path(session.env["HOME"]).rglob("last-error.log"):
            print(report.read_text(errors="replace"))


@pytest.fixture
def app(start: Start) -> Session:
    """The app at 120x40 with Home on screen."""
    session = start()
    session.wait("Biomedical text retrieval")
    session.settle()
    return session
