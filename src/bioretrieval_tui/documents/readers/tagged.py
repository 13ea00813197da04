"""Records of tagged lines, as MEDLINE, RIS and Web of Science write them: where each begins and
ends, which lines are continued. What the tags mean is for the reader of each format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bioretrieval_tui.documents.bibliography import plain
from bioretrieval_tui.documents.document import Document, Item, Place, Record, RecordFault, Rejected
from bioretrieval_tui.documents.source import MAX_LINE_BYTES, SourceReader, text_lines

MAX_RECORD_CHARACTERS = MAX_LINE_BYTES
"""Largest record that is held; a PubMed record with its thousand authors is under 1 MB."""

_LINE_COST = 64
"""What a line costs beside its characters: a million empty ones are no small record."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """How one format cuts its lines into records.

    tag: the tag and the value of a line, or None where it has no tag; begins: the tag that
    begins a record; ends: the tag that ends one, if any; blank_ends: whether a blank line does;
    loose: whether a line without a tag may stand at the margin (within a record it continues
    the field above, between records it is passed over), else it must be indented; listed: tags
    each of whose lines is a value of its own.
    """

    name: str
    tag: Callable[[str], tuple[str, str] | None]
    begins: str
    ends: str | None
    blank_ends: bool
    loose: bool
    listed: frozenset[str] = frozenset()


class Fields:
    """The fields of one record, each put together from its lines only when it is asked for:
    most records have three times as many as anyone reads."""

    def __init__(self, values: dict[str, list[list[str]]]) -> None:
        self._values = values

    def all(self, *tags: str) -> list[str]:
        """All values of these tags that are not empty, tag by tag, each on one line."""
        found = []
        for tag in tags:
            for lines in self._values.get(tag, ()):
                value = plain(lines[0] if len(lines) == 1 else " ".join(lines))
                if value:
                    found.append(value)
        return found

    def first(self, *tags: str) -> str:
        """The first value of the first of these tags that has one, else ""."""
        for tag in tags:
            values = self.all(tag)
            if values:
                return values[0]
        return ""


@dataclass(slots=True)
class _Open:
    """A record that is being read. `size` counts characters, and something for each line."""

    line: int
    values: dict[str, list[list[str]]] = field(default_factory=dict)
    tag: str = ""
    last: list[str] | None = None
    size: int = 0
    fault: RecordFault | None = None

    def add(self, tag: str, value: str) -> None:
        self.tag, self.last = tag, [value]
        self.values.setdefault(tag, []).append(self.last)

    def refuse(self, fault: RecordFault) -> None:
        """Nothing of the record is held from here on; the first fault is the one that is told."""
        self.fault = self.fault or fault
        self.values, self.last = {}, None


def tagged_items(
    source: SourceReader, grammar: Grammar, document: Callable[[Fields], Document]
) -> Iterator[Item]:
    """One item a record, placed at its first line; `document` may raise RecordFault.

    Fields that stand outside of any record are one `Rejected` a run, so nothing is lost unsaid.
    """
    current: _Open | None = None
    for line in text_lines(source):
        text = line.text.rstrip("\r\n")
        if not text.strip() and line.fault is None:
            if grammar.blank_ends and current is not None:
                yield _item(current, source.name, grammar, document)
                current = None
            continue
        pair = grammar.tag(text)
        if pair is not None and pair[0] == grammar.begins and _is_begun(current, grammar):
            if current is not None:
                yield _item(current, source.name, grammar, document)
            current = _Open(line.number)
        if current is None:
            if pair is None and grammar.loose and line.fault is None:
                continue
            if pair is not None and pair[0] == grammar.ends:
                continue
            current = _Open(line.number)
        if line.fault is not None:
            current.refuse(line.fault)
        elif "\0" in text:
            current.refuse(RecordFault("the record holds a NUL character"))
        current.size += len(text) + _LINE_COST
        if current.size > MAX_RECORD_CHARACTERS:
            most = f"{MAX_RECORD_CHARACTERS:,}"
            current.refuse(RecordFault(f"the record is longer than {most} characters"))
        if pair is not None and pair[0] == grammar.ends:
            yield _item(current, source.name, grammar, document)
            current = None
        elif current.fault is not None:
            continue
        elif pair is not None:
            current.add(*pair)
        elif current.last is not None and (grammar.loose or text[:1].isspace()):
            if current.tag in grammar.listed:
                current.add(current.tag, text)
            else:
                current.last.append(text)
        else:
            current.refuse(RecordFault(f"line {line.number} is no field of {grammar.name}"))
    if current is not None:
        yield _item(current, source.name, grammar, document)


def _is_begun(current: _Open | None, grammar: Grammar) -> bool:
    """Whether the tag that begins records begins another one here. MEDLINE records may have
    fields before it (its order is not promised), and then the blank line has parted them."""
    if current is None or not grammar.blank_ends or current.fault is not None:
        return True
    return grammar.begins in current.values


def _item(
    record: _Open, name: str, grammar: Grammar, document: Callable[[Fields], Document]
) -> Item:
    place = Place(name, line=record.line)
    try:
        if record.fault is not None:
            raise record.fault
        if not grammar.blank_ends and grammar.begins not in record.values:
            raise RecordFault(f"fields stand outside of a record, with no {grammar.begins} above")
        return Record(document(Fields(record.values)), place)
    except RecordFault as fault:
        return Rejected(place, fault.reason, fault.remedy)
