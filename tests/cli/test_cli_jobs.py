"""`jobs` and --background: what runs behind a shell is listed, followed, stopped and resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bioretrieval_tui.backend import launch, protocol
from bioretrieval_tui.backend.job_folder import JobFolder, JobRecord
from bioretrieval_tui.backend.protocol import (
    AddJob,
    BuildJob,
    EvaluateJob,
    FetchJob,
    ImportJob,
    ParquetJob,
    VerifyJob,
)
from bioretrieval_tui.cli import job_verbs
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.report import Check, Verification
from bioretrieval_tui.progress import Progress
from homes import share_encoders

Call = Callable[..., Any]
ONE, TWO = VerifyJob("one"), VerifyJob("two")
SOUND = protocol.Verified(Verification("one", (Check("files", True, "5"),)))
FAULTY = protocol.Verified(Verification("one", (Check("files", False, "3", "build it again"),)))


@pytest.fixture
def call(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, fresh: Call
) -> Call:
    """Call the command in a home of its own; what is relative is in the test's folder."""
    monkeypatch.chdir(tmp_path)
    env = {**environment, "BIORETRIEVAL_HOME": str(tmp_path / "home")}
    return lambda *words: fresh(words, env)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobFolder:
    """The records of that home; no worker is started."""
    monkeypatch.setattr(launch, "start_worker", lambda: None)
    return JobFolder(tmp_path / "home" / "state" / "jobs")


def end(folder: JobFolder, job: protocol.Job, outcome: Any) -> JobRecord:
    """A job that ended."""
    folder.submit(job)
    record = folder.take()
    assert record is not None
    folder.finish(record, outcome)
    folder.leave()
    return record


def test_there_are_none(call: Call) -> None:
    listed = call("jobs", "list", "-f", "json")
    assert (listed.code, listed.json) == (0, [])
    assert "there is no job yet" in listed.err
    attached = call("jobs", "attach")
    assert (attached.code, attached.lines) == (
        3, ["bioretrieval-tui: no job runs or waits; see: bioretrieval-tui jobs list"],
    )  # fmt: skip


def test_jobs_are_listed_with_progress_and_outcome(call: Call, folder: JobFolder) -> None:
    end(folder, ONE, BioRetrievalError("it is damaged", remedy="build it again"))
    folder.submit(BuildJob("mine", ("/f",)), TWO)
    worker = JobFolder(folder.path)
    record = worker.take()
    assert record is not None
    record.progress = Progress("encoding", 30, 120, rate=1.0)
    worker.save(record)
    (folder.path / "9.json").write_text("{")
    listed = call("jobs", "list", "-f", "json")
    assert [(one["id"], one["state"], one["verb"], one["target"]) for one in listed.json] == [
        ("1", "failed", "verify", "one"), ("2", "running", "build", "mine"),
        ("3", "waiting", "verify", "two"),
    ]  # fmt: skip
    running = listed.json[1]
    assert (running["share"], running["seconds_left"], running["stage"]) == (0.25, 90, "encoding")
    assert listed.json[0]["outcome"] == "Verifying one failed: it is damaged; build it again"
    assert "left out, as they cannot be read: 9.json in" in listed.err
    shown = call("jobs", "list", "-f", "markdown").out
    assert "| 2 | running | Building mine | 25%, 2 min left |" in shown
    assert "| it is damaged; build it again |" in shown


def test_a_job_of_another_machine_is_shown_as_such(call: Call, folder: JobFolder) -> None:
    folder.save(JobRecord(id="1", job=ONE, host="node7", state="running", pid=4711))
    (one,) = call("jobs", "list", "-f", "json").json
    assert (one["state"], one["outcome"], one["host"]) == ("running", "on node7", "node7")
    said = "bioretrieval-tui: job 1 belongs to the machine node7; call this verb there"
    stopped = call("jobs", "stop", "1")
    assert (stopped.code, stopped.lines) == (2, [said])
    assert call("jobs", "attach").code == 3


