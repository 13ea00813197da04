"""Reading of .npy files by several threads."""

from __future__ import annotations

import threading
from os import PathLike
from typing import Any

_PARSING = threading.Lock()
"""numpy parses the header with Python's parser, whose counter of its recursion is one for all
threads in Python 3.11 and 3.12: two at once may end in SystemError (python/cpython#106905)."""


def load_npy(path: str | PathLike[str], *, mapped: bool = False) -> Any:
    """The array of a .npy file, or the archive of a .npz file; mapped: read-only in shared memory.
    Raises as `numpy.load` does; pickled objects are refused."""
    import numpy as np

    with _PARSING:
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
