"""Where a model's files are: a folder of the user's, or a snapshot in the local hub cache.

Nothing is downloaded here (see `fetching`), and only safetensors weights are accepted: a pickle
runs code.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from bioretrieval_tui.documents.checksum import remembered_sha256
from bioretrieval_tui.encoding import adapters
from bioretrieval_tui.encoding.device import OFFLINE_VARIABLE, offline, prepare_environment
from bioretrieval_tui.errors import ModelError

SHARDS = "model.safetensors.index.json"
"""Where the weights are cut into several files: which one holds which."""
COMPANIONS = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    adapters.CONFIG,
)
"""What a model needs beside its weights, where its repository has it."""


def model_folder(model: str, revision: str | None = None) -> Path:
    """The folder that holds `model`'s config, tokenizer and safetensors weights.

    Raises:
        ModelError: it is neither a folder nor in the hub cache, or has no safetensors weights.
    """
    folder = _folder(model, revision, "config.json")
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{model} is no model folder: it has no config.json",
            remedy="name a folder as transformers saves it",
        )
    if not _weights(folder):
        raise ModelError(
            f"{model} has no safetensors weights here",
            remedy="get a revision with model.safetensors; pickled weights are not loaded",
        )
    absent = [name for name in _shards(model, folder) if not (folder / name).is_file()]
    if absent:
        raise ModelError(
            f"{model} is not complete: {len(absent)} files of weights are missing,"
            f" such as {absent[0]}",
            remedy=_fetch(model),
        )
    return folder


def adapter_folder(adapter: str, revision: str | None = None) -> Path:
    """The folder that holds an adapter's config and safetensors weights.

    Raises:
        ModelError: as `model_folder`.
    """
    folder = _folder(adapter, revision, adapters.CONFIG)
    if not (folder / adapters.CONFIG).is_file():
        raise ModelError(
            f"{adapter} is no adapter: it has no {adapters.CONFIG}",
            remedy="correct `adapter` in the model's encoding",
        )
    if not (folder / adapters.WEIGHTS).is_file():
        raise ModelError(
            f"the adapter {adapter} has no {adapters.WEIGHTS} here; pickled weights are not loaded",
            remedy=f"convert its pytorch_adapter.bin to {adapters.WEIGHTS} in a folder of your own"
            " (torch.load with weights_only=True, safetensors.torch.save_file), and name that"
            " folder as `adapter` in the model's encoding",
        )
    return folder


def is_here(model: str, revision: str | None = None) -> bool:
    """Whether a model's files are complete on this machine; nothing is asked of the network."""
    try:
        model_folder(model, revision)
    except ModelError:
        return False
    return True


def weights_revision(model: str, folder: Path) -> str:
    """The hub's commit for a snapshot, else `sha256:` and the checksum over the weights."""
    return _revision(model, folder, _weights(folder))


def adapter_revision(adapter: str, folder: Path) -> str:
    """As `weights_revision`, of an adapter."""
    return _revision(adapter, folder, [folder / adapters.WEIGHTS])


def _revision(model: str, folder: Path, files: list[Path]) -> str:
    if folder.parent.name == "snapshots":
        return folder.name
    digest = hashlib.sha256()
    for path in files:
        try:
            digest.update(f"{path.name}:{remembered_sha256(path)}\n".encode())
        except OSError as error:
            raise ModelError(f"{model}: {path.name} cannot be read: {error.strerror}") from error
    return f"sha256:{digest.hexdigest()}"


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def _shards(model: str, folder: Path) -> list[str]:
    """The files that the weights are cut into, as their index names them."""
    path = folder / SHARDS
    if not path.is_file() or (folder / "model.safetensors").is_file():
        return []
    try:
        places = json.loads(path.read_bytes())["weight_map"]
        return sorted({str(name) for name in places.values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{model}: its {SHARDS} is damaged", remedy=_fetch(model)) from error


def _folder(model: str, revision: str | None, config: str) -> Path:
    """The user's folder of that name, else the snapshot in the hub cache that holds `config`."""
    local = Path(model).expanduser()
    if local.is_dir():
        return local
    prepare_environment()
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    found: object = None
    with contextlib.suppress(HFValidationError):
        # Not the library's own look at a whole snapshot: that wants every file of the repository.
        found = try_to_load_from_cache(model, config, revision=revision)
    if not isinstance(found, str):
        raise ModelError(f"the model {model} is not on this machine", remedy=_fetch(model))
    return Path(found).parent


def _fetch(model: str) -> str:
    if offline():
        return f"{OFFLINE_VARIABLE} keeps the network out: unset it to fetch the model"
    return f"fetch it with: bioretrieval-tui doctor --model {model} --download"
