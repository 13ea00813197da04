"""A benchmark folder in BEIR's layout: its files, and the queries and judgements of one split.

corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, gzipped or not. The score of a half-read benchmark
looks like any other, so reading ends at the first malformed line of queries or judgements.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bioretrieval_tui.documents.bibliography import identifier, sound
from bioretrieval_tui.documents.checksum import remembered_sha256
from bioretrieval_tui.documents.document import RecordFault
from bioretrieval_tui.documents.readers.json_records import decode, json_object
from bioretrieval_tui.documents.source import SourceReader, reading_fault, text_lines
from bioretrieval_tui.errors import BioRetrievalError, CorpusError, NotFoundError

DEFAULT_SPLIT = "test"
HIGHEST_GRADE = 1_000
"""Largest absolute grade; trec_eval makes a table with a row for each grade."""
_SHAPE = "a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, gzipped or not"
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_HEADER = frozenset({"query-id", "query_id", "queryid", "qid", "query"})
_QUERY_SHAPE = 'a line of queries looks like {"_id": "1", "text": "..."}'
_QREL_SHAPE = "a line holds query id, document id and grade, separated by tabs"


@dataclass(frozen=True, slots=True)
class Parts:
    """The files of one benchmark and split. name: the folder's; splits: the names of all splits."""

    name: str
    corpus: Path
    queries: Path
    qrels: Path
    split: str
    splits: tuple[str, ...]


def find_parts(folder: Path, split: str | None = None) -> Parts:
    """The files of the benchmark in `folder`; of a plain and a gzipped file, the plain one.

    split: None for `test`, or for the only split. Raises NotFoundError: there is no such folder,
    file or split (the message names the splits); BioRetrievalError: the folder cannot be read.
    """
    found: dict[str, Path] = {}
    try:
        if not folder.is_dir():
            what = "is a file, not a folder" if folder.exists() else "is not there"
            raise NotFoundError(f"the benchmark {folder} {what}", remedy=_SHAPE)
        corpus, queries = _one(folder, "corpus.jsonl"), _one(folder, "queries.jsonl")
        for ending in (".tsv", ".tsv.gz"):
            for path in folder.glob(f"qrels/[!.]*{ending}"):
                if path.is_file():
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
    is malformed; it is named.
    """
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


@dataclass(frozen=True, slots=True)
class BenchmarkFolder:
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
    """The benchmark in `folder`; of the corpus only the checksum is read.

    split: None for `test`, or for the only split. Raises NotFoundError: no such folder, file or
    split; CorpusError: a line is malformed, a judged query has no text, or no judgement is of a
    known query.
    """
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
