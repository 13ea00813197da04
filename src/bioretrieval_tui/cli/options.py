"""Arguments and options that several verbs share, and the completion of their values."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from bioretrieval_tui.errors import BioRetrievalError, UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


Command = TypeVar("Command", bound=Callable[..., Any])
Completer = Callable[[click.Context, click.Parameter, str], list[str]]


class Option(Protocol):
    """A decorator that adds parameters to a command."""

    def __call__(self, command: Command, /) -> Command: ...


PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)
POSITIVE = click.IntRange(min=1)
KINDS = ("papers", "models", "datasets", "benchmarks", "recipes", "timeline", "path")
"""Values of KIND: the sections of the catalogue."""
RERANKER = "medcpt-cross-encoder"
"""The default cross-encoder."""


def option(spec: str, help_: str, *, name: str | None = None, **more: Any) -> Option:
    """An option from its names and the word for its value, as in `-n --limit LIMIT`.

    Without such a word or a type it is a flag. name: of the parameter, where it differs from the
    option's; more: for click. The help shows the default that is given.
    """
    words = spec.split()
    names = [word for word in words if word.startswith("-")]
    metavar = None if words[-1] in names else words[-1]
    found: dict[str, Any] = {"show_default": "default" in more, "metavar": metavar, **more}
    if metavar is None and "type" not in more:
        found["is_flag"] = True
    return click.option(*names, *([name] if name else []), help=help_, **found)


def together(*given: Option) -> Option:
    """Combine options into one decorator, in the order of the help."""

    def decorate(command: Command) -> Command:
        for one in reversed(given):
            command = one(command)
        return command

    return decorate


# Completion -----------------------------------------------------------------------------------


def completes(names: Callable[[], Iterable[str]]) -> Completer:
    """Complete a value to those of `names` that begin like it; to none if they cannot be read."""

    def completed(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
        try:
            return [name for name in names() if name.startswith(begun)]
        except BioRetrievalError:
            return []

    return completed


def _ids(section: str | None = None) -> Iterator[str]:
    from bioretrieval_tui.catalog.compiled import load

    found = load().catalogue
    entries = found.entries if section is None else found.section(section)
    return (entry.id for entry in entries)


def _fields() -> Iterator[str]:
    from bioretrieval_tui.catalog.fields import TABLE

    return (row.name for row in TABLE.rows if row.type)


def _indexes() -> Iterable[str]:
    from bioretrieval_tui.index.registry import index_names

    return index_names()


def complete_filter(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete a condition on MeSH at the end of a filter, where its headings were fetched."""
    from click.shell_completion import CompletionItem

    from bioretrieval_tui.index.mesh_conditions import offers

    try:
        return [CompletionItem(one.text, help=one.described) for one in offers(begun)]
    except BioRetrievalError:
        return []


complete_kind = completes(lambda: KINDS)
complete_id = completes(_ids)
complete_model = completes(partial(_ids, "models"))
complete_benchmark = completes(partial(_ids, "benchmarks"))
complete_field = completes(_fields)
complete_index = completes(_indexes)


# Shared options -------------------------------------------------------------------------------


def _offline(_: click.Context, __: click.Parameter, given: bool) -> None:
    if given:
        os.environ["BIORETRIEVAL_OFFLINE"] = "1"


def _device(_: click.Context, __: click.Parameter, name: str) -> str:
    from bioretrieval_tui.encoding.device import check_name

    return check_name(name)


def _cluster(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    if name is None:
        return None
    from bioretrieval_tui.encoding.ray_cluster import check_cluster

    return check_cluster(name)


def _day(_: click.Context, __: click.Parameter, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is not a date", remedy="write it as 2026-01-31") from error


def index(spec: str, help_: str, **more: Any) -> Option:
    return option(f"{spec} NAME", help_, shell_complete=complete_index, **more)


def model(spec: str, help_: str, **more: Any) -> Option:
    """An option that takes a model: a catalogue id, a hub id or a folder."""
    return option(f"{spec} ID", help_, shell_complete=complete_model, **more)


which_scores = together(
    option(
        "-w --where FILTER",
        "Only models that match, as in list models: params<=150M licence:mit language:fr here:yes."
        " Repeatable: all must match.",
        name="conditions",
        multiple=True,
    ),
    option("--zero-shot", "Only results known to be zero-shot."),
    option("--measured", "No results that are self-reported on a model card."),
)
"""Of which models and of what kind the scores are."""


def device_for(help_: str) -> Option:
    return option("--device DEVICE", help_, default="auto", callback=_device)


def since(help_: str) -> Option:
    return option("--since DATE", help_, callback=_day)


device = device_for("auto, cpu, cuda, cuda:N, several as cuda:0,cuda:1, or mps.")
device_or_cluster = together(
    device,
    option(
        "--on CLUSTER",
        "Encode on a Ray cluster: ray (RAY_ADDRESS, else this machine's) or ray://host:port.",
        callback=_cluster,
    ),
)
download = option("--download", "Download a missing model; shows its licence.")
offline = option("--offline", "Do not use the network.", callback=_offline, expose_value=False)
quiet = option("-q --quiet", "Write no progress to stderr.")
progress = together(
    quiet,
    option(
        "--progress",
        "Format of progress on stderr; json is one object a line.",
        type=click.Choice(["auto", "json"]),
        default="auto",
    ),
)
background = option("--background", "Submit it as a job, and print its number for `jobs`.")
reranker = model("--reranker", "Model for --rerank.", default=RERANKER)
_CITED = ("bibtex", "ris", "csl", "endnote")


def _format(*without: str, more: tuple[str, ...] = (), help_: str = "") -> Option:
    """`-f FORMAT`, passed to the command as `format_`; without: formats that the verb lacks; more:
    those that only it has, help_: what the help says of them."""

    def resolved(_: click.Context, __: click.Parameter, name: str | None) -> str:
        from bioretrieval_tui.render.formats import FORMATS, resolve

        if name in more:
            return name
        found = resolve(name, terminal=sys.stdout.isatty())
        if found in without:
            offered = ", ".join(known for known in FORMATS if known not in without)
            raise UsageError(f"this cannot be written as {found}", remedy=f"formats: {offered}")
        return found

    def names() -> list[str]:
        from bioretrieval_tui.render.formats import ALIASES, FORMATS

        known = (name for name in (*FORMATS, *ALIASES) if ALIASES.get(name, name) not in without)
        return [*known, *more]

    named = "".join(f", {name}" for name in (*_CITED, "latex") if name not in without)
    return option(
        "-f --format FORMAT",
        "table (default on a terminal), markdown (default in a pipe; or md), json, jsonl,"
        f" csv{named}.{help_}",
        name="format_",
        callback=resolved,
        shell_complete=completes(names),
    )


format_ = _format(*_CITED, "latex")
ranked_format = _format(*_CITED)
cited_format = _format()
search_format = _format(
    more=("trec",), help_=" Of many queries: jsonl (default), csv, trec (a TREC run)."
)
