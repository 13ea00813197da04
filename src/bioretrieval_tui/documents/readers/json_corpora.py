"""Readers of corpora in JSON: BEIR and MedRAG (one object a line), the article files of NCBI's
MedCPT vectors (one object of a million members a file), and Europe PMC's search results (REST,
`format=json`, best with `resultType=core`: responses, arrays of results, or one result a line)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from bioretrieval_tui.documents.bibliography import (
    LISTS,
    dated,
    distinct,
    document,
    identifier,
    json_type,
    plain,
    without_markup,
)
from bioretrieval_tui.documents.document import Document, Place, RecordFault
from bioretrieval_tui.documents.identity import doi_of
from bioretrieval_tui.documents.readers.json_records import (
    BOM,
    JsonElement,
    elements,
    json_lines,
    json_object,
    text_field,
)
from bioretrieval_tui.documents.source import Format, ReadSettings, SourceReader

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
    return Document(identity, title, text, {**rest, **(metadata or {})})


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
    names = [(heading.partition("!")[0].rstrip("*"), heading[-1:] == "*") for heading in headings]
    metadata = {
        "pmid": pmid,
        **dated(text_field(record, "d")),
        "mesh": distinct(name for name, _ in names),
        "mesh_major": distinct(name for name, major in names if major),
    }
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
_DATES = ("firstPublicationDate", "journalInfo.printPublicationDate")
_KEYS = (b'"pmid"', b'"pmcid"', b'"authorString"', b'"pubYear"', b'"abstractText"')
_LABEL = re.compile(r"<h4>\s*(.*?)\s*:?\s*</h4>", re.IGNORECASE | re.DOTALL)


def _is_europepmc(head: bytes) -> bool:
    """Whether it is a response with `resultList`, or begins with a result: an object with `id`,
    `source` and a field that only Europe PMC has."""
    start = head.removeprefix(BOM).lstrip()
    if start.startswith(b"{") and b'"resultList"' in start:
        return b'"hitCount"' in start or b'"result"' in start
    line = start if start.startswith(b"[") else start.partition(b"\n")[0]
    is_result = b'"id"' in line and b'"source"' in line
    return line.startswith((b"{", b"[")) and is_result and any(key in line for key in _KEYS)


def _europepmc_records(source: SourceReader, _: ReadSettings) -> Iterator[tuple[Place, Any]]:
    head = source.head().removeprefix(BOM).lstrip()
    if head.startswith(b"{") and b'"resultList"' not in head:
        yield from json_lines(source)
        return
    for one in elements(source, () if head.startswith(b"[") else _RESULTS):
        yield Place(source.name, offset=one.offset), one.value


def _europepmc_document(value: Any) -> Document:
    """The id is the PMID, else the PMC id, else the source and its id (`PPR:PPR123`), else the
    DOI. Markup within titles and abstracts becomes text, headings of an abstract its labels.
    Values of another type than expected are as good as missing."""
    record = json_object(value)
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
    identity = fields["pmid"] or fields["pmcid"]
    identity = identity or (f"{origin}:{own}" if origin and own else own) or fields["doi"]
    if not identity:
        raise RecordFault("the result has no `id`, `pmid`, `pmcid` or `doi`")
    people = [_word(one, "fullName", "collectiveName") for one in _at(record, "authorList.author")]
    # "Smith JA, Jones B, The Group."
    named = _word(record, "authorString").rstrip(".").split(", ")
    headings = [
        (_word(one, "descriptorName"), [one, *_at(one, "meshQualifierList.meshQualifier")])
        for one in _at(record, "meshHeadingList.meshHeading")
    ]
    year, exact = dated(_word(record, "pubYear")), dated(_word(record, *_DATES))
    fields |= {
        "authors": list(filter(None, people)) or list(filter(None, named)),
        **(exact if exact.get("year") == year.get("year", exact.get("year")) else year),
        "mesh": distinct(name for name, _ in headings),
        "mesh_major": distinct(
            name for name, parts in headings if "Y" in [_word(p, "majorTopic_YN") for p in parts]
        ),
    }
    title = without_markup(text_field(record, "title"))
    text = without_markup(_LABEL.sub(r" \1: ", text_field(record, "abstractText")))
    return document(identifier(identity), title, text, fields)


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
