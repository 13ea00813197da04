"""From text to the terms of the text index: English stems, and whole biomedical names.

A name of several parts gives the joined parts and each part that is a word: "TNF-alpha",
"TNF\u03b1" and "TNF alpha" all give `tnfa` and `tnf`; "IL-6", "IL6" and "IL 6" give `il6` and
`il`. An acronym in capitals that is a stop word otherwise (WHO, ALL, US) is a term of its own, and
so is one that would be stemmed to another word (AIDS, ALS), beside its stem. Every change of the
terms changes what an index contains: raise `layout.ANALYSER` with it.

Text is folded first: one case, no accents, plain hyphens, letters instead of ligatures. Each
character is folded independently of the others, so that a place in the folded text can be traced
back to the original text.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain

MAX_TERM = 64
"""Characters of a term that count; no word of a language is longer."""

_CACHED = 200_000
"""Chunks and words whose terms are cached."""
_MAX_CACHED = 40
_AT_ONCE = 2**18
"""Characters that are folded and split at once."""
_MAX_PARTS = 6

STOP_WORDS = frozenset(
    "a about above after again all also although am among an and any are as at be because been"
    " before being between both but by can could did do does doing done due during each either et"
    " etc few for from further had has have having he her here hers him his how however i if in"
    " into is it its itself just may me might more most must my nor of off on once only or other"
    " our ours out over own per rather s same she should since so some such t than that the their"
    " theirs them then there these they this those through thus to too under until upon up us very"
    " via was we were what when where whether which while who whom whose why will with within"
    " would you your".split()
)
"""Not indexed. "no", "not" and "without" stay: claims are about them."""

# Acronyms keep apart from words of the same letters until they are terms: each capital becomes a
# letter of a script without case, one for one, so that places in the text stay.
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MARKED = {ord(letter): 0x10330 + at for at, letter in enumerate(_CAPITALS)}
_UNMARKED = {mark: letter + 32 for letter, mark in _MARKED.items()}
_CAPITAL_WORD = re.compile(r"\b[A-Z]{2,6}\b")
_FIRST_MARK, _LAST_MARK = chr(0x10330), chr(0x10330 + len(_CAPITALS) - 1)
_STOP_ACRONYMS = frozenset(word.upper() for word in STOP_WORDS if 1 < len(word) < 7) - frozenset(
    "AND BEFORE BY DURING AFTER EACH ETC FEW FROM HAS HAVE HOW OF THAT THE THEIR THEN THERE THESE"
    " THEY THIS THOSE TO UNDER UNTIL UPON WERE WHAT WHEN WHERE WHICH WHILE WITH".split()
)
"""Stop words that are acronyms in capitals: without those that only stand in headings ("PATIENTS
AND METHODS")."""
_HEADING_WORDS = 4
"""A text of at least so many words, all in capitals, is a heading."""
_IN_HEADINGS = frozenset("AIDS ALL ALS ME SHE US WHO".split())
"""The acronyms that are known in a heading; its other capitals may be any words."""
_REGISTRIES = ("nct", "isrctn", "actrn", "drks")

_GREEK = dict(
    zip(
        "\u03b1\u03b2\u03b3\u03b4\u03b5\u03b6\u03b7\u03b8\u03b9\u03ba\u03bb\u03bc\u03bd\u03be\u03bf"
        "\u03c0\u03c1\u03c2\u03c3\u03c4\u03c5\u03c6\u03c7\u03c8\u03c9",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho"
        " sigma sigma tau upsilon phi chi psi omega".split(),
        strict=True,
    )
)
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7",
          "viii": "8", "ix": "9", "x": "10"}  # fmt: skip
_NUMBERED = "type|phase|stage|grade|class|group|factor"

