"""The files of a model: a user's folder or a snapshot in the local hub cache, complete, of the
requested revision, with safetensors weights only, since a pickle runs code; and their download from
the hub, only when the user has asked for it.

The hub's library discards a partial file when the connection breaks. Weights have gigabytes, so
large files are fetched here, resumed by the next call, and put into the hub cache complete and
checked. huggingface_hub is imported within functions.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from msgspec import Struct

from bioretrieval_tui.catalog.models import Encoding, Model
from bioretrieval_tui.config import offline_origin
from bioretrieval_tui.documents.checksum import remembered_sha256, sha256_of
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.device import offline, prepare_environment
from bioretrieval_tui.encoding.recipe import MOST_SETTINGS, ModelPart, parts_of
from bioretrieval_tui.errors import BioRetrievalError, ModelError
from bioretrieval_tui.progress import Progress, Reporter, silent

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
_MODULE_FILE = re.compile(r"\d+_\w+/(?:config\.json|model\.safetensors)")
"""A file of a further module, such as `2_Dense`."""
_PICKLES = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth")
_SETTINGS = (".jinja", ".json", ".model", ".txt")
"""Of files that are read whole."""
JOIN = "+"
"""Joins the revisions of the parts of one encoder: base and adapter, query and document."""


class ModelFiles(Struct, frozen=True):
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
    """The folder that holds `model`'s config, tokenizer and safetensors weights. Raises ModelError
    where it is neither a folder nor in the hub cache, or has no safetensors weights."""
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
    _check_files(model, folder)
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
    _check_files(adapter, folder)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise ModelError(
            f"the adapter {adapter} has no {ADAPTER_WEIGHTS} here; pickled weights are not loaded",
            remedy=f"convert its pytorch_adapter.bin to {ADAPTER_WEIGHTS} in a folder of your own"
            " (torch.load with weights_only=True, safetensors.torch.save_file), and name that"
            " folder as `adapter` in the model's encoding",
        )
    return folder


def _check_files(model: str, folder: Path) -> None:
    """Check what a library may read of a model: its own folder and those of its modules. Raises
    ModelError for a file that is not a regular one, since reading a fifo or a device may never end;
    for settings that are too large; and for pickled weights that would be loaded."""
    try:
        paths, parts = sorted(folder.iterdir()), _module_folders(model, folder)
        for part in parts:
            paths += sorted(part.rglob("*"))
        for path in paths:
            name = path.relative_to(folder)
            if not path.exists():
                continue  # a link to nothing: the file is missing
            if not (path.is_file() or path.is_dir()):
                raise ModelError(f"{model}: {name} is not a regular file", remedy="remove it")
            if path.suffix in _SETTINGS and path.stat().st_size > MOST_SETTINGS:
                said = f"{name} has more than {MOST_SETTINGS:,} bytes"
                raise ModelError(f"{model}: {said}", remedy="get its files again")
    except OSError as error:
        raise ModelError(f"{model}: {folder} cannot be read: {error.strerror}") from error
    for path in paths:
        # What a library reads where the other is missing. Others at the top are not read at all.
        beside = "adapter_model" if path.name == "adapter_model.bin" else "model"
        read = path.parent != folder or path.name in ("adapter_model.bin", "pytorch_model.bin")
        if (
            read
            and path.suffix in _PICKLES
            and not (path.parent / f"{beside}.safetensors").is_file()
        ):
            raise ModelError(
                f"{model}: {path.relative_to(folder)} holds pickled weights, which are not loaded",
                remedy=f"get a revision that has {beside}.safetensors beside it",
            )


def _module_folders(model: str, folder: Path) -> list[Path]:
    """The folders of a sentence-transformers model's modules, without the model's own."""
    if not (folder / "modules.json").is_file():
        return []
    try:
        parts = json.loads((folder / "modules.json").read_bytes())
        paths = [PurePosixPath(part["path"]) for part in parts]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{model}: its modules.json is damaged", remedy=_fetch(model)) from error
    if any(path.is_absolute() or ".." in path.parts for path in paths):
        raise ModelError(f"{model}: its modules.json names a folder outside of the model")
    return [folder / path for path in paths if path.parts]


def revision_of(model: str, folder: Path, weights: str = "*.safetensors") -> str:
    """The hub's commit for a snapshot, else `sha256:` and the checksum over the weights. Raises
    ModelError where a file cannot be read."""
    if folder.parent.name == "snapshots":
        return folder.name
    digest = hashlib.sha256()
    for path in sorted([*folder.glob(weights), *folder.glob(f"[0-9]*_*/{weights}")]):
        name = path.relative_to(folder).as_posix()
        try:
            digest.update(f"{name}:{remembered_sha256(path)}\n".encode())
        except OSError as error:
            raise ModelError(f"{model}: {name} cannot be read: {error.strerror}") from error
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
        return f"{offline_origin()} forbids the network: unset it to fetch the model"
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
    """Those of `wanted` that no file of the folder has under any prefix. A pooler does not count:
    no recipe uses one, and many files omit it."""
    # Names of a layer norm's parts in the first BERT files; transformers renames them.
    renamed = {"gamma": "weight", "beta": "bias"}
    tails = set()
    for name in weight_names(folder):
        parts = name.split(".")
        parts[-1] = renamed.get(parts[-1], parts[-1])
        tails |= {".".join(parts[start:]) for start in range(min(4, len(parts)))}
    return [name for name in wanted if name not in tails and "pooler" not in name.split(".")]


# From the hub -----------------------------------------------------------------------------------

STAGE = "downloading"
_BRANCH = "main"
_MB = 10**6


class Download(Struct, frozen=True):
    """A planned download. revision: the commit; files: name -> bytes; licence: as the hub names it,
    or None; gated: whether the authors' terms must be accepted first."""

    model: str
    revision: str
    files: dict[str, int]
    bytes: int
    licence: str | None
    gated: bool

    def line(self) -> str:
        licence = f"licence {self.licence}" if self.licence else "no licence is stated"
        gate = ", gated: its terms must be accepted first" if self.gated else ""
        return f"{self.model}: {len(self.files)} files, {self.bytes / _MB:,.1f} MB, {licence}{gate}"


