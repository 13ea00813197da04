"""What a child process does for each request: search, look up, run a job.

Imported by child processes only; it loads numpy, and models once they are needed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.cross_encoder import load_cross_encoder
from bioretrieval_tui.encoding.encoder_registry import load_encoder, prepare_query_encoder
from bioretrieval_tui.errors import BioRetrievalError, IndexFault, NotFoundError
from bioretrieval_tui.evaluation.benchmark import Benchmark, read_benchmark
from bioretrieval_tui.evaluation.qrels import Rankings, query_rows, query_view, titles_in
from bioretrieval_tui.index.build import (
    BuildOutcome,
    add_to_index,
    build_index,
    compact_index,
    encoder_factory_of,
)
from bioretrieval_tui.index.registry import (
    glance,
    list_indexes,
    manifest_of,
    open_index,
    remove_index,
)
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.search.catalogue_index import ensure_catalogue_index
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.rerank import reranked
from bioretrieval_tui.search.types import SearchResult

_KEPT_OPEN = 4
"""Indexes that stay open."""
_MOST_REJECTIONS = 100
"""Rejected records that are sent to the app."""
_BATCH = 50
"""Records of a look-up that are sent at once."""

Send = Callable[[protocol.Event], None]
Check = Callable[[], None]
"""Raises InterruptedByUser once the request was cancelled."""


class Searching:
    """Answers searches; keeps indexes open until a newer build replaces them."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._open: dict[str, SearchEngine] = {}

    def __call__(self, request: protocol.Request, send: Send, check: Check) -> protocol.Reply:
        """SearchResult one request."""
        match request:
            case protocol.Search():
                return protocol.Found(self._search(request, send, check))
            case protocol.Similar():
                return protocol.Found(self._similar(request))
            case protocol.Explain():
                engine = self._engine(request.index)
                return protocol.Explained(engine.explain(request.question, request.documents))
            case _:
                raise TypeError(f"{type(request).__name__} is no search")

    def _search(self, request: protocol.Search, send: Send, check: Check) -> SearchResult:
        def report(step: Progress) -> None:
            check()
            send(protocol.Progressed(step))

        request.question.checked()  # before an index or a model is opened for it
        engine = self._engine(request.index)
        if request.question.mode != "lexical":
            engine.load(report)
        answer = engine.search(request.question)
        if request.reranker is None or not answer.hits:
            return answer
        check()
        send(protocol.Partial(answer))
        model, recipe = request.reranker.model, request.reranker.recipe
        encoder = load_cross_encoder(model, recipe, device=self._device, reporter=report)
        hits = reranked(
            request.question.text,
            answer.hits,
            encoder,
            most=request.reranker.most,
            reporter=report,
        )
        return dataclasses.replace(answer, hits=hits)

    def _similar(self, request: protocol.Similar) -> SearchResult:
        engine = self._engine(request.index)
        if request.into is None or request.into == request.index:
            return engine.similar(request.document, request.k, request.where)
        document = engine.document_named(request.document)
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


class _StaleError(Exception):
    """Stored rankings are no longer of the benchmark."""


