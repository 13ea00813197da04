"""What a filter means, as a tree of values. `str(node)` is an expression that parses to it again.

Nodes are frozen and hashable, so that results can be kept by node.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bioretrieval_tui.query.schema import Interval

KEYWORDS = frozenset({"AND", "OR", "NOT"})
_PLAIN_VALUE = re.compile(r"\w[\w/+#%&@.-]*")


@dataclass(frozen=True, slots=True)
class Everything:
    """The empty filter."""

    def __str__(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Word:
    """A bare word: found loosely in names, tags and text, and ranked."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words in this order, none cut."""

    text: str

    def __str__(self) -> str:
        return quoted(self.text)


@dataclass(frozen=True, slots=True)
class Has:
    """The field has a value."""

    field: str

    def __str__(self) -> str:
        return f"has:{self.field}"


@dataclass(frozen=True, slots=True)
class Matches:
    """A text, or one of a set: a word begins with one of `values`, or the text is equal to it."""

    field: str
    operator: Literal[":", "="]
    values: tuple[str, ...]

    def __str__(self) -> str:
        shown = (v if _PLAIN_VALUE.fullmatch(v) else quoted(v) for v in self.values)
        return f"{self.field}{self.operator}{','.join(shown)}"


@dataclass(frozen=True, slots=True)
class Compares:
    """A number lies in one of `intervals`."""

    field: str
    operator: Literal[":", "=", ">", ">=", "<", "<="]
    intervals: tuple[Interval, ...]

    def __str__(self) -> str:
        return f"{self.field}{self.operator}{','.join(i.text for i in self.intervals)}"


@dataclass(frozen=True, slots=True)
class Flag:
    """A yes-or-no field is known and is `value`."""

    field: str
    value: bool

    def __str__(self) -> str:
        return f"{self.field}:{'yes' if self.value else 'no'}"


@dataclass(frozen=True, slots=True)
class Not:
    """All rows that `node` does not match."""

    node: Node

    def __str__(self) -> str:
        return f"-({self.node})" if isinstance(self.node, All | Any) else f"-{self.node}"


@dataclass(frozen=True, slots=True)
class All:
    """Every one of two or more nodes."""

    nodes: tuple[Node, ...]

    def __str__(self) -> str:
        return " ".join(f"({node})" if isinstance(node, Any) else str(node) for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Any:
    """At least one of two or more nodes."""

    nodes: tuple[Node, ...]

    def __str__(self) -> str:
        return " OR ".join(map(str, self.nodes))


Node: TypeAlias = Everything | Word | Phrase | Has | Matches | Compares | Flag | Not | All | Any


def quoted(text: str) -> str:
    """`text` in double quotes, with quotes and backslashes escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def negated(node: Node) -> Node:
    """The opposite, without double negations."""
    return node.node if isinstance(node, Not) else Not(node)


def joined(kind: type[All | Any], nodes: list[Node]) -> Node:
    """One node for all of `nodes`, or for any of them, without nesting of the same kind."""
    flat = [part for node in nodes for part in (node.nodes if isinstance(node, kind) else (node,))]
    return flat[0] if len(flat) == 1 else kind(tuple(flat))
