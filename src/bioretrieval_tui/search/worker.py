"""The two workers of the search process: one searches, one builds, both with the same models.

A search never waits for a build: the encoder lets queries go first, and the old index answers
until the new one is complete.
"""

from __future__ import annotations

import collections
import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import (
    load_cross_encoder,
    load_encoder,
    prepare_query_encoder,
)
from bioretrieval_tui.errors import BioRetrievalError, FilterError, InterruptedByUser
from bioretrieval_tui.index.build import (
    Outcome,
    add_to_index,
    build_index,
    compact_index,
)
from bioretrieval_tui.index.registry import glance, manifest_of, remove_index
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.search import protocol
from bioretrieval_tui.search.catalogue import ensure_catalogue_index
from bioretrieval_tui.search.encoders import encoder_factory_of
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.hits import Answer
from bioretrieval_tui.search.rerank import reranked

Send = Callable[[protocol.Reply], None]

_BETWEEN = 0.1
"""Seconds between two progress messages of one stage."""
_KEPT = 4
"""Indexes that stay open."""
_MOST_TOLD = 100
"""Rejected records that are told to the app."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Job:
    """A request with the switch that stops it."""

    request: protocol.Asking | protocol.Work
    cancelled: threading.Event = field(default_factory=threading.Event)

    def reporter(self, send: Send) -> Reporter:
        """Sends some of the steps it hears, and stops the work once the job is cancelled."""
        last = ("", 0.0)

        def report(step: Progress) -> None:
            nonlocal last
            self.check()
            now = time.monotonic()
            if step.stage != last[0] or step.share == 1.0 or now - last[1] >= _BETWEEN:
                last = (step.stage, now)
                send(protocol.Progressed(self.request.id, step))

        return report

    def check(self) -> None:
        """Raise InterruptedByUser if the job was cancelled."""
        if self.cancelled.is_set():
            raise InterruptedByUser("interrupted; nothing was changed")


class Worker(threading.Thread):
    """Runs jobs one after another; `stop` ends it after the one that runs, which is cancelled."""

    def __init__(self, name: str, run: Callable[[Job], None], send: Send) -> None:
        super().__init__(name=name, daemon=True)
        self._run = run
        self._send = send
        self._waiting: collections.deque[Job] = collections.deque()
        self._current: Job | None = None
        self._stopping = False
        self._changed = threading.Condition()

    def put(self, job: Job) -> None:
        """Queue a job. A search of the same stream that still waits is superseded by it."""
        displaced: list[Job] = []
        with self._changed:
            if isinstance(job.request, protocol.Asking):
                displaced = [old for old in self._waiting if _same_stream(old, job)]
                for old in displaced:
                    self._waiting.remove(old)
            self._waiting.append(job)
            self._changed.notify()
        for old in displaced:
            self._send(_interrupted(old.request.id, superseded=True))

    def cancel(self, identifier: int) -> None:
        """Stop the job of this request; an unknown or finished one is no fault."""
        removed = False
        with self._changed:
            for job in list(self._waiting):
                if job.request.id == identifier:
                    self._waiting.remove(job)
                    removed = True
            if self._current is not None and self._current.request.id == identifier:
                self._current.cancelled.set()
        if removed:
            self._send(_interrupted(identifier))

    def stop(self) -> None:
        """Take no more jobs and cancel the one that runs."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            if self._current is not None:
                self._current.cancelled.set()
            self._changed.notify()

    def run(self) -> None:
        """Run jobs until stopped; what a job raises is its answer."""
        while True:
            with self._changed:
                self._current = None
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return
                job = self._current = self._waiting.popleft()
            try:
                self._run(job)
            except BioRetrievalError as error:
                self._send(failure(job.request.id, error))
            except Exception as error:  # noqa: BLE001 - answered and logged
                # A defect of ours must answer too, or the app would wait for ever.
                _log.exception("request %d failed", job.request.id)
                self._send(
                    failure(
                        job.request.id,
                        BioRetrievalError(
                            f"the search process failed: {type(error).__name__}: {error}",
                            remedy="see search.log in the state folder",
                        ),
                    )
                )


