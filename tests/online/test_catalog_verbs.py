"""`catalog refresh`, `check-links` and `add` as a user calls them, against a local server."""

from __future__ import annotations

import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from server import Fault, World, serving
from verbs import Program

OVERLAY = """
models:
  - id: my-model
    name: My model
    role: retriever
    summary: A model.
    hub: [org/mine]
    licence: MIT
    links:
      - {{label: well, url: "{address}/page/200", type: site}}
      - {{label: gone, url: "{address}/page/404", type: site}}
      - {{label: moved, url: "{address}/moved/301", type: site}}
      - {{label: shy, url: "{address}/nohead/x", type: site}}
      - {{label: huge, url: "{address}/huge", type: site}}
      - {{label: shut, url: "{address}/page/403", type: site}}
      - {{label: inside, url: "http://10.0.0.1/secret", type: site}}
    sources: [my-page]
papers:
  - id: my-paper
    name: My paper
    title: Birds rank birds
    summary: A paper.
    arxiv: "2401.00001"
    links: [{{label: well, url: "{address}/page/200/paper", type: site}}]
    sources: [my-page]
sources:
  - {{id: my-page, text: its page}}
"""


def described(**more: object) -> dict[str, object]:
    return {
        "id": "org/mine",
        "downloads": 5,
        "likes": 1,
        "lastModified": "2025-01-02T00:00:00.000Z",
        "gated": False,
        "cardData": {"license": "mit"},
        **more,
    }


@pytest.fixture
def world() -> World:
    papers = {"2401.00001": (1, "Birds rank birds")}
    return World(repositories={"/api/models/org/mine": described()}, papers=papers)


@pytest.fixture
def program(world: World, tmp_path: Path) -> Iterator[Program]:
    with serving(world) as address:
        overlays = tmp_path / "home" / "config" / "catalog.d"
        overlays.mkdir(parents=True)
        (overlays / "mine.yaml").write_text(OVERLAY.format(address=address))
        yield Program(tmp_path / "home", address)


def test_a_refresh_compares_and_uses_etags_the_next_time(program: Program, world: World) -> None:
    first = program("catalog", "refresh", "my-model", "my-paper", "--all", "-f", "json")
    assert first.code == 0, first.err
    paper, mine = first.json
    assert mine["facts"]["downloads"]["value"] == 5
    assert paper["facts"]["version"]["value"] == 1
    assert "0 changes" in first.err
    world.asked.clear()
    again = program("catalog", "refresh", "my-model", "-f", "json")
    assert (again.code, again.json) == (0, [])
    assert [given["status"] for given in world.of("/")] == ["304"]
    # The world moves on: a licence that contradicts, and a new version.
    world.repositories["/api/models/org/mine"] = described(
        cardData={"license": "cc-by-nc-4.0"}, gated="manual"
    )
    world.papers = {"2401.00001": (2, "Birds rank birds")}
    moved = program("catalog", "refresh", "my-model", "my-paper", "-f", "json")
    assert moved.code == 0
    assert [(one["field"], one["catalogue"], one["found"]) for one in moved.json] == [
        ("licence", "MIT", "cc-by-nc-4.0")
    ]
    assert any("org/mine: licence mit -> cc-by-nc-4.0" in line for line in moved.lines)
    assert any("arXiv 2401.00001 has a new version, v2" in line for line in moved.lines)
    # The entry is what it was.
    assert program("show", "my-model", "-f", "json").json["licence"] == "MIT"
    changes = program("catalog", "refresh", "--last", "--changes", "-f", "json", "-q").json
    assert {one["field"] for one in changes} == {"licence", "gated", "version"}


def test_renamed_and_removed_repositories_are_reported(program: Program, world: World) -> None:
    program("catalog", "refresh", "my-model", "-q")
    world.repositories["/api/models/new/mine"] = described(id="new/mine")
    world.renamed["/api/models/org/mine"] = "/api/models/new/mine"
    renamed = program("catalog", "refresh", "my-model", "-f", "json")
    assert [(one["field"], one["found"]) for one in renamed.json] == [("hub", "new/mine")]
    assert "org/mine was renamed" in renamed.err
    world.renamed.clear()
    world.repositories.clear()
    removed = program("catalog", "refresh", "my-model", "-f", "json")
    assert [(one["field"], one["found"]) for one in removed.json] == [("hub", "not there")]
    assert removed.code == 0


def test_a_failing_hub_does_not_affect_arxiv(program: Program, world: World) -> None:
    world.broken["/api/models"] = Fault("page")
    ended = program("catalog", "refresh", "my-model", "my-paper", "--all", "-f", "json")
    assert ended.code == 1
    assert [one["name"] for one in ended.json] == ["2401.00001"]
    assert "the model hub did not respond with JSON" in ended.lines[-1]
    assert "Traceback" not in ended.err
    world.broken.clear()
    whole = program("catalog", "refresh", "my-model", "my-paper", "--all", "-f", "json")
    assert (whole.code, len(whole.json)) == (0, 2)


@pytest.mark.parametrize("words", [("refresh",), ("check-links",), ("add", "pmid:1")])
@pytest.mark.parametrize("how", ["option", "variable"])
def test_offline_is_one_line(
    program: Program, world: World, words: tuple[str, ...], how: str
) -> None:
    env = {"BIORETRIEVAL_OFFLINE": "1"} if how == "variable" else {}
    ended = program("catalog", *words, *(["--offline"] if how == "option" else []), **env)
    assert (ended.code, ended.out, len(ended.lines)) == (1, "", 1)
    assert "network is not allowed" in ended.err
    assert world.asked == []


