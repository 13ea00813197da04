"""BM25 needs no model: in a fresh home it loads, prepares and encodes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bioretrieval_tui.backend.client import SearchClient
from bioretrieval_tui.backend.protocol import Explain, Search
from bioretrieval_tui.index.registry import manifest_of
from bioretrieval_tui.search.types import Query

HEAVY = ("torch", "openvino", "transformers", "sentence_transformers", "tokenizers")
MANY = """
import json, os, sys
from bioretrieval_tui.main import run
folder, calls, *heavy = sys.argv[1:]
for name, words in json.loads(calls).items():
    target = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(target, 1)
    os.close(target)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.argv = ["bioretrieval-tui", *words]
    assert run() == 0, name
print(json.dumps([one for one in heavy if one in sys.modules]), file=sys.stderr)
"""
TEXTS = {
    "d1": "statins cause muscle pain",
    "d2": "the p53 gene suppresses tumours",
    "d3": "inhaled steroids help children with asthma",
}


def _benchmark(folder: Path) -> Path:
    (folder / "qrels").mkdir(parents=True)
    rows = [json.dumps({"_id": name, "title": "", "text": text}) for name, text in TEXTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(rows))
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "muscle pain"}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    return folder


def test_search_and_eval_by_bm25_load_and_prepare_nothing(tmp_path: Path) -> None:
    home, answers = tmp_path / "home", tmp_path / "answers"
    answers.mkdir()
    folder = str(_benchmark(tmp_path / "tiny"))
    calls = {
        "search": ["search", "MedCPT", "-m", "lexical", "-q", "-f", "json"],
        "why": ["search", "MedCPT", "-m", "lexical", "--why", "-q", "-f", "json"],
        "eval": ["eval", folder, "-m", "lexical", "-q", "-f", "json"],
        "named": ["eval", folder, "-m", "lexical", "--model", "medcpt", "-q", "-f", "json"],
        "query": ["eval", folder, "-m", "lexical", "--query", "q1", "-q", "-f", "json"],
    }
    ended = subprocess.run(
        [sys.executable, "-c", MANY, str(answers), json.dumps(calls), *HEAVY],
        env={**os.environ, "BIORETRIEVAL_HOME": str(home), "BIORETRIEVAL_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stderr.splitlines()[-1]) == []
    assert not (home / "cache" / "encoders").exists()
    found = {name: json.loads((answers / name).read_text()) for name in calls}
    assert found["search"]
    assert all("medcpt" in f"{hit['title']} {hit['text']}".casefold() for hit in found["search"])
    assert all(hit["scores"]["dense"] is None for hit in found["search"])
    assert found["why"][0]["why"]["ranks"] == {"dense": None, "lexical": 1}
    for name in ("eval", "named"):
        (run,) = found[name]["runs"]
        assert (run["mode"], run["metrics"]["nDCG@10"]) == ("lexical", 1)
    assert found["query"]["judged"][0]["ranks"] == {"lexical": 1}


@pytest.mark.asyncio
async def test_the_search_process_answers_by_bm25_without_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(home))
    client = SearchClient(device="cpu")
    try:
        question = Query(text="medcpt", mode="lexical")
        best = (await client.ask(Search("catalogue", question))).hits[0]
        assert best.id == "medcpt"  # the entry of this id
        (why,) = await client.ask(Explain("catalogue", question, [best.id]))
        assert why.lexical_rank is not None
        maps = Path(f"/proc/{client.pid}/maps")
        if maps.exists():
            loaded = maps.read_text()
            assert not [
                one
                for one in (
                    "libtorch",
                    "openvino",
                )
                if one in loaded
            ]
    finally:
        await client.close()
    assert manifest_of("catalogue").encoded  # its vectors were shipped
    assert not (home / "cache" / "encoders").exists()
