"""Benchmark folders made of a few words, and a ranker over an open index that needs no model."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

from hashing_encoder import HashingEncoder

from bioretrieval_tui.evaluation.runner import Rank
from bioretrieval_tui.index.registry import OpenIndex

CORPUS = {
    "d1": "statins cause muscle pain",
    "d2": "the p53 gene suppresses tumours",
    "d3": "inhaled steroids help children with asthma",
    "d4": "statins lower cholesterol",
}
QUERIES = {"q1": "muscle pain", "q2": "tumour gene", "q3": "asthma"}
QRELS = {"q1": {"d1": 2, "d4": 1}, "q2": {"d2": 1}}


def write_benchmark(
    folder: Path,
    corpus: Mapping[str, str] = CORPUS,
    queries: Mapping[str, str] = QUERIES,
    qrels: Mapping[str, Mapping[str, int]] | str = QRELS,
    *,
    split: str = "test",
    packed: bool = False,
) -> Path:
    """A BEIR folder; `qrels` may be the text of the file."""
    if not isinstance(qrels, str):
        lines = [f"{q}\t{d}\t{g}\n" for q, graded in qrels.items() for d, g in graded.items()]
        qrels = "query-id\tcorpus-id\tscore\n" + "".join(lines)
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("corpus.jsonl", "".join(_line(name, text) for name, text in corpus.items())),
        ("queries.jsonl", "".join(_line(name, text) for name, text in queries.items())),
        (f"qrels/{split}.tsv", qrels),
    ):
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (folder / name).write_text(text)
    return folder


def _line(name: str, text: str) -> str:
    return json.dumps({"_id": name, "title": "", "text": text}) + "\n"


def rank_by(index: OpenIndex, mode: str) -> Rank:
    """Dense by the hashing encoder, or lexical, straight from an index."""

    def rank(query: str, k: int) -> list[tuple[str, float]]:
        if mode == "lexical":
            labels, scores = index.lexical.search(query, k)
        else:
            encoder = HashingEncoder(index.manifest.dimension)
            labels, scores = index.vectors.search(encoder.encode_queries([query])[0], k)
        names = index.documents.ids(labels.tolist())
        return list(zip(names, scores.tolist(), strict=True))

    return rank
