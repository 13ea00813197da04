"""The compiled form: used while it matches, made anew when anything differs, never in the way."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bioretrieval_tui import paths
from bioretrieval_tui.catalog import compiled
from bioretrieval_tui.catalog.compiled import Compiled, Loaded, compile_catalogue, content_key
from bioretrieval_tui.errors import CatalogueError, NotFoundError
from bioretrieval_tui.paths import Places

Load = Callable[[], Loaded]
Write = Callable[..., Path]

SOURCE = Path(compiled.__file__).resolve().parents[2]
CHECKOUT = SOURCE.parent

# Prints whether PyYAML was needed, and the number of entries.
START = """
import sys
sys.path.insert(0, sys.argv[1])
from bioretrieval_tui.catalog import compiled
loaded = compiled.load()
print("yaml" in sys.modules, len(loaded.catalogue.entries), *loaded.problems)
"""


def start(source: Path, home: Path, **more: str) -> list[str]:
    """Load the catalogue in a process of its own; the words that it prints."""
    environment = {"PATH": os.environ["PATH"], paths.HOME_VARIABLE: str(home), **more}
    done = subprocess.run(
        [sys.executable, "-I", "-c", START, str(source)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(" ")


def kept(home: Places) -> list[Path]:
    """The compiled forms in the cache."""
    return sorted(home.compiled.glob("*.json")) if home.compiled.is_dir() else []


def named(loaded: Loaded, identifier: str) -> str:
    return loaded.catalogue.entry(identifier).name


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The code of a checkout that was never installed: without a compiled form beside it."""
    source = tmp_path / "checkout" / "src"
    unwanted = shutil.ignore_patterns("__pycache__", "_bundle")
    shutil.copytree(SOURCE / "bioretrieval_tui", source / "bioretrieval_tui", ignore=unwanted)
    (tmp_path / "checkout" / "data").symlink_to(CHECKOUT / "data")
    return source


@pytest.fixture
def installed(tmp_path: Path, folder: Path) -> Path:
    """The package as a wheel lays it out: code, and `_bundle` with the YAML and its form."""
    source = tmp_path / "site-packages"
    package = source / "bioretrieval_tui"
    shutil.copytree(
        SOURCE / "bioretrieval_tui",
        package,
        ignore=shutil.ignore_patterns("__pycache__", "_bundle"),
    )
    shutil.copytree(folder, package / "_bundle" / "data")
    shipped = sorted(folder.glob("*.yaml"))
    form = compile_catalogue(folder, {}, content_key(shipped, {}))
    (package / "_bundle" / "catalogue.json").write_bytes(msgspec.json.encode(form))
    return source


