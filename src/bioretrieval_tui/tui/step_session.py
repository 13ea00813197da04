"""Steps of Get started that can be run: their `eval` and `train` commands, folders, models, scores.

The command that is shown is the one that runs.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bioretrieval_tui.actions import key_of, keyed
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark, Model, Step
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.model_files import missing_models
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError
from bioretrieval_tui.evaluation.benchmark import find_parts
from bioretrieval_tui.evaluation.metrics import MAIN
from bioretrieval_tui.evaluation.published import hub_names, named_benchmark
from bioretrieval_tui.evaluation.records import EvaluationRecord, records
from bioretrieval_tui.online.archives import benchmark_folder
from bioretrieval_tui.render.evaluations import published_scores, reference_fact
from bioretrieval_tui.render.page import Fact, Inline, Text, fact, text
from bioretrieval_tui.render.rankings import MARK
from bioretrieval_tui.search.types import mode_name
from bioretrieval_tui.tui.folders import short
from bioretrieval_tui.tui.spans import fact_lines
from bioretrieval_tui.tui.text import Line, Span, line

_BESIDE = 2
"""Published scores shown below each run."""
_PLACES = ("", "datasets", "data")
"""Subfolders of the working folder and the home that may hold benchmarks."""


@dataclass(frozen=True, slots=True)
class EvalCommand:
    """One `eval` or `train` of a step, with catalogue ids. model: None for the embedded one;
    folder: of the benchmark, None if it was not found; trains: on the benchmark."""

    benchmark: str
    modes: tuple[str, ...]
    model: str | None = None
    folder: Path | None = None
    trains: bool = False


@dataclass(frozen=True, slots=True)
class StepState:
    """The state of a step. due: ids of the benchmarks that it names; missing: hub ids of its models
    that are not installed; found: the newest records of its calls."""

    calls: tuple[EvalCommand, ...]
    due: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    found: tuple[EvaluationRecord, ...] = ()


def calls_of(step: Step) -> list[EvalCommand]:
    """The `eval` commands of a step that give only a benchmark, modes and a model, and what its
    `train` command trains on."""
    found = []
    for command in step.commands:
        with contextlib.suppress(ValueError):
            match shlex.split(command):
                case ["bioretrieval-tui", "eval", benchmark, *options]:
                    found += _call(benchmark, options)
                case ["bioretrieval-tui", "train", "--on", place, *options]:
                    if "--dry-run" not in options:
                        modes = ("dense", "hybrid")
                        found.append(EvalCommand(Path(place).name, modes, trains=True))
    return found


def _call(benchmark: str, options: list[str]) -> list[EvalCommand]:
    modes: list[str] = []
    model = None
    for flag, value in zip(options[::2], options[1::2], strict=True):
        if flag in ("-m", "--mode"):
            modes.append(value)
        elif flag == "--model":
            model = value
        else:
            return []
    return [EvalCommand(benchmark, tuple(modes) or ("dense", "lexical", "hybrid"), model)]


def is_benchmark(folder: Path) -> bool:
    """Whether a folder is a benchmark in BEIR's form."""
    try:
        find_parts(folder)
    except BioRetrievalError:
        return False
    return True


def check_folder(step: Step, folder: Path) -> None:
    """Check that a folder is a benchmark, or contains one that the step names.

    Raises NotFoundError for neither, BioRetrievalError if it cannot be read."""
    names = dict.fromkeys(call.benchmark for call in calls_of(step))
    if any(is_benchmark(folder / name) for name in names):
        return
    try:
        find_parts(folder)
    except NotFoundError as error:
        remedy = f"or choose one that holds {', '.join(names)}"
        raise NotFoundError(error.message, remedy=remedy) from error


def placed(step: Step, chosen: Path | None, near: Sequence[Path]) -> tuple[EvalCommand, ...]:
    """The calls of a step with their folders.

    chosen: the folder that the user chose: a benchmark, which replaces all that the step names, or
    a folder of benchmarks; near: folders in which others were chosen.
    """
    calls = calls_of(step)
    if chosen is not None and is_benchmark(chosen):
        kinds = dict.fromkeys((call.modes, call.model, call.trains) for call in calls)
        return tuple(
            EvalCommand(chosen.name, modes, model, chosen, trains) for modes, model, trains in kinds
        )
    bases = []
    for base in (Path.cwd, Path.home):
        with contextlib.suppress(OSError, RuntimeError):
            bases.append(base())
    usual = [benchmark_folder(""), *(base / part for base in bases for part in _PLACES)]
    roots = [*([chosen] if chosen is not None else []), *near, *usual]

    def found(call: EvalCommand) -> EvalCommand:
        folders = (root / call.benchmark for root in roots)
        return replace(call, folder=next(filter(is_benchmark, folders), None))

    return tuple(map(found, calls))


