"""The project's own files: what is pinned, what a wheel holds, and that versions agree."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import msgspec
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import bioretrieval_tui
from bioretrieval_tui.catalog import loader
from bioretrieval_tui.catalog.compiled import Compiled, content_key

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "bioretrieval_tui"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PIN = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*)==([0-9][0-9a-z.]*)")


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    matches = [PIN.fullmatch(line) for line in lines if line and not line.startswith("#")]
    return {match[1]: match[2] for match in matches if match}


def asked_for() -> list[Requirement]:
    dev = PROJECT["dependency-groups"]["dev"]
    return [Requirement(text) for text in (*PROJECT["project"]["dependencies"], *dev)]


# Versions -------------------------------------------------------------------------------------


def test_constraints_hold_names_and_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    wrong = [line for line in lines if line and line[0] != "#" and not PIN.fullmatch(line)]
    assert wrong == []
    names = [line.partition("==")[0] for line in lines if "==" in line and line[0] != "#"]
    assert len(names) == len(set(names))


def test_everything_that_is_asked_for_is_pinned_to_a_version_that_will_do() -> None:
    pinned = pins()
    for requirement in asked_for():
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"


def test_what_dependencies_bring_along_is_pinned_too() -> None:
    pinned = pins()
    waiting = asked_for()
    seen: set[tuple[str, str]] = set()
    loose: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        extras = ("", *sorted(requirement.extras))
        if (name, str(extras)) in seen:
            continue
        seen.add((name, str(extras)))
        if name not in pinned:
            loose.add(name)
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            # A build of torch with CUDA names the libraries that it needs to the digit itself.
            if needed.name.startswith(("nvidia-", "cuda-", "triton")):
                continue
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(needed)
    assert loose == set()


def test_a_cpu_build_of_torch_satisfies_its_pin() -> None:
    version = pins()["torch"]
    assert SpecifierSet(f"=={version}").contains(f"{version}+cpu")


def test_the_version_is_said_once_and_the_changelog_agrees() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$", changelog, re.MULTILINE)
    assert released[0] == bioretrieval_tui.__version__
    assert "version" not in PROJECT["project"]


def test_the_pythons_that_are_named_are_the_pythons_that_are_allowed() -> None:
    allowed = SpecifierSet(PROJECT["project"]["requires-python"])
    named = {
        line.rpartition(" ")[2]
        for line in PROJECT["project"]["classifiers"]
        if line.startswith("Programming Language :: Python :: 3.")
    }
    assert named == {f"3.{minor}" for minor in range(30) if allowed.contains(f"3.{minor}")}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert named == set(re.findall(r"\bpython(3\.\d+)\b", makefile))


# Addresses and paths --------------------------------------------------------------------------


def our_files() -> Iterator[Path]:
    """Every file of the checkout, but for caches, builds and environments."""
    for folder, below, names in os.walk(ROOT):
        here = Path(folder)
        if here == ROOT:
            below[:] = [name for name in below if name not in ("build", "dist", "shared")]
        below[:] = [
            name
            for name in below
            if (not name.startswith(".") or name == ".ci")
            and name not in ("__pycache__", "_bundle")
            and not name.endswith(".egg-info")
            and not (here / name / "pyvenv.cfg").exists()
        ]
        names = [name for name in names if name != "snapshot_report.html"]
        yield from (here / name for name in names if not name.endswith((".pyc", ".tmp")))


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    # Put together here, so that this file does not hold what it looks for.
    places = "|".join(("opt", "work", "root", "home", "Users"))
    pattern = re.compile(rf"(?<![\w.$}}~*\]/-])/(?:{places})/[\w.]|file:///(?!etc/passwd)")
    found = []
    seen = 0
    for path in our_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        seen += 1
        for number, line in enumerate(text.splitlines(), start=1):
            if path != Path(__file__) and pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert seen > 100
    assert found == []


def test_what_sets_up_knows_one_address_only() -> None:
    hosts: set[str] = set()
    options: list[str] = []
    scripts = [".ci/run", "scripts/environment.py", "Makefile", "constraints.txt"]
    for name in (*scripts, "pyproject.toml", "hatch_build.py"):
        text = (ROOT / name).read_text(encoding="utf-8")
        hosts.update(re.findall(r"[a-z]+://([\w.-]+)", text))
        options += re.findall(r"--(?:extra-index-url|find-links|trusted-host)", text)
    assert hosts == {"download.pytorch.org"}
    assert options == []


def test_documents_that_the_code_names_are_there() -> None:
    named = {
        name
        for path in SOURCE.rglob("*.py")
        for name in re.findall(r"\bdocs/[\w-]+\.md\b", path.read_text(encoding="utf-8"))
    }
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


# Imports --------------------------------------------------------------------------------------

HEAVY: dict[str, tuple[str, ...]] = {
    "torch": (),
    "transformers": (),
    "sentence_transformers": (),
    "huggingface_hub": (),
    "matplotlib": (),
    "mcp": (),
    "mcp_types": (),
    "aiohttp": (),
    "textual_serve": (),
    "ray": (),
    "httpx": ("online",),
    "filelock": ("encoding",),
    "numpy": ("encoding", "evaluation", "index", "search"),
    "textual": ("tui",),
}
"""Package -> the rooms whose modules may import it when they are themselves imported."""


def imported_at_once(tree: ast.Module) -> Iterator[str]:
    """Top packages that a module imports when it is imported; type checking left out."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)


def test_heavy_packages_wait_for_the_moment_of_need() -> None:
    modules = {path.relative_to(SOURCE): path for path in SOURCE.rglob("*.py")}
    found = [
        f"{place} imports {package}"
        for place, path in modules.items()
        for package in imported_at_once(ast.parse(path.read_text(encoding="utf-8")))
        if place.parts[0] not in HEAVY.get(package, place.parts)
    ]
    assert found == []


