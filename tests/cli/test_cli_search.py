"""`index` and `search` with the embedded model, in real processes.

A process that encodes takes seconds to load torch, so there is one that builds (in a terminal),
one that searches (calling the program again and again, each time with stdout of its own), and
the ones that are interrupted; many tests look at what they left.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue
from homes import share_encoders

Call = Callable[..., Any]

TOPICS = (
    "statins lower cholesterol in adults with heart disease",
    "insulin resistance and the treatment of type 2 diabetes",
    "zebrafish hearts regenerate after injury",
    "a vaccine against the coronavirus in a randomised trial",
)
QUERY = "treating diabetes"
PROGRESS = b"bioretrieval-tui: encoding: "
"""What a log hears of a machine so slow that the half minute passes."""
NAMED = "query and article encoders trained on PubMed search logs"
SEVERAL = ["-i", "tiny", "-i", "gone", "-i", "catalogue"]
SEARCHES: dict[str, list[str]] = {
    "tiny json": ["search", QUERY, "-i", "tiny", "-k", "3", "-f", "json"],
    "tiny jsonl": ["search", QUERY, "-i", "tiny", "-k", "3", "-f", "jsonl"],
    "tiny csv": ["search", QUERY, "-i", "tiny", "-k", "3", "-f", "csv"],
    "tiny markdown": ["search", QUERY, "-i", "tiny", "-k", "3"],
    "tiny table": ["search", QUERY, "-i", "tiny", "-k", "3", "-f", "table"],
    "tiny dense": ["search", QUERY, "-i", "tiny", "-k", "3", "-m", "dense", "-f", "json"],
    "tiny lexical": ["search", "Insulin", "-i", "tiny", "-k", "3", "-m", "lexical", "-f", "json"],
    "tiny why": ["search", "insulin resistance", "-i", "tiny", "-k", "2", "--why", "-f", "json"],
    "tiny why table": ["search", "insulin resistance", "-i", "tiny", "-k", "2", "--why"],
    "tiny where": ["search", QUERY, "-i", "tiny", "-w", "year:2010.. diabetes", "-f", "json"],
    "tiny newest": ["search", QUERY, "-i", "tiny", "-k", "4", "-s", "date", "-f", "json"],
    "tiny bibtex": ["search", QUERY, "-i", "tiny", "-k", "2", "-f", "bibtex"],
    "tiny ris": ["search", QUERY, "-i", "tiny", "-k", "2", "-f", "ris"],
    "tiny csl": ["similar", "1001", "-i", "tiny", "-k", "2", "-f", "csl-json"],
    "tiny endnote": ["search", QUERY, "-i", "tiny", "-k", "2", "-f", "endnote"],
    "tiny similar": ["similar", "1001", "-i", "tiny", "-k", "3", "-f", "json"],
    "tiny nearby": ["similar", "1001", "-i", "tiny", "--into", "catalogue", "-f", "json"],
    "no words": ["search", "what is the", "-i", "tiny", "-m", "lexical", "-f", "json"],
    "bad filter": ["search", QUERY, "-i", "tiny", "-w", "yeer:2010"],
    "bad mode": ["search", QUERY, "-i", "tiny", "-m", "fuzzy"],
    "bad order": ["search", QUERY, "-i", "tiny", "-s", "size"],
    "no document": ["similar", "9", "-i", "tiny"],
    "no reranker": ["search", QUERY, "-i", "tiny", "--rerank", "--reranker", "medcpt"],
    "absent reranker": ["search", QUERY, "-i", "tiny", "--rerank"],
    "tiny all": ["search", QUERY, "-i", "tiny", "-k", "500", "-f", "json"],
    "catalogue json": ["search", NAMED, "-f", "json"],
    "catalogue again": ["search", NAMED, "-q", "-f", "json"],
    "catalogue bibtex": ["search", NAMED, "-f", "bibtex"],
    "several json": ["search", QUERY, *SEVERAL, "-k", "30", "--why", "-f", "json"],
    "several csv": ["search", QUERY, *SEVERAL, "-k", "30", "-f", "csv"],
    "several bibtex": ["search", QUERY, *SEVERAL, "-k", "30", "-f", "bibtex"],
    "several none": [
        "search",
        "what is the",
        "-i",
        "tiny",
        "-i",
        "gone",
        "-m",
        "lexical",
        "-f",
        "csv",
    ],
    "several gone": ["search", NAMED, "-i", "gone", "-i", "lost"],
}

# Calls the program for each of the words, with descriptor 1 on a file of its own. The index of
# the catalogue is made of the models only, which is a quarter of the time.
MANY = """
import json, os, sys
import bioretrieval_tui.search.catalogue_index as entries
from bioretrieval_tui.main import run
whole = entries.catalogue_documents
entries.catalogue_documents = lambda c: [d for d in whole(c) if d.metadata["kind"] == "model"]
folder, calls = sys.argv[1], json.loads(sys.argv[2])
for name, words in calls.items():
    target = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(target, 1)
    os.close(target)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.argv = ["bioretrieval-tui", *words]
    sys.stderr.write(f"== {name}\\n")
    sys.stderr.write(f"== {run()}\\n")
