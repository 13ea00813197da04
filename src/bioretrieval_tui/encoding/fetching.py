"""Getting a model's files from the hub, when the user has asked for it and never otherwise.

Only what is needed is fetched: safetensors weights, settings and tokenizer files, all of one
commit. What a broken connection left is continued. huggingface_hub is imported within functions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

from bioretrieval_tui.catalog.models import Encoding
from bioretrieval_tui.encoding import adapters
from bioretrieval_tui.encoding.device import OFFLINE_VARIABLE, offline, prepare_environment
from bioretrieval_tui.encoding.hub import COMPANIONS, SHARDS, adapter_folder, model_folder
from bioretrieval_tui.encoding.recipe import parts_of
from bioretrieval_tui.encoding.resuming import LARGE, gather
from bioretrieval_tui.errors import ModelError
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
            path = hf_hub_download(
                model, name, revision=what.revision, tqdm_class=_bar(told), library_name=None
            )
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
        self._part = 0
        self._tell(f"{self._what.model} {name}")

    def add(self, count: int) -> None:
        self._part += count
        self._tell(self._what.model)

    def end(self, name: str) -> None:
        # A file that was here already moved no bar.
        self._whole += self._what.files[name]
        self._part = 0
        self._tell(self._what.model)

    def _tell(self, note: str) -> None:
        total = -(-self._what.bytes // _MB)
        done = min(self._whole + self._part, self._what.bytes)
        shown = total if done == self._what.bytes else done // _MB
        self._reporter(Progress(STAGE, shown, total, unit="MB", note=note))


def _bar(told: _Told) -> Any:
    """What the hub's library takes for its bar: one that draws nothing and tells `told`."""

    class Bar:
        def __init__(self, *_: Any, initial: int = 0, **__: Any) -> None:
            if initial:
                told.add(int(initial))

        def update(self, count: float | None = 1) -> None:
            told.add(int(count or 0))

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def __getattr__(self, _: str) -> Any:
            return lambda *__, **___: None

    return Bar


def _wanted(model: str, names: dict[str, int]) -> list[str]:
    """The files to fetch. Raises ModelError where there are no weights that may be loaded."""
    if "model.safetensors" in names:
        weights = ["model.safetensors"]
    elif adapters.WEIGHTS in names:
        weights = [adapters.WEIGHTS]
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
    except errors.GatedRepoError as error:
        raise ModelError(
            f"{model} is gated: its authors want their terms accepted first",
            remedy=f"accept them on https://huggingface.co/{model}, then: hf auth login",
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise ModelError(
            f"the hub has no model {model}, or shows it only to some",
            remedy="correct its name, or: hf auth login",
        ) from error
    except (errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        raise ModelError(
            f"the hub has no such revision or file of {model}", remedy="correct the revision"
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise ModelError(
            f"{model} is not fetched: HF_HUB_OFFLINE keeps the network out", remedy="unset it"
        ) from error
    except OSError as error:
        # The library's errors of the network are OSErrors, as those of a disk are.
        raise ModelError(
            f"{model} could not be fetched: {_reason(error)}",
            remedy="try again: what has come is kept, and the rest follows",
        ) from error
    except Exception as error:
        # Which HTTP client the library brings along is its own affair; all are called so.
        if not type(error).__module__.startswith("http"):
            raise
        raise ModelError(
            f"{model} could not be fetched: the hub does not answer ({_reason(error)})",
            remedy="look at the network and try again: what has come is kept",
        ) from error


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