def test_the_reading_of_imports_sees_what_it_should() -> None:
    source = """
from __future__ import annotations
if TYPE_CHECKING:
    import torch
else:
    import numpy.linalg
try:
    from textual.app import App
except ImportError:
    import httpx
class Holder:
    import transformers
def later():
    import sentence_transformers
"""
    found = sorted(imported_at_once(ast.parse(source)))
    assert found == ["__future__", "httpx", "numpy", "textual", "transformers"]


# The wheel ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_a_wheel_holds_all_that_runs_and_nothing_else(wheel: Path) -> None:
    version = bioretrieval_tui.__version__
    assert wheel.name == f"bioretrieval_tui-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = archive.read(f"bioretrieval_tui-{version}.dist-info/entry_points.txt")
        about = archive.read(f"bioretrieval_tui-{version}.dist-info/METADATA").decode()
    modules = {
        f"bioretrieval_tui/{path.relative_to(SOURCE).as_posix()}" for path in SOURCE.rglob("*.py")
    }
    data = {f"bioretrieval_tui/_bundle/data/{path.name}" for path in (ROOT / "data").iterdir()}
    other = {"bioretrieval_tui/py.typed", "bioretrieval_tui/_bundle/catalogue.json"}
    assert {"bioretrieval_tui/_bundle/data/catalog.yaml"} <= data
    assert {f"bioretrieval_tui/_bundle/data/{loader.SCHEMA_FILE}"} <= data
    inside = {name for name in names if not name.startswith(f"bioretrieval_tui-{version}.")}
    assert inside == modules | data | other
    assert f"bioretrieval_tui-{version}.dist-info/licenses/LICENSE" in names
    data_folder = f"bioretrieval_tui-{version}.data/data"
    assert f"{data_folder}/share/man/man1/bioretrieval-tui.1" in names
    assert entry_points.decode().split() == [
        "[console_scripts]", "bioretrieval-tui", "=", "bioretrieval_tui.main:run",
    ]  # fmt: skip
    assert f"\nVersion: {version}\n" in about
    assert "\nLicense-Expression: MIT\n" in about


def test_the_compiled_catalogue_of_a_wheel_is_that_of_its_yaml(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read("bioretrieval_tui/_bundle/catalogue.json")
    compiled = msgspec.json.decode(data, type=Compiled)
    assert compiled.key == content_key(sorted((ROOT / "data").glob("*.yaml")), {})
    assert compiled.problems == ()


def test_a_wheel_alone_lists_its_catalogue_from_any_folder(wheel: Path, tmp_path: Path) -> None:
    package, elsewhere, home = tmp_path / "package", tmp_path / "elsewhere", tmp_path / "home"
    elsewhere.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(package)
    environment = {**os.environ, "PYTHONPATH": str(package), "BIORETRIEVAL_HOME": str(home)}

    def python(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-P", *words],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    where = python("-c", "import bioretrieval_tui; print(bioretrieval_tui.__file__)")
    assert Path(where.strip()).is_relative_to(package)
    listed = json.loads(python("-m", "bioretrieval_tui", "list", "models", "-f", "json"))
    assert len(listed) >= 45
    # The compiled form that travels inside was taken: none had to be made.
    assert not (home / "cache").exists()


def test_the_entry_point_is_there() -> None:
    (target,) = PROJECT["project"]["scripts"].values()
    run = metadata.EntryPoint("bioretrieval-tui", target, "console_scripts").load()
    from bioretrieval_tui.main import run as expected

    assert run is expected


# Setting up -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def environment() -> ModuleType:
    """`scripts/environment.py` as a module."""
    spec = importlib.util.spec_from_file_location("environment", ROOT / "scripts/environment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_environment(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts/environment.py"), str(folder)],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_missing_compiler_is_named_in_one_line(tmp_path: Path) -> None:
    done = make_environment(tmp_path / "venv", PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == (
        "no environment: hnswlib is compiled and there is no C++ compiler; install g++\n"
    )
    assert not (tmp_path / "venv").exists()


def test_a_compiler_that_fails_is_named_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "c++"
    broken.write_text("#!/bin/sh\necho out of order >&2\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    done = make_environment(tmp_path / "venv", PATH=str(tmp_path), CXX="c++")
    assert done.returncode == 1
    assert done.stderr == (
        "no environment: hnswlib is compiled and c++ does not work: out of order\n"
    )


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "mine" / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("years of work", encoding="utf-8")
    done = make_environment(kept.parent, PATH=os.environ["PATH"])
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is no environment" in done.stderr
    assert [path.name for path in kept.parent.iterdir()] == ["thesis.txt"]


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/torch/" else 404)
        self.end_headers()
        self.wfile.write(b"<a>torch</a>")

    def log_message(self, *_: object) -> None:
        pass


def test_an_index_is_taken_only_if_it_answers(environment: ModuleType) -> None:
    # 127.0.0.1 must not be asked for through a proxy of this machine's.
    pip = environment.Pip(Path(sys.executable), {**os.environ, "no_proxy": "127.0.0.1"})
    with HTTPServer(("127.0.0.1", 0), _Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert environment.answers(f"{address}/torch/", pip)
        assert not environment.answers(f"{address}/other/", pip)
        server.shutdown()
    assert not environment.answers(f"{address}/torch/", pip)


def test_the_set_up_reads_our_own_files(environment: ModuleType) -> None:
    assert environment.pinned("torch") == pins()["torch"]
    assert environment.groups()["dev"] == PROJECT["dependency-groups"]["dev"]
    with pytest.raises(environment.SetUpError):
        environment.pinned("no-such-package")
