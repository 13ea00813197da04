"""Home: what runs, what was done last, what is new, where to start. Every row leads somewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from functools import partial

import msgspec
from msgspec.structs import replace
from rich.cells import cell_len
from textual.app import ComposeResult

from bioretrieval_tui.actions import PANES, key_of
from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.models import SECTIONS, AnyEntry, Milestone, Paper
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.render.row_records import Chosen
from bioretrieval_tui.settings import LAST_INDEX
from bioretrieval_tui.terminal.clean import clean
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.pane_context import PaneContext
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.spans import addresses
from bioretrieval_tui.tui.text import Line, Row, Span, clipped, line, wrap
from bioretrieval_tui.tui.widgets.bars import whole_parts
from bioretrieval_tui.tui.widgets.canvas import Canvas
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable
from bioretrieval_tui.util.formatting import count, plural

_LABEL, _TEXT = 9, 36
"""Cells of the column of labels, and most of the texts that a note follows."""
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


class HomeRow(msgspec.Struct, frozen=True):
    """One row. label: of the group that begins here; act: what enter and a click do; thing: the
    entry or name that it shows, for commands of the user."""

    label: str
    text: Span
    note: str
    act: Callable[[], object]
    thing: Chosen | None = None


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
    COLUMNS = (TableColumn("label", "", _LABEL), TableColumn("text", "", 20, 1, priority=0))
    DEFAULT_CSS = """
    HomePane.-low HomeHead { display: none; }
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.own: Sequence[HomeRow] = ()
        """The rows about what files of the user tell."""
        self.rows: Sequence[HomeRow] = ()
        self._text = _TEXT
        """Cells of the texts that a note follows."""

    def compose(self) -> ComposeResult:
        yield HomeHead(self.catalogue)
        yield VirtualTable(self.COLUMNS, one_click=True)

    def on_mount(self) -> None:
        """Textual calls that of the base class too."""
        self.fill()

    def activate(self) -> None:
        """Show what is known, and read the files behind the first paint."""
        self.table.focus()
        self.after_paint("home", self._read)

    async def _read(self) -> None:
        self.own, unread = await asyncio.to_thread(own_rows, self.owner)
        self.owner.tell_news(unread)
        self.fill()

    def jobs_changed(self) -> None:
        self.fill()

    def fit(self) -> None:
        self.set_class(self.app.size.height < 20, "-low")

    def fill(self) -> None:
        """Show the rows; the cursor stays where it was moved to."""
        before, at = self.rows, self.table.cursor
        noted = (cell_len(clean(row.text.text)) for row in [*self.own, *self._new()] if row.note)
        self._text = min(_TEXT, 2 + max(noted, default=_TEXT))
        same = [row.text for row in before[at : at + 1]] if at else []
        self.rows = [*self._listed()]
        cursor = next((n for n, row in enumerate(self.rows) if [row.text] == same), 0)
        self.table.show(ListRows(self.rows, self._cells), cursor)

    def _cells(self, row: HomeRow) -> Sequence[Span | Row]:
        shown: Row = tuple(addresses(row.text.text, row.text.role))
        space = self.table.size.width - _LABEL - 4
        if row.note and space > _TEXT:
            gap = max(2, self._text - cell_len(clean(row.text.text)))
            left = space - gap - cell_len(clean(row.text.text))
            note = whole_parts([Span(row.note, "faint")], left, 1) if left > 0 else [()]
            shown = (*shown, Span(" " * gap), *note[0])
        return [Span(row.label, "header"), clipped(shown, space)]

    def _listed(self) -> Iterator[HomeRow]:
        if not {"Index", "Queries", "Your runs"} & {row.label for row in self.own}:
            begin = (
                HomeRow("", Span(f"{key_of(f'go-{pane}')}  {text}"), "", partial(self._go, pane))
                for pane, text in _BEGIN
            )
            yield from _group("Start", begin)
        yield from _group("Jobs", self._jobs())
        yield from self.own
        yield from _group("New", self._new())
        yield from _group("Panes", self._panes())

    def _go(self, pane: str) -> object:
        return self.owner.action_go(pane)

    def _jobs(self) -> list[HomeRow]:
        """The job that runs with its progress, those that wait, and those that ended early."""
        if not self.owner.job_session.used:
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
                rows.append(
                    HomeRow("", text, note, partial(self.owner.job_session.ask_to_resume, one))
                )
        return rows

    def _new(self) -> list[HomeRow]:
        """New entries, then the last changes of the catalogue, with dates."""
        rows = [
            HomeRow("", Span(one.name, f"{kind_of(one)}.strong"),
                    f"{one.added or ''}  {kind_of(one)}, {one.year}".strip(),
                    partial(self.owner.jump, one.id), one)
            for one in latest(self.catalogue)
        ]  # fmt: skip
        found = sorted(self.catalogue.changes, key=lambda change: change.date, reverse=True)
        return rows + [_change(self.owner, change.date, change.text) for change in found[:2]]

    def _panes(self) -> Iterator[HomeRow]:
        for pane, title, text in PANES[1:]:
            section = "recipes" if pane == "leaderboard" else pane
            number = count(len(self.catalogue.section(section))) if section in SECTIONS else ""
            name = Span(
                f"{key_of(f'go-{pane}')}  {title:<12} {number:>4}", _ROLES.get(pane, "text")
            )
            yield HomeRow("", name, text, partial(self._go, pane))

    def show_page(self, *, lead: bool = False) -> None:
        """There is no page beside the rows."""

    @property
    def thing(self) -> Chosen | None:
        row = self.table.at_cursor(self.rows)
        return row.thing if row else None

    def place(self) -> str | None:
        row = self.table.at_cursor(self.rows)
        return row.text.text if row else None

    def go_to(self, place: str | None) -> None:
        at = next((n for n, row in enumerate(self.rows) if row.text.text == place), 0)
        self.table.move_to(at)

    def action_search(self) -> None:
        self.run_worker(self.owner.search_in(self.owner.index), group="arrive")

    def action_enter(self) -> None:
        row = self.table.at_cursor(self.rows)
        found = row.act() if row else None
        if isinstance(found, Coroutine):
            self.run_worker(found)


