"""From a finished evaluation to the records that are kept of it."""

from __future__ import annotations

from datetime import UTC, datetime

from bioretrieval_tui.evaluation.evaluate import Evaluation
from bioretrieval_tui.evaluation.machine import hardware, versions
from bioretrieval_tui.evaluation.measures import MAIN
from bioretrieval_tui.evaluation.records import FORMAT, EvaluationRecord, record_id
from bioretrieval_tui.evaluation.reranking import RERANK


def records_of(found: Evaluation, when: datetime | None = None) -> list[EvaluationRecord]:
    """One record a mode, to be kept on the local leaderboard."""
    date = (when or datetime.now(UTC)).isoformat(timespec="microseconds")
    manifest, benchmark = found.manifest, found.benchmark
    made, computed = hardware(found.device), versions()
    match = found.match
    known = match.entry.id if match is not None and match.fits else None
    return [
        EvaluationRecord(
            format=FORMAT,
            id=record_id(
                benchmark.name, manifest.model, result.run.mode, f"{date}\n{benchmark.sha256}"
            ),
            date=date,
            benchmark=benchmark.name,
            split=benchmark.split,
            sha256=benchmark.sha256,
            model=manifest.model,
            revision=manifest.revision,
            recipe_hash=manifest.recipe_hash,
            mode=result.run.mode,
            index=manifest.name,
            queries=found.queries,
            documents=found.documents,
            depth=found.asked.depth,
            metrics=dict(result.measured.metrics),
            latency_ms={"p50": result.run.latency.p50, "p95": result.run.latency.p95},
            per_query={query: values[MAIN] for query, values in result.measured.by_query.items()},
            hardware=made,
            versions=computed,
            instruction=found.instruction,
            keep_own=found.asked.keep_own,
            reranker=found.asked.reranker if result.run.mode == RERANK else None,
            catalogue=known,
        )
        for result in found.results
    ]
