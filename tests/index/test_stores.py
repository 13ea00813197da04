"""Indexes in Milvus, Lite or a server: the same answers as from files, and what can go wrong."""

from __future__ import annotations

import contextlib
import os
import random
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from filter_strategies import EXPRESSIONS
from hashing_encoder import HashingEncoder
from hypothesis import HealthCheck, given, settings
from index_help import feeding, record
from store_help import both, build_mine, documents, engine_of, kill_a_copy

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.backend.server import Searching
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import (
    BioRetrievalError,
    FilterError,
    IndexFault,
    NotFoundError,
    UsageError,
)
from bioretrieval_tui.index.base import InStore
from bioretrieval_tui.index.build import add_to_index, build_index, compact_index
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.manifest import Manifest, read_manifest
from bioretrieval_tui.index.parquet_export import export_index
from bioretrieval_tui.index.parquet_import import IndexExport
from bioretrieval_tui.index.registry import info, list_indexes, open_index, remove_index
from bioretrieval_tui.index.store_index import (
    check_store,
    connect_index,
    connected,
    copy_to_store,
    delete_in_store,
    pointer_of,
    require_place,
)
from bioretrieval_tui.index.stores import (
    SilentFault,
    Store,
    StoreAddress,
    StoredRow,
    StoreFault,
    connect,
    is_address,
    parse_address,
)
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.types import Query, SearchResult

pytest.importorskip("pymilvus")
pytest.importorskip("milvus_lite")

SERVER = os.environ.get("BIORETRIEVAL_MILVUS")
"""A server that is used instead of Milvus Lite, and emptied; see scripts/engines.py."""
with_lite = pytest.mark.skipif(SERVER is not None, reason="of Milvus Lite")
IN_STORE = [True] if SERVER else [True, False]
"""Whether BM25 stays beside the manifest: the server that can be had here has none."""


@pytest.fixture
def address(tmp_path: Path) -> StoreAddress:
    if SERVER is None:
        return parse_address(f"milvus+file:{tmp_path}/store.db")
    found = parse_address(SERVER)
    with contextlib.closing(connect(found)) as store:
        for collection in store.collections():
            store.drop(collection)
    return found


@pytest.fixture
def mine() -> Manifest:
    return build_mine()


@pytest.mark.parametrize("beside", IN_STORE)
def test_a_copy_answers_as_the_index(mine: Manifest, address: StoreAddress, beside: bool) -> None:
    if not beside:
        mine = compact_index("mine").manifest  # deleted documents count in its BM25
    told: list[Progress] = []
    copied = copy_to_store("mine", address, beside=beside, reporter=told.append)
    assert (copied.name, copied.documents, copied.before) == ("mine-milvus", mine.documents, 0)
    assert told[-1].done == told[-1].total
    manifest = read_manifest(index_folder("mine-milvus"))
    assert manifest.remote_text is not beside
    assert manifest.store == str(address)
    names = {path.partition("/")[2].partition("/")[0] for path in manifest.files}
    assert names == ({"text", "metadata", "dead.npy", "longer.npy"} if beside else set())
    with both("mine", "mine-milvus") as (here, there):
        for text in (
            "heart failure",
            "Statins and cholesterol in children",
            "stroke",
            "d17",
            "twin",
        ):
            for mode in ("dense", "lexical", "hybrid"):
                query = Query(text=text, mode=mode)
                first, second = here.search(query), there.search(query)
                assert [one.id for one in first.hits] == [one.id for one in second.hits], text
                if beside:  # the last of a hundred documents have equal scores, so others there
                    assert first.facets == second.facets
                if beside or mode != "hybrid":
                    scores = [[one.score for one in found.hits] for found in (first, second)]
                    assert np.allclose(*scores, atol=1e-3)
        for where in ("year>2005", "mesh:heart -journal:bmj", 'journal="50% of it"', "journal:a_b"):
            query = Query(text="insulin dose", where=where, k=20, order="date")
            first, second = here.search(query), there.search(query)
            assert {one.id for one in first.hits} == {one.id for one in second.hits}
            assert first.hits == second.hits or not beside
            assert first.fitting == second.fitting
        for one, other in zip(
            here.explain(Query(text="heart stroke"), ["d3", "d9"]),
            there.explain(Query(text="heart stroke"), ["d3", "d9"]), strict=True,
        ):  # fmt: skip
            assert one.id == other.id
            assert [word for word, _ in one.terms] == [word for word, _ in other.terms]
        assert [one.id for one in here.similar("d7").hits] == [
            one.id for one in there.similar("d7").hits
        ]
        assert there.named("twin") == here.named("twin")


