"""Writers and readers at the same time: one writer, readers that never see a mixture."""

from __future__ import annotations

import time
from pathlib import Path

import faulty
import numpy as np
import pictures
import pytest
from faulty import LONG, Child
from hashing_encoder import HashingEncoder, write_corpus
from pictures import at_home, demo, litter, one_line

from bioretrieval_tui.errors import IndexFault, NotFoundError
from bioretrieval_tui.index.build import build_index, compact_index
from bioretrieval_tui.index.registry import OpenIndex, list_indexes, open_index, remove_index
from bioretrieval_tui.index.vectors import VectorStore
from bioretrieval_tui.index.verify import verify_index

SWAPS = 20
COUNT = 120
SLOW = 0.05


def corpora(folder: Path, words: list[str]) -> list[str]:
    for word in words:
        write_corpus(str(folder / f"{word}.jsonl"), word, COUNT)
    return [str(folder / f"{word}.jsonl") for word in words]


def wait_for(path: Path, child: Child) -> None:
    while not path.exists():
        assert child.running, child.said()
        time.sleep(0.005)


def test_a_second_writer_is_told_who_holds_it(home: Path, tmp_path: Path) -> None:
    (one,) = corpora(tmp_path, ["one"])
    child = Child(home, faulty.build, [one], None, SLOW)
    wait_for(home / "data" / "indexes" / ".locks" / "demo.json", child)
    for attempt in (
        lambda: build_index("demo", [one], HashingEncoder),
        lambda: remove_index("demo"),
        lambda: compact_index("demo"),
    ):
        with pytest.raises(IndexFault) as caught:
            attempt()
        said = caught.value.line()
        one_line(said)
        assert f"index demo is being built by process {child.process.pid} since 2" in said
    # Other indexes are nobody's.
    build_index("other", [one], lambda: HashingEncoder(pictures.DIMENSION))
    child.kill()
    # The kernel gave the lock back; what the note says of it does not matter any more.
    outcome = build_index("demo", [one], lambda: HashingEncoder(pictures.DIMENSION))
    assert outcome.manifest.documents == COUNT
    remove_index("other")
    assert litter(home) == set()


def test_many_writers_at_once(home: Path, tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(6 if LONG else 4)]
    paths = corpora(tmp_path, words)
    children = [
        Child(home.with_name(f"link{number}"), crowding, str(home), path)
        for number, path in enumerate(paths)
    ]
    ends = [child.end() for child in children]
    done = [number for number, end in enumerate(ends) if "value" in end]
    assert done
    for end in ends:
        if "error" in end:
            one_line(end["error"])
            assert "is being" in end["error"]
            assert " by " in end["error"]
    assert verify_index("demo").ok
    index = open_index("demo")
    assert one_word(index) in {words[number] for number in done}
    index.close()
    assert litter(home) == set()


def crowding(home: str, path: str) -> None:
    """In the child: build into the one home that all of them share."""
    with at_home(Path(home)):
        faulty.build([path], None, SLOW)


def one_word(index: OpenIndex) -> str:
    """Ask everything there is to ask; all of it speaks of one corpus, which this is."""
    (batch,) = index.documents.batches(COUNT)
    words = {document.text.split()[0] for document in batch}
    assert len(batch) == COUNT
    (word,) = words
    assert isinstance(index.vectors, VectorStore)
    vector = HashingEncoder(pictures.DIMENSION).encode_queries([f"t {word} n7"])[0]
    labels, similarities = index.vectors.search(vector, COUNT)
    assert sorted(labels.tolist()) == list(range(COUNT))
    # float16 keeps three digits. The vector of document 7 is this very text's.
    place = labels.tolist().index(7)
    np.testing.assert_allclose(similarities[place], 1, atol=2e-3)
    found, _ = index.lexical.search(f"{word} n7", 1)
    assert found.tolist() == [7]
    other, _ = index.lexical.search("w0 w1 w2 w3 w4 w5 w6 w7".replace(word, ""), 1)
    assert other.tolist() == []
    return word


def swapping(paths: list[str], times: int) -> int:
    """In the child: one new generation after another."""
    generations = set()
    for number in range(times):
        encoder = faulty.PaidEncoder(None, 0.0)
        path = paths[number % len(paths)]
        generations.add(build_index("demo", [path], lambda: encoder).manifest.generation)  # noqa: B023
    return len(generations)


def test_readers_see_one_generation_during_twenty_swaps(home: Path, tmp_path: Path) -> None:
    paths = corpora(tmp_path, ["w0", "w1", "w2", "w3"])
    Child(home, faulty.build, paths[:1]).value()
    first = open_index("demo")
    assert one_word(first) == "w0"
    child = Child(home, swapping, paths, SWAPS)
    kept: list[OpenIndex] = []
    seen: dict[str, str] = {}
    looks = 0
    while child.running:
        index = open_index("demo")
        word = one_word(index)
        assert seen.setdefault(index.manifest.generation, word) == word
        assert [one.status for one in list_indexes()] == ["ok"]
        if looks % 4 == 0:
            assert verify_index("demo").ok
        looks += 1
        # Some readers stay for longer than one swap takes.
        kept.append(index)
        if len(kept) > 3:
            old = kept.pop(0)
            assert one_word(old) == seen[old.manifest.generation]
            old.close()
    assert child.value() == SWAPS
    assert one_word(first) == "w0"
    for index in [first, *kept]:
        index.close()
    assert looks > SWAPS // 4
    assert len(seen) > 2
    assert litter(home) == set()


def test_a_reader_of_a_graph_that_is_gone_says_so(home: Path, tmp_path: Path) -> None:
    """Vectors may be opened long after the index; a swap may have come before."""
    one, two = corpora(tmp_path, ["w0", "w1"])
    Child(home, faulty.build, [one]).value()
    index = open_index("demo", vectors=False)
    early = VectorStore(index.manifest, index.folder, exact_below=0)
    vector = HashingEncoder(pictures.DIMENSION).encode_queries(["t w0 n7"])[0]
    labels, _ = early.search(vector, 1)
    assert labels.tolist() == [7]
    Child(home, faulty.build, [two]).value()
    assert early.search(vector, 1)[0].tolist() == [7]
    with pytest.raises(IndexFault, match="is missing"):
        VectorStore(index.manifest, index.folder, exact_below=0)
    with pytest.raises(IndexFault, match="was replaced meanwhile"):
        _ = index.vectors
    index.close()


def test_removed_while_a_reader_has_it_open(home: Path, tmp_path: Path) -> None:
    (one,) = corpora(tmp_path, ["w0"])
    Child(home, faulty.build, [one]).value()
    index = open_index("demo")
    assert remove_index("demo") > 0
    assert one_word(index) == "w0"
    index.close()
    with pytest.raises(NotFoundError):
        open_index("demo")
    assert list_indexes() == []
    assert not demo(home).exists()


def test_removed_and_built_under_a_reader_that_looks_all_the_time(
    home: Path, tmp_path: Path
) -> None:
    """There is an index or there is none; there is nothing between."""
    (one,) = corpora(tmp_path, ["w0"])
    child = Child(home, coming_and_going, one)
    there = 0
    while child.running:
        try:
            index = open_index("demo")
        except NotFoundError:
            continue
        there += 1
        assert one_word(index) == "w0"
        index.close()
    assert child.value() == 8
    assert there


def coming_and_going(path: str) -> int:
    for _ in range(8):
        faulty.build([path])
        time.sleep(SLOW)
        remove_index("demo")
    return 8
