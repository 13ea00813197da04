"""Own evaluations on the leaderboard: rows that are marked, ranked by figure, and never counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import Session, make_app, running
from own_records import HARDWARE, record
from test_tui_hostile import check

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.matrix import Axis, MatrixView, ScoreTable, with_own
from bioretrieval_tui.evaluation import records
from bioretrieval_tui.render.evaluations import own_runs, own_titles, published_scores
from bioretrieval_tui.tui.board_session import BoardSession, OwnRow, own_rows, row_id
from bioretrieval_tui.tui.dialogs.dialog import Confirm
from bioretrieval_tui.tui.panes.leaderboard import LeaderboardPane

WIDE, NARROW = (120, 30), (80, 24)
FACTS = Axis("facts-set", "nDCG@10")


def board(session: Session) -> LeaderboardPane:
    assert isinstance(session.app.pane, LeaderboardPane)
    return session.app.pane


def own_lines(session: Session) -> list[str]:
    return [row for row in session.rows if "◆" in row[:12]]


async def on_own(session: Session, identifier: str) -> None:
    """The cursor on an own row."""
    pane = board(session)
    at = next(
        i for i, row in enumerate(pane.board.rows)
        if isinstance(row, OwnRow) and row.run.record.id == identifier
    )  # fmt: skip
    pane.table.move_to(at)
    await session.settle()


async def by_facts(session: Session) -> None:
    """Sorted by the column of the records, best first."""
    keys = [column.key for column in board(session).table.columns]
    await session.press(*["right"] * (keys.index("facts-set") - board(session).table.column), "s")
    if board(session).board.view.reverse:
        await session.press("s")


# Rows ---------------------------------------------------------------------------------------


def test_a_row_is_named_after_what_ranked(small: Catalogue) -> None:
    made = [
        record("dense"), record("lexical"), record("hybrid"), record("dense", model="a/unknown"),
        record("rerank", reranker="lab/cross"),
    ]  # fmt: skip
    rows = own_rows(own_runs(made, small))
    assert [row.run.name for row in rows] == [
        "Alpha 110M", "BM25 (bioretrieval-tui)", "Alpha 110M + BM25", "unknown",
        "Alpha 110M + BM25, reranked",
    ]  # fmt: skip
    assert [row.run.model for row in rows] == ["alpha-110m", None, "alpha-110m", None, "alpha-110m"]
    assert [row.run.trained for row in rows] == [True, False, True, False, True]
    assert all(row.figures[FACTS].value == 0.7123 for row in rows)


def test_of_each_kind_the_newest_stands_for_the_others(small: Catalogue) -> None:
    old, new = record(value=0.5, day=1), record(value=0.6, day=9)
    other = record(value=0.4, day=3, revision="another")
    rows = own_rows(own_runs([new, other, old], small))
    assert [row.run.record for row in rows] == [new, other]
    assert rows[0].run.earlier == (old,)
    assert rows[1].run.earlier == ()


@pytest.mark.parametrize("width", [80, 100, 120, 200])
async def test_runs_take_no_score_off_the_screen(small: Catalogue, width: int) -> None:
    record()
    async with running(make_app(small), (width, 24), pane="leaderboard") as session:
        await session.press("v")
        table, shown = board(session).table, {}
        for runs in (True, False):
            assert any(column.key == "own" for column in table.columns) == runs
            at = table.columns_at(width, tall=False)
            shown[runs] = [table.columns[i].key for i in at if table.columns[i].key != "own"]
            board(session).board.with_own = False
            board(session).refill()
        assert shown[True] == shown[False]
        assert len(shown[True]) > 5  # rank, name, mean, two facts, and scores


@pytest.mark.parametrize(
    "facts", [{"catalogue": None}, {"split": "train"}, {"catalogue": "gone-set"}]
)
def test_other_files_and_splits_get_a_column_of_their_own(
    small: Catalogue, facts: dict[str, str | None]
) -> None:
    (own,) = own_rows(own_runs([record(**facts)], small))  # type: ignore[arg-type]
    assert list(own.figures) == [own.run.axis] != [FACTS]
    split = facts.get("split") or ""
    assert own_titles([own.run]) == {own.run.axis: f"facts {split} (own)".replace("  ", " ")}
    table = ScoreTable(small)
    table.add_own(own_titles([own.run]))
    assert table.columns(["facts" + (f":{split}" if split else "")])
    # Two collections of one name are not one column.
    more = own_rows(own_runs([record(**facts), record(**facts, sha256="ef" * 32)], small))  # type: ignore[arg-type]
    assert [row.run.axis.benchmark for row in more] == ["facts", "facts-efefefef"]


def test_a_benchmark_of_the_users_never_has_the_id_of_an_entry(small: Catalogue) -> None:
    (run,) = own_runs([record(catalogue=None, benchmark="Covid set")], small)
    assert run.axis.benchmark == "covid-set-own"
    assert run.result.benchmark == "covid-set-own"


def test_a_deviation_over_a_hundredth_is_marked(small: Catalogue) -> None:
    due = next(r.value for r in small.results_of("alpha-110m") if r.benchmark == "facts-set")
    near, far = record(value=due + 0.01), record(value=due - 0.0101)
    assert [row.run.deviates for row in own_rows(own_runs([near], small))] == [False]
    assert [row.run.deviates for row in own_rows(own_runs([far], small))] == [True]
    (reference,) = published_scores(far, small)
    assert reference.model == "alpha-110m"
    assert reference.deviation == pytest.approx(-0.0101)
    assert published_scores(record(split="train"), small)[0].deviation is None
    assert published_scores(record(catalogue=None), small) == []


def test_own_figures_have_no_part_in_ranks_and_bests(small: Catalogue) -> None:
    session = BoardSession(small)
    session.mode = "matrix"
    session.view = MatrixView(sort="facts-set")
    session.fill()
    models, without = [row.model for row in session.matrix.rows], session.list_rows()
    cells = {model: without.cells(at) for at, model in enumerate(models)}
    session.put_own(own_rows(own_runs([record(value=0.9999)], small)))
    session.fill()
    assert isinstance(session.rows[0], OwnRow)
    assert [row.model for row in session.matrix.rows] == models
    rows = session.list_rows()
    for at, model in enumerate(models, 1):
        shown = [cell for cell in rows.cells(at) if not isinstance(cell, tuple) and cell.text]
        assert shown == [one for one in cells[model] if not isinstance(one, tuple) and one.text]
    rank = rows.cells(0)[0]
    assert not isinstance(rank, tuple)
    assert rank.text == ""


def test_every_order_has_a_place_for_own_rows(small: Catalogue) -> None:
    low, high = record(value=0.1, day=1), record("lexical", value=0.99, day=2)
    board = BoardSession(small)
    board.mode = "matrix"
    board.put_own(own_rows(own_runs([high, low], small)))

    def ids(sort: str, reverse: bool = False) -> tuple[list[str], list[str]]:
        board.view = MatrixView(sort=sort, reverse=reverse)
        board.fill()
        return [row_id(row) for row in board.rows], [row.model for row in board.matrix.rows]

    found, models = ids("facts-set")
    ranked = models[:4]
    assert found == [high.id, *ranked, low.id, *models[4:]]
    found, models = ids("facts-set", reverse=True)
    assert found == [low.id, *models[:4], high.id, *models[4:]]
    # Not ranked where they have no figure.
    for sort, reverse in (("covid-set", False), ("covid-set", True), ("rank", False)):
        found, models = ids(sort, reverse)
        assert found == [*models, high.id, low.id]
    found, models = ids("own")
    assert found == [high.id, low.id, *models]
    found, models = ids("own", reverse=True)
    assert found == [low.id, high.id, *models]
    names = [name.casefold() for name in ids("model")[0]]
    assert len(names) == len(models) + 2


# The pane -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [NARROW, WIDE, (200, 60)])
async def test_own_rows_stand_among_the_others(small: Catalogue, size: tuple[int, int]) -> None:
    due = next(r.value for r in small.results_of("alpha-110m") if r.benchmark == "facts-set")
    record(value=due - 0.05)
    record("lexical", value=0.99)
    async with running(make_app(small), size, pane="leaderboard") as session:
        await session.press("v")
        for mode in ("dense", "BM25"):
            assert any(f"  {mode} " in line for line in own_lines(session))
        await by_facts(session)
        lines = own_lines(session)
        assert len(lines) == 2
        assert "◆ BM25 (bioretrie" in lines[0]
        assert "0.9900" in lines[0]
        assert f"{due - 0.05:.4f}!" in lines[1]
        assert session.rows.index(lines[0]) == session.app.pane.table.region.y + 1
        assert "◆ your runs: 2" in session.head
        assert "(w: on top)" in session.head
        await session.press("w")
        assert [session.rows.index(one) for one in own_lines(session)] == [
            session.app.pane.table.region.y + at for at in (1, 2)
        ]
        assert "(w hides them)" in session.head
        await session.press("w")
        assert own_lines(session) == []
        assert "your runs: 2 hidden (w)" in session.head
        await session.press("w")
        assert len(own_lines(session)) == 2


@pytest.mark.parametrize("size", [NARROW, WIDE, (80, 12)])
async def test_one_key_leads_from_the_recipes_to_the_newest_run(
    small: Catalogue, size: tuple[int, int]
) -> None:
    record(day=1)
    newest = record("lexical", value=0.4321, day=2, catalogue=None, benchmark="mine")
    async with running(make_app(small), size, pane="leaderboard") as session:
        assert "your runs: 2 (w: on top)" in session.head
        await session.press("w")
        assert session.at == newest.id
        # Its score is on screen, in its column and over the list.
        assert "0.4321" in own_lines(session)[0]
        assert "0.4321" in session.head


async def test_the_end_of_an_evaluation_leads_to_its_run(small: Catalogue) -> None:
    app = make_app(small)
    async with running(app, NARROW, pane="leaderboard") as session:
        await session.press("1")
        made = record(catalogue=None, benchmark="mine")
        app.job_session.evaluated = True
        await session.press("7")
        assert session.at == made.id
        # Once: after that the board is as it was left.
        await session.press("j", "1", "7")
        assert session.at != made.id


def test_runs_of_equal_score_keep_their_order(small: Catalogue) -> None:
    def ranked(days: tuple[int, int]) -> list[str]:
        made = [
            record(mode, value=0.5, day=day)
            for mode, day in zip(("dense", "lexical"), days, strict=True)
        ]
        made.sort(key=lambda one: one.date, reverse=True)
        table = ScoreTable(small)
        rows = own_rows(own_runs(made, small))
        view = MatrixView(sort="facts-set")
        both = with_own(table.matrix(view), rows, table, view)
        return [row.own for row in both if row.own]

    assert ranked((1, 2)) == ranked((2, 1)) == sorted(ranked((1, 2)), key=str.casefold)


async def test_without_records_nothing_is_there(small: Catalogue) -> None:
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("w")
        assert "No runs yet" in session.said
        assert "your runs" not in session.head
        assert "w Your runs" not in session.text
        await session.press("v")
        assert "Run" not in session.rows[2].split()
        await session.press("d")
        assert "Only your runs can be deleted" in session.said


async def test_what_has_no_figure_in_the_order_comes_behind(small: Catalogue) -> None:
    record(catalogue=None, benchmark="mine")
    async with running(make_app(small), (240, 30), pane="leaderboard") as session:
        await session.press("v")
        pane = board(session)
        top = pane.table.region.y + 1
        assert session.rows.index(own_lines(session)[0]) == top + len(session.ids)
        titles = [column.title for column in pane.table.columns]
        at = titles.index("mine (own)") - pane.table.column
        await session.press(*["right"] * at, "s")
        assert "mine (own)" in session.text
        assert len(own_lines(session)) == 1
        assert "◆" in session.rows[pane.table.region.y + 1]
        await session.press("w", "w")  # the order was by a column that is gone
        assert board(session).board.view.sort == "rank"


async def test_filters_keep_what_they_name(small: Catalogue) -> None:
    record()
    record("lexical")
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v", "slash")
        await session.type("alpha")
        assert [line for line in own_lines(session) if "Alpha" in line] == own_lines(session)
        assert len(own_lines(session)) == 1
        await session.press("escape", "slash")
        await session.type("bm25")
        assert len(own_lines(session)) == 1
        assert "BM25" in own_lines(session)[0]
        await session.press("escape", "Z")
        # Words learn nothing; what the model has seen is known to be seen.
        assert len(own_lines(session)) == 1
        assert "BM25" in own_lines(session)[0]


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_home_leads_to_a_run_among_the_results_of_its_benchmark(
    small: Catalogue, size: tuple[int, int]
) -> None:
    record(day=3)
    record(value=0.4, day=1, catalogue=None, benchmark="mine", sha256="ef" * 32)
    made = record(value=0.5, day=2, catalogue=None, benchmark="mine", sha256="ef" * 32)
    async with running(make_app(small), size) as session:
        at = next(y for y, row in enumerate(session.rows) if " mine " in row)
        # Of the two that repeat each other one is shown.
        assert sum(" mine " in row for row in session.rows) == 1
        await session.pilot.click(offset=(20, at))
        await session.settle()
        assert session.at == made.id
        assert "mine (own)" in session.rows[session.app.pane.table.region.y]
        assert ["0.5000" in row for row in own_lines(session)] == [True, False]
        # Columns and a filter that would hide it give way.
        board(session).board.choose(["facts-set"])
        board(session).put_filter("nothing")
        board(session).show_run(made.id)
        board(session).look_for_runs()
        await session.settle()
        assert session.at == made.id
        assert board(session).board.view.columns == ("facts-set", "mine")


async def test_a_benchmark_of_ones_own_is_filtered_and_chosen_like_others(
    small: Catalogue,
) -> None:
    record(day=1)
    made = record(value=0.5, day=2, catalogue=None, benchmark="mine", sha256="ef" * 32)
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v", "slash")
        await session.type("mine")
        assert len(own_lines(session)) == 1
        await session.press("enter", "escape", "C", "slash")
        await session.type("mine")
        listed = [row.rpartition("│")[0].rstrip() for row in session.rows if "mine (own)" in row]
        assert any(row.endswith("1") for row in listed)
        await session.press("enter", "space", "enter")
        assert board(session).board.view.columns == ("mine",)
        assert board(session).ids() == [made.id]


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_the_page_says_all_of_a_record(small: Catalogue, size: tuple[int, int]) -> None:
    due = next(r.value for r in small.results_of("alpha-110m") if r.benchmark == "facts-set")
    old = record(value=0.5, day=1, instruction="Find: ")
    made = record(value=due + 0.02, day=2, instruction="Find: ")
    async with running(make_app(small), size, pane="leaderboard") as session:
        await session.press("v")
        await on_own(session, made.id)
        await session.press("enter")
        seen = session.text
        for _ in range(6):
            await session.press("ctrl+d")
            seen += session.text
        for text in (
            made.id, "lab/alpha", "0123abc", "cd" * 8, "dense", "facts-set",
            made.sha256[:16], "documents     5,000", "p50 ms       12.3", "p95 ms       45.6",
            HARDWARE, "2026-03-02 10:20", "bioretrieval-tui 0.1.0", "AP@100", "0.6100", "Find:",
            "+0.0200 against published", "Alpha 110M", old.id[:20], "eval-facts-12345678",
        ):  # fmt: skip
            assert text in seen, text
        await session.press("escape")
        assert "◆" in session.text
        assert session.at == made.id


async def test_removing_asks_and_brings_the_earlier_one_back(small: Catalogue) -> None:
    old, made = record(value=0.5, day=1), record(value=0.6, day=2)
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        await on_own(session, made.id)
        await session.press("enter", "d")
        assert isinstance(session.app.screen, Confirm)
        assert "2026-03-01" in session.text
        await session.press("n")
        assert len(records.records()) == 2
        await session.press("d", "y")
        assert [one.id for one in records.records()] == [old.id]
        assert made.id in session.said
        assert "0.5000" in own_lines(session)[0]
        await on_own(session, old.id)
        await session.press("delete", "y")
        assert records.records() == []
        assert own_lines(session) == []
        await session.press("u", "u")
        assert records.records() == [made, old]
        assert len(own_lines(session)) == 1
        assert session.said == f"Undone: {made.id} deleted"


async def test_a_record_that_was_removed_elsewhere_is_told(small: Catalogue) -> None:
    made = record()
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        await on_own(session, made.id)
        records.remove(made.id)
        await session.press("d", "y")
        assert "there is no evaluation" in session.said
        assert own_lines(session) == []


@pytest.mark.parametrize(("folder", "said"), [
    (None, "the folder of facts is not known any more"),  # records of earlier versions
    ("/gone/facts", "the benchmark /gone/facts is not there"),
])  # fmt: skip
async def test_exploring_needs_the_folder_of_the_benchmark(
    small: Catalogue, folder: str | None, said: str
) -> None:
    made = record(folder=folder)
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        await session.press("v")
        await on_own(session, made.id)
        await session.press("x")
        assert said in session.said
        assert session.said.endswith("choose its folder with E")
        assert session.app.current == "leaderboard"


async def test_damaged_records_are_told_and_hostile_ones_are_text(
    small: Catalogue, home: Path
) -> None:
    evil = "\x1b[31mred\x07 [bold]x[/bold] \x1b]0;t\x07"
    made = record(model=evil, benchmark="\x9b31mfacts", hardware=evil, instruction=evil)
    (home / "data" / "evaluations" / "torn.json").write_text("{")
    async with running(make_app(small), WIDE, pane="leaderboard") as session:
        assert "torn.json is damaged" in session.said
        await session.press("v")
        await on_own(session, made.id)
        check(session)
        await session.press("enter")
        check(session)
        assert "[bold]x[/bold]" in session.text


async def test_runs_stand_on_the_pages_of_their_benchmark_and_model(small: Catalogue) -> None:
    record("lexical", 0.7, split="test")
    record("dense", 0.7123, day=2)
    async with running(make_app(small), (120, 40), pane="benchmarks") as session:
        session.app.pane.go_to("facts-set")
        await session.settle()
        page = session.app.pane.page
        text = "\n".join("".join(span.text for span in row.spans) for row in page.lines)
        assert text.index("Your runs") < text.index("Published results")
        assert "0.7123  nDCG@10, dense 2026-03-02  +0.0003 against" in text
        assert "0.7000  nDCG@10, BM25 2026-03-01" in text
        await session.press("4")
        session.app.pane.go_to("alpha-110m")
        await session.settle()
        text = "\n".join(
            "".join(span.text for span in row.spans) for row in session.app.pane.page.lines
        )
        assert "facts" in text[text.index("Your runs") :]
        assert "BM25 2026" not in text
        session.app.pane.go_to("beta-dual")
        await session.settle()
        assert "Your runs" not in session.text
