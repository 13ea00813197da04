"""Every format to the byte, for each kind, mixed kinds, results, pages and nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import KINDS, AnyEntry, Content, Kind, Result
from bioretrieval_tui.render.entries import entry_page, entry_record, entry_sheet, result_sheet
from bioretrieval_tui.render.formats import Format, object_text, render
from bioretrieval_tui.render.page import markdown as page_markdown
from bioretrieval_tui.render.sheet import Sheet

Golden = Callable[[str, str], None]
EMPTY = Catalogue(Content(entries=(), results=(), sources=()))

SUFFIX: dict[Format, str] = {
    "table": "txt",
    "markdown": "md",
    "json": "json",
    "jsonl": "jsonl",
    "csv": "csv",
    "bibtex": "bib",
    "latex": "tex",
}
PAGES = ("alpha-paper", "hostile-paper", "alpha", "large", "logs", "suite", "small-set")
PAGES += ("train-alpha", "train-gone", "evolution-alpha", "step-1")


def text(sheet: Sheet, to: Format) -> str:
    return "".join(render(sheet, to, width=100))


@pytest.mark.parametrize("to", SUFFIX)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(
    kind: Kind,
    to: Format,
    kinds: dict[str, list[AnyEntry]],
    catalogue: Catalogue,
    golden: Golden,
) -> None:
    golden(f"{kind}.{SUFFIX[to]}", text(entry_sheet(kinds[kind], catalogue), to))


@pytest.mark.parametrize("to", SUFFIX)
def test_mixed_kinds(to: Format, catalogue: Catalogue, golden: Golden) -> None:
    golden(f"mixed.{SUFFIX[to]}", text(entry_sheet(catalogue.entries, catalogue), to))


@pytest.mark.parametrize("to", SUFFIX)
def test_results(to: Format, results: list[Result], catalogue: Catalogue, golden: Golden) -> None:
    golden(f"results.{SUFFIX[to]}", text(result_sheet(results, catalogue.names), to))


@pytest.mark.parametrize("to", SUFFIX)
def test_no_entries(to: Format, golden: Golden) -> None:
    golden(f"empty.{SUFFIX[to]}", text(entry_sheet([], EMPTY), to))


@pytest.mark.parametrize("to", SUFFIX)
def test_no_entries_of_a_kind(to: Format, golden: Golden) -> None:
    golden(f"empty-papers.{SUFFIX[to]}", text(entry_sheet([], EMPTY, kind="paper"), to))


@pytest.mark.parametrize("to", SUFFIX)
def test_no_results(to: Format, golden: Golden) -> None:
    golden(f"empty-results.{SUFFIX[to]}", text(result_sheet([], {}), to))


@pytest.mark.parametrize(
    ("name", "colour", "links"),
    [("colour", True, False), ("links", False, True), ("colour-links", True, True)],
)
def test_table_for_a_terminal(
    name: str,
    colour: bool,
    links: bool,
    kinds: dict[str, list[AnyEntry]],
    catalogue: Catalogue,
    golden: Golden,
) -> None:
    sheet = entry_sheet(kinds["model"], catalogue)
    chunks = render(sheet, "table", width=80, colour=colour, links=links)
    golden(f"model-{name}.ansi", "".join(chunks))


@pytest.mark.parametrize("identifier", PAGES)
def test_page(identifier: str, catalogue: Catalogue, golden: Golden) -> None:
    golden(
        f"page-{identifier}.md",
        "".join(page_markdown(entry_page(catalogue.entry(identifier), catalogue))),
    )


@pytest.mark.parametrize("identifier", ["alpha", "hostile-paper"])
def test_page_as_json(identifier: str, catalogue: Catalogue, golden: Golden) -> None:
    record = entry_record(catalogue.entry(identifier), catalogue)
    golden(f"page-{identifier}.json", object_text(record))


def test_no_golden_file_holds_what_a_terminal_would_act_on() -> None:
    files = list((Path(__file__).parent / "golden").iterdir())
    assert len(files) > 70
    for path in files:
        if path.suffix != ".ansi":
            found = path.read_text(encoding="utf-8")
            bad = {c for c in found if (c < " " and c != "\n") or "\x7f" <= c <= "\x9f"}
            assert not bad | ({"\u202e", "\u200b", "\u2028"} & set(found)), path.name
