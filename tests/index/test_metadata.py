"""Metadata of an index: what is a field, filters with words and phrases, facets, dates."""

from __future__ import annotations

import numpy as np
import pytest
from index_help import build_items, record

from bioretrieval_tui.documents.bibliography import document_date
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import FilterError, UsageError
from bioretrieval_tui.index import metadata, metadata_blocks, metadata_fields
from bioretrieval_tui.index.metadata import MetadataIndex
from bioretrieval_tui.index.metadata_fields import MOST_EXTRAS, MOST_VALUES, field_of, pairs, when
from bioretrieval_tui.index.registry import OpenIndex, info, open_index
from bioretrieval_tui.index.shelf_conditions import NAMES
from bioretrieval_tui.index.verify import verify_index


def fields_of(*items: object) -> MetadataIndex:
    build_items("demo", *items)  # type: ignore[arg-type]
    return opened().fields


def opened() -> OpenIndex:
    return open_index("demo")


def found(fields: MetadataIndex, expression: str) -> list[int]:
    return fields.select(fields.parse(expression)).tolist()


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, (-1, -1)),
        ({"year": 2020}, (2020, 20200000)),
        ({"year": "2020"}, (2020, 20200000)),
        ({"date": "2020-05"}, (2020, 20200500)),
        ({"year": 2020, "date": "2020-05-06"}, (2020, 20200506)),
        ({"year": 2021, "date": "2020-05-06"}, (2021, 20210000)),
        ({"pubdate": "2019 Mar 7"}, (2019, 20190307)),
        ({"publication_date": "Spring 1998"}, (1998, 19980000)),
        ({"year": True, "date": None}, (-1, -1)),
        ({"year": 99, "date": ["2020"]}, (-1, -1)),
    ],
)
def test_when_a_document_is_of(metadata: dict[str, object], expected: tuple[int, int]) -> None:
    document = Document("a", metadata=metadata)
    assert when(document) == expected
    assert (document_date(metadata) is None) == (expected[0] < 0)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("mesh", "mesh"),
        ("MeSH terms", "mesh"),
        ("Publication Type", "type"),
        ("types", "type"),
        ("authors", "author"),
        ("Journal", "journal"),
        ("Study design", "study_design"),
        ("year", None),
        ("Title", None),
        ("has", None),
        ("IS", None),
        ("2nd reviewer", None),
        ("...", None),
        ("", None),
        ("x" * 65, None),
        ("\x1b[31m", None),
    ],
)
def test_which_key_is_which_field(key: str, name: str | None) -> None:
    assert field_of(key) == name


@pytest.mark.parametrize(
    ("written", "names"),
    [
        (["Doe, Jane", "Roe R"], ["Doe, Jane", "Roe R"]),
        ("Doe J, van der Roe AB, M\u00fcller-\u00d6 C Jr.",
         ["Doe J", "van der Roe AB", "M\u00fcller-\u00d6 C Jr"]),
        ("Doe J, et al.", ["Doe J", "et al"]),
        ("Doe, Jane", ["Doe, Jane"]),
        ("Doe, Jane; Roe, Richard;", ["Doe, Jane", "Roe, Richard"]),
        ("The Working Group", ["The Working Group"]),
        ("", []),
        (None, []),
    ],
)  # fmt: skip
def test_people(written: object, names: list[str]) -> None:
    document = Document("a", metadata={"authors": written})
    assert [text for name, text in pairs(document) if name == "author"] == names


def test_only_fields_that_somebody_has_can_be_named() -> None:
    fields = fields_of(record("a", "text", journal="Nature"), record("b", "", "only a title"))
    assert info("demo").fields == ("abstract", "id", "journal")
    named = [field.name for field in fields.schema.fields]
    assert {*named} == {"abstract", "id", "journal", "retracted", *NAMES}
    with pytest.raises(FilterError, match='"mesh" is not a field'):
        fields.parse("mesh:mice")
    with pytest.raises(FilterError) as caught:
        fields.parse("journal:x jornal:nature")
    assert caught.value.column == 10
    assert "did you mean journal?" in caught.value.line()


def test_abstracts() -> None:
    fields = fields_of(record("a", "text"), record("b", " ", "title"), record("c", "more"))
    assert found(fields, "has:abstract") == found(fields, "is:abstract") == [0, 2]
    assert found(fields, "-has:abstract") == found(fields, "abstract:no") == [1]


