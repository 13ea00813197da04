"""Reads a filter expression: text -> tree of nodes, or an error that points at the column.

    either  := every (OR every)*            OR is also written |
    every   := term+                        AND may stand between, and changes nothing
    term    := - term | NOT term | ( either ) | "phrase" | field operator values | word
    values  := value (, value)*             a value is a run of characters or a "phrase"

White space around an operator is allowed: a word followed by one is always a field.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, cast

from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.query import ast
from bioretrieval_tui.query.schema import (
    BOOLEANS,
    BadValueError,
    Field,
    FieldType,
    Schema,
    days,
    interval,
)
from bioretrieval_tui.util.folding import needles

LONGEST = 10_000
"""Characters of an expression: longer than any list of ids to paste."""
DEEPEST = 40
"""Nesting of parentheses and negations."""

_SPACE = re.compile(r"\s*")
_RUN = re.compile(r'[^\s"\u201c\u201d()|]+')
_VALUE = re.compile(r'[^\s"\u201c\u201d()|,]+')
_OPERATOR = re.compile(r":?(?:>=|<=|=>|=<|!=|<>|==|[<>=\u2265\u2264\u2260])|:")
_SPELT = {"==": "=", "=>": ">=", "=<": "<=", "<>": "!=", "\u2265": ">=", "\u2264": "<=",
          "\u2260": "!="}  # fmt: skip
_KEYWORDS = ("AND", "OR", "NOT")
_CLOSING = {'"': '"', "\u201c": "\u201d"}
_QUOTED = {
    opening: re.compile(rf'{opening}((?:\\["\u201d\\]|[^{closing}])*+){closing}', re.DOTALL)
    for opening, closing in _CLOSING.items()
}
_ESCAPED = re.compile(r'\\(["\u201d\\])')
_TRIMMED = ",;.!?*-_"
_ADDRESS = re.compile(r"[a-z]{2,8}://", re.IGNORECASE)
_SHOWN = 60
_MANY, _NAMED = 12, 8
"""Fields from which an error names some of them, and how many."""

Operator = Literal[":", "=", "!=", ">", ">=", "<", "<="]
_Value = tuple[str, int, bool]
"""Text, column, whether it stood in quotes."""


class UnfinishedFilterError(FilterError):
    """The expression is incomplete but not wrong so far, as while it is typed."""


def parse(expression: str, schema: Schema) -> ast.Node:
    """The meaning of `expression` over the fields of `schema`. Raises UnfinishedFilterError: it is
    incomplete (open quote or parenthesis, operator at the end); FilterError: it has another
    fault."""
    if len(expression) > LONGEST:
        raise FilterError(
            f"a filter of {len(expression):,} characters is too long",
            expression=expression,
            column=LONGEST,
            remedy=f"keep it below {LONGEST:,}",
        )
    return _Parser(expression, schema).whole()


class _Parser:
    """Recursive descent over one expression; `at` is the column that is read next."""

    def __init__(self, expression: str, schema: Schema) -> None:
        self.text = expression
        self.schema = schema
        self.at = 0
        self.depth = 0

    def whole(self) -> ast.Node:
        if self.peek() == "":
            return ast.Everything()
        node = self.either()
        if self.peek() == ")":
            raise self.fault("this ) closes nothing", self.at, "remove it, or open a ( before")
        return node

    def either(self) -> ast.Node:
        nodes = [self.every()]
        while (sign := self.joint("OR")) is not None:
            word, column = sign
            self.need_term(f"{word} needs something after it", column)
            nodes.append(self.every())
        return ast.joined(ast.Any, nodes)

    def every(self) -> ast.Node:
        nodes = [self.term()]
        while True:
            sign = self.joint("AND")
            if sign is not None:
                self.need_term("AND needs something after it", sign[1])
            elif self.peek() in ("", ")", "|") or self.next_run() == "OR":
                return ast.joined(ast.All, nodes)
            nodes.append(self.term())

    def nested(self, read: Callable[[], ast.Node]) -> ast.Node:
        """What `read` reads, a level deeper."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.fault("nested too deeply", self.at, f"at most {DEEPEST} levels")
        node = read()
        self.depth -= 1
        return node

    def term(self) -> ast.Node:
        char, column = self.peek(), self.at
        if char == "-":
            self.at += 1
            rest = self.text[self.at :]
            if not rest.strip():
                raise self.unfinished("- needs a term right after it", column, "write -term")
            if rest[0].isspace() or rest[0] in ")|":
                raise self.fault("- needs a term right after it", column, "write -term")
            return ast.negated(self.nested(self.term))
        if char == "(":
            self.at += 1
            if self.peek() == ")":
                what = "nothing stands between the parentheses"
                raise self.fault(what, column, "remove them")
            node = self.nested(self.either) if self.peek() else ast.Everything()
            if self.peek() != ")":
                raise self.unfinished("this ( is not closed", column, "add a ) at its end")
            self.at += 1
            return node
        if char in _CLOSING:
            phrase = self.quoted()
            if not needles(phrase):
                what = "the quotes hold nothing to look for"
                raise self.fault(what, column, "put a word in them")
            return ast.Phrase(phrase)
        if char == "\u201d":
            raise self.fault("this quote closes nothing", column, "use a pair of plain quotes")
        if char in ("|", ")"):
            what = f"{'OR' if char == '|' else 'this )'} needs something before it"
            raise self.fault(what, column, "remove it, or add a term")
        return self.run()

    def run(self) -> ast.Node:
        """A term that starts with neither quote nor parenthesis: keyword, field or word."""
        column, run = self.at, self.next_run()
        inner = _OPERATOR.search(run)
        if inner and inner.start() == 0:
            raise self.fault(
                f"{inner[0]} needs a field name before it",
                column,
                f"write for example year>=2020, or quote the text: {ast.quoted(run[:_SHOWN])}",
            )
        if inner:
            return self.clause(run[: inner.start()], column, column + inner.start())
        self.at += len(run)
        if run == "NOT":
            self.need_term("NOT needs something after it", column)
            return ast.negated(self.nested(self.term))
        if run in ("AND", "OR"):
            remedy = f'to look for the word, quote it: "{run}"'
            raise self.fault(f"{run} needs something before it", column, remedy)
        after = self.skip()
        if _OPERATOR.match(self.text, after):
            return self.clause(run, column, after)
        word = run.strip(_TRIMMED)
        if not needles(word):
            what = "there is no letter or digit to look for"
            raise self.fault(what, column, "an empty filter shows all")
        return ast.Word(word)

    def clause(self, name: str, column: int, sign_at: int) -> ast.Node:
        """`name` at `column`, then the operator at `sign_at`, then its values."""
        match = cast("re.Match[str]", _OPERATOR.match(self.text, sign_at))
        sign = match[0].removeprefix(":") or ":"
        operator = cast("Operator", _SPELT.get(sign, sign))
        self.at = match.end()
        if name.casefold() in ("has", "is"):
            return self.about_fields(name.casefold(), operator, sign_at)
        field = self.schema.find(name)
        if field is None:
            raise self.unknown(name, column)
        values = self.values(match[0], sign_at)
        if operator in (":", "=", "!=") and values[0][0] == "*" and not values[0][2]:
            if len(values) > 1:
                raise self.fault("* stands alone", values[0][1], f"write {field.name}:*")
            node: ast.Node = ast.Has(field.name)
        else:
            node = self.condition(field, "=" if operator == "!=" else operator, values, sign_at)
        return ast.negated(node) if operator == "!=" else node

    def about_fields(self, name: str, operator: Operator, sign_at: int) -> ast.Node:
        """has:FIELD and is:FIELD."""
        if operator not in (":", "="):
            raise self.fault(f"{name} is followed by : and a field", sign_at, f"write {name}:FIELD")
        wanted: FieldType | None = "bool" if name == "is" else None
        nodes: list[ast.Node] = []
        for text, column, _ in self.values(operator, sign_at):
            field = self.schema.find(text)
            if field is None and self.at == len(self.text) and self.schema.begun(text):
                what = f'"{text}" is not a whole field name'
                raise self.unfinished(what, column, self.advice(text))
            if field is None or (wanted and field.type != wanted):
                kind = "yes-or-no field" if wanted else "field"
                raise self.fault(f'"{text}" is not a {kind}', column, self.advice(text, wanted))
            nodes.append(ast.Flag(field.name, True) if wanted else ast.Has(field.name))
        return ast.joined(ast.Any, nodes)

    def condition(
        self, field: Field, operator: Operator, values: list[_Value], sign_at: int
    ) -> ast.Node:
        """The node of a field's own type; `operator` is no longer !=."""
        if field.type in ("number", "date"):
            return self.comparison(field, operator, values)
        if operator not in (":", "="):
            raise self.fault(
                f"{field.name} is not a number and cannot be compared with {operator}",
                sign_at,
                f"write {field.name}:{'yes' if field.type == 'bool' else 'value'}",
            )
        if field.type == "bool":
            text, column, quotes = values[0]
            flag = BOOLEANS.get(text.casefold())
            if len(values) > 1:
                raise self.fault(f"{field.name} takes one value", column, "write yes or no")
            if flag is not None:
                return ast.Flag(field.name, flag)
            begun = any(word.startswith(text.casefold()) for word in BOOLEANS)
            if self.at == len(self.text) and not quotes and begun:
                what = f'"{text}" is not yet yes or no'
                raise self.unfinished(what, column, "write yes or no")
            what = f'"{text}" is neither yes nor no'
            raise self.fault(what, column, f"write {field.name}:yes")
        wanted = []
        for text, column, quotes in values:
            # Beginnings of words match anyway, so a star at the end is what people mean.
            value = text if quotes or operator == "=" else text.rstrip("*")
            if not needles(value):
                remedy = f"has:{field.name} finds what has a value, -has:{field.name} the rest"
                raise self.fault("the value holds no letter or digit", column, remedy)
            wanted.append(value)
        return ast.Matches(field.name, operator, tuple(wanted))

    def comparison(self, field: Field, operator: Operator, values: list[_Value]) -> ast.Node:
        if len(values) > 1 and operator not in (":", "="):
            digits = "".join(text for text, _, _ in values)
            remedy = f"write {digits}" if digits.isdecimal() else "write two conditions with OR"
            raise self.fault(f"{operator} takes one number", values[1][1], remedy)
        intervals = []
        read = days if field.type == "date" else interval
        for text, column, _ in values:
            try:
                intervals.append(read(text.strip(), operator))
            except BadValueError as bad:
                message, remedy = bad.args
                raise self.fault(f"{field.name}: {message}", column, remedy) from bad
        return ast.Compares(field.name, tuple(intervals))

    def values(self, sign: str, sign_at: int) -> list[_Value]:
        """One value or several with commas between."""
        found: list[_Value] = []
        while not found or self.text[self.at : self.at + 1] == ",":
            self.at += bool(found)
            adjacent = self.at
            char, column = self.peek(), self.at
            if char in _CLOSING:
                found.append((self.quoted(), column, True))
                continue
            match = _VALUE.match(self.text, column)
            if match is None or (column > adjacent and match[0] in _KEYWORDS):
                what = f"a value is missing after {',' if found else sign}"
                place = adjacent - 1 if found else sign_at
                if char == "":
                    raise self.unfinished(what, place, "add it")
                raise self.fault(what, place, "add it, or quote the text to look for it")
            self.at = match.end()
            found.append((match[0], column, False))
        return found

    def quoted(self) -> str:
        """The text between the quotes that open here; a backslash escapes a quote or itself."""
        column = self.at
        match = _QUOTED[self.text[column]].match(self.text, column)
        if match is None:
            raise self.unfinished("this quote is not closed", column, "add the closing quote")
        self.at = match.end()
        return _ESCAPED.sub(r"\1", match[1])

    def next_run(self) -> str:
        match = _RUN.match(self.text, self.at)
        return match[0] if match else ""

    def skip(self) -> int:
        """The column after any white space."""
        return cast("re.Match[str]", _SPACE.match(self.text, self.at)).end()

    def peek(self) -> str:
        """Skip white space; the next character, or "" at the end."""
        self.at = self.skip()
        return self.text[self.at : self.at + 1]

    def joint(self, keyword: str) -> tuple[str, int] | None:
        """Consume `keyword` (or |, for OR) if it comes next: how it is written, and where."""
        char, column = self.peek(), self.at
        written = "|" if char == "|" and keyword == "OR" else self.next_run()
        if written not in (keyword, "|"):
            return None
        self.at += len(written)
        return written, column

    def need_term(self, message: str, column: int) -> None:
        """Raise unless a term can start here."""
        char = self.peek()
        if char == "":
            raise self.unfinished(message, column, "add a term")
        if char in (")", "|") or self.next_run() in ("AND", "OR"):
            raise self.fault(message, column, "add a term, or quote the word to look for it")

    def unknown(self, name: str, column: int) -> FilterError:
        """The error for an unknown name before an operator: misspelt, or meant as text."""
        run = cast("re.Match[str]", _RUN.match(self.text, column))[0]
        quote = f"quote it: {ast.quoted(run)}" if len(run) <= _SHOWN else "put it in quotes"
        remedy = f"{self.advice(name)}; to look for the text, {quote}"
        if _ADDRESS.match(run):
            remedy = f"to look for an address, {quote}"
        return self.fault(f'"{name}" is not a field', column, remedy)

    def advice(self, name: str, wanted: FieldType | None = None) -> str:
        """The nearest field, else the fields that there are, or the first of many."""
        if near := self.schema.nearest(name, wanted):
            return f"did you mean {near}?"
        known = [f.name for f in self.schema.fields if wanted is None or f.type == wanted]
        if len(known) <= _MANY:
            return f"there are {', '.join(known) or 'none'}"
        where = f": {self.schema.listed}" if self.schema.listed else ""
        return f"there are {', '.join(known[:_NAMED])} and {len(known) - _NAMED} more{where}"

    def fault(self, message: str, column: int, remedy: str) -> FilterError:
        return FilterError(message, expression=self.text, column=column, remedy=remedy)

    def unfinished(self, message: str, column: int, remedy: str) -> UnfinishedFilterError:
        return UnfinishedFilterError(message, expression=self.text, column=column, remedy=remedy)
