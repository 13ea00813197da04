"""Evaluations as the app and the command line show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from bioretrieval_tui.evaluation.explore import QueryRow
from bioretrieval_tui.render.hits import mode_name
from bioretrieval_tui.render.sheet import Column, Sheet


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
