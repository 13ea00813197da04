"""LanceDB as a store: a folder or a path of an object store, by lancedb, within this process.

A collection is a table with a row a document; other programs can read it as it is. Vectors are
float16, as files have them. Similar ones are found by IVF_HNSW_SQ, whose candidates are compared
again with the stored vectors, so that similarities are exact. Facts are metadata of the field
`label`; pointers are rows of a table of their own. A reader has the version of a table that
was there when it was opened, so several processes can use a store at once.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.index.half_precision import products, widened
from bioretrieval_tui.index.stores import (
    AbsentFault,
    SilentFault,
    Store,
    StoreAddress,
    StoredRow,
    StoreFault,
)
from bioretrieval_tui.index.vector_matrix import Halves, Labels, Vector, Vectors
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.util.formatting import install_command

POINTERS = "brtu_pointers"
"""The table of pointers."""
_LIMIT = timedelta(seconds=120)
"""Time limit of what reads."""
_GRAPH_FROM = 10_000
"""Rows from which vectors get an index; fewer are compared one by one, in a few milliseconds."""
_GRAPH = {"m": 16, "ef_construction": 150}
_PROBES = 20
"""Graphs that are searched; Lance makes one for each million vectors, about."""
_WIDER = 100
"""Candidates beyond the results, at most: the index knows vectors by 8 bits a number."""
_CHEAPER = 8
"""One more result of the index costs as much as comparing so many documents, about."""
_LEAST_EF = 300
"""Candidates that a search of a graph keeps, at least; twice the results, if that is more."""
_COMPACTED_AFTER = 1_000
"""Insertions: the list of their files is written with each."""
_JUST_NOW = timedelta(milliseconds=1)
_PLAIN = ("label", "id", "title", "text", "metadata", "digest", "source", "line", "aliases")

_REFUSED = re.compile(
    r"permission|os error (1|13)\b|access ?denied|forbidden|unauthori[sz]ed|credential"
    r"|invalidaccesskeyid|signaturedoesnotmatch|read-only|status: 40[13]"
)
_FULL = re.compile(r"no space|os error (27|28|122)\b|file too large|quota")
_LOST = re.compile(
    r"connect|resolve|time(d)? ?out|dns|unavailable|stale file|os error (5|110|116)\b|status: 50\d"
)
_LACKING = re.compile(r"not found|no such file|os error 2\b|does not exist")
_CREDENTIALS = "set the credential in the environment, such as AWS_ACCESS_KEY_ID"
_NEWER = re.compile(r"upgrade|unsupported|unknown.{0,20}(version|feature)|feature flag")


class LanceStore(Store):
    """One folder or path with tables, open; usable from several threads."""

    def __init__(self, address: StoreAddress) -> None:
        self.address = address
        self._lancedb = _lancedb()
        self.version = str(self._lancedb.__version__)
        self._connection: Any = None
        self._tables: dict[str, Any] = {}
        self._lock = threading.Lock()
        if not self._missing:
            self._connected()

    def close(self) -> None:
        self._tables.clear()
        self._connection = None

    # Collections ------------------------------------------------------------------------------

    def collections(self) -> list[str]:
        return [name for name in self._names() if name != POINTERS]

    def create(self, collection: str, dimension: int, *, text: bool = False) -> None:
        import pyarrow as pa

        if text:
            said = "LanceDB does not answer BM25 and filters here"
            raise UsageError(said, remedy="leave the text index beside the manifest")
        # Texts are compressed; ids are looked up too often.
        packed = {"lance-encoding:compression": "zstd"}
        words = [
            pa.field(name, pa.string(), False, packed if name in ("text", "metadata") else None)
            for name in ("id", "title", "text", "metadata", "digest", "source")
        ]
        schema = pa.schema(
            [
                pa.field("label", pa.int64(), False),
                *words,
                pa.field("line", pa.int64(), False),
                pa.field("aliases", pa.list_(pa.string()), False),
                pa.field("vector", pa.list_(pa.float16(), dimension), False),
            ]
        )
        with self._faults("create a table"):
            self._tables[collection] = self._connected().create_table(collection, schema=schema)

    def drop(self, collection: str) -> None:
        self._tables.pop(collection, None)
        if not self._missing:
            with self._faults("delete a table"):
                self._connected().drop_table(collection, ignore_missing=True)

    def facts(self, collection: str) -> dict[str, str]:
        table = self._opened(collection)
        with self._faults("read a table"):
            held = table.schema.field("label").metadata or {}
        return {name.decode(): value.decode() for name, value in held.items()}

    def describe(self, collection: str, facts: dict[str, str]) -> None:
        table = self._table(collection)
        with self._faults("describe a table"):
            table.update_field_metadata({"path": "label", "metadata": facts})
        self._sync(collection)

    def pointed(self, pointer: str) -> str | None:
        if POINTERS not in self._names():
            return None
        rows = self._rows(self._opened(POINTERS), ["collection"], _among("pointer", [pointer]))
        return str(rows["collection"][0]) if len(rows) else None

    def point(self, pointer: str, collection: str) -> None:
        import pyarrow as pa

        with self._faults("write a pointer"):
            names = pa.schema([(name, pa.string()) for name in ("pointer", "collection")])
            table = self._connected().create_table(POINTERS, schema=names, exist_ok=True)
            merging = table.merge_insert("pointer").when_matched_update_all()
            row = pa.table({"pointer": [pointer], "collection": [collection]}, schema=names)
            merging.when_not_matched_insert_all().execute(row)
            table.optimize()  # versions of last week are deleted
        self._sync(POINTERS)

    # Writing ----------------------------------------------------------------------------------

    def insert(self, collection: str, rows: Sequence[StoredRow], vectors: Vectors) -> None:
        import pyarrow as pa

        table = self._table(collection)
        with self._faults("insert documents"):
            schema = table.schema
            numbers = pa.array(vectors.astype(np.float16).reshape(-1))
            columns = [
                pa.array([getattr(row, name) for row in rows], schema.field(name).type)
                for name in _PLAIN
            ]
            columns.append(pa.FixedSizeListArray.from_arrays(numbers, vectors.shape[1]))
            bare = pa.schema([field.remove_metadata() for field in schema])
            table.add(pa.Table.from_arrays(columns, schema=bare))
            if table.version % _COMPACTED_AFTER == 0:
                table.optimize(cleanup_older_than=_JUST_NOW)

    def count(self, collection: str, last: int | None = None) -> int:
        table = self._opened(collection)
        with self._faults("count rows"):
            return int(table.count_rows(None if last is None else f"label <= {last}"))

    def cut(self, collection: str, first: int) -> None:
        table = self._table(collection)
        with self._faults("delete rows"):
            table.delete(f"label >= {first}")

    def finish(self, collection: str, reporter: Reporter) -> None:
        from lancedb.index import BTree, HnswSq, LabelList

        rows, table = self.count(collection), self._table(collection)
        graph = HnswSq(distance_type="dot", **_GRAPH)
        indexes = {"label": BTree(), "id": BTree(), "digest": BTree(), "aliases": LabelList()}
        with self._faults("build its index"):
            reporter(Progress("linking", 0, rows, note="in the store"))
            table.optimize()  # one file of many; then indexes, whose rows would move otherwise
            for name, kind in indexes.items():
                table.create_index(name, config=kind, replace=True)
            if rows >= _GRAPH_FROM:
                table.create_index("vector", config=graph, replace=True)
            table.optimize(cleanup_older_than=_JUST_NOW)
        self._sync(collection)
        reporter(Progress("linking", rows, rows, note="in the store"))

    # Reading ----------------------------------------------------------------------------------

    def load(self, collection: str) -> None:
        self._opened(collection)

    def documents(self, collection: str, labels: Sequence[int]) -> Iterator[StoredRow]:
        return self._stored(collection, _among("label", labels))

    def between(self, collection: str, first: int, end: int) -> Iterator[StoredRow]:
        return self._stored(collection, f"label >= {first} AND label < {end}")

    def _stored(self, collection: str, where: Any) -> Iterator[StoredRow]:
        for row in self._rows(self._table(collection), _PLAIN, where).to_pylist():
            yield StoredRow(**{**row, "aliases": tuple(row["aliases"])})

    def ids(self, collection: str, labels: Sequence[int]) -> dict[int, str]:
        return dict(self._pairs(collection, ("label", "id"), _among("label", labels)))

    def vectors(self, collection: str, labels: Sequence[int]) -> dict[int, Vector]:
        where = _among("label", labels)
        rows = self._rows(self._table(collection), ("label", "vector"), where)
        return dict(zip(rows["label"].to_pylist(), widened(_halves(rows)), strict=True))

    def named(self, collection: str, ids: Sequence[str]) -> dict[str, int]:
        return dict(self._pairs(collection, ("id", "label"), _among("id", ids)))

    def aliased(self, collection: str, ids: Sequence[str]) -> dict[str, int]:
        wanted = {*ids}
        where = f"array_has_any(aliases, [{', '.join(map(_literal, ids))}])" if ids else "false"
        return {
            name: label
            for label, names in self._pairs(collection, ("label", "aliases"), where)
            for name in names
            if name in wanted
        }

    def with_digest(self, collection: str, digest: str) -> list[int]:
        where = _among("digest", [digest])
        return [label for label, _ in self._pairs(collection, ("label", "digest"), where)]

    def aliases(self, collection: str) -> Iterator[tuple[int, tuple[str, ...]]]:
        where = "array_length(aliases) > 0"
        for label, names in self._pairs(collection, ("label", "aliases"), where):
            yield label, tuple(names)

    def nearest(
        self, collection: str, query: Vector, k: int, *, ef: int, allowed: Any = None
    ) -> tuple[Labels, Vector]:
        table = self._table(collection)
        if allowed is None:
            return self._near(table, query, k, ef)
        labels: Labels = allowed  # ascending
        with self._faults("count rows"):
            rows = table.count_rows()
        # Where a filter keeps many, the nearest of all have enough that it keeps. Else all that it
        # keeps are compared: with a filter the index finds few of those that are far from a query.
        wide = 10 + 2 * k * rows // max(1, len(labels))
        if wide * _CHEAPER < len(labels):
            near, similarities = self._near(table, query, wide, ef)
            kept = labels[np.minimum(np.searchsorted(labels, near), len(labels) - 1)] == near
            if int(kept.sum()) >= k:
                return near[kept][:k], similarities[kept][:k]
        return self._near(table, query, k, ef, _among("label", labels.tolist()))

    def _near(
        self, table: Any, query: Vector, k: int, ef: int, where: Any = None
    ) -> tuple[Labels, Vector]:
        """The `k` nearest with their inner products, by the index, or, where a condition is given,
        of all rows that fit it."""
        wide = k + min(max(k, 10), _WIDER)
        with self._faults("search"):
            asked = table.search(query, vector_column_name="vector").distance_type("dot")
            asked = asked.ef(max(ef, _LEAST_EF, 2 * wide)).nprobes(_PROBES).limit(wide)
            if where is not None:
                asked = asked.where(where, prefilter=True).bypass_vector_index()
            rows = asked.select(["label", "vector", "_distance"]).to_arrow(timeout=_LIMIT)
        labels: Labels = rows["label"].to_numpy().astype(np.int64)
        similarities = products(_halves(rows), query)
        order = np.lexsort((labels, -similarities))[:k]
        return labels[order], similarities[order]

    # Tables -----------------------------------------------------------------------------------

    @property
    def _missing(self) -> bool:
        """Whether the folder of the store is not there; lancedb would make it."""
        return self.address.local and not os.path.lexists(self.address.place)

    def _connected(self) -> Any:
        with self._lock:
            if self._connection is None:
                local, place = self.address.local, self.address.place
                with self._faults("be opened"):
                    self._connection = self._lancedb.connect(Path(place) if local else place)
            return self._connection

    def _names(self) -> list[str]:
        names: list[str] = []
        page = None
        with self._faults("list its tables"):
            while not self._missing:
                found = self._connected().list_tables(page_token=page)
                names += found.tables
                page = found.page_token
                if not page:
                    break
        return sorted(names)

    def _opened(self, collection: str) -> Any:
        """The newest version of a table."""
        with self._faults(f"open {collection}"):
            self._tables[collection] = self._connected().open_table(collection)
        return self._tables[collection]

    def _table(self, collection: str) -> Any:
        """A table as it was when it was opened, and as this process has changed it since."""
        return self._tables.get(collection) or self._opened(collection)

    def _rows(self, table: Any, names: Sequence[str], where: Any) -> Any:
        with self._faults("read rows"):
            return table.search().where(where).select([*names]).to_arrow(timeout=_LIMIT)

    def _pairs(
        self, collection: str, names: tuple[str, str], where: Any
    ) -> Iterable[tuple[Any, Any]]:
        rows = self._rows(self._table(collection), names, where)
        return zip(*(rows[name].to_pylist() for name in names), strict=True)

    def _sync(self, collection: str) -> None:
        """Write the files of a table to the disk; lancedb leaves that to the system."""
        if not self.address.local:
            return
        folder = Path(self.address.place)
        with self._faults("write to the disk"):
            for path in (folder, *(folder / f"{collection}.lance").rglob("*")):
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    # Faults -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _faults(self, what: str) -> Iterator[None]:
        """Turn errors of lancedb and pyarrow into a StoreFault that says what to do."""
        try:
            yield
        except BioRetrievalError:
            raise
        except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
            raise self._fault(what, error) from error

    def _fault(self, what: str, error: Exception) -> StoreFault:
        said = " ".join(str(error).split())
        # Their place in the source of Lance is of no use.
        said = re.sub(r"^(lance error: )?(LanceError\(\w+\): )?|, /\S+\.rs:\d+:\d+.*$", "", said)
        lower, local = said.casefold(), self.address.local
        if _FULL.search(lower):
            return StoreFault(f"{self.address} is full: {said[:120]}", remedy="free space there")
        if _REFUSED.search(lower):
            remedy = "check who may write the folder" if local else _CREDENTIALS
            return StoreFault(f"{self.address} refuses to {what}: {said[:160]}", remedy=remedy)
        if _NEWER.search(lower):
            said = f"{self.address} was written by another version of LanceDB: {said[:160]}"
            return StoreFault(said, remedy=f"run: {install_command('lance')} --upgrade")
        if _LACKING.search(lower):
            said = f"{self.address} lacks what it should hold: {said[:160]}"
            again = "others have changed it: open the index again, else copy it there again"
            return AbsentFault(said, remedy=again)
        if _LOST.search(lower):
            remedy = "can it be reached from here? `bioretrieval-tui doctor --store ADDRESS`"
            return SilentFault(f"{self.address} does not answer", remedy=remedy)
        said = f"{self.address} cannot {what}: {said[:160]}"
        return StoreFault(said, remedy="is it damaged? copy the index there again")


def _among(name: str, values: Sequence[Any]) -> Any:
    """The condition that a field has one of these values."""
    from lancedb.expr import col

    return col(name).isin(list(values)) if len(values) else "false"


def _literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def _halves(rows: Any) -> Halves:
    """The vectors of rows: float16 (n, dimension)."""
    column = rows["vector"].combine_chunks()
    numbers: Halves = column.flatten().to_numpy(zero_copy_only=False)
    return numbers.reshape(len(rows), column.type.list_size)


def _lancedb() -> Any:
    """lancedb, quiet. Raises BioRetrievalError without it."""
    os.environ.setdefault("LANCE_LOG", "off")
    try:
        import lancedb
    except ImportError as error:
        remedy = f"run: {install_command('lance')}"
        raise BioRetrievalError("Lance needs lancedb", remedy=remedy) from error
    return lancedb
