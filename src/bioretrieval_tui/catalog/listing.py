"""The catalogue with the board: listed models beside the curated ones, and all scores by entry.

A curated entry wins over a listed model of the same hub id or alias, and a curated score over one
of the board; what the board knows in addition (file, revision, split, zero-shot, other values) is
added to it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from msgspec import Struct, structs

from bioretrieval_tui.catalog.board import (
    KINDS,
    Board,
    BoardScore,
    DeclaredModel,
    load_board,
    main_split,
)
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.compiled import data_folder
from bioretrieval_tui.catalog.models import Benchmark, Link, Model, Result, ScoreKind
from bioretrieval_tui.util.formatting import short

SOURCE, SCORES = "mteb-repo", "mteb-results"
"""Sources of what is declared, and of the scores."""
SAME = 0.0006
"""Values that differ by less are one value, published with fewer decimals."""
_ROUNDED = 0.01
"""Relative difference up to which two numbers of parameters are one, rounded."""
_HUB = "https://huggingface.co/"
_COMPARED = ("params", "dimension", "max_tokens", "licence", "released", "base", "memory")
"""Facts of a curated model that are compared with what is declared."""

Key = tuple[str, str, str | None, str]
"""Model, benchmark, subset and metric of a score."""


class TaskPlace(Struct, frozen=True):
    """Where the scores of a task of mteb belong: benchmark, and its subset if it has several
    tasks."""

    benchmark: str
    subset: str | None = None


def places(benchmarks: Iterable[Benchmark]) -> dict[str, TaskPlace]:
    """The place of each task that a benchmark names."""
    found: dict[str, TaskPlace] = {}
    for one in benchmarks:
        if one.type != "set" or not one.loaders.mteb:
            continue
        parts = {subset.task: subset.name for subset in one.subsets if subset.task}
        tasks = [name.strip() for name in one.loaders.mteb.split(",")]
        found |= {task: TaskPlace(one.id, parts.get(task)) for task in tasks}
    return found


def load_listing(
    catalogue: Catalogue, benchmarks: Iterable[str] | None = None, *, main_only: bool = False
) -> Catalogue:
    """The catalogue with the board, or with its scores of some benchmarks only (ids). main_only:
    without the scores of other splits than a task's own, which are half of all. Raises
    CatalogueError as `load_board`."""
    tasks = None
    if benchmarks is not None:
        wanted = set(benchmarks)
        found = places(catalogue.of_type(Benchmark))
        tasks = {task for task, place in found.items() if place.benchmark in wanted}
    return with_board(catalogue, load_board(data_folder(), tasks), main_only=main_only)


def with_board(catalogue: Catalogue, board: Board, *, main_only: bool = False) -> Catalogue:
    """Join a catalogue and the board; main_only: as in `load_listing`."""
    found = places(catalogue.of_type(Benchmark))
    ids, listed = _identified(catalogue, board.models, found)
    declared = {ids[at]: one for at, one in enumerate(board.models)}
    scores = _results(board, ids, found, main_only=main_only)
    results = _merged(catalogue, scores, declared, found)
    content = structs.replace(catalogue.content, results=tuple(results))
    made = Catalogue(
        content, listed=tuple(listed), declared=declared, board=board.header, own=catalogue.own
    )
    made.here, made.shelf = catalogue.here, catalogue.shelf
    return made


# Models ---------------------------------------------------------------------------------------


def _identified(
    catalogue: Catalogue, models: Sequence[DeclaredModel], found: Mapping[str, TaskPlace]
) -> tuple[list[str], list[Model]]:
    """The id of each declared model, and entries for those that are not curated."""
    curated: dict[str, str] = {}
    for entry in catalogue.of_type(Model):
        for name in (*entry.aliases, *entry.hub):
            curated.setdefault(name.casefold(), entry.id)
    used = set(catalogue.by_id)
    shown = {entry.name.casefold() for entry in catalogue.of_type(Model)}
    ids, listed = [], []
    for one in models:
        identifier = curated.get(one.name.casefold())
        if identifier is None:
            identifier = slug(one.name)
            while identifier in used:
                identifier += "-listed"
            used.add(identifier)
            name = one.name.rpartition("/")[2]
            if name.casefold() in shown:
                name = one.name
            shown.add(name.casefold())
            listed.append(_listed(identifier, name, one, found))
        ids.append(identifier)
    return ids, listed


def slug(name: str) -> str:
    """The id of a listed model: letters and digits of its name, joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", name.casefold())) or "model"


def _listed(
    identifier: str, name: str, one: DeclaredModel, found: Mapping[str, TaskPlace]
) -> Model:
    # An API has no page on the hub; neither has a variant that mteb names by its settings.
    on_hub = one.open_weights is not False and "/" in one.name and "(" not in one.name
    size = f"{short(one.params)} parameters" if one.params else "an unknown number of parameters"
    said = [one.type or "model", f"with {size}"]
    if one.base:
        said.append(f"trained from {one.base}")
    seen = (found[task].benchmark for task in one.trained_on if task in found)
    return Model(
        id=identifier,
        name=name,
        summary=f"A {' '.join(said)}. Its facts are declared to mteb, and not checked here.",
        sources=(SOURCE,),
        status="declared",
        year=int(one.released[:4]) if one.released else None,
        links=(Link(label="model", url=f"{_HUB}{one.name}", type="model"),) if on_hub else (),
        role="reranker" if one.type == "cross-encoder" else "retriever",
        hub=(one.name,) if on_hub else (),
        aliases=() if on_hub else (one.name,),
        trained_on=tuple(dict.fromkeys(seen)),
        **{name: getattr(one, name) for name in _SHARED},
    )


