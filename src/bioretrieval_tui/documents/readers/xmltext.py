"""What an XML element of a paper says, as plain text: mixed content, formulae, names, dates.

Shared by the readers of PubMed XML and JATS. Tags are told apart by their local names: a file
may bind any prefix or none to the vocabularies that are read here.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

NOTHING: frozenset[str] = frozenset()
_MATH_TOKENS = frozenset({"mi", "mn", "mo", "ms"})
_MATH_SILENT = frozenset({"annotation", "annotation-xml", "mprescripts", "none"})
# Without any of these, a formula reads as its text without the white space between its tags.
_MATH_WITH_SHAPE = tuple(
    "{*}" + name
    for name in "mtext ms mspace mfrac msqrt mmultiscripts mtr annotation annotation-xml".split()
)
_TEX_BODY = re.compile(r"\\begin\{document\}(.*?)\\end\{document\}", re.DOTALL)
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_YEAR = re.compile(r"(?<!\d)(?:1[4-9]|20|21)\d\d(?!\d)")


def local(element: _Element) -> str:
    """The tag without its namespace; empty for what is no element."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


@cache
def _text_of() -> Callable[[_Element], str]:
    """All text in an element, many times faster than `itertext`."""
    from lxml.etree import tostring

    return partial(tostring, method="text", encoding="unicode", with_tail=False)


def squeezed(text: str | None) -> str:
    """Text with every run of white space as one blank and none at the ends."""
    return " ".join(text.split()) if text else ""


def squeezed_all(texts: list[str]) -> list[str]:
    """`squeezed` of each text, at a third of the time; no text may hold a NUL, and XML cannot."""
    found = " ".join(" \0 ".join(texts).split()).split(" \0 ")
    return found if len(found) == len(texts) else [squeezed(text) for text in texts]


def plain(element: _Element) -> str:
    """All text in an element without block structure, formulae written out."""
    if len(element) == 0:
        return squeezed(element.text)
    if next(element.iter("{*}math"), None) is not None:
        return readable(element)
    return " ".join(_text_of()(element).split())


def readable(
    element: _Element, *, silent: frozenset[str] = NOTHING, blocks: frozenset[str] = NOTHING
) -> str:
    """All text in an element: formulae written out, nothing of elements in `silent`, white space
    around those in `blocks`."""
    parts: list[str] = []
    _collect(element, parts, silent, blocks)
    return squeezed("".join(parts))


def _collect(
    element: _Element, parts: list[str], silent: frozenset[str], blocks: frozenset[str]
) -> None:
    # As deep as the tree, which the parser bounds at 256.
    parts.append(element.text or "")
    for child in element:
        name = local(child)
        if name == "math":
            parts.append(_formula(child))
        elif name == "tex-math":
            parts.append(_tex(child.text or ""))
        elif name == "alternatives":
            _collect_best(child, parts, silent, blocks)
        elif name in silent:
            pass
        elif len(child) == 0 and name not in blocks:
            parts.append(child.text or "")
        elif name in blocks:
            parts.append(" ")
            _collect(child, parts, silent, blocks)
            parts.append(" ")
        else:
            _collect(child, parts, silent, blocks)
        parts.append(child.tail or "")


def _collect_best(
    element: _Element, parts: list[str], silent: frozenset[str], blocks: frozenset[str]
) -> None:
    """Of several ways to say the same: MathML, else the first that has any text."""
    for child in element:
        if local(child) == "math":
            parts.append(_formula(child))
            return
    for child in element:
        said: list[str] = []
        if local(child) == "tex-math":
            said.append(_tex(child.text or ""))
        elif local(child) not in silent:
            _collect(child, said, silent, blocks)
        if any(part.strip() for part in said):
            parts.extend(said)
            return


def _formula(element: _Element) -> str:
    if next(element.iter(*_MATH_WITH_SHAPE), None) is None:
        return "".join(_text_of()(element).split())
    return _math(element)


def _math(element: _Element) -> str:
    """A formula as one would type it: tokens run together, a/b, √x, 129Xe."""
    name = local(element)
    if name in _MATH_TOKENS:
        return squeezed(element.text if len(element) == 0 else _text_of()(element))
    if name in _MATH_SILENT:
        return ""
    if name == "mtext":
        return _text_of()(element)
    if name == "mspace":
        return " "
    inner = [_math(child) for child in element]
    if name == "mfrac":
        return "/".join(inner)
    if name == "msqrt":
        return "√" + "".join(inner)
    if name == "mmultiscripts":
        return _with_prescripts(element, inner)
    if name in ("mtr", "mtd"):
        return "".join(inner) + " "
    return "".join(inner) or squeezed(element.text)


def _with_prescripts(element: _Element, inner: list[str]) -> str:
    names = [local(child) for child in element]
    if "mprescripts" not in names:
        return "".join(inner)
    at = names.index("mprescripts")
    return "".join(inner[at:]) + "".join(inner[:at])


def _tex(source: str) -> str:
    """TeX without the preamble and the dollars that publishers wrap around each formula."""
    body = _TEX_BODY.search(source)
    return (body[1] if body else source).strip().strip("$").strip()


def initials(names: str) -> str:
    """Initials as PubMed writes them: "Marylee J" is MJ, "Jean-Pierre" JP, "JP" stays."""
    if names.isupper() and names.isalpha() and len(names) <= 3:
        return names
    words = [word for word in re.split(r"[\s.\-\u2010\u2011]+", names) if word]
    return "".join(word[0] for word in words if not word[0].islower()) or names[:1].upper()


@lru_cache(maxsize=4096)
def iso_date(year: str, month: str = "", day: str = "") -> str:
    """ISO 8601, as exact as the parts are usable; month as a number or an English name. Empty if
    there is no year of four digits."""
    found = year_in(year)
    if found is None:
        return ""
    number = _month(month.strip())
    if number is None:
        return f"{found:04}"
    try:
        return datetime.date(found, number, int(day)).isoformat()
    except ValueError:
        return f"{found:04}-{number:02}"


def year_in(text: str) -> int | None:
    """The first year that a text names, 1400 to 2199: 1998 of "1998 Dec-1999 Jan"."""
    match = _YEAR.search(text)
    return int(match[0]) if match else None


def _month(text: str) -> int | None:
    if text.isascii() and text.isdigit() and len(text) <= 2:
        return int(text) if 1 <= int(text) <= 12 else None
    name = text[:3].lower()
    return _MONTHS.index(name) + 1 if name in _MONTHS else None
