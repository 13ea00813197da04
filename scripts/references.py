"""The references: `python scripts/references.py` writes those in docs/.

keys.md, cli.md, fields.md, settings.md, recipes.md, api.md and the man page are generated from the
program itself; a test compares them with it.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
import msgspec

import bioretrieval_tui as br
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.fields import reference
from bioretrieval_tui.catalog.models import Encoding, Model, Recipe, Side
from bioretrieval_tui.cli import PROGRAM
from bioretrieval_tui.cli.root import root
from bioretrieval_tui.config import values
from bioretrieval_tui.evaluation.metrics import Comparison
from bioretrieval_tui.evaluation.runner import EvaluationReport, ModeReport
from bioretrieval_tui.render.entries import entry_page
from bioretrieval_tui.render.markdown import escape
from bioretrieval_tui.render.page import Group, Page, markdown
from bioretrieval_tui.search.types import Explanation, Hit, Query, SearchResult

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDTH = 98
"""Columns of the help, as on a terminal of 100."""
VALUES = (Hit, Explanation, Query, SearchResult, EvaluationReport, ModeReport, Comparison)
"""What the Python interface returns, beside entries and results of the catalogue."""


# Verbs ----------------------------------------------------------------------------------------


def commands(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    """The context of a command, and those of the commands within it."""
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from commands(inner, context_of(inner, name, context))


def context_of(
    command: click.Command, name: str, parent: click.Context | None = None
) -> click.Context:
    """A context in which the help is as wide as on a terminal of 100 columns."""
    return command.context_class(
        command, parent=parent, info_name=name, terminal_width=WIDTH, **command.context_settings
    )


def verbs() -> str:
    """The help of every command."""
    lines = ["# Verbs", "", "The output of `--help`; `scripts/references.py` writes this page.", ""]
    for context in commands(root, context_of(root, PROGRAM)):
        lines += (f"## {context.command_path}", "", "```", context.get_help().rstrip(), "```", "")
    return "\n".join(lines)


def keys() -> str:
    """What `keys -f markdown` prints."""
    words = [sys.executable, "-m", "bioretrieval_tui", "keys", "-f", "markdown"]
    env = {**os.environ, "COLUMNS": "100", "TERM": "dumb"}
    return subprocess.run(words, env=env, check=True, capture_output=True, text=True).stdout


def settings() -> str:
    """What can be set in config.toml, with the variables that win over it."""
    lines = [
        "# Settings",
        "",
        "The single values of `config.toml`; `scripts/references.py` writes this page.",
        "[configuration.md](configuration.md) has the file, keys, themes and commands.",
        "",
        "| setting | default | variable, which wins | what it is |",
        "| --- | --- | --- | --- |",
    ]
    for one in values():
        kind = get_args(one.kind)[0]
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        others = [f"`{json.dumps(choice)}`" for choice in choices if choice != one.default]
        help_ = one.help + (f"; or {', '.join(others)}" if others else "")
        variable = f"`{one.variable}`" if one.variable else ""
        lines.append(f"| `{one.key}` | `{json.dumps(one.default)}` | {variable} | {help_} |")
    return "\n".join(lines) + "\n"


# Recipes --------------------------------------------------------------------------------------


def recipes() -> str:
    """How models encode and recipes train: the choices in a table, then what the pages say."""
    found = br.catalogue()
    models = [one for one in found.entries if isinstance(one, Model) and has_recipe(one)]
    lines = [
        "# Recipes",
        "",
        "## Encoding",
        "",
        "How each model of the catalogue turns text into vectors or scores, as its authors do it;",
        "`scripts/references.py` writes this page. `show MODEL` prints the same with its sources,",
        "and `index build`, `encode`, `eval` and `br.encoder` follow it. Tokens are the longest",
        "input of query and document, special tokens included.",
        "",
        "| model | type | pooling | tokens | normalised | similarity | instruction |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in models:
        recipe = one.encoding or Encoding(type="none", grade="C")
        cells = (
            f"[{one.id}](#{one.id})",
            recipe.type,
            recipe.pooling or "",
            tokens(recipe.query, recipe.document),
            {True: "yes", False: "no", None: ""}[recipe.normalise],
            recipe.similarity or "",
            "yes" if recipe.instruction or recipe.instructions else "",
        )
        lines.append(f"| {' | '.join(cells)} |")
    for one in models:
        body = part_of(entry_page(one, found), "Encoding")
        body = re.sub(r" \[\d+\]$", "", body, flags=re.MULTILINE)  # a source on that page
        lines += ("", f"### {one.id}", "", escape(one.name), "", body)
    return "\n".join((*lines, *trainings(found))) + "\n"


def trainings(found: Catalogue) -> Iterator[str]:
    """How recipes train: the choices in a table, then what their pages say, with its sources."""
    yield from (
        "",
        "## Training",
        "",
        "How the recipes of the leaderboard train their models, as far as papers, code and cards",
        "say it, and whether they can be trained here; `show RECIPE` prints the same.",
        "",
        "| recipe | runs here | pairs | loss | batch | learning rate |",
        "| --- | --- | --- | --- | --- | --- |",
    )
    recipes = [one for one in found.of_type(Recipe) if one.training]
    pages = [(one, entry_page(one, found)) for one in recipes]
    for one, page in pages:
        (facts,) = (part.facts for part in page.sections
                    if isinstance(part, Group) and part.title == "Training")  # fmt: skip
        said = {fact.label: fact.values[0][0].text for fact in facts}
        wanted = ("runs here", "pairs", "loss", "batch", "learning rate")
        cells = (f"[{one.id}](#{one.id})", *(said.get(name, "") for name in wanted))
        yield f"| {' | '.join(cells)} |"
    for one, page in pages:
        body = part_of(page, "Training")
        sources = (line.partition(". ") for line in part_of(page, "Sources").splitlines())
        cited = [f"- [{n}] {source}" for n, _, source in sources if f") [{n}]" in body]
        yield from ("", f"### {one.id}", "", escape(one.name), "", body)
        yield from ("", "Sources:", "", *cited) if cited else ()


def part_of(page: Page, title: str) -> str:
    """The body of a section of a page."""
    only = tuple(part for part in page.sections if part.title == title)
    body = "".join(markdown(Page("", sections=only))).split(f"## {title}\n", 1)[1]
    return body.strip().replace("\n  - ", "\n    - ")  # Python's Markdown nests by four


def has_recipe(model: Model) -> bool:
    return model.encoding is not None and model.encoding.type != "none"


def tokens(*sides: Side | None) -> str:
    """The longest inputs, once where they are equal."""
    lengths = [f"{side.max_length:,}" for side in sides if side and side.max_length]
    return " / ".join(dict.fromkeys(lengths))


# The Python interface -------------------------------------------------------------------------


def interface() -> str:
    """Signatures and docstrings of what is public, and the fields of what it returns."""
    lines = [
        "# Python interface",
        "",
        "The names of `import bioretrieval_tui as br`; `scripts/references.py` writes this page",
        "from their docstrings. [From Python](python.md) shows them at work.",
    ]
    for name in br.__all__:
        value = getattr(br, name)
        lines += ("", f"## br.{name}", "", *described(value, f"br.{name}"))
        if inspect.isclass(value) and not issubclass(value, Exception):
            for inner, member in vars(value).items():
                if inspect.isfunction(member) and not inner.startswith("_"):
                    lines += ("", *described(member, inner))
    lines += ("", "## Values", "", "What they return, beside entries and results of the catalogue",
              "([fields.md](fields.md)).")  # fmt: skip
    for value in VALUES:
        lines += ("", f"### {value.__name__}", "", *described(value, value.__name__))
    return "\n".join(lines) + "\n"


def described(value: Any, name: str) -> Iterator[str]:
    """A signature and its docstring."""
    yield from ("```python", signature(value, name), "```", "")
    yield inspect.cleandoc(value.__doc__ or "")


def signature(value: Any, name: str) -> str:
    """Fields of a struct, or parameters and result, a line each where one line is too short."""
    shown = inspect.signature(value)
    types = inspect.get_annotations(value)
    parts: list[str] = []
    for one in shown.parameters.values():
        if one.name == "self":
            continue
        if one.kind is one.KEYWORD_ONLY and not any(part[0] == "*" for part in parts):
            parts.append("*")
        star = "*" if one.kind is one.VAR_POSITIONAL else ""
        default = "" if one.default is one.empty else f" = {plain(one.default)}"
        parts.append(f"{star}{one.name}: {types.get(one.name, one.annotation)}{default}")
    if inspect.isclass(value) and issubclass(value, msgspec.Struct):
        return "\n".join(part for part in parts if part != "*")
    result = f" -> {shown.return_annotation}" if inspect.isfunction(value) else ""
    line = f"{name}({', '.join(parts)}){result}"
    if len(line) <= WIDTH:
        return line
    return "\n".join((f"{name}(", *(f"    {part}," for part in parts), f"){result}"))


def plain(default: object) -> str:
    """A default as it is written; of functions and factories it does not matter which."""
    text = repr(default)
    return "..." if text.startswith("<") else text


# The man page ---------------------------------------------------------------------------------


def manual() -> str:
    """All commands as a page for `man`."""
    whole, *inner = commands(root, context_of(root, PROGRAM))
    lines = [
        f'.TH {PROGRAM.upper()} 1 "" "{PROGRAM} {br.__version__}"',
        ".SH NAME",
        rf"{roff(PROGRAM)} \- biomedical text retrieval in a terminal",
        ".SH SYNOPSIS",
        *(rf"\fB{roff(PROGRAM)}\fR {roff(words)}" + "\n.br"
          for words in ("[OPTIONS]", "[OPTIONS] COMMAND [ARGS]...")),
        ".SH DESCRIPTION",
        *prose(whole.command.help or ""),
        *prose(whole.command.epilog or ""),
        ".SH OPTIONS",
        *options(whole),
        ".SH COMMANDS",
    ]  # fmt: skip
    for context in inner:
        usage = " ".join(context.command.collect_usage_pieces(context))
        words = context.command_path.removeprefix(f"{PROGRAM} ")
        lines += (rf'.SS "{roff(words)} {roff(usage)}"', *prose(context.command.help or ""))
        lines += options(context)
    lines += (".SH ENVIRONMENT", *terms((("BIORETRIEVAL_HOME", "One folder for everything."),)))
    lines += terms((one.variable, f"{one.help}.") for one in values() if one.variable)
    lines += (
        ".SH FILES",
        *prose("`config` shows the folders in use; config.toml has the settings."),
    )
    return "\n".join(lines) + "\n"


def prose(text: str) -> Iterator[str]:
    r"""The paragraphs of a help text; one after \b keeps its lines."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        mark, _, kept = paragraph.partition("\n")
        if mark == "\b":
            yield from (".PP", ".nf", *map(roff, kept.splitlines()), ".fi")
        else:
            yield from (".PP", *map(roff, paragraph.splitlines()))


def options(context: click.Context) -> Iterator[str]:
    """The options of a command, without its help option."""
    given = (one.get_help_record(context) for one in context.command.get_params(context)
             if isinstance(one, click.Option) and "--help" not in one.opts)  # fmt: skip
    yield from terms(record for record in given if record is not None)


def terms(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Names with what they mean."""
    for name, meaning in pairs:
        yield from (".TP", rf"\fB{roff(name)}\fR", roff(" ".join(meaning.split())))


def roff(text: str) -> str:
    """A text as it stands; what roff would read as a request is not one."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace('"', r"\(dq")
    return rf"\&{text}" if text.startswith(".") else text


# Files ----------------------------------------------------------------------------------------


def references() -> dict[str, str]:
    """The text of each file, by its name."""
    return {
        "keys.md": keys(), "cli.md": verbs(), "fields.md": reference(),
        "settings.md": settings(), "recipes.md": recipes(), "api.md": interface(),
         f"{PROGRAM}.1": manual(),
    }  # fmt: skip


def main() -> None:
    """Write them."""
    for name, text in references().items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
