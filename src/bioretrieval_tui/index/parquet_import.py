"""Building an index from its export, the Parquet that `parquet_export` writes: documents, fields,
other ids and vectors are those of the exported index, and no model is needed.

The files are read twice at once, a batch of rows in memory each: the feed takes the documents, and
the vectoriser, in the thread that would encode, the vectors of the same rows.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bioretrieval_tui.documents.checksum import sha256_of
from bioretrieval_tui.documents.document import Document, Record
from bioretrieval_tui.documents.source import reading_fault
from bioretrieval_tui.encoding.recipe import recipe_hash
from bioretrieval_tui.errors import CorpusError, NotFoundError, UsageError
from bioretrieval_tui.index.intake import Intake
from bioretrieval_tui.index.manifest import InputFacts
from bioretrieval_tui.index.parquet_columns import (
    ExportFacts,
    Halves,
    RowFault,
    RowVectors,
    arrow,
    document_columns,
    facts_in,
    known_longer,
    rows_of,
    schema_of,
    vectors_of,
)
from bioretrieval_tui.index.parquet_export import SUFFIX
from bioretrieval_tui.index.passages import Table, table_of
from bioretrieval_tui.index.report import FileReport
from bioretrieval_tui.index.vector_cache import IMPORTED, ModelFacts, Vectoriser
from bioretrieval_tui.progress import Progress, Reporter

FORMAT = "parquet-export"
"""What the inputs of the manifest say of the files."""
_MAGIC = b"PAR1"
_BATCH = 1_024
_LARGEST_GROUP = 2 * 2**30
"""Bytes of a row group, uncompressed, at most: a group is read as a whole."""
_AGAIN = "export the index again, or get the file again and compare its checksum"


class IndexExport:
    """The files of one export, each looked at, in their order. facts: those of the first file.

    paths: files, or folders of them. Raises NotFoundError if there is none; UsageError for Parquet
    that is no export, and for files that are not of one; CorpusError for one that is damaged or
    lacks its companions; BioRetrievalError without pyarrow.
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]]) -> None:
        arrow()
        known = [(_facts_of(path), path) for path in _files(paths)]
        known.sort(key=lambda one: one[0].part)
        self.facts, first = known[0]
        self.paths = [path for _, path in known]
        for facts, path in known[1:]:
            if msgspec.structs.replace(facts, part=self.facts.part) != self.facts:
                said = f"{path} and {first} are not of one export"
                raise UsageError(said, remedy="name the files, or the folder, of one")
        found = [facts.part for facts, _ in known]
        if found != list(range(1, self.facts.of + 1)):
            missing = sorted({*range(1, self.facts.of + 1)} - {*found})
            said = f"files of the export {first.parent} are given twice"
            if missing:
                said = f"part {missing[0]} of {self.facts.of} is missing beside {first}"
            raise CorpusError(said, remedy="name the folder of all its files")
        self._schema = schema_of(dimension=self.facts.dimension, passages=self.facts.passages)

    @property
    def vectoriser(self) -> Vectoriser:
        """What gives the documents of `feed` their vectors; none for an index without."""
        names = msgspec.structs.fields(ModelFacts)
        facts = ModelFacts(**{one.name: getattr(self.facts, one.name) for one in names})
        return ExportedVectors(self, facts) if facts.dimension else Vectoriser(facts)

    def feed(self, intake: Intake) -> None:
        """Take all documents, with their other ids. Raises CorpusError for damaged files."""
        writer, report, total = intake.writer, intake.report, self.facts.documents
        # As in the exported index, equal texts are documents of their own.
        writer.joins_twins = False
        writer.keeps_works = self.facts.works
        for path in self.paths:
            size, digest = path.stat().st_size, sha256_of(path)
            one, before = FileReport(str(path), FORMAT, size, digest), report.kept
            report.files.append(one)
            intake.file = str(path)
            for batch in self.batches(path, document_columns(self._schema)):
                with _faults(path):
                    for row in rows_of(batch):
                        self._take(intake, row.record)
                        for alias in row.aliases:
                            if writer.knows(alias):
                                raise RowFault(f"the id {alias!r} is there twice")
                            writer.name(alias, writer.next - 1)
                intake.share = report.kept / total
            one.read = one.kept = report.kept - before
            shown = str(path.absolute())
            intake.inputs.append(InputFacts(shown, size, digest, one.kept, FORMAT))
        if report.kept != total:
            said = f"the export holds {report.kept:,} documents, not {total:,}"
            raise CorpusError(said, remedy=_AGAIN)

    @staticmethod
    def _take(intake: Intake, record: Record) -> None:
        kept, label = intake.report.kept, intake.writer.next
        intake.take(record)
        if (intake.report.kept, intake.writer.next) != (kept + 1, label + 1):
            name = record.document.id
            raise RowFault(f"the document {name!r} is there twice, or has neither title nor text")

    def batches(self, path: Path, columns: Sequence[str]) -> Iterator[Any]:
        """Some columns of a file, in RecordBatches of a few rows. Raises CorpusError."""
        pa = arrow()
        with _faults(path), pa.parquet.ParquetFile(
            path, page_checksum_verification=True
        ) as file:  # fmt: skip
            for name in columns:
                at = file.schema_arrow.get_field_index(name)
                expected = self._schema.field(name).type
                if at < 0 or file.schema_arrow.field(at).type != expected:
                    raise RowFault(f"it has no column {name} of {expected}")
            for group in range(file.num_row_groups):
                # Nothing else of its description is used: pyarrow aborts on a damaged column.
                if file.metadata.row_group(group).total_byte_size > _LARGEST_GROUP:
                    raise RowFault("a row group is too large")
                yield from file.iter_batches(_BATCH, row_groups=[group], columns=list(columns))


