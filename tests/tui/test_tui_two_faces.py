"""The app and the command line show the same facts of an index and of a piece of news."""

from __future__ import annotations

import pytest
from scripted import info

from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.online.watches import News
from bioretrieval_tui.render.indexes import facts_sheet, index_page
from bioretrieval_tui.render.news import Part, digest, item_facts, news_page
from bioretrieval_tui.tui.spans import paint

INDEXES = [
    info("mine"),
    info("other", dead_share=0.31, segments=7, aliases=0, fields=("year", "journal")),
    info("ruin", "unfinished: 3 of 9 documents"),
    info("torn", "damaged: graph.hnsw differs", recall=None, docs_per_second=None),
]


@pytest.mark.parametrize("index", INDEXES, ids=lambda one: one.name)
def test_an_index_has_the_same_facts_in_both_faces(index: IndexInfo) -> None:
    page = index_page(index)
    pairs = list(page.pairs())
    assert [tuple(row) for row in facts_sheet(page).rows] == [("index", page.title), *pairs]
    shown = ["".join(span.text for span in line.spans) for line in paint(page).lines]
    assert shown[0] == index.name
    for label, value in pairs:
        assert any(text.startswith(label) and text.endswith(value) for text in shown), label
    assert ("status", index.status) in pairs
    assert all(value for _, value in pairs)


@pytest.mark.parametrize("score", [None, 0.934])
def test_news_has_the_same_facts_in_both_faces(score: float | None) -> None:
    item = News(
        id="123", title="Owls at night", text="They fly.", found="2026-11-01T10:00:00+00:00",
        authors=("Reed A", "Moss B", "Fern C", "Ash D"), journal="Annals", date="2026-10-30",
        url="https://example.org/123", score=score,
    )  # fmt: skip
    part = Part("owls", "owls[ti]", "pubmed", [item])
    pairs = list(news_page(part, item).pairs())
    printed = "".join(digest([part], day="2026-11-01"))
    shown = ["".join(s.text for s in line.spans) for line in paint(news_page(part, item)).lines]
    for label, value in item_facts(item):
        assert (label, value) in pairs
        assert value in printed
        assert any(text.startswith(label) and text.endswith(value) for text in shown), label
    assert ("watch", "owls") in pairs
    assert ("query", "owls[ti]") in pairs
