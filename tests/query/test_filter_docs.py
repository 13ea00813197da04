"""What docs/filter.md promises is so: every example of its tables is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.query import Field, Filter, Row, Schema

PAGE = (Path(__file__).parents[2] / "docs" / "filter.md").read_text(encoding="utf-8")

SCHEMA = Schema(
    [
        Field("name", "text"),
        Field("tags", "set"),
        Field("licence", "text"),
        Field("year", "number"),
        Field("params", "number"),
        Field("docs", "number"),
        Field("gated", "bool"),
        Field("released", "date"),
    ]
)


def row(name: str, tags: str, text: str, **values: object) -> Row:
    return Row(name, name, tuple(tags.split()), text, values.get)


ROWS = (
    row("BMRetriever-2B", "dense", "Clinical, general.", params=2_510_000_000, licence="mit"),
    row("MedCPT", "dense medical", "Not for metformin alone.", params=109_482_240, year=2023),
    row("SapBERT", "entity-linking", "NER and naïve late interaction.", gated=True, year=2021),
    row("BM25", "lexical", "See https://example.org/a, C++.", licence="CC-BY 4.0", params=0),
    row("TREC-COVID", "benchmark", "arXiv:2104.08663", docs=171_332, gated=False, year=2020),
)
NAMES = [row.name for row in ROWS]
FILTER = Filter(ROWS, SCHEMA)


def found(expression: str) -> list[str]:
    return [NAMES[number] for number in FILTER.apply(expression)]


def examples(heading: str) -> list[tuple[str, str]]:
    """First and second cell of the table whose second heading is this one."""
    table = PAGE.split(f"| Write | {heading} |\n")[1].split("\n\n")[0]
    rows = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in table.splitlines()[1:]]
    return [(first.strip("`"), second) for first, second in rows]


def test_the_page_has_its_tables() -> None:
    assert [len(examples(each)) for each in ("To find entries", "To find", "And read")] == [
        16,
        3,
        6,
    ]


@pytest.mark.parametrize(("expression", "_"), examples("To find entries"))
def test_each_example_finds_some_entries_and_leaves_out_others(expression: str, _: str) -> None:
    assert 0 < len(found(expression)) < len(ROWS)


def test_every_other_expression_on_the_page_parses() -> None:
    text = re.sub(r"(?s)## Errors.*", "", PAGE).replace("\\|", "|")
    pieces = {piece for piece in re.findall(r"`([^`]+)`", text) if re.search(r"\w{2}", piece)}
    pieces -= {"500M", "1.5B", "85%"}  # values, not filters
    assert len(pieces) > 35
    for piece in pieces - {"AND", "NOT", "OR"}:
        FILTER.apply(piece)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dense OR lexical", "dense | lexical"),
        ("gated:yes", "is:gated"),
        ("has:docs", "docs:*"),
        ("params<=500M", "params <= 500M"),
        ("dense params<=500M OR lexical", "(dense params<=500M) OR lexical"),
        ("dense medical", "dense AND medical"),
        ("-dense", "NOT dense"),
    ],
)
def test_what_is_the_same_is_the_same(one: str, other: str) -> None:
    assert f"`{one}`" in PAGE or one in ("-dense", "dense medical")
    assert found(one) == found(other) != []


@pytest.mark.parametrize(("expression", "name"), examples("To find"))
def test_each_mistyped_word_finds_what_was_meant(expression: str, name: str) -> None:
    assert found(expression) == [name]


def test_words_within_words() -> None:
    assert found("ner") == ["SapBERT", "BMRetriever-2B"]
    assert found('"ner"') == ["SapBERT"]
    assert found("naive") == ["SapBERT"]
    assert found('"C++"') == found('"https://example.org/a"') == ["BM25"]
    assert found('"arXiv:2104.08663"') == ["TREC-COVID"]


@pytest.mark.parametrize(("expression", "said"), examples("And read"))
def test_each_mistake_is_answered_so(expression: str, said: str) -> None:
    with pytest.raises(FilterError) as caught:
        FILTER.apply(expression)
    assert caught.value.line() == said
