"""What `eval` compares with and writes besides its figures: earlier records, runs, figures by
query."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bioretrieval_tui.errors import BioRetrievalError, UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.evaluation.evaluate import Asked, Evaluation
    from bioretrieval_tui.evaluation.significance import Comparison


def _sides(compare: str) -> tuple[str, str]:
    parts = [part.strip() for part in compare.split(",")]
    if len(parts) != 2 or not all(parts) or parts[0] == parts[1]:
        raise UsageError(
            f"--compare does not understand {compare!r}",
            remedy="name two different runs, as in --compare lexical,hybrid",
        )
    return parts[0], parts[1]


def earlier_runs(compare: str | None, asked: Asked) -> dict[str, Mapping[str, float]]:
    """nDCG@10 by query of what --compare names besides this call's modes, looked up before
    anything is run.

    Raises:
        UsageError: --compare is misspelt, or a record is of another benchmark. NotFoundError:
        there is no such record.
    """
    if compare is None:
        return {}
    found: dict[str, Mapping[str, float]] = {}
    for side in _sides(compare):
        if side in asked.modes:
            continue
        from bioretrieval_tui.evaluation.benchmark import read_benchmark
        from bioretrieval_tui.evaluation.evaluate import MODES
        from bioretrieval_tui.evaluation.records import find

        if side in MODES:
            raise UsageError(f"the mode {side} is not run", remedy=f"add: -m {side}")
        record = find(side)
        benchmark = read_benchmark(asked.folder, asked.split)
        if (record.sha256, record.split) != (benchmark.sha256, benchmark.split):
            raise UsageError(
                f"{record.id} is of another benchmark or split"
                f" ({record.benchmark}, {record.split}, or other bytes of it)",
                remedy="compare evaluations of the same files",
            )
        found[side] = record.per_query
    return found


def compared(
    compare: str | None, done: Evaluation, earlier: Mapping[str, Mapping[str, float]]
) -> Comparison | None:
    """The comparison that --compare asks for; `earlier` as `earlier_runs` found it."""
    if compare is None:
        return None
    from bioretrieval_tui.evaluation import significance

    values = dict(earlier)
    for result in done.results:
        by_query = result.measured.by_query
        values[result.run.mode] = {query: one["nDCG@10"] for query, one in by_query.items()}
    first, second = _sides(compare)
    return significance.compare(first, second, (values[first], values[second]))


def keep(
    done: Evaluation, comparison: Comparison | None, run_file: Path | None, per_query: Path | None
) -> None:
    """The records, run files and figures by query: each written whole or not at all.

    Raises:
        BioRetrievalError: one of them cannot be written; those before it are.
    """
    from bioretrieval_tui.evaluation.recording import records_of
    from bioretrieval_tui.evaluation.records import save
    from bioretrieval_tui.evaluation.runfile import run_paths, write_run

    for record in records_of(done):
        save(record)
    if run_file is not None:
        modes = [result.run.mode for result in done.results]
        paths = run_paths(run_file, modes)
        for result in done.results:
            mode = result.run.mode
            write_run(paths[mode], result.run.rankings, f"bioretrieval-{mode}")
    if per_query is not None:
        _write_per_query(per_query, done, comparison)


def _write_per_query(path: Path, done: Evaluation, comparison: Comparison | None) -> None:
    from bioretrieval_tui.paths import write_atomically
    from bioretrieval_tui.render.formats import encoded

    deltas = {} if comparison is None else {one.query: one for one in comparison.deltas}
    lines = []
    for query, text in done.benchmark.queries.items():
        line = {
            "query": query,
            "text": text,
            "metrics": {one.run.mode: one.measured.by_query[query] for one in done.results},
        }
        if comparison is not None:
            delta = deltas[query]
            line["comparison"] = {
                comparison.first: delta.first,
                comparison.second: delta.second,
                "difference": delta.difference,
            }
        lines.append(encoded(line) + "\n")
    try:
        write_atomically(path, "".join(lines).encode())
    except OSError as error:
        raise BioRetrievalError(f"{path} cannot be written: {error.strerror or error}") from error
