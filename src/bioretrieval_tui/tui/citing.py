"""Hits of Search as a sheet to export, with the works among them to cite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.tui.asked import View

if TYPE_CHECKING:
    from bioretrieval_tui.catalog.catalogue import Catalogue
    from bioretrieval_tui.render.citation import Citation
    from bioretrieval_tui.render.sheet import Sheet


def sheet_of(view: View, catalogue: Catalogue) -> Sheet:
    """The hits of a view in their order; entries that stand behind documents are left out."""
    from bioretrieval_tui.render.hits import hit_sheet

    title = f"Search: {view.question.text}" if view.question else "Search"
    if view.like is not None:
        title = f"Like {view.like.title or view.like.id}"
    return hit_sheet(list(view.answer.hits), title=title, citations=_citations(view, catalogue))


def _citations(view: View, catalogue: Catalogue) -> tuple[Citation, ...]:
    """The works among the hits; an entry of the catalogue knows more than its document says."""
    if view.index == CATALOGUE:
        from bioretrieval_tui.render.citation import citable, cite_entry

        known = (catalogue.by_id.get(hit.id) for hit in view.answer.hits)
        return tuple(cite_entry(entry) for entry in known if entry and citable(entry))
    from bioretrieval_tui.render.hitcitation import citable_hit, cite_hit

    return tuple(cite_hit(hit) for hit in view.answer.hits if citable_hit(hit))
