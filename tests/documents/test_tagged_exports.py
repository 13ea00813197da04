"""Refer, RefWorks and Ovid: fields, edges of records, dialects, recognition in `.txt` files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reader_help import documents, read, rejected

from bioretrieval_tui.documents.detect import by_name, recognise
from bioretrieval_tui.documents.source import SourceReader

REFER = by_name("refer")
REFWORKS = by_name("refworks")
OVID = by_name("ovid")

ENW = """%0 Journal Article
%A Miller, Ada B.
%A Berg, O. P.
%T Herons eat <i>Rana</i> &amp; newts
%J Pond Journal
%V 3
%N 2
%P 1-9
%D 2011
%8 2011/03/04
%X We watched

twelve ponds.
%K herons
newts
%M 21234567
%~ PubMed
%2 PMC3040763
%R 10.1000/Pond.1
%U https://a.example/1
%@ 1234-5678
%G eng
%+ One.
Two.
%9 Review

%0 Book Section
%A Lind, Eva
%E Editor, Ed
%T A chapter
%B A book
%I Pond Press
%C Bern
%D 2010
"""

RW = """Refworks Export Tagged Format

Character Set=utf-8

Tag legend
*****
RT=Reference Type

*****
BEGIN EXPORTED REFERENCES


RT Journal Article
SR Electronic(1)
ID 1220
A1 Miller,Ada
A1 Berg, O. P.
T1 Herons eat newts
JF Pond Journal
YR 2011
FD Mar 4
VO 3
IS 2
SP 1
OP 9
K1 herons; newts
AB We watched
twelve ponds.
NO doi: 10.1000/Pond.1
LK http://a.example/1
LA English
PMID 21234567
OL Unknown(0)

RT Book, Section
A1 Lind,Eva
A2 Editor,Ed
T1 A chapter
T2 A book
PB Pond Press
"""

TAGGED = """<3001. >
VN  - Ovid Technologies
DB  - Ovid MEDLINE(R)
UI  - 21234567
AU  - Miller A
AU  - Berg OP
TI  - Herons eat newts.
SO  - Pond Journal. 3(2):1-9, 2011 Mar.
MH  - *Birds/ge [Genetics]
MH  - Humans
AB  - BACKGROUND: We watched
RESULTS: twelve ponds.
DO  - https://dx.doi.org/10.1000/Pond.1
LG  - English
PT  - Journal Article
SI  - ClinicalTrials.gov/NCT00000418
YR  - 2011

<3002. >
VN  - Ovid Technologies
DB  - Embase
UI  - 621381829
AU  - Behan L.
TI  - Moss on walls.
SO  - BMC Proceedings. Conference: Moss Days. Spain. 12 (Supplement 3) (no pagination), 2018.
MH  - *moss
AB  - Moss.
"""

NAMED = """<1>
Unique Identifier
  21234567
Title
  Herons eat newts.
Source
  Pond Journal. 3(2):1-9, 2011 Mar.
Status
  MEDLINE
Authors
  Miller A; Berg OP
MeSH Subject Headings
  *Birds/ge [Genetics]
  Humans
Abstract
  We watched twelve ponds.
Digital Object Identifier
  https://dx.doi.org/10.1000/Pond.1
Publication Type
  Journal Article.
Year of Publication
  2011

<2>
Accession Number
  2012345678
Title
  Moss on walls.
Database
  Embase
"""

EMBASE = """RECORD 1

TITLE
  Herons eat newts

AUTHOR NAMES
  Miller A.
  Berg O.P.

SOURCE
  Pond Journal (2011) 3:2 (1-9). Date of Publication: 4 Mar 2011

SOURCE TITLE
  Pond Journal

VOLUME
  3

ISSUE
  2

FIRST PAGE
  1

LAST PAGE
  9

PUBLICATION YEAR
  2011

ABSTRACT
  We watched twelve ponds.

