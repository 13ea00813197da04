"""Prepared encoders: whole or prepared again, light to load, refused when they differ."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from precisions import FLOAT32, Precision
from tiny_models import recipe

from bioretrieval_tui.catalog.models import Side
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import embedded, openvino_encoder
from bioretrieval_tui.encoding.encoder_registry import prepare_query_encoder
from bioretrieval_tui.encoding.model_files import files_of
from bioretrieval_tui.encoding.openvino_encoder import (
    STAGE,
    ConversionRefused,
    OpenVinoEngine,
    PreparedKey,
    PreparedNote,
    find_or_prepare,
    lowest_cosine,
)
from bioretrieval_tui.encoding.recipe import ModelPart
from bioretrieval_tui.progress import Progress

FILES = ["graph.blob", "note.json", "tokenizer.json", "words.npy"]
RECIPE = recipe(document=Side(template="{title} {text}", max_length=40))
Pinned = tuple[ModelPart, str]
"""A model and the revision that is asked for."""


@pytest.fixture(scope="module")
def model(tiny: Path) -> Pinned:
    part = ModelPart(str(tiny), None, RECIPE)
    return part, files_of(part).revision


@pytest.fixture(scope="module")
def tiny_home(model: Pinned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where the encoder of `tiny` is prepared."""
    folder = tmp_path_factory.mktemp("tiny-home") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIORETRIEVAL_HOME", str(folder))
        patch.setenv("BIORETRIEVAL_PRECISION", FLOAT32.name)
        assert find_or_prepare(*model, lambda _: None) is not None
    return folder


@pytest.fixture
def cache(tiny_home: Path, home: Path) -> Path:
    """The folder of the prepared encoder in this test's own home."""
    shutil.copytree(tiny_home, home)
    (folder,) = (path for path in (home / "cache" / "encoders").iterdir() if path.is_dir())
    return folder


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on the model's files must not be looked at."""

    def refuse(*_: object) -> None:
        raise AssertionError("the model's files are read")

    return lambda: monkeypatch.setattr(openvino_encoder, "files_of", refuse)


def stages(model: Pinned) -> tuple[PreparedNote | None, list[str]]:
    steps: list[Progress] = []
    found = find_or_prepare(*model, steps.append)
    return found, [step.stage for step in steps]


def test_a_prepared_encoder_is_found_without_its_model(
    cache: Path, model: Pinned, no_files: Callable[[], None]
) -> None:
    no_files()
    assert sorted(path.name for path in cache.iterdir()) == FILES
    found, seen = stages(model)
    assert found is not None
    assert seen == []
    assert found.worst >= FLOAT32.least
    assert OpenVinoEngine(found).revision == model[1]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [cut, flip, empty, Path.unlink])
def test_a_damaged_prepared_encoder_is_not_found(
    cache: Path, name: str, damage: Callable[[Path], None]
) -> None:
    (kept,) = (msgspec.json.decode((cache / "note.json").read_bytes().partition(b"\n")[2])["key"],)
    key = PreparedKey(**kept)
    assert openvino_encoder.find(key) is not None
    damage(cache / name)
    assert openvino_encoder.find(key) is None


def test_a_damaged_prepared_encoder_is_prepared_again(cache: Path, model: Pinned) -> None:
    flip(cache / "words.npy")
    found, seen = stages(model)
    assert set(seen) == {STAGE}
    assert found is not None
    assert found.key.folder == cache
    assert stages(model)[1] == []
    assert [path.name for path in cache.parent.iterdir() if path.is_dir()] == [cache.name]


@pytest.mark.parametrize("field", ["openvino", "processor", "precision", "format", "recipe"])
def test_another_key_has_another_folder(field: str) -> None:
    key = PreparedKey("m", "r", "h", "1", "p", "f32")
    changed = msgspec.structs.replace(key, **{field: 2 if field == "format" else "other"})
    assert changed.folder != key.folder


def test_another_openvino_version_prepares_its_own_encoder(
    cache: Path, model: Pinned, monkeypatch: pytest.MonkeyPatch
) -> None:
    chip = openvino_encoder.chip()
    other = openvino_encoder.Chip("2099.1", chip.processor, chip.precision)
    monkeypatch.setattr(openvino_encoder, "chip", lambda: other)
    found, seen = stages(model)
    assert found is not None
    assert found.key.folder != cache
    assert set(seen) == {STAGE}


