"""Messages survive the way to a child process and back, and nonsense is an error."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from io import BytesIO

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui import errors
from bioretrieval_tui.backend import protocol
from bioretrieval_tui.backend.protocol import Failed, ProtocolError
from bioretrieval_tui.backend.server import Wire
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.errors import BioRetrievalError, IndexFault
from bioretrieval_tui.evaluation.qrels import QueryRow
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.index.report import Check, RejectedRecord, Report, Verification
from bioretrieval_tui.online.spool import FetchRequest, FetchResult
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.search.types import Explanation, Facet, Hit, Query, Scores, SearchResult

ANSWER = SearchResult(
    (Hit(1, "a", "t", "x", None, None, 0.5, Scores(dense=0.5), {"mesh": ["A"], "n": 1}),),
    fitting=3,
    facets=(Facet("year", (("2020", 2),)),),
    among=5,
    note="n",
)
JOBS: list[protocol.Job] = [
    protocol.BuildJob("demo", ("/a b",), "x/y", embedded.RECIPE, False, "pmid"),
    protocol.BuildJob("demo", ("-",), reading=ReadSettings("csv", {"id": "PMID"})),
    protocol.AddJob("demo", ("/a b",), ReadSettings(strict=True)),
    protocol.FetchJob(FetchRequest("pubmed", "é", date(2026, 1, 31), 7, index="demo")),
    protocol.VerifyJob("demo"),
    protocol.CompactJob("demo"),
    protocol.RemoveJob("demo"),
    protocol.ImportJob("demo", ("v.npy",), ("i.json",), ("d.json",), "x/y", embedded.RECIPE, 768),
    protocol.ParquetJob("demo", ("/a b.parquet",)),
    protocol.FetchJob(FetchRequest("arxiv", "cat:cs.IR")),
    protocol.MedcptJob("demo", (0, 7), None, 9, "x/y", embedded.RECIPE),
]
REQUEST, REPLY = tuple[int, protocol.Sent], tuple[int, protocol.Reply]
REQUESTS: list[protocol.Sent] = [
    protocol.Search("demo", Query(text="what\n\0\x1b", k=3, mode="dense"), "left"),
    protocol.Search(
        "demo", Query(text="x", where="year:2020"), "s", protocol.Reranker("a/b", None, 9)
    ),
    protocol.Similar("demo", "44", 5, "has:abstract", "catalogue"),
    protocol.Explain("demo", Query(text="x"), ["44"]),
    protocol.Load("mine"),
    protocol.ListIndexes(),
    protocol.OpenBenchmark("/b", "test", "0" * 64, "demo", {"dense": "/r"}),
    protocol.ViewQuery("q1"),
    protocol.ReadDocument("d1"),
    *map(protocol.RunJob, JOBS),
    protocol.Cancel(),
]
QUERY = Query(text="x")
RUN = protocol.RunJob(JOBS[0])
ANSWERS: list[tuple[protocol.Request[object], object]] = [
    (protocol.Search("demo", QUERY), ANSWER),
    (
        protocol.Explain("demo", QUERY, []),
        [Explanation("a", Scores(0.5), (("word", 1.0),), 1, None, (0, 5), 0.4)],
    ),
    (protocol.ListIndexes(), []),
    (
        protocol.OpenBenchmark("/b", "test", "", "demo", {}),
        [QueryRow("q", "text", 2, 1, {"dense": 0.5})],
    ),
    (protocol.OpenBenchmark("/b", "test", "", "demo", {}), None),
    (protocol.ReadDocument("d1"), ("title", "text")),
    (protocol.ReadDocument("d1"), None),
    (protocol.Load("mine"), None),
    (RUN, protocol.Built(
        IndexInfo("demo", 3, "m", 2, "float16", "cpu", "2026", 9, "ok", 1.5, recall=0.99),
        Report(read=2, rejected=1, rejections=[RejectedRecord("f", "why", offset=7)]),
        True,
    )),
    (RUN, FetchResult(
        service="PubMed", records=3, index="demo", documents=7, changed=True
    )),
    (RUN, protocol.Verified(
        Verification("demo", (Check("graph", False, "cut", "compact"), Check("x", True, "y")))
    )),
    (RUN, protocol.Removed(123)),
]  # fmt: skip
REPLIES: list[protocol.Reply] = [
    protocol.Progressed(Progress("encoding", 5, 10, rate=2.5, note="cpu")),
    protocol.Remarked("downloading"),
    protocol.Came([Document("a", "t", "x")]),
    protocol.Partial(ANSWER),
    protocol.Failed("IndexFault", "m", None),
]


@pytest.mark.parametrize("message", REQUESTS, ids=lambda message: type(message).__name__)
def test_requests_survive(message: protocol.Sent) -> None:
    line = protocol.line_of(7, message)
    assert line.count(b"\n") == 1
    assert Wire(BytesIO(line), BytesIO()).receive() == (7, message)


@pytest.mark.parametrize("message", REPLIES, ids=lambda message: type(message).__name__)
def test_replies_survive(message: protocol.Reply) -> None:
    out = BytesIO()
    Wire(BytesIO(), out).send(7, message)
    assert protocol.decode(out.getvalue(), REPLY) == (7, message)


@pytest.mark.parametrize(("request_", "value"), ANSWERS)
def test_answers_survive(request_: protocol.Request[object], value: object) -> None:
    reply = protocol.Answered(msgspec.Raw(msgspec.json.encode(value)))
    (_, arrived) = protocol.decode(protocol.line_of(7, reply), REPLY)
    assert isinstance(arrived, protocol.Answered)
    assert protocol.answer_of(request_, arrived) == value


def test_an_answer_of_another_type_is_an_error() -> None:
    with pytest.raises(ProtocolError):
        protocol.answer_of(protocol.ListIndexes(), protocol.Answered(msgspec.Raw(b"[1]")))


@given(st.binary(max_size=50))
def test_nonsense_is_an_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        protocol.decode(data, REQUEST)


def test_an_endless_line_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOST_BYTES", 10)
    with pytest.raises(ProtocolError):
        Wire(BytesIO(protocol.line_of(7, protocol.ViewQuery("long" * 10))), BytesIO()).receive()


@pytest.mark.parametrize(
    "name",
    ["UsageError", "NotFoundError", "InterruptedByUser", "CorpusError", "IndexFault", "ModelError"],
)
def test_errors_arrive_as_they_were_raised(name: str) -> None:
    kind: type[BioRetrievalError] = getattr(errors, name)
    arrived = Failed.of(kind("what", remedy="do")).to_error()
    assert type(arrived) is kind
    assert (arrived.line(), arrived.exit_code) == ("what; do", kind.exit_code)


def test_a_filter_that_does_not_parse_says_where() -> None:
    raised = errors.FilterError("what", expression="ab:c", column=1, remedy="do")
    arrived = Failed.of(raised).to_error()
    assert isinstance(arrived, errors.FilterError)
    assert (arrived.line(), arrived.pointer()) == (raised.line(), raised.pointer())


def test_a_private_error_arrives_as_its_public_type() -> None:
    class Busy(IndexFault):
        pass

    assert type(Failed.of(Busy("held")).to_error()) is IndexFault


def test_an_unknown_error_is_still_one() -> None:
    arrived = protocol.Failed("__class__", "m", None).to_error()
    assert type(arrived) is BioRetrievalError


def test_the_client_loads_nothing_heavy() -> None:
    code = (
        "import sys, bioretrieval_tui.backend.jobs, bioretrieval_tui.search.types;"
        "print([m for m in ('numpy', 'torch', 'hnswlib', 'textual', 'transformers',"
        " 'sentence_transformers', 'sqlite3', 'httpx', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_a_library_prints_does_not_reach_the_app() -> None:
    code = (
        "import os; from bioretrieval_tui.backend.server import take_over_streams\n"
        "requests, replies = take_over_streams()\n"
        "print('noise', flush=True); os.write(1, b'more'); os.system('echo even more')\n"
        "assert os.read(0, 5) == b''\n"
        "replies.write(requests.read()); replies.flush()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=b"payload", capture_output=True, check=True
    )
    assert done.stdout == b"payload"
    assert b"noise" in done.stderr


def test_a_process_that_is_sent_nonsense_ends() -> None:
    words = [sys.executable, "-m", "bioretrieval_tui.backend.server"]
    done = subprocess.run(words, input=b"[1, {}]\n", capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"ProtocolError" in done.stderr


def test_what_an_interrupted_job_keeps_arrives_with_its_error() -> None:
    raised = BioRetrievalError("the service is down")
    raised.add_note("40 records have arrived")
    assert Failed.of(raised).to_error().__notes__ == ["40 records have arrived"]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: type(job).__name__)
def test_every_job_has_a_title_a_target_and_says_what_it_keeps(job: protocol.Job) -> None:
    assert job.target
    preview = isinstance(job, protocol.FetchJob) and job.request.index is None
    assert job.title == f"{'Searching' if preview else job.DOING} {job.target}"
    assert job.KEPT
