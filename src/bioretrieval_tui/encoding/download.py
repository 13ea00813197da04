"""Download the files of a model from the hub, when the user has asked for it and never otherwise.

Only what is needed is fetched: safetensors weights, settings and tokenizer files, all of one
commit. The hub's library discards a partial file when the connection breaks; weights have
gigabytes, so large files are gathered here, continued by the next call, and put into the hub cache
complete and checked. huggingface_hub is imported within functions.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from filelock import FileLock

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.encoding.device import OFFLINE_VARIABLE, offline, prepare_environment
from bioretrieval_tui.encoding.model_files import (
    ADAPTER_WEIGHTS,
    COMPANIONS,
    SHARDS,
    adapter_folder,
    model_folder,
)
from bioretrieval_tui.encoding.recipe import parts_of
from bioretrieval_tui.errors import BioRetrievalError, ModelError
from bioretrieval_tui.progress import Progress, Reporter, silent

STAGE = "downloading"
_MB = 10**6


@dataclass(frozen=True, slots=True)
class Download:
    """What would be fetched.

    revision: the commit; files: name -> bytes; licence: as the hub names it, or None; gated:
    whether its authors want their terms accepted first; branch: what was asked for.
    """

    model: str
    revision: str
    files: dict[str, int]
    licence: str | None
    gated: bool
    branch: str = "main"

    @property
    def bytes(self) -> int:
        """All files together."""
        return sum(self.files.values())

    def line(self) -> str:
        """What a user must know before saying yes, in one line."""
        licence = f"licence {self.licence}" if self.licence else "no licence is stated"
        gate = ", gated: its terms must be accepted first" if self.gated else ""
        return f"{self.model}: {len(self.files)} files, {self.bytes / _MB:,.1f} MB, {licence}{gate}"


def missing_models(model: str, recipe: Encoding | None) -> tuple[str, ...]:
    """Models and adapters that `recipe` needs and that are not complete on this machine."""
    needed: list[tuple[str, Callable[[str], Path]]] = []
    for part in parts_of(model, recipe or Encoding(type="bi-encoder", grade="C")):
        needed.append((part.model, model_folder))
        if part.adapter is not None:
            needed.append((part.adapter, adapter_folder))
    missing = []
    for name, find in needed:
        try:
            find(name)
        except ModelError:
            missing.append(name)
    return tuple(dict.fromkeys(missing))


def plan_download(model: str, revision: str | None = None) -> Download:
    """Ask the hub what `model` consists of; nothing is fetched yet.

    revision: a commit or a branch; the main branch if not said.

    Raises:
        ModelError: the network is kept out or fails, there is no such model, or it has no
            safetensors weights.
    """
    branch = revision or "main"
    with _explained(model):
        from huggingface_hub import HfApi

        found = HfApi().model_info(model, revision=branch, files_metadata=True, timeout=30)
    names = {one.rfilename: int(one.size or 0) for one in found.siblings or ()}
    wanted = _wanted(model, names)
    card = found.card_data
    licence = None if card is None else card.get("license_name") or card.get("license")
    return Download(
        model,
        str(found.sha),
        {name: names[name] for name in wanted},
        str(licence) if licence else None,
        bool(found.gated),
        branch,
    )


def fetch_model(
    model: str,
    revision: str | None = None,
    reporter: Reporter = silent,
    *,
    plan: Download | None = None,
) -> Path:
    """Fetch what is not here yet of `model` into the hub cache; returns the folder.

    Call it only when the user has agreed. plan: what `plan_download` gave, which is asked for
    otherwise. `reporter` hears of megabytes, first of all what will come and under which licence;
    what it raises stops the work, and the next call continues.

    Raises:
        ModelError: as `plan_download`, or its terms were not accepted, or the disk is full.
    """
    what = plan or plan_download(model, revision)
    told = _Told(what, reporter)
    folder: Path | None = None
    with _explained(model):
        from huggingface_hub import hf_hub_download

        for name in sorted(what.files, key=lambda one: (what.files[one], one)):
            told.begin(name)
            if what.files[name] >= LARGE:
                gather(model, name, what.revision, told.add)
            path = hf_hub_download(model, name, revision=what.revision, library_name=None)
            folder = Path(path).parents[len(PurePosixPath(name).parts) - 1]
            told.end(name)
        if folder is not None and what.branch != what.revision:
            _name_branch(folder, what)
    if folder is None:
        raise ModelError(f"there is nothing to fetch of {model}")
    return folder


class _Told:
    """Bytes so far over all files, told as megabytes."""

    def __init__(self, what: Download, reporter: Reporter) -> None:
        self._what = what
        self._reporter = reporter
        self._whole = 0
        self._part = 0
        self._tell(what.line())

    def begin(self, name: str) -> None:
        self._tell(f"{self._what.model} {name}")

    def add(self, count: int) -> None:
        self._part += count
        self._tell(self._what.model)

    def end(self, name: str) -> None:
        self._whole += self._what.files[name]
        self._part = 0
        self._tell(self._what.model)

    def _tell(self, note: str) -> None:
        total = -(-self._what.bytes // _MB)
        done = min(self._whole + self._part, self._what.bytes)
        shown = total if done == self._what.bytes else done // _MB
        self._reporter(Progress(STAGE, shown, total, unit="MB", note=note))


def _wanted(model: str, names: dict[str, int]) -> list[str]:
    """The files to fetch. Raises ModelError where there are no weights that may be loaded."""
    if "model.safetensors" in names:
        weights = ["model.safetensors"]
    elif ADAPTER_WEIGHTS in names:
        weights = [ADAPTER_WEIGHTS]
    else:
        weights = sorted(
            name for name in names if name.startswith("model-") and name.endswith(".safetensors")
        )
        weights += [SHARDS] if SHARDS in names else []
    if not any(name.endswith(".safetensors") for name in weights):
        raise ModelError(
            f"{model} has no safetensors weights on the hub, and pickled ones are not loaded",
            remedy="look for a revision or a converted copy that has model.safetensors",
        )
    return [*weights, *(name for name in COMPANIONS if name in names)]


def _name_branch(folder: Path, what: Download) -> None:
    """Write down which commit the branch is, as the library does when it fetches by branch."""
    ref = folder.parents[1] / "refs" / what.branch
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text(what.revision, encoding="utf-8")


@contextlib.contextmanager
def _explained(model: str) -> Iterator[None]:
    """Say in our words what the hub's library raises. Raises ModelError."""
    if offline():
        raise ModelError(
            f"{model} is not fetched: {OFFLINE_VARIABLE} keeps the network out",
            remedy="unset it, or leave --offline away",
        )
    prepare_environment()
    from huggingface_hub import errors

    try:
        yield
    except Exception as error:
        match error:
            case BioRetrievalError():
                raise
            case errors.GatedRepoError():
                said = f"{model} is gated: its authors want their terms accepted first"
                remedy = f"accept them on https://huggingface.co/{model}, then: hf auth login"
            case errors.RepositoryNotFoundError() | errors.HFValidationError():
                said = f"the hub has no model {model}, or shows it only to some"
                remedy = "correct its name, or: hf auth login"
            case errors.RevisionNotFoundError() | errors.EntryNotFoundError():
                said = f"the hub has no such revision or file of {model}"
                remedy = "correct the revision"
            case errors.OfflineModeIsEnabled():
                said = f"{model} is not fetched: HF_HUB_OFFLINE keeps the network out"
                remedy = "unset it"
            case OSError():  # the library's errors of the network are so, as those of a disk are
                said = f"{model} could not be fetched: {_reason(error)}"
                remedy = "try again: what has come is kept, and the rest follows"
            case _ if type(error).__module__.startswith("http"):
                # Which HTTP client the library brings along is its own affair.
                said = f"{model} could not be fetched: the hub does not answer ({_reason(error)})"
                remedy = "look at the network and try again: what has come is kept"
            case _:
                raise
        raise ModelError(said, remedy=remedy) from error


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


