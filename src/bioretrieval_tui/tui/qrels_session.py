"""The state and the requests of the query explorer, without a widget, and its kept rankings.

A `QrelsSession` has a benchmark ranked (or finds kept rankings: a benchmark is ranked once and
explored often), sorts and filters its queries, and reads a query's documents from the search
process.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Encoding, Model
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.evaluation.qrels import QueryRow, QueryView
from bioretrieval_tui.evaluation.trec_runs import run_paths
from bioretrieval_tui.paths import Places, save_file

if TYPE_CHECKING:
    from bioretrieval_tui.backend.job_folder import JobRecord
    from bioretrieval_tui.evaluation.records import EvaluationRecord
    from bioretrieval_tui.tui.panes.qrels_pane import QrelsPane

_FACTS = "evaluation.json"
DELTA = "delta"
"""Key of the column with the difference of two modes."""
QueryOrder = tuple[str, Literal["up", "down"]] | None
"""The column that sorts, and whether its values go up; None: as in the files."""


class QrelsSession:
    """A benchmark with its queries, and the pane that shows it (only its type is imported).

    job: the evaluation that ranks the benchmark; answer: the summary of the rankings shown.
    queries: all queries; shown: those that `filter` (words) keeps, in `order`.
    chosen: id of the chosen query; view: the query with its documents, None until they are read.
    problem: why there is nothing to show.
    """

    def __init__(self, face: QrelsPane) -> None:
        self.face = face
        self.job: protocol.EvaluateJob | None = None
        self.answer: protocol.EvaluationSummary | None = None
        self.problem = ""
        self.queries: list[QueryRow] = []
        self.shown: list[QueryRow] = []
        self.filter = ""
        self.order: QueryOrder = None
        self.view: QueryView | None = None
        self.chosen: str | None = None
        self._pair = 0

    # Opening -----------------------------------------------------------------------------

    def open(self, job: protocol.EvaluateJob) -> None:
        """Show the benchmark of a job: kept rankings at once, others once they are made."""
        self.job = with_run_file(job, self.face.owner.where)
        self._show([], None)
        kept = stored_rankings(self.job)
        if kept is None:
            self.rank(self.job)
        else:
            self.face.in_background("explore", self._show_kept, self.job, kept)

    async def _show_kept(self, job: protocol.EvaluateJob, kept: protocol.EvaluationSummary) -> None:
        """Show the queries; rank them again if the files have changed since they were ranked."""
        try:
            folder, runs = str(Path(job.folder).absolute()), run_files(job, kept)
            request = protocol.OpenBenchmark(folder, kept.split, kept.sha256, kept.index, runs)
            rows = await self.face.owner.client.ask(request)
        except BioRetrievalError as error:
            self._fail(error.line())
            return
        if rows is not None:
            self._show(rows, kept)
        else:
            await self._rank(job)

    def rank(self, job: protocol.EvaluateJob) -> None:
        """Rank the benchmark, in a process of its own, if its models are here."""
        self.face.in_background("explore", self._rank, job)

    async def _rank(self, job: protocol.EvaluateJob) -> None:
        from bioretrieval_tui.tui.evaluation_session import check_models

        try:
            await asyncio.to_thread(check_models, job)
        except BioRetrievalError as error:
            self._fail(error.line())
            return
        folder = Path(job.run_file or "").parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._fail(f"rankings cannot be kept in {folder}: {error.strerror}")
            return
        self.problem = ""
        if not self.face.owner.jobs.submit(job):
            self.face.owner.say("This benchmark is being ranked, or waits, already")
        self.face.show_message("Ranking; it continues while other panes are shown.")

    def job_ended(self, outcome: JobRecord) -> None:
        """Show the queries of a finished evaluation, if it is of this job."""
        if self.job is None or outcome.job != self.job:
            return
        if outcome.evaluation is None:
            self._fail(outcome.message)
            return
        try:
            keep_rankings(self.job, outcome.evaluation)
        except BioRetrievalError as error:
            self._fail(error.line())
            return
        self.face.in_background("explore", self._show_kept, self.job, outcome.evaluation)

    def _fail(self, problem: str) -> None:
        self.problem = problem
        self.face.show_message(problem)

    def _show(self, rows: list[QueryRow], answer: protocol.EvaluationSummary | None) -> None:
        self.queries, self.answer, self.problem = rows, answer, ""
        self.filter, self.order, self._pair, self.view = "", None, 0, None
        self._arrange()
        self.face.show_benchmark()

    # Queries -----------------------------------------------------------------------------

    @property
    def modes(self) -> tuple[str, ...]:
        return tuple(run.mode for run in self.answer.runs) if self.answer is not None else ()

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two modes whose difference is shown."""
        known = pairs(self.modes)
        return known[self._pair % len(known)] if known else None

    def filter_by(self, text: str, *, whole: bool = False) -> None:  # noqa: ARG002 - as others
        """Keep the queries with all of these words in id or text."""
        self.filter = text
        self._arrange()

    def sort_by(self, key: str) -> None:
        """Sort by a column, lowest first; again: highest first; again: as in the files."""
        following: dict[QueryOrder, QueryOrder] = {(key, "up"): (key, "down"), (key, "down"): None}
        self.order = following.get(self.order, (key, "up"))
        self._arrange()
        self.face.refill()

    def next_pair(self) -> None:
        """Compare the next two modes. Raises UsageError if there are no other two."""
        if len(pairs(self.modes)) < 2:
            raise UsageError("There are no other two modes to compare")
        self._pair += 1
        self._arrange()

    def _arrange(self) -> None:
        self.shown = arranged(self.queries, self.filter, self.order, self.pair)

    def choose(self, row: QueryRow | None, *, read: bool) -> None:
        """Make a query the chosen one; `read`: with its documents."""
        self.view = None
        self.chosen = row.id if row is not None else None
        if row is not None and read:
            self.face.in_background("view", self._look_up, row.id)

    async def _look_up(self, query: str) -> None:
        try:
            view = await self.face.owner.client.ask(protocol.ViewQuery(query))
        except BioRetrievalError as error:
            self.face.show_view(f"{error.line()}: a ranks it again")
            return
        if self.chosen == query:
            self.view = view
            self.face.show_view()


