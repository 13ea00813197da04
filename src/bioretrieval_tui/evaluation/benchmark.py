"""A benchmark folder in BEIR's layout: its files, and the queries and judgements of one split.

corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, gzipped or not. The score of a half-read benchmark
looks like any other, so reading ends at the first malformed line of queries or judgements.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from bioretrieval_tui.documents.bibliography import MAX_ID_LENGTH, sound, sound_value
from bioretrieval_tui.documents.checksum import remembered_sha256
from bioretrieval_tui.documents.document import RecordFault
from bioretrieval_tui.documents.readers.json_records import decode
from bioretrieval_tui.documents.source import SourceReader, TextLine, reading_fault, text_lines
from bioretrieval_tui.errors import BioRetrievalError, CorpusError, NotFoundError

DEFAULT_SPLIT = "test"
_SHAPE = "a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, gzipped or not"
_GZIP = ".gz"
_TABLE = ".tsv"

HIGHEST_GRADE = 1_000
"""Largest absolute grade; trec_eval makes a table with a row for each grade."""

_GRADE = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_HEADER = frozenset({"query-id", "query_id", "queryid", "qid", "query"})
_QUERY_SHAPE = 'a line of queries looks like {"_id": "1", "text": "..."}'
_QREL_SHAPE = "a line holds query id, document id and grade, separated by tabs"


@dataclass(frozen=True, slots=True)
class Parts:
    """The files of one benchmark and split; splits: the names of all its splits."""

    folder: Path
    corpus: Path
    queries: Path
    qrels: Path
    split: str
    splits: tuple[str, ...]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.absolute().name or "benchmark"


def find_parts(folder: Path, split: str | None = None) -> Parts:
    """The files of the benchmark in `folder`.

    split: None for `test`, or for the only split.

    Raises:
        NotFoundError: there is no such folder, file or split (the message names the splits).
            BioRetrievalError: the folder cannot be read.
    """
    found: dict[str, Path] = {}
    try:
        if not folder.is_dir():
            what = "is a file, not a folder" if folder.exists() else "is not there"
            raise NotFoundError(f"the benchmark {folder} {what}", remedy=_SHAPE)
        corpus, queries = _one(folder, "corpus.jsonl"), _one(folder, "queries.jsonl")
        qrels = folder / "qrels"
        for path in sorted(qrels.iterdir()) if qrels.is_dir() else ():
            name = path.name.removesuffix(_GZIP)
            # Of a plain and a gzipped file, the plain one counts, as in `_one`.
            if name.endswith(_TABLE) and not name.startswith(".") and path.is_file():
                found.setdefault(name.removesuffix(_TABLE), path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BioRetrievalError(f"the benchmark {folder} cannot be read: {reason}") from error
    if not found:
        raise NotFoundError(f"{folder} has no judgements: no qrels/*.tsv", remedy=_SHAPE)
    wanted = split or DEFAULT_SPLIT
    if split is None and len(found) == 1:
        (wanted,) = found
    if wanted not in found:
        raise NotFoundError(
            f"{folder} has no split {wanted}", remedy=f"its splits: {', '.join(sorted(found))}"
        )
    return Parts(folder, corpus, queries, found[wanted], wanted, tuple(sorted(found)))


def _one(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}{_GZIP}"):
        if path.is_file():
            return path
    raise NotFoundError(f"{folder} is no benchmark: it has no {name}", remedy=_SHAPE)


@dataclass(slots=True)
class Queries:
    """Texts by id, in the file's order; blank: ids without text, with their lines; repeated: lines
    that give an id again with the same text."""

    texts: dict[str, str] = field(default_factory=dict)
    blank: dict[str, int] = field(default_factory=dict)
    repeated: int = 0


@dataclass(slots=True)
class Judgements:
    """Grades by query and document; repeated: lines for a pair judged before, of which
    `contradicting` give another grade. The last one counts, as for BEIR and ir-measures."""

    grades: dict[str, dict[str, int]] = field(default_factory=dict)
    repeated: int = 0
    contradicting: int = 0


def read_queries(path: Path) -> Queries:
    """The queries of `queries.jsonl`, gzipped or not; only the keys `_id` and `text` are read.

    Raises:
        CorpusError: the file cannot be read, a line is no query, or an id has two texts.
    """
    found = Queries()
    for line in _lines(path):
        try:
            identifier, text = _query(sound_value(decode(line.text.encode())))
        except RecordFault as fault:
            _refuse(path, line.number, fault.reason, fault.remedy or _QUERY_SHAPE)
        before = found.texts.get(identifier)
        if before is not None and before != text:
            _refuse(path, line.number, f"query {identifier!r} has another text above")
        found.repeated += before is not None
        found.texts[identifier] = text
        if not any(letter.isprintable() and not letter.isspace() for letter in text):
            found.blank.setdefault(identifier, line.number)
    if not found.texts:
        raise CorpusError(f"{path} holds no query", remedy=_QUERY_SHAPE)
    return found


def read_judgements(path: Path) -> Judgements:
    """The judgements of `qrels/SPLIT.tsv`, gzipped or not, with or without a header.

    Grades are integers from -1,000 to 1,000; 0 and less mean not relevant.

    Raises:
        CorpusError: the file cannot be read, a line is no judgement, or there is none.
    """
    found = Judgements()
    for number, line in enumerate(_lines(path)):
        cells = line.text.rstrip("\r\n").split("\t")
        header = cells[0].strip().casefold() in _HEADER and not _NUMBER.fullmatch(cells[-1])
        if number == 0 and header:
            continue
        try:
            query, document, grade = _judgement(cells)
        except RecordFault as fault:
            _refuse(path, line.number, fault.reason, fault.remedy)
        graded = found.grades.setdefault(query, {})
        if document in graded:
            found.repeated += 1
            found.contradicting += graded[document] != grade
        graded[document] = grade
    if not found.grades:
        raise CorpusError(f"{path} holds no judgement", remedy=_QREL_SHAPE)
    return found


def _lines(path: Path) -> Iterator[TextLine]:
    """Lines that are not blank. Raises CorpusError for an unreadable one."""
    with SourceReader(path) as source:
        for line in text_lines(source):
            if line.fault is not None:
                _refuse(path, line.number, line.fault.reason, line.fault.remedy)
            if line.text.strip():
                yield line


def _query(value: Any) -> tuple[str, str]:
    if not isinstance(value, dict):
        raise RecordFault("the line is no JSON object")
    identifier = value.get("_id")
    if isinstance(identifier, int) and not isinstance(identifier, bool):
        try:
            identifier = str(identifier)
        except ValueError as error:  # Python refuses thousands of digits
            raise RecordFault("`_id` is too long a number") from error
    if not isinstance(identifier, str) or not identifier.strip():
        raise RecordFault("`_id` is missing, empty or no text")
    if len(identifier) > MAX_ID_LENGTH:
        raise RecordFault(f"`_id` is longer than {MAX_ID_LENGTH} characters")
    text = value.get("text")
    if not isinstance(text, str):
        raise RecordFault("`text` is missing or no text")
    return identifier, text


def _judgement(cells: list[str]) -> tuple[str, str, int]:
    if len(cells) != 3:
        columns = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
        raise RecordFault(f"{columns} where 3 are due", _QREL_SHAPE)
    query, document, grade = sound(cells[0]), sound(cells[1]), cells[2].strip()
    for name, identifier in (("query", query), ("document", document)):
        if not identifier.strip() or len(identifier) > MAX_ID_LENGTH:
            raise RecordFault(f"the {name} id is empty or too long", _QREL_SHAPE)
    if not _GRADE.fullmatch(grade):
        said = "no whole number" if _NUMBER.fullmatch(grade) else "no number"
        raise RecordFault(f"the grade {grade[:40]!r} is {said}", "write grades as 0, 1, 2, ...")
    if abs(int(grade)) > HIGHEST_GRADE:
        raise RecordFault(f"the grade {grade} is beyond {HIGHEST_GRADE:,}", "use smaller grades")
    return query, document, int(grade)


def _refuse(path: Path, line: int, reason: str, remedy: str | None = None) -> NoReturn:
    raise CorpusError(f"{path}:{line}: {reason}", remedy=remedy)


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

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.parts.name

    @property
    def split(self) -> str:
        """The split's name."""
        return self.parts.split

    def judged(self) -> list[str]:
        """The ids of all judged documents, each once, in the order of the judgements."""
        return list(dict.fromkeys(one for graded in self.judgements.values() for one in graded))


