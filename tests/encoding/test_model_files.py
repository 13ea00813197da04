"""What is refused of a model's files before any library opens them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bioretrieval_tui.encoding import model_files
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.encoding.model_files import (
    adapter_folder,
    missing_models,
    model_folder,
    revision_of,
)
from bioretrieval_tui.errors import ModelError

_PLACE = "sentence_transformers.models"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Stand-ins of the files of a sentence-transformers model; nothing here reads their content."""
    made = tmp_path / "model"
    for name in ("1_Pooling/config.json", "config.json", "tokenizer.json", "model.safetensors"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text("{}")
    write_modules(made, "", "1_Pooling")
    return made


def write_modules(folder: Path, *paths: str) -> None:
    kinds = {"": "Transformer", "1_Pooling": "Pooling"}
    parts = [{"path": path, "type": f"{_PLACE}.{kinds.get(path, 'Dense')}"} for path in paths]
    (folder / "modules.json").write_text(json.dumps(parts))


@pytest.mark.parametrize(
    "path",
    [
        "2_Dense/pytorch_model.bin",
        "2_Dense/sub/pytorch_model.bin",  # of a router
        "2_Dense/weights.pkl",
        "2_Dense/linear.pt",
        "pytorch_model.bin",
        "adapter_model.bin",
    ],
)
def test_pickled_weights_that_would_be_loaded_are_refused(folder: Path, path: str) -> None:
    write_modules(folder, "", "1_Pooling", "2_Dense")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(ModelError, match=r"holds pickled weights, which are not loaded") as caught:
        model_folder(str(folder))
    assert path in caught.value.line()
    beside = "adapter_model" if path.startswith("adapter") else "model"
    (folder / path).with_name(f"{beside}.safetensors").write_bytes(b"")
    assert model_folder(str(folder)) == folder


@pytest.mark.parametrize(
    "path", ["onnx/model.bin", "checkpoint-5/optimizer.pt", "training_args.bin", "README.bin"]
)
def test_files_that_no_loader_reads_are_none_of_our_business(folder: Path, path: str) -> None:
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_bytes(b"\x80")
    assert model_folder(str(folder)) == folder


def fifo(path: Path) -> None:
    os.mkfifo(path)


def linked_fifo(path: Path) -> None:
    os.mkfifo(path.with_name("pipe.txt"))
    path.symlink_to(path.with_name("pipe.txt"))


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [fifo, linked_fifo, device])
@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors", "1_Pooling/config.json"])
def test_files_that_are_not_regular_are_refused(
    folder: Path, make: Callable[[Path], None], name: str
) -> None:
    (folder / name).unlink()
    make(folder / name)
    with pytest.raises(ModelError, match="is not a regular file"):
        model_folder(str(folder))


@pytest.mark.parametrize("name", ["modules.json", "config_sentence_transformers.json"])
def test_a_fifo_for_the_recipe_is_not_opened(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    fifo(folder / name)
    with pytest.raises(ModelError):
        load_encoder(str(folder), device="cpu")


def test_an_adapter_of_a_fifo_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    fifo(tmp_path / "adapter.safetensors")
    with pytest.raises(ModelError, match="is not a regular file"):
        adapter_folder(str(tmp_path))


def test_settings_that_are_too_large_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "MOST_SETTINGS", 500)
    (folder / "tokenizer.json").write_text(" " * 501)
    with pytest.raises(ModelError, match=r"tokenizer\.json has more than 500 bytes"):
        model_folder(str(folder))


@pytest.mark.parametrize("path", ["../other", "/tmp", "1/../../other"])  # noqa: S108
def test_a_module_outside_of_the_folder_is_refused(folder: Path, path: str) -> None:
    write_modules(folder, "", path)
    with pytest.raises(ModelError, match="names a folder outside of the model"):
        model_folder(str(folder))


def test_a_folder_of_the_user_is_not_looked_for_on_the_hub(folder: Path) -> None:
    shutil.rmtree(folder / "1_Pooling")
    fifo(folder / "vocab.txt")
    assert missing_models(str(folder), None) == ()


def test_the_revision_is_of_the_weights_of_all_modules(folder: Path) -> None:
    alone = revision_of("m", folder)
    dense = folder / "2_Dense" / "model.safetensors"
    dense.parent.mkdir()
    dense.write_bytes(b"one")
    first = revision_of("m", folder)
    dense.write_bytes(b"another")
    assert len({alone, first, revision_of("m", folder)}) == 3
