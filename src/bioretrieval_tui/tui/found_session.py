"""The state and the requests of the Found pane, without a widget: found and starred papers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from bioretrieval_tui.backend import client, protocol
from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.models import AnyEntry
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.online.spool import FetchRequest, FetchResult, line_of
from bioretrieval_tui.search.types import Hit, document_hit
from bioretrieval_tui.util.formatting import count, plural

if TYPE_CHECKING:
    from bioretrieval_tui.backend.client import SearchClient
    from bioretrieval_tui.tui.shelf_session import ShelfSession

EXAMPLES: tuple[tuple[str, str, str], ...] = (
    ("pubmed", "PubMed", "asthma[mh] AND diet[ti]"),
    ("europepmc", "Europe PMC", "SRC:PPR AND ranking"),
    ("arxiv", "arXiv", "cat:cs.IR AND abs:genes"),
)
"""(source, its name, a query in its syntax that fits the dialog at 80 columns)."""
MOST_SHOWN = 1_000
"""Most papers of a preview."""


class FoundSession:
    """A search of a service that runs in the background, and the stars of its papers, which are
    those of the shelf.

    request: the request; papers: those received, in the service's order; total: papers that will
    come, None until it is known; found: those that the service has, None before the end; said: what
    it says of the query, with a role; problem: why no more follow; given: what the papers are,
    where they are no search's; changed: called after papers came.
    """

    def __init__(self, changed: Callable[[], None], shelf: ShelfSession) -> None:
        self._changed, self._shelf = changed, shelf
        self.request: FetchRequest | None = None
        self.papers: list[Hit] = []
        self.total: int | None = None
        self.found: int | None = None
        self.said: list[tuple[str, str]] = []
        self.problem = self.given = ""
        self.under_way = False
        self._known: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._to_tell = False
        """What has arrived is told once the loop has turned."""

    def begin(self, request: FetchRequest) -> None:
        """Start another search, and forget the papers and stars of the last one."""
        self.stop()
        self.request, self.papers = request, []
        self.total = self.found = None
        self.said, self.problem, self.under_way = [], "", True
        self.given = ""
        self._known = set()
        task = asyncio.get_running_loop().create_task(self._find(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._changed()

    def give(self, papers: list[Hit], given: str, note: str = "") -> None:
        """Show papers that the user named. note: what to say of those that are not there."""
        self.stop()
        self.request, self.papers = None, papers
        self.total = self.found = None
        self.said, self.problem, self.under_way = [(note, "warn")] if note else [], "", False
        self.given = given
        self._changed()

    @property
    def service(self) -> str:
        return _preview(self.request).target if self.request else ""

    def stop(self) -> None:
        """Stop the search; its papers stay."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Stop, call back no more, and wait for the end of every process."""
        self._closed = True
        self.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def is_starred(self, paper: Hit) -> bool:
        """Whether a paper is starred; one of the catalogue is its entry."""
        mark = self._shelf.of_hit(paper, entry=paper.index == CATALOGUE)
        return mark is not None and mark.starred

    @property
    def starred(self) -> list[Hit]:
        """The papers that are starred, in their order."""
        return [paper for paper in self.papers if self.is_starred(paper)]

    def chosen(self, papers: Sequence[Hit]) -> Mapping[str, bytes]:
        """The lines of JSONL of papers by their id."""
        documents = [Document(one.id, one.title, one.text, one.metadata) for one in papers]
        return {document.id: line_of(document) for document in documents}

    async def _find(self, request: FetchRequest) -> None:
        problem = ""
        try:
            result = await client.run_job(_preview(request), lambda one: self._hear(request, one))
            if self.request is request and isinstance(result, FetchResult):
                self.found = result.found
        except asyncio.CancelledError:
            problem = "stopped"
            raise
        except BioRetrievalError as error:
            problem = error.line()
        except Exception as error:  # noqa: BLE001 - shown where the papers would be
            problem = f"unexpected {type(error).__name__}: {error}"
        finally:
            if self.request is request:
                self.under_way, self.problem = False, problem
                self._tell()

    def _hear(self, request: FetchRequest, event: protocol.Event) -> None:
        if self.request is not request:
            return
        if isinstance(event, protocol.Progressed):
            self.total = event.progress.total
        elif isinstance(event, protocol.Remarked):
            self.said.append((event.text, "warn" if event.warns else "dim"))
        elif isinstance(event, protocol.Came):
            for document in event.documents:
                if document.id not in self._known:
                    self._known.add(document.id)
                    self.papers.append(document_hit(document, len(self.papers) + 1))
        if not self._to_tell:  # a service sends hundreds at once
            self._to_tell = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._to_tell = False
        if not self._closed:
            self._changed()


async def find_given(
    client: SearchClient, catalogue: Catalogue, identifiers: Sequence[str]
) -> tuple[list[Hit], str, str]:
    """The entries and documents that identifiers name, what they are, and what is missing, as
    `FoundSession.give` takes them."""
    known = catalogue.by_id
    answer = await client.ask(protocol.FindNamed(tuple(i for i in identifiers if i not in known)))
    found = (*(_entry_paper(known[one]) for one in identifiers if one in known), *answer.hits)
    papers = [msgspec.structs.replace(hit, rank=rank) for rank, hit in enumerate(found, start=1)]
    missing = ", ".join(answer.missing[:3]) + (", ..." if answer.missing[3:] else "")
    note = f"In no index: {plural(len(answer.missing), 'identifier')} ({missing})"
    given = f"{count(len(papers))} of {plural(len(identifiers), 'given identifier')}"
    return papers, given, note if answer.missing else ""


def _entry_paper(entry: AnyEntry) -> Hit:
    """An entry of the catalogue as a paper to list."""
    url = entry.links[0].url if entry.links else None
    known = {"kind": kind_of(entry), "journal": getattr(entry, "venue", None)}
    made = (entry.id, entry.name, entry.summary or "", entry.year, url)
    return Hit(0, *made, score=0.0, metadata=known, index=CATALOGUE)


def _preview(request: FetchRequest) -> protocol.FetchJob:
    """Papers may be added to the index later; a preview has none."""
    return protocol.FetchJob(msgspec.structs.replace(request, index=None))
