"""The app's share in evaluations: the one that runs, exploring a benchmark, leaving meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual.worker import Worker

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.tui.evaluating import Ask, Evaluations, Result
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.widgets.bars import StatusBar
from bioretrieval_tui.tui.working import WorkingApp

if TYPE_CHECKING:
    from bioretrieval_tui.evaluation.records import EvaluationRecord
    from bioretrieval_tui.library.store import Library
    from bioretrieval_tui.tui.panes.choosing import Chosen

FOLDER = "benchmark-folder"
"""The setting that remembers where a benchmark was chosen last."""
PANES_WITH_PROGRESS = ("path", "qrels")
"""Panes that show the evaluation that runs, whole."""
_KEPT = "Vectors already made are kept; the figures come when it is run again."


class EvaluatingApp(WorkingApp, inherit_bindings=False):
    """An app that evaluates in a child process, whatever is shown."""

    catalogue: Catalogue

    def __init__(self, **how: object) -> None:
        super().__init__(**how)
        self.evaluations = Evaluations(
            self._start_evaluation, self.evaluation_changed, self._evaluated
        )

    @property
    def library(self) -> Library:
        """The reader's own marks."""
        raise NotImplementedError

    async def show_pane(self, name: str) -> Pane:
        """Show a pane."""
        raise NotImplementedError

    def _remember(self) -> None:
        raise NotImplementedError

    async def on_unmount(self) -> None:
        """End the child with the app; the other one is ended by the base."""
        await self.evaluations.close()

    # The evaluation that runs ------------------------------------------------------------

    def _start_evaluation(self, work: Coroutine[None, None, None]) -> Worker[None]:
        return self.run_worker(work, group="work")

    def works_changed(self) -> None:
        """Work on an index changed: the line at the bottom has room for one of them."""
        super().works_changed()
        if self.screen_stack and self.evaluations.current is not None:
            self._hint_at_evaluation()

    def evaluation_changed(self) -> None:
        """Show how far the evaluation is, here and in every pane."""
        if not self.screen_stack:
            return  # the app is leaving, and nothing is shown any more
        if self.works.current is None or self.evaluations.current is not None:
            self._hint_at_evaluation()
        else:
            super().works_changed()
        for pane in self.screen_stack[0].query(Pane):
            pane.evaluation_changed()

    def _hint_at_evaluation(self) -> None:
        from bioretrieval_tui.tui.judged import evaluation_hint

        hint = "" if self.current in PANES_WITH_PROGRESS else evaluation_hint(self.evaluations)
        self.screen_stack[0].query_one(StatusBar).working(hint)

    def _evaluated(self, result: Result) -> None:
        if not self.screen_stack:
            return
        self.say(result.line, "bar.strong" if result.role == "ok" else result.role)
        for pane in self.screen_stack[0].query(Pane):
            pane.evaluation_done(result)

    def action_stop_evaluation(self) -> None:
        """Stop the evaluation that runs, after a question."""
        ask = self.evaluations.current
        if ask is None:
            self.say("No evaluation runs")
            return
        from bioretrieval_tui.tui.panes.dialogs import Question

        def answered(yes: bool | None) -> None:
            if yes and self.evaluations.current is ask:
                self.evaluations.stop()

        question = f"Stop {ask.doing.lower()}?"
        self.push_screen(Question(question, _KEPT, "Stop", "Go on"), answered)

    async def action_quit(self) -> None:
        """Leave; while an evaluation runs, after a question (and asked again during it, at
        once)."""
        from bioretrieval_tui.tui.panes.dialogs import Question

        ask = self.evaluations.current
        if self.works.current is not None or ask is None:
            await super().action_quit()
            return
        if isinstance(self.screen, Question) and self.screen is self._leaving:
            self.exit()
            return
        self._leaving = Question(f"Leave? {ask.doing} stops then.", _KEPT, "Leave", "Stay")
        self.push_screen(self._leaving, lambda yes: self.exit() if yes else None)

    # Exploring ---------------------------------------------------------------------------

    def action_explore(self) -> None:
        """Ask for a benchmark, then show its queries and judgements."""
        from bioretrieval_tui.tui.indexing import model_choices
        from bioretrieval_tui.tui.panes.choosing import BenchmarkDialog

        dialog = BenchmarkDialog(
            "Explore a benchmark", "Explore", self.benchmark_folder(),
            model_choices(self.catalogue),
        )  # fmt: skip
        self.push_screen(dialog, self._chosen_benchmark)

    def _chosen_benchmark(self, chosen: Chosen | None) -> None:
        if chosen is not None:
            self.remember_folder(FOLDER, chosen.folder)
            self.explore(Ask(chosen.folder, chosen.modes, chosen.model, purpose="explore"))

    def explore(self, ask: Ask) -> None:
        """Go to the explorer and show what `ask` ranks; it is run if that is not kept."""
        self._remember()
        self.run_worker(self._explore(ask))

    async def _explore(self, ask: Ask) -> None:
        from bioretrieval_tui.tui.panes.qrels import QrelsPane

        pane = await self.show_pane("qrels")
        if isinstance(pane, QrelsPane):
            pane.open(ask)

    def explore_record(self, record: EvaluationRecord) -> None:
        """The benchmark of an own evaluation, from where its index was built."""
        from bioretrieval_tui.encoding.embedded import MODEL_ID
        from bioretrieval_tui.evaluation.layout import find_parts
        from bioretrieval_tui.index.registry import manifest_of

        try:
            inputs = manifest_of(record.index).inputs
            folder = Path(inputs[0].path).parent if inputs else Path()
            find_parts(folder, record.split)
        except BioRetrievalError as error:
            self.say(f"{error.line()}: choose its folder with E", "error")
            return
        modes = ("lexical", "dense", "hybrid", *(("rerank",) if record.reranker else ()))
        model = None if record.model == MODEL_ID else record.model
        self.explore(
            Ask(folder, modes, model, record.split, reranker=record.reranker, purpose="explore")
        )

    # Folders that were chosen ------------------------------------------------------------

    def benchmark_folder(self, name: str = FOLDER) -> Path:
        """Where choosing a benchmark begins: where the last one was, else the working folder."""
        from bioretrieval_tui.tui.folders import first_folder

        return self.remembered_folder(name) or self.remembered_folder(FOLDER) or first_folder()

    def remembered_folder(self, name: str) -> Path | None:
        """The folder that a setting remembers, if it is still there."""
        try:
            kept = self.library.setting(name)
            return Path(kept) if kept and Path(kept).is_dir() else None
        except (BioRetrievalError, OSError, ValueError):
            return None

    def remember_folder(self, name: str, folder: Path) -> None:
        """Keep a folder for the next time; a library that cannot be written is said."""
        self._quietly(partial(self.library.set_setting, name, str(folder.absolute())))

    def _quietly(self, do: Callable[[], None]) -> None:
        try:
            do()
        except BioRetrievalError as error:
            self.say(error.line(), "error")
