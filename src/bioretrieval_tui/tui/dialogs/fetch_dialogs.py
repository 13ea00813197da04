"""Dialogs of fetching: what to fetch, into an index at once or to look at first."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, TypeVar, cast

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from bioretrieval_tui.online.spool import FetchRequest, SourceName
from bioretrieval_tui.tui.dialogs.dialog import Dialog
from bioretrieval_tui.tui.found_session import EXAMPLES, MOST_SHOWN
from bioretrieval_tui.tui.index_session import name_problem, slug
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.buttons import Buttons, Stepper
from bioretrieval_tui.tui.widgets.input import QueryLine

USUAL = 200
"""Papers that are asked for unless another number is typed."""
_SYNTAX = re.compile(r"\[[^]]*\]|\b(?:AND|OR|NOT)\b|\w+:")
"""Of a query, what says where or how to look and not what for."""
ROWS = (
    ("source", "Source", ""),
    ("asked", "Query", "in the service's own syntax"),
    ("most", "At most", "no limit"),
    ("since", "Since", "a date such as 2026-01-31"),
    ("into", "Index", "a new name, or that of an existing index"),
)
"""(id, label, what stands in the empty line)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be fetched; `preview`: to look at it before anything goes into an index."""

    request: FetchRequest
    preview: bool


AnswerT = TypeVar("AnswerT")


class Form(Dialog[AnswerT]):
    """Lines to fill in, buttons, and a line for complaints."""

    DEFAULT_CSS = """
    Form Horizontal { height: 1; }
    Form .label { width: 9; }
    Form .space { height: 1; }
    """
    BINDINGS: ClassVar = [
        # Lines have their own keys; these are for stepper and buttons.
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]

    def on_mount(self) -> None:
        """Label the lines."""
        for name, label, _ in ROWS:
            for row in self.query(f"#{name}-label").results(HeadLine):
                row.show(Span(label, "dim"))

    def row(self, name: str) -> ComposeResult:
        """A label and its line."""
        with Horizontal():
            yield HeadLine(id=f"{name}-label", classes="label")
            if name == "source":
                yield Stepper([(title, f"such as {example}") for _, title, example in EXAMPLES])
            else:
                yield QueryLine(next(text for row, _, text in ROWS if row == name), id=name)

    def line(self, name: str) -> QueryLine:
        """The line of that name."""
        return self.query_one(f"#{name}", QueryLine)

    def text(self, name: str) -> str:
        """What stands in it."""
        return self.line(name).value.strip()

    def fill(self, name: str, text: str) -> None:
        """Put a text into a line."""
        self.line(name).value = text
        self.line(name).cursor_position = len(text)

    def complain(self, text: str, name: str) -> None:
        """Say what is wrong with a line, and go there."""
        self.query_one("#note", HeadLine).show(Span(text, "error"))
        self.line(name).focus()

    def name_fits(self) -> bool:
        """Whether the name can be an index; complains if not."""
        name = self.text("into")
        problem = "Give the index a name" if not name else name_problem(name)
        if problem:
            self.complain(problem, "into")
        return not problem

    @on(Input.Submitted)
    def _next(self, event: Input.Submitted) -> None:
        event.stop()
        self.focus_next()

    @on(QueryLine.Left)
    def _left(self, event: QueryLine.Left) -> None:
        event.stop()
        if event.by > 0:
            self.focus_next()
        else:
            self.focus_previous()

    @on(QueryLine.Cancelled)
    def _cancelled(self, event: QueryLine.Cancelled) -> None:
        event.stop()
        self.dismiss(None)


class FetchDialog(Form[Wish]):
    """Asks what to fetch. `names`: indexes that are there; `request`: what the lines begin with."""

    def __init__(self, names: Collection[str], request: FetchRequest) -> None:
        super().__init__()
        self.names = frozenset(names)
        self.request = request
        self.suggested = request.index or ""
        """The name that was put there: it may be replaced by another suggestion."""

    def compose(self) -> ComposeResult:
        """Title, source, query, how many, since when, index, buttons."""
        with Vertical():
            yield HeadLine(id="title")
            yield HeadLine(classes="space")
            for name, _, _ in ROWS:
                yield from self.row(name)
            yield HeadLine(classes="space")
            yield Buttons(("Fetch", "Preview", "Cancel"))
            yield HeadLine(id="note")

    def on_mount(self) -> None:
        """Fill in what is known."""
        super().on_mount()
        self.query_one("#title", HeadLine).show(
            Span("Fetch papers", "strong"), Span("   enter, tab: next field   esc: cancel", "faint")
        )
        sources = [source for source, _, _ in EXAMPLES]
        self.query_one(Stepper).chosen = sources.index(self.request.source)
        self.fill("most", "" if self.request.most is None else str(self.request.most))
        self.fill("since", str(self.request.since or ""))
        self.fill("into", self.suggested)
        self.fill("asked", self.request.query)
        self.line("asked").focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        ours = self.text("into") in ("", self.suggested) and self.suggested not in self.names
        if event.input.id == "asked" and ours:
            self.suggested = slug(_SYNTAX.sub(" ", event.value), 24)
            self.fill("into", self.suggested)
        self._note()

    def _note(self) -> None:
        """What will become of the index."""
        note, name = self.query_one("#note", HeadLine), self.text("into")
        problem = name_problem(name) if name else None
        if problem:
            note.show(Span(problem, "error"))
        elif not name:
            note.show(Span("A preview needs no index yet", "faint"))
        elif name in self.names:
            note.show(Span(f"adds to {name}; records that it holds already are skipped", "ok"))
        else:
            note.show(Span(f"{name} will be a new index", "faint"))

    @on(Buttons.Pressed)
    def _pressed(self, event: Buttons.Pressed) -> None:
        event.stop()
        if event.index == 2:
            self.dismiss(None)
            return
        request = self._filled_in()
        if request is None:
            return
        if event.index == 0:
            if self.name_fits():
                self.dismiss(Wish(request, preview=False))
            return
        most = min(request.most or MOST_SHOWN, MOST_SHOWN)
        self.dismiss(Wish(msgspec.structs.replace(request, most=most), preview=True))

    def _filled_in(self) -> FetchRequest | None:
        """The request, or None after a complaint."""
        query, most, since = self.text("asked"), self.text("most"), self.text("since")
        if not query:
            self.complain("Type a query", "asked")
            return None
        number = most.replace(",", "")
        if most and not (number.isascii() and number.isdigit() and int(number)):
            self.complain(f"'{most[:20]}' is not a number of papers", "most")
            return None
        if since and not _is_day(since):
            self.complain(f"'{since[:20]}' is not a date: write it as 2026-01-31", "since")
            return None
        source = cast(SourceName, EXAMPLES[self.query_one(Stepper).chosen][0])
        return FetchRequest(
            source, query, date.fromisoformat(since) if since else None,
            int(number) if most else None, index=self.text("into") or None,
        )  # fmt: skip


class IntoDialog(Form[str]):
    """Asks for the index that starred papers go into; answers its name."""

    def __init__(self, names: Collection[str], suggested: str, count: str) -> None:
        super().__init__()
        self.names = frozenset(names)
        self.suggested = suggested
        self.count = count

    def compose(self) -> ComposeResult:
        """Title, index, buttons."""
        with Vertical():
            yield HeadLine(id="title")
            yield HeadLine(classes="space")
            yield from self.row("into")
            yield HeadLine(classes="space")
            yield Buttons(("Add", "Cancel"))
            yield HeadLine(id="note")

    def on_mount(self) -> None:
        """With the name that was given before."""
        super().on_mount()
        self.query_one("#title", HeadLine).show(
            Span(f"Add {self.count} to an index", "strong"), Span("   esc: cancel", "faint")
        )
        self.fill("into", self.suggested)
        self.line("into").focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        name = self.text("into")
        there = f"adds to {name}" if name in self.names else f"{name} will be a new index"
        problem = name_problem(name) if name else None
        note = Span(problem, "error") if problem else Span(there if name else "", "faint")
        self.query_one("#note", HeadLine).show(note)

    @on(Buttons.Pressed)
    def _pressed(self, event: Buttons.Pressed) -> None:
        event.stop()
        if event.index == 1:
            self.dismiss(None)
        elif self.name_fits():
            self.dismiss(self.text("into"))


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
