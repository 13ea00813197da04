"""MEDLINE text: fields, edges of records, ERIC's dialect, rejected records."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reader_help import (
    SAMPLES,
    documents,
    read,
    read_path,
    rejected,
)

from bioretrieval_tui.documents.bibliography import said
from bioretrieval_tui.documents.detect import by_name

FORMAT = by_name("medline")

ONE = """PMID- 1
OWN - NLM
DP  - 2003 Sep 15
TI  - A title that
      goes on.
PG  - 1-9
LID - S1-2 [pii]
LID - 10.1000/x [doi]
AB  - BACKGROUND: Much
      is known.
FAU - Lai, Zhen
AU  - Lai Z
CN  - The Group
LA  - eng
LA  - chi
PT  - Journal Article
TT  - Ein Titel.
JT  - The journal
TA  - J
VI  - 3
IP  - 4
MH  - *Foo, Bar/*genetics/metabolism
MH  - Humans
MH  - Baz/*genetics
MH  - Humans
OT  - *a word
PMC - PMC5
"""
TWO = "PMID- 2\nTI  - Two\n"


def test_every_field() -> None:
    (document,) = documents(read(ONE, FORMAT))
    assert (document.id, document.title) == ("1", "A title that goes on.")
    assert document.text == "BACKGROUND: Much is known."
    assert document.metadata == {
        "authors": ["Lai Z", "The Group"],
        "journal": "The journal",
        "year": 2003,
        "date": "2003-09-15",
        "doi": "10.1000/x",
        "pmid": "1",
        "pmcid": "PMC5",
        "language": ["eng", "chi"],
        "types": ["Journal Article"],
        "mesh": ["Foo, Bar", "Humans", "Baz"],
        "mesh_major": ["Foo, Bar", "Baz"],
        "mesh_qualifiers": ["Foo, Bar/genetics", "Foo, Bar/metabolism", "Baz/genetics"],
        "keywords": ["a word"],
        "vernacular_title": "Ein Titel.",
        "volume": "3",
        "issue": "4",
        "pages": "1-9",
    }


@pytest.mark.parametrize("between", ["\n", "\n\n\n", "", "\n  \n"])
def test_records_are_parted_by_blank_lines_or_a_pmid(between: str) -> None:
    found = read(ONE + between + TWO, FORMAT)
    assert [document.id for document in documents(found)] == ["1", "2"]
    assert found[1].place.line == 28 + between.count("\n")


@pytest.mark.parametrize(
    ("written", "year", "date"),
    [
        ("2002 Sep", 2002, "2002-09"),
        ("1998 Dec-1999 Jan", 1998, "1998"),
        ("2020 Spring", 2020, "2020"),
        ("2011", 2011, "2011"),
        ("2010 Feb 30", 2010, "2010-02"),
        ("Winter 1999", 1999, "1999"),
    ],
)
def test_dates(written: str, year: int, date: str) -> None:
    (document,) = documents(read(f"{TWO}DP  - {written}\n", FORMAT))
    assert (document.metadata["year"], document.metadata["date"]) == (year, date)


def test_a_book() -> None:
    book = "BTI - A book\nPB  - The Press\nPL  - London\nED  - Lind E\nISBN- 9781234567897\n"
    whole, chapter, article = documents(
        read(f"PMID- 1\n{book}\nPMID- 2\nTI  - Part\n{book}\n{ONE}PL  - England\n", FORMAT)
    )
    assert (whole.title, chapter.title) == ("A book", "Part")
    assert whole.metadata == {
        "pmid": "1",
        "editors": ["Lind E"],
        "publisher": "The Press",
        "place": "London",
        "isbn": "9781234567897",
    }
    assert chapter.metadata == {**whole.metadata, "pmid": "2", "book": "A book"}
    assert "place" not in article.metadata


def test_a_title_that_is_not_available() -> None:
    (document,) = documents(read("PMID- 1\nTI  - [Not Available].\nTT  - Titel.\n", FORMAT))
    assert document.title == "Titel."


def test_names_in_full_are_shortened() -> None:
    (document,) = documents(read(TWO + "FAU - Shi, Shi-Yuan\nFAU - Cher\n", FORMAT))
    assert document.metadata["authors"] == ["Shi SY", "Cher"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("PMID- ", "PMID-"),
        ("PMID- ", "PMID - "),
        ("TI  - ", "TI - "),
        ("  - ", "\t- "),
        ("  - ", "  -\t"),
    ],
)
def test_blanks_around_the_dash(old: str, new: str) -> None:
    assert documents(read(ONE.replace(old, new), FORMAT)) == documents(read(ONE, FORMAT))


MEDLARS = """UI  - 21234567
AU  - Miller A
TI  - Herons
DP  - 2010 Jan
TA  - Ponds

UI  - 97012345
AU  - Miller A
TI  - Moss
"""


def test_medlars() -> None:
    first, second = documents(read(MEDLARS, FORMAT))
    assert (first.id, first.metadata["pmid"], first.metadata["journal"]) == (
        "21234567",
        "21234567",
        "Ponds",
    )
    assert second.id == "UI:97012345"
    assert "pmid" not in second.metadata
    assert FORMAT.recognises(MEDLARS.encode())


@pytest.mark.parametrize(
    "line",
    [
        "AID - 10.1000/x [doi]",
        "LID - 10.1000/x[doi]",
        "AID - https://doi.org/10.1000/x",
        "SO  - Ponds. 2010;1:1. doi: 10.1000/x. Epub 2009",
    ],
)
def test_where_a_doi_is(line: str) -> None:
    (document,) = documents(read(f"{TWO}{line}\n", FORMAT))
    assert document.metadata["doi"] == "10.1000/x"


def test_another_identifier() -> None:
    (document,) = documents(read("TI  - T\nAID - 10.1000/x [doi]\n", FORMAT))
    assert (document.id, document.metadata["doi"]) == ("10.1000/x", "10.1000/x")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"PMID- 9\nDP  - 2001\n", "neither a title nor an abstract"),
        (b"PMID- 9\nTI  - a\0b\n", "NUL"),
        (b"PMID- 9\nTI  - caf\xe9\n", "not UTF-8 at byte 10 of line 31"),
        (b"PMID- 9\nTI  - T\nat the margin\n", "line 32 is not a field of MEDLINE"),
        (b"PMID- " + b"9" * 600 + b"\nTI  - T\n", "the PMID is not a number"),
        (b"PMID- PMC12\nTI  - T\n", "the PMID is not a number"),
        (b"1: J Foo. 2001\nno tags at all\n", "is not a field"),
    ],
)
def test_a_bad_record_costs_no_neighbour(record: bytes, reason: str) -> None:
    found = read(ONE.encode() + b"\n\n" + record + b"\n" + TWO.encode(), FORMAT)
    assert [document.id for document in documents(found)] == ["1", "2"]
    (refused,) = rejected(found)
    assert reason in refused.reason
    assert refused.place.line == 30


def test_escapes_are_data() -> None:
    (document,) = documents(read("PMID- 1\nTI  - \x1b[31mred\x07\n", FORMAT))
    assert document.title == "\x1b[31mred\x07"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_with_a_mark(encoding: str) -> None:
    text = ("" if "sig" in encoding or encoding == "utf-16" else "\ufeff") + ONE.replace("Two", "é")
    data = text.replace("\n", "\r\n").encode(encoding)
    assert documents(read(data, FORMAT)) == documents(read(ONE, FORMAT))
    assert FORMAT.recognises(data)


def test_damaged_utf16_costs_one_record() -> None:
    wrong = b"\xff\xfe" + "PMID- 9\nTI  - ".encode("utf-16-le") + b"\x00\xdc" + b"\n\0" * 2
    found = read(wrong + ONE.encode("utf-16-le"), FORMAT)
    assert [refused.reason for refused in rejected(found)] == ["not UTF-16 at byte 7 of line 2"]
    assert documents(found) == documents(read(ONE, FORMAT))


def test_a_record_without_end_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bioretrieval_tui.documents.readers.tagged.MAX_LINE_BYTES", 1000)
    for line in ("AB  - words\n", "      x\n"):
        found = read("PMID- 9\nTI  - T\n" + line * 50 + "\n" + TWO, FORMAT)
        assert "longer than 1,000" in rejected(found)[0].reason
        assert [document.id for document in documents(found)] == ["2"]


ERIC = """
OWN - ERIC
TI  - Herons in the classroom
AU  - Miller, Ada
AU  - Berg, Otto P.
OT  - Birds
JT  - Pond Teaching
SO  - v10 n1 p1-10 2000
AID - http://dx.doi.org/10.1000/ERIC.1
OID - EJ9000001
VI  - 10
DP  - 2000
LID - http://eric.ed.gov/?id=EJ9000001
AB  - Children drew herons.
ISSN - ISSN-0000-0000
EISSN - EISSN-0000-0000
EISSN- 0000-0000
PUBLISHER - Pond Press
LA  - English
PT  - Journal Articles

OWN - ERIC
TI  - Moss in the classroom
OID - ED9000002
DP  - 2001
PT  - Reports - Research

OWN - ERIC
TI  - Owls
LID - https://eric.ed.gov/?id=EJ9000003
ISBN- ISBN-978-1-2345-6789-7
"""


def test_eric() -> None:
    article, report, owls = documents(read(ERIC, FORMAT))
    assert [one.id for one in (article, report, owls)] == ["EJ9000001", "ED9000002", "EJ9000003"]
    assert article.metadata == {
        "authors": ["Miller A", "Berg OP"],
        "journal": "Pond Teaching",
        "year": 2000,
        "date": "2000",
        "doi": "10.1000/ERIC.1",
        "language": ["English"],
        "types": ["Journal Articles"],
        "keywords": ["Birds"],
        "volume": "10",
        "pages": "1-10",
    }
    assert FORMAT.recognises(ERIC.encode())


def test_a_record_without_a_known_number_has_a_made_id() -> None:
    first, second = documents(read("TI  - Herons\nDP  - 2001\n\nTI  - Moss\nDP  - 2001\n", FORMAT))
    assert first.id.startswith("made:")
    assert first.id != second.id


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("OAB - Publisher: Abstract available from the publisher.\nOABL- fre\n", ""),
        ("OAB - Publisher: Se contaron garzas.\nOABL- spa\n", "Se contaron garzas."),
        ("OAB - PIP: Herons were counted.\n", "Herons were counted."),
        ("OAB - plain-language-summary: Herons eat.\nOABL- eng\n", "Herons eat."),
        (
            "OAB - Publisher: Des h\u00e9rons.\nOABL- fre\nOAB - Publisher: Herons.\nOABL- eng\n",
            "Herons.",
        ),
        ("OAB - Publisher: R\u00e9sum\u00e9 disponible sur le site.\nOABL- fre\n", ""),
        ("OAB - Publisher: Garzas.\nOABL- spa\nAB  - Herons.\n", "Herons."),
        ("AB  - No abstract available.\n", ""),
    ],
)
def test_other_abstracts(lines: str, text: str) -> None:
    (document,) = documents(read(TWO + lines, FORMAT))
    assert document.text == text


@pytest.mark.parametrize(
    ("lines", "authors"),
    [
        (
            "FAU - Wang, Yan\nAU  - Wang Y\nAU  - Li X\nFAU - Wang, Ying\nAU  - Wang Y\n",
            ["Wang Y", "Li X", "Wang Y"],
        ),
        ("FAU - Wang, Yan\nFAU - Wang, Ying\n", ["Wang Y", "Wang Y"]),
        ("CN  - The Group A, B\nAU  - Kaya \u015e\n", ["The Group A, B", "Kaya \u015e"]),
        ("FAU - King, Martin Luther Jr\nAU  - King ML Jr\n", ["King ML Jr"]),
    ],
)
def test_every_author_is_kept_in_order(lines: str, authors: list[str]) -> None:
    (document,) = documents(read(TWO + lines, FORMAT))
    assert document.metadata["authors"] == authors


def test_substances_trials_and_links() -> None:
    lines = """PT  - Retracted Publication
RN  - 0 (Antitubercular Agents)
RN  - EC 1.1.1.1 (Alcohol Dehydrogenase (rat))
NM  - Some Syndrome
SI  - ClinicalTrials.gov/NCT00000418
SI  - GENBANK/AF123456
RIN - Lancet. 2010;375:445. PMID: 20137807
CIN - Lancet. 2011;1:1. PMID: 1
EIN - Lancet. 2004;363:750
AD  - One Institute.
AD  - Another.
"""
    (document,) = documents(read(TWO + lines, FORMAT))
    assert document.metadata == {
        "pmid": "2",
        "types": ["Retracted Publication"],
        "substances": ["Antitubercular Agents", "Alcohol Dehydrogenase (rat)"],
        "supplementary": ["Some Syndrome"],
        "trials": ["NCT00000418"],
        "databanks": ["GENBANK/AF123456"],
        "corrections": [
            "Retraction in PMID 20137807: Lancet. 2010;375:445",
            "Erratum in: Lancet. 2004;363:750",
        ],
        "affiliations": ["One Institute.", "Another."],
    }


# --- real samples, counted by other means


@pytest.mark.parametrize(
    "name", ["citations.nbib", *(f"biopython/Medline/pubmed_result{n}.txt" for n in (1, 2, 3))]
)
def test_real_exports(name: str) -> None:
    path = SAMPLES / name
    if not path.is_file():
        pytest.skip(f"no {name} beside this checkout")
    data = path.read_bytes()
    lines = data.split(b"\n")
    assert FORMAT.recognises(data[:65536])
    found = read_path(path, FORMAT)
    kept = documents(found)
    assert len(found) == len(kept) == sum(line.startswith(b"PMID- ") for line in lines)
    assert sum(bool(d.text) for d in kept) == sum(line.startswith(b"AB  - ") for line in lines)
    assert sum(len(d.metadata.get("authors", [])) for d in kept) >= len(kept)
    assert all(1900 < d.metadata["year"] < 2030 for d in kept)
    assert sum("vernacular_title" in d.metadata for d in kept) == data.count(b"\nTT  - ")
    assert sum("pmcid" in d.metadata for d in kept) == data.count(b"\nPMC - ")


# --- properties

words = st.text(
    st.characters(exclude_categories=["C", "Z", "No"], exclude_characters="<&"),
    min_size=1,
    max_size=8,
)
titles = st.lists(words, min_size=1, max_size=6).filter(lambda parts: said(" ".join(parts)))
records = st.lists(st.tuples(st.integers(1, 10**8), titles), max_size=5)


def written(given_: list[tuple[int, list[str]]], end: str) -> bytes:
    lines = []
    for pmid, parts in given_:
        lines += [f"PMID- {pmid}", f"TI  - {parts[0]}", *(f"      {p}" for p in parts[1:]), ""]
    return "".join(line + end for line in lines).encode()


@given(records, st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_is_read(given_: list[tuple[int, list[str]]], end: str) -> None:
    kept = documents(read(written(given_, end), FORMAT))
    assert [(d.id, d.title) for d in kept] == [(str(p), " ".join(parts)) for p, parts in given_]
