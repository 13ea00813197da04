"""Which device encodes, with how many threads, and how the model libraries are kept quiet.

torch is imported within functions only.
"""

from __future__ import annotations

import logging
import os
import re

from bioretrieval_tui.errors import ModelError, UsageError

OFFLINE_VARIABLE = "BIORETRIEVAL_OFFLINE"
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")


def check_name(device: str) -> str:
    """`device` as given, if it is auto, cpu, mps, cuda or cuda:N; loads nothing.

    Raises:
        UsageError: it is none of these.
    """
    if not _DEVICE.fullmatch(device):
        raise UsageError(f"unknown device {device!r}", remedy="use auto, cpu, cuda, cuda:N or mps")
    return device


def pick(device: str = "auto") -> str:
    """The device that `device` stands for on this machine, as torch names it.

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
    if device.startswith("cuda"):
        number = int(device[5:] or 0)
        if number >= torch.cuda.device_count():
            raise ModelError(f"there is no device {device} here", remedy="use --device auto or cpu")
    if device == "mps" and not has_mps:
        raise ModelError("there is no device mps here", remedy="use --device auto or cpu")
    return device


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
    if os.environ.get(OFFLINE_VARIABLE, "") not in ("", "0"):
        os.environ["HF_HUB_OFFLINE"] = "1"


def silence() -> None:
    """Turn the libraries' own bars and warnings off; call after importing them."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for name in ("sentence_transformers", "huggingface_hub", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
