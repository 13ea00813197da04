"""`config.toml`: what can be set there, with types and defaults, what is in force, and its faults.

A value comes from the environment, else from the file, else it is the default. What is wrong in the
file is a `Problem` with its line and leaves the default in force: nothing here raises for it but
`set_value`, which writes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from bioretrieval_tui.actions import ACTIONS, Action, commands_in
from bioretrieval_tui.errors import BioRetrievalError, Problem, UsageError
from bioretrieval_tui.keymap import PRESETS, Keys, as_key, assign, what_is_a_key
from bioretrieval_tui.paths import file_errors, locked, places, private, save_file
from bioretrieval_tui.util.formatting import did_you_mean

THEMES = ("dark", "light", "terminal")
"""The themes of the program; others are files in the folder `themes`."""


Place = tuple[str | int, ...]
"""The keys that lead to a value, with numbers in lists."""
Lines = dict[Place, int]
Report = Callable[[Place, str], None]


def _meta(
    text: str, variable: str = "", *, secret: bool = False, most: float | None = None
) -> Meta:
    """variable: of the environment, which wins over the file; secret: is shown masked; most: of a
    number from 0."""
    extra = {"variable": variable, "secret": secret}
    return Meta(description=text, extra=extra, ge=None if most is None else 0, le=most)


class OnlineConfig(Struct, frozen=True):
    """The table `[online]`: what is sent to services."""

    contact: Annotated[
        str, _meta("An address that services may write to; sent along", "BIORETRIEVAL_CONTACT")
    ] = ""
    ncbi_api_key: Annotated[
        str, _meta("A key of NCBI: ten requests a second, not three", "NCBI_API_KEY", secret=True)
    ] = ""


class CommandConfig(Struct, frozen=True):
    """A table `[[command]]`: a command of the user's shell for the row under the cursor."""

    key: Annotated[str | list[str], _meta("Its key, or a list of keys")]
    command: Annotated[str, _meta("What the shell runs; {url} is a field of the row, quoted")]
    pane: Annotated[
        Literal[
            "everywhere",
            "home",
            "timeline",
            "papers",
            "models",
            "datasets",
            "benchmarks",
            "leaderboard",
            "path",
            "search",
            "indexes",
            "news",
            "found",
            "shelf",
        ],
        _meta("Where its key works"),
    ] = "everywhere"
    output: Annotated[
        Literal["dialog", "background"], _meta("Where its output goes: background shows its end")
    ] = "dialog"
    name: Annotated[str, _meta("Its name in help and palette")] = ""

    @property
    def label(self) -> str:
        return self.name or self.command.partition(" ")[0]

    @property
    def scope(self) -> str:
        """The scope of its action."""
        return self.pane if self.pane == "everywhere" else commands_in(self.pane)


class Config(Struct, frozen=True):
    """All that can be set."""

    theme: Annotated[
        str, _meta("Theme of the app until another is chosen in it: dark, light, terminal, a file")
    ] = THEMES[0]
    notify: Annotated[
        bool, _meta("The terminal tells the end of a long job", "BIORETRIEVAL_NOTIFY")
    ] = True
    preload: Annotated[
        bool, _meta("The search process starts when the app is idle", "BIORETRIEVAL_PRELOAD")
    ] = True
    offline: Annotated[bool, _meta("Never use the network", "BIORETRIEVAL_OFFLINE")] = False
    cache_gib: Annotated[
        float,
        _meta("GiB that indexes of evaluations may take", "BIORETRIEVAL_CACHE_GIB", most=1e6),
    ] = 20.0
    engine: Annotated[
        Literal["auto", "torch"], _meta("What encodes on processors", "BIORETRIEVAL_ENGINE")
    ] = "auto"
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        _meta("Type of the numbers that OpenVINO computes with", "BIORETRIEVAL_PRECISION"),
    ] = "auto"
    online: Annotated[OnlineConfig, _meta("What is sent to services")] = OnlineConfig()
    keys: Annotated[
        dict[str, str | list[str]],
        _meta("Keys of the app: a preset, and `action = key` or a list of keys, by ids of `keys`"),
    ] = {}
    command: Annotated[
        list[CommandConfig], _meta("Commands of yours, a table [[command]] each")
    ] = []


