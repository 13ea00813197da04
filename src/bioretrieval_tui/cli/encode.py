"""`encode`: vectors of texts by the recipe of a model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import click

from bioretrieval_tui import api
from bioretrieval_tui.cli import options
from bioretrieval_tui.cli.lookups import chosen_model, fetch_missing
from bioretrieval_tui.cli.options import option
from bioretrieval_tui.cli.query_files import queries_of
from bioretrieval_tui.cli.streams import narrated, put, tell
from bioretrieval_tui.documents.detect import (
    FORMATS,
    UnknownFormatError,
    by_name,
    items,
    recognise,
    resolve,
)
from bioretrieval_tui.documents.document import Document, Item, Place, Record, Rejected
from bioretrieval_tui.documents.source import STDIN, ReadSettings, SourceReader, text_lines
from bioretrieval_tui.errors import BioRetrievalError, CorpusError, UsageError
from bioretrieval_tui.paths import file_errors
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.util.formatting import install_command, plural

if TYPE_CHECKING:
    from bioretrieval_tui.api import TextEncoder, Vectors

LINES = "lines"
_AT_ONCE = 2_048
"""Texts whose vectors are in memory."""
_LISTED = 5
"""Rejected records that are named."""


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path())
@options.model("--model", "Catalogue id, hub id or folder; default: the embedded model.")
@option(
    "--side SIDE",
    "How the model reads the texts: as documents or as queries.",
    type=click.Choice(("document", "query")),
    default="document",
)
@option("--instruction TEXT", "With --side query: replaces the recipe's own instruction.")
@option(
    "--format FORMAT",
    f"Format of documents: auto, {LINES} (a text a line), {', '.join(FORMATS)}.",
    name="reader",
    type=click.Choice(("auto", LINES, *FORMATS)),
    default="auto",
)
@option(
    "--out FILE",
    "File for the vectors: .npy (ids in FILE.ids), .parquet or .jsonl; default: JSON lines on"
    " stdout.",
    type=options.FILE,
)
@options.download
@options.device
@options.quiet
def encode(
    files: tuple[str, ...],
    model: str | None,
    side: Literal["document", "query"],
    instruction: str | None,
    reader: str,
    out: Path | None,
    download: bool,
    device: str,
    quiet: bool,
) -> None:
    """Encode texts by a model's recipe, for use elsewhere.

    Prompts, pooling and lengths are those of the model's authors. FILE is a corpus in any format
    that `index build` reads, or texts, a line each; with --side query, queries in the forms of
    `search --queries`. Without FILE, stdin is read. Vectors are float32, in the order of the texts,
    and are compared by the similarity that `show MODEL` names.

    \b
    echo 'statins and memory' | bioretrieval-tui encode --side query
    bioretrieval-tui encode pubmed24n0001.xml.gz --model medcpt --out articles.npy
    bioretrieval-tui encode topics.xml --side query --model bge-m3 --out queries.parquet
    """
    if instruction is not None and side != "query":
        raise UsageError("--instruction is for queries", remedy="add --side query")
    if side == "query" and reader != "auto":
        raise UsageError("--format is for documents", remedy="leave it out: queries show theirs")
    named = files or (STDIN,)
    with narrated(quiet) as reporter, contextlib.ExitStack() as stack:
        if side == "query":
            texts = [one for file in named for one in queries_of(file).items()]
            documents: Iterator[Document] = (Document(name, "", text) for name, text in texts)
        else:
            documents = _documents(named, reader)
        hub, recipe = chosen_model(model or api.EMBEDDED)
        fetch_missing(hub, recipe, reporter, download=download)
        written = stack.enter_context(_file_for(out))
        encoder = api.encoder(model or api.EMBEDDED, side=side, device=device, reporter=reporter)
        while some := list(islice(documents, _AT_ONCE)):
            done = written.count

            def told(step: Progress, done: int = done) -> None:
                reporter(Progress("encoding", done + step.done, None, unit="texts"))

            vectors = _encoded(encoder, some, side, instruction, told)
            written.add([one.id for one in some], vectors)
        if not written.count:
            raise CorpusError(f"{', '.join(named)}: no text is given")
        written.finish()
    if out is not None:
        what = plural(written.count, "vector")
        tell(f"wrote {what} of {encoder.dimension} components to {out} ({encoder.similarity})")


def _encoded(
    encoder: TextEncoder,
    some: Sequence[Document],
    side: Literal["document", "query"],
    instruction: str | None,
    reporter: Reporter,
) -> Vectors:
    if side == "query":
        return encoder.encode_queries([one.text for one in some], instruction=instruction)
    return encoder.encode_documents(some, reporter=reporter)


def _documents(named: Sequence[str], reader: str) -> Iterator[Document]:
    """The documents of files; rejected records are told, the first few by their place."""
    rejected = 0
    resolved = resolve(named)
    for path in resolved.files:
        with SourceReader(path) as source:
            for item in _items(source, reader):
                if isinstance(item, Record):
                    yield item.document
                elif isinstance(item, Rejected):
                    rejected += 1
                    if rejected <= _LISTED:
                        tell(f"{item.place}: {item.reason}")
    if rejected > _LISTED:
        tell(f"{rejected:,} records were rejected")


def _items(source: SourceReader, reader: str) -> Iterator[Item]:
    if reader not in ("auto", LINES):
        return items(source, by_name(reader), ReadSettings())
    if reader == "auto":
        try:
            return items(source, recognise(source), ReadSettings())
        except UnknownFormatError as error:
            if b"\0" in source.head(4_096):
                raise
            tell(f"{error.seems}; each line is read as a text")
    return _lines(source)


def _lines(source: SourceReader) -> Iterator[Item]:
    for line in text_lines(source):
        place = Place(source.name, line=line.number)
        if line.fault is not None:
            yield Rejected(place, line.fault.reason, line.fault.remedy)
        elif text := line.text.strip():
            yield Record(Document(str(line.number), "", text), place)


# Files of vectors -----------------------------------------------------------------------------


class VectorFile:
    """JSON lines on stdout: an object with `id` and `vector` a line. count: those written."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        self.count += len(ids)
        self._write(ids, vectors)

    def _write(self, ids: Sequence[str], vectors: Vectors) -> None:
        put(_json_lines(ids, vectors))

    def finish(self) -> None:
        """Everything is written: files move into place."""


