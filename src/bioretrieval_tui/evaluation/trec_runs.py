"""TREC run files: written with every digit, read as trec_eval sorts them, and what a run that was
made elsewhere lacks of its benchmark.

Reading ends at the first malformed line: the score of a half-read file looks like any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from bioretrieval_tui.documents.document import RecordFault
from bioretrieval_tui.documents.source import SourceReader, text_lines
from bioretrieval_tui.errors import BioRetrievalError, CorpusError
from bioretrieval_tui.evaluation.benchmark import BenchmarkFolder
from bioretrieval_tui.evaluation.metrics import Ranking
from bioretrieval_tui.paths import save_file

if TYPE_CHECKING:
    from bioretrieval_tui.documents.store import Documents

_NAMED = 3
"""Ids that a remark on a run names."""


def in_order(
    given: Sequence[tuple[str, float]], aliases: Mapping[str, Sequence[str]]
) -> tuple[tuple[str, float], ...]:
    """A ranking as trec_eval reads it, with every id once. All ids of one text get its score.
    trec_eval keeps scores in single precision and sorts equal ones by descending id; doing so
    before measuring gives run files the same scores everywhere."""
    import numpy as np

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
    lines = chain.from_iterable(run_lines(*one, tag) for one in rankings.items())
    save_file(path, "".join(lines).encode("utf-8", "surrogateescape"), f"the run {path.name}")


def run_lines(query: str, ranking: Sequence[tuple[str, float]], tag: str) -> Iterator[str]:
    """The lines of a query in a run file. Raises BioRetrievalError as `write_run`."""
    for name in (query, *(name for name, _ in ranking)):
        if name.split() != [name]:
            raise BioRetrievalError(
                f"the id {name!r} cannot be in a TREC run file, whose columns are separated"
                " by blanks",
                remedy="use another format",
            )
    for rank, (name, score) in enumerate(ranking, start=1):
        yield f"{query} Q0 {name} {rank} {score!r} {tag}\n"


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
            what = f"{document[:80]} is ranked twice for query {query[:80]}"
            raise RecordFault(what, "keep one of the lines")
        try:
            found[document] = float(given)
        except ValueError:
            found[document] = math.nan
        if not math.isfinite(found[document]):
            what = f"the score {given[:40]!r} is no number"
            raise RecordFault(what, "the fifth column is the score, a finite number such as 12.5")

    read_lines(path, take, "a line of a run is: query Q0 document rank score tag")
    return {query: in_order(list(found.items()), {}) for query, found in scores.items()}


def read_lines(path: Path, take: Callable[[str, int], None], shape: str) -> None:
    """Give each line that is not blank, with its number, to `take`, which may raise RecordFault.
    shape: the remedy of faults without one. Raises CorpusError: the file cannot be read, or a line
    is malformed; it is named."""
    with SourceReader(path) as source:
        for line in text_lines(source):
            try:
                if line.fault is not None:
                    raise line.fault
                if line.text.strip():
                    take(line.text, line.number)
            except RecordFault as fault:
                raise CorpusError(
                    f"{path}:{line.number}: {fault.reason}", remedy=fault.remedy or shape
                ) from fault


def as_given(
    name: str,
    path: Path,
    rankings: Mapping[str, Ranking],
    benchmark: BenchmarkFolder,
    documents: Documents,
) -> tuple[dict[str, Ranking], tuple[str, ...]]:
    """The judged queries of a run that was made elsewhere, and remarks on it. Raises CorpusError:
    it ranks no judged query, or no document of the corpus."""
    kept = {query: rankings[query] for query in benchmark.queries if query in rankings}
    ranked = dict.fromkeys(one for ranking in kept.values() for one, _ in ranking)
    known = documents.labels(ranked)
    for wrong, what in (
        (not kept, f"no query of the split {benchmark.parts.split}"),
        (kept and not known, "no document of the corpus"),
    ):
        if wrong:
            remedy = f"is it a run of {benchmark.parts.name}?"
            raise CorpusError(f"{path} ranks {what}", remedy=remedy)
    named = benchmark.parts.name
    remarks = (
        ([one for one in rankings if one not in kept], f"not judged in {named}: not counted"),
        ([one for one in benchmark.queries if one not in kept], "not in the run: scored 0"),
    )
    notes = [f"{name}: {_some(ids, 'query', 'queries')} {what}" for ids, what in remarks if ids]
    unknown = [one for one in ranked if one not in known]
    if unknown:
        some = _some(unknown, "document", "documents")
        notes.append(f"{name}: {some} not in the corpus: ranked, and relevant only if judged so")
    return kept, tuple(notes)


def _some(ids: Sequence[str], one: str, several: str) -> str:
    """How many ids, and the first of them."""
    named = ", ".join(repr(each[:40]) for each in ids[:_NAMED])
    more = ", ..." if len(ids) > _NAMED else ""
    count = f"1 {one}" if len(ids) == 1 else f"{len(ids):,} {several}"
    return f"{count} ({named}{more})"
