"""The process that carries out jobs: `python -m bioretrieval_tui.backend.worker`.

It has a session and a log of its own, so that a job outlives the app, the terminal and the SSH
connection that it was submitted in. After each job it starts itself again for the next one, so that
models and memory of one job are gone before another begins; without a job it ends.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import sys
import time

from bioretrieval_tui.backend import protocol
from bioretrieval_tui.backend.job_folder import JobFolder, JobRecord
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.interrupts import keep_interrupts
from bioretrieval_tui.memory import memory_fault
from bioretrieval_tui.paths import places

_EVERY = 0.25
"""Seconds between two records of progress."""
_NICE = 5
"""Below the priority of the app, whose keys come before vectors."""
_MOST_LOG_BYTES = 2**20
_PAUSES = (0.0, 1.0, 5.0)
"""Seconds before each attempt to save how a job ended: a full disk may have space again."""

_log = logging.getLogger(__name__)


class JobLedger:
    """Keeps the record of a job up to date with what it reports, and its log."""

    def __init__(self, folder: JobFolder, record: JobRecord) -> None:
        self._folder = folder
        self._record = record
        self._saved_at = 0.0
        self._failing = False

    def hear(self, event: protocol.Event) -> None:
        record, new = self._record, False
        if isinstance(event, protocol.Progressed) and event.progress.is_estimate:
            event = protocol.Remarked(event.progress.note or "")
        if isinstance(event, protocol.Progressed):
            new = record.progress is None or record.progress.stage != event.progress.stage
            record.progress = event.progress
            if new:
                _log.info("%s", event.progress.stage)
        elif isinstance(event, protocol.Remarked):
            record.remark, new = event.text, True
            _log.info("%s", event.text)
        if new or time.monotonic() - self._saved_at >= _EVERY:
            self._save()

    def _save(self) -> None:
        """Save the record; while the disk is full the job goes on without."""
        self._saved_at = time.monotonic()
        try:
            self._folder.save(self._record)
            self._failing = False
        except OSError as error:
            if not self._failing:
                _log.warning("the progress cannot be recorded: %s", error.strerror)
            self._failing = True
        path = self._folder.log_path(self._record)
        with contextlib.suppress(OSError):
            if path.stat().st_size > _MOST_LOG_BYTES:
                os.truncate(path, 0)

    def close(self, outcome: protocol.JobResult | BaseException) -> bool:
        """Save how the job ended; whether that was possible."""
        for pause in _PAUSES:
            time.sleep(pause)
            try:
                self._folder.finish(self._record, outcome)
            except OSError as error:
                _log.error("the outcome cannot be recorded: %s", error.strerror)
            else:
                _log.info("%s", self._record.message)
                return True
        _log.info("%s", self._record.message)
        return False


def carry_out(
    record: JobRecord, ledger: JobLedger, stopped: list[int]
) -> protocol.JobResult | BaseException:
    """Run a job, and return its result or what it raised; SIGINT stops it. stopped: not empty if
    it was stopped already."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if stopped:
            raise KeyboardInterrupt
        from bioretrieval_tui.backend.server import run_job

        return run_job(record.job, record.device, ledger.hear)
    except (BioRetrievalError, KeyboardInterrupt) as error:
        return memory_fault(error) or error
    except BaseException as error:  # noqa: BLE001 - told in the record
        _log.exception("job %s failed", record.id)
        return memory_fault(error) or error
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def main() -> None:
    """Take the oldest waiting job, carry it out and start this process again; end without one."""
    stopped: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: stopped.append(number))
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    keep_interrupts()
    with contextlib.suppress(OSError, AttributeError):
        os.nice(max(0, _NICE - os.nice(0)))
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.raiseExceptions = False  # of a log on a full disk
    _log.setLevel(logging.INFO)
    faulthandler.enable()
    folder = JobFolder(places().state / "jobs")
    try:
        record = folder.take()
    except BioRetrievalError as error:
        _log.error("%s", error.line())
        sys.exit(error.exit_code)
    if record is None:
        return
    with contextlib.suppress(OSError):
        log = os.open(
            folder.log_path(record), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600
        )
        os.dup2(log, 1)
        os.dup2(log, 2)
    with contextlib.suppress(OSError):
        os.chdir(record.folder)
    _log.info("%s, process %d", record.job.title, os.getpid())
    ledger = JobLedger(folder, record)
    try:
        outcome = carry_out(record, ledger, stopped)
    except KeyboardInterrupt as error:  # a second one, while the first was dealt with
        outcome = error
    recorded = ledger.close(outcome)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    if not recorded:
        os._exit(1)  # it still counts as running: the next look says that its process is gone
    os.execv(sys.executable, [sys.executable, "-P", "-m", __spec__.name])  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
