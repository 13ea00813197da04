"""Which format a call means, that all of them stream, and what they load to do it."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice

import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Content
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.render.entries import entry_sheet
from bioretrieval_tui.render.formats import FORMATS, Format, render, resolve
from bioretrieval_tui.render.sheet import Column, Each, Sheet

EMPTY = Catalogue(Content(entries=(), results=(), sources=()))


@pytest.mark.parametrize(
    ("name", "terminal", "expected"),
    [
        (None, True, "table"),
        (None, False, "markdown"),
        ("md", True, "markdown"),
        ("csv", True, "csv"),
        (" JSON ", False, "json"),
        ("csl-json", False, "csl"),
        *[(name, False, name) for name in FORMATS],
    ],
)
def test_resolve(name: str | None, terminal: bool, expected: str) -> None:
    assert resolve(name, terminal=terminal) == expected


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("jsn", "did you mean json?"),
        ("bibtx", "did you mean bibtex?"),
        ("makdown", "did you mean markdown?"),
        ("xlsx", "formats: table, markdown, json, jsonl, csv, bibtex, ris, csl, endnote, latex"),
        ("", "formats: table, markdown, json, jsonl, csv, bibtex, ris, csl, endnote, latex"),
    ],
)
def test_unknown_format_names_the_nearest(name: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(name, terminal=True)
    assert caught.value.exit_code == 2
    assert caught.value.line() == f"there is no format '{name}'; {remedy}"


def test_unknown_format_of_hostile_length_stays_one_short_clean_line() -> None:
    with pytest.raises(UsageError) as caught:
        resolve("\x1b[2J" + "x\n" * 5000, terminal=True)
    assert len(caught.value.line()) < 150
    assert caught.value.line().isprintable()


@pytest.mark.parametrize("to", FORMATS)
def test_every_chunk_is_whole_lines_but_for_the_frame_of_a_json_array(
    to: Format, kinds: dict[str, list[object]]
) -> None:
    chunks = list(render(entry_sheet(kinds["paper"], EMPTY), to))  # type: ignore[arg-type]
    assert len(chunks) > 3
    assert "".join(chunks).endswith("\n")
    if to not in ("json", "csl"):
        assert all(chunk.endswith("\n") for chunk in chunks)


@pytest.mark.parametrize("to", ["markdown", "json", "jsonl", "csv"])
def test_a_long_export_streams(to: Format) -> None:
    """Asking for the first five chunks makes a handful of rows, not the million there are."""
    made: list[int] = []

    def note(number: int) -> int:
        made.append(number)
        return number

    numbers = range(1_000_000)
    sheet = Sheet(
        title="Numbers",
        columns=(Column("n", "n"),),
        rows=Each(lambda n: (note(n),), numbers),
        records=Each(lambda n: {"n": note(n)}, numbers),
    )
    assert len(list(islice(render(sheet, to), 5))) == 5
    assert 0 < len(made) <= 5


def test_each_makes_its_items_when_they_are_read() -> None:
    each = Each(str, (1, 2, 3))
    assert len(each) == 3
    assert list(each) == list(each) == ["1", "2", "3"]
    assert "2" in each


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `code`."""
    script = f"import sys\n{code}\nprint(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_nothing_heavy_is_loaded() -> None:
    loaded = loaded_by(
        "from bioretrieval_tui.render.entries import entry_sheet\n"
        "from bioretrieval_tui.catalog.catalogue import Catalogue\n"
        "from bioretrieval_tui.catalog.models import Content\n"
        "EMPTY = Catalogue(Content(entries=(), results=(), sources=()))\n"
        "from bioretrieval_tui.render.formats import FORMATS, render\n"
        "import bioretrieval_tui.render.entries\n"
        "for to in FORMATS: list(render(entry_sheet([], EMPTY), to, colour=True, links=True))"
    )
    assert "msgspec" in loaded
    assert not loaded & {"rich", "textual", "torch", "numpy", "httpx", "yaml"}
