"""Training from the app: the dialog, what it would take, and the models of the user in Models."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from benchmarks import write_benchmark
from driving import Session, make_app, running
from scripted import REAL_RUN_JOB, Desk

from bioretrieval_tui.backend.protocol import FetchBenchmarkJob, TrainJob
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.encoding.embedded import MODEL_ID, RECIPE
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.evaluation.published import hub_names
from bioretrieval_tui.paths import save_file
from bioretrieval_tui.training import own_models
from bioretrieval_tui.training.contamination import Overlap
from bioretrieval_tui.training.hyperparameters import choose
from bioretrieval_tui.training.own_models import (
    BenchmarkChange,
    Fitted,
    HeldOutScore,
    Lineage,
    TrainingCurve,
    models_folder,
    unfinished,
    with_own_models,
)
from bioretrieval_tui.training.training_request import TrainingRequest
from bioretrieval_tui.tui.dialogs import training_dialog
from bioretrieval_tui.tui.dialogs.training_dialog import TrainingDialog
from bioretrieval_tui.tui.index_session import ModelChoice
from bioretrieval_tui.tui.training_session import (
    TrainingChoice,
    TrainingFacts,
    new_name,
    runnable_recipes,
    source_at,
)

EMBEDDED = ModelChoice("MiniLM")


def trainable(folder: Path, count: int = 24) -> Path:
    """A benchmark with judgements for training beside those of the test."""
    write_benchmark(folder)
    texts = [(f"t{n}", f"trial {n} of drug {n % 5}", f"what of drug {n % 5} in trial {n}?")
             for n in range(count)]  # fmt: skip
    with (
        (folder / "corpus.jsonl").open("a") as corpus,
        (folder / "queries.jsonl").open("a") as asked,
    ):
        for name, text, query in texts:
            corpus.write(json.dumps({"_id": name, "title": "", "text": text}) + "\n")
            asked.write(json.dumps({"_id": name, "text": query}) + "\n")
    lines = "".join(f"{name}\t{name}\t1\n" for name, _, _ in texts)
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)
    return folder


def choice(place: Path, catalogue: Catalogue, **other: object) -> TrainingChoice:
    source = source_at(place, catalogue)
    given = {"kind": source.kinds[0], "recipe": None, "base": EMBEDDED, "adapter": False,
             "more": "", "benchmarks": (), "name": "mine"} | other  # fmt: skip
    return TrainingChoice(source, **given)  # type: ignore[arg-type]  # by name


# What can be trained ----------------------------------------------------------------------------


def test_what_a_path_gives_to_train_on(small: Catalogue, folder: Path) -> None:
    judged = source_at(trainable(folder / "mine"), small)
    assert (judged.kinds[0], judged.tested) == ("judged", True)
    plain = source_at(write_benchmark(folder / "plain"), small)
    assert "judged" not in plain.kinds
    assert "none of its judgements train" in plain.note
    (folder / "pairs.csv").write_text("query,positive\n")
    assert source_at(folder / "pairs.csv", small).kinds[0] == "given"
    (folder / "texts.xml").write_text("<a/>")
    assert "given" not in source_at(folder / "texts.xml", small).kinds
    with pytest.raises(UsageError, match="nothing is at"):
        source_at(folder / "absent", small)


def test_those_with_judgements_come_first(small: Catalogue, folder: Path) -> None:
    trainable(folder / "datasets" / "zebra")
    write_benchmark(folder / "datasets" / "aardvark")
    facts = TrainingFacts.read(small, [])
    labels = [one.label for one in facts.sources]
    assert labels.index("zebra") < labels.index("aardvark")
    assert len(facts.benchmarks) == 2


def test_a_choice_is_the_request_of_the_same_command(real: Catalogue, folder: Path) -> None:
    place = trainable(folder / "mine")
    one = choice(place, real, more="epochs=3 lora.rank=8", adapter=True, benchmarks=(str(place),))
    request = one.job(real).request
    assert (request.base, request.on, request.pairs) == (MODEL_ID, str(place), "")
    assert (request.settings.epochs, request.origins["epochs"]) == (3.0, "set")
    assert request.settings.lora is not None
    assert request.settings.lora.rank == 8
    assert request.benchmarks == (str(place),)
    (folder / "pairs.csv").write_text("query,positive\na,b\n")
    given = choice(folder / "pairs.csv", real).job(real).request
    assert (given.on, given.pairs) == ("", str(folder / "pairs.csv"))
    assert given.settings.negatives == "given"
    recipe = next(one for one in runnable_recipes(real) if one.id == "train-biohicl")
    asked = choice(place, real, recipe=recipe, base=None, kind="mesh").job(real).request
    assert (asked.recipe, asked.settings.loss) == ("train-biohicl", "mesh")
    assert asked.base == recipe.base


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"more": "epochs"}, "epochs is no setting"),
        ({"more": "bach=3"}, "there is no setting bach"),
        ({"name": "medcpt"}, "is an entry of the catalogue"),
    ],
)
def test_a_choice_that_cannot_be(
    real: Catalogue, folder: Path, other: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        choice(trainable(folder / "mine"), real, **other).job(real)


def test_names_of_new_models(small: Catalogue, folder: Path) -> None:
    source = source_at(trainable(folder / "My Set"), small)
    assert new_name(source, "all-MiniLM", ()) == "all-minilm-my-set"
    assert new_name(source, "all-MiniLM", {"all-minilm-my-set"}) == "all-minilm-my-set-2"


def test_every_recipe_that_runs_is_offered(real: Catalogue) -> None:
    found = runnable_recipes(real)
    assert found
    assert {one.training.runnable for one in found if one.training} <= {"yes", "needs"}
    assert found[0].training is not None
    assert found[0].training.runnable == "yes"


# The dialog -------------------------------------------------------------------------------------


def dialog_of(session: Session) -> TrainingDialog:
    assert isinstance(session.app.screen, TrainingDialog)
    return session.app.screen


async def test_what_a_training_takes_is_measured_and_it_is_queued(
    real: Catalogue, folder: Path, scripted: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The measuring is real: ten steps of the embedded model in a process of its own."""
    monkeypatch.setattr(training_dialog, "run_job", REAL_RUN_JOB)
    monkeypatch.setattr(training_dialog, "REST", 0.0)
    place = trainable(folder / "datasets" / "mine")
    async with running(make_app(real), (100, 36), pane="benchmarks") as session:
        session.app.job_session.ask_what_to_train(on=str(place))
        await session.until(lambda: isinstance(session.app.screen, TrainingDialog))
        dialog = dialog_of(session)
        await session.until(lambda: dialog.chosen is not None)
        dialog.more.put("steps=7 batch=4 document_length=32")
        await session.until(lambda: dialog.plan is not None, seconds=120)
        assert dialog.plan is not None
        assert (dialog.plan.steps, dialog.plan.pairs + dialog.plan.held) == (7, 24)
        assert "7 steps, about" in session.words
        dialog.show_examples()
        await session.settle()
        assert "What it is trained on" in session.words
        assert "what of drug" in session.words
        await session.press("escape", "enter")
        await session.until(lambda: bool(scripted.began))
    (job,) = scripted.began
    assert isinstance(job, TrainJob)
    assert job.request.benchmarks == (str(place),)
    assert job.request.name == "all-minilm-l6-v2-mine"


