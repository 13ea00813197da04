"""The sections of the catalogue: each a list of entries with the page of one beside it."""

from __future__ import annotations

from bioretrieval_tui.catalog.models import AnyEntry, Model
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.entry_session import EntrySession
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.text import Span


class BrowsePane(Pane):
    """One section of the catalogue, by the name of the pane."""

    BINDINGS = bindings("browse", "noting", "marking")
    SCOPES = ("list", "browse", "noting", "marking", "everywhere")
    MORE_SCOPES = ("comparison",)
    SHARE = 40
    """Titles of papers are much to send where a list scrolls."""

    def __init__(self, name: str) -> None:
        super().__init__(name, name)


class BenchmarksPane(Pane):
    """The benchmarks, which can be run."""

    BINDINGS = bindings("evaluating", "browse", "noting", "marking")
    SCOPES = ("evaluating", "list", "browse", "noting", "marking", "everywhere")
    MORE_SCOPES = ("comparison",)

    def __init__(self, name: str) -> None:
        super().__init__(name, name)


class ModelsPane(Pane):
    """The curated models, and with a key the listed ones of the public board behind them.

    Pages tell the scores of the board once it is read.
    """

    BINDINGS = bindings("models", "evaluating", "browse", "noting", "marking")
    SCOPES = ("models", "evaluating", "list", "browse", "noting", "marking", "everywhere")
    MORE_SCOPES = ("comparison",)

    def __init__(self, name: str) -> None:
        super().__init__(name, "models")
        self.with_listed = False

    def activate(self) -> None:
        super().activate()
        self.after_paint("board", self._widen)

    async def _widen(self) -> None:
        await self.owner.widen()
        if self.entry_list.catalogue is not self.catalogue:
            self._relist()

    def _relist(self) -> None:
        """List the models again; filter, order and cursor stay."""
        before, place = self.entry_list, self.place()
        entries = self.catalogue.models if self.with_listed else self.catalogue.of_type(Model)
        self.entry_list = EntrySession(entries, self.catalogue)
        self.entry_list.filter_by(before.filter)
        self.entry_list.sorted_by = before.sorted_by
        self.refill(place)

    async def action_listed(self) -> None:
        await self.owner.widen()
        self.with_listed = not self.with_listed
        self._relist()
        if self.owner.board_problem:
            raise UsageError(self.owner.board_problem)
        count = len(self.catalogue.listed)
        shown = f"{count} listed models: their facts are declared to mteb, not checked"
        self.owner.say(shown if self.with_listed else "Curated models")

    def mark(self, entry: AnyEntry) -> str:
        listed = "\N{MIDDLE DOT} " if entry.status == "declared" else ""
        return super().mark(entry) + listed

    def go_to(self, place: str | None) -> None:
        entry = self.catalogue.by_id.get(place or "")
        if entry is not None and entry.status == "declared" and not self.with_listed:
            self.with_listed = True
            self._relist()
        super().go_to(place)

    def list_head(self) -> list[Span]:
        spans = super().list_head()
        if self.with_listed and not self.entry_list.problem:
            spans.append(
                Span("  \N{MIDDLE DOT} listed: facts declared to mteb, not checked", "faint")
            )
        return spans
