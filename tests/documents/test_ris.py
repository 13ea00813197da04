"""RIS and Web of Science text: dialects, edges of records, identifiers, fields, bad records."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reader_help import SAMPLES, documents, file_of, read, read_path, rejected

from bioretrieval_tui.documents.detect import by_name, recognise
from bioretrieval_tui.documents.document import Skipped
from bioretrieval_tui.documents.source import SourceReader

FORMAT = by_name("ris")

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
    (document,) = documents(read(RIS_ONE, FORMAT))
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
    (document,) = documents(read(f"TY  - JOUR\nTI  - T\n{held}ER  - \n", FORMAT))
    assert document.id == identity


def test_lines_between_records_are_passed_over() -> None:
    found = read(
        f"Record #1 of 2\nProvider: x\n1.\n{RIS_ONE}\nRecord #2 of 2\n2.\n{RIS_ONE}end\n",
        FORMAT,
    )
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
        (b"C1  - 7\nAU  - A\n", "neither a title nor an abstract"),
        (b"TY  - JOUR\nTI  - a\0\nER  - \n", "NUL"),
        (b"TY  - JOUR\nTI  - caf\xe9\nER  - \n", "not UTF-8 at byte 10 of line 27"),
    ],
)
def test_ris_a_bad_record_costs_no_neighbour(record: bytes, reason: str) -> None:
    found = read(RIS_ONE.encode() + record + RIS_ONE.encode(), FORMAT)
    assert len(documents(found)) == 2
    (refused,) = rejected(found)
    assert reason in refused.reason
    assert refused.place.line == 26


def test_a_field_that_looks_like_text_is_text() -> None:
    (document,) = documents(read("TY  - JOUR\nTI  - T\nAB  - a\nIL -6 rose\nER  -\n", FORMAT))
    assert document.text == "a IL -6 rose"


THREE = """TY  - JOUR
TI  - Herons eat newts
AB  - We watched twelve ponds.
AU  - Miller, Ada
PY  - 2011
ER  -

TY  - JOUR
TI  - Moss on old walls
AU  - Berg, Otto
PY  - 2012
ER  -

TY  - BOOK
TI  - Owls over barley
PY  - 2013
ER  -
""".replace("ER  -", "ER  - ")


def _one(fields: str, kind: str = "JOUR") -> dict[str, object]:
    (document,) = documents(read(f"TY  - {kind}\nTI  - T\n{fields}ER  - \n", FORMAT))
    return {"id": document.id, "text": document.text, **document.metadata}


@pytest.mark.parametrize(
    "written",
    [
        THREE,
        THREE.replace("  - ", " - "),
        THREE.replace("  - ", "  -"),
        THREE.replace("  - ", " -"),
        THREE.replace("  - ", "- "),
        THREE.replace("  - ", "-"),
        THREE.replace("  - ", "   - "),
        THREE.replace("  - ", "  -  "),
        THREE.replace("  - ", "\t-\t"),
        THREE.replace("  - ", "\t- "),
        THREE.replace("  - ", " - ").replace("TY - ", "TY  - "),
        THREE.replace("  - ", "- ").replace("TY- ", "TY  - "),
        THREE.replace("PY  - 2011", "PY - 2011").replace("PY  - 2012", "PY - 2012"),
        THREE.replace("  - ", "\u00a0\u00a0-\u00a0"),
        THREE.replace("  - ", " \u00a0- "),
        THREE.replace("  - ", "  \u2013 "),
        THREE.replace("TY  - ", "TY  -"),
        THREE.replace("TY  - ", "TY - "),
        THREE.replace("TY  - JOUR", "TY  - Journal Article"),
        THREE.replace("  - ", " - ").replace("JOUR", "Journal Article"),
        THREE.replace("\n", "\n\r"),
        THREE.replace("ER  - ", "ER  -"),
        THREE.replace("ER  - ", "ER-"),
        THREE.replace("ER  - \n\n", "ER  - \nER  - \n"),
        THREE.replace("ER  - \n\n", "\n"),
        THREE.replace("ER  - \n\n", ""),
        THREE.replace("\n\n", "\n"),
        THREE.replace("\n", "\r"),
        THREE.replace("\n", "\r\n"),
        "".join(f" {line}" for line in THREE.splitlines(keepends=True)),
        "".join(f"\t{line}" for line in THREE.splitlines(keepends=True)),
        "\ufeff" + THREE,
        THREE.replace("TY", "\ufeffTY"),
        THREE.replace("\nTY  - JOUR\nTI  - M", "\nTY - JOUR\nTI - M").replace(
            "ER  - \n\nTY  - B", "ER - \n\nTY  - B"
        ),
        "\n\n1.\n" + THREE,
    ],
)
def test_blanks_and_ends_of_lines(written: str) -> None:
    found = read(written, FORMAT)
    kept = documents(found)
    assert [one.title for one in kept] == [
        "Herons eat newts",
        "Moss on old walls",
        "Owls over barley",
    ]
    assert kept[0].text == "We watched twelve ponds."
    assert [one.metadata["year"] for one in kept] == [2011, 2012, 2013]
    assert kept[1].metadata["authors"] == ["Berg O"]
    assert len(found) == 3
    assert FORMAT.recognises(written.encode())


CENTRAL = """TY  - JOUR
AN  - CN-01234567
AU  - Miller, A
TI  - Herons
JA  - Ponds
PY  - 2011
SP  - 123\u2010130
C3  - PUBMED 21234567,EMBASE 362312345,CTgov NCT01234567
M3  - Journal article
US  - https://www.cochranelibrary.example/central/doi/10.1002/central/CN-01234567/full
ER  -
"""


def test_ris_of_central() -> None:
    (document,) = documents(read(CENTRAL, FORMAT))
    assert document.metadata["journal"] == "Ponds"
    assert document.metadata["pages"] == "123-130"
    assert document.metadata["pmid"] == "21234567"
    assert document.metadata["trials"] == ["NCT01234567"]
    assert document.metadata["types"] == ["Journal Article"]
    (bare,) = documents(read(CENTRAL.replace("C3", "ZZ").replace("US", "UR"), FORMAT))
    assert (bare.id, bare.metadata.get("doi")) == ("CN-01234567", None)


OVID = """1.
TY  - JOUR
ID  - 20203152553
T1  - Herons
SP  - 110
ER  -

