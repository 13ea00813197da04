"""The pool of vectors of an unfinished build: found by content, and only if unaltered."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hashing_encoder import HashingEncoder

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.index.layout import pool_rows
from bioretrieval_tui.index.vector_cache import ModelVectors, VectorPool, embedded_facts
from bioretrieval_tui.progress import Reporter, silent

DIMENSION = 6
RECORD = 16 + 2 * DIMENSION + 1 + 4


LENGTHS = (None, False, True)
"""Of texts: not known, no longer than the model reads, longer."""


def digest(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


def vector(number: int) -> np.ndarray:
    return np.random.default_rng(number).standard_normal(DIMENSION).astype(np.float16)


def append(pool: VectorPool, numbers: range) -> None:
    vectors = np.stack([vector(n) for n in numbers])
    pool.append([digest(n) for n in numbers], vectors, [LENGTHS[n % 3] for n in numbers])


_OPEN: list[VectorPool] = []


@pytest.fixture(autouse=True)
def pools_are_closed() -> Iterator[None]:
    yield
    while _OPEN:
        _OPEN.pop().close()


def opened(folder: Path) -> VectorPool:
    _OPEN.append(VectorPool(folder, "0123456789ab", DIMENSION))
    return _OPEN[-1]


def known(pool: VectorPool, among: int = 100) -> list[int]:
    """The numbers whose vectors are found, each compared bit for bit."""
    found = pool.find([digest(number) for number in range(among)])
    numbers = [number for number in range(among) if digest(number) in found]
    for number in numbers:
        np.testing.assert_array_equal(found[digest(number)][0], vector(number))
        assert found[digest(number)][1] is LENGTHS[number % 3]
    return numbers


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Three windows: 0 to 9, 10 to 14, 15 to 29."""
    pool = opened(tmp_path)
    for numbers in (range(10), range(10, 15), range(15, 30)):
        append(pool, numbers)
    pool.close()
    pool.close()
    assert pool_rows(pool.path) == 30
    assert pool.path.stat().st_size == 30 * RECORD
    return pool.path


def test_a_new_pool_knows_nothing(tmp_path: Path) -> None:
    pool = opened(tmp_path)
    assert pool.find([digest(1), digest(2)]) == {}
    assert pool.find([]) == {}
    assert pool_rows(pool.path) == 0


def test_what_was_kept_is_found_after_opening_again(filled: Path) -> None:
    pool = opened(filled.parent)
    assert known(pool) == list(range(30))
    append(pool, range(30, 40))
    # A build looks each window up once; the rows that it finds must not move meanwhile.
    assert known(pool) == list(range(30))
    pool.close()
    assert known(opened(filled.parent)) == list(range(40))


@pytest.mark.parametrize("size", [0, 1, RECORD - 1, RECORD, RECORD + 1, 13 * RECORD + 20])
def test_a_record_that_was_cut_off(filled: Path, size: int) -> None:
    filled.write_bytes(filled.read_bytes()[:size])
    whole = size // RECORD
    pool = opened(filled.parent)
    assert known(pool) == list(range(whole))
    # What is cut off is removed, so that the next record stands where it should.
    append(pool, range(60, 63))
    pool.close()
    assert known(opened(filled.parent)) == [*range(whole), 60, 61, 62]


def test_flipped_bytes_cost_one_vector(filled: Path) -> None:
    """An altered vector is never given; it is encoded again and then found beside the altered."""
    data = filled.read_bytes()
    chance = random.Random(2)
    for place in [0, len(data) - 1, *(chance.randrange(len(data)) for _ in range(20))]:
        damaged = bytearray(data)
        damaged[place] ^= 1 << chance.randrange(8)
        filled.write_bytes(damaged)
        lost, pool = place // RECORD, opened(filled.parent)
        assert known(pool) == [number for number in range(30) if number != lost]
        append(pool, range(lost, lost + 1))
        pool.close()
        assert known(opened(filled.parent)) == list(range(30))


