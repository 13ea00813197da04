"""OpenVINO as it is used here: imported without its telemetry, always told its precision.

openvino is imported within functions; torch never is.
"""

from __future__ import annotations

import functools
import platform
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from bioretrieval_tui.encoding import device

Precision = Literal["bf16", "f32"]
DTYPES: dict[Precision, str] = {"bf16": "bfloat16", "f32": "float32"}

_CONVERTER = "openvino.tools.ovc"
_MOST_STREAMS = 32
_importing = threading.Lock()


class _WithoutConverter(MetaPathFinder):
    """Makes OpenVINO's command-line converter unavailable while openvino is imported.

    Importing it sends a usage report over the network and leaves files in the user's home,
    asked or not; openvino itself does without it, and starts 0.1 s sooner.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname == _CONVERTER:
            raise ModuleNotFoundError(f"{fullname} is left out on purpose", name=fullname)
        return None


@dataclass(frozen=True, slots=True)
class Chip:
    """What decides which prepared encoder fits: OpenVINO's version, processor and precision."""

    openvino: str
    processor: str
    precision: Precision


def runtime() -> Any:
    """The module `openvino`.

    Raises:
        ImportError: it is not installed, or not for this machine.
    """
    with _importing:
        guard = _WithoutConverter()
        sys.meta_path.insert(0, guard)
        try:
            import openvino
        finally:
            sys.meta_path.remove(guard)
    return openvino


@functools.cache
def core() -> Any:
    """OpenVINO's entry point, one a process. Raises ImportError as `runtime` does."""
    return runtime().Core()


def chip() -> Chip | None:
    """This machine as OpenVINO sees it, in the precision to use; None if that one is forced and
    the processor does not have it. Raises ImportError as `runtime` does."""
    found, forced = _quickest(), device.precision()
    if forced == "float32":
        return replace(found, precision="f32")
    return None if forced == "bfloat16" and found.precision != "bf16" else found


@functools.cache
def _quickest() -> Chip:
    # What the chip multiplies in bf16 it multiplies twice as fast, at a cosine of 0.9999; int8
    # would be faster still and is not exact enough to be chosen for anyone.
    can = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    name = f"{core().get_property('CPU', 'FULL_DEVICE_NAME')} {platform.machine()} {_flags()}"
    return Chip(str(runtime().__version__), name, "bf16" if "BF16" in can else "f32")


def _flags() -> str:
    """The processor's instruction sets, where the system says: names alone tell too little."""
    try:
        with Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.startswith(("flags", "Features")):
                    return line.partition(":")[2].strip()
    except OSError:
        return ""
    return ""


def one_by_one(precision: Precision) -> dict[str, Any]:
    """Settings for a query: all cores on one text, each thread kept on its own, which spares a
    fifth of the time: work so short is over before the system has moved a thread."""
    return {**_settings(precision, streams=1), "ENABLE_CPU_PINNING": True}


def many(precision: Precision) -> dict[str, Any]:
    """Settings for documents: a text batch a core, which wastes less on waiting than sharing."""
    return _settings(precision, streams=min(device.usable_cores(), _MOST_STREAMS))


def _settings(precision: Precision, *, streams: int) -> dict[str, Any]:
    return {
        # Without it OpenVINO computes in bf16 wherever it can and calls it float32.
        "INFERENCE_PRECISION_HINT": precision,
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": device.usable_cores(),
        # Two long builds that are pinned to the same core would leave another one idle.
        "ENABLE_CPU_PINNING": False,
    }
