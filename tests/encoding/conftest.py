"""A home of its own for every test, and the real embedded model once a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from bioretrieval_tui.encoding.encoder import Encoder, load_encoder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BIORETRIEVAL_ENGINE", raising=False)
    return tmp_path / "home"


@pytest.fixture(scope="session")
def prepared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where the embedded model's encoder is prepared, once a process; not to be changed."""
    folder = tmp_path_factory.mktemp("prepared") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIORETRIEVAL_HOME", str(folder))
        patch.delenv("BIORETRIEVAL_ENGINE", raising=False)
        load_encoder(device="cpu")
    return folder


@pytest.fixture(scope="session")
def encoder(prepared_home: Path) -> Encoder:
    """The embedded model on the CPU as a user gets it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIORETRIEVAL_HOME", str(prepared_home))
        patch.delenv("BIORETRIEVAL_ENGINE", raising=False)
        return load_encoder(device="cpu")


@pytest.fixture(scope="session")
def torch_encoder() -> Encoder:
    """The embedded model on the CPU by torch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIORETRIEVAL_ENGINE", "torch")
        return load_encoder(device="cpu")
