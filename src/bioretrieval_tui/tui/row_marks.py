"""What is marked in lists, to be compared: one set of marks a kind, whichever list shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bioretrieval_tui.actions import key_of, keyed
from bioretrieval_tui.errors import UsageError

if TYPE_CHECKING:
    from bioretrieval_tui.render.comparison import Compared

MARKED = "+ "
"""Before the name of a marked row: it shows without colour too."""


class RowMarks:
    """Marked entries and runs by kind and id, in the order of marking; runs count as models."""

    def __init__(self) -> None:
        self._kinds: dict[str, dict[str, Compared]] = {}

    def count(self, kind: str) -> int:
        return len(self._kinds.get(kind, ()))

    def sign(self, identifier: str) -> str:
        """What stands before the name of a row."""
        return MARKED if any(identifier in held for held in self._kinds.values()) else ""

    def toggle(self, kind: str, identifier: str, thing: Compared) -> None:
        """Mark a row or unmark it. Raises UsageError: six are marked."""
        from bioretrieval_tui.render.comparison import MOST

        held = self._kinds.setdefault(kind, {})
        if identifier in held:
            del held[identifier]
        elif len(held) == MOST:
            raise UsageError(
                keyed(f"{MOST} are marked, the most: {{mark-row}} unmarks one, {{unmark}} all")
            )
        else:
            held[identifier] = thing

    def held(self, kind: str) -> dict[str, Compared]:
        return dict(self._kinds.get(kind, {}))

    def put(self, kind: str, held: dict[str, Compared]) -> None:
        """Mark what `held` returned, and nothing else."""
        self._kinds[kind] = held

    def clear(self, kind: str) -> None:
        """Unmark all of a kind. Raises UsageError: none is marked."""
        if not self._kinds.pop(kind, None):
            raise UsageError(keyed("Nothing is marked here: {mark-row} marks a row"))

    def to_compare(self, kind: str) -> list[Compared]:
        """The marked things. Raises UsageError: they are fewer than two."""
        from bioretrieval_tui.render.comparison import LEAST, MOST

        found = list(self._kinds.get(kind, {}).values())
        if len(found) < LEAST:
            marks = f"{key_of('mark-row')} marks {LEAST} to {MOST} rows to compare"
            raise UsageError(f"{len(found) or 'None'} marked: {marks}")
        return found
