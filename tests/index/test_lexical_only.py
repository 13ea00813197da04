"""An index without vectors: BM25 answers, dense search is refused, a model may come later."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hashing_encoder import HashingEncoder
from index_help import feeding, no_encoder, record, tree

from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.build import (
    BuildOutcome,
    add_to_index,
    build_index,
    compact_index,
)
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.registry import info, manifest_of, open_index
from bioretrieval_tui.index.vector_cache import Vectoriser, embedded_facts, facts_of
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.types import Query

RECORDS = [record(f"d{n}", f"asthma day{n}x", f"title {n}", year=2000 + n) for n in range(20)]
LEXICAL = Query(text="asthma day3x", mode="lexical")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def made(*, fingerprint: str | None = None) -> BuildOutcome:
    return build_index(
        "demo", feeding(RECORDS), Vectoriser(embedded_facts()), fingerprint=fingerprint
    )


def first_hit() -> str:
    engine = SearchEngine.open("demo", device="no such device", ready=False)
    try:
        return engine.search(LEXICAL).hits[0].id
    finally:
        engine.close()


def test_bm25_searches_filters_and_explains_without_vectors() -> None:
    assert made().manifest.encoded is False
    engine = SearchEngine.open("demo", device="no such device", ready=False)
    assert engine.search(LEXICAL).hits[0].id == "d3"
    answer = engine.search(Query(text="asthma", mode="lexical", where="year:2010.."))
    assert answer.fitting == 10
    assert dict(answer.facets[0].counts)["2015"] == 1
    (why,) = engine.explain(LEXICAL, ["d3"])
    assert (why.lexical_rank, why.dense_rank, why.scores.dense) == (1, None, None)
    for mode in ("dense", "hybrid"):
        with pytest.raises(IndexFault, match="demo has no vectors; mode lexical needs none; "):
            engine.search(Query(text="asthma", mode=mode))
    with pytest.raises(IndexFault, match="no vectors"):
        engine.similar("d3")
    with pytest.raises(IndexFault, match="no vectors"):
        open_index("demo")


def test_it_is_listed_verified_extended_and_compacted() -> None:
    made()
    found = info("demo")
    assert (found.status, found.model, found.dimension) == ("ok", "BM25 only", 0)
    checked = verify_index("demo")
    assert checked.ok
    assert "none: the index serves BM25 alone" in {one.found for one in checked.checks}
    add_to_index("demo", feeding([record("n", "new")]), no_encoder)
    assert manifest_of("demo").documents == 21
    compact_index("demo")
    assert not manifest_of("demo").encoded
    assert verify_index("demo").ok
    assert first_hit() == "d3"


def test_a_later_build_encodes_and_a_lexical_one_keeps_what_was_encoded() -> None:
    made()
    calls: list[int] = []

    class Counting(HashingEncoder):
        def encode_documents(self, documents, *how):  # type: ignore[no-untyped-def]
            calls.append(len(documents))
            return super().encode_documents(documents, *how)

    build_index("demo", feeding(RECORDS), Counting)
    assert manifest_of("demo").encoded
    assert sum(calls) == 20
    before = open_index("demo").vectors.matrix.take(np.arange(20))
    build_index("demo", feeding(RECORDS[:-1]), Vectoriser(facts_of(HashingEncoder())))
    assert not manifest_of("demo").encoded
    build_index("demo", feeding([*RECORDS, record("n", "new")]), Counting)
    assert sum(calls) == 21  # the vectors of before waited in the pool
    assert np.array_equal(open_index("demo").vectors.matrix.take(np.arange(20)), before)
    assert tree() == tree(pools=False)


def test_lexical_search_reads_neither_vectors_nor_graph() -> None:
    build_index("demo", feeding(RECORDS), HashingEncoder)
    folder, manifest = index_folder("demo"), manifest_of("demo")
    for path in (*manifest.matrices(), manifest.path("graph.hnsw")):
        data = bytearray((folder / path).read_bytes())
        data[-1] ^= 1
        (folder / path).write_bytes(data)
        os.utime(folder / path, ns=(1, 1))
    assert first_hit() == "d3"
    engine = SearchEngine.open("demo", ready=False)
    with pytest.raises(IndexFault, match="was altered since it was built"):
        engine.search(Query(text="asthma"))
    with pytest.raises(IndexFault, match="was altered since it was built"):
        SearchEngine.open("demo")


def test_vectors_that_a_newer_build_swept_are_said_to_be_replaced() -> None:
    build_index("demo", feeding(RECORDS), HashingEncoder)
    engine = SearchEngine.open("demo", ready=False)
    build_index("demo", feeding(RECORDS[:-1]), HashingEncoder)
    with pytest.raises(IndexFault, match="demo was replaced meanwhile"):
        _ = engine.index.vectors
    assert isinstance(engine.index.manifest, Manifest)
