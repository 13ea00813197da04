"""Identifiers in one form, and the ids of records."""

from __future__ import annotations

import pytest

from bioretrieval_tui.documents.identity import (
    doi_of,
    identify,
    listed,
    made_identifier,
    noted_identifiers,
    pmcid_of,
    pmid_of,
    trials_of,
)

SICI = "10.1002/(SICI)1097-0258(19980815/30)17:15/16<1661::AID-SIM968>3.0.CO;2-2"
LANCET = "10.1016/S0140-6736(05)67889-2"


@pytest.mark.parametrize(
    ("text", "doi"),
    [
        ("10.1000/x", "10.1000/x"),
        ("doi:10.1000/x.", "10.1000/x"),
        ("https://dx.doi.org/10.1000/J.Pond?via=ihub#s1", "10.1000/J.Pond"),
        ("(doi: 10.1000/x)", "10.1000/x"),
        ("<10.1000/x>, seen", "10.1000/x"),
        ("\u201c10.1000/x\u201d", "10.1000/x"),
        (SICI, SICI),
        (f"({SICI});", SICI),
        (SICI.replace("<", "&lt;").replace(">", "&gt;"), SICI),
        (
            f"https://doi.org/{SICI.replace('<', '%3C').replace('>', '%3E')}",
            SICI,
        ),
        ("https://doi.org/10.1002%2Fsim.968", "10.1002/sim.968"),
        (LANCET, LANCET),
        (f"see {LANCET}).", LANCET),
        ("10.1000/a;10.1000/b", "10.1000/a"),
        ("10.1000/a,PMID:12", "10.1000/a"),
        ("10.1000/a;12345678", "10.1000/a"),
        ("https://www.frontiersin.org/articles/10.3389/fnins.2020.1/full", "10.3389/fnins.2020.1"),
        ("https://link.example.org/content/pdf/10.1007/s1-2.pdf", "10.1007/s1-2"),
        ("10.1000.10/123", "10.1000.10/123"),
        ("[10.1000/x(1)](https://doi.org/10.1000/x(1))", "10.1000/x(1)"),
        ("https://www.example.org/cdsr/doi/10.1000/x.pub2/full", "10.1000/x.pub2"),
        (
            f"https://www.example.org/doi/{SICI.replace('<', '%3C').replace('>', '%3E')}/abstract",
            SICI,
        ),
        (
            "10.1577/1548-8659(1983)112<1:NDOTM>2.0.CO;2",
            "10.1577/1548-8659(1983)112<1:NDOTM>2.0.CO;2",
        ),
        ("10.1890/0012(2002)083[1771:X]2.0.CO;2;12345678", "10.1890/0012(2002)083[1771:X]2.0.CO;2"),
        ("10.1000/x;2101.00001", "10.1000/x"),
        ('"10.1000/x","10.1000/y"', "10.1000/x"),
        (
            "doi:10.1002/(SICI)1(1998)17:1%3C1::AID-S%3E3.0.CO%3B2-2",
            "10.1002/(SICI)1(1998)17:1<1::AID-S>3.0.CO;2-2",
        ),
        (
            "https://www.biorxiv.org/content/10.1101/2020.01.02.123456v2.full",
            "10.1101/2020.01.02.123456",
        ),
        (
            "https://journals.plos.org/plosone/article?id=10.1371/journal.pone.01&rev=2",
            "10.1371/journal.pone.01",
        ),
        ("10.1000/x\u200b1", "10.1000/x1"),
        ("\ufeff10.1000/\u2060x1\u00ad", "10.1000/x1"),
        ("10.1000/x1%20", "10.1000/x1"),
        ("https://doi.org/10.1000/x1%E2%80%8B", "10.1000/x1"),
        ("https://doi.org/10.1000/x1%20and%20more", "10.1000/x1"),
        ("10.1000/x1%0A", "10.1000/x1"),
        ("<doi>10.1000/x1</doi>", "10.1000/x1"),
        ("10.1000/x1&lt;/doi&gt;", "10.1000/x1"),
        ("10.1000/x1&amp;lt;br/&amp;gt;", "10.1000/x1"),
        ("10.1000/x1&lt;", "10.1000/x1"),
        ("10.1000/x1&nbsp;", "10.1000/x1"),
        ("https://doi.org/10.1000/x1/", "10.1000/x1"),
        ("10.1000\\/x1", "10.1000/x1"),
        ("https:\\/\\/doi.org\\/10.1000\\/x\\_1", "10.1000/x_1"),
        ("10.1000/", None),
        ("no doi; 10.5 of 12/13", None),
    ],
)
def test_a_doi_is_whole_and_bare(text: str, doi: str | None) -> None:
    assert doi_of(text) == doi


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1, 2;3 | PMC4", ["1", "2", "3", "PMC4"]),
        (f"{SICI};{LANCET},7", [SICI, LANCET, "7"]),
        (f"PMID:1;doi:{SICI};2", ["PMID:1", f"doi:{SICI}", "2"]),
        ('"10.1000/a","10.1000/b";"3"', ['"10.1000/a"', '"10.1000/b"', '"3"']),
        ("10.1000/a;b;10.1000/c;2101.00001", ["10.1000/a;b", "10.1000/c", "2101.00001"]),
        (";;10.1000/x;;", ["10.1000/x;;"]),
        ("10.1/a;10.1000/b", ["10.1/a", "10.1000/b"]),
        (" ", []),
    ],
)
def test_the_parts_of_a_list(text: str, parts: list[str]) -> None:
    assert list(listed(text)) == parts


