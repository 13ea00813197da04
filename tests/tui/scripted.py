"""A search process whose answers a test holds in its hand.

Which of two answers comes first cannot be arranged with the real one; it has a test of its own
(`test_tui_search_real.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from bioretrieval_tui.backend import client, protocol
from bioretrieval_tui.backend.client import Hear
from bioretrieval_tui.backend.protocol import Built, Reranker
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.index.report import Check, RejectedRecord, Report, Verification
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.search.types import Explanation, Hit, Query, Scores, SearchResult
from bioretrieval_tui.tui.search_session import HitView

REAL_RUN_JOB = client.run_job
JOBS = {kind.__struct_config__.tag: kind for kind in protocol.Job.__args__}


def job_of(verb: str, name: str, *inputs: Any) -> protocol.Job:
    """A job by its verb and the name of its index."""
    return cast(protocol.Job, JOBS[verb](name, *inputs))


def verb_of(job: protocol.Job | None) -> str:
    """The verb of a job; "" for None."""
    return "" if job is None else str(type(job).__struct_config__.tag)


def info(name: str, status: str = "ok", **other: Any) -> IndexInfo:
    """An index as the list has it."""
    known: dict[str, Any] = {
        "documents": 5_183, "model": "sentence-transformers/all-MiniLM-L6-v2", "dimension": 384,
        "dtype": "float16", "device": "cpu", "built": "2026-11-20T10:11:12Z", "bytes": 21_400_000,
        "docs_per_second": 101.5, "dead_share": 0.0, "aliases": 2, "segments": 1, "recall": 0.998,
    }  # fmt: skip
    if status.startswith("unfinished"):
        known = dict.fromkeys(known) | {"bytes": 1_200_000}
    return IndexInfo(name=name, status=status, **(known | other))


class Desk:
    """What the search process is asked, and what it will say."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        """(index, query) of each search, in order."""
        self.questions: list[Query] = []
        """The same as they were asked."""
        self.streams: list[str] = []
        """The stream of each."""
        self.also: list[tuple[str, ...]] = []
        """The further indexes of each."""
        self.rerankers: list[Reranker | None] = []
        """The reranker of each."""
        self.waiting: dict[str, asyncio.Future[SearchResult]] = {}
        """By query; a query that is asked again replaces the one before."""
        self.parts: Callable[[SearchResult], None] = lambda _: None
        """Tells the pane what a search with a reranker has so far."""
        self.like: list[tuple[str, str, str, str]] = []
        """(index, document, index looked in, filter) of each likeness that was asked for."""
        self.alike: dict[str, SearchResult | BioRetrievalError] = {}
        """What is like anything, by the index that is looked in."""
        self.explained: list[tuple[str, str, str]] = []
        """(mode, index, document) of each reason that was asked for."""
        self.reasons: dict[str, Explanation] = {}
        """By document."""
        self.dropped: list[str] = []
        """Queries whose search was cancelled before it was answered."""
        self.report: Reporter | None = None
        self.loading: asyncio.Future[None] | None = None
        self.loads: list[str] = []
        """The indexes whose model was asked for, each time."""
        self.indexes: list[IndexInfo] | BioRetrievalError = []
        self.closed = 0
        self.fetches = False
        self.began: list[protocol.Job] = []
        """The work that was asked for, in order."""
        self.stopped: list[str] = []
        """Names of indexes whose work was cancelled before its end."""
        self._work: asyncio.Future[Any] | None = None
        self._hear: Hear = lambda _: None

    # Work on indexes ---------------------------------------------------------------------

    async def work(
        self, job: protocol.Job, hear: Hear, *, started: Callable[[int], None] = lambda _: None
    ) -> protocol.JobResult:
        """A job that lasts until a test ends it.

        Evaluations are real, and so is what asks a service if the test has one.
        """
        fetches = self.fetches and isinstance(job, protocol.FetchJob)
        if fetches or isinstance(job, protocol.EvaluateJob):
            return await REAL_RUN_JOB(job, hear, started=started)
        self.began.append(job)
        self._hear = hear
        self._work = asyncio.get_running_loop().create_future()
        try:
            return await self._work
        except asyncio.CancelledError:
            self.stopped.append(job.target)
            raise

    def step(self, *words: object, **other: object) -> None:
        """Report a step of the work that runs."""
        self._hear(protocol.Progressed(Progress(*words, **other)))  # type: ignore[arg-type]

    def end(self, outcome: object) -> None:
        """End the work that runs: with its result, or an error."""
        assert self._work is not None
        if isinstance(outcome, BioRetrievalError):
            self._work.set_exception(outcome)
        else:
            self._work.set_result(outcome)

    def verified(self, found: Verification) -> None:
        """End it as a verification does."""
        self.end(protocol.Verified(found))

    def removed(self, freed: int) -> None:
        """End it as a removal does; the index is listed no more."""
        assert isinstance(self.indexes, list)
        self.indexes = [one for one in self.indexes if one.name != self.began[-1].target]
        self.end(protocol.Removed(freed))

    def built(self, *, changed: bool = True, report: Report | None = None) -> None:
        """End it as `build`, `extend` and `compact` do; the index is listed then."""
        name = self.began[-1].target
        report = report or Report(read=5, kept=5, documents=5)
        made = info(name, documents=report.documents)
        assert isinstance(self.indexes, list)
        self.indexes = [*(one for one in self.indexes if one.name != name), made]
        self.end(Built(made, report, changed))

    def answer(self, query: str, outcome: Sequence[Hit] | SearchResult | BioRetrievalError) -> None:
        """Answer a search that waits, or let it fail."""
        waiting = self.waiting.pop(query)
        if isinstance(outcome, BioRetrievalError):
            waiting.set_exception(outcome)
        else:
            waiting.set_result(
                outcome if isinstance(outcome, SearchResult) else SearchResult(tuple(outcome))
            )

    def ready(self) -> None:
        """The model is loaded."""
        assert self.loading is not None
        self.loading.set_result(None)

    def fail(self, error: BioRetrievalError) -> None:
        """The model cannot be loaded."""
        assert self.loading is not None
        self.loading.set_exception(error)

    def progress(self, *words: object, **other: object) -> None:
        """Report a step of loading."""
        assert self.report is not None
        self.report(Progress(*words, **other))  # type: ignore[arg-type]


class ScriptedClient:
    """What the pane sees of the search process."""

    desk: Desk
    _lookups: Any = None

    def __init__(self, *, launched: object = None) -> None:
        assert launched is None

    async def ask(
        self,
        request: protocol.Request[Any],
        on_progress: Reporter | None = None,
        on_part: Callable[[SearchResult], None] | None = None,
    ) -> Any:
        desk = self.desk
        match request:
            case protocol.Search():
                if request.reranker is not None:
                    desk.report = on_progress
                desk.parts = on_part or desk.parts
                return await self._search(request)
            case protocol.Load():
                desk.report = on_progress
                desk.loads.append(request.index)
                desk.loading = asyncio.get_running_loop().create_future()
                return await desk.loading
            case protocol.Similar(index, document, _, where, into):
                desk.like.append((index, document, into or index, where))
                found = desk.alike[into or index]
                if isinstance(found, BioRetrievalError):
                    raise found
                return found
            case protocol.Explain(index, question, documents):
                desk.explained += [(question.mode, index, document) for document in documents]
                return [desk.reasons[name] for name in documents if name in desk.reasons]
            case protocol.ListIndexes():
                if isinstance(desk.indexes, BioRetrievalError):
                    raise desk.indexes
                return desk.indexes
        # Benchmarks are read as the search process reads them, in this process.
        from bioretrieval_tui.backend.server import LookingUp

        if self._lookups is None:
            self._lookups = LookingUp()
        return await asyncio.to_thread(self._lookups, request, lambda _: None)

    async def _search(self, request: protocol.Search) -> SearchResult:
        desk, query = self.desk, request.question.text
        desk.asked.append((request.index, query))
        desk.questions.append(request.question)
        desk.streams.append(request.stream)
        desk.rerankers.append(request.reranker)
        desk.also.append(request.also)
        waiting: asyncio.Future[SearchResult] = asyncio.get_running_loop().create_future()
        desk.waiting[query] = waiting
        try:
            return await waiting
        except asyncio.CancelledError:
            desk.dropped.append(query)
            if desk.waiting.get(query) is waiting:
                del desk.waiting[query]
            raise

    async def close(self) -> None:
        self.desk.closed += 1


def hit(rank: int, identifier: str, title: str, text: str, **other: object) -> Hit:
    """A hit as an index of documents gives it."""
    score = round(0.9 - 0.07 * rank, 4)
    year, url = other.get("year"), other.get("url")
    return Hit(rank, identifier, title, text, year, url, score, Scores(dense=score))  # type: ignore[arg-type]


def view(query: str, hits: Sequence[Hit], index: str = "mine") -> HitView:
    """What the pane shows once a query was answered."""
    return HitView(index, Query(text=query), SearchResult(tuple(hits)))


HITS = (
    hit(1, "4983", "Microstructural development of human newborn cerebral white matter",
        "Alterations of the architecture of cerebral white matter in the developing brain can "
        "affect cortical development. A line scan diffusion-weighted sequence was used.\nSee "
        "https://example.org/scan for the newborn data.", year=2001,
        url="https://pubmed.ncbi.nlm.nih.gov/4983/"),
    hit(2, "5836", "", "Myelodysplastic syndromes are age-dependent; newborns are spared.",
        year=2012),
    hit(3, "7912", "\x1b]0;owned\x07[bold]BC1[/bold] RNA \u202eevil\u202c 生物医学 🧬",
        "A hostile\x1b[2J text with \x9b31m and no page." + " word" * 120),
    *(hit(n, f"doc-{n}", f"Title {n} of a document", f"Text {n}.") for n in range(4, 60)),
)  # fmt: skip

SOUND = Verification("mine", (
    Check("manifest", True, "format 4, checksum agrees"),
    Check("files", True, "5 files, 21.4 MB"),
    Check("counts", True, "5,183 documents everywhere"),
    Check("graph", True, "recall@10 0.998 over 200 documents"),
))  # fmt: skip
FAULTY = Verification("mine", (
    Check("manifest", True, "format 4, checksum agrees"),
    Check("files", False, "graph.hnsw differs from its \x1b[31mchecksum", "build it again"),
    Check("graph", False, "recall@10 0.91", "search with ef 240"),
))  # fmt: skip
REJECTING = Report(
    read=12, kept=7, duplicates=2, rejected=3, documents=7,
    rejections=[
        RejectedRecord("/data/one\x1b[2J.xml", "no title and no text", line=17),
        RejectedRecord("/data/two.jsonl", "not JSON: [bold]line[/bold]", offset=1_024),
    ],
)  # fmt: skip
