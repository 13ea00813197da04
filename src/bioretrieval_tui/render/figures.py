"""Figures as plain data: axes, points, step lines and bars, without drawing.

A figure is drawn in the terminal by `plot_text`, into files by `picture_files`, and `figure_sheet`
is the same data for every format of text. Makers take plain values, so that it does not matter
where scores come from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from statistics import quantiles
from typing import Any, Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from bioretrieval_tui.catalog.models import Model
from bioretrieval_tui.render.lineage import Timeline
from bioretrieval_tui.render.sheet import Column, Sheet, Shown
from bioretrieval_tui.util.formatting import count, figure, plural, rate, short, size

FigureKind = Literal["pareto", "history", "profile", "runs", "timeline"]
KINDS: tuple[FigureKind, ...] = get_args(FigureKind)
Standing = Literal["front", "named", "other"]
Scale = Literal["linear", "log", "log2", "date"]
MOST_SERIES = 6
"""Series that marks and colours can tell apart."""
_MANY = 20
"""Points of the smallest figure that leaves outliers out of the drawing."""
_BESIDE = 0.3 * 365
"""Days from a milestone to the line that leads to its heirs."""
_MIDDLE = "-07-01"
"""Where a model stands of which only the year is known."""


# Parts ----------------------------------------------------------------------------------------


class FigureAxis(Struct, frozen=True):
    """One axis. key: its column in csv; text: how a value of it is written; lanes: values with
    names, where the axis is not one of numbers."""

    key: str
    title: str
    scale: Scale
    text: Callable[[float], str]
    lanes: tuple[tuple[float, str], ...] = ()

    def place(self, value: float) -> float:
        """`value` where the axis is even: the logarithm on a logarithmic scale."""
        return {"log": math.log10, "log2": math.log2}.get(self.scale, float)(value)


class Point(Struct, frozen=True):
    """A model or a run. id: of its entry or record; standing: on the front, worth a label, or one
    among others; series: place of its curve; when: the date where that is not exact; mark: the
    signs behind a score that is limited, as in lists."""

    x: float
    y: float
    name: str
    id: str
    standing: Standing = "other"
    series: int = 0
    when: str = ""
    mark: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} [{self.mark}]" if self.mark else self.name


class Curve(Struct, frozen=True):
    """A step line: each two corners that follow each other share x or y."""

    name: str
    corners: tuple[tuple[float, float], ...]


class Bar(Struct, frozen=True):
    """A rank of 1 to `of`; name, id: of the benchmark."""

    name: str
    id: str
    rank: int
    of: int
    score: float

    @property
    def share(self) -> float:
        """The part of the other models that is ranked below."""
        return (self.of - self.rank) / (self.of - 1) if self.of > 1 else 1.0

    @property
    def text(self) -> str:
        return f"{self.rank} of {self.of}"


class Figure(Struct, frozen=True, kw_only=True):
    """A whole figure: points and curves, or bars. notes: what a reader must know of it; low: where
    a drawing begins, None for the lowest point."""

    kind: FigureKind
    title: str
    x: FigureAxis
    y: FigureAxis
    points: tuple[Point, ...] = ()
    curves: tuple[Curve, ...] = ()
    bars: tuple[Bar, ...] = ()
    notes: tuple[str, ...] = ()
    low: float | None = None

    @property
    def drawn(self) -> Figure:
        """What drawings show: without the points below `low`, which are counted in a note."""
        low = self.low
        points = tuple(point for point in self.points if low is None or point.y >= low)
        below = len(self.points) - len(points)
        if low is None or not below:
            return self
        curves = []
        for curve in self.curves:
            corners = [(x, max(y, low)) for x, y in curve.corners]
            # What remains of the part below is a line along the edge.
            while len(corners) > 1 and corners[1][1] == low:
                corners.pop(0)
            curves.append(Curve(curve.name, tuple(corners)))
        said = f"{plural(below, 'model')} below {low:.2f} not drawn; the table has all"
        return replace(
            self, points=points, curves=tuple(curves), notes=(*self.notes, said), low=None
        )

    @property
    def front(self) -> tuple[Point, ...]:
        return tuple(point for point in self.points if point.standing == "front")

    @property
    def several(self) -> bool:
        """Whether each curve is a series, with a mark and a colour of its own."""
        return self.kind in ("history", "runs") and len(self.curves) > 1

    @property
    def legend(self) -> dict[str, str]:
        """What the standings of points are called where there is one series."""
        front = self.curves[0].name if self.curves else "front"
        if self.kind == "pareto":
            return {"front": front, "named": "curated", "other": "listed"}
        if self.kind == "timeline":
            return {}
        return {"front": front, "named": "others"}

    def when(self, point: Point) -> str:
        """The x value of a point as text."""
        return point.when or self.x.text(point.x)


def day_text(value: float) -> str:
    return date.fromordinal(round(value)).isoformat()


def _megabytes(value: float) -> str:
    return size(round(value * 1_000_000)).replace(".0 ", " ")


def _percent(value: float) -> str:
    return f"{value:.0%}"


def _whole(write: Callable[[int], str]) -> Callable[[float], str]:
    return lambda value: write(round(value))


AXES: dict[str, FigureAxis] = {
    "params": FigureAxis("params", "parameters", "log", _whole(short)),
    "dimension": FigureAxis("dimension", "embedding dimension", "log2", _whole(count)),
    "released": FigureAxis("released", "release date", "date", day_text),
    "memory": FigureAxis("memory", "memory of the weights", "log", _megabytes),
}
"""What quality can be plotted against, by fields of models."""
_SPEED = FigureAxis("docs_per_second", "documents encoded a second", "log", rate)
_BELOW = FigureAxis("below", "models ranked below", "linear", _percent)


def score_text(value: float) -> str:
    """A score with four decimals, or three where no more were published."""
    return figure(round(value, 4))


def score_axis(title: str) -> FigureAxis:
    return FigureAxis("score", title, "linear", score_text)


# Fronts ---------------------------------------------------------------------------------------


def pareto_front(values: Sequence[tuple[float, float]], *, more: bool = False) -> list[int]:
    """Positions of the pairs that no other beats: none is as good in both and better in one.

    A higher second value is better, and a lower first one, or a higher with `more`. In the order of
    the first value, best first; equal pairs stand together.
    """
    sign = -1 if more else 1
    order = sorted(range(len(values)), key=lambda at: (sign * values[at][0], -values[at][1]))
    front: list[int] = []
    for at in order:
        if not front or values[at][1] > values[front[-1]][1] or values[at] == values[front[-1]]:
            front.append(at)
    return front


def _stairs(corners: Sequence[tuple[float, float]], end: float) -> tuple[tuple[float, float], ...]:
    """The step line through these points of a front, and on to x = `end`."""
    found = list(corners[:1])
    for x, y in [*corners[1:], (end, corners[-1][1])] if corners else ():
        between = (x, found[-1][1])
        found += [one for one in (between, (x, y)) if one != found[-1]]
        if len(found) > 1 and found[-1] == found[-2]:
            found.pop()
    return tuple(found)


# Makers ---------------------------------------------------------------------------------------


class ScoredModel(Struct, frozen=True):
    """A model with its score, and the signs of what limits it."""

    model: Model
    score: float
    mark: str = ""


Scored = Iterable[ScoredModel]


def quality_figure(
    scored: Scored, against: str, measure: str, of: str, named: Collection[str] = ()
) -> Figure:
    """Scores against a field of models (of `AXES`), with the Pareto front.

    measure, of: what the scores are, such as "nDCG@10" and "SciFact"; named: ids of the curated
    models, which get a label, as the front does.
    """
    axis = AXES[against]
    placed, without = _placed(scored, against)
    front = pareto_front([(x, one.score) for one, x in placed])
    points = [
        _point(one, x, against, "named" if one.model.id in named else "other") for one, x in placed
    ]
    for at in front:
        points[at] = replace(points[at], standing="front")
    best = [points[at] for at in front]
    end = max((point.x for point in points), default=0.0)
    notes = _vague(one.model for one, _ in placed) if against == "released" else []
    if without:
        notes.append(f"{plural(without, 'model')} left out: {axis.title} not known")
    curve = Curve("Pareto front", _stairs([(one.x, one.y) for one in best], end))
    return Figure(
        kind="pareto",
        title=f"{measure} of {of} against {axis.title}",
        x=axis,
        y=score_axis(measure),
        points=tuple(points),
        curves=(curve,) if best else (),
        notes=tuple(notes),
        low=_fence([point.y for point in points]),
    )


def history_figure(series: Mapping[str, Scored], measure: str) -> Figure:
    """The best score over time of each benchmark, by name: a point where a model was better than
    all before it."""
    points: list[Point] = []
    curves: list[tuple[str, list[Point]]] = []
    shown: dict[str, Model] = {}
    for place, (name, scored) in enumerate(series.items()):
        placed, _ = _placed(scored, "released")
        best = [placed[at] for at in pareto_front([(x, one.score) for one, x in placed])]
        records = [_point(one, x, "released", "front", place) for one, x in best]
        shown |= {one.model.id: one.model for one, _ in best}
        points += records
        curves.append((name, records))
    end = max((point.x for point in points), default=0.0)
    return Figure(
        kind="history",
        title=f"Best {measure} over time",
        x=AXES["released"],
        y=score_axis(measure),
        points=tuple(points),
        curves=tuple(
            Curve(name, _stairs([(one.x, one.y) for one in found], end)) for name, found in curves
        ),
        notes=tuple(_vague(shown.values())),
    )


def profile_figure(model: Model, scores: Mapping[tuple[str, str], Mapping[str, float]]) -> Figure:
    """The ranks of a model in each benchmark that has a score of it, best first. scores: by id and
    name of the benchmark, then by model id."""
    bars = []
    for (identifier, name), found in scores.items():
        own = found.get(model.id)
        if own is not None:
            rank = 1 + sum(other > own for other in found.values())
            bars.append(Bar(name, identifier, rank, len(found), own))
    bars.sort(key=lambda bar: (-bar.share, bar.name))
    return Figure(
        kind="profile",
        title=f"Ranks of {model.name}",
        x=_BELOW,
        y=score_axis("benchmark"),
        bars=tuple(bars),
    )


class MeasuredRun(Struct, frozen=True):
    """A run of the user. speed: documents encoded a second; machine: where that was measured."""

    id: str
    name: str
    benchmark: str
    speed: float
    score: float
    machine: str


def runs_figure(runs: Iterable[MeasuredRun], measure: str) -> Figure:
    """Quality against the speed of encoding, with a front for each benchmark."""
    by_benchmark: dict[str, list[MeasuredRun]] = {}
    for run in runs:
        by_benchmark.setdefault(run.benchmark, []).append(run)
    points: list[Point] = []
    curves = []
    for place, (benchmark, found) in enumerate(by_benchmark.items()):
        values = [(run.speed, run.score) for run in found]
        front = pareto_front(values, more=True)
        points += (
            Point(run.speed, run.score, run.name, run.id, "front" if at in front else "named",
                  place)
            for at, run in enumerate(found)
        )  # fmt: skip
        end = min(speed for speed, _ in values)
        curves.append(Curve(benchmark, _stairs([values[at] for at in front], end)))
    machines = {run.machine for found in by_benchmark.values() for run in found}
    notes = (f"speeds of {len(machines)} machines: {'; '.join(sorted(machines))}",)
    return Figure(
        kind="runs",
        title=f"Your runs: {measure} against speed",
        x=_SPEED,
        y=score_axis(measure),
        points=tuple(points),
        curves=tuple(curves),
        notes=notes if len(machines) > 1 else (),
    )


def timeline_figure(found: Timeline) -> Figure:
    """Milestones by year, those of an era together, with a line to each from what its models were
    trained from."""
    marks = [(era.name, mark) for era in found.eras for mark in era.marks]
    points: list[Point] = []
    places: dict[str, Point] = {}
    lanes: dict[str, float] = {}
    for row, (era, mark) in enumerate(marks):
        year = float(date(mark.year, 1, 1).toordinal())
        points.append(Point(year, -float(row), mark.name, mark.id, "front", when=str(mark.year)))
        places[mark.id] = points[-1]
        lanes.setdefault(era, -float(row))
    curves = []
    for _, mark in marks:
        heir = places[mark.id]
        for base in (places[one] for one in mark.bases):
            # Down beside the mark: below it stand others of the same year.
            way = base.x + _BESIDE
            corners = ((base.x, base.y), (way, base.y), (way, heir.y), (heir.x, heir.y))
            curves.append(Curve(f"{base.name} to {heir.name}", corners))
    axis = FigureAxis("year", "year", "date", day_text)
    return Figure(
        kind="timeline",
        title="Evolution of biomedical text retrieval",
        x=axis,
        y=FigureAxis("era", "", "linear", str, tuple((row, era) for era, row in lanes.items())),
        points=tuple(points),
        curves=tuple(curves),
        notes=tuple(f"no milestone between {first} and {then}" for first, then in found.gaps),
    )


def _placed(scored: Scored, against: str) -> tuple[list[tuple[ScoredModel, float]], int]:
    """Models with their x; and how many have none."""
    found = [(one, _x_of(one.model, against)) for one in scored]
    placed = [(one, x) for one, x in found if x is not None]
    return placed, len(found) - len(placed)


def _point(one: ScoredModel, x: float, against: str, standing: Standing, series: int = 0) -> Point:
    when = _year_only(one.model, against)
    return Point(x, one.score, one.model.name, one.model.id, standing, series, when, one.mark)


def _fence(values: Sequence[float]) -> float | None:
    """The lower one of Tukey's fences: values below it would take the space from all others."""
    if len(values) < _MANY:
        return None
    first, _, third = quantiles(values, n=4)
    low = first - 1.5 * (third - first)
    return low if low > min(values) else None


