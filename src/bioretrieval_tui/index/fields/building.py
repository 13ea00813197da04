"""The fields of a new state of an index: read from its documents, merged with those of before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.index.fields.facts import VERSION, FieldsFacts
from bioretrieval_tui.index.fields.merge import Extras, write_fields
from bioretrieval_tui.index.fields.runs import BUDGET, RunWriter
from bioretrieval_tui.progress import Progress, Reporter, silent

_BATCH = 1_024


@dataclass(frozen=True, slots=True)
class FieldsBase:
    """The fields of the index that is extended: their folder and facts, and how many rows it has.

    Those of another version are of no use: everything is read again.
    """

    folder: Path
    facts: FieldsFacts | None
    rows: int

    @property
    def usable(self) -> bool:
        """Whether new columns can go on from these."""
        return self.facts is not None and self.facts.version == VERSION


def build_fields(
    out: Path,
    work: Path,
    store: DocumentStore,
    *,
    base: FieldsBase | None,
    dead: NDArray[np.int64],
    reporter: Reporter = silent,
    budget: int = BUDGET,
) -> FieldsFacts:
    """Write the fields of all rows of `store` into the new folder `out`.

    work: a folder for runs, made here and left behind; base: what the first rows of the store
    gave when they were indexed; dead: labels that are to be found by no filter. Documents are
    read once, in order; memory holds `budget` bytes of their values and a few bytes a row.

    Raises:
        IndexFault: documents or base are damaged. OSError: the disk is full. Whatever `reporter`
            raises.
    """
    kept = None if base is None or base.facts is None or not base.usable else base
    first = 0 if kept is None else kept.rows
    gone = frozenset(dead[dead >= first].tolist())
    writer = RunWriter(work, first, budget=budget)
    label = first
    for documents in store.batches(_BATCH, first):
        reporter(Progress("linking", label, store.rows, unit="documents", note="fields"))
        for document in documents:
            writer.add(None if label in gone else document)
            label += 1
    return write_fields(
        out,
        writer.finish(),
        Extras(frozenset(writer.left_out), writer.full),
        base=None if kept is None or kept.facts is None else (kept.folder, kept.facts),
        dead=dead,
        total=store.rows,
    )
