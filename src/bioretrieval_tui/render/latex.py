"""Text as BibTeX field values: escaped, with braces that balance and keep what styles would lower.

BibTeX counts braces and takes no notice of a backslash before them, so a literal brace is written
as a command with balanced braces of its own, never as `\\{`.
"""

from __future__ import annotations

import re
import unicodedata

from bioretrieval_tui.render.sheet import one_line

_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\textbraceleft{}",
        "}": r"\textbraceright{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
    }
)
_WORD = re.compile(r"[^\W_]+")
_IN_ADDRESS = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?#[]@!$&'()*+,;=%"
)


def escape(text: str) -> str:
    """`text` on one line with the ten characters that LaTeX reserves written out."""
    return one_line(text).translate(_ESCAPES)


def title(text: str) -> str:
    """A title, escaped, with braces around the words whose capitals a style must not lower.

    Those are words with a capital inside (BioBERT, RNA) or a number behind it (Qwen3), and in a
    title that is set like a sentence also the words that begin with one (Chinese). In a title
    set In Capitals the latter say nothing and stay free, so that the style decides.
    """
    text = unicodedata.normalize("NFC", one_line(text))
    words = list(_WORD.finditer(text))
    like_sentence = _like_sentence([word.group() for word in words[1:]])
    parts: list[str] = []
    end = 0
    for place, found in enumerate(words):
        word = found.group()
        before = text[end : found.start()]
        parts.append(before.translate(_ESCAPES))
        # Styles keep the first capital of the title and of what follows a colon themselves.
        opens = place == 0 or before.endswith(": ")
        name = like_sentence and not opens and word[0].isupper()
        letter = len(word) == 1 and place > 0 and word.isupper() and word != "A"
        numbered = word[0].isupper() and any(char.isdigit() for char in word)
        inside = numbered or any(char.isupper() for char in word[1:])
        parts.append(f"{{{word}}}" if name or letter or inside else word)
        end = found.end()
    parts.append(text[end:].translate(_ESCAPES))
    return "".join(parts)


def _like_sentence(words: list[str]) -> bool:
    """Whether most of the longer words, the first word of the title left out, begin small."""
    longer = [word for word in words if len(word) > 3 and word[1:].islower()]
    small = sum(word[0].islower() for word in longer)
    return small * 2 > len(longer)


def author(name: str) -> str:
    """One author, escaped; a body's name is kept whole.

    A name in braces is a body ("{WHO Solidarity Consortium}"); so is one that holds the word
    "and", which BibTeX would take for two authors.
    """
    name = one_line(name)
    if name.startswith("{") and name.endswith("}") and len(name) > 2:
        return f"{{{escape(name[1:-1])}}}"
    if re.search(r"\band\b", name, re.IGNORECASE) or name.casefold() == "others":
        return f"{{{escape(name)}}}"
    return escape(name)


def authors(names: tuple[str, ...]) -> str:
    """The whole `author` field; a last "others" stays the word that BibTeX prints as et al."""
    if not names:
        return ""
    *most, last = names
    ending = "others" if last.strip() == "others" and most else author(last)
    return " and ".join([*map(author, most), ending])


def address(url: str) -> str:
    """An address or DOI for a verbatim field: not escaped, but unable to break the braces."""
    return "".join(
        char
        if char in _IN_ADDRESS
        else "".join(f"%{byte:02X}" for byte in char.encode(errors="replace"))
        for char in one_line(url)
    )
