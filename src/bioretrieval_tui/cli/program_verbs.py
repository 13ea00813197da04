"""`keys`, `config`, `completion` and `doctor`: the program itself, and what it needs here."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from bioretrieval_tui import __version__
from bioretrieval_tui.cli import COMPLETION_VARIABLE, PROGRAM, options
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.cli.streams import narrated, put, put_sheet, tell
from bioretrieval_tui.errors import EXIT_FAILED, BioRetrievalError, UsageError
from bioretrieval_tui.paths import HOME_VARIABLE, places
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.util.formatting import install_command, size

if TYPE_CHECKING:
    from click.shell_completion import ShellComplete

    from bioretrieval_tui.progress import Reporter
    from bioretrieval_tui.render.formats import Format

DEFAULT = "default"
Setting = tuple[str, str, str, str]
"""Name, value, what set it, and what it is."""
SHELLS = {
    "bash": 'Put this into ~/.bashrc:  eval "$(bioretrieval-tui completion bash)"',
    "zsh": 'Put this into ~/.zshrc, after compinit:  eval "$(bioretrieval-tui completion zsh)"',
    "fish": "Run once:  bioretrieval-tui completion fish"
    " > ~/.config/fish/completions/bioretrieval-tui.fish",
}
"""How the script of a shell is installed."""


@click.command()
@options.format_
def keys(format_: Format) -> None:
    """List the keys of the app that are in force.

    Keys are set in the table [keys] of config.toml: preset = "vim", or the id of an action (see
    -f json) and its keys.
    """
    from bioretrieval_tui.actions import SCOPES, scope_title, shown_key
    from bioretrieval_tui.config import configuration
    from bioretrieval_tui.render.sheet import Column, Sheet
    from bioretrieval_tui.render.user_commands import command_problems

    columns: tuple[Column, ...] = (
        Column("id", "id", min_width=12),
        Column("scope", "where", min_width=10),
        Column("keys", "keys", min_width=12),
        Column("action", "action", min_width=12),
        Column("help", "what it does", weight=4, min_width=20),
        Column("origin", "set by", min_width=6),
    )
    found = configuration()
    faults = command_problems(found)
    left_out = {f"command-{number}" for number in faults}
    actions = [action for action in found.actions if action.id not in left_out]
    if not any(action.origin for action in actions):
        columns = columns[:-1]
    rows, records = [], []
    scopes = dict.fromkeys((*SCOPES, *(action.scope for action in actions)))
    for one in (action for scope in scopes for action in actions if action.scope == scope):
        names = [shown_key(key) for key in one.keys]
        origin = one.origin.removeprefix(f"{found.path.parent}/")
        rows.append(
            (one.id, scope_title(one.scope), ", ".join(names), one.label, one.help, origin)[
                : len(columns)
            ]
        )
        records.append(
            {"id": one.id, "scope": one.scope, "keys": names, "action": one.label,
             "help": one.help, "origin": one.origin or DEFAULT}
        )  # fmt: skip
    put_sheet(Sheet("Keys", columns, rows, records), format_)
    for problem in (*found.problems, *faults.values()):
        if (problem.field or "").startswith(("keys", "command")):
            tell(str(problem))


@click.group(cls=NamedGroup, invoke_without_command=True)
@options.format_
@click.pass_context
def config(context: click.Context, format_: Format) -> None:
    """Show the folders and settings in use, and what set them.

    A setting comes from an option, else from an environment variable, else from config.toml in the
    config folder, else it is the default. `config set` and `config unset` write that file. Set
    BIORETRIEVAL_HOME to keep everything below one folder.
    """
    if context.invoked_subcommand:
        return
    from bioretrieval_tui.render.sheet import Column, Sheet

    columns = (
        Column("name", "name", min_width=20),
        Column("value", "value", weight=3, min_width=16),
        Column("origin", "set by", min_width=17),
        Column("help", "what it is", weight=3, min_width=12),
    )
    flags = {"offline"} if context.find_root().params.get("offline") else set()
    found, folder = list(settings(flags)), f"{places().config}/"
    rows = [(name, value, origin.replace(folder, ""), text) for name, value, origin, text in found]
    fields = ("name", "value", "origin", "help")
    records = [dict(zip(fields, one, strict=True)) for one in found]
    put_sheet(Sheet("Configuration", columns, rows, records), format_)
    for problem in configuration_problems():
        tell(problem)


def configuration_problems() -> list[str]:
    """What is wrong in `config.toml` and the themes."""
    from bioretrieval_tui.config import configuration
    from bioretrieval_tui.render.user_commands import command_problems
    from bioretrieval_tui.theme_files import read_themes

    found = configuration()
    return [*map(str, (*found.problems, *command_problems(found).values(), *read_themes()[1]))]


@config.command("set")
@click.argument("key")
@click.argument("value")
def config_set(key: str, value: str) -> None:
    """Write a setting into config.toml, whose comments stay.

    KEY is a name that `config` lists, such as theme or online.contact.
    """
    from bioretrieval_tui.config import configuration, set_value

    path = set_value(key, value)
    tell(f"{key} is set in {path}", name=False)
    if (origin := configuration().origins.get(key, "")).isupper():
        tell(f"{origin} is set too, and wins", name=False)


@config.command("unset")
@click.argument("key")
def config_unset(key: str) -> None:
    """Take a setting out of config.toml, whose comments stay."""
    from bioretrieval_tui.config import unset_value

    tell(f"{key} is no longer set in {unset_value(key)}", name=False)


@config.command("schema")
def config_schema() -> None:
    """Print a JSON Schema of config.toml, for editors that check and complete it."""
    from bioretrieval_tui.config import schema

    put([json.dumps(schema(), indent=2) + "\n"])


def settings(flags: Collection[str] = ()) -> Iterator[Setting]:
    """Yield what is in force, folders first. flags: settings that an option has set."""
    from bioretrieval_tui.catalog.compiled import data_folder
    from bioretrieval_tui.config import configuration, values
    from bioretrieval_tui.online.services import masked
    from bioretrieval_tui.settings import SettingsStore

    where = places()
    moved = HOME_VARIABLE if os.environ.get(HOME_VARIABLE) else DEFAULT
    yield "config", str(where.config), moved, "config.toml, themes"
    yield "catalogue overlays", str(where.overlays), moved, "Your entries and corrections"
    for name, text in (
        ("data", "Marks, evaluations, watches"), ("indexes", "Your indexes"),
        ("cache", "What can be made again"), ("state", "Jobs, logs, unfinished fetches"),
    ):  # fmt: skip
        yield name, str(getattr(where, name)), moved, text
    yield "catalogue", str(data_folder()), "the program", "Its files"
    found = configuration()
    for one in values():
        value, origin = found.value(one.key), found.origins.get(one.key, DEFAULT)
        shown = {True: "yes", False: "no", "": "none"}.get(value, str(value))
        if one.secret and value:
            shown = masked(value)
        if one.key in flags:
            origin = f"--{one.key}"
        if one.key == "theme":
            try:
                chosen = SettingsStore(where.data / "library.sqlite").setting("theme")
            except BioRetrievalError as error:
                yield "theme", error.message, "the app", one.help
                continue
            if chosen:
                over = "" if origin == DEFAULT else f"; {origin} says {value}"
                shown, origin = chosen, f"the app{over}"
        yield one.key, shown, origin, one.help
    for key, origin in found.origins.items():
        if key.startswith("keys."):
            given = found.config.keys[key.partition(".")[2]]
            yield key, given if isinstance(given, str) else ", ".join(given), origin, "See `keys`"
    for action in found.actions:
        if action.name.startswith("app.user_command"):
            yield f"command {action.label}", action.help, action.origin, "Yours, see `keys`"
    yield _variable("NO_COLOR", "no colours", "as the terminal allows", "Colours")
    yield _variable("BROWSER", None, "the desktop's browser, if there is one", "Opens pages")
    yield _variable("COLUMNS", None, "as wide as the terminal", "Width of tables")


def _variable(name: str, meaning: str | None, otherwise: str, text: str) -> Setting:
    value = os.environ.get(name)
    return (name, meaning or value, name, text) if value else (name, otherwise, DEFAULT, text)


@click.command()
@click.argument("shell", type=click.Choice(tuple(SHELLS)))
def completion(shell: str) -> None:
    """Print a completion script for your shell.

    Its first line says where to put it. Kinds, ids, fields, formats and index names complete.
    """
    made = _completer(shell)
    # `source()` would start a bash to ask its version.
    script = made.source_template % made.source_vars()
    put([f"# {SHELLS[shell]}\n", script.strip("\n") + "\n"])


def answer(instruction: str) -> int:
    """Respond to the completion function of a shell (`bash_complete`); errors are silent."""
    shell, _, what = instruction.partition("_")
    if shell not in SHELLS or what != "complete":
        return 1
    try:
        completed = _completer(shell).complete()
    except (KeyError, ValueError, BioRetrievalError):  # called by hand, or half an input
        return 1
    put([completed + "\n"])
    return 0


def _completer(shell: str) -> ShellComplete:
    from click.shell_completion import get_completion_class

    from bioretrieval_tui.cli.root import root

    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click has all of SHELLS
    return found(root, {}, PROGRAM, COMPLETION_VARIABLE)


# Doctor ---------------------------------------------------------------------------------------
#
# It must work on a broken installation: what a check raises is a finding too.

State = Literal["ok", "note", "missing"]
"""`note`: works, with less; `missing`: a necessary part."""

PACKAGES = (
    "click", "filelock", "hnswlib", "httpx", "ir-measures", "lxml", "matplotlib", "msgspec",
    "narwhals", "numpy", "openvino", "platformdirs", "PyStemmer", "PyYAML", "rapidfuzz", "rich",
    "safetensors", "sentence-transformers", "tantivy", "tenacity", "textual", "tokenizers",
    "tomlkit",
)  # fmt: skip
"""Besides torch and the embedded model, which have checks of their own."""
EXTRAS = {
    "lance": ("lancedb", "indexes in LanceDB"),
    "mcp": ("mcp", "assistants ask over MCP"),
    "milvus": ("pymilvus", "indexes in Milvus"),
    "parquet": ("pyarrow", "reads and writes Parquet"),
    "ray": ("ray", "encodes on a Ray cluster"),
    "serve": ("textual-serve", "the app in a browser"),
    "train": ("accelerate", "trains models"),
}
"""Optional parts: the package that each needs, and what it is for."""

_FIELDS = ("area", "name", "state", "value", "remedy")
_PROBE_SECONDS = 120
_TORCH = """
import time
started = time.perf_counter()
import json, torch
found = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] \
    if torch.cuda.is_available() else []
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "gpus": found,
    "mps": torch.backends.mps.is_available(), "seconds": time.perf_counter() - started}))
