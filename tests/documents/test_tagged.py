"""MEDLINE, RIS and Web of Science text: fields, edges of records, dialects, rejected records."""

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

from bioretrieval_tui.documents.detect import by_name

FORMAT = by_name("medline")

ONE = """PMID- 1
OWN - NLM
DP  - 2003 Sep 15
TI  - A title that
      goes on.
PG  - 1-9
LID - S1-2 [pii]
LID - 10.1/x [doi]
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
        "doi": "10.1/x",
        "pmid": "1",
        "pmcid": "PMC5",
        "language": ["eng", "chi"],
        "types": ["Journal Article"],
        "mesh": ["Foo, Bar", "Humans", "Baz"],
        "mesh_major": ["Foo, Bar", "Baz"],
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
    whole, chapter = documents(
        read("PMID- 1\nBTI - A book\nAB  - x\n\nPMID- 2\nTI  - Part\nBTI - A book\n", FORMAT)
    )
    assert (whole.title, chapter.title) == ("A book", "Part")
    assert ("journal" in whole.metadata, chapter.metadata["journal"]) == (False, "A book")


def test_a_title_that_is_not_available() -> None:
    (document,) = documents(read("PMID- 1\nTI  - [Not Available].\nTT  - Titel.\n", FORMAT))
    assert document.title == "Titel."


def test_names_in_full_are_shortened() -> None:
    (document,) = documents(read(TWO + "FAU - Shi, Shi-Yuan\nFAU - Cher\n", FORMAT))
    assert document.metadata["authors"] == ["Shi SY", "Cher"]


def test_another_identifier() -> None:
    (document,) = documents(read("TI  - T\nAID - 10.1/x [doi]\n", FORMAT))
    assert (document.id, document.metadata["doi"]) == ("10.1/x", "10.1/x")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"TI  - No number\n", "neither a PMID nor a DOI"),
        (b"PMID- 9\nDP  - 2001\n", "neither a title nor an abstract"),
        (b"PMID- 9\nTI  - a\0b\n", "NUL"),
        (b"PMID- 9\nTI  - caf\xe9\n", "not UTF-8 at byte 10 of line 31"),
        (b"PMID- 9\nTI  - T\nat the margin\n", "line 32 is not a field of MEDLINE"),
        (b"PMID- " + b"9" * 600 + b"\nTI  - T\n", "longer than 512"),
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


def test_damaged_utf16_ends_the_file_and_is_reported() -> None:
    data = (ONE + "\n" + TWO + "\n").encode("utf-16-le") * 20
    found = read(b"\xff\xfe" + data + b"\x00\xdc\x00\xdc", FORMAT)
    assert "UTF-16" in rejected(found)[-1].reason


def test_a_record_without_end_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bioretrieval_tui.documents.readers.tagged.MAX_LINE_BYTES", 1000)
    for line in ("AB  - words\n", "      x\n"):
        found = read("PMID- 9\nTI  - T\n" + line * 50 + "\n" + TWO, FORMAT)
        assert "longer than 1,000" in rejected(found)[0].reason
        assert [document.id for document in documents(found)] == ["2"]


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

words = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)
records = st.lists(
    st.tuples(st.integers(1, 10**8), st.lists(words, min_size=1, max_size=6)), max_size=5
)


def written(given_: list[tuple[int, list[str]]], end: str) -> bytes:
    lines = []
    for pmid, parts in given_:
        lines += [f"PMID- {pmid}", f"TI  - {parts[0]}", *(f"      {p}" for p in parts[1:]), ""]
    return "".join(line + end for line in lines).encode()


@given(records, st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_is_read(given_: list[tuple[int, list[str]]], end: str) -> None:
    kept = documents(read(written(given_, end), FORMAT))
    assert [(d.id, d.title) for d in kept] == [(str(p), " ".join(parts)) for p, parts in given_]


RIS_FORMAT = by_name("ris")

RIS_ONE = """TY  - JOUR
AN  - 123
DB  - PubMed
TI  - A title
AB  - One line
and one at the margin

