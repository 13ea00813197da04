"""The catalogue's entries as documents, so that they can be searched like any corpus."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.models import Paper
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.errors import BioRetrievalError
from bioretrieval_tui.paths import places, write_atomically


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


_MOST_BYTES = 64 * 2**20


class Abstract(msgspec.Struct, frozen=True):
    """One abstract. origin: the service that gave it; day: when, ISO 8601."""

    text: str
    origin: str
    day: str


def abstracts_path() -> Path:
    """The file that they are kept in; it may not exist."""
    return places().data / "abstracts.json"


def kept_abstracts() -> dict[str, Abstract]:
    """What is kept, by the id of the catalogue's entry; nothing where the file is missing or
    damaged, since it can be fetched again."""
    try:
        with abstracts_path().open("rb") as stream:
            return msgspec.json.decode(stream.read(_MOST_BYTES), type=dict[str, Abstract])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}


def load_abstracts() -> dict[str, str]:
    """The texts alone."""
    return {name: one.text for name, one in kept_abstracts().items()}


def keep_abstracts(abstracts: Mapping[str, Abstract]) -> None:
    """Replace what is kept.

    Raises:
        BioRetrievalError: it cannot be written; what was kept before still is.
    """
    path = abstracts_path()
    try:
        write_atomically(path, msgspec.json.encode(dict(sorted(abstracts.items()))))
    except OSError as error:
        raise BioRetrievalError(
            f"abstracts cannot be kept in {path.parent}: {error.strerror or error}",
            remedy="make room, or let the folder be written",
        ) from error
