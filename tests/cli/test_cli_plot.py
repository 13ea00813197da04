"""`plot`: drawn on a terminal, as data in a pipe, and as a file by its extension."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_cli_terminal import Call


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["pareto", "-b", "scifact"], {"name", "params", "score", "mark", "front", "id"}),
        (["pareto", "--against", "memory"], {"name", "memory", "score", "mark", "front", "id"}),
        (
            ["history", "-b", "nfcorpus"],
            {"benchmark", "name", "released", "score", "mark", "front", "id"},
        ),
        (["timeline"], {"year", "era", "name", "trained_from", "id"}),
        (["profile", "medcpt"], {"benchmark", "rank", "of", "score", "id"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_data_of_each_kind(cli: Call, words: list[str], keys: set[str]) -> None:
    rows = cli("plot", *words, "-f", "json").json
    assert len(rows) > 3
    assert all(set(row) == keys for row in rows)
    assert cli("plot", *words).out.startswith("# ")


def test_the_scores_are_those_of_results(cli: Call) -> None:
    published = {
        (row["model"], row["value"])
        for row in cli("results", "-b", "scifact", "-f", "json").json
    }  # fmt: skip
    rows = cli("plot", "pareto", "-b", "scifact", "-f", "json").json
    assert {(row["id"], row["score"]) for row in rows} <= published
    front = [row for row in rows if row["front"]]
    assert front[0]["score"] == max(row["score"] for row in rows)


def test_a_filter_keeps_models(cli: Call) -> None:
    rows = cli("plot", "pareto", "-b", "scifact", "-w", "params<=150M", "-f", "json").json
    assert rows
    assert max(row["params"] for row in rows) <= 150_000_000


@pytest.mark.parametrize("name", ["out.svg", "out.csv", "out.txt"])
def test_a_file_takes_the_form_of_its_extension(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    called = cli("plot", "profile", "medcpt", "-o", name)
    assert (called.code, called.out) == (0, "")
    assert called.err.splitlines() == [f"bioretrieval-tui: wrote {name}"]
    assert "SciFact" in (tmp_path / name).read_text(encoding="utf-8")


def test_on_a_terminal_it_is_drawn(terminal: Call) -> None:
    seen = terminal("plot", "pareto", "-b", "scifact", columns=80, rows=40, env={"NO_COLOR": "1"})
    assert "\x1b" not in seen.out
    lines = [line.rstrip("\r") for line in seen.out.split("\n")]
    assert lines[0] == "nDCG@10 of SciFact against parameters"
    assert "● Pareto front" in lines[1]
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 40
    assert "\x1b[32m●" in terminal("plot", "history", "-b", "scifact").out
