"""A child process of the app: `python -m bioretrieval_tui.backend.server DEVICE [warm]`.

Models are loaded here because importing torch holds Python's lock for hundreds of milliseconds at
a time, and the app could not answer keys meanwhile. Requests come on stdin, replies go to the
original stdout; what a library prints goes to stderr. The process ends when stdin closes.

There are four queues: searches never wait for stored data or for a model, and jobs run in the main
thread, so that `Cancel` interrupts them like ctrl+c. The app gives each job a process of its own.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import faulthandler
import functools
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.backend.launch import WARM
from bioretrieval_tui.catalog.models import Benchmark
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.cross_encoder import load_cross_encoder
from bioretrieval_tui.encoding.encoder_registry import load_encoder, prepare_query_encoder
from bioretrieval_tui.encoding.model_files import fetch_needed
from bioretrieval_tui.errors import BioRetrievalError, IndexFault, InterruptedByUser, NotFoundError
from bioretrieval_tui.evaluation.benchmark import BenchmarkFolder, read_benchmark
from bioretrieval_tui.evaluation.qrels import QueryRow, Rankings, query_rows, query_view
from bioretrieval_tui.evaluation.trec_runs import read_run
from bioretrieval_tui.index import build, registry
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.index.parquet_import import IndexExport
from bioretrieval_tui.index.report import Report
from bioretrieval_tui.index.stores import parse_address
from bioretrieval_tui.index.vector_cache import (
    ImportedVectors,
    known_facts,
)
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.interrupts import keep_interrupts
from bioretrieval_tui.memory import memory_fault
from bioretrieval_tui.progress import Reporter
from bioretrieval_tui.search.catalogue_index import Ensured, index_catalogue
from bioretrieval_tui.search.engine import SearchEngine, reranked
from bioretrieval_tui.search.federated import Federation
from bioretrieval_tui.search.types import SearchResult

_GRACE = 10.0
"""Seconds that cancelled work has for cleaning up once the app is gone."""
_BETWEEN = 0.1
"""Seconds between two progress messages of one stage."""
_NICE = 5
"""Below the priority of the app, whose keys come before vectors."""

_KEPT_OPEN = 4
"""Indexes that stay open, unless more are searched at once."""
_MOST_REJECTIONS = 100
"""Rejected records that are sent to the app."""

_NUMBER_OF_NONE = 0
"""Number of a request of the process itself, whose answer is not sent to a caller."""
_log = logging.getLogger(__name__)

Send = Callable[[protocol.Event], None]
"""Sends an event of the request; progress raises InterruptedByUser if it was cancelled."""
Handler = Callable[[protocol.Sent, Send], object]
"""Makes the answer to a request."""


def _reporter(send: Send) -> Reporter:
    return lambda step: send(protocol.Progressed(step))


def _warned(send: Send, caution: str) -> None:
    send(protocol.Remarked(caution, warns=True))


class Searching:
    """Answers searches; keeps indexes open until a newer build replaces them."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._open: dict[str, SearchEngine] = {}
        self._most = _KEPT_OPEN
        """Indexes that stay open; those of one search stay."""
        self._opening = threading.RLock()
        self._catalogue: Ensured | None = None
        """How the catalogue was indexed; None before its first search."""
        self._encoded = False
        """Whether every entry of the catalogue has its vector."""

    def __call__(self, request: protocol.Sent, send: Send) -> object:
        match request:
            case protocol.Search():
                return self._search(request, send)
            case protocol.Explain():
                engine = self._engine(request.index, send)
                return engine.explain(request.question, request.documents)
            case protocol.Similar():
                self._encode_catalogue(request.into or request.index, send)
                engine = self._engine(request.index, send)
                if request.into is None or request.into == request.index:
                    return engine.similar(request.document, request.k, request.where)
                _, document = engine.found(request.document)
                return self._engine(request.into, send).like(document, request.k, request.where)
            case _:
                raise TypeError(f"{type(request).__name__} is not a search")

    def load(self, request: protocol.Sent, send: Send) -> None:
        """Answer `Load`; searches go on in another thread."""
        if not isinstance(request, protocol.Load):
            raise TypeError(f"{type(request).__name__} does not load")
        self._engine(request.index, send)  # BM25 first
        self._encode_catalogue(request.index, send)
        self._engine(request.index, send).load(_reporter(send))

    def _search(self, request: protocol.Search, send: Send) -> SearchResult:
        question = request.question.checked()  # before an index or a model is opened for it
        report, ranker = _reporter(send), request.reranker
        names = (request.index, *request.also)
        self._release(names)
        self._most = max(_KEPT_OPEN, len(names) + 1)  # one more for similar documents
        indexes = Federation(names, lambda name: self._engine(name, send))
        pending = question.mode != "lexical" and not indexes.ready
        if pending and (request.waits or ranker is not None):
            indexes.load(report)
            pending = False
        found = indexes.search(
            msgspec.structs.replace(question, mode="lexical") if pending else question
        )
        stale = self._catalogue.note if self._catalogue and CATALOGUE in names else None
        found = msgspec.structs.replace(found, pending=pending, note=found.note or stale)
        if ranker is None or not found.hits:
            return found
        send(protocol.Partial(found))
        encoder = load_cross_encoder(
            ranker.model, ranker.recipe, device=self._device, reporter=report
        )
        hits = reranked(
            request.question.text, found.hits, encoder, most=ranker.most, reporter=report
        )
        return msgspec.structs.replace(found, hits=hits)

    def _encode_catalogue(self, name: str, send: Send) -> None:
        """If `name` is the catalogue's index, see that every entry has a vector."""
        if name == CATALOGUE and not self._encoded:
            report = _reporter(send)
            load = functools.partial(load_encoder, device=self._device, reporter=report)
            self._catalogue = index_catalogue(load, report)
            self._encoded = True

    def _release(self, names: Collection[str]) -> None:
        """Close what only one process can have open, unless it is one of these indexes."""
        with self._opening:
            for name, engine in [*self._open.items()]:
                store = engine.index.manifest.store
                if name not in names and store is not None and parse_address(store).exclusive:
                    self._open.pop(name).close()

    def _engine(self, name: str, send: Send) -> SearchEngine:
        with self._opening:
            if name == CATALOGUE and self._catalogue is None:
                self._catalogue = index_catalogue(None, _reporter(send))
            return self._opened(name)

    def _opened(self, name: str) -> SearchEngine:
        engine = self._open.pop(name, None)
        if engine is not None:
            try:
                current = registry.manifest_of(name).generation
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
        while len(self._open) > self._most:
            self._open.pop(next(iter(self._open))).close()
        return engine


