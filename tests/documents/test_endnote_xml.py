"""The EndNote XML reader: the fields of EndNote's, Zotero's and other tools' exports."""

from __future__ import annotations

from typing import Any

import pytest
from reader_help import documents, read

from bioretrieval_tui.documents.detect import by_name
from bioretrieval_tui.documents.document import Document

FORMAT = by_name("endnote-xml")


def run(text: str, face: str = "normal") -> str:
    return f'<style face="{face}" font="default" size="100%">{text}</style>'


FULL = f"""
<record><database name="Ponds.enl" path="C:\\Ponds.enl">Ponds.enl</database>
<source-app name="EndNote" version="21.0">EndNote</source-app><rec-number>7</rec-number>
<foreign-keys><key app="EN" db-id="x" timestamp="1">7</key></foreign-keys>
<ref-type name="Journal Article">17</ref-type>
<contributors><authors><author>{run("van Dam, Anna-Maria B.")}</author>
<author>{run("World Health Organization,")}</author></authors>
<secondary-authors><author>{run("Ed, E.")}</author></secondary-authors></contributors>
<auth-address>{run("Pond Institute, Berlin.&#xD;Marsh College, Ghent.")}</auth-address>
<titles><title>{run("On ")}{run("Ardea", "italic")}{run(" at 10")}{run("5", "superscript")}
{run(" m and CO")}{run("2", "subscript")}</title>
<secondary-title>{run("J Pond")}</secondary-title></titles>
<periodical><full-title>{run("Journal of Ponds")}</full-title><abbr-1>J Pond</abbr-1></periodical>
<pages>{run("1-9")}</pages><volume>{run("4")}</volume><number>{run("2")}</number>
<keywords><keyword>{run("*Birds")}</keyword><keyword>Ponds&#xD;Frogs</keyword></keywords>
<dates><year>{run("2019")}</year><pub-dates><date>{run("Feb 3")}</date></pub-dates></dates>
<isbn>{run("1234-5678 (Print)&#xD;8765-4321 (Linking)")}</isbn>
<accession-num>{run("30000001")}</accession-num>
<electronic-resource-num>{run("https://doi.org/10.1000/J.Pond.1")}</electronic-resource-num>
<abstract>{run("Forty herons &amp; newts.")}</abstract><work-type>Review</work-type>
<custom2>{run("PMC42")}</custom2><remote-database-name>{run("PubMed")}</remote-database-name>
<language>{run("eng")}</language>
<urls><related-urls><url>{run("https://example.org/a")}</url></related-urls></urls></record>
"""


def wrapped(*records: str) -> str:
    head = '<?xml version="1.0" encoding="UTF-8" ?><xml><records>'
    return f"{head}{''.join(records)}</records></xml>"


def short(kind: str = "Journal Article", inner: str = "", number: str = "17") -> str:
    return (
        f'<record><rec-number>1</rec-number><ref-type name="{kind}">{number}</ref-type>'
        f"<titles><title>T</title><secondary-title>V</secondary-title></titles>{inner}</record>"
    )


def only(text: str) -> Document:
    (document,) = documents(read(wrapped(text), FORMAT))
    return document


def test_every_field() -> None:
    assert only(FULL) == Document(
        "30000001",
        "On Ardea at 10^5 m and CO2",
        "Forty herons & newts.",
        {
            "volume": "4",
            "issue": "2",
            "pages": "1-9",
            "language": ["eng"],
            "authors": ["van Dam AMB", "World Health Organization"],
            "doi": "10.1000/J.Pond.1",
            "pmid": "30000001",
            "pmcid": "PMC42",
            "url": "https://example.org/a",
            "types": ["Journal Article", "Review"],
            "keywords": ["Birds", "Ponds", "Frogs"],
            "affiliations": ["Pond Institute, Berlin.", "Marsh College, Ghent."],
            "year": 2019,
            "date": "2019-02-03",
            "journal": "Journal of Ponds",
        },
    )


