"""Adapters and modules that are not what a recipe counts on: refused in a line, never guessed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import recipe, save_adapter, save_long_bert, save_mpnet

from bioretrieval_tui.catalog.models import Encoding, Side
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.encoding.recipe_check import check_model
from bioretrieval_tui.errors import ModelError


@pytest.fixture(autouse=True)
def _by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIORETRIEVAL_ENGINE", "torch")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_long_bert(tmp_path_factory.mktemp("adapted") / "bert")


def adapted(adapter: Path) -> Encoding:
    side = Side(adapter=str(adapter), max_length=64)
    return recipe(query=side, document=side, library="adapters")


def settings(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "adapter_config.json"
        facts = json.loads(path.read_text())
        change(facts["config"])
        path.write_text(json.dumps(facts))

    return damage


def weights(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        tensors = load_file(folder / "adapter.safetensors")
        change(tensors)
        save_file(tensors, folder / "adapter.safetensors")

    return damage


def without_a_layer(tensors: dict[str, Any]) -> None:
    for name in [name for name in tensors if ".layer.1." in name]:
        del tensors[name]


def without_a_bias(tensors: dict[str, Any]) -> None:
    del tensors[next(name for name in tensors if name.endswith("adapter_up.bias"))]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (settings(lambda config: config.update(mh_adapter=True)), "mh_adapter True"),
        (settings(lambda config: config.update(is_parallel=True)), "is_parallel True"),
        (settings(lambda config: config.update(scaling="learned")), "scaling learned"),
        (settings(lambda config: config.update(non_linearity="odd")), "non_linearity odd"),
        (settings(lambda config: config.update(leave_out=[1])), "leave_out"),
        (weights(without_a_layer), "is for 1 layers, not for 2"),
        (weights(without_a_bias), "does not fit the model: layer 0"),
        (weights(lambda tensors: tensors.update(x=next(iter(tensors.values())).clone())), ": x"),
        (lambda folder: (folder / "adapter_config.json").write_text("["), "no readable"),
        (lambda folder: (folder / "adapter.safetensors").write_bytes(b"x"), "cannot be loaded"),
        (lambda folder: (folder / "adapter.safetensors").unlink(), "pickled weights are not"),
        (lambda folder: (folder / "adapter_config.json").unlink(), "is no adapter"),
    ],
)
def test_another_adapter_is_refused(
    damage: Callable[[Path], Any], said: str, bert: Path, tmp_path: Path
) -> None:
    adapter = save_adapter(tmp_path / "adapter", "[PRX]", 1)
    damage(adapter)
    with pytest.raises(ModelError) as caught:
        load_encoder(str(bert), adapted(adapter), device="cpu")
    assert said in caught.value.line()
    assert "\n" not in caught.value.line()


def test_an_adapter_for_another_family_or_width_is_refused(tmp_path: Path) -> None:
    from tiny_models import save_bert

    adapter = save_adapter(tmp_path / "adapter", "[PRX]", 1)
    with pytest.raises(ModelError, match="does not fit a mpnet model"):
        load_encoder(str(save_mpnet(tmp_path / "mpnet")), adapted(adapter), device="cpu")
    wide = save_bert(tmp_path / "wide", hidden_size=64)
    with pytest.raises(ModelError, match="it is 32 wide, the model 64"):
        load_encoder(str(wide), adapted(adapter), device="cpu")


def test_another_adapter_is_another_revision(bert: Path, tmp_path: Path) -> None:
    revisions = []
    for seed in (1, 2):
        adapter = save_adapter(tmp_path / str(seed), "[PRX]", seed)
        revisions.append(load_encoder(str(bert), adapted(adapter), device="cpu").revision)
    bases, adapters = zip(*(one.split("+") for one in revisions), strict=True)
    assert len(set(bases)) == 1
    assert len(set(adapters)) == 2
    with pytest.raises(ModelError, match="is here in revision"):
        load_encoder(str(bert), adapted(adapter), device="cpu", revision=revisions[0])


def test_modules_that_the_recipe_leaves_out_are_refused(bert: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dense"
    shutil.copytree(bert, folder)
    place = "sentence_transformers.models"
    parts = [{"idx": 0, "name": "0", "path": "", "type": f"{place}.Transformer"}]
    (folder / "modules.json").write_text(json.dumps(parts))
    assert load_encoder(str(folder), recipe(), device="cpu").dimension == 32
    parts.append({"idx": 1, "name": "1", "path": "1", "type": f"{place}.Dense"})
    (folder / "modules.json").write_text(json.dumps(parts))
    with pytest.raises(ModelError, match="a part that its recipe leaves out: Dense"):
        load_encoder(str(folder), recipe(pooling="mean"), device="cpu")


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "ok"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "missing"),
        ({"pooling_mode_lasttoken": True}, "missing"),
        ({"pooling_mode": "cls"}, "ok"),
        ({}, None),
        ([], None),
    ],
)
def test_the_authors_own_pooling_file_is_compared(
    facts: object, state: str | None, bert: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pooled"
    shutil.copytree(bert, folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(facts))
    found = {check.name: check.state for check in check_model(str(folder), recipe(), dimension=32)}
    assert found.get("pooling") == state
    assert found["dimension"] == "ok"


def test_weights_of_another_model_are_refused(bert: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    folder = tmp_path / "other"
    shutil.copytree(bert, folder)
    save_file({"other.weight": np.zeros((2, 2))}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"lacks \d+ of its \d+ weights"):
        load_encoder(str(folder), recipe(), device="cpu")
