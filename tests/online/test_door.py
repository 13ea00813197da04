"""The door against a server that misbehaves in every way that servers do."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from clocks import MovedClock

from bioretrieval_tui.online.http import HttpClient, etag_of, is_public
from bioretrieval_tui.online.services import OfflineError, OnlineError, Service


class Handler(BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[str, dict[str, str]]]] = []
    posted: ClassVar[list[str]] = []
    left: ClassVar[dict[str, int]] = {}
    """How many times a path still fails."""

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        posted = self.rfile.read(int(self.headers["Content-Length"])).decode()
        Handler.posted.append(posted)
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        Handler.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        if Handler.left.get(path, 0) > 0:
            Handler.left[path] -= 1
            if path == "/cut":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"only so much")
                self.close_connection = True
                return
            self.answer(429 if path == "/busy" else 500, b"", {"Retry-After": "7"})
        elif path == "/same":
            same = self.headers.get("If-None-Match") == '"v1"'
            self.answer(304 if same else 200, b"" if same else b"body", {"ETag": '"v1"'})
        elif path == "/bomb":
            packed = gzip.compress(b"0" * 50_000_000)
            self.answer(200, packed, {"Content-Encoding": "gzip"})
        elif path.startswith("/to/"):
            targets = {
                "/to/here": "/plain",
                "/to/file": "file:///etc/passwd",
                "/to/private": "http://10.0.0.1/",
                "/to/link-local": "http://169.254.169.254/latest",
                "/to/self": "/to/self",
            }
            self.answer(302, b"", {"Location": targets[path]})
        elif path == "/range":
            data = bytes(range(200))
            start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
            self.answer(206 if start else 200, data[start:])
        elif path == "/html":
            self.answer(200, b"<html>")
        elif path == "/denied":
            self.answer(403, b"")
        else:
            self.answer(200, json.dumps({"path": self.path}).encode())

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def door(base: str, clock: MovedClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpClient]:
    monkeypatch.delenv("BIORETRIEVAL_OFFLINE", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    Handler.seen.clear()
    Handler.posted.clear()
    Handler.left.clear()
    service = Service("try", "Try", base, 3.0, 10.0, "api_key", "TRY_KEY")
    with HttpClient(services={"try": service}, clock=clock) as opened:
        yield opened


def test_an_answer(door: HttpClient, base: str) -> None:
    assert door.json("try", "a/b", params={"q": "x y"}) == {"path": "/a/b?q=x+y"}
    answer = door.get("try", f"{base}/plain")
    assert (answer.status_code, str(answer.url), answer.history) == (200, f"{base}/plain", [])
    assert Handler.seen[0][1]["user-agent"].startswith("bioretrieval-tui/")


def test_three_a_second_and_ten_with_a_key(
    door: HttpClient, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(10):
        door.get("try", "plain")
    assert clock.now - 1000 == pytest.approx(9 / 3)
    began = clock.now
    monkeypatch.setenv("TRY_KEY", "secret")
    for _ in range(11):
        door.get("try", "plain")
    assert clock.now - began == pytest.approx(1 / 3 + 10 / 10, abs=0.01)


def test_a_key_goes_to_its_service_and_nowhere_else(
    door: HttpClient, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRY_KEY", "secret")
    answer = door.get("try", "to/here")
    assert Handler.posted == ["api_key=secret"]
    assert not [path for path, _ in Handler.seen if "secret" in path]
    assert "secret" not in f"{answer.url}{answer.history}"
    with pytest.raises(OnlineError, match="refuses with status 403") as caught:
        door.get("try", "denied")
    assert "secret" not in caught.value.line()
    assert "TRY_KEY" in caught.value.line()


def test_what_passes_is_waited_for(door: HttpClient, clock: MovedClock) -> None:
    Handler.left["/busy"] = 2
    assert door.get("try", "busy").status_code == 200
    assert clock.now - 1000 == pytest.approx(14, abs=0.7)
    Handler.left["/broken"] = 99
    with pytest.raises(OnlineError, match="Try responded with status 500"):
        door.get("try", "broken")
    assert 99 - Handler.left["/broken"] == 5


def test_nobody_there(clock: MovedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BIORETRIEVAL_OFFLINE", raising=False)
    service = Service("try", "Try", "http://127.0.0.1:9", 100.0)
    said = "Try cannot be reached: it refuses the"
    with (
        HttpClient(services={"try": service}, clock=clock) as door,
        pytest.raises(OnlineError, match=said),
    ):
        door.get("try", "x")


def test_more_than_enough_is_refused(door: HttpClient) -> None:
    with pytest.raises(OnlineError, match="more than 1,000 bytes"):
        door.get("try", "bomb", most_bytes=1_000)


def test_a_connection_that_is_cut(door: HttpClient) -> None:
    Handler.left["/cut"] = 9
    with pytest.raises(OnlineError, match="Try broke off"):
        door.get("try", "cut")


@pytest.mark.parametrize("where", ["file", "private", "link-local"])
def test_where_redirects_may_not_lead(door: HttpClient, where: str) -> None:
    with pytest.raises(OnlineError, match="is not followed"):
        door.get("try", f"to/{where}")
    assert door.get("try", f"to/{where}", follow=False).status_code == 302


def test_redirects(door: HttpClient, base: str) -> None:
    answer = door.get("try", "to/here")
    assert [str(one.url) for one in (*answer.history, answer)] == [
        f"{base}/to/here",
        f"{base}/plain",
    ]
    with pytest.raises(OnlineError, match="in circles"):
        door.get("try", "to/self")


def test_what_did_not_change(door: HttpClient) -> None:
    first = door.get("try", "same")
    assert (first.status_code, first.content, etag_of(first)) == (200, b"body", '"v1"')
    again = door.get("try", "same", etag=etag_of(first))
    assert (again.status_code, again.content) == (304, b"")


def test_a_stream_goes_on(door: HttpClient) -> None:
    with door.stream("try", "range", start=150) as (_, parts):
        assert b"".join(parts) == bytes(range(150, 200))
    with door.stream("try", "range") as (_, parts):
        assert len(b"".join(parts)) == 200


def test_what_is_no_json(door: HttpClient) -> None:
    with pytest.raises(OnlineError, match="Try did not respond with JSON"):
        door.json("try", "html")


def test_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIORETRIEVAL_OFFLINE", "1")
    with pytest.raises(OfflineError, match="the network is not allowed"):
        HttpClient()


@pytest.mark.parametrize(
    ("address", "near", "public"),
    [
        ("https://8.8.8.8/x", "", True),
        ("http://127.0.0.1/", "", False),
        ("http://127.0.0.1:8000/x", "http://127.0.0.1:8000", True),
        ("http://127.0.0.1:22/x", "http://127.0.0.1:8000", False),
        ("http://[::1]/", "", False),
        ("http://192.168.1.1/", "", False),
        ("ftp://8.8.8.8/", "", False),
        ("http:///x", "", False),
        ("http://[bad/", "", False),
    ],
)
def test_addresses(address: str, near: str, public: bool) -> None:
    assert is_public(address, near=near) is public
