"""Ids of works: those of a pasted list, and those of the catalogue's papers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from bioretrieval_tui.documents.identity import doi_of, listed
from bioretrieval_tui.documents.source import SourceReader
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.online.spool import IdKind, WorkId
from bioretrieval_tui.terminal.clean import clean

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.catalogue import Catalogue

MOST_IDS = 100_000
"""Ids of a file, at most."""
_AROUND = "\"'`<>()[]{}.,;:*-\u2018\u2019\u201c\u201d\u00ab\u00bb"
_SITE = r"(?:https?://)?(?:www\.|export\.|dx\.)?"
_LINK = re.compile(rf"{_SITE}[a-z.]+\.(?:gov|org)/", re.IGNORECASE)
_TERM = re.compile(r"\?term=(?=\d+(?:&|$))")
"""Of a search of PubMed for one PMID."""
_NLM = rf"{_SITE}(?:[a-z]+\.)?ncbi\.nlm\.nih\.gov/"
_EUROPEPMC = rf"{_SITE}europepmc\.org/(?:article|articles|abstract)/"


def _form(prefix: str, name: str) -> re.Pattern[str]:
    return re.compile(f"(?:{prefix})?{name}", re.ASCII | re.IGNORECASE)


_FORMS: Mapping[IdKind, re.Pattern[str]] = {
    # "12345678.0" is what a spreadsheet makes of a number.
    "pmid": _form(
        rf"pmid[:=]|{_NLM}(?:pubmed/|m/pubmed/)?|{_EUROPEPMC}med/", r"([1-9]\d{0,8})(?:\.0)?"
    ),
    "pmcid": _form(
        rf"pmc(?:id)?[:=]|{_NLM}(?:pmc/)?articles/|{_EUROPEPMC}(?:pmc/)?",
        r"(?:PMC)?([1-9]\d{0,8})(?:\.\d{1,2}|/pdf.*)?",
    ),
    # Only arXiv knows its own DOIs.
    "arxiv": _form(
        rf"arxiv[:=]|{_SITE}arxiv\.org/(?:abs|pdf|html)/"
        rf"|(?:doi[:=]|{_SITE}doi\.org/)?10\.48550/arxiv\.",
        r"(\d{4}\.\d{4,5}|(?-i:[a-z-]+(?:\.[A-Z]{2})?)/\d{7})(?:v\d{1,3})?(?:\.pdf)?",
    ),
}
"""Kind of id -> its forms (bare, after its kind, as a URL), tried in this order before DOIs."""
_LABELS = {
    "pmid": "pmid:", "pmids": "pmid:", "pubmed": "pmid:", "pmcid": "pmcid:", "pmcids": "pmcid:",
    "pmc": "pmcid:", "doi": "doi:", "dois": "doi:", "arxiv": "arxiv:", "id": "", "ids": "",
    "and": "",
}  # fmt: skip
"""Words that name the kind of the id after them, the heading of a column, and a conjunction."""


def read_ids(path: Path | None) -> tuple[tuple[WorkId, ...], list[tuple[int, str]]]:
    """Read the ids of a file, or of stdin if None: one or several a line, between white space,
    commas or semicolons; # begins a comment.

    Returns the ids, each once and in order, and (line, text) of all that is not an id. Raises
    NotFoundError or CorpusError if it cannot be read, UsageError if it has too many.
    """
    found: dict[tuple[str, str], WorkId] = {}
    unknown: list[tuple[int, str]] = []
    with SourceReader(path) as source:
        for number, line in source.lines(2**16):
            if line is None:
                unknown.append((number, "a line of more than 64 kB"))
                continue
            text = clean(line.decode("utf-8", "replace"))
            label = ""
            for word in listed(re.sub(r"(?:^|\s)#.*", "", text)):
                bare = word.strip(_AROUND).casefold()
                if not bare or bare in _LABELS:
                    label = _LABELS.get(bare, label)
                    continue
                one = work_id(label + word, number) or work_id(word, number)
                label = ""
                if one is None:
                    unknown.append((number, word))
                else:
                    found.setdefault(one.key, one)
            if len(found) > MOST_IDS:
                raise UsageError(
                    f"the file holds more than {MOST_IDS:,} ids",
                    remedy="split it, or fetch a query",
                )
    return tuple(found.values()), unknown


def work_id(word: str, line: int = 1) -> WorkId | None:
    """Parse an id: bare, with its kind before a colon, or as a URL; None for anything else."""
    bare = word.strip(_AROUND)
    if _LINK.match(bare):
        bare = re.split(r"[?#&]", _TERM.sub("", unquote(bare)), maxsplit=1)[0].rstrip("/")
    doi = doi_of(word)
    for kind, form in _FORMS.items():
        if found := form.fullmatch(bare) or (doi and form.fullmatch(doi)):
            return WorkId(kind, f"{'PMC' if kind == 'pmcid' else ''}{found[1]}", line)
    return WorkId("doi", doi, line) if doi else None


def paper_ids(catalogue: Catalogue) -> dict[str, WorkId]:
    """The id by which each paper is requested, by entry id; papers without one are left out."""
    from bioretrieval_tui.catalog.models import Paper

    found: dict[str, WorkId] = {}
    for paper in catalogue.of_type(Paper):
        # The records of PubMed are the most complete, those of arXiv the most certain.
        for value in (paper.pmid, paper.arxiv, paper.doi):
            if one := work_id(str(value or "")):
                found.setdefault(paper.id, one)
    return found
