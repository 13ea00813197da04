"""The jobs of the app: what asks for them, what shows that they run, what tells that they ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.screen import Screen
from textual.timer import Timer

from bioretrieval_tui.actions import key_of
from bioretrieval_tui.catalog.models import Step
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.tui.folders import BENCHMARK_FOLDER, first_folder
from bioretrieval_tui.util.formatting import plural

if TYPE_CHECKING:
    from bioretrieval_tui.backend.job_folder import JobRecord
    from bioretrieval_tui.backend.jobs import JobQueue
    from bioretrieval_tui.backend.protocol import EvaluateJob, FetchJob, Job, TrainJob
    from bioretrieval_tui.online.spool import FetchRequest
    from bioretrieval_tui.tui.app import BioRetrievalApp
    from bioretrieval_tui.tui.dialogs.file_dialogs import ChosenBenchmark
    from bioretrieval_tui.tui.panes.qrels_pane import QrelsPane

FIND_JOBS = 0.5
"""Seconds between two looks for jobs of other apps, until there is one."""
LONG_JOB = 10.0
"""Seconds from which the end of a job is told by the terminal too."""


class JobSession:
    """Submits the jobs of an app, follows its queue and asks the questions about both."""

    def __init__(self, app: BioRetrievalApp) -> None:
        self._app = app
        self._finding: Timer | None = None
        self.removed: set[str] = set()
        """Indexes that were removed: `undo` brings them back until the app ends."""
        self.evaluated = False
        """Whether an evaluation ended since the leaderboard was shown."""

    @property
    def used(self) -> bool:
        """Whether there may be jobs: the queue is made when it is first used."""
        return "jobs" in vars(self._app)

    def open_queue(self) -> JobQueue:
        """Make the queue, which tells this session what changes."""
        from bioretrieval_tui.backend.jobs import JobQueue

        app = self._app
        folder, caught = app.where.state / "jobs", app.caught
        found = JobQueue(folder, caught(self.changed), caught(self._ended))
        app.call_later(self._welcome, found)
        found.look()
        return found

    async def close(self) -> None:
        """Forget the queue, whose jobs go on, and sweep what was removed."""
        if self.used:
            await self._app.jobs.close()
        if self.removed:
            from bioretrieval_tui.index.registry import sweep_removed

            await asyncio.to_thread(sweep_removed, self.removed)

    # What runs -----------------------------------------------------------------------------

    def begin(self, job: Job, *, again: bool = False, like: JobRecord | None = None) -> bool:
        """Start or queue a job and say so; False if the same job is in the queue already."""
        before = self._app.jobs.current
        begun = self._app.jobs.submit(job, again=again, like=like)
        queued = f"Waits for {before.title_within}: {job.title_within}" if before else job.title
        self._app.say(queued if begun else f"{job.title}: already running or waiting")
        return begun

    def find(self) -> None:
        """Look for jobs that another app, a command or an earlier session has left, until there is
        one."""
        self._finding = self._app.set_interval(FIND_JOBS, self._find)

    def _find(self) -> None:
        if self.used or any((self._app.where.state / "jobs").glob("*.json")):
            if self._finding is not None:
                self._finding.stop()
            _ = self._app.jobs  # once made, it follows them

    def _welcome(self, jobs: JobQueue) -> None:
        """Show what runs; say how jobs ended while no app looked, or what cannot be read."""
        self.changed()
        if jobs.missed:
            *others, last = jobs.missed
            more = f" ({plural(len(others), 'more job')} ended)" if others else ""
            self._app.say(f"While you were away: {last.message}{more}", last.role)
        elif jobs.damaged:
            folder, count = self._app.where.state / "jobs", len(jobs.damaged)
            what = f"{plural(count, 'job record')} in {folder} cannot be read: {jobs.damaged[0]}"
            self._app.say(what, "warn")

    def changed(self) -> None:
        """Show what runs, everywhere."""
        if self._app.leaving:
            return
        self.show()
        for pane in self._app.panes():
            pane.jobs_changed()

    def show(self) -> None:
        """Show the running job in the status line, unless the pane shows its progress."""
        app = self._app
        if app.screen_stack and self.used and not app.leaving:
            from bioretrieval_tui.tui.work_lines import job_hint

            shows = app.pane.SHOWS_WORK
            shown = shows == "jobs" or (shows and app.jobs.run is not None)
            app.status.working("" if shown else job_hint(app.jobs))

    def _ended(self, outcome: JobRecord) -> None:
        app = self._app
        if app.leaving:
            return
        said = outcome.message
        if outcome.removed:
            self.removed.add(outcome.removed)
            app.undo.add(f"{outcome.removed} removed", partial(self._restore, outcome.removed))
            said += f"; {key_of('undo')} brings it back"
        if outcome.evaluation is not None and app.current != "qrels":
            here = app.current == "leaderboard"
            self.evaluated = not here
            said += f"; {key_of('own' if here else 'go-leaderboard')} shows it on the board"
        if outcome.trained is not None and app.current != "models":
            said += f"; {key_of('go-models')} shows it"
        if outcome.state != "done" and self._is_kept(outcome.job) and app.current != "models":
            said += f"; {key_of('go-models')}, then {key_of('resume-training')} resumes it"
        app.say(said, "bar.strong" if outcome.role == "ok" else outcome.role)
        if outcome.seconds >= LONG_JOB:
            app.run_worker(self._alert(outcome.message), group="alert")
        for pane in app.panes():
            pane.job_ended(outcome)
        if outcome.removed == app.index:
            app.index = CATALOGUE  # Search was never shown

    def _is_kept(self, job: Job) -> bool:
        """Whether a job is a training that can go on."""
        from bioretrieval_tui.backend.protocol import TrainJob
        from bioretrieval_tui.training.own_models import unfinished

        with contextlib.suppress(BioRetrievalError):
            return isinstance(job, TrainJob) and unfinished(job.request.name) is not None
        return False

    async def _alert(self, text: str) -> None:
        """Tell those who look elsewhere that a long job ended, unless config.toml forbids it."""
        from bioretrieval_tui.terminal.desktop import alert

        if self._app.configuration.config.notify:
            await asyncio.to_thread(alert, text, self._app.capabilities, self._app.ordered)

    async def _restore(self, name: str) -> None:
        from bioretrieval_tui.index.registry import restore_index

        await asyncio.to_thread(restore_index, name)
        self._app.pane.activate()

    # Questions -----------------------------------------------------------------------------

    def ask_to_resume(self, record: JobRecord) -> None:
        """Ask whether a job that failed or was stopped is submitted again, or listed no more."""
        from bioretrieval_tui.tui.dialogs.dialog import Confirm

        def answered(resume: bool | None) -> None:
            if resume:
                self.begin(record.job, like=record)
            elif resume is False:
                self._app.jobs.forget(record.job.target)

        title = f"Resume {record.job.title_within}?"
        self._app.push_screen(
            Confirm(title, record.message, "Resume", "Cancel", stop="Remove from list"), answered
        )

    def ask_to_stop(self, job: Job) -> None:
        """Ask whether a running job is stopped."""
        jobs = self._app.jobs

        def stop() -> None:
            if jobs.current is job:
                jobs.stop()

        self._app.confirm(f"Stop {job.title_within}?", job.kept, ("Stop", "Keep running"), stop)

    def ask_to_quit(self, jobs: Sequence[Job]) -> Screen[bool]:
        """Ask whether the app ends while jobs run, and whether they go on then; the question."""
        from bioretrieval_tui.tui.dialogs.dialog import Confirm

        def answered(keep: bool | None) -> None:
            if keep is not None:
                if not keep:
                    self._app.jobs.stop_all()
                self._app.exit()

        waits = f" ({plural(len(jobs) - 1, 'more job')} in the queue)" if jobs[1:] else ""
        question = Confirm(
            f"Quit while {jobs[0].title_within} runs{waits}?",
            "It goes on in the background, also when the terminal is closed. If it is stopped, "
            f"{jobs[0].KEPT}.",
            "Keep running", "Cancel", stop="Stop",
        )  # fmt: skip
        self._app.push_screen(question, answered)
        return question

    def ask_what_to_evaluate(
        self, *, benchmark: str = "", model: str = "", index: str = ""
    ) -> None:
        """Ask what to evaluate, and queue it. benchmark, model (ids of entries) and index: are
        selected."""
        from bioretrieval_tui.tui.dialogs.evaluation_dialog import EvaluationDialog
        from bioretrieval_tui.tui.evaluation_session import EvaluationPlan, MachineFacts

        def evaluate(plan: EvaluationPlan | None) -> None:
            for job in plan.jobs if plan else ():
                self.begin(job)
            if plan and len(plan.jobs) > 1:
                self._app.say(f"Queued: {plan.line()}")

        read = partial(MachineFacts.read, self._app.catalogue, self._benchmark_folders())
        subject = (benchmark, model, index)
        dialog = EvaluationDialog(self._app.catalogue, read, self.begin, *subject)
        self._app.push_screen(dialog, evaluate)

    def ask_what_to_train(self, *, on: str = "", recipe: str = "", base: str = "") -> None:
        """Ask what to train, and queue it. on (an index, a benchmark's id or folder), recipe (id),
        base (hub id or folder): are selected."""
        from bioretrieval_tui.tui.dialogs.training_dialog import TrainingDialog
        from bioretrieval_tui.tui.index_session import model_choices
        from bioretrieval_tui.tui.training_session import TrainingFacts, runnable_recipes

        def train(job: TrainJob | None) -> None:
            if job is not None:
                self.begin(job)

        catalogue, remembered = self._app.catalogue, self._benchmark_folders()
        dialog = TrainingDialog(
            catalogue, partial(TrainingFacts.read, catalogue, remembered), self.begin,
            runnable_recipes(catalogue), model_choices(catalogue), on=on, recipe=recipe, base=base,
        )  # fmt: skip
        self._app.push_screen(dialog, train)

    def _benchmark_folders(self) -> list[Path]:
        """The folders that were chosen for benchmarks."""
        steps = (f"{BENCHMARK_FOLDER} {step.id}" for step in self._app.catalogue.of_type(Step))
        kept = map(self._app.folders.remembered, (BENCHMARK_FOLDER, *steps))
        return [one for one in kept if one]

    async def renew_models(self) -> bool:
        """Read again which models were trained here; whether that changed the catalogue."""
        from bioretrieval_tui.training.own_models import with_own_models

        before = self._app.catalogue
        found = await asyncio.to_thread(with_own_models, before)
        if found is before or self._app.catalogue is not before:
            return False
        self._app.catalogue = found
        return True

    async def show_explored(self) -> None:
        """Go to the benchmark that is explored; where it is shown, or none is, ask for one."""
        app = self._app
        known = next((one for one in app.panes() if one.pane_name == "qrels"), None)
        if known is not None and known.place() and app.current != known.pane_name:
            await app.action_go(known.pane_name)
        else:
            self.ask_what_to_explore()

    def ask_what_to_explore(self) -> None:
        """Ask which benchmark is explored, and show it."""
        from bioretrieval_tui.tui.dialogs.file_dialogs import BenchmarkDialog
        from bioretrieval_tui.tui.index_session import model_choices
        from bioretrieval_tui.tui.qrels_session import exploring_job

        folders = self._app.folders

        def explore(chosen: ChosenBenchmark | None) -> None:
            if chosen is not None:
                how = chosen.folder, chosen.modes, chosen.model
                self.explore(exploring_job(self._app.catalogue, *how, download=chosen.download))
                folders.remember(BENCHMARK_FOLDER, chosen.folder)

        folder = folders.remembered(BENCHMARK_FOLDER) or first_folder()
        models = model_choices(self._app.catalogue)
        title, recent = "Explore a benchmark", folders.recent()
        dialog = BenchmarkDialog(title, "Explore", folder, models, recent=recent)
        self._app.push_screen(dialog, explore)

    def explore(self, job: EvaluateJob) -> None:
        """Show the benchmark of a job in the explorer; it is ranked unless rankings are kept."""
        self._app.run_worker(self._explore(job), group="arrive")

    async def _explore(self, job: EvaluateJob) -> None:
        self._app.remember()
        cast("QrelsPane", await self._app.show_pane("qrels")).session.open(job)

    def ask_what_to_fetch(
        self, before: FetchRequest | None = None, *, query: str = "", index: str = ""
    ) -> None:
        """Ask what to fetch. before: the last request; without it, `query` and `index` are used."""
        from bioretrieval_tui.online.spool import FetchRequest
        from bioretrieval_tui.tui.dialogs.fetch_dialogs import USUAL, FetchDialog

        def wished(wish: FetchJob | FetchRequest | None) -> None:
            if isinstance(wish, FetchRequest):
                self._app.remember()
                self._app.found.begin(wish)
                self._app.run_worker(self._app.show_pane("found"), group="arrive")
            elif wish is not None:
                self.begin(wish)

        request = before or FetchRequest("pubmed", query, most=USUAL, index=index or None)
        self._app.push_screen(FetchDialog(self._app.index_names(), request), wished)

    def ask_into(
        self, index: str | None, papers: Mapping[str, bytes], then: Callable[[str], None]
    ) -> None:
        """Ask which index papers (lines of JSONL by their id) go into, and put them there.
        index: is suggested; then: called with the name of the index."""
        from bioretrieval_tui.backend.protocol import AddJob, BuildJob, RemoveJob
        from bioretrieval_tui.online.spool import keep_starred
        from bioretrieval_tui.tui.dialogs.fetch_dialogs import IntoDialog

        def put(name: str | None) -> None:
            if name is None:
                return
            exists = name in self._app.index_names()
            # A build that failed or was stopped left no index, but its papers are in the file.
            before = self._app.jobs.last(name)
            begun = before and before.state != "done" and not isinstance(before.job, RemoveJob)
            path = keep_starred(name, papers, restart=not (exists or begun))
            job = (AddJob if exists else BuildJob)(name, (str(path),))
            self.begin(job, again=True)  # one that runs may have read the file already
            then(name)

        count = plural(len(papers), "paper")
        self._app.push_screen(IntoDialog(self._app.index_names(), index or "", count), put)