Link to the Ovid Full Text or citation: http://ovidsp.example/web?D=caba6&AN=20203152553Link to\
 the External Link Resolver: http://a.example/?rft_id=info:doi/&rft_id=info:pmid/&rft.issn=1

2.
TY  - JOUR
ID  - 21234567
T1  - Moss
UR  - http://ovidsp.example/ovidweb.cgi?T=JS&PAGE=fulltext&D=med5&AN=21234567
ER  -

3.
TY  - JOUR
ID  - 21234568
T1  - Owls
ER  -

Link to the Ovid Full Text or citation: http://ovidsp.example/web.cgi?D=medl&AN=21234568Link to\
 the External Link Resolver: http://a.example/?id=pmid:21234568&id=doi:10.1000%2Fowls&issn=1
"""


def test_ris_of_ovid() -> None:
    found = read(OVID, FORMAT)
    # The same digits are other records in other databases, and none is named.
    assert documents(found)[0].id.startswith("made:")
    assert [one.id for one in documents(found)[1:]] == ["21234567", "21234568"]
    assert len(found) == 3
    owls = documents(found)[2].metadata
    assert owls["doi"] == "10.1000/owls"
    assert owls["url"] == "http://ovidsp.example/web.cgi?D=medl&AN=21234568"


EBSCO = """TY  - JOUR
T1  - Herons
JF  - Ponds
M3  - Article
AB  - Herons eat newts. [ABSTRACT FROM AUTHOR]
AB  - Copyright of Ponds is the property of Pond Press and its content may not be copied or
emailed to multiple sites. (Copyright applies to all Abstracts.)
N1  - Accession Number: 117372971; Miller, Ada 1,2; Document Type: Article
L3  - http://a.example/1
DP  - EBSCOhost
DB  - Academic Search Premier
ER  -
"""


def test_ris_of_ebsco() -> None:
    (document,) = documents(read(EBSCO, FORMAT))
    assert document.text == "Herons eat newts."
    assert document.id == "Academic Search Premier:117372971"
    medline = EBSCO.replace("Academic Search Premier", "MEDLINE").replace("117372971", "21234567")
    assert [one.id for one in documents(read(medline, FORMAT))] == ["21234567"]


WORKS = [("Herons eat newts", "IL-6 rose."), ("Moss on walls", ""), ("Owls", "AD - x")]
dialects = st.fixed_dictionaries(
    {
        "dash": st.sampled_from(
            ["  - ", " - ", "  -", " -", "- ", "-", "\t- ", "\u00a0\u00a0- ", "  \u2013 "]
        ),
        "indent": st.sampled_from(["", " ", "\t"]),
        "end": st.sampled_from(["\n", "\r\n", "\r", "\n\r"]),
        "type_at": st.sampled_from([0, 1, 3, None]),
        "ends": st.integers(0, 2),
        "between": st.sampled_from(["", "\n", "\n\n1.\n"]),
    }
)


@given(dialects)
def test_any_dialect(dialect: dict[str, object]) -> None:
    at, ends, between = dialect["type_at"], dialect["ends"], dialect["between"]
    if not ends and (between == "" or "1" in str(between)) and at != 0:
        return  # nothing parts the records
    written = ""
    for title, text in WORKS:
        lines = [("TI", title), ("AU", "Miller, A."), ("PY", "2011"), ("AB", text)]
        if isinstance(at, int):
            lines.insert(at, ("TY", "JOUR"))
        lines += [("ER", "")] * int(str(ends))
        for tag, value in lines:
            written += f"{dialect['indent']}{tag}{dialect['dash']}{value}\n"
        written += str(between)
    found = read(written.replace("\n", str(dialect["end"])), FORMAT)
    assert [(one.title, one.text) for one in documents(found)] == WORKS
    assert len(found) == len(WORKS)


MIXED = """TY  - JOUR
TI  - Herons
AB  - Text with
IL-6 - raised
AD - Alzheimer's disease
CD -4 and
ER-positive tumours
ER
AB12 - x
      AU - MD9 mutations
