"""Records of named values (rows of tables, objects of JSON) as documents: which of our fields a
name stands for, by the user's mapping or by the names that databases, reference managers and data
sets write, and how a value becomes that field."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from bioretrieval_tui.documents.bibliography import (
    LISTS,
    abstract_of,
    best_date,
    distinct,
    document,
    identifier,
    isbn_of,
    json_type,
    mesh_of,
    page_range,
    plain,
    said,
    sound,
    sound_value,
    without_markup,
)
from bioretrieval_tui.documents.document import Document, RecordFault
from bioretrieval_tui.documents.identity import (
    doi_of,
    identify,
    noted_identifiers,
    pmcid_in,
    pmcid_of,
    pmid_of,
    pmids_in,
    trials_of,
)
from bioretrieval_tui.documents.person_names import LONGEST_LIST, MOST_NAMES, people
from bioretrieval_tui.documents.work_types import WITHIN_BOOKS, type_of
from bioretrieval_tui.errors import CorpusError

# Names without case and signs ("Source title", "source_title" and "sourceTitle" are one), best
# first; of a nested value with the names that it is in ("externalIds.DOI").
FIELDS: Mapping[str, tuple[str, ...]] = {
    field: tuple(names.split())
    for field, names in {
        "id": "id docid documentid docno corduid passageid",
        "title": "title articletitle documenttitle primarytitle studytitle itemtitle papertitle"
        " publictitle scientifictitle brieftitle officialtitle titleenglish displayname ti"
        " metadatatitle",
        "text": "text abstract abstractnote abstracttext authorabstract abstracts"
        " abstractenglish ab abstractinvertedindex content contents body passage passagetext"
        " paragraph chunk bodytext briefsummary originalabstract summary description",
        "authors": "authors author authornames authorlist authorsnames creators creator"
        " authorstring authorfullnames authorships authorshipsauthordisplayname au af"
        " metadataauthors",
        "editors": "editors editor bookeditors",
        "journal": "journal journalbook sourcetitle publicationtitle publicationname"
        " journaltitle journalname fulljournalname containertitle secondarytitle periodical"
        " venue publication primarylocationsourcedisplayname hostvenuedisplayname"
        " journaltitlefull journalabbreviation containertitleshort journalinfojournaltitle",
        "book": "booktitle anthologytitle",
        "year": "year publicationyear pubyear publishedyear yearofpublication yearpublished"
        " publishyear py",
        "date": "date publicationdate dateofpublication datepublished pubdate publishtime"
        " publisheddate coverdate issued published publishedprint publishedonline onlinedate"
        " firstpublicationdate dateregistration firstposted startdate dp",
        "month": "publishedmonth publicationmonth pubmonth month pd",
        "day": "day",
        "doi": "doi di doilink doiurl dois digitalobjectidentifier articledoi itemdoi openurllink"
        " externalidsdoi idsdoi identifiersdoi",
        "pmid": "pmid pubmedid medlinepmid pubmed pubmedids pm externalidspubmed idspmid"
        " identifierspmid",
        "pmcid": "pmcid pmc pmcnumber pmcids pubmedcentralid externalidspubmedcentral idspmcid",
        "url": "url link urls articleurl studyurl permalink weburl externalurl htmlurl",
        "language": "language languages languageoforiginaldocument articlelanguage"
        " languageofarticle lang la",
        "types": "types type documenttype publicationtype publicationtypes itemtype articletype"
        " doctype pubtype pubtypes studytype contenttype dt",
        "mesh": "mesh meshterms meshheadings meshterm meshheading",
        "mesh_major": "meshmajor majormesh meshmajortopics",
        "keywords": "keywords keyword authorkeywords authorkeyword indexkeywords keywordsplus"
        " manualtags conditions emtreedrugindextermsmajorfocus emtreedrugindexterms"
        " emtreemedicalindextermsmajorfocus emtreemedicalindexterms de",
        "affiliations": "affiliations affiliation authoraffiliations addresses authoraddresses"
        " authoraddress",
        "trials": "trials clinicaltrialnumbers clinicaltrialnumber trialregistration nctnumber"
        " nctid trialid nct nctnumbers nctids trialids trialnumber trialnumbers registrationnumber"
        " trialregistrationnumber clinicaltrialid clinicaltrialsgovid isrctn eudractnumber",
        "volume": "volume vol journalvolume bibliovolume journalinfovolume vl",
        "issue": "issue journalissue issuenumber biblioissue journalinfoissue",
        "pages": "pages page pagination pageinfo pagerange journalpages",
        "first_page": "pagestart startpage firstpage beginningpage bibliofirstpage spage bp",
        "last_page": "pageend endpage lastpage endingpage bibliolastpage epage ep",
        "article_number": "artno articlenumber articleno elocationid",
        "isbn": "isbn isbns isbn13 bn",
        "publisher": "publisher publishername pu",
        "place": "publisherplace placepublished publisherlocation place",
        "school": "school university",
        "vernacular_title": "vernaculartitle originaltitle originalnonenglishtitle titleoriginal",
        "accession": "accessionnumber accession eid ut utuniquewosid uniquewosid publicationid"
        " lensid embaseaccessionid pui an storeid paperid corpusid cochranereviewid nctnumber"
        " nctid trialid registrationnumber openalexid ericnumber key",
        "database": "database databasename longdbname sourcedatabase",
        "notes": "extra notes note",
    }.items()
}  # fmt: skip
# Web of Science's tags, some of which mean something else elsewhere.
_WOS = frozenset({"pt", "au", "ti", "so"})
_WOS_NAMES = {"so": "journal", "is": "issue", "id": "keywords", "ar": "article_number",
              "c1": "affiliations", "pi": "place", "se": "book"}  # fmt: skip
_WOS_FIELDS = {
    field: (
        *(name for name in names if name not in _WOS_NAMES),
        *(name for name, of in _WOS_NAMES.items() if of == field),
    )
    for field, names in FIELDS.items()
}
# Beside these, `source` is a journal and no database.
_PRINTED = frozenset({"volume", "issue", "cites", "cochranereviewid"})
_KEPT = frozenset({"accession", "database", "notes", "month", "day", "trials"})
"""Fields whose columns stay in the metadata under their own names."""
_HELPERS = _KEPT - {"trials"} | {"id", "title", "text", "first_page", "last_page", "article_number"}
"""What is not itself a name of metadata."""
_JOINED = frozenset({"keywords", "types", "language", "affiliations", "trials"})
"""Lists that all columns of their names give; of the others the first one does."""
_IDENTIFIERS = frozenset({"doi", "pmid", "pmcid"})
_ANY_DATABASE = frozenset({"accessionnumber", "accession", "an", "key", "ut"})
"""Names of accession numbers that tell no database."""
_SHOWN = 12
"""Names that an error lists."""
_NOTHING = frozenset({
    "", "nan", "none", "null", "n/a", "#n/a", "<na>", "[no author name available]"
})  # fmt: skip
_LONGEST_NOTHING = 40
_TRIAL_NUMBERS = frozenset("nctnumber nctid trialid registrationnumber".split())
_OF_PAPERS = frozenset({"authors", "journal", "book", "doi", "pmid", "volume", "pages"})
_REGISTRATION = re.compile(r"\bregist(?:ry|ration)\b", re.IGNORECASE)
_ITEM = re.compile(r"[A-Z\d]{8}")
"""A key of Zotero; those of citations ("lai2018") are no ids."""
_OPENALEX = re.compile(r"https?://openalex\.org/([A-Za-z]\d+)")
_NUMBER = re.compile(r"(\d{1,10})(?:\.0)?")
_LABELS = ("text", "name", "fullName", "full_name", "literal", "display_name", "title", "value",
           "descriptorName", "descriptor_name", "collectiveName", "raw_author_name", "author",
           "raw")  # fmt: skip
_FAMILY = ("family", "last", "lastName", "last_name", "lastname", "surname")
_GIVEN = ("given", "first", "firstName", "first_name", "firstname", "forename", "initials")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.IGNORECASE)
_BETWEEN = re.compile(r"[;|\n]")
_BETWEEN_EMTREE = re.compile(r";|,\s(?![^()]*\))")
_RUN_TOGETHER = re.compile(
    r"(?<=[^\W\d_A-Z])(?<!\bMc)(?<!\bDe)(?<!\bMac)(?<!\bVan)"
    r"(?=[A-Z\u00c0-\u00d6\u00d8-\u00de\u010c\u0130\u0141\u015a\u015e\u0160\u017b\u017d])"
)
_LONGEST_INDEX = 100_000
"""Words of an abstract that OpenAlex gives as positions."""
_KEPT_NAMES = 10_000
"""Characters of the names of an object whose columns are kept for the next one."""
_DEEPEST = 3

# "J Foo. 2020 Jan 5;12(3):1-5. doi: 10.1/x.", in PubMed's own export.
_PUBMED = ("PMID", "Title", "Authors", "Citation")
# "J Foo (2014) 3:3 (152-160). Date of Publication: 1 Jan 2014", in Embase's.
_EMBASE = re.compile(
    r"(?P<journal>.+?) \((?P<year>\d{4})\) (?:(?P<volume>[^\s:()]+)(?::(?P<issue>\S+))?)?"
    r"(?: ?\((?P<pages>[^()]*)\))?\.(?: Date of Publication: (?P<date>[^.]+))?.*"
)
_CITATION = re.compile(r";\s*([^\s;:()]+)?(?:\(([^()]*)\))?(?::\s*([^\s;:]+?))?\.(?:\s|$)")


def name_key(name: str) -> str:
    """A name without case and signs, by which names of one meaning are equal."""
    return "".join(char for char in name.casefold() if char.isalnum())


_CODE = frozenset("\"'`=:*[]{}<>|")
_KNOWN = frozenset(name for names in FIELDS.values() for name in names)


def is_known(name: str) -> bool:
    """Whether `name` stands for a field; words of a program or of Markdown do not."""
    return name_key(name) in _KNOWN and _CODE.isdisjoint(name)


class Columns(NamedTuple):
    """The names of values, and what they stand for.

    names: all of them; width: how many are not within others; least: how many of these reach to the
    title and the text; fields: from our fields to the
    positions that give them, best first; others: from the names of those that become metadata
    unchanged to their positions; pubmed: whether it is PubMed's own export.
    """

    names: tuple[str, ...]
    width: int
    least: int
    fields: Mapping[str, tuple[int, ...]]
    others: Mapping[str, int]
    pubmed: bool


def columns_of(
    names: Sequence[str], mapping: Mapping[str, str], file: str, nested: int = 0
) -> Columns:
    """Find the fields: by `mapping` (field to name) first, then by `FIELDS`. nested: how many of
    the names, at the end, are parts of others. Raises CorpusError, which lists the names, if a
    mapped one is missing or ambiguous, or there is none for any text."""
    fields: dict[str, tuple[int, ...]] = {}
    for field, column in mapping.items():
        wanted = column.strip().casefold()
        same = [number for number, name in enumerate(names) if name == column]
        same = same or [n for n, name in enumerate(names) if name.strip().casefold() == wanted]
        if len(same) != 1:
            what = "occurs twice" if same else "does not exist"
            raise _fault(file, names, field, f"the column {column!r} for `{field}` {what}")
        fields[field] = (same[0],)
    # What is mapped to the id is also itself: a DOI, a PMID.
    mapped = {at for field in mapping if field != "id" for at in fields[field]}
    where: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        where.setdefault(name_key(name), []).append(at)
    for field, known in (_WOS_FIELDS if where.keys() >= _WOS else FIELDS).items():
        if field == "journal" and not _PRINTED.isdisjoint(where):
            known = (*known, "source")
        found = [at for name in known for at in where.get(name, ()) if at not in mapped]
        if found and field not in fields:
            fields[field] = tuple(found)
    if not ("title" in fields or "text" in fields):
        raise _fault(file, names, "title", "no column holds a title or a text")
    taken = {at for field, positions in fields.items() if field not in _KEPT for at in positions}
    width = len(names) - nested
    others = {
        name: at
        for at, name in enumerate(names[:width])
        if at not in taken | mapped and name.strip() and name not in mapping
    }
    least = 1 + max(fields[name][0] for name in ("title", "text") if name in fields)
    return Columns(
        tuple(names), width, least, fields, others, tuple(names[: len(_PUBMED)]) == _PUBMED
    )


def _fault(file: str, names: Sequence[str], field: str, what: str) -> CorpusError:
    shown = ", ".join(repr(name[:40]) for name in names[:_SHOWN])
    more = "" if len(names) <= _SHOWN else f" and {len(names) - _SHOWN} more"
    reason = f"{file}: {what}; its columns are {shown}{more}"
    return CorpusError(reason, remedy=f"--map {field}=COLUMN")


class _Values:
    """The values of one record, and which of them became a field."""

    def __init__(self, columns: Columns, cells: Sequence[Any]) -> None:
        self.columns = columns
        self.cells = cells
        self.used: set[int] = set()

    def each(self, field: str) -> Iterable[tuple[int, list[str]]]:
        """The texts at each position of a field, if any."""
        for at in self.columns.fields.get(field, ()):
            if words := words_of(self.cells[at], self.columns.names[at]):
                yield at, words

    def texts(self, field: str) -> list[str]:
        """The texts of the first position of a field that has any."""
        for at in self.columns.fields.get(field, ()):  # not by `each`, which costs more
            if words := words_of(self.cells[at], self.columns.names[at]):
                self.used.add(at)
                return words
        return []

    def word(self, field: str) -> str:
        words = self.texts(field)
        return words[0] if words else ""

    def all(self, field: str) -> list[str]:
        """The texts of all positions of a field; lists within them are parted."""
        found = []
        for at, words in self.each(field):
            self.used.add(at)
            emtree = self.columns.names[at].startswith("Emtree ")
            between = _BETWEEN_EMTREE if emtree else _BETWEEN
            for word in words:
                found += [part.strip() for part in between.split(_read_entities(word))]
        return found

    def first(self, field: str, read: Any) -> str | None:
        """What `read` finds in the texts of a field, or None."""
        for at, words in self.each(field):
            for word in words:
                if found := read(word):
                    self.used.add(at)
                    return str(found)
        return None

    def rest(self) -> Iterable[tuple[str, Any]]:
        """The values that became no field, and were meant for one that another value gave."""
        wanted = {at for field, places in self.columns.fields.items() for at in places}
        for at in sorted(wanted - self.used):
            if at < self.columns.width and self.columns.names[at] != "contents":  # title and text
                yield self.columns.names[at], self.cells[at]


def named_document(columns: Columns, cells: Sequence[Any], *, own_id: bool = True) -> Document:
    """The document of one record. Its id is that of a column called so, where it has one (unless
    `own_id` is False), else by the rule of `identity`. Where this column is called `_id`, it is a
    judged corpus of BEIR's form, whose texts stay as they are."""
    values = _Values(columns, cells)
    titles, paragraphs = values.texts("title"), values.texts("text")
    title = said(without_markup(" ".join(titles)))
    text = abstract_of(map(without_markup, paragraphs))
    given = values.word("id").strip() if own_id else ""
    if in_openalex := _OPENALEX.fullmatch(given):
        given = ""
    fields = _fields(values)
    others = {name: sound_value(cells[at]) for name, at in columns.others.items()}
    if columns.pubmed and (found := _CITATION.search(str(others.pop("Citation", "")))):
        fields |= zip(("volume", "issue", "pages"), found.groups(), strict=True)
    if found := _EMBASE.fullmatch(str(others.get("Source", ""))):
        parts = {name: part for name, part in found.groupdict().items() if part}
        dates = best_date([parts.pop("year"), parts.pop("date", "")])
        fields = {**parts, **dates} | {name: value for name, value in fields.items() if value}
        del others["Source"]
    for name, value in values.rest():
        # What is no identifier may not be taken for one, and the id is that of the document.
        name = f"{name}_as_written" if name.casefold() in _IDENTIFIERS else name
        others.setdefault("openalex" if in_openalex and name == "id" else name, sound_value(value))
    metadata = {name: value for name, value in others.items() if not _says_nothing(value)}
    metadata |= {name: value for name, value in fields.items() if value not in (None, "", [])}
    identity = identifier(given) if given else ""
    if identity and columns.names[columns.fields["id"][0]] == "_id":
        return Document(identity, said(" ".join(titles)), said(" ".join(paragraphs)), metadata)
    if not identity:
        accession, database = _accession(values)
        accession = in_openalex[1] if in_openalex and not accession else accession
        identity = identify(fields, title, text, accession, database)
    return document(identity, title, text, metadata)


