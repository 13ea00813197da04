"""Get started: five steps, each with its commands, its entries, a mark that is kept, and, where
the step evaluates something, the evaluation itself."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bioretrieval_tui.catalog.models import AnyEntry, Step
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.folders import BENCHMARK_FOLDER
from bioretrieval_tui.tui.panes.pane import Pane
from bioretrieval_tui.tui.spans import PaintedPage
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.widgets.bars import WorkBar
from bioretrieval_tui.tui.work_lines import evaluation_lines

if TYPE_CHECKING:
    from bioretrieval_tui.backend.jobs import JobRecord
    from bioretrieval_tui.tui.dialogs.file_dialogs import ChosenBenchmark
    from bioretrieval_tui.tui.step_session import StepState

NOTHING_TO_RUN = "This step runs no evaluation"
_LEAD = 4
"""Lines of a page before what can be run: name, kind, an empty line, the summary."""


class StartPane(Pane):
    """The learning path."""

    BINDINGS = bindings("start", "browse")
    SCOPES: ClassVar[tuple[str, ...]] = ("start", "list", "browse", "everywhere")
    MORE_SCOPES: ClassVar[tuple[str, ...]] = ("files",)
    SHOWS_WORK: ClassVar[bool] = True

    def __init__(self, name: str) -> None:
        super().__init__(name, "path")
        self.done: frozenset[str] = frozenset()
        self.states: dict[str, StepState] = {}

    def on_mount(self) -> None:
        try:
            self.done = self.owner.settings.done()
        except BioRetrievalError as error:
            # After the pane is shown: showing it brings back the key hints.
            self.call_after_refresh(self.owner.say, error.line(), "error")
        self.jobs_changed()

    def activate(self) -> None:
        """Look again for folders, weights and scores."""
        super().activate()
        self.look()

    def mark(self, entry: AnyEntry) -> str:
        """Whether the step is done."""
        return "[x] " if entry.id in self.done else "[ ] "

    def action_done(self) -> None:
        entry = self.current
        if entry is None:
            return
        now_done = entry.id not in self.done
        try:
            self.owner.settings.set_done(entry.id, now_done)
        except BioRetrievalError as error:
            self.owner.say(error.line(), "error")
            return
        self.done = self.done | {entry.id} if now_done else self.done - {entry.id}
        self.table.update()
        self.head()

    def action_copy_command(self) -> None:
        entry = self.current
        if isinstance(entry, Step) and entry.commands:
            self.owner.copy_text(entry.commands[0], "command")
        else:
            self.owner.say("This step has no command")

    def list_head(self) -> list[Span]:
        spans, found = super().list_head(), self.entry_list
        if found and not found.problem and not self.letters and not found.expression:
            done = sum(entry.id in self.done for entry in found.entries)
            spans[1:] = [Span(f"  {done} of {len(found.entries)} done", "dim")]
        return spans

    # What a step needs, and its results --------------------------------------------------

    def look(self) -> None:
        """Look for folders, weights and scores, in a thread: disks may be slow."""
        entries = self.entry_list.entries if self.entry_list else ()
        steps = [entry for entry in entries if isinstance(entry, Step) and _runs(entry)]
        if steps:
            chosen = {step.id: self.owner.remembered_folder(_setting(step)) for step in steps}
            work = partial(self._look, steps, chosen)
            self.run_worker(work, thread=True, group="steps", exclusive=True)

    def _look(self, steps: list[Step], chosen: dict[str, Path | None]) -> None:
        from bioretrieval_tui.evaluation.records import records
        from bioretrieval_tui.tui.step_session import StepState, missing_of, newest_of, placed

        near = list(dict.fromkeys(folder.parent for folder in chosen.values() if folder))
        found: dict[str, StepState] = {}
        try:
            kept = records()
        except BioRetrievalError:
            kept = []  # the leaderboard reports it
        for step in steps:
            places = placed(step, chosen[step.id], near)
            missing = missing_of([place.call for place in places], self.catalogue)
            found[step.id] = StepState(places, missing, newest_of(places, kept, self.catalogue))
        if self.is_attached:
            self.app.call_from_thread(self._looked, found)

    def _looked(self, found: dict[str, StepState]) -> None:
        if found != self.states:
            self.states = found
            self.show_page()

    def make_page(self) -> PaintedPage:
        page = super().make_page()
        state = self.states.get(self.current.id) if self.current else None
        if state is None:
            return page
        from bioretrieval_tui.tui.step_session import step_lines

        more = tuple(step_lines(state, self.catalogue))
        return replace(
            page,
            lines=(*page.lines[:_LEAD], *more, *page.lines[_LEAD:]),
            links_at=page.links_at + len(more),
            jumps_at=page.jumps_at + len(more),
        )

    # Running -----------------------------------------------------------------------------

    def action_run_step(self) -> None:
        """Run the step; if it runs, ask whether to stop it."""
        step = self.current
        state = self.states.get(step.id) if step else None
        if not isinstance(step, Step) or state is None:
            busy = isinstance(step, Step) and _runs(step)
            self.owner.say("Looking for its folder" if busy else NOTHING_TO_RUN)
            return
        waiting = self.owner.jobs.of_purpose(step.id)
        if waiting:
            if waiting[0] is self.owner.jobs.current:
                self.owner.action_stop_evaluation()
            else:
                self.owner.say(f"{step.name} waits for another job")
            return
        if all(place.folder is None for place in state.places):
            self.owner.say("Its benchmark was not found: f chooses a folder", "warn")
        elif state.missing:
            self._confirm_download(step, state)
        else:
            self._run(step, state, download=False)

    def _run(self, step: Step, state: StepState, *, download: bool) -> None:
        from bioretrieval_tui.backend.protocol import EvaluateJob
        from bioretrieval_tui.tui.kept_rankings import encoder_of

        jobs = [
            EvaluateJob(
                str(place.folder), place.call.modes, *encoder_of(self.catalogue, place.call.model),
                download=download, purpose=step.id,
            )
            for place in state.places
            if place.folder is not None
        ]  # fmt: skip
        self.owner.jobs.submit(*jobs)
        self.owner.say(jobs[0].title)

    def _confirm_download(self, step: Step, state: StepState) -> None:
        from bioretrieval_tui.encoding.device import offline

        what = ", ".join(state.missing)
        if offline():
            self.owner.say(f"{what} is not on this machine, and offline mode is on", "warn")
            return
        models = [self.catalogue.by_id.get(place.call.model or "") for place in state.places]
        terms = dict.fromkeys(getattr(model, "licence", None) for model in models if model)
        licence = ", ".join(term for term in terms if term) or "not known"
        self.owner.confirm(
            f"Download {what}?",
            f"Licence: {licence}. The files come from the model hub and stay on this machine.",
            ("Download and run", "Cancel"),
            lambda: self._run(step, state, download=True),
        )

    def action_benchmark(self) -> None:
        step = self.current
        if not isinstance(step, Step) or not _runs(step):
            self.owner.say(NOTHING_TO_RUN)
            return
        from bioretrieval_tui.tui.dialogs.file_dialogs import BenchmarkDialog
        from bioretrieval_tui.tui.step_session import check_folder

        start = self.owner.benchmark_folder(_setting(step))
        dialog = BenchmarkDialog(
            f"Folder for: {step.name}", "Use this folder", start, check=partial(check_folder, step)
        )
        self.app.push_screen(dialog, partial(self._chosen_folder, step))

    def _chosen_folder(self, step: Step, chosen: ChosenBenchmark | None) -> None:
        if chosen is not None:
            self.owner.remember_folder(_setting(step), chosen.folder)
            self.owner.remember_folder(
                BENCHMARK_FOLDER, chosen.folder
            )  # the next choice begins there
            self.look()

    def action_clear(self) -> None:
        """Leave what is open; else, if the step runs, ask whether to stop it."""
        found = self.entry_list
        filtered = found is not None and (found.expression or found.problem)
        open_before = self.has_class("-reading") or self.letters or filtered
        super().action_clear()
        running = self.owner.jobs.evaluation
        if not open_before and running is not None and running.purpose == self.current_id:
            self.owner.action_stop_evaluation()

    def jobs_changed(self) -> None:
        self.query_one(WorkBar).show(evaluation_lines(self.owner.jobs, self.app.size.width))

    def job_ended(self, outcome: JobRecord) -> None:
        if outcome.evaluation is not None or outcome.state != "done":
            self.look()


def _runs(step: Step) -> bool:
    return any(command.startswith("bioretrieval-tui eval ") for command in step.commands)


def _setting(step: Step) -> str:
    return f"benchmark-folder {step.id}"
