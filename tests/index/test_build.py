"""Building: what is written, what is said meanwhile, and what a stopped build leaves."""

from __future__ import annotations

import gzip
import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import hnswlib
import numpy as np
import pytest
from hashing_encoder import HashingEncoder, write_corpus

from bioretrieval_tui.corpus.document import Document
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
from bioretrieval_tui.index.layout import index_folder, indexes_folder
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.registry import index_names, open_index
from bioretrieval_tui.progress import Progress


def tree() -> set[str]:
    """Everything under the indexes' folder but the locks, which stay."""
    root = indexes_folder()
    return {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if ".locks" not in path.relative_to(root).parts
    }


def whole(manifest: Manifest) -> set[str]:
    """What lies on disk when `manifest` is the only index and nothing else is left."""
    inside = f"{manifest.name}/{manifest.generation}"
    files = {f"{inside}/{name}" for name in manifest.files}
    return {manifest.name, f"{manifest.name}/manifest.json", inside, *files}


def test_a_real_model_end_to_end(tmp_path: Path, encoder: Encoder) -> None:
    path = tmp_path / "c.jsonl.gz"
    lines = (
        '{"_id": "1", "title": "Statins", "text": "Muscle pain under simvastatin."}\n'
        '{"_id": "2", "title": "", "text": "The p53 gene suppresses tumours."}\n'
        '{"_id": 3, "title": "Asthma in children", "text": ""}\n'
    )
    path.write_bytes(gzip.compress(lines.encode()))
    steps: list[Progress] = []
    manifest = build_index("demo", [path], lambda: encoder, reporter=steps.append, ids="pmid")
    assert (manifest.documents, manifest.dimension, manifest.dtype) == (3, 384, "float32")
    assert (manifest.model, manifest.recipe_hash) == (encoder.model_id, encoder.recipe_hash)
    assert (manifest.ids, manifest.device, manifest.similarity) == ("pmid", "cpu", "cosine")
    assert manifest.docs_per_second > 0
    (source,) = manifest.inputs
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (source.documents, source.path) == (3, str(path))
    assert [step.stage for step in steps if step.done] == [
        "reading",
        "encoding",
        *["saving"] * 3,
    ]
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
    stored = np.load(index.folder / manifest.generation / "vectors.f32.npy")
    np.testing.assert_allclose(stored, encoder.encode_documents(documents), atol=1e-5)
    assert tree() == whole(manifest)


def test_the_graph_holds_every_vector_under_its_label(
    built: Manifest, hashing: HashingEncoder
) -> None:
    folder = index_folder("demo") / built.generation
    graph = hnswlib.Index(space="ip", dim=16)
    graph.load_index(str(folder / "graph.hnsw"))
    assert sorted(graph.get_ids_list()) == list(range(300))
    np.testing.assert_array_equal(graph.get_items(range(300)), np.load(folder / "vectors.f32.npy"))


def test_more_documents_than_one_window(tmp_path: Path, hashing: HashingEncoder) -> None:
    write_corpus(str(tmp_path / "a.jsonl"), "a", 2_100)
    write_corpus(str(tmp_path / "b.jsonl"), "b", 7)
    steps: list[Progress] = []
    manifest = build_index(
        "demo", [tmp_path / "a.jsonl", tmp_path / "b.jsonl"], lambda: hashing, reporter=steps.append
    )
    assert manifest.documents == 2_107
    assert [given.documents for given in manifest.inputs] == [2_100, 7]
    encoding = [step for step in steps if step.stage == "encoding"]
    assert [step.done for step in encoding] == sorted(step.done for step in encoding)
    assert encoding[-1].done == encoding[-1].total == 2_107
    assert encoding[-1].rate is not None
    index = open_index("demo")
    (last,) = index.documents.get([2_106])
    labels, _ = index.vectors.search(hashing.encode_documents([last])[0], 1)
    assert index.documents.get(labels.tolist())[0].text.split()[0] == "b"


def test_the_same_input_gives_the_same_vectors(corpus: Path, hashing: HashingEncoder) -> None:
    one = build_index("one", [corpus], lambda: hashing)
    two = build_index("two", [corpus], lambda: hashing)
    assert one.files["vectors.f32.npy"] == two.files["vectors.f32.npy"]


def test_a_new_build_replaces_the_old_one(
    built: Manifest, tmp_path: Path, hashing: HashingEncoder
) -> None:
    open_before = open_index("demo")
    write_corpus(str(tmp_path / "new.jsonl"), "new", 30)
    manifest = build_index("demo", [tmp_path / "new.jsonl"], lambda: hashing)
    assert tree() == whole(manifest)
    assert open_index("demo").documents.find("new0") is not None
    # A reader that was there before keeps what it opened, whole.
    assert open_before.documents.count == 300
    assert len(open_before.vectors.search(hashing.encode_queries(["old n5"])[0], 300)[0]) == 300


