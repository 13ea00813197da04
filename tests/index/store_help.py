"""What tests of stores copy into them, and how they compare."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator

import msgspec
from hashing_encoder import HashingEncoder
from index_help import deleted, feeding, record

from bioretrieval_tui.documents.document import Record
from bioretrieval_tui.index.build import add_to_index, build_index
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.index.stores import StoreAddress
from bioretrieval_tui.search.engine import SearchEngine

WORDS = (
    "heart failure statins cholesterol asthma inhaler children trial cohort insulin glucose beta"
    " blocker stroke warfarin dose risk mortality kidney transplant"
).split()
JOURNALS = ("Nature", "BMJ", "J. Clin (Oxf)", "Heart & Lung", "50% of it", "A_B")


def documents(count: int, seed: int = 3) -> list[Record]:
    """Documents of fewer than 40 terms, whose lengths tantivy stores exactly."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        words = " ".join(draw.choices(WORDS, k=draw.randrange(5, 30)))
        title = " ".join(draw.choices(WORDS, k=4)).capitalize()
        known: dict[str, object] = {"year": draw.randrange(1990, 2025)}
        known["journal"] = draw.choice(JOURNALS)
        known["mesh"] = draw.sample(["Heart Failure", "Beta-Blocker", "BioHiCL", "Humans"], k=2)
        known["authors"] = ["Doe J", f"Roe {draw.choice('ABC')}"]
        made.append(record(f"d{number}", words, title, **known))
    return made


def build_mine() -> Manifest:
    """An index of which some documents were replaced, deleted, or have the text of another."""
    every = documents(200)
    for name, label in (("twin", 5), ("other", 150)):
        same = msgspec.structs.replace(every[label].document, id=name)
        every.append(Record(same, every[label].place))
    build_index("mine", feeding(every), lambda: HashingEncoder(), ids="pmid")
    later = [*documents(20, seed=4)[:10], deleted("d50"), deleted("d51")]
    return add_to_index("mine", feeding(later), load=lambda *_, **__: HashingEncoder()).manifest


def engine_of(name: str) -> SearchEngine:
    return SearchEngine(open_index(name), HashingEncoder())


@contextlib.contextmanager
def both(one: str, other: str) -> Iterator[tuple[SearchEngine, SearchEngine]]:
    first, second = engine_of(one), engine_of(other)
    with contextlib.closing(first), contextlib.closing(second):
        yield first, second


KILLED = """
import os, signal, sys
from bioretrieval_tui.index import lance, milvus, store_index
from bioretrieval_tui.index.stores import parse_address
store_index._ROWS, inserted = 20, 0
kind = getattr(lance, sys.argv[2], None) or getattr(milvus, sys.argv[2])
whole = kind.insert
def insert(self, collection, rows, vectors):
    global inserted
    inserted += 1
    if inserted == 4:
        whole(self, collection, rows[:7], vectors[:7])
        os.kill(os.getpid(), signal.SIGKILL)
    whole(self, collection, rows, vectors)
kind.insert = insert
store_index.copy_to_store("mine", parse_address(sys.argv[1]))
"""


def kill_a_copy(address: StoreAddress, kind: str) -> None:
    """Copy the index `mine` in another process, which is killed within its fourth batch of 20."""
    words = [sys.executable, "-c", KILLED, str(address), kind]
    assert subprocess.run(words, env=os.environ).returncode == -signal.SIGKILL
