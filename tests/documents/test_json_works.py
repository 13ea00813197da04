"""JSON by the names of its keys: lines and arrays of any program, CSL, and the user's mapping."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from reader_help import documents, read, rejected

from bioretrieval_tui.documents.detect import by_name, recognise
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.source import ReadSettings, SourceReader
from bioretrieval_tui.errors import CorpusError

JSON, CSL = by_name("json"), by_name("csl-json")
HERONS = {"title": "Herons", "abstract": "Herons ate newts.", "doi": "10.1000/p1"}
MOSS = {"title": "Moss", "abstract": "Moss was mapped.", "doi": "10.1000/p2"}


def found_format(tmp_path: Path, data: bytes, name: str = "a.json", **mapping: str) -> str:
    (tmp_path / name).write_bytes(data)
    with SourceReader(tmp_path / name) as source:
        return recognise(source, ReadSettings(mapping=mapping)).name


def shapes(*records: Any) -> list[bytes]:
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in records)
    return [
        lines,
        b"\xef\xbb\xbf" + lines.replace(b"\n", b"\r\n"),
        json.dumps(records).encode(),
        json.dumps(records, indent=2).encode(),
        "".join(json.dumps(one, indent=1) for one in records).encode(),
        *(
            json.dumps(envelope, indent=indent).encode()
            for indent in (None, 2)
            for envelope in (
                {"results": records, "meta": {"count": 2}},
                {"status": "ok", "message": {"total": 2, "items": records}},
                {"total": 2, "offset": 0, "data": records},
                {"response": {"numFound": 2, "docs": records}},
                {"next": None, "filters": [1], "my entries": records, "last": [{"a": 1}]},
            )
        ),
    ]


@pytest.mark.parametrize("number", range(len(shapes())))
def test_common_names_in_every_shape(tmp_path: Path, number: int) -> None:
    data = shapes(HERONS, MOSS)[number]
    for name in ("a.json", "a.jsonl", "a"):
        assert found_format(tmp_path, data, name) == "json"
    assert [(d.id, d.title, d.text) for d in documents(read(data, JSON))] == [
        ("10.1000/p1", "Herons", "Herons ate newts."),
        ("10.1000/p2", "Moss", "Moss was mapped."),
    ]


@pytest.mark.parametrize("number", range(len(shapes())))
def test_a_mapping_in_every_shape(tmp_path: Path, number: int) -> None:
    data = shapes({"kop": "Herons", "nr": 7}, {"kop": "Moss", "nr": 8})[number]
    assert found_format(tmp_path, data, id="nr", title="kop") == "json"
    found = documents(read(data, JSON, id="nr", title="kop"))
    assert found == [Document("7", "Herons"), Document("8", "Moss")]


@pytest.mark.parametrize(
    ("record", "identity", "metadata"),
    [
        ({"id": 7, **HERONS}, "7", {"doi": "10.1000/p1"}),
        ({"_id": "d1", **HERONS, "extra": {"a": [1]}}, "d1", {"extra": {"a": [1]}}),
        (
            {
                "paperId": "649def34f8be52c8b66281af98ae884c09aef38b", "externalIds":
                {"DOI": "10.1000/P1", "PubMed": "123", "PubMedCentral": "45", "CorpusId": 1},
                "title": "Herons", "abstract": "Herons ate newts.", "venue": "J Foo", "year": 2018,
                "publicationDate": "2018-11-25", "authors": [{"authorId": "1", "name": "Z. Lai"}],
                "journal": {"name": "J Foo", "volume": "31", "pages": "998 - 1004"},
                "publicationTypes": ["JournalArticle"],
            },
            "123",
            {"pmid": "123", "pmcid": "PMC45", "doi": "10.1000/P1", "authors": ["Lai Z"],
             "journal": "J Foo", "volume": "31", "pages": "998-1004", "date": "2018-11-25"},
        ),
        (
            {
                "id": "https://openalex.org/W2741809807", "doi": None, "title": "Herons",
                "display_name": "Herons", "publication_year": 2018, "type": "article",
                "abstract_inverted_index": {"ate": [1], "Herons": [0], "newts.": [2]},
                "authorships": [{"author": {"id": "a", "display_name": "Zhen Lai"}}],
                "primary_location": {"source": {"display_name": "J Foo"}},
                "biblio": {"volume": "31", "first_page": "998", "last_page": "1004"},
                "ids": {"openalex": "https://openalex.org/W2741809807"},
            },
            "W2741809807",
            {"journal": "J Foo", "authors": ["Zhen Lai"], "pages": "998-1004", "year": 2018},
        ),
        (
            {
                "corpusid": 18980380, "externalids": {"DOI": None}, "title": "Herons",
                "abstract": [{"section": "A", "text": "Herons ate"}, {"text": "newts."}],
                "authors": [{"first": "Zhen", "middle": ["Q."], "last": "Lai", "suffix": ""}],
            },
            "corpusid:18980380",
            {"authors": ["Lai ZQ"]},
        ),
        (
            {
                "title": "Herons", "abstract": "Herons ate newts.", "year": 2018,
                "authors": [{"first_name": "Zhen", "last_name": "Lai"}], "source": "J Foo",
                "volume": "31", "identifiers": {"doi": "10.1000/P1", "pmid": "123"},
            },
            "123",
            {"journal": "J Foo", "authors": ["Lai Z"], "doi": "10.1000/P1"},
        ),
        ({**HERONS, "doi": "", "authors": "Lai, Zhen; Shi, S"}, "made:",
         {"authors": ["Lai Z", "Shi S"]}),
    ],
    ids=["id", "_id", "semantic-scholar", "openalex", "s2orc", "mendeley", "plain"],
)  # fmt: skip
def test_records_of_services(
    tmp_path: Path, record: dict[str, Any], identity: str, metadata: dict[str, Any]
) -> None:
    for data in (json.dumps([record]).encode(), json.dumps([record], indent=1).encode()):
        assert found_format(tmp_path, data) == "json"
        (document,) = documents(read(data, JSON))
        assert (document.title, document.text) == ("Herons", "Herons ate newts.")
        assert document.id == identity or document.id.startswith("made:") == (identity == "made:")
        assert {name: document.metadata.get(name) for name in metadata} == metadata


def test_keys_within_others_are_mapped() -> None:
    record = {
        "meta": {"ids": {"nr": "a1"}, "names": {"kop": "Herons"}},
        "sections": [{"body": "Herons ate"}, {"body": "newts."}, {"fig": 1}],
    }
    found = documents(
        read(json.dumps(record), JSON, id="meta.ids.nr", title="meta.names.kop",
             text="sections.body")
    )  # fmt: skip
    assert [(d.id, d.title, d.text) for d in found] == [("a1", "Herons", "Herons ate newts.")]


@pytest.mark.parametrize("key", ["abstracts", "doi.x", "Title"])
def test_a_mapped_key_that_no_record_has(key: str) -> None:
    with pytest.raises(CorpusError) as caught:
        read(json.dumps(HERONS), JSON, title=key)
    assert f"the key {key!r} for `title` does not exist" in caught.value.message
    assert "the first record has 'title', 'abstract', 'doi'" in caught.value.message


@pytest.mark.parametrize("indent", [None, 1])
def test_a_first_record_that_is_longer_than_the_head(tmp_path: Path, indent: int | None) -> None:
    data = json.dumps({**HERONS, "body": ["x, [{"] * 30_000}, indent=indent).encode()
    assert found_format(tmp_path, data + b"\n") == "json"
    (document,) = documents(read(data, JSON))
    assert document.id == "10.1000/p1"


def test_a_mapped_key_that_some_records_lack() -> None:
    lines = json.dumps({"kop": "Herons", "nr": 1}) + "\n" + json.dumps({"nr": 2}) + "\n"
    found = read(lines, JSON, title="kop", id="nr")
    assert [document.id for document in documents(found)] == ["1"]
    (refused,) = rejected(found)
    assert (refused.place.line, refused.reason) == (
        2, "the record has neither a title nor a text",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"title": 5, "abstract": true}', "neither"),
        ('{"title": "a\\u0000"}', "NUL"),
        ('{"title": "open', "not JSON"),
        ('"text"', "not an object"),
        ('{"authors": ["A"]}', "neither a title nor a text"),
        ('{"title": {"a": 1}}', "neither a title"),
    ],
)
def test_a_bad_object_costs_no_neighbour(line: str, reason: str) -> None:
    good = json.dumps(HERONS)
    found = read(f"{good}\n{line}\n{json.dumps(MOSS)}\n", JSON)
    if reason == "neither" and not rejected(found):
        assert documents(found)[1].title == "5"
        return
    assert [document.title for document in documents(found)] == ["Herons", "Moss"]
    assert reason in rejected(found)[0].reason


@pytest.mark.parametrize(
    "data",
    [
        b'{"name": "package", "description": "d", "version": "1"}',
        b'{"name": "x", "scripts": {"title": "y"}}',
        b'{\n "title": "A page",\n "theme": "dark"\n}',
        b'{"$defs": {"x": {"id": 1, "source": 2, "pmid": 3}}, "type": "object"}',
        b"[1, 2, 3]",
        b"[]",
        b'{"a": [{"b": 1}]}',
    ],
)
def test_other_json_is_no_corpus(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CorpusError, match="JSON of another kind"):
        found_format(tmp_path, data)


# --- CSL

ITEM = {
    "id": "lai2018", "type": "article-journal", "title": "Herons &amp; <i>Rana</i>",
    "container-title": "Journal of Foo", "container-title-short": "J Foo", "volume": "31",
    "issue": "11", "page": "998-1004", "abstract": "<jats:p>Herons ate newts.</jats:p>",
    "DOI": "10.1000/P1", "ISSN": "1234-5678", "URL": "https://j.org/1", "language": "en",
    "note": "PMID: 123\nPMCID: PMC45", "keyword": "pond, reed",
    "author": [{"family": "Lai", "given": "Zhen"}, {"literal": "Heron Group"},
               {"family": "Berg", "given": "Jan", "non-dropping-particle": "van den"}],
    "issued": {"date-parts": [["2018", 11, 25]]},
}  # fmt: skip


@pytest.mark.parametrize("number", range(len(shapes())))
def test_csl(tmp_path: Path, number: int) -> None:
    data = shapes(ITEM, ITEM)[number]
    assert found_format(tmp_path, data) == "csl-json"
    document, _ = documents(read(data, CSL))
    assert document == Document(
        "123",
        "Herons & Rana",
        "Herons ate newts.",
        {
            "authors": ["Lai Z", "Heron Group", "van den Berg J"],
            "journal": "Journal of Foo",
            "container-title-short": "J Foo",
            "year": 2018, "date": "2018-11-25",
            "volume": "31", "issue": "11", "pages": "998-1004",
            "doi": "10.1000/P1", "pmid": "123", "pmcid": "PMC45",
            "url": "https://j.org/1", "language": ["en"], "types": ["Journal Article"],
            "keywords": ["pond", "reed"], "ISSN": "1234-5678", "key": "lai2018",
            "note": "PMID: 123\nPMCID: PMC45",
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "identity", "metadata"),
    [
        (
            {"type": "chapter", "editor": [{"family": "Shi", "given": "S. Y."}],
             "publisher": "Foo Press", "publisher-place": "Oslo", "ISBN": "978-3-16-148410-0"},
            "123",
            {"book": "Journal of Foo", "journal": None, "editors": ["Shi SY"], "place": "Oslo",
             "publisher": "Foo Press", "types": ["Book Chapter"], "isbn": "978-3-16-148410-0"},
        ),
        ({"type": "thesis", "publisher": "Uni Foo", "DOI": "", "note": ""}, "made:",
         {"school": "Uni Foo", "types": ["Thesis"]}),
        ({"issued": {"raw": "2018-11"}, "note": ""}, "10.1000/p1", {"date": "2018-11"}),
        ({"issued": {"literal": "Autumn 2018"}}, "123", {"year": 2018}),
        ({"PMID": "7", "issued": {"date-parts": [[2018]]}}, "7", {"year": 2018, "date": "2018"}),
        (  # Crossref: titles in lists, its own types
            {"type": "journal-article", "title": ["Herons &amp; <i>Rana</i>"], "note": "",
             "container-title": ["Journal of Foo"], "published-print": {"date-parts": [[2018, 1]]}},
            "10.1000/p1",
            {"journal": "Journal of Foo", "types": ["Journal Article"], "date": "2018-11-25"},
        ),
    ],
)  # fmt: skip
def test_kinds_of_csl(change: dict[str, Any], identity: str, metadata: dict[str, Any]) -> None:
    data = json.dumps([{**ITEM, **change}]).encode()
    assert CSL.recognises(data)
    (document,) = documents(read(data, CSL))
    assert document.title == "Herons & Rana"
    assert document.id.startswith(identity)
    assert {name: document.metadata.get(name) for name in metadata} == metadata
