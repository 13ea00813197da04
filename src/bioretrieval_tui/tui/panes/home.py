"""Home: what this is, what is in it, what is new, where to start."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from string import ascii_lowercase

from textual import events
from textual.app import ComposeResult

from bioretrieval_tui.actions import DIGITS, PANES
from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.models import SECTIONS, AnyEntry, Milestone, Paper
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.freshness import SubjectChange, load_freshness
from bioretrieval_tui.online.watches import Watched, watches
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.spans import inline
from bioretrieval_tui.tui.text import Line, Span, line, publications
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.util.formatting import count

YEARS_WIDTH = 60
"""Cells of the papers by year, which fit beside their label at 80 columns."""
LATEST = 6
OUTSIDE = 5
"""Changes outside the catalogue that are shown."""
_ROLES = {
    "papers": "paper", "models": "model", "datasets": "dataset", "benchmarks": "benchmark",
    "timeline": "milestone", "path": "step", "leaderboard": "recipe",
}  # fmt: skip
"""The colour of a pane's title."""


class HomePane(Pane, inherit_bindings=False):
    """One page; letters jump to the latest entries."""

    SCOPES = ("detail", "everywhere")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.latest: Sequence[AnyEntry] = ()

    def compose(self) -> ComposeResult:
        yield Detail(measure=96)

    def on_mount(self) -> None:
        self.latest = latest(self.catalogue)
        watched: Sequence[Watched] = ()
        with contextlib.suppress(BioRetrievalError):  # `watch list` says what is wrong
            watched = watches()
        changes = load_freshness().changes
        self.detail.show(home_lines(self.catalogue, self.latest, changes, watched))

    def activate(self) -> None:
        self.detail.focus()

    def on_key(self, event: events.Key) -> None:
        letters = home_letters(len(self.latest))
        if event.character and event.character in letters:
            event.stop()
            self.owner.jump(self.latest[letters.index(event.character)].id)


def home_letters(number: int) -> str:
    """Letters for the latest entries that no key of this pane uses."""
    taken = "jkgqtnlrsoyezu"
    return "".join(c for c in ascii_lowercase if c not in taken)[:number]


def latest(catalogue: Catalogue) -> Sequence[AnyEntry]:
    """The newest work in the catalogue: by year, papers and milestones once each."""
    works = [one for one in catalogue.entries if one.year and not isinstance(one, Milestone)]
    works.sort(key=lambda e: (e.added or "", e.year or 0, isinstance(e, Paper)), reverse=True)
    return works[:LATEST]


def home_lines(
    catalogue: Catalogue,
    newest: Sequence[AnyEntry],
    found: Sequence[SubjectChange] = (),
    watched: Sequence[Watched] = (),
) -> list[Line]:
    """The page of Home. found: changes that refreshes saw, newest first; watched: the watches."""
    about = (
        "Papers, models, datasets, benchmarks and training recipes for dense retrieval "
        "in biomedicine, each value with its source; and search over your own abstracts."
    )
    lines = [
        line(Span("Biomedical text retrieval", "model.strong"), "  in a terminal"),
        line(Span(about, "dim")),
        line(),
    ]
    for pane, title, text in PANES[1:]:
        section = "recipes" if pane == "leaderboard" else pane
        number = count(len(catalogue.section(section))) if section in SECTIONS else ""
        name = Span(f"{title:<12}", _ROLES.get(pane, "text"))
        size = Span(f"{number:>4}  ", "strong")
        key = Span(f" {DIGITS[pane]} ", "key")
        lines.append(line(key, " ", name, size, Span(text, "dim"), hang=22))
    updated = f", each with its source. Updated {catalogue.updated or 'never'}."
    results = Span(f"{count(len(catalogue.results))} published results", "strong")
    lines += [line(), line(results, Span(updated, "dim"))]
    if years := publications((one.year for one in catalogue.of_type(Paper)), YEARS_WIDTH):
        lines.append(line("Papers by year  ", *years, hang=16))
    lines += [line(), _header("Latest")]
    for letter, entry in zip(home_letters(len(newest)), newest, strict=False):
        kind = kind_of(entry)
        lines.append(
            line(Span(letter, "key"), " ", Span(entry.name, f"{kind}.strong"),
                 Span(f"  {kind}, {entry.year}", "faint"), hang=4)
        )  # fmt: skip
    lines += [line(), _header("What changed")]
    changes = sorted(catalogue.changes, key=lambda change: change.date, reverse=True)[:2]
    for change in changes:
        lines.append(line(Span(f"{change.date}  ", "dim"), *inline(change.text), hang=12))
    if found:
        lines += [line(), _header("What changed outside")]
        for seen in found[:OUTSIDE]:
            lines.append(line(Span(f"{seen.date}  ", "dim"), seen.line(), hang=12))
        lines.append(line(Span("catalog refresh checks again and lists the rest", "faint")))
    if unread := [one for one in watched if one.unread]:
        lines += [line(), _header("News")]
        for one in unread:
            first = next(item for item in one.news if not item.read)
            lines.append(
                line(Span(f"{count(one.unread):>4}  ", "strong"), one.watch.query,
                     Span(f"  {first.title}", "dim"), hang=6)
            )  # fmt: skip
    return [
        *lines,
        line(),
        _header("Where to start"),
        line(Span(" 8 ", "key"), " five steps, from a baseline to your own retriever", hang=4),
        line(Span(" 9 ", "key"), " search the catalogue, offline", hang=4),
        line(Span(" 0 ", "key"), " build an index over your own abstracts", hang=4),
        line(Span(" / ", "key"), " filters any list, ", Span(" ? ", "key"), " shows the keys, ",
             Span(" q ", "key"), " quits", hang=4),
    ]  # fmt: skip


def _header(text: str) -> Line:
    return line(Span(text, "header"))
