"""A document is encoded once in a home, whatever index or unfinished build holds it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hashing_encoder import HashingEncoder
from index_help import feeding, record

from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.documents.document import Document, Record
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.errors import InterruptedByUser
from bioretrieval_tui.index import registry
from bioretrieval_tui.index.build import add_to_index, add_vectors, build_index
from bioretrieval_tui.index.layout import IndexBusy, index_folder, using
from bioretrieval_tui.index.registry import clear_cache, info, keep_within_cache, open_index
from bioretrieval_tui.index.vector_cache import Vectoriser, embedded_facts, facts_of
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.progress import Progress, Reporter, silent
from bioretrieval_tui.search.catalogue_index import catalogue_documents

RECORDS = [record(f"d{n}", f"asthma day{n}x", f"title {n}", year=2000 + n) for n in range(20)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class Counting(HashingEncoder):
    """Counts the documents that it encodes."""

    texts: ClassVar[list[str]] = []

    def encode_documents(
        self,
        documents: Sequence[Document],
        progress: Reporter = silent,
        longer: list[int] | None = None,
    ) -> np.ndarray:
        self.texts.extend(one.text for one in documents)
        return super().encode_documents(documents, progress, longer)


@pytest.fixture(autouse=True)
def encoded() -> list[str]:
    Counting.texts = []
    return Counting.texts


def vectors_of(name: str) -> np.ndarray:
    with_vectors = open_index(name)
    try:
        return with_vectors.vectors.matrix.take(np.arange(with_vectors.manifest.rows))
    finally:
        with_vectors.close()


def test_what_any_index_holds_is_not_encoded_again(encoded: list[str]) -> None:
    build_index("one", feeding(RECORDS[:12]), Counting)
    build_index("two", feeding(RECORDS[8:]), Counting)
    assert len(encoded) == len(set(encoded)) == 20
    build_index("all", feeding(RECORDS), Counting)
    assert len(encoded) == 20
    assert np.array_equal(vectors_of("all")[:12], vectors_of("one"))
    assert np.array_equal(vectors_of("all")[8:], vectors_of("two"))
    assert verify_index("all").ok
    add_to_index("one", feeding(RECORDS[15:]), lambda *_, **__: Counting())
    assert len(encoded) == 20


def test_what_an_unfinished_build_left_is_not_encoded_again(encoded: list[str]) -> None:
    def stop(step: Progress) -> None:
        if step.stage == "linking":
            raise InterruptedByUser("enough")

    with pytest.raises(InterruptedByUser):
        build_index("one", feeding(RECORDS), Counting, reporter=stop)
    build_index("two", feeding(RECORDS), Counting)
    assert len(encoded) == 20


@pytest.mark.parametrize("spoilt", ["vectors.f16", "documents.sqlite"])
def test_a_damaged_index_gives_no_vectors(encoded: list[str], spoilt: str) -> None:
    build_index("one", feeding(RECORDS), Counting)
    (path,) = index_folder("one").glob(f"*/{spoilt}")
    data = bytearray(path.read_bytes())
    data[100] ^= 255
    path.write_bytes(data)
    os.utime(path, (1, 1))
    build_index("two", feeding(RECORDS), Counting)
    assert len(encoded) == 40
    assert verify_index("two").ok


def test_another_model_shares_nothing(encoded: list[str]) -> None:
    build_index("one", feeding(RECORDS), Counting)
    build_index("two", feeding(RECORDS), lambda: Counting(24))
    assert len(encoded) == 40


def test_the_shipped_vectors_need_no_model() -> None:
    def refused() -> HashingEncoder:
        raise AssertionError("the model is loaded")

    documents = catalogue_documents(load().catalogue)[:5]
    items = [Record(one, RECORDS[0].place) for one in documents]
    build_index("some", feeding(items), refused, facts=embedded_facts())
    found = info("some")
    assert (found.documents, found.max_tokens) == (5, embedded.MOST_TOKENS)
    assert found.longer is not None


def test_vectors_are_added_to_an_index_for_bm25(encoded: list[str]) -> None:
    build_index("one", feeding(RECORDS), Vectoriser(facts_of(HashingEncoder())), ids="pmid")
    assert info("one").dimension == 0
    outcome = add_vectors("one", Counting)
    assert (outcome.report.encoded, outcome.manifest.documents, outcome.manifest.ids) == (
        20, 20, "pmid",
    )  # fmt: skip
    assert verify_index("one").ok
    assert len(encoded) == 20
    add_vectors("one", lambda: Counting(24))  # of another model: BM25 loses nothing
    assert info("one").dimension == 24
    assert len(encoded) == 40


def built_by_evaluation(name: str, first: int) -> None:
    build_index(name, feeding(RECORDS[first : first + 5]), HashingEncoder, fingerprint=name)
    os.utime(index_folder(name), (1e9 + first, 1e9 + first))


def test_indexes_of_evaluations_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    build_index("mine", feeding(RECORDS), HashingEncoder)
    for number, name in enumerate(("eval-a", "eval-b", "eval-c")):
        built_by_evaluation(name, number)
    assert [one.name for one in registry.list_indexes() if one.cached] == [
        "eval-a", "eval-b", "eval-c",
    ]  # fmt: skip
    assert keep_within_cache("eval-c") == []
    keep_within_cache("eval-a")  # used now
    most = 2.5 * info("eval-a").bytes / 2**30
    monkeypatch.setenv("BIORETRIEVAL_CACHE_GIB", str(most))
    assert keep_within_cache("eval-c") == ["eval-b"]
    monkeypatch.setenv("BIORETRIEVAL_CACHE_GIB", "0")
    assert keep_within_cache("eval-c") == ["eval-a"]  # never the one in use
    assert registry.index_names() == ["eval-c", "mine"]


def test_the_cache_is_emptied(encoded: list[str]) -> None:
    build_index("mine", feeding(RECORDS), Counting)
    built_by_evaluation("eval-a", 3)

    def stop(step: Progress) -> None:
        if step.stage == "linking":
            raise InterruptedByUser("enough")

    with pytest.raises(InterruptedByUser):
        build_index("half", feeding([record("x", "another text")]), Counting, reporter=stop)
    assert registry.kept_vectors("half") == 1
    freed, busy = clear_cache()
    assert freed > 0
    assert busy == []
    assert [one.name for one in registry.list_indexes()] == ["mine"]
    assert verify_index("mine").ok


def test_an_index_that_an_evaluation_uses_stays() -> None:
    built_by_evaluation("eval-a", 0)
    built_by_evaluation("eval-b", 1)
    with using("eval-a"):
        with pytest.raises(IndexBusy, match=f"eval-a is being used by process {os.getpid()}"):
            registry.remove_index("eval-a")
        freed, busy = clear_cache()
        assert (freed > 0, busy) == (True, ["eval-a"])
        assert registry.index_names() == ["eval-a"]
    # What a process that was killed left holds nothing.
    left = index_folder("eval-a").parent / ".locks" / "used" / "eval-a" / "1-0"
    left.touch()
    assert clear_cache()[1] == []
    assert registry.list_indexes() == []


def test_an_unfinished_index_of_an_evaluation_is_one_of_the_cache() -> None:
    def stop(step: Progress) -> None:
        if step.stage == "linking":
            raise InterruptedByUser("enough")

    for name in ("eval-mine", "eval-tiny-0123abcd"):
        with pytest.raises(InterruptedByUser):
            build_index(name, feeding([record("x", name)]), Counting, reporter=stop)
    assert [one.cached for one in registry.list_indexes()] == [False, True]
