"""The local server, a clock that moves by waiting, and a client to the one by the other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clocks import MovedClock
from server import World, serving, variables

from bioretrieval_tui.online.http import HttpClient

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Clients keep their pace in the state folder: never in the developer's."""
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "home"))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def address(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The server's address, which the environment names for every service."""
    for name in ("BIORETRIEVAL_OFFLINE", "NCBI_API_KEY", "BIORETRIEVAL_CONTACT", *PROXIES):
        monkeypatch.delenv(name, raising=False)
    with serving(world) as base:
        for name, value in variables(base).items():
            monkeypatch.setenv(name, value)
        yield base


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def open_client(address: str, clock: MovedClock) -> Iterator[Callable[..., HttpClient]]:
    """Opens clients that wait by the moved clock, and closes them."""
    with contextlib.ExitStack() as opened:
        yield lambda **more: opened.enter_context(HttpClient(clock=clock, **more))


@pytest.fixture
def client(open_client: Callable[..., HttpClient]) -> HttpClient:
    """A client to the server."""
    return open_client()
