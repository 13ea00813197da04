"""A disk that fills, wherever the build is: one line, the old index as it was, and once there is
room the build goes on without paying twice."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faulty
import pictures
import pytest
from faulty import LONG, Child
from pictures import at_home, copied, litter, one_line, picture, same, vouched

from bioretrieval_tui.index.verify import verify_index

SIZES = 16 if LONG else 3
"""Amounts of room that run out somewhere between the first byte and the last."""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[str]]:
    """A home with an index, the corpora of a larger one, and those of an addition."""
    root = tmp_path_factory.mktemp("disk")
    old = pictures.write_corpus(root / "old.jsonl", 5, 0, 100)
    new = pictures.write_corpus(root / "new.jsonl", 6, 50, 2 * faulty.WINDOW + 200)
    Child(root / "home", faulty.build, [str(old)]).value()
    faulty.reap()
    return root / "home", [str(old), str(new)], [str(new)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a file system of so many bytes, or gives the one that is mounted so many."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = False

    def of(size: int) -> Path:
        nonlocal mounted
        options = f"size={size},{'remount,' if mounted else ''}mode=0755"
        try:
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True
            )
        except FileNotFoundError:
            pytest.skip("there is no mount here")
        if done.returncode:
            pytest.skip("nothing can be mounted here")
        mounted = True
        return place

    yield of
    faulty.reap()
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


def used(home: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in home.rglob("*") if path.is_file())


def finish(
    home: Path, log: Path, action: Callable[..., Any], corpora: list[str], due: dict[str, Any]
) -> None:
    """There is room now: the same command again."""
    paid = vouched(home)
    log.unlink(missing_ok=True)
    Child(home, action, corpora, str(log)).value()
    again = set(log.read_text().split()) & paid if log.exists() else set()
    assert not again, "paid for twice"
    same(picture(home), due)
    with at_home(home):
        assert verify_index("demo").ok
    assert litter(home) == set()


def unharmed(home: Path, old: dict[str, Any]) -> None:
    """The old index is whole and answers; nothing of the failed one lies about but its vectors."""
    same(picture(home), old)
    with at_home(home):
        assert verify_index("demo").ok
    assert all(name.startswith(".pool-") for name in litter(home))


@pytest.mark.parametrize("action", [faulty.build, faulty.add])
def test_a_disk_that_fills(
    action: Callable[..., Any],
    before: tuple[Path, list[str], list[str]],
    small_disk: Callable[[int], Path],
    tmp_path: Path,
) -> None:
    home, both, new = before
    corpora = both if action is faulty.build else new
    old, log = picture(home), tmp_path / "log"
    whole = copied(home, tmp_path / "whole")
    Child(whole, action, corpora).value()
    due = picture(whole)
    least = used(home) + 64 * 1024
    # While it is made, the new index stands beside the old one and the pool.
    most = used(home) + int(1.2 * used(whole))
    failed = 0
    for number in range(SIZES):
        place = small_disk(64 * 2**20) / "home"
        copied(home, place)
        small_disk(least + (most - least) * number // SIZES)
        found = Child(place, action, corpora, str(log)).end()
        small_disk(64 * 2**20)
        if "error" not in found:
            continue  # there was room after all
        failed += 1
        one_line(found["error"])
        assert found["kind"] == "IndexFault"
        assert "demo cannot be written" in found["error"], found
        assert "free or check the disk" in found["error"]
        unharmed(place, old)
        finish(place, log, action, corpora, due)
    assert failed >= SIZES // 2


@pytest.mark.parametrize("action", [faulty.build, faulty.add])
def test_files_may_not_grow(
    action: Callable[..., Any], before: tuple[Path, list[str], list[str]], tmp_path: Path
) -> None:
    """A quota, as a limit on the size of a file: each of them is the one that fails once."""
    home, both, new = before
    corpora = both if action is faulty.build else new
    old, log = picture(home), tmp_path / "log"
    whole = copied(home, tmp_path / "whole")
    Child(whole, action, corpora).value()
    due = picture(whole)
    sizes = sorted({path.stat().st_size for path in whole.rglob("*") if path.is_file()})
    failed = 0
    for size in sizes[1:] if LONG else sizes[3::4]:
        place = copied(home, tmp_path / "home")
        log.unlink(missing_ok=True)
        found = Child(place, action, corpora, str(log), file_size=max(2_048, size - 1)).end()
        if "error" not in found:
            continue
        failed += 1
        one_line(found["error"])
        assert found["kind"] == "IndexFault", found
        unharmed(place, old)
        finish(place, log, action, corpora, due)
        faulty.reap()
    assert failed > 0


def test_a_folder_that_cannot_be_written(
    before: tuple[Path, list[str], list[str]], tmp_path: Path
) -> None:
    home, both, _ = before
    place = copied(home, tmp_path / "home")
    indexes = place / "data" / "indexes"
    if os.geteuid() == 0:
        done = subprocess.run(["mount", "--bind", str(indexes), str(indexes)], capture_output=True)
        if done.returncode:
            pytest.skip("nothing can be mounted here")
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", str(indexes)], check=True)
            found = Child(place, faulty.build, both).end()
            answered = picture(place)
        finally:
            subprocess.run(["umount", str(indexes)], check=True)
    else:
        indexes.chmod(0o500)
        (indexes / ".locks").chmod(0o500)
        found = Child(place, faulty.build, both).end()
        answered = picture(place)
        (indexes / ".locks").chmod(0o700)
        indexes.chmod(0o700)
    one_line(found["error"])
    assert "cannot be written" in found["error"]
    same(answered, picture(home))
