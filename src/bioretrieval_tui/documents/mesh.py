"""MeSH: headings with their places in the tree and their entry terms, from NLM's descriptor file,
kept as a text of a line a heading in the data folder.

A term finds its heading, and a heading those below it: `mesh:cancer` in a filter means Neoplasms
and all that is narrower. Lookups are searches in the whole text without blanks and hyphens: a table
of 250,000 terms would take longer to make than any search needs.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bioretrieval_tui.documents.bibliography import distinct
from bioretrieval_tui.documents.document import RecordFault
from bioretrieval_tui.documents.source import SourceReader
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import places, save_file
from bioretrieval_tui.util.folding import equal_key, fold

if TYPE_CHECKING:
    from lxml.etree import _Element

CONDITIONS = "https://www.nlm.nih.gov/databases/download/terms_and_conditions_mesh.html"
"""NLM's terms: free to use; the source, and that it may not be the latest, is to be said."""
_FETCH = "fetch it again: bioretrieval-tui fetch mesh"
_MOST_BYTES = 256 * 2**20
_MAGIC = "bioretrieval mesh 1"
_PLACE = "@"  # before a place in the tree, so that it is no term
_SEPARATORS = b"-_ "


class Heading(NamedTuple):
    """A heading. trees: its places ("C04.588"), none for a few; terms: its other names."""

    name: str
    trees: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        return "\t".join((self.name, *(_PLACE + tree for tree in self.trees), *self.terms))


class Mesh:
    """The headings of one edition. text: as it is kept. Raises ValueError if it is no such text."""

    def __init__(self, text: str) -> None:
        head, *self._lines = text.removesuffix("\n").split("\n")
        magic, self.source, self.day = head.split("\t")
        if magic != _MAGIC:
            raise ValueError("it is of another version")
        folded = (line if line.isascii() else fold(line) for line in self._lines)
        data = "\n".join(("", *folded, "")).encode()
        self._data = data.lower().translate(None, _SEPARATORS)

    def __len__(self) -> int:
        return len(self._lines)

    def headings(self) -> Iterator[Heading]:
        return map(self._heading, range(len(self._lines)))

    def _heading(self, number: int) -> Heading:
        name, *others = self._lines[number].split("\t")
        trees = [other[1:] for other in others if other.startswith(_PLACE)]
        return Heading(name, tuple(trees), tuple(others[len(trees) :]))

    def _found(self, pattern: bytes) -> Iterator[int]:
        """The numbers of the lines in which `pattern` occurs, ascending."""
        seen, before = -1, 0
        number = -1
        for match in re.finditer(pattern, self._data):
            number += self._data.count(b"\n", before, match.start() + 1)
            before = match.start() + 1
            if number != seen:
                seen = number
                yield number

    def heading(self, term: str) -> Heading | None:
        """The heading that is called `term`, without regard to case, accents and hyphens."""
        key = re.escape(equal_key(term).encode())
        for begins in (b"\n", b"\t"):
            found = self._found(begins + key + rb"(?=[\t\n])") if key else iter(())
            if (number := next(found, None)) is not None:
                return self._heading(number)
        return None

    def narrower(self, heading: Heading) -> list[str]:
        """The names of a heading and of all below it at any of its places, each once."""
        trees = b"|".join(re.escape(tree.lower().encode()) for tree in heading.trees)
        found = self._found(b"\t@(?:" + trees + rb")(?=[.\t\n])") if trees else iter(())
        return distinct([heading.name, *(self._heading(number).name for number in found)])

    def begun(self, text: str, most: int) -> list[tuple[Heading, str]]:
        """Headings of which the name or a term begins with `text`, and that name or term: first
        those of which the name does, the shortest first; at most `most`."""
        key, found = equal_key(text), dict[Heading, str]()
        for begins in (b"\n", b"\t") if key else ():
            for number in self._found(begins + re.escape(key.encode())):
                one = self._heading(number)
                named = (term for term in (one.name, *one.terms) if equal_key(term).startswith(key))
                found.setdefault(one, next(named, one.name))
            if len(found) >= most:
                break
        by_name = ((term != one.name, len(term), one.name, one) for one, term in found.items())
        return [(one, found[one]) for *_, one in heapq.nsmallest(most, by_name)]


def mesh_path() -> Path:
    """Where the headings are kept."""
    return places().data / "mesh.tsv"


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
        return Mesh(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BioRetrievalError(f"{path} cannot be read: {error}", remedy=_FETCH) from error


def keep_mesh(
    download: Path, source: str, day: str, tell: Callable[[int], None] = lambda _: None
) -> Mesh:
    """Read NLM's descriptor file and keep its headings; `source`: its name; `day`: of the fetch,
    ISO 8601; `tell` is called with the number of headings. Raises BioRetrievalError if it is no
    such file or damaged, or they cannot be kept; what was kept before stays then."""
    from bioretrieval_tui.documents.readers.xml_records import xml_records

    headings: list[Heading] = []
    with SourceReader(download) as reader:
        for place, found in xml_records(reader, None, ("DescriptorRecord",)):
            if isinstance(found, RecordFault):
                raise BioRetrievalError(f"{place}: {found.reason}", remedy=_FETCH)
            headings.append(_heading_of(found))
            if len(headings) % 500 == 0:
                tell(len(headings))
    lines = sorted(one.line for one in headings if one.name)
    if not lines:
        raise BioRetrievalError(f"{source} holds no MeSH headings", remedy=_FETCH)
    text = "\n".join([f"{_MAGIC}\t{source}\t{day}", *lines, ""])
    save_file(mesh_path(), text.encode(), "the headings of MeSH")
    return Mesh(text)


def _heading_of(record: _Element) -> Heading:
    from bioretrieval_tui.documents.readers.xml_records import squeezed

    name = squeezed(record.findtext("DescriptorName/String"))
    trees = distinct(squeezed(one.text) for one in record.iterfind("TreeNumberList/TreeNumber"))
    terms = record.iterfind("ConceptList/Concept/TermList/Term/String")
    others = distinct(squeezed(one.text) for one in terms)
    return Heading(name, tuple(trees), tuple(term for term in others if term != name))
