"""A benchmark folder of a few sentences, for tests that really evaluate it."""

from __future__ import annotations

import json
from pathlib import Path

CORPUS = {
    "d1": ("Statins", "Simvastatin and other statins often cause muscle pain."),
    "d2": ("p53", "The p53 gene suppresses the growth of tumours."),
    "d3": ("Asthma", "Inhaled steroids help children who have asthma."),
    "d4": ("Aspirin", "Aspirin prevents strokes in patients at risk."),
    "d5": ("", "Triptans end attacks of migraine. See https://example.org/triptans."),
}
QUERIES = {
    "1": "Which drugs cause pain in muscles?",
    "2": "tumour suppressor gene",
    "3": "asthma in children",
    "4": "nobody judged this",
}
QRELS = "query-id\tcorpus-id\tscore\n1\td1\t2\n1\td5\t0\n2\td2\t1\n2\td9\t1\n3\td4\t1\n"


def write_benchmark(folder: Path, qrels: str = QRELS) -> Path:
    """The folder, with three judged queries: one found, one half found, one judged wrongly."""
    (folder / "qrels").mkdir(parents=True)
    records = ({"_id": name, "title": t, "text": x} for name, (t, x) in CORPUS.items())
    (folder / "corpus.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    queries = ({"_id": name, "text": text} for name, text in QUERIES.items())
    (folder / "queries.jsonl").write_text("".join(json.dumps(one) + "\n" for one in queries))
    (folder / "qrels" / "test.tsv").write_text(qrels)
    return folder
