"""What Search shows: a question or a likeness with its answer, and the line that says which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bioretrieval_tui.search.hits import Answer, Hit, Question
from bioretrieval_tui.tui.highlight import words
from bioretrieval_tui.tui.text import Span, fit

HITS = 100
"""Hits that are asked for."""
_LONGEST_TITLE = 48
_LONGEST_FILTER = 36


_NONE = Answer(())


@dataclass(frozen=True, slots=True)
class View:
    """One answer and what it answers.

    index: what was searched; question: None for a likeness, where `like` is the hit that the
    others are like; where: the filter; near: entries of the catalogue behind them that are like it
    too; reader: the reranker that has read the best of them.
    """

    index: str = ""
    question: Question | None = None
    answer: Answer = _NONE
    where: str = ""
    like: Hit | None = None
    near: tuple[Hit, ...] = ()
    reader: str = ""

    @property
    def hits(self) -> tuple[Hit, ...]:
        """All rows of the list."""
        return (*self.answer.hits, *self.near)

    def is_near(self, at: int) -> bool:
        """Whether the row is one of the catalogue's entries behind the hits."""
        return at >= len(self.answer.hits)

    @property
    def words(self) -> tuple[str, ...]:
        """The words to mark in texts."""
        return words(self.question.text) if self.question else ()


NOTHING = View()


def described(view: View, model: str) -> Iterator[Span]:
    """What stands behind the index's name: how was asked, what came, by which model."""
    answer = view.answer
    if view.like is not None:
        title = view.like.title or view.like.text or view.like.id
        size = min(len(title), _LONGEST_TITLE)
        yield Span("  like: ", "dim")
        yield Span(fit(title, size), "strong")
    elif view.question is not None:
        yield Span(f"  {view.question.mode}", "strong")
    count = len(answer.hits)
    found = f"best {count}" if count == HITS else f"{count} hit" if count == 1 else f"{count} hits"
    yield Span(f"  {found}", "dim")
    if view.near:
        yield Span(f" + {len(view.near)} of the catalogue", "dim")
    yield from _filtered(view)
    if view.question is not None and view.question.order == "date":
        yield Span("  newest first", "dim")
    if view.reader:
        yield Span(f"  read again by {view.reader}", "model")
    if answer.note:
        yield Span(f"  {answer.note}", "warn")
    if model and not (view.question and view.question.mode == "lexical"):
        yield Span(f"  {model}", "faint")


def side_by_side(left: View, right: View) -> Iterator[Span]:
    """What stands behind the index's name over two lists."""
    both = {hit.id for hit in left.answer.hits} & {hit.id for hit in right.answer.hits}
    yield Span("  words | meaning", "strong")
    most = max(len(left.answer.hits), len(right.answer.hits))
    yield Span(f"  {len(both)} of {most} in both", "dim")
    yield from _filtered(left)
    if left.answer.note:
        yield Span(f"  {left.answer.note}", "warn")


def _filtered(view: View) -> Iterator[Span]:
    """The filter, and how many documents it lets through."""
    if view.answer.fitting is None:
        return
    where = view.where
    yield Span("  filter ", "dim")
    yield Span(fit(where, min(len(where), _LONGEST_FILTER)), "ok")
    yield Span(f" keeps {view.answer.fitting:,}", "dim")
