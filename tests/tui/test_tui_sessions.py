"""Sessions of panes, without an app: what they hold, what they ask, what they refuse."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest
from scripted import SOUND, Desk, ScriptedClient, info, job_of

from bioretrieval_tui.backend import client, protocol
from bioretrieval_tui.backend.client import SearchClient
from bioretrieval_tui.backend.jobs import JobQueue
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.online.spool import FetchRequest, FetchResult
from bioretrieval_tui.online.watches import News, Watch, Watched, save, watched
from bioretrieval_tui.paths import places
from bioretrieval_tui.render.shelf_items import document_mark
from bioretrieval_tui.tui.app import BioRetrievalApp
from bioretrieval_tui.tui.found_session import FoundSession
from bioretrieval_tui.tui.index_session import IndexesSession, IndexRow, slug, suggested_name
from bioretrieval_tui.tui.news_session import NewsSession, line_of
from bioretrieval_tui.tui.shelf_session import ShelfSession
from bioretrieval_tui.tui.undo import UndoStack


def test_no_session_imports_textual() -> None:
    modules = (
        "index_session",
        "found_session",
        "news_session",
        "qrels_session",
        "search_session",
        "shelf_session",
    )
    code = (
        "import sys;"
        + "".join(f"import bioretrieval_tui.tui.{name};" for name in modules)
        + "print('textual' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# Indexes ----------------------------------------------------------------------------------------


class Context:
    """What an `IndexesSession` needs of the app."""

    def __init__(self, desk: Desk) -> None:
        found = type("Client", (ScriptedClient,), {"desk": desk})()
        self.client = cast(SearchClient, found)
        self.jobs = JobQueue(places().state / "jobs", lambda: None, lambda _: None)


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_indexes_and_first_builds_are_rows_by_name(scripted: Desk) -> None:
    scripted.indexes = [info("mine"), info("catalogue")]
    context = Context(scripted)
    session = IndexesSession(context)
    await session.load()
    assert [row.name for row in session.rows()] == ["catalogue", "mine"]
    context.jobs.submit(job_of("build", "fresh", ("/f",)), job_of("verify", "mine"))
    await turn()
    fresh, mine = session.rows()[1:]
    assert (fresh.name, fresh.info) == ("fresh", None)
    assert session.health(fresh) == ("building", "warn")
    assert session.health(mine) == ("waits", "warn")
    scripted.end(BioRetrievalError("no space"))
    await turn()
    assert session.health(session.rows()[1]) == ("failed", "error")
    scripted.verified(SOUND)
    await turn()
    assert session.health(mine) == ("ok", "ok")


async def test_a_list_that_cannot_be_read_says_why(scripted: Desk) -> None:
    scripted.indexes = BioRetrievalError("the folder cannot be read", remedy="look at it")
    session = IndexesSession(Context(scripted))
    await session.load()
    assert session.problem == "the folder cannot be read; look at it"


@pytest.mark.parametrize(
    ("row", "needs", "said"),
    [
        (None, "any", "There is no index to verify yet"),
        (IndexRow("new", None), "any", "new does not exist yet"),
        (IndexRow("catalogue", info("catalogue")), "own", "keeps itself up to date"),
        (IndexRow("ruin", info("ruin", "unfinished: 3 of 9")), "complete", "b resumes its build"),
    ],
)
async def test_what_cannot_be_done_with_an_index_is_refused(
    scripted: Desk, row: IndexRow | None, needs: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        IndexesSession(Context(scripted)).checked(row, "verify", needs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("file", "name"),
    [("Zotero Export.ris", "zotero-export"), ("pubmed26n0001.xml.gz", "pubmed26n0001"),
     ("生物.jsonl", ""), ("scifact", "scifact")],
)  # fmt: skip
def test_a_file_suggests_a_name(file: str, name: str) -> None:
    assert suggested_name(file) == name


def test_a_long_text_becomes_a_name_of_whole_words() -> None:
    assert slug("Dense retrieval for biomedicine and more", 20) == "dense-retrieval-for"
    assert slug("x" * 50, 20) == "x" * 20


# Found ------------------------------------------------------------------------------------------


class Service:
    """Stands in for the process of a look-up."""

    def __init__(self) -> None:
        self.jobs: list[protocol.Job] = []
        self.hear: client.Hear = lambda _: None
        self.over: asyncio.Future[protocol.JobResult] | None = None

    async def run(self, job: protocol.Job, hear: client.Hear) -> protocol.JobResult:
        self.jobs.append(job)
        self.hear = hear
        self.over = asyncio.get_running_loop().create_future()
        return await self.over


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    found = Service()
    monkeypatch.setattr(client, "run_job", found.run)
    return found


def shelf() -> ShelfSession:
    """A shelf without an app."""
    app = SimpleNamespace(undo=UndoStack(), say=lambda *_: None)
    return ShelfSession(cast(BioRetrievalApp, app), lambda: None)


OWLS = FetchRequest("pubmed", "owls", most=5, index="birds")
PAPERS = [Document(str(n), f"Owl {n}", "A text", {"year": 2020 + n}) for n in range(3)]


async def test_papers_arrive_once_each_and_stay_starred(service: Service) -> None:
    kept = shelf()
    session = FoundSession(lambda: None, kept)
    session.begin(OWLS)
    await turn()
    # To be looked at, they go into no index.
    (job,) = service.jobs
    assert isinstance(job, protocol.FetchJob)
    assert (job.request.query, job.request.index) == ("owls", None)
    service.hear(protocol.Came(PAPERS[:2]))
    service.hear(protocol.Came(PAPERS))
    assert [paper.id for paper in session.papers] == ["0", "1", "2"]
    assert session.papers[2].year == 2022
    await kept.star([document_mark(one) for one in (PAPERS[2], PAPERS[0])])
    assert [one.id for one in session.starred] == ["0", "2"]
    assert json.loads(session.chosen(session.starred)["2"])["title"] == "Owl 2"
    session.begin(FetchRequest("europepmc", "owls"))
    await turn()
    revised = Document("EXT:9", "Owl 2", "A text", {"source": "another service"})
    service.hear(protocol.Came([revised]))
    assert session.starred == session.papers
    assert service.over is not None
    service.over.set_result(FetchResult(service="PubMed", records=3))
    await turn()
    assert (session.under_way, session.problem) == (False, "")


@pytest.mark.parametrize(
    ("error", "problem"),
    [(BioRetrievalError("PubMed cannot be reached", remedy="try later"),
      "PubMed cannot be reached; try later"),
     (ValueError("a defect"), "unexpected ValueError: a defect")],
)  # fmt: skip
async def test_why_no_more_papers_come_is_kept(
    service: Service, error: Exception, problem: str
) -> None:
    session = FoundSession(lambda: None, shelf())
    session.begin(OWLS)
    await turn()
    assert service.over is not None
    service.over.set_exception(error)
    await turn()
    assert (session.under_way, session.problem) == (False, problem)


async def test_a_newer_search_lets_go_of_the_one_before(service: Service) -> None:
    session = FoundSession(lambda: None, shelf())
    session.begin(OWLS)
    await turn()
    hear = service.hear
    session.begin(FetchRequest("arxiv", "moss"))
    await turn()
    hear(protocol.Came(PAPERS))  # of the first: too late
    assert session.papers == []
    assert session.under_way
    await session.close()
    assert not session.under_way
    assert session.problem == "stopped"


# News -------------------------------------------------------------------------------------------


def news(identifier: str, score: float, **other: object) -> News:
    known = {"title": f"Title {identifier}", "text": "x", "found": "2026-11-01T00:00:00+00:00"}
    return News(id=identifier, score=score, **(known | other))  # type: ignore[arg-type]


@pytest.fixture
def owls() -> Callable[[], Watched]:
    save(
        Watched(
            watch=Watch(
                name="owls", query="owls", source="pubmed", since="2026-10-01", added="2026-10-01"
            ),
            news=(news("1", 0.5), news("2", 0.9), news("3", 0.1, read=True)),
        )
    )
    return lambda: watched("owls")


def test_news_is_nearest_first_and_unread_unless_everything_is_wanted(
    owls: Callable[[], Watched],
) -> None:
    session = NewsSession()
    assert session.load() == ""
    assert [one.item.id for one in session.rows] == ["2", "1"]
    session.everything = True
    session.load()
    assert [one.item.id for one in session.rows] == ["2", "1", "3"]
    assert session.unread == 2


def test_marks_are_kept_and_the_row_stays(owls: Callable[[], Watched]) -> None:
    session = NewsSession()
    session.load()
    assert session.mark(0, read=True)
    assert not session.mark(0, read=True)
    assert [one.item.read for one in session.rows] == [True, False]
    assert [item.read for item in owls().news if item.id == "2"] == [True]


def test_a_record_goes_into_an_index_with_its_metadata(owls: Callable[[], Watched]) -> None:
    session = NewsSession()
    session.load()
    record = json.loads(line_of(session.rows[0]))
    assert record["_id"] == "2"
    assert record["metadata"]["pmid"] == "2"
