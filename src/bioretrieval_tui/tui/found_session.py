"""The state and the requests of the Found pane, without a widget: found and starred papers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from bioretrieval_tui.backend import client, protocol
from bioretrieval_tui.backend.jobs import EVERY
from bioretrieval_tui.documents.bibliography import document_url, document_year
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.spool import FetchRequest, line_of
from bioretrieval_tui.search.types import Hit

EXAMPLES: tuple[tuple[str, str, str], ...] = (
    ("pubmed", "PubMed", "asthma[mh] AND diet[ti]"),
    ("europepmc", "Europe PMC", "SRC:PPR AND ranking"),
    ("arxiv", "arXiv", "cat:cs.IR AND abs:genes"),
)
"""(source, its name, a query in its syntax that fits the dialog at 80 columns)."""
MOST_SHOWN = 1_000
"""Most papers of a preview."""


@dataclass(frozen=True, slots=True)
class FoundPaper:
    """A paper: as a hit to show, and its line of JSONL."""

    hit: Hit
    line: bytes


def paper_of(document: Document, rank: int) -> FoundPaper:
    """A document as a paper."""
    year, url = document_year(document.metadata), document_url(document)
    known = document.metadata
    hit = Hit(rank, document.id, document.title, document.text, year, url, 0.0, metadata=known)
    return FoundPaper(hit, line_of(document))


def service_of(request: FetchRequest) -> str:
    """The name of the service of a request."""
    return next((name for source, name, _ in EXAMPLES if source == request.source), "")


class FoundSession:
    """A search of a service that runs in the background, and the stars of its papers.

    request: the request; papers: those received, in the service's order; starred: ids, in the
    order of starring; total: papers that the service has, None until it is known; problem: why no
    more follow; changed: called after papers came, at most once every `jobs.EVERY` seconds.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.request: FetchRequest | None = None
        self.papers: list[FoundPaper] = []
        self.starred: dict[str, None] = {}
        self.total: int | None = None
        self.problem = ""
        self.under_way = False
        self._known: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None
        self._closed = False

    def begin(self, request: FetchRequest) -> None:
        """Start another search, and forget the papers and stars of the last one."""
        self.stop()
        self.request, self.papers, self.starred = request, [], {}
        self.total, self.problem, self.under_way = None, "", True
        self._known = set()
        self._task = asyncio.get_running_loop().create_task(self._find(request))
        self._tasks.add(self._task)
        self._task.add_done_callback(self._tasks.discard)
        self._changed()

    def stop(self) -> None:
        """Stop the search; its papers stay."""
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """Stop, call back no more, and wait for the end of every process."""
        self._closed = True
        self.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def star(self, identifier: str) -> bool:
        """Star or unstar a paper; returns whether it has a star now."""
        if identifier in self.starred:
            del self.starred[identifier]
            return False
        self.starred[identifier] = None
        return True

    def star_all(self) -> None:
        """Star all papers, or unstar them if all are starred."""
        everything = dict.fromkeys(paper.hit.id for paper in self.papers)
        self.starred = (
            {} if len(self.starred) == len(everything) else {**self.starred, **everything}
        )

    def chosen(self) -> Mapping[str, bytes]:
        """The lines of the starred papers by their id."""
        lines = {paper.hit.id: paper.line for paper in self.papers}
        return {identifier: lines[identifier] for identifier in self.starred}

    async def _find(self, request: FetchRequest) -> None:
        problem = ""
        # Papers may be added to the index later; a preview has none.
        looking = protocol.FetchJob(msgspec.structs.replace(request, index=None))
        try:
            await client.run_job(looking, lambda event: self._hear(request, event))
        except asyncio.CancelledError:
            problem = "stopped"
            raise
        except BioRetrievalError as error:
            problem = error.line()
        except Exception as error:  # noqa: BLE001 - shown where the papers would be
            problem = f"unexpected {type(error).__name__}: {error}"
        finally:
            if self.request is request:
                self.under_way, self.problem, self._task = False, problem, None
                self._tell()

    def _hear(self, request: FetchRequest, event: protocol.Event) -> None:
        if self.request is not request:
            return
        if isinstance(event, protocol.Progressed):
            self.total = event.progress.total
        elif isinstance(event, protocol.Came):
            for document in event.documents:
                if document.id not in self._known:
                    self._known.add(document.id)
                    self.papers.append(paper_of(document, len(self.papers) + 1))
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(EVERY, self._tell)

    def _tell(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if not self._closed:
            self._changed()
