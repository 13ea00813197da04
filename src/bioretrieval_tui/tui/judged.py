"""Evaluations that run, as lines above a list and as a hint in the status bar."""

from __future__ import annotations

from bioretrieval_tui.tui.evaluating import Ask, Evaluations
from bioretrieval_tui.tui.indexing import BAR, WIDE, gauge
from bioretrieval_tui.tui.text import Span
from bioretrieval_tui.tui.words import percent, plural, time_left


def evaluation_lines(work: Evaluations, width: int) -> list[list[Span]]:
    """The evaluation that runs: what and how far, what its process said last, how to stop it."""
    ask, step = work.current, work.progress
    if ask is None:
        return []
    first = [Span(ask.doing, "strong"), Span(f"  {_how(ask)}", "dim")]
    if step is None:
        second = [Span("starting", "dim")]
    else:
        second = [Span(f"{step.stage}  ", "dim")]
        second += gauge(step.share, BAR if width >= WIDE else BAR // 2)
        if step.share is not None:
            second.append(Span(f"  {percent(step.share)}", "strong"))
        if step.total:
            second.append(Span(f"  {step.done:,} of {step.total:,} {step.unit}", "dim"))
        if step.seconds_left is not None:
            second.append(Span(f"  {time_left(step.seconds_left)}", "dim"))
        if step.note:
            second.append(Span(f"  {step.note}", "dim"))
    then = f"; then {plural(len(work.queue), 'more')[:-1]}" if work.queue else ""
    last = [Span(f"X stops it{then}", "faint"), Span(f"   {work.remark}", "dim")]
    return [first, second, last]


def _how(ask: Ask) -> str:
    model = "the embedded model" if ask.model is None else ask.model.rstrip("/").rpartition("/")[2]
    return f"{', '.join(ask.modes)}; {model}"


def evaluation_hint(work: Evaluations) -> str:
    """The evaluation that runs, in a few words for the status line; "" while there is none."""
    if work.current is None:
        return ""
    step = work.progress
    far = "" if step is None else f" {step.stage}"
    if step is not None and step.share is not None:
        far += f" {percent(step.share)}"
    return f"{work.current.doing}{far}"
