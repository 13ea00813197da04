"""Steps of Get started that can be run: their `eval` commands, the folders that these need, the
weights, and what came of them. The command that is shown is the one that is run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark, Model, Step
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.download import missing_models
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError
from bioretrieval_tui.evaluation.benchmark import find_parts
from bioretrieval_tui.evaluation.metrics import MAIN
from bioretrieval_tui.evaluation.published import hub_names
from bioretrieval_tui.evaluation.records import EvaluationRecord
from bioretrieval_tui.render.evaluations import MARK, published_scores, reference_fact
from bioretrieval_tui.render.hits import mode_name
from bioretrieval_tui.tui.folders import short
from bioretrieval_tui.tui.spans import LABEL, spans, status_mark
from bioretrieval_tui.tui.text import Line, Span, line

_COMMAND = ("bioretrieval-tui", "eval")
_BESIDE = 2
"""Published figures that stand below one of ours."""
_PLACES = ("", "datasets", "data")
"""Below the working folder and the home: where benchmark folders are looked for."""


@dataclass(frozen=True, slots=True)
class EvalCommand:
    """One `eval` of a step. benchmark: the catalogue's id; model: its id, None for the embedded
    one."""

    benchmark: str
    modes: tuple[str, ...]
    model: str | None = None


@dataclass(frozen=True, slots=True)
class StepPlace:
    """A call, and the folder that it would run on; None where none was found."""

    call: EvalCommand
    folder: Path | None


@dataclass(frozen=True, slots=True)
class StepState:
    """What can be said of a step now. missing: hub ids that its models lack on this machine;
    found: the newest records of its calls, in their order."""

    places: tuple[StepPlace, ...]
    missing: tuple[str, ...] = ()
    found: tuple[EvaluationRecord, ...] = ()


def calls_of(step: Step) -> list[EvalCommand]:
    """The `eval` commands of a step that name a benchmark, modes and a model and nothing else."""
    found = [_call(command) for command in step.commands]
    return [call for call in found if call is not None]


def _call(command: str) -> EvalCommand | None:
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if tuple(words[:2]) != _COMMAND or len(words) < 3 or len(words) % 2 == 0:
        return None
    modes: list[str] = []
    model = None
    for flag, value in zip(words[3::2], words[4::2], strict=True):
        if flag in ("-m", "--mode"):
            modes.append(value)
        elif flag == "--model":
            model = value
        else:
            return None
    return EvalCommand(words[2], tuple(modes) or ("dense", "lexical", "hybrid"), model)


# Folders -----------------------------------------------------------------------------------


def is_benchmark(folder: Path) -> bool:
    """Whether there is a benchmark in BEIR's form."""
    try:
        find_parts(folder)
    except BioRetrievalError:
        return False
    return True


def check_folder(step: Step, folder: Path) -> None:
    """Raise what is wrong with a folder for a step: it must be a benchmark, or hold one of those
    that the step names.

    Raises:
        NotFoundError: it is neither. BioRetrievalError: it cannot be read.
    """
    names = list(dict.fromkeys(call.benchmark for call in calls_of(step)))
    if any(is_benchmark(folder / name) for name in names):
        return
    try:
        find_parts(folder)
    except NotFoundError as error:
        named = ", ".join(names)
        raise NotFoundError(error.message, remedy=f"or choose one that holds {named}") from error


def placed(step: Step, chosen: Path | None, near: Sequence[Path]) -> tuple[StepPlace, ...]:
    """The calls of a step with their folders.

    chosen: the folder that the reader chose for the step: a benchmark, which then stands for all
    that the step names, or a folder of them; near: folders in which others were chosen.
    """
    calls = calls_of(step)
    if chosen is not None and is_benchmark(chosen):
        kinds = dict.fromkeys((call.model, call.modes) for call in calls)
        return tuple(
            StepPlace(EvalCommand(chosen.name, modes, model), chosen) for model, modes in kinds
        )
    roots = [*([chosen] if chosen is not None else []), *near, *usual_roots()]

    def found(call: EvalCommand) -> Path | None:
        folders = (root / call.benchmark for root in roots)
        return next((folder for folder in folders if is_benchmark(folder)), None)

    return tuple(StepPlace(call, found(call)) for call in calls)


def usual_roots() -> list[Path]:
    """Where benchmark folders are looked for without being told."""
    bases = []
    for base in (Path.cwd, Path.home):
        try:
            bases.append(base())
        except (OSError, RuntimeError):
            continue
    return [base / part for base in bases for part in _PLACES]


