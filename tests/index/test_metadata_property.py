"""Filters over an index against the catalogue's own evaluator over the same rows."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from filter_strategies import DOCUMENTS, EXPRESSIONS, VALUES
from hypothesis import given, settings
from hypothesis import strategies as st

from bioretrieval_tui.documents.document import Document, Place, Record
from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.documents.store_writer import StoreWriter
from bioretrieval_tui.index import metadata_blocks
from bioretrieval_tui.index.metadata import MetadataIndex, write_metadata
from bioretrieval_tui.index.metadata_fields import FIELDS, YEAR, pairs, when
from bioretrieval_tui.index.text_index import TextIndex, TextIndexWriter
from bioretrieval_tui.query import Filter, Row, Schema


def store_of(path: Path, documents: Sequence[Document], base: DocumentStore | None = None) -> None:
    with StoreWriter(path, base, frozenset()) as writer:
        for document in documents:
            writer.add(Record(document, Place("made.jsonl")))
        writer.finish()


def index_of(
    folder: Path, parts: Sequence[Sequence[Document]], dead: np.ndarray, budget: int
) -> MetadataIndex:
    """The fields of several segments, each added to those before; the last one deletes `dead`."""
    base = None
    paths: list[Path] = []
    for number, documents in enumerate(parts):
        path = folder / f"{number}.sqlite"
        before = DocumentStore(paths) if paths else None
        store_of(path, documents, before)
        paths.append(path)
        store = DocumentStore(paths)
        out = folder / f"metadata-{number}"
        gone = dead if number == len(parts) - 1 else dead[:0]
        facts = write_metadata(out, store, base=base, dead=gone, budget=budget)
        base = (out, facts)
        if before is not None:
            before.close()
        if number < len(parts) - 1:
            store.close()
    with TextIndexWriter(folder / "text") as writer:
        writer.add(0, [document for documents in parts for document in documents])
        found = writer.finish(dead=dead, documents=store.rows - len(dead), total=store.rows)
    text = TextIndex(folder / "text", found, name="demo")
    return MetadataIndex(out, facts, dead, text, store)


def row_of(label: int, document: Document) -> Row:
    """What the catalogue's evaluator is to know of a document."""
    values: dict[str, object] = {}
    for name, text in pairs(document):
        if name == "abstract":
            values[name] = True
        else:
            values.setdefault(name, []).append(text)  # type: ignore[attr-defined]
    year = when(document)[0]
    if year >= 0:
        values["year"] = year
    return Row(str(label), "", (), "", values.get)


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS, DOCUMENTS, st.lists(EXPRESSIONS, min_size=1, max_size=8), st.data())
def test_a_filter_finds_what_the_catalogue_would(
    first: list[tuple[dict[str, object], str]],
    second: list[tuple[dict[str, object], str]],
    expressions: list[str],
    data: st.DataObject,
) -> None:
    documents = [
        Document(f"d{number}", f"title {number}", f"{text}{number}" if text.strip() else text, held)
        for number, (held, text) in enumerate([*first, *second])
    ]
    total = len(documents)
    dead = np.array(sorted(data.draw(st.sets(st.integers(0, total - 1), max_size=3))), np.int64)
    if len(dead) == total:
        dead = dead[:-1]
    alive = [label for label in range(total) if label not in set(dead.tolist())]
    schema = Schema([*FIELDS, YEAR, type(YEAR)("own_key", "set")])
    reference = Filter([row_of(label, documents[label]) for label in alive], schema)
    budget = data.draw(st.sampled_from([1, 2_000, 1 << 20]))
    parts = [documents[: len(first)], documents[len(first) :]]
    with tempfile.TemporaryDirectory() as name:
        index = index_of(Path(name), parts, dead, budget)
        for expression in expressions:
            node = try_parse(expression, schema)
            if node is None:
                continue
            expected = [alive[place] for place in reference.apply(expression)]
            known = {field.name for field in index.schema.fields}
            if fields_of(node) <= known:
                for _ in ("computed", "from the cache"):
                    found = index.select(index.parse(expression))
                    assert found.tolist() == expected, expression
            else:
                # A field that nobody has is refused by its name, not answered with nothing.
                missing = next(iter(fields_of(node) - known))
                assert not reference.apply(f"has:{missing}")
        for label in alive:
            assert set(index.values_of(label)) == set(pairs(documents[label]))
        assert not np.isin(index.select(index.parse("")), dead).any()
        index._documents.close()


@given(st.lists(VALUES | st.text() | st.from_regex(r"[A-Za-z]+( [A-Z]{1,2})?", fullmatch=True)))
def test_values_that_are_folded_at_once_are_as_each_alone(texts: list[str]) -> None:
    each = [metadata_blocks._compared(text) for text in texts]
    assert [*zip(*metadata_blocks._all_compared(texts), strict=True)] == each


def try_parse(expression: str, schema: Schema) -> object:
    from bioretrieval_tui.errors import FilterError
    from bioretrieval_tui.query import parse

    try:
        return parse(expression, schema)
    except FilterError:
        return None  # a value without a letter or digit


def fields_of(node: object) -> set[str]:
    """The names of all fields in a tree of nodes."""
    inner = getattr(node, "nodes", None) or ([node.node] if hasattr(node, "node") else [])
    own = {node.field} if hasattr(node, "field") else set()
    return own.union(*map(fields_of, inner))
