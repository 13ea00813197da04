"""The command in a process of its own, with a home of its own and services on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "src"
_COMMAND = (sys.executable, "-m", "bioretrieval_tui")
_UNWANTED = (
    "BIORETRIEVAL_OFFLINE", "NCBI_API_KEY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy",
    "https_proxy", "all_proxy", "COLUMNS", "VISUAL", "EDITOR",
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a call ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


@dataclass(frozen=True)
class Program:
    """The command, with all services at `address`."""

    home: Path
    address: str

    def __call__(self, *words: str, **env: str) -> Ended:
        """Call it with these words; `env` adds variables."""
        ended = subprocess.run(
            [*_COMMAND, *words],
            env=self._environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=240,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    def started(self, *words: str, **env: str) -> subprocess.Popen[bytes]:
        """Start a call that a test will interrupt."""
        return subprocess.Popen(
            [*_COMMAND, *words],
            env=self._environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        whole = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
        return {
            **whole,
            "BIORETRIEVAL_HOME": str(self.home),
            "PYTHONPATH": str(SOURCE),
            "BIORETRIEVAL_HUB_URL": self.address,
            "BIORETRIEVAL_ARXIV_URL": f"{self.address}/api",
            "BIORETRIEVAL_NCBI_URL": f"{self.address}/entrez",
            "BIORETRIEVAL_EUROPEPMC_URL": f"{self.address}/europepmc",
            "BIORETRIEVAL_WEB_URL": self.address,
            **more,
        }
