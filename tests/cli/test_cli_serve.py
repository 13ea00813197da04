"""`serve`: who gets in, and the app in a real browser where Chromium is installed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pyte
import pytest

from bioretrieval_tui.cli.serve import browser_app
from bioretrieval_tui.util.formatting import install_command

aiohttp = pytest.importorskip("aiohttp")
pytest.importorskip("textual_serve")
web = pytest.importorskip("aiohttp.web")

Call = Callable[..., Any]
TOKEN = "the-token-of-this-test"  # noqa: S105 - of no server that lasts
CHROMIUM = shutil.which("chromium")


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[tuple[Any, str]]:
    """A client, and the address of a server that runs in this process."""
    runner = web.AppRunner(browser_app(TOKEN))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as client:
            yield client, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/{token}/", None, 200),
        ("/{token}", None, 200),
        ("/{token}/static/js/textual.js", None, 200),
        ("/{token}/", "localhost:9000", 200),
        ("/{token}/", "[::1]:8000", 200),
        ("/", None, 403),
        ("/ws", None, 403),
        ("/static/js/textual.js", None, 403),
        ("/the-token/", None, 403),
        ("/{token}x/", None, 403),
        ("/{token}/", "evil.example", 403),
        ("/{token}/ws", "evil.example:8000", 403),
        ("/{token}/", "127.0.0.1.evil.example", 403),
        ("/{token}/", "127.0.0.1:80@evil.example", 403),
        ("/{token}/elsewhere", None, 404),
        ("/{token}/static/..%2F__init__.py", None, 404),
    ],
)
async def test_only_the_whole_address_of_this_machine_gets_in(
    path: str, host: str | None, status: int
) -> None:
    async with serving() as (client, address):
        headers = {} if host is None else {"Host": host}
        async with client.get(address + path.format(token=TOKEN), headers=headers) as answer:
            assert answer.status == status
            text = await answer.text()
            assert status != 403 or TOKEN not in text


async def test_the_page_asks_nobody_else_and_the_port_may_be_a_tunnels() -> None:
    async with serving() as (client, address):
        there = {"Host": "localhost:9000"}
        async with client.get(f"{address}/{TOKEN}/", headers=there) as answer:
            page = await answer.text()
    assert f"ws://localhost:9000/{TOKEN}/ws" in page
    assert "http" not in page.replace("text/html", "")


async def test_a_websocket_needs_the_token_too() -> None:
    async with serving() as (client, address):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"{address}/other/ws")
    assert refused.value.status == 403


async def test_each_tab_has_an_app_that_ends_with_it(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    screen = pyte.Screen(100, 30)
    stream = pyte.ByteStream(screen)
    async with asyncio.timeout(60), serving() as (client, address):
        async with client.ws_connect(f"{address}/{TOKEN}/ws?width=100&height=30") as tab:
            while "Biomedical text retrieval" not in "".join(screen.display):
                stream.feed(await tab.receive_bytes())
            assert len(apps()) == 1
        while apps():
            await asyncio.sleep(0.05)


def apps() -> list[str]:
    """The processes of the app that this process has started."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    if not children.exists():
        pytest.skip("this system does not list the children of a process")
    commands = (Path(f"/proc/{child}/cmdline") for child in children.read_text().split())
    return [one for path in commands if (one := path.read_text()).endswith("bioretrieval_tui\0")]


def test_a_taken_port_is_one_line(cli: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        called = cli("serve", "--port", str(port))
    assert (called.code, called.out) == (1, "")
    remedy = "give another with --port, or 0 for any that is free"
    assert called.lines == [f"bioretrieval-tui: port {port} is taken; {remedy}"]


def test_without_the_extra_one_line_says_how_to_get_it(cli: Call) -> None:
    called = cli("serve", code="import sys; sys.modules['textual_serve'] = None")
    assert (called.code, called.out) == (1, "")
    remedy = f"run: {install_command('serve')}"
    assert called.lines == [f"bioretrieval-tui: serve needs the package textual-serve; {remedy}"]


# In a browser ---------------------------------------------------------------------------------


class Browser:
    """A page of headless Chromium, by its DevTools, and what its terminal shows."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._sent = 0
        self._screen = pyte.Screen(200, 60)
        self._stream = pyte.ByteStream(self._screen)

    async def do(self, method: str, **given: Any) -> Any:
        """Call a method of the DevTools, and wait for its answer."""
        self._sent += 1
        await self._socket.send_json({"id": self._sent, "method": method, "params": given})
        while (said := await self._heard()).get("id") != self._sent:
            pass
        return said["result"]

    async def _heard(self) -> Any:
        said = await self._socket.receive_json()
        if said.get("method") == "Network.webSocketFrameReceived":
            frame = said["params"]["response"]
            if frame["opcode"] == 2:
                self._stream.feed(base64.b64decode(frame["payloadData"]))
        return said

    async def until(self, words: str) -> None:
        while not any(words in line for line in self._screen.display):
            await self._heard()

    async def type(self, text: str) -> None:
        for key in text:
            await self.do("Input.dispatchKeyEvent", type="char", text=key)


@contextlib.asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Browser]:
    assert CHROMIUM is not None
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    nothing = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = subprocess.Popen(
        [CHROMIUM, *words, f"--user-data-dir={folder}", "--window-size=1100,700", "about:blank"],
        **nothing,
    )
    try:
        told = folder / "DevToolsActivePort"
        while not (told.exists() and told.read_text().count("\n")):
            await asyncio.sleep(0.05)
        address = f"http://127.0.0.1:{told.read_text().split()[0]}/json"
        async with aiohttp.ClientSession() as client:
            async with client.get(address) as answer:
                (page, *_) = [one for one in await answer.json() if one["type"] == "page"]
            async with client.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Browser(socket)
    finally:
        child.terminate()
        child.wait()


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
async def test_a_browser_shows_the_app_filters_and_searches(
    environment: dict[str, str], tmp_path: Path
) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "bioretrieval_tui", "serve", "--port", "0"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        async with asyncio.timeout(120), browser(tmp_path) as page:
            await page.do("Network.enable")
            await page.do("Page.navigate", url=address)
            await page.until("Biomedical text retrieval")
            await page.type("4/medcpt")
            await page.until("MedCPT (query and article encoders)")
            await page.type("\r9/multilingual encoder\r")
            await page.until("catalogue")
            await page.until("BioLORD-2023-M")
            picture = base64.b64decode((await page.do("Page.captureScreenshot"))["data"])
        (tmp_path / "app.png").write_bytes(picture)
        assert len(picture) > 20_000  # an empty page has 3,000 bytes
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 130
        server.stdout.close()
