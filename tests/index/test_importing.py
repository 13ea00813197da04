"""Vectors that others computed: MedCPT's chunks as NCBI publishes them, and what does not fit."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hashing_encoder import HashingEncoder
from index_help import feeding, held, matrix_of, record, tree, write_records, write_texts

from bioretrieval_tui.catalog.models import Encoding, Side
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import CorpusError, NotFoundError, UsageError
from bioretrieval_tui.index.build import (
    BuildOutcome,
    build_index,
    compact_index,
)
from bioretrieval_tui.index.manifest import ANY_REVISION
from bioretrieval_tui.index.registry import info, open_index
from bioretrieval_tui.index.report import Report
from bioretrieval_tui.index.vector_cache import ImportedVectors
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.types import Query

MODEL = "test/hashing"
DOT = Encoding(
    type="bi-encoder",
    grade="A",
    library="transformers",
    query=Side(model="test/queries", template="{text}", max_length=64),
    document=Side(model="test/articles", template="{title} {text}", max_length=512),
    pooling="cls",
    normalise=False,
    similarity="dot",
)
PAPERS = {
    "10023": ("Statins", "muscle pain under simvastatin"),
    "10024": ("", "the p53 gene suppresses tumours"),
    "10025": ("Asthma", "inhaled steroids in children"),
    "10026": ("Gout", ""),
}


def vectors_of(names: list[str], dtype: str = "float32", scale: float = 1.0) -> np.ndarray:
    """What the hashing encoder gives, in the order of the names, not of the documents."""
    texts = [" ".join(PAPERS[name]) for name in names]
    return (HashingEncoder().encode_queries(texts) * scale).astype(dtype)


def chunk(path: Path) -> Path:
    """`pubmed_chunk_N.json`: {PMID: {d, t, a, m}}."""
    path.write_text(
        json.dumps({
            pmid: {"d": "20010203", "t": title, "a": abstract, "m": "Humans!|Statins"}
            for pmid, (title, abstract) in PAPERS.items()
        })
    )  # fmt: skip
    return path


class Files:
    """One chunk on disk, as it is published; parts may be replaced."""

    def __init__(self, folder: Path, dtype: str = "float32", numbers: bool = False) -> None:
        names = sorted(PAPERS, reverse=True)
        self.vectors = folder / "embeds_chunk_0.npy"
        self.ids = folder / "pmids_chunk_0.json"
        self.documents = chunk(folder / "pubmed_chunk_0.json")
        np.save(self.vectors, vectors_of(names, dtype))
        self.ids.write_text(json.dumps([int(name) for name in names] if numbers else names))

    def load(self, **changes: Any) -> BuildOutcome:
        settings = {"settings", "ids", "report", "reporter"} & set(changes)
        given = {name: changes.pop(name) for name in settings}
        model: dict[str, Any] = {"model": MODEL, "recipe": embedded.RECIPE, "dimension": 16}
        source = ImportedVectors([self.vectors], [self.ids], **(model | changes))
        return build_index("demo", [self.documents], source, **given)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", ">f4"])
@pytest.mark.parametrize("numbers", [False, True])
def test_a_chunk_as_it_is_published(tmp_path: Path, dtype: str, numbers: bool) -> None:
    outcome = Files(tmp_path, dtype, numbers).load(ids="pmid")
    manifest, report = outcome.manifest, outcome.report
    assert (report.read, report.kept, report.without_abstract) == (4, 4, 1)
    assert (report.encoded, report.without_document, manifest.docs_per_second) == (0, 0, 0)
    assert (manifest.model, manifest.revision, manifest.device) == (MODEL, ANY_REVISION, "imported")
    assert (manifest.dimension, manifest.dtype, manifest.ids) == (16, "float16", "pmid")
    assert manifest.inputs[0].format == "medcpt-chunk"
    # Each document has its own vector, whatever the order of the files.
    expected = vectors_of(list(PAPERS))
    np.testing.assert_allclose(matrix_of(manifest).astype(np.float32), expected, atol=1e-3)
    assert set(held("demo")) == set(PAPERS)
    assert verify_index("demo").ok
    assert info("demo").status == "ok"


def test_searching_with_the_model_that_made_them(files: Files) -> None:
    files.load(ids="pmid")
    engine = SearchEngine(open_index("demo"), HashingEncoder())
    hits = engine.search(Query(text="inhaled steroids in children", k=2, mode="dense")).hits
    assert (hits[0].id, hits[0].title) == ("10025", "Asthma")
    assert hits[0].url == "https://pubmed.ncbi.nlm.nih.gov/10025/"
    engine.close()


def test_the_speed_that_is_told_is_of_documents(tmp_path: Path) -> None:
    names = [f"d{number}" for number in range(2_000)]
    np.save(tmp_path / "v.npy", np.ones((2_000, 384), dtype=np.float32) / 384**0.5)
    (tmp_path / "ids.txt").write_text("\n".join(names))
    source = ImportedVectors(
        [tmp_path / "v.npy"], [tmp_path / "ids.txt"], embedded.MODEL_ID, embedded.RECIPE
    )
    started, told = time.perf_counter(), list[tuple[Progress, float]]()

    def tell(step: Progress) -> None:
        told.append((step, time.perf_counter() - started))

    made = feeding([record(name, f"text {name}") for name in names])
    build_index("many", made, source, reporter=tell)
    steps = [one for one in told if one[0].stage == "encoding" and one[0].done > 1_000]
    assert steps
    for step, elapsed in steps:  # it was that of the last 512, over the whole time
        assert step.rate is not None
        assert step.rate * elapsed >= 0.999 * step.done


def test_plain_lines_of_ids(files: Files) -> None:
    names = json.loads(files.ids.read_text())
    files.ids.write_text("".join(f"{name}\r\n" for name in names) + "\n")
    assert files.load().manifest.documents == 4


def test_several_chunks(tmp_path: Path) -> None:
    vectors, ids = [], []
    for number, names in enumerate((["10025", "10023"], ["10026"], ["10024"])):
        vectors.append(tmp_path / f"{number}.npy")
        ids.append(tmp_path / f"{number}.json")
        np.save(vectors[-1], vectors_of(names, "float16" if number else "float32"))
        ids[-1].write_text(json.dumps(names))
    documents = chunk(tmp_path / "pubmed_chunk_0.json")
    source = ImportedVectors(vectors, ids, MODEL, embedded.RECIPE)
    manifest = build_index("demo", [documents], source).manifest
    np.testing.assert_allclose(
        matrix_of(manifest).astype(np.float32), vectors_of(list(PAPERS)), atol=1e-3
    )


def test_vectors_of_any_length_are_scaled_where_the_cosine_is_meant(files: Files) -> None:
    np.save(files.vectors, vectors_of(sorted(PAPERS, reverse=True), scale=250))
    manifest = files.load().manifest
    assert manifest.normalised
    lengths = np.linalg.norm(matrix_of(manifest).astype(np.float32), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-3)


def test_a_dot_product_keeps_its_lengths(files: Files) -> None:
    names = sorted(PAPERS, reverse=True)
    scales = np.array([[3], [20], [1], [9]], dtype=np.float32)
    np.save(files.vectors, vectors_of(names) * scales)
    manifest = files.load(model="test/articles", recipe=DOT).manifest
    assert (manifest.normalised, manifest.similarity) == (False, "dot")
    assert manifest.recipe_hash == recipe_hash(DOT)
    rows = matrix_of(manifest).astype(np.float32)
    np.testing.assert_allclose(rows, (vectors_of(names) * scales)[::-1], rtol=2e-3)
    assert verify_index("demo").ok

    query = HashingEncoder().encode_queries(["muscle pain gene children gout"])[0]
    labels, products = open_index("demo").vectors.search(query, 4)
    exact = rows @ query
    assert labels.tolist() == np.argsort(-exact, kind="stable").tolist()
    np.testing.assert_allclose(products, exact[labels], rtol=1e-4)
    assert np.ptp(products) > 1  # the lengths decide, not the angles alone


def test_a_document_without_a_vector_is_rejected(files: Files, tmp_path: Path) -> None:
    papers = json.loads(files.documents.read_text())
    papers["7"] = {"d": "", "t": "No vector", "a": "none", "m": ""}
    files.documents.write_text(json.dumps(papers))
    report = files.load().report
    assert (report.read, report.kept, report.rejected) == (5, 4, 1)
    assert report.rejections[0].reason == "there is no vector for '7'"
    assert "7" not in held("demo")
    report = Report()
    with pytest.raises(CorpusError, match="there is no vector for '7'"):
        files.load(settings=ReadSettings(strict=True), report=report)
    assert report.rejected == 1


def test_vectors_without_a_document_are_counted(files: Files) -> None:
    papers = json.loads(files.documents.read_text())
    del papers["10025"], papers["10023"]
    files.documents.write_text(json.dumps(papers))
    outcome = files.load()
    assert (outcome.report.without_document, outcome.manifest.documents) == (2, 2)


def test_an_alias_has_its_document(tmp_path: Path) -> None:
    """Two ids of one text: the vector of the second is not used, but not without a document."""
    np.save(tmp_path / "v.npy", np.eye(3, 16, dtype=np.float32))
    (tmp_path / "i.json").write_text('["a", "b", "c"]')
    path = write_texts(tmp_path / "d.jsonl", {"a": "same", "b": "same", "c": "other"})
    vectors, ids = [tmp_path / "v.npy"], [tmp_path / "i.json"]
    outcome = build_index("demo", [path], ImportedVectors(vectors, ids, MODEL, embedded.RECIPE))
    assert (outcome.manifest.documents, outcome.manifest.aliases) == (2, 1)
    assert outcome.report.without_document == 0


def test_no_document_fits(files: Files) -> None:
    files.ids.write_text('["1", "2", "3", "4"]')
    with pytest.raises(CorpusError, match="there is no vector for '10023'"):
        files.load()
    assert tree() == set()


def test_as_many_ids_as_vectors(files: Files) -> None:
    with pytest.raises(UsageError, match="1 files of vectors and 2 of ids"):
        ImportedVectors([files.vectors], [files.ids] * 2, MODEL, embedded.RECIPE)
    files.ids.write_text('["10023"]')
    with pytest.raises(CorpusError, match="names 1 ids for 4 vectors"):
        files.load()


def test_the_dimension_is_that_of_the_model(files: Files, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="dimension of test/hashing: 16, 768"):
        files.load(dimension=768)
    np.save(tmp_path / "other.npy", np.ones((1, 8), dtype=np.float32))
    (tmp_path / "other.json").write_text('["1"]')
    with pytest.raises(CorpusError, match="8, 16"):
        ImportedVectors(
            [files.vectors, tmp_path / "other.npy"],
            [files.ids, tmp_path / "other.json"],
            MODEL,
            embedded.RECIPE,
        )


@pytest.mark.parametrize(
    "ids",
    [b'["1", 2.5, "3", "4"]', b'["1", null, "3", "4"]', b"[1, 2", b"\xff\xfe1\n", b'[["1"]]'],
)
def test_ids_that_are_none(files: Files, ids: bytes) -> None:
    files.ids.write_bytes(ids)
    with pytest.raises(CorpusError, match="not a list of ids"):
        files.load()


@pytest.mark.parametrize(
    "array",
    [
        np.ones(16, dtype=np.float32),
        np.ones((4, 4, 4), dtype=np.float32),
        np.ones((4, 16), dtype=np.int64),
        np.ones((4, 16), dtype=np.complex64),
        np.empty((0, 16), dtype=np.float32),
        np.empty((4, 0), dtype=np.float32),
    ],
    ids=["one row", "three axes", "whole numbers", "complex", "no row", "no column"],
)
def test_an_array_that_is_no_matrix_of_vectors(files: Files, array: np.ndarray) -> None:
    np.save(files.vectors, array)
    with pytest.raises(CorpusError, match="not rows of vectors"):
        files.load()


def test_files_that_are_no_matrix(files: Files, tmp_path: Path) -> None:
    whole = files.vectors.read_bytes()
    for data in (b"", b"text", whole[:40], whole[:-8], b"\x93NUMPY\x09\x00"):
        files.vectors.write_bytes(data)
        with pytest.raises(CorpusError, match=r"is not a \.npy matrix"):
            files.load()
    np.save(files.vectors, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(CorpusError, match=r"is not a \.npy matrix"):
        files.load()
    with files.vectors.open("wb") as out:
        np.savez(out, a=np.ones((4, 16), dtype=np.float32))
    with pytest.raises(CorpusError, match="is an archive"):
        files.load()
    files.vectors.unlink()
    with pytest.raises(NotFoundError):
        files.load()
    assert tree() == set()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_a_value_that_is_no_number(files: Files, value: float) -> None:
    rows = vectors_of(sorted(PAPERS, reverse=True))
    rows[1, 3] = value
    np.save(files.vectors, rows)
    with pytest.raises(CorpusError, match=r"the vector of '10025' has values that are not finite"):
        files.load()
    assert tree() == set()


def test_a_failed_import_leaves_the_old_index(files: Files, tmp_path: Path) -> None:
    before = files.load().manifest
    files.ids.write_text("[]")
    with pytest.raises(CorpusError):
        files.load()
    assert open_index("demo").manifest == before


def test_compacting_keeps_them(files: Files) -> None:
    manifest = files.load(model="test/articles", recipe=DOT).manifest
    rows = matrix_of(manifest)
    compacted = compact_index("demo").manifest
    np.testing.assert_array_equal(matrix_of(compacted), rows)
    facts = ("model", "revision", "recipe_hash", "similarity", "normalised", "device")
    for fact in facts:
        assert getattr(compacted, fact) == getattr(manifest, fact)
    assert verify_index("demo").ok


def test_a_model_does_not_take_over_what_it_did_not_make(files: Files, tmp_path: Path) -> None:
    """An index of another revision gives no vectors to a build, though model and recipe agree."""
    files.load()
    path = write_records(
        tmp_path / "d.jsonl", [{"id": "10023", "title": "Statins", "text": PAPERS["10023"][1]}]
    )
    outcome = build_index("demo", [path], HashingEncoder)
    assert outcome.report.encoded == 1
    assert msgspec.json.decode(outcome.report.to_json())["encoded"] == 1
