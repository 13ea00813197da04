"""The command with a home of its own and all services on this machine, in this process or in one
of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from server import variables

from bioretrieval_tui.main import run

SOURCE = Path(__file__).resolve().parents[2] / "src"
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
        """Call it in this process with these words; `env` adds variables."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self._environment(env), clear=True),
            mock.patch("bioretrieval_tui.interrupts.keep_interrupts"),
            mock.patch.object(sys, "stdin", io.StringIO()),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = run(words)
        return Ended(code, out.getvalue(), err.getvalue())

    def started(self, *words: str, code: str | None = None, **env: str) -> subprocess.Popen[bytes]:
        """Start a process that a test will interrupt; code: in place of the module's."""
        how = ["-m", "bioretrieval_tui"] if code is None else ["-c", code]
        return subprocess.Popen(
            [sys.executable, *how, *words],
            env=self._environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if name not in _UNWANTED},
            **variables(self.address),
            "BIORETRIEVAL_WEB_URL": self.address,
            "BIORETRIEVAL_HOME": str(self.home),
            "PYTHONPATH": str(SOURCE),
            **more,
        }
