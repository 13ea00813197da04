"""Judgements beside rankings: the list of queries, and one query in full."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from folders import write_benchmark

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import NotFoundError
from bioretrieval_tui.evaluation.benchmark import BenchmarkFolder, read_benchmark
from bioretrieval_tui.evaluation.metrics import measure
from bioretrieval_tui.evaluation.qrels import query_rows, query_view, titles_of

RUNS = {
    "dense": {"q1": (("x", 3.0), ("d4", 2.0), ("y", 1.0)), "q2": (("d2", 1.0),)},
    "lexical": {"q1": (("d1", 2.0), ("y", 1.0)), "q2": ()},
}


@pytest.fixture
def made(tmp_path: Path) -> BenchmarkFolder:
    qrels = {"q1": {"d1": 2, "d4": 1, "gone": 1, "d3": 0}, "q2": {"d2": 1}}
    return read_benchmark(write_benchmark(tmp_path, qrels=qrels))


class Titled:
    """The documents of an index, all but one of the judged."""

    def labels(self, names: Sequence[str]) -> dict[str, str]:
        return {name: name for name in names if name != "gone"}

    def get(self, labels: Sequence[str]) -> list[Document]:
        return [Document(label, f"Title {label}", "") for label in labels]


STORE: Any = Titled()


def test_the_list_of_queries(made: BenchmarkFolder) -> None:
    first, second = query_rows(made, RUNS)
    assert (first.id, first.text, first.judged, first.relevant) == ("q1", "muscle pain", 4, 3)
    assert second.scores == {"dense": 1.0, "lexical": 0.0}
    whole = measure(made.judgements, RUNS["dense"]).by_query["q1"]["nDCG@10"]
    assert first.scores["dense"] == whole


def test_one_query(made: BenchmarkFolder) -> None:
    view = query_view(made, RUNS, "q1", STORE)
    assert [(row.id, row.grade) for row in view.judged] == [
        ("d1", 2), ("d4", 1), ("gone", 1), ("d3", 0),
    ]  # fmt: skip
    assert view.judged[0].ranks == {"dense": None, "lexical": 1}
    assert view.judged[1].ranks == {"dense": 2, "lexical": None}
    assert [row.title for row in view.judged] == ["Title d1", "Title d4", None, "Title d3"]
    assert [(row.id, row.ranks) for row in view.unjudged] == [
        ("x", {"dense": 1, "lexical": None}),
        ("y", {"dense": 3, "lexical": 2}),
    ]
    assert view.scores["lexical"]["RR@10"] == 1.0
    assert [row.id for row in query_view(made, RUNS, "q1", STORE, most=1).unjudged] == ["x"]


def test_an_unknown_query_names_the_nearest(made: BenchmarkFolder) -> None:
    with pytest.raises(NotFoundError) as caught:
        query_view(made, RUNS, "q11", STORE)
    assert caught.value.remedy is not None
    assert "q1" in caught.value.remedy
    with pytest.raises(NotFoundError, match="has no query 'q3'"):
        query_view(made, RUNS, "q3", STORE)  # it has no judgement


def test_titles_come_from_the_index(tmp_path: Path) -> None:
    from hashing_encoder import HashingEncoder
    from index_help import write_records

    from bioretrieval_tui.index.build import build_index
    from bioretrieval_tui.index.registry import open_index

    path = write_records(
        tmp_path / "corpus.jsonl",
        [
            {"id": "1", "title": "Statins", "text": "a"},
            {"id": "2", "title": "", "text": "p53 " * 100},
            {"id": "same", "title": "Statins", "text": "a"},
        ],
    )
    build_index("demo", [path], HashingEncoder)
    index = open_index("demo")
    found = titles_of(index.documents, ["2", "same", "1", "none"])
    index.close()
    assert list(found) == ["2", "same", "1"]
    assert (found["1"], found["same"]) == ("Statins", "Statins")
    assert found["2"] == ("p53 " * 100)[:200]
