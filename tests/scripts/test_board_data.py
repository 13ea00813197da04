"""`scripts/board.py`: from clones of mteb and its results, or an extraction, to data/board.jsonl.

`board/` holds fragments of files of embeddings-benchmark/results (CC0-1.0) and of
embeddings-benchmark/mteb (Apache-2.0): a file with some of its fields, modules with some of their
models.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langcodes", reason="a new dependency: make environment")

import board
from mteb_models import read_models

FRAGMENTS = Path(__file__).parent / "board"
RESULTS = {
    path: json.dumps(content)
    for path, content in json.loads((FRAGMENTS / "results.json").read_text("utf-8")).items()
}
MODULES = {
    f"mteb/models/model_implementations/{path.name.removesuffix('.txt')}": path.read_text("utf-8")
    for path in FRAGMENTS.glob("*.py.txt")
}
SCIFACT = "results/org__model/r1/SciFact.json"
IDENTITY = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")


def repository(folder: Path, files: dict[str, str]) -> Path:
    """A git repository whose only commit holds the files."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    env = {**os.environ, **dict.fromkeys(IDENTITY, "nobody"), "GIT_CONFIG_GLOBAL": os.devnull}
    for words in ("init -q", "add -A", "commit -q -m files"):
        subprocess.run(["git", *words.split()], cwd=folder, env=env, check=True)
    return folder


