"""The input of a build: files of any format, documents in memory, or an index itself.

A feed puts all records into a store and counts them. It runs in a thread of its own, while the
encoder runs; it calls `step` for each record, which raises when the build was stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from bioretrieval_tui.documents.detect import by_name, items, recognise, resolve
from bioretrieval_tui.documents.document import Deleted, Document, Item, Place, Record, Rejected
from bioretrieval_tui.documents.source import ReadSettings, SourceReader
from bioretrieval_tui.documents.store import DocumentStore, StoreOutcome, StoreWriter
from bioretrieval_tui.errors import CorpusError, UsageError
from bioretrieval_tui.index.manifest import InputFacts
from bioretrieval_tui.index.report import FileReport, Report


@dataclass(slots=True)
class Intake:
    """State of reading; written by the feed's thread, read by the build's.

    share: of the input's bytes, from 0 to 1, or None if that is not known; accept: a check of every
    record, which may reject it; strict: whether the first rejected record ends the build.
    """

    writer: StoreWriter
    report: Report = field(default_factory=Report)
    share: float | None = None
    file: str | None = None
    inputs: list[InputFacts] = field(default_factory=list)
    step: Callable[[], None] = lambda: None
    accept: Callable[[Record], Item] = lambda record: record
    strict: bool = False

    def take(self, item: Item) -> bool:
        """Put one item into the store and return whether it is a new or changed document.

        Raises whatever `step` raises, sqlite3.Error, and CorpusError for a rejected record if
        `strict` is set.
        """
        self.step()
        if isinstance(item, Record):
            item = self.accept(item)
        if isinstance(item, Record):
            try:
                outcome = self.writer.add(item)
            except ValueError as error:
                item = Rejected(item.place, str(error))
            else:
                report, new = self.report, outcome in (StoreOutcome.NEW, StoreOutcome.REPLACED)
                report.read += 1
                report.duplicates += not new
                report.kept += outcome is StoreOutcome.NEW
                report.replaced += outcome is StoreOutcome.REPLACED
                report.without_abstract += new and not item.document.text.strip()
                return new
        if isinstance(item, Deleted):
            self.report.deleted += self.writer.delete(item.id)
        else:
            self.report.reject(item)
            if self.strict:
                raise CorpusError(
                    f"{item.place}: {item.reason}",
                    remedy=item.remedy or "omit --strict to skip such records",
                )
        return False


Feed = Callable[[Intake], None]


def empty_fault(report: Report) -> CorpusError:
    """The error of a corpus without a document."""
    if not report.rejections:
        return CorpusError("the corpus is empty: it holds no document")
    first = report.rejections[0]
    place = Place(first.file, first.line, first.offset)
    if report.rejected == 1:
        return CorpusError(f"the corpus holds no document; {place}: {first.reason}")
    return CorpusError(
        f"the corpus holds no document: {report.rejected:,} records were rejected, the first"
        f" {place}: {first.reason}",
        remedy="--report FILE lists them",
    )


def feed_files(inputs: Sequence[str | os.PathLike[str]], settings: ReadSettings) -> Feed:
    """Read corpus files, folders of them, globs or stdin (`-`).

    Raises (at once): NotFoundError, CorpusError, UsageError, as `resolve` does.
    """
    if not inputs:
        raise UsageError("no corpus file is named", remedy="index build NAME FILE...")
    named = None if settings.format is None else by_name(settings.format)
    paths = resolve(inputs)
    sizes = [0 if path is None else path.stat().st_size for path in paths]

    def feed(intake: Intake) -> None:
        report, total, before = intake.report, sum(sizes), 0
        intake.strict = settings.strict
        for path, size in zip(paths, sizes, strict=True):
            with SourceReader(path) as source:
                format_ = named if named is not None else recognise(source)
                intake.file = source.name
                one = FileReport(source.name, format_.name)
                report.files.append(one)
                read, kept, rejected = report.read, report.kept + report.replaced, report.rejected
                try:
                    for item in items(source, format_, settings):
                        intake.take(item)
                        if total and None not in paths:
                            intake.share = min(1.0, (before + source.consumed) / total)
                finally:  # also for the report of a build that failed
                    one.read = report.read - read
                    one.kept = report.kept + report.replaced - kept
                    one.rejected = report.rejected - rejected
                source.hash_rest()
                one.bytes, one.sha256 = source.consumed, source.sha256()
                shown = source.name if path is None else str(path.absolute())
                facts = InputFacts(shown, one.bytes, one.sha256, one.kept, format_.name)
                intake.inputs.append(facts)
            before += size
        intake.share = 1.0

    return feed


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
        moved: dict[int, int] = {}
        named = dict(store.all_aliases())
        wanted = set(named.values())
        for label, record in store.records():
            if label in dead:
                continue
            if label in wanted:
                moved[label] = intake.writer.next
            intake.take(record)
            intake.share = label / max(1, store.rows)
        for name, label in named.items():
            intake.writer.name(name, moved[label])

    return feed
