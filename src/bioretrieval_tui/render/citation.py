"""Works to cite (catalogue entries and found documents) in plain text, and BibTeX of them.

Papers become @article, @inproceedings or @misc by their venue; models, datasets and benchmarks
become @misc with the address where they are found; documents become what their types say.
`reference_formats` writes the same works for reference managers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, count, takewhile
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from bioretrieval_tui.catalog import fields as table
from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.models import AnyEntry, Benchmark, Dataset, Model, Paper
from bioretrieval_tui.render.sheet import one_line
from bioretrieval_tui.terminal.clean import safe_url

if TYPE_CHECKING:
    from bioretrieval_tui.search.types import Hit


Named = tuple[tuple[str, str], ...]
"""Values by their names, in order."""


class Citation(Struct, frozen=True):
    """One work. type: of BibTeX's entry; authors, editors: names in the form of BibTeX ("Family,
    Rank, Given", "{Group}", a last "others"); fields: by BibTeX's names and in its order, in plain
    text; more: what BibTeX is not given: `csl` (the type in CSL, where BibTeX has misc), `date`
    (ISO 8601), `abstract`, `keywords`, `pmcid`."""

    key: str
    type: str
    title: str
    authors: tuple[str, ...] = ()
    editors: tuple[str, ...] = ()
    fields: Named = ()
    more: Named = ()


_MEETINGS = re.compile(
    r"\b(ACL|NAACL|EACL|AACL|EMNLP|COLING|CoNLL|LREC|SemEval|BioNLP|ClinicalNLP|LOUHI|COLM"
    r"|SIGIR|ECIR|ICTIR|CHIIR|CIKM|WSDM|WWW|RecSys|JCDL|TREC|TAC|CLEF|NTCIR"
    r"|KDD|NeurIPS|NIPS|ICLR|ICML|AAAI|IJCAI|AMIA|PSB|ICHI|BIBM|MEDINFO|ML4H|MLHC|CHIL|MICCAI"
    r"|Findings|Proceedings|Proc|Conference|Workshop|Symposium|Meeting)\b"
)
_PERIODICALS = re.compile(r"\b(Trans|Transactions|TACL|J|Journal|Forum|Letters|Annals)\b")
_PREPRINT = re.compile(r"\b(preprint|arxiv|biorxiv|medrxiv|technical report|blog)\b", re.IGNORECASE)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_SHORT_RANGE = re.compile(r"([A-Za-z]*)([0-9]+)-(?:\1)?([0-9]+)")
_LAST_YEAR = re.compile(r"[ ,(]+((?:19|20)\d\d)\)?$")
_VOLUME = re.compile(
    r"^(?P<name>.*[^\W\d_][.,]?) (?P<volume>\d+)(?:\((?P<number>[\w-]+)\))?(?::(?P<pages>[\w-]+))?$"
)
_MANNER = re.compile(r" \((?:oral|poster|spotlight|demo)\)$", re.IGNORECASE)
_MOST_CITED = 200
OTHERS = "others"
"""A last author: there are more."""
_DIGRAPHS = ("Ia", "Ie", "Iu", "Kh", "Zh", "Sh", "Ch", "Ts", "Th", "Ph", "Dzh")
"""Initials of two letters and more, of names from other scripts ("Petrov IuA")."""
_MOST_INITIALS = 5
_COUNTRIES = frozenset({"UK", "US", "USA", "EU", "UN"})
_STOP_WORD = re.compile(r"an?|the|on|in|of|for|to|from|with|and|is|are|do|does|how|what")
_UNDECOMPOSED = str.maketrans(
    {"ø": "o", "ł": "l", "ß": "ss", "æ": "ae", "œ": "oe", "đ": "d", "þ": "th", "ð": "d"}
)


def cite(paper: Paper) -> Citation:
    """The paper as a work to cite. A year in the venue ("EACL 2023") is the year of publication and
    replaces the entry's own, which may be that of the preprint. A note names the unverified
    fields."""
    venue = _MANNER.sub("", one_line(paper.venue or ""))
    years = _YEAR.findall(venue)
    year = years[-1] if years else str(paper.year or "")
    kind, place = _place(venue)
    named = ((name, getattr(paper, name)) for name in ("acl", "doi", "arxiv", "pmid"))
    urls = (table.TABLE.by_name[name].url(paper, value) for name, value in named if value)
    url = next((link.url for link in paper.links), None) or next(urls, None)
    fields = (
        *place,
        ("year", year),
        ("eprint", paper.arxiv or ""),
        ("archivePrefix", "arXiv" if paper.arxiv else ""),
        ("doi", paper.doi or ""),
        ("url", (safe_url(url) or "") if url else ""),
        ("note", _note(paper)),
    )
    preprint = kind == "misc" and (venue or paper.arxiv)
    more = (("csl", "article" if preprint else ""), ("pmid", str(paper.pmid or "")))
    title = one_line(paper.title)
    return Citation(_key(paper, year), kind, title, paper.authors, (), filled(fields), filled(more))


def citable(entry: AnyEntry) -> bool:
    """Whether the entry can be cited: a paper, or anything with an address."""
    return isinstance(entry, Paper) or _found_at(entry) is not None


def cite_entry(entry: AnyEntry) -> Citation:
    """A citable entry as a work to cite: a paper by `cite`, anything else by its address. Raises
    ValueError: the entry is not citable."""
    more = tuple(
        (row.cite, one_line(str(found)))
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
    fields = (
        ("year", str(entry.year or "")),
        ("howpublished", url),
        ("note", _note(entry)),
        *more,
    )
    authors = (f"{{{owner}}}",) if owner else ()
    csl = (("csl", "software" if isinstance(entry, Model) else "dataset"),)
    title = one_line(entry.name)
    return Citation(entry.id, "misc", title, authors, fields=filled(fields), more=csl)


def _found_at(entry: AnyEntry) -> str | None:
    """The address of a model, dataset or benchmark: on the hub, else its first link."""
    if not isinstance(entry, (Model, Dataset, Benchmark)):
        return None
    hub = () if isinstance(entry, Benchmark) else entry.hub
    urls = [table.TABLE.by_name["hub"].url(entry, one) for one in hub]
    url = next((one for one in (*urls, *(link.url for link in entry.links)) if one), None)
    return safe_url(url) if url else None


def filled(fields: Named) -> Named:
    return tuple((name, value) for name, value in fields if value)


def _place(venue: str) -> tuple[str, list[tuple[str, str]]]:
    """Entry type and the fields that say where it appeared."""
    if not venue:
        return "misc", []
    if _PREPRINT.search(venue):
        plain = venue.casefold() in ("preprint", "arxiv", "arxiv preprint")
        return "misc", [] if plain else [("howpublished", venue)]
    name = _LAST_YEAR.sub("", venue)
    volume = _VOLUME.match(name)
    if volume is None and _MEETINGS.search(venue) and not _PERIODICALS.search(venue):
        return "inproceedings", [("booktitle", venue)]
    if volume is None:
        return "article", [("journal", name)]
    return "article", [
        ("journal", volume["name"].rstrip(",")),
        ("volume", volume["volume"]),
        ("number", volume["number"] or ""),
        ("pages", volume["pages"] or ""),
    ]


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


# Found documents ------------------------------------------------------------------------------


def hit_citations(hits: Sequence[Hit], catalogue: Catalogue | None = None) -> tuple[Citation, ...]:
    """The hits that can be cited. catalogue: its entries among the hits are cited as such."""
    from bioretrieval_tui.index.layout import CATALOGUE

    found: list[Citation] = []
    for hit in hits:
        known = {} if catalogue is None or hit.index not in ("", CATALOGUE) else catalogue.by_id
        entry = known.get(hit.id)
        if entry is not None:
            found += [cite_entry(entry)] if citable(entry) else []
        elif citable_hit(hit):
            found.append(cite_hit(hit))
    return tuple(found)


def citable_hit(hit: Hit) -> bool:
    """Whether a reader can find the work: it has a title, and a year or an address."""
    return bool(one_line(hit.title)) and (hit.year is not None or address_of(hit) is not None)


def cite_hit(hit: Hit) -> Citation:
    """A document as a work to cite, of the type that its types and its container say."""
    from bioretrieval_tui.documents.bibliography import document_date  # slow to import

    known = hit.metadata
    people, editors = _people(known, "authors"), _people(known, "editors")
    kind, where = _container(known)
    fields = (
        *where,
        ("year", str(hit.year or "")),
        ("volume", known_text(known, "volume")),
        ("number", known_text(known, "issue")),
        *((name, known_text(known, name)) for name in ("pages", "isbn")),
        ("eprint", known_text(known, "arxiv")),
        ("archivePrefix", "arXiv" if known_text(known, "arxiv") else ""),
        ("doi", doi_in(known)),
        ("pmid", hit.pmid or known_text(known, "pmid")),
        ("url", address_of(hit) or ""),
    )
    more = (
        ("csl", _csl_type(known) if kind == "misc" else ""),
        ("date", document_date(known) or ""),
        ("abstract", one_line(hit.text)),
        ("keywords", "; ".join(texts_of(known, "keywords"))),
        ("pmcid", known_text(known, "pmcid")),
    )
    first = next(iter((*people, *editors)), "")
    key = f"{ascii_word(first.strip('{}').partition(',')[0])}{hit.year or ''}"
    key = f"{key}{telling_word(hit.title)}" or ascii_word(hit.id) or "document"
    title = one_line(hit.title)
    return Citation(key, kind, title, people, editors, filled(fields), filled(more))


def _container(known: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """The type of a document's entry, and the fields that say what it appeared in. Types are those
    of PubMed, of Europe PMC and of JATS."""
    said = _types(known)
    journal, book, publisher, place, school = (
        known_text(known, name) for name in ("journal", "book", "publisher", "place", "school")
    )
    printed = [("publisher", publisher), ("address", place)]

    def is_a(*words: str) -> bool:
        return any(word in one.split() for one in said for word in words)

    if is_a("preprint", "unpublished"):
        return "misc", [("howpublished", journal or publisher)]
    if journal and not book and any(one.endswith("journal article") for one in said):
        return "article", [("journal", journal)]
    if is_a("chapter", "section"):
        return "incollection", [("booktitle", book or journal), *printed]
    if is_a("conference", "proceedings", "congress", "congresses") and (book or journal):
        return "inproceedings", [("booktitle", book or journal), *printed]
    if is_a("thesis", "dissertation", "dissertations"):
        kind = "mastersthesis" if is_a("master", "masters", "master's") else "phdthesis"
        return kind, [("school", school or publisher), ("address", place)]
    if is_a("report") and not journal:
        return "techreport", [("institution", school or publisher or book), ("address", place)]
    if is_a("book", "books", "monograph") and not journal:
        return ("incollection", [("booktitle", book), *printed]) if book else ("book", printed)
    if journal:
        return "article", [("journal", journal)]
    if book:
        return "incollection", [("booktitle", book), *printed]
    if is_a("proceedings"):
        return "proceedings", printed
    # A book of PubMed is of the type of its contents, such as a guideline.
    if publisher and (known.get("editors") or known_text(known, "isbn")):
        return "book", printed
    return "misc", [("howpublished", publisher)]


def _types(known: Mapping[str, Any]) -> set[str]:
    """The types of a document in small letters, with blanks for hyphens."""
    given = known.get("types")
    types = given if isinstance(given, list | tuple) else [given or ""]
    return {re.sub(r"[\s-]+", " ", str(one)).strip().casefold() for one in types}


def _csl_type(known: Mapping[str, Any]) -> str:
    """The type in CSL of a document that is neither an article nor part of a book."""
    words = {word for one in _types(known) for word in one.split()}
    if not words.isdisjoint(("preprint", "unpublished")):
        return "article"
    return next((one for one in ("dataset", "software", "webpage") if one in words), "document")


def page_span(pages: str, dash: str = "-") -> str:
    """Pages with this dash between them; a last page that MEDLINE abbreviates is written in full:
    247-9 is 247-249, S12-5 is S12-S15."""
    span = re.sub(r"\s*[-\u2010-\u2015]+\s*", "-", pages)
    if found := _SHORT_RANGE.fullmatch(span):
        letters, first, last = found.groups()
        whole = first[: -len(last)] + last
        if len(last) < len(first) and whole > first:
            span = f"{letters}{first}-{letters}{whole}"
    return span.replace("-", dash)


def _people(known: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """Names of a field in the form of BibTeX; the name of a group in braces."""
    people = names_in(known, field)
    names = [unicodedata.normalize("NFC", one) for one in people[:_MOST_CITED]]
    # Some sources, such as arXiv, write all names in full, the family name last. Where others are
    # "Family I", such a name is that of a group.
    short = any("," in name or _letters(name.rpartition(" ")[2]) for name in names)
    full = bool(known.get("arxiv")) or (not short and sum(map(_is_full, names)) > 1)
    names = [_person(name, full=full) for name in names]
    if len(people) > _MOST_CITED:
        names.append(OTHERS)
    return tuple(filter(None, names))


def _person(name: str, *, full: bool = False) -> str:
    """A name as "Family, Rank, I. J."; one that is not a person's in braces. full: a name without
    initials is that of a person."""
    from bioretrieval_tui.documents.person_names import RANK, is_group  # its tables are large

    words = name.replace(",", " ").split()
    if not words or name.startswith("{"):
        return name if words else ""
    is_body = (full or len(words) > 2) and is_group(name)
    family, *given = filter(None, (part.strip() for part in name.split(",")))
    ranks = [part for part in given if RANK.fullmatch(part)]
    rest = [part for part in given if part not in ranks]
    if is_body or len(given) > 2 or len(rest) > 1:
        return f"{{{name}}}"
    if rest:
        return ", ".join([family, *ranks, *(_dotted(part.split()) or part for part in rest)])
    if len(words) == 1:
        return words[0]
    ends = len(words) > 2 and RANK.fullmatch(words[-1]) and bool(_letters(words[-2]))
    rank = [words.pop()] if ends else []
    start = len(words)
    while start > 1 and _letters(words[start - 1]):
        start -= 1
    family = " ".join(words[:start])
    if start < len(words):
        if words[-1] in _COUNTRIES and (family.isupper() or (start > 1 and family.istitle())):
            return f"{{{name}}}"  # Cancer Care UK
        return ", ".join([family, *rank, _dotted(words[start:])])
    if len(words) == 2 and _without_case(name) and len(name) < 15:
        return ", ".join(words)  # a family name and a given name, in a script without capitals
    # "J. Smith" and "Ann B. Reed": BibTeX itself finds the family name.
    return name if full or any(re.fullmatch(r"[^\W\d_]\.", one) for one in words) else f"{{{name}}}"


def _is_full(name: str) -> bool:
    """Whether a name may be a given name and a family name, such as "Ludwig van Beethoven"."""
    from bioretrieval_tui.documents.person_names import is_group

    words = name.split()
    ends = (words[0], words[-1]) if 1 < len(words) < 6 else ("",)
    return all(word[:1].isupper() and not word.isupper() for word in ends) and not is_group(name)


def _dotted(words: Sequence[str]) -> str:
    """Initials with a point after each, "" if one of the words is none."""
    found = list(map(_letters, words))
    return " ".join(found) if all(found) else ""


def _letters(word: str) -> str:
    """A word of initials ("JA", "J.A.", "Ş", "M-J", "IuA") with a point after each, or ""."""
    from bioretrieval_tui.documents.person_names import is_east_asian

    parts = []
    for part in re.split(r"[-\u2010\u2011]", word):
        letters: list[str] = []
        rest = part.replace(".", "")
        while rest:
            size = next((len(one) for one in _DIGRAPHS if rest.startswith(one)), 1)
            size += sum(1 for _ in takewhile(unicodedata.combining, rest[size:]))
            # A sign of Chinese, Japanese or Korean writing is a whole name.
            alone = len(rest) == 1 and _without_case(rest) and not is_east_asian(rest)
            if not (rest[0].isupper() or (alone and rest.isalpha())):
                return ""
            letters.append(f"{rest[:size]}.")
            rest = rest[size:]
        if not letters or len(letters) > _MOST_INITIALS:
            return ""
        parts.append(" ".join(letters))
    return "-".join(parts)


def _without_case(text: str) -> bool:
    """Whether it is of a script whose names have no capitals."""
    return not any(letter.isupper() or letter.title() != letter for letter in text)


def address_of(hit: Hit) -> str | None:
    """The address of a document, if it may be opened."""
    return safe_url(hit.url) if hit.url else None


def known_text(known: Mapping[str, Any], name: str) -> str:
    """A field of a document's metadata on one line; "" where it is neither text nor a number."""
    value = known.get(name)
    return one_line(str(value)) if isinstance(value, str | int) else ""


