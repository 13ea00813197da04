"""Works to cite: catalogue entries, and BibTeX of any citations.

Papers become @article, @inproceedings or @misc by their venue; models, datasets and benchmarks
become @misc with the address where they are found. `latex` escapes the values.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain, count
from string import ascii_lowercase

from msgspec import Struct
from msgspec.structs import replace

from bioretrieval_tui.catalog import fields as table
from bioretrieval_tui.catalog.catalogue import kind_of
from bioretrieval_tui.catalog.models import AnyEntry, Benchmark, Dataset, Model, Paper
from bioretrieval_tui.render import latex
from bioretrieval_tui.render.sheet import one_line
from bioretrieval_tui.terminal.clean import safe_url


class Citation(Struct, frozen=True):
    """One BibTeX entry. Values are LaTeX with balanced braces, see `latex.py`."""

    key: str
    type: str
    fields: tuple[tuple[str, str], ...]


_MEETINGS = re.compile(
    r"\b(ACL|NAACL|EACL|AACL|EMNLP|COLING|CoNLL|LREC|SemEval|BioNLP|ClinicalNLP|LOUHI|COLM"
    r"|SIGIR|ECIR|ICTIR|CHIIR|CIKM|WSDM|WWW|RecSys|JCDL|TREC|TAC|CLEF|NTCIR"
    r"|KDD|NeurIPS|NIPS|ICLR|ICML|AAAI|IJCAI|AMIA|PSB|ICHI|BIBM|MEDINFO|ML4H|MLHC|CHIL|MICCAI"
    r"|Findings|Proceedings|Proc|Conference|Workshop|Symposium|Meeting)\b"
)
_PERIODICALS = re.compile(r"\b(Trans|Transactions|TACL|J|Journal|Forum|Letters|Annals)\b")
_PREPRINT = re.compile(r"\b(preprint|arxiv|biorxiv|medrxiv|technical report|blog)\b", re.IGNORECASE)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_LAST_YEAR = re.compile(r"[ ,(]+((?:19|20)\d\d)\)?$")
_VOLUME = re.compile(
    r"^(?P<name>.*[^\W\d_][.,]?) (?P<volume>\d+)(?:\((?P<number>[\w-]+)\))?(?::(?P<pages>[\w-]+))?$"
)
_MANNER = re.compile(r" \((?:oral|poster|spotlight|demo)\)$", re.IGNORECASE)
_STOP_WORD = re.compile(r"an?|the|on|in|of|for|to|from|with|and|is|are|do|does|how|what")
_UNDECOMPOSED = str.maketrans(
    {"ø": "o", "ł": "l", "ß": "ss", "æ": "ae", "œ": "oe", "đ": "d", "þ": "th", "ð": "d"}
)


def cite(paper: Paper) -> Citation:
    """The paper as a work to cite.

    A year in the venue ("EACL 2023") is the year of publication and replaces the entry's own, which
    may be that of the preprint. A note names the unverified fields.
    """
    venue = _MANNER.sub("", one_line(paper.venue or ""))
    years = _YEAR.findall(venue)
    year = years[-1] if years else str(paper.year or "")
    kind, place = _place(venue)
    url = next((link.url for link in paper.links), None) or _paper_url(paper)
    fields = [
        ("title", latex.title(paper.title)),
        ("author", latex.authors(paper.authors)),
        *place,
        ("year", year),
        ("eprint", paper.arxiv or ""),
        ("archivePrefix", "arXiv" if paper.arxiv else ""),
        ("doi", latex.address(paper.doi or "")),
        ("url", latex.address(safe_url(url) or "") if url else ""),
        ("note", _note(paper)),
    ]
    return Citation(_key(paper, year), kind, filled(fields))


def citable(entry: AnyEntry) -> bool:
    """Whether the entry can be cited: a paper, or anything with an address."""
    return isinstance(entry, Paper) or _found_at(entry) is not None


def cite_entry(entry: AnyEntry) -> Citation:
    """A citable entry as a work to cite: a paper by `cite`, anything else by its address.

    Raises:
        ValueError: the entry is not citable.
    """
    more = tuple(
        (row.cite, latex.escape(str(found)))
        for row in table.TABLE.of(kind_of(entry))
        if row.cite and (found := entry.extra.get(row.name)) is not None
    )
    if isinstance(entry, Paper):
        work = cite(entry)
        return replace(work, fields=(*work.fields, *more))
    url = _found_at(entry)
    if url is None:
        raise ValueError(f"{entry.id} is no work to cite")
    hub = entry.hub if isinstance(entry, (Model, Dataset)) else ()
    owner = hub[0].partition("/")[0] if hub and "/" in hub[0] else ""
    fields = [
        ("title", latex.title(entry.name)),
        ("author", f"{{{latex.escape(owner)}}}" if owner else ""),
        ("year", str(entry.year or "")),
        ("howpublished", rf"\url{{{latex.address(url)}}}"),
        ("note", _note(entry)),
        *more,
    ]
    return Citation(entry.id, "misc", filled(fields))


def _found_at(entry: AnyEntry) -> str | None:
    """The address of a model, dataset or benchmark: on the hub, else its first link."""
    if not isinstance(entry, (Model, Dataset, Benchmark)):
        return None
    url = hub_url(entry) or next((link.url for link in entry.links), None)
    return safe_url(url) if url else None


def hub_url(entry: AnyEntry) -> str | None:
    """The address of the entry's first hub id, or None."""
    if not isinstance(entry, (Model, Dataset)) or not entry.hub:
        return None
    return table.TABLE.by_name["hub"].url(entry, entry.hub[0])


