"""Terms: biomedical names in all their spellings, stems, numbers, and text of any kind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.index import analysis
from bioretrieval_tui.index.analysis import (
    MAX_TERM,
    chunks,
    fold,
    fold_traced,
    spans,
    tokens,
)

# Text in which names, numbers, dashes, Greek and oddities meet more often than by chance.
PIECES = st.sampled_from(
    (
        "IL 6 - \u2013 \u2212 \u03b1 \u03b2 \u03ba TNF alpha beta p < = 0.05 .03 type II iii"
        " vitamin D in the 's Crohn \u2019s , . 1,000 5 HT 2A NF kappa B \u00e9 e\u0301 \u00b2"
        " \u2079 \u00df \u0130 \ufb01 \u4e2d\u6587 \x01 \x00 \x1b[0m \u00ad \u200b ( ) / COVID"
        " 19 a _ \ud800 \n"
    ).split(" ")
)
TEXT = st.one_of(
    st.text(max_size=80),
    st.lists(st.one_of(PIECES, st.just(" "), st.just("")), max_size=30).map("".join),
)


def is_acronym(term: str) -> bool:
    """Whether a term is written in the letters that only acronyms have."""
    return analysis._FIRST_MARK <= term[:1] <= analysis._LAST_MARK


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        ("il6", "IL-6|IL6|IL 6|il\u20136|IL\u22126|IL\u20106"),
        (
            "tnfa",
            "TNF-alpha|TNF\u03b1|TNF-\u03b1|TNF alpha|TNF \u03b1|TNFalpha|TNFa|TNF-a",
        ),
        ("covid19", "COVID-19|Covid 19|COVID19|covid\u201119"),
        ("5ht2a", "5-HT2A|5-HT 2A|5HT2A|5-HT-2A"),
        ("p53", "p53|P53|p-53|p 53"),
        ("nfkb", "NF-\u03baB|NF-kappaB|NF-kappa B|NF kappa B|NF-kB|NFkB|NF-kappa-B|NF\u03baB"),
        ("il1b", "IL-1\u03b2|IL-1 beta|IL-1beta|IL1b|IL-1b|IL-1-beta"),
        ("type2", "type 2|type II|Type-2|TYPE II"),
        ("vitamind", "vitamin D|Vitamin-D"),
        ("cd4", "CD4+|CD4\u207a|CD-4|CD 4"),
        ("ca2", "Ca2+|Ca\u00b2\u207a|Ca\u2082"),
        ("1000", "1,000|1000"),
        ("tumor", "tumour|tumors|Tumours|tumor's"),
        ("diagnos", "diagnosis|diagnoses|diagnosed"),
        ("crohn", "Crohn's|Crohn\u2019s|Crohn"),
        ("nct01234567", "NCT01234567|NCT 01234567|nct-01234567"),
        ("naiv", "na\u00efve|naive|nai\u0308ve"),
        ("hemoglobin", "haemoglobin|hemoglobin"),
    ],
)
def test_one_name_in_all_its_spellings(name: str, spellings: str) -> None:
    for spelling in spellings.split("|"):
        assert name in tokens(spelling), spelling
        assert name in tokens(f"effect of ({spelling}), in mice"), spelling


def test_names_are_told_apart() -> None:
    names = ["IL-6", "IL-8", "p53", "p63", "COVID-19", "5-HT2A", "5-HT2C", "TNF-beta", "type 1"]
    first = [tokens(name)[0] for name in names]
    assert len(set(first)) == len(first)


def test_parts_that_are_words_are_found_alone() -> None:
    assert tokens("COVID-19") == ["covid19", "covid"]
    assert tokens("double-blind") == ["doubleblind", "doubl", "blind"]
    assert "6" not in tokens("IL-6")


@pytest.mark.parametrize(
    ("text", "acronym"),
    [
        ("The WHO asks for less salt", "WHO"),
        ("Relapse of ALL, treated", "ALL"),
        ("methotrexate (IT) given", "IT"),
        ("the US/UK trial", "US"),
        ("T-ALL and pre-B-ALL", "ALL"),
        ("the WHO's view", "WHO"),
        ("ME", "ME"),
        ("na\u00efve B cells in AIDS", "AIDS"),
        ("ALS is not et al.", "ALS"),
        ("SALT INTAKE IN ADULTS: THE WHO GUIDELINE", "WHO"),
        ("CHILDREN WITH ALL AND AML", "ALL"),
    ],
)
def test_an_acronym_in_capitals_is_a_word(text: str, acronym: str) -> None:
    (term, *rest) = tokens(acronym)
    assert is_acronym(term)
    assert tokens(text).count(term) >= 1
    assert all(text[start:end].find(acronym) >= 0 for one, start, end in spans(text) if one == term)
    # The same letters in small ones are the stop word, or the word with this stem.
    assert term not in tokens(text.lower())
    assert tokens(acronym.lower()) == rest


@pytest.mark.parametrize(
    "text",
    [
        "PATIENTS AND METHODS: we",
        "The Who",
        "MOST OF IT WAS ON AS WE WERE",
        "DNA and RNA",
        "who us all",
    ],
)
def test_capitals_that_are_no_acronyms(text: str) -> None:
    assert not any(map(is_acronym, tokens(text)))
    assert tokens(text) == tokens(text.lower())


def test_stop_words_go_and_negations_stay() -> None:
    assert tokens("The effect of it was not in the") == ["effect", "not"]
    assert tokens("a of the") == []
    assert tokens("in 3 of 40") == ["3", "40"]


@pytest.mark.parametrize("text", ["p<0.05", "P = 0.0321", "p \u2264 .001", "(p=0.9),", "P> 0.2"])
def test_p_values_leave_nothing(text: str) -> None:
    assert tokens(text) == []


def test_numbers() -> None:
    assert tokens("0.05 12.5 1,234,567 1990-1995 3.5%") == [
        "0.05", "12.5", "1234567", "1990", "1995", "3.5",
    ]  # fmt: skip
    assert tokens("[1,2,3]") == ["1", "2", "3"]


def test_text_without_blanks_is_indexed_by_character() -> None:
    assert tokens("\u4e2d\u6587") == ["\u4e2d", "\u6587"]


def test_endless_words_are_cut() -> None:
    assert tokens("x" * 1_000_000) == ["x" * MAX_TERM]
    assert all(len(term) <= MAX_TERM for term in tokens("-".join(["acgt" * 30] * 5_000)))
    assert len(tokens("a1-" * 100_000)) <= 100_001


@given(TEXT)
def test_spans_are_the_tokens_and_lie_where_they_say(text: str) -> None:
    found = spans(text)
    assert [term for term, _, _ in found] == tokens(text)
    last = 0
    for term, start, end in found:
        assert 0 <= start < end <= len(text)
        assert last <= start
        last = start
        assert term in tokens(text[start:end])


@given(TEXT)
def test_tokens_are_clean_and_their_parts_agree(text: str) -> None:
    found = tokens(text)
    assert found == [term for chunk in chunks(text) for term in analysis._CHUNKS[chunk]]
    for term in found:
        assert term
        assert len(term) <= MAX_TERM
        assert not any(char.isspace() or char in "_-'\x01\x1b" for char in term)


@given(TEXT, TEXT)
def test_a_line_end_parts_texts(one: str, other: str) -> None:
    assert tokens(f"{one}\n{other}") == tokens(one) + tokens(other)


@given(st.text(max_size=60))
def test_folding_is_traced_and_settles(text: str) -> None:
    folded, places = fold_traced(text)
    assert folded == fold(text)
    assert len(places) == len(folded) + 1
    assert places == sorted(places)
    assert fold(folded).split() == folded.split()


def test_case_and_composition_do_not_matter() -> None:
    assert tokens("CAF\u00c9 Stra\u00dfe \ufb01brosis") == tokens("cafe\u0301 STRASSE fibrosis")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "_CACHED", 50)
    monkeypatch.setattr(analysis, "_WORDS", analysis._Cache(analysis._terms))
    fresh = analysis._Cache(analysis._of_chunk)
    before = tokens("word77 zeta77")
    for number in range(500):
        assert fresh[f"word{number}"] == tuple(tokens(f"word{number}"))
        assert len(fresh) <= 50
        assert len(analysis._WORDS) <= 50
    assert tokens("word77 zeta77") == before
    long = "x" * 1_000
    assert fresh[long] == ("x" * MAX_TERM,)
    assert long not in fresh


def test_threads_agree() -> None:
    texts = [f"IL-{n} inhibitors{n} worsened arthritis{n % 7} (p<0.{n})" for n in range(400)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(tokens, texts * 3))
    assert together == [tokens(text) for text in texts * 3]


def test_raised_and_lowered_signs() -> None:
    assert tokens("Na\u207a/Ca\u00b2\u207a") == tokens("Na+/Ca2+")
    assert tokens("10\u207b\u2076 IL\u208b6") == tokens("10-6 IL-6")


@pytest.mark.parametrize("blank", [" ", "\n", " \t "])
def test_a_long_text_has_the_terms_of_its_words(
    blank: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is split in parts; the parts end at blanks, and no word is lost or cut."""
    words = ["BRCA1", "IL-6", "WHO", "mutations", "a" * 50, "na\u00efve", "p53"] * 40
    whole = analysis.tokens(blank.join(words))
    monkeypatch.setattr(analysis, "_AT_ONCE", 37)
    assert analysis.tokens(blank.join(words)) == whole