def test_words_are_those_of_the_lexical_index() -> None:
    fields = fields_of(
        record("a", "Tumours of mice", "IL-6 and tumors"),
        record("b", "a tumor", "TNF\u03b1"),
        record("c", "nothing of it", "Mouse"),
    )
    assert found(fields, "tumour") == [0, 1]
    assert found(fields, "tumours mice") == [0]
    assert found(fields, "IL6") == [0]
    assert found(fields, '"TNF-alpha" OR mouse') == [2]
    assert found(fields, "TNF-alpha OR mouse") == [1, 2]
    assert found(fields, "-tumor") == [2]
    assert found(fields, "unheard") == []


@pytest.mark.parametrize(
    ("expression", "column"),
    [("the", 0), ("id:a the", 5), ('-"%"', 2), ("(id:a OR -and)", 10)],
)
def test_words_that_are_not_indexed_are_refused(expression: str, column: int) -> None:
    fields = fields_of(record("a", "the text and more"))
    with pytest.raises(FilterError, match="has no searchable terms") as caught:
        fields.parse(expression)
    assert caught.value.column == column


def test_phrases_stand_in_order_and_uncut() -> None:
    fields = fields_of(
        record("a", "late interaction models"),
        record("b", "interaction that comes late"),
        record("c", "late", "interaction"),
        record("d", "Late-Interaction"),
        record("e", "too late interactions"),
        record("f", "of type 2 diabetes mellitus"),
    )
    assert found(fields, '"late interaction"') == [0, 3]
    assert found(fields, '-"late interaction" late') == [1, 2, 4]
    assert found(fields, '"2 diabetes"') == [5]
    assert found(fields, '"late" OR "diabetes mellitus"') == [0, 1, 2, 3, 4, 5]


def test_quotes_take_stop_words_and_acronyms_literally() -> None:
    fields = fields_of(
        record("a", "The WHO asks for less salt"),
        record("b", "Those who map it all"),
        record("c", "Relapse of ALL"),
        record("d", "WHO GUIDELINES ON ALL SALTS"),
    )
    assert found(fields, '"WHO"') == found(fields, "WHO") == [0, 3]
    assert found(fields, '"who"') == [0, 1, 3]
    assert found(fields, '"it all"') == [1]
    assert found(fields, '"of ALL"') == [2]
    assert found(fields, "ALL") == [2, 3]
    assert found(fields, '"WHO guidelines"') == [3]


def test_a_phrase_that_may_stand_in_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = fields_of(*(record(f"d{n}", f"clinical trial {n}", year=2000 + n) for n in range(9)))
    monkeypatch.setattr(metadata, "MOST_READ", 5)
    with pytest.raises(UsageError, match="may occur in 9 documents") as caught:
        found(fields, '"clinical trial"')
    assert "without quotes" in caught.value.line()
    assert found(fields, '"clinical trial" year>=2005') == [5, 6, 7, 8]


def test_facets() -> None:
    fields = fields_of(
        record("a", "1", journal="B", year=2001, mesh=["Mice", "Rats"]),
        record("b", "2", journal="A", year=2003, mesh=["Mice"]),
        record("c", "3", journal="C", year=2003, mesh=["Mice", "Mice"]),
        record("d", "4", journal="C"),
        record("e", "5"),
    )
    everything = np.arange(5)
    assert fields.facets(everything, "journal") == [("C", 2), ("A", 1), ("B", 1)]
    assert fields.facets(everything, "journal", 2) == [("C", 2), ("A", 1)]
    assert fields.facets(everything, "topic") == [("Mice", 3), ("Rats", 1)]
    assert fields.facets(everything, "year") == [("2003", 2), ("2001", 1)]
    assert fields.facets(everything, "year", 1) == [("2003", 2)]
    assert fields.facets(np.array([3, 0]), "journal") == [("B", 1), ("C", 1)]
    assert fields.facets(np.array([4]), "mesh") == fields.facets(everything[:0], "mesh") == []
    assert fields.facets(everything, "doi") == fields.facets(everything, "mesh", 0) == []


def test_facets_of_a_few_among_many_values() -> None:
    fields = fields_of(*(record(f"d{n:03}", f"x {n}", journal=f"J{n % 7}") for n in range(100)))
    assert fields.facets(np.array([5, 99, 98]), "id") == [("d005", 1), ("d098", 1), ("d099", 1)]
    counts = dict(fields.facets(np.arange(100), "journal"))
    assert counts == {f"J{n}": len(range(n, 100, 7)) for n in range(7)}


def test_dates_keep_the_order_of_the_labels() -> None:
    fields = fields_of(
        record("a", "1", date="2020-05-06"), record("b", "2"), record("c", "3", year="1999")
    )
    assert fields.dates(np.array([2, 0, 1, 2])).tolist() == [19990000, 20200506, -1, 19990000]
    assert fields.dates(np.array([], dtype=np.int64)).dtype == np.int64


