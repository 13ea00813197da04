"""The screen of plots: a figure, what the cursor is on, and other kinds and axes by a key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

from msgspec.structs import replace
from textual.app import ComposeResult
from textual.containers import Vertical

from bioretrieval_tui.actions import in_scope, keyed
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.render.catalogue_figures import FigureWish
from bioretrieval_tui.render.figures import AXES, KINDS, Figure, figure_sheet
from bioretrieval_tui.render.plot_text import target_text
from bioretrieval_tui.render.sheet import shortened
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.dialogs.dialog import Dialog, ExportDialog
from bioretrieval_tui.tui.dialogs.help_dialog import HelpDialog
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import HeadLine, hints
from bioretrieval_tui.tui.widgets.plot_view import PlotView

_KINDS = tuple(kind for kind in KINDS if kind != "timeline")
"""Kinds that the key leads to: Evolution has a pane of its own."""
_LONGEST_NAME = 32
FigureMaker = Callable[[FigureWish], Figure]
"""Makes the figure of a wish, or raises BioRetrievalError."""


class PlotDialog(Dialog[str]):
    """A figure on the whole screen; answers the id of the model, benchmark or run that enter was
    pressed on.

    make: called for each kind and axis that is chosen; wish: what is shown first; keep: the id that
    the cursor is on first.
    """

    DEFAULT_CSS = """
    PlotDialog > Vertical {
        width: 100%; max-width: 100%; height: 100%; max-height: 100%; border: none; padding: 0;
    }
    """
    BINDINGS: ClassVar = bindings("plot")

    def __init__(self, make: FigureMaker, wish: FigureWish | None = None, keep: str = "") -> None:
        super().__init__()
        self.make = make
        self.wish = wish or FigureWish()
        self.keep = keep
        self.title_line, self.notes = HeadLine(), HeadLine()
        self.plot = PlotView()
        self.keys = HeadLine()

    def compose(self) -> ComposeResult:
        yield Vertical(self.title_line, self.notes, self.plot, self.note, self.keys)

    def on_mount(self) -> None:
        self.plot.focus()
        self._draw(self.keep)

    def on_resize(self) -> None:
        self._fit_keys()
        # Which names have a place is known once the plot has its size.
        self.call_after_refresh(self._fit_notes)

    def _fit_keys(self) -> None:
        actions = [one for one in in_scope("plot") if one.footer]
        if self.wish.kind != "pareto":
            actions = [one for one in actions if one.name != "axis"]
        actions.sort(key=lambda one: one.footer)
        self.keys.show(*hints(actions, self.app.size.width - 1, "strong", "faint"))

    def _draw(self, keep: str = "") -> None:
        """Show the figure of the wish; where there is none, why. keep: the id that the cursor goes
        to, in place of the one that it is on."""
        current, wish = self.plot.current, self.wish
        if wish.kind == "profile":  # in all benchmarks, whichever column was plotted
            wish = replace(wish, view=replace(wish.view, columns=()))
        try:
            figure = self.make(wish)
        except BioRetrievalError as error:
            self.plot.show(None)
            self.title_line.show(Span(self.wish.kind, "strong"))
            self.notes.display = True
            self.notes.show(Span(error.message, "warn"))
            self.note.show(Span(error.remedy or "", "dim"))
            return
        self.plot.show(figure, keep or (current.id if current else ""))
        self.title_line.show(Span(figure.title, "strong"))
        self._fit_notes()

    def _noted(self) -> str:
        """The notes, with the points of the front that the drawing cannot name."""
        if self.plot.figure is None:
            return ""
        names = [shortened(point.label, _LONGEST_NAME) for point in self.plot.unnamed]
        more = [f"without a label: {', '.join(names)}"] if names else []
        return "; ".join([*self.plot.figure.notes, *more])

    def _fit_notes(self) -> None:
        if self.plot.figure is None:
            return
        self.notes.display = bool(self._noted())
        self._tell()

    def _tell(self) -> None:
        """Show what the cursor is on, and the notes."""
        figure, current = self.plot.figure, self.plot.current
        if figure is not None:
            self.notes.show(Span(self._noted(), "faint"))
        if figure is not None and current is not None:
            count = f"   {self.plot.cursor + 1} of {len(self.plot.targets)}"
            self.note.show(Span(target_text(figure, current)), Span(count, "faint"))

    def action_point(self, by: int) -> None:
        self.plot.move_to(self.plot.cursor + by)
        self._tell()

    def action_point_edge(self, to: int) -> None:
        self.plot.move_to(0 if to < 0 else len(self.plot.targets))
        self._tell()

    def action_front(self, by: int) -> None:
        self.plot.move_on_front(by)
        self._tell()

    def action_help(self) -> None:
        self.app.push_screen(HelpDialog("Plot", ("plot",)))

    def action_axis(self) -> None:
        """The next x axis of the Pareto front."""
        if self.wish.kind != "pareto":
            self.note.show(
                Span(keyed("Only the Pareto front has several x axes: press {plot-kind}"), "warn")
            )
            return
        names = list(AXES)
        after = names[(names.index(self.wish.against) + 1) % len(names)]
        self.wish = replace(self.wish, against=after)
        self._draw()

    def action_kind(self) -> None:
        """The next kind; the profile is that of the model under the cursor."""
        figure, current = self.plot.figure, self.plot.current
        if figure is not None and current is not None and figure.kind in ("pareto", "history"):
            self.wish = replace(self.wish, model=current.id)
        kind = _KINDS[(_KINDS.index(self.wish.kind) + 1) % len(_KINDS)]
        if kind == "profile" and self.wish.model is None:
            kind = "runs"
        self.wish = replace(self.wish, kind=kind)
        self._fit_keys()
        self._draw()

    def action_enter(self) -> None:
        if self.plot.current is not None:
            self.dismiss(self.plot.current.id)

    def action_export(self) -> None:
        from bioretrieval_tui.render.picture_files import EXTENSIONS, check_extension

        figure = self.plot.figure
        if figure is None:
            raise UsageError("Nothing to export")

        def checked(path: Path) -> Path:
            check_extension(path)
            return path

        dialog = ExportDialog(
            partial(figure_sheet, figure),
            f"bioretrieval-{figure.kind}.svg",
            len(self.plot.targets),
            write=checked,
            extensions=" ".join(EXTENSIONS),
        )
        self.app.push_screen(dialog, partial(self._write, figure))

    def _write(self, figure: Figure, path: Path | None) -> None:
        if path is not None:
            work: Callable[[], Awaitable[None]] = partial(self._written, figure, path)
            self.run_worker(work, group="picture", exclusive=True)

    async def _written(self, figure: Figure, path: Path) -> None:
        """Write the picture in a thread: the first one waits for matplotlib."""
        from bioretrieval_tui.render.picture_files import write_figure

        self.note.show(Span(f"Writing {path}...", "dim"))
        try:
            await asyncio.to_thread(write_figure, path, figure)
        except BioRetrievalError as error:
            self.note.show(Span(error.line(), "error"))
        else:
            self.note.show(Span(f"Wrote {path}", "ok"))
