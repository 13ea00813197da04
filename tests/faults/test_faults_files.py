"""Corpus files that change, vanish or cannot be read while they are being read."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faulty
import pictures
import pytest
from faulty import Child
from pictures import at_home, copied, one_line, picture, same

from bioretrieval_tui.documents.checksum import sha256_of
from bioretrieval_tui.documents.document import Item, Record
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.errors import BioRetrievalError, CorpusError, NotFoundError
from bioretrieval_tui.index.build import BuildOutcome, build_index
from bioretrieval_tui.index.intake import Intake, feed_files

COUNT = 6_000
"""Documents of a file that is read in several pieces of a megabyte each."""
NOBODY = 65_534


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "large.jsonl"
    pictures.write_corpus(path, 9, 0, COUNT)
    assert path.stat().st_size > 5 * 2**18
    return path


@pytest.fixture
def corpus(large: Path, tmp_path: Path) -> Path:
    """A file of the test's own, old enough for a change of it to be a change of its times."""
    path = tmp_path / "corpus.jsonl"
    shutil.copy(large, path)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


@pytest.fixture
def old(home: Path, tmp_path: Path) -> dict[str, Any]:
    small = pictures.write_corpus(tmp_path / "small.jsonl", 8, 0, 50)
    Child(home, faulty.build, [str(small)]).value()
    return picture(home)


def built(paths: list[Path], change: Callable[[], object], at: int = 100) -> BuildOutcome:
    """Build over `paths`; `change` happens while record `at` is taken."""
    read = feed_files(paths, ReadSettings())
    seen = 0

    def feed(intake: Intake) -> None:
        def accept(record: Record) -> Item:
            nonlocal seen
            seen += 1
            if seen == at:
                change()
            return record

        intake.accept = accept
        read(intake)

    return build_index("demo", feed, lambda: faulty.PaidEncoder(None, 0.0))


def appended(path: Path) -> None:
    with path.open("a") as out:
        out.write('{"_id": "late", "title": "late", "text": "late"}\n')


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def overwritten(path: Path) -> None:
    """In place, to as many bytes as before."""
    with path.open("r+b") as out:
        out.seek(path.stat().st_size - 4_000)
        out.write(b" " * 3_999)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("change", [appended, truncated, emptied, overwritten])
def test_a_file_changes_while_it_is_read(
    change: Callable[[Path], None], packed: bool, corpus: Path, home: Path, old: dict[str, Any]
) -> None:
    if packed:
        path = corpus.with_suffix(".jsonl.gz")
        # Without compression to speak of, so that it is read in pieces as well.
        path.write_bytes(gzip.compress(corpus.read_bytes(), compresslevel=0))
        os.utime(path, (1_700_000_000, 1_700_000_000))
        corpus = path
    with pytest.raises(CorpusError, match="changed while it was read") as caught:
        built([corpus], lambda: change(corpus))
    one_line(caught.value.line())
    assert str(corpus) in caught.value.line()
    same(picture(home), old)


def test_a_file_that_is_replaced_is_read_as_it_was(
    corpus: Path, home: Path, tmp_path: Path
) -> None:
    other = pictures.write_corpus(tmp_path / "other.jsonl", 10, 0, COUNT)
    before, due = sha256_of(corpus), copied(tmp_path / "nothing", tmp_path / "due")
    with at_home(due):
        built([corpus], lambda: None)
    outcome = built([corpus], lambda: other.replace(corpus))
    assert [one.sha256 for one in outcome.manifest.inputs] == [before]
    same(picture(home), picture(due))


def test_a_file_vanishes_while_it_is_read(corpus: Path, home: Path) -> None:
    outcome = built([corpus], corpus.unlink)
    assert outcome.report.read == COUNT


@pytest.mark.parametrize("instead", ["nothing", "folder", "circle"])
def test_a_file_vanishes_between_listing_and_reading(
    instead: str, corpus: Path, home: Path, old: dict[str, Any], tmp_path: Path
) -> None:
    second = tmp_path / "second.jsonl"
    shutil.copy(corpus, second)

    def vanish() -> None:
        second.unlink()
        if instead == "folder":
            second.mkdir()
        elif instead == "circle":
            second.symlink_to(second)

    with pytest.raises(BioRetrievalError) as caught:
        built([corpus, second], vanish)
    one_line(caught.value.line())
    assert str(second) in caught.value.line()
    assert isinstance(caught.value, NotFoundError) == (instead == "nothing")
    same(picture(home), old)


def test_a_file_that_gives_an_error_when_it_is_read(home: Path, old: dict[str, Any]) -> None:
    if not Path("/proc/self/mem").exists():
        pytest.skip("no file here is known to give an error")
    found = Child(home, faulty.build, ["/proc/self/mem"]).end()
    one_line(found["error"])
    assert "/proc/self/mem cannot be read" in found["error"]
    same(picture(home), old)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user may work in."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    folder.chmod(0o777)
    yield folder
    faulty.reap()
    shutil.rmtree(folder)


@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_file_that_may_not_be_read(named: str, open_folder: Path) -> None:
    root = os.geteuid() == 0
    corpora = open_folder / "corpora"
    corpora.mkdir()
    good = pictures.write_corpus(corpora / "a.jsonl", 1, 0, 20)
    bad = pictures.write_corpus(corpora / "b.jsonl", 2, 20, 20)
    home = open_folder / "home"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    user = NOBODY if root else None
    Child(home, faulty.build, [str(good)], user=user).value()
    before = picture(home)
    bad.chmod(0)
    inputs = [str(good), str(bad)] if named == "file" else [str(corpora)]
    found = Child(home, faulty.build, inputs, user=user).end()
    assert found["kind"] == "CorpusError"
    one_line(found["error"])
    assert f"{bad} cannot be read: Permission denied" in found["error"]
    same(picture(home), before)
