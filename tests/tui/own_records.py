"""Records of evaluations as `eval` would have left them, on benchmarks of the small catalogue."""

from __future__ import annotations

from typing import Any

from bioretrieval_tui.evaluation.records import FORMAT, EvaluationRecord, record_id, save

HARDWARE = "A processor, 8 cores, queries on cpu"


def record(
    mode: str = "dense",
    value: float = 0.7123,
    *,
    catalogue: str | None = "facts-set",
    day: int = 1,
    **other: Any,
) -> EvaluationRecord:
    """One mode of one evaluation, written to the test's own home."""
    values: dict[str, Any] = {
        "benchmark": "facts", "split": "test", "sha256": "ab" * 32, "model": "lab/alpha",
        "revision": "0123abc", "recipe_hash": "cd" * 8, "index": "eval-facts-12345678",
        "queries": 50, "documents": 5_000, "depth": 100, "hardware": HARDWARE,
        "metrics": {"nDCG@10": value, "AP@100": 0.61, "R@100": 0.9, "RR@10": 0.7, "P@10": 0.09},
        "latency_ms": {"p50": 12.3, "p95": 45.6}, "per_query": {"1": value},
        "versions": {"bioretrieval-tui": "0.1.0", "python": "3.11.7"},
    } | other  # fmt: skip
    date = f"2026-03-{day:02}T10:20:30.000000+00:00"
    name = record_id(values["benchmark"], values["model"], mode, f"{date}{values}")
    made = EvaluationRecord(
        format=FORMAT, id=name, date=date, mode=mode, catalogue=catalogue, **values
    )
    save(made)
    return made
