"""The tutorials' shell blocks work as they are written, against the local server."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from server import World, benchmark_files, serving
from verbs import Ended, Program

from homes import share_encoders

GUIDE = Path(__file__).resolve().parents[2] / "docs"
FILES = {
    "export.nbib": "PMID- 1\nTI  - Vitamin D\nAB  - Vitamin D in multiple sclerosis.\n",
    "sepsis.jsonl": '{"_id": "1", "title": "Fluids", "text": "Fluids in septic shock."}\n',
    "november.jsonl": '{"_id": "2", "title": "Lactate", "text": "Lactate in septic shock."}\n',
    "reports.csv": "number,subject,body,ward\n1,Chest X-ray,Pneumonia after ventilation,ICU\n",
}
"""What a reader of the pages has."""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)
    for name, data in benchmark_files("nfcorpus").items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(data.replace(b"q1", b"PLAIN-2"))
    with serving(World(articles=60, last_day=date.today())) as address:
        yield Program(share_encoders(tmp_path / "home"), address)


def run(program: Program, line: str) -> Ended:
    """A line of a block: a call of the program in this process, with its output into a file or
    another command; or another command."""
    found = re.fullmatch(r"(?P<env>\w+=\S+ )?bioretrieval-tui (?P<call>.*)", line)
    if found is None:
        subprocess.run(["sh", "-c", line], check=True)
        return Ended(0, "", "")
    lexer = shlex.shlex(found["call"], posix=True, punctuation_chars=">")
    lexer.whitespace_split = True
    words = list(lexer)
    name, _, value = (found["env"] or "NCBI_API_KEY=any-key-0123456789").strip().partition("=")
    target = words[-1] if words[-2:-1] == [">"] else ""
    ended = program(*(words[:-2] if target else words), **{name: value})
    if target:
        Path(target).write_text(ended.out)
    return ended


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("index", ["MedCPT", "Vitamin D"]),
        ("tutorials/pubmed", ["herons"]),
        ("tutorials/checkpoint", ["hybrid is better on", "my pipeline", "passage: {title} {text}"]),
        ("tutorials/remote", ["embedded model", "indexes"]),
        ("tutorials/hospital", ["Fluids", "Chest X-ray", "offline | yes"]),
        ("tutorials/choosing", ["BGE-M3", "GermanHealthcare1Retrieval", "CUREv1 fr"]),
    ],
)
def test_a_tutorial_works_as_written(program: Program, page: str, told: list[str]) -> None:
    text = (GUIDE / f"{page}.md").read_text("utf-8")
    overlays = program.home / "config" / "catalog.d"
    overlays.mkdir(parents=True)
    blocks = re.findall(r"^```(sh|yaml)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for number, block in enumerate(block for kind, block in blocks if kind == "yaml"):
        (overlays / f"{number}.yaml").write_text(block)
    lines = [line for kind, block in blocks if kind == "sh" for line in block.splitlines()]
    ends = [(line, run(program, line)) for line in lines]
    # On the evening of the fetch there is no news.
    wrong = [(line, one) for line, one in ends if one.code != (4 if "watch run" in line else 0)]
    assert wrong == []
    assert [one.err for _, one in ends if "Traceback" in one.err] == []
    output = "".join(one.out for _, one in ends)
    assert [one for one in told if one not in output] == []
    written = [Path(name) for line in lines for name in re.findall(r"(?:> |-o )(\S+)", line)]
    assert [one for one in written if not one.stat().st_size] == []
