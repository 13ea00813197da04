"""How calls end: one line and the right code for each mistake, whatever the streams are."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bioretrieval_tui import __version__

Call = Callable[..., Any]

# Words, exit code, and what the one line on stderr must say.
WRONG: list[tuple[list[str], int, str]] = [
    (["lst"], 2, "there is no command 'lst'; did you mean list?"),
    (["zzzzzz"], 2, "commands: list, show"),
    (["index"], 2, "missing command"),
    (["index", "biuld"], 2, "there is no command 'biuld' of index; did you mean build?"),
    (["list", "--wehre", "x"], 2, "no such option '--wehre'"),
    (["list", "modles"], 2, "there is no kind 'modles'; did you mean models? kinds: papers"),
    (["search", "vitamin", "D"], 2, "of several words: bioretrieval-tui search 'vitamin D'"),
    (["search", "vitamin", "D", "-k", "3"], 2, "bioretrieval-tui search 'vitamin D'"),
    (["list", "zzzz"], 2, "kinds: papers, models"),
    (["list", "papers", "models"], 2, "unexpected extra argument"),
    (["list", "-f", "jsn"], 2, "there is no format 'jsn'; did you mean json"),
    (
        ["list", "-f", "xyzzy"],
        2,
        "formats: table, markdown, json, jsonl, csv, bibtex, ris, csl, endnote, latex",
    ),
    (["list", "-s", "parms"], 2, "no field is called 'parms'; did you mean params?"),
    (["list", "-n", "0"], 2, "0 is not in the range"),
    (["list", "-n", "many"], 2, "'many' is not a valid integer"),
    (["show"], 2, "missing argument 'ID'"),
    (["show", "medcpd"], 3, "no entry has the id 'medcpd'; nearest: medcpt"),
    (["open", "medcpd"], 3, "no entry has the id 'medcpd'; nearest: medcpt"),
    (["results", "-b", "scifct"], 3, "no benchmark has the id 'scifct'; nearest: scifact"),
    (["results", "-m", "medcpd"], 3, "no model has the id 'medcpd'; nearest: medcpt"),
    (["results", "-m", "scifact"], 3, "'scifact' is a benchmark, not a model"),
    (["plot"], 2, "missing argument 'KIND'"),
    (["plot", "paretto"], 2, "there is no kind of plot 'paretto'; did you mean pareto?"),
    (["plot", "zzz"], 2, "kinds: pareto, history, profile, runs, timeline"),
    (["plot", "profile"], 2, "profile needs a model"),
    (["plot", "profile", "medcpd"], 3, "no model has the id 'medcpd'; nearest: medcpt"),
    (["plot", "pareto", "medcpt"], 2, "pareto takes no model"),
    (["plot", "pareto", "--against", "price"], 2, "'price' is not one of 'params', 'dimension'"),
    (["plot", "pareto", "-b", "scifct"], 2, "no column is called 'scifct'"),
    (["plot", "pareto", "-o", "x.gif"], 2, "no picture has the extension '.gif'"),
    (["plot", "pareto", "-o", "x.svg", "-f", "csv"], 2, "-f and -o exclude each other"),
    (["plot", "pareto", "-w", "licence:none-such"], 1, "no model that the filter keeps"),
    (["plot", "runs"], 1, "no run has a speed of encoding (there are no runs"),
    (["search", ""], 2, "the query is empty"),
    (["search", "x", "-k", "0"], 2, "0 is not in the range"),
    (["search", "x", "-m", "psychic"], 2, "there is no search mode 'psychic'"),
    (["search", "x", "-i", "nowhere"], 3, "there is no index nowhere"),
    (["search", "x", "-i", "nowhere", "-f", "bibtex"], 3, "there is no index nowhere"),
    (["search", "x", "--device", "tpu"], 2, "unknown device 'tpu'"),
    (["index", "info", "nowhere"], 3, "there is no index nowhere"),
    (["index", "remove", "nowhere"], 3, "there is no index nowhere"),
    (["index", "build", "mine"], 2, "no corpus file is named"),
    (["index", "build", "mine", "no-such-file.jsonl"], 3, "there is no file no-such-file.jsonl"),
    (["index", "build", "NOT A NAME", "x.jsonl"], 2, "'NOT A NAME' cannot name an index"),
    (["index", "build", "catalogue", "x.jsonl"], 2, "choose another name"),
    (["index", "build", "mine", "x.jsonl", "--device", "tpu"], 2, "unknown device 'tpu'"),
    (["index", "build", "mine", "x.jsonl", "--model", "medcpd"], 3, "no model has the id"),
    (["completion", "tcsh"], 2, "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
]


@pytest.mark.parametrize(
    ("words", "as_option"),
    [
        (["help"], ["--help"]),
        (["help", "index", "build"], ["index", "build", "--help"]),
        (["version"], ["--version"]),
    ],
)
def test_help_and_version_are_verbs_too(cli: Call, words: list[str], as_option: list[str]) -> None:
    assert cli(*words).out == cli(*as_option).out != ""
    assert cli(*words).code == 0


@pytest.mark.parametrize(("words", "code", "said"), WRONG, ids=lambda value: str(value)[:40])
def test_a_mistake_is_one_line_and_its_code(
    cli: Call, words: list[str], code: int, said: str
) -> None:
    called = cli(*words)
    assert called.out == ""
    assert called.code == code
    assert len(called.lines) == 1, called.err
    assert called.lines[0].startswith("bioretrieval-tui: ")
    assert said in called.lines[0]


def test_an_unknown_id_names_the_nearest_three(cli: Call) -> None:
    remedy = cli("show", "pubmedbrt").err.partition("nearest: ")[2]
    assert len(remedy.strip().split(", ")) == 3


def test_a_wrong_filter_is_pointed_at(cli: Call) -> None:
    expression = "year:2020 parms<=1"
    called = cli("list", "-w", expression)
    assert (called.code, called.out) == (2, "")
    said, shown, caret = called.lines
    assert said.startswith("bioretrieval-tui: filter, column 11: ")
    assert "did you mean params?" in said
    assert shown == expression
    assert caret == " " * expression.index("parms") + "^"


def test_a_hostile_word_is_told_without_its_escapes(cli: Call) -> None:
    called = cli("show", "x\x1b]0;owned\x07\x1b[31m\u202ey")
    assert called.code == 3
    assert not set("\x1b\x07\u202e") & set(called.err)
    assert "'xy'" in called.err


def test_help_and_version_are_on_stdout(cli: Call) -> None:
    for words in (
        ["--help"],
        ["-h"],
        ["list", "-h"],
        ["index", "--help"],
        ["index", "build", "-h"],
    ):
        called = cli(*words)
        assert (called.code, called.err) == (0, "")
        assert called.out.startswith("Usage: bioretrieval-tui")
    assert cli("--version").out == f"bioretrieval-tui {__version__}\n"


def test_the_help_of_the_table_is_that_of_the_verbs(cli: Call) -> None:
    from bioretrieval_tui.cli.root import VERBS, root

    shown = cli("--help").out
    for name, (_, line) in VERBS.items():
        command = root.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert command.name == name
        assert (command.help or "").splitlines()[0] == line
        assert f"  {name} " in shown
        assert line in shown


# Streams --------------------------------------------------------------------------------------


def test_nothing_asked_in_a_pipe_is_the_listing(shell: Call, cli: Call) -> None:
    called = shell("bioretrieval-tui </dev/null | cat; exit ${PIPESTATUS[0]}")
    assert (called.code, called.err) == (0, "")
    assert called.out == cli("list", "-f", "markdown").out


@pytest.mark.parametrize("words", ["", "list -f json", "list -f jsonl", "results", "--help"])
def test_a_reader_that_leaves_early_ends_it_quietly(shell: Call, words: str) -> None:
    called = shell(f"bioretrieval-tui {words} | head -1; echo ${{PIPESTATUS[0]}}")
    assert called.err == ""
    assert called.out.splitlines()[-1] == "0"
    assert len(called.out.splitlines()) == 2


@pytest.mark.parametrize(
    "words", ["", "list -f json", "show medcpt", "keys", "--help", "--version"]
)
def test_a_full_disk_is_one_line(shell: Call, words: str) -> None:
    called = shell(f"bioretrieval-tui {words} > /dev/full")
    assert called.code == 1
    assert called.err == (
        "bioretrieval-tui: the output cannot be written: No space left on device\n"
    )


def test_a_closed_stdout_is_one_line(shell: Call) -> None:
    called = shell("bioretrieval-tui list >&-")
    assert called.code == 1
    assert called.err == "bioretrieval-tui: the output cannot be written: Bad file descriptor\n"


def test_a_closed_stderr_or_stdin_changes_nothing(shell: Call, cli: Call) -> None:
    wanted = cli("list", "path", "-f", "csv").out
    assert shell("bioretrieval-tui list path -f csv 2>&- <&-").out == wanted
    wrong = shell("bioretrieval-tui list nowhere 2>&-")
    assert (wrong.code, wrong.out) == (2, "")
    everything = shell("bioretrieval-tui list path <&- >&- 2>&-")
    assert everything.code == 1


def test_a_full_stderr_does_not_hide_the_code(shell: Call) -> None:
    called = shell("bioretrieval-tui show nothing-of-the-kind 2>/dev/full")
    assert (called.code, called.out, called.err) == (3, "", "")


def test_output_in_a_pipe_is_utf8_in_every_locale(cli: Call) -> None:
    wanted = cli("list", "papers", "-f", "json").out
    assert not wanted.isascii()
    for locale in ("C", "POSIX", "en_US.ISO-8859-1"):
        env = {"LANG": None, "LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
        assert cli("list", "papers", "-f", "json", env=env).out == wanted


# The catalogue and the machine ------------------------------------------------------------------


def overlaid(home: Path, text: str) -> dict[str, str]:
    folder = home / "config" / "catalog.d"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    return {"BIORETRIEVAL_HOME": str(home)}


def test_a_broken_overlay_is_told_and_left_out(cli: Call, tmp_path: Path) -> None:
    env = overlaid(tmp_path, "models:\n  - id: mine\n    nmae: Mine\n    role: wizard\n")
    called = cli("list", "models", "-f", "json", env=env)
    assert called.code == 0
    assert called.json == cli("list", "models", "-f", "json").json
    assert len(called.lines) >= 2
    assert all(line.startswith("bioretrieval-tui: ") for line in called.lines)
    assert all("mine.yaml:" in line for line in called.lines)


def test_an_overlay_that_cannot_be_read_is_told(cli: Call, tmp_path: Path) -> None:
    (tmp_path / "config" / "catalog.d" / "folder.yaml").mkdir(parents=True)
    called = cli("list", "path", env={"BIORETRIEVAL_HOME": str(tmp_path)})
    assert called.code == 0
    assert called.out == cli("list", "path").out
    assert len(called.lines) == 1
    assert "folder.yaml" in called.err


def test_hostile_text_of_an_overlay_reaches_no_terminal(
    cli: Call, terminal: Call, tmp_path: Path
) -> None:
    env = overlaid(
        tmp_path,
        "models:\n  - id: evil\n    role: retriever\n    sources: [mine]\n"
        '    name: "\\e]0;owned\\aEvil\\e[2J\\u202e"\n'
        '    summary: "say \\e[31mred\\e]8;;http://x.example\\e\\\\"\n'
        "sources:\n  - {id: mine, text: me}\n",
    )
    shown = {
        format_: cli("list", "models", "-w", "id:evil", "-f", format_, env=env).out
        for format_ in ("table", "markdown", "json", "jsonl", "csv", "bibtex")
    }
    assert all("\x1b" not in text and "\u202e" not in text for text in shown.values())
    assert "Evil" in shown["table"]
    assert json.loads(shown["json"])[0]["name"] == "Evil"
    for words in (["show", "evil"], ["list", "models", "-w", "id:evil"]):
        seen = terminal(*words, env={**env, "NO_COLOR": "1"}).out
        assert "owned" not in seen
        assert "\x1b[2J" not in seen
        assert "\x1b[31m" not in seen


def test_a_broken_catalogue_lists_all_its_problems(cli: Call, tmp_path: Path) -> None:
    (tmp_path / "catalog.yaml").write_text(
        "version: 1\nmodels:\n  - id: Wrong Id\n    name: x\n    what: 1\n  - {}\n"
    )
    code = (
        "import bioretrieval_tui.catalog.compiled as s, pathlib\n"
        f"s.data_folder = lambda: pathlib.Path({str(tmp_path)!r})"
    )
    called = cli("list", code=code)
    assert (called.code, called.out) == (1, "")
    assert len(called.lines) > 2
    assert all("catalog.yaml" in line for line in called.lines)
    assert "Traceback" not in called.err


def test_an_unreadable_home_does_not_stop_a_listing(cli: Call) -> None:
    called = cli("list", "path", env={"BIORETRIEVAL_HOME": "/dev/full"})
    assert called.code == 0
    assert called.out == cli("list", "path").out
    assert all(line.startswith("bioretrieval-tui: ") for line in called.lines)


BREAK = "import bioretrieval_tui.catalog.compiled as s\ndef load(): raise {}\ns.load = load\n"


def test_a_defect_of_ours_is_one_line_and_a_log(cli: Call, tmp_path: Path) -> None:
    called = cli(
        "list",
        code=BREAK.format("ValueError('two\\n\\x1b[31mlines')"),
        env={"BIORETRIEVAL_HOME": str(tmp_path)},
    )
    log = tmp_path / "state" / "last-error.log"
    assert (called.code, called.out) == (1, "")
    assert called.lines == [f"bioretrieval-tui: unexpected ValueError: two lines; details: {log}"]
    kept = log.read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in kept
    assert "ValueError: two" in kept
    assert __version__ in kept


def test_a_defect_where_no_log_can_be_written_is_one_line_still(cli: Call) -> None:
    called = cli("list", code=BREAK.format("KeyError('x')"), env={"BIORETRIEVAL_HOME": "/dev/full"})
    assert called.code == 1
    assert len(called.lines) == 1
    assert "unexpected KeyError: 'x'; the details could not be written to" in called.err


def test_a_home_that_nobody_has_is_one_line(cli: Call) -> None:
    called = cli("config", env={"BIORETRIEVAL_HOME": "~nobody-of-this-name/here"})
    assert (called.code, called.out) == (1, "")
    assert len(called.lines) == 1
    assert "BIORETRIEVAL_HOME is not a valid folder: ~nobody-of-this-name/here" in called.err


def test_a_failing_machine_is_one_line(cli: Call) -> None:
    called = cli("list", code=BREAK.format("PermissionError(13, 'Permission denied', 'some/file')"))
    assert called.code == 1
    assert len(called.lines) == 1
    assert called.err.startswith("bioretrieval-tui: some/file: Permission denied")


def test_an_interrupt_is_quiet(cli: Call) -> None:
    called = cli("list", code=BREAK.format("KeyboardInterrupt"))
    assert (called.code, called.out, called.err) == (130, "", "")


# An interrupt that comes while an object is finalised, where Python cannot raise it.
LOST = """
import os, signal, time
import bioretrieval_tui.catalog.compiled as s
class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0)
def load():
    Last()
    time.sleep(60)
    raise ValueError("the interrupt was lost")
