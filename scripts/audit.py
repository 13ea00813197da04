"""Known vulnerabilities of the versions in `constraints.txt`: `python scripts/audit.py FOLDER`.

For the Makefile. pip-audit runs in an environment of its own, FOLDER, and asks a service for each
version. A service that knows none of them was not reached: where an index is mirrored, its stand-in
answers 404 to everything, which pip-audit counts as no vulnerability.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from environment import CONSTRAINTS, Pip, SetUpError, create, groups, runs, say

SERVICES = ("pypi", "osv")


def main(folder: Path) -> int:
    """Return 1 where a vulnerability is known, 0 where none is or no service can be reached.

    Raises:
        SetUpError: there can be no environment in FOLDER.
    """
    program, python = folder / "bin" / "pip-audit", folder / "bin" / "python"
    if not program.exists():
        if not runs(python):
            create(folder)
        if not Pip(python, dict(os.environ)).try_install(*groups()["audit"]):
            say("nothing was audited: pip-audit cannot be installed")
            return 0
    for service in SERVICES:
        packages = ask(program, service)
        known = [one for one in packages if "skip_reason" not in one]
        if known:
            return report(service, known, len(packages) - len(known))
    say(f"nothing was audited: no vulnerability service can be reached ({', '.join(SERVICES)})")
    return 0


def ask(program: Path, service: str) -> list[dict[str, Any]]:
    """The packages as the service knows them; none if it cannot be asked."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "audit.json"
        words = [str(program), "-r", str(CONSTRAINTS), "--no-deps", "--disable-pip", "-s", service]
        words += ["--progress-spinner", "off", "-f", "json", "-o", str(output)]
        # It ends with 1 where it finds something, and where it cannot be asked.
        subprocess.run(words, check=False, capture_output=True)
        packages = json.loads(output.read_text("utf-8")) if output.exists() else {}
    found: list[dict[str, Any]] = packages.get("dependencies", [])
    return found


def report(service: str, packages: list[dict[str, Any]], skipped: int) -> int:
    """Say what is known of the packages; 1 if that is anything."""
    count = 0
    for package in packages:
        for one in package["vulns"]:
            count += 1
            remedy = (
                f"fixed in {', '.join(one['fix_versions'])}" if one["fix_versions"] else "no fix"
            )
            say(f"{package['name']} {package['version']}: {one['id']}, {remedy}")
    unknown = f"; {skipped} are not known to it" if skipped else ""
    say(f"{service} knows {count or 'no'} vulnerabilities of {len(packages)} packages{unknown}")
    return 1 if count else 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]).absolute()))
    except SetUpError as error:
        sys.exit(f"nothing was audited: {error}")
