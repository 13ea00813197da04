"""Themes of the user: `themes/NAME.toml` in the config folder, a colour for each name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bioretrieval_tui.config import THEMES, config_path, line_numbers, parsed
from bioretrieval_tui.errors import Problem
from bioretrieval_tui.util.formatting import did_you_mean

COLOURS = (
    "background", "surface", "raised", "blurred", "border", "behind", "text", "dim", "faint",
    "match", "model", "dataset", "benchmark", "paper", "recipe", "milestone", "step",
)  # fmt: skip
_COLOUR = re.compile("#[0-9a-fA-F]{6}")


def read_themes() -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """The themes that can be used, by name, and what is wrong with the others. A theme is its
    colours, and `dark`: whether its background is."""
    problems: list[Problem] = []
    found = {}
    for path in sorted((config_path().parent / "themes").glob("*.toml")):
        if path.stem in THEMES:
            problems.append(
                Problem(path, f"{path.stem} is a theme of the program: rename the file")
            )
        elif (theme := _read(path, problems)) is not None:
            found[path.stem] = theme
    return found, problems


def _read(path: Path, problems: list[Problem]) -> dict[str, Any] | None:
    """A theme; None if it lacks something, which is added to `problems`."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(path, f"not read: {getattr(error, 'strerror', 'not UTF-8')}"))
        return None
    data = parsed(text, path)
    if isinstance(data, Problem):
        problems.append(data)
        return None
    lines, usable = line_numbers(text), True
    for name, value in data.items():
        line = lines.get((name,))
        if name not in ("dark", *COLOURS):
            meant = did_you_mean(name, COLOURS, f"colours: {', '.join(COLOURS)}")
            problems.append(Problem(path, f"unknown; {meant}", line, field=name))
        elif name == "dark" and not isinstance(value, bool):
            problems.append(Problem(path, "must be true or false", line, field=name))
            usable = False
        elif name != "dark" and not (isinstance(value, str) and _COLOUR.fullmatch(value)):
            problems.append(Problem(path, 'must be a colour: "#1a2b3c"', line, field=name))
            usable = False
    if missing := [name for name in COLOURS if name not in data]:
        problems.append(Problem(path, f"lacks colours: {', '.join(missing)}"))
        usable = False
    return {"dark": True, **data} if usable else None