# A blank within a name ("IL 6", "type II", "TNF alpha") or within a p-value becomes this, so that
# the text can be split at its blanks: chunks repeat, and their terms are cached.
_JOINT = "\x01"
_END = r"(?![\w-]|[.,']\w)"
_LETTERED = "vitamin|vitamins|hepatitis|influenza|coenzyme"
_AFTER_NOUN = "|".join(f"(?<={noun} )" for noun in f"{_NUMBERED}|{_LETTERED}".split("|"))
_AFTER_REGISTRY = "|".join(rf"(?<=\b{name} )" for name in _REGISTRIES)
# Nearly every blank is none of these: each branch first tests the next characters.
_BLANK = re.compile(
    r" (?:(?=[^a-z])"
    rf"(?:(?=(?:\d{{1,3}}[a-z]?|[\u03b1-\u03b4\u03ba]){_END})"
    r"|(?=[<>=\u2264\u2265])(?<=\bp )"
    r"|(?=0?\.\d)(?<=[<>=\u2264\u2265] ))"
    rf"|(?=\d{{8}})(?:{_AFTER_REGISTRY})"
    rf"|(?=[abgdk][ael][lmpt][ahmpt])(?=(?:alpha|beta|gamma|delta|kappa){_END})"
    r"|(?=[a-z](?![a-z])|[ivx][ivx])"
    rf"(?=(?:[a-z]\d{{0,2}}|[ivx]{{2,4}}){_END})(?:{_AFTER_NOUN}|(?<=kappa )|(?<=\u03ba )))"
)

# In this order: a p-value (dropped: its digits are noise); a name with a blank in it; a word with
# its hyphens.
_WORD = re.compile(
    r"\bp\x01?[<>=\u2264\u2265]\x01?0?\.\d+"
    rf"|\b(?:{'|'.join(_REGISTRIES)})\x01\d{{8,14}}\b"
    rf"|\b(?:{_NUMBERED})\x01(?:[ivx]{{1,4}}|[a-z]|\d{{1,3}}[a-z]?){_END}"
    rf"|\b(?:{_LETTERED})\x01[a-z]\d{{0,2}}{_END}"
    r"|\bnf[-\x01]?(?:kappa|\u03ba)[-\x01]?b\b"
    rf"|\b[a-z]{{1,10}}-?\d{{0,2}}\x01(?:alpha|beta|gamma|delta|kappa|[\u03b1-\u03b4\u03ba]){_END}"
    rf"|\b(?:\d{{1,2}}-)?[a-z]{{1,6}}\x01\d{{1,3}}[a-z]?{_END}"
    # The caret of readers before a superscript (documents/superscripts.py): BRAF^V600E.
    r"|[^\W_]+(?:(?:-|(?<=\d)[.,](?=\d)|(?<=[^\W\d_])\^(?=[^\W\d_]))[^\W_]+)*(?:'s\b)?"
)
_P_VALUE = re.compile(r"p\x01?[<>=\u2264\u2265]")
_CHUNK = re.compile(r"\S+")
_A_BLANK = re.compile(r"\s")
_NUMBER = re.compile(r"[\d.,]+")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_SEPARATORS = re.compile(r"[-^\x01]+")
_GREEK_LETTER = re.compile(r"[\u03b1-\u03c9]")
_GREEK_NAME = re.compile(r"(?<=[a-z0-9])(?:alpha|beta|gamma|delta|kappa)")
_GLUED = re.compile(r"([a-z]{1,6})\d{1,4}[a-z]?")

# British and American, Latin and Greek plurals: one form each before the stemmer sees them.
_SPELLINGS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"ae(?!r)|oe"), "e"),
    (re.compile(r"(?<=[a-z]{2})our(?=s?$|ed$|ing$|al)"), "or"),
    (re.compile(r"is(?=(?:e[sd]?|ing|ations?)$)"), "iz"),
    (re.compile(r"sis$"), "ses"),
    (re.compile(r"terium$"), "teria"),
    (re.compile(r"drion$"), "dria"),
)
_RESPELT = re.compile(r"ae|oe|our|is|terium|drion")
_LATIN = re.compile(r"[a-z]{6,}")

_MISSING = threading.RLock()
"""A stemmer serves one thread at a time, and two threads may miss in a cache at once."""


class _Cache(dict[str, tuple[str, ...]]):
    """Terms by text, computed on first use; cleared when it grows too large."""

    def __init__(self, make: Callable[[str], Iterable[str]]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: str) -> tuple[str, ...]:
        with _MISSING:
            found = tuple(self._make(text))
            if len(text) <= _MAX_CACHED:
                if len(self) >= _CACHED:
                    self.clear()
                self[text] = found
        return found


