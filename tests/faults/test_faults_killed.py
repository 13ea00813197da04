"""Kill -9 at any moment of a build and of an addition: the index answers all along, the next run
goes on, and what comes of it is what an uninterrupted run gives, without paying twice."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import faulty
import pictures
import pytest
from faulty import LONG, Child
from pictures import at_home, by_id, copied, demo, litter, picture, same, vouched

from bioretrieval_tui.errors import NotFoundError
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.index.verify import verify_index

MOMENTS = 100 if LONG else 4
OLD, NEW = (2_500, 5_000) if LONG else (200, 400)
"""Documents before and after; two windows of them are encoded at the least."""
PAUSE = 0.01
_AROUND = 60 if LONG else 16
"""File operations before the end of a run at each of which a run is killed."""


@dataclass(slots=True)
class Case:
    """One kind of work, from the home it begins with to what must come of it."""

    template: Path
    action: Callable[..., Any]
    corpora: list[str]
    old: dict[str, Any] | None
    new: dict[str, Any] = field(default_factory=dict)
    live: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def start(self, home: Path, log: Path) -> Child:
        return Child(home, self.action, self.corpora, str(log), PAUSE)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    root = tmp_path_factory.mktemp("killed")
    old = pictures.write_corpus(root / "old.jsonl", 1, 0, OLD)
    # Half of what is there already comes again, and some of it revised.
    new = pictures.write_corpus(root / "new.jsonl", 2, OLD // 2, NEW)
    before = root / "before"
    Child(before, faulty.build, [str(old)]).value()
    was = picture(before)
    cases = {
        "first build": Case(root / "nothing", faulty.build, [str(old), str(new)], None),
        "build": Case(before, faulty.build, [str(old), str(new)], was),
        "add": Case(before, faulty.add, [str(new)], was),
    }
    for name, case in cases.items():
        home = copied(case.template, root / name.replace(" ", "-"))
        started = time.monotonic()
        child = case.start(home, root / "log")
        assert child.value()["changed"]
        case.seconds = time.monotonic() - started
        case.new, case.live = picture(home), by_id(home)
    faulty.reap()
    return cases


def answer(home: Path, case: Case) -> str:
    """Which index answers, "old" or "new"; it is one of them and whole, or it is not there."""
    try:
        with at_home(home):
            index = open_index("demo")
    except NotFoundError:
        assert case.old is None
        return "none"
    try:
        found = pictures.answers_of(index)
        rows = index.documents.rows
    finally:
        index.close()
    for name, one in (("old", case.old), ("new", case.new)):
        if one is not None and rows == len(one["rows"]):
            same(found, {part: one[part] for part in found})
            return name
    # An addition that was complete was made again. A record that the file itself revises was
    # revised once more, so there are more dead, and a further name may have become a document
    # of its own; what every name stands for is the same.
    assert case.action is faulty.add, f"{rows} rows are neither the old index nor the new one"
    assert by_id(home)["names"] == case.live["names"]
    return "new"


def phase(home: Path, case: Case) -> str:
    """How far a run that was killed had come, by what it left."""
    if answer(home, case) == "new":
        return "swapped"
    built = list(demo(home).glob(".building-*"))
    if not built:
        return "starting"
    if any((one / "segment").exists() for one in built):
        return "moving"
    if any((one / "generation" / "graph.hnsw").exists() for one in built):
        return "saving"
    if any((one / "generation").exists() for one in built):
        return "linking"
    paid = any(path.stat().st_size for path in demo(home).glob(".pool-*"))
    return "encoding" if paid else "reading"


def encoded(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


class Sequence:
    """Attempts in one home, one after another: kills, and at last one that may end."""

    def __init__(self, case: Case, home: Path) -> None:
        self.case = case
        self.home = copied(case.template, home)
        self.phases: list[str] = []
        self._log = home.parent / "log"

    def attempt(self, stop: Callable[[Child], None]) -> bool:
        """One run, killed when `stop` returns; whether it was killed rather than done."""
        self._log.unlink(missing_ok=True)
        paid = vouched(self.home)
        child = self.case.start(self.home, self._log)
        stop(child)
        killed = child.kill()
        if not killed:
            assert child.process.exitcode == 0, child.said()
        assert not set(encoded(self._log)) & paid, "paid for twice"
        self.phases.append(phase(self.home, self.case) if killed else "done")
        return killed

    def finish(self) -> None:
        """The same command again, to its end: as if nothing had been."""
        paid = vouched(self.home)
        self._log.unlink(missing_ok=True)
        complete = answer(self.home, self.case) == "new"
        self.case.start(self.home, self._log).value()
        assert not set(encoded(self._log)) & paid, "paid for twice"
        if complete:
            assert encoded(self._log) == []
        if complete and self.case.action is faulty.add:
            assert answer(self.home, self.case) == "new"
        else:
            same(picture(self.home), self.case.new)
        assert litter(self.home) == set()
        with at_home(self.home):
            assert verify_index("demo").ok


def answering(seconds: float, sequence: Sequence) -> Callable[[Child], None]:
    """Let a run go on for so long, and ask the index meanwhile."""

    def stop(child: Child) -> None:
        until = time.monotonic() + seconds
        while child.running and (left := until - time.monotonic()) > 0:
            answer(sequence.home, sequence.case)
            time.sleep(min(left, 0.05))

    return stop


@pytest.mark.parametrize("name", ["first build", "build", "add"])
def test_killed_at_random_moments(name: str, cases: dict[str, Case], tmp_path: Path) -> None:
    chance = faulty.seeded()
    case = cases[name]
    seconds, landed, phases = case.seconds, 0, Counter[str]()
    # The builds of both kinds share their moments.
    wanted = MOMENTS if name == "add" else MOMENTS // 2
    while landed < wanted:
        sequence = Sequence(case, tmp_path / "home")
        for _ in range(chance.choice((1, 1, 2, 3))):
            if sequence.attempt(answering(chance.uniform(0, seconds), sequence)):
                landed += 1
            else:
                seconds *= 0.9  # it was over sooner than the first one
        sequence.finish()
        phases.update(sequence.phases)
    print(dict(phases))


AIMS: dict[str, Callable[[Path], bool]] = {
    "reading": lambda folder: any(folder.glob(".building-*/documents.sqlite")),
    "encoding": lambda folder: any(one.stat().st_size for one in folder.glob(".pool-*")),
    "linking": lambda folder: any(folder.glob(".building-*/generation/metadata")),
    "saving": lambda folder: any(folder.glob(".building-*/generation/graph.hnsw")),
}


@pytest.mark.parametrize("aim", AIMS)
def test_killed_in_each_phase_again_and_again(
    aim: str, cases: dict[str, Case], tmp_path: Path
) -> None:
    """Three kills in a row, each as soon as the folder shows the phase."""
    for name in ("build", "add") if LONG else (("add", "build")[len(aim) % 2],):
        sequence = Sequence(cases[name], tmp_path / "home")

        def stop(child: Child, reached: Callable[[Path], bool] = AIMS[aim]) -> None:
            while child.running and not reached(demo(tmp_path / "home")):
                pass

        for _ in range(3):
            sequence.attempt(stop)
        print(sequence.phases)
        assert sequence.phases[0] in (
            aim,
            *list(AIMS)[list(AIMS).index(aim) :],
            "moving",
            "swapped",
        )
        sequence.finish()


TOUCHING = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "sqlite3.connect",
            "os.listdir", "os.scandir", "shutil.rmtree", "os.truncate"}  # fmt: skip


def killing_itself(at: int, action: Callable[..., Any], corpora: list[str], log: str) -> int:
    """In the child: the work, up to the file operation `at`; how many there were."""
    root, seen = str(demo(Path(os.environ["BIORETRIEVAL_HOME"])).parent), 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in TOUCHING and any(root in str(one) for one in arguments):
            seen += 1
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    action(corpora, log)
    return seen


@pytest.mark.parametrize("name", ["build", "add"])
def test_killed_before_each_file_operation_around_the_swap(
    name: str, cases: dict[str, Case], tmp_path: Path
) -> None:
    case = cases[name]
    home, log = copied(case.template, tmp_path / "home"), tmp_path / "log"
    total = Child(home, killing_itself, 0, case.action, case.corpora, str(log)).value()
    assert total > 40
    last = range(total - _AROUND, total + 1)
    moments = last if LONG else random.Random(name).sample(last, 3)
    seen = Counter[str]()
    for at in moments:
        copied(case.template, home)
        child = Child(home, killing_itself, at, case.action, case.corpora, str(log))
        child.process.join(faulty.PATIENCE)
        # Threads may have had one operation less to do this time; then it came to its end.
        assert child.process.exitcode in (0, -signal.SIGKILL), child.said()
        if child.process.exitcode:
            seen[answer(home, case)] += 1
        sequence = Sequence.__new__(Sequence)
        sequence.case, sequence.home, sequence._log = case, home, log
        sequence.finish()
    assert sum(seen.values()) >= len(moments) // 2
    print(dict(seen))