def _vague(models: Iterable[Model]) -> list[str]:
    vague = sum(bool(_year_only(model, "released")) for model in models)
    known = f"{plural(vague, 'model')} known by the year alone: shown at the middle of it"
    return [known] if vague else []


def _x_of(model: Model, against: str) -> float | None:
    if against == "released":
        day = model.released or (f"{model.year}{_MIDDLE}" if model.year else None)
        try:
            return None if day is None else float(date.fromisoformat(day).toordinal())
        except ValueError:  # an overlay may hold 2024-13-01
            return None
    # A logarithmic axis has no place for 0 (BM25 has no parameters).
    return float(value) if (value := getattr(model, against)) else None


def _year_only(model: Model, against: str) -> str:
    """The year of a model of which no day is known."""
    return str(model.year) if against == "released" and not model.released else ""


# Text -----------------------------------------------------------------------------------------


def figure_sheet(figure_: Figure) -> Sheet:
    """The data of a figure, a row a point or bar, best first within its series."""
    records: list[dict[str, Any]]
    if figure_.kind == "timeline":
        return _timeline_sheet(figure_)
    if figure_.bars:
        records = [
            {"benchmark": bar.name, "id": bar.id, "rank": bar.rank, "of": bar.of,
             "score": Shown(bar.score, score_text(bar.score))}
            for bar in figure_.bars
        ]  # fmt: skip
        columns = (
            Column("benchmark", "benchmark", min_width=12, weight=3),
            Column("rank", "rank", "right"),
            Column("of", "of", "right"),
            Column("score", "score", "right"),
            Column("id", "id", min_width=8),
        )
        return _sheet(figure_, columns, records)
    series = {"history": "benchmark", "runs": "benchmark"}.get(figure_.kind)
    order = sorted(figure_.points, key=lambda one: (one.series, -one.y, one.x, one.id))
    dated = figure_.x.scale == "date"
    records = [
        ({series: figure_.curves[point.series].name} if series else {})
        | {
            "name": point.name,
            figure_.x.key: Shown(
                figure_.when(point) if dated else _plain(point.x), figure_.when(point)
            ),
            "score": Shown(round(point.y, 6), score_text(point.y)),
            "mark": point.mark or None,
            "front": point.standing == "front",
            "id": point.id,
        }
        for point in order
    ]
    columns = (
        *((Column(series, series, min_width=10),) if series else ()),
        Column("name", "name", min_width=16, weight=3),
        Column(figure_.x.key, figure_.x.title, "right"),
        Column("score", figure_.y.title, "right"),
        Column("mark", "mark"),
        Column("front", "on the front" if figure_.kind != "history" else "best so far"),
        Column("id", "id", min_width=8, weight=2),
    )
    return _sheet(figure_, columns, records)


