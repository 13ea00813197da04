"""Files of an evaluation: a benchmark folder in BEIR's layout, and TREC runs.

corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, gzipped or not. The score of a half-read file looks
like any other, so reading ends at the first malformed line of queries, judgements or a run.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from bioretrieval_tui.documents.bibliography import identifier, sound
from bioretrieval_tui.documents.checksum import remembered_sha256
from bioretrieval_tui.documents.document import RecordFault
from bioretrieval_tui.documents.readers.json_records import decode, json_object
from bioretrieval_tui.documents.source import SourceReader, reading_fault, text_lines
from bioretrieval_tui.errors import BioRetrievalError, CorpusError, NotFoundError
from bioretrieval_tui.evaluation.metrics import Ranking
from bioretrieval_tui.paths import save_file

DEFAULT_SPLIT = "test"
HIGHEST_GRADE = 1_000
"""Largest absolute grade; trec_eval makes a table with a row for each grade."""
_SHAPE = "a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, gzipped or not"
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_HEADER = frozenset({"query-id", "query_id", "queryid", "qid", "query"})
_QUERY_SHAPE = 'a line of queries looks like {"_id": "1", "text": "..."}'
_QREL_SHAPE = "a line holds query id, document id and grade, separated by tabs"


class Parts(msgspec.Struct, frozen=True):
    """The files of one benchmark and split. name: the folder's; splits: the names of all splits."""

    name: str
    corpus: Path
    queries: Path
    qrels: Path
    split: str
    splits: tuple[str, ...]


