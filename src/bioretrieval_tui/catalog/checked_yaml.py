"""YAML of catalogue files: composed into nodes that know their line, and checked against types.

The C loader composes; `plain` and `scalar` turn nodes into text, numbers, booleans, null, lists and
maps, and nothing else (no tags, no objects). `Walk` compares a node with the type that it should
have and reports every defect with its line and field.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import msgspec
import yaml
from msgspec import inspect as shapes

from bioretrieval_tui.catalog.models import MAX_BYTES
from bioretrieval_tui.errors import Problem

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH = 40
_SPARE_NODES = 10_000
_BOOLEANS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One YAML file, composed. `root` is None for an empty file."""

    path: Path
    root: yaml.Node | None


def compose(path: Path, data: bytes) -> YamlDocument | Problem:
    """Compose `data`, the content of `path`; a syntax error comes back as a Problem."""
    if len(data) > MAX_BYTES:
        return Problem(path, f"is larger than {MAX_BYTES // 2**20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Problem(path, f"is not UTF-8 (byte {error.start})", line=line)
    try:
        if (deep := _line_too_deep(text)) is not None:
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
    return YamlDocument(path, root)


def _line_too_deep(text: str) -> int | None:
    """The line on which nesting first goes beyond what a catalogue can need, or None.

    Read from the parser's events, which need no stack: the C composer recurses as deep as the
    text does, and a few kilobytes of brackets would crash the process.
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


def _too_large(root: yaml.Node, length: int) -> bool:
    """True where aliases unfold to more nodes than the text could spell out, or to a circle.

    Each use of an alias counts, so a few lines that expand to millions of nodes are refused
    before they are expanded.
    """
    budget = length + _SPARE_NODES
    stack = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        budget -= 1
        if depth > _MAX_DEPTH or budget < 0:
            return True
        if isinstance(node, yaml.MappingNode):
            stack.extend((item, depth + 1) for pair in node.value for item in pair)
        elif isinstance(node, yaml.SequenceNode):
            stack.extend((item, depth + 1) for item in node.value)
    return False


def line_of(node: yaml.Node) -> int:
    """The 1-based line on which `node` begins."""
    return int(node.start_mark.line) + 1


def scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    """The value of a scalar by its resolved tag; dates and unknown tags stay text."""
    text: str = node.value
    # A file can set any tag by hand: `!!bool maybe` and `!!int x` stay text.
    match node.tag:
        case "tag:yaml.org,2002:null":
            return None
        case "tag:yaml.org,2002:bool":
            return _BOOLEANS.get(text.casefold(), text)
        case "tag:yaml.org,2002:int" | "tag:yaml.org,2002:float":
            try:
                if node.tag.endswith("float"):
                    return float(text.replace("_", ""))
                value = int(text.replace("_", ""), 0)
            except ValueError:
                return text
            # Python refuses to print much longer numbers.
            return value if value.bit_length() <= 64 else text
    return text


def key_text(node: yaml.Node) -> str:
    """A key as it is written: YAML would read `on` as true and `1` as a number."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else str(plain(node))


def plain(node: yaml.Node) -> Any:
    """A node as plain Python values (later keys win, as in YAML)."""
    if isinstance(node, yaml.MappingNode):
        return {key_text(key): plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(item) for item in node.value]
    return scalar(node) if isinstance(node, yaml.ScalarNode) else None


# Types --------------------------------------------------------------------------------------

_SKIP = object()
_LONGEST_SHOWN = 80
_SURROGATE = re.compile("[\ud800-\udfff]")
_LARGEST = 2**63
"""Numbers stay within what the compiled form's JSON readers take."""


def escaped(text: str) -> str:
    """`text` with unprintable characters escaped as in Python."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(text: str) -> str:
    """`text` for quotation in a message: escaped, and cut when long."""
    return escaped(text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "\u2026")


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest of `known`, or nothing."""
    close = difflib.get_close_matches(word[:_LONGEST_SHOWN], list(known), n=1, cutoff=0.6)
    return f"; did you mean '{shown(close[0])}'?" if close else ""


@lru_cache(maxsize=64)
def shape_of(kind: type[msgspec.Struct]) -> shapes.StructType:
    """The inspected form of a struct type."""
    return cast(shapes.StructType, shapes.type_info(kind))


EXTRA = "extra"
"""Where an entry keeps the values of fields that its struct does not have."""


class Walk:
    """Collects the problems of one record. `whole` is False for an override of single fields.

    extra: types of fields outside its struct; their values go into its `extra`.
    """

    def __init__(
        self,
        file: Path,
        entry: str | None,
        problems: list[Problem],
        extra: Mapping[str, shapes.Type] | None = None,
    ) -> None:
        self.file = file
        self.entry = entry
        self.problems = problems
        self.extra = extra or {}

    def record(
        self, node: yaml.Node, kind: type[msgspec.Struct], *, whole: bool = True
    ) -> dict[str, Any]:
        """The plain values of `node` that fit `kind`; what does not fit is reported."""
        value = self._struct(node, shape_of(kind), "", whole)
        return value if isinstance(value, dict) else {}

    def _say(self, node: yaml.Node, field: str, message: str) -> Any:
        place = shown(field) if field else None
        self.problems.append(Problem(self.file, message, line_of(node), self.entry, place))
        return _SKIP

    def _check(self, node: yaml.Node, shape: shapes.Type, field: str) -> Any:
        if isinstance(shape, shapes.Metadata):
            return self._check(node, shape.type, field)
        if isinstance(shape, shapes.UnionType):  # `X | None`: the catalogue has no other
            if isinstance(node, yaml.ScalarNode) and scalar(node) is None:
                return None
            (inner,) = [t for t in shape.types if not isinstance(t, shapes.NoneType)]
            return self._check(node, inner, field)
        if isinstance(shape, shapes.StructType):
            return self._struct(node, shape, field, True)
        if isinstance(shape, shapes.VarTupleType | shapes.TupleType):
            return self._list(node, shape, field)
        if isinstance(shape, shapes.DictType):
            return self._dict(node, shape, field)
        return self._scalar(node, shape, field)

    def _struct(self, node: yaml.Node, shape: shapes.StructType, field: str, whole: bool) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self._say(node, field, "expects a map of keys and values")
        fields = {f.encode_name: f for f in shape.fields if f.encode_name != EXTRA}
        types = {name: spec.type for name, spec in fields.items()}
        types |= {} if field else self.extra
        out: dict[str, Any] = {}
        seen: set[str] = set()
        for key_node, value_node in node.value:
            key = key_text(key_node)
            inner = f"{field}.{key}" if field else key
            if key not in types:
                hint = nearest(key, types)
                self._say(key_node, inner, f"unknown key '{shown(key)}'{hint}")
                continue
            if key in seen:
                self._say(key_node, inner, f"key '{key}' is given twice")
                continue
            seen.add(key)
            value = self._check(value_node, types[key], inner)
            if value is _SKIP:
                continue
            if key in fields:
                out[key] = value
            else:
                whole_number = isinstance(value, float) and value.is_integer()
                out.setdefault(EXTRA, {})[key] = int(value) if whole_number else value
        if whole:
            for name, spec in fields.items():
                if spec.required and name not in seen:
                    self._say(node, name if not field else f"{field}.{name}", "is missing")
        return out

    def _list(
        self, node: yaml.Node, shape: shapes.VarTupleType | shapes.TupleType, field: str
    ) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            return self._say(node, field, "expects a list")
        if isinstance(shape, shapes.TupleType):
            if len(node.value) != len(shape.item_types):
                return self._say(node, field, f"expects {len(shape.item_types)} items")
            kinds = list(shape.item_types)
        else:
            kinds = [shape.item_type] * len(node.value)
            if shape.min_length and len(node.value) < shape.min_length:
                return self._say(node, field, "must not be empty")
        checked = [
            self._check(item, kind, f"{field}[{i}]")
            for i, (item, kind) in enumerate(zip(node.value, kinds, strict=True))
        ]
        return [value for value in checked if value is not _SKIP]

    def _dict(self, node: yaml.Node, shape: shapes.DictType, field: str) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self._say(node, field, "expects a map of keys and values")
        out: dict[str, Any] = {}
        seen: set[str] = set()
        for key_node, value_node in node.value:
            key = key_text(key_node)
            if key in seen:
                self._say(key_node, f"{field}.{key}", f"key '{shown(key)}' is given twice")
                continue
            seen.add(key)
            value = self._check(value_node, shape.value_type, f"{field}.{key}")
            if value is not _SKIP:
                out[key] = value
        return out

    def _scalar(self, node: yaml.Node, shape: shapes.Type, field: str) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            return self._say(node, field, "expects a single value")
        value = scalar(node)
        if fault := _scalar_fault(value, shape):
            return self._say(node, field, fault)
        if isinstance(shape, shapes.FloatType) and isinstance(value, int):
            return float(value)
        return value


def _scalar_fault(value: object, shape: shapes.Type) -> str | None:
    """What is wrong with `value` as a `shape`, or None."""
    found = "nothing" if value is None else f"'{shown(str(value))}'"
    if isinstance(shape, shapes.LiteralType):
        if value in shape.values:
            return None
        words = [str(v) for v in shape.values]
        return f"{found} is not one of {', '.join(words)}{nearest(str(value), words)}"
    if isinstance(shape, shapes.BoolType):
        return None if isinstance(value, bool) else f"expects true or false, found {found}"
    if isinstance(shape, shapes.IntType | shapes.FloatType):
        return _number_fault(value, shape, found)
    if isinstance(shape, shapes.StrType):
        if not isinstance(value, str):
            return f"expects text, found {found} (put it in quotes)"
        if _SURROGATE.search(value):
            return f"holds a character that no file can be written with, found {found}"
        if shape.min_length and len(value.strip()) < shape.min_length:
            return "must not be empty"
        # A last line end is part of the value, and no character may be invisible.
        if shape.pattern and not (value.isprintable() and re.fullmatch(shape.pattern, value)):
            return _pattern_fault(found, shape.pattern)
        return None
    return f"cannot be read as {type(shape).__name__}"  # pragma: no cover - no such type in use


def _number_fault(
    value: object, shape: shapes.IntType | shapes.FloatType, found: str
) -> str | None:
    whole = isinstance(shape, shapes.IntType)
    wrong = isinstance(value, bool) or (whole and not isinstance(value, int))
    if wrong or not isinstance(value, int | float):
        return f"expects {'a whole number' if whole else 'a number'}, found {found}"
    if not -_LARGEST < value < _LARGEST or not math.isfinite(value):
        return f"is out of range, found {found}"
    if shape.ge is not None and not value >= shape.ge:
        return f"must be at least {shape.ge}, found {found}"
    if shape.le is not None and not value <= shape.le:
        return f"must be at most {shape.le}, found {found}"
    return None


def _pattern_fault(found: str, pattern: str) -> str:
    if "https?" in pattern:
        return f"{found} is not an http or https address"
    if pattern.startswith("^[a-z0-9]+(-"):
        return f"{found} is not an id (lower-case letters, digits and single hyphens)"
    if r"\d{4}-\d{2}" in pattern:
        return f"{found} is not a date (YYYY-MM-DD)"
    return f"{found} does not have the right form ({pattern})"
