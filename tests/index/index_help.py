"""What tests of building, extending and mending look at: what an index holds and what lies by."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from hashing_encoder import HashingEncoder

from bioretrieval_tui.documents.document import Deleted, Document, Item, Place, Record
from bioretrieval_tui.index.build import BuildOutcome, build_index
from bioretrieval_tui.index.intake import Intake
from bioretrieval_tui.index.layout import POOL_PREFIX, index_folder, indexes_folder
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.index.report import Report

DELETED = """<?xml version="1.0" encoding="utf-8"?>
<PubmedArticleSet><DeleteCitation>{}</DeleteCitation></PubmedArticleSet>
"""


def write_records(path: Path, records: Iterable[dict[str, object]]) -> Path:
    """A BEIR file; `id` stands for `_id`."""
    path.write_text(
        "".join(
            json.dumps({"_id" if key == "id" else key: value for key, value in one.items()}) + "\n"
            for one in records
        )
    )
    return path


def write_texts(path: Path, texts: dict[str, str]) -> Path:
    return write_records(path, [{"id": name, "text": text} for name, text in texts.items()])


def write_deletions(path: Path, *names: str) -> Path:
    """A PubMed file that deletes these PMIDs."""
    path.write_text(DELETED.format("".join(f"<PMID Version='1'>{name}</PMID>" for name in names)))
    return path


def record(identifier: str, text: str = "", title: str = "", **metadata: object) -> Record:
    return Record(Document(identifier, title, text, metadata), Place("made.jsonl"))


def deleted(identifier: str) -> Deleted:
    return Deleted(identifier, Place("made.jsonl"))


def feeding(items: Iterable[Item]) -> Callable[[Intake], None]:
    """A feed of items at hand."""

    def feed(intake: Intake) -> None:
        for item in items:
            intake.take(item)

    return feed


def build_items(name: str, *items: Item, report: Report | None = None) -> BuildOutcome:
    return build_index(name, feeding(items), HashingEncoder, report=report)


def of_hashing(*_: object, **__: object) -> HashingEncoder:
    """What `add_to_index` takes for an index of the hashing encoder."""
    return HashingEncoder()


def no_encoder(*_: object, **__: object) -> HashingEncoder:
    return never()


def never() -> HashingEncoder:
    raise AssertionError("the encoder was asked for")


def tree(*, pools: bool = True) -> set[str]:
    """Everything under the indexes' folder but the locks, which stay; pools only if asked for."""
    root = indexes_folder()
    paths = [path.relative_to(root) for path in root.rglob("*")]
    return {
        str(path)
        for path in paths
        if ".locks" not in path.parts
        and (pools or not any(part.startswith(POOL_PREFIX) for part in path.parts))
    }


def whole(manifest: Manifest) -> set[str]:
    """What lies on disk when `manifest` is the only index and nothing else is left."""
    files = {Path(manifest.name, name) for name in (*manifest.files, "manifest.json")}
    folders = {folder for path in files for folder in path.parents} - {Path()}
    return {str(path) for path in files | folders}


def held(name: str) -> dict[str, str]:
    """The text of every id, by way of the living rows; each row found by its own vector too."""
    index = open_index(name)
    dead = set(index.vectors.dead.tolist())
    encoder = HashingEncoder(index.manifest.dimension)
    found = {}
    for label, one in index.documents.records():
        if label in dead:
            continue
        document = one.document
        vector = encoder.encode_documents([document])[0]
        mine = index.vectors.similarities(vector, np.array([label]))[0]
        assert vector.sum() == 0 or abs(mine - 1) < 2e-3
        for alias in (document.id, *index.documents.aliases(label)):
            found[alias] = document.text
    assert len(found) == index.manifest.documents + index.manifest.aliases
    assert index.vectors.count == index.manifest.documents == index.manifest.lexical.documents
    index.close()
    return found


def matrix_of(manifest: Manifest) -> np.ndarray:
    """The stored vectors, float16 (rows, dimension), read without any of our code."""
    folder = index_folder(manifest.name)
    parts = [np.fromfile(folder / path, dtype="<f2") for path in manifest.matrices()]
    return np.concatenate(parts).reshape(-1, manifest.dimension)


def path_of(manifest: Manifest, file: str) -> Path:
    """The one file of this name, in whatever folder."""
    (path,) = [path for path in manifest.files if path.rpartition("/")[2] == file]
    return index_folder(manifest.name) / path
