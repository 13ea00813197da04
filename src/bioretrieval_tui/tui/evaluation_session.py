"""What can be evaluated, without a widget: benchmarks and rankers that are here first; the jobs
that a choice of them makes, what was evaluated before, and how long the rest takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import msgspec

from bioretrieval_tui.actions import key_of
from bioretrieval_tui.backend.protocol import EvaluateJob
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Benchmark, Encoding, Model
from bioretrieval_tui.encoding.device import offline
from bioretrieval_tui.encoding.embedded import MODEL_ID
from bioretrieval_tui.encoding.model_files import entry_is_here, require_models
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.evaluation.benchmark import checksums, find_parts
from bioretrieval_tui.evaluation.published import named_benchmark
from bioretrieval_tui.evaluation.records import EvaluationRecord, records
from bioretrieval_tui.index.registry import index_names, manifest_of
from bioretrieval_tui.online.archives import benchmark_folder
from bioretrieval_tui.tui.folders import short
from bioretrieval_tui.tui.index_session import model_choices
from bioretrieval_tui.tui.step_session import benchmark_terms, is_benchmark
from bioretrieval_tui.util.formatting import plural, time_left

OFFLINE = "offline mode is on: restart without it to fetch"
PURPOSE = "evaluation"
_MOST_BESIDE = 200
"""Entries of a folder that are looked at."""
_SIGNS = ("corpus.jsonl", "corpus.jsonl.gz", "corpus", "qrels")
"""What a benchmark beside others has one of: whole folders are not listed to know it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row to choose: a benchmark, or what ranks (a model, an index with its own, a run file).

    key: unique among its kind; entry: of the catalogue; folder: of a benchmark, None unless it is
    here or on its way; model, recipe: None for the embedded one; here: nothing need be fetched;
    coming: a job fetches it first.
    """

    key: str
    label: str
    note: str = ""
    here: bool = True
    coming: bool = False
    entry: Benchmark | Model | None = None
    folder: Path | None = None
    model: str | None = None
    recipe: Encoding | None = None
    index: str | None = None
    run: str | None = None

    @property
    def absent(self) -> str:
        """That it is not here, and how to get it."""
        return f"{self.label.partition(' (')[0]} is not here; {OFFLINE if offline() else self.note}"

    @property
    def names(self) -> set[str]:
        return {self.key, self.entry.id} if self.entry else {self.key}

    def fetched(self) -> Candidate:
        folder = benchmark_folder(self.key) if isinstance(self.entry, Benchmark) else None
        return replace(self, note="is fetched first", here=True, coming=True, folder=folder)


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """jobs: for what was not evaluated before, or for all if there is no such; count: of modes of a
    benchmark; known: of them were evaluated before; seconds: of encoding; unknown: models whose
    speed here is not known."""

    jobs: tuple[EvaluateJob, ...]
    count: int
    known: int
    seconds: float
    unknown: tuple[str, ...]

    def line(self) -> str:
        rest = self.count - self.known
        said = [plural(self.count, "evaluation")]
        if self.known:
            some = f"{self.known} evaluated before"
            said.append(
                some if rest else f"all evaluated before: {key_of('plan-run')} repeats them"
            )
        if self.seconds:
            said.append(f"encoding about {time_left(self.seconds).removesuffix(' left')}")
        if self.unknown:
            said.append(f"speed here not known: {', '.join(self.unknown)}")
        return "; ".join(said)


@dataclass(slots=True)
class MachineFacts:
    """What is on this machine. done: recipe hashes by (checksum of the benchmark, model, mode,
    reranker); speeds: documents encoded a second by model; sizes: documents by checksum; encoded:
    model and checksums of the files of each index with vectors."""

    benchmarks: list[Candidate] = field(default_factory=list)
    rankers: list[Candidate] = field(default_factory=list)
    rerankers: list[Candidate] = field(default_factory=list)
    done: dict[tuple[str, str, str, str], set[str]] = field(default_factory=dict)
    speeds: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    encoded: set[tuple[str, frozenset[str]]] = field(default_factory=set)

    def knows(self, checksum: str, one: Candidate, mode: str, reranker: Candidate | None) -> bool:
        """Whether this was evaluated; a folder or an index may have changed since."""
        if one.index or (one.model and one.recipe is None):
            return False
        model = "" if mode == "lexical" else one.model or MODEL_ID
        ranked = reranker.model if reranker and reranker.model and mode == "rerank" else ""
        hashes = self.done.get((checksum, model, mode, ranked), ())
        return bool(hashes) and (
            not model or one.recipe is None or recipe_hash(one.recipe) in hashes
        )

    @classmethod
    def read(cls, catalogue: Catalogue, remembered: Sequence[Path]) -> MachineFacts:
        """Read the disk. remembered: folders of benchmarks, or of folders with benchmarks."""
        found, kept = cls(), list[EvaluationRecord]()
        with contextlib.suppress(BioRetrievalError):  # the leaderboard reports it
            kept = records()
        speeds = list[tuple[str, float]]()
        evaluated = (Path(one.folder) for one in kept if one.folder)
        folders = dict.fromkeys((*remembered, *evaluated))
        for name in index_names():
            with contextlib.suppress(BioRetrievalError):
                manifest = manifest_of(name)
                speeds.append((manifest.model, manifest.docs_per_second))
                sums = frozenset(one.sha256 for one in manifest.inputs)
                found.encoded |= {(manifest.model, sums)} if manifest.encoded else set()
                if manifest.fingerprint and manifest.inputs:  # of a benchmark
                    folders[Path(manifest.inputs[0].path).parent] = None
        for one in reversed(kept):  # the newest last
            model = "" if one.mode == "lexical" else one.model
            key = (one.sha256, model, one.mode, one.reranker or "")
            found.done.setdefault(key, set()).add(one.recipe_hash)
            found.sizes[one.sha256] = one.documents
            speeds.append((one.model, one.docs_per_second or 0.0))
        found.speeds = {model: speed for model, speed in speeds if speed}  # 0: nothing was encoded
        found.benchmarks = _benchmarks(catalogue, folders)
        models = [
            Candidate(one.model or MODEL_ID, one.label, "here", model=one.model, recipe=one.recipe)
            for one in model_choices(catalogue)
        ]
        found.rankers = _here_first(_with_files(one, catalogue) for one in models)
        found.rerankers = _here_first(
            _with_files(Candidate(one.weights, one.name, "here", model=one.weights,
                                  recipe=one.encoding), catalogue)
            for one in catalogue.of_type(Model)
            if one.weights and one.encoding and one.encoding.type == "cross-encoder"
        )  # fmt: skip
        return found


def _here_first(found: Iterable[Candidate]) -> list[Candidate]:
    return sorted(found, key=lambda one: not one.here)


def _with_files(one: Candidate, catalogue: Catalogue) -> Candidate:
    """A model with its entry, and the note that its files are missing."""
    entry = catalogue.model_of_hub(one.key)
    if entry is None or entry_is_here(entry):
        return replace(one, entry=entry)
    note = _absent(f"licence: {entry.licence or 'not known'}")
    return replace(one, entry=entry, here=False, note=note)


def _absent(terms: str) -> str:
    """How to get what is not on this machine."""
    return OFFLINE if offline() else f"{key_of('plan-fetch')} fetches it; {terms}"


def index_ranker(name: str) -> Candidate:
    """An index, which ranks with its own model."""
    found = Candidate(name, name, "index", index=name)
    with contextlib.suppress(BioRetrievalError):  # its job tells it
        manifest = manifest_of(name)
        found = replace(found, model=manifest.model, recipe=manifest.recipe)
    return found


def check_models(job: EvaluateJob) -> None:
    """Raise ModelError, with the remedy, for a model that a job needs, lacks and does not fetch."""
    encoder = (job.model, job.recipe) if set(job.modes) - {"lexical"} else (None, None)
    for model, recipe in (encoder, (job.reranker, job.reranker_recipe)):
        if model and model != MODEL_ID and not job.download:
            require_models(model, recipe)


def _benchmarks(catalogue: Catalogue, remembered: Iterable[Path]) -> list[Candidate]:
    """The benchmarks that are here, then those that can be fetched."""
    places: dict[Path, None] = {}
    roots = [benchmark_folder(""), *remembered, *(one.parent for one in remembered)]
    for base in (Path.cwd, Path.home):
        with contextlib.suppress(OSError, RuntimeError):
            roots += [base() / "datasets", base() / "data", base()]
    for root in dict.fromkeys(roots):
        beside: list[Path] = []
        with contextlib.suppress(OSError, ValueError):  # NUL in a record
            beside += islice(root.iterdir(), _MOST_BESIDE)
        for folder in (root, *beside):
            with contextlib.suppress(OSError, ValueError):
                str(folder).encode()  # else no job can name it
                if any((folder / sign).exists() for sign in _SIGNS) and is_benchmark(folder):
                    places[folder] = None
    here = [benchmark_at(folder, catalogue) for folder in {one.resolve(): one for one in places}]
    known = {one.entry.id for one in here if one.entry}
    fetchable = (one for one in catalogue.of_type(Benchmark) if one.loaders.zip)
    return [*here, *(
        Candidate(one.id, one.name, _absent(benchmark_terms(one)), False, entry=one)
        for one in fetchable if one.id not in known
    )]  # fmt: skip


def benchmark_at(folder: Path, catalogue: Catalogue) -> Candidate:
    entry = named_benchmark(catalogue, folder.name)
    name = entry.name if entry else folder.name
    return Candidate(str(folder), name, short(folder), entry=entry, folder=folder)


def ranker_at(path: Path) -> Candidate:
    """A model in a folder, or a run file. Raises UsageError: it is neither."""
    if path.is_file():
        return Candidate(str(path), path.name, "run file", run=str(path))
    if not any((path / name).is_file() for name in ("config.json", "modules.json")):
        what = "no benchmark and no model is in" if path.is_dir() else "nothing is at"
        raise UsageError(f"{what} {path}", remedy="a benchmark has qrels, a model config.json")
    return Candidate(str(path), path.name, short(path), model=str(path))


def plan_of(
    benchmarks: Sequence[Candidate],
    rankers: Sequence[Candidate],
    modes: Sequence[str],
    reranker: Candidate | None,
    facts: MachineFacts,
) -> EvaluationPlan:
    """The evaluations of each benchmark by each ranker; BM25, which needs no model, once each.
    Reads the checksums of files. Without a model and a run file BM25 alone is run."""
    every: list[EvaluateJob] = []
    fresh: list[EvaluateJob] = []
    count, known, seconds, unknown = 0, 0, 0.0, dict[str, None]()
    models = [one for one in rankers if one.run is None]
    runs = tuple(one.run for one in rankers if one.run is not None)
    ranked = reranker or Candidate("", "")
    dense = (*(one for one in modes if one != "lexical"), *(("rerank",) if reranker else ()))
    lexical = tuple(one for one in modes if one == "lexical")
    work = [(one, dense if number else (*lexical, *dense)) for number, one in enumerate(models)]
    if not models and not runs:
        work = [(Candidate("", "BM25"), ("lexical",))]
    for benchmark in benchmarks:
        folder, checksum, corpus = str(benchmark.folder), "", frozenset[str]()
        with contextlib.suppress(BioRetrievalError):  # its job tells it, or it is on its way
            parts = find_parts(Path(folder))
            sums, checksum = checksums(parts)
            corpus = frozenset(sums[: len(parts.corpus)])
        size = facts.sizes.get(checksum) or getattr(benchmark.entry, "documents", None)
        for one, wanted in work:
            rest = tuple(mode for mode in wanted if not facts.knows(checksum, one, mode, reranker))
            job = EvaluateJob(
                folder, wanted, one.model, one.recipe, index=one.index, purpose=PURPOSE,
                download=one.coming or ranked.coming, reranker=ranked.model,
                reranker_recipe=ranked.recipe,
            )  # fmt: skip
            every += [job] if wanted else []
            fresh += [msgspec.structs.replace(job, modes=rest)] if rest else []
            count, known = count + len(wanted), known + len(wanted) - len(rest)
            model = one.model or MODEL_ID
            encodes = set(rest) - {"lexical"} and (model, corpus) not in facts.encoded
            if encodes and one.index is None:
                speed = facts.speeds.get(model)
                if speed and size:
                    seconds += size / speed
                else:
                    unknown[one.label] = None
        if runs:
            fresh.append(EvaluateJob(folder, (), score=runs, purpose=PURPOSE))
            count += len(runs)
    return EvaluationPlan(tuple(fresh or every), count, known, seconds, tuple(unknown))
