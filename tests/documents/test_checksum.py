"""The remembered checksum is never that of another content."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from bioretrieval_tui.documents import checksum
from bioretrieval_tui.documents.checksum import remembered_sha256
from bioretrieval_tui.paths import places


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "home"))


def notes() -> list[Path]:
    return sorted((places().cache / "checksums").glob("*/*.json"))


def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes = b"one") -> Path:
    path = tmp_path / "file"
    path.write_bytes(data)
    monkeypatch.setattr(checksum, "_SETTLED_NS", -1)
    return path


def test_it_is_the_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = settled(tmp_path, monkeypatch)
    for _ in range(2):
        assert remembered_sha256(path) == hashlib.sha256(b"one").hexdigest()
    assert len(notes()) == 1


def test_a_remembered_file_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settled(tmp_path, monkeypatch)
    expected = remembered_sha256(path)
    read: list[Path] = []
    monkeypatch.setattr(checksum, "sha256_of", read.append)
    assert remembered_sha256(path) == expected
    assert read == []


def test_a_change_that_hides_its_time_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settled(tmp_path, monkeypatch)
    remembered_sha256(path)
    before = path.stat()
    time.sleep(0.02)  # two ticks of the file system's clock
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert remembered_sha256(path) == hashlib.sha256(b"two").hexdigest()


def test_a_file_just_written_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    remembered_sha256(path)
    assert notes() == []


def test_a_damaged_note_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = settled(tmp_path, monkeypatch)
    remembered_sha256(path)
    notes()[0].write_bytes(b'{"path": \xff')
    assert remembered_sha256(path) == hashlib.sha256(b"one").hexdigest()


def test_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settled(tmp_path, monkeypatch)
    (tmp_path / "home").write_text("a file where the folder should be")
    assert remembered_sha256(path) == hashlib.sha256(b"one").hexdigest()


def made(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(path.name))
    return paths


def test_folders_of_notes_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those in use stay, however old they are; notes of earlier versions go too."""
    monkeypatch.setattr(checksum, "_MOST_FOLDERS", 3)
    monkeypatch.setattr(checksum, "_SETTLED_NS", -1)
    flat = places().cache / "checksums" / "0123.json"
    flat.parent.mkdir(parents=True)
    flat.touch()
    os.utime(flat, (0, 0))
    for number in range(6):
        for path in (*made(tmp_path / "used", "one"), *made(tmp_path / str(number), "one")):
            remembered_sha256(path)
            time.sleep(0.02)
    assert sorted(json.loads(note.read_bytes())[0] for note in notes()) == [
        str(tmp_path / name / "one") for name in ("4", "5", "used")
    ]
    assert not flat.exists()


def test_an_index_has_one_folder_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksum, "_MOST_FOLDERS", 1)
    monkeypatch.setattr(checksum, "_SETTLED_NS", -1)
    paths = made(tmp_path, *(f"{number}/f%2F\udce9.{number}" for number in range(20)))
    for path in paths:
        remembered_sha256(path, within=tmp_path)
    read: list[Path] = []
    monkeypatch.setattr(checksum, "sha256_of", read.append)
    for path in paths:
        assert (
            remembered_sha256(path, within=tmp_path)
            == hashlib.sha256(os.fsencode(path.name)).hexdigest()
        )
    assert read == []


def test_notes_of_files_that_are_gone_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum, "_SETTLED_NS", -1)
    old, new = made(tmp_path, "old/one", "new/one")
    remembered_sha256(old, within=tmp_path)
    old.unlink()
    remembered_sha256(new, within=tmp_path)
    assert [note.name for note in notes()] == ["new%2Fone.json"]
