"""The user's commands: what is wrong with one, and what its shell is given for a row.

No text of a row ever becomes a part of what the shell reads: `{title}` becomes `"$field_1"`, and
the value goes into the environment. What a variable holds is no code to a shell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bioretrieval_tui.config import CommandConfig, Configuration, line_numbers
from bioretrieval_tui.errors import Problem, UsageError
from bioretrieval_tui.render.row_records import METADATA, fields_of, text_of
from bioretrieval_tui.render.sheet import shortened
from bioretrieval_tui.terminal.clean import clean
from bioretrieval_tui.util.formatting import did_you_mean

_FIELD = re.compile(r"(?<!\$)\{([A-Za-z][\w.-]*)\}")
_REREAD = re.compile(r"`|\(\(|<<|\beval\b")
"""What has the shell read words once more."""
_OPTION = re.compile(r"(^|[;&|(\n])((?!\s--\s)[^;&|(\n])*(?<![^\s;&|(])$")
"""Before the beginning of a word that a program may take for an option: none after `--`."""
_QUOTED = re.compile(r"""(\\.)|'([^']*)'|"((?:\\.|[^"\\])*)\"""", re.DOTALL)
_LONGEST_TITLE = 60
_LONGEST = 30_000
"""Characters of a value: the kernel takes 128 KiB at most for one."""


def command_problems(found: Configuration) -> dict[int, Problem]:
    """What is wrong with the fields of commands, by the number of the command."""
    problems, lines = {}, dict[Any, int]()
    for number, command in enumerate(found.config.command):
        for fault in _faults(command):
            if not lines:
                lines = line_numbers(found.path.read_text("utf-8"))
            line = lines.get(("command", number, "command"))
            problems[number] = Problem(found.path, fault, line, field="command.command")
            break
    return problems


def _faults(command: CommandConfig) -> Iterator[str]:
    text, known = command.command, fields_of(command.pane)
    for match in _FIELD.finditer(text):
        name, before = match[1], text[: match.start()]
        if name not in known and not name.startswith(METADATA):
            place = "rows" if command.pane == "everywhere" else f"rows of {command.pane}"
            more = f"{place} have {', '.join(sorted(known))[:120]}"
            yield f"there is no field {{{name}}}; {did_you_mean(name, known, more)}"
        elif _is_quoted(before) or before.endswith("\\"):
            yield f"{{{name}}} stands within quotes; write it bare, it is quoted already"
        elif _REREAD.search(text):
            yield f"{{{name}}} stands beside `, ((, << or eval, which read it once more"


def needs_row(command: CommandConfig) -> bool:
    return _FIELD.search(command.command) is not None


def _is_quoted(before: str) -> bool:
    """Whether what follows is within quotes."""
    quote, escaped = "", False
    for sign in before:
        if escaped:
            escaped = False
        elif sign == "\\" and quote != "'":
            escaped = True
        elif sign == quote:
            quote = ""
        elif sign in "'\"" and not quote:
            quote = sign
    return bool(quote)


def prepared(command: CommandConfig, record: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """What the shell runs for a row, and the variables that hold the values. Raises UsageError: the
    row lacks a field, or a program could take its value for an option."""
    variables: dict[str, str] = {}

    def variable(match: re.Match[str]) -> str:
        name = match[1]
        # What stands within quotes separates no commands and ends no options.
        before = _QUOTED.sub(
            lambda one: one[1] or "_" * bool(one[2] or one[3]), command.command[: match.start()]
        )
        value = clean(text_of(record.get(name)), newlines=True).strip()[:_LONGEST]
        if not value:
            what = shortened(clean(text_of(record.get("title"))), _LONGEST_TITLE) or "This row"
            raise UsageError(f"{what} has no {name}")
        if value.startswith("-") and _OPTION.search(before):
            raise UsageError(
                f"{name} begins with -, as an option does",
                remedy=f"write -- before {{{name}}} in the command",
            )
        variables[f"field_{len(variables) + 1}"] = value
        return f'"$field_{len(variables)}"'

    return _FIELD.sub(variable, command.command), variables