and one more.
AU  - Shannon,Claude E.
A1  - The Group
PY  - 1948/07//
JO  - J
JF  - The Journal
KW  - *first
KW  - second
DO  - https://doi.org/10.1000/x.
UR  - see http://a.example/1; http://b.example
C2  - PMC77
VL  - 1
IS  - 2
SP  - 3
EP  - 4
LA  - eng
ZZ  - unknown
ER  -
"""


def test_ris_every_field() -> None:
    (document,) = documents(read(RIS_ONE, RIS_FORMAT))
    assert (document.id, document.title) == ("123", "A title")
    assert document.text == "One line and one at the margin and one more."
    assert document.metadata == {
        "authors": ["Shannon CE", "The Group"],
        "journal": "The Journal",
        "year": 1948,
        "date": "1948-07",
        "doi": "10.1000/x",
        "pmid": "123",
        "pmcid": "PMC77",
        "url": "http://a.example/1",
        "language": ["eng"],
        "types": ["Journal Article"],
        "keywords": ["first", "second"],
        "volume": "1",
        "issue": "2",
        "pages": "3-4",
    }


@pytest.mark.parametrize(
    ("held", "identity"),
    [
        ("AN  - 2010123456\nDO  - 10.1000/X\nID  - 7\n", "10.1000/x"),
        ("AN  - 2010123456\nDB  - Embase\nID  - 7\n", "Embase:2010123456"),
        ("AN  - CN-01234567\nDB  - Cochrane\n", "CN-01234567"),
    ],
)
def test_identifiers_in_order(held: str, identity: str) -> None:
    (document,) = documents(read(f"TY  - JOUR\nTI  - T\n{held}ER  - \n", RIS_FORMAT))
    assert document.id == identity


def test_lines_between_records_are_passed_over() -> None:
    found = read(
        f"Record #1 of 2\nProvider: x\n1.\n{RIS_ONE}\nRecord #2 of 2\n2.\n{RIS_ONE}end\n",
        RIS_FORMAT,
    )
    assert [document.id for document in documents(found)] == ["123", "123"]
    assert not rejected(found)
    assert found[0].place.line == 4


def test_records_without_an_end() -> None:
    found = read("TY  - JOUR\nTI  - A\nTY  - BOOK\nTI  - B\n", RIS_FORMAT)
    assert [document.title for document in documents(found)] == ["A", "B"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"TY  - JOUR\nAU  - A\nER  - \n", "neither a title nor an abstract"),
        (b"TI  - T\nAU  - A\n", "outside of a record"),
        (b"TY  - JOUR\nTI  - a\0\nER  - \n", "NUL"),
        (b"TY  - JOUR\nTI  - caf\xe9\nER  - \n", "not UTF-8 at byte 10 of line 27"),
    ],
)
def test_ris_a_bad_record_costs_no_neighbour(record: bytes, reason: str) -> None:
    found = read(RIS_ONE.encode() + record + RIS_ONE.encode(), RIS_FORMAT)
    assert len(documents(found)) == 2
    (refused,) = rejected(found)
    assert reason in refused.reason
    assert refused.place.line == 26


def test_a_field_that_looks_like_text_is_text() -> None:
    (document,) = documents(read("TY  - JOUR\nTI  - T\nAB  - a\nIL -6 rose\nER  -\n", RIS_FORMAT))
    assert document.text == "a IL -6 rose"


# --- real samples, counted by other means

RIS_SAMPLES = sorted(
    path.name for path in SAMPLES.glob("rispy/*.ris") if path.name != "example_wos.ris"
) or ["none"]


@pytest.mark.parametrize("name", RIS_SAMPLES)
def test_rispy_samples(name: str) -> None:
    path = SAMPLES / "rispy" / name
    if not path.is_file():
        pytest.skip(f"no {name} beside this checkout")
    data = path.read_bytes()
    assert RIS_FORMAT.recognises(data)
    found = read_path(path, RIS_FORMAT)
    assert (
        len(found)
        == data.count(b"TY  - ")
        == sum(line.rstrip() == b"ER  -" for line in data.split(b"\n"))
    )
    reasons = {refused.reason for refused in rejected(found)}
    assert reasons <= {"the record has neither a title nor an abstract"}
    assert bool(reasons) == (name in {"example_bom.ris", "example_custom_list_tags.ris"})


def test_web_of_science_sample() -> None:
    path = SAMPLES / "rispy" / "example_wos.ris"
    if not path.is_file():
        pytest.skip("no example_wos.ris beside this checkout")
    data = path.read_bytes()
    assert by_name("wos").recognises(data)
    assert not RIS_FORMAT.recognises(data)
    first, second = documents(read_path(path, by_name("wos")))
    assert (first.id, second.id) == ("15170338", "15170339")
    assert first.metadata["authors"] == ["Parkes-Loach PS", "Majeed AP", "Law CJ", "Loach PA"]
    assert second.metadata["date"] == "2004-06-08"
    assert second.metadata["pages"] == "7017-7027"
    assert "CRYSTAL-STRUCTURE" in first.metadata["keywords"]
