"""Evolution: the milestones on a year axis over their list, and the lineage of models as a tree."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events, on
from textual.app import ComposeResult
from textual.message import Message

from bioretrieval_tui.actions import keyed
from bioretrieval_tui.catalog.models import AnyEntry, Milestone, Model
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.render.lineage import Branch, introduced, lineage, timeline
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.entry_list import entry_columns
from bioretrieval_tui.tui.entry_session import EntrySession
from bioretrieval_tui.tui.panes.browse import EntryPane
from bioretrieval_tui.tui.text import Row, Span
from bioretrieval_tui.tui.timeline_rows import (
    TimelinePicture,
    branch_axis,
    branch_row,
    draw_timeline,
    kinship,
)
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.canvas import Canvas
from bioretrieval_tui.tui.widgets.table import GAP, ListRows, TableColumn, VirtualTable

LEAST_LIST = 4
"""Rows of the list, header included, below which the picture is left out."""
LEAST_PAGE = 16
"""Rows of a page below which the picture is left out while it is read."""
BASE = TableColumn("base", "Trained from", 30, priority=1)
WITH_BASE = 110
"""Columns from which the tree names the models that a family was trained from."""


class TimelineCanvas(Canvas):
    """The picture of the timeline; posts `Picked` for a milestone that is clicked on."""

    class Picked(Message):
        def __init__(self, milestone: str) -> None:
            super().__init__()
            self.milestone = milestone

    DEFAULT_CSS = "TimelineCanvas { height: 1; }"

    def __init__(self) -> None:
        super().__init__(id="picture")
        self.picture: TimelinePicture | None = None
        self.at: str | None = None
        self.shown: Sequence[str] = ()

    def show(self, at: str | None, shown: Sequence[str]) -> None:
        self.at, self.shown = at, shown
        self.update()

    def row_spans(self) -> Sequence[Row]:
        rows = self.picture.rows(self.at, self.shown) if self.picture else ()
        return [(Span(" "), *row) for row in rows]

    def on_click(self, event: events.Click) -> None:
        found = self.picture and self.picture.at(event.y, event.x - 1)
        if found:
            self.post_message(self.Picked(found))


class EvolutionPane(EntryPane):
    """The timeline first; `v` shows the lineage, a list of families of models drawn as a tree.

    The picture follows the cursor of the list of milestones, and is left out where the window is
    too low for both.
    """

    BINDINGS = bindings("timeline", "browse", "noting")
    SCOPES = ("timeline", "list", "browse", "noting", "everywhere")
    DEFAULT_CSS = """
    EvolutionPane.-lineage #picture, EvolutionPane.-low #picture,
    EvolutionPane.-reading.-lower #picture { display: none; }
    EvolutionPane.-wide.-lineage Detail { display: none; }
    EvolutionPane.-wide.-lineage.-reading Detail { display: block; }
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, name)
        self.picture = TimelineCanvas()
        self.timeline = timeline(self.catalogue)
        self.marks = self.timeline.marks
        self.branches: Sequence[Branch] = ()
        """The lineage, read when it is first shown."""

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield self.picture

    def on_mount(self) -> None:
        """Textual calls that of the base class too."""
        self.move_child(self.picture, after=self.query_one(HeadLine))

    @property
    def in_lineage(self) -> bool:
        return self.has_class("-lineage")

    @property
    def heading(self) -> str:
        return "Lineage" if self.in_lineage else super().heading

    def fit(self) -> None:
        super().fit()
        width, height = self.app.size
        drawn = draw_timeline(self.timeline, width - 2)
        self.picture.picture, self.picture.styles.height = drawn, drawn.height
        spare = height - 3 - drawn.height  # panes, status and the line over the picture
        self.set_class(not self.timeline.eras or spare < LEAST_LIST, "-low")
        self.set_class(spare < LEAST_PAGE, "-lower")
        if self.in_lineage:
            self._fit_tree()

    def list_head(self) -> list[Span]:
        spans, found = super().list_head(), self.entry_list
        if found.problem or self.letters:
            return spans
        if found.filter:
            return spans if self.in_lineage else [*spans, Span("  ○ without a match", "dim")]
        if self.in_lineage:
            return [*spans, Span(" families of models (●), by first release", "dim")]
        spans.append(Span(" milestones (●)", "dim"))
        mark = self.marks.get(self.place() or "")
        return [*spans, Span("   "), *kinship(mark, self.marks)] if mark else spans

    # The picture follows the list --------------------------------------------------------

    def refill(self, keep: str | None = None) -> None:
        super().refill(keep)
        if self.in_lineage:
            self._fit_tree()
        self._follow()

    @on(VirtualTable.Moved)
    def _follow(self) -> None:
        if not self.in_lineage:
            self.picture.show(self.place(), self.ids())
        self.head()

    @on(TimelineCanvas.Picked)
    def _picked(self, event: TimelineCanvas.Picked) -> None:
        if event.milestone in (ids := self.ids()):
            self.table.move_to(ids.index(event.milestone))

    # The tree -----------------------------------------------------------------------------

    def go_to(self, place: str | None) -> None:
        is_model = isinstance(self.catalogue.by_id.get(place or ""), Model)
        if is_model != self.in_lineage:
            self.action_view()
        super().go_to(place)

    def action_view(self) -> None:
        """Show the lineage, or the timeline again, with the cursor on what both have."""
        self.close_filter()
        self.remove_class("-reading")
        here = self.place()
        self.toggle_class("-lineage")
        self.branches = self.branches or lineage(self.catalogue)
        milestones = self.catalogue.section(self.section)
        entries: Sequence[AnyEntry] = milestones
        if self.in_lineage:
            entries = [self.catalogue.by_id[one.models[0]] for one in self.branches]
        same = [
            (one.id, branch.models[0])
            for one in milestones
            if isinstance(one, Milestone)
            for branch in self.branches
            if {*introduced(one, self.catalogue)} & {*branch.models}
        ]
        there = next((b if here == a else a for a, b in same if here in (a, b)), None)
        self.entry_list = EntrySession(entries, self.catalogue)
        self.table.set_columns(entry_columns(self.section, self.split.columns))
        self.refill(there or entries[0].id if entries else None)
        self.table.focus()

    @property
    def list_width(self) -> int:
        width = self.app.size.width
        if self.in_lineage and width >= self.WIDE and not self.split.zoom:
            return width * (self.split.share or self.SHARE) // 100  # the tree takes what there is
        return super().list_width

    def action_columns(self) -> None:
        self._for_milestones()
        super().action_columns()

    def action_column(self, by: int) -> None:
        self._for_milestones()
        super().action_column(by)

    def action_split(self, by: int) -> None:
        if not self.has_class("-reading"):
            self._for_milestones()
        super().action_split(by)

    def _for_milestones(self) -> None:
        if self.in_lineage:
            raise UsageError(
                keyed("The lineage is drawn: {lineage} shows the milestones, which have columns")
            )

    def action_enter(self) -> None:
        super().action_enter()
        self.fit()

    def leave(self) -> bool:
        left = super().leave()
        self.fit()
        return left

    def _fit_tree(self) -> None:
        """Draw the tree as wide as the list is; families alone where some are not shown."""
        width, reading = self.app.size.width, self.has_class("-reading")
        with_base = width >= WITH_BASE and not reading
        space = (self.list_width if reading else 0) or width
        space -= 2
        space -= BASE.width + GAP if with_base else 0
        axis = branch_axis(self.branches, space)
        title = "".join(span.text for span in axis.row(space))
        tree = TableColumn("year", title, space, priority=0)
        table = self.table
        sorted_by = table.sorted_by
        table.set_columns((tree, BASE) if with_base else (tree,))
        table.sorted_by = sorted_by
        places = {one.models[0]: at for at, one in enumerate(self.branches)}
        joined = self.ids() == list(places)

        def cells(entry: AnyEntry) -> Sequence[Span | Row]:
            at = places[entry.id]
            bases = ", ".join(self.branches[at].bases)
            return [branch_row(self.branches, at, axis, joined=joined), Span(bases, "dim")]

        table.show(ListRows(self.entry_list.shown, cells), table.cursor)
