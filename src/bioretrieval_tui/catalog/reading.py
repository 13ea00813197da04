"""YAML into nodes that know their line. Knows nothing of what the catalogue means.

The C loader composes; our own constructor turns scalars into plain values, so that nothing but
text, numbers, booleans, null, lists and maps can come out of a file (no tags, no objects).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bioretrieval_tui.catalog.content import MAX_BYTES
from bioretrieval_tui.errors import Problem

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH = 40
_SPARE_NODES = 10_000
_CORE = "tag:yaml.org,2002:"
_TRUE = frozenset({"yes", "true", "on"})
_FALSE = frozenset({"no", "false", "off"})

Mapping = yaml.MappingNode
Sequence = yaml.SequenceNode
Scalar = yaml.ScalarNode
Node = yaml.Node


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file, composed. `root` is None for an empty file."""

    path: Path
    root: Node | None


def compose(path: Path, data: bytes) -> Document | Problem:
    """Compose `data`, the content of `path`; a syntax error comes back as a Problem."""
    if len(data) > MAX_BYTES:
        return Problem(path, f"is larger than {MAX_BYTES // 2**20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Problem(path, f"is not UTF-8 (byte {error.start})", line=line)
    try:
        deep = _line_too_deep(text)
        if deep is not None:
            return Problem(path, f"is nested more than {_MAX_DEPTH} levels deep", line=deep)
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line_number = None if mark is None else mark.line + 1
        said = " ".join(filter(None, (error.context, error.problem)))
        return Problem(path, f"is not valid YAML: {said}", line=line_number)
    except (yaml.YAMLError, ValueError) as error:
        return Problem(path, f"is not valid YAML: {error}")
    if root is not None and _too_large(root, len(text)):
        return Problem(path, "grows too large or refers to itself through its aliases (*name)")
    return Document(path, root)


def _line_too_deep(text: str) -> int | None:
    """The line on which nesting first goes beyond what a catalogue can need, or None.

    Found from the parser's events, which need no stack: the C composer recurses as deep as the
    text does, and a few kilobytes of brackets would end the process.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                mark = event.start_mark
                return 1 if mark is None else int(mark.line) + 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


def _too_large(root: Node, length: int) -> bool:
    """True where aliases unfold to more nodes than the text could spell out, or to a circle.

    Aliases are counted each time they are used, so a few lines that stand for millions of nodes
    are refused before anything walks them.
    """
    budget = length + _SPARE_NODES
    stack = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        budget -= 1
        if depth > _MAX_DEPTH or budget < 0:
            return True
        if isinstance(node, Mapping):
            for key, value in node.value:
                stack.append((key, depth + 1))
                stack.append((value, depth + 1))
        elif isinstance(node, Sequence):
            stack.extend((item, depth + 1) for item in node.value)
    return False


def line_of(node: Node) -> int:
    """The 1-based line on which `node` begins."""
    return int(node.start_mark.line) + 1


def scalar(node: Scalar) -> str | int | float | bool | None:
    """The value of a scalar by its resolved tag; dates and unknown tags stay text."""
    tag = node.tag[len(_CORE) :] if node.tag.startswith(_CORE) else ""
    text: str = node.value
    if tag == "null":
        return None
    if tag == "bool":
        return _boolean(text)
    if tag == "int":
        return _integer(text)
    if tag == "float":
        return _floating(text)
    return text


def _boolean(text: str) -> bool | str:
    """`!!bool maybe` is text: a tag that a file sets by hand proves nothing."""
    word = text.casefold()
    return True if word in _TRUE else False if word in _FALSE else text


def _integer(text: str) -> int | str:
    try:
        value = int(text.replace("_", ""), 0)
    except ValueError:
        return text
    # Nothing counts that far, and Python refuses to write such a number out again.
    return value if value.bit_length() <= 64 else text


def _floating(text: str) -> float | str:
    try:
        return float(text.replace("_", ""))
    except ValueError:
        return text


def key_text(node: Node) -> str:
    """A key as it is written: YAML would read `on` as true and `1` as a number."""
    return str(node.value) if isinstance(node, Scalar) else str(plain(node))


def plain(node: Node) -> Any:
    """A node as plain Python values (later keys win, as in YAML)."""
    if isinstance(node, Mapping):
        return {key_text(key): plain(value) for key, value in node.value}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.value]
    return scalar(node) if isinstance(node, Scalar) else None
