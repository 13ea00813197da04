"""The files of a model: a user's folder or a snapshot in the local hub cache, complete, of the
requested revision, with safetensors weights only, since a pickle runs code.

Nothing is downloaded here; see `download`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bioretrieval_tui.documents.checksum import remembered_sha256
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.device import OFFLINE_VARIABLE, offline, prepare_environment
from bioretrieval_tui.encoding.recipe import ModelPart
from bioretrieval_tui.errors import ModelError

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter.safetensors"
SHARDS = "model.safetensors.index.json"
"""Names the file of each weight where they are split into several files."""
COMPANIONS = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "tokenizer.model",
    "sentencepiece.bpe.model", "modules.json", "sentence_bert_config.json",
    "config_sentence_transformers.json", "1_Pooling/config.json", ADAPTER_CONFIG,
)  # fmt: skip
"""Files that a model needs besides its weights, where its repository has them."""
JOIN = "+"
"""Joins the revisions of the parts of one encoder: base and adapter, query and document."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of a model. revision: of the weights, then JOIN and the adapter's, if any."""

    folder: Path
    revision: str
    adapter: Path | None = None


def files_of(part: ModelPart, revision: str | None = None) -> ModelFiles:
    """Find and check the files of one model. Raises ModelError where one is missing or altered, or
    they are not of `revision`."""
    if part.adapter is None and part.model == embedded.MODEL_ID:
        found = ModelFiles(embedded.verify(), embedded.REVISION)
    elif part.adapter is None:
        folder = model_folder(part.model, revision)
        found = ModelFiles(folder, revision_of(part.model, folder))
    else:
        of_base, _, of_adapter = (revision or "").partition(JOIN)
        folder = model_folder(part.model, of_base or None)
        adapter = adapter_folder(part.adapter, of_adapter or None)
        base = revision_of(part.model, folder)
        both = f"{base}{JOIN}{revision_of(part.adapter, adapter, ADAPTER_WEIGHTS)}"
        found = ModelFiles(folder, both, adapter)
    if revision is not None and revision != found.revision:
        raise ModelError(
            f"{part.model} is here in revision {found.revision[:19]}, not {revision[:19]}",
            remedy="build the index again with the model that is here",
        )
    return found


def model_folder(model: str, revision: str | None = None) -> Path:
    """The folder that holds `model`'s config, tokenizer and safetensors weights.

    Raises:
        ModelError: it is neither a folder nor in the hub cache, or has no safetensors weights.
    """
    folder = _folder(model, revision, "config.json")
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{model} is no model folder: it has no config.json",
            remedy="name a folder saved by transformers",
        )
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{model} has no safetensors weights here",
            remedy="get a revision with model.safetensors; pickled weights are not loaded",
        )
    if (folder / SHARDS).is_file() and not (folder / "model.safetensors").is_file():
        try:
            places = json.loads((folder / SHARDS).read_bytes())["weight_map"]
            absent = {name for name in places.values() if not (folder / name).is_file()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(f"{model}: its {SHARDS} is damaged", remedy=_fetch(model)) from error
        if absent:
            raise ModelError(
                f"{model} is not complete: {len(absent)} files of weights are missing,"
                f" such as {min(absent)}",
                remedy=_fetch(model),
            )
    return folder


def adapter_folder(adapter: str, revision: str | None = None) -> Path:
    """The folder that holds an adapter's config and safetensors weights. Raises as
    `model_folder`."""
    folder = _folder(adapter, revision, ADAPTER_CONFIG)
    if not (folder / ADAPTER_CONFIG).is_file():
        raise ModelError(
            f"{adapter} is no adapter: it has no {ADAPTER_CONFIG}",
            remedy="correct `adapter` in the model's encoding",
        )
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise ModelError(
            f"the adapter {adapter} has no {ADAPTER_WEIGHTS} here; pickled weights are not loaded",
            remedy=f"convert its pytorch_adapter.bin to {ADAPTER_WEIGHTS} in a folder of your own"
            " (torch.load with weights_only=True, safetensors.torch.save_file), and name that"
            " folder as `adapter` in the model's encoding",
        )
    return folder


def revision_of(model: str, folder: Path, weights: str = "*.safetensors") -> str:
    """The hub's commit for a snapshot, else `sha256:` and the checksum over the weights. Raises
    ModelError where a file cannot be read."""
    if folder.parent.name == "snapshots":
        return folder.name
    digest = hashlib.sha256()
    for path in sorted(folder.glob(weights)):
        try:
            digest.update(f"{path.name}:{remembered_sha256(path)}\n".encode())
        except OSError as error:
            raise ModelError(f"{model}: {path.name} cannot be read: {error.strerror}") from error
    return f"sha256:{digest.hexdigest()}"


def _folder(model: str, revision: str | None, config: str) -> Path:
    """The user's folder of that name, else the hub cache's snapshot with the file `config`."""
    local = Path(model).expanduser()
    if local.is_dir():
        return local
    prepare_environment()
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    found: object = None
    with contextlib.suppress(HFValidationError):
        # The library's check of a whole snapshot requires every file of the repository.
        found = try_to_load_from_cache(model, config, revision=revision)
    if not isinstance(found, str):
        raise ModelError(f"the model {model} is not on this machine", remedy=_fetch(model))
    return Path(found).parent


def _fetch(model: str) -> str:
    if offline():
        return f"{OFFLINE_VARIABLE} forbids the network: unset it to fetch the model"
    return f"fetch it with: bioretrieval-tui doctor --model {model} --download"


def weight_names(folder: Path) -> set[str]:
    """Names of all weights in a model folder, from the headers of its safetensors files. Raises
    ModelError where one cannot be read or is another kind of file."""
    from safetensors import SafetensorError, safe_open

    names: set[str] = set()
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="np") as weights:
                names.update(weights.keys())
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"{path} is not a safetensors file: {error}",
                remedy="remove the file and fetch the model again",
            ) from error
    return names


def missing_weights(folder: Path, wanted: Iterable[str]) -> list[str]:
    """Those of `wanted` that no file of the folder has under any prefix.

    A pooler does not count: no recipe uses one, and many files omit it.
    """
    # Names of a layer norm's parts in the first BERT files; transformers renames them.
    renamed = {"gamma": "weight", "beta": "bias"}
    tails = set()
    for name in weight_names(folder):
        parts = name.split(".")
        parts[-1] = renamed.get(parts[-1], parts[-1])
        tails |= {".".join(parts[start:]) for start in range(min(4, len(parts)))}
    return [name for name in wanted if name not in tails and "pooler" not in name.split(".")]
