"""Listing, looking, opening and removing; one writer at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hashing_encoder import HashingEncoder, write_corpus
from index_help import feeding, of_hashing, record, tree, whole
from msgspec import structs

from bioretrieval_tui.errors import IndexFault, NotFoundError, UsageError
from bioretrieval_tui.index import registry
from bioretrieval_tui.index.build import add_to_index, build_index
from bioretrieval_tui.index.layout import (
    METADATA,
    TEXT,
    IndexBusy,
    index_folder,
    indexes_folder,
    writing,
)
from bioretrieval_tui.index.manifest import Manifest, encode_manifest, read_manifest
from bioretrieval_tui.index.registry import (
    index_names,
    info,
    list_indexes,
    open_index,
    remove_index,
    restore_index,
    sweep_removed,
    trash,
)
from bioretrieval_tui.progress import Progress


def test_no_indexes_yet() -> None:
    assert list_indexes() == []
    assert not indexes_folder().exists()


def test_what_is_listed(built: Manifest, corpus: Path) -> None:
    build_index("a-first", [corpus], HashingEncoder)
    (indexes_folder() / "stray.txt").write_text("not an index")
    (indexes_folder() / "empty").mkdir()
    listed = list_indexes()
    assert [found.name for found in listed] == ["a-first", "demo"]
    found = listed[1]
    size = sum(path.stat().st_size for path in index_folder("demo").rglob("*") if path.is_file())
    assert structs.asdict(found) == {
        "cached": False,
        "name": "demo",
        "documents": 300,
        "model": "test/hashing",
        "dimension": 16,
        "dtype": "float16",
        "device": "cpu",
        "built": built.built,
        "bytes": size,
        "status": "ok",
        "docs_per_second": built.docs_per_second,
        "dead_share": 0.0,
        "aliases": 0,
        "segments": 1,
        "store": None,
        "recall": built.graph.recall,
        "graphs": 1,
        "outside": 0,
        "parts": built.bytes_by_part,
        "max_tokens": 256,
        "longer": 0,
        "passages": None,
        "fields": ("abstract", "id"),
    }
    assert info("demo") == found


def test_the_manifest_reads_back(built: Manifest) -> None:
    read = read_manifest(index_folder("demo"))
    assert encode_manifest(read) == encode_manifest(built)
    assert read.checksum != ""
    (source,) = read.inputs
    assert source.documents == 300


def test_an_unknown_index_names_the_near_ones(built: Manifest) -> None:
    for ask in (open_index, info, remove_index):
        with pytest.raises(NotFoundError) as caught:
            ask("dmo")
        assert caught.value.exit_code == 3
        assert caught.value.line() == "there is no index dmo; did you mean demo?"
    with pytest.raises(UsageError):
        info("../demo")


def test_removing(built: Manifest) -> None:
    size = info("demo").bytes
    index = open_index("demo")
    assert remove_index("demo") == size
    assert index_names() == []
    assert {path.name for path in indexes_folder().iterdir()} == {".locks"}
    assert index.documents.find("old1") is not None  # whoever holds it open keeps it
    with pytest.raises(NotFoundError):
        remove_index("demo")


def test_an_index_in_the_trash_comes_back(built: Manifest, corpus: Path) -> None:
    before = tree()
    size = remove_index("demo", trash=True)
    assert index_names() == [one.name for one in list_indexes()] == []
    assert [(name, taken) for name, _, taken in trash()] == [("demo", size)]
    build_index("demo", [corpus], HashingEncoder)
    with pytest.raises(UsageError, match="there is an index demo now"):
        restore_index("demo")
    remove_index("demo")  # at once
    restore_index("demo")
    assert tree() == before
    assert not list(trash())
    remove_index("demo")
    with pytest.raises(NotFoundError, match="was deleted meanwhile"):
        restore_index("demo")


@pytest.mark.parametrize("age", [0, 25])
def test_the_trash_keeps_an_index_for_a_day(
    built: Manifest, corpus: Path, monkeypatch: pytest.MonkeyPatch, age: int
) -> None:
    now = time.time_ns()
    remove_index("demo", trash=True)
    monkeypatch.setattr(time, "time_ns", lambda: now + age * 3600 * 10**9)
    build_index("other", [corpus], HashingEncoder)
    assert len(list(trash())) == (age == 0)
    sweep_removed(("demo",))
    assert not list(trash())


def test_a_damaged_index_can_be_removed_and_replaced(built: Manifest, corpus: Path) -> None:
    (index_folder("demo") / "manifest.json").write_bytes(b"ruin")
    manifest = build_index("demo", [corpus], HashingEncoder).manifest
    assert tree() == whole(manifest)
    (index_folder("demo") / "manifest.json").write_bytes(b"ruin")
    remove_index("demo")
    assert index_names() == []


HOLD = """
import sys
from bioretrieval_tui.index.layout import writing
with writing("demo", "built"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_is_told_who_writes(built: Manifest, corpus: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for attempt in (
            lambda: build_index("demo", [corpus], HashingEncoder),
            lambda: remove_index("demo"),
        ):
            with pytest.raises(IndexBusy) as caught:
                attempt()
            assert f"being built by process {holder.pid} since 20" in caught.value.line()
        # Readers do not care, and other indexes do not either.
        assert open_index("demo").documents.rows == 300
        build_index("other", [corpus], HashingEncoder)
        holder.kill()
        holder.wait()
    # The lock went with its process.
    build_index("demo", [corpus], HashingEncoder)


def test_two_writers_in_one_process(built: Manifest) -> None:
    with writing("demo", "built"), pytest.raises(IndexBusy, match=f"process {os.getpid()}"):
        remove_index("demo")
    remove_index("demo")


def test_readers_during_many_swaps(tmp_path: Path, corpus: Path) -> None:
    write_corpus(str(tmp_path / "b.jsonl"), "b", 40)
    write_corpus(str(tmp_path / "c.jsonl"), "c", 60)
    build_index("demo", [tmp_path / "b.jsonl"], HashingEncoder)
    stop, faults, seen = threading.Event(), [], set()

    def read() -> None:
        while not stop.is_set():
            try:
                index = open_index("demo")
            except (IndexFault, NotFoundError) as fault:
                faults.append(fault.line())
                continue
            words = {d.text.split()[0] for batch in index.documents.batches(50) for d in batch}
            seen.add((index.documents.rows, index.vectors.count, *sorted(words)))
            index.close()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(8):
        for name in ("c", "b"):
            build_index("demo", [tmp_path / f"{name}.jsonl"], HashingEncoder)
    stop.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert seen <= {(40, 40, "b"), (60, 60, "c")}


def test_folders_that_vanish_after_they_were_checked(
    built: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in (TEXT, METADATA):
        folder = index_folder("demo") / built.path(part)
        with monkeypatch.context() as patch:
            patch.setattr(registry, "check_content", lambda *_, of=folder, **__: hide(of))
            with pytest.raises(IndexFault):
                open_index("demo")
        folder.with_name("hidden").rename(folder)
    open_index("demo").close()


def hide(folder: Path) -> None:
    if folder.exists():
        folder.rename(folder.with_name("hidden"))


def test_a_reader_while_a_build_is_under_way(built: Manifest, tmp_path: Path) -> None:
    write_corpus(str(tmp_path / "new.jsonl"), "new", 100)
    answers = []

    def look(_: Progress) -> None:
        index = open_index("demo")
        answers.append((index.manifest.generation, info("demo").status))
        index.close()

    build_index("demo", [tmp_path / "new.jsonl"], HashingEncoder, reporter=look)
    assert set(answers) == {(built.generation, "ok")}


def test_listing_loads_neither_numpy_nor_hnswlib(built: Manifest) -> None:
    code = (
        "import sys; from bioretrieval_tui.index.registry import list_indexes, info;"
        "assert list_indexes()[0].status == info('demo').status == 'ok';"
        "print([m for m in ('numpy', 'hnswlib', 'torch', 'textual') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_the_parts_of_an_index_take(built: Manifest) -> None:
    found = info("demo")
    assert found.parts is not None
    assert [*found.parts] == ["documents", "vectors", "graphs", "text index", "metadata"]
    files = [index_folder("demo") / "manifest.json", *index_folder("demo").glob("*/*.npy")]
    rest = sum(path.stat().st_size for path in files)
    assert sum(found.parts.values()) == found.bytes - rest
    assert found.parts["vectors"] == 300 * 16 * 2
    assert (found.graphs, found.outside) == (1, 0)
    add_to_index("demo", feeding([record("more", "one more")]), of_hashing)
    assert (info("demo").graphs, info("demo").outside) == (1, 1)