def test_an_own_key_becomes_a_field_while_it_has_few_values() -> None:
    items = [
        record(f"d{n}", f"text {n}", Category=f"C{n % 3}", serial=n) for n in range(MOST_VALUES + 1)
    ]
    fields = fields_of(*items)
    assert info("demo").fields == ("abstract", "category", "id")
    assert fields.facts.left_out == ("serial",)
    assert found(fields, "category:c1") == list(range(1, MOST_VALUES + 1, 3))
    # So many vectors of two words in 16 dimensions are hard for a graph: only the fields count.
    assert [one.ok for one in verify_index("demo").checks if one.what == "metadata"] == [True]


def test_keys_without_end() -> None:
    keys = {f"key{n:03}": "x" for n in range(MOST_EXTRAS + 5)}
    fields = fields_of(record("a", "text", **keys), record("b", "more", key000="y"))
    assert fields.facts.full
    assert info("demo").fields == ("abstract", "id", *sorted(keys)[:MOST_EXTRAS])
    assert found(fields, "has:key000") == [0, 1]


def test_many_small_blocks_are_one_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata_blocks, "_POSTING_BYTES", 2**20)  # a block every few documents
    items = [
        record(f"d{n}", f"text {n}", journal=f"J {n % 11}", mesh=[f"M{n % 5}", f"N{n}"], year=2000)
        for n in range(200)
    ]
    fields = fields_of(*items)
    assert len(fields._blocks) > 5
    assert found(fields, "journal=j3") == list(range(3, 200, 11))
    assert found(fields, "mesh:m4 mesh:n9") == [9, 94, 99]
    assert fields.facets(np.arange(200), "mesh", 2) == [("M0", 40), ("M1", 40)]
    assert fields.facets(np.arange(200)[::-1], "year") == [("2000", 200)]
    assert fields.dates(np.array([199, 0, 77])).tolist() == [20000000] * 3
    assert verify_index("demo").ok


def test_long_and_hostile_values() -> None:
    fields = fields_of(
        record("a", "1", journal="x" * 5_000),
        record("b", "2", journal="\x1b[31mred\n\x00\u202e"),
        record("c", "3", journal="\n"),
        record("d", "4", journal={"a": [[1]]}, mesh=[["deep"], None, {"a": 1}]),
    )
    ((longest, _), (other, _)) = sorted(fields.facets(np.arange(4), "journal"), reverse=True)
    assert longest == "x" * metadata_fields.MOST_CHARACTERS
    assert other == "\x1b[31mred\n\x00\u202e"
    assert found(fields, "has:journal") == [0, 1]
    assert found(fields, "journal:xx OR journal:31mred") == [0, 1]
    assert "mesh" not in [field.name for field in fields.schema.fields]


def test_retracted_works_are_found_and_left_out_in_any_index() -> None:
    fields = fields_of(
        record("a", "one", types=["Journal Article", "Retracted Publication"]),
        record("b", "two", corrections=["Retraction in PMID 5: J"]),
        record("c", "four", types=["Retraction of Publication"], corrections=["Retraction of: J"]),
        record("d", "five", is_retracted=True),
        record("e", "six", retracted=False),
    )
    assert found(fields, "is:retracted") == found(fields, "retracted:yes") == [0, 1, 3]
    assert found(fields, "-is:retracted") == found(fields, "retracted:no") == [2, 4]
    assert found(fields, 'correction:"retraction of"') == [2]
    assert found(fields_of(record("a", "text")), "-is:retracted") == [0]


def test_fields_of_bibliographic_records() -> None:
    fields = fields_of(
        record("a", "one", trials=["NCT00000419"], affiliations=["Marsh College, Ghent"],
               mesh_qualifiers=["Asthma/therapy", "Asthma/genetics"]),
        record("b", "two", mesh_qualifiers=["Telomere/drug therapy"], substances=["Telomerase"],
               supplementary=["Cri du chat"], editors=["Ed E"], databanks=["GENBANK/AF1"],
               publisher="Marsh", pmid_version=2, references=["1", "10.1000/x"]),
    )  # fmt: skip
    for expression, expected in (
        ("trial:NCT00000419", [0]),
        ("trial=nct00000419", [0]),
        ("has:trial", [0]),
        ("qualifier:therapy", [0, 1]),
        ('qualifier="asthma/therapy"', [0]),
        ("subheading:asthma", [0]),
        ('supplementary:"cri du chat"', [1]),
        ("substance:telomerase", [1]),
        ("affiliation:ghent", [0]),
        ("editor:ed", [1]),
        ("databank:AF1", [1]),
        ("publisher:marsh", [1]),
    ):
        assert found(fields, expression) == expected, expression
    assert fields.schema.find("pmid_version") is fields.schema.find("references") is None
