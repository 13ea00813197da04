"""Kill -9 at many moments of a build: the old index answers, and the next build tidies up."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hashing_encoder import HashingEncoder, write_corpus

from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.layout import index_folder, indexes_folder
from bioretrieval_tui.index.registry import (
    info,
    kept_vectors,
    list_indexes,
    open_index,
    remove_index,
)

CHILD = """
import os, signal, sys
corpus, at = sys.argv[1], int(sys.argv[2])
from hashing_encoder import HashingEncoder
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.layout import indexes_folder
root, seen = str(indexes_folder()), 0
TOUCHING = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "sqlite3.connect",
            "os.listdir", "os.scandir", "shutil.rmtree", "os.truncate"}

def moment(*_):
    global seen
    seen += 1
    if seen == at:
        os.kill(os.getpid(), signal.SIGKILL)

def hook(event, arguments):
    # The moment before every call that touches a file of the indexes.
    if event in TOUCHING and any(root in str(a) for a in arguments):
        moment()

sys.addaudithook(hook)
build_index("demo", [corpus], HashingEncoder, reporter=moment)
print(seen)
"""


def child(corpus: Path, at: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(corpus), str(at)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def check_whole(allowed: set[str]) -> str:
    """The index is one of the two, complete; says which word its documents hold."""
    assert [found.status for found in list_indexes()] == ["ok"]
    assert info("demo").status == "ok"
    index = open_index("demo")
    (first,) = index.documents.get([0])
    word = first.text.split()[0]
    assert word in allowed
    encoder = HashingEncoder()
    for documents in index.documents.batches(100):
        assert all(document.text.startswith(f"{word} ") for document in documents)
        found = [index.vectors.search(v, 1)[1][0] for v in encoder.encode_documents(documents)]
        np.testing.assert_allclose(found, 1, atol=1e-3)
    index.close()
    return word


def litter() -> set[str]:
    """What lies beside and within `demo` and is not the index itself."""
    manifest = open_index("demo").manifest
    mine = {"manifest.json", manifest.generation, *(one.id for one in manifest.segments)}
    inside = {path.name for path in index_folder("demo").iterdir()}
    beside = {path.name for path in indexes_folder().iterdir()}
    return (inside - mine) | (beside - {"demo", ".locks"})


@pytest.fixture
def corpora(tmp_path: Path) -> tuple[Path, Path]:
    for word in ("old", "new"):
        write_corpus(str(tmp_path / f"{word}.jsonl"), word, 150)
    return tmp_path / "old.jsonl", tmp_path / "new.jsonl"


def test_killed_at_every_kind_of_moment(corpora: tuple[Path, Path]) -> None:
    old, new = corpora
    build_index("demo", [old], HashingEncoder)
    run = child(new, 0)
    total = int(run.communicate()[0])
    assert run.returncode == 0
    assert total > 40
    words = []
    # Evenly over the build, and every single moment around the swap near its end.
    for at in [*range(3, total - 12, total // 8), *range(total - 12, total + 1)]:
        build_index("demo", [old], HashingEncoder)
        run = child(new, at)
        run.communicate()
        # How often progress is told depends on the machine, so the last few may never come.
        reached = run.returncode == -signal.SIGKILL
        assert reached or (run.returncode == 0 and at > total - 6), f"{at} of {total}"
        words.append(check_whole({"old", "new"}))
        build_index("demo", [old], HashingEncoder)
        assert check_whole({"old"}) == "old"
        assert litter() == set()
    # The moments are in the order of the build: it begins with the old one and ends with the new.
    assert (words[0], words[-1]) == ("old", "new")


def test_killed_at_random_times(corpora: tuple[Path, Path]) -> None:
    old, new = corpora
    build_index("demo", [old], HashingEncoder)
    started = time.perf_counter()
    child(new, 0).communicate()
    whole_run = time.perf_counter() - started
    chance = random.Random(20261122)
    for _ in range(6):
        run = child(new, 0)
        time.sleep(chance.uniform(0.5, 1.0) * whole_run)
        run.kill()
        run.communicate()
        check_whole({"old", "new"})
    build_index("demo", [old], HashingEncoder)
    assert litter() == set()


def test_killed_before_there_was_an_index(corpora: tuple[Path, Path]) -> None:
    old, new = corpora
    run = child(new, 25)
    run.communicate()
    assert run.returncode == -signal.SIGKILL
    assert list_indexes() == []
    build_index("demo", [old], HashingEncoder)
    check_whole({"old"})
    assert litter() == set()


def test_a_removal_that_was_cut_short_is_finished_by_the_next_build(
    corpora: tuple[Path, Path],
) -> None:
    build_index("demo", [corpora[0]], HashingEncoder)
    build_index("other", [corpora[0]], HashingEncoder)
    index_folder("other").rename(indexes_folder() / ".removed-other-1234abcd")
    assert [found.name for found in list_indexes()] == ["demo"]
    build_index("demo", [corpora[0]], HashingEncoder)
    assert litter() == set()
    remove_index("demo")
    assert {path.name for path in indexes_folder().iterdir()} == {".locks"}


FIRST_WINDOW = """
import os, signal, sys
from hashing_encoder import HashingEncoder
from bioretrieval_tui.index import vector_cache
from bioretrieval_tui.index.build import build_index
vector_cache._LOST = 0  # as if the encoder were slow

class Killed(HashingEncoder):
    calls = 0
    def encode_documents(self, documents, *how):
        self.calls += 1
        if self.calls == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_documents(documents, *how)

build_index("demo", [sys.argv[1]], Killed)
"""


def test_killed_within_the_first_window(corpora: tuple[Path, Path]) -> None:
    _, new = corpora
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", FIRST_WINDOW, str(new)], env=environment)
    assert done.returncode == -signal.SIGKILL
    (found,) = list_indexes()
    assert found.status.startswith("unfinished: 128 documents encoded")
    assert kept_vectors("demo") == 128
    report = build_index("demo", [new], HashingEncoder).report
    assert (report.kept, report.encoded) == (150, 22)
    assert check_whole({"new"}) == "new"
    assert kept_vectors("demo") == 0
