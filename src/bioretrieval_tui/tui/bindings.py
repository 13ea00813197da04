"""Textual bindings made from the registry of actions."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from bioretrieval_tui.actions import in_scope


def bindings(*scopes: str) -> list[BindingType]:
    """The bindings of these scopes. Footer and help use the registry of actions directly."""
    return [
        Binding(key, action.name, action.label, show=False, id=f"{action.id}.{key}")
        for scope in scopes
        for action in in_scope(scope)
        for key in action.keys
    ]
