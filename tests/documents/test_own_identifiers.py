"""What every reader takes for the title, the text and the identifiers of a record itself."""

from __future__ import annotations

import json

import pytest
from reader_help import documents, read, rejected

from bioretrieval_tui.documents.detect import by_name
from bioretrieval_tui.documents.person_names import MOST_NAMES, people
from bioretrieval_tui.documents.readers.bibtex import names_of

NOTE = {
    "bibtex": "@article{{a{n}, title={{Herons {n}}}, year={{2020}}, note={{{note}}}}}\n",
    "ris": "TY  - JOUR\nTI  - Herons {n}\nN1  - {note}\nER  - \n",
    "refer": "%0 Journal Article\n%T Herons {n}\n%A Miller, A\n%Z {note}\n\n",
    "refworks": "RT Journal Article\nT1 Herons {n}\nNO {note}\nER \n\n",
    "endnote-xml": "<record><ref-type name='Book'>6</ref-type><titles><title>Herons {n}</title>"
    "</titles><notes>{note}</notes></record>",
    "csv": '"Herons {n}",2020,"{note}"\n',
    "csl-json": '{{"id": "a{n}", "type": "article-journal", "title": "Herons {n}",'
    ' "note": "{note}"}}\n',
    "json": '{{"title": "Herons {n}", "year": 2020, "notes": "{note}"}}\n',
}
CUSTOM = {
    "ris": "TY  - JOUR\nTI  - Herons {n}\nC1  - {note}\nER  - \n",
    "refer": "%0 Journal Article\n%T Herons {n}\n%A Miller, A\n%1 {note}\n\n",
    "bibtex": "@article{{a{n}, title={{Herons {n}}}, annote={{{note}}}}}\n",
    "endnote-xml": "<record><ref-type name='Book'>6</ref-type><titles><title>Herons {n}</title>"
    "</titles><custom1>{note}</custom1></record>",
    "csv": '"Herons {n}",2020,"{note}"\n',
}
AROUND = {"endnote-xml": ("<xml><records>", "</records></xml>"), "csv": ("Title,Year,Extra\n", "")}
WRITTEN = [(name, form) for forms in (NOTE, CUSTOM) for name, form in forms.items()]


@pytest.mark.parametrize(("name", "form"), WRITTEN)
@pytest.mark.parametrize(
    ("note", "field"),
    [
        ("Comment on PMID: 123456", None),
        ("Companion paper: doi: 10.1000/other", None),
        ("Results as in Miller 2010, PMC30407", None),
        ("PMID: 123456", "pmid"),
        ("doi: 10.1000/own", "doi"),
        ("PMCID: PMC30407", "pmcid"),
    ],
)
def test_notes(name: str, form: str, note: str, field: str | None) -> None:
    """Two works with one note about another work stay two."""
    before, behind = AROUND.get(name, ("", ""))
    records = "".join(form.format(n=n, note=note) for n in ("one", "two"))
    first, second = documents(read(before + records + behind, by_name(name)))
    known = {one for one in ("pmid", "doi", "pmcid") if one in first.metadata}
    assert known == ({field} if field else set())
    assert (first.id == second.id) == bool(field)


@pytest.mark.parametrize(
    ("name", "form", "between"),
    [
        ("csv", 'Title,Authors\nA,"{}"\n', "; "),
        ("csv", 'Title,Authors\nA,"{}"\n', "|"),
        ("csv", 'Title,Authors\nA,"{}"\n', ", "),
        ("json", '{{"title": "A", "year": 2020, "authors": ["{}"]}}\n', '", "'),
        ("ris", "TY  - JOUR\nTI  - A\nAU  - {}\nER  - \n", "; "),
        ("ris", "TY  - JOUR\nTI  - A\nAU  - {}\nER  - \n", "\nAU  - "),
        ("bibtex", "@book{{a, title={{A}}, author={{{}}}}}\n", " and "),
        ("medline", "PMID- 1\nTI  - A\nAU  - {}\n", "\nAU  - "),
        ("ovid", "<1. >\nTI  - A\nAU  - {}\n", "\n      "),
    ],
)
def test_lists_of_names_are_cut(name: str, form: str, between: str) -> None:
    names = ["Lai Z", *["Shi AB"] * MOST_NAMES, "Berg O"]
    (document,) = documents(read(form.format(between.join(names)), by_name(name)))
    authors = document.metadata["authors"]
    assert len(authors) == MOST_NAMES
    assert set(authors) == {"Lai Z", "Shi AB"}


