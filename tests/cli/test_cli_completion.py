"""Completion scripts, sourced in the shells that are here."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue

Call = Callable[..., Any]

ASK = """
source <(bioretrieval-tui completion bash)
ask() {{
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    _bioretrieval_tui_completion bioretrieval-tui
    printf '%s\\n' "$*:" "${{COMPREPLY[@]}}"
    echo ---
}}
{asked}
"""


@pytest.fixture(scope="module")
def answers(shell: Call, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What bash completes, by the words that are on the line."""
    home = tmp_path_factory.mktemp("completing")
    for name in ("scifact", "scidocs", "mine"):
        folder = home / "data" / "indexes" / name
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    lines = [
        "ask bioretrieval-tui ''",
        "ask bioretrieval-tui sh",
        "ask bioretrieval-tui list ''",
        "ask bioretrieval-tui list mo",
        "ask bioretrieval-tui list models -s par",
        "ask bioretrieval-tui list -f ''",
        "ask bioretrieval-tui results -f b",
        "ask bioretrieval-tui show medcpt",
        "ask bioretrieval-tui results -b scif",
        "ask bioretrieval-tui results -m medcpt",
        "ask bioretrieval-tui open medcpt --link ar",
        "ask bioretrieval-tui search x -i sci",
        "ask bioretrieval-tui index info sci",
        "ask bioretrieval-tui index re",
        "ask bioretrieval-tui completion ''",
        "ask bioretrieval-tui list --lim",
    ]
    called = shell(ASK.format(asked="\n".join(lines)), env={"BIORETRIEVAL_HOME": str(home)})
    assert called.err == ""
    found = {}
    for block in called.out.split("---\n")[:-1]:
        words, *replies = block.splitlines()
        found[words.removesuffix(":")] = [reply for reply in replies if reply]
    assert len(found) == len(lines)
    return found


def test_bash_completes_verbs(answers: dict[str, list[str]]) -> None:
    assert answers["bioretrieval-tui sh"] == ["show", "shelf"]
    assert {"list", "show", "index", "doctor"} <= set(answers["bioretrieval-tui "])
    assert answers["bioretrieval-tui index re"] == ["remove"]
    assert answers["bioretrieval-tui list --lim"] == ["--limit"]


def test_bash_completes_kinds_fields_and_formats(answers: dict[str, list[str]]) -> None:
    assert len(answers["bioretrieval-tui list "]) == 7
    assert answers["bioretrieval-tui list mo"] == ["models"]
    assert answers["bioretrieval-tui list models -s par"] == ["params"]
    assert "bibtex" in answers["bioretrieval-tui list -f "]
    assert answers["bioretrieval-tui results -f b"] == []
    assert answers["bioretrieval-tui completion "] == ["bash", "zsh", "fish"]


def test_bash_completes_ids_of_the_right_kind(
    answers: dict[str, list[str]], catalogue: Catalogue
) -> None:
    every = [entry.id for entry in catalogue.entries if entry.id.startswith("medcpt")]
    assert answers["bioretrieval-tui show medcpt"] == every
    models = [m.id for m in catalogue.section("models") if m.id.startswith("medcpt")]
    assert answers["bioretrieval-tui results -m medcpt"] == models
    assert answers["bioretrieval-tui results -b scif"] == ["scifact"]
    assert answers["bioretrieval-tui open medcpt --link ar"] == ["arxiv"]


def test_bash_completes_names_of_indexes(answers: dict[str, list[str]]) -> None:
    assert answers["bioretrieval-tui search x -i sci"] == ["scidocs", "scifact"]
    assert answers["bioretrieval-tui index info sci"] == ["scidocs", "scifact"]


def test_a_tab_completes_in_an_interactive_bash(
    terminal: Call, shell: Call, tmp_path: Path
) -> None:
    path = shell("command -v bioretrieval-tui").out.strip()
    startup = tmp_path / "bashrc"
    startup.write_text(
        f'PATH="{Path(path).parent}:$PATH"\nPS1="ready> "\n'
        'eval "$(bioretrieval-tui completion bash)"\n'
    )
    seen = terminal(
        program=["bash", "--rcfile", str(startup), "-i"],
        env={"INPUTRC": "/dev/null"},
        after="ready> ",
        keys="bioretrieval-tui comple\tfi\t| head -1; exit 7\r",
    )
    assert seen.code == 7
    assert "bioretrieval-tui completion fish | head -1" in seen.out
    assert "# Run once:  bioretrieval-tui completion fish" in seen.out


@pytest.mark.parametrize("shell_name", ["zsh", "fish"])
def test_the_script_parses_in_its_shell(cli: Call, shell_name: str) -> None:
    program = shutil.which(shell_name)
    if program is None:
        pytest.skip(f"{shell_name} is not installed")
    script = cli("completion", shell_name).out
    parsed = subprocess.run(
        [program, "-n"], input=script, text=True, capture_output=True, timeout=60, check=False
    )
    assert (parsed.returncode, parsed.stderr) == (0, "")


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_a_script_says_where_to_put_it(cli: Call, shell_name: str) -> None:
    called = cli("completion", shell_name)
    first, *rest = called.out.splitlines()
    assert first.startswith("# ")
    assert f"bioretrieval-tui completion {shell_name}" in first
    assert f"_BIORETRIEVAL_TUI_COMPLETE={shell_name}_complete" in "\n".join(rest)


@pytest.mark.parametrize("shell_name", ["zsh", "fish"])
def test_zsh_and_fish_are_answered_in_their_own_way(cli: Call, shell_name: str) -> None:
    env = {
        "_BIORETRIEVAL_TUI_COMPLETE": f"{shell_name}_complete",
        "COMP_WORDS": "bioretrieval-tui list mo",
        "COMP_CWORD": "2" if shell_name == "zsh" else "mo",
    }
    called = cli(env=env)
    assert (called.code, called.err) == (0, "")
    assert "models" in called.out


@pytest.mark.parametrize("instruction", ["bash_complete", "tcsh_complete", "bash_source", "x"])
def test_a_call_by_hand_says_nothing(cli: Call, instruction: str) -> None:
    called = cli(env={"_BIORETRIEVAL_TUI_COMPLETE": instruction})
    assert (called.code, called.out, called.err) == (1, "", "")


def test_completion_is_silent_about_a_broken_catalogue(cli: Call, tmp_path: Path) -> None:
    (tmp_path / "catalog.yaml").write_text("models: nonsense\n")
    code = (
        "import bioretrieval_tui.catalog.compiled as s, pathlib\n"
        f"s.data_folder = lambda: pathlib.Path({json.dumps(str(tmp_path))})"
    )
    env = {
        "_BIORETRIEVAL_TUI_COMPLETE": "bash_complete",
        "COMP_WORDS": "bioretrieval-tui show me",
        "COMP_CWORD": "2",
    }
    called = cli(code=code, env=env)
    assert (called.out.strip(), called.err) == ("", "")
