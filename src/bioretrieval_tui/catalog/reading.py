"""YAML into nodes that know their line. Knows nothing of what the catalogue means.

The C loader composes; our own constructor turns scalars into plain values, so that nothing but
text, numbers, booleans, null, lists and maps can come out of a file (no tags, no objects).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bioretrieval_tui.errors import Problem

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_BYTES = 16 * 1024 * 1024
_MAX_DEPTH = 40

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
    if len(data) > _MAX_BYTES:
        return Problem(path, f"is larger than {_MAX_BYTES // 2**20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Problem(path, f"is not UTF-8 (byte {error.start})", line=line)
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line_number = None if mark is None else mark.line + 1
        said = " ".join(filter(None, (error.context, error.problem)))
        return Problem(path, f"is not valid YAML: {said}", line=line_number)
    except (yaml.YAMLError, ValueError) as error:
        return Problem(path, f"is not valid YAML: {error}")
    except RecursionError:
        return Problem(path, "is nested too deeply")
    if root is not None and _too_deep(root):
        return Problem(path, "is nested too deeply, or refers to itself")
    return Document(path, root)


def _too_deep(root: Node) -> bool:
    """True beyond the depth a catalogue can need; aliases are counted each time they are used."""
    budget = 2_000_000
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
    tag = node.tag.rpartition(":")[2]
    text: str = node.value
    if tag == "null":
        return None
    if tag == "bool":
        return text.lower() in ("yes", "true", "on")
    if tag == "int":
        return _integer(text)
    if tag == "float":
        return _floating(text)
    return text


def _integer(text: str) -> int | str:
    try:
        return int(text.replace("_", ""), 0)
    except ValueError:
        return text


def _floating(text: str) -> float | str:
    try:
        return float(text.replace("_", ""))
    except ValueError:
        return text


def plain(node: Node) -> Any:
    """A node as plain Python values (later keys win, as in YAML)."""
    if isinstance(node, Mapping):
        return {str(scalar(key)): plain(value) for key, value in node.value if _is_key(key)}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.value]
    return scalar(node)


def _is_key(node: Node) -> bool:
    return isinstance(node, Scalar)
