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

    Those are words with an inner capital (BioBERT, RNA) or a capital and a digit (Qwen3), and in a
    title in sentence case all words with a first capital (Chinese). In a Title in Capitals the
    latter have no braces, so that the style decides.
    """
    text = unicodedata.normalize("NFC", one_line(text))
    words = list(_WORD.finditer(text))
    # Sentence case: most of the longer words after the first begin with a small letter.
    longer = [word[0] for word in words[1:] if len(word[0]) > 3 and word[0][1:].islower()]
    like_sentence = 2 * sum(word[0].islower() for word in longer) > len(longer)
    parts: list[str] = []
    end = 0
    for place, found in enumerate(words):
        word = found.group()
        before = text[end : found.start()]
        parts.append(before.translate(_ESCAPES))
        # Styles keep the first capital of the title and of what follows a colon.
        opens = place == 0 or before.endswith(": ")
        name = like_sentence and not opens and word[0].isupper()
        letter = len(word) == 1 and place > 0 and word.isupper() and word != "A"
        numbered = word[0].isupper() and any(char.isdigit() for char in word)
        inside = numbered or any(char.isupper() for char in word[1:])
        parts.append(f"{{{word}}}" if name or letter or inside else word)
        end = found.end()
    parts.append(text[end:].translate(_ESCAPES))
    return "".join(parts)


def author(name: str) -> str:
    """One author, escaped; the name of an organisation in braces.

    A name in braces is an organisation ("{WHO Solidarity Consortium}"); so is one with the word
    "and", which BibTeX would read as two authors.
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