@pytest.mark.parametrize("verb", ["attach", "stop", "log", "resume"])
def test_an_unknown_job_names_those_that_there_are(
    call: Call, folder: JobFolder, verb: str
) -> None:
    ended = call("jobs", verb, "7")
    assert (ended.code, ended.out) == (3, "")
    assert ended.lines == ["bioretrieval-tui: there is no job 7; no job was submitted yet"]
    end(folder, ONE, SOUND)
    said = "bioretrieval-tui: there is no job 7; the last are 1 (verifying one)"
    assert call("jobs", verb, "7").lines == [said]


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        (SOUND, 0, "one: 1 check passed"),
        (FAULTY, 1, "one: 1 of 1 checks failed: files; build it again"),
        (BioRetrievalError("no space"), 1, "Verifying one failed: no space"),
        (KeyboardInterrupt(), 130, "Stopped: verifying one; nothing was changed"),
    ],
)
def test_the_exit_code_of_attach_is_the_jobs(
    call: Call, folder: JobFolder, outcome: Any, code: int, said: str
) -> None:
    end(folder, ONE, outcome)
    for name in ("1", "one"):
        ended = call("jobs", "attach", name)
        assert (ended.code, ended.out, ended.lines) == (code, "", [f"bioretrieval-tui: {said}"])
    assert folder.missed(folder.records()) == []  # the app need not tell it again


