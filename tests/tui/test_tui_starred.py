"""Starred papers: kept in the order in which they came, each once, nothing lost by a failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.tui.found_session import keep_starred, starred_path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    return tmp_path


def paper(identifier: str, title: str = "t") -> dict[str, bytes]:
    return {identifier: json.dumps({"_id": identifier, "title": title}).encode() + b"\n"}


def kept(path: Path) -> list[tuple[str, str]]:
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [(record["_id"], record["title"]) for record in records]


def test_papers_are_kept_once_and_in_order() -> None:
    path = keep_starred("mine", paper("2") | paper("1"), replace=False)
    assert path == starred_path("mine")
    assert keep_starred("mine", paper("3") | paper("2"), replace=False) == path
    assert kept(path) == [("2", "t"), ("1", "t"), ("3", "t")]


def test_a_changed_record_takes_the_place_of_what_it_was() -> None:
    keep_starred("mine", paper("1") | paper("2"), replace=False)
    path = keep_starred("mine", paper("1", "revised"), replace=False)
    assert kept(path) == [("1", "revised"), ("2", "t")]


def test_a_new_index_begins_a_new_file() -> None:
    keep_starred("mine", paper("1"), replace=False)
    assert kept(keep_starred("mine", paper("2"), replace=True)) == [("2", "t")]
    assert not starred_path("other").exists()


def test_what_cannot_be_written_leaves_what_was_there(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "starred").write_text("in the way")
    with pytest.raises(BioRetrievalError, match=r"starred papers cannot be kept in .*starred"):
        keep_starred("mine", paper("1"), replace=False)
    assert (home / "data" / "starred").read_text() == "in the way"