class Value(msgspec.Struct, frozen=True):
    """One thing that can be set. key: with its table, as `online.contact`; kind: its type with what
    is known of it."""

    key: str
    kind: Any
    default: object
    help: str
    variable: str
    secret: bool


class Configuration(msgspec.Struct, frozen=True):
    """What is in force. origins: by key, what set a value that is not the default: a variable, or
    the file and line; actions: with the keys in force."""

    config: Config
    origins: dict[str, str]
    problems: tuple[Problem, ...]
    path: Path
    actions: tuple[Action, ...] = ACTIONS

    def value(self, key: str) -> Any:
        found: Any = self.config
        for part in key.split("."):
            found = getattr(found, part)
        return found


@lru_cache(maxsize=1)
def values() -> tuple[Value, ...]:
    """All single values, those of tables too."""
    return tuple(_values(Config, ""))


def _values(kind: type[Struct], table: str) -> Iterator[Value]:
    for field in msgspec.structs.fields(kind):
        inner, meta = get_args(field.type)
        if isinstance(inner, type) and issubclass(inner, Struct):
            yield from _values(inner, f"{field.name}.")
        elif get_origin(inner) not in (dict, list):
            extra = meta.extra
            yield Value(table + field.name, field.type, field.default, meta.description, **extra)


@cache  # `configuration` is asked hundreds of times for a list of models
def _of_variables() -> tuple[Value, ...]:
    return tuple(one for one in values() if one.variable)


def config_path() -> Path:
    return places().config / "config.toml"


def configuration() -> Configuration:
    """What is in force now. Raises nothing."""
    path = config_path()
    try:
        known = path.stat()
        seen = (known.st_mtime_ns, known.st_size, known.st_ino)
    except OSError:
        seen = (0, 0, 0)  # reading tells why, if it is there
    found = _of_file(path, seen)
    config, origins, problems = found.config, dict(found.origins), list(found.problems)
    changes: dict[str, dict[str, Any]] = {}
    for one in _of_variables():
        if not (given := os.environ.get(one.variable, "").strip()):
            continue
        is_switch = _plain(one.kind) is bool
        value = given != "0" if is_switch else _converted(given, one.kind, strict=False)
        if value is _WRONG:
            problems.append(Problem(one.variable, f"must be {_expected(one.kind)}"))
            continue
        table, _, name = one.key.rpartition(".")
        changes.setdefault(table, {})[name] = value
        origins[one.key] = one.variable
    here = changes.pop("", {})
    for table, changed in changes.items():
        here[table] = msgspec.structs.replace(getattr(config, table), **changed)
    if here:
        config = msgspec.structs.replace(config, **here)
    return replace(found, config=config, origins=origins, problems=tuple(problems))


def offline_origin() -> str:
    """What forbids the network."""
    found = configuration()
    origin = found.origins.get("offline", str(found.path))
    return origin if origin.isupper() else f"offline in {origin}"


@lru_cache(maxsize=4)
def _of_file(path: Path, _seen: tuple[int, int, int]) -> Configuration:
    """What the file says; `_seen` tells its versions apart."""
    try:
        return read_text(path.read_text("utf-8"), path)
    except FileNotFoundError:
        return Configuration(Config(), {}, (), path)
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "not UTF-8"
        return _unread(Problem(path, f"not read: {said}"), path)