def read_benchmark(folder: Path, split: str | None = None) -> BenchmarkFolder:
    """The benchmark in `folder`; of the corpus only the checksum is read.

    split: None for `test`, or for the only split.

    Raises:
        NotFoundError: no such folder, file or split. CorpusError: a line is malformed, a judged
            query has no text, or no judgement is of a known query.
    """
    parts = find_parts(folder, split)
    queries = read_queries(parts.queries)
    judged = read_judgements(parts.qrels)
    kept = {name: text for name, text in queries.texts.items() if name in judged.grades}
    if not kept:
        raise CorpusError(
            f"{parts.qrels} judges no query of {parts.queries.name}",
            remedy="are both of the same benchmark?",
        )
    blank = next((name for name in queries.blank if name in kept), None)
    if blank is not None:
        raise CorpusError(f"{parts.queries}:{queries.blank[blank]}: query {blank!r} has no text")
    grades = {name: judged.grades[name] for name in kept}
    sums = []
    for path in (parts.corpus, parts.queries, parts.qrels):
        try:
            sums.append(remembered_sha256(path))
        except OSError as error:
            raise reading_fault(str(path), error) from error
    return BenchmarkFolder(
        parts=parts,
        queries=kept,
        judgements=grades,
        corpus_sha256=sums[0],
        sha256=hashlib.sha256("\n".join(sums).encode()).hexdigest(),
        notes=tuple(_notes(parts, queries, judged, grades)),
    )


