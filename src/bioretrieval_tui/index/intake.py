"""The input of a build: files of any format, documents in memory, or an index itself.

A feed puts all records into a store and counts them. It runs in a thread of its own, ahead of the
encoder, so that the total is soon known; memory does not grow with the corpus, as the store is on
disk.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bioretrieval_tui.documents.detect import (
    UnknownFormatError,
    applies,
    by_name,
    items,
    recognise,
    resolve,
)
from bioretrieval_tui.documents.document import (
    Deleted,
    Document,
    Item,
    Place,
    Record,
    Rejected,
    Skipped,
)
from bioretrieval_tui.documents.source import STDIN, ReadSettings, SourceReader, text_encoding
from bioretrieval_tui.documents.store import DocumentStore
from bioretrieval_tui.documents.store_writer import StoreOutcome, StoreWriter
from bioretrieval_tui.errors import BioRetrievalError, CorpusError, NotFoundError, UsageError
from bioretrieval_tui.index.manifest import InputFacts
from bioretrieval_tui.index.read_ahead import ReadAhead, WholeFile
from bioretrieval_tui.index.report import FileReport, Report

_TEXT = re.compile(r"[^\W_]|[\ud800-\udfff]")
"""A letter or digit, or half a character, for which the record is rejected."""
_WAKING = 128
"""Rows after which the thread that waits for the reader is woken."""
_LOOK = 0.1
"""Seconds between two looks at the reader while there is nothing to encode."""
_PATIENCE = 5.0
"""Seconds that a stopped reader gets to end."""


class _StoppedError(Exception):
    """Ends the reading thread of a build that was stopped."""


@dataclass(slots=True)
class Intake:
    """State of reading; written by the feed's thread, read by the build's.

    share: of the input's bytes, from 0 to 1, or None if that is not known; accept: a check of every
    record, which may reject it; strict: whether the first rejected record ends the build; over:
    whether reading has ended, with or without an error.
    """

    writer: StoreWriter
    report: Report = field(default_factory=Report)
    share: float | None = None
    file: str | None = None
    inputs: list[InputFacts] = field(default_factory=list)
    accept: Callable[[Record], Item] = lambda record: record
    strict: bool = False
    over: bool = False
    _stopped: bool = False
    _error: BaseException | None = None
    _came: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def step(self) -> None:
        """Go on with reading; raises if the build was stopped."""
        if self._stopped:
            raise _StoppedError
        if self.writer.rows % _WAKING == 0:
            self._came.set()

    def take(self, item: Item) -> bool:
        """Put one item into the store and return whether it is a new or changed document. Raises
        whatever `step` raises, sqlite3.Error, and CorpusError for a rejected record if `strict`."""
        self.step()
        if isinstance(item, Record):
            item = self.accept(item)
        if isinstance(item, Record) and not (
            _TEXT.search(item.document.title) or _TEXT.search(item.document.text)
        ):
            # Of a benchmark, too: no search can find it, and its vector would be near any query.
            said = f"document {item.document.id!r} has neither a title nor a text"
            item = Skipped(item.place, said)
        if isinstance(item, Record):
            try:
                outcome = self.writer.add(item)
            except ValueError as error:
                item = Rejected(item.place, str(error))
            else:
                report, new = self.report, outcome in (StoreOutcome.NEW, StoreOutcome.REPLACED)
                report.read += 1
                merged = outcome is StoreOutcome.MERGED
                report.duplicates += not new and not merged
                report.kept += outcome is StoreOutcome.NEW
                if self.writer.twin is not None:
                    twin, why = self.writer.twin
                    report.pair(item, twin, why, merged=merged)
                report.replaced += outcome is StoreOutcome.REPLACED
                report.without_abstract += new and not item.document.text.strip()
                return new
        if isinstance(item, Skipped):
            self.report.skip(item)
        elif isinstance(item, Deleted):
            self.report.deleted += self.writer.delete(item.id)
        else:
            self.report.reject(item)
            if self.strict:
                raise CorpusError(
                    f"{item.place}: {item.reason}",
                    remedy=item.remedy or "omit --strict to skip such records",
                )
        return False

    def start(self, feed: Feed) -> None:
        """Run `feed` in a thread of its own."""
        self._thread = threading.Thread(
            target=self._read, args=(feed,), name="reading", daemon=True
        )
        self._thread.start()

    def _read(self, feed: Feed) -> None:
        try:
            feed(self)
        except _StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self._error = error
        self.over = True
        self._came.set()

    def wait_for_rows(self, rows: int, look: Callable[[], None]) -> None:
        """Wait for so many rows of the segment or the end of reading, calling `look` meanwhile;
        raises the error of the feed."""
        while not self.over and self.writer.rows < rows:
            self._came.wait(_LOOK)
            self._came.clear()
            look()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the thread, finished or not."""
        self._stopped = True
        if self._thread is not None:
            # A thread that waits for a pipe may not end; it holds nothing but the pipe.
            self._thread.join(_PATIENCE)


Feed = Callable[[Intake], None]
_Share = Callable[[float], float | None]


def empty_fault(report: Report) -> BioRetrievalError:
    """The error of a corpus without a document."""
    if not report.rejections and not report.skipped:
        return CorpusError("the corpus is empty: it holds no document")
    listed = "--report FILE lists them"
    if not report.rejections:
        first = report.skipped[0]
        said = f"{Place(first.file, first.line)}: {first.reason}"
        what = f"{report.passed_over:,} files or lines were passed over, the first {said}"
        kind = CorpusError if report.files else NotFoundError
        return kind(f"there is no corpus: {what}", remedy=listed)
    first = report.rejections[0]
    said = f"{Place(first.file, first.line, first.offset)}: {first.reason}"
    if report.rejected == 1:
        return CorpusError(f"the corpus holds no document; {said}")
    what = f"{report.rejected:,} records were rejected, the first {said}"
    return CorpusError(f"the corpus holds no document: {what}", remedy=listed)