class LookingUp:
    """Answers what is stored: the list of indexes, the benchmark that was opened last; also
    builds the catalogue's own index."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._benchmark: Benchmark | None = None
        self._rankings: Rankings = {}
        self._index = ""

    def __call__(self, request: protocol.Request, send: Send, check: Check) -> protocol.Reply:
        """SearchResult one request."""
        match request:
            case protocol.ListIndexes():
                return protocol.Listed(list_indexes())
            case protocol.EnsureCatalogue():
                return self._ensure(request, send, check)
            case protocol.OpenBenchmark():
                try:
                    return self._opened(request)
                except _StaleError:
                    return protocol.BenchmarkOpened(stale=True)
            case protocol.ViewQuery():
                return self._view(request.query)
            case protocol.ReadDocument():
                return self._read(request.document)
            case _:
                raise TypeError(f"{type(request).__name__} reads nothing")

    def _ensure(
        self, request: protocol.EnsureCatalogue, send: Send, check: Check
    ) -> protocol.CatalogueReady:
        def report(step: Progress) -> None:
            check()
            send(protocol.Progressed(step))

        found = ensure_catalogue_index(
            request.documents,
            request.fingerprint,
            (lambda: load_encoder(device=self._device, reporter=report))
            if request.vectors
            else None,
            report,
        )
        return protocol.CatalogueReady(found.documents, found.built, found.note)

    def _opened(self, request: protocol.OpenBenchmark) -> protocol.BenchmarkOpened:
        from bioretrieval_tui.evaluation.trec import read_run

        benchmark = read_benchmark(Path(request.folder), request.split)
        if benchmark.sha256 != request.sha256:
            raise _StaleError
        try:
            manifest_of(request.index)
            rankings = {mode: read_run(Path(path)) for mode, path in request.runs.items()}
        except (NotFoundError, IndexFault) as error:
            raise _StaleError from error
        self._benchmark, self._rankings, self._index = benchmark, rankings, request.index
        return protocol.BenchmarkOpened(query_rows(benchmark, rankings))

    def _view(self, query: str) -> protocol.QueryViewed:
        benchmark = self._open_benchmark()
        # Opened again each time, by sizes and remembered checksums: it may be replaced meanwhile.
        index = open_index(self._index, vectors=False)
        try:
            view = query_view(benchmark, self._rankings, query, titles_in(index.documents))
        finally:
            index.close()
        return protocol.QueryViewed(view)

    def _read(self, document: str) -> protocol.DocumentRead:
        self._open_benchmark()
        index = open_index(self._index, vectors=False)
        try:
            found = index.documents.find(document)
        finally:
            index.close()
        return protocol.DocumentRead(None if found is None else (found[1].title, found[1].text))

    def _open_benchmark(self) -> Benchmark:
        if self._benchmark is None:
            raise BioRetrievalError("no benchmark is open", remedy="open one first")
        return self._benchmark


# Jobs -------------------------------------------------------------------------------------------


def run_job(job: protocol.Job, device: str, send: Send, reporter: Reporter) -> protocol.JobResult:
    """Run a job in this process and return its result.

    Raises:
        BioRetrievalError: as the work itself does. KeyboardInterrupt: the process was told so.
    """
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
            return _built(
                add_to_index(
                    job.name, job.inputs, factory_of, settings=job.reading, reporter=reporter
                )
            )
        case protocol.CompactJob():
            return _built(compact_index(job.name, reporter=reporter))
        case protocol.ImportJob():
            return _built(_imported(job, reporter))
        case protocol.VerifyJob():
            return protocol.Verified(verify_index(job.name, reporter))
        case protocol.RemoveJob():
            return protocol.Removed(remove_index(job.name))
        case protocol.EvaluateJob():
            return _evaluated(job, device, send, reporter)
        case protocol.FetchJob() | protocol.LookUpJob():
            return _fetched(job, send, reporter)


def _imported(job: protocol.ImportJob, reporter: Reporter) -> BuildOutcome:
    from bioretrieval_tui.index.importing import import_vectors

    return import_vectors(
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


def _evaluated(
    job: protocol.EvaluateJob, device: str, send: Send, reporter: Reporter
) -> protocol.Evaluated:
    from bioretrieval_tui.evaluation.runner import EvaluationRequest, evaluate_folder

    request = EvaluationRequest(
        folder=job.folder,
        split=job.split,
        modes=job.modes,
        model=job.model,
        recipe=job.recipe,
        device=device,
        reranker=job.reranker,
        reranker_recipe=job.reranker_recipe,
        download=job.download,
        run_file=job.run_file,
    )
    report = evaluate_folder(request, reporter, lambda text: send(protocol.Remarked(text)))
    for note in report.notes:
        send(protocol.Remarked(note))
    facts = msgspec.to_builtins(report)
    return protocol.Evaluated(msgspec.convert(facts, protocol.EvaluationSummary))


def _fetched(
    job: protocol.FetchJob | protocol.LookUpJob, send: Send, reporter: Reporter
) -> protocol.Fetched:
    from bioretrieval_tui.online.fetch import fetch

    waiting: list[Document] = []

    def flush() -> None:
        if waiting:
            send(protocol.Came(waiting.copy()))
            waiting.clear()

    def take(document: Document) -> None:
        waiting.append(document)
        if len(waiting) >= _BATCH:
            flush()

    def report(step: Progress) -> None:
        flush()  # a batch of the service is complete
        reporter(step)

    looking = isinstance(job, protocol.LookUpJob)
    done = fetch(
        job.request,
        report if looking else reporter,
        lambda text: send(protocol.Remarked(text)),
        each=take if looking else lambda _: None,
    )
    flush()
    return protocol.Fetched(done.service, done.records, done.index, done.documents, done.changed)


def _built(outcome: BuildOutcome) -> protocol.Built:
    # A report lists rejected records one by one; the app shows the first of them.
    report = msgspec.structs.replace(
        outcome.report, rejections=outcome.report.rejections[:_MOST_REJECTIONS]
    )
    return protocol.Built(glance(outcome.manifest.name), report, outcome.changed)
