"""Indexing: encoding, the whole pipeline, quality, the cold path, reading and scale.

    python -m benchmarks.indexing [--keep] [--data ../shared/data] [--rounds 5] [--only PART...]
    python -m benchmarks.indexing --device cuda [--keep]

Ratios to a baseline of the same run: `SentenceTransformer.encode`, a bare lxml iterparse, the
shortest script that searches. Parts: library, encoding, query, pipeline, quality, cold, scale,
bulk.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks import cold, embedding, reading
from benchmarks.measuring import Report
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.index.build import build_index
from bioretrieval_tui.index.registry import index_names, open_index

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PARTS = ("library", "encoding", "query", "pipeline", "quality", "cold", "scale", "bulk")
INDEX = "scifact"


def ndcg(ranked: Sequence[str], grades: Mapping[str, int], k: int = 10) -> float:
    """nDCG@k with the gain of trec_eval: the grade itself."""
    gained = sum(grades.get(one, 0) / math.log2(rank + 2) for rank, one in enumerate(ranked[:k]))
    best = sorted(grades.values(), reverse=True)[:k]
    ideal = sum(grade / math.log2(rank + 2) for rank, grade in enumerate(best))
    return gained / ideal if ideal else 0.0


def qrels(path: Path) -> dict[str, dict[str, int]]:
    """Query -> document -> grade."""
    found: dict[str, dict[str, int]] = {}
    with path.open() as stream:
        for query, document, grade in list(csv.reader(stream, delimiter="\t"))[1:]:
            found.setdefault(query, {})[document] = int(grade)
    return found


def pipeline(report: Report, data: Path) -> None:
    """The whole build of SciFact against its own encoding speed."""
    load_encoder(device="cpu")  # is not part of either figure
    outcome = build_index(INDEX, [data / "scifact"], lambda: load_encoder(device="cpu"))
    manifest = outcome.manifest
    whole = manifest.documents / manifest.seconds
    report.say(
        f"Building the index over SciFact: {manifest.documents:,} documents in"
        f" {manifest.seconds:.1f} s, {whole:.1f} documents/s; its encoder alone"
        f" {manifest.docs_per_second:.1f}/s; share {whole / manifest.docs_per_second:.3f}"
        f" (bar 0.9). The graph finds {manifest.graph.recall:.3f} of the nearest ten with ef"
        f" {manifest.graph.ef}."
    )
    report.say()


def quality(report: Report, data: Path) -> None:
    """nDCG@10 on SciFact test: plain sentence-transformers, and our index."""
    judged = qrels(data / "scifact" / "qrels" / "test.tsv")
    lines = (data / "scifact" / "queries.jsonl").read_text().splitlines()
    texts = {one["_id"]: one["text"] for one in map(json.loads, lines) if one["_id"] in judged}
    corpus = embedding.documents(data, 10**9)
    model = embedding.plain_model()
    vectors = model.encode(embedding.joined(corpus), batch_size=32, show_progress_bar=False)
    asked = model.encode(list(texts.values()), show_progress_bar=False)
    order = np.argsort(-(asked @ vectors.T), axis=1)[:, :10]
    plain = [
        ndcg([corpus[place].id for place in row], judged[query])
        for query, row in zip(texts, order, strict=True)
    ]
    index = open_index(INDEX)
    encoder = load_encoder(device="cpu", side="query")
    ours = []
    for query, text in texts.items():
        labels, _ = index.vectors.search(encoder.encode_queries([text])[0], 10)
        found = [one.id for one in index.documents.get(labels.tolist())]
        ours.append(ndcg(found, judged[query]))
    index.close()
    one, other = float(np.mean(plain)), float(np.mean(ours))
    report.say(
        f"nDCG@10 on SciFact test, dense: {other:.4f}, plain fp32 {one:.4f}, difference"
        f" {other - one:+.4f} (bar 0.003)."
    )
    report.say()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--documents", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    given = parser.parse_args()
    if not given.data.is_dir():
        raise SystemExit(f"no corpora in {given.data}; name their folder with --data")
    report = Report("Indexing" if given.device == "cpu" else f"Indexing on {given.device}")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(os.environ.setdefault("BIORETRIEVAL_HOME", folder))
        if given.device != "cpu":
            count = max(given.documents, 4_096)
            counts = (count, count, 1_024)
            embedding.against_the_library(report, given.data, given.device, given.rounds, counts)
            report.keep("indexing-gpu")
            return
        if "library" in given.only:
            os.environ["BIORETRIEVAL_ENGINE"] = "torch"
            apart = Report("Encoding in torch against the library, on the processor")
            embedding.against_the_library(
                apart, given.data, "cpu", min(3, given.rounds), (64, 16, 2)
            )
            apart.keep("library")
            del os.environ["BIORETRIEVAL_ENGINE"]
        if "encoding" in given.only:
            embedding.on_the_cpu(report, given.data, given.rounds, given.documents)
        if "query" in given.only:
            embedding.warm_queries(report, given.data, 3)
        known = INDEX in index_names()
        if {"pipeline", "quality"} & set(given.only) or ("cold" in given.only and not known):
            pipeline(report, given.data)
        if "quality" in given.only:
            quality(report, given.data)
        if "cold" in given.only:
            apart = Report("Cold search")
            cold.cold_search(apart, home, INDEX, given.rounds)
            apart.keep("cold")
        if "scale" in given.only:
            reading.scale(report, given.data)
        if "bulk" in given.only:
            reading.bulk(report, given.data, 3)
    report.keep("indexing")


if __name__ == "__main__":
    main()
