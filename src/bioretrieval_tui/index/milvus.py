"""Milvus as a store: a server, or Milvus Lite in a file, by pymilvus.

A collection has a row a document: `label` (its key), `id`, `title`, `text` and `metadata`, cut into
fields of what Milvus holds in one, `digest`, `source`, `line`, `aliases` and `vector`, with an HNSW
index for inner products. Other clients can read it as it is. A pointer is an alias of Milvus; facts
are properties of a collection.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.manifest import NEW_GRAPHS
from bioretrieval_tui.index.stores import (
    TOKEN,
    AbsentFault,
    SilentFault,
    Store,
    StoreAddress,
    StoredRow,
    StoreFault,
)
from bioretrieval_tui.index.vector_matrix import Labels, Vector, Vectors
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.util.formatting import install_command

OLDEST = (2, 3)
"""The oldest version of Milvus that is known to work."""
WITH_BM25 = (2, 5)
"""Servers have BM25 since this version. Milvus Lite has it too, but with the statistics of each
segment alone, so that scores are others, and slowly: only where it is asked for."""
BM25_K1, BM25_B = 1.2, 0.75
"""Those of tantivy, see `text_index`."""
_LARGEST = 65_535
PIECE = 60_000
"""Bytes of a field, of 65,535 that Milvus holds."""
PIECES = {"title": 1, "text": 8, "metadata": 4}
"""Fields that a value is cut into, at most."""
_SECONDS = 20.0
"""Time limit of what reads; pymilvus tries again within it where the connection is lost."""
_SECONDS_CONNECTING = 8.0
_SECONDS_WRITING = 120.0
_SECONDS_LOADING = 3_600.0
_INSERTED = 16 * 2**20
"""Bytes of rows that are sent at once, about; Milvus takes 64 MiB."""
_PROPERTY = "bioretrieval."
_MOST_NEAREST = 16_384
"""Results that Milvus gives at most."""
_REFUSED = re.compile(r"auth check|authenticat|permission den|privilege|user not exist|password")
_FULL = re.compile(r"quota|no space|disk (is )?full|memory limit|insufficient memory|not enough")
_LOST = re.compile(
    r"unavailable|fail(ed)? (to )?connect|deadline|time ?out|retry run out|closed channel|refused"
)
_ABSENT = (100, 1600)
"""Codes of a collection and of an alias that there is not."""
_ONE_PROCESS = "close that, such as the app, or use lance+file: or a Milvus server"
_PLAIN = ("id", "digest", "source", "line", "aliases")


_OPEN: Counter[StoreAddress] = Counter()
_OPENING = threading.Lock()
"""Connections of this process: the file of Milvus Lite is closed with the last one."""


def pieces_of(name: str) -> list[str]:
    """The fields that hold the value `name`, in order."""
    return [name if not number else f"{name}_{number}" for number in range(PIECES[name])]


_TEXTS = [piece for name in PIECES for piece in pieces_of(name)]
_ROW = ["label", *_PLAIN, *_TEXTS]


class MilvusStore(Store):
    """One Milvus, connected; usable from several threads."""

    def __init__(self, address: StoreAddress) -> None:
        self.address = address
        self._milvus = _pymilvus()
        self.lite = address.local
        how: dict[str, Any] = {"timeout": _SECONDS_CONNECTING}
        if self.lite:
            _require_lite()
        elif token := os.environ.get(TOKEN):
            how["token"] = token
        if address.database:
            how["db_name"] = address.database
        with _OPENING, self._faults("connect"):
            if self.lite and not _OPEN[address]:
                _require_free(address)
            self._client = self._milvus.MilvusClient(address.place, **how)
            _OPEN[address] += 1
        try:
            self.version = str(self._call("get_server_version"))
            if self._numbers < OLDEST:
                said = f"{address} is Milvus {self.version}"
                raise StoreFault(said, remedy="2.3 is the oldest that is supported")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._client.close()
        with _OPENING:
            _OPEN[self.address] -= 1
            if self.lite and not _OPEN[self.address]:
                # Its lock is held until the process ends otherwise.
                with contextlib.suppress(Exception):
                    from milvus_lite.server_manager import server_manager_instance

                    server_manager_instance.release_server(self.address.place)

    # Collections ------------------------------------------------------------------------------

    def collections(self) -> list[str]:
        return sorted(self._call("list_collections"))

    def create(self, collection: str, dimension: int, *, text: bool = False) -> None:
        kinds, client = self._milvus.DataType, self._client
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("label", kinds.INT64, is_primary=True)
        for name in ("id", "digest", "source", *_TEXTS):
            schema.add_field(name, kinds.VARCHAR, max_length=_LARGEST)
        schema.add_field("line", kinds.INT64)
        schema.add_field(
            "aliases", kinds.ARRAY, element_type=kinds.VARCHAR, max_capacity=4_096, max_length=1_024
        )
        schema.add_field("vector", kinds.FLOAT_VECTOR, dim=dimension)
        indexes = client.prepare_index_params()
        links = {"M": NEW_GRAPHS.m, "efConstruction": NEW_GRAPHS.ef_construction}

        def index(field: str, kind: str, metric: str, params: dict[str, Any]) -> None:
            # pymilvus sends each parameter by itself, and Lite reads them from one.
            held = {"params": json.dumps(params)} if self.lite else params
            indexes.add_index(field, index_type=kind, metric_type=metric, params=held)

        index("vector", "HNSW", "IP", links)
        indexes.add_index("id", index_type=self._word_index)
        indexes.add_index("digest", index_type=self._word_index)
        if text:
            # Lite knows "standard" only; terms are such that both leave them as they are.
            analyser = {"tokenizer": "standard" if self.lite else "whitespace"}
            schema.add_field(
                "terms",
                kinds.VARCHAR,
                max_length=_LARGEST,
                enable_analyzer=True,
                analyzer_params=analyser,
            )
            schema.add_field("sparse", kinds.SPARSE_FLOAT_VECTOR)
            schema.add_field("sought", kinds.VARCHAR, max_length=_LARGEST)
            for name in ("year", "date"):
                schema.add_field(name, kinds.INT64)
            schema.add_function(
                self._milvus.Function(
                    name="bm25",
                    function_type=self._milvus.FunctionType.BM25,
                    input_field_names=["terms"],
                    output_field_names=["sparse"],
                )
            )
            weights = {"bm25_k1": BM25_K1, "bm25_b": BM25_B}
            index("sparse", "SPARSE_INVERTED_INDEX", "BM25", weights)
        self._call("create_collection", collection, schema=schema, writing=True)
        # pymilvus would wait half a second for each index of an empty collection.
        self._call("create_index", collection, indexes, sync=False, writing=True)
        self.load(collection)

    @property
    def takes_text(self) -> bool:
        return not self.lite and self._numbers >= WITH_BM25

    @property
    def _numbers(self) -> tuple[int, ...]:
        return tuple(map(int, re.findall(r"\d+", self.version)[:2]))

    @property
    def _word_index(self) -> str:
        return "Trie" if not self.lite and self._numbers < (2, 4) else "INVERTED"

    def drop(self, collection: str) -> None:
        if collection in self.collections():
            for pointer in self._aliases_of(collection):
                self._call("drop_alias", pointer, writing=True)
            self._call("drop_collection", collection, writing=True)

    def facts(self, collection: str) -> dict[str, str]:
        held = self._call("describe_collection", collection).get("properties") or {}
        return {
            name.removeprefix(_PROPERTY): value
            for name, value in held.items()
            if name.startswith(_PROPERTY)
        }

    def describe(self, collection: str, facts: dict[str, str]) -> None:
        named = {_PROPERTY + name: value for name, value in facts.items()}
        self._call("alter_collection_properties", collection, properties=named, writing=True)

    def pointed(self, pointer: str) -> str | None:
        with contextlib.suppress(AbsentFault):
            found = str(self._call("describe_alias", pointer).get("collection_name", ""))
            # A server keeps the alias of a collection that others have deleted.
            return found if found in self.collections() else None
        return None

    def _aliases_of(self, collection: str) -> list[str]:
        return list(self._call("list_aliases", collection).get("aliases") or ())

    def point(self, pointer: str, collection: str) -> None:
        if self.pointed(pointer) == collection:
            return
        try:
            self._call("alter_alias", collection, pointer, writing=True)
        except AbsentFault:
            self._call("create_alias", collection, pointer, writing=True)

    # Writing ----------------------------------------------------------------------------------

    def insert(self, collection: str, rows: Sequence[StoredRow], vectors: Vectors) -> None:
        some: list[dict[str, Any]] = []
        size = 0
        for row, vector in zip(rows, vectors, strict=True):
            made = self._made(row)
            some.append({**made, "vector": vector})
            size += 4 * len(vector) + sum(len(made[name].encode()) for name in _TEXTS)
            if size >= _INSERTED:
                self._call("insert", collection, some, writing=True)
                some, size = [], 0
        if some:
            self._call("insert", collection, some, writing=True)

    def _made(self, row: StoredRow) -> dict[str, Any]:
        made: dict[str, Any] = {"label": row.label, "aliases": list(row.aliases)}
        made |= {name: getattr(row, name) for name in ("id", "digest", "source", "line")}
        if row.terms is not None:
            year = row.date // 10_000 if row.date >= 0 else -1
            made |= {"terms": row.terms, "sought": row.sought, "date": row.date, "year": year}
        for name in PIECES:
            value, fields = getattr(row, name), pieces_of(name)
            parts = _cut(value)
            if len(parts) > len(fields):
                size, most = len(value.encode()), PIECE * len(fields)
                said = f"the {name} of document {row.id!r} has {size:,} bytes"
                raise BioRetrievalError(
                    said, remedy=f"Milvus takes {most:,}: leave the document out, or split it"
                )
            made |= dict.fromkeys(fields, "")
            made |= dict(zip(fields, parts, strict=False))
        return made

    def count(self, collection: str, last: int | None = None) -> int:
        where = "" if last is None else f"label <= {last}"
        found = self._call(
            "query", collection, filter=where, output_fields=["count(*)"], writing=True,
            consistency_level="Strong",
        )  # fmt: skip
        return int(found[0]["count(*)"])

    def cut(self, collection: str, first: int) -> None:
        self._call("delete", collection, filter=f"label >= {first}", writing=True)

    def finish(self, collection: str, reporter: Reporter) -> None:
        self._call("flush", collection, writing=True, seconds=_SECONDS_LOADING)
        while True:
            found = self._call("describe_index", collection, index_name="vector")
            waiting = int(found.get("pending_index_rows") or 0)
            rows = int(found.get("total_rows") or 0)
            reporter(Progress("linking", max(0, rows - waiting), rows, note="in the store"))
            if waiting <= 0:
                break
            time.sleep(0.5)
        if not self.lite:
            # Otherwise a server searches by what it has made in memory for a while, and finds less.
            self._call("release_collection", collection, writing=True)
        self.load(collection)

    # Reading ----------------------------------------------------------------------------------

    def load(self, collection: str) -> None:
        self._call("load_collection", collection, writing=True, seconds=_SECONDS_LOADING)

    def documents(self, collection: str, labels: Sequence[int]) -> Iterator[StoredRow]:
        return map(_row, self._rows(collection, _among(labels), _ROW))

    def between(self, collection: str, first: int, end: int) -> Iterator[StoredRow]:
        where = f"label >= {first} and label < {end}"
        return map(_row, self._rows(collection, where, _ROW))

    def ids(self, collection: str, labels: Sequence[int]) -> dict[int, str]:
        rows = self._rows(collection, _among(labels), ["label", "id"])
        return {int(row["label"]): str(row["id"]) for row in rows}

    def vectors(self, collection: str, labels: Sequence[int]) -> dict[int, Vector]:
        rows = self._rows(collection, _among(labels), ["label", "vector"])
        return {int(row["label"]): np.asarray(row["vector"], dtype=np.float32) for row in rows}

    def named(self, collection: str, ids: Sequence[str]) -> dict[str, int]:
        where = f"id in [{', '.join(map(literal, ids))}]"
        return {
            str(row["id"]): int(row["label"])
            for row in self._rows(collection, where, ["label", "id"])
        }

    def aliased(self, collection: str, ids: Sequence[str]) -> dict[str, int]:
        wanted = {*ids}
        where = f"array_contains_any(aliases, [{', '.join(map(literal, ids))}])"
        return {
            str(name): int(row["label"])
            for row in self._rows(collection, where, ["label", "aliases"])
            for name in row["aliases"]
            if name in wanted
        }

    def with_digest(self, collection: str, digest: str) -> list[int]:
        rows = self._rows(collection, f"digest == {literal(digest)}", ["label"])
        return [int(row["label"]) for row in rows]

    def aliases(self, collection: str) -> Iterator[tuple[int, tuple[str, ...]]]:
        for row in self._rows(collection, "array_length(aliases) != 0", ["label", "aliases"]):
            yield int(row["label"]), tuple(map(str, row["aliases"]))

    def nearest(
        self, collection: str, query: Vector, k: int, *, ef: int, allowed: Any = None
    ) -> tuple[Labels, Vector]:
        where = ""
        if allowed is not None:
            where = _among(allowed.tolist()) if isinstance(allowed, np.ndarray) else str(allowed)
        hits = self._call(
            "search", collection, [query], anns_field="vector", filter=where,
            limit=min(k, _MOST_NEAREST), output_fields=["label"],
            search_params={"params": {"ef": min(max(ef, k), 2 * _MOST_NEAREST)}},
        )[0]  # fmt: skip
        return ranked(hits)

    # BM25 and filters, where the collection has them ---------------------------------------------

    def best(
        self, collection: str, queries: Sequence[str], k: int, where: str
    ) -> list[tuple[Labels, Vector]]:
        """Labels and BM25 scores of the `k` best documents for each query, of those that fit the
        expression `where`."""
        found = self._call(
            "search", collection, list(queries), anns_field="sparse", filter=where,
            limit=min(k, _MOST_NEAREST), output_fields=["label"],
        )  # fmt: skip
        # Milvus Lite gives BM25 as a distance, so with a minus.
        return [(labels, np.abs(scores)) for labels, scores in map(ranked, found)]

    def terms(self, collection: str, labels: Iterable[int]) -> list[list[str]]:
        """The terms of these documents."""
        rows = self._rows(collection, _among(labels), ["terms"])
        return [str(row["terms"]).split() for row in rows]

    def matching(self, collection: str, where: str) -> int:
        """How many rows fit an expression."""
        found = self._call("query", collection, filter=where, output_fields=["count(*)"])
        return int(found[0]["count(*)"])

    def labels(self, collection: str, where: str, most: int) -> list[int]:
        """The labels of rows that fit an expression, ascending, at most `most`."""
        found: list[int] = []
        while len(found) < most:
            after = f" and label > {found[-1]}" if found else ""
            page = min(_MOST_NEAREST, most - len(found))
            rows = self._call(
                "query", collection, filter=f"({where}){after}", output_fields=["label"], limit=page
            )
            found += sorted(int(row["label"]) for row in rows)  # a page is in order of its keys
            if len(rows) < page:
                break
        return found

    def _rows(
        self, collection: str, where: str, fields: Sequence[str]
    ) -> Iterable[Mapping[str, Any]]:
        found: Iterable[Mapping[str, Any]] = self._call(
            "query", collection, filter=where, output_fields=list(fields)
        )
        return found

    def _call(
        self, verb: str, *args: Any, writing: bool = False, seconds: float = 0, **how: Any
    ) -> Any:
        limit = seconds or (_SECONDS_WRITING if writing else _SECONDS)
        with self._faults(verb):
            return getattr(self._client, verb)(*args, timeout=limit, **how)

    @contextlib.contextmanager
    def _faults(self, verb: str) -> Iterator[None]:
        """Turn errors of pymilvus and gRPC into a StoreFault that says what to do."""
        import grpc

        try:
            yield
        except (self._milvus.MilvusException, grpc.RpcError, grpc.FutureTimeoutError) as error:
            raise self._fault(verb, error) from error

    def _fault(self, verb: str, error: Exception) -> StoreFault:
        said = " ".join(str(getattr(error, "message", "") or error).split())
        lower = said.casefold()
        if _REFUSED.search(lower):
            what = "refuses the credential" if os.environ.get(TOKEN) else "asks for a credential"
            return StoreFault(f"{self.address} {what}: {said[:120]}", remedy=f"set {TOKEN}")
        if _FULL.search(lower):
            return StoreFault(f"{self.address} is full: {said[:120]}", remedy="free space there")
        if _LOST.search(lower):
            remedy = "is the server running, and is this its port?"
            return SilentFault(f"{self.address} does not answer", remedy=remedy)
        if getattr(error, "code", None) in _ABSENT:
            said = f"{self.address} lacks what {verb} asks for: {said[:120]}"
            return AbsentFault(said, remedy="others have changed it: copy the index there again")
        said = f"refuses to {verb}: {said[:160]}"
        if not self.lite:
            return StoreFault(f"{self.address} {said}")
        said = "cannot be opened as Milvus Lite" if verb == "connect" else said
        again = "is it damaged? remove it, and copy the index there again"
        return StoreFault(f"{self.address} {said}", remedy=again)


def ranked(hits: Iterable[Mapping[str, Any]]) -> tuple[Labels, Vector]:
    """The labels and scores of the hits of a search."""
    # Milvus Lite and servers differ in how they name the key.
    found = [(hit["label"] if "label" in hit else hit["id"], hit["distance"]) for hit in hits]
    labels = np.array([int(label) for label, _ in found], dtype=np.int64)
    return labels, np.array([score for _, score in found], dtype=np.float32)


def literal(text: str) -> str:
    """A text as an expression of Milvus writes it."""
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)


def _among(labels: Iterable[int]) -> str:
    return f"label in [{', '.join(map(str, labels))}]"


def _row(row: Mapping[str, Any]) -> StoredRow:
    def text(name: str) -> str:
        return "".join(str(row[one] or "") for one in pieces_of(name))

    return StoredRow(
        label=int(row["label"]),
        id=str(row["id"]),
        title=text("title"),
        text=text("text"),
        metadata=text("metadata"),
        digest=str(row["digest"]),
        source=str(row["source"]),
        line=int(row["line"]),
        aliases=tuple(map(str, row["aliases"] or ())),
    )


def _cut(text: str) -> list[str]:
    """The text in pieces of at most `PIECE` bytes, none within a character."""
    if len(text) * 4 <= PIECE:
        return [text]
    data, parts = text.encode(), []
    while data:
        end = min(PIECE, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        parts.append(data[:end].decode())
        data = data[end:]
    return parts


def _pymilvus() -> Any:
    """pymilvus, quiet. Raises BioRetrievalError without it."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    for name in ("pymilvus", "milvus_lite", "grpc"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
    try:
        import pymilvus
    except ImportError as error:
        remedy = f"run: {install_command('milvus')}"
        raise BioRetrievalError("Milvus needs pymilvus", remedy=remedy) from error
    for name in [one for one in logging.root.manager.loggerDict if one.startswith("pymilvus")]:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # it sets levels when imported
    return pymilvus


def _require_lite() -> None:
    """Raise BioRetrievalError without Milvus Lite."""
    try:
        import milvus_lite  # noqa: F401
    except ImportError as error:
        remedy = f"run: {install_command('milvus')}"
        raise BioRetrievalError("a file of Milvus needs milvus-lite", remedy=remedy) from error


def _require_free(address: StoreAddress) -> None:
    """Raise StoreFault if another process has the file of Milvus Lite open, or its folder cannot be
    written."""
    import fcntl

    path = Path(address.place)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (path / "LOCK").exists():
            return
        with (path / "LOCK").open("rb+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(stream, fcntl.LOCK_UN)
    except BlockingIOError as error:
        said = f"{address} is open in another process, and Milvus Lite serves one at a time"
        raise StoreFault(said, remedy=_ONE_PROCESS) from error
    except OSError as error:
        said = f"{address} cannot be opened: {error.strerror or error}"
        raise StoreFault(said, remedy="name another file") from error
