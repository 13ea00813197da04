"""MedRAG, MedCPT and Europe PMC: fields, what is refused, and what holds for any bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from reader_help import (
    documents,
    read,
    rejected,
)

from bioretrieval_tui.documents.bibliography import is_retracted
from bioretrieval_tui.documents.detect import by_name
from bioretrieval_tui.documents.document import Document

MEDRAG = {
    "id": "pubmed23n0001_0",
    "title": "T",
    "content": "Body",
    "contents": "T. Body",
    "PMID": 21,
}
MEDCPT = {
    "d": "20060115",
    "t": "A title.",
    "a": "An abstract.",
    "m": "animals!|rna, untranslated!|rna, untranslated*|rna, untranslated!genetics*|mice!|",
}
RESULT: dict[str, Any] = {
    "id": "123",
    "source": "MED",
    "pmid": "123",
    "pmcid": "PMC9",
    "doi": "10.1000/x",
    "title": "<i>E. coli</i> &amp; H<sub>2</sub>O at p < 0.05",
    "authorString": "Ignored A.",
    "authorList": {
        "author": [{"fullName": "Lai Z"}, {"collectiveName": "The Group"}, {"affiliation": "x"}]
    },
    "journalInfo": {
        "issue": "2",
        "volume": "7",
        "printPublicationDate": "2019-03-01",
        "journal": {"title": "The Journal"},
    },
    "pubYear": "2019",
    "pageInfo": "1-9",
    "abstractText": "<h4>Background</h4>Much is <b>known</b>.<p>More.</p><h4>Aim:</h4> To see.",
    "language": "eng",
    "pubTypeList": {"pubType": ["research-article", "Journal Article"]},
    "meshHeadingList": {
        "meshHeading": [
            {"majorTopic_YN": "N", "descriptorName": "Humans"},
            {
                "majorTopic_YN": "N",
                "descriptorName": "Water",
                "meshQualifierList": {
                    "meshQualifier": [{"qualifierName": "analysis", "majorTopic_YN": "Y"}, {}]
                },
            },
        ]
    },
    "keywordList": {"keyword": ["a", "b", "a"]},
}


def answer(*results: Any, **more: Any) -> bytes:
    whole = {"version": "6.9", "hitCount": 2, "resultList": {"result": list(results)}, **more}
    return json.dumps(whole).encode()


# --- MedRAG


def test_medrag() -> None:
    lines = [json.dumps(MEDRAG), "", json.dumps({"id": 5, "title": "T", "contents": "C", "k": [1]})]
    first, second = documents(read("\n".join(lines), by_name("medrag")))
    assert first == Document("pubmed23n0001_0", "T", "Body", {"pmid": "21"})
    assert second == Document("5", "T", "C", {"k": [1]})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not JSON"),
        (b"[1]", "not an object"),
        (b'{"title": "T"}', "`id` is missing"),
        (b'{"id": null, "content": "x"}', "`id` is null, not text or a whole number"),
        (b'{"id": "", "content": "x"}', "`id` is empty"),
        (b'{"id": 1, "content": ["x"]}', "`content` is a list, not text"),
        (b'{"id": 1, "content": " "}', "neither a title nor an abstract"),
        (b'{"id": 1, "content": "\\u0000"}', "NUL"),
        (b'{"id": 1, "content": "x", "k": {"\\u0000": 1}}', "NUL"),
        (b'{"id": 1, "content": "\xff"}', "not UTF-8"),
    ],
)
def test_a_bad_line_costs_no_neighbour(line: bytes, reason: str) -> None:
    good = json.dumps(MEDRAG).encode() + b"\n"
    found = read(good + line + b"\n" + good, by_name("medrag"))
    assert len(documents(found)) == 2
    (refused,) = rejected(found)
    assert (refused.place.line, reason in refused.reason) == (2, True), refused.reason


# --- MedCPT


def test_medcpt() -> None:
    data = json.dumps({"16381832": MEDCPT, "2": {"d": "", "t": "T", "a": "", "m": ""}}).encode()
    found = read(data, by_name("medcpt-chunk"))
    first, second = documents(found)
    assert first == Document(
        "16381832",
        "A title.",
        "An abstract.",
        {
            "pmid": "16381832",
            "year": 2006,
            "date": "2006-01-15",
            "mesh": ["animals", "rna, untranslated", "mice"],
            "mesh_major": ["rna, untranslated"],
            "mesh_qualifiers": ["rna, untranslated/genetics"],
        },
    )
    assert second == Document("2", "T", "", {"pmid": "2"})
    assert [item.place.offset for item in found] == [data.index(b'"16381832"'), data.index(b'"2"')]


def test_medcpt_members_that_are_no_records() -> None:
    data = b'{"1": {"t": "T"}, "2": {"t": 5}, "3": [], "4": {"t": "", "a": ""}, "5": {"t": "U"}}'
    found = read(data, by_name("medcpt-chunk"))
    assert [document.id for document in documents(found)] == ["1", "5"]
    assert [refused.reason for refused in rejected(found)] == [
        "`t` is a number, not text",
        "the record is a list, not an object",
        "the record has neither a title nor an abstract",
    ]


# --- Europe PMC


def test_europepmc_fields() -> None:
    (document,) = documents(read(answer(RESULT), by_name("europepmc")))
    assert document == Document(
        "123",
        "E. coli & H2O at p < 0.05",
        "Background: Much is known. More. Aim: To see.",
        {
            "authors": ["Lai Z", "The Group"],
            "journal": "The Journal",
            "year": 2019,
            "date": "2019-03-01",
            "doi": "10.1000/x",
            "pmid": "123",
            "pmcid": "PMC9",
            "language": ["eng"],
            "types": ["research-article", "Journal Article"],
            "mesh": ["Humans", "Water"],
            "mesh_major": ["Water"],
            "mesh_qualifiers": ["Water/analysis"],
            "affiliations": ["x"],
            "keywords": ["a", "b"],
            "volume": "7",
            "issue": "2",
            "pages": "1-9",
        },
    )


def test_europepmc_substances_affiliations_and_corrections() -> None:
    places = {"authorAffiliation": [{"affiliation": "Ghent"}, {"affiliation": "Berlin"}]}
    record = {
        **RESULT,
        "authorList": {"author": [
            {"fullName": "Li J", "authorAffiliationDetailsList": places},
            {"fullName": "Li J", "affiliation": "Ghent"}]},
        "chemicalList": {"chemical": [{"name": "Water", "registryNumber": "0"}, {}]},
        "commentCorrectionList": {"commentCorrection": [
            {"id": "5", "source": "MED", "reference": "J. 2020;1", "type": "Retraction in"},
            {"id": "PPR6", "source": "PPR", "type": "Preprint in"},
            {"id": "PMC7", "source": "PMC", "reference": "J. 2021", "type": "Erratum in"}, "x"]},
    }  # fmt: skip
    (document,) = documents(read(answer(record), by_name("europepmc")))
    known = document.metadata
    assert known["authors"] == ["Li J", "Li J"]
    assert known["affiliations"] == ["Ghent", "Berlin"]
    assert known["substances"] == ["Water"]
    assert known["corrections"] == ["Retraction in PMID 5: J. 2020;1", "Erratum in: J. 2021"]
    assert is_retracted(known)


def test_europepmc_in_short() -> None:
    lite = {
        "id": "PPR5",
        "source": "PPR",
        "title": "T",
        "authorString": "A B, C D.",
        "journalTitle": "J",
        "journalVolume": "3",
        "pubYear": "2020",
        "firstPublicationDate": "2019-12-30",
        "pubType": "preprint",
    }
    (document,) = documents(read(answer(lite), by_name("europepmc")))
    assert document.id == "PPR:PPR5"
    assert document.metadata == {
        "authors": ["A B", "C D"],
        "journal": "J",
        "year": 2020,
        "date": "2020",
        "types": ["preprint"],
        "volume": "3",
    }


@pytest.mark.parametrize(
    "data",
    [
        answer(RESULT, RESULT, request={"resultList": None}),
        json.dumps(json.loads(answer(RESULT, RESULT)), indent=2).encode(),
        answer(RESULT) + b"\n" + answer(RESULT),
        json.dumps([RESULT, RESULT]).encode(),
        b"\xef\xbb\xbf" + json.dumps([RESULT, RESULT], indent=1).encode(),
        (json.dumps(RESULT) + "\n" + json.dumps(RESULT) + "\n").encode(),
    ],
    ids=["answer", "indented", "pages", "array", "mark", "lines"],
)
def test_europepmc_in_every_shape(data: bytes) -> None:
    assert by_name("europepmc").recognises(data[: 1 << 16])
    found = read(data, by_name("europepmc"))
    assert [document.id for document in documents(found)] == ["123", "123"]
    assert not rejected(found)


def wrapped(value: Any) -> Any:
    """A value as getpapers writes it: in lists, each object and text of it."""
    if isinstance(value, dict):
        return [{key: wrapped(one) for key, one in value.items()}]
    return [one for part in value for one in wrapped(part)] if isinstance(value, list) else [value]


def test_europepmc_as_getpapers_writes_it() -> None:
    (record,) = wrapped(RESULT)
    for data in (json.dumps([record], indent=2), json.dumps(record, indent=2), json.dumps(record)):
        assert by_name("europepmc").recognises(data.encode())
        assert documents(read(data, by_name("europepmc"))) == documents(
            read(answer(RESULT), by_name("europepmc"))
        )


@pytest.mark.parametrize(
    ("result", "identity"),
    [
        ({"id": "PPR5", "source": "PPR", "doi": "10.1101/A"}, "10.1101/a"),
        ({"id": "IND1", "source": "AGR"}, "AGR:IND1"),
        ({"id": "5", "source": "MED"}, "5"),
        ({"source": "MED"}, "made:"),
    ],
)
def test_ids_of_europepmc(result: dict[str, str], identity: str) -> None:
    (document,) = documents(read(answer({"title": "T", **result}), by_name("europepmc")))
    assert document.id.startswith(identity)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"id": "1"}, "neither a title nor an abstract"),
        ({"id": "1", "title": ["T"]}, "`title` is a list, not text"),
        ("text", "not an object"),
        ({"id": "1", "title": "a\0"}, "NUL"),
    ],
)
def test_a_bad_result_costs_no_neighbour(record: Any, reason: str) -> None:
    found = read(answer(RESULT, record, RESULT), by_name("europepmc"))
    assert len(documents(found)) == 2
    assert reason in rejected(found)[0].reason


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [{}], {"author": 5}, {"journal": []}])
def test_fields_of_another_shape_are_as_good_as_missing(value: Any) -> None:
    names = "authorList journalInfo pubTypeList meshHeadingList keywordList language".split()
    (document,) = documents(
        read(answer({"id": "1", "title": "T", **dict.fromkeys(names, value)}), by_name("europepmc"))
    )
    assert document.title == "T"


def test_an_answer_that_breaks_off_keeps_what_came() -> None:
    whole = answer(RESULT, RESULT)
    found = read(whole[:-40], by_name("europepmc"))
    assert len(documents(found)) == 1
    assert "the file ends within" in rejected(found)[-1].reason
