"""Indexes in LanceDB: the same answers as from files, several processes, and what can go wrong."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hashing_encoder import HashingEncoder
from index_help import feeding, record
from store_help import both, build_mine, documents, engine_of, kill_a_copy

from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.index import lance, store_index
from bioretrieval_tui.index.build import add_to_index, build_index
from bioretrieval_tui.index.layout import index_folder
from bioretrieval_tui.index.manifest import Manifest, read_manifest
from bioretrieval_tui.index.registry import info, list_indexes, open_index
from bioretrieval_tui.index.store_index import (
    check_store,
    connected,
    copy_to_store,
    delete_in_store,
    pointer_of,
)
from bioretrieval_tui.index.stores import (
    Store,
    StoreAddress,
    StoredRow,
    StoreFault,
    connect,
    parse_address,
)
from bioretrieval_tui.index.verify import verify_index
from bioretrieval_tui.progress import Reporter, silent
from bioretrieval_tui.search.types import Query

pytest.importorskip("lancedb")

SCIFACT = Path(__file__).parents[3] / "shared" / "data" / "scifact"


@pytest.fixture
def address(tmp_path: Path) -> StoreAddress:
    return parse_address(f"lance+file:{tmp_path}/a store, 50% \u00fc#")


@pytest.fixture
def mine() -> Manifest:
    return build_mine()


@contextlib.contextmanager
def opened(address: StoreAddress) -> Iterator[Store]:
    with contextlib.closing(connect(address)) as store:
        yield store


@pytest.mark.parametrize("graph", [False, True])
def test_a_copy_answers_as_the_index(
    mine: Manifest, address: StoreAddress, graph: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance, "_GRAPH_FROM", 100 if graph else 10_000)
    copied = copy_to_store("mine", address)
    assert (copied.name, copied.documents, copied.before) == ("mine-lance", mine.documents, 0)
    manifest = read_manifest(index_folder("mine-lance"))
    assert manifest.store == str(address)
    assert not manifest.remote_text
    store, collection = connected(manifest)
    assert isinstance(store, lance.LanceStore)
    kinds = {one.name: one.index_type for one in store._table(collection).list_indices()}
    assert kinds.pop("vector_idx", None) == ("IvfHnswSq" if graph else None)
    assert {*kinds} == {"label_idx", "id_idx", "digest_idx", "aliases_idx"}
    store.close()
    with both("mine", "mine-lance") as (here, there):
        for text in ("heart failure", "Statins and cholesterol in children", "d17", "twin"):
            for mode in ("dense", "lexical", "hybrid"):
                query = Query(text=text, mode=mode)
                first, second = here.search(query), there.search(query)
                assert [one.id for one in first.hits] == [one.id for one in second.hits], text
                assert first.facets == second.facets
                scores = [[one.score for one in found.hits] for found in (first, second)]
                assert np.allclose(*scores, atol=1e-6)
        for where in ("year>2005", "mesh:heart -journal:bmj", 'journal="50% of it"', "journal:a_b"):
            query = Query(text="insulin dose", where=where, k=20)
            first, second = here.search(query), there.search(query)
            assert (first.hits, first.fitting) == (second.hits, second.fitting)
        assert [one.id for one in here.similar("d7").hits] == [
            one.id for one in there.similar("d7").hits
        ]
        assert there.named("twin") == here.named("twin")
    found = verify_index("mine-lance")
    assert found.ok
    assert "recall@10 1.000" in found.checks[-1].found


def test_its_documents_are_those_of_the_index(mine: Manifest, address: StoreAddress) -> None:
    copy_to_store("mine", address)
    with both("mine", "mine-lance") as (here, there):
        first, second = here.index.documents, there.index.documents
        living = {label for label, _ in second.records()}
        assert len(living) == mine.documents < mine.rows
        kept = [one for one in first.records() if one[0] in living]
        assert kept == list(second.records())
        assert kept[100:] == list(second.records(kept[100][0]))
        aliases = list(second.all_aliases())
        assert aliases
        assert aliases == list(first.all_aliases())
        name, label = aliases[0]
        assert second.lookup(name) == first.lookup(name)
        labels = np.array([label for label, _ in kept])
        vectors = [one.index.vectors.beginnings(labels) for one in (here, there)]
        assert np.array_equal(*vectors)
        assert label in second.same_content(dict(kept)[label].document.content_hash())
        odd = ["d3", "it's", "line\nbreak", "", 'quo"te\\', "'); --"]
        assert second.labels(odd) == {"d3": first.labels(["d3"])["d3"]}
        dead = min({*range(mine.rows)} - living)
        with pytest.raises(StoreFault, match=f"lacks document {dead}"):
            second.get([dead])


def test_long_and_odd_texts(address: StoreAddress) -> None:
    odd = [
        record("long", "caf\u00e9 \u4e2d\u6587 " * 200_000, "A title"),
        record(
            "it's \\ odd", 'quotes " \\ and \u0001 \0 \U0001f9ec', "%_", own=[1, None, {"a": "b"}]
        ),
        record("empty", "", "Only a title"),
    ]
    build_index("odd", feeding(odd), lambda: HashingEncoder())
    copy_to_store("odd", address)
    with both("odd", "odd-lance") as (here, there):
        first, second = here.index.documents, there.index.documents
        assert list(first.records()) == list(second.records())
        assert second.lookup("it's \\ odd") == first.lookup("it's \\ odd")
        assert there.search(Query(text="only a title")).hits[0].id == "empty"


@pytest.mark.skipif(not SCIFACT.is_dir(), reason="needs the SciFact collection")
def test_scifact(address: StoreAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance, "_GRAPH_FROM", 1_000)
    texts = [record(str(n), one) for n, one in enumerate(lines(SCIFACT / "corpus.jsonl")[:2_500])]
    build_index("scifact", feeding(texts), partial(HashingEncoder, 64))
    copy_to_store("scifact", address)
    index, other = open_index("scifact"), open_index("scifact-lance")
    with contextlib.closing(index), contextlib.closing(other):
        matrix = index.vectors.beginnings(np.arange(index.manifest.rows))
        found = 0
        asked = HashingEncoder(64).encode_queries(lines(SCIFACT / "queries.jsonl")[:100])
        for query in asked:
            near, similarities = other.vectors.search(query, 10)
            products = matrix @ query
            assert np.allclose(similarities, products[near], atol=1e-6)
            found += int((similarities >= np.sort(products)[-10] - 1e-6).sum())
        assert found >= 0.99 * 10 * len(asked)


def lines(path: Path) -> list[str]:
    import json

    return [json.loads(line)["text"] for line in path.read_text().splitlines()]


def test_the_nearest_of_those_allowed(
    address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many a filter keeps, and whether they are near or far."""
    monkeypatch.setattr(lance, "_GRAPH_FROM", 1_000)
    draw = np.random.default_rng(1)
    count, k = 4_000, 10
    vectors = draw.normal(size=(count, 24)).astype(np.float16).astype(np.float32)
    labels = np.arange(count, dtype=np.int64) * 3
    made = documents(1)[0]
    with opened(address) as store:
        store.create("some", 24)
        rows = [StoredRow.of(int(label), made) for label in labels]
        for start in range(0, count, 1_500):
            store.insert("some", rows[start : start + 1_500], vectors[start : start + 1_500])
        store.finish("some", silent)
        found = due = 0
        for query in draw.normal(size=(12, 24)).astype(np.float32):
            products = vectors @ query
            halves = products < np.median(products), products > np.median(products)
            random = [draw.random(count) < share for share in (0.9, 0.3, 0.02, 0.001)]
            for kept in (*halves, *random, np.ones(count, dtype=bool)):
                allowed = labels[kept]
                near, similarities = store.nearest("some", query, k, ef=100, allowed=allowed)
                exact = allowed[np.argsort(-products[kept])][:k]
                assert np.isin(near, allowed).all()
                assert np.allclose(similarities, products[near // 3], atol=1e-5)
                assert (np.diff(similarities) <= 0).all()
                found, due = found + np.isin(near, exact).sum(), due + len(exact)
        assert found >= 0.99 * due


def test_a_killed_copy_goes_on_without_doubling(
    mine: Manifest, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_a_copy(address, "LanceStore")
    assert [one.name for one in list_indexes()] == ["mine"]
    monkeypatch.setattr(store_index, "_ROWS", 20)
    assert copy_to_store("mine", address).before == 60
    with both("mine", "mine-lance") as (here, there):
        labels = [label for label, _ in there.index.documents.records()]
        assert len(labels) == len({*labels}) == mine.documents
        query = Query(text="heart failure", k=100)
        assert here.search(query).hits == there.search(query).hits
    again = copy_to_store("mine", address)
    assert again.before == again.documents == mine.documents


def test_a_copy_that_ended_before_its_indexes(
    mine: Manifest, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_index, "_ROWS", mine.documents)  # all rows are whole batches

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lance.LanceStore, "finish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            copy_to_store("mine", address)
    copied = copy_to_store("mine", address)
    with opened(address) as store:
        assert isinstance(store, lance.LanceStore)
        assert store.count(copied.collection) == mine.documents
        assert len(store._table(copied.collection).list_indices()) == 4


def test_many_insertions_are_compacted(
    mine: Manifest, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_index, "_ROWS", 10)
    monkeypatch.setattr(lance, "_COMPACTED_AFTER", 8)
    compacted: list[int] = []
    finish = lance.LanceStore.finish

    def counted(self: lance.LanceStore, collection: str, reporter: Reporter) -> None:
        compacted.append(len(list((Path(address.place) / f"{collection}.lance/data").iterdir())))
        finish(self, collection, reporter)

    monkeypatch.setattr(lance.LanceStore, "finish", counted)
    copied = copy_to_store("mine", address)
    assert compacted[0] < 10 < mine.documents / 10
    table = Path(address.place) / f"{copied.collection}.lance"
    assert len(list((table / "data").iterdir())) == 1
    assert len(list((table / "_versions").glob("*.manifest"))) <= 2
    with contextlib.closing(engine_of("mine-lance")) as engine:
        assert engine.search(Query(text="d17")).hits[0].id == "d17"


def test_a_newer_copy_replaces_the_older(mine: Manifest, address: StoreAddress) -> None:
    first = copy_to_store("mine", address)
    with contextlib.closing(engine_of("mine-lance")) as old:
        add_to_index(
            "mine", feeding([record("new", "an entirely new zebra")]),
            load=lambda *_, **__: HashingEncoder(),
        )  # fmt: skip
        second = copy_to_store("mine", address)
        assert second.documents == mine.documents + 1
        with pytest.raises(StoreFault, match="lacks what it should hold") as caught:
            old.search(Query(text="stroke"))
        assert "open the index again" in str(caught.value.remedy)
    with contextlib.closing(engine_of("mine-lance")) as now:
        assert now.search(Query(text="zebra")).hits[0].id == "new"
    with opened(address) as store:
        assert store.collections() == [second.collection] != [first.collection]


READING = """
import sys
from index_help import *
from store_help import engine_of
from bioretrieval_tui.search.types import Query
engine = engine_of("mine-lance")
while line := sys.stdin.readline():
    print([one.id for one in engine.search(Query(text=line.strip())).hits], flush=True)
"""


def test_several_processes_read_while_one_writes(mine: Manifest, address: StoreAddress) -> None:
    copy_to_store("mine", address)
    with contextlib.closing(engine_of("mine")) as engine:
        due = [one.id for one in engine.search(Query(text="heart stroke")).hits]
    writer = threading.Thread(target=copy_to_store, args=("mine", address), kwargs={"to": "second"})
    with (
        contextlib.closing(engine_of("mine-lance")) as engine,
        subprocess.Popen(
            [sys.executable, "-c", READING], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        ) as other,
    ):  # fmt: skip
        assert other.stdin
        assert other.stdout
        other.stdin.write("heart stroke\n")
        other.stdin.flush()
        said = other.stdout.readline()
        writer.start()
        here = [one.id for one in engine.search(Query(text="heart stroke")).hits]
        more, wrong = other.communicate("heart stroke\n")
        writer.join()
    assert here == due
    assert (said, more, wrong) == (f"{due}\n", f"{due}\n", "")
    assert {one.name: one.status for one in list_indexes()} == dict.fromkeys(
        ("mine", "mine-lance", "second"), "ok"
    )


def test_what_others_changed(mine: Manifest, address: StoreAddress) -> None:
    copied = copy_to_store("mine", address)
    with opened(address) as store:
        store.cut(copied.collection, 150)
    checks = {one.what: one for one in verify_index("mine-lance").checks}
    assert "others have changed it" in checks["store"].found
    with opened(address) as store:
        store.create("foreign", 16)
        store.point(pointer_of("mine-lance"), "foreign")
    with pytest.raises(StoreFault, match="is not an index"):
        open_index("mine-lance")
    assert info("mine-lance").status.startswith("out of reach: ")
    with opened(address) as store:
        store.drop("foreign")
    with pytest.raises(StoreFault, match="lacks what it should hold"):
        open_index("mine-lance")
    with pytest.raises(StoreFault, match="the same call starts again"):
        copy_to_store("mine", address)
    assert copy_to_store("mine", address).before == 0
    delete_in_store("mine-lance")
    with opened(address) as store:
        assert store.collections() == []


def test_altered_documents_and_files(mine: Manifest, address: StoreAddress) -> None:
    copied = copy_to_store("mine", address)
    with opened(address) as store:
        assert isinstance(store, lance.LanceStore)
        store._table(copied.collection).update("label = 30", {"text": "altered"})
    wrong = [one.what for one in verify_index("mine-lance").checks if not one.ok]
    assert "documents" in wrong
    for path in (Path(address.place) / f"{copied.collection}.lance").rglob("*.manifest"):
        path.write_bytes(path.read_bytes()[:-9] + b"unreadable")
    with pytest.raises(StoreFault) as caught:
        open_index("mine-lance")
    assert "\n" not in caught.value.line()
    assert ".rs:" not in caught.value.line()


def test_a_missing_folder(mine: Manifest, address: StoreAddress) -> None:
    copy_to_store("mine", address)
    Path(address.place).rename(f"{address.place}.away")
    with pytest.raises(StoreFault, match="is missing"):
        open_index("mine-lance")
    assert not Path(address.place).exists()
    Path(f"{address.place}.away").rename(address.place)
    open_index("mine-lance").close()


def test_a_folder_that_cannot_be_written(mine: Manifest, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "within", Path("/proc/nowhere")):
        with pytest.raises(StoreFault):
            copy_to_store("mine", parse_address(f"lance+file:{place}"))
    if os.getuid():
        (tmp_path / "kept").mkdir(mode=0o500)
        with pytest.raises(StoreFault, match="refuses to"):
            copy_to_store("mine", parse_address(f"lance+file:{tmp_path}/kept"))
    assert [one.name for one in list_indexes()] == ["mine"]


def test_a_full_disk(mine: Manifest, address: StoreAddress) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(StoreFault) as caught:
            copy_to_store("mine", address)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.message.startswith(f"{address} is full: File too large")
    copy_to_store("mine", address)
    with contextlib.closing(engine_of("mine-lance")) as engine:
        assert engine.search(Query(text="d17")).hits[0].id == "d17"


def test_a_check_of_a_store(address: StoreAddress) -> None:
    (only,) = check_store(address)
    assert only[1] == "note"  # nothing is made by looking
    Path(address.place).mkdir()
    assert {state for _, state, *_ in check_store(address)} == {"ok"}
    with opened(address) as store:
        assert store.collections() == []


def test_an_object_store_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT": "http://127.0.0.1:9", "AWS_ALLOW_HTTP": "true",
        "OBJECT_STORE_CLIENT_MAX_RETRIES": "0",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreFault, match=r"lance\+s3://bucket/a/path does not answer"):
        connect(parse_address("lance+s3://bucket/a/path")).collections()


def test_without_the_package(address: StoreAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(BioRetrievalError, match="Lance needs lancedb") as caught:
        connect(address)
    assert "bioretrieval-tui[lance]" in str(caught.value.remedy)


def test_its_text_index_stays_here(mine: Manifest, address: StoreAddress) -> None:
    with pytest.raises(UsageError, match="does not answer BM25"):
        copy_to_store("mine", address, beside=False)
    assert [one.name for one in list_indexes()] == ["mine"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lance+http://host/path", "no address of http:"),
        ("lance+s3://key:secret@bucket/path", "must not stand in an address"),
        ("lance+s3://bucket/path?secret=x", "must not stand in an address"),
        ("lance+s3://bucket", "names no bucket and path"),
        ("lance+gs:///path", "names no bucket and path"),
        ("lance+az://bucket/a/../b", "names no bucket and path"),
        ("lance+file:", "names no file"),
        ("milvus+s3://bucket/path", "no address of s3:"),
    ],
)
def test_impossible_addresses(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    assert said in caught.value.line()
    assert "secret" not in caught.value.line()


def test_addresses() -> None:
    for text in ("lance+s3://bucket/a/path", "lance+gs://bucket/p", "lance+az://box/p"):
        assert str(parse_address(text)) == text
        assert not parse_address(text).local
    assert str(parse_address("lance+s3://bucket/a/path/")) == "lance+s3://bucket/a/path"
    assert str(parse_address("lance+file:folder")) == f"lance+file:{Path.cwd()}/folder"
    assert parse_address("lance+file:folder").local
