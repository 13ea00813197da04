"""A home of its own for every test, and the real embedded model once a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from homes import share_encoders


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path / "home"
    if "encoder" in request.fixturenames:
        share_encoders(folder)
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIORETRIEVAL_HOME", str(share_encoders(tmp_path_factory.mktemp("home"))))
        return load_encoder(device="cpu")
