"""Records of tagged lines, which MEDLINE, RIS and their relatives share: a grammar cuts the lines
of a file into records, and these into the values of tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from bioretrieval_tui.documents.bibliography import plain, without_markup
from bioretrieval_tui.documents.document import Place, RecordFault, Skipped
from bioretrieval_tui.documents.source import (
    MAX_LINE_BYTES,
    ReadSettings,
    SourceReader,
    text_lines,
    text_of_head,
)

_LINE_COST = 64
"""Cost of a line besides its characters, since a million empty lines take memory, too."""
# What programs write between records: numbers, headings of the export, rules.
_BETWEEN = re.compile(
    r"""[\W\d]*$|<?\d+\s?[.>)]|record\s\#?\d+|search\b|query\b|(?:file|results|export|print)\w*\s
    |(?:provider|content|database|source|date|citations?|references?|total|link|fn|vr|ef)\b
    |refworks\s|character\s|tag\s|font\s|(?:start|end|begin)\s|[A-Z0-9]{2,5}=""",
    re.IGNORECASE | re.VERBOSE,
)
_COUNTED = re.compile(r"\s*\d+\.\s*")
"""The number of the next record, where nothing ended the one before."""
_NO_EXPORT = re.compile(
    r"""^\s*(?:```|~~~|\.\.\ |\#+\ |\#!|\"{3}|'{3}|import\ |from\ \w+\ import\ |def\ |class\ |//|/\*
    |<[a-z]+>|\\documentclass|\\begin)|\w.*::$|=\s*[rf]?(?:\"{3}|'{3})""",
    re.MULTILINE | re.VERBOSE,
)
"""Lines of Markdown, reStructuredText, programs and LaTeX."""
_LINKS = re.compile(r"\s*(?:NL  - |link to the (?:ovid|external)\b)", re.IGNORECASE)
_NEXT_LINK = re.compile(r"(?=link to the external)", re.IGNORECASE)
"""What Ovid writes below the end of a record, and of it: its addresses hold the PMID."""
_LINK_TAG = "LK"
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Grammar:
    """How a format cuts its lines into records.

    field: tag and value of a line that begins a field, given the record that is open, else None;
    begins, ends: the tags of the first and last line of a record; blank_ends: whether a blank line
    ends one; opens: tags that begin one behind a blank line; loose: whether a line without a tag
    may be unindented (within a record it continues the field above, between records it is passed
    over); listed: tags whose continuation lines are values of their own.
    """

    name: str
    field: Callable[[str, TaggedRecord | None], tuple[str, str] | None]
    begins: str
    ends: str | None = None
    blank_ends: bool = False
    opens: frozenset[str] = frozenset()
    loose: bool = True
    listed: frozenset[str] = frozenset()

    def begins_anew(self, tag: str, current: TaggedRecord, blank: bool, first: str) -> bool:
        """Whether a field of this tag, perhaps behind a blank line, is the first of the next record
        though nothing ended `current`. first: the first tag of the records before.

        Fields may stand before the tag that begins a record; where a file did not do so before, or
        a blank line is between them, they are of a record that lacks it.
        """
        if tag == self.begins:
            apart = self.ends is not None and (blank or first == tag)
            return self.begins in current.values or current.fault is not None or apart
        if tag == current.first_tag and self.ends is not None and self.begins in current.values:
            return blank or tag not in self.listed
        return self.ends is not None and blank and tag in (current.first_tag, *self.opens)


@dataclass(slots=True)
class TaggedRecord:
    """A record: the number of its first line, and the lines of each value of each tag, which are
    joined on access. opening: its first line; size: characters, and a cost for each line."""

    line: int
    opening: str = ""
    values: dict[str, list[list[str]]] = field(default_factory=dict)
    order: list[tuple[str, list[str]]] = field(default_factory=list)
    size: int = 0
    fault: RecordFault | None = None

    @property
    def first_tag(self) -> str:
        return self.order[0][0] if self.order else ""

    def add(self, tag: str, value: str) -> None:
        lines = [value]
        self.values.setdefault(tag, []).append(lines)
        self.order.append((tag, lines))

    def refuse(self, fault: RecordFault) -> None:
        """Discard the record from here on; the first fault is reported."""
        self.fault = self.fault or fault
        self.values, self.order = {}, []

    def all(self, *tags: str) -> list[str]:
        """All non-empty values of these tags, tag by tag, each on one line."""
        lines = (lines for tag in tags for lines in self.values.get(tag, ()))
        return list(filter(None, (plain(" ".join(some)) for some in lines)))

    def lined(self, *tags: str) -> list[str]:
        """As `all`, with the line ends of each value."""
        lines = (lines for tag in tags for lines in self.values.get(tag, ()))
        return list(filter(None, ("\n".join(map(plain, some)).strip() for some in lines)))

    def first(self, *tags: str) -> str:
        """The first value of the first of these tags that has one, else ""."""
        return next(iter(self.all(*tags)), "")

    def texts(self, *tags: str) -> list[str]:
        """As `all`, without markup."""
        return list(filter(None, map(without_markup, self.all(*tags))))

    def renamed(self, names: Mapping[str, str]) -> TaggedRecord:
        """The record with other tags, without those that have no other."""
        other = TaggedRecord(self.line, self.opening)
        for tag, lines in self.order:
            if name := names.get(tag):
                other.values.setdefault(name, []).append(lines)
                other.order.append((name, lines))
        return other

    def in_order(self, *tags: str) -> list[tuple[str, str]]:
        """Tags and values of these tags, as they stand in the record."""
        found = [(tag, plain(" ".join(lines))) for tag, lines in self.order if tag in tags]
        return [(tag, value) for tag, value in found if value]


def by_pattern(pattern: str) -> Callable[[str, TaggedRecord | None], tuple[str, str] | None]:
    """The fields of lines that begin with this pattern, whose first group is the tag."""
    compiled = re.compile(pattern)

    def field_of(text: str, _: TaggedRecord | None) -> tuple[str, str] | None:
        match = compiled.match(text)
        return (match[match.lastindex or 0], text[match.end() :]) if match else None

    return field_of


def tagged_records(
    source: SourceReader, _: ReadSettings, grammar: Grammar
) -> Iterator[tuple[Place, TaggedRecord | RecordFault | Skipped]]:
    """Yield the records of a file, placed at their first lines, and text between them that is not
    known to be a heading."""
    current: TaggedRecord | None = None
    ended: TaggedRecord | None = None
    first = ""
    blank = skipping = False
    for line in text_lines(source):
        text = line.text.strip("\r\n")  # "\n\r" parts lines, too
        if not text.strip() and line.fault is None:
            blank = True
            if grammar.blank_ends and current is not None:
                yield _closed(source, current)
                current = None
            continue
        if blank and grammar.loose and _COUNTED.fullmatch(text):
            continue
        found = grammar.field(text, current)
        tag, value = found or (None, "")
        ends = tag is not None and tag == grammar.ends
        if current and tag and not ends and grammar.begins_anew(tag, current, blank, first):
            yield _closed(source, current)
            current = None
        blank = False
        if current is None:
            if ended is not None and not ends:
                if line.fault is None and "\0" not in text and _LINKS.match(text):
                    ended.add(_LINK_TAG, _NEXT_LINK.sub(" ", text))
                    continue
                yield _closed(source, ended)
                ended = None
            if ends or (tag is None and grammar.loose and line.fault is None):
                if not ends and not skipping and not _BETWEEN.match(text.strip()):
                    skipping = True
                    yield _passed_over(Place(source.name, line=line.number), text)
                continue
            current = TaggedRecord(line.number, text)
            skipping = False
        current.size += len(text) + _LINE_COST
        if line.fault is not None:
            current.refuse(line.fault)
        elif "\0" in text:
            current.refuse(RecordFault("the record holds a NUL character"))
        if current.size > MAX_LINE_BYTES:
            most = f"{MAX_LINE_BYTES:,}"
            current.refuse(RecordFault(f"the record is longer than {most} characters"))
        if ends:
            first = current.first_tag or first
            current, ended = None, current
        elif current.fault is not None:
            continue
        elif tag is not None:
            current.add(tag, value)
        elif not current.order or not (grammar.loose or text[:1].isspace()):
            current.refuse(RecordFault(f"line {line.number} is not a field of {grammar.name}"))
        elif current.order[-1][0] in grammar.listed:
            current.add(current.order[-1][0], text)
        else:
            current.order[-1][1].append(text)
    for record in (ended, current):
        if record is not None:
            yield _closed(source, record)


def _closed(source: SourceReader, record: TaggedRecord) -> tuple[Place, TaggedRecord | RecordFault]:
    return Place(source.name, line=record.line), record.fault or record


def _passed_over(place: Place, text: str) -> tuple[Place, Skipped]:
    shown = plain(text[:_SHOWN].replace("\0", " "))
    return place, Skipped(place, f"text between records: {shown}")


def shows_lines(pattern: re.Pattern[str], head: bytes, most_above: int = 200) -> bool:
    """Whether the first bytes of a file have a line of this pattern, and above it at most so many
    lines of what an export may begin with: a record within a README or a program is an example."""
    text = text_of_head(head).replace("\r\n", "\n").replace("\r", "\n")
    match = pattern.search(text)
    if match is None:
        return False
    above = text[: match.start()]
    return above.count("\n") <= most_above and _NO_EXPORT.search(above) is None