def _notes(
    parts: Parts,
    queries: Queries,
    judged: Judgements,
    grades: Mapping[str, Mapping[str, int]],
) -> Iterator[str]:
    """Remarks on what the scores leave out or need beside them."""
    if parts.split != DEFAULT_SPLIT and len(parts.splits) == 1:
        yield f"there is no split {DEFAULT_SPLIT}; {parts.split} is the only one"
    if unjudged := len(queries.texts) - len(grades):
        yield f"{_queries(unjudged)} without a judgement in the split {parts.split}: not run"
    if unknown := len(judged.grades) - len(grades):
        yield f"{_queries(unknown)} judged but not in queries.jsonl: left out"
    if irrelevant := sum(max(graded.values()) < 1 for graded in grades.values()):
        said = "without a relevant document: scored 0, as trec_eval does"
        yield f"{_queries(irrelevant)} {said}"
    if judged.repeated:
        other = f", {judged.contradicting:,} of them with another grade"
        said = f"{judged.repeated:,} judgements are given again"
        yield f"{said}{other if judged.contradicting else ''}: the last one counts"
    every = [grade for graded in grades.values() for grade in graded.values()]
    high, low = sum(grade > 1 for grade in every), sum(grade < 1 for grade in every)
    if high or low:
        yield f"judgements: {high:,} of grade 2 or more, {low:,} of grade 0 or less"
    if queries.repeated:
        yield f"{queries.repeated:,} lines of queries.jsonl are given again"


def _queries(count: int) -> str:
    return "1 query is" if count == 1 else f"{count:,} queries are"
