"""The text index against BM25 written out in the plainest way, and through its life."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_index_help import SUBJECTS, VERBS, documents, opened, reference, write

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index import text_index
from bioretrieval_tui.index.analysis import tokens
from bioretrieval_tui.index.layout import ANALYSER, ENGINE
from bioretrieval_tui.index.manifest import TextFacts
from bioretrieval_tui.index.text_index import TextIndex, TextIndexWriter

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
    np.testing.assert_allclose(scores, due, rtol=2e-5)
    np.testing.assert_allclose(scores, [expected[int(label)] for label in labels], rtol=2e-5)
    assert len(set(labels.tolist())) == len(labels)
    pairs = list(zip((-scores).tolist(), labels.tolist(), strict=True))
    assert pairs == sorted(pairs)


def test_scores_are_those_of_the_formula(tmp_path: Path) -> None:
    given_documents = documents(400)
    index = opened(tmp_path, given_documents)
    for query in QUERIES:
        expected = reference(dict(enumerate(given_documents)), asked(query))
        for k in (1, 10, 1_000):
            check(index.search(query, k), expected, k)
        scores = index.scores_of(query, np.arange(400))
        due = [expected.get(label, 0.0) for label in range(400)]
        np.testing.assert_allclose(scores, due, rtol=2e-5)


@pytest.fixture(scope="module")
def corpus() -> list[Document]:
    return documents(3_000, seed=4)


@pytest.fixture(scope="module")
def index(corpus: list[Document], tmp_path_factory: pytest.TempPathFactory) -> TextIndex:
    return opened(tmp_path_factory.mktemp("lexical"), corpus)


WORDS = st.lists(st.sampled_from([*SUBJECTS, *VERBS]), min_size=1, max_size=8)


@settings(deadline=None, max_examples=40)
@given(WORDS, st.integers(1, 60), st.integers(0, 10**6), st.sampled_from([0.0, 0.003, 0.3, 1.0]))
def test_filters_give_the_answer_of_the_whole_without_the_rest(
    corpus: list[Document], index: TextIndex, words: list[str], k: int, seed: int, share: float
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
    corpus: list[Document], index: TextIndex, weighted: list[tuple[str, float]], k: int
) -> None:
    terms = [(tokens(word)[0], weight) for word, weight in weighted]
    labels, scores = index.search(terms, k)
    everything = index.search(terms, len(corpus))
    assert labels.tolist() == everything[0][:k].tolist()
    assert scores.tolist() == everything[1][:k].tolist()


def test_weights(corpus: list[Document], index: TextIndex) -> None:
    given_documents = dict(enumerate(corpus))
    weighted = [("aspirin", 0.3), ("fever", 2.5), ("p53", 1.0), ("fever", 0.5)]
    expected = reference(given_documents, weighted)
    check(index.search(weighted, 50), expected, 50)
    nothing = index.search([("aspirin", 0.0), ("fever", -1.0), ("p53", float("nan"))], 9)
    assert nothing[0].tolist() == []


def test_repeated_words_count(index: TextIndex) -> None:
    one = index.scores_of("aspirin", np.arange(50))
    two = index.scores_of("aspirin aspirin", np.arange(50))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-6)
    assert one.max() > 0


@pytest.mark.parametrize("query", ["", " ", "the of and", "\x00\x1b[0m", "p < 0.05", "zzzz"])
def test_nothing_asked_nothing_found(index: TextIndex, query: str) -> None:
    labels, scores = index.search(query, 10)
    assert (labels.dtype, scores.dtype) == (np.int64, np.float32)
    assert len(labels) == len(scores) == 0
    assert index.scores_of(query, np.array([1, 2])).tolist() == [0.0, 0.0]
    assert index.explain(query, 1) == []


def test_no_results_wanted(index: TextIndex) -> None:
    assert len(index.search("aspirin", 0)[0]) == 0
    assert len(index.search("aspirin", 5, np.zeros(0, np.int64))[0]) == 0


def test_a_query_without_end(index: TextIndex) -> None:
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


def test_scores_of_labels_that_are_not_there(index: TextIndex, corpus: list[Document]) -> None:
    first = int(index.search("aspirin", 1)[0][0])
    scores = index.scores_of("aspirin", np.array([-1, first, len(corpus), 10**12, -(2**40)]))
    assert scores[1] > 0
    assert scores[[0, 2, 3, 4]].tolist() == [0, 0, 0, 0]


def test_explanation(index: TextIndex) -> None:
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


def test_document_frequency(index: TextIndex, corpus: list[Document]) -> None:
    for term in ("aspirin", "il6", "fever", "zzz"):
        held = sum(term in tokens(f"{document.title}\n{document.text}") for document in corpus)
        assert index.document_frequency(term) == held


def test_ties_go_by_label(tmp_path: Path) -> None:
    same = [Document(str(number), "aspirin", "fever") for number in range(3_000)]
    index = opened(tmp_path, same)
    assert index.search("aspirin fever", 7)[0].tolist() == list(range(7))
    backwards = np.array([5, 2_900, 17])
    assert index.search("aspirin", 2, backwards)[0].tolist() == [5, 17]


def test_long_documents_keep_their_order(tmp_path: Path) -> None:
    """Lengths above 40 terms are rounded, so that only clear differences decide."""
    index = opened(
        tmp_path,
        [
            Document("a", "", "aspirin " + "filler " * 2_000),
            Document("b", "", "aspirin " + "filler " * 60),
            Document("c", "x1 " * 300, "aspirin " * 70_000),
        ],
    )
    assert index.search("aspirin", 10)[0].tolist() == [2, 1, 0]


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_anything_indexed(tmp_path: Path, count: int) -> None:
    index = opened(tmp_path, [Document("a", "", "")] * count)
    assert len(index.search("aspirin", 5)[0]) == 0
    assert index.scores_of("aspirin", np.array([0, 1])).tolist() == [0, 0]
    assert index.facts.documents == count
    assert index.labels_with("aspirin").tolist() == []


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


WORD = st.sampled_from(["il6", "fever", "aspirin", "p53", "x", "y", "COVID-19", ""])
DOCUMENT = st.builds(
    lambda title, text: Document("", " ".join(title), " ".join(text)),
    st.lists(WORD, max_size=3),
    st.lists(WORD, max_size=6),
)
STEP = st.tuples(st.lists(DOCUMENT, max_size=8), st.sets(st.integers(0, 30), max_size=4))


@settings(deadline=None, max_examples=25)
@given(st.lists(STEP, min_size=1, max_size=4))
def test_any_history_finds_what_is_alive(
    steps: list[tuple[list[Document], set[int]]],
) -> None:
    """The same documents as one index over the living, with the statistics of all that are
    stored; where nothing died, the same scores."""
    with TemporaryDirectory() as name:
        base: Path | None = None
        alive: dict[int, Document] = {}
        every: list[Document] = []
        for number, (added, dying) in enumerate(steps):
            first = len(every)
            every += added
            alive.update(enumerate(added, first))
            dead = np.array(sorted(dying & set(alive)), dtype=np.int64)
            for label in dead.tolist():
                del alive[label]
            out = Path(name) / str(number)
            facts = write(out, added, first=first, base=base, dead=dead, alive=len(alive))
            base = out
        assert (facts.labels, facts.documents) == (len(every), len(alive))
        index = TextIndex(out, facts, name="demo")
        query = [("fever", 1.0), ("il6", 1.0)]
        expected = reference(dict(enumerate(every)), query)
        labels, found = index.search(query, 100)
        assert sorted(labels.tolist()) == sorted(set(expected) & set(alive))
        if len(alive) == len(every):
            np.testing.assert_allclose(found, sorted(expected.values(), reverse=True), rtol=2e-5)
        for term in ("aspirin", "covid19"):
            due = [at for at, one in alive.items()
                   if term in tokens(f"{one.title}\n{one.text}")]  # fmt: skip
            assert index.labels_with(term).tolist() == sorted(due)


def test_additions_in_many_segments_are_merged_and_ties_go_by_label(tmp_path: Path) -> None:
    base: Path | None = None
    for number in range(12):
        more = [Document(str(n), "aspirin", f"fever x{n % 3}") for n in range(50)]
        out = tmp_path / str(number)
        facts = write(out, more, first=50 * number, base=base)
        base = out
    index = TextIndex(out, facts, name="demo")
    assert index._searcher.num_segments < 12
    assert index.search("aspirin fever", 120)[0].tolist() == list(range(120))
    allowed = np.arange(1, 600, 2)
    assert index.search("aspirin", 200, allowed)[0].tolist() == allowed[:200].tolist()


def test_an_addition_leaves_the_index_that_it_continues_as_it_was(tmp_path: Path) -> None:
    facts = write(tmp_path / "one", documents(100))
    before = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    gone = np.arange(0, 100, 3)
    write(tmp_path / "two", documents(50), first=100, base=tmp_path / "one", dead=gone)
    assert {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()} == before
    assert len(TextIndex(tmp_path / "one", facts, name="x").search("aspirin", 100)[0]) > 0


def test_without_hard_links_segments_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    write(tmp_path / "one", documents(20))
    monkeypatch.setattr(os, "link", refused)
    facts = write(tmp_path / "two", documents(5), first=20, base=tmp_path / "one")
    assert facts.documents == 25


def test_everything_died(tmp_path: Path) -> None:
    write(tmp_path / "one", documents(20))
    facts = write(tmp_path / "two", [], first=20, base=tmp_path / "one", dead=np.arange(20))
    assert facts.documents == 0
    index = TextIndex(tmp_path / "two", facts, name="demo")
    assert len(index.search("aspirin", 5)[0]) == len(index.labels_with("aspirin")) == 0


def test_deletions_that_do_not_add_up_are_told(tmp_path: Path) -> None:
    with pytest.raises(IndexFault, match="holds 20 documents, not 19"):
        write(tmp_path / "one", documents(20), alive=19)


def test_half_a_surrogate_pair_is_indexed_as_a_question_mark(tmp_path: Path) -> None:
    index = opened(tmp_path, [Document("a", "\ud800", "aspirin x\udfffy"), Document("b", "fever")])
    assert index.search("aspirin", 5)[0].tolist() == [0]
    assert len(index.search("x\udfffy \ud800", 5)[0]) <= 1


def test_the_folder_holds_nothing_but_what_was_written(tmp_path: Path) -> None:
    facts = write(tmp_path / "text", documents(20))
    before = sorted(path.name for path in (tmp_path / "text").iterdir())
    assert [name for name in before if name.endswith(".lock")] == [".tantivy-meta.lock"]
    TextIndex(tmp_path / "text", facts, name="demo").search("aspirin", 5)
    assert sorted(path.name for path in (tmp_path / "text").iterdir()) == before


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_file_is_one_line(tmp_path: Path, share: float) -> None:
    """What the checksums of the manifest let through in no case: it must not crash either."""
    facts = write(tmp_path / "text", documents(200))
    for path in sorted((tmp_path / "text").iterdir()):
        if path.name in (".managed.json", ".tantivy-meta.lock"):
            continue  # read by writers only; empty
        copy = tmp_path / f"copy-{path.name}"
        shutil.copytree(tmp_path / "text", copy)
        (copy / path.name).write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        with pytest.raises(IndexFault, match="damaged") as caught:
            TextIndex(copy, facts, name="demo")
        assert "index compact demo" in caught.value.line()


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    facts = write(tmp_path / "text", documents(20))
    with pytest.raises(IndexFault, match="is damaged"):
        TextIndex(tmp_path / "nothing", facts, name="demo")


@pytest.mark.parametrize(
    "change", [{"labels": 1}, {"documents": 3}, {"analyser": "another-1"}, {"engine": None}]
)
def test_facts_that_do_not_fit(tmp_path: Path, change: dict[str, object]) -> None:
    facts = write(tmp_path / "text", documents(20))
    with pytest.raises(IndexFault) as caught:
        TextIndex(tmp_path / "text", msgspec.structs.replace(facts, **change), name="demo")
    assert "index compact demo" in caught.value.line()


def test_a_failing_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    for said, number in (
        ('IoError { io_error: Os { code: 28, kind: StorageFull, message: "No space" } }', 28),
        ("An IO error occurred: 'No space left on device (os error 28)'", 28),
        ("something else", None),
    ):
        with pytest.raises(OSError) as caught, text_index._as_os_errors():  # noqa: PT011
            raise ValueError(said)
        assert caught.value.errno == number


@pytest.mark.parametrize("suffix", ["meta.json", "fast", "idx", "term"])
def test_a_damaged_index_that_is_extended_is_a_fault(tmp_path: Path, suffix: str) -> None:
    base = tmp_path / "demo" / "generation" / "text"
    base.parent.mkdir(parents=True)
    write(base, documents(20))
    (path,) = base.glob(f"*{suffix}")
    path.write_bytes(b"\xff" * path.stat().st_size)
    new = tmp_path / "new"
    with pytest.raises(IndexFault) as caught, TextIndexWriter(new, base=base) as writer:  # noqa: PT012
        writer.add(20, documents(5))
        writer.finish(dead=np.array([3]), documents=24, total=25)
    assert "the text index cannot be extended: " in caught.value.message
    assert caught.value.line().endswith("run: bioretrieval-tui index compact demo")
    assert "\n" not in caught.value.line()


@pytest.mark.parametrize("labels", [[None, 1], [-1, 2], [2**62, 0], [20]])
def test_labels_of_no_document_are_a_fault(tmp_path: Path, labels: list[int | None]) -> None:
    """As tantivy reads them from an altered column."""
    index = TextIndex(tmp_path / "text", write(tmp_path / "text", documents(20)), name="demo")
    assert index._labels([0, 19]).tolist() == [0, 19]
    assert index._labels([]).tolist() == []
    with pytest.raises(IndexFault, match="the text index of demo is damaged"):
        index._labels(labels)


def test_what_was_begun_and_left_ends_its_threads(tmp_path: Path) -> None:
    with TextIndexWriter(tmp_path / "text") as writer:
        writer.add(0, documents(50))
    assert writer._writer is None
    with pytest.raises(IndexFault, match="damaged"):
        TextIndex(tmp_path / "text", TextFacts(analyser=ANALYSER, engine=ENGINE,
                                               labels=50, documents=50), name="demo")  # fmt: skip
