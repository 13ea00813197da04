"""Dialogs of fetching: what to fetch, and the index that it goes into."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, TypeVar, cast

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from bioretrieval_tui.online.spool import FetchRequest, SourceName
from bioretrieval_tui.tui.dialogs.dialog import FIELD_KEYS, Dialog
from bioretrieval_tui.tui.found_session import EXAMPLES, MOST_SHOWN
from bioretrieval_tui.tui.index_session import name_problem, slug
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.buttons import Buttons, Stepper
from bioretrieval_tui.tui.widgets.input import QueryLine

USUAL = 200
"""Default limit of papers."""
_SYNTAX = re.compile(r"\[[^]]*\]|\b(?:AND|OR|NOT)\b|\w+:")
"""The parts of a query that are syntax: field names and operators."""
ROWS = (
    ("source", "Source", ""),
    ("asked", "Query", "in the service's own syntax"),
    ("most", "At most", "no limit"),
    ("since", "Since", "a date such as 2026-01-31"),
    ("into", "Index", "a new name, or that of an existing index"),
)
"""(id, label, placeholder)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to fetch; `preview`: show it first, without an index."""

    request: FetchRequest
    preview: bool


AnswerT = TypeVar("AnswerT")


class Form(Dialog[AnswerT]):
    """Lines to fill in, buttons, and a line for notes and errors."""

    DEFAULT_CSS = """
    Form Horizontal { height: 1; }
    Form .label { width: 9; }
    Form .space { height: 1; }
    """
    BINDINGS: ClassVar = FIELD_KEYS

    FIELDS: ClassVar[tuple[str, ...]] = ()
    BUTTONS: ClassVar[tuple[str, ...]] = ()

    def on_mount(self) -> None:
        """Label the lines."""
        for name, label, _ in ROWS:
            for row in self.query(f"#{name}-label").results(HeadLine):
                row.show(Span(label, "dim"))

    def compose(self) -> ComposeResult:
        """Title, fields with their labels, buttons, note."""
        with Vertical():
            yield HeadLine(id="title")
            yield HeadLine(classes="space")
            for name, _, placeholder in ROWS:
                if name not in self.FIELDS:
                    continue
                with Horizontal():
                    yield HeadLine(id=f"{name}-label", classes="label")
                    if name == "source":
                        yield Stepper([(title, f"such as {one}") for _, title, one in EXAMPLES])
                    else:
                        yield QueryLine(placeholder, id=name)
            yield HeadLine(classes="space")
            yield Buttons(self.BUTTONS)
            yield HeadLine(id="note")

    def line(self, name: str) -> QueryLine:
        """The line of that name."""
        return self.query_one(f"#{name}", QueryLine)

    def text(self, name: str) -> str:
        """The text of a line."""
        return self.line(name).value.strip()

    def fill(self, name: str, text: str) -> None:
        """Put a text into a line."""
        self.line(name).value = text
        self.line(name).cursor_position = len(text)

    def complain(self, text: str, name: str) -> None:
        """Show what is wrong with a line, and focus it."""
        self.query_one("#note", HeadLine).show(Span(text, "error"))
        self.line(name).focus()

    def name_fits(self) -> bool:
        """Whether the name of the index is valid; shows what is wrong if not."""
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

    def show_note(self, names: Collection[str], empty: str) -> None:
        """Say what will happen to the index that is named. empty: shown while there is no name."""
        name = self.text("into")
        problem = name_problem(name) if name else None
        if problem:
            note = Span(problem, "error")
        elif not name:
            note = Span(empty, "faint")
        elif name in names:
            note = Span(f"adds to {name}; records that it holds already are skipped", "ok")
        else:
            note = Span(f"{name} will be a new index", "faint")
        self.query_one("#note", HeadLine).show(note)


class FetchDialog(Form[Wish]):
    """Asks what to fetch. `names`: existing indexes; `request`: initial values of the lines."""

    FIELDS = ("source", "asked", "most", "since", "into")
    BUTTONS = ("Fetch", "Preview", "Cancel")

    def __init__(self, names: Collection[str], request: FetchRequest) -> None:
        super().__init__()
        self.names = frozenset(names)
        self.request = request
        self.suggested = request.index or ""
        """The suggested name, which another suggestion may replace."""

    def on_mount(self) -> None:
        """Fill in the initial values."""
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
        unchanged = self.text("into") in ("", self.suggested)
        if event.input.id == "asked" and unchanged and self.suggested not in self.names:
            self.suggested = slug(_SYNTAX.sub(" ", event.value), 24)
            self.fill("into", self.suggested)
        self.show_note(self.names, "A preview needs no index yet")

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

    FIELDS = ("into",)
    BUTTONS = ("Add", "Cancel")

    def __init__(self, names: Collection[str], suggested: str, count: str) -> None:
        super().__init__()
        self.names = frozenset(names)
        self.suggested = suggested
        self.count = count

    def on_mount(self) -> None:
        """Start with the last name."""
        super().on_mount()
        self.query_one("#title", HeadLine).show(
            Span(f"Add {self.count} to an index", "strong"), Span("   esc: cancel", "faint")
        )
        self.fill("into", self.suggested)
        self.line("into").focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.show_note(self.names, "")

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
