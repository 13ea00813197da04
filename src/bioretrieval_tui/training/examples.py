"""Examples to train on: a query, a document that answers it, documents that do not.

Each function turns something that people have (a benchmark's judgements, a file of pairs, the texts
of an index) into an `ExampleSet`. Everything is read before training starts, so that the number of
steps is known and a malformed record costs nothing but its line.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bioretrieval_tui.documents.checksum import remembered_sha256
from bioretrieval_tui.documents.document import Document, RecordFault
from bioretrieval_tui.documents.sentences import sentence_spans
from bioretrieval_tui.documents.source import reading_fault
from bioretrieval_tui.errors import CorpusError
from bioretrieval_tui.util.folding import equal_key

LEAST_WORDS = 4
"""Words of a text below which it teaches nothing as a query or a passage."""
_HEADING = re.compile(
    r"(?:^|(?<=[.!?]\s)|\n)\s*(CONCLUSIONS?|Conclusions?|INTERPRETATION|Interpretation)"
    r"(?:/\w+)?(?:\s+AND\s+\w+)?\s*[:.]\s+(?=[A-Z0-9])"
)
_QUERY = ("query", "anchor", "question", "sentence1", "q")
_POSITIVE = ("positive", "pos", "document", "passage", "answer", "sentence2", "text")
_NEGATIVES = ("negative", "neg", "negatives", "hardnegative", "hardnegatives")
_SCORE = ("score", "label", "weight")
_PAIRS = "a pair has the columns query and positive, and may have negative and score"


class Example(NamedTuple):
    """One query with a document that answers it.

    query_id: of the benchmark, else the place of the record; negatives: documents that do not
    answer it; weight: of its loss; scores: a teacher's, of the positive and then of each negative.
    """

    query_id: str
    query: str
    positive: Document
    negatives: tuple[Document, ...] = ()
    weight: float = 1.0
    scores: tuple[float, ...] = ()


class InputSum(msgspec.Struct, frozen=True):
    """A file that was read: its path and hex SHA-256; of an index its name and its manifest's."""

    path: str
    sha256: str


class ExampleSet(msgspec.Struct, frozen=True):
    """Examples, and what they are.

    description: one sentence, for the page of the model; inputs: what was read; skipped: how many
    records were left out, by reason.
    """

    description: str
    examples: tuple[Example, ...]
    inputs: tuple[InputSum, ...] = ()
    skipped: Mapping[str, int] = {}

    def texts(self) -> Iterator[tuple[str, Document]]:
        """Each query and each document that is trained on; negatives too."""
        for one in self.examples:
            yield one.query, one.positive
            for document in one.negatives:
                yield one.query, document


def checked(
    description: str,
    found: Iterable[Example],
    inputs: Sequence[InputSum],
    skipped: Counter[str] | None = None,
) -> ExampleSet:
    """The examples without those that teach nothing: too short, a query that is its own answer, the
    same pair twice. Raises CorpusError: nothing is left, and why."""
    counted = Counter(skipped or ())
    kept: list[Example] = []
    seen: set[tuple[str, str]] = set()
    for one in found:
        query, positive = equal_key(one.query), equal_key(text_of(one.positive))
        if not query or not positive:
            counted["empty texts"] += 1
        elif query == positive:
            counted["query and document equal"] += 1
        elif (query, positive) in seen:
            counted["the same pair again"] += 1
        else:
            seen.add((query, positive))
            kept.append(one)
    if not kept:
        why = ", ".join(f"{count:,} {reason}" for reason, count in counted.items())
        raise CorpusError(
            f"{description}: no pair is left" + (f" ({why})" if why else ""),
            remedy="check what it is made from: bioretrieval-tui train --help",
        )
    return ExampleSet(description, tuple(kept), tuple(inputs), dict(counted))


def text_of(document: Document) -> str:
    """Title and text of a document."""
    return f"{document.title} {document.text}".strip()


def sums_of(paths: Iterable[Path]) -> list[InputSum]:
    """The checksums of files. Raises CorpusError: one cannot be read."""
    found = []
    for path in paths:
        try:
            found.append(InputSum(str(path.absolute()), remembered_sha256(path)))
        except OSError as error:
            raise reading_fault(str(path), error) from error
    return found


