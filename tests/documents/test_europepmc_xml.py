"""Europe PMC's search results in XML: read as those in JSON are."""

from __future__ import annotations

import json

import pytest
from reader_help import documents, read

from bioretrieval_tui.documents.detect import by_name
from bioretrieval_tui.documents.document import Document

FORMAT, JSON = by_name("europepmc-xml"), by_name("europepmc")

ONE = """<result><id>30000001</id><source>MED</source><pmid>30000001</pmid><pmcid>PMC42</pmcid>
<doi>10.1000/J.Pond.1</doi>
<title>On &lt;i&gt;Ardea&lt;/i&gt; at 10&lt;sup&gt;5&lt;/sup&gt; m.</title>
<authorString>van Dam A, Berg B.</authorString>
<authorList><author><fullName>van Dam A</fullName><lastName>van Dam</lastName></author>
<author><fullName>Berg B</fullName></author></authorList>
<journalInfo><issue>2</issue><volume>4</volume><journal><title>Journal of Ponds</title></journal>
</journalInfo><pubYear>2019</pubYear><pageInfo>1-9</pageInfo>
<abstractText>&lt;h4&gt;Aims&lt;/h4&gt;Forty herons.</abstractText><language>eng</language>
<pubTypeList><pubType>Journal Article</pubType><pubType>Review</pubType></pubTypeList>
<meshHeadingList><meshHeading><majorTopic_YN>Y</majorTopic_YN><descriptorName>Birds</descriptorName>
</meshHeading><meshHeading><majorTopic_YN>N</majorTopic_YN><descriptorName>Ponds</descriptorName>
</meshHeading></meshHeadingList><keywordList><keyword>heron</keyword></keywordList>
<firstPublicationDate>2019-02-03</firstPublicationDate></result>"""
SAME = {
    "id": "30000001", "source": "MED", "pmid": "30000001", "pmcid": "PMC42",
    "doi": "10.1000/J.Pond.1", "title": "On <i>Ardea</i> at 10<sup>5</sup> m.",
    "authorString": "van Dam A, Berg B.",
    "authorList": {"author": [{"fullName": "van Dam A"}, {"fullName": "Berg B"}]},
    "journalInfo": {"issue": "2", "volume": "4", "journal": {"title": "Journal of Ponds"}},
    "pubYear": "2019", "pageInfo": "1-9", "abstractText": "<h4>Aims</h4>Forty herons.",
    "language": "eng", "pubTypeList": {"pubType": ["Journal Article", "Review"]},
    "meshHeadingList": {"meshHeading": [
        {"majorTopic_YN": "Y", "descriptorName": "Birds"},
        {"majorTopic_YN": "N", "descriptorName": "Ponds"}]},
    "keywordList": {"keyword": ["heron"]}, "firstPublicationDate": "2019-02-03",
}  # fmt: skip


def wrapped(*results: str) -> str:
    head = '<?xml version="1.0" encoding="UTF-8"?><responseWrapper><version>6.9</version>'
    return (
        f"{head}<hitCount>1</hitCount><resultList>{''.join(results)}</resultList></responseWrapper>"
    )


def only(text: str) -> Document:
    (document,) = documents(read(wrapped(text), FORMAT))
    return document


def test_a_result_is_read_as_in_json() -> None:
    (same,) = documents(read(json.dumps(SAME), JSON))
    found = only(ONE)
    assert found == same
    assert (found.id, found.title) == ("30000001", "On Ardea at 10^5 m.")
    assert found.text == "Aims: Forty herons."
    assert found.metadata["mesh_major"] == ["Birds"]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("On <i>Ardea</i> at 10<sup>5</sup> m", "On Ardea at 10^5 m"),
        ("<![CDATA[On <i>Ardea</i> & more]]>", "On Ardea & more"),
        ("On\n  Ardea", "On Ardea"),
    ],
)
def test_markup_of_a_title(title: str, expected: str) -> None:
    assert only(f"<result><id>1</id><source>MED</source><title>{title}</title></result>").title == (
        expected
    )


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (wrapped(ONE), True),
        (wrapped().replace("resultList", "other"), False),
        ("<results><result/></results>", False),
        ("", False),
    ],
)
def test_heads(head: str, expected: bool) -> None:
    assert FORMAT.recognises(head.encode()) is expected
