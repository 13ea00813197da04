"""YAML and the types that its values should have: nodes that know their line, and every defect.

The C loader composes nodes that know their line; `plain` and `scalar` turn them into text, numbers,
booleans, null, lists and maps, and nothing else (no tags, no objects). `Walk` compares a node with
the type that it should have and reports every defect with its line and field.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import msgspec
import yaml
from msgspec import inspect as shapes

from bioretrieval_tui.catalog.models import MAX_BYTES
from bioretrieval_tui.errors import Problem, escaped

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH = 40
_SPARE_NODES = 10_000
_BOOLEANS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


def compose(path: Path, data: bytes) -> yaml.Node | Problem | None:
    """The root node of `data`, the content of `path`; None for an empty file, and a syntax error as
    a Problem."""
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
    return root


def _line_too_deep(text: str) -> int | None:
    """The line on which nesting first goes beyond what a catalogue can need, or None. Read from the
    parser's events, which need no stack: the C composer recurses as deep as the text does, and a
    few kilobytes of brackets would crash the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            return event.start_mark.line + 1 if event.start_mark else 1
    return None


def _too_large(root: yaml.Node, length: int) -> bool:
    """True where aliases unfold to more nodes than the text could spell out, or to a circle. Each
    use of an alias counts, so a few lines that expand to millions of nodes are refused before they
    are expanded."""
    budget = length + _SPARE_NODES
    stack = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        budget -= 1
        if depth > _MAX_DEPTH or budget < 0:
            return True
        if isinstance(node, yaml.MappingNode):
            stack += ((item, depth + 1) for pair in node.value for item in pair)
        elif isinstance(node, yaml.SequenceNode):
            stack += ((item, depth + 1) for item in node.value)
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


