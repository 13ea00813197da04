"""The root command: its verbs, imported only when one is called.

The table below holds the help line of each verb, so that `--help` imports none of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from itertools import takewhile
from typing import NamedTuple

import click

from bioretrieval_tui import __version__
from bioretrieval_tui.cli import PROGRAM
from bioretrieval_tui.errors import UsageError

VERBS: dict[str, tuple[str, str]] = {
    "list": ("entry_verbs:list_entries", "List entries of the catalogue."),
    "show": ("entry_verbs:show", "Show one entry with its relations and results."),
    "open": ("entry_verbs:open_entry", "Open an entry's page in the browser."),
    "results": ("board_verbs:results", "List published results, or rank models by them."),
    "compare": ("board_verbs:compare_entries", "Compare two to six entries side by side."),
    "plot": ("plot:plot", "Plot quality, history, a model's ranks, the timeline, your runs."),
    "search": ("search:search", "Search the catalogue or indexes."),
    "similar": ("search:similar", "Find the documents most similar to a document."),
    "encode": ("encode:encode", "Encode texts by a model's recipe, for use elsewhere."),
    "index": ("index:index", "Build, extend, check and remove indexes over your own texts."),
    "eval": ("evaluate:evaluate", "Evaluate a model or an index on a benchmark."),
    "train": ("train:train", "Train a model of your own, evaluated before and after."),
    "fetch": ("literature:fetch", "Fetch records by query or by ids, archives, benchmarks, MeSH."),
    "jobs": ("job_verbs:jobs", "List, follow, stop and resume jobs that run in the background."),
    "catalog": ("catalog_verbs:catalog", "Refresh the catalogue, check its links, add entries."),
    "shelf": ("shelf_verbs:shelf", "Star, tag and annotate entries and documents; export them."),
    "watch": ("literature:watch", "Watch the literature, and read only what is new."),
    "mcp": ("mcp_server:mcp", "Offer indexes and catalogue to an assistant (MCP)."),
    "serve": ("serve:serve", "Show the app in a browser on this machine."),
    "keys": ("program_verbs:keys", "List the keys of the app that are in force."),
    "doctor": ("program_verbs:doctor", "Check this machine."),
    "config": ("program_verbs:config", "Show the folders and settings in use, and what set them."),
    "completion": ("program_verbs:completion", "Print a completion script for your shell."),
}
"""Verb -> module of `cli` and name of the command in it, and its line in the help."""


_TAKE_TEXT = ("search",)
"""Verbs whose argument is a text."""


class NamedGroup(click.Group):
    """A group that suggests the nearest verb for an unknown one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            if ctx.resilient_parsing:
                return None, None, args[1:]
            from bioretrieval_tui.util.formatting import did_you_mean

            known = self.list_commands(ctx)
            commands = f"commands: {', '.join(known)}"
            raise UsageError(
                f"there is no command '{name}'" + (f" of {ctx.info_name}" if ctx.parent else ""),
                remedy=did_you_mean(name.casefold(), known, commands, cutoff=0.5),
            )
        return super().resolve_command(ctx, args)


class Root(NamedGroup):
    """The verbs of the table, each imported when it is called."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, name = VERBS[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(f"bioretrieval_tui.cli.{module}"), name)
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in VERBS.items()])


@click.group(
    cls=Root,
    invoke_without_command=True,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Without a command: the app on a terminal, the listing as markdown in a pipe."
    " Details: COMMAND --help. Data goes to stdout, messages to stderr; exit codes: 0 success,"
    " 1 failure, 2 wrong usage, 3 no such id, index or file, 4 nothing new (`watch run`),"
    " 130 interrupted.",
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.option(
    "--offline", is_flag=True, help="Do not use the network, as with BIORETRIEVAL_OFFLINE=1."
)
@click.option("--fresh", is_flag=True, help="Start the app with Home, not as it was left.")
@click.option("--pane", metavar="NAME", default="", help="Start the app with this pane.")
@click.option("--filter", "where", metavar="FILTER", default="", help="With --pane: its filter.")
@click.option("--select", is_flag=True, help="Print what enter chooses in the app, and end.")
@click.option(
    "--print",
    "wish",
    metavar="WHAT",
    default="",
    help="With --select: id (default), link, bibtex, or a template as '{id} {title}'.",
)
@click.pass_context
def root(
    context: click.Context,
    offline: bool,
    fresh: bool,
    pane: str,
    where: str,
    select: bool,
    wish: str,
) -> None:
    """The field of biomedical text retrieval in a terminal."""
    if offline:
        os.environ["BIORETRIEVAL_OFFLINE"] = "1"
    if context.invoked_subcommand is None:
        context.obj = _wish(fresh, pane, where, select=select, wish=wish)
    elif fresh or pane or where or select or wish:
        raise UsageError("--fresh, --pane, --filter, --select and --print are for the app",
                         remedy=f"leave out {context.invoked_subcommand}")  # fmt: skip


class AppWish(NamedTuple):
    """How the app is to start. selects: what is printed of chosen rows, None if it is no
    picker."""

    fresh: bool = False
    pane: str = ""
    where: str = ""
    selects: str | None = None


def _wish(fresh: bool, pane: str, where: str, *, select: bool, wish: str) -> AppWish:
    from bioretrieval_tui.actions import MORE_PANES, PANES

    titles = {title.casefold(): name for name, title, _ in PANES}
    names = {**titles, **{name: name for name, *_ in (*PANES, *MORE_PANES)}}
    found = names.get(pane.casefold(), "")
    if pane and not found:
        from bioretrieval_tui.util.formatting import did_you_mean

        known = [name for name, *_ in PANES]
        remedy = did_you_mean(pane.casefold(), known, f"panes: {', '.join(known)}", cutoff=0.5)
        raise UsageError(f"there is no pane '{pane}'", remedy=remedy)
    if where and not pane:
        raise UsageError("--filter is for a pane", remedy="add --pane, such as --pane models")
    if wish and not select:
        raise UsageError("--print is for --select", remedy="add --select")
    return AppWish(fresh, found, where, (wish or "id") if select else None)


def call(words: Sequence[str]) -> int | AppWish:
    """Run a verb with its arguments and return its exit code; without a verb, how the app is to
    start.

    `help VERB` and `version` are other spellings of the options. Raises the errors of the verb;
    UsageError names the command whose help to read.
    """
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    elif words == ["version"]:
        words = ["--version"]
    try:
        with root.make_context(PROGRAM, list(words)) as context:
            root.invoke(context)
            if isinstance(context.obj, AppWish):
                return context.obj
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except click.ClickException as error:
        said = error.format_message().strip().rstrip(".")
        context = getattr(error, "ctx", None) or click.Context(root, info_name=PROGRAM)
        remedy = f"see {context.command_path} --help"
        if "unexpected extra argument" in said and context.info_name in _TAKE_TEXT:
            text = " ".join(takewhile(lambda word: not word.startswith("-"), words[1:]))
            remedy = f"quote a text of several words: {context.command_path} '{text}'"
        raise UsageError(said[:1].lower() + said[1:], remedy=remedy) from error
    return 0
