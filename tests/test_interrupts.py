"""Interrupts that wait until what must be whole is whole."""

from __future__ import annotations

import signal
import threading

import pytest

from bioretrieval_tui.interrupts import HeldInterrupts


def test_an_interrupt_waits_for_the_release() -> None:
    before, held = signal.getsignal(signal.SIGINT), HeldInterrupts()
    held.hold()
    held.hold()
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        held.release()
    assert signal.getsignal(signal.SIGINT) is before
    held.hold()
    held.release()  # it is raised once
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_without_an_interrupt_nothing_happens() -> None:
    before, held = signal.getsignal(signal.SIGINT), HeldInterrupts()
    held.release()
    held.hold()
    held.restore()
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_is_left_alone() -> None:
    """It gets no interrupts, and may not change who does."""
    before, held = signal.getsignal(signal.SIGINT), HeldInterrupts()
    thread = threading.Thread(target=held.hold)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is before