def find_parts(folder: Path, split: str | None = None) -> Parts:
    """The files of the benchmark in `folder`; of a plain and a gzipped file, the plain one. split:
    None for `test`, or for the only split. Raises NotFoundError: there is no such folder, file or
    split (the message names the splits); BioRetrievalError: the folder cannot be read."""
    found: dict[str, Path] = {}
    try:
        if not folder.is_dir():
            what = "is a file, not a folder" if folder.exists() else "is not there"
            raise NotFoundError(f"the benchmark {folder} {what}", remedy=_SHAPE)
        corpus, queries = _one(folder, "corpus.jsonl"), _one(folder, "queries.jsonl")
        qrels = folder / "qrels"
        # Not `glob`, which passes over a folder that cannot be read.
        files = [path for path in qrels.iterdir() if path.is_file()] if qrels.is_dir() else []
        for ending in (".tsv", ".tsv.gz"):
            for path in files:
                if path.name.endswith(ending) and not path.name.startswith("."):
                    found.setdefault(path.name.removesuffix(ending), path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BioRetrievalError(f"the benchmark {folder} cannot be read: {reason}") from error
    if not found:
        raise NotFoundError(f"{folder} has no judgements: no qrels/*.tsv", remedy=_SHAPE)
    wanted = split or (next(iter(found)) if len(found) == 1 else DEFAULT_SPLIT)
    if wanted not in found:
        raise NotFoundError(
            f"{folder} has no split {wanted}", remedy=f"its splits: {', '.join(sorted(found))}"
        )
    name = folder.absolute().name or "benchmark"
    return Parts(name, corpus, queries, found[wanted], wanted, tuple(sorted(found)))


def _one(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise NotFoundError(f"{folder} is no benchmark: it has no {name}", remedy=_SHAPE)


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


def read_queries(path: Path) -> tuple[dict[str, str], dict[str, int], int]:
    """The queries of `queries.jsonl`, gzipped or not; only the keys `_id` and `text` are read.

    Returns the texts by id, in the file's order; the line of each id without text; how many lines
    give an id again with the same text. Raises CorpusError: the file cannot be read, a line is no
    query, or an id has two texts.
    """
    texts: dict[str, str] = {}
    blank: dict[str, int] = {}
    repeated = 0

    def take(line: str, number: int) -> None:
        nonlocal repeated
        record = json_object(decode(line.encode()))
        query, text = identifier(record.get("_id"), "`_id`"), record.get("text")
        if not isinstance(text, str):
            raise RecordFault("`text` is missing or no text")
        if texts.get(query, text) != text:
            raise RecordFault(f"query {query!r} has another text above")
        repeated += query in texts
        texts[query] = text
        if not any(letter.isprintable() and not letter.isspace() for letter in text):
            blank.setdefault(query, number)

    read_lines(path, take, _QUERY_SHAPE)
    if not texts:
        raise CorpusError(f"{path} holds no query", remedy=_QUERY_SHAPE)
    return texts, blank, repeated


def read_judgements(path: Path) -> tuple[dict[str, dict[str, int]], int, int]:
    """The judgements of `qrels/SPLIT.tsv`, gzipped or not, with or without a header.

    Grades are integers from -1,000 to 1,000; 0 and less mean not relevant. Returns the grades by
    query and document; how many lines judge a pair again (the last one counts, as for BEIR and
    ir-measures); and how many of those give another grade. Raises CorpusError: the file cannot be
    read, a line is no judgement, or there is none.
    """
    grades: dict[str, dict[str, int]] = {}
    repeated = contradicting = 0
    first = True

    def take(line: str, _: int) -> None:
        nonlocal repeated, contradicting, first
        cells = line.rstrip("\r\n").split("\t")
        opening, first = first, False
        if opening and cells[0].strip().casefold() in _HEADER and not _NUMBER.fullmatch(cells[-1]):
            return
        query, document, grade = _judgement(cells)
        graded = grades.setdefault(query, {})
        repeated += document in graded
        contradicting += graded.get(document, grade) != grade
        graded[document] = grade

    read_lines(path, take, _QREL_SHAPE)
    if not grades:
        raise CorpusError(f"{path} holds no judgement", remedy=_QREL_SHAPE)
    return grades, repeated, contradicting


def _judgement(cells: list[str]) -> tuple[str, str, int]:
    if len(cells) != 3:
        columns = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
        raise RecordFault(f"{columns} where 3 are due")
    query = identifier(cells[0], "the query id")
    document = identifier(cells[1], "the document id")
    grade = sound(cells[2].strip())
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", grade):
        said = "no whole number" if _NUMBER.fullmatch(grade) else "no number"
        raise RecordFault(f"the grade {grade[:40]!r} is {said}", "write grades as 0, 1, 2, ...")
    if abs(int(grade)) > HIGHEST_GRADE:
        raise RecordFault(f"the grade {grade} is beyond {HIGHEST_GRADE:,}", "use smaller grades")
    return query, document, int(grade)


class BenchmarkFolder(msgspec.Struct, frozen=True):
    """One split of a BEIR folder.

    queries: text by id, in the order of queries.jsonl, only those with judgements; judgements:
    grade by query id and document id, of these queries; corpus_sha256: of the corpus file as
    stored; sha256: of corpus, queries and judgements together; notes: remarks on the scores, one
    line each.
    """

    parts: Parts
    queries: Mapping[str, str]
    judgements: Mapping[str, Mapping[str, int]]
    corpus_sha256: str
    sha256: str
    notes: tuple[str, ...] = ()

    def judged(self) -> list[str]:
        """The ids of all judged documents, each once, in the order of the judgements."""
        return list(dict.fromkeys(one for graded in self.judgements.values() for one in graded))


def read_benchmark(folder: Path, split: str | None = None) -> BenchmarkFolder:
    """The benchmark in `folder`; of the corpus only the checksum is read. split: None for `test`,
    or for the only split. Raises NotFoundError: no such folder, file or split; CorpusError: a line
    is malformed, a judged query has no text, or no judgement is of a known query."""
    parts = find_parts(folder, split)
    texts, blank, same = read_queries(parts.queries)
    judged, again, contradicting = read_judgements(parts.qrels)
    kept = {name: text for name, text in texts.items() if name in judged}
    if not kept:
        raise CorpusError(
            f"{parts.qrels} judges no query of {parts.queries.name}",
            remedy="are both of the same benchmark?",
        )
    for name, line in blank.items():
        if name in kept:
            raise CorpusError(f"{parts.queries}:{line}: query {name!r} has no text")
    grades = {name: judged[name] for name in kept}
    sums = []
    for path in (parts.corpus, parts.queries, parts.qrels):
        try:
            sums.append(remembered_sha256(path))
        except OSError as error:
            raise reading_fault(str(path), error) from error
    every = [grade for graded in grades.values() for grade in graded.values()]
    high, low = sum(grade > 1 for grade in every), sum(grade < 1 for grade in every)
    irrelevant = sum(max(graded.values()) < 1 for graded in grades.values())
    unjudged, unknown = len(texts) - len(kept), len(judged) - len(kept)
    other = f", {contradicting:,} of them with another grade" if contradicting else ""
    remarks = (
        (
            parts.split != DEFAULT_SPLIT and len(parts.splits) == 1,
            f"there is no split {DEFAULT_SPLIT}; {parts.split} is the only one",
        ),
        (unjudged, f"{_are(unjudged)} without a judgement in the split {parts.split}: not run"),
        (unknown, f"{_are(unknown)} judged but not in queries.jsonl: left out"),
        (
            irrelevant,
            f"{_are(irrelevant)} without a relevant document: scored 0, as trec_eval does",
        ),
        (again, f"{again:,} judgements are given again{other}: the last one counts"),
        (high or low, f"judgements: {high:,} of grade 2 or more, {low:,} of grade 0 or less"),
        (same, f"{same:,} lines of queries.jsonl are given again"),
    )
    return BenchmarkFolder(
        parts=parts,
        queries=kept,
        judgements=grades,
        corpus_sha256=sums[0],
        sha256=hashlib.sha256("\n".join(sums).encode()).hexdigest(),
        notes=tuple(text for holds, text in remarks if holds),
    )


def _are(count: int) -> str:
    return "1 query is" if count == 1 else f"{count:,} queries are"


# TREC runs ------------------------------------------------------------------------------------


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
