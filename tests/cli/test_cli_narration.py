"""Progress in words, and how often it is said where nobody watches."""

from __future__ import annotations

from typing import Any

import pytest

from bioretrieval_tui.cli import streams
from bioretrieval_tui.cli.streams import described, duration, narrated
from bioretrieval_tui.progress import Progress, silent
from bioretrieval_tui.util.formatting import size


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Progress("reading", 0), "reading"),
        (Progress("reading", 12_000), "reading: 12,000 documents"),
        (
            Progress("encoding", 1_024, 5_183, rate=98.4, note="cpu"),
            "encoding: 1,024 of 5,183 documents (19%), 98/s, 42 s left, cpu",
        ),
        (
            Progress("encoding", 5_183, 5_183, rate=7.44),
            "encoding: 5,183 of 5,183 documents (100%), 7.4/s",
        ),
        (Progress("saving", 1, 3, unit="files"), "saving: 1 of 3 files (33%)"),
        (Progress("waiting", 0, note="a\x1b[31m\nb"), "waiting: a b"),
        (Progress("encoding", 0, 0), "encoding: 0 of 0 documents"),
    ],
)
def test_a_step_in_words(step: Progress, words: str) -> None:
    assert described(step) == words


def test_durations_and_sizes_are_short() -> None:
    assert [duration(s) for s in (0.2, 42, 99, 240, 9_000)] == [
        "0 s", "42 s", "99 s", "4 min", "2.5 h",
    ]  # fmt: skip
    assert [size(n) for n in (0, 999, 1_000, 8_130_000, 168_000_000, 1_680_000_000, 10**13)] == [
        "0 B", "999 B", "1.0 kB", "8.1 MB", "168 MB", "1.7 GB", "10.0 TB",
    ]  # fmt: skip


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(streams, "time", found)
    return found


def test_a_log_hears_only_of_what_took_long(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with narrated() as tell:
        tell(Progress("loading model", 0, None, unit="models"))
        clock.now = 20
        tell(Progress("loading model", 1, 1, unit="models"))
        for done in range(0, 2_001, 20):
            tell(Progress("encoding", done, 2_000, rate=20))
            clock.now += 1
        tell(Progress("saving", 3, 3, unit="files"))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" documents")[0] for line in lines] == [
        "bioretrieval-tui: encoding: 200 of 2,000",
        "bioretrieval-tui: encoding: 800 of 2,000",
        "bioretrieval-tui: encoding: 1,400 of 2,000",
        "bioretrieval-tui: encoding: 2,000 of 2,000",
    ]


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with narrated(quiet=True) as tell:
        assert tell is silent
    assert capsys.readouterr().err == ""


def test_an_updating_line_stays_one_line_and_goes(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(streams, "_columns", lambda _: 30)

    def work() -> Any:
        with narrated() as tell:
            for done in range(100):
                tell(Progress("encoding", done, 100, note="a model with a long name"))
                clock.now += 0.03
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    seen = capsys.readouterr().err
    assert "\n" not in seen
    assert seen.endswith("\r\x1b[K")
    looks = [look for look in seen.replace("\x1b[K", "").split("\r") if look]
    assert 20 < len(looks) < 30
    assert max(map(len, looks)) <= 29
