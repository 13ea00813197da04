"""`index build`, `add`, `verify`, `compact`, `import-vectors`, `info`, `remove` in real processes.

One home for the module, in which each fixture builds on what the one before it left.
The embedded model is prepared once for all.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from homes import share_encoders

Call = Callable[..., "Ended"]  # noqa: F821 - of conftest, which is no module to import from

RECORDS = [
    {"_id": "11", "title": "Statins", "text": "Simvastatin causes muscle pain."},
    {"_id": "22", "title": "", "text": "The p53 gene suppresses tumours."},
    {"_id": "33", "title": "Asthma", "text": "Inhaled steroids help children."},
    {"_id": "34", "title": "Asthma", "text": "Inhaled steroids help children."},
    {"title": "no id", "text": "whatever"},
]
TABLE = "PMID\tArticle\tSummary\n44\tMigraine\tTriptans.\n22\tp53\tA corrected abstract.\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("indexing")
    share_encoders(folder / "home")
    (folder / "corpus.jsonl").write_text("".join(json.dumps(one) + "\n" for one in RECORDS))
    (folder / "table.tsv").write_text(TABLE)
    return folder


@pytest.fixture(scope="module")
def call(cli: Call, folder: Path) -> Call:
    """The command with a home of this module's own, and no network; never from memory."""
    count = [0]

    def run(*words: object, **env: str) -> Ended:  # noqa: F821
        count[0] += 1
        ended = cli(
            *map(str, words),
            env={
                "BIORETRIEVAL_HOME": str(folder / "home"),
                "BIORETRIEVAL_OFFLINE": "1",
                "TEST_CALL": str(count[0]),
                **env,
            },
        )
        assert "Traceback" not in ended.err
        return ended

    return run


@pytest.fixture(scope="module")
def built(call: Call, folder: Path) -> Ended:  # noqa: F821
    return call(
        "index", "build", "demo", folder / "corpus.jsonl", "--report", folder / "built.json"
    )


@pytest.fixture(scope="module")
def added(call: Call, built: Ended, folder: Path) -> Ended:  # noqa: F821
    return call(
        "index", "add", "demo", folder / "table.tsv", "--map",
        "id=PMID, title=Article", "--map", "text=Summary", "--progress", "json",
        "--report", folder / "added.json",
    )  # fmt: skip


@pytest.fixture(scope="module")
def compacted(call: Call, added: Ended) -> Ended:  # noqa: F821
    return call("index", "compact", "demo")


def info(call: Call) -> dict[str, object]:
    ended = call("index", "info", "demo", "-f", "json")
    assert ended.code == 0
    return ended.json  # type: ignore[no-any-return]


def one_line(ended: Ended, code: int) -> str:  # noqa: F821
    """What a failure says: one line on stderr, nothing on stdout."""
    assert ended.code == code, ended.err
    assert ended.out == ""
    assert len(ended.lines) == 1, ended.err
    assert ended.err.startswith("bioretrieval-tui: ")
    return str(ended.lines[0])


def test_building_tells_what_became_of_the_records(built: Ended, folder: Path) -> None:  # noqa: F821
    assert (built.code, built.out) == (0, "")
    said = built.err
    assert re.search(r"rejected .*corpus\.jsonl:5: ", said)
    assert re.search(r"built demo: 3 documents in .* documents/s on cpu", said)
    assert "5 read, 3 kept, 1 duplicates, 1 rejected" in said
    report = json.loads((folder / "built.json").read_text())
    assert report["read"] == 5
    counted = [report[name] for name in ("kept", "duplicates", "replaced", "rejected")]
    assert sum(counted) == 5
    assert report["documents"] == 3
    (rejected,) = report["rejections"]
    assert (rejected["file"], rejected["line"]) == (str(folder / "corpus.jsonl"), 5)
    (file,) = report["files"]
    assert (file["format"], file["read"], file["kept"]) == ("beir", 5, 3)


def test_adding_a_table_with_its_columns_named(added: Ended, folder: Path) -> None:  # noqa: F821
    assert (added.code, added.out) == (0, "")
    steps = [json.loads(line) for line in added.lines if line.startswith("{")]
    assert {"encoding", "linking", "saving"} <= {step["stage"] for step in steps}
    assert {"done", "total", "unit", "share", "rate", "read", "seconds_left"} <= set(steps[0])
    words = [line for line in added.lines if not line.startswith("{")]
    assert words[-2].startswith(
        "bioretrieval-tui: extended demo: 4 documents (2 of them encoded now)"
    )
    assert words[-1] == "bioretrieval-tui: 2 read, 1 kept, 1 replaced"
    report = json.loads((folder / "added.json").read_text())
    assert (report["replaced"], report["encoded"], report["documents"]) == (1, 2, 4)


