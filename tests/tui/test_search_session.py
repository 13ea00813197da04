"""The sessions of Search and of the query explorer without a screen: requests, pauses, filters."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from scripted import HITS, Desk, ScriptedClient, info

from bioretrieval_tui.backend.job_folder import JobRecord
from bioretrieval_tui.backend.protocol import (
    Evaluated,
    EvaluateJob,
    EvaluationSummary,
    ModeScores,
    ViewQuery,
)
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.errors import BioRetrievalError, ModelError, UsageError, VectorsMissing
from bioretrieval_tui.evaluation.qrels import QueryRow, QueryView
from bioretrieval_tui.index.metadata_fields import schema_of
from bioretrieval_tui.paths import places
from bioretrieval_tui.search.types import Explanation, Facet, Hit, Scores, SearchResult
from bioretrieval_tui.tui.facets import clause_in, facet_values, toggled_clause
from bioretrieval_tui.tui.hit_list import columns_of, hit_rows
from bioretrieval_tui.tui.index_session import in_keys
from bioretrieval_tui.tui.qrels_session import QrelsSession
from bioretrieval_tui.tui.search_session import (
    HITS as MOST,
)
from bioretrieval_tui.tui.search_session import (
    HitView,
    SearchSession,
)

FIELDS = ("abstract", "journal", "mesh", "year")


class Task:
    """A task as the session of Search sees a worker."""

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self.task = asyncio.create_task(work)

    @property
    def is_running(self) -> bool:
        return not self.task.done()

    def cancel(self) -> None:
        self.task.cancel()


class Face:
    """What a pane would be told."""

    def __init__(self, catalogue: Catalogue, desk: Desk) -> None:
        self.index = "mine"
        self.catalogue = catalogue
        self.client: Any = type("Client", (ScriptedClient,), {"desk": desk})()
        self.cursor = 0
        self.typing = False
        self.tasks: dict[str, Task] = {}
        self.said: list[str] = []
        self.shown = 0
        self.explained: list[str] = []
        self.opened: list[str] = []

    @property
    def owner(self) -> Any:
        return self

    def in_background(
        self, group: str, work: Callable[..., Coroutine[Any, Any, None]], *args: Any
    ) -> Task:
        if group in self.tasks:
            self.tasks[group].cancel()
        self.tasks[group] = Task(work(*args))
        return self.tasks[group]

    def show_hits(self, cursor: int = 0) -> None:
        self.shown += 1
        self.cursor = cursor

    def head(self) -> None:
        pass

    def show_reason(self, hit: Hit) -> None:
        self.explained.append(hit.id)

    def opened_similar(self, document: str) -> None:
        self.opened.append(document)

    def say(self, text: str, role: str = "") -> None:
        self.said.append(text)


@pytest.fixture
def face(small: Catalogue, scripted: Desk, monkeypatch: pytest.MonkeyPatch) -> Face:
    monkeypatch.setattr("bioretrieval_tui.tui.search_session.PAUSE", 0.0)
    scripted.indexes = [info("mine", fields=FIELDS), info("catalogue", fields=("kind", "year"))]
    return Face(small, scripted)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def answered(
    face: Face, desk: Desk, answer: SearchResult, query: str = "heart"
) -> SearchSession:
    session = SearchSession(face)
    await session.learn()
    session.type(query)
    await turns()
    desk.answer(query, answer)
    await turns()
    return session


def status(session: SearchSession) -> str:
    return "".join(text for text, _ in session.status())


@pytest.mark.parametrize("module", ["search_session", "qrels_session"])
def test_a_session_imports_no_textual(module: str) -> None:
    code = f"import sys, bioretrieval_tui.tui.{module}; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_typing_sends_one_search_after_the_pause(face: Face, scripted: Desk) -> None:
    session = SearchSession(face)
    for text in ("h", "he", "hea"):
        session.type(text)
    assert session.busy
    assert scripted.asked == []
    await turns()
    assert scripted.asked == [("mine", "hea")]
    session.type("heart")
    session.accept()  # enter does not wait for the pause
    await turns()
    assert scripted.dropped == ["hea"]
    assert scripted.asked == [("mine", "hea"), ("mine", "heart")]
    scripted.answer("heart", HITS)
    await turns()
    assert session.view.hits == HITS
    session.type("  ")
    assert session.view.hits == ()
    assert not session.busy


async def test_the_status_line_says_how_many_of_how_many(face: Face, scripted: Desk) -> None:
    many = tuple(HITS[n % len(HITS)] for n in range(MOST))
    session = await answered(face, scripted, SearchResult(many))
    assert status(session) == "Search  mine  hybrid  top 100 of 5,183  all-MiniLM-L6-v2"
    session.filter = "year:2012"
    session.send()
    await turns()
    scripted.answer("heart", SearchResult(many, fitting=812))
    await turns()
    assert "top 100  filter year:2012 keeps 812" in status(session)


async def test_a_filter_waits_for_the_rest_of_a_field(face: Face, scripted: Desk) -> None:
    session = await answered(face, scripted, SearchResult(HITS))
    session.filter_by("mes")
    assert (session.filter, session.busy) == ("", False)
    session.filter_by("mesh:")
    assert session.status()[0][1] == "dim"  # unfinished, not wrong
    session.filter_by("mesh:asthma")
    assert session.problem is None
    await turns()
    assert scripted.questions[-1].where == "mesh:asthma"
    session.filter_by("mush:asthma")
    assert session.status()[0][1] == "error"
    assert session.filter == "mesh:asthma"
    with pytest.raises(UsageError, match="not in force") as told:  # the status line says why
        session.filter_by("mush:asthma", whole=True)
    assert "mush" not in told.value.line()
    session.filter_by("", whole=True)
    await turns()
    assert scripted.questions[-1].where == ""
    assert session.problem is None


async def test_modes_and_orders_are_asked_again(face: Face, scripted: Desk) -> None:
    session = await answered(face, scripted, SearchResult(HITS))
    for mode in ("dense", "lexical", "hybrid"):
        session.next_mode()
        await turns()
        assert scripted.questions[-1].mode == mode
    session.next_order()
    await turns()
    assert scripted.questions[-1].order == "date"


async def test_similar_documents_lead_back_step_by_step(face: Face, scripted: Desk) -> None:
    scripted.alike = {"mine": SearchResult(HITS[3:6])}
    session = await answered(face, scripted, SearchResult(HITS))
    face.cursor = 1
    session.find_similar(HITS[1], near=False)
    await turns()
    assert face.opened == [HITS[1].id]
    assert session.view.like is HITS[1]
    face.cursor = 2
    session.find_similar(HITS[5], near=False)
    await turns()
    assert session.back() is HITS[5]
    assert (session.view.like, face.cursor) == (HITS[1], 2)
    assert session.back() is HITS[1]
    assert (session.view.hits, face.cursor) == (HITS, 1)
    assert session.view.like is None


async def test_a_reason_is_kept_until_other_hits_are_shown(face: Face, scripted: Desk) -> None:
    why = Explanation("4983", Scores(0.8, 12.0), terms=(("heart", 1.0),))
    scripted.reasons = {"4983": why}
    session = await answered(face, scripted, SearchResult(HITS))
    session.explain(HITS[0])
    await turns()
    assert (face.explained, session.reasons[HITS[0].key]) == (["4983"], why)
    session.explain(HITS[0])
    await turns()
    assert len(scripted.explained) == 1
    session.show(session.view)
    assert HITS[0].key not in session.reasons


async def test_the_indexes_that_can_be_searched(face: Face, scripted: Desk) -> None:
    session = await answered(face, scripted, SearchResult(HITS))
    scripted.indexes = [info("bad", "damaged: graph"), info("eval-x", cached=True), info("mine")]
    # The catalogue has no index before its first search.
    assert [one.name for one in await session.choices()] == ["catalogue", "mine"]
    session.search_in("eval-x")
    assert [one.name for one in await session.choices()] == ["catalogue", "eval-x", "mine"]
    session.search_in("catalogue")
    scripted.indexes = [info("catalogue")]
    with pytest.raises(UsageError, match="No index of your own yet: press 0 to build one"):
        await session.choices()
    scripted.indexes = BioRetrievalError("the search process ended")
    with pytest.raises(BioRetrievalError, match="the search process ended"):
        await session.choices()


async def test_another_index_may_lack_a_field_of_the_filter(face: Face, scripted: Desk) -> None:
    session = await answered(face, scripted, SearchResult(HITS))
    session.filter = "mesh:asthma"
    session.search_in("catalogue", "mine")  # one of them has it
    assert (session.names, session.filter) == (("catalogue", "mine"), "mesh:asthma")
    session.search_in("catalogue")
    assert (session.names, session.filter) == (("catalogue",), "")
    assert face.said[-1].startswith("The filter was removed: ")


async def test_what_an_index_left_out_is_told_before_the_rest(face: Face, scripted: Desk) -> None:
    bare = info("bare", dimension=0, model="BM25 only", documents=7)
    scripted.indexes = [info("mine", fields=FIELDS), bare]
    session = await answered(face, scripted, SearchResult(HITS))
    session.search_in("mine", "bare")
    many = tuple(msgspec.structs.replace(HITS[0], id=f"d{n}") for n in range(MOST))
    await turns()
    told = "bare is left out: no vectors"
    scripted.answer("heart", SearchResult(many, note=told, left_out=("bare",)))
    await turns()
    assert status(session) == (
        f"Search  mine + bare  hybrid  top 100 of 5,183  {told}  all-MiniLM-L6-v2"
    )
    session.prepare()
    await turns()
    scripted.ready()
    await turns()
    scripted.fail(VectorsMissing("index bare has no vectors"))
    await turns()
    assert session.state_of("bare") == ""  # the chooser has it in the column of the model


async def test_an_index_without_vectors_is_told_with_keys(face: Face, scripted: Desk) -> None:
    session = await answered(face, scripted, SearchResult(HITS))
    fault = VectorsMissing("index mine has no vectors", remedy="run: bioretrieval-tui index x")
    session.next_mode()
    await turns()
    scripted.answer("heart", fault)
    await turns()
    assert "index mine has no vectors; m changes the mode, V in Indexes adds them" in status(
        session
    )
    assert in_keys(fault, "{vectors} in Indexes adds them").remedy == "V in Indexes adds them"
    other = UsageError("another")
    assert in_keys(other, "") is other


async def test_several_indexes_are_asked_at_once(face: Face, scripted: Desk) -> None:
    session = await answered(face, scripted, SearchResult(HITS))
    session.search_in("mine", "catalogue")
    await turns()
    assert (scripted.asked[-1], scripted.also[-1]) == (("mine", "heart"), ("catalogue",))
    assert status(session).startswith("Search  mine + catalogue")
    assert session.state_of("another") == ""
    # BM25 answers until both models were tried, one after the other.
    scripted.answer("heart", SearchResult(HITS[:3], pending=True))
    await turns()
    assert scripted.loads == ["mine"]
    assert session.state_of("mine") == "loading"
    scripted.ready()
    await turns()
    assert scripted.loads == ["mine", "catalogue"]
    assert "hybrid follows: loading the model" in status(session)
    assert "heart" not in scripted.waiting
    scripted.fail(ModelError("no such model"))
    await turns()
    assert (session.state_of("mine"), session.state_of("catalogue")) == ("loaded", "no such model")
    first, second = (
        msgspec.structs.replace(HITS[0], index=name, also=also)
        for name, also in (("mine", ("catalogue",)), ("catalogue", ()))
    )
    scripted.answer("heart", SearchResult((first, second), note="catalogue by BM25 alone"))
    await turns()
    assert "2 hits  catalogue by BM25 alone" in status(session)
    cells = list(hit_rows(session.view).cells(0))
    assert cells[-1].text == "mine, catalogue"  # type: ignore[union-attr]
    assert columns_of(session.view)[-1].title == "Index"
    assert [one.title for one in columns_of(HitView("mine"))].count("Index") == 0
    record = next(iter(session.sheet().records))
    assert (record["index"], record["also"]) == ("mine", ["catalogue"])
    # What is asked about a hit is asked of its own index; two documents may have one id.
    scripted.reasons = {"4983": Explanation("4983", Scores(0.8, 12.0))}
    session.explain(second)
    await turns()
    assert scripted.explained == [("hybrid", "catalogue", "4983")]
    assert (second.key in session.reasons, first.key in session.reasons) == (True, False)
    session.filter = "year:2001"
    scripted.alike = {"catalogue": SearchResult(HITS[3:5])}
    session.find_similar(second, near=False)
    await turns()
    assert scripted.like[0] == ("catalogue", "4983", "catalogue", "year:2001")
    assert session.back() is second
    assert session.view.also == ("catalogue",)


async def test_a_model_that_was_closed_is_loaded_again(face: Face, scripted: Desk) -> None:
    """The search process keeps a few indexes open, and opens the others anew."""
    session = await answered(face, scripted, SearchResult(HITS, pending=True))
    scripted.ready()
    await turns()
    scripted.answer("heart", SearchResult(HITS))
    await turns()
    assert scripted.loads == ["mine"]
    session.send()
    await turns()
    scripted.answer("heart", SearchResult(HITS, pending=True))
    await turns()
    assert scripted.loads == ["mine", "mine"]


def test_a_facet_is_a_clause_of_the_filter() -> None:
    answer = SearchResult(
        (), facets=(Facet("year", (("2012", 7),)), Facet("mesh", (("Brain", 5),)))
    )
    year, mesh = facet_values(answer)
    assert (year.clause, mesh.clause) == ("year:2012", "mesh=Brain")
    schema = schema_of(FIELDS)
    where = toggled_clause("", year.clause, schema)
    where = toggled_clause(where, mesh.clause, schema)
    assert clause_in(where, year.clause)
    assert clause_in(where, mesh.clause)
    assert not clause_in(where, "mesh=Brai")
    assert toggled_clause(where, year.clause, schema) == mesh.clause
    # Where the fields are not known, what is there is kept as one.
    assert toggled_clause("a or b", mesh.clause, None) == "(a or b) mesh=Brain"


# The query explorer ---------------------------------------------------------------------------

QUERIES = [
    QueryRow("1", "Muscle pain", 2, 2, {"lexical": 0.2, "dense": 0.9}),
    QueryRow("2", "a tumour gene", 1, 1, {"lexical": 1.0, "dense": 0.1}),
    QueryRow("3", "asthma in children", 3, 1, {"lexical": 0.5, "dense": 0.5}),
]
RANKED = EvaluationSummary(
    "tiny", "test", "lab/alpha", 3, 9,
    (ModeScores("lexical", {}), ModeScores("dense", {})), "eval-tiny", "ab" * 32,
)  # fmt: skip


class Explorer:
    """What the pane of the explorer would be told."""

    def __init__(self, rows: list[QueryRow] | None) -> None:
        self.rows = rows
        self.owner: Any = self
        self.client: Any = self
        self.jobs: Any = self
        self.where = places()
        self.asked: list[object] = []
        self.told: list[str] = []
        self.tasks: list[Task] = []
        self.viewed = 0

    def in_background(
        self, group: str, work: Callable[..., Coroutine[Any, Any, Any]], *args: Any
    ) -> Task:
        self.tasks.append(Task(work(*args)))
        return self.tasks[-1]

    async def done(self) -> None:
        """Wait for the work, part of which runs in threads."""
        await asyncio.gather(*(one.task for one in self.tasks))

    async def ask(self, request: object) -> list[QueryRow] | QueryView | None:
        if isinstance(request, ViewQuery):
            return QueryView(request.query, "text", {}, (), ())
        return self.rows

    def submit(self, job: EvaluateJob) -> bool:
        self.asked.append(job)
        return True

    def show_benchmark(self) -> None:
        self.told.append("benchmark")

    def refill(self, keep: str | None = None) -> None:
        self.told.append("queries")

    def show_message(self, text: str) -> None:
        self.told.append(text)

    def show_view(self, problem: str = "") -> None:
        self.viewed += 1

    def say(self, text: str, role: str = "") -> None:
        self.told.append(text)


async def test_a_benchmark_without_kept_rankings_is_ranked(tmp_path: Path) -> None:
    explorer = Explorer(QUERIES)
    session = QrelsSession(explorer)
    session.open(EvaluateJob(str(tmp_path), ("lexical", "dense"), purpose="explore"))
    await explorer.done()
    assert explorer.asked == [session.job]
    assert session.job is not None
    session.job_ended(JobRecord(id="1", job=session.job, state="failed", message="it failed"))
    assert (session.problem, explorer.told[-1]) == ("it failed", "it failed")
    session.job_ended(JobRecord(id="2", job=session.job, state="done", result=Evaluated(RANKED)))
    await explorer.done()
    assert (session.problem, session.shown) == ("", QUERIES)
    # The next time the rankings are there; where the files have changed they are made again.
    session.open(EvaluateJob(str(tmp_path), ("dense",), purpose="explore"))
    await explorer.done()
    assert len(explorer.asked) == 1
    explorer.rows = None
    session.open(EvaluateJob(str(tmp_path), ("dense",), purpose="explore"))
    await explorer.done()
    assert len(explorer.asked) == 2


async def test_queries_are_sorted_filtered_and_compared(tmp_path: Path) -> None:
    explorer = Explorer(QUERIES)
    session = QrelsSession(explorer)
    session._show(QUERIES, RANKED)
    orders = []
    for _ in range(3):
        session.sort_by("lexical")
        orders.append([row.id for row in session.shown])
    assert orders == [["1", "3", "2"], ["2", "3", "1"], ["1", "2", "3"]]
    session.filter_by("IN asthma")
    assert [row.id for row in session.shown] == ["3"]
    assert session.pair == ("lexical", "dense")
    with pytest.raises(UsageError, match="no other two modes"):
        session.next_pair()


async def test_only_the_chosen_query_is_shown(tmp_path: Path) -> None:
    explorer = Explorer(QUERIES)
    session = QrelsSession(explorer)
    session.choose(QUERIES[0], read=True)
    session.choose(QUERIES[1], read=False)  # the cursor moved on
    await turns()
    assert (session.view, explorer.viewed) == (None, 0)
    session.choose(QUERIES[1], read=True)
    await turns()
    assert session.view is not None
    assert session.view.id == "2"


@pytest.mark.parametrize("score", [0.1234, 12.3456, 99.9994, 163.42, 1_234.56, -0.5])
def test_a_score_fits_its_column(score: float) -> None:
    hit = msgspec.structs.replace(HITS[0], score=score)
    shown = hit_rows(HitView(answer=SearchResult((hit,)))).cells(0)[3].text
    assert len(shown) <= 6
    assert float(shown) == pytest.approx(score, abs=0.05)


def test_a_column_that_no_hit_has_a_value_in_is_left_out() -> None:
    bare = Hit(1, "a", "Title", "Text", None, None, 1.0)
    dated = Hit(2, "b", "Title", "Text", 2020, None, 0.5, metadata={"journal": "JAMA"})
    views = [HitView("mine", answer=SearchResult(hits)) for hits in ((bare,), (bare, dated), ())]
    for view, shown in zip(views, (False, True, True), strict=True):
        keys = [one.key for one in columns_of(view)]
        assert ("year" in keys, "source" in keys) == (shown, shown)
        assert all(len(hit_rows(view).cells(n)) == len(keys) for n in range(len(view.hits)))