def test_its_documents_are_those_of_the_index(mine: Manifest, address: StoreAddress) -> None:
    copy_to_store("mine", address)
    with both("mine", "mine-milvus") as (here, there):
        dead = {label for label, _ in here.index.documents.records()} - {
            label for label, _ in there.index.documents.records()
        }
        assert len(dead) == mine.rows - mine.documents
        kept = [one for one in here.index.documents.records() if one[0] not in dead]
        assert [*here.index.living()] == [one.document for _, one in kept]
        assert [*there.index.living()] == [one.document for _, one in kept]
        assert kept == list(there.index.documents.records())
        assert kept[100:] == list(there.index.documents.records(kept[100][0]))
        aliases = list(here.index.documents.all_aliases())
        assert aliases
        assert list(there.index.documents.all_aliases()) == aliases
        labels = np.array([label for label, _ in kept])
        assert np.array_equal(
            here.index.vectors.beginnings(labels), there.index.vectors.beginnings(labels)
        )
        digest = kept[3][1].document.content_hash()
        assert there.index.documents.same_content(digest) == [kept[3][0]]
        assert there.index.documents.find("nothing") is None
        assert there.index.documents.labels(["d3", "line\nbreak", "", 'quo"te\\']) == {
            "d3": here.index.documents.labels(["d3"])["d3"]
        }
        with pytest.raises(StoreFault, match=f"lacks document {min(dead)}"):
            there.index.documents.get([min(dead)])


def test_long_and_odd_texts(address: StoreAddress) -> None:
    long = "caf\u00e9 \u4e2d\u6587 " * 20_000
    odd = [
        record("long", long, "A title"),
        record("odd", 'quotes " \\ and \u0001 \U0001f9ec', "%_", own=[1, None, {"a": "\ud800"}]),
        record("empty", "", "Only a title"),
        record("stop", "the of and", ""),
    ]
    build_index("odd", feeding(odd), lambda: HashingEncoder())
    for beside in IN_STORE:
        copy_to_store("odd", address, beside=beside)
        with both("odd", "odd-milvus") as (here, there):
            first = [one for _, one in here.index.documents.records()]
            second = [one for _, one in there.index.documents.records()]
            assert [one.document.text for one in first] == [one.document.text for one in second]
            assert there.search(Query(text="only a title")).hits[0].id == "empty"


def test_a_text_that_does_not_fit(address: StoreAddress) -> None:
    build_index("huge", feeding([record("h", "word " * 100_000)]), lambda: HashingEncoder())
    with pytest.raises(BioRetrievalError, match=r"the text of document 'h' has 500,000 bytes"):
        copy_to_store("huge", address)
    assert [one.name for one in list_indexes()] == ["huge"]


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SearchEngine, ...]]:
    folder = tmp_path_factory.mktemp("filters")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIORETRIEVAL_HOME", str(folder / "home"))
        draw = random.Random(5)
        values = ["Nature", "nature", "BioHiCL", "bio-hicl", "Bio_HiCL", "J. Clin", "2020-05",
                  "na\u00efve", "\u00d6zil", "A/B", "(x)", "x", "C++", "\u03b2-blocker", "a a a",
                  "\u4e2d\u6587", "50%", "back\\slash", 'quo"te']  # fmt: skip
        made = []
        for number in range(60):
            some = [" ".join(draw.choices(values, k=draw.randrange(1, 4))) for _ in range(6)]
            known = {
                "journal": some[0], "mesh": some[1:3], "authors": some[3:], "types": some[1:2],
                "Own Key": draw.choice([True, 2, some[0]]), "year": draw.randrange(1998, 2004),
            }  # fmt: skip
            kept = {key: value for key, value in known.items() if draw.random() < 0.7}
            made.append(record(f"d{number}", draw.choice(["", "a text"]), f"t {number}", **kept))
        build_index("own", feeding(made), lambda: HashingEncoder())
        copy_to_store("own", parse_address(f"milvus+file:{folder}/store.db"), beside=False)
        with both("own", "own-milvus") as engines:
            yield engines


