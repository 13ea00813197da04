"""Capabilities of the terminal and its machine, derived from the environment.

`detect` is a pure function; `here` calls it with the values of this process. The terminal itself
is not queried: it may not reply, and start-up must not wait.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TextIO


class ColourDepth(IntEnum):
    """Number of colours that may be used; ordered, so `>=` means "at least"."""

    NONE = 0
    ANSI = 16
    PALETTE = 256
    TRUE = 1 << 24


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capabilities of one terminal.

    size: (columns, rows) in cells, None if unknown.
    x11, wayland: a display variable is set. Over `ssh` it may be a forwarded display, so `desktop`
        is then false.
    """

    term: str
    interactive: bool
    colours: ColourDepth
    unicode: bool
    links: bool
    size: tuple[int, int] | None
    platform: str
    wsl: bool
    tmux: bool
    screen: bool
    ssh: bool
    x11: bool
    wayland: bool

    @property
    def desktop(self) -> bool:
        """Whether this process runs on the user's own desktop, where a browser can open."""
        if self.ssh:
            return False
        return self.platform in {"darwin", "win32"} or self.wsl or self.x11 or self.wayland

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Name and value of each capability, for `doctor`."""
        inside = [name for name, yes in (("tmux", self.tmux), ("screen", self.screen)) if yes]
        depths = {0: "none", 16: "16", 256: "256"}
        where = "over SSH" if self.ssh else "local desktop" if self.desktop else "local, no desktop"
        return (
            ("terminal", self.term or "TERM is not set"),
            ("interactive", "yes" if self.interactive else "no"),
            ("size", "unknown" if self.size is None else f"{self.size[0]}x{self.size[1]}"),
            ("colours", depths.get(self.colours, "truecolor")),
            ("unicode", "yes" if self.unicode else "no"),
            ("links", "yes" if self.links else "no"),
            ("inside", ", ".join(inside) or "neither tmux nor screen"),
            ("session", where + (" (WSL)" if self.wsl else "")),
        )


def detect(
    env: Mapping[str, str] = os.environ,
    *,
    isatty: bool = True,
    size: tuple[int, int] | None = None,
    platform: str = sys.platform,
    release: str = "",
    encoding: str = "utf-8",
) -> Capabilities:
    """Derive the capabilities.

    Args:
        env: environment variables.
        isatty: whether the output stream is a terminal.
        size: columns and rows; zeros, which some serial lines report, count as unknown.
        platform: as `sys.platform`.
        release: of the kernel, as `os.uname().release`; distinguishes WSL from Linux.
        encoding: of the stream, used if no locale variable is set.
    """
    term = env.get("TERM", "")
    wsl = platform == "linux" and (
        bool(env.get("WSL_DISTRO_NAME") or env.get("WSL_INTEROP")) or "microsoft" in release.lower()
    )
    # The first locale variable that is set decides, as in the C library, else the stream.
    locale = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or encoding
    return Capabilities(
        term=term,
        interactive=isatty,
        colours=_colours(env, isatty, term, platform),
        unicode=locale.lower().replace("-", "").partition("@")[0].endswith("utf8"),
        links=_links(env, isatty, term),
        size=size if size is not None and min(size) > 0 else None,
        platform=platform,
        wsl=wsl,
        tmux=bool(env.get("TMUX")),
        screen=bool(env.get("STY")),
        ssh=any(env.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")),
        x11=bool(env.get("DISPLAY")),
        wayland=bool(env.get("WAYLAND_DISPLAY")),
    )


def here(stream: TextIO | None = None, env: Mapping[str, str] = os.environ) -> Capabilities:
    """The capabilities of this process with the output `stream` (default: stdout)."""
    stream = sys.stdout if stream is None else stream
    size: tuple[int, int] | None = None
    isatty = False
    # A stream that is closed, replaced or no file is not a terminal.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        isatty = stream.isatty()
        if isatty:
            size = tuple(os.get_terminal_size(stream.fileno()))  # type: ignore[assignment]  # it has two
    return detect(
        env,
        isatty=isatty,
        size=size,
        release=os.uname().release if hasattr(os, "uname") else "",
        encoding=getattr(stream, "encoding", None) or "utf-8",
    )


_TRUE_TERMS = ("alacritty", "contour", "foot", "ghostty", "kitty", "wezterm", "rio")


def _colours(env: Mapping[str, str], isatty: bool, term: str, platform: str) -> ColourDepth:
    """NO_COLOR takes precedence; FORCE_COLOR sets a minimum (0: no colours)."""
    if env.get("NO_COLOR"):
        return ColourDepth.NONE
    found = _colours_of_terminal(env, term, platform) if isatty else ColourDepth.NONE
    forced = env.get("FORCE_COLOR")
    if forced is None:
        return found
    if (forced := forced.strip().lower()) in {"0", "false"}:
        return ColourDepth.NONE
    least = {"2": ColourDepth.PALETTE, "3": ColourDepth.TRUE}.get(forced, ColourDepth.ANSI)
    return max(found, least)


def _colours_of_terminal(env: Mapping[str, str], term: str, platform: str) -> ColourDepth:
    if term in {"dumb", "unknown"} or term.startswith("vt"):
        return ColourDepth.NONE
    if env.get("COLORTERM", "").lower() in {"truecolor", "24bit"} or env.get("WT_SESSION"):
        return ColourDepth.TRUE
    if term.endswith(("-direct", "-truecolor")) or any(name in term for name in _TRUE_TERMS):
        return ColourDepth.TRUE
    if term.endswith("256color"):
        return ColourDepth.PALETTE
    return ColourDepth.ANSI if term or platform == "win32" else ColourDepth.NONE


def _links(env: Mapping[str, str], isatty: bool, term: str) -> bool:
    """Whether OSC 8 links may be written: not into a pipe, a CI log or a terminal without them.

    `FORCE_HYPERLINK` decides if set (0: never, otherwise always). NO_COLOR does not affect links.
    """
    if forced := env.get("FORCE_HYPERLINK"):
        return forced.strip().lower() not in {"0", "false", "no"}
    if not isatty or env.get("CI"):
        return False
    # The Linux console has no mouse; its older versions print the URL. Windows sets no TERM;
    # Windows Terminal sets WT_SESSION.
    return term not in {"", "dumb", "linux", "unknown"} or bool(env.get("WT_SESSION"))
