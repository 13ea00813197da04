"""What mteb's source declares of models: the `ModelMeta(...)` calls, read without running them.

The values of a call are constants, or expressions over constants of the same or another module of
`mteb/models`: sets and their unions, numbers, `int(7.56 * 1e6)`. An expression beyond that is not
guessed at: its field is left out, with a note.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

FIELDS = frozenset(
    """adapted_from embed_dim languages license max_tokens memory_usage_mb model_type
    n_embedding_parameters n_parameters name open_weights public_training_code public_training_data
    release_date revision similarity_fn_name superseded_by training_datasets
    use_instructions""".split()
)
"""The fields of a call that are read."""

OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    one.__name__: one for one in (set, frozenset, list, tuple, sorted, dict, int, float, round)
}
METHODS = frozenset({"copy", "union", "difference", "intersection", "keys"})
LITERALS: dict[type[ast.expr], Callable[..., Any]] = {ast.List: list, ast.Tuple: list, ast.Set: set}
MOST_POWER = 64
"""The largest exponent: sizes such as 1024 ** 3 are written so, endless numbers are not."""


class Unresolved(Exception):
    """An expression that is not made of constants."""


@dataclass(frozen=True, slots=True)
class Module:
    """A module. constants: expressions by name; imported: module path and name by local name;
    calls: the `ModelMeta` calls outside functions and classes."""

    path: str
    constants: dict[str, ast.expr] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    calls: list[ast.Call] = field(default_factory=list)


def read_models(sources: Mapping[str, str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The declared fields of each model by name, and notes on what was left out.

    sources: the text of each module of `mteb/models` by its path in the repository.

    Raises:
        SyntaxError: a module is no Python; `filename` and `lineno` say where.
    """
    modules = {path: _module(path, sources[path]) for path in sorted(sources)}
    models: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    for module in modules.values():
        for call in module.calls:
            place = f"{module.path}:{call.lineno}"
            fields: dict[str, Any] = {}
            for key, node in _arguments(call):
                try:
                    value = _Evaluation(modules).value(node, module)
                except (Unresolved, ArithmeticError, LookupError, TypeError, ValueError):
                    text = " ".join(ast.unparse(node).split())
                    notes.append(f"{place}: {key} is left out: {text[:60]} is no constant")
                    continue
                fields |= value if key == "**" and isinstance(value, dict) else {key: value}
            name = fields.get("name")
            if not isinstance(name, str):
                notes.append(f"{place}: a model without a constant name is left out")
            elif name in models:
                notes.append(f"{place}: {name} is declared again; the first stays")
            else:
                models[name] = {key: fields[key] for key in FIELDS & fields.keys()}
    return models, notes


def _arguments(call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    for keyword in call.keywords:
        if keyword.arg is None:
            yield "**", keyword.value
        elif keyword.arg in FIELDS:
            yield keyword.arg, keyword.value


def _module(path: str, text: str) -> Module:
    module = Module(path)
    for statement in ast.parse(text, path).body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        _define(statement, module)
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and _last_name(node.func) == "ModelMeta":
                module.calls.append(node)
    return module


def _define(statement: ast.stmt, module: Module) -> None:
    """Note what a statement names, or adds to something named: `|=`, `+=`, `.update(...)`."""
    constants = module.constants
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            constants[name] = value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            constants[name] = value
        case ast.AugAssign(target=ast.Name(id=name), op=kind, value=value) if name in constants:
            constants[name] = ast.BinOp(constants[name], kind, value)
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="update"), args=[value])
        ) if name in constants:
            constants[name] = ast.BinOp(constants[name], ast.BitOr(), value)
        case ast.ImportFrom(module=source, names=names, level=level):
            parts = module.path.split("/")[:-level] if level else []
            origin = "/".join((*parts, *(source or "").split(".")))
            for alias in names:
                module.imported[alias.asname or alias.name] = (origin, alias.name)


def _last_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


@dataclass(slots=True)
class _Evaluation:
    """The value of one expression. following: names being looked up, to end circles."""

    modules: Mapping[str, Module]
    following: set[tuple[str, str]] = field(default_factory=set)

    def value(self, node: ast.expr, module: Module) -> Any:
        """Raises Unresolved, or what the operation on the constants raises."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return LITERALS[type(node)](self._items(items, module))
            case ast.Dict(keys=keys, values=values):
                found: dict[Any, Any] = {}
                for key, one in zip(keys, values, strict=True):
                    value = self.value(one, module)
                    found |= value if key is None else {self.value(key, module): value}
                return found
            case ast.Name(id=name):
                return self._named(name, module)
            case ast.Attribute(value=base, attr=attr):
                return self._attribute(base, attr, module)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.value(operand, module)
            case ast.BinOp(left=left, op=kind, right=right):
                return self._operation(kind, self.value(left, module), self.value(right, module))
            case ast.Subscript(value=base, slice=index):
                return self.value(base, module)[self.value(index, module)]
            case ast.Call(func=function, args=arguments, keywords=keywords):
                return self._call(function, arguments, keywords, module)
        raise Unresolved

    def _items(self, nodes: list[ast.expr], module: Module) -> Iterator[Any]:
        for node in nodes:
            if isinstance(node, ast.Starred):
                yield from self.value(node.value, module)
            else:
                yield self.value(node, module)

    def _named(self, name: str, module: Module) -> Any:
        """The value of a constant, here or in the module that it is imported from."""
        key = (module.path, name)
        if key in self.following:
            raise Unresolved
        self.following.add(key)
        try:
            if name in module.constants:
                return self.value(module.constants[name], module)
            path, original = module.imported.get(name, ("", ""))
            for file in (f"{path}.py", f"{path}/__init__.py"):
                if file in self.modules:
                    return self._named(original, self.modules[file])
        finally:
            self.following.discard(key)
        raise Unresolved

    def _attribute(self, base: ast.expr, attr: str, module: Module) -> Any:
        """`np.inf`, a member of an enumeration by its name, or a field of another model."""
        if attr == "inf":
            return math.inf
        if not isinstance(base, ast.Name):
            raise Unresolved
        if base.id == "ScoringFunction":
            return attr
        call = module.constants.get(base.id)
        if isinstance(call, ast.Call) and _last_name(call.func) == "ModelMeta":
            for key, node in _arguments(call):
                if key == attr:
                    return self.value(node, module)
        raise Unresolved

    @staticmethod
    def _operation(kind: ast.operator, left: Any, right: Any) -> Any:
        if isinstance(kind, ast.Pow) and abs(right) <= MOST_POWER:
            return left**right
        if type(kind) not in OPERATORS:
            raise Unresolved
        return OPERATORS[type(kind)](left, right)

    def _call(
        self,
        function: ast.expr,
        arguments: list[ast.expr],
        keywords: list[ast.keyword],
        module: Module,
    ) -> Any:
        positional = list(self._items(arguments, module))
        named = {one.arg: self.value(one.value, module) for one in keywords if one.arg}
        match function:
            case ast.Name(id=name) if name in FUNCTIONS:
                return FUNCTIONS[name](*positional, **named)
            case ast.Attribute(value=base, attr=method) if method in METHODS and not named:
                return getattr(self.value(base, module), method)(*positional)
        raise Unresolved
