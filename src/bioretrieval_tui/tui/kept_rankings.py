"""Stored rankings of benchmarks, so that a benchmark is ranked once and explored often."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bioretrieval_tui.backend.protocol import EvaluateJob, EvaluationSummary
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Encoding, Model
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import Places, save_file

if TYPE_CHECKING:
    from bioretrieval_tui.evaluation.records import EvaluationRecord

_FACTS = "evaluation.json"


def with_run_file(job: EvaluateJob, where: Places) -> EvaluateJob:
    """The job, with a run file in the cache folder that is named after its settings."""
    said = "\n".join(
        (str(Path(job.folder).absolute()), job.split or "", job.model or "", job.reranker or "")
    )
    key = hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return msgspec.structs.replace(job, run_file=str(where.cache / "runs" / key / "run.trec"))


def stored_rankings(job: EvaluateJob) -> EvaluationSummary | None:
    """The stored summary of a job (see `with_run_file`), if there are rankings by all its modes."""
    try:
        data = (Path(job.run_file or "").parent / _FACTS).read_bytes()
        summary = msgspec.json.decode(data, type=EvaluationSummary)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return summary if {*job.modes} <= {run.mode for run in summary.runs} else None


def make_folder(job: EvaluateJob) -> None:
    """Create the folder that the rankings go to. Raises BioRetrievalError if that fails."""
    folder = Path(job.run_file or "").parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BioRetrievalError(f"rankings cannot be kept in {folder}: {error.strerror}") from error


def keep_rankings(job: EvaluateJob, summary: EvaluationSummary) -> None:
    """Store the summary of a finished job beside its rankings. Raises BioRetrievalError."""
    path = Path(job.run_file or "").parent / _FACTS
    save_file(path, msgspec.json.encode(summary), "the rankings")


def run_files(job: EvaluateJob, summary: EvaluationSummary) -> dict[str, str]:
    """The TREC run file of each mode, as `evaluation.trec.run_paths` names them."""
    path, modes = Path(job.run_file or ""), [run.mode for run in summary.runs]
    if len(modes) == 1:
        return {modes[0]: str(path)}
    return {mode: str(path.with_name(f"{path.stem}.{mode}{path.suffix}")) for mode in modes}


# Jobs -------------------------------------------------------------------------------------------


def encoder_of(catalogue: Catalogue, model: str | None) -> tuple[str | None, Encoding | None]:
    """Hub id or folder, and recipe, of a model; (None, None) for the embedded one.

    model: catalogue id, hub id or folder."""
    from bioretrieval_tui.encoding.embedded import MODEL_ID

    models = catalogue.of_type(Model)
    entry = next((one for one in models if model == one.id or model in one.hub), None)
    if model in (None, MODEL_ID) or (entry and MODEL_ID in entry.hub):
        return None, None
    return (entry.weights or model, entry.encoding) if entry else (model, None)


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
    reranking, recipe = encoder_of(catalogue, reranker) if reranker else (None, None)
    return EvaluateJob(
        str(folder.absolute()), modes, *encoder_of(catalogue, model), split,
        reranker=reranking, reranker_recipe=recipe, purpose="explore",
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
