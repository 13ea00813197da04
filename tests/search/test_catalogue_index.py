"""The catalogue's own index: once, again on change, shared by processes, stale rather than gone."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.errors import IndexFault, InterruptedByUser
from bioretrieval_tui.index.layout import index_folder, writing
from bioretrieval_tui.index.registry import manifest_of, open_index
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.search.catalogue_index import ensure_catalogue_index
from bioretrieval_tui.search.engine import SearchEngine
from bioretrieval_tui.search.types import Query

ENTRIES = [
    Document("medcpt", "MedCPT", "Contrastive retriever trained on PubMed search logs.",
             {"year": 2023, "url": "https://arxiv.org/abs/2307.00589"}),
    Document("scifact", "SciFact", "Claims to verify against abstracts."),
]  # fmt: skip


def never() -> Encoder:
    raise AssertionError("the encoder was asked for")


def test_the_catalogue_index_is_built_once_and_again_on_change(encoder: Encoder) -> None:
    first = ensure_catalogue_index(iter(ENTRIES), "v1", lambda: encoder)
    assert (first.documents, first.built, first.note) == (2, True, None)
    again = ensure_catalogue_index(iter(ENTRIES), "v1", never)
    assert (again.documents, again.built) == (2, False)
    changed = ensure_catalogue_index(iter(ENTRIES[:1]), "v2", lambda: encoder)
    assert (changed.documents, changed.built) == (1, True)
    (hit,) = SearchEngine.open("catalogue", device="cpu").search(Query(text="PubMed logs")).hits
    assert (hit.id, hit.year, hit.url) == ("medcpt", 2023, "https://arxiv.org/abs/2307.00589")


def test_a_damaged_catalogue_index_is_built_again(encoder: Encoder) -> None:
    ensure_catalogue_index(ENTRIES, "v1", lambda: encoder)
    folder = index_folder("catalogue")
    (folder / manifest_of("catalogue").generation / "graph.hnsw").write_bytes(b"ruin")
    assert ensure_catalogue_index(ENTRIES, "v1", lambda: encoder).built
    assert open_index("catalogue").documents.rows == 2


def test_a_build_in_another_process_is_waited_for(encoder: Encoder) -> None:
    waiting = threading.Event()
    stages: list[str] = []

    def report(step: Progress) -> None:
        stages.append(step.stage)
        if step.stage == "waiting":
            assert f"process {os.getpid()}" in (step.note or "")
            waiting.set()

    def other() -> None:
        with writing("catalogue", "built"):
            held.set()
            waiting.wait()

    held = threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    held.wait()
    assert ensure_catalogue_index(ENTRIES, "v1", lambda: encoder, report).built
    thread.join()
    assert stages[0] == "waiting"


def test_waiting_can_be_cancelled() -> None:
    def cancel(step: Progress) -> None:
        raise InterruptedByUser("enough")

    with writing("catalogue", "built"), pytest.raises(InterruptedByUser):
        ensure_catalogue_index(ENTRIES, "v1", never, cancel)


def test_an_unwritable_folder_gives_one_line(home: Path) -> None:
    home.mkdir()
    (home / "data").write_text("a file where the folder should be")
    with pytest.raises(IndexFault, match="index catalogue cannot be written"):
        ensure_catalogue_index(ENTRIES, "v1", never)


def test_an_older_index_stays_in_use_where_none_can_be_written(
    home: Path, encoder: Encoder
) -> None:
    ensure_catalogue_index(ENTRIES, "v1", lambda: encoder)
    locks = home / "data" / "indexes" / ".locks"
    for path in locks.iterdir():
        path.unlink()
    locks.rmdir()
    locks.write_text("a file where the folder should be")  # root can write a read-only folder
    ensured = ensure_catalogue_index(ENTRIES[:1], "v2", never)
    assert (ensured.documents, ensured.built) == (2, False)
    assert "index catalogue cannot be written" in (ensured.note or "")
    assert len(SearchEngine.open("catalogue", device="cpu").search(Query(text="claims")).hits) == 2
