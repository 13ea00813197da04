"""The network is cut in the middle of a fetch: the app goes on, and so does the fetch later."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from terminal import APP, Session, processes_of

SERVER = Path(__file__).resolve().parents[1] / "online" / "server.py"
Start = Callable[..., Session]

COUNT = 1_600
DOWN, CLEAR, ENTER = "\x1b[B", "\x15", "\r"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@contextmanager
def services(port: int = 0) -> Iterator[dict[str, str]]:
    """A server that speaks as PubMed does, in a process of its own, killed at the end; the
    variables that lead to it."""
    words = [sys.executable, str(SERVER), str(COUNT), str(port)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        try:
            yield dict(re.findall(r"export (\w+)=(\S+)", "".join(lines)))
        finally:
            process.kill()


def fetch_owls(session: Session) -> None:
    """The Indexes pane, its dialog, all that the service has of owls."""
    session.send("0")
    session.wait("Indexes  ")
    session.send("w")
    session.wait("Fetch papers")
    session.send("owls" + DOWN + CLEAR + DOWN + DOWN + CLEAR + "owls" + ENTER)
    session.wait("owls will be a new index")
    session.send(ENTER)
    session.wait("Fetching into owls")


def arrived(home: Path) -> int:
    """Records that are kept of a fetch."""
    kept = (home / "bioretrieval" / "state" / "fetch").glob("owls-*.jsonl")
    return sum(path.read_bytes().count(b"\n") for path in kept)


def test_the_network_is_cut_in_the_middle_of_a_fetch(home: Path, start: Start) -> None:
    with services() as led:
        port = int(led["BIORETRIEVAL_NCBI_URL"].rpartition(":")[2])
        direct = dict.fromkeys((*PROXIES, "BIORETRIEVAL_OFFLINE"))
        session = start(home, env={**led, **direct})
        session.wait("Biomedical text retrieval")
        session.settle()
        fetch_owls(session)
        session.wait(lambda _: arrived(home) >= 400)
    # The server is gone. What had arrived is encoded meanwhile, and keys still work.
    session.send("3")
    session.wait("DPR")
    session.send("gj")  # a digit and a motion at once are a count
    session.wait(lambda screen: any(line.startswith("▌Contriever") for line in screen.lines))
    session.wait("Fetching into owls failed: PubMed", seconds=240)
    came = arrived(home)
    assert 400 <= came < COUNT
    session.send("0")
    session.wait("the same call resumes there")
    listed = json.loads(run(session, "index", "list", "-f", "json").stdout)
    assert [one["name"] for one in listed if one["name"] == "owls" and one["status"] == "ok"] == []

    with services(port):
        fetch_owls(session)
        session.wait(f"{COUNT:,} records of PubMed fetched", seconds=240)
    found = json.loads(run(session, "index", "info", "owls", "-f", "json").stdout)
    assert (found["documents"], found["status"]) == (COUNT, "ok")
    hits = run(session, "search", "owls and lichen", "-i", "owls", "-f", "json", offline="1")
    assert len(json.loads(hits.stdout)) == 10
    session.send("q")
    session.ended()
    assert not [words for words in processes_of(home).values() if "fetch" in words]


def run(session: Session, *words: str, offline: str = "") -> subprocess.CompletedProcess[str]:
    env = {**session.env, **({"BIORETRIEVAL_OFFLINE": offline} if offline else {})}
    return subprocess.run([*APP, *words], env=env, capture_output=True, text=True, check=True)
