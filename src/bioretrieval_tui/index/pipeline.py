"""From a feed to a segment: reading, encoding and inserting at once, each in its own thread.

Reading runs ahead, into the store on disk, so that what is left to do is soon known and memory
does not grow with the corpus. The calling thread encodes, window after window, and is the only one
that reports, so that a reporter may raise. A third one writes vectors, grows the graph and cuts
words. Windows are counted by label, so what a window holds depends on the files alone.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bioretrieval_tui.corpus.document import Document
from bioretrieval_tui.corpus.writer import StoreWriter
from bioretrieval_tui.index.graph import GraphBuilder
from bioretrieval_tui.index.intake import Feed, Intake, empty_fault
from bioretrieval_tui.index.layout import VECTORS
from bioretrieval_tui.index.lexical.runs import RunWriter
from bioretrieval_tui.index.vectorise import Halves, ModelFacts, Vectoriser
from bioretrieval_tui.progress import Progress, Reporter

WINDOW = 512
"""Documents that are encoded together: enough to sort by length, little to hold or to lose."""
_ON_A_CARD = 16
"""Times as many on an accelerator, where so few would be gone before the next ones are there."""
_WAITING = 4
"""Encoded windows that may wait for the third thread."""
_PATIENCE = 5.0
_LOOK = 0.1
"""Seconds between two looks at the reader while there is nothing to encode."""


class _StoppedError(Exception):
    """Told to a thread whose work nobody wants any more."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A filled segment: the facts of its vectors, and the graph with all of them; None where the
    documents get no vectors."""

    facts: ModelFacts
    graph: GraphBuilder | None


GraphStarter = Callable[[ModelFacts], GraphBuilder | None]


def fill(
    folder: Path,
    writer: StoreWriter,
    feed: Feed,
    intake: Intake,
    vectoriser: Vectoriser,
    runs: RunWriter,
    start_graph: GraphStarter,
    reporter: Reporter,
) -> Filled:
    """Put everything that `feed` gives into the store, and its vectors, graph and words beside.

    Raises CorpusError where there is no document at all, and whatever reading, encoding, writing
    or `reporter` raise; the first of them, and no thread is left behind.
    """
    reader = _Reader(feed, intake)
    reader.start()
    sink: _Sink | None = None
    try:
        reader.wait_for_rows(writer, WINDOW, lambda: reporter(_reading(intake)))
        if not writer.next:
            raise empty_fault(intake.report)  # before a model is loaded for nothing
        facts = vectoriser.start()
        graph = start_graph(facts)
        sink = _Sink(folder / VECTORS, graph, runs)
        sink.start()
        _encode_all(writer, reader, vectoriser, sink, _Teller(intake, reader, vectoriser, reporter))
        sink.finish()
    finally:
        reader.stop()
        if sink is not None:
            sink.stop()
    return Filled(facts, graph)


def _encode_all(
    writer: StoreWriter, reader: _Reader, vectoriser: Vectoriser, sink: _Sink, tell: _Teller
) -> None:
    start = writer.first
    while True:
        # A model that was not needed yet has no device; what is looked up needs no large window.
        on_a_card = vectoriser.device.partition(":")[0] in ("cuda", "mps")
        window = WINDOW * (_ON_A_CARD if on_a_card else 1)
        reader.wait_for_rows(writer, start + window - writer.first, tell.again)
        if reader.over:
            sink.expect(writer.next)
        documents = writer.read(start, window)
        if not documents:
            return
        vectors = vectoriser.vectors(documents, tell.within)
        tell.finished(len(documents))
        sink.put(start, documents, vectors)
        start += len(documents)


class _Reader(threading.Thread):
    """Runs the feed; what it raises is raised again in `wait_for_rows`."""

    def __init__(self, feed: Feed, intake: Intake) -> None:
        super().__init__(name="reading", daemon=True)
        self._feed = feed
        self._intake = intake
        self._stop_wanted = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self.over = False

    def run(self) -> None:
        """Read to the end, or until stopped."""
        self._intake.step = self._step
        try:
            self._feed(self._intake)
        except _StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self._error = error
        with self._changed:
            self.over = True
            self._changed.notify()

    def wait_for_rows(self, writer: StoreWriter, rows: int, look: Callable[[], None]) -> None:
        """Until the segment has so many rows or reading is over; `look` now and then."""
        while True:
            with self._changed:
                if self.over or writer.rows >= rows:
                    break
                self._changed.wait(_LOOK)
            look()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the thread, whether it is through or not."""
        self._stop_wanted = True
        # One that waits for a pipe may never look up; it holds nothing but its place in the pipe.
        self.join(_PATIENCE)

    def _step(self) -> None:
        if self._stop_wanted:
            raise _StoppedError
        if self._intake.writer.rows % WINDOW == 0:
            with self._changed:
                self._changed.notify()