# Judged pairs ---------------------------------------------------------------------------------


def judged_pairs(folder: Path, corpus: Mapping[str, Document], split: str = "train") -> ExampleSet:
    """The relevant pairs of a benchmark's judgements; documents judged 0 or less are negatives.

    corpus: the documents by id. Raises as `read_benchmark`; CorpusError: no judged document is
    there."""
    from bioretrieval_tui.evaluation.benchmark import read_benchmark

    found = read_benchmark(folder, split)
    skipped: Counter[str] = Counter()

    def pairs() -> Iterator[Example]:
        for query, grades in found.judgements.items():
            here = {name: corpus[name] for name in grades if name in corpus}
            skipped["judged documents that the corpus lacks"] += len(grades) - len(here)
            wrong = tuple(
                here[name] for name, grade in grades.items() if name in here and grade < 1
            )
            for name, grade in grades.items():
                if grade > 0 and name in here:
                    yield Example(query, found.queries[query], here[name], wrong)

    parts = found.parts
    given = list(pairs())
    skipped = +skipped
    said = f"{parts.name}, judgements of the split {split}"
    return checked(said, given, sums_of((*parts.queries, *parts.qrels, *parts.corpus)), skipped)


# Pairs of a file ------------------------------------------------------------------------------


def file_pairs(path: Path) -> ExampleSet:
    """The pairs or triplets of a file: JSON lines, CSV, TSV or Parquet with columns `query` and
    `positive`, and, if there, `negative` (several as `negative_1` ... or a list) and `score`.

    Columns have the names that sentence-transformers uses too (anchor, sentence1, label). A score
    of 0 or less makes the document a negative of its query. Raises CorpusError: it cannot be read,
    or a record is malformed; its place is named."""
    from bioretrieval_tui.evaluation.topics import named_records

    by_query: dict[str, list[Example]] = {}
    wrong: dict[str, list[Document]] = {}
    for place, record in named_records(path, _PAIRS):
        try:
            example, score = _pair(str(place), record)
        except RecordFault as fault:
            raise CorpusError(f"{place}: {fault.reason}", remedy=_PAIRS) from fault
        if score is not None and score <= 0:
            wrong.setdefault(example.query, []).append(example.positive)
        else:
            by_query.setdefault(example.query, []).append(example)
    skipped: Counter[str] = Counter()
    skipped["queries with negatives only"] = len(wrong.keys() - by_query.keys())
    examples = (
        one._replace(negatives=(*one.negatives, *wrong.get(query, ())))
        for query, group in by_query.items()
        for one in group
    )
    return checked(f"pairs of {path.name}", examples, sums_of([path]), +skipped)


def _pair(place: str, record: Mapping[str, Any]) -> tuple[Example, float | None]:
    """A record as an example, and its score. Raises RecordFault."""
    query = _first(record, _QUERY)
    positive = _first(record, _POSITIVE)
    for name, given in (("query", query), ("positive", positive)):
        if given is None:
            raise RecordFault(f"no column {name} among {', '.join(record) or 'none'}")
    if not isinstance(query, str):
        raise RecordFault(f"its query is no text: {query!r:.60}")
    negatives: list[Document] = []
    for name, value in record.items():
        base = name.rstrip("0123456789")
        if base in _NEGATIVES and value is not None:
            many = value if isinstance(value, list | tuple) else [value]
            negatives += [_document(f"{place}#{name}{at}", one) for at, one in enumerate(many)]
    score = _first(record, _SCORE)
    if isinstance(score, str):
        try:
            score = float(score)
        except ValueError as error:
            raise RecordFault(f"its score is no number: {score!r:.40}") from error
    number = float(score) if isinstance(score, int | float) else None
    documents = positive if isinstance(positive, list) else [positive]
    if len(documents) != 1:
        raise RecordFault(f"{len(documents)} positives; write a record for each")
    example = Example(place, query, _document(f"{place}#+", documents[0]), tuple(negatives))
    return example, number