@pytest.mark.parametrize(
    ("kind", "number", "expected"),
    [
        ("Journal Article", "17", {"types": ["Journal Article"], "journal": "V"}),
        ("Journal Article", "0", {"types": ["Journal Article"], "journal": "V"}),
        ("", "43", {"types": ["Journal Article"], "journal": "V"}),
        ("Book Section", "5", {"types": ["Book Chapter"], "book": "V", "editors": ["Ed E"]}),
        ("", "60", {"types": ["Book Chapter"], "book": "V", "editors": ["Ed E"]}),
        ("Conference Paper", "47", {"types": ["Conference Paper"], "book": "V",
                                    "editors": ["Ed E"]}),
        ("Book", "6", {"types": ["Book"]}),
        ("Edited Book", "28", {"types": ["Book"], "editors": ["Own O"], "authors": None}),
        ("Thesis", "32", {"types": ["Thesis"], "school": "P", "publisher": None}),
        ("Report", "27", {"types": ["Report"], "publisher": "P", "place": "Ghent"}),
        ("Unpublished Work", "34", {"types": ["Preprint"], "journal": "V"}),
        ("Web Page", "12", {"types": ["Webpage"], "journal": "V"}),
    ],
)  # fmt: skip
def test_kinds_of_references(kind: str, number: str, expected: dict[str, Any]) -> None:
    inner = (
        "<contributors><authors><author>Own, O</author></authors><secondary-authors><author>Ed, E"
        "</author></secondary-authors></contributors><publisher>P</publisher>"
        "<pub-location>Ghent</pub-location><isbn>978-1-4028-9462-6</isbn>"
    )
    found = only(short(kind, inner, number)).metadata
    full = {"authors": ["Own O"], "journal": None, "book": None, "editors": None, **expected}
    assert {name: found.get(name) for name in full} == full


ACCESSION = "<accession-num>30000001</accession-num>"


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (f"{ACCESSION}<remote-database-provider>NLM</remote-database-provider>", "30000001"),
        (f"{ACCESSION}<remote-database-name>CINAHL</remote-database-name>", "CINAHL:30000001"),
        ("<urls><web-urls><url>https://pubmed.ncbi.nlm.nih.gov/30000001/</url></web-urls></urls>",
         "30000001"),
        ("<urls><pdf-urls><url>http://www.ncbi.nlm.nih.gov/pubmed/30000001</url></pdf-urls></urls>",
         "30000001"),
        ("<notes>PMID: 30000001</notes>", "30000001"),
        ("<custom1>PMC42</custom1>", "PMC42"),
        ("<electronic-resource-num>DOI: 10.1000/A</electronic-resource-num>", "10.1000/a"),
        ("<urls><web-urls><url>https://doi.org/10.1000/A</url></web-urls></urls>", "10.1000/a"),
        ("<accession-num>WOS:000400000000001</accession-num>", "WOS:000400000000001"),
        ("<accession-num>NCT00000419</accession-num>", "NCT00000419"),
    ],
)  # fmt: skip
def test_ids(inner: str, expected: str) -> None:
    assert only(short(inner=inner)).id == expected


def test_markup_within_texts() -> None:
    twice = "&lt;i&gt;Ardea&lt;/i&gt; at 10&lt;sup&gt;5&lt;/sup&gt; &amp;amp; more"
    document = only(short().replace("T</title>", f"{twice}</title>"))
    assert document.title == "Ardea at 10^5 & more"


def test_notes_name_corrections_and_the_type_says_retracted() -> None:
    notes = "Ed, E&#xD;Erratum in: J Pond. 2020&#xD;Retraction in: J Pond. 2021. PMID: 5"
    known = only(
        short(inner=f"<notes>{notes}</notes><work-type>Retracted Publication</work-type>")
    ).metadata
    assert known["corrections"] == [
        "Erratum in: J Pond. 2020",
        "Retraction in PMID 5: J Pond. 2021",
    ]
    assert known["types"] == ["Journal Article", "Retracted Publication"]
    assert "pmid" not in known


def test_record_numbers_are_no_ids() -> None:
    first, second = short(), short().replace(">1<", ">2<")
    found = documents(read(wrapped(first, second), FORMAT))
    assert found[0].id == found[1].id
    assert found[0].id.startswith("made:")


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ("<year>2019</year>", "2019"),
        ("<year>2019</year><pub-dates><date>2019/02/03</date></pub-dates>", "2019-02-03"),
        ("<year>2019</year><pub-dates><date>Feb</date></pub-dates>", "2019-02"),
        ("<year>2019</year><pub-dates><date>Jan-Feb</date></pub-dates>", "2019"),
        ("<pub-dates><date>2019-02-03</date></pub-dates>", "2019-02-03"),
    ],
)
def test_dates(dates: str, expected: str) -> None:
    assert only(short(inner=f"<dates>{dates}</dates>")).metadata["date"] == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (wrapped(FULL), True),
        (wrapped(short()).replace("><", ">\n <"), True),
        ("<records><record><title>of another kind</title></record></records>", False),
        ("<PubmedArticleSet><records><record></record></records>", False),
        ("", False),
    ],
)
def test_heads(head: str, expected: bool) -> None:
    assert FORMAT.recognises(head.encode()) is expected
