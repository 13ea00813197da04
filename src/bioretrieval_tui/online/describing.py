"""Asking for one work, and making the draft of an entry from the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.errors import NotFoundError
from bioretrieval_tui.online.additions import (
    Addition,
    Reference,
    from_arxiv,
    from_hub,
    from_pubmed,
)
from bioretrieval_tui.online.fresh import Where
from bioretrieval_tui.online.refresh import (
    HUB,
    MOST_BYTES,
    arxiv_papers,
    described_by,
    hub_address,
    is_gone,
)
from bioretrieval_tui.online.sources import pubmed_records

if TYPE_CHECKING:
    from bioretrieval_tui.online.door import Door


def described(door: Door, what: Reference, catalogue: Catalogue, *, day: str) -> Addition:
    """The draft of an entry for `what`; `day` (ISO 8601) is today.

    Raises:
        NotFoundError: there is no such work. BioRetrievalError: the service fails.
    """
    if what.scheme == "arxiv":
        record = arxiv_papers(door, [what.name]).get(what.name)
        if record is None:
            raise NotFoundError(f"arXiv has no paper {what.name}", remedy="correct the id")
        return from_arxiv(record, catalogue, day=day)
    if what.scheme == "pmid":
        for document in pubmed_records(door, [what.name]):
            if document.id == what.name:
                return from_pubmed(document, catalogue, day=day)
        raise NotFoundError(f"PubMed has no record {what.name}", remedy="correct the PMID")
    where: Where = "dataset" if what.dataset else "model"
    answer = door.get(HUB, hub_address(where, what.name), most_bytes=MOST_BYTES, check=False)
    if is_gone(answer):
        kind = "data set" if what.dataset else "model"
        raise NotFoundError(
            f"the model hub has no {kind} {what.name}, or shows it only to some",
            remedy="correct its name",
        )
    return from_hub(what, described_by(answer, what.name), catalogue, day=day)
