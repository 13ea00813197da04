"""Textual bindings made from the registry of actions, and those of the configuration."""

from __future__ import annotations

from textual.binding import Binding, BindingsMap, BindingType
from textual.dom import DOMNode

from bioretrieval_tui.actions import ACTIONS, in_force, in_scope


def bindings(*scopes: str) -> list[BindingType]:
    """The bindings of these scopes. Footer and help use the registry of actions directly."""
    return [
        Binding(key, action.name, action.label, show=False, id=action.id)
        for scope in scopes
        for action in ACTIONS
        if action.scope == scope
        for key in action.keys or (_NO_KEY,)
    ]


_NO_KEY = "no-key"
"""Stands for a key in the bindings of an action without one, which may be given one."""


def rebind(node: DOMNode, commands: str = "") -> None:
    """Give a widget, which has the keys of its class, those that are in force. commands: the scope
    of the user's commands that it takes."""
    if in_force() is ACTIONS:
        return
    # Textual's own keymap replaces what else a class has under a key, and cannot take a key away.
    known = {action.id: action for action in in_force()}
    made: dict[str, list[Binding]] = {}
    for key, binding in node._bindings:
        action = known.get(binding.id or "")
        for now in (key,) if action is None else action.keys:
            if action is not None:
                made[now] = [one for one in made.get(now, ()) if one.id != binding.id]
            made.setdefault(now, []).insert(0 if action else len(made[now]), binding.with_key(now))
    for one in in_scope(commands):
        if one.id.startswith("command-"):
            for key in one.keys:
                made.setdefault(key, []).insert(0, Binding(key, one.name, one.label, show=False))
    node._bindings = BindingsMap.from_keys(made)
