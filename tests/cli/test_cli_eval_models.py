"""`eval` with models of the user's own: an overlay with a recipe, figures and an instruction, and
a cross-encoder; all tiny, with random weights, and loaded as any other."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "encoding"))  # tiny_models

from tiny_models import save_long_bert

Call = Callable[..., Any]

OVERLAY = """
sources:
  - {{id: my-notes, text: My notes}}
benchmarks:
  - {{id: my-claims, name: My claims, summary: Ours., sources: [my-notes], metric: nDCG@10,
     queries: 2, documents: 4, splits: {{test: 2}}}}
models:
  - id: my-model
    name: My model
    role: retriever
    summary: Ours.
    sources: [my-notes]
    hub: [me/my-model]
    encoding:
      type: bi-encoder
      grade: A
      library: transformers
      query: {{model: "{model}", template: "{{instruction}} {{query}}", max_length: 32}}
      document: {{model: "{model}", template: "{{title}} {{text}}", max_length: 32}}
      pooling: mean
      normalise: true
      similarity: cosine
      instruction: Say anything
      instructions: {{my-claims: Find the proof of this claim}}
results:
  - {{model: my-model, benchmark: my-claims, value: 0.123, source: my-notes}}
"""
CORPUS = {
    "d1": "statin and muscle pain",
    "d2": "the gene p53 in the cell",
    "d3": "heart failure trial",
    "d4": "the liver",
}
QUERIES = {"q1": "muscle pain", "q2": "heart failure"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the overlay, the models, and the benchmark."""
    root = tmp_path_factory.mktemp("own")
    save_long_bert(root / "model")
    save_long_bert(root / "judge", seed=3, labels=1)
    overlay = root / "home" / "config" / "catalog.d" / "mine.yaml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text(OVERLAY.format(model=root / "model"))
    made = root / "My_Claims"
    (made / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", CORPUS), ("queries", QUERIES)):
        lines = (json.dumps({"_id": one, "text": text}) + "\n" for one, text in texts.items())
        (made / f"{name}.jsonl").write_text("".join(lines))
    (made / "qrels" / "test.tsv").write_text("q1\td1\t1\nq2\td3\t1\n")
    return root


@pytest.fixture(scope="module")
def call(cli: Call, folder: Path) -> Call:
    env = {"BIORETRIEVAL_HOME": str(folder / "home"), "BIORETRIEVAL_OFFLINE": "1"}
    return lambda *words: cli(*map(str, words), env=env)


def test_a_recipe_of_ones_own_its_instruction_and_its_figures(call: Call, folder: Path) -> None:
    ended = call("eval", folder / "My_Claims", "--model", "my-model", "-f", "json")
    assert ended.code == 0, ended.err
    found = ended.json
    assert found["model"] == str(folder / "model")
    assert found["revision"].startswith("sha256:")
    assert found["instruction"] == "Find the proof of this claim"
    dense, lexical, hybrid = found["runs"]
    (beside,) = dense["published"]
    assert (beside["model"], beside["value"]) == ("my-model", 0.123)
    assert beside["deviation"] == pytest.approx(dense["metrics"]["nDCG@10"] - 0.123)
    assert beside["marked"] is True
    assert lexical["metrics"]["nDCG@10"] == 1.0
    for run in (lexical, hybrid):  # there is no BM25 row here, so the best are shown
        assert [(one["model"], one["deviation"]) for one in run["published"]] == [
            ("my-model", None)
        ]
    (kept, *_) = call("eval", "--list", "-f", "json").json
    assert kept["instruction"] == "Find the proof of this claim"
    assert kept["catalogue"] == "my-claims"
    own = [row for row in call("results", "--own", "-b", "my-claims", "-f", "json").json
           if row["source"] == "own"]  # fmt: skip
    assert len(own) == 3


def test_the_instruction_reaches_the_query(call: Call, folder: Path) -> None:
    """With the recipe's own instruction the dense scores are others: what is said is done."""
    ways = {}
    for name in ("My_Claims", "unknown"):
        made = folder / name
        if not made.exists():
            # One query more, so that neither its name nor its numbers are the catalogue's.
            shutil.copytree(folder / "My_Claims", made)
            with (made / "queries.jsonl").open("a") as out:
                out.write('{"_id": "q3", "text": "liver"}\n')
            with (made / "qrels" / "test.tsv").open("a") as out:
                out.write("q3\td4\t1\n")
        run = folder / f"{name}.trec"
        words = ("--model", "my-model", "-m", "dense", "--run", run, "-f", "json")
        ended = call("eval", made, *words)
        assert ended.code == 0, ended.err
        scores = [line.split() for line in run.read_text().splitlines()]
        ways[name] = (
            ended.json["instruction"],
            {(cells[0], cells[2]): float(cells[4]) for cells in scores if cells[0] != "q3"},
        )
    assert ways["unknown"][0] is None
    assert ways["unknown"][1].keys() == ways["My_Claims"][1].keys()
    differences = [
        abs(value - ways["unknown"][1][key]) for key, value in ways["My_Claims"][1].items()
    ]
    assert max(differences) > 1e-3


def test_a_cross_encoder_over_the_hybrid_mode(call: Call, folder: Path) -> None:
    run = folder / "judged.trec"
    ended = call(
        "eval", folder / "My_Claims", "--model", "my-model", "-m", "hybrid", "--rerank",
        "--reranker", folder / "judge", "--run", run, "-f", "json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert [one["mode"] for one in ended.json["runs"]] == ["hybrid", "rerank"]
    from bioretrieval_tui.documents.document import Document
    from bioretrieval_tui.encoding.cross_encoder import load_cross_encoder

    judge = load_cross_encoder(str(folder / "judge"), device="cpu")
    documents = [Document(name, "", text) for name, text in CORPUS.items()]
    lines = [line.split() for line in (folder / "judged.rerank.trec").read_text().splitlines()]
    for query, text in QUERIES.items():
        scores = judge.scores(text, documents).tolist()
        due = dict(zip(CORPUS, scores, strict=True))
        given = {cells[2]: float(cells[4]) for cells in lines if cells[0] == query}
        assert given == pytest.approx(due, abs=1e-4)
        assert list(given) == sorted(given, key=lambda name: -given[name])
    newest = call("eval", "--list", "-f", "jsonl").out.splitlines()[:2]
    (kept,) = [one for one in map(json.loads, newest) if one["mode"] == "rerank"]
    assert kept["reranker"] == str(folder / "judge")


def test_what_is_no_cross_encoder(call: Call, folder: Path) -> None:
    made = folder / "My_Claims"
    for name, code in (("no-such", 3), ("all-minilm-l6-v2", 2), ("my-model", 1)):
        ended = call("eval", made, "--model", "my-model", "--rerank", "--reranker", name)
        assert (ended.code, ended.out) == (code, ""), ended.err
        assert len([line for line in ended.lines if "running" not in line]) == 1