ER  -
"""


def test_lines_of_text_are_no_fields() -> None:
    (document,) = documents(read(MIXED, FORMAT))
    assert document.text.startswith(
        "Text with IL-6 - raised AD - Alzheimer's disease CD -4 and ER-p"
    )
    assert document.text.endswith("AU - MD9 mutations")
    assert "affiliations" not in document.metadata


WRAPPED = """TY  - JOUR
TI  - Herons
AB  - We acquired images with
T2 - weighted and
T1 - weighted sequences from the
PY - 2011 cohort;
DO - not resuscitate
KW  - T1 - weighted
T2 - weighted
AU  - Miller, A.
ER  -
"""


@pytest.mark.parametrize("written", [WRAPPED, WRAPPED + "\n" + WRAPPED])
def test_wrapped_lines_are_no_fields(written: str) -> None:
    for document in documents(read(written, FORMAT)):
        assert document.text.endswith("T1 - weighted sequences from the PY - 2011 cohort; DO - not"
                                      " resuscitate")  # fmt: skip
        assert document.metadata == {
            "authors": ["Miller A"],
            "types": ["Journal Article"],
            "keywords": ["T1 - weighted", "T2 - weighted"],
        }


@pytest.mark.parametrize(
    ("line", "identity"),
    [
        ("PMID  - 12345678", "12345678"),
        ("PMID- 12345678", "12345678"),
        ("PMCID  - PMC1234567", "PMC1234567"),
        ("DOI  - 10.1000/a4", "10.1000/a4"),
        ("UI  - 123", None),
        ("UI  - 12345678", None),
        ("OWN - NLM", None),
        ("STAT- MEDLINE", None),
        ("DCOM- 20110304", None),
        ("N1  - a note\n<1. >\nVN  - Ovid Technologies\nDB  - Ovid", None),
        ("N1  - a note\nPT J\nAU Miller, A", None),
        ("NOTES  - of no meaning", None),
    ],
)
def test_lines_of_other_formats(line: str, identity: str | None) -> None:
    text = f"TY  - JOUR\nTI  - Herons\nAB  - Newts.\n{line}\nER  - \n"
    with file_of(text.encode()) as path, SourceReader(path) as source:
        assert recognise(source).name == "ris"
    (document,) = documents(read(text, FORMAT))
    assert (document.title, document.text) == ("Herons", "Newts.")
    assert document.id == identity or (identity is None and document.id.startswith("made:"))


@pytest.mark.parametrize("dash", ["  - ", " - ", "- "])
@pytest.mark.parametrize("written", [str.lower, str.title])
def test_tags_in_small_letters(dash: str, written: Callable[[str], str]) -> None:
    fields = ["TY JOUR", "TI A", "AU B, C", "AB in\nin-vitro", "ER ", "TY BLOG", "TI B"]
    text = "".join(f"{written(one[:2])}{dash}{one[3:]}\n" for one in fields)
    assert FORMAT.recognises(text.encode())
    first, second = documents(read(text, FORMAT))
    assert (first.title, first.text, second.title) == ("A", "in in-vitro", "B")
    assert (first.metadata["authors"], second.metadata["types"]) == (["B C"], ["Blog"])


@pytest.mark.parametrize(
    "written",
    [
        "DB  - X\nTI  - A\nTY  - JOUR\nPY  - 1\nER  - \n\nDB  - X\nTI  - B\nTY  - JOUR\nER  - \n",
        "DB  - X\nTI  - A\nTY  - JOUR\nER  - \nDB  - X\nTI  - B\nTY  - JOUR\nER  - \n",
        "C1  - 1\nTI  - A\nPY  - 2011\nER  - \n\nC1  - 2\nTI  - B\nER  - \n",
        "TI  - A\nTY  - JOUR\n\nTI  - B\nTY  - JOUR\n",
        "TI  - A\nTY  - JOUR\nTI  - B\nTY  - JOUR\n",
        "T1  - A\nTY  - JOUR\nPY  - 2011\nT1  - B\nTY  - JOUR\n",
        "TY  - JOUR\nTI  - A\nER  - \nNL  - http://a.example/1\n\nTY  - JOUR\nTI  - B\nER  - \n",
        "TY  - JOUR\nTI  - A\nER  - \n\nNL  - x\n\n\nTY  - JOUR\nTI  - B\nER  - \n\nNL  - x\n",
        "TI  - A\nAU  - M\n\nTI  - B\nAU  - N\n",
        "TI  - A\nER  - \nTY  - JOUR\nTI  - B\n",
        "TY  - JOUR\nTI  - A\nER  - \nTI  - B\nER  - \n",
        "TI  - A\nPY  - 2011\n\nTY  - JOUR\nTI  - B\nER  - \n",
    ],
)
def test_records_without_a_type_first(written: str) -> None:
    found = read(written, FORMAT)
    assert [one.title for one in documents(found)] == ["A", "B"]
    assert len(found) == 2


def test_fields_of_a_record_without_type_are_not_those_of_the_next() -> None:
    first, stray, last = documents(
        read("TY  - BOOK\nTI  - A\nER  - \nTI  - B\nTY  - JOUR\nTI  - C\nER  - \n", FORMAT)
    )
    assert [one.title for one in (first, stray, last)] == ["A", "B", "C"]
    assert "types" not in stray.metadata


def test_text_between_records_is_told() -> None:
    found = read(f"Herons, by Miller.\nABST  - Abstract\n{THREE}TI Moss\n", FORMAT)
    told = [item for item in found if isinstance(item, Skipped)]
    assert [(one.place.line, one.reason) for one in told] == [
        (1, "text between records: Herons, by Miller."),
        (20, "text between records: TI Moss"),
    ]


@pytest.mark.parametrize(
    "field",
    [
        "DO  - https://doi.org/10.1000/Pond.1",
        "DI  - 10.1000/Pond.1",
        "L3  - 10.1000/Pond.1",
        "M3  - doi: 10.1000/Pond.1",
        "N1  - doi: 10.1000/Pond.1",
        "N1  - 10.1000/Pond.1",
        "N1  - 1473-5598\nMiller, Ada\nJournal Article\nPonds. doi: 10.1000/Pond.1. Epub 2010",
        "N1  - DOI: 10.1000/Pond.1; Comment in: Ponds. doi: 10.1000/other",
        "N1  - doi:10.1000/Pond.1 References: Berg, doi: 10.1000/other",
        "UR  - http://dx.doi.org/10.1000/Pond.1",
        "UR  - https://www.scopus.com/inward/record.uri?eid=2-s2.0-1&doi=10.1000%2fPond.1&md5=a",
        "UR  - https://link.example.org/article/10.1000/Pond.1",
        "L2  - https://doi.org/10.1000/Pond.1",
        "LK  - https://doi.org/10.1000/Pond.1",
        "C2  - 10.1000/Pond.1",
        "C5  - DOI 10.1000/Pond.1",
        "C7  - 10.1000/Pond.1",
        "AN  - 10.1000/Pond.1",
        "ID  - 10.1000/Pond.1",
        "U1  - 10.1000/Pond.1[doi]",
        "U2  - https://doi.org/10.1000/Pond.1",
        "C1  - Article; DOI: 10.1000/Pond.1",
        "M1  - 10.1000/Pond.1",
        "L1  - https://a.example/pdf/10.1000/Pond.1",
    ],
)
def test_where_a_doi_is(field: str) -> None:
    found = _one(f"{field}\nID  - 7\n")
    assert (found["doi"], found["id"]) == ("10.1000/Pond.1", "10.1000/pond.1")


@pytest.mark.parametrize(
    "field",
    [
        "N1  - References: Berg, https://doi.org/10.1000/a; Lind, doi: 10.1000/b",
        "N1  - Comment on: Ponds. 2010;1:1. doi: 10.1000/a",
        "N1  - doi: 10.1000/a and doi: 10.1000/b",
        "AB  - As shown (doi: 10.1000/a).",
        "M1  - Andres, PG (1999). Ponds. J Birds, 1, 2-3. http://dx.doi.org/10.1000/a",
        "M1  - Andres, PG (1999). Ponds. doi: 10.1000/a; Berg, O (2000). doi: 10.1000/b",
        "C1  - Berg O. Walls. Moss. 2001;3:1. PMID: 7. doi: 10.1000/a",
        "M1  - 10.1000/a 10.1000/b",
        "M1  - Andres 1999 Ponds http://dx.doi.org/10.1000/a",
        "U1  - as in Berg, http://dx.doi.org/10.1000/a",
        "M3  - Article",
    ],
)
def test_dois_of_other_works(field: str) -> None:
    assert "doi" not in _one(f"{field}\n")


@pytest.mark.parametrize(
    "fields",
    [
        "AN  - 21234567\nDB  - PubMed\n",
        "AN  - 21234567\nDP  - NLM\n",
        "AN  - 21234567\nDB  - Ovid MEDLINE(R)\n",
        "AN  - 21234567\nDB  - cmedm\nDP  - EBSCOhost\n",
        "AN  - 1234567890; 21234567\nDB  - MEDLINE\nDP  - ProQuest\n",
        "AN  - PMID:21234567\nDB  - Embase\n",
        "AN  - MEDLINE:21234567\n",
        "ID  - 21234567\nDB  - PubMed\n",
        "PM  - 21234567\n",
        "C2  - 21234567\nDB  - Scopus\n",
        "C5  - 21234567\nU2  - L2001234567\nDB  - Embase\n",
        "C2  - PMID: 21234567\n",
        "C3  - PUBMED 21234567,EMBASE 362312345\nAN  - CN-01234567\n",
        "C7  - PubMed ID: 21234567\n",
        "U1  - 21234567[pmid]\n",
        "N1  - PMID: 21234567\n",
        "N1  - From Duplicate 1 (T - Miller) PMID: 21234567 Cited by: PMID: 3\n",
        "UR  - https://pubmed.ncbi.nlm.nih.gov/21234567/\n",
        "UR  - http://www.ncbi.nlm.nih.gov/pubmed/21234567\n",
        "UR  - https://www.ncbi.nlm.nih.gov/pubmed/?term=21234567\n",
        "L2  - https://europepmc.org/article/MED/21234567\n",
        "UR  - http://search.example/login.aspx?direct=true&db=cmedm&AN=21234567&site=live\n",
    ],
)
def test_where_a_pmid_is(fields: str) -> None:
    found = _one(f"{fields}DO  - 10.1000/x\n")
    assert (found["pmid"], found["id"]) == ("21234567", "21234567")


@pytest.mark.parametrize(
    "fields",
    [
        "AN  - 2012345678\nDB  - Embase\n",
        "AN  - 21234567\nDB  - PsycINFO\n",
        "AN  - 21234567\nDB  - PubMed Central\n",
        "C7  - 21234567\n",
        "ID  - 21234567\n",
        "N1  - Comment in: Ponds. PMID: 21234567\n",
        "N1  - PMID: 1 PMID: 2\n",
    ],
)
def test_numbers_that_are_no_pmid(fields: str) -> None:
    assert "pmid" not in _one(f"{fields}DO  - 10.1000/x\n")


@pytest.mark.parametrize(
    "field",
    [
        "C2  - PMC3040763",
        "AN  - PMC3040763[pmcid]",
        "N1  - PMCID: PMC3040763",
        "UR  - https://www.ncbi.nlm.nih.gov/pmc/articles/PMC3040763/",
    ],
)
def test_where_a_pmc_id_is(field: str) -> None:
    assert _one(f"{field}\n")["pmcid"] == "PMC3040763"


@pytest.mark.parametrize(
    ("fields", "identity"),
    [
        ("ID  - CN-01234567\n", "CN-01234567"),
        ("U2  - L2001234567\nDB  - Embase\n", "L2001234567"),
        ("ID  - pub.1012345678\n", "pub.1012345678"),
        ("AN  - WOS:000123456700001\n", "WOS:000123456700001"),
        ("AN  - 62000001; EJ9000001\nDB  - ERIC\nDP  - ProQuest\n", "EJ9000001"),
        ("AN  - eric-EJ9000001\nDP  - EBSCOhost\n", "EJ9000001"),
        ("UR  - https://clinicaltrials.gov/study/NCT01234567\n", "NCT01234567"),
        ("M3  - NCT01234567\nDB  - ClinicalTrials.gov\n", "NCT01234567"),
        ("N1  - L2001234567\n2024-04-01\nDB  - Embase\n", "L2001234567"),
        ("ID  - S0073-47212018000100221-scl\n", "S0073-47212018000100221-scl"),
        ("ID  - NCT01234567\nDP  - ClinicalTrials.gov\n", "NCT01234567"),
        (
            "UR  - https://www.scopus.com/inward/record.uri?eid=2-s2.0-85012345&md5=a\n",
            "2-s2.0-85012345",
        ),
    ],
)
def test_numbers_of_databases(fields: str, identity: str) -> None:
    assert _one(fields)["id"] == identity


@pytest.mark.parametrize(
    "counter", ["ID  - 1", "AN  - 17", "U1  - 3", "ID  - rayyan-12345", "C1  - 1"]
)
def test_counters_are_no_ids(counter: str) -> None:
    assert str(_one(f"{counter}\n")["id"]).startswith("made:")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ("AB  - First.\nAB  - Second.\n", "First. Second."),
        ("N2  - First.\n", "First."),
        ("AB  - First.\nN2  - First.\n", "First."),
        ("AB  - First.\nN2  - Second.\n", "First. Second."),
        ("AB  - The first sent...\nN2  - The first sentence.\n", "The first sentence."),
        ("N1  - Abstract: First.\n", "First."),
        ("AB  - First.\nN1  - Abstract: Other.\n", "First."),
        ("AB  - [No abstract available]\n", ""),
        ("AB  - <p>First <b>word</b></p><p>p &lt; 0.001</p>\n", "First word p < 0.001"),
        ("AB  - p < 0.001 and n > 5; a <b and c> d\n", "p < 0.001 and n > 5; a <b and c> d"),
        ("AB  - Text. (PsycINFO Database Record (c) 2019 APA, all rights reserved)\n", "Text."),
        (
            "AB  - Text. PsycInfo Database Record (c) 2021, all reserved (journal abstract)\n",
            "Text.",
        ),
        ("AB  - Text. \u00a9 2020 The Author(s). Published by Pond Press Ltd.\n", "Text."),
        ("AB  - Text. Copyright \u00a9 2020, Pond Press. All rights reserved.\n", "Text."),
        ("AB  - \u00a9 2020 The Author(s). Text.\n", "Text."),
        ("AB  - \u00a9 2015 Pond Ltd. All rights reserved. Text.\n", "Text."),
        ("AB  - The sign \u00a9 2020 is text.\n", "The sign \u00a9 2020 is text."),
        ("AB  - 10<sup>&minus;3</sup> 10<sup>&#8722;4</sup>\n", "10^-3 10^-4"),
        ("AB  - 10&lt;sup&gt;&amp;minus;3&lt;/sup&gt; m<sup>&minus;2</sup>\n", "10^-3 m-2"),
        ("AB  - 10<sup>5</sup> &amp;lt;i&amp;gt;Rana&amp;lt;/i&amp;gt;\n", "10^5 Rana"),
    ],
)
def test_abstracts(fields: str, text: str) -> None:
    assert _one(fields)["text"] == text


def test_markup_is_no_text() -> None:
    (document,) = documents(
        read(
            "TY  - JOUR\nTI  - Effect of CO<inf>2</inf> on <i>Rana</i> &amp; newts\n"
            "JO  - Ponds &amp; Walls\nKW  - <i>Rana</i>; *CO<sub>2</sub>\nER  - \n",
            FORMAT,
        )
    )
    assert document.title == "Effect of CO2 on Rana & newts"
    assert document.metadata["journal"] == "Ponds & Walls"
    assert document.metadata["keywords"] == ["Rana", "CO2"]


@pytest.mark.parametrize(
    ("lines", "authors"),
    [
        ("AU  - Miller, A.\nAU  - Berg, O. P.\n", ["Miller A", "Berg OP"]),
        (
            "AU  - Zhang, Yiwen\nAU  - Guo, Yuming\nAU  - Zhang, Ying\n",
            ["Zhang Y", "Guo Y", "Zhang Y"],
        ),
        ("AU  - Miller A., Berg O.P.\n", ["Miller A", "Berg OP"]),
        ("AU  - Miller, A.; Berg, O.-P.\n", ["Miller A", "Berg OP"]),
        ("AU  - Miller, A., Berg, O. P.\n", ["Miller A", "Berg OP"]),
        ("AU  - A. B. Miller\nAU  - O. van der Berg\n", ["Miller AB", "van der Berg O"]),
        ("AU  - Miller, Ada B., Jr\nAU  - King, Jr., Martin L.\n", ["Miller AB Jr", "King ML Jr"]),
        ("AU  - The Pond Group,\nAU  - et al\n", ["The Pond Group"]),
        ("AU  - Miller, Ada\nAU  - And Others\n", ["Miller A"]),
        ("AU  - Miller, Ada\nBerg, Otto\n", ["Miller A", "Berg O"]),
        ("A1  - \u015eahin, \u015e.\nAU  - \u5f20\u4e09\n", ["\u015eahin \u015e", "\u5f20\u4e09"]),
    ],
)
def test_names(lines: str, authors: list[str]) -> None:
    assert _one(lines)["authors"] == authors


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (
            "CHAP",
            "T2  - A book\nA2  - Editor, Ed\nPB  - Press\nCY  - Bern\nSN  - 978-1-2345-6789-7\n",
            {
                "types": ["Book Chapter"],
                "book": "A book",
                "editors": ["Editor E"],
                "publisher": "Press",
                "place": "Bern",
                "isbn": "978-1-2345-6789-7",
            },
        ),
        (
            "BOOK",
            "A2  - Editor, Ed\nT2  - A series\n",
            {"types": ["Book"], "editors": ["Editor E"]},
        ),
        ("BOOK", "A3  - Editor, Ed\n", {"types": ["Book"], "editors": ["Editor E"]}),
        ("EDBOOK", "AU  - Editor, Ed\n", {"types": ["Book"], "editors": ["Editor E"]}),
        ("CONF", "T2  - Proceedings\n", {"types": ["Conference Paper"], "book": "Proceedings"}),
        ("UNPB", "T2  - bioRxiv\n", {"types": ["Preprint"], "journal": "bioRxiv"}),
        ("ABST", "JO  - Ponds\n", {"types": ["Abstract"], "journal": "Ponds"}),
        ("THES", "PB  - University\n", {"types": ["Thesis"], "school": "University"}),
        ("THES", "A3  - Supervisor, S\n", {"types": ["Thesis"]}),
        ("CHAP", "BT  - A book\nT2  - A series\n", {"types": ["Book Chapter"], "book": "A book"}),
        ("JOUR", "A2  - Andres, Bucchianeri, Calvete\n", {"types": ["Journal Article"]}),
        ("JOUR", "ED  - Ed, E\n", {"types": ["Journal Article"], "editors": ["Ed E"]}),
        ("SER", "", {"types": ["Serial"]}),
        ("STAND", "", {"types": ["Standard"]}),
        ("VIDEO", "", {"types": ["Video"]}),
        ("MANSCPT", "", {"types": ["Manuscript"]}),
        ("RPRT", "PB  - WHO\n", {"types": ["Report"], "publisher": "WHO"}),
        (
            "JOUR",
            "T2  - Ponds\nPB  - Press\nM3  - Review\n",
            {"types": ["Journal Article", "Review"], "journal": "Ponds"},
        ),
        (
            "JOUR",
            "M3  - Article\nN1  - Retracted Publication\n",
            {"types": ["Journal Article", "Retracted Publication"]},
        ),
    ],
)
def test_kinds_of_works(kind: str, fields: str, expected: dict[str, object]) -> None:
    found = _one(fields, kind)
    assert {name: value for name, value in found.items() if name not in ("id", "text")} == expected


@pytest.mark.parametrize(
    ("fields", "pages"),
    [
        ("SP  - 1\nEP  - 9\n", "1-9"),
        ("SP  - 123-8\n", "123-8"),
        ("SP  - 123-128\nEP  - 128\n", "123-128"),
        ("SP  - pp. 3\u20134\n", "3-4"),
        ("SP  - e0815\nEP  - \n", "e0815"),
        ("SP  - 5\nEP  - 5\n", "5"),
        ("C7  - 1722034\n", "1722034"),
        ("C7  - PMC1234567\n", None),
        ("SP  - No-Specified\nEP  - No-Specified\n", None),
        ("SP  - No Pagination Specified\n", None),
        ("SP  - NA\nEP  - NA\n", None),
        ("SP  - 105685-105685\n", "105685"),
        ("SP  - pp.  20\n", "20"),
        ("SP  - 3-\n", "3"),
    ],
)
def test_pages(fields: str, pages: str | None) -> None:
    assert _one(fields).get("pages") == pages


@pytest.mark.parametrize(
    ("written", "number"),
    [("v. 40", "40"), ("Vol 40", "40"), ("NA", None), ("n/a", None), ("Suppl 1", "Suppl 1"),
     ("No. 3", "3"), ("N12", "N12")],
)  # fmt: skip
def test_numbers_of_volumes_and_issues(written: str, number: str | None) -> None:
    found = _one(f"VL  - {written}\nIS  - {written}\n")
    assert (found.get("volume"), found.get("issue")) == (number, number)


@pytest.mark.parametrize(
    ("fields", "date"),
    [
        ("Y1  - 2011/03/04/\n", "2011-03-04"),
        ("PY  - 2011\nDA  - 2011/03/04/\n", "2011-03-04"),
        ("PY  - 2011\nDA  - Mar 4\n", "2011-03-04"),
        ("PY  - 2011\nDA  - 2010/12/31\n", "2011"),
        ("Y1  - 2010/01//Jan2010\n", "2010-01"),
        ("PY  - 2011///Spring\n", "2011"),
        ("PY  - 2011\nY1  - Dec. 2011\n", "2011-12"),
        ("DA  - 4 March 2011\n", "2011-03-04"),
        ("DA  - March 4th, 2011\n", "2011-03-04"),
    ],
)
def test_dates(fields: str, date: str) -> None:
    assert _one(fields)["date"] == date


def test_trials_affiliations_and_retractions() -> None:
    found = _one(
        "AN  - CN-01234567\nC3  - CTgov NCT01234567\nSI  - ISRCTN12345678\nAD  - One.\nTwo.\n"
        "LA  - English; French\nN1  - Journal Article Retraction in: Lancet. 2010;375:445."
        " PMID: 20137807; Comment in: x\n"
    )
    assert found["id"] == "CN-01234567"
    assert found["trials"] == ["NCT01234567", "ISRCTN12345678"]
    assert found["affiliations"] == ["One.", "Two."]
    assert found["language"] == ["English", "French"]
    assert found["corrections"] == ["Retraction in PMID 20137807: Lancet. 2010;375:445"]
    assert "pmid" not in found


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


WOS = """PT J
AU Zhang, Y
   Zhang, Y
   Miller, A.B.