def test_ids_of_pubmed() -> None:
    assert [pmid_of(text) for text in ("12", "PMID: 12", "0", "12a")] == ["12", "12", None, None]
    assert [pmcid_of(text) for text in ("PMC12", "pmc12.1", "PMCID: PMC12", "12")] == [
        *["PMC12"] * 3,
        None,
    ]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("ClinicalTrials.gov: NCT01234567, nct01234567", ["NCT01234567"]),
        ("EudraCT 2009-012345-12 and ISRCTN12345678.", ["2009-012345-12", "ISRCTN12345678"]),
        ("chictr-IOR-14005555; jrcts031180001", ["ChiCTR-IOR-14005555", "jRCTs031180001"]),
        ("JPRN-UMIN000012345 rbr-2abcde", ["JPRN-UMIN000012345", "RBR-2abcde"]),
        ("CTRI/2010/091/000001", ["CTRI/2010/091/000001"]),
        ("NCT0123456, 2009-012345-123, ANCT01234567", []),
    ],
)
def test_trial_numbers(text: str, numbers: list[str]) -> None:
    assert trials_of(text) == numbers


@pytest.mark.parametrize(
    ("fields", "accession", "database", "identity"),
    [
        ({"pmid": "5", "pmcid": "PMC6", "doi": "10.1/X"}, "EJ9000001", "", "5"),
        ({"pmcid": "PMC6", "doi": "10.1000/X"}, "", "", "PMC6"),
        ({"doi": "10.1000/X"}, "EJ9000001", "", "EJ9000001"),
        ({"doi": "10.1000/X"}, "WOS:000123456700001", "", "10.1000/x"),
        ({}, "WOS:000123456700001", "", "WOS:000123456700001"),
        ({}, "nct01234567", "", "NCT01234567"),
        ({}, "2010123456", "Embase", "Embase:2010123456"),
        ({}, "WOS:000123456700001.", "", "WOS:000123456700001"),
        ({}, "CN-01234567", "CENTRAL", "CN-01234567"),
        ({}, "ABCD2345", "", "ABCD2345"),
    ],
)
def test_the_rule_of_ids(
    fields: dict[str, str], accession: str, database: str, identity: str
) -> None:
    assert identify(fields, "A title", "", accession, database) == identity


@pytest.mark.parametrize(
    "counter",
    ["1", "0000001", "#12", "12.", "No. 12", "[1]", "1/30", "record 1 of 30", "rayyan-123456789",
     "ref 3", "x", "n/a", "Unknown", "25647998"],
)  # fmt: skip
def test_a_counter_is_no_id(counter: str) -> None:
    assert identify({}, "A title", "", counter) == made_identifier({}, "A title")


