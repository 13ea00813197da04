"""The catalogue's entries as documents, so that they can be searched like any corpus."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.models import Paper
from bioretrieval_tui.documents.abstracts import load_abstracts
from bioretrieval_tui.documents.document import Document


def catalogue_documents(
    catalogue: Catalogue, abstracts: Mapping[str, str] | None = None
) -> list[Document]:
    """One document an entry: its name (a paper's title), its summary, its page's address.

    abstracts: by id of a paper, behind its summary; those that `fetch abstracts` kept if None.
    """
    abstracts = load_abstracts() if abstracts is None else abstracts
    documents = []
    for entry in catalogue.entries:
        name = entry.name
        if isinstance(entry, Paper):
            # Titles such as "MedCPT: Contrastive ..." say the name themselves.
            own = entry.title.casefold().startswith(entry.name.casefold())
            name = entry.title if own else f"{entry.name}: {entry.title}"
        metadata: dict[str, object] = {"kind": kind_of(entry)}
        if entry.year:
            metadata["year"] = entry.year
        if entry.links:
            metadata["url"] = entry.links[0].url
        parts = [entry.summary, *(note.text for note in entry.notes), abstracts.get(entry.id, "")]
        text = " ".join(filter(None, parts))
        documents.append(Document(entry.id, name, text, metadata))
    return documents


def fingerprint(documents: Iterable[Document]) -> str:
    """SHA-256 over everything that an index of these documents depends on."""
    digest = hashlib.sha256()
    for document in documents:
        for part in (document.id, document.title, document.text, repr(document.metadata)):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "big"))
            digest.update(data)
    return digest.hexdigest()