TI Herons &amp; newts
SO PONDS
AB First.
C1 [Zhang, Y] One.
   [Miller, AB] Two.
AR e12
PD DEC
PY 2011
PM 21234567
UT WOS:000123456700001
ER

PT B
AU Lind, E
BE Editor, E
TI A chapter
SO A book
PU Pond Press
PI BERN
UT MEDLINE:21234568
ER
EF
"""


def test_web_of_science() -> None:
    article, chapter = documents(read(WOS, by_name("wos")))
    assert by_name("wos").recognises(WOS.encode())
    assert (article.title, article.id) == ("Herons & newts", "21234567")
    assert article.metadata == {
        "authors": ["Zhang Y", "Zhang Y", "Miller AB"],
        "journal": "PONDS",
        "year": 2011,
        "date": "2011-12",
        "pmid": "21234567",
        "affiliations": ["[Zhang, Y] One.", "[Miller, AB] Two."],
        "pages": "e12",
    }
    assert chapter.metadata == {
        "authors": ["Lind E"],
        "editors": ["Editor E"],
        "book": "A book",
        "publisher": "Pond Press",
        "place": "BERN",
        "pmid": "21234568",
    }


@pytest.mark.parametrize(
    ("lines", "name", "value"),
    [
        ("PD DEC 16 2020", "date", "2020-12-16"),
        ("PD 2020-Dec", "date", "2020-12"),
        ("PY 2020\nPD DEC 16", "date", "2020-12-16"),
        ("PY 2020\nPD 2019-Dec", "date", "2020"),
        ("PS 2457-71", "pages", "2457-71"),
        ("BP 5\nEP 9\nPS 5-9", "pages", "5-9"),
        ("ID 0003-6951/2006/$23.00],[S0003-6951(06)22430-6],[10.1000/x.1]", "doi", "10.1000/x.1"),
        ("ID HERONS; NEWTS", "keywords", ["HERONS", "NEWTS"]),
        (
            "C1 Pond Univ, Dept Birds,\n   Bern, Land.\n   Wall Univ, Rome.",
            "affiliations",
            ["Pond Univ, Dept Birds, Bern, Land.", "Wall Univ, Rome."],
        ),
        ("C1 Pond\n   Lab., Zurich, Land", "affiliations", ["Pond Lab., Zurich, Land"]),
        ("C1 [A, B] One\n   [C, D] Two", "affiliations", ["[A, B] One", "[C, D] Two"]),
    ],
)
def test_lines_of_web_of_science(lines: str, name: str, value: object) -> None:
    (document,) = documents(read(f"PT J\nAU B, C\nTI A\n{lines}\nER\n", by_name("wos")))
    assert document.metadata[name] == value


def test_web_of_science_sample() -> None:
    path = SAMPLES / "rispy" / "example_wos.ris"
    if not path.is_file():
        pytest.skip("no example_wos.ris beside this checkout")
    data = path.read_bytes()
    assert by_name("wos").recognises(data)
    assert not FORMAT.recognises(data)
    first, second = documents(read_path(path, by_name("wos")))
    assert (first.id, second.id) == ("15170338", "15170339")
    assert first.metadata["authors"] == ["Parkes-Loach PS", "Majeed AP", "Law CJ", "Loach PA"]
    assert second.metadata["date"] == "2004-06-08"
    assert second.metadata["pages"] == "7017-7027"
    assert "CRYSTAL-STRUCTURE" in first.metadata["keywords"]


def test_given_names_first() -> None:
    record = "TY  - JOUR\nTI  - Herons\nAU  - Ada B. Miller\nAU  - Otto van Berg\nER  - \n"
    (document,) = documents(read(record, FORMAT))
    assert document.metadata["authors"] == ["Miller AB", "van Berg O"]


def test_a_type_beside_that_of_the_tag() -> None:
    record = "TY  - JOUR\nTI  - Herons\nM3  - Article; Proceedings paper\nER  - \n"
    (document,) = documents(read(record, FORMAT))
    assert document.metadata["types"] == ["Journal Article", "Conference Paper"]
