"""Loading reports every fault once, with its file, line, entry and field, and never crashes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bioretrieval_tui.catalog import typed_yaml
from bioretrieval_tui.catalog.loader import parse, read_folder
from bioretrieval_tui.catalog.models import MAX_BYTES
from bioretrieval_tui.errors import CatalogueError, NotFoundError, Problem

Edit = Callable[..., str]
Problems = Callable[[], list[Problem]]


SYNTAX = [
    ("a brace left open", b"models: [{id: x\n", 2, "is not valid YAML"),
    ("bad indentation", b"models:\n  - id: x\n name: y\n", 3, "is not valid YAML"),
    ("a tab for indentation", b"models:\n\t- id: x\n", 2, "is not valid YAML"),
    ("two documents", b"models: []\n---\nmodels: []\n", 2, "is not valid YAML"),
    ("an alias to nothing", b"models: *nowhere\n", 1, "is not valid YAML"),
    ("an unknown directive", b"%TAG ! foo bar\n---\na: 1\n", 1, "is not valid YAML"),
    ("a control character", b"models: [\x00]\n", None, "is not valid YAML"),
    ("latin-1", "models: []\n# é\n".encode("latin-1"), 2, "is not UTF-8 (byte 13)"),
    ("utf-16", "models: []\n".encode("utf-16"), 1, "is not UTF-8 (byte 0)"),
    ("a list at the top", b"- id: x\n", 1, "expects sections such as 'models:'"),
    ("a word", b"models\n", 1, "expects sections such as 'models:'"),
    ("empty", b"", None, "is empty"),
    ("only a comment", b"# nothing here\n", None, "is empty"),
    ("only a mark", b"\xef\xbb\xbf", None, "is empty"),
    ("brackets without end", b"models: " + b"[" * 200_000, 1, "nested more than 40 levels"),
    ("braces without end", b"models:\n " + b"{a: " * 200_000, 2, "nested more than 40 levels"),
    ("dashes without end", b"models:\n " + b"- " * 200_000, 2, "nested more than 40 levels"),
    ("questions without end", b"? " * 200_000, 1, "nested more than 40 levels"),
    ("closed brackets", b"a: " + b"[" * 41 + b"]" * 41, 1, "nested more than 40 levels"),
    ("a circle", b"models: &a [*a]\n", None, "refers to itself"),
    ("a circle of two", b"models: &a\n  - tags: &b [*a, *b]\n", None, "refers to itself"),
    ("too large", b"#" * (MAX_BYTES + 1), None, "is larger than 16 MiB"),
]


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [case[1:] for case in SYNTAX],
    ids=[case[0] for case in SYNTAX],
)
def test_a_file_that_cannot_be_taken_is_one_line(
    folder: Path, data: bytes, line: int | None, says: str, edit: Edit, problems: Problems
) -> None:
    """The fault is said of the file alone, not of what relied on its records."""
    (folder / "more.yaml").write_bytes(data)
    edit("  - all.yaml", "  - all.yaml\n  - more.yaml", "catalog.yaml")

    (problem,) = problems()

    assert problem.file == folder / "more.yaml"
    assert problem.line == line
    assert says in problem.message
    assert "\n" not in str(problem)


def test_the_pure_python_loader_says_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, problems: Problems
) -> None:
    """PyYAML comes without its C half on some platforms."""
    monkeypatch.setattr(typed_yaml, "_LOADER", yaml.SafeLoader)
    assert problems() == []
    (folder / "all.yaml").write_bytes(b"models: " + b"[" * 2_000)
    (problem,) = problems()
    assert "nested more than 40 levels" in problem.message
    (folder / "all.yaml").write_text('sources:\n  - {id: a, text: "\\ud800"}\n')
    (problem,) = problems()
    assert problem.field == "text"
    assert "\\ud800" in str(problem)


@pytest.mark.parametrize("levels", [6, 9, 30])
def test_a_few_lines_cannot_stand_for_millions(
    folder: Path, levels: int, problems: Problems
) -> None:
    """The 'billion laughs': each alias unfolds to ten of the one before."""
    lines = ["a0: &a0 [" + ", ".join(["lol"] * 10) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, levels)]
    (folder / "all.yaml").write_text("\n".join(lines))
    (problem,) = problems()
    assert "grows too large" in problem.message


def test_an_alias_that_saves_typing_is_welcome(folder: Path, edit: Edit) -> None:
    edit("sources: [card]\n    relations", "sources: &from [card]\n    relations")
    edit("summary: Another., sources: [card]", "summary: Another., sources: *from")
    _, content = parse(read_folder(folder))
    beta = next(entry for entry in content.entries if entry.id == "beta")
    assert beta.sources == ("card",)


HEADER = [
    (
        "another version",
        "version: 1",
        "version: 2",
        1,
        "version",
        "'2' is not one of 1, the version that this program reads",
    ),
    ("a version that is no number", "version: 1", "version: yes", 1, "version", "is not one of 1"),
    ("no version", "version: 1\n", "", 1, "version", "is missing"),
    ("an unknown key", "updated:", "upated:", 2, None, "did you mean 'updated'?"),
    ("a date list", '"2026-11-22"', "[2026]", 2, "updated", "expects a single value"),
    ("a key twice", "version: 1", "version: 1\nversion: 1", 2, None, "is given twice"),
    ("an include that is no list", "\n  - all.yaml", " all.yaml", 3, "include", "expects a list"),
    ("an include of a number", "all.yaml", "12", 4, "include[0]", "expects text, found '12'"),
    ("a file that is not there", "all.yaml", "all.yaml\n  - b.yaml", None, "include", "'b.yaml'"),
    ("a file outside", "all.yaml", "all.yaml\n  - ../x.yaml", None, "include", "is not there"),
]


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [case[1:] for case in HEADER],
    ids=[case[0] for case in HEADER],
)
def test_a_fault_of_the_entry_file(
    folder: Path,
    old: str,
    new: str,
    line: int | None,
    field: str | None,
    says: str,
    edit: Edit,
    problems: Problems,
) -> None:
    edit(old, new, "catalog.yaml")
    (problem,) = problems()
    assert (problem.file, problem.line, problem.field) == (folder / "catalog.yaml", line, field)
    assert says in problem.message


@pytest.mark.parametrize("data", [b"", b"\xff", b"- a list\n", b"version: [\n", b"word"])
def test_a_broken_entry_file_is_one_line_and_hides_nothing(
    folder: Path, data: bytes, edit: Edit, problems: Problems
) -> None:
    (folder / "catalog.yaml").write_bytes(data)
    (problem,) = problems()
    assert problem.file == folder / "catalog.yaml"

    edit("dimension: 768", "dimension: wide")
    assert [p.file.name for p in problems()] == ["catalog.yaml", "all.yaml"]


def test_a_file_that_nothing_includes(folder: Path, problems: Problems) -> None:
    (folder / "stray.yaml").write_text("papers: []\n")
    (problem,) = problems()
    assert str(problem) == (
        f"{folder / 'catalog.yaml'}: include: does not include 'stray.yaml', which is there"
    )


def test_ids_are_one_space_across_files(folder: Path, edit: Edit, problems: Problems) -> None:
    (folder / "more.yaml").write_text(
        "sources:\n  - {id: card, text: Again}\n"
        "datasets:\n  - {id: alpha, name: A, summary: S, sources: [card], use: any}\n"
    )
    edit("  - all.yaml", "  - all.yaml\n  - more.yaml", "catalog.yaml")
    assert [(p.line, p.entry, p.field, p.message) for p in problems()] == [
        (2, "card", "id", "id 'card' is already used at all.yaml:2"),
        (4, "alpha", "id", "id 'alpha' is already used at all.yaml:16"),
    ]


def test_every_fault_of_every_file_is_listed_in_one_go(
    folder: Path, edit: Edit, problems: Problems
) -> None:
    """Faults of types, of references and of syntax, in the order in which a reader meets them."""
    edit("year: 2020", "year: soon")
    edit("tags: [bi-encoder]", "tags: [bi-encoder]\n    colour: red")
    # The entry may be in the file that does not parse.
    edit("relations: [alpha-paper]", "relations: [elsewhere]")
    edit("value: 0.5, source: table", "value: 0.5")
    (folder / "broken.yaml").write_text("papers: [\n")
    (folder / "zeta.yaml").write_text("datasets:\n  - {id: d}\n")
    edit(
        "  - all.yaml", "  - all.yaml\n  - broken.yaml\n  - zeta.yaml\n  - no.yaml",
        "catalog.yaml",
    )  # fmt: skip
    found = [(p.file.name, p.line, p.entry, p.field) for p in problems()]
    assert found == [
        ("catalog.yaml", None, None, "include"),
        ("all.yaml", 8, "alpha-paper", "year"),
        ("all.yaml", 13, "alpha-paper", "colour"),
        ("all.yaml", 45, "results[1]", "source"),
        ("broken.yaml", 2, None, None),
        ("zeta.yaml", 2, "d", "name"),
        ("zeta.yaml", 2, "d", "summary"),
        ("zeta.yaml", 2, "d", "sources"),
        ("zeta.yaml", 2, "d", "use"),
    ]


def test_thousands_of_wrong_relations_are_all_listed(
    folder: Path, edit: Edit, problems: Problems
) -> None:
    """Only the first are given a hint: comparing each with every id would take minutes."""
    rows = "\n".join(
        f"  - {{id: d{n}, name: D, summary: S, sources: [card], use: u, relations: [alpho{n}]}}"
        for n in range(3_000)
    )
    (folder / "many.yaml").write_text(f"datasets:\n{rows}\n")
    edit("  - all.yaml", "  - all.yaml\n  - many.yaml", "catalog.yaml")
    found = problems()
    assert len(found) == 3_000
    assert found[0].message == "no entry has the id 'alpho0'; did you mean 'alpha'?"
    assert found[-1].message == "no entry has the id 'alpho2999'"


def test_a_long_value_is_quoted_in_short(folder: Path, edit: Edit, problems: Problems) -> None:
    edit("role: retriever", f"role: {'x' * 5000}")
    (problem,) = problems()
    assert len(str(problem)) < 400


def test_nothing_but_values_comes_out_of_a_file(tmp_path: Path) -> None:
    """Tags that ask for objects leave text, lists and maps; nothing is built or run."""
    marker = tmp_path / "hacked"
    text = (
        f"a: !!python/object/apply:os.system ['touch {marker}']\n"
        "b: !!python/name:os.system ''\n"
        "c: !!python/object/new:collections.OrderedDict {d: 1}\n"
        "e: !!python/tuple [1, 2]\n"
        "f: !ours 12\n"
        "g: 2026-11-22\n"
        "h: !!binary aGVsbG8=\n"
        "i: !!set {x, y}\n"
        "on: 0o17\n"
    )
    root = typed_yaml.compose(tmp_path / "x.yaml", text.encode())
    assert isinstance(root, yaml.Node)
    assert typed_yaml.plain(root) == {
        "a": [f"touch {marker}"],
        "b": "",
        "c": {"d": 1},
        "e": [1, 2],
        "f": "12",
        "g": "2026-11-22",
        "h": "aGVsbG8=",
        "i": {"x": None, "y": None},
        "on": "0o17",
    }
    assert not marker.exists()


def test_the_validator_prints_every_problem_and_fails(folder: Path, edit: Edit) -> None:
    edit("year: 2020", "year: soon")
    edit("relations: [alpha-paper]", "relations: [nobody]")
    done = subprocess.run(
        [sys.executable, "-m", "bioretrieval_tui.catalog.loader", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    first, second, count = done.stderr.splitlines()
    assert first == f"{folder}/all.yaml:8: alpha-paper: year: expects a whole number, found 'soon'"
    assert second.startswith(f"{folder}/all.yaml:16: alpha: relations: no entry has the id")
    assert count == "2 problems"


def test_the_validator_on_a_sound_folder_and_on_none(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bioretrieval_tui.catalog.loader"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "5 entries, 2 results: no problems\n")
    empty = tmp_path / "none"
    done = subprocess.run([*command, str(empty)], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith(f"no catalog.yaml in {empty}")


def test_a_folder_where_a_file_should_be(folder: Path) -> None:
    (folder / "odd.yaml").mkdir()
    with pytest.raises(CatalogueError, match=r"odd\.yaml: cannot be read: Is a directory"):
        read_folder(folder)


def test_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_folder(tmp_path)
