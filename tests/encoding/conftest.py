"""A home of its own for every test, and the real embedded model once a process.

Tests compute in float32 unless they take `precision` (or `encoder`): then they run in float32 and
in bfloat16, on every machine. Where the processor does not have bfloat16, torch emulates it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from precisions import BFLOAT16, FLOAT32, Precision
from tiny_models import save_bert

from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.encoding.encoder_registry import load_encoder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights; not to be changed."""
    return save_bert(tmp_path_factory.mktemp("tiny") / "bert")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BIORETRIEVAL_ENGINE", raising=False)
    monkeypatch.setenv("BIORETRIEVAL_PRECISION", FLOAT32.name)
    return tmp_path / "home"


@pytest.fixture(params=[FLOAT32, BFLOAT16], ids=lambda one: one.name)
def precision(
    request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Precision:
    """The precision that models compute in during the test."""
    monkeypatch.setenv("BIORETRIEVAL_PRECISION", request.param.name)
    return request.param


def _embedded(home: Path, precision: Precision, engine: str = "auto") -> Encoder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIORETRIEVAL_HOME", str(home))
        patch.setenv("BIORETRIEVAL_ENGINE", engine)
        patch.setenv("BIORETRIEVAL_PRECISION", precision.name)
        return load_encoder(device="cpu")


@pytest.fixture(scope="session")
def prepared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where the embedded model's encoder is prepared, once a process; not to be changed."""
    folder = tmp_path_factory.mktemp("prepared") / "home"
    _embedded(folder, FLOAT32)
    return folder


@pytest.fixture(scope="session")
def _encoders() -> dict[Precision, Encoder]:
    return {}


@pytest.fixture
def encoder(
    precision: Precision, prepared_home: Path, _encoders: dict[Precision, Encoder]
) -> Encoder:
    """The embedded model on the CPU as a user gets it, in each precision; loaded once a process."""
    if precision not in _encoders:
        _encoders[precision] = _embedded(prepared_home, precision)
    return _encoders[precision]


@pytest.fixture(scope="session")
def torch_encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """The embedded model on the CPU by torch, in float32."""
    return _embedded(tmp_path_factory.mktemp("torch"), FLOAT32, "torch")
