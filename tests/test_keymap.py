"""Keys as readers write them, presets, and what of `[keys]` is in force."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from bioretrieval_tui.actions import ACTIONS, FORBIDDEN, Action, shown_key
from bioretrieval_tui.config import Configuration, read_text, schema
from bioretrieval_tui.keymap import PRESETS, VIM, as_key, assign

DEFAULTS = {action.id: action for action in ACTIONS}


def read(text: str) -> Configuration:
    return read_text(f"[keys]\n{text}", Path("c.toml"))


def keys(found: Configuration) -> dict[str, tuple[str, ...]]:
    return {action.id: action.keys for action in found.actions}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("x", "x"), ("X", "X"), ("?", "question_mark"), ("'", "apostrophe"), ("+", "plus"),
        ("space", "space"), (" ", "space"), ("Esc", "escape"), ("pgdn", "pagedown"),
        ("ctrl+p", "ctrl+p"), ("Ctrl+P", "ctrl+p"), ("ctrl++", "ctrl+plus"), ("shift+g", "G"),
        ("alt+X", "alt+shift+x"), ("shift+ctrl+x", "ctrl+shift+x"), ("shift+tab", "shift+tab"),
        ("ctrl+i", "tab"), ("ctrl+[", "escape"), ("f5", "f5"), ("g g", "g g"), ("é", "é"),
        ("ctrl+w >", "ctrl+w greater_than_sign"), ("question_mark", "question_mark"),
        ("", None), ("retrun", None), ("hyper+x", None), ("ctrl+ctrl+x", None), ("g retrun", None),
        ("f99", None), ("\x1b", None), ("\U0001f600", None),
    ],
)  # fmt: skip
def test_a_key_as_readers_write_it(text: str, key: str | None) -> None:
    assert as_key(text) == key


@pytest.mark.parametrize("key", sorted({key for action in ACTIONS for key in action.keys}))
def test_a_key_as_it_is_shown_can_be_written(key: str) -> None:
    assert as_key(shown_key(key)) == key


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_has_no_collisions_of_its_own(preset: str) -> None:
    actions, wrong = assign(preset, {})
    assert not wrong
    # As if all of it had been asked for: then nothing is taken for intended.
    changed = [one for one in actions if one.keys != DEFAULTS[one.id].keys]
    ours = {one.id: one.keys for one in changed if one.scope != "reading"}
    told = {one for one, _ in assign("default", ours)[1]}
    assert told <= {"page-forward-reading", "page-back-reading"}  # in the list and in its page
    for action in actions:
        assert all(as_key(shown_key(key)) == key for key in action.keys)


def test_the_preset_for_vim_names_actions_that_there_are() -> None:
    assert VIM.keys() <= DEFAULTS.keys()
    found = keys(read('preset = "vim"\n'))
    assert found["first"] == ("g g", "home")
    assert found["last"] == ("G", "end")
    assert {key for its in found.values() for key in its} & FORBIDDEN == {"ctrl+b", "ctrl+o"}


def test_keys_replace_those_of_the_preset_and_say_where() -> None:
    found = read('preset = "vim"\nopen = ["O", "ctrl+e"]\ncopy-link = []\n')
    actions = {action.id: action for action in found.actions}
    assert not found.problems
    assert (actions["open"].keys, actions["open"].origin) == (("O", "ctrl+e"), "c.toml:3")
    assert actions["copy-link"].keys == ()
    assert actions["back"].origin == "preset vim"
    assert actions["sort"] == DEFAULTS["sort"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('opne = "x"', "c.toml:2: keys.opne: there is no such action; did you mean open?"),
        ('open = "retrun"', "c.toml:2: keys.open: there is no key 'retrun'; did you mean return?"),
        ("open = 3", "c.toml:2: keys.open: must be a text or a list of texts"),
        ('preset = "vmi"', "c.toml:2: keys.preset: there is no such preset; did you mean vim?"),
        ('sort = "1"', "c.toml:2: keys.sort: 1 is a key of go-home (Everywhere); its keys stay"),
        (
            'open = "x"',
            "c.toml:2: keys.open: x is a key of done (In Get started); its keys stay",
        ),
        ('export = "g g"', "c.toml:2: keys.export: g is a key of first (In a list); its keys stay"),
        ('page-links = "K"', "c.toml:2: keys.page-links: it has the keys of links; its keys stay"),
        ('accept = "x"', "c.toml:2: keys.accept: x writes a character there; its keys stay"),
        (
            'sort = "ctrl+c"',
            "c.toml:2: keys.sort: ctrl+c is a key of quit (Everywhere); its keys stay",
        ),
        (
            'view = "O"\nopen = "O"',
            "c.toml:3: keys.open: O is a key of view (On the leaderboard); its keys stay",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_and_the_keys_stay(text: str, said: str) -> None:
    found = read(text + "\n")
    assert [str(one) for one in found.problems] == [said]
    last = text.rpartition("\n")[2].split(" ")[0]
    if last in DEFAULTS:
        assert keys(found)[last] == DEFAULTS[last].keys


def test_scopes_that_never_work_at_once_share_keys() -> None:
    assert not read('mode = "V"\nvectors = "m"\nplot-kind = "k"\nnext-point = "l"\n').problems[1:]
    assert not read('mode = "V"\n').problems


def test_two_actions_change_their_keys() -> None:
    found = read('plot = "R"\nrank = "p"\n')
    assert [str(one) for one in found.problems] == []
    assert (keys(found)["plot"], keys(found)["rank"]) == (("R",), ("p",))


def test_the_footer_of_a_page_follows_the_list() -> None:
    assert keys(read('links = "Q"\n'))["page-links"] == ("Q",)


def test_there_is_always_a_way_out() -> None:
    assert keys(read('quit = "Q"\n'))["quit"] == ("Q", "ctrl+c")
    assert keys(read("quit = []\n"))["quit"] == ("ctrl+c",)


def test_a_command_of_the_user_takes_no_key_of_another() -> None:
    mine = Action("command-1", "everywhere", ("o",), "user_command(0)", "Mine", "echo")
    actions, wrong = assign("default", {}, (mine,))
    assert wrong == [("command-1", "o is a key of open (In a list)")]
    assert actions[-1].keys == ()


def test_the_schema_knows_the_actions() -> None:
    checked = jsonschema.Draft202012Validator(json.loads(json.dumps(schema())))
    assert checked.is_valid({"keys": {"preset": "vim", "open": "o", "sort": ["s", "S"]}})
    for wrong in ({"opne": "x"}, {"open": 3}, {"preset": "vmi"}):
        assert not checked.is_valid({"keys": wrong})