@with_lite
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(EXPRESSIONS)
def test_filters_find_the_same(filtered: tuple[SearchEngine, ...], expression: str) -> None:
    here, there = (one.index.fields for one in filtered)
    try:
        node = here.parse(expression)
    except (FilterError, UsageError):
        return
    expected = here.select(node).tolist()
    try:
        found = there.select(node)
    except UsageError as error:
        if "Milvus cannot look for" not in error.message:
            raise
        return
    assert (len(found), found.labels) == (len(expected), expected)


@with_lite
def test_a_phrase_is_refused_by_name(filtered: tuple[SearchEngine, ...]) -> None:
    with pytest.raises(UsageError, match='phrase "a text"'):
        filtered[1].search(Query(text="text", where='"a text"'))


def test_a_killed_copy_goes_on_without_doubling(
    mine: Manifest, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_a_copy(address, "MilvusStore")
    assert [one.name for one in list_indexes()] == ["mine"]
    monkeypatch.setattr("bioretrieval_tui.index.store_index._ROWS", 20)
    copied = copy_to_store("mine", address)
    assert copied.before in (40, 60)
    assert verify_index("mine-milvus").ok
    with both("mine", "mine-milvus") as (here, there):
        query = Query(text="heart failure", k=100)
        assert here.rank(query) == pytest.approx(there.rank(query)) or [
            name for name, _ in here.rank(query)
        ] == [name for name, _ in there.rank(query)]
    again = copy_to_store("mine", address)
    assert again.before == again.documents == mine.documents


def test_a_newer_copy_replaces_the_older(mine: Manifest, address: StoreAddress) -> None:
    first = copy_to_store("mine", address)
    with contextlib.closing(engine_of("mine-milvus")) as old:
        add_to_index(
            "mine", feeding([record("new", "an entirely new zebra")]),
            load=lambda *_, **__: HashingEncoder(),
        )  # fmt: skip
        second = copy_to_store("mine", address)
        assert second.documents == mine.documents + 1
        assert first.collection != second.collection
        with pytest.raises(StoreFault):
            old.search(Query(text="stroke"))
    with contextlib.closing(engine_of("mine-milvus")) as now:
        assert now.search(Query(text="zebra")).hits[0].id == "new"
    with contextlib.closing(connect(address)) as store:
        assert store.collections() == [second.collection]


@with_lite
def test_an_index_moves_into_a_store(mine: Manifest, address: StoreAddress) -> None:
    before = info("mine").bytes
    copy_to_store("mine", address, to="mine", beside=False)
    assert info("mine").bytes < before / 10
    assert info("mine").status == "ok"
    with contextlib.closing(engine_of("mine")) as engine:
        assert engine.search(Query(text="d3")).hits[0].id == "d3"
    for change in (lambda: add_to_index("mine", feeding([])), lambda: compact_index("mine")):
        with pytest.raises(InStore, match=r"is in milvus\+file:.*where it is not changed"):
            change()


@with_lite
def test_connecting_from_another_home(
    mine: Manifest, address: StoreAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_to_store("mine", address, to="shared", beside=False)
    copy_to_store("mine", address, to="with-files", beside=True)
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "other"))
    with pytest.raises(NotFoundError, match="has no index missing; it has: shared, with-files"):
        connect_index("missing", address)
    with pytest.raises(UsageError, match="in files of the home from which it was copied"):
        connect_index("with-files", address)
    connect_index("shared", address, to="mine")
    connect_index("shared", address, to="mine")
    assert [one.store for one in list_indexes()] == [str(address)]
    with contextlib.closing(engine_of("mine")) as engine:
        assert engine.search(Query(text="heart failure", where="year>2000")).hits
    build_index("local", feeding(documents(3)), lambda: HashingEncoder())
    with pytest.raises(UsageError, match="there is another index local"):
        connect_index("shared", address, to="local")


