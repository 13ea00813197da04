"""Files that are read ahead in processes: the same index, whatever reads, fails or is killed."""

from __future__ import annotations

import gzip
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from hashing_encoder import HashingEncoder
from index_help import held

from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.errors import CorpusError
from bioretrieval_tui.index import read_ahead
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.read_ahead import ReadAhead, read_whole
from bioretrieval_tui.index.report import Report
from bioretrieval_tui.index.second_process import SecondProcess, begin_together

FILES, EACH = 6, 50
Files = list[tuple[Path, int]]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Files that update each other: which one is read last matters."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(FILES):
        lines = [
            json.dumps({"_id": f"d{number * 40 + one}", "text": f"file{number} word{one}"})
            for one in range(EACH)
        ]
        data = "\n".join(lines).encode()
        name = folder / f"part{number}.jsonl"
        if number % 2:
            name.with_suffix(".jsonl.gz").write_bytes(gzip.compress(data))
        else:
            name.write_bytes(data)
    return folder


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> list[SecondProcess]:
    """Two processes read, though the files are small; those that were made."""
    made: list[SecondProcess] = []
    real = ReadAhead.__init__

    def begun(self: ReadAhead, files: Files, settings: ReadSettings) -> None:
        real(self, files, settings, processes=2)
        made.extend(self._idle)

    monkeypatch.setattr(ReadAhead, "__init__", begun)
    return made


def built(inputs: list[Path], **how: Any) -> tuple[dict[str, str], Report, tuple[Any, ...]]:
    report = Report()
    manifest = build_index("demo", inputs, HashingEncoder, report=report, **how).manifest
    report.encoded = 0  # the second build finds the vectors of the first
    return held("demo"), report, manifest.inputs


def test_the_same_index_with_and_without(corpus: Path, request: pytest.FixtureRequest) -> None:
    here = built([corpus])
    made = request.getfixturevalue("ahead")
    there = built([corpus])
    assert there == here
    assert len(here[0]) == FILES * 40 + 10
    assert len(made) == 2
    assert all(one._child is not None and one._child.returncode is not None for one in made)


@pytest.mark.usefixtures("ahead")
def test_what_is_wrong_with_a_file_is_said_as_without(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (corpus / "part2.jsonl").open("a") as out:
        out.write('\n{"_id": "x"\n')
    (corpus / "part3.jsonl.gz").write_bytes((corpus / "part3.jsonl.gz").read_bytes()[:-20])
    (corpus / "notes.jsonl").write_text("no lines of JSON\n")
    there = built([corpus])
    monkeypatch.undo()
    here = built([corpus])
    assert there == here
    assert there[1].rejected == 3
    named = corpus / "notes.jsonl"
    with pytest.raises(CorpusError) as one:
        built([named])
    with pytest.MonkeyPatch.context() as patch:
        real = ReadAhead.__init__
        patch.setattr(ReadAhead, "__init__", lambda self, *given: real(self, *given, processes=1))
        with pytest.raises(CorpusError) as two:
            built([named])
    assert one.value.line() == two.value.line()


def test_a_reader_that_is_killed_loses_nothing(
    corpus: Path, ahead: list[SecondProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ended = SecondProcess.end, []

    def end(self: SecondProcess, *how: Any) -> Any:
        if self in ahead and not ended:
            assert self._child is not None
            os.kill(self._child.pid, signal.SIGKILL)
            self._child.wait()
            ended.append(self)
        return real(self, *how)

    monkeypatch.setattr(SecondProcess, "end", end)
    there = built([corpus])
    assert ended
    monkeypatch.undo()
    assert built([corpus]) == there


def test_a_stopped_build_does_not_wait_for_its_readers(corpus: Path) -> None:
    first = min(corpus.iterdir())
    reader = ReadAhead([(first, 1)], ReadSettings(), processes=1)
    slow = reader._idle.pop()
    slow.begin(time.sleep, 600)
    reader._begun.append((first, slow))

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reader.read(first, stop)
    reader.close()
    assert slow._child is not None
    assert slow._child.returncode == -signal.SIGKILL


def test_large_files_and_few_are_read_where_they_are_stored(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted(corpus.iterdir())
    files = [(path, path.stat().st_size) for path in paths]
    assert ReadAhead(files, ReadSettings()).read(paths[0], lambda: None) is None
    monkeypatch.setattr(read_ahead, "LEAST_BYTES", 1)
    monkeypatch.setattr(read_ahead, "usable_cores", lambda: 4)
    reader = ReadAhead(files, ReadSettings())
    whole = reader.read(paths[0], lambda: None)
    assert whole is not None
    assert (len(reader._idle), len(reader._begun)) == (1, 1)
    reader.close()
    monkeypatch.setattr(read_ahead, "MOST_BYTES", 10)
    assert ReadAhead(files, ReadSettings()).read(paths[0], lambda: None) is None


def test_a_whole_file_in_parts(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "_PART", 20)
    path = corpus / "part0.jsonl"
    whole = read_whole(path, ReadSettings())
    assert (whole.format, whole.bytes, len(whole.parts)) == ("beir", path.stat().st_size, 3)
    assert [(len(part), round(end, 2)) for part, end in whole.items()] == [
        (20, 0.33), (20, 0.67), (10, 1.0),
    ]  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_helpers_share_a_list(count: int) -> None:
    helpers = [SecondProcess() for _ in range(3)]
    try:
        assert begin_together(helpers, sorted, list(range(count)))() == list(range(count))
    finally:
        for helper in helpers:
            helper.close()
