"""Judgements beside stored rankings, answered by a process of its own.

`python -m bioretrieval_tui.evaluation.exploring` is a child of the app: measuring thousands of
queries and opening an index are work in which a screen would not answer its keys. Requests come on
stdin and answers go to stdout, one JSON object a line; it ends when stdin does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from bioretrieval_tui.errors import BioRetrievalError, IndexFault, NotFoundError
from bioretrieval_tui.evaluation.benchmark import Benchmark, read_benchmark
from bioretrieval_tui.evaluation.explore import (
    QueryRow,
    QueryView,
    Rankings,
    query_rows,
    query_view,
    titles_in,
)


class Open(msgspec.Struct, frozen=True, tag="open"):
    """Explore the benchmark in `folder`; runs: TREC run file by mode; index: that they were
    ranked by; sha256: of the benchmark when they were."""

    id: int
    folder: str
    split: str
    sha256: str
    index: str
    runs: dict[str, str]


class View(msgspec.Struct, frozen=True, tag="view"):
    """One query, whole."""

    id: int
    query: str


class Fetch(msgspec.Struct, frozen=True, tag="fetch"):
    """One document of the corpus."""

    id: int
    document: str


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """All judged queries. `stale`: the files are no longer those that the runs are of, or a run
    or its index is gone; then there are no queries, and an evaluation must come first."""

    id: int
    queries: list[QueryRow] = []
    stale: bool = False


class Viewed(msgspec.Struct, frozen=True, tag="viewed"):
    """A query with its documents."""

    id: int
    view: QueryView


class Fetched(msgspec.Struct, frozen=True, tag="fetched"):
    """A document; `there` False where the corpus has none of that id."""

    id: int
    there: bool
    title: str = ""
    text: str = ""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """A request that failed, in words for the reader."""

    id: int
    message: str
    remedy: str | None = None


Request = Open | View | Fetch
Reply = Opened | Viewed | Fetched | Refused


class _Stale(Exception):
    """The stored runs cannot be used."""


class Explorer:
    """Answers requests about the benchmark that was opened last."""

    def __init__(self) -> None:
        self._benchmark: Benchmark | None = None
        self._rankings: Rankings = {}
        self._index: str = ""

    def answer(self, request: Request) -> Reply:
        """One reply to one request; what goes wrong is a reply too."""
        try:
            if isinstance(request, Open):
                return self._open(request)
            if isinstance(request, View):
                return Viewed(request.id, self._view(request.query))
            return self._fetch(request)
        except _Stale:
            return Opened(request.id, stale=True)
        except BioRetrievalError as error:
            return Refused(request.id, error.message, error.remedy)

    def _open(self, request: Open) -> Opened:
        from bioretrieval_tui.evaluation.runfile import read_run
        from bioretrieval_tui.index.registry import manifest_of

        benchmark = read_benchmark(Path(request.folder), request.split)
        if benchmark.sha256 != request.sha256:
            raise _Stale
        try:
            manifest_of(request.index)
            rankings = {mode: read_run(Path(path)) for mode, path in request.runs.items()}
        except (NotFoundError, IndexFault) as error:
            raise _Stale from error
        self._benchmark, self._rankings, self._index = benchmark, rankings, request.index
        return Opened(request.id, query_rows(benchmark, rankings))

    def _view(self, query: str) -> QueryView:
        from bioretrieval_tui.index.registry import open_index

        benchmark = self._opened()
        # Opened anew each time, by sizes and remembered checksums: it may be replaced meanwhile.
        index = open_index(self._index, vectors=False)
        try:
            return query_view(benchmark, self._rankings, query, titles_in(index.documents))
        finally:
            index.close()

    def _fetch(self, request: Fetch) -> Fetched:
        from bioretrieval_tui.index.registry import open_index

        self._opened()
        index = open_index(self._index, vectors=False)
        try:
            found = index.documents.find(request.document)
        finally:
            index.close()
        if found is None:
            return Fetched(request.id, there=False)
        return Fetched(request.id, there=True, title=found[1].title, text=found[1].text)

    def _opened(self) -> Benchmark:
        if self._benchmark is None:
            raise BioRetrievalError("no benchmark is open", remedy="open one first")
        return self._benchmark


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer one request after the other until there are no more."""
    explorer = Explorer()
    for request in _read(requests):
        replies.write(msgspec.json.encode(explorer.answer(request)) + b"\n")
        replies.flush()


def _read(requests: BinaryIO) -> Iterator[Request]:
    """Requests, until the input ends or says something else."""
    decoder = msgspec.json.Decoder(Request)
    for line in requests:
        try:
            yield decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return


def main() -> int:
    """Serve what asks on stdin."""
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except (BrokenPipeError, KeyboardInterrupt):
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