def read_text(text: str, path: Path) -> Configuration:
    """What a text says that stands in `path`, or will."""
    data = parsed(text, path)
    if isinstance(data, Problem):
        return _unread(data, path)
    lines = line_numbers(text)
    problems: list[Problem] = []

    def report(place: Place, message: str) -> None:
        field = ".".join(str(part) for part in place if isinstance(part, str))
        problems.append(Problem(path, message, _line_of(place, lines), field=field))

    config = _taken(data, Config, (), report)
    if not isinstance(data.get("offline", False), bool):
        config = msgspec.structs.replace(config, offline=True)  # in doubt, not onto the network
    if (theme := config.theme) not in THEMES and theme not in own_themes(path.parent):
        known = (*THEMES, *own_themes(path.parent))
        meant = did_you_mean(theme, known, f"themes: {', '.join(known)}")
        report(("theme",), f"there is no theme '{theme[:40]}'; {meant}")
        config = msgspec.structs.replace(config, theme=THEMES[0])
    wrong = {problem.field for problem in problems}
    origins = {
        one.key: f"{path}:{lines[place]}"
        for one in values()
        if (place := (*one.key.split("."),)) in lines and one.key not in wrong
    }
    actions = _assigned(config, path, lines, report)
    for name in config.keys:
        if not any(problem.field == f"keys.{name}" for problem in problems):
            origins[f"keys.{name}"] = f"{path}:{_line_of(('keys', name), lines)}"
    problems.sort(key=lambda problem: problem.line or 0)
    return Configuration(config, origins, tuple(problems), path, actions)


def _assigned(config: Config, path: Path, lines: Lines, report: Report) -> tuple[Action, ...]:
    """The actions with the keys of the table `[keys]`."""
    preset, wanted = config.keys.get("preset", "default"), dict[str, Keys]()
    known = [action.id for action in ACTIONS]
    if preset not in PRESETS:
        meant = did_you_mean(str(preset), PRESETS, f"presets: {', '.join(PRESETS)}")
        report(("keys", "preset"), f"there is no such preset; {meant}")
        preset = "default"
    for name, given in config.keys.items():
        if name == "preset":
            continue
        texts = [given] if isinstance(given, str) else given
        keys = [as_key(text) for text in texts]
        if name not in known:
            meant = did_you_mean(name, known, "bioretrieval-tui keys lists the actions")
            report(("keys", name), f"there is no such action; {meant}")
        elif None in keys:
            report(("keys", name), what_is_a_key(texts[keys.index(None)]))
        else:
            wanted[name] = tuple(key for key in keys if key)
    commands = []
    for number, command in enumerate(config.command):
        if not command.command:
            continue
        texts = [command.key] if isinstance(command.key, str) else command.key
        keys = [as_key(text) for text in texts]
        if None in keys:
            report(("command", number, "key"), what_is_a_key(texts[keys.index(None)]))
        its = tuple(key for key in keys if key)
        what = (f"user_command({number})", command.label, command.command)
        commands.append(
            Action(f"command-{number}", command.scope, its, f"app.{what[0]}", *what[1:])
        )
    actions, wrong = assign(preset, wanted, commands)
    for name, why in wrong:
        if name in wanted:
            report(("keys", name), f"{why}; its keys stay")
            del wanted[name]
        else:
            place = ("command", int(name.partition("-")[2]), "key")
            report(place, f"{why}; only the palette has the command")
    places = {name: f"{path}:{_line_of(('keys', name), lines)}" for name in wanted}
    ours, otherwise = {one.id: one for one in ACTIONS}, f"preset {preset}"
    for one in commands:
        number = int(one.id.partition("-")[2])
        places[one.id] = f"{path}:{_line_of(('command', number), lines)}"
    return tuple(
        one if one is ours.get(one.id) else replace(one, origin=places.get(one.id, otherwise))
        for one in actions
    )


def parsed(text: str, path: Path) -> dict[str, Any] | Problem:
    """The values of a TOML text, or why it is none."""
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # The parser's message may quote the line, which may hold a key.
        at = re.search(r"\(at line (\d+)", str(error))
        return Problem(path, "not valid TOML", int(at[1]) if at else None)


def _unread(problem: Problem, path: Path) -> Configuration:
    """What cannot be read may forbid the network."""
    return Configuration(Config(offline=True), {"offline": str(path)}, (problem,), path)


