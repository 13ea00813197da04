"""OSC 8 hyperlinks in plain output of the command line; the app renders its own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from bioretrieval_tui.terminal.clean import clean, safe_url

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9._-]")
_MAX_ID = 64  # terminals cut at 250; the ids here are those of entries
# The Linux console has no mouse; its older versions print the URL.
_NO_LINKS = frozenset({"", "dumb", "linux", "unknown"})


def osc8(text: str, url: str, id: str | None = None) -> str:  # noqa: A002 - OSC 8's own word
    """Return `text` as a link to `url`, both cleaned; an unsafe `url` gives the text alone.

    Args:
        text: one line; escape sequences are removed from it, so add styles outside.
        url: http or https (see `safe_url`).
        id: joins the parts of one link that spans several lines.
    """
    shown = clean(text)
    target = safe_url(url)
    if target is None or not shown:
        return shown
    name = _NOT_IN_ID.sub("", id or "")[:_MAX_ID]
    parameters = f"id={name}" if name else ""
    return f"\x1b]8;{parameters};{target}\x1b\\{shown}\x1b]8;;\x1b\\"


def links_wanted(isatty: bool, env: Mapping[str, str] | None = None) -> bool:
    """Whether links may be written to a stream.

    `FORCE_HYPERLINK` decides if set (0: never, otherwise always). Without it the stream must be a
    terminal, not a dumb one, and not the log of a CI job. NO_COLOR does not affect links.
    """
    env = os.environ if env is None else env
    forced = env.get("FORCE_HYPERLINK")
    if forced:
        return forced.strip().lower() not in {"0", "false", "no"}
    if not isatty or env.get("CI"):
        return False
    # Windows sets no TERM; Windows Terminal sets WT_SESSION.
    return env.get("TERM", "") not in _NO_LINKS or bool(env.get("WT_SESSION"))
