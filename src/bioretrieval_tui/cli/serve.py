"""`serve`: the app in a browser on this machine, for those who reach it through a tunnel.

Every address begins with a random token, and names this machine as the host: a page of another site
can then neither guess an address nor reach the server under a name of its own (DNS rebinding). Each
tab runs a process of the app, which ends with its tab.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shlex
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from bioretrieval_tui.cli.lookups import needs_extra
from bioretrieval_tui.cli.options import option
from bioretrieval_tui.cli.streams import put, tell
from bioretrieval_tui.errors import BioRetrievalError

if TYPE_CHECKING:
    from aiohttp import web

LOOPBACK = "127.0.0.1"
_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?")
"""This machine; the port may be that of a tunnel's other end."""
_DRIVER = "bioretrieval_tui.tui.browser_driver:BrowserDriver"
_CLOSING = 0.5
"""Seconds from ctrl+c until open tabs are closed."""
_REMOTE = {"SSH_CONNECTION": "browser", "TERM": "xterm-256color"}
"""As over SSH: clipboard and browser are at the other end, and not those of a tmux here."""

# The page of textual-serve takes its font from the network.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>bioretrieval-tui</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/{token}/static/css/xterm.css">
<style>
@font-face {{ font-family: "Roboto Mono"; font-weight: 100 700;
  src: url("/{token}/static/fonts/RobotoMono-VariableFont_wght.ttf"); }}
body {{ margin: 0; background: #000; color: #ccc; font: 16px "Roboto Mono", monospace; }}
.textual-terminal {{ height: 100vh; }}
#ended {{ position: fixed; inset: 0; padding: 2em; background: #000; z-index: 10;
  visibility: hidden; }}
.-closed #ended {{ visibility: visible; }}
</style>
<script src="/{token}/static/js/textual.js"></script>
<script>addEventListener("load", () => document.querySelector("textarea").focus());</script>
<body>
<div id="ended">The app has ended. Reload the page to start it again.</div>
<div id="terminal" class="textual-terminal" data-font-size="{size}"
  data-session-websocket-url="ws://{host}/{token}/ws"></div>
"""


@click.command()
@option(
    "-p --port PORT",
    "Port on this machine; 0 for any that is free.",
    type=click.IntRange(0, 65_535),
    default=8000,
)
def serve(port: int) -> None:
    """Show the app in a browser on this machine.

    Prints the address to open, with a token that is new each time, and serves until ctrl+c. Only
    this machine can connect; from another one, forward the port and open the same address there.
    Each tab runs an app of its own.

    \b
    bioretrieval-tui serve
    ssh -L 8000:127.0.0.1:8000 gpu-box bioretrieval-tui serve
    """
    with needs_extra("serve", "the package textual-serve"):
        import textual_serve.server  # noqa: F401 - of which pip brings aiohttp
    for name in ("TMUX", "STY"):
        os.environ.pop(name, None)
    os.environ.update(_REMOTE)
    asyncio.run(_serve(port, secrets.token_urlsafe(24)))


async def _serve(port: int, token: str) -> None:
    from aiohttp import web

    runner = web.AppRunner(browser_app(token), access_log=None, shutdown_timeout=_CLOSING)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, LOOPBACK, port).start()
        except OSError as error:
            why = "is taken" if port else "cannot be opened"
            remedy = "give another with --port, or 0 for any that is free"
            raise BioRetrievalError(f"port {port} {why}", remedy=remedy) from error
        bound = runner.addresses[0][1]
        put([f"http://{LOOPBACK}:{bound}/{token}/\n"])
        tell("open this address in a browser of this machine; ctrl+c ends the server")
        # What the processes of the app write to stderr is sent on to stdout.
        with contextlib.redirect_stdout(sys.stderr):
            await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def browser_app(token: str) -> web.Application:
    """The page, the websocket of the app, and the files of textual-serve."""
    from aiohttp import web
    from textual_serve.server import Server

    program = f"{shlex.quote(sys.executable)} -m bioretrieval_tui"
    server = Server(f"TEXTUAL_DRIVER={_DRIVER} exec {program}")

    @web.middleware
    async def guard(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        given = request.path.split("/")[1]
        if not _HOST.fullmatch(request.host):
            raise web.HTTPForbidden(text="open the address that `serve` printed\n")
        if not secrets.compare_digest(given.encode(), token.encode()):
            raise web.HTTPForbidden(text="the token in the address is not that of this server\n")
        return await handler(request)

    async def page(request: web.Request) -> web.Response:
        size = request.query.get("fontsize", "16")
        text = _PAGE.format(token=token, host=request.host, size=size if size.isdecimal() else 16)
        return web.Response(text=text, content_type="text/html")

    app = web.Application(middlewares=[guard])
    app.router.add_get(f"/{token}{{slash:/?}}", page)
    app.router.add_get(f"/{token}/ws", server.handle_websocket)
    app.router.add_static(f"/{token}/static", server.statics_path)
    return app
