"""Queries and judgements from files, in the forms in which benchmarks are published: BEIR's JSON
lines and tables, Parquet of the model hub, TREC's topics (SGML and XML) and qrels.

The score of a half-read file looks like any other, so reading ends at the first malformed record.
"""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from bioretrieval_tui.documents.bibliography import identifier, plain, sound
from bioretrieval_tui.documents.document import Place, RecordFault
from bioretrieval_tui.documents.readers.json_records import json_object, json_values
from bioretrieval_tui.documents.readers.named_fields import name_key
from bioretrieval_tui.documents.readers.tables import PARQUET, parquet_cells
from bioretrieval_tui.documents.source import (
    STDIN,
    SourceDamaged,
    SourceReader,
    TextLine,
    text_lines,
)
from bioretrieval_tui.errors import CorpusError

HIGHEST_GRADE = 1_000
"""Largest absolute grade; trec_eval makes a table with a row for each grade."""
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_QUERY_SHAPE = 'a line of queries looks like {"_id": "1", "text": "..."}'
_QREL_SHAPE = "a line holds query id, document id and grade, separated by tabs"
_MOST_TOPICS = 64 * 2**20
"""Bytes of a file of topics."""

# Names of columns and keys, without case and signs.
_IDS = ("id", "queryid", "qid", "topicid", "topic", "number", "num", "qno")
_TEXTS = ("text", "querytext", "query", "question", "body", "title")
_QUERY = ("queryid", "qid", "query", "topicid", "topic", "topicnumber")
_DOCUMENT = ("corpusid", "docid", "documentid", "docno", "doc", "did", "pid", "cordid", "corduid")
_GRADE = ("score", "grade", "relevance", "rel", "label", "judgement", "judgment", "relevancy")

_TOPIC = re.compile(r"<(top|topic|query)\b", re.IGNORECASE)
_NUMBERED = re.compile(r"\b(?:number|num|id|qid)\s*=\s*[\"']([^\"']*)[\"']", re.IGNORECASE)
_ELEMENT = re.compile(r"<([a-z][\w-]*)[^<>]*>([^<]*)", re.IGNORECASE)
_LABEL = re.compile(r"\s*(?:Number|Topic|Title|Description|Narrative)\s*:", re.IGNORECASE)
_TOPIC_IDS = ("num", "number", "id", "qid")
_ASKED = ("title", "question", "query", "text", "summary", "description", "desc", "note")
"""Elements of a topic that are the query, the best first; without one it is all of them."""


class Queries(NamedTuple):
    """The queries of a benchmark.

    texts: by id, in the order of the files; blank: the place of each id without text; repeated:
    a remark on ids that are given again with the same text, or None; asked: the element of TREC's
    topics that is the query, or None.
    """

    texts: dict[str, str]
    blank: dict[str, str]
    repeated: str | None = None
    asked: str | None = None


class Judgements(NamedTuple):
    """grades: by query and document; repeated: a remark on pairs that are judged again with the
    same grade, or None."""

    grades: dict[str, dict[str, int]]
    repeated: str | None = None


class _Repeats:
    """What is given again: the first, with both places, and how many."""

    def __init__(self) -> None:
        self._count = 0
        self._first = ""

    def add(self, what: str, before: Place, again: Place) -> None:
        self._count += 1
        at = again.line if again.file == before.file else again
        self._first = self._first or f"{what} at {before} and {at}"

    def said(self, kind: str, kinds: str) -> str | None:
        if not self._count:
            return None
        count = f"1 {kind} is" if self._count == 1 else f"{self._count:,} {kinds} are"
        first = ": " if self._count == 1 else ", the first "
        return f"{count} given again{first}{self._first}"