def _fields(values: _Values) -> dict[str, Any]:
    """The metadata of a record under our names."""
    columns = values.columns
    fields: dict[str, Any] = {
        "pmid": values.first("pmid", _pmid),
        "pmcid": values.first("pmcid", _pmcid),
        "doi": values.first("doi", doi_of),
    }
    fields["url"] = values.first("url", lambda text: text.strip().split(" ")[0])
    if not fields["doi"] and "doi.org/" in (fields["url"] or ""):
        fields["doi"] = doi_of(fields["url"])
    if "notes" in columns.fields:
        noted = noted_identifiers(word for _, words in values.each("notes") for word in words)
        fields |= {name: fields[name] or found for name, found in noted.items()}
    year, month, day = (values.word(name) for name in ("year", "month", "day"))
    days = values.texts("date")
    # "DEC 16" of Web of Science, beside the year.
    days += [f"{year} {one}" for one in [f"{month} {day}" if month else "", *days] if one]
    fields |= best_date([year, *days])
    known = columns.fields.keys()
    for name in known & {"authors", "editors"}:
        lines = [_read_entities(one[:LONGEST_LIST]) for one in values.texts(name)[:MOST_NAMES]]
        if "Item DOI" in columns.names:  # SpringerLink writes nothing between names
            lines = [_RUN_TOGETHER.sub("; ", line) for line in lines]
        fields[name] = people(lines, cell=True)
    if not known.isdisjoint(("mesh", "mesh_major")):
        fields |= mesh_of(values.all("mesh"))
        fields["mesh_major"] += values.all("mesh_major")
    for name in known & _JOINED:
        fields[name] = distinct(values.all(name))
    # Web of Science writes J for journals beside the type of the document.
    types = distinct(type_of(one) for one in fields.get("types", ()) if len(one) > 1)
    fields["types"] = types
    if "trials" in fields:
        found = (number for text in fields["trials"] for number in trials_of(text))
        fields["trials"] = distinct(found)
    pages = values.first("pages", page_range)
    pages = pages or page_range(values.word("first_page"), values.word("last_page"))
    fields["pages"] = pages or values.word("article_number")
    fields["isbn"] = values.first("isbn", isbn_of)
    for name in known - fields.keys() - _HELPERS:
        if name in LISTS:
            fields[name] = distinct(values.all(name))
        elif name in FIELDS:
            fields[name] = without_markup(values.word(name))
        else:
            (at,) = columns.fields[name]
            fields[name] = sound_value(values.cells[at])
            values.used.add(at)
    if types[:1] == ["Thesis"] and not fields.get("school"):
        fields["school"] = fields.pop("publisher", "")
    elif WITHIN_BOOKS.intersection(types[:1]):
        within = fields.pop("journal", "")
        fields["book"] = fields.get("book") or within
    return fields


