"""Ids of works in a file, of any kind and in any mixture, and the services that know them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from bioretrieval_tui.documents.document import Document, Item, Place, Record
from bioretrieval_tui.documents.source import SourceReader
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.online import arxiv, europepmc, pubmed
from bioretrieval_tui.online.batches import Batch, Mark, batch
from bioretrieval_tui.online.door import Door

IdKind = Literal["pmid", "pmcid", "doi", "arxiv"]
MOST = 100_000
"""Ids of one file."""
CHUNK = 200
"""Ids between two marks."""
_SEPARATORS = re.compile(r"[\s,;]+")
_PMID = re.compile(r"[1-9]\d{0,8}", re.ASCII)
_PMC = re.compile(r"PMC[1-9]\d{0,8}", re.ASCII | re.IGNORECASE)
_DOI = re.compile(r"10\.\d{4,9}/[!-~]{1,200}", re.ASCII)
_ARXIV = re.compile(
    r"(\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v\d{1,3})?(?:\.pdf)?", re.ASCII
)
_ARXIV_DOI = re.compile(r"10\.48550/arxiv\.(.+)", re.IGNORECASE)
_PLACES: Mapping[IdKind, re.Pattern[str]] = {
    "pmid": re.compile(
        r"(?:pmid:|(?:https?://)?(?:www\.)?pubmed\.ncbi\.nlm\.nih\.gov/"
        r"|(?:https?://)?(?:www\.)?ncbi\.nlm\.nih\.gov/pubmed/)",
        re.IGNORECASE,
    ),
    "pmcid": re.compile(
        r"(?:pmcid:|(?:https?://)?pmc\.ncbi\.nlm\.nih\.gov/articles/"
        r"|(?:https?://)?(?:www\.)?ncbi\.nlm\.nih\.gov/pmc/articles/)",
        re.IGNORECASE,
    ),
    "doi": re.compile(r"(?:doi:|(?:https?://)?(?:dx\.)?doi\.org/)", re.IGNORECASE),
    "arxiv": re.compile(
        r"(?:arxiv:|(?:https?://)?(?:www\.|export\.)?arxiv\.org/(?:abs|pdf|html)/)", re.IGNORECASE
    ),
}


@dataclass(frozen=True, slots=True)
class WorkId:
    """One id, as its service writes it; `line`: where it first stood, from 1."""

    kind: IdKind
    name: str
    line: int


@dataclass(frozen=True, slots=True)
class IdFile:
    """The ids of a file, each once and in order, and (line, text) of what is none."""

    ids: tuple[WorkId, ...]
    unknown: tuple[tuple[int, str], ...]


def read_ids(path: Path | None) -> IdFile:
    """The ids of a file, or of stdin if None: one or several a line; after a # nothing counts.

    Raises:
        NotFoundError, CorpusError: it cannot be read. UsageError: it has too many.
    """
    found: dict[tuple[str, str], WorkId] = {}
    unknown: list[tuple[int, str]] = []
    with SourceReader(path) as source:
        for number, line in source.lines(2**16):
            if line is None:
                unknown.append((number, "a line of more than 64 kB"))
                continue
            text = line.decode("utf-8", "replace").removeprefix("\ufeff")
            if number == 1 and text.strip().casefold() in ("pmid", "id", "ids", "doi", "pmids"):
                continue  # the head of a column
            for word in filter(None, _SEPARATORS.split(re.sub(r"(?:^|\s)#.*", "", text))):
                one = work_id(word, number)
                if one is None:
                    unknown.append((number, word))
                else:
                    found.setdefault((one.kind, one.name.casefold()), one)
            if len(found) > MOST:
                raise UsageError(
                    f"the file holds more than {MOST:,} ids", remedy="split it, or fetch a query"
                )
    return IdFile(tuple(found.values()), tuple(unknown))


def work_id(word: str, line: int = 1) -> WorkId | None:
    """The id that a word is: bare, with its kind before a colon, or as an address; else None."""
    word = word.strip("\"'<>()[]{}").rstrip(".,;")
    for kind, place in _PLACES.items():
        said = place.match(word)
        if said:
            rest = unquote(word[said.end() :]).partition("?")[0] if "/" in said[0] else ""
            rest = rest or word[said.end() :]
            return _of_kind(kind, rest.rstrip("/"), line)
    for kind in _PLACES:
        one = _of_kind(kind, word, line)
        if one is not None:
            return one
    return None


def _of_kind(kind: IdKind, name: str, line: int) -> WorkId | None:
    if kind == "pmid":
        return WorkId(kind, name, line) if _PMID.fullmatch(name) else None
    if kind == "pmcid":
        name = name.upper() if name.upper().startswith("PMC") else f"PMC{name}"
        return WorkId(kind, name, line) if _PMC.fullmatch(name) else None
    if kind == "arxiv":
        bare = _ARXIV.fullmatch(name)
        return WorkId(kind, bare[1], line) if bare else None
    own = _ARXIV_DOI.fullmatch(name)  # such DOIs are arXiv's own, and no other service's
    if own:
        return _of_kind("arxiv", own[1], line)
    return WorkId(kind, name, line) if _DOI.fullmatch(name) else None


def batches(door: Door, ids: Sequence[WorkId], mark: Mark | None = None) -> Iterator[Batch]:
    """The works of `ids`, service by service and so not in their order; from behind `mark` on.

    Raises:
        OnlineError: a service fails.
    """
    mark = mark or Mark()
    chunks = [
        part[start : start + CHUNK]
        for kinds in (("pmid",), ("pmcid", "doi"), ("arxiv",))
        for part in ([one for one in ids if one.kind in kinds],)
        for start in range(0, len(part), CHUNK)
    ]
    first = int(mark.cursor.get("chunk", "0"))
    for number, chunk in enumerate(chunks[first:], start=first + 1):
        items = _asked_for(door, chunk)
        mark = Mark({"chunk": str(number)}, mark.done + len(chunk), len(ids))
        yield batch(items, mark)


def services_of(ids: Sequence[WorkId]) -> str:
    """The names of the services that are asked for `ids`, as messages say them."""
    kinds = {one.kind for one in ids}
    names = [
        name
        for name, own in (
            ("PubMed", {"pmid"}),
            (europepmc.NAME, {"pmcid", "doi"}),
            (arxiv.NAME, {"arxiv"}),
        )
        if kinds & own
    ]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def missing(ids: Sequence[WorkId], documents: Iterable[Document]) -> list[WorkId]:
    """Those of `ids` that no document answers to."""
    answered: set[tuple[str, str]] = set()
    for document in documents:
        answered |= names_of(document)
    return [one for one in ids if (one.kind, one.name.casefold()) not in answered]


def names_of(document: Document) -> set[tuple[str, str]]:
    """The ids of a document, as pairs of kind and name in lower case."""
    fields = ((kind, document.metadata.get(kind)) for kind in _PLACES)
    return {(kind, str(value).casefold()) for kind, value in fields if value}


def _asked_for(door: Door, chunk: Sequence[WorkId]) -> list[Item]:
    names = [one.name for one in chunk]
    if chunk[0].kind == "pmid":
        return list(pubmed.by_ids(door, names))
    if chunk[0].kind == "arxiv":
        return [Record(document, Place(arxiv.NAME)) for document in arxiv.by_ids(door, names)]
    fields = [("DOI" if one.kind == "doi" else "PMCID", one.name) for one in chunk]
    wanted = {(one.kind, one.name.casefold()) for one in chunk}
    # A search for ids also finds what only mentions them.
    return [
        item
        for item in europepmc.by_ids(door, fields)
        if not isinstance(item, Record) or names_of(item.document) & wanted
    ]
