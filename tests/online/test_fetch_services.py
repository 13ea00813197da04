"""Searches of PubMed, Europe PMC and arXiv: page by page, continued, and when all goes wrong."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from datetime import date

import pytest
from clocks import MovedClock
from server import Fault, World, bomb, pmid_of, text_of, title_of

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online import arxiv, europepmc, pubmed
from bioretrieval_tui.online.door import Door, OnlineError
from bioretrieval_tui.online.receiving import Patience
from bioretrieval_tui.online.spool import FetchBatch, FetchRequest, Mark, documents_of

TODAY = date(2026, 7, 1)


def asked(way: Door, mark: Mark | None = None, **fields: object) -> list[FetchBatch]:
    request = FetchRequest(**{"source": "pubmed", "query": "birds", **fields})  # type: ignore[arg-type]
    return list(pubmed.batches(way, request, mark, today=TODAY))


def pmids(batches: list[FetchBatch]) -> list[int]:
    return [int(one.id) for one in documents_of(batches)]


def test_all_records_of_pubmed_come_once_and_in_order(way: Door, world: World) -> None:
    found = asked(way)
    assert pmids(found) == [pmid_of(n) for n in range(450)]
    assert [len(one.documents) for one in found] == [200, 200, 50]
    assert [one.mark.done for one in found] == [200, 400, 450]
    assert {one.mark.total for one in found} == {450}
    first = found[0].documents[0]
    assert (first.title, first.text) == (title_of(0), text_of(0))
    assert first.metadata["doi"] == "10.5555/pond.0"


def test_as_many_as_are_wanted_and_since_a_day(way: Door, world: World) -> None:
    assert len(pmids(asked(way, most=250))) == 250
    assert world.of("/efetch.fcgi")[-1]["retmax"] == "50"
    since = asked(way, since=date(2026, 6, 29))
    assert len(pmids(since)) == 200
    assert world.of("/esearch.fcgi")[-1]["mindate"] == "2026/06/29"


def test_a_search_longer_than_pubmed_gives_is_cut_by_days(way: Door, world: World) -> None:
    world.articles, world.a_day = 23_000, 1_500
    found = pmids(asked(way))
    assert found == [pmid_of(n) for n in range(23_000)]
    # The whole, and hardly more than one for each of the parts.
    assert 3 < len(world.of("/esearch.fcgi")) <= 8


@pytest.mark.parametrize("a_day", [12_000, 11_000, 9_999, 3, 1])
def test_no_record_is_lost_however_they_lie(way: Door, world: World, a_day: int) -> None:
    world.articles, world.a_day = 11_500, a_day
    found = pmids(asked(way))
    if a_day <= 9_999:
        assert found == [pmid_of(n) for n in range(11_500)]
    else:  # of a single day PubMed gives no more
        assert found[:9_999] == [pmid_of(n) for n in range(9_999)]
        assert len(set(found)) == 9_999 + max(0, 11_500 - a_day)


def test_it_goes_on_from_any_mark(way: Door, world: World) -> None:
    world.articles, world.a_day = 12_000, 900
    whole = asked(way)
    for place in (0, 3, len(whole) // 2, len(whole) - 2):
        rest = asked(way, whole[place].mark)
        assert pmids(rest) == [n for one in whole[place + 1 :] for n in pmids([one])]


def test_an_expired_history_is_searched_anew(way: Door, world: World) -> None:
    first = asked(way, most=None)[0]
    world.histories.clear()
    world.asked.clear()
    assert pmids(asked(way, first.mark)) == [pmid_of(n) for n in range(200, 450)]
    assert len(world.of("/esearch.fcgi")) == 1


def test_a_history_that_expires_again_and_again(way: Door, world: World) -> None:
    expired = Fault(
        "say", 400, "<eFetchResult><ERROR>Unable to obtain query</ERROR></eFetchResult>"
    )
    world.faults = [("/efetch", expired)] * 9
    with pytest.raises(OnlineError, match="PubMed forgets its searches"):
        asked(way)


@pytest.mark.parametrize("fault", [Fault("fail"), Fault("busy", 9), Fault("cut", 700)])
def test_what_passes_costs_no_record(
    way: Door, world: World, clock: MovedClock, fault: Fault
) -> None:
    world.faults = [("/efetch", fault), ("/esearch", fault), ("/efetch", fault)]
    assert pmids(asked(way)) == [pmid_of(n) for n in range(450)]
    assert world.faults == []
    if fault.kind == "busy":
        assert clock.now - 1_000 >= 27


@pytest.mark.parametrize("bytes_", [0, 1, 40, 4_096, 65_535, 65_536, 65_537, 100_000])
def test_an_answer_that_is_cut_anywhere_is_asked_for_again(
    way: Door, world: World, bytes_: int
) -> None:
    world.faults = [("/efetch", Fault("cut", bytes_))]
    assert pmids(asked(way, most=200)) == [pmid_of(n) for n in range(200)]
    assert len(world.of("/efetch")) == 2


def test_what_arrived_before_the_end_stays(way: Door, world: World) -> None:
    world.faults = [("/efetch", Fault("cut", 0))]
    batches = pubmed.batches(way, FetchRequest("pubmed", "birds"), None, today=TODAY)
    first = next(batches)
    world.faults = [("/efetch", Fault("fail"))] * 5
    with pytest.raises(OnlineError, match="PubMed answers 500 when it is asked for records"):
        next(batches)
    assert pmids(asked(way, first.mark)) == [pmid_of(n) for n in range(200, 450)]


def test_three_a_second_without_a_key_and_ten_with_one(
    way: Door, world: World, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.articles, world.a_day = 4_000, 500
    asked(way)
    requests = len(world.asked)
    assert clock.now - 1_000 == pytest.approx((requests - 1) / 3, rel=0.01)
    monkeypatch.setenv("NCBI_API_KEY", "right-key-0123456789")
    began, before = clock.now, len(world.asked)
    asked(way)
    spent = clock.now - began
    assert spent == pytest.approx((len(world.asked) - before) / 10, abs=0.5)


def test_a_key_is_in_no_address_and_a_wrong_one_is_told_of(
    way: Door, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.key = "right-key-0123456789"
    monkeypatch.setenv("NCBI_API_KEY", "wrong-key-0123456789")
    with pytest.raises(OnlineError) as caught:
        asked(way)
    line = caught.value.line()
    assert "PubMed refuses" in line
    assert "NCBI_API_KEY" in line
    assert "wrong-key" not in line
    monkeypatch.setenv("NCBI_API_KEY", "right-key-0123456789")
    assert len(pmids(asked(way))) == 450


def test_nothing_is_found(way: Door, world: World) -> None:
    assert asked(way, query="nothing at all") == []
    assert world.of("/efetch") == []


def test_a_query_that_pubmed_does_not_take(way: Door) -> None:
    with pytest.raises(OnlineError, match="PubMed does not take the query: Query syntax is wrong"):
        asked(way, query="((")


@pytest.mark.parametrize(
    ("path", "fault", "said"),
    [
        ("/esearch", Fault("page"), "PubMed answers with what is no JSON"),
        ("/esearch", Fault("say", 200, "[]"), "a search without a result"),
        ("/esearch", Fault("say", 200, '{"esearchresult": {"count": "x"}}'), "without a count"),
        ("/efetch", Fault("page"), "records that are no PubMed XML"),
        ("/esearch", Fault("say", 404, "gone"), "PubMed answers 404"),
        ("/esearch", Fault("busy", 99_999), "PubMed asks to wait 99,999 seconds"),
        ("/esearch", Fault("lead", text="file:///etc/passwd"), "file:///etc/passwd, which is not"),
        ("/esearch", Fault("lead", text="http://10.1.2.3/x"), "http://10.1.2.3/x, which is not"),
        ("/esearch", Fault("lead", text="http://169.254.169.254/"), "which is not followed"),
        ("/esearch", Fault("lead", text="http://[::1]/x"), "which is not followed"),
    ],
)
def test_a_service_that_has_changed(
    way: Door, world: World, path: str, fault: Fault, said: str
) -> None:
    world.faults = [(path, fault)] * 5
    with pytest.raises(OnlineError) as caught:
        asked(way)
    assert said in caught.value.line()
    assert caught.value.remedy
    assert "\n" not in caught.value.line()


def test_an_answer_that_unpacks_without_end_takes_no_memory(way: Door, world: World) -> None:
    world.faults = [("/efetch", Fault("bomb"))]
    bomb()
    way.get("ncbi", "/elsewhere", check=False)  # the library is imported, the bomb is made
    tracemalloc.start()
    try:
        with pytest.raises(OnlineError, match="more than 1,000,000 bytes"):
            way.get("ncbi", "/efetch.fcgi", params={"id": "1"}, most_bytes=1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_service_that_drips_is_given_up(open_door: Callable[..., Door], world: World) -> None:
    patient = open_door(Patience(read=0.5, whole=0.3))
    world.faults = [("/esearch", Fault("drip"))] * 5
    with pytest.raises(OnlineError, match="PubMed broke off: it takes too long"):
        asked(patient)


def test_nobody_wants_it_any_more(way: Door, world: World) -> None:
    class Enough(Exception):
        pass

    def step() -> None:
        if len(world.of("/efetch")) == 2:
            raise Enough

    way.step = step
    with pytest.raises(Enough):
        asked(way)
    assert len(world.of("/efetch")) == 2


def test_a_mark_that_makes_no_sense(way: Door) -> None:
    with pytest.raises(BioRetrievalError) as caught:
        asked(way, Mark({"first": "yesterday"}, 3, 9))
    assert "--anew" in caught.value.line()


# Europe PMC and arXiv -------------------------------------------------------------------------


def test_europe_pmc_by_cursor(way: Door, world: World) -> None:
    found = list(europepmc.batches(way, FetchRequest("europepmc", "birds")))
    assert pmids(found) == [pmid_of(n) for n in range(450)]
    assert next(documents_of(found)).text == text_of(0)
    rest = list(europepmc.batches(way, FetchRequest("europepmc", "birds"), found[0].mark))
    assert pmids(rest) == [pmid_of(n) for n in range(200, 450)]
    assert len(pmids(list(europepmc.batches(way, FetchRequest("europepmc", "x", most=210))))) == 210
    list(europepmc.batches(way, FetchRequest("europepmc", "x", since=date(2026, 2, 3), most=1)))
    assert "FIRST_IDATE:[2026-02-03 TO" in world.of("/search")[-1]["query"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("page"), "Europe PMC answers in a form that is not known: no JSON"),
        (Fault("say", 200, '{"errMsg": "Bad query"}'), "Europe PMC does not take the query: Bad"),
        (Fault("say", 200, '{"hitCount": 3}'), "without a count or a list"),
        (Fault("say", 503, ""), "Europe PMC answers 503"),
    ],
)
def test_europe_pmc_that_has_changed(way: Door, world: World, fault: Fault, said: str) -> None:
    world.faults = [("/search", fault)] * 5
    with pytest.raises(OnlineError) as caught:
        list(europepmc.batches(way, FetchRequest("europepmc", "birds")))
    assert said in caught.value.line()


def test_arxiv_in_three_seconds_each(way: Door, world: World, clock: MovedClock) -> None:
    world.articles = 1_200
    found = list(arxiv.batches(way, FetchRequest("arxiv", "birds")))
    assert [len(one.documents) for one in found] == [500, 500, 200]
    assert clock.now - 1_000 == pytest.approx(6, abs=0.01)
    first = found[0].documents[0]
    assert (first.id, first.title, first.text) == ("2601.00000", title_of(0), text_of(0))
    rest = list(arxiv.batches(way, FetchRequest("arxiv", "birds"), found[1].mark))
    assert len(list(documents_of(rest))) == 200


def test_arxiv_that_gives_an_empty_page_is_asked_again(way: Door, world: World) -> None:
    empty = (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:opensearch="http://a9.com/-/spec/'
        'opensearch/1.1/"><opensearch:totalResults>450</opensearch:totalResults></feed>'
    )
    world.faults = [("/query", Fault("say", 200, empty))]
    assert len(list(documents_of(arxiv.batches(way, FetchRequest("arxiv", "birds"))))) == 450
    world.faults = [("/query", Fault("say", 200, empty))] * 3
    with pytest.raises(OnlineError, match="gives nothing of a page"):
        list(arxiv.batches(way, FetchRequest("arxiv", "birds")))


def test_arxiv_that_refuses_or_lies(way: Door, world: World) -> None:
    error = (
        '<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>http://arxiv.org/api/errors#x</id>'
        "<summary>incorrect id format</summary></entry></feed>"
    )
    world.faults = [("/query", Fault("say", 400, error))]
    with pytest.raises(OnlineError, match="arXiv does not take the query: incorrect id format"):
        list(arxiv.batches(way, FetchRequest("arxiv", "birds")))
    entity = (
        '<!DOCTYPE feed [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
        '<feed xmlns="http://www.w3.org/2005/Atom"><title>&e;</title></feed>'
    )
    world.faults = [("/query", Fault("say", 200, entity))]
    with pytest.raises(BioRetrievalError) as caught:
        list(arxiv.batches(way, FetchRequest("arxiv", "birds")))
    assert "root:" not in caught.value.line()
