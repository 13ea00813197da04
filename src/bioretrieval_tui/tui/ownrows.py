"""Own evaluations as rows beside the published ones, and the page of one.

They stand in the columns of the published figures where benchmark, split and measure are the same,
else in columns of their own. They have no part in means, nor in what is the best of a column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.matrix import MEAN_METRIC, Axis, Matrix, MatrixRow
from bioretrieval_tui.catalog.models import Benchmark, Model
from bioretrieval_tui.evaluation.measures import MAIN
from bioretrieval_tui.evaluation.published import Match, Reference, hub_names, references
from bioretrieval_tui.evaluation.records import EvaluationRecord
from bioretrieval_tui.tui.pages import LABEL, Page
from bioretrieval_tui.tui.text import Line, Span, line

MARK = "◆"
"""Before the name of every own row: it shows without colour too."""
_SPLIT = "test"
_MODES = {"hybrid": " + BM25", "rerank": " + BM25, reranked"}


@dataclass(frozen=True, slots=True)
class OwnRow:
    """One record as a row.

    model: id of the catalogue's entry for its model, None where there is none or words alone
    ranked; figures: by column; off: further from the published figure than is tolerated; trained:
    the model has seen the benchmark's training data; earlier: records of the same kind, newest
    first, that this one stands for.
    """

    record: EvaluationRecord
    name: str
    model: str | None
    figures: Mapping[Axis, float]
    off: bool
    trained: bool
    earlier: tuple[EvaluationRecord, ...] = ()

    @property
    def how(self) -> str:
        """Mode and day."""
        return f"{self.record.mode} {self.record.date[:10]}"


@dataclass(frozen=True, slots=True)
class OwnRows:
    """All own rows, newest first. titles: of the columns that no published figure has."""

    rows: tuple[OwnRow, ...] = ()
    titles: Mapping[Axis, str] = field(default_factory=dict)


def own_rows(records: Sequence[EvaluationRecord], catalogue: Catalogue) -> OwnRows:
    """Of every benchmark, model and mode the newest record; `records` are newest first."""
    kinds: dict[tuple[str, ...], list[EvaluationRecord]] = {}
    for record in records:
        kinds.setdefault(_kind(record), []).append(record)
    entries = {hub: entry for entry in catalogue.of_type(Model) for hub in hub_names(entry)}
    rows: list[OwnRow] = []
    titles: dict[Axis, str] = {}
    for newest, *earlier in kinds.values():
        axis = _axis(newest, catalogue)
        if axis is None:
            axis = Axis(f"own {newest.benchmark} {newest.split} {newest.sha256[:8]}", MAIN)
            split = "" if newest.split == _SPLIT else f" {newest.split}"
            titles[axis] = f"{newest.benchmark}{split} (own)"
        entry = None if newest.mode == "lexical" else entries.get(newest.model)
        trained = entry is not None and newest.catalogue in entry.trained_on
        off = any(one.marked for one in published(newest, catalogue))
        figures = {axis: newest.metrics[MAIN]} if MAIN in newest.metrics else {}
        name = _name(newest, entry)
        rows.append(
            OwnRow(newest, name, entry.id if entry else None, figures, off, trained, tuple(earlier))
        )
    return OwnRows(tuple(rows), titles)


def published(record: EvaluationRecord, catalogue: Catalogue) -> list[Reference]:
    """The published figures for a record; none where its benchmark is not the catalogue's."""
    entry = catalogue.by_id.get(record.catalogue or "")
    if not isinstance(entry, Benchmark) or MAIN not in record.metrics:
        return []
    match = Match(entry, record.split == _SPLIT)
    return references(catalogue, match, record.mode, record.model, record.metrics[MAIN])


def _kind(record: EvaluationRecord) -> tuple[str, ...]:
    what = (record.sha256, record.split, record.model, record.revision, record.recipe_hash)
    how = (record.mode, record.reranker or "", record.instruction or "", str(record.keep_own))
    return (*what, *how)


def _axis(record: EvaluationRecord, catalogue: Catalogue) -> Axis | None:
    """The column of the catalogue's benchmark, if the record is of that and of its test split."""
    known = isinstance(catalogue.by_id.get(record.catalogue or ""), Benchmark)
    if not known or record.split != _SPLIT or record.catalogue is None:
        return None
    return Axis(record.catalogue, MEAN_METRIC)


def _name(record: EvaluationRecord, entry: Model | None) -> str:
    # Words alone are ranked by no model.
    if record.mode == "lexical":
        return "BM25 of this app"
    name = entry.name if entry is not None else record.model.rstrip("/").rpartition("/")[2]
    return name + _MODES.get(record.mode, "")


# Among the published rows ---------------------------------------------------------------------


def fitting(
    own: OwnRows, models: frozenset[str] | None, words: str, *, zero_shot_only: bool
) -> list[OwnRow]:
    """The own rows that stay. models: entries that a filter keeps, None without one; words: the
    filter itself, for rows whose model the catalogue does not know."""

    def stays(row: OwnRow) -> bool:
        if zero_shot_only and (row.trained or row.record.mode != "lexical"):
            return False  # what a model has seen is known only where it has seen it
        if models is None or row.model in models:
            return True
        text = f"{row.name} {row.record.mode} {row.record.benchmark} own".casefold()
        return row.model is None and words.casefold() in text

    return [row for row in own.rows if stays(row)]


