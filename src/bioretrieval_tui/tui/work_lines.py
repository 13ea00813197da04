"""Jobs as lines: the running job, the waiting ones, outcomes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bioretrieval_tui.progress import Progress
from bioretrieval_tui.search.types import mode_name
from bioretrieval_tui.tui.text import Line, Span, line
from bioretrieval_tui.util.formatting import percent, plural, rate, time_left

if TYPE_CHECKING:
    from bioretrieval_tui.backend.job_folder import JobRecord
    from bioretrieval_tui.backend.jobs import JobQueue

WIDE = 120
"""Columns from which speed and input stand on one line."""
BAR = 30
_REJECTIONS = 8
"""Rejected records whose reasons a page lists."""


def job_lines(jobs: JobQueue, width: int, *, any_kind: bool) -> list[list[Span]]:
    """The running job: title and progress; speed, device and input read (two lines if `width` is
    narrow); the key that stops it, the waiting jobs, and the last remark of the job. None unless it
    is an evaluation or a training, or `any_kind` is set."""
    job, step = jobs.current, jobs.progress
    if job is None or not (any_kind or jobs.run):
        return []
    stop = "s" if any_kind else "X"
    first = [Span(job.title, "strong")]
    then = ", ".join(waiting.title_within for waiting in jobs.queue)
    last = [Span(f"{stop}: stop; then: " if then else f"{stop}: stop", "faint"), Span(then, "dim")]
    last.append(Span(f"   {jobs.remark}" if jobs.remark else "", "dim"))
    if jobs.evaluation is not None:
        modes = jobs.evaluation.modes
        model = (jobs.evaluation.model or "the embedded model").rstrip("/").rpartition("/")[2]
        by = f"; {model}" if set(modes) - {"lexical"} else ""
        names = (*map(mode_name, modes), *(Path(one).name for one in jobs.evaluation.score))
        first.append(Span(f"  {', '.join(names)}{by}", "dim"))
    if step is None:
        return [[*first, Span("  starting", "dim")], last]
    share = step.share if step.share is not None else step.input_share
    bar = BAR if width >= WIDE else BAR // 2
    filled = round((share or 0) * bar)
    first += [Span(f"  {step.stage}  ", "dim"), Span("━" * filled, "gauge"),
              Span("─" * (bar - filled), "rule")]  # fmt: skip
    if share is not None:
        of_input = " of the input" if step.share is None else ""
        first.append(Span(f"  {percent(share)}{of_input}", "strong"))
    if step.seconds_left is not None:
        first.append(Span(f"  {time_left(step.seconds_left)}", "dim"))
    speed, rest = "   ".join(_speed(step)), "   ".join(_rest(step))
    details = [f"{speed}   {rest}"] if width >= WIDE else [speed, rest]
    return [first, *([Span(text.strip(), "dim")] for text in details), last]


def _speed(step: Progress) -> Iterator[str]:
    total = f" of {step.total:,}" if step.total is not None else ""
    if step.total is not None or step.done:
        yield f"{step.done:,}{total} {step.unit}"
    if step.rate:
        yield f"{rate(step.rate)} {step.unit}/s"
    if step.tokens_rate:
        yield f"{rate(step.tokens_rate)} tokens/s"


def _rest(step: Progress) -> Iterator[str]:
    if step.device:
        yield f"on {step.device}"
    if step.read is not None:
        part = f" ({percent(step.input_share)} of the input)" if step.input_share else ""
        yield f"{step.read:,} read{part}"
    if step.note:
        yield mode_name(step.note)


def job_hint(jobs: JobQueue) -> str:
    """The running job in short for the status line; "" if there is none."""
    return f"{jobs.current.title} {jobs.far}".rstrip() if jobs.current is not None else ""


def outcome_lines(outcome: JobRecord) -> Iterator[Line]:
    """The outcome of a job: its line, the checks of a verification, the rejected records."""
    yield line(Span(outcome.message, outcome.role))
    if outcome.verification is not None:
        yield line()
        for check in outcome.verification.checks:
            verdict = Span("ok     ", "ok") if check.ok else Span("fault  ", "error")
            yield line(verdict, Span(check.what, "strong"), Span(f"  {check.found}", "dim"), hang=7)
            if check.remedy and not check.ok:
                yield line(Span(check.remedy, "warn"), indent=7)
    report = outcome.report
    if report is not None and report.passed_over:
        yield line()
        yield line(Span(report.passed_over_line(), "warn"))
    if report is None or not report.rejected:
        return
    yield line()
    yield line(Span(f"{plural(report.rejected, 'record')} rejected", "warn"))
    for one in report.rejections[:_REJECTIONS]:
        place = one.file.rpartition("/")[2]
        if one.line is not None:
            place += f":{one.line}"
        elif one.offset is not None:
            place += f", byte {one.offset:,}"
        yield line(Span(f"{place}  ", "dim"), one.reason, hang=2)
    more = report.rejected - min(_REJECTIONS, len(report.rejections))
    if more:
        yield line(Span(f"and {more:,} more; index build --report FILE lists them", "faint"))