def _accession(values: _Values) -> tuple[str, str]:
    """The accession number of a record and its database, which the number's name may stand for;
    digits are a number only with one. The number of a trial is that of a registration: papers have
    authors and a journal."""
    is_paper = not _OF_PAPERS.isdisjoint(values.columns.fields)
    is_paper = is_paper and not any(map(_REGISTRATION.search, _first_words(values, "types")))
    for at, words in values.each("accession"):
        number, name = plain(words[0]), name_key(values.columns.names[at])
        if (is_paper and name in _TRIAL_NUMBERS) or (name == "key" and not _ITEM.fullmatch(number)):
            continue
        if number.isdigit():
            database = "" if name in _ANY_DATABASE else values.columns.names[at]
            database = next(iter(_first_words(values, "database")), database)
            return (number, plain(database)) if database else ("", "")
        return number, ""
    return "", ""


def _first_words(values: _Values, field: str) -> list[str]:
    return next((words for _, words in values.each(field)), [])


def _read_entities(text: str) -> str:
    """A list in a text, before it is parted: entities hold semicolons."""
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text) if "&" in text else text


def _pmid(text: str) -> str | None:
    number = _NUMBER.fullmatch(text.strip())
    return pmid_of(number[1] if number else text) or next(iter(pmids_in(text)), None)


