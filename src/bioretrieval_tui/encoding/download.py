"""Download the files of a model from the hub, only when the user has asked for it: safetensors
weights, settings and tokenizer files, all of one commit.

The hub's library discards a partial file when the connection breaks. Weights have gigabytes, so
large files are fetched here, resumed by the next call, and put into the hub cache complete and
checked. huggingface_hub is imported within functions.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from filelock import FileLock

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.documents.checksum import sha256_of
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
_BRANCH = "main"
_MB = 10**6


@dataclass(frozen=True, slots=True)
class Download:
    """A planned download. revision: the commit; files: name -> bytes; licence: as the hub names it,
    or None; gated: whether the authors' terms must be accepted first."""

    model: str
    revision: str
    files: dict[str, int]
    bytes: int
    licence: str | None
    gated: bool

    def line(self) -> str:
        """Size, licence and gate in one line, to confirm the download."""
        licence = f"licence {self.licence}" if self.licence else "no licence is stated"
        gate = ", gated: its terms must be accepted first" if self.gated else ""
        return f"{self.model}: {len(self.files)} files, {self.bytes / _MB:,.1f} MB, {licence}{gate}"


def missing_models(model: str, recipe: Encoding | None) -> tuple[str, ...]:
    """Models and adapters that `recipe` needs and that are not complete on this machine."""
    missing: dict[str, None] = {}
    for part in parts_of(model, recipe or Encoding(type="bi-encoder", grade="C")):
        for name, find in ((part.model, model_folder), (part.adapter, adapter_folder)):
            try:
                if name is not None:
                    find(name)
            except ModelError:
                missing[str(name)] = None
    return tuple(missing)


def plan_download(model: str) -> Download:
    """Ask the hub for the files of `model` on its main branch; nothing is fetched yet.

    Raises:
        ModelError: the network is forbidden or fails, there is no such model, or it has no
            safetensors weights.
    """
    with _explained(model):
        from huggingface_hub import HfApi

        found = HfApi().model_info(model, revision=_BRANCH, files_metadata=True, timeout=30)
    names = {one.rfilename: int(one.size or 0) for one in found.siblings or ()}
    files = {name: names[name] for name in _wanted(model, names)}
    card = found.card_data
    licence = card and (card.get("license_name") or card.get("license"))
    size = sum(files.values())
    return Download(
        model, str(found.sha), files, size, str(licence) if licence else None, bool(found.gated)
    )


def fetch_model(model: str, reporter: Reporter = silent, *, plan: Download | None = None) -> Path:
    """Fetch the missing files of `model` into the hub cache; returns the folder.

    Call it only when the user has agreed. plan: from `plan_download`, made here if None. `reporter`
    receives megabytes over all files, first with size and licence; what it raises stops the work,
    and the next call resumes it.

    Raises:
        ModelError: as `plan_download`; also where terms were not accepted or the disk is full.
    """
    what = plan or plan_download(model)
    done = 0

    def advance(count: int, note: str = model) -> None:
        nonlocal done
        done = min(done + count, what.bytes)
        total = -(-what.bytes // _MB)
        shown = total if done == what.bytes else done // _MB
        reporter(Progress(STAGE, shown, total, unit="MB", note=note))

    advance(0, what.line())
    with _explained(model):
        from huggingface_hub import hf_hub_download

        for name, size in sorted(what.files.items(), key=lambda one: (one[1], one[0])):
            before = done
            advance(0, f"{model} {name}")
            if size >= LARGE:
                gather(model, name, what.revision, advance)
            path = hf_hub_download(model, name, revision=what.revision, library_name=None)
            done = before
            advance(size)
        # `_wanted` names at least one file. Record the branch's commit, as the library does when it
        # fetches by branch.
        folder = Path(path).parents[len(PurePosixPath(name).parts) - 1]
        ref = folder.parents[1] / "refs" / _BRANCH
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(what.revision, encoding="utf-8")
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
    return [*weights, *(name for name in others if name in names)]


@contextlib.contextmanager
def _explained(model: str) -> Iterator[None]:
    """Raise the errors of the hub's library as ModelError."""
    if offline():
        raise ModelError(
            f"{model} is not fetched: {OFFLINE_VARIABLE} forbids the network",
            remedy="unset it, or omit --offline",
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
                said = f"{model} is gated: its authors' terms must be accepted first"
                remedy = f"accept them on https://huggingface.co/{model}, then: hf auth login"
            case errors.RepositoryNotFoundError() | errors.HFValidationError():
                said = f"the hub has no model {model}, or it is private"
                remedy = "correct its name, or: hf auth login"
            case errors.RevisionNotFoundError() | errors.EntryNotFoundError():
                said = f"the hub has no such revision or file of {model}"
                remedy = "correct the revision"
            case errors.OfflineModeIsEnabled():
                said = f"{model} is not fetched: HF_HUB_OFFLINE forbids the network"
                remedy = "unset it"
            case OSError():  # of the disk, and of the library's network calls
                said = f"{model} could not be fetched: {_reason(error)}"
                remedy = "try again: the download resumes"
            case _ if type(error).__module__.startswith("http"):  # of the library's HTTP client
                said = f"{model} could not be fetched: the hub does not respond ({_reason(error)})"
                remedy = "check the network and try again: the download resumes"
            case _:
                raise
        raise ModelError(said, remedy=remedy) from error


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


LARGE = 8 * 2**20
"""Bytes from which a file is fetched so that it can be resumed."""
_PART = 2**20


def gather(model: str, name: str, revision: str, advance: Callable[[int], None]) -> None:
    """Fetch the file `name` of a model's `revision` into the hub cache, under its content's hash.
    Files that the hub does not name by their SHA-256 are left to its library.

    advance: called with each number of new bytes, those of an earlier attempt first; what it raises
    stops the work, and the partial file is kept.

    Raises:
        ModelError: the content differs from the hub's checksum. Also what the hub's library raises.
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
