"""The shelf: one thing under any of its keys, two writers at once, killed and damaged files."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.identity import shelf_keys
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.shelf import (
    Change,
    SavedSearch,
    Shelf,
    ShelfMark,
    ShelfStore,
    kept_shelf,
    merged,
    noted_as,
    shelf_path,
)

BY_PMID = ShelfMark(keys=("pmid:1", "text:aa"), title="Statins", about={"id": "1"})
BY_DOI = ShelfMark(keys=("doi:10.1/x",), title="Statins (preprint)")
BOTH = ShelfMark(keys=("pmid:1", "doi:10.1/x", "text:bb"), title="Statins", about={"id": "1"})


@pytest.fixture
def store(tmp_path: Path) -> ShelfStore:
    return ShelfStore(tmp_path / "data" / "shelf.sqlite")


def noting(**noted: object) -> Change:
    return lambda mark: replace(mark, **noted)  # type: ignore[arg-type]  # fields of a mark


def test_a_thing_stays_as_long_as_something_is_noted_of_it(store: ShelfStore) -> None:
    assert store.marks() == []
    assert not store.path.exists()
    ((before, after),) = store.change([(BY_PMID, noting(starred=True, status="To-Read"))])
    assert (before.kept, after.status, after.added) == (False, "to read", after.changed)
    assert store.path.stat().st_mode & 0o077 == 0
    store.change([(BY_PMID, noting(tags=("#b", "a  c", "b", "")))])
    store.change([(BY_PMID, noting(note="  Cite this.\nTwice. "))])
    (mark,) = ShelfStore(store.path).marks(about=True)
    assert mark.noted == (True, "to read", ("a c", "b"), "Cite this.\nTwice.")
    assert (mark.keys, mark.about) == (("pmid:1", "text:aa"), {"id": "1"})
    ((before, after),) = store.change([(BY_PMID, lambda one: noted_as(BY_PMID)(one))])
    assert before == mark
    assert not after.kept
    assert store.marks() == []
    assert store.about("pmid:1") == {}
    ((_, back),) = store.change([(BY_PMID, noted_as(before))])
    assert back.noted == mark.noted


def test_keys_that_turn_out_to_be_of_one_thing_join_its_marks(store: ShelfStore) -> None:
    store.change([(BY_PMID, noting(starred=True, tags=("a",)))])
    store.change([(BY_DOI, noting(status="reading", note="Read this.", tags=("b",)))])
    assert len(store.marks()) == 2
    store.change([(BOTH, noting(status="read"))])
    (mark,) = store.marks()
    assert mark.keys == ("pmid:1", "doi:10.1/x", "text:aa", "text:bb")
    assert mark.noted == (True, "read", ("a", "b"), "Read this.")
    assert Shelf([mark]).find(["text:zz", "doi:10.1/x"]) is mark
    assert store.about("text:aa") == {"id": "1"}


def test_what_cannot_be_noted_changes_nothing(store: ShelfStore) -> None:
    store.change([(BY_PMID, noting(starred=True))])
    for wrong in ({"status": "skimmed"}, {"tags": ("x" * 101,)}, {"note": "x" * 100_001}):
        with pytest.raises(UsageError):
            store.change([(BY_DOI, noting(starred=True)), (BY_PMID, noting(**wrong))])
        assert [mark.key for mark in store.marks()] == ["pmid:1"]


def test_the_newer_of_two_marks_is_kept_when_they_join() -> None:
    old = ShelfMark(keys=("pmid:1",), note="old", tags=("a",), added="2025", changed="2025")
    new = ShelfMark(keys=("pmid:1",), note="new", status="read", added="2026", changed="2026")
    for one, other in ((old, new), (new, old)):
        mark = merged(other)(one)
        assert (mark.note, mark.status, mark.added, mark.changed) == ("new", "read", "2025", "2026")
        assert "a" in mark.tags


def test_saved_searches_each_under_its_letter(store: ShelfStore) -> None:
    first = {"query": "statins", "filter": "year:2020..", "indexes": "mine\ncatalogue"}
    store.save(SavedSearch("s", "search", first))
    store.save(SavedSearch("a", "models", {"filter": "is:starred"}))
    assert store.saved()[1].state == first
    store.save(SavedSearch("s", "search", {"query": "aspirin"}))
    assert [(one.letter, one.state) for one in store.saved()] == [
        ("a", {"filter": "is:starred"}),
        ("s", {"query": "aspirin"}),
    ]
    store.forget("a")
    assert [one.letter for one in store.saved()] == ["s"]


def test_the_shelf_of_the_user_is_read_again_after_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    assert kept_shelf().marks == []
    for number in range(3):  # quicker than the clock of a file system
        thing = ShelfMark(keys=(f"entry:e{number}",), kind="model")
        ShelfStore(shelf_path()).change([(thing, noting(starred=True))])
        first = kept_shelf()
        assert first.entry(f"e{number}") is not None
        assert kept_shelf() is first


@pytest.mark.parametrize(
    ("document", "keys"),
    [
        (
            Document("7", "T", "A text.", {"pmid": "7", "doi": "10.1234/AbC"}),
            ["pmid", "doi", "text"],
        ),
        (Document("7", "Editorial", "", {"pmid": 7}), ["pmid"]),
        (Document("7", "A title alone"), ["text"]),
        (Document("7"), []),
    ],
)
def test_the_keys_of_a_document(document: Document, keys: list[str]) -> None:
    found = shelf_keys(document)
    assert [key.partition(":")[0] for key in found] == keys
    assert "doi:10.1234/abc" in found or "doi" not in keys


# Several processes ----------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from msgspec.structs import replace
from bioretrieval_tui.shelf import ShelfMark, ShelfStore

store, name, many = ShelfStore(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
for number in range(many):
    own = ShelfMark(keys=(f"pmid:{name}{number}",), title=name)
    both = ShelfMark(keys=("pmid:1",), title="both")
    tag = f"{name}{number % 40}"
    store.change([(own, lambda mark: replace(mark, starred=True)),
                  (both, lambda mark: replace(mark, tags=(*mark.tags, tag)))])
    print(number, flush=True)
"""


