"""Documents of an index as works to cite, from what their records say of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.render import latex
from bioretrieval_tui.render.citation import Citation, ascii_word, telling_word
from bioretrieval_tui.render.text import one_line
from bioretrieval_tui.terminal.clean import safe_url

if TYPE_CHECKING:
    from bioretrieval_tui.render.hits import Hit

_INITIALS = re.compile(
    r"(?P<family>.+?),? (?P<initials>[A-Z](?:[A-Z-]{0,4}))(?: (?P<rank>Jr|Sr|2nd|3rd|[IV]+))?"
)
_MOST_AUTHORS = 200


def citable_hit(hit: Hit) -> bool:
    """Whether a reader could find the work again: it has a title and a year, or an address."""
    return bool(one_line(hit.title)) and (hit.year is not None or _address(hit) is not None)


def cite_hit(hit: Hit) -> Citation:
    """A document as a work to cite: an article where the journal is known, else `misc`."""
    known = hit.metadata
    journal = _text(known, "journal")
    people = _people(known.get("authors"))
    address = _address(hit)
    fields = [
        ("title", latex.title(hit.title)),
        ("author", latex.authors(people)),
        ("journal", latex.escape(journal)),
        ("year", str(hit.year or "")),
        ("volume", latex.escape(_text(known, "volume"))),
        ("number", latex.escape(_text(known, "issue"))),
        ("pages", latex.escape(_text(known, "pages").replace("-", "--"))),
        ("doi", latex.address(_text(known, "doi"))),
        ("pmid", latex.escape(_text(known, "pmid"))),
        ("url", latex.address(address) if address else ""),
    ]
    filled = tuple((name, value) for name, value in fields if value)
    return Citation(_key(hit, people), "article" if journal else "misc", filled)


def _people(authors: Any) -> tuple[str, ...]:
    """Names as BibTeX wants them; a group keeps its name whole."""
    if isinstance(authors, str):
        authors = re.split(r"\s*;\s*", authors)
    if not isinstance(authors, list | tuple):
        return ()
    names = []
    for author in authors[:_MOST_AUTHORS]:
        name = one_line(str(author))
        found = _INITIALS.fullmatch(name)
        if found:
            initials = " ".join(f"{letter}." for letter in found["initials"] if letter != "-")
            rank = f", {found['rank']}" if found["rank"] else ""
            name = f"{found['family']}{rank}, {initials}"
        elif " " in name and "," not in name:
            name = f"{{{name}}}"
        if name:
            names.append(name)
    if len(authors) > _MOST_AUTHORS:
        names.append("others")
    return tuple(names)


def _address(hit: Hit) -> str | None:
    return safe_url(hit.url) if hit.url else None


def _text(known: Mapping[str, Any], name: str) -> str:
    value = known.get(name)
    return one_line(str(value)) if isinstance(value, str | int) else ""


def _key(hit: Hit, people: tuple[str, ...]) -> str:
    surname = ascii_word(people[0].strip("{}").partition(",")[0]) if people else ""
    key = f"{surname}{hit.year or ''}{telling_word(hit.title)}"
    return key or ascii_word(hit.id) or "document"