s.load = load
"""


# A build that is stopped after it has encoded three documents, or none.
STOPPED = """
import numpy as np
import bioretrieval_tui.backend.server as s
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.vector_cache import VectorPool
def fill_index(job, *_):
    if {count}:
        pool = VectorPool(index_folder("new"), "0123456789ab", 4)
        digests, vectors = [bytes([n]) * 16 for n in range({count})], np.ones(({count}, 4))
        pool.append(digests, vectors, [False] * {count})
        pool.close()
    raise KeyboardInterrupt
s.fill_index = fill_index
"""


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "stopped; index new is not there yet; the same call starts again"),
        (1, "stopped; index new is not there yet; 1 document encoded so far; the same call"),
        (3, "stopped; index new is not there yet; 3 documents encoded so far; the same"),
    ],
)
def test_a_build_that_is_stopped_says_what_is_kept(
    cli: Call, tmp_path: Path, count: int, said: str
) -> None:
    home = {"BIORETRIEVAL_HOME": str(tmp_path / "home")}
    called = cli("index", "build", "new", "f", code=STOPPED.format(count=count), env=home)
    assert (called.code, called.out) == (130, "")
    (line,) = called.lines
    assert line.startswith(f"bioretrieval-tui: {said}")


# A call that no interrupt reaches, as in native code.
DEAF = """
import sqlite3, sys, threading
import bioretrieval_tui.catalog.compiled as s
from bioretrieval_tui import interrupts, main
interrupts._TIDYING = 0.05
def load():
    threading.Timer(0.1, print, ["begun"], {"flush": True}).start()
    sqlite3.connect(":memory:").execute(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    )
s.load = load
sys.argv = ["bioretrieval-tui", "list"]
sys.exit(main.run())
"""


@pytest.mark.usefixtures("interruptible")
def test_a_second_interrupt_ends_what_hears_none(environment: dict[str, str]) -> None:
    command, pipe = [sys.executable, "-c", DEAF], subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        child.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.2)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (130, b"bioretrieval-tui: ended at the second interrupt\n")


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_that_python_loses_is_heard_a_moment_later(cli: Call) -> None:
    called = cli("list", code=LOST)
    assert (called.code, called.out, called.err) == (130, "", "")
