"""Abstracts of the catalogue's own papers, from the service that knows each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import Paper
from bioretrieval_tui.online.door import Door
from bioretrieval_tui.online.ids import WorkId, batches, names_of, work_id

_ORIGINS = {"arxiv": "arXiv", "pmid": "PubMed", "doi": "Europe PMC", "pmcid": "Europe PMC"}


def papers_with_ids(catalogue: Catalogue) -> list[Paper]:
    """The papers that some service can be asked for."""
    return [one for one in catalogue.of_type(Paper) if _id_of(one) is not None]


def abstracts_of(door: Door, papers: Sequence[Paper]) -> Iterator[tuple[str, str, str]]:
    """Entry's id, abstract and origin of each paper that has an abstract, as they arrive.

    Raises:
        OnlineError: a service fails.
    """
    wanted: dict[tuple[str, str], tuple[Paper, WorkId]] = {}
    for paper in papers:
        one = _id_of(paper)
        if one is not None:
            wanted[(one.kind, one.name.casefold())] = (paper, one)
    for batch in batches(door, [one for _, one in wanted.values()]):
        for document in batch.documents:
            for name in names_of(document) & wanted.keys():
                paper, one = wanted[name]
                if document.text.strip():
                    yield paper.id, document.text, _ORIGINS[one.kind]


def _id_of(paper: Paper) -> WorkId | None:
    """What a paper is asked for by: PubMed's records are the fullest, arXiv's the surest."""
    for value in (paper.pmid, paper.arxiv, paper.doi):
        one = work_id(str(value)) if value is not None else None
        if one is not None:
            return one
    return None
