"""One home with an index over a few abstracts and a small benchmark, for all tests that read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import bioretrieval_tui as br
from homes import share_encoders

CORPUS = {
    "d1": ("Statins", "Simvastatin and other statins often cause muscle pain.", 2019),
    "d2": ("p53", "The p53 gene suppresses the growth of tumours.", 1999),
    "d3": ("Asthma", "Inhaled steroids help children who have asthma.", 2021),
    "d4": ("Aspirin", "Aspirin prevents strokes in patients at risk.", 2005),
    "d6": ("", "Triptans end attacks of migraine.", 2011),
}
QUERIES = {
    "1": "Which drugs cause pain in muscles?",
    "2": "tumour suppressor gene",
    "3": "asthma in children",
}
QRELS = "query-id\tcorpus-id\tscore\n1\td1\t2\n2\td2\t1\n3\td3\t1\n3\td4\t0\n"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark in BEIR's layout."""
    made = tmp_path_factory.mktemp("benchmarks") / "claims"
    (made / "qrels").mkdir(parents=True)
    records = (
        {
            "_id": name,
            "title": title,
            "text": text,
            "metadata": {"year": year, "doi": f"10.1/{name}"},
        }
        for name, (title, text, year) in CORPUS.items()
    )
    (made / "corpus.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    queries = ({"_id": name, "text": text} for name, text in QUERIES.items())
    (made / "queries.jsonl").write_text("".join(json.dumps(one) + "\n" for one in queries))
    (made / "qrels" / "test.tsv").write_text(QRELS)
    return made


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Path]:
    place = share_encoders(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIORETRIEVAL_HOME", str(place))
        br.build("claims", [folder / "corpus.jsonl"]).close()
        yield place