class Searching:
    """Answers questions; keeps the indexes that it opened until a newer build replaces them."""

    def __init__(self, device: str, send: Send) -> None:
        self._device = device
        self._send = send
        self._open: dict[str, SearchEngine] = {}

    def __call__(self, job: Job) -> None:
        request = job.request
        reporter = job.reporter(self._send)
        match request:
            case protocol.Search():
                answer = self._search(request, job, reporter)
            case protocol.Similar():
                answer = self._similar(request)
            case protocol.Explain():
                engine = self._engine(request.index)
                reasons = engine.why(request.question, request.documents)
                job.check()
                self._send(protocol.Explained(request.id, reasons))
                return
            case _:
                raise TypeError(f"{type(request).__name__} is no question")
        job.check()
        self._send(protocol.Found(request.id, answer))

    def _search(self, request: protocol.Search, job: Job, reporter: Reporter) -> Answer:
        request.question.checked()  # before an index or a model is opened for it
        engine = self._engine(request.index)
        if request.question.mode != "lexical":
            engine.load(reporter)
        asked = request.reranker
        answer = engine.search(request.question)
        if asked is None or not answer.hits:
            return answer
        job.check()
        self._send(protocol.Partly(request.id, answer))
        encoder = load_cross_encoder(
            asked.model, asked.recipe, device=self._device, reporter=reporter
        )
        hits = reranked(
            request.question.text, answer.hits, encoder, most=asked.most, reporter=reporter
        )
        return dataclasses.replace(answer, hits=hits)

    def _similar(self, request: protocol.Similar) -> Answer:
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
            # Its model is loaded when a question first needs it: words alone do not.
            engine = SearchEngine.open(name, device=self._device, ready=False)
        self._open[name] = engine
        while len(self._open) > _KEPT:
            self._open.pop(next(iter(self._open))).close()
        return engine


class Building:
    """Builds, extends, compacts, checks and removes indexes, one at a time."""

    def __init__(self, device: str, send: Send) -> None:
        self._device = device
        self._send = send

    def __call__(self, job: Job) -> None:
        request = job.request
        reporter = job.reporter(self._send)
        match request:
            case protocol.EnsureCatalogue():
                self._ensure(request, reporter)
            case protocol.Build():
                self._built(request.id, self._build(request, reporter))
            case protocol.Extend():
                factory_of = encoder_factory_of(self._device, reporter)
                outcome = add_to_index(
                    request.name,
                    request.inputs,
                    factory_of,
                    settings=request.reading,
                    reporter=reporter,
                )
                self._built(request.id, outcome)
            case protocol.Compact():
                self._built(request.id, compact_index(request.name, reporter=reporter))
            case protocol.Verify():
                found = verify_index(request.name, reporter)
                self._send(protocol.Verified(request.id, found))
            case protocol.Remove():
                self._send(protocol.Removed(request.id, remove_index(request.name)))
            case _:
                raise TypeError(f"{type(request).__name__} builds nothing")

    def _ensure(self, request: protocol.EnsureCatalogue, reporter: Reporter) -> None:
        ensured = ensure_catalogue_index(
            request.documents,
            request.fingerprint,
            (lambda: load_encoder(device=self._device, reporter=reporter))
            if request.vectors
            else None,
            reporter,
        )
        self._send(protocol.Ensured(request.id, ensured.documents, ensured.built, ensured.note))

    def _build(self, request: protocol.Build, reporter: Reporter) -> Outcome:
        model = request.model or embedded.MODEL_ID
        outcome = build_index(
            request.name,
            request.inputs,
            lambda: load_encoder(model, request.recipe, device=self._device, reporter=reporter),
            settings=request.reading,
            reporter=reporter,
            replace=request.replace,
            ids=request.ids,
        )
        prepare_query_encoder(model, request.recipe, reporter=reporter)
        return outcome

    def _built(self, identifier: int, outcome: Outcome) -> None:
        # A report lists rejected records one by one; the app shows the first of them.
        report = msgspec.structs.replace(
            outcome.report, rejections=outcome.report.rejections[:_MOST_TOLD]
        )
        found = glance(outcome.manifest.name)
        self._send(protocol.Built(identifier, found, report, outcome.changed))


def failure(identifier: int, error: BioRetrievalError) -> protocol.Failed:
    """An error as a reply."""
    failed = protocol.Failed(
        identifier, _public_name(error), error.message, error.remedy, error.exit_code
    )
    if isinstance(error, FilterError):
        return msgspec.structs.replace(failed, expression=error.expression, column=error.column)
    return failed


def _public_name(error: BioRetrievalError) -> str:
    """The nearest type of `errors.py`: a room's own subtype is known to that room only."""
    for kind in type(error).__mro__:
        if kind.__module__ == "bioretrieval_tui.errors":
            return kind.__name__
    return BioRetrievalError.__name__


def _interrupted(identifier: int, *, superseded: bool = False) -> protocol.Failed:
    error = InterruptedByUser("superseded by a newer search" if superseded else "interrupted")
    return protocol.Failed(
        identifier,
        type(error).__name__,
        error.message,
        None,
        error.exit_code,
        superseded=superseded,
    )


def _same_stream(one: Job, other: Job) -> bool:
    return (
        isinstance(one.request, protocol.Asking)
        and isinstance(other.request, protocol.Asking)
        and one.request.stream == other.request.stream
    )