def _group(label: str, rows: Iterable[HomeRow]) -> Iterator[HomeRow]:
    """The rows of a group, its label before the first."""
    for number, row in enumerate(rows):
        yield row if number else replace(row, label=label)


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


def _change(owner: PaneContext, date: str, text: str) -> HomeRow:
    """A change, of which enter shows the whole text."""
    show = partial(owner.desktop.show, f"Changed on {date}", text)
    return HomeRow("", Span(f"{date}  {text}", "dim"), "", show)


# Files of the user ------------------------------------------------------------------------------


def own_rows(owner: PaneContext) -> tuple[list[HomeRow], int]:
    """The rows about what the user has, and how many records of watches are unread.

    What is not there costs no import. Unreadable files are left out: the panes that show them, and
    `doctor`, say what is wrong."""
    where, rows, unread = owner.where, list[HomeRow](), 0
    quiet = partial(contextlib.suppress, BioRetrievalError, OSError)
    if owner.settings.path.exists():
        with quiet():
            rows += _index(owner)
        with quiet():
            search = partial(partial, owner.search_in, owner.index)
            queries = owner.settings.queries()[:MOST]
            rows += _group("Queries", (HomeRow("", Span(q), "", search(q)) for q in queries))
    if (where.data / "evaluations").is_dir():
        with quiet():
            rows += _group("Your runs", _runs(owner))
    if (where.data / "watches").is_dir():
        from bioretrieval_tui.online.watches import watches

        with quiet():
            news = []
            for one in (one for one in watches() if one.unread):
                first = next(item.title for item in one.news if not item.read)
                text, unread = f"{count(one.unread)} unread: {first}", unread + one.unread
                act = partial(owner.action_go, "news")
                news.append(HomeRow("", Span(text, "strong"), one.watch.query, act))
            rows += _group("News", news)
    if (where.cache / "online" / "freshness.json").exists():
        from bioretrieval_tui.online.freshness import load_freshness

        changes = load_freshness().changes[:MOST]
        rows += _group("Changed", (_change(owner, one.date, one.line()) for one in changes))
    return rows, unread


def _index(owner: PaneContext) -> Iterator[HomeRow]:
    """The index that was searched last, if it is still there."""
    if name := owner.settings.setting(LAST_INDEX):
        from bioretrieval_tui.index.registry import info

        found = info(name, deep=False)
        said = f"{plural(found.documents or 0, 'document')}  built {(found.built or '')[:10]}"
        yield HomeRow("Index", Span(name, "ok"), said, partial(owner.search_in, name), name)


def _runs(owner: PaneContext) -> Iterator[HomeRow]:
    from bioretrieval_tui.evaluation.records import by_kind, records
    from bioretrieval_tui.search.types import mode_name
    from bioretrieval_tui.tui.index_session import short_model

    for one, *_ in by_kind(records())[:MOST]:
        value = one.metrics.get("nDCG@10")
        figure = "" if value is None else f"{value:.4f} nDCG@10  "
        model = "" if one.mode == "lexical" else f" {short_model(one.model)}"
        text = Span(f"{one.benchmark}  {mode_name(one.mode)}{model}", "own")
        show = partial(owner.show_run, one.id)
        yield HomeRow("", text, f"{figure}{one.date[:10]}", show, one.id)
