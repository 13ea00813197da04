"""Hybrid search: both halves count, feedback moves the query, and no half is the worse for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from tests.index.hashing_encoder import HashingEncoder

from bioretrieval_tui.catalog.models import Encoding, Side
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.encoder import EXTRA, extended_documents, extended_queries
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.registry import OpenIndex, open_index
from bioretrieval_tui.index.text_index import weighted_terms
from bioretrieval_tui.search import hybrid
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.hybrid import (
    by_score,
    gather,
    hybrid_scores,
    main_term_share,
    padded,
    points,
    query_at,
    query_like,
    query_point,
    standardised,
)
from bioretrieval_tui.search.types import Query

WORDS = "asthma lung steroid airway wheeze child heart statin lipid artery gene p53".split()
QUERY = "asthma steroid child"


class Squared(HashingEncoder):
    """The same space, asked by distance."""

    recipe = Encoding(
        type="bi-encoder", grade="A", pooling="cls", normalise=False, similarity="l2",
        query=Side(template="{text}"), document=Side(template="{title} {text}"),
    )  # fmt: skip
    recipe_hash = recipe_hash(recipe)
    similarity = "l2"
    normalised = False
    model_id = "test/squared"

    def __init__(self) -> None:
        super().__init__(13)
        self.dimension = 13 + EXTRA

    def encode_queries(self, texts, *, instruction=None):  # type: ignore[no-untyped-def]
        return extended_queries(_plain(texts))

    def encode_documents(self, documents, progress=lambda _: None, longer=None):  # type: ignore[no-untyped-def]
        return extended_documents(_plain([f"{d.title} {d.text}" for d in documents]))


def _plain(texts: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return HashingEncoder(13).encode_queries(texts)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """200 documents of six words each."""
    rng = np.random.default_rng(3)
    path = tmp_path / "corpus.jsonl"
    rows = []
    for number in range(200):
        text = " ".join(rng.choice(WORDS, 6))
        rows.append(f'{{"_id": "d{number}", "title": "n{number}", "text": "{text}"}}\n')
    path.write_text("".join(rows))
    return path


@pytest.fixture
def index(corpus: Path) -> OpenIndex:
    build_index("demo", [corpus], HashingEncoder)
    return open_index("demo")


def test_standard_scores() -> None:
    scores = standardised(np.array([1, 2, 3], np.float32), np.array([0, 2, 4], np.float32))
    assert scores.mean() == pytest.approx(0)
    assert scores[1] == 0
    for reference in ([], [2], [2, 2]):
        given = np.array(reference, np.float32)
        assert standardised(np.array([1, 2], np.float32), given).tolist() == [0, 0]


def test_documents_that_bm25_does_not_find_count_as_zero() -> None:
    one = padded(np.array([5], np.float32), 100)
    assert (len(one), one.max(), np.count_nonzero(one)) == (100, 5, 1)
    assert standardised(np.array([5, 0], np.float32), one) == pytest.approx([9.95, -0.1], abs=0.01)
    few = padded(np.array([5, 5, 5], np.float32), 100)
    assert standardised(np.array([5, 0], np.float32), few)[0] > 5
    many = np.array([3, 2, 1], np.float32)
    assert padded(many, 3).tolist() == [3, 2, 1]
    # Where all that are looked at score alike, the word still counts.
    same = padded(np.full(100, 2, np.float32), 100)
    assert standardised(np.array([2, 0], np.float32), same).tolist() == [1, -1]
    for count in (0, 100):
        assert not padded(np.zeros(0, np.float32), count).any()


def _found(tmp_path: Path, texts: Mapping[str, str], query: str) -> list[str]:
    path = tmp_path / "corpus.jsonl"
    rows = [json.dumps({"_id": name, "text": text}) + "\n" for name, text in texts.items()]
    path.write_text("".join(rows))
    build_index("made", [path], HashingEncoder)
    engine = SearchEngine(open_index("made"), HashingEncoder())
    return [hit.id for hit in engine.search(Query(text=query, k=200)).hits]


LONG = "the ponds were visited every week and the water level was written down "


@pytest.mark.parametrize("others", [3, 20, 300])
def test_the_only_document_with_the_word_comes_first(tmp_path: Path, others: int) -> None:
    texts = {f"s{n}": f"Rain fell on day {n} as the registration number" for n in range(others)}
    texts["target"] = 20 * LONG + "and registered as NCT09990001"
    assert _found(tmp_path, texts, "NCT09990001")[0] == "target"
    assert _found(tmp_path, texts, "unheard NCT09990001")[0] == "target"


@pytest.mark.parametrize("holders", [2, 3, 8])
def test_a_few_documents_of_equal_scores_come_first(tmp_path: Path, holders: int) -> None:
    texts = {f"s{n}": f"Rain fell on day {n} as the registration number" for n in range(150)}
    # Each said in the same words, so that BM25 scores them alike; apart from them in meaning.
    texts |= {f"target{n}": f"{LONG} zileuton site{n}" for n in range(holders)}
    found = _found(tmp_path, texts, "zileuton")
    assert {*found[:holders]} == {f"target{n}" for n in range(holders)}


def test_a_rare_word_beside_common_ones(tmp_path: Path) -> None:
    texts = {f"s{n}": f"registration number of day {n % 7}" for n in range(150)}
    texts["target"] = LONG + "zileuton"
    assert _found(tmp_path, texts, "registration zileuton number")[0] == "target"


def test_one_word_that_outweighs_the_others_is_what_the_query_asks_for(tmp_path: Path) -> None:
    texts = {f"s{n}": f"cells and time of day {n % 7}" for n in range(60)}
    texts["target"] = LONG + "tannate"
    assert _found(tmp_path, texts, "cells tannate time")[0] == "target"
    index = open_index("made")
    assert main_term_share(index, weighted_terms("cells tannate time")) > 0.8
    assert main_term_share(index, weighted_terms("unheard tannate")) == 1
    assert main_term_share(index, weighted_terms("cells time")) == pytest.approx(0.5)
    assert main_term_share(index, weighted_terms("unheard")) == 0


def test_a_query_without_a_lexical_hit_is_ranked_by_the_vectors(tmp_path: Path) -> None:
    texts = {"a": "asthma of the child", "b": "statins and lipids"}
    assert _found(tmp_path, texts, "unheard")
    assert _found(tmp_path, texts, "of the")


def test_ties_go_by_label() -> None:
    labels = np.array([3, 5, 9], np.int64)
    assert by_score(labels, np.array([1, 2, 2], np.float32)).tolist() == [1, 2, 0]


def test_documents_of_one_retriever_are_scored_by_the_other_too(index: OpenIndex) -> None:
    vector = HashingEncoder().encode_queries([QUERY])[0]
    found = gather(index, vector, weighted_terms(QUERY), 5)
    assert len(found.labels) > 5
    exact = index.vectors.similarities(vector, found.labels)
    assert found.dense == pytest.approx(exact)
    assert found.lexical == pytest.approx(index.lexical.scores_of(QUERY, found.labels))
    assert set(found.dense_list.labels) | set(found.lexical_list.labels) == set(found.labels)


def test_the_query_moves_towards_the_top_documents(
    index: OpenIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    vector = HashingEncoder().encode_queries([QUERY])[0]
    terms = weighted_terms(QUERY)
    found = gather(index, vector, terms, hybrid.DEPTH)
    _, moved = hybrid_scores(index, found, vector, terms, None)
    monkeypatch.setattr(hybrid, "_TOWARDS", 0.0)
    more, still = hybrid_scores(index, found, vector, terms, None)
    plain = standardised(more.dense, found.dense_list.scores)
    words = standardised(more.lexical, padded(found.lexical_list.scores, hybrid.DEPTH))
    assert words.max() < hybrid._OUTSTANDING_LAST
    plain += hybrid._LEXICAL_WEIGHT * words
    assert still == pytest.approx(plain, abs=1e-5)
    assert len(moved) != len(still) or not np.allclose(moved, still)


def test_bm25_counts_more_where_one_document_stands_out(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    rows = [f'{{"_id": "{n}", "text": "asthma lung child {n}"}}\n' for n in range(150)]
    rows.append('{"_id": "named", "text": "NCT01234567 zileuton montelukast"}\n')
    path.write_text("".join(rows))
    build_index("named", [path], HashingEncoder)
    engine = SearchEngine(open_index("named"), HashingEncoder())
    query = "asthma lung child in NCT01234567 of zileuton and montelukast"
    assert engine.search(Query(text=query)).hits[0].id == "named"


def test_a_filter_holds_for_what_feedback_finds(index: OpenIndex) -> None:
    vector = HashingEncoder().encode_queries([QUERY])[0]
    terms = weighted_terms(QUERY)
    allowed = np.arange(0, 200, 7)
    for kept in (allowed, allowed[:2], allowed[:1], allowed[:0]):
        found = gather(index, vector, terms, 10, kept)
        more, scores = hybrid_scores(index, found, vector, terms, kept)
        assert set(more.labels) <= set(kept)
        assert np.isfinite(scores).all()


def test_distances_are_moved_in_the_space_of_the_model(corpus: Path) -> None:
    encoder = Squared()
    build_index("squared", [corpus], lambda: encoder)
    index = open_index("squared")
    labels = np.arange(5)
    assert points(index, labels).shape == (5, 13)
    vector = encoder.encode_queries([QUERY])[0]
    assert query_point(index, vector) == pytest.approx(_plain([QUERY])[0], abs=1e-6)
    assert query_at(index, query_point(index, vector)) == pytest.approx(vector, abs=1e-4)
    own = query_like(index, index.vectors.matrix.take(np.array([7]))[0])
    _, scores = index.vectors.search(own, 1)
    assert scores[0] == pytest.approx(0, abs=1e-2)
    engine = SearchEngine(index, encoder)
    hits = engine.search(Query(text=QUERY)).hits
    assert {"asthma", "steroid"} & set(hits[0].text.split())
    assert engine.like(Document("x", "", QUERY), 3).hits
    assert "d7" not in {hit.id for hit in engine.similar("d7").hits}
