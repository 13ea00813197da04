"""A small sound catalogue in a folder of its own, and the real one, for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bioretrieval_tui.catalog import compiled
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.compiled import Loaded
from bioretrieval_tui.catalog.loader import parse, read_folder
from bioretrieval_tui.catalog.models import Content
from bioretrieval_tui.errors import CatalogueError, Problem
from bioretrieval_tui.paths import Places

DATA = Path(__file__).resolve().parents[2] / "data"

MAIN = """\
version: 1
updated: "2026-11-22"
include:
  - all.yaml
"""

ALL = """\
sources:
  - {id: card, text: The model card, url: "https://example.org/card"}
  - {id: table, text: A table}
papers:
  - id: alpha-paper
    name: Alpha
    title: Alpha, a retriever
    year: 2020
    summary: A paper.
    links:
      - {label: arXiv, url: "https://arxiv.org/abs/2001.00001", type: arxiv}
    tags: [bi-encoder]
    sources: [card]
    added: "2026-11-22"
models:
  - id: alpha
    name: Alpha
    role: retriever
    summary: A model.
    params: 109000000
    dimension: 768
    sources: [card]
    relations: [alpha-paper]
    statuses: {params: unverified}
    facts:
      - {label: training pairs, value: "5", source: card}
    notes:
      - {text: A caution., source: card, corrects: true}
    encoding:
      type: bi-encoder
      grade: A
      query: {model: lab/alpha, template: "query: {query}", max_length: 64}
      document: {model: lab/alpha, pair: ["{title}", "{text}"]}
      pooling: cls
      instructions: {tests: Find what answers the question}
      check: {text: a word, side: query, starts: [0.5, -0.25], source: card}
      unverified: [pooling]
  - {id: beta, name: Beta, role: lexical, summary: Another., sources: [card], params: 0}
benchmarks:
  - {id: tests, name: Tests, summary: A set., sources: [table], queries: 50, loaders: {mteb: Tests}}
recipes:
  - {id: train-alpha, name: Train, summary: A way., sources: [card], model: alpha, method: by hand}
results:
  - {model: alpha, benchmark: tests, value: 0.5, source: table}
  - {model: beta, benchmark: tests, value: 0.25, source: table, comparable: false, note: other data}
"""

Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a catalogue of two files and no faults."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "catalog.yaml").write_text(MAIN, encoding="utf-8")
    (data / "all.yaml").write_text(ALL, encoding="utf-8")
    return data


@pytest.fixture
def edit(folder: Path) -> Callable[..., str]:
    """Replaces the one place of some words in a file of the folder, and gives the new text."""

    def replace(old: str, new: str, name: str = "all.yaml") -> str:
        path = folder / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
        return text

    return replace


@pytest.fixture
def problems(folder: Path) -> Callable[[], list[Problem]]:
    """Reads the folder: every problem, or [] where it is sound."""

    def read() -> list[Problem]:
        try:
            parse(read_folder(folder))
        except CatalogueError as error:
            return error.problems
        return []

    return read


@pytest.fixture(scope="session")
def small() -> bytes:
    """The one file that holds the small catalogue."""
    return ALL.encode()


@pytest.fixture
def home(tmp_path: Path) -> Places:
    """Folders of a user who has nothing yet."""
    root = tmp_path / "home"
    return Places(root / "config", root / "data", root / "cache", root / "state")


@pytest.fixture
def overlay(home: Places) -> Write:
    """Writes a file into the user's overlay folder."""

    def write(name: str, text: str | bytes) -> Path:
        home.overlays.mkdir(parents=True, exist_ok=True)
        path = home.overlays / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def load(folder: Path, home: Places, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Loaded]:
    """Loads the small catalogue with the user's overlays, as a start of the program does."""
    monkeypatch.setattr(compiled, "BUNDLE", folder.parent)
    return lambda: compiled.load(home)


@pytest.fixture(scope="session")
def shipped() -> Content:
    """The catalogue of this checkout, read from its YAML with every check."""
    _, content = parse(read_folder(DATA))
    return content


@pytest.fixture(scope="session")
def catalogue(shipped: Content) -> Catalogue:
    """The same as the program sees it."""
    return Catalogue(shipped)
