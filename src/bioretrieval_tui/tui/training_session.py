"""What can be trained here, without a widget: what there is to train on, the recipes that run, and
the request that a choice of them makes."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from bioretrieval_tui import api
from bioretrieval_tui.backend.protocol import TrainJob
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark, Encoding, PairKind, Recipe
from bioretrieval_tui.encoding.embedded import MODEL_ID
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.evaluation.benchmark import find_parts
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.index.registry import index_names
from bioretrieval_tui.online.archives import benchmark_folder
from bioretrieval_tui.training.hyperparameters import choose
from bioretrieval_tui.training.own_models import models_folder
from bioretrieval_tui.training.training_request import base_of, request_of
from bioretrieval_tui.tui.evaluation_session import MachineFacts, benchmark_at
from bioretrieval_tui.tui.folders import short
from bioretrieval_tui.tui.index_session import ModelChoice, slug
from bioretrieval_tui.tui.step_session import is_benchmark

_TEXT_KINDS: tuple[PairKind, ...] = ("title-abstract", "sentence", "conclusion")
_INDEX_KINDS: tuple[PairKind, ...] = (*_TEXT_KINDS, "mesh", "citations")
_PAIR_FILES = {".jsonl", ".csv", ".tsv", ".parquet"}
KIND_NOTES: dict[PairKind, str] = {
    "judged": "its judgements for training",
    "given": "the pairs of the file",
    "title-abstract": "a title and the abstract",
    "sentence": "a sentence and the rest of its abstract",
    "conclusion": "the conclusion of an abstract and the rest",
    "mesh": "abstracts with headings alike (BioHiCL)",
    "citations": "an abstract and one that it cites (BiCA)",
}
WEIGHTS = (
    ("all weights", "usually the best score"),
    ("an adapter (LoRA)", "a few weights: less memory, and the rest stays as it was"),
)
EVALUATE = (
    ("on the same benchmark", "before and after; the rest is held out"),
    ("on every benchmark here", "before and after"),
    ("on none", "the held-out queries only"),
)
DEFAULTS = ("the usual settings", "contrastive, mined negatives, 2 epochs of batches of 32")


@dataclass(frozen=True, slots=True)
class TrainingSource:
    """What a model is trained on: a benchmark, an index, a file of pairs or of documents.

    on: as `TrainingRequest.on` or `.pairs`; kinds: of pairs that it may give; tested: whether it
    has judgements of another split than that for training; names: by which it is asked for;
    fetched: the id of a benchmark that is not here.
    """

    on: str
    label: str
    note: str
    kinds: tuple[PairKind, ...]
    names: frozenset[str]
    tested: bool = False
    fetched: str = ""


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """What is on this machine: sources, those with judgements first, folders of benchmarks, and the
    names of models."""

    sources: tuple[TrainingSource, ...] = ()
    benchmarks: tuple[str, ...] = ()
    models: frozenset[str] = frozenset()

    @classmethod
    def read(cls, catalogue: Catalogue, remembered: Sequence[Path]) -> TrainingFacts:
        """Read the disk. remembered: folders of benchmarks, or of folders with benchmarks."""
        found = MachineFacts.read(catalogue, remembered).benchmarks
        here = [source_at(one.folder, catalogue) for one in found if one.folder is not None]
        here.sort(key=lambda one: "judged" not in one.kinds)
        indexes = [
            TrainingSource(name, name, "index", _INDEX_KINDS, frozenset({name}))
            for name in index_names()
            if name != CATALOGUE and not name.startswith("eval-")
        ]
        absent = [
            TrainingSource(
                str(benchmark_folder(one.key)), one.label, one.note, ("judged", *_TEXT_KINDS),
                frozenset(one.names), True, one.key,
            )
            for one in found
            if not one.here and isinstance(one.entry, Benchmark) and "train" in one.entry.splits
        ]  # fmt: skip
        names = frozenset(path.name for path in models_folder().glob("[!.]*"))
        benchmarks = tuple(str(one.folder) for one in found if one.folder is not None)
        return cls((*here, *indexes, *absent), benchmarks, names)


def source_at(path: Path, catalogue: Catalogue) -> TrainingSource:
    """What a path names. Raises UsageError: nothing is there."""
    if is_benchmark(path):
        one, parts = benchmark_at(path, catalogue), find_parts(path)
        judged = "train" in parts.splits
        said = "judgements for training" if judged else "texts only: none of its judgements train"
        kinds: tuple[PairKind, ...] = ("judged", *_TEXT_KINDS) if judged else _TEXT_KINDS
        names, tested = frozenset({*one.names, path.name}), parts.split != "train"
        return TrainingSource(one.key, one.label, f"{said}   {one.note}", kinds, names, tested)
    if not path.exists():
        raise UsageError(f"nothing is at {path}", remedy="a benchmark, or a file of pairs or texts")
    suffix = path.name.removesuffix(".gz").rpartition(".")[2]
    given: tuple[PairKind, ...] = ("given",) if f".{suffix}" in _PAIR_FILES else ()
    kinds = (*given, *_TEXT_KINDS)
    return TrainingSource(str(path), path.name, short(path), kinds, frozenset({str(path)}))


@dataclass(frozen=True, slots=True)
class TrainingChoice:
    """What was chosen in the dialog. base: None for that of the recipe; more: settings as `--set`
    takes them, with spaces between."""

    source: TrainingSource
    kind: PairKind
    recipe: Recipe | None
    base: ModelChoice | None
    adapter: bool
    more: str
    benchmarks: tuple[str, ...]
    name: str

    def job(self, catalogue: Catalogue) -> TrainJob:
        """The job of it. Raises UsageError: a setting is none, or the name cannot be one; what
        `request_of` raises."""
        values = dict(map(_setting, shlex.split(self.more)))
        values = {"pairs": self.kind, **values}
        given = self.kind == "given"
        if given:
            values.setdefault("negatives", "given")
        if self.adapter:
            values.setdefault("lora", "yes")
        base = None if self.base is None else self.base.model or MODEL_ID

        def find(name: str) -> tuple[str, Encoding | None]:
            return api.model_recipe(name, lambda: catalogue)

        *_, kind = base_of(self.recipe, base, find)
        chosen = choose(self.recipe, values, kind)
        request = request_of(
            catalogue, self.recipe, base, chosen, find, name=self.name,
            on="" if given else self.source.on, pairs=self.source.on if given else "",
            benchmarks=self.benchmarks,
        )  # fmt: skip
        return TrainJob(request, download=bool(self.base and self.base.download))


def _setting(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals or not key:
        raise UsageError(f"{word} is no setting", remedy="such as epochs=3 batch=64")
    return key, value


def runnable_recipes(catalogue: Catalogue) -> list[Recipe]:
    """The recipes that can be run, those that need nothing more first."""
    found = [
        one
        for one in catalogue.of_type(Recipe)
        if one.training is not None and one.training.runnable != "no"
    ]
    return sorted(found, key=lambda one: one.training is not None and one.training.because != "")


def new_name(source: TrainingSource, base: str, taken: Collection[str]) -> str:
    """A name for a model that no other has."""
    stem = "-".join(filter(None, (slug(base, 24), slug(source.label, 24)))) or "mine"
    numbered = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
    return next(name for name in numbered if name not in taken)
