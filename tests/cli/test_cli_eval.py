"""`eval` in real processes, with the embedded model over a benchmark of a few sentences."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homes import share_encoders

Call = Callable[..., Any]

CORPUS = {
    "d1": ("Statins", "Simvastatin and other statins often cause muscle pain."),
    "d2": ("p53", "The p53 gene suppresses the growth of tumours."),
    "d3": ("Asthma", "Inhaled steroids help children who have asthma."),
    "d4": ("Aspirin", "Aspirin prevents strokes in patients at risk."),
    "d5": ("Statins", "Simvastatin and other statins often cause muscle pain."),
    "d6": ("", "Triptans end attacks of migraine."),
}
QUERIES = {
    "1": "Which drugs cause pain in muscles?",
    "2": "tumour suppressor gene",
    "3": "asthma in children",
    "4": "nobody judged this",
}
QRELS = "query-id\tcorpus-id\tscore\n1\td1\t2\n1\td5\t1\n2\td2\t1\n2\td9\t1\n3\td3\t1\n3\td4\t0\n"
MEASURES = ["nDCG@10", "AP@100", "R@100", "RR@10", "P@10"]


def write(folder: Path, corpus: dict[str, tuple[str, str]] = CORPUS, qrels: str = QRELS) -> Path:
    (folder / "qrels").mkdir(parents=True)
    records = ({"_id": name, "title": t, "text": x} for name, (t, x) in corpus.items())
    (folder / "corpus.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    queries = ({"_id": name, "text": text} for name, text in QUERIES.items())
    (folder / "queries.jsonl").write_text("".join(json.dumps(one) + "\n" for one in queries))
    (folder / "qrels" / "test.tsv").write_text(qrels)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return share_encoders(tmp_path_factory.mktemp("evaluating"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("benchmarks") / "tiny-claims")


@pytest.fixture(scope="module")
def call(cli: Call, place: Path) -> Call:
    """The command with this module's home and no network; never from memory."""
    count = [0]

    def run(*words: object, **env: str) -> Any:
        count[0] += 1
        ended = cli(
            *map(str, words),
            env={
                "BIORETRIEVAL_HOME": str(place),
                "BIORETRIEVAL_OFFLINE": "1",
                "TEST_CALL": str(count[0]),
                **env,
            },
        )
        assert "Traceback" not in ended.err
        return ended

    return run


