"""Dialogs of fetching: what to fetch, and the index that it goes into."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date
from typing import ClassVar, cast

import msgspec
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from bioretrieval_tui.backend.protocol import FetchJob
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.online.spool import FetchRequest, SourceName
from bioretrieval_tui.tui.dialogs.dialog import Dialog, labelled, title_line
from bioretrieval_tui.tui.found_session import EXAMPLES, MOST_SHOWN
from bioretrieval_tui.tui.index_session import name_problem, require_model, slug
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.input import Buttons, QueryLine, Stepper

USUAL = 200
"""Default limit of papers."""
_SYNTAX = re.compile(r"\[[^]]*\]|\b(?:AND|OR|NOT)\b|\w+:")
"""The parts of a query that are syntax: field names and operators."""
_INTO = "a new name, or that of an existing index"


class FetchDialog(Dialog[FetchJob | FetchRequest]):
    """Asks what to fetch; answers a job, or a request to preview without an index.

    names: existing indexes; request: initial values of the fields.
    """

    DEFAULT_CSS: ClassVar[str] = "FetchDialog .label { width: 9; }"

    def __init__(self, names: Collection[str], request: FetchRequest) -> None:
        super().__init__()
        self.names = names
        self.suggested = request.index or ""
        """The suggested name, which another suggestion may replace."""
        sources = [source for source, _, _ in EXAMPLES]
        self.source = Stepper([(title, f"such as {one}") for _, title, one in EXAMPLES],
                              sources.index(request.source))  # fmt: skip
        self.asked = QueryLine("in the service's own syntax", request.query)
        self.most = QueryLine("no limit", "" if request.most is None else str(request.most))
        self.since = QueryLine("a date such as 2026-01-31", str(request.since or ""))
        self.into = QueryLine(_INTO, self.suggested)

    def compose(self) -> ComposeResult:
        yield Vertical(
            title_line(
                "Fetch papers", "{next-field}, {next-part}: next field   {close-field}: cancel"
            ),
            HeadLine(),
            labelled("Source", self.source),
            labelled("Query", self.asked),
            labelled("At most", self.most),
            labelled("Since", self.since),
            labelled("Index", self.into),
            HeadLine(),
            Buttons("Fetch", "Preview", "Cancel"),
            self.note,
        )

    def on_mount(self) -> None:
        self.asked.focus()

    def typed(self, field: Input) -> None:
        unchanged = self.into.value.strip() in ("", self.suggested)
        if field is self.asked and unchanged and self.suggested not in self.names:
            self.suggested = slug(_SYNTAX.sub(" ", field.value), 24)
            self.into.put(self.suggested)
        self.note.show(name_note(self.into.value, self.names, "A preview needs no index yet"))

    def pressed(self, index: int) -> None:
        request = self._filled_in()
        problem = name_fault(self.into.value, self.names)
        if request is None:
            return
        if index == 1:
            most = min(request.most or MOST_SHOWN, MOST_SHOWN)
            self.dismiss(msgspec.structs.replace(request, most=most))
        elif problem:
            self.complain(problem, self.into)
        else:
            self.dismiss(FetchJob(request))

    def _filled_in(self) -> FetchRequest | None:
        """The request, or None after a complaint."""
        query, most, since, into = (
            field.value.strip() for field in (self.asked, self.most, self.since, self.into)
        )
        if not query:
            self.complain("Type a query", self.asked)
            return None
        number = most.replace(",", "")
        if most and not (number.isascii() and number.isdigit() and int(number)):
            self.complain(f"'{most[:20]}' is not a number of papers", self.most)
            return None
        try:
            day = date.fromisoformat(since) if since else None
        except ValueError:
            problem = f"'{since[:20]}' is not a date: write it as 2026-01-31"
            self.complain(problem, self.since)
            return None
        source = cast(SourceName, EXAMPLES[self.source.chosen][0])
        return FetchRequest(source, query, day, int(number) if most else None, index=into or None)


class IntoDialog(Dialog[str]):
    """Asks for the index that starred papers go into; answers its name."""

    DEFAULT_CSS: ClassVar[str] = "IntoDialog .label { width: 9; }"

    def __init__(self, names: Collection[str], suggested: str, count: str) -> None:
        super().__init__()
        self.names = names
        self.count = count
        self.into = QueryLine(_INTO, suggested)

    def compose(self) -> ComposeResult:
        yield Vertical(
            title_line(f"Add {self.count} to an index", "{close-field}: cancel"),
            HeadLine(),
            labelled("Index", self.into),
            HeadLine(),
            Buttons("Add", "Cancel"),
            self.note,
        )

    def on_mount(self) -> None:
        self.into.focus()

    def typed(self, field: Input) -> None:
        self.note.show(name_note(field.value, self.names, ""))

    def pressed(self, _: int) -> None:
        problem = name_fault(self.into.value, self.names)
        if problem:
            self.complain(problem, self.into)
        else:
            self.dismiss(self.into.value.strip())


def name_fault(name: str, names: Collection[str]) -> str | None:
    """Why papers cannot go into an index of this name, or None. names: existing indexes."""
    name = name.strip()
    if name in names:
        try:
            require_model(name)
        except BioRetrievalError as error:
            return error.line()
    return name_problem(name) if name else "Give the index a name"


def name_note(name: str, names: Collection[str], empty: str) -> Span:
    """What will happen to the index that is named. empty: the note while there is no name."""
    name = name.strip()
    if not name:
        return Span(empty, "faint")
    if problem := name_problem(name):
        return Span(problem, "error")
    if name in names:
        return Span(f"adds to {name}; records that it holds already are skipped", "ok")
    return Span(f"{name} will be a new index", "faint")
