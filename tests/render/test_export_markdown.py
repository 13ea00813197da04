"""Markdown as an independent parser reads it: our links and nothing else, every cell in place."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.render import markdown
from bioretrieval_tui.render.entries import entry_page, entry_sheet
from bioretrieval_tui.render.formats import render
from bioretrieval_tui.render.page import markdown as page_markdown
from bioretrieval_tui.render.sheet import Cell, Column, Sheet, Shown, linked, one_line, unverified

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
MARKUP = "\\`*_{}[]()<>#+-.!|~&;:=$ \n\tab1/\x1b\u202e"
TEXTS = st.text() | st.text(alphabet=MARKUP, max_size=30)


def words(inline: Token) -> str:
    """The text of an inline token; fails on anything in it that is more than text."""
    children = inline.children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    return "".join(child.content for child in children)


@given(TEXTS)
@example("_under_ __two__ a_b_c")
@example("&lt;b&gt; &#60; &copy")
@example("10. item")
@example("trailing \\")
def test_escaped_text_is_one_paragraph_of_the_same_text(text: str) -> None:
    tokens = PARSER.parse(markdown.escape(text))
    if not one_line(text):
        assert tokens == []
        return
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert words(tokens[1]) == one_line(text)


@given(TEXTS)
def test_a_code_span_holds_the_same_text(text: str) -> None:
    (_, inline, _) = PARSER.parse(f"x {markdown.code(text)} y")
    (_, span, _) = inline.children or []
    assert span.type == "code_inline"
    assert span.content.strip(" ") == one_line(text)


CELLS = (
    TEXTS
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
    | st.builds(Shown, st.integers(), TEXTS)
    | st.builds(unverified, TEXTS | st.integers())
    | st.builds(
        linked, TEXTS, st.sampled_from(["https://a.example/(x)|y?b=1&lt;2", "javascript:alert(1)"])
    )
)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=4))
def test_tables_keep_their_columns_and_their_text(rows: list[list[Cell]]) -> None:
    columns = (Column("a", "a|b"), Column("b", "*b*", align="right"), Column("c", "c"))
    sheet = Sheet("", columns, tuple(map(tuple, rows)), ())
    tokens = PARSER.parse("".join(render(sheet, "markdown")))
    assert [t.type for t in tokens if t.level == 0] == ["table_open", "table_close"]
    assert sum(token.type == "td_open" for token in tokens) == 3 * len(rows)
    cells = [t for before, t in pairwise(tokens) if before.type == "td_open"]
    expected = [cell for row in rows for cell in row]
    for token, cell in zip(cells, expected, strict=True):
        check_cell(token, cell)


def check_cell(token: Token, cell: Cell) -> None:
    children = token.children or []
    links = [child.attrs["href"] for child in children if child.type == "link_open"]
    seen = cell if isinstance(cell, Shown) else unverified(cell)
    if seen.url and seen.url.startswith("https") and one_line(seen.text):
        assert links == ["https://a.example/%28x%29%7Cy?b=1&lt;2"]
    else:
        assert links == []
    assert {child.type for child in children} <= {"text", "text_special", "link_open", "link_close"}
    shown = "".join(child.content for child in children)
    marked = isinstance(cell, Shown) and cell.unverified and one_line(seen.text)
    assert shown == one_line(seen.text) + (" (unverified)" if marked else "")


@pytest.mark.parametrize(
    ("cell", "text"), [(True, "yes"), (False, "no"), (None, ""), (-0.5, "-0.5"), (1e-05, "1e-05")]
)
def test_a_bare_value_is_shown_in_words(cell: Cell, text: str) -> None:
    assert unverified(cell).text == text
    assert markdown.cell(cell) == text


def test_a_bare_address_makes_no_link_where_addresses_are_linked() -> None:
    """GitHub and Textual link bare addresses; ours must not become one through a summary."""
    linking = MarkdownIt("gfm-like")
    hostile = "see https://evil.example/x, HTTP://evil.example and www.evil.example"
    for line in (hostile, markdown.escape(hostile)):
        (_, inline, _) = linking.parse(line)
        schemes = [c for c in inline.children or [] if c.type == "link_open"]
        full = [c.attrs["href"] for c in schemes if "/x" in str(c.attrs["href"])]
        assert bool(full) == (line == hostile)


@pytest.mark.parametrize("name", ["paper", "model", "dataset", "benchmark", "recipe", "step"])
def test_only_the_catalogues_own_links_are_links(name: str, catalogue: Catalogue) -> None:
    entries = [e for e in catalogue.entries if e.__struct_config__.tag == name]
    tokens = PARSER.parse("".join(render(entry_sheet(entries, catalogue), "markdown")))
    allowed = ("https://arxiv.org/", "https://hf.co/", "https://huggingface.co/")
    for token in tokens:
        for child in token.children or []:
            assert child.type not in ("html_inline", "image", "code_inline", "em_open", "s_open")
            if child.type == "link_open":
                assert str(child.attrs["href"]).startswith(allowed)


def test_pages_have_no_html_no_images_and_no_foreign_links(catalogue: Catalogue) -> None:
    known = {"https://evil.example/a%28b%29%7Cc"}  # the address of a source, which is ours to link
    for entry in catalogue.entries:
        for token in PARSER.parse("".join(page_markdown(entry_page(entry, catalogue)))):
            assert token.type not in ("html_block", "code_block", "fence", "blockquote_open")
            for child in token.children or []:
                assert child.type not in ("html_inline", "image", "em_open", "s_open")
                href = str(child.attrs.get("href", "https://"))
                assert href.startswith("https://")
                assert "evil" not in href or href in known


def test_pages_number_their_sources_in_one_list(catalogue: Catalogue) -> None:
    page = "".join(page_markdown(entry_page(catalogue.entry("alpha-paper"), catalogue)))
    assert "**corpus**: 21B words [1]" in page
    assert "**steps**: 1M [2] (unverified)" in page
    assert "- **Correction.** Often dated 2019. [1]" in page
    assert page.endswith(
        "1. [alpha/alpha @11e129b: README](https://github.com/a/a)\n2. elsewhere\n"
    )


def test_a_page_shows_relations_both_ways(catalogue: Catalogue) -> None:
    for identifier, related in (
        ("alpha", "Alpha recipe (`train-alpha`)"),
        ("train-alpha", "Alpha (two encoders) (`alpha`)"),
    ):
        page = "".join(page_markdown(entry_page(catalogue.entry(identifier), catalogue)))
        assert related in page
