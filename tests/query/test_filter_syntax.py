"""The parser: what expressions mean, and where errors point."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bioretrieval_tui.errors import EXIT_USAGE, FilterError
from bioretrieval_tui.query import Field, Schema, UnfinishedFilterError, parse
from bioretrieval_tui.query.ast import (
    All,
    Any,
    Compares,
    Everything,
    Flag,
    Has,
    Matches,
    Node,
    Not,
    Phrase,
    Word,
)
from bioretrieval_tui.query.parser import DEEPEST, LONGEST
from bioretrieval_tui.query.schema import Interval

SCHEMA = Schema(
    [
        Field("name", "text"),
        Field("tags", "set", ("tag",)),
        Field("licence", "text", ("license",)),
        Field("year", "number"),
        Field("params", "number", ("parameters",)),
        Field("docs", "number", ("documents",)),
        Field("max_tokens", "number"),
        Field("gated", "bool"),
    ]
)


def year(low: int | None, high: int | None) -> Compares:
    return Compares("year", (Interval(low, high),))


@pytest.mark.parametrize(
    ("expression", "meaning"),
    [
        ("", Everything()),
        (" \t\n", Everything()),
        ("dense", Word("dense")),
        ("bio-hicl", Word("bio-hicl")),
        ("Alzheimer's", Word("Alzheimer's")),
        ("dense, sparse;", All((Word("dense"), Word("sparse")))),
        ("metform*", Word("metform")),
        ('"late interaction"', Phrase("late interaction")),
        ("\u201clate interaction\u201d", Phrase("late interaction")),
        (r'"say \"hi\" \\ \n"', Phrase(r'say "hi" \ \n')),
        ('dense"late interaction"', All((Word("dense"), Phrase("late interaction")))),
        ("a b c", All((Word("a"), Word("b"), Word("c")))),
        ("a AND b", All((Word("a"), Word("b")))),
        ("a (b c)", All((Word("a"), Word("b"), Word("c")))),
        ("a OR b", Any((Word("a"), Word("b")))),
        ("a|b | c", Any((Word("a"), Word("b"), Word("c")))),
        ("a or b", All((Word("a"), Word("or"), Word("b")))),
        ("a b OR c", Any((All((Word("a"), Word("b"))), Word("c")))),
        ("a (b OR c)", All((Word("a"), Any((Word("b"), Word("c")))))),
        ("-a", Not(Word("a"))),
        ("--a", Word("a")),
        ("NOT a", Not(Word("a"))),
        ("-(a b)", Not(All((Word("a"), Word("b"))))),
        ('-"a b"', Not(Phrase("a b"))),
        ("-tags:a", Not(Matches("tags", ":", ("a",)))),
        ("OR, x", All((Word("OR"), Word("x")))),
        ("tags:dense", Matches("tags", ":", ("dense",))),
        ("TAG:dense", Matches("tags", ":", ("dense",))),
        ("tags=dense,sparse", Matches("tags", "=", ("dense", "sparse"))),
        ('tags:"late interaction", dense', Matches("tags", ":", ("late interaction", "dense"))),
        ("tags:dens*", Matches("tags", ":", ("dens",))),
        ("name:OR", Matches("name", ":", ("OR",))),
        ("license!=MIT", Not(Matches("licence", "=", ("MIT",)))),
        ("-license!=MIT", Matches("licence", "=", ("MIT",))),
        ("licence:*", Has("licence")),
        ("licence!=*", Not(Has("licence"))),
        ('licence:"a*"', Matches("licence", ":", ("a*",))),
        ("has:licence", Has("licence")),
        ("HAS:tag,year", Any((Has("tags"), Has("year")))),
        ("is:gated", Flag("gated", True)),
        ("gated:yes", Flag("gated", True)),
        ("gated=TRUE", Flag("gated", True)),
        ("gated:no", Flag("gated", False)),
        ("gated!=false", Not(Flag("gated", False))),
        ("year:2020", year(2020, 2020)),
        ("year = 2020", year(2020, 2020)),
        ("year: 2020", year(2020, 2020)),
        ("(year:2020)", year(2020, 2020)),
        ("year:2020..2024", year(2020, 2024)),
        ("year:2020...2024", year(2020, 2024)),
        ("year:..2020", year(None, 2020)),
        ("year:2022..", year(2022, None)),
        ('year:"2020"', year(2020, 2020)),
        ("year!=2020", Not(year(2020, 2020))),
        (
            "year:2019,2021..",
            Compares("year", (Interval(2019, 2019), Interval(2021, None))),
        ),
        ("max-tokens>=512", Compares("max_tokens", (Interval(512, None),))),
        ("params<=500M", Compares("params", (Interval(None, 500_000_000),))),
        ("params <= 500m", Compares("params", (Interval(None, 500_000_000),))),
        ("params\u2264500M", Compares("params", (Interval(None, 500_000_000),))),
        ("params:<=500M", Compares("params", (Interval(None, 500_000_000),))),
        ("params=<500M", Compares("params", (Interval(None, 500_000_000),))),
        (
            "parameters>1.5B",
            Compares("params", (Interval(1_500_000_000, None, low_open=True),)),
        ),
        (
            "params<.5k",
            Compares("params", (Interval(None, 500, high_open=True),)),
        ),
        (
            "docs:171K",
            Compares("docs", (Interval(170_500, 171_500, high_open=True),)),
        ),
        (
            "docs:1.52M",
            Compares("docs", (Interval(1_515_000, 1_525_000, high_open=True),)),
        ),
        ("docs=171K", Compares("docs", (Interval(171_000, 171_000),))),
        ("docs:1_000", Compares("docs", (Interval(1000, 1000),))),
        ("docs>-1", Compares("docs", (Interval(-1, None, low_open=True),))),
        ("docs=57%", Compares("docs", (Interval(0.57, 0.57),))),
    ],
)
def test_meaning(expression: str, meaning: Node) -> None:
    assert parse(expression, SCHEMA) == meaning


@pytest.mark.parametrize("value", ["MIT", "cc-by/4.0", "a b", 'say "hi" \\', "OR", "x,y", "(a)"])
def test_a_condition_is_written_as_it_is_parsed(value: str) -> None:
    made = Matches("licence", "=", (value,))
    assert parse(str(made), SCHEMA) == made


@pytest.mark.parametrize(
    ("expression", "column", "said", "advised"),
    [
        ("dense yaer:2020", 6, '"yaer" is not a field', "did you mean year?"),
        ("documnets>5", 0, '"documnets" is not a field', "did you mean documents?"),
        ("lic:mit", 0, '"lic" is not a field', "did you mean licence?"),
        ("arXiv:2104.08663", 0, '"arXiv" is not a field', 'quote it: "arXiv:2104.08663"'),
        ("see https://a.b/c", 4, '"https" is not a field', 'quote it: "https://a.b/c"'),
        ("p<0.05", 0, '"p" is not a field', 'quote it: "p<0.05"'),
        ("has:yaer dense", 4, '"yaer" is not a field', "did you mean year?"),
        ("is:name", 3, '"name" is not a yes-or-no field', "gated"),
        ("has>name", 3, "has is followed by", "has:FIELD"),
        ("params<=5x", 8, '"5x" is not a number', "500M"),
        ("params<=fast", 8, '"fast" is not a number', "500M"),
        ("year:2020-2024", 5, '"2020-2024" is not a number', "2020..2024"),
        ("year:2019,2O2O", 10, '"2O2O" is not a number', "2020..2024"),
        ("year:\u0662\u0660\u0662\u0660", 5, "is not a number", "2020"),
        ("year:2024..2020", 5, "reversed", "2020..2024"),
        ("year:1..2..3", 5, "is not a range", "2020..2024"),
        ("year:..", 5, "is not a range", "2020.."),
        ("year>2020..2024", 5, "a range cannot follow >", ": or ="),
        ("docs>=171,332", 10, ">= takes one number", "171332"),
        ("year>2020,2021x", 10, "> takes one number", "OR"),
        ("name>b", 4, "name is not a number", "name:value"),
        ("tags <= b", 5, "tags is not a number", "tags:value"),
        ("gated>1", 5, "gated is not a number", "gated:yes"),
        ("gated:maybe", 6, "neither yes nor no", "gated:yes"),
        ("gated:yes,no", 6, "takes one value", "yes or no"),
        ("tags:*,a", 5, "* stands alone", "tags:*"),
        ('tags:""', 5, "no letter or digit", "has:tags"),
        ("tags:--", 5, "no letter or digit", "-has:tags"),
        ("tags: )", 4, "a value is missing after :", "add it"),
        ("tags:a,) b", 6, "a value is missing after ,", "add it"),
        ("tags: OR b", 4, "a value is missing after :", "add it"),
        (">=5", 0, ">= needs a field name before it", 'quote the text: ">=5"'),
        (":)", 0, ": needs a field name before it", 'quote the text: ":"'),
        ("OR a", 0, "OR needs something before it", '"OR"'),
        ("| a", 0, "OR needs something before it", "remove it"),
        ("(a OR) b", 3, "OR needs something after it", "add a term"),
        ("a || b", 2, "| needs something after it", "add a term"),
        ("a AND OR b", 2, "AND needs something after it", "add a term"),
        ("a)", 1, "this ) closes nothing", "remove it"),
        (")", 0, "this ) needs something before it", "remove it"),
        ("a () b", 2, "nothing stands between", "remove"),
        ("a - b", 2, "- needs a term right after it", "-term"),
        ("a\u201d", 1, "this quote closes nothing", "plain quotes"),
        ('""', 0, "the quotes hold nothing", "word"),
        ("...", 0, "there is no letter or digit", "empty filter"),
        ("a b\u0301 \u0301", 5, "there is no letter or digit", "empty filter"),
        ("(" * 50 + "a" + ")" * 50, DEEPEST + 1, "nested too deeply", "levels"),
        ("a" * (LONGEST + 1), LONGEST, "too long", "below"),
    ],
)
def test_mistakes_point_at_their_column(
    expression: str, column: int, said: str, advised: str
) -> None:
    with pytest.raises(FilterError) as caught:
        parse(expression, SCHEMA)
    error = caught.value
    assert not isinstance(error, UnfinishedFilterError)
    assert (error.column, error.expression, error.exit_code) == (column, expression, EXIT_USAGE)
    assert said in error.message
    assert advised in (error.remedy or "")
    assert "\n" not in error.line()


@pytest.mark.parametrize(
    ("expression", "column", "said"),
    [
        ("dense OR", 6, "OR needs something after it"),
        ("dense |", 6, "| needs something after it"),
        ("dense AND ", 6, "AND needs something after it"),
        ("dense NOT", 6, "NOT needs something after it"),
        ("dense -", 6, "- needs a term right after it"),
        ("dense (", 6, "this ( is not closed"),
        ("(dense", 0, "this ( is not closed"),
        ("((a) b", 0, "this ( is not closed"),
        ('dense "late inter', 6, "this quote is not closed"),
        ('tags:"late inter', 5, "this quote is not closed"),
        ("year>=", 4, "a value is missing after >="),
        ("year >= ", 5, "a value is missing after >="),
        ("tags:a,", 6, "a value is missing after ,"),
        ("has:", 3, "a value is missing after :"),
        ("has:ye", 4, '"ye" is not a whole field name'),
        ("gated:y", 6, '"y" is not yet yes or no'),
    ],
)
def test_what_breaks_off_is_told_from_what_is_wrong(
    expression: str, column: int, said: str
) -> None:
    with pytest.raises(UnfinishedFilterError) as caught:
        parse(expression, SCHEMA)
    assert caught.value.column == column
    assert said in caught.value.message
    assert caught.value.remedy


def test_the_pointer_stands_under_the_column() -> None:
    with pytest.raises(FilterError) as caught:
        parse("dense yaer:2020", SCHEMA)
    assert caught.value.pointer() == "dense yaer:2020\n      ^"
    assert caught.value.line().startswith("filter, column 7: ")


def test_many_terms_are_no_nesting() -> None:
    assert isinstance(parse("a " * 2000, SCHEMA), All)
    assert isinstance(parse(" OR ".join("a" * 1500), SCHEMA), Any)
    for opening in ("(", "-", "NOT ", "-("):
        with pytest.raises(FilterError, match="nested too deeply"):
            parse(opening * 1000 + "a", SCHEMA)


PIECES = st.sampled_from(
    [
        *('"', "\u201c", "\u201d", "(", ")", "|", "-", "\u2013", "*", ",", "..", "\\", ".", "_"),
        *(":", "=", "!=", "!", ">", ">=", "<", "<=", "=>", "<>", "\u2264", "\u2260", " ", "  "),
        *("OR", "AND", "NOT", "or", "has", "is", "name", "tags", "year", "params", "gated"),
        *("yes", "no", "2020", "500M", "1.5b", "1e5", "..2020", "%", "a", "dense", "bio-hicl"),
        *("\n", "\t", "\x00", "\x1b[2J", "\u00a0", "\u200b", "\u0301", "\u0661", "ß", "検索"),
    ]
)


def parsed(expression: str) -> Node | FilterError:
    try:
        return parse(expression, SCHEMA)
    except FilterError as error:
        return error


@settings(deadline=None, max_examples=800)
@given(st.lists(PIECES | st.text(max_size=3), max_size=14).map("".join) | st.text())
@example("year:" + "9" * 400)
@example("year:1." + "9" * 400 + "K")
@example("tags:\ud800 \udfff")
@example("-" * 9000)
def test_any_text_parses_or_is_an_error_within_it(expression: str) -> None:
    node = parsed(expression)
    if isinstance(node, FilterError):
        assert 0 <= node.column <= len(expression)
        assert node.message
        assert node.remedy
        assert node.expression == expression


@pytest.mark.parametrize("name", ["has", "IS", "tags", "TAG", "two words", "1st", "a:b", ""])
def test_a_schema_refuses_names_that_cannot_be_written(name: str) -> None:
    with pytest.raises(ValueError, match="field name"):
        Schema([Field("tags", "set", ("tag",)), Field(name, "text")])


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [("yaer", "year"), ("par", "params"), ("MAX-TOKEN", "max_tokens"), ("lincense", "license")],
)
def test_the_nearest_name(typed: str, nearest: str) -> None:
    assert SCHEMA.nearest(typed) == nearest


def test_no_name_is_near_nonsense() -> None:
    assert SCHEMA.nearest("qqqq") is None
    assert SCHEMA.nearest("name", "bool") is None


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (3, "there are f0, f1, f2"),
        (12, f"there are {', '.join(f'f{n}' for n in range(12))}"),
        (60, "there are f0, f1, f2, f3, f4, f5, f6, f7 and 52 more: the list is there"),
    ],
)
def test_an_unknown_field_is_not_answered_with_a_page_of_fields(count: int, told: str) -> None:
    schema = Schema([Field(f"f{n}", "text") for n in range(count)], "the list is there")
    with pytest.raises(FilterError) as caught:
        parse("zzzq:3", schema)
    assert (caught.value.remedy or "").startswith(f"{told};")
