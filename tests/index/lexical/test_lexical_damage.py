"""Every file cut, lengthened, flipped, missing or another's: one line, never a crash."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from lexical_building import NONE, SUBJECTS, build, documents

from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.lexical.arrays import FILES
from bioretrieval_tui.index.lexical.bm25 import LexicalIndex
from bioretrieval_tui.index.lexical.facts import LexicalFacts
from bioretrieval_tui.index.lexical.merge import write_index
from bioretrieval_tui.index.lexical.runs import RunWriter

COUNT = 200


@pytest.fixture
def facts(tmp_path: Path) -> LexicalFacts:
    return build(tmp_path, documents(COUNT))


def fault(folder: Path, facts: LexicalFacts) -> str:
    with pytest.raises(IndexFault) as caught:
        LexicalIndex(folder, facts, name="demo")
    line = caught.value.line()
    assert "index compact demo" in line
    assert "\n" not in line
    return line


def use(folder: Path, facts: LexicalFacts) -> bool:
    """Ask everything; True if it answered, False if the damage was told. Nothing else happens."""
    try:
        index = LexicalIndex(folder, facts, name="demo")
        for word in SUBJECTS:
            labels, scores = index.search(word, 10)
            assert len(labels) == len(scores)
            assert all(0 <= label < COUNT for label in labels.tolist())
            assert np.all(np.isfinite(scores))
            index.search(word, 10, np.arange(0, COUNT, 40))
            index.scores_of(word, np.arange(-5, COUNT + 5))
            index.explain(word, 3)
            index.document_frequency(word.lower())
    except IndexFault:
        return False
    return True


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_cut_file(tmp_path: Path, facts: LexicalFacts, name: str, share: float) -> None:
    path = tmp_path / "index" / name
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert name in fault(tmp_path / "index", facts)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("more", [1, 2, 4, 8, 64])
def test_a_file_with_more_bytes(tmp_path: Path, facts: LexicalFacts, name: str, more: int) -> None:
    path = tmp_path / "index" / name
    path.write_bytes(path.read_bytes() + b"\0" * more)
    assert name in fault(tmp_path / "index", facts)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_and_a_folder_in_its_place(
    tmp_path: Path, facts: LexicalFacts, name: str
) -> None:
    path = tmp_path / "index" / name
    path.unlink()
    assert f"{name} is missing" in fault(tmp_path / "index", facts)
    path.mkdir()
    assert f"{name} cannot be read" in fault(tmp_path / "index", facts)


@pytest.mark.parametrize("name", FILES)
def test_any_header_byte_flipped(tmp_path: Path, facts: LexicalFacts, name: str) -> None:
    path = tmp_path / "index" / name
    data = path.read_bytes()
    for place in range(128):
        damaged = bytearray(data)
        damaged[place] ^= 1 << (place % 7)
        path.write_bytes(damaged)
        assert name in fault(tmp_path / "index", facts)


@pytest.mark.parametrize("name", FILES)
def test_flipped_bytes_never_lead_outside(tmp_path: Path, facts: LexicalFacts, name: str) -> None:
    path = tmp_path / "index" / name
    data = path.read_bytes()
    chance = random.Random(11)
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(chance.choice([1, 1, 50])):
            damaged[chance.randrange(128, len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        use(tmp_path / "index", facts)
    path.write_bytes(data)
    assert use(tmp_path / "index", facts)


@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"\x80"])
@pytest.mark.parametrize("name", FILES)
def test_overwritten_rows(tmp_path: Path, facts: LexicalFacts, name: str, filling: bytes) -> None:
    path = tmp_path / "index" / name
    data = path.read_bytes()
    path.write_bytes(data[:128] + filling * (len(data) - 128))
    if name in ("terms.npy", "offsets.npy"):
        assert name in fault(tmp_path / "index", facts)
    elif name == "documents.npy":
        assert not use(tmp_path / "index", facts)
    else:
        use(tmp_path / "index", facts)


def test_postings_out_of_order_are_told(tmp_path: Path, facts: LexicalFacts) -> None:
    path = tmp_path / "index" / "documents.npy"
    rows = np.load(path)
    path.write_bytes(path.read_bytes()[:128] + rows[::-1].tobytes())
    index = LexicalIndex(tmp_path / "index", facts, name="demo")
    for _ in range(2):
        with pytest.raises(IndexFault, match="out of order"):
            index.search("aspirin", 10)


def test_files_of_another_index(tmp_path: Path, facts: LexicalFacts) -> None:
    build(tmp_path / "other", documents(COUNT + 1, seed=2))
    for name in FILES:
        mixed = tmp_path / f"mixed-{name}"
        shutil.copytree(tmp_path / "index", mixed)
        shutil.copy(tmp_path / "other" / "index" / name, mixed / name)
        if name != "terms.npy":  # as many terms, and the same ones
            assert "damaged" in fault(mixed, facts)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": COUNT + 1},
        {"terms": 3},
        {"postings": 1},
        {"documents": COUNT + 1},
        {"documents": -1},
        {"title_length": float("nan")},
        {"text_length": -1.0},
        {"analyser": "another-1"},
    ],
)
def test_facts_that_do_not_fit(
    tmp_path: Path, facts: LexicalFacts, change: dict[str, object]
) -> None:
    fault(tmp_path / "index", msgspec.structs.replace(facts, **change))


@pytest.mark.parametrize("name", FILES)
def test_merging_onto_a_damaged_base(tmp_path: Path, facts: LexicalFacts, name: str) -> None:
    path = tmp_path / "index" / name
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    writer = RunWriter(tmp_path / "more")
    writer.add(COUNT, documents(3))
    runs = writer.finish()

    def merge() -> LexicalFacts:
        return write_index(
            tmp_path / "out", runs, base=tmp_path / "index", dead=NONE, total=COUNT + 3
        )

    with pytest.raises(IndexFault, match=name) as caught:
        merge()
    assert caught.value.remedy == "build the index again"
    path.write_bytes(data[:128] + b"\xff" * (len(data) - 128))
    if name == "frequencies.npy":
        assert merge().documents == COUNT + 3  # any frequency may be one
    elif name == "lengths.npy":
        assert merge().documents == 3  # the rest counts as dead
    else:
        with pytest.raises(IndexFault, match="damaged"):
            merge()


def test_a_folder_that_is_no_run(tmp_path: Path, facts: LexicalFacts) -> None:
    with pytest.raises(IndexFault, match="not the name of a run"):
        write_index(tmp_path / "out", [tmp_path / "index"], base=None, dead=NONE, total=9)