"""


@dataclass(frozen=True)
class Place:
    """A home with the index `tiny`, and what its building looked like on a terminal."""

    home: Path
    corpus: Path
    env: dict[str, str | None]
    seen: str


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: list[str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, terminal: Call) -> Place:
    home = share_encoders(tmp_path_factory.mktemp("searching"))
    corpus = home / "corpus.jsonl.gz"
    records = [
        {
            "_id": str(1000 + i),
            "title": f"Study {i}",
            "text": f"{TOPICS[i % 4]}, part {i}",
            "metadata": {"year": 1990 + i},
        }
        for i in range(24)
    ]
    corpus.write_bytes(gzip.compress("\n".join(map(json.dumps, records)).encode()))
    # No network: whatever tried one would fail at this address.
    nowhere = "http://127.0.0.1:9"
    env: dict[str, str | None] = {
        "BIORETRIEVAL_HOME": str(home),
        "BIORETRIEVAL_OFFLINE": "1",
        "HTTPS_PROXY": nowhere,
        "HTTP_PROXY": nowhere,
        "ALL_PROXY": nowhere,
    }
    built = terminal("index", "build", "tiny", str(corpus), "--ids", "pmid", env=env)
    assert built.code == 0, built.out
    return Place(home, corpus, env, built.out)


@pytest.fixture(scope="module")
def answers(
    place: Place, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Answer]:
    folder = tmp_path_factory.mktemp("answers")
    env = {**environment, **{k: v for k, v in place.env.items() if v is not None}}
    called = subprocess.run(
        [sys.executable, "-c", MANY, str(folder), json.dumps(SEARCHES)],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert called.returncode == 0, called.stderr
    found = {}
    pieces = re.split(r"^== (.*)\n", called.stderr, flags=re.MULTILINE)
    for name, said, code in zip(pieces[1::4], pieces[2::4], pieces[3::4], strict=True):
        out = (folder / name).read_text(encoding="utf-8")
        found[name] = Answer(int(code), out, said.splitlines())
    assert set(found) == set(SEARCHES)
    return found


def test_a_build_on_a_terminal_is_one_line_that_goes_away(place: Place) -> None:
    assert "\rencoding: " in place.seen
    assert "of 24 documents" in place.seen
    last = place.seen.replace("\x1b[K", "").rpartition("\r\n")[0].rpartition("\r")[2]
    assert re.fullmatch(r"bioretrieval-tui: built tiny: 24 documents in .*/s on \w+", last)
    assert place.seen.count("\n") == 1


def test_a_search_answers_the_shape_of_the_design(answers: dict[str, Answer]) -> None:
    answer = answers["tiny json"]
    hits = json.loads(answer.out)
    assert answer.code == 0
    assert answer.err == []
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    keys = "authors doi id journal pmid rank score scores text title url year".split()
    assert [sorted(hit) for hit in hits] == [keys] * 3
    assert all(sorted(hit["scores"]) == ["dense", "lexical", "rerank"] for hit in hits)
    assert all("diabetes" in hit["text"] for hit in hits)
    first = hits[0]
    number = int(first["id"]) - 1000
    assert first["title"] == f"Study {number}"
    assert first["year"] == 1990 + number
    assert first["url"] == f"https://pubmed.ncbi.nlm.nih.gov/{first['id']}/"
    assert (first["pmid"], first["authors"], first["journal"]) == (first["id"], [], None)
    assert -1 <= first["scores"]["dense"] <= 1
    assert first["scores"]["rerank"] is None
    assert first["score"] >= hits[1]["score"] >= hits[2]["score"]


def test_the_formats_of_a_search_agree(answers: dict[str, Answer]) -> None:
    hits = json.loads(answers["tiny json"].out)
    assert [json.loads(line) for line in answers["tiny jsonl"].out.splitlines()] == hits
    rows = list(csv.DictReader(io.StringIO(answers["tiny csv"].out)))
    assert [row["id"] for row in rows] == [hit["id"] for hit in hits]
    assert [float(row["score"]) for row in rows] == [hit["score"] for hit in hits]
    assert [row["url"] for row in rows] == [hit["url"] for hit in hits]
    assert float(rows[0]["lexical"]) == hits[0]["scores"]["lexical"]
    markdown = answers["tiny markdown"].out.splitlines()
    assert markdown[0] == f"# Search: {QUERY}"
    assert f"[{hits[0]['title']}]({hits[0]['url']})" in markdown[4]
    table = answers["tiny table"].out.splitlines()
    assert [line.split()[2] for line in table[2:]] == [hit["id"] for hit in hits]


def test_more_than_there_is_gives_all_there_is(answers: dict[str, Answer]) -> None:
    assert len(json.loads(answers["tiny all"].out)) == 24


def test_the_catalogue_is_indexed_at_the_first_search_and_not_again(
    answers: dict[str, Answer], catalogue: Catalogue, cli: Call, place: Place
) -> None:
    first, again = answers["catalogue json"], answers["catalogue again"]
    assert (first.code, again.code) == (0, 0)
    assert first.out == again.out
    assert again.err == []
    hits = json.loads(first.out)
    assert len(hits) == 10
    assert {hit["id"] for hit in hits} <= set(catalogue.by_id)
    assert "medcpt" in [hit["id"] for hit in hits[:3]]
    found = {row["name"]: row for row in cli("index", "list", "-f", "json", env=place.env).json}
    assert found["catalogue"]["documents"] == len(catalogue.section("models"))


def test_the_modes_of_a_search(answers: dict[str, Answer]) -> None:
    dense = json.loads(answers["tiny dense"].out)
    assert all(hit["score"] == hit["scores"]["dense"] for hit in dense)
    assert all(hit["scores"]["lexical"] is None for hit in dense)
    lexical = json.loads(answers["tiny lexical"].out)
    assert all("insulin" in hit["text"] and hit["scores"]["dense"] is None for hit in lexical)


def test_a_search_says_why(answers: dict[str, Answer]) -> None:
    hits = json.loads(answers["tiny why"].out)
    why = hits[0]["why"]
    assert {term["word"] for term in why["terms"]} == {"insulin", "resistance"}
    assert sum(term["share"] for term in why["terms"]) == pytest.approx(1)
    assert min(hit["why"]["ranks"]["lexical"] for hit in hits) == 1
    assert "insulin" in answers["tiny why table"].out.splitlines()[4]


def test_a_search_is_filtered_and_sorted(answers: dict[str, Answer]) -> None:
    kept = json.loads(answers["tiny where"].out)
    assert {hit["year"] for hit in kept} == {2011}
    newest = json.loads(answers["tiny newest"].out)
    years = [hit["year"] for hit in newest]
    assert years == sorted(years, reverse=True)
    assert all("diabetes" in hit["text"] for hit in newest)


def test_more_like_a_document(answers: dict[str, Answer]) -> None:
    hits = json.loads(answers["tiny similar"].out)
    assert all("diabetes" in hit["text"] and hit["id"] != "1001" for hit in hits)
    assert len(json.loads(answers["tiny nearby"].out)) == 10


def test_documents_can_be_cited(answers: dict[str, Answer]) -> None:
    text = answers["tiny bibtex"].out
    assert text.count("@misc{") == 2
    assert "url = {https://pubmed.ncbi.nlm.nih.gov/" in text
    assert answers["tiny ris"].out.count("\nDB  - PubMed\n") == 2
    assert [one["type"] for one in json.loads(answers["tiny csl"].out)] == ["document"] * 2
    assert answers["tiny endnote"].out.count("<remote-database-name>PubMed<") == 2


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("no words", 0, "the query has no searchable terms"),
        ("bad filter", 2, 'filter, column 1: "yeer" is not a field'),
        ("bad mode", 2, "there is no search mode 'fuzzy'; use hybrid, dense, lexical"),
        ("bad order", 2, "hits cannot be sorted by 'size'; use relevance or date"),
        ("no document", 3, "index tiny has no document 9"),
        ("several gone", 3, "there is no index gone"),
        ("no reranker", 2, "medcpt is not a cross-encoder"),
        ("absent reranker", 1, "ncbi/MedCPT-Cross-Encoder"),
    ],
)
def test_what_a_search_cannot_do_is_one_line(
    answers: dict[str, Answer], name: str, code: int, said: str
) -> None:
    answer = answers[name]
    assert answer.code == code
    assert said in answer.err[0]
    assert not any("Traceback" in line for line in answer.err)


def test_hits_of_the_catalogue_can_be_cited(answers: dict[str, Answer]) -> None:
    assert answers["catalogue bibtex"].out.startswith("@")


def test_several_indexes_are_one_ranking_that_names_them(
    answers: dict[str, Answer], catalogue: Catalogue
) -> None:
    answer = answers["several json"]
    assert answer.code == 0
    assert answer.err[-1] == (
        "bioretrieval-tui: gone is left out: there is no index gone; see `index list`"
    )
    hits = json.loads(answer.out)
    assert [hit["rank"] for hit in hits] == list(range(1, 31))
    assert [hit["score"] for hit in hits] == sorted((h["score"] for h in hits), reverse=True)
    assert {hit["index"] for hit in hits} == {"tiny", "catalogue"}
    for hit in hits:
        assert (hit["id"] in catalogue.by_id) == (hit["index"] == "catalogue")
        assert hit["also"] == []
        assert hit["why"]["ranks"].keys() == {"dense", "lexical"}
    rows = list(csv.DictReader(io.StringIO(answers["several csv"].out)))
    assert [row["index"] for row in rows] == [hit["index"] for hit in hits]
    # Entries of the catalogue are cited as such, documents as documents.
    cited = answers["several bibtex"].out
    assert "PubMed" in cited
    assert "Study" in cited
    assert answers["several none"].out == (
        "rank,score,id,title,year,text,url,doi,pmid,authors,journal,dense,lexical,rerank,index\n"
    )


@pytest.mark.parametrize("format_", ["table", "markdown", "json", "jsonl", "csv"])
def test_an_index_is_listed_and_told_about(cli: Call, place: Place, format_: str) -> None:
    for words in (["list"], ["info", "tiny"]):
        called = cli("index", *words, "-f", format_, env=place.env)
        assert (called.code, called.err) == (0, "")
        assert "tiny" in called.out
        assert "sentence-transformers/all-MiniLM-L6-v2" in called.out


def test_the_shape_of_an_index(cli: Call, place: Place) -> None:
    told = cli("index", "info", "tiny", "-f", "json", env=place.env).json
    keys = "name documents model dimension dtype device built bytes status docs_per_second"
    more = "dead_share aliases segments store recall graphs outside parts fields max_tokens longer"
    assert sorted(told) == sorted(f"{keys} {more} passages cached".split())
    assert (told["name"], told["documents"], told["dimension"]) == ("tiny", 24, 384)
    assert told["status"] == "ok"
    assert {"abstract", "id"} <= set(told["fields"])
    shown = cli("index", "info", "tiny", "-f", "markdown", env=place.env).out
    assert ", ".join(told["fields"]) in shown
    listed = cli("index", "list", "-f", "jsonl", env=place.env).out.splitlines()
    assert told in [json.loads(line) for line in listed]


def test_no_index_is_an_empty_list(cli: Call, tmp_path: Path) -> None:
    called = cli("index", "list", "-f", "json", env={"BIORETRIEVAL_HOME": str(tmp_path)})
    assert (called.code, called.out) == (0, "[]\n")
    assert "there is no index yet" in called.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"text": "x", "_id": ""}\n', "corpus.jsonl:1: `_id` is empty"),
        ("no corpus at all", "corpus.jsonl:1: not JSON"),
        ("", "the corpus is empty"),
    ],
)
def test_a_bad_corpus_is_one_line_and_leaves_nothing(
    cli: Call, tmp_path: Path, text: str, said: str
) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(text)
    env = {"BIORETRIEVAL_HOME": str(tmp_path)}
    called = cli("index", "build", "mine", str(corpus), env=env)
    assert (called.code, called.out) == (1, "")
    assert len(called.lines) == 1
    assert said in called.err
    assert cli("index", "list", "-f", "json", env=env).json == []


def test_a_damaged_index_is_told_without_a_crash(cli: Call, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "indexes" / "mine"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    env = {"BIORETRIEVAL_HOME": str(tmp_path)}
    assert cli("index", "list", "-f", "json", env=env).json[0]["status"].startswith("damaged: ")
    called = cli("search", "x", "-i", "mine", env=env)
    assert (called.code, called.out) == (1, "")
    assert len(called.lines) == 1


def wait_for(found: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while not found():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def vectors(folder: Path) -> Iterator[Path]:
    return folder.glob(".building-*/vectors*")


@pytest.mark.parametrize("stage", ["loading", "encoding"])
@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_build_is_quiet_and_leaves_nothing(
    place: Place, environment: dict[str, str], cli: Call, tmp_path: Path, stage: str
) -> None:
    corpus = tmp_path / "corpus.jsonl"
    lines = (json.dumps({"_id": str(i), "text": f"{TOPICS[i % 4]} {i} " * 9}) for i in range(4_000))
    corpus.write_text("\n".join(lines))
    env = {**environment, **{k: v for k, v in place.env.items() if v is not None}}
    process = subprocess.Popen(
        [sys.executable, "-m", "bioretrieval_tui", "index", "build", "long", str(corpus)],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    folder = place.home / "data" / "indexes" / "long"
    if stage == "loading":
        wait_for(lambda: any(folder.glob(".building-*/documents.sqlite")), process)
        time.sleep(0.5)  # into the import of torch, wherever in it
    else:
        wait_for(lambda: any(vectors(folder)), process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    # Python itself may end by the signal: it does where the interrupt fell into an `exec`, of which
    # an import of torch is full. A shell calls both 130.
    assert process.returncode in (130, -signal.SIGINT)
    assert out == b""
    said = [line for line in err.splitlines() if not line.startswith(PROGRESS)]
    assert [line.partition(b";")[0] for line in said] in ([], [b"bioretrieval-tui: stopped"])
    assert not any(folder.glob(".building-*"))
    listed = cli("index", "list", "-f", "json", env=place.env).json
    found = {row["name"]: row["status"] for row in listed}
    assert found.get("long", "unfinished: ").startswith("unfinished: ")
    assert found["tiny"] == "ok"
