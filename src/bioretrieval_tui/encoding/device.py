"""Devices: which one encodes, in which precision, with how many threads, and who uses it next.

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

from bioretrieval_tui.errors import ModelError, UsageError

OFFLINE_VARIABLE = "BIORETRIEVAL_OFFLINE"
ENGINE_VARIABLE = "BIORETRIEVAL_ENGINE"
"""`torch` keeps OpenVINO out, for comparison and support; unset or `auto`: whatever is quickest."""
PRECISION_VARIABLE = "BIORETRIEVAL_PRECISION"
"""`float32` or `bfloat16` on any device; unset or `auto`: the quickest that the device has."""
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?|cuda:\d{1,3}(,cuda:\d{1,3})+")
_GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")
"""What the drivers of NVIDIA, of AMD and of either within WSL put there."""


def check_name(device: str) -> str:
    """`device` as given, if it is auto, cpu, mps, cuda, cuda:N or several cuda:N; loads nothing.

    Raises:
        UsageError: it is none of these, or names one device twice.
    """
    names = device.split(",")
    if not _DEVICE.fullmatch(device) or len(set(map(_number, names))) < len(names):
        raise UsageError(
            f"unknown device {device!r}",
            remedy="use auto, cpu, cuda, cuda:N, mps, or several as cuda:0,cuda:1",
        )
    return device


def engine() -> str:
    """`auto`, or `torch` where the user forces it.

    Raises:
        UsageError: the variable holds anything else.
    """
    chosen = os.environ.get(ENGINE_VARIABLE) or "auto"
    if chosen not in ("auto", "torch"):
        raise UsageError(
            f"{ENGINE_VARIABLE} is {chosen!r}", remedy="set it to torch, or do not set it"
        )
    return chosen


def precision() -> str:
    """`auto`, or the precision that the user forces: `float32` or `bfloat16`.

    Raises:
        UsageError: the variable holds anything else.
    """
    chosen = os.environ.get(PRECISION_VARIABLE) or "auto"
    if chosen not in ("auto", "float32", "bfloat16"):
        raise UsageError(
            f"{PRECISION_VARIABLE} is {chosen!r}",
            remedy="set it to float32 or bfloat16, or do not set it",
        )
    return chosen


def without_torch(device: str) -> str | None:
    """The device that `device` stands for, where that is plain before torch is imported.

    None for an accelerator, and for `auto` on a machine that may have one.
    """
    if device == "cpu":
        return "cpu"
    if device != "auto" or sys.platform == "darwin":
        return None
    return None if any(Path(name).exists() for name in _GPU_FILES) else "cpu"


def pick(device: str = "auto") -> str:
    """The device (or devices, with commas) that `device` stands for here, as torch names it.

    Raises:
        UsageError: not a device name. ModelError: the machine does not have it.
    """
    import torch

    check_name(device)
    has_mps = torch.backends.mps.is_available()
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if has_mps else "cpu"
    for name in device.split(","):
        if name.startswith("cuda") and _number(name) >= torch.cuda.device_count():
            raise ModelError(f"there is no device {name} here", remedy="use --device auto or cpu")
    if device == "mps" and not has_mps:
        raise ModelError("there is no device mps here", remedy="use --device auto or cpu")
    return device


def _number(name: str) -> int:
    """The number of a cuda device, -1 of another one."""
    kind, _, number = name.partition(":")
    return -1 if kind != "cuda" else int(number) if number.isdigit() else 0


def limit_threads() -> int:
    """Give torch as many threads as this process may use cores; returns that number.

    torch counts the cores of the machine. Under an affinity mask (a batch system, a container)
    that is too many, and threads which take turns on a core are slower than fewer.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        available = usable_cores()
        if torch.get_num_threads() > available:
            torch.set_num_threads(available)
    return int(torch.get_num_threads())


def usable_cores() -> int:
    """Cores that this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def prepare_environment() -> None:
    """Set what the model libraries read when they are imported; call before importing them.

    No telemetry, no bars and no advice on a terminal that a screen is drawn on; and no network
    at all under BIORETRIEVAL_OFFLINE=1.
    """
    for name, value in (
        ("HF_HUB_DISABLE_TELEMETRY", "1"),
        ("HF_HUB_DISABLE_PROGRESS_BARS", "1"),
        ("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1"),
        # Fast tokenizers warn about forks, and their own threads fight torch's on few cores.
        ("TOKENIZERS_PARALLELISM", "false"),
    ):
        os.environ.setdefault(name, value)
    if offline():
        os.environ["HF_HUB_OFFLINE"] = "1"


def offline() -> bool:
    """Whether the user keeps the network out."""
    return os.environ.get(OFFLINE_VARIABLE, "") not in ("", "0")


def silence() -> None:
    """Turn the libraries' own bars and warnings off; call after importing them."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for name in ("sentence_transformers", "huggingface_hub", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)


class PriorityLock:
    """A device is used by one caller at a time; an urgent one goes before those that wait.

    Work that is long takes the lock for each of its batches, so that a query waits for one batch
    at most.
    """

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
