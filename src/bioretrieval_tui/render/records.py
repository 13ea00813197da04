"""Catalogue values as plain records for json and jsonl, every field of a kind always present."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from bioretrieval_tui.terminal.clean import clean


def record(value: Struct) -> dict[str, Any]:
    """The struct as a dict: `kind` first where it has one, then all fields, defaults included.

    msgspec's own conversion leaves out what equals its default. Here every record of a kind has
    the same keys, so that `select(.status == "confirmed")` finds what was never spelt out.
    """
    found: dict[str, Any] = {}
    tag = value.__struct_config__.tag
    if tag is not None:
        found["kind"] = tag
    for field in value.__struct_fields__:
        found[field] = _plain(getattr(value, field))
    return found


_ATOMS = frozenset((str, int, float, bool, type(None)))


def _plain(value: Any) -> Any:
    if type(value) in _ATOMS:  # nearly all of them: a listing passes here ten thousand times
        return value
    if isinstance(value, Struct):
        return record(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def cleaned(value: Any) -> Any:
    """The same value with every text in it, keys included, freed of control bytes."""
    if isinstance(value, str):
        return clean(value, newlines=True)
    if isinstance(value, dict):
        return {cleaned(key): cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(item) for item in value]
    return value
