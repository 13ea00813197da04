"""What a filter means, as a tree of values that can be compared and kept as keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from bioretrieval_tui.query.schema import Interval

_PLAIN_VALUE = re.compile(r"\w[\w/+#%&@.-]*")


class Everything(msgspec.Struct, frozen=True):
    """The empty filter."""


class Word(msgspec.Struct, frozen=True):
    """A bare word: found loosely in names, tags and text, and ranked."""

    text: str


class Phrase(msgspec.Struct, frozen=True):
    """Words in this order, none cut."""

    text: str


class Has(msgspec.Struct, frozen=True):
    """The field has a value."""

    field: str


class Matches(msgspec.Struct, frozen=True):
    """A text, or one of a set: a word begins with one of `values`, or the text is equal to it.
    `str` is the condition as it is written."""

    field: str
    operator: Literal[":", "="]
    values: tuple[str, ...]

    def __str__(self) -> str:
        shown = (v if _PLAIN_VALUE.fullmatch(v) else quoted(v) for v in self.values)
        return f"{self.field}{self.operator}{','.join(shown)}"


class Compares(msgspec.Struct, frozen=True):
    """A number lies in one of `intervals`."""

    field: str
    intervals: tuple[Interval, ...]


class Flag(msgspec.Struct, frozen=True):
    """A yes-or-no field is known and is `value`."""

    field: str
    value: bool


class Not(msgspec.Struct, frozen=True):
    """All rows that `node` does not match."""

    node: Node


class All(msgspec.Struct, frozen=True):
    """Every one of two or more nodes."""

    nodes: tuple[Node, ...]


class Any(msgspec.Struct, frozen=True):
    """At least one of two or more nodes."""

    nodes: tuple[Node, ...]


Node: TypeAlias = Everything | Word | Phrase | Has | Matches | Compares | Flag | Not | All | Any


def quoted(text: str) -> str:
    """`text` in double quotes, with quotes and backslashes escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def mapped(node: Node, change: Callable[[Node], Node]) -> Node:
    """The filter with each of its words, phrases and conditions changed."""
    match node:
        case Not(inner):
            return Not(mapped(inner, change))
        case All(nodes):
            return All(tuple(mapped(part, change) for part in nodes))
        case Any(nodes):
            return Any(tuple(mapped(part, change) for part in nodes))
    return change(node)


def without_field(node: Node, field: str) -> Node:
    """The filter without its conditions on a field, as far as each is required by itself."""
    if isinstance(node, All):
        kept = [one for one in node.nodes if without_field(one, field) is one]
        return node if len(kept) == len(node.nodes) else joined(All, kept or [Everything()])
    own = isinstance(node, Matches | Compares) and node.field == field
    return Everything() if own else node


def negated(node: Node) -> Node:
    """The opposite, without double negations."""
    return node.node if isinstance(node, Not) else Not(node)


def joined(kind: type[All | Any], nodes: list[Node]) -> Node:
    """One node for all of `nodes`, or for any of them, without nesting of the same kind."""
    flat = [part for node in nodes for part in (node.nodes if isinstance(node, kind) else (node,))]
    return flat[0] if len(flat) == 1 else kind(tuple(flat))
