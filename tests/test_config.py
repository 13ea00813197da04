"""`config.toml`: what is in force, what is told of mistakes, and how it is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from bioretrieval_tui.config import (
    configuration,
    line_numbers,
    schema,
    set_value,
    unset_value,
    values,
)
from bioretrieval_tui.errors import BioRetrievalError, UsageError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    for one in values():
        if one.variable:
            monkeypatch.delenv(one.variable, raising=False)
    (tmp_path / "config").mkdir()
    return tmp_path / "config" / "config.toml"


def told(path: Path) -> list[str]:
    return [str(one).removeprefix(str(path)) for one in configuration().problems]


def test_without_a_file_the_defaults_are_in_force(path: Path) -> None:
    found = configuration()
    assert {one.key: found.value(one.key) for one in values()} == {
        one.key: one.default for one in values()
    }
    assert found.problems == ()
    assert found.origins == {}


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text('notify = false\n\n[online]\ncontact = "me@example.org" # mine\n')
    found = configuration()
    assert (found.config.notify, found.origins["notify"]) == (False, f"{path}:1")
    assert found.origins["online.contact"] == f"{path}:4"
    monkeypatch.setenv("BIORETRIEVAL_NOTIFY", "1")
    monkeypatch.setenv("BIORETRIEVAL_CONTACT", "you@example.org")
    found = configuration()
    assert (found.config.notify, found.origins["notify"]) == (True, "BIORETRIEVAL_NOTIFY")
    assert found.config.online.contact == "you@example.org"


@pytest.mark.parametrize(("given", "offline"), [("", False), ("0", False), ("1", True)])
def test_a_switch_of_the_environment(
    path: Path, monkeypatch: pytest.MonkeyPatch, given: str, offline: bool
) -> None:
    monkeypatch.setenv("BIORETRIEVAL_OFFLINE", given)
    assert configuration().config.offline is offline


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tehme = 1\n", ":1: tehme: unknown; did you mean theme?"),
        ("\nnotify = 3\n", ":2: notify: must be true or false"),
        ('contact = "me"\n', ":1: contact: unknown; did you mean online.contact?"),
        ("[online]\n# x\ncontact = 3\n", ':3: online.contact: must be a text: "..."'),
        ('online = "x"\n', ":1: online: must be a table: write [online]"),
        ('engine = "tensor"\n', ":1: engine: must be auto or torch"),
        ("cache_gib = -1\n", ":1: cache_gib: must be a number from 0"),
        ("cache_gib = nan\n", ":1: cache_gib: must be a number from 0"),
        ('theme = "drak"\n', ":1: theme: there is no theme 'drak'; did you mean dark?"),
        ("notify = true\nnotify\n", ":2: not valid TOML"),
        ("notify = [\n", ": not valid TOML"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_the_default_stays(
    path: Path, text: str, said: str
) -> None:
    path.write_text(text)
    assert told(path) == [said]
    found = configuration()
    assert found.config.notify
    assert (found.config.theme, found.config.engine) == ("dark", "auto")


def test_a_mistake_leaves_the_rest_in_force(path: Path) -> None:
    path.write_text('notify = 1\npreload = false\n[online]\ncontcat = ""\ncontact = "me"\n')
    found = configuration()
    assert not found.config.preload
    assert found.config.online.contact == "me"
    assert [one.line for one in found.problems] == [1, 4]


@pytest.mark.parametrize("text", ["offline = 1\n", "offline = [\n", 'offline = "\xff"\n'])
def test_in_doubt_the_network_is_not_used(path: Path, text: str) -> None:
    path.write_bytes(text.encode("latin-1"))
    assert configuration().config.offline
    assert len(configuration().problems) == 1


def test_a_wrong_variable_leaves_what_the_file_says(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("cache_gib = 3\n")
    monkeypatch.setenv("BIORETRIEVAL_CACHE_GIB", "much")
    assert configuration().config.cache_gib == 3
    assert told(path) == ["BIORETRIEVAL_CACHE_GIB: must be a number from 0"]


def test_a_theme_of_the_user_is_known(path: Path) -> None:
    (path.parent / "themes").mkdir()
    (path.parent / "themes" / "sepia.toml").touch()
    path.write_text('theme = "sepia"\n')
    assert (configuration().config.theme, told(path)) == ("sepia", [])


def test_lines_of_keys_tables_and_lists_of_tables() -> None:
    text = 'a = 1\nb.c = 2\n[t]\n"x y" = 3\n[[l]]\nk = 1\n[[l]]\n k = 2\n'
    assert line_numbers(text) == {
        ("a",): 1, ("b", "c"): 2, ("t",): 3, ("t", "x y"): 4, ("l", 0): 5, ("l", 0, "k"): 6,
        ("l", 1): 7, ("l", 1, "k"): 8,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "text", "line"),
    [
        ("theme", "light", 'theme = "light" # for the evening'),
        ("notify", "off", "notify = false"),
        ("cache_gib", "2.5", "cache_gib = 2.5"),
        ("online.contact", 'a"b', "contact = 'a\"b'"),
    ],
)
def test_a_value_is_written_and_comments_stay(path: Path, key: str, text: str, line: str) -> None:
    before = '# my own\n\ntheme = "dark" # for the evening\n\n[online] # services\n'
    path.write_text(before)
    path.chmod(0o640)
    assert set_value(key, text) == path
    written = path.read_text().replace('"a\\"b"', "'a\"b'")
    assert line in written.splitlines()
    assert "# my own" in written
    assert "# services" in written
    assert str(configuration().value(key)).casefold() in (text, "false")


def test_a_secret_is_for_the_user_alone_and_a_link_stays_one(path: Path) -> None:
    real = path.parent / "dotfiles.toml"
    real.write_text("notify = true\n")
    path.symlink_to(real)
    set_value("online.ncbi_api_key", "x" * 20)
    assert path.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("before", "key", "value", "said"),
    [
        ("", "them", "dark", "did you mean theme"),
        ("", "notify", "maybe", "must be true or false"),
        ("", "engine", "tensor", "must be auto or torch"),
        ("", "theme", "drak", "did you mean dark"),
        ("online = 3\n", "online.contact", "me", "online"),
        ("x = [\n", "theme", "dark", "not valid TOML"),
    ],
)
def test_what_cannot_be_set_is_not_written(
    path: Path, before: str, key: str, value: str, said: str
) -> None:
    path.write_text(before)
    with pytest.raises(BioRetrievalError, match=said):
        set_value(key, value)
    assert path.read_text() == before


def test_the_schema_takes_what_is_right_and_refuses_what_is_not(path: Path) -> None:
    checked = jsonschema.Draft202012Validator(json.loads(json.dumps(schema())))
    assert checked.is_valid({"theme": "dark", "online": {"contact": "me"}})
    for wrong in ({"tehme": 1}, {"notify": 1}, {"online": {"contcat": ""}}, {"engine": "x"}):
        assert not checked.is_valid(wrong)


VIM = '[keys]\npreset = "vim"\n'


@pytest.mark.parametrize("key", ["theme", "tehme", "keys.sort"])
def test_a_value_is_taken_out_and_all_else_stays(path: Path, key: str) -> None:
    text = (
        '# why\ntheme = "light"\nnotify = false # so\ntehme = 3\n[keys]\nopen = "O"\nsort = "Q"\n'
    )
    path.write_text(text)
    assert unset_value(key) == path
    name = key.rpartition(".")[2]
    assert path.read_text() == re.sub(f"{name} = .*\n", "", text)


@pytest.mark.parametrize(
    ("before", "key", "said"),
    [
        ("", "theme", "config.toml does not set theme"),
        ("", "tehme", "did you mean theme"),
        ("", "online.contact", "does not set online.contact"),
        ("[online]\n", "online.contact", "does not set online.contact"),
        ("online = 3\n", "online.contact", "online: must be a table"),
        ("theme = [\n", "theme", "not valid TOML"),
        (f"{VIM}keep-place = []\nexport = 'm'\n", "keys.preset", "keys.preset: .* is a key of"),
    ],
)
def test_what_cannot_be_taken_out_stays(path: Path, before: str, key: str, said: str) -> None:
    path.write_text(before)
    with pytest.raises(BioRetrievalError) as raised:
        unset_value(key)
    assert re.search(said, raised.value.line())
    assert path.read_text() == before


def test_an_unknown_key_is_wrong_usage(path: Path) -> None:
    with pytest.raises(UsageError):
        set_value("nothing.at.all", "1")
    assert not path.exists()
