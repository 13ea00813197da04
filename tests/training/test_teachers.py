"""Teachers: their scores, what is kept of them, and what a student makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import recipe, save_long_bert

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.source import ReadSettings
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.cross_encoder import load_cross_encoder
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.errors import ModelError, UsageError
from bioretrieval_tui.index.build import build_for_model
from bioretrieval_tui.main import run
from bioretrieval_tui.paths import places
from bioretrieval_tui.progress import silent
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.federated import Federation
from bioretrieval_tui.search.types import Query
from bioretrieval_tui.training import teachers, trainer
from bioretrieval_tui.training.examples import Example, file_pairs
from bioretrieval_tui.training.hyperparameters import RunSettings, choose
from bioretrieval_tui.training.losses import columns_of
from bioretrieval_tui.training.teachers import (
    check_teacher,
    model_teacher,
    score_factor,
    search_teacher,
    teach,
)
from bioretrieval_tui.training.trainable_models import trainable_model
from bioretrieval_tui.training.trainer import fit

WORDS = "liver statin muscle pain gene cell trial heart failure".split()
TEXTS = {f"d{n}": f"the {a} of {b} in a trial" for n, (a, b) in enumerate(
    (a, b) for a in WORDS for b in WORDS if a < b
)}  # fmt: skip
CROSS = Encoding(type="cross-encoder", grade="C")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Federation]:
    path = tmp_path / "corpus.jsonl"
    rows = (json.dumps({"_id": name, "text": text}) for name, text in TEXTS.items())
    path.write_text("\n".join(rows) + "\n")
    how = ReadSettings(dedupe="off")
    build_for_model("mine", [str(path)], embedded.MODEL_ID, settings=how)
    found = Federation(["mine"], lambda name: SearchEngine.open(name, ready=False))
    yield found
    for engine in found.engines.values():
        engine.close()


def examples(count: int = 6) -> list[Example]:
    """Each with one negative more than the one before it."""
    made = [Document(name, "", text) for name, text in TEXTS.items()]
    return [
        Example(
            str(n), " ".join(made[n].text.split()[1::2]), made[n], tuple(made[n + 1 : 2 * n + 2])
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("mode", teachers.SEARCHES)
def test_a_search_scores_what_it_ranks_and_what_it_does_not(index: Federation, mode: str) -> None:
    (engine,) = index.engines.values()
    if mode != "lexical":
        index.load()
    found = teach(examples(), search_teacher(index, mode), silent).examples
    for one in found:
        ranked = dict(engine.rank(Query(text=one.query, mode=mode, k=100)))
        ids = [document.id for document in (one.positive, *one.negatives)]
        assert len(one.scores) == len(ids)
        known = [(ranked[name], score) for name, score in zip(ids, one.scores, strict=True)
                 if name in ranked]  # fmt: skip
        np.testing.assert_allclose(*zip(*known, strict=True), atol=1e-4)
        missing = {score for name, score in zip(ids, one.scores, strict=True) if name not in ranked}
        assert missing <= {0.0}  # BM25 finds no term of the query there


def test_models_score_as_they_do_elsewhere(tiny: Path, tmp_path: Path) -> None:
    given = examples()
    found = teach(given, model_teacher(str(tiny), recipe(), "cpu", "tiny"), silent)
    encoder = load_encoder(str(tiny), recipe())
    for one in found.examples:
        vectors = encoder.encode_documents([one.positive, *one.negatives])
        expected = vectors @ encoder.encode_queries([one.query])[0]
        np.testing.assert_allclose(one.scores, expected, atol=2e-3)
    folder = save_long_bert(tmp_path / "cross", labels=1)
    # A folder says itself that it is a cross-encoder.
    found = teach(given, model_teacher(str(folder), None, "cpu", "cross"), silent)
    reader = load_cross_encoder(str(folder))
    for one in found.examples:
        expected = reader.scores(one.query, [one.positive, *one.negatives])
        np.testing.assert_allclose(one.scores, expected, atol=1e-4)
    assert found.line() == f"{found.scores:,} scores by cross"


def test_scores_are_kept_and_what_is_missing_is_asked(
    index: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teachers, "_BLOCK", 2)
    teacher = search_teacher(index, "lexical")
    first = teach(examples(), teacher, silent)
    assert first.asked == first.scores == sum(2 + n for n in range(6))
    kept = sorted((places().cache / "teachers").glob("*.json"))
    assert len(kept) == 3

    def refused(*_: object) -> Any:
        raise AssertionError("it is asked again")

    again = teach(examples(), teacher._replace(score=refused), silent)
    assert (again.examples, again.asked) == (first.examples, 0)
    assert again.line().endswith(f"{first.scores:,} of them known")
    kept[0].write_text("[[1")
    healed = teach(examples(), teacher, silent)
    assert healed.examples == first.examples
    assert 0 < healed.asked < healed.scores
    others = [one._replace(query=f"{one.query} liver") for one in examples()]
    with pytest.raises(AssertionError, match="asked again"):
        teach(others, teacher._replace(score=refused), silent)


def test_labels_follow_the_negatives_that_are_repeated() -> None:
    settings = choose(None, {"loss": "kl", "teacher": "hybrid", "negatives_each": "3"}).settings
    given = [
        one._replace(scores=tuple(map(float, range(2 + n)))) for n, one in enumerate(examples(2))
    ]
    lonely = given[0]._replace(negatives=(), scores=(1.0,))
    texts = trainer.Texts(recipe(), settings, type("Tokenizer", (), {"sep_token": ""})())
    columns = columns_of([*given, lonely], texts, settings)
    assert columns["label"] == [[0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 1.0]]
    assert columns["negative_1"][1] == columns["negative_3"][1] != columns["negative_2"][1]
    with pytest.raises(UsageError, match="the loss kl needs negatives"):
        columns_of([lonely], texts, settings)


def test_the_teachers_margins_become_as_large_as_the_students() -> None:
    columns = {"anchor": ["a", "b"], "positive": ["p", "q"], "negative_1": ["n", "m"],
               "label": [[30.0, 10.0], [0.0, 20.0]]}  # fmt: skip
    own = {"p": 0.5, "q": 0.9, "n": 0.4, "m": 0.8}
    factor = score_factor(lambda _, documents: np.array([own[one] for one in documents]), columns)
    assert factor == pytest.approx(0.1 / 20)
    alike = columns | {"label": [[1.0, 1.0], [2.0, 2.0]]}
    with pytest.raises(UsageError, match="there is nothing to learn"):
        score_factor(lambda _, documents: np.zeros(len(documents)), alike)


@pytest.mark.parametrize("loss", ["margin-mse", "kl"])
def test_a_student_comes_nearer_to_a_teacher_of_another_scale(
    tiny: Path, tmp_path: Path, loss: str
) -> None:
    """The teacher counts shared words, times a hundred."""

    def score(one: Example, document: Document) -> float:
        return 100.0 * len({*one.query.split()} & {*document.text.split()})

    given = [
        one._replace(scores=tuple(score(one, each) for each in (one.positive, *one.negatives)))
        for one in examples(12)
    ]
    chosen = choose(None, {
        "loss": loss, "teacher": "hybrid", "negatives_each": "3", "steps": "12", "batch": "6",
        "learning_rate": "0.001", "precision": "float32",
    }).settings  # fmt: skip
    model = trainable_model(str(tiny), recipe())
    done = fit(model, recipe(), chosen, given, [], tmp_path, silent)
    losses = [value for _, value in done.losses]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert losses[0] < 1.0  # margins of a hundred would make it 10,000


def test_a_file_gives_the_scores_of_a_teacher(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    row = {"query": "a question", "positive": "an answer", "negative": ["no", "nor this"]}
    path.write_text(json.dumps(row | {"scores": [9, 1.5, -3]}) + "\n")
    (one,) = file_pairs(path).examples
    assert one.scores == (9.0, 1.5, -3.0)
    assert len(one.negatives) == 2


def test_what_lacks_a_teacher_says_so(tiny: Path, tmp_path: Path) -> None:
    given = examples(2)
    plain = RunSettings(loss="kl")
    with pytest.raises(UsageError, match="kl needs the scores of a teacher") as raised:
        check_teacher(plain, "", None, given, "mine")
    assert "--set teacher=hybrid" in (raised.value.remedy or "")
    check_teacher(plain, "", None, [one._replace(scores=(1.0,)) for one in given], "")
    check_teacher(RunSettings(loss="contrastive"), "", None, given, "")
    with pytest.raises(UsageError, match="pairs of a file have none"):
        check_teacher(RunSettings(loss="kl", teacher="hybrid"), "", None, given, "")
    named = RunSettings(loss="kl", teacher="x")
    with pytest.raises(ModelError, match="no/such-model is not on this machine"):
        check_teacher(named, "no/such-model", recipe(), given, "mine")
    with pytest.raises(ModelError, match=r"how .* encodes is not known"):
        check_teacher(named, str(tiny), None, given, "mine")
    with pytest.raises(UsageError, match="the loss triplet asks no teacher"):
        choose(None, {"loss": "triplet", "teacher": "hybrid"})
    chosen = choose(None, {"teacher": "hybrid"})
    assert chosen.settings.loss == "margin-mse"
    assert ("teacher", "hybrid", "set") in chosen.lines()


def test_a_model_is_distilled_from_a_search(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    base = tmp_path / "base"
    trainable_model(str(tiny), recipe()).save(str(base), create_model_card=False)
    path = tmp_path / "corpus.jsonl"
    rows = [{"_id": name, "title": f"{text} and its title", "text": f"It is {text}."}
            for name, text in TEXTS.items()]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    given = {"pairs": "title-abstract", "teacher": "hybrid", "negatives_each": "2", "steps": "2",
             "batch": "4", "negatives_margin": "0"}  # fmt: skip
    words = ["train", "--on", str(path), "--base", str(base), "--name", "taught", "-f", "json"]
    words += [part for key, value in given.items() for part in ("--set", f"{key}={value}")]
    call: Callable[..., int] = run
    assert call([*words, "-q", "--dry-run"]) == 0
    assert "2 steps" in capsys.readouterr().err
    assert not (places().cache / "teachers").exists()
    assert call([*words, "-q"]) == 0
    out, err = capsys.readouterr()
    lineage = json.loads(out)
    assert "scores by hybrid search of eval-corpus" in lineage["teacher"]
    assert lineage["negatives"].endswith("mined by dense search.")
    assert lineage["settings"]["loss"] == "margin-mse"
    assert call(["train", "show", "taught", "-f", "markdown"]) == 0
    assert lineage["teacher"] in capsys.readouterr().out
    # Without its files a teacher is refused before anything is written.
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    words[words.index("taught")] = "other"
    words = [one.replace("teacher=hybrid", "teacher=medcpt-cross-encoder") for one in words]
    assert call([*words, "-q"]) == 1
    out, err = capsys.readouterr()
    assert len(err.strip().splitlines()) == 1
    assert "ncbi/MedCPT-Cross-Encoder is not on this machine" in err
    assert not (places().data / "models" / "other").exists()
