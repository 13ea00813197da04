"""The HTTP client against servers that misbehave: responses, addresses, certificates, rates."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import math
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from clocks import MovedClock
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server import Fault, World, serving

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.http import (
    HttpClient,
    RateLimiter,
    etag_of,
    is_public,
    plain_address,
    reserve,
    retry_after,
    sweep,
)
from bioretrieval_tui.online.linkcheck import reacher
from bioretrieval_tui.online.services import SERVICES, OfflineError, OnlineError, Service

TIMEOUT = httpx.Timeout(30, connect=10)


@pytest.fixture
def base(world: World) -> Iterator[str]:
    world.files = {"/plain": b"plain", "/range": bytes(range(200))}
    with serving(world) as address:
        yield address


@pytest.fixture
def client(base: str, clock: MovedClock) -> Iterator[HttpClient]:
    service = Service("try", "Try", base, 3.0, 10.0, "api_key", "TRY_KEY")
    with HttpClient(services={"try": service}, clock=clock) as opened:
        yield opened


def test_a_response_and_its_address(client: HttpClient, base: str, world: World) -> None:
    answer = client.get("try", "plain", params={"q": "x y"})
    assert (answer.status_code, answer.content, answer.history) == (200, b"plain", [])
    assert str(answer.url) == f"{base}/plain?q=x+y"
    assert str(client.get("try", f"{base}/plain").url) == f"{base}/plain"
    assert world.of("/plain")[0]["user-agent"].startswith("bioretrieval-tui/")


def test_three_a_second_and_ten_with_a_key(
    client: HttpClient, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(10):
        client.get("try", "plain")
    assert clock.now - 1000 == pytest.approx(9 / 3)
    began = clock.now
    monkeypatch.setenv("TRY_KEY", "secret")
    for _ in range(11):
        client.get("try", "plain")
    assert clock.now - began == pytest.approx(1 / 3 + 10 / 10, abs=0.01)


def test_a_key_goes_to_its_service_and_nowhere_else(
    client: HttpClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRY_KEY", "secret")
    world.faults = [("/to", Fault("lead", text="/plain"))]
    answer = client.get("try", "to")
    assert [given.get("api_key") for given in world.of("/")] == ["secret", None]
    assert not [given for given in world.of("/") if "secret" in given["address"]]
    assert "secret" not in f"{answer.url}{answer.history}"
    world.faults = [("/again", Fault("busy", 1)), ("/again", Fault("cut", 2))]
    client.get("try", "again", check=False)
    assert [given.get("api_key") for given in world.of("/again")] == ["secret"] * 3
    world.faults = [("/denied", Fault("say", 403))]
    with pytest.raises(OnlineError, match="refuses with status 403") as caught:
        client.get("try", "denied")
    assert "secret" not in caught.value.line()
    assert "TRY_KEY" in caught.value.line()


@pytest.mark.parametrize("status", [307, 308])
def test_a_body_is_sent_to_no_other_origin(
    client: HttpClient,
    answering: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    world: World,
    base: str,
    clock: MovedClock,
    status: int,
) -> None:
    monkeypatch.setenv("TRY_KEY", "secret")
    raw = f"HTTP/1.1 {status} x\r\nLocation: {base}/plain\r\nContent-Length: 0\r\n\r\n"
    first = Service("try", "Try", answering(raw.encode()), 50.0, 50.0, "api_key", "TRY_KEY")
    with (
        HttpClient(services={"try": first}, clock=clock) as other,
        pytest.raises(OnlineError, match="is not followed"),
    ):
        other.get("try", "x")
    assert world.asked == []


def test_transient_failures_are_retried_as_retry_after_asks(
    client: HttpClient, clock: MovedClock, world: World
) -> None:
    world.faults = [("/plain", Fault("busy", 7))] * 2
    assert client.get("try", "plain").status_code == 200
    assert clock.now - 1000 == pytest.approx(14, abs=0.7)
    world.broken["/broken"] = Fault("fail")
    with pytest.raises(OnlineError, match="Try responded with status 500"):
        client.get("try", "broken")
    assert len(world.of("/broken")) == 5


def test_a_refused_connection_is_one_line(clock: MovedClock) -> None:
    service = Service("try", "Try", "http://127.0.0.1:9", 100.0)
    said = "Try cannot be reached: it refuses the"
    with (
        HttpClient(services={"try": service}, clock=clock) as client,
        pytest.raises(OnlineError, match=said),
    ):
        client.get("try", "x")


def test_a_body_over_the_limit_is_refused(client: HttpClient, world: World) -> None:
    world.faults = [("/plain", Fault("bomb"))]
    with pytest.raises(OnlineError, match="more than 1,000 bytes"):
        client.get("try", "plain", most_bytes=1_000)


def test_a_body_that_breaks_off_five_times_is_one_line(client: HttpClient, world: World) -> None:
    world.broken["/plain"] = Fault("cut", 2)
    with pytest.raises(OnlineError, match="Try broke off"):
        client.get("try", "plain")
    assert len(world.asked) == 5


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest",
        "http://224.0.0.1/",
        "http://[64:ff9b:1::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[fec0::1]/",
    ],
)
def test_redirects_to_files_and_private_addresses_are_not_followed(
    client: HttpClient, world: World, target: str
) -> None:
    world.faults = [("/plain", Fault("lead", text=target))]
    with pytest.raises(OnlineError, match="is not followed"):
        client.get("try", "plain")


def test_redirects_are_followed_and_circles_found(
    client: HttpClient, world: World, base: str
) -> None:
    world.broken["/to"] = Fault("lead", text="/plain")
    answer = client.get("try", "to")
    assert [str(one.url) for one in (*answer.history, answer)] == [f"{base}/to", f"{base}/plain"]
    world.broken["/to"] = Fault("lead", text="/to")
    with pytest.raises(OnlineError, match="in circles"):
        client.get("try", "to")
    world.broken["/to"] = Fault("lead", text="http://a:b/")
    with pytest.raises(OnlineError, match="it redirects to an invalid address"):
        client.get("try", "to")


def test_an_etag_gives_304_without_a_body(client: HttpClient) -> None:
    first = client.get("try", "plain")
    assert first.content == b"plain"
    assert etag_of(first)
    again = client.get("try", "plain", etag=etag_of(first))
    assert (again.status_code, again.content) == (304, b"")


def test_a_stream_begins_at_a_byte(client: HttpClient, world: World) -> None:
    with client.stream("try", "range", start=150) as (begins, total, parts):
        assert (begins, total, b"".join(parts)) == (150, 200, bytes(range(150, 200)))
    with client.stream("try", "range") as (_, _, parts):
        assert len(b"".join(parts)) == 200
    # A service that sends only whole files.
    world.faults = [("/range", Fault("whole"))]
    with client.stream("try", "range", start=150) as (begins, _, parts):
        assert (begins, b"".join(parts)) == (0, bytes(range(200)))


def test_offline_no_client_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_public_addresses_and_the_host_of_the_service(
    address: str, near: str, public: bool
) -> None:
    assert is_public(address, near=near) is public


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.casefold().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("BIORETRIEVAL_OFFLINE", raising=False)


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """Serves raw answers, the last one to all further connections; gives the address."""
    listeners: list[socket.socket] = []

    def start(*answers: bytes, given: list[bytes] | None = None) -> str:
        given = list(answers) if given is None else given
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            while True:
                try:
                    taken, _ = listener.accept()
                except OSError:
                    return
                with taken:
                    taken.recv(65_536)
                    try:
                        taken.sendall(given.pop(0) if len(given) > 1 else given[0])
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for one in listeners:
        one.shutdown(socket.SHUT_RDWR)
        one.close()


def opened(base: str, clock: MovedClock, timeout: httpx.Timeout = TIMEOUT) -> HttpClient:
    return HttpClient(
        services={"try": Service("try", "Try", base, 50.0)}, clock=clock, timeout=timeout
    )


# Answers --------------------------------------------------------------------------------------


def test_data_behind_a_gzip_stream_is_refused(
    answering: Callable[..., str], clock: MovedClock
) -> None:
    packed = gzip.compress(b"small") + bytes(40_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    with (
        opened(answering(head.encode() + packed), clock) as client,
        pytest.raises(OnlineError, match="Try broke off: it sends data after the end"),
    ):
        client.get("try", "x", most_bytes=100_000_000)


def test_packed_bytes_count_even_if_they_unpack_to_nothing(
    answering: Callable[..., str], clock: MovedClock
) -> None:
    # A gzip head, and then empty blocks without end: no byte of content ever comes out of them.
    packed = gzip.compress(b"")[:10] + b"\x00\x00\x00\xff\xff" * 400_000
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    with (
        opened(answering(head.encode() + packed), clock) as client,
        pytest.raises(OnlineError, match="more than 1,000,000 bytes"),
    ):
        client.get("try", "x", most_bytes=1_000_000)


def test_a_truncated_gzip_stream_is_not_an_empty_body(
    answering: Callable[..., str], clock: MovedClock
) -> None:
    # No length is said, so that only the packing tells that something is missing.
    head = b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    with (
        opened(answering(head + gzip.compress(b"text")[:5]), clock) as client,
        pytest.raises(OnlineError, match="Try broke off: it ends the connection"),
    ):
        client.get("try", "x")


@pytest.mark.parametrize("tag", ['"caf\xe9"', '"a b"', "bare", '"' + "x" * 300 + '"', '""'])
def test_only_valid_etags_are_kept(
    answering: Callable[..., str], clock: MovedClock, tag: str
) -> None:
    raw = f"HTTP/1.1 200 OK\r\nETag: {tag}\r\nContent-Length: 2\r\n\r\nok".encode("latin-1")
    with opened(answering(raw), clock) as client:
        found = client.get("try", "x")
        assert etag_of(found) == (tag if tag == '""' else None)
        assert client.get("try", "x", etag=etag_of(found)).content == b"ok"


@pytest.mark.parametrize(
    ("packing", "said"),
    [
        ("br", "compresses its response in a way that was not requested"),
        ("gzip", "cannot be unpacked"),
    ],
)
def test_unrequested_and_invalid_encodings_are_refused(
    answering: Callable[..., str], clock: MovedClock, packing: str, said: str
) -> None:
    raw = f"HTTP/1.1 200 OK\r\nContent-Encoding: {packing}\r\nContent-Length: 5\r\n\r\nabcde"
    with opened(answering(raw.encode()), clock) as client, pytest.raises(OnlineError, match=said):
        client.get("try", "x")


@pytest.mark.parametrize("raw", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 999999 x\r\n\r\n", bytes(200)])
def test_a_server_that_does_not_speak_http_is_one_line(
    answering: Callable[..., str], clock: MovedClock, raw: bytes
) -> None:
    with opened(answering(raw), clock) as client, pytest.raises(OnlineError) as caught:
        client.get("try", "x")
    assert caught.value.line().startswith("Try cannot be reached: it ends the connection; check")


def test_a_slow_body_is_requested_three_times_only(clock: MovedClock, world: World) -> None:
    world.files["/slow"] = bytes(1_000)
    world.broken["/slow"] = Fault("drip")
    with (
        serving(world) as base,
        opened(base, clock, httpx.Timeout(0.3)) as client,
        pytest.raises(OnlineError, match="it takes too long"),
    ):
        client.get("try", "slow")
    assert len(world.asked) == 3


@pytest.fixture
def scripted(
    answering: Callable[..., str], clock: MovedClock
) -> Iterator[tuple[HttpClient, list[bytes]]]:
    """A client, and the raw answers that it will get."""
    answers: list[bytes] = []
    with opened(answering(given=answers), clock) as client:
        yield client, answers


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.integers(0, 5_000), packed=st.booleans(), content=st.binary(max_size=5_000))
def test_a_response_cut_at_any_byte_is_requested_again(
    scripted: tuple[HttpClient, list[bytes]], cut: int, packed: bool, content: bytes
) -> None:
    client, answers = scripted
    body = gzip.compress(content) if packed else content
    fields = f"Content-Length: {len(body)}\r\n" + ("Content-Encoding: gzip\r\n" if packed else "")
    raw = f"HTTP/1.1 200 OK\r\n{fields}\r\n".encode() + body
    answers[:] = [raw[: cut % len(raw)], raw]
    assert client.get("try", "x").content == content


# Addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::a00:1]",
     "[2002:7f00:1::]", "[fe80::1]", "[fc00::1]", "0.0.0.1", "100.64.0.1", "2130706433",
     "0x7f.1", "127.1", "localhost", "224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1",
     "[ff02::1]", "[ff0e::1]", "[fec0::1]", "[feff::1]", "[64:ff9b:1::1]", "[64:ff9b:1:1::a00:1]",
     "[::127.0.0.1]", "[::8.8.8.8]", "[::ffff:8.8.8.8]", "[::ffff:0:127.0.0.1]",
     "[2002:808:808::1]", "[2001:0:4136:e378:8000:63bf:80ff:fffe]", "[fe80::5efe:10.0.0.1]",
     "[2606:4700::5efe:7f00:1]", "[2606:4700::200:5efe:a00:1]", "[64:ff9b::e000:1]", "[4000::1]",
     "[100::1]", "[2001:db8::1]", "[::]", "[fe80::1%25lo]"],
)  # fmt: skip
def test_no_spelling_of_a_private_address_is_public(host: str) -> None:
    assert not is_public(f"http://{host}/")


def test_public_addresses_of_both_kinds() -> None:
    for host in (
        "8.8.8.8",
        "[2606:4700::1111]",
        "[2a00:1450:4001:81b::200e]",
        "[64:ff9b::808:808]",
    ):
        assert is_public(f"http://{host}/")


def test_addresses_in_messages_have_no_user_password_or_query() -> None:
    assert plain_address("https://me:secret@a.org:80/x?key=1#y") == "https://a.org:80/x"
    assert plain_address("https://me:sec@ret@a.org") == "https://a.org"
    assert plain_address("no address") == "no address"


def test_the_message_of_a_refused_redirect_holds_no_password(
    answering: Callable[..., str], clock: MovedClock
) -> None:
    raw = b"HTTP/1.1 302 x\r\nLocation: http://me:secret@10.0.0.1/x\r\nContent-Length: 0\r\n\r\n"
    with opened(answering(raw), clock) as client, pytest.raises(OnlineError) as caught:
        client.get("try", "x")
    assert "http://10.0.0.1/x, which is not followed" in caught.value.line()
    assert "secret" not in caught.value.line()


@pytest.mark.parametrize("host", ["a" * 70 + ".org", "a..b.org", "\u2028.org", "-", "xn--\xff.org"])
def test_an_invalid_host_name_is_one_line_and_a_fault_of_the_link(host: str) -> None:
    with HttpClient(clock=MovedClock()) as client:
        with pytest.raises(BioRetrievalError) as caught:
            client.get("web", f"https://{host}/")
        assert "Error" not in caught.value.line()
        found = reacher(client)(f"https://{host}/", "HEAD")
    assert found.status is None
    assert found.fault


@pytest.mark.parametrize("moved", ["nowhere", "ftp://a.org", "http://", "http://[x", "http://a:b/",
                                   "https://a.org/?key=1"])  # fmt: skip
def test_an_invalid_url_of_a_service_is_refused(
    monkeypatch: pytest.MonkeyPatch, moved: str
) -> None:
    monkeypatch.setenv("BIORETRIEVAL_NCBI_URL", moved)
    with pytest.raises(BioRetrievalError, match="BIORETRIEVAL_NCBI_URL is not the URL"):
        SERVICES["ncbi"].located()


def test_a_host_is_unknown_only_if_the_name_server_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failure = socket.EAI_AGAIN

    def ask(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(failure, "no")

    def missing() -> bool:
        with HttpClient(clock=MovedClock()) as client:
            return reacher(client)("https://a.org/", "HEAD").missing

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    assert not missing()
    failure = socket.EAI_NONAME
    assert missing()
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    assert not missing()  # the proxy may know it


def test_a_refused_connection_is_not_missing_and_an_unknown_host_named(clock: MovedClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    with HttpClient(services={"web": Service("web", "the web", base, 50.0)}, clock=clock) as client:
        found = reacher(client)(f"{base}/x", "HEAD")
    assert (found.status, found.missing) == (None, False)
    assert "refuses the connection" in (found.fault or "")
    with (
        opened("http://no-such-host.invalid", clock) as client,
        pytest.raises(OnlineError, match=r"DNS does not know its address no-such-host\.invalid"),
    ):
        client.get("try", "x")


def test_an_unreachable_proxy_is_named(clock: MovedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@127.0.0.1:9")
    with opened("http://a.example", clock) as client, pytest.raises(OnlineError) as caught:
        client.get("try", "x")
    assert "check the network and the proxy that the environment names" in caught.value.line()
    assert "secret" not in caught.value.line()


def test_a_silent_host_is_tried_three_times_only(clock: MovedClock) -> None:
    # Whoever has two guests waiting at the client and room for none hears no third.
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
        contextlib.ExitStack() as guests,
    ):
        place = full.getsockname()
        for _ in range(2):
            guest = guests.enter_context(socket.socket())
            guest.setblocking(False)
            guest.connect_ex(place)
        client = opened(f"http://127.0.0.1:{place[1]}", clock, httpx.Timeout(30, connect=0.3))
        began = time.monotonic()
        with client, pytest.raises(OnlineError, match="it takes too long"):
            client.get("try", "x")
        assert 0.9 <= time.monotonic() - began < 1.4


# Certificates ---------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "own.pem"
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext"
    try:
        subprocess.run(
            [*words.split(), "subjectAltName=DNS:localhost", "-keyout", path, "-out",
             tmp_path / "cert.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("there is no openssl to make a certificate")
    path.write_bytes(path.read_bytes() + (tmp_path / "cert.pem").read_bytes())
    return path


def test_certificates_are_verified_and_ssl_cert_file_is_used(
    certificate: Path, clock: MovedClock, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    world.files["/x"] = b"ok"
    with serving(world, tls=context) as base:
        with opened(base, clock) as client, pytest.raises(OnlineError) as caught:
            client.get("try", "x")
        assert caught.value.line() == (
            "Try cannot be reached: it presents a certificate that is not trusted; if a proxy"
            " stands between, name its certificate in SSL_CERT_FILE"
        )
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("cert.pem")))
        with opened(base, clock) as client:
            assert client.get("try", "x").content == b"ok"


def test_an_invalid_ssl_cert_file_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "none.pem").write_text("nothing")
    for place in (tmp_path / "none.pem", tmp_path / "nowhere.pem"):
        monkeypatch.setenv("SSL_CERT_FILE", str(place))
        with pytest.raises(
            BioRetrievalError, match="the network settings of the environment are invalid"
        ):
            HttpClient()


# Paces ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7), (" 120 ", 120), ("0", 0), ("999999999999999", 999_999_999), (None, 0), ("", 0),
        ("soon", 0), ("-5", 0), ("1.5", 0), ("\u0667", 0), ("Tue, 99 Foo 2026 99:99:99 GMT", 0),
        ("Fri, 01 Jan 1999 00:00:00 GMT", 0), ("Fri, 31 Dec 9999 23:59:59 -2359", None),
    ],
)  # fmt: skip
def test_retry_after_as_a_number(said: str | None, seconds: float | None) -> None:
    found = retry_after(said)
    assert found >= 0
    if seconds is not None:
        assert found == seconds


def test_retry_after_as_a_date() -> None:
    then = datetime.now(UTC) + timedelta(seconds=50)
    assert 48 <= retry_after(format_datetime(then, usegmt=True)) <= 50


def test_a_date_in_retry_after_is_of_the_servers_clock() -> None:
    server = datetime(2001, 1, 1, tzinfo=UTC)  # whatever the clock is here
    then, now = (
        format_datetime(one, usegmt=True) for one in (server + timedelta(seconds=9), server)
    )
    assert retry_after(then, now) == 9
    assert retry_after(now, then) == 0
    assert retry_after("7", now) == 7
    assert retry_after(then, "noon") == 0


def test_a_date_in_retry_after_is_waited_for(
    answering: Callable[..., str], clock: MovedClock
) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    raw = f"HTTP/1.1 503 x\r\nRetry-After: {then}\r\nContent-Length: 0\r\n\r\n"
    with opened(answering(raw.encode()), clock) as client, pytest.raises(OnlineError, match="503"):
        client.get("try", "x")
    assert 4 * 55 <= clock.now - 1_000 <= 4 * 61


def test_threads_share_one_rate(world: World) -> None:
    began = time.monotonic()
    with serving(world) as base:
        services = {"try": Service("try", "Try", base, 20.0)}
        with HttpClient(services=services) as client, ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: client.get("try", f"{n}", check=False), range(24)))
    times = sorted(at for at, _, _ in world.asked)
    assert len(times) == 24
    # However late a thread was, none was early: the nth request has its moment at n / rate.
    assert all(at - began >= n / 20 - 0.005 for n, at in enumerate(times))


def test_a_pause_holds_for_threads_that_wait_already(clock: MovedClock) -> None:
    told = False

    def step() -> None:
        """Another thread is told to wait, while this one waits for its turn."""
        nonlocal told
        if not told and clock.now > 1_000.5:
            told = True
            limiter.pause("a", 30)

    limiter = RateLimiter(clock, step)
    limiter.acquire("a", 1.0)
    limiter.acquire("a", 1.0)
    assert told
    assert clock.now >= 1_030.5


def test_two_processes_share_one_rate(world: World, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from bioretrieval_tui.online.http import HttpClient\n"
        "from bioretrieval_tui.online.services import Service\n"
        "services = {'try': Service('try', 'Try', sys.argv[1], 10.0)}\n"
        "with HttpClient(services=services) as client:\n"
        "    client.get('try', 'ready', check=False)\n"
        "    sys.stdin.read()\n"
        "    for n in range(12):\n"
        "        client.get('try', f'x{n}', check=False)\n"
    )
    with serving(world) as base:
        env = {**os.environ, "BIORETRIEVAL_HOME": str(tmp_path / "home")}
        children = [
            subprocess.Popen([sys.executable, "-c", code, base], env=env, stdin=subprocess.PIPE)
            for _ in range(2)
        ]
        until = time.monotonic() + 60
        while len(world.times("/ready")) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        began = time.monotonic()
        for child in children:
            assert child.stdin is not None
            child.stdin.close()
        assert [child.wait(60) for child in children] == [0, 0]
    times = sorted(world.times("/x"))
    assert len(times) == 24
    # The nth request of both has its moment at n / rate, as if one process had made them all.
    assert all(at - began >= n / 10 - 0.005 for n, at in enumerate(times))


def test_an_unwritable_pace_folder_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert reserve(tmp_path / "file" / "pace", "a b", 2.5, 1.0) == 2.5


@pytest.mark.parametrize(
    "said", ["", "soon", "nan", "inf", "-inf", "1e400", "99999999999", "\u0663"]
)
def test_a_pace_file_with_nonsense_is_replaced(tmp_path: Path, said: str) -> None:
    (tmp_path / "a").write_text(said)
    assert 0.0 <= reserve(tmp_path, "a", 0.0, 1.0) <= 1
    assert json.loads((tmp_path / "a").read_text()) < time.time() + 1_000


@pytest.mark.parametrize(
    ("ahead", "seconds"), [(-9e5, 0), (-3, 0), (30, 30), (150, 150), (200, 0), (3_600, 0), (9e5, 0)]
)
def test_a_time_further_ahead_than_any_wait_is_not_believed(
    tmp_path: Path, ahead: float, seconds: float
) -> None:
    (tmp_path / "a").write_text(f"{time.time() + ahead:.6f}")  # before the clock was set back
    assert reserve(tmp_path, "a", 0.0, 1.0) == pytest.approx(seconds, abs=1)
    assert reserve(tmp_path, "a", 0.0, 1.0) == pytest.approx(seconds + 1, abs=1)


def test_a_long_wait_is_said_and_a_short_one_not(tmp_path: Path) -> None:
    clock, said = MovedClock(), []
    limiter = RateLimiter(
        clock, lambda: None, tmp_path, lambda name, seconds: said.append((name, round(seconds)))
    )
    (tmp_path / "a").write_text(f"{time.time() + 90:.6f}")
    limiter.acquire("a", 1.0, share=True)
    assert (said, round(clock.now)) == ([("a", 90)], 1_090)
    limiter.acquire("a", 1.0)
    limiter.pause("a", 4)
    limiter.acquire("a", 1.0)
    assert len(said) == 1
    limiter.pause("a", 60)
    limiter.acquire("a", 1.0)
    assert said[1:] == [("a", 60)]


def test_a_wait_that_a_service_asks_for_is_said(client: HttpClient, world: World) -> None:
    said: list[str] = []
    client.remark = said.append
    world.faults = [("/plain", Fault("busy", 70))]
    client.get("try", "plain")
    assert said == ["waiting 70 s before the next request to Try"]


def test_pace_files_of_hosts_long_ago_are_deleted(tmp_path: Path) -> None:
    moments = {"old": -4_000.0, "new": -50.0, "waits": 100.0, "ahead": 4_000.0, "wrong": math.nan}
    for name, seconds in moments.items():
        reserve(tmp_path, name, 0.0, 1.0)
        (tmp_path / name).write_text(f"{time.time() + seconds}")
    with FileLock(tmp_path / "ahead.lock"):
        sweep(tmp_path)  # another process is about to write it
    left = [path.name for path in tmp_path.iterdir() if path.suffix == ""]
    assert sorted(left) == ["ahead", "new", "waits"]
    sweep(tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {"new", "waits"}
    sweep(tmp_path / "nowhere")


def test_reserved_moments_follow_each_other(tmp_path: Path) -> None:
    found = [reserve(tmp_path, "a", 0.0, 5.0) for _ in range(4)]
    assert [round(later - now) for now, later in itertools.pairwise(found)] == [5, 5, 5]
    assert reserve(tmp_path, "b", 0.0, 5.0) == pytest.approx(0.0, abs=0.1)