class ExportedVectors(Vectoriser):
    """The vectors of an export, for its documents in their order."""

    device = IMPORTED

    def __init__(self, export: IndexExport, facts: ModelFacts) -> None:
        super().__init__(facts)
        self._facts = facts
        self._export = export
        self._batches = self._read()
        self._left: tuple[Path, Any] | None = None  # of a batch
        self.max_tokens = export.facts.max_tokens

    def _read(self) -> Iterator[tuple[Path, Any]]:
        """All batches, with their files."""
        columns = ["id", "longer", "vector", *(["passages"] if self._export.facts.passages else [])]
        for path in self._export.paths:
            for batch in self._export.batches(path, columns):
                yield path, batch
        raise CorpusError(f"{path}: it has fewer vectors than documents", remedy=_AGAIN)

    def vectors(self, documents: Sequence[Document], tell: Reporter) -> Halves:
        return self.rows(0, documents, tell)[0]

    def rows(
        self, first: int, documents: Sequence[Document], tell: Reporter
    ) -> tuple[Halves, Table | None]:
        parts: list[RowVectors] = []
        longer: list[bool | None] = []
        passages = self._export.facts.passages
        while len(longer) < len(documents):
            path, batch = self._left or next(self._batches)
            mine = documents[len(longer) : len(longer) + batch.num_rows]
            some, rest = batch.slice(0, len(mine)), batch.slice(len(mine))
            with _faults(path):
                if some.column("id").to_pylist() != [one.id for one in mine]:
                    raise RowFault("its documents are others than those that were read before")
                lengths = [len(one.text) for one in mine] if passages else None
                parts.append(vectors_of(some, self._facts.dimension, lengths))
                longer += known_longer(some)
            self._left = (path, rest) if rest.num_rows else None
        places = [at for at, one in enumerate(longer) if one]
        self.longer = None if None in longer else places
        tell(Progress("encoding", len(documents), len(documents)))
        halves = np.concatenate([one.halves for one in parts])
        if not passages:
            return halves, None
        spans = [span for one in parts for span in one.spans or ()]
        return halves, table_of(first, documents, spans)[1]


def _files(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, paths):
        inside = sorted(path.glob(f"[!.]*{SUFFIX}")) if path.is_dir() else [path]
        if not inside:
            raise NotFoundError(f"the folder {path} holds no file *{SUFFIX}")
        found += inside
    if not found:
        raise UsageError("no export is named", remedy="index import NAME FILE")
    return found


def _facts_of(path: Path) -> ExportFacts:
    """What a file says of its export, and whether that can be."""
    pa = arrow()
    foreign = UsageError(
        f"{path} was not written by `index export`",
        remedy="for its texts, use `index build`; for vectors of others, `index import-vectors`",
    )
    with _faults(path):
        with path.open("rb") as stream:
            if stream.read(len(_MAGIC)) != _MAGIC:
                raise foreign
        with pa.parquet.ParquetFile(path) as file:
            facts = facts_in(file.schema_arrow.metadata)
        if facts is None:
            raise foreign
        if facts.recipe_hash != recipe_hash(facts.recipe) or facts.documents < 1:
            raise RowFault("what it says of its model does not fit together")
    return facts


@contextlib.contextmanager
def _faults(path: Path) -> Iterator[None]:
    """Turn what reading a file raises into an error for the user."""
    pa = arrow()
    try:
        yield
    except RowFault as error:
        raise CorpusError(f"{path}: {error}", remedy=_AGAIN) from error
    except (pa.ArrowException, OSError, UnicodeError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno:
            raise reading_fault(str(path), error) from error
        reason = " ".join(str(error).split())[:200]
        raise CorpusError(
            f"{path}: the Parquet data is damaged: {reason}", remedy=_AGAIN
        ) from error
