"""The pool of paid vectors: found by content, cut to what the journal vouches for."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pytest

from bioretrieval_tui.index.vector_cache import VectorPool, pool_key

DIMENSION = 6
JOURNAL, HASHES, VECTORS = "journal.jsonl", "hashes", "vectors.f16"


def digest(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


def vector(number: int) -> np.ndarray:
    return np.random.default_rng(number).standard_normal(DIMENSION).astype(np.float16)


def append(pool: VectorPool, numbers: range) -> None:
    pool.append([digest(n) for n in numbers], np.stack([vector(n) for n in numbers]))


def opened(folder: Path) -> VectorPool:
    return VectorPool(folder, "0123456789ab", DIMENSION)


def known(pool: VectorPool, among: int = 100) -> list[int]:
    """The numbers whose vectors are found, each compared bit for bit."""
    rows = pool.find([digest(number) for number in range(among)])
    found = np.flatnonzero(rows >= 0).tolist()
    np.testing.assert_array_equal(
        pool.take(rows[found]), np.array([vector(n) for n in found]).reshape(-1, DIMENSION)
    )
    return found


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Three windows: 0 to 9, 10 to 14, 15 to 29."""
    pool = opened(tmp_path)
    for numbers in (range(10), range(10, 15), range(15, 30)):
        append(pool, numbers)
    pool.close()
    pool.close()
    return pool.folder


def test_a_new_pool_knows_nothing(tmp_path: Path) -> None:
    pool = opened(tmp_path)
    assert pool.kept == 0
    assert pool.find([digest(1), digest(2)]).tolist() == [-1, -1]
    assert pool.find([]).tolist() == []
    assert pool.take(np.empty(0, dtype=np.int64)).shape == (0, DIMENSION)


def test_what_was_kept_is_found_after_opening_again(filled: Path) -> None:
    pool = opened(filled.parent)
    assert pool.kept == 30
    assert known(pool) == list(range(30))
    append(pool, range(30, 40))
    pool.close()
    again = opened(filled.parent)
    assert again.kept == 40
    assert known(again) == list(range(40))


def test_what_is_appended_now_is_for_the_next_time(filled: Path) -> None:
    """A build looks each window up once; the rows that it finds must not move meanwhile."""
    pool = opened(filled.parent)
    append(pool, range(50, 60))
    assert known(pool) == list(range(30))


@pytest.mark.parametrize("size", range(0, 130, 7))
def test_a_torn_journal(filled: Path, size: int) -> None:
    path = filled / JOURNAL
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    assert len(lines) == 3
    path.write_bytes(data[:size])
    whole = data[:size].count(b"\n")
    pool = opened(filled.parent)
    assert known(pool) == list(range([0, 10, 15, 30][whole]))
    # What is not vouched for is cut off, so that the next window stands where it should.
    assert path.read_bytes() == b"".join(lines[:whole])
    assert (filled / VECTORS).stat().st_size == 2 * DIMENSION * pool.kept
    assert (filled / HASHES).stat().st_size == 16 * pool.kept
    append(pool, range(60, 63))
    pool.close()
    assert known(opened(filled.parent)) == [*range(pool.kept), 60, 61, 62]


@pytest.mark.parametrize("name", [HASHES, VECTORS])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 0.99])
def test_a_file_that_was_cut(filled: Path, name: str, share: float) -> None:
    path = filled / name
    data = path.read_bytes()
    left = int(len(data) * share)
    path.write_bytes(data[:left])
    rows = left * 30 // len(data)
    expected = max(window for window in (0, 10, 15, 30) if window <= rows)
    assert known(opened(filled.parent)) == list(range(expected))


@pytest.mark.parametrize("name", [HASHES, VECTORS])
def test_a_window_that_was_written_without_its_journal_line(filled: Path, name: str) -> None:
    with (filled / name).open("ab") as stream:
        stream.write(b"\x07" * 500)
    pool = opened(filled.parent)
    append(pool, range(30, 33))
    pool.close()
    assert known(opened(filled.parent)) == list(range(33))