def read_queries(*paths: Path | None, lines: bool = False) -> Queries:
    """The queries of these files; None is stdin. lines: a file without columns is a query a line,
    the number of the line its id. Raises CorpusError: a file cannot be read, a record is no query,
    or an id has two texts."""
    texts: dict[str, str] = {}
    placed: dict[str, Place] = {}
    blank: dict[str, str] = {}
    repeats = _Repeats()
    asked: set[str] = set()

    def take(place: Place, given: Any) -> None:
        if isinstance(given, _Topic):
            query, text = given.id, given.text
            asked.add(given.asked)
        else:
            query, text = _query(given)
        if query in texts:
            if texts[query] != text:
                what = f"query {query!r} has another text at {placed[query]}"
                raise RecordFault(what, "keep one of them")
            repeats.add(query, placed[query], place)
        texts.setdefault(query, text)
        placed.setdefault(query, place)
        if not any(letter.isprintable() and not letter.isspace() for letter in text):
            blank.setdefault(query, str(place))

    for path in paths:
        _read(path, _query_lines if lines else _query_cells, take, _QUERY_SHAPE)
    if not texts:
        raise CorpusError(f"{paths[0] or STDIN} holds no query", remedy=_QUERY_SHAPE)
    said = repeats.said("query", "queries")
    return Queries(texts, blank, said, ", ".join(sorted(asked)) or None)


def _query(given: Any) -> tuple[str, str]:
    """Id and text of a query: an object, or two cells."""
    if isinstance(given, dict):
        record = json_object(given)
        keys = {name_key(key): key for key in reversed(record)}
        named = next((keys[name] for name in _IDS if name in keys), "_id")
        query = identifier(record.get(named), f"`{named}`")
        text = next((record[keys[name]] for name in _TEXTS if name in keys), None)
        if not isinstance(text, str):
            raise RecordFault("`text` is missing or no text")
        return query, text
    if isinstance(given, list) and len(given) == 2:
        return identifier(given[0], "the query id"), sound(given[1].strip())
    if isinstance(given, list):
        raise RecordFault(f"{_columns(given)} where 2 are due")
    json_object(given)
    raise RecordFault("the record is no query")


def read_judgements(*paths: Path) -> Judgements:
    """The judgements of these files: three columns (BEIR) or four (TREC), with or without a header;
    or objects or rows with such names.

    Grades are whole numbers from -1,000 to 1,000 ("2" or "2.0"); 0 and less mean not relevant.
    Raises CorpusError: a file cannot be read, a record is no judgement, a pair is judged twice with
    different grades, or there is none.
    """
    grades: dict[str, dict[str, int]] = {}
    placed: dict[tuple[str, str], Place] = {}
    repeats = _Repeats()

    def take(place: Place, given: Any) -> None:
        query, document, grade = _judgement(given)
        graded = grades.setdefault(query, {})
        if document in graded:
            before = placed[query, document]
            if graded[document] != grade:
                what = f"query {query!r} and document {document!r} have the grade {grade} here"
                raise RecordFault(f"{what} and {graded[document]} at {before}", "keep one of them")
            repeats.add(f"{query} {document}", before, place)
        graded.setdefault(document, grade)
        placed.setdefault((query, document), place)

    for path in paths:
        _read(path, _qrel_cells, take, _QREL_SHAPE)
    if not grades:
        raise CorpusError(f"{paths[0]} holds no judgement", remedy=_QREL_SHAPE)
    return Judgements(grades, repeats.said("judgement", "judgements"))


def _judgement(given: Any) -> tuple[str, str, int]:
    if isinstance(given, dict):
        record = json_object(given)
        keys = {name_key(key): record[key] for key in reversed(record)}
        given = [
            next((keys[name] for name in names if name in keys), None)
            for names in (_QUERY, _DOCUMENT, _GRADE)
        ]
    if not isinstance(given, list):
        json_object(given)
    if len(given) == 4:
        del given[1]  # TREC's iteration, which is not used
    if len(given) != 3:
        raise RecordFault(f"{_columns(given)} where 3 (or 4 of TREC) are due")
    query = identifier(given[0], "the query id")
    document = identifier(given[1], "the document id")
    return query, document, _grade(given[2])


def _grade(given: Any) -> int:
    grade = sound(given.strip()) if isinstance(given, str) else str(given)
    shown = grade[:40]
    if not _NUMBER.fullmatch(grade):
        raise RecordFault(f"the grade {shown!r} is no number", "write grades as 0, 1, 2, ...")
    value = float(grade)
    if abs(value) > HIGHEST_GRADE:
        raise RecordFault(f"the grade {shown} is beyond {HIGHEST_GRADE:,}", "use smaller grades")
    if value != int(value):
        remedy = "multiply all grades, or round them: gains and relevance count in whole grades"
        raise RecordFault(f"the grade {shown!r} is no whole number", remedy)
    return int(value)


def _columns(cells: Sequence[Any]) -> str:
    return "1 column" if len(cells) == 1 else f"{len(cells)} columns"


