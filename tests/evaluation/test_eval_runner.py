"""Evaluating a folder: its index, its runs, the report, and what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from folders import CORPUS, rank_by, write_benchmark
from hashing_encoder import HashingEncoder

from bioretrieval_tui.errors import (
    BioRetrievalError,
    CorpusError,
    InterruptedByUser,
    ModelError,
    UsageError,
)
from bioretrieval_tui.evaluation import records
from bioretrieval_tui.evaluation.benchmark import BenchmarkFolder, read_benchmark
from bioretrieval_tui.evaluation.metrics import measure
from bioretrieval_tui.evaluation.runner import (
    EvaluationReport,
    EvaluationRequest,
    NotKeptError,
    aliases_of,
    compare_records,
    ensure_index,
    evaluate_folder,
    in_order,
    run_mode,
)
from bioretrieval_tui.index.build import build_index, compact_index
from bioretrieval_tui.index.layout import VECTORS, index_folder
from bioretrieval_tui.index.registry import (
    OpenIndex,
    clear_cache,
    index_names,
    manifest_of,
    open_index,
)
from bioretrieval_tui.progress import Progress
from homes import share_encoders


@pytest.fixture(autouse=True)
def _prepared(home: Path) -> None:
    share_encoders(home)


def built(benchmark: BenchmarkFolder) -> tuple[str, bool]:
    """The index of a benchmark, and whether it was built now."""
    before = {name: manifest_of(name).generation for name in index_names()}
    name = ensure_index(benchmark, device="cpu")
    return name, before.get(name) != manifest_of(name).generation


def test_the_same_bytes_are_indexed_once(tmp_path: Path) -> None:
    made = read_benchmark(write_benchmark(tmp_path / "My Tiny"))
    first, new = built(made)
    assert new
    assert first.startswith("eval-my-tiny-")
    again = read_benchmark(write_benchmark(tmp_path / "elsewhere" / "My Tiny"))
    assert built(again) == (first, False)
    compact_index(first)
    assert built(made) == (first, False)
    other = read_benchmark(write_benchmark(tmp_path / "x" / "My Tiny", {**CORPUS, "d9": "new"}))
    assert built(other)[0] != first
    assert len(index_names()) == 2


def test_a_gzipped_corpus_is_indexed(tmp_path: Path) -> None:
    made = read_benchmark(write_benchmark(tmp_path / "packed", packed=True))
    name = ensure_index(made, device="cpu")
    assert manifest_of(name).documents == len(CORPUS)
    assert [file.sha256 for file in manifest_of(name).inputs] == [*made.corpus_sums]


def test_an_id_that_stands_twice_in_the_corpus_is_said_each_time(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "twice")
    with (folder / "corpus.jsonl").open("a") as out:
        out.write('{"_id": "d1", "text": "other words"}\n{"_id": "d2", "text": "more words"}\n')
    request = EvaluationRequest(folder=str(folder), modes=("lexical",))
    for _ in range(2):  # the second time the index is there
        (note,) = [one for one in evaluate_folder(request).notes if "again" in one]
        path = folder / "corpus.jsonl"
        assert f"'d1' at {path}:1 and {path}:5; the last one counts" in note
        assert note.startswith("2 documents have an id that stands in the corpus again")


@pytest.mark.parametrize(
    ("corpus", "qrels"),
    [
        ("corpus.nbib", "qrels.txt"),
        ("documents/a.csv", "qrels/test.qrels"),
        ("corpus/corpus.jsonl", "test.qrel"),
    ],
)
def test_trec_topics_over_a_corpus_of_any_format(tmp_path: Path, corpus: str, qrels: str) -> None:
    texts = {"nbib": "PMID- {}\nTI  - {}\n\n", "csv": "{},{}\n",
             "jsonl": '{{"_id": "{}", "text": "{}"}}\n'}  # fmt: skip
    line = texts[corpus.rpartition(".")[2]]
    records = [line.format(n, text) for n, text in enumerate(CORPUS.values(), start=1)]
    for name, text in (
        (corpus, ("id,title\n" if "csv" in corpus else "") + "".join(records)),
        ("topics.xml", '<topics><topic number="7"><title>muscle pain</title></topic></topics>'),
        (qrels, "7 0 1 2.0\n7 0 2 0\n"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    report = evaluate_folder(EvaluationRequest(folder=str(tmp_path), modes=("lexical",)))
    assert (report.queries, report.documents) == (1, 4)
    assert report.runs[0].metrics["nDCG@10"] == 1.0
    assert "the queries are the element title of the topics" in report.notes


def test_a_damaged_index_is_built_again(tmp_path: Path) -> None:
    made = read_benchmark(write_benchmark(tmp_path / "tiny"))
    name = ensure_index(made, device="cpu")
    (vectors,) = index_folder(name).glob(f"*/{VECTORS}")
    data = bytearray(vectors.read_bytes())
    data[0] ^= 1
    vectors.write_bytes(data)
    assert ensure_index(made, vectors=False) == name  # BM25 reads no vectors
    assert built(made) == (name, True)
    assert built(made) == (name, False)


def test_an_evaluation_keeps_its_index_while_it_ranks(tmp_path: Path) -> None:
    kept: list[list[str]] = []

    def clear(step: Progress) -> None:
        if step.stage == "running":
            kept.append(clear_cache()[1])

    request = EvaluationRequest(folder=str(write_benchmark(tmp_path / "tiny")), modes=("lexical",))
    evaluate_folder(request, reporter=clear)
    assert kept
    assert all(kept)
    assert clear_cache()[1] == []


def test_a_cancelled_or_failed_build_leaves_no_index(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "tiny")

    def stop(step: Progress) -> None:
        if step.stage == "encoding":
            raise InterruptedByUser("stopped")

    with pytest.raises(InterruptedByUser):
        ensure_index(read_benchmark(folder), device="cpu", reporter=stop)
    with pytest.raises(ModelError, match=r"is not on this machine|is not known"):
        ensure_index(read_benchmark(folder), "org/none", device="cpu")
    with (folder / "corpus.jsonl").open("a") as out:
        out.write('{"_id": 5}\n')
    with pytest.raises(CorpusError, match=r"corpus\.jsonl:5: ") as caught:
        ensure_index(read_benchmark(folder), device="cpu")
    assert "--strict" not in caught.value.line()
    assert index_names() == []


class Fixed:
    """A ranker that always gives the same, and notes what it was asked."""

    def __init__(self, *given: tuple[str, float]) -> None:
        self.given = given
        self.asked: list[tuple[str, int]] = []

    def __call__(self, query: str, k: int) -> list[tuple[str, float]]:
        self.asked.append((query, k))
        return list(self.given[:k])


@pytest.fixture
def benchmark_(tmp_path: Path) -> BenchmarkFolder:
    return read_benchmark(write_benchmark(tmp_path / "tiny"))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[OpenIndex]:
    """The corpus of the tiny benchmark, with d1 and d2 there under further names."""
    corpus = {**CORPUS, "again": CORPUS["d1"], "b": CORPUS["d2"], "c": CORPUS["d2"]}
    folder = write_benchmark(tmp_path / "aliased", corpus=corpus)
    build_index("aliased", [folder / "corpus.jsonl"], HashingEncoder)
    found = open_index("aliased")
    yield found
    found.close()


def test_every_judged_query_is_run_and_no_other(benchmark_: BenchmarkFolder) -> None:
    ranker = Fixed(("d1", 2.0), ("d2", 1.0))
    run = run_mode(ranker, benchmark_, "dense")
    assert set(run.rankings) == {"q1", "q2"}
    assert run.rankings["q1"] == (("d1", 2.0), ("d2", 1.0))
    assert set(ranker.asked) == {("muscle pain", 101), ("tumour gene", 101)}
    assert 0 <= run.latency["p50"] <= run.latency["p95"]


def test_a_ranking_is_cut_at_its_depth(benchmark_: BenchmarkFolder) -> None:
    ranker = Fixed(*((f"x{n:03}", 1.0 - n / 1000) for n in range(200)))
    run = run_mode(ranker, benchmark_, "dense", depth=150)
    assert [name for name, _ in run.rankings["q1"]] == [f"x{n:03}" for n in range(150)]


def test_the_querys_own_document_is_left_out(tmp_path: Path) -> None:
    qrels = {"d1": {"d2": 1}, "d2": {"d2": 1}}
    folder = write_benchmark(tmp_path, queries={"d1": "one", "d2": "two"}, qrels=qrels)
    ranker = Fixed(("d1", 3.0), ("d2", 2.0), ("d3", 1.0))
    run = run_mode(ranker, read_benchmark(folder), "dense", depth=100)
    assert [name for name, _ in run.rankings["d1"]] == ["d2", "d3"]
    # Judged for the query itself, so it is meant to be found.
    assert [name for name, _ in run.rankings["d2"]] == ["d1", "d2", "d3"]
    assert run.own == 1
    kept = run_mode(ranker, read_benchmark(folder), "dense", keep_own=True)
    assert [name for name, _ in kept.rankings["d1"]] == ["d1", "d2", "d3"]
    assert kept.own == 0


def test_leaving_out_the_querys_own_document_keeps_the_depth(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path, queries={"x000": "one"}, qrels={"x000": {"d1": 1}})
    ranker = Fixed(*((f"x{n:03}", 1.0 - n / 1000) for n in range(200)))
    run = run_mode(ranker, read_benchmark(folder), "dense")
    assert [name for name, _ in run.rankings["x000"]] == [f"x{n:03}" for n in range(1, 101)]


def test_ids_of_one_text_share_one_score() -> None:
    aliases = {"b": ("a", "z")}
    found = in_order([("c", 3.0), ("b", 2.0), ("d", 1.0)], aliases)
    assert found == (("c", 3.0), ("z", 2.0), ("b", 2.0), ("a", 2.0), ("d", 1.0))
    # A ranker that knows them already gives none twice.
    assert in_order([("b", 2.0), ("a", 2.0)], aliases) == found[1:4]


def test_every_id_of_the_corpus_can_be_found(index: OpenIndex, tmp_path: Path) -> None:
    aliases = aliases_of(index.documents)
    groups = {frozenset((name, *others)) for name, others in aliases.items()}
    assert groups == {frozenset({"d1", "again"}), frozenset({"d2", "b", "c"})}
    qrels = {"q1": {"again": 1}, "q2": {"b": 1, "c": 1, "d2": 1}}
    made = read_benchmark(write_benchmark(tmp_path / "made", qrels=qrels))
    for mode in ("dense", "lexical"):
        run = run_mode(rank_by(index, mode), made, mode, aliases=aliases)
        assert measure(made.judgements, run.rankings).metrics["R@100"] == 1.0
        plain = run_mode(rank_by(index, mode), made, mode)
        assert measure(made.judgements, plain.rankings).metrics["R@100"] < 1.0


def test_a_reporter_receives_each_query_and_can_cancel(benchmark_: BenchmarkFolder) -> None:
    heard: list[Progress] = []
    run_mode(Fixed(("d1", 1.0)), benchmark_, "dense", reporter=heard.append)
    assert [(step.done, step.total) for step in heard] == [(0, 2), (1, 2), (2, 2)]

    def stop(step: Progress) -> None:
        if step.done == 1:
            raise InterruptedByUser("stopped")

    with pytest.raises(InterruptedByUser):
        run_mode(Fixed(("d1", 1.0)), benchmark_, "dense", reporter=stop)


def test_a_folder_is_evaluated_by_one_typed_call(tmp_path: Path) -> None:
    out = tmp_path / "out.trec"
    request = EvaluationRequest(
        folder=str(write_benchmark(tmp_path / "tiny")), modes=("lexical",), run_file=str(out)
    )
    steps: list[Progress] = []
    report = evaluate_folder(request, steps.append)
    assert (report.benchmark, report.split, report.queries) == ("tiny", "test", 2)
    assert report.runs[0].mode == "lexical"
    assert msgspec.json.decode(msgspec.json.encode(report), type=EvaluationReport) == report
    assert msgspec.json.decode(msgspec.json.encode(request), type=EvaluationRequest) == request
    (record,) = records.records()
    assert (record.index, record.sha256) == (report.index, report.sha256)
    assert (record.docs_per_second, record.encoded_on) == (None, None)  # BM25 encodes nothing
    assert record.metrics == report.runs[0].metrics
    assert out.read_text().startswith("q1 Q0 d1 1 ")
    assert steps[-1].stage == "running"


def test_a_report_survives_a_file_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise BioRetrievalError("the disk is full", remedy="make room")

    monkeypatch.setattr(records, "save", refuse)
    request = EvaluationRequest(folder=str(write_benchmark(tmp_path / "tiny")), modes=("lexical",))
    with pytest.raises(NotKeptError, match="the disk is full") as caught:
        evaluate_folder(request)
    assert caught.value.report.runs[0].mode == "lexical"
    assert caught.value.remedy == "make room"


GIVEN = """q1 Q0 d4 9 2.5 mine
q1 Q0 d1 1 2.5 mine
q1 Q0 zz 2 3.5 mine
q8 Q0 d1 1 1 mine
"""
"""Ranks contradict scores, a document and a query are unknown, and a judged query is missing."""


def scored(folder: Path, text: str = GIVEN, **more: object) -> EvaluationRequest:
    """A request that scores a run made elsewhere."""
    (folder / "mine.trec").write_text(text)
    return msgspec.convert(
        {"folder": str(folder), "modes": (), "score": (str(folder / "mine.trec"),), **more},
        EvaluationRequest,
    )


def test_a_run_made_elsewhere_is_scored_as_trec_eval_reads_it(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "tiny")
    request = scored(folder, modes=("lexical",), compare="lexical,mine.trec")
    report = evaluate_folder(request)
    # By score, equal scores by descending id: zz, d4 (grade 1), d1 (grade 2); q2 counts as 0.
    ranking = {"q1": [("zz", 3.0), ("d4", 2.0), ("d1", 1.0)]}
    expected = measure(read_benchmark(folder).judgements, ranking).metrics
    assert report.runs[1].metrics == expected
    assert report.comparison is not None
    assert report.comparison.deltas[-1].text
    said = "\n".join(report.notes)
    assert "mine.trec: 1 query ('q8') not judged in tiny" in said
    assert "mine.trec: 1 query ('q2') not in the run: scored 0" in said
    assert "mine.trec: 1 document ('zz') not in the corpus" in said
    found = {record.mode: record for record in records.records()}
    assert (found["run"].model, found["run"].metrics) == ("mine.trec", expected)
    assert found["run"].revision
    assert found["run"].hardware == ""
    by_id = compare_records(found["lexical"].id, found["run"].id)
    assert [one.text for one in by_id.deltas] == [one.text for one in report.comparison.deltas]
    assert by_id.p == report.comparison.p
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "changed"}\n')
    assert {one.text for one in compare_records(found["lexical"].id, found["run"].id).deltas} == {
        ""
    }


def test_runs_of_other_files_are_not_compared(tmp_path: Path) -> None:
    first = evaluate_folder(scored(write_benchmark(tmp_path / "one")))
    other = write_benchmark(tmp_path / "two", {**CORPUS, "d9": "more"})
    evaluate_folder(scored(other, names=("theirs",)))
    assert first.model == ""
    with pytest.raises(UsageError, match="not of the same files"):
        compare_records("one", "two")


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("q1 Q0 d1 1 inf x\n", CorpusError, ":1: the score 'inf' is no number"),
        ("q9 Q0 d1 1 1 x\n", CorpusError, "ranks no query of the split test"),
        ("q1 Q0 z 1 1 x\nq2 Q0 y 1 1 x\n", CorpusError, "ranks no document of the corpus"),
        ("", CorpusError, "ranks no query"),
    ],
)
def test_a_run_that_cannot_be_scored_is_one_line(
    tmp_path: Path, text: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        evaluate_folder(scored(write_benchmark(tmp_path / "tiny"), text))
    assert records.records() == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"names": ("a", "b")}, "--name"),
        ({"names": ("dense",)}, "has that of a mode"),
        ({"score": ("a/x.trec", "b/x.trec")}, "two runs have one name"),
        ({"run_file": "out.trec"}, "--run writes rankings of modes"),
    ],
)
def test_runs_need_names_of_their_own(tmp_path: Path, more: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        evaluate_folder(scored(write_benchmark(tmp_path / "tiny"), **more))