"""
_OPENVINO = """
from bioretrieval_tui.encoding.openvino_encoder import DTYPES, chip
found = chip()
if found is None: raise SystemExit('bfloat16 is asked for, but not supported')
print(found.openvino.partition('-')[0], DTYPES[found.precision])
"""


Row = tuple[str, State, str, str | None]
"""The result of one check: name, state, value, and what to do."""


@click.command()
@options.model(
    "--model",
    "Check this model (catalogue id or hub id) instead: its files, its dimension, and how it"
    " encodes a text.",
)
@options.option(
    "--store ADDRESS",
    "Check this store of indexes instead: that it answers, its version, and what it allows.",
)
@options.download
@options.offline
@options.format_
def doctor(model: str | None, store: str | None, download: bool, format_: Format) -> None:
    """Check this machine.

    --store checks a store of indexes instead, --model a model.

    Exit code 1 if a necessary part is missing. Takes the seconds that torch needs to load. With
    --model, exit code 1 if the model is missing or does not do as its recipe says, 3 if the
    catalogue does not have it.
    """
    from bioretrieval_tui.encoding.device import offline
    from bioretrieval_tui.render.sheet import Column, record_sheet

    if download and (model is None or offline()):
        said = "--offline" if offline() else "no --model"
        raise UsageError(f"--download with {said} fetches nothing", remedy="see doctor --help")
    if model is not None and store is not None:
        raise UsageError("--model and --store are two checks", remedy="give one of them")
    found = []
    with narrated(quiet=not sys.stderr.isatty() and not download) as reporter:
        checks = _model(model, reporter, download=download) if model else all_checks()
        for area, row in _store(store) if store else checks:
            found.append(dict(zip(_FIELDS, (area, *row), strict=True)))
            reporter(Progress(f"checked {row[0]}", 0))
    columns = (
        Column("state", "state", min_width=7),
        Column("area", "area", min_width=9),
        Column("name", "what", min_width=12),
        Column("value", "found", weight=4, min_width=20),
        Column("remedy", "remedy", weight=4, min_width=12),
    )
    put_sheet(record_sheet("Doctor", columns, found), format_)
    if any(one["state"] == "missing" for one in found):
        raise click.exceptions.Exit(EXIT_FAILED)


def _model(model: str, reporter: Reporter, *, download: bool) -> Iterator[tuple[str, Row]]:
    """Check one model. Raises NotFoundError where the catalogue does not have it."""
    from bioretrieval_tui.cli.lookups import fetch_missing, model_of_catalogue
    from bioretrieval_tui.encoding.recipe_check import check_model

    hub, recipe, dimension = model_of_catalogue(model)
    if download:
        fetch_missing(hub, recipe, reporter, download=True)
    for check in check_model(hub, recipe, dimension=dimension):
        yield model, (check.name, check.state, check.value, check.remedy)


def _store(address: str) -> Iterator[tuple[str, Row]]:
    """Check a store. Raises UsageError for what is no address."""
    from bioretrieval_tui.index.store_index import check_store
    from bioretrieval_tui.index.stores import parse_address

    for row in check_store(parse_address(address)):
        yield "store", row


def python() -> Iterator[Row]:
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    version = f"{platform.python_version()} ({sys.executable})"
    remedy = None if fits else "3.11 to 3.13 are tested"
    yield "bioretrieval-tui", "ok", __version__, None
    yield "Python", "ok" if fits else "note", version, remedy
    yield "system", "ok", f"{platform.system()} {platform.machine()}", None


def packages() -> Iterator[Row]:
    """Check the versions in the packages' metadata; none is imported."""
    from importlib.metadata import PackageNotFoundError, version

    for name in PACKAGES:
        try:
            yield name, "ok", version(name), None
        except PackageNotFoundError:
            yield name, "missing", "not installed", f"pip install {name}"


