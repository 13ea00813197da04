"""What inputs name: files, folders, patterns, stdin; and what is said where they name nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bioretrieval_tui.documents.detect import resolve
from bioretrieval_tui.errors import CorpusError, NotFoundError


def make(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    return paths


def test_files_in_the_order_given(tmp_path: Path) -> None:
    paths = make(tmp_path, "b.xml", "a.anything")
    assert resolve([str(paths[0]), "-", paths[1]]) == [paths[0], None, paths[1]]
    assert resolve([]) == []


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz"])
def test_a_beir_folder_is_its_corpus(tmp_path: Path, name: str) -> None:
    (corpus, *_) = make(tmp_path, name, "queries.jsonl", "qrels/test.tsv", "more.jsonl")
    assert resolve([tmp_path]) == [corpus]


def test_a_folder_is_what_can_be_read_in_it(tmp_path: Path) -> None:
    make(
        tmp_path, "README.md", "notes", "a.xml.gz.md5", ".hidden.xml", ".git/a.xml", "a.txt",
        "queries.jsonl", "sub/queries.jsonl.gz", "sub/qrels/test.tsv",
    )  # fmt: skip
    expected = make(tmp_path, "a.xml.gz", "b.NBIB", "c/a.ris", "c/d/z.csv", "d.parquet", "z.json")
    os.mkfifo(tmp_path / "pipe.xml")
    assert resolve([tmp_path]) == expected


def test_links_in_a_folder(tmp_path: Path) -> None:
    (one,) = make(tmp_path, "data/a.xml")
    (other,) = make(tmp_path, "elsewhere/b.xml")
    data = tmp_path / "data"
    (data / "circle").symlink_to(data)
    (data / "again.xml").symlink_to(one)
    (data / "self.xml").symlink_to(data / "self.xml")
    (data / "nowhere.xml").symlink_to(tmp_path / "none")
    (data / "linked").symlink_to(other.parent)
    assert resolve([data]) == [one, data / "linked" / "b.xml"]


def test_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = make(tmp_path, "n1.xml", "n2.xml", "sub/n3.xml", "sub/deep/n4.xml", "other.ris")
    assert resolve([f"{tmp_path}/n?.xml"]) == paths[:2]
    assert resolve([f"{tmp_path}/**/*.xml"]) == [*paths[:2], paths[3], paths[2]]
    assert resolve([f"{tmp_path}/su*"]) == [paths[3], paths[2]]
    monkeypatch.chdir(tmp_path)
    assert resolve(["*.ris"]) == [Path("other.ris")]


def test_a_file_that_is_called_like_a_pattern(tmp_path: Path) -> None:
    path, other = make(tmp_path, "a[1].xml", "a1.xml")
    assert resolve([path]) == [path]
    path.unlink()
    assert resolve([path]) == [other]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("none.xml", "there is no file"),
        ("*.none", "nothing matches"),
        ("", "holds no corpus"),
        ("empty", "holds no corpus"),
        ("emp*", "holds no corpus"),
    ],
)
def test_nothing_there(tmp_path: Path, given: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError) as caught:
        resolve([f"{tmp_path}/{given}"])
    assert message in caught.value.message
    assert caught.value.exit_code == 3


def test_an_input_named_twice(tmp_path: Path) -> None:
    (path,) = make(tmp_path, "corpus.jsonl")
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    for twice in ([path, tmp_path], [path, str(path)], [path, link], [f"{tmp_path}/*.jsonl"]):
        with pytest.raises(CorpusError, match="named twice"):
            resolve(twice)
    with pytest.raises(CorpusError, match="- is named twice"):
        resolve(["-", path, "-"])


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for given in (f"{tmp_path}/pipe", f"{tmp_path}/pip?", os.devnull):
        with pytest.raises(CorpusError, match="not a regular file"):
            resolve([given])


@pytest.mark.parametrize("given", ["a\0b", "a\0*", "x" * 5000])
def test_names_that_cannot_be(given: str) -> None:
    with pytest.raises((CorpusError, NotFoundError)) as caught:
        resolve([given])
    assert "\n" not in caught.value.line()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_folder_that_cannot_be_looked_into(tmp_path: Path) -> None:
    make(tmp_path, "closed/a.xml")
    (tmp_path / "closed").chmod(0)
    try:
        with pytest.raises(CorpusError, match="cannot be read"):
            resolve([tmp_path])
    finally:
        (tmp_path / "closed").chmod(0o700)