def shown(text: str) -> str:
    """`text` for quotation in a message: escaped, and cut when long."""
    return escaped(text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "\u2026")


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest of `known`, or nothing."""
    close = difflib.get_close_matches(word[:_LONGEST_SHOWN], list(known), n=1, cutoff=0.6)
    return f"; did you mean '{shown(close[0])}'?" if close else ""


@lru_cache(maxsize=64)
def shape_of(kind: type[msgspec.Struct]) -> shapes.StructType:
    return cast(shapes.StructType, shapes.type_info(kind))


EXTRA = "extra"
"""Where an entry keeps the values of fields that its struct does not have."""


class Walk(msgspec.Struct):
    """Collects the problems of one record. extra: types of fields outside its struct; their values
    go into its `extra`."""

    file: Path
    entry: str | None
    problems: list[Problem]
    extra: Mapping[str, shapes.Type] = {}

    def record(
        self, node: yaml.Node, kind: type[msgspec.Struct], *, whole: bool = True
    ) -> dict[str, Any]:
        """The plain values of `node` that fit `kind`; what does not fit is reported. whole: False
        for an override of single fields."""
        value = self._struct(node, shape_of(kind), "", whole=whole)
        return value if isinstance(value, dict) else {}

    def say(self, node: yaml.Node, field: str, message: str) -> Any:
        """Report a problem at the line of `node`."""
        place = shown(field) if field else None
        self.problems.append(Problem(self.file, message, line_of(node), self.entry, place))
        return _SKIP

    def pairs(
        self, node: yaml.Node, field: str, known: Iterable[str] | None = None, what: str = "key"
    ) -> Iterator[tuple[str, str, yaml.Node, yaml.Node]]:
        """Each key of a map with its field, its node and its value's; one that is unknown or given
        twice is reported instead."""
        if not isinstance(node, yaml.MappingNode):
            self.say(node, field, "expects a map of keys and values")
            return
        seen: set[str] = set()
        for key_node, value in node.value:
            key = key_text(key_node)
            inner = f"{field}.{key}" if field else key
            place = inner if what == "key" else ""
            if known is not None and key not in known:
                self.say(key_node, place, f"unknown {what} '{shown(key)}'{nearest(key, known)}")
            elif key in seen:
                self.say(key_node, place, f"{what} '{shown(key)}' is given twice")
            else:
                seen.add(key)
                yield key, inner, key_node, value

    def _check(self, node: yaml.Node, shape: shapes.Type, field: str, what: str = "") -> Any:
        """The plain value of `node`, or _SKIP; what: the values of the type, in words."""
        match shape:
            case shapes.Metadata():
                described = (shape.extra_json_schema or {}).get("description", "")
                return self._check(node, shape.type, field, described)
            case shapes.UnionType():  # `X | None`: the catalogue has no other
                if isinstance(node, yaml.ScalarNode) and scalar(node) is None:
                    return None
                (inner,) = [t for t in shape.types if not isinstance(t, shapes.NoneType)]
                return self._check(node, inner, field)
            case shapes.StructType():
                return self._struct(node, shape, field)
            case shapes.VarTupleType() | shapes.TupleType():
                return self._list(node, shape, field)
            case shapes.DictType():
                if not isinstance(node, yaml.MappingNode):
                    return self.say(node, field, "expects a map of keys and values")
                found = {
                    key: self._check(value, shape.value_type, inner)
                    for key, inner, _, value in self.pairs(node, field)
                }
                return {key: value for key, value in found.items() if value is not _SKIP}
        if not isinstance(node, yaml.ScalarNode):
            return self.say(node, field, "expects a single value")
        value = scalar(node)
        if fault := _scalar_fault(value, shape, what):
            return self.say(node, field, fault)
        whole = isinstance(shape, shapes.FloatType) and isinstance(value, int)
        return float(value) if whole else value  # type: ignore[arg-type]  # `whole` means an int

    def _struct(
        self, node: yaml.Node, shape: shapes.StructType, field: str, *, whole: bool = True
    ) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self.say(node, field, "expects a map of keys and values")
        fields = {f.encode_name: f for f in shape.fields if f.encode_name != EXTRA}
        types = {name: spec.type for name, spec in fields.items()}
        types |= {} if field else self.extra
        out: dict[str, Any] = {}
        missing = {name: None for name, spec in fields.items() if spec.required and whole}
        for key, inner, _, value_node in self.pairs(node, field, types):
            missing.pop(key, None)
            value = self._check(value_node, types[key], inner)
            if value is _SKIP:
                continue
            if key in fields:
                out[key] = value
            else:
                whole_number = isinstance(value, float) and value.is_integer()
                out.setdefault(EXTRA, {})[key] = int(value) if whole_number else value
        for name in missing:
            self.say(node, f"{field}.{name}" if field else name, "is missing")
        return out

    def _list(
        self, node: yaml.Node, shape: shapes.VarTupleType | shapes.TupleType, field: str
    ) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            return self.say(node, field, "expects a list")
        if isinstance(shape, shapes.TupleType):
            kinds = shape.item_types
            if len(node.value) != len(kinds):
                return self.say(node, field, f"expects {len(kinds)} items")
        else:
            kinds = (shape.item_type,) * len(node.value)
            if len(kinds) < (shape.min_length or 0):
                return self.say(node, field, "must not be empty")
        checked = [
            self._check(item, kind, f"{field}[{i}]")
            for i, (item, kind) in enumerate(zip(node.value, kinds, strict=True))
        ]
        return [value for value in checked if value is not _SKIP]


def _scalar_fault(value: object, shape: shapes.Type, what: str) -> str | None:
    """What is wrong with `value` as a `shape`, or None."""
    fits = isinstance(shape, shapes.LiteralType) and value in shape.values
    if fits and type(value) is not bool:
        return None
    found = "nothing" if value is None else f"'{shown(str(value))}'"
    match shape:
        case shapes.LiteralType():
            words = [str(v) for v in shape.values]
            hint = f", {what}" if what else nearest(str(value), words)
            hint = " (put it in quotes)" if isinstance(value, bool) else hint
            return f"{found} is not one of {', '.join(words)}{hint}"
        case shapes.BoolType():
            return None if isinstance(value, bool) else f"expects true or false, found {found}"
        case shapes.IntType() | shapes.FloatType():
            whole = isinstance(shape, shapes.IntType)
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                return f"expects {'a whole number' if whole else 'a number'}, found {found}"
            if not -_LARGEST < value < _LARGEST:  # nor NaN
                return f"is out of range, found {found}"
            if shape.ge is not None and value < shape.ge:
                return f"must be at least {shape.ge}, found {found}"
            if shape.le is not None and value > shape.le:
                return f"must be at most {shape.le}, found {found}"
            if shape.gt is not None and value <= shape.gt:
                return f"must be more than {shape.gt}, found {found}"
            if shape.lt is not None and value >= shape.lt:
                return f"must be less than {shape.lt}, found {found}"
        case shapes.StrType():
            if not isinstance(value, str):
                return f"expects text, found {found} (put it in quotes)"
            if _SURROGATE.search(value):
                return f"holds a character that no file can be written with, found {found}"
            if len(value.strip()) < (shape.min_length or 0):
                return "must not be empty"
            # A last line end is part of the value, and no character may be invisible.
            if shape.pattern and not (value.isprintable() and re.fullmatch(shape.pattern, value)):
                return f"{found} is not {what}"
    return None