async def test_the_dialog_says_what_is_wrong(
    real: Catalogue, folder: Path, scripted: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_dialog, "REST", 3600.0)  # nothing is measured here
    trainable(folder / "datasets" / "mine")
    async with running(make_app(real), (80, 24), pane="benchmarks") as session:
        await session.press("T")
        await session.until(lambda: bool(dialog_of(session).facts.sources))
        dialog = dialog_of(session)
        await session.press("enter")
        assert "Choose what to train on first: space" in session.words
        dialog._fill(next(one for one in dialog.facts.sources if one.label == "mine"))
        await session.press("space")
        assert dialog.chosen is not None
        dialog.more.put("bach=3")
        await session.settle()
        assert "there is no setting bach" in session.words
        dialog.more.put("")
        dialog.name_line.put("../up")
        await session.press("enter")
        await session.until(lambda: "cannot be the name of a model" in session.words)
        # An archive that is known is fetched, and trained on after.
        absent = next(one for one in dialog.facts.sources if one.fetched)
        dialog._fill(absent)
        dialog.table.focus()
        await session.press("space")
        assert "is not here: w fetches it" in session.words
        await session.press("w")
        assert scripted.began == [FetchBenchmarkJob(absent.fetched)]
        assert dialog.chosen is not None
        assert dialog.chosen.on == absent.on
        await session.press("escape")
    assert len(scripted.began) == 1


@pytest.mark.parametrize("size", [(80, 24), (80, 12), (200, 60)])
async def test_the_dialog_fits(
    real: Catalogue, folder: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_dialog, "REST", 3600.0)
    trainable(folder / "datasets" / "mine")
    async with running(make_app(real), size, pane="models") as session:
        session.app.job_session.ask_what_to_train(on=str(folder / "datasets" / "mine"))
        await session.until(lambda: isinstance(session.app.screen, TrainingDialog))
        dialog = dialog_of(session)
        await session.until(lambda: dialog.chosen is not None)
        assert "(x)" in session.words
        for _ in range(9):
            await session.press("tab")
        assert "Train" in session.words


# Models of the user -----------------------------------------------------------------------------