def _pmcid(text: str) -> str | None:
    number = _NUMBER.fullmatch(text.strip())
    return pmcid_of(f"PMC{number[1]}" if number else text) or pmcid_in(text)


# Values -----------------------------------------------------------------------------------------


def _says_nothing(value: Any) -> bool:
    """Whether a value is empty, or what pandas and Excel write for it."""
    if isinstance(value, str):
        return len(value) < _LONGEST_NOTHING and value.strip().casefold() in _NOTHING
    return value is None


def words_of(value: Any, name: str = "") -> list[str]:
    """The texts within a value, without empty ones: a text or number, those of a list, the name or
    text of an object. Raises RecordFault for texts as `sound`."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        if value[0] == "[" and value[-1] == "]" and value[1:2] in ("'", '"'):
            return _written_list(value)
        return [] if _says_nothing(value) else [sound(value)]
    if isinstance(value, bool):
        return []
    if isinstance(value, int | float):
        return [str(int(value)) if value == value // 1 else str(value)]
    if isinstance(value, list):
        parts = _date_parts(value)
        return parts or [word for part in value for word in words_of(part)]
    if isinstance(value, dict):
        if name_key(name) == "abstractinvertedindex":
            return _from_positions(value)
        return _words_of_object(value)
    raise RecordFault(f"`{name}` is {json_type(value)}, not text")


def _words_of_object(value: Mapping[str, Any]) -> list[str]:
    if "date-parts" in value:
        return words_of(value["date-parts"])
    family, given = (
        next((value[key] for key in keys if value.get(key)), "") for keys in (_FAMILY, _GIVEN)
    )
    if isinstance(family, str) and family:
        particles = (value.get(name) for name in ("non-dropping-particle", "dropping-particle"))
        family = " ".join([*(one for one in particles if isinstance(one, str)), family])
        middle = value.get("middle") or []
        names = " ".join([*words_of(given), *words_of(middle)])
        suffix = value.get("suffix")
        rest = [names, suffix if isinstance(suffix, str) else ""]
        return [", ".join(filter(None, (family, *rest)))]
    for label in _LABELS:
        if words := words_of(value.get(label)):
            return words
    return []


def _date_parts(value: list[Any]) -> list[str]:
    """The date of CSL's `[[2020, 1, 5]]`."""
    while len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    texts = [str(part) for part in value]
    if 2 <= len(texts) <= 3 and re.fullmatch(r"\d{4}(-\d{1,2}){1,2}", "-".join(texts)):
        return ["-".join(str(part).zfill(2) for part in value)]
    return []


