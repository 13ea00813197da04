"""Batches: every text once, within the budget, longest first; made ahead, ended when asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.device import PriorityLock
from bioretrieval_tui.encoding.recipe import SideInput
from bioretrieval_tui.encoding.token_batches import (
    Batch,
    TextTokenizer,
    Tokens,
    ahead,
    encodable,
    read_tokenizer,
    token_batches,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def lengths_of_words(text: str) -> list[int]:
    return [len(word) for word in text.split()]


def words(inputs: Sequence[SideInput]) -> list[Tokens]:
    return [Tokens(lengths_of_words(one.first)) for one in inputs]


def given_texts(texts: Sequence[str]) -> list[SideInput]:
    return [SideInput(text) for text in texts]


TEXTS = st.lists(st.text(alphabet="ab ", max_size=60), max_size=150)


@given(TEXTS, st.integers(min_value=1, max_value=80))
def test_every_text_once_and_within_the_budget(texts: list[str], budget: int) -> None:
    batches = list(token_batches(given_texts(texts), words, lambda: budget))
    rows = [row for batch in batches for row in batch.rows]
    assert sorted(rows) == list(range(len(texts)))
    for batch in batches:
        assert [one.ids for one in batch.inputs] == [lengths_of_words(texts[n]) for n in batch.rows]
        assert len(batch.rows) == 1 or batch.padded_tokens <= budget


def test_texts_of_like_length_share_a_batch() -> None:
    texts = ["a " * length for length in (1, 30, 2, 29, 3, 28)]
    batches = list(token_batches(given_texts(texts), words, lambda: 90))
    assert [batch.rows for batch in batches] == [(1, 3, 5), (4, 2, 0)]


def test_the_budget_may_shrink_on_the_way() -> None:
    budget = [40]
    sizes = []
    for batch in token_batches(given_texts(["a " * 10] * 12), words, lambda: budget[0]):
        sizes.append(len(batch.rows))
        budget[0] = 20
    assert sizes == [4, 2, 2, 2, 2]


def test_padding_is_on_the_right_and_masked() -> None:
    three = Batch((4, 2, 9), [Tokens([7, 8, 9]), Tokens([5]), Tokens([])])
    ids, mask = three.arrays(1, types=False).values()
    np.testing.assert_array_equal(ids, [[7, 8, 9], [5, 1, 1], [1, 1, 1]])
    np.testing.assert_array_equal(mask, [[1, 1, 1], [1, 0, 0], [0, 0, 0]])
    ids, mask = Batch((0,), [Tokens([])]).arrays(1, types=False).values()
    assert (ids.shape, int(mask.sum())) == ((1, 1), 0)


def test_segments_are_padded_and_halved_with_their_tokens() -> None:
    batch = Batch([4, 2], [Tokens([7, 8, 9], [0, 1, 1]), Tokens([5, 6], [0, 1])])
    np.testing.assert_array_equal(
        batch.arrays(1, types=True)["token_type_ids"], [[0, 1, 1], [0, 1, 0]]
    )
    first, second = batch.halves()
    assert (first.inputs[0].types, second.inputs[0].types) == ([0, 1, 1], [0, 1])
    plain = Batch([0], [Tokens([7, 8])])
    np.testing.assert_array_equal(plain.arrays(1, types=True)["token_type_ids"], [[0, 0]])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=9), st.integers(1, 30))
def test_parts_of_a_batch_keep_to_the_budget(lengths: list[int], budget: int) -> None:
    batch = Batch(range(len(lengths)), [Tokens([1] * length) for length in lengths])
    parts = list(batch.parts(budget))
    assert [row for part in parts for row in part.rows] == list(batch.rows)
    assert [one for part in parts for one in part.inputs] == batch.inputs
    assert all(len(part.rows) == 1 or part.padded_tokens <= budget for part in parts)


def test_ahead_makes_a_few_and_waits() -> None:
    made: list[int] = []
    third = threading.Event()

    def items() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            if number == 2:
                third.set()
            yield number

    source = ahead(items(), depth=2)
    assert next(source) == 0
    assert third.wait(10)
    # One is taken and two are made in advance.
    assert len(made) == 3
    assert list(source) == list(range(1, 50))


def test_ahead_raises_errors_and_ends_its_thread() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    running = threading.active_count()
    source = ahead(items())
    assert next(source) == 1
    with pytest.raises(ValueError, match="broken"):
        next(source)
    endless = ahead(iter(int, 1))
    next(endless)
    endless.close()
    assert threading.active_count() == running


def test_urgent_callers_get_the_lock_first() -> None:
    turns = PriorityLock()
    order: list[str] = []
    waiting = threading.Semaphore(0)

    def come(name: str, urgent: bool) -> None:
        waiting.release()
        with turns.take(urgent=urgent):
            order.append(name)

    with turns.take(urgent=False):
        batch = threading.Thread(target=come, args=("batch", False))
        batch.start()
        waiting.acquire()
        query = threading.Thread(target=come, args=("query", True))
        query.start()
        # Not until the query is counted among those that wait may the turn end.
        while not turns._urgent:
            waiting.acquire(timeout=0.01)
    batch.join()
    query.join()
    assert order == ["query", "batch"]


# Cutting before tokenising ----------------------------------------------------------------------

PIECES = (
    "The BRCA1 mutation was found in 12.5% of patients (P < 0.001). ",
    "interleukin-6, TNF-\u03b1/IFN-\u03b3 und \u00dcbergr\u00f6\u00dfe\tna\u00efve \u039f\u03a3 ",
    "\u809d\u81d3\u306e\u9057\u4f1d\u5b50\u3092\u7814\u7a76\u3057\u305f\u3002",
    "ACGTTGCA",
    "e\u0301o\u0308\u0323a\u030a",
    "\U0001f9ec\U0001f48a",
    "   \n\n  ",
    "x",
    "-/,.;",
    "\ud800",
)


@cache
def tokenizers_of_all_kinds() -> dict[str, Tokenizer]:
    """One of each way to make tokens: from a list of word pieces, likeliest pieces of words, merges
    within words of bytes, and merges over the whole text."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    text = [
        embedded.__doc__ or "",
        *(encodable(piece) * 3 for piece in PIECES),
        *map(str, range(99)),
    ]
    pieces = Tokenizer(models.Unigram())
    pieces.normalizer = normalizers.NFKC()
    pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    known = trainers.UnigramTrainer(vocab_size=300, special_tokens=["<unk>"], unk_token="<unk>")  # noqa: S106
    pieces.train_from_iterator(text, known)
    of_bytes = Tokenizer(models.BPE())
    of_bytes.pre_tokenizer = pre_tokenizers.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    of_bytes.train_from_iterator(
        text, trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet)
    )
    whole = Tokenizer(models.BPE(unk_token="<unk>"))  # noqa: S106
    whole.normalizer = normalizers.Replace(" ", "\u2581")
    whole.train_from_iterator(
        [line for part in text for line in part.split()],
        trainers.BpeTrainer(vocab_size=400, special_tokens=["<unk>"], initial_alphabet=["\u2581"]),
    )
    words = read_tokenizer(embedded.locate() / "tokenizer.json")
    return {"words": words, "unigram": pieces, "bytes": of_bytes, "whole": whole}