def _plain(value: float) -> float:
    """The value for programs: a whole number without a fraction."""
    return int(value) if value.is_integer() else value


def _timeline_sheet(figure_: Figure) -> Sheet:
    records: list[dict[str, Any]] = []
    eras = dict(figure_.y.lanes)
    era = ""
    for point in figure_.points:
        era = eras.get(point.y, era)
        bases = {curve.corners[0] for curve in figure_.curves
                 if curve.corners[-1] == (point.x, point.y)}  # fmt: skip
        names = [one.name for one in figure_.points if (one.x, one.y) in bases]
        records.append({"year": int(point.when), "era": era, "name": point.name,
                        "trained_from": ", ".join(names), "id": point.id})  # fmt: skip
    columns = (
        Column("year", "year", "right"),
        Column("era", "era", min_width=12),
        Column("name", "name", min_width=16, weight=2),
        Column("trained_from", "trained from", min_width=12),
        Column("id", "id", min_width=8),
    )
    return _sheet(figure_, columns, records)


def _sheet(figure_: Figure, columns: tuple[Column, ...], records: list[dict[str, Any]]) -> Sheet:
    plain = [
        {key: cell.value if isinstance(cell, Shown) else cell for key, cell in record.items()}
        for record in records
    ]
    rows = [tuple(record[column.key] for column in columns) for record in records]
    return Sheet(figure_.title, columns, rows, plain)
