"""Small text indexes for tests, and BM25 as plainly as it can be written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.index.analysis import tokens
from bioretrieval_tui.index.manifest import TextFacts
from bioretrieval_tui.index.text_index import TITLE_WEIGHT, TextIndex, TextIndexWriter

NONE = np.zeros(0, dtype=np.int64)
SUBJECTS = "IL-6 TNF-alpha p53 aspirin statin fever infants mortality diabetes placebo".split()
VERBS = "raises lowers predicts prevents worsens".split()
K1, B = 1.2, 0.75
EXACT_LENGTH = 40
"""Lengths up to this are stored as they are; longer ones are rounded."""


def documents(count: int, seed: int = 1) -> list[Document]:
    """Documents of a few words each, some without title, some without text, some repeated."""
    chance = np.random.default_rng(seed)
    made = []
    for number in range(count):
        words = list(chance.choice(SUBJECTS + VERBS, size=int(chance.integers(0, 12))))
        title = " ".join(chance.choice(SUBJECTS, size=int(chance.integers(0, 4))))
        made.append(Document(f"d{number}", title, " ".join(words)))
    return made


def write(
    folder: Path,
    given: Sequence[Document],
    *,
    first: int = 0,
    base: Path | None = None,
    dead: np.ndarray = NONE,
    alive: int | None = None,
) -> TextFacts:
    """A text index in `folder` over `given`, labels from `first`, continuing `base`."""
    total = first + len(given)
    with TextIndexWriter(folder, base=base) as writer:
        writer.add(first, given)
        alive = total - len(dead) if alive is None else alive
        return writer.finish(dead=dead, documents=alive, total=total)


def opened(folder: Path, given: Sequence[Document]) -> TextIndex:
    return TextIndex(folder / "text", write(folder / "text", given), name="demo")


def reference(
    given: Mapping[int, Document], query: Sequence[tuple[str, float]]
) -> dict[int, float]:
    """The score of each document that holds a term of `query`, in double precision."""
    held = {
        label: TITLE_WEIGHT * tokens(document.title) + tokens(document.text)
        for label, document in given.items()
    }
    average = sum(map(len, held.values())) / len(held) if held else 0.0
    scores: dict[int, float] = {}
    for term, times in query:
        holders = [at for at, terms in held.items() if term in terms]
        idf = math.log(1 + (len(held) - len(holders) + 0.5) / (len(holders) + 0.5))
        for at in holders:
            assert len(held[at]) <= EXACT_LENGTH
            tf = held[at].count(term)
            below = tf + K1 * (1 - B + B * len(held[at]) / average)
            scores[at] = scores.get(at, 0.0) + times * idf * (K1 + 1) * tf / below
    return scores