class LookingUp:
    """Answers requests about stored data: the list of indexes and the benchmark that was opened
    last."""

    def __init__(self) -> None:
        self._judged: tuple[BenchmarkFolder, Rankings, str] | None = None
        """The benchmark, its rankings, and the name of the index."""

    def __call__(self, request: protocol.Sent, send: Send) -> object:  # noqa: ARG002 - a Handler
        match request:
            case protocol.ListIndexes():
                infos = registry.list_indexes()
                return registry.with_states(infos) if request.stores else infos
            case protocol.FindNamed():
                from bioretrieval_tui.search.engine import documents_named

                names = [one.name for one in registry.list_indexes() if not one.cached]
                hits, missing = documents_named(request.identifiers, names)
                return protocol.Named(tuple(hits), tuple(missing))
            case protocol.OpenBenchmark():
                return self._queries(request)
            case protocol.ViewQuery():
                with self._opened() as (benchmark, rankings, index):
                    return query_view(benchmark, rankings, request.query, index.documents)
            case protocol.CompareRuns():
                from bioretrieval_tui.evaluation.runner import compare_records

                return compare_records(request.first, request.second)
            case protocol.ReadDocument():
                with self._opened() as (_, _, index):
                    found = index.documents.find(request.document)
                return None if found is None else (found[1].title, found[1].text)
            case _:
                raise TypeError(f"{type(request).__name__} is not a look-up")

    def _queries(self, request: protocol.OpenBenchmark) -> list[QueryRow] | None:
        """The judged queries; None if the benchmark changed, or a run or its index is missing."""
        benchmark = read_benchmark(Path(request.folder), request.split)
        if benchmark.sha256 != request.sha256:
            return None
        try:
            registry.manifest_of(request.index)
            rankings = {mode: read_run(Path(path)) for mode, path in request.runs.items()}
        except (NotFoundError, IndexFault):
            return None
        self._judged = benchmark, rankings, request.index
        return query_rows(benchmark, rankings)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[BenchmarkFolder, Rankings, registry.OpenIndex]]:
        """The open benchmark with its index, which is opened each time: it may be replaced."""
        if self._judged is None:
            raise BioRetrievalError("no benchmark is open", remedy="open one first")
        benchmark, rankings, name = self._judged
        with contextlib.closing(registry.open_index(name, vectors=False)) as index:
            yield benchmark, rankings, index


