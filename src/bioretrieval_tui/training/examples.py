"""Examples to train on: a query, a document that answers it, documents that do not.

Each function turns something that people have (a benchmark's judgements, a file of pairs, the texts
of an index) into an `ExampleSet`. Everything is read before training starts, so that the number of
steps is known and a malformed record costs nothing but its line.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bioretrieval_tui.documents.bibliography import sound
from bioretrieval_tui.documents.checksum import remembered_sha256
from bioretrieval_tui.documents.document import Document, RecordFault
from bioretrieval_tui.documents.readers.json_records import text_field
from bioretrieval_tui.documents.sentences import sentence_spans
from bioretrieval_tui.documents.source import reading_fault
from bioretrieval_tui.errors import CorpusError
from bioretrieval_tui.util.folding import fold

LEAST_WORDS = 4
"""Words of a text below which it teaches nothing as a query or a passage."""
_CONCLUSION = re.compile(
    r"(?:CONCLUSIONS?|Conclusions?|INTERPRETATION|Interpretation)"
    r"(?:/\w+)?(?:\s+(?:AND|and)\s+\w+)?\s*[]:.]\s+(?=[A-Z0-9])"
)
# On a line of its own in any letters, within a line in capitals or what registers a trial.
_NEXT_HEADING = re.compile(
    r"\n\s*[A-Z][\w ,/()&-]{2,60}:\s"
    r"|(?<=[.!?])\s+(?:[A-Z][A-Z ,/()&-]{4,60}|(?:Clinical )?[Tt]rial [Rr]egist[\w ]{2,20}):\s"
)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_SEPARATORS = b" -_\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"
_QUERY = ("query", "anchor", "question", "sentence1", "q")
_POSITIVE = ("positive", "pos", "document", "passage", "answer", "sentence2", "text")
_NEGATIVES = ("negative", "neg", "negatives", "hardnegative", "hardnegatives")
_SCORE = ("score", "label", "scores")
_WEIGHT = ("weight",)
_PAIRS = "a pair has the columns query and positive, and may have negative, score and weight"


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
    """The examples without those that teach nothing: an empty text, a query that is its own answer,
    the same pair twice; and without negatives that are empty, the query, or answers to it. Raises
    CorpusError: nothing is left, and why."""
    counted = Counter(skipped or ())
    kept: list[tuple[bytes, Example]] = []
    answers: dict[bytes, set[bytes]] = {}
    keys = _Keys()
    for one in found:
        query, positive = text_key(one.query), keys.of(one.positive)
        if not query or not positive:
            counted["empty texts"] += 1
        elif query == positive:
            counted["query and document equal"] += 1
        elif positive in answers.setdefault(query, set()):
            counted["the same pair again"] += 1
        else:
            answers[query].add(positive)
            kept.append((query, one))
    if not kept:
        why = ", ".join(f"{count:,} {reason}" for reason, count in counted.items())
        raise CorpusError(
            f"{description}: no pair is left" + (f" ({why})" if why else ""),
            remedy="check what it is made from: bioretrieval-tui train --help",
        )
    examples = []
    for query, one in kept:
        left = keys.without(one, answers[query] | {b"", query}) if one.negatives else one
        counted["negatives that are empty or answers"] += len(one.negatives) - len(left.negatives)
        examples.append(left)
    return ExampleSet(description, tuple(examples), tuple(inputs), dict(+counted))


class _Keys:
    """The keys of the texts of documents, which may be in many examples."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[bytes, Document]] = {}  # a document's address is its own

    def of(self, document: Document) -> bytes:
        known = self._known.get(id(document))
        if known is None:
            known = self._known[id(document)] = (text_key(text_of(document)), document)
        return known[0]

    def without(self, one: Example, keys: set[bytes]) -> Example:
        """The example without the negatives that have one of these keys, and their scores."""
        kept = [at for at, each in enumerate(one.negatives) if self.of(each) not in keys]
        if len(kept) == len(one.negatives):
            return one
        scores = (one.scores[0], *(one.scores[at + 1] for at in kept)) if one.scores else ()
        return one._replace(negatives=tuple(one.negatives[at] for at in kept), scores=scores)


