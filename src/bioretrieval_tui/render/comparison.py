"""Two to six entries of one kind side by side: scores with their differences, facts, recipe.

Fields are those of `catalog.fields.TABLE`, scores those of the board's columns. A run of the user
counts as its model with one score, so it may stand beside models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.fields import TABLE, EntryField
from bioretrieval_tui.catalog.matrix import MEAN_METRIC, Axis, ScoreTable
from bioretrieval_tui.catalog.models import AnyEntry, Entry, Recipe, Result, Side
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.render.entries import field_cell
from bioretrieval_tui.render.rankings import LEGEND, score_figure, score_mark
from bioretrieval_tui.render.sheet import Cell, ColumnOf, Sheet, Shown, column, face, sheet_of
from bioretrieval_tui.util.formatting import plural

if TYPE_CHECKING:
    # At run time only where a run is compared: it imports the evaluation.
    from bioretrieval_tui.evaluation.metrics import Comparison
    from bioretrieval_tui.render.evaluations import OwnRun

LEAST, MOST = 2, 6
SCORES, QUERIES, FACTS, RECIPE, RUN = "Scores", "Queries", "Facts", "Recipe", "Run"
"""Sections, in their order: what most readers ask first comes first."""
_LEFT_OUT = frozenset(
    ("id", "name", "kind", "summary", "added", "related", "url", "recipe_note", "traps", "check",
     "unverified", "starred", "tag", "note")
)  # fmt: skip
"""Fields that head a column, are long texts, or say nothing beside another entry."""
_OTHERWISE = "other measures"
_KINDS = {"self-reported": "self-reported", "no-revision": "revision of the weights unknown"}

Compared: TypeAlias = "AnyEntry | OwnRun"
_Scores = Mapping[Axis, Result]


class ComparedRow(Struct, frozen=True):
    """One row. key: its name for programs; cells: one for each compared thing; equal: all have the
    same value; remark: how a score was measured differently; differences: of scores to the first
    thing; best: which have the best score, none where all have the same."""

    section: str
    key: str
    label: str
    cells: tuple[Cell, ...]
    equal: bool = False
    remark: str = ""
    differences: tuple[float | None, ...] = ()
    best: tuple[int, ...] = ()


class EntryComparison(Struct, frozen=True):
    """ids, names: of the compared things, in their order; notes: what the rows leave out, and what
    the marks mean."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    rows: tuple[ComparedRow, ...]
    notes: tuple[str, ...] = ()

    def shown(self, *, differences: bool) -> list[ComparedRow]:
        """The rows. differences: without those that are equal."""
        return [row for row in self.rows if not (differences and row.equal)]


def compared_id(thing: Compared) -> str:
    return thing.id if isinstance(thing, Entry) else thing.record.id


def compared_kind(thing: Compared) -> str:
    """What it can be compared with."""
    return kind_of(thing) if isinstance(thing, Entry) else "model"


def check_count(count: int) -> None:
    """Raise UsageError for fewer than two or more than six things."""
    if not LEAST <= count <= MOST:
        remedy = f"name {LEAST} to {MOST} entries of one kind"
        raise UsageError(f"{count} cannot be compared", remedy=remedy)


def runs_of_one_benchmark(things: Sequence[Compared]) -> tuple[str, str] | None:
    """The records of two runs over the same files and split, which can be compared by query."""
    records = [one.record for one in things if not isinstance(one, Entry)]
    if len(things) != LEAST or len({(one.sha256, one.split) for one in records}) != 1:
        return None
    return (records[0].id, records[1].id) if len(records) == LEAST else None


def compare(
    things: Sequence[Compared],
    catalogue: Catalogue,
    table: ScoreTable | None = None,
    *,
    by_query: Comparison | None = None,
) -> EntryComparison:
    """Compare things of one kind; by_query: of two runs. Raises UsageError: they are fewer than
    two, more than six, one of them twice, or of several kinds."""
    ids = [compared_id(one) for one in things]
    check_count(len(ids))
    for one in ids:
        if ids.count(one) > 1:
            raise UsageError(f"'{one}' is given twice", remedy="name it once")
    kinds = list(dict.fromkeys(map(compared_kind, things)))
    if len(kinds) > 1:
        pairs = ", ".join(f"{compared_id(one)} ({compared_kind(one)})" for one in things)
        raise UsageError(f"several kinds: {pairs}", remedy="name entries of one kind")
    names = _names(things)
    rows: list[ComparedRow] = []
    notes: list[str] = []
    if kinds[0] in ("model", "recipe"):
        table = table or ScoreTable(catalogue)
        scores = _ScoreRows([_scores(one, table) for one in things], names, table)
        rows, notes = scores.rows(), scores.notes()
    rows += _query_rows(by_query) if by_query else ()
    entries = [_entry(one, catalogue) for one in things]
    rows += _fields(entries, kinds[0], catalogue)
    rows += _run_rows(things)
    return EntryComparison(tuple(ids), tuple(names), tuple(rows), tuple(notes))