def doi_in(known: Mapping[str, Any]) -> str:
    """The DOI of a document, without the address or label that corpora write around it."""
    from bioretrieval_tui.documents.identity import doi_of  # its patterns are large

    text = known_text(known, "doi")
    return (doi_of(text) or text) if text else ""


def names_in(known: Mapping[str, Any], field: str) -> list[str]:
    """The names of persons and groups in a field, which corpora write as a list or as one text."""
    from bioretrieval_tui.documents.person_names import listed_names  # its tables are large

    value = known.get(field)
    if not isinstance(value, str):
        return texts_of(known, field)
    return list(filter(None, map(str.strip, listed_names(one_line(value), cell=True))))


def texts_of(known: Mapping[str, Any], name: str) -> list[str]:
    """The values of a list of a document's metadata, each on one line; those that one text holds
    are between semicolons."""
    value = known.get(name)
    values = re.split(r"\s*;\s*", value) if isinstance(value, str) else value
    if not isinstance(values, list | tuple):
        return []
    return list(filter(None, (one_line(str(one)) for one in values)))


# LaTeX ----------------------------------------------------------------------------------------
#
# BibTeX counts braces and takes no notice of a backslash before them, so a literal brace is written
# as a command with balanced braces of its own, never as `\\{`.

_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\textbraceleft{}",
        "}": r"\textbraceright{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
    }
    | {sign: rf"\{sign}" for sign in "&%$#_"}
)
_TITLE_WORD = re.compile(r"[^\W_]+")