_SHARED = ("params", "dimension", "max_tokens", "licence", "base", "languages", "released",
           "revision", "memory", "open_weights", "training_data", "instructed")  # fmt: skip
"""Facts that a listed model takes over as they are declared."""


def disagreements(entry: Model, declared: DeclaredModel) -> list[tuple[str, Any]]:
    """Fields in which a curated model differs from what is declared, with the declared value."""
    found = []
    for name in _COMPARED:
        ours, theirs = getattr(entry, name), getattr(declared, name)
        if ours is None or theirs is None or (name in ("params", "memory") and entry.encoders > 1):
            continue
        if isinstance(ours, int) and name in ("params", "memory"):
            differs = abs(ours - theirs) > _ROUNDED * max(ours, theirs)
        elif isinstance(ours, str):
            differs = slug(ours) != slug(str(theirs))
        else:
            differs = ours != theirs
        if differs:
            found.append((name, theirs))
    return found


# Scores ---------------------------------------------------------------------------------------


def _results(
    board: Board, ids: Sequence[str], found: Mapping[str, TaskPlace], *, main_only: bool
) -> list[Result]:
    """The scores of the board that a benchmark of the catalogue has the task of. A score of another
    split than the task's has the split's name in its subset."""
    splits: dict[str, set[str]] = defaultdict(set)
    for one in board.scores:
        splits[one.task].add(one.split)
    main = {task: main_split(names) for task, names in splits.items()}
    tables = board.header

    def result(one: BoardScore, place: TaskPlace) -> Result:
        subset = place.subset
        if subset is None and one.subset != "default":
            subset = one.subset
        if one.split != main[one.task]:
            subset = f"{subset} {one.split}" if subset else one.split
        kind = KINDS[one.kind]
        return Result(
            model=ids[one.model],
            benchmark=place.benchmark,
            value=one.value,
            source=SCORES,
            metric=one.metric,
            subset=subset,
            zero_shot=one.zero_shot,
            kind=kind,
            split=one.split,
            revision=tables.revisions[one.revision] if kind == "run" else None,
            dataset_revision=tables.dataset_revisions[one.dataset_revision],
            path=board.path(one),
            others=one.others,
        )

    return [
        result(one, found[one.task])
        for one in board.scores
        if one.task in found and not (main_only and one.split != main[one.task])
    ]


def _merged(
    catalogue: Catalogue,
    scores: Iterable[Result],
    declared: Mapping[str, DeclaredModel],
    found: Mapping[str, TaskPlace],
) -> list[Result]:
    """The curated scores with what the board adds to them, then the board's others and the means
    of averaged benchmarks."""
    ours: dict[Key, list[int]] = defaultdict(list)
    for at, one in enumerate(catalogue.results):
        ours[_key(one)].append(at)
    merged = list(catalogue.results)
    more: list[Result] = []
    for score in scores:
        known = ours.get(_key(score))
        if not known:
            more.append(score)
            continue
        for at in known:
            merged[at] = _completed(merged[at], score)
    more += _means(catalogue, more, ours)
    declared_sets = {
        model: {found[task].benchmark for task in one.trained_on if task in found}
        for model, one in declared.items()
        if one.training_declared
    }
    trained = {one.id: set(one.trained_on) for one in catalogue.of_type(Model) if one.trained_on}
    tasks = {place.benchmark for place in found.values()}

    def zero_shot(one: Result) -> bool | None:
        """What training data say of a score: those of the entry, then the declared ones."""
        if one.benchmark in trained.get(one.model, ()):
            return False
        known = declared_sets.get(one.model)
        if one.zero_shot is not None or known is None or one.benchmark not in tasks:
            return one.zero_shot
        return one.benchmark not in known

    return [
        one if (told := zero_shot(one)) is one.zero_shot else structs.replace(one, zero_shot=told)
        for one in chain(merged, more)
    ]


def _key(one: Result) -> Key:
    return one.model, one.benchmark, one.subset, one.metric


def _completed(ours: Result, score: Result) -> Result:
    """A curated score with the origin of the board's where both are one, else with one more other
    value."""
    if abs(ours.value - score.value) >= SAME:
        return structs.replace(ours, others=ours.others + 1 + score.others)
    same = ("split", "revision", "dataset_revision", "path", "others", "kind")
    return structs.replace(ours, **{name: getattr(score, name) for name in same})


def _means(
    catalogue: Catalogue, scores: Iterable[Result], ours: Mapping[Key, object]
) -> list[Result]:
    """The score of each averaged benchmark for the models that have all its subsets."""
    averaged = {
        one.id: [part.name for part in one.subsets]
        for one in catalogue.of_type(Benchmark)
        if one.averaged
    }
    rows: dict[tuple[str, str, str], dict[str, Result]] = defaultdict(dict)
    for one in (*catalogue.results, *scores):
        if one.subset in averaged.get(one.benchmark, ()) and one.comparable:
            rows[one.model, one.benchmark, one.metric].setdefault(str(one.subset), one)
    means = []
    for (model, benchmark, metric), parts in rows.items():
        names = averaged[benchmark]
        if len(parts) == len(names) and (model, benchmark, None, metric) not in ours:
            means.append(_mean([parts[name] for name in names]))
    return means


def _mean(parts: Sequence[Result]) -> Result:
    kinds: list[ScoreKind | None] = [one.kind for one in parts]
    worst = max(kinds, key=lambda kind: KINDS.index(kind) if kind else 0)
    known = {one.zero_shot for one in parts}
    zero_shot = False if False in known else None if None in known else True
    return structs.replace(
        parts[0],
        value=round(sum(one.value for one in parts) / len(parts), 5),
        subset=None,
        kind=worst,
        zero_shot=zero_shot,
        path=None,
        others=sum(one.others for one in parts),
        note=f"mean of {len(parts)} subsets",
    )