def test_attach_follows_and_ctrl_c_detaches(
    call: Call, folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.submit(ONE, TWO)
    worker = JobFolder(folder.path)
    record = worker.take()
    assert record is not None
    record.remark = "three of five files"
    record.progress = Progress("checking", 3, 5, "files")
    worker.save(record)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(job_verbs.time, "sleep", interrupt)
    ended = call("jobs", "attach", "--progress", "json")
    assert ended.code == 130
    remark, progress, said = ended.lines
    assert remark == "bioretrieval-tui: three of five files"
    assert json.loads(progress)["share"] == 0.6
    assert said.startswith("bioretrieval-tui: detached; job 1 goes on; ")
    assert folder.records()[0].state == "running"
    # Of two of one name the one that has not ended is meant.
    assert "job 2 waits: verifying two" in call("jobs", "attach", "two").err


def test_a_job_is_stopped(call: Call, folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.submit(ONE, TWO)
    worker = JobFolder(folder.path)
    record = worker.take()
    assert record is not None

    def interrupted(_: int) -> None:
        worker.finish(record, KeyboardInterrupt())

    monkeypatch.setattr(JobFolder, "interrupt", staticmethod(interrupted))
    dropped, stopped = call("jobs", "stop", "two"), call("jobs", "stop", "1")
    assert (dropped.code, stopped.code) == (0, 0)
    assert dropped.lines == ["bioretrieval-tui: job 2: dropped before it began"]
    assert stopped.lines == ["bioretrieval-tui: job 1: Stopped: verifying one; nothing was changed"]
    again = call("jobs", "stop", "2")
    assert again.code == 2
    assert again.lines == ["bioretrieval-tui: job 2 has ended: dropped before it began"]


def test_a_log_is_printed_without_what_moves_the_cursor(call: Call, folder: JobFolder) -> None:
    record = end(folder, ONE, SOUND)
    assert call("jobs", "log", "one").out == "There is no log: No such file or directory\n"
    folder.log_path(record).write_text("reading\n\x1b[2Jencoding\n")
    assert call("jobs", "log", "one").out == "reading\nencoding\n"


def test_a_name_is_that_of_its_last_job(call: Call, folder: JobFolder) -> None:
    first, second = end(folder, ONE, FAULTY), end(folder, ONE, SOUND)
    for record in (first, second):
        folder.log_path(record).write_text(f"job {record.id}\n")
    assert call("jobs", "log", "one").out == f"job {second.id}\n"
    (third,) = folder.submit(ONE)
    folder.log_path(third).write_text("the one that waits\n")
    assert call("jobs", "log", "one").out == "the one that waits\n"


def test_a_job_is_resumed_once(call: Call, folder: JobFolder) -> None:
    job = BuildJob("mine", ("notes.jsonl",), ids="pmid")
    folder.submit(job, device="cpu")
    record = folder.take()
    assert record is not None
    record.folder = "/where/it/was"
    folder.finish(record, BioRetrievalError("no space"))
    folder.leave()
    first, second = call("jobs", "resume", "mine"), call("jobs", "resume", "1")
    assert (first.code, second.code) == (0, 0)
    assert (first.out, second.out) == ("2\n", "2\n")
    assert "building mine in the background; follow it: " in first.err
    assert "building mine already; follow it: " in second.err
    (again,) = folder.records()[1:]
    assert (again.job, again.device, again.folder) == (job, "cpu", "/where/it/was")
    refused = call("jobs", "resume", "2")
    assert (refused.code, refused.lines) == (
        2, ["bioretrieval-tui: job 2 is waiting; only failed and stopped jobs are resumed"],
    )  # fmt: skip


def test_verbs_submit_what_they_would_do(call: Call, folder: JobFolder, tmp_path: Path) -> None:
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        path = tmp_path / "bench" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"_id": "1", "title": "a", "text": "b"}\n')
    calls = (
        ("index", "build", "mine", "a.csv", "--ids", "pmid", "--map", "text=Abstract"),
        ("index", "add", "mine", "b.ris", "--device", "cpu"),
        ("index", "import-vectors", "v", "--vectors", "v.npy", "--ids", "i.json",
         "--documents", "d.jsonl", "--model", "medcpt"),
        ("index", "import", "p", "p.parquet"),
        ("fetch", "pubmed", "owls", "-n", "5", "--index", "owls"),
        ("eval", "bench", "-m", "lexical", "-m", "dense"),
    )  # fmt: skip
    for number, words in enumerate(calls, 1):
        ended = call(*words, "--background")
        assert (ended.code, ended.out) == (0, f"{number}\n"), ended.err
    built, added, imported, again, fetched, evaluated = folder.records()
    assert isinstance(built.job, BuildJob)
    assert (built.job.inputs, built.job.ids) == (("a.csv",), "pmid")
    assert built.job.reading.mapping == {"text": "Abstract"}
    assert built.folder == str(tmp_path)
    assert isinstance(added.job, AddJob)
    assert added.device == "cpu"
    assert isinstance(imported.job, ImportJob)
    assert again.job == ParquetJob("p", ("p.parquet",))
    assert isinstance(fetched.job, FetchJob)
    assert (fetched.job.request.index, fetched.job.request.most) == ("owls", 5)
    assert evaluated.job == EvaluateJob("bench", ("lexical", "dense"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("index", "build", "mine", "-"), "a job in the background reads no stdin"),
        (
            ("index", "add", "mine", "a", "--report", "r.json"),
            "reads no stdin and writes no report",
        ),
        (("fetch", "pubmed", "owls", "-o", "owls.jsonl"), "--background fetches into an index"),
        (("eval", "bench", "-k", "200"), "keeps a plain evaluation"),
        (("eval", "bench", "--query", "1"), "keeps a plain evaluation"),
    ],
)
def test_what_cannot_be_done_in_the_background_is_said(
    call: Call, folder: JobFolder, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "bench" / "qrels").mkdir(parents=True)
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        (tmp_path / "bench" / name).write_text('{"_id": "1", "text": "b"}\n')
    ended = call(*words, "--background")
    assert ended.code == 2, ended.err
    assert said in ended.err
    assert folder.records() == []


def test_an_evaluation_in_the_background_needs_its_model_now(
    call: Call, folder: JobFolder, tmp_path: Path
) -> None:
    (tmp_path / "bench" / "qrels").mkdir(parents=True)
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        (tmp_path / "bench" / name).write_text('{"_id": "1", "text": "b"}\n')
    ended = call("eval", "bench", "--model", "medcpt", "--background")
    assert ended.code == 1
    assert "is not on this machine" in ended.err
    assert folder.records() == []


def test_a_build_in_the_background_is_followed_to_its_end(call: Call, tmp_path: Path) -> None:
    share_encoders(tmp_path / "home")
    (tmp_path / "notes.jsonl").write_text('{"_id": "1", "text": "Statins cause muscle pain."}\n')
    assert call("index", "build", "mine", "notes.jsonl", "--background").out == "1\n"
    ended = call("jobs", "attach", "mine")
    assert (ended.code, ended.lines[-1]) == (
        0, "bioretrieval-tui: Built mine, 1 document: 1 read, 1 kept",
    )  # fmt: skip
    logged = call("jobs", "log", "mine").out
    assert "Building mine, process " in logged
    assert "encoding" in logged
    assert call("search", "muscle", "-i", "mine", "-m", "lexical", "-f", "json").json