class _Sink(threading.Thread):
    """Writes vectors, grows the graph and cuts words, window by window in order."""

    def __init__(self, path: Path, graph: GraphBuilder | None, runs: RunWriter) -> None:
        super().__init__(name="inserting", daemon=True)
        self._path = path
        self._graph = graph
        self._runs = runs
        self._total = 0
        self._error: BaseException | None = None
        self._waiting: queue.Queue[tuple[int, Sequence[Document], Halves] | None] = queue.Queue(
            _WAITING
        )

    def expect(self, total: int) -> None:
        """How many labels there will be in all."""
        self._total = total

    def put(self, first: int, documents: Sequence[Document], vectors: Halves) -> None:
        """Hand over a window; raises what the thread raised meanwhile."""
        self._hand_over((first, documents, vectors))

    def finish(self) -> None:
        """Wait until everything is in."""
        self._hand_over(None)
        self.join()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the thread; what still waits is dropped."""
        while self.is_alive():
            with contextlib.suppress(queue.Empty):
                self._waiting.get_nowait()
            try:
                self._waiting.put_nowait(None)
            except queue.Full:
                continue
            self.join(_LOOK)

    def run(self) -> None:
        """Work until told to stop or something fails."""
        try:
            with self._path.open("wb") as out:
                while (window := self._waiting.get()) is not None:
                    first, documents, vectors = window
                    out.write(np.ascontiguousarray(vectors, dtype="<f2").data)
                    if self._graph is not None:
                        if self._total:
                            self._graph.expect(self._total)
                        self._graph.add(vectors.astype(np.float32), first)
                    self._runs.add(first, documents)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self._error = error

    def _hand_over(self, window: tuple[int, Sequence[Document], Halves] | None) -> None:
        while self._error is None:
            try:
                self._waiting.put(window, timeout=_LOOK)
            except queue.Full:
                continue
            return
        raise self._error


class _Teller:
    """Makes one progress of what reader and encoder do."""

    def __init__(
        self, intake: Intake, reader: _Reader, vectoriser: Vectoriser, reporter: Reporter
    ) -> None:
        self._intake = intake
        self._reader = reader
        self._vectoriser = vectoriser
        self._reporter = reporter
        self._started = time.perf_counter()
        self._done = 0

    def within(self, step: Progress) -> None:
        """A batch of the window is done."""
        self._tell(self._done + step.done, step.done, step.note)

    def finished(self, count: int) -> None:
        """A window is done."""
        self._done += count
        self._tell(self._done, 0, None)

    def again(self) -> None:
        """Nothing new but what was read."""
        self._tell(self._done, 0, None)

    def _tell(self, done: int, running: int, note: str | None) -> None:
        encoded = self._vectoriser.encoded + running
        elapsed = time.perf_counter() - self._started
        sure = encoded > 0 and elapsed > 0
        tokens = self._vectoriser.tokens
        self._reporter(
            Progress(
                "encoding",
                done,
                # Known as soon as all is read, which may be in the middle of a long window.
                self._intake.writer.rows if self._reader.over else None,
                rate=encoded / elapsed if sure else None,
                note=note,
                tokens_rate=tokens / elapsed if sure and tokens else None,
                device=self._vectoriser.device or None,
                read=self._intake.report.read,
                input_share=self._intake.share,
            )
        )


def _reading(intake: Intake) -> Progress:
    return Progress(
        "reading", intake.report.read, note=intake.file, input_share=intake.share, unit="records"
    )
