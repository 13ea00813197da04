"""Scores, order, filters and explanations against BM25 written out in the plainest way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lexical_building import SUBJECTS, VERBS, documents, opened, reference

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.index.lexical import ranking
from bioretrieval_tui.index.lexical.analysis import tokens
from bioretrieval_tui.index.lexical.bm25 import LexicalIndex, Parameters

SETTINGS = [
    {},
    {"k1": 0.9, "b": 0.4, "title_weight": 1.0},
    {"k1": 0.0},
    {"k1": 2.0, "b": 1.0, "title_weight": 0.5},
    {"b": 0.0, "title_weight": 3.0},
]
QUERIES = [
    "aspirin",
    "IL6 fever",
    "TNF\u03b1 lowers mortality",
    "p53 p53 p53 infants",
    "placebo diabetes aspirin statin fever raises lowers predicts",
    "unheardof aspirin",
    "the of",
]


def asked(query: str) -> list[tuple[str, float]]:
    return [(term, 1.0) for term in tokens(query)]


def check(found: tuple[np.ndarray, np.ndarray], expected: dict[int, float], k: int) -> None:
    """`found` is right and best first. Near-equal sums may stand either way."""
    labels, scores = found
    assert labels.dtype == np.int64
    assert scores.dtype == np.float32
    assert len(labels) == min(k, len(expected))
    due = sorted(expected.values(), reverse=True)[:k]
    np.testing.assert_allclose(scores, due, rtol=1e-5)
    np.testing.assert_allclose(scores, [expected[int(label)] for label in labels], rtol=1e-5)
    assert len(set(labels.tolist())) == len(labels)
    pairs = list(zip((-scores).tolist(), labels.tolist(), strict=True))
    assert pairs == sorted(pairs)


@pytest.mark.parametrize("setting", SETTINGS)
def test_scores_are_those_of_the_formula(tmp_path: Path, setting: dict[str, float]) -> None:
    given_documents = documents(400)
    index = opened(tmp_path, given_documents, **setting)
    for query in QUERIES:
        expected = reference(dict(enumerate(given_documents)), asked(query), Parameters(**setting))
        for k in (1, 10, 1_000):
            check(index.search(query, k), expected, k)
        everyone = np.arange(400)
        scores = index.scores_of(query, everyone)
        due = [expected.get(label, 0.0) for label in range(400)]
        np.testing.assert_allclose(scores, due, rtol=1e-5)


@pytest.fixture(scope="module")
def corpus() -> list[Document]:
    return documents(3_000, seed=4)


@pytest.fixture(scope="module")
def index(corpus: list[Document], tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    return opened(tmp_path_factory.mktemp("lexical"), corpus)


WORDS = st.lists(st.sampled_from([*SUBJECTS, *VERBS]), min_size=1, max_size=8)


@settings(deadline=None, max_examples=40)
@given(WORDS, st.integers(1, 60), st.integers(0, 10**6), st.sampled_from([0.0, 0.003, 0.3, 1.0]))
def test_filters_give_the_answer_of_the_whole_without_the_rest(
    corpus: list[Document], index: LexicalIndex, words: list[str], k: int, seed: int, share: float
) -> None:
    chance = np.random.default_rng(seed)
    allowed = np.flatnonzero(chance.random(len(corpus)) < share)
    chance.shuffle(allowed)
    query = " ".join(words)
    labels, scores = index.search(query, len(corpus))
    kept = np.isin(labels, allowed)
    found = index.search(query, k, np.concatenate([allowed, allowed[:3], [-1, 10**9]]))
    assert found[0].tolist() == labels[kept][:k].tolist()
    assert found[1].tolist() == scores[kept][:k].tolist()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(SUBJECTS), st.floats(0.01, 20)), min_size=1, max_size=8),
       st.integers(1, 40))  # fmt: skip
def test_stopping_early_changes_nothing(
    corpus: list[Document], index: LexicalIndex, weighted: list[tuple[str, float]], k: int
) -> None:
    terms = [(tokens(word)[0], weight) for word, weight in weighted]
    labels, scores = index.search_weighted(terms, k)
    everything = index.search_weighted(terms, len(corpus))
    assert labels.tolist() == everything[0][:k].tolist()
    assert scores.tolist() == everything[1][:k].tolist()


def test_early_stopping_is_really_taken(
    index: LexicalIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above would hold without any stopping: here it is seen to happen."""
    opened_lists = []
    original = ranking._accumulate

    def seen(postings, *rest):  # type: ignore[no-untyped-def]
        scores, count = original(postings, *rest)
        opened_lists.append((count, len(postings)))
        return scores, count

    monkeypatch.setattr(ranking, "_accumulate", seen)
    weighted = [("aspirin", 20.0), ("fever", 0.5), ("infant", 0.25)]
    index.search_weighted(weighted, 5)
    assert opened_lists[0][0] < opened_lists[0][1]


def test_weights(corpus: list[Document], index: LexicalIndex) -> None:
    given_documents = dict(enumerate(corpus))
    weighted = [("aspirin", 0.3), ("fever", 2.5), ("p53", 1.0), ("fever", 0.5)]
    expected = reference(given_documents, weighted, Parameters())
    check(index.search_weighted(weighted, 50), expected, 50)
    nothing = index.search_weighted([("aspirin", 0.0), ("fever", -1.0), ("p53", float("nan"))], 9)
    assert nothing[0].tolist() == []


