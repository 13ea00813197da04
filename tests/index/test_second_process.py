"""The second process of a build: what it does, what is done here without it, and that it ends."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from index_help import feeding, record

from bioretrieval_tui.documents.document import Record
from bioretrieval_tui.errors import InterruptedByUser
from bioretrieval_tui.index import build, metadata, second_process, text_index
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.index.second_process import SecondProcess
from bioretrieval_tui.index.vector_cache import Vectoriser, embedded_facts
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.progress import Progress, silent

SECONDS = 60.0
"""Longer than anything here takes: a wait that ends by it is a failure."""


def here() -> int:
    """The process, which a process that cannot import this module does not tell."""
    return os.getpid()


def never() -> None:
    raise AssertionError("the second process did not answer")


class Sure(SecondProcess):
    """Does nothing here, and keeps the children."""

    children: list[subprocess.Popen[bytes]] = []  # noqa: RUF012 - cleared by the fixture

    def begin(self, work: Callable[..., Any], *given: Any) -> None:
        super().begin(work, *given)
        self._begun = never, ()
        assert self._child is not None
        self.children.append(self._child)


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> type[Sure]:
    """Builds ask it from their first document on."""
    for module in (text_index, metadata):
        monkeypatch.setattr(module, "SAVES_FROM", 0)
    monkeypatch.setattr(second_process, "SecondProcess", Sure)
    Sure.children.clear()
    return Sure


def built(
    name: str,
    reporter: Callable[[Progress], None] = silent,
    before_last: Callable[[], object] = bool,
) -> Any:
    """An index for BM25 of 40 documents, of which one is replaced."""

    def items() -> Iterator[Record]:
        for n in range(40):
            title = f"newts in pond {n % 7} of IL-{n}"
            yield record(f"d{n}", title, "Pond life", year=2000 + n % 4, k=n % 3)
        before_last()
        yield record("d3", "a pike", "Replaced", year=1999)

    feed = feeding(items())
    return build_index(name, feed, Vectoriser(embedded_facts()), reporter=reporter).manifest


def answers(name: str) -> list[Any]:
    with contextlib.closing(open_index(name, vectors=False)) as index:
        labels, scores = index.lexical.search("newts IL-6", 20)
        chosen = [
            index.fields.select(index.fields.parse(one)).tolist()
            for one in ("year>2001", "k=2", "has:year -k=1", "year=1999")
        ]
        return [labels.tolist(), scores.tolist(), chosen, index.fields.facts]


def test_it_works_in_a_process_that_ends_with_the_context() -> None:
    with contextlib.closing(SecondProcess()) as second:
        for _ in range(2):
            second.begin(os.getpid)
            assert second.end() not in (None, os.getpid())
        child = second._child
        assert child is not None
    assert child.returncode is not None


def test_it_ends_when_the_build_is_gone() -> None:
    with contextlib.closing(SecondProcess()) as second:
        second.begin(os.getpid)
        second.end()
        second._line.close()
        assert second._child is not None
        assert second._child.wait(SECONDS) == 0


@pytest.mark.parametrize("why", ["one core", "no interpreter", "unknown there", "killed"])
def test_what_it_does_not_answer_is_done_here(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if why == "one core":
        monkeypatch.setattr("bioretrieval_tui.encoding.device.usable_cores", lambda: 1)
    elif why == "no interpreter":
        monkeypatch.setattr(sys, "executable", str(Path("/nowhere/python")))
    with contextlib.closing(SecondProcess()) as second:
        if why == "killed":
            second.begin(os.getpid)
            second.end()
            assert second._child is not None
            second._child.kill()
            second._child.wait(SECONDS)
        for _ in range(2):
            second.begin(here)
            assert second.end() == os.getpid()


def test_an_index_is_the_same_with_and_without_it(early: type[Sure]) -> None:
    built("with")
    assert len(early.children) == 2  # terms, and metadata
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_index, "SAVES_FROM", 10**9)
        patch.setattr(metadata, "SAVES_FROM", 10**9)
        built("without")
    assert answers("with") == answers("without")
    assert verify_index("with").ok


def test_first_blocks_are_written_while_others_are_read(
    early: type[Sure], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "WINDOW", 8)
    monkeypatch.setattr(metadata, "_EARLY", 16)
    at_once, follow = threading.Event(), metadata.EarlyBlocks.follow

    def followed(blocks: metadata.EarlyBlocks, end: int) -> None:
        follow(blocks, end)
        if blocks.end == 32:
            at_once.set()

    monkeypatch.setattr(metadata.EarlyBlocks, "follow", followed)
    built("early", before_last=lambda: at_once.wait(SECONDS))
    assert at_once.is_set()
    monkeypatch.setattr(metadata, "_EARLY", 10**9)
    built("late")
    assert answers("early") == answers("late")
    assert verify_index("early").ok


def test_an_interrupted_build_ends_it(early: type[Sure], home: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.note == "fields":
            raise InterruptedByUser("enough")

    with pytest.raises(InterruptedByUser):
        built("stopped", stop)
    assert all(child.returncode is not None for child in early.children)
    assert not list(home.glob("data/indexes/stopped/*"))


def test_it_is_asked_for_many_documents_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert second_process.SAVES_FROM > 1_000
    monkeypatch.setattr(SecondProcess, "begin", never)
    built("small")
