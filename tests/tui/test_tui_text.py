"""Spans to rows to strips: nothing lost, nothing torn, nothing that acts on a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bioretrieval_tui.terminal.clean import clean
from bioretrieval_tui.tui.hit_list import marked, query_terms
from bioretrieval_tui.tui.spans import addresses, inline
from bioretrieval_tui.tui.text import Line, Span, fit, layout, line, strip, unbroken, wrap
from bioretrieval_tui.tui.themes import DARK, LOOKS, TERMINAL, Look
from bioretrieval_tui.tui.widgets.bars import first_rows, whole_parts

LETTERS = "ab -.\t\n\x1b[31m\x9b\x07検索模型🧬é\u0301\u202e\u200dﾊﾟ"
TEXT = st.one_of(st.text(alphabet=LETTERS, max_size=60), st.text(max_size=30))
ROLES = st.sampled_from(["text", "dim", "link", "cursor", "no such role"])
URLS = st.sampled_from([None, "https://example.org/", "javascript:alert(1)"])
SPANS = st.builds(Span, TEXT, ROLES, URLS)
LINES = st.builds(
    Line,
    st.lists(SPANS, max_size=5).map(tuple),
    st.integers(min_value=0, max_value=6),
    st.integers(min_value=0, max_value=6),
)


def letters(text: str) -> str:
    return "".join(text.split())


def row_text(row: tuple[Span, ...]) -> str:
    return "".join(span.text for span in row)


@given(LINES, st.integers(min_value=8, max_value=40))
def test_wrapping_loses_no_letter_and_keeps_to_the_width(item: Line, width: int) -> None:
    rows = wrap(item, width)
    assert rows
    wanted = letters("".join(clean(span.text) for span in item.spans))
    assert letters("".join(map(row_text, rows))) == wanted
    for row in rows:
        assert cell_len(row_text(row)) <= width
    # A wide character takes two cells; it is never cut in half into a blank.
    assert "".join(map(row_text, rows)).count("検") == wanted.count("検")


@given(LINES, st.integers(min_value=8, max_value=40))
def test_wrapping_keeps_role_and_address_of_each_letter(item: Line, width: int) -> None:
    def tagged(spans: tuple[Span, ...]) -> list[tuple[str, str, str | None]]:
        return [
            (character, span.role, span.url)
            for span in spans
            for character in clean(span.text)
            if not character.isspace()
        ]

    rows = wrap(item, width)
    assert [tag for row in rows for tag in tagged(row)] == tagged(item.spans)


def test_wrapping_breaks_at_spaces_and_hangs() -> None:
    item = line(Span("label", "dim"), " one two three four", hang=4)
    assert [row_text(row) for row in wrap(item, 14)] == ["label one two ", "    three four"]
    assert [row_text(row) for row in wrap(line(), 10)] == [""]
    long = line("x" * 25, indent=2, hang=5)
    assert [row_text(row) for row in wrap(long, 12)] == [
        "  " + "x" * 10, "     " + "x" * 7, "     " + "x" * 7, "     x",
    ]  # fmt: skip
    joined = line(unbroken("1 3 scores  s self-reported"))
    assert [row_text(row) for row in wrap(joined, 17)] == ["1 3 scores  ", "s self-reported"]
    assert [row_text(row) for row in wrap(joined, 13)][-1] == "self-reported"
    assert len(layout([item, long], 14)) == 2 + len(wrap(long, 14))


@given(st.lists(SPANS, max_size=6), st.integers(min_value=1, max_value=50))
def test_a_strip_is_exactly_as_wide_as_asked(spans: list[Span], width: int) -> None:
    for under in (None, "cursor"):
        found = strip(spans, width, DARK, under=under)
        assert cell_len(found.text) == width
        assert found.cell_length == width
        assert clean(found.text) == found.text


@given(st.lists(SPANS, max_size=6), st.integers(min_value=1, max_value=50))
def test_a_strip_links_only_what_may_be_opened(spans: list[Span], width: int) -> None:
    links = {seg.style.link for seg in strip(spans, width, DARK) if seg.style}
    assert links <= {None, "https://example.org/"}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_the_cursor_covers_the_whole_row_and_keeps_links(look: object) -> None:
    spans = [Span("name", "paper"), Span("  "), Span("page", "link", "https://example.org/")]
    found = strip(spans, 30, look, under="cursor")  # type: ignore[arg-type]
    styles = [segment.style for segment in found]
    assert all(style is not None for style in styles)
    assert len({(s.bgcolor, s.reverse) for s in styles if s}) == 1
    if styles[0] and styles[0].reverse:  # the letters' colours would be patches of background
        assert len({s.color for s in styles if s}) == 1
    assert [s.link for s in styles if s and s.link] == ["https://example.org/"]


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_what_is_dim_or_a_line_is_seen_under_the_cursor(look: Look) -> None:
    roles = ("dim", "faint", "header", "behind")
    for segment in strip([Span("x", role) for role in roles], 5, look, under="cursor"):
        style = segment.style
        assert style is not None
        assert not (style.reverse and style.dim)
        assert style.reverse or style.color != style.bgcolor


def test_a_cursor_that_only_underlines_is_seen_without_colour() -> None:
    found = strip([Span("name", "paper")], 10, TERMINAL, under="cursor.blurred")
    assert all(segment.style and segment.style.underline for segment in found)


def test_equal_rows_are_equal_even_with_links() -> None:
    """Rich numbers each new link; equal rows that differ would be sent again."""
    row = [Span("page", "link", "https://example.org/")]
    assert strip(row, 10, DARK) == strip(row, 10, DARK)


@given(TEXT, st.integers(min_value=1, max_value=30), st.sampled_from(["left", "right"]))
def test_fitting_is_exact_and_says_where_it_cuts(text: str, width: int, align: str) -> None:
    found = fit(text, width, align)
    assert cell_len(found) == width
    whole = cell_len(clean(text)) <= width
    if whole:
        assert found.strip() == clean(text).strip()
    elif width > 1:
        assert found.endswith("…")


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("see https://example.org/a.", {"https://example.org/a": "https://example.org/a"}),
        ("[the page](https://example.org/b)", {"the page": "https://example.org/b"}),
        ("<https://example.org/c>", {"https://example.org/c": "https://example.org/c"}),
        ("(https://example.org/d_(e))", {"https://example.org/d_(e)": "https://example.org/d_(e)"}),
        ("[bold]text[/bold] [x](javascript:alert(1))", {}),
        ("file:///etc/passwd ftp://example.org", {}),
    ],
)
def test_markdown_links(text: str, links: dict[str, str]) -> None:
    spans = list(inline(text))
    assert {span.text: span.url for span in spans if span.url} == links


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("url = {https://example.org/a},", ["https://example.org/a"]),
        ("(see https://example.org/S01(05)1-6).", ["https://example.org/S01(05)1-6"]),
        ("[x](https://example.org/b)", ["https://example.org/b"]),
        ("https://a.example/, http://b.example!", ["https://a.example/", "http://b.example"]),
        ("**no** `markup` here", []),
    ],
)
def test_addresses_in_plain_text(text: str, links: list[str]) -> None:
    spans = list(addresses(text))
    assert "".join(span.text for span in spans) == text
    assert [span.url for span in spans if span.url] == links


def test_markdown_keeps_what_it_does_not_know() -> None:
    text = "a *b* _c_ # d [e] `f` **g** 2 ** 3"
    shown = "".join(span.text for span in inline(text))
    assert shown == "a *b* _c_ # d [e] f g 2 ** 3"
    assert [s.text for s in inline(text) if s.role == "strong"] == ["f", "g"]


@given(TEXT)
def test_markdown_without_markup_is_the_text(text: str) -> None:
    plain = text.replace("`", "").replace("*", "").replace("[", "")
    assert "".join(span.text for span in inline(plain)) == plain


def test_the_words_of_a_query() -> None:
    assert query_terms("What is the role of IL-6 in Sepsis?") == ("role", "il-6", "sepsis")
    assert query_terms("what is it") == ("what", "is", "it")
    assert query_terms("  ") == ()


def test_words_are_marked_with_their_endings() -> None:
    spans = list(
        marked("Statins lowered IL-6; statin-like, ILL.", query_terms("statin IL-6 lowering"))
    )
    assert "".join(s.text for s in spans) == "Statins lowered IL-6; statin-like, ILL."
    assert [s.text for s in spans if s.role == "match"] == [
        "Statins", "lowered", "IL-6", "statin-like",
    ]  # fmt: skip
    assert [s.role for s in marked("nothing", ())] == ["text"]


@given(TEXT, TEXT)
def test_marking_changes_no_text(text: str, query: str) -> None:
    assert "".join(span.text for span in marked(text, query_terms(query))) == text


@pytest.mark.parametrize(
    ("width", "height", "lines"),
    [
        (40, 1, ["Board  240 ranked  mean of two sets"]),
        (30, 2, ["Board  240 ranked", "mean of two sets"]),
        (20, 2, ["Board  240 ranked", "mean of two sets"]),
        # Within a part only where all parts fit so and not otherwise.
        (13, 3, ["Board  240", "ranked  mean", "of two sets"]),
        (12, 1, ["Board"]),
    ],
)
def test_a_head_ends_its_lines_between_parts(width: int, height: int, lines: list[str]) -> None:
    spans = [Span("Board", "strong"), Span("  240 ranked", "dim"), Span("  mean of two sets")]
    rows = whole_parts(spans, width, height)
    assert ["".join(span.text for span in row).strip() for row in rows] == lines


def test_a_long_message_is_cut_between_words() -> None:
    rows = first_rows([Span("Evaluate on a benchmark, while exploring")], 20, 1)
    assert ["".join(span.text for span in row) for row in rows] == ["Evaluate on a …"]
