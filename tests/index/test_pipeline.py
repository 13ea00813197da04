"""Reading, encoding and inserting at once: whatever fails, no thread and no ruin is left."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hashing_encoder import HashingEncoder, write_corpus
from index_help import feeding, held, never, record, tree, whole

from bioretrieval_tui.documents.document import Item
from bioretrieval_tui.errors import CorpusError, IndexFault, InterruptedByUser, ModelError
from bioretrieval_tui.index import build, intake
from bioretrieval_tui.index.build import WINDOW, build_index
from bioretrieval_tui.index.graph import GraphBuilder
from bioretrieval_tui.index.intake import Intake
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.report import Report
from bioretrieval_tui.index.text_index import TextIndexWriter
from bioretrieval_tui.index.vector_cache import ModelVectors
from bioretrieval_tui.progress import Progress

COUNT = 3 * WINDOW + 100
SECONDS = 60.0
"""Longer than anything here takes: a wait that ends by it is a failure."""


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = set(threading.enumerate()) - before
    assert not [thread.name for thread in left if thread.name[:7] in ("reading", "inserti")]


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.jsonl"
    write_corpus(str(path), "w", COUNT)
    return path


def records(count: int = COUNT) -> Iterator[Item]:
    return (record(f"d{number}", f"word {number}") for number in range(count))


class Failing(HashingEncoder):
    """Fails at its n-th window."""

    def __init__(self, at: int, error: BaseException) -> None:
        super().__init__()
        self._left = at
        self._error = error

    def encode_documents(self, documents, progress, longer):  # type: ignore[no-untyped-def]
        self._left -= 1
        if self._left == 0:
            raise self._error
        return super().encode_documents(documents, progress, longer)


@pytest.mark.parametrize("after", [0, 1, WINDOW - 1, WINDOW, 2 * WINDOW + 1])
@pytest.mark.parametrize(
    "error", [CorpusError("no more"), ValueError("a defect"), KeyboardInterrupt()], ids=repr
)
def test_an_error_of_the_reader_is_raised_as_it_is(
    built: Manifest, after: int, error: BaseException
) -> None:
    def items() -> Iterator[Item]:
        yield from records(after)
        raise error

    with pytest.raises(type(error)) as caught:
        build_index("demo", feeding(items()), HashingEncoder)
    assert caught.value is error
    assert tree(pools=False) == whole(built)


@pytest.mark.parametrize(("at", "kept"), [(1, 0), (2, 64), (3, WINDOW), (4, 2 * WINDOW)])
def test_an_error_of_the_encoder(built: Manifest, large: Path, at: int, kept: int) -> None:
    """The first window is encoded in two parts, the later ones whole, as that takes no time."""
    error = ModelError("the card is gone")
    with pytest.raises(ModelError) as caught:
        build_index("demo", [large], lambda: Failing(at, error))
    assert caught.value is error
    assert tree(pools=False) == whole(built)
    assert build_index("demo", [large], HashingEncoder).report.encoded == COUNT - kept


def test_an_encoder_that_is_interrupted(built: Manifest, large: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        build_index("demo", [large], lambda: Failing(2, KeyboardInterrupt()))
    assert tree(pools=False) == whole(built)


@pytest.mark.parametrize(
    "where", [(GraphBuilder, "add"), (TextIndexWriter, "begin")], ids=["graph", "text"]
)
@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize("kind", [OSError, IndexFault])
def test_an_error_of_what_is_written(
    built: Manifest,
    large: Path,
    where: tuple[type, str],
    at: int,
    kind: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The disk is full while the third thread writes; nothing else could be made to fail there."""
    owner, name = where
    real, calls = getattr(owner, name), [0]

    def full(self, *arguments):  # type: ignore[no-untyped-def]
        calls[0] += 1
        if calls[0] == at:
            raise kind("no space left on device")
        return real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, full)
        with pytest.raises(IndexFault, match="no space left"):
            build_index("demo", [large], HashingEncoder)
    assert tree(pools=False) == whole(built)
    assert len(held("demo")) == 300