def escape(text: str) -> str:
    """`text` on one line with the ten characters that LaTeX reserves written out."""
    return one_line(text).translate(_ESCAPES)


def latex_title(text: str) -> str:
    """A title, escaped, with braces around the words whose capitals a style must not lower.

    Those are words with an inner capital (BioBERT, RNA) or a capital and a digit (Qwen3), and in a
    title in sentence case all words with a first capital (Chinese). In a Title in Capitals the
    latter have no braces, so that the style decides.
    """
    text = unicodedata.normalize("NFC", one_line(text))
    words = list(_TITLE_WORD.finditer(text))
    # Sentence case: most of the longer words after the first begin with a small letter.
    longer = [word[0] for word in words[1:] if len(word[0]) > 3 and word[0][1:].islower()]
    like_sentence = 2 * sum(word[0].islower() for word in longer) > len(longer)
    parts: list[str] = []
    end = 0
    for place, found in enumerate(words):
        word = found.group()
        before = text[end : found.start()]
        parts.append(before.translate(_ESCAPES))
        # Styles keep the first capital of the title and of what follows a colon.
        opens = place == 0 or before.endswith(": ")
        name = like_sentence and not opens and word[0].isupper()
        letter = len(word) == 1 and place > 0 and word.isupper() and word != "A"
        numbered = word[0].isupper() and any(char.isdigit() for char in word)
        inside = numbered or any(char.isupper() for char in word[1:])
        parts.append(f"{{{word}}}" if name or letter or inside else word)
        end = found.end()
    parts.append(text[end:].translate(_ESCAPES))
    return "".join(parts)


