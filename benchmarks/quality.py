"""How well each mode searches: nDCG@10 on real collections, what every step of hybrid adds, and
how often a word that few documents hold puts one of them first.

    python -m benchmarks.quality [--home FOLDER] [--keep]

Collections are read from ../shared/data and left out where they are not there. Their indexes are
built with the embedded model, in `--home`, where they are found again by the next run. Parameters
are tuned on the collections marked so; among settings that are about equal there, those were taken
that do best on the others. A train set is asked at most 1,000 queries, drawn once.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.measuring import Report
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.errors import NotFoundError
from bioretrieval_tui.index.analysis import spans, tokens
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.text_index import TextIndex, weighted_terms
from bioretrieval_tui.index.vectors import VectorStore
from bioretrieval_tui.search import hybrid
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.hybrid import Candidates, Floats, gather
from bioretrieval_tui.search.types import Query

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
JUDGED = 1_000
KNOWN = 200
"""Known-item queries of a collection."""
RARE = 3
"""Documents that hold the word of a known-item query, at most."""
COMMON = 40
"""Most frequent words of a collection that two are drawn from, to stand beside the rare one."""
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9-]{3,}")


@dataclass(frozen=True, slots=True)
class Collection:
    """A benchmark folder, the splits that are asked, whether parameters were tuned on it, and the
    bar for hybrid."""

    folder: str
    splits: tuple[str, ...]
    tuned: bool
    bar: str = ""

    @property
    def title(self) -> str:
        """Folder and splits."""
        return f"{self.folder} {'+'.join(self.splits)}{' (tuned on)' if self.tuned else ''}"


COLLECTIONS = (
    Collection("scifact", ("train",), True),
    Collection("pubmedqa-pqal", ("all",), True),
    Collection("evidence-inference", ("dev", "train"), True),
    Collection("scifact", ("test",), False, "0.745"),
    Collection("med-1033", ("test",), False, "0.80"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A query: its text, vector, judged labels with grades, and the candidates of both halves."""

    text: str
    vector: Floats
    grades: Mapping[int, int]
    found: Candidates
    by_graph: Sequence[int]


Ranking = Callable[[SearchEngine, Asked], Sequence[int]]


def plain(labels: npt.NDArray[np.int64]) -> list[int]:
    """Labels as numbers of Python's own."""
    return [int(label) for label in labels]


def dense(_: SearchEngine, asked: Asked) -> Sequence[int]:
    """Meaning alone."""
    return plain(asked.found.dense_list.labels)


def graph(_: SearchEngine, asked: Asked) -> Sequence[int]:
    """Meaning alone, by the graph even where an index is small enough to compare everything."""
    return asked.by_graph


def lexical(_: SearchEngine, asked: Asked) -> Sequence[int]:
    """Words alone."""
    return plain(asked.found.lexical_list.labels)


def reciprocal(_: SearchEngine, asked: Asked) -> Sequence[int]:
    """Reciprocal rank fusion, k = 60 (Cormack 2009)."""
    scores: defaultdict[int, float] = defaultdict(float)
    for half in (asked.found.dense_list, asked.found.lexical_list):
        for label, rank in half.ranks().items():
            scores[label] += 1 / (60 + rank)
    return sorted(scores, key=lambda label: (-scores[label], label))


def added(_: SearchEngine, asked: Asked) -> Sequence[int]:
    """Standardised scores, added; no feedback."""
    found = asked.found
    scores = hybrid.standardised(found.dense, found.dense_list.scores)
    reference = hybrid.padded(found.lexical_list.scores, hybrid.DEPTH)
    scores += hybrid.standardised(found.lexical, reference)
    return plain(found.labels[hybrid.by_score(found.labels, scores)])


def default(engine: SearchEngine, asked: Asked) -> Sequence[int]:
    """The default."""
    terms = weighted_terms(asked.text)
    found, scores = hybrid.hybrid_scores(engine.index, asked.found, asked.vector, terms, None)
    return plain(found.labels[hybrid.by_score(found.labels, scores)])


RANKINGS: dict[str, Ranking] = {
    "dense": dense,
    "dense by graph": graph,
    "lexical": lexical,
    "reciprocal ranks": reciprocal,
    "scores added": added,
    "hybrid (default)": default,
}


def lines(path: Path) -> list[dict[str, str]]:
    """The objects of a JSONL file."""
    with path.open("rb") as rows:
        return [msgspec.json.decode(row) for row in rows]


def judgements(collection: Collection) -> list[tuple[str, dict[str, int]]]:
    """Text and grades of each query with a relevant document; of many, some drawn once."""
    grades: defaultdict[str, dict[str, int]] = defaultdict(dict)
    folder = DATA / collection.folder
    for split in collection.splits:
        for row in (folder / "qrels" / f"{split}.tsv").read_text().splitlines()[1:]:
            query, document, grade = row.split("\t")
            grades[query][document] = int(grade)
    texts = {row["_id"]: row["text"] for row in lines(folder / "queries.jsonl")}
    found = [(texts[query], of) for query, of in grades.items() if max(of.values()) > 0]
    if collection.tuned and len(found) > JUDGED:
        found = random.Random(1).sample(found, JUDGED)
    return found


