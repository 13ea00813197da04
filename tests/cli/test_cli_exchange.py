"""`index export`, `import` and `copy` in real processes: an index of one home is one of another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from homes import share_encoders

Call = Callable[..., "Ended"]  # noqa: F821 - of conftest, which is no module to import from

RECORDS = [
    {"_id": "11", "title": "Statins", "text": "Simvastatin causes muscle pain.", "year": 2001},
    {"_id": "22", "title": "", "text": "The p53 gene suppresses tumours.", "mesh": ["Genes, p53"]},
    {"_id": "33", "title": "Asthma", "text": "Inhaled steroids help children."},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exchange")
    for home in ("home", "other"):
        share_encoders(folder / home)
    (folder / "corpus.jsonl").write_text("".join(json.dumps(one) + "\n" for one in RECORDS))
    return folder


@pytest.fixture(scope="module")
def call(cli: Call, folder: Path) -> Call:
    """The command in one of the two homes, without the network; never from memory."""
    count = [0]

    def run(*words: object, home: str = "home") -> Ended:  # noqa: F821
        count[0] += 1
        env = {"BIORETRIEVAL_HOME": str(folder / home), "BIORETRIEVAL_OFFLINE": "1"}
        ended = cli(*map(str, words), env={**env, "TEST_CALL": str(count[0])})
        assert "Traceback" not in ended.err
        return ended

    return run


@pytest.fixture(scope="module")
def built(call: Call, folder: Path) -> None:
    ended = call("index", "build", "demo", folder / "corpus.jsonl", "-q")
    assert (ended.code, ended.err) == (0, "")


SEARCH = ("search", "steroids for the young", "-m", "hybrid", "-f", "csv", "-i")


@pytest.mark.usefixtures("built")
def test_an_export_is_another_home_s_import(call: Call, folder: Path) -> None:
    out = folder / "demo.parquet"
    ended = call("index", "export", "demo", "-o", out, "--progress", "json")
    assert (ended.code, ended.out) == (0, "")
    steps = [json.loads(line) for line in ended.lines[:-1]]
    assert {one["stage"] for one in steps} == {"exporting"}
    assert (steps[-1]["done"], steps[-1]["total"]) == (3, 3)
    assert ended.lines[-1].startswith(f"bioretrieval-tui: wrote 3 documents to {out}, ")
    report = folder / "again.json"
    ended = call("index", "import", "again", out, "--report", report, home="other")
    assert (ended.code, ended.out) == (0, "")
    assert "imported again: 3 documents" in ended.err
    said = json.loads(report.read_text())
    assert (said["kept"], said["encoded"], said["files"][0]["path"]) == (3, 0, str(out))
    found = [call(*SEARCH, "demo").out, call(*SEARCH, "again", home="other").out]
    assert found[0] == found[1]
    assert "Asthma" in found[0]


@pytest.mark.usefixtures("built")
def test_an_index_is_copied_into_another_home(call: Call, folder: Path) -> None:
    copied = call("index", "copy", "demo", "--to", folder / "other")
    assert (copied.code, copied.out) == (0, "")
    assert f"copied demo to {folder / 'other' / 'data' / 'indexes' / 'demo'}: " in copied.err
    assert call("index", "verify", "demo", "-q", home="other").code == 0
    assert call(*SEARCH, "demo", home="other").out == call(*SEARCH, "demo").out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("export", "none", "--out", "none.parquet"), 3, "there is no index none"),
        (("copy", "none", "--to", "there"), 3, "there is no index none"),
        (("import", "x", "none.parquet"), 3, "there is no file none.parquet"),
        (("import", "x", "corpus.jsonl"), 2, "was not written by `index export`"),
        (("export", "x"), 2, "--out"),
        (("export", "x", "--out", "y", "--rows", "0"), 2, "--rows"),
        (("copy", "x"), 2, "--to"),
        (("import", "x"), 2, "FILE"),
    ],
)
def test_what_cannot_be_done_is_said(
    call: Call, folder: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    here = [str(folder / word) if word == "corpus.jsonl" else word for word in words]
    ended = call("index", *here)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert not (folder / "home" / "data" / "indexes" / "x").exists()
