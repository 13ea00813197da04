"""Fewer bytes for the same screen: what a renderer writes, with its repetitions taken out.

Rich closes every piece of text with a full reset and opens the next with both colours again; over
SSH that is most of what is sent. `Compactor` follows the attributes that the stream asks for
(wanted) and those that the terminal has (sent), and writes the shortest way from one to the other
only where it shows: before text and before sequences that paint with the current attributes.
Everything else passes untouched and in order.

What it cannot follow (colon forms, rare attributes, a restored cursor) it passes on as it is, until
the next full reset says where things stand again.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache

# One token a match; text between matches is printable. A string (OSC, DCS) ends at its terminator;
# one that an ESC breaks off does not match, and its introducer is then a stray ESC.
_TOKEN = re.compile(
    "("
    "\x1b\\[[0-9;]*m"
    "|\x1b\\[[\x00-\x17\x19\x1c-\x3f\x7f]*[@-~]"
    "|\x1b\\][^\x07\x18\x1a\x1b\x9c]*(?:\x07|\x1b\\\\)"
    "|\x1bPtmux;(?:[^\x1b]|\x1b\x1b)*\x1b\\\\"
    "|\x1b[PX^_][^\x18\x1a\x1b\x9c]*\x1b\\\\"
    "|\x1b[ -/]+[0-~]"
    "|\x1b[0-OQ-WYZ\\\\`-~]"
    "|[\x00-\x1f\x7f-\x9f]"
    ")"
)
# What rich writes for a piece of text, taken in one step: style, text, reset.
_SEGMENT = re.compile("(\x1b\\[[0-9;]*m)([^\x00-\x1f\x7f-\x9f]*)\x1b\\[0?m")
# A sequence whose end may come with the next piece.
_UNFINISHED = re.compile(
    "\x1b(?:\\[[\x00-\x17\x19\x1c-\x3f\x7f]*"
    "|Ptmux;(?:[^\x1b]|\x1b\x1b)*\x1b?"
    "|\\][^\x07\x18\x1a\x1b\x9c]*\x1b?"
    "|[PX^_][^\x18\x1a\x1b\x9c]*\x1b?"
    "|[ -/]*)"
)
_MOST_HELD = 1 << 20  # characters of an unfinished sequence; beyond that it is passed on

# CSI sequences that neither paint with the attributes nor change them: cursor moves, tab stops,
# reports, scroll margins; those that paint the background: erase, insert, delete, scroll; and the
# one that draws: repeat.
_MOVES = re.compile("\x1b\\[[0-9;]*[ABCDEFGHIZ`adefgcnrt]")
_PAINTS = re.compile("\x1b\\[[0-9;]*[JKXPLM@ST]")
_REPEATS = re.compile("\x1b\\[[0-9]*b")
# Private modes that have nothing to do with attributes: keys, cursor, wrap, mouse, focus, paste,
# synchronised output, reports of size and theme. (Not the alternate screen: it saves the cursor.)
_MODE = "(?:1|7|12|25|100[02-6]|101[56]|2004|202[67]|2031|2048)"
_MODES = re.compile(rf"\x1b\[\?{_MODE}(?:;{_MODE})*(?:[hl]|\$p)")
_QUIET = frozenset("\0\x05\a\b\r\x0e\x0f\x7f")
_SCROLL = frozenset("\t\n\v\f")  # a new line at the bottom takes the background
_NO_LINK = "\x1b]8;;\x1b\\"

# Attributes as bits: bold, dim, italic, underline, blink, reverse, conceal, strike; and the codes
# that take them away. Bold and dim share theirs.
_ON = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 7: 32, 8: 64, 9: 128}
_OFF = {22: 3, 23: 4, 24: 8, 25: 16, 27: 32, 28: 64, 29: 128}

_ON_BLANKS = 8 | 16 | 32 | 128  # what shows where nothing is drawn: not bold, dim, italic, conceal

_State = tuple[str, str, int]  # foreground and background as SGR parameters ("" default), bits
_RESET: _State = ("", "", 0)
_PARAMETERS = re.compile("[0-9;]*")
_LONGEST = 256  # characters of SGR parameters that are read, and of pieces that are remembered
_CACHE = 8192  # entries after which a cache starts afresh; a screen uses some dozens


class _Effect(Enum):
    """What a token does, as far as attributes and links are concerned."""

    NONE = 0
    DRAWS = 1
    BLANKS = 2  # paints the background only
    STYLES = 3
    LINKS = 4
    UNKNOWN = 5  # may save, restore or change them


class Compactor:
    """Shortens one stream of terminal output, piece by piece.

    Every piece leaves the terminal without attributes and links, unless the stream is using some
    that are not followed here, so foreign output between two pieces is safe. The pieces together
    show what the originals would.
    """

    def __init__(self) -> None:
        self._held = ""
        self._steps: dict[tuple[_State | None, str], _State | None] = {}
        self._starts: dict[str, _State] = {}  # the same, from a reset
        self._ways: dict[tuple[_State | None, _State], str] = {}
        self.forget()

    def forget(self) -> None:
        """Assume nothing about the terminal any more, as after another program used it."""
        # Attributes: None where they are not known. Links: "parameters;address", "" for no link.
        self._wanted: _State | None = None
        self._sent: _State | None = None
        self._wanted_link: str | None = None
        self._sent_link: str | None = None
        self._link_token = ""

    def feed(self, data: str) -> str:
        """The shorter form of `data`; an unfinished sequence at its end waits for the next call."""
        if self._held:
            data, self._held = self._held + data, ""
        end = _finished(data)
        if end < len(data):
            data, self._held = data[:end], data[end:]
        out: list[str] = []
        write, starts = out.append, self._starts
        pieces = _SEGMENT.split(data)
        rest = iter(pieces)
        for before, style, text in zip(rest, rest, rest, strict=False):
            if before:
                self._follow(before, out)
            target = starts.get(style)
            if target is None or self._wanted is not _RESET:
                self._follow(f"{style}{text}\x1b[0m", out)
            elif text:
                if target is not self._sent or self._wanted_link != self._sent_link:
                    self._wanted = target
                    self._catch_up(out, blank=not text.strip(" "))
                    self._wanted = _RESET
                write(text)
        self._follow(pieces[-1], out)
        if self._wanted_link is not None and self._sent_link != "":
            out.append(_NO_LINK)
            self._sent_link = ""
        if self._wanted is not None and self._sent != _RESET:
            out.append("\x1b[m")
            self._sent = _RESET
        return "".join(out)

    def _follow(self, data: str, out: list[str]) -> None:
        """Write any tokens, complete ones, the shorter way."""
        read = _read if len(data) <= _LONGEST else _read.__wrapped__
        for piece, effect in read(data):
            if effect is _Effect.STYLES:
                after = self._step(piece)
                if after is None:  # not followed: what was wanted before it, then itself
                    self._catch_up(out)
                    out.append(piece)
                    self._sent = None
                self._wanted = after
            elif effect is _Effect.LINKS:
                body = piece[4:-1] if piece[-1] == "\x07" else piece[4:-2]
                parameters, address = body.split(";", 1)
                self._wanted_link = f"{parameters};{address}" if address else ""
                self._link_token = piece if address else _NO_LINK
            else:
                if effect is not _Effect.NONE:
                    self._catch_up(out, blank=effect is _Effect.BLANKS)
                out.append(piece)
                if effect is _Effect.UNKNOWN:
                    self._wanted = self._sent = self._wanted_link = self._sent_link = None

    def _catch_up(self, out: list[str], *, blank: bool = False) -> None:
        """Give the terminal the attributes and the link that are wanted.

        With `blank`, only as far as they show where nothing is drawn: the background.
        """
        wanted, sent = self._wanted, self._sent
        if wanted != sent and wanted is not None:
            if blank and sent is not None and not (wanted[2] | sent[2]) & _ON_BLANKS:
                wanted = (sent[0], wanted[1], sent[2])
            if wanted != sent:
                out.append(self._way(sent, wanted))
                self._sent = wanted
        if self._wanted_link != self._sent_link and self._wanted_link is not None:
            out.append(self._link_token)
            self._sent_link = self._wanted_link

    def flush(self) -> str:
        """What is held back of an unfinished sequence, as it came; for the end of the stream."""
        held, self._held = self._held, ""
        if held:
            self.forget()
        return held

    def _step(self, token: str) -> _State | None:
        """The attributes after an SGR token."""
        key = (self._wanted, token)
        if key not in self._steps:
            if len(self._steps) >= _CACHE:
                self._steps.clear()
                self._starts.clear()
            after = self._steps[key] = _after(self._wanted, token[2:-1])
            if self._wanted == _RESET and after is not None:
                self._starts[token] = after
        return self._steps[key]

    def _way(self, sent: _State | None, wanted: _State) -> str:
        way = self._ways.get((sent, wanted))
        if way is None:
            if len(self._ways) >= _CACHE:
                self._ways.clear()
            way = self._ways[sent, wanted] = _shortest(sent, wanted)
        return way


def _finished(data: str) -> int:
    """Where the unfinished sequence at the end of `data` begins, or its length if there is none."""
    last = data.rfind("\x1b")
    if last < 0:
        return len(data)
    # The last ESC may begin the terminator of a string, or be part of what is passed through tmux.
    for start in (data.rfind("\x1bPtmux;"), data.rfind("\x1b", 0, last), last):
        if start >= 0 and len(data) - start <= _MOST_HELD and _UNFINISHED.fullmatch(data, start):
            return start
    return len(data)


@lru_cache(maxsize=_CACHE)
def _read(data: str) -> tuple[tuple[str, _Effect], ...]:
    """The tokens of a piece, each with its effect. Cached: a screen repeats the moves between."""
    found = []
    for index, piece in enumerate(_TOKEN.split(data)):
        if index % 2:
            found.append((piece, _effect(piece)))
        elif piece:
            found.append((piece, _Effect.DRAWS if piece.strip(" ") else _Effect.BLANKS))
    return tuple(found)


def _effect(token: str) -> _Effect:
    if token.startswith("\x1b[") and token.endswith("m"):
        return _Effect.STYLES
    if token in _QUIET or _MOVES.fullmatch(token) or _MODES.fullmatch(token):
        return _Effect.NONE
    if token in _SCROLL or _PAINTS.fullmatch(token):
        return _Effect.BLANKS
    if _REPEATS.fullmatch(token):
        return _Effect.DRAWS
    if token.startswith("\x1b]"):
        if not token.startswith("\x1b]8;"):
            return _Effect.NONE  # titles, colours, the clipboard
        return _Effect.LINKS if ";" in token[4:] else _Effect.UNKNOWN
    return _Effect.UNKNOWN


def _after(state: _State | None, parameters: str) -> _State | None:
    """The attributes after an SGR sequence; None if it does something that is not followed."""
    if len(parameters) > _LONGEST or not _PARAMETERS.fullmatch(parameters):
        return None
    codes = iter([int(code or 0) for code in parameters.split(";")])
    for code in codes:
        if code == 0:
            state = _RESET
            continue
        colour = ""
        if code in (38, 48):
            # Read even when the state is not known: a 0 in a colour is no reset.
            kind = next(codes, None)
            count = {5: 1, 2: 3}.get(kind or 0)
            parts = [next(codes, 256) for _ in range(count or 0)]
            if not parts or max(parts) > 255:
                return None
            colour = ";".join(map(str, (code, kind, *parts)))
        elif 30 <= code <= 37 or 40 <= code <= 47 or 90 <= code <= 97 or 100 <= code <= 107:
            colour = str(code)
        if state is None:
            continue
        fore, back, bits = state
        if code in _ON:
            bits |= _ON[code]
        elif code in _OFF:
            bits &= ~_OFF[code]
        elif code in (39, 49) or colour:
            if code in (38, 39) or 30 <= code <= 37 or 90 <= code <= 97:
                fore = colour
            else:
                back = colour
        else:
            state = None
            continue
        state = (fore, back, bits)
    return state


def _shortest(sent: _State | None, wanted: _State) -> str:
    """The shortest SGR sequence that takes a terminal from one set of attributes to another one."""
    if wanted == _RESET:
        return "\x1b[m"
    fore, back, bits = wanted
    afresh = ["0", *(str(code) for code, bit in _ON.items() if bits & bit)]
    afresh += [colour for colour in (fore, back) if colour]
    whole = f"\x1b[{';'.join(afresh)}m"
    if sent is None:
        return whole
    lost = sent[2] & ~bits
    off = [code for code, group in _OFF.items() if lost & group]
    kept = sent[2]
    for code in off:
        kept &= ~_OFF[code]  # 22 takes bold and dim, though only one may be unwanted
    change = [*off, *(code for code, bit in _ON.items() if bits & ~kept & bit)]
    words = [str(code) for code in change]
    if fore != sent[0]:
        words.append(fore or "39")
    if back != sent[1]:
        words.append(back or "49")
    part = f"\x1b[{';'.join(words)}m"
    return part if len(part) <= len(whole) else whole