# Jobs -------------------------------------------------------------------------------------------


def run_job(job: protocol.Job, device: str, send: Send) -> protocol.JobResult:
    """Run a job in this process and return its result. Raises KeyboardInterrupt on SIGINT."""
    reporter = _reporter(send)

    def remark(text: str) -> None:
        send(protocol.Remarked(text))

    match job:
        case protocol.VerifyJob():
            return protocol.Verified(verify_index(job.name, reporter))
        case protocol.RemoveJob():
            return protocol.Removed(registry.remove_index(job.name, trash=True))
        case protocol.EvaluateJob():
            from bioretrieval_tui.evaluation.runner import EvaluationRequest, evaluate_folder

            facts = msgspec.structs.asdict(job)
            del facts["purpose"]
            measured = evaluate_folder(EvaluationRequest(device=device, **facts), reporter, remark)
            for note in measured.notes:
                remark(note)
            summary = msgspec.convert(measured, protocol.EvaluationSummary, from_attributes=True)
            return protocol.Evaluated(summary)
        case protocol.FetchJob():
            from bioretrieval_tui.online.fetch import fetch

            shown = job.request.index is None
            each = (lambda one: send(protocol.Came([one]))) if shown else (lambda _: None)
            warn = functools.partial(_warned, send)
            return fetch(job.request, reporter, remark, warn=warn, each=each)
        case protocol.TrainJob():
            return _train(job, reporter, remark)
        case protocol.FetchBenchmarkJob():
            return _fetch_benchmark(job.name, reporter)
        case protocol.CompactJob():
            outcome = build.compact_index(job.name, reporter=reporter)
        case _:
            outcome = fill_index(job, device, reporter, Report())
    # A report lists rejected records one by one; the app shows the first of them.
    few, passed = (
        listed[:_MOST_REJECTIONS] for listed in (outcome.report.rejections, outcome.report.skipped)
    )
    report = msgspec.structs.replace(outcome.report, rejections=few, skipped=passed)
    return protocol.Built(registry.info(outcome.manifest.name, deep=False), report, outcome.changed)


def _train(
    job: protocol.TrainJob, reporter: Reporter, remark: Callable[[str], None]
) -> protocol.JobResult:
    from bioretrieval_tui.training import training_run

    request = job.request
    if job.download:
        fetch_needed(request.base, request.encoding, reporter)
        if request.teacher:
            fetch_needed(request.teacher, request.teacher_encoding, reporter)
    if job.plan:
        return training_run.plan(request, reporter, remark)
    lineage = training_run.train(request, reporter, remark, finish=job.finish)
    return protocol.Trained(lineage.name, lineage.line())


def _fetch_benchmark(name: str, reporter: Reporter) -> protocol.BenchmarkFetched:
    from bioretrieval_tui.catalog.compiled import load
    from bioretrieval_tui.online import archives
    from bioretrieval_tui.online.http import HttpClient

    entry, folder = load().catalogue.by_id.get(name), archives.benchmark_folder(name)
    if not isinstance(entry, Benchmark):
        raise NotFoundError(f"no benchmark has the id {name!r}")
    if not folder.is_dir():
        with HttpClient() as client:
            archives.fetch_benchmark(client, entry, folder, reporter=reporter)
    return protocol.BenchmarkFetched(str(folder))


