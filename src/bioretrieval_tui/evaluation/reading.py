"""Reading the queries and judgements of a BEIR folder, line by line, and refusing what is wrong.

A figure over half a benchmark looks like a figure, so here, unlike with a corpus of one's own,
the first bad line ends it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from bioretrieval_tui.documents.bibliography import MAX_ID_LENGTH, sound, sound_value
from bioretrieval_tui.documents.document import RecordFault
from bioretrieval_tui.documents.readers.json_records import decode
from bioretrieval_tui.documents.source import SourceReader, TextLine, text_lines
from bioretrieval_tui.errors import CorpusError

HIGHEST_GRADE = 1_000
"""Above and below this no grade is meant; trec_eval makes a table with a row for each."""

_GRADE = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_HEADER = frozenset({"query-id", "query_id", "queryid", "qid", "query"})
_QUERY_SHAPE = 'a line of queries looks like {"_id": "1", "text": "..."}'
_QREL_SHAPE = "a line holds query id, document id and grade, with tabs between them"


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