def _first(record: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _document(identifier: str, given: Any) -> Document:
    if isinstance(given, Mapping):
        title, text = (str(given.get(name) or "") for name in ("title", "text"))
        return Document(str(given.get("_id") or given.get("id") or identifier), title, text)
    if not isinstance(given, str):
        raise RecordFault(f"a document is no text: {given!r:.60}")
    return Document(identifier, "", given)


# Pairs that texts hold ------------------------------------------------------------------------


def title_pairs(documents: Iterable[Document], what: str, inputs: Sequence[InputSum]) -> ExampleSet:
    """Each title as the query of its text, which is shown without the title."""
    skipped: Counter[str] = Counter()

    def pairs() -> Iterator[Example]:
        for one in documents:
            if _long(one.title) and _long(one.text):
                yield Example(one.id, one.title, Document(one.id, "", one.text, one.metadata))
            else:
                skipped["without a title or a text of some length"] += 1

    found = list(pairs())
    return checked(f"titles and texts of {what}", found, inputs, skipped)


def sentence_pairs(
    documents: Iterable[Document], what: str, inputs: Sequence[InputSum], *, seed: int = 0
) -> ExampleSet:
    """A sentence of each text, drawn at random, as the query of the rest with its title.

    The sentence stays in the rest one time in ten, so that exact words are learnt too: the inverse
    cloze task of Lee, Chang and Toutanova (2019, section 5)."""
    skipped: Counter[str] = Counter()
    draw = random.Random(seed)  # noqa: S311 - no secret

    def pairs() -> Iterator[Example]:
        for one in documents:
            text = one.text
            spans = [span for span in sentence_spans(text) if _long(text[slice(*span)])]
            if len(spans) < 2:
                skipped["of fewer than two sentences"] += 1
                continue
            start, end = draw.choice(spans)
            stays = draw.random() < 0.1
            rest = text if stays else f"{text[:start].rstrip()} {text[end:].lstrip()}".strip()
            yield Example(one.id, text[start:end], Document(one.id, one.title, rest, one.metadata))

    found = list(pairs())
    return checked(f"a sentence and the rest of each text of {what}", found, inputs, skipped)


def conclusion_pairs(
    documents: Iterable[Document], what: str, inputs: Sequence[InputSum]
) -> ExampleSet:
    """The conclusion of each structured abstract as the query of the rest with its title."""
    skipped: Counter[str] = Counter()

    def pairs() -> Iterator[Example]:
        for one in documents:
            headings = list(_HEADING.finditer(one.text))
            at = headings[-1] if headings else None
            conclusion = one.text[at.end() :].strip() if at else ""
            rest = one.text[: at.start()].strip() if at else ""
            if _long(conclusion) and _long(rest):
                document = Document(one.id, one.title, rest, one.metadata)
                yield Example(one.id, conclusion, document)
            else:
                skipped["without a conclusion under a heading"] += 1

    found = list(pairs())
    return checked(f"conclusions and the rest of each abstract of {what}", found, inputs, skipped)


def _long(text: str) -> bool:
    return len(text.split(maxsplit=LEAST_WORDS)) >= LEAST_WORDS


def held_out(
    examples: Sequence[Example], share: float, seed: int, most: int = 1_000
) -> tuple[list[Example], list[Example]]:
    """Examples to train on, and a share of them (at most `most`, at least 1 where there are ten) to
    watch: all pairs of a query are on one side, and no document of the one is a positive of the
    other."""
    queries = list(dict.fromkeys(equal_key(one.query) for one in examples))
    wanted = min(most, int(len(queries) * share) or int(len(queries) >= 10))
    random.Random(seed).shuffle(queries)  # noqa: S311 - no secret
    chosen = set(queries[:wanted])
    kept = [one for one in examples if equal_key(one.query) in chosen]
    documents = {equal_key(text_of(one.positive)) for one in kept}
    left = [
        one
        for one in examples
        if equal_key(one.query) not in chosen and equal_key(text_of(one.positive)) not in documents
    ]
    return left, kept
