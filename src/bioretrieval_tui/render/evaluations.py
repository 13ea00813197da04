"""Evaluations as the app and the command line show them.

A record of the local leaderboard has one list of fields (`RECORD_FIELDS`): the columns of
`eval --list` and the facts of the page in the app. Records of one kind are grouped once
(`own_runs`), for the results matrix and for `results --own`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark, Model
from bioretrieval_tui.catalog.models import Result as Published
from bioretrieval_tui.evaluation.metrics import MAIN, MEASURES
from bioretrieval_tui.evaluation.published import Match, Reference, hub_names, references
from bioretrieval_tui.evaluation.qrels import QueryRow, QueryView
from bioretrieval_tui.evaluation.records import EvaluationRecord
from bioretrieval_tui.render.hits import mode_name
from bioretrieval_tui.render.page import Fact, Group, Inline, Page, Text, fact, facts, text
from bioretrieval_tui.render.sheet import Cell, Column, Figure, Sheet, Unverified, face, shortened

if TYPE_CHECKING:
    from bioretrieval_tui.evaluation.metrics import Comparison
    from bioretrieval_tui.evaluation.runner import EvaluationReport, ModeReport

MARK = "\N{BLACK DIAMOND}"
"""Before the name of every run of the user: it shows without colour too."""
_LATENCIES = ("p50", "p95")
_EACH_WAY = 5
"""Queries that gained, and that lost, in the short table."""
_SPLIT = "test"
_ADDED = {"hybrid": " + BM25", "rerank": " + BM25, reranked"}


# Runs of the user -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OwnRun:
    """Records of one kind: same files, split, model and settings.

    record: the newest; name: what ranked; model: id of the catalogue's entry for its model, None
    where there is none or BM25 alone ranked; trained: that model has seen the benchmark's training
    data; published: published scores of the same benchmark; earlier: older records, newest first.
    """

    record: EvaluationRecord
    name: str
    model: str | None
    trained: bool
    published: tuple[Reference, ...]
    earlier: tuple[EvaluationRecord, ...] = ()

    @property
    def deviates(self) -> bool:
        """The score differs from a published one by more than the tolerance."""
        return any(one.marked for one in self.published)

    @property
    def zero_shot(self) -> bool | None:
        """BM25 is not trained; of a model only its training data are known."""
        if self.record.mode == "lexical":
            return True
        return False if self.trained else None

    @property
    def how(self) -> str:
        """Mode and day."""
        return f"{mode_name(self.record.mode)} {self.record.date[:10]}"


def own_runs(records: Sequence[EvaluationRecord], catalogue: Catalogue) -> list[OwnRun]:
    """The records, newest first, grouped by kind."""
    kinds: dict[tuple[object, ...], list[EvaluationRecord]] = {}
    for record in records:
        kinds.setdefault(_kind(record), []).append(record)
    entries = {hub: entry for entry in catalogue.of_type(Model) for hub in hub_names(entry)}
    runs = []
    for newest, *earlier in kinds.values():
        entry = None if newest.mode == "lexical" else entries.get(newest.model)
        runs.append(
            OwnRun(
                record=newest,
                name=_run_name(newest, entry),
                model=entry.id if entry else None,
                trained=entry is not None and newest.catalogue in entry.trained_on,
                published=tuple(published_scores(newest, catalogue)),
                earlier=tuple(earlier),
            )
        )
    return runs


def _kind(record: EvaluationRecord) -> tuple[object, ...]:
    what = (record.sha256, record.split, record.model, record.revision, record.recipe_hash)
    return (*what, record.mode, record.reranker, record.instruction, record.keep_own)


def _run_name(record: EvaluationRecord, entry: Model | None) -> str:
    if record.mode == "lexical":
        return "BM25 (bioretrieval-tui)"
    name = entry.name if entry is not None else record.model.rstrip("/").rpartition("/")[2]
    return name + _ADDED.get(record.mode, "")


def published_scores(record: EvaluationRecord, catalogue: Catalogue) -> list[Reference]:
    """The published scores for a record; none where its benchmark is not the catalogue's."""
    entry = catalogue.by_id.get(record.catalogue or "")
    if not isinstance(entry, Benchmark) or MAIN not in record.metrics:
        return []
    match = Match(entry, record.split == _SPLIT)
    return references(catalogue, match, record.mode, record.model, record.metrics[MAIN])


