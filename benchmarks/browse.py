"""Working in the app: filtering as one types, long lists, the evaluation dialog.

    python -m benchmarks.browse [--keep]

Each figure stands beside a baseline of the same run: `textual.fuzzy` and a plain folded scan for
the filter, Textual's DataTable for lists.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measuring import Report, median, percentile
from bioretrieval_tui.paths import places

ROWS = 10_000
INDEXES, RUNS = 50, 100
QUERIES = ("metformin", "params<=500M dense retr", '"bi encoder" -clinical', "bmretriver", "zzzz")
COMMAND = [sys.executable, "-m", "bioretrieval_tui"]


def overlay_rows(count: int) -> list[tuple[str, str, tuple[str, ...], str, int]]:
    """(id, name, tags, summary, params) of generated models, seeded, words of the real field."""
    from bioretrieval_tui.catalog.compiled import load

    words = sorted({w for e in load().catalogue.entries for w in e.summary.split()})
    chance = random.Random(7)
    rows = []
    for i in range(count):
        name = " ".join(chance.choices(words, k=3)) + f" {i}"
        tags = tuple(chance.sample(("bi-encoder", "clinical", "llm", "static", "trec", "qa"), 3))
        summary = " ".join(chance.choices(words, k=60))
        rows.append((f"row-{i}", name, tags, summary, chance.randrange(10**6, 10**10)))
    return rows


def typed(text: str) -> list[str]:
    """What stands in the line after each key."""
    return [text[:i] for i in range(1, len(text) + 1)]


def per_keystroke(apply: Callable[[str], object]) -> list[float]:
    """Milliseconds of each keystroke of all queries."""
    from bioretrieval_tui.errors import FilterError

    times = []
    for query in QUERIES:
        for text in typed(query):
            started = time.perf_counter()
            try:
                apply(text)
            except FilterError:
                continue  # half-typed: what is shown stays
            finally:
                times.append((time.perf_counter() - started) * 1000)
    return times


def filtering(report: Report) -> None:
    """Our filter against `textual.fuzzy` and a folded scan, over the same rows."""
    from textual.fuzzy import Matcher

    from bioretrieval_tui.catalog.fields import TABLE
    from bioretrieval_tui.query import Filter, Row

    rows = overlay_rows(ROWS)
    made = [Row(i, name, tags, text, {"params": p}.get) for i, name, tags, text, p in rows]
    started = time.perf_counter()
    ours = Filter(made, TABLE.schema)
    ours.apply("warm")
    build = time.perf_counter() - started
    folded = [f"{name} {' '.join(tags)} {text}".casefold() for _, name, tags, text, _ in rows]
    names = [name for _, name, *_ in rows]

    def scan(text: str) -> object:
        wanted = text.casefold()
        return [i for i, row in enumerate(folded) if wanted in row]

    def fuzzy(text: str) -> object:
        matcher = Matcher(text)
        return [i for i, name in enumerate(names) if matcher.match(name) > 0]

    results = {"our filter": per_keystroke(ours.apply), "folded scan (exact only)":
               per_keystroke(scan), "textual.fuzzy (names only)": per_keystroke(fuzzy)}  # fmt: skip
    base = median(results["textual.fuzzy (names only)"])
    report.say(f"## Filtering {ROWS:,} rows, a keystroke at a time ({len(QUERIES)} queries)")
    report.say()
    report.table(
        ["", "p50 ms", "p95 ms", "max ms", "of textual.fuzzy"],
        [
            [name, f"{median(t):.2f}", f"{percentile(t, 0.95):.2f}", f"{max(t):.2f}",
             f"{median(t) / base:.4f}"]
            for name, t in results.items()
        ],
    )  # fmt: skip
    report.say(f"Bar: p95 under 16 ms. Making the filter once: {build * 1000:.0f} ms.")
    report.say()


async def mounted(make: Callable[[], object], fill: Callable[[object], None]) -> float:
    """Seconds from mounting a filled widget to its first complete refresh."""
    from textual.app import App, ComposeResult
    from textual.widget import Widget

    class Host(App[None]):
        def compose(self) -> ComposeResult:
            widget = make()
            assert isinstance(widget, Widget)
            self.widget = widget
            yield widget

    app = Host()
    started = time.perf_counter()
    async with app.run_test(size=(120, 40)) as pilot:
        fill(app.widget)
        await pilot.pause()
        return time.perf_counter() - started


def lists(report: Report) -> None:
    """A list of 100,000 rows shown, and a bare app of the same kind to take off."""
    from textual.widgets import DataTable, Label

    from bioretrieval_tui.tui.text import Span
    from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable

    def cells(number: int) -> Sequence[Span]:
        return [Span(f"Document {number}"), Span(str(1990 + number % 36))]

    columns = (TableColumn("title", "Title", 30, 1), TableColumn("year", "Year", 5))

    def ours(count: int) -> Callable[[], float]:
        def fill(widget: object) -> None:
            assert isinstance(widget, VirtualTable)
            widget.show(ListRows(range(count), cells))

        return lambda: asyncio.run(mounted(lambda: VirtualTable(columns), fill))

    def theirs(count: int) -> Callable[[], float]:
        def fill(widget: object) -> None:
            assert isinstance(widget, DataTable)
            widget.add_columns("Title", "Year")
            widget.add_rows((f"Document {i}", str(1990 + i % 36)) for i in range(count))

        return lambda: asyncio.run(mounted(lambda: DataTable(), fill))

    def empty() -> float:
        return asyncio.run(mounted(lambda: Label("x"), lambda _: None))

    base = median([empty() for _ in range(3)])
    rows = []
    for name, maker, rounds in (
        ("ours, 100,000 rows", ours(100_000), 3),
        ("ours, 1,000,000 rows", ours(1_000_000), 3),
        ("DataTable, 100,000 rows", theirs(100_000), 1),
    ):
        seconds = median([maker() for _ in range(rounds)])
        rows.append([name, f"{seconds * 1000:.0f}", f"{max(0.0, seconds - base) * 1000:.0f}"])
    report.say("## A long list, mounted and drawn")
    report.say()
    report.table(["", "ms", "ms beyond an app with one label"], rows)
    report.say("Bar: 100,000 rows within 100 ms.")
    report.say()


def a_home_with_runs(home: Path) -> None:
    """Fifty indexes of a benchmark, and a hundred records of three hundred queries each."""
    from msgspec import structs

    from bioretrieval_tui.evaluation import records
    from bioretrieval_tui.evaluation.runner import EvaluationRequest, evaluate_folder

    folder = home / "tiny"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "d", "title": "", "text": "muscle pain"}\n')
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "pain"}\n')
    (folder / "qrels" / "test.tsv").write_text("q\td\t1\n")
    made = evaluate_folder(EvaluationRequest(folder=str(folder), modes=("lexical",)))
    (record,) = records.records()
    indexes = places().data / "indexes"
    for number in range(1, INDEXES):
        copy = indexes / f"{made.index}-{number}"
        shutil.copytree(indexes / made.index, copy)
        manifest = json.loads((copy / "manifest.json").read_bytes()) | {"name": copy.name}
        (copy / "manifest.json").write_text(json.dumps(manifest))
    by_query = {str(number): 0.5 for number in range(300)}
    for number in range(1, RUNS):
        records.save(structs.replace(record, id=f"run-{number}", per_query=by_query))


async def dialog_opened(rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds from the key until the evaluation dialog is there, and until it is filled."""
    from bioretrieval_tui.catalog.compiled import load
    from bioretrieval_tui.tui.app import BioRetrievalApp
    from bioretrieval_tui.tui.dialogs.evaluation_dialog import EvaluationDialog
    from bioretrieval_tui.tui.panes.browse import EntryPane

    shown, filled = [], []
    app = BioRetrievalApp(load().catalogue)
    async with app.run_test(size=(120, 40)) as pilot:
        pane = await app.show_pane("benchmarks")
        assert isinstance(pane, EntryPane)
        await pilot.pause()
        for _ in range(rounds):
            started = time.perf_counter()
            pane.action_evaluate()
            while not isinstance(app.screen, EvaluationDialog):
                await asyncio.sleep(0)
            shown.append((time.perf_counter() - started) * 1000)
            while not app.screen.benchmarks.shown:
                await asyncio.sleep(0.001)
            filled.append((time.perf_counter() - started) * 1000)
            await pilot.press("escape")
            await pilot.pause()
    return shown, filled


def evaluating(report: Report) -> None:
    """The evaluation dialog, and the plain reading of the same files."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        os.environ["BIORETRIEVAL_HOME"] = folder
        a_home_with_runs(Path(folder))
        data = places().data
        files = [*data.glob("indexes/*/manifest.json"), *data.glob("evaluations/*.json")]
        plain = []
        for _ in range(5):
            started = time.perf_counter()
            for path in files:
                json.loads(path.read_bytes())
            plain.append((time.perf_counter() - started) * 1000)
        shown, filled = asyncio.run(dialog_opened(8))
    report.say(f"## The evaluation dialog, {INDEXES} indexes and {RUNS} runs")
    report.say()
    report.table(
        ["", "first ms", "p50 ms", "max ms"],
        [
            [name, f"{t[0]:.0f}", f"{median(t):.0f}", f"{max(t):.0f}"]
            for name, t in (
                ("open", shown), ("its lists filled", filled), ("json.loads of the files", plain)
            )
        ],
    )  # fmt: skip
    report.say("Bar: open within 100 ms.")
    report.say()


def main() -> None:
    """Measure and print."""
    report = Report("Browsing")
    filtering(report)
    lists(report)
    evaluating(report)
    report.keep("browse")


if __name__ == "__main__":
    main()
