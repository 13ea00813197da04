"""Watches: what they keep, what a run brings, and a whole day of runs with a moved clock."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError, UsageError
from bioretrieval_tui.online import watches as kept
from bioretrieval_tui.online.watches import (
    FORGOTTEN,
    MOST_NEWS,
    OVERLAP,
    News,
    Watch,
    add_watch,
    bounded,
    mark_read,
    remove_watch,
    run_watch,
    running,
    watched,
    watches,
)

MORNING = datetime(2026, 3, 10, 0, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    return tmp_path


def watch(query: str = "long covid") -> Watch:
    return add_watch(query, "pubmed", since="2026-03-01", today="2026-03-08")


def record(identifier: str, **more: object) -> Document:
    return Document(identifier, f"Title {identifier}", f"Text {identifier}.", more)


class Source:
    """Records with the moment at which each can be found, and the day that it is given then."""

    def __init__(self, records: Sequence[tuple[datetime, date, Document]]) -> None:
        self.records = records
        self.now = MORNING
        self.asked: list[date] = []

    def __call__(
        self, _: Watch, since: date, warn: Callable[[str], None] = print
    ) -> Iterator[Document]:
        self.asked.append(since)
        for moment, day, document in self.records:
            if moment <= self.now and day >= since:
                yield document


def by_number(_: Watch, documents: Sequence[Document]) -> list[float | None]:
    return [int(one.id) / 1000 for one in documents]


def test_a_watch_is_kept_under_a_name_made_from_its_query() -> None:
    assert watch("Long COVID: fatigue & 'brain fog'").name == "long-covid-fatigue-brain-fog"
    assert watch("long covid fatigue brain fog").name == "long-covid-fatigue-brain-fog-2"
    assert watch("\u751f\u7269").name == "watch"
    assert [one.watch.name for one in watches()] == [
        "long-covid-fatigue-brain-fog",
        "long-covid-fatigue-brain-fog-2",
        "watch",
    ]


def test_the_same_watch_twice_is_refused() -> None:
    watch()
    with pytest.raises(UsageError, match="watched already as long-covid"):
        watch("  long   covid ")


@pytest.mark.parametrize("query", ["", "  ", "x" * 20_001, "caf\udce9"])
def test_an_invalid_query_is_refused(query: str) -> None:
    with pytest.raises(UsageError, match=r"the query is empty|too long|not valid UTF-8"):
        watch(query)


@pytest.mark.parametrize("name", ["nobody", "../long-covid", "", "a" * 200, ".writing"])
def test_an_unknown_watch_lists_the_known_ones(name: str) -> None:
    watch()
    with pytest.raises(NotFoundError) as raised:
        remove_watch(name)
    assert raised.value.exit_code == 3
    assert "long-covid" in raised.value.line()
    assert len(watches()) == 1


def test_a_damaged_file_does_not_affect_other_watches(home: Path) -> None:
    watch("one")
    watch("two")
    (home / "data" / "watches" / "one.json").write_bytes(b'{"watch": {')
    told: list[str] = []
    assert [one.watch.name for one in watches(told.append)] == ["two"]
    assert len(told) == 1
    assert "is damaged" in told[0]


def test_what_a_source_says_of_a_query_is_kept_until_the_next_run() -> None:
    source = Source([(MORNING, MORNING.date(), record("3"))])

    def saying(one: Watch, since: date, warn: Callable[[str], None]) -> Iterator[Document]:
        warn("PubMed did not find x")
        yield from source(one, since)

    name = watch().name
    outcome = run_watch(watched(name), saying, by_number, now=MORNING)
    assert (outcome.caution, watched(name).note) == ("PubMed did not find x",) * 2
    run_watch(watched(name), source, by_number, now=MORNING)
    assert watched(name).note is None


def test_news_is_ranked_and_reported_once() -> None:
    source = Source([(MORNING, MORNING.date(), record(name)) for name in ("3", "9", "5")])
    name = watch().name
    first = run_watch(watched(name), source, by_number, now=MORNING)
    assert [one.id for one in first.news] == ["9", "5", "3"]
    assert watched(name).unread == 3
    again = run_watch(watched(name), source, by_number, now=MORNING + timedelta(hours=1))
    assert again.news == ()
    assert [one.id for one in watched(name).news] == ["9", "5", "3"]


def test_a_day_of_runs_reports_every_record_exactly_once() -> None:
    """A run an hour; records come at any minute, some with a day that lies days before."""
    records = [
        (
            MORNING + timedelta(minutes=7 * number),
            (MORNING + timedelta(minutes=7 * number) - timedelta(days=number % 6)).date(),
            record(str(number)),
        )
        for number in range(200)
    ]
    source = Source(records)
    name = watch().name
    told: list[str] = []
    counts = []
    for hour in range(25):
        source.now = MORNING + timedelta(hours=hour)
        outcome = run_watch(watched(name), source, by_number, now=source.now)
        assert outcome.failed is None
        told += [one.id for one in outcome.news]
        counts.append(len(outcome.news))
    assert sorted(told, key=int) == [str(number) for number in range(200)]
    assert counts[0] == 1
    assert max(counts[1:]) <= 9
    assert source.asked[0] == date(2026, 3, 1)
    assert source.asked[-1] == (MORNING + timedelta(hours=23)).date() - OVERLAP


def test_old_ids_are_forgotten() -> None:
    source = Source([])
    name = watch().name
    for week in range(60):
        source.now = MORNING + timedelta(weeks=week)
        source.records = [(source.now, source.now.date(), record(str(week)))]
        run_watch(watched(name), source, by_number, now=source.now)
    assert len(watched(name).seen) == FORGOTTEN.days // 7 + 1
    assert len(watched(name).news) == 60


def test_an_incomplete_run_is_kept_and_continued() -> None:
    def broken(_: Watch, since: date, warn: Any) -> Iterator[Document]:
        yield record("1")
        yield record("2")
        raise BioRetrievalError("PubMed does not answer", remedy="try again later")

    name = watch().name
    outcome = run_watch(watched(name), broken, by_number, now=MORNING)
    assert outcome.failed is not None
    assert [one.id for one in outcome.news] == ["2", "1"]
    after = watched(name)
    assert after.asked is None
    assert after.note == "PubMed does not answer; try again later"
    source = Source([(MORNING, MORNING.date(), record(one)) for one in ("1", "2", "3")])
    outcome = run_watch(after, source, by_number, now=MORNING + timedelta(days=30))
    assert [one.id for one in outcome.news] == ["3"]
    assert source.asked == [date(2026, 3, 1)]
    assert watched(name).note is None


def test_records_beyond_the_limit_are_left_to_the_next_run() -> None:
    source = Source([(MORNING, MORNING.date(), record(str(one))) for one in range(25)])
    name = watch().name
    told: list[str] = []
    for run in range(3):
        outcome = run_watch(watched(name), source, by_number, now=MORNING, most=10)
        assert outcome.more is (run < 2)
        told += [one.id for one in outcome.news]
    assert sorted(map(int, told)) == list(range(25))


def test_news_that_cannot_be_ranked_is_kept() -> None:
    def fails(_: Watch, __: Sequence[Document]) -> list[float | None]:
        raise BioRetrievalError("the index mine is damaged")

    source = Source([(MORNING, MORNING.date(), record("1"))])
    outcome = run_watch(watched(watch().name), source, fails, now=MORNING)
    assert [(one.id, one.score) for one in outcome.news] == [("1", None)]
    assert outcome.failed is not None


def test_documents_of_the_index_are_no_news() -> None:
    source = Source([(MORNING, MORNING.date(), record(one)) for one in ("1", "2")])
    name = watch().name
    outcome = run_watch(watched(name), source, lambda _, __: [None, 0.5], now=MORNING)
    assert ([one.id for one in outcome.news], outcome.known) == (["2"], 1)


def test_read_marks_survive_a_simultaneous_run() -> None:
    source = Source([(MORNING, MORNING.date(), record("1"))])
    name = watch().name
    run_watch(watched(name), source, by_number, now=MORNING)
    before = watched(name)
    mark_read(name, ["1"])
    source.records = [(MORNING, MORNING.date(), record("2"))]
    run_watch(before, source, by_number, now=MORNING)
    assert [(one.id, one.read) for one in watched(name).news] == [("2", False), ("1", True)]
    assert mark_read(name).unread == 0
    assert mark_read(name, read=False).unread == 2


def test_a_watch_removed_during_its_run_stays_removed() -> None:
    name = watch().name
    before = watched(name)
    remove_watch(name)
    source = Source([(MORNING, MORNING.date(), record("1"))])
    with pytest.raises(NotFoundError):
        run_watch(before, source, by_number, now=MORNING)
    assert watches() == []


def test_read_news_is_dropped_first() -> None:
    news = [
        News(id=str(number), title="t", found="f", read=number % 2 == 0)
        for number in range(MOST_NEWS + 10)
    ]
    left = bounded(news)
    assert len(left) == MOST_NEWS
    gone = {one.id for one in news} - {one.id for one in left}
    # The last places are the oldest; only read ones among them went.
    assert gone == {str(MOST_NEWS + 8 - 2 * number) for number in range(10)}


def test_the_first_run_starts_at_the_given_day() -> None:
    asked: list[date] = []

    def source(_: Watch, since: date, warn: Any) -> list[Document]:
        asked.append(since)
        return []

    run_watch(watched(watch().name), source, by_number, now=MORNING)
    assert asked == [date(2026, 3, 1)]


def test_facts_of_a_record_become_news() -> None:
    document = record(
        "77", pmid="77", authors=["Bee A", "Sea B"], journal="Acta", year=2026, date="2026-02"
    )
    name = watch().name
    source = Source([(MORNING, MORNING.date(), document)])
    (one,) = run_watch(watched(name), source, by_number, now=MORNING).news
    assert (one.url, one.authors, one.journal, one.date, one.year) == (
        "https://pubmed.ncbi.nlm.nih.gov/77/",
        ("Bee A", "Sea B"),
        "Acta",
        "2026-02",
        2026,
    )


def test_two_simultaneous_runs_are_refused() -> None:
    context = multiprocessing.get_context("spawn")
    with running():
        queue = context.Queue()
        other = context.Process(target=_try_to_run, args=(queue,))
        other.start()
        said = queue.get(timeout=60)
        other.join(60)
    assert "another process runs" in said


def _try_to_run(queue: multiprocessing.Queue[str]) -> None:
    try:
        with kept.running():
            queue.put("")
    except BioRetrievalError as error:
        queue.put(error.line())
