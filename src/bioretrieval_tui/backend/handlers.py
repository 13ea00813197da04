"""What a child process does for each request: search, look up, run a job.

Imported by child processes only; it loads numpy, and models once they are needed.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.cross_encoder import load_cross_encoder
from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.encoding.encoder_registry import load_encoder, prepare_query_encoder
from bioretrieval_tui.errors import BioRetrievalError, IndexFault, NotFoundError
from bioretrieval_tui.evaluation.benchmark import BenchmarkFolder, read_benchmark
from bioretrieval_tui.evaluation.qrels import QueryRow, Rankings, query_rows, query_view, titles_in
from bioretrieval_tui.index.build import (
    BuildOutcome,
    add_to_index,
    build_index,
    compact_index,
    encoder_factory_of,
)
from bioretrieval_tui.index.registry import (
    OpenIndex,
    glance,
    list_indexes,
    manifest_of,
    open_index,
    remove_index,
)
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.search.catalogue_index import ensure_catalogue_index
from bioretrieval_tui.search.engine import SearchEngine, reranked
from bioretrieval_tui.search.types import SearchResult

_KEPT_OPEN = 4
"""Indexes that stay open."""
_MOST_REJECTIONS = 100
"""Rejected records that are sent to the app."""
_BATCH = 50
"""Records of a look-up that are sent at once."""

Send = Callable[[protocol.Event], None]
"""Sends an event of the request; progress raises InterruptedByUser if it was cancelled."""


def _reporter(send: Send) -> Reporter:
    return lambda step: send(protocol.Progressed(step))


class Searching:
    """Answers searches; keeps indexes open until a newer build replaces them."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._open: dict[str, SearchEngine] = {}

    def __call__(self, request: protocol.Request, send: Send) -> object:
        """The answer to a request."""
        match request:
            case protocol.Search():
                return self._search(request, send)
            case protocol.Similar():
                return self._similar(request)
            case protocol.Explain():
                return self._engine(request.index).explain(request.question, request.documents)
            case _:
                raise TypeError(f"{type(request).__name__} is not a search")

    def _search(self, request: protocol.Search, send: Send) -> SearchResult:
        request.question.checked()  # before an index or a model is opened for it
        report, ranker = _reporter(send), request.reranker
        engine = self._engine(request.index)
        if request.question.mode != "lexical":
            engine.load(report)
        found = engine.search(request.question)
        if ranker is None or not found.hits:
            return found
        send(protocol.Partial(found))
        encoder = load_cross_encoder(
            ranker.model, ranker.recipe, device=self._device, reporter=report
        )
        hits = reranked(
            request.question.text, found.hits, encoder, most=ranker.most, reporter=report
        )
        return dataclasses.replace(found, hits=hits)

    def _similar(self, request: protocol.Similar) -> SearchResult:
        engine = self._engine(request.index)
        if request.into is None or request.into == request.index:
            return engine.similar(request.document, request.k, request.where)
        _, document = engine.found(request.document)
        return self._engine(request.into).like(document, request.k, request.where)

    def _engine(self, name: str) -> SearchEngine:
        engine = self._open.pop(name, None)
        if engine is not None:
            try:
                current = manifest_of(name).generation
            except BioRetrievalError:
                engine.close()
                raise
            if current != engine.index.manifest.generation:
                engine.close()
                engine = None
        if engine is None:
            # Its model is loaded when a query first needs it: BM25 does not.
            engine = SearchEngine.open(name, device=self._device, ready=False)
        self._open[name] = engine
        while len(self._open) > _KEPT_OPEN:
            self._open.pop(next(iter(self._open))).close()
        return engine


