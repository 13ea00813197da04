"""Devices: which one encodes, in which precision, with how many threads, in which order.

torch is imported within functions only.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from bioretrieval_tui.config import configuration
from bioretrieval_tui.errors import ModelError, UsageError

ENGINE_VARIABLE = "BIORETRIEVAL_ENGINE"
"""`torch` disables OpenVINO, for comparison and support; unset or `auto`: the fastest."""
PRECISION_VARIABLE = "BIORETRIEVAL_PRECISION"
"""`float32` or `bfloat16` on any device; unset or `auto`: the fastest of the device."""
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?|cuda:\d{1,3}(,cuda:\d{1,3})+")
_GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")
"""Files of the drivers of NVIDIA, of AMD, and of either within WSL."""
_most_cores: int | None = None


def check_name(device: str) -> str:
    """`device` as given; loads nothing. Raises UsageError where it is not auto, cpu, mps, cuda,
    cuda:N or several cuda:N, or names one twice."""
    names = device.split(",")
    if not _DEVICE.fullmatch(device) or len(set(map(_number, names))) < len(names):
        raise UsageError(
            f"unknown device {device!r}",
            remedy="use auto, cpu, cuda, cuda:N, mps, or several as cuda:0,cuda:1",
        )
    return device


def engine() -> str:
    """`auto`, or `torch` where the user forces it. Raises UsageError for any other value."""
    return _choice(ENGINE_VARIABLE, configuration().config.engine, "torch")


def precision() -> str:
    """`auto`, or `float32` or `bfloat16` where the user forces it. Raises UsageError likewise."""
    of_file = configuration().config.precision
    return _choice(PRECISION_VARIABLE, of_file, "float32", "bfloat16")


def _choice(variable: str, otherwise: str, *values: str) -> str:
    chosen = os.environ.get(variable) or otherwise
    if chosen not in ("auto", *values):
        remedy = f"set it to {' or '.join(values)}, or do not set it"
        raise UsageError(f"{variable} is {chosen!r}", remedy=remedy)
    return chosen


def pick(device: str = "auto") -> str:
    """The device (or devices, separated by commas) that `device` means here, as torch names it:
    `auto` is all GPUs, which CUDA_VISIBLE_DEVICES limits. torch is not imported for `cpu`, nor for
    `auto` on a machine without the drivers of a GPU. Raises UsageError: not a device name;
    ModelError: the machine does not have it."""
    gpu = sys.platform == "darwin" or any(Path(name).exists() for name in _GPU_FILES)
    if check_name(device) == "cpu" or (device == "auto" and not gpu):
        return "cpu"
    import torch

    has_mps = torch.backends.mps.is_available()
    if device == "auto":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count > 1:
            return ",".join(f"cuda:{number}" for number in range(count))
        return "cuda" if count else "mps" if has_mps else "cpu"
    for name in device.split(","):
        absent = name == "mps" and not has_mps
        if absent or (name.startswith("cuda") and _number(name) >= torch.cuda.device_count()):
            raise ModelError(f"there is no device {name} here", remedy="use --device auto or cpu")
    return device


def _number(name: str) -> int:
    """The number of a cuda device, -1 of another one."""
    kind, _, number = name.partition(":")
    return -1 if kind != "cuda" else int(number) if number.isdigit() else 0


def limit_threads() -> int:
    """Limit torch's threads to the cores that this process may use; returns their number. torch
    counts the cores of the machine. Under an affinity mask (a batch system, a container) that is
    too many, and threads that share a core are slower than fewer threads."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > usable_cores():
        torch.set_num_threads(usable_cores())
    return int(torch.get_num_threads())


def usable_cores() -> int:
    """Cores that this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        found = len(os.sched_getaffinity(0))
    else:
        found = os.cpu_count() or 1
    return max(1, min(found, _most_cores or found))


def limit_cores(number: int) -> None:
    """Let this process use so many cores only, without a choice of which."""
    global _most_cores
    _most_cores = number


def prepare_environment() -> None:
    """Set the variables that the model libraries read on import: no telemetry, no progress bars or
    advice on a terminal that the app draws on; no network at all under BIORETRIEVAL_OFFLINE=1."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    # Fast tokenizers warn about forks, and their threads compete with torch's on few cores.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if offline():
        os.environ["HF_HUB_OFFLINE"] = "1"


def offline() -> bool:
    """Whether the user forbids the network."""
    return configuration().config.offline


def silence() -> None:
    """Turn off the progress bars and warnings of the libraries; call after importing them."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for name in ("sentence_transformers", "huggingface_hub", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)


class PriorityLock:
    """A lock that urgent callers get before all others. Long work takes it once per batch, so that
    a query waits for one batch at most."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._busy = False
        self._urgent = 0

    @contextlib.contextmanager
    def take(self, *, urgent: bool) -> Iterator[None]:
        """Wait for the lock and hold it."""
        with self._free:
            self._urgent += urgent
            try:
                self._free.wait_for(lambda: not self._busy and (urgent or not self._urgent))
            finally:
                self._urgent -= urgent
            self._busy = True
        try:
            yield
        finally:
            with self._free:
                self._busy = False
                self._free.notify_all()