def _written_list(text: str) -> list[str]:
    """The texts of a list that a program wrote into a cell: `['a', 'b']`."""
    for written in (text, text.replace("'", '"')):
        try:
            return words_of(msgspec.json.decode(written, type=list[str]))
        except msgspec.DecodeError:
            continue
    return [sound(text)]


def _from_positions(index: Mapping[str, Any]) -> list[str]:
    """A text of which the positions of each word are given, as OpenAlex does."""
    placed = [
        (at, sound(word))
        for word, places in index.items()
        if isinstance(places, list)
        for at in places
        if isinstance(at, int)
    ]
    return [" ".join(word for _, word in sorted(placed[:_LONGEST_INDEX]))] if placed else []


# Objects ----------------------------------------------------------------------------------------


def object_row(
    value: Mapping[str, Any], mapping: Mapping[str, str]
) -> tuple[tuple[str, ...], list[Any], int]:
    """An object of JSON as a row: names, values, and how many at the end are of objects within it
    (called "outer.inner"), which are those that are known or mapped."""
    inner = dict(_within(value, "", {*mapping.values()}, _DEEPEST))
    return (*value, *inner), [*value.values(), *inner.values()], len(inner)


def _within(
    value: Mapping[str, Any], above: str, wanted: set[str], depth: int
) -> Iterable[tuple[str, Any]]:
    for key, one in value.items():
        name = f"{above}{key}"
        if above and (name in wanted or name_key(name) in _KNOWN):
            yield name, one
        if isinstance(one, dict) and depth:
            yield from _within(one, f"{name}.", wanted, depth - 1)
        elif isinstance(one, list) and any(w.startswith(f"{name}.") for w in wanted):
            inner = [dict(_within(part, f"{name}.", wanted, depth)) for part in one
                     if isinstance(part, dict)]  # fmt: skip
            for found in dict.fromkeys(key for part in inner for key in part):
                yield found, [part[found] for part in inner if found in part]


def object_columns(
    names: tuple[str, ...], mapping: tuple[tuple[str, str], ...], nested: int
) -> Columns:
    """As `columns_of`, of the objects that have these names, of which mapped ones may be absent.
    Raises CorpusError if there is none for any text."""
    is_usual = sum(map(len, names)) <= _KEPT_NAMES
    return (_object_columns if is_usual else _object_columns.__wrapped__)(names, mapping, nested)


@lru_cache(maxsize=256)
def _object_columns(
    names: tuple[str, ...], mapping: tuple[tuple[str, str], ...], nested: int
) -> Columns:
    present = {field: name for field, name in mapping if name in names}
    return columns_of(names, present, "the record", nested)