def is_body(name: str) -> bool:
    """Whether a name is that of an organisation: in braces ("{WHO Solidarity Consortium}"), or with
    the word "and", at which BibTeX would part it."""
    if name.startswith("{") and name.endswith("}") and len(name) > 2:
        return True
    return bool(re.search(r"\band\b", name, re.IGNORECASE)) or name.casefold() == OTHERS


def _author(name: str) -> str:
    """One author, escaped; the name of an organisation in braces."""
    name = one_line(name)
    if not is_body(name):
        return escape(name)
    inner = name[1:-1] if name.startswith("{") and name.endswith("}") else name
    return f"{{{escape(inner)}}}"


def latex_authors(names: tuple[str, ...]) -> str:
    """The whole `author` field; a last "others" stays the word that BibTeX prints as et al."""
    if not names:
        return ""
    *most, last = names
    ending = OTHERS if last.strip() == OTHERS and most else _author(last)
    return " and ".join([*map(_author, most), ending])


def latex_address(url: str) -> str:
    """An address or DOI for a verbatim field: not escaped, but unable to break the braces."""
    from urllib.parse import quote

    return quote(one_line(url), safe=":/?#[]@!$&'()*+,;=%", errors="replace")


# BibTeX --------------------------------------------------------------------------------------


def keyed(citations: Collection[Citation]) -> Iterator[tuple[str, Citation]]:
    """Each work with its key. Works that are equal to a reader are given once. From the second on,
    different works with one key get a letter after it: lee2020biobert, lee2020biobertb."""
    used: set[str] = set()
    endings: dict[str, Iterator[str]] = {}
    for citation in {replace(one, more=()): one for one in citations}.values():
        # BibTeX does not tell Lee2020 from lee2020.
        rest = chain(("", *ascii_lowercase[1:]), (f"-{number}" for number in count(2)))
        keys = (citation.key + one for one in endings.setdefault(citation.key.casefold(), rest))
        key = next(key for key in keys if key.casefold() not in used)
        used.add(key.casefold())
        yield key, citation


def bibliography(citations: Collection[Citation]) -> Iterator[str]:
    """The works as BibTeX, with an empty line between them."""
    gap = ""
    for key, citation in keyed(citations):
        lines = "".join(f"  {name} = {{{value}}},\n" for name, value in bibtex_fields(citation))
        yield f"{gap}@{citation.type}{{{key},\n{lines}}}\n"
        gap = "\n"


def bibtex_fields(citation: Citation) -> Named:
    """The fields of a BibTeX entry. Values are LaTeX with balanced braces."""
    return filled(
        (
            ("title", latex_title(citation.title)),
            ("author", latex_authors(citation.authors)),
            ("editor", latex_authors(citation.editors)),
            *((name, _latex(name, value)) for name, value in citation.fields),
        )
    )


def _latex(name: str, value: str) -> str:
    if name in ("doi", "url"):
        return latex_address(value)
    if name == "howpublished" and value.startswith(("http://", "https://")):
        return rf"\url{{{latex_address(value)}}}"
    return escape(page_span(value, "--") if name == "pages" else value)