def trained(name: str = "mine", **other: object) -> Lineage:
    """A model as a training leaves it, without its weights."""
    given = choose(None, {"epochs": "1"})
    values: dict[str, object] = {
        "format": own_models.FORMAT, "name": name, "date": "2026-11-30T10:00:00+00:00",
        "base": MODEL_ID, "revision": "0" * 40, "encoding": RECIPE,
        "settings": given.settings, "origins": dict(given.origins),
        "data": "facts-set, judgements of the split train", "inputs": (), "pairs": 20, "held": 2,
        "fitted": Fitted(
            steps=4, seconds=60.0, losses=((1, 2.0), (2, 1.5), (3, 1.25), (4, 1.0)),
            watched=(HeldOutScore(0, 0.5), HeldOutScore(4, 0.625)), best=4, resumed=0,
            trained=(1000, 1000),
        ),
        "hardware": "a processor", "versions": {"python": "3.11"},
        "outcomes": (
            BenchmarkChange("facts-set", "test", "dense", 0.6, 0.7, 0.001, 50, ("a", "b")),
        ),
        "overlaps": (Overlap("facts-set test", queries=1, of_queries=50),),
    } | other  # fmt: skip
    lineage = msgspec.convert(values, Lineage, strict=False, from_attributes=True)
    own_models.keep_lineage(models_folder() / name, lineage)
    return lineage


def begun(name: str = "half", steps: int = 8, done: int = 3) -> TrainingRequest:
    """A training that was ended."""
    given = choose(None, {})
    request = TrainingRequest(
        name=name, base=MODEL_ID, settings=given.settings, origins=dict(given.origins), on="mine"
    )
    work = models_folder() / name / own_models.WORK
    save_file(work / own_models.REQUEST, msgspec.json.encode(request), "request")
    advance(name, steps, done)
    return request


def advance(name: str, steps: int, done: int) -> None:
    losses = tuple((n, 2.0 / n) for n in range(1, done + 1))
    curve = TrainingCurve(steps, losses, (HeldOutScore(0, 0.5), HeldOutScore(2, 0.75)))
    path = models_folder() / name / own_models.WORK / own_models.CURVE
    save_file(path, msgspec.json.encode(curve), "curve")


def test_models_of_the_user_are_entries(small: Catalogue) -> None:
    trained()
    begun()
    found = with_own_models(small)
    assert [one.id for one in found.models[:2]] == ["half", "mine"]
    mine = found.entry("mine")
    assert mine.trained_on == ("facts-set",)  # type: ignore[union-attr]  # a model
    assert with_own_models(found) is found
    # The runs of the base stay those of the base, whose recipe names it.
    assert RECIPE.query is not None
    assert RECIPE.query.model == MODEL_ID
    assert MODEL_ID not in hub_names(mine)  # type: ignore[arg-type]  # a model
    assert str(models_folder() / "mine") in hub_names(mine)  # type: ignore[arg-type]
    own_models.remove_model("mine")
    assert "mine" not in with_own_models(found).by_id


async def test_models_of_the_user_stand_first(small: Catalogue, scripted: Desk) -> None:
    trained()
    request = begun()
    async with running(make_app(small), (120, 36), pane="models") as session:
        await session.until(lambda: "half" in session.text)
        await session.press("g")
        assert "Loss" in session.words
        assert "2.0000 -> 0.6667" in session.words
        await session.until(lambda: "3 of 8" in session.words)
        await session.press("p")
        assert scripted.began == [TrainJob(request)]
        advance("half", 8, 6)
        session.app.pane.jobs_changed()
        await session.settle()
        await session.until(lambda: "6 of 8" in session.words)
        await session.press("F")
        assert "X stops it" in session.said
        await session.press("j")
        await session.until(lambda: "0.6000 -> 0.7000" in session.words)
        assert "better" in session.words
        await session.press("F")
        assert "no training of yours that was ended" in session.said
        await session.press("d")
        assert "Delete the model mine?" in session.words
        await session.press("y")
        await session.until(lambda: "mine was deleted" in session.said)
        assert not (models_folder() / "mine").exists()
        await session.press("G", "d")
        assert "Only models of yours can be deleted" in session.said


async def test_a_training_that_was_ended_is_finished_or_deleted(
    small: Catalogue, scripted: Desk
) -> None:
    request = begun()
    async with running(make_app(small), (120, 36), pane="models") as session:
        await session.until(lambda: "half" in session.text)
        await session.press("g", "F")
        assert scripted.began == [TrainJob(request, finish=True)]
    assert unfinished("half") is not None


async def test_the_end_of_a_training_says_how_it_goes_on(small: Catalogue, scripted: Desk) -> None:
    kept = begun()
    lost = msgspec.structs.replace(kept, name="lost")  # it ended before anything was kept
    for request, rest in ((kept, "; 4, then p resumes it"), (lost, "")):
        async with running(make_app(small), (120, 36), pane="papers") as session:
            session.app.jobs.submit(TrainJob(request))
            await session.settle()
            scripted.end(BioRetrievalError("its process is gone"))
            await session.settle()
            assert session.said.endswith(f"its process is gone{rest}")
