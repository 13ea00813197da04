"""An index in another home: linked or copied, checked, and the manifest last."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hashing_encoder import HashingEncoder, write_corpus
from index_help import feeding, held, path_of, record

from bioretrieval_tui.errors import BioRetrievalError, IndexFault, NotFoundError, UsageError
from bioretrieval_tui.index import copying
from bioretrieval_tui.index.build import add_to_index, build_index
from bioretrieval_tui.index.copying import copy_index
from bioretrieval_tui.index.layout import DOCUMENTS, MANIFEST, index_folder
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.registry import index_names, manifest_of
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.progress import Progress


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_into_another_home(built: Manifest, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = home.with_name("other")
    (other / "data").mkdir(parents=True)
    before = held("demo")
    copied = copy_index("demo", other)
    assert copied.folder == other / "data" / "indexes" / "demo"
    assert copied.linked == copied.bytes == sum(one.bytes for one in built.files.values())
    assert files(copied.folder) == files(index_folder("demo"))
    assert [path.name for path in copied.folder.parent.iterdir()] == ["demo"]
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(other))
    assert index_names() == ["demo"]
    assert verify_index("demo").ok
    assert held("demo") == before
    # What is added to the copy leaves the index as it is.
    add_to_index("demo", feeding([record("new", "a lake")]), lambda *_, **__: HashingEncoder())
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(home))
    assert manifest_of("demo") == built
    assert verify_index("demo").ok


def test_to_any_folder_without_links(
    built: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    copied = copy_index("demo", tmp_path / "on" / "a" / "disk")
    assert copied.folder == tmp_path / "on" / "a" / "disk" / "demo"
    assert copied.linked == 0
    assert files(copied.folder) == files(index_folder("demo"))


def test_what_cannot_be_copied(built: Manifest, tmp_path: Path, home: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no index demos"):
        copy_index("demos", tmp_path / "to")
    copy_index("demo", tmp_path / "to")
    for there in (tmp_path / "to", home):
        with pytest.raises(UsageError, match="demo is there already"):
            copy_index("demo", there)
    (tmp_path / "file").write_text("")
    with pytest.raises(BioRetrievalError, match="cannot be written"):
        copy_index("demo", tmp_path / "file")
    path = path_of(built, DOCUMENTS)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IndexFault, match=f"{DOCUMENTS} was altered"):
        copy_index("demo", tmp_path / "again")
    assert not list((tmp_path / "again").iterdir())


def test_an_index_that_is_replaced_meanwhile(built: Manifest, tmp_path: Path) -> None:
    write_corpus(str(tmp_path / "new.jsonl"), "new", 20)

    def rebuild(step: Progress) -> None:
        if step.done == 1:
            build_index("demo", [tmp_path / "new.jsonl"], HashingEncoder)

    with pytest.raises(IndexFault, match="was replaced meanwhile; try again"):
        copy_index("demo", tmp_path / "to", reporter=rebuild)
    assert not list((tmp_path / "to").iterdir())


def test_the_manifest_is_last_and_the_name_comes_when_all_is_there(
    built: Manifest, tmp_path: Path
) -> None:
    seen = []

    def look(step: Progress) -> None:
        part = tmp_path / "to" / ".demo.part"
        seen.append((step.done, (part / MANIFEST).exists(), (tmp_path / "to" / "demo").exists()))

    copy_index("demo", tmp_path / "to", reporter=look)
    count = len(built.files)
    assert seen == [*((done, False, False) for done in range(count)), (count, True, False)]


def test_a_copy_that_the_disk_altered(
    built: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def altered(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:-1] + b"\xff")

    monkeypatch.setattr(copying.layout, "share_file", altered)
    with pytest.raises(BioRetrievalError, match="is not what was copied"):
        copy_index("demo", tmp_path / "to")
    assert not list((tmp_path / "to").iterdir())
