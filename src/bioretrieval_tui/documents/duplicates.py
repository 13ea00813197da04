"""Duplicates across sources: whether two records with different ids describe the same work.

Two records are the same work if they share a PMID, or a PMC id or DOI which their titles, authors
and pages do not contradict (a supplement's DOI stands on each of its abstracts); or if their titles
are equal but for case, markup, spelling and punctuation, and the first author, the year, the
journal, volume and first page agree as far as they are known. Little that is known must be balanced
by more: a title of a few words, a missing author or a later year needs volume and page. Two PMIDs
or two DOIs are two works, whatever else agrees, and so are a preprint and its article, the abstract
of a meeting and the paper, a work and the notice that corrects it.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any

from bioretrieval_tui.documents.bibliography import LISTS, document_year
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.identity import same_doi
from bioretrieval_tui.documents.person_names import initials, short_name
from bioretrieval_tui.util.folding import fold

_IDS = ("pmid", "pmcid", "doi")
_TELLING = 20
"""Letters of a title that identifies a work together with author and year; "Editorial" does not."""
_UNIQUE = 60
"""Letters of a title that hardly stands twice, as that of an annual report does."""
_KEY_LETTERS = 40
_ALIKE = 0.5
"""Share of the words of the longer title that two titles of one work have in common."""
_SAME_TEXT = 0.6
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,40}>")
_WORDS = re.compile(r"[^\W_]+")
_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalnum())
_GREEK = str.maketrans(
    dict(zip("αβγδεκλμπστω", "alpha beta gamma delta epsilon kappa lambda mu pi sigma tau omega"
             .split(), strict=True))
)  # fmt: skip
_SILENT = frozenset("the of and for in on to with by from de der et an la le und".split())
_PAGES = re.compile(r"[A-Za-z]*0*(\w+?)(?:[-\u2013].*)?")
_VOLUME = re.compile(r"^v(?:ol(?:ume)?)?[\s.]*")
_PREPRINT = re.compile(
    r"preprint|\b(?:bio|med|chem|psy|ar|edu|soc)ar?xiv\b|research square|ssrn"
    r"|^10\.(?:1101|21203|2139|48550|20944|26434|3123[14]|31219|31222|64898)/",
    re.IGNORECASE,
)
_MEETING = re.compile(r"(?:conference|meeting|congress) abstract|^abstract$", re.IGNORECASE)
_NOTICE = re.compile(
    r"erratum|corrigendum|^correction|retraction (?:of publication|notice)|expression of concern",
    re.IGNORECASE,
)


class Work:
    """What tells whether a record is of a work: its fields in the form in which they are compared,
    "" where they are not known."""

    def __init__(self, document: Document) -> None:
        self.document = document
        known = document.metadata
        pmid, pmcid, doi = (_text(known, name) for name in _IDS)
        self.ids = (pmid.upper(), pmcid.upper(), same_doi(doi))
        self.journal = _text(known, "journal")

    @cached_property
    def volume(self) -> str:
        return _VOLUME.sub("", _text(self.document.metadata, "volume").lower())

    @cached_property
    def title(self) -> str:
        return _letters(_plain(self.document.title))

    @cached_property
    def year(self) -> int | None:
        return document_year(self.document.metadata)

    @cached_property
    def page(self) -> str:
        """The first page, without leading letters and zeros."""
        page = _PAGES.fullmatch(_text(self.document.metadata, "pages"))
        return page[1].lower() if page else ""

    @cached_property
    def author(self) -> tuple[str, str]:
        """Family name and first initial of the first author."""
        authors = self.document.metadata.get("authors")
        if isinstance(authors, str):  # of a table
            authors = [authors.partition(";" if ";" in authors else ",")[0]]
        if not isinstance(authors, list) or not authors:
            return "", ""
        *family, letters = short_name(str(authors[0])).split() or [""]
        if not family or not (letters.isupper() and len(letters) <= 4):
            family, letters = [*family, letters], ""
        joined = _letters(_respelt(fold(" ".join(family))))
        return joined, initials(letters)[:1] if letters else ""

    @cached_property
    def kind(self) -> str:
        """What the record is: a preprint, an abstract of a meeting, a notice, or a work proper."""
        types = self.document.metadata.get("types")
        said = [str(one) for one in types] if isinstance(types, list) else []
        for kind, pattern, more in (
            ("preprint", _PREPRINT, (self.journal, self.ids[2])),
            ("meeting", _MEETING, ()),
            ("notice", _NOTICE, ()),
        ):
            if any(map(pattern.search, (*said, *more))):
                return kind
        return "work"

    def keys(self) -> Iterator[int]:
        """64-bit hashes under which records of the same work meet: of its PMID, PMC id, DOI, and
        the beginning of its title where that may identify it."""
        for name, value in zip(_IDS, self.ids, strict=True):
            if value:
                yield _hash(f"{name}:{value}")
        telling = len(self.title) >= _TELLING
        if self.title and ((telling and self.author[0]) or (self.volume and self.page)):
            place = "" if telling else f":{self.volume}:{self.page}"
            yield _hash(f"title:{self.title[:_KEY_LETTERS]}{place}")

    def same_as(self, other: Work) -> str | None:
        """Why two records are the same work, in a few words; None if they are not."""
        if self.contradicts(other):
            return None
        shared = [a for a, b in zip(self.ids, other.ids, strict=True) if a and a == b]
        if shared:
            said = ("PMID", "PMC id", "DOI")[self.ids.index(shared[0])]
            return f"same {said}" if said == "PMID" or self.is_like(other) else None
        return self._same_title(other) if self.kind == other.kind else None

    def contradicts(self, other: Work) -> bool:
        """Whether they have two identifiers of one kind, or were written by two people."""
        pairs = [*zip(self.ids, other.ids, strict=True)]
        if any(a and a == b for a, b in pairs[:1]):
            return False
        return any(a and b and a != b for a, b in pairs) or self._other_author(other)

    def is_like(self, other: Work) -> bool:
        """Whether two records of one identifier may be of one work: nothing of what is known speaks
        against it, or the titles are equal."""
        if not (self.title and other.title) or self._title_begins(other):
            return True
        if self._other_author(other) or (self.page and other.page and self.page != other.page):
            return False
        words = [set(_WORDS.findall(_plain(one.document.title))) - _SILENT for one in (self, other)]
        most = max(map(len, words))
        if most and len(words[0] & words[1]) / most > _ALIKE:
            return True
        translated = self.author[0] != "" and self.page == other.page != ""
        return translated or self._same_text(other)

    def _same_title(self, other: Work) -> str | None:
        pairs = ((self.volume, other.volume), (self.page, other.page))
        agree = [a == b for a, b in pairs if a and b]
        placed = len(agree) == 2
        authored = bool(self.author[0] and other.author[0])
        journals = not (self.journal and other.journal) or same_journal(self.journal, other.journal)
        if not self._title_begins(other) or not all(agree) or not (authored or placed):
            return None
        if self.title != other.title:  # one without its subtitle, or cut
            said = "same beginning of the title, author, volume and page"
            return said if placed and authored else None
        if not placed and (len(self.title) < _TELLING or not journals):
            return None
        apart = 9 if None in (self.year, other.year) else abs((self.year or 0) - (other.year or 0))
        sure = bool(agree) or len(self.title) >= _UNIQUE or self._same_text(other)
        if placed or apart == 0 or (apart == 1 and sure):
            return (
                "same title, first author and year" if authored else "same title, volume and page"
            )
        return None

    def _title_begins(self, other: Work) -> bool:
        short, long = sorted((self.title, other.title), key=len)
        return short == long or (len(short) >= _TELLING and long.startswith(short))

    def _other_author(self, other: Work) -> bool:
        return any(a and b and a != b for a, b in zip(self.author, other.author, strict=True))

    def _same_text(self, other: Work) -> bool:
        texts = (fold(one.document.text[:2_000]) for one in (self, other))
        words = [set(_WORDS.findall(text)) for text in texts]
        return all(words) and len(words[0] & words[1]) / min(map(len, words)) >= _SAME_TEXT


def is_bibliographic(document: Document) -> bool:
    """Whether a document is a record of a published work, with an identifier or an author."""
    return any(document.metadata.get(name) for name in (*_IDS, "authors"))


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
    identity = next((each for each in rule if each in own), own[0])
    return Document(identity, title, fuller.text, fields)


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


def _text(known: Mapping[str, Any], name: str) -> str:
    value = known.get(name)
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) else ""


@lru_cache(maxsize=1024)
def _plain(title: str) -> str:
    title = fold(_TAG.sub("", html.unescape(title)) if "<" in title or "&" in title else title)
    greek = title if title.isascii() else title.translate(_GREEK)
    return _respelt(greek.replace("&", " and "))


def _respelt(folded: str) -> str:
    """British and American spellings, and umlauts and their transcriptions, in one form."""
    return folded.replace("ae", "a").replace("oe", "o").replace("ue", "u").replace("our", "or")


def _letters(plain: str) -> str:
    if plain.isascii():  # in a tenth of the time
        return plain.encode().translate(None, _NO_LETTERS).decode()
    return "".join(_WORDS.findall(plain))


def _hash(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little", signed=True)