def test_bytes_that_are_no_records(filled: Path) -> None:
    """What a crash of the machine may leave at the end of a file."""
    data = filled.read_bytes()
    for rest in (b"\0" * 5_000, b"\xff" * 5_000, b"\x07" * 500):
        filled.write_bytes(data + rest)
        pool = opened(filled.parent)
        append(pool, range(30, 33))
        assert pool.find([b"\0" * 16, b"\xff" * 16, b"\x07" * 16]) == {}
        pool.close()
        assert known(opened(filled.parent)) == list(range(33))


def test_hashes_that_share_a_half(tmp_path: Path) -> None:
    half = b"\x11" * 8
    digests = [half + bytes([number]) * 8 for number in range(5)]
    digests += [bytes([number]) * 8 + half for number in range(5)]
    pool = opened(tmp_path)
    pool.append(digests, np.stack([vector(n) for n in range(10)]), [None] * 10)
    pool.close()
    found = opened(tmp_path).find([*digests, half + b"\x99" * 8])
    assert list(found) == digests
    for number, one in enumerate(digests):
        np.testing.assert_array_equal(found[one][0], vector(number))


def test_a_hash_that_was_appended_twice(tmp_path: Path) -> None:
    pool = opened(tmp_path)
    append(pool, range(3))
    append(pool, range(2, 6))
    pool.close()
    assert known(opened(tmp_path)) == list(range(6))


def test_the_largest_and_the_smallest_hash(tmp_path: Path) -> None:
    pool = opened(tmp_path)
    ends = [b"\0" * 16, b"\xff" * 16]
    pool.append(ends, np.stack([vector(0), vector(1)]), [None, True])
    pool.close()
    assert list(opened(tmp_path).find([*ends, b"\xff" * 15 + b"\xfe"])) == ends


def test_the_key_tells_vectors_apart_that_do_not_compare() -> None:
    facts = embedded_facts()
    changes = [
        {},
        {"model": "other"},
        {"revision": "other"},
        {"recipe_hash": "other"},
        {"dimension": 768},
        {"model": "\udcff"},
    ]
    keys = {msgspec.structs.replace(facts, **change).key for change in changes}
    assert len(keys) == len(changes)
    assert facts.key in keys


class Timed(HashingEncoder):
    """Notes which documents are encoded together; each takes some time on the test's clock."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        super().__init__(DIMENSION)
        self.clock, self.seconds, self.parts = clock, seconds, list[list[str]]()

    def encode_documents(
        self,
        documents: Sequence[Document],
        progress: Reporter = silent,
        longer: list[int] | None = None,
    ) -> np.ndarray:
        self.clock[0] += self.seconds * len(documents)
        self.parts.append([one.id for one in documents])
        return super().encode_documents(documents, progress, longer)


@pytest.mark.parametrize(
    ("seconds", "sizes"),
    [(1e-6, [64, 236]), (0.02, [64, 192, 44]), (0.03, [64, 128, 108]), (9, [64] * 4 + [44])],
)
def test_vectors_are_kept_every_few_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, sizes: list[int]
) -> None:
    """In parts of whole batches, longest documents first, and progress goes on across them."""
    clock, done = [0.0], list[int]()
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    encoder = Timed(clock, seconds)
    vectors = ModelVectors(tmp_path, lambda: encoder)
    vectors.start()
    documents = [Document(str(n), "", f"{'word ' * (n % 97)}{n}") for n in range(300)]
    found = vectors.vectors(documents, lambda step: done.append(step.done))
    assert [len(part) for part in encoder.parts] == sizes
    lengths = [len(documents[int(name)].text) for part in encoder.parts for name in part]
    assert lengths == sorted(lengths, reverse=True)
    assert done == sorted(done)
    assert (done[-1], vectors.encoded, kept_vectors_of(tmp_path)) == (300, 300, 300)
    expected = HashingEncoder(DIMENSION).encode_documents(documents)
    np.testing.assert_array_equal(found, expected.astype(np.float16))
    vectors.close()


def kept_vectors_of(folder: Path) -> int:
    (pool,) = folder.glob(".pool-*")
    return pool_rows(pool)