def text_key(text: str) -> bytes:
    """A hash that texts share which differ in case, accents, white space and hyphens only; of a
    text of nothing else it is empty."""
    # The bytes of `equal_key`, many times as fast.
    if not text.isascii():
        text = "".join(_NOT_ASCII.sub(lambda found: fold(found[0]), text).split())
    data = text.encode("utf-8", "surrogatepass").lower().translate(None, _SEPARATORS)
    return hashlib.blake2b(data, digest_size=16).digest() if data else b""


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
    `positive`, and, if there, `negative` (several as `negative_1` ... or a list), `score` and
    `weight`.

    Columns have the names that sentence-transformers uses too (anchor, sentence1, label). A score
    of 0 or less makes the document a negative of its query; a list of scores is a teacher's, of the
    positive and then of each negative. Raises CorpusError: it cannot be read, or a record is
    malformed; its place is named."""
    from bioretrieval_tui.evaluation.topics import named_records

    by_query: dict[bytes, list[Example]] = {}
    wrong: dict[bytes, list[Document]] = {}
    for place, record in named_records(path, _PAIRS):
        try:
            example, score = _pair(str(place), record)
        except RecordFault as fault:
            raise CorpusError(f"{place}: {fault.reason}", remedy=fault.remedy or _PAIRS) from fault
        key = text_key(example.query)
        if score is not None and score <= 0:
            wrong.setdefault(key, []).append(example.positive)
        else:
            by_query.setdefault(key, []).append(example)
    skipped: Counter[str] = Counter()
    skipped["queries with negatives only"] = len(wrong.keys() - by_query.keys())
    examples = (
        one if one.scores else one._replace(negatives=(*one.negatives, *wrong.get(key, ())))
        for key, group in by_query.items()
        for one in group
    )
    return checked(f"pairs of {path.name}", examples, sums_of([path]), +skipped)


def _pair(place: str, record: Mapping[str, Any]) -> tuple[Example, float | None]:
    """A record as an example, and its score. Raises RecordFault."""
    query, positive = _first(record, _QUERY), _first(record, _POSITIVE)
    for name, given in (("query", query), ("positive", positive)):
        if given is None:
            raise RecordFault(f"no column {name} among {', '.join(record) or 'none'}")
    if not isinstance(query, str):
        raise RecordFault(f"its query is no text: {query!r:.60}")
    negatives: list[Document] = []
    for name, value in record.items():
        if name.rstrip("0123456789") in _NEGATIVES and value is not None:
            many = value if isinstance(value, list) else [value]
            negatives += [_document(f"{place}#{name}{at}", one) for at, one in enumerate(many)]
    documents = positive if isinstance(positive, list) else [positive]
    if len(documents) != 1:
        raise RecordFault(f"{len(documents)} positives", "write a record for each")
    weight = _number(record, _WEIGHT)
    if weight is not None and weight <= 0:
        raise RecordFault(f"its weight is not above 0: {weight:g}")
    document = _document(f"{place}#+", documents[0])
    example = Example(place, sound(query), document, tuple(negatives), weight or 1.0)
    scores = _first(record, _SCORE)
    if not isinstance(scores, list) or not (negatives or len(scores) > 1):
        return example, _number(record, _SCORE)
    if len(scores) != 1 + len(negatives):
        remedy = "give one of the positive and one of each negative, in their order"
        raise RecordFault(f"{len(scores)} scores for {1 + len(negatives)} documents", remedy)
    taught = tuple(_number({"score": one}, _SCORE) or 0.0 for one in scores)
    return example._replace(scores=taught), None


def _first(record: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first value of these columns; "" where they are empty, None without such a column."""
    here = [record[name] for name in names if name in record]
    return next((value for value in here if value is not None), "" if here else None)


