"""Building: what is written, what is said meanwhile, and what a stopped build leaves."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import hnswlib
import numpy as np
import pytest
from hashing_encoder import HashingEncoder, write_corpus
from index_help import held, matrix_of, never, path_of, tree, whole, write_texts

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.errors import (
    CorpusError,
    IndexFault,
    InterruptedByUser,
    ModelError,
    NotFoundError,
    UsageError,
)
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.layout import POOL_PREFIX, index_folder, indexes_folder
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.registry import index_names, list_indexes, open_index
from bioretrieval_tui.index.report import Report
from bioretrieval_tui.progress import Progress


def test_a_real_model_end_to_end(tmp_path: Path, encoder: Encoder) -> None:
    path = tmp_path / "c.jsonl.gz"
    lines = (
        '{"_id": "1", "title": "Statins", "text": "Muscle pain under simvastatin."}\n'
        '{"_id": "2", "title": "", "text": "The p53 gene suppresses tumours."}\n'
        '{"_id": 3, "title": "Asthma in children", "text": ""}\n'
    )
    path.write_bytes(gzip.compress(lines.encode()))
    steps: list[Progress] = []
    outcome = build_index("demo", [path], lambda: encoder, reporter=steps.append, ids="pmid")
    manifest = outcome.manifest
    assert outcome.changed
    assert (manifest.documents, manifest.dimension, manifest.dtype) == (3, 384, "float16")
    assert (manifest.model, manifest.recipe_hash) == (encoder.model_id, encoder.recipe_hash)
    assert (manifest.ids, manifest.device, manifest.similarity) == ("pmid", "cpu", "cosine")
    assert manifest.docs_per_second > 0
    assert (manifest.graph.recall, manifest.graph.sampled) == (1.0, 3)
    (source,) = manifest.inputs
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (source.documents, source.path, source.format) == (3, str(path), "beir")
    stages = list(dict.fromkeys(step.stage for step in steps))
    assert [stage for stage in stages if stage != "reading"] == ["encoding", "linking", "saving"]
    index = open_index("demo")
    labels, similarities = index.vectors.search(encoder.encode_queries(["tumour suppressor"])[0], 2)
    assert labels[0] == 1
    assert similarities[0] > similarities[1]
    documents = [
        Document("1", "Statins", "Muscle pain under simvastatin."),
        Document("2", "", "The p53 gene suppresses tumours."),
        Document("3", "Asthma in children", ""),
    ]
    assert index.documents.get([0, 1, 2]) == documents
    np.testing.assert_allclose(
        matrix_of(manifest).astype(np.float32), encoder.encode_documents(documents), atol=1e-3
    )
    assert tree() == whole(manifest)


def test_the_graph_holds_every_vector_under_its_label(built: Manifest) -> None:
    graph = hnswlib.Index(space="ip", dim=16)
    graph.load_index(str(path_of(built, "graph.hnsw")))
    assert sorted(graph.get_ids_list()) == list(range(300))
    stored = matrix_of(built).astype(np.float32)
    np.testing.assert_array_equal(graph.get_items(range(300)), stored)


def test_more_documents_than_one_window(tmp_path: Path, hashing: HashingEncoder) -> None:
    write_corpus(str(tmp_path / "a.jsonl"), "a", 2_100)
    write_corpus(str(tmp_path / "b.jsonl"), "b", 7)
    steps: list[Progress] = []
    manifest = build_index(
        "demo", [tmp_path / "a.jsonl", tmp_path / "b.jsonl"], lambda: hashing, reporter=steps.append
    ).manifest
    assert manifest.documents == 2_107
    assert [given.documents for given in manifest.inputs] == [2_100, 7]
    encoding = [step for step in steps if step.stage == "encoding"]
    assert [step.done for step in encoding] == sorted(step.done for step in encoding)
    assert encoding[-1].done == encoding[-1].total == 2_107
    assert encoding[-1].rate is not None
    # Tokens are counted batch by batch, not when a window of 512 is over.
    assert all(step.tokens_rate for step in encoding if 20 <= step.done < 512)
    assert (encoding[-1].read, encoding[-1].input_share) == (2_107, 1.0)
    index = open_index("demo")
    (last,) = index.documents.get([2_106])
    labels, _ = index.vectors.search(hashing.encode_documents([last])[0], 1)
    assert index.documents.get(labels.tolist())[0].text.split()[0] == "b"


def test_the_same_input_gives_the_same_vectors(corpus: Path) -> None:
    one = build_index("one", [corpus], HashingEncoder).manifest
    two = build_index("two", [corpus], lambda: HashingEncoder(batch=7)).manifest
    np.testing.assert_array_equal(matrix_of(one), matrix_of(two))
    for name in ("documents.sqlite", "vectors.f16", "dead.npy"):
        assert path_of(one, name).read_bytes() == path_of(two, name).read_bytes()


def test_a_new_build_replaces_the_old_one(
    built: Manifest, tmp_path: Path, hashing: HashingEncoder
) -> None:
    open_before = open_index("demo")
    write_corpus(str(tmp_path / "new.jsonl"), "new", 30)
    manifest = build_index("demo", [tmp_path / "new.jsonl"], lambda: hashing).manifest
    assert tree() == whole(manifest)
    assert open_index("demo").documents.find("new0") is not None
    # A reader that was there before keeps what it opened, whole.
    assert open_before.documents.rows == 300
    assert len(open_before.vectors.search(hashing.encode_queries(["old n5"])[0], 300)[0]) == 300


def test_not_replacing(built: Manifest, corpus: Path, hashing: HashingEncoder) -> None:
    with pytest.raises(IndexFault, match="there is an index demo already"):
        build_index("demo", [corpus], never, replace=False)
    assert tree() == whole(built)


class Counting(HashingEncoder):
    """Remembers what it encoded, and may fail after so many documents."""

    def __init__(self, fail_after: int | None = None, **settings: int) -> None:
        super().__init__(**settings)
        self.encoded: list[str] = []
        self._fail_after = fail_after

    def encode_documents(self, documents, *how):  # type: ignore[no-untyped-def]
        if self._fail_after is not None and len(self.encoded) >= self._fail_after:
            raise ModelError("the card is gone")
        self.encoded.extend(document.text for document in documents)
        return super().encode_documents(documents, *how)


def test_building_the_same_again_encodes_nothing(built: Manifest, corpus: Path) -> None:
    encoder, before = Counting(), matrix_of(built)
    outcome = build_index("demo", [corpus], lambda: encoder)
    assert (encoder.encoded, outcome.report.encoded) == ([], 0)
    np.testing.assert_array_equal(matrix_of(outcome.manifest), before)


def test_only_new_texts_are_encoded_when_an_index_is_built_again(
    built: Manifest, tmp_path: Path
) -> None:
    path = write_texts(tmp_path / "n.jsonl", {"x": "new words", "y": "fresh"})
    encoder = Counting()
    write_corpus(str(tmp_path / "o.jsonl"), "old", 10)
    # The title of the old ones is the same, so their content is.
    outcome = build_index("demo", [tmp_path / "o.jsonl", path], lambda: encoder)
    assert encoder.encoded == ["new words", "fresh"]
    assert (outcome.report.encoded, outcome.manifest.documents) == (2, 12)
    assert held("demo") == {
        "x": "new words",
        "y": "fresh",
        **{f"old{number}": f"old n{number}" for number in range(10)},
    }


@pytest.mark.parametrize(
    ("dimension", "revision"), [(32, "sha256:0"), (16, "sha256:1")], ids=["dimension", "revision"]
)
def test_vectors_of_another_model_do_not_serve(
    built: Manifest, corpus: Path, dimension: int, revision: str
) -> None:
    encoder = Counting(dimension=dimension)
    encoder.revision = revision
    build_index("demo", [corpus], lambda: encoder)
    assert len(encoder.encoded) == 300


def test_a_failed_build_goes_on_where_its_vectors_end(tmp_path: Path) -> None:
    corpus = tmp_path / "c.jsonl"
    write_corpus(str(corpus), "w", 3_000)
    broken = Counting(fail_after=2_000)
    with pytest.raises(ModelError, match="the card is gone"):
        build_index("demo", [corpus], lambda: broken)
    assert len(broken.encoded) == 2_048
    assert index_names() == []
    (listed,) = list_indexes()
    assert (listed.name, listed.documents) == ("demo", None)
    assert listed.status.startswith("unfinished: 2,048 documents encoded")
    encoder = Counting()
    # More came meanwhile, in front of what there was: it is the content that counts.
    write_texts(tmp_path / "a.jsonl", {"x": "more"})
    outcome = build_index("demo", [tmp_path / "a.jsonl", corpus], lambda: encoder)
    assert len(encoder.encoded) == outcome.report.encoded == 3_001 - 2_048
    assert set(encoder.encoded).isdisjoint(broken.encoded)
    assert tree() == whole(outcome.manifest)
    assert len(held("demo")) == 3_001


def test_the_pool_is_thrown_away_once_a_build_is_through(built: Manifest, tmp_path: Path) -> None:
    write_corpus(str(tmp_path / "n.jsonl"), "new", 1_100)
    with pytest.raises(ModelError):
        build_index("demo", [tmp_path / "n.jsonl"], lambda: Counting(fail_after=1))
    assert tree(pools=False) == whole(built)
    assert [path.name[:6] for path in index_folder("demo").glob(f"{POOL_PREFIX}*")] == [".pool-"]
    write_corpus(str(tmp_path / "m.jsonl"), "other", 10)
    manifest = build_index("demo", [tmp_path / "m.jsonl"], HashingEncoder).manifest
    assert tree() == whole(manifest)


BAD_LINE = b'\n{"_id": "new"\nnot json\n'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BAD_LINE, "2 records were rejected, the first "),
        (b"", "is empty"),
        (b"\n\n", "is empty"),
    ],
)
@pytest.mark.parametrize("exists", [False, True])
def test_a_corpus_without_a_document_changes_nothing_and_loads_no_model(
    tmp_path: Path, corpus: Path, data: bytes, message: str, exists: bool
) -> None:
    before = whole(build_index("demo", [corpus], HashingEncoder).manifest) if exists else set()
    (tmp_path / "c.jsonl").write_bytes(data)
    report = Report()
    with pytest.raises(CorpusError) as caught:
        build_index("demo", [tmp_path / "c.jsonl"], never, report=report)
    assert message in caught.value.line()
    assert report.read == report.rejected
    assert tree() == before


def test_a_missing_file_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        build_index("demo", [tmp_path / "none.jsonl"], never)
    assert not indexes_folder().exists()


def test_no_inputs_and_a_reserved_name(corpus: Path) -> None:
    with pytest.raises(UsageError, match="no corpus file"):
        build_index("demo", [], never)
    with pytest.raises(UsageError, match="made from the catalogue itself"):
        build_index("catalogue", [corpus], never)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "A", "a b", "-a", "a-", "a" * 65, "ä", "a\n", ".a", "a\0"],
)
def test_impossible_names(corpus: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name an index"):
        build_index(name, [corpus], never)


class Stop:
    """Gives up at the n-th step, or the n-th of a stage: threads decide how many there are."""

    def __init__(self, at: int, stage: str | None = None) -> None:
        self.left = at
        self.stage = stage

    def __call__(self, step: Progress) -> None:
        if self.stage in (None, step.stage):
            self.left -= 1
            if self.left == 0:
                raise InterruptedByUser(f"at {step.stage}")


@pytest.mark.parametrize("exists", [False, True])
def test_interrupted_at_every_step(tmp_path: Path, corpus: Path, exists: bool) -> None:
    before = set()
    if exists:
        before = whole(build_index("demo", [corpus], HashingEncoder).manifest)
    write_corpus(str(tmp_path / "new.jsonl"), "new", 120)
    stops = [Stop(1, stage) for stage in ("encoding", "linking", "saving")]
    stops += [Stop(at) for at in range(1, 100)]
    ended = 0
    for at, stop in enumerate(stops):
        encoder = HashingEncoder()
        encoder.revision = f"sha256:{at}"  # so that nothing which was paid for shortens the next
        try:
            build_index("demo", [tmp_path / "new.jsonl"], lambda: encoder, reporter=stop)  # noqa: B023
        except InterruptedByUser:
            ended += 1
            # What was paid for stays, for the next attempt; of a first build nothing else does.
            assert tree(pools=False) - {"demo"} == before - {"demo"}
        else:
            break
    assert ended > 3  # every stage, and some step besides
    assert held("demo") == {f"new{number}": f"new n{number}" for number in range(120)}
    assert tree() == whole(open_index("demo").manifest)


def test_ctrl_c_leaves_nothing(corpus: Path) -> None:
    def interrupt(step: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index("demo", [corpus], HashingEncoder, reporter=interrupt)
    assert tree(pools=False) - {"demo"} == set()
    assert index_names() == []


def test_a_model_that_does_not_load_leaves_nothing(corpus: Path) -> None:
    def broken() -> HashingEncoder:
        raise ModelError("no model")

    with pytest.raises(ModelError):
        build_index("demo", [corpus], broken)
    assert tree() == set()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda n: np.zeros((n, 3), dtype=np.float32), "gave"),
        (lambda n: np.zeros((n, 16), dtype=np.float64), "gave"),
        (lambda n: np.zeros((n + 1, 16), dtype=np.float32), "gave"),
        (lambda n: np.full((n, 16), np.nan, dtype=np.float32), "not finite"),
        (lambda n: np.full((n, 16), np.inf, dtype=np.float32), "not finite"),
        (lambda n: np.full((n, 16), 70_000, dtype=np.float32), "exceed 65,504"),
    ],
)
def test_an_encoder_that_gives_what_it_did_not_promise(corpus, wrong, said) -> None:  # type: ignore[no-untyped-def]
    class Lying(HashingEncoder):
        def encode_documents(self, documents, *how):  # type: ignore[no-untyped-def]
            return wrong(len(documents))

    with pytest.raises(ModelError, match=said):
        build_index("demo", [corpus], Lying)
    assert tree() == set()


def test_a_folder_that_cannot_be_made_is_one_line(home: Path, corpus: Path) -> None:
    home.write_text("a file where the folder should be")
    with pytest.raises(IndexFault) as caught:
        build_index("demo", [corpus], HashingEncoder)
    assert "index demo cannot be written" in caught.value.line()


def test_a_reporter_whose_pipe_broke_is_no_disk_fault(corpus: Path) -> None:
    def broken(_: Progress) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        build_index("demo", [corpus], HashingEncoder, reporter=broken)
    assert tree(pools=False) - {"demo"} == set()
