"""Makes the virtual environment of a checkout: `python scripts/environment.py FOLDER [--dev]`, or
one of a tool that needs nothing of ours: `--group NAME`.

For the Makefile. Needs nothing but Python, pip and a C++ compiler (hnswlib is compiled), and says
in one line what is missing. Versions come from `constraints.txt`, names from `pyproject.toml`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"

PROBE_SECONDS = 8
"""An index that has not answered by then is left out; a dead one must not cost more."""

_PROBE = """
import os, ssl, sys, urllib.request
trust = ssl.create_default_context(cafile=os.environ.get("PIP_CERT") or None)
with urllib.request.urlopen(sys.argv[1], timeout=5, context=trust) as page:
    page.read(1)
"""

_USES_PYTHON = "#include <vector>\n#include <Python.h>\n"


class SetUpError(Exception):
    """Why there is no environment, in one line."""


def main(arguments: list[str]) -> int:
    """Make or renew the environment; 0 when it is complete."""
    parser = argparse.ArgumentParser(prog="environment.py")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dev", action="store_true", help="also what tests and checks need")
    parser.add_argument("--group", default="", help="only this dependency group")
    parser.add_argument("--torch-index", default="", help="index of CPU builds of torch")
    given = parser.parse_args(arguments)
    folder = given.folder.absolute()
    try:
        if given.group:
            make_tool(folder, given.group)
        else:
            make(folder, dev=given.dev, torch_index=given.torch_index)
    except SetUpError as error:
        say(f"no environment: {error}")
        return 1
    return 0


def make(folder: Path, *, dev: bool, torch_index: str) -> None:
    """Create `folder` if need be and install into it.

    Raises:
        SetUpError: something that the machine lacks, or pip failed (and said why).
    """
    environment = dict(os.environ)
    # A project beside the checkout, or packages of the user's, must not stand in for ours.
    environment.pop("PYTHONPATH", None)
    environment["PYTHONNOUSERSITE"] = "1"
    if dev:
        # Byte code for all of torch and its kin takes most of a minute, and tests import a
        # fraction of it. pip takes a falsy value to mean that the option is on.
        environment["PIP_NO_COMPILE"] = "0"
    python = folder / "bin" / "python"
    pip = Pip(python, environment)
    there = runs(python)
    if not there or pip.version_of("hnswlib") is None:
        environment.update(compiler())
    if not there:
        create(folder)
        # The pip that Python 3.11 brings takes twice as long to read an index.
        pip.try_install("--upgrade", "pip>=25.1,<27", quiet=True)
    install_torch(pip, torch_index)
    requirements = groups()["dev"] if dev else []
    pip.install("-c", str(CONSTRAINTS), "-e", str(ROOT), *requirements)


def make_tool(folder: Path, group: str) -> None:
    """Create `folder` if need be and install a dependency group into it.

    Raises:
        SetUpError: there can be no such environment, or pip failed.
    """
    python = folder / "bin" / "python"
    if not runs(python):
        create(folder)
    Pip(python, dict(os.environ)).install(*groups()[group])


def create(folder: Path) -> None:
    """An empty environment, in place of one that does not run; never in place of anything else."""
    if folder.exists() and not (folder / "pyvenv.cfg").exists() and any(folder.iterdir()):
        raise SetUpError(f"{folder} is there and is no environment; name another with VENV=")
    say(f"making {folder} with Python {sys.version.split()[0]}: some minutes, once")
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=False)
    if made.returncode:
        raise SetUpError("python -m venv failed; on Debian and Ubuntu install python3-venv")


def runs(python: Path) -> bool:
    """Whether this interpreter starts, is of a version that will do, and has pip."""
    ask = "import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
    try:
        done = subprocess.run([python, "-c", ask], check=False, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    return done.returncode == 0


class Pip:
    """pip of one environment; quiet, and its errors on stderr as they are."""

    def __init__(self, python: Path, environment: dict[str, str]) -> None:
        self.python = python
        self.environment = environment

    def install(self, *words: str) -> None:
        """Install, or raise SetUpError."""
        if not self.try_install(*words):
            raise SetUpError("pip could not install everything; see above")

    def try_install(self, *words: str, quiet: bool = False) -> bool:
        """Whether the installation succeeded; `quiet` hides why it did not."""
        options = ["-m", "pip", "--disable-pip-version-check", "install", "-qq"]
        done = subprocess.run(
            [self.python, *options, *words],
            env=self.environment,
            check=False,
            stderr=subprocess.DEVNULL if quiet else None,
        )
        return done.returncode == 0

    def version_of(self, package: str) -> str | None:
        """The version that is installed, or None."""
        ask = f"from importlib.metadata import version; print(version({package!r}))"
        done = subprocess.run(
            [self.python, "-c", ask],
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip() if done.returncode == 0 else None


# The compiler ---------------------------------------------------------------------------------


def compiler() -> dict[str, str]:
    """What to set for a C++ compiler that finds Python's headers; empty where defaults do.

    Raises:
        SetUpError: there is no compiler, or there are no headers.
    """
    usual = (os.environ.get("CXX") or str(sysconfig.get_config_var("CXX") or "c++")).split()
    names = [usual[0], "c++", "g++", "clang++"]
    found = next((name for name in names if shutil.which(name)), None)
    if found is None:
        raise SetUpError("hnswlib is compiled and there is no C++ compiler; install g++")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.cpp"
        source.write_text(_USES_PYTHON, encoding="utf-8")
        headers = sysconfig.get_path("include")
        words = [found, "-fsyntax-only", f"-I{headers}", str(source)]
        tried = subprocess.run(words, check=False, capture_output=True, text=True)
    if tried.returncode:
        if not (Path(headers) / "Python.h").exists():
            name = f"python{sys.version_info.major}.{sys.version_info.minor}-dev"
            raise SetUpError(f"hnswlib is compiled and {headers} has no Python.h; install {name}")
        reason = next(iter(tried.stderr.strip().splitlines()), "it does not say why")
        raise SetUpError(f"hnswlib is compiled and {found} does not work: {reason}")
    return {} if found == usual[0] else {"CXX": found, "CC": found}


# torch ----------------------------------------------------------------------------------------


def install_torch(pip: Pip, index: str) -> None:
    """Install torch where a CPU build will do; otherwise it comes with everything else.

    The default build for Linux brings the CUDA libraries along: gigabytes that a machine without
    an NVIDIA card has no use for. A wheel that pip finds without a network comes first.
    """
    version = pinned("torch")
    installed = pip.version_of("torch")
    if installed is not None and installed.partition("+")[0] == version:
        return
    if sys.platform != "linux" or has_nvidia_card():
        return
    wanted = f"torch=={version}"
    if pip.try_install("--no-index", "--no-deps", wanted, quiet=True):
        return
    if index:
        if answers(f"{index.rstrip('/')}/torch/", pip):
            if pip.try_install("--index-url", index, "--no-deps", wanted):
                return
            say(f"{index} has no {wanted} for this machine")
        else:
            say(f"{index} cannot be reached")
    say("taking the default build of torch, with CUDA libraries: several gigabytes")


def has_nvidia_card() -> bool:
    """Whether an NVIDIA driver is at work here."""
    return Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi") is not None


def answers(address: str, pip: Pip) -> bool:
    """Whether a page is there, within seconds; looking up its name counts too."""
    try:
        done = subprocess.run(
            [pip.python, "-c", _PROBE, address],
            env=pip.environment,
            check=False,
            stderr=subprocess.DEVNULL,
            timeout=PROBE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


# Files ----------------------------------------------------------------------------------------


def pinned(package: str) -> str:
    """The version of a package in `constraints.txt`."""
    for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines():
        name, _, version = line.partition("==")
        if name == package:
            return version.strip()
    raise SetUpError(f"constraints.txt does not pin {package}")


def groups() -> dict[str, list[str]]:
    """The dependency groups of `pyproject.toml` (pip reads them itself from 25.1 on)."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        found: dict[str, list[str]] = tomllib.load(file)["dependency-groups"]
    return found


def say(text: str) -> None:
    """One line on stderr: stdout is the command's that follows."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
