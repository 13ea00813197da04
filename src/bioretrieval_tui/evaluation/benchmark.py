"""A benchmark folder in BEIR's layout: its files, queries and judgements of one split, checked.

corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, packed or not. A score over half a benchmark looks
like a score, so the first bad line of queries or judgements ends the reading; a corpus of the
user's own is read more leniently elsewhere.
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
_SHAPE = "a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv, packed or not"
_PACKED = ".gz"
_TABLE = ".tsv"

HIGHEST_GRADE = 1_000
"""Above and below this no grade is meant; trec_eval makes a table with a row for each."""

_GRADE = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_HEADER = frozenset({"query-id", "query_id", "queryid", "qid", "query"})
_QUERY_SHAPE = 'a line of queries looks like {"_id": "1", "text": "..."}'
_QREL_SHAPE = "a line holds query id, document id and grade, with tabs between them"


@dataclass(frozen=True, slots=True)
class Parts:
    """The files of one benchmark and one of its splits; `splits` are all that are there."""

    folder: Path
    corpus: Path
    queries: Path
    qrels: Path
    split: str
    splits: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the folder is called."""
        return self.folder.absolute().name or "benchmark"


def find_parts(folder: Path, split: str | None = None) -> Parts:
    """The files of the benchmark in `folder`.

    split: None means `test`, or the only one that is there.

    Raises:
        NotFoundError: there is no such folder, a file of it is missing, or there is no such split
            (those that are there are named). BioRetrievalError: the folder cannot be read.
    """
    try:
        if not folder.is_dir():
            what = "is a file, not a folder" if folder.exists() else "is not there"
            raise NotFoundError(f"the benchmark {folder} {what}", remedy=_SHAPE)
        corpus, queries = _one(folder, "corpus.jsonl"), _one(folder, "queries.jsonl")
        found = _splits(folder)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BioRetrievalError(f"the benchmark {folder} cannot be read: {reason}") from error
    if not found:
        raise NotFoundError(f"{folder} has no judgements: no qrels/*.tsv", remedy=_SHAPE)
    wanted = split or DEFAULT_SPLIT
    if split is None and wanted not in found and len(found) == 1:
        wanted = next(iter(found))
    if wanted not in found:
        raise NotFoundError(
            f"{folder} has no split {wanted}", remedy=f"its splits: {', '.join(sorted(found))}"
        )
    return Parts(folder, corpus, queries, found[wanted], wanted, tuple(sorted(found)))


def _one(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}{_PACKED}"):
        if path.is_file():
            return path
    raise NotFoundError(f"{folder} is no benchmark: it has no {name}", remedy=_SHAPE)


def _splits(folder: Path) -> dict[str, Path]:
    qrels = folder / "qrels"
    found: dict[str, Path] = {}
    for path in sorted(qrels.iterdir()) if qrels.is_dir() else ():
        name = path.name.removesuffix(_PACKED)
        # A plain file stands above a packed one of the same name, as with the other two.
        if name.endswith(_TABLE) and not name.startswith(".") and path.is_file():
            found.setdefault(name.removesuffix(_TABLE), path)
    return found


@dataclass(slots=True)
class Queries:
    """Texts by id, in the file's order; `blank`: those that say nothing, with their lines;
    `repeated`: how many stand there again with the same text."""

    texts: dict[str, str] = field(default_factory=dict)
    blank: dict[str, int] = field(default_factory=dict)
    repeated: int = 0


@dataclass(slots=True)
class Judgements:
    """Grades by query and document; `repeated`: lines about a pair that was judged before, of
    which `contradicting` say another grade. The last one counts, as for BEIR and ir-measures."""

    grades: dict[str, dict[str, int]] = field(default_factory=dict)
    lines: int = 0
    repeated: int = 0
    contradicting: int = 0


