"""A search process whose answers a test holds in its hand.

Which of two answers comes first cannot be arranged with the real one; it has a test of its own
(`test_tui_search_real.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bioretrieval_tui.corpus.document import Document
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.search.hits import Hit, Scores
from bioretrieval_tui.search.protocol import Ensured


class Desk:
    """What the search process is asked, and what it will say."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        """(index, query) of each search, in order."""
        self.waiting: dict[str, asyncio.Future[Sequence[Hit]]] = {}
        self.dropped: list[str] = []
        """Queries whose search was cancelled before it was answered."""
        self.documents: Sequence[Document] = ()
        self.report: Reporter | None = None
        self.ensured: asyncio.Future[Ensured] | None = None
        self.indexes: list[IndexInfo] | BioRetrievalError = []
        self.closed = 0

    def answer(self, query: str, outcome: Sequence[Hit] | BioRetrievalError) -> None:
        """Answer a search that waits, or let it fail."""
        waiting = self.waiting.pop(query)
        if isinstance(outcome, BioRetrievalError):
            waiting.set_exception(outcome)
        else:
            waiting.set_result(outcome)

    def ready(self, note: str | None = None) -> None:
        """The index of the catalogue is there."""
        assert self.ensured is not None
        self.ensured.set_result(Ensured(id=1, documents=3, built=True, note=note))

    def fail(self, error: BioRetrievalError) -> None:
        """The index of the catalogue cannot be made."""
        assert self.ensured is not None
        self.ensured.set_exception(error)

    def progress(self, *words: object, **other: object) -> None:
        """Report a step of the build."""
        assert self.report is not None
        self.report(Progress(*words, **other))  # type: ignore[arg-type]


class ScriptedClient:
    """What the pane sees of the search process."""

    desk: Desk

    async def ensure_catalogue(
        self, documents: Sequence[Document], fingerprint: str, *, on_progress: Reporter
    ) -> Ensured:
        self.desk.documents, self.desk.report = documents, on_progress
        self.desk.ensured = asyncio.get_running_loop().create_future()
        return await self.desk.ensured

    async def search(self, query: str, *, index: str, k: int) -> Sequence[Hit]:
        self.desk.asked.append((index, query))
        waiting: asyncio.Future[Sequence[Hit]] = asyncio.get_running_loop().create_future()
        self.desk.waiting[query] = waiting
        try:
            return await waiting
        except asyncio.CancelledError:
            self.desk.dropped.append(query)
            self.desk.waiting.pop(query, None)
            raise

    async def list_indexes(self) -> list[IndexInfo]:
        if isinstance(self.desk.indexes, BioRetrievalError):
            raise self.desk.indexes
        return self.desk.indexes

    async def close(self) -> None:
        self.desk.closed += 1


def hit(rank: int, identifier: str, title: str, text: str, **other: object) -> Hit:
    """A hit as an index of documents gives it."""
    score = round(0.9 - 0.07 * rank, 4)
    year, url = other.get("year"), other.get("url")
    return Hit(rank, identifier, title, text, year, url, score, Scores(dense=score))  # type: ignore[arg-type]


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