def fill_index(
    job: protocol.FillJob,
    device: str,
    reporter: Reporter,
    report: Report,
) -> build.BuildOutcome:
    """Put documents into an index; `report` is filled meanwhile: it is there after errors."""
    how: dict[str, Any] = {"reporter": reporter, "report": report}
    if not isinstance(job, protocol.VectorsJob | protocol.ParquetJob):
        how["settings"] = job.reading
    match job:
        case protocol.AddJob():
            return build.add_to_index(job.name, job.inputs, device=device, **how)
        case protocol.ImportJob():
            vectors, ids = (list(map(Path, paths)) for paths in (job.vectors, job.ids))
            source = ImportedVectors(vectors, ids, job.model, job.recipe, job.dimension)
            return build.build_index(job.name, job.documents, source, **how)
        case protocol.MedcptJob():
            from bioretrieval_tui.online.medcpt_chunks import build_from_chunks

            folder = None if job.folder is None else Path(job.folder)
            how["reading"] = how.pop("settings")
            chunks = (job.name, job.numbers, folder)
            return build_from_chunks(*chunks, job.model, job.recipe, most=job.most, **how)
        case protocol.ParquetJob():
            export = IndexExport(job.inputs)
            how["ids"] = export.facts.ids
            return build.build_index(job.name, export.feed, export.vectoriser, **how)
        case protocol.BuildJob():
            model = job.model or embedded.MODEL_ID
            how |= {"replace": job.replace, "ids": job.ids, "passages": job.passages}
            if job.download and not job.lexical:
                fetch_needed(model, job.recipe, reporter)
            how |= {"lexical": job.lexical, "device": device, "in_store": job.store is not None}
            outcome = build.build_for_model(job.name, job.inputs, model, job.recipe, **how)
            if job.store is None:
                return outcome
            from bioretrieval_tui.index.store_index import copy_to_store

            copy_to_store(job.name, parse_address(job.store), to=job.name, reporter=reporter)
            return msgspec.structs.replace(outcome, manifest=registry.manifest_of(job.name))
        case protocol.VectorsJob():
            named = registry.manifest_of(job.name)
            recipe = named.recipe if job.model is None else job.recipe
            model = job.model or named.model
            if job.download:
                fetch_needed(model, recipe, reporter)
            load = functools.partial(load_encoder, model, recipe, device=device, reporter=reporter)
            outcome = build.add_vectors(
                job.name,
                load,
                facts=known_facts(model, recipe),
                passages=job.passages,
                **how,
            )
            prepare_query_encoder(model, recipe, reporter=reporter)
            return outcome


# The process ------------------------------------------------------------------------------------


class Wire:
    """Both directions of the protocol: one reading thread, any number of sending ones."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO) -> None:
        self._requests = requests
        self._replies = replies
        self._sending = threading.Lock()

    def send(self, number: int, reply: protocol.Reply) -> None:
        """Send a reply; once the app is gone, nothing happens: stdin ends then."""
        line = protocol.line_of(number, reply)
        with self._sending, contextlib.suppress(OSError, ValueError):
            self._replies.write(line)
            self._replies.flush()

    def receive(self) -> tuple[int, protocol.Sent] | None:
        """Wait for the next request; None at the end of the input. Raises ProtocolError."""
        line = self._requests.readline(protocol.MOST_BYTES)
        return protocol.decode(line, tuple[int, protocol.Sent]) if line else None


@dataclasses.dataclass(slots=True)
class _Received:
    """A request, the switch that stops it, and when its progress was last sent."""

    number: int
    request: protocol.Sent
    wire: Wire
    cancelled: threading.Event = dataclasses.field(default_factory=threading.Event)
    stage: str = ""
    sent_at: float = 0.0

    def check(self) -> None:
        if self.cancelled.is_set():
            raise InterruptedByUser("interrupted; nothing was changed")

    def send(self, event: protocol.Event) -> None:
        """Send an event; of progress the first and the last step of a stage, and one every 0.1 s.

        Raises:
            InterruptedByUser: it is progress of a cancelled request.
        """
        if isinstance(event, protocol.Progressed):
            self.check()
            now, step = time.monotonic(), event.progress
            if step.stage == self.stage and step.share != 1.0 and now - self.sent_at < _BETWEEN:
                return
            self.stage, self.sent_at = step.stage, now
        self.wire.send(self.number, event)

    def answer(self, handler: Handler) -> None:
        reply: protocol.Reply
        try:
            value = handler(self.request, self.send)
            self.check()
            reply = protocol.Answered(msgspec.Raw(msgspec.json.encode(value)))
        except BioRetrievalError as error:
            reply = protocol.Failed.of(memory_fault(error) or error)
        except KeyboardInterrupt as error:
            kept = " ".join(getattr(error, "__notes__", ()))
            reply = protocol.Failed("InterruptedByUser", "interrupted", kept=kept)
        except Exception as error:  # noqa: BLE001 - the app must not wait for ever
            _log.exception("request %d failed", self.number)
            text = f"unexpected {type(error).__name__}: {error}"
            reply = protocol.Failed("", text, "see search.log in the state folder")
            if (shortage := memory_fault(error)) is not None:
                reply = protocol.Failed.of(shortage)
        self.wire.send(self.number, reply)


class RequestQueue:
    """Answers requests one after another; a newer search supersedes one that waits.

    stop_work: called once, at most, for the request that runs when it is cancelled.
    """

    def __init__(
        self, handler: Handler, wire: Wire, stop_work: Callable[[], None] = lambda: None
    ) -> None:
        self._handler = handler
        self._wire = wire
        self._stop_work = stop_work
        self._waiting: collections.deque[_Received] = collections.deque()
        self._current: _Received | None = None
        self._stopping = False
        self._changed = threading.Condition()

    def put(self, number: int, request: protocol.Sent) -> None:
        """Queue a request. A search of the same stream that still waits is superseded by it."""
        stream = getattr(request, "stream", None)
        with self._changed:
            if stream is not None:
                self._drop(
                    lambda old: getattr(old.request, "stream", None) == stream,
                    protocol.SupersededError("superseded by a newer search"),
                )
            self._waiting.append(_Received(number, request, self._wire))
            self._changed.notify()

    def cancel(self, number: int) -> None:
        """Stop a request; an unknown or finished one is ignored."""
        with self._changed:
            self._drop(lambda one: one.number == number, InterruptedByUser("interrupted"))
            if self._current is not None and self._current.number == number:
                self._cancel_current(self._current)

    def stop(self) -> None:
        """Take no more requests and cancel the one that runs."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            if self._current is not None:
                self._cancel_current(self._current)
            self._changed.notify()

    def _drop(self, chosen: Callable[[_Received], bool], error: BioRetrievalError) -> None:
        for one in [one for one in self._waiting if chosen(one)]:
            self._waiting.remove(one)
            self._wire.send(one.number, protocol.Failed.of(error))

    def _cancel_current(self, current: _Received) -> None:
        if not current.cancelled.is_set():
            current.cancelled.set()
            self._stop_work()

    def run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return
                self._current = self._waiting.popleft()
            self._current.answer(self._handler)
            with self._changed:
                self._current = None


