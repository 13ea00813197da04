"""The command in a real terminal: tables, colours, links, the app, the question before removal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

_SEQUENCE = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]")


def plain(text: str) -> list[str]:
    return _SEQUENCE.sub("", text).replace("\r\n", "\n").splitlines()


def test_a_terminal_gets_a_table_as_wide_as_it_is(terminal: Call) -> None:
    for columns in (80, 132):
        seen = terminal("list", "models", columns=columns)
        lines = plain(seen.out)
        assert seen.code == 0
        assert lines[0].split()[:3] == ["name", "role", "params"]
        assert max(map(len, lines)) <= columns
    assert "\x1b]8;;https://" in seen.out
    assert "\x1b[1m" in seen.out


def test_columns_decides_before_the_terminal_does(terminal: Call, cli: Call) -> None:
    seen = terminal("list", "models", columns=200, env={"COLUMNS": "70"})
    assert 60 < max(map(len, plain(seen.out))) <= 70
    for nonsense in ("0", "-5", "wide", ""):
        env = {"COLUMNS": nonsense}
        assert (
            cli("list", "path", "-f", "table", env=env).out
            == cli("list", "path", "-f", "table").out
        )


def test_no_color_takes_colours_and_leaves_links(terminal: Call) -> None:
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-9]")
    assert coloured.search(terminal("list", "models").out)
    seen = terminal("list", "models", env={"NO_COLOR": "1"})
    assert not coloured.search(seen.out)
    assert "\x1b]8;;https://" in seen.out


def test_a_dumb_terminal_gets_plain_text(terminal: Call) -> None:
    for words in (["list", "models"], ["show", "medcpt"], ["results"]):
        assert "\x1b" not in terminal(*words, env={"TERM": "dumb"}).out


def test_a_terminal_without_a_size_is_taken_for_80_columns(terminal: Call) -> None:
    seen = terminal("list", "models", columns=0, rows=0)
    assert seen.code == 0
    assert 70 < max(map(len, plain(seen.out))) <= 80


def test_show_is_set_for_reading(terminal: Call) -> None:
    seen = terminal("show", "medcpt", columns=150)
    lines = plain(seen.out)
    assert max(map(len, lines)) <= 100
    figures = lines[lines.index("Published results: 10 of 15") + 2 :]
    assert figures[0].split()[:3] == ["value", "benchmark", "subset"]
    assert figures[1].split()[:2] == ["0.340", "NFCorpus"]
    assert "\x1b]8;;https://" in seen.out


def test_a_narrow_page_cuts_no_number(terminal: Call, cli: Call) -> None:
    lines = plain(terminal("show", "medcpt", columns=46).out)
    assert max(map(len, lines)) <= 46
    values = {row["value"] for row in cli("show", "medcpt", "-f", "json").json["results"]}
    table = lines[lines.index("Published results: 10 of 15") : lines.index("Encoding")]
    shown = {
        float(word) for line in table for word in line.split() if re.fullmatch(r"0\.\d+", word)
    }
    assert shown <= values


def test_markdown_on_a_terminal_is_markdown(terminal: Call, cli: Call) -> None:
    seen = terminal("list", "path", "-f", "markdown")
    assert seen.out.replace("\r\n", "\n") == cli("list", "path", "-f", "markdown").out


def test_nothing_asked_on_a_terminal_is_the_app(terminal: Call) -> None:
    seen = terminal(keys="q", after="Home")
    assert seen.code == 0
    assert "\x1b[?1049h" in seen.out
    assert "\x1b[?1049l" in seen.out


def test_the_app_takes_the_terminal_when_stdin_is_a_pipe(terminal: Call) -> None:
    command = f'echo piped | "{sys.executable}" -m bioretrieval_tui'
    seen = terminal(program=["bash", "-c", command], keys="q", after="Home")
    assert seen.code == 0
    assert "\x1b[?1049h" in seen.out


def test_a_terminal_that_cannot_draw_gets_the_listing(terminal: Call) -> None:
    seen = terminal(env={"TERM": "dumb"})
    assert seen.code == 0
    lines = seen.out.splitlines()
    assert lines[0] == (
        "bioretrieval-tui: the terminal cannot show the app (TERM is dumb); listing the catalogue"
    )
    assert lines[1].split()[:2] == ["kind", "name"]


def test_a_defect_of_the_app_is_one_line_and_a_log(terminal: Call, tmp_path: Path) -> None:
    code = (
        "import bioretrieval_tui.tui.app as a\n"
        "def fail(self): raise ZeroDivisionError('in the app')\n"
        "a.BioRetrievalApp.on_mount = fail"
    )
    seen = terminal(code=code, env={"BIORETRIEVAL_HOME": str(tmp_path)})
    log = tmp_path / "state" / "last-error.log"
    assert seen.code == 1
    assert "ZeroDivisionError" not in seen.out
    assert plain(seen.out)[-1].endswith(f"bioretrieval-tui: the app crashed; details: {log}")
    assert "ZeroDivisionError" in log.read_text(encoding="utf-8")


def test_open_over_ssh_shows_the_address_and_says_sent(terminal: Call, cli: Call) -> None:
    seen = terminal("open", "medcpt", env={"SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"})
    url = cli("open", "medcpt", "--print").out.strip()
    assert seen.code == 0
    assert url in plain(seen.out)
    assert "\x1b]52;c;" in seen.out
    assert any("sent to your terminal's clipboard" in line for line in plain(seen.out))


@pytest.mark.usefixtures("interruptible")
def test_an_index_is_removed_only_when_the_answer_is_yes(terminal: Call, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "indexes" / "mine"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    env = {"BIORETRIEVAL_HOME": str(tmp_path)}
    for answer in ("n\r", "\r"):
        seen = terminal("index", "remove", "mine", env=env, keys=answer, after="[y/N]")
        assert seen.code == 130
        assert "the index mine stays" in seen.out
        assert folder.is_dir()
    asked = {"env": env, "after": "[y/N]"}
    seen = terminal("index", "remove", "mine", **asked, keys="\x03", insist=True)
    assert seen.code == 130
    assert "Traceback" not in seen.out
    assert folder.is_dir()
    seen = terminal("index", "remove", "mine", env=env, keys="y\r", after="[y/N]")
    assert seen.code == 0
    assert not os.path.exists(folder)


def test_without_a_terminal_an_index_is_removed_only_with_yes(cli: Call, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "indexes" / "mine"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    env = {"BIORETRIEVAL_HOME": str(tmp_path)}
    refused = cli("index", "remove", "mine", env=env)
    assert refused.code == 2
    assert refused.lines[0].endswith("; add --yes")
    assert folder.is_dir()
    done = cli("index", "remove", "mine", "--yes", env=env)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("bioretrieval-tui: removed mine, ")
    assert not folder.exists()
