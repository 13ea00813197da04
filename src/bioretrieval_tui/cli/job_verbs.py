"""`jobs`: list, follow, stop and resume what runs in the background, of the app and of verbs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from bioretrieval_tui.backend.job_folder import JobFolder, JobRecord
from bioretrieval_tui.cli import options
from bioretrieval_tui.cli.root import NamedGroup
from bioretrieval_tui.cli.streams import narrated, put, put_sheet, tell
from bioretrieval_tui.errors import BioRetrievalError, InterruptedByUser, NotFoundError, UsageError
from bioretrieval_tui.paths import places
from bioretrieval_tui.render.sheet import Shown, column, sheet_of

if TYPE_CHECKING:
    from bioretrieval_tui.backend.protocol import Job
    from bioretrieval_tui.render.formats import Format

_EVERY = 0.25
"""Seconds between two looks at a job."""
_PATIENCE = 10.0
"""Seconds that a job has to end once it was stopped; then it ends without a listener."""


def _folder() -> JobFolder:
    found = JobFolder(places().state / "jobs")
    found.tend(start=False)
    return found


def _names() -> Iterator[str]:
    for record in JobFolder(places().state / "jobs").records():
        yield from (record.id, record.job.target)


_job = click.argument("job", shell_complete=options.completes(_names))


def _record(folder: JobFolder, name: str) -> JobRecord:
    """The job of that number, else the last of that target. Raises NotFoundError."""
    records = folder.records()
    for record in reversed(records):
        if record.id == name:
            return record
    newest = records[::-1]
    for record in (
        *(one for one in newest if not one.ended),
        *(one for one in newest if one.ended),
    ):
        if record.job.target in (name, f"model {name}"):
            return record
    known = ", ".join(f"{one.id} ({one.job.title_within})" for one in records[-5:])
    remedy = f"the last are {known}" if known else "no job was submitted yet"
    raise NotFoundError(f"there is no job {name}", remedy=remedy)


def submit(job: Job, device: str = "auto", like: JobRecord | None = None) -> None:
    """Submit a job, write its number to stdout and say how to follow it. like: see `JobFolder`."""
    folder = _folder()
    fresh = folder.submit(job, device=device, like=like)
    pending = [one for one in fresh or folder.records() if one.job == job and not one.ended]
    if not pending:
        raise BioRetrievalError(f"{job.title} ended meanwhile", remedy="see jobs list")
    put([f"{pending[-1].id}\n"])
    how = "in the background" if fresh else "already"
    tell(f"{job.title_within} {how}; follow it: bioretrieval-tui jobs attach {pending[-1].id}")


@click.group(cls=NamedGroup, no_args_is_help=False)
def jobs() -> None:
    """List, follow, stop and resume jobs that run in the background.

    Builds, fetches, evaluations and trainings of the app, and of verbs with --background. One
    runs, the others wait; they go on when the app or the terminal is closed. JOB is the number
    that `jobs list` shows, or the name of an index, benchmark or model: its last job.
    """


def _facts(one: JobRecord) -> dict[str, Any]:
    step = one.progress
    return {
        "id": one.id, "state": one.state, "job": one.job.title,
        "verb": type(one.job).__struct_config__.tag, "target": one.job.target,
        "stage": step and step.stage, "share": step and step.share,
        "seconds_left": step and step.seconds_left, "submitted": one.submitted,
        "started": one.started, "ended": one.ended, "outcome": one.message or None,
        "host": one.host or None,
    }  # fmt: skip


def _when(one: JobRecord) -> Shown:
    return Shown(one.submitted, one.submitted[:16].replace("T", " "))


def _outcome(one: JobRecord) -> Shown | None:
    """The outcome; for readers without the title, which stands beside it."""
    said = one.message.removeprefix(f"{one.job.title} failed: ")
    return Shown(one.message, said) if said else None


_COLUMNS = (
    column("id", min_width=2),
    column("state", min_width=7),
    column("job", make=lambda one: one.job.title, weight=2, min_width=12),
    column("progress", make=lambda one: None if one.ended else one.far, min_width=8),
    column("submitted", "submitted (UTC)", _when, min_width=16),
    column("ended", data_only=True),
    column("outcome", make=_outcome, weight=3, min_width=10),
    column("host", data_only=True),
)


@jobs.command("list")
@options.format_
def list_(format_: Format) -> None:
    """List the job that runs, those that wait, and the last 50 that ended."""
    folder = _folder()
    found = folder.records()
    for one in found:
        if not (one.ended or folder.is_here(one)):
            one.message = f"on {one.host}"
    put_sheet(sheet_of("Jobs", _COLUMNS, found, _facts), format_)
    if folder.damaged:
        names = ", ".join(sorted(folder.damaged))
        tell(f"left out, as they cannot be read: {names} in {folder.path}")
    if not found:
        tell("there is no job yet; submit one: bioretrieval-tui index build ... --background")


@jobs.command()
@click.argument("job", required=False, shell_complete=options.completes(_names))
@options.progress
def attach(job: str | None, quiet: bool, progress: str) -> None:
    """Follow a job until it ends; default: the one that runs. ctrl+c stops following only.

    The exit code is the job's: 1 if it failed, 130 if it was stopped.
    """
    folder = _folder()
    if job is None:
        pending = [one for one in folder.records() if not one.ended and folder.is_here(one)]
        if not pending:
            raise NotFoundError("no job runs or waits", remedy="see: bioretrieval-tui jobs list")
        job = min(pending, key=lambda one: one.state != "running").id
    record = _record(folder, job)
    try:
        with narrated(quiet, progress) as report:
            if record.state == "waiting" and not quiet:
                tell(f"job {record.id} waits: {record.job.title_within}")
            remark = ""
            while not record.ended:
                if record.remark != remark and not quiet:
                    remark = record.remark
                    tell(remark)
                if record.progress is not None:
                    report(record.progress)
                time.sleep(_EVERY)
                folder.tend()
                record = _record(folder, record.id)
    except KeyboardInterrupt as stop:
        said = f"detached; job {record.id} goes on"
        remedy = f"bioretrieval-tui jobs attach {record.id} follows it, jobs stop ends it"
        raise InterruptedByUser(said, remedy=remedy) from stop
    folder.seen([record])
    if record.state == "stopped":
        raise InterruptedByUser(record.message)
    if record.role == "error":
        raise BioRetrievalError(record.message)
    tell(record.message)


@jobs.command()
@_job
def stop(job: str) -> None:
    """Stop a job as ctrl+c would, or drop it if it waits. What it has made is kept."""
    folder = _folder()
    record = _record(folder, job)
    if record.ended:
        raise UsageError(f"job {record.id} has ended: {record.message}")
    _check_here(folder, record)
    folder.stop(record.id)
    until = time.monotonic() + _PATIENCE
    while not record.ended and time.monotonic() < until:
        time.sleep(_EVERY / 5)
        folder.tend()
        record = _record(folder, record.id)
    folder.seen([record])
    tell(f"job {record.id}: {record.message or 'it was told to stop, and ends soon'}")


@jobs.command()
@_job
def log(job: str) -> None:
    """Print the log of a job: its stages, warnings, and how it ended."""
    from bioretrieval_tui.terminal.clean import clean

    folder = _folder()
    put([clean(folder.log(_record(folder, job)), newlines=True)])


@jobs.command()
@_job
def resume(job: str) -> None:
    """Submit a job again that failed or was stopped, with its files and options."""
    folder = _folder()
    record = _record(folder, job)
    if record.state not in ("failed", "stopped"):
        said = f"job {record.id} is {record.state}"
        raise UsageError(said, remedy="only failed and stopped jobs are resumed")
    _check_here(folder, record)
    submit(record.job, like=record)


def _check_here(folder: JobFolder, record: JobRecord) -> None:
    if not folder.is_here(record):
        raise UsageError(
            f"job {record.id} belongs to the machine {record.host}", remedy="call this verb there"
        )
