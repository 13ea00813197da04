"""Several threads that read .npy files at once."""

from __future__ import annotations

import gc
import sys
import threading
import time
from pathlib import Path

import numpy as np

from bioretrieval_tui.util.npy_files import load_npy


class _Cycle:
    """Garbage that only the collector frees; freeing it lets another thread go on."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        time.sleep(0)


def test_threads_read_headers_at_once(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.arange(3))
    failed: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(2000):
                _Cycle()
                assert load_npy(tmp_path / "rows.npy").sum() == 3
        except (SystemError, AssertionError) as error:
            failed.append(error)

    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(3)
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=read) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    finally:
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(interval)
    assert failed == []
