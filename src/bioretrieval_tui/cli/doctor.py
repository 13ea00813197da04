"""`doctor`: what this machine has and lacks, or whether one model does as its recipe says.

A check gives findings and never raises: a machine in disorder is what it is for.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from bioretrieval_tui.cli.lookups import complete_model
from bioretrieval_tui.cli.narration import narrated, size
from bioretrieval_tui.cli.printing import format_option, put_sheet
from bioretrieval_tui.errors import (
    EXIT_FAILED,
    BioRetrievalError,
    CatalogueError,
    ModelError,
    UsageError,
)
from bioretrieval_tui.paths import places
from bioretrieval_tui.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bioretrieval_tui.catalog.models import Encoding
    from bioretrieval_tui.progress import Reporter
    from bioretrieval_tui.render.formats import Format
    from bioretrieval_tui.render.sheet import Sheet


@click.command()
@click.option(
    "--model",
    metavar="ID",
    shell_complete=complete_model,
    help="Check this model of the catalogue (its id or hub id) instead: its files, its dimension,"
    " what it makes of a text.",
)
@click.option(
    "--download", is_flag=True, help="Fetch what the model lacks first; its licence is told."
)
@click.option("--offline", is_flag=True, help="Ask nothing of the network.")
@format_option(without=("bibtex",))
def doctor(model: str | None, download: bool, offline: bool, format_: Format) -> None:
    """Check what this machine has and lacks.

    Exit code 1 if something is missing that the program cannot do without. Takes the seconds
    that torch needs to load. With --model, exit code 1 if the model is not here or does not do as
    its recipe says, 3 if the catalogue does not know it.
    """
    from bioretrieval_tui.cli.options import keep_offline

    if offline:
        keep_offline()
    if download and (model is None or offline):
        said = "--offline" if offline else "no --model"
        raise UsageError(f"--download with {said} fetches nothing", remedy="see doctor --help")
    findings = []
    with narrated(quiet=not sys.stderr.isatty() and not download) as reporter:
        found = _machine() if model is None else _model(model, reporter, download=download)
        for finding in found:
            findings.append(finding)
            reporter(Progress(f"checked {finding.name}", 0))
    put_sheet(finding_sheet(findings), format_)
    if any(finding.state == "missing" for finding in findings):
        click.get_current_context().exit(EXIT_FAILED)


def _machine() -> Iterator[Finding]:

    return all_checks()


def _model(model: str, reporter: Reporter, *, download: bool) -> Iterator[Finding]:
    """Findings about one model. Raises NotFoundError where the catalogue does not know it."""
    from bioretrieval_tui.cli.model_choice import fetch_missing
    from bioretrieval_tui.encoding.recipe_check import check_model

    hub, recipe, dimension = _known(model)
    if download:
        fetch_missing(hub, recipe, reporter, download=True)
    for check in check_model(hub, recipe, dimension=dimension):
        yield Finding(model, check.name, check.state, check.value, check.remedy)


def _known(model: str) -> tuple[str, Encoding, int | None]:
    """Hub id, recipe and dimension of a model that the catalogue knows by id or hub id.

    Raises:
        NotFoundError: it knows none of that name. ModelError: how it encodes is not known.
    """
    from bioretrieval_tui.catalog.models import Model
    from bioretrieval_tui.cli.lookups import catalogue, entry_of_kind

    found = catalogue()
    entry = next((one for one in found.of_type(Model) if model in one.hub), None)
    named = entry if entry is not None else entry_of_kind(found, model, "models")
    recipe = named.encoding if isinstance(named, Model) else None
    sides = recipe and (recipe.document or recipe.query)
    if not isinstance(named, Model) or recipe is None:
        raise ModelError(
            f"how '{model}' encodes is not known", remedy="add its encoding in an overlay"
        )
    hub = (sides.model if sides else None) or next(iter(named.hub), None)
    if hub is None:
        raise ModelError(
            f"where the files of '{named.id}' are is not known",
            remedy="add `model` to its encoding in an overlay: a hub id or a folder",
        )
    return hub, recipe, named.dimension


def finding_sheet(findings: Sequence[Finding]) -> Sheet:
    """Findings as rows; readers see the state first."""
    from bioretrieval_tui.render.sheet import Column, Sheet

    return Sheet(
        title="Doctor",
        columns=(
            Column("state", "state", min_width=7),
            Column("area", "area", min_width=9),
            Column("name", "what", min_width=12),
            Column("value", "found", weight=4, min_width=20),
            Column("remedy", "remedy", weight=4, min_width=12),
        ),
        rows=tuple((f.state, f.area, f.name, f.value, f.remedy) for f in findings),
        records=tuple(asdict(finding) for finding in findings),
    )


State = Literal["ok", "note", "missing"]
"""`note`: it works, with less; `missing`: something that the program cannot do without."""

PACKAGES = (
    "click", "filelock", "hnswlib", "httpx", "ir-measures", "lxml", "msgspec", "numpy", "openvino",
    "platformdirs", "PyStemmer", "PyYAML", "rapidfuzz", "rich", "safetensors",
    "sentence-transformers", "tantivy", "tenacity", "textual", "tokenizers",
)  # fmt: skip
"""Besides torch and the embedded model, which are looked at on their own."""

_PROBE_SECONDS = 120
_PROBE = """
import time
started = time.perf_counter()
import json, torch
found = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] \
    if torch.cuda.is_available() else []
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "gpus": found,
    "mps": torch.backends.mps.is_available(), "seconds": time.perf_counter() - started}))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: where it belongs, its name, how it is, what it is, what to do."""

    area: str
    name: str
    state: State
    value: str
    remedy: str | None = None


def all_checks() -> Iterator[Finding]:
    """Every finding, area by area; the slow one (torch, in a process of its own) comes last."""
    yield from python()
    yield from packages()
    yield from native()
    yield from catalogue()
    yield from model()
    yield from folders()
    yield from indexes()
    yield from terminal()
    yield from processor()
    yield from devices()


def python() -> Iterator[Finding]:
    """The interpreter and the system."""
    from bioretrieval_tui import __version__

    version = platform.python_version()
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Finding("program", "bioretrieval-tui", "ok", __version__)
    yield Finding(
        "program",
        "Python",
        "ok" if fits else "note",
        f"{version} ({sys.executable})",
        None if fits else "3.11 to 3.13 are tested",
    )
    yield Finding("program", "system", "ok", f"{platform.system()} {platform.machine()}")


def packages() -> Iterator[Finding]:
    """Versions from the packages' metadata; none is imported."""
    from importlib.metadata import PackageNotFoundError, version

    for name in PACKAGES:
        try:
            yield Finding("packages", name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding("packages", name, "missing", "not installed", f"pip install {name}")


def native() -> Iterator[Finding]:
    """Whether the graph library loads: compiled for one processor, it may fall on another."""
    code, _, errors = _child("import hnswlib", 60)
    if code == 0:
        yield Finding("packages", "hnswlib loads", "ok", "yes")
        return
    said = errors.strip().splitlines()
    why = said[-1] if said else f"it ended with status {code}"
    yield Finding(
        "packages",
        "hnswlib loads",
        "missing",
        why[:200],
        "compile it here: pip install --force-reinstall --no-deps --no-binary hnswlib hnswlib",
    )


def catalogue() -> Iterator[Finding]:
    """Whether the catalogue loads, and which overlays were left out."""
    from bioretrieval_tui.catalog.compiled import load

    try:
        loaded = load()
    except CatalogueError as error:
        count = len(error.problems)
        yield Finding(
            "catalogue",
            "entries",
            "missing",
            f"{error.message} ({count} in all)",
            "correct the file, or reinstall bioretrieval-tui",
        )
        return
    except (BioRetrievalError, OSError) as error:
        yield _fault("catalogue", "entries", error, "missing")
        return
    found = loaded.catalogue
    yield Finding(
        "catalogue", "entries", "ok",
        f"{len(found.entries):,} entries, {len(found.results):,} published figures",
    )  # fmt: skip
    for problem in loaded.problems:
        yield Finding("catalogue", "overlay", "note", problem, f"correct it in {places().overlays}")


def model() -> Iterator[Finding]:
    """Whether the embedded model is in place and its files are the published ones."""
    from bioretrieval_tui.encoding import embedded

    try:
        found = embedded.verify()
    except BioRetrievalError as error:
        yield _fault("model", "embedded model", error, "missing")
        return
    yield Finding(
        "model",
        "embedded model",
        "ok",
        f"{embedded.MODEL_ID}, {len(embedded.CHECKSUMS)} checksums right, in {found}",
    )


def folders() -> Iterator[Finding]:
    """Whether the user's folders are there, or can be made, and can be written."""
    where = places()
    state: State
    for name in ("config", "data", "cache", "state"):
        folder: Path = getattr(where, name)
        nearest = next((p for p in (folder, *folder.parents) if p.exists()), folder)
        if folder.exists() and not folder.is_dir():
            problem, state = "is not a folder", "missing"
        elif not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            # Without the data folder no index can be kept; without the others some speed is lost.
            problem, state = "cannot be written", "missing" if name == "data" else "note"
        else:
            problem, state = "writable" if folder.exists() else "not there yet, can be made", "ok"
        free = ""
        if state == "ok" and name == "data":
            free = f", {size(shutil.disk_usage(nearest).free)} free"
        remedy = None if state == "ok" else f"make {folder} writable, or set BIORETRIEVAL_HOME"
        yield Finding("folders", name, state, f"{folder}: {problem}{free}", remedy)


def indexes() -> Iterator[Finding]:
    """How many indexes there are, and which are damaged."""
    from bioretrieval_tui.index.registry import list_indexes

    try:
        found = list_indexes()
    except (BioRetrievalError, OSError) as error:
        yield _fault("indexes", "indexes", error, "note")
        return
    total = size(sum(one.bytes for one in found))
    yield Finding("indexes", "indexes", "ok", f"{len(found)}, {total}" if found else "none yet")
    for one in found:
        if one.status != "ok":
            yield Finding(
                "indexes",
                one.name,
                "note",
                one.status,
                f"build it again, or: bioretrieval-tui index remove {one.name}",
            )


def terminal() -> Iterator[Finding]:
    """What the terminal can do, how a copy would travel, where a page would open."""
    from bioretrieval_tui.terminal.capabilities import here
    from bioretrieval_tui.terminal.clipboard import Route, likely_route

    # In `doctor | less` the terminal is still the one behind stderr or stdin.
    streams = [s for s in (sys.stdout, sys.stderr, sys.stdin) if s is not None and s.isatty()]
    caps = here(streams[0] if streams else sys.stdout)
    remedies = {
        "colours": "set TERM to what your terminal is, such as xterm-256color",
        "unicode": "set LANG to a UTF-8 locale, such as C.UTF-8",
        "size": "resize the window once, or run: stty cols 120 rows 40",
    }
    if os.environ.get("NO_COLOR"):
        remedies["colours"] = "unset NO_COLOR"
    for name, value in caps.facts():
        lacks = caps.interactive and value in ("none", "no", "unknown") and name in remedies
        yield Finding(
            "terminal", name, "note" if lacks else "ok", value, remedies[name] if lacks else None
        )
    route, means = likely_route(caps)
    if route is Route.DIALOG:
        yield Finding(
            "terminal",
            "clipboard",
            "note",
            "none: the text is shown to be selected",
            means if means.startswith("install") else None,
        )
    else:
        yield Finding("terminal", "clipboard", "ok", f"{route}: {means}")
    browser = os.environ.get("BROWSER")
    opens = f"$BROWSER: {browser}" if browser else "the desktop's browser"
    if browser or caps.desktop:
        yield Finding("terminal", "opening pages", "ok", opens)
    else:
        yield Finding(
            "terminal",
            "opening pages",
            "note",
            "no browser here: addresses are shown and copied",
            "set BROWSER if there is one",
        )


def devices() -> Iterator[Finding]:
    """torch and its devices, asked in a child so that this process stays small and cannot fall."""
    code, output, errors = _child(_PROBE, _PROBE_SECONDS)
    yield from _torch_findings(code, output, errors, _nvidia_cards())


def processor() -> Iterator[Finding]:
    """In what OpenVINO would encode on this processor, asked in a child like torch."""
    program = (
        "from bioretrieval_tui.encoding.openvino_encoder import DTYPES, chip\n"
        "found = chip()\n"
        "if found is None: raise SystemExit('there is no bfloat16, which is asked for')\n"
        "print(found.openvino.partition('-')[0], DTYPES[found.precision])"
    )
    code, output, errors = _child(program, _PROBE_SECONDS)
    if code == 0 and output.split():
        version, dtype = output.split()[-2:]
        yield Finding("devices", "processor", "ok", f"OpenVINO {version}, encodes in {dtype}")
        return
    said = errors.strip().splitlines()
    why = said[-1][:200] if said else f"it ended with status {code}"
    remedy = "torch encodes instead; for speed: pip install --force-reinstall openvino"
    yield Finding("devices", "processor", "note", f"OpenVINO does not load: {why}", remedy)


def _child(program: str, seconds: float) -> tuple[int, str, str]:
    """Status, output and errors of a Python program in a process of its own."""
    return _run([sys.executable, "-P", "-c", program], seconds)


def _run(words: list[str], seconds: float) -> tuple[int, str, str]:
    try:
        child = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, "", f"it did not answer in {seconds:.0f} s"
    except OSError as error:
        return 1, "", str(error)
    return child.returncode, child.stdout, child.stderr


def _torch_findings(code: int, output: str, errors: str, cards: list[str]) -> Iterator[Finding]:
    import json

    try:
        told = json.loads(output.strip().splitlines()[-1]) if code == 0 else None
    except (ValueError, IndexError):
        told = None
    if told is None:
        lines = errors.strip().splitlines()
        why = lines[-1] if lines else f"the import ended with status {code}"
        absent = "No module named 'torch'" in why
        yield Finding(
            "devices",
            "torch",
            "missing",
            "not installed" if absent else why[:200],
            "pip install torch" if absent else "install torch again",
        )
        return
    build = f"CUDA {told['cuda']}" if told["cuda"] else "no CUDA"
    yield Finding(
        "devices", "torch", "ok", f"{told['version']} ({build}), loads in {told['seconds']:.1f} s"
    )
    if told["gpus"]:
        yield Finding("devices", "GPU", "ok", ", ".join(told["gpus"]))
    elif told["mps"]:
        yield Finding("devices", "GPU", "ok", "Apple GPU (mps)")
    elif cards:
        remedy = (
            "update the NVIDIA driver to one that knows this CUDA"
            if told["cuda"]
            else "install a build of torch with CUDA"
        )
        yield Finding("devices", "GPU", "note", f"{', '.join(cards)}: torch cannot use it", remedy)
    else:
        yield Finding("devices", "GPU", "ok", "none found; texts are encoded on the CPU")


def _nvidia_cards() -> list[str]:
    """Names of the cards that the NVIDIA driver knows of."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    code, output, _ = _run([program, "--query-gpu=name", "--format=csv,noheader"], 20)
    return [line.strip() for line in output.splitlines() if line.strip()] if code == 0 else []


def _fault(area: str, name: str, error: Exception, state: State) -> Finding:
    if isinstance(error, BioRetrievalError):
        return Finding(area, name, state, error.message, error.remedy)
    return Finding(area, name, state, str(error))
