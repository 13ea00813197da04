"""The page model: both painters show every fact, link and text of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.render.page import (
    Group,
    Inline,
    Page,
    Prose,
    fact,
    facts,
    markdown,
    paragraphs,
    same_address,
    text,
)
from bioretrieval_tui.render.sheet import Column, Sheet
from bioretrieval_tui.render.terminal_text import cells, page_text
from bioretrieval_tui.tui.spans import letters, paint

PAGE = Page(
    title="Alpha *one*",
    kind="model",
    byline=(text("model"), text("2024"), text(Inline("alpha", "code"))),
    badges=("unverified",),
    summary=text(Inline("See `code` here.", "prose")),
    sections=(
        Group(
            "Details",
            (
                *facts([("licence", "MIT"), ("empty", "")]),
                fact("size", "109M", status="secondary"),
                fact("hub", Inline("a/b", url="https://example.org/a/b"), "c/d"),
                fact("commands", "run one", "run two", role="code", listed=True),
            ),
        ),
        Group("Links", (fact("site", Inline("example.org", url="https://example.org")),), "links"),
        Group("Related", (fact("paper", Inline("Beta", "paper", jump="beta")),), "jumps"),
        Group("Nothing", ()),
        Prose("Text", paragraphs("first\n\nsecond\n")),
        Prose("Notes", (text(Inline("Correction. ", "strong"), "not so"),), "bullets"),
        Sheet(
            "Results",
            (Column("value", "value", "right"), Column("name", "name"), Column("x", "x")),
            ((0.5, "set", None), (12, "other", None)),
            (),
        ),
        Prose("Sources", (text("one"),), "numbers"),
    ),
)


def test_a_page_as_markdown() -> None:
    """Headings, facts, nested values, links, ids of jumps, notes, tables and numbers."""
    assert "".join(markdown(PAGE)) == (
        "# Alpha \\*one\\*\n\nmodel · 2024 · `alpha` · unverified\n\nSee \\`code\\` here.\n"
        "\n## Details\n\n- **licence**: MIT\n- **size**: 109M (secondary)\n"
        "- **hub**: [a/b](https://example.org/a/b), c/d\n"
        "- **commands**:\n  - `run one`\n  - `run two`\n"
        "\n## Links\n\n- **site**: [example.org](https://example.org)\n"
        "\n## Related\n\n- **paper**: Beta (`beta`)\n"
        "\n## Text\n\nfirst\n\nsecond\n"
        "\n## Notes\n\n- **Correction.** not so\n"
        "\n## Results\n\n| value | name | x |\n| ---: | --- | --- |\n"
        "| 0.5 | set |  |\n| 12 | other |  |\n"
        "\n## Sources\n\n1. one\n"
    )


def test_a_page_in_the_app() -> None:
    """The same page as lines; links and jumps have letters and are found by line."""
    painted = paint(PAGE)
    rows = ["".join(span.text for span in one.spans) for one in painted.lines]
    assert rows[:4] == ["Alpha *one*", "model  2024  alpha  unverified", "", "See code here."]
    assert painted.lead == 4
    assert "size         109M  secondary" in rows
    assert "hub          a/b, c/d" in rows
    assert rows[painted.links_at] == "a site  example.org"
    assert rows[painted.jumps_at] == "a paper      Beta"
    assert painted.links == (("site", "https://example.org"),)
    assert painted.jumps == ("beta",)
    assert [row for row in rows if "set" in row or "other" in row] == ["0.5  set", " 12  other"]
    assert "Nothing" not in rows


def test_sections_are_known_by_their_lines() -> None:
    painted = paint(PAGE)
    for title, at in painted.sections:
        assert painted.lines[at].spans[0].text == title
    assert [title for title, _ in painted.sections] == [
        "Links", "Related", "Text", "Notes", "Results", "Sources",
    ]  # fmt: skip
    assert painted.lines[painted.links_at - 1].spans[1].text == "  l, then a letter"
    assert painted.lines[painted.jumps_at - 1].spans[1].text == "  r, then a letter"


def test_beyond_26_there_are_two_letters() -> None:
    assert letters(3) == ["a", "b", "c"]
    assert letters(26)[-1] == "z"
    many = letters(60)
    assert many[:2] + many[26:28] == ["aa", "ab", "ba", "bb"]
    assert len(set(many)) == 60
    related = Group(
        "Related", (fact("paper", *(Inline(f"P{n}", jump=f"p{n}") for n in range(44))),), "jumps"
    )
    painted = paint(Page("x", sections=(related,)))
    assert len(painted.jumps) == 44
    assert painted.lines[painted.jumps_at + 43].spans[0].text == "br paper"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://hf.co/a/b", "https://huggingface.co/a/b"),
        ("http://example.org/x/", "https://www.example.org/x"),
        ("https://dx.doi.org/10.1/x", "https://doi.org/10.1/x"),
        ("https://Example.org", "https://example.org/"),
    ],
)
def test_spellings_of_an_address(one: str, other: str) -> None:
    assert same_address(one) == same_address(other)
    assert same_address(one) != same_address(f"{other}/more")


def test_pairs_are_every_label_with_each_of_its_values() -> None:
    """What both faces are compared by."""
    assert list(PAGE.pairs()) == [
        ("licence", "MIT"),
        ("size", "109M"),
        ("hub", "a/b"),
        ("hub", "c/d"),
        ("commands", "run one"),
        ("commands", "run two"),
        ("site", "example.org"),
        ("paper", "Beta"),
    ]


def test_text_of_a_page_makes_no_markup_and_no_bad_link() -> None:
    """Labels, values and addresses from files stay text."""
    page = Page("x", sections=(Group("", (fact("<b>", Inline("[a](b)", url="javascript:1")),)),))
    assert "".join(markdown(page)) == "# x\n\n- **\\<b>**: \\[a\\](b)\n"


def test_a_page_on_a_terminal() -> None:
    """The same page as lines; addresses are written out where there are no links."""
    plain = "".join(page_text(PAGE, width=30, colour=False, links=False))
    assert plain == (
        "Alpha *one*\n\nmodel · 2024 · alpha ·\nunverified\n\nSee `code` here.\n"
        "\nDetails\n\n • licence: MIT\n • size: 109M (secondary)\n"
        " • hub: a/b\n   (https://example.org/a/b),\n   c/d\n"
        " • commands:\n    • run one\n    • run two\n"
        "\nLinks\n\n • site: example.org\n   (https://example.org)\n"
        "\nRelated\n\n • paper: Beta (beta)\n\nText\n\nfirst\n\nsecond\n"
        "\nNotes\n\n • Correction. not so\n"
        "\nResults\n\nvalue  name   x\n-----  -----  -\n  0.5  set\n   12  other\n"
        "\nSources\n\n 1 one\n"
    )
    rich = "".join(page_text(PAGE, width=60, colour=True, links=True))
    assert "\x1b]8;;https://example.org\x1b\\example.org\x1b]8;;\x1b\\" in rich
    assert "\x1b[1mAlpha\x1b[0m" in rich


@given(st.text(), st.integers(1, 40))
def test_no_line_of_a_page_is_wider_than_the_terminal(words: str, width: int) -> None:
    made = Page(words, byline=(text(words, "漢字" * 30),), sections=(Prose("", (text(words),)),))
    for one in page_text(made, width=width, colour=False, links=False):
        assert cells(one.removesuffix("\n")) <= max(2, width)
        assert "\n" not in one.removesuffix("\n")
