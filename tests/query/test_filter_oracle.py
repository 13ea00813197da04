"""The fast filter against the slow one: same rows, same order, whatever was typed before."""

from __future__ import annotations

import pytest
from filter_rows import SCHEMA, many_rows
from filter_slow import SlowFilter
from hypothesis import given, settings
from hypothesis import strategies as st

from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.query import Filter, Row

WORDS = [
    *("BMRetriever-2B", "BMRetriever", "BioHiCL", "bio-hicl", "bio_hicl", "PubMedBERT", "bert"),
    *("MedCPT", "RoBERTa", "late-interaction", "late", "interaction", "lateinteraction", "C++"),
    *("metformin", "metfromin", "metform", "metformins", "diabetes", "ner", "general", "e5"),
    *("β-cell", "beta", "naïve", "Alzheimer\u2019s", "2104.08663", "2020", "2021", "(large)"),
    *("straße", "ﬁne", "x\u2013y", "İstanbul", "検索", "a--b", "-_-", "__a__", "K\u00a0Å"),
]
words_st = st.sampled_from(WORDS) | st.text("abBtT-_ .é1", max_size=8) | st.text(max_size=5)
texts_st = st.lists(words_st, max_size=6).map(" ".join)
rows_st = st.lists(
    st.builds(
        Row,
        key=st.just("k"),
        name=st.lists(words_st, min_size=1, max_size=3).map(" ".join),
        tags=st.lists(words_st, max_size=3).map(tuple),
        text=texts_st,
        value=st.fixed_dictionaries(
            {},
            optional={
                "venue": st.none() | texts_st,
                "hub": st.lists(words_st, max_size=2).map(tuple),
                "year": st.none() | st.integers(2018, 2023),
                "params": st.none() | st.integers(0, 2000).map(lambda n: n * 1_000_000),
                "docs": st.none() | st.floats(-2, 200_000),
                "gated": st.none() | st.booleans(),
            },
        ).map(lambda values: values.get),
    ),
    max_size=8,
).map(tuple)


@st.composite
def typed_words(draw: st.DrawFn) -> str:
    """A word, perhaps cut short or mistyped."""
    word = draw(words_st)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, max(len(word) - 1, 0)))
        edit = draw(st.sampled_from(("cut", "drop", "double", "swap", "change")))
        if edit == "cut":
            word = word[: at + 1]
        elif edit == "drop":
            word = word[:at] + word[at + 1 :]
        elif edit == "double":
            word = word[:at] + word[at : at + 1] + word[at:]
        elif edit == "swap":
            word = word[:at] + word[at : at + 2][::-1] + word[at + 2 :]
        else:
            word = word[:at] + draw(st.sampled_from("abez2")) + word[at + 1 :]
    return word


CONDITIONS = (
    "year:2020 year>=2020 year<2021 year:2019..2021 year!=2020 params<=500M params:1.2B "
    "params>1000M docs:..100K docs:171K gated:yes gated:no -is:gated has:venue has:params "
    "-has:tags hub:* venue!=late"
)
values_st = st.sampled_from(CONDITIONS.split())


def quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


conditions_st = st.builds(
    lambda field, sign, values: field + sign + ",".join(map(quote, values)),
    st.sampled_from(["name", "tags", "tag", "venue", "hub"]),
    st.sampled_from([":", "=", "!="]),
    st.lists(typed_words(), min_size=1, max_size=2),
)
terms_st = typed_words() | words_st.map(quote) | values_st | conditions_st
terms_st = terms_st | terms_st.map("-{}".format)
expressions_st = st.recursive(
    terms_st,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(" ".join)
        | st.lists(inner, min_size=2, max_size=3).map(" OR ".join)
        | inner.map("({})".format)
        | inner.map("-({})".format)
    ),
    max_leaves=5,
)


def applied(target: Filter | SlowFilter, expression: str) -> list[int] | str:
    try:
        return target.apply(expression)
    except FilterError as error:
        return error.line()


@settings(deadline=None, max_examples=200)
@given(rows_st, st.lists(expressions_st, min_size=1, max_size=4))
def test_fast_and_slow_find_the_same_rows_in_the_same_order(
    rows: tuple[Row, ...], expressions: list[str]
) -> None:
    fast, slow = Filter(rows, SCHEMA), SlowFilter(rows)
    for expression in expressions:
        assert applied(fast, expression) == applied(slow, expression)


@settings(deadline=None, max_examples=60)
@given(rows_st, expressions_st, st.lists(st.integers(0, 40), max_size=6))
def test_no_sequence_of_keystrokes_changes_a_result(
    rows: tuple[Row, ...], expression: str, cuts: list[int]
) -> None:
    """Typing letter by letter, then cutting back and typing on from there."""
    fast, slow = Filter(rows, SCHEMA), SlowFilter(rows)
    steps = [*range(len(expression) + 1)]
    for cut in cuts:
        steps += range(min(cut, len(expression)), len(expression) + 1)
    for step in steps:
        assert applied(fast, expression[:step]) == applied(slow, expression[:step])


@pytest.fixture(scope="module")
def both() -> tuple[Filter, SlowFilter]:
    rows = many_rows(200)
    return Filter(rows, SCHEMA), SlowFilter(rows)


@pytest.mark.parametrize(
    "typed",
    [
        "metform",
        "params<=500M dense retr",
        "bmretriver",
        "zzzz",
        "alzhiemer naive",
        "late-inter (venue:acl OR year:2020..2022) -cancer",
        '"late interaction" tags:dense,sparse hub:org-1 has:params',
    ],
)
def test_typing_over_realistic_rows(both: tuple[Filter, SlowFilter], typed: str) -> None:
    fast, slow = both
    for step in range(len(typed) + 1):
        assert applied(fast, typed[:step]) == applied(slow, typed[:step])


def test_ten_thousand_rows_are_searched_whole() -> None:
    rows = many_rows()
    assert len(rows) == 10_000
    fast = Filter(rows, SCHEMA)
    found = fast.apply("diabetes params<=500M")
    expected = [
        number
        for number, row in enumerate(rows)
        if "diabetes" in " ".join((row.name, *row.tags, row.text)).casefold()
        and row.value("params") is not None
        and row.value("params") <= 500_000_000
    ]
    assert sorted(found) == expected
    assert 100 < len(found) < 5_000
    scores = ["diabetes" in rows[number].name.casefold() for number in found]
    assert scores == sorted(scores, reverse=True)