def test_a_note_in_the_wrong_folder_is_ignored(cache: Path) -> None:
    note = msgspec.json.decode(
        (cache / "note.json").read_bytes().partition(b"\n")[2], type=PreparedNote
    )
    other = msgspec.structs.replace(note.key, revision="sha256:2")
    cache.rename(other.folder)
    assert openvino_encoder.find(other) is None


def test_leftovers_of_a_dead_process_are_removed(cache: Path, model: Pinned) -> None:
    left = cache.parent / f".{cache.name}"
    left.mkdir()
    (left / "graph.blob").write_bytes(b"half")
    flip(cache / "graph.blob")
    assert stages(model)[0] is not None
    assert not left.exists()


def test_a_cancel_while_preparing_leaves_nothing(home: Path, model: Pinned) -> None:
    def stop(step: Progress) -> None:
        if step.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_or_prepare(*model, stop)
    assert [path for path in (home / "cache" / "encoders").iterdir() if path.is_dir()] == []


def test_a_cache_that_cannot_be_written_costs_only_speed(home: Path, model: Pinned) -> None:
    home.mkdir()
    (home / "cache").write_text("a file where the folder should be")
    notes: list[str | None] = []
    assert find_or_prepare(*model, lambda step: notes.append(step.note)) is None
    assert "cannot be written" in str(notes[-1])