def own_results(
    records: Sequence[EvaluationRecord], catalogue: Catalogue
) -> tuple[list[Published], dict[str, str]]:
    """Runs of the user as results like the published ones, and names for their models."""
    names: dict[str, str] = {}
    rows = []
    for run in own_runs(records, catalogue):
        record = run.record
        model = "own-bm25" if record.mode == "lexical" else run.model or record.model
        if record.mode in ("hybrid", "rerank"):
            model += "+bm25"
        if record.mode == "rerank":
            model += f"+{record.reranker}"
        names[model] = run.name
        rows.append(
            Published(
                model=model,
                benchmark=record.catalogue or record.benchmark,
                value=round(record.metrics["nDCG@10"], 4),
                source="own",
                zero_shot=run.zero_shot,
                subset=None if record.split == _SPLIT else record.split,
                note=f"{record.id}, {record.date[:10]}",
            )
        )
    return rows, names


# The fields of a record -----------------------------------------------------------------------


def _key(measure: str) -> str:
    return measure.casefold().replace("@", "_")


def _measure(name: str) -> RecordField:
    column = Column(_key(name), name, "right")
    return column, lambda one: _figure(one.metrics[name]) if name in one.metrics else None


def _latency(name: str) -> RecordField:
    column = Column(f"{name}_ms", f"{name} ms", "right")
    return column, lambda one: _figure(one.latency_ms[name], 1) if name in one.latency_ms else None


def _of_model(record: EvaluationRecord, value: str) -> Cell:
    """A fact of the model, which a run of BM25 alone does not use."""
    return Figure(value, "" if record.mode == "lexical" else value)


RecordField = tuple[Column, Callable[[EvaluationRecord], Cell]]
"""One fact of a record: its column in a list, whose title is its label on a page, and its cell."""
RECORD_FIELDS: tuple[RecordField, ...] = (
    (Column("id", "id", weight=3, min_width=16), lambda one: one.id),
    (Column("benchmark", "benchmark", min_width=9), lambda one: one.benchmark),
    (Column("split", "split", min_width=5), lambda one: one.split),
    (Column("mode", "mode", min_width=7), lambda one: Figure(one.mode, mode_name(one.mode))),
    *(_measure(name) for name in MEASURES),
    *(_latency(name) for name in _LATENCIES),
    (Column("model", "model", weight=2, min_width=12), lambda one: _of_model(one, one.model)),
    (
        Column("date", "date (UTC)", min_width=10),
        lambda one: Figure(one.date, one.date[:16].replace("T", " ")),
    ),
    (Column("queries", "queries", align="right"), lambda one: _count(one.queries)),
    (Column("documents", "documents", align="right"), lambda one: _count(one.documents)),
    (Column("hardware", "hardware", weight=2, min_width=10), lambda one: one.hardware),
    (Column("revision", "revision", data_only=True), lambda one: _of_model(one, one.revision)),
    (Column("recipe_hash", "recipe", data_only=True), lambda one: _of_model(one, one.recipe_hash)),
    (Column("sha256", "sha256", data_only=True), lambda one: one.sha256),
    (Column("index", "index", data_only=True), lambda one: one.index),
    (Column("depth", "depth", data_only=True), lambda one: _count(one.depth)),
    (Column("catalogue", "catalogue", data_only=True), lambda one: one.catalogue),
    (Column("reranker", "reranker", data_only=True), lambda one: one.reranker),
    (Column("instruction", "instruction", data_only=True), lambda one: one.instruction),
    (
        Column("keep_own", "own documents", data_only=True),
        lambda one: "ranked like the others" if one.keep_own else None,
    ),
    (Column("versions", "versions", data_only=True), lambda one: _versions(one.versions)),
)
"""Every fact of a record, in the order of the columns of csv."""
_MEASURED = frozenset((*map(_key, MEASURES), *(f"{name}_ms" for name in _LATENCIES)))


