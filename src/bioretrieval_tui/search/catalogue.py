"""The index over the catalogue's own entries: made on first need, made again when they change."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass

from bioretrieval_tui.corpus.document import Document
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import EncoderFactory
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import IndexFault, NotFoundError
from bioretrieval_tui.index.build import build_from, build_lexical
from bioretrieval_tui.index.intake import feed_documents
from bioretrieval_tui.index.layout import CATALOGUE
from bioretrieval_tui.index.lock import IndexBusy
from bioretrieval_tui.index.registry import open_index
from bioretrieval_tui.index.vectorise import embedded_facts
from bioretrieval_tui.progress import Progress, Reporter, silent

_LONGEST_WAIT = 600.0
_PAUSE = 0.25


@dataclass(frozen=True, slots=True)
class Ensured:
    """The catalogue's index is there. `built`: it was made now; `note`: why it is out of date,
    where a newer one could not be written."""

    documents: int
    built: bool
    note: str | None = None


def ensure_catalogue_index(
    documents: Iterable[Document],
    fingerprint: str,
    encoder_factory: EncoderFactory | None,
    reporter: Reporter = silent,
) -> Ensured:
    """Make sure that the index `catalogue` holds `documents`, whose content `fingerprint` names.

    encoder_factory: None where BM25 is all that is needed: an index without vectors will do then,
    and nothing is encoded.

    An index with the same fingerprint and the embedded model's identity is left alone; then
    neither documents nor encoder are touched. Where another process is building it, that one is
    waited for. Where a newer one cannot be written (a full or read-only disk), an older one
    that is whole stays in use.

    Raises:
        IndexFault: there is none and it cannot be written. ModelError, CorpusError as building
        does. Whatever `reporter` raises.
    """
    wanted = _identity(fingerprint)
    deadline = time.monotonic() + _LONGEST_WAIT
    while True:
        present = _present(vectors=encoder_factory is not None)
        if present is not None and present[0] == wanted:
            return Ensured(present[1], built=False)
        try:
            feed = feed_documents(documents, "catalogue")
            if encoder_factory is None:
                outcome = build_lexical(
                    CATALOGUE, feed, embedded_facts(), reporter=reporter, fingerprint=wanted
                )
            else:
                outcome = build_from(
                    CATALOGUE, feed, encoder_factory, reporter=reporter, fingerprint=wanted
                )
        except IndexBusy as error:
            if time.monotonic() > deadline:
                raise
            reporter(Progress("waiting", 0, note=error.message))
            time.sleep(_PAUSE)
            continue
        except IndexFault as error:
            if present is None:
                raise
            return Ensured(present[1], built=False, note=error.line())
        return Ensured(outcome.manifest.documents, built=True)


def _present(*, vectors: bool) -> tuple[str | None, int] | None:
    """Fingerprint and size of the index that is there and whole, or None."""
    try:
        index = open_index(CATALOGUE, vectors=vectors)
    except (NotFoundError, IndexFault):
        return None
    index.close()
    return index.manifest.fingerprint, index.manifest.documents


def _identity(fingerprint: str) -> str:
    """The catalogue's content together with the model and recipe that encode it."""
    parts = (fingerprint, embedded.MODEL_ID, embedded.REVISION, recipe_hash(embedded.RECIPE))
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