def test_a_reporter_that_raises_at_every_step(built: Manifest, tmp_path: Path) -> None:
    write_corpus(str(tmp_path / "c.jsonl"), "w", WINDOW + 30)
    stages = set()
    for at in range(1, 200, 5):
        left = [at]
        encoder = HashingEncoder(batch=200)
        encoder.revision = f"sha256:{at}"

        def stop(step: Progress, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise InterruptedByUser(step.stage)

        try:
            build_index("demo", [tmp_path / "c.jsonl"], lambda: encoder, reporter=stop)  # noqa: B023
        except InterruptedByUser as stopped:
            stages.add(stopped.message)
            assert tree(pools=False) == whole(built)
        else:
            break
    assert {"encoding", "saving"} <= stages


def test_reading_runs_ahead_of_encoding() -> None:
    """All is read before the first window is encoded, if encoding takes long."""
    report = Report()
    through = threading.Event()

    class Slow(HashingEncoder):
        def encode_documents(self, documents, progress, longer):  # type: ignore[no-untyped-def]
            assert through.wait(SECONDS)
            return super().encode_documents(documents)

    def feed(intake: Intake) -> None:
        feeding(records())(intake)
        through.set()

    steps: list[Progress] = []
    outcome = build_index("demo", feed, Slow, reporter=steps.append, report=report)
    assert outcome.manifest.documents == COUNT
    told = [step for step in steps if step.stage == "encoding"]
    # So the whole is known when the first window is through.
    assert {(step.total, step.read) for step in told if step.done} == {(COUNT, COUNT)}


def test_encoding_does_not_wait_for_the_end_of_reading() -> None:
    """A pipe that gives a window and then nothing for long: that window is encoded meanwhile."""
    encoded = threading.Event()

    class Telling(HashingEncoder):
        def encode_documents(self, documents, progress, longer):  # type: ignore[no-untyped-def]
            progress(Progress("encoding", 0, len(documents)))
            encoded.set()
            return super().encode_documents(documents)

    def items() -> Iterator[Item]:
        yield from records(WINDOW)
        assert encoded.wait(SECONDS)
        yield record("last", "of all")

    steps: list[Progress] = []
    outcome = build_index("demo", feeding(items()), Telling, reporter=steps.append)
    assert outcome.manifest.documents == WINDOW + 1
    totals = [step.total for step in steps if step.stage == "encoding"]
    assert totals[-1] == WINDOW + 1
    assert totals[0] is None  # while it was not known


def test_what_waits_for_the_third_thread_is_bounded(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Encoding waits where writing is slower, so vectors do not pile up in memory."""
    monkeypatch.setattr(build, "WINDOW", 64)
    given: list[weakref.ref[np.ndarray]] = []
    most, windows = [0], [0]
    full = threading.Event()
    real_add, real_vectors = GraphBuilder.add, ModelVectors.vectors

    def slow_add(self: GraphBuilder, vectors: np.ndarray, first: int, total: int) -> None:
        # Holds the thread until the queue is full; then all goes on as fast as it may.
        assert full.wait(SECONDS)
        real_add(self, vectors, first, total)

    def counted(self, documents, tell):  # type: ignore[no-untyped-def]
        vectors = real_vectors(self, documents, tell)
        given.append(weakref.ref(vectors))
        windows[0] += 1
        most[0] = max(most[0], sum(one() is not None for one in given))
        if windows[0] == build._WAITING + 2:
            full.set()
        return vectors

    monkeypatch.setattr(GraphBuilder, "add", slow_add)
    monkeypatch.setattr(ModelVectors, "vectors", counted)
    build_index("demo", [large], HashingEncoder)
    assert windows[0] == -(-COUNT // 64)
    # Those that wait, the one that is worked on, the one that is handed over, and its copy here.
    assert build._WAITING <= most[0] <= build._WAITING + 3


@pytest.mark.parametrize("window", [1, 7, 100, 101])
def test_the_size_of_a_window_changes_nothing(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "WINDOW", window)
    manifest = build_index("demo", feeding(records(101)), HashingEncoder).manifest
    assert manifest.documents == 101
    assert held("demo") == {f"d{number}": f"word {number}" for number in range(101)}


def test_an_empty_feed_asks_for_no_model() -> None:
    with pytest.raises(CorpusError, match="holds no document"):
        build_index("demo", feeding([]), never)
    assert tree() == set()


def test_a_reader_that_is_stuck_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that nobody writes to: the build ends, and the thread with the pipe."""
    monkeypatch.setattr(intake, "_PATIENCE", 0.1)
    pipe = threading.Event()

    def items() -> Iterator[Item]:
        yield from records(10)
        pipe.wait(SECONDS)

    def stop(step: Progress) -> None:
        raise InterruptedByUser("enough")

    with pytest.raises(InterruptedByUser):
        build_index("demo", feeding(items()), never, reporter=stop)
    pipe.set()
    for thread in threading.enumerate():
        if thread.name == "reading":
            thread.join(SECONDS)
    assert tree() == set()
