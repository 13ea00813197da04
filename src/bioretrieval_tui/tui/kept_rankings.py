"""Stored rankings of benchmarks, so that a benchmark is ranked once and explored often."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bioretrieval_tui.backend.protocol import EvaluateJob, EvaluationSummary
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Encoding, Model
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import Places, write_atomically

if TYPE_CHECKING:
    from bioretrieval_tui.evaluation.records import EvaluationRecord

_FACTS = "evaluation.json"
_RUN = "run.trec"


@dataclass(frozen=True, slots=True)
class StoredRankings:
    """An evaluation with stored rankings; runs: TREC run file by mode."""

    summary: EvaluationSummary
    runs: dict[str, str]


def with_run_file(job: EvaluateJob, where: Places) -> EvaluateJob:
    """The job, with a run file in the cache folder that is named after its settings."""
    said = "\n".join(
        (str(Path(job.folder).absolute()), job.split or "", job.model or "", job.reranker or "")
    )
    key = hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return msgspec.structs.replace(job, run_file=str(where.cache / "runs" / key / _RUN))


def stored_rankings(job: EvaluateJob) -> StoredRankings | None:
    """The stored rankings of a job (see `with_run_file`), if they have all of its modes."""
    if job.run_file is None:
        return None
    try:
        data = (Path(job.run_file).parent / _FACTS).read_bytes()
        summary = msgspec.json.decode(data, type=EvaluationSummary)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    modes = [run.mode for run in summary.runs]
    if not set(job.modes) <= set(modes):
        return None
    return StoredRankings(summary, _run_files(Path(job.run_file), modes))


def make_folder(job: EvaluateJob) -> None:
    """Create the folder that the rankings go to.

    Raises:
        BioRetrievalError: it cannot be created.
    """
    if job.run_file is None:
        return
    folder = Path(job.run_file).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BioRetrievalError(f"rankings cannot be kept in {folder}: {error.strerror}") from error


def keep_rankings(job: EvaluateJob, summary: EvaluationSummary) -> StoredRankings:
    """Store the summary of a finished job beside its rankings.

    Raises:
        BioRetrievalError: it cannot be written.
    """
    if job.run_file is None:
        raise BioRetrievalError("the rankings of this evaluation were not kept")
    path = Path(job.run_file)
    try:
        write_atomically(path.parent / _FACTS, msgspec.json.encode(summary))
    except OSError as error:
        raise BioRetrievalError(f"the rankings cannot be kept: {error.strerror}") from error
    return StoredRankings(summary, _run_files(path, [run.mode for run in summary.runs]))


def _run_files(path: Path, modes: Sequence[str]) -> dict[str, str]:
    # As `evaluation.benchmark.run_paths` names them.
    if len(modes) == 1:
        return {modes[0]: str(path)}
    return {mode: str(path.with_name(f"{path.stem}.{mode}{path.suffix}")) for mode in modes}


# Jobs -------------------------------------------------------------------------------------------


def encoder_of(catalogue: Catalogue, model: str | None) -> tuple[str | None, Encoding | None]:
    """Hub id or folder, and recipe, of a model; (None, None) for the embedded one.

    model: catalogue id, hub id or folder."""
    from bioretrieval_tui.encoding.embedded import MODEL_ID

    if model is None or model == MODEL_ID:
        return None, None
    named = catalogue.by_id.get(model)
    entry = named if isinstance(named, Model) else catalogue.model_of_hub(model)
    if entry is None:
        return model, None
    if MODEL_ID in entry.hub:
        return None, None
    return entry.weights or model, entry.encoding


def exploring_job(
    catalogue: Catalogue,
    folder: Path,
    modes: tuple[str, ...],
    model: str | None = None,
    *,
    split: str | None = None,
    reranker: str | None = None,
) -> EvaluateJob:
    """The job that ranks a benchmark to explore it."""
    hub, recipe = encoder_of(catalogue, model)
    reranking, reranking_recipe = encoder_of(catalogue, reranker) if reranker else (None, None)
    return EvaluateJob(
        str(folder.absolute()), modes, hub, recipe, split,
        reranker=reranking, reranker_recipe=reranking_recipe, purpose="explore",
    )  # fmt: skip


def job_of_record(record: EvaluationRecord, catalogue: Catalogue) -> EvaluateJob:
    """The exploration of an evaluation's benchmark, in the folder that its index was built from.

    Raises:
        BioRetrievalError: the folder no longer exists, or is not a benchmark.
    """
    from bioretrieval_tui.evaluation.benchmark import find_parts
    from bioretrieval_tui.index.registry import manifest_of

    inputs = manifest_of(record.index).inputs
    folder = Path(inputs[0].path).parent if inputs else Path()
    find_parts(folder, record.split)
    modes = ("lexical", "dense", "hybrid", *(("rerank",) if record.reranker else ()))
    return exploring_job(
        catalogue, folder, modes, record.model, split=record.split, reranker=record.reranker
    )
