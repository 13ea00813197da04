"""Plain text of the XML elements of a paper: mixed content, formulae, initials, dates.

Shared by the readers of PubMed XML and JATS. Tags are compared by their local names, since a file
may bind any prefix, or none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING

from bioretrieval_tui.documents.bibliography import iso_date

if TYPE_CHECKING:
    from lxml.etree import _Element

_NOTHING: frozenset[str] = frozenset()
_MATH_TOKENS = frozenset({"mi", "mn", "mo", "ms"})
_MATH_SILENT = frozenset({"annotation", "annotation-xml", "mprescripts", "none"})
# Without any of these, a formula reads as its text without the white space between its tags.
_MATH_WITH_SHAPE = tuple(
    "{*}" + name
    for name in "mtext ms mspace mfrac msqrt mmultiscripts mtr annotation annotation-xml".split()
)
_TEX_BODY = re.compile(r"\\begin\{document\}(.*?)\\end\{document\}", re.DOTALL)
_YEAR = re.compile(r"(?<!\d)(?:1[4-9]|20|21)\d\d(?!\d)")


def local(element: _Element) -> str:
    """The tag without its namespace; empty for comments and the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def squeezed(text: str | None) -> str:
    """Text with every run of white space as one blank and none at the ends."""
    return " ".join(text.split()) if text else ""


@cache
def _serialiser() -> Callable[[_Element], str]:
    from lxml.etree import tostring

    return partial(tostring, method="text", encoding="unicode", with_tail=False)


def all_text(element: _Element) -> str:
    """All text in an element, unchanged; many times faster than `itertext`."""
    return _serialiser()(element)


def plain_text(element: _Element | None) -> str:
    """All text in an element without block structure, formulae written out; empty for None."""
    if element is None:
        return ""
    if len(element) and next(element.iter("{*}math"), None) is not None:
        return readable(element)
    return squeezed(all_text(element) if len(element) else element.text)


def readable(
    element: _Element, *, silent: frozenset[str] = _NOTHING, blocks: frozenset[str] = _NOTHING
) -> str:
    """All text in an element: formulae written out, without the elements in `silent`, with white
    space around those in `blocks`."""
    return squeezed("".join(_parts(element, silent, blocks)))


def _parts(element: _Element, silent: frozenset[str], blocks: frozenset[str]) -> Iterable[str]:
    # As deep as the tree, which the parser bounds at 256.
    yield element.text or ""
    for child in element:
        name = local(child)
        if name == "alternatives":
            yield _alternative(child, silent, blocks)
        else:
            blank = " " if name in blocks else ""
            yield blank + _part(child, name, silent, blocks) + blank
        yield child.tail or ""


def _part(element: _Element, name: str, silent: frozenset[str], blocks: frozenset[str]) -> str:
    if name == "math":
        return _formula(element)
    if name == "tex-math":
        # Publishers wrap a preamble and dollars around each formula.
        body = _TEX_BODY.search(element.text or "")
        return (body[1] if body else element.text or "").strip().strip("$").strip()
    return "" if name in silent else "".join(_parts(element, silent, blocks))


def _alternative(element: _Element, silent: frozenset[str], blocks: frozenset[str]) -> str:
    """The text of alternatives: MathML, else the first with any text."""
    for child in element:
        if local(child) == "math":
            return _formula(child)
    texts = (_part(child, local(child), silent, blocks) for child in element)
    return next((text for text in texts if text.strip()), "")


def _formula(element: _Element) -> str:
    if next(element.iter(*_MATH_WITH_SHAPE), None) is None:
        return "".join(all_text(element).split())
    return _math(element)


def _math(element: _Element) -> str:
    """A formula as it would be typed: tokens run together, a/b, √x, 129Xe."""
    name = local(element)
    if name in _MATH_TOKENS:
        return squeezed(all_text(element))
    if name in _MATH_SILENT:
        return ""
    if name == "mtext":
        return all_text(element)
    if name == "mspace":
        return " "
    inner = [_math(child) for child in element]
    if name == "mfrac":
        return "/".join(inner)
    if name == "msqrt":
        return "√" + "".join(inner)
    if name == "mmultiscripts":
        names = [local(child) for child in element]
        at = names.index("mprescripts") if "mprescripts" in names else 0
        return "".join(inner[at:] + inner[:at])
    if name in ("mtr", "mtd"):
        return "".join(inner) + " "
    return "".join(inner) or squeezed(element.text)


def initials(names: str) -> str:
    """Initials as PubMed writes them: "Marylee J" is MJ, "Jean-Pierre" JP, "JP" stays."""
    if names.isupper() and names.isalpha() and len(names) <= 3:
        return names
    words = [word for word in re.split(r"[\s.\-\u2010\u2011]+", names) if word]
    return "".join(word[0] for word in words if not word[0].islower()) or names[:1].upper()


@lru_cache(maxsize=4096)
def xml_date(year: str, month: str = "", day: str = "") -> str:
    """ISO 8601 of the texts of three elements; empty without a year of four digits.

    The first year of a text counts, 1400 to 2199: 1998 of "1998 Dec-1999 Jan".
    """
    match = _YEAR.search(year)
    return iso_date(int(match[0]), month.strip(), day) if match else ""
