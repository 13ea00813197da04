"""Where a model's files are: a folder of the user's, or a snapshot in the local hub cache.

Nothing is downloaded here, and only safetensors weights are accepted: a pickle runs code.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from bioretrieval_tui.corpus.checksum import remembered_sha256
from bioretrieval_tui.errors import ModelError


def model_folder(model: str, revision: str | None = None) -> Path:
    """The folder that holds `model`'s config, tokenizer and safetensors weights.

    Raises:
        ModelError: it is neither a folder nor in the hub cache, or has no safetensors weights.
    """
    local = Path(model).expanduser()
    folder = local if local.is_dir() else _snapshot(model, revision)
    if not (folder / "config.json").is_file():
        raise ModelError(f"{model} is no model folder: it has no config.json")
    if not _weights(folder):
        raise ModelError(
            f"{model} has no safetensors weights here",
            remedy="get a revision with model.safetensors; pickled weights are not loaded",
        )
    return folder


def weights_revision(model: str, folder: Path) -> str:
    """The hub's commit for a snapshot, else `sha256:` and the checksum over the weights."""
    if folder.parent.name == "snapshots":
        return folder.name
    digest = hashlib.sha256()
    for path in _weights(folder):
        try:
            digest.update(f"{path.name}:{remembered_sha256(path)}\n".encode())
        except OSError as error:
            raise ModelError(f"{model}: {path.name} cannot be read: {error.strerror}") from error
    return f"sha256:{digest.hexdigest()}"


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def _snapshot(model: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    missing = ModelError(
        f"the model {model} is not on this machine",
        remedy=f"fetch it with: hf download {model}",
    )
    try:
        return Path(snapshot_download(model, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise missing from error
