"""`search --queries`: forms of queries, formats of hits, resuming, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import ir_measures
import msgspec
import pytest
from claims import QUERIES

import bioretrieval_tui as br
from bioretrieval_tui.cli.query_files import ResumableFile, queries_of, search_many
from bioretrieval_tui.errors import CorpusError
from bioretrieval_tui.main import run
from bioretrieval_tui.search.types import Hit, Query

TREC = "<topic number='7'><summary>asthma in children</summary></topic>"


def called(*words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a call."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(words)
        out.flush()
    return code, out.buffer.getvalue().decode(), err.getvalue()  # type: ignore[attr-defined]


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    path = tmp_path / "queries.tsv"
    path.write_text("".join(f"{name}\t{text}\n" for name, text in QUERIES.items()))
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a gene\n\nasthma, or not\n", {"1": "a gene", "3": "asthma, or not"}),
        ("q1\ta gene\nq2\tasthma\n", {"q1": "a gene", "q2": "asthma"}),
        ('{"_id": "1", "text": "a gene"}\n', {"1": "a gene"}),
        ("id,text\n5,asthma\n", {"5": "asthma"}),
        ("query-id\ttext\n5\tasthma\n", {"5": "asthma"}),
        (TREC, {"7": "asthma in children"}),
    ],
)
def test_forms_of_queries(tmp_path: Path, content: str, expected: dict[str, str]) -> None:
    (tmp_path / "given").write_text(content)
    assert queries_of(str(tmp_path / "given")) == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("1\ta gene\n2\t \n3\t\n", "given:2: query 2 has no text, and 1 more query"),
        ("1\ta gene\n1\tasthma\n", "given:2: query '1' has another text at"),
        ("", "given holds no query"),
        ("1\ta\tgene\n", "given:1: 3 columns where 2 are due"),
    ],
)
def test_queries_that_are_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "given").write_text(content)
    with pytest.raises(CorpusError, match=said):
        queries_of(str(tmp_path / "given"))


def test_json_lines_and_csv_name_the_query(queries: Path) -> None:
    words = ("search", "--queries", str(queries), "-i", "claims", "-k", "2")
    code, out, _ = called(*words)
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(one["query"], one["rank"]) for one in lines] == [
        (name, rank) for name in QUERIES for rank in (1, 2)
    ]
    assert lines[2]["id"] == "d2"
    _, out, _ = called(*words, "-f", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["query"], row["id"]) for row in rows] == [(x["query"], x["id"]) for x in lines]


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_a_trec_run_scores_as_eval_does(
    queries: Path, folder: Path, tmp_path: Path, mode: str
) -> None:
    out = tmp_path / "mine.trec"
    words = ("search", "--queries", str(queries), "-i", "claims", "-m", mode, "--tag", "mine")
    code, printed, err = called(*words, "-f", "trec", "--out", str(out))
    assert (code, printed) == (0, "")
    assert "wrote the hits of 3 queries" in err
    assert all(line.split()[1::4] == ["Q0", "mine"] for line in out.read_text().splitlines())
    measure = ir_measures.parse_measure("nDCG@10")
    qrels = [
        ir_measures.Qrel(*line.split("\t")[:2], int(line.split("\t")[2]))
        for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]
    ]
    found = ir_measures.calc_aggregate([measure], qrels, ir_measures.read_trec_run(str(out)))
    (report,) = br.evaluate(folder, modes=(mode,)).runs
    assert found[measure] == pytest.approx(report.metrics["nDCG@10"])


@pytest.mark.parametrize(("name", "begins"), [("a.csv", "query,rank,"), ("a.trec", "1 Q0 "),
                                              ("a.txt", '{"query":')])  # fmt: skip
def test_the_name_of_the_file_decides(
    queries: Path, tmp_path: Path, name: str, begins: str
) -> None:
    words = ("search", "--queries", str(queries), "-i", "claims", "-m", "bm25")
    assert called(*words, "--out", str(tmp_path / name))[0] == 0
    assert (tmp_path / name).read_text().startswith(begins)


def test_several_indexes_and_bm25(queries: Path) -> None:
    words = ("search", "--queries", str(queries), "-i", "claims", "-i", "gone", "-m", "bm25")
    code, out, _ = called(*words, "-k", "1")
    assert code == 0
    assert {json.loads(line)["index"] for line in out.splitlines()} == {"claims"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no query is given; give a query, or --queries FILE (- for stdin)"),
        (["asthma", "--queries", "x"], "both a query and --queries are given"),
        (["asthma", "--out", "x"], "--out and -f trec are for many queries"),
        (["asthma", "-f", "trec"], "--out and -f trec are for many queries"),
        (["--queries", "{}", "-f", "table"], "cannot be written as table; formats: jsonl, csv"),
        (["--queries", "{}", "--why"], "--why is for one query"),
        (["--queries", "{}", "-f", "trec", "--tag", "a b"], "the tag 'a b' is no word"),
        (["--queries", "{}", "-f", "latec"], "there is no format 'latec'"),
    ],
)
def test_what_is_refused(queries: Path, words: list[str], said: str) -> None:
    code, out, err = called("search", "-i", "claims", *(one.format(queries) for one in words))
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_file_that_is_not_there() -> None:
    code, out, err = called("search", "--queries", "/no/such.tsv")
    assert (code, out) == (3, "")
    assert "/no/such.tsv" in err


def test_queries_from_stdin(folder: Path, home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bioretrieval_tui", "search", "-", "-i", "claims", "-m", "lexical"],
        input="asthma\ntumours\n", capture_output=True, text=True, check=True,
        env={**os.environ, "BIORETRIEVAL_HOME": str(home)},
    )  # fmt: skip
    assert [json.loads(line)["query"] for line in done.stdout.splitlines()] == ["1", "2"]


# Resuming


def test_a_file_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with ResumableFile(path, "key") as file:
        for number in range(70):
            file.add(f"{number}\n")
    assert not path.exists()
    beside = path.with_name("out.jsonl.part")
    beside.write_bytes(beside.read_bytes() + b"half a li")  # what kill -9 leaves
    with ResumableFile(path, "key") as file:
        assert file.done == 64  # what is on the disk for sure
        for number in range(64, 100):
            file.add(f"{number}\n")
        file.finish()
    assert path.read_text().split() == [str(number) for number in range(100)]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", ["key", "state", "short"])
def test_what_does_not_fit_is_begun_again(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "out"
    with ResumableFile(path, "key") as file:
        for number in range(64):
            file.add(f"{number}\n")
    if damage == "state":
        path.with_name("out.part.json").write_bytes(b"{")
    if damage == "short":
        path.with_name("out.part").write_bytes(b"0\n")
    with ResumableFile(path, "other" if damage == "key" else "key") as file:
        assert file.done == 0
        file.add("new\n")
        file.finish()
    assert path.read_text() == "new\n"


def test_another_reranker_begins_again(tmp_path: Path) -> None:
    queries, out = {str(n): "asthma" for n in range(70)}, tmp_path / "out.jsonl"
    seen: list[str] = []

    def search(name: str, last: int) -> None:
        def rerank(_: str, hits: Sequence[Hit]) -> Sequence[Hit]:
            seen.append(name)
            if len(seen) == last:
                raise KeyboardInterrupt
            return hits

        with br.Index("claims") as index:
            search_many(
                index, queries, Query(text="any", k=1, mode="lexical"), "jsonl", out=out,
                rerank=rerank, reranker=name, most=1, reporter=lambda _: None,
            )  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        search("one", 68)
    search("other", 0)
    assert seen == ["one"] * 68 + ["other"] * 70
    assert len(out.read_text().splitlines()) == 70


def test_a_search_that_is_killed_goes_on(tmp_path: Path, home: Path) -> None:
    queries, out = tmp_path / "many.tsv", tmp_path / "out.trec"
    queries.write_text("".join(f"{n}\tasthma in {n} children\n" for n in range(300)))
    words = ["search", "--queries", str(queries), "-i", "claims", "-f", "trec", "-m", "lexical",
             "--out", str(out)]  # fmt: skip
    # Killed when 200 queries are answered.
    code = (
        "import os, signal, sys; from bioretrieval_tui.cli import query_files\n"
        "add = query_files.ResumableFile.add\n"
        "def dying(self, chunk):\n"
        "    add(self, chunk)\n"
        "    self.done < 200 or os.kill(os.getpid(), signal.SIGKILL)\n"
        "query_files.ResumableFile.add = dying\n"
        "from bioretrieval_tui.main import run; run(sys.argv[1:])"
    )
    env = {**os.environ, "BIORETRIEVAL_HOME": str(home)}
    died = subprocess.run([sys.executable, "-c", code, *words], env=env, check=False)
    assert died.returncode == -signal.SIGKILL
    assert not out.exists()
    kept = msgspec.json.decode(out.with_name("out.trec.part.json").read_bytes())
    assert kept["done"] == 192
    code_again, _, err = called(*words)
    assert code_again == 0
    assert "192 of 300 queries are in" in err
    names = [line.split()[0] for line in out.read_text().splitlines()]
    assert list(dict.fromkeys(names)) == [str(number) for number in range(300)]
    assert len(names) == 300
