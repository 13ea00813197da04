"""Models that were trained here: a folder each, with its weights and where it comes from."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import msgspec

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Encoding, Model, Side
from bioretrieval_tui.encoding.recipe import reranking_recipe
from bioretrieval_tui.errors import BioRetrievalError, ModelError, NotFoundError, UsageError
from bioretrieval_tui.paths import file_errors, locked, places, save_file
from bioretrieval_tui.training.contamination import Overlap
from bioretrieval_tui.training.examples import InputSum
from bioretrieval_tui.training.hyperparameters import (
    ChosenSettings,
    Kind,
    Origin,
    RunSettings,
)
from bioretrieval_tui.training.training_request import TrainingRequest
from bioretrieval_tui.util.formatting import did_you_mean

FORMAT = 1
LINEAGE = "lineage.json"
OWN_TAG = "yours"
"""The tag of a model that was trained here."""
CARD = "README.md"
WORK, REQUEST, CURVE, CHECKPOINTS = "training", "request.json", "watched.json", "checkpoints"
"""The folder of an unfinished training within that of its model, and files in it."""
_RESERVED = ("lexical", "dense", "hybrid", "rerank")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class HeldOutScore(msgspec.Struct, frozen=True):
    """One look at the held-out examples: after how many steps, nDCG@10, and whether the weights
    were kept."""

    step: int
    score: float
    kept: bool = False


class TrainingCurve(msgspec.Struct, frozen=True):
    """How far a training is: steps that it takes, loss by step, what was watched, the numbers of
    weights that are trained and of all, and nDCG@10 of each held-out query in the highest look."""

    steps: int
    losses: tuple[tuple[int, float], ...] = ()
    watched: tuple[HeldOutScore, ...] = ()
    weights: tuple[int, int] = (0, 0)
    peak: tuple[float, ...] = ()

    @property
    def done(self) -> int:
        return self.losses[-1][0] if self.losses else 0

    @property
    def best(self) -> HeldOutScore | None:
        """The look whose weights were kept last."""
        kept = [one for one in self.watched if one.kept]
        return kept[-1] if kept else max(self.watched, key=lambda one: one.score, default=None)


class Fitted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A finished training: steps, seconds of this process, mean loss by step, and what was watched;
    best: the step whose weights were kept; resumed: the step that an earlier process had reached;
    trained: weights that changed, and all; planned: the steps of one that was finished early;
    batch: pairs of a step, where that is not the setting (several devices share it evenly);
    at_once: pairs that were computed at a time, where memory was short."""

    steps: int
    seconds: float
    losses: tuple[tuple[int, float], ...]
    watched: tuple[HeldOutScore, ...]
    best: int
    resumed: int
    trained: tuple[int, int]
    planned: int = 0
    batch: int = 0
    at_once: int = 0


class BenchmarkChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A benchmark before and after, in one mode: nDCG@10, the p value of the paired randomisation
    test, the number of queries, and the ids of the records."""

    benchmark: str
    split: str
    mode: str
    before: float
    after: float
    p: float
    queries: int
    records: tuple[str, str]

    @property
    def verdict(self) -> str:
        """The difference in plain words."""
        if self.p >= 0.05:
            return "no difference that chance would not make"
        return "better" if self.after > self.before else "worse"


class Lineage(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Where a model comes from.

    base, revision: what it was trained from, a hub id or folder and its revision; base_entry: the
    catalogue's entry of it; recipe: the catalogue's recipe, "" for none; encoding: how it encodes;
    settings, origins: of the training; data: a sentence; inputs: what was read; pairs, held: number
    of examples trained on and held out; skipped: records left out, by reason; negatives, teacher: a
    sentence each; examples: up to ten pairs as they were trained on; fitted: the training as it
    ran; outcomes, overlaps: of the benchmarks; hardware, versions: of machine and software; date:
    ISO 8601, UTC; licence: of the base.
    """

    format: int
    name: str
    date: str
    base: str
    revision: str
    encoding: Encoding
    settings: RunSettings
    origins: dict[str, Origin]
    data: str
    inputs: tuple[InputSum, ...]
    pairs: int
    held: int
    fitted: Fitted
    hardware: str
    versions: dict[str, str]
    base_entry: str = ""
    recipe: str = ""
    licence: str = ""
    skipped: dict[str, int] = {}
    negatives: str = ""
    teacher: str = ""
    outcomes: tuple[BenchmarkChange, ...] = ()
    overlaps: tuple[Overlap, ...] = ()

    @property
    def kind(self) -> Kind:
        """What it is used for: `--model`, or `--reranker`."""
        return "reranker" if self.encoding.type == "cross-encoder" else "retriever"

    def line(self) -> str:
        """The model and what its training changed, in one sentence."""
        curve = TrainingCurve(self.fitted.steps, watched=self.fitted.watched)
        changes = [
            f"{one.benchmark} {one.mode} {one.before:.4f} -> {one.after:.4f}, {one.verdict}"
            for one in self.outcomes
        ]
        if not changes and curve.best is not None:
            changes = [f"held-out nDCG@10 {curve.watched[0].score:.4f} -> {curve.best.score:.4f}"]
        changes += [self.caution] if self.caution else []
        return f"{self.name}: {'; '.join(changes) or 'not evaluated'}"

    @property
    def caution(self) -> str:
        """That the training changed nothing, or ""."""
        if self.fitted.best or not self.fitted.watched:
            return ""
        return (
            "no step ranked the held-out queries better than the base does, so these are the"
            " weights of the base"
        )


