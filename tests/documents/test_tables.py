"""CSV and TSV: columns, mapping, quotes, what is refused, and what holds for any bytes."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reader_help import (
    documents,
    read,
    rejected,
)

from bioretrieval_tui.documents.bibliography import abstract_of, said
from bioretrieval_tui.documents.detect import Format, by_name, items, recognise
from bioretrieval_tui.documents.document import Document, Skipped
from bioretrieval_tui.documents.source import ReadSettings, SourceReader
from bioretrieval_tui.errors import CorpusError

CSV, TSV = by_name("csv"), by_name("tsv")

PUBMED = (
    "\ufeffPMID,Title,Authors,Citation,First Author,Journal/Book,Publication Year,Create Date,"
    "PMCID,NIHMS ID,DOI\n"
    '"123","A title, with ""quotes"".","Lai Z, Shi SY.","J Foo. 2018 Nov 25;31(11):998-1004. '
    'doi: 10.3969/j.x.","Lai Z","J Foo","2018","2018/12/05","PMC5","","10.3969/j.x"\n'
)
SMALL = "id,title,text\n1,T,B\n"


def test_pubmed_export_as_it_is() -> None:
    (document,) = documents(read(PUBMED, CSV))
    assert document == Document(
        "123",
        'A title, with "quotes".',
        "",
        {
            "authors": ["Lai Z", "Shi SY"],
            "journal": "J Foo",
            "year": 2018,
            "date": "2018",
            "doi": "10.3969/j.x",
            "pmid": "123",
            "pmcid": "PMC5",
            "volume": "31",
            "issue": "11",
            "pages": "998-1004",
            "First Author": "Lai Z",
            "Create Date": "2018/12/05",
        },
    )


def test_columns_called_like_fields_need_no_mapping() -> None:
    data = "ID,Title,TEXT,Year,authors,Other,\n7,T,B,1999,A B; C D,x,\n"
    (document,) = documents(read(data, CSV))
    metadata = {"year": 1999, "date": "1999", "authors": ["A B", "C D"], "Other": "x"}
    assert document == Document("7", "T", "B", metadata)


def test_mapping() -> None:
    data = "nr\tHeading\tAbstract\ttitle\tgroup\n7\tH\tB\told\tg\n"
    (document,) = documents(
        read(data, TSV, id="nr", title="Heading", text="Abstract", category="group")
    )
    assert document == Document("7", "H", "B", {"category": "g"})


@pytest.mark.parametrize(
    ("header", "mapping", "message", "remedy"),
    [
        ("id,b", {"title": "x"}, "'x' for `title` does not exist; its columns are 'id', 'b'",
         "--map title=COLUMN"),
        ("id,b", {}, "no column holds a title or a text", "--map title=COLUMN"),
        ("id,b,b", {"title": "b"}, "occurs twice", "--map title=COLUMN"),
        (",".join(f"c{n}" for n in range(30)), {}, "and 18 more", "--map title=COLUMN"),
        ('"id,text', {}, "the columns cannot be read", None),
    ],
)  # fmt: skip
def test_columns_that_do_not_do(
    header: str, mapping: dict[str, str], message: str, remedy: str | None
) -> None:
    with pytest.raises(CorpusError) as caught:
        read(header + "\n1,2\n", CSV, **mapping)
    assert message in caught.value.message
    assert caught.value.remedy == remedy
    assert "\n" not in caught.value.line()


def test_quotes_over_lines_and_blank_rows() -> None:
    data = 'id,title,text\r\n\r\n1,"two\r\nlines","a ""b"", c"\r\n,,\r\n2,U,\r\n'
    found = read(data, CSV)
    assert [(d.id, d.title, d.text) for d in documents(found)] == [
        ("1", "two lines", 'a "b", c'),
        ("2", "U", ""),
    ]
    assert [item.place.line for item in found] == [3, 6]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"9,T", "2 fields, not 3"),
        (b"2,more", "2 fields, not 3"),
        (b"9,T,B,more", "4 fields, not 3"),
        (b"9,,", "neither a title nor an abstract"),
        (b"9,a\0b,B", "NUL"),
        (b"9,caf\xe9,B", "not UTF-8 at byte 6 of line 3"),
        (b'9,"T" x,B', "between a closing quote"),
        (b'9,"never closed,B', "is never closed"),
        (b'9,"closed in the next\nrow",B,and,more', "5 fields, not 3"),
        (b"9,bare\rreturn,B", "line end in a field"),
    ],
)
def test_a_bad_row_costs_no_neighbour(row: bytes, reason: str) -> None:
    found = read(SMALL.encode() + row + b"\n" + b"2,U,C\n3,V,D\n", CSV)
    assert [document.id for document in documents(found)] == ["1", "2", "3"]
    assert reason in rejected(found)[0].reason
    assert rejected(found)[0].place.line == 3


def test_a_field_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bioretrieval_tui.documents.readers.tables.MAX_LINE_BYTES", 1000)
    open_quote = '9,"' + "words and words\n" * 200
    found = read(SMALL + open_quote + "2,U,C\n", CSV)
    assert [document.id for document in documents(found)] == ["1", "2"]
    assert "longer than 1,000 characters" in rejected(found)[0].reason


def test_open_quotes_cannot_cost_more_than_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bioretrieval_tui.documents.readers.tables._MOST_AGAIN", 100)
    found = read(SMALL + '9,"a\n' + "2,U,C\n" * 50, CSV)
    assert len(documents(found)) == 1
    assert "left open here for 51 lines" in rejected(found)[-1].reason


def test_quotes_in_tsv_are_only_quotes_where_they_fit() -> None:
    data = 'id\ttitle\n1\t"Whole" part\n2\t"over\nlines"\n3\t5" pipe\n4\t"quoted"\n5\t"open\n'
    found = read(data, TSV)
    assert [(d.id, d.title) for d in documents(found)] == [
        ("1", '"Whole" part'),
        ("2", "over lines"),
        ("3", '5" pipe'),
        ("4", "quoted"),
        ("5", '"open'),
    ]


def test_a_row_that_lacks_its_last_fields() -> None:
    data = "id,title,text,doi,year\n1,T,B\n2,U,C,10.1000/x1\n3,V\n4,W,E,,2018\n"
    found = read(data, CSV)
    assert [document.id for document in documents(found)] == ["1", "2", "4"]
    assert [item.reason for item in rejected(found)] == [
        "the row has 2 fields, not 5 as the first one"
    ]


def test_a_stray_quote_over_lines_does_not_make_a_short_row() -> None:
    data = 'id,title,text,year\n1,T,"B,2018\n2,U,C,2018\n3,V,"D",2019\n'
    found = read(data, CSV)
    assert [document.id for document in documents(found)] == ["2", "3"]
    tabs = 'id\ttitle\ttext\tyear\n1\tT\t"B\t2018"\n'
    (document,) = documents(read(tabs, TSV))
    assert (document.text, document.metadata["year"]) == ('"B', 2018)


@pytest.mark.parametrize("format_", [CSV, TSV])
def test_the_header_of_a_second_table_is_no_record(format_: Format) -> None:
    header, row = "id,title,text\n", "{},T,B\n"
    data = (header + row.format(1) + header + row.format(2)).replace(
        ",", "\t" if format_ is TSV else ","
    )
    found = read(data, format_)
    assert [document.id for document in documents(found)] == ["1", "2"]
    (skipped,) = (item for item in found if isinstance(item, Skipped))
    assert (skipped.place.line, skipped.reason) == (3, "the header of the table, again")


@pytest.mark.parametrize("nothing", ["nan", "NaN", "None", "NULL", "<NA>", " nan "])
def test_what_pandas_writes_for_nothing_is_nothing(nothing: str) -> None:
    row = ",".join([nothing] * 4)
    (document,) = documents(read(f"title,year,authors,journal,other\nHerons,{row}\n", CSV))
    assert document.metadata == {}


def test_utf16_as_excel_saves_it() -> None:
    data = "id\ttitle\r\n1\tÄther\r\n".encode("utf-16")
    assert TSV.recognises(data)
    assert documents(read(data, TSV)) == [Document("1", "Äther")]


# --- what exporters write

LAI = {"authors": ["Lai Z", "Shi SY"], "year": 2018, "volume": "31", "issue": "11",
       "journal": "J Foo"}  # fmt: skip
# Of each exporter: its columns with one value, the id, and some of the metadata.
EXPORTS: dict[str, tuple[dict[str, str], str, dict[str, Any]]] = {
    "Scopus": (
        {
            "Authors": "Lai Z.; Shi S.Y.", "Author full names": "Lai, Zhen (1); Shi, S.Y. (2)",
            "Author(s) ID": "1; 2", "Title": "Herons", "Year": "2018", "Source title": "J Foo",
            "Volume": "31", "Issue": "11", "Art. No.": "", "Page start": "998",
            "Page end": "1004", "Page count": "", "Cited by": "3", "DOI": "10.1000/X1",
            "Link": "https://www.scopus.com/1", "Abstract": "Newts.",
            "Author Keywords": "pond; reed", "Index Keywords": "Birds", "PubMed ID": "123",
            "Language of Original Document": "English", "Document Type": "Article",
            "Source": "Scopus", "EID": "2-s2.0-85057"
        },
        "123",
        {
            **LAI,
            "doi": "10.1000/X1", "pmid": "123", "pages": "998-1004",
            "url": "https://www.scopus.com/1", "keywords": ["pond", "reed", "Birds"],
            "language": ["English"], "types": ["Journal Article"], "EID": "2-s2.0-85057",
            "Source": "Scopus"
        },
    ),
    "Web of Science": (
        {
            "PT": "J", "AU": "Lai, Z; Shi, SY", "AF": "Lai, Zhen; Shi, S. Y.", "TI": "Herons",
            "SO": "J Foo", "LA": "English", "DT": "Article", "DE": "pond; reed", "ID": "BIRDS",
            "AB": "Newts.", "C1": "[Lai, Z] Uni", "SN": "1234-5678", "PD": "NOV 25",
            "PY": "2018", "VL": "31", "IS": "11", "BP": "998", "EP": "1004", "AR": "",
            "DI": "10.1000/X1", "UT": "WOS:000451", "PM": ""
        },
        "10.1000/x1",
        {
            **LAI,
            "date": "2018-11-25", "pages": "998-1004", "types": ["Journal Article"],
            "keywords": ["pond", "reed", "BIRDS"], "UT": "WOS:000451"
        },
    ),
    "Embase": (
        {
            "TITLE": "Herons", "AUTHOR NAMES": "Lai Z., Shi S.Y.", "SOURCE TITLE": "J Foo",
            "PUBLICATION YEAR": "2018", "VOLUME": "31", "ISSUE": "11", "FIRST PAGE": "998",
            "LAST PAGE": "1004", "DATE OF PUBLICATION": "25 Nov 2018",
            "PUBLICATION TYPE": "Article", "ABSTRACT": "Newts.",
            "CLINICAL TRIAL NUMBERS": "ClinicalTrials.gov (NCT01234567)",
            "ARTICLE LANGUAGE": "English", "EMBASE ACCESSION ID": "20181", "MEDLINE PMID": "",
            "PUI": "L620", "DOI": "10.1000/x1"
        },
        "10.1000/x1",
        {
            **LAI,
            "pages": "998-1004", "trials": ["NCT01234567"], "PUI": "L620"
        },
    ),
    "Zotero": (
        {
            "Key": "ABCD2345", "Item Type": "journalArticle", "Publication Year": "2018",
            "Author": "Lai, Zhen; Shi, S. Y.", "Title": "Herons", "Publication Title": "J Foo",
            "ISBN": "", "ISSN": "1234-5678", "DOI": "", "Url": "https://j.org/1",
            "Abstract Note": "Newts.", "Date": "2018-11-25", "Pages": "998-1004", "Issue": "11",
            "Volume": "31", "Extra": "PMID: 123\nPMCID: PMC45", "Manual Tags": "pond; reed"
        },
        "123",
        {
            **LAI,
            "date": "2018-11-25", "pmcid": "PMC45", "keywords": ["pond", "reed"],
            "url": "https://j.org/1", "types": ["Journal Article"]
        },
    ),
    "Dimensions": (
        {
            "Rank": "1", "Publication ID": "pub.111", "DOI": "10.1000/x1", "PMID": "123",
            "PMCID": "PMC45", "ISBN": "", "Title": "Herons", "Abstract": "Newts.",
            "Acknowledgements": "", "Source title": "J Foo", "Publisher": "Foo Press",
            "MeSH terms": "Humans; Birds", "Publication date": "2018-11-25", "PubYear": "2018",
            "Volume": "31", "Issue": "11", "Pagination": "998-1004", "Open Access": "Closed",
            "Publication Type": "Article", "Authors": "Lai, Zhen; Shi, S Y",
            "Dimensions URL": "https://d/1"
        },
        "123",
        {
            **LAI,
            "mesh": ["Humans", "Birds"], "pmcid": "PMC45", "publisher": "Foo Press",
            "date": "2018-11-25", "pages": "998-1004", "Publication ID": "pub.111"
        },
    ),
    "Lens": (
        {
            "Lens ID": "001-234-567", "Title": "Herons", "Date Published": "2018-11-25",
            "Publication Year": "2018", "Publication Type": "journal article",
            "Source Title": "J Foo", "ISSNs": "", "Publisher": "Foo",
            "Author/s": "Lai Z; Shi SY", "Abstract": "Newts.", "Volume": "31",
            "Issue Number": "11", "Start Page": "998", "End Page": "1004", "PMID": "",
            "PMCID": "", "DOI": "10.1000/x1", "Keywords": "pond; reed", "MeSH Terms": "Birds",
            "External URL": "https://l.org/1"
        },
        "10.1000/x1",
        {
            **LAI,
            "pages": "998-1004", "url": "https://l.org/1", "Lens ID": "001-234-567"
        },
    ),
    "Rayyan": (
        {
            "key": "rayyan-17", "title": "Herons", "authors": "Lai, Z. and Shi, S. Y.",
            "issue": "11", "volume": "31", "pages": "998-1004", "year": "2018", "publisher": "",
            "url": "", "abstract": "Newts.", "notes": "RAYYAN-INCLUSION", "doi": "",
            "keywords": "pond", "pubmed_id": "", "pmc_id": ""
        },
        "made:",
        {
            "authors": ["Lai Z", "Shi SY"], "year": 2018, "volume": "31", "issue": "11",
            "key": "rayyan-17", "notes": "RAYYAN-INCLUSION"
        },
    ),
    "Covidence": (
        {
            "Title": "Herons", "Authors": "Lai, Zhen; Shi, S. Y.", "Abstract": "Newts.",
            "Published Year": "2018", "Published Month": "Nov", "Journal": "J Foo",
            "Volume": "31", "Issue": "11", "Pages": "998-1004", "Accession Number": "",
            "DOI": "10.1000/x1", "Ref": "", "Covidence #": "#12", "Study": "Lai 2018",
            "Notes": "", "Tags": ""
        },
        "10.1000/x1",
        {
            **LAI,
            "date": "2018-11", "Covidence #": "#12", "Study": "Lai 2018"
        },
    ),
    "Publish or Perish": (
        {
            "Cites": "3", "Authors": "Z Lai, SY Shi", "Title": "Herons", "Year": "2018",
            "Source": "J Foo", "Publisher": "Foo", "ArticleURL": "https://j.org/1",
            "GSRank": "1", "Type": "PDF", "DOI": "10.1000/x1", "Volume": "31", "Issue": "11",
            "StartPage": "998", "EndPage": "1004", "Abstract": "Newts."
        },
        "10.1000/x1",
        {
            "authors": ["Lai Z", "Shi SY"], "journal": "J Foo", "pages": "998-1004"
        },
    ),
    "ClinicalTrials.gov": (
        {
            "NCT Number": "NCT01234567", "Study Title": "Herons",
            "Study URL": "https://clinicaltrials.gov/study/NCT01234567",
            "Study Status": "COMPLETED", "Brief Summary": "Newts.", "Conditions": "Pond|Reed",
            "Study Type": "INTERVENTIONAL", "Start Date": "2018-11-25"
        },
        "NCT01234567",
        {
            "trials": ["NCT01234567"], "keywords": ["Pond", "Reed"], "year": 2018
        },
    ),
    "Cochrane": (
        {
            "Cochrane Review ID": "CD001234", "Author(s)": "Lai, Z; Shi, SY", "Title": "Herons",
            "Source": "J Foo", "Year": "2018", "Issue": "11",
            "DOI": "10.1002/14651858.CD001234.pub2", "Abstract": "Newts.", "Keywords": "pond"
        },
        "10.1002/14651858.cd001234.pub2",
        {
            "journal": "J Foo", "Cochrane Review ID": "CD001234"
        },
    ),
    "CORD-19": (
        {
            "cord_uid": "ug7v899j", "sha": "d1", "source_x": "PMC", "title": "Herons",
            "doi": "10.1000/x1", "pmcid": "PMC45", "pubmed_id": "123", "license": "no-cc",
            "abstract": "Newts.", "publish_time": "2018-11-25", "authors": "Lai, Z; Shi, S Y",
            "journal": "J Foo", "url": ""
        },
        "ug7v899j",
        {
            "pmid": "123", "pmcid": "PMC45", "date": "2018-11-25"
        },
    ),
    "OpenAlex": (
        {
            "id": "https://openalex.org/W12", "doi": "https://doi.org/10.1000/x1",
            "title": "Herons", "publication_year": "2018", "publication_date": "2018-11-25",
            "type": "article", "abstract": "Newts.",
            "authorships.author.display_name": "Zhen Lai|S. Y. Shi",
            "primary_location.source.display_name": "J Foo", "biblio.volume": "31",
            "biblio.first_page": "998", "biblio.last_page": "1004",
            "ids.pmid": "https://pubmed.ncbi.nlm.nih.gov/123"
        },
        "123",
        {
            "authors": ["Lai Z", "Shi SY"], "doi": "10.1000/x1", "pages": "998-1004"
        },
    ),
    "IEEE": (
        {
            "Document Title": "Herons", "Authors": "Z. Lai; S. Y. Shi",
            "Publication Title": "J Foo", "Publication Year": "2018", "Volume": "31",
            "Issue": "11", "Start Page": "998", "End Page": "1004", "Abstract": "Newts.",
            "DOI": "10.1000/x1", "PDF Link": "https://i/1", "Author Keywords": "pond;reed"
        },
        "10.1000/x1",
        {
            **LAI,
            "keywords": ["pond", "reed"]
        },
    ),
    "EBSCO": (
        {
            "Article Title": "Herons", "Author": "Lai, Zhen; Shi, S. Y.",
            "Journal Title": "J Foo", "ISSN": "", "ISBN": "", "Publication Date": "20181125",
            "Volume": "31", "Issue": "11", "First Page": "998", "Page Count": "7",
            "Accession Number": "131234567", "DOI": "", "Publisher": "Foo", "Doctype": "Article",
            "Subjects": "", "Keywords": "pond", "Abstract": "Newts.", "PLink": "https://e/1"
        },
        "made:",
        {
            **LAI,
            "date": "2018-11-25"
        },
    ),
    "Embase.com": (
        {
            "Title": "Herons", "Author Names": "Lai Z., Shi S.Y.",
            "Source": "J Foo (2018) 31:11 (998-1004). Date of Publication: 25 Nov 2018",
            "Abstract": "Newts.", "Emtree Drug Index Terms (Major Focus)": "",
            "Emtree Drug Index Terms": "n,n dimethyl (endogenous compound), newt toxin",
            "Emtree Medical Index Terms (Major Focus)": "bird (diagnosis, drug therapy), pond",
            "Emtree Medical Index Terms": "human", "Clinical Trial Numbers": "NCT01234567",
            "Open URL Link": "http://s.nl/u?sid=EMBASE&id=doi:10.1000%2Fx1&atitle=Herons"
        },
        "10.1000/x1",
        {
            **LAI,
            "date": "2018-11-25", "pages": "998-1004", "trials": ["NCT01234567"],
            "keywords": ["n,n dimethyl (endogenous compound)", "newt toxin",
                         "bird (diagnosis, drug therapy)", "pond", "human"]
        },
    ),
    "SpringerLink": (
        {
            "Item Title": "Herons", "Publication Title": "J Foo", "Book Series Title": "",
            "Journal Volume": "31", "Journal Issue": "11", "Item DOI": "10.1000/x1",
            "Authors": "Zhen LaiS\u00e9bastien ShiAngus McDonaldWei MaLi Na",
            "Publication Year": "2018", "URL": "https://s/1", "Content Type": "Article",
            "Abstract": "Newts."
        },
        "10.1000/x1",
        {
            **LAI,
            "authors": ["Lai Z", "Shi S", "McDonald A", "Ma W", "Na L"],
            "types": ["Journal Article"]
        },
    ),
    "pandas": (
        {
            "": "0", "pmid": "123.0", "title": "Herons", "abstract": "Newts.",
            'authors': "['Lai Z', 'Shi SY']", "year": "2018.0", "doi": "nan"
        },
        "123",
        {
            "authors": ["Lai Z", "Shi SY"], "year": 2018
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("exporter", EXPORTS)
def test_columns_of_exporters(exporter: str) -> None:
    cells, identity, metadata = EXPORTS[exporter]
    out = io.StringIO("\ufeff", newline="")
    out.seek(1)
    if exporter == "Dimensions":
        out.write('"About the data: Exported on Nov 29, 2026. Criteria: ""newt"" in title"\n')
    format_ = TSV if exporter == "Web of Science" else CSV
    table = csv.writer(out, delimiter="\t" if format_ is TSV else ",")
    table.writerow(cells)
    # Web of Science ends its rows with a tab, but not the header.
    table.writerow([*cells.values(), *([""] if format_ is TSV else [])])
    data = out.getvalue().encode()
    assert format_.recognises(data)
    (document,) = documents(read(data, format_))
    assert (document.title, document.text) == ("Herons", "Newts.")
    assert document.id.partition(":")[0] == identity.partition(":")[0]
    assert identity in ("made:", document.id)
    assert {name: document.metadata.get(name) for name in metadata} == metadata


@pytest.mark.parametrize(
    "column",
    ["abstract", "Abstract", "ABSTRACT", "Abstract Note", "AB", "abstract_text", "Author Abstract",
     "content", "body", "passage", "Brief Summary", "abstractText"],
)  # fmt: skip
@pytest.mark.parametrize("format_", [CSV, TSV])
def test_columns_that_are_the_text(column: str, format_: Format) -> None:
    between = "\t" if format_ is TSV else ","
    data = f"id{between}title{between}{column}\n2{between}Old walls{between}Moss was mapped.\n"
    assert documents(read(data, format_)) == [Document("2", "Old walls", "Moss was mapped.")]


def test_the_first_column_of_several_that_holds_a_text() -> None:
    data = "id,title,text,abstract\n1,T,All of it.,Short.\n2,U,,Short.\n"
    first, second = documents(read(data, CSV))
    assert first == Document("1", "T", "All of it.", {"abstract": "Short."})
    assert second == Document("2", "U", "Short.")


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        ("title,text,year\nHerons,A.,2011\nMoss,B.,2012\n", ["made:", "made:"]),
        ("doi,title,text\n10.1000/A1,Herons,A.\n,Moss,B.\n", ["10.1000/a1", "made:"]),
        ("id,pmid,title\n7,1,Herons\n,2,Moss\n", ["7", "2"]),
        ("doi,title\nn/a,Herons\nn/a,Moss\n", ["made:", "made:"]),
        ("pmid,pmcid,title\n,PMC5,Herons\n0,6,Moss\n", ["PMC5", "PMC6"]),
        ("eid,title\n2-s2.0-85057,Herons\n2-s2.0-85058,Moss\n", ["2-s2.0-85057", "2-s2.0-85058"]),
        ("_id,title\nd1,Herons\nd2,Moss\n", ["d1", "d2"]),
    ],
)
def test_ids_of_rows(data: str, ids: list[str]) -> None:
    found = [document.id for document in documents(read(data, CSV))]
    assert [one.partition(":")[0] + ":" if "made" in one else one for one in found] == ids
    assert len(set(found)) == 2


@pytest.mark.parametrize(
    "notice", ["[No abstract available]", "No abstract available.", "nan", "N/A", "None"]
)
def test_a_notice_is_no_abstract(notice: str) -> None:
    (document,) = documents(read(f"Title,Abstract\nHerons,{notice}\n", CSV))
    assert document.text == ""


def test_entities_are_read_before_lists_are_parted() -> None:
    data = (
        "title,authors,keywords,journal\n"
        'Herons,"M&uuml;ller, J; Shi, S",pond &amp; reed; moss,A &amp; B\n'
    )
    (document,) = documents(read(data, CSV))
    assert document.metadata["authors"] == ["Müller J", "Shi S"]
    assert document.metadata["keywords"] == ["pond & reed", "moss"]
    assert document.metadata["journal"] == "A & B"


def test_what_is_no_identifier_is_not_taken_for_one() -> None:
    (document,) = documents(read("doi,pmid,title\nn.d.,x9,Herons\n", CSV))
    assert document.metadata == {"doi_as_written": "n.d.", "pmid_as_written": "x9"}


def test_a_chapter_of_zotero_is_in_a_book() -> None:
    data = "Key,Item Type,Title,Publication Title\nA,bookSection,Herons,Birds\nB,book,Moss,\n"
    first, second = documents(read(data, CSV))
    assert (first.metadata["book"], first.metadata["types"]) == ("Birds", ["Book Chapter"])
    assert "journal" not in first.metadata
    assert second.metadata["types"] == ["Book"]


@pytest.mark.parametrize(
    ("data", "metadata"),
    [
        ("Item Type,Title,Publication Title,Publisher,Place\nconferencePaper,T,Birds,Foo,Bern\n",
         {"types": ["Conference Paper"], "book": "Birds", "publisher": "Foo", "place": "Bern"}),
        ("Item Type,Title,Publication Title,Publisher\nthesis,T,,Uni Foo\n",
         {"types": ["Thesis"], "school": "Uni Foo"}),
        ("Item Type,Title\npreprint,T\n", {"types": ["Preprint"]}),
        ("Document Type,Title,Source title\nBook chapter,T,Birds\n",
         {"types": ["Book Chapter"], "book": "Birds"}),
        ("Publication Type,Title,Source title,Anthology title\nChapter,T,,Birds\n",
         {"types": ["Book Chapter"], "book": "Birds"}),
        ("Content Type,Item Title,Publication Title\nChapter,T,Birds\n",
         {"types": ["Book Chapter"], "book": "Birds"}),
        ("Publication Type,Title,Publication Date,Publication Year\nJ,T,DEC 16,2018\n",
         {"year": 2018, "date": "2018-12-16"}),
        ("Title,Publication Date,Publication Year\nT,NOV-DEC,2018\n",
         {"year": 2018, "date": "2018"}),
        ("Title,Published Year,Accession Number\nT,2018,31858815\n",
         {"year": 2018, "date": "2018", "Accession Number": "31858815"}),
    ],
)  # fmt: skip
def test_types_dates_and_numbers(data: str, metadata: dict[str, Any]) -> None:
    (document,) = documents(read(data, CSV))
    assert document.metadata == metadata
    assert document.id.startswith("made:")


def test_markup_is_no_text() -> None:
    data = (
        "id,title,abstract\n1,Effect of CO<inf>2</inf> on <i>Rana</i> &amp; newts,"
        "<jats:p>Frogs (p &lt; 0.001) in H<sub>2</sub>O; p < 0.05</jats:p>\n"
    )
    (document,) = documents(read(data, CSV))
    assert document.title == "Effect of CO2 on Rana & newts"
    assert document.text == "Frogs (p < 0.001) in H2O; p < 0.05"


def test_the_texts_of_a_judged_corpus_stay_as_they_are() -> None:
    data = '_id,title,text\n d1,A <i>x</i>,"10² &amp;\nmore"\n'
    assert documents(read(data, CSV)) == [Document("d1", "A <i>x</i>", "10² &amp;\nmore")]


# --- delimiters and lines above the header


@pytest.mark.parametrize("delimiter", [",", ";", "|"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("notice", ["", "sep=X\n", '\ufeff"sep=X"\n'])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_delimiters(delimiter: str, quoting: int, notice: str, end: str) -> None:
    out = io.StringIO(newline="")
    rows = [
        ["id", "title", "text", "year"],
        ["1", "Herons", "Herons ate newts, and frogs.", "2011"],
        ["2", "Moss", "3,5 m; mapped.", "2012"],
    ]
    table = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
    table.writerows(rows)
    data = notice.replace("X", delimiter).replace("\n", end) + out.getvalue()
    assert CSV.recognises(data.encode())
    found = documents(read(data, CSV))
    assert [[d.id, d.title, d.text, str(d.metadata["year"])] for d in found] == rows[1:]


def test_a_delimiter_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("id~title,a\n1~Herons, newts\n")
    settings = ReadSettings(delimiter="~", mapping={"title": "title,a"})
    with SourceReader(path) as source:
        assert recognise(source, settings) is CSV
        assert documents(list(items(source, CSV, settings))) == [Document("1", "Herons, newts")]


def test_a_mapped_column_tells_the_delimiter() -> None:
    data = "nr;Titel, deutsch;Inhalt\n1;Reiher;Er fraß, was er fand.\n"
    found = documents(read(data, CSV, id="nr", title="Titel, deutsch", text="Inhalt"))
    assert found == [Document("1", "Reiher", "Er fraß, was er fand.")]


@pytest.mark.parametrize(
    "above",
    [
        '"About the data: Exported on Nov 29, 2026. Criteria: herons, in title"\n',
        "Search: herons AND newts\n\nRecords 1 to 2\n",
        "My export,,\n,,\n",
    ],
)
def test_lines_above_the_header_are_passed_over_and_said(above: str) -> None:
    found = read(above + "id,title,abstract\n1,Herons,Newts.\n2,Moss,Walls.\n", CSV)
    assert [document.id for document in documents(found)] == ["1", "2"]
    skipped = [item for item in found if isinstance(item, Skipped)]
    assert skipped
    assert {item.reason for item in skipped} == {"a line above the header of the table"}
    assert skipped[0].place.line == 1


def test_fields_in_rows_as_embase_writes_them() -> None:
    record = (
        '"TITLE","Herons, and {0}"\n"AUTHOR NAMES","Lai Z.","Shi S.Y."\n"SOURCE TITLE","J Foo"\n'
        '"PUBLICATION YEAR","2018"\n"ABSTRACT","Newts."\n'
        '"MEDLINE PMID","{0}","http://www.ncbi.nlm.nih.gov/pubmed/{0}"\n"DOI","10.1000/x{0}"\n\n'
    )
    data = record.format(1) + record.format(2)
    assert CSV.recognises(data.encode())
    first, second = documents(read(data, CSV))
    metadata = {"authors": ["Lai Z", "Shi SY"], "journal": "J Foo", "year": 2018, "date": "2018"}
    assert first == Document(
        "1", "Herons, and 1", "Newts.", {**metadata, "pmid": "1", "doi": "10.1000/x1"}
    )
    assert second.id == "2"


def test_a_table_without_a_header_names_its_first_row() -> None:
    with pytest.raises(CorpusError, match="its columns are 'a', 'b'"):
        read("a,b\n" + "1,2\n" * 40, CSV)


@pytest.mark.parametrize(
    ("data", "is_csv", "is_tsv"),
    [
        (PUBMED.encode(), True, False),
        (b"a,b\n1,2\n3,4\n", True, False),
        (b"a\tb\n1\t2\n", False, True),
        (b"a\tb,c\n1\t2,3\n", True, True),
        (b"id,text\n", True, False),
        (b"Dear Sir, you wrote,\nthat all is well.\n\nIt, however, is not.\n", False, False),
        (b"Dear Sir, hello\n", False, False),
        (b"one\ntwo\n", False, False),
        (b"", False, False),
        (b"a,b\n\0,1\n", False, False),
        (b"a;b\n1;2\n3;4\n", True, False),
        (b"| a | b |\n|---|---|\n| 1 | 2 |\n", False, False),
        (b"# Fields\n\n| title | text |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |\n", False, False),
        (b"names = [\n    'title', 'text',\n    'year', 'doi',\n]\n", False, False),
        (b"a,b\nc,d,e\n'body',\ntitle,\nx,y,z\n", False, False),
        (b"# Notes\n\nAll, and more.\nSome; others.\n", False, False),
    ],
)
def test_recognised_by_content(data: bytes, is_csv: bool, is_tsv: bool) -> None:
    assert (CSV.recognises(data), TSV.recognises(data)) == (is_csv, is_tsv)


# --- properties

# Without what is markup, or is written anew: superscripts.
cells = st.text(
    st.characters(exclude_categories=["Cs", "No"], exclude_characters="\0\r<&["), max_size=10
).filter(lambda cell: cell.strip().casefold() not in ("nan", "none", "null", "n/a", "#n/a"))
texts = cells.filter(lambda cell: said(cell) and abstract_of([cell]))
rows = st.lists(st.tuples(cells.filter(str.strip), texts, texts), max_size=6)


@given(rows, st.sampled_from([CSV, TSV]))
def test_what_is_written_is_read(given_: list[tuple[str, str, str]], format_: Format) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter="\t" if format_ is TSV else ",", quoting=csv.QUOTE_ALL)
    writer.writerows([("id", "title", "text"), *given_])
    found = documents(read(out.getvalue(), format_))
    assert [(d.id, d.title, d.text) for d in found] == [
        tuple(" ".join(cell.split()) for cell in row) for row in given_
    ]
