"""Themes of the user: which can be used, and what is wrong with the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from bioretrieval_tui.theme_files import COLOURS, read_themes

WHOLE = "".join(f'{name} = "#0a1B2c"\n' for name in COLOURS)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    found = tmp_path / "config" / "themes"
    found.mkdir(parents=True)
    return found


def test_a_whole_theme_can_be_used(folder: Path) -> None:
    (folder / "sepia.toml").write_text(f"dark = false\n{WHOLE}")
    (folder / "notes.txt").write_text("no theme")
    found, problems = read_themes()
    assert problems == []
    assert found == {"sepia": {"dark": False, **dict.fromkeys(COLOURS, "#0a1B2c")}}


def test_without_a_folder_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    assert read_themes() == ({}, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WHOLE.replace('step = "#0a1B2c"', 'step = "green"'), ':17: step: must be a colour'),
        (WHOLE.replace('text = "#0a1B2c"', "text = 3"), ":7: text: must be a colour"),
        (WHOLE.replace("dim =", "dmi ="), ":8: dmi: unknown; did you mean dim?"),
        (WHOLE.replace('paper = "#0a1B2c"\n', ""), ": lacks colours: paper"),
        (f"dark = 1\n{WHOLE}", ":1: dark: must be true or false"),
        ("background = [\n", ": not valid TOML"),
        ("a\n", ":1: not valid TOML"),
        ("", ": lacks colours: background, surface"),
        ("\xff", ": not read: not UTF-8"),
    ],
)  # fmt: skip
def test_a_theme_at_fault_is_told_and_the_others_work(folder: Path, text: str, said: str) -> None:
    (folder / "bad.toml").write_bytes(text.encode("latin-1"))
    (folder / "good.toml").write_text(WHOLE)
    found, problems = read_themes()
    assert [*found] == ["good"]
    assert str(problems[0]).startswith(f"{folder / 'bad.toml'}{said}")


def test_a_theme_of_the_program_is_not_replaced(folder: Path) -> None:
    (folder / "dark.toml").write_text(WHOLE)
    found, problems = read_themes()
    assert found == {}
    assert "rename the file" in str(problems[0])