def models_folder() -> Path:
    """The folder of the models; it may not exist yet."""
    return places().data / "models"


def check_new_name(name: str) -> Path:
    """The folder of a model that is to be trained. Raises UsageError: the name is taken, or is not
    one."""
    if not _NAME.fullmatch(name):
        remedy = "use up to 64 lower-case letters, digits, dots, hyphens and underscores"
        raise UsageError(f"'{name}' cannot be the name of a model", remedy=remedy)
    if name in _RESERVED:
        raise UsageError(f"'{name}' is the name of a search", remedy="choose another")
    folder = models_folder() / name
    if (folder / LINEAGE).exists():
        remedy = f"choose another, or: bioretrieval-tui train remove {name}"
        raise UsageError(f"there is a model {name} already", remedy=remedy)
    return folder


def own_model(name: str) -> tuple[Path, Lineage] | None:
    """Folder and lineage of the model that was trained under a name, or None. Raises ModelError:
    its lineage is damaged."""
    if not _NAME.fullmatch(name):
        return None
    folder = models_folder() / name
    path = folder / LINEAGE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    try:
        found = msgspec.json.decode(data, type=Lineage)
    except (msgspec.DecodeError, RecursionError) as error:
        remedy = f"train it again, after: bioretrieval-tui train remove {name}"
        raise ModelError(f"{path} is damaged: {error}", remedy=remedy) from error
    return folder, msgspec.structs.replace(found, name=name)  # the folder may have been renamed


def own_models(tell: Callable[[str], None] = lambda _: None) -> list[Lineage]:
    """The lineages of all models, newest first; what is damaged is told. Raises BioRetrievalError:
    the folder cannot be read."""
    found = []
    with file_errors(f"{models_folder()} cannot be read"):
        names = sorted(path.name for path in models_folder().glob("*") if path.is_dir())
    for name in names:
        try:
            if (known := own_model(name)) is not None:
                found.append(known[1])
        except BioRetrievalError as error:
            tell(error.line())
    return sorted(found, key=lambda one: one.date, reverse=True)


def with_own_models(
    catalogue: Catalogue, tell: Callable[[str], None] = lambda _: None
) -> Catalogue:
    """The catalogue with the trainings that are not finished and the models that were trained here,
    newest first, before the others. tell: hears of damaged ones."""
    taken = catalogue.by_id.keys() - catalogue.own.keys()
    found: dict[str, Lineage | UnfinishedTraining] = {
        one.request.name: one for one in all_unfinished(tell) if one.request.name not in taken
    }
    found |= {one.name: one for one in own_models(tell) if one.name not in taken}
    if found == catalogue.own:
        return catalogue
    entries = tuple(
        _entry_of(one, catalogue) if isinstance(one, Lineage) else _begun_entry(one)
        for one in found.values()
    )
    others = tuple(one for one in catalogue.entries if one.id not in catalogue.own)
    content = msgspec.structs.replace(catalogue.content, entries=(*entries, *others))
    return catalogue.with_content(content, found)


def _begun_entry(begun: UnfinishedTraining) -> Model:
    """A training that is not finished as an entry: a model without weights."""
    request = begun.request
    return Model(
        id=request.name,
        name=f"{request.name} ({begun.state})",
        summary=f"A training of yours, {begun.state}: {begun.far}",
        sources=(),
        role=request.settings.kind or "retriever",
        base=request.base,
        licence=request.licence or None,
        tags=(OWN_TAG, "unfinished"),
    )


