"""Reports of builds and verifications: plain values, quick to import."""

from __future__ import annotations

import msgspec

from bioretrieval_tui.documents.document import Place, Record, Rejected, Skipped
from bioretrieval_tui.util.formatting import plural

MOST_LISTED = 10_000
"""Rejected records that are listed; all are counted."""
_NAMED = 3
"""Places that the line of what was passed over names."""


class RejectedRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rejected record: the file as named, a line from 1 or a byte offset from 0 if the format has
    one, and why."""

    file: str
    reason: str
    line: int | None = None
    offset: int | None = None


class Pair(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record that describes the same work as a document with another id: both ids, why they are
    the same, and the record's place as in RejectedRecord."""

    id: str
    same_as: str
    why: str
    file: str
    line: int | None = None
    offset: int | None = None


class FileReport(msgspec.Struct):
    """One input: how it was read, and its records."""

    path: str
    format: str
    bytes: int = 0
    sha256: str = ""
    read: int = 0
    kept: int = 0
    rejected: int = 0


class Report(msgspec.Struct):
    """Counts of records. read = kept + duplicates + merged + replaced + rejected.

    kept: new documents; duplicates: records that the index has already, by id or by text under
    another id; merged: records that were merged with the document of the same work; likely: of
    those kept, records of the work of another id; replaced: records that replaced an older one of
    their id; deleted: ids that the files deleted; without_abstract: those kept or replaced that
    have only a title; documents: of the index at the end; longer: those of them with more tokens
    than the model reads, None if that is not known, and max_tokens: how many it reads, None for
    all; without_document: imported vectors without a document; encoded: by the model, as the others
    had vectors already; pairs: those merged or likely; passed_over: files and lines that are no
    records, which `skipped` lists.
    """

    read: int = 0
    kept: int = 0
    duplicates: int = 0
    merged: int = 0
    likely: int = 0
    replaced: int = 0
    deleted: int = 0
    without_abstract: int = 0
    rejected: int = 0
    documents: int = 0
    longer: int | None = None
    max_tokens: int | None = None
    passages: int | None = None
    without_document: int = 0
    encoded: int = 0
    passed_over: int = 0
    files: list[FileReport] = msgspec.field(default_factory=list)
    rejections: list[RejectedRecord] = msgspec.field(default_factory=list)
    skipped: list[RejectedRecord] = msgspec.field(default_factory=list)

    pairs: list[Pair] = msgspec.field(default_factory=list)

    def pair(self, record: Record, same_as: str, why: str, *, merged: bool) -> None:
        """Count a record of the work of another id, and list it."""
        self.merged += merged
        self.likely += not merged
        if len(self.pairs) < MOST_LISTED:
            at = record.place
            one = Pair(record.document.id, same_as, why, at.file, at.line, at.offset)
            self.pairs.append(one)

    def skip(self, skipped: Skipped) -> None:
        """Count what was passed over and is no record, and list it."""
        self.passed_over += 1
        if len(self.skipped) < MOST_LISTED:
            at = skipped.place
            self.skipped.append(RejectedRecord(at.file, skipped.reason, at.line, at.offset))

    def reject(self, rejected: Rejected) -> None:
        """Count a rejected record, and list it if there are fewer than `MOST_LISTED`."""
        self.rejected += 1
        self.read += 1
        if len(self.rejections) < MOST_LISTED:
            at, reason = rejected.place, rejected.reason
            self.rejections.append(RejectedRecord(at.file, reason, at.line, at.offset))

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def passed_over_line(self) -> str:
        """What was passed over, as one line with the first names; empty if nothing was."""
        if not self.passed_over:
            return ""
        shown = [str(Place(one.file, one.line)) for one in self.skipped[:_NAMED]]
        more = ", ..." if self.passed_over > _NAMED else ""
        count = f"{self.passed_over:,} files or lines that are no records"
        if self.passed_over == 1:
            count = "a file or line that is no record"
        return f"passed over {count}: {', '.join(shown)}{more}; --report FILE gives the reasons"

    def line(self) -> str:
        """The counts that are not zero, as one line."""
        more = "duplicates merged likely replaced deleted without_abstract rejected passed_over"
        shown = ["read", "kept", *(name for name in more.split() if getattr(self, name))]
        words = {"likely": "likely duplicates"}
        return ", ".join(
            f"{getattr(self, name):,} {words.get(name, name.replace('_', ' '))}" for name in shown
        )


def longer_line(
    longer: int | None, max_tokens: int | None, passages: int | None = None
) -> str | None:
    """What to say of documents with more tokens than the model reads; None if there are none, or
    it is not known. passages: vectors of an index that was built with --passages."""
    if not longer:
        return None
    what = f"{max_tokens:,} tokens" if max_tokens else "million characters"
    are = "is" if longer == 1 else "are"
    said = f"{plural(longer, 'document')} {are} longer than the {what} that the model reads"
    if passages is not None:
        return f"{said} at once, and split into passages ({passages:,} vectors in all)"
    remedy = "index build --passages, over all files again, splits such texts"
    return f"{said}; only BM25 reads the rest; {remedy}"


class Check(msgspec.Struct, frozen=True):
    """One check: what was checked, whether it is right, what was found, and the remedy."""

    what: str
    ok: bool
    found: str
    remedy: str | None = None


class Verification(msgspec.Struct, frozen=True):
    """All checks of one index, in order."""

    name: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)