def pairs(modes: Sequence[str]) -> list[tuple[str, str]]:
    return list(combinations(modes, 2))


def difference(row: QueryRow, pair: tuple[str, str]) -> float:
    """nDCG@10 of the second mode minus that of the first."""
    return row.scores[pair[1]] - row.scores[pair[0]]


def arranged(
    rows: Sequence[QueryRow], words: str, order: QueryOrder, pair: tuple[str, str] | None
) -> list[QueryRow]:
    """The queries with every one of `words` in id or text, in an order. Equal ones stay as in the
    files."""
    wanted = words.casefold().split()
    kept = [
        row for row in rows if all(word in f"{row.id} {row.text}".casefold() for word in wanted)
    ]
    if order is None:
        return kept
    key, way = order

    def value(row: QueryRow) -> float:
        if key == DELTA:
            return difference(row, pair) if pair is not None else 0.0
        return float(row.relevant) if key == "relevant" else row.scores.get(key, 0.0)

    if key in ("id", "text"):
        return sorted(kept, key=lambda row: getattr(row, key).casefold(), reverse=way == "down")
    return sorted(kept, key=value, reverse=way == "down")


# Kept rankings and the jobs that make them ------------------------------------------------------


def with_run_file(job: protocol.EvaluateJob, where: Places) -> protocol.EvaluateJob:
    """The job, with a run file in the cache folder that is named after its settings."""
    said = "\n".join(
        (
            str(Path(job.folder).absolute()),
            job.split or "",
            job.model or "",
            job.reranker or "",
            *job.score,
        )
    )
    key = hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return msgspec.structs.replace(job, run_file=str(where.cache / "runs" / key / "run.trec"))


def stored_rankings(job: protocol.EvaluateJob) -> protocol.EvaluationSummary | None:
    """The stored summary of a job (see `with_run_file`), if there are rankings by all its modes."""
    try:
        data = (Path(job.run_file or "").parent / _FACTS).read_bytes()
        summary = msgspec.json.decode(data, type=protocol.EvaluationSummary)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return summary if {*job.modes} <= {run.mode for run in summary.runs} else None


def keep_rankings(job: protocol.EvaluateJob, summary: protocol.EvaluationSummary) -> None:
    """Store the summary of a finished job beside its rankings. Raises BioRetrievalError."""
    path = Path(job.run_file or "").parent / _FACTS
    save_file(path, msgspec.json.encode(summary), "the rankings")


def run_files(job: protocol.EvaluateJob, summary: protocol.EvaluationSummary) -> dict[str, str]:
    """The TREC run file of each mode, and those that were made elsewhere."""
    given = dict(zip(job.names, job.score, strict=True))
    ranked = [run.mode for run in summary.runs if run.mode not in given]
    paths = run_paths(Path(job.run_file or ""), ranked)
    return given | {mode: str(path) for mode, path in paths.items()}


def encoder_of(catalogue: Catalogue, model: str | None) -> tuple[str | None, Encoding | None]:
    """Hub id or folder, and recipe, of a model; (None, None) for the embedded one.

    model: catalogue id, hub id or folder."""
    from bioretrieval_tui.encoding.embedded import MODEL_ID

    named = catalogue.by_id.get(model or "")
    entry = named if isinstance(named, Model) else catalogue.model_of_hub(model or "")
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
    run: tuple[str, str] | None = None,
    download: bool = False,
) -> protocol.EvaluateJob:
    """The job that ranks a benchmark to explore it. run: name and file of one made elsewhere."""
    names, score = ((run[0],), (run[1],)) if run else ((), ())
    reranking, recipe = encoder_of(catalogue, reranker) if reranker else (None, None)
    return protocol.EvaluateJob(
        str(folder.absolute()), modes, *encoder_of(catalogue, model), split,
        reranker=reranking, reranker_recipe=recipe, score=score, names=names, purpose="explore",
        download=download,
    )  # fmt: skip


def job_of_record(record: EvaluationRecord, catalogue: Catalogue) -> protocol.EvaluateJob:
    """The exploration of an evaluation's benchmark; of BM25 without a model.

    Raises BioRetrievalError if its folder is not known or gone, or is not a benchmark."""
    from bioretrieval_tui.evaluation.records import GIVEN, folder_of

    folder = folder_of(record)
    if record.mode == GIVEN:  # what made it is not here
        run = (record.model, record.run) if record.run and Path(record.run).is_file() else None
        return exploring_job(catalogue, folder, ("lexical",), split=record.split, run=run)
    if record.mode == "lexical":
        return exploring_job(catalogue, folder, ("lexical",), split=record.split)
    modes = ("lexical", "dense", "hybrid", *(("rerank",) if record.reranker else ()))
    return exploring_job(
        catalogue, folder, modes, record.model, split=record.split, reranker=record.reranker
    )
