"""bibtex: the citations of a sheet, one entry each, keys unique."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import ascii_lowercase

from bioretrieval_tui.render.citation import Citation
from bioretrieval_tui.render.sheet import Sheet


def entry_text(citation: Citation, *, key: str | None = None) -> str:
    """One BibTeX entry that ends with a newline. Field values are LaTeX already."""
    lines = [f"@{citation.type}{{{key or citation.key},"]
    lines += [f"  {name} = {{{value}}}," for name, value in citation.fields]
    return "\n".join([*lines, "}"]) + "\n"


def bibliography(citations: Sequence[Citation]) -> Iterator[str]:
    """The entries with an empty line between them.

    A citation that stands there twice is written once. Different works with one key get a letter
    behind it, from the second on: lee2020biobert, lee2020biobertb.
    """
    seen: set[Citation] = set()
    taken: set[str] = set()
    for citation in citations:
        if citation in seen:
            continue
        key = _free(citation.key, taken)
        gap = "\n" if seen else ""
        seen.add(citation)
        taken.add(key.casefold())  # BibTeX takes Lee2020 and lee2020 for one key
        yield gap + entry_text(citation, key=key)


def _free(key: str, taken: set[str]) -> str:
    if key.casefold() not in taken:
        return key
    for letter in ascii_lowercase[1:]:
        if (key + letter).casefold() not in taken:
            return key + letter
    number = 2
    while f"{key}-{number}".casefold() in taken:
        number += 1
    return f"{key}-{number}"


def render(sheet: Sheet) -> Iterator[str]:
    """The sheet's citations; a sheet with nothing to cite is empty text."""
    yield from bibliography(sheet.citations)
