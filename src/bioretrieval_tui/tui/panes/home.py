"""Home: what this is, what is in it, what is new, where to start."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import ClassVar

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
from bioretrieval_tui.tui.text import Line, Span, line
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.util.formatting import count

LATEST = 6
OUTSIDE = 5
"""Changes outside the catalogue that are shown."""


class HomePane(Pane, inherit_bindings=False):
    """One page; letters jump to the latest entries."""

    SCOPES: ClassVar[tuple[str, ...]] = ("detail", "everywhere")

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.latest: list[AnyEntry] = []

    def compose(self) -> ComposeResult:
        yield Detail(measure=96)

    def on_mount(self) -> None:
        """Write the page, with the changes and news that the network verbs keep in files."""
        self.latest = latest(self.catalogue)
        try:
            watched = watches()
        except BioRetrievalError:
            watched = []  # `watch list` says what is wrong
        self.query_one(Detail).show(
            home_lines(self.catalogue, self.latest, load_freshness().changes, watched)
        )

    def activate(self) -> None:
        self.query_one(Detail).focus()

    def on_key(self, event: events.Key) -> None:
        letters = home_letters(len(self.latest))
        if event.character and event.character in letters:
            event.stop()
            self.owner.jump(self.latest[letters.index(event.character)].id)


def home_letters(number: int) -> str:
    """Letters for the latest entries that no key of this pane uses."""
    taken = "jkgqtnlrsoyez"
    return "".join(c for c in ascii_lowercase if c not in taken)[:number]


def latest(catalogue: Catalogue) -> list[AnyEntry]:
    """The newest work in the catalogue: by year, papers and milestones once each."""
    candidates: list[AnyEntry] = [
        entry for entry in catalogue.entries if entry.year and not isinstance(entry, Milestone)
    ]
    candidates.sort(key=lambda e: (e.added or "", e.year or 0, isinstance(e, Paper)), reverse=True)
    return candidates[:LATEST]


def home_lines(
    catalogue: Catalogue,
    newest: list[AnyEntry],
    found: Sequence[SubjectChange] = (),
    watched: Sequence[Watched] = (),
) -> list[Line]:
    """The page of Home. found: changes that refreshes saw, newest first; watched: the watches."""
    lines = [
        line(Span("Biomedical text retrieval", "model.strong"), "  in a terminal"),
        line(
            Span(
                "Papers, models, datasets, benchmarks and training recipes for dense retrieval "
                "in biomedicine, each value with its source; and search over your own abstracts.",
                "dim",
            )
        ),
        line(),
    ]
    roles = {
        "papers": "paper",
        "models": "model",
        "datasets": "dataset",
        "benchmarks": "benchmark",
        "timeline": "milestone",
        "path": "step",
        "leaderboard": "recipe",
    }
    for pane, title, text in PANES[1:]:
        section = "recipes" if pane == "leaderboard" else pane
        number = count(len(catalogue.section(section))) if section in SECTIONS else ""
        name = Span(f"{title:<12}", roles.get(pane, "text"))
        size = Span(f"{number:>4}  ", "strong")
        key = Span(f" {DIGITS[pane]} ", "key")
        lines.append(line(key, " ", name, size, Span(text, "dim"), hang=22))
    lines += [
        line(),
        line(Span(f"{count(len(catalogue.results))} published results", "strong"),
             Span(f", each with its source. Updated {catalogue.updated or 'never'}.", "dim")),
        line(),
        line(Span("Latest", "header")),
    ]  # fmt: skip
    for letter, entry in zip(home_letters(len(newest)), newest, strict=False):
        lines.append(
            line(Span(letter, "key"), " ", Span(entry.name, f"{kind_of(entry)}.strong"),
                 Span(f"  {kind_of(entry)}, {entry.year}", "faint"), hang=4)
        )  # fmt: skip
    lines += [line(), line(Span("What changed", "header"))]
    lines += [
        line(Span(f"{change.date}  ", "dim"), *inline(change.text), hang=12)
        for change in sorted(catalogue.changes, key=lambda c: c.date, reverse=True)[:5]
    ]
    if found:
        lines += [line(), line(Span("What changed outside", "header"))]
        lines += [
            line(Span(f"{change.date}  ", "dim"), change.line(), hang=12)
            for change in found[:OUTSIDE]
        ]
        lines.append(line(Span("catalog refresh checks again and lists the rest", "faint")))
    lines += _news_lines(watched)
    lines += [
        line(),
        line(Span("Where to start", "header")),
        line(Span(" 8 ", "key"), " five steps, from a baseline to your own retriever", hang=4),
        line(Span(" 9 ", "key"), " search the catalogue, offline", hang=4),
        line(Span(" 0 ", "key"), " build an index over your own abstracts", hang=4),
        line(Span(" / ", "key"), " filters any list, ", Span(" ? ", "key"), " shows the keys, ",
             Span(" q ", "key"), " quits", hang=4),
    ]  # fmt: skip
    return lines


def _news_lines(watched: Sequence[Watched]) -> list[Line]:
    """The watches with unread news, with the first unread item of each."""
    unread = [one for one in watched if one.unread]
    if not unread:
        return []
    lines = [line(), line(Span("News", "header"))]
    for one in unread:
        newest = next(item for item in one.news if not item.read)
        lines.append(
            line(Span(f"{count(one.unread):>4}  ", "strong"), one.watch.query,
                 Span(f"  {newest.title}", "dim"), hang=6)
        )  # fmt: skip
    return lines
