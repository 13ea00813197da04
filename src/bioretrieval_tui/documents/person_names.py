"""Names of persons and groups in one form: "Family IJ Jr", as PubMed writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from unicodedata import east_asian_width

_BETWEEN_NAMES = re.compile(r"[\s.\-\u2010\u2011]+")
_SURE = "(?i:Jr|Sr)|[1-9](?:st|nd|rd|th)"
RANK = re.compile(rf"(?:{_SURE}|II|III|IV|VI{{1,3}})\.?")
# What is a rank wherever it is: "IV" may be initials.
_SURE_RANK = re.compile(rf"[\s,]+({_SURE})\b\.?(?=[\s,]|$)")
_POINTED = r"(?:[^\W\d_]\.[\s\-\u2010]*+)++"
_CAPITALS = r"[^\W\d_a-z]{1,3}(?:-[^\W\d_a-z])?"
_INITIALS = rf"(?:{_POINTED}|{_CAPITALS})"
_ONLY_POINTED = re.compile(_POINTED)
_POINTED_FIRST = re.compile(rf"({_POINTED})([^\W\d_]{{2}}.*)")
_POINTED_LAST = re.compile(rf"(.+?[^.])\s+({_POINTED}|[^\W\d_a-z]-[^\W\d_a-z])")
_INITIALS_ONLY = re.compile(rf"{_INITIALS}(?:\s{_INITIALS})*")
_INITIALS_LAST = re.compile(rf"[^,;\d]{{2,}}\s{_INITIALS}")
_INITIALS_FIRST = re.compile(rf"(?:{_POINTED}|{_CAPITALS}\s)(?=[^,;\d]*[^\W\d_A-Z])[^,;\d.]{{2,}}")
# The usual form of PubMed, which stays: "Van der Berg JA".
_SHORT = re.compile(r"(?!.* (?i:[js]r)\b)[^\W\d_]+(?:[ '-][^\W\d_]+)* [A-Z]{1,3}")
# What tells also of one name alone that it begins with the given one: "Herbert H. Clark".
_MIDDLE_INITIAL = re.compile(r"(?:[^\W\d_]{2,}(?:\s[^\W\d_a-z]\.?)+|[A-Z])\s[^\d,]*[^\W\d_A-Z]")
_BETWEEN_PERSONS = re.compile(r"\s*,\s*(?:(?:and|&)\s+)?|\s+(?:and|&)\s+")
_JOINED_NAMES = re.compile(r"\s+(?:and|&)\s+")
_PARTICLES = frozenset(
    "af al av bin bint da das de del della den der di do dos du e el ibn la le ter ten van von y zu"
    " zum zur".split()
)
_OF_PARTICLES = frozenset({"Van", "Von", "De", "Del", "Al", "Bin"})
_NOTE = re.compile(r"(?<=[^\W_]|[.,])\s*(?:\[[^\]]*\]|\((?:\d+|[Ee]ds?\.?)\))$")
_AND_OTHERS = re.compile(
    r"[\s,;]*\(?(?:(?:and|&)\s+)?\b(?:et\.? al(?:ii)?|others)\b\.?\)?[\s,;]*$", re.IGNORECASE
)
_BLANKS = re.compile(r"[^\S\n]+")
_TAIL = 40
"""Characters at the end of a line in which "et al." is looked for."""
MOST_NAMES = 10_000
"""Names of a record that are kept: more than any paper has."""
LONGEST_LIST = 50 * MOST_NAMES
_LONGEST_NAME = 1_000
_LONGEST_PERSON = 200
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
    "Family I.J.", "I. J. Family" or "Given I. Family"; unchanged where it cannot be told (groups,
    "Given Family")."""
    if len(name) <= _LONGEST_PERSON and _SHORT.fullmatch(name):
        return name
    name = _NOTE.sub("", name[:_LONGEST_NAME].strip(" ,;"))
    return name if is_group(name.partition(",")[0]) else _short_person(name)


def _short_person(name: str) -> str:
    ranks = _SURE_RANK.findall(name)
    family, *rest = map(str.strip, (_SURE_RANK.sub("", name) if ranks else name).split(","))
    ranks += [part for part in rest if RANK.fullmatch(part)]
    given = next((part for part in rest if part not in ranks), "")
    if not given:
        if found := _POINTED_FIRST.fullmatch(family):
            given, family = found.groups()
        elif found := _POINTED_LAST.fullmatch(family):
            family, given = found.groups()
        elif _MIDDLE_INITIAL.fullmatch(family):
            family, given = turned(family)
    words, families = given.split(), family.split()
    for part in (words, families) if given else ():
        if len(part) > 1 and RANK.fullmatch(part[-1]):
            ranks.append(part.pop())
    while len(words) > 1 and words[-1] in _PARTICLES:
        families.insert(0, words.pop())  # "Wesenbeeck, B. K. van"
    letters = initials(" ".join(words)) if words else ""
    return " ".join(filter(None, (*families, letters, ranks[0].rstrip(".") if ranks else "")))


