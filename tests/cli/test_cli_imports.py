"""What a call really loads. Times are ratios for `benchmarks/`; here it is modules."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Call = Callable[..., Any]

HEAVY = {
    "textual", "torch", "numpy", "httpx", "rich", "transformers", "sentence_transformers",
    "hnswlib", "yaml", "asyncio", "sqlite3", "subprocess", "importlib.metadata",
    "bioretrieval_tui.tui", "matplotlib",
}  # fmt: skip

# Written to stderr at the end, whatever the call wrote.
REPORT = """
import atexit, json, sys
atexit.register(lambda: sys.stderr.write(json.dumps(sorted(sys.modules))))
"""


def loaded(cli: Call, *words: str) -> set[str]:
    cli("list", "path")  # the first call compiles the catalogue, for which YAML is read
    called = cli(*words, code=REPORT)
    assert called.code == 0
    assert called.out
    return set(json.loads(called.err.splitlines()[-1]))


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["list", "--help"],
        ["list", "-f", "json"],
        [],
        ["list", "models", "-s", "params", "-f", "csv"],
        ["list", "-f", "table"],
        ["show", "medcpt"],
        ["results", "-f", "json"],
        ["plot", "pareto", "-f", "csv"],
        ["keys"],
        ["completion", "bash"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_loaded(cli: Call, words: list[str]) -> None:
    modules = loaded(cli, *words)
    assert "bioretrieval_tui.main" in modules
    assert modules & HEAVY == set()


def test_help_loads_no_verb_and_no_catalogue(cli: Call) -> None:
    ours = {name for name in loaded(cli, "--help") if name.startswith("bioretrieval_tui.")}
    assert ours == {
        "bioretrieval_tui.main",
        "bioretrieval_tui.cli",
        "bioretrieval_tui.cli.root",
        "bioretrieval_tui.errors",
        "bioretrieval_tui.interrupts",
    }


def test_indexes_are_listed_without_numpy_and_torch(cli: Call) -> None:
    assert loaded(cli, "index", "list") & {"numpy", "torch", "hnswlib", "textual"} == set()