def test_a_checkout_compiles_once_and_then_needs_no_yaml(checkout: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = start(checkout, home)
    second = start(checkout, home)
    assert first[0] == "True"
    assert second[0] == "False"
    assert first[1:] == second[1:]


@pytest.mark.parametrize("broken", [False, True])
def test_an_editable_install_compiles(
    broken: bool, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catalogue with problems does not prevent it: the app says what is wrong."""
    if broken:
        (folder / "all.yaml").write_text("models: 3\n")
    spec = importlib.util.spec_from_file_location("hatch_build", CHECKOUT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    monkeypatch.setattr(compiled, "BUNDLE", tmp_path / "_bundle")
    hook = build.CompiledCatalogue(str(folder.parent), {}, {}, None, str(tmp_path), "wheel")
    hook.initialize("editable", {})
    forms = list(tmp_path.glob("_bundle/*"))
    assert len(forms) == (0 if broken else 1)
    for form in forms:
        key = content_key(sorted(folder.glob("*.yaml")), {})
        assert msgspec.json.decode(form.read_bytes(), type=Compiled).key == key


def test_the_bundled_form_is_used_and_nothing_is_written(
    installed: Path, tmp_path: Path, home: Places
) -> None:
    words = start(installed, tmp_path / "home")
    assert words == ["False", "5\n"]
    assert not home.cache.exists()


def test_a_wheel_whose_yaml_was_edited_tells_the_truth(installed: Path, tmp_path: Path) -> None:
    """Whoever edits the installed YAML sees the edit, not the form that came with the wheel."""
    path = installed / "bioretrieval_tui" / "_bundle" / "data" / "all.yaml"
    extra = "  - {id: train-beta, name: B, summary: S, sources: [card], model: beta, method: m}\n"
    path.write_text(path.read_text().replace("results:\n", extra + "results:\n"))
    assert start(installed, tmp_path / "home") == ["True", "6\n"]
    assert start(installed, tmp_path / "home") == ["False", "6\n"]


def test_an_overlay_on_an_installed_package(
    installed: Path, tmp_path: Path, overlay: Write
) -> None:
    overlay("mine.yaml", "models:\n  - {id: alpha, name: Mine}\n")
    assert start(installed, tmp_path / "home")[0] == "True"
    assert start(installed, tmp_path / "home")[0] == "False"


def test_a_matching_form_is_taken_as_it_is(load: Load, home: Places) -> None:
    """Proof that the second start reads the form: what it holds is what is answered."""
    assert named(load(), "alpha") == "Alpha"
    (path,) = kept(home)
    path.write_bytes(path.read_bytes().replace(b'"name":"Alpha"', b'"name":"Other"'))
    assert named(load(), "alpha") == "Other"


def test_a_changed_byte_compiles_anew(load: Load, folder: Path, home: Places) -> None:
    load()
    path = folder / "all.yaml"
    text = path.read_text()
    path.write_text(text.replace("summary: A model.", "summary: A MODEL."))
    os.utime(path, (0, 0))  # the content counts, not the time
    assert load().catalogue.entry("alpha").summary == "A MODEL."
    path.write_text(text)
    assert load().catalogue.entry("alpha").summary == "A model."
    assert len(kept(home)) == 2


def test_an_overlay_that_comes_changes_and_goes(load: Load, overlay: Write, home: Places) -> None:
    assert named(load(), "alpha") == "Alpha"
    path = overlay("mine.yaml", "models:\n  - {id: alpha, name: One}\n")
    assert named(load(), "alpha") == "One"
    overlay("mine.yaml", "models:\n  - {id: alpha, name: Two}\n")
    assert named(load(), "alpha") == "Two"
    path.rename(path.with_name("also-mine.yaml"))
    assert named(load(), "alpha") == "Two"
    path.with_name("also-mine.yaml").unlink()
    assert named(load(), "alpha") == "Alpha"


def test_a_file_of_the_catalogue_and_an_overlay_are_told_apart(
    load: Load, folder: Path, home: Places
) -> None:
    """The same bytes under the same name mean different things in the two places."""
    load()
    shipped = sorted(folder.glob("*.yaml"))
    moved = content_key(shipped[:1], {shipped[1]: shipped[1].read_bytes()})
    assert moved != content_key(shipped, {})


def test_problems_of_an_overlay_are_kept_with_the_form(load: Load, overlay: Write) -> None:
    path = overlay("mine.yaml", "models:\n  - {id: alpha, parms: 1}\n")
    first, second = load(), load()
    assert first.problems == second.problems
    assert first.problems[0].startswith(f"{path}:2: alpha: parms: unknown key 'parms'")


DAMAGE = [
    ("empty", lambda data: b""),
    ("truncated", lambda data: data[: len(data) // 2]),
    ("one byte short", lambda data: data[:-1]),
    ("garbage", lambda data: b"\x00\xff" * 500),
    ("no UTF-8", lambda data: data.replace(b"Alpha", b"\xff\xfe\xfd\xfc\xfb", 1)),
    ("deep", lambda data: b'{"more":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    ("another shape", lambda data: b'{"key": 1}'),
    ("another type inside", lambda data: data.replace(b'"year":2020', b'"year":"x"')),
    ("another key", lambda data: data.replace(b'"key":"', b'"key":"0')),
    ("a list", lambda data: b"[]"),
]


@pytest.mark.parametrize("damage", [case[1] for case in DAMAGE], ids=[case[0] for case in DAMAGE])
def test_a_damaged_form_is_made_anew(
    load: Load, home: Places, damage: Callable[[bytes], bytes]
) -> None:
    load()
    (path,) = kept(home)
    sound = path.read_bytes()
    path.write_bytes(damage(sound))
    assert path.read_bytes() != sound
    assert named(load(), "alpha") == "Alpha"
    assert path.read_bytes() == sound


def test_a_form_of_other_content_under_our_name_is_not_believed(
    load: Load, folder: Path, home: Places
) -> None:
    load()
    (old,) = kept(home)
    path = folder / "all.yaml"
    path.write_text(path.read_text().replace("name: Beta", "name: Better"))
    new = content_key(sorted(folder.glob("*.yaml")), {})
    old.rename(old.with_name(f"{new}.json"))
    assert named(load(), "beta") == "Better"


def test_a_folder_where_the_form_should_be(load: Load, home: Places) -> None:
    load()
    (path,) = kept(home)
    path.unlink()
    path.mkdir()
    assert named(load(), "alpha") == "Alpha"


def test_a_cache_that_cannot_be_made_does_not_matter(load: Load, home: Places) -> None:
    home.cache.parent.mkdir(parents=True)
    home.cache.write_text("a file in the way")
    assert named(load(), "alpha") == "Alpha"
    assert named(load(), "alpha") == "Alpha"


def test_a_full_disk_does_not_matter(checkout: Path, tmp_path: Path) -> None:
    """A limit on the size of written files stands in for a disk that fills while we write."""
    home = tmp_path / "home"
    limited = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", limited + START, str(checkout)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], paths.HOME_VARIABLE: str(home)},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) > 200
    assert [p for p in home.rglob("*") if p.is_file()] == []  # nothing half-written stays


def test_two_processes_at_once(checkout: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    command = [sys.executable, "-I", "-c", START, str(checkout)]
    environment = {"PATH": os.environ["PATH"], paths.HOME_VARIABLE: str(home)}
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(3)
    ]
    said = {process.communicate()[0].split()[1] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(said) == 1
    (form,) = (home / "cache" / "catalogue").iterdir()
    assert msgspec.json.decode(form.read_bytes(), type=Compiled).key == form.stem
    assert start(checkout, home)[0] == "False"


def test_old_forms_are_swept(load: Load, overlay: Write, home: Places) -> None:
    for n in range(12):
        overlay("mine.yaml", f"models:\n  - {{id: alpha, name: N{n}}}\n")
        assert named(load(), "alpha") == f"N{n}"
    assert len(kept(home)) == 8


def test_an_edit_while_the_files_are_read_is_not_kept_under_the_old_key(
    load: Load, folder: Path, home: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiling = compiled.compile_catalogue

    def edited(*arguments: object) -> Compiled:
        path = folder / "all.yaml"
        path.write_text(path.read_text().replace("name: Beta", "name: Better"))
        return compiling(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(compiled, "compile_catalogue", edited)
    assert named(load(), "beta") == "Better"
    assert kept(home) == []


def test_a_shipped_catalogue_with_faults_names_them_all(load: Load, folder: Path) -> None:
    path = folder / "all.yaml"
    path.write_text(path.read_text().replace("year: 2020", "year: x").replace("value: 0.5", "v: 1"))
    with pytest.raises(CatalogueError) as caught:
        load()
    assert [p.field for p in caught.value.problems] == ["year", "v", "value"]
    assert caught.value.line().endswith("(and 2 more)")


def test_no_catalogue_and_one_that_cannot_be_read(load: Load, folder: Path) -> None:
    shutil.move(folder / "all.yaml", folder.parent / "kept.yaml")
    (folder / "all.yaml").mkdir()
    with pytest.raises(CatalogueError, match=r"all\.yaml: cannot be read: Is a directory"):
        load()
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(NotFoundError, match="no catalogue in"):
        load()


def test_the_form_of_the_real_catalogue_holds_all_of_it(tmp_path: Path) -> None:
    folder = CHECKOUT / "data"
    form = compile_catalogue(folder, {}, "key")
    again = msgspec.json.decode(msgspec.json.encode(form), type=Compiled)
    assert again == form
    assert form.problems == ()


def test_data_are_found_beside_the_checkout() -> None:
    assert compiled.data_folder() == CHECKOUT / "data"
