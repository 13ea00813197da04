"""Readers of corpora in JSON: BEIR and MedRAG (one object a line), the article files of NCBI's
MedCPT vectors (one object of a million members a file), and Europe PMC's search results (REST,
`format=json`, best with `resultType=core`: responses, arrays of results, or one result a line)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice
from typing import Any

from bioretrieval_tui.documents.bibliography import (
    LISTS,
    correction,
    dated,
    distinct,
    document,
    identifier,
    json_type,
    mesh_of,
    plain,
    said,
    without_markup,
    work_document,
)
from bioretrieval_tui.documents.document import Document, Place, RecordFault
from bioretrieval_tui.documents.identity import doi_of
from bioretrieval_tui.documents.readers.json_records import (
    BOM,
    JsonElement,
    array_keys,
    elements,
    first_object,
    is_lined,
    json_lines,
    json_object,
    json_values,
    text_field,
)
from bioretrieval_tui.documents.readers.named_fields import (
    named_document,
    object_columns,
    object_row,
)
from bioretrieval_tui.documents.source import Format, ReadSettings, SourceReader
from bioretrieval_tui.errors import CorpusError

_LINES = (".jsonl", ".ndjson")
_BEIR_SHAPE = 'a BEIR line looks like {"_id": "1", "title": "...", "text": "..."}'
_BEIR_KEYS = frozenset({"_id", "title", "text", "metadata"})
_MEDRAG_KEYS = frozenset({"id", "title", "content", "contents", "PMID"})
_MEDRAG_SHAPE = 'a MedRAG line looks like {"id": "1", "title": "", "content": ""}'
# The first line is an object with `_id`, or with `id` and `content` or `contents`; the file begins
# with a PMID and an object with a field of one letter.
_BEIR_HEAD = re.compile(rb'\s*\{[^\n]*"_id"')
_MEDRAG_HEAD = re.compile(rb'\s*\{(?=[^\n]*"id")[^\n]*"content')
_MEDCPT_HEAD = re.compile(rb'\s*\{\s*"\d{1,9}"\s*:\s*\{\s*"[dtam]"\s*:')


def _begins(pattern: re.Pattern[bytes], head: bytes) -> bool:
    return pattern.match(head.removeprefix(BOM)) is not None


def _beir_document(value: Any) -> Document:
    """The id is unchanged, with blanks at its ends, as in the qrels; other keys become metadata.
    The store checks that ids are unique."""
    record = json_object(value)
    title, text = text_field(record, "title"), text_field(record, "text")
    if "title" not in record and "text" not in record:
        raise RecordFault("the record has neither `title` nor `text`")
    metadata = record.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise RecordFault(f"`metadata` is {json_type(metadata)}, not an object")
    if "_id" not in record:
        raise RecordFault("`_id` is missing")
    rest = {key: value for key, value in record.items() if key not in _BEIR_KEYS}
    identity = identifier(record["_id"], "`_id`", as_written=True)
    return Document(identity, said(title), said(text), {**rest, **(metadata or {})})


BEIR = Format("beir", _LINES, partial(_begins, _BEIR_HEAD), json_lines, _beir_document, _BEIR_SHAPE)


def _medrag_document(value: Any) -> Document:
    """The text is `content`, else `contents`, which repeats title and content. `PMID` becomes
    `pmid`; other keys become metadata."""
    record = json_object(value)
    if "id" not in record:
        raise RecordFault("`id` is missing", _MEDRAG_SHAPE)
    metadata = {key: value for key, value in record.items() if key not in _MEDRAG_KEYS}
    if record.get("PMID") not in (None, ""):
        metadata["pmid"] = identifier(record["PMID"], "`PMID`")
    text = text_field(record, "content") or text_field(record, "contents")
    title = text_field(record, "title")
    return document(identifier(record["id"], "`id`"), title, text, metadata)


MEDRAG = Format("medrag", _LINES, partial(_begins, _MEDRAG_HEAD), json_lines, _medrag_document)


def _medcpt_records(
    source: SourceReader, _: ReadSettings
) -> Iterator[tuple[Place, JsonElement | RecordFault]]:
    """Yield the members of a MedCPT chunk (`pubmed_chunk_N.json`), placed at their PMIDs."""
    for one in elements(source):
        found = one.value if isinstance(one.value, RecordFault) else one
        yield Place(source.name, offset=one.offset), found


def _medcpt_document(element: JsonElement) -> Document:
    """A member has the form `"16381832": {"d": "20060101", "t": "...", "a": "...", "m": "..."}`:
    PMID, date, title, abstract and headings. The headings are in lower case, each ended by a bar:
    `humans!|rna, untranslated!genetics*|`, with a qualifier after the exclamation mark and a star
    for a major one."""
    record = json_object(element.value)
    pmid = identifier(element.key, "the PMID")
    headings = [part.strip() for part in text_field(record, "m").split("|")]
    starred = ("*" * one.endswith("*") + one.rstrip("*").replace("!", "/") for one in headings)
    metadata = {"pmid": pmid, **dated(text_field(record, "d")), **mesh_of(starred)}
    return document(pmid, text_field(record, "t"), text_field(record, "a"), metadata)


MEDCPT = Format(
    "medcpt-chunk", (".json",), partial(_begins, _MEDCPT_HEAD), _medcpt_records, _medcpt_document
)


# Europe PMC.

_RESULTS = ("resultList", "result")
_EUROPEPMC_FIELDS = {  # where each is looked for, in order
    "pmid": "pmid",
    "pmcid": "pmcid",
    "doi": "doi",
    "journal": "journalInfo.journal.title journalTitle",
    "volume": "journalInfo.volume journalVolume",
    "issue": "journalInfo.issue issue",
    "pages": "pageInfo",
    "language": "language",
    "types": "pubTypeList.pubType pubType",
    "keywords": "keywordList.keyword",
}
_AFFILIATIONS = "authorAffiliationDetailsList.authorAffiliation"
_DATES = ("firstPublicationDate", "journalInfo.printPublicationDate")
_KEYS = ("pmid", "pmcid", "authorString", "pubYear", "abstractText")
_LABEL = re.compile(r"<h4>\s*(.*?)\s*:?\s*</h4>", re.IGNORECASE | re.DOTALL)


def _is_europepmc(head: bytes) -> bool:
    """Whether it is a response with `resultList`, or begins with a result: an object with `id`,
    `source` and a field that only Europe PMC has."""
    start = head.removeprefix(BOM).lstrip()
    if start.startswith(b"{") and b'"resultList"' in start:
        return b'"hitCount"' in start or b'"result"' in start
    first = first_object(head) or {}
    return first.keys() >= {"id", "source"} and not first.keys().isdisjoint(_KEYS)


def _europepmc_records(source: SourceReader, _: ReadSettings) -> Iterator[tuple[Place, Any]]:
    head = source.head().removeprefix(BOM).lstrip()
    is_answer = head.startswith(b"{") and b'"resultList"' in head
    return json_values(source, _RESULTS if is_answer else ())


def _europepmc_document(value: Any) -> Document:
    """Markup within titles and abstracts becomes text, headings of an abstract its labels. Values
    of another type than expected are as good as missing. getpapers puts each value into a list."""
    record = json_object(value)
    if isinstance(record.get("id"), list):
        record = _unwrapped(record)
    fields: dict[str, Any] = {
        name: distinct(_texts(record, *paths.split()))
        if name in LISTS
        else _word(record, *paths.split())
        for name, paths in _EUROPEPMC_FIELDS.items()
    }
    origin, own = _word(record, "source"), _word(record, "id")
    if origin == "MED" and own.isdigit():
        fields["pmid"] = fields["pmid"] or own
    fields["doi"] = doi_of(fields["doi"])
    authors = _at(record, "authorList.author")
    people = [_word(one, "fullName", "collectiveName") for one in authors]
    # "Smith JA, Jones B, The Group."
    named = _word(record, "authorString").rstrip(".").split(", ")
    places = [place for one in authors for place in _at(one, _AFFILIATIONS)]
    year, exact = dated(_word(record, "pubYear")), dated(_word(record, *_DATES))
    fields |= {
        "authors": list(filter(None, people)) or list(filter(None, named)),
        **(exact if exact.get("year") == year.get("year", exact.get("year")) else year),
        **mesh_of(map(_heading, _at(record, "meshHeadingList.meshHeading"))),
        "substances": distinct(_word(one, "name") for one in _at(record, "chemicalList.chemical")),
        "affiliations": distinct(_word(one, "affiliation") for one in (*places, *authors)),
        "corrections": distinct(
            map(_correction, _at(record, "commentCorrectionList.commentCorrection"))
        ),
    }
    title = without_markup(text_field(record, "title"))
    text = without_markup(_LABEL.sub(r" \1: ", text_field(record, "abstractText")))
    accession = f"{origin}:{own}" if origin and own else own
    return work_document(fields, title, text, accession)


def _heading(heading: Any) -> str:
    """A descriptor with its qualifiers as MEDLINE writes them: "Asthma/genetics/*therapy"."""
    parts = [heading, *_at(heading, "meshQualifierList.meshQualifier")]
    stars = ("*" if _word(part, "majorTopic_YN") == "Y" else "" for part in parts)
    names = (_word(part, "descriptorName", "qualifierName") for part in parts)
    return "/".join(map("".join, zip(stars, names, strict=True)))


def _correction(link: Any) -> str:
    pmid = _word(link, "id") if _word(link, "source") == "MED" else ""
    return correction(_word(link, "type"), _word(link, "reference", "note"), pmid)


def _unwrapped(value: Any) -> Any:
    """A value without the lists of one element in it."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        return {key: _unwrapped(one) for key, one in value.items()}
    return [_unwrapped(one) for one in value] if isinstance(value, list) else value