def _names(things: Sequence[Compared]) -> list[str]:
    """Names as headings, without what they have in brackets; runs and entries of one name with what
    tells them apart."""
    names = [one.name.partition(" (")[0] if isinstance(one, Entry) else one.title for one in things]
    return [
        name if names.count(name) == 1
        else f"{name} {one.id if isinstance(one, Entry) else one.how}"
        for name, one in zip(names, things, strict=True)
    ]  # fmt: skip


def _entry(thing: Compared, catalogue: Catalogue) -> AnyEntry | None:
    """The entry whose facts are shown: of a run its model."""
    return thing if isinstance(thing, Entry) else catalogue.by_id.get(thing.model or "")


# Scores ---------------------------------------------------------------------------------------


def _scores(thing: Compared, table: ScoreTable) -> _Scores:
    """Scores by column: of a recipe those of its model, of a run its own."""
    if not isinstance(thing, Entry):
        return thing.figures
    return table.scores_of(thing.model if isinstance(thing, Recipe) else thing.id)


class _ScoreRows:
    """Rows of scores: a column of the board that at least two things have is a row.

    usual: the columns that count, without subsets of benchmarks that have a score as a whole;
    shared: those of them that at least two have; places: benchmark and subset of the scores.
    """

    def __init__(self, scores: Sequence[_Scores], names: Sequence[str], table: ScoreTable) -> None:
        self.scores, self.names, self.table = scores, names, table
        # Runs may have columns that the board lacks.
        order = dict.fromkeys([*table.axes, *(axis for one in scores for axis in one)])
        parts = frozenset(table.axes[table.usual :])
        several = [axis for axis in order if sum(axis in one for one in scores) >= LEAST]
        self.usual = [axis for axis in order if axis not in parts]
        self.shared = [axis for axis in several if axis not in parts]
        self.parts = len(several) - len(self.shared)
        self.places = Counter(place for one in scores for place in set(map(_place, one)))
        self.single = sum(self.places[place] == 1 for place in set(map(_place, self.usual)))

    def notes(self) -> list[str]:
        """What has no row, and what the marks mean."""
        found = [LEGEND] if self.shared else []
        if self.single:
            found.append(f"only one has a score: {plural(self.single, 'benchmark')}")
        if self.parts:
            found.append(f"scores of subsets are left out: {self.parts}")
        return found

    def rows(self) -> list[ComparedRow]:
        """The totals, then the columns in which the first thing loses most before those in which
        it gains."""
        rows = [self._row(axis) for axis in self.shared]
        means = [row for axis, row in zip(self.shared, rows, strict=True)
                 if axis.metric == MEAN_METRIC]  # fmt: skip

        def lost(row: ComparedRow) -> float:
            found = [one for one in row.differences[1:] if one is not None]
            return -max(found) if found else 2.0  # beyond any difference: it has no score

        rows.sort(key=lost)
        return [*self._totals(rows, means), *rows, *self._otherwise()]

    def _row(self, axis: Axis) -> ComparedRow:
        results = [one.get(axis) for one in self.scores]
        values = [None if one is None else round(one.value, 4) for one in results]
        known = [one for one in values if one is not None]
        first = values[0]
        differences = tuple(
            None if one is None or first is None else round(one - first, 4) for one in values
        )
        same = len(set(known)) == 1
        best = tuple(at for at, one in enumerate(values) if not same and one == max(known))
        cells: list[Cell] = []
        for at, result in enumerate(results):
            if result is None:
                cells.append(self._in_other_measure(at, axis))
                continue
            difference = differences[at] if at else None
            text = score_figure(result) + score_mark(result)
            text += "" if difference is None else f" {difference:+.4f}"
            cells.append(Shown(result.value, text, emphasis="best" if at in best else ""))
        return ComparedRow(
            SCORES, self.table.key(axis), self.table.title(axis), tuple(cells),
            same and None not in values, self._remark(results, cells), differences, best,
        )  # fmt: skip

    def _in_other_measure(self, at: int, axis: Axis) -> Cell:
        """The score of a thing on the benchmark of a column, in another measure than the
        column's."""
        for other, result in self.scores[at].items():
            if _place(other) == _place(axis):
                return Shown(result.value, f"{score_figure(result)} {other.metric}")
        return None

    def _totals(
        self, rows: Sequence[ComparedRow], averaged: Sequence[ComparedRow]
    ) -> Iterator[ComparedRow]:
        """Against the first thing: in how many columns each is higher, and the mean difference in
        those of one measure."""
        counts: list[Cell] = [None]
        means: list[Cell] = [None]
        for at in range(1, len(self.names)):
            found = _known(rows, at)
            higher, lower = sum(one > 0 for one in found), sum(one < 0 for one in found)
            counts.append(f"{higher} higher, {lower} lower" if found else None)
            like = _known(averaged, at)
            mean = round(fmean(like), 4) if like else None
            means.append(None if mean is None else Shown(mean, f"{mean:+.4f} over {len(like)}"))
        if any(counts):
            yield ComparedRow(SCORES, "higher", f"against {self.names[0]}", tuple(counts))
        if any(means):
            label = f"mean {MEAN_METRIC} difference"
            yield ComparedRow(SCORES, "mean_difference", label, tuple(means))

    def _otherwise(self) -> Iterator[ComparedRow]:
        """Benchmarks that two or more have scores on, each in another measure."""
        seen = set(map(_place, self.shared))
        for axis in self.usual:
            if _place(axis) in seen or self.places[_place(axis)] < LEAST:
                continue
            seen.add(_place(axis))
            cells = [self._in_other_measure(at, axis) for at in range(len(self.names))]
            key = axis.benchmark + (f":{axis.subset}" if axis.subset else "")
            title = self.table.title(Axis(axis.benchmark, MEAN_METRIC, axis.subset))
            yield ComparedRow(SCORES, key, title, tuple(cells), remark=_OTHERWISE)

    def _remark(self, results: Sequence[Result | None], cells: Sequence[Cell]) -> str:
        """How the scores of one column were measured differently, in words."""
        known = [(name, one) for name, one in zip(self.names, results, strict=True) if one]
        others = [cell for cell, one in zip(cells, results, strict=True) if one is None]
        said = [_OTHERWISE] if any(others) else []

        def some(words: str, holds: Sequence[bool]) -> None:
            if any(holds) and not all(holds):
                who = [name for (name, _), one in zip(known, holds, strict=True) if one]
                said.append(f"{words}: {', '.join(who)}")

        some("trained on it", [one.zero_shot is False for _, one in known])
        for kind, words in _KINDS.items():
            some(words, [one.kind == kind for _, one in known])
        some("unverified", [one.status == "unverified" for _, one in known])
        for words, values in (
            ("splits", [one.split for _, one in known]),
            ("dataset revisions", [(one.dataset_revision or "")[:7] for _, one in known]),
            ("sources", [one.source for _, one in known]),
        ):
            different = dict.fromkeys(one for one in values if one)
            if len(different) > 1:
                said.append(f"{words} {', '.join(different)}")
        return "; ".join(said)


