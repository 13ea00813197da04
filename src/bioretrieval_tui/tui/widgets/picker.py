"""Choosing files by keyboard: a path line with completion, a folder, and the selected files.

Folders are read in a thread, so that a slow disk or a hundred thousand files never delay a key.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.folders import (
    FolderEntry,
    completed,
    entries,
    folder_of,
    is_pattern,
    matching,
    short,
)
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.input import QueryLine
from bioretrieval_tui.tui.widgets.table import TableColumn, VirtualTable
from bioretrieval_tui.util.formatting import plural, size

COLUMNS = (
    TableColumn("mark", "", 3, priority=0),
    TableColumn("name", "Name", 16, 1, priority=0),
    TableColumn("size", "Size", 24, align="right", priority=1),
)


class PathLine(QueryLine):
    """The line for a path; tab completes."""

    BINDINGS: ClassVar = [Binding("tab", "complete", show=False)]

    class Completing(Message):
        """Tab was pressed."""

    def action_complete(self) -> None:
        """Tab."""
        self.post_message(self.Completing())


class FolderRows:
    """The entries of a folder as rows; `selected` are marked."""

    def __init__(self, shown: list[FolderEntry], selected: dict[Path, FolderEntry]) -> None:
        self.shown = shown
        self.selected = selected

    def __len__(self) -> int:
        return len(self.shown)

    def cells(self, index: int) -> list[Span]:
        """Mark, name, size (or why it cannot be selected)."""
        entry = self.shown[index]
        if entry.problem:
            return [Span(" - ", "faint"), Span(entry.name, "faint"), Span(entry.problem, "warn")]
        mark = Span("[x]", "ok") if entry.path in self.selected else Span("[ ]", "faint")
        if entry.folder:
            return [mark, Span(f"{entry.name}/", "dataset"), Span("folder", "faint")]
        return [mark, Span(entry.name, "text"), Span(size(entry.size or 0), "dim")]


class FilePicker(Widget):
    """Selects files and folders; `selected` holds them in the order of selection."""

    DEFAULT_CSS = """
    FilePicker { height: 1fr; layout: vertical; }
    FilePicker > Horizontal { height: 1; }
    FilePicker .label { width: 8; }
    """
    BINDINGS = bindings("files")

    class Changed(Message):
        """Something was selected or deselected."""

    class Done(Message):
        """The selection is complete; `start`: and the dialog is to begin its work."""

        def __init__(self, *, start: bool) -> None:
            super().__init__()
            self.start = start

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.rest = ""
        """The text behind the folder in the line: part of a name, or a pattern."""
        self.selected: dict[Path, FolderEntry] = {}
        self.found: list[FolderEntry] = []
        self.shown: list[FolderEntry] = []
        self.hidden = False
        self._head = short(folder)
        """The folder as the line shows it, cleaned."""
        self._cursor_at: Path | None = None
        self._reading = False
        self._once_read: deque[Callable[[], None]] = deque()
        """Actions of keys that came while the folder was being read, in order."""

    def compose(self) -> ComposeResult:
        """Line, list, selection."""
        with Horizontal():
            yield HeadLine(classes="label")
            yield PathLine("a path, or part of a name", id="path")
        yield VirtualTable(COLUMNS)
        yield HeadLine(id="selected")

    def on_mount(self) -> None:
        """Show the first folder."""
        self.query_one(".label", HeadLine).show(Span("Files", "dim"))
        self._enter(self.folder)
        self._tell()

    @property
    def line(self) -> PathLine:
        """The path line."""
        return self.query_one(PathLine)

    @property
    def table(self) -> VirtualTable:
        """The list."""
        return self.query_one(VirtualTable)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The selected paths."""
        return tuple(str(path) for path in self.selected)

    # Folders -----------------------------------------------------------------------------

    def _enter(self, folder: Path, *, cursor_at: Path | None = None) -> None:
        """Show a folder, and its path in the line."""
        self._cursor_at = cursor_at
        self._head, self.rest = short(folder), ""
        with self.prevent(Input.Changed):
            self.line.value = self._head
        self.line.cursor_position = len(self._head)
        self._read(folder)

    def _read(self, folder: Path) -> None:
        self.folder, self.found, self.shown = folder, [], []
        self._reading = True
        self._once_read.clear()
        self.table.empty = "Reading the folder"
        self._fill()
        self.run_worker(partial(self._list, folder), thread=True, group="folder", exclusive=True)

    def _list(self, folder: Path) -> None:
        """In a thread."""
        try:
            found, problem = entries(folder), ""
        except BioRetrievalError as error:
            found, problem = [], error.line()
        if self.is_attached:
            self.app.call_from_thread(self._listed, folder, found, problem)

    def _listed(self, folder: Path, found: list[FolderEntry], problem: str) -> None:
        if folder != self.folder:
            return
        self.found = found
        self.table.empty = problem or "No file or folder matches."
        self._reading = False
        self._fill()
        waiting, self._once_read = self._once_read, deque()
        while waiting and not self._reading:  # one of them may enter another folder
            waiting.popleft()()
        self._once_read = waiting

    def _fill(self) -> None:
        self.shown = matching(self.found, self.rest, hidden=self.hidden)
        at = next((i for i, e in enumerate(self.shown) if e.path == self._cursor_at), 0)
        self.table.show(FolderRows(self.shown, self.selected), at)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._cursor_at = None
        self._follow(event.value)

    def _follow(self, line: str) -> None:
        """Show what the line names: in the current folder, or in another one."""
        if line.startswith(self._head) and "/" not in line[len(self._head) :]:
            self.rest = line[len(self._head) :]
            self._fill()
            return
        try:
            folder, self.rest = folder_of(line, self.folder)
        except BioRetrievalError as error:
            self.say(error.line(), "error")
            return
        self._head = line[: len(line) - len(self.rest)]
        self._read(folder)

    @on(PathLine.Completing)
    def _complete(self, event: PathLine.Completing) -> None:
        event.stop()
        self._when_read(partial(self._complete_name, self.line.value))

    def _when_read(self, then: Callable[[], None]) -> None:
        if self._reading:
            self._once_read.append(then)
        else:
            then()

    def _complete_name(self, typed: str) -> None:
        """Complete `typed`, the line when tab was pressed, and keep what was typed since."""
        line = self.line.value
        if not (typed.startswith(self._head) and line.startswith(typed)):
            return  # the line has changed since
        since = line[len(typed) :]
        rest = completed(self.found, typed[len(self._head) :])
        whole = self._head + rest + since
        if whole == line:
            if not since:
                self.table.focus()
            return
        with self.prevent(Input.Changed):
            self.line.value = whole
        self.line.cursor_position = len(whole)
        self._cursor_at = None
        self._follow(whole)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        """Enter in the line: open the folder or select the file that it names."""
        event.stop()
        self._when_read(self._accept)

    def _accept(self) -> None:
        if not self.rest:
            if self.selected:
                self.post_message(self.Done(start=False))
            else:
                self.table.focus()
            return
        if is_pattern(self.rest):
            self.action_take_all()
            return
        named = [e for e in self.found if e.shown == self.rest] or self.shown
        if len(named) != 1:
            problem = "several match: type more, or ↓" if named else "no file here has this name"
            self.say(problem, "warn")
        elif named[0].folder:
            self._enter(named[0].path)
        else:
            self._select(named[0], toggle=False)
            self.line.value = self._head
            self.line.cursor_position = len(self._head)

    @on(QueryLine.Left)
    def _left(self, event: QueryLine.Left) -> None:
        if event.by > 0:
            event.stop()
            self.table.focus()

    # Selecting ---------------------------------------------------------------------------

    @property
    def entry(self) -> FolderEntry | None:
        """The entry under the cursor."""
        at = self.table.cursor
        return self.shown[at] if 0 <= at < len(self.shown) else None

    def _select(self, entry: FolderEntry, *, toggle: bool = True) -> None:
        if entry.problem:
            self.say(f"{entry.name}: {entry.problem}", "warn")
            return
        above = next((p for p in entry.path.parents if p in self.selected), None)
        if above is not None:
            self.say(f"its folder {above.name} is already selected", "warn")
            return
        if entry.path not in self.selected:
            for inside in [p for p in self.selected if entry.path in p.parents]:
                del self.selected[inside]  # the folder contains it
            self.selected[entry.path] = entry
        elif toggle:
            del self.selected[entry.path]
        self._selection_changed()

    def _selection_changed(self) -> None:
        self._tell()
        self.table.update()
        self.post_message(self.Changed())

    def say(self, text: str, role: str) -> None:
        """Show a message in the line of the selection."""
        self.query_one("#selected", HeadLine).show(Span(text, role))

    def _tell(self) -> None:
        files = [e for e in self.selected.values() if not e.folder]
        folders = len(self.selected) - len(files)
        if not self.selected:
            self.say("Nothing selected: space selects", "dim")
            return
        parts = []
        if files:
            parts.append(f"{plural(len(files), 'file')}, {size(sum(e.size or 0 for e in files))}")
        if folders:
            parts.append(plural(folders, "folder"))
        names = ", ".join(e.shown for e in self.selected.values())
        self.query_one("#selected", HeadLine).show(
            Span(f"Selected: {' and '.join(parts)}", "ok"), Span(f"  {names}", "dim")
        )

    # Keys --------------------------------------------------------------------------------

    def action_take(self) -> None:
        """space."""
        if self.entry is not None:
            self._select(self.entry)

    def action_take_all(self) -> None:
        """Select all files that are shown, or deselect them if all are selected."""
        files = [e for e in self.shown if not e.folder and not e.problem]
        if files and all(e.path in self.selected for e in files):
            for entry in files:
                del self.selected[entry.path]
        else:
            self.selected |= {
                e.path: e for e in files if not set(e.path.parents) & set(self.selected)
            }
        self._selection_changed()

    def action_into(self) -> None:
        """enter: open the folder, or select the file."""
        if self.entry is None:
            return
        if self.entry.folder:
            self._enter(self.entry.path)
        else:
            self._select(self.entry)

    def action_out(self) -> None:
        """left: open the parent folder, with the cursor on this one."""
        folder = self.folder.absolute()
        if folder.parent != folder:
            self._enter(folder.parent, cursor_at=folder)

    def action_path(self) -> None:
        """slash: the line."""
        self.line.focus()
        self.line.cursor_position = len(self.line.value)

    def action_hidden(self) -> None:
        """full stop: toggle hidden files."""
        self.hidden = not self.hidden
        self._cursor_at = self.entry.path if self.entry else None
        self._fill()

    def action_start(self) -> None:
        """b: begin."""
        self.post_message(self.Done(start=True))

    def action_move(self, by: int) -> None:
        """j, k."""
        if by < 0 and not self.table.cursor:
            self.action_path()
        else:
            self.table.move_to(self.table.cursor + by)

    def action_half(self, by: int) -> None:
        """ctrl+d, ctrl+u."""
        self.table.move_to(self.table.cursor + by * max(1, self.table.page // 2))

    def action_edge(self, to: int) -> None:
        """g, G."""
        self.table.move_to(0 if to < 0 else len(self.shown) - 1)

    @on(VirtualTable.Chosen)
    def _chosen(self, event: VirtualTable.Chosen) -> None:
        event.stop()
        self.action_into()

    @on(VirtualTable.Moved)
    def _moved(self, event: VirtualTable.Moved) -> None:
        event.stop()
