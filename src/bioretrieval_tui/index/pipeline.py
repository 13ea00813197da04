"""From a feed to a segment: reading, encoding and inserting at once, each in its own thread.

Reading runs ahead, into the store on disk, so that the total is soon known and memory does not
grow with the corpus. The calling thread encodes, window after window, and is the only one that
reports, so that a reporter may raise. A third thread writes vectors, grows the graph and adds to
the text index. Windows are counted by label, so the documents of a window depend on the files
alone.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.store import StoreWriter
from bioretrieval_tui.index.hnsw import GraphBuilder
from bioretrieval_tui.index.intake import Feed, Intake, empty_fault
from bioretrieval_tui.index.layout import VECTORS
from bioretrieval_tui.index.text_index import TextIndexWriter
from bioretrieval_tui.index.vector_cache import ModelFacts, Vectoriser
from bioretrieval_tui.index.vectors import Halves
from bioretrieval_tui.progress import Progress, Reporter

WINDOW = 512
"""Documents that are encoded together: enough to sort by length, few to hold or to lose."""
_ACCELERATED = 16
"""Times as many on an accelerator, which encodes a single window too quickly to stay busy."""
_WAITING = 4
"""Encoded windows that may wait for the third thread."""
_PATIENCE = 5.0
"""Seconds that a stopped reader gets to end."""
_LOOK = 0.1
"""Seconds between two looks at the reader while there is nothing to encode."""


class _StoppedError(Exception):
    """Ends the reading thread of a build that was stopped."""


def fill(
    folder: Path,
    writer: StoreWriter,
    feed: Feed,
    intake: Intake,
    vectoriser: Vectoriser,
    text: TextIndexWriter,
    start_graph: Callable[[ModelFacts], GraphBuilder | None],
    reporter: Reporter,
) -> tuple[ModelFacts, GraphBuilder | None]:
    """Put the documents of `feed` into the store, with their vectors, graph and text index.

    Returns the facts of the vectors, and the graph of all of them; None without vectors. Closes
    `vectoriser`.

    Raises CorpusError if there is no document at all, and the first error that reading, encoding,
    writing or `reporter` raise; all threads are ended then.
    """
    reader = _Reader(feed, intake)
    reader.start()
    sink: _Sink | None = None

    def tell_reading() -> None:
        read, share = intake.report.read, intake.share
        reporter(Progress("reading", read, note=intake.file, input_share=share, unit="records"))

    try:
        reader.wait_for_rows(writer, WINDOW, tell_reading)
        if not writer.next:
            raise empty_fault(intake.report)  # before a model is loaded for nothing
        facts = vectoriser.start()
        graph = start_graph(facts)
        sink = _Sink(folder / VECTORS, graph, text)
        sink.start()
        tell = _Teller(intake, reader, vectoriser, reporter)
        start = writer.first
        while True:
            # No device: no model was needed so far, and looking up needs no large window.
            accelerated = vectoriser.device.partition(":")[0] in ("cuda", "mps")
            window = WINDOW * (_ACCELERATED if accelerated else 1)
            reader.wait_for_rows(writer, start + window - writer.first, tell)
            if reader.over:
                sink.total = writer.next
            documents = writer.read(start, window)
            if not documents:
                break
            vectors = vectoriser.vectors(documents, tell)
            tell.done += len(documents)
            tell()
            sink.put(start, documents, vectors)
            start += len(documents)
        sink.finish()
    finally:
        reader.stop()
        if sink is not None:
            sink.stop()
        vectoriser.close()
    return facts, graph


class _Reader(threading.Thread):
    """Runs the feed; `wait_for_rows` raises the error of the feed."""

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
        """Wait for so many rows of the segment or the end of reading; call `look` meanwhile."""
        while True:
            with self._changed:
                if self.over or writer.rows >= rows:
                    break
                self._changed.wait(_LOOK)
            look()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the thread, finished or not."""
        self._stop_wanted = True
        # A thread that waits for a pipe may not end; it holds nothing but the pipe.
        self.join(_PATIENCE)

    def _step(self) -> None:
        if self._stop_wanted:
            raise _StoppedError
        if self._intake.writer.rows % WINDOW == 0:
            with self._changed:
                self._changed.notify()


_EncodedWindow = tuple[int, Sequence[Document], Halves]


class _Sink(threading.Thread):
    """Writes vectors and adds to graph and text index, window by window in order.

    total: labels there will be in all; 0 while unknown.
    """

    def __init__(self, path: Path, graph: GraphBuilder | None, text: TextIndexWriter) -> None:
        super().__init__(name="inserting", daemon=True)
        self._path = path
        self._graph = graph
        self._text = text
        self._error: BaseException | None = None
        self._waiting: queue.Queue[_EncodedWindow | None] = queue.Queue(_WAITING)
        self.total = 0

    def put(self, first: int, documents: Sequence[Document], vectors: Halves) -> None:
        """Hand over a window; raises the error of the thread."""
        self._hand_over((first, documents, vectors))

    def finish(self) -> None:
        """Wait until everything is inserted."""
        self._hand_over(None)
        self.join()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the thread and drop the windows that still wait."""
        while self.is_alive():
            with contextlib.suppress(queue.Empty):
                self._waiting.get_nowait()
            with contextlib.suppress(queue.Full):
                self._waiting.put_nowait(None)
                self.join(_LOOK)

    def run(self) -> None:
        """Insert until finished, stopped, or something fails."""
        try:
            with self._path.open("wb") as out:
                while (window := self._waiting.get()) is not None:
                    first, documents, vectors = window
                    out.write(np.ascontiguousarray(vectors, dtype="<f2").data)
                    if self._graph is not None:
                        self._graph.expect(self.total)
                        self._graph.add(vectors.astype(np.float32), first)
                    self._text.add(first, documents)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self._error = error

    def _hand_over(self, window: _EncodedWindow | None) -> None:
        while self._error is None:
            with contextlib.suppress(queue.Full):
                self._waiting.put(window, timeout=_LOOK)
                return
        raise self._error


class _Teller:
    """Joins what reader and encoder have done to one progress; done: documents of all windows."""

    def __init__(
        self, intake: Intake, reader: _Reader, vectoriser: Vectoriser, reporter: Reporter
    ) -> None:
        self._intake = intake
        self._reader = reader
        self._vectoriser = vectoriser
        self._reporter = reporter
        self._started = time.perf_counter()
        self.done = 0

    def __call__(self, step: Progress | None = None) -> None:
        """Report; `step` is a batch of the window that is being encoded."""
        running = 0 if step is None else step.done
        encoded, tokens = self._vectoriser.encoded + running, self._vectoriser.tokens
        elapsed = time.perf_counter() - self._started
        sure = encoded > 0 and elapsed > 0
        self._reporter(
            Progress(
                "encoding",
                self.done + running,
                # Known as soon as all is read, which may be in the middle of a long window.
                self._intake.writer.rows if self._reader.over else None,
                rate=encoded / elapsed if sure else None,
                note=None if step is None else step.note,
                tokens_rate=tokens / elapsed if sure and tokens else None,
                device=self._vectoriser.device or None,
                read=self._intake.report.read,
                input_share=self._intake.share,
            )
        )