def extras() -> Iterator[Row]:
    """Check which optional parts are installed."""
    from importlib.metadata import PackageNotFoundError, version

    for extra, (package, purpose) in EXTRAS.items():
        try:
            yield extra, "ok", f"{package} {version(package)}: {purpose}", None
        except PackageNotFoundError:
            yield extra, "note", f"not installed: {purpose}", install_command(extra)


def native() -> Iterator[Row]:
    """Check whether the HNSW library loads: compiled for another processor, it may crash."""
    code, _, errors = _python("import hnswlib")
    if code == 0:
        yield "hnswlib loads", "ok", "yes", None
        return
    remedy = "compile it here: pip install --force-reinstall --no-deps --no-binary hnswlib hnswlib"
    yield "hnswlib loads", "missing", _why(code, errors), remedy


def catalogue() -> Iterator[Row]:
    """Check whether the catalogue loads, and which overlays were left out."""
    from bioretrieval_tui.catalog.compiled import load

    loaded = load()
    found = loaded.catalogue
    said = f"{len(found.entries):,} entries, {len(found.results):,} published results"
    yield "entries", "ok", said, None
    for problem in loaded.problems:
        yield "overlay", "note", problem, f"correct it in {places().overlays}"


def model() -> Iterator[Row]:
    """Check whether the embedded model is complete and its files are the published ones."""
    from bioretrieval_tui.encoding import embedded
    from bioretrieval_tui.encoding.shipped_vectors import read_shipped

    found = embedded.verify()
    said = f"{embedded.MODEL_ID}, {len(embedded.CHECKSUMS)} checksums right, in {found}"
    yield "embedded model", "ok", said, None
    try:
        shipped = read_shipped()
    except BioRetrievalError as error:
        yield "shipped vectors", "note", error.message, error.remedy
    else:
        yield "shipped vectors", "ok", f"those of {len(shipped.places):,} catalogue entries", None


