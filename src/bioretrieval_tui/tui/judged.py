"""A benchmark's queries and judgements as the app shows them: rows, orders, pages, progress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bioretrieval_tui.evaluation.explore import JudgedRow, QueryRow, QueryView, UnjudgedRow
from bioretrieval_tui.evaluation.measures import MEASURES
from bioretrieval_tui.tui.evaluating import Ask, Evaluations
from bioretrieval_tui.tui.indexing import BAR, WIDE, gauge
from bioretrieval_tui.tui.markdown import addresses
from bioretrieval_tui.tui.text import Line, Span, line
from bioretrieval_tui.tui.widgets.table import Column
from bioretrieval_tui.util.formatting import percent, plural, time_left

Order = tuple[str, Literal["up", "down"]] | None
"""The column that sorts, and whether its values go up; None: as in the files."""
DELTA = "delta"
_FOUND_OF = ("judged", "relevant")
_SHOWN_GRADES = 2
"""Grade from which a document is more than just relevant."""


# Queries -----------------------------------------------------------------------------------


def query_columns(modes: Sequence[str], pair: tuple[str, str] | None) -> list[Column]:
    """Id and text of a query, nDCG@10 of each mode, and the difference of a pair of modes."""
    columns = [
        Column("id", "Query", 7, priority=4),
        Column("text", "Text", 20, 1, priority=0),
        *(Column(mode, mode, 7, align="right", priority=1) for mode in modes),
    ]
    if pair is not None:
        title = f"{pair[1][:3]}-{pair[0][:3]}"
        columns.append(Column(DELTA, title, 7, align="right", priority=2))
    columns.append(Column("relevant", "Rel", 4, align="right", priority=5))
    return columns


class QueryRows:
    """Queries for a table."""

    def __init__(
        self, rows: Sequence[QueryRow], modes: Sequence[str], pair: tuple[str, str] | None
    ) -> None:
        self.rows = rows
        self.modes = modes
        self.pair = pair

    def __len__(self) -> int:
        return len(self.rows)

    def cells(self, index: int) -> list[Span]:
        """One span a column."""
        row = self.rows[index]
        spans = [Span(row.id, "dim"), Span(row.text, "strong")]
        spans += [_score(row.scores[mode]) for mode in self.modes]
        if self.pair is not None:
            spans.append(_difference(difference(row, self.pair)))
        return [*spans, Span(str(row.relevant), "dim")]


def _score(value: float) -> Span:
    role = "error" if value == 0 else "warn" if value < 0.5 else "ok"
    return Span(f"{value:.4f}", role)


def _difference(value: float) -> Span:
    if abs(value) < 0.00005:
        return Span("=", "faint")
    return Span(f"{value:+.4f}", "ok" if value > 0 else "warn")


def difference(row: QueryRow, pair: tuple[str, str]) -> float:
    """nDCG@10 of the second mode less that of the first."""
    return row.scores[pair[1]] - row.scores[pair[0]]


def pairs(modes: Sequence[str]) -> list[tuple[str, str]]:
    """All pairs of modes, in their order."""
    return [(a, b) for i, a in enumerate(modes) for b in modes[i + 1 :]]


def arranged(
    rows: Sequence[QueryRow], words: str, order: Order, pair: tuple[str, str] | None
) -> list[QueryRow]:
    """The queries whose id or text has every one of `words`, in an order. Equal ones stay as in
    the files."""
    wanted = words.casefold().split()
    kept = [
        row for row in rows if all(word in f"{row.id} {row.text}".casefold() for word in wanted)
    ]
    if order is None:
        return kept
    key, way = order

    def value(row: QueryRow) -> float:
        if key == DELTA:
            return difference(row, pair) if pair is not None else 0.0
        return float(row.relevant) if key == "relevant" else row.scores.get(key, 0.0)

    if key in ("id", "text"):
        return sorted(kept, key=lambda row: getattr(row, key).casefold(), reverse=way == "down")
    return sorted(kept, key=value, reverse=way == "down")


# Documents ---------------------------------------------------------------------------------

Found = JudgedRow | UnjudgedRow


def document_columns(modes: Sequence[str]) -> list[Column]:
    """Grade, where each mode ranked a document, its title, its id."""
    return [
        Column("grade", "Grade", 5, align="right", priority=0),
        *(Column(mode, mode[:7], 7, align="right", priority=1) for mode in modes),
        Column("title", "Document", 24, 1, priority=0),
        Column("id", "Id", 8, priority=4),
    ]


class DocumentRows:
    """Judged documents, then the best unjudged ones."""

    def __init__(self, view: QueryView | None, modes: Sequence[str]) -> None:
        self.rows: list[Found] = [*view.judged, *view.unjudged] if view is not None else []
        self.modes = modes

    def __len__(self) -> int:
        return len(self.rows)

    def cells(self, index: int) -> list[Span]:
        """One span a column; a dash where a mode did not find it."""
        row = self.rows[index]
        title = Span("not in the corpus", "warn") if row.title is None else Span(row.title)
        ranks = [row.ranks.get(mode) for mode in self.modes]
        return [
            _grade(row),
            *(Span("-", "faint") if rank is None else Span(f"{rank:,}", "ok") for rank in ranks),
            title,
            Span(row.id, "dim"),
        ]


def _grade(row: Found) -> Span:
    if isinstance(row, UnjudgedRow):
        return Span("none", "faint")
    role = "dim" if row.grade < 1 else "strong" if row.grade >= _SHOWN_GRADES else "ok"
    return Span(str(row.grade), role)


def query_lines(view: QueryView, modes: Sequence[str]) -> list[Line]:
    """The query's text, and what each mode made of it."""
    lines = [line(Span(view.text, "strong"))]
    lines.append(line(Span(" " * 9 + "".join(f"{name:>9}" for name in MEASURES), "faint")))
    for mode in modes:
        values = view.scores.get(mode, {})
        shown = "".join(f"{values.get(name, 0.0):>9.3f}" for name in MEASURES)
        lines.append(line(Span(f"{mode:<9}", "own"), Span(shown)))
    judged, missing = len(view.judged), sum(row.title is None for row in view.judged)
    said = f"{judged:,} judged, then the best {len(view.unjudged):,} that nobody has judged"
    said += f"; {missing:,} not in the corpus" if missing else ""
    lines.append(line(Span(said, "faint")))
    return lines


def document_lines(
    row: Found, modes: Sequence[str], depth: str, document: tuple[str, str] | None
) -> list[Line]:
    """One document whole, with its grade and its places."""
    grade = "not judged" if isinstance(row, UnjudgedRow) else f"grade {row.grade}"
    places = "   ".join(
        f"{mode} {f'{rank:,}' if rank is not None else depth}"
        for mode, rank in ((mode, row.ranks.get(mode)) for mode in modes)
    )
    lines = [line(Span(row.id, "dim"), Span(f"   {grade}", "own.strong"), Span(f"   {places}"))]
    if document is None:
        why = "The corpus has no such document: it counts as not found."
        return [*lines, line(), line(Span(why, "warn"))]
    title, text = document
    lines += [line(), line(Span(title, "strong"))] if title else []
    return [*lines, line(), *(line(*addresses(part)) for part in text.splitlines() or [""])]


# Work that runs ----------------------------------------------------------------------------


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
