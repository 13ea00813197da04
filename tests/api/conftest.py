"""One home with an index over a few abstracts and a small benchmark, for all tests that read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from claims import CORPUS, QRELS, QUERIES

import bioretrieval_tui as br
from homes import share_encoders


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
