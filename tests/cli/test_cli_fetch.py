"""`fetch` as a user meets it: a local server, interrupted and continued.

Calls that are interrupted, killed or stand in a pipe are processes of their own.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from homes import share_encoders
from mesh_sample import DESCRIPTORS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "online"))  # server

from server import (
    World,
    archive_files,
    benchmark_files,
    pmid_of,
    serving,
    text_of,
    variables,
    zipped,
)

PROGRAM = [sys.executable, "-m", "bioretrieval_tui"]
KEY = "a-key-that-nobody-may-see-0123456789"


@dataclass(frozen=True)
class Fetched:
    """How a call ended."""

    code: int
    out: str
    err: str

    @property
    def ids(self) -> list[str]:
        return [json.loads(line)["_id"] for line in self.out.splitlines()]

    @property
    def last(self) -> str:
        return self.err.splitlines()[-1]


@pytest.fixture
def world() -> World:
    # A key is in force, so that ten requests a second are allowed.
    return World(articles=450, key=KEY)


@pytest.fixture
def env(world: World, environment: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    kept = {k: v for k, v in environment.items() if "proxy" not in k.casefold()}
    home = share_encoders(tmp_path / "home")
    with serving(world) as address:
        yield {
            **kept,
            **variables(address),
            "BIORETRIEVAL_HOME": str(home),
            "NCBI_API_KEY": KEY,
            "PYTHONUNBUFFERED": "1",
        }


@pytest.fixture
def call(
    env: dict[str, str],
    fresh: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Fetched]:
    monkeypatch.chdir(tmp_path)

    def run(*words: str, text: str = "", **changes: str) -> Fetched:
        ended = fresh(words, {**env, **changes}, text)
        assert KEY not in ended.out + ended.err
        assert "Traceback" not in ended.err
        return Fetched(ended.code, ended.out, ended.err)

    return run


def all_pmids(count: int = 450) -> list[str]:
    return [str(pmid_of(n)) for n in range(count)]


def test_lines_on_stdout(call: Callable[..., Fetched], world: World) -> None:
    found = call("fetch", "pubmed", "birds", "-q")
    assert (found.code, found.err) == (0, "")
    assert found.ids == all_pmids()
    first = json.loads(found.out.splitlines()[0])
    assert sorted(first) == ["_id", "metadata", "text", "title"]
    assert first["text"] == text_of(0)
    assert not [path for _, path, given in world.asked if KEY in path or "api_key=" in path]
    assert {given["api_key"] for given in world.of("/e")} == {KEY}


def test_a_file_and_the_limits_of_a_search(
    call: Callable[..., Fetched], world: World, tmp_path: Path
) -> None:
    found = call("fetch", "pubmed", "birds", "-n", "30", "--since", "2026-06-29", "-o", "b.jsonl")
    assert (found.code, found.out) == (0, "")
    assert "30 records of PubMed in b.jsonl" in found.last
    assert len((tmp_path / "b.jsonl").read_text().splitlines()) == 30
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b.jsonl", "home"]
    again = call("fetch", "pubmed", "birds", "-o", "b.jsonl")
    assert (again.code, "b.jsonl exists" in again.last) == (2, True)


def test_what_pubmed_says_of_a_query_is_told(call: Callable[..., Fetched], world: World) -> None:
    world.said = {
        "errorlist": {"phrasesnotfound": ["heronzz"], "fieldsnotfound": ["titel"]},
        "querytranslation": "ponds[All Fields]",
    }
    caution = 'PubMed did not find "heronzz", does not know the field [titel]'
    found = call("fetch", "pubmed", "heronzz AND ponds[titel]", "-n", "5", "-o", "a.jsonl")
    assert found.code == 0
    assert f"{caution}: the records may be others than meant" in found.err
    assert "PubMed searched for: ponds[All Fields]" in found.err
    quiet = call("fetch", "pubmed", "nothing", "-q")
    assert quiet.code == 1
    assert quiet.err.count(caution) == 1
    assert "searched for" not in quiet.err


def test_from_a_query_to_an_offline_search(call: Callable[..., Fetched], world: World) -> None:
    built = call("fetch", "pubmed", "birds", "-n", "60", "--index", "ponds")
    assert built.code == 0, built.err
    assert "60 records of PubMed fetched; the index ponds has 60 documents" in built.err
    found = call(
        "search", "counting herons near moss", "-i", "ponds", "-f", "json", BIORETRIEVAL_OFFLINE="1"
    )
    hit = json.loads(found.out)[0]
    assert "herons" in hit["title"]
    assert hit["url"] == f"https://pubmed.ncbi.nlm.nih.gov/{hit['id']}/"
    more = call("fetch", "pubmed", "birds", "-n", "80", "--index", "ponds")
    assert more.code == 0, more.err
    assert "the index ponds has 80 documents" in more.err


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_or_killed_fetch_resumes(
    call: Callable[..., Fetched],
    env: dict[str, str],
    world: World,
    tmp_path: Path,
    end: signal.Signals,
) -> None:
    world.articles = 6_000
    child = subprocess.Popen(
        [*PROGRAM, "fetch", "pubmed", "birds", "-o", "b.jsonl"],
        env=env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    state = tmp_path / "b.jsonl.part.state"
    until = time.monotonic() + 120
    while time.monotonic() < until and (not state.exists() or b'"records":0' in state.read_bytes()):
        time.sleep(0.02)
    child.send_signal(end)
    _, said = child.communicate(timeout=60)
    assert child.returncode == (130 if end is signal.SIGINT else -9)
    assert not (tmp_path / "b.jsonl").exists()
    kept = json.loads(state.read_bytes())["records"]
    assert 0 < kept < 6_000
    if end is signal.SIGINT:
        assert f"{kept:,} of 6,000 records have arrived" in said
    before = len(world.asked)
    found = call("fetch", "pubmed", "birds", "-o", "b.jsonl")
    assert found.code == 0, found.err
    assert f"{kept:,} records had arrived before" in found.err
    lines = (tmp_path / "b.jsonl").read_text().splitlines()
    assert [json.loads(line)["_id"] for line in lines] == all_pmids(6_000)
    assert len(world.asked) - before <= (6_000 - kept) // 200 + 1


def test_a_build_resumes_after_a_network_failure(
    call: Callable[..., Fetched], world: World, env: dict[str, str]
) -> None:
    world.articles, world.broken_from = 300, 200
    failed = call("fetch", "pubmed", "birds", "--index", "ponds")
    assert failed.code == 1
    assert "200 of 300 records have arrived; the same call resumes there" in failed.err
    assert (
        "PubMed responded with status 404 to a request for records; try again later" in failed.last
    )
    assert call("index", "info", "ponds").code == 3
    world.broken_from = None
    found = call("fetch", "pubmed", "birds", "--index", "ponds")
    assert found.code == 0, found.err
    assert "300 records of PubMed fetched; the index ponds has 300 documents" in found.err
    assert [given["retstart"] for given in world.of("/efetch")] == ["0", "200", "200"]
    assert not list((Path(env["BIORETRIEVAL_HOME"]) / "state" / "fetch").iterdir())


def test_ids_of_all_kinds(call: Callable[..., Fetched], tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text(f"{pmid_of(3)}\n10.5555/pond.4 huh\narXiv:2601.00005\n7\n")
    found = call("fetch", "ids", "ids.txt")
    assert found.code == 1
    assert sorted(found.ids) == sorted([str(pmid_of(3)), str(pmid_of(4)), "2601.00005"])
    assert "ids.txt:2: 'huh' is not a PMID, PMC id, DOI or arXiv id" in found.err
    assert "ids.txt:4: no service knows pmid 7" in found.err
    piped = call("fetch", "ids", "-", text=f"PMID:{pmid_of(5)}")
    assert (piped.code, piped.ids) == (0, [str(pmid_of(5))])
    nothing = call("fetch", "ids", "-", text="huh")
    assert (nothing.code, "holds no id" in nothing.last) == (2, True)


def test_other_services(call: Callable[..., Fetched]) -> None:
    assert call("fetch", "europepmc", "birds", "-n", "3").ids == all_pmids(3)
    assert call("fetch", "arxiv", "birds", "-n", "2").ids == ["2601.00000", "2601.00001"]


def test_a_benchmark_that_eval_takes(
    call: Callable[..., Fetched], world: World, tmp_path: Path
) -> None:
    world.files["/nfcorpus.zip"] = data = zipped(benchmark_files("nfcorpus"))
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    overlays = tmp_path / "home" / "config" / "catalog.d"
    overlays.mkdir(parents=True)
    refused = call("fetch", "benchmark", "nfcorpus")
    assert (refused.code, "has the wrong MD5" in refused.last) == (1, True)
    (overlays / "ours.yaml").write_text(
        "benchmarks:\n  - id: nfcorpus\n    loaders: {zip: 'https://public.ukp.informatik."
        f"tu-darmstadt.de/thakur/BEIR/datasets/nfcorpus.zip', md5: {digest}}}\n"
    )
    found = call("fetch", "benchmark", "nfcorpus")
    assert found.code == 0, found.err
    folder = Path(found.out.strip())
    assert folder == tmp_path / "home" / "data" / "benchmarks" / "nfcorpus"
    assert "licence of nfcorpus" in found.err
    measured = call("eval", str(folder), "-m", "lexical", "-f", "json", BIORETRIEVAL_OFFLINE="1")
    assert json.loads(measured.out)["runs"][0]["mode"] == "lexical"
    assert call("fetch", "benchmark", "nfcorpus").out == found.out
    unknown = call("fetch", "benchmark", "biosses")
    assert (unknown.code, "nfcorpus" in unknown.last) == (3, True)


def test_mesh_is_fetched_and_completes_filters(call: Callable[..., Fetched], world: World) -> None:
    absent = call("fetch", "mesh", "--year", "2019")
    assert (absent.code, "no MeSH of 2019" in absent.last) == (3, True)
    world.files["/desc2026.gz"] = gzip.compress(DESCRIPTORS.encode())
    found = call("fetch", "mesh", "--year", "2026")
    assert found.code == 0, found.err
    assert "7 headings of desc2026.gz" in found.err
    assert "terms_and_conditions_mesh" in found.err
    completed = call(
        _BIORETRIEVAL_TUI_COMPLETE="zsh_complete",
        COMP_WORDS="bioretrieval-tui search herons -i mine -w mesh:lung-d",
        COMP_CWORD="6",
    )
    completion = completed.out.replace("\\", "").splitlines()
    assert completion[1:3] == ["mesh:Lung-Diseases", "Lung Diseases C08.381"]


def test_the_baseline_shows_its_size_and_asks(
    call: Callable[..., Fetched], world: World, tmp_path: Path
) -> None:
    world.files = archive_files(world)
    asked = call("fetch", "baseline", "pubmed")
    assert (asked.code, "add --yes" in asked.last) == (2, True)
    assert "3 of 3 files to fetch into pubmed: about" in asked.err
    assert not (tmp_path / "pubmed").exists()
    assert call("fetch", "baseline", "pubmed", "--yes", "-n", "1").code == 0
    rest = call("fetch", "baseline", "pubmed", "--yes")
    assert "2 of 3 files to fetch" in rest.err
    assert "all 3 files are in pubmed" in call("fetch", "baseline", "pubmed", "--yes").err
    built = call("index", "build", "all", "pubmed", "-q")
    assert built.code == 0, built.err
    assert json.loads(call("index", "info", "all", "-f", "json").out)["documents"] == 150


def test_abstracts_of_the_catalogue(call: Callable[..., Fetched], tmp_path: Path) -> None:
    overlays = tmp_path / "home" / "config" / "catalog.d"
    overlays.mkdir(parents=True)
    (overlays / "ours.yaml").write_text(
        "papers:\n  - {id: pond-paper, name: Pond, title: Of ponds, summary: Water., year: 2026,"
        f" pmid: {pmid_of(9)}, sources: [pond-page], status: confirmed}}\n"
        "sources:\n  - {id: pond-page, text: its page, url: 'https://example.org/pond'}\n"
    )
    found = call("fetch", "abstracts")
    assert found.code == 0, found.err
    kept = json.loads((tmp_path / "home" / "data" / "abstracts.json").read_bytes())
    assert kept["pond-paper"]["text"] == text_of(9)
    assert kept["pond-paper"]["origin"] == "PubMed"
    hits = call(
        "search", text_of(9), "-m", "lexical", "-k", "1", "-f", "json", BIORETRIEVAL_OFFLINE="1"
    )
    assert json.loads(hits.out)[0]["id"] == "pond-paper", hits.err


# When it goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["pubmed", "nothing"], 1, "PubMed has nothing for 'nothing'"),
        (["pubmed", "  "], 2, "the query is empty"),
        (["pubmed", "x", "--since", "May"], 2, "'May' is not a date"),
        (["pubmed", "x", "--index", "catalogue"], 2, "made from the catalogue itself"),
        (["pubmed", "x", "--index", "a", "-o", "b"], 2, "are two destinations"),
        (["pubmed", "x", "--model", "medcpt"], 2, "--model is for an index"),
        (["pubmed", "x", "-o", "no/such/b.jsonl"], 2, "the folder of no/such/b.jsonl does not"),
        (["pubmed", "x", "-o", "b", "--offline"], 1, "the network is not allowed here"),
        (["ids", "none.txt"], 3, "there is no file none.txt"),
        (["benchmark", "none"], 3, "no benchmark has the id 'none'"),
        (["pubmedd", "x"], 2, "did you mean pubmed?"),
    ],
)
def test_one_line_says_what_is_wrong(
    call: Callable[..., Fetched], words: list[str], code: int, said: str
) -> None:
    ended = call("fetch", *words)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.last
    assert ";" in ended.last or "see" in ended.last or code == 3


@pytest.mark.parametrize(
    "words",
    [
        ["pubmed", "x"],
        ["europepmc", "x"],
        ["arxiv", "x"],
        ["ids", "-"],
        ["abstracts"],
        ["benchmark", "nfcorpus"],
        ["baseline", "there", "--yes"],
    ],
    ids=lambda words: words[0],
)
def test_offline_is_one_line(call: Callable[..., Fetched], world: World, words: list[str]) -> None:
    ended = call("fetch", *words, text="123", BIORETRIEVAL_OFFLINE="1")
    assert ended.code == 1
    assert "the network is not allowed here; leave --offline out" in ended.last
    assert world.asked == []


def test_an_unreachable_service_and_a_wrong_key_are_one_line(
    call: Callable[..., Fetched], world: World
) -> None:
    nobody = call("fetch", "pubmed", "x", BIORETRIEVAL_NCBI_URL="http://127.0.0.1:9")
    assert nobody.code == 1
    assert "PubMed cannot be reached" in nobody.last
    assert "check the network" in nobody.last
    world.key = "another"
    wrong = call("fetch", "pubmed", "x")
    assert wrong.code == 1
    assert "PubMed refuses with status 400; check the key in NCBI_API_KEY" in wrong.last


def test_the_key_is_shown_masked(call: Callable[..., Fetched]) -> None:
    rows = {row["name"]: row for row in json.loads(call("config", "-f", "json").out)}
    found = rows["online.ncbi_api_key"]
    assert (found["value"], found["origin"]) == ("********89", "NCBI_API_KEY")


def test_a_closed_pipe_ends_a_fetch_quietly(env: dict[str, str], tmp_path: Path) -> None:
    words = " ".join(PROGRAM)
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words} fetch pubmed birds -q | head -n 1"],
        env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout)["_id"] == all_pmids(1)[0]
    assert done.stderr == ""