def read_queries(path: Path) -> Queries:
    """The queries of `queries.jsonl`, packed or not; keys other than `_id` and `text` are passed
    over.

    Raises:
        CorpusError: the file cannot be read, or a line is no query, or gives an id another text.
    """
    found = Queries()
    for line in _lines(path):
        try:
            value = sound_value(decode(line.text.encode()))
            identifier, text = _query(value)
        except RecordFault as fault:
            _refuse(path, line.number, fault.reason, fault.remedy or _QUERY_SHAPE)
        before = found.texts.get(identifier)
        if before is not None and before != text:
            _refuse(path, line.number, f"query {identifier!r} has had another text before")
        found.repeated += before is not None
        found.texts[identifier] = text
        if not any(letter.isprintable() and not letter.isspace() for letter in text):
            found.blank.setdefault(identifier, line.number)
    if not found.texts:
        raise CorpusError(f"{path} holds no query", remedy=_QUERY_SHAPE)
    return found


def read_judgements(path: Path) -> Judgements:
    """The judgements of `qrels/SPLIT.tsv`, packed or not, with or without a header.

    Grades are whole numbers from -1,000 to 1,000; 0 and less mean not relevant.

    Raises:
        CorpusError: the file cannot be read, a line is no judgement, or there is none.
    """
    found = Judgements()
    first = True
    for line in _lines(path):
        cells = line.text.rstrip("\r\n").split("\t")
        if first and cells[0].strip().casefold() in _HEADER and not _NUMBER.fullmatch(cells[-1]):
            first = False
            continue
        first = False
        try:
            query, document, grade = _judgement(cells)
        except RecordFault as fault:
            _refuse(path, line.number, fault.reason, fault.remedy)
        graded = found.grades.setdefault(query, {})
        found.lines += 1
        if document in graded:
            found.repeated += 1
            found.contradicting += graded[document] != grade
        graded[document] = grade
    if not found.grades:
        raise CorpusError(f"{path} holds no judgement", remedy=_QREL_SHAPE)
    return found


def _lines(path: Path) -> Iterator[TextLine]:
    """Lines that are not blank. Raises CorpusError for one that cannot be read."""
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
        except ValueError as error:  # Python refuses to write thousands of digits
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
class Benchmark:
    """One split of a BEIR folder.

    queries: text by id, in the order of queries.jsonl, only those with judgements; judgements:
    grade by query id and document id, of just these queries; corpus_sha256: of the corpus file as
    it is stored; sha256: of corpus, queries and judgements together; notes: what should be read
    beside the scores, a line each, empty for a plain benchmark.
    """

    parts: Parts
    queries: Mapping[str, str]
    judgements: Mapping[str, Mapping[str, int]]
    corpus_sha256: str
    sha256: str
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What its folder is called."""
        return self.parts.name

    @property
    def split(self) -> str:
        """The split that is run."""
        return self.parts.split

    def judged(self) -> list[str]:
        """The ids of all judged documents, each once, in the order of the judgements."""
        return list(dict.fromkeys(one for graded in self.judgements.values() for one in graded))


def read_benchmark(folder: Path, split: str | None = None) -> Benchmark:
    """The benchmark in `folder`, its corpus not read but for its checksum.

    split: None means `test`, or the only one that is there.

    Raises:
        NotFoundError: no such folder, file or split. CorpusError: a line is malformed, a judged
            query has no text, or no judgement is of a query that is there.
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
    corpus = _sha256(parts.corpus)
    whole = "\n".join((corpus, _sha256(parts.queries), _sha256(parts.qrels)))
    return Benchmark(
        parts=parts,
        queries=kept,
        judgements=grades,
        corpus_sha256=corpus,
        sha256=hashlib.sha256(whole.encode()).hexdigest(),
        notes=tuple(_notes(parts, queries, judged, grades)),
    )


def _notes(
    parts: Parts,
    queries: Queries,
    judged: Judgements,
    grades: Mapping[str, Mapping[str, int]],
) -> Iterator[str]:
    """What stands in the files and has no part in the scores, or needs to be known with them."""
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


def _sha256(path: Path) -> str:
    try:
        return remembered_sha256(path)
    except OSError as error:
        raise reading_fault(str(path), error) from error