def _place(axis: Axis) -> tuple[str, str | None]:
    """What a column measures, in whichever measure."""
    return axis.benchmark, axis.subset


def _known(rows: Sequence[ComparedRow], at: int) -> list[float]:
    """The differences of one thing to the first."""
    found = (row.differences[at] for row in rows)
    return [one for one in found if one is not None]


# Queries --------------------------------------------------------------------------------------


def _query_rows(found: Comparison) -> Iterator[ComparedRow]:
    """The significance of the difference, the queries that changed most, and the histogram."""
    from bioretrieval_tui.render.evaluations import EACH_WAY, bin_bar, bin_name, chance_words

    counts = found.losses, found.wins
    ahead = (counts.index(max(counts)),) if found.wins != found.losses else ()
    yield ComparedRow(QUERIES, "p", f"{found.measure} by query", (None, chance_words(found)))
    yield ComparedRow(QUERIES, "wins", "queries it is better on", counts, best=ahead)
    for delta in (one for most in found.most_changed(EACH_WAY) for one in most):
        second = f"{delta.second:.4f} {delta.difference:+.4f}"
        cells = Shown(delta.first, f"{delta.first:.4f}"), Shown(delta.second, second)
        label = f"{delta.query} {delta.text}".strip()
        best = (int(delta.difference > 0),)
        yield ComparedRow(QUERIES, f"query {delta.query}", label, cells, best=best)
    for one in found.histogram:
        name = bin_name(one)
        yield ComparedRow(QUERIES, f"histogram {name}", f"Δ {name}", (None, bin_bar(found, one)))