def own_themes(folder: Path) -> list[str]:
    """The names of the user's themes, files in the folder `themes` beside `config.toml`."""
    return sorted(path.stem for path in (folder / "themes").glob("*.toml"))


# Types --------------------------------------------------------------------------------------

_WRONG: Any = object()


def _taken(raw: object, kind: Any, place: Place, report: Report) -> Any:
    """A value of a type, as far as it is one: what is wrong within a table is reported, and the
    default stays. `_WRONG` where nothing of it can be used."""
    plain = _plain(kind)
    if isinstance(plain, type) and issubclass(plain, Struct):
        if not isinstance(raw, dict):
            report(place, f"must be a table: write [{'.'.join(map(str, place))}]")
            return _WRONG
        return _taken_struct(raw, plain, place, report)
    if get_origin(plain) is list and issubclass(get_args(plain)[0], Struct):
        if not isinstance(raw, list):
            report(place, f"must be a list of tables: write [[{place[-1]}]]")
            return _WRONG
        inner, unusable = get_args(plain)[0], CommandConfig("", "")
        taken_list = [_taken(one, inner, (*place, at), report) for at, one in enumerate(raw)]
        return [unusable if one is _WRONG else one for one in taken_list]
    if get_origin(plain) is dict and isinstance(raw, dict):
        inner = get_args(plain)[1]
        taken = {name: _taken(one, inner, (*place, name), report) for name, one in raw.items()}
        return {name: one for name, one in taken.items() if one is not _WRONG}
    if (value := _converted(raw, kind)) is _WRONG:
        report(place, f"must be {_expected(kind)}")
    return value


def _taken_struct(raw: dict[str, Any], kind: type[Struct], place: Place, report: Report) -> Any:
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for name in raw.keys() - fields.keys():
        known = [*fields, *(one.key for one in values())]
        meant = did_you_mean(name, known, f"known here: {', '.join(fields)}")
        report((*place, name), f"unknown; {meant}")
    taken = {
        name: value
        for name, field in fields.items()
        if name in raw
        and (value := _taken(raw[name], field.type, (*place, name), report)) is not _WRONG
    }
    needed = [name for name, field in fields.items() if field.required]
    for name in needed:
        if name not in raw:
            report((*place, name), "is missing")
    return kind(**taken) if taken.keys() >= {*needed} else _WRONG


def _converted(raw: object, kind: Any, *, strict: bool = True) -> Any:
    try:
        return msgspec.convert(raw, kind, strict=strict)
    except msgspec.ValidationError:
        return _WRONG