@cache
def _stemmer() -> Callable[[str], str]:
    from Stemmer import Stemmer  # type: ignore[import-not-found,unused-ignore]  # untyped

    # Without its own cache: finished terms are cached here.
    stem: Callable[[str], str] = Stemmer("english", 0).stemWord
    return stem


def _of_chunk(chunk: str) -> Iterator[str]:
    for word in _WORD.findall(chunk):
        # Numbers are too many to cache.
        yield from _terms(word) if word[0].isdigit() else _WORDS[word]


def _terms(word: str) -> Iterator[str]:
    """The terms of one match of `_WORD`, most specific first."""
    if word[0] == "p" and _P_VALUE.match(word):
        return
    word = _without_stop_word(word.removesuffix("'s"))
    if word in STOP_WORDS:
        return
    if _FIRST_MARK <= word[0] <= _LAST_MARK and word.isalpha():
        yield word
        yield from _terms(word.translate(_UNMARKED))
        return
    if word[0].isdigit() and _NUMBER.fullmatch(word):
        yield from _number(word)
        return
    parts = _parts(word)
    if len(parts) == 1:
        yield _term(parts[0])
        glued = _GLUED.fullmatch(parts[0])
        if glued and len(glued[1]) > 1 and glued[1] not in STOP_WORDS:
            yield _term(glued[1])
        return
    numbers = [_NUMBER.fullmatch(part) is not None for part in parts]
    if len(parts) <= _MAX_PARTS and not all(numbers):
        yield _term("".join(parts).replace(",", "").translate(_UNMARKED))
    for part, number in zip(parts, numbers, strict=True):
        if number:
            # The 6 of IL-6 alone has no meaning; the years of 1990-1995 have.
            if all(numbers):
                yield from _number(part)
        elif part not in STOP_WORDS and (len(part) > 1 or len(parts) > _MAX_PARTS):
            yield _term(part)


def _parts(word: str) -> list[str]:
    """The parts of a name: Greek letters spelt out, Roman numbers of types and phases as digits."""
    if _GREEK_LETTER.search(word) and len(word) <= MAX_TERM:
        rest = _GREEK_LETTER.sub("", word)
        # Greek words are left as they are: only single letters are part of names.
        if rest or len(word) == 1:
            word = _GREEK_LETTER.sub(lambda found: f"-{_GREEK.get(found[0], found[0])}-", word)
    parts = [part for part in _SEPARATORS.split(word) if part]
    if (
        len(parts) == 2
        and _JOINT in word
        and parts[1] in _ROMAN
        and parts[0] in _NUMBERED.split("|")
    ):
        parts[1] = _ROMAN[parts[1]]
    return parts


def _number(text: str) -> Iterator[str]:
    """A number as one term without its thousands' commas; a list of numbers as several."""
    if "," not in text or _THOUSANDS.fullmatch(text):
        yield text.replace(",", "")[:MAX_TERM]
    else:
        yield from (part[:MAX_TERM] for part in text.split(",") if part)


def _term(word: str) -> str:
    word = word[:MAX_TERM]
    # "tnfalpha" is also written "tnfa", "nfkappab" also "nfkb".
    word = _GREEK_NAME.sub(lambda found: found[0][0], word)
    if _RESPELT.search(word) and _LATIN.fullmatch(word):
        for pattern, spelling in _SPELLINGS:
            word = pattern.sub(spelling, word)
    return _stemmer()(word)


def _without_stop_word(word: str) -> str:
    """`word` without a stop word before a joint: "in 3" is not a name."""
    first, joint, rest = word.partition(_JOINT)
    return rest if joint and first in STOP_WORDS else word


# Chunks differ by brackets and commas more than by words, so the terms of words are cached too.
_WORDS, _CHUNKS = _Cache(_terms), _Cache(_of_chunk)


def chunks(text: str) -> list[str]:
    """`text` folded, with its acronyms marked, and split at its blanks, but not within names."""
    marked = _marked(text)
    folded = marked.lower() if text.isascii() else fold(marked)
    return _BLANK.sub(_JOINT, folded).split()


