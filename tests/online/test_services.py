"""Searches of PubMed, Europe PMC and arXiv: page by page, resumed, and when they fail."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from clocks import MovedClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server import (
    Article,
    Fault,
    World,
    article_set,
    benchmark_files,
    bomb,
    pmid_of,
    text_of,
    title_of,
    zipped,
)

from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.catalog.models import Benchmark
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online import searches
from bioretrieval_tui.online.archives import fetch_benchmark
from bioretrieval_tui.online.freshness import Subject, refresh, repository
from bioretrieval_tui.online.http import HttpClient
from bioretrieval_tui.online.searches import batches_of, batches_of_ids, documents_of, services_of
from bioretrieval_tui.online.services import OnlineError
from bioretrieval_tui.online.spool import (
    FetchBatch,
    FetchRequest,
    Mark,
    QueryNote,
    SourceName,
    WorkId,
    sound_query,
)
from bioretrieval_tui.online.watches import Watch, record_source

TODAY = date(2026, 7, 1)


def asked(client: HttpClient, mark: Mark | None = None, **fields: object) -> list[FetchBatch]:
    request = FetchRequest(**{"source": "pubmed", "query": "birds", **fields})  # type: ignore[arg-type]
    return list(batches_of(client, request, mark, today=TODAY))


def pmids(batches: list[FetchBatch]) -> list[int]:
    return [int(one.id) for one in documents_of(batches)]


def test_all_records_of_pubmed_come_once_and_in_order(client: HttpClient, world: World) -> None:
    found = asked(client)
    assert pmids(found) == [pmid_of(n) for n in range(450)]
    assert [len(one.documents) for one in found] == [200, 200, 50]
    assert [one.mark.done for one in found] == [200, 400, 450]
    assert {one.mark.total for one in found} == {450}
    first = found[0].documents[0]
    assert (first.title, first.text) == (title_of(0), text_of(0))
    assert first.metadata["doi"] == "10.5555/pond.0"


def test_as_many_as_are_wanted_and_since_a_day(client: HttpClient, world: World) -> None:
    assert len(pmids(asked(client, most=250))) == 250
    assert world.of("/efetch.fcgi")[-1]["retmax"] == "50"
    since = asked(client, since=date(2026, 6, 29))
    assert len(pmids(since)) == 200
    assert world.of("/esearch.fcgi")[-1]["mindate"] == "2026/06/29"


@pytest.fixture
def reach(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many records PubMed gives of one search, and the program knows."""

    def change(records: int) -> None:
        world.reach = records
        monkeypatch.setattr(searches, "PUBMED_REACH", records)

    return change


def test_a_search_longer_than_pubmed_gives_is_cut_by_days(
    client: HttpClient, world: World, reach: Callable[[int], None]
) -> None:
    reach(999)
    world.articles, world.a_day = 2_300, 150
    found = pmids(asked(client))
    assert found == [pmid_of(n) for n in range(2_300)]
    # The whole, and hardly more than one for each of the parts.
    assert 3 < len(world.of("/esearch.fcgi")) <= 8


@pytest.mark.parametrize(
    ("most", "a_day"),
    [(999, 1_200), (999, 1_100), (999, 999), (999, 3), (999, 1), (9_999, 11_000)],
)
def test_no_record_is_lost_at_any_number_a_day(
    client: HttpClient, world: World, reach: Callable[[int], None], most: int, a_day: int
) -> None:
    reach(most)
    whole = most * 23 // 20
    world.articles, world.a_day = whole, a_day
    found = pmids(asked(client))
    if a_day <= most:
        assert found == [pmid_of(n) for n in range(whole)]
    else:  # of a single day PubMed gives no more
        assert found[:most] == [pmid_of(n) for n in range(most)]
        assert len(set(found)) == most + max(0, whole - a_day)


