"""Fetching from a hub: only on request, only what is needed, resumed, and never offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import COMMIT, Hub, hub
from tiny_models import recipe

from bioretrieval_tui.catalog.models import Side
from bioretrieval_tui.encoding.embedded import MODEL_ID
from bioretrieval_tui.encoding.model_files import missing_models, model_folder
from bioretrieval_tui.errors import ModelError

MODEL = "someone/tiny"
START = """
import json, os
from pathlib import Path
from bioretrieval_tui.encoding.model_files import (
    fetch_model, missing_models, model_folder, plan_download, revision_of)
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser
steps = []
def keep(step): steps.append((step.stage, step.done, step.total, step.unit, step.note))
def is_here(*names):
    try: return bool(model_folder(*names))
    except BioRetrievalError: return False
def tried(work):
    try: return work()
    except BioRetrievalError as error: return error.line()
"""


def save_files(folder: Path, *names: str) -> Path:
    """A model that nothing loads: its weights, its tokenizer, its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or ("config.json", "tokenizer.json", "model.safetensors"):
        # Files of one content are one file for the hub.
        padding = " " * (2_000_000 if name.endswith(".safetensors") else 1)
        (folder / name).write_text(json.dumps({"name": name}) + padding)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with needed and unneeded files."""
    folder = save_files(tmp_path_factory.mktemp("repository") / "tiny")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "code.py").write_text("raise SystemExit")
    (folder / "README.md").write_text("about")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.safetensors").write_bytes(b"of another kind")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text("{}")
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "model.safetensors").write_bytes(b"of a module")
    return folder


@pytest.fixture
def served(files: Path) -> Iterator[Hub]:
    with hub(MODEL, files) as server:
        yield server


def run(server: Hub, cache: Path, code: str, **env: str) -> dict[str, Any]:
    """What `code` puts into `out`, in a process whose hub is `server`."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    found |= {"HF_ENDPOINT": server.address, "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_XET": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", f"{START}\nout = {{}}\n{code}\nprint(json.dumps(out))"],
        env=found | env,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return json.loads(ended.stdout)


def test_a_model_is_planned_fetched_and_found(served: Hub, files: Path, tmp_path: Path) -> None:
    found = run(
        served,
        tmp_path,
        f"""
out["before"] = is_here("{MODEL}"), missing_models("{MODEL}", None)
plan = plan_download("{MODEL}")
out["line"], out["files"], out["bytes"] = plan.line(), plan.files, plan.bytes
out["requests"] = 0
folder = fetch_model(plan, keep)
out["there"] = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
out["same"] = str(model_folder("{MODEL}")) == str(folder)
out["revision"] = revision_of("{MODEL}", folder)
out["after"] = is_here("{MODEL}"), missing_models("{MODEL}", None)
out["pinned"] = is_here("{MODEL}", "{COMMIT}"), is_here("{MODEL}", "b" * 40)
out["steps"] = list(steps)
fetch_model(plan_download("{MODEL}"), keep)
""",
    )
    names = sorted(found["files"])
    assert found["before"] == [False, [MODEL]]
    assert found["after"] == [True, []]
    assert found["pinned"] == [True, False]
    assert "model.safetensors" in names
    assert "1_Pooling/config.json" in names
    assert "2_Dense/model.safetensors" in names
    assert "tokenizer.json" in names
    unwanted = {"pytorch_model.bin", "code.py", "README.md", "onnx/model.safetensors"}
    assert unwanted.isdisjoint(names)
    assert found["there"] == names
    assert found["same"]
    assert found["revision"] == COMMIT
    size = sum((files / name).stat().st_size for name in names)
    assert found["bytes"] == size
    assert found["line"] == f"{MODEL}: {len(names)} files, {size / 1e6:.1f} MB, licence mit"
    assert found["steps"][0][4] == found["line"]
    total = -(-size // 10**6)
    assert {(stage, whole, unit) for stage, _, whole, unit, _ in found["steps"]} == {
        ("downloading", total, "MB")
    }
    done = [step[1] for step in found["steps"]]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, total)
    fetched = [path for method, path, _ in served.requests if method == "GET" and "resolve" in path]
    # Each file once, though it was fetched twice, and the weights last.
    assert len(fetched) == len(set(fetched)) == len(names)
    assert fetched[-1].endswith("/model.safetensors")


