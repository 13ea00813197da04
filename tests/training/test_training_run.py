"""A training from the command to a model that is used as any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tiny_models import recipe

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.backend.server import run_job
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.embedded import MODEL_ID
from bioretrieval_tui.errors import BioRetrievalError, NotFoundError, UsageError
from bioretrieval_tui.index.build import add_to_index, build_for_model
from bioretrieval_tui.main import run
from bioretrieval_tui.paths import places
from bioretrieval_tui.training import own_models, training_run, training_watch
from bioretrieval_tui.training.contamination import TrainedTexts
from bioretrieval_tui.training.examples import Example
from bioretrieval_tui.training.hyperparameters import choose
from bioretrieval_tui.training.trainable_models import trainable_model
from bioretrieval_tui.training.training_request import TrainingPlan, TrainingRequest

WORDS = "liver statin muscle pain gene cell trial heart failure".split()
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def base(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a folder of sentence-transformers."""
    folder = tmp_path_factory.mktemp("base") / "model"
    trainable_model(str(tiny), recipe()).save(str(folder), create_model_card=False)
    return folder


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    """Documents of two words each; every even one is judged for training, odd for the test."""
    folder = tmp_path / "words"
    (folder / "qrels").mkdir(parents=True)
    pairs = [(one, other) for one in WORDS for other in WORDS if one < other]
    corpus = [
        {"_id": f"d{number}", "title": one, "text": f"the {other} of the {one} in trial {number}"}
        for number, (one, other) in enumerate(pairs)
    ]
    queries = [
        {"_id": f"q{number}", "text": f"{other} {one}"} for number, (one, other) in enumerate(pairs)
    ]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text)
    for split, rest in (("train", 0), ("test", 1)):
        lines = [f"q{n}\td{n}\t1\n" for n in range(len(pairs)) if n % 2 == rest]
        (folder / "qrels" / f"{split}.tsv").write_text(
            "query-id\tcorpus-id\tscore\n" + "".join(lines)
        )
    return folder


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def called(*words: object) -> tuple[int, str, str]:
        code = run([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return called


def test_a_model_is_trained_evaluated_used_and_exported(
    base: Path, benchmark: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", "--on", benchmark, "--base", base, "--name", "mine", "--eval", benchmark]
    words += ["-q", "--set", "steps=4", "--set", "batch=4", "--set", "learning_rate=1e-3"]
    # Killed while it trains, after a checkpoint.
    monkeypatch.setattr(training_watch, "SAVED_EVERY", 0.0)

    def killed(*_: object, **__: object) -> None:
        raise BioRetrievalError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(training_run, "_save", killed)
        code, _, err = call(*words)
    assert (code, "killed" in err) == (1, True)
    assert call("train", "list", "-f", "json")[1].strip() == "[]"
    code, _, err = call(*words, "--set", "batch=8")
    assert code == 2
    assert "an unfinished training of mine had other settings" in err
    # The same call goes on.
    code, out, err = call(*words, "-f", "json")
    assert code == 0, err
    lineage = json.loads(out)
    assert "the training of mine goes on" in err
    assert lineage["fitted"]["resumed"] == 4
    assert {one["mode"] for one in lineage["outcomes"]} == {"dense", "hybrid"}
    assert (lineage["pairs"], lineage["held"]) == (16, 1)  # what four steps take
    assert lineage["overlaps"][0]["documents"] > 0
    assert "contaminated" in err
    folder = own_models.models_folder() / "mine"
    assert not (folder / "training").exists()
    # It is named like any other model.
    texts = tmp_path / "texts.txt"
    texts.write_text("heart failure\nmuscle pain\n")
    code, out, err = call("encode", texts, "--model", "mine", "--side", "query")
    assert code == 0, err
    assert len(out.splitlines()) == 2
    code, out, err = call("train", "show", "mine", "-f", "markdown")
    assert code == 0
    assert "words test, dense" in out
    code, out, err = call("eval", benchmark, "--model", "mine", "-m", "dense", "-f", "json", "-q")
    assert code == 0, err
    after = next(one["after"] for one in lineage["outcomes"] if one["mode"] == "dense")
    assert json.loads(out)["runs"][0]["metrics"]["nDCG@10"] == pytest.approx(after, abs=1e-6)
    assert call("train", "export", "mine", tmp_path / "out")[0] == 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| words test | dense |" in card
    # The library reads as much of a text as the recipe says.
    from sentence_transformers import SentenceTransformer

    exported = SentenceTransformer(str(tmp_path / "out"), local_files_only=True)
    assert exported.max_seq_length == 40
    assert not (tmp_path / "out" / "training").exists()
    assert call("train", "export", "mine", tmp_path / "out")[0] == 2
    code, _, err = call(*words)
    assert (code, "there is a model mine already" in err) == (2, True)
    assert call("train", "remove", "mine")[0] == 0
    assert call("train", "show", "mine")[0] == 3


def test_a_training_is_stopped_and_finished_with_its_best_weights(
    base: Path, benchmark: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", "--on", benchmark, "--base", base, "--name", "mine", "--set", "steps=6"]
    words += ["--set", "batch=4", "--set", "learning_rate=1e-3", "-q"]
    looks = iter([0.5, 0.6, 0.7])

    def look(watch: training_watch.TrainingWatch, model: object, step: int) -> None:
        if step == 3:
            raise KeyboardInterrupt
        watch.watched.append(own_models.HeldOutScore(step, next(looks)))
        watch.best = watch.watched[-1]
        training_watch.keep(model, watch._folder / training_watch.BEST)
        watch._keep()

    with monkeypatch.context() as stopping:
        stopping.setattr(training_watch.TrainingWatch, "_look", look)
        stopping.setattr(training_watch, "_LEAST_BETWEEN", 1)
        code, out, err = call(*words)
    assert (code, out) == (130, "")
    assert "train resume mine goes on, train finish mine takes the best weights so far" in err
    code, _, err = call("train", "list")
    assert "not finished: mine (3 of 6 steps)" in err
    code, out, err = call("train", "show", "mine", "-f", "markdown")
    assert (code, "3 of 6" in out, "0.5000 -> 0.7000" in out) == (0, True, True), out
    code, out, err = call("train", "finish", "mine", "-q", "-f", "json")
    assert code == 0, err
    fitted = json.loads(out)["fitted"]
    assert (fitted["best"], fitted["planned"], fitted["steps"]) == (2, 6, 2)
    code, _, err = call("train", "resume", "mine")
    assert (code, "no unfinished training is named mine" in err) == (3, True)


@pytest.mark.parametrize("adapter", [False, True])
def test_a_result_lies_between_the_base_and_what_was_trained(
    base: Path, benchmark: Path, call: Call, adapter: bool
) -> None:
    from safetensors.torch import load_file

    words = ["train", "--on", benchmark, "--base", base, "--set", "steps=2", "--set", "batch=4"]
    words += ["--set", "held_out=0"]
    words += ["--set", "learning_rate=1e-2", "--set", f"lora={'yes' if adapter else 'no'}", "-q"]
    for name, share in (("whole", "1"), ("half", "0.5")):
        code, _, err = call(*words, "--set", f"mix={share}", "--name", name)
        assert code == 0, err
    before = load_file(base / "model.safetensors")
    whole, half = (
        load_file(own_models.models_folder() / name / "model.safetensors")
        for name in ("whole", "half")
    )
    assert half.keys() == before.keys()
    moved = [name for name in before if not before[name].equal(whole[name])]
    assert moved
    for name in before:
        expected = (before[name] + whole[name]) / 2
        assert half[name].sub(expected).abs().max() < 1e-6, name
    assert "**mix**: 0.5" in call("train", "show", "half", "-f", "markdown")[1]
    code, _, err = call(*words, "--set", "mix=0", "--name", "none")
    assert (code, "mix=0 cannot be; mix is a number above 0 and of at most 1" in err) == (2, True)
    kind = ["--set", "kind=reranker", "--set", "lora=no", "--set", "mix=0.5", "--name", "none"]
    code, _, err = call(*words, *kind)
    assert (code, "there is nothing to mix with" in err) == (2, True)


def test_a_model_is_an_entry_of_the_catalogue(
    base: Path, benchmark: Path, call: Call, tmp_path: Path
) -> None:
    named = benchmark.rename(tmp_path / "scifact")
    words = ["train", "--on", named, "--base", base, "--name", "mine.1", "--eval", named]
    assert call(*words, "--set", "steps=1", "--set", "batch=4", "-q")[0] == 0
    code, out, err = call("list", "models", "-w", "tag:yours", "-f", "json")
    assert code == 0, err
    (entry,) = json.loads(out)
    assert (entry["id"], entry["trained_on"]) == ("mine.1", ["scifact"])
    assert "huggingface" not in call("list", "models", "-w", "tag:yours", "-f", "md")[1]
    assert call("list", "models", "-w", "tag:yours", "-f", "bibtex")[1].strip() == ""
    code, out, err = call("show", "mine.1", "-f", "md")
    assert "## Lineage" in out
    assert call("list", "models", "-w", "here:yes tag:yours", "-f", "json")[1] != "[]\n"
    code, _, err = call("train", "--on", named, "--base", "mine.1", "--name", "medcpt-query", "-q")
    assert code == 0 or "is an entry of the catalogue" in err


BEFORE, AFTER = "and what was known of it before", "and what is known of it now"
TEXT = "is what this abstract tells of, in so many words that it can be the answer of a pair. " * 3


def test_deleted_and_replaced_documents_teach_nothing(base: Path, tmp_path: Path) -> None:
    first = tmp_path / "first.jsonl"
    first.write_text(
        "".join(
            json.dumps({"_id": str(number), "title": f"{one} {BEFORE}", "text": f"{one} {TEXT}"})
            + "\n"
            for number, one in enumerate(WORDS)
        )
    )
    build_for_model("own", [str(first)], MODEL_ID, lexical=True)
    later = tmp_path / "later.jsonl"
    later.write_text(json.dumps({"_id": "0", "title": f"liver {AFTER}", "text": TEXT}) + "\n")
    gone = tmp_path / "gone.xml"
    gone.write_text(
        "<PubmedArticleSet><DeleteCitation><PMID>1</PMID></DeleteCitation></PubmedArticleSet>"
    )
    add_to_index("own", [str(later), str(gone)])
    settings = choose(None, {"pairs": "title-abstract", "negatives": "in-batch"}).settings
    request = TrainingRequest(name="mine", base=str(base), settings=settings, on="own")
    prepared = training_run.prepare(request)
    asked = {one.query for one in (*prepared.train, *prepared.held)}
    assert f"liver {AFTER}" in asked
    assert not {f"liver {BEFORE}", f"statin {BEFORE}"} & asked
    assert len(asked) == len(WORDS) - 1


def test_a_job_trains_and_tells_what_it_would_do(base: Path, benchmark: Path) -> None:
    settings = choose(None, {"steps": "2", "batch": "4"}).settings
    request = TrainingRequest(
        name="mine", base=str(base), settings=settings, on=str(benchmark), benchmarks=()
    )
    events: list[protocol.Event] = []
    plan = run_job(protocol.TrainJob(request, plan=True), "cpu", events.append)
    assert isinstance(plan, TrainingPlan)
    assert (plan.steps, plan.pairs, plan.held) == (2, 8, 1)
    assert plan.examples
    assert not own_models.models_folder().exists()
    job = protocol.TrainJob(request)
    done = run_job(job, "cpu", events.append)
    assert isinstance(done, protocol.Trained)
    assert done.line.startswith("mine: held-out nDCG@10 ")
    assert (job.title, job.target) == ("Training the model mine", "model mine")
    again = msgspec.json.decode(msgspec.json.encode(job), type=protocol.Job)
    assert again == job


def test_what_would_be_trained_on_is_shown_first(base: Path, tmp_path: Path, call: Call) -> None:
    pairs = tmp_path / "pairs.csv"
    rows = [f'"what of {n}","the answer of {n}","no answer {n}"' for n in range(40)]
    pairs.write_text("query,positive,negative\n" + "\n".join(rows) + "\n")
    code, out, err = call("train", "--pairs", pairs, "--base", base, "--dry-run", "-q", "-f", "md")
    assert code == 0, err
    assert "| what of 0 | the answer of 0 | 1 |" in out
    assert "| batch | 32 | default |" in out
    assert "36 pairs, 4 held out" in err
    assert not own_models.models_folder().exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--name", "x"], 2, "nothing to train on is named"),
        (["--pairs", "absent.jsonl", "--name", "x"], 3, "absent.jsonl"),
        (["--on", "absent", "--set", "pairs=sentence", "--name", "x"], 3,
         "absent is no index, folder or file"),
        (["--on", "absent", "--name", "x"], 3, "absent is no index, folder or file"),
        (["--on", ".", "--name", "x"], 2, "has no judgements to train on"),
        (["--pairs", "p", "--name", "hybrid"], 2, "is the name of a search"),
        (["--on", "a", "--pairs", "b", "--name", "x"], 2, "two sources"),
        (["--pairs", "p"], 2, "the new model needs a name"),
        (["--pairs", "p", "--name", "../up"], 2, "cannot be the name of a model"),
        (["--pairs", "p", "--name", "x", "--set", "batch"], 2, "--set batch is no KEY=VALUE"),
        (["--pairs", "p", "--name", "x", "--set", "bach=3"], 2, "did you mean batch?"),
        (["--pairs", "p", "--name", "x", "--eval", "absent"], 3, "absent is not there"),
        (["train-contriever", "--on", "x", "--name", "x"], 2, "train-contriever cannot be run"),
        (["no-such", "--on", "x", "--name", "x"], 3, "no-such"),
    ],
)  # fmt: skip
def test_wrong_calls_are_one_line(
    base: Path, call: Call, words: list[str], code: int, said: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    given = words if words[0].startswith("-") else words[1:]
    first = [] if words[0].startswith("-") else words[:1]
    ended, out, err = call("train", *first, "--base", base, "-q", *given)
    assert (ended, out) == (code, "")
    assert said in err
    assert "Traceback" not in err
    assert not list(own_models.models_folder().glob("[!.]*"))


def test_names_that_are_taken_and_lineages_that_are_damaged(home: Path) -> None:
    folder = own_models.models_folder() / "mine"
    folder.mkdir(parents=True)
    assert own_models.check_new_name("mine") == folder
    (folder / own_models.LINEAGE).write_text("{}")
    with pytest.raises(UsageError, match="there is a model mine already"):
        own_models.check_new_name("mine")
    told: list[str] = []
    assert own_models.own_models(told.append) == []
    assert "lineage.json is damaged" in told[0]
    own_models.remove_model("mine")
    assert not folder.exists()
    with pytest.raises(NotFoundError, match="no model of yours is named mine"):
        own_models.remove_model("mine")


def test_contamination_counts_texts_however_they_are_written() -> None:
    long = (
        "A sentence of some length about statins and the muscle pain that they cause in patients."
    )
    trained = TrainedTexts([
        Example("1", "Do they hurt?", Document("a", "Statins", long), (Document("b", "", "no"),))
    ])  # fmt: skip
    found = trained.overlap(
        "set test",
        {"q": "do  THEY hurt?", "r": "another"},
        {"q": {"x": 1, "z": 0}, "r": {"x": 1}},
        [Document("x", "", long.upper()), Document("y", "", "No"), Document("z", "", "fresh")],
    )
    assert (found.queries, found.documents, found.pairs) == (1, 2, 1)
    assert (found.of_queries, found.of_documents, found.of_pairs) == (2, 3, 2)
    assert found.contaminated
    assert found.line().startswith("set test: contaminated, 1 of 2 queries, 2 of 3 documents")
    clean = trained.overlap(
        "other test", {"r": "another"}, {"r": {"z": 1}}, [Document("z", "", "fresh")]
    )
    assert not clean.contaminated


def test_only_what_the_steps_take_is_mined(base: Path, benchmark: Path) -> None:
    settings = choose(None, {"steps": "2", "batch": "4", "negatives": "in-batch"}).settings
    request = TrainingRequest(name="mine", base=str(base), settings=settings, on=str(benchmark))
    prepared = training_run.prepare(request)
    assert len(prepared.train) == 8
    assert len({one.query for one in prepared.train}) == 8
    again = training_run.prepare(request)
    assert prepared.train == again.train


def left_behind(base: Path, benchmark: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A training `mine` that was interrupted after its second step; its folder."""
    words = ["train", "--on", benchmark, "--base", base, "--name", "mine", "--set", "steps=6"]
    plain = training_watch.TrainingWatch.logged

    def stop(watch: training_watch.TrainingWatch, step: int, logs: dict[str, object]) -> None:
        plain(watch, step, logs)
        if step == 2 and "loss" in logs:
            raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr(training_watch.TrainingWatch, "logged", stop)
        code, _, err = call(*words, "--set", "batch=4", "--set", "negatives=in-batch", "-q")
    assert code == 130, err
    return own_models.models_folder() / "mine"


def test_a_model_that_is_trained_is_not_removed(
    base: Path, benchmark: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = left_behind(base, benchmark, call, monkeypatch)
    assert "not finished: mine (2 of 6 steps); train resume" in call("train", "list")[2]
    with own_models.training_lock("mine", ""):
        assert "running: mine (2 of 6 steps); train show mine" in call("train", "list")[2]
        code, _, err = call("train", "remove", "mine")
        assert (code, "mine cannot be removed now: another process trains it" in err) == (1, True)
    assert (folder / "training" / "request.json").is_file()
    assert call("train", "remove", "mine")[0] == 0
    assert not folder.exists()


def test_damaged_files_of_a_training_are_named(
    base: Path, benchmark: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = left_behind(base, benchmark, call, monkeypatch)
    kept = own_models.last_checkpoint(folder / "training" / "checkpoints")
    assert kept is not None
    for file in ("trainer_state.json", "model.safetensors"):
        whole = (kept / file).read_bytes()
        (kept / file).write_bytes(b"{")
        code, _, err = call("train", "resume", "mine", "-q")
        assert (code, "cannot be read" in err, "unexpected" in err) == (1, True, False), err
        assert str(kept) in err
        assert "remove that folder" in err
        (kept / file).write_bytes(whole)
    request = (folder / "training" / "request.json").read_bytes()
    (folder / "training" / "request.json").write_text('{"x"')
    for words in (["show", "mine"], ["resume", "mine"], ["finish", "mine"], ["list"]):
        code, _, err = call("train", *words)
        assert "request.json is damaged" in err, words
        assert "train remove mine" in err
    (folder / "training" / "request.json").write_bytes(request)
    code, out, err = call("train", "resume", "mine", "-q", "-f", "json")
    assert code == 0, err
    assert json.loads(out)["fitted"]["resumed"] == 2


def test_a_training_that_gained_nothing_says_so(
    base: Path, benchmark: Path, call: Call, tmp_path: Path
) -> None:
    words = ["train", "--on", benchmark, "--base", base, "--name", "mine", "-q", "-f", "md"]
    ruined = ["--set", "steps=2", "--set", "learning_rate=0.5", "--set", "warmup=0"]
    code, out, err = call(*words, *ruined, "--set", "negatives=in-batch")
    assert code == 0, err
    lineage = own_models.find_model("mine")[1]
    said = "these are the weights of the base"
    assert (said in out) == (lineage.fitted.best == 0)
    assert (said in own_models.model_card(lineage)) == (lineage.fitted.best == 0)
    assert (said in lineage.line()) == (lineage.fitted.best == 0)


def test_what_a_benchmark_lacks_is_said_with_what_it_has(
    base: Path, benchmark: Path, call: Call, tmp_path: Path
) -> None:
    (benchmark / "qrels" / "train.tsv").unlink()
    code, _, err = call("train", "--on", benchmark, "--base", base, "--name", "mine", "-q")
    assert code == 3
    assert "--split test; or pairs of its texts: --set pairs=title-abstract" in err
    (tmp_path / "one.jsonl").write_text('{"query": "a b c d", "positive": "the answer of it"}\n')
    code, _, err = call("train", "--pairs", tmp_path / "one.jsonl", "--name", "one", "-q")
    assert (code, "one pair teaches nothing" in err) == (1, True), err
    words = ["--set", "kind=reranker", "--set", "negatives=mined"]
    rows = [{"query": f"what of {n}", "positive": f"the answer of {n}"} for n in range(20)]
    lines = "".join(json.dumps(one) + "\n" for one in rows)
    (tmp_path / "some.jsonl").write_text(lines)
    code, _, err = call("train", "--pairs", tmp_path / "some.jsonl", "--name", "one", "-q", *words)
    assert code == 2
    assert "give pairs with negatives, or mine them from texts: --on INDEX" in err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--on", "nowhere"], 3, "nowhere is no index, folder or file"),
        (["--pairs", "none.csv"], 3, "there is no file none.csv"),
        (["--on", ".", "--pairs", "none.csv"], 2, "--on and --pairs are two sources"),
        (["--on", "{words}", "--split", "dev"], 3, "has no split dev; --split "),
        (["--on", "{words}", "--base", "{words}"], 1, "words holds no model: it has no"),
        (["--on", "{words}", "--set", "kind=reranker", "--set", "lora=yes"], 2, "set lora=no"),
    ],
)
@pytest.mark.parametrize("background", [True, False])
def test_what_needs_no_text_is_said_before_anything_is_read(
    benchmark: Path, call: Call, words: list[str], code: int, said: str, background: bool
) -> None:
    given = [word.replace("{words}", str(benchmark)) for word in words]
    found, out, err = call("train", *given, "--name", "it", *["--background"] * background)
    assert (found, out) == (code, ""), err
    assert said in err
    assert not list((places().state / "jobs").glob("*.json"))