def test_a_search_resumes_at_any_mark(
    client: HttpClient, world: World, reach: Callable[[int], None]
) -> None:
    reach(999)
    world.articles, world.a_day = 2_300, 150
    whole = asked(client)
    for place in (0, 3, len(whole) // 2, len(whole) - 2):
        rest = asked(client, whole[place].mark)
        assert pmids(rest) == [n for one in whole[place + 1 :] for n in pmids([one])]


def test_an_expired_history_is_searched_again(client: HttpClient, world: World) -> None:
    first = asked(client, most=None)[0]
    world.histories.clear()
    world.asked.clear()
    assert pmids(asked(client, first.mark)) == [pmid_of(n) for n in range(200, 450)]
    assert len(world.of("/esearch.fcgi")) == 1


def test_a_history_that_expires_again_and_again(client: HttpClient, world: World) -> None:
    expired = Fault(
        "say", 400, "<eFetchResult><ERROR>Unable to obtain query</ERROR></eFetchResult>"
    )
    world.faults = [("/efetch", expired)] * 9
    with pytest.raises(OnlineError, match="the searches of PubMed expire at once"):
        asked(client)


@pytest.mark.parametrize("fault", [Fault("fail"), Fault("busy", 9), Fault("cut", 700)])
def test_transient_failures_lose_no_record(
    client: HttpClient, world: World, clock: MovedClock, fault: Fault
) -> None:
    world.faults = [("/efetch", fault), ("/esearch", fault), ("/efetch", fault)]
    assert pmids(asked(client)) == [pmid_of(n) for n in range(450)]
    assert world.faults == []
    if fault.kind == "busy":
        assert clock.now - 1_000 >= 27


@pytest.mark.parametrize("bytes_", [0, 1, 40, 4_096, 65_535, 65_536, 65_537, 100_000])
def test_records_cut_anywhere_are_requested_again(
    client: HttpClient, world: World, bytes_: int
) -> None:
    world.faults = [("/efetch", Fault("cut", bytes_))]
    assert pmids(asked(client, most=200)) == [pmid_of(n) for n in range(200)]
    assert len(world.of("/efetch")) == 2


def test_batches_before_a_failure_need_not_be_fetched_again(
    client: HttpClient, world: World
) -> None:
    world.faults = [("/efetch", Fault("cut", 0))]
    batches = batches_of(client, FetchRequest("pubmed", "birds"), today=TODAY)
    first = next(batches)
    world.faults = [("/efetch", Fault("fail"))] * 5
    with pytest.raises(OnlineError, match="PubMed responded with status 500"):
        next(batches)
    assert pmids(asked(client, first.mark)) == [pmid_of(n) for n in range(200, 450)]


def test_three_a_second_without_a_key_and_ten_with_one(
    client: HttpClient, world: World, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.articles, world.a_day = 4_000, 500
    asked(client)
    requests = len(world.asked)
    assert clock.now - 1_000 == pytest.approx((requests - 1) / 3, rel=0.01)
    monkeypatch.setenv("NCBI_API_KEY", "right-key-0123456789")
    began, before = clock.now, len(world.asked)
    asked(client)
    spent = clock.now - began
    assert spent == pytest.approx((len(world.asked) - before) / 10, abs=0.5)


def test_a_wrong_key_is_reported_without_it(
    client: HttpClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.key = "right-key-0123456789"
    monkeypatch.setenv("NCBI_API_KEY", "wrong-key-0123456789")
    with pytest.raises(OnlineError) as caught:
        asked(client)
    line = caught.value.line()
    assert "PubMed refuses" in line
    assert "NCBI_API_KEY" in line
    assert "wrong-key" not in line
    monkeypatch.setenv("NCBI_API_KEY", "right-key-0123456789")
    assert len(pmids(asked(client))) == 450


def test_nothing_is_found(client: HttpClient, world: World) -> None:
    assert asked(client, query="nothing at all") == []
    assert world.of("/efetch") == []


def test_a_query_that_pubmed_does_not_take(client: HttpClient) -> None:
    with pytest.raises(OnlineError, match="PubMed rejects the query: Query syntax is wrong"):
        asked(client, query="((")


@pytest.mark.parametrize(
    ("path", "fault", "said"),
    [
        ("/esearch", Fault("page"), "PubMed did not respond with JSON"),
        ("/esearch", Fault("say", 200, "[]"), "a search without a result"),
        ("/esearch", Fault("say", 200, '{"esearchresult": {"count": "x"}}'), "without a count"),
        ("/efetch", Fault("page"), "records that are no PubMed XML"),
        ("/esearch", Fault("say", 404, "gone"), "PubMed responded with status 404"),
        ("/esearch", Fault("busy", 99_999), "PubMed asks to wait 99,999 seconds"),
        ("/esearch", Fault("lead", text="file:///etc/passwd"), "/etc/passwd, which is not"),
        ("/esearch", Fault("lead", text="http://10.1.2.3/x"), "http://10.1.2.3/x, which is not"),
        ("/esearch", Fault("lead", text="http://169.254.169.254/"), "which is not followed"),
        ("/esearch", Fault("lead", text="http://[::1]/x"), "which is not followed"),
    ],
)
def test_unexpected_responses_of_pubmed_are_one_line(
    client: HttpClient, world: World, path: str, fault: Fault, said: str
) -> None:
    world.faults = [(path, fault)] * 5
    with pytest.raises(OnlineError) as caught:
        asked(client)
    assert said in caught.value.line()
    assert caught.value.remedy
    assert "\n" not in caught.value.line()


def test_a_gzip_bomb_takes_no_memory(client: HttpClient, world: World) -> None:
    world.faults = [("/efetch", Fault("bomb"))]
    bomb()
    client.get("ncbi", "/elsewhere", check=False)  # the library is imported, the bomb is made
    tracemalloc.start()
    try:
        with pytest.raises(OnlineError, match="more than 1,000,000 bytes"):
            client.get("ncbi", "/efetch.fcgi", params={"id": "1"}, most_bytes=1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_service_that_drips_is_given_up(
    open_client: Callable[..., HttpClient], world: World
) -> None:
    patient = open_client(timeout=httpx.Timeout(0.3))
    world.faults = [("/esearch", Fault("drip"))] * 5
    with pytest.raises(OnlineError, match="PubMed broke off: it takes too long"):
        asked(patient)


def test_a_step_that_raises_ends_the_search(client: HttpClient, world: World) -> None:
    class Enough(Exception):
        pass

    def step() -> None:
        if len(world.of("/efetch")) == 2:
            raise Enough

    client.step = step
    with pytest.raises(Enough):
        asked(client)
    assert len(world.of("/efetch")) == 2


def test_an_invalid_mark_names_anew(client: HttpClient) -> None:
    with pytest.raises(BioRetrievalError) as caught:
        asked(client, Mark({"first": "yesterday"}, 3, 9))
    assert "--anew" in caught.value.line()


# What PubMed says of a query ------------------------------------------------------------------


OTHERS = "the records may be others than meant"


@pytest.mark.parametrize(
    ("said", "caution"),
    [
        ({}, ""),
        ({"errorlist": {"phrasesnotfound": [], "fieldsnotfound": []}}, ""),
        ({"warninglist": {"outputmessages": ["No items found."]}}, ""),
        (
            {"errorlist": {"phrasesnotfound": ["heronzz"], "fieldsnotfound": ["titel"]},
             "warninglist": {"quotedphrasesnotfound": ['"heron newts"'], "phrasesignored": []}},
            'PubMed did not find "heronzz" and "heron newts", does not know the field [titel]: '
            + OTHERS,
        ),
        (
            {"errorlist": {"fieldsnotfound": ["[tiabx]", "[tiabx]", "au2"]}},
            f"PubMed does not know the fields [tiabx] and [au2]: {OTHERS}",
        ),
        (
            {"warninglist": {"quotedphrasesnotfound": ['"a b"[tiab]', '"c d"', '"e f"']}},
            f'PubMed did not find "a b"[tiab], "c d" and "e f": {OTHERS}',
        ),
        ({"warninglist": {"phrasesignored": ["of", "the"]}}, 'PubMed ignored "of" and "the"'),
        (
            {"warninglist": {"phrasesignored": ["of"], "outputmessages": ["Wildcard too short."]}},
            'PubMed ignored "of"; says: Wildcard too short.',
        ),
        ({"errorlist": {"new": "ponds\x1b[2J\nand\u202e moss"}}, "PubMed says: ponds and moss"),
        ({"errorlist": ["x"], "warninglist": {"phrasesignored": [7, None, ""]}}, ""),
    ],
)  # fmt: skip
def test_what_pubmed_says_of_a_query_is_told_once(
    client: HttpClient, world: World, reach: Callable[[int], None], said: Any, caution: str
) -> None:
    reach(99)  # the query is searched for again and again
    world.said = said
    notes: list[QueryNote] = []
    list(batches_of(client, FetchRequest("pubmed", "x"), today=TODAY, note=notes.append))
    assert len(world.of("/esearch")) > 1
    assert notes == [QueryNote(caution)]


@pytest.mark.parametrize(
    ("translation", "reading"),
    [
        ('"birds"[MeSH Terms] AND 1800/01/01:2026/07/01[Date - Entry]', '"birds"[MeSH Terms]'),
        ("ponds[tiab] AND (2020:2021[Date - Publication])", "ponds[tiab]"),
        ("ponds", "ponds"),
        ("x" * 500, "x" * 400 + "..."),
        (["ponds"], ""),
    ],
)
def test_the_query_as_pubmed_understood_it(
    client: HttpClient, world: World, translation: object, reading: str
) -> None:
    world.said, world.articles = {"querytranslation": translation}, 0
    notes: list[QueryNote] = []
    request = FetchRequest("pubmed", "x")
    assert list(batches_of(client, request, today=TODAY, note=notes.append)) == []
    assert notes == [QueryNote("", reading)]


def test_a_mark_knows_how_many_records_a_search_has(client: HttpClient, world: World) -> None:
    for source in ("pubmed", "europepmc", "arxiv"):
        first = asked(client, source=source, most=3)[0]
        assert (first.mark.total, first.mark.found) == (3, 450)


# Europe PMC and arXiv -------------------------------------------------------------------------


def test_europe_pmc_by_cursor(client: HttpClient, world: World) -> None:
    found = list(batches_of(client, FetchRequest("europepmc", "birds")))
    assert pmids(found) == [pmid_of(n) for n in range(450)]
    assert next(documents_of(found)).text == text_of(0)
    rest = list(batches_of(client, FetchRequest("europepmc", "birds"), found[0].mark))
    assert pmids(rest) == [pmid_of(n) for n in range(200, 450)]
    assert len(pmids(list(batches_of(client, FetchRequest("europepmc", "x", most=210))))) == 210
    list(batches_of(client, FetchRequest("europepmc", "x", since=date(2026, 2, 3), most=1)))
    assert "FIRST_IDATE:[2026-02-03 TO" in world.of("/search")[-1]["query"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("page"), "Europe PMC sent an unexpected response: no JSON"),
        (Fault("say", 200, '{"errMsg": "Bad query"}'), "Europe PMC rejects the query: Bad"),
        (Fault("say", 200, '{"hitCount": 3}'), "without a count or a list"),
        (Fault("say", 503, ""), "Europe PMC responded with status 503"),
    ],
)
def test_unexpected_responses_of_europe_pmc_are_one_line(
    client: HttpClient, world: World, fault: Fault, said: str
) -> None:
    world.faults = [("/search", fault)] * 5
    with pytest.raises(OnlineError) as caught:
        list(batches_of(client, FetchRequest("europepmc", "birds")))
    assert said in caught.value.line()


def test_arxiv_in_three_seconds_each(client: HttpClient, world: World, clock: MovedClock) -> None:
    world.articles = 1_200
    found = list(batches_of(client, FetchRequest("arxiv", "birds")))
    assert [len(one.documents) for one in found] == [500, 500, 200]
    assert clock.now - 1_000 == pytest.approx(6, abs=0.01)
    first = found[0].documents[0]
    assert (first.id, first.title, first.text) == ("2601.00000", title_of(0), text_of(0))
    rest = list(batches_of(client, FetchRequest("arxiv", "birds"), found[1].mark))
    assert len(list(documents_of(rest))) == 200


def test_arxiv_that_gives_an_empty_page_is_asked_again(client: HttpClient, world: World) -> None:
    empty = (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:opensearch="http://a9.com/-/spec/'
        'opensearch/1.1/"><opensearch:totalResults>450</opensearch:totalResults></feed>'
    )
    world.faults = [("/query", Fault("say", 200, empty))]
    assert len(list(documents_of(batches_of(client, FetchRequest("arxiv", "birds"))))) == 450
    world.faults = [("/query", Fault("say", 200, empty))] * 3
    with pytest.raises(OnlineError, match="sends an empty page"):
        list(batches_of(client, FetchRequest("arxiv", "birds")))


def test_arxiv_errors_are_reported_and_entities_not_expanded(
    client: HttpClient, world: World
) -> None:
    error = (
        '<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>http://arxiv.org/api/errors#x</id>'
        "<summary>incorrect id format</summary></entry></feed>"
    )
    world.faults = [("/query", Fault("say", 400, error))]
    with pytest.raises(OnlineError, match="arXiv rejects the query: incorrect id format"):
        list(batches_of(client, FetchRequest("arxiv", "birds")))
    entity = (
        '<!DOCTYPE feed [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
        '<feed xmlns="http://www.w3.org/2005/Atom"><title>&e;</title></feed>'
    )
    world.faults = [("/query", Fault("say", 200, entity))]
    with pytest.raises(BioRetrievalError) as caught:
        list(batches_of(client, FetchRequest("arxiv", "birds")))
    assert "root:" not in caught.value.line()


@pytest.mark.parametrize("now", [700, 450, 420, 200, 100, 0])
def test_an_expired_history_with_another_count_is_resumed(
    client: HttpClient, world: World, now: int
) -> None:
    first = asked(client)[0]
    world.histories.clear()
    world.articles = now
    # What has come since is taken, and what is gone is not waited for.
    assert pmids(asked(client, first.mark)) == [pmid_of(n) for n in range(200, now)]


def test_a_whole_page_without_a_record_is_asked_for_again(client: HttpClient, world: World) -> None:
    empty = Fault("say", 200, article_set([]).decode())
    world.faults = [("/efetch", empty), ("/efetch", empty)]
    assert pmids(asked(client)) == [pmid_of(n) for n in range(450)]
    world.faults = [("/efetch", empty)] * 3
    with pytest.raises(OnlineError) as caught:
        asked(client)
    assert caught.value.line() == (
        "PubMed sends no records of a search that has more; the same call resumes here"
    )


def test_the_last_few_may_be_gone(client: HttpClient, world: World) -> None:
    world.articles = 3
    world.faults = [("/efetch", Fault("say", 200, article_set([]).decode()))]
    assert pmids(asked(client)) == []
    assert len(world.of("/efetch")) == 1


def test_a_wrong_key_is_named_where_records_are_asked_for_by_their_ids(
    client: HttpClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.key = "right-key-0123456789"
    monkeypatch.setenv("NCBI_API_KEY", "wrong-key-0123456789")
    with pytest.raises(OnlineError) as caught:
        list(batches_of_ids(client, [WorkId("pmid", "1")]))
    assert "check the key in NCBI_API_KEY or config.toml" in caught.value.line()
    assert "wrong-key" not in caught.value.line()


def test_a_429_without_a_key_recommends_one(
    client: HttpClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.faults = [("/esearch", Fault("busy", 1))] * 5
    with pytest.raises(OnlineError, match="PubMed responded with status 429") as caught:
        asked(client)
    assert caught.value.remedy == "try again later, or get a key for NCBI_API_KEY"


def test_an_endless_search_response_is_refused(client: HttpClient, world: World) -> None:
    world.faults = [("/esearch", Fault("say", 200, '{"x": "' + "y" * 2_000_000 + '"}'))]
    with pytest.raises(OnlineError, match="PubMed sent more than 1,048,576 bytes"):
        asked(client)


def test_endless_pages_are_found_out(client: HttpClient, world: World) -> None:
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
        list(batches_of(client, FetchRequest("europepmc", "birds")))
    assert len(world.of("/search")) <= 4


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.integers(0, 120_000), min_size=1, max_size=4))
def test_repeated_cuts_lose_and_repeat_no_record(
    client: HttpClient, world: World, cuts: list[int]
) -> None:
    world.articles = 250
    world.faults = [("/e", Fault("cut", cut)) for cut in cuts]
    assert pmids(asked(client)) == [pmid_of(n) for n in range(250)]


def test_a_damaged_archive_is_deleted(client: HttpClient, world: World, tmp_path: Path) -> None:
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
        fetch_benchmark(client, entry, folder)
    assert list(tmp_path.glob(".*")) == []
    world.files["/nfcorpus.zip"] = whole
    fetch_benchmark(client, entry, folder)
    assert (folder / "corpus.jsonl").is_file()


@pytest.mark.parametrize("status", [401, 404, 410])
def test_a_login_page_in_place_of_the_hub_removes_no_model(
    client: HttpClient, world: World, status: int
) -> None:
    found: list[Subject] = []
    world.faults = [("/api", Fault("say", status, "<html>Please sign in</html>"))]
    assert refresh(client, {}, [("model", "org/one")], found, day="2026-07-01") == [
        f"the model hub responded with status {status} for org/one; try again later"
    ]
    assert found == []
    world.faults = [("/api", Fault("say", status, '{"error": "Repository not found"}'))]
    assert refresh(client, {}, [("model", "org/one")], found, day="2026-07-01") == []
    assert [one.state for one in found] == ["removed"]


@pytest.mark.parametrize("answer", ["[]", '"x"', "{}", '{"id": 3}'])
def test_a_card_without_an_id_is_one_line(client: HttpClient, world: World, answer: str) -> None:
    world.faults = [("/api", Fault("say", 200, answer))]
    with pytest.raises(OnlineError) as caught:
        repository(client, "model", "org/m")
    said = "the model hub sent an unexpected response: no description of org/m; try"
    assert caught.value.line().startswith(said)


def test_a_watch_fetches_up_to_its_day(client: HttpClient, world: World) -> None:
    watch = Watch(name="w", query="birds", source="pubmed", since="2026-06-01", added="x")
    then = date(2026, 6, 28)
    found = list(record_source(client, today=then)(watch, date(2026, 6, 27), print))
    assert [int(one.id) for one in found] == [pmid_of(n) for n in range(200, 400)]


@pytest.mark.parametrize("text", ["", " \n", "x" * 20_001, "caf\udce9"])
def test_invalid_queries_are_usage_errors(text: str) -> None:
    with pytest.raises(BioRetrievalError) as caught:
        sound_query(text)
    assert caught.value.exit_code == 2
    assert caught.value.remedy


def test_services_are_named_by_the_kinds_of_ids() -> None:
    ids = [WorkId("doi", "10.1000/x", 1), WorkId("pmid", "1", 2), WorkId("pmcid", "PMC1", 3)]
    assert services_of(ids) == "PubMed and Europe PMC"
    assert services_of([*ids, WorkId("arxiv", "2101.00001", 4)]) == "PubMed, Europe PMC and arXiv"
    assert services_of(ids[:1]) == "Europe PMC"


SINCE = date(2026, 3, 1)


@pytest.fixture
def small(world: World) -> World:
    """A world of 250 records in each service."""
    day = date(2026, 3, 2)
    world.own = [
        Article(str(1_000 + n), f"Owl {n}", "Owls & bats <i>hunt</i>.", day) for n in range(250)
    ]
    world.papers = {f"2603.{n:05}": (1, f"Paper {n}") for n in range(250)}
    return world


def watch(source: SourceName) -> Watch:
    return Watch(name="w", query="owls OR bats", source=source, since="2026-03-01", added="x")


@pytest.mark.parametrize("source", ["pubmed", "europepmc", "arxiv"])
def test_every_page_is_read(source: SourceName, client: HttpClient, small: World) -> None:
    found = list(record_source(client)(watch(source), SINCE, print))
    assert len(found) == len({one.id for one in found}) == 250
    assert all(one.title and one.text for one in found)


@pytest.mark.parametrize(
    ("source", "path", "parameter", "wanted"),
    [
        ("pubmed", "/esearch", "mindate", "2026/03/01"),
        ("europepmc", "/search", "query", "FIRST_IDATE:[2026-03-01 TO"),
        ("arxiv", "/query", "search_query", "submittedDate:[202603010000 TO"),
    ],
)
def test_a_watch_sends_its_first_day(
    source: SourceName, path: str, parameter: str, wanted: str, client: HttpClient, small: World
) -> None:
    next(iter(record_source(client)(watch(source), SINCE, print)))
    asked = small.of(path)[0]
    assert wanted in asked[parameter]
    assert any("owls OR bats" in value for value in asked.values())


@pytest.mark.parametrize("source", ["pubmed", "europepmc", "arxiv"])
@pytest.mark.parametrize("answer", ["<html>login</html>", "{}", "[]", '{"resultList": 3}', ""])
def test_an_unexpected_response_to_a_watch_is_one_line(
    source: SourceName, answer: str, client: HttpClient, small: World
) -> None:
    small.broken["/"] = Fault("say", 200, answer)
    with pytest.raises(BioRetrievalError) as raised:
        list(record_source(client)(watch(source), SINCE, print))
    assert raised.value.remedy
    assert len(raised.value.line()) < 250


@pytest.mark.parametrize("source", ["pubmed", "europepmc", "arxiv"])
def test_a_watch_without_hits_has_no_records(
    source: SourceName, client: HttpClient, small: World
) -> None:
    small.own, small.papers = [], {}
    assert list(record_source(client)(watch(source), SINCE, print)) == []