def _entry_of(lineage: Lineage, catalogue: Catalogue) -> Model:
    """A model as an entry, with what the catalogue says of its base."""
    from bioretrieval_tui.evaluation.published import named_benchmark

    base = catalogue.by_id.get(lineage.base_entry)
    known = {}
    if isinstance(base, Model):
        same = ("family", "dimension", "max_tokens", "architecture", "languages")
        known = {name: getattr(base, name) for name in same}
        if lineage.kind == "reranker":  # it makes no vectors, and may read less
            known |= {"dimension": None, "max_tokens": None}
    contaminated = [one.benchmark for one in lineage.overlaps if one.contaminated]
    names = [lineage.data.partition(",")[0], *(one.rpartition(" ")[0] for one in contaminated)]
    trained_on = [named_benchmark(catalogue, name) for name in names]
    return Model(
        id=lineage.name,
        name=lineage.name,
        summary=f"Your model, trained from {lineage.base} on {lineage.pairs:,} pairs:"
        f" {lineage.data}",
        sources=(),
        year=int(lineage.date[:4]),
        released=lineage.date[:10],
        role=lineage.kind,
        base=lineage.base,
        hub=(str(models_folder() / lineage.name),),
        licence=lineage.licence or None,
        params=lineage.fitted.trained[1] or None,
        relations=tuple(one for one in (lineage.recipe,) if one in catalogue.by_id),
        trained_on=tuple(dict.fromkeys(one.id for one in trained_on if one is not None)),
        encoding=nameless(lineage.encoding),
        tags=(OWN_TAG,),
        **known,
    )


def nameless(encoding: Encoding) -> Encoding:
    """How a model encodes without the names of the models that it was made from: else their runs
    would count as its own."""
    sides = {
        name: msgspec.structs.replace(side, model=None)
        for name in ("query", "document")
        if (side := getattr(encoding, name)) is not None
    }
    return msgspec.structs.replace(encoding, **sides)


def find_model(name: str) -> tuple[Path, Lineage]:
    """Folder and lineage of a model. Raises NotFoundError: there is none of this name."""
    found = own_model(name)
    begun = unfinished(name) if found is None else None
    if begun is not None:
        remedy = f"bioretrieval-tui train resume {name}, or: train finish {name}"
        if begun.runs:
            remedy = f"wait for it; bioretrieval-tui train show {name} tells how far it is"
        raise NotFoundError(f"the training of {name} is {begun.state}", remedy=remedy)
    if found is None:
        names = [one.name for one in own_models()]
        said = did_you_mean(name, names, f"there are: {', '.join(names) or 'none yet'}")
        raise NotFoundError(f"no model of yours is named {name}", remedy=said)
    return found


class UnfinishedTraining(NamedTuple):
    """A training that runs or was ended: what was asked, how far it is, the step of its last
    checkpoint (0: none), and whether a process trains it now."""

    request: TrainingRequest
    curve: TrainingCurve
    kept: int = 0
    runs: bool = False

    def line(self) -> str:
        """Name and progress: `mine (24 of 72 steps)`."""
        return f"{self.request.name} ({self.far})"

    @property
    def far(self) -> str:
        """How far it is; of one that was ended, how much of it is kept."""
        if not self.curve.steps:
            return "before its first step"
        done = max(self.curve.done, self.kept)
        kept = "" if self.runs or self.kept == done else f", {self.kept:,} of them kept"
        return f"{done:,} of {self.curve.steps:,} steps{kept}"

    @property
    def state(self) -> str:
        return "running" if self.runs else "not finished"


def unfinished(name: str) -> UnfinishedTraining | None:
    """The training of a name that is not finished, or None. Raises ModelError: its request is
    damaged."""
    folder = models_folder() / name
    work = folder / WORK
    if not _NAME.fullmatch(name) or (folder / LINEAGE).exists():
        return None
    try:
        request = msgspec.json.decode((work / REQUEST).read_bytes(), type=TrainingRequest)
    except OSError:
        return None
    except msgspec.DecodeError as error:
        remedy = f"begin again, after: bioretrieval-tui train remove {name}"
        raise ModelError(f"{work / REQUEST} is damaged: {error}", remedy=remedy) from error
    kept = last_checkpoint(work / CHECKPOINTS)
    step = int(kept.name.rpartition("-")[2]) if kept else 0
    return UnfinishedTraining(request, curve_of(work) or TrainingCurve(0), step, is_trained(name))


def all_unfinished(tell: Callable[[str], None] = lambda _: None) -> list[UnfinishedTraining]:
    """The trainings that are not finished, by name; what is damaged is told."""
    found = []
    for name in sorted(path.name for path in models_folder().glob("*") if path.is_dir()):
        try:
            if (begun := unfinished(name)) is not None:
                found.append(begun)
        except ModelError as error:
            tell(error.line())
    return found


def training_lock(name: str, said: str) -> AbstractContextManager[None]:
    """Held while a model is trained. Raises BioRetrievalError: another process trains it."""
    busy = "another process trains it"
    return locked(models_folder() / f".{name}.lock", said, busy, seconds=1)


