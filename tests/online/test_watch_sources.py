"""What each source gives a watch: all pages, the day that was asked from, and clear faults."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from urllib.parse import parse_qs, urlsplit

import pytest
from hubserver import Article, World, serving

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.door import Door
from bioretrieval_tui.online.services import Service
from bioretrieval_tui.online.sources import fetcher
from bioretrieval_tui.online.spool import SourceName
from bioretrieval_tui.online.watches import Watch

SINCE = date(2026, 3, 1)


@pytest.fixture
def world() -> World:
    articles = [
        Article(str(1_000 + number), f"Owl {number}", "Owls & bats <i>hunt</i>.", date(2026, 3, 2))
        for number in range(250)
    ]
    papers = {f"2603.{number:05}": (1, f"Paper {number}") for number in range(250)}
    return World(articles=articles, papers=papers)


@pytest.fixture
def door(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch.delenv("BIORETRIEVAL_OFFLINE", raising=False)
    with serving(world) as address:
        places = {"ncbi": "entrez", "europepmc": "europepmc", "arxiv": "api"}
        services = {
            name: Service(name, name, f"{address}/{place}", 1_000.0)
            for name, place in places.items()
        }
        with Door(services=services) as door:
            yield door


def watch(source: SourceName) -> Watch:
    return Watch(name="w", query="owls OR bats", source=source, since="2026-03-01", added="x")


@pytest.mark.parametrize("source", ["pubmed", "europepmc", "arxiv"])
def test_every_page_is_read(source: SourceName, door: Door) -> None:
    found = list(fetcher(door)(watch(source), SINCE))
    assert len(found) == len({one.id for one in found}) == 250
    assert all(one.title and one.text for one in found)


@pytest.mark.parametrize(
    ("source", "path", "parameter", "wanted"),
    [
        ("pubmed", "/entrez/esearch", "mindate", "2026/03/01"),
        ("europepmc", "/europepmc", "query", "FIRST_IDATE:[2026-03-01 TO"),
        ("arxiv", "/api/query", "search_query", "submittedDate:[202603010000 TO"),
    ],
)
def test_the_day_is_asked_for(
    source: SourceName, path: str, parameter: str, wanted: str, door: Door, world: World
) -> None:
    next(iter(fetcher(door)(watch(source), SINCE)))
    asked = parse_qs(urlsplit(world.paths(path)[0]).query)
    assert wanted in asked[parameter][0]
    assert any("owls OR bats" in values[0] for values in asked.values())


@pytest.mark.parametrize("source", ["pubmed", "europepmc", "arxiv"])
@pytest.mark.parametrize("answer", ["<html>login</html>", "{}", "[]", '{"resultList": 3}', ""])
def test_a_source_that_changed_is_one_clear_line(
    source: SourceName, answer: str, door: Door, world: World
) -> None:
    world.broken["/"] = answer
    with pytest.raises(BioRetrievalError) as raised:
        list(fetcher(door)(watch(source), SINCE))
    assert raised.value.remedy
    assert len(raised.value.line()) < 250


@pytest.mark.parametrize("source", ["pubmed", "europepmc", "arxiv"])
def test_no_hits_are_no_news(source: SourceName, door: Door, world: World) -> None:
    world.articles.clear()
    world.papers.clear()
    assert list(fetcher(door)(watch(source), SINCE)) == []
