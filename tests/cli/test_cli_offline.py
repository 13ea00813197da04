"""No verb goes onto the network but those that say so, and these say in one line that they may not.

Sockets are blocked in every call. Calls are made in this process, where libraries and the model are
loaded once; one is a process of its own. Which verbs there are is read from the program, so that a
new one fails here until it is in one of the two lists.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import click
import numpy as np
import pytest

from bioretrieval_tui.backend import launch
from bioretrieval_tui.backend.job_folder import JobFolder
from bioretrieval_tui.backend.protocol import Removed, RemoveJob, VerifyJob
from bioretrieval_tui.cli import program_verbs
from bioretrieval_tui.cli.root import call, root
from bioretrieval_tui.errors import BioRetrievalError
from homes import share_encoders

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "online"))  # server

from server import benchmark_files

# What a call may never do, whatever library it comes from: every way to a host goes through these.
BLOCKED = """
import os, socket, sys
def refuse(*given, **named):
    sys.stderr.write("SOCKET\\n")
    raise OSError("a test keeps the network out")
class Shut(socket.socket):
    connect = connect_ex = sendto = refuse
socket.socket = socket.SocketType = Shut
socket.getaddrinfo = socket.create_connection = refuse
"""

ASKING = {
    "fetch pubmed": ["x"],
    "fetch europepmc": ["x"],
    "fetch arxiv": ["x"],
    "fetch ids": ["ids.txt"],
    "fetch abstracts": [],
    "fetch benchmark": ["nfcorpus"],
    "fetch baseline": ["there", "--yes"],
    "fetch mesh": [],
    "catalog add": ["pmid:1"],
    "catalog check-links": [],
    "catalog refresh": [],
    "watch run": [],
}
"""Verbs that ask the network, with words for them."""

STAYING = {
    "list": ["-f", "json"],
    "show": ["medcpt"],
    "open": ["medcpt", "--print"],
    "results": ["-f", "json"],
    "plot": ["history", "-f", "json"],
    "compare": ["medcpt", "BAAI/bge-m3"],
    "index build": ["small", "corpus.jsonl"],
    "index add": ["small", "more.jsonl"],
    "index add-vectors": ["small"],
    "index info": ["small"],
    "index list": [],
    "index verify": ["small"],
    "index compact": ["small"],
    "index export": ["small", "--out", "small.parquet"],
    "index import": ["again", "small.parquet"],
    "index import-vectors": [
        "chunk", "--model", "medcpt", "--vectors", "v.npy", "--ids", "ids.json", "--documents",
        "more.jsonl",
    ],
    "search": ["herons", "-i", "small"],
    "similar": ["d1", "-i", "small"],
    "index remove": ["chunk", "--yes"],
    "index clear-cache": ["--yes"],
    "eval": ["benchmark", "-m", "dense"],
    "watch add": ["owls"],
    "watch list": [],
    "watch news": [],
    "watch remove": ["owls"],
    "jobs list": [],
    "jobs attach": ["1"],
    "jobs log": ["1"],
    "jobs stop": ["two"],
    "jobs resume": ["two"],
    "keys": [],
    "doctor": [],
    "config": [],
    "config set": ["notify", "yes"],
    "config unset": ["notify"],
    "config schema": [],
    "encode": ["corpus.jsonl", "-q"],
    "shelf star": ["medcpt"],
    "shelf status": ["medcpt", "reading"],
    "shelf tag": ["medcpt", "query"],
    "shelf note": ["medcpt", "text"],
    "shelf list": [],
    "shelf export": ["shelf.json"],
    "shelf import": ["shelf.json"],
    "shelf unstar": ["medcpt"],
    "train run": ["--pairs", "pairs.csv", "--set", "steps=1", "--set", "batch=2", "--name", "one"],
    "train list": [],
    "train show": ["one"],
    "train remove": ["one"],
    "completion": ["bash"],
}  # fmt: skip
"""All others, in an order in which each finds what it needs."""
SERVING = (
    "index connect",
    "index copy",
    "mcp",
    "serve",
    "train export",
    "train finish",
    "train resume",
)
"""Verbs with tests of their own: they serve on this machine, make a folder once, need a store, or
take a training that was ended."""


def leaves(command: click.Command, names: tuple[str, ...] = ()) -> Iterator[str]:
    """The verbs that do something."""
    if not isinstance(command, click.Group) or (names and command.invoke_without_command):
        yield " ".join(names)
    if not isinstance(command, click.Group):
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from leaves(below, (*names, name))


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with small files, in which calls are made, and a home without a network."""
    files = benchmark_files("benchmark")
    for name, data in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    lines = files["benchmark/corpus.jsonl"].splitlines(keepends=True)
    (tmp_path / "corpus.jsonl").write_bytes(b"".join(lines[:30]))
    (tmp_path / "more.jsonl").write_bytes(b"".join(lines[30:]))
    (tmp_path / "ids.json").write_text(json.dumps([json.loads(one)["_id"] for one in lines[30:]]))
    rows = np.random.default_rng(1).normal(size=(len(lines) - 30, 768)).astype(np.float32)
    np.save(tmp_path / "v.npy", rows)
    monkeypatch.setattr(launch, "start_worker", lambda: None)
    jobs = JobFolder(tmp_path / "home" / "state" / "jobs")
    done, _ = jobs.submit(RemoveJob("one"), VerifyJob("two"))
    jobs.finish(done, Removed(1))
    (tmp_path / "ids.txt").write_text("1\n")
    (tmp_path / "pairs.csv").write_text("query,positive\na heart,it pumps\na liver,it cleans\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(share_encoders(tmp_path / "home")))
    monkeypatch.setenv("BIORETRIEVAL_OFFLINE", "0")  # restored after `--offline` has set it
    return tmp_path / "home"


@pytest.fixture
def blocked(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Calls the command without sockets; what it wrote is captured."""

    def refuse(*_: object, **__: object) -> NoReturn:
        sys.stderr.write("SOCKET\n")
        raise OSError("a test keeps the network out")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    # The others start a Python each, which this process cannot block.
    monkeypatch.setattr(
        program_verbs,
        "CHECKS",
        [one for one in program_verbs.CHECKS if one[2] not in ("torch", "processor")],
    )

    def run(*words: str) -> int:
        try:
            return call(words)
        except BioRetrievalError as error:
            sys.stderr.write(f"{error.line()}\n")
            return error.exit_code

    return run


def test_every_verb_is_in_one_of_the_lists() -> None:
    assert sorted(leaves(root)) == sorted([*ASKING, *STAYING, *SERVING])


def test_offline_verbs_open_no_socket(
    blocked: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for front in ((), ("--offline",)):
        for verb, words in STAYING.items():
            code, err = blocked(*front, *verb.split(), *words), capsys.readouterr().err
            assert "SOCKET" not in err, verb
            # The doctor may find that something is missing on this machine.
            assert code == 0 or (verb == "doctor" and code == 1), (verb, err)
        assert blocked(*front, "catalog", "refresh", "--last") == 0
        assert "SOCKET" not in capsys.readouterr().err


@pytest.mark.parametrize("how", ["before", "behind", "variable"])
def test_online_verbs_are_one_line_when_offline(
    blocked: Callable[..., int],
    how: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert blocked("watch", "add", "owls") == 0
    capsys.readouterr()
    before = ["--offline"] if how == "before" else []
    behind = ["--offline"] if how == "behind" else []
    for verb, words in ASKING.items():
        monkeypatch.setitem(os.environ, "BIORETRIEVAL_OFFLINE", "1" if how == "variable" else "0")
        code = blocked(*before, *verb.split(), *words, *behind)
        out, err = capsys.readouterr()
        assert (code, out) == (1, ""), (verb, err)
        assert err.splitlines() == [
            "the network is not allowed here; leave --offline out and unset BIORETRIEVAL_OFFLINE"
        ], verb


def test_the_blocked_socket_is_what_the_client_uses(
    cli: Callable[..., Any], own_home: Path
) -> None:
    env = {"BIORETRIEVAL_HOME": str(own_home), "BIORETRIEVAL_NCBI_URL": "http://127.0.0.1:9"}
    ended = cli("fetch", "pubmed", "x", env=env, code=BLOCKED)
    assert "SOCKET" in ended.err
    assert (ended.code, "PubMed cannot be reached" in ended.lines[-1]) == (1, True)
