"""Names of persons and groups in one form: "Family IJ Jr", as PubMed writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from unicodedata import east_asian_width

_BETWEEN_NAMES = re.compile(r"[\s.\-\u2010\u2011]+")
RANK = re.compile(r"(?:(?i:Jr|Sr|[1-9](?:st|nd|rd|th))|II|III|IV|VI{0,3})\.?")
_POINTED = r"(?:[^\W\d_]\.[\s\-\u2010]*)+"
_INITIALS = rf"(?:{_POINTED}|[^\W\d_a-z]{{1,3}}(?:-[^\W\d_a-z])?)"
_POINTED_FIRST = re.compile(rf"({_POINTED})([^\W\d_]{{2}}.*)")
_POINTED_LAST = re.compile(rf"(.+?[^.])\s+({_POINTED})")
_JOINED_NAMES = re.compile(r"\s+(?:and|&)\s+")
_ONLY_INITIALS = re.compile(_INITIALS)
_WITH_INITIALS = re.compile(rf"[^,;.\d]{{2,}}\s{_INITIALS}(?:\s{RANK.pattern})?")
_AND_OTHERS = re.compile(
    r"[\s,;]*\(?(?:(?:and|&)\s+)?\b(?:et\.? al(?:ii)?|others)\b\.?\)?[\s,;]*$", re.IGNORECASE
)
_TAIL = 40
"""Characters at the end of a line in which "et al." is looked for."""
MOST_NAMES = 10_000
"""Names of a record that are kept: more than any paper has."""
LONGEST_LIST = 50 * MOST_NAMES
_LONGEST_NAME = 1_000
_GROUP = re.compile(
    r"\b(?:groups?|consortium|collaborat\w*|stud(?:y|ies)|societ\w+|committee|network|investigators?"
    r"|team|institut\w*|universit\w*|association|foundation|council|organi[sz]ation|cent(?:er|re)s?"
    r"|department|division|ministr\w+|project|initiative|federation|commission|agency|alliance"
    r"|program(?:me)?|registry|task|force|panel|board|college|academy|hospital|clinic|inc|ltd|gmbh"
    r"|llc|research|health|authors?|members|office|services?|trial(?:s|ists)?|union|nations"
    r"|national|international|grupo|gruppo|groupe|arbeits\w+|gesellschaft|of|for)\b",
    re.IGNORECASE,
)
"""Within names of groups, of which a comma or a point parts no family name."""


def initials(names: str) -> str:
    """Initials as PubMed writes them: "Marylee J" is MJ, "Jean-Pierre" JP, "JP" stays; so do given
    names in Chinese, Japanese and Korean writing, which have none."""
    if (names.isupper() and names.isalpha() and len(names) <= 3) or is_east_asian(names):
        return names
    words = [word for word in _BETWEEN_NAMES.split(names) if word[:1].isalpha()]
    return "".join(word[0] for word in words if not word[0].islower()) or names[:1].upper()


def is_east_asian(text: str) -> bool:
    """Whether a text begins in Chinese, Japanese or Korean writing."""
    return east_asian_width(text[:1] or " ") == "W"


def short_name(name: str) -> str:
    """A person as PubMed writes it, "Family IJ Jr", from "Family, Given M.", "Family, I.J., Jr",
    "Family I.J." or "I. J. Family"; unchanged where it cannot be told (groups, "Given Family")."""
    name = name.strip(" ,;")
    family, *rest = [part.strip() for part in name.split(",")]
    if is_group(family) or len(name) > _LONGEST_NAME:
        return name
    ranks = [part for part in rest if RANK.fullmatch(part)]
    given = next((part for part in rest if part not in ranks), "")
    if not rest:
        if found := _POINTED_FIRST.fullmatch(family):
            given, family = found.groups()
        elif found := _POINTED_LAST.fullmatch(family):
            family, given = found.groups()
    words = given.split()
    if len(words) > 1 and RANK.fullmatch(words[-1]):
        ranks.append(words.pop())
    letters = initials(" ".join(words)) if words else ""
    return " ".join(filter(None, (family, letters, ranks[0].rstrip(".") if ranks else "")))


def is_group(name: str) -> bool:
    """Whether a name of several words is that of a group."""
    return len(name.split()) > 1 and _GROUP.search(name) is not None


def people(names: Iterable[str]) -> list[str]:
    """Persons and groups as `short_name`, in order; lines of several names are parted. Equal names
    stay: two authors may have the same initials. "et al." is left out, and what follows the first
    `MOST_NAMES`."""
    parts = (part for line in names for part in listed_names(_without_others(line)))
    return list(islice(filter(None, map(short_name, parts)), MOST_NAMES))


def _without_others(line: str) -> str:
    line = " ".join(line[:LONGEST_LIST].split())
    return line[:-_TAIL] + _AND_OTHERS.sub("", line[-_TAIL:])


def listed_names(line: str) -> list[str]:
    """The names of a line: between semicolons or the word "and"; between commas where each part has
    initials of its own ("Miller A., Berg O.P.") or each second one is initials ("Miller, A., Berg,
    O.P.")."""
    if ";" in line:
        return line.split(";")
    joined = _JOINED_NAMES.split(line)
    if len(joined) > 1 and all("," in one or _WITH_INITIALS.fullmatch(one) for one in joined):
        return joined
    parts = [part.strip() for part in line.split(",")]
    if len(parts) > 1 and all(map(_WITH_INITIALS.fullmatch, parts)):
        return parts
    if len(parts) > 2 and len(parts) % 2 == 0 and all(map(_ONLY_INITIALS.fullmatch, parts[1::2])):
        return [f"{family}, {given}" for family, given in zip(parts[::2], parts[1::2], strict=True)]
    return [line]
