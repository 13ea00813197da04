"""Small lexical indexes for tests, and BM25 as plainly as it can be written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.index.lexical.analysis import tokens
from bioretrieval_tui.index.lexical.bm25 import LexicalIndex, Parameters
from bioretrieval_tui.index.lexical.facts import LexicalFacts
from bioretrieval_tui.index.lexical.merge import write_index
from bioretrieval_tui.index.lexical.runs import RunWriter

NONE = np.zeros(0, dtype=np.int64)
SUBJECTS = "IL-6 TNF-alpha p53 aspirin statin fever infants mortality diabetes placebo".split()
VERBS = "raises lowers predicts prevents worsens".split()


def documents(count: int, seed: int = 1) -> list[Document]:
    """Documents of a few words each, some without title, some without text, some repeated."""
    chance = np.random.default_rng(seed)
    made = []
    for number in range(count):
        words = list(chance.choice(SUBJECTS + VERBS, size=int(chance.integers(0, 12))))
        title = " ".join(chance.choice(SUBJECTS, size=int(chance.integers(0, 4))))
        made.append(Document(f"d{number}", title, " ".join(words)))
    return made


def build(
    folder: Path, given: Sequence[Document], *, at_once: int = 2_000_000, budget: int = 2**26
) -> LexicalFacts:
    """An index in `folder`/index over `given`, labels from 0."""
    writer = RunWriter(folder / "runs", budget=budget)
    writer.add(0, given)
    return write_index(
        folder / "index",
        writer.finish(),
        base=None,
        dead=NONE,
        total=len(given),
        postings_at_once=at_once,
    )


def opened(folder: Path, given: Sequence[Document], **settings: float) -> LexicalIndex:
    facts = build(folder, given)
    return LexicalIndex(folder / "index", facts, name="demo", parameters=Parameters(**settings))


def reference(
    given: Mapping[int, Document], query: Sequence[tuple[str, float]], setting: Parameters
) -> dict[int, float]:
    """The score of each document that holds a term of `query`, in double precision."""
    fields = {label: (tokens(d.title), tokens(d.text)) for label, d in given.items()}
    weight = setting.title_weight
    lengths = {at: weight * len(title) + len(text) for at, (title, text) in fields.items()}
    average = sum(lengths.values()) / len(lengths) if lengths else 0.0
    scores: dict[int, float] = {}
    for term, times in query:
        holders = [at for at, (title, text) in fields.items() if term in title or term in text]
        idf = math.log(1 + (len(fields) - len(holders) + 0.5) / (len(holders) + 0.5))
        for at in holders:
            title, text = fields[at]
            tf = weight * min(255, title.count(term)) + min(255, text.count(term))
            length = lengths[at] / average
            below = tf + setting.k1 * (1 - setting.b + setting.b * length)
            part = times * idf * (setting.k1 + 1) * tf / below
            scores[at] = scores.get(at, 0.0) + part
    return scores


def same_files(one: Path, other: Path) -> None:
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
