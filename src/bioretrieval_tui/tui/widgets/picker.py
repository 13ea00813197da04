"""Choosing files by keyboard: a path line with completion, a folder, and the selected files.

Folders are read in a thread, so that a slow disk or a hundred thousand files never delay a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input
from textual.worker import Worker, WorkerCancelled

from bioretrieval_tui.actions import keyed
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.tui import folders
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine
from bioretrieval_tui.tui.widgets.input import Buttons, QueryLine
from bioretrieval_tui.tui.widgets.table import ListRows, TableColumn, VirtualTable
from bioretrieval_tui.util.formatting import plural, size

COLUMNS = (
    TableColumn("mark", "", 3, priority=0),
    TableColumn("name", "Name", 16, 1, priority=0),
    TableColumn("size", "Size", 24, align="right", priority=1),
)


class PathLine(QueryLine):
    """The line for a path; tab completes."""

    BINDINGS: ClassVar = bindings("path")
    SCOPES = ("path",)

    class Completing(Message):
        """Tab was pressed."""

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()  # the picker takes it, which knows the folder

    def action_complete(self) -> None:
        self.post_message(self.Completing())


class FilePicker(Widget):
    """Selects files and folders; `selected` holds them in the order of selection.

    Its dialog has `Buttons`: `b`, and enter once something is selected, press the first of them.
    """

    DEFAULT_CSS = """
    FilePicker { height: 1fr; min-height: 5; layout: vertical; }
    FilePicker > Horizontal { height: 1; }
    FilePicker .label { width: 8; }
    """
    BINDINGS = bindings("files")

    class SelectionChanged(Message):
        """Something was selected or deselected."""

    def __init__(self, folder: Path, recent: Sequence[Path] = ()) -> None:
        """recent: folders that were used last, which are listed first."""
        super().__init__()
        self.folder = self.first = folder
        self.recent = folders.recent_entries([one for one in recent if one != folder])
        self.selected: dict[Path, folders.FolderEntry] = {}
        self.found: list[folders.FolderEntry] = []
        """The entries of the folder."""
        self.shown: list[folders.FolderEntry] = []
        """Those of them that the line admits."""
        self.hidden = False
        self.line = PathLine("a path, or part of a name")
        self.table = VirtualTable(COLUMNS)
        self.note = HeadLine()
        self._head = folders.short(folder)
        """The folder as the line shows it, cleaned."""
        self._rest = ""
        """The text behind it in the line: part of a name, or a pattern."""
        self._cursor_at: Path | None = None
        self._reading: Worker[None]

    def compose(self) -> ComposeResult:
        yield Horizontal(HeadLine(Span("Files", "dim"), classes="label"), self.line)
        yield self.table
        yield self.note

    def on_mount(self) -> None:
        self._enter(self.folder)
        self._tell()

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(map(str, self.selected))

    # Folders -----------------------------------------------------------------------------

    def _enter(self, folder: Path, *, cursor_at: Path | None = None) -> None:
        """Show a folder, and its path in the line."""
        self._cursor_at = cursor_at
        self._head, self._rest = folders.short(folder), ""
        self.line.put(self._head)
        self._read(folder)

    def _read(self, folder: Path) -> None:
        self.folder, self.found = folder, []
        self.table.empty = "Reading the folder"
        self._fill()
        self._reading = self.run_worker(
            partial(self._list, folder), group="folder", exclusive=True
        )  # a partial: a coroutine that is replaced early would never be awaited

    async def _list(self, folder: Path) -> None:
        self.table.empty = "No file or folder matches."
        try:
            self.found = await asyncio.to_thread(folders.entries, folder)
        except BioRetrievalError as error:
            self.table.empty = error.line()
        self._fill()

    async def _is_read(self) -> None:
        """Wait until the folder is read: a paste brings tab and enter before it is."""
        while not self._reading.is_finished:
            with suppress(WorkerCancelled):  # another folder is read instead
                await self._reading.wait()

    def _fill(self) -> None:
        self.shown = folders.matching(self.found, self._rest, hidden=self.hidden)
        if self.folder == self.first and not self._rest:
            self.shown = [*self.recent, *self.shown]
        at = next((i for i, e in enumerate(self.shown) if e.path == self._cursor_at), 0)
        self.table.show(ListRows(self.shown, self._cells), at)
        # The keys of the dialog follow what is under the cursor now.
        self.post_message(VirtualTable.Moved(self.table, self.table.cursor))

    def _cells(self, entry: folders.FolderEntry) -> list[Span]:
        """Mark, name, size (or why it cannot be selected)."""
        if entry.problem:
            return [Span(" - ", "faint"), Span(entry.name, "faint"), Span(entry.problem, "warn")]
        mark = Span("[x]", "ok") if entry.path in self.selected else Span("[ ]", "faint")
        if entry.folder:
            kind = f"{entry.kind} folder".strip()
            role = "benchmark" if entry.kind == "benchmark" else "dataset"
            return [mark, Span(f"{entry.name}/", role), Span(kind, "faint")]
        return [mark, Span(entry.name, "text"), Span(size(entry.size or 0), "dim")]

    # The line ----------------------------------------------------------------------------

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._follow()

    def _follow(self) -> None:
        """Show what the line names if it changed: in the current folder, or in another one."""
        line = self.line.value
        if line == self._head + self._rest:
            return
        self._cursor_at = None
        again = max(line.rfind("//"), line.rfind("/~/")) + 1
        if again:
            # A whole path, typed or pasted behind another one.
            line = line[again:]
            self.line.put(line)
        if line.startswith(self._head) and "/" not in line[len(self._head) :]:
            self._rest = line[len(self._head) :]
            self._fill()
            return
        try:
            folder, self._rest = folders.folder_of(line, self.folder)
        except BioRetrievalError as error:
            self.say(error.line(), "error")
            return
        self._head = line[: len(line) - len(self._rest)]
        self._read(folder)

    @on(PathLine.Completing)
    async def _complete(self, event: PathLine.Completing) -> None:
        """Complete the line as it was when tab was pressed, and keep what was typed since."""
        event.stop()
        self._follow()
        typed = self.line.value
        await self._is_read()
        line = self.line.value
        if not (typed.startswith(self._head) and line.startswith(typed)):
            return  # the line has changed since
        whole = (
            self._head
            + folders.completed(self.found, typed[len(self._head) :])
            + line[len(typed) :]
        )
        if whole != line:
            self.line.put(whole)
            self._follow()
        elif line == typed:
            self.table.focus()

    @on(Input.Submitted)
    async def _submitted(self, event: Input.Submitted) -> None:
        """Open the folder or select the files that the line names."""
        event.stop()
        self._follow()
        await self._is_read()
        if not self._rest:
            if self.selected:
                self.action_start()
            elif folders.is_benchmark(self.folder):
                self.action_take_all()
            else:
                self.table.focus()
            return
        if folders.is_pattern(self._rest) and self.shown:
            self.action_take_all(toggle=False)
            self.line.put(self._head)  # the next enter starts
            return
        named = [e for e in self.found if e.shown == self._rest] or self.shown
        several = await asyncio.to_thread(folders.pasted, self.line.value, self.folder)
        if not named and several[1]:
            self._select_several(*several)
        elif len(named) != 1:
            problem = "several match: type more, or ↓" if named else "no file here has this name"
            self.say(problem, "warn")
        elif named[0].folder and named[0].kind != "benchmark":
            self._enter(named[0].path)
        else:
            self._select(named[0], toggle=False)
            self.line.put(self._head)

    async def on_paste(self, event: events.Paste) -> None:
        """Select the files of a paste; go to a single one. Other text goes into the line."""
        event.stop()
        in_line = self.line.has_focus
        self.line.focus()  # at once: an enter behind the paste is for the line
        written, found = await asyncio.to_thread(folders.pasted, event.text, self.folder)
        if found and len(written) > 1:
            self._select_several(written, found)
            return
        path = written[0] if len(written) == 1 else event.text
        if found and found[0].kind == "benchmark":
            path = path.rstrip("/")  # it is one thing, to select
        if not in_line or path.startswith(("/", "~")):
            self.line.select_all()
        self.line.paste(path)
        if found and found[0].folder and found[0].kind != "benchmark":
            self._enter(found[0].path)

    def _select_several(self, written: Sequence[str], found: Sequence[folders.FolderEntry]) -> None:
        """Select the entries of paths that were written, and go to the first."""
        self._enter(found[0].path.parent, cursor_at=found[0].path)
        for entry in found:
            self._select(entry, toggle=False)
        if len(found) < len(written):
            self.say(f"not found: {len(written) - len(found)} of {len(written)} paths", "warn")

    @on(QueryLine.Left)
    def _left(self, event: QueryLine.Left) -> None:
        if event.by > 0:
            event.stop()
            self.table.focus()

    # Selecting ---------------------------------------------------------------------------

    @property
    def entry(self) -> folders.FolderEntry | None:
        return self.table.at_cursor(self.shown)

    def _select(self, entry: folders.FolderEntry, *, toggle: bool = True) -> None:
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
        self.post_message(self.SelectionChanged())

    def say(self, text: str, role: str) -> None:
        self.note.show(Span(text, role))

    def _tell(self) -> None:
        sizes = [e.size or 0 for e in self.selected.values() if not e.folder]
        others = len(self.selected) - len(sizes)
        parts = [f"{plural(len(sizes), 'file')}, {size(sum(sizes))}"] if sizes else []
        parts += [plural(others, "folder")] if others else []
        names = ", ".join(e.shown for e in self.selected.values())
        if parts:
            selected = Span(f"Selected: {' and '.join(parts)}", "ok")
            self.note.show(selected, Span(f"  {names}", "dim"))
        else:
            self.say(keyed("Nothing selected: {take} selects"), "dim")

    # Keys --------------------------------------------------------------------------------

    def action_take(self) -> None:
        if self.entry is not None:
            self._select(self.entry)

    def action_take_all(self, *, toggle: bool = True) -> None:
        """Select all files that are shown, or deselect them if all are selected; a benchmark is
        selected whole."""
        if folders.is_benchmark(self.folder):
            self._select(folders.FolderEntry(self.folder.name, self.folder.absolute(), True))
            return
        files = {e.path: e for e in self.shown if not e.folder and not e.problem}
        if toggle and files and files.keys() <= self.selected.keys():
            for path in files:
                del self.selected[path]
        else:
            taken = set(self.selected)
            self.selected |= {p: e for p, e in files.items() if not taken & set(p.parents)}
        self._selection_changed()

    def action_into(self) -> None:
        """Open the folder, or select the file or the benchmark; enter on what is selected starts
        with it."""
        if self.starts:
            self.action_start()
        elif self.opens:
            self.action_inside()
        else:
            self.action_take()

    def action_inside(self) -> None:
        if self.entry is not None and self.entry.folder:
            self._enter(self.entry.path)
        else:
            self.action_take()

    def action_out(self) -> None:
        """Open the parent folder, with the cursor on this one."""
        folder = self.folder.absolute()
        if folder.parent != folder:
            self._enter(folder.parent, cursor_at=folder)

    @property
    def opens(self) -> bool:
        """Whether enter opens what is under the cursor: a folder, but no benchmark."""
        return self.entry is not None and self.entry.folder and self.entry.kind != "benchmark"

    @property
    def starts(self) -> bool:
        """Whether enter starts: in the line, where it names nothing, and on what is selected."""
        at = self.entry.path if self.table.has_focus and self.entry else None
        return bool(self.selected) and (at in self.selected if at else not self._rest)

    def action_name(self) -> None:
        self.line.focus()
        self.line.cursor_position = len(self.line.value)

    def action_path(self, start: str) -> None:
        """Begin a path: the root or the home."""
        self.line.focus()
        self.line.put(start)

    def action_hidden(self) -> None:
        self.hidden = not self.hidden
        self._cursor_at = self.entry.path if self.entry else None
        self._fill()

    def action_start(self) -> None:
        self.post_message(Buttons.Pressed(0))

    def action_move(self, by: int) -> None:
        """Move the cursor; up from the first row goes to the line."""
        if by < 0 and not self.table.cursor:
            self.action_name()
        else:
            self.table.move_to(self.table.cursor + by)

    def action_half(self, by: int) -> None:
        self.table.move_to(self.table.cursor + by * max(1, self.table.page // 2))

    def action_edge(self, to: int) -> None:
        self.table.move_to(0 if to < 0 else len(self.shown) - 1)

    @on(VirtualTable.Chosen)
    def _chosen(self) -> None:
        self.action_into()
