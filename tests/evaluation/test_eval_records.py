"""The local leaderboard: records come back, damaged ones are left out, names are found."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bioretrieval_tui.errors import BioRetrievalError, NotFoundError
from bioretrieval_tui.evaluation import records
from bioretrieval_tui.evaluation.records import FORMAT, EvaluationRecord, record_id, slug


def record(name: str = "tiny-minilm-dense-12345678", **changes: object) -> EvaluationRecord:
    made = EvaluationRecord(
        format=FORMAT, id=name, date="2026-01-02T03:04:05+00:00", benchmark="tiny", split="test",
        sha256="ab" * 32, model="a/minilm", revision="r1", recipe_hash="h", mode="dense",
        index="eval-tiny-1", queries=2, documents=4, depth=100, metrics={"nDCG@10": 0.5},
        latency_ms={"p50": 1.0, "p95": 2.0}, per_query={"q\x1b1": 0.25, "q2": 0.75},
        hardware="a chip", versions={"python": "3.11"},
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def test_records_come_back_newest_first() -> None:
    assert records.records() == []
    old, new = record("old"), record("new", date="2026-02-02T00:00:00+00:00", catalogue="scifact")
    for one in (old, new):
        path = records.save(one)
        assert path.parent == records.folder()
    assert records.records() == [new, old]
    assert not [path for path in records.folder().iterdir() if path.name.startswith(".")]


def test_saving_again_replaces_and_removing_deletes() -> None:
    records.save(record())
    records.save(record(mode="lexical"))
    (kept,) = records.records()
    assert kept.mode == "lexical"
    records.remove(kept.id)
    assert records.records() == []
    for name in (kept.id, "../x", ""):
        with pytest.raises(NotFoundError):
            records.remove(name)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("cut.json", b'{"format": 1, "id"', "is damaged"),
        ("empty.json", b"", "is damaged"),
        ("deep.json", b"[" * 100_000, "is damaged"),
        ("other.json", b'{"format": 2, "new": 1}', "has format 2, this version reads 1"),
        ("renamed.json", msgspec.json.encode(record("name")), "is damaged"),
        ("extra.json", msgspec.json.encode({**msgspec.to_builtins(record("extra")), "x": 1}),
         "is damaged"),
    ],
)  # fmt: skip
def test_a_damaged_record_is_skipped_with_one_line(name: str, data: bytes, said: str) -> None:
    records.save(record())
    (records.folder() / name).write_bytes(data)
    told: list[str] = []
    assert [one.id for one in records.records(told.append)] == [record().id]
    (line,) = told
    assert said in line
    assert name in line
    assert len(records.records()) == 1


def test_files_that_are_no_records_are_ignored() -> None:
    path = records.save(record())
    (path.parent / ".beside.json").write_text("{")
    (path.parent / "notes.txt").write_text("{")
    told: list[str] = []
    assert len(records.records(told.append)) == 1
    assert told == []


def test_an_unwritable_folder_gives_one_line(home: Path) -> None:
    (home / "data").mkdir(parents=True)
    (home / "data" / "evaluations").write_text("in the way")
    with pytest.raises(BioRetrievalError, match="cannot be saved"):
        records.save(record())
    assert records.records() == []


def test_a_record_is_found_by_the_beginning_of_its_id() -> None:
    for name in ("tiny-dense-1", "tiny-dense-10", "tiny-lexical-2"):
        records.save(record(name, mode=name.split("-")[1]))
    assert records.find("tiny-dense-1").id == "tiny-dense-1"
    assert records.find("tiny-l").id == "tiny-lexical-2"
    # Of those that repeat each other the newest.
    records.save(record("tiny-lexical-3", mode="lexical", date="2027-01-01"))
    assert records.find("tiny-l").id == "tiny-lexical-3"
    with pytest.raises(NotFoundError, match="4 evaluations begin with 'tiny'"):
        records.find("tiny")
    with pytest.raises(NotFoundError, match="there is no evaluation 'x'"):
        records.find("x")
    with pytest.raises(NotFoundError):
        records.find("")


def test_ids_can_name_files() -> None:
    name = record_id("../Ünï  BENCH!", "org/My Model\n", "dense", "now")
    assert name.startswith("n-bench-my-model-dense-")
    assert slug("a" * 90, 40) == "a" * 40
    assert record_id("x", "y", "dense", "1") != record_id("x", "y", "dense", "2")
    records.save(record(name))
    assert records.find(name).id == name