def board() -> Iterator[Row]:
    """Check the public board."""
    from bioretrieval_tui.catalog.board import load_board
    from bioretrieval_tui.catalog.compiled import data_folder

    found = load_board(data_folder()).header
    said = f"{found.scores:,} scores of {found.models} models, mteb's results at"
    yield "board", "ok", f"{said} {found.results.commit[:7]}", None


def configured() -> Iterator[Row]:
    """Check the settings, keys, commands and themes of the user."""
    problems = configuration_problems()
    for problem in problems:
        yield "config.toml", "note", problem, "correct it; until then the default is in force"
    if not problems:
        yield "config.toml", "ok", "no mistakes", None


def folders() -> Iterator[Row]:
    """Check whether the user's folders can be created and written."""
    import shutil

    where = places()
    state: State
    for name in ("config", "data", "cache", "state"):
        folder: Path = getattr(where, name)
        nearest = next((p for p in (folder, *folder.parents) if p.exists()), folder)
        if folder.exists() and not folder.is_dir():
            problem, state = "is not a folder", "missing"
        elif not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            # Indexes need the data folder; without the others some speed is lost.
            problem, state = "cannot be written", "missing" if name == "data" else "note"
        else:
            problem, state = "writable" if folder.exists() else "can be created", "ok"
        free = ""
        if state == "ok" and name == "data":
            free = f", {size(shutil.disk_usage(nearest).free)} free"
        remedy = None if state == "ok" else f"make {folder} writable, or set BIORETRIEVAL_HOME"
        yield name, state, f"{folder}: {problem}{free}", remedy


