"""RIS and Web of Science text: dialects, edges of records, what is refused, any bytes."""

from __future__ import annotations

import pytest
from reader_help import (
    SAMPLES,
    documents,
    read,
    read_path,
    rejected,
)

from bioretrieval_tui.documents.detect import by_name

FORMAT = by_name("ris")

ONE = """TY  - JOUR
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


def test_every_field() -> None:
    (document,) = documents(read(ONE, FORMAT))
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
        ("AN  - A1\nDO  - 10.1000/x\nID  - 7\n", "A1"),
        ("DO  - 10.1000/x\nID  - 7\n", "10.1000/x"),
        ("ID  - 7\n", "7"),
    ],
)
def test_identifiers_in_order(held: str, identity: str) -> None:
    (document,) = documents(read(f"TY  - JOUR\nTI  - T\n{held}ER  - \n", FORMAT))
    assert document.id == identity


def test_a_made_id_is_of_title_and_year() -> None:
    def made(title: str, year: str) -> str:
        data = f"TY  - JOUR\nTI  - {title}\nPY  - {year}\nER  - \n"
        return documents(read(data, FORMAT))[0].id

    # Pinned: an index that was built yesterday must know the record again.
    assert made("A Mathematical Theory of Communication", "1948") == "made:ca50c2aeca46864c9ef7"
    assert made("A mathematical theory of communication", "1948/07//") == made(
        "A Mathematical Theory of Communication", "1948"
    )
    assert made("T", "2001") != made("T", "2002")


def test_lines_between_records_are_passed_over() -> None:
    found = read(f"Record #1 of 2\nProvider: x\n1.\n{ONE}\nRecord #2 of 2\n2.\n{ONE}end\n", FORMAT)
    assert [document.id for document in documents(found)] == ["123", "123"]
    assert not rejected(found)
    assert found[0].place.line == 4


def test_records_without_an_end() -> None:
    found = read("TY  - JOUR\nTI  - A\nTY  - BOOK\nTI  - B\n", FORMAT)
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
def test_a_bad_record_costs_no_neighbour(record: bytes, reason: str) -> None:
    found = read(ONE.encode() + record + ONE.encode(), FORMAT)
    assert len(documents(found)) == 2
    (refused,) = rejected(found)
    assert reason in refused.reason
    assert refused.place.line == 26


def test_a_field_that_looks_like_text_is_text() -> None:
    (document,) = documents(read("TY  - JOUR\nTI  - T\nAB  - a\nIL -6 rose\nER  -\n", FORMAT))
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
    assert FORMAT.recognises(data)
    found = read_path(path, FORMAT)
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
    assert not FORMAT.recognises(data)
    first, second = documents(read_path(path, by_name("wos")))
    assert (first.id, second.id) == ("WOS:000221807500019", "WOS:000221807500020")
    assert first.metadata["authors"] == ["Parkes-Loach PS", "Majeed AP", "Law CJ", "Loach PA"]
    assert second.metadata["date"] == "2004-06-08"
    assert second.metadata["pages"] == "7017-7027"
    assert "CRYSTAL-STRUCTURE" in first.metadata["keywords"]
