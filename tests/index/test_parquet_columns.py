"""Documents as rows of Parquet and back: any JSON as metadata, any float16, any passages."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioretrieval_tui.documents.document import Document, Place, Record
from bioretrieval_tui.index.parquet_columns import (
    ExportedRow,
    RowFault,
    RowVectors,
    batch_of,
    rows_of,
    schema_of,
    vectors_of,
)

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXTS
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
KEYS = st.sampled_from(["year", "journal", "mesh", "authors", "metadata", "vector", "id", "doi",
                        "pmid_version", "aliases", "source"]) | TEXTS  # fmt: skip
PROBABLE = st.fixed_dictionaries(
    {},
    optional={
        "year": st.integers(-(2**63), 2**63 - 1), "journal": TEXTS, "mesh": st.lists(TEXTS),
        "authors": st.lists(TEXTS), "doi": TEXTS,
    },
)  # fmt: skip
METADATA = st.builds(lambda one, two: one | two, st.dictionaries(KEYS, JSON, max_size=4), PROBABLE)
HALVES = st.builds(lambda bits, sign: bits | sign << 15, st.integers(0, 0x7BFF), st.integers(0, 1))
"""The bits of any finite float16."""
ROWS = st.lists(
    st.tuples(
        st.builds(Document, TEXTS, TEXTS, TEXTS, METADATA),
        st.none() | st.integers(0, 2**62),
        st.lists(TEXTS, max_size=2),
        st.none() | st.booleans(),
        st.lists(st.lists(HALVES, min_size=3, max_size=3), min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=5,
)


def through_a_file(batch: pa.RecordBatch) -> pa.RecordBatch:
    sink = BytesIO()
    with pq.ParquetWriter(sink, batch.schema) as writer:
        writer.write_batch(batch)
    (read,) = pq.read_table(BytesIO(sink.getvalue())).combine_chunks().to_batches()
    return read


def types_of(row: ExportedRow) -> dict[str, type]:
    return {key: type(value) for key, value in row.record.document.metadata.items()}


@given(ROWS, st.booleans(), st.integers(0, 4))
def test_rows_come_back(given_rows: list[Any], passages: bool, start: int) -> None:
    """Any JSON as metadata, any float16, a slice of any rows; fields keep their types."""
    rows, spans, halves = [], [], []
    for document, line, aliases, longer, vectors in given_rows:
        kept = msgspec.json.decode(msgspec.json.encode(document.metadata))  # as a store does
        document = msgspec.structs.replace(document, metadata=kept)
        rows.append(ExportedRow(Record(document, Place("f", line)), aliases, longer))
        mine = vectors if passages else vectors[:1]
        halves += mine
        spans.append([(0, len(document.text))] * len(mine))
    matrix = np.array(halves, dtype=np.uint16).view(np.float16)
    schema = schema_of(dimension=3, passages=passages)
    written = RowVectors(matrix, spans if passages else None)
    read = through_a_file(batch_of(rows, written, schema))
    start = min(start, len(rows) - 1)
    some, before = read.slice(start), sum(map(len, spans[:start]))
    back = list(rows_of(some))
    assert [(one.record, list(one.aliases)) for one in back] == [
        (one.record, one.aliases) for one in rows[start:]
    ]
    assert [types_of(one) for one in back] == [types_of(one) for one in rows[start:]]
    lengths = [len(one.record.document.text) for one in back] if passages else None
    found = vectors_of(some, 3, lengths)
    assert found.halves.tobytes() == matrix[before:].tobytes()
    assert found.spans == (spans[start:] if passages else None)


def test_a_vector_is_compared_with_what_it_was() -> None:
    schema = schema_of(dimension=2, passages=False)
    row = ExportedRow(Record(Document("a"), Place("f")))
    vectors = np.array([[0.5, -0.0]], dtype=np.float32)
    batch = batch_of([row], RowVectors(vectors.astype(np.float16)), schema)
    assert vectors_of(batch, 2, None).halves.tobytes() == vectors.astype(np.float16).tobytes()
    with pytest.raises(RowFault):
        vectors_of(batch, 3, None)