class LookingUp:
    """Answers requests about stored data: the list of indexes and the benchmark that was opened
    last; also builds the catalogue's own index."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._benchmark: BenchmarkFolder | None = None
        self._rankings: Rankings = {}
        self._index = ""

    def __call__(self, request: protocol.Request, send: Send) -> object:
        """The answer to a request."""
        match request:
            case protocol.ListIndexes():
                return list_indexes()
            case protocol.EnsureCatalogue():
                return self._ensure(request, _reporter(send))
            case protocol.OpenBenchmark():
                return self._queries(request)
            case protocol.ViewQuery():
                with self._opened() as (benchmark, index):
                    titles = titles_in(index.documents)
                    return query_view(benchmark, self._rankings, request.query, titles)
            case protocol.ReadDocument():
                with self._opened() as (_, index):
                    found = index.documents.find(request.document)
                return None if found is None else (found[1].title, found[1].text)
            case _:
                raise TypeError(f"{type(request).__name__} is not a look-up")

    def _ensure(
        self, request: protocol.EnsureCatalogue, report: Reporter
    ) -> protocol.CatalogueReady:
        def load() -> Encoder:
            return load_encoder(device=self._device, reporter=report)

        found = ensure_catalogue_index(
            request.documents, request.fingerprint, load if request.vectors else None, report
        )
        return protocol.CatalogueReady(found.documents, found.built, found.note)

    def _queries(self, request: protocol.OpenBenchmark) -> list[QueryRow] | None:
        """The judged queries; None if the benchmark changed, or a run or its index is missing."""
        from bioretrieval_tui.evaluation.trec import read_run

        benchmark = read_benchmark(Path(request.folder), request.split)
        if benchmark.sha256 != request.sha256:
            return None
        try:
            manifest_of(request.index)
            rankings = {mode: read_run(Path(path)) for mode, path in request.runs.items()}
        except (NotFoundError, IndexFault):
            return None
        self._benchmark, self._rankings, self._index = benchmark, rankings, request.index
        return query_rows(benchmark, rankings)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[BenchmarkFolder, OpenIndex]]:
        """The open benchmark and its index, which is opened each time: it may be replaced."""
        if self._benchmark is None:
            raise BioRetrievalError("no benchmark is open", remedy="open one first")
        index = open_index(self._index, vectors=False)
        try:
            yield self._benchmark, index
        finally:
            index.close()


# Jobs -------------------------------------------------------------------------------------------


def run_job(job: protocol.Job, device: str, send: Send) -> protocol.JobResult:
    """Run a job in this process and return its result.

    Raises:
        BioRetrievalError: as the work itself does. KeyboardInterrupt: the process got SIGINT.
    """
    reporter = _reporter(send)
    match job:
        case protocol.BuildJob():
            model = job.model or embedded.MODEL_ID
            outcome = build_index(
                job.name,
                job.inputs,
                lambda: load_encoder(model, job.recipe, device=device, reporter=reporter),
                settings=job.reading,
                reporter=reporter,
                replace=job.replace,
                ids=job.ids,
            )
            prepare_query_encoder(model, job.recipe, reporter=reporter)
            return _built(outcome)
        case protocol.AddJob():
            factory_of = encoder_factory_of(device, reporter)
            outcome = add_to_index(
                job.name, job.inputs, factory_of, settings=job.reading, reporter=reporter
            )
            return _built(outcome)
        case protocol.CompactJob():
            return _built(compact_index(job.name, reporter=reporter))
        case protocol.ImportJob():
            from bioretrieval_tui.index.importing import import_vectors

            outcome = import_vectors(
                job.name,
                [Path(path) for path in job.vectors],
                [Path(path) for path in job.ids],
                job.documents,
                job.model,
                job.recipe,
                dimension=job.dimension,
                settings=job.reading,
                reporter=reporter,
            )
            return _built(outcome)
        case protocol.VerifyJob():
            return protocol.Verified(verify_index(job.name, reporter))
        case protocol.RemoveJob():
            return protocol.Removed(remove_index(job.name))
        case protocol.EvaluateJob():
            return _evaluated(job, device, send, reporter)
        case protocol.FetchJob() | protocol.LookUpJob():
            return _fetched(job, send, reporter)


def _evaluated(
    job: protocol.EvaluateJob, device: str, send: Send, reporter: Reporter
) -> protocol.Evaluated:
    from bioretrieval_tui.evaluation.runner import EvaluationRequest, evaluate_folder

    facts = msgspec.structs.asdict(job)
    del facts["purpose"]
    request = EvaluationRequest(device=device, **facts)
    report = evaluate_folder(request, reporter, lambda text: send(protocol.Remarked(text)))
    for note in report.notes:
        send(protocol.Remarked(note))
    return protocol.Evaluated(
        msgspec.convert(report, protocol.EvaluationSummary, from_attributes=True)
    )


def _fetched(
    job: protocol.FetchJob | protocol.LookUpJob, send: Send, reporter: Reporter
) -> protocol.Fetched:
    from bioretrieval_tui.online.fetch import fetch

    batch: list[Document] = []

    def flush() -> None:
        if batch:
            send(protocol.Came(batch.copy()))
            batch.clear()

    def take(document: Document) -> None:
        if isinstance(job, protocol.LookUpJob):
            batch.append(document)
        if len(batch) >= _BATCH:
            flush()

    def report(step: Progress) -> None:
        flush()  # a batch of the service is complete
        reporter(step)

    done = fetch(job.request, report, lambda text: send(protocol.Remarked(text)), each=take)
    flush()
    return protocol.Fetched(done.service, done.records, done.index, done.documents, done.changed)


def _built(outcome: BuildOutcome) -> protocol.Built:
    # A report lists rejected records one by one; the app shows the first of them.
    report = msgspec.structs.replace(
        outcome.report, rejections=outcome.report.rejections[:_MOST_REJECTIONS]
    )
    return protocol.Built(glance(outcome.manifest.name), report, outcome.changed)
