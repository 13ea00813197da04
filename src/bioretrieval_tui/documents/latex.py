"""LaTeX in bibliographic fields as Unicode text: accents, letters, symbols, scripts, commands.

Exporters mix LaTeX with plain text, so what is no LaTeX ("5%", "a & b", "~5", a lone "$" or "{")
is text and stays.
"""

from __future__ import annotations

import re
import unicodedata

# The combining character of each accent.
_ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306",
    ".": "\u0307", '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323",
    "c": "\u0327", "k": "\u0328", "b": "\u0331",
}  # fmt: skip
_LETTERS = {
    "ss": "\u00df", "o": "\u00f8", "O": "\u00d8", "l": "\u0142", "L": "\u0141", "ae": "\u00e6",
    "AE": "\u00c6", "oe": "\u0153", "OE": "\u0152", "aa": "\u00e5", "AA": "\u00c5", "i": "\u0131",
    "j": "\u0237", "dh": "\u00f0", "DH": "\u00d0", "th": "\u00fe", "TH": "\u00de", "dj": "\u0111",
    "DJ": "\u0110", "ng": "\u014b", "NG": "\u014a", "S": "\u00a7", "P": "\u00b6",
}  # fmt: skip
_SYMBOLS = {
    "times": "\u00d7", "pm": "\u00b1", "textpm": "\u00b1", "mp": "\u2213", "div": "\u00f7",
    "le": "\u2264", "leq": "\u2264", "leqslant": "\u2264", "ge": "\u2265", "geq": "\u2265",
    "geqslant": "\u2265", "ne": "\u2260", "neq": "\u2260", "lt": "<", "gt": ">", "ll": "\u226a",
    "gg": "\u226b", "sim": "\ue002", "simeq": "\u2243", "approx": "\u2248", "equiv": "\u2261",
    "cdot": "\u00b7", "textperiodcentered": "\u00b7", "bullet": "\u2022", "textbullet": "\u2022",
    "ast": "*", "star": "*", "circ": "\u00b0", "degree": "\u00b0", "textdegree": "\u00b0",
    "infty": "\u221e", "partial": "\u2202", "nabla": "\u2207", "sum": "\u2211", "prod": "\u220f",
    "int": "\u222b", "in": "\u2208", "to": "\u2192", "rightarrow": "\u2192", "leftarrow": "\u2190",
    "leftrightarrow": "\u2194", "uparrow": "\u2191", "downarrow": "\u2193", "prime": "\u2032",
    "ldots": "\u2026", "dots": "\u2026", "textellipsis": "\u2026", "textendash": "\u2013",
    "textemdash": "\u2014", "textquoteleft": "\u2018", "textquoteright": "\u2019",
    "textquotedblleft": "\u201c", "textquotedblright": "\u201d", "textquotesingle": "'",
    "textquotedbl": '"', "guillemotleft": "\u00ab", "guillemotright": "\u00bb",
    "textless": "<", "textgreater": ">", "textbar": "|", "textbackslash": "\\", "backslash": "\\",
    "textasciitilde": "\ue002", "textasciicircum": "^", "textunderscore": "_", "textdollar": "$",
    "textbraceleft": "\ue000", "textbraceright": "\ue001", "lbrace": "\ue000", "rbrace": "\ue001",
    "texteuro": "\u20ac", "euro": "\u20ac", "pounds": "\u00a3", "textsterling": "\u00a3",
    "copyright": "\u00a9", "textcopyright": "\u00a9", "textregistered": "\u00ae",
    "texttrademark": "\u2122", "textmu": "\u00b5", "textonehalf": "\u00bd", "dag": "\u2020",
    "ddag": "\u2021", "percent": "%", "space": " ", "quad": " ", "qquad": " ", "newline": " ",
    "par": " ", "varepsilon": "\u03b5", "vartheta": "\u03d1", "varphi": "\u03c6",
}  # fmt: skip
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma"
    " tau upsilon phi chi psi omega"
).split()
for _name in _GREEK:
    # Unicode spells one of them without the "b".
    _official = "LAMDA" if _name == "lambda" else _name.upper()
    for _prefix in ("", "text"):
        _SYMBOLS[_prefix + _name] = unicodedata.lookup(f"GREEK SMALL LETTER {_official}")
        _SYMBOLS[_prefix + _name.title()] = unicodedata.lookup(f"GREEK CAPITAL LETTER {_official}")

