"""Duplicates across sources: whether two records with different ids describe the same work.

Two records are the same work if they share a PMID, a PMC id or a DOI and their titles do not
contradict it (a supplement's DOI stands on each of its abstracts); or if their titles are equal but
for case, markup and punctuation, the first author's family name and the year (one apart at most)
agree, and neither the journal nor volume and first page differ. Two PMIDs or two DOIs are two
works, whatever else agrees: a preprint and its article, an abstract of a meeting and the paper.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from bioretrieval_tui.documents.bibliography import LISTS, document_year
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.identity import same_doi
from bioretrieval_tui.documents.person_names import short_name
from bioretrieval_tui.util.folding import fold

_IDS = ("pmid", "pmcid", "doi")
_SHORTEST_TITLE = 20
"""Letters of a title that identifies a work together with author and year; "Editorial" does not."""
_KEY_LETTERS = 40
_ALIKE = 0.3
"""Least share of words that the titles of one work have in common; translations are checked by
PMID alone."""
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,40}>")
_WORDS = re.compile(r"[^\W_]+")
_GREEK = str.maketrans(
    dict(zip("αβγδεκλμπστω", "alpha beta gamma delta epsilon kappa lambda mu pi sigma tau omega"
             .split(), strict=True))
)  # fmt: skip
_SILENT = frozenset("the of and for in on de der et an la le und".split())
_PAGES = re.compile(r"[A-Za-z]*0*(\w+?)(?:[-\u2013].*)?")


def keys_of(document: Document) -> Iterator[int]:
    """64-bit hashes under which records of the same work meet: of its PMID, PMC id, DOI, and the
    beginning of its title where that is telling and its author is known."""
    known = document.metadata
    for name in _IDS:
        if value := _identifier(known, name):
            yield _hash(f"{name}:{value}")
    title = _letters(document.title)
    if len(title) >= _SHORTEST_TITLE and known.get("authors"):
        yield _hash(f"title:{title[:_KEY_LETTERS]}")


def same_work(one: Document, other: Document) -> str | None:
    """Why two records are the same work, in a few words; None if they are not."""
    shared = None
    for name in _IDS:
        values = _identifier(one.metadata, name), _identifier(other.metadata, name)
        if values[0] and values[0] == values[1]:
            shared = shared or {"pmid": "PMID", "pmcid": "PMC id", "doi": "DOI"}[name]
        elif all(values):
            return None
    if shared:
        return f"same {shared}" if shared == "PMID" or alike(one, other) else None
    return _same_title(one, other)


def alike(one: Document, other: Document) -> bool:
    """Whether two titles may be of one work: one is missing, or they share enough of their words,
    or the texts do (of a translated title)."""
    words = [set(_WORDS.findall(_plain(each.title))) for each in (one, other)]
    return not all(words) or _share(*words) >= _ALIKE or _texts_alike(one, other)


def merged(one: Document, other: Document) -> Document:
    """One document of two records of a work: the fuller text and all metadata; where both have a
    field, that of the first, or the longer list. Its id is the first by the rule of `identity`."""
    fields: dict[str, Any] = dict(one.metadata)
    for name, value in other.metadata.items():
        mine = fields.get(name)
        longer = name in LISTS and isinstance(mine, list) and isinstance(value, list)
        if mine in (None, "", []) or (longer and len(value) > len(mine)):
            fields[name] = value
    fuller = other if len(other.text.strip()) > len(one.text.strip()) else one
    title = one.title if one.title.strip() else other.title
    ids = [str(fields.get(name) or "") for name in _IDS]
    rule = [*ids[:2], same_doi(ids[2])]
    own = sorted((one.id, other.id), key=lambda each: each.startswith("made:"))
    return Document(
        next((each for each in rule if each in own), own[0]), title, fuller.text, fields
    )


def _same_title(one: Document, other: Document) -> str | None:
    titles = _letters(one.title), _letters(other.title)
    known, others = one.metadata, other.metadata
    if (
        min(map(len, titles)) < _SHORTEST_TITLE
        or titles[0][:_KEY_LETTERS] != titles[1][:_KEY_LETTERS]
    ):
        return None
    families = _family(known), _family(others)
    years = document_year(known), document_year(others)
    if not all(families) or families[0] != families[1] or None in years:
        return None
    if abs((years[0] or 0) - (years[1] or 0)) > 1:
        return None
    places = [_place(each) for each in (known, others)]
    agree = [a == b for a, b in zip(*places, strict=True) if a and b]
    if not all(agree):
        return None
    journals = str(known.get("journal") or ""), str(others.get("journal") or "")
    if titles[0] == titles[1]:
        if all(journals) and not same_journal(*journals) and len(agree) < 2:
            return None
        return "same title, first author and year"
    # One without its subtitle, or cut: volume and page must agree.
    cut = titles[0].startswith(titles[1]) or titles[1].startswith(titles[0])
    return (
        "same beginning of the title, author, volume and page" if cut and len(agree) == 2 else None
    )


def same_journal(one: str, other: str) -> bool:
    """Whether two names are of one journal: equal, abbreviated word by word, or its initials."""
    names = _journal_words(one), _journal_words(other)
    if names[0] == names[1]:
        return True
    short, long = sorted(names, key=lambda words: sum(map(len, words)))
    if len(short) == len(long):
        return all(map(_abbreviates, short, long))
    return len(short) == 1 and short[0] == "".join(word[0] for word in long)


def _abbreviates(short: str, long: str) -> bool:
    if len(short) > len(long):
        short, long = long, short
    rest = iter(long)
    return short[0] == long[0] and all(letter in rest for letter in short)


def _journal_words(name: str) -> list[str]:
    name = re.sub(r"\(.*?\)|[:=].*$", " ", fold(html.unescape(name)).replace("&", " "))
    return [word for word in _WORDS.findall(name) if word not in _SILENT] or [name.strip() or "-"]


def _identifier(known: Mapping[str, Any], name: str) -> str:
    value = known.get(name)
    text = str(value).strip() if isinstance(value, str | int) else ""
    return same_doi(text) if name == "doi" else text.upper()


def _place(known: Mapping[str, Any]) -> tuple[str, str]:
    """Volume, and the first page without its letters and zeros."""
    page = _PAGES.fullmatch(str(known.get("pages") or "").strip())
    return str(known.get("volume") or "").strip(), page[1].lower() if page else ""


def _family(known: Mapping[str, Any]) -> str:
    authors = known.get("authors")
    if isinstance(authors, str):  # of a table
        authors = authors.split(";") if ";" in authors else authors.split(",")
    first = short_name(str(authors[0])) if isinstance(authors, list) and authors else ""
    # "van der Berg OP": all words but the initials.
    words = [word for word in first.split() if not word.isupper()]
    return "".join(_WORDS.findall(fold(" ".join(words) or first)))


def _texts_alike(one: Document, other: Document) -> bool:
    words = [set(_WORDS.findall(fold(each.text[:2_000]))) for each in (one, other)]
    return all(words) and _share(*words) >= 2 * _ALIKE


def _share(one: set[str], other: set[str]) -> float:
    return len(one & other) / min(len(one), len(other))


@lru_cache(maxsize=1024)
def _plain(title: str) -> str:
    title = fold(_TAG.sub("", html.unescape(title)))
    return title.translate(_GREEK).replace("&", " and ")


def _letters(title: str) -> str:
    return "".join(_WORDS.findall(_plain(title)))


def _hash(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little", signed=True)