@pytest.fixture(scope="module")
def first(call: Call, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The first evaluation, with everything that can be written."""
    out = tmp_path_factory.mktemp("out")
    ended = call(
        "eval", folder, "-f", "json", "--compare", "lexical,dense",
        "--run", out / "out.trec", "--per-query", out / "queries.jsonl",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    return ended, out


def test_the_shape_of_the_design(first: Any) -> None:
    ended, _ = first
    found = ended.json
    assert list(found)[:6] == ["benchmark", "split", "model", "queries", "documents", "runs"]
    assert (found["benchmark"], found["split"]) == ("tiny-claims", "test")
    assert found["model"] == "sentence-transformers/all-MiniLM-L6-v2"
    # d5 is another id of d1's text, and counts.
    assert (found["queries"], found["documents"]) == (3, 6)
    assert [run["mode"] for run in found["runs"]] == ["dense", "lexical", "hybrid"]
    for run in found["runs"]:
        assert list(run["metrics"]) == MEASURES
        assert 0 < run["latency_ms"]["p50"] <= run["latency_ms"]["p95"]
        assert run["published"] == []
    dense = found["runs"][0]["metrics"]
    # Everything that is there is found; d9, which is not, costs the second query half its recall.
    assert dense["R@100"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert dense["RR@10"] == 1.0
    # d1 and d5 have one text: d5 is sorted before d1, as trec_eval sorts ties.
    assert 0.8 < dense["nDCG@10"] < 1.0


def test_what_stands_in_the_files_is_said(first: Any) -> None:
    ended, _ = first
    assert "1 query is without a judgement in the split test: not run" in ended.err
    assert "1 judged document is not in the corpus: counted as not found" in ended.err
    assert "1 of grade 2 or more, 1 of grade 0 or less" in ended.err
    assert ended.json["notes"] == [
        line.removeprefix("bioretrieval-tui: ")
        for line in ended.lines
        if "judge" in line or "own id" in line
    ]


def test_runs_are_written_a_file_a_mode(first: Any) -> None:
    ended, out = first
    files = sorted(path.name for path in out.iterdir())
    assert files == ["out.dense.trec", "out.hybrid.trec", "out.lexical.trec", "queries.jsonl"]
    import ir_measures

    qrels = [
        ir_measures.Qrel(query, name, int(grade))
        for query, name, grade in (line.split("\t") for line in QRELS.splitlines()[1:])
    ]
    for run in ended.json["runs"]:
        read = list(ir_measures.read_trec_run(str(out / f"out.{run['mode']}.trec")))
        wanted = [ir_measures.parse_measure(name) for name in ("nDCG@10", "AP@100", "R@100")]
        theirs = ir_measures.calc_aggregate(wanted, qrels, read)
        assert {str(name): value for name, value in theirs.items()} == pytest.approx(
            {str(name): run["metrics"][str(name)] for name in wanted}
        )


def test_the_figures_of_every_query_are_written(first: Any) -> None:
    ended, out = first
    lines = [json.loads(line) for line in (out / "queries.jsonl").read_text().splitlines()]
    assert [line["query"] for line in lines] == ["1", "2", "3"]
    for run in ended.json["runs"]:
        for name in MEASURES:
            mean = sum(line["metrics"][run["mode"]][name] for line in lines) / 3
            assert mean == pytest.approx(run["metrics"][name])
    differences = [line["comparison"]["difference"] for line in lines]
    compared = ended.json["comparison"]
    assert compared["difference"] == pytest.approx(sum(differences) / 3)
    assert (compared["first"], compared["second"]) == ("lexical", "dense")
    assert compared["wins"] == sum(one > 0 for one in differences)
    assert compared["exact"] is True
    assert 0 < compared["p"] <= 1


def test_the_index_is_built_once_and_is_one_like_any_other(
    call: Call, folder: Path, first: Any
) -> None:
    name = first[0].json["index"]
    assert re.fullmatch(r"eval-tiny-claims-[0-9a-f]{8}", name)
    before = call("index", "list", "--all", "-f", "json").json
    assert [one["name"] for one in before] == [name]
    again = call("eval", folder, "-m", "dense", "-f", "json")
    assert again.json["runs"][0]["metrics"] == first[0].json["runs"][0]["metrics"]
    assert call("index", "list", "--all", "-f", "json").json == before
    assert call("index", "verify", name).code == 0


def test_another_corpus_has_another_index(call: Call, first: Any, tmp_path: Path) -> None:
    other = write(tmp_path / "tiny-claims", {**CORPUS, "d7": ("", "Something else.")})
    found = call("eval", other, "-m", "lexical", "-q", "-f", "json")
    assert found.err == ""
    assert found.json["index"] != first[0].json["index"]
    assert found.json["documents"] == 7
    assert call("index", "remove", found.json["index"], "--yes").code == 0


def test_an_index_that_was_changed_is_built_again(call: Call, tmp_path: Path) -> None:
    made = write(tmp_path / "changed")
    name = call("eval", made, "-m", "lexical", "-f", "json").json["index"]
    more = tmp_path / "more.jsonl"
    more.write_text('{"_id": "new", "text": "muscle pain, muscle pain, muscle pain"}\n')
    assert call("index", "add", name, more).code == 0
    ended = call("eval", made, "-m", "lexical", "--model", "medcpt", "-f", "json")
    found = ended.json
    assert (found["index"], found["documents"]) == (name, 6)
    # BM25 alone: no model is used, and none is named.
    assert "--model medcpt is not used: BM25 needs no model" in ended.err
    assert found["model"] is None
    assert call("index", "remove", name, "--yes").code == 0


def test_the_formats_agree(call: Call, folder: Path, first: Any) -> None:
    words = ("eval", folder, "-m", "dense", "-m", "lexical", "-q")
    runs = {run["mode"]: run["metrics"] for run in first[0].json["runs"]}
    rows = list(csv.DictReader(io.StringIO(call(*words, "-f", "csv").out)))
    assert [row["run"] for row in rows] == ["dense", "lexical"]
    assert [bool(row["model"]) for row in rows] == [True, False]
    for row in rows:
        assert float(row["ndcg_10"]) == runs[row["run"]]["nDCG@10"]
        assert float(row["p50_ms"]) > 0
    lines = [json.loads(line) for line in call(*words, "-f", "jsonl").out.splitlines()]
    assert [line["metrics"] for line in lines] == [runs["dense"], runs["lexical"]]
    shown = f"{runs['lexical']['nDCG@10']:.4f}"
    for format_ in ("table", "markdown"):
        ended = call(*words, "--compare", "lexical,dense", "-f", format_)
        assert (ended.code, ended.err) == (0, "")
        assert shown in ended.out
        assert "dense against BM25: nDCG@10" in ended.out
    assert call(*words, "-f", "bibtex").code == 2


def test_a_single_query(call: Call, folder: Path, first: Any) -> None:
    kept = len(call("eval", "--list", "-f", "json").json)
    found = call("eval", folder, "--query", "1", "-m", "lexical", "-m", "dense", "-f", "json").json
    assert (found["id"], found["text"]) == ("1", QUERIES["1"])
    assert [(row["id"], row["grade"]) for row in found["judged"]] == [("d1", 2), ("d5", 1)]
    assert set(found["judged"][0]["ranks"]) == {"lexical", "dense"}
    assert {row["ranks"]["dense"] for row in found["judged"]} == {1, 2}
    assert {row["id"] for row in found["unjudged"]} == {"d2", "d3", "d4", "d6"}
    absent = call("eval", folder, "--query", "2", "-f", "table").out
    assert "d9" in absent
    assert "(not in the corpus)" in absent
    ended = call("eval", folder, "--query", "4")
    assert (ended.code, ended.out) == (3, "")
    assert "has no query '4'" in ended.err
    assert len(call("eval", "--list", "-f", "json").json) == kept


def test_records_are_listed_compared_and_removed(call: Call, folder: Path, first: Any) -> None:
    listed = call("eval", "--list", "--all", "-f", "json").json
    # Newest first, so the first evaluation's are the last three.
    oldest = {one["mode"]: one for one in listed[-3:]}
    assert set(oldest) == {"dense", "lexical", "hybrid"}
    one = oldest["dense"]
    assert one["benchmark"] == "tiny-claims"
    assert one["sha256"] == first[0].json["sha256"]
    assert one["metrics"] == first[0].json["runs"][0]["metrics"]
    assert set(one["per_query"]) == {"1", "2", "3"}
    assert one["hardware"].endswith("queries on cpu")
    assert {"bioretrieval-tui", "python", "ir-measures"} <= set(one["versions"])
    assert one["docs_per_second"] > 0
    assert one["encoded_on"] == "cpu"
    assert "docs_per_second" not in oldest["lexical"]
    drawn = call("plot", "runs", "-f", "json").json
    speeds = {row["docs_per_second"] for row in drawn if row["benchmark"] == "tiny-claims"}
    assert one["docs_per_second"] in speeds
    same = call("eval", folder, "-m", "dense", "--compare", f"{one['id']},dense", "-f", "json")
    assert (same.json["comparison"]["p"], same.json["comparison"]["ties"]) == (1.0, 3)
    for format_ in ("table", "markdown", "csv", "jsonl"):
        assert one["id"] in call("eval", "--list", "--all", "-f", format_, COLUMNS="300").out
    gone = same.json["runs"][0]
    newest = call("eval", "--list", "-f", "json").json[0]
    assert newest["metrics"] == gone["metrics"]
    assert call("eval", "--remove", newest["id"]).code == 0
    assert newest["id"] not in call("eval", "--list", "--all", "-f", "json").out
    assert call("eval", "--remove", newest["id"]).code == 3


def test_of_repeated_evaluations_the_newest_is_listed(call: Call, folder: Path, first: Any) -> None:
    assert call("eval", folder, "-m", "lexical").code == 0
    every = call("eval", "--list", "--all", "-f", "json").json
    found = [one for one in every if one["mode"] == "lexical" and one["folder"] == str(folder)]
    bm25 = [one["id"] for one in found]
    assert len(bm25) > 1
    # BM25 needs no model, so that none is in the name.
    assert all(one.startswith("tiny-claims-bm25-") for one in bm25)
    ended = call("eval", "--list", "-f", "markdown")
    assert bm25[0] in ended.out
    assert bm25[1] not in ended.out
    assert "of the same kind: --list --all" in ended.err
    assert call("eval", "--all").code == 2


def test_two_records_are_compared_without_a_folder(call: Call, first: Any) -> None:
    every = call("eval", "--list", "--all", "-f", "json").json
    ids = {one["mode"]: one["id"] for one in every[-3:]}
    words = ("eval", "--compare", f"{ids['lexical']},{ids['dense']}")
    found = call(*words, "-f", "json").json
    assert found["p"] == first[0].json["comparison"]["p"]
    assert sum(one["queries"] for one in found["histogram"]) == 3
    assert all(one["text"] for one in (*found["gained"], *found["lost"]))
    shown = call(*words, "-f", "table", COLUMNS="120").out
    assert "Queries by difference in nDCG@10" in shown
    assert f"{ids['dense']} is better on {found['wins']} queries" in " ".join(shown.split())
    assert len(call(*words, "-f", "jsonl").out.splitlines()) == 3


def test_own_figures_stand_beside_the_published(call: Call, first: Any) -> None:
    plain = call("results", "-f", "json").json
    own = [row for row in call("results", "--own", "-f", "json").json if row not in plain]
    assert {row["source"] for row in own} == {"own"}
    models = [row["model"] for row in own if row["benchmark"] == "tiny-claims"]
    assert sorted(set(models)) == ["all-minilm-l6-v2", "all-minilm-l6-v2+bm25", "own-bm25"]
    shown = call("results", "--own", "-m", "all-minilm-l6-v2", "-f", "table", COLUMNS="300").out
    assert "all-MiniLM-L6-v2 + BM25" in shown
    assert "BM25 (bioretrieval-tui)" not in shown
    for asked in (("-b", "tiny-claims"), ("--columns", "scifact,tiny-claims")):
        for words, kept in (("bm25", True), ("splade", False)):  # as in the app
            found = call("results", *asked, "--own", "-w", words, "-f", "json").json
            assert ("own-bm25" in [row["model"] for row in found]) == kept
    page = call("show", "all-minilm-l6-v2", "-f", "markdown").out
    assert page.index("## Your runs") < page.index("## Published results")
    assert "tiny-claims" in page


def test_a_benchmark_of_ones_own_is_one_of_the_board(call: Call, first: Any) -> None:
    score = round(first[0].json["runs"][0]["metrics"]["nDCG@10"], 4)
    rows = call("results", "-b", "Tiny-Claims", "-f", "json").json
    assert {row["benchmark"] for row in rows} == {"tiny-claims"}
    assert {"all-minilm-l6-v2", "own-bm25"} <= {row["model"] for row in rows}
    assert "tiny-claims (own)" in call("results", "-b", "tiny-claims", "-f", "markdown").out
    (only,) = call("results", "-b", "tiny-claims", "-m", "all-minilm-l6-v2", "--wide", "-s",
                   "model", "-f", "json", "-n", "1").json  # fmt: skip
    assert only["results"]["tiny-claims"]["source"] == "own"
    # Published models rank by the published column; runs stand behind, or sort by their own.
    words = ("results", "--columns", "scifact,tiny-claims", "-f", "json")
    ranked = call(*words, "-n", "1").json[0]
    assert (ranked["rank"], ranked["of"]) == (1, ["scifact"])
    best = call(*words, "-s", "tiny-claims", "-n", "1").json[0]
    assert best["rank"] is None
    assert best["results"]["tiny-claims"]["value"] >= score
    assert call("results", "-b", "tiny-claim").code == 3
    latex = call("results", "--columns", "tiny-claims", "-f", "latex").out
    assert r"$\diamond$ BM25 (bioretrieval-tui)" in latex
    assert "\N{BLACK DIAMOND}" not in latex


def test_a_name_instead_of_a_folder_is_answered_by_the_call(
    call: Call, folder: Path, first: Any
) -> None:
    ended = call("eval", "tiny-claims")
    assert ended.code == 3
    assert ended.err.endswith(f"is not there; bioretrieval-tui eval {folder}\n")
    ended = call("eval", "nfcorpus")
    assert 'eval "$(bioretrieval-tui fetch benchmark nfcorpus)"' in ended.err


def test_a_damaged_record_is_one_line(call: Call, place: Path, first: Any) -> None:
    path = place / "data" / "evaluations" / "broken.json"
    path.write_text("{")
    ended = call("eval", "--list", "-f", "json")
    path.unlink()
    assert ended.code == 0
    assert ended.json
    (line,) = ended.lines
    assert "broken.json is damaged" in line


def test_progress_can_be_read_by_programs(call: Call, folder: Path, first: Any) -> None:
    ended = call("eval", folder, "-m", "lexical", "--progress", "json", "-f", "json")
    steps = [json.loads(line) for line in ended.lines if line.startswith("{")]
    running = [step for step in steps if step["stage"] == "running"]
    assert running[-1]["done"] == running[-1]["total"] == 3
    assert running[-1]["note"] == "lexical"


def test_hostile_words_reach_no_terminal(call: Call, folder: Path, tmp_path: Path) -> None:
    made = write(tmp_path / "hostile", qrels="\x1b[31m1\td1\t1\n1\t\x1b]0;x\x07d2\t1\n1\td1\t1\n")
    ended = call("eval", made, "--query", "1", "-m", "lexical", "-f", "table")
    assert ended.code == 0
    assert "\x1b" not in ended.out + ended.err
    bad = write(tmp_path / "bad", qrels="1\td1\t\x1b[31mhigh\n")
    ended = call("eval", bad)
    assert ended.code == 1
    assert "\x1b" not in ended.err
    listed = call("index", "list", "--all", "-f", "json").json
    (name,) = [one["name"] for one in listed if one["name"].startswith("eval-hostile-")]
    assert call("index", "remove", name, "--yes").code == 0


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Benchmarks with one fault each."""
    root = tmp_path_factory.mktemp("wrong")
    with_line = write(root / "corpus")
    with (with_line / "corpus.jsonl").open("a") as out:
        out.write('{"_id": "d9"\n')
    write(root / "grades", qrels="1\td1\t0.5\n")
    write(root / "foreign", qrels="z\td1\t1\n")
    write(root / "nothing", qrels="")
    (write(root / "queryless") / "queries.jsonl").unlink()
    (write(root / "blank") / "queries.jsonl").write_text('{"_id": "1", "text": ""}\n')
    other = write(root / "other", {"x1": ("", "quite another corpus")})
    (other / "qrels" / "test.tsv").write_text("1\tx1\t1\n")
    return root


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "no benchmark is named"),
        (["{wrong}/none"], 3, "is not there"),
        (["{wrong}/queryless"], 3, "it has no queries.jsonl"),
        (["{folder}", "--split", "dev"], 3, "has no split dev; its splits: test"),
        (["{wrong}/corpus"], 1, "corpus.jsonl:7: not JSON"),
        (["{wrong}/grades"], 1, "test.tsv:1: the grade '0.5' is no whole number"),
        (["{wrong}/foreign"], 1, "judges no query"),
        (["{wrong}/nothing"], 1, "holds no judgement"),
        (["{wrong}/blank"], 1, "queries.jsonl:1: query '1' has no text"),
        (["{folder}", "-m", "best"], 2, "there is no mode 'best'"),
        (["{folder}", "-m", "dense", "-m", "dense"], 2, "given twice"),
        (["{folder}", "-k", "10"], 2, "R@100 needs 100"),
        (["{folder}", "-k", "x"], 2, "is not a valid integer"),
        (["{folder}", "--index", "none"], 3, "there is no index none"),
        (["{wrong}/other", "--index", "{index}"], 1, "none of the judged documents"),
        (["{folder}", "--index", "{index}", "--model", "medcpt"], 1, "was built with"),
        (["{folder}", "--model", "no-such-model"], 3, "no model has the id"),
        (["{folder}", "--model", "medcpt"], 1, "is not on this machine"),
        (["{folder}", "--device", "abacus"], 2, "abacus"),
        (["{folder}", "--compare", "dense"], 2, "--compare does not understand 'dense'"),
        (["{folder}", "--compare", "dense,none"], 3, "there is no evaluation 'none'"),
        (["{folder}", "-m", "dense", "--compare", "dense,hybrid"], 2, "add: -m hybrid"),
        (["{wrong}/other", "-m", "dense", "--compare", "{record},dense"], 2, "another benchmark"),
        (["{folder}", "--run", "{wrong}/no/out.trec"], 3, "is not there"),
        (["{folder}", "--run", "{wrong}"], 2, "is a folder"),
        (["{folder}", "--per-query", "{wrong}"], 2, "is a folder"),
        (["{folder}", "--query", "17"], 3, "has no query '17'"),
        (["--remove", "none"], 3, "there is no evaluation 'none'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)  # fmt: skip
def test_what_is_wrong_is_one_line_and_nothing_has_changed(
    call: Call,
    folder: Path,
    wrong: Path,
    place: Path,
    first: Any,
    words: list[str],
    code: int,
    said: str,
) -> None:
    def state() -> list[str]:
        kept = [
            *(place / "data" / "evaluations").iterdir(),
            *(place / "data" / "indexes").iterdir(),
        ]
        return sorted(path.name for path in kept if path.name != ".locks")

    (record,) = [
        path.stem
        for path in (place / "data" / "evaluations").glob("tiny-claims-*-hybrid-*.json")
        if path.stat().st_mtime_ns
        == min(p.stat().st_mtime_ns for p in path.parent.glob("tiny-claims-*-hybrid-*.json"))
    ]
    values = {"index": first[0].json["index"], "wrong": wrong, "folder": folder, "record": record}
    before = state()
    ended = call("eval", *(word.format(**values) for word in words), "-f", "json")
    assert ended.code == code, ended.err
    assert ended.out == ""
    told = [line for line in ended.lines if "query encoder" not in line]
    assert len(told) == 1, ended.err
    assert said in told[0]
    assert state() == before


def test_what_cannot_be_written_does_not_cost_the_figures(call: Call, tmp_path: Path) -> None:
    corpus = {**CORPUS, "d 7": ("", "muscle pain, muscle pain")}
    made = write(tmp_path / "blank-id", corpus)
    words = ("eval", made, "-m", "lexical", "-q", "-f", "json")
    kept = len(call("eval", "--list", "-f", "json").json)
    ended = call(*words, "--run", tmp_path / "out.trec")
    assert ended.code == 1
    assert len(ended.lines) == 1
    assert "the id 'd 7' cannot be in a TREC run file" in ended.err
    assert ended.json["runs"][0]["metrics"]["RR@10"] > 0
    assert len(call("eval", "--list", "-f", "json").json) == kept + 1
    assert not (tmp_path / "out.trec").exists()
    assert call("index", "remove", ended.json["index"], "--yes").code == 0


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A benchmark with enough queries to be stopped among them."""
    made = write(tmp_path / "long")
    queries = ({"_id": f"q{n}", "text": f"muscle pain {n}"} for n in range(3_000))
    (made / "queries.jsonl").write_text("".join(json.dumps(one) + "\n" for one in queries))
    (made / "qrels" / "test.tsv").write_text("".join(f"q{n}\td1\t1\n" for n in range(3_000)))
    return made


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_evaluation_leaves_no_figure(
    call: Call, environment: dict[str, str], place: Path, long: Path, tmp_path: Path, first: Any
) -> None:
    kept = sorted((place / "data" / "evaluations").iterdir())
    process = subprocess.Popen(
        [sys.executable, "-m", "bioretrieval_tui", "eval", str(long), "--progress", "json",
         "--run", str(tmp_path / "out.trec"), "-f", "json"],
        env={**environment, "BIORETRIEVAL_HOME": str(place)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if '"running"' in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert [line for line in err.splitlines() if not line.startswith("{")] == []
    assert sorted((place / "data" / "evaluations").iterdir()) == kept
    assert [path.name for path in tmp_path.iterdir()] == ["long"]
    listed = {
        one["name"]: one["status"] for one in call("index", "list", "--all", "-f", "json").json
    }
    assert all(status == "ok" for status in listed.values())
    # The index was complete before the first query, so it stays, for the next attempt.
    assert any(name.startswith("eval-long-") for name in listed)


def test_listing_loads_nothing_heavy(call: Call, cli: Call, place: Path, first: Any) -> None:
    report = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: sys.stderr.write(json.dumps(sorted(sys.modules))))"
    )
    for words in (["eval", "--list"], ["eval", "--help"]):
        ended = cli(*words, env={"BIORETRIEVAL_HOME": str(place)}, code=report)
        assert ended.code == 0
        modules = set(json.loads(ended.lines[-1]))
        assert (
            modules & {"numpy", "torch", "ir_measures", "hnswlib", "textual", "openvino"} == set()
        )
    assert os.environ.get("BIORETRIEVAL_HOME") != str(place)