def step_states(
    steps: Sequence[Step], chosen: Mapping[str, Path | None], catalogue: Catalogue
) -> dict[str, StepState]:
    """The states of steps by id. chosen: their folders, None where the user chose none."""
    near = list(dict.fromkeys(folder.parent for folder in chosen.values() if folder))
    kept: list[EvaluationRecord] = []
    with contextlib.suppress(BioRetrievalError):  # the leaderboard reports it
        kept = records()
    states = {}
    for step in steps:
        calls = placed(step, chosen[step.id], near)
        missing: dict[str, None] = {}
        for call in calls:
            entry = catalogue.by_id.get(call.model or "")
            if isinstance(entry, Model) and entry.weights is not None:
                missing |= dict.fromkeys(missing_models(entry.weights, entry.encoding))
        due = tuple(dict.fromkeys(call.benchmark for call in calls_of(step)))
        found = newest_of(calls, kept, catalogue)
        states[step.id] = StepState(calls, due, tuple(missing), found)
    return states


def newest_of(
    calls: Sequence[EvalCommand], records: Sequence[EvaluationRecord], catalogue: Catalogue
) -> tuple[EvaluationRecord, ...]:
    """The newest record of every call and mode; `records` are newest first."""
    found = []
    for call in calls:
        entry = catalogue.by_id.get(call.model or "")
        hubs = hub_names(entry) if isinstance(entry, Model) else {embedded.MODEL_ID}
        folder = call.folder.name if call.folder is not None else None
        for mode in call.modes:
            fits = [
                record for record in records
                if record.mode == mode
                and (record.model in hubs or mode == "lexical")
                and (record.catalogue == call.benchmark or record.benchmark == folder)
            ]  # fmt: skip
            found += fits[:1]
    return tuple(found)


# The page ----------------------------------------------------------------------------------


def step_lines(state: StepState, catalogue: Catalogue) -> Iterator[Line]:
    """What can be run, what is missing and how to get it, and the scores of earlier runs."""
    yield line()
    trains = any(call.trains for call in state.calls)
    does = "{run} asks what to train" if trains else "{run} runs it"
    keys = keyed(f"   {does}, {{fetch-benchmark}} fetches, {{benchmark}} chooses a folder")
    title = "Train it here" if trains else "Run it here"
    yield line(Span(title, "header"), Span(keys, "faint"))
    for call in state.calls:
        yield from fact_lines(_place_fact(call, state, catalogue))
    for call in {call.model: call for call in state.calls}.values():
        yield from fact_lines(fact("model", _model_text(call, state.missing, catalogue)))
    for record in state.found:
        score = f"{record.metrics.get(MAIN, 0.0):.4f}"
        where = f"  {MAIN}, {mode_name(record.mode)} on {record.benchmark}, {record.date[:10]}"
        mine = (Inline(score, "own.strong"), Inline(where, "own"))
        yield from fact_lines(fact(f"{MARK} your run", mine))
        if record.catalogue not in state.due:
            other = f"not a result of the step, which is about {_due(state, catalogue)}"
            yield from fact_lines(fact("", other, role="warn"))
        for published in published_scores(record, catalogue)[:_BESIDE]:
            score_of = reference_fact(published)
            value = (Inline(f"{score_of.label}  ", "model"), *score_of.values[0])
            yield from fact_lines(fact("  published", value, status=score_of.status))


def _due(state: StepState, catalogue: Catalogue) -> str:
    """The names of the benchmarks that the step is about."""
    return ", ".join(catalogue.names.get(one, one) for one in state.due)


def _place_fact(call: EvalCommand, state: StepState, catalogue: Catalogue) -> Fact:
    name = Inline(catalogue.names.get(call.benchmark, call.benchmark), "benchmark")
    if call.folder is not None:
        values: list[Text] = [(name, Inline(f"  {short(call.folder)}"))]
        named = named_benchmark(catalogue, call.benchmark)
        if call.benchmark not in state.due and (named is None or named.id not in state.due):
            due = _due(state, catalogue)
            values.append(
                text(f"its name suggests another benchmark than the step's: {due}", role="warn")
            )
        return fact("benchmark", *values, listed=True)
    entry = catalogue.by_id.get(call.benchmark)
    then = f"{key_of('benchmark')} chooses its folder"
    if isinstance(entry, Benchmark) and entry.loaders.zip:
        then = f"{key_of('fetch-benchmark')} fetches it ({benchmark_terms(entry)}), {then}"
    return fact("benchmark", (name, Inline("  not found", "warn")), text(then, role="dim"),
                listed=True)  # fmt: skip


def benchmark_terms(entry: Benchmark) -> str:
    """Size and licence of a benchmark, before it is fetched."""
    size = f"{entry.documents:,} documents, " if entry.documents else ""
    return f"{size}licence: {entry.licence or 'not known'}"


def _model_text(call: EvalCommand, missing: Sequence[str], catalogue: Catalogue) -> Text:
    model = call.model
    if set(call.modes) == {"lexical"}:
        return text("none: BM25 alone needs no model")
    if model is None:
        return text("the embedded model, installed")
    name = Inline(catalogue.names.get(model, model), "model")
    if not missing:
        return text(name, Inline("  installed", "ok"))
    then = f"; b asks to fetch it, or: bioretrieval-tui doctor --model {model} --download"
    return text(name, Inline("  not installed", "warn"), then)
