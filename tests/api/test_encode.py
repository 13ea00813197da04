"""`encode`: what it reads, the files that it writes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from test_query_files import called

import bioretrieval_tui as br


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("The p53 gene\n\nasthma, in children\n")
    return path


def test_lines_become_vectors_in_their_order(lines: Path) -> None:
    code, out, err = called("encode", str(lines), "--format", "lines")
    assert (code, err) == (0, "")
    found = [json.loads(line) for line in out.splitlines()]
    assert [one["id"] for one in found] == ["1", "3"]
    expected = br.encoder().encode_documents(["The p53 gene", "asthma, in children"])
    np.testing.assert_array_equal(np.array([one["vector"] for one in found], "f4"), expected)


def test_plain_text_is_recognised(lines: Path) -> None:
    code, out, err = called("encode", str(lines))
    assert (code, len(out.splitlines())) == (0, 2)
    assert "each line is read as a text" in err


@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".jsonl"])
def test_files_of_vectors(folder: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"vectors{suffix}"
    code, printed, err = called("encode", str(folder / "corpus.jsonl"), "--out", str(out))
    assert (code, printed) == (0, "")
    assert "wrote 5 vectors of 384 components" in err
    if suffix == ".npy":
        ids = out.with_name("vectors.npy.ids").read_text().split()
        vectors = np.load(out)
    elif suffix == ".parquet":
        table = pq.read_table(out)
        ids, vectors = table["id"].to_pylist(), np.array(table["vector"].to_pylist(), "f4")
    else:
        records = [json.loads(line) for line in out.read_text().splitlines()]
        ids = [one["id"] for one in records]
        vectors = np.array([one["vector"] for one in records], "f4")
    assert ids == ["d1", "d2", "d3", "d4", "d6"]
    assert vectors.dtype == np.float32
    with br.Index("claims") as index:
        documents = [index.document(name) for name in ids]
    np.testing.assert_allclose(vectors, br.encoder().encode_documents(documents), atol=2e-3)


def test_queries_are_read_in_all_their_forms(tmp_path: Path) -> None:
    topics = tmp_path / "topics.xml"
    topics.write_text("<topic number='7'><summary>asthma in children</summary></topic>")
    code, out, _ = called("encode", str(topics), "--side", "query")
    (found,) = map(json.loads, out.splitlines())
    assert (code, found["id"]) == (0, "7")
    np.testing.assert_allclose(
        np.array(found["vector"]), br.encoder().encode_queries(["asthma in children"])[0], atol=1e-6
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--out", "{}/v.txt"], 2, "v.txt is no file of vectors; use .npy, .parquet, .jsonl"),
        (["--out", "{}/gone/v.npy"], 1, "cannot be written: No such file or directory"),
        (["--instruction", "x"], 2, "--instruction is for queries; add --side query"),
        (["--side", "query", "--format", "beir"], 2, "--format is for documents"),
        (["--model", "medcpd"], 3, "no model has the id 'medcpd'; nearest:"),
        (["--model", "medcpt"], 1, "the model ncbi/MedCPT-Article-Encoder is not on this machine"),
    ],
)
def test_what_is_refused(lines: Path, words: list[str], code: int, said: str) -> None:
    there = [one.format(lines.parent) for one in words]
    ended, out, err = called("encode", str(lines), *there)
    assert (ended, out) == (code, "")
    assert said in err
    assert [one.name for one in lines.parent.iterdir()] == [lines.name]


def test_a_file_without_text(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n \n")
    code, out, err = called("encode", str(tmp_path / "empty"), "--format", "lines")
    assert (code, out) == (1, "")
    assert "no text is given" in err


def test_what_fails_on_the_way_leaves_the_old_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "v.jsonl"
    out.write_text("old\n")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bioretrieval_tui.cli.encode._json_lines", full)
    code, _, err = called("encode", str(folder / "corpus.jsonl"), "--out", str(out))
    assert code == 1
    assert f"{out} cannot be written: No space left on device" in err
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("v.jsonl", "old\n")]
