"""What a moving cursor costs over SSH: bytes a key, counted where they arrive."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from terminal import Session

Start = Callable[..., Session]

KEYS = 60
PACE = 0.25
LATE = 0.35
"""Seconds after which the page beside a resting cursor may come as well: no single key's cost."""
MOST_LATE = 10.0
"""Seconds that a busy machine may take to answer a key."""
MOST, USUAL = 2048, 1500


def test_a_cursor_key_costs_at_most_two_kilobytes(
    start: Start, record_property: Callable[[str, object], None]
) -> None:
    panes = {"3": (56, "DPR"), "4": (69, "MedCPT"), "6": (34, "NFCorpus")}
    sessions = {digit: start() for digit in panes}
    for digit, session in sessions.items():
        session.wait("Biomedical text retrieval")
        session.send(digit)
        session.wait(panes[digit][1])
    for session in sessions.values():
        session.settle(1)
    costs: dict[str, list[int]] = {digit: [] for digit in panes}
    for number in range(KEYS):
        marks = {digit: len(session.output) for digit, session in sessions.items()}
        begun = time.monotonic()
        for digit, session in sessions.items():
            session.send("j" if number < panes[digit][0] - 1 else "k")
        while (left := begun + PACE - time.monotonic()) > 0 or (
            left > -MOST_LATE
            and any(len(session.output) == marks[digit] for digit, session in sessions.items())
        ):
            for session in sessions.values():
                session.read(0.02)
        if time.monotonic() - begun < LATE:
            for digit, session in sessions.items():
                costs[digit].append(len(session.output) - marks[digit])
    for digit, cost in costs.items():
        said = f"most {max(cost)}, median {statistics.median(cost):.0f} of {len(cost)} keys"
        record_property(f"bytes a key in pane {digit}", said)
        print(f"pane {digit}: {said}")
        assert len(cost) > KEYS / 2, "this machine is too busy for a steady hand"
        assert min(cost) > 0
        assert max(cost) <= MOST, said
        assert statistics.median(cost) < USUAL, said