def ndcg(labels: Sequence[int], grades: Mapping[int, int]) -> float:
    """nDCG@10 with linear gain, as trec_eval computes it."""
    gains = [max(0, grades.get(label, 0)) for label in labels[:10]]
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:10]
    dcg, best = (
        sum(gain / math.log2(place + 2) for place, gain in enumerate(row)) for row in (gains, ideal)
    )
    return dcg / best


def opened(folder: str) -> SearchEngine:
    """The index over a collection, built if it is not there."""
    try:
        return SearchEngine.open(folder, device="cpu")
    except NotFoundError:
        corpus = DATA / folder / "corpus.jsonl"
        build_index(folder, [corpus], lambda: load_encoder(device="cpu"))
        return SearchEngine.open(folder, device="cpu")


def ask(engine: SearchEngine, judged: Sequence[tuple[str, dict[str, int]]]) -> list[Asked]:
    """Encode every query and gather its candidates, once for all rankings."""
    asked = []
    walked = VectorStore(engine.index.manifest, engine.index.folder, exact_below=0)
    for text, of in judged:
        vector = engine.load().encode_queries([text])[0]
        labels = engine.index.documents.labels(of)
        # What is judged and not in the corpus still counts in the ideal ranking.
        grades = {
            labels.get(one, -1 - place): grade for place, (one, grade) in enumerate(of.items())
        }
        found = gather(engine.index, vector, weighted_terms(text), hybrid.DEPTH)
        by_graph = plain(walked.search(vector, hybrid.DEPTH)[0])  # as deep as the engine asks
        asked.append(Asked(text, vector, grades, found, by_graph))
    return asked


@dataclass(frozen=True, slots=True)
class KnownItem:
    """A word of one to `RARE` documents: alone, with two common words around it, and the labels
    of its documents."""

    word: str
    phrase: str
    labels: frozenset[int]


def known_items(engine: SearchEngine) -> list[KnownItem]:
    """Words of few documents, each from another document, drawn once."""
    draw = random.Random(1)
    index = engine.index
    labels = draw.sample(range(index.manifest.rows), min(1_000, index.manifest.rows))
    documents = index.documents.get(labels)
    frequency: Counter[str] = Counter()
    typed: dict[str, str] = {}
    for document in documents:
        held = {term: document.text[start:end] for term, start, end in spans(document.text)}
        frequency.update(held.keys())
        typed.update(held)
    frequent = [typed[term] for term, _ in frequency.most_common(2 * COMMON)]
    common = [word for word in frequent if _WORD.fullmatch(word)][:COMMON]
    items: list[KnownItem] = []
    for document in documents[: 4 * KNOWN]:
        rare = [
            (word, term)
            for term, start, end in spans(document.text)
            if _WORD.fullmatch(word := document.text[start:end])
            and tokens(word) == [term]
            and 0 < index.lexical.document_frequency(term) <= RARE
        ]
        if rare and len(items) < KNOWN:
            word, term = draw.choice(rare)
            phrase = [word, *draw.sample(common, 2)]
            draw.shuffle(phrase)
            assert isinstance(index.lexical, TextIndex)
            held_by = frozenset(plain(index.lexical.labels_with(term)))
            items.append(KnownItem(word, " ".join(phrase), held_by))
    return items


def share_first(engine: SearchEngine, items: Sequence[KnownItem], mode: str, *, alone: bool) -> str:
    """How often a document with the rare word comes first."""
    index = engine.index
    first = 0
    for item in items:
        found = engine.rank(Query(text=item.word if alone else item.phrase, k=1, mode=mode))
        label = index.documents.labels([found[0][0]])[found[0][0]] if found else -1
        first += label in item.labels
    return f"{first / len(items):.3f}"


def main() -> None:
    """Ask every collection in every way, and say what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    report = Report("Search quality")
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["BIORETRIEVAL_HOME"] = str(given.home or scratch)
        report.say("nDCG@10 of the embedded model's index, all-MiniLM-L6-v2, and of our BM25.")
        report.say()
        rows = []
        known = []
        seen: set[str] = set()
        for collection in COLLECTIONS:
            if not (DATA / collection.folder).is_dir():
                continue
            engine = opened(collection.folder)
            asked = ask(engine, judgements(collection))
            figures = [
                float(np.mean([ndcg(rank(engine, one), one.grades) for one in asked]))
                for rank in RANKINGS.values()
            ]
            if collection.folder not in seen:
                seen.add(collection.folder)
                items = known_items(engine)
                shares = [
                    share_first(engine, items, mode, alone=alone)
                    for alone in (True, False)
                    for mode in ("dense", "lexical", "hybrid")
                ]
                known.append([collection.folder, str(len(items)), *shares])
                print(*known[-1], sep="  ", file=sys.stderr, flush=True)
            engine.close()
            row = [collection.title, str(len(asked)), *(f"{value:.4f}" for value in figures)]
            rows.append([*row, collection.bar])
            print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
        report.table(["collection", "queries", *RANKINGS, "bar"], rows)
        report.say()
        report.say(
            f"Known items: how often one of the documents with a word of at most {RARE} documents"
            " comes first, the word alone and with two of the collection's"
            f" {COMMON} most frequent words."
        )
        report.say()
        header = [
            f"{mode}, {kind}"
            for kind in ("alone", "with two")
            for mode in ("dense", "lexical", "hybrid")
        ]
        report.table(["collection", "queries", *header], known)
    report.keep("quality")


if __name__ == "__main__":
    main()
