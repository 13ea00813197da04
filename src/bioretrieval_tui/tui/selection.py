"""What is printed of the rows that are chosen, where the app is a picker for a shell or an editor.

A wish is "id", "link", "bibtex" (the key of a citation) or a template with names of fields in
braces, as in `{id}\\t{title}`; its fields are those of the records of `-f json`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from bioretrieval_tui.actions import Action
from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.errors import UsageError
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.render.row_records import Chosen, link_of, record_of, text_of
from bioretrieval_tui.search.types import Hit
from bioretrieval_tui.terminal.clean import clean
from bioretrieval_tui.tui.widgets.canvas import Detail
from bioretrieval_tui.tui.widgets.table import VirtualTable

if TYPE_CHECKING:
    from bioretrieval_tui.tui.app import BioRetrievalApp

WISHES = ("id", "link", "bibtex")
_FIELD = re.compile(r"\{([^{}]*)\}")
_ESCAPES = {"\\t": "\t", "\\n": "\n"}


class Selection:
    """Collects what is chosen. Raises UsageError: the wish is none of the three and names no
    field."""

    def __init__(self, wish: str = "id") -> None:
        if wish not in WISHES and not _FIELD.search(wish):
            remedy = "use id, link, bibtex or a template such as '{id} {title}'"
            raise UsageError(f"--print does not understand {wish!r}", remedy=remedy)
        self.wish = wish
        self.printed: list[str] = []

    def takes(self, app: BioRetrievalApp, target: object) -> bool:
        """Whether enter on a widget chooses: in a list or its page, but not on Home."""
        in_list = isinstance(target, VirtualTable | Detail) and len(app.screen_stack) == 1
        return in_list and app.current != "home"

    @staticmethod
    def named(action: Action) -> Action:
        """An action as the footer names it: enter in a list chooses."""
        reads = action.scope == "list" and "enter" in action.keys
        return replace(action, label="Choose") if reads else action

    def choose(self, things: Sequence[Chosen], catalogue: Catalogue) -> None:
        """Take things as the choice. Raises UsageError: there is none, or one lacks what is to be
        printed of it."""
        if not things:
            raise UsageError("There is no row to choose")
        self.printed = [self._line(one, catalogue) for one in things]

    def _line(self, thing: Chosen, catalogue: Catalogue) -> str:
        if self.wish == "id":
            found: str | None = thing if isinstance(thing, str) else thing.id
        elif self.wish == "link":
            found = link_of(thing)
        elif self.wish == "bibtex":
            found = _citation_key(thing, catalogue)
        else:
            return self._filled(record_of(thing, catalogue))
        if not found:
            what = "link" if self.wish == "link" else "citation"
            raise UsageError(f"This row has no {what}")
        return clean(found)

    def _filled(self, record: dict[str, Any]) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name not in record:
                known = ", ".join(list(record)[:12])
                raise UsageError(f"This row has no field {name!r}: {known}")
            return " ".join(clean(text_of(record[name]), newlines=True).split())

        template = self.wish
        for written, meant in _ESCAPES.items():
            template = template.replace(written, meant)
        return _FIELD.sub(value, template)


def _citation_key(thing: Chosen, catalogue: Catalogue) -> str | None:
    from bioretrieval_tui.render.citation import citable, cite_entry, hit_citations

    if isinstance(thing, Hit):
        of_catalogue = catalogue if thing.index == CATALOGUE else None
        return next((one.key for one in hit_citations([thing], of_catalogue)), None)
    return None if isinstance(thing, str) or not citable(thing) else cite_entry(thing).key
