"""What `eval` prints: figures, comparisons, records and one query, as sheets and as records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from bioretrieval_tui.render.sheet import Cell, Column, Figure, Sheet, Unverified, shortened

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.catalogue import Catalogue
    from bioretrieval_tui.catalog.models import Model
    from bioretrieval_tui.catalog.models import Result as Published
    from bioretrieval_tui.evaluation.evaluate import Evaluation, Result
    from bioretrieval_tui.evaluation.explore import QueryView
    from bioretrieval_tui.evaluation.published import Reference
    from bioretrieval_tui.evaluation.records import EvaluationRecord
    from bioretrieval_tui.evaluation.significance import Comparison

MEASURES = ("nDCG@10", "AP@100", "R@100", "RR@10", "P@10")
_LATENCIES = ("p50", "p95")
_EACH_WAY = 5
"""Wins, and losses, that the short table shows."""


def evaluation_record(found: Evaluation, comparison: Comparison | None = None) -> dict[str, Any]:
    """The whole evaluation as one object; the first six keys and those of each run are fixed."""
    whole: dict[str, Any] = {
        "benchmark": found.benchmark.name,
        "split": found.benchmark.split,
        "model": found.manifest.model,
        "queries": found.queries,
        "documents": found.documents,
        "runs": [
            {
                "mode": result.run.mode,
                "metrics": dict(result.measured.metrics),
                "latency_ms": asdict(result.run.latency),
                "published": [asdict(reference) for reference in result.references],
            }
            for result in found.results
        ],
        "revision": found.manifest.revision,
        "recipe_hash": found.manifest.recipe_hash,
        "index": found.manifest.name,
        "sha256": found.benchmark.sha256,
        "depth": found.asked.depth,
        "instruction": found.instruction,
        "notes": found.remarks(),
    }
    if comparison is not None:
        whole["comparison"] = comparison_record(comparison)
    return whole


def evaluation_sheet(found: Evaluation) -> Sheet:
    """A row a mode, each with its published figures below it."""
    rows: list[tuple[Cell, ...]] = []
    records: list[dict[str, Any]] = []
    for result in found.results:
        rows.append(_run_row(result, found.manifest.model))
        records.append(
            {
                "mode": result.run.mode,
                "benchmark": found.benchmark.name,
                "split": found.benchmark.split,
                "model": found.manifest.model,
                "metrics": dict(result.measured.metrics),
                "latency_ms": asdict(result.run.latency),
                "published": [asdict(reference) for reference in result.references],
            }
        )
        rows += [_reference_row(result.run.mode, one) for one in result.references]
    return Sheet(
        title=f"{found.benchmark.name} ({found.benchmark.split}): {found.queries:,} queries,"
        f" {found.documents:,} documents",
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


def comparison_record(found: Comparison) -> dict[str, Any]:
    """A comparison without its queries, which `--per-query` writes."""
    whole = asdict(found)
    del whole["deltas"]
    return whole


def comparison_line(found: Comparison) -> str:
    """A comparison in words."""
    chance = f"p = {found.p:.4f}" if found.p >= 0.0001 else "p < 0.0001"
    flips = "all" if found.exact else "random"
    return (
        f"{found.second} against {found.first}: {found.measure} {found.difference:+.4f}, {chance}"
        f" (paired randomisation, {found.permutations:,} {flips} sign flips);"
        f" {found.wins:,} wins, {found.losses:,} losses, {found.ties:,} ties"
    )


def comparison_sheet(found: Comparison, texts: Mapping[str, str]) -> Sheet:
    """The queries that gained and lost most."""
    gained = [delta for delta in found.deltas if delta.difference > 0][:_EACH_WAY]
    lost = [delta for delta in found.deltas if delta.difference < 0][-_EACH_WAY:]
    return Sheet(
        title=comparison_line(found),
        columns=(
            Column("query", "query", min_width=6),
            Column("difference", "difference", "right"),
            Column("first", found.first, "right"),
            Column("second", found.second, "right"),
            Column("text", "text", weight=5, min_width=20),
        ),
        rows=[
            (
                delta.query,
                Figure(delta.difference, f"{delta.difference:+.4f}"),
                _figure(delta.first),
                _figure(delta.second),
                shortened(texts.get(delta.query, "")),
            )
            for delta in (*gained, *lost)
        ],
        records=[],
    )


def record_sheet(found: Sequence[EvaluationRecord]) -> Sheet:
    """The local leaderboard, a row a record; whole records for json and jsonl."""
    return Sheet(
        title="Own evaluations",
        columns=(
            Column("id", "id", weight=3, min_width=16),
            Column("benchmark", "benchmark", min_width=9),
            Column("split", "split", min_width=5),
            Column("mode", "mode", min_width=7),
            *(Column(_key(name), name, "right") for name in MEASURES),
            *(Column(f"{name}_ms", f"{name} ms", "right") for name in _LATENCIES),
            Column("model", "model", weight=2, min_width=12),
            Column("date", "date", min_width=10),
            Column("queries", "queries", "right"),
            Column("documents", "documents", "right"),
            Column("hardware", "hardware", weight=2, min_width=10),
            Column("revision", "revision", data_only=True),
            Column("recipe_hash", "recipe hash", data_only=True),
            Column("sha256", "sha256", data_only=True),
            Column("index", "index", data_only=True),
            Column("depth", "depth", data_only=True),
        ),
        rows=[_record_row(record) for record in found],
        records=[msgspec.to_builtins(record) for record in found],
    )


def query_record(found: QueryView) -> dict[str, Any]:
    """One query with its documents as one object."""
    return asdict(found)


def query_sheet(found: QueryView) -> Sheet:
    """The judged documents of a query, then the best unjudged ones, with their places."""
    modes = list(found.scores)
    scores = ", ".join(f"{mode} {values['nDCG@10']:.4f}" for mode, values in found.scores.items())
    judged: list[tuple[Cell, ...]] = [
        (row.grade, row.id, _title(row.title), *(row.ranks[mode] for mode in modes))
        for row in found.judged
    ]
    judged += [
        (None, row.id, _title(row.title), *(row.ranks[mode] for mode in modes))
        for row in found.unjudged
    ]
    return Sheet(
        title=f"Query {found.id}: {shortened(found.text, 200)} (nDCG@10: {scores})",
        columns=(
            Column("grade", "grade", "right"),
            Column("document", "document", min_width=8),
            Column("title", "title", weight=5, min_width=20),
            *(Column(f"rank_{mode}", mode, "right") for mode in modes),
        ),
        rows=judged,
        records=[
            *({"judged": True, **asdict(row)} for row in found.judged),
            *({"judged": False, "grade": None, **asdict(row)} for row in found.unjudged),
        ],
    )


def own_results(
    records: Sequence[EvaluationRecord], found: Catalogue
) -> tuple[list[Published], dict[str, str]]:
    """Own evaluations as figures like the published ones, and names for their models: of each
    benchmark, model and mode the newest."""
    from bioretrieval_tui.catalog.models import Model
    from bioretrieval_tui.catalog.models import Result as Published
    from bioretrieval_tui.evaluation.published import hub_names

    hubs = {hub: entry for entry in found.of_type(Model) for hub in hub_names(entry)}
    newest: dict[tuple[str, ...], EvaluationRecord] = {}
    for record in records:
        parts = (record.sha256, record.split, record.model, record.revision, record.mode)
        newest.setdefault((*parts, record.recipe_hash, record.reranker or ""), record)
    names: dict[str, str] = {}
    rows = []
    for record in newest.values():
        entry = hubs.get(record.model)
        # Words alone are ranked by no model.
        model = "own-bm25" if record.mode == "lexical" else entry.id if entry else record.model
        name = "our BM25" if record.mode == "lexical" else entry.name if entry else record.model
        if record.mode in ("hybrid", "rerank"):
            model, name = f"{model}+bm25", f"{name} + BM25"
        if record.mode == "rerank":
            model, name = f"{model}+{record.reranker}", f"{name}, reranked"
        names[model] = name
        rows.append(
            Published(
                model=model,
                benchmark=record.catalogue or record.benchmark,
                value=round(record.metrics["nDCG@10"], 4),
                source="own",
                zero_shot=_zero_shot(record, entry),
                subset=None if record.split == "test" else record.split,
                note=f"{record.id}, {record.date[:10]}",
            )
        )
    return rows, names


def _zero_shot(record: EvaluationRecord, entry: Model | None) -> bool | None:
    """Words learn nothing; of a model only what it was trained on is known."""
    if record.mode == "lexical":
        return True
    return False if entry is not None and record.catalogue in entry.trained_on else None


def _run_row(result: Result, model: str) -> tuple[Cell, ...]:
    latency = result.run.latency
    return (
        result.run.mode,
        _figure(result.measured.metrics[MEASURES[0]]),
        None,
        *(_figure(result.measured.metrics[name]) for name in MEASURES[1:]),
        Figure(latency.p50, f"{latency.p50:.1f}"),
        Figure(latency.p95, f"{latency.p95:.1f}"),
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


def _record_row(record: EvaluationRecord) -> tuple[Cell, ...]:
    return (
        record.id,
        record.benchmark,
        record.split,
        record.mode,
        *(_known(record.metrics.get(name), 4) for name in MEASURES),
        *(_known(record.latency_ms.get(name), 1) for name in _LATENCIES),
        record.model,
        Figure(record.date, record.date[:10]),
        record.queries,
        record.documents,
        record.hardware,
        record.revision,
        record.recipe_hash,
        record.sha256,
        record.index,
        record.depth,
    )


def _known(value: float | None, digits: int) -> Cell:
    return None if value is None else Figure(value, f"{value:.{digits}f}")


def _figure(value: float) -> Figure:
    return Figure(value, f"{value:.4f}")


def _title(title: str | None) -> str:
    return "(not in the corpus)" if title is None else shortened(title)


def _key(measure: str) -> str:
    return measure.casefold().replace("@", "_")
