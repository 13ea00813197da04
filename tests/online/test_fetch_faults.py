"""Services that are wrong in ways of their own: histories that changed, pages that hold nothing,
keys that are refused late, archives that are damaged, strangers that answer in their place."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server import Fault, World, article_set, benchmark_files, pmid_of, zipped

from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.catalog.models import Benchmark
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online import europepmc, pubmed
from bioretrieval_tui.online.benchmarks import fetch_benchmark
from bioretrieval_tui.online.door import Door, OnlineError
from bioretrieval_tui.online.fetch import services_of
from bioretrieval_tui.online.fresh import Freshness
from bioretrieval_tui.online.refresh import Asking
from bioretrieval_tui.online.sources import fetcher
from bioretrieval_tui.online.spool import (
    FetchBatch,
    FetchRequest,
    Mark,
    WorkId,
    documents_of,
    sound_query,
)
from bioretrieval_tui.online.watches import Watch

TODAY = date(2026, 7, 1)


def asked(way: Door, mark: Mark | None = None) -> list[FetchBatch]:
    return list(pubmed.batches(way, FetchRequest("pubmed", "birds"), mark, today=TODAY))


def pmids(batches: list[FetchBatch]) -> list[int]:
    return [int(one.id) for one in documents_of(batches)]


@pytest.mark.parametrize("now", [700, 450, 420, 200, 100, 0])
def test_a_history_that_expired_and_found_others_since(way: Door, world: World, now: int) -> None:
    first = asked(way)[0]
    world.histories.clear()
    world.articles = now
    # What has come since is taken, and what is gone is not waited for.
    assert pmids(asked(way, first.mark)) == [pmid_of(n) for n in range(200, now)]


def test_a_whole_page_without_a_record_is_asked_for_again(way: Door, world: World) -> None:
    empty = Fault("say", 200, article_set([], world).decode())
    world.faults = [("/efetch", empty), ("/efetch", empty)]
    assert pmids(asked(way)) == [pmid_of(n) for n in range(450)]
    world.faults = [("/efetch", empty)] * 3
    with pytest.raises(OnlineError) as caught:
        asked(way)
    assert caught.value.line() == (
        "PubMed gives nothing of records that it counts; the same call goes on from here"
    )


def test_the_last_few_may_be_gone(way: Door, world: World) -> None:
    world.articles = 3
    world.faults = [("/efetch", Fault("say", 200, article_set([], world).decode()))]
    assert pmids(asked(way)) == []
    assert len(world.of("/efetch")) == 1


def test_a_wrong_key_is_named_where_records_are_asked_for_by_their_ids(
    way: Door, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.key = "right-key-0123456789"
    monkeypatch.setenv("NCBI_API_KEY", "wrong-key-0123456789")
    with pytest.raises(OnlineError) as caught:
        list(pubmed.by_ids(way, ["1"]))
    assert "check the key in NCBI_API_KEY or config.toml" in caught.value.line()
    assert "wrong-key" not in caught.value.line()


def test_too_many_without_a_key_says_what_a_key_is_for(
    way: Door, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.faults = [("/esearch", Fault("busy", 1))] * 5
    with pytest.raises(OnlineError, match="PubMed answers 429") as caught:
        asked(way)
    assert caught.value.remedy == "try again later, or get a key for NCBI_API_KEY"


def test_a_search_that_answers_without_end(way: Door, world: World) -> None:
    world.faults = [("/esearch", Fault("say", 200, '{"x": "' + "y" * 2_000_000 + '"}'))]
    with pytest.raises(OnlineError, match="PubMed answers with more than 1,048,576 bytes"):
        asked(way)


def test_pages_without_end_are_seen_through(way: Door, world: World) -> None:
    page = {
        "hitCount": 300,
        "resultList": {"result": [{"id": str(n), "source": "MED", "title": "t", "abstractText": "a"}
                                  for n in range(200)]},
    }  # fmt: skip
    world.faults = [
        ("/search", Fault("say", 200, json.dumps({**page, "nextCursorMark": str(1_000 + n)})))
        for n in range(9)
    ]
    with pytest.raises(OnlineError, match=r"Europe PMC .* more records than it counts"):
        list(europepmc.batches(way, FetchRequest("europepmc", "birds")))
    assert len(world.of("/search")) <= 4


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.integers(0, 120_000), min_size=1, max_size=4))
def test_however_often_it_is_cut_no_record_is_lost_or_twice(
    way: Door, world: World, cuts: list[int]
) -> None:
    world.asked.clear()
    world.faults = [("/e", Fault("cut", cut)) for cut in cuts]
    assert pmids(asked(way)) == [pmid_of(n) for n in range(450)]


def test_a_damaged_archive_is_not_unpacked_again_and_again(
    way: Door, world: World, tmp_path: Path
) -> None:
    entry = load().catalogue.entry("nfcorpus")
    assert isinstance(entry, Benchmark)
    assert entry.loaders is not None
    import msgspec

    entry = msgspec.structs.replace(
        entry, loaders=msgspec.structs.replace(entry.loaders, md5=None)
    )  # nobody says its MD5
    whole = zipped(benchmark_files("nfcorpus"))
    world.files["/nfcorpus.zip"] = whole[:-30]
    folder = tmp_path / "nfcorpus"
    with pytest.raises(BioRetrievalError, match="cannot be unpacked: it is damaged"):
        fetch_benchmark(way, entry, folder)
    assert list(tmp_path.glob(".*")) == []
    world.files["/nfcorpus.zip"] = whole
    fetch_benchmark(way, entry, folder)
    assert (folder / "corpus.jsonl").is_file()


@pytest.mark.parametrize("status", [401, 404, 410])
def test_a_stranger_that_answers_for_the_hub_removes_no_model(
    way: Door, world: World, monkeypatch: pytest.MonkeyPatch, address: str, status: int
) -> None:
    hub = replace(way.service("hub"), base=address)
    monkeypatch.setitem(way._services, "hub", hub)
    asking = Asking(way, Freshness(), day="2026-07-01")
    world.faults = [("/api", Fault("say", status, "<html>Please sign in</html>"))]
    asking.ask([("model", "org/one")])
    assert asking.found == []
    assert asking.failures == [f"the model hub answered {status} for org/one; try again later"]
    world.faults = [("/api", Fault("say", status, '{"error": "Repository not found"}'))]
    asking.ask([("model", "org/one")])
    assert [one.state for one in asking.found] == ["removed"]


def test_a_watch_asks_until_the_day_that_it_is_told(way: Door, world: World) -> None:
    watch = Watch(name="w", query="birds", source="pubmed", since="2026-06-01", added="x")
    then = datetime(2026, 6, 28, 23, 30, tzinfo=UTC)
    found = list(fetcher(way, now=lambda: then)(watch, date(2026, 6, 27)))
    assert [int(one.id) for one in found] == [pmid_of(n) for n in range(200, 400)]


@pytest.mark.parametrize("text", ["", " \n", "x" * 20_001, "caf\udce9"])
def test_queries_that_nobody_can_be_asked(text: str) -> None:
    with pytest.raises(BioRetrievalError) as caught:
        sound_query(text)
    assert caught.value.exit_code == 2
    assert caught.value.remedy


def test_services_are_named_by_what_they_are_asked_for() -> None:
    ids = [WorkId("doi", "10.1000/x", 1), WorkId("pmid", "1", 2), WorkId("pmcid", "PMC1", 3)]
    assert services_of(ids) == "PubMed and Europe PMC"
    assert services_of([*ids, WorkId("arxiv", "2101.00001", 4)]) == "PubMed, Europe PMC and arXiv"
    assert services_of(ids[:1]) == "Europe PMC"