def merged(
    matrix: Matrix,
    own: Sequence[OwnRow],
    catalogue: Catalogue,
    *,
    sort: Axis | str | None,
    reverse: bool,
) -> list[MatrixRow | OwnRow]:
    """Published and own rows in one order. An axis ranks the figures that stand there, and own
    rows without one come behind; so do all of them where a mean decides, which they have not."""
    rows: list[MatrixRow | OwnRow] = [*matrix.rows]
    if isinstance(sort, Axis):
        axis = sort
        both: list[MatrixRow | OwnRow] = [*matrix.rows, *own]
        rows = [row for row in both if axis in row.figures]

        def by_value(row: MatrixRow | OwnRow) -> tuple[float, str]:
            return -value_of(row, axis), _named(row, catalogue)

        others = [row for row in own if axis not in row.figures]
        return [*sorted(rows, key=by_value, reverse=reverse), *others]
    if sort == "model":
        rows += own
        return sorted(rows, key=lambda row: _named(row, catalogue), reverse=reverse)
    if sort == "own":
        newest = sorted(own, key=lambda row: row.record.date, reverse=not reverse)
        return [*newest, *rows]
    return [*rows, *own]


def value_of(row: MatrixRow | OwnRow, axis: Axis) -> float:
    """The figure of a row in a column that it has."""
    found = row.figures[axis]
    return found if isinstance(found, float) else found.value


def _named(row: MatrixRow | OwnRow, catalogue: Catalogue) -> str:
    if isinstance(row, OwnRow):
        return row.name.casefold()
    return catalogue.names.get(row.model, row.model).casefold()


# The page of one ------------------------------------------------------------------------------


def own_page(row: OwnRow, catalogue: Catalogue) -> Page:
    """All that is known of a record; its values come from files and are no Markdown."""
    record = row.record
    lines = [
        line(Span(f"{MARK} {row.name}", "own.strong")),
        line(Span("own evaluation", "own"), Span(f"  {record.id}", "dim")),
        line(),
    ]
    lines += [_fact(label, value) for label, value in _facts(record, catalogue) if value]
    lines += [line(), line(Span("Figures", "header"))]
    lines += [_fact(name, f"{value:.4f}", "strong") for name, value in record.metrics.items()]
    lines += list(_beside(record, catalogue))
    if row.earlier:
        lines += [line(), line(Span("Earlier ones of the same kind", "header"))]
        lines += [
            _fact(one.date[:10], f"{one.metrics.get(MAIN, 0.0):.4f}  {one.id}")
            for one in row.earlier
        ]
    lines += [line(), line(Span("x explores its queries and judgements, d removes it", "faint"))]
    return Page(tuple(lines), lead=len(lines))


def _fact(label: str, value: str, role: str = "text") -> Line:
    gap = " " * max(1, LABEL - len(label))
    return line(Span(label, "dim"), gap, Span(value, role), hang=LABEL)


def _facts(record: EvaluationRecord, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    yield "model", "none: words alone (BM25)" if record.mode == "lexical" else record.model
    if record.mode != "lexical":
        yield "revision", record.revision
        yield "recipe", record.recipe_hash
    yield "mode", record.mode
    yield "reranker", record.reranker or ""
    yield "instruction", record.instruction or ""
    known = catalogue.names.get(record.catalogue or "")
    yield "benchmark", record.benchmark + (f" ({known} of the catalogue)" if known else "")
    yield "split", record.split
    yield "sha256", record.sha256
    counts = f"{record.queries:,} queries, {record.documents:,} documents"
    yield "size", f"{counts}, the best {record.depth:,} of each query"
    yield "own ids", "ranked like the others" if record.keep_own else ""
    yield "index", record.index
    speed = ", ".join(f"{name} {value:.1f} ms" for name, value in record.latency_ms.items())
    yield "latency", f"{speed} a query" if speed else ""
    yield "hardware", record.hardware
    yield "date", record.date[:19].replace("T", " ") + " UTC"
    yield "versions", ", ".join(f"{name} {value}" for name, value in record.versions.items())


def _beside(record: EvaluationRecord, catalogue: Catalogue) -> Iterator[Line]:
    """The published figures, with how far off ours is."""
    found = published(record, catalogue)
    yield line()
    yield line(Span("Published", "header"))
    if not found:
        yield line(Span("nothing to compare with: no benchmark of the catalogue", "dim"))
    for one in found:
        yield line(*reference_spans(one), hang=LABEL)


def reference_spans(one: Reference) -> list[Span]:
    """One published figure: value, whose, how far ours is from it, and where it was read."""
    spans = [Span(f"{one.value:.4f}", "strong"), Span(f"  {one.name}", "model")]
    if one.deviation is None:
        spans.append(Span("  for orientation", "faint"))
    elif one.marked:
        spans.append(Span(f"  ours is {one.deviation:+.4f} ! over 0.01", "warn"))
    else:
        spans.append(Span(f"  ours is {one.deviation + 0:+.4f}", "ok"))
    if one.status == "unverified":
        spans.append(Span("  unverified", "warn"))
    return [*spans, Span(f"  from {one.source}", "faint")]