def _marked(text: str) -> str:
    """`text` with the letters of its acronyms marked."""
    if text.isupper() and text.count(" ") >= _HEADING_WORDS - 1:
        return _CAPITAL_WORD.sub(_marked_in_heading, text)
    return _CAPITAL_WORD.sub(_marked_word, text)


def _marked_word(found: re.Match[str]) -> str:
    word = found[0]
    if word in _STOP_ACRONYMS or (word[-1] == "S" and _is_stemmed(word.lower())):
        return word.translate(_MARKED)
    return word


def _marked_in_heading(found: re.Match[str]) -> str:
    return found[0].translate(_MARKED) if found[0] in _IN_HEADINGS else found[0]


def _is_stemmed(word: str) -> bool:
    return word not in STOP_WORDS and _WORDS[word] != (word,)


def tokens(text: str) -> list[str]:
    """The terms of `text` in order, repeated as they occur."""
    found = chain.from_iterable(chunks(text[part]) for part in _portions(text))
    return list(chain.from_iterable(map(_CHUNKS.__getitem__, found)))


def _portions(text: str) -> Iterator[slice]:
    """Parts of a long text, cut at blanks: the chunks of all of it would take ten times its
    memory."""
    start = 0
    while blank := _A_BLANK.search(text, start + _AT_ONCE):
        yield slice(start, blank.start())
        start = blank.start()
    yield slice(start, len(text))


def spans(text: str) -> list[tuple[str, int, int]]:
    """The terms of `text` as (term, start, end): `text[start:end]` is the word it came from. Terms
    of one word have the same place."""
    folded, places = fold_traced(_marked(text))
    found: list[tuple[str, int, int]] = []
    for chunk in _CHUNK.finditer(_BLANK.sub(_JOINT, folded)):
        for match in _WORD.finditer(chunk[0]):
            end = chunk.start() + match.end()
            start = end - len(_without_stop_word(match[0]))
            begin, beyond = places[start], places[end - 1] + 1
            found.extend((term, begin, beyond) for term in _CHUNKS[match[0]])
    return found


_CACHED_FOLDS = 20_000

# Dashes that Unicode does not class as such, and marks used as an apostrophe.
_SINGLE = {
    "\u2212": "-", "\u2043": "-", "\u02d7": "-", "\u00ad": "", "\u2019": "'", "\u02bc": "'",
    "\u2032": "'", "\u200b": "", "\u200c": "", "\u200d": "", "\u2060": "", "\ufeff": "",
}  # fmt: skip

# Scripts without blanks between words: each character becomes a word.
_UNSPACED = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF),
             (0x20000, 0x323AF))  # fmt: skip


class _Folds(dict[int, str]):
    """A cache of folded characters by code point; cleared when it grows too large."""

    def __missing__(self, code: int) -> str:
        if len(self) >= _CACHED_FOLDS:
            self.clear()
        folded = again = chr(code)
        for _ in range(4):  # until nothing changes
            apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", folded).casefold())
            again = "".join(map(_folded_part, apart))
            if again.split() == folded.split():
                break
            folded = again
        self[code] = again
        return again


def _folded_part(char: str) -> str:
    if char in _SINGLE:
        return _SINGLE[char]
    if unicodedata.category(char) == "Pd":
        return "-"
    if any(first <= ord(char) <= last for first, last in _UNSPACED):
        return f" {char} "
    return "" if unicodedata.combining(char) else char


_FOLDS = _Folds()


def fold(text: str) -> str:
    """`text` in the form in which terms are compared.

    "TNF\u2013\u03b1 in na\u00efve CD4\u207a" becomes "tnf-\u03b1 in naive cd4+".
    """
    return text.lower() if text.isascii() else text.translate(_FOLDS)


def fold_traced(text: str) -> tuple[str, list[int]]:
    """`fold(text)`, and for each of its characters the place in `text` that it comes from, followed
    by the length of `text`."""
    if text.isascii():
        return text.lower(), list(range(len(text) + 1))
    pieces = [_FOLDS[ord(char)] for char in text]
    places = [place for place, piece in enumerate(pieces) for _ in piece]
    return "".join(pieces), [*places, len(text)]
