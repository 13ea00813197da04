"""Indexes: their list as a sheet, and the page of one, for the app and the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.render.page import Group, Inline, Page, fact, facts
from bioretrieval_tui.render.sheet import Cell, Column, Figure, Sheet
from bioretrieval_tui.util.formatting import plural, rate, size

_COLUMNS = (
    Column("name", "name", weight=2, min_width=8),
    Column("documents", "documents", "right"),
    Column("model", "model", weight=2, min_width=12),
    Column("dimension", "dim", "right"),
    Column("bytes", "size", "right"),
    Column("built", "built", min_width=10),
    Column("status", "status", weight=3, min_width=6),
    Column("dtype", "dtype", data_only=True),
    Column("device", "device", data_only=True),
    Column("docs_per_second", "docs/s", data_only=True),
    Column("dead_share", "dead", data_only=True),
    Column("aliases", "aliases", data_only=True),
    Column("segments", "segments", data_only=True),
    Column("recall", "recall", data_only=True),
    Column("fields", "fields", data_only=True),
)


def index_sheet(found: Sequence[IndexInfo]) -> Sheet:
    """Indexes as rows."""
    return Sheet(
        title="Indexes",
        columns=_COLUMNS,
        rows=tuple(_row(one) for one in found),
        records=tuple(asdict(one) for one in found),
    )


def _row(one: IndexInfo) -> tuple[Cell, ...]:
    documents = None if one.documents is None else Figure(one.documents, f"{one.documents:,}")
    fields = None if one.fields is None else ", ".join(one.fields)
    return (
        one.name, documents, one.model, one.dimension, Figure(one.bytes, size(one.bytes)),
        one.built, one.status, one.dtype, one.device, one.docs_per_second, one.dead_share,
        one.aliases, one.segments, one.recall, fields,
    )  # fmt: skip


def index_page(one: IndexInfo, entry: tuple[str, str] | None = None) -> Page:
    """The page of an index; entry: id and name of its model's catalogue entry."""
    jumps = (fact("model", Inline(entry[1], "model", jump=entry[0])),) if entry else ()
    return Page(one.name, sections=(Group("", facts(_facts(one))), Group("", jumps, "jumps")))


def facts_sheet(page: Page) -> Sheet:
    """The name of an index and the facts of its page as a table of two columns."""
    return Sheet(
        title=f"Index {page.title}",
        columns=(Column("field", "field", min_width=15), Column("value", "value", weight=4)),
        rows=(("index", page.title), *page.pairs()),
        records=(),
    )


def _facts(one: IndexInfo) -> Iterator[tuple[str, str]]:
    yield "status", one.status
    yield "documents", "" if one.documents is None else f"{one.documents:,}"
    if one.dead_share is not None:
        yield "deleted or replaced", f"{one.dead_share:.1%} of the documents stored"
    if one.aliases:
        yield "equal texts", f"{plural(one.aliases, 'id')} with the text of another id"
    yield "size", f"{size(one.bytes)} ({one.bytes:,} bytes)"
    yield "model", one.model or ""
    yield "dimension", str(one.dimension or "")
    yield "vectors", one.dtype or ""
    yield "device", one.device or ""
    yield "built", one.built or ""
    if one.docs_per_second:
        yield "speed", f"{rate(one.docs_per_second)} documents/s when it was built"
    if one.segments:
        yield "segments", f"{one.segments:,}, from builds and additions since it was compacted"
    if one.fields:
        yield "filter fields", ", ".join(one.fields)
    if one.recall is not None:
        yield "HNSW recall@10", f"{one.recall:.3f} (against exact search)"