def turned(name: str) -> tuple[str, str]:
    """Family, with its particles, and given names of "Given Family"."""
    words = name.split()
    named = (at for at, word in enumerate(words[:-1])
             if at and (word in _OF_PARTICLES or word in _PARTICLES))  # fmt: skip
    family = next(named, len(words) - 1)
    return " ".join(words[family:]), " ".join(words[:family])


def is_group(name: str) -> bool:
    """Whether a name of several words is that of a group."""
    return " " in name.strip() and _GROUP.search(name) is not None


def people(names: Iterable[str], *, cell: bool = False) -> list[str]:
    """Persons and groups as `short_name`, in order; lines of several names are parted. Equal names
    stay: two authors may have the same initials. "et al." is left out, and what follows the first
    `MOST_NAMES`. Two names or more that are
    all of the form "Given Family" are turned round; one alone may be "Family Given".

    cell: whether all names of a record may be in one line, between commas.
    """
    parts = (part for line in names for part in listed_names(_without_others(line), cell=cell))
    plainly = (_NOTE.sub("", part[:_LONGEST_NAME].strip(" ,;")) for part in parts)
    found = list(islice(filter(None, plainly), MOST_NAMES))
    groups = {name for name in found if is_group(name.partition(",")[0])}
    persons = {name for name in found if " " in name} - groups
    is_turned = len(persons) > 1 and all(map(_may_begin_with_given, persons))
    return [
        name if name in groups
        else _short_person(_given_last(name) if is_turned and name in persons else name)
        for name in found
    ]  # fmt: skip


def _without_others(line: str) -> str:
    line = _BLANKS.sub(" ", line[:LONGEST_LIST])
    return line[:-_TAIL] + _AND_OTHERS.sub("", line[-_TAIL:])


def _may_begin_with_given(name: str) -> bool:
    if "," in name:
        return False
    last = _SURE_RANK.sub("", name).rpartition(" ")[2]
    return last.upper() != last and not last.endswith(".")


def _given_last(name: str) -> str:
    return ", ".join([*turned(_SURE_RANK.sub("", name)), *_SURE_RANK.findall(name)])


def listed_names(line: str, *, cell: bool = False) -> list[str]:
    """The names of a line: between semicolons, bars or the word "and"; between commas where each
    part is a name ("Miller A., O. Berg", "Ada Miller, Otto Berg, Wei Li") or each pair of parts is
    one ("Miller, A., Berg, Otto"). Of two names of several words without initials, which may be
    family and given ones, only if `cell`."""
    if len(several := re.split(";" if ";" in line else r"[|\n]", line)) > 1:
        return several
    if line.endswith(".") and line.count(".") == 1:
        line = line[:-1]  # "Lai Z, Shi SY."
    parts: list[str] = []
    for part in filter(None, _BETWEEN_PERSONS.split(line)):
        if parts and RANK.fullmatch(part):
            parts[-1] += f" {part}"
        else:
            parts.append(part[:_LONGEST_NAME])
    if len(parts) < 2 or max(map(len, parts)) > _LONGEST_PERSON:
        return [line]
    plainly = [_SURE_RANK.sub("", part) for part in parts if not is_group(part)]
    forms = (_INITIALS_LAST, _INITIALS_FIRST, _MIDDLE_INITIAL)
    own = [any(form.fullmatch(one) for form in forms) for one in plainly]
    if own and all(own) and not any(map(_ONLY_POINTED.fullmatch, plainly)):
        return parts
    if len(plainly) < len(parts):
        return [line]
    short = [" " not in one or _INITIALS_ONLY.fullmatch(one) is not None for one in plainly]
    joined = _JOINED_NAMES.split(line)
    if len(parts) > 2 and len(parts) % 2 == 0 and all(map(max, short[::2], short[1::2])):
        return [", ".join(pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
    if not any(short):
        alone = parts[0].split()[0].casefold() in _PARTICLES or _INITIALS_LAST.fullmatch(plainly[1])
        if len(parts) > 2 or len(joined) > 1 or (cell and not alone):
            return parts
    if len(joined) > 1 and all("," in one or " " in one for one in joined):
        return joined
    return [line]
