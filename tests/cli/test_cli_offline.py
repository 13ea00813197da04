"""No verb goes onto the network but those that say so, and these say in one line that they may not.

Sockets are blocked in every call. Which verbs there are is read from the program, so that a new one
fails here until it is in one of the two lists.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from bioretrieval_tui.cli.root import root
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
    "index build": ["small", "corpus.jsonl"],
    "index add": ["small", "more.jsonl"],
    "index info": ["small"],
    "index list": [],
    "index verify": ["small"],
    "index compact": ["small"],
    "index import-vectors": [
        "chunk", "--model", "medcpt", "--vectors", "v.npy", "--ids", "ids.json", "--documents",
        "more.jsonl",
    ],
    "search": ["herons", "-i", "small"],
    "similar": ["d1", "-i", "small"],
    "index remove": ["chunk", "--yes"],
    "eval": ["benchmark", "-m", "dense"],
    "watch add": ["owls"],
    "watch list": [],
    "watch news": [],
    "watch remove": ["owls"],
    "keys": [],
    "doctor": [],
    "config": [],
    "completion": ["bash"],
}  # fmt: skip
"""All others, in an order in which each finds what it needs."""


def leaves(command: click.Command, names: tuple[str, ...] = ()) -> Iterator[str]:
    """The verbs that do something."""
    if not isinstance(command, click.Group):
        yield " ".join(names)
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from leaves(below, (*names, name))


@pytest.fixture
def blocked(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Calls the command in a folder with small files, in a process without sockets."""
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
    (tmp_path / "ids.txt").write_text("1\n")
    monkeypatch.chdir(tmp_path)
    home = str(share_encoders(tmp_path / "home"))

    def call(*words: str, **env: str) -> Any:
        return cli(*words, env={"BIORETRIEVAL_HOME": home, **env}, code=BLOCKED)

    return call


def test_every_verb_is_in_one_of_the_lists() -> None:
    assert sorted(leaves(root)) == sorted([*ASKING, *STAYING])


@pytest.mark.parametrize("front", [(), ("--offline",)], ids=["allowed", "offline"])
def test_offline_verbs_open_no_socket(blocked: Callable[..., Any], front: tuple[str, ...]) -> None:
    for verb, words in STAYING.items():
        ended = blocked(*front, *verb.split(), *words)
        assert "SOCKET" not in ended.err, verb
        # The doctor may find that something is missing on this machine.
        assert ended.code == 0 or (verb == "doctor" and ended.code == 1), (verb, ended.err)
    shown = blocked(*front, "catalog", "refresh", "--last")
    assert (shown.code, "SOCKET" in shown.err) == (0, False)


@pytest.mark.parametrize("how", ["before", "behind", "variable"])
def test_online_verbs_are_one_line_when_offline(blocked: Callable[..., Any], how: str) -> None:
    assert blocked("watch", "add", "owls").code == 0
    for verb, words in ASKING.items():
        ended = blocked(
            *(["--offline"] if how == "before" else []),
            *verb.split(),
            *words,
            *(["--offline"] if how == "behind" else []),
            BIORETRIEVAL_OFFLINE="1" if how == "variable" else "0",
        )
        assert (ended.code, ended.out) == (1, ""), (verb, ended.err)
        assert ended.lines == [
            (
                "bioretrieval-tui: the network is not allowed here; leave --offline out and unset"
                " BIORETRIEVAL_OFFLINE"
            )
        ], verb


def test_the_blocked_socket_is_what_the_client_uses(blocked: Callable[..., Any]) -> None:
    ended = blocked("fetch", "pubmed", "x", BIORETRIEVAL_NCBI_URL="http://127.0.0.1:9")
    assert "SOCKET" in ended.err
    assert (ended.code, "PubMed cannot be reached" in ended.lines[-1]) == (1, True)
