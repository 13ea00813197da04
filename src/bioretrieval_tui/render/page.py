"""The page model: what one thing (an entry, a hit, an evaluation, an index) has to say.

A builder makes a `Page`; `tui/spans.py` paints it as lines of the app, `markdown` here prints it
for a pipe, `terminal_text` for a terminal. None of them adds or leaves out a fact, so all show the
same (label, value) pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

from bioretrieval_tui.render.markdown import code, escape, link, table
from bioretrieval_tui.render.sheet import Sheet
from bioretrieval_tui.terminal.clean import safe_url


class Inline(Struct, frozen=True):
    """A run of text on a page.

    text: what is shown.
    role: what it is: "text", "prose" (may hold inline Markdown, which only the app draws),
        "document" (a text that is no Markdown; only the app links its addresses), "passage" (such
        a text, marked), "gauge" (a bar that repeats a number, drawn by the app alone), "strong",
        "code", "dim", "faint", "ok", "warn", "error", a kind such as "model". The app colours by
        it; Markdown knows strong and code.
    url: address that it leads to.
    jump: id of the catalogue entry that it leads to.
    """

    text: str
    role: str = "text"
    url: str | None = None
    jump: str | None = None


Text = tuple[Inline, ...]
"""One line or paragraph. Spaces between its parts are written out."""


class Fact(Struct, frozen=True):
    """A label with its values. values: shown with `between` between them; `listed`, a line each.
    status: "confirmed", or the word that is shown behind the values ("unverified", "secondary")."""

    label: str
    values: tuple[Text, ...]
    status: str = "confirmed"
    listed: bool = False
    between: str = ", "


class Group(Struct, frozen=True):
    """Facts under a heading. holds: "links" and "jumps" get a letter a value in the app, by which
    keys open them; links carry a `url`, jumps a `jump`, each; "scores" stand on one line there.
    """

    title: str
    facts: tuple[Fact, ...]
    holds: Literal["facts", "links", "jumps", "scores"] = "facts"


class Prose(Struct, frozen=True):
    """Paragraphs under a heading ("" for none): a text, notes, sources."""

    title: str
    paragraphs: tuple[Text, ...]
    style: Literal["plain", "bullets", "numbers"] = "plain"


Section = Group | Prose | Sheet
_ALSO = {"hf.co": "huggingface.co", "dx.doi.org": "doi.org"}
"""Other names of hosts."""


class Page(Struct, frozen=True):
    """A page.

    title: the name of the thing.
    kind: role of the title: a kind of the catalogue, "own", "index"; "" for plain.
    byline: parts of the line under the title, joined by dots.
    badges: words that a reader must see first, e.g. "unverified".
    summary: one paragraph, () for none; with title and byline it is what the app shows while the
        cursor moves.
    sections: groups of facts, texts and tables, in order; empty ones are not shown.
    """

    title: str
    kind: str = ""
    byline: tuple[Text, ...] = ()
    badges: tuple[str, ...] = ()
    summary: Text = ()
    sections: tuple[Section, ...] = ()

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every (label, value) of the page as plain text, a pair for each value."""
        groups = (section for section in self.sections if isinstance(section, Group))
        for one in (fact for group in groups for fact in group.facts):
            yield from ((one.label, plain(value)) for value in one.values)


# Making ---------------------------------------------------------------------------------------


def fact(
    label: str,
    *values: str | Inline | Text,
    role: str = "text",
    status: str = "confirmed",
    listed: bool = False,
    between: str = ", ",
) -> Fact:
    """A fact from plain values; `role` is that of the values given as strings."""
    made = (value if isinstance(value, tuple) else text(value, role=role) for value in values)
    return Fact(label, tuple(made), status, listed, between)


def facts(pairs: Iterable[tuple[str, str]], *, role: str = "text") -> tuple[Fact, ...]:
    """Facts from (label, value); pairs without a value are left out."""
    return tuple(fact(label, value, role=role) for label, value in pairs if value)


def text(*parts: str | Inline, role: str = "text") -> Text:
    """A line or paragraph of parts; strings take `role`."""
    return tuple(part if isinstance(part, Inline) else Inline(part, role) for part in parts)


def paragraphs(body: str, *, role: str = "text") -> tuple[Text, ...]:
    """A text as paragraphs, one a line of it; empty lines are left out."""
    return tuple((Inline(one.strip(), role),) for one in body.splitlines() if one.strip())


def plain(value: Text) -> str:
    """The text of a value without its roles, links and gauges."""
    return "".join(part.text for part in value if part.role != "gauge").strip()


def same_address(url: str) -> str:
    """A form that the spellings of one address share: without scheme, `www.` and the slash at the
    end; hf.co is huggingface.co."""
    host, _, path = url.strip().partition("://")[2].partition("/")
    host = host.casefold().removeprefix("www.")
    return f"{_ALSO.get(host, host)}/{path.rstrip('/')}"


def is_empty(section: Section) -> bool:
    """The section has nothing to show."""
    if isinstance(section, Group):
        return not section.facts
    if isinstance(section, Prose):
        return not section.paragraphs
    return not len(section.rows)


# Markdown -------------------------------------------------------------------------------------


def markdown(page: Page) -> Iterator[str]:
    """The page as Markdown, in chunks that join to the whole and end with a newline."""
    yield f"# {escape(page.title)}\n"
    byline = [_inline(part) for part in page.byline]
    byline += map(escape, page.badges)
    if byline:
        yield f"\n{' · '.join(byline)}\n"
    if page.summary:
        yield f"\n{_inline(page.summary)}\n"
    for section in page.sections:
        if is_empty(section):
            continue
        if section.title:
            yield f"\n## {escape(section.title)}\n"
        yield "\n"
        if isinstance(section, Group):
            for item in section.facts:
                mark = "" if item.status == "confirmed" else f" ({item.status})"
                label = f"- **{escape(item.label)}**"
                values = [_inline(value) for value in item.values]
                if item.listed:
                    yield f"{label}{mark}:\n" + "".join(f"  - {value}\n" for value in values)
                else:
                    yield f"{label}: {item.between.join(values)}{mark}\n"
        elif isinstance(section, Prose):
            for number, paragraph in enumerate(section.paragraphs, 1):
                gap = "\n" if number > 1 else ""
                before = {"plain": gap, "bullets": "- ", "numbers": f"{number}. "}[section.style]
                yield f"{before}{_inline(paragraph)}\n"
        else:
            yield from table(section)


def _inline(parts: Text) -> str:
    return "".join(map(_part, parts)).strip()


def _part(part: Inline) -> str:
    """One run; spaces at its ends stay outside of its markup."""
    body = part.text.strip() if part.role != "gauge" else ""
    if not body:
        return " " if part.text else ""
    url = safe_url(part.url) if part.url else None
    if url:
        made = link(body, url)
    elif part.jump:
        made = f"{escape(body)} ({code(part.jump)})"
    elif part.role == "code":
        made = code(body)
    elif part.role == "strong":
        made = f"**{escape(body)}**"
    else:
        made = body if part.role == "reference" else escape(body)
    before = " " if part.text[0].isspace() else ""
    return before + made + (" " if part.text[-1].isspace() else "")
