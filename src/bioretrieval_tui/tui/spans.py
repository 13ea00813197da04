"""A page as lines of spans: the app's painter of `render.page.Page`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from string import ascii_lowercase

from bioretrieval_tui.render.page import Fact, Group, Page, Prose, Text, is_empty, plain
from bioretrieval_tui.render.sheet import Sheet, face, readable
from bioretrieval_tui.tui.text import Line, Span, line

LABEL = 13
"""Cells of the label column of facts."""
_ROLES = {"prose": "text", "document": "text", "code": "strong", "reference": "faint"}


@dataclass(frozen=True, slots=True)
class PaintedPage:
    """Lines, and the targets of their letters.

    lines: paragraphs before wrapping.
    links: (label, address) by letter.
    jumps: ids of entries by letter.
    lead: how many lines (name, byline, summary) are shown while the cursor moves.
    links_at, jumps_at: the first line of each.
    """

    lines: tuple[Line, ...]
    links: tuple[tuple[str, str], ...] = ()
    jumps: tuple[str, ...] = ()
    lead: int = 4
    links_at: int = 0
    jumps_at: int = 0


@dataclass(slots=True)
class _Painting:
    lines: list[Line] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    jumps: list[str] = field(default_factory=list)
    links_at: int = 0
    jumps_at: int = 0


def paint(page: Page) -> PaintedPage:
    """The page as lines; the first 26 links and jumps get letters."""
    made = _Painting()
    made.lines.append(line(Span(page.title, f"{page.kind}.strong" if page.kind else "strong")))
    byline = [Span("  ".join(map(plain, page.byline)), "dim")] if page.byline else []
    byline += [Span(f"  {badge}" if byline else badge, "warn") for badge in page.badges]
    if byline:
        made.lines.append(line(*byline))
    if page.summary:
        made.lines += [line(), line(*spans(page.summary))]
    lead = len(made.lines)
    sections = [section for section in page.sections if not is_empty(section)]
    for number, section in enumerate(sections):
        made.lines.append(line())
        # Facts right below the summary need no heading.
        if section.title and not (number == 0 and isinstance(section, Group)):
            made.lines.append(line(Span(section.title, "header")))
        if isinstance(section, Group):
            _group(made, section)
        elif isinstance(section, Prose):
            made.lines += _prose(section)
        else:
            made.lines += _sheet(section)
    return PaintedPage(
        tuple(made.lines), tuple(made.links), tuple(made.jumps), lead, made.links_at, made.jumps_at
    )


def spans(parts: Text) -> Iterator[Span]:
    """The spans of a line or paragraph of a page."""
    for part in parts:
        if part.role == "prose" and not part.url:
            yield from inline(part.text)
        elif part.url:
            yield Span(part.text, "link", part.url)
        elif part.role in ("document", "passage"):
            yield from addresses(part.text, _ROLES.get(part.role, part.role))
        else:
            yield Span(part.text, _ROLES.get(part.role, part.role))


def _group(made: _Painting, group: Group) -> None:
    if group.holds == "facts":
        for item in group.facts:
            made.lines += fact_lines(item)
        return
    links = group.holds == "links"
    if links:
        made.links_at = len(made.lines)
    else:
        made.jumps_at = len(made.lines)
    for item in group.facts:
        for value in item.values:
            letter = ascii_lowercase[len(made.links if links else made.jumps) :][:1]
            label = f"{letter or ' '} {item.label}"
            target = next(
                (found for part in value if (found := part.url if links else part.jump)), ""
            )
            if letter and target and links:
                made.links.append((item.label, target))
            elif letter and target:
                made.jumps.append(target)
            lead = (Span(f"{label}  ", "dim"),) if links else _label(label)
            made.lines.append(line(*lead, *spans(value), hang=4 if links else LABEL))


def fact_lines(item: Fact) -> Iterator[Line]:
    """A label in its column and values that wrap beside it; listed ones a line each."""
    mark = status_mark(item.status)
    if not item.listed:
        joined: list[Span] = []
        for value in item.values:
            joined += [*((Span(", "),) if joined else ()), *spans(value)]
        yield line(*_label(item.label), *joined, mark, hang=LABEL)
        return
    for number, value in enumerate(item.values):
        label = _label(item.label) if number == 0 else (Span(" " * LABEL),)
        yield line(*label, *spans(value), *((mark,) if number == 0 else ()), hang=LABEL)


def _label(text: str) -> tuple[Span, Span]:
    """A label, padded to its column."""
    return Span(text, "dim"), Span(" " * max(1, LABEL - len(text)))


def status_mark(status: str) -> Span:
    """The mark behind a value: none if confirmed, else the word."""
    if status == "confirmed":
        return Span("")
    return Span(f"  {status}", "faint" if status == "secondary" else "warn")


def _prose(section: Prose) -> Iterator[Line]:
    for number, paragraph in enumerate(section.paragraphs, 1):
        if section.style == "numbers":
            sign = f"{number}."
            yield line(Span(f"{sign:<4}", "faint"), *spans(paragraph), hang=4)
        elif section.style == "bullets":
            yield line(Span("- ", "faint"), *spans(paragraph), hang=2)
        else:
            yield line(*spans(paragraph))


def _sheet(sheet: Sheet) -> Iterator[Line]:
    """One line for each row; right-aligned columns are padded, the others follow after a gap."""
    places = readable(sheet)
    rows = [[face(row[place]) for place in places] for row in sheet.rows]
    columns = [sheet.columns[place] for place in places]
    widest = [
        max(len(row[number].text) for row in rows) if column.align == "right" else 0
        for number, column in enumerate(columns)
    ]
    for row in rows:
        parts: list[Span] = []
        for seen, column, width in zip(row, columns, widest, strict=True):
            text = f"{seen.text:>{width}}" if width else seen.text
            if not text:
                continue
            gap = "  " if parts else ""
            parts.append(Span(gap + text, column.role, seen.url))
            if seen.unverified:
                parts.append(status_mark("unverified"))
        yield line(*parts, hang=8)


# Inline Markdown -----------------------------------------------------------------------------
#
# Links, bare addresses, code and emphasis in summaries and notes. An address becomes a span with a
# `url`, which is an OSC 8 link on the terminal; all else stays as written.

_INLINE = re.compile(
    r"\[(?P<label>[^\]\n]{1,300})\]\((?P<target>https?://[^\s()<>]{1,2000}(?:\([^\s()<>]*\))?)\)"
    r"|<(?P<auto>https?://[^\s<>]{1,2000})>"
    r"|(?P<bare>https?://[^\s<>\"'`\]]{1,2000})"
    r"|`(?P<code>[^`\n]{1,500})`"
    r"|\*\*(?P<strong>[^*\s](?:[^*\n]{0,500}[^*\s])?)\*\*"
)
_BARE = re.compile(r"https?://[^\s<>\"'`\[\]{}]{1,2000}")
_TRAILING = ".,;:!?)"


def inline(text: str, role: str = "text") -> Iterator[Span]:
    """The spans of one paragraph."""
    at = 0
    for match in _INLINE.finditer(text):
        if match.start() > at:
            yield Span(text[at : match.start()], role)
        at = match.end()
        if match["bare"]:
            yield from _address(match["bare"], role)
        elif address := match["target"] or match["auto"]:
            yield Span(match["label"] or address, "link", address)
        else:
            yield Span(match["code"] or match["strong"], "strong")
    if at < len(text):
        yield Span(text[at:], role)


def addresses(text: str, role: str = "text") -> Iterator[Span]:
    """The spans of plain text: addresses become links."""
    at = 0
    for match in _BARE.finditer(text):
        if match.start() > at:
            yield Span(text[at : match.start()], role)
        at = match.end()
        yield from _address(match.group(), role)
    if at < len(text):
        yield Span(text[at:], role)


def _address(found: str, role: str) -> Iterator[Span]:
    """A bare address, without the punctuation of the sentence behind it."""
    address = found.rstrip(_TRAILING)
    if address.count("(") > address.count(")") and found[len(address) :][:1] == ")":
        address += ")"
    yield Span(address, "link", address)
    if found[len(address) :]:
        yield Span(found[len(address) :], role)