def result(**fields: Any) -> str:
    """The text of a result file with one score."""
    cell = {"main_score": 0.7, "hf_subset": "default", **fields}
    return json.dumps({"dataset_revision": "d1", "scores": {"test": [cell]}})


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Clones with the fragments: of the results, and of mteb."""
    folder = tmp_path_factory.mktemp("clones")
    return repository(folder / "results", RESULTS), repository(folder / "mteb", MODULES)


def read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], list[list[Any]]]:
    """Header, models and scores of a board."""
    header, *lines = map(json.loads, path.read_text("utf-8").splitlines())
    return header, lines[: header["models"]], lines[header["models"] :]


def told(path: Path) -> dict[tuple[str, ...], list[Any]]:
    """What each score's line says, the tables' indices replaced, by model, task, subset, split."""
    header, models, scores = read(path)
    found = {}
    for task, subset, split, model, value, metric, kind, revision, *rest in scores:
        zero_shot, others, dataset, place = rest
        facts = [value, metric, kind, header["revisions"][revision], zero_shot, others]
        facts += [header["dataset_revisions"][dataset], place]
        found[models[model]["name"], task, subset, split] = facts
    return found


def test_the_original_files_give_the_lines_of_the_board(
    clones: tuple[Path, Path], tmp_path: Path
) -> None:
    results, mteb = clones
    out = tmp_path / "board.jsonl"
    assert board.main(["--results", str(results), "--mteb", str(mteb), "--out", str(out)]) == 0
    derived, kept = told(out), told(board.BOARD)
    assert len(derived) == 5  # one a model, task, split and biomedical subset
    assert derived == {key: kept[key] for key in derived}
    ours = {line["name"]: line for line in read(board.BOARD)[1]}
    models = [line for line in read(out)[1] if line["name"] != "minishlab/M2V_base_output"]
    assert models == [ours[line["name"]] for line in models]
    assert "Qwen/Qwen3-Embedding-0.6B" not in {line["name"] for line in models}  # has no score


def test_the_same_input_gives_the_same_bytes(clones: tuple[Path, Path], tmp_path: Path) -> None:
    results, mteb = clones
    written = []
    for name in ("one", "two"):
        out = tmp_path / name
        board.main(["--results", str(results), "--mteb", str(mteb), "--out", str(out)])
        written.append(out.read_bytes())
    assert written[0] == written[1]
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=results, check=True, capture_output=True, text=True
    )
    assert read(out)[0]["results"]["commit"] == head.stdout.strip()


def test_expressions_over_constants_of_other_modules_are_read() -> None:
    models, notes = read_models(MODULES)
    static = models["minishlab/M2V_base_output"]
    assert static["n_parameters"] == 7_560_000
    assert static["training_datasets"] == {"NQ", "NQ-NL", "NQHardNegatives"}
    assert static["max_tokens"] == float("inf")
    assert notes == []


@pytest.mark.parametrize(
    ("before", "text", "value"),
    [
        ("", "{'a', *['b']}", {"a", "b"}),
        ("x = {'a'}\nx |= {'b'}", "x", {"a", "b"}),
        ("x = {'a'}\nx.update({'b'})", "x", {"a", "b"}),
        ("x: set[str] = set()", "x", set()),
        ("x = {'a': {'b'}}", "x['a'] | {'c'}", {"b", "c"}),
        ("from mteb.models.sets import x as y", "y - {'a'}", {"z"}),
        ("from .sets import x", "x", {"a", "z"}),
        ("b = ModelMeta(name='b/b', training_datasets={'q'})", "b.training_datasets", {"q"}),
        ("x = y\ny = x", "x", None),
        ("", "{name for name in everything}", None),
        ("", "open('/etc/passwd').read()", None),
        ("", "10 ** 10 ** 10", None),
        ("from numpy import x", "x", None),
    ],
)  # fmt: skip
def test_a_field_is_read_or_left_out_with_a_note(before: str, text: str, value: Any) -> None:
    module = f"{before}\nmodel = ModelMeta(name='a/a', embed_dim=8, training_datasets={text})"
    sources = {"mteb/models/m.py": module, "mteb/models/sets.py": "x = {'a', 'z'}"}
    models, notes = read_models(sources)
    if value is None:
        assert models["a/a"] == {"name": "a/a", "embed_dim": 8}
        assert len(notes) == 1
        assert notes[0].startswith(f"mteb/models/m.py:{module.count(chr(10)) + 1}: training_data")
    else:
        assert models["a/a"]["training_datasets"] == value
        assert notes == []


def published(kind: str, revision: str, value: float, path: str = "") -> board.Published:
    one = board.Published(
        "a/a", revision, kind, "SciFact", "test", "default", value, "d", path, "scores:2"
    )
    return one if path else board.Published(*(*one.__getstate__()[:8], one.usual_path, one.place))


@pytest.mark.parametrize(
    ("values", "first"),
    [
        ([("run", "r1", 0.1), ("run", "named", 0.2), ("self-reported", "", 0.3)], 0.2),
        ([("no-revision", "", 0.1), ("run", "r1", 0.2), ("self-reported", "", 0.3)], 0.2),
        ([("self-reported", "", 0.1), ("no-revision", "", 0.2)], 0.2),
        ([("run", "named", 0.1, "results/a__a/named/experiments/e/SciFact.json"),
          ("run", "named", 0.2)], 0.2),
        ([("run", "r1", 0.1),
          ("run", "named", 0.2, "results/a__a/named/experiments/e/SciFact.json")], 0.2),
    ],
)  # fmt: skip
def test_one_value_is_chosen_and_the_others_counted(
    values: list[tuple[Any, ...]], first: float
) -> None:
    scores = [published(*value) for value in values]
    for order in (scores, scores[::-1]):
        ((chosen, others),) = board.choose(order, {"a/a": {"revision": "named"}})
        assert (chosen.value, others) == (first, len(values) - 1)


@pytest.mark.parametrize(
    ("sets", "tasks"),
    [
        (["NFCORPUS"], ["IFIRNFCorpus", "NFCorpus", "NanoNFCorpusRetrieval"]),
        (["SciFact-NL"], ["IFIRScifact", "NanoSciFactRetrieval", "SciFact", "SciFact-PL"]),
        (["NanoSCIDOCSRetrieval"], ["NanoSCIDOCSRetrieval", "SCIDOCS"]),
        (["cMedQAv2"], ["CMedQAv2-reranking", "CmedqaRetrieval"]),
        (["MedrixvClusteringP2P"], ["MedrxivClusteringP2P.v2"]),
        (["BrightEarthScienceRetrieval", "MSMARCO", "cCOVID-News"], []),
    ],
)
def test_a_set_stands_for_its_cuts_translations_and_spellings(
    sets: list[str], tasks: list[str]
) -> None:
    assert board.tasks_of(sets) == tasks


def test_a_model_saw_what_the_model_it_was_made_from_saw() -> None:
    models: dict[str, dict[str, Any]] = {
        "a/a": {"training_datasets": ["SciFact"], "adapted_from": "b/b"},
        "b/b": {"training_datasets": ["SCIDOCS"], "adapted_from": "a/a"},
        "c/c": {"training_datasets": None, "adapted_from": "b/b"},
    }
    assert board.training_sets("a/a", models) == {"SciFact", "SCIDOCS"}
    assert board.training_sets("c/c", models) is None


def test_a_model_is_described_in_the_words_of_the_catalogue() -> None:
    declared = {
        "revision": "", "n_parameters": 7.56e6, "embed_dim": [64, 768], "max_tokens": "inf",
        "languages": ["tgl-Latn", "python-Code", "cmn-Hans", "eng-Latn"],
        "license": "not specified", "similarity_fn_name": "DOT_PRODUCT", "superseded_by": "a/a",
        "training_datasets": [], "public_training_data": True, "open_weights": False,
    }  # fmt: skip
    assert board.model_line("a/a", {"a/a": declared}) == {
        "name": "a/a", "params": 7_560_000, "dimension": 768, "languages": ["en", "tl", "zh"],
        "type": "bi-encoder", "similarity": "dot", "open_weights": False,
        "training_data": "public, no address given", "training_declared": True,
    }  # fmt: skip
    for kinds, expected in ((["router"], None), (["sparse"], "sparse"), (None, "bi-encoder")):
        assert board.model_line("a/a", {"a/a": {"model_type": kinds}}).get("type") == expected
    assert board.model_line("b/b", {}) == {"name": "b/b", "training_declared": False}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{\n"scores": {,', f"{SCIFACT}:2: is not JSON"),
        ("{}", f"{SCIFACT}: is no result file: Object missing required field `scores`"),
        (result(main_score=None), f"{SCIFACT}: is no result file: Expected `float`, got `null`"),
        (result(hf_subset=3), f"{SCIFACT}: is no result file: Expected `str`, got `int`"),
        (result(main_score=71.3), f"{SCIFACT}: nDCG@10 of test, default is 71.3, which must be"),
        (result(main_score=-0.1), f"{SCIFACT}: nDCG@10 of test, default is -0.1, which must be"),
        (result(main_score=float("nan")), f"{SCIFACT}: nDCG@10 of test, default is nan"),
    ],
)
def test_a_faulty_result_is_told_and_nothing_is_written(
    text: str,
    fault: str,
    clones: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = repository(tmp_path / "results", {SCIFACT: text, "results/a__a/r/NQ.json": "{"})
    out = tmp_path / "board.jsonl"
    out.write_text("as it was", "utf-8")
    assert board.main(["--results", str(results), "--mteb", str(clones[1]), "--out", str(out)]) == 1
    error, left = capsys.readouterr().err.splitlines()
    assert error.startswith(fault)
    assert "correct" in error
    assert left == f"{out} was not changed"
    assert out.read_text("utf-8") == "as it was"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["board.jsonl", "results"]


def test_a_module_that_is_no_python_is_told(
    clones: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mteb = repository(tmp_path / "mteb", {"mteb/models/a.py": "x = 1\ny = ("})
    words = ["--results", str(clones[0]), "--mteb", str(mteb), "--out", str(tmp_path / "out")]
    assert board.main(words) == 1
    assert "mteb/models/a.py:2: is no Python" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--results", "{tmp}/bare", "--mteb", "{mteb}"], "bare: is no git clone; name a clone of"),
        (["--results", "{tmp}/none", "--mteb", "{mteb}"], "none: is no git clone; name a clone of"),
        (["--results", "{results}/results", "--mteb", "{mteb}"], "results/results: is no git"),
        (["--results", "{mteb}", "--mteb", "{mteb}"], "mteb: holds nothing of embeddings-bench"),
        (["--results", "{results}", "--mteb", "{mteb}", "--mteb-commit", "0" * 40],
         f"mteb: has no commit {'0' * 40}; fetch it, or name one that is there"),
        (["--extraction", "{tmp}/bare"], "bare: is no extraction"),
    ],
)  # fmt: skip
def test_a_folder_that_is_no_source_is_told(
    words: list[str],
    fault: str,
    clones: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "bare").mkdir()
    places = {"tmp": tmp_path, "results": clones[0], "mteb": clones[1]}
    filled = [word.format(**places) for word in words]
    assert board.main([*filled, "--out", str(tmp_path / "out")]) == 1
    assert fault in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_board_is_as_the_script_writes_it() -> None:
    _, _, body = board.BOARD.read_bytes().partition(b"\n")
    header, models, scores = read(board.BOARD)
    assert header["sha256"] == hashlib.sha256(body).hexdigest()
    assert (header["models"], header["scores"]) == (len(models), len(scores))
    assert {score[0] for score in scores} == set(board.METRICS)
    assert [line["name"] for line in models] == sorted({line["name"] for line in models})
    places = [score[:4] for score in scores]
    assert places == sorted(places)
    assert len(places) == len(set(map(tuple, places)))
    for task, _, _, model, value, metric, _, _, zero_shot, *_ in scores:
        line = models[model]
        seen = task in line.get("trained_on", ())
        assert metric == board.METRICS[task]
        assert (-1 if metric in board.SIGNED else 0) <= value <= 1
        assert zero_shot is (not seen if line["training_declared"] else None)


def extraction(folder: Path, row: str, model: str = '{"name": "a/a"}') -> Path:
    """An extraction with one score and one model."""
    columns = "model,revision,kind,task,split,subset,main_score,dataset_revision,path"
    with gzip.open(folder / "scores.csv.gz", "wt", encoding="utf-8") as out:
        out.write(f"{columns}\n{row}\n")
    (folder / "models.jsonl").write_text(f"{model}\n", "utf-8")
    text = "".join(f"`{name}` at {'ab' * 20}\n" for name in (board.RESULTS, board.MTEB))
    (folder / "README.md").write_text(text, "utf-8")
    return folder


def test_an_extraction_is_read(tmp_path: Path) -> None:
    row = "a/a,r1,run,SciFact,test,default,0.123456789,d1,results/a__a/r1/SciFact.json"
    out = tmp_path / "out"
    assert board.main(["--extraction", str(extraction(tmp_path, row)), "--out", str(out)]) == 0
    facts = [0.12346, "nDCG@10", 0, "r1", None, 0, "d1", ""]
    assert told(out) == {("a/a", "SciFact", "default", "test"): facts}
    assert read(out)[0]["mteb"]["commit"] == "ab" * 20


@pytest.mark.parametrize(
    ("row", "model", "fault"),
    [
        ("a/a,r1,run,SciFact,test,default,much,d1,x", "{}", "scores.csv.gz:2: is no score"),
        ("a/a,r1,guess,SciFact,test,default,0.5,d1,x", "{}", "scores.csv.gz:2: is no score"),
        ("a/a,r1,run", "{}", "scores.csv.gz:2: is no score"),
        ("a/a,r1,run,BIOSSES,test,default,-1.5,d1,x", '{"name": "a/a"}', "scores.csv.gz:2: Spear"),
        ("a/a,r1,run,SciFact,test,default,0.5,d1,x", "{", "models.jsonl:1: describes no model"),
        ("a/a,r1,run,SciFact,test,default,0.5,d1,x", "[]", "models.jsonl:1: describes no model"),
    ],
)
def test_a_faulty_extraction_is_told_with_its_line(
    row: str, model: str, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--extraction", str(extraction(tmp_path, row, model)), "--out", str(tmp_path / "out")]
    assert board.main(words) == 1
    assert fault in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
