"""10,000 realistic rows to filter, made of a fixed seed, and their fields."""

from __future__ import annotations

import random
from bisect import bisect
from functools import cache
from itertools import accumulate

from bioretrieval_tui.query import Field, Row, Schema

SCHEMA = Schema(
    [
        Field("name", "text"),
        Field("tags", "set", ("tag",)),
        Field("venue", "text"),
        Field("hub", "set"),
        Field("year", "number"),
        Field("params", "number"),
        Field("docs", "number", ("documents",)),
        Field("gated", "bool"),
    ]
)


def listed(words: str) -> list[str]:
    return words.split()


_HEADS = listed("Bio Med Pub Clin Sci Sap Gene Chem Onco Cardio Neuro Pharma Micro Immuno Radio ")
_TAILS = listed("BERT CPT Hop Retriever Ranker RoBERTa E5 GTE HiCL CLIP Former Llama ColBERT DPR ")
_SIZES = ["", "-110M", "-335M", "-2B", "-7B", " base", " large", "-v2", "_small", " Query Encoder"]
_TOPICS = listed(
    "dense sparse retrieval late-interaction reranking entity-linking contrastive distillation "
    "biomedical clinical pubmed metformin diabetes cancer genomics question-answering zero-shot "
    "benchmark negatives synthetic "
)
_SYLLABLES = listed(
    "an bi car do en for ga hy in ko lin me nor ox pa ri sta tri ul ver xi ze mab ol ine ose "
    "phen gly thy amid cyt derm hep neph oste path plas zol statin form "
)
_VENUES = ["ACL 2023", "EMNLP", "NeurIPS", "Bioinformatics", "TREC", "SIGIR 2024", None]


def _zipfian(count: int) -> list[float]:
    return list(accumulate(1 / (rank + 2.7) for rank in range(count)))


@cache
def many_rows(count: int = 10_000, seed: int = 20) -> tuple[Row, ...]:
    """Rows with names of about three words, five tags and sixty words of text.

    The words of the texts follow Zipf's law over some 20,000, as those of abstracts do.
    """
    draw = random.Random(seed)
    lexicon = [*_TOPICS, *listed("the of and in for with a on to is model trained retriever")]
    seen = set(lexicon)
    while len(lexicon) < 20_000:
        word = "".join(draw.choices(_SYLLABLES, k=draw.choice((1, 2, 2, 3, 3, 4))))
        if len(lexicon) % 8 == 0:
            word += draw.choice(("-" + draw.choice(_TOPICS), str(draw.randrange(100))))
        if word not in seen:
            seen.add(word)
            lexicon.append(word)
    weights = _zipfian(len(lexicon))
    tags = [*_TOPICS, *draw.sample(lexicon[100:3000], 280)]
    tag_weights = _zipfian(len(tags))

    def pick(words: list[str], cumulative: list[float], k: int) -> list[str]:
        total = cumulative[-1]
        return [words[bisect(cumulative, draw.random() * total)] for _ in range(k)]

    rows = []
    for number in range(count):
        name = draw.choice(_HEADS) + draw.choice(_TAILS) + draw.choice(_SIZES)
        name += " " + " ".join(pick(lexicon, weights, draw.choice((1, 2, 2, 3)))).title()
        if number % 400 == 7:
            name = "BMRetriever" + draw.choice(_SIZES)
        words = pick(lexicon, weights, draw.randrange(45, 76))
        if number % 9 == 0:
            words.insert(draw.randrange(40), draw.choice(("Alzheimer\u2019s", "β-cell", "naïve")))
        text = " ".join(words).capitalize() + "."
        rows.append(
            Row(
                key=f"row-{number}",
                name=name,
                tags=tuple(dict.fromkeys(pick(tags, tag_weights, draw.randrange(3, 8)))),
                text=text.replace(" the ", ", the ").replace(" and ", " (and) "),
                value={
                    "venue": draw.choice(_VENUES),
                    "hub": (f"org-{number % 90}/{name.split()[0]}",),
                    "year": draw.randrange(2015, 2027),
                    "params": draw.choice((None, int(10 ** draw.uniform(6, 11)))),
                    "docs": draw.choice((None, None, draw.randrange(10**6))),
                    "gated": draw.choice((True, False, None)),
                }.get,
            )
        )
    return tuple(rows)