@pytest.mark.parametrize(
    "names", [",", " ", ";", " and", "A. ", "a, ", "and et al. ", "Lai Z, ", "(", "|", "{"]
)
def test_a_long_line_of_names_takes_no_long_time(names: str) -> None:
    people([names * 30_000])
    names_of([names * 30_000])
    row = f'Title,Authors\nA,"{names * 30_000}"\n'
    assert documents(read(row, by_name("csv")))


REVIEW = "Title,Authors,Year,Journal,NCT ID,Abstract\n"
RIS_TRIAL = (
    "TY  - JOUR\nTI  - A\nAU  - Foo Inc\nJO  - {}\n"
    "UR  - https://clinicaltrials.gov/study/NCT01234567\nER  - \n"
)
REGISTRY = "NCT Number,Study Title,Brief Summary\n"


@pytest.mark.parametrize(
    ("data", "name", "ids", "trials"),
    [
        (REVIEW + "A,Lai Z,2020,J,NCT01234567,x\nB,Shi Y,2021,J,NCT01234567,y\n", "csv", 0, True),
        ("Title,DOI,Trial ID\nA,,NCT01234567\nB,,NCT01234567\n", "csv", 0, True),
        (REGISTRY + "NCT01234567,A,x\nNCT01234568,B,y\n", "csv", 2, True),
        ("Title,Authors,Type,NCT Number\nA,Foo Inc,Trial registry record,NCT01234567\n", "csv", 1,
         True),
        (json.dumps([{"title": one, "abstract": "x", "authors": ["Lai Z"], "nct_id": "NCT01234567"}
                     for one in "AB"]), "json", 0, True),
        (json.dumps([{"title": "A", "abstract": "x", "nct_id": "NCT01234567"}]), "json", 1, True),
        (RIS_TRIAL.format("J"), "ris", 0, True),
        (RIS_TRIAL.format("https://clinicaltrials.gov/show/NCT01234567"), "ris", 1, True),
    ],
)  # fmt: skip
def test_the_number_of_a_trial_is_the_id_of_its_registration_only(
    data: str, name: str, ids: int, trials: bool
) -> None:
    found = documents(read(data, by_name(name)))
    assert sum(one.id.startswith("NCT") for one in found) == ids
    assert len({one.id for one in found}) == len(found)
    assert all("NCT0123456" in str(one.metadata.get("trials")) for one in found) == trials


NOTICES = [
    "[Not Available].", "Untitled", "No title", "[No title available]", "No title available.",
    "n/a", "-", "...", "Title not available", "\u200b", "&nbsp;", "<p></p>",
]  # fmt: skip
TITLED = {
    "ris": "TY  - JOUR\nTI  - {0}\nAB  - {1}\nJO  - Ponds\nER  - \n",
    "bibtex": "@article{{a, title={{{0}}}, abstract={{{1}}}, journal={{Ponds}}}}\n",
    "refer": "%0 Journal Article\n%T {0}\n%X {1}\n",
    "refworks": "RT Journal\nT1 {0}\nAB {1}\nER \n",
    "medline": "PMID- 123\nTI  - {0}\nAB  - {1}\n",
    "wos": "PT J\nAU Lai, Z\nTI {0}\nAB {1}\nER\n",
    "ovid": "<1. >\nUI  - 123\nTI  - {0}\nAB  - {1}\n",
    "endnote-xml": "<xml><records><record><titles><title><style><![CDATA[{0}]]></style></title>"
    "</titles><abstract><style><![CDATA[{1}]]></style></abstract></record></records></xml>",
    "pubmed-xml": "<PubmedArticle><MedlineCitation><PMID>123</PMID><Article><ArticleTitle>"
    "<![CDATA[{0}]]></ArticleTitle><Abstract><AbstractText><![CDATA[{1}]]></AbstractText>"
    "</Abstract></Article></MedlineCitation></PubmedArticle>",
    "europepmc": '{{"id": "1", "source": "MED", "title": "{0}", "abstractText": "{1}"}}\n',
    "medcpt-chunk": '{{"123": {{"d": "20200101", "t": "{0}", "a": "{1}", "m": ""}}}}',
    "medrag": '{{"id": "1", "title": "{0}", "content": "{1}"}}\n',
    "csv": 'Title,Abstract,Year\n"{0}","{1}",2020\n',
    "json": '{{"title": "{0}", "abstract": "{1}", "year": 2020}}\n',
    "csl-json": '{{"id": "x", "type": "chapter", "title": "{0}", "abstract": "{1}"}}\n',
    "jats": "<article><front><article-meta><article-id pub-id-type='pmid'>1</article-id>"
    "<title-group><article-title><![CDATA[{0}]]></article-title></title-group><abstract><p>"
    "<![CDATA[{1}]]></p></abstract></article-meta></front></article>",
}