def test_adding_the_same_again_is_nothing_to_do(added: Ended, call: Call, folder: Path) -> None:  # noqa: F821
    before = info(call)
    ended = call("index", "add", "demo", folder / "corpus.jsonl", "--quiet")
    assert (ended.code, ended.err) == (0, "")
    # The older text of 22 came back; adding it once more changes nothing.
    ended = call("index", "add", "demo", folder / "corpus.jsonl")
    assert ended.code == 0
    assert "nothing to do: 5 read, 0 kept, 4 duplicates, 1 rejected; demo is unchanged" in ended.err
    assert info(call)["documents"] == before["documents"] == 4


def test_compacting_and_what_info_says(compacted: Ended, call: Call) -> None:  # noqa: F821
    assert (compacted.code, compacted.out) == (0, "")
    assert re.search(r"compacted demo: 4 documents in .* before, .* now", compacted.err)
    found = info(call)
    assert (found["documents"], found["status"], found["dtype"]) == (4, "ok", "float16")
    assert (found["segments"], found["dead_share"]) == (1, 0)


def test_what_was_extended_and_compacted_is_searched(compacted: Ended, call: Call) -> None:  # noqa: F821
    ended = call("search", "headache drugs", "-i", "demo", "-k", "1", "-f", "json")
    assert ended.code == 0
    assert [hit["id"] for hit in ended.json] == ["44"]


def test_verifying(compacted: Ended, call: Call, folder: Path) -> None:  # noqa: F821
    ended = call("index", "verify", "demo", "-f", "json", "-q")
    assert (ended.code, ended.err) == (0, "")
    assert [check["what"] for check in ended.json][:2] == ["manifest", "files"]
    assert all(check["ok"] for check in ended.json)

    (graph,) = (folder / "home" / "data" / "indexes" / "demo").glob("*/graph.hnsw")
    data = graph.read_bytes()
    graph.write_bytes(data[:-7])
    ended = call("index", "verify", "demo", "-f", "json", "-q")
    assert ended.code == 1
    assert len(ended.lines) == 1
    assert "file graph.hnsw" in ended.err
    assert "bioretrieval-tui index compact demo" in ended.err
    assert [check["what"] for check in ended.json if not check["ok"]] == ["file graph.hnsw"]
    # The remedy mends it.
    assert call("index", "compact", "demo", "-q").code == 0
    assert call("index", "verify", "demo", "-q").code == 0


def test_strict_stops_and_leaves_the_index(compacted: Ended, call: Call, folder: Path) -> None:  # noqa: F821
    before = info(call)
    report = folder / "strict.json"
    for verb in ("build", "add"):
        said = one_line(
            call("index", verb, "demo", folder / "corpus.jsonl", "--strict", "--report", report),
            1,
        )
        assert "corpus.jsonl:5: " in said
        assert json.loads(report.read_text())["rejected"] == 1
        report.unlink()
    assert info(call) == before


def test_importing_vectors(call: Call, folder: Path) -> None:
    np.save(folder / "embeds_chunk_0.npy", np.eye(3, 768, dtype=np.float16))
    (folder / "pmids_chunk_0.json").write_text("[11, 22, 99]")
    papers = {
        name: {"d": "", "t": f"Title {name}", "a": f"Text {name}", "m": ""}
        for name in ("22", "11", "7")
    }
    (folder / "pubmed_chunk_0.json").write_text(json.dumps(papers))
    words = [
        "index", "import-vectors", "chunk", "--model", "medcpt",
        "--vectors", folder / "embeds_chunk_0.npy", "--ids", folder / "pmids_chunk_0.json",
        "--documents", folder / "pubmed_chunk_0.json",
    ]  # fmt: skip
    ended = call(*words, "--report", folder / "import.json")
    assert (ended.code, ended.out) == (0, "")
    assert "imported chunk: 2 documents (0 of them encoded now)" in ended.err
    assert "there is no vector for '7'" in ended.err
    report = json.loads((folder / "import.json").read_text())
    assert (report["kept"], report["rejected"]) == (2, 1)
    assert report["without_document"] == 1
    assert call("index", "verify", "chunk", "-q").code == 0
    said = one_line(call("index", "add", "chunk", folder / "corpus.jsonl"), 1)
    assert "MedCPT-Article-Encoder is not on this machine" in said
    (folder / "pmids_chunk_0.json").write_text("[11]")
    assert "names 1 ids for 3 vectors" in one_line(call(*words), 1)
    assert call("index", "info", "chunk", "-f", "json").json["documents"] == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["build", "x", "none.jsonl"], 3, "none.jsonl"),
        (["build", "Not A Name", "corpus.jsonl"], 2, "cannot name an index"),
        (["build", "catalogue", "corpus.jsonl"], 2, "choose another name"),
        (["build", "x", "corpus.jsonl", "--map", "title"], 2, "--map does not understand"),
        (
            ["build", "x", "table.tsv", "--map", "id=PMID", "--map", "id=Article"],
            2,
            "--map gives id two columns, 'PMID' and 'Article'; choose one of them",
        ),
        (["build", "x", "corpus.jsonl", "--device", "abacus"], 2, "abacus"),
        (["build", "x", "corpus.jsonl", "--model", "none"], 3, "none"),
        (["build", "x", "corpus.jsonl", "--report", "no/such/folder/r.json"], 2, "report"),
        (["build", "x", "empty.jsonl"], 1, "empty"),
        (["add", "none", "corpus.jsonl"], 3, "there is no index none"),
        (["verify", "none"], 3, "there is no index none"),
        (["compact", "none"], 3, "there is no index none"),
        (["info", "none"], 3, "there is no index none"),
        (["remove", "none", "--yes"], 3, "there is no index none"),
        (
            ["import-vectors", "x", "--model", "medcpt", "--vectors", "corpus.jsonl", "--ids",
             "corpus.jsonl", "--documents", "corpus.jsonl"], 1, "is not a .npy matrix",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)  # fmt: skip
