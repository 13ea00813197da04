"""`search` of many queries: read from a file or stdin, their hits as JSON lines, CSV or a TREC run.

With --out, what is complete is kept beside the file, so that a search that was stopped goes on
where it was.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Literal, Self

import msgspec

from bioretrieval_tui.api import Index
from bioretrieval_tui.cli.streams import put, tell
from bioretrieval_tui.documents.source import STDIN
from bioretrieval_tui.errors import CorpusError, UsageError
from bioretrieval_tui.evaluation.topics import read_queries
from bioretrieval_tui.evaluation.trec_runs import run_lines
from bioretrieval_tui.paths import file_errors, save_file
from bioretrieval_tui.progress import Progress, Reporter
from bioretrieval_tui.render.formats import csv_lines, json_lines
from bioretrieval_tui.render.hits import hit_sheet
from bioretrieval_tui.search import batch
from bioretrieval_tui.search.types import Hit, Query
from bioretrieval_tui.util.formatting import plural

ManyFormat = Literal["jsonl", "csv", "trec"]
Rerank = Callable[[str, Sequence[Hit]], Sequence[Hit]]

_KEPT_EVERY = batch.BATCH
"""Queries after which their hits are on the disk."""


def queries_of(source: str) -> dict[str, str]:
    """The queries of a file, or of stdin ("-"), by id. Raises CorpusError also where one has no
    text."""
    found = read_queries(None if source == STDIN else Path(source), lines=True)
    if found.blank:
        identifier, place = next(iter(found.blank.items()))
        more = f", and {plural(len(found.blank) - 1, 'more query')}" if len(found.blank) > 1 else ""
        message = f"{place}: query {identifier} has no text{more}"
        raise CorpusError(message, remedy="remove it, or give it a text")
    if found.repeated:
        tell(found.repeated)
    return found.texts


def search_many(
    index: Index,
    queries: Mapping[str, str],
    asked: Query,
    format_: ManyFormat,
    *,
    tag: str = "bioretrieval",
    out: Path | None = None,
    rerank: Rerank | None = None,
    reranker: str = "",
    most: int,
    reporter: Reporter,
) -> None:
    """Write the hits of all queries to `out` or stdout. asked: what all queries share; reranker:
    the name of the model of `rerank`; most: hits of a query that are written. Raises as
    `batch.answers` does; UsageError: the tag is no word; BioRetrievalError: the disk is full."""
    if tag.split() != [tag]:
        raise UsageError(f"the tag {tag!r} is no word", remedy="write it without blanks")
    indexes = index.federation
    if asked.mode != "lexical":
        indexes.load(reporter)
    several = indexes.several
    started, total = time.monotonic(), len(queries)

    def lines(done: int) -> Iterator[str]:
        """The lines of each query after the first `done`, a chunk a query."""
        given = [(one, msgspec.structs.replace(asked, text=text)) for one, text in queries.items()]
        if format_ == "trec" and rerank is None:
            for query, ranking in batch.answers(indexes, given[done:], indexes.rank):
                yield "".join(run_lines(query, ranking, tag))
            return
        search = partial(indexes.search, facets=False)
        for query, found in batch.answers(indexes, given[done:], search):
            hits = found.hits if rerank is None else rerank(queries[query], found.hits)[:most]
            if format_ == "trec":
                yield "".join(run_lines(query, [(hit.id, hit.score) for hit in hits], tag))
                continue
            sheet = hit_sheet(hits, several=several, query=query)
            if format_ == "jsonl":
                yield "".join(json_lines(sheet))
                continue
            head, *rows = csv_lines(sheet)
            yield "".join(rows if done else (head, *rows))
            done += 1

    def told(chunks: Iterator[str], done: int) -> Iterator[str]:
        for at, chunk in enumerate(chunks, start=done):
            reporter(Progress("searching", at, total, unit="queries"))
            yield chunk
        reporter(Progress("searching", total, total, unit="queries"))

    if out is None:
        put(told(lines(0), 0))
        return
    made = [one.index.manifest for one in indexes.engines.values()]
    facts = [[one.name, one.built, one.documents, one.recipe_hash] for one in made]
    key = msgspec.json.encode([dict(queries), asked, format_, tag, reranker, most, facts])
    with ResumableFile(out, hashlib.sha256(key).hexdigest()) as file:
        if file.done:
            tell(f"{file.done:,} of {plural(total, 'query')} are in {file.beside}; going on")
        for chunk in told(lines(file.done), file.done):
            file.add(chunk)
        file.finish()
    seconds = time.monotonic() - started
    tell(f"wrote the hits of {plural(total, 'query')} to {out} in {seconds:.1f} s")


class _PartState(msgspec.Struct, frozen=True):
    """key: of queries, options and indexes; done: complete chunks; size: their bytes."""

    key: str
    done: int
    size: int


class ResumableFile:
    """A file that is written in chunks beside its place, and moved there when it is complete.

    done: the chunks of an earlier attempt with the same key, which are kept. Raises
    BioRetrievalError where it cannot be written; what was complete stays.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.beside = path.with_name(f"{path.name}.part")
        self._state = path.with_name(f"{path.name}.part.json")
        self._key = key
        self.done = self._since = 0
        with file_errors(f"{path} cannot be written"):
            kept = self._kept()
            self._file: IO[bytes] = self.beside.open("r+b" if kept else "wb")
            if kept:
                self.done = kept.done
                self._file.truncate(kept.size)
                self._file.seek(kept.size)

    def __enter__(self) -> Self:
        return self

    def _kept(self) -> _PartState | None:
        try:
            kept = msgspec.json.decode(self._state.read_bytes(), type=_PartState)
        except (OSError, msgspec.DecodeError):
            return None
        whole = self.beside.exists() and self.beside.stat().st_size >= kept.size
        return kept if kept.key == self._key and whole else None

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, chunk: str) -> None:
        with file_errors(f"{self.beside} cannot be written"):
            self._file.write(chunk.encode("utf-8", "surrogateescape"))
            self.done += 1
            self._since += 1
            if self._since >= _KEPT_EVERY:
                self._keep()

    def _keep(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        state = _PartState(self._key, self.done, self._file.tell())
        save_file(self._state, msgspec.json.encode(state), "the state of the search")
        self._since = 0

    def finish(self) -> None:
        """Move the complete file into place."""
        with file_errors(f"{self.path} cannot be written"):
            self._keep()
            self.beside.replace(self.path)
            self._state.unlink(missing_ok=True)