def test_a_cancelled_download_is_resumed(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    weights = bytes(range(250)) * 100_000
    (folder / "model.safetensors").write_bytes(weights)
    stopping = f"""
def stop(step):
    if step.done >= 10: raise InterruptedByUser("enough")
out["stopped"] = tried(lambda: fetch_model(plan_download("{MODEL}"), stop))
out["here"] = is_here("{MODEL}")
"""
    cache = tmp_path / "cache"
    with hub(MODEL, folder) as server:
        assert run(server, cache, stopping) == {"stopped": "enough", "here": False}
        server.requests.clear()
        again = f'fetch_model(plan_download("{MODEL}"), keep); out["steps"] = steps'
        steps = run(server, cache, again)["steps"]
        asked = [
            part
            for method, path, part in server.requests
            if method == "GET" and path.endswith("/model.safetensors")
        ]
    assert len(asked) == 1
    assert asked[0] is not None
    assert 0 < int(asked[0].removeprefix("bytes=").partition("-")[0]) < len(weights)
    (found,) = cache.glob("models--*/snapshots/*/model.safetensors")
    assert found.read_bytes() == weights
    left = [path.name for path in cache.glob("models--*/blobs/*") if "." in path.name]
    assert left == []
    done = [step[1] for step in steps]
    assert done == sorted(done)
    assert done[-1] == 26


def test_an_interrupted_download_is_kept_and_a_damaged_one_refused(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    weights = bytes(range(250)) * 40_000
    (folder / "model.safetensors").write_bytes(weights)
    cache = tmp_path / "cache"
    code = f"""
out["first"] = tried(lambda: fetch_model(plan_download("{MODEL}")))
(part,) = Path(os.environ["HF_HUB_CACHE"]).rglob("*.part")
out["kept"] = part.stat().st_size
data = bytearray(part.read_bytes()); data[5] ^= 1; part.write_bytes(data)
out["second"] = tried(lambda: fetch_model(plan_download("{MODEL}")))
out["third"] = str(tried(lambda: fetch_model(plan_download("{MODEL}"))))
"""
    with hub(MODEL, folder) as server:
        server.cut["model.safetensors"] = 5_000_000
        found = run(server, cache, code)
    assert found["first"].startswith(f"{MODEL} could not be fetched: ")
    assert 0 < found["kept"] <= 5_000_000
    assert "arrived damaged" in found["second"]
    assert (Path(found["third"]) / "model.safetensors").read_bytes() == weights


def test_a_gated_model_is_refused_with_a_remedy(served: Hub, tmp_path: Path) -> None:
    served.gated = True
    found = run(
        served,
        tmp_path,
        f"""
out["line"] = plan_download("{MODEL}").line()
out["error"] = tried(lambda: fetch_model(plan_download("{MODEL}")))
out["nobody"] = tried(lambda: plan_download("someone/else"))
out["bad"] = tried(lambda: plan_download("a b"))
""",
    )
    assert found["line"].endswith("licence mit, gated: its terms must be accepted first")
    assert found["error"] == (
        f"{MODEL} is gated: its authors' terms must be accepted first;"
        f" accept them on https://huggingface.co/{MODEL}, then: hf auth login"
    )
    assert found["nobody"].startswith("the hub has no model someone/else")
    assert found["bad"].startswith("the hub has no model a b")


def test_offline_sends_no_request_and_says_so(served: Hub, tmp_path: Path) -> None:
    code = f"""
out["plan"] = tried(lambda: plan_download("{MODEL}"))
out["fetch"] = tried(lambda: fetch_model(plan_download("{MODEL}")))
out["folder"] = tried(lambda: model_folder("{MODEL}"))
"""
    found = run(served, tmp_path, code, BIORETRIEVAL_OFFLINE="1")
    assert served.requests == []
    for line in (found["plan"], found["fetch"]):
        assert line.startswith(f"{MODEL} is not fetched: BIORETRIEVAL_OFFLINE forbids the network")
    assert found["folder"] == (
        f"the model {MODEL} is not on this machine;"
        " BIORETRIEVAL_OFFLINE forbids the network: unset it to fetch the model"
    )


def test_a_hub_that_does_not_respond_gives_one_line(files: Path, tmp_path: Path) -> None:
    with hub(MODEL, files) as server:
        pass
    found = run(server, tmp_path, f'out["error"] = tried(lambda: plan_download("{MODEL}"))')
    assert found["error"].startswith(f"{MODEL} could not be fetched: ")
    assert "try again" in found["error"]


def test_a_repository_of_pickles_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "config.json").write_text("{}")
    with hub(MODEL, folder) as server:
        code = f'out["error"] = tried(lambda: plan_download("{MODEL}"))'
        found = run(server, tmp_path / "cache", code)
    assert "has no safetensors weights on the hub" in found["error"]


def test_missing_models_of_a_recipe_are_named(tmp_path: Path) -> None:
    here = save_files(tmp_path / "here")
    adapter = save_files(tmp_path / "adapter", "adapter_config.json", "adapter.safetensors")
    one = recipe(
        query=Side(model="no-such/query", adapter=str(adapter)),
        document=Side(model=str(here), adapter="no-such/adapter"),
    )
    assert missing_models("x", one) == ("no-such/query", "no-such/adapter")
    assert missing_models(str(here), recipe()) == ()
    assert missing_models(MODEL_ID, None) == ()  # it comes with the app


def test_all_shards_of_the_weights_must_be_present(tmp_path: Path) -> None:
    folder = save_files(tmp_path / "parts")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    places = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    with pytest.raises(ModelError, match=r"not complete: 1 files .* model-00002-of-00002"):
        model_folder(str(folder))
    index.write_text("[]")
    with pytest.raises(ModelError, match="is damaged"):
        model_folder(str(folder))
