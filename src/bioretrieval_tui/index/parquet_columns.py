"""The columns of an index as Parquet, and its documents as rows of them.

`id`, `title` and `text`; a column for each field that readers name (`Document`); `metadata`, the
other fields as a JSON object, also those whose value is of another type than their column;
`aliases`, further ids; `source` and `line`, where the document came from; `longer`, whether the
model read its beginning only; `vector`; and `passages`, of the documents that have several vectors.

Vectors are lists of float32, which every reader of Parquet takes (Milvus takes neither float16 nor
lists of a fixed size); the stored float16 come back bit by bit. What an import needs besides stands
as JSON in the metadata of the schema, see `ExportFacts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from bioretrieval_tui.catalog.models import Encoding, Similarity
from bioretrieval_tui.documents.bibliography import LISTS
from bioretrieval_tui.documents.document import Document, Place, Record
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.manifest import IdKind
from bioretrieval_tui.util.formatting import install_command

KEY = b"bioretrieval-tui"
"""The key of `ExportFacts` in the metadata of a schema."""
VERSION = 1

_TEXTS = (
    "journal", "date", "doi", "pmid", "pmcid", "url", "vernacular_title", "volume", "issue",
    "pages", "revised", "book", "publisher", "place", "school", "isbn",
)  # fmt: skip
_NUMBERS = ("year", "pmid_version")
_LARGEST = 2**63
_REST = msgspec.json.Decoder(dict[str, Any])

Span = tuple[int, int]
Halves = npt.NDArray[np.float16]


class ExportFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a file of an export says of the whole.

    export: the same in all files of one export; part, of: number of this file, from 1, and of all;
    works: whether the documents were stored with their keys of duplicates. The others are those of
    the manifest.
    """

    version: int
    export: str
    part: int
    of: int
    index: str
    documents: int
    aliases: int
    model: str
    revision: str
    recipe: Encoding
    recipe_hash: str
    dimension: int
    dtype: str
    similarity: Similarity
    normalised: bool
    ids: IdKind | None
    max_tokens: int | None
    longer: int | None
    passages: bool
    works: bool
    built: str
    device: str
    app: str


class ExportedRow(msgspec.Struct, frozen=True):
    """A document of an index, with its other ids and where it came from; longer: whether it has
    more tokens than the model reads, None if that is not known."""

    record: Record
    aliases: Sequence[str] = ()
    longer: bool | None = None


class RowVectors(msgspec.Struct, frozen=True):
    """The vectors of some documents, in their order: float16 (n, dimension), in order of their
    passages where documents have several. spans: begin and end of each passage in the text of its
    document, None where each document has one vector."""

    halves: Halves
    spans: Sequence[Sequence[Span]] | None = None