def test_made_ids_are_equal_for_one_work_and_differ_for_two() -> None:
    first = {"authors": ["Miller A"], "journal": "Ponds", "year": 2020, "volume": "3"}
    made = made_identifier(first, "Editorial")
    # Pinned: an index that was built yesterday must know the record again.
    assert made == "made:dc7eed6e30c2e6bc8fba"
    assert made == made_identifier({**first, "authors": ["Miller, A."]}, "EDITORIAL.")
    others = [
        {**first, "authors": ["Berg O"]},
        {**first, "journal": "Walls"},
        {**first, "volume": "4"},
        {**first, "year": 2021},
        {**first, "pages": "7-9"},
        {**first, "journal": "", "book": "Brooks"},
    ]
    assert len({made, *(made_identifier(one, "Editorial") for one in others)}) == 7
    # With nothing else known, the text decides.
    bare = [
        made_identifier({"year": 2020}, "Editorial", text) for text in ("On herons.", "On moss.")
    ]
    assert bare[0] != bare[1]


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("PMID: 123", {"pmid": "123"}),
        ("PMID: 123\nPMCID: PMC45", {"pmid": "123", "pmcid": "PMC45"}),
        ("PMID: 123 PMCID: PMC45", {"pmid": "123", "pmcid": "PMC45"}),
        ("[PMID: 12]; doi = 10.1000/a", {"pmid": "12", "doi": "10.1000/a"}),
        ("123 [pmid]", {"pmid": "123"}),
        ("10.1000/supplement.1", {"doi": "10.1000/supplement.1"}),
        ("https://pubmed.ncbi.nlm.nih.gov/123/", {"pmid": "123"}),
        ("Available from: https://doi.org/10.1000/q", {"doi": "10.1000/q"}),
        ("_eprint: https://foo.org/doi/pdf/10.1000/abc", {"doi": "10.1000/abc"}),
        ("Publisher: Foo Press\nPMID: 123", {"pmid": "123"}),
        ("Cited By :12\nExport Date: 2 Jan\nPMID: 123", {"pmid": "123"}),
        ("LR: 2019; JID: 03; 2019/01/01 [pubmed]; PMCID: PMC12", {"pmcid": "PMC12"}),
        ("Accession Number: 7. Language: English. PMID: NLM123.", {"pmid": "123"}),
        ("From Duplicate 1 (T (x) - Miller) PMID: 123", {"pmid": "123"}),
        ("1473-5598\nMiller, Ada\nPonds. 2010. doi: 10.1000/a. Epub", {"doi": "10.1000/a"}),
        ("PMID: 123. Comment in: Ponds. PMID: 456", {"pmid": "123"}),
        ("PMID: 123; cited by PMID: 456", {"pmid": "123"}),
        ("EMBASE 36, PUBMED 123", {"pmid": "123"}),
        ("PMID: 1 PMID: 2", {}),
        ("doi: 10.1000/a and doi: 10.1000/b", {}),
        ("doi: 10.1000/a; DOI 10.1000/A", {"doi": "10.1000/A"}),
        ("Comment on PMID: 123 (10.1000/a)", {}),
        ("Comment on: Ponds. 2010;1:1.\nPMID: 123", {}),
        ("Comment: PMID: 123", {}),
        ("Original article: https://doi.org/10.1000/a", {}),
        ("Original article\nPMID: 123", {}),
        ("Companion paper: Smith 2010. PMID: 123", {}),
        ("Sister trial: Smith 2010; PMID: 123", {}),
        ("Erratum for PMID 123", {}),
        ("Retraction of: Ponds. doi: 10.1000/a", {}),
        ("See also PMC45", {}),
        ("See PMID: 123", {}),
        ("Cites PMID: 123", {}),
        ("Cites: 10.1000/a", {}),
        ("Reply to: PMID: 123", {}),
        ("Update of PMID: 123", {}),
        ("Related article PMID: 123", {}),
        ("Smith J, et al. Ponds 2010. PMID: 123", {}),
        ("This extends PMID: 123", {}),
        ("Included, full text read. 10.1000/a", {}),
        ("Same cohort as https://pubmed.ncbi.nlm.nih.gov/123/", {}),
        ("", {}),
    ],
)
def test_what_a_note_says_of_its_own_record(note: str, expected: dict[str, str]) -> None:
    assert {name: one for name, one in noted_identifiers([note]).items() if one} == expected


def test_a_long_note_takes_no_long_time() -> None:
    assert noted_identifiers(["a: b. " * 1_000_000 + "PMID: 1", "and " * 500_000])["pmid"] is None
