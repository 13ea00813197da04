"""MeSH: headings with their places in the tree and their entry terms, from NLM's descriptor file,
kept in a compact form in the data folder.

A term finds its heading, and a heading those below it: `mesh:cancer` in a filter means Neoplasms
and all that is narrower.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bioretrieval_tui.documents.document import RecordFault
from bioretrieval_tui.documents.source import SourceReader
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import places, save_file
from bioretrieval_tui.util.folding import equal_key, fold

if TYPE_CHECKING:
    from lxml.etree import _Element

TERMS = "https://www.nlm.nih.gov/databases/download/terms_and_conditions_mesh.html"
"""NLM's conditions: free to use; the source, and that it may not be the latest, is to be said."""
_FETCH = "fetch it again: bioretrieval-tui fetch mesh"
_MOST_BYTES = 256 * 2**20


class Heading(msgspec.Struct, frozen=True, array_like=True):
    """A heading. trees: its places ("C04.588"), none for a few; terms: its other names."""

    name: str
    trees: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()


class MeshFile(msgspec.Struct, frozen=True):
    """What is kept. source: the file of NLM that it is from, such as desc2026.gz; day: of the
    fetch, ISO 8601."""

    source: str
    day: str
    headings: tuple[Heading, ...]


class Mesh:
    """The headings of one edition, by name, term and place."""

    def __init__(self, file: MeshFile) -> None:
        self.file = file

    def __len__(self) -> int:
        return len(self.file.headings)

    @cached_property
    def _named(self) -> dict[str, Heading]:
        """Headings by their names and terms as `equal_key` has them; names go first."""
        named = {equal_key(term): one for one in self.file.headings for term in one.terms}
        return named | {equal_key(one.name): one for one in self.file.headings}

    @cached_property
    def _placed(self) -> list[tuple[str, Heading]]:
        """Headings by place; the places below "C04" follow it, as "C04.588"."""
        placed = [(f"{tree}.", one) for one in self.file.headings for tree in one.trees]
        return sorted(placed, key=lambda pair: pair[0])

    def heading(self, term: str) -> Heading | None:
        """The heading that is called `term`, without regard to case, accents and hyphens."""
        return self._named.get(equal_key(term))

    def narrower(self, heading: Heading) -> list[str]:
        """The names of a heading and of all below it at any of its places, each once."""
        names = {heading.name: None}
        for tree in heading.trees:
            at = bisect_left(self._placed, f"{tree}.", key=lambda pair: pair[0])
            while at < len(self._placed) and self._placed[at][0].startswith(f"{tree}."):
                names[self._placed[at][1].name] = None
                at += 1
        return list(names)

    @cached_property
    def _folded(self) -> list[tuple[str, ...]]:
        return [tuple(map(fold, (one.name, *one.terms))) for one in self.file.headings]

    def begun(self, text: str, most: int) -> list[tuple[Heading, str]]:
        """Headings of which the name or a term begins with `text`, and that name or term: first
        those of which the name does, the shortest first; at most `most`."""
        wanted, found = fold(text), []
        for one, folded in zip(self.file.headings, self._folded, strict=True):
            fitting = (at for at, term in enumerate(folded) if term.startswith(wanted))
            if (at := next(fitting, None)) is not None:
                term = one.terms[at - 1] if at else one.name
                found.append((at > 0, len(term), one.name, term, one))
        return [(one, term) for *_, term, one in sorted(found)[:most]]


def mesh_path() -> Path:
    """Where the headings are kept."""
    return places().data / "mesh.json"


def kept_mesh() -> Mesh | None:
    """The headings that were fetched, None if there are none. Raises BioRetrievalError if the file
    is damaged."""
    path = mesh_path()
    try:
        info = path.stat()
    except OSError:
        return None
    return _read(path, info.st_mtime_ns, info.st_size)


@lru_cache(maxsize=1)
def _read(path: Path, _changed: int, size: int) -> Mesh:
    try:
        if size > _MOST_BYTES:
            raise ValueError("it is too large")
        return Mesh(msgspec.json.decode(path.read_bytes(), type=MeshFile))
    except (OSError, ValueError, RecursionError) as error:
        raise BioRetrievalError(f"{path} cannot be read: {error}", remedy=_FETCH) from error


def keep_mesh(
    download: Path, source: str, day: str, tell: Callable[[int], None] = lambda _: None
) -> Mesh:
    """Read NLM's descriptor file and keep its headings; `tell` is called with their number. Raises
    BioRetrievalError if it is no such file or damaged, or they cannot be kept; what was kept before
    stays then."""
    from bioretrieval_tui.documents.readers.xml_records import xml_records

    headings: list[Heading] = []
    with SourceReader(download) as reader:
        for place, found in xml_records(reader, None, ("DescriptorRecord",)):
            if isinstance(found, RecordFault):
                raise BioRetrievalError(f"{place}: {found.reason}", remedy=_FETCH)
            headings.append(_heading(found))
            if len(headings) % 500 == 0:
                tell(len(headings))
    headings = [one for one in headings if one.name]
    if not headings:
        raise BioRetrievalError(f"{source} holds no MeSH headings", remedy=_FETCH)
    file = MeshFile(source, day, tuple(sorted(headings, key=lambda one: one.name)))
    save_file(mesh_path(), msgspec.json.encode(file), "the headings of MeSH")
    return Mesh(file)


def _heading(record: _Element) -> Heading:
    from bioretrieval_tui.documents.bibliography import distinct
    from bioretrieval_tui.documents.readers.xml_records import squeezed

    name = squeezed(record.findtext("DescriptorName/String"))
    trees = distinct(squeezed(one.text) for one in record.iterfind("TreeNumberList/TreeNumber"))
    terms = record.iterfind("ConceptList/Concept/TermList/Term/String")
    others = distinct(squeezed(one.text) for one in terms)
    return Heading(name, tuple(trees), tuple(term for term in others if term != name))
