"""Filters on the shelf, over the documents of an index and over entries of the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest
from index_help import build_items, record
from msgspec.structs import replace

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.catalog.fields import filtered
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.identity import shelf_keys
from bioretrieval_tui.errors import FilterError
from bioretrieval_tui.index import shelf_conditions
from bioretrieval_tui.index.metadata import MetadataIndex
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.index.shelf_conditions import shelf_filter
from bioretrieval_tui.shelf import Shelf, ShelfMark, ShelfStore, kept_shelf, shelf_path


def shelve(*keys: str, **noted: object) -> None:
    change = lambda mark: replace(mark, **noted)  # noqa: E731 - one line is enough
    ShelfStore(shelf_path()).change([(ShelfMark(keys=keys), change)])


@pytest.fixture
def fields(home: Path) -> MetadataIndex:
    build_items(
        "demo",
        record("a", "one", pmid="11", doi="10.1234/A"),
        record("b", "two", doi="10.1234/b", status="published"),
        record("c", "three"),
        record("d", "four", pmid="14", status="withdrawn"),
    )
    return open_index("demo").fields


def found(fields: MetadataIndex, expression: str) -> str:
    return "".join("abcd"[label] for label in fields.select(fields.parse(expression)))


def test_each_document_is_found_by_any_of_its_keys(fields: MetadataIndex) -> None:
    assert [found(fields, text) for text in ("is:starred", "-is:starred", "note:x")] == [
        "", "abcd", "",
    ]  # fmt: skip
    document = open_index("demo").documents.get([2])[0]
    shelve("pmid:11", "doi:10.9999/other", starred=True, tags=("trial", "RCT"))
    shelve("doi:10.1234/b", status="to read", note="Look at table 2.")
    shelve(*shelf_keys(Document("z", document.title, document.text)), starred=True, tags=("rct",))
    shelve("entry:d", "pmid:99", starred=True)
    for expression, expected in (
        ("is:starred", "ac"), ("starred:no", "bd"), ("-is:starred", "bd"), ("starred:yes", "ac"),
        ("tag:rct", "ac"), ("tag=rct", "ac"), ("tag:trial", "a"), ("has:tag", "ac"),
        ("note:table", "b"), ('note:"look at"', "b"), ("note:fable", ""), ("has:note", "b"),
        ("status:to-read", "b"), ("status:published,reading", "b"), ("status:*", "bd"),
        ("is:starred OR has:note", "abc"), ("is:starred -tag:trial", "c"),
        ("is:starred id:a", "a"),
    ):  # fmt: skip
        assert found(fields, expression) == expected, expression
    shelve("pmid:11", starred=False)
    assert found(fields, "is:starred") == "c"
    with pytest.raises(FilterError, match="starred"):
        found(fields, "is:stared")


def test_other_filters_do_not_read_the_shelf(
    fields: MetadataIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf_conditions, "kept_shelf", None)
    assert found(fields, "doi:* -one") == "b"


def test_entries_are_filtered_by_what_was_noted_of_them(home: Path) -> None:
    catalogue: Catalogue = load().catalogue
    for expression in ("is:starred", "note:x", "status:reading"):
        assert filtered(catalogue.entries, expression, catalogue) == []
    shelve("entry:medcpt", starred=True, status="reading", tags=("mine",), note="Try it first.")
    catalogue.shelf = kept_shelf
    for expression in ("is:starred", "status:reading", "tag:mine", "note:first"):
        assert [e.id for e in filtered(catalogue.entries, expression, catalogue)] == ["medcpt"]
    confirmed = filtered(catalogue.entries, "status:confirmed", catalogue)
    assert "medcpt" in [one.id for one in confirmed]
    assert filtered(catalogue.entries, "-is:starred tag:mine", catalogue) == []


def test_the_shelf_itself_is_filtered(home: Path) -> None:
    marks = [
        ShelfMark(
            keys=("pmid:1",), title="Statins", year=2019, starred=True, changed="2026-02-01T"
        ),
        ShelfMark(keys=("entry:medcpt",), kind="model", title="MedCPT", status="read", tags=("x",)),
    ]
    shelf = shelf_filter(Shelf(marks).marks)
    for expression, rows in (
        ("statins", [0]), ("is:starred", [0]), ("kind:model", [1]), ("year>2018", [0]),
        ("tag:x status:read", [1]), ("id:pmid", [0]), ("changed:2026-02", [0]), ("", [0, 1]),
    ):  # fmt: skip
        assert shelf.apply(expression) == rows, expression
