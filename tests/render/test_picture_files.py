"""Figures as files: SVG whose text is text, PNG, and the data by extension."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from msgspec.structs import replace
from test_figures import SCORED, model
from test_plot_text import FIGURES

from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.render import picture_files
from bioretrieval_tui.render.figures import Bar, Figure, ScoredModel, quality_figure
from bioretrieval_tui.render.picture_files import EXTENSIONS, picture, write_figure


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where matplotlib may keep its list of fonts."""
    monkeypatch.setenv("BIORETRIEVAL_HOME", str(tmp_path / "home"))
    return tmp_path


def texts(svg: bytes) -> list[str]:
    return [node.text or "" for node in etree.fromstring(svg).iter("{*}text")]


@pytest.mark.parametrize("name", ["pareto", "history", "profile", "timeline"])
def test_svg_has_its_text_and_is_the_same_each_time(name: str) -> None:
    figure = FIGURES[name]
    svg = picture(figure, ".svg")
    found = texts(svg)
    assert figure.title in found
    assert {point.name for point in figure.front} <= set(found)
    assert {bar.name for bar in figure.bars} <= set(found)
    assert picture(figure, ".svg") == svg
    assert b"<dc:date>" not in svg


def test_ranks_end_at_100_percent_with_their_texts_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, Any]] = []
    frame = picture_files._frame

    def kept(canvas: Any, axes: Any, figure: Figure) -> None:
        frame(canvas, axes, figure)
        seen.append((canvas, axes))

    monkeypatch.setattr(picture_files, "_frame", kept)
    bars = tuple(Bar("Set", "set", rank, 374, 0.7123) for rank in (1, 200, 374))
    picture(replace(FIGURES["profile"], bars=bars), ".png")
    canvas, axes = seen[0]
    assert axes.get_xlim() == (0, 1)
    ends = [text.get_window_extent().x1 for text in axes.texts]
    assert axes.bbox.x1 < max(ends) <= canvas.bbox.x1


def test_png_is_a_picture_of_a_known_size() -> None:
    png = picture(FIGURES["pareto"], ".png")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (1440, 960)


def test_names_are_never_formulas_nor_markup() -> None:
    evil = model("$x_1$ <b>&amp;\x1b[31m", params=10**8)
    wide = model("生物医学", params=10**9)
    scored = [ScoredModel(evil, 0.5), ScoredModel(wide, 0.9), *SCORED]
    svg = picture(quality_figure(scored, "params", "nDCG@10", "A$B$", {evil.id}), ".svg")
    assert "生物医学" in texts(svg)
    assert "$x_1$ <b>&amp;" in texts(svg)
    assert "nDCG@10 of A$B$ against parameters" in texts(svg)


@pytest.mark.parametrize("extension", [one for one in EXTENSIONS if one != ".png"])
def test_every_extension_is_written(home: Path, extension: str) -> None:
    path = home / f"figure{extension.upper()}"
    assert write_figure(path, FIGURES["pareto"]) == path
    assert "Small" in path.read_text(encoding="utf-8")
    assert [one.name for one in home.iterdir() if one.is_file()] == [path.name]


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("figure.gif", UsageError, r"no picture has the extension '\.gif'.*\.svg \.png"),
        ("figure", UsageError, "no picture has the extension 'figure'"),
        ("folder.svg", UsageError, r"folder\.svg is a folder"),
        ("absent/figure.svg", BioRetrievalError, "absent is not there"),
    ],
)
def test_a_file_that_cannot_be_written(
    home: Path, name: str, kind: type[BioRetrievalError], said: str
) -> None:
    (home / "folder.svg").mkdir()
    with pytest.raises(kind) as caught:
        write_figure(home / name, FIGURES["pareto"])
    assert re.search(said, caught.value.line())


def test_an_empty_figure_is_no_file(home: Path) -> None:
    with pytest.raises(BioRetrievalError, match="nothing to draw"):
        write_figure(home / "x.svg", quality_figure([], "params", "nDCG@10", "SciFact"))
    assert not (home / "x.svg").exists()
