"""Runs, merges, additions and deletions: always the index of one build over what is alive."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lexical_building import NONE, build, documents, reference, same_files

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.lexical import arrays
from bioretrieval_tui.index.lexical.analysis import tokens
from bioretrieval_tui.index.lexical.arrays import DEAD, open_arrays, term_hash
from bioretrieval_tui.index.lexical.bm25 import LexicalIndex, Parameters
from bioretrieval_tui.index.lexical.merge import write_index
from bioretrieval_tui.index.lexical.runs import RunWriter

WORD = st.sampled_from(["il6", "fever", "aspirin", "p53", "x", "y", "COVID-19", ""])
DOCUMENT = st.builds(
    lambda title, text: Document("", " ".join(title), " ".join(text)),
    st.lists(WORD, max_size=3),
    st.lists(WORD, max_size=6),
)
SMALL = st.sampled_from([1, 3, 10_000])


def postings_of(folder: Path) -> dict[int, dict[int, tuple[int, int]]]:
    """Every posting of an index or run: term hash -> label -> (times in title, in text)."""
    found = open_arrays(folder, remedy="none")
    table: dict[int, dict[int, tuple[int, int]]] = {}
    for place, hashed in enumerate(found.terms.tolist()):
        part = slice(int(found.offsets[place]), int(found.offsets[place + 1]))
        labels = found.documents[part].tolist()
        assert labels == sorted(set(labels))
        times = [tuple(pair) for pair in found.frequencies[part].tolist()]
        table[hashed] = dict(zip(labels, times, strict=True))
    return table


def counted(alive: dict[int, Document]) -> dict[int, dict[int, tuple[int, int]]]:
    """What `postings_of` must give, counted by hand."""
    table: dict[int, dict[int, tuple[int, int]]] = {}
    for label, document in alive.items():
        title, text = tokens(document.title), tokens(document.text)
        for term in {*title, *text}:
            times = (title.count(term), text.count(term))
            table.setdefault(term_hash(term), {})[label] = times
    return table


def write_runs(
    folder: Path, first: int, given_documents: list[Document], cuts: list[int]
) -> list[Path]:
    """Runs over `given_documents`, by several writers and several calls of each."""
    ends = sorted({min(cut, len(given_documents)) for cut in cuts} | {len(given_documents)})
    runs: list[Path] = []
    start = 0
    for end in ends:
        writer = RunWriter(folder, budget=2_000)
        middle = (start + end) // 2
        writer.add(first + start, given_documents[start:middle])
        writer.add(first + middle, given_documents[middle:end])
        runs += writer.finish()
        start = end
    return runs


STEP = st.tuples(
    st.lists(DOCUMENT, max_size=8),
    st.lists(st.integers(0, 8), max_size=3),
    st.sets(st.integers(0, 30), max_size=4),
    SMALL,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(STEP, min_size=1, max_size=4))
def test_any_history_equals_one_build_over_the_living(
    steps: list[tuple[list[Document], list[int], set[int], int]],
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        base: Path | None = None
        alive: dict[int, Document] = {}
        total = 0
        for number, (added, cuts, dying, at_once) in enumerate(steps):
            runs = write_runs(folder / f"runs{number}", total, added, cuts)
            alive.update(enumerate(added, total))
            total += len(added)
            dead = np.array(sorted(label for label in dying if label < total), dtype=np.int64)
            for label in dead.tolist():
                alive.pop(label, None)
            out = folder / f"index{number}"
            facts = write_index(
                out, runs, base=base, dead=dead, total=total, postings_at_once=at_once
            )
            base = out
        expected = counted(alive)
        assert postings_of(out) == expected
        assert facts.terms == len(expected)
        assert facts.postings == sum(map(len, expected.values()))
        assert (facts.labels, facts.documents) == (total, len(alive))
        lengths = open_arrays(out, remedy="none").lengths
        for label in range(total):
            document = alive.get(label)
            due = (
                (int(DEAD), int(DEAD))
                if document is None
                else (len(tokens(document.title)), len(tokens(document.text)))
            )
            assert tuple(lengths[label].tolist()) == due
        # The same in one go: every byte.
        whole = folder / "whole"
        once = RunWriter(folder / "once")
        once.add(0, [alive.get(label, Document("")) for label in range(total)])
        gone = np.array([at for at in range(total) if at not in alive], dtype=np.int64)
        again = write_index(whole, once.finish(), base=None, dead=gone, total=total)
        assert again == facts
        same_files(whole, out)
        index = LexicalIndex(out, facts, name="demo")
        query = [("fever", 1.0), ("il6", 1.0)]
        scores = reference(alive, query, Parameters())
        labels, found = index.search_weighted(query, 100)
        assert sorted(labels.tolist()) == sorted(scores)
        np.testing.assert_allclose(found, sorted(scores.values(), reverse=True), rtol=1e-5)


def test_a_small_budget_gives_many_runs_and_the_same_index(tmp_path: Path) -> None:
    given_documents = documents(500, seed=9)
    one = build(tmp_path / "one", given_documents)
    many = build(tmp_path / "many", given_documents, budget=20_000, at_once=50)
    assert len(list((tmp_path / "one" / "runs").iterdir())) == 1
    assert len(list((tmp_path / "many" / "runs").iterdir())) > 5
    assert one == many
    same_files(tmp_path / "one" / "index", tmp_path / "many" / "index")


def test_files_are_plain_numpy(tmp_path: Path) -> None:
    facts = build(tmp_path, documents(50))
    folder = tmp_path / "index"
    for name in arrays.FILES:
        loaded = np.load(folder / name, mmap_mode="r", allow_pickle=False)
        due = getattr(open_arrays(folder, remedy="none"), name.removesuffix(".npy"))
        assert loaded.dtype == due.dtype
        assert loaded.tolist() == due.tolist()
    assert sorted(path.name for path in folder.iterdir()) == sorted(arrays.FILES)
    assert facts.documents == 50


def test_labels_that_were_never_given_are_dead(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "runs")
    writer.add(3, [Document("a", "aspirin"), Document("b", "", "")])
    facts = write_index(tmp_path / "i", writer.finish(), base=None, dead=NONE, total=8)
    lengths = open_arrays(tmp_path / "i", remedy="none").lengths
    assert (lengths[:, 0] == DEAD).tolist() == [True, True, True, False, False, True, True, True]
    assert facts.documents == 2
    index = LexicalIndex(tmp_path / "i", facts, name="demo")
    assert index.search("aspirin", 5)[0].tolist() == [3]
    assert index.scores_of("aspirin", np.arange(8)).nonzero()[0].tolist() == [3]


def test_everything_died(tmp_path: Path) -> None:
    facts = build(tmp_path, documents(20))
    dead = np.arange(20)
    gone = write_index(tmp_path / "gone", [], base=tmp_path / "index", dead=dead, total=20)
    assert facts.terms > 0
    assert (gone.documents, gone.terms, gone.postings, gone.text_length) == (0, 0, 0, 0.0)
    assert len(LexicalIndex(tmp_path / "gone", gone, name="demo").search("aspirin", 5)[0]) == 0


def test_labels_out_of_turn(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "runs")
    writer.add(0, documents(3))
    with pytest.raises(ValueError, match="label 2 where 3 is due"):
        writer.add(2, documents(1))
    with pytest.raises(ValueError, match="32 bits"):
        RunWriter(tmp_path / "other").add(2**32 - 3, documents(5))
    runs = writer.finish()
    with pytest.raises(ValueError, match="where 2 labels"):
        write_index(tmp_path / "i", runs, base=None, dead=NONE, total=2)
    for label in (-1, 3):
        with pytest.raises(ValueError, match="dead label"):
            write_index(tmp_path / "i", runs, base=None, dead=np.array([label]), total=3)


def test_runs_that_overlap_the_base(tmp_path: Path) -> None:
    build(tmp_path, documents(5))
    again = RunWriter(tmp_path / "again")
    again.add(4, documents(2))
    with pytest.raises(IndexFault, match="indexed twice"):
        write_index(tmp_path / "i", again.finish(), base=tmp_path / "index", dead=NONE, total=6)


def test_a_run_of_an_earlier_attempt_is_replaced(tmp_path: Path) -> None:
    first = RunWriter(tmp_path / "runs")
    first.add(0, [Document("a", "old")])
    first.finish()
    second = RunWriter(tmp_path / "runs")
    second.add(0, [Document("a", "new")])
    (run,) = second.finish()
    assert set(postings_of(run)) == {term_hash("new")}


def test_a_failing_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = RunWriter(tmp_path / "runs")
    writer.add(0, documents(30))
    runs = writer.finish()
    build(tmp_path / "before", documents(5))
    calls = 0

    def full(_: int) -> None:
        nonlocal calls
        calls += 1
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_index(tmp_path / "i", runs, base=None, dead=NONE, total=30)
    assert list((tmp_path / "i").iterdir()) == []
    other = RunWriter(tmp_path / "other")
    other.add(0, documents(5))
    with pytest.raises(OSError, match="No space"):
        other.finish()
    assert list((tmp_path / "other").iterdir()) == []
    assert calls == 2
