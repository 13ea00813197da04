"""Get started: five steps, each with its commands, its entries, a mark that is kept, and, where
the step evaluates or trains something, that itself."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from bioretrieval_tui.actions import key_of
from bioretrieval_tui.catalog.models import AnyEntry, Benchmark, Model, Step
from bioretrieval_tui.errors import BioRetrievalError, UsageError
from bioretrieval_tui.tui.bindings import bindings
from bioretrieval_tui.tui.folders import BENCHMARK_FOLDER, first_folder
from bioretrieval_tui.tui.panes.browse import EntryPane
from bioretrieval_tui.tui.spans import PaintedPage
from bioretrieval_tui.tui.text import Span

if TYPE_CHECKING:
    from bioretrieval_tui.backend.job_folder import JobRecord
    from bioretrieval_tui.tui.dialogs.file_dialogs import ChosenBenchmark
    from bioretrieval_tui.tui.step_session import StepState

NOTHING_TO_RUN = "This step runs nothing"
_LEAD = 4
"""Lines of a page before what can be run: name, kind, an empty line, the summary."""


class StartPane(EntryPane):
    """The learning path."""

    BINDINGS = bindings("start", "browse", "noting")
    SCOPES = ("start", "list", "browse", "noting", "everywhere")
    MORE_SCOPES = ("files", "path")
    SHOWS_WORK = "runs"

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

    def activate(self) -> None:
        super().activate()
        self.look()

    def mark(self, entry: AnyEntry) -> str:
        return "[x] " if entry.id in self.done else "[ ] "

    def action_done(self) -> None:
        if self.current is not None:
            step = self.current.id
            self._toggle(step)
            what = f"{self.current.name} marked as {'' if step in self.done else 'not '}done"
            self.owner.undo.add(what, partial(self._toggle, step))

    def _toggle(self, step: str) -> None:
        self.owner.settings.set_done(step, step not in self.done)
        self.done ^= {step}
        self.table.update()
        self.head()

    def action_copy_command(self) -> None:
        step = self.current
        if not isinstance(step, Step) or not step.commands:
            raise UsageError("This step has no command")
        self.owner.desktop.copy(step.commands[0], "command")

    def list_head(self) -> list[Span]:
        spans, found = super().list_head(), self.entry_list
        if not found.problem and not self.letters and not found.filter:
            done = sum(entry.id in self.done for entry in found.entries)
            spans[1:] = [Span(f"  {done} of {len(found.entries)} done", "dim")]
        return spans

    # What a step needs, and its results --------------------------------------------------

    def look(self) -> None:
        entries = self.entry_list.entries
        steps = [entry for entry in entries if isinstance(entry, Step) and _runs(entry)]
        if steps:
            work = self.after_paint("steps", self._look, steps)
            self.reading = self.reading or work

    async def _look(self, steps: list[Step]) -> None:
        from bioretrieval_tui.tui.step_session import step_states

        chosen = {step.id: self.owner.folders.remembered(_setting(step)) for step in steps}
        found = await asyncio.to_thread(step_states, steps, chosen, self.catalogue)
        if found != self.states:
            self.states = found
            self.show_page()

    def make_page(self) -> PaintedPage:
        page = super().make_page()
        state = self.states.get(self.current.id) if self.current else None
        if state is None:
            return page
        from bioretrieval_tui.tui.step_session import step_lines

        return page.with_lines(_LEAD, tuple(step_lines(state, self.catalogue)))

    def action_run_step(self) -> None:
        step, jobs = self.current, self.owner.jobs
        if not isinstance(step, Step) or not _runs(step):
            raise UsageError(NOTHING_TO_RUN)
        state = self.states.get(step.id)
        if state is None:
            raise UsageError("Looking for its folder")
        if trains := [call for call in state.calls if call.trains]:
            place = trains[0].folder
            self.owner.job_session.ask_what_to_train(on=str(place or trains[0].benchmark))
        elif waiting := jobs.of_purpose(step.id):
            if waiting[0] is not jobs.current:
                raise UsageError(f"{step.name} waits for another job")
            self.owner.job_session.ask_to_stop(waiting[0])
        elif all(call.folder is None for call in state.calls):
            fetch = f"{key_of('fetch-benchmark')} fetches it, " if self._fetchable(state) else ""
            self.owner.say(f"Its benchmark was not found: {fetch}f chooses a folder", "warn")
        elif state.missing:
            self._confirm_download(step, state)
        else:
            self._run(step, state, download=False)

    def _run(self, step: Step, state: StepState, *, download: bool) -> None:
        from bioretrieval_tui.backend.protocol import EvaluateJob
        from bioretrieval_tui.tui.qrels_session import encoder_of

        jobs = [
            EvaluateJob(
                str(call.folder), call.modes, *encoder_of(self.catalogue, call.model),
                download=download, purpose=step.id,
            )
            for call in state.calls
            if call.folder is not None
        ]  # fmt: skip
        self.owner.jobs.submit(*jobs)
        self.owner.say(jobs[0].title)

    def _confirm_download(self, step: Step, state: StepState) -> None:
        from bioretrieval_tui.encoding.device import offline

        what = ", ".join(state.missing)
        if offline():
            self.owner.say(f"{what} is not on this machine, and offline mode is on", "warn")
            return
        models = [self.catalogue.by_id.get(call.model or "") for call in state.calls]
        terms = dict.fromkeys(model.licence for model in models if isinstance(model, Model))
        licence = ", ".join(term for term in terms if term) or "not known"
        self.owner.confirm(
            f"Download {what}?",
            f"Licence: {licence}. The files come from the model hub and stay on this machine.",
            ("Download and run", "Cancel"),
            partial(self._run, step, state, download=True),
        )

    def action_benchmark(self) -> None:
        from bioretrieval_tui.tui.dialogs.file_dialogs import BenchmarkDialog
        from bioretrieval_tui.tui.step_session import check_folder

        step, owner = self.current, self.owner
        if not isinstance(step, Step) or not _runs(step):
            raise UsageError(NOTHING_TO_RUN)
        setting = _setting(step)

        def choose(chosen: ChosenBenchmark | None) -> None:
            if chosen is not None:
                for name in (setting, BENCHMARK_FOLDER):  # the next choice begins there
                    owner.folders.remember(name, chosen.folder)
                self.look()

        known = owner.folders.remembered(setting) or owner.folders.remembered(BENCHMARK_FOLDER)
        title, check = f"Folder for: {step.name}", partial(check_folder, step)
        start, recent = known or first_folder(), owner.folders.recent()
        dialog = BenchmarkDialog(title, "Use this folder", start, check=check, recent=recent)
        self.app.push_screen(dialog, choose)

    def _fetchable(self, state: StepState) -> list[Benchmark]:
        """The benchmarks that the step names, are not here and can be fetched."""
        entries = [self.catalogue.by_id.get(c.benchmark) for c in state.calls if c.folder is None]
        return [one for one in entries if isinstance(one, Benchmark) and one.loaders.zip]

    def action_fetch_benchmark(self) -> None:
        from bioretrieval_tui.tui.step_session import benchmark_terms

        step = self.current
        state = self.states.get(step.id) if step else None
        if state is None:
            raise UsageError(NOTHING_TO_RUN)
        entries = self._fetchable(state)
        if not entries:
            here = all(call.folder is not None for call in state.calls)
            raise UsageError("Its benchmark is here" if here else "No archive of it is known")

        def fetch() -> None:
            from bioretrieval_tui.backend.protocol import FetchBenchmarkJob

            for one in entries:
                self.owner.job_session.begin(FetchBenchmarkJob(one.id))

        question = f"Fetch {', '.join(one.name for one in entries)}?"
        then = "; ".join(map(benchmark_terms, entries))
        self.owner.confirm(question, f"{then}.", ("Fetch", "Cancel"), fetch)

    def action_clear(self) -> None:
        filtered = self.entry_list.filter or self.entry_list.problem
        open_before = self.has_class("-reading") or self.letters or filtered
        super().action_clear()
        running = self.owner.jobs.evaluation
        if not open_before and running is not None and running.purpose == self.place():
            self.owner.job_session.ask_to_stop(running)

    def job_ended(self, outcome: JobRecord) -> None:  # noqa: ARG002 - any may have brought files
        self.look()


def _runs(step: Step) -> bool:
    runs = ("bioretrieval-tui eval ", "bioretrieval-tui train ")
    return any(command.startswith(runs) for command in step.commands)


def _setting(step: Step) -> str:
    return f"benchmark-folder {step.id}"
