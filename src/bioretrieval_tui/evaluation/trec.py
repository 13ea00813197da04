"""Rankings as trec_eval reads them: their order, and run files with a line per document."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bioretrieval_tui.documents.document import RecordFault
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.evaluation.benchmark import read_lines
from bioretrieval_tui.evaluation.metrics import Ranking
from bioretrieval_tui.paths import save_file


def in_order(
    given: Sequence[tuple[str, float]], aliases: Mapping[str, Sequence[str]]
) -> tuple[tuple[str, float], ...]:
    """A ranking as trec_eval reads it, with every id once.

    All ids of one text get its score. trec_eval keeps scores in single precision and sorts equal
    ones by descending id; doing so before measuring gives run files the same scores everywhere.
    """
    score_of: dict[str, float] = {}
    for name, score in given:
        for one in (name, *aliases.get(name, ())):
            score_of.setdefault(one, float(np.float32(score)))
    names = sorted(score_of, reverse=True)
    names.sort(key=score_of.__getitem__, reverse=True)
    return tuple((name, score_of[name]) for name in names)


def run_paths(path: Path, modes: Sequence[str]) -> dict[str, Path]:
    """The run file of each mode: `path`, or with the mode before its suffix where there are several
    (`out.trec` -> `out.dense.trec`)."""
    if len(modes) == 1:
        return {modes[0]: path}
    return {mode: path.with_name(f"{path.stem}.{mode}{path.suffix}") for mode in modes}


def write_run(path: Path, rankings: Mapping[str, Ranking], tag: str) -> None:
    """Write a run file atomically, with scores that read back as the same numbers; tag: its last
    column, without white space. Raises BioRetrievalError: an id holds white space, which the format
    cannot represent, or the file cannot be written; an earlier file is then unchanged."""
    lines = []
    for query, ranking in rankings.items():
        for name in (query, *(name for name, _ in ranking)):
            if name.split() != [name]:
                raise BioRetrievalError(
                    f"the id {name!r} cannot be in a TREC run file, whose columns are separated"
                    " by blanks",
                    remedy="omit --run",
                )
        for rank, (name, score) in enumerate(ranking, start=1):
            lines.append(f"{query} Q0 {name} {rank} {score!r} {tag}\n")
    save_file(path, "".join(lines).encode("utf-8", "surrogateescape"), f"the run {path.name}")


def read_run(path: Path) -> dict[str, Ranking]:
    """The rankings of a run file, in the order of their scores as trec_eval sorts them. Raises
    NotFoundError: it does not exist; CorpusError: it cannot be read, or a line is malformed."""
    scores: dict[str, dict[str, float]] = {}

    def take(line: str, _: int) -> None:
        cells = line.split()
        if len(cells) != 6:
            raise RecordFault(f"{len(cells)} columns where 6 are due")
        query, _q0, document, _rank, given, _tag = cells
        found = scores.setdefault(query, {})
        if document in found:
            raise RecordFault(f"{document} is ranked twice")
        try:
            found[document] = float(given)
        except ValueError:
            found[document] = math.nan
        if not math.isfinite(found[document]):
            raise RecordFault(f"the score {given[:40]!r} is no number")

    read_lines(path, take, "a line of a run is: query Q0 document rank score tag")
    return {query: in_order(list(found.items()), {}) for query, found in scores.items()}