@pytest.mark.parametrize("name", TITLED)
def test_a_notice_is_no_title_and_no_text(name: str) -> None:
    format_ = by_name(name)
    for notice in NOTICES:
        (document,) = documents(read(TITLED[name].format(notice, "Herons eat."), format_))
        assert (document.title, document.text) == ("", "Herons eat."), notice
        (refused,) = rejected(read(TITLED[name].format(notice, "[No abstract available]"), format_))
        assert "title" in refused.reason
    (document,) = documents(read(TITLED[name].format("No abstract thought", "n/a"), format_))
    assert (document.title, document.text) == ("No abstract thought", "")


def test_notices_of_a_judged_corpus() -> None:
    lines = '{"_id": "1", "title": "-", "text": " a"}\n{"_id": "2", "title": "Untitled"}\n'
    found = documents(read(lines, by_name("beir")))
    assert [(one.title, one.text) for one in found] == [("", " a"), ("", "")]


CSL = {"id": "ITEM-1", "type": "article-journal", "title": "Herons"}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"type": "chapter", "container-title": "Ponds"},
        {"type": "paper-conference", "id": "ref1"},
        {"type": "article", "URL": "https://j.org/1"},
        {"type": "report", "id": "http://zotero.org/users/1/items/ABCD2345"},
        {"type": "book", "id": "miller2020a"},
        {"type": "webpage", "id": "ref1", "abstract": "Herons."},
    ],
)
def test_csl_without_persons_and_dates(change: dict[str, str]) -> None:
    """Its ids are keys of citations, which other files have, too."""
    item = json.dumps([{**CSL, **change}])
    assert by_name("csl-json").recognises(item.encode())
    (document,) = documents(read(item, by_name("csl-json")))
    assert document.id.startswith("made:")


@pytest.mark.parametrize(
    ("record", "identity"),
    [
        ({"id": "d1", "type": "review", "title": "A", "text": "x"}, "d1"),
        (
            {"id": "https://openalex.org/W1234567", "type": "article-journal", "title": "A"},
            "W1234567",
        ),
        ({"id": "lai2020", "title": "A", "text": "x"}, "lai2020"),
        ({"id": "ITEM-1", "title": "A", "text": "x"}, "made:"),
        ({"id": "http://zotero.org/users/1/items/A", "title": "A", "text": "x"}, "made:"),
    ],
)
def test_ids_of_other_json(record: dict[str, str], identity: str) -> None:
    data = json.dumps([record])
    assert not by_name("csl-json").recognises(data.encode())
    (document,) = documents(read(data, by_name("json")))
    assert document.id.startswith(identity)


@pytest.mark.parametrize(
    ("table", "identity"),
    [
        ("id,title\nITEM-1,A\n", "ITEM-1"),
        ("Key,Title\nA2BCD3EF,A\n", "A2BCD3EF"),
        ("Key,Title\nlai_herons_2020,A\n", "made:"),
    ],
)
def test_ids_of_tables(table: str, identity: str) -> None:
    (document,) = documents(read(table, by_name("csv")))
    assert document.id.startswith(identity)
