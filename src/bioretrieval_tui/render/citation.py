"""Works to cite: catalogue entries and documents of an index as BibTeX.

Papers become @article, @inproceedings or @misc by their venue; models, datasets and benchmarks
become @misc with the address where they are found. `latex` escapes the values.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.catalog.models import AnyEntry, Benchmark, Dataset, Model, Paper
from bioretrieval_tui.render import latex
from bioretrieval_tui.render.sheet import one_line
from bioretrieval_tui.terminal.clean import safe_url

if TYPE_CHECKING:
    from bioretrieval_tui.render.hits import Hit


@dataclass(frozen=True, slots=True)
class Citation:
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

    A year in the venue ("EACL 2023") is the year of publication and goes before the entry's own,
    which may be that of the preprint. Fields that no source could be read for are named in a note.
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
    return Citation(_key(paper, year), kind, _filled(fields))


def citable(entry: AnyEntry) -> bool:
    """Whether the entry is a work: a paper, or what can be fetched from some address."""
    return isinstance(entry, Paper) or _found_at(entry) is not None


def cite_entry(entry: AnyEntry) -> Citation:
    """A citable entry as a work to cite: a paper by `cite`, anything else by its address.

    Raises:
        ValueError: the entry is not citable.
    """
    if isinstance(entry, Paper):
        return cite(entry)
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
    ]
    return Citation(entry.id, "misc", _filled(fields))


def _found_at(entry: AnyEntry) -> str | None:
    """Where a model, dataset or benchmark is found: its hub, else its first link."""
    if not isinstance(entry, (Model, Dataset, Benchmark)):
        return None
    url = hub_url(entry) or next((link.url for link in entry.links), None)
    return safe_url(url) if url else None


def hub_url(entry: AnyEntry) -> str | None:
    """Where the entry's first hub id leads, or None."""
    if isinstance(entry, Model) and entry.hub:
        return f"https://huggingface.co/{entry.hub[0]}"
    if isinstance(entry, Dataset) and entry.hub:
        return f"https://huggingface.co/datasets/{entry.hub[0]}"
    return None


def _filled(fields: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
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
    surname = ascii_word(_surname(paper.authors[0])) if paper.authors else ""
    if not surname or paper.authors == ("others",):
        return paper.id
    return f"{surname}{year}{telling_word(paper.title)}"


def telling_word(title: str) -> str:
    """The first word of a title that says something, as it may stand in a key; or nothing."""
    words = [ascii_word(word) for word in re.split(r"[^\w-]+", title)]
    return next((word for word in words if word and not _STOP_WORD.fullmatch(word)), "")


def _surname(author: str) -> str:
    author = one_line(author)
    if author.startswith("{"):
        return next(iter(author.strip("{}").split()), "")
    if "," in author:
        return author.partition(",")[0]
    return author.rpartition(" ")[2]


def ascii_word(text: str) -> str:
    """The letters and digits that may stand in a key: small, without accents."""
    text = unicodedata.normalize("NFKD", one_line(text).casefold().translate(_UNDECOMPOSED))
    return "".join(char for char in text if char.isascii() and char.isalnum())


# Documents -----------------------------------------------------------------------------------

_INITIALS = re.compile(
    r"(?P<family>.+?),? (?P<initials>[A-Z](?:[A-Z-]{0,4}))(?: (?P<rank>Jr|Sr|2nd|3rd|[IV]+))?"
)
_MOST_AUTHORS = 200


def citable_hit(hit: Hit) -> bool:
    """Whether a reader could find the work again: it has a title and a year, or an address."""
    return bool(one_line(hit.title)) and (hit.year is not None or _address(hit) is not None)


def cite_hit(hit: Hit) -> Citation:
    """A document as a work to cite: an article where the journal is known, else `misc`."""
    known = hit.metadata
    journal = _text(known, "journal")
    people = _people(known.get("authors"))
    address = _address(hit)
    fields = [
        ("title", latex.title(hit.title)),
        ("author", latex.authors(people)),
        ("journal", latex.escape(journal)),
        ("year", str(hit.year or "")),
        ("volume", latex.escape(_text(known, "volume"))),
        ("number", latex.escape(_text(known, "issue"))),
        ("pages", latex.escape(_text(known, "pages").replace("-", "--"))),
        ("doi", latex.address(_text(known, "doi"))),
        ("pmid", latex.escape(_text(known, "pmid"))),
        ("url", latex.address(address) if address else ""),
    ]
    filled = tuple((name, value) for name, value in fields if value)
    return Citation(_hit_key(hit, people), "article" if journal else "misc", filled)


def _people(authors: Any) -> tuple[str, ...]:
    """Names as BibTeX wants them; a group keeps its name whole."""
    if isinstance(authors, str):
        authors = re.split(r"\s*;\s*", authors)
    if not isinstance(authors, list | tuple):
        return ()
    names = []
    for author in authors[:_MOST_AUTHORS]:
        name = one_line(str(author))
        found = _INITIALS.fullmatch(name)
        if found:
            initials = " ".join(f"{letter}." for letter in found["initials"] if letter != "-")
            rank = f", {found['rank']}" if found["rank"] else ""
            name = f"{found['family']}{rank}, {initials}"
        elif " " in name and "," not in name:
            name = f"{{{name}}}"
        if name:
            names.append(name)
    if len(authors) > _MOST_AUTHORS:
        names.append("others")
    return tuple(names)


def _address(hit: Hit) -> str | None:
    return safe_url(hit.url) if hit.url else None


def _text(known: Mapping[str, Any], name: str) -> str:
    value = known.get(name)
    return one_line(str(value)) if isinstance(value, str | int) else ""


def _hit_key(hit: Hit, people: tuple[str, ...]) -> str:
    surname = ascii_word(people[0].strip("{}").partition(",")[0]) if people else ""
    key = f"{surname}{hit.year or ''}{telling_word(hit.title)}"
    return key or ascii_word(hit.id) or "document"


# BibTeX --------------------------------------------------------------------------------------


def entry_text(citation: Citation, *, key: str | None = None) -> str:
    """One BibTeX entry that ends with a newline. Field values are LaTeX already."""
    lines = [f"@{citation.type}{{{key or citation.key},"]
    lines += [f"  {name} = {{{value}}}," for name, value in citation.fields]
    return "\n".join([*lines, "}"]) + "\n"


def bibliography(citations: Sequence[Citation]) -> Iterator[str]:
    """The entries with an empty line between them.

    A citation that stands there twice is written once. Different works with one key get a letter
    behind it, from the second on: lee2020biobert, lee2020biobertb.
    """
    seen: set[Citation] = set()
    taken: set[str] = set()
    for citation in citations:
        if citation in seen:
            continue
        key = _free(citation.key, taken)
        gap = "\n" if seen else ""
        seen.add(citation)
        taken.add(key.casefold())  # BibTeX takes Lee2020 and lee2020 for one key
        yield gap + entry_text(citation, key=key)


def _free(key: str, taken: set[str]) -> str:
    if key.casefold() not in taken:
        return key
    for letter in ascii_lowercase[1:]:
        if (key + letter).casefold() not in taken:
            return key + letter
    number = 2
    while f"{key}-{number}".casefold() in taken:
        number += 1
    return f"{key}-{number}"