def _at(value: Any, path: str) -> list[Any]:
    """The values under the keys of a path: the elements of a list, or the one value."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, list) else [value]


def _texts(record: Any, *paths: str) -> list[str]:
    """The texts and numbers under the first of these paths that has any."""
    for path in paths:
        values = [one for one in _at(record, path) if type(one) in (str, int)]
        texts = [plain(one) if type(one) is str else identifier(one) for one in values]
        if any(texts):
            return texts
    return []


def _word(record: Any, *paths: str) -> str:
    return next(filter(None, _texts(record, *paths)), "")


_JSON = (".json", *_LINES)
EUROPEPMC = Format("europepmc", _JSON, _is_europepmc, _europepmc_records, _europepmc_document)


# Other JSON -------------------------------------------------------------------------------------

_NESTED = (("message", "items"), ("response", "docs"), ("hits", "hits"))
"""Keys within keys under which services put the array of their records."""
_CSL_TYPES = {
    "article-journal": "Journal Article", "journal-article": "Journal Article",
    "article-magazine": "Magazine Article", "article-newspaper": "Newspaper Article",
    "article": "Preprint", "posted-content": "Preprint", "book": "Book", "monograph": "Book",
    "edited-book": "Book", "reference-book": "Book", "chapter": "Book Chapter",
    "book-chapter": "Book Chapter", "entry": "Book Chapter", "entry-dictionary": "Book Chapter",
    "entry-encyclopedia": "Book Chapter", "reference-entry": "Book Chapter",
    "paper-conference": "Conference Paper", "proceedings-article": "Conference Paper",
    "thesis": "Thesis", "dissertation": "Thesis", "report": "Report", "dataset": "Dataset",
    "patent": "Patent", "webpage": "Webpage", "post": "Webpage", "post-weblog": "Blog",
    "review": "Review", "review-book": "Review", "book-review": "Review", "speech": "Speech",
    "manuscript": "Manuscript", "document": "", "component": "", "peer-review": "Review",
    "standard": "Standard", "software": "Software", "motion_picture": "", "personal_communication":
    "", "interview": "Interview", "legislation": "Legislation", "bill": "Legislation",
}  # fmt: skip
"""Types of CSL and of Crossref, which differ, in the words of the other readers."""
_CSL_KEYS = frozenset({
    "issued", "container-title", "DOI", "author", "editor", "URL", "page", "title-short", "ISSN",
    "ISBN", "PMID", "PMCID", "container-title-short", "collection-title", "publisher-place",
    "accessed", "citation-key", "event-title", "number-of-pages",
})  # fmt: skip
_OPENALEX = re.compile(r"https?://openalex\.org/.*")
_CITED = re.compile(
    r"ITEM-\d+|ref[-_ ]?\d+|[a-z]+\d{4}[a-z]?|https?://(?:www\.)?(?:zotero|mendeley)\.\w+/\S+",
    re.IGNORECASE,
)
"""Keys of citations, which are no ids."""
_ZOTERO = re.compile(r"ITEM-\d+|https?://(?:www\.)?(?:zotero|mendeley)\.\w+/\S+")
_WITHIN = frozenset({"Book Chapter", "Conference Paper"})
_TELLING = frozenset({
    "title", "abstract", "text", "contents", "passage", "abstracttext", "abstract_text",
    "articletitle", "article_title", "paper_title",
})  # fmt: skip
"""Keys that make an object a record of a corpus."""
_KNOWN = frozenset("doi pmid pmcid id paper_id authors author year abstract text".split())
"""Keys of which an object that is alone in a file has two."""
_TRIED = 20
"""Records among which the keys of a mapping are looked for."""

NamedObject = tuple[Mapping[str, str], Any]
"""The mapping of the user and an object."""


def _envelope(head: bytes, mapped: Iterable[str] = ()) -> tuple[str, ...]:
    """The keys of the array that holds the records of a file; empty if nothing is around them.
    mapped: keys of records that the user names."""
    start = head.removeprefix(BOM).lstrip()
    if not start.startswith(b"{") or (is_lined(head) and start.partition(b"\n")[2].strip()):
        return ()
    outer = {key.partition(".")[0] for key in mapped}
    paths = [(), *((key,) for key in array_keys(head)), *_NESTED]
    for path in paths:  # the first is the object itself
        record = first_object(head, path) or {}
        if _told(record) or not outer.isdisjoint(record):
            return path
    return ()


def _told(record: Mapping[str, Any]) -> bool:
    """Whether an object has a title or a text."""
    return not _TELLING.isdisjoint(map(str.casefold, record))


def _begins_with(head: bytes) -> dict[str, Any]:
    return first_object(head, _envelope(head)) or {}


def _is_csl(head: bytes) -> bool:
    """Whether the first object has a type of CSL; beside one that others write, too ("article"), a
    key that only CSL has, or as id the key of a citation."""
    first = _begins_with(head)
    kind, key = first.get("type"), str(first.get("id", ""))
    if kind not in _CSL_TYPES or _OPENALEX.fullmatch(key):
        return False
    is_sure = "-" in str(kind) and key
    return bool(is_sure or not _CSL_KEYS.isdisjoint(first) or _CITED.fullmatch(key))


def _is_named(head: bytes) -> bool:
    """Whether the first object has a title or a text; one that is alone needs both, or an id."""
    first = _begins_with(head)
    told = _told(first)
    alone = not (is_lined(head) or head.removeprefix(BOM).lstrip().startswith(b"["))
    if alone and not _envelope(head):
        return told and len(_KNOWN.intersection(map(str.casefold, first))) > 1
    return told


def _named_records(
    source: SourceReader, settings: ReadSettings
) -> Iterator[tuple[Place, NamedObject | RecordFault]]:
    """Yield the objects of a file. Raises CorpusError if a mapped key is in none of the first."""
    values = json_values(source, _envelope(source.head(), settings.mapping.values()))
    if settings.mapping:
        first = list(islice(values, _TRIED))
        objects = [value for _, value in first if isinstance(value, dict)]
        rows = [object_row(value, settings.mapping)[0] for value in objects]
        for field, key in settings.mapping.items():
            if objects and not any(key in names for names in rows):
                shown = ", ".join(repr(name[:40]) for name in rows[0][:_TRIED])
                what = f"{source.name}: the key {key!r} for `{field}` does not exist"
                remedy = f"--map {field}=KEY; a key within another is written outer.inner"
                raise CorpusError(f"{what}; the first record has {shown}", remedy=remedy)
        values = chain(first, values)
    for place, value in values:
        yield place, value if isinstance(value, RecordFault) else (settings.mapping, value)


def _named_object(given: NamedObject, *, own_id: bool = True) -> Document:
    mapping, value = given
    own_id = own_id and _ZOTERO.fullmatch(str(json_object(value).get("id"))) is None
    names, cells, nested = object_row(json_object(value), mapping)
    try:
        columns = object_columns(names, tuple(mapping.items()), nested)
    except CorpusError as error:
        what = "the record has neither a title nor a text"
        raise RecordFault(what, "--map title=KEY,text=KEY names their keys") from error
    return named_document(columns, cells, own_id=own_id)


def _csl_document(given: NamedObject) -> Document:
    """A record of CSL or Crossref. Its `id` is a key of citations, which is kept as `key`."""
    mapping, value = given
    record = dict(json_object(value))
    kind = _CSL_TYPES.get(str(record.get("type")), "")
    if "id" in record:
        record["key"] = record.pop("id")
    if isinstance(words := record.get("keyword"), str):
        record["keyword"] = re.split(r"\s*[;,]\s*", words)
    if kind in _WITHIN and "container-title" in record:
        record["book_title"] = record.pop("container-title")
        record.pop("container-title-short", None)
    if kind == "Thesis" and "publisher" in record:
        record["school"] = record.pop("publisher")
    record["type"] = kind or None
    return _named_object((mapping, record), own_id=False)


CSL = Format("csl-json", _JSON, _is_csl, _named_records, _csl_document)
JSON = Format("json", _JSON, _is_named, _named_records, _named_object, takes=("map",))
