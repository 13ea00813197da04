"""Papers that a service has: what is asked of it, what came, and which of them are starred."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from bioretrieval_tui.documents.bibliography import document_year
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.search.hits import Hit
from bioretrieval_tui.search.links import document_url
from bioretrieval_tui.tui.calling import call
from bioretrieval_tui.tui.works import EVERY

if TYPE_CHECKING:
    from textual.worker import Worker

    from bioretrieval_tui.progress import Progress

SOURCES: tuple[tuple[str, str, str], ...] = (
    ("pubmed", "PubMed", "asthma[mh] AND diet[ti]"),
    ("europepmc", "Europe PMC", "SRC:PPR AND ranking"),
    ("arxiv", "arXiv", "cat:cs.IR AND abs:genes"),
)
"""(word of the verb, name, a query in its language that fits the dialog at 80 columns)."""
MOST_SHOWN = 1_000
"""Papers that are looked at before they are put into an index: more is for no eye."""
_FAREWELL = 8.0
"""Seconds that leaving waits for the child at most."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked: source (a word of `SOURCES`), query, at most so many (None: all), since a day
    (ISO 8601), and the name of the index that it goes into, if that is known."""

    source: str
    query: str
    most: int | None = None
    since: str = ""
    index: str = ""

    @property
    def service(self) -> str:
        """Its name."""
        return next(name for word, name, _ in SOURCES if word == self.source)

    def words(self, *, into: bool) -> tuple[str, ...]:
        """The words of the call: into the index, or onto stdout."""
        said = ["fetch", self.source, "--progress=json"]
        said += [f"-n{self.most}"] if self.most is not None else []
        said += [f"--since={self.since}"] if self.since else []
        said += [f"--index={self.index}"] if into else []
        return (*said, "--", self.query)


class _Line(msgspec.Struct, frozen=True):
    """A line of BEIR's JSONL."""

    id: str = msgspec.field(name="_id")
    title: str = ""
    text: str = ""
    metadata: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper that was found: as a hit for the eye, and its line as it came."""

    hit: Hit
    line: bytes


def paper_of(line: bytes, place: int) -> Paper | None:
    """The paper of a line; None where it is none."""
    try:
        found = msgspec.json.decode(line, type=_Line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    document = Document(found.id, found.title, found.text, found.metadata)
    year, url = document_year(found.metadata), document_url(document)
    hit = Hit(place, found.id, found.title, found.text, year, url, 0.0, metadata=found.metadata)
    return Paper(hit, line)


class Finding:
    """A search of a service that goes on while one browses, and the stars that papers were given.

    start: runs a coroutine as a worker of the app; changed: told when something came, at most
    once every `EVERY` seconds while papers arrive.
    """

    def __init__(
        self,
        start: Callable[[Coroutine[None, None, None]], Worker[None]],
        changed: Callable[[], None],
    ) -> None:
        self._start = start
        self._changed = changed
        self.wanted: Wanted | None = None
        self.papers: list[Paper] = []
        self.starred: dict[str, None] = {}
        """Ids, in the order in which they were starred."""
        self.total: int | None = None
        """Papers that the service has of this, once that is known."""
        self.problem = ""
        self.under_way = False
        self._known: set[str] = set()
        self._worker: Worker[None] | None = None
        self._later: asyncio.TimerHandle | None = None
        self._children = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    def begin(self, wanted: Wanted) -> None:
        """Ask for something else; what was found and starred before is let go."""
        self.stop()
        self.wanted, self.papers, self.starred = wanted, [], {}
        self.total, self.problem, self.under_way = None, "", True
        self._known = set()
        self._worker = self._start(self._find(wanted))
        self._changed()

    def stop(self) -> None:
        """Let no more come; what came stays."""
        if self._worker is not None:
            self._worker.cancel()

    async def close(self) -> None:
        """The app is leaving: tell nobody, and see that the child is gone."""
        self._closed = True
        self.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), _FAREWELL)

    def star(self, identifier: str) -> bool:
        """Star a paper, or take its star away; whether it has one now."""
        if identifier in self.starred:
            del self.starred[identifier]
            return False
        self.starred[identifier] = None
        return True

    def star_all(self) -> None:
        """Star all that came, or none if all are starred."""
        everything = dict.fromkeys(paper.hit.id for paper in self.papers)
        self.starred = (
            {} if len(self.starred) == len(everything) else {**self.starred, **everything}
        )

    def chosen(self) -> Mapping[str, bytes]:
        """The lines of the starred papers."""
        lines = {paper.hit.id: paper.line for paper in self.papers}
        return {identifier: lines[identifier] for identifier in self.starred}

    async def _find(self, wanted: Wanted) -> None:
        self._children += 1
        self._idle.clear()
        problem = ""
        try:
            await call(f"the search of {wanted.service}", wanted.words(into=False), self._step,
                       line=lambda line: self._came(wanted, line))  # fmt: skip
        except asyncio.CancelledError:
            problem = "stopped"
            raise
        except BioRetrievalError as error:
            problem = error.line()
        finally:
            self._children -= 1
            if not self._children:
                self._idle.set()
            if self.wanted is wanted:
                self.under_way, self.problem, self._worker = False, problem, None
                self._tell()

    def _step(self, progress: Progress) -> None:
        self.total = progress.total
        self._soon()

    def _came(self, wanted: Wanted, line: bytes) -> None:
        if self.wanted is not wanted:
            return
        paper = paper_of(line, len(self.papers) + 1)
        if paper is not None and paper.hit.id not in self._known:
            self._known.add(paper.hit.id)
            self.papers.append(paper)
            self._soon()

    def _soon(self) -> None:
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(EVERY, self._tell)

    def _tell(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if not self._closed:
            self._changed()
