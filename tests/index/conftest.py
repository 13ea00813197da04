"""A home of its own for every test, and the real embedded model once a process."""

from __future__ import annotations

from pathlib import Path

import pytest
from hashing_encoder import HashingEncoder, write_corpus

from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.manifest import Manifest
from homes import share_encoders


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIORETRIEVAL_HOME", str(share_encoders(tmp_path_factory.mktemp("home"))))
        return load_encoder(device="cpu")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three hundred small documents in BEIR form."""
    path = tmp_path / "corpus.jsonl"
    write_corpus(str(path), "old", 300)
    return path


@pytest.fixture
def hashing() -> HashingEncoder:
    return HashingEncoder()


@pytest.fixture
def built(corpus: Path, hashing: HashingEncoder) -> Manifest:
    """An index `demo` over `corpus`."""
    return build_index("demo", [corpus], lambda: hashing).manifest