def indexes() -> Iterator[Row]:
    from bioretrieval_tui.index.layout import CATALOGUE
    from bioretrieval_tui.index.registry import list_indexes, most_cached
    from bioretrieval_tui.index.report import longer_line

    found = list_indexes()
    yours = [one.bytes for one in found if one.name != CATALOGUE]
    said = f"{len(yours)}, {size(sum(yours))}" if yours else "none yet"
    yield "indexes", "ok", said, None
    if cached := [one.bytes for one in found if one.cached]:
        said = f"{len(cached)}, {size(sum(cached))} of {size(most_cached())} at most"
        yield "of evaluations", "ok", f"{said}; `index clear-cache` removes them", None
    for one in found:
        if one.status != "ok":
            remedy = f"see: bioretrieval-tui index verify {one.name}"
            yield one.name, "note", one.status, remedy
        elif one.passages is None and (line := longer_line(one.longer, one.max_tokens)):
            yield one.name, "note", line, None


def terminal() -> Iterator[Row]:
    """Check what the terminal can do, where a copy goes, and where a page opens."""
    from bioretrieval_tui.terminal.capabilities import here
    from bioretrieval_tui.terminal.desktop import Route, likely_route

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
        state: State = "note" if lacks else "ok"
        yield name, state, value, remedies[name] if lacks else None
    route, means = likely_route(caps)
    if route is Route.DIALOG:
        remedy = means if means.startswith("install") else None
        value = "none: the text is shown to be selected"
        yield "clipboard", "note", value, remedy
    else:
        yield "clipboard", "ok", f"{route}: {means}", None
    browser = os.environ.get("BROWSER")
    if browser or caps.desktop:
        value = f"$BROWSER: {browser}" if browser else "the desktop's browser"
        yield "opening pages", "ok", value, None
    else:
        value, remedy = "no browser: addresses are shown and copied", "set BROWSER if there is one"
        yield "opening pages", "note", value, remedy


