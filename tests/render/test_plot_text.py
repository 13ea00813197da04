"""Figures drawn with characters: ticks, places of labels, and what a reader without colour sees."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_figures import LARGE, SCORED, SMALL, model

from bioretrieval_tui.render.figures import (
    AXES,
    Figure,
    FigureAxis,
    ScoredModel,
    history_figure,
    profile_figure,
    quality_figure,
    score_axis,
    timeline_figure,
)
from bioretrieval_tui.render.lineage import Era, Timeline, TimelineMark
from bioretrieval_tui.render.plot_layout import (
    ANY,
    HARD,
    MANY,
    SOFT,
    LabelWish,
    place_labels,
    range_of,
    ticks,
)
from bioretrieval_tui.render.plot_text import (
    MARKS,
    DrawnRow,
    draw,
    fitting_height,
    front_lines,
    target_text,
    targets,
    text_of,
    unnamed,
)
from bioretrieval_tui.render.terminal_text import cells

Golden = Callable[[str, str], None]


def unpainted(rows: list[DrawnRow]) -> list[str]:
    """The lines of a drawing without colours."""
    return "".join(text_of(rows, colour=False)).splitlines()


AXIS = st.sampled_from([*AXES.values(), score_axis("nDCG@10")])


@given(AXIS, st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5), st.integers(2, 12))
def test_ticks_are_few_round_and_inside(axis: FigureAxis, shares: list[float], most: int) -> None:
    scale = {"log": 1e10, "log2": 8192, "date": 10_000}.get(axis.scale, 1)
    shown = range_of(axis, [share * scale + (729_000 if axis.scale == "date" else 0)
                            for share in shares])  # fmt: skip
    found = ticks(shown, most)
    assert len(found) <= most
    assert all(-1e-9 <= shown.share(value) <= 1 + 1e-9 for value, _ in found)
    texts = [text for _, text in found]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("axis", "values", "most", "texts"),
    [
        (score_axis("s"), [0.31, 0.52], 5, ["0.35", "0.40", "0.45", "0.50"]),
        (score_axis("s"), [0.5], 5, ["0.496", "0.498", "0.500", "0.502", "0.504"]),
        (AXES["params"], [2e7, 7e9], 6, ["30M", "100M", "300M", "1B", "3B"]),
        (AXES["params"], [1e6, 9e11], 4, ["1M", "100M", "10B", "1000B"]),
        (AXES["dimension"], [384, 4096], 8, ["512", "1,024", "2,048", "4,096"]),
        (AXES["released"], [date(2019, 5, 1).toordinal(), date(2025, 2, 1).toordinal()], 4,
         ["2020", "2022", "2024"]),
        (AXES["released"], [date(2024, 5, 1).toordinal(), date(2025, 2, 1).toordinal()], 4,
         ["2024-07", "2024-10", "2025-01"]),
    ],
)  # fmt: skip
def test_ticks_of_each_scale(
    axis: FigureAxis, values: list[float], most: int, texts: list[str]
) -> None:
    assert [text for _, text in ticks(range_of(axis, values), most)] == texts


WISHES = st.lists(
    st.builds(
        LabelWish,
        st.integers(0, 39),
        st.integers(0, 11),
        st.integers(1, 45),
        st.integers(1, 3),
        st.sampled_from([0, 3, ANY]),
        st.booleans(),
    ),
    max_size=25,
)
CELLS = st.dictionaries(
    st.tuples(st.integers(0, 39), st.integers(0, 11)), st.sampled_from([SOFT, HARD]), max_size=80
)


@given(WISHES, CELLS, st.sampled_from([(1, 0), (3, 2)]))
def test_labels_never_overlap_nor_leave_the_frame(
    wishes: list[LabelWish], taken: dict[tuple[int, int], int], reach: tuple[int, int]
) -> None:
    before = dict(taken)
    places = place_labels(wishes, (40, 12), taken, reach)
    used: set[tuple[int, int]] = set()
    for wish, place in zip(wishes, places, strict=True):
        if place is None:
            continue
        own = {
            (x, y)
            for x in range(place.column, place.column + wish.width)
            for y in range(place.row, place.row + wish.height)
        }
        assert all(0 <= x < 40 and 0 <= y < 12 for x, y in own)
        assert not own & used
        covered = [
            before[cell] for cell in own if cell in before and cell != (wish.column, wish.row)
        ]
        assert HARD not in covered
        assert len(covered) <= wish.over
        used |= own


def test_a_lone_label_stands_to_the_right_of_its_mark() -> None:
    (place,) = place_labels([LabelWish(3, 2, 5)], (20, 5), {(3, 2): HARD})
    assert place is not None
    assert (place.column, place.row) == (5, 2)


def test_a_label_in_another_row_keeps_away_from_other_marks() -> None:
    """Two columns from a mark it would be read as the name of that one."""
    full = {(x, y): HARD for x in range(30) for y in (1, 2)}
    for x in range(30):
        (place,) = place_labels([LabelWish(15, 1, 4, 1, MANY)], (30, 3), full | {(x, 0): HARD})
        assert place is None or place.column - x >= 3 or x - place.column >= 6
    (place,) = place_labels([LabelWish(15, 1, 4, 1, MANY)], (30, 3), full | {(17, 0): HARD})
    assert place is None


# Drawings ---------------------------------------------------------------------------------------


def crowd() -> Figure:
    """Many points, in a form that does not change."""
    scored = [
        ScoredModel(
            model(f"Model-{n}", params=int(10 ** (6.5 + n % 37 / 10)), year=2019),
            0.3 + 0.4 * (math.sin(n) + 1) / 2 * (n % 37 + 10) / 47,
        )
        for n in range(400)
    ]
    return quality_figure(scored, "params", "nDCG@10", "Facts", {f"model-{n}" for n in range(60)})


def ranks() -> dict[tuple[str, str], dict[str, float]]:
    """Five benchmarks in which Small has other ranks among ten models."""
    return {
        (f"set-{n}", f"Set {n}"): {f"m{k}": 0.5 + (k - n) / 9 for k in range(9)} | {"small": 0.5}
        for n in range(5)
    }


COVID = [ScoredModel(SMALL, 0.2), ScoredModel(LARGE, 0.3)]
FIGURES: dict[str, Figure] = {
    "pareto": quality_figure(SCORED, "params", "nDCG@10", "SciFact", {"worse"}),
    "crowd": crowd(),
    "history": history_figure(
        {"Facts": SCORED, "Covid": [ScoredModel(SMALL, 0.2), ScoredModel(LARGE, 0.3)]}, "nDCG@10"
    ),
    "profile": profile_figure(SMALL, ranks()),
    "timeline": timeline_figure(
        Timeline(
            (
                Era("lexical", (TimelineMark("words", "Words", 2004),)),
                Era(
                    "encoders",
                    (
                        TimelineMark("early", "Early", 2019, heirs=("late", "later")),
                        TimelineMark("other", "Other", 2019),
                    ),
                ),
                Era(
                    "contrastive",
                    (
                        TimelineMark("late", "Late", 2021, bases=("early",)),
                        TimelineMark("later", "Later", 2023, bases=("early",)),
                    ),
                ),
            ),
            ((2004, 2019),),
        )
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_drawings(name: str, golden: Golden) -> None:
    figure = FIGURES[name]
    height = fitting_height(figure, 22)
    lines = [*unpainted(draw(figure, 78, height)), *front_lines(figure)]
    golden(f"plot-{name}.txt", "\n".join([figure.title, *lines, ""]))


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (200, 60), (24, 6), (10, 3), (1, 1)])
@pytest.mark.parametrize("name", FIGURES)
def test_a_drawing_fits(name: str, size: tuple[int, int]) -> None:
    width, height = size
    rows = unpainted(draw(FIGURES[name], width, height, 0))
    assert len(rows) <= height
    assert max(map(cells, rows)) <= width


def test_the_point_under_the_cursor_is_marked_and_named() -> None:
    figure = FIGURES["crowd"]
    place = next(at for at, one in enumerate(targets(figure)) if one.name == "Model-222")
    rows = draw(figure, 100, 30, place)
    marked = [text for row in rows for text, role in row if role == "cursor"]
    assert sorted(marked, key=len) == ["•", "Model-222"]
    assert "Model-222" not in "\n".join(unpainted(draw(figure, 100, 30)))
    assert target_text(figure, targets(figure)[place]).startswith("Model-222: 0.")


def test_series_are_told_apart_without_colour() -> None:
    text = "\n".join(unpainted(draw(FIGURES["history"], 80, 24)))
    assert f"{MARKS[0]} Facts   {MARKS[1]} Covid" in text
    assert text.count(MARKS[1]) == 3


def test_six_series_are_named_on_a_narrow_screen() -> None:
    names = [
        "NFCorpus",
        "SciFact",
        "SCIDOCS",
        "TREC-COVID",
        "CUREv1 (English)",
        "BioASQ (BEIR cut)",
    ]
    figure = history_figure(dict.fromkeys(names, SCORED), "nDCG@10")
    head = unpainted(draw(figure, 80, 24))[0]
    assert all(f"{mark} {name[:5]}" in head for mark, name in zip(MARKS, names, strict=True))


def test_every_point_of_the_front_has_its_name() -> None:
    text = "\n".join(unpainted(draw(FIGURES["crowd"], 120, 40)))
    assert all(point.name in text for point in FIGURES["crowd"].front)


@pytest.mark.parametrize("size", [(30, 10), (60, 12), (120, 40)])
def test_a_point_of_the_front_is_named_in_the_drawing_or_as_unnamed(size: tuple[int, int]) -> None:
    steps = [ScoredModel(model(f"M{n:02}", params=10**6 * n), 0.5 + n / 100) for n in range(1, 31)]
    figure = quality_figure(steps, "params", "nDCG@10", "SciFact")
    text = "\n".join(unpainted(draw(figure, *size, 3)))
    without = {point.name for point in unnamed(figure, *size, 3)}
    assert bool(without) == (size != (120, 40))
    assert without == {point.name for point in figure.front if point.name not in text}


def test_all_bars_can_be_reached() -> None:
    bars = {(f"set-{n}", f"Set {n}"): {"small": 0.5, "a": 0.4} for n in range(40)}
    figure = profile_figure(SMALL, bars)
    for place in (0, 20, 39):
        marked = [text for row in draw(figure, 60, 12, place) for text, role in row
                  if role == "cursor"]  # fmt: skip
        assert figure.bars[place].name in "".join(marked)


def test_hostile_names_are_cleaned_and_colours_are_optional() -> None:
    evil = model("Evil \x1b]0;x\x07\x1b[31mred\n生物医学", params=10**8)
    figure = quality_figure(
        [ScoredModel(evil, 0.5), ScoredModel(SMALL, 0.4)], "params", "nDCG@10", "\x1b[2Jx"
    )
    plain = "".join(text_of(draw(figure, 80, 20), colour=False))
    assert "\x1b" not in plain
    assert "生物医学" in plain
    assert "\x1b[32m●\x1b[0m" in "".join(text_of(draw(figure, 80, 20), colour=True))
    assert "\x1b" not in "".join(front_lines(figure))
