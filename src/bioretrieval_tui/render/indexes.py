"""Indexes: their list as a sheet, and the page of one, for the app and the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import asdict

from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.index.report import longer_line
from bioretrieval_tui.render.page import Group, Inline, Page, fact, facts
from bioretrieval_tui.render.sheet import Column, Sheet, Shown, column, counted, sheet_of
from bioretrieval_tui.util.formatting import count, plural, rate, size


def status(one: IndexInfo) -> str:
    """The status of an index, with the kind of its store."""
    if one.store is None or one.status != "ok":
        return one.status
    return f"ok, in {one.store.partition('+')[0].title()}"


_COLUMNS = (
    column("name", weight=2, min_width=8),
    column("documents", make=lambda one: counted(one.documents), align="right"),
    column("model", weight=2, min_width=12),
    column("dimension", "dim", lambda one: one.dimension or None, align="right"),
    column("bytes", "size", lambda one: Shown(one.bytes, size(one.bytes)), align="right"),
    column("built", min_width=10),
    column("status", make=lambda one: Shown(one.status, status(one)), weight=3, min_width=6),
    column("dtype", data_only=True),
    column("device", data_only=True),
    column("docs_per_second", "docs/s", data_only=True),
    column("dead_share", "dead", data_only=True),
    column("aliases", data_only=True),
    column("segments", data_only=True),
    column("recall", data_only=True),
    column("max_tokens", data_only=True),
    column("store", data_only=True),
    column("longer", data_only=True),
    column("cached", data_only=True),
    column("fields", make=lambda one: ", ".join(one.fields or ()) or None, data_only=True),
)


def index_sheet(found: Sequence[IndexInfo]) -> Sheet:
    return sheet_of("Indexes", _COLUMNS, found, asdict)


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
    if one.cached:
        yield "made by", "an evaluation; `index clear-cache` removes it"
    if one.store:
        here = "text index" in (one.parts or {})
        yield "store", f"{one.store}; BM25 and filters {'in files here' if here else 'there'}"
    yield "documents", count(one.documents)
    if one.dead_share is not None:
        yield "deleted", f"{one.dead_share:.1%} of the documents stored (or replaced)"
    if one.aliases:
        yield "equal texts", f"{plural(one.aliases, 'id')} with the text of another id"
    if (line := longer_line(one.longer, one.max_tokens, one.passages)) is not None:
        yield "long documents", line
    yield "size", f"{size(one.bytes)} ({one.bytes:,} bytes)"
    if one.parts and one.documents:
        named = ", ".join(f"{part} {size(held)}" for part, held in one.parts.items())
        each = sum(one.parts.values()) / one.documents
        yield "parts", f"{named}; {each:,.0f} bytes a document"
    yield "model", one.model or ""
    yield "dimension", str(one.dimension or "")
    yield "vectors", one.dtype or ""
    yield "device", one.device or ""
    yield "built", one.built or ""
    if one.docs_per_second:
        what = "documents" if one.passages is None else "passages"
        yield "speed", f"{rate(one.docs_per_second)} {what}/s when it was built"
    if one.segments:
        yield "segments", f"{one.segments:,}, from builds and additions since it was compacted"
    if one.fields:
        yield "filter fields", ", ".join(one.fields)
    if one.recall is not None:
        yield "HNSW recall@10", f"{one.recall:.3f} (against exact search)"
    if one.graphs and (one.graphs > 1 or one.outside):
        outside = f", {plural(one.outside, 'vector')} in none yet" if one.outside else ""
        yield "HNSW graphs", f"{one.graphs:,}{outside}"
