"""News as rows, lines and a digest: ranked as given, and no text of a record is more than text."""

from __future__ import annotations

import json

from bioretrieval_tui.online.watches import News
from bioretrieval_tui.render.formats import CITED, FORMATS, json_lines, render
from bioretrieval_tui.render.news import Part, digest, news_sheet

FOUND = "2026-01-01T07:00:00+00:00"
OWLS = News(
    id="12",
    title="Owls at night",
    found=FOUND,
    text="Owls see. " * 100,
    url="https://pubmed.ncbi.nlm.nih.gov/12/",
    date="2026-01",
    authors=("Bee A", "Sea B", "Dee C", "Eff D"),
    journal="Acta",
    score=0.51234,
)
HOSTILE = News(
    id="x\x1b[2J",
    found=FOUND,
    title="# [click](javascript:alert(1)) <script>\x1b]0;t\x07\n## more",
    text="1. first\n```\n",
    url="javascript:alert(1)",
)
PARTS = (
    Part("owls", "owls *AND* night", "pubmed", (OWLS,)),
    Part("bad", "q", "arxiv", (HOSTILE,), "This run did not come to its end: arXiv is slow"),
)


def test_the_digest_reads_as_a_page() -> None:
    page = "".join(digest(PARTS, day="2026-01-02"))
    assert page.startswith("# News of 2026-01-02\n\n2 new records of 2 watches.\n")
    assert "\n## owls \\*AND\\* night\n" in page
    assert "\n1. **[Owls at night](https://pubmed.ncbi.nlm.nih.gov/12/)**\n" in page
    assert "   Bee A, Sea B, Dee C et al., Acta, 2026-01, 12, nearness 0.51\n" in page
    assert "This run did not come to its end" in page
    assert max(len(line) for line in page.splitlines()) < 700


def test_nothing_of_a_record_becomes_markup() -> None:
    page = "".join(digest(PARTS, day="2026-01-02"))
    assert "\x1b" not in page
    assert "<script>" not in page.replace("\\<script", "")
    assert "](javascript:" not in page.replace("\\](javascript:", "")
    headings = [line for line in page.splitlines() if line.startswith("#")]
    assert headings == ["# News of 2026-01-02", "## owls \\*AND\\* night", "## q"]


def test_lines_hold_everything_for_programs() -> None:
    rows = [json.loads(line) for line in json_lines(news_sheet(PARTS))]
    assert [row["watch"] for row in rows] == ["owls", "bad"]
    assert rows[0]["score"] == 0.51234
    assert rows[0]["authors"] == list(OWLS.authors)
    assert rows[1]["id"] == "x"


def test_every_format_but_those_of_works_has_a_row_a_record() -> None:
    sheet = news_sheet(PARTS)
    assert len(sheet.rows) == len(sheet.records) == 2
    for name in FORMATS:
        text = "".join(render(sheet, name))
        assert "\x1b" not in text
        assert ("Owls at night" in text) is (name not in CITED)
