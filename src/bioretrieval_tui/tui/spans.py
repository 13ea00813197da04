"""A page as lines of spans: the app's painter of `render.page.Page`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product
from string import ascii_lowercase

import msgspec
from msgspec.structs import replace

from bioretrieval_tui.actions import key_of
from bioretrieval_tui.render.page import Fact, Group, Page, Prose, Section, Text, is_empty, plain
from bioretrieval_tui.render.sheet import Sheet, face, readable
from bioretrieval_tui.tui.text import Line, Span, line

LABEL = 13
"""Cells of the label column of facts."""
_LONG = 20
"""Cells of a label that does not widen the column: its value follows it."""
_LEAD = 10
"""Lines that are shown while the cursor moves of a page whose summary stands further down."""
_OPENS = {"links": "links", "jumps": "relations"}
"""By what a group holds: the action whose key precedes its letters."""
_ROLES = {"prose": "text", "document": "text", "code": "strong", "reference": "faint"}


class PaintedPage(msgspec.Struct, frozen=True):
    """Lines, and the targets of their letters.

    lines: paragraphs before wrapping.
    links: (label, address) by letter.
    jumps: ids of entries by letter.
    lead: how many lines (name, byline, summary) are shown while the cursor moves.
    links_at, jumps_at: the first line of each.
    sections: title and first line of what stands under a heading.
    """

    lines: tuple[Line, ...]
    links: tuple[tuple[str, str], ...] = ()
    jumps: tuple[str, ...] = ()
    lead: int = 4
    links_at: int = 0
    jumps_at: int = 0
    sections: tuple[tuple[str, int], ...] = ()

    def with_lines(self, at: int, more: Sequence[Line]) -> PaintedPage:
        """The page with more lines before its line `at`, which is above the letters."""
        return replace(
            self,
            lines=(*self.lines[:at], *more, *self.lines[at:]),
            sections=tuple(
                (title, line + len(more) * (line >= at)) for title, line in self.sections
            ),
            links_at=self.links_at + len(more),
            jumps_at=self.jumps_at + len(more),
        )


def paint(page: Page) -> PaintedPage:
    """The page as lines; links and jumps get letters."""
    lines = [line(Span(page.title, f"{page.kind}.strong" if page.kind else "strong"))]
    byline = [Span("  ".join(map(plain, page.byline)), "dim")] if page.byline else []
    byline += [Span(f"  {badge}" if byline else badge, "warn") for badge in page.badges]
    if byline:
        lines.append(line(*byline))
    if page.summary:
        lines += [line(), line(*spans(page.summary))]
    lead = len(lines)
    links: list[tuple[str, str]] = []
    jumps: list[str] = []
    places = {"links": 0, "jumps": 0}
    titles: list[tuple[str, int]] = []
    sections = [section for section in page.sections if not is_empty(section)]
    for number, section in enumerate(sections):
        lines.append(line())
        # Facts right below the summary need no heading.
        if section.title and not (number == 0 and page.summary and isinstance(section, Group)):
            titles.append((section.title, len(lines)))
            lines.append(line(Span(section.title, "header"), Span(_key_of(section), "faint")))
        if isinstance(section, Prose):
            lines += _prose(section)
        elif isinstance(section, Sheet):
            lines += _sheet(section)
        elif section.holds == "scores":
            parts = [Span("", "dim")]
            for item in section.facts:
                parts += [Span(f"{item.label} ", "faint"), *spans(item.values[0]), Span("   ")]
            lines.append(line(*parts[1:-1]))
        elif section.holds == "facts":
            short = [len(item.label) + 1 for item in section.facts if len(item.label) < _LONG]
            cells = max(LABEL, *short, 0)
            for item in section.facts:
                lines += fact_lines(item, cells)
        else:
            places[section.holds] = len(lines)
            lines += _targets(section, links, jumps)
    return PaintedPage(
        tuple(lines), tuple(links), tuple(jumps), lead if page.summary else min(_LEAD, len(lines)),
        places["links"], places["jumps"], tuple(titles),
    )  # fmt: skip


def letters(count: int) -> list[str]:
    """What is typed for each of so many links: a letter, two where there are more than 26."""
    long = 1 if count <= len(ascii_lowercase) else 2
    return ["".join(typed) for typed in product(ascii_lowercase, repeat=long)][:count]


def _key_of(section: Section) -> str:
    """The key that precedes the letters of a group."""
    key = key_of(_OPENS.get(section.holds, "")) if isinstance(section, Group) else ""
    return f"  {key}, then a letter" if key else ""


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
            yield Span(part.text, _ROLES.get(part.role, part.role), jump=part.jump or "")


def _targets(group: Group, links: list[tuple[str, str]], jumps: list[str]) -> Iterator[Line]:
    """The lines of a group of links or jumps, with the letters that lead there."""
    of_links = group.holds == "links"
    targets = [
        next(filter(None, (part.url if of_links else part.jump for part in value)), "")
        for item in group.facts
        for value in item.values
    ]
    marks = iter(letters(sum(map(bool, targets))))
    values = ((item, value) for item in group.facts for value in item.values)
    for (item, value), target in zip(values, targets, strict=True):
        label = f"{next(marks, ' ') if target else ' '} {item.label}"
        if target and of_links:
            links.append((item.label, target))
        elif target:
            jumps.append(target)
        lead = (Span(f"{label}  ", "dim"),) if of_links else _label(label)
        hang = 4 if of_links else LABEL
        yield line(*lead, *spans(value), status_mark(item.status), hang=hang)


def fact_lines(item: Fact, cells: int = LABEL) -> Iterator[Line]:
    """A label in its column of `cells` and values that wrap beside it; listed ones a line each."""
    mark = status_mark(item.status)
    if not item.listed:
        joined: list[Span] = []
        for value in item.values:
            joined += [*((Span(item.between),) if joined else ()), *spans(value)]
        yield line(*_label(item.label, cells), *joined, mark, hang=cells)
        return
    for number, value in enumerate(item.values):
        label = _label(item.label, cells) if number == 0 else (Span(" " * cells),)
        yield line(*label, *spans(value), *((mark,) if number == 0 else ()), hang=cells)


def _label(text: str, cells: int = LABEL) -> tuple[Span, Span]:
    return Span(text, "dim"), Span(" " * max(1, cells - len(text)))


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
            text = f"[{text}]" if column.key == "source" else text
            gap = "  " if parts else ""
            parts.append(Span(gap + text, column.role, seen.url))
            if seen.unverified:
                parts.append(status_mark("unverified"))
        yield line(*parts, hang=8)


# Links, bare addresses, code and emphasis in summaries and notes. An address becomes a span with a
# `url`, which is an OSC 8 link on the terminal; all else stays as written.
_INLINE = re.compile(
    r"\[(?P<label>[^\]\n]{1,300})\]\((?P<target>https?://[^\s()<>]{1,2000}(?:\([^\s()<>]*\))?)\)"
    r"|<(?P<auto>https?://[^\s<>]{1,2000})>"
    r"|(?P<bare>https?://[^\s<>\"'`\]]{1,2000})"
    r"|`(?P<code>[^`\n]{1,500})`"
    r"|\*\*(?P<strong>[^*\s](?:[^*\n]{0,500}[^*\s])?)\*\*"
)
_BARE = re.compile(r"(?P<bare>https?://[^\s<>\"'`\[\]{}]{1,2000})")


def addresses(text: str, role: str = "text") -> Iterator[Span]:
    """The spans of plain text: addresses become links."""
    return inline(text, role, _BARE)


def inline(text: str, role: str = "text", pattern: re.Pattern[str] = _INLINE) -> Iterator[Span]:
    """The spans of a paragraph; `pattern` is what becomes links and emphasis."""
    at = 0
    for match in pattern.finditer(text):
        if match.start() > at:
            yield Span(text[at : match.start()], role)
        at = match.end()
        found = match.groupdict()
        if bare := found["bare"]:
            # Without the punctuation of the sentence behind it.
            address = bare.rstrip(".,;:!?)")
            if address.count("(") > address.count(")") and bare[len(address) :][:1] == ")":
                address += ")"
            yield Span(address, "link", address)
            if rest := bare[len(address) :]:
                yield Span(rest, role)
        elif address := found["target"] or found["auto"]:
            yield Span(found["label"] or address, "link", address)
        else:
            yield Span(found["code"] or found["strong"], "strong")
    if at < len(text):
        yield Span(text[at:], role)