def named_records(path: Path, shape: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The records of JSON lines, Parquet, or a table with a header, by the names of their columns
    (lower case, `_` between words). Raises CorpusError: it cannot be read, or a record is no object
    or row of the header's width; shape: what it should be."""
    names: list[str] | None = None

    def cells(lines: Iterator[TextLine]) -> Iterator[tuple[int, Any]]:
        filled = (line for line in lines if line.fault or line.text.strip())
        first = next(filled, None)
        if first is None:
            return
        read: list[TextLine] = []  # of the present row, which may have several lines

        def texts() -> Iterator[str]:
            for line in chain([first], filled):
                read.append(line)
                yield line.text

        delimiter = "\t" if "\t" in first.text else ","
        rows = csv.reader(texts(), delimiter=delimiter, strict=True)
        while True:
            read.clear()
            try:
                row: Any = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                row = RecordFault(str(error))
            yield read[0].number, next((line.fault for line in read if line.fault), row)

    with SourceReader(path) as source:
        for place, given in _records(source, cells):
            reason, remedy = None, shape
            if isinstance(given, RecordFault):
                reason, remedy = given.reason, given.remedy or shape
            elif isinstance(given, list) and names is None:
                names = [name_key(one) for one in given]
                continue
            elif isinstance(given, list) and len(given) != len(names or ()):
                reason = f"{_columns(given)}, but the header has {len(names or ())}"
            elif not isinstance(given, list | dict):
                reason = "the record is no object"
            if reason is not None:
                raise CorpusError(f"{place}: {reason}", remedy=remedy)
            record = dict(zip(names or (), given, strict=True)) if names else given
            yield place, {name_key(str(name)): value for name, value in record.items()}


# Files ------------------------------------------------------------------------------------------

_Cells = Callable[[Iterator[TextLine]], Iterator[tuple[int, Any]]]
"""Gives the cells of lines, or their faults, and line numbers."""


class _Topic(NamedTuple):
    """A topic of TREC; `asked`: the element that is its text."""

    id: str
    text: str
    asked: str


def _read(path: Path | None, cells: _Cells, take: Callable[[Place, Any], None], shape: str) -> None:
    """Give each record of a file, with its place, to `take`, which may raise RecordFault. Raises
    CorpusError: the file cannot be read, or a record is malformed; it is named."""
    with SourceReader(path) as source:
        for place, given in _records(source, cells):
            try:
                if isinstance(given, RecordFault):
                    raise given
                take(place, given)
            except RecordFault as fault:
                message = f"{place}: {fault.reason}"
                raise CorpusError(message, remedy=fault.remedy or shape) from fault


def _records(source: SourceReader, cells: _Cells) -> Iterator[tuple[Place, Any]]:
    """The objects, rows, topics or lines of cells of a file, or their faults, and their places."""
    try:
        yield from _sound_records(source, cells)
    except SourceDamaged as error:
        fault = RecordFault(error.message, error.remedy)
        yield Place(source.name, offset=error.offset), fault


def _sound_records(source: SourceReader, cells: _Cells) -> Iterator[tuple[Place, Any]]:
    head = source.head()
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if PARQUET.recognises(head):
        for place, names, row in parquet_cells(source):
            if isinstance(row, RecordFault):
                yield place, row
            else:
                yield place, dict(zip(names, row, strict=True))
    elif start.startswith((b"{", b"[")):
        in_questions = re.match(rb'\{\s*"questions"\s*:\s*\[', start)  # BioASQ
        for place, value in json_values(source, ("questions",) if in_questions else ()):
            is_list = isinstance(value, list)  # as cells are
            yield place, RecordFault("the record is a list, not an object") if is_list else value
    elif start.startswith(b"<"):
        yield from _topics(source)
    else:
        for number, given in cells(text_lines(source)):
            yield Place(source.name, line=number), given


def _topics(source: SourceReader) -> Iterator[tuple[Place, _Topic | RecordFault]]:
    """The topics of a file in SGML or XML, each from its opening tag to the next tag of its name;
    nothing is parsed as XML, so that no declaration counts."""
    lines: list[str] = []
    size = 0
    for line in text_lines(source):
        lines.append(line.text)
        size += len(line.text)
        if size > _MOST_TOPICS:
            raise CorpusError(f"{source.name} is too large a file of topics")
    text = "".join(lines)
    opening = _TOPIC.search(text)
    if opening is None:
        return
    tags = list(re.finditer(rf"<(/?){opening[1]}\b([^<>]*)>", text))
    number, before = 1, 0
    for tag, after in zip(tags, [*tags[1:], None], strict=False):
        if tag[1]:
            continue
        number += text.count("\n", before, tag.start())
        before = tag.start()
        body = text[tag.end() : after.start() if after else len(text)]
        place = Place(source.name, line=number)
        try:
            yield place, _topic(tag[2], body)
        except RecordFault as fault:
            yield place, fault


def _topic(attributes: str, body: str) -> _Topic:
    """A topic of the attributes and the elements of its tag; elements of SGML are not closed."""
    parts: dict[str, list[str]] = {}
    for name, content in _ELEMENT.findall(body):
        said = plain(html.unescape(_LABEL.sub("", content, count=1)))
        if said:
            parts.setdefault(name.casefold(), []).append(said)
    numbered = _NUMBERED.search(attributes)
    of_element = next((" ".join(parts[name]) for name in _TOPIC_IDS if name in parts), "")
    asked = next((name for name in _ASKED if name in parts), "")
    others = [one for name, said in parts.items() if name not in _TOPIC_IDS for one in said]
    text = " ".join(parts[asked] if asked else others) or plain(html.unescape(body))
    identity = identifier(numbered[1] if numbered else of_element, "the topic's number")
    return _Topic(identity, text, asked or "text")


def _query_cells(lines: Iterator[TextLine]) -> Iterator[tuple[int, Any]]:
    """Id and text of each line; a header names their columns."""
    yield from _named_cells(lines, (_IDS, _TEXTS))


def _query_lines(lines: Iterator[TextLine]) -> Iterator[tuple[int, Any]]:
    """As `_query_cells` where the first line has a tab, or names columns between commas; else the
    number of each line as its id, and the line."""
    filled = (line for line in lines if line.fault or line.text.strip())
    first = next(filled, None)
    if first is None:
        return
    keys = [name_key(cell) for cell in first.text.split(",")]
    if "\t" in first.text or (set(keys) & set(_IDS) and set(keys) & set(_TEXTS)):
        yield from _query_cells(chain([first], filled))
    else:
        for line in chain([first], filled):
            yield line.number, line.fault or [str(line.number), line.text.rstrip("\r\n")]


def _qrel_cells(lines: Iterator[TextLine]) -> Iterator[tuple[int, Any]]:
    """The cells of each line; a header names the columns of query, document and grade."""
    yield from _named_cells(lines, (_QUERY, _DOCUMENT, _GRADE))


def _named_cells(
    lines: Iterator[TextLine], columns: Sequence[tuple[str, ...]]
) -> Iterator[tuple[int, Any]]:
    """The cells of each line, between tabs, else commas, else (of more than two columns) blanks;
    those of `columns` where the first line is a header."""
    filled = (line for line in lines if line.fault or line.text.strip())
    first = next(filled, None)
    if first is None:
        return
    delimiter = "\t" if "\t" in first.text else "," if first.text.count(",") else None
    at: list[int] | None = None
    opening = True
    for number, fault, cells in _split(chain([first], filled), delimiter, len(columns) > 2):
        if opening and fault is None:
            opening = False
            keys = [name_key(cell) for cell in cells]
            found = [next((n for n, key in enumerate(keys) if key in names), -1)
                     for names in columns]  # fmt: skip
            is_header = keys[0] in columns[0] and not _NUMBER.fullmatch(cells[-1].strip())
            if -1 not in found or (is_header and len(columns) > 2):
                at = found if -1 not in found else None
                continue
        if fault is None and at is not None and len(cells) > max(at):
            cells = [cells[n] for n in at]
        yield number, fault or cells


def _split(
    lines: Iterable[TextLine], delimiter: str | None, blanks: bool
) -> Iterator[tuple[int, RecordFault | None, list[str]]]:
    for line in lines:
        text = line.text.rstrip("\r\n")
        if delimiter == ",":
            cells = next(csv.reader([text]), [])
        elif delimiter is None and blanks:
            cells = text.split()
        else:
            cells = text.split(delimiter) if delimiter else [text]
        yield line.number, line.fault, cells
