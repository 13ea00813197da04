"""Sentences of abstracts, and what only looks like an end of one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.documents.sentences import MOST_CHARACTERS, sentence_spans


def sentences(text: str) -> list[str]:
    """The sentences as text."""
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("E. coli grew (see Fig. 2). It did.", ["E. coli grew (see Fig. 2).", "It did."]),
        ("IL-6 rose to 3.5 mg vs. 2.1 mg. So.", ["IL-6 rose to 3.5 mg vs. 2.1 mg.", "So."]),
        ("As shown by J. Smith et al. The p was 0.05.",
         ["As shown by J. Smith et al.", "The p was 0.05."]),
        ("Smith et al. found it. Yes.", ["Smith et al. found it.", "Yes."]),
        ("It held (p < 0.05). \u03b2-cells died.", ["It held (p < 0.05).", "\u03b2-cells died."]),
        ('He said "so." Then he left.', ['He said "so."', "Then he left."]),
        ("in lower case . all of it . yes", ["in lower case .", "all of it .", "yes"]),
        ("A label\nMETHODS We did", ["A label", "METHODS We did"]),
        ("", []),
        (" \n\t ", []),
        ("...", ["..."]),
    ],
)  # fmt: skip
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(alphabet=st.sampled_from('aB. !?\n"()1\u03b1'), max_size=300))
def test_nothing_is_lost_and_nothing_overlaps(text: str) -> None:
    spans = sentence_spans(text)
    assert "".join(text[a:b] for a, b in spans).split() or not text.split()
    kept = "".join("".join(text[a:b].split()) for a, b in spans)
    assert kept == "".join(text.split())
    assert all(a < b for a, b in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_no_sentence_is_endless() -> None:
    spans = sentence_spans("word " * 5_000)
    assert max(b - a for a, b in spans) <= MOST_CHARACTERS
    assert sentence_spans("x" * 5_000)[-1][1] == 5_000