# Facts ----------------------------------------------------------------------------------------


def _fields(
    entries: Sequence[AnyEntry | None], kind: str, catalogue: Catalogue
) -> Iterator[ComparedRow]:
    """A row for each field that one of them has; of a side of the recipe one for each part."""
    rows = [row for row in TABLE.of(kind) if row.name not in _LEFT_OUT]
    for section in (FACTS, RECIPE):
        for row in rows:
            if (row.group == "Encoding") != (section == RECIPE):
                continue
            if row.form == "side":
                yield from _side_rows(row, entries, catalogue)
                continue
            cells = tuple(field_cell(row, one, catalogue) if one else None for one in entries)
            yield from _fact_row(section, row.name, row.title, cells)


def _side_rows(
    row: EntryField, entries: Sequence[AnyEntry | None], catalogue: Catalogue
) -> Iterator[ComparedRow]:
    sides = [one and row.read(one, catalogue) for one in entries]
    for part in Side.__struct_fields__:
        found = [getattr(side, part, None) for side in sides]
        cells = tuple(_part(value) for value in found)
        label = f"{row.title}: {part.replace('_', ' ')}"
        yield from _fact_row(RECIPE, f"{row.name}_{part}", label, cells)


def _part(value: Any) -> Cell:
    """A part of a side; a line break is written out, and a pair joined."""
    if isinstance(value, int) or value is None:
        return value
    text = value if isinstance(value, str) else " | ".join(value)
    return text.replace("\n", "\\n")


def _run_rows(things: Sequence[Compared]) -> Iterator[ComparedRow]:
    records = [None if isinstance(one, Entry) else one.record for one in things]
    if not any(records):
        return
    from bioretrieval_tui.render.evaluations import RECORD_FIELDS

    for one, make in RECORD_FIELDS:
        cells = tuple(None if record is None else make(record) for record in records)
        yield from _fact_row(RUN, one.key, one.title, cells)


def _fact_row(section: str, key: str, label: str, cells: tuple[Cell, ...]) -> Iterator[ComparedRow]:
    """The row, unless nothing has a value."""
    texts = [face(one).text for one in cells]
    if any(texts):
        yield ComparedRow(section, key, label, cells, len(set(texts)) == 1)


# Sheet ----------------------------------------------------------------------------------------


def comparison_sheet(found: EntryComparison, *, differences: bool = False) -> Sheet:
    """A column for each compared thing. differences: without equal rows."""

    def best(row: ComparedRow) -> str:
        return ", ".join(found.names[at] for at in row.best)

    def thing(at: int) -> ColumnOf[ComparedRow]:
        identifier, name = found.ids[at], found.names[at]
        return column(identifier, name, lambda row: row.cells[at], weight=3, min_width=15)

    def record(row: ComparedRow) -> dict[str, Any]:
        values = [one.value if isinstance(one, Shown) else one for one in row.cells]
        return {
            "section": row.section,
            "field": row.key,
            "label": row.label,
            "values": dict(zip(found.ids, values, strict=True)),
            "differences": dict(zip(found.ids, row.differences, strict=False)),
            "best": [found.ids[at] for at in row.best],
            "equal": row.equal,
            "remark": row.remark,
        }

    columns = (
        column("section", min_width=6),
        column("field", make=lambda row: row.key, data_only=True),
        column("label", "fact", min_width=14, weight=2),
        *map(thing, range(len(found.ids))),
        column("equal", "same", lambda row: Shown(row.equal, "=" if row.equal else "")),
        column("best", make=best, min_width=8),
        column("remark", "measured differently", lambda row: row.remark, weight=3, min_width=12,
               data_only=not any(row.remark for row in found.rows)),
    )  # fmt: skip
    title = " against ".join(found.names)
    return sheet_of(title, columns, found.shown(differences=differences), record)
