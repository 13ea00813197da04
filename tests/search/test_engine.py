"""Searching with the real model over a small real index."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.errors import IndexFault, ModelError, NotFoundError, UsageError
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.manifest import encode_manifest, read_manifest, seal
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.search.engine import SearchEngine, check_fit, search_index

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
def test_meaning_is_found(engine: SearchEngine, query: str, best: str) -> None:
    hits = engine.search(query, 3)
    assert hits[0].id == best
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(-1 <= hit.score <= 1.0001 and hit.score == hit.scores.dense for hit in hits)
    assert all(hit.scores.lexical is None and hit.scores.rerank is None for hit in hits)


def test_a_hit_carries_its_document(engine: SearchEngine) -> None:
    hits = {hit.id: hit for hit in engine.search("anything", 10)}
    assert len(hits) == 4
    assert (hits["22"].title, hits["22"].year, hits["22"].url) == ("", 1999, None)
    # Text is handed on as it is; cleaning it for a terminal is the face's business.
    assert hits["44"].title == "\x1b[31mMigraine"
    assert hits["44"].url == "https://doi.org/10.1234/m"


def test_ids_that_are_pmids_have_pages(corpus: Path, encoder: Encoder) -> None:
    build_index("demo", [corpus], lambda: encoder, ids="pmid")
    hits = search_index("demo", "asthma", 1, device="cpu")
    assert hits[0].url == "https://pubmed.ncbi.nlm.nih.gov/33/"


def test_only_allowed_documents(engine: SearchEngine) -> None:
    assert {hit.id for hit in engine.search("asthma", 10, allowed={0, 3})} == {"11", "44"}
    assert engine.search("asthma", 10, allowed=set()) == []


@pytest.mark.parametrize("mode", ["hybrid", "lexical", "", "Dense"])
def test_other_modes_say_that_they_are_not_there(engine: SearchEngine, mode: str) -> None:
    with pytest.raises(UsageError, match="searches dense only") as caught:
        engine.search("asthma", 3, mode)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("query", ["", "  \n\t", "\x00\x1b", "\u200b\u2028"])
def test_an_empty_query(engine: SearchEngine, query: str) -> None:
    with pytest.raises(UsageError, match="the query is empty"):
        engine.search(query)


@pytest.mark.parametrize("k", [0, -3, 10**9])
def test_an_impossible_number_of_hits(engine: SearchEngine, k: int) -> None:
    with pytest.raises(UsageError, match="cannot be asked for"):
        engine.search("asthma", k)


@pytest.mark.parametrize(
    "query", ["asthma " * 10_000, "a" * 300_000, "\ud800 asthma", "asthma\x1b[2J\x00", "哮喘", "?"]
)
def test_odd_queries_are_answered(engine: SearchEngine, query: str) -> None:
    assert len(engine.search(query, 2)) == 2


def test_faults_of_the_call_cost_no_model_and_no_index() -> None:
    with pytest.raises(UsageError):
        search_index("none", "", device="nonsense")
    with pytest.raises(NotFoundError, match="there is no index none"):
        search_index("none", "asthma", device="nonsense")


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
        search_index("demo", "asthma", device="cpu")


def test_the_manifest_has_all_that_searching_needs(engine: SearchEngine) -> None:
    manifest = read_manifest(index_folder("demo"))
    assert manifest.recipe == embedded.RECIPE
    assert manifest.model == embedded.MODEL_ID
