"""What the two ends say to each other survives the way, and nonsense is an error."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui import errors
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.source import ReadOptions, ReadSettings
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.errors import BioRetrievalError, IndexFault
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.index.report import Check, RejectedRecord, Report, Verification
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.search import protocol
from bioretrieval_tui.search.hits import Answer, Facet, Hit, Question, Scores, Why
from bioretrieval_tui.search.protocol import ProtocolError
from bioretrieval_tui.search.worker import failure

ANSWER = Answer(
    (Hit(1, "a", "t", "x", None, None, 0.5, Scores(dense=0.5), {"mesh": ["A"], "n": 1}),),
    fitting=3,
    facets=(Facet("year", (("2020", 2),)),),
    among=5,
    note="n",
)
MESSAGES = [
    protocol.Search(1, "demo", Question(text="what\n\0\x1b", k=3, mode="dense"), "left"),
    protocol.Search(
        12, "demo", Question(text="x", where="year:2020"), "s", protocol.Reranker("a/b", None, 9)
    ),
    protocol.Similar(13, "demo", "44", 5, "has:abstract", "catalogue"),
    protocol.Explain(14, "demo", Question(text="x"), ["44"]),
    protocol.Build(2, "demo", ["/a b"], False, "pmid", "x/y", embedded.RECIPE),
    protocol.EnsureCatalogue(3, "f", [Document("a", "t", "é", {"k": [1, None, {"x": 1.5}]})]),
    protocol.Build(
        7, "demo", ["-"], True, reading=ReadSettings("csv", ReadOptions({"id": "PMID"}))
    ),
    protocol.Extend(8, "demo", ["/a b"], ReadSettings(strict=True)),
    protocol.Compact(9, "demo"),
    protocol.Verify(10, "demo"),
    protocol.Remove(11, "demo"),
    protocol.ListIndexes(4),
    protocol.Cancel(5),
    protocol.Shutdown(),
]
REPLIES = [
    protocol.Progressed(1, Progress("encoding", 5, 10, rate=2.5, note="cpu")),
    protocol.Found(1, ANSWER),
    protocol.Partly(1, ANSWER),
    protocol.Explained(1, [Why("a", Scores(0.5), (("word", 1.0),), 1, None, (0, 5), 0.4)]),
    protocol.Listed(1, []),
    protocol.Built(
        1,
        IndexInfo("demo", 3, "m", 2, "float16", "cpu", "2026", 9, "ok", 1.5, recall=0.99),
        Report(read=2, rejected=1, rejections=[RejectedRecord("f", "why", offset=7)]),
        True,
    ),
    protocol.Verified(
        1, Verification("demo", (Check("graph", False, "cut", "compact"), Check("x", True, "y")))
    ),
    protocol.Removed(1, 123),
    protocol.Ensured(1, 5, True, None),
    protocol.Failed(1, "IndexFault", "m", None, 1),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_requests_survive(message: protocol.Request) -> None:
    data = protocol.frame(message)
    assert protocol.body_length(data[:4]) == len(data) - 4
    assert protocol.decode_request(data[4:]) == message


@pytest.mark.parametrize("message", REPLIES, ids=lambda message: type(message).__name__)
def test_replies_survive(message: protocol.Reply) -> None:
    assert protocol.decode_reply(protocol.frame(message)[4:]) == message


@given(st.binary(max_size=50))
def test_nonsense_is_an_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        protocol.decode_request(data)


def test_an_enormous_length_is_an_error() -> None:
    with pytest.raises(ProtocolError):
        protocol.body_length(b"\xff\xff\xff\xff")


@pytest.mark.parametrize(
    "name",
    ["UsageError", "NotFoundError", "InterruptedByUser", "CorpusError", "IndexFault", "ModelError"],
)
def test_errors_arrive_as_they_were_raised(name: str) -> None:
    kind: type[BioRetrievalError] = getattr(errors, name)
    arrived = failure(1, kind("what", remedy="do")).to_error()
    assert type(arrived) is kind
    assert (arrived.line(), arrived.exit_code) == ("what; do", kind.exit_code)


def test_a_filter_that_does_not_parse_says_where() -> None:
    raised = errors.FilterError("what", expression="ab:c", column=1, remedy="do")
    arrived = failure(1, raised).to_error()
    assert isinstance(arrived, errors.FilterError)
    assert (arrived.line(), arrived.pointer()) == (raised.line(), raised.pointer())


def test_a_rooms_own_error_arrives_as_its_public_type() -> None:
    class Busy(IndexFault):
        pass

    assert type(failure(1, Busy("held")).to_error()) is IndexFault


def test_an_unknown_error_is_still_one() -> None:
    arrived = protocol.Failed(1, "__class__", "m", None, 1).to_error()
    assert type(arrived) is BioRetrievalError


def test_the_client_loads_nothing_heavy() -> None:
    code = (
        "import sys, bioretrieval_tui.search.client, bioretrieval_tui.search.hits;"
        "print([m for m in ('numpy', 'torch', 'hnswlib', 'textual', 'transformers',"
        " 'sentence_transformers', 'sqlite3', 'httpx', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_a_library_prints_does_not_reach_the_app() -> None:
    code = (
        "import os; from bioretrieval_tui.search.service import _take_over_streams\n"
        "requests, replies = _take_over_streams()\n"
        "print('noise', flush=True); os.write(1, b'more'); os.system('echo even more')\n"
        "assert os.read(0, 5) == b''\n"
        "replies.write(requests.read()); replies.flush()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=b"payload", capture_output=True, check=True
    )
    assert done.stdout == b"payload"
    assert b"noise" in done.stderr


def test_a_service_that_is_told_nonsense_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bioretrieval_tui.search.service"],
        input=b"\0\0\0\3abc",
        capture_output=True,
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"ProtocolError" in done.stderr
