"""`scripts/audit.py` with a stand-in for pip-audit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "audit.py"
BAD = {"id": "PYSEC-1", "fix_versions": ["2.0", "1.9"]}
UNFIXED = {"id": "PYSEC-2", "fix_versions": []}


def package(name: str, *vulns: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": list(vulns)}


def skipped(name: str) -> dict[str, Any]:
    return {"name": name, "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ({}, 0, "nothing was audited: no vulnerability service can be reached (pypi, osv)"),
        # A mirror that answers 404 to every question.
        ({"pypi": [skipped("a"), skipped("b")]}, 0, "nothing was audited"),
        (
            {"pypi": [skipped("a")], "osv": [package("a")]},
            0,
            "osv knows no vulnerabilities of 1 packages",
        ),
        (
            {"pypi": [package("a"), skipped("b")]},
            0,
            "pypi knows no vulnerabilities of 1 packages; 1 are not known to it",
        ),
        (
            {"pypi": [package("a", BAD), package("b", UNFIXED)]},
            1,
            "a 1.0: PYSEC-1, fixed in 2.0, 1.9\nb 1.0: PYSEC-2, no fix\npypi knows 2",
        ),
    ],
)
def test_what_is_known_is_told_and_where_nothing_is_too(
    tmp_path: Path, answers: dict[str, list[dict[str, Any]]], code: int, said: str
) -> None:
    (tmp_path / "bin").mkdir()
    for service, packages in answers.items():
        (tmp_path / service).write_text(json.dumps({"dependencies": packages}))
    program = tmp_path / "bin" / "pip-audit"
    program.write_text(
        f'#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" = -s ] && service=$2; shift; done\n'
        f'[ -f "{tmp_path}/$service" ] && cp "{tmp_path}/$service" "$1"\nexit 1\n'
    )
    program.chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