def _count(value: int) -> Figure:
    return Figure(value, f"{value:,}")


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in versions.items())


def record_sheet(found: Sequence[EvaluationRecord]) -> Sheet:
    """The local leaderboard, a row a record; whole records for json and jsonl."""
    return Sheet(
        title="Your runs",
        columns=tuple(column for column, _ in RECORD_FIELDS),
        rows=[tuple(cell(record) for _, cell in RECORD_FIELDS) for record in found],
        records=[msgspec.to_builtins(record) for record in found],
    )


def run_page(run: OwnRun) -> Page:
    """The page of a run: its results, published results, its facts, earlier runs of its kind."""
    pairs = [
        (column.key, fact(column.title, shown))
        for column, cell in RECORD_FIELDS
        if (shown := face(cell(run.record)).text)
    ]
    earlier = (
        (one.date[:10], f"{one.metrics.get(MAIN, 0.0):.4f}  {one.id}") for one in run.earlier
    )
    return Page(
        f"{MARK} {run.name}",
        kind="own",
        byline=(text("your run"),),
        sections=(
            Group("Results", tuple(one for key, one in pairs if key in _MEASURED)),
            Group("Published", tuple(map(reference_fact, run.published))),
            Group("Run", tuple(one for key, one in pairs if key not in _MEASURED)),
            Group("Earlier runs", facts(earlier)),
        ),
    )


def reference_fact(one: Reference) -> Fact:
    """One published score: name, value, the deviation of the run from it, source."""
    value: Text = (Inline(f"{one.value:.4f}", "strong"),)
    if one.deviation is None:
        value += (Inline("  for orientation", "faint"),)
    elif one.marked:
        said = f"  {one.deviation:+.4f} against published (differs by more than 0.01)"
        value += (Inline(said, "warn"),)
    else:
        # Adding 0 takes the sign from a -0.0.
        value += (Inline(f"  {one.deviation + 0:+.4f} against published", "ok"),)
    return Fact(one.name, ((*value, Inline(f"  from {one.source}", "faint")),), one.status)


# What `eval` prints ---------------------------------------------------------------------------


def evaluation_record(report: EvaluationReport) -> dict[str, Any]:
    """The whole evaluation as one object, without the single queries of a comparison."""
    whole: dict[str, Any] = msgspec.to_builtins(report)
    if report.comparison is None:
        del whole["comparison"]
    else:
        del whole["comparison"]["deltas"]
    return whole


def evaluation_sheet(report: EvaluationReport) -> Sheet:
    """A row a mode, each with the published scores below it."""
    rows: list[tuple[Cell, ...]] = []
    for run in report.runs:
        rows.append(_run_row(run, report.model))
        rows += [_reference_row(run.mode, one) for one in run.published]
    about = {"benchmark": report.benchmark, "split": report.split, "model": report.model}
    records = [{"mode": run.mode, **about, **msgspec.to_builtins(run)} for run in report.runs]
    return Sheet(
        title=f"{report.benchmark} ({report.split}): {report.queries:,} queries,"
        f" {report.documents:,} documents",
        columns=(
            Column("run", "run", weight=3, min_width=24),
            Column(_key(MEASURES[0]), MEASURES[0], "right"),
            Column("deviation", "deviation", "right"),
            *(Column(_key(name), name, "right") for name in MEASURES[1:]),
            *(Column(f"{name}_ms", f"{name} ms", "right") for name in _LATENCIES),
            Column("model", "model", weight=2, min_width=12),
            Column("source", "source", min_width=8),
            Column("kind", "kind", data_only=True),
            Column("beside", "beside", data_only=True),
        ),
        rows=rows,
        records=records,
    )


def comparison_line(found: Comparison) -> str:
    """A comparison in one line."""
    chance = f"p = {found.p:.4f}" if found.p >= 0.0001 else "p < 0.0001"
    flips = "all" if found.exact else "random"
    return (
        f"{mode_name(found.second)} against {mode_name(found.first)}: {found.measure}"
        f" {found.difference:+.4f}, {chance} (paired randomisation,"
        f" {found.permutations:,} {flips} sign flips);"
        f" {found.wins:,} wins, {found.losses:,} losses, {found.ties:,} ties"
    )


