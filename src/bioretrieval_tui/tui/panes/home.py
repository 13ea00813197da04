"""Home: what runs, what was done last, what is new, where to start. Every row leads somewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.app import ComposeResult

from bioretrieval_tui.actions import DIGITS, PANES
from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.models import SECTIONS, AnyEntry, Milestone, Paper
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import Places
from bioretrieval_tui.settings import LAST_INDEX
from bioretrieval_tui.terminal.clean import clean
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.text import Line, Row, Span, clipped, line, wrap
from bioretrieval_tui.tui.widgets.canvas import Canvas
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable
from bioretrieval_tui.util.formatting import count, plural

if TYPE_CHECKING:
    from bioretrieval_tui.evaluation.records import EvaluationRecord
    from bioretrieval_tui.settings import SettingsStore

_LABEL, _TEXT = 9, 36
"""Cells of the column of labels, and of the texts that a note follows."""
LATEST, MOST = 4, 3
"""New entries, and rows of each other group."""
_BLOCKS = " ▁▂▃▄▅▆▇█"
_ROLES = {
    "papers": "paper", "models": "model", "datasets": "dataset", "benchmarks": "benchmark",
    "timeline": "milestone", "path": "step", "leaderboard": "recipe",
}  # fmt: skip
"""The colour of a pane's title."""
_BEGIN = (
    ("search", "search the catalogue, offline"),
    ("indexes", "build an index over your own texts"),
    ("path", "five steps, from a baseline to your own retriever"),
)


@dataclass(frozen=True, slots=True)
class HomeRow:
    """One row. label: of the group that begins here; act: what enter and a click do."""

    label: str
    text: Span
    note: str
    act: Callable[[], object]


@dataclass(frozen=True, slots=True)
class HomeFacts:
    """What the user has, as files tell: the index (name, documents, date) that was searched last,
    queries, runs, watches (query, first title, unread) and what refreshes of the catalogue saw
    (date, change)."""

    index: tuple[str, str, str] | None = None
    queries: Sequence[str] = ()
    runs: Sequence[EvaluationRecord] = ()
    news: Sequence[tuple[str, str, int]] = ()
    outside: Sequence[tuple[str, str]] = ()

    @property
    def is_new(self) -> bool:
        """Whether there is nothing of the user's own yet."""
        return not (self.queries or self.index or self.runs)