def test_not_replacing(built: Manifest, corpus: Path, hashing: HashingEncoder) -> None:
    with pytest.raises(IndexFault, match="there is an index demo already"):
        build_index("demo", [corpus], lambda: hashing, replace=False)
    assert tree() == whole(built)


def never() -> HashingEncoder:
    raise AssertionError("the encoder was asked for")


BAD_LINE = b'{"_id": "new", "text": "x"}\nnot json\n'
DUPLICATE = b'{"_id": "a", "text": "x"}\n{"_id": "b", "text": "y"}\n{"_id": "a", "text": "z"}\n'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BAD_LINE, "c.jsonl:2: not JSON"),
        (DUPLICATE, "c.jsonl:3: the id 'a' was given before at"),
        (b"", "the corpus is empty"),
        (b"\n\n", "the corpus is empty"),
    ],
)
@pytest.mark.parametrize("exists", [False, True])
def test_a_bad_corpus_changes_nothing_and_loads_no_model(
    tmp_path: Path, corpus: Path, data: bytes, message: str, exists: bool
) -> None:
    before = whole(build_index("demo", [corpus], HashingEncoder)) if exists else set()
    (tmp_path / "c.jsonl").write_bytes(data)
    with pytest.raises(CorpusError) as caught:
        build_index("demo", [tmp_path / "c.jsonl"], never)
    assert message in caught.value.line()
    assert tree() == before


def test_duplicates_across_files_name_both(tmp_path: Path, corpus: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"_id": "old7", "text": "x"}\n')
    with pytest.raises(CorpusError) as caught:
        build_index("demo", [corpus, tmp_path / "b.jsonl"], never)
    assert caught.value.message == (
        f"{tmp_path / 'b.jsonl'}:1: the id 'old7' was given before at {corpus}:8"
    )


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
    """A reporter that gives up at its n-th step."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, step: Progress) -> None:
        self.left -= 1
        if self.left == 0:
            raise InterruptedByUser(f"at {step.stage}")


@pytest.mark.parametrize("exists", [False, True])
def test_interrupted_at_every_step(tmp_path: Path, corpus: Path, exists: bool) -> None:
    before = whole(build_index("demo", [corpus], HashingEncoder)) if exists else set()
    write_corpus(str(tmp_path / "new.jsonl"), "new", 120)
    stages = set()
    for at in range(1, 100):
        try:
            build_index("demo", [tmp_path / "new.jsonl"], HashingEncoder, reporter=Stop(at))
        except InterruptedByUser as stopped:
            stages.add(stopped.message)
            assert tree() == before
        else:
            break
    assert stages == {"at reading", "at encoding", "at saving"}
    assert open_index("demo").documents.find("new0") is not None


def test_ctrl_c_leaves_nothing(corpus: Path) -> None:
    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_index("demo", [corpus], HashingEncoder, reporter=interrupt)
    assert tree() == set()
    assert index_names() == []


def test_a_model_that_does_not_load_leaves_nothing(corpus: Path) -> None:
    def broken() -> HashingEncoder:
        raise ModelError("no model")

    with pytest.raises(ModelError):
        build_index("demo", [corpus], broken)
    assert tree() == set()


def test_an_encoder_of_another_shape_is_refused(corpus: Path) -> None:
    class Lying(HashingEncoder):
        def encode_documents(self, documents, progress=None):  # type: ignore[no-untyped-def]
            return np.zeros((len(documents), 3), dtype=np.float32)

    with pytest.raises(ModelError, match="gave"):
        build_index("demo", [corpus], Lying)
    assert tree() == set()


FULL_DISK = """
import resource, sys
from hashing_encoder import HashingEncoder
from bioretrieval_tui.errors import IndexFault
from bioretrieval_tui.index.build import build_index
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    build_index("demo", [sys.argv[1]], lambda: HashingEncoder(256))
except IndexFault as fault:
    print(fault.line())
    sys.exit(7)
"""


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("file", ["documents.sqlite", "vectors.f32.npy", "graph.hnsw"])
def test_a_full_disk_is_one_line(
    tmp_path: Path, corpus: Path, file: str, share: float, home: Path
) -> None:
    # A limit on the size of a file fails the same calls as a full disk does, at a chosen byte.
    before = build_index("demo", [corpus], lambda: HashingEncoder(256))
    write_corpus(str(tmp_path / "new.jsonl"), "new", 400)
    full = build_index("other", [tmp_path / "new.jsonl"], lambda: HashingEncoder(256))
    limit = int(full.files[file].bytes * share)
    expected = tree()
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "new.jsonl"), str(limit)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 7, done.stderr
    assert done.stdout.startswith("index demo cannot be written: ")
    assert done.stdout.count("\n") == 1
    assert tree() == expected
    assert open_index("demo").manifest == before
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


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
    assert tree() == set()