def filled(fields: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The fields that have a value."""
    return tuple((name, value) for name, value in fields if value)


def _place(venue: str) -> tuple[str, list[tuple[str, str]]]:
    """Entry type and the fields that say where it appeared."""
    if not venue:
        return "misc", []
    if _PREPRINT.search(venue):
        plain = venue.casefold() in ("preprint", "arxiv", "arxiv preprint")
        return "misc", [] if plain else [("howpublished", latex.escape(venue))]
    name = _LAST_YEAR.sub("", venue)
    volume = _VOLUME.match(name)
    if volume is None and _MEETINGS.search(venue) and not _PERIODICALS.search(venue):
        return "inproceedings", [("booktitle", latex.escape(venue))]
    if volume is None:
        return "article", [("journal", latex.escape(name))]
    return "article", [
        ("journal", latex.escape(volume["name"].rstrip(","))),
        ("volume", volume["volume"]),
        ("number", latex.escape(volume["number"] or "")),
        ("pages", latex.escape(volume["pages"] or "")),
    ]


def _paper_url(paper: Paper) -> str | None:
    if paper.acl:
        return f"https://aclanthology.org/{paper.acl}/"
    if paper.doi:
        return f"https://doi.org/{paper.doi}"
    if paper.arxiv:
        return f"https://arxiv.org/abs/{paper.arxiv}"
    return f"https://pubmed.ncbi.nlm.nih.gov/{paper.pmid}/" if paper.pmid else None


_CITED = ("title", "name", "authors", "venue", "year", "arxiv", "doi", "acl", "hub")


def _note(entry: AnyEntry) -> str:
    if entry.status == "unverified":
        return "unverified"
    fields = [name for name in _CITED if entry.statuses.get(name) == "unverified"]
    return f"unverified: {', '.join(fields)}" if fields else ""


def _key(paper: Paper, year: str) -> str:
    """Surname of the first author, year, first telling word of the title; else the entry's id."""
    author = one_line(paper.authors[0]) if paper.authors not in ((), ("others",)) else ""
    if author.startswith("{"):
        surname = next(iter(author.strip("{}").split()), "")
    else:
        surname = author.partition(",")[0] if "," in author else author.rpartition(" ")[2]
    surname = ascii_word(surname)
    return f"{surname}{year}{telling_word(paper.title)}" if surname else paper.id


def telling_word(title: str) -> str:
    """The first word of a title that is no stop word, in the form of a key; "" for none."""
    words = map(ascii_word, re.split(r"[^\w-]+", title))
    return next((word for word in words if word and not _STOP_WORD.fullmatch(word)), "")


def ascii_word(text: str) -> str:
    """The letters and digits of `text` for a key: lower case, without accents."""
    text = unicodedata.normalize("NFKD", one_line(text).casefold().translate(_UNDECOMPOSED))
    return "".join(char for char in text if char.isascii() and char.isalnum())


# BibTeX --------------------------------------------------------------------------------------


def entry_text(citation: Citation, *, key: str | None = None) -> str:
    """One BibTeX entry that ends with a newline. Field values are LaTeX."""
    lines = [f"@{citation.type}{{{key or citation.key},"]
    lines += [f"  {name} = {{{value}}}," for name, value in citation.fields]
    return "\n".join([*lines, "}"]) + "\n"


def bibliography(citations: Sequence[Citation]) -> Iterator[str]:
    """The entries with an empty line between them.

    Equal citations are written once. From the second on, different works with one key get a letter
    after it: lee2020biobert, lee2020biobertb.
    """
    used: set[str] = set()
    for citation in dict.fromkeys(citations):
        endings = chain(("", *ascii_lowercase[1:]), (f"-{number}" for number in count(2)))
        keys = (citation.key + ending for ending in endings)
        # BibTeX does not tell Lee2020 from lee2020.
        key = next(key for key in keys if key.casefold() not in used)
        yield ("\n" if used else "") + entry_text(citation, key=key)
        used.add(key.casefold())