def whole_tokens(kind: str, one: SideInput, most: int) -> tuple[list[int], bool]:
    """The tokens by the library alone, which reads the whole."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(tokenizers_of_all_kinds()[kind].to_str())
    tokenizer.no_padding()
    tokenizer.enable_truncation(most)
    first = encodable(one.first)
    pair = (first,) if one.second is None else (first, encodable(one.second))
    encoding = tokenizer.encode(*pair)
    return encoding.ids, bool(encoding.overflowing)


PARTS = st.lists(st.tuples(st.sampled_from(PIECES), st.integers(1, 3)), min_size=1, max_size=9)


@pytest.mark.parametrize("kind", ["words", "unigram", "bytes", "whole"])
@settings(max_examples=12, deadline=None)
@given(PARTS, st.integers(1, 60), st.sampled_from([5, 16, 40]), st.booleans())
def test_a_text_that_is_cut_first_gives_the_same_tokens(
    kind: str, parts: list[tuple[str, int]], times: int, most: int, pair: bool
) -> None:
    text = "".join(piece * repeated for piece, repeated in parts) * times
    one = SideInput("A title of a paper", text) if pair else SideInput(text)
    found = TextTokenizer(tokenizers_of_all_kinds()[kind], 0)
    (tokens,) = found.tokens([one], most)
    assert (tokens.ids, tokens.longer) == whole_tokens(kind, one, most)


# Windows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["words", "unigram", "bytes", "whole"])
@pytest.mark.parametrize("at_once", [2**20, 300])
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(PARTS, st.integers(1, 60), st.sampled_from([8, 40]))
def test_windows_overlap_and_cover_the_text(
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    at_once: int,
    parts: list[tuple[str, int]],
    times: int,
    room: int,
) -> None:
    monkeypatch.setattr("bioretrieval_tui.encoding.token_batches.MOST_CHARACTERS", at_once)
    text = "".join(piece * repeated for piece, repeated in parts) * times
    found = TextTokenizer(tokenizers_of_all_kinds()[kind], 0).windows(text, room, room // 4)
    bounds = [0, *(place for span in found for place in span), len(text)]
    assert all(0 <= place <= len(text) for place in bounds)
    # Beginnings and ends only move on, and nothing but white space lies between two windows.
    for (start, end), (begin, stop) in pairwise(found):
        assert start < begin
        assert end < stop or stop == end == len(text)
        assert not text[end:begin].strip()
    assert not (text[: found[0][0]] + text[found[-1][1] :]).strip()


def test_one_window_is_the_whole_text() -> None:
    windows = TextTokenizer(tokenizers_of_all_kinds()["words"], 0).windows
    assert windows(" a b ", 8, 2) == [(0, 5)]
    assert windows("", 8, 2) == [(0, 0)]
    assert windows(" " * 500, 8, 2) == [(0, 500)]


def test_windows_begin_at_words() -> None:
    text = " ".join(f"Interleukins{number} were measured twice." for number in range(30))
    found = TextTokenizer(tokenizers_of_all_kinds()["words"], 0).windows(text, 20, 5)
    assert len(found) > 10
    assert all(start == 0 or text[start - 1] == " " for start, _ in found)
