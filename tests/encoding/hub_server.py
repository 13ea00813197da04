"""A local hub: the few requests that fetching a model takes, over HTTP on this machine."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "a" * 40


class Hub(ThreadingHTTPServer):
    """Serves the files of `folder` as the model `model`.

    requests: method, path and range of each request; cut: a file's name -> bytes after which the
    connection breaks, once; gated: whether files are kept back.
    """

    daemon_threads = True

    def __init__(self, model: str, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model = model
        self.folder = folder
        self.requests: list[tuple[str, str, str | None]] = []
        self.cut: dict[str, int] = {}
        self.gated = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def hub(model: str, folder: Path) -> Iterator[Hub]:
    """A hub that runs until the block ends."""
    server = Hub(model, folder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def _answer(self, *, body: bool) -> None:
        hub = self.server
        path = unquote(urlsplit(self.path).path)
        hub.requests.append((self.command, path, self.headers.get("Range")))
        known = f"/api/models/{hub.model}/revision/"
        files = f"/{hub.model}/resolve/"
        if path.startswith(known) and path.removeprefix(known) in ("main", COMMIT):
            self._send(200, json.dumps(self._about()).encode(), body, {})
        elif path.startswith(files):
            revision, _, name = path.removeprefix(files).partition("/")
            self._file(revision, name, body)
        else:
            self._send(404, b"{}", body, {"X-Error-Code": "RepoNotFound"})

    def _about(self) -> dict[str, object]:
        hub = self.server
        files = sorted(path for path in hub.folder.rglob("*") if path.is_file())
        return {
            "id": hub.model,
            "modelId": hub.model,
            "sha": COMMIT,
            "gated": "manual" if hub.gated else False,
            "cardData": {"license": "mit"},
            "tags": [],
            "siblings": [
                {"rfilename": str(path.relative_to(hub.folder)), "size": path.stat().st_size}
                for path in files
            ],
        }

    def _file(self, revision: str, name: str, body: bool) -> None:
        hub = self.server
        if hub.gated:
            self._send(403, b"", body, {"X-Error-Code": "GatedRepo"})
            return
        path = hub.folder / name
        if revision != COMMIT or not path.is_file():
            self._send(404, b"", body, {"X-Error-Code": "EntryNotFound"})
            return
        data = path.read_bytes()
        etag = hashlib.sha256(data).hexdigest()
        facts = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        asked = self.headers.get("Range")
        if asked and asked.startswith("bytes="):
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            facts["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self._send(206, data[start:], body, facts)
            return
        self._send(200, data, body, facts, cut=hub.cut.pop(name, None) if body else None)

    def _send(
        self, status: int, data: bytes, body: bool, facts: dict[str, str], cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in facts.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not body:
            return
        if cut is None:
            self.wfile.write(data)
            return
        self.wfile.write(data[:cut])
        self.wfile.flush()
        self.close_connection = True