class HomeHead(Canvas):
    """What the catalogue holds, and its papers by year."""

    DEFAULT_CSS = "HomeHead { height: 5; }"

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__()
        self.catalogue = catalogue
        self.years = Counter(one.year for one in catalogue.of_type(Paper) if one.year)

    def row_spans(self) -> Sequence[Row]:
        picture = year_bars(self.years, self.size.width // 2, self.size.height - 1)
        width = sum(len(span.text) for span in picture[0]) if picture else 0
        space = min(self.size.width - width - 4, 64)
        said = wrap(about(self.catalogue), space - 2)
        rows: list[Row] = [(Span("Biomedical text retrieval", "model.strong"),), *said]
        title: Row = (Span("Papers by year", "dim"),)
        beside = [title, *picture] if picture else []
        rows += [()] * (len(beside) - len(rows))
        beside += [()] * (len(rows) - len(beside))
        return [
            (Span(" "), *left, Span(" " * (space - sum(len(s.text) for s in left))), *right)
            for left, right in zip(rows, beside, strict=True)
        ]


class HomePane(Pane, inherit_bindings=False):
    """The catalogue and its picture over one list of rows."""

    BINDINGS = bindings("home")
    SCOPES = ("home", "everywhere")
    COLUMNS = (TableColumn("label", "", _LABEL), TableColumn("text", "", 30, 1))
    DEFAULT_CSS = """
    HomePane.-low HomeHead { display: none; }
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.facts = HomeFacts()
        self.rows: Sequence[HomeRow] = ()

    def compose(self) -> ComposeResult:
        yield HomeHead(self.catalogue)
        yield VirtualTable(self.COLUMNS, one_click=True)

    def on_mount(self) -> None:
        super().on_mount()
        self.fill()

    def activate(self) -> None:
        """Show what is known, and read the files behind the first paint."""
        self.table.focus()
        self.call_after_refresh(self.in_background, "home", self._read)

    async def _read(self) -> None:
        where = self.owner.where
        self.facts = await asyncio.to_thread(read_facts, where, self.owner.settings)
        self.owner.tell_news(sum(unread for _, _, unread in self.facts.news))
        self.fill()

    def jobs_changed(self) -> None:
        self.fill()

    def fit(self) -> None:
        self.set_class(self.app.size.height < 20, "-low")

    def fill(self) -> None:
        """Show the rows; the cursor stays where it was moved to."""
        before, at = self.rows, self.table.cursor
        same = [row.text for row in before[at : at + 1]] if at else []
        self.rows = [*self._listed()]
        cursor = next((n for n, row in enumerate(self.rows) if [row.text] == same), 0)
        self.table.show(ListRows(self.rows, self._cells), cursor)

    def _cells(self, row: HomeRow) -> Sequence[Span | Row]:
        shown: Row = (row.text,)
        if row.note:
            gap = max(2, _TEXT - cell_len(clean(row.text.text)))
            shown = (row.text, Span(" " * gap), Span(row.note, "faint"))
        return [Span(row.label, "header"), clipped(shown, self.table.size.width - _LABEL - 4)]

    def _listed(self) -> Iterator[HomeRow]:
        facts, owner = self.facts, self.owner
        if facts.is_new:
            begin = (
                HomeRow("", Span(f"{DIGITS[pane]}  {text}"), "", partial(self._go, pane))
                for pane, text in _BEGIN
            )
            yield from _group("Start", begin)
        yield from _group("Jobs", self._jobs())
        if facts.index is not None:
            name, documents, built = facts.index
            said = f"{documents}, built {built}"
            yield HomeRow("Index", Span(name, "ok"), said, partial(owner.search_in, name))
        queries = [
            HomeRow("", Span(query), "", partial(owner.search_in, owner.index, query))
            for query in facts.queries
        ]
        yield from _group("Queries", queries)
        yield from _group("Your runs", [self._run(one) for one in facts.runs])
        news = [
            HomeRow("", Span(title, "strong"), f"{count(unread)} unread: {query}",
                    partial(self._go, "news"))
            for query, title, unread in facts.news
        ]  # fmt: skip
        yield from _group("News", news)
        yield from _group("New", self._new())
        yield from _group("Panes", self._panes())

    def _go(self, pane: str) -> object:
        return self.app.run_action(f"app.go('{pane}')")

    def _jobs(self) -> list[HomeRow]:
        """The job that runs with its progress, those that wait, and those that ended early."""
        if not self.owner.jobs_used:
            return []
        from bioretrieval_tui.tui.work_lines import job_hint

        jobs = self.owner.jobs
        running = [Span(job_hint(jobs), "strong")] if jobs.current else []
        waiting = [Span(f"waits: {job.title_within}", "dim") for job in jobs.queue]
        rows = [HomeRow("", one, "", partial(self._go, "indexes")) for one in (*running, *waiting)]
        for target, one in [*jobs.outcomes.items()][::-1]:
            if one.state != "done" and not jobs.of(target) and len(rows) < MOST:
                text = Span(f"{one.job.title}: {one.state}", one.role)
                note = f"{(one.ended or '')[:10]}  {one.message}"
                rows.append(HomeRow("", text, note, partial(self._go, "indexes")))
        return rows

    def _run(self, one: EvaluationRecord) -> HomeRow:
        from bioretrieval_tui.render.hits import mode_name

        value = one.metrics.get("nDCG@10")
        figure = "" if value is None else f"nDCG@10 {value:.4f}  "
        model = "" if one.mode == "lexical" else f" {one.model.rstrip('/').rpartition('/')[2]}"
        text = Span(f"{one.benchmark}  {mode_name(one.mode)}{model}", "own")
        note = f"{figure}{one.date[:10]}"
        return HomeRow("", text, note, partial(self.owner.show_run, one.id))

    def _new(self) -> list[HomeRow]:
        """New entries, then the changes of the catalogue and of what it names, with dates."""
        rows = [
            HomeRow("", Span(one.name, f"{kind_of(one)}.strong"),
                    f"{one.added or ''}  {kind_of(one)}, {one.year}".strip(),
                    partial(self.owner.jump, one.id))
            for one in latest(self.catalogue)
        ]  # fmt: skip
        found = sorted(self.catalogue.changes, key=lambda change: change.date, reverse=True)
        told = [(change.date, change.text) for change in found[:2]]
        for date, text in (*told, *self.facts.outside):
            show = partial(self.owner.show_text, f"Changed on {date}", text)
            rows.append(HomeRow("", Span(f"{date}  {text}", "dim"), "", show))
        return rows

    def _panes(self) -> Iterator[HomeRow]:
        for pane, title, text in PANES[1:]:
            section = "recipes" if pane == "leaderboard" else pane
            number = count(len(self.catalogue.section(section))) if section in SECTIONS else ""
            name = Span(f"{DIGITS[pane]}  {title:<12} {number:>4}", _ROLES.get(pane, "text"))
            yield HomeRow("", name, text, partial(self._go, pane))

    def show_page(self, *, lead: bool = False) -> None:
        """There is no page beside the rows."""

    def place(self) -> str | None:
        row = self.table.at_cursor(self.rows)
        return row.text.text if row else None

    def go_to(self, place: str | None) -> None:
        at = next((n for n, row in enumerate(self.rows) if row.text.text == place), 0)
        self.table.move_to(at)

    def action_enter(self) -> None:
        row = self.table.at_cursor(self.rows)
        found = row.act() if row else None
        if isinstance(found, Coroutine):
            self.run_worker(found)


def _group(label: str, rows: Iterable[HomeRow]) -> Iterator[HomeRow]:
    """The rows of a group, its label before the first."""
    for number, row in enumerate(rows):
        yield HomeRow(label if not number else "", row.text, row.note, row.act)


def latest(catalogue: Catalogue) -> Sequence[AnyEntry]:
    """The newest work in the catalogue: by date of entry and year, milestones left out."""
    works = [one for one in catalogue.entries if one.year and not isinstance(one, Milestone)]
    works.sort(key=lambda e: (e.added or "", e.year or 0, isinstance(e, Paper)), reverse=True)
    return works[:LATEST]


def about(catalogue: Catalogue) -> Line:
    """What the catalogue holds."""
    held = ", ".join(
        plural(len(catalogue.section(name)), name[:-1])
        for name in ("papers", "models", "datasets", "benchmarks")
    )
    results = count(len(catalogue.results))
    return line(
        Span(f"{held}, {results} published results. ", "dim"),
        Span(f"Updated {catalogue.updated or 'never'}.", "faint"),
    )


def year_bars(counts: Counter[int], width: int, height: int) -> list[Row]:
    """Bars of the last years that fit, their counts below and the years at the foot."""
    years = range(min(counts), max(counts) + 1)[-(width // 5) :] if counts else range(0)
    bars = height - 2
    if not years or bars < 1:
        return []
    top = max(counts[year] for year in years)
    rows: list[Row] = []
    for row in reversed(range(bars)):
        filled = (counts[year] * bars * 8 // top - 8 * row for year in years)
        text = "".join(f"{_BLOCKS[max(0, min(8, eighths))] * 3}  " for eighths in filled)
        rows.append((Span(text, "gauge"),))
    numbers = "".join(f"{counts[year]:^5}" for year in years)
    return [*rows, (Span(numbers),), (Span("".join(f"{year:<5}" for year in years), "dim"),)]


# Files of the user ------------------------------------------------------------------------------


def read_facts(where: Places, settings: SettingsStore) -> HomeFacts:
    """Read what the user has; what is not there costs no import. Unreadable files are left out:
    the panes that show them, and `doctor`, say what is wrong."""
    quiet = partial(contextlib.suppress, BioRetrievalError, OSError)
    index = None
    queries: Sequence[str] = ()
    runs: Sequence[EvaluationRecord] = ()
    news: list[tuple[str, str, int]] = []
    outside: list[tuple[str, str]] = []
    with quiet():
        if settings.path.exists():
            queries = settings.queries()[:MOST]
            index = _index(settings.setting(LAST_INDEX))
    with quiet():
        if (where.data / "evaluations").is_dir():
            from bioretrieval_tui.evaluation.records import records

            runs = records()[:MOST]
    with quiet():
        if (where.data / "watches").is_dir():
            from bioretrieval_tui.online.watches import watches

            for one in watches():
                if one.unread:
                    first = next(item.title for item in one.news if not item.read)
                    news.append((one.watch.query, first, one.unread))
    with quiet():
        if (where.cache / "online" / "freshness.json").exists():
            from bioretrieval_tui.online.freshness import load_freshness

            outside = [(one.date, one.line()) for one in load_freshness().changes[:MOST]]
    return HomeFacts(index, queries, runs, news, outside)


def _index(name: str | None) -> tuple[str, str, str] | None:
    """Name, documents and date of an index that is there."""
    if not name:
        return None
    from bioretrieval_tui.index.registry import info

    found = info(name, deep=False)
    documents = plural(found.documents or 0, "document")
    return found.name, documents, (found.built or "")[:10]
