"""Which links are dead, which have moved, and how many are asked for at a time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from urllib.parse import urlsplit

import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark, Content, Link, Loaders, Model, Source
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.linkcheck import (
    PER_HOST,
    Reached,
    check_link,
    check_links,
    links_of,
)
from bioretrieval_tui.progress import Progress

URL = "https://a.example/page"


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (Reached(200), "ok"),
        (Reached(206), "ok"),
        (Reached(200, ((302, "https://b.example/x"),)), "ok"),
        (Reached(200, ((301, "https://b.example/x"),)), "moved"),
        (Reached(200, ((308, "https://b.example/x"), (302, "https://c.example/"))), "moved"),
        (Reached(200, ((301, "http://a.example/page/"),)), "ok"),
        (Reached(404, ((301, "https://b.example/x"),)), "dead"),
        (Reached(404), "dead"),
        (Reached(410), "dead"),
        (Reached(400), "dead"),
        (Reached(403), "unclear"),
        (Reached(429), "unclear"),
        (Reached(500), "unclear"),
        (Reached(503), "unclear"),
        (Reached(None, fault="no such host", missing=True), "dead"),
        (Reached(None, fault="timed out"), "unclear"),
    ],
)
def test_the_verdict_of_each_response(found: Reached, verdict: str) -> None:
    judged_one = check_link(URL, lambda *_: found)
    assert judged_one.verdict == verdict
    assert bool(judged_one.advice) is (verdict != "ok")


def test_the_advice_is_the_target_of_permanent_redirects() -> None:
    hops = ((301, "https://b.example/x"), (302, "https://c.example/session"))
    found = check_link(URL, lambda *_: Reached(200, hops))
    assert found.advice == "write https://b.example/x"
    assert found.final == "https://c.example/session"


def test_a_refused_head_is_followed_by_get() -> None:
    asked: list[str] = []

    def reach(_: str, method: str) -> Reached:
        asked.append(method)
        return Reached(404 if method == "HEAD" else 200)

    assert check_link(URL, reach).verdict == "ok"
    assert asked == ["HEAD", "GET"]


def test_a_good_head_is_enough() -> None:
    asked: list[str] = []

    def reach(_: str, method: str) -> Reached:
        asked.append(method)
        return Reached(200)

    check_link(URL, reach)
    assert asked == ["HEAD"]


def test_a_few_at_a_time_per_host_and_hosts_beside_each_other() -> None:
    now: Counter[str] = Counter()
    most: Counter[str] = Counter()
    together = 0
    counting = threading.Lock()

    def reach(url: str, _: str) -> Reached:
        nonlocal together
        host = urlsplit(url).netloc
        with counting:
            now[host] += 1
            most[host] = max(most[host], now[host])
            together = max(together, sum(now.values()))
        time.sleep(0.01)
        with counting:
            now[host] -= 1
        return Reached(200)

    links = [f"https://{host}.example/{n}" for n in range(12) for host in "abc"]
    steps: list[Progress] = []
    found = check_links(links, reach, reporter=steps.append)
    assert [one.url for one in found] == links
    assert max(most.values()) == PER_HOST
    assert together > PER_HOST
    assert [step.done for step in steps] == list(range(1, 37))


def test_an_interrupt_stops_the_link_check() -> None:
    asked: list[str] = []

    def reach(url: str, _: str) -> Reached:
        asked.append(url)
        return Reached(200)

    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    links = [f"https://a.example/{n}" for n in range(500)]
    with pytest.raises(KeyboardInterrupt):
        check_links(links, reach, reporter=stop)
    assert len(asked) <= 2 * PER_HOST


def test_without_any_response_the_network_is_at_fault() -> None:
    asked: list[str] = []

    def reach(url: str, _: str) -> Reached:
        asked.append(url)
        return Reached(None, fault="there is no host", missing=True)

    links = [f"https://host{n % 20}.example/{n}" for n in range(200)]
    with pytest.raises(BioRetrievalError, match="links got a response: there is no host") as raised:
        check_links(links, reach)
    assert "network" in (raised.value.remedy or "")
    assert len(asked) < 40


def test_some_responses_make_the_others_dead() -> None:
    def reach(url: str, _: str) -> Reached:
        return Reached(200) if url[-1] in "02468" else Reached(None, fault="x", missing=True)

    links = [f"https://host{n}.example/{n}" for n in range(30)]
    found = check_links(links, reach)
    assert [one.verdict for one in found] == ["ok", "dead"] * 15


def test_every_address_is_listed_once_with_all_its_uses() -> None:
    model = Model(
        id="m",
        name="M",
        summary="s",
        sources=("x",),
        role="retriever",
        links=(Link(label="code", url=URL, type="code"),),
    )
    benchmark = Benchmark(
        id="b",
        name="B",
        summary="s",
        sources=("x",),
        links=(Link(label="site", url=URL, type="site"),),
        loaders=Loaders(zip="https://a.example/b.zip"),
    )
    source = Source(id="x", text="t", url="https://a.example/x")
    found = links_of(Catalogue(Content(entries=(model, benchmark), results=(), sources=(source,))))
    assert found == {
        URL: [("m", "code"), ("b", "site")],
        "https://a.example/b.zip": [("b", "zip")],
        "https://a.example/x": [("source x", "url")],
    }