def writer(path: Path, name: str, many: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", WRITER, str(path), name, str(many)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_two_apps_with_many_marks_each_lose_none(store: ShelfStore) -> None:
    many = 1_000 if os.environ.get("BIORETRIEVAL_FAULTS") == "long" else 20
    both = [writer(store.path, name, many) for name in ("2", "3")]
    assert [len(one.communicate(timeout=120)[0].split()) for one in both] == [many, many]
    shelf = Shelf(store.marks())
    assert len(shelf.marks) == 2 * many + 1
    shared = shelf.find(["pmid:1"])
    assert shared is not None
    assert len(shared.tags) == 2 * min(many, 40)


def test_a_killed_app_leaves_all_that_it_was_told_is_kept(store: ShelfStore) -> None:
    child = writer(store.path, "2", 100_000)
    assert child.stdout is not None
    for _ in range(20):
        child.stdout.readline()
    time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    told = 20 + len(child.stdout.read().split())
    child.wait()
    child.stdout.close()
    assert told <= len(store.marks()) - 1 <= told + 1
    store.change([(BY_DOI, noting(starred=True))])


# Damaged files --------------------------------------------------------------------------------


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "no database":
        data = bytearray(b"this is no database, whatever its name says")
    elif how == "cut":
        data = data[: len(data) // 2]
    else:
        data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["no database", "cut", "overwritten"])
def test_a_damaged_file_is_kept_aside_and_the_loss_told(store: ShelfStore, how: str) -> None:
    things = [ShelfMark(keys=(f"pmid:{n}",), about={"text": "x" * 900}) for n in range(1, 40)]
    store.change([(thing, noting(starred=True)) for thing in things])
    damage(store.path, how)
    with pytest.raises(BioRetrievalError, match=r"was damaged: .* is kept as"):
        ShelfStore(store.path).marks(about=True)
    told: list[str] = []
    damaged = ShelfStore(store.path, told.append)
    damaged.change([(BY_DOI, noting(starred=True))])
    assert [mark.key for mark in damaged.marks()] == ["doi:10.1/x"]
    assert told == []  # once is enough
    (aside,) = store.path.parent.glob("shelf.damaged-2*.sqlite")
    assert aside.stat().st_size
    assert store.path.stat().st_mode & 0o077 == 0


def test_what_is_not_ours_to_read_is_one_error(store: ShelfStore) -> None:
    store.change([(BY_DOI, noting(starred=True))])
    with sqlite3.connect(store.path) as db:
        db.execute("pragma user_version = 99")
    db.close()
    with pytest.raises(BioRetrievalError, match="newer version"):
        store.marks()
    store.path.unlink()
    store.path.mkdir()
    for call in (store.marks, lambda: store.change([(BY_DOI, noting(starred=True))])):
        with pytest.raises(BioRetrievalError, match=r"shelf.sqlite cannot be"):
            call()
