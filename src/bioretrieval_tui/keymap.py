"""Keys as a reader writes them, presets, and which action has which key.

A key is written as `x`, `?`, `space`, `ctrl+p`, `f1`; a sequence as keys between spaces: `g g`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from msgspec.structs import replace

from bioretrieval_tui.actions import (
    ACTIONS,
    AT_ONCE,
    SIGNS,
    Action,
    scope_title,
    shown_key,
)
from bioretrieval_tui.util.formatting import did_you_mean

_NAMED = (
    "enter", "escape", "tab", "backspace", "delete", "insert", "home", "end", "pageup", "pagedown",
    "up", "down", "left", "right", "space", *(f"f{number}" for number in range(1, 13)),
)  # fmt: skip
_ALIASES = {
    "esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown", "del": "delete",
    "ins": "insert", "←": "left", "→": "right", "↑": "up", "↓": "down",
    # What a terminal sends for them.
    "ctrl+i": "tab", "ctrl+m": "enter", "ctrl+left_square_bracket": "escape",
}  # fmt: skip
_MODIFIERS = ("alt", "ctrl", "shift")
_TYPING = ("line", "ask", "path", "field", "editing", "note-line")
"""Scopes of lines, in which letters are text."""
ALWAYS = {"quit": "ctrl+c"}
"""Keys that stay, whatever is configured: there is always a way out."""

_LISTED = {action.name: action.id for action in ACTIONS if action.scope == "list"}
_TWINS = {
    action.id: _LISTED[action.name]
    for action in ACTIONS
    if action.scope == "reading" and action.name in _LISTED
}
"""Actions as the footer of a page names them, and those of the list, whose keys they have."""

Keys = tuple[str, ...]

VIM: dict[str, str] = {
    "back": "ctrl+o backspace alt+left",
    "palette": "colon ctrl+p",
    "keep-place": "m",
    "return-to-place": "apostrophe",
    "saved": "quotation_mark",
    "centre": "z,z",
    "page-forward": "ctrl+f",
    "page-back": "ctrl+b",
    "home-half-down": "ctrl+d ctrl+f pagedown space",
    "home-half-up": "ctrl+u ctrl+b pageup",
    "comparison-half-down": "ctrl+d ctrl+f pagedown space",
    "comparison-half-up": "ctrl+u ctrl+b pageup",
    "dialog-page-down": "ctrl+d ctrl+f pagedown",
    "dialog-page-up": "ctrl+u ctrl+b pageup",
    "files-page-down": "ctrl+d ctrl+f pagedown",
    "files-page-up": "ctrl+u ctrl+b pageup",
    "page-forward-reading": "ctrl+f",
    "page-back-reading": "ctrl+b",
    "zoom": "ctrl+w,o",
    "wider-list": "ctrl+w,greater_than_sign ctrl+right",
    "wider-page": "ctrl+w,less_than_sign ctrl+left",
    "next-section": "right_curly_bracket right_square_bracket",
    "previous-section": "left_curly_bracket left_square_bracket",
    "heat": "H",
    "mode": "c",
    "mark": "x",
    **dict.fromkeys(
        (
            "home-first", "first", "comparison-first", "dialog-first", "top", "files-first",
            "first-point",
        ),
        "g,g home",
    ),
}  # fmt: skip
"""Keys by action; a comma joins those of a sequence."""
PRESETS: dict[str, dict[str, Keys]] = {
    "default": {},
    "vim": {
        action: tuple(key.replace(",", " ") for key in keys.split()) for action, keys in VIM.items()
    },
}


def as_key(text: str) -> str | None:
    """The name that Textual has for a key or a sequence; None if it is no key."""
    if text == " ":
        return "space"
    found = [_one_key(part) for part in text.split()]
    return " ".join(filter(None, found)) if found and None not in found else None


def _one_key(text: str) -> str | None:
    *modifiers, name = text.rsplit("+") if len(text) > 1 and not text.endswith("+") else [text]
    if text.endswith("++"):
        modifiers, name = text[:-2].split("+"), "+"
    signs = {sign: key for key, sign in SIGNS.items()}
    name = signs.get(name, name) if len(name) == 1 else name.casefold()
    name = _ALIASES.get(name, name)
    modifiers = sorted(one.casefold() for one in modifiers)
    if not set(modifiers) <= set(_MODIFIERS) or len(set(modifiers)) < len(modifiers):
        return None
    if not (name in _NAMED or name in SIGNS or (len(name) == 1 and name.isalnum())):
        return None
    if modifiers == ["shift"] and len(name) == 1:
        return name.upper()
    if modifiers and name.isupper():
        modifiers = sorted({*modifiers, "shift"} if modifiers == ["alt"] else modifiers)
        name = name.lower()
    whole = "+".join((*modifiers, name))
    return _ALIASES.get(whole, whole)


def what_is_a_key(text: str) -> str:
    """What is wrong with a text that is no key."""
    meant = did_you_mean(
        text.rpartition("+")[2].casefold(), (*_NAMED, *_ALIASES), "write x, ?, space, ctrl+p or g g"
    )
    return f"there is no key '{text[:40]}'; {meant}"


def assign(
    preset: str, wanted: Mapping[str, Keys], more: Sequence[Action] = ()
) -> tuple[tuple[Action, ...], list[tuple[str, str]]]:
    """The actions with the keys of a preset, of `wanted` (by id, in order) and those in `more`; and
    what cannot be: the id of an action, and why it has the keys of the preset (of `more`: none)."""
    base = {action.id: PRESETS[preset].get(action.id, action.keys) for action in ACTIONS}
    actions = {action.id: action for action in (*ACTIONS, *more)}
    asked = {**wanted, **{action.id: action.keys for action in more}}
    base.update((action.id, ()) for action in more)
    order = {identifier: number for number, identifier in enumerate(asked)}
    known = {frozenset(pair) for *pair, _ in _collisions(base, actions)}
    wrong = []
    for identifier in asked.keys() & _TWINS.keys():
        wrong.append((identifier, f"it has the keys of {_TWINS[identifier]}"))
        del asked[identifier]
    for identifier, keys in list(asked.items()):
        typed = [key for key in keys if is_typed(key)]
        if typed and actions[identifier].scope in _TYPING:
            wrong.append((identifier, f"{shown_key(typed[0])} writes a character there"))
            del asked[identifier]
    while True:
        final = {**base, **asked}
        for identifier, key in ALWAYS.items():
            final[identifier] = tuple(dict.fromkeys((*final[identifier], key)))
        final.update((page, final[listed]) for page, listed in _TWINS.items())
        found = next(
            (
                (one, other, key)
                for one, other, key in _collisions(final, actions)
                if (one in asked or other in asked) and frozenset((one, other)) not in known
            ),
            None,
        )
        if found is None:
            break
        one, other, key = found
        loser = max(
            (one, other), key=lambda action: order.get(action, -1) if action in asked else -2
        )
        holder = other if loser == one else one
        place = scope_title(actions[holder].scope)
        wrong.append((loser, f"{shown_key(key)} is a key of {holder} ({place})"))
        del asked[loser]
    return tuple(
        action if final[action.id] == action.keys else replace(action, keys=final[action.id])
        for action in actions.values()
    ), wrong


def is_typed(key: str) -> bool:
    """Whether a key, or the first of a sequence, writes a character into a line."""
    first = key.partition(" ")[0]
    return len(first) == 1 or first in SIGNS


def _collisions(
    keys: Mapping[str, Keys], actions: Mapping[str, Action]
) -> Iterator[tuple[str, str, str]]:
    """Pairs of actions with a key in common where both work, or of which one has the beginning of
    a sequence of the other, with that key."""
    for scopes in AT_ONCE:
        by_key = defaultdict(list)
        for identifier, its in keys.items():
            if actions[identifier].scope in scopes:
                for key in its:
                    by_key[key].append(identifier)
        for key, found in by_key.items():
            yield from ((one, other, key) for one, other in combinations(found, 2))
            first, _, rest = key.partition(" ")
            if rest:
                yield from ((one, other, first) for one in by_key.get(first, ()) for other in found)