def arrow() -> Any:
    """pyarrow, with its Parquet. Raises BioRetrievalError without it."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        remedy = f"run: {install_command('parquet')}"
        raise BioRetrievalError("Parquet needs pyarrow", remedy=remedy) from error
    return pyarrow


def schema_of(*, dimension: int, passages: bool) -> Any:
    """The schema of an export: with `vector` if there are vectors, with `passages` if documents may
    have several."""
    pa = arrow()
    text, number = pa.string(), pa.int64()
    fields = [(name, text) for name in ("id", "title", "text")]
    fields += [(name, _type_of(name)) for name in (*_TEXTS, *_NUMBERS, *LISTS)]
    fields += [("metadata", text), ("aliases", pa.list_(text)), ("source", text), ("line", number)]
    if dimension:
        vector = pa.list_(pa.float32())
        fields += [("longer", pa.bool_()), ("vector", vector)]
        if passages:
            span = pa.struct([("start", number), ("end", number), ("vector", vector)])
            fields.append(("passages", pa.list_(span)))
    return pa.schema(fields)


def _type_of(name: str) -> Any:
    pa = arrow()
    if name in LISTS:
        return pa.list_(pa.string())
    return pa.int64() if name in _NUMBERS else pa.string()


# To Arrow -----------------------------------------------------------------------------------------


def batch_of(rows: Sequence[ExportedRow], vectors: RowVectors | None, schema: Any) -> Any:
    """Rows as a RecordBatch of `schema`; vectors: None for an index without."""
    pa = arrow()
    cells: dict[str, list[Any]] = {
        "id": [one.record.document.id for one in rows],
        "title": [one.record.document.title for one in rows],
        "text": [one.record.document.text for one in rows],
        "aliases": [[*one.aliases] or None for one in rows],
        "source": [one.record.place.file for one in rows],
        "line": [one.record.place.line for one in rows],
        "longer": [one.longer for one in rows],
    }
    for at, one in enumerate(rows):
        rest = {}
        for key, value in one.record.document.metadata.items():
            if _fits(key, value):
                cells.setdefault(key, [None] * len(rows))[at] = value
            else:
                rest[key] = value
        if rest:
            text = msgspec.json.encode(rest, order="deterministic").decode()
            cells.setdefault("metadata", [None] * len(rows))[at] = text
    columns = {name: pa.array(cells[name], schema.field(name).type)
               for name in schema.names if name in cells}  # fmt: skip
    if vectors is not None:
        columns |= _vector_columns(vectors)
    for name in schema.names:
        if name not in columns:
            columns[name] = pa.nulls(len(rows), schema.field(name).type)
    return pa.record_batch([columns[name] for name in schema.names], schema=schema)


def _fits(key: str, value: Any) -> bool:
    """Whether a field has a column that takes this value as it is."""
    if key in _TEXTS:
        return type(value) is str
    if key in _NUMBERS:
        return type(value) is int and -_LARGEST <= value < _LARGEST
    return key in LISTS and type(value) is list and all(type(one) is str for one in value)


def _vector_columns(vectors: RowVectors) -> dict[str, Any]:
    pa = arrow()
    if vectors.spans is None:
        return {"vector": _lists(vectors.halves)}
    counts = np.array([len(one) for one in vectors.spans])
    firsts = np.cumsum(counts) - counts
    # A document that is read at once has its vector only, so that most rows are short.
    several = np.repeat(counts > 1, counts)
    places = [place for one in vectors.spans if len(one) > 1 for place in one]
    starts, ends = np.array(places, dtype=np.int64).reshape(-1, 2).T
    parts = [pa.array(starts), pa.array(ends), _lists(vectors.halves[several])]
    passages = pa.StructArray.from_arrays(parts, ["start", "end", "vector"])
    offsets = np.concatenate([[0], np.cumsum(np.where(counts > 1, counts, 0))]).astype(np.int32)
    none = pa.array([*(counts <= 1)])
    listed = pa.ListArray.from_arrays(pa.array(offsets), passages, mask=none)
    return {"vector": _lists(vectors.halves[firsts]), "passages": listed}


def _lists(halves: Halves) -> Any:
    """float16 (n, dimension) as lists of float32."""
    pa, (count, width) = arrow(), halves.shape
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    values = pa.array(halves.astype(np.float32).ravel())
    return pa.ListArray.from_arrays(pa.array(offsets), values)


# From Arrow ---------------------------------------------------------------------------------------


class RowFault(Exception):
    """What is wrong with a batch of rows."""


def document_columns(schema: Any) -> list[str]:
    """The columns that `rows_of` reads."""
    return [one for one in schema.names if one not in ("longer", "vector", "passages")]


def rows_of(batch: Any) -> Iterator[ExportedRow]:
    """The documents of a RecordBatch. Raises RowFault for one that is not as it was written."""
    cells = {
        name: batch.column(name).to_pylist()
        for name in batch.schema.names
        if batch.column(name).null_count < batch.num_rows
    }
    named = [(name, cells[name]) for name in (*_TEXTS, *_NUMBERS, *LISTS) if name in cells]
    nothing = [None] * batch.num_rows
    always = (cells.get(name, nothing) for name in ("id", "title", "text", "source"))
    more = (cells.get(name, nothing) for name in ("line", "aliases", "metadata"))
    for at, (name, title, text, source, line, aliases, rest) in enumerate(
        zip(*always, *more, strict=True)
    ):
        if name is None or title is None or text is None or source is None:
            raise RowFault("a document lacks its id, title, text or source")
        metadata = {key: values[at] for key, values in named if values[at] is not None}
        try:
            metadata |= _REST.decode(rest) if rest else {}
        except (msgspec.DecodeError, RecursionError) as error:
            raise RowFault(f"the metadata of {name!r} are not JSON: {error}") from error
        if None in (aliases or ()):
            raise RowFault(f"an alias of {name!r} is missing")
        document = Document(name, title, text, metadata)
        yield ExportedRow(Record(document, Place(source, line)), aliases or ())


def vectors_of(batch: Any, dimension: int, lengths: Sequence[int] | None) -> RowVectors:
    """The vectors of a RecordBatch with the column `vector`. lengths: of the texts, for documents
    with passages. Raises RowFault for vectors that were not written as float16 of this dimension.
    """
    first = _halves(batch.column("vector"), dimension)
    if lengths is None:
        return RowVectors(first)
    column = batch.column("passages")
    starts, ends, inner = column.flatten().flatten()
    others = _halves(inner, dimension)
    places = list(zip(starts.to_pylist(), ends.to_pylist(), strict=True))
    spans: list[Sequence[Span]] = []
    halves, taken = [], 0
    for at, (count, length) in enumerate(
        zip(column.value_lengths().to_pylist(), lengths, strict=True)
    ):
        mine = [(0, length)] if count is None else places[taken : taken + count]
        rows = first[at : at + 1] if count is None else others[taken : taken + count]
        taken += count or 0
        sound = all(None not in one and 0 <= one[0] <= one[1] <= length for one in mine)
        if not (mine and sound) or rows[0].tobytes() != first[at].tobytes():
            raise RowFault("the passages of a document are not those of its text")
        spans.append(mine)
        halves.append(rows)
    return RowVectors(np.concatenate([np.empty((0, dimension), np.float16), *halves]), spans)


def _halves(lists: Any, dimension: int) -> Halves:
    """Lists of float32 as float16 (n, dimension)."""
    values = lists.flatten()
    lengths = lists.value_lengths()
    regular = not (lists.null_count or values.null_count) and len(values) == dimension * len(lists)
    if not regular or (np.asarray(lengths) != dimension).any():
        raise RowFault(f"a vector has not {dimension} components")
    whole = np.asarray(values).reshape(-1, dimension)
    with np.errstate(over="ignore"):
        halves: Halves = whole.astype(np.float16)
    if not (np.isfinite(halves).all() and (halves == whole).all()):
        raise RowFault("a vector has components that float16 does not hold")
    return halves


def known_longer(batch: Any) -> list[bool | None]:
    """Of each document, whether it has more tokens than the model reads."""
    found: list[bool | None] = batch.column("longer").to_pylist()
    return found


def facts_in(metadata: Mapping[bytes, bytes] | None) -> ExportFacts | None:
    """What the metadata of a schema say of an export; None for a file that is none. Raises
    RowFault if they are damaged or of a later version."""
    data = (metadata or {}).get(KEY)
    if data is None:
        return None
    try:
        version = msgspec.json.decode(data, type=dict[str, Any]).get("version")
        if version != VERSION:
            raise RowFault(f"it was exported by another version of this program ({version})")
        return msgspec.json.decode(data, type=ExportFacts)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RowFault(f"what it says of its index cannot be read: {error}") from error