def test_what_the_last_refresh_found_needs_no_network(program: Program) -> None:
    program("catalog", "refresh", "my-model", "-q")
    ended = program("catalog", "refresh", "--last", "--all", "-f", "csv", BIORETRIEVAL_OFFLINE="1")
    assert ended.code == 0
    assert "org/mine" in ended.out


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_refresh_is_saved(program: Program, world: World) -> None:
    """The whole catalogue takes a quarter of a minute at the hub's pace; this ends before."""
    child = program.started("catalog", "refresh", "-f", "json")
    until = time.monotonic() + 60
    while len(world.of("/api/models")) < 5 and time.monotonic() < until:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (130, b""), err
    assert b"Traceback" not in err
    asked = len(world.of("/api/models"))
    known = program("catalog", "refresh", "--last", "--all", "-f", "json").json
    assert asked - 1 <= len(known) <= asked


# Links ----------------------------------------------------------------------------------------


def test_links_are_judged_and_a_dead_one_is_exit_code_1(program: Program, world: World) -> None:
    ended = program("catalog", "check-links", "my-model", "--all", "-f", "json")
    assert ended.code == 1
    found = {one["uses"][0]["label"]: one for one in ended.json}
    assert {label: one["verdict"] for label, one in found.items()} == {
        "well": "ok", "gone": "dead", "moved": "moved", "shy": "ok", "huge": "ok",
        "shut": "unclear", "inside": "dead",
    }  # fmt: skip
    assert found["moved"]["advice"] == f"write {program.address}/page/200/new"
    assert "2 of 7 links dead" in ended.lines[-1]
    assert not any("10.0.0.1" in path for _, path, _ in world.asked)
    # Only what is to be fixed, if nobody asks for more.
    short = program("catalog", "check-links", "my-model", "-f", "csv")
    assert len(short.out.splitlines()) == 5


def test_working_links_are_exit_code_0(program: Program) -> None:
    ended = program("catalog", "check-links", "my-paper", "-f", "json")
    assert (ended.code, ended.json) == (0, [])


def test_an_unknown_entry_is_exit_code_3(program: Program) -> None:
    ended = program("catalog", "check-links", "my-modle")
    assert ended.code == 3
    assert "my-model" in ended.err


# Adding ---------------------------------------------------------------------------------------


def test_an_entry_is_added_from_a_page(program: Program, world: World) -> None:
    world.repositories["/api/models/org/new-birds"] = described(
        id="org/new-birds", pipeline_tag="sentence-similarity"
    )
    ended = program("catalog", "add", "hub:org/new-birds", "--yes")
    assert ended.code == 0, ended.err
    entry = program("show", "new-birds", "-f", "json").json
    assert (entry["hub"], entry["licence"], entry["status"]) == (
        ["org/new-birds"],
        "mit",
        "unverified",
    )
    twice = program("catalog", "add", "hub:org/new-birds", "--yes")
    assert twice.code == 2
    assert "has hub:org/new-birds already: new-birds" in twice.err


def test_a_paper_is_added_through_an_editor(program: Program, world: World, tmp_path: Path) -> None:
    world.papers = {"2501.00002": (1, "OwlRank: owls that rank")}
    editor = script(tmp_path, 'sed -i "s/^  summary: .*/  summary: My own words./" "$1"')
    ended = program("catalog", "add", "arxiv:2501.00002", EDITOR=editor)
    assert ended.code == 0, ended.err
    assert program("show", "owlrank", "-f", "json").json["summary"] == "My own words."


def test_an_invalid_edit_is_refused_with_its_place_and_kept(
    program: Program, world: World, tmp_path: Path
) -> None:
    world.papers = {"2501.00002": (1, "OwlRank: owls that rank")}
    editor = script(tmp_path, 'sed -i "s/^  year: .*/  yeer: 2024/" "$1"')
    ended = program("catalog", "add", "arxiv:2501.00002", VISUAL=editor)
    assert ended.code == 1
    assert "owlrank.yaml:" in ended.err
    assert "yeer" in ended.err
    assert program("show", "owlrank").code == 3
    kept = program.home / "state" / "drafts" / "owlrank.yaml"
    assert "yeer: 2024" in kept.read_text()
    assert str(kept) in ended.err


def test_an_emptied_draft_adds_nothing(program: Program, world: World, tmp_path: Path) -> None:
    world.papers = {"2501.00002": (1, "OwlRank: owls that rank")}
    ended = program("catalog", "add", "arxiv:2501.00002", EDITOR=script(tmp_path, ': > "$1"'))
    assert ended.code == 0
    assert "nothing was added" in ended.err
    assert program("show", "owlrank").code == 3


@pytest.mark.parametrize(
    ("editor", "said"),
    [
        ("", "set EDITOR"),
        ("no-such-editor-here", "nothing was added"),
        ("false", "false: Editing failed"),
    ],
)
def test_an_editor_that_fails_is_one_line(
    program: Program, world: World, editor: str, said: str
) -> None:
    world.papers = {"2501.00002": (1, "OwlRank: owls that rank")}
    ended = program("catalog", "add", "arxiv:2501.00002", EDITOR=editor)
    assert ended.code in (1, 2)
    assert len(ended.lines) == 1
    assert said in ended.err


def test_an_unknown_work_is_exit_code_3(program: Program) -> None:
    for work in ("hub:org/nowhere", "arxiv:9901.00001", "pmid:999"):
        ended = program("catalog", "add", work, "--yes")
        assert ended.code == 3, ended.err
        assert len(ended.lines) == 1


def script(folder: Path, body: str) -> str:
    """An editor that does this to its file."""
    path = folder / "editor"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)
