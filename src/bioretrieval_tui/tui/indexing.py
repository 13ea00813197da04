"""Indexes as the app shows them: rows, the page of one, the lines of work that runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Encoding, Model
from bioretrieval_tui.index.registry import IndexInfo
from bioretrieval_tui.index.report import Report, Verification
from bioretrieval_tui.progress import Progress
from bioretrieval_tui.tui.pages import LABEL, Page, fact
from bioretrieval_tui.tui.text import Line, Span, line
from bioretrieval_tui.tui.widgets.table import Column
from bioretrieval_tui.tui.words import percent, plural, rate, size, time_left
from bioretrieval_tui.tui.works import MAKES, Job, Outcome, Works

COLUMNS = (
    Column("name", "Index", 12, 2, priority=0),
    Column("documents", "Docs", 9, align="right", priority=1),
    Column("size", "Size", 7, align="right", priority=3),
    Column("health", "Health", 11, 2, priority=0),
    Column("model", "Model", 12, 2, priority=4),
    Column("device", "Device", 6, priority=6),
    Column("built", "Built", 10, priority=5),
)
EMPTY = (
    "No index of your own yet.\n\n"
    "b builds one here: choose files, give it a name.\n"
    "w fetches papers into one: PubMed, Europe PMC, arXiv.\n"
    "In a shell:\n"
    "bioretrieval-tui index build NAME FILE..."
)
MUCH_DEAD = 0.2
"""Share of dead documents from which compacting is worth a word."""
WIDE = 120
"""Columns from which speed and reading stand on one line."""
REASONS = 8
"""Rejected records whose reasons a page lists."""
BAR = 30


# Rows --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """A row: an index that is there, or (`info` None) one whose first build only begins, or came
    to nothing."""

    name: str
    info: IndexInfo | None


def listed(infos: Sequence[IndexInfo], works: Works) -> list[Listed]:
    """All rows by name: indexes, and names that are being built, wait to be, or were in vain."""
    known = {info.name: Listed(info.name, info) for info in infos}
    jobs = [works.current] if works.current else []
    for job in (*jobs, *works.queue):
        if job.verb in MAKES:
            known.setdefault(job.name, Listed(job.name, None))
    for name, outcome in works.outcomes.items():
        if outcome.job.verb in MAKES and not outcome.done:
            known.setdefault(name, Listed(name, None))
    return [known[name] for name in sorted(known)]


class IndexRows:
    """Indexes for a table; `active` is the one that Search searches."""

    def __init__(self, rows: Sequence[Listed], active: str, works: Works) -> None:
        self.rows = rows
        self.active = active
        self.works = works

    def __len__(self) -> int:
        return len(self.rows)

    def cells(self, index: int) -> list[Span]:
        """One span a column."""
        row = self.rows[index]
        mark = "●" if row.name == self.active else " "
        info = row.info
        return [
            Span(f"{mark} {row.name}", "strong"),
            Span(f"{info.documents:,}" if info and info.documents is not None else "", "text"),
            Span(size(info.bytes) if info else "", "dim"),
            health(info, self.works, row.name),
            Span(short_model(info.model) if info else "", "model"),
            Span((info.device or "") if info else "", "dim"),
            Span((info.built or "")[:10] if info else "", "dim"),
        ]


def health(info: IndexInfo | None, works: Works, name: str) -> Span:
    """What is being done with an index, else how it is."""
    job = works.of(name)
    if job is not None:
        if job is not works.current:
            return Span("waits", "warn")
        share = works.progress.share if works.progress else None
        done = f" {percent(share)}" if share is not None else ""
        return Span(f"{job.doing.split()[0].lower()}{done}", "warn")
    if info is None:
        in_vain = works.outcomes.get(name)
        if in_vain is None:
            return Span("not begun", "warn")
        return Span("failed" if in_vain.role == "error" else "stopped", "warn")
    if info.status != "ok":
        return Span(info.status, "warn" if info.status.startswith("unfinished") else "error")
    if info.dead_share:
        role = "warn" if info.dead_share >= MUCH_DEAD else "ok"
        return Span(f"ok, {info.dead_share:.0%} dead", role)
    return Span("ok", "ok")


def short_model(model: str | None) -> str:
    """A model without its owner or folder."""
    return (model or "").rstrip("/").rpartition("/")[2]


# The page ----------------------------------------------------------------------------------


def index_page(row: Listed, works: Works, catalogue: Catalogue, *, active: bool) -> Page:
    """All that is known of an index, and what came of the last work on it."""
    lines = [line(Span(row.name, "strong")), line(*_byline(row, works, active)), line()]
    outcome = works.outcomes.get(row.name)
    if outcome is not None:
        lines += [*_outcome(outcome), line()]
    if row.info is not None:
        if works.of(row.name):  # its place above is taken by the work
            lines.append(fact_of("status", row.info.status))
        lines += [fact_of(label, value) for label, value in _facts(row.info) if value]
    jumps = _model_entries(row.info, catalogue)
    jumps_at = len(lines) + 1
    if jumps:
        lines.append(line())
    for letter, one in zip("a", jumps, strict=False):
        label = f"{letter} model"
        lines.append(line(Span(f"{label:<{LABEL}}", "dim"), Span(catalogue.names[one], "model")))
    return Page(tuple(lines), jumps=jumps, lead=3, jumps_at=jumps_at)


def fact_of(label: str, value: str) -> Line:
    """A label and a value; the value is a file's or a machine's and no Markdown."""
    base = fact(label, "")
    return Line((*base.spans[:2], Span(value)), base.indent, base.hang)


def _byline(row: Listed, works: Works, active: bool) -> list[Span]:
    spans = [health(row.info, works, row.name)]
    if active:
        spans.append(Span("  ● searched in Search", "ok"))
    return spans


def _facts(info: IndexInfo) -> Iterator[tuple[str, str]]:
    yield "documents", "" if info.documents is None else f"{info.documents:,}"
    if info.dead_share is not None:
        dead = f"{info.dead_share:.1%} were replaced or deleted and still take room"
        yield "dead", dead if info.dead_share else "none"
    if info.aliases:
        yield "aliases", f"{plural(info.aliases, 'id')} whose text is there under another id"
    yield "size", f"{size(info.bytes)} ({info.bytes:,} bytes)"
    yield "model", info.model or ""
    yield "dimension", str(info.dimension or "")
    yield "vectors", info.dtype or ""
    yield "device", info.device or ""
    yield "built", info.built or ""
    if info.docs_per_second:
        yield "speed", f"{rate(info.docs_per_second)} documents/s when it was built"
    if info.segments:
        yield "parts", f"{info.segments:,}: builds and additions since it was last compacted"
    if info.fields:
        yield "fields", ", ".join(info.fields)
    if info.recall is not None:
        yield "recall", f"{info.recall:.3f} of the exact best ten, by the graph"


def _model_entries(info: IndexInfo | None, catalogue: Catalogue) -> tuple[str, ...]:
    if info is None or not info.model:
        return ()
    return tuple(m.id for m in catalogue.of_type(Model) if info.model in m.hub)[:1]


def _outcome(outcome: Outcome) -> Iterator[Line]:
    yield line(Span(outcome.line, outcome.role))
    if outcome.verification is not None:
        yield from verification_lines(outcome.verification)
    if outcome.report is not None:
        yield from rejection_lines(outcome.report)


def verification_lines(found: Verification) -> Iterator[Line]:
    """Every check: right or not, in words first, what was found, what to do."""
    yield line()
    for check in found.checks:
        verdict = Span("ok     ", "ok") if check.ok else Span("fault  ", "error")
        yield line(verdict, Span(check.what, "strong"), Span(f"  {check.found}", "dim"), hang=7)
        if check.remedy and not check.ok:
            yield line(Span(check.remedy, "warn"), indent=7)


def rejection_lines(report: Report) -> Iterator[Line]:
    """Why the first rejected records were not taken."""
    if not report.rejected:
        return
    yield line()
    yield line(Span(f"{plural(report.rejected, 'record')} rejected", "warn"))
    for one in report.rejections[:REASONS]:
        place = one.file.rpartition("/")[2]
        if one.line is not None:
            place += f":{one.line}"
        elif one.offset is not None:
            place += f", byte {one.offset:,}"
        yield line(Span(f"{place}  ", "dim"), one.reason, hang=2)
    more = report.rejected - min(REASONS, len(report.rejections))
    if more:
        yield line(Span(f"and {more:,} more; index build --report FILE lists them", "faint"))


# Work that runs ----------------------------------------------------------------------------


def gauge(share: float | None, width: int) -> list[Span]:
    """A bar of `width` cells; an empty one where the share is not known."""
    filled = round((share or 0) * width)
    return [Span("━" * filled, "gauge"), Span("─" * (width - filled), "rule")]


def work_lines(works: Works, width: int) -> list[list[Span]]:
    """The work that runs: what and how far; how fast, on what, what was read (two lines where
    `width` is narrow); how to stop it, and what waits."""
    job, step = works.current, works.progress
    if job is None:
        return []
    first = [Span(job.doing, "strong")]
    if step is None:
        waits = "  asks" if job.words else "  waits for the search process"
        return [[*first, Span(waits, "dim")], _waiting(works)]
    share = step.share if step.share is not None else step.input_share
    first += [Span(f"  {step.stage}  ", "dim"), *gauge(share, BAR if width >= WIDE else BAR // 2)]
    if share is not None:
        of_input = " of the input" if step.share is None else ""
        first.append(Span(f"  {percent(share)}{of_input}", "strong"))
    if step.seconds_left is not None:
        first.append(Span(f"  {time_left(step.seconds_left)}", "dim"))
    speed, rest = "   ".join(_speed(step)), "   ".join(_rest(step))
    details = [f"{speed}   {rest}"] if width >= WIDE else [speed, rest]
    return [first, *([Span(text.strip(), "dim")] for text in details), _waiting(works)]


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
        yield step.note


def _waiting(works: Works) -> list[Span]:
    if not works.queue:
        return [Span("s stops it", "faint")]
    then = ", ".join(job.doing.lower() for job in works.queue)
    return [Span("s stops it; then: ", "faint"), Span(then, "dim")]


def work_hint(works: Works) -> str:
    """The work that runs, in a few words for the status line; "" while there is none."""
    job, step = works.current, works.progress
    if job is None:
        return ""
    words = [job.doing]
    if step is not None:
        share = step.share if step.share is not None else step.input_share
        words += [step.stage] if share is None else [percent(share)]
        if step.seconds_left is not None:
            words.append(time_left(step.seconds_left))
    return " ".join(words[:2]) + (f", {words[2]}" if len(words) > 2 else "")


# Models ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that can encode an index; `model` None for the one that comes with the app."""

    label: str
    model: str | None = None
    recipe: Encoding | None = None
    note: str = ""


def model_choices(catalogue: Catalogue) -> list[ModelChoice]:
    """The embedded model, then those of the catalogue whose recipe the encoders here can run."""
    from bioretrieval_tui.encoding import embedded
    from bioretrieval_tui.encoding.support import refuse_unsupported
    from bioretrieval_tui.errors import ModelError

    found = [ModelChoice(short_model(embedded.MODEL_ID), note="comes with the app")]
    for entry in catalogue.of_type(Model):
        recipe = entry.encoding
        if recipe is None or embedded.MODEL_ID in entry.hub:
            continue
        sides = recipe.document or recipe.query
        hub = (sides.model if sides else None) or next(iter(entry.hub), None)
        if hub is None:
            continue
        try:
            refuse_unsupported(hub, recipe)
        except ModelError:
            continue
        note = f"needs: bioretrieval-tui doctor --model {entry.id} --download"
        found.append(ModelChoice(entry.name, hub, recipe, note))
    return found


def job_note(job: Job, works: Works) -> str:
    """What is said when a job was asked for."""
    if works.current is job:
        return job.doing
    running = works.current.doing.lower() if works.current else "the work that runs"
    return f"Waits for {running}: {job.doing.lower()}"
