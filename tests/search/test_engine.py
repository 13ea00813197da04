"""Searching with the real model over a small real index."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.errors import FilterError, IndexFault, ModelError, NotFoundError, UsageError
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.manifest import encode_manifest, read_manifest, seal
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.search.engine import NO_TERMS, SearchEngine, check_fit
from bioretrieval_tui.search.types import MODES, Hit, Query

RECORDS = [
    {"_id": "11", "title": "Statins and muscle pain", "text": "Simvastatin causes myalgia."},
    {"_id": "22", "title": "", "text": "The p53 gene suppresses tumours.", "year": 1999},
    {"_id": "33", "title": "Asthma in children", "text": "Inhaled corticosteroids help wheezing."},
    {
        "_id": "44",
        "title": "\x1b[31mMigraine",
        "text": "Triptans.",
        "metadata": {"doi": "10.1234/m"},
    },
]


def found(engine: SearchEngine, text: str, k: int = 10, **other: object) -> tuple[Hit, ...]:
    """The hits of a question."""
    return engine.search(Query(text=text, k=k, **other)).hits  # type: ignore[arg-type]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "c.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    return path


@pytest.fixture
def engine(corpus: Path, encoder: Encoder) -> SearchEngine:
    build_index("demo", [corpus], lambda: encoder)
    return SearchEngine(open_index("demo"), encoder)


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("do cholesterol drugs hurt muscles", "11"),
        ("tumour suppressor", "22"),
        ("paediatric wheeze", "33"),
        ("headache treatment", "44"),
    ],
)
@pytest.mark.parametrize("mode", ["dense", "hybrid"])
def test_dense_retrieval_finds_a_paraphrase(
    engine: SearchEngine, query: str, best: str, mode: str
) -> None:
    hits = found(engine, query, 3, mode=mode)
    assert hits[0].id == best
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(-1 <= (hit.scores.dense or 0) <= 1.0001 for hit in hits)
    assert all(hit.scores.rerank is None for hit in hits)


def test_the_score_is_that_of_the_mode(engine: SearchEngine) -> None:
    (dense,) = found(engine, "asthma", 1, mode="dense")
    assert (dense.score, dense.scores.lexical) == (dense.scores.dense, None)
    (lexical,) = found(engine, "asthma", mode="lexical")
    assert (lexical.score, lexical.scores.dense) == (lexical.scores.lexical, None)
    both = found(engine, "asthma", 1)[0]
    assert both.scores.dense == pytest.approx(dense.score)
    assert both.scores.lexical == pytest.approx(lexical.score)


def test_lexical_search_needs_no_model(engine: SearchEngine) -> None:
    words = SearchEngine(open_index("demo"), device="no such device")
    assert [hit.id for hit in found(words, "triptans for asthma", mode="lexical")] == ["33", "44"]
    with pytest.raises(UsageError):
        found(words, "asthma", mode="dense")


def test_a_query_without_indexed_terms_has_a_note(engine: SearchEngine) -> None:
    answer = engine.search(Query(text="what is the", mode="lexical"))
    assert (answer.hits, answer.note) == ((), NO_TERMS)
    # Meaning answers in their place.
    answer = engine.search(Query(text="what is the"))
    assert len(answer.hits) == 4
    assert answer.note == NO_TERMS
    # A word that no document has is no reason to say so.
    assert engine.search(Query(text="xylophone", mode="lexical")).note is None


def test_rank_gives_what_search_gives(engine: SearchEngine) -> None:
    for mode in MODES:
        hits = found(engine, "asthma in children", 3, mode=mode)
        assert engine.rank(Query(text="asthma in children", k=3, mode=mode)) == [
            (hit.id, hit.score) for hit in hits
        ]


def test_a_hit_carries_its_document(engine: SearchEngine) -> None:
    hits = {hit.id: hit for hit in found(engine, "anything")}
    assert len(hits) == 4
    assert (hits["22"].title, hits["22"].year, hits["22"].url) == ("", 1999, None)
    # Text is handed on as it is; cleaning it for a terminal is the face's business.
    assert hits["44"].title == "\x1b[31mMigraine"
    assert hits["44"].url == "https://doi.org/10.1234/m"


def test_ids_that_are_pmids_have_pages(corpus: Path, encoder: Encoder) -> None:
    build_index("demo", [corpus], lambda: encoder, ids="pmid")
    hits = SearchEngine.open("demo", device="cpu").search(Query(text="asthma", k=1)).hits
    assert hits[0].url == "https://pubmed.ncbi.nlm.nih.gov/33/"


@pytest.mark.parametrize("mode", MODES)
def test_only_documents_that_match_the_filter(engine: SearchEngine, mode: str) -> None:
    hits = found(engine, "gene triptans", mode=mode, where="year:1999")
    assert [hit.id for hit in hits] == ["22"]
    assert found(engine, "gene triptans", mode=mode, where="year:1800") == ()


def test_a_filter(engine: SearchEngine) -> None:
    answer = engine.search(Query(text="asthma", where="year:1990.."))
    assert ([hit.id for hit in answer.hits], answer.fitting) == (["22"], 1)
    assert engine.search(Query(text="asthma")).fitting is None
    with pytest.raises(FilterError, match="is not a field"):
        engine.search(Query(text="asthma", where="yaer:1990"))


def test_the_newest_first(corpus: Path, encoder: Encoder, tmp_path: Path) -> None:
    path = tmp_path / "dated.jsonl"
    rows = [{"_id": f"y{year}", "text": "Asthma.", "title": f"In {year}", "year": year}
            for year in (2001, 2020, 1987)]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    build_index("demo", [corpus, path], lambda: encoder)
    engine = SearchEngine(open_index("demo"), encoder)
    hits = found(engine, "asthma", order="date")
    assert [hit.id for hit in hits][:4] == ["y2020", "y2001", "22", "y1987"]
    answer = engine.search(Query(text="asthma"))
    assert dict(answer.facets[0].counts) == {"2020": 1, "2001": 1, "1999": 1, "1987": 1}
    assert answer.among == 7


def test_more_like_this(engine: SearchEngine) -> None:
    hits = engine.similar("33", 2).hits
    assert len(hits) == 2
    assert "33" not in {hit.id for hit in hits}
    with pytest.raises(NotFoundError, match="no document nobody"):
        engine.similar("nobody")
    _, given = engine.found("33")
    assert engine.like(given, 1).hits[0].id == "33"


def test_the_explanation_of_a_hit(engine: SearchEngine) -> None:
    question = Query(text="do inhaled steroids help wheezing children")
    hit = found(engine, question.text, 1)[0]
    (why,) = engine.explain(question, ["33", "none"])
    assert (why.id, why.dense_rank, why.lexical_rank) == ("33", 1, 1)
    assert {word for word, _ in why.terms} == {"inhaled", "help", "wheezing", "children"}
    assert sum(share for _, share in why.terms) == pytest.approx(1)
    # A product of the same two vectors, summed in another order.
    assert why.scores.dense == pytest.approx(hit.scores.dense, abs=1e-6)
    assert why.scores.lexical == hit.scores.lexical
    assert why.passage is None  # one sentence needs no pointing at
    (why,) = engine.explain(Query(text="children", mode="dense"), ["33"])
    assert (why.terms, why.lexical_rank, why.scores.lexical) == ((), None, None)


@pytest.mark.parametrize("mode", ["", "Dense", "bm-25"])
def test_other_modes_are_named(engine: SearchEngine, mode: str) -> None:
    with pytest.raises(UsageError, match="no search mode") as caught:
        found(engine, "asthma", 3, mode=mode)
    assert caught.value.exit_code == 2
    assert "hybrid, dense, lexical" in caught.value.line()
    with pytest.raises(UsageError, match="cannot be sorted"):
        found(engine, "asthma", 3, order="colour")


@pytest.mark.parametrize("query", ["", "  \n\t", "\x00\x1b", "\u200b\u2028"])
def test_an_empty_query(engine: SearchEngine, query: str) -> None:
    with pytest.raises(UsageError, match="the query is empty"):
        found(engine, query)


@pytest.mark.parametrize("k", [0, -3, 10**9])
def test_an_impossible_number_of_hits(engine: SearchEngine, k: int) -> None:
    with pytest.raises(UsageError, match="cannot be asked for"):
        found(engine, "asthma", k)


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
@pytest.mark.parametrize(
    "query", ["asthma " * 10_000, "a" * 300_000, "\ud800 asthma", "asthma\x1b[2J\x00", "哮喘", "?"]
)
def test_odd_queries_are_answered(engine: SearchEngine, query: str, mode: str) -> None:
    assert len(found(engine, query, 2, mode=mode)) == 2


def test_faults_of_the_call_cost_no_model_and_no_index() -> None:
    with pytest.raises(UsageError):
        Query(text="").checked()
    with pytest.raises(NotFoundError, match="there is no index none"):
        SearchEngine.open("none", device="nonsense")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"model": "other/model"}, "model"),
        ({"revision": "0" * 40}, "revision"),
        ({"dimension": 768}, "dimension"),
        ({"similarity": "dot"}, "similarity"),
        ({"recipe_hash": "0" * 64}, "recipe"),
        ({"normalised": False}, "normalisation"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused(
    engine: SearchEngine, encoder: Encoder, changes: dict[str, object], what: str
) -> None:
    manifest = msgspec.structs.replace(engine.index.manifest, **changes)
    with pytest.raises(IndexFault, match=f"built with another {what}") as caught:
        check_fit(manifest, encoder)
    assert "build the index again" in caught.value.line()


def test_an_index_of_another_revision_is_not_searched(engine: SearchEngine) -> None:
    folder = index_folder("demo")
    altered = msgspec.structs.replace(read_manifest(folder), revision="f" * 40)
    (folder / "manifest.json").write_bytes(encode_manifest(seal(altered)))
    with pytest.raises(ModelError, match=f"not {'f' * 19}"):
        SearchEngine.open("demo", device="cpu")


def test_the_manifest_has_all_that_searching_needs(engine: SearchEngine) -> None:
    manifest = read_manifest(index_folder("demo"))
    assert manifest.recipe == embedded.RECIPE
    assert manifest.model == embedded.MODEL_ID