def feed_files(inputs: Sequence[str | os.PathLike[str]], settings: ReadSettings) -> Feed:
    """Read corpus files, folders, globs or stdin (`-`). Raises at once what `resolve` does, and
    UsageError for settings that cannot be."""
    if not inputs:
        raise UsageError("no corpus file is named", remedy="index build NAME FILE...")
    if settings.format is not None:
        by_name(settings.format)
    if settings.encoding is not None:
        text_encoding(settings.encoding)
    resolved = resolve(inputs)
    paths = resolved.files
    sizes = [0 if path is None else path.stat().st_size for path in paths]

    def feed(intake: Intake) -> None:
        report, total, before = intake.report, sum(sizes), 0
        intake.strict = settings.strict
        for skipped in resolved.skipped:
            intake.take(skipped)
        intake.writer.dedupe = settings.dedupe
        intake.writer.keeps_works = settings.dedupe != "off"
        files = [(path, size) for path, size in zip(paths, sizes, strict=True) if path is not None]
        ahead = ReadAhead(files, settings)
        try:
            for path, size in zip(paths, sizes, strict=True):
                read, listed = report.read, len(report.files)
                shown = STDIN if path is None else str(path)
                steps = _shares(before, size, 0 if None in paths else total)
                whole = None if path is None else ahead.read(path, intake.step)
                with contextlib.ExitStack() as stack:
                    source = None
                    if whole is None:
                        source = stack.enter_context(SourceReader(path, encoding=settings.encoding))
                    try:
                        if whole is not None:
                            _take_whole(intake, shown, whole, steps)
                        elif source is not None:
                            _take_source(intake, source, settings, steps)
                    except CorpusError as error:
                        # A folder may hold what is no corpus; a file that is named may not be.
                        if path not in resolved.found or report.read > read:
                            raise
                        del report.files[listed:]
                        seems = error.seems if isinstance(error, UnknownFormatError) else None
                        reason = seems or error.message.removeprefix(f"{shown}: ")
                        intake.take(Skipped(Place(shown), reason))
                before += size
        finally:
            ahead.close()
        intake.share = 1.0

    return feed


def _take_source(
    intake: Intake, source: SourceReader, settings: ReadSettings, share: _Share
) -> None:
    """Take the items of a file, or of stdin, as they are read."""
    named = None if settings.format is None else by_name(settings.format)
    format_ = named if named is not None else recognise(source, settings)
    applies(format_, settings, source.name)
    with _filed(intake, source.name, format_.name) as one:
        for item in items(source, format_, settings):
            intake.take(item)
            intake.share = share(source.consumed)
    source.hash_rest()
    _note(intake, one, source.consumed, source.sha256())


def _take_whole(intake: Intake, name: str, whole: WholeFile, share: _Share) -> None:
    """Take the items of a file that was read ahead."""
    if not whole.format:
        [*whole.items()]  # raises
    with _filed(intake, name, whole.format) as one:
        for part, end in whole.items():
            for item in part:
                intake.take(item)
            intake.share = share(end * whole.bytes)
    _note(intake, one, whole.bytes, whole.sha256)


def _shares(before: int, size: int, total: int) -> _Share:
    """The share of all input, of bytes that were read of a file, `before` which others come."""
    return lambda read: min(1.0, (before + min(read, size)) / total) if total else None


@contextlib.contextmanager
def _filed(intake: Intake, name: str, format_: str) -> Iterator[FileReport]:
    """The report of a file whose items are taken."""
    report, one = intake.report, FileReport(name, format_)
    read, kept, rejected = report.read, report.kept + report.replaced, report.rejected
    intake.file = name
    report.files.append(one)
    try:
        yield one
    finally:  # also for the report of a build that failed
        one.read = report.read - read
        one.kept = report.kept + report.replaced - kept
        one.rejected = report.rejected - rejected


def _note(intake: Intake, one: FileReport, size: int, sha256: str) -> None:
    """Note a file that was read to its end, in the report and the inputs."""
    one.bytes, one.sha256 = size, sha256
    shown = one.path if one.path == STDIN else str(Path(one.path).absolute())
    intake.inputs.append(InputFacts(shown, size, sha256, one.kept, one.format))


def feed_documents(documents: Iterable[Document], origin: str) -> Feed:
    """Take documents in memory; `origin` is named as their file in messages."""

    def feed(intake: Intake) -> None:
        for number, document in enumerate(documents, start=1):
            intake.take(Record(document, Place(origin, line=number)))

    return feed


def feed_store(store: DocumentStore, dead: frozenset[int]) -> Feed:
    """Take the documents of an index that are not deleted, in their order, with all their ids."""

    def feed(intake: Intake) -> None:
        # Two documents with the same text stay two, each with its own metadata.
        intake.writer.joins_twins = False
        intake.writer.keeps_works = store.knows_works
        named = dict(store.all_aliases())
        moved = dict.fromkeys(named.values(), -1)
        for label, record in store.records():
            if label not in dead:
                if label in moved:
                    moved[label] = intake.writer.next
                intake.take(record)
                intake.share = label / max(1, store.rows)
        for name, label in named.items():
            intake.writer.name(name, moved[label])

    return feed