_BASE = r"\{\s*(?:\\([ij])\s*|([^\W\d_]))\s*\}|\s*\\([ij])(?![A-Za-z])|"
_ACCENTED = re.compile(
    rf"\\([`'^~=.\"])\s*(?:{_BASE}\s*([^\W\d_]))|\\([uvHcdbkr])(?:\s*(?:{_BASE}\s+([^\W\d_])))"
)
_BARE_ACCENT = re.compile(r"\\([~^])\{\}|\\[`'=.\"]\{\}")
# A braced argument may hold braces twice as deep.
_ARGUMENT = r"\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"
_SCRIPT_COMMANDS = (
    (re.compile(rf"\\(?:textsuperscript|textsuperior|sp)\s*{_ARGUMENT}"), "sup"),
    (re.compile(rf"\\(?:textsubscript|textinferior|sb)\s*{_ARGUMENT}"), "sub"),
)
# A dollar before a blank or a number is money, unless there is LaTeX within.
_MATH = re.compile(
    r"\\\((.{0,2000}?)\\\)"
    r"|(?<!\\)\$\$?((?=[^$]*[\\^_])(?:[^$\\]|\\.){0,2000}?|(?!\s)[^$]{0,200}(?<!\s)(?=\$\$?(?!\d)))\$\$?",
    re.DOTALL,
)
_MATH_SCRIPTS = (
    (re.compile(rf"\^\s*(?:{_ARGUMENT}|(\\[A-Za-z]+|\S))"), "sup"),
    (re.compile(rf"_\s*(?:{_ARGUMENT}|(\\[A-Za-z]+|\S))"), "sub"),
)
_COMMAND = re.compile(r"\\([A-Za-z]+)\*?(?:\s*\{\}|[ \t\n]+)?")
_LINK = re.compile(rf"\\href\s*{_ARGUMENT}\s*{_ARGUMENT}")
_SIGN = re.compile(r"\\(\W|_)")
_DISCARDED = frozenset("-/!@*\"'`")
_BLANKS = frozenset(",;: \\\n\t~")
_TILDE = re.compile(r"(?<=\S)~(?=\S)")
_BRACES = str.maketrans({"{": None, "}": None})
_KEPT = str.maketrans("\ue000\ue001\ue002", "{}~")
_DASHES = ((re.compile(r"(?<!-)---(?!-)"), "\u2014"), (re.compile(r"(?<!-)--(?!-)"), "\u2013"))


def latex_text(text: str) -> str:
    """`text` with its LaTeX written out; scripts as the elements `sup` and `sub` of HTML. Unknown
    commands disappear, their arguments stay."""
    if "\\" in text or "$" in text:
        text = _ACCENTED.sub(_accented, text)
        text = _BARE_ACCENT.sub(r"\1", text)
        text = _LINK.sub(r"{\2}", text)
        for pattern, tag in _SCRIPT_COMMANDS:
            text = pattern.sub(rf"<{tag}>\1</{tag}>", text)
        text = _MATH.sub(_formula, text)
        text = _COMMAND.sub(_command, text)
        text = _SIGN.sub(_sign, text)
    text = _TILDE.sub(" ", text)
    text = text.replace("``", "\u201c").replace("''", "\u201d")
    for pattern, dash in _DASHES:
        text = pattern.sub(dash, text)
    return text.translate(_BRACES).translate(_KEPT)


def _accented(match: re.Match[str]) -> str:
    accent, *letters = (group for group in match.groups() if group)
    return unicodedata.normalize("NFC", letters[0] + _ACCENTS[accent])


def _formula(match: re.Match[str]) -> str:
    inner = match[1] or match[2] or ""
    for pattern, tag in _MATH_SCRIPTS:
        inner = pattern.sub(lambda found, tag=tag: f"<{tag}>{found[1] or found[2]}</{tag}>", inner)
    return inner + "{}"  # so that a command at its end does not run into what follows


def _command(match: re.Match[str]) -> str:
    name = match[1]
    known = _LETTERS.get(name) or _SYMBOLS.get(name)
    if known:
        # White space behind a command belongs to it, but exporters write "\\alpha level".
        is_symbol = name not in _LETTERS
        return known + (" " if is_symbol and match[0][-1:].isspace() else "")
    return ""


def _sign(match: re.Match[str]) -> str:
    sign = match[1]
    if sign in "{}":
        return "\ue000" if sign == "{" else "\ue001"
    return " " if sign in _BLANKS else "" if sign in _DISCARDED else sign