def missing_models(model: str, recipe: Encoding | None) -> tuple[str, ...]:
    """Models and adapters that `recipe` needs and that are not complete on this machine."""
    missing: dict[str, None] = {}
    for name, find in _needed(model, recipe):
        try:
            find(name)
        except ModelError:
            if not Path(name).expanduser().is_dir():  # a user's folder is not fetched
                missing[name] = None
    return tuple(missing)


def require_models(model: str, recipe: Encoding | None) -> None:
    """Raise ModelError, with the remedy, for the first model or adapter that `recipe` needs and
    that is not complete on this machine."""
    for name, find in _needed(model, recipe):
        find(name)


def _needed(model: str, recipe: Encoding | None) -> Iterator[tuple[str, Callable[[str], Path]]]:
    """The models and adapters of a recipe, each with what finds its folder; not the one that comes
    with the app."""
    for part in parts_of(model, recipe or Encoding(type="bi-encoder", grade="C")):
        if part.adapter is None and part.model == embedded.MODEL_ID:
            continue
        yield part.model, model_folder
        if part.adapter is not None:
            yield part.adapter, adapter_folder


def entry_is_here(entry: Model) -> bool:
    """Whether the files of a model of the catalogue are complete on this machine."""
    if embedded.MODEL_ID in entry.hub:
        return True
    return entry.weights is not None and not missing_models(entry.weights, entry.encoding)


def plan_download(model: str) -> Download:
    """Ask the hub for the files of `model` on its main branch; nothing is fetched yet. Raises
    ModelError where the network is forbidden or fails, or there are no such safetensors weights."""
    with _explained(model):
        from huggingface_hub import HfApi

        found = HfApi().model_info(model, revision=_BRANCH, files_metadata=True, timeout=30)
    names = {one.rfilename: int(one.size or 0) for one in found.siblings or ()}
    files = {name: names[name] for name in _wanted(model, names)}
    card = found.card_data
    licence = card and (card.get("license_name") or card.get("license"))
    licence = str(licence) if licence else None
    size, gated = sum(files.values()), bool(found.gated)
    return Download(model, str(found.sha), files, size, licence, gated)


