"""A home of its own for every test, and a tiny model to train."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "encoding"))

from tiny_models import save_bert


@pytest.fixture(scope="module", autouse=True)
def _few_objects() -> None:
    """Every training looks for cycles among all objects, also the million of the libraries'."""
    import sentence_transformers.sentence_transformer.losses  # noqa: F401

    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights; not to be changed."""
    return save_bert(tmp_path_factory.mktemp("tiny") / "bert")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BIORETRIEVAL_PRECISION", "float32")
    return tmp_path / "home"