def comparison_sheet(found: Comparison) -> Sheet:
    """The queries that gained and lost most."""
    gained = [delta for delta in found.deltas if delta.difference > 0][:_EACH_WAY]
    lost = [delta for delta in found.deltas if delta.difference < 0][-_EACH_WAY:]
    return Sheet(
        title=comparison_line(found),
        columns=(
            Column("query", "query", min_width=6),
            Column("difference", "difference", "right"),
            Column("first", mode_name(found.first), "right"),
            Column("second", mode_name(found.second), "right"),
            Column("text", "text", weight=5, min_width=20),
        ),
        rows=[
            (
                one.query,
                Figure(one.difference, f"{one.difference:+.4f}"),
                _figure(one.first),
                _figure(one.second),
                shortened(one.text),
            )
            for one in (*gained, *lost)
        ],
        records=[],
    )


# Queries -----------------------------------------------------------------------------------


def pair_title(pair: tuple[str, str]) -> str:
    """The difference of two modes, BM25 from dense for (lexical, dense), with a minus sign."""
    return f"Δ {mode_name(pair[1])} \N{MINUS SIGN} {mode_name(pair[0])}"


def query_list_sheet(rows: Sequence[QueryRow], modes: Sequence[str]) -> Sheet:
    """The queries of a benchmark with nDCG@10 of each mode."""
    keys = ("id", "text", "judged", "relevant")
    return Sheet(
        title="Queries",
        columns=(
            *(Column(key, key) for key in keys),
            *(Column(mode, mode_name(mode)) for mode in modes),
        ),
        rows=tuple(
            (row.id, row.text, row.judged, row.relevant, *(row.scores[mode] for mode in modes))
            for row in rows
        ),
        records=tuple(asdict(row) for row in rows),
    )


def query_sheet(found: QueryView) -> Sheet:
    """The judged documents of a query, then the top unjudged ones, with their ranks."""
    modes = list(found.scores)
    scores = ", ".join(
        f"{mode_name(mode)} {values['nDCG@10']:.4f}" for mode, values in found.scores.items()
    )
    documents = (*found.judged, *found.unjudged)
    return Sheet(
        title=f"Query {found.id}: {shortened(found.text, 200)} (nDCG@10: {scores})",
        columns=(
            Column("grade", "grade", "right"),
            Column("document", "document", min_width=8),
            Column("title", "title", weight=5, min_width=20),
            *(Column(f"rank_{mode}", mode_name(mode), "right") for mode in modes),
        ),
        rows=[
            (
                row.grade,
                row.id,
                "(not in the corpus)" if row.title is None else shortened(row.title),
                *(row.ranks[mode] for mode in modes),
            )
            for row in documents
        ],
        records=[{"judged": row.grade is not None, **asdict(row)} for row in documents],
    )


# Cells -------------------------------------------------------------------------------------


def _run_row(run: ModeReport, model: str) -> tuple[Cell, ...]:
    latency = run.latency_ms
    return (
        Figure(run.mode, mode_name(run.mode)),
        _figure(run.metrics[MEASURES[0]]),
        None,
        *(_figure(run.metrics[name]) for name in MEASURES[1:]),
        _figure(latency.p50, 1),
        _figure(latency.p95, 1),
        model,
        "own",
        "run",
        None,
    )


def _reference_row(mode: str, one: Reference) -> tuple[Cell, ...]:
    deviation: Cell = None
    if one.deviation is not None:
        mark = " !" if one.marked else ""
        # Adding 0 takes the sign from a -0.0.
        deviation = Figure(one.deviation, f"{round(one.deviation, 4) + 0:+.4f}{mark}")
    value = _figure(one.value)
    return (
        Figure(one.name, f"{one.name}, published"),
        Unverified(value) if one.status == "unverified" else value,
        deviation,
        *(None for _ in MEASURES[1:]),
        *(None for _ in _LATENCIES),
        one.model,
        one.source,
        "published",
        mode,
    )


def _figure(value: float, digits: int = 4) -> Figure:
    return Figure(value, f"{value:.{digits}f}")
