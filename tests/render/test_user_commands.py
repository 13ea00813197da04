"""The user's commands: faults of their templates, and texts of rows that would be code."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.config import CommandConfig, read_text
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.render.row_records import fields_of, record_of
from bioretrieval_tui.render.user_commands import command_problems, needs_row, prepared
from bioretrieval_tui.search.types import Hit

HOSTILE = (
    "it's", 'a "quoted" title', "$(touch owned)", "`touch owned`", "'; touch owned; '",
    '"; touch owned; "', "a\ntouch owned\n", "a & touch owned &", "x | touch owned",
    "$HOME ${PATH}",
    "a\\", "\\'; touch owned #", "*", "~", "{url}", "! !!", "> owned", "$((1+1))", "%s %n", "",
    "\x1b]0;x\x07title\x00", "<(touch owned)", "\udcff\ud800 surrogate", "x" * 200_000,
)  # fmt: skip
SHELLS = [shell for name in ("sh", "bash", "dash", "zsh", "fish") if (shell := shutil.which(name))]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_text_is_one_word_whatever_it_holds(shell: str, tmp_path: Path) -> None:
    for title in HOSTILE:
        record = {"title": title, "id": "7"}
        if not title:
            with pytest.raises(UsageError, match="This row has no title"):
                prepared(CommandConfig("x", "printf '<%s>' {title}"), record)
            continue
        template = "printf '<%s>' {title} id={id} x{title}"
        script, variables = prepared(CommandConfig("x", template), record)
        assert "owned" not in script
        out = subprocess.run(
            [shell, "-c", script], env={**os.environ, **variables}, cwd=tmp_path,
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        value = variables["field_1"]
        assert out == f"<{value}><id=7><x{value}>"
        assert not list(tmp_path.iterdir())
        assert "\x1b" not in value
        assert "\x00" not in value


@pytest.mark.parametrize(
    ("template", "passes"),
    [
        ("wget {title}", False), ("{title}", False), ("a -- b; wget {title}", False),
        ("a | wget x {title}", False), ("(wget {title})", False), ("wget --x {title}", False),
        ("wget -- {title}", True), ("wget -- {id} {title}", True), ("wget --url={title}", True),
        ("cat file_{title}", True), ("printf -- '%s\n' {title}", True),
        ("wget ' -- ' {title}", False), ('x -- "a;b" {title}', True),
        ("wget ''{title}", False), ("x -- \\'; wget \\' {title}", False),
    ],
)  # fmt: skip
def test_a_text_is_no_option(template: str, passes: bool) -> None:
    command = CommandConfig("x", template)
    if passes:
        assert "-rf" in prepared(command, {"title": "-rf", "id": "1"})[1].values()
    else:
        with pytest.raises(UsageError, match="title begins with -"):
            prepared(command, {"title": "-rf", "id": "1"})


def test_the_example_of_the_guide_writes_what_it_says(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "configuration.md"
    text = next(one for one in page.read_text("utf-8").split("```") if "[[command]]\n" in one)
    found = read_text(text.removeprefix("toml"), tmp_path / "config.toml")
    assert (found.problems, command_problems(found)) == ((), {})
    record = {"title": "-omics of asthma", "authors": ["Li A", "Roe B"]}
    script, variables = prepared(found.config.command[-1], record)
    subprocess.run(["sh", "-c", script], env={"HOME": str(tmp_path), **variables}, check=True)
    (written,) = tmp_path.iterdir()
    assert written.read_text() == f"-omics of asthma\n{variables['field_2']}\n"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('command = "wget {ulr}"', "there is no field {ulr}; did you mean url?"),
        ('pane = "indexes"\ncommand = "wget {url}"',
         "there is no field {url}; rows of indexes have id, name, title"),
        ('command = "echo \\"{title}\\""', "{title} stands within quotes; write it bare,"),
        ("command = \"echo '{title}'\"", "{title} stands within quotes; write it bare,"),
        ('command = "echo \\\\{title}"', "{title} stands within quotes"),
        ('command = "echo `cat {title}`"', "{title} stands beside `, ((, << or eval"),
        ('command = "echo $(( {year} ))"', "{year} stands beside"),
        ('command = "cat << X\\n{title}\\nX"', "{title} stands beside"),
        ('command = "eval {title}"', "{title} stands beside"),
    ],
)  # fmt: skip
def test_a_fault_of_a_template_has_its_line(tmp_path: Path, table: str, said: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f'[[command]]\nkey = "f6"\n{table}\n')
    found = read_text(path.read_text(), path)
    assert not found.problems
    (problem,) = command_problems(found).values()
    assert said in problem.message
    assert problem.line == 3 + table.count("\n", 0, table.find("command"))


@pytest.mark.parametrize(
    "command",
    ["echo {title}", "echo $(basename {url})", "x=${HOME} {a,b} {} {metadata.journal}",
     "awk '{print $1}' {link}", "echo \"it's\" {title}", "date"],
)  # fmt: skip
def test_other_braces_are_the_shells(tmp_path: Path, command: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"[[command]]\nkey = 'f6'\ncommand = '''{command}'''\n")
    assert command_problems(read_text(path.read_text(), path)) == {}
    assert needs_row(CommandConfig("x", command)) is (command != "date")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('key = "f6"', "c.toml:1: command.command: is missing"),
        ('command = "date"', "c.toml:1: command.key: is missing"),
        ('key = "f6"\ncommand = 3', 'c.toml:3: command.command: must be a text: "..."'),
        ('key = "f66"\ncommand = "date"', "c.toml:2: command.key: there is no key 'f66'"),
        ('key = "o"\ncommand = "date"', "c.toml:2: command.key: o is a key of open (In a list)"),
        ('key = "f6"\ncommand = "date"\npane = "hoem"', "c.toml:4: command.pane: must be everywh"),
        ('key = "f6"\ncommand = "date"\nname = ""\nouput = "x"',
         "c.toml:5: command.ouput: unknown; did you mean output?"),
    ],
)  # fmt: skip
def test_a_table_that_is_wrong_has_its_line(text: str, said: str) -> None:
    (problem,) = read_text(f"[[command]]\n{text}\n", Path("c.toml")).problems
    assert str(problem).startswith(said)


def test_a_wrong_table_leaves_the_next(tmp_path: Path) -> None:
    text = '[[command]]\nkey = "f6"\n[[command]]\nkey = "f7"\ncommand = "date"\n'
    actions = {one.id: one for one in read_text(text, Path("c.toml")).actions}
    assert "command-0" not in actions
    assert actions["command-1"].keys == ("f7",)
    assert actions["command-1"].origin == "c.toml:3"
    assert read_text("command = 3\n", Path("c.toml")).problems[0].line == 1


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIORETRIEVAL_HOME", str(tmp_path_factory.mktemp("home")))
        return load().catalogue


@pytest.mark.parametrize("pane", ["papers", "models", "datasets", "benchmarks", "timeline", "path"])
def test_the_fields_of_a_pane_are_those_of_its_rows(catalogue: Catalogue, pane: str) -> None:
    entries = catalogue.section(pane)
    assert {*record_of(entries[0], catalogue)} == fields_of(pane)


def test_a_document_has_its_metadata_too(catalogue: Catalogue) -> None:
    hit = Hit(1, "7", "T", "text", 2020, "https://x.org", 0.5, metadata={"mesh": ["a", "b"]})
    record = record_of(hit, catalogue)
    assert record.keys() >= fields_of("found") - {"index", "also"}
    assert record["metadata.mesh"] == ["a", "b"]
    command = CommandConfig("x", "echo {metadata.mesh}", "search")
    assert prepared(command, record)[1] == {"field_1": "a; b"}