LARGE = 8 * 2**20
"""Bytes from which on a file is worth continuing."""
_PART = 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def gather(model: str, name: str, revision: str, told: Callable[[int], None]) -> None:
    """Have the file `name` of a model's `revision` in the hub cache, by its content.

    told: hears how many more bytes there are, those of an earlier attempt first; what it raises
    stops the work, and what has come is kept. Files that the hub does not name by their SHA-256
    are left to its library.

    Raises:
        ModelError: what came is not what the hub announced. Whatever the hub's library raises.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import repo_folder_name

    url = hf_hub_url(model, name, revision=revision)
    facts = get_hf_file_metadata(url)
    if facts.etag is None or not _SHA256.fullmatch(facts.etag):
        return
    blobs = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model, repo_type="model")
    place = blobs / "blobs" / facts.etag
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{facts.etag}.bioretrieval.part")
    with FileLock(part.with_suffix(".lock")):
        if not place.exists():
            _continue(facts.location, url, part, told)
            _check(model, name, part, facts.etag)
            part.replace(place)
    with contextlib.suppress(OSError):
        part.with_suffix(".lock").unlink()


def _continue(location: str, url: str, part: Path, told: Callable[[int], None]) -> None:
    """Append to `part` what it lacks of the file at `location`, where `url` leads."""
    from huggingface_hub import get_session, hf_raise_for_status
    from huggingface_hub.utils._headers import build_hf_headers

    headers = build_hf_headers()
    if urlsplit(location).netloc != urlsplit(url).netloc:
        # The token is for the hub, not for whoever keeps its files.
        headers.pop("authorization", None)
    have = part.stat().st_size if part.exists() else 0
    if have:
        headers["Range"] = f"bytes={have}-"
    with get_session().stream(
        "GET", location, headers=headers, follow_redirects=True, timeout=60
    ) as answer:
        if answer.status_code == 416:
            # There is nothing behind what we have: it is complete, or it is not this file.
            told(have)
            return
        hf_raise_for_status(answer)
        if answer.status_code != 206:
            have = 0
        told(have)
        with part.open("r+b" if have else "wb") as out:
            out.seek(have)
            for data in answer.iter_bytes(_PART):
                out.write(data)
                told(len(data))


def _check(model: str, name: str, part: Path, expected: str) -> None:
    digest = hashlib.sha256()
    with part.open("rb") as stream:
        while data := stream.read(_PART):
            digest.update(data)
    if digest.hexdigest() != expected:
        part.unlink()
        raise ModelError(
            f"{model}: {name} came damaged (its SHA-256 is not the hub's)",
            remedy="fetch it again",
        )