def _number(record: Mapping[str, Any], names: Sequence[str]) -> float | None:
    """The number in one of these columns, None without. Raises RecordFault: it is none."""
    given = _first(record, names)
    if given is None or given == "":
        return None
    try:
        number = float(given)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise RecordFault(f"its {names[0]} is no number: {given!r:.40}")
    return number


def _document(identifier: str, given: Any) -> Document:
    if isinstance(given, Mapping):
        title, text = (text_field(dict(given), name) for name in ("title", "text"))
        named = given.get("_id", given.get("id"))
        return Document(identifier if named is None else str(named), sound(title), sound(text))
    if not isinstance(given, str):
        raise RecordFault(f"a document is no text: {given!r:.60}")
    return Document(identifier, "", sound(given))


# Pairs that texts hold ------------------------------------------------------------------------


def title_pairs(documents: Iterable[Document], what: str, inputs: Sequence[InputSum]) -> ExampleSet:
    """Each title as the query of its text, which is shown without the title."""
    skipped: Counter[str] = Counter()

    def pairs() -> Iterator[Example]:
        for one in documents:
            if long_enough(one.title) and long_enough(one.text):
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
            spans = [span for span in sentence_spans(text) if long_enough(text[slice(*span)])]
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
            conclusion, rest = _concluded(one.text)
            if long_enough(conclusion) and long_enough(rest):
                document = Document(one.id, one.title, rest, one.metadata)
                yield Example(one.id, conclusion, document)
            else:
                skipped["without a conclusion under a heading"] += 1

    found = list(pairs())
    return checked(f"conclusions and the rest of each abstract of {what}", found, inputs, skipped)


def _concluded(text: str) -> tuple[str, str]:
    """The text under the last heading of a conclusion, and what is before and after it; empty
    without."""
    conclusion = rest = ""
    for found in _CONCLUSION.finditer(text):
        before = text[: found.start()].rstrip().removesuffix("[").rstrip()
        between = text[len(before) : found.start()]
        if not before or "\n" in between or (between and before[-1] in ".!?"):
            after = _NEXT_HEADING.search(text, found.end())
            end = after.start() if after else len(text)
            conclusion = text[found.end() : end].strip()
            rest = f"{before}\n{text[end:].strip()}".strip()
    return conclusion, rest


def long_enough(text: str) -> bool:
    """Whether a text has `LEAST_WORDS` words."""
    return len(text.split(maxsplit=LEAST_WORDS)) >= LEAST_WORDS


def held_out(
    examples: Sequence[Example], share: float, seed: int, most: int = 1_000
) -> tuple[list[Example], list[Example]]:
    """Examples to train on, and a share of them (at most `most`, at least 1 where there are ten;
    none for a share of 0) to watch. All pairs of a query are on one side, and no text is on both:
    pairs of other queries that share one with those to watch are left out, and so are such
    negatives."""
    if not share:
        return list(examples), []
    keys = _Keys()
    pairs = [(text_key(one.query), keys.of(one.positive), one) for one in examples]
    queries = list(dict.fromkeys(query for query, _, _ in pairs))
    wanted = min(most, int(len(queries) * share) or int(len(queries) >= 10))
    random.Random(seed).shuffle(queries)  # noqa: S311 - no secret
    chosen = set(queries[:wanted])
    watched = {key for query, positive, _ in pairs if query in chosen for key in (query, positive)}
    trained = [one for *pair, one in pairs if watched.isdisjoint(pair)]
    if not trained:
        return list(examples), []
    trained = [keys.without(one, watched) for one in trained]
    seen = {key for *pair, _ in pairs if watched.isdisjoint(pair) for key in pair}
    seen.update(keys.of(each) for one in trained for each in one.negatives)
    return trained, [keys.without(one, seen) for query, _, one in pairs if query in chosen]
