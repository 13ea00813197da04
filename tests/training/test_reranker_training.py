"""Cross-encoders that are trained: what they learn, and that they are rerankers like others."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import recipe, save_long_bert

from bioretrieval_tui.catalog.models import Encoding, Side
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.cross_encoder import CrossEncoder, load_cross_encoder
from bioretrieval_tui.errors import InterruptedByUser, ModelError, UsageError
from bioretrieval_tui.main import run
from bioretrieval_tui.progress import Progress, silent
from bioretrieval_tui.training import own_models, trainer, training_watch
from bioretrieval_tui.training.examples import Example
from bioretrieval_tui.training.hyperparameters import RunSettings, choose
from bioretrieval_tui.training.own_models import Fitted
from bioretrieval_tui.training.reranker_training import (
    PairTexts,
    check_reranker,
    reranking_task,
    starting_recipe,
    trainable_reranker,
)
from bioretrieval_tui.training.trainable_models import kind_of_base
from bioretrieval_tui.training.trainer import fit

WORDS = "liver statin muscle pain gene cell trial heart failure".split()


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder without a head."""
    return save_long_bert(tmp_path_factory.mktemp("plain") / "bert")


@pytest.fixture(scope="session")
def cross(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder of random weights."""
    return save_long_bert(tmp_path_factory.mktemp("cross") / "bert", labels=1)


def examples(count: int = 48, seed: int = 1) -> list[Example]:
    """A query of two words, a document that has both, and two that have none."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        one, other = draw.sample(WORDS, 2)
        document = Document(str(number), one, f"the {other} of {one} in trial {number}")
        wrong = [Document(f"{number}-{n}", "title", f"in and of the {number} {n}") for n in (1, 2)]
        scores = (9.0, 1.0, -3.0)
        found.append(Example(str(number), f"{one} {other}", document, tuple(wrong), 1.0, scores))
    return found


def settings(**given: str) -> RunSettings:
    usual = {"kind": "reranker", "learning_rate": "0.003", "precision": "float32", "steps": "10",
             "negatives_each": "2"}  # fmt: skip
    return choose(None, usual | given).settings


def trained(
    base: Path, folder: Path, chosen: RunSettings, report: Callable[[Progress], None] = silent,
    held: list[Example] | None = None,
) -> tuple[Any, Encoding, Fitted]:  # fmt: skip
    fresh = kind_of_base(str(base), None) == "retriever"
    reads = starting_recipe(str(base), None)
    model = trainable_reranker(str(base), reads, chosen, fresh=fresh)

    def task(*given: Any, **how: Any) -> trainer.Task:
        return reranking_task(*given, **how, fresh=fresh)

    done = fit(model, reads, chosen, examples(), held or [], folder, report, task_of=task)
    return model, reads, done


def weights(model: Any) -> dict[str, Any]:
    return {name: one.detach().clone() for name, one in model.named_parameters()}


def moved(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name, one in before.items() if not bool((one == after[name]).all())}


@pytest.mark.parametrize("loss", ["scores", "contrastive", "margin-mse", "kl"])
@pytest.mark.parametrize("begun", ["plain", "cross"])
def test_the_loss_falls(
    request: pytest.FixtureRequest, tmp_path: Path, begun: str, loss: str
) -> None:
    base: Path = request.getfixturevalue(begun)
    _, _, done = trained(base, tmp_path, settings(loss=loss, learning_rate="0.001"))
    losses = [value for _, value in done.losses]
    assert len(losses) == 10
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert done.trained[0] == done.trained[1]


@pytest.mark.parametrize("begun", ["plain", "cross"])
def test_the_saved_model_scores_as_the_live_one(
    request: pytest.FixtureRequest, tmp_path: Path, begun: str
) -> None:
    """Also texts that are cut."""
    chosen = settings(query_length="8", document_length="24", steps="2")
    base: Path = request.getfixturevalue(begun)
    model, reads, _ = trained(base, tmp_path / "work", chosen)
    model.save(str(tmp_path / "saved"), create_model_card=False)
    reader = CrossEncoder(str(tmp_path / "saved"), reads, "cpu")
    documents = [one.positive for one in examples(4)]
    documents.append(Document("long", "A title", "liver muscle gene " * 60))
    texts = PairTexts("x", reads, model.tokenizer.sep_token)
    pairs = [(texts.query("liver pain"), texts.document(one)) for one in documents]
    expected = model.predict(pairs)
    np.testing.assert_allclose(reader.scores("liver pain", documents), expected, atol=1e-4)
    length = model.tokenizer.model_max_length
    assert length == (32 if begun == "plain" else 512)
    # The folder says what it is: it ranks, and makes no vectors.
    assert kind_of_base(str(tmp_path / "saved"), None) == "reranker"


def test_a_reranker_learns_which_documents_answer(plain: Path, tmp_path: Path) -> None:
    chosen = settings(steps="60", learning_rate="0.002")
    held = examples(12, seed=9)
    _, _, done = trained(plain, tmp_path, chosen, held=held)
    seen = {one.step: one.score for one in done.watched}
    assert seen[done.best] == max(seen.values())
    assert seen[done.best] > 0.9 >= seen[0]


def test_the_same_seed_gives_the_same_weights(plain: Path, tmp_path: Path) -> None:
    found = [
        weights(trained(plain, tmp_path / run, settings(seed=seed, steps="2"))[0])
        for run, seed in (("one", "1"), ("two", "1"), ("three", "2"))
    ]
    assert moved(found[0], found[1]) == set()
    assert any("classifier" in name for name in moved(found[0], found[2]))


class Killed(InterruptedByUser):
    pass


LONG = os.environ.get("BIORETRIEVAL_FAULTS") == "long"


@pytest.mark.parametrize("loss", ["scores", "contrastive", "kl"] if LONG else ["kl"])
def test_a_run_that_was_ended_goes_on_as_if_it_was_not(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    monkeypatch.setattr(training_watch, "SAVED_EVERY", 0.0)
    chosen = settings(loss=loss, steps="5")
    whole, _, _ = trained(plain, tmp_path / "whole", chosen)

    def report(progress: Progress) -> None:
        if progress.stage == "training" and progress.done >= 3:
            raise Killed("ended")

    with pytest.raises(Killed):
        trained(plain, tmp_path / "ended", chosen, report)
    model, _, done = trained(plain, tmp_path / "ended", chosen)
    assert done.resumed >= 2
    assert moved(weights(whole), weights(model)) == set()


def test_an_adapter_is_merged_into_a_cross_encoder(cross: Path, tmp_path: Path) -> None:
    reads = starting_recipe(str(cross), None)
    before = weights(trainable_reranker(str(cross), reads, settings(), fresh=False))
    chosen = settings(**{"lora.rank": "4", "lora.targets": "query,value"})
    model, _, done = trained(cross, tmp_path, chosen)
    changed = moved(before, weights(model))
    assert changed
    assert all(".query.weight" in name or ".value.weight" in name for name in changed)
    assert done.trained[0] < done.trained[1] / 20


def test_the_recipe_of_the_base_is_kept(cross: Path, plain: Path) -> None:
    reads = Side(pair=("ask: {query}", "{title}. {text}"), max_length=400)
    own = Encoding(type="cross-encoder", grade="A", document=reads)
    assert starting_recipe(str(cross), own) == own
    texts = PairTexts("x", own, "[SEP]")
    assert texts.query(" pain ") == "ask: pain"
    assert texts.document(Document("1", "Title", "Text")) == "Title. Text"
    new = starting_recipe(str(plain), recipe())
    assert (new.type, new.document and new.document.pair) == (
        "cross-encoder", ("{query}", "{title} {text}")
    )  # fmt: skip
    assert kind_of_base(str(plain), None) == kind_of_base(str(plain), recipe()) == "retriever"
    assert kind_of_base(str(cross), None) == "reranker"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"type": "static"}, "it is a static"),
        ({"type": "llm-reranker"}, "it is a llm-reranker"),
        ({"query": Side(model="other")}, "its queries and documents have two models"),
        ({"requires": "own-code"}, "it runs code from its own repository"),
        (
            {"type": "cross-encoder", "document": Side(pair=("{title} {query}", "{text}"))},
            "its first text is not the query alone",
        ),
    ],
)
def test_bases_that_cannot_begin_a_reranker(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        starting_recipe("base", recipe(**changed))


def test_settings_that_fit_no_reranker(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the loss triplet trains no reranker"):
        check_reranker(settings(loss="triplet"), fresh=False)
    with pytest.raises(UsageError, match="a new reranker's head is random"):
        check_reranker(settings(lora="yes"), fresh=True)
    check_reranker(settings(lora="yes"), fresh=False)
    several = save_long_bert(tmp_path / "three", labels=3)
    with pytest.raises(ModelError, match="gives 3 scores per document"):
        trainable_reranker(
            str(several), starting_recipe(str(several), None), settings(), fresh=False
        )
    usual = choose(None, {}, "reranker")
    assert (usual.settings.loss, usual.settings.kind) == ("scores", "reranker")
    assert "temperature" not in {name for name, _, _ in usual.lines()}
    assert choose(None, {"teacher": "hybrid"}, "reranker").settings.loss == "margin-mse"


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    """Documents of two words each; every even one is judged for training, odd for the test."""
    folder = tmp_path / "words"
    (folder / "qrels").mkdir(parents=True)
    pairs = [(one, other) for one in WORDS for other in WORDS if one < other]
    corpus = [{"_id": f"d{n}", "title": one, "text": f"the {other} of the {one} in trial {n}"}
              for n, (one, other) in enumerate(pairs)]  # fmt: skip
    queries = [{"_id": f"q{n}", "text": f"{other} {one}"} for n, (one, other) in enumerate(pairs)]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for split, rest in (("train", 0), ("test", 1)):
        lines = [f"q{n}\td{n}\t1\n" for n in range(len(pairs)) if n % 2 == rest]
        text = "query-id\tcorpus-id\tscore\n" + "".join(lines)
        (folder / "qrels" / f"{split}.tsv").write_text(text)
    return folder


def test_a_reranker_is_trained_evaluated_used_and_exported(
    plain: Path, benchmark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*words: object) -> tuple[int, str, str]:
        code = run([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    words = ["train", "--on", benchmark, "--base", plain, "--eval", benchmark, "-q"]
    words += ["--set", "steps=3", "--set", "batch=4", "--set", "negatives_each=2", "-f", "json"]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("query,positive\nwhat is it,it is this\n")
    alone = ["--pairs", pairs, "--base", plain, "--set", "kind=reranker", "--name", "mine", "-q"]
    code, _, err = call("train", *alone)
    assert (code, "the loss scores needs negatives" in err) == (2, True)
    # An encoder becomes no cross-encoder unless the user says so.
    code, _, err = call(*words, "--name", "mine")
    assert code == 1
    assert "encodes is not known" in err
    words += ["--set", "kind=reranker"]
    code, out, err = call(*words, "--dry-run")
    assert code == 0, err
    assert "3 steps" in err
    code, out, err = call(*words, "--name", "mine")
    assert code == 0, err
    lineage = json.loads(out)
    assert lineage["encoding"]["type"] == "cross-encoder"
    assert [one["mode"] for one in lineage["outcomes"]] == ["hybrid, then rerank"]
    assert "mined by hybrid search" in lineage["negatives"]
    assert lineage["fitted"]["watched"]
    # It reranks by its name, as its records say.
    code, out, err = call(
        "eval", benchmark, "-m", "hybrid", "--rerank", "--reranker", "mine", "-q", "-f", "json"
    )
    assert code == 0, err
    scores = {one["mode"]: one["metrics"]["nDCG@10"] for one in json.loads(out)["runs"]}
    (change,) = lineage["outcomes"]
    assert scores["hybrid"] == pytest.approx(change["before"], abs=1e-6)
    assert scores["rerank"] == pytest.approx(change["after"], abs=1e-6)
    assert call("index", "build", "x", benchmark / "corpus.jsonl", "-q")[0] == 0
    asked = ["search", "liver pain", "-i", "x", "--rerank", "--reranker", "mine", "-q"]
    code, out, err = call(*asked, "-f", "json")
    assert code == 0, err
    given = [hit["scores"]["rerank"] for hit in json.loads(out)]
    assert given == sorted(given, reverse=True)
    code, _, err = call("index", "build", "y", benchmark / "corpus.jsonl", "--model", "mine")
    assert code == 1
    assert "it is a cross-encoder" in err
    listed = json.loads(call("train", "list", "-f", "json")[1])
    assert listed[0]["name"] == "mine"
    assert "reranker" in call("train", "list")[1]
    assert "hybrid, then rerank" in call("train", "show", "mine", "-f", "markdown")[1]
    assert call("train", "export", "mine", tmp_path / "out")[0] == 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert "pipeline_tag: text-ranking" in card
    assert "reads `{query}` and `{title} {text}` as a pair" in card
    from sentence_transformers import CrossEncoder as LibraryModel

    theirs = LibraryModel(str(tmp_path / "out"), local_files_only=True, device="cpu")
    expected = theirs.predict([("liver pain", "liver pain in trial")])
    folder, reads = own_models.models_folder() / "mine", starting_recipe(str(plain), None)
    ours = CrossEncoder(str(folder), reads, "cpu")
    document = Document("1", "liver", "pain in trial")
    np.testing.assert_allclose(ours.scores("liver pain", [document]), expected, atol=1e-4)
    # A reranker begins another one.
    again = [one if one is not plain else tmp_path / "out" for one in words]
    code, out, err = call(*again, "--name", "more")
    assert code == 0, err
    lineage = json.loads(out)
    assert [one["mode"] for one in lineage["outcomes"]] == ["hybrid, then rerank", "rerank"]
    assert call("train", "remove", "mine")[0] == 0
    # What is trained under the name of a removed one is loaded in its place.
    changed = [*words, "--name", "mine", "--set", "seed=2"]
    code, out, err = call(*changed)
    assert code == 0, err
    assert load_cross_encoder(str(folder), reads).revision != ours.revision
