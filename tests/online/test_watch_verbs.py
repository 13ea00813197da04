"""`watch` as a user or cron calls it, against a local server, with the embedded model."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from server import Article, Fault, World, serving
from verbs import Program

import homes
from bioretrieval_tui.online.http import HttpClient
from bioretrieval_tui.online.services import Service
from bioretrieval_tui.online.watches import add_watch, record_source, run_watch, watched

TODAY = datetime.now(UTC).date()
OWLS = Article("101", "Owls at night", "Owls hunt mice in the dark by hearing.", TODAY)
SOIL = Article("102", "Soil acidity", "Lime raises the pH of acid soil.", TODAY)
OLD = Article("103", "Old owls", "Owls of long ago.", TODAY - timedelta(days=400))
BAT = Article("104", "Bats", "Bats hunt moths in the dark by their calls.", TODAY)


@pytest.fixture
def world() -> World:
    return World(own=[SOIL, OWLS, OLD])


@pytest.fixture
def program(world: World, tmp_path: Path) -> Iterator[Program]:
    with serving(world) as address:
        yield Program(homes.share_encoders(tmp_path / "home"), address)


def test_a_watch_from_its_making_to_its_removal(
    program: Program, world: World, tmp_path: Path
) -> None:
    assert program("watch", "add", "owls hunting at night").code == 0
    digest, lines = tmp_path / "news.md", tmp_path / "news.jsonl"
    words = ("watch", "run", "--digest", str(digest), "--jsonl", str(lines), "-f", "json")
    first = program(*words)
    assert first.code == 0, first.err
    # Nearest first; what is older than the watch looks back is no news.
    assert [one["id"] for one in first.json] == ["101", "102"]
    assert first.json[0]["score"] > 0.5 > first.json[1]["score"]
    page = digest.read_text()
    assert page.index("Owls at night") < page.index("Soil acidity")
    assert "https://pubmed.ncbi.nlm.nih.gov/101/" in page
    # Nothing new: exit code 4, the digest stays.
    again = program(*words)
    assert (again.code, again.json) == (4, [])
    assert digest.read_text() == page
    world.own = [SOIL, OWLS, OLD, BAT]
    third = program(*words)
    assert [one["id"] for one in third.json] == ["104"]
    assert [json.loads(line)["id"] for line in lines.read_text().splitlines()] == [
        "101", "102", "104",
    ]  # fmt: skip
    (row,) = program("watch", "list", "-f", "json").json
    assert (row["unread"], row["news"]) == (3, 3)
    news = program("watch", "news", "--mark-read", "-f", "json").json
    assert [one["id"] for one in news] == ["104", "101", "102"]
    assert program("watch", "news", "-f", "json").json == []
    assert len(program("watch", "news", "--all", "-f", "json").json) == 3
    assert program("watch", "remove", "owls-hunting-at-night").code == 0
    assert program("watch", "list", "-f", "json").json == []


def test_news_is_ranked_by_the_documents_of_an_index(
    program: Program, world: World, tmp_path: Path
) -> None:
    corpus = tmp_path / "mine.jsonl"
    texts = {"1": "Liming of acid soil and its pH.", "104": BAT.abstract}
    corpus.write_text("".join(
        json.dumps({"_id": name, "title": "", "text": text}) + "\n" for name, text in texts.items()
    ))  # fmt: skip
    built = program("index", "build", "mine", str(corpus))
    assert built.code == 0, built.err
    world.own = [SOIL, OWLS, OLD, BAT]
    assert program("watch", "add", "owls", "--index", "mine").code == 0
    ended = program("watch", "run", "-f", "json")
    assert ended.code == 0, ended.err
    # The soil is nearest to this index, and the bats are in it already.
    assert [one["id"] for one in ended.json] == ["102", "101"]
    assert "1 new are in the index mine already" in ended.err


@pytest.mark.parametrize(
    ("broken", "said"),
    [(Fault("page"), "PubMed"), (Fault("say", 403), "PubMed responded with status 403")],
)
def test_a_source_that_fails_is_exit_code_1_and_the_next_run_goes_on(
    program: Program, world: World, broken: Fault, said: str
) -> None:
    program("watch", "add", "owls")
    world.broken["/esearch"] = broken
    ended = program("watch", "run", "-q", "-f", "json")
    assert (ended.code, ended.json) == (1, [])
    assert len(ended.lines) == 1
    assert said in ended.err
    assert said in program("watch", "list", "-f", "json").json[0]["note"]
    world.broken.clear()
    assert len(program("watch", "run", "-q", "-f", "json").json) == 2
    assert program("watch", "list", "-f", "json").json[0]["note"] is None


@pytest.mark.parametrize("how", ["option", "variable"])
def test_offline_is_one_line_and_the_rest_works(program: Program, world: World, how: str) -> None:
    offline = {"BIORETRIEVAL_OFFLINE": "1"}
    assert program("watch", "add", "owls", **offline).code == 0
    words = ("watch", "run", *(("--offline",) if how == "option" else ()))
    ended = program(*words, **(offline if how == "variable" else {}))
    assert (ended.code, ended.out, len(ended.lines)) == (1, "", 1)
    assert "network is not allowed" in ended.err
    assert world.asked == []
    assert program("watch", "list", **offline).code == 0
    assert program("watch", "news", **offline).code == 0
    assert program("watch", "remove", "owls", **offline).code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("add", ""), 2, "the query is empty"),
        (("add", "owls", "--source", "library"), 2, "library"),
        (("add", "owls", "--since", "soon"), 2, "'soon' is not a date"),
        (("add", "owls", "--since", "2999-01-01"), 2, "in the future"),
        (("add", "owls", "--index", "nowhere"), 3, "nowhere"),
        (("remove", "nobody"), 3, "there is no watch 'nobody'"),
        (("run", "nobody"), 3, "there is no watch 'nobody'"),
        (("run",), 2, "there is no watch to run"),
    ],
)
def test_invalid_arguments_of_watch(
    program: Program, words: tuple[str, ...], code: int, said: str
) -> None:
    ended = program("watch", *words)
    assert ended.code == code
    assert said in ended.err
    assert len(ended.lines) == 1


def test_a_day_of_cron_with_a_moved_clock(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every hour through the real client and readers: each record once, in the hour it appears."""
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    monkeypatch.delenv("BIORETRIEVAL_OFFLINE", raising=False)
    start = datetime(2026, 3, 10, 0, 0, tzinfo=UTC)
    world.own = []
    expected: list[list[str]] = []
    with serving(world) as address:
        services = {"ncbi": Service("ncbi", "PubMed", address, 1_000.0)}
        name = add_watch("owls", "pubmed", since="2026-03-08", today="2026-03-10").name
        told: list[list[str]] = []
        with HttpClient(services=services) as client:
            for hour in range(24):
                now = start + timedelta(hours=hour)
                new = [str(1_000 + 10 * hour + number) for number in range(hour % 4)]
                # PubMed may date a record some days back when it appears.
                day: date = now.date() - timedelta(days=hour % 3)
                world.own += [Article(one, f"Owl {one}", "Owls.", day) for one in new]
                outcome = run_watch(
                    watched(name),
                    record_source(client, today=now.date()),
                    lambda _, documents: [0.5] * len(documents),
                    now=now,
                )
                assert outcome.failed is None
                expected.append(new)
                told.append(sorted(one.id for one in outcome.news))
    assert told == expected
    assert watched(name).unread == sum(map(len, expected)) == 36


def test_what_pubmed_says_of_a_watched_query_is_told(program: Program, world: World) -> None:
    program("watch", "add", "owlzz")
    world.said = {"errorlist": {"phrasesnotfound": ["owlzz"]}}
    ran = program("watch", "run", "--digest", str(program.home / "news.md"))
    assert 'owlzz: PubMed did not find "owlzz": the records may be others than meant' in ran.err
    assert 'did not find "owlzz"' in (program.home / "news.md").read_text()
    (listed,) = program("watch", "list", "-f", "json").json
    assert listed["note"].startswith("PubMed did not find")


def test_no_temporary_file_is_left(program: Program) -> None:
    program("watch", "add", "owls")
    program("watch", "run", "-q")
    left = [name for name in os.listdir(program.home / "data" / "watches") if "tmp" in name]
    assert left == []
