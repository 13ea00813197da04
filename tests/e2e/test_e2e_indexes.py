"""An index of one's own, as a new user makes it: chosen, built, searched, checked, removed."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from terminal import SOURCE, Session, processes_of

Start = Callable[..., Session]

DOCUMENTS = {
    "aspirin": "Aspirin thins the blood and prevents clots in people with heart disease.",
    "insulin": "Insulin lowers the glucose that is in the blood of people with diabetes.",
    "p53": "The p53 gene suppresses tumours; its loss lets cancer cells divide.",
    "asthma": "Inhaled corticosteroids help children with asthma to breathe.",
    "statins": "Simvastatin causes muscle pain in some of the patients who take it.",
}


def corpus(path: Path, times: int = 1) -> None:
    """A BEIR corpus: the five documents, or variations of them."""
    rows = [
        {
            "_id": f"{name}-{n}" if n else name,
            "title": name,
            "text": text if times == 1 else f"{text} {n}",
        }
        for n in range(times)
        for name, text in DOCUMENTS.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def at_indexes(session: Session) -> Session:
    session.wait("Biomedical text retrieval")
    session.settle()
    session.send("0")
    session.wait("0 Index")
    return session


def choose(session: Session, name: str, part: str) -> None:
    """Build `name` from the only file that has `part` in its name."""
    session.send("b")
    session.wait("Build an index")
    session.send(part)
    session.wait(lambda screen: f"~/{part}" in screen.text and f"{part}.jsonl" in screen.text)
    session.settle()
    session.send("\r")
    session.wait("Selected: 1 file")
    session.send("\t\t")  # past the list, to the suggested name
    session.settle()
    session.send(name)
    session.wait("a new index")
    session.send("\r")
    if "Build an index" in session.screen.text:
        session.settle()
    if "Build an index" in session.screen.text:
        session.send("\r")


def gone(home: Path) -> None:
    until = time.monotonic() + 30
    while left := processes_of(home):
        assert time.monotonic() < until, left
        time.sleep(0.05)


def test_from_a_file_to_an_answer(home: Path, start: Start) -> None:
    corpus(home / "notes.jsonl")
    (home / "other.txt").write_text("not this one")
    session = at_indexes(start(home))
    session.wait("No index of your own yet.")
    choose(session, "mine", "notes")
    session.wait("Building mine")
    # It goes on while one reads, and the bottom line says so.
    session.send("3")
    session.wait("3 Papers")
    session.wait(lambda screen: "Built mine, 5 documents: 5 read, 5 kept" in screen.lines[-1])
    session.send("j0")
    session.wait(lambda screen: any("mine" in line and "5" in line for line in screen.lines[3:-1]))
    session.send("v")
    session.wait(lambda screen: "checks passed" in screen.lines[-1])
    session.send("x")
    session.wait(lambda screen: "Search  mine" in screen.lines[2])
    session.send("cancer gene")
    session.wait(lambda screen: any("p53" in line[:48] for line in screen.lines[4:7]))
    session.send("\r0")
    session.wait("searched in Search")
    session.settle(1)
    assert session.read(2) == b""  # at rest the pane writes nothing
    session.send("d")
    session.wait("Remove the index mine?")
    session.send("y")
    session.wait(lambda screen: "Removed mine" in screen.lines[-1])
    assert session.screen.unknown == []
    session.send("q")
    assert session.ended() == 0
    gone(home)


# Python reads this when it starts: encoding stops after 600 documents, so that a build cannot end
# before a test has seen it, however fast the machine is. What cancels the work is still heard.
HALTED = """
import time
from bioretrieval_tui.encoding.encoder import Encoder
encode, done = Encoder.encode_documents, 0

def halted(self, documents, progress=lambda step: None, longer=None):
    global done

    def heard(step):
        progress(step)
        while done + step.done >= 600:
            time.sleep(0.05)
            progress(step)

    vectors = encode(self, documents, heard, longer)
    done += len(documents)
    return vectors

Encoder.encode_documents = halted
"""


WAITS = "while done + step.done >= 600:"
WAITS_FOR = "while done + step.done >= 600 and not __import__('os').path.exists('{}'):"


def test_a_build_that_was_left_goes_on(home: Path, start: Start, tmp_path: Path) -> None:
    corpus(home / "many.jsonl", 240)
    (tmp_path / "sitecustomize.py").write_text(HALTED)
    session = at_indexes(start(home, env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{SOURCE}"}))
    choose(session, "mine", "many")
    # The first window of vectors is on disk, and most are to come.
    session.wait(lambda screen: re.search(r"[67]\d\d of 1,200 d", screen.text))
    session.send("q")
    session.wait("Quit while building mine runs?")
    session.send("n")
    session.wait(lambda screen: "Quit while" not in screen.text)
    session.send("q")
    session.wait("Quit while building mine runs?")
    session.send("s")
    assert session.ended() == 0
    gone(home)
    assert not (home / "bioretrieval" / "data" / "indexes" / "mine" / "manifest.json").exists()
    # The next start lists it, and a key goes on with it.
    again = at_indexes(start(home))
    again.wait("unfinished")
    again.send("p")
    again.wait(lambda screen: "Built mine, 1,200 documents" in screen.lines[-1])
    again.send("q")
    assert again.ended() == 0


def test_a_build_outlives_its_terminal(home: Path, start: Start, tmp_path: Path) -> None:
    """As when the window is closed or the SSH connection breaks; the next start shows the build."""
    corpus(home / "many.jsonl", 240)
    go_on = tmp_path / "go-on"
    (tmp_path / "sitecustomize.py").write_text(HALTED.replace(WAITS, WAITS_FOR.format(go_on)))
    session = at_indexes(start(home, env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{SOURCE}"}))
    choose(session, "mine", "many")
    session.wait(lambda screen: re.search(r"[67]\d\d of 1,200 d", screen.text))
    session.hang_up()
    again = start(home)
    again.wait(lambda screen: "Building mine 5" in screen.lines[-1])
    again.send("q")
    again.wait("Quit while building mine runs?")
    again.send("\r")
    assert again.ended() == 0
    go_on.touch()
    gone(home)
    last = start(home)
    last.wait(lambda screen: "While you were away: Built mine, 1,200 docum" in screen.lines[-1])
