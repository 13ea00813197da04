"""CSV and TSV: columns, mapping, quotes, what is refused, and what holds for any bytes."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reader_help import (
    documents,
    read,
    rejected,
)

from bioretrieval_tui.documents.detect import Format, by_name
from bioretrieval_tui.documents.document import Document
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
        ("a,b", {"title": "b"}, "no column holds `id` or `pmid` or `doi`", "--map id=COLUMN"),
        ("id,b", {}, "no column holds `title` or `text`", "--map title=COLUMN"),
        ("id,b,b", {"title": "b"}, "occurs twice", "--map title=COLUMN"),
        (",".join(f"c{n}" for n in range(30)), {}, "and 18 more", "--map id=COLUMN"),
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
        ("1", "two\r\nlines", 'a "b", c'),
        ("2", "U", ""),
    ]
    assert [item.place.line for item in found] == [3, 6]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"9,T", "2 fields, not 3"),
        (b"9,T,B,more", "4 fields, not 3"),
        (b",T,B", "the id is empty"),
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
        ("2", "over\nlines"),
        ("3", '5" pipe'),
        ("4", "quoted"),
        ("5", '"open'),
    ]


def test_utf16_as_excel_saves_it() -> None:
    data = "id\ttitle\r\n1\tÄther\r\n".encode("utf-16")
    assert TSV.recognises(data)
    assert documents(read(data, TSV)) == [Document("1", "Äther")]


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
    ],
)
def test_recognised_by_content(data: bytes, is_csv: bool, is_tsv: bool) -> None:
    assert (CSV.recognises(data), TSV.recognises(data)) == (is_csv, is_tsv)


# --- properties

# Without what is markup, or is written anew: superscripts.
cells = st.text(
    st.characters(exclude_categories=["Cs", "No"], exclude_characters="\0\r<&"), max_size=10
)
rows = st.lists(st.tuples(cells.filter(str.strip), cells.filter(str.strip), cells), max_size=6)


@given(rows, st.sampled_from([CSV, TSV]))
def test_what_is_written_is_read(given_: list[tuple[str, str, str]], format_: Format) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter="\t" if format_ is TSV else ",", quoting=csv.QUOTE_ALL)
    writer.writerows([("id", "title", "text"), *given_])
    found = documents(read(out.getvalue(), format_))
    assert [(d.id, d.title, d.text) for d in found] == [
        (" ".join(identity.split()), title, text) for identity, title, text in given_
    ]
