"""`doctor --model`: what is right and wrong with one model, and its exit codes."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "encoding"))
from hub_server import hub
from tiny_models import save_bert, save_long_bert

Call = Callable[..., Any]


def overlay(home: Path, entries: list[dict[str, Any]]) -> None:
    folder = home / "config" / "catalog.d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny.yaml").write_text(json.dumps({"models": entries}))


def model(identifier: str, encoding: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "name": identifier,
        "summary": "A small model.",
        "sources": ["medcpt-repo"],
        "role": "retriever",
        "dimension": 32,
        "encoding": {"type": "bi-encoder", "grade": "A", **encoding},
    } | more


def one(folder: Path, **more: Any) -> dict[str, Any]:
    side = {"model": str(folder), "max_length": 64}
    cls = {"library": "transformers", "pooling": "cls", "similarity": "dot"}
    return cls | {"query": side, "document": side} | more


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("doctor") / "bert")


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    from authors_vectors import Authors

    root = tmp_path_factory.mktemp("doctor-home")
    vector = Authors(tiny, (("diabetes treatment",),), 64, "cls").vectors()[0]
    right = {"text": "diabetes treatment", "side": "query", "source": "medcpt-repo"}
    starts = [round(float(value), 4) for value in vector[:3]]
    cross = save_long_bert(root / "cross", 9, labels=1)
    pair = {"type": "cross-encoder", "document": {"model": str(cross), "max_length": 512}}
    broken = root / "broken"
    shutil.copytree(tiny, broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    overlay(
        root,
        [
            model("tiny-right", one(tiny, check=right | {"starts": starts})),
            model("tiny-mean", one(tiny, pooling="mean", check=right | {"starts": starts})),
            model("tiny-wide", one(tiny), dimension=768),
            model("tiny-gone", one(root / "gone")),
            model("tiny-broken", one(broken)),
            model("tiny-cross", pair, role="reranker"),
            model("tiny-hub", one(Path("someone/tiny")), hub=["someone/tiny"]),
        ],
    )
    return root


def checked(
    cli: Call, home: Path, name: str, *words: str, **env: str
) -> tuple[int, list[Any], Any]:
    called = cli("doctor", "--model", name, "-f", "json", *words, env=place(home) | env)
    return called.code, json.loads(called.out) if called.out else [], called


def place(home: Path) -> dict[str, str]:
    return {"BIORETRIEVAL_HOME": str(home), "HF_HUB_CACHE": str(home / "hub")}


def states(findings: list[Any]) -> dict[str, str]:
    return {one["name"]: one["state"] for one in findings}


def test_a_model_that_does_as_its_recipe_says(cli: Call, own_home: Path) -> None:
    code, findings, called = checked(cli, own_home, "tiny-right")
    assert code == 0, called.err
    assert states(findings)["check vector"] == "ok"
    assert {"recipe", "files", "dimension", "ranking", "check vector"} <= set(states(findings))
    assert "missing" not in states(findings).values()


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("tiny-mean", "check vector", "'diabetes treatment' starts"),
        ("tiny-wide", "dimension", "32 for a query, the catalogue says 768"),
        ("tiny-gone", None, "is not on this machine"),
        ("tiny-broken", None, "is not a safetensors file"),
        ("biobert", None, "must be fine-tuned before it retrieves"),
    ],
)
def test_what_is_wrong_is_said_and_is_exit_code_1(
    cli: Call, own_home: Path, name: str, wrong: str | None, said: str
) -> None:
    code, findings, called = checked(cli, own_home, name)
    assert code == 1, called.err
    bad = [one for one in findings if one["state"] == "missing"]
    assert any(said in one["value"] for one in bad)
    assert all(one["remedy"] for one in bad)
    if wrong is not None:
        assert {one["name"] for one in bad} == {wrong}


def test_a_cross_encoder_scores(cli: Call, own_home: Path) -> None:
    code, findings, called = checked(cli, own_home, "tiny-cross")
    assert code == 0, called.err
    assert states(findings)["scores"] in ("ok", "note")


def test_a_model_that_nobody_knows_is_exit_code_3(cli: Call, own_home: Path) -> None:
    code, _, called = checked(cli, own_home, "tiny-rihgt")
    assert code == 3
    assert "tiny-right" in called.err


def test_downloading_is_told_and_offline_it_is_not_done(
    cli: Call, own_home: Path, tiny: Path
) -> None:
    with hub("someone/tiny", tiny) as server:
        where = {"HF_ENDPOINT": server.address}
        code, findings, _ = checked(cli, own_home, "tiny-hub", **where)
        assert (code, server.requests) == (1, [])
        assert findings[-1]["remedy"].endswith("doctor --model someone/tiny --download")
        code, findings, _ = checked(cli, own_home, "tiny-hub", "--offline", **where)
        assert (code, server.requests) == (1, [])
        assert "BIORETRIEVAL_OFFLINE forbids the network" in findings[-1]["remedy"]
        code, findings, called = checked(cli, own_home, "tiny-hub", "--download", **where)
        assert code == 0, called.err
        assert "someone/tiny: " in called.err
        assert "MB, licence mit" in called.err
        assert "missing" not in states(findings).values()


@pytest.mark.parametrize("words", [("--download",), ("--model", "x", "--download", "--offline")])
def test_words_that_go_ill_together(cli: Call, words: tuple[str, ...]) -> None:
    assert cli("doctor", *words).code == 2