def test_what_cannot_be_done_is_one_line(
    call: Call, folder: Path, words: list[str], code: int, said: str
) -> None:
    (folder / "empty.jsonl").write_text("")
    here = [str(folder / word) if word.endswith(".jsonl") else word for word in words]
    line = one_line(call("index", *here), code)
    assert said in line
    assert not (folder / "home" / "data" / "indexes" / "x" / "manifest.json").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["build", "x"],
        ["build", "x", "f", "--format", "docx"],
        ["add", "x", "f", "--progress", "loud"],
        ["import-vectors", "x", "--model", "m"],
        ["verify", "x", "-f", "bibtex"],
        ["compact"],
    ],
)
def test_wrong_words(call: Call, words: list[str]) -> None:
    ended = call("index", *words)
    assert (ended.code, ended.out) == (2, "")


def test_stdin_is_a_file_too(compacted: Ended, environment: dict[str, str], folder: Path) -> None:  # noqa: F821
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "bioretrieval_tui", "index", "add", "demo", "-"],
        input=b'{"_id": "22", "title": "", "text": "From a pipe."}\n',
        env={**environment, "BIORETRIEVAL_HOME": str(folder / "home"), "BIORETRIEVAL_OFFLINE": "1"},
        capture_output=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert b"extended demo: 4 documents (1 of them encoded now)" in done.stderr
    assert os.path.isdir(folder / "home" / "data" / "indexes" / "demo")


def test_removing_comes_last(call: Call, folder: Path) -> None:
    """Of an index of its own, so that it does not matter when this runs."""
    np.save(folder / "r.npy", np.ones((1, 768), dtype=np.float32))
    (folder / "r.txt").write_text("1\n")
    (folder / "r.jsonl").write_text('{"_id": "1", "text": "x"}\n')
    made = call(
        "index", "import-vectors", "short", "--model", "medcpt", "--vectors", folder / "r.npy",
        "--ids", folder / "r.txt", "--documents", folder / "r.jsonl", "-q",
    )  # fmt: skip
    assert (made.code, made.err) == (0, "")
    graph = next((folder / "home" / "data" / "indexes" / "short").glob("*/graph.hnsw"))
    graph.write_bytes(graph.read_bytes()[:-4] + b"none")
    damaged = call("index", "info", "short", "-f", "json")
    assert (damaged.code, damaged.json["status"]) == (
        1, "damaged: graph.hnsw was altered since it was built",
    )  # fmt: skip
    (said,) = damaged.lines
    assert "index short is damaged: graph.hnsw was altered" in said
    assert said.endswith("see: bioretrieval-tui index verify short")
    graph.write_bytes(b"")
    assert call("index", "info", "short").code == call("index", "verify", "short").code == 1
    # The app puts it into the trash first, of which a list tells.
    place = folder / "home" / "data" / "indexes" / "short"
    gone = place.rename(place.with_name(".trash-short-1"))
    listed = call("index", "list", "-f", "markdown")
    assert "short" not in listed.out
    assert "in the trash of the app for a day at most: short, " in listed.err
    gone.rename(place)
    removed = call("index", "remove", "short", "--yes")
    assert removed.code == 0
    assert "there is no index short" in one_line(call("index", "info", "short"), 3)


def test_the_embedded_model_by_its_id_is_not_downloaded(call: Call, folder: Path) -> None:
    words = ("--model", "all-minilm-l6-v2", "--download")
    ended = call("index", "build", "embedded", folder / "corpus.jsonl", *words)
    assert ended.code == 0, ended.err


def test_the_model_that_an_index_names_is_what_is_downloaded(call: Call, folder: Path) -> None:
    words = ("index", "build", "later", folder / "corpus.jsonl", "--lexical", "--model", "medcpt")
    assert call(*words, "-q").code == 0
    said = one_line(call("index", "add-vectors", "later", "--download"), 1)
    assert "ncbi/MedCPT-Query-Encoder is not fetched: BIORETRIEVAL_OFFLINE" in said
    assert "is not on this machine" in one_line(call("index", "add-vectors", "later"), 1)