def _json_lines(ids: Sequence[str], vectors: Vectors) -> Iterator[str]:
    from bioretrieval_tui.render.formats import encoded

    for name, vector in zip(ids, vectors, strict=True):
        # The shortest decimals that read back as the same float32.
        numbers = ", ".join(map(str, vector))
        yield f'{{"id": {encoded(name)}, "vector": [{numbers}]}}\n'


class _VectorsOnDisk(VectorFile):
    """A file that is written beside its place and moved there when it is complete."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.beside = path.with_name(f".{path.name}.part")
        with self.errors():
            self.stream: IO[bytes] = self.beside.open("wb")

    def errors(self) -> contextlib.AbstractContextManager[None]:
        return file_errors(f"{self.path} cannot be written", remedy="free space, or name another")

    def add(self, ids: Sequence[str], vectors: Vectors) -> None:
        with self.errors():
            super().add(ids, vectors)

    def _write(self, ids: Sequence[str], vectors: Vectors) -> None:
        for line in _json_lines(ids, vectors):
            self.stream.write(line.encode("utf-8", "surrogateescape"))

    def finish(self) -> None:
        with self.errors():
            self.complete()
            self.stream.close()
            self.beside.replace(self.path)

    def complete(self) -> None:
        """Write what is known at the end only."""

    def close(self) -> None:
        """End, also where it is not finished: nothing is left then."""
        self.stream.close()
        self.beside.unlink(missing_ok=True)


class _NumpyFile(_VectorsOnDisk):
    """An array of float32 (n, dimension); the ids in a file of their own, a line each."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._ids: list[str] = []

    def _write(self, ids: Sequence[str], vectors: Vectors) -> None:
        if not self._ids:
            self._head((0, vectors.shape[1]))
        self._width = vectors.shape[1]
        self._ids += ids
        self.stream.write(vectors.astype("<f4").tobytes())

    def _head(self, shape: tuple[int, int]) -> None:
        from numpy.lib import format as npy

        facts = {"descr": "<f4", "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self.stream, facts)  # it is padded for any number of rows

    def complete(self) -> None:
        self.stream.seek(0)
        self._head((len(self._ids), self._width))
        beside = self.path.with_name(f"{self.path.name}.ids")
        lines = "".join(f"{one}\n" for one in self._ids)
        beside.write_bytes(lines.encode("utf-8", "surrogateescape"))


class _ParquetFile(_VectorsOnDisk):
    """A table with the columns `id` and `vector` (a list of float32 of one length)."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            self.close()
            remedy = f"{install_command('parquet')}, or use .npy"
            raise BioRetrievalError("Parquet needs pyarrow", remedy=remedy) from error
        self._pyarrow: Any = pyarrow
        self._writer: Any = None

    def _write(self, ids: Sequence[str], vectors: Vectors) -> None:
        pa = self._pyarrow
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        table = pa.table({"id": pa.array(ids, pa.string()), "vector": column})
        if self._writer is None:
            self._writer = pa.parquet.ParquetWriter(self.stream, table.schema)
        self._writer.write_table(table)

    def complete(self) -> None:
        self._writer.close()


_KINDS: dict[str, type[_VectorsOnDisk]] = {
    ".npy": _NumpyFile, ".parquet": _ParquetFile, ".jsonl": _VectorsOnDisk,
}  # fmt: skip


@contextlib.contextmanager
def _file_for(path: Path | None) -> Iterator[VectorFile]:
    """The file of vectors that a suffix means, or stdout."""
    if path is None:
        yield VectorFile()
        return
    kind = _KINDS.get(path.suffix.casefold())
    if kind is None:
        raise UsageError(f"{path.name} is no file of vectors", remedy=f"use {', '.join(_KINDS)}")
    file = kind(path)
    try:
        yield file
    finally:
        file.close()