@pytest.mark.parametrize("name", [HASHES, VECTORS])
def test_flipped_bytes_are_never_vouched_for(filled: Path, name: str) -> None:
    path = filled / name
    data = path.read_bytes()
    journal, others = (filled / JOURNAL).read_bytes(), {}
    for other in (HASHES, VECTORS):
        others[other] = (filled / other).read_bytes()
    chance = random.Random(2)
    for place in [0, len(data) - 1, *(chance.randrange(len(data)) for _ in range(12))]:
        for other, content in others.items():
            (filled / other).write_bytes(content)
        (filled / JOURNAL).write_bytes(journal)
        damaged = bytearray(data)
        damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        row = place * 30 // len(data)
        expected = max(window for window in (0, 10, 15) if window <= row)
        pool = opened(filled.parent)
        assert known(pool) == list(range(expected))
        pool.close()


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b"{}\n",
        b'{"count": 0, "hashes": 0, "vectors": 0}\n',
        b'{"count": -3, "hashes": 0, "vectors": 0}\n',
        b'{"count": 99999999999, "hashes": 0, "vectors": 0}\n',
        b'{"count": 1, "hashes": 0, "vectors": 0}\n',
        b'{"count": "1", "hashes": 0, "vectors": 0}\n',
        b"\xff\xfe\n",
        b"\0" * 5_000,
        b'{"count": 1, ' + b" " * 5_000 + b'"hashes": 0, "vectors": 0}\n',
    ],
)
def test_a_journal_that_says_nonsense(filled: Path, line: bytes) -> None:
    path = filled / JOURNAL
    first, *_ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + line)
    pool = opened(filled.parent)
    assert known(pool) == list(range(10))
    assert path.read_bytes() == first


def test_a_journal_that_claims_more_than_there_is(filled: Path) -> None:
    path = filled / JOURNAL
    lines = path.read_text().splitlines()
    more = json.loads(lines[1])
    more["count"] += 5
    path.write_text("\n".join([lines[0], json.dumps(more), lines[2]]) + "\n")
    assert known(opened(filled.parent)) == list(range(10))


@pytest.mark.parametrize("missing", [JOURNAL, HASHES, VECTORS])
def test_a_file_that_is_missing(filled: Path, missing: str) -> None:
    (filled / missing).unlink()
    pool = opened(filled.parent)
    assert pool.kept == 0
    append(pool, range(5))
    pool.close()
    assert known(opened(filled.parent)) == list(range(5))


def test_hashes_that_share_a_half(tmp_path: Path) -> None:
    """One may hide another, which then is encoded again; a wrong vector is never given."""
    half = b"\x11" * 8
    digests = [half + bytes([number]) * 8 for number in range(5)]
    others = [bytes([number]) * 8 + half for number in range(5)]
    pool = opened(tmp_path)
    pool.append(digests + others, np.stack([vector(n) for n in range(10)]))
    pool.close()
    pool = opened(tmp_path)
    rows = pool.find(digests + others + [half + b"\x99" * 8])
    assert rows[:5].tolist() == [0, -1, -1, -1, -1]
    assert rows[5:10].tolist() == [5, 6, 7, 8, 9]
    assert rows[10] == -1


def test_a_hash_that_was_appended_twice(tmp_path: Path) -> None:
    pool = opened(tmp_path)
    append(pool, range(3))
    append(pool, range(2, 6))
    pool.close()
    pool = opened(tmp_path)
    assert pool.kept == 7
    assert known(pool) == list(range(6))


def test_the_largest_and_the_smallest_hash(tmp_path: Path) -> None:
    pool = opened(tmp_path)
    ends = [b"\0" * 16, b"\xff" * 16]
    pool.append(ends, np.stack([vector(0), vector(1)]))
    pool.close()
    assert opened(tmp_path).find([*ends, b"\xff" * 15 + b"\xfe"]).tolist() == [0, 1, -1]


def test_the_key_tells_vectors_apart_that_do_not_compare() -> None:
    given = ("model", "revision", "recipe", 384)
    changed = [
        pool_key("other", *given[1:]),
        pool_key(given[0], "other", *given[2:]),
        pool_key(*given[:2], "other", given[3]),
        pool_key(*given[:3], 768),
        pool_key("\udcff", *given[1:]),
    ]
    assert len({pool_key(*given), *changed}) == 6
    assert pool_key(*given) == pool_key(*given)
