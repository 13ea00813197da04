"""The search process and job processes as the app uses them, with the real model."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bioretrieval_tui.backend import server
from bioretrieval_tui.backend.client import SearchClient, run_job
from bioretrieval_tui.backend.protocol import (
    AddJob,
    BuildJob,
    Built,
    CompactJob,
    Event,
    Job,
    JobResult,
    ListIndexes,
    Load,
    Progressed,
    Removed,
    RemoveJob,
    Search,
    SupersededError,
    Verified,
    VerifyJob,
)
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.errors import (
    BioRetrievalError,
    CorpusError,
    InterruptedByUser,
    NotFoundError,
    UsageError,
)
from bioretrieval_tui.index.layout import index_folder, indexes_folder
from bioretrieval_tui.index.registry import info, list_indexes
from bioretrieval_tui.index.report import Report
from bioretrieval_tui.progress import Progress, Reporter, silent
from bioretrieval_tui.search.types import Query, SearchResult
from homes import share_encoders

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = {
    "11": "Simvastatin causes muscle pain.",
    "22": "The p53 gene suppresses tumours.",
    "33": "Inhaled corticosteroids help children with asthma.",
}


def ask(text: str, k: int = 10, mode: str = "hybrid") -> Query:
    """A question."""
    return Query(text=text, k=k, mode=mode)


def patient(index: str, question: Query, stream: str = "search") -> Search:
    """A search that waits for the model."""
    return Search(index, question, stream, waits=True)


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return share_encoders(tmp_path_factory.mktemp("shared") / "home")


@pytest.fixture(autouse=True)
def home(shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One home for the module: the child keeps the one that it was started with."""
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(shared_home))
    return shared_home


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(shared_home: Path) -> AsyncIterator[SearchClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIORETRIEVAL_HOME", str(shared_home))
        client = SearchClient(device="cpu")
    yield client
    await client.close()
    assert client.pid is None


async def work(job: Job, on_progress: Reporter = silent) -> JobResult:
    """Run a job in a process of its own."""

    def hear(event: Event) -> None:
        if isinstance(event, Progressed):
            on_progress(event.progress)

    return await run_job(job, hear, device="cpu")


async def build(name: str, path: Path, on_progress: Reporter = silent) -> Built:
    built = await work(BuildJob(name, (str(path),)), on_progress)
    assert isinstance(built, Built)
    return built


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.jsonl"
    path.write_text("".join(json.dumps({"_id": k, "text": v}) + "\n" for k, v in TEXTS.items()))
    return path


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Enough long documents that a build is under way for a while."""
    path = tmp_path / "large.jsonl"
    # Of each test its own: what an index of the home holds is not encoded again.
    text = f"{tmp_path.name} heart failure with preserved ejection fraction in older adults " * 30
    path.write_text(
        "".join(json.dumps({"_id": str(n), "text": f"{n} {text}"}) + "\n" for n in range(1_500))
    )
    return path


async def test_it_starts_without_a_model(client: SearchClient) -> None:
    assert await client.ask(ListIndexes()) == []
    assert client.pid is not None


async def test_building_and_searching(client: SearchClient, small: Path) -> None:
    steps: list[Progress] = []
    done = await build("demo", small, steps.append)
    built = done.index
    assert (built.name, built.documents, built.status, built.device) == ("demo", 3, "ok", "cpu")
    assert done.changed
    assert (done.report.read, done.report.kept, done.report.encoded) == (3, 3, 3)
    stages = list(dict.fromkeys(step.stage for step in steps if step.stage != "reading"))
    assert [s for s in stages if s != "preparing the query encoder"] == [
        "loading model", "encoding", "linking", "saving",
    ]  # fmt: skip
    hits = (await client.ask(patient("demo", ask("tumour suppressor", k=2)))).hits
    assert [hits[0].id, hits[0].rank, len(hits)] == ["22", 1, 2]
    assert hits[0].text == TEXTS["22"]
    assert await client.ask(ListIndexes()) == [built]


async def test_a_newer_build_is_searched_at_once(client: SearchClient, tmp_path: Path) -> None:
    path = tmp_path / "new.jsonl"
    path.write_text('{"_id": "new", "text": "Something else."}\n')
    await build("changing", path)
    assert [h.id for h in (await client.ask(patient("changing", ask("anything")))).hits] == ["new"]
    path.write_text('{"_id": "newer", "text": "Something else."}\n')
    await build("changing", path)
    assert [h.id for h in (await client.ask(patient("changing", ask("anything")))).hits] == [
        "newer"
    ]


async def test_errors_arrive(client: SearchClient, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no index none"):
        await client.ask(Search("none", ask("x")))
    with pytest.raises(UsageError, match="the query is empty"):
        await client.ask(patient("demo", ask("  ")))
    with pytest.raises(UsageError, match="no search mode"):
        await client.ask(patient("demo", ask("x", mode="fuzzy")))
    with pytest.raises(NotFoundError):
        await build("other", tmp_path / "none.jsonl")
    (tmp_path / "bad.jsonl").write_text('{"_id": "1", "text": "x"}\n{"text": "no id"}\n')
    with pytest.raises(CorpusError, match=r"bad\.jsonl:2: "):
        await work(
            BuildJob("other", (str(tmp_path / "bad.jsonl"),), reading=ReadSettings(strict=True))
        )
    for job in (CompactJob("none"), VerifyJob("none"), RemoveJob("none")):
        with pytest.raises(NotFoundError, match="there is no index none"):
            await work(job)
    assert [found.name for found in list_indexes()] == ["changing", "demo"]


async def test_extending_compacting_verifying_and_removing(
    client: SearchClient, small: Path, tmp_path: Path
) -> None:
    await build("grown", small)
    more = tmp_path / "more.jsonl"
    more.write_text('{"_id": "44", "text": "Triptans stop migraine."}\n{"text": "no id"}\n')
    extended = await work(AddJob("grown", (str(more),)))
    assert isinstance(extended, Built)
    assert (extended.index.documents, extended.report.encoded) == (4, 1)
    assert [rejected.line for rejected in extended.report.rejections] == [2]
    assert [
        hit.id for hit in (await client.ask(patient("grown", ask("headache drugs", k=1)))).hits
    ] == ["44"]
    again = await work(AddJob("grown", (str(more),)))
    assert isinstance(again, Built)
    assert (again.changed, again.index.documents) == (False, 4)
    compacted = await work(CompactJob("grown"))
    assert isinstance(compacted, Built)
    assert (compacted.index.segments, compacted.index.documents) == (1, 4)
    verified = await work(VerifyJob("grown"))
    assert isinstance(verified, Verified)
    assert verified.verification.ok
    assert await work(RemoveJob("grown")) == Removed(compacted.index.bytes)
    with pytest.raises(NotFoundError, match="there is no index grown"):
        await client.ask(patient("grown", ask("headache")))


async def test_the_catalogue_is_indexed_by_its_first_search(client: SearchClient) -> None:
    found = await client.ask(Search("catalogue", ask("medcpt retriever")))
    assert "medcpt-paper" in {hit.id for hit in found.hits}
    assert found.pending  # by BM25
    assert found.hits[0].scores.dense is None
    await client.ask(Load("catalogue"))
    found = await client.ask(Search("catalogue", ask("medcpt retriever")))
    assert not found.pending
    assert found.hits[0].scores.dense is not None


async def test_searches_during_a_build_and_its_cancellation(
    client: SearchClient, large: Path
) -> None:
    encoding = asyncio.Event()
    steps: list[Progress] = []

    def watch(step: Progress) -> None:
        steps.append(step)
        if step.stage == "encoding" and step.done:
            encoding.set()

    before = info("demo")
    building = asyncio.create_task(build("demo", large, watch))
    await encoding.wait()
    # The old index answers while the new one is built.
    assert (await client.ask(patient("demo", ask("asthma", k=1)))).hits[0].id == "33"
    assert not building.done()
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    # Its process is gone, and has tidied up as after ctrl+c.
    assert info("demo") == before
    assert not list(index_folder("demo").glob(".building-*"))


@pytest.mark.parametrize("disposition", [signal.default_int_handler, signal.SIG_IGN])
async def test_a_progress_callback_may_stop_the_work(
    large: Path, disposition: signal.Handlers, request: pytest.FixtureRequest
) -> None:
    """Also where SIGINT is ignored, as in the background of a script: children inherit that."""
    before = signal.signal(signal.SIGINT, disposition)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))

    def stop(step: Progress) -> None:
        if step.stage == "encoding":
            raise InterruptedByUser("enough")

    with pytest.raises(InterruptedByUser, match="enough"):
        await build("stopped", large, stop)
    assert not list(index_folder("stopped").glob(".building-*"))
    assert not (index_folder("stopped") / "manifest.json").exists()


async def test_newer_searches_supersede_waiting_ones(client: SearchClient) -> None:
    queries = [asyncio.create_task(client.ask(patient("demo", ask(f"q{n}")))) for n in range(200)]
    other = asyncio.create_task(client.ask(patient("demo", ask("right"), "right")))
    outcomes = await asyncio.gather(*queries, return_exceptions=True)
    assert isinstance(outcomes[-1], SearchResult)
    superseded = [outcome for outcome in outcomes if isinstance(outcome, SupersededError)]
    answered = [outcome for outcome in outcomes if isinstance(outcome, SearchResult)]
    assert superseded
    assert len(superseded) + len(answered) == 200
    assert len((await other).hits) == 3


async def test_cancelled_searches_do_no_harm(client: SearchClient) -> None:
    for _ in range(5):
        task = asyncio.create_task(client.ask(patient("demo", ask("asthma"))))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert (await client.ask(patient("demo", ask("asthma")))).hits[0].id == "33"


async def test_a_job_killed_in_the_middle_leaves_the_old_index(
    client: SearchClient, large: Path, small: Path
) -> None:
    encoding, pids = asyncio.Event(), list[int]()

    def hear(event: Event) -> None:
        if isinstance(event, Progressed) and event.progress.stage == "encoding":
            encoding.set()

    job = BuildJob("demo", (str(large),))
    building = asyncio.create_task(run_job(job, hear, device="cpu", started=pids.append))
    await encoding.wait()
    before = info("demo")
    os.kill(pids[0], signal.SIGKILL)
    with pytest.raises(BioRetrievalError) as caught:
        await building
    said = "ended by SIGKILL; it may have had too little memory: try again"
    assert f"the process for 'Building demo' {said}" in caught.value.line()
    assert list(index_folder("demo").glob(".building-*"))
    # The old index is whole and answers, and the next build tidies up.
    found = info("demo")
    assert (found.status, found.documents) == ("ok", before.documents)
    assert (await client.ask(patient("demo", ask("asthma")))).hits[0].id == "33"
    built = await build("demo", small)
    inside = {path.name for path in index_folder("demo").iterdir()}
    assert len(inside) == 3  # the manifest, one segment, one generation
    assert "manifest.json" in inside
    assert built.index.documents == 3
    assert not list(indexes_folder().glob(".removed-*"))


async def test_a_killed_search_process_is_started_again(client: SearchClient) -> None:
    pid = client.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(BioRetrievalError, match="the search process ended by SIGKILL"):
        await client.ask(patient("demo", ask("asthma")))
    assert (await client.ask(patient("demo", ask("asthma")))).hits[0].id == "33"
    assert client.pid not in (None, pid)


async def test_a_child_that_cannot_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    lonely = SearchClient()
    with pytest.raises(BioRetrievalError, match="cannot be started"):
        await lonely.ask(ListIndexes())
    await lonely.close()


async def test_closing(small: Path) -> None:
    unused = SearchClient()
    await unused.close()
    with pytest.raises(BioRetrievalError, match="was closed"):
        await unused.ask(ListIndexes())
    # While the first search still loads the model.
    busy = SearchClient(device="cpu")
    loading = asyncio.Event()
    search = asyncio.create_task(busy.ask(patient("demo", ask("asthma")), lambda _: loading.set()))
    await loading.wait()
    pid = busy.pid
    assert pid is not None
    await busy.close()
    await busy.close()
    # Told by the child if it still could, else by its end.
    with pytest.raises(BioRetrievalError, match=r"was closed|interrupted"):
        await search
    assert gone(pid)


APP = """
import asyncio, sys
from bioretrieval_tui.backend.client import run_job
from bioretrieval_tui.backend.protocol import BuildJob
def started(pid): print(pid, flush=True)
asyncio.run(run_job(BuildJob("orphan", (sys.argv[1],)), lambda _: None, started=started))
"""


async def test_a_job_ends_with_the_app(large: Path) -> None:
    words = [sys.executable, "-c", APP, str(large)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout is not None
        pid = int(app.stdout.readline())
        assert not gone(pid)
        app.kill()
    deadline = time.monotonic() + 60
    while not gone(pid):
        assert time.monotonic() < deadline, "the job outlived the app"
        await asyncio.sleep(0.1)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A zombie that nobody has collected yet has ended too.
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("download", [False, True])
async def test_a_build_fetches_its_model_first_if_asked_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, download: bool
) -> None:
    asked = []
    monkeypatch.setattr(server, "fetch_needed", lambda model, *_: asked.append(model))
    job = BuildJob("new", (str(tmp_path),), "lab/none", download=download)
    with pytest.raises(BioRetrievalError):
        server.fill_index(job, "cpu", lambda _: None, Report())
    assert asked == (["lab/none"] if download else [])