MEDLINE PMID
  21234567 (http://www.ncbi.nlm.nih.gov/pubmed/21234567)

PUI
  L2001234567

DOI
  10.1000/Pond.1

RECORD 2

TITLE
  Moss on walls

PUI
  L2001234568
"""


def _one(text: str, name: str) -> dict[str, Any]:
    (document,) = documents(read(text, by_name(name)))
    return {"id": document.id, "title": document.title, "text": document.text, **document.metadata}


SHARED = {
    "authors": ["Miller A", "Berg OP"],
    "journal": "Pond Journal",
    "year": 2011,
    "doi": "10.1000/Pond.1",
    "pmid": "21234567",
    "volume": "3",
    "issue": "2",
    "pages": "1-9",
}


@pytest.mark.parametrize(
    ("text", "name", "second"),
    [
        (ENW, "refer", "A chapter"),
        (RW, "refworks", "A chapter"),
        (TAGGED, "ovid", "Moss on walls."),
        (NAMED, "ovid", "Moss on walls."),
        (EMBASE, "ovid", "Moss on walls"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_fields_that_all_have(text: str, name: str, second: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "export.txt"
    path.write_bytes(text.replace("\n", end).encode())
    with SourceReader(path) as source:
        assert recognise(source).name == name
    found = read(path.read_bytes(), by_name(name))
    first, other = documents(found)
    assert (len(found), other.title) == (2, second)
    held = {key: first.metadata.get(key) for key in SHARED}
    assert held == SHARED | {"authors": [first.metadata["authors"][0], "Berg OP"]}
    assert first.text.endswith("twelve ponds.")


def test_every_field_of_refer() -> None:
    first, chapter = documents(read(ENW, REFER))
    assert (first.title, first.text) == ("Herons eat Rana & newts", "We watched twelve ponds.")
    assert first.metadata == SHARED | {
        "authors": ["Miller AB", "Berg OP"],
        "date": "2011-03-04",
        "pmcid": "PMC3040763",
        "url": "https://a.example/1",
        "language": ["eng"],
        "types": ["Journal Article", "Review"],
        "keywords": ["herons", "newts"],
        "affiliations": ["One.", "Two."],
    }
    assert chapter.metadata == {
        "authors": ["Lind E"],
        "editors": ["Editor E"],
        "book": "A book",
        "year": 2010,
        "date": "2010",
        "types": ["Book Chapter"],
        "publisher": "Pond Press",
        "place": "Bern",
    }


@pytest.mark.parametrize(
    "text",
    [
        "%0 Book\n%T A\n\n%0 Book\n%T B\n",
        "%0 Book\n%T A\n%0 Book\n%T B\n",
        "%T A\n%0 Book\n\n%T B\n%0 Book\n",
        "%A X\n%T A\n\n%T B\n%A Y\n",
        "%A X\n%T A\n\n\n%A Y\n%T B\n",
        "\ufeff%0 Book\n%T A\n\n %0 Book\n %T B\n",
    ],
)
def test_records_of_refer(text: str) -> None:
    found = read(text, REFER)
    assert [one.title for one in documents(found)] == ["A", "B"]
    assert len(found) == 2
    assert REFER.recognises(text.encode())


@pytest.mark.parametrize(
    ("lines", "name", "value"),
    [
        ("%A \u853a\u537f %A \u7f57\u683c", "authors", ["\u853a\u537f", "\u7f57\u683c"]),
        ("%E Ed, E.\n%0 Edited Book", "editors", ["Ed E"]),
        ("%B Pond Journal", "journal", "Pond Journal"),
        ("%Z PMID: 21234567", "pmid", "21234567"),
        ("%U https://doi.org/10.1000/x", "doi", "10.1000/x"),
        ("%8 September 1, 2021\n%D 2021", "year", 2021),
    ],
)  # fmt: skip
def test_lines_of_refer(lines: str, name: str, value: object) -> None:
    assert _one(f"%T A\n{lines}\n", "refer")[name] == value


def test_every_field_of_refworks() -> None:
    first, chapter = documents(read(RW, REFWORKS))
    assert first.metadata == SHARED | {
        "date": "2011-03-04",
        "url": "http://a.example/1",
        "language": ["English"],
        "types": ["Journal Article"],
        "keywords": ["herons", "newts"],
    }
    assert chapter.metadata == {
        "authors": ["Lind E"],
        "editors": ["Editor E"],
        "book": "A book",
        "types": ["Book Chapter"],
        "publisher": "Pond Press",
    }
    assert not rejected(read(RW, REFWORKS))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Dissertation", ["Thesis"]),
        ("Book, Whole", ["Book"]),
        ("Conference Proceedings", ["Conference Paper"]),
        ("Report", ["Report"]),
        ("Grant", ["Grant"]),
    ],
)
def test_types_of_refworks(kind: str, words: list[str]) -> None:
    assert _one(f"RT {kind}\nT1 A\nER \n", "refworks")["types"] == words


def test_every_field_of_ovid() -> None:
    medline, embase = documents(read(TAGGED, OVID))
    assert medline.text == "BACKGROUND: We watched RESULTS: twelve ponds."
    assert medline.metadata == SHARED | {
        "date": "2011-03",
        "language": ["English"],
        "types": ["Journal Article"],
        "mesh": ["Birds", "Humans"],
        "mesh_major": ["Birds"],
        "mesh_qualifiers": ["Birds/genetics"],
        "trials": ["NCT00000418"],
    }
    assert embase.id == "Embase:621381829"
    assert embase.metadata == {
        "authors": ["Behan L"],
        "journal": "BMC Proceedings",
        "year": 2018,
        "date": "2018",
        "keywords": ["moss"],
        "volume": "12",
        "issue": "Supplement 3",
    }


def test_names_of_fields_in_full() -> None:
    medline, embase = documents(read(NAMED, OVID))
    assert medline.metadata["mesh_qualifiers"] == ["Birds/genetics"]
    assert medline.metadata["types"] == ["Journal Article"]
    assert embase.id == "Embase:2012345678"


def test_embase_text() -> None:
    first, second = documents(read(EMBASE, OVID))
    assert first.metadata["date"] == "2011"
    assert second.id == "L2001234568"


@pytest.mark.parametrize(
    ("lines", "name", "value"),
    [
        ("AU  - Walsdorf, Neill B. [Inventor, Reprint Author]", "authors", ["Walsdorf NB"]),
        ("AU  - Gazic, Barbara MD, PhD *", "authors", ["Gazic B"]),
        ("AU  - Zhang, Weijia 1,2,+", "authors", ["Zhang W"]),
        ("SO  - Ponds August 2011;43(8):647-653", "journal", "Ponds"),
        ("SO  - Ponds August 2011;43(8):647-653", "pages", "647-653"),
        ("SO  - Ponds. 201(2-3):327-334, November 15, 2004.", "issue", "2-3"),
        ("PM  - 21234567 [https://www.ncbi.nlm.nih.gov/pubmed/?term=21234567]", "pmid", "21234567"),
        ("DB  - Journals@Ovid\nAN  - 00135124-201001000-00018.", "id", "00135124-201001000-00018"),
        ("UI  - 97012345", "id", "Ovid:97012345"),
        ("BT  - A book\nED  - Ed, E", "book", "A book"),
        ("SO  - Ponds and Walls. Vol.24(7), 2019, pp. 847-856.", "pages", "847-856"),
        ("SO  - Ponds and Walls. Vol.24(7), 2019, pp. 847-856.", "volume", "24"),
        ("SO  - Ponds and Walls. Vol.24(7), 2019, pp. 847-856.", "date", "2019"),
        ("SO  - Ponds. Vol 4, 2019, ArtID 12.", "journal", "Ponds"),
        ("SO  - Ponds, Vol 24(7), Jul 2019, pp. 847-856.", "journal", "Ponds"),
        (
            "AU  - Miller, Ada M.D., Ph.D.; Berg, Otto FRCP(C); Lind, E PharmD",
            "authors",
            ["Miller A", "Berg O", "Lind E"],
        ),
        ("SO  - Open Ponds; 2020. 10(1):12-19. 3 ref.", "journal", "Open Ponds"),
        ("SO  - Open Ponds; 2020. 10(1):12-19. 3 ref.", "date", "2020"),
        ("SO  - Open Ponds; 2020. 10(1):12-19. 3 ref.", "issue", "1"),
        (
            "MH  - *Major Depression; *Self-Criticism\nDB  - PsycInfo",
            "keywords",
            ["Major Depression", "Self-Criticism"],
        ),
        (
            "AU  - Miller MD\nAU  - Berg, MD\nAU  - Lind, Eva MD",
            "authors",
            ["Miller MD", "Berg MD", "Lind E"],
        ),
        (
            "AU  - Miller, Ada MD *;  Berg, Otto MD, PhD +;  van Lind, Eva Maria MPH",
            "authors",
            ["Miller A", "Berg O", "van Lind EM"],
        ),
        ("ID  - 10.1000/x [doi]", "doi", "10.1000/x"),
    ],
)
def test_lines_of_ovid(lines: str, name: str, value: object) -> None:
    assert _one(f"<1. >\nTI  - A.  [Article]\n{lines}\n", "ovid")[name] == value


@pytest.mark.parametrize(
    "name", ["Journal Subset", "ISSN Electronic", "Document Type", "NLM Journal Code", "Score"]
)
@pytest.mark.parametrize("indent", ["  ", " ", "\t"])
def test_unknown_names_of_fields(name: str, indent: str) -> None:
    text = (
        f"<8>\n{name}\n{indent}One.  Two.\nTitle\n{indent}Herons\nAbstract\n{indent}We watched.\n"
        f"{name}\n{indent}One.\nLANGUAGE OF ARTICLE\n{indent}English\n"
        f"DOI Number\n{indent}10.1000/x\n"
    )
    found = _one(text, "ovid")
    assert (found["title"], found["text"], found["doi"]) == ("Herons", "We watched.", "10.1000/x")
    assert found["language"] == ["English"]


def test_names_of_fields_above_text_at_the_margin() -> None:
    text = "<8>\nTitle\nHerons Eat Newts\nAbstract\nWe watched\ntwelve ponds\nJournal Subset\nX\n"
    found = _one(text, "ovid")
    assert (found["title"], found["text"]) == ("Herons Eat Newts", "We watched twelve ponds")


def test_small_tags_of_refworks() -> None:
    found = _one(
        "RT Journal Article\nT1 A\nvo 57\nis 3\nsp 12\nop 15\nAB it\nis 3 times\n", "refworks"
    )
    assert [found[name] for name in ("volume", "issue", "pages")] == ["57", "3", "12-15"]
    assert found["text"] == "it is 3 times"


def test_a_bad_record_costs_no_neighbour() -> None:
    found = read(TAGGED + "\n<3003. >\nVN  - Ovid\n\n<3004. >\nTI  - Last\n", OVID)
    assert [one.title for one in documents(found)][2:] == ["Last"]
    (refused,) = rejected(found)
    assert (refused.place.line, refused.reason) == (
        29,
        "the record has neither a title nor an abstract",
    )


SAMPLES = {
    "bibtex": "@article{k,\n  title = {A},\n}\n",
    "ris": "TY  - JOUR\nTI  - A\nER  - \n",
    "medline": "PMID- 1\nTI  - A\n",
    "refer": "%0 Journal Article\n%T A\n",
    "refworks": "RT Journal Article\nT1 A\n",
    "ovid": "<1. >\nTI  - A\n",
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize(
    ("above", "found"),
    [
        ("", True),
        ("Scopus\nEXPORT DATE: 1 Jan 2011\n\n", True),
        ("Database: X <1946 to 2011>\nSearch Strategy:\n1 exp Herons/ (12)\n\n", True),
        ("# A data set\n\nCite it:\n\n", False),
        ("Cite it:\n```\n", False),
        ("Cite it::\n\n", False),
        ("import re\n\nTEXT = 'x'\n", False),
        ('TEXT = """\\\n', False),
        ("\\documentclass{article}\n", False),
    ],
)
def test_an_example_is_no_export(name: str, above: str, found: bool) -> None:
    assert by_name(name).recognises((above + SAMPLES[name]).encode()) is found