def test_vectors_that_differ_are_refused_once(
    model: Pinned, no_files: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = dict.fromkeys(openvino_encoder.LEAST_COSINE, 1.1)
    monkeypatch.setattr(openvino_encoder, "LEAST_COSINE", strict)
    notes: list[str | None] = []
    assert find_or_prepare(*model, lambda step: notes.append(step.note)) is None
    assert "differ from sentence-transformers" in str(notes[-1])
    assert len(notes) == 4
    # The next process does not try again, and needs no model to know.
    no_files()
    assert stages(model) == (None, ["loading model"])


def test_a_model_inexact_in_bfloat16_is_prepared_in_float32(
    model: Pinned, no_files: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = openvino_encoder.Chip("2099.1", "p", "bf16")
    monkeypatch.setattr(openvino_encoder, "_quickest", lambda: quick)
    monkeypatch.setattr(openvino_encoder, "LEAST_COSINE", {"bf16": 1.1, "f32": 0.999999})
    monkeypatch.delenv("BIORETRIEVAL_PRECISION")
    found, seen = stages(model)
    assert found is not None
    assert found.key.precision == "f32"
    assert set(seen) == {STAGE}
    # The next process knows that bfloat16 was refused, and needs no model to know.
    no_files()
    again, seen = stages(model)
    assert again is not None
    assert (again.key.folder, seen) == (found.key.folder, [])
    monkeypatch.setenv("BIORETRIEVAL_PRECISION", "bfloat16")
    assert stages(model) == (None, ["loading model"])


def test_a_model_that_cannot_be_traced_is_refused(
    home: Path, model: Pinned, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import BertModel

    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError("no tracing")

    monkeypatch.setattr(BertModel, "forward", refuse)
    notes: list[str | None] = []
    assert find_or_prepare(*model, lambda step: notes.append(step.note)) is None
    assert "cannot be converted" in str(notes[-1])


@pytest.mark.parametrize(
    ("ours", "lengths"),
    [([[0.0, 0.0]], False), ([[0.9, 0.1]], False), ([[float("nan"), 1]], False), ([[2, 0]], True)],
)
def test_vectors_below_parity_are_refused(ours: list[list[float]], lengths: bool) -> None:
    theirs = np.array([[1.0, 0.0]], dtype=np.float32)
    with pytest.raises(ConversionRefused):
        lowest_cosine(np.array(ours, dtype=np.float32), theirs, "f32", lengths=lengths)
    assert lowest_cosine(theirs * 2, theirs, "f32", lengths=False) == pytest.approx(1)


REFUSE = """
import json, socket, sys
def refuse(*a, **k):
    raise AssertionError(f"a connection was tried: {a}")
socket.socket.connect = socket.getaddrinfo = refuse
"""
"""What children run first."""


def test_two_processes_prepare_an_encoder_once_and_say_nothing(home: Path, tiny: Path) -> None:
    code = f"""{REFUSE}
sys.path.insert(0, sys.argv[2])
from test_openvino import RECIPE, STAGE
from bioretrieval_tui.encoding.encoder_registry import load_encoder
assert "torch" not in sys.modules
seen = []
def keep(step): seen.append(step.stage)
encoder = load_encoder(sys.argv[1], RECIPE, device="cpu", reporter=keep)
print(seen.count(STAGE), encoder.encode_queries(["the liver"])[0, :4].round(4).tolist())
"""
    command = [sys.executable, "-c", code, str(tiny), str(Path(__file__).parent)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said, errors = zip(*(process.communicate() for process in both), strict=True)
    assert [process.returncode for process in both] == [0, 0], errors
    assert errors == ("", "")
    # One prepared it (four steps), the other waited and found it.
    steps, vectors = zip(*(one.split(maxsplit=1) for one in said), strict=True)
    assert sorted(steps) == ["0", "4"]
    assert vectors[0] == vectors[1]


def test_loading_a_prepared_encoder_imports_no_model_library(prepared_home: Path) -> None:
    code = f"""{REFUSE}
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.encoder_registry import load_encoder, prepare_query_encoder
encoder = load_encoder(side="query")
prepare_query_encoder()
vectors = encoder.encode_queries(["Does metformin lower the risk of colorectal cancer?"])
documents = encoder.encode_documents([Document("1", "Metformin", "A trial. " * 9)] * 3)
heavy = ("torch", "transformers", "sentence_transformers", "scipy", "sklearn", "huggingface_hub",
         "openvino_telemetry", "openvino.tools.ovc", "pandas")
print(json.dumps([vectors.shape, documents.shape, [name for name in heavy if name in sys.modules]]))
"""
    user = prepared_home.parent / "user"
    user.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"BIORETRIEVAL_HOME": str(prepared_home), "HOME": str(user)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [[1, 384], [3, 384], []]
    # OpenVINO's usage reports would leave their marks there.
    assert list(user.iterdir()) == []


def test_preparing_again_does_nothing(prepared_home: Path, monkeypatch) -> None:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(prepared_home))
    steps: list[Progress] = []
    prepare_query_encoder(reporter=steps.append)
    prepare_query_encoder(embedded.MODEL_ID, embedded.RECIPE, reporter=steps.append)
    assert steps == []


def test_a_prepared_encoder_keeps_its_precision(
    home: Path, model: Pinned, precision: Precision
) -> None:
    chip = openvino_encoder.chip()
    if chip is None:  # no bfloat16 here, so nothing is prepared in it
        assert stages(model) == (None, ["loading model"])
        return
    found, _ = stages(model)
    assert found is not None
    assert openvino_encoder.DTYPES[chip.precision] == precision.name
    assert found.key.precision == chip.precision
    assert precision.least <= found.worst <= 1.0000001


def test_the_user_can_force_torch(
    home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, precision: Precision
) -> None:
    from bioretrieval_tui.encoding.encoder_registry import load_encoder
    from bioretrieval_tui.encoding.torch_encoder import TorchEngine
    from bioretrieval_tui.errors import UsageError

    monkeypatch.setenv("BIORETRIEVAL_ENGINE", "torch")
    forced = load_encoder(str(tiny), RECIPE, device="cpu")
    prepare_query_encoder(str(tiny), RECIPE)
    assert isinstance(forced.engine("query"), TorchEngine)
    assert not (home / "cache" / "encoders").exists()
    monkeypatch.delenv("BIORETRIEVAL_ENGINE")
    quick = load_encoder(str(tiny), RECIPE, device="cpu")
    assert isinstance(quick.engine("query"), OpenVinoEngine) == (
        openvino_encoder.chip() is not None
    )
    documents = [Document("1", "", "the liver"), Document("2", "Title", "x " * 90)]
    precision.agree(quick.encode_documents(documents), forced.encode_documents(documents))
    assert forced.tokens == quick.tokens
    monkeypatch.setenv("BIORETRIEVAL_ENGINE", "onnx")
    with pytest.raises(UsageError, match="BIORETRIEVAL_ENGINE is 'onnx'"):
        load_encoder(str(tiny), RECIPE, device="cpu")