def test_repeated_words_count(index: LexicalIndex) -> None:
    one = index.scores_of("aspirin", np.arange(50))
    two = index.scores_of("aspirin aspirin", np.arange(50))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-6)
    assert one.max() > 0


@pytest.mark.parametrize("query", ["", " ", "the of and", "\x00\x1b[0m", "p < 0.05", "zzzz"])
def test_nothing_asked_nothing_found(index: LexicalIndex, query: str) -> None:
    labels, scores = index.search(query, 10)
    assert (labels.dtype, scores.dtype) == (np.int64, np.float32)
    assert len(labels) == len(scores) == 0
    assert index.scores_of(query, np.array([1, 2])).tolist() == [0.0, 0.0]
    assert index.explain(query, 1) == []


def test_no_results_wanted(index: LexicalIndex) -> None:
    assert len(index.search("aspirin", 0)[0]) == 0
    assert len(index.search("aspirin", 5, np.zeros(0, np.int64))[0]) == 0


def test_a_query_without_end(index: LexicalIndex) -> None:
    short = index.search("aspirin fever", 10)
    long = index.search("aspirin fever " + " ".join(f"nowhere{n}" for n in range(10_000)), 10)
    assert long[0].tolist() == short[0].tolist()
    assert len(index.search("aspirin " * 10_000, 10)[0]) == 10
    assert len(index.search("x" * 5_000_000, 10)[0]) == 0


def test_a_query_of_many_words_keeps_the_most_telling(tmp_path: Path) -> None:
    words = [f"word{n}" for n in range(600)]
    common = [Document(str(n), "", " ".join(words[:400])) for n in range(20)]
    index = opened(tmp_path, [*common, Document("rare", "", " ".join(words[400:]))])
    labels, _ = index.search(" ".join(words), 3)
    assert labels[0] == 20


def test_scores_of_labels_that_are_not_there(index: LexicalIndex, corpus: list[Document]) -> None:
    first = int(index.search("aspirin", 1)[0][0])
    scores = index.scores_of("aspirin", np.array([-1, first, len(corpus), 10**12, -(2**40)]))
    assert scores[1] > 0
    assert scores[[0, 2, 3, 4]].tolist() == [0, 0, 0, 0]


def test_explanation(index: LexicalIndex) -> None:
    query = "Aspirins for FEVER, TNF\u03b1 and zzz"
    label = int(index.search(query, 1)[0][0])
    told = index.explain(query, label)
    assert {word for word, _ in told} <= {"Aspirins", "FEVER", "TNF\u03b1"}
    assert sum(share for _, share in told) == pytest.approx(1)
    shares = [share for _, share in told]
    assert shares == sorted(shares, reverse=True)
    whole = float(index.scores_of(query, np.array([label]))[0])
    for word, share in told:
        alone = float(index.scores_of(word, np.array([label]))[0])
        assert share * whole == pytest.approx(alone, rel=1e-4)
    assert index.explain(query, 10**9) == []


def test_document_frequency(index: LexicalIndex, corpus: list[Document]) -> None:
    for term in ("aspirin", "il6", "fever", "zzz"):
        held = sum(term in tokens(f"{document.title}\n{document.text}") for document in corpus)
        assert index.document_frequency(term) == held


def test_ties_go_by_label(tmp_path: Path) -> None:
    same = [Document(str(number), "aspirin", "fever") for number in range(3_000)]
    index = opened(tmp_path, same)
    assert index.search("aspirin fever", 7)[0].tolist() == list(range(7))
    backwards = np.array([5, 2_900, 17])
    assert index.search("aspirin", 2, backwards)[0].tolist() == [5, 17]


def test_often_repeated_words_saturate(tmp_path: Path) -> None:
    given_documents = [
        Document("a", "x1 " * 300, "aspirin " * 70_000),
        Document("b", "", "aspirin"),
    ]
    index = opened(tmp_path, given_documents)
    expected = reference(dict(enumerate(given_documents)), [("aspirin", 1.0)], Parameters())
    check(index.search("aspirin", 10), expected, 10)
    assert index.facts.text_length == 35_000.5


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_anything_indexed(tmp_path: Path, count: int) -> None:
    index = opened(tmp_path, [Document("a", "", "")] * count)
    assert len(index.search("aspirin", 5)[0]) == 0
    assert index.scores_of("aspirin", np.array([0, 1])).tolist() == [0, 0]
    assert index.facts.documents == count
    assert index.facts.terms == 0


@pytest.mark.parametrize(
    "setting",
    [{"k1": -1}, {"b": 1.1}, {"title_weight": -1}, {"k1": float("nan")}, {"k1": float("inf")}],
)
def test_senseless_parameters(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="cannot weigh"):
        Parameters(**setting)


def test_threads_get_the_answers_of_one(tmp_path: Path, corpus: list[Document]) -> None:
    queries = [f"{one} {two} {three}" for one in SUBJECTS for two in VERBS for three in SUBJECTS]
    alone = opened(tmp_path / "one", corpus)
    expected = [alone.search(query, 10) for query in queries]
    fresh = opened(tmp_path / "two", corpus)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda query: fresh.search(query, 10), queries))
    for due, found in zip(expected, together, strict=True):
        assert due[0].tolist() == found[0].tolist()
        assert due[1].tolist() == found[1].tolist()
