"""Ids of works in a file, of any kind and in any mixture, and the services that know them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from bioretrieval_tui.corpus.document import Document, Record
from bioretrieval_tui.corpus.source import SourceReader
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.online import arxiv, europepmc, pubmed
from bioretrieval_tui.online.door import Door

IdKind = Literal["pmid", "pmcid", "doi", "arxiv"]
MOST = 100_000
"""Ids of one file."""
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


def fetch_ids(door: Door, ids: Sequence[WorkId]) -> Iterator[tuple[Document, WorkId | None]]:
    """The works of `ids`, each with the id that asked for it; service by service, not in order.

    Raises:
        OnlineError: a service fails.
    """
    by_kind: dict[IdKind, dict[str, WorkId]] = {"pmid": {}, "pmcid": {}, "doi": {}, "arxiv": {}}
    for one in ids:
        by_kind[one.kind][one.name.casefold()] = one
    pmids = by_kind["pmid"]
    for item in pubmed.by_ids(door, [one.name for one in pmids.values()]):
        if isinstance(item, Record):
            yield item.document, pmids.get(item.document.id)
    fields = [("PMCID", one.name) for one in by_kind["pmcid"].values()]
    fields += [("DOI", one.name) for one in by_kind["doi"].values()]
    for item in europepmc.by_ids(door, fields):
        if isinstance(item, Record):
            metadata = item.document.metadata
            asked = by_kind["pmcid"].get(str(metadata.get("pmcid", "")).casefold())
            asked = asked or by_kind["doi"].get(str(metadata.get("doi", "")).casefold())
            if asked is not None:
                yield item.document, asked
    papers = by_kind["arxiv"]
    for document in arxiv.by_ids(door, [one.name for one in papers.values()]):
        yield document, papers.get(document.id.casefold())