# Models and figures ------------------------------------------------------------------------


def missing_of(calls: Sequence[EvalCommand], catalogue: Catalogue) -> tuple[str, ...]:
    """What the models of these calls lack on this machine."""
    missing: dict[str, None] = {}
    for call in calls:
        entry = catalogue.by_id.get(call.model or "")
        if not isinstance(entry, Model):
            continue
        sides = entry.encoding and (entry.encoding.document or entry.encoding.query)
        hub = (sides.model if sides else None) or next(iter(entry.hub), None)
        if hub is not None:
            missing |= dict.fromkeys(missing_models(hub, entry.encoding))
    return tuple(missing)


def newest_of(
    places: Sequence[StepPlace], records: Sequence[EvaluationRecord], catalogue: Catalogue
) -> tuple[EvaluationRecord, ...]:
    """The newest record of every call and mode; `records` are newest first."""
    found = []
    for place in places:
        entry = catalogue.by_id.get(place.call.model or "")
        hubs = hub_names(entry) if isinstance(entry, Model) else {embedded.MODEL_ID}
        folder = place.folder.name if place.folder is not None else None
        for mode in place.call.modes:
            fits = (
                record
                for record in records
                if record.mode == mode
                and (record.model in hubs or mode == "lexical")
                and (record.catalogue == place.call.benchmark or record.benchmark == folder)
            )
            found += [record for record in [next(fits, None)] if record is not None]
    return tuple(found)


# The page ----------------------------------------------------------------------------------


def step_lines(state: StepState, catalogue: Catalogue) -> Iterator[Line]:
    """What can be run, what is missing and how to get it, and what came of it."""
    yield line()
    yield line(
        Span("Run it here", "header"), Span("   b runs it, f chooses its folder", "faint")
    )  # fmt: skip
    for place in state.places:
        yield from _place_lines(place, catalogue)
    models = dict.fromkeys(place.call.model for place in state.places)
    for model in models:
        yield _labelled("model", *_model_spans(model, state.missing, catalogue))
    for record in state.found:
        yield from _figure_lines(record, catalogue)


def _labelled(label: str, *spans: Span) -> Line:
    return line(Span(f"{label:<{LABEL}}", "dim"), *spans, hang=LABEL)


def _place_lines(place: StepPlace, catalogue: Catalogue) -> Iterator[Line]:
    name = catalogue.names.get(place.call.benchmark, place.call.benchmark)
    if place.folder is not None:
        yield _labelled("benchmark", Span(name, "benchmark"), Span(f"  {short(place.folder)}"))
        return
    yield _labelled("benchmark", Span(name, "benchmark"), Span("  not found", "warn"))
    entry = catalogue.by_id.get(place.call.benchmark)
    loaders = entry.loaders if isinstance(entry, Benchmark) else None
    if loaders is None or loaders.zip is None:
        yield _labelled("", Span("f shows the program where it is", "dim"))
        return
    yield _labelled("", Span("fetch and unpack ", "dim"), Span(loaders.zip, "link", loaders.zip))
    if loaders.md5:
        yield _labelled("", Span(f"its MD5 is {loaders.md5}; then f", "dim"))


def _model_spans(model: str | None, missing: Sequence[str], catalogue: Catalogue) -> list[Span]:
    if model is None:
        return [Span("the embedded one, which is here", "text")]
    name = Span(catalogue.names.get(model, model), "model")
    if not missing:
        return [name, Span("  is here", "ok")]
    return [
        name,
        Span("  is not here", "warn"),
        Span(f"; b asks to fetch it, or: bioretrieval-tui doctor --model {model} --download"),
    ]


def _figure_lines(record: EvaluationRecord, catalogue: Catalogue) -> Iterator[Line]:
    where = f"  {MAIN}, {mode_name(record.mode)} on {record.benchmark}, {record.date[:10]}"
    yield _labelled(
        f"{MARK} your run", Span(f"{record.metrics.get(MAIN, 0.0):.4f}", "own.strong"),
        Span(where, "own"),
    )  # fmt: skip
    for one in published_scores(record, catalogue)[:_BESIDE]:
        score = reference_fact(one)
        name = Span(f"{score.label}  ", "model")
        yield _labelled("  published", name, *spans(score.values[0]), status_mark(score.status))