def fetch_needed(
    model: str,
    recipe: Encoding | None,
    reporter: Reporter = silent,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Fetch what `recipe` needs and this machine lacks; `tell` receives size and licence. Raises
    ModelError as `fetch_model`."""
    for name in missing_models(model, recipe):
        plan = plan_download(name)
        tell(plan.line())
        fetch_model(plan, reporter)


def fetch_model(plan: Download, reporter: Reporter = silent) -> Path:
    """Fetch the missing files of a plan into the hub cache; returns the folder. Call it only when
    the user has agreed. `reporter` receives megabytes over all files, first with size and licence;
    what it raises stops the work, and the next call resumes it. Raises ModelError as
    `plan_download`, and where terms were not accepted or the disk is full."""
    model, done = plan.model, 0

    def advance(count: int, note: str = model) -> None:
        nonlocal done
        done = min(done + count, plan.bytes)
        total = -(-plan.bytes // _MB)
        shown = total if done == plan.bytes else done // _MB
        reporter(Progress(STAGE, shown, total, unit="MB", note=note))

    advance(0, plan.line())
    with _explained(model):
        from huggingface_hub import hf_hub_download

        for name, size in sorted(plan.files.items(), key=lambda one: (one[1], one[0])):
            before = done
            advance(0, f"{model} {name}")
            if size >= LARGE:
                gather(model, name, plan.revision, advance)
            path = hf_hub_download(model, name, revision=plan.revision, library_name=None)
            done = before
            advance(size)
        # `_wanted` names at least one file. Record the branch's commit, as the library does when it
        # fetches by branch.
        folder = Path(path).parents[len(PurePosixPath(name).parts) - 1]
        ref = folder.parents[1] / "refs" / _BRANCH
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(plan.revision, encoding="utf-8")
    return folder


def _wanted(model: str, names: dict[str, int]) -> list[str]:
    """The files to fetch. Raises ModelError where there are no weights that may be loaded."""
    shards = [name for name in names if re.fullmatch(r"model-.*\.safetensors", name)]
    whole = [name for name in ("model.safetensors", ADAPTER_WEIGHTS) if name in names]
    weights = whole[:1] or shards
    if not weights:
        raise ModelError(
            f"{model} has no safetensors weights on the hub, and pickled ones are not loaded",
            remedy="look for a revision or a converted copy that has model.safetensors",
        )
    others = COMPANIONS if whole else (SHARDS, *COMPANIONS)
    modules = filter(_MODULE_FILE.fullmatch, names)
    return [*dict.fromkeys([*weights, *(name for name in others if name in names), *modules])]


@contextlib.contextmanager
def _explained(model: str) -> Iterator[None]:
    """Raise the errors of the hub's library as ModelError."""
    if offline():
        raise ModelError(
            f"{model} is not fetched: {offline_origin()} forbids the network",
            remedy="unset it, or omit --offline",
        )
    prepare_environment()
    from huggingface_hub import errors

    try:
        yield
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        match error:
            case BioRetrievalError():
                raise
            case errors.GatedRepoError():
                said = f"{model} is gated: its authors' terms must be accepted first"
                remedy = f"accept them on https://huggingface.co/{model}, then: hf auth login"
            case errors.RepositoryNotFoundError() | errors.HFValidationError():
                said = f"the hub has no model {model}, or it is private"
                remedy = "correct its name, or: hf auth login"
            case errors.OfflineModeIsEnabled():
                said = f"{model} is not fetched: HF_HUB_OFFLINE forbids the network"
                remedy = "unset it"
            case OSError():  # of the disk, and of the library's network calls
                said = f"{model} could not be fetched: {reason}"
                remedy = "try again: the download resumes"
            case _ if type(error).__module__.startswith("http"):  # of the library's HTTP client
                why = f"offline, or the hub does not respond ({reason})"
                said = f"{model} could not be fetched: {why}"
                remedy = "connect, or set HTTPS_PROXY, and try again"
            case _:
                raise
        raise ModelError(said, remedy=remedy) from error


LARGE = 8 * 2**20
"""Bytes from which a file is fetched so that it can be resumed."""
_PART = 2**20


def gather(model: str, name: str, revision: str, advance: Callable[[int], None]) -> None:
    """Fetch the file `name` of a model's `revision` into the hub cache, under its content's hash.
    Files that the hub does not name by their SHA-256 are left to its library, whose errors are
    raised; ModelError where the content differs from the hub's checksum.

    advance: called with each number of new bytes, those of an earlier attempt first; what it raises
    stops the work, and the partial file is kept.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import repo_folder_name

    url = hf_hub_url(model, name, revision=revision)
    facts = get_hf_file_metadata(url)
    etag = facts.etag or ""
    if not re.fullmatch(r"[0-9a-f]{64}", etag):
        return
    blobs = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model, repo_type="model")
    place = blobs / "blobs" / etag
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{etag}.bioretrieval.part")
    from filelock import FileLock

    with FileLock(part.with_suffix(".lock")):
        if not place.exists():
            _resume(facts.location, url, part, advance)
            if sha256_of(part) != etag:
                part.unlink()
                raise ModelError(
                    f"{model}: {name} arrived damaged (its SHA-256 is not the hub's)",
                    remedy="fetch it again",
                )
            part.replace(place)
    with contextlib.suppress(OSError):
        part.with_suffix(".lock").unlink()


def _resume(location: str, url: str, part: Path, advance: Callable[[int], None]) -> None:
    """Append to `part` the rest of the file at `location`, to which `url` redirects."""
    from huggingface_hub import get_session, hf_raise_for_status
    from huggingface_hub.utils._headers import build_hf_headers

    headers = build_hf_headers()
    if urlsplit(location).netloc != urlsplit(url).netloc:
        # The token is for the hub, not for its storage provider.
        headers.pop("authorization", None)
    have = part.stat().st_size if part.exists() else 0
    if have:
        headers["Range"] = f"bytes={have}-"
    with get_session().stream(
        "GET", location, headers=headers, follow_redirects=True, timeout=60
    ) as response:
        if response.status_code == 416:
            # The partial file is complete, or is not this file: the checksum decides.
            advance(have)
            return
        hf_raise_for_status(response)
        if response.status_code != 206:
            have = 0
        advance(have)
        with part.open("r+b" if have else "wb") as out:
            out.seek(have)
            for data in response.iter_bytes(_PART):
                out.write(data)
                advance(len(data))
