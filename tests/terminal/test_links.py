"""OSC 8 links: exact bytes, nothing hostile in them, and when they are written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.terminal.links import links_wanted, osc8


def test_exact_bytes() -> None:
    assert (
        osc8("PubMed", "https://pubmed.ncbi.nlm.nih.gov/1/")
        == "\x1b]8;;https://pubmed.ncbi.nlm.nih.gov/1/\x1b\\PubMed\x1b]8;;\x1b\\"
    )
    assert (
        osc8("a", "https://a.example/x;y", "row-1:2;x")
        == "\x1b]8;id=row-12x;https://a.example/x;y\x1b\\a\x1b]8;;\x1b\\"
    )


@pytest.mark.parametrize("url", ["javascript:x", "https://a.example/\x07", "https://u@a.example"])
def test_an_unsafe_address_leaves_the_text(url: str) -> None:
    assert osc8("te\x1b[31mxt", url) == "text"


@given(st.text(), st.text(), st.text())
def test_no_more_than_two_sequences_whatever_goes_in(text: str, path: str, name: str) -> None:
    link = osc8(text, f"https://a.example/{path}", name)
    sequence = "\x1b\\]8;[^;]*;[\x21-\x7e]*\x1b\\\\"
    rest = re.sub(sequence, "", link)
    assert not set(rest) & {"\x1b", "\x07", "\n", "\x9d"}
    assert len(re.findall(sequence, link)) in (0, 2)


@pytest.mark.parametrize(
    ("isatty", "env", "wanted"),
    [
        (True, {"TERM": "xterm-256color"}, True),
        (False, {"TERM": "xterm-256color"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {"TERM": "linux"}, False),
        (True, {}, False),
        (True, {"WT_SESSION": "1"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, True),
        (True, {"TERM": "xterm", "CI": "true"}, False),
        (False, {"FORCE_HYPERLINK": "1"}, True),
        (False, {"TERM": "dumb", "CI": "1", "FORCE_HYPERLINK": "1"}, True),
        (True, {"TERM": "xterm", "FORCE_HYPERLINK": "0"}, False),
        (True, {"TERM": "xterm", "FORCE_HYPERLINK": ""}, True),
    ],
)
def test_when_links_are_written(isatty: bool, env: dict[str, str], wanted: bool) -> None:
    assert links_wanted(isatty, env) is wanted