def _plain(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _expected(kind: Any) -> str:
    kind = _plain(kind)
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    names = {bool: "true or false", str: 'a text: "..."', float: "a number from 0"}
    return names.get(kind, "a text or a list of texts")


# Places in the text ---------------------------------------------------------------------------

_NAME = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_DOTTED = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_LINE = re.compile(
    rf"\s*(?:\[\[\s*(?P<item>{_DOTTED})\s*\]\]|\[\s*(?P<table>{_DOTTED})\s*\]\s*(?:#.*)?$"
    rf"|(?P<key>{_DOTTED})\s*=)"
)


def line_numbers(text: str) -> Lines:
    """The line of each key and table, by their path; the tables of a list have numbers in it."""
    found: Lines = {}
    table: Place = ()
    counts: Lines = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.match(line)
        if match is None:
            continue
        kind = match.lastgroup or ""
        path = tuple(part.strip("\"'") for part in re.findall(_NAME, match[kind]))
        if kind == "key":
            found.setdefault((*table, *path), number)
            continue
        table = path
        if kind == "item":
            counts[path] = counts.get(path, -1) + 1
            table = (*path, counts[path])
        found.setdefault(table, number)
    return found


def _line_of(place: Place, lines: Lines) -> int | None:
    """The line of a value, or of the nearest table around it."""
    ends = (place[:end] for end in range(len(place), 0, -1))
    return next((lines[end] for end in ends if end in lines), None)


# Writing, and for editors ---------------------------------------------------------------------


def set_value(key: str, text: str) -> Path:
    """Write a value, given as text, into the file; comments and all else stay as they are.

    Raises UsageError: no such key, or a value of another type; BioRetrievalError: the file is not
    valid, or cannot be written. Nothing is written then.
    """
    settable = {value.key: value for value in (*values(), *_key_values())}
    one = settable.get(key)
    if one is None:
        known = list(settable)
        meant = did_you_mean(key, known, "bioretrieval-tui config lists the names")
        raise UsageError(f"nothing of the name '{key}' can be set", remedy=meant)
    given: Any = {"yes": True, "on": True, "no": False, "off": False}.get(text.casefold(), text)
    given = given if _plain(one.kind) is bool else text
    if key.startswith("keys.") and key != "keys.preset":
        given = given.split(", ") if ", " in given else given
    value = _converted(given, one.kind, strict=False)
    if value is _WRONG:
        raise UsageError(f"{key} must be {_expected(one.kind)}", remedy="nothing was written")
    return _changed(key, value, secret=one.secret)


def unset_value(key: str) -> Path:
    """Take a value out of the file, also one that is no setting; comments and all else stay.

    Raises UsageError: the file does not have it; BioRetrievalError: as `set_value`."""
    return _changed(key, None)


def _changed(key: str, value: object, *, secret: bool = False) -> Path:
    """Write the file with another value of a key, without it if that is None."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    path = config_path().resolve()  # it may be a link into a repository of such files
    said = f"{path} cannot be changed"
    with locked(path.with_name(f".{path.name}.lock"), said, "another one changes it"):
        with file_errors(said):
            before = path.read_text("utf-8") if path.exists() else ""
        try:
            document = tomlkit.parse(before)
            table: Any = document
            *tables, name = key.split(".")
            for part in tables:
                table = table.setdefault(part, {} if value is None else tomlkit.table())
            if value is not None:
                table[name] = value
            elif name in table:
                del table[name]
            else:
                known = [one.key for one in (*values(), *_key_values())]
                meant = did_you_mean(key, known, "it has its default") if key not in known else ""
                raise UsageError(f"{path.name} does not set {key}", remedy=meant or None)
            after = tomlkit.dumps(document)
        except (TOMLKitError, TypeError, AttributeError) as error:
            problems = [str(one) for one in read_text(before, path).problems]
            raise BioRetrievalError(
                problems[0] if problems else said, remedy="correct the file first"
            ) from error
        known_before = {one.message for one in read_text(before, path).problems}
        for problem in read_text(after, path).problems:
            if problem.message not in known_before:
                raise UsageError(f"{key}: {problem.message}", remedy="nothing was written")
        hidden = secret or (path.exists() and not path.stat().st_mode & 0o077)
        save_file(path, after.encode(), path.name, opener=private if hidden else None)
    return path


def _key_values() -> Iterator[Value]:
    """What the table `[keys]` takes."""
    yield Value(
        "keys.preset", Literal["default", "vim"], "default", "Keys to begin with", "", False
    )
    for one in ACTIONS:
        yield Value(f"keys.{one.id}", str | list[str], list(one.keys), one.help, "", False)


def schema() -> dict[str, Any]:
    """A JSON Schema of the file, for editors."""
    found = msgspec.json.schema(Config)
    keys = {
        one.key.partition(".")[2]: {"description": one.help, **msgspec.json.schema(one.kind)}
        for one in _key_values()
    }
    known = found["$defs"]["Config"]["properties"]["keys"]
    found["$defs"]["Config"]["properties"]["keys"] = {
        "type": "object", "description": known["description"], "properties": keys, "default": {},
    }  # fmt: skip
    for table in (*found["$defs"].values(), found["$defs"]["Config"]["properties"]["keys"]):
        table["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
