"""Rankings as trec_eval reads them: their order, and run files with a line per document."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bioretrieval_tui.documents.source import SourceReader, text_lines
from bioretrieval_tui.errors import BioRetrievalError, CorpusError
from bioretrieval_tui.evaluation.metrics import Ranking
from bioretrieval_tui.paths import write_atomically


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


def run_text(rankings: Mapping[str, Ranking], tag: str) -> str:
    """A run as text, with scores that read back as the same numbers.

    Raises:
        BioRetrievalError: an id holds white space, which the format cannot represent.
    """
    lines = []
    for query, ranking in rankings.items():
        _check(query)
        for rank, (name, score) in enumerate(ranking, start=1):
            _check(name)
            lines.append(f"{query} Q0 {name} {rank} {score!r} {tag}\n")
    return "".join(lines)


def write_run(path: Path, rankings: Mapping[str, Ranking], tag: str) -> None:
    """Write a run file atomically; tag: its last column, without white space.

    Raises:
        BioRetrievalError: an id cannot be represented, or the file cannot be written; an earlier
            file is then unchanged.
    """
    try:
        write_atomically(path, run_text(rankings, tag).encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise BioRetrievalError(
            f"the run file {path} cannot be written: {error.strerror or error}"
        ) from error


def read_run(path: Path) -> dict[str, Ranking]:
    """The rankings of a run file, in the order of their scores as trec_eval sorts them.

    Raises:
        NotFoundError: it does not exist. CorpusError: it cannot be read, or a line is malformed.
    """
    scores: dict[str, dict[str, float]] = {}
    with SourceReader(path) as source:
        for line in text_lines(source):
            if line.fault is not None:
                raise CorpusError(f"{path}:{line.number}: {line.fault.reason}")
            cells = line.text.split()
            if not cells:
                continue
            if len(cells) != 6:
                raise CorpusError(
                    f"{path}:{line.number}: {len(cells)} columns where 6 are due",
                    remedy="a line of a run is: query Q0 document rank score tag",
                )
            found = scores.setdefault(cells[0], {})
            if cells[2] in found:
                raise CorpusError(f"{path}:{line.number}: {cells[2]} is ranked twice")
            try:
                found[cells[2]] = float(cells[4])
            except ValueError:
                found[cells[2]] = math.nan
            if not math.isfinite(found[cells[2]]):
                raise CorpusError(f"{path}:{line.number}: the score {cells[4][:40]!r} is no number")
    return {query: in_order(list(found.items()), {}) for query, found in scores.items()}


def _check(name: str) -> None:
    if name.split() != [name]:
        raise BioRetrievalError(
            f"the id {name!r} cannot be in a TREC run file, whose columns are separated by blanks",
            remedy="omit --run",
        )