def is_trained(name: str) -> bool:
    """Whether a process trains a model now."""
    path = models_folder() / f".{name}.lock"
    if not path.exists():
        return False
    try:
        with locked(path, "", "", seconds=0):
            return False
    except BioRetrievalError:
        return True


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written whole."""
    found = []
    for path in folder.glob("checkpoint-*"):
        number = path.name.rpartition("-")[2]
        # The trainer's state is written last.
        if number.isdigit() and (path / "trainer_state.json").is_file():
            found.append((int(number), path))
    return max(found)[1] if found else None


def curve_of(folder: Path) -> TrainingCurve | None:
    """How far the training is whose files are in `folder`; None before it began."""
    try:
        return msgspec.json.decode((folder / CURVE).read_bytes(), type=TrainingCurve)
    except (OSError, msgspec.DecodeError):
        return None


def keep_lineage(folder: Path, lineage: Lineage) -> None:
    """Write a lineage and the model card into the model's folder; the lineage, last, makes it a
    model. Raises BioRetrievalError."""
    save_file(folder / CARD, model_card(lineage).encode(), "the model card")
    data = msgspec.json.format(msgspec.json.encode(lineage), indent=1)
    save_file(folder / LINEAGE, data, "the lineage of the model")


def remove_model(name: str) -> None:
    """Remove a model, also one whose training was not finished. Raises NotFoundError."""
    folder = models_folder() / name
    if not _NAME.fullmatch(name) or not folder.is_dir():
        find_model(name)
    locking = training_lock(name, f"{name} cannot be removed")
    with locking, file_errors(f"{folder} cannot be removed"):
        (folder / LINEAGE).unlink(missing_ok=True)  # first: half a model is none
        shutil.rmtree(folder)


def export_model(name: str, to: Path) -> Path:
    """Copy a model as a folder of sentence-transformers, with its card, to `to`, which must not
    exist. Raises NotFoundError; UsageError: `to` is there; BioRetrievalError: it is not written."""
    folder, _ = find_model(name)
    if to.exists():
        raise UsageError(f"{to} is there already", remedy="name a folder that is not")
    beside = to.with_name(f".{to.name}.part")
    with file_errors(f"{to} cannot be written", remedy="free space, or choose another folder"):
        shutil.rmtree(beside, ignore_errors=True)
        left_out = shutil.ignore_patterns("training", "checkpoints", "*.part")
        shutil.copytree(folder, beside, ignore=left_out)
        beside.replace(to)
    return to


def model_card(lineage: Lineage) -> str:
    """The card of a model, in Markdown with the hub's front matter: what it is, and what was
    measured; nothing else."""
    reranks = lineage.kind == "reranker"
    facts = {
        "base_model": lineage.base, "library_name": "sentence-transformers",
        "pipeline_tag": "text-ranking" if reranks else "sentence-similarity",
        "license": lineage.licence,
    }  # fmt: skip
    front = "".join(f"{key}: {value}\n" for key, value in facts.items() if value)
    query, document = lineage.encoding.query or Side(), lineage.encoding.document or Side()
    templates = query.template or "{query}", document.template or "{title} {text}"
    about = (
        f"Trained from {lineage.base} ({lineage.revision[:12]}) on {lineage.pairs:,} pairs:"
        f" {lineage.data}. {lineage.held:,} pairs were held out. {lineage.negatives}"
        f" {lineage.teacher}"
    )
    use = (
        f"Queries are read as `{templates[0]}`, documents as `{templates[1]}`; vectors are compared"
        f" by {lineage.encoding.similarity or 'cosine'}."
        + (" The end token is appended to each." if lineage.encoding.append else "")
    )
    if reranks:
        read = reranking_recipe(lineage.name, lineage.encoding).texts()
        use = (
            f"A cross-encoder: it reads `{read[0]}` and `{read[1]}` as a pair and gives a raw"
            " score, higher for a better answer. Scores of one query can be compared."
        )
    settings = ChosenSettings(lineage.settings, lineage.origins).lines()
    scores = [
        (f"{one.benchmark} {one.split}", one.mode, f"{one.before:.4f}", f"{one.after:.4f}",
         f"{one.p:.3g}", one.verdict)
        for one in lineage.outcomes
    ]  # fmt: skip
    versions = ", ".join(f"{name} {version}" for name, version in lineage.versions.items())
    minutes = lineage.fitted.seconds / 60
    made = f"{lineage.date}, {lineage.hardware}, {minutes:.1f} minutes, {versions}"
    head = ("benchmark", "mode", "nDCG@10 before", "after", "p", "")
    parts = [
        f"---\n{front}---", f"# {lineage.name}", about.rstrip(), "## Use", use,
        f"Note: {lineage.caution}." if lineage.caution else "",
        "## Settings", _table(("setting", "value", "from"), settings), "## Benchmarks",
        _table(head, scores) if scores else "It was not evaluated.",
        "\n".join(f"- {one.line()}" for one in lineage.overlaps),
        "## Provenance", made,
        "\n".join(f"- {one.path}: SHA-256 {one.sha256}" for one in lineage.inputs),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