def processor() -> Iterator[Row]:
    """Check in which type OpenVINO encodes on this processor, in a child process."""
    code, output, errors = _python(_OPENVINO)
    if code == 0 and output.split():
        version, dtype = output.split()[-2:]
        yield "processor", "ok", f"OpenVINO {version}, encodes in {dtype}", None
        return
    remedy = "torch encodes instead; for speed: pip install --force-reinstall openvino"
    why = f"OpenVINO does not load: {_why(code, errors)}"
    yield "processor", "note", why, remedy


def _why(code: int, errors: str, what: str = "it") -> str:
    lines = errors.strip().splitlines()
    return lines[-1][:200] if lines else f"{what} ended with status {code}"


def _python(program: str) -> tuple[int, str, str]:
    return _run((sys.executable, "-P", "-c", program), _PROBE_SECONDS)


def _run(words: Sequence[str], seconds: float) -> tuple[int, str, str]:
    import subprocess

    try:
        child = subprocess.run(
            words, input="", capture_output=True, errors="replace", timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return 1, "", f"it did not respond in {seconds:.0f} s"
    except OSError as error:
        return 1, "", str(error)
    return child.returncode, child.stdout, child.stderr


def devices() -> Iterator[Row]:
    """Check torch and its devices in a child process, which may crash or use much memory."""
    return _torch_findings(*_python(_TORCH), _nvidia_cards())


def _torch_findings(code: int, output: str, errors: str, cards: list[str]) -> Iterator[Row]:
    told = None
    if code == 0:
        with contextlib.suppress(ValueError, IndexError):
            told = json.loads(output.strip().splitlines()[-1])
    if told is None:
        why = _why(code, errors, "the import")
        absent = "No module named 'torch'" in why
        remedy = "pip install torch" if absent else "reinstall torch"
        yield "torch", "missing", "not installed" if absent else why, remedy
        return
    build = f"CUDA {told['cuda']}" if told["cuda"] else "no CUDA"
    value = f"{told['version']} ({build}), loads in {told['seconds']:.1f} s"
    yield "torch", "ok", value, None
    if told["gpus"]:
        yield "GPU", "ok", ", ".join(told["gpus"]), None
    elif told["mps"]:
        yield "GPU", "ok", "Apple GPU (mps)", None
    elif cards:
        driver = "update the NVIDIA driver to one that supports this CUDA"
        remedy = driver if told["cuda"] else "install a build of torch with CUDA"
        yield "GPU", "note", f"{', '.join(cards)}: torch cannot use it", remedy
    else:
        yield "GPU", "ok", "none found; texts are encoded on the CPU", None


def _nvidia_cards() -> list[str]:
    import shutil

    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    code, output, _ = _run((program, "--query-gpu=name", "--format=csv,noheader"), 20)
    return [line.strip() for line in output.splitlines() if line.strip()] if code == 0 else []


CHECKS: tuple[tuple[str, Callable[[], Iterator[Row]], str, State, str | None], ...] = (
    ("program", python, "Python", "missing", None),
    ("packages", packages, "packages", "missing", None),
    ("packages", native, "hnswlib loads", "missing", None),
    ("optional", extras, "optional parts", "note", None),
    ("catalogue", catalogue, "entries", "missing", "correct the file, or reinstall this program"),
    ("catalogue", board, "board", "note", None),
    ("model", model, "embedded model", "missing", None),
    ("folders", configured, "config.toml", "note", None),
    ("folders", folders, "folders", "note", None),
    ("indexes", indexes, "indexes", "note", None),
    ("terminal", terminal, "terminal", "note", None),
    ("devices", processor, "processor", "note", None),
    ("devices", devices, "torch", "missing", None),
)
"""Area and check, the slow one last; then name, state and remedy of an error that it raises."""


def all_checks() -> Iterator[tuple[str, Row]]:
    for area, check, name, state, otherwise in CHECKS:
        try:
            yield from ((area, row) for row in check())
        except (BioRetrievalError, OSError) as error:
            remedy = getattr(error, "remedy", None) or otherwise
            yield area, (name, state, getattr(error, "message", str(error)), remedy)
