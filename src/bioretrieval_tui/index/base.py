"""What a build starts from: an index whose files are checked, and the vectors that the home has.

A document is encoded once in a home. Vectors are looked up by the hash of its text among those of
every index, evaluation and unfinished build by the same model, revision and recipe.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.encoding.encoder import EncoderFactory
from bioretrieval_tui.encoding.shipped_vectors import shipped
from bioretrieval_tui.errors import BioRetrievalError, IndexFault, UsageError
from bioretrieval_tui.index import layout
from bioretrieval_tui.index.manifest import Manifest, check_content, fault, read_manifest
from bioretrieval_tui.index.passages import Passages
from bioretrieval_tui.index.vector_cache import (
    IndexVectors,
    ModelFacts,
    ModelVectors,
    PooledVectors,
    Vectoriser,
    VectorSource,
    embedded_facts,
    facts_of,
)
from bioretrieval_tui.index.vector_matrix import (
    Matrix,
    open_dead,
    open_longer,
    open_matrix,
    open_passages,
)


class InStore(UsageError):
    """An index that is in a store is asked for files that are not here."""


class Base(msgspec.Struct, frozen=True):
    """An index to build upon: its manifest and folder, its documents and vectors, the labels of
    its deleted documents, and of those with more tokens than the model reads, if they are known;
    passages: None where each document has one vector."""

    manifest: Manifest
    folder: Path
    store: DocumentStore
    matrix: Matrix
    dead: frozenset[int]
    longer: frozenset[int] | None
    passages: Passages | None

    def vectors(self) -> IndexVectors:
        """What a build by the same model reuses."""
        facts = facts_of(self.manifest)
        return IndexVectors(facts, self.store, self.matrix, self.longer, self.passages)

    def vectoriser(self, factory: EncoderFactory) -> Vectoriser:
        """Vectors like those of this index; none if it has none."""
        facts = facts_of(self.manifest)
        if not self.manifest.encoded:
            return Vectoriser(facts)
        return ModelVectors(
            self.folder,
            factory,
            facts=facts,
            old=self.vectors(),
            others=partial(home_vectors, self.folder),
            max_tokens=self.manifest.max_tokens,
            passages=self.manifest.passages,
        )


@contextlib.contextmanager
def open_base(name: str, *, whole: bool = False) -> Iterator[Base]:
    """An index whose documents and vectors are checked and open, to build upon.

    whole: its graph, text index and metadata are extended too, so they are checked as well.
    Otherwise nothing derived from the documents is needed, not even the list of deleted labels.
    Raises NotFoundError, IndexFault if a file that is needed is damaged, InStore if it has them in
    a store.
    """
    folder = layout.index_folder(name)
    manifest = read_manifest(folder)
    if manifest.store is not None:
        raise InStore(
            f"index {name} is in {manifest.store}, where it is not changed",
            remedy="change the index that it was copied from, and copy that again",
        )
    needed = [*manifest.stores(), *manifest.matrices(), *manifest.passage_tables()]
    for path in dict.fromkeys([*needed, *(manifest.files if whole else ())]):
        check_content(manifest, folder, path)
    with contextlib.closing(DocumentStore([folder / path for path in manifest.stores()])) as store:
        if [one.count for one in store.segments] != [one.rows for one in manifest.segments]:
            raise fault(
                manifest, f"its store holds {store.rows:,} documents, not {manifest.rows:,}"
            )
        matrix = open_matrix(manifest, folder)
        try:
            check_content(manifest, folder, manifest.path(layout.DEAD))
            dead = frozenset(open_dead(manifest, folder).tolist())
        except IndexFault:
            dead = frozenset(store.superseded())  # takes longer
        longer = None
        with contextlib.suppress(IndexFault):
            if manifest.longer is not None:
                check_content(manifest, folder, manifest.path(layout.LONGER))
                longer = frozenset(open_longer(manifest, folder).tolist())
        yield Base(manifest, folder, store, matrix, dead, longer, open_passages(manifest, folder))


def home_vectors(own: Path, facts: ModelFacts) -> Iterator[VectorSource]:
    """The vectors by this model that the home holds outside the index folder `own`: those shipped
    with the catalogue, of other indexes, and of unfinished builds of them. Each is opened when the
    caller asks for the next one, and all are closed with the generator."""
    if facts.key == embedded_facts().key and (ready := shipped()) is not None:
        yield ready
    with contextlib.ExitStack() as stack:
        for folder in sorted(layout.indexes_folder().glob("[!.]*/")):
            if folder == own:
                continue
            with contextlib.suppress(BioRetrievalError, OSError, sqlite3.Error):
                if facts_of(read_manifest(folder)).key == facts.key:
                    yield stack.enter_context(open_base(folder.name)).vectors()
            for path in folder.glob(f"{layout.POOL_PREFIX}{facts.key}-*"):
                with contextlib.suppress(OSError):
                    yield PooledVectors(path)
