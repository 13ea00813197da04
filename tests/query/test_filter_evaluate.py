"""What filters find among a few rows, in which order, and what is highlighted."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Mapping

import pytest

from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.query import Field, Filter, Row, Schema
from bioretrieval_tui.util.folding import fold

SCHEMA = Schema(
    [
        Field("name", "text"),
        Field("tags", "set", ("tag",)),
        Field("licence", "text"),
        Field("hub", "set"),
        Field("year", "number"),
        Field("params", "number"),
        Field("docs", "number"),
        Field("gated", "bool"),
    ]
)


def row(name: str, tags: str = "", text: str = "", /, **values: object) -> Row:
    return Row(name.lower().replace(" ", "-"), name, tuple(tags.split()), text, values.get)


ENCODER = "MedCPT Query Encoder"
ROWS = (
    row("BMRetriever-2B", "dense instruction", "Biomedical pairs.", params=2_510_000_000),
    row("BMRetriever-410M", "dense", "Small, enough for metformin.", params=353_822_720),
    row(ENCODER, "dense entity-linking", "PubMed logs; late interaction: no.", year=2023),
    row("BioHiCL", "dense hierarchy", "A general recipe.", year=2026, licence="CC BY-NC 4.0"),
    row("SapBERT", "ner linking", "UMLS. Alzheimer\u2019s.", gated=True, licence="Apache-2.0"),
    row("TREC-COVID", "benchmark", "Judged by naïve nurses.", docs=171_332, gated=False),
    row("BERT", "encoder", "Not biomedical.", hub=("google/bert-base", "org/BioHiCL-base")),
)
FILTER = Filter(ROWS, SCHEMA)


def names(expression: str, target: Filter = FILTER) -> list[str]:
    return [ROWS[number].name for number in target.apply(expression)]


def test_an_empty_filter_shows_all_in_order() -> None:
    assert FILTER.apply("") == list(range(len(ROWS)))


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        # exact name, then a word of a name (at a capital), then a word within one, then text
        ("bert", ["BERT", "SapBERT"]),
        ("bmretriever", ["BMRetriever-2B", "BMRetriever-410M"]),
        ("bmretriever-2b", ["BMRetriever-2B"]),
        ("BMRetriever2B", ["BMRetriever-2B"]),
        ("bm_retriever_2b", ["BMRetriever-2B"]),
        ("bio-hicl", ["BioHiCL"]),
        ("bio_hicl", ["BioHiCL"]),
        ("late-interaction", [ENCODER]),
        ("lateinteraction", []),
        # begins a word of a name, a tag, a word of a text; then within a word, as given
        ("en", [ENCODER, "BERT", "BMRetriever-410M", "BMRetriever-2B", "BioHiCL", "TREC-COVID"]),
        ("ner", ["SapBERT", "BioHiCL"]),
        ("naive NURSES", ["TREC-COVID"]),
        ("alzheimer's", ["SapBERT"]),
        ("dense biomedical", ["BMRetriever-2B"]),
        # slips: of a name before those of a text, one before two
        ("bmretriver", ["BMRetriever-2B", "BMRetriever-410M"]),
        ("metfromin", ["BMRetriever-410M"]),
        ("sapbrt", ["SapBERT"]),
        ("covdi", ["TREC-COVID"]),
        ("lgos", [ENCODER]),
        # three letters and numbers are never slips; letters of a name in order come last
        ("lgs", []),
        ("2203", []),
        ("bmr2b", ["BMRetriever-2B"]),
        ("mcqe", [ENCODER]),
        ("zzzz", []),
    ],
)
def test_words(expression: str, found: list[str]) -> None:
    assert names(expression) == found


def test_a_slip_counts_only_where_no_row_has_the_word() -> None:
    rows = (row("one", "", "metformin"), row("two", "", "metformim"))
    assert Filter(rows, SCHEMA).apply("metformin") == [0]
    assert Filter(rows, SCHEMA).apply("metformix") == [0, 1]


def test_nearer_slips_come_first_and_numbers_are_none() -> None:
    rows = (
        row("two", "", "retrieved 2020"),
        row("one", "", "retriever"),
        row("retrieved", "", ""),
        row("retriever", "", ""),
    )
    target = Filter(rows, SCHEMA)
    assert target.apply("retriver") == [3, 2, 1, 0]
    assert target.apply("202o") == target.apply("2021") == []


def test_the_sum_of_the_words_decides_and_ties_keep_their_order() -> None:
    rows = (
        row("alpha", "", "beta gamma"),
        row("gamma", "", "alpha beta"),
        row("alpha gamma", "", "beta"),
        row("delta", "", "alpha beta gamma"),
        row("delta", "gamma", "alpha beta"),
    )
    target = Filter(rows, SCHEMA)
    assert target.apply("alpha") == [0, 2, 1, 3, 4]
    assert target.apply("alpha gamma") == [2, 0, 1, 4, 3]
    assert target.apply("alpha OR gamma") == [2, 0, 1, 4, 3]
    assert target.apply('"alpha"') == [0, 1, 2, 3, 4]
    assert target.apply("gamma -delta") == [1, 2, 0]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ('"late interaction"', [ENCODER]),
        ('"late-interaction"', [ENCODER]),
        ('"ate interaction"', []),
        ('"ner"', ["SapBERT"]),
        ('"bert"', ["BERT"]),
        ('"interaction: no."', [ENCODER]),
        ('"encoder dense"', []),
        ("-dense", ["SapBERT", "TREC-COVID", "BERT"]),
        ("-ner -dense", ["TREC-COVID", "BERT"]),
        ('-"ner" -dense', ["TREC-COVID", "BERT"]),
        ('-"bert" -dense', ["SapBERT", "TREC-COVID"]),
        ("-metfromin has:params", ["BMRetriever-2B", "BMRetriever-410M"]),
        ("-(metfromin has:params) has:params", ["BMRetriever-2B", "BMRetriever-410M"]),
        ("-(dense OR benchmark)", ["SapBERT", "BERT"]),
        ("tags:ner", ["SapBERT"]),
        ("tags:link", [ENCODER, "SapBERT"]),
        ("tags=linking", ["SapBERT"]),
        ("tags:entitylinking", [ENCODER]),
        ("tags:hierarchy,encoder", ["BioHiCL", "BERT"]),
        ("name:retriever", ["BMRetriever-2B", "BMRetriever-410M"]),
        ("name:triever", []),
        ('name:"query encoder"', [ENCODER]),
        ("name=bmretriever2b", ["BMRetriever-2B"]),
        ("licence:cc-by", ["BioHiCL"]),
        ("licence=cc-by-nc-4.0", ["BioHiCL"]),
        ("licence=cc-by", []),
        ("licence!=apache2.0 has:licence", ["BioHiCL"]),
        ("hub:hicl", ["BERT"]),
        ("hub:bert-base", ["BERT"]),
        ("hub=google/bert-base", ["BERT"]),
        ("params<=500M", ["BMRetriever-410M"]),
        ("params>1.5B", ["BMRetriever-2B"]),
        ("params:354M", ["BMRetriever-410M"]),
        ("params:353M", []),
        ("params=353822720", ["BMRetriever-410M"]),
        ("docs:171K", ["TREC-COVID"]),
        ("year:2023..2026", [ENCODER, "BioHiCL"]),
        ("year:..2025", [ENCODER]),
        ("year>2023", ["BioHiCL"]),
        ("year!=2023 has:year", ["BioHiCL"]),
        ("gated:yes", ["SapBERT"]),
        ("gated:no", ["TREC-COVID"]),
        ("gated!=yes has:gated", ["TREC-COVID"]),
        ("-has:tags", []),
        ("year:2026 OR gated:yes", ["BioHiCL", "SapBERT"]),
        ("(year:2026 OR gated:yes) licence:cc", ["BioHiCL"]),
    ],
)
def test_phrases_fields_and_logic(expression: str, found: list[str]) -> None:
    assert names(expression) == found


def test_a_negation_is_the_rest() -> None:
    for term in ("bert", '"bert"', "tags:ner", "year>=2023", "gated:yes", "has:licence"):
        assert sorted(FILTER.apply(term) + FILTER.apply(f"-{term}")) == list(range(len(ROWS)))


@pytest.mark.parametrize(
    "values",
    [
        {"year": None, "licence": None, "gated": None},
        {"year": "2023", "licence": "", "gated": "yes", "hub": ()},
        {"year": float("nan"), "licence": "  ", "gated": 1, "hub": ("", " ")},
        {"year": True, "licence": (), "hub": None},
        {"year": float("inf")},
    ],
)
def test_values_that_do_not_suit_their_field_are_no_values(values: Mapping[str, object]) -> None:
    target = Filter((Row("k", "n", (), "", values.get),), SCHEMA)
    for field in ("year", "licence", "gated", "hub"):
        assert target.apply(f"has:{field}") == []
    assert target.apply("year<=9999 OR year>=0 OR gated:yes OR gated:no") == []


def test_a_text_field_takes_numbers_and_several_texts() -> None:
    target = Filter((row("a", licence=12345), row("b", licence=("MIT", "Apache"))), SCHEMA)
    assert target.apply("licence:123") == [0]
    assert target.apply("licence=apache") == [1]


def test_fields_of_the_row_itself_need_no_value() -> None:
    own = Schema([Field(name, "text") for name in ("key", "name", "tags", "text", "other")])
    target = Filter((Row("the-key", "The name", ("tag",), "The text", {"name": "Else"}.get),), own)
    assert target.apply("key=the-key tags:tag text:text") == [0]
    assert target.apply("name:else") == [0]
    assert target.apply("name:the") == []
    assert target.apply("has:other") == []


@pytest.mark.parametrize(
    "expression", ["", "a", '"a"', "-a", "tags:a", "year>1", "has:tags", "aaaa"]
)
def test_no_rows_no_results(expression: str) -> None:
    assert Filter((), SCHEMA).apply(expression) == []


def test_texts_that_mean_harm_are_only_text() -> None:
    hostile = "\x1b]8;;http://evil\x07 (a+)+$ \x00 \ud800 [^ " + "a" * 5000
    target = Filter((Row("k", hostile, (hostile,), hostile, {"licence": hostile}.get),), SCHEMA)
    assert target.apply("(a|a) evil licence:evil") == [0]
    assert target.apply('"(a+)+$"') == [0]
    assert target.apply("a*b") == []


def test_errors_come_through() -> None:
    with pytest.raises(FilterError, match="is not a field"):
        FILTER.apply("yaer:2020")


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("BERT", "bert"),
        ("Naïve Å", "naive a"),
        ("Straße", "strasse"),
        ("ﬁne", "fine"),
        ("x\u2013y\u2212z", "x-y-z"),
        ("Alzheimer\u2019s", "alzheimer's"),
        ("zero\u200bwidth", "zerowidth"),
        ("İ", "i"),
    ],
)
def test_fold(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_fold_is_stable() -> None:
    for code in (*range(0x3400), *range(0xA640, 0xABFF), *range(0xF900, 0x10000)):
        once = fold(chr(code))
        assert fold(once) == once, hex(code)


def test_a_filter_is_freed_with_its_last_name() -> None:
    gc.disable()
    try:
        target = Filter(ROWS, SCHEMA)
        target.apply("dense year>2020 metfromin")
        gone = weakref.ref(target)
        del target
        assert gone() is None
    finally:
        gc.enable()


def test_nothing_heavy_is_loaded_before_a_word_is_mistyped() -> None:
    script = """
import sys
from bioretrieval_tui.query import Field, Filter, Row, Schema
rows = [Row("k", "BMRetriever", ("dense",), "text", {}.get)]
target = Filter(rows, Schema([Field("year", "number")]))
assert target.apply("dense bmr -year>2020") == [0]
heavy = {"rapidfuzz", "textual", "numpy", "torch", "difflib", "httpx"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert target.apply("bmretreiver") == [0]
assert "rapidfuzz" in sys.modules and "numpy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
