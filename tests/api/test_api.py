"""The Python interface: every public name does what its docstring says."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from claims import QUERIES

import bioretrieval_tui as br
from bioretrieval_tui.catalog.models import Model, Result
from bioretrieval_tui.errors import FilterError, ModelError, NotFoundError, UsageError
from bioretrieval_tui.search.types import Hit

HEAVY = ("torch", "transformers", "sentence_transformers", "openvino", "textual", "numpy", "httpx")


def test_what_is_public_is_this() -> None:
    assert sorted(br.__all__) == [
        "BioRetrievalError", "Document", "Index", "TextEncoder", "build", "catalogue", "compare",
        "encoder", "entries", "evaluate", "frame", "indexes", "results",
    ]  # fmt: skip
    assert set(br.__all__) <= set(dir(br))
    with pytest.raises(AttributeError, match="no attribute 'no_such'"):
        br.no_such  # noqa: B018


@pytest.mark.parametrize("name", br.__all__)
def test_public_names_have_docstrings_and_types(name: str) -> None:
    found = getattr(br, name)
    assert inspect.getdoc(found)
    if inspect.isfunction(found):
        signature = inspect.signature(found)
        assert signature.return_annotation is not inspect.Signature.empty
        assert all(one.annotation is not one.empty for one in signature.parameters.values())


@pytest.mark.parametrize("code", ["import bioretrieval_tui", "import bioretrieval_tui.api"])
def test_importing_it_is_light(code: str) -> None:
    asked = f"import sys; {code}; print([one for one in {HEAVY} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Catalogue and board


def test_entries_by_kind_filter_and_order() -> None:
    small = br.entries("models", "params<=150M", sort="params")
    assert small
    assert all(isinstance(one, Model) for one in small)
    sizes = [one.params for one in small if isinstance(one, Model)]
    assert sizes == sorted(sizes, key=lambda size: size or 0)
    assert len(br.entries()) == len(br.catalogue().entries)
    assert len(br.entries("models", board=True)) > len(br.entries("models")) + 100


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"kind": "modles"}, UsageError),
        ({"kind": "models", "where": "parms<=5"}, FilterError),
        ({"kind": "models", "sort": "parms"}, UsageError),
    ],
)
def test_wrong_questions_about_entries(how: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        br.entries(**how)  # type: ignore[arg-type]


def test_results_of_a_benchmark_and_a_model() -> None:
    found = br.results("scifact", "medcpt")
    assert found
    assert {(one.benchmark, one.model) for one in found} == {("scifact", "medcpt")}
    assert all(one.source for one in found)
    with pytest.raises(NotFoundError):
        br.results("no-such-benchmark")
    with pytest.raises(NotFoundError, match="is no benchmark"):
        br.results("medcpt")


def test_frames_have_the_columns_of_csv() -> None:
    models = br.frame(br.entries("models"), "pyarrow")
    assert isinstance(models, pa.Table)
    assert {"id", "name", "params", "dimension"} <= set(models.column_names)
    assert models.num_rows == len(br.entries("models"))
    scores = br.frame(br.results("scifact"), "pyarrow")
    assert scores["value"].type == pa.float64()
    assert br.frame([], "pyarrow").num_rows == 0


def test_frames_of_what_does_not_belong_together() -> None:
    with pytest.raises(UsageError, match="several kinds"):
        br.frame([*br.entries("models")[:1], *br.results("scifact")[:1]])
    with pytest.raises(UsageError, match="no backend"):
        br.frame([], "excel")  # type: ignore[arg-type]
    assert isinstance(br.results("scifact")[0], Result)


def test_a_frame_of_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="polars is not installed") as told:
        br.frame([], "polars")
    assert told.value.remedy == "run: pip install polars"
    with pytest.raises(UsageError) as told:
        br.frame([])
    assert told.value.remedy == "run: pip install pandas"


# Encoders


def test_an_encoder_gives_vectors_as_the_authors_define_them() -> None:
    model = br.encoder()
    assert (model.dimension, model.similarity) == (384, "cosine")
    queries = model.encode_queries(["asthma in children", "tumour suppressor"])
    assert (queries.shape, queries.dtype) == ((2, 384), np.float32)
    documents = model.encode_documents(
        ["The p53 gene.", ("Asthma", "Inhaled steroids."), br.Document("x", "", "Aspirin.")]
    )
    assert documents.shape == (3, 384)
    assert np.argmax(queries @ documents.T, axis=1).tolist() == [1, 0]
    assert model.encode_queries([]).shape == (0, 384)


def test_an_encoder_that_cannot_be() -> None:
    with pytest.raises(NotFoundError, match="nearest"):
        br.encoder("medcpd")
    with pytest.raises(br.BioRetrievalError):
        br.encoder("medcpt")  # its files are not here
    with pytest.raises(UsageError, match="list of texts"):
        br.encoder().encode_queries("one text")


# Indexes


def test_an_index_searches_filters_and_explains() -> None:
    assert br.indexes() == ["claims"]
    with br.Index("claims") as index:
        assert len(index) == 5
        hits = index.search("paediatric wheeze", 2)
        assert [type(hit) for hit in hits] == [Hit, Hit]
        assert hits[0].id == "d3"
        assert [hit.id for hit in index.search("gene", where="year:..2000")] == ["d2"]
        assert [hit.id for hit in index.search("asthma", mode="bm25")] == ["d3"]
        (why,) = index.explain("asthma", hits[:1])
        assert why.terms == (("asthma", 1.0),)
        assert index.document("d4").text.startswith("Aspirin")
        assert index.similar("d4", 1)[0].id != "d4"
        assert {"id", "title", "score"} <= set(br.frame(hits, "pyarrow").column_names)


def test_many_queries_are_the_same_as_one_by_one() -> None:
    with br.Index("claims") as index:
        many = dict(index.search_many({**QUERIES, **{f"x{n}": "statins" for n in range(150)}}, 3))
        assert list(many)[:3] == ["1", "2", "3"]
        assert len(many) == 153
        for name, text in QUERIES.items():
            alone = index.search(text, 3)
            assert [hit.id for hit in many[name]] == [hit.id for hit in alone]
            scores = [hit.score for hit in alone]
            assert [hit.score for hit in many[name]] == pytest.approx(scores, abs=2e-3)
        assert [name for name, _ in index.search_many(["a gene", "asthma"], mode="lexical")] == [
            "1", "2",
        ]  # fmt: skip
        with pytest.raises(UsageError, match="empty"):
            list(index.search_many(["asthma", " "]))


def test_what_an_index_lacks() -> None:
    with pytest.raises(NotFoundError):
        br.Index("no-such")
    with br.Index("claims", encodes=False) as index:
        with pytest.raises(NotFoundError, match="claims has no document d9"):
            index.document("d9")
        with pytest.raises(FilterError):
            index.search("asthma", where="(", mode="lexical")


def test_an_index_for_bm25_alone_is_built_and_searched(folder: Path) -> None:
    with br.build("words", [folder / "corpus.jsonl"], lexical=True) as index:
        assert [hit.id for hit in index.search("migraine", mode="lexical")] == ["d6"]


# Evaluations


def test_an_evaluation_and_the_comparison_of_its_modes(folder: Path) -> None:
    remarks: list[str] = []
    report = br.evaluate(folder, modes=("dense", "BM25"), remark=remarks.append)
    dense, lexical = report.runs
    assert (dense.mode, lexical.mode, report.queries) == ("dense", "lexical", 3)
    assert 0.5 < dense.metrics["nDCG@10"] <= 1
    found = br.compare(lexical, dense)
    again = br.compare(lexical.record, dense.record)
    assert found == again
    assert found.difference == pytest.approx(dense.metrics["nDCG@10"] - lexical.metrics["nDCG@10"])
    with pytest.raises(NotFoundError):
        br.compare("no-such-record", dense)
    with pytest.raises(br.BioRetrievalError):
        br.evaluate(folder / "nothing")


def test_a_model_of_the_board_has_no_recipe() -> None:
    listed = next(one for one in br.catalogue(board=True).listed if one.encoding is None)
    for name in (listed.id, listed.hub[0]):
        with pytest.raises(ModelError, match="is not known; add its encoding"):
            br.encoder(name)