def test_what_others_changed(mine: Manifest, address: StoreAddress) -> None:
    copied = copy_to_store("mine", address)
    with contextlib.closing(connect(address)) as store:
        store.cut(copied.collection, 150)
    checks = {one.what: one for one in verify_index("mine-milvus").checks}
    assert "others have changed it" in checks["store"].found
    with contextlib.closing(connect(address)) as store:
        store.create("foreign", 16)
        store.point(pointer_of("mine-milvus"), "foreign")
    with pytest.raises(StoreFault, match="is not an index"):
        open_index("mine-milvus")
    assert info("mine-milvus").status.startswith("out of reach: ")
    with contextlib.closing(connect(address)) as store:
        store.drop("foreign")
        store.drop(copied.collection)
    with pytest.raises(StoreFault, match="no longer holds index mine-milvus"):
        open_index("mine-milvus")
    assert list_indexes()[1].status == "ok"  # no store is asked for a list
    remove_index("mine-milvus")


def test_from_a_store_to_another_and_back_to_files(
    mine: Manifest, address: StoreAddress, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    copy_to_store("mine", address)
    second = parse_address(f"milvus+file:{tmp_path}/second.db")
    copy_to_store("mine-milvus", second, to="again")
    export_index("again", tmp_path / "again.parquet")
    export = IndexExport([tmp_path / "again.parquet"])
    build_index("back", export.feed, export.vectoriser, ids=export.facts.ids)
    assert read_manifest(index_folder("back")).documents == mine.documents
    for name in ("again", "back"):
        with both("mine", name) as (here, there):
            for text in ("heart failure", "twin", "d3"):
                query = Query(text=text, mode="dense")
                assert [hit.id for hit in here.search(query).hits] == [
                    hit.id for hit in there.search(query).hits
                ]
            assert here.named("twin") == there.named("twin")
    copy_to_store("mine", address, to="text", beside=IN_STORE[-1])
    if not SERVER:
        with pytest.raises(UsageError, match="cannot be beside the manifest"):
            copy_to_store("text", second, to="third")


def test_many_allowed_documents(
    mine: Manifest, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_to_store("mine", address)
    for name, value in {"_EXACT": 5, "_LISTED": 5}.items():
        monkeypatch.setattr(f"bioretrieval_tui.index.store_parts.{name}", value)
    with both("mine", "mine-milvus") as (here, there):
        for where in ("year>2000", "year>2015", "mesh:biohicl journal:heart"):
            query = Query(text="insulin dose", where=where, mode="dense", k=20)
            first, second = here.rank(query), there.rank(query)
            assert [name for name, _ in first] == [name for name, _ in second]


def test_an_index_of_another_home_is_not_replaced(
    mine: Manifest, address: StoreAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_to_store("mine", address, to="shared")
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "other"))
    build_index("other", feeding(documents(5)), lambda: HashingEncoder(8))
    said = f"that was copied there from another home: {mine.documents} documents"
    with pytest.raises(UsageError, match=said):
        copy_to_store("other", address, to="shared")
    with pytest.raises(UsageError, match=said):
        require_place("shared", address)
    require_place("another", address)
    with contextlib.closing(connect(address)) as store:
        assert len(store.collections()) == 1


def test_an_index_is_built_again_into_its_store(address: StoreAddress) -> None:
    for count in (5, 9):
        require_place("own", address)
        build_index("own", feeding(documents(count)), lambda: HashingEncoder(), in_store=True)
        copy_to_store("own", address, to="own")
        assert info("own").status == "ok"
        assert read_manifest(index_folder("own")).documents == count
    with contextlib.closing(connect(address)) as store:
        assert len(store.collections()) == 1


def test_a_copy_that_was_killed_before_its_home_was_noted(
    mine: Manifest, address: StoreAddress
) -> None:
    with contextlib.closing(connect(address)) as store:
        store.create(f"{pointer_of('mine-milvus')}_{mine.generation}", mine.dimension)
    copied = copy_to_store("mine", address)
    assert copied.collection == f"{pointer_of('mine-milvus')}_{mine.generation}"
    require_place("mine-milvus", address)  # it is known as this home's


def test_what_an_unfinished_copy_left_is_told_and_swept(
    mine: Manifest, address: StoreAddress
) -> None:
    kill_a_copy(address, "MilvusStore")
    told = {what: (state, value) for what, state, value, _ in check_store(address)}
    assert told["unfinished"][0] == "note"
    assert pointer_of("mine-milvus") in told["unfinished"][1]
    add_to_index(
        "mine", feeding([record("new", "another text")]), load=lambda *_, **__: HashingEncoder()
    )
    copied = copy_to_store("mine", address)
    with contextlib.closing(connect(address)) as store:
        assert store.collections() == [copied.collection]


def test_moving_to_another_store_leaves_nothing(
    mine: Manifest, address: StoreAddress, tmp_path: Path
) -> None:
    copy_to_store("mine", address, to="mine")
    second = parse_address(f"milvus+file:{tmp_path}/second.db")
    copy_to_store("mine", second, to="mine")
    with contextlib.closing(connect(address)) as store:
        assert store.collections() == []
    with contextlib.closing(engine_of("mine")) as engine:
        assert engine.search(Query(text="heart")).hits


@with_lite
def test_another_search_closes_the_file(mine: Manifest, address: StoreAddress) -> None:
    copy_to_store("mine", address)
    searching = Searching("cpu")
    question = Query(text="heart failure", mode="lexical")

    def search(name: str) -> None:
        found = searching(protocol.Search(name, question), lambda _: None)
        assert isinstance(found, SearchResult)
        assert found.hits

    held = [sys.executable, "-c", HELD, f"{address.place}/LOCK"]
    for name, free in (("mine-milvus", False), ("mine", True)):
        search(name)
        with subprocess.Popen(held, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            assert other.stdin is not None
            if free:
                assert other.stdout.readline().strip() == b"held"
            else:
                assert not select.select([other.stdout], [], [], 0.5)[0]
            other.terminate()


@with_lite
def test_what_is_no_file_of_milvus(mine: Manifest, tmp_path: Path) -> None:
    (tmp_path / "plain.db").write_text("no database")
    address = parse_address(f"milvus+file:{tmp_path}/plain.db")
    with pytest.raises(StoreFault, match="cannot be opened"):
        copy_to_store("mine", address)
    (only,) = check_store(parse_address(f"milvus+file:{tmp_path}/new.db"))
    assert only[1] == "note"
    assert not (tmp_path / "new.db").exists()


def test_deleting_in_the_store(mine: Manifest, address: StoreAddress) -> None:
    copy_to_store("mine", address)
    delete_in_store("mine-milvus")
    with contextlib.closing(connect(address)) as store:
        assert store.collections() == []


def test_verification(mine: Manifest, address: StoreAddress) -> None:
    copy_to_store("mine", address, beside=IN_STORE[-1])
    found = verify_index("mine-milvus")
    assert found.ok
    assert "recall@10 1.000" in found.checks[-1].found
    store, collection = connected(read_manifest(index_folder("mine-milvus")))
    with contextlib.closing(store):
        altered = StoredRow.of(3, documents(4)[3])
        altered = msgspec.structs.replace(altered, text="altered")
        if not SERVER:
            altered = msgspec.structs.replace(altered, terms=" altered ")
        store.cut(collection, 209)  # a row, so that the number stays
        last = np.ones((1, 16), dtype=np.float32)
        store.insert(collection, [msgspec.structs.replace(altered, label=209)], last)
    wrong = [one for one in verify_index("mine-milvus").checks if not one.ok]
    assert wrong


def test_what_cannot_be_in_a_store(address: StoreAddress, mine: Manifest) -> None:
    from bioretrieval_tui.encoding.embedded import MODEL_ID
    from bioretrieval_tui.index.build import build_for_model

    build_for_model("words", feeding(documents(3)), MODEL_ID, lexical=True)
    with pytest.raises(UsageError, match="has no vectors"):
        copy_to_store("words", address)
    with pytest.raises(UsageError, match="there is another index words"):
        copy_to_store("mine", address, to="words")
    with pytest.raises(NotFoundError):
        copy_to_store("nothing", address)


def test_a_store_that_is_down(mine: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = parse_address("milvus+http://127.0.0.1:9")
    with pytest.raises(StoreFault, match="does not answer"):
        connect(nobody)
    (only,) = check_store(nobody)
    assert only[1] == "missing"


HELD = """
import sys, fcntl
with open(sys.argv[1], "rb+") as stream:
    fcntl.flock(stream, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


@with_lite
def test_lite_serves_one_process(mine: Manifest, address: StoreAddress) -> None:
    copy_to_store("mine", address)
    lock = f"{address.place}/LOCK"
    with subprocess.Popen(
        [sys.executable, "-c", HELD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StoreFault, match="is open in another process"):
            open_index("mine-milvus")
        other.terminate()
    open_index("mine-milvus").close()


def test_a_check_of_a_store(address: StoreAddress) -> None:
    connect(address).close()  # makes the file
    found = list(check_store(address))
    assert {state for _, state, *_ in found} == {"ok"}
    assert [what for what, *_ in found] == [
        "connection", "version", "BM25 and filters", "rights", "indexes"
    ]  # fmt: skip
    with contextlib.closing(connect(address)) as store:
        assert store.collections() == []


class Failing:
    """A store whose connection is lost at some calls."""

    def __init__(self, store: Store, at: set[int]) -> None:
        self._store, self._at, self._calls = store, at, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def insert(self, collection: str, rows: list[StoredRow], vectors: np.ndarray) -> None:
        self._calls += 1
        if self._calls in self._at:
            self._store.insert(collection, rows[:5], vectors[:5])
            raise SilentFault("the store does not answer")
        self._store.insert(collection, rows, vectors)


def test_a_lost_connection_is_said_and_tried_again(
    mine: Manifest, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bioretrieval_tui.index.store_index._ROWS", 50)
    monkeypatch.setattr("bioretrieval_tui.index.store_index._WAIT", 0.01)
    monkeypatch.setattr(
        "bioretrieval_tui.index.store_index.connect", lambda one: Failing(connect(one), {2, 3})
    )
    monkeypatch.setattr("bioretrieval_tui.index.store_index._TRIES", 1)
    with pytest.raises(SilentFault) as caught:
        copy_to_store("mine", address)
    assert caught.value.__notes__ == [
        f"50 of {mine.documents} documents are in the store; the same call goes on from there"
    ]
    monkeypatch.setattr("bioretrieval_tui.index.store_index._TRIES", 5)
    told: list[Progress] = []
    copy_to_store("mine", address, reporter=told.append)
    assert any("trying again" in (one.note or "") for one in told)
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("milvus+ftp://host", "no address of ftp:"),
        ("milvus+http://user:secret@localhost", "must not stand in an address"),
        ("milvus+http://example.org:19530", "without encryption"),
        ("milvus+https://host:port", "Port could not be cast"),
        ("milvus+https://host/a/b", "is not the address of a server"),
        ("milvus+file:store", "must end in .db"),
        ("milvus+file:", "names no file"),
        ("qdrant+http://host", "is not the address of a store"),
        ("store.db", "is not the address of a store"),
    ],
)
def test_impossible_addresses(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    assert said in caught.value.line()
    assert "secret" not in caught.value.line()


def test_addresses() -> None:
    assert str(parse_address("milvus+http://localhost")) == "milvus+http://localhost:19530"
    assert str(parse_address("milvus+http://[::1]:7/db")) == "milvus+http://[::1]:7/db"
    assert parse_address("milvus+https://host.org:443/own").database == "own"
    assert str(parse_address("milvus+file:a.db")) == f"milvus+file:{Path.cwd()}/a.db"
    assert is_address("milvus+file:a.db")
    assert not is_address("folder/of/indexes")


def test_a_pointer_is_one_name_for_one_index() -> None:
    names = ("a-b", "a.b", "a_b")
    assert len({pointer_of(one) for one in names}) == 3
    assert pointer_of("plain") == "brtu_plain"


def test_documents_are_those_that_are_asked_for(address: StoreAddress, mine: Manifest) -> None:
    copy_to_store("mine", address)
    with contextlib.closing(open_index("mine-milvus")) as index:
        found = index.documents.get([60, 55, 60])
        assert [one.id for one in found] == index.documents.ids([60, 55, 60])
        assert isinstance(found[0], Document)


def test_a_query_of_another_dimension(address: StoreAddress, mine: Manifest) -> None:
    copy_to_store("mine", address)
    index = open_index("mine-milvus")
    with contextlib.closing(index), pytest.raises(IndexFault, match="has 16"):
        index.vectors.search(np.ones(7, dtype=np.float32), 3)
