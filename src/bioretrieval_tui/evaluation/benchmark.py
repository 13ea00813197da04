"""A benchmark ready to be run: the judged queries of one split, their judgements, and what stands
in its files that has no part in the figures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bioretrieval_tui.documents.checksum import remembered_sha256
from bioretrieval_tui.documents.source import reading_fault
from bioretrieval_tui.errors import CorpusError
from bioretrieval_tui.evaluation.layout import DEFAULT_SPLIT, Parts, find_parts
from bioretrieval_tui.evaluation.reading import Judgements, Queries, read_judgements, read_queries


@dataclass(frozen=True, slots=True)
class Counts:
    """What a reader of the figures should know about the files.

    unjudged: queries without a judgement in this split, which are not run; unknown: judged
    queries that queries.jsonl does not have, which cannot be run; without_relevant: judged
    queries with no document of grade 1 or more, which score 0 everywhere; zeros: judgements of
    grade 0 or less; graded: of grade 2 or more; repeated: lines that judge a pair again, the last
    of which counts; contradicting: those of them with another grade; repeated_queries: lines of
    queries.jsonl that stand there again.
    """

    unjudged: int = 0
    unknown: int = 0
    without_relevant: int = 0
    zeros: int = 0
    graded: int = 0
    repeated: int = 0
    contradicting: int = 0
    repeated_queries: int = 0


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One split of a BEIR folder.

    queries: text by id, in the order of queries.jsonl, only those with judgements; judgements:
    grade by query id and document id, of just these queries; corpus_sha256: of the corpus file as
    it is stored; sha256: of corpus, queries and judgements together.
    """

    parts: Parts
    queries: Mapping[str, str]
    judgements: Mapping[str, Mapping[str, int]]
    counts: Counts
    corpus_sha256: str
    sha256: str

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

    def remarks(self) -> list[str]:
        """What should be said beside the figures, a line each; empty for a plain benchmark."""
        said = []
        counts = self.counts
        if self.split != DEFAULT_SPLIT and len(self.parts.splits) == 1:
            said.append(f"there is no split {DEFAULT_SPLIT}; {self.split} is the only one")
        if counts.unjudged:
            said.append(
                f"{_queries(counts.unjudged)} without a judgement in the split {self.split}:"
                " not run"
            )
        if counts.unknown:
            said.append(f"{_queries(counts.unknown)} judged but not in queries.jsonl: left out")
        if counts.without_relevant:
            said.append(
                f"{_queries(counts.without_relevant)} without a relevant document: scored 0,"
                " as trec_eval does"
            )
        if counts.repeated:
            other = f", {counts.contradicting:,} of them with another grade"
            said.append(
                f"{counts.repeated:,} judgements are given again"
                f"{other if counts.contradicting else ''}: the last one counts"
            )
        if counts.graded or counts.zeros:
            said.append(
                f"judgements: {counts.graded:,} of grade 2 or more, {counts.zeros:,} of grade 0"
                " or less"
            )
        if counts.repeated_queries:
            said.append(f"{counts.repeated_queries:,} lines of queries.jsonl are given again")
        return said


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
        counts=_counted(queries, judged, grades),
        corpus_sha256=corpus,
        sha256=hashlib.sha256(whole.encode()).hexdigest(),
    )


def _counted(
    queries: Queries, judged: Judgements, grades: Mapping[str, Mapping[str, int]]
) -> Counts:
    every = [grade for graded in grades.values() for grade in graded.values()]
    return Counts(
        unjudged=len(queries.texts) - len(grades),
        unknown=len(judged.grades) - len(grades),
        without_relevant=sum(max(graded.values()) < 1 for graded in grades.values()),
        zeros=sum(grade < 1 for grade in every),
        graded=sum(grade > 1 for grade in every),
        repeated=judged.repeated,
        contradicting=judged.contradicting,
        repeated_queries=queries.repeated,
    )


def _queries(count: int) -> str:
    return "1 query is" if count == 1 else f"{count:,} queries are"


def _sha256(path: Path) -> str:
    try:
        return remembered_sha256(path)
    except OSError as error:
        raise reading_fault(str(path), error) from error
