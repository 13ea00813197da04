"""Corpora that make a store think, and what an index over them is, so that two can be compared."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hashing_encoder import HashingEncoder

from bioretrieval_tui.index.manifest import read_manifest
from bioretrieval_tui.index.registry import OpenIndex, open_index
from bioretrieval_tui.index.vectors import VectorStore

DIMENSION = 32

# Corpora --------------------------------------------------------------------------------------

_WORDS = [f"{a}{b}" for a in ("gli", "neo", "cardi", "hepat", "nephr", "cyst", "oste", "derm",
          "pneum", "myel", "angi", "enter") for b in ("oma", "itis", "osis", "ectomy", "pathy",
          "ine", "in", "ase", "genic", "plasty", "algia", "emia", "uria", "lysis")]  # fmt: skip


def write_corpus(path: Path, seed: int, first: int, count: int) -> Path:
    """A BEIR file of documents `first` on, with everything that makes a store think: the same
    text under two ids, records that are revised later on, titles without a text."""
    chance = random.Random(f"text {seed}")
    lines: list[dict[str, Any]] = []
    for number in range(first, first + count):
        record = {
            "_id": f"d{number}",
            "title": " ".join(chance.choices(_WORDS, k=4)),
            "text": " ".join(chance.choices(_WORDS, k=16)),
            "metadata": {"year": 1950 + number % 75},
        }
        kind = chance.random()
        if kind < 0.02:
            record["text"] = ""
        elif kind < 0.04 and lines:
            twin = chance.choice(lines)
            record |= {"title": twin["title"], "text": twin["text"]}
        elif kind < 0.06 and lines:
            record["_id"] = chance.choice(lines)["_id"]
        lines.append(record)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


QUERIES = ("glioma neoitis", "cardiopathy", "hepatoma nephritis cystine", "osteolysis dermase")


# What an index is -----------------------------------------------------------------------------


@contextlib.contextmanager
def at_home(home: Path) -> Iterator[None]:
    """The folders of `home` for this process, for a while."""
    before = os.environ.get("BIORETRIEVAL_HOME")
    os.environ["BIORETRIEVAL_HOME"] = str(home)
    try:
        yield
    finally:
        if before is None:
            del os.environ["BIORETRIEVAL_HOME"]
        else:
            os.environ["BIORETRIEVAL_HOME"] = before


def demo(home: Path) -> Path:
    """The folder of the index that all these tests are about."""
    return home / "data" / "indexes" / "demo"


def picture(home: Path) -> dict[str, Any]:
    """Everything of the index that must not depend on how it came about."""
    with at_home(home):
        index = open_index("demo")
    try:
        rows = [
            (label, record.document.id, record.document.title, record.document.text,
             dict(record.document.metadata), record.place.line)
            for label, record in index.documents.records()
        ]  # fmt: skip
        assert isinstance(index.vectors, VectorStore)
        return {
            "rows": rows,
            "dead": index.vectors.dead.tolist(),
            "aliases": sorted(index.documents.all_aliases()),
            "segments": [segment.rows for segment in index.manifest.segments],
            "vectors": b"".join(part.tobytes() for part in index.vectors.matrix.parts),
            **answers_of(index),
        }
    finally:
        index.close()


def answers_of(index: OpenIndex) -> dict[str, Any]:
    """What dense and lexical search find: labels, and the bits of the figures."""
    queries = HashingEncoder(DIMENSION).encode_queries(QUERIES)
    near = [index.vectors.search(vector, 10) for vector in queries]
    worded = [index.lexical.search(query, 10) for query in QUERIES]
    return {
        "near": [(labels.tolist(), found.tobytes()) for labels, found in near],
        "worded": [(labels.tolist(), found.tobytes()) for labels, found in worded],
    }


def by_id(home: Path) -> dict[str, Any]:
    """The index without its labels, which compacting counts anew: live documents with their
    vectors and other names, and which ids the queries find with which figures."""
    with at_home(home):
        index = open_index("demo")
    try:
        assert isinstance(index.vectors, VectorStore)
        dead = set(index.vectors.dead.tolist())
        live = {
            record.document.id: (
                record.document.title,
                record.document.text,
                dict(record.document.metadata),
                index.documents.aliases(label),
                index.vectors.matrix.halves(np.array([label])).tobytes(),
            )
            for label, record in index.documents.records()
            if label not in dead
        }
        names = {
            name: (title, text, vector)
            for own, (title, text, _, others, vector) in live.items()
            for name in (own, *others)
        }
        # Equal scores may change places with the labels, so each query's hits are a set; and
        # sums of floats may differ in their last bit. BM25 counts deleted documents until they
        # are compacted away, so only how many documents it finds is the same.
        found = []
        for query, vector in zip(
            QUERIES, HashingEncoder(DIMENSION).encode_queries(QUERIES), strict=True
        ):
            found.append(np.round(index.vectors.search(vector, 5)[1], 4).tolist())
            found.append(len(index.lexical.search(query, index.manifest.rows)[0]))
        return {"names": names, "live": live, "found": found}
    finally:
        index.close()


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Two pictures are one, and if not, in which part."""
    assert [part for part in expected if found[part] != expected[part]] == []
    assert found.keys() == expected.keys()


def one_line(said: str) -> None:
    """What a user is told: one line, and no traceback."""
    assert said.strip()
    assert "\n" not in said
    assert "Traceback" not in said
    assert len(said) < 1_000


def litter(home: Path) -> set[str]:
    """What lies within and beside the index and is not of it."""
    manifest = read_manifest(demo(home))
    wanted = {"manifest.json", manifest.generation, *(one.id for one in manifest.segments)}
    inside = {path.name for path in demo(home).iterdir()} - wanted
    beside = {path.name for path in demo(home).parent.iterdir()} - {"demo", ".locks"}
    notes = {path.name for path in (demo(home).parent / ".locks").iterdir()}
    return inside | beside | {name for name in notes if not name.endswith(".lock")}


def vouched(home: Path) -> set[str]:
    """Content hashes whose vectors are paid for: those of the complete records in the pool of an
    unfinished build, read here on our own, and those of the index in force."""
    paid: set[str] = set()
    for pool in demo(home).glob(".pool-*"):
        with contextlib.suppress(FileNotFoundError):
            data, size = pool.read_bytes(), 16 + 2 * DIMENSION + 4
            paid |= {data[at : at + 16].hex() for at in range(0, len(data) - size + 1, size)}
    if (demo(home) / "manifest.json").exists():
        with at_home(home):
            index = open_index("demo")
        for _, record in index.documents.records():
            paid.add(record.document.content_hash().hex())
        index.close()
    return paid


def copied(template: Path, home: Path) -> Path:
    """A home like `template`, which may not be there: then an empty one."""
    shutil.rmtree(home, ignore_errors=True)
    if template.exists():
        shutil.copytree(template, home)
    else:
        home.mkdir(parents=True)
    return home
