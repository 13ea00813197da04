"""The catalogue's entries as documents, and the index over them.

The index is built when it is first needed, and again when the entries, their abstracts, the model
or its recipe change.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bioretrieval_tui.catalog.catalogue import Catalogue, kind_of
from bioretrieval_tui.catalog.compiled import load
from bioretrieval_tui.catalog.models import Paper
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import IndexFault, NotFoundError
from bioretrieval_tui.index.layout import CATALOGUE, IndexBusy
from bioretrieval_tui.index.manifest import Manifest
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.paths import locked, places, save_file
from bioretrieval_tui.progress import Progress, Reporter, silent

if TYPE_CHECKING:
    from bioretrieval_tui.encoding.encoder import Encoder, EncoderFactory

_MOST_BYTES = 64 * 2**20
_LONGEST_WAIT = 600.0
"""Seconds to wait for a build in another process."""
_PAUSE = 0.25


def catalogue_documents(catalogue: Catalogue) -> list[Document]:
    """One document per entry: its name (a paper's title), its summary and fetched abstract, its
    page's address, what a paper is cited by."""
    abstracts = {name: one.text for name, one in kept_abstracts().items()}
    documents = []
    for entry in catalogue.entries:
        name = entry.name
        if isinstance(entry, Paper):
            # Titles such as "MedCPT: Contrastive ..." contain the name.
            own = entry.title.casefold().startswith(entry.name.casefold())
            name = entry.title if own else f"{entry.name}: {entry.title}"
        metadata: dict[str, object] = {"kind": kind_of(entry)}
        if isinstance(entry, Paper):
            people = [one.strip("{}") for one in entry.authors if one != "others"]
            pmid = None if entry.pmid is None else str(entry.pmid)
            cited = {"authors": people, "venue": entry.venue, "doi": entry.doi, "pmid": pmid}
            metadata |= {name: value for name, value in cited.items() if value}
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


class Abstract(msgspec.Struct, frozen=True):
    """One abstract. origin: the service it is from; day: of the fetch, ISO 8601."""

    text: str
    origin: str
    day: str


def _abstracts_path() -> Path:
    return places().data / "abstracts.json"


def kept_abstracts() -> dict[str, Abstract]:
    """The fetched abstracts, by id of the catalogue's entry; none where the file is missing or
    damaged, since they can be fetched again."""
    try:
        with _abstracts_path().open("rb") as stream:
            return msgspec.json.decode(stream.read(_MOST_BYTES), type=dict[str, Abstract])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}


def keep_abstracts(abstracts: Mapping[str, Abstract]) -> None:
    """Add to the kept abstracts, or replace them. Raises BioRetrievalError where they cannot be
    written; the earlier ones are unchanged then."""
    path = _abstracts_path()
    busy, said = "another process fetches some", "the abstracts cannot be saved"
    with locked(path.with_name(f".{path.name}.lock"), said, busy):
        data = msgspec.json.encode(dict(sorted({**kept_abstracts(), **abstracts}.items())))
        save_file(path, data, "the abstracts")


class _NotHeldError(Exception):
    """An entry has no vector yet, and no model may be loaded."""


def _not_held() -> Encoder:
    raise _NotHeldError


class Ensured(NamedTuple):
    """The catalogue's index. built: by this call; note: why it is out of date, where a newer one
    could not be written."""

    documents: int
    built: bool
    note: str | None = None


def index_catalogue(encoder_factory: EncoderFactory | None, reporter: Reporter = silent) -> Ensured:
    """Bring the index of the catalogue on disk up to date, see `ensure_catalogue_index`."""
    documents = catalogue_documents(load().catalogue)
    return ensure_catalogue_index(documents, fingerprint(documents), encoder_factory, reporter)


def ensure_catalogue_index(
    documents: Iterable[Document],
    fingerprint: str,
    encoder_factory: EncoderFactory | None,
    reporter: Reporter = silent,
) -> Ensured:
    """Build the index `catalogue` of `documents`, whose content `fingerprint` names, unless there
    is one of this content and the embedded model; then neither documents nor encoder are used.

    encoder_factory: None where only BM25 is needed: nothing is encoded, and the index has vectors
    only if all are held already, as those of the shipped entries are. A build in another process
    is waited for. Where the index cannot be written (a full or read-only disk), an older undamaged
    one stays in use.

    Raises IndexFault: there is none and it cannot be written; ModelError, CorpusError as building
    does; also what `reporter` raises.
    """
    from bioretrieval_tui.index.build import build_index
    from bioretrieval_tui.index.intake import feed_documents
    from bioretrieval_tui.index.vector_cache import Vectoriser, embedded_facts

    # The catalogue's content together with the model and recipe that encode it.
    parts = (fingerprint, embedded.MODEL_ID, embedded.REVISION, recipe_hash(embedded.RECIPE))
    wanted = hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
    deadline = time.monotonic() + _LONGEST_WAIT
    while True:
        present: Manifest | None = None
        with contextlib.suppress(NotFoundError, IndexFault):
            index = open_index(CATALOGUE, vectors=encoder_factory is not None)
            present = index.manifest
            index.close()
        if present is not None and present.fingerprint == wanted:
            return Ensured(present.documents, built=False)
        feed = feed_documents(documents, "catalogue")
        try:
            build = partial(build_index, CATALOGUE, feed, reporter=reporter, fingerprint=wanted)
            try:
                outcome = build(encoder_factory or _not_held, facts=embedded_facts())
            except _NotHeldError:
                outcome = build(Vectoriser(embedded_facts()))
        except IndexBusy as error:
            if time.monotonic() > deadline:
                raise
            reporter(Progress("waiting", 0, note=error.message))
            time.sleep(_PAUSE)
            continue
        except IndexFault as error:
            if present is None:
                raise
            return Ensured(present.documents, built=False, note=error.line())
        return Ensured(outcome.manifest.documents, built=True)