def serve(wire: Wire, device: str = "auto", warm: str = "") -> int:
    """Answer requests until stdin closes; return the exit code of the process. warm: WARM loads
    the catalogue's index and model before they are asked for."""
    main_thread, code = threading.get_ident(), 0

    def work(request: protocol.Sent, send: Send) -> object:
        if not isinstance(request, protocol.RunJob):
            raise TypeError(f"{type(request).__name__} is not a job")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return run_job(request.job, device, send)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    searching = Searching(device)
    searches, loads = (RequestQueue(one, wire) for one in (searching, searching.load))
    look_ups = RequestQueue(LookingUp(), wire)
    # If the signal is lost, the next step of the job ends it.
    jobs = RequestQueue(work, wire, lambda: signal.pthread_kill(main_thread, signal.SIGINT))
    queues = (searches, loads, look_ups, jobs)

    def listen() -> None:
        nonlocal code
        try:
            while (received := wire.receive()) is not None:
                number, request = received
                if isinstance(request, protocol.Cancel):
                    for queue in queues:
                        queue.cancel(number)
                elif isinstance(request, protocol.RunJob):
                    jobs.put(number, request)
                elif isinstance(request, protocol.SearchRequest):
                    searches.put(number, request)
                elif isinstance(request, protocol.Load):
                    loads.put(number, request)
                else:
                    look_ups.put(number, request)
        except OSError:
            pass  # as at the end of the input
        except protocol.ProtocolError:
            _log.exception("the app sent something that is not a request")
            code = 1
        for queue in queues:
            queue.stop()
        time.sleep(_GRACE)
        os._exit(1)  # the work did not end in time, and the app is gone

    if warm == WARM:
        loads.put(_NUMBER_OF_NONE, protocol.Load(CATALOGUE))
    threads = [threading.Thread(target=one.run, daemon=True) for one in queues[:-1]]
    for thread in (*threads, threading.Thread(target=listen, daemon=True)):
        thread.start()
    jobs.run()
    for thread in threads:
        thread.join()
    return code


def main() -> None:
    """Serve on this process's stdin and stdout, then end the process at once."""
    wire = Wire(*take_over_streams())
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s"
    )
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the app handles ctrl+c
    keep_interrupts()
    with contextlib.suppress(OSError, AttributeError):
        os.nice(_NICE)
    code = serve(wire, *sys.argv[1:])
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # Threads of model libraries may still run; there is nothing left to wait for.
    os._exit(code)


def take_over_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep stdin and stdout for the protocol; put the null device and stderr in their places."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


if __name__ == "__main__":
    main()
