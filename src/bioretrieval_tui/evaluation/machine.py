"""What measured: the machine and the versions, for a record that is read elsewhere and later."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from bioretrieval_tui import __version__

_LIBRARIES = ("ir-measures", "pytrec-eval-terrier", "numpy", "hnswlib", "openvino", "torch")


def hardware(device: str) -> str:
    """The processor, its cores, and where queries were encoded."""
    return f"{_processor()}, {os.cpu_count() or 1} cores, queries on {device}"


def versions() -> dict[str, str]:
    """Versions by name: of this program, Python, and the libraries that rank and measure."""
    found = {"bioretrieval-tui": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return " ".join(line.partition(":")[2].split())
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine() or "an unknown processor"
